/**
 * Why no code was generated, or why a check failed.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * There is no such keyspace.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyspaceNotFound extends Data.TaggedError("KeyspaceNotFound")<{
  /** What was asked for. */
  readonly keyspace: string
  /** The keyspaces that there are, those of the server left out. */
  readonly known: ReadonlyArray<string>
}> {
  /** What is missing, and what there is. */
  override get message(): string {
    return `there is no keyspace ${this.keyspace}; there ${
      this.known.length === 0 ? "is none but the server's own" : `are: ${this.known.join(", ")}`
    }`
  }
}

/**
 * A type in the schema tables that cannot be read: the server is newer than this program, or the schema changed while it was read.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnreadableType extends Data.TaggedError("UnreadableType")<{
  /** Of which column or field: `shop.items.price`. */
  readonly place: string
  /** What is wrong with it. */
  readonly problem: string
}> {
  /** Where, and what is wrong. */
  override get message(): string {
    return `the type of ${this.place} cannot be read: ${this.problem}. Is the schema being changed? Run it again`
  }
}

/**
 * Two keyspaces whose files would be one where case does not count in names of files.
 *
 * @category errors
 * @since 0.1.0
 */
export class SameFile extends Data.TaggedError("SameFile")<{
  /** The keyspaces. */
  readonly keyspaces: ReadonlyArray<string>
}> {
  /** Which, and what to do. */
  override get message(): string {
    return `the keyspaces ${
      this.keyspaces.join(" and ")
    } would be written to one file: give each a folder of its own (--out)`
  }
}

/**
 * A check found files that are not what the schema makes of them.
 *
 * @category errors
 * @since 0.1.0
 */
export class Stale extends Data.TaggedError("Stale")<{
  /** Paths of those that are there with another text. */
  readonly changed: ReadonlyArray<string>
  /** Paths of those that are not there. */
  readonly missing: ReadonlyArray<string>
  /** What would change in those that are there, as a unified diff of each. */
  readonly diff: string
}> {
  /** Which files, and what to do; without the diff. */
  override get message(): string {
    const missing = this.missing.map((path) => `${path} is missing`)
    const changed = this.changed.map((path) => `${path} is not what the schema says`)
    return `${[...missing, ...changed].join(", ")}: run it again without --check`
  }
}

/**
 * All that a `CodegenError` may be for.
 *
 * @category errors
 * @since 0.1.0
 */
export type Reason = KeyspaceNotFound | UnreadableType | SameFile | Stale

/**
 * The one error of this package; what the client or the file system fail with comes as it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class CodegenError extends Data.TaggedError("CodegenError")<{ readonly reason: Reason }> {
  /** That of the reason. */
  override get message(): string {
    return this.reason.message
  }
}
