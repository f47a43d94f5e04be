import { Connection } from "@effect-scylla/pool/Connection"
import * as Limits from "@effect-scylla/pool/Limits"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import * as Fake from "./support/connection.ts"
import { Loop } from "./support/loop.ts"
import * as Network from "./support/network.ts"
import { SeededRandom } from "./support/random.ts"
import { Staged } from "./support/staged.ts"
import { turns, until } from "./support/turns.ts"

const { VOID, named } = Fake

/** Has the connection read `bytes` on the stack of the test, as a socket does. */
const read = (connection: Connection, ...frames: ReadonlyArray<Uint8Array>): void => {
  const bytes = Buffer.from(Uint8Array.from(Buffer.concat(frames)).buffer)
  connection.onData(bytes, new DataView(bytes.buffer), bytes.length)
}

describe("Connection: what is in flight on all of a ticker", () => {
  /** Several connections on one ticker; `check` holds it to the sum of theirs. */
  const several = Effect.fnUntraced(function*(count: number) {
    const ticker = yield* Ticker.make
    const opened: Array<Effect.Success<ReturnType<typeof Fake.open>>> = []
    for (let i = 0; i < count; i++) opened.push(yield* Fake.open({}, undefined, ticker))
    const check = (expected: number): void => {
      assert.strictEqual(opened.reduce((sum, { connection }) => sum + connection.inFlight, 0), expected)
      assert.strictEqual(ticker.inFlight, expected)
    }
    return { check, opened, ticker }
  })

  it.effect("is the sum, whatever ends a request", () =>
    Effect.gen(function*() {
      const { check, opened } = yield* several(2)
      const [a, b] = opened as [typeof opened[0], typeof opened[0]]
      check(0)
      const requests = [a.query("answered"), a.query("abandoned"), a.query("overdue", 300), b.query("of another")]
      check(4)
      yield* turns(3)
      check(4)
      requests[1]!.abandon()
      check(3)
      requests[1]!.abandon()
      check(3)
      a.socket.respond(requests[0]!.stream, VOID)
      yield* turns(3)
      check(2)
      // The answer of an orphan is nobody's.
      a.socket.respond(requests[1]!.stream, VOID)
      yield* turns(3)
      check(2)
      yield* TestClock.adjust(600)
      assert.strictEqual(requests[2]!.failure?.reason._tag, "RequestTimeout")
      check(1)
      a.socket.respond(requests[2]!.stream, VOID)
      yield* turns(3)
      check(1)
      a.connection.fail(new Error("x") as never)
      check(1)
      b.socket.end()
      yield* turns(3)
      assert.isFalse(b.connection.isOpen)
      check(0)
    }))

  it.effect("a heartbeat is not in flight, neither with its answer nor with its end", () =>
    Effect.gen(function*() {
      const { check, opened } = yield* several(1)
      const [{ connection, query, socket }] = opened as [typeof opened[0]]
      const request = query("slow", 20_000)
      connection.probe()
      check(1)
      yield* until(() => socket.received.length === 2)
      socket.respond(socket.received[1]!.stream, { _tag: "Supported", options: new Map() })
      yield* turns(3)
      check(1)
      connection.probe()
      check(1)
      yield* TestClock.adjust("11 seconds")
      check(1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(request.failure?.reason._tag, "RequestTimeout")
      check(0)
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual(connection.closeReason?._tag, "HeartbeatTimeout")
      check(0)
    }))

  it.effect("a handshake is, until it is answered or its connection fails", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const network = yield* Network.make
      const endpoint = { address: "10.0.0.1", port: 9042 }
      const ask = (connection: Connection) =>
        Effect.forkChild(
          Effect.exit(
            connection.request({ _tag: "Options" }, { timeoutMillis: 1_000, decoders: new RowDecoders() })
          ),
          { startImmediately: true }
        )
      for (const end of ["answer", "timeout", "interruption", "failure"]) {
        const socket = new Network.FakeSocket(endpoint, 40_000, network.defer, () => {})
        const connection = new Connection(socket, ticker, Limits.defaults, new Fake.RecordingOwner())
        const fiber = yield* ask(connection)
        assert.strictEqual(ticker.inFlight, 1)
        yield* turns(3)
        if (end === "answer") socket.respond(0, { _tag: "Supported", options: new Map() })
        else if (end === "timeout") yield* TestClock.adjust("2 seconds")
        else if (end === "interruption") yield* Fiber.interrupt(fiber)
        else socket.end()
        yield* Fiber.await(fiber)
        assert.deepStrictEqual([end, connection.inFlight, ticker.inFlight], [end, 0, 0])
        connection.fail(new Error("the end") as never)
        assert.strictEqual(ticker.inFlight, 0)
      }
    }))

  for (const seed of [1, 2, 3]) {
    it.effect(`is the sum after every step of a walk, seed ${seed}`, () =>
      Effect.gen(function*() {
        const random = new SeededRandom(seed)
        const { opened, ticker } = yield* several(3)
        const all = [...opened]
        const requests: Array<Fake.Query> = []
        const seen = new Set<string>()
        let most = 0
        for (let step = 0; step < 600; step++) {
          const at = random.below(opened.length)
          const { connection, query, socket } = opened[at]!
          const what = random.below(24)
          switch (what) {
            case 0:
              requests[random.below(requests.length)]?.abandon()
              break
            case 1:
              connection.probe()
              break
            case 2:
              yield* TestClock.adjust(random.below(400))
              break
            case 3:
              yield* TestClock.adjust(random.below(8_000))
              break
            case 4:
              // Drained: what is in flight goes on to be counted.
              yield* Effect.forkChild(connection.close("1 second"), { startImmediately: true })
              break
            case 5:
              socket.end()
              break
            case 6:
              connection.fail(new Error("x") as never)
              break
            case 7:
              // Of all that is owed to it, in an order of its own.
              for (const { request, stream } of socket.received.splice(0).toSorted(() => random.below(3) - 1)) {
                if (request._tag === "Query") socket.respond(stream, named(request.query))
                else socket.respond(stream, { _tag: "Supported", options: new Map() })
              }
              break
            default:
              for (let i = random.below(4); i > 0; i--) {
                const request = query(`request ${requests.length}`, 200 + random.below(3_000))
                if (request.stream < 0) continue
                requests.push(request)
                if (random.below(4) === 0) request.onTold = () => void requests.push(query("again", 500))
              }
          }
          if (random.below(2) === 0) yield* turns(random.below(5))
          seen.add(connection.closeReason?._tag ?? "open")
          if (!connection.isOpen) {
            opened[at] = yield* Fake.open({}, undefined, ticker)
            all.push(opened[at]!)
          }
          const sum = all.reduce((sum, { connection }) => sum + connection.inFlight, 0)
          most = Math.max(most, sum)
          assert.strictEqual(ticker.inFlight, sum, `step ${step}, after ${what}`)
        }
        assert.isAbove(most, 5)
        assert.includeMembers([...seen], ["open", "ConnectionLost"])
        for (const { connection } of all) connection.fail(new Error("the end") as never)
        assert.strictEqual(ticker.inFlight, 0)
      }))
  }
})

