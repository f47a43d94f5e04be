/** Nodes that take their time, or are stopped; and those who ask them. */
import type { Connection, ResponseHandler } from "@effect-scylla/pool/Connection"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import type * as Ticker from "@effect-scylla/pool/Ticker"
import * as Request from "@effect-scylla/protocol/Request"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { FakeSocket, Received } from "./network.ts"
import type { FakeNode } from "./node.ts"
import { turns } from "./turns.ts"

/** Answers after `latency`, in order, and not while it is stopped. */
export class PacedNode {
  /** Milliseconds. */
  latency = 0
  /** The process is stopped: what arrives is kept, and answered when it goes on. */
  isStopped = false
  /** What is asked of these waits although the rest is answered. */
  isHeld: (socket: FakeSocket, received: Received) => boolean = () => false
  now = 0
  private queue: Array<{ readonly at: number; readonly socket: FakeSocket; readonly received: Received }> = []
  readonly node: FakeNode

  constructor(node: FakeNode) {
    this.node = node
    node.intercept = (socket, received) => {
      if (this.latency === 0 && !this.isStopped && !this.isHeld(socket, received)) return false
      this.queue.push({ at: this.now + this.latency, socket, received })
      return true
    }
  }

  work(): void {
    if (this.isStopped) return
    const due = this.queue.filter(({ at, received, socket }) => at <= this.now && !this.isHeld(socket, received))
    this.queue = this.queue.filter((one) => !due.includes(one))
    for (const { received, socket } of due) if (!socket.isDestroyed) this.node.answer(socket, received)
  }
}

/** Lets time pass for nodes and clients alike, `each` is called after every step. */
export const pass = (
  millis: number,
  nodes: ReadonlyArray<PacedNode>,
  { each = () => {}, step = 10 }: { readonly each?: () => void; readonly step?: number } = {}
): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let passed = 0; passed < millis; passed += step) {
      yield* TestClock.adjust(step)
      for (const node of nodes) {
        node.now += step
        node.work()
      }
      yield* turns(4)
      each()
    }
  })

/** A query each time it is told to ask and does not: to one shard, or to whatever connection there is. Goes elsewhere when nothing is heard. */
export class Asker implements ResponseHandler {
  answers = 0
  /** Where nothing is sent because there is no connection. */
  stuck = 0
  readonly failures: Array<PoolReason["_tag"]> = []
  private readonly pool: NodePool.NodePool
  private readonly ticker: Ticker.Ticker
  private readonly shard: number | undefined
  private readonly millis: number
  private connection: Connection | undefined
  private isAsking = false

  constructor(pool: NodePool.NodePool, ticker: Ticker.Ticker, shard?: number, millis = 12_000) {
    this.pool = pool
    this.ticker = ticker
    this.shard = shard
    this.millis = millis
  }

  /** Asks unless it does. */
  ask(connection = this.shard === undefined ? this.pool.pickAny() : this.pool.pick(this.shard)): void {
    if (this.isAsking) return
    const out = connection?.begin()
    if (out === undefined) {
      this.stuck++
      return
    }
    const start = out.pos
    const { dialect } = connection!
    Request.encode(out, 0, { _tag: "Query", query: "SELECT", options: { consistency: "ONE" } }, { dialect })
    this.isAsking = true
    this.connection = connection
    connection!.commit(start, this, this.ticker.deadline(this.millis))
  }

  onResponse(): void {
    this.answers++
    this.isAsking = false
  }

  onFailure(reason: PoolReason): void {
    this.failures.push(reason._tag)
    this.isAsking = false
    if (reason._tag === "NodeSilent") this.ask()
  }

  onOverdue(now: number): number {
    return this.connection!.isSilent || !this.connection!.isOpen ? 0 : now
  }
}
