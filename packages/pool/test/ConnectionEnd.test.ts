import * as Limits from "@effect-scylla/pool/Limits"
import * as Frame from "@effect-scylla/protocol/Frame"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Fake from "./support/connection.ts"
import * as Network from "./support/network.ts"
import { turns, until } from "./support/turns.ts"

const { VOID, echo, named } = Fake

describe("Connection: heartbeat", () => {
  it.effect("asks a peer that was silent for long, and goes on", () =>
    Effect.gen(function*() {
      const { connection, socket } = yield* Fake.open()
      socket.onRequest = echo
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(socket.received.length, 0)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(socket.received.map(({ request }) => request._tag), ["Options"])
      yield* TestClock.adjust("5 minutes")
      assert.isTrue(connection.isOpen)
      assert.isAtLeast(socket.received.length, 9)
      assert.isAtMost(socket.received.length, 11)
      assert.strictEqual(connection.inFlight, 0)
    }))

  it.effect("is skipped under traffic", () =>
    Effect.gen(function*() {
      const { query, socket } = yield* Fake.open()
      socket.onRequest = echo
      for (let i = 0; i < 30; i++) {
        query("x")
        yield* TestClock.adjust("10 seconds")
      }
      assert.isTrue(socket.received.every(({ request }) => request._tag === "Query"))
    }))

  it.effect("no answer in time: another connection is wanted, and what is in flight waits as long as it likes", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open()
      const request = query("in flight", 60_000)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(owner.exhausted, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(owner.exhausted, [connection])
      yield* TestClock.adjust("53 seconds")
      assert.isFalse(socket.isDestroyed)
      assert.deepStrictEqual(request.told, [])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(request.failure?.reason._tag, "RequestTimeout")
      assert.isTrue(request.failure?.sent)
      // Nobody waits any more, and nothing was heard for long.
      assert.strictEqual(connection.closeReason?._tag, "HeartbeatTimeout")
      assert.isTrue(socket.isDestroyed)
      assert.strictEqual(request.told.length, 1)
      assert.deepStrictEqual(owner.exhausted, [connection])
      assert.strictEqual(owner.closed.length, 1)
    }))

  it.effect("no answer in time, and nobody waits: another connection is wanted; after six times as long it is closed", () =>
    Effect.gen(function*() {
      const { connection, owner, socket } = yield* Fake.open()
      yield* TestClock.adjust("35 seconds")
      assert.deepStrictEqual(owner.exhausted, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(owner.exhausted, [connection])
      yield* TestClock.adjust("24 seconds")
      assert.isTrue(connection.isOpen)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(connection.closeReason?._tag, "HeartbeatTimeout")
      assert.isTrue(socket.isDestroyed)
      assert.strictEqual(owner.closed.length, 1)
    }))

  it.effect("bytes that keep coming are a sign of life, even if the answer does not", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open()
      const request = query("a large answer", 600_000)
      yield* until(() => socket.received.length === 1)
      const bytes = Network.frame(request.stream, named("x".repeat(30_000)))
      connection.probe()
      let at = 0
      for (; at < bytes.length - 1_000; at += 1_000) {
        socket.send(bytes.subarray(at, at + 1_000))
        yield* TestClock.adjust("1 second")
        assert.isTrue(connection.isOpen)
      }
      socket.send(bytes.subarray(at))
      yield* until(() => request.told.length === 1)
      assert.deepStrictEqual(owner.exhausted, [])
      // Silence from here on.
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(owner.exhausted, [connection])
    }))

  it.effect("`probe` asks at once, one at a time", () =>
    Effect.gen(function*() {
      const { connection, owner, socket } = yield* Fake.open()
      connection.probe()
      connection.probe()
      yield* until(() => socket.received.length > 0)
      assert.strictEqual(socket.received.length, 1)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(socket.received.length, 1)
      assert.deepStrictEqual(owner.exhausted, [connection])
      yield* TestClock.adjust("26 seconds")
      assert.strictEqual(connection.closeReason?._tag, "HeartbeatTimeout")
    }))

  it.effect("is not a request: a close does not wait for it", () =>
    Effect.gen(function*() {
      const { connection, socket } = yield* Fake.open()
      connection.probe()
      yield* until(() => socket.received.length === 1)
      assert.strictEqual(connection.inFlight, 0)
      // No clock is moved: this would hang if it waited.
      yield* connection.close("5 seconds")
      assert.isTrue(socket.isDestroyed)
    }))

  it.effect("its answer does not end a close that waits for a request", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("slow")
      connection.probe()
      yield* until(() => socket.received.length === 2)
      const closing = yield* Effect.forkChild(connection.close("5 seconds"), { startImmediately: true })
      socket.respond(socket.received[1]!.stream, { _tag: "Supported", options: new Map() })
      yield* turns()
      assert.isFalse(socket.isDestroyed)
      socket.respond(request.stream, VOID)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(request.told, [Frame.Opcode.RESULT])
    }))

  it.effect("goes on while a close waits for a request, which it does not cut short", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("slow", 600_000)
      const closing = yield* Effect.forkChild(connection.close("2 minutes"), { startImmediately: true })
      yield* TestClock.adjust("100 seconds")
      assert.deepStrictEqual(socket.received.map(({ request }) => request._tag), ["Query", "Options"])
      assert.isTrue(connection.isSilent)
      assert.deepStrictEqual(request.told, [])
      yield* TestClock.adjust("21 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(connection.closeReason?._tag, "ConnectionClosed")
    }))
})

