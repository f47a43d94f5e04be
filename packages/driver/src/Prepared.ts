/**
 * A prepared statement: everything about it that can be worked out once.
 *
 * @since 0.1.0
 */
import { BindEncoder } from "@effect-scylla/protocol/BindEncoder"
import type * as Dialect from "@effect-scylla/protocol/Dialect"
import type * as Features from "@effect-scylla/protocol/Features"
import type { Column } from "@effect-scylla/protocol/Metadata"
import type * as Request from "@effect-scylla/protocol/Request"
import type * as Response from "@effect-scylla/protocol/Response"
import type { RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import { Buffer } from "node:buffer"
import type { Resolved } from "./ExecuteOptions.ts"
import type { Keyspace, Snapshot } from "./Snapshot.ts"
import * as StatementKind from "./StatementKind.ts"

/**
 * The metadata of a result that servers and this client name by an id. A pair that is replaced whole, so that a request
 * which leaves the metadata out is never decoded with other columns than those it named.
 *
 * @internal
 */
export interface KnownResult {
  readonly id: Uint8Array
  /** `undefined` where no columns are announced: the metadata is then not left out of answers. */
  readonly decoder: RowDecoder | undefined
}

/** How an EXECUTE is laid out: a small number, the same for all dialects that lay it out alike. @internal */
export const layoutOf = (dialect: Dialect.Dialect): number =>
  dialect.version * 4 + (dialect.metadataIds ? 2 : 0) + (dialect.tabletVersions ? 1 : 0)

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/**
 * A statement that the cluster knows by an id. Made by `CqlClient.prepare`; good for every node and for as long as the
 * client lives: a node that does not know it yet is taught on the way.
 *
 * @category models
 * @since 0.1.0
 */
export class Prepared {
  readonly text: string
  readonly id: Uint8Array
  readonly kind: StatementKind.StatementKind
  /** The bound variables, in order. */
  readonly variables: ReadonlyArray<Column>
  /** Positions of the partition key's columns among the variables, in the key's order; empty when not all are bound. */
  readonly partitionKey: ReadonlyArray<number>
  /** The keyspace whose replication routes the statement; empty when it has no variables. */
  readonly keyspace: string
  /** The table of its variables; empty when it has none. */
  readonly table: string
  /** @internal */
  readonly encoder: BindEncoder
  /** The keyspace that `prepare` was given for names without one; `undefined`: the client's. */
  readonly givenKeyspace: string | undefined
  /** Reads rows that come with metadata, which is checked; replaced by the shape that was seen last. @internal */
  decoder: RowDecoder | undefined
  /** What connections with metadata ids are asked with; `undefined` while no id is known. @internal */
  known: KnownResult | undefined
  /** The frames' constant parts by their layout, and the options they were made for. @internal */
  templates: Array<Request.ExecuteTemplate | undefined> = []
  /** @internal */
  templatesOf: Resolved | undefined = undefined
  /** The snapshot that `replicas` and `tabletTable` were looked up in. @internal */
  routedBy: Snapshot | undefined = undefined
  /** @internal */
  replicas: Keyspace["replicas"] = undefined
  /** `keyspace.table` where the keyspace has tablets. @internal */
  tabletTable: string | undefined = undefined

  constructor(text: string, response: Response.Prepared, features: Features.Features, keyspace?: string) {
    this.text = text
    this.givenKeyspace = keyspace
    this.id = response.id
    this.variables = response.variables.columns
    this.partitionKey = response.variables.partitionKey
    this.keyspace = this.variables[0]?.keyspace ?? ""
    this.table = this.variables[0]?.table ?? ""
    this.encoder = new BindEncoder(this.variables)
    this.decoder = response.decoder
    this.known = response.resultMetadataId === undefined
      ? undefined
      : { id: response.resultMetadataId, decoder: response.decoder }
    const kind = StatementKind.of(text)
    const marked = features.lwtMask !== undefined && (response.variables.flags & features.lwtMask) !== 0
    this.kind = marked && !kind.isConditional ? { ...kind, isConditional: true } : kind
  }

  /** Whether it is the same statement: of the same id. @internal */
  isSame(other: Prepared): boolean {
    return isSame(this.id, other.id)
  }

  /** A node was taught it again, and said what the result is like now. @internal */
  relearned(again: Prepared): void {
    const { known } = again
    if (known !== undefined && (known.decoder !== undefined || this.known?.decoder === undefined)) this.replace(known)
  }

  /**
   * An answer said that the result's metadata is another than the request named. Answers of a conditional statement vary
   * (one column or all of them), so theirs say nothing; nor do answers without columns.
   *
   * @internal
   */
  changed(id: Uint8Array, decoder: RowDecoder | undefined): void {
    if (this.kind.isConditional || decoder === undefined || decoder.columns.length === 0) return
    this.replace({ id, decoder })
  }

  private replace(known: KnownResult): void {
    if (this.known !== undefined && isSame(this.known.id, known.id)) return
    this.known = known
    this.templates = []
  }

  /** Columns of the result as they were when the statement was prepared. */
  get columns(): ReadonlyArray<Column> {
    return this.decoder?.columns ?? []
  }
}
