import type * as BatchFrame from "@effect-scylla/protocol/BatchFrame"
import type { BatchKind } from "@effect-scylla/protocol/Request"
import type { RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import { shortened } from "../CqlError.ts"
import type { Prepared } from "../Prepared.ts"
import type * as StatementKind from "../StatementKind.ts"
import type { PlainText } from "./plainTexts.ts"
import type { Templates } from "./templates.ts"
import type { Usual } from "./usual.ts"

/** One statement of a batch: prepared, with its values in order, or a text without any. */
export interface Entry {
  readonly statement: Prepared | PlainText
  readonly values: ReadonlyArray<unknown>
  /** What was said of it, if anything. */
  readonly idempotent: boolean | undefined
}

/** Statements that go out in one BATCH. */
export class BatchStatement {
  readonly form = "batch"
  readonly type: BatchKind
  readonly entries: ReadonlyArray<Entry>
  readonly kind: StatementKind.StatementKind
  /** The first entry whose partition is known: where the batch goes. */
  readonly routing: Entry | undefined
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
    this.kind = {
      type: "batch",
      isConditional: entries.some(({ statement }) => statement.kind.isConditional),
      isSinglePartition: false,
      isCounter: type === "counter",
      batch: type
    }
    this.routing = entries.find(({ statement }) => statement.form === "prepared" && statement.partitionKey.length > 0)
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
    return this.type !== "counter" &&
      this.entries.every(({ idempotent, statement }) => idempotent ?? statement.isCertain)
  }

  /** The prepared statements among them, each once. */
  get prepared(): ReadonlySet<Prepared> {
    const found = new Set<Prepared>()
    for (const { statement } of this.entries) if (statement.form === "prepared") found.add(statement)
    return found
  }

  /** What goes into the frame: statements as they are known now. */
  get parts(): ReadonlyArray<BatchFrame.Part> {
    return this.entries.map(({ statement, values }) =>
      statement.form === "prepared"
        ? { id: statement.id, encoder: statement.encoder, values }
        : { query: statement.text }
    )
  }
}
