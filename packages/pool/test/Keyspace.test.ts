import type { Connection } from "@effect-scylla/pool/Connection"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Fake from "./support/connection.ts"
import type * as Network from "./support/network.ts"
import { error } from "./support/node.ts"
import { setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

/** A pool whose node keeps USE waiting until it is let go. */
const world = Effect.fnUntraced(function*(keyspace?: string) {
  const base = yield* setup(sharded, { shutdownTimeout: 0 }, keyspace === undefined ? {} : { keyspace })
  const pool = yield* base.start
  yield* pool.awaitFull
  const held: Array<readonly [Network.FakeSocket, Network.Received]> = []
  const hold = (): void => {
    base.node.intercept = (socket, received) =>
      received.request._tag === "Query" && received.request.query.startsWith("USE") &&
      held.push([socket, received]) > 0
  }
  const letGo = (): void => {
    base.node.intercept = () => false
    for (const [socket, received] of held.splice(0)) base.node.answer(socket, received)
  }
  const keyspaces = (): ReadonlyArray<string | undefined> =>
    Array.from({ length: pool.nrShards }, (_, shard) => pool.pick(shard)?.keyspace)
  return { ...base, pool, held, hold, letGo, keyspaces }
})

const sent = (socket: Network.FakeSocket): ReadonlyArray<string> =>
  socket.received.flatMap(({ request }) => request._tag === "Query" ? [request.query] : [])

describe("keyspace of a connection", () => {
  it.effect("one switch at a time; who wants what is set already asks nobody", () =>
    Effect.gen(function*() {
      const { held, hold, letGo, node, pool } = yield* world()
      const connection = pool.pick(3)!
      const socket = node.open.find(({ shard }) => shard === 3)!
      hold()
      const fibers: Array<Fiber.Fiber<void, unknown>> = []
      for (const name of ["a", "a", "b", "a"]) {
        fibers.push(yield* Effect.forkChild(connection.useKeyspace(name, 1_000), { startImmediately: true }))
      }
      yield* until(() => held.length === 1)
      yield* turns()
      assert.deepStrictEqual(sent(socket), ['USE "a"'])
      letGo()
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.deepStrictEqual(sent(socket), ['USE "a"', 'USE "b"', 'USE "a"'])
      assert.strictEqual(connection.keyspace, "a")
    }))

  it.effect("refused: the old one stays, the connection too", () =>
    Effect.gen(function*() {
      const { pool } = yield* world("ks")
      const connection = pool.pick(0)!
      const exit = yield* Effect.exit(connection.useKeyspace("missing", 1_000))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(connection.keyspace, "ks")
      assert.isTrue(connection.isOpen)
    }))

  for (const way of ["no answer", "interrupted"] as const) {
    it.effect(`${way}: nobody knows what is set, so the connection ends`, () =>
      Effect.gen(function*() {
        const { held, hold, pool } = yield* world("ks")
        const connection: Connection = pool.pick(0)!
        hold()
        const fiber = yield* Effect.forkChild(connection.useKeyspace("other", 1_000), { startImmediately: true })
        yield* until(() => held.length === 1)
        if (way === "interrupted") yield* Fiber.interrupt(fiber)
        else yield* TestClock.adjust("2 seconds")
        assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
        assert.isFalse(connection.isOpen)
      }))
  }
})

describe("keyspace of a connection that is about to close", () => {
  it.effect("is refused; its last requests get their answers", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const last = query("last")
      yield* until(() => socket.received.length === 1)
      const closing = yield* Effect.forkChild(connection.close("10 seconds"), { startImmediately: true })
      const failed = yield* Effect.flip(connection.useKeyspace("other", 1_000))
      assert.strictEqual(failed.reason._tag, "ConnectionClosed")
      socket.respond(socket.received[0]!.stream, Fake.named("last"))
      yield* Fiber.join(closing)
      assert.include(last.answer?.toString() ?? "", "last")
    }))
})

