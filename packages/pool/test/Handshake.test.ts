import type * as Authenticator from "@effect-scylla/pool/Authenticator"
import type { Connection } from "@effect-scylla/pool/Connection"
import * as Handshake from "@effect-scylla/pool/Handshake"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { fails, setup } from "./support/handshake.ts"
import * as Network from "./support/network.ts"
import { error, type FakeNode, type Options as NodeOptions } from "./support/node.ts"
import { turns, until } from "./support/turns.ts"

const credentials: Authenticator.Credentials = { username: "user", password: Redacted.make("pencil") }

describe("Handshake", () => {
  it.effect("OPTIONS, STARTUP, READY", () =>
    Effect.gen(function*() {
      const { asked, connect, network, owner, tags } = yield* setup({ shards: 8, shardAwarePort: 19_042 })
      const told: Array<string> = []
      const connection = yield* connect({ startup: { APPLICATION_NAME: "shop", DRIVER_NAME: "not mine" } }, {
        onDialed: () => void told.push("dialed"),
        onReady: (ready) => void told.push(`ready ${ready.features.shards?.nrShards}`)
      })
      assert.deepStrictEqual(tags(), ["Options", "Startup"])
      assert.isTrue(network.last.received.every(({ stream }) => stream === 0))
      const startup = asked()[1]!
      assert.deepStrictEqual(startup._tag === "Startup" ? startup.options : {}, {
        APPLICATION_NAME: "shop",
        CQL_VERSION: "3.0.0",
        DRIVER_NAME: "effect-scylla",
        DRIVER_VERSION: Handshake.driver.version
      })
      assert.deepStrictEqual(told, ["dialed", "ready 8"])
      assert.isTrue(connection.isOpen)
      assert.strictEqual(connection.features.shards?.shardAwarePort, 19_042)
      assert.deepStrictEqual(owner.closed, [])
    }))

  it.effect("STARTUP echoes the two extensions that this client reads, of what was offered, and no others", () =>
    Effect.gen(function*() {
      const { asked, connect } = yield* setup({
        shards: 2,
        supported: {
          SCYLLA_LWT_ADD_METADATA_MARK: ["LWT_OPTIMIZATION_META_BIT_MASK=2147483648"],
          SCYLLA_RATE_LIMIT_ERROR: ["ERROR_CODE=61440"],
          TABLETS_ROUTING_V1: [""],
          TABLETS_ROUTING_V2_EXPERIMENTAL: [""],
          SCYLLA_USE_METADATA_ID: [""],
          CLIENT_OPTIONS: [""]
        }
      })
      yield* connect()
      const startup = asked()[1]!
      assert.deepStrictEqual(Object.keys(startup._tag === "Startup" ? startup.options : {}).toSorted(), [
        "CQL_VERSION",
        "DRIVER_NAME",
        "DRIVER_VERSION",
        "SCYLLA_LWT_ADD_METADATA_MARK",
        "SCYLLA_RATE_LIMIT_ERROR"
      ])
    }))

  it.effect("what would change the wire format cannot be slipped in by `startup`", () =>
    Effect.gen(function*() {
      const { asked, connect } = yield* setup({ shards: 2 })
      yield* connect({
        startup: { COMPRESSION: "lz4", SCYLLA_USE_METADATA_ID: "", TABLETS_ROUTING_V1: "", NO_COMPACT: "true" }
      })
      const startup = asked()[1]!
      assert.deepStrictEqual(Object.keys(startup._tag === "Startup" ? startup.options : {}).toSorted(), [
        "CQL_VERSION",
        "DRIVER_NAME",
        "DRIVER_VERSION",
        "NO_COMPACT"
      ])
    }))

  it.effect("AUTHENTICATE is answered with PLAIN", () =>
    Effect.gen(function*() {
      const { connect, tags } = yield* setup({ authenticator: "org.apache.cassandra.auth.PasswordAuthenticator" })
      yield* connect({ credentials })
      assert.deepStrictEqual(tags(), ["Options", "Startup", "AuthResponse"])
    }))

  it.effect("bad credentials", () =>
    Effect.gen(function*() {
      const s = yield* setup({ authenticator: "org.apache.cassandra.auth.PasswordAuthenticator" })
      const reason = yield* fails(
        s,
        s.connect({ credentials: { username: "user", password: Redacted.make("secret-guess") } })
      )
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      assert.include(reason.message, "10.0.0.1:9042")
      assert.notInclude(JSON.stringify(reason), "secret-guess")
    }))

  it.effect("no credentials", () =>
    Effect.gen(function*() {
      const s = yield* setup({ authenticator: "org.apache.cassandra.auth.PasswordAuthenticator" })
      const reason = yield* fails(s, s.connect())
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      assert.include(reason.message, "password")
      assert.deepStrictEqual(s.tags(), ["Options", "Startup"])
    }))

  it.effect("the password is not sent to an authenticator that is not known", () =>
    Effect.gen(function*() {
      const s = yield* setup({ authenticator: "com.example.EvilAuthenticator" })
      const reason = yield* fails(s, s.connect({ credentials }))
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      assert.include(reason.message, "EvilAuthenticator")
      assert.deepStrictEqual(s.tags(), ["Options", "Startup"])
    }))

  it.effect("PLAIN does not answer a challenge", () =>
    Effect.gen(function*() {
      const s = yield* setup({ authenticator: "org.apache.cassandra.auth.PasswordAuthenticator" })
      s.node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "AuthResponse") return false
        socket.respond(stream, { _tag: "AuthChallenge", token: Uint8Array.of(1) })
        return true
      }
      assert.strictEqual((yield* fails(s, s.connect({ credentials })))._tag, "AuthenticationFailed")
    }))

  it.effect("a malformed SUPPORTED makes a connection without shards, with a warning", () =>
    Effect.gen(function*() {
      const { connect, logged } = yield* setup({ shards: 4, supported: { SCYLLA_NR_SHARDS: ["many"] } })
      const connection = yield* connect()
      assert.isUndefined(connection.features.shards)
      assert.strictEqual(connection.shard, 0)
      assert.isTrue(logged.some((line) => line.includes("SCYLLA_NR_SHARDS") && line.includes("10.0.0.1:9042")))
    }))

  it.effect("the keyspace is set before anybody gets the connection, quoted", () =>
    Effect.gen(function*() {
      const { asked, connect } = yield* setup()
      yield* connect({ keyspace: 'Shop"x' })
      const use = asked()[2]!
      assert.strictEqual(use._tag === "Query" ? use.query : "", 'USE "Shop""x"')
    }))

  it.effect("a keyspace that does not exist", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      const reason = yield* fails(s, s.connect({ keyspace: "missing" }))
      assert.strictEqual(reason._tag, "HandshakeFailed")
      assert.strictEqual(reason._tag === "HandshakeFailed" ? reason.error?._tag : "", "InvalidRequest")
      assert.include(reason.message, "missing")
    }))

  it.effect("registers for events", () =>
    Effect.gen(function*() {
      const { asked, connect, owner } = yield* setup()
      yield* connect({ keyspace: "ks" }, { events: ["STATUS_CHANGE", "SCHEMA_CHANGE"] })
      assert.deepStrictEqual(asked().at(-1), { _tag: "Register", events: ["STATUS_CHANGE", "SCHEMA_CHANGE"] })
      assert.deepStrictEqual(owner.closed, [])
    }))

  it.effect("evaluated twice it makes two connections", () =>
    Effect.gen(function*() {
      const { connect, network } = yield* setup()
      const dial = connect()
      const [a, b] = yield* Effect.all([dial, dial], { concurrency: 2 })
      assert.notStrictEqual(a, b)
      assert.strictEqual(network.open.length, 2)
    }))

  it.effect("limits that bound nothing: it dies of them before anybody is dialled", () =>
    Effect.gen(function*() {
      const { connect, network } = yield* setup()
      const exit = yield* Effect.exit(connect({ limits: { maxOutput: Number.NaN } }))
      assert.include(Exit.isFailure(exit) ? String(exit.cause) : "", "limits.maxOutput")
      assert.strictEqual(network.dials.length, 0)
    }))

  it.effect("a refused dial", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      s.network.judge = () => "refuse"
      const reason = yield* fails(s, s.connect())
      assert.strictEqual(reason._tag, "DialFailed")
      assert.strictEqual(reason._tag === "DialFailed" ? reason.kind : "", "Unreachable")
    }))

  it.effect("a dial that never ends", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      s.network.judge = () => "hang"
      const fiber = yield* Effect.forkChild(fails(s, s.connect({ connectTimeout: 3_000 })))
      yield* TestClock.adjust(2_999)
      assert.strictEqual(s.network.dialing, 1)
      yield* TestClock.adjust(1)
      const reason = yield* Fiber.join(fiber)
      assert.strictEqual(reason._tag, "ConnectTimeout")
      assert.include(reason.message, "3000 ms")
    }))

  for (const stage of ["Options", "Startup", "AuthResponse", "Query", "Register"] as const) {
    const options: NodeOptions = { shards: 2, authenticator: "com.scylladb.auth.TransitionalAuthenticator" }
    const session: Partial<Handshake.Session> = { credentials, keyspace: "ks", handshakeTimeout: 4_000 }
    const events = { events: ["SCHEMA_CHANGE"] as const }
    /** Does something else than the node would when it is asked this. */
    const instead = (node: FakeNode, act: (socket: Network.FakeSocket, stream: number) => void): void => {
      node.intercept = (socket, { request, stream }) => {
        if (request._tag !== stage) return false
        act(socket, stream)
        return true
      }
    }

    it.effect(`no answer to ${stage}`, () =>
      Effect.gen(function*() {
        const s = yield* setup(options)
        instead(s.node, () => {})
        const fiber = yield* Effect.forkChild(fails(s, s.connect(session, events)))
        yield* TestClock.adjust(3_999)
        assert.strictEqual(s.network.open.length, 1)
        yield* TestClock.adjust(1)
        const reason = yield* Fiber.join(fiber)
        assert.strictEqual(reason._tag, "ConnectTimeout")
        assert.include(reason.message, "4000 ms")
      }))

    it.effect(`the server closes instead of answering ${stage}`, () =>
      Effect.gen(function*() {
        const s = yield* setup(options)
        instead(s.node, (socket) => socket.end())
        const reason = yield* fails(s, s.connect(session, events))
        assert.strictEqual(reason._tag, "ConnectionLost")
        assert.strictEqual(s.owner.closed[0], reason)
      }))

    it.effect(`garbage instead of an answer to ${stage}`, () =>
      Effect.gen(function*() {
        const s = yield* setup(options)
        instead(s.node, (socket) => socket.send(new TextEncoder().encode("SSH-2.0-OpenSSH_9.6\r\n")))
        assert.strictEqual((yield* fails(s, s.connect(session, events)))._tag, "ProtocolViolation")
      }))

    it.effect(`an answer to ${stage} that cannot be read`, () =>
      Effect.gen(function*() {
        const s = yield* setup(options)
        instead(s.node, (socket, stream) => {
          const bytes = Network.frame(stream, { _tag: "Supported", options: new Map([["a", ["b"]]]) })
          bytes[9 + 1] = 77
          socket.send(bytes)
        })
        const reason = yield* fails(s, s.connect(session, events))
        assert.include(["MalformedResponse", "HandshakeFailed"], reason._tag)
      }))

    it.effect(`an error instead of an answer to ${stage}`, () =>
      Effect.gen(function*() {
        const s = yield* setup(options)
        instead(s.node, (socket, stream) => socket.respond(stream, error("Overloaded", "not now")))
        const reason = yield* fails(s, s.connect(session, events))
        assert.strictEqual(reason._tag, "HandshakeFailed")
        assert.include(reason.message, "not now")
      }))

    it.effect(`an answer of another kind to ${stage}`, () =>
      Effect.gen(function*() {
        const s = yield* setup(options)
        instead(s.node, (socket, stream) => socket.respond(stream, { _tag: "Void" }))
        assert.strictEqual((yield* fails(s, s.connect(session, events)))._tag, "HandshakeFailed")
      }))

    it.effect(`interruption while ${stage} is not answered leaves nothing open`, () =>
      Effect.gen(function*() {
        const s = yield* setup(options)
        let isAsked = false
        instead(s.node, () => {
          isAsked = true
        })
        const fiber = yield* Effect.forkChild(s.connect(session, events))
        yield* until(() => isAsked)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(s.network.open.length, 0)
        assert.strictEqual(s.owner.closed.length, 1)
      }))
  }

  it.effect("interruption after any number of turns leaves nothing open but what was handed out", () =>
    Effect.gen(function*() {
      let made = 0
      for (let count = 0; count < 40; count++) {
        const s = yield* setup({ shards: 2 })
        const fiber = yield* Effect.forkChild(s.connect({ keyspace: "ks" }))
        yield* turns(count)
        yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        if (Exit.isSuccess(exit)) made++
        yield* turns()
        assert.strictEqual(s.network.open.length, Exit.isSuccess(exit) ? 1 : 0, `after ${count} turns`)
        assert.strictEqual(s.network.dialing, 0)
      }
      assert.isAbove(made, 0)
      assert.isBelow(made, 40)
    }))

  it.effect("a server that closes right behind its last answer", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      s.node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "Startup") return false
        socket.respond(stream, { _tag: "Ready" })
        socket.end()
        return true
      }
      const ready: Array<Connection> = []
      const exit = yield* Effect.exit(s.connect({}, { onReady: (connection) => void ready.push(connection) }))
      yield* turns()
      assert.strictEqual(s.network.open.length, 0)
      // Whoever was told of the connection is told of its end, afterwards.
      assert.strictEqual(s.owner.closed.length, 1)
      assert.strictEqual(ready.length, Exit.isSuccess(exit) ? 1 : 0)
    }))

  it.effect("a server that closes while its last word is being checked", () =>
    Effect.gen(function*() {
      const s = yield* setup({ authenticator: "com.example.TokenAuthenticator" })
      s.node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "AuthResponse") return false
        socket.respond(stream, { _tag: "AuthSuccess", token: null })
        socket.end()
        return true
      }
      const ready: Array<Connection> = []
      const authenticator: Authenticator.Authenticator = {
        begin: () =>
          Effect.succeed({
            initial: null,
            respond: () => Effect.succeed(null),
            success: () => Effect.sleep("1 second")
          })
      }
      const connecting = yield* Effect.forkChild(
        fails(s, s.connect({ authenticator }, { onReady: (connection) => void ready.push(connection) })),
        { startImmediately: true }
      )
      yield* until(() => s.owner.closed.length === 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(connecting))._tag, "ConnectionLost")
      assert.deepStrictEqual(ready, [])
    }))

  it.effect("a server that is slow but within the timeouts", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      const late: Array<() => void> = []
      s.node.intercept = (socket, received) => {
        late.push(() => s.node.answer(socket, received))
        return true
      }
      const fiber = yield* Effect.forkChild(s.connect({ keyspace: "ks" }))
      for (let i = 0; i < 3; i++) {
        yield* until(() => late.length === 1)
        yield* TestClock.adjust(1_500)
        late.pop()!()
      }
      assert.isTrue((yield* Fiber.join(fiber)).isOpen)
    }))
})
