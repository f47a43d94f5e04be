/** What is written when and in which bytes: plain, compressed, in segments; early, late, in parts, or not at all. */
import { ConnectionClosed } from "@effect-scylla/pool/PoolError"
import type * as Response from "@effect-scylla/protocol/Response"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Fiber } from "effect"
import { Random } from "../../../test/support/random.ts"
import * as Fake from "./support/connection.ts"
import type * as Network from "./support/network.ts"
import { turns, until } from "./support/turns.ts"

/** What hardly compresses. */
const NOISE = Buffer.from(new Random(1).bytes(160_000)).toString("base64")
const noise = (random: Random, size: number): string => {
  const from = random.below(NOISE.length - size)
  return NOISE.slice(from, from + size)
}

/** Texts that compress well, badly, and not at all; one in a hundred is larger than a segment. */
const fillers = (random: Random) => (): string => {
  const size = random.below(100) === 0 ? 150_000 : random.below(4) === 0 ? random.below(2_000) : random.below(40)
  return random.below(2) === 0 ? "x".repeat(size) : noise(random, size)
}

const textOf = ({ request }: Network.Received): string => request._tag === "Query" ? request.query : request._tag

/** A row of the text, of any length; the body ends with it. */
const answerTo = (one: Network.Received): readonly [number, Response.ServerResponse] => {
  const text = textOf(one)
  if (text.startsWith("USE")) return [one.stream, Fake.named(text)]
  const column = { keyspace: "ks", table: "t", name: "text", type: { _tag: "Scalar", name: "text" } } as const
  return [one.stream, { _tag: "Rows", columns: [column], rows: [[Buffer.from(text)]] }]
}

/** Callers that ask again as soon as they have their answer, on its stack, as resumed fibers do. */
class Lockstep {
  /** In the order in which they were asked. */
  readonly asked: Array<Fake.Query> = []
  /** Whether anybody asks again. */
  running = true
  /** Told with each answer, before the next question. */
  onAnswer: (answered: number) => void = () => {}
  answered = 0
  private readonly query: (text: string) => Fake.Query
  private readonly filler: () => string

  constructor(query: (text: string) => Fake.Query, filler: () => string) {
    this.query = query
    this.filler = filler
  }

  ask(): void {
    const request = this.query(`${this.asked.length} ${this.filler()}`)
    // Refused: nothing of it is sent.
    if (request.stream < 0) return
    this.asked.push(request)
    request.onTold = () => {
      if (request.answer === undefined) return
      this.answered++
      this.onAnswer(this.answered)
      if (this.running) this.ask()
    }
  }

  /** Each was told once, and by its own answer. */
  check(requests: ReadonlyArray<Fake.Query> = this.asked): void {
    for (const { answer, text, told } of requests) {
      assert.strictEqual(told.length, 1, text.slice(0, 20))
      assert.isTrue(answer?.toString().endsWith(text), `${text.slice(0, 20)} got ${answer?.toString().slice(0, 40)}`)
    }
  }
}

const start = Effect.fnUntraced(function*(wire: Fake.Wire, inFlight: number, seed: number) {
  const fake = yield* Fake.open({ maxInFlight: 1_024 }, wire)
  const { query, socket } = fake
  const random = new Random(seed)
  const steps = new Lockstep(query, fillers(random))
  const received: Array<string> = []
  const owed: Array<Network.Received> = []
  socket.onRequest = (_, one) => {
    received.push(textOf(one))
    owed.push(one)
  }
  /** Answers so many of what has arrived, in one read, in any order. */
  const answer = (count = owed.length): void => {
    const some = Array.from({ length: count }, () => owed.splice(random.below(owed.length), 1)[0]!)
    socket.respondAll(some.map(answerTo))
  }
  for (let i = 0; i < inFlight; i++) steps.ask()
  yield* until(() => owed.length === inFlight)
  return { ...fake, random, steps, received, owed, answer }
})