describe("Connection: close", () => {
  it.effect("is immediate with nothing in flight, and idempotent", () =>
    Effect.gen(function*() {
      const { connection, owner, socket } = yield* Fake.open()
      yield* connection.close("5 seconds")
      assert.strictEqual(connection.closeReason?._tag, "ConnectionClosed")
      assert.isTrue(socket.isDestroyed)
      yield* connection.close("5 seconds")
      connection.fail(new Error("late") as never)
      yield* turns()
      assert.strictEqual(owner.closed.length, 1)
    }))

  it.effect("is delayed until the last request in flight is answered, and refuses new ones", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const requests = [query("a"), query("b")]
      yield* until(() => socket.received.length === 2)
      const closing = yield* Effect.forkChild(connection.close("5 seconds"), { startImmediately: true })
      assert.isFalse(connection.isOpen)
      assert.isFalse(connection.isAvailable)
      assert.strictEqual(query("refused").stream, -1)
      socket.respond(requests[0]!.stream, VOID)
      yield* turns()
      assert.isFalse(socket.isDestroyed)
      socket.respond(requests[1]!.stream, VOID)
      yield* Fiber.join(closing)
      assert.isTrue(socket.isDestroyed)
      assert.deepStrictEqual(requests.map(({ told }) => told), [[Frame.Opcode.RESULT], [Frame.Opcode.RESULT]])
    }))

  it.effect("takes nothing new when output that was past its bound has left meanwhile", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({ maxOutput: 1_000 })
      socket.taking = false
      const last = query("x".repeat(2_000))
      yield* turns(2)
      const closing = yield* Effect.forkChild(connection.close("1 minute"), { startImmediately: true })
      socket.taking = true
      socket.drain()
      assert.isFalse(connection.isAvailable)
      assert.strictEqual(query("refused").stream, -1)
      yield* until(() => socket.received.length === 1)
      socket.respond(last.stream, VOID)
      yield* Fiber.join(closing)
      assert.strictEqual(last.told.length, 1)
    }))

  it.effect("requests of the same turn still go out", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      socket.onRequest = echo
      const request = query("a")
      yield* connection.close("5 seconds")
      assert.deepStrictEqual(request.told, [Frame.Opcode.RESULT])
    }))

  it.effect("is delayed until the last request in flight is given up", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("a")
      const closing = yield* Effect.forkChild(connection.close("5 seconds"), { startImmediately: true })
      yield* turns()
      assert.isFalse(socket.isDestroyed)
      request.abandon()
      yield* Fiber.join(closing)
      assert.isTrue(socket.isDestroyed)
      assert.deepStrictEqual(request.told, [])
    }))

  it.effect("orphans do not hold it up", () =>
    Effect.gen(function*() {
      const { connection, query } = yield* Fake.open()
      query("a").abandon()
      yield* connection.close("5 seconds")
      assert.isFalse(connection.isOpen)
    }))

  it.effect("is forced at its deadline", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("a", 60_000)
      yield* turns(3)
      const closing = yield* Effect.forkChild(connection.close("5 seconds"), { startImmediately: true })
      yield* TestClock.adjust(4_999)
      assert.isFalse(socket.isDestroyed)
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
      assert.isTrue(socket.isDestroyed)
      assert.strictEqual(request.failure?.reason, connection.closeReason)
      assert.strictEqual(request.failure?.reason._tag, "ConnectionClosed")
      assert.isTrue(request.failure?.sent)
    }))

  it.effect("with a deadline of 0 it does not wait, and is forced when it is interrupted", () =>
    Effect.gen(function*() {
      const one = yield* Fake.open()
      const first = one.query("a")
      yield* one.connection.close(0)
      assert.strictEqual(first.failure?.reason._tag, "ConnectionClosed")
      const two = yield* Fake.open()
      const second = two.query("a")
      const closing = yield* Effect.forkChild(two.connection.close("1 hour"), { startImmediately: true })
      yield* Fiber.interrupt(closing)
      assert.strictEqual(second.failure?.reason._tag, "ConnectionClosed")
      assert.isTrue(two.socket.isDestroyed)
    }))

  it.effect("ends when the connection is lost meanwhile", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("a")
      const closing = yield* Effect.forkChild(connection.close("1 hour"), { startImmediately: true })
      socket.end()
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(closing)))
      assert.strictEqual(request.failure?.reason._tag, "ConnectionLost")
      assert.strictEqual(connection.closeReason?._tag, "ConnectionLost")
    }))

  it("limits have sensible defaults", () => {
    assert.strictEqual(Limits.defaults.maxInFlight, 1024)
  })
})
