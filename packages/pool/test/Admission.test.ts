import * as Admission from "@effect-scylla/pool/Admission"
import type { Connection } from "@effect-scylla/pool/Connection"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import { ConnectionBusy, type PoolReason } from "@effect-scylla/pool/PoolError"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import type { SlotTable } from "../src/internal/slotTable.ts"
import { Loop } from "./support/loop.ts"
import { type FakeNode, SHARD_AWARE_PORT } from "./support/node.ts"
import { query, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

/** Notes what it is told. */
class Waiting implements Admission.Waiter {
  readonly name: string
  readonly log: Array<string>
  onTold: (() => void) | undefined
  constructor(name: string, log: Array<string>) {
    this.name = name
    this.log = log
  }
  onAdmitted(_connection: Connection): void {
    this.log.push(this.name)
    this.onTold?.()
  }
  onRefused(reason: PoolReason): void {
    this.log.push(`${this.name}: ${reason._tag}`)
    this.onTold?.()
  }
}

const list = Effect.fnUntraced(function*(max = 100) {
  const ticker = yield* Ticker.make
  const room = { count: 0 }
  const log: Array<string> = []
  const admission = new Admission.Admission(
    ticker,
    max,
    () => room.count > 0 && room.count-- > 0 ? {} as Connection : undefined
  )
  const join = (name: string, millis = 1_000): Waiting & { place: Admission.Place | undefined } => {
    const waiter = new Waiting(name, log)
    return Object.assign(waiter, { place: admission.join(waiter, ticker.deadline(millis)) })
  }
  return { admission, room, log, join, ticker }
})

describe("Admission", () => {
  it.effect("a waiter that throws keeps nobody from being told, and its error comes up", () => {
    const loop = new Loop()
    return Effect.provideService(
      Effect.gen(function*() {
        const { admission, join, log, room } = yield* list()
        for (const name of ["a", "b", "c", "d"]) {
          join(name).onTold = () => {
            if (name === "a" || name === "c") throw new Error(name)
          }
        }
        room.count = 2
        admission.admit()
        assert.deepStrictEqual(log, ["a", "b"])
        admission.refuse(new ConnectionBusy({ message: "the node is down" }))
        assert.deepStrictEqual(log, ["a", "b", "c: ConnectionBusy", "d: ConnectionBusy"])
        assert.strictEqual(admission.size, 0)
        loop.run()
        assert.deepStrictEqual(loop.thrown.map(String), ["Error: a", "Error: c"])
      }),
      Scheduler.Scheduler,
      loop.scheduler
    )
  })

  it.effect("those who came first are let in first, as many as there is room for", () =>
    Effect.gen(function*() {
      const { admission, join, log, room } = yield* list()
      for (const name of ["a", "b", "c", "d"]) join(name)
      admission.admit()
      assert.deepStrictEqual(log, [])
      room.count = 3
      admission.admit()
      assert.deepStrictEqual(log, ["a", "b", "c"])
      assert.strictEqual(admission.size, 1)
      room.count = 3
      admission.admit()
      assert.deepStrictEqual(log, ["a", "b", "c", "d"])
      assert.strictEqual(room.count, 2)
    }))

  it.effect("is bounded; a place that was left is free", () =>
    Effect.gen(function*() {
      const { admission, join, log, room } = yield* list(3)
      const [, b] = ["a", "b", "c"].map((name) => join(name))
      assert.isUndefined(join("d").place)
      admission.leave(b!.place!)
      admission.leave(b!.place!)
      assert.isFalse(b!.place!.isWaiting)
      assert.strictEqual(admission.size, 2)
      assert.isTrue(join("e").place!.isWaiting)
      room.count = 9
      admission.admit()
      assert.deepStrictEqual(log, ["a", "c", "e"])
    }))

  it.effect("whoever is overdue leaves; the ticker rests when nobody waits", () =>
    Effect.gen(function*() {
      const { admission, join, log, ticker } = yield* list()
      join("long", 5_000)
      join("short", 300)
      join("shorter", 100)
      yield* TestClock.adjust(600)
      assert.deepStrictEqual(log, ["shorter: RequestTimeout", "short: RequestTimeout"])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(log.at(-1), "long: RequestTimeout")
      assert.strictEqual(admission.size, 0)
      const { now } = ticker
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(ticker.now, now)
    }))

  it.effect("whoever is told may join again, leave, and make others leave", () =>
    Effect.gen(function*() {
      const { admission, join, log, room } = yield* list()
      const a = join("a", 100)
      const b = join("b", 100)
      const c = join("c", 60_000)
      a.onTold = () => {
        admission.leave(b.place!)
        join("again", 60_000)
      }
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log, ["a: RequestTimeout"])
      c.onTold = () => void admission.admit()
      room.count = 5
      admission.admit()
      assert.deepStrictEqual(log, ["a: RequestTimeout", "c", "again"])
      // Who joins while all are sent away is not sent away with them.
      join("x").onTold = () => void join("y")
      admission.refuse({ _tag: "ConnectionClosed" } as PoolReason)
      assert.strictEqual(admission.size, 1)
    }))
})