describe("Connection: a turn that ends with a read", () => {
  /** Connections on one ticker, each with a fiber that asks one request after the other. */
  const callers = Effect.fnUntraced(function*(count: number) {
    const ticker = yield* Ticker.make
    const all: Array<{
      readonly answers: Array<string>
      readonly connection: Connection
      readonly socket: Network.FakeSocket
    }> = []
    for (let i = 0; i < count; i++) {
      const { connection, socket } = yield* Fake.open({}, undefined, ticker)
      const answers: Array<string> = []
      const ask = Effect.map(new Staged(ticker, connection, `request ${i}`), (bytes) => {
        answers.push(bytes.subarray(bytes.length - 6).toString())
      })
      yield* Effect.forkChild(Effect.forever(ask, { disableYield: true }), { startImmediately: true })
      all.push({ answers, connection, socket })
    }
    yield* turns(3)
    for (const { socket } of all) assert.strictEqual(socket.writes.length, 1)
    const answer = ({ connection, socket }: typeof all[0], name: string) =>
      read(connection, Network.frame(socket.received.at(-1)!.stream, named(name)))
    return { all, answer, ticker }
  })

  it.effect("what the only answer in flight leads to is written within the same call", () =>
    Effect.gen(function*() {
      const { all: [only], answer } = yield* callers(1)
      const { answers, socket } = only!
      for (let i = 0; i < 10; i++) {
        answer(only!, `name ${i}`)
        assert.strictEqual(answers.length, i + 1)
        assert.strictEqual(answers[i], `name ${i}`)
        assert.strictEqual(socket.writes.length, i + 2)
        yield* until(() => socket.received.length === i + 2)
      }
    }))

  it.effect("where another connection has something in flight it is not, and all are written when the turn ends", () =>
    Effect.gen(function*() {
      const { all, answer } = yield* callers(3)
      for (const caller of all.slice(0, 2)) answer(caller, "name x")
      assert.deepStrictEqual(all.map(({ answers }) => answers.length), [0, 0, 0])
      assert.deepStrictEqual(all.map(({ socket }) => socket.writes.length), [1, 1, 1])
      yield* until(() => all[1]!.socket.writes.length === 2)
      assert.deepStrictEqual(all.map(({ answers }) => answers.length), [1, 1, 0])
      assert.deepStrictEqual(all.map(({ socket }) => socket.writes.length), [2, 2, 1])
    }))

  it.effect("an orphan and a heartbeat are nothing that would hold it up", () =>
    Effect.gen(function*() {
      const { all: [only], ticker } = yield* callers(1)
      const { connection, socket } = only!
      const other = yield* Fake.open({}, undefined, ticker)
      other.query("abandoned").abandon()
      other.connection.probe()
      yield* turns(3)
      const { stream } = socket.received.at(-1)!
      connection.probe()
      yield* turns(3)
      const writes = socket.writes.length
      read(connection, Network.frame(stream, named("name x")))
      assert.strictEqual(socket.writes.length, writes + 1)
    }))

  it.effect("who waited for room is let in before those go on who are answered", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const { connection, owner, query, socket } = yield* Fake.open({ maxInFlight: 1 }, undefined, ticker)
      const order: Array<string> = []
      yield* Effect.forkChild(
        Effect.map(new Staged(ticker, connection, "first"), () => {
          order.push(`goes on, ${connection.inFlight} in flight`)
        }),
        { startImmediately: true }
      )
      yield* until(() => socket.received.length === 1)
      connection.isAwaited = true
      Object.assign(owner, {
        onRoom: () => {
          connection.isAwaited = false
          order.push("let in")
          query("waited")
        }
      })
      read(connection, Network.frame(socket.received[0]!.stream, VOID))
      yield* until(() => socket.received.length === 2)
      assert.deepStrictEqual(order, ["let in", "goes on, 1 in flight"])
    }))

  it.effect("many answers in one read: all are resumed, and half of what they ask is written before the rest", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const { connection, socket } = yield* Fake.open({}, undefined, ticker)
      let answered = 0
      const ask = Effect.map(new Staged(ticker, connection, "request"), () => void answered++)
      for (let i = 0; i < 32; i++) {
        yield* Effect.forkChild(Effect.forever(ask, { disableYield: true }), { startImmediately: true })
      }
      yield* until(() => socket.received.length === 32)
      const at: Array<number> = []
      const write = socket.write.bind(socket)
      socket.write = (bytes, done) => {
        at.push(answered)
        return write(bytes, done)
      }
      read(connection, ...socket.received.map(({ stream }) => Network.frame(stream, named("x"))))
      // Sixteen of them are sixteen of sixteen in flight.
      assert.deepStrictEqual(at, [16, 32])
      yield* until(() => socket.received.length === 64)
    }))

  it.effect("one that is interrupted while it waits for its stage is neither sent nor resumed", () =>
    Effect.gen(function*() {
      const ticker = yield* Ticker.make
      const { connection, socket } = yield* Fake.open({}, undefined, ticker)
      const unsent = yield* Effect.forkChild(new Staged(ticker, connection, "unsent"), { startImmediately: true })
      const sent = yield* Effect.forkChild(new Staged(ticker, connection, "sent"), { startImmediately: true })
      yield* Fiber.interrupt(unsent)
      yield* until(() => socket.received.length > 0)
      assert.deepStrictEqual(socket.received.map(({ request }) => request._tag === "Query" ? request.query : ""), [
        "sent"
      ])
      const other = yield* Fake.open({}, undefined, ticker)
      other.query("in flight")
      read(connection, Network.frame(socket.received[0]!.stream, VOID))
      assert.strictEqual(connection.inFlight, 0)
      sent.interruptUnsafe()
      yield* turns(3)
      const exit = yield* Fiber.await(sent)
      assert.strictEqual(exit._tag, "Failure")
      // Its answer was there: no orphan is left of it.
      assert.strictEqual(connection.orphans, 0)
    }))
})

