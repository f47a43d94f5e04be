/** A closed loop of callers against a node that serves so many requests in a step, and what the limits make of it. */
import type { Place, Waiter } from "@effect-scylla/pool/Admission"
import type { Connection, ResponseHandler } from "@effect-scylla/pool/Connection"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import * as Frame from "@effect-scylla/protocol/Frame"
import * as Request from "@effect-scylla/protocol/Request"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type * as Network from "./support/network.ts"
import { error, type FakeNode, SHARD_AWARE_PORT } from "./support/node.ts"
import { setup } from "./support/pool.ts"
import { until } from "./support/turns.ts"

/** Milliseconds of a step, and steps that a request takes at least. */
const STEP = 5
const BASE = 4
const SECOND = 1000 / STEP
const RATE_LIMIT_CODE = 0x4321

/** What each shard of the node does. */
class Server {
  now = 0
  /** Requests served in a step, by shard. */
  capacity: Array<number> = []
  /** Past so many it refuses. */
  bears = Infinity
  refusal: "Overloaded" | "RateLimitReached" = "Overloaded"
  served = 0
  refused = 0
  /** Steps from arrival to answer, of all that were served. */
  took = 0
  private readonly queues: Array<Array<{ readonly since: number; readonly answer: () => void }>> = []

  constructor(node: FakeNode) {
    node.intercept = (socket, { request, stream }) => {
      if (request._tag !== "Query") return false
      this.take(socket, stream)
      return true
    }
  }

  private take(socket: Network.FakeSocket, stream: number): void {
    const queue = this.queues[socket.shard] ??= []
    if (queue.length >= this.bears) {
      this.refused++
      return socket.respond(
        stream,
        this.refusal === "Overloaded" ? error("Overloaded", "too busy") : {
          _tag: "Error",
          error: new ServerError.RateLimitReached({
            code: RATE_LIMIT_CODE,
            message: "too fast",
            operation: "read",
            rejectedByCoordinator: true
          })
        }
      )
    }
    queue.push({ since: this.now, answer: () => socket.respond(stream, { _tag: "Void" }) })
  }

  step(): void {
    this.now++
    for (const [shard, queue] of this.queues.entries()) {
      const due = (queue ?? []).findIndex(({ since }) => this.now - since < BASE)
      const ripe = due < 0 ? queue?.length ?? 0 : due
      for (const { answer, since } of (queue ?? []).splice(0, Math.min(ripe, this.capacity[shard]!))) {
        this.served++
        this.took += this.now - since
        answer()
      }
    }
  }

  /** Over the time since it was asked last: requests a second, and steps that one took. */
  figures(seconds: number): { readonly rate: number; readonly steps: number; readonly refused: number } {
    const { refused, served, took } = this
    this.served = this.took = this.refused = 0
    return { rate: served / seconds, steps: took / served, refused: refused / (refused + served) }
  }
}

/** One caller: asks again as soon as it has an answer, with the next step where that was a refusal. */
class Caller implements Waiter, ResponseHandler {
  private readonly pool: NodePool.NodePool
  private readonly shard: number
  private readonly refused: Array<Caller>
  constructor(pool: NodePool.NodePool, shard: number, refused: Array<Caller>) {
    this.pool = pool
    this.shard = shard
    this.refused = refused
  }
  ask(): void {
    const connection = this.pool.pick(this.shard, true)
    if (connection !== undefined) return this.onAdmitted(connection)
    const place: Place | PoolReason = this.pool.wait(this, 0x7fffffff)
    assert.isTrue("isWaiting" in place)
  }
  onAdmitted(connection: Connection): void {
    const out = connection.begin()!
    const start = out.pos
    Request.encode(out, 0, { _tag: "Query", query: "", options: { consistency: "ONE" } })
    connection.commit(start, this, 0x7fffffff)
  }
  onResponse(_flags: number, opcode: number): void {
    if (opcode === Frame.Opcode.ERROR) this.refused.push(this)
    else this.ask()
  }
  onFailure(): void {}
  onRefused(): void {}
}

