/** `per_partition_rate_limit` of a table: requests that a partition may get in a second. */
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { Buffer } from "node:buffer"
import { config } from "../failure.ts"
import type { Property } from "../parse/ast.ts"

export type Operation = "read" | "write"

const KEYS = { read: "max_reads_per_second", write: "max_writes_per_second" } as const

/** Checks the option; throws CONFIG. */
export const check = (property: Property): void => {
  const known: ReadonlyArray<string> = Object.values(KEYS)
  if (typeof property === "string") throw config("per_partition_rate_limit must be a map")
  for (const [key, value] of property) {
    if (!known.includes(key)) throw config(`Unknown keys in map for per_partition_rate_limit extension: ${key}`)
    if (!/^\d{1,9}$/.test(value)) throw config(`Invalid value for ${key} option: expected a non-negative number`)
  }
}

/** What is asked of a request, and of the table that it is for. */
interface Counted {
  /** Milliseconds since 1970. */
  readonly now: number
  readonly hasRateLimitError: boolean
}
interface Named {
  readonly name: string
  readonly keyspace: { readonly name: string }
}

/** ScyllaDB estimates; here a second of the clock is counted exactly, by the coordinator. */
export class RateLimiter {
  private readonly limits: Readonly<Record<Operation, number | undefined>>
  private second = -1
  private readonly counts = new Map<string, number>()

  constructor(property: ReadonlyMap<string, string>) {
    const limit = (operation: Operation): number | undefined => {
      const text = property.get(KEYS[operation])
      return text === undefined ? undefined : Number(text)
    }
    this.limits = { read: limit("read"), write: limit("write") }
  }

  /** Counts a request; throws when there were too many. */
  count(operation: Operation, table: Named, key: Uint8Array, call: Counted): void {
    const limit = this.limits[operation]
    if (limit === undefined) return
    const second = Math.floor(call.now / 1000)
    if (second !== this.second) {
      this.second = second
      this.counts.clear()
    }
    const id = `${operation}/${Buffer.from(key).toString("latin1")}`
    const count = (this.counts.get(id) ?? 0) + 1
    this.counts.set(id, count)
    if (count <= limit) return
    const message =
      `Per-partition rate limit reached for ${operation} in table ${table.keyspace.name}.${table.name}, ` +
      "rejected by coordinator"
    throw call.hasRateLimitError
      ? new ServerError.RateLimitReached({ code: RATE_LIMIT_CODE, message, operation, rejectedByCoordinator: true })
      : config(message)
  }
}

/** The code that SUPPORTED announces. */
export const RATE_LIMIT_CODE = 0xf000