describe("NodePool: picking", () => {
  const limits = { maxInFlight: 20 }

  it.effect("the shard's connection; when it is half full the less busy of two, but for who is pinned", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded, { shutdownTimeout: 0 }, { limits })
      const pool = yield* start
      yield* pool.awaitFull
      node.intercept = (_socket, { request }) => request._tag === "Query"
      for (let i = 0; i < 10; i++) yield* Effect.forkChild(query(pool, 3), { startImmediately: true })
      const own = pool.pick(3)!
      assert.strictEqual(own.shard, 3)
      assert.strictEqual(own.load, 10)
      assert.isFalse(own.isBusy)
      yield* Effect.forkChild(query(pool, 3), { startImmediately: true })
      assert.isTrue(own.isBusy)
      const others = new Set(Array.from({ length: 16 }, () => pool.pick(3)!.shard))
      assert.isAtLeast(others.size, 7, "others in turn")
      for (let i = 0; i < 16; i++) assert.strictEqual(pool.pick(3, true), own)
      // Not for a little: the others have to have a fifth fewer.
      for (let shard = 0; shard < 8; shard++) {
        const connection = pool.pick(shard, true)!
        while (connection.load < 10) {
          yield* Effect.forkChild(
            connection.request({ _tag: "Query", query: "", options: { consistency: "ONE" } }, {
              timeoutMillis: 600_000,
              decoders: new RowDecoders()
            }),
            { startImmediately: true }
          )
        }
      }
      for (let i = 0; i < 16; i++) assert.strictEqual(pool.pick(3), own)
      // Full: any other, pinned or not.
      while (own.isAvailable) {
        yield* Effect.forkChild(
          own.request({ _tag: "Query", query: "", options: { consistency: "ONE" } }, {
            timeoutMillis: 600_000,
            decoders: new RowDecoders()
          }),
          { startImmediately: true }
        )
      }
      assert.notStrictEqual(pool.pick(3, true), own)
      assert.notStrictEqual(pool.pick(3), own)
    }))

  it.effect("several connections for each shard: the least busy of them", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ ...sharded, shards: 3 }, {
        connections: { perShard: 2 },
        shutdownTimeout: 0
      })
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(network.open.length, 6)
      assert.deepStrictEqual(node.counts, [2, 2, 2])
      assert.deepStrictEqual(pool.stats.slots.map(({ shard }) => shard), [0, 0, 1, 1, 2, 2])
      node.intercept = (_socket, { request }) => request._tag === "Query"
      const first = pool.pick(1)!
      yield* Effect.forkChild(query(pool, 1), { startImmediately: true })
      const second = pool.pick(1)!
      assert.notStrictEqual(second, first)
      assert.strictEqual(first.shard, 1)
      assert.strictEqual(second.shard, 1)
      // One is lost and comes back.
      node.open.find(({ shard }) => shard === 2)!.end()
      yield* until(() => !pool.isFull)
      assert.strictEqual(pool.pick(2)!.shard, 2)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(node.counts, [2, 2, 2])
    }))

  it.effect("a few connections for a whole node, whatever their shard", () =>
    Effect.gen(function*() {
      const { aware, network, node, start } = yield* setup(sharded, { connections: { perNode: 2 } })
      const pool = yield* start
      yield* pool.awaitFull
      assert.strictEqual(network.open.length, 2)
      assert.strictEqual(aware(), 0)
      assert.strictEqual(pool.nrShards, 8)
      assert.strictEqual(pool.pick(0)!.shard, 0)
      assert.strictEqual(pool.pick(1)!.shard, 1)
      assert.isDefined(pool.pick(7))
      node.shards = 4
      for (const socket of node.open) socket.end()
      yield* until(() => !pool.isUp)
      yield* TestClock.adjust("1 second")
      assert.isTrue(pool.isFull)
      assert.strictEqual(pool.nrShards, 4)
      assert.strictEqual(pool.stats.excess, 0)
    }))

  it.effect("several connections to a node without shards", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup({}, { connections: { perShard: 3 } })
      const pool = yield* start
      yield* pool.awaitFull
      yield* turns()
      assert.strictEqual(network.open.length, 3)
      assert.strictEqual(new Set(Array.from({ length: 9 }, () => pool.pickAny())).size, 3)
    }))
})

