import * as Authenticator from "@effect-scylla/pool/Authenticator"
import type { Connection } from "@effect-scylla/pool/Connection"
import { AuthenticationFailed } from "@effect-scylla/pool/PoolError"
import { ProtocolVersions } from "@effect-scylla/pool/ProtocolVersions"
import type * as Request from "@effect-scylla/protocol/Request"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted } from "effect"
import { fails, setup } from "./support/handshake.ts"
import { error, HOST_ID, type Options as NodeOptions } from "./support/node.ts"
import { turns, until } from "./support/turns.ts"

/** Apache Cassandra 5, and 3.11 with its beta of v5. */
const cassandra5: NodeOptions = {
  versions: [3, 4, 5],
  supported: { PROTOCOL_VERSIONS: ["3/v3", "4/v4", "5/v5", "6/v6-beta"] }
}
const cassandra3: NodeOptions = {
  versions: [3, 4],
  supported: { PROTOCOL_VERSIONS: ["3/v3", "4/v4", "5/v5-beta"] }
}

const ask = (connection: Connection, request: Request.Request) =>
  Effect.map(
    connection.request(request, { timeoutMillis: 1_000, decoders: new RowDecoders() }),
    ({ response }) => response
  )

const query = (text: string): Request.Request => ({ _tag: "Query", query: text, options: { consistency: "ONE" } })

/** The version of each message that the servers got, by connection. */
const spoken = ({ network }: Effect.Success<ReturnType<typeof setup>>) =>
  network.sockets.map((socket) => socket.received.map(({ request, version }) => `${request._tag} ${version}`))