for (const wire of Fake.wires) {
  describe(`Connection on ${wire.name}: half a read at a time`, () => {
    for (const inFlight of [8, 32, 200]) {
      it.effect(`${inFlight} in flight: nothing is lost, doubled or out of order`, () =>
        Effect.gen(function*() {
          const { answer, owed, received, socket, steps } = yield* start(wire, inFlight, inFlight)
          const before = socket.writes.length
          const rounds = Math.ceil(600 / inFlight)
          for (let round = 0; round < rounds; round++) {
            answer()
            yield* until(() => owed.length === inFlight)
          }
          steps.running = false
          answer()
          yield* until(() => steps.answered === steps.asked.length)
          steps.check()
          assert.deepStrictEqual(received, steps.asked.map(({ text }) => text))
          assert.strictEqual(steps.asked.length, inFlight * (rounds + 1))
          // Half of a read is written before the rest of it is seen to; 8 at least.
          assert.strictEqual(socket.writes.length - before, (inFlight < 16 ? 1 : 2) * rounds)
        }))
    }

    it.effect("answers in several reads of any size, to requests of which some are given up", () =>
      Effect.gen(function*() {
        const { answer, connection, owed, random, received, steps } = yield* start(wire, 64, 3)
        const abandoned = new Set<Fake.Query>()
        steps.onAnswer = (answered) => {
          if (answered % 10 !== 0) return
          const request = steps.asked[random.below(steps.asked.length)]!
          if (request.told.length > 0 || abandoned.has(request)) return
          request.abandon()
          abandoned.add(request)
          steps.ask()
        }
        while (steps.asked.length < 500) {
          while (owed.length > 0) answer(1 + random.below(Math.min(owed.length, 40)))
          yield* turns(3)
        }
        steps.running = false
        yield* until(() => {
          if (owed.length > 0) answer()
          return connection.load === 0
        })
        assert.isAbove(abandoned.size, 10)
        steps.check(steps.asked.filter((request) => !abandoned.has(request)))
        for (const { told } of abandoned) assert.strictEqual(told.length, 0)
        assert.deepStrictEqual(received, steps.asked.map(({ text }) => text))
        assert.deepStrictEqual([connection.inFlight, connection.orphans], [0, 0])
      }))

    it.effect("a switch of the keyspace between them goes where it was asked for", () =>
      Effect.gen(function*() {
        const { answer, connection, owed, received, steps } = yield* start(wire, 32, 5)
        let switching: Fiber.Fiber<unknown, unknown> | undefined
        let at = 0
        steps.onAnswer = (answered) => {
          // After the early write of the read, and before its end.
          if (answered !== 32 + 20) return
          at = steps.asked.length
          switching = Effect.runFork(connection.useKeyspace("other", 60_000))
        }
        answer()
        yield* until(() => owed.length === 32)
        answer()
        yield* until(() => owed.length === 33)
        assert.strictEqual(received.indexOf('USE "other"'), at)
        assert.deepStrictEqual(received.toSpliced(at, 1), steps.asked.map(({ text }) => text))
        steps.running = false
        answer()
        yield* until(() => steps.answered === steps.asked.length)
        steps.check()
        yield* until(() => switching!.pollUnsafe() !== undefined)
        assert.strictEqual(connection.keyspace, "other")
      }))

    it.effect("a drain that begins in the middle of a read: who was taken is answered, and nobody after it", () =>
      Effect.gen(function*() {
        const { answer, connection, owed, received, socket, steps } = yield* start(wire, 32, 7)
        let closing: Fiber.Fiber<void> | undefined
        let taken = 0
        steps.onAnswer = (answered) => {
          if (answered !== 24) return
          taken = steps.asked.length
          closing = Effect.runFork(connection.close("1 minute"))
        }
        answer()
        yield* until(() => owed.length === taken - 32)
        assert.strictEqual(taken, 32 + 23)
        assert.strictEqual(steps.answered, 32)
        assert.strictEqual(steps.asked.length, taken)
        assert.isUndefined(closing!.pollUnsafe())
        answer()
        yield* until(() => socket.isDestroyed)
        steps.check()
        assert.deepStrictEqual(received, steps.asked.map(({ text }) => text))
        assert.strictEqual(connection.closeReason?._tag, "ConnectionClosed")
      }))

    it.effect("an early write that fails: everybody is told once, and what was not given to the socket is said so", () =>
      Effect.gen(function*() {
        const { answer, connection, socket, steps } = yield* start(wire, 32, 9)
        socket.write = () => {
          throw new Error("no more")
        }
        answer()
        yield* until(() => !connection.isOpen)
        assert.strictEqual(steps.answered, 16)
        assert.strictEqual(steps.asked.length, 48)
        for (const { failure, told } of steps.asked.slice(32)) {
          assert.strictEqual(told.length, 1)
          assert.deepInclude(failure, { sent: true, reason: connection.closeReason! })
        }
        for (const { told } of steps.asked) assert.strictEqual(told.length, 1)
      }))

    for (const seed of [1, 2]) {
      it.effect(`a socket that takes its writes late never sees their bytes change, seed ${seed}`, () =>
        Effect.gen(function*() {
          const { answer, connection, owed, random, received, socket, steps } = yield* start(wire, 32, seed)
          while (steps.asked.length < 500) {
            socket.taking = random.below(4) === 0 && socket.pendingBytes === 0
            if (owed.length > 0) answer(1 + random.below(owed.length))
            yield* turns(1)
            if (random.below(3) === 0) socket.drain(1 + random.below(3))
          }
          steps.running = false
          yield* until(() => {
            socket.drain()
            if (owed.length > 0) answer()
            return connection.load === 0
          })
          steps.check()
          assert.deepStrictEqual(received, steps.asked.map(({ text }) => text))
        }))
    }

    it.effect("past the bound on output requests are refused, and taken again when there is room", () =>
      Effect.gen(function*() {
        const { connection, query, socket } = yield* Fake.open({ maxOutput: 100_000 }, wire)
        const random = new Random(11)
        const texts: Array<string> = []
        socket.onRequest = (_, one) => {
          texts.push(textOf(one))
          socket.respondAll([answerTo(one)])
        }
        socket.taking = false
        const requests: Array<Fake.Query> = []
        for (let i = 0; i < 40; i++) {
          // What hardly compresses, so that it counts for as much as it has.
          const request = query(`${i} ${noise(random, 8_000)}`)
          if (request.stream > 0) requests.push(request)
          yield* turns(2)
        }
        assert.isAtMost(requests.length, 20)
        assert.isAtLeast(requests.length, 10)
        assert.isFalse(connection.isAvailable)
        socket.taking = true
        socket.drain()
        assert.isTrue(connection.isAvailable)
        yield* until(() => requests.every(({ told }) => told.length === 1))
        assert.deepStrictEqual(texts, requests.map(({ text }) => text))
        // One larger than the bound goes out, and makes no harm when it has.
        const large = query(`large ${noise(random, 200_000)}`)
        assert.isFalse(connection.isAvailable)
        yield* until(() => large.told.length === 1)
        assert.isTrue(connection.isAvailable)
      }))
  })
}

