/** What nodes note of requests that are traced. */
import type * as Uuid from "@effect-scylla/protocol/Uuid"
import type { SimNode } from "../cluster/simNode.ts"

/** A request that was traced. */
export interface Trace {
  readonly id: Uuid.Uuid
  /** What the request was, as the servers call it. */
  readonly request: string
  readonly parameters: ReadonlyMap<string, string>
  readonly client: string
  readonly coordinator: SimNode
  readonly shard: number
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** What happened, in order. */
  readonly activities: ReadonlyArray<string>
}

/** Servers keep traces for a day; here so many are enough. */
const KEPT = 1000

export class Traces {
  readonly all: Array<Trace> = []

  /** Keeps it, and gives the id that it is found under. */
  add(trace: Trace): Uuid.Uuid {
    this.all.push(trace)
    if (this.all.length > KEPT) this.all.shift()
    return trace.id
  }
}
