import { lz4 } from "@effect-scylla/protocol/Compression"
import * as Frame from "@effect-scylla/protocol/Frame"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Fake from "./support/connection.ts"
import * as Network from "./support/network.ts"
import { error } from "./support/node.ts"
import { turns, until } from "./support/turns.ts"

const { VOID, echo, named } = Fake

const header = (stream: number, opcode: number, length: number, version = 0x84): Uint8Array => {
  const bytes = Buffer.alloc(9)
  bytes[0] = version
  bytes.writeInt16BE(stream, 2)
  bytes[4] = opcode
  bytes.writeInt32BE(length, 5)
  return bytes
}

describe("Connection: a peer that breaks the protocol", () => {
  /** Two requests in flight, one orphan; what `attack` sends ends the connection for all of them alike. */
  const ends = (
    name: string,
    tag: string,
    attack: (socket: Network.FakeSocket, streams: ReadonlyArray<number>) => void,
    text?: string
  ) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        const { connection, owner, query, socket } = yield* Fake.open()
        const requests = [query("a"), query("b")]
        const orphan = query("c")
        yield* until(() => socket.received.length === 3)
        orphan.abandon()
        const unsent = query("d")
        attack(socket, requests.map(({ stream }) => stream))
        // In the same turn as the attack arrives.
        yield* until(() => !connection.isOpen)
        const reason = connection.closeReason!
        assert.strictEqual(reason._tag, tag)
        if (text !== undefined) assert.include(reason.message, text)
        assert.include(reason.message, "10.0.0.1")
        for (const request of [...requests, unsent]) {
          const failure = request.told.at(-1)
          if (typeof failure !== "object") assert.fail("no failure")
          assert.strictEqual(failure.reason, reason)
        }
        assert.strictEqual(orphan.told.length, 0)
        assert.deepStrictEqual(owner.closed, [reason])
        assert.isTrue(socket.isDestroyed)
        yield* turns()
        assert.strictEqual(yield* connection.awaitClosed, reason)
        assert.deepStrictEqual(owner.closed, [reason])
        assert.strictEqual(connection.inFlight, 0)
        assert.strictEqual(query("refused").stream, -1)
        for (const request of requests) assert.strictEqual(request.told.length, 1)
      }))

  ends("an answer on an id that was never issued", "ProtocolViolation", (socket) => socket.respond(77, VOID), "77")
  ends("an answer on an id above all tables", "ProtocolViolation", (socket) => socket.respond(30_000, VOID))
  ends("an answer on a negative id", "ProtocolViolation", (socket) => socket.respond(-5, VOID))
  ends("an answer that is no event on the events' id", "ProtocolViolation", (socket) => socket.respond(-1, VOID))
  ends(
    "an error on stream 0 is the connection's, and its text is kept",
    "ProtocolViolation",
    (socket) => socket.respond(0, error("ProtocolError", "Invalid message version")),
    "Invalid message version"
  )
  ends(
    "an unreadable error on stream 0 is the connection's too",
    "ProtocolViolation",
    (socket) => socket.send(header(0, Frame.Opcode.ERROR, 0))
  )
  ends("a request from the server", "ProtocolViolation", (socket) => socket.send(header(1, 5, 0, 0x04)), "request")
  ends(
    "an answer in another version",
    "ProtocolViolation",
    (socket, [stream]) => socket.send(header(stream!, Frame.Opcode.READY, 0, 0x83)),
    "version 3"
  )
  ends(
    "text of another protocol",
    "ProtocolViolation",
    (socket) => socket.send(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"))
  )
  ends(
    "a frame over the bound",
    "ProtocolViolation",
    (socket, [stream]) => socket.send(header(stream!, Frame.Opcode.RESULT, 0x7fffffff)),
    "2147483647"
  )
  ends(
    "a frame of negative length",
    "ProtocolViolation",
    (socket, [stream]) => socket.send(header(stream!, Frame.Opcode.RESULT, -1))
  )
  ends("the peer closes", "ConnectionLost", (socket) => socket.end(), "closed")
  ends("the peer resets", "ConnectionLost", (socket) => socket.end(new Error("read ECONNRESET")), "ECONNRESET")
  ends("the peer closes in the middle of a frame", "ConnectionLost", (socket, [stream]) => {
    socket.send(Network.frame(stream!, named("never complete")).subarray(0, 14))
    socket.end()
  })

  it.effect("the bound of an answer is the one that was set", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({ maxFrame: 1_000 })
      socket.onRequest = echo
      const small = query("x".repeat(900))
      yield* until(() => small.told.length === 1)
      const large = query("x".repeat(1_100))
      yield* until(() => large.told.length === 1)
      assert.strictEqual(large.failure?.reason._tag, "ProtocolViolation")
      assert.include(connection.closeReason!.message, "1000")
    }))

  it.effect("a body that cannot be decompressed: an event says nothing, and the last answer ends a drain", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({}, { version: 4, compressor: lz4 })
      /** With the flag of compression, and a body that promises more than there is. */
      const broken = (stream: number, opcode: number): Uint8Array => {
        const bytes = Buffer.concat([header(stream, opcode, 6), Buffer.from([0, 0, 0, 200, 0xff, 0xff])])
        bytes[1] = Frame.Flags.COMPRESSION
        return bytes
      }
      socket.send(broken(-1, Frame.Opcode.EVENT))
      yield* turns(3)
      assert.isTrue(connection.isOpen)
      const last = query("last")
      yield* turns(2)
      const closing = yield* Effect.forkChild(connection.close("1 minute"), { startImmediately: true })
      socket.send(broken(last.stream, Frame.Opcode.RESULT))
      yield* Fiber.join(closing)
      assert.strictEqual(last.failure?.reason._tag, "MalformedResponse")
      // Nobody asked: that is not a matter of one request.
      const other = yield* Fake.open({}, { version: 4, compressor: lz4 })
      other.socket.send(broken(77, Frame.Opcode.RESULT))
      yield* until(() => !other.connection.isOpen)
      assert.strictEqual(other.connection.closeReason?._tag, "ProtocolViolation")
    }))

  it.effect("an answer that comes twice closes the connection", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const first = query("a")
      const second = query("b")
      yield* until(() => socket.received.length === 2)
      socket.respond(first.stream, named("a"))
      yield* until(() => first.told.length === 1)
      // Somebody new is in flight: it must not get the second copy.
      const third = query("c")
      socket.respond(first.stream, named("a"))
      yield* until(() => !connection.isOpen)
      assert.strictEqual(connection.closeReason?._tag, "ProtocolViolation")
      assert.deepStrictEqual([first, second, third].map(({ told }) => told.length), [1, 1, 1])
      assert.strictEqual(second.failure?.reason, connection.closeReason)
      assert.strictEqual(third.failure?.reason, connection.closeReason)
    }))

  it.effect("what follows a broken frame in the same chunk is not looked at", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("a")
      yield* until(() => socket.received.length === 1)
      socket.send(Buffer.concat([Network.frame(77, VOID), Network.frame(request.stream, named("a"))]))
      yield* until(() => !connection.isOpen)
      assert.strictEqual(request.told.length, 1)
      assert.strictEqual(request.failure?.reason._tag, "ProtocolViolation")
    }))

  it.effect("an answer that cannot be read fails its own request only", () =>
    Effect.gen(function*() {
      const { connection, socket } = yield* Fake.open()
      const ask = (query: string) =>
        connection.request({ _tag: "Query", query, options: { consistency: "ONE" } }, {
          timeoutMillis: 1_000,
          decoders: new RowDecoders()
        })
      const bad = [
        header(1, Frame.Opcode.RESULT, 0),
        Buffer.concat([header(1, Frame.Opcode.RESULT, 4), Buffer.from([0, 0, 0, 99])]),
        Buffer.concat([header(1, Frame.Opcode.ERROR, 2), Buffer.from([0, 0])]),
        header(1, 0x77, 0)
      ]
      for (const bytes of bad) {
        const first = yield* Effect.forkChild(Effect.flip(ask("bad")), { startImmediately: true })
        const second = yield* Effect.forkChild(ask("good"), { startImmediately: true })
        yield* until(() => socket.received.length === 2)
        const [one, two] = socket.received.splice(0) as [Network.Received, Network.Received]
        const frame = Buffer.from(bytes)
        frame.writeInt16BE(one.stream, 2)
        socket.send(frame)
        socket.respond(two.stream, named("good"))
        assert.strictEqual((yield* Fiber.join(first)).reason._tag, "MalformedResponse")
        assert.strictEqual((yield* Fiber.join(second)).response._tag, "SetKeyspace")
      }
      assert.isTrue(connection.isOpen)
      assert.strictEqual(connection.inFlight, 0)
    }))

  it.effect("`sent` is false for frames that were not given to the socket, and only for those", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const before = query("flushed")
      yield* turns(2)
      const held = query("flushed to a socket that takes nothing")
      socket.taking = false
      yield* turns(2)
      const after = query("not flushed")
      const { write } = socket
      let writes = 0
      socket.write = (...args) => {
        writes++
        return write.apply(socket, args)
      }
      connection.fail(new Error("x") as never)
      assert.deepStrictEqual([before, held, after].map(({ failure }) => failure?.sent), [true, true, false])
      // And it is not given to it afterwards.
      yield* turns()
      assert.strictEqual(writes, 0)
    }))

  it.effect("a peer that takes no bytes for long ends the connection; one that is slow does not", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open({ writeTimeout: 15_000 })
      socket.onRequest = echo
      socket.taking = false
      const requests = [query("a", 600_000)]
      yield* TestClock.adjust("10 seconds")
      requests.push(query("b", 600_000), query("c", 600_000))
      yield* turns(2)
      requests.push(query("d", 600_000))
      yield* TestClock.adjust("4 seconds")
      // It has taken one of them after 14 seconds, and the next after 12 more.
      socket.drain(1)
      yield* TestClock.adjust("12 seconds")
      socket.drain(1)
      yield* TestClock.adjust("14 seconds")
      assert.isTrue(connection.isOpen)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(connection.closeReason?._tag, "ConnectionLost")
      assert.match(connection.closeReason!.message, /does not read/)
      assert.strictEqual(owner.closed.length, 1)
      assert.deepStrictEqual(requests.map(({ told }) => told.length), [1, 1, 1, 1])
      // A socket that holds nothing is not stalled.
      const idle = yield* Fake.open({ writeTimeout: 1_000 })
      idle.socket.onRequest = echo
      yield* TestClock.adjust("1 minute")
      assert.isTrue(idle.connection.isOpen)
    }))

  it.effect("the time of a peer that takes no bytes begins with the first that it did not take", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open({ writeTimeout: 15_000 })
      socket.onRequest = echo
      yield* TestClock.adjust("10 minutes")
      socket.taking = false
      query("late", 600_000)
      yield* TestClock.adjust("14 seconds")
      assert.isTrue(connection.isOpen)
      yield* TestClock.adjust("2 seconds")
      assert.match(connection.closeReason?.message ?? "", /does not read/)
    }))

  it.effect("the owner is told of the end before anybody is who might ask for a connection again", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open()
      const requests = [query("a"), query("b")]
      const before: Array<number> = []
      for (const request of requests) request.onTold = () => before.push(owner.closed.length)
      yield* turns(2)
      socket.end()
      yield* until(() => !connection.isOpen)
      assert.deepStrictEqual(before, [1, 1])
    }))

  it.effect("a socket that throws while it is written to fails the connection, not the process", () =>
    Effect.gen(function*() {
      const { connection, query, socket } = yield* Fake.open()
      const request = query("x")
      socket.write = () => {
        throw new Error("broken transport")
      }
      yield* until(() => request.told.length === 1)
      assert.strictEqual(request.failure?.reason._tag, "ConnectionLost")
      assert.isTrue(request.failure?.sent)
      assert.isFalse(connection.isOpen)
    }))
})

describe("Connection: events", () => {
  it.effect("reach the owner; those that cannot be read, or are not known, do no harm", () =>
    Effect.gen(function*() {
      const { connection, owner, query, socket } = yield* Fake.open()
      const address = Uint8Array.of(10, 0, 0, 2)
      socket.respond(-1, { _tag: "NodeEvent", type: "STATUS_CHANGE", change: "UP", address, port: 9042 })
      socket.send(header(-1, Frame.Opcode.EVENT, 0))
      socket.send(Buffer.concat([header(-1, Frame.Opcode.EVENT, 3), Buffer.from([0, 200, 1])]))
      socket.respond(-1, { _tag: "NodeEvent", type: "TOPOLOGY_CHANGE", change: "NEW_NODE", address, port: 9042 })
      yield* until(() => owner.events.length === 2)
      assert.deepStrictEqual(owner.events.map(({ _tag }) => _tag), ["StatusChange", "TopologyChange"])
      assert.isTrue(connection.isOpen)
      socket.onRequest = echo
      const request = query("still here")
      yield* until(() => request.told.length === 1)
    }))
})
