import type * as BatchFrame from "@effect-scylla/protocol/BatchFrame"
import type { BindEncoder } from "@effect-scylla/protocol/BindEncoder"
import type { Encoded } from "@effect-scylla/protocol/Encoded"
import type { BatchKind } from "@effect-scylla/protocol/Request"
import type { RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import { shortened } from "../CqlError.ts"
import type { Prepared } from "../Prepared.ts"
import type * as StatementKind from "../StatementKind.ts"
import type { PlainText } from "./plainTexts.ts"
import type { Templates } from "./templates.ts"
import type { Usual } from "./usual.ts"

/** One statement of a batch: what is kept of it is what goes into the frame, as the statement is known then. */
export class PreparedEntry {
  readonly statement: Prepared
  /** In order. */
  readonly values: ReadonlyArray<unknown>
  /** What was said of it, if anything. */
  readonly idempotent: boolean | undefined

  constructor(statement: Prepared, values: ReadonlyArray<unknown>, idempotent: boolean | undefined) {
    this.statement = statement
    this.values = values
    this.idempotent = idempotent
  }

  get id(): Uint8Array {
    return this.statement.id
  }

  get encoder(): BindEncoder {
    return this.statement.encoder
  }
}

const NO_VALUES: ReadonlyArray<unknown> = []

/** The same of a text without values. */
export class TextEntry {
  readonly statement: PlainText
  readonly values = NO_VALUES
  readonly query: string
  readonly idempotent: boolean | undefined

  constructor(statement: PlainText, idempotent: boolean | undefined) {
    this.statement = statement
    this.query = statement.text
    this.idempotent = idempotent
  }
}

/** The same of either, with values that are bytes already. */
export class EncodedEntry {
  readonly statement: Prepared | PlainText
  readonly values = NO_VALUES
  readonly encoded: Encoded
  readonly idempotent: boolean | undefined

  constructor(statement: Prepared | PlainText, encoded: Encoded, idempotent: boolean | undefined) {
    this.statement = statement
    this.encoded = encoded
    this.idempotent = idempotent
  }

  /** Of a prepared one, as it is known now. */
  get id(): Uint8Array | undefined {
    return this.statement.form === "prepared" ? this.statement.id : undefined
  }

  get query(): string {
    return this.statement.text
  }
}

/** One statement of a batch. */
export type Entry = PreparedEntry | TextEntry | EncodedEntry

const kindOf = (batch: BatchKind, isConditional: boolean, isCounter: boolean): StatementKind.StatementKind => ({
  type: "batch",
  isConditional,
  isSinglePartition: false,
  isCounter,
  batch
})

const kindsOf = (batch: BatchKind) =>
  [
    kindOf(batch, false, false),
    kindOf(batch, false, true),
    kindOf(batch, true, false),
    kindOf(batch, true, true)
  ] as const

/** By whether any statement is conditional, and whether any counts. */
const KINDS = { logged: kindsOf("logged"), unlogged: kindsOf("unlogged"), counter: kindsOf("counter") }

/** Statements that go out in one BATCH. */
export class BatchStatement {
  readonly form = "batch"
  readonly type: BatchKind
  readonly entries: ReadonlyArray<Entry>
  readonly kind: StatementKind.StatementKind
  /** The first entry whose partition is known: where the batch goes. */
  readonly routing: PreparedEntry | undefined
  readonly usual: Usual
  readonly templates: Templates<BatchFrame.BatchTemplate>
  decoder: RowDecoder | undefined = undefined

  constructor(
    type: BatchKind,
    entries: ReadonlyArray<Entry>,
    shared: { readonly usual: Usual; readonly templates: Templates<BatchFrame.BatchTemplate> }
  ) {
    this.type = type
    this.entries = entries
    let isConditional = 0
    // Servers take counters in unlogged batches, too.
    let isCounter = type === "counter" ? 1 : 0
    let routing: PreparedEntry | undefined
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!
      const { statement } = entry
      if (statement.kind.isConditional) isConditional = 2
      if (statement.kind.isCounter === true) isCounter = 1
      if (routing === undefined && entry instanceof PreparedEntry && entry.statement.partitionKey.length > 0) {
        routing = entry
      }
    }
    this.kind = KINDS[type][isConditional + isCounter]!
    this.routing = routing
    this.usual = shared.usual
    this.templates = shared.templates
  }

  /** For people: the first of the statements, and how many there are. */
  get text(): string {
    const [first] = this.entries
    return `BEGIN ${
      this.type === "logged" ? "" : `${this.type.toUpperCase()} `
    }BATCH of ${this.entries.length} statements, ` +
      `the first ${shortened(first?.statement.text ?? "")}`
  }

  /** All of it can be done twice: by what is said of each statement, or by its text. */
  get isCertain(): boolean {
    return this.kind.isCounter !== true &&
      this.entries.every(({ idempotent, statement }) => idempotent ?? statement.isCertain)
  }

  /** Of some statement it is said that it cannot be done twice. */
  get isForbidden(): boolean {
    return this.entries.some(({ idempotent }) => idempotent === false)
  }

  /** Of each statement it is said that it can be done twice. */
  get isAllowed(): boolean {
    return this.entries.every(({ idempotent }) => idempotent === true)
  }

  /** Some statement is of a strongly consistent keyspace, as far as that was looked up. */
  get isGlobal(): boolean {
    return this.entries.some(({ statement }) => statement.form === "prepared" && statement.isGlobal)
  }

  /** The prepared statements among them, each once. */
  get prepared(): ReadonlySet<Prepared> {
    const found = new Set<Prepared>()
    for (const { statement } of this.entries) if (statement.form === "prepared") found.add(statement)
    return found
  }
}
