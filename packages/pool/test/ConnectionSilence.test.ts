import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Fake from "./support/connection.ts"
import { StalledClock } from "./support/stalledClock.ts"
import { turns, until } from "./support/turns.ts"

const { VOID } = Fake

/** A connection in real turns whose time passes when the test says so. */
const stalling = Effect.fnUntraced(function*() {
  const clock = new StalledClock()
  const world = yield* Effect.provideService(Fake.open(), Clock.Clock, clock)
  const pass = (millis: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      clock.millis += millis
      clock.wake()
      return turns(5)
    })
  return { ...world, pass }
})

describe("Connection: silence", () => {
  it.effect("the heartbeat is answered late: aside, and back with that answer; what was in flight is answered, too", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open()
      const request = query("slow", 60_000)
      yield* TestClock.adjust(700)
      assert.isTrue(connection.isSilent)
      assert.isFalse(connection.isAvailable)
      // As the last resort it takes requests.
      assert.isTrue(connection.hasRoom)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(owner.exhausted, [connection])
      socket.respond(socket.received[1]!.stream, { _tag: "Supported", options: new Map() })
      yield* turns()
      assert.isFalse(connection.isSilent)
      assert.isTrue(connection.isAvailable)
      socket.respond(request.stream, VOID)
      yield* until(() => request.told.length === 1)
      assert.deepStrictEqual(owner.moods, ["silent", "heard"])
      // And once more: it asks for its replacement again.
      query("slow", 60_000)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(owner.exhausted, [connection, connection])
    }))

  it.effect("a request says whether it waits on; one that does not say waits until its deadline", () =>
    Effect.gen(function*() {
      const { connection, query } = yield* Fake.open()
      const moves = query("moves", 60_000)
      const waits = query("waits", 60_000)
      const silent = query("does not say", 3_000)
      Object.assign(moves, { onOverdue: () => 0 })
      Object.assign(waits, { onOverdue: () => waits.connection.isSilent ? 1_000 : 0 })
      yield* TestClock.adjust(700)
      assert.strictEqual(moves.failure?.reason._tag, "NodeSilent")
      assert.isTrue(moves.failure?.sent)
      assert.deepStrictEqual([waits.told, silent.told], [[], []])
      assert.strictEqual(connection.orphans, 1)
      assert.strictEqual(connection.inFlight, 2)
      yield* TestClock.adjust(2_600)
      assert.strictEqual(silent.failure?.reason._tag, "RequestTimeout")
      assert.deepStrictEqual(waits.told, [])
    }))

  it.effect("a draining connection whose peer is silent tells those who may go elsewhere, and ends with them", () =>
    Effect.gen(function*() {
      const { connection, query } = yield* Fake.open()
      const request = query("moves", 60_000)
      Object.assign(request, { onOverdue: () => 0 })
      const closing = yield* Effect.forkChild(connection.close("1 minute"), { startImmediately: true })
      yield* TestClock.adjust(700)
      assert.strictEqual(request.failure?.reason._tag, "NodeSilent")
      assert.isDefined(closing.pollUnsafe())
    }))

  it.effect("hundreds of orphans of a silent peer are no reason to replace it: they are answered when it goes on", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open()
      const requests = Array.from({ length: 400 }, () => query("moves", 60_000))
      for (const request of requests) Object.assign(request, { onOverdue: () => 0 })
      yield* TestClock.adjust(3_000)
      assert.strictEqual(connection.orphans, 400)
      assert.deepStrictEqual(owner.exhausted, [])
      for (const { stream } of socket.received) socket.respond(stream, VOID)
      yield* until(() => connection.orphans === 0)
      yield* TestClock.adjust(2_000)
      assert.deepStrictEqual(owner.exhausted, [])
    }))

  it.effect("orphans that are not answered although it goes on are", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open()
      for (let i = 0; i < 400; i++) Object.assign(query("moves", 60_000), { onOverdue: () => 0 })
      yield* TestClock.adjust(700)
      socket.onRequest = Fake.heartbeats
      socket.respond(socket.received.at(-1)!.stream, { _tag: "Supported", options: new Map() })
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(owner.exhausted, [])
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(owner.exhausted, [connection])
    }))

  for (
    const [what, silence] of [["a question", 200], [
      "a heartbeat, because the question has the last one",
      1_000
    ]] as const
  ) {
    it.effect(`without an id for ${what} it counts as asked`, () =>
      Effect.gen(function*() {
        const { connection, owner, query, socket } = yield* Fake.open({
          silence,
          maxInFlight: 32_766,
          maxOrphans: 40_000,
          maxOldOrphans: 40_000
        })
        for (let i = 0; i < 32_766; i++) query("x", 100)
        const rest = connection.request({ _tag: "Options" }, { timeoutMillis: 300, decoders: new RowDecoders() })
        assert.strictEqual((yield* Effect.flip(rest)).reason._tag, "ConnectionBusy")
        yield* TestClock.adjust(2_500)
        assert.isTrue(connection.isSilent)
        assert.strictEqual(connection.load, 32_767)
        assert.strictEqual(socket.received.at(-1)!.request._tag, silence === 200 ? "Options" : "Query")
        assert.deepStrictEqual(owner.moods, ["silent"])
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(owner.exhausted, [connection])
        assert.isTrue(connection.isOpen)
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(connection.closeReason?._tag, "HeartbeatTimeout")
      }))
  }

  it.effect("questions that are lost take no more than a few ids", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({ maxOrphans: 10_000, maxOldOrphans: 10_000 })
      const request = query("one long answer", 600_000)
      // Heartbeats are lost; something else comes now and then.
      const event = (): void =>
        socket.respond(-1, {
          _tag: "NodeEvent",
          type: "STATUS_CHANGE",
          change: "UP",
          address: Uint8Array.of(10, 0, 0, 1),
          port: 9042
        })
      for (let i = 0; i < 200; i++) {
        yield* TestClock.adjust(400)
        event()
        yield* turns(3)
      }
      assert.isTrue(connection.isOpen)
      assert.deepStrictEqual(request.told, [])
      assert.isAtMost(connection.load, 1 + 5)
    }))

  it.live("this process is stopped for 10 seconds: nobody is set aside, timers come before sockets", () =>
    Effect.gen(function*() {
      const { connection, owner, pass, query, socket } = yield* stalling()
      const request = query("in flight", 60_000)
      yield* turns(5)
      // Asked, and stopped before the answer can be read.
      for (let i = 0; i < 3; i++) yield* pass(100)
      assert.strictEqual(socket.received.at(-1)!.request._tag, "Options")
      yield* pass(10_000)
      assert.deepStrictEqual(owner.moods, [])
      socket.respond(socket.received.at(-1)!.stream, { _tag: "Supported", options: new Map() })
      yield* turns(5)
      yield* pass(100)
      assert.deepStrictEqual(owner.moods, [])
      socket.respond(request.stream, VOID)
      yield* turns(5)
      assert.strictEqual(request.told.length, 1)
      // A peer that says nothing afterwards either is noticed, after three times as long as the first answer took.
      query("in flight", 60_000)
      yield* turns(5)
      yield* pass(10_000)
      assert.deepStrictEqual(owner.moods, [])
      for (let i = 0; i < 30; i++) yield* pass(100)
      assert.deepStrictEqual(owner.moods, ["silent"])
      assert.isTrue(connection.isSilent)
    }).pipe(Effect.scoped))
})
