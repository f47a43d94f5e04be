/**
 * What a statement answers: one page of rows and what came with it.
 *
 * @since 0.1.0
 */
import type { Column } from "@effect-scylla/protocol/Metadata"
import type { Prefix, SchemaChange } from "@effect-scylla/protocol/Response"
import type { Row, RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import { ColumnarPage, LazyRow } from "@effect-scylla/protocol/RowShape"
import type { Uuid } from "@effect-scylla/protocol/Uuid"
import type { Attempt } from "./CqlError.ts"

/**
 * The node and shard that answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Coordinator {
  readonly address: string
  readonly port: number
  readonly hostId: string
  readonly datacenter: string
  readonly rack: string
}

/**
 * Whether the nodes have the same schema.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchemaAgreement {
  readonly agreed: boolean
  /** Of the node that was asked; `undefined` where none could be. */
  readonly version: string | undefined
  /** The nodes that had another one at the last look. Those that are known to be down are not waited for. */
  readonly others: ReadonlyArray<Coordinator>
}

/** What most requests have nothing of. @internal */
export interface Effort {
  readonly attempts: ReadonlyArray<Attempt>
  readonly speculations: number
  readonly schemaChange?: SchemaChange | undefined
  readonly schemaAgreement?: SchemaAgreement | undefined
}

const NO_ATTEMPTS: ReadonlyArray<Attempt> = []
const NO_COLUMNS: ReadonlyArray<Column> = []

/** How many rows there are, in whichever form. @internal */
export const countOf = (rows: ReadonlyArray<unknown>): number =>
  rows[0] instanceof ColumnarPage
    ? rows.reduce((sum: number, page) => sum + (page as ColumnarPage).size, 0)
    : rows.length

/**
 * A page of a result.
 *
 * @category models
 * @since 0.1.0
 */
export class ResultSet<A = Row> {
  /** The rows of this page; empty for a statement that answers none. A page may be empty and not the last. */
  readonly rows: Array<A>
  /** Ask for the next page with it; `null` after the last one. */
  readonly pagingState: Uint8Array | null
  /** Who answered. */
  readonly coordinator: Coordinator
  /** Of the answer as it came, without its header and what came before the result; 0 where there are no rows. */
  readonly bytes: number
  private readonly decoder: RowDecoder | undefined
  private readonly prefix: Prefix
  private readonly effort: Effort | undefined

  constructor(
    rows: Array<A>,
    pagingState: Uint8Array | null,
    decoder: RowDecoder | undefined,
    prefix: Prefix,
    coordinator: Coordinator,
    bytes = 0,
    effort?: Effort
  ) {
    this.effort = effort
    this.bytes = bytes
    this.rows = rows
    this.pagingState = pagingState
    this.decoder = decoder
    this.prefix = prefix
    this.coordinator = coordinator
  }

  /** The columns, in order. */
  get columns(): ReadonlyArray<Column> {
    return this.decoder?.columns ?? NO_COLUMNS
  }
  /** What the server warns of, for example a large batch. */
  get warnings(): ReadonlyArray<string> {
    return this.prefix.warnings
  }
  /** The attempts that failed before the answer came, in their order; none in most cases. */
  get attempts(): ReadonlyArray<Attempt> {
    return this.effort?.attempts ?? NO_ATTEMPTS
  }
  /** How many more nodes were asked before one had answered. */
  get speculations(): number {
    return this.effort?.speculations ?? 0
  }
  /** After a change of the schema: whether the nodes agreed on it within `schemaAgreementTimeout`. */
  get schemaAgreement(): SchemaAgreement | undefined {
    return this.effort?.schemaAgreement
  }
  /** What a statement has changed of the schema. */
  get schemaChange(): SchemaChange | undefined {
    return this.effort?.schemaChange
  }
  /** The trace, when one was asked for. */
  get tracingId(): Uuid | undefined {
    return this.prefix.tracingId
  }
  get customPayload(): ReadonlyMap<string, Uint8Array | null> | undefined {
    return this.prefix.customPayload
  }
  /** Whether a conditional statement was applied: its `[applied]` column; true for all others. */
  get wasApplied(): boolean {
    const first = this.rows[0] as Row | ReadonlyArray<unknown> | LazyRow | ColumnarPage | undefined
    if (first === undefined) return true
    if (first instanceof LazyRow || first instanceof ColumnarPage) {
      const applied = first instanceof LazyRow ? first.get("[applied]") : first.get("[applied]")?.[0]
      return applied === undefined || applied === true
    }
    if (!Array.isArray(first)) return !("[applied]" in first) || (first as Row)["[applied]"] === true
    const at = this.columns.findIndex(({ name }) => name === "[applied]")
    return at < 0 || first[at] === true
  }

  /**
   * For logs: the rows, who answered, and whether there is more. Rows have bigints and bytes, of which `JSON.stringify` makes nothing, or
   * nothing good: `Json.toJson` does.
   */
  toJSON(): object {
    const { address, datacenter, hostId, port, rack } = this.coordinator
    const { attempts, pagingState, rows, warnings } = this
    return {
      rows,
      hasMorePages: pagingState !== null,
      coordinator: { hostId, address, port, datacenter, rack },
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(attempts.length === 0 ? {} : { attempts })
    }
  }

  /** The same for `console.log`. */
  [Symbol.for("nodejs.util.inspect.custom")](): object {
    return this.toJSON()
  }
}

/** @internal */
export const empty = (prefix: Prefix, coordinator: Coordinator, effort?: Effort): ResultSet<any> =>
  new ResultSet([], null, undefined, prefix, coordinator, 0, effort)