describe("NodePool: picking allocates nothing", () => {
  const PICKS = 200_000
  /** What a smallest object for each would come to is ten times that. */
  const BOUND = PICKS * 1.6

  for (
    const [name, connections, change] of [
      ["the shard's connection", { perShard: 1 }, () => {}],
      ["the less busy of two to the shard", { perShard: 2 }, () => {}],
      ["one of two for the node", { perNode: 2 }, () => {}],
      ["another one while the shard's is missing", { perShard: 1 }, (node: FakeNode) => node.open[3]!.end()]
    ] as ReadonlyArray<readonly [string, NodePool.Options["connections"], (node: FakeNode) => void]>
  ) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { node, start } = yield* setup({ shards: 8, shardAwarePort: SHARD_AWARE_PORT }, { connections })
        const pool = yield* start
        yield* pool.awaitFull
        change(node)
        yield* turns()
        let sum = -1
        const pick = (): void => {
          for (let i = 0; i < PICKS; i++) sum = pool.pick(i & 7)!.id & 1
        }
        // Compiled by then.
        for (let i = 0; i < 5; i++) pick()
        const grown = Array.from({ length: 5 }, () => {
          const before = process.memoryUsage().heapUsed
          pick()
          return process.memoryUsage().heapUsed - before
        })
        assert.isAbove(sum, -1)
        // A collection of garbage makes it less than nothing; compiling once more, more.
        assert.isBelow(grown.toSorted((a, b) => a - b)[2]!, BOUND, grown.join())
      }))
  }
})