describe("version", () => {
  it.effect("v5 where it is offered: OPTIONS as v4, STARTUP as v5 on the same connection", () =>
    Effect.gen(function*() {
      const s = yield* setup(cassandra5)
      const connection = yield* s.connect()
      assert.deepStrictEqual(spoken(s), [["Options 4", "Startup 5"]])
      assert.strictEqual(connection.dialect.version, 5)
      assert.isTrue(connection.dialect.metadataIds)
      assert.strictEqual((yield* ask(connection, query("SELECT")))._tag, "Void")
      assert.isFalse(s.network.last.framing.isPlain, "in segments")
    }))

  it.effect("v4 without the key, v4 where v5 is beta", () =>
    Effect.gen(function*() {
      for (const options of [{}, { shards: 2 }, cassandra3]) {
        const s = yield* setup(options)
        const connection = yield* s.connect()
        assert.strictEqual(connection.dialect.version, 4)
        assert.deepStrictEqual(spoken(s), [["Options 4", "Startup 4"]])
        assert.isTrue(s.network.last.framing.isPlain)
      }
    }))

  it.effect("v5 on a new connection where the server does not change within one, and at once the next time", () =>
    Effect.gen(function*() {
      const s = yield* setup({ ...cassandra5, isStrict: true })
      const versions = new ProtocolVersions()
      const connection = yield* s.connect({ versions })
      assert.deepStrictEqual(spoken(s), [["Options 4", "Startup 5"], ["Options 5", "Startup 5"]])
      assert.strictEqual(connection.dialect.version, 5)
      yield* s.connect({ versions })
      assert.deepStrictEqual(spoken(s)[2], ["Options 5", "Startup 5"])
      yield* turns()
      assert.strictEqual(s.network.open.length, 2)
    }))

  it.effect("a server that refuses also what is in one version from its first message on: that is the end of it", () =>
    Effect.gen(function*() {
      const s = yield* setup(cassandra5)
      s.node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "Startup") return false
        const message = "Invalid message version. Got 5 but previous messages on this connection had version 4"
        socket.respond(stream, error("ProtocolError", message))
        return true
      }
      // The server does not hang up: the connections that are of no use are closed by this side.
      assert.strictEqual((yield* fails(s, s.connect()))._tag, "HandshakeFailed")
      assert.deepStrictEqual(spoken(s), [["Options 4", "Startup 5"], ["Options 5", "Startup 5"]])
    }))

  it.effect("a server that offers v5 and refuses it is spoken to in v4", () =>
    Effect.gen(function*() {
      const s = yield* setup({ ...cassandra5, versions: [3, 4] })
      const connection = yield* s.connect()
      assert.deepStrictEqual(spoken(s).map((asked) => asked.length), [2, 2])
      assert.strictEqual(connection.dialect.version, 4)
      yield* turns()
      assert.strictEqual(s.network.open.length, 1)
    }))

  it.effect("v3 only where the server says by its error that it knows no v4", () =>
    Effect.gen(function*() {
      const s = yield* setup({ versions: [3] })
      const versions = new ProtocolVersions()
      const connection = yield* s.connect({ versions })
      assert.strictEqual(connection.dialect.version, 3)
      assert.deepStrictEqual(spoken(s), [["Options 4"], ["Options 3", "Startup 3"]])
      assert.strictEqual((yield* ask(connection, query("SELECT")))._tag, "Void")
      yield* s.connect({ versions })
      assert.deepStrictEqual(spoken(s)[2], ["Options 3", "Startup 3"])
    }))

  it.effect("a lost connection never lowers the version", () =>
    Effect.gen(function*() {
      for (const tag of ["Options", "Startup"]) {
        const s = yield* setup(cassandra5)
        const versions = new ProtocolVersions()
        s.node.intercept = (socket, { request }) => {
          if (request._tag !== tag) return false
          socket.end()
          return true
        }
        assert.strictEqual((yield* fails(s, s.connect({ versions })))._tag, "ConnectionLost")
        assert.strictEqual(s.network.sockets.length, 1)
        assert.isUndefined(versions.agreed)
        s.node.intercept = () => false
        assert.strictEqual((yield* s.connect({ versions })).dialect.version, 5)
      }
    }))

  it.effect("a protocol error about something else lowers nothing", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      s.node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "Startup") return false
        socket.respond(stream, error("ProtocolError", "Unknown compression algorithm: zstd"))
        return true
      }
      assert.strictEqual((yield* fails(s, s.connect()))._tag, "HandshakeFailed")
      assert.strictEqual(s.network.sockets.length, 1)
    }))

  it.effect("the first connection decides for the cluster; a node that disagrees is reported once, and used", () =>
    Effect.gen(function*() {
      const versions = new ProtocolVersions()
      const a = yield* setup(cassandra5)
      yield* a.connect({ versions })
      assert.strictEqual(versions.agreed, 5)
      const b = yield* setup(cassandra3)
      const old = yield* b.connect({ versions })
      yield* b.connect({ versions })
      assert.strictEqual(old.dialect.version, 4)
      assert.strictEqual(versions.agreed, 5)
      assert.deepStrictEqual([...versions.disagreeing], [["10.0.0.1:9042", 4]])
      assert.strictEqual(b.logged.filter((line) => /v4 and not v5/.test(line)).length, 1)
      // It was upgraded.
      yield* a.connect({ versions })
      assert.strictEqual(versions.disagreeing.size, 0)
      // The other way round nobody disagrees: what the cluster began with is kept.
      const kept = new ProtocolVersions()
      yield* b.connect({ versions: kept })
      assert.strictEqual((yield* a.connect({ versions: kept })).dialect.version, 4)
    }))

  it.effect("a version that is wished for, and no other", () =>
    Effect.gen(function*() {
      for (const version of [3, 4, 5] as const) {
        const s = yield* setup(cassandra5)
        assert.strictEqual((yield* s.connect({ wishes: { version } })).dialect.version, version)
      }
      const s = yield* setup({ shards: 2 })
      const reason = yield* fails(s, s.connect({ wishes: { version: 5 } }))
      assert.strictEqual(reason._tag, "HandshakeFailed")
      assert.match(reason.message, /v5/)
      const old = yield* setup({ versions: [3] })
      assert.strictEqual((yield* fails(old, old.connect({ wishes: { version: 4 } })))._tag, "HandshakeFailed")
      const wrong = yield* setup(cassandra5)
      const snappy = yield* fails(wrong, wrong.connect({ wishes: { version: 5, compression: "snappy" } }))
      assert.match(snappy.message, /Snappy/)
    }))
})

