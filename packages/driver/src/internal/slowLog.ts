import type { Connection } from "@effect-scylla/pool/Connection"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { shortened } from "../CqlError.ts"
import type { Resolved } from "../ExecuteOptions.ts"
import type { Node } from "../Snapshot.ts"
import type { History } from "./history.ts"
import { withoutLiterals } from "./lexis.ts"
import type { Subject } from "./subject.ts"

/** What is told of a request. */
interface Told {
  readonly subject: Subject
  readonly options: Resolved
  readonly node: Node | undefined
  readonly connection: Connection | undefined
  readonly history: History | undefined
}

/** A line about this request, without values. */
export const slowLine = (request: Told, micros: number, end: string): string => {
  const { connection, history, node, options, subject } = request
  const attempts = history?.attempts ?? []
  const where = node === undefined ? "nobody" : `${node.address}:${node.port} shard ${connection?.shard ?? 0}`
  const before = attempts.map(({ decision, durationMillis, node, reason }) =>
    `${node} ${reason._tag} after ${durationMillis} ms, ${decision}`
  )
  const label = options.label === undefined ? "" : ` [${options.label}]`
  const tries = before.length === 0 ? "" : ` (before that: ${before.join("; ")})`
  return `slow request${label}: ${(micros / 1_000).toFixed(1)} ms, ${end} by ${where}${tries}: ${
    shortened(withoutLiterals(subject.text))
  }`
}

/** The log of requests that took long: so many lines a second, and how many there were besides. */
export class SlowLog {
  /** Microseconds. */
  readonly threshold: number
  private readonly perSecond: number
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  private second = -1
  private lines = 0
  private left = 0

  constructor(
    options: { readonly millis: number; readonly perSecond: number },
    context: Context.Context<never>,
    clock: Clock.Clock
  ) {
    this.threshold = options.millis * 1_000
    this.perSecond = options.perSecond
    this.context = context
    this.clock = clock
  }

  /** Writes the line that `make` makes, unless there are too many. */
  write(make: () => string): void {
    const second = Math.floor(this.clock.currentTimeMillisUnsafe() / 1_000)
    if (second !== this.second) {
      this.second = second
      this.lines = 0
    }
    if (this.lines >= this.perSecond) {
      this.left++
      return
    }
    this.lines++
    const more = this.left === 0 ? "" : ` (and ${this.left} more that were not logged)`
    this.left = 0
    Effect.runForkWith(this.context)(Effect.logWarning(`${make()}${more}`))
  }
}