describe("NodePool: waiting for room", () => {
  const full = Effect.fnUntraced(function*(options: { readonly maxWaiting?: number } = {}) {
    const world = yield* setup({ shards: 2 }, {
      reconnect: { base: 2_000, cap: 2_000 },
      shutdownTimeout: 0,
      ...options
    }, {
      limits: { maxInFlight: 2 }
    })
    const pool = yield* world.start
    yield* pool.awaitFull
    const held: Array<() => void> = []
    world.node.intercept = (socket, { request, stream }) => {
      if (request._tag !== "Query") return false
      held.push(() => socket.respond(stream, { _tag: "Void" }))
      return true
    }
    const orphan = yield* Effect.forkChild(query(pool, 0), { startImmediately: true })
    for (let i = 1; i < 4; i++) yield* Effect.forkChild(query(pool, i % 2), { startImmediately: true })
    yield* until(() => held.length === 4)
    assert.isUndefined(pool.pick(0))
    const log: Array<string> = []
    const wait = (name: string, millis = 60_000): Waiting & { place: Admission.Place | PoolReason } => {
      const waiter = new Waiting(name, log)
      return Object.assign(waiter, { place: pool.wait(waiter, world.ticker.deadline(millis)) })
    }
    return { ...world, pool, held, log, wait, orphan }
  })

  it.effect("an answer makes room for who came first; nobody overtakes", () =>
    Effect.gen(function*() {
      const { held, log, pool, wait } = yield* full()
      const [a] = ["a", "b", "c"].map((name) => wait(name))
      assert.strictEqual(pool.stats.waiting, 3)
      let overtaking: unknown = "not asked"
      let admitted: Connection | undefined
      a!.onAdmitted = (connection) => {
        log.push("a")
        admitted = connection
        overtaking = pool.pick(0) ?? pool.pickAny()
        // What it came for: the room is taken again.
        Effect.runFork(query2(connection))
      }
      held.shift()!()
      yield* until(() => log.length > 0)
      assert.deepStrictEqual(log, ["a"])
      assert.isUndefined(overtaking)
      assert.isTrue(admitted!.isOpen)
      assert.isFalse(admitted!.isAvailable)
      held.shift()!()
      yield* until(() => log.length > 2)
      assert.deepStrictEqual(log, ["a", "b", "c"])
      assert.isDefined(pool.pick(0))
    }))

  const query2 = (connection: Connection) =>
    connection.request({ _tag: "Query", query: "", options: { consistency: "ONE" } }, {
      timeoutMillis: 600_000,
      decoders: new RowDecoders()
    })

  it.effect("a late answer to an orphan makes room", () =>
    Effect.gen(function*() {
      const { held, log, orphan, wait } = yield* full()
      yield* Fiber.interrupt(orphan)
      wait("a")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log, [])
      held.shift()!()
      yield* until(() => log.length > 0)
      assert.deepStrictEqual(log, ["a"])
    }))

  it.effect("connections tell of room only while somebody waits", () =>
    Effect.gen(function*() {
      const { pool, wait } = yield* full()
      const { table } = pool as unknown as { readonly table: SlotTable }
      const isAwaited = () => table.all.map((connection) => connection.isAwaited)
      assert.deepStrictEqual(isAwaited(), [false, false])
      const waiters = [wait("a"), wait("b")]
      assert.deepStrictEqual(isAwaited(), [true, true])
      for (const { place } of waiters) if (!("_tag" in place)) pool.leave(place)
      assert.deepStrictEqual(isAwaited(), [false, false])
      assert.strictEqual(pool.stats.waiting, 0)
    }))

  it.effect("who waits although there is room is let in at once", () =>
    Effect.gen(function*() {
      const { start, ticker } = yield* setup({ shards: 2 })
      const pool = yield* start
      yield* pool.awaitFull
      const log: Array<string> = []
      pool.wait(new Waiting("a", log), ticker.deadline(1_000))
      assert.deepStrictEqual(log, [], "not on the caller's stack")
      yield* until(() => log.length > 0)
      assert.isDefined(pool.pick(0))
    }))

  it.effect("overdue, it leaves unsent; interrupted, it just leaves", () =>
    Effect.gen(function*() {
      const { log, node, pool, wait } = yield* full()
      wait("short", 200)
      const left = wait("left")
      pool.leave(left.place as Admission.Place)
      // Heartbeats aside: those that have the room are not answered.
      const asked = () =>
        node.open.flatMap(({ received }) => received).filter(({ request }) => request._tag !== "Options").length
      const before = asked()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log, ["short: RequestTimeout"])
      assert.strictEqual(pool.stats.waiting, 0)
      assert.strictEqual(asked(), before)
    }))

  it.effect("200 000 at once: each refusal is the same object, those who were let in are served first, in order", () =>
    Effect.gen(function*() {
      const { held, log, network, pool, ticker } = yield* full({ maxWaiting: 100 })
      const deadline = ticker.deadline(60_000)
      const refusals = new Set<unknown>()
      const waiters = Array.from({ length: 200_000 }, (_, i) => new Waiting(String(i), log))
      for (const waiter of waiters) {
        const place = pool.wait(waiter, deadline)
        if ("_tag" in place) refusals.add(place)
        // Nobody overtakes those who wait.
        assert.isUndefined(pool.pickAny())
      }
      assert.strictEqual(refusals.size, 1)
      const [reason] = [...refusals] as [PoolReason]
      assert.strictEqual(reason._tag, "ClientOverloaded")
      assert.include(reason.message, "100 requests wait")
      assert.strictEqual(pool.stats.waiting, 100)
      for (const answer of held.splice(0)) answer()
      yield* until(() => log.length >= 4)
      assert.deepStrictEqual(log.slice(0, 4).map((line) => line.split(":")[0]), ["0", "1", "2", "3"])
      assert.strictEqual(network.sockets.length, 2)
      // What is said of the node's old address is not said of the new one.
      pool.moveTo("10.0.0.9")
      for (let i = 0; i < 100; i++) pool.wait(waiters[i]!, deadline)
      const moved = pool.wait(waiters[0]!, deadline)
      assert.include("message" in moved ? moved.message : "", "10.0.0.9")
    }))

  it.effect("past the bound: ClientOverloaded, at once", () =>
    Effect.gen(function*() {
      const { pool, wait } = yield* full({ maxWaiting: 2 })
      wait("a")
      wait("b")
      const { place } = wait("c")
      assert.strictEqual("_tag" in place ? place._tag : "waits", "ClientOverloaded")
      assert.strictEqual(pool.stats.waiting, 2)
    }))

  it.effect("the node goes down: everybody is sent away, and nobody is let wait", () =>
    Effect.gen(function*() {
      const { close, log, network, node, pool, wait } = yield* full()
      network.judge = () => "refuse"
      wait("a")
      node.open[0]!.end()
      yield* turns()
      assert.deepStrictEqual(log, [])
      node.open[0]!.end()
      yield* until(() => log.length > 0)
      assert.deepStrictEqual(log, ["a: ConnectionLost"])
      const { place } = wait("b")
      assert.strictEqual("_tag" in place ? place._tag : "waits", "ConnectionLost")
      // It comes back while somebody waits again.
      network.judge = () => "accept"
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(pool.isFull)
      yield* close
      const after = wait("c")
      assert.isTrue("_tag" in after.place)
    }))

  it.effect("a connection that comes back lets them in", () =>
    Effect.gen(function*() {
      const { log, node, pool, wait } = yield* full()
      node.open[1]!.end()
      yield* until(() => !pool.isFull)
      wait("a")
      wait("b")
      yield* turns()
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(log, ["a", "b"])
    }))

  it.effect("the end of the scope sends everybody away", () =>
    Effect.gen(function*() {
      const { close, log, wait } = yield* full()
      wait("a")
      yield* Effect.forkChild(close, { startImmediately: true })
      yield* turns()
      assert.deepStrictEqual(log, ["a: ConnectionClosed"])
      yield* TestClock.adjust("10 seconds")
    }))
})