describe("compression", () => {
  const long = "SELECT ".repeat(100)

  for (const compression of ["lz4", "snappy"] as const) {
    for (const version of [3, 4, 5] as const) {
      if (compression === "snappy" && version === 5) continue
      it.effect(`${compression} on v${version}`, () =>
        Effect.gen(function*() {
          const s = yield* setup({
            ...cassandra5,
            authenticator: "org.apache.cassandra.auth.PasswordAuthenticator"
          })
          const connection = yield* s.connect({
            wishes: { version, compression },
            credentials: { username: "user", password: Redacted.make("pencil") }
          })
          assert.strictEqual(connection.compression, compression)
          const startup = s.asked()[1]!
          assert.strictEqual(startup._tag === "Startup" ? startup.options["COMPRESSION"] : "", compression)
          s.node.intercept = (socket, { request, stream }) => {
            if (request._tag !== "Query") return false
            socket.respond(stream, { _tag: "SetKeyspace", keyspace: request.query })
            return true
          }
          const before = s.network.last.writes.reduce((sum, bytes) => sum + bytes, 0)
          const answer = yield* ask(connection, query(long))
          assert.deepStrictEqual(answer, { _tag: "SetKeyspace", keyspace: long })
          assert.isBelow(s.network.last.writes.reduce((sum, bytes) => sum + bytes, 0) - before, long.length / 2)
        }))
    }
  }

  it.effect("snappy is worth more than v5; what is not offered is done without", () =>
    Effect.gen(function*() {
      const s = yield* setup(cassandra5)
      const connection = yield* s.connect({ wishes: { compression: "snappy" } })
      assert.strictEqual(connection.dialect.version, 4)
      assert.strictEqual(connection.compression, "snappy")
      const none = yield* setup({ supported: { COMPRESSION: [] } })
      assert.isUndefined((yield* none.connect({ wishes: { compression: "lz4" } })).compression)
    }))

  it.effect("many requests of one turn, one of them larger than a segment", () =>
    Effect.gen(function*() {
      for (const compression of ["none", "lz4"] as const) {
        const s = yield* setup(cassandra5)
        const connection = yield* s.connect({ wishes: { compression } })
        s.node.intercept = (socket, { request, stream }) => {
          if (request._tag !== "Query") return false
          socket.respond(stream, { _tag: "SetKeyspace", keyspace: String(request.query.length) })
          return true
        }
        const sizes = [1, 300_000, 17, 131_072 - 60, 2, ...Array.from({ length: 200 }, (_, i) => i)]
        const answers = yield* Effect.forEach(sizes, (size) => ask(connection, query("x".repeat(size))), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          answers.map((answer) => answer._tag === "SetKeyspace" ? Number(answer.keyspace) : -1),
          sizes
        )
      }
    }))

  it.effect("a body that cannot be decompressed fails its own request only", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      const connection = yield* s.connect({ wishes: { compression: "lz4" } })
      s.node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "Query" || request.query !== "broken") return false
        // RESULT with the compression flag, and an lz4 body that promises more than there is.
        socket.send(Uint8Array.of(0x84, 1, stream >> 8, stream, 8, 0, 0, 0, 6, 0, 0, 0, 200, 0xff, 0xff))
        return true
      }
      const [broken, sound] = yield* Effect.all([
        Effect.exit(ask(connection, query("broken"))),
        Effect.exit(ask(connection, query("sound")))
      ], { concurrency: 2 })
      assert.isTrue(Exit.isFailure(broken!))
      assert.strictEqual(
        broken!._tag === "Failure" && broken!.cause.reasons[0]?._tag === "Fail"
          ? broken!.cause.reasons[0].error.reason._tag
          : "",
        "MalformedResponse"
      )
      assert.isTrue(Exit.isSuccess(sound!))
      assert.isTrue(connection.isOpen)
      assert.strictEqual(connection.inFlight, 0)
    }))

  it.effect("a segment that is damaged ends the connection", () =>
    Effect.gen(function*() {
      const s = yield* setup(cassandra5)
      const connection = yield* s.connect()
      s.network.last.send(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
      yield* until(() => !connection.isOpen)
      assert.strictEqual(connection.closeReason?._tag, "ProtocolViolation")
    }))
})

describe("extensions", () => {
  it.effect("are asked for only where the session knows them and the server offers them", () =>
    Effect.gen(function*() {
      const supported = {
        SCYLLA_USE_METADATA_ID: [""],
        TABLETS_ROUTING_V1: [""],
        TABLETS_ROUTING_V2_EXPERIMENTAL: [""]
      }
      const s = yield* setup({ shards: 2, supported })
      const connection = yield* s.connect({ wishes: { metadataIds: true, tablets: "v2" } })
      const startup = s.asked()[1]!
      const keys = startup._tag === "Startup" ? Object.keys(startup.options) : []
      assert.includeMembers(keys, ["SCYLLA_USE_METADATA_ID", "TABLETS_ROUTING_V2_EXPERIMENTAL"])
      assert.notInclude(keys, "TABLETS_ROUTING_V1")
      assert.isTrue(connection.dialect.metadataIds)
      assert.isTrue(connection.dialect.tabletVersions)
      const without = yield* setup({ shards: 2 })
      assert.isFalse((yield* without.connect({ wishes: { metadataIds: true } })).dialect.metadataIds)
    }))
})