describe("Connection: a framing that fails", () => {
  it.effect("ends the connection, and nothing of that write is said to be sent", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({}, { version: 5 })
      const before = query("before")
      yield* until(() => socket.received.length === 1)
      const { framing } = connection as unknown as { readonly framing: { write: () => void } }
      framing.write = () => {
        throw new Error("out of memory")
      }
      const requests = [query("a"), query("b")]
      yield* until(() => !connection.isOpen)
      assert.strictEqual(connection.closeReason?._tag, "ConnectionLost")
      assert.match(connection.closeReason!.message, /out of memory/)
      assert.isTrue(before.failure?.sent)
      for (const { failure, told } of requests) {
        assert.strictEqual(told.length, 1)
        assert.isFalse(failure?.sent)
      }
    }))
})

describe("Connection: who is resumed by an answer", () => {
  for (const wire of Fake.wires) {
    it.effect(`may end the connection in the middle of a read (${wire.name})`, () =>
      Effect.gen(function*() {
        const { answer, connection, socket, steps } = yield* start(wire, 32, 13)
        steps.onAnswer = (answered) => {
          if (answered === 12) connection.fail(new ConnectionClosed({ message: "that is enough" }))
        }
        answer()
        yield* until(() => !connection.isOpen)
        yield* turns(5)
        for (const { told } of steps.asked) assert.strictEqual(told.length, 1)
        assert.strictEqual(steps.answered, 12)
        assert.isTrue(socket.isDestroyed)
        assert.deepStrictEqual([connection.inFlight, connection.orphans], [0, 0])
      }))
  }
})