const world = Effect.fnUntraced(function*(shards: number, callers: number, options: Partial<NodePool.Options>) {
  const { node, start } = yield* setup(
    {
      shards,
      shardAwarePort: SHARD_AWARE_PORT,
      supported: { SCYLLA_RATE_LIMIT_ERROR: [`ERROR_CODE=${RATE_LIMIT_CODE}`] }
    },
    options,
    { wishes: {} }
  )
  const pool = yield* start
  yield* pool.awaitFull
  const server = new Server(node)
  server.capacity = Array.from({ length: shards }, () => 4)
  const refused: Array<Caller> = []
  for (let i = 0; i < callers; i++) new Caller(pool, i % shards, refused).ask()
  const run = (seconds: number) =>
    Effect.gen(function*() {
      for (let i = 0; i < seconds * SECOND; i++) {
        server.step()
        for (const caller of refused.splice(0)) caller.ask()
        yield* TestClock.adjust(STEP)
      }
      return server.figures(seconds)
    })
  // Nothing is to be waited for at the end: no time passes there.
  yield* Effect.addFinalizer(() => {
    for (const socket of node.open) socket.end()
    return until(() => !pool.isUp)
  })
  const limits = () => pool.stats.slots.map(({ limit }) => limit)
  return { limits, node, pool, run, server }
})

const CAPACITY = 4 * SECOND

describe("adaptive limits", () => {
  it.effect("off: as many as a connection may have", () =>
    Effect.gen(function*() {
      const { limits, pool, run } = yield* world(1, 300, {})
      yield* run(1)
      const { rate, steps } = yield* run(2)
      assert.deepStrictEqual(limits(), [1024])
      assert.isUndefined(pool.pick(0)?.onCongestion)
      assert.isAtLeast(rate, CAPACITY * 0.95)
      assert.isAbove(steps, 10 * BASE)
    }))

  it.effect("the server is busy all the time, and answers are nearly as quick as they can be; for ever", () =>
    Effect.gen(function*() {
      const { limits, run } = yield* world(1, 300, { adaptive: true })
      yield* run(5)
      for (let i = 0; i < 3; i++) {
        const { rate, steps } = yield* run(10)
        assert.isAtLeast(rate, CAPACITY * 0.9)
        assert.isAtMost(steps, 4 * BASE)
        assert.isAtMost(limits()[0]!, 64)
      }
    }))

  it.effect("follows a server that becomes slower and quicker", () =>
    Effect.gen(function*() {
      const { limits, run, server } = yield* world(1, 300, { adaptive: true })
      yield* run(5)
      server.capacity = [1]
      yield* run(12)
      const slower = yield* run(5)
      assert.isAtLeast(slower.rate, SECOND * 0.85)
      assert.isAtMost(slower.steps, 6 * BASE)
      const before = limits()[0]!
      server.capacity = [16]
      yield* run(12)
      const quicker = yield* run(3)
      assert.isAtLeast(quicker.rate, 16 * SECOND * 0.85)
      assert.isAbove(limits()[0]!, 3 * before)
    }))

  for (const refusal of ["Overloaded", "RateLimitReached"] as const) {
    it.effect(`${refusal}: halves, and few are refused any more`, () =>
      Effect.gen(function*() {
        const off = yield* world(1, 300, {})
        Object.assign(off.server, { bears: 40, refusal, capacity: [4] })
        yield* off.run(1)
        assert.isAbove((yield* off.run(1)).refused, 0.5)
        // By refusals alone: slowness that this tolerance does not bear there is none.
        const on = yield* world(1, 300, { adaptive: { tolerance: 100 } })
        Object.assign(on.server, { bears: 40, refusal, capacity: [4] })
        yield* on.run(3)
        const { rate, refused } = yield* on.run(5)
        assert.isAtMost(refused, 0.05)
        assert.isAtLeast(rate, CAPACITY * 0.9)
      }))
  }

  it.effect("each shard has its own", () =>
    Effect.gen(function*() {
      const { limits, run, server } = yield* world(2, 400, { adaptive: true })
      server.capacity = [1, 16]
      yield* run(30)
      const [slow, quick] = limits() as [number, number]
      assert.isAbove(quick, 3 * slow)
    }))

  it.effect("connections of a shard share it, and nobody is below one", () =>
    Effect.gen(function*() {
      const { limits, run, server } = yield* world(1, 300, { adaptive: { min: 1 }, connections: { perShard: 4 } })
      server.bears = 0
      yield* run(3)
      assert.deepStrictEqual(limits(), [1, 1, 1, 1])
      server.bears = Infinity
      yield* run(10)
      const { rate, steps } = yield* run(5)
      assert.isAtLeast(rate, CAPACITY * 0.9)
      assert.isAtMost(steps, 4 * BASE)
    }))

  it.effect("a shard that is asked little keeps what it has", () =>
    Effect.gen(function*() {
      const { limits, run } = yield* world(1, 2, { adaptive: true })
      yield* run(10)
      assert.deepStrictEqual(limits(), [16])
    }))
})