describe("STARTUP", () => {
  const session = { clientId: "c-1", sessionId: "s-1", driverConfig: '{"version":1}' }

  it.effect("says who the client is; its configuration on control connections only", () =>
    Effect.gen(function*() {
      const s = yield* setup({ supported: { DRIVER_CONFIG: [""] } })
      yield* s.connect({ ...session, startup: { APPLICATION_NAME: "shop", SESSION_ID: "not mine" } })
      yield* s.connect(session, { events: ["STATUS_CHANGE"] })
      const [plain, control] = s.asked().filter(({ _tag }) => _tag === "Startup")
      assert.deepStrictEqual(plain?._tag === "Startup" ? plain.options : {}, {
        APPLICATION_NAME: "shop",
        CLIENT_ID: "c-1",
        CQL_VERSION: "3.0.0",
        DRIVER_NAME: "effect-scylla",
        DRIVER_VERSION: "0.1.0",
        SESSION_ID: "s-1"
      })
      assert.strictEqual(control?._tag === "Startup" ? control.options["DRIVER_CONFIG"] : "", '{"version":1}')
    }))

  it.effect("the configuration goes under the name that is offered, and nowhere where none is", () =>
    Effect.gen(function*() {
      for (const name of ["CLIENT_OPTIONS", undefined]) {
        const s = yield* setup(name === undefined ? {} : { supported: { [name]: [""] } })
        yield* s.connect(session, { events: ["STATUS_CHANGE"] })
        const startup = s.asked().find(({ _tag }) => _tag === "Startup")
        const options = startup?._tag === "Startup" ? startup.options : {}
        const sent = Object.entries(options).filter(([, value]) => value === session.driverConfig)
        assert.deepStrictEqual(sent.map(([key]) => key), name === undefined ? [] : [name])
      }
    }))

  it.effect("a configuration that is too long is refused before anybody is dialled", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      const reason = yield* fails(s, s.connect({ driverConfig: "x".repeat(40_000) }))
      assert.match(reason.message, /40000/)
      // Bytes, not characters.
      const wide = yield* fails(s, s.connect({ driverConfig: "å".repeat(20_000) }))
      assert.match(wide.message, /40000/)
      assert.strictEqual(s.network.dials.length, 0)
    }))

  it.effect("the configuration has one way in, and its bound", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      yield* s.connect({ startup: { DRIVER_CONFIG: "x".repeat(40_000), CLIENT_OPTIONS: "y" } })
      const startup = s.asked().find(({ _tag }) => _tag === "Startup")
      assert.notProperty(startup?._tag === "Startup" ? startup.options : {}, "DRIVER_CONFIG")
      assert.notProperty(startup?._tag === "Startup" ? startup.options : {}, "CLIENT_OPTIONS")
    }))
})

describe("who is at the address", () => {
  it.effect("the host id that SUPPORTED names, without another question", () =>
    Effect.gen(function*() {
      const hostId = "abcdef01-2222-3333-4444-555555555555"
      const s = yield* setup({ supported: { SCYLLA_HOST_ID: [hostId] } })
      yield* s.connect({}, { expect: { hostId: hostId.toUpperCase() } })
      assert.deepStrictEqual(s.tags(), ["Options", "Startup"])
      const other = yield* setup({ supported: { SCYLLA_HOST_ID: [HOST_ID] } })
      const reason = yield* fails(other, other.connect({}, { expect: { hostId: HOST_ID.replaceAll("1", "9") } }))
      assert.strictEqual(reason._tag, "WrongNode")
    }))

  it.effect("the host id and the cluster's name that system.local has", () =>
    Effect.gen(function*() {
      const s = yield* setup({ clusterName: "production" })
      yield* s.connect({}, { expect: { hostId: HOST_ID, clusterName: "production" } })
      assert.deepStrictEqual(s.tags(), ["Options", "Startup", "Query"])
      const other = yield* setup({ clusterName: "staging" })
      const cluster = yield* fails(other, other.connect({}, { expect: { clusterName: "production" } }))
      assert.strictEqual(cluster._tag, "WrongNode")
      assert.match(cluster.message, /staging.*production/)
      const host = yield* setup({ hostId: HOST_ID.replaceAll("1", "9") })
      assert.strictEqual((yield* fails(host, host.connect({}, { expect: { hostId: HOST_ID } })))._tag, "WrongNode")
    }))

  it.effect("a server that does not say who it is, is not the one that is meant", () =>
    Effect.gen(function*() {
      const s = yield* setup()
      s.node.intercept = (socket, { request, stream }) => {
        if (request._tag !== "Query") return false
        socket.respond(stream, { _tag: "Rows", columns: [], rows: [] })
        return true
      }
      const reason = yield* fails(s, s.connect({}, { expect: { hostId: HOST_ID } }))
      assert.strictEqual(reason._tag, "WrongNode")
      assert.match(reason.message, /does not say/)
    }))

  it.effect("is asked before anything is changed there", () =>
    Effect.gen(function*() {
      const s = yield* setup({ clusterName: "staging" })
      const options = { expect: { clusterName: "production" }, events: ["STATUS_CHANGE"] } as const
      assert.strictEqual((yield* fails(s, s.connect({ keyspace: "shop" }, options)))._tag, "WrongNode")
      assert.deepStrictEqual(s.tags(), ["Options", "Startup", "Query"])
    }))
})

