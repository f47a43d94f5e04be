import { RESERVED } from "@effect-scylla/pool/Connection"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Fake from "./support/connection.ts"
import * as Network from "./support/network.ts"
import { error } from "./support/node.ts"
import { SeededRandom } from "./support/random.ts"
import { turns, until } from "./support/turns.ts"

const { VOID, echo, named } = Fake

describe("Connection: requests and answers", () => {
  it.effect("answers may come in any order", () =>
    Effect.gen(function*() {
      const { query, socket } = yield* Fake.open()
      const requests = ["a", "b", "c"].map((text) => query(text))
      yield* until(() => socket.received.length === 3)
      for (const { request, stream } of socket.received.toReversed()) {
        socket.respond(stream, named(request._tag === "Query" ? request.query : ""))
      }
      yield* until(() => requests.every(({ told }) => told.length === 1))
      for (const { answer, text } of requests) assert.include(answer!.toString(), text)
    }))

  for (const seed of [1, 2, 3]) {
    it.effect(`nobody gets another one's answer, seed ${seed}`, () =>
      Effect.gen(function*() {
        const random = new SeededRandom(seed)
        const { connection, query, socket } = yield* Fake.open()
        const requests: Array<Fake.Query> = []
        const waiting: Array<Network.Received> = []
        socket.onRequest = (_, received) => void waiting.push(received)
        // Answers cut into pieces anywhere.
        let rest: Uint8Array = new Uint8Array(0)
        for (let step = 0; step < 400; step++) {
          for (let i = random.below(4); i > 0; i--) requests.push(query(`request ${requests.length}`))
          if (random.below(5) === 0) requests[random.below(requests.length)]?.abandon()
          for (let i = random.below(5); i > 0 && waiting.length > 0; i--) {
            const [{ request, stream }] = waiting.splice(random.below(waiting.length), 1) as [Network.Received]
            const bytes = Network.frame(stream, named(request._tag === "Query" ? request.query : ""))
            rest = Buffer.concat([rest, bytes])
          }
          const cut = random.below(rest.length + 1)
          if (cut > 0) socket.send(rest.subarray(0, cut))
          rest = rest.subarray(cut)
          if (random.below(3) === 0) yield* turns(random.below(4))
        }
        socket.send(rest)
        yield* until(() => socket.received.length === requests.filter(({ stream }) => stream > 0).length)
        for (const { request, stream } of waiting) {
          socket.respond(stream, named(request._tag === "Query" ? request.query : ""))
        }
        yield* until(() => connection.inFlight === 0 && connection.orphans === 0)
        assert.isTrue(connection.isOpen)
        const answered = requests.filter(({ told }) => told.length > 0)
        assert.isAbove(answered.length, 300)
        for (const { answer, text, told } of answered) {
          assert.strictEqual(told.length, 1)
          assert.isTrue(answer!.toString().endsWith(text), `${text} got ${answer!.toString()}`)
        }
      }))
  }

  it.effect("many requests of one turn are one write", () =>
    Effect.gen(function*() {
      const { query, socket } = yield* Fake.open()
      for (let i = 0; i < 1_000; i++) query(`request ${i}`)
      assert.strictEqual(socket.writes.length, 0)
      yield* until(() => socket.received.length === 1_000)
      assert.strictEqual(socket.writes.length, 1)
      query("one more")
      query("and another")
      yield* until(() => socket.received.length === 1_002)
      assert.strictEqual(socket.writes.length, 2)
      assert.deepStrictEqual(
        socket.received.map(({ request }) => request._tag === "Query" ? request.query : "").slice(-3),
        ["request 999", "one more", "and another"]
      )
    }))

  it.effect("what a resumed request sends at once goes out with the same turn", () =>
    Effect.gen(function*() {
      const { query, socket } = yield* Fake.open()
      socket.onRequest = echo
      const done: Array<string> = []
      const chain = (n: number): void => {
        const request = query(`step ${n}`)
        request.onTold = () => {
          done.push(request.text)
          if (n < 20) chain(n + 1)
        }
      }
      chain(1)
      yield* until(() => done.length === 20)
      assert.strictEqual(socket.writes.length, 20)
    }))

  for (
    const { answered, inFlight, name, writes } of [
      {
        name: "half of what is in flight is written before the rest of a read is seen to",
        inFlight: 32,
        answered: 32,
        writes: [16, 32]
      },
      { name: "no fewer than 8 are worth a write of their own", inFlight: 12, answered: 12, writes: [8, 12] },
      { name: "a few requests wait for the end of the turn", inFlight: 7, answered: 7, writes: [7] },
      {
        name: "requests wait for the end of the turn where more than twice as many are out",
        inFlight: 40,
        answered: 19,
        writes: [19]
      }
    ]
  ) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { query, socket } = yield* Fake.open()
        const first = Array.from({ length: inFlight }, (_, i) => query(`first ${i}`))
        yield* until(() => socket.received.length === inFlight)
        socket.onRequest = echo
        const again: Array<Fake.Query> = []
        for (const request of first) request.onTold = () => again.push(query(`again of ${request.text}`))
        /** How many had been asked again at each write. */
        const written: Array<number> = []
        const write = socket.write.bind(socket)
        socket.write = (bytes, done) => {
          written.push(again.length)
          return write(bytes, done)
        }
        const answers = first.slice(0, answered).map(({ stream, text }) => Network.frame(stream, named(text)))
        socket.send(Buffer.concat(answers))
        yield* until(() => again.length === answered && again.every(({ told }) => told.length === 1))
        assert.deepStrictEqual(written, writes)
        for (const { answer, text } of again) assert.isTrue(answer!.toString().endsWith(text))
      }))
  }

  it.effect("a write that fails in the middle of a read ends the connection, and everybody is told once", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const first = Array.from({ length: 32 }, (_, i) => query(`first ${i}`))
      yield* turns(1)
      const again: Array<Fake.Query> = []
      for (const request of first) request.onTold = () => again.push(query(`again of ${request.text}`))
      socket.write = () => {
        throw new Error("no more")
      }
      socket.send(Buffer.concat(first.map(({ stream, text }) => Network.frame(stream, named(text)))))
      yield* turns(1)
      assert.isFalse(connection.isOpen)
      for (const { told } of first) assert.strictEqual(told.length, 1)
      const answered = first.filter(({ answer }) => answer !== undefined).length
      assert.strictEqual(answered, 16)
      // Those of the write that failed may have left in part; those asked for after it were refused at once.
      for (const { failure, stream } of again) {
        if (stream >= 0) assert.deepInclude(failure, { sent: true })
      }
    }))

  for (const seed of [1, 2]) {
    it.effect(`a socket that does not take its writes at once never sees their bytes change, seed ${seed}`, () =>
      Effect.gen(function*() {
        const random = new SeededRandom(seed)
        const { query, socket } = yield* Fake.open()
        socket.onRequest = echo
        const requests: Array<Fake.Query> = []
        for (let step = 0; step < 200; step++) {
          socket.taking = random.below(4) === 0 && socket.pendingBytes === 0
          for (let i = random.below(5); i > 0; i--) {
            // Some larger than any buffer so far.
            const size = random.below(20) === 0 ? 60_000 : random.below(300)
            requests.push(query(`${requests.length} ${"x".repeat(size)}`))
          }
          yield* turns(1)
          if (random.below(3) === 0) socket.drain(1 + random.below(3))
        }
        yield* turns(3)
        socket.drain()
        yield* until(() => requests.every(({ told }) => told.length === 1))
        for (const { answer, text } of requests) assert.isTrue(answer!.toString().endsWith(text))
        assert.deepStrictEqual(
          socket.received.map(({ request }) => request._tag === "Query" ? request.query : ""),
          requests.map(({ text }) => text)
        )
      }))
  }

  it.effect("buffers of a backlog are let go of when it is over", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      socket.taking = false
      for (let i = 0; i < 200; i++) {
        query("x".repeat(1_000))
        yield* turns(2)
      }
      assert.strictEqual(socket.writes.length, 200)
      socket.drain()
      const { freeOutputs } = connection as unknown as { readonly freeOutputs: ReadonlyArray<unknown> }
      assert.isAtMost(freeOutputs.length, 8)
    }))

  it.effect("a peer that does not read is no unbounded queue: past the bound requests are refused", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({ maxOutput: 1024 * 1024 })
      socket.onRequest = echo
      socket.taking = false
      const admitted: Array<Fake.Query> = []
      for (let i = 0; i < 64; i++) {
        const request = query("x".repeat(64_000))
        if (request.stream > 0) admitted.push(request)
        yield* turns(2)
      }
      assert.isAtMost(admitted.length, 17)
      assert.isAtLeast(admitted.length, 15)
      assert.isFalse(connection.isAvailable)
      assert.isTrue(connection.isOpen)
      socket.taking = true
      socket.drain()
      assert.isTrue(connection.isAvailable)
      admitted.push(query("more"))
      yield* until(() => admitted.every(({ told }) => told.length === 1))
    }))

  it.effect("who waits is told of room that output has made, and that a higher limit makes", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open({ maxOutput: 1_000, maxInFlight: 100 })
      let told = 0
      Object.assign(owner, { onRoom: () => void told++ })
      connection.isAwaited = true
      socket.taking = false
      query("x".repeat(2_000))
      yield* turns(2)
      assert.deepStrictEqual([connection.isAvailable, told], [false, 0])
      socket.drain()
      assert.deepStrictEqual([connection.isAvailable, told], [true, 1])
      connection.limitTo(1)
      assert.deepStrictEqual([connection.isAvailable, connection.limit], [false, 1])
      connection.limitTo(2)
      assert.deepStrictEqual([connection.isAvailable, told], [true, 2])
      // Never more than the limits say.
      connection.limitTo(1_000)
      assert.strictEqual(connection.limit, 100)
      connection.isAwaited = false
      connection.limitTo(1)
      connection.limitTo(100)
      assert.strictEqual(told, 3)
    }))

  it.effect("one frame larger than that bound goes out all the same", () =>
    Effect.gen(function*() {
      const { query, socket } = yield* Fake.open({ maxOutput: 1024 })
      socket.onRequest = echo
      const large = query("x".repeat(10_000))
      assert.strictEqual(query("refused").stream, -1)
      yield* until(() => large.told.length === 1)
      assert.isAbove(query("accepted").stream, 0)
    }))

  it.effect("a full connection refuses; a heartbeat still has its id", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({ maxInFlight: 1_000_000 })
      const requests = Array.from({ length: 32_766 }, () => query("x", 600_000))
      assert.isTrue(requests.every(({ stream }) => stream > 0 && stream <= 32_767))
      assert.isFalse(connection.isAvailable)
      assert.isTrue(connection.isOpen)
      assert.strictEqual(query("one too many").stream, -1)
      yield* TestClock.adjust(31_000)
      assert.strictEqual(socket.received.at(-1)!.request._tag, "Options")
      assert.isTrue(connection.isOpen)
    }))

  it.effect("a request that cannot be encoded leaves no half frame and takes no id", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      socket.onRequest = echo
      const bad = connection.request({ _tag: "Register", events: ["ok", "x".repeat(70_000)] }, {
        timeoutMillis: 1_000,
        decoders: new RowDecoders()
      })
      const first = query("before")
      for (let i = 0; i < 100; i++) assert.isTrue(Exit.isFailure(yield* Effect.exit(bad)))
      yield* until(() => first.told.length === 1)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(bad)))
      // Alone in its turn, too: what follows is still flushed.
      const second = query("after")
      yield* until(() => second.told.length === 1)
      assert.include(second.answer!.toString(), "after")
      assert.strictEqual(connection.inFlight, 0)
      assert.isAtMost(second.stream, 64)
    }))

  it.effect("a frame over the bound of one frame cannot be written, wherever it starts", () =>
    Effect.gen(function*() {
      const { connection, query } = yield* Fake.open()
      for (let i = 0; i < 3; i++) {
        const out = connection.begin()!
        assert.throws(() => out.ensure(256 * 1024 * 1024 + 1), /larger than/)
        connection.discard(out.pos)
        query("something in front of the next one")
      }
    }))

  it.effect("`request` answers errors of the server as responses, and may be evaluated twice", () =>
    Effect.gen(function*() {
      const { connection, socket } = yield* Fake.open()
      let count = 0
      socket.onRequest = (_, { stream }) =>
        socket.respond(stream, ++count === 1 ? error("Overloaded", "too many") : named("ks"))
      const ask = connection.request({ _tag: "Prepare", query: "SELECT" }, {
        timeoutMillis: 1_000,
        decoders: new RowDecoders()
      })
      const first = yield* ask
      assert.strictEqual(first.response._tag, "Error")
      const second = yield* ask
      assert.strictEqual(second.response._tag, "SetKeyspace")
      assert.strictEqual(count, 2)
    }))

  it.effect("`request` has some ids more; then it says that the connection is busy, and on a closed one why it closed", () =>
    Effect.gen(function*() {
      const { connection, query } = yield* Fake.open({ maxInFlight: 1 })
      query("x")
      const request = connection.request({ _tag: "Options" }, { timeoutMillis: 1_000, decoders: new RowDecoders() })
      assert.isFalse(connection.isAvailable)
      assert.isAbove(RESERVED, 0)
      for (let i = 0; i < RESERVED; i++) {
        assert.isTrue(connection.hasReserve)
        yield* Effect.forkChild(request, { startImmediately: true })
      }
      assert.strictEqual(connection.inFlight, 1 + RESERVED)
      assert.isFalse(connection.hasReserve)
      const ask = Effect.flip(request)
      assert.strictEqual((yield* ask).reason._tag, "ConnectionBusy")
      yield* connection.close(0)
      assert.strictEqual((yield* ask).reason, connection.closeReason)
    }))
})

