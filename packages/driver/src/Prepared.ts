/**
 * A prepared statement: everything about it that can be worked out once.
 *
 * @since 0.1.0
 */
import { BindEncoder } from "@effect-scylla/protocol/BindEncoder"
import type { CodecOptions } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type * as Dialect from "@effect-scylla/protocol/Dialect"
import type * as Features from "@effect-scylla/protocol/Features"
import type { Column } from "@effect-scylla/protocol/Metadata"
import type * as Request from "@effect-scylla/protocol/Request"
import type * as Response from "@effect-scylla/protocol/Response"
import type { RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import type { Partitioner } from "@effect-scylla/sharding/Partitioner"
import { Buffer } from "node:buffer"
import * as Idempotence from "./Idempotence.ts"
import { Templates } from "./internal/templates.ts"
import { Usual } from "./internal/usual.ts"
import type { Keyspace, Node, Snapshot } from "./Snapshot.ts"
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

/** When and by whom a statement was prepared. @internal */
export interface Asked {
  /** The changes of the schema that were known when it was asked for. */
  readonly epoch: number
  readonly millis: number
  readonly node: Node | undefined
  /** The client's, by whose changes it is looked at. */
  readonly owner: unknown
}

/** How an EXECUTE is laid out: a small number, the same for all dialects that lay it out alike. @internal */
export const layoutOf = (dialect: Dialect.Dialect): number =>
  dialect.version * 4 + (dialect.metadataIds ? 2 : 0) + (dialect.tabletVersions ? 1 : 0)

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/**
 * The name of a bound variable as it counts: servers call that of `c IN ?` `IN(c)` or `in(c)`, and may change from one to the
 * other under a prepared statement (scylladb `docs/cql/cql-extensions.md`).
 */
const spelled = (name: string): string => name.replace(/^\w+(?=\()/, (operator) => operator.toLowerCase())

/**
 * A statement that the cluster knows by an id. Made by `CqlClient.prepare`; good for every node and for as long as the
 * client lives: a node that does not know it yet is taught on the way, and where the schema has changed it is prepared again
 * before it is sent, so that values are encoded with the types that the executing node has. Its fields then tell of the
 * statement as it is now.
 *
 * @category models
 * @since 0.1.0
 */
export class Prepared {
  /** @internal */
  readonly form = "prepared"
  readonly text: string
  /** The keyspace that `prepare` was given for names without one; `undefined`: the client's. */
  readonly givenKeyspace: string | undefined
  readonly id!: Uint8Array
  readonly kind!: StatementKind.StatementKind
  /** The bound variables, in order. */
  readonly variables!: ReadonlyArray<Column>
  /** Positions of the partition key's columns among the variables, in the key's order; empty when not all are bound. */
  readonly partitionKey!: ReadonlyArray<number>
  /** The keyspace whose replication routes the statement; empty when it has no variables. */
  readonly keyspace!: string
  /** The table of its variables; empty when it has none. */
  readonly table!: string
  /** @internal */
  readonly encoder!: BindEncoder
  /** Reads rows that come with metadata, which is checked; replaced by the shape that was seen last. @internal */
  decoder: RowDecoder | undefined = undefined
  /** What connections with metadata ids are asked with; `undefined` while no id is known. @internal */
  known: KnownResult | undefined = undefined
  /** The frames' constant parts. @internal */
  readonly templates: Templates<Request.ExecuteTemplate> = new Templates()
  /** @internal */
  readonly usual: Usual = new Usual()
  /** The snapshot that `replicas` and `tabletTable` were looked up in. @internal */
  routedBy: Snapshot | undefined = undefined
  /** @internal */
  replicas: Keyspace["replicas"] = undefined
  /** `keyspace.table` where the keyspace has tablets. @internal */
  tabletTable: string | undefined = undefined
  /** Its keyspace is strongly consistent. @internal */
  isGlobal = false
  /** `undefined`: Murmur3. @internal */
  partitioner: Partitioner | undefined = undefined
  /** The changes of the schema that were looked at, by their count. @internal */
  epoch = 0
  /**
   * Nodes that have said since the schema changed that their types are these; all others are asked before the statement is sent to
   * them. `undefined` while there is no doubt. @internal
   */
  confirmed: Set<string> | undefined = undefined
  /** Nodes that have prepared it, as far as this client knows. @internal */
  readonly knownBy = new Set<string>()
  /** When it was prepared last, and at which epoch. @internal */
  preparedAt: number
  /** @internal */
  preparedEpoch: number
  /** @internal */
  preparedBy: Node | undefined
  /** What the client is told by that prepared it: to another one it is a text. @internal */
  readonly owner: unknown

  constructor(
    text: string,
    response: Response.Prepared,
    features: Features.Features,
    keyspace?: string,
    asked: Asked = { epoch: 0, millis: 0, node: undefined, owner: undefined },
    codec?: CodecOptions
  ) {
    this.text = text
    this.givenKeyspace = keyspace
    this.epoch = asked.epoch
    this.preparedEpoch = asked.epoch
    this.preparedAt = asked.millis
    this.preparedBy = asked.node
    this.owner = asked.owner
    const variables = response.variables.columns
    const kind = StatementKind.of(text)
    const marked = features.lwtMask !== undefined && (response.variables.flags & features.lwtMask) !== 0
    this.become({
      id: response.id,
      variables,
      partitionKey: response.variables.partitionKey,
      encoder: new BindEncoder(variables, codec),
      decoder: response.decoder,
      known: response.resultMetadataId === undefined
        ? undefined
        : { id: response.resultMetadataId, decoder: response.decoder },
      kind: {
        ...kind,
        isConditional: kind.isConditional || marked,
        isCounter: kind.isCounter === true || (kind.type === "write" && variables.some(isCounter))
      }
    })
  }

  private become(
    parts: Pick<Prepared, "id" | "variables" | "partitionKey" | "encoder" | "decoder" | "known" | "kind">
  ): void {
    const { keyspace = "", table = "" } = parts.variables[0] ?? {}
    Object.assign(this, parts, { keyspace, table, routedBy: undefined })
    this.templates.clear()
    this.certain = undefined
  }

  /**
   * Whether it is the same statement as it was: as many variables, of the same names, of the same table. Types may be others.
   *
   * @internal
   */
  isSame(other: Prepared): boolean {
    return this.variables.length === other.variables.length && this.keyspace === other.keyspace &&
      this.table === other.table &&
      this.variables.every(({ name }, i) => spelled(name) === spelled(other.variables[i]!.name))
  }

  /** Whether values are encoded for both alike. @internal */
  hasTypesOf(other: Prepared): boolean {
    return this.variables.every(({ name, type }, i) =>
      name === other.variables[i]!.name && CqlType.isSame(type, other.variables[i]!.type)
    ) && isSame(this.id, other.id) && this.partitionKey.join() === other.partitionKey.join()
  }

  /** It was prepared again, and is what it was: perhaps with another result. @internal */
  relearned(again: Prepared): void {
    this.preparedAt = again.preparedAt
    this.preparedEpoch = again.preparedEpoch
    const { known } = again
    if (known !== undefined && (known.decoder !== undefined || this.known?.decoder === undefined)) this.replace(known)
  }

  /** It was prepared again, and its types are others now. @internal */
  renew(again: Prepared): void {
    this.preparedAt = again.preparedAt
    this.preparedEpoch = again.preparedEpoch
    this.become(again)
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
    this.templates.clear()
  }

  private certain: boolean | undefined = undefined
  /** When it was used last, as the cache of statements counts, and what it was taken to weigh there. @internal */
  usedAt = -1
  /** @internal */
  keptWeight = 0
  /** Whether it is certain, by its text, that doing it twice is the same as doing it once: see `Idempotence`. */
  get isCertain(): boolean {
    return this.certain ??= !this.variables.some(isList) && Idempotence.isCertain(this.text)
  }

  /** About what it takes, in bytes. @internal */
  get weight(): number {
    return WEIGHT + this.text.length * 2 + COLUMN * (this.variables.length + this.columns.length)
  }

  /** Columns of the result as they were when the statement was prepared. */
  get columns(): ReadonlyArray<Column> {
    return this.decoder?.columns ?? []
  }
}

/** Bytes of a statement besides its text: maps, templates, compiled code. And of each of its columns. */
const WEIGHT = 2_048
const COLUMN = 512

/** It may be written to a column as a list, which is not the same twice: see `Idempotence`. The servers call that of an IN so. */
const isList = ({ name, type }: Column): boolean => type._tag === "List" && !/^in\(/i.test(name)
const isCounter = ({ type }: Column): boolean => type._tag === "Scalar" && type.name === "counter"