describe("Authenticator", () => {
  const custom = "com.example.TokenAuthenticator"

  /** Answers each challenge with the same backwards, and checks the last word. */
  const reverse: Authenticator.Authenticator = {
    begin: ({ authenticator }) =>
      authenticator === custom
        ? Effect.succeed({
          initial: Buffer.from("hello"),
          respond: (challenge) => Effect.succeed(Uint8Array.from(challenge!).toReversed()),
          success: (token) =>
            token !== null && Buffer.from(token).toString() === "welcome"
              ? Effect.void
              : Effect.fail(new AuthenticationFailed({ message: "an impostor" }))
        })
        : Effect.fail(new AuthenticationFailed({ message: `not ${authenticator}` }))
  }

  const challenging = Effect.fnUntraced(function*(last = "welcome") {
    const s = yield* setup({ authenticator: custom })
    const heard: Array<string> = []
    const challenges = ["abc", "xyz"]
    s.node.intercept = (socket, { request, stream }) => {
      if (request._tag !== "AuthResponse") return false
      heard.push(Buffer.from(request.token!).toString())
      const next = challenges.shift()
      socket.respond(
        stream,
        next === undefined
          ? { _tag: "AuthSuccess", token: Buffer.from(last) }
          : { _tag: "AuthChallenge", token: Buffer.from(next) }
      )
      return true
    }
    return { ...s, heard }
  })

  it.effect("of the session: any number of challenges, and the last word is checked", () =>
    Effect.gen(function*() {
      const s = yield* challenging()
      yield* s.connect({ authenticator: reverse })
      assert.deepStrictEqual(s.heard, ["hello", "cba", "zyx"])
      const impostor = yield* challenging("go away")
      const reason = yield* fails(impostor, impostor.connect({ authenticator: reverse }))
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      assert.strictEqual(reason.message, "an impostor")
    }))

  it.effect("from a layer, and in segments", () =>
    Effect.gen(function*() {
      const s = yield* challenging()
      yield* Effect.provide(s.connect(), Authenticator.layer(reverse))
      assert.strictEqual(s.heard.length, 3)
      const five = yield* setup({ ...cassandra5, authenticator: "org.apache.cassandra.auth.PasswordAuthenticator" })
      const credentials = { username: "user", password: Redacted.make("pencil") }
      const connection = yield* five.connect({ credentials })
      assert.strictEqual(connection.dialect.version, 5)
    }))

  it.effect("the password goes only to the classes that are allowed", () =>
    Effect.gen(function*() {
      const credentials = { username: "user", password: Redacted.make("pencil") }
      const s = yield* setup({ authenticator: custom })
      assert.strictEqual((yield* fails(s, s.connect({ credentials })))._tag, "AuthenticationFailed")
      assert.notInclude(s.tags(), "AuthResponse")
      yield* s.connect({ authenticator: Authenticator.plain(credentials, { allowed: [custom] }) })
      assert.include(s.tags(), "AuthResponse")
      const narrow = yield* setup({ authenticator: Authenticator.plainServers[0]! })
      const reason = yield* fails(
        narrow,
        narrow.connect({ authenticator: Authenticator.plain(credentials, { allowed: [custom] }) })
      )
      assert.notInclude(reason.message, "pencil")
    }))

  it.effect("credentials that nobody asks for: a warning once, or nothing, or a failure", () =>
    Effect.gen(function*() {
      const credentials = { username: "user", password: Redacted.make("pencil") }
      const s = yield* setup()
      yield* s.connect({ credentials })
      yield* s.connect({ credentials })
      assert.strictEqual(s.logged.filter((line) => /did not ask for credentials/.test(line)).length, 1)
      const silent = yield* setup()
      yield* silent.connect({ credentials, onMissingChallenge: "allow" })
      assert.deepStrictEqual(silent.logged, [])
      const strict = yield* setup()
      const reason = yield* fails(strict, strict.connect({ credentials, onMissingChallenge: "fail" }))
      assert.strictEqual(reason._tag, "AuthenticationFailed")
    }))
})
