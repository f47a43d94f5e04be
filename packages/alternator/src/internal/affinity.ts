/** Whether a request has a node of its own, and which. For inputs of ours and of the AWS SDK. */
import * as Affinity from "../Affinity.ts"
import type { TrackedNode } from "../NodeHealth.ts"
import { orderByVotes, type QueryPlan } from "../QueryPlan.ts"
import * as RequestKind from "../RequestKind.ts"
import type { PartitionKeys } from "./partitionKeys.ts"

type Input = Readonly<Record<string, any>>

/** Type and value of a key's attribute; none when it cannot be a key. */
export type KeyReader = (
  value: any
) => { readonly type: "S" | "N" | "B"; readonly value: string | Uint8Array } | undefined

const scratch = new Affinity.KeyHash()

export class AffinityRouter {
  private readonly mode: Affinity.AffinityMode
  private readonly order: Affinity.AffinityOrder
  private readonly keys: PartitionKeys
  private readonly read: KeyReader
  private readonly nodes: () => ReadonlyArray<TrackedNode>

  constructor(options: {
    readonly mode: Affinity.AffinityMode
    readonly order: Affinity.AffinityOrder
    readonly keys: PartitionKeys
    readonly read: KeyReader
    /** Sorted for `order`. */
    readonly nodes: () => ReadonlyArray<TrackedNode>
  }) {
    this.mode = options.mode
    this.order = options.order
    this.keys = options.keys
    this.read = options.read
    this.nodes = options.nodes
  }

  /** Gives a plan its preference, if the request has one. */
  apply(operation: string, input: Input, plan: QueryPlan): void {
    if (this.mode === "none") return
    if (RequestKind.isItemWrite(operation)) {
      if (this.mode === "rmw" && !RequestKind.isReadModifyWrite(operation, input)) return
      if (this.hash(input["TableName"], input["Key"] ?? input["Item"], scratch)) plan.prefer(scratch)
    } else if (operation === "BatchWriteItem" && this.mode === "any-write") {
      const hashes = this.votes(input["RequestItems"] ?? {})
      if (hashes.length > 0) plan.preferOrder(orderByVotes(this.order, this.nodes(), hashes))
    }
  }

  private hash(table: string, item: Input | undefined, out: Affinity.KeyHash): boolean {
    const name = typeof table === "string" && item !== undefined ? this.keys.get(table) : undefined
    const key = name === undefined ? undefined : this.read(item![name])
    if (key === undefined) return false
    Affinity.hashInto(key.type, key.value, out)
    return true
  }

  private votes(tables: Input): Array<Affinity.KeyHash> {
    const hashes: Array<Affinity.KeyHash> = []
    for (const table of Object.keys(tables)) {
      for (const { DeleteRequest, PutRequest } of tables[table] ?? []) {
        const out = new Affinity.KeyHash()
        if (this.hash(table, PutRequest?.Item ?? DeleteRequest?.Key, out)) hashes.push(out)
      }
    }
    return hashes
  }
}