describe("keyspace of a pool", () => {
  it.effect("is set on all connections, and on those that come", () =>
    Effect.gen(function*() {
      const { keyspaces, node, pool } = yield* world("old")
      yield* pool.useKeyspace("new")
      assert.deepStrictEqual(keyspaces(), Array(8).fill("new"))
      node.open[2]!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(keyspaces(), Array(8).fill("new"))
      assert.deepStrictEqual(sent(node.open.at(-1)!), ['USE "new"'])
    }))

  it.effect("a connection that was being made joins with the new one", () =>
    Effect.gen(function*() {
      const { held, hold, keyspaces, letGo, node, pool } = yield* world("old")
      hold()
      node.open.find(({ shard }) => shard === 5)!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      assert.strictEqual(held.length, 1, "the handshake's")
      const switching = yield* Effect.forkChild(pool.useKeyspace("new"), { startImmediately: true })
      yield* until(() => held.length === 8)
      letGo()
      yield* Fiber.join(switching)
      yield* until(() => pool.isFull)
      assert.deepStrictEqual(keyspaces(), Array(8).fill("new"))
      assert.deepStrictEqual(sent(node.open.at(-1)!), ['USE "old"', 'USE "new"'])
    }))

  it.effect("a connection that was being made while it was changed more than once joins with the last one", () =>
    Effect.gen(function*() {
      const { held, hold, keyspaces, letGo, node, pool } = yield* world("old")
      const isNew = node.open.find(({ shard }) => shard === 5)!
      isNew.end()
      yield* until(() => !pool.isFull)
      hold()
      yield* TestClock.adjust(100)
      yield* until(() => held.length === 1)
      const first = yield* Effect.forkChild(pool.useKeyspace("first"), { startImmediately: true })
      yield* until(() => held.length === 8)
      letGo()
      hold()
      yield* Fiber.join(first)
      // It is being told of the first one when there is a second.
      yield* until(() => held.length === 1)
      const second = yield* Effect.forkChild(pool.useKeyspace("second"), { startImmediately: true })
      yield* until(() => held.length === 8)
      letGo()
      yield* Fiber.join(second)
      yield* until(() => pool.isFull)
      assert.deepStrictEqual(keyspaces(), Array(8).fill("second"))
      assert.deepStrictEqual(sent(node.open.at(-1)!), ['USE "old"', 'USE "first"', 'USE "second"'])
    }))

  it.effect("a keyspace that does not exist changes nothing", () =>
    Effect.gen(function*() {
      const { keyspaces, node, pool } = yield* world("old")
      const failed = yield* Effect.flip(pool.useKeyspace("missing"))
      assert.strictEqual(failed.reason._tag, "HandshakeFailed")
      assert.deepStrictEqual(keyspaces(), Array(8).fill("old"))
      node.open[1]!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      assert.isTrue(pool.isFull)
      assert.deepStrictEqual(keyspaces(), Array(8).fill("old"))
    }))

  it.effect("several at once that do not exist change nothing either", () =>
    Effect.gen(function*() {
      const { keyspaces, node, pool } = yield* world("old")
      node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "Query" || !request.query.startsWith('USE "missing')) return false
        socket.respond(stream, error("InvalidRequest", "does not exist"))
        return true
      }
      const ends = yield* Effect.forEach(["missing1", "missing2", "missing3"], (name) =>
        Effect.exit(pool.useKeyspace(name)), { concurrency: "unbounded" })
      assert.isTrue(ends.every(Exit.isFailure))
      node.open[1]!.end()
      yield* until(() =>
        !pool.isFull
      )
      yield* TestClock.adjust("1 second")
      assert.isTrue(pool.isFull)
      assert.deepStrictEqual(keyspaces(), Array(8).fill("old"))
    }))

  it.effect("one that does not exist leaves what was set before on those that came while there was no connection", () =>
    Effect.gen(function*() {
      const { keyspaces, network, node, pool } = yield* world("old")
      network.judge = () => "refuse"
      for (const socket of node.open) socket.end()
      yield* until(() => !pool.isUp)
      yield* pool.useKeyspace("new")
      network.judge = () => "accept"
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(keyspaces(), Array(8).fill("new"))
      yield* Effect.flip(pool.useKeyspace("missing"))
      node.open[1]!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(keyspaces(), Array(8).fill("new"))
    }))

  it.effect("two at once, one connection missing the first: it has the second, and so have all", () =>
    Effect.gen(function*() {
      const { keyspaces, network, node, pool } = yield* world("old")
      const dials = network.dials.length
      node.intercept = (socket, { request, stream }) => {
        if (socket !== node.open[4] || request._tag !== "Query" || request.query !== 'USE "first"') return false
        socket.respond(stream, error("InvalidRequest", "not yet"))
        return true
      }
      yield* Effect.all([pool.useKeyspace("first"), pool.useKeyspace("second")], { concurrency: 2 })
      yield* turns()
      assert.deepStrictEqual(keyspaces(), Array(8).fill("second"))
      assert.strictEqual(network.dials.length, dials, "nobody had to be replaced")
    }))

  it.effect("a connection that does not take it is replaced by one that has it", () =>
    Effect.gen(function*() {
      const { keyspaces, node, pool } = yield* world("old")
      const before = pool.pick(4)
      node.intercept = (socket, { request, stream }) => {
        if (socket !== node.open.find(({ shard }) => shard === 4) || request._tag !== "Query") return false
        socket.respond(stream, error("InvalidRequest", "not yet"))
        node.intercept = () => false
        return true
      }
      yield* pool.useKeyspace("new")
      yield* until(() => pool.pick(4) !== before)
      assert.deepStrictEqual(keyspaces(), Array(8).fill("new"))
    }))
})
