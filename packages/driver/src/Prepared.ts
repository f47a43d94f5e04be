/**
 * A prepared statement: everything about it that can be worked out once.
 *
 * @since 0.1.0
 */
import { BindEncoder } from "@effect-scylla/protocol/BindEncoder"
import type * as Features from "@effect-scylla/protocol/Features"
import type { Column } from "@effect-scylla/protocol/Metadata"
import type * as Request from "@effect-scylla/protocol/Request"
import type * as Response from "@effect-scylla/protocol/Response"
import type { RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import type { Resolved } from "./ExecuteOptions.ts"
import type { Keyspace, Snapshot } from "./Snapshot.ts"
import * as StatementKind from "./StatementKind.ts"

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
  /** @internal */
  readonly encoder: BindEncoder
  /** Reads the rows; replaced by the shape that was seen last. Results are always checked against it. @internal */
  decoder: RowDecoder | undefined
  /** The frames' constant parts, and the options they were made for. @internal */
  template: Request.ExecuteTemplate | undefined = undefined
  /** @internal */
  templateOf: Resolved | undefined = undefined
  /** The snapshot that `replicas` was looked up in. @internal */
  routedBy: Snapshot | undefined = undefined
  /** @internal */
  replicas: Keyspace["replicas"] = undefined

  constructor(text: string, response: Response.Prepared, features: Features.Features) {
    this.text = text
    this.id = response.id
    this.variables = response.variables.columns
    this.partitionKey = response.variables.partitionKey
    this.keyspace = this.variables[0]?.keyspace ?? ""
    this.encoder = new BindEncoder(this.variables)
    this.decoder = response.decoder
    const kind = StatementKind.of(text)
    const marked = features.lwtMask !== undefined && (response.variables.flags & features.lwtMask) !== 0
    this.kind = marked && !kind.isConditional ? { ...kind, isConditional: true } : kind
  }

  /** Columns of the result as they were when the statement was prepared. */
  get columns(): ReadonlyArray<Column> {
    return this.decoder?.columns ?? []
  }
}