describe("Connection: orphans", () => {
  it.effect("a late answer frees the id of an abandoned request and is dropped; before, the id is not used", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("slow")
      yield* until(() => socket.received.length === 1)
      request.abandon()
      assert.strictEqual(connection.orphans, 1)
      assert.strictEqual(connection.inFlight, 0)
      // Twice does nothing.
      request.abandon()
      assert.strictEqual(connection.orphans, 1)
      const others = Array.from({ length: 200 }, () => query("other"))
      assert.isFalse(others.some(({ stream }) => stream === request.stream))
      for (const { stream } of others) socket.respond(stream, VOID)
      yield* until(() => others.every(({ told }) => told.length === 1))
      const again = Array.from({ length: 200 }, () => query("again"))
      assert.isFalse(again.some(({ stream }) => stream === request.stream))
      socket.respond(request.stream, named("too late"))
      yield* until(() => connection.orphans === 0)
      assert.deepStrictEqual(request.told, [])
      assert.isTrue(connection.isOpen)
    }))

  it.effect("an interrupted `request` becomes an orphan", () =>
    Effect.gen(function*() {
      const { connection, socket } = yield* Fake.open()
      const ask = connection.request({ _tag: "Options" }, { timeoutMillis: 1_000, decoders: new RowDecoders() })
      const fiber = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* until(() => socket.received.length === 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(connection.orphans, 1)
      socket.respond(socket.received[0]!.stream, { _tag: "Ready" })
      yield* until(() => connection.orphans === 0)
    }))

  it.effect("abandoning an id that was answered and is somebody else's now does nothing", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      socket.onRequest = echo
      const first = query("first")
      yield* until(() => first.told.length === 1)
      socket.onRequest = () => {}
      for (;;) {
        const next = query("next")
        if (next.stream === first.stream) break
        socket.respond(next.stream, VOID)
        yield* until(() => next.told.length === 1)
      }
      first.abandon()
      assert.strictEqual(connection.orphans, 0)
      assert.strictEqual(connection.inFlight, 1)
    }))

  it.effect("a timeout is told once, not early, and leaves an orphan", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("slow", 1_000)
      const later = query("slower", 5_000)
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(request.told, [])
      yield* TestClock.adjust(201)
      assert.strictEqual(request.failure?.reason._tag, "RequestTimeout")
      assert.isTrue(request.failure?.sent)
      assert.deepStrictEqual(later.told, [])
      assert.strictEqual(connection.orphans, 1)
      assert.strictEqual(connection.inFlight, 1)
      yield* TestClock.adjust(5_000)
      assert.strictEqual(later.failure?.reason._tag, "RequestTimeout")
      assert.strictEqual(request.told.length, 1)
      socket.respond(request.stream, VOID)
      socket.respond(later.stream, VOID)
      yield* until(() => connection.orphans === 0)
      assert.strictEqual(request.told.length, 1)
      assert.isTrue(connection.isOpen)
    }))

  it.effect("what is sent while others time out has its own deadline", () =>
    Effect.gen(function*() {
      const { query } = yield* Fake.open()
      const retries: Array<Fake.Query> = []
      for (let i = 0; i < 10; i++) {
        const request = query("x", 500)
        request.onTold = () => void retries.push(query("retry", 1_000))
      }
      yield* TestClock.adjust(800)
      assert.strictEqual(retries.length, 10)
      yield* TestClock.adjust(700)
      assert.isTrue(retries.every(({ told }) => told.length === 0))
      yield* TestClock.adjust(600)
      assert.isTrue(retries.every(({ failure }) => failure?.reason._tag === "RequestTimeout"))
    }))

  it.effect("too many orphans ask for a replacement, once", () =>
    Effect.gen(function*() {
      const { connection, owner, query } = yield* Fake.open({ maxOrphans: 10, maxOldOrphans: 10 })
      const requests = Array.from({ length: 20 }, () => query("x"))
      for (const request of requests.slice(0, 9)) request.abandon()
      assert.strictEqual(owner.exhausted.length, 0)
      for (const request of requests.slice(9)) request.abandon()
      assert.deepStrictEqual(owner.exhausted, [connection])
      yield* TestClock.adjust(5_000)
      assert.strictEqual(owner.exhausted.length, 1)
      assert.isTrue(connection.isOpen)
    }))

  it.effect("fewer are enough when they are old", () =>
    Effect.gen(function*() {
      const { owner, query, socket } = yield* Fake.open({ maxOrphans: 100, maxOldOrphans: 4 })
      // It lives, and answers no query.
      socket.onRequest = Fake.heartbeats
      for (const request of Array.from({ length: 4 }, () => query("x"))) request.abandon()
      yield* TestClock.adjust(800)
      assert.strictEqual(owner.exhausted.length, 0)
      yield* TestClock.adjust(400)
      assert.strictEqual(owner.exhausted.length, 1)
    }))
})

describe("Connection: a request that cannot be written", () => {
  for (
    const [what, request] of [
      ["does not fit", { _tag: "Startup", options: { APPLICATION_NAME: "x".repeat(70_000) } }],
      ["is none", { _tag: "Query", query: undefined as never, options: { consistency: "ONE" } }]
    ] as const
  ) {
    it.effect(`${what}: it alone fails, typed, and nothing of it is sent`, () =>
      Effect.gen(function*() {
        const { connection, query, socket } = yield* Fake.open()
        socket.onRequest = echo
        const before = query("before")
        const options = { timeoutMillis: 1_000, decoders: new RowDecoders() }
        const failed = yield* Effect.flip(connection.request(request, options))
        assert.strictEqual(failed.reason._tag, "EncodeError")
        const after = query("after")
        yield* until(() => after.told.length === 1)
        assert.include(after.answer!.toString(), "after")
        assert.include(before.answer!.toString(), "before")
        assert.deepStrictEqual([connection.load, connection.inFlight, connection.requests], [0, 0, 2])
        assert.strictEqual(socket.received.length, 2)
      }))
  }
})