describe("Connection: an observer of a fiber that throws", () => {
  /** Three fibers on a connection of a loop that the test turns; the observer of the one called `thrower` throws. */
  const observed = Effect.fnUntraced(function*(thrower = "a") {
    const loop = new Loop()
    const ticker = yield* Effect.provideService(Ticker.make, Scheduler.Scheduler, loop.scheduler)
    const { connection, owner, socket } = yield* Fake.open({}, undefined, ticker)
    const ends: Array<string> = []
    for (const name of ["a", "b", "c"]) {
      const fiber = yield* Effect.forkChild(new Staged(ticker, connection, name, 1_000), { startImmediately: true })
      fiber.addObserver(({ _tag }) => {
        ends.push(`${name} ${_tag}`)
        if (name === thrower) throw new Error("thrown by an observer")
      })
    }
    loop.run()
    yield* until(() => socket.received.length === 3)
    /** The ticker works: what is asked of it is done. */
    const works = (): void => {
      let isSent = false
      ticker.send({ send: () => void (isSent = true) })
      loop.run()
      assert.isTrue(isSent)
      assert.deepStrictEqual(loop.thrown.map(String), ["Error: thrown by an observer"])
    }
    return { connection, ends, loop, owner, socket, ticker, works }
  })
  const failures = ["a Failure", "b Failure", "c Failure"]

  it.effect("when the connection is lost: all are told", () =>
    Effect.gen(function*() {
      const { connection, ends, owner, ticker, works } = yield* observed()
      connection.onClose(undefined)
      assert.deepStrictEqual(ends, failures)
      assert.strictEqual(owner.closed.length, 1)
      assert.strictEqual((yield* connection.awaitClosed)._tag, "ConnectionLost")
      assert.strictEqual(ticker.inFlight, 0)
      works()
    }))

  it.effect("when what is read is no frame: all are told, and the turn ends", () =>
    Effect.gen(function*() {
      const { connection, ends, works } = yield* observed()
      read(connection, new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"))
      assert.deepStrictEqual(ends, failures)
      works()
    }))

  it.effect("when they are overdue: all are, and the wheel goes on", () =>
    Effect.gen(function*() {
      const { connection, ends, loop, works } = yield* observed()
      for (let i = 0; i < 15; i++) {
        yield* TestClock.adjust(Ticker.TICK_MILLIS)
        loop.run()
      }
      assert.deepStrictEqual(ends, failures)
      assert.strictEqual(connection.orphans, 3)
      works()
    }))

  it.effect("when its answer cannot be read: the others are answered", () =>
    Effect.gen(function*() {
      const { connection, ends, socket, works } = yield* observed()
      const [a, b, c] = socket.received.map(({ stream }) => stream)
      read(
        connection,
        Network.frame(b!, VOID),
        Network.frame(a!, { _tag: "Ready" }),
        Network.frame(c!, VOID)
      )
      works()
      assert.deepStrictEqual(ends, ["a Failure", "b Success", "c Success"])
      assert.isTrue(connection.isOpen)
    }))

  it.effect("when they are answered: all are resumed", () =>
    Effect.gen(function*() {
      const { connection, ends, socket, works } = yield* observed()
      read(connection, ...socket.received.map(({ stream }) => Network.frame(stream, VOID)))
      works()
      assert.deepStrictEqual(ends, ["a Success", "b Success", "c Success"])
    }))

  it.effect("when somebody is let in who waited for room: the turn ends", () =>
    Effect.gen(function*() {
      const { connection, ends, owner, socket, works } = yield* observed("none of these")
      connection.isAwaited = true
      Object.assign(owner, {
        onRoom: () => {
          throw new Error("thrown by an observer")
        }
      })
      const [, second] = socket.received
      read(connection, Network.frame(second!.stream, VOID))
      works()
      assert.deepStrictEqual(ends, ["b Success"])
    }))
})
