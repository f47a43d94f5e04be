import { Transport } from "@effect-scylla/pool"
import { Reader, ServerError } from "@effect-scylla/protocol"
import { Murmur3, Sharding } from "@effect-scylla/sharding"
import { SimulatedCluster, SimulatedServer, TestServer } from "@effect-scylla/testkit"
import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Effect, Option, Queue } from "effect"
import { TestClock } from "effect/testing"
import { connect, decode, errorOf, frameOf, type RawClient, rowsOf, until } from "./rawClient.ts"

const CREATE = [
  "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 3}",
  "CREATE TABLE ks.t (pk bigint PRIMARY KEY, v text)"
]

const setUp = Effect.fnUntraced(function*(client: RawClient, statements: ReadonlyArray<string> = CREATE) {
  yield* client.startup()
  for (const text of statements) assert.notStrictEqual((yield* client.query(text))._tag, "Error", text)
})

const int64 = (value: number): Uint8Array => {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigInt64(0, BigInt(value))
  return out
}

const prepare = Effect.fnUntraced(function*(client: RawClient, query: string) {
  const answer = yield* client.request({ _tag: "Prepare", query })
  if (answer._tag !== "Prepared") return assert.fail(`prepared expected, got ${answer._tag}`)
  return answer
})

const execute = (client: RawClient, id: Uint8Array, values: ReadonlyArray<Uint8Array | null>) =>
  client.request({ _tag: "Execute", id, options: { consistency: "ONE" }, values: { values } })

const supportedOf = Effect.fnUntraced(function*(client: RawClient) {
  const answer = yield* client.request({ _tag: "Options" })
  if (answer._tag !== "Supported") return assert.fail("SUPPORTED expected")
  return answer.options
})

const shardOf = (client: RawClient) => Effect.map(supportedOf(client), (map) => Number(map.get("SCYLLA_SHARD")![0]))

describe("shards over TCP", () => {
  layer(SimulatedCluster.layer({ nodes: 2, shards: 3 }), { excludeTestServices: true })("two nodes", (it) => {
    it.effect("the plain port hands out the shard with the fewest connections, the first of equals", () =>
      Effect.gen(function*() {
        const { port } = yield* SimulatedCluster.SimulatedCluster
        const clients: Array<RawClient> = []
        for (let i = 0; i < 6; i++) {
          clients.push(yield* connect("127.0.0.1", port))
          assert.strictEqual(yield* shardOf(clients[i]!), i % 3)
        }
        // Shard 1 loses its two, so it gets the next two.
        const { nodes } = yield* SimulatedCluster.SimulatedCluster
        clients[1]!.socket.destroy()
        clients[4]!.socket.destroy()
        yield* until(() => nodes[0]!.connections.length === 4)
        for (let i = 0; i < 2; i++) {
          assert.strictEqual(yield* shardOf(yield* connect("127.0.0.1", port)), 1)
        }
        assert.strictEqual(yield* shardOf(yield* connect("127.0.0.1", port)), 0)
        // The other node counts for itself.
        assert.strictEqual(yield* shardOf(yield* connect("127.0.0.2", port)), 0)
      }))

    it.effect("the shard-aware port goes by the source port and leaves the plain port's counts alone", () =>
      Effect.gen(function*() {
        const { port, shardAwarePort } = yield* SimulatedCluster.SimulatedCluster
        for (let i = 0; i < 6; i++) {
          const client = yield* connect("127.0.0.2", shardAwarePort!)
          assert.strictEqual(yield* shardOf(client), client.socket.localPort! % 3)
          const supported = yield* supportedOf(client)
          assert.deepStrictEqual(supported.get("SCYLLA_NR_SHARDS"), ["3"])
          assert.deepStrictEqual(supported.get("SCYLLA_SHARD_AWARE_PORT"), [String(shardAwarePort)])
        }
        // The connection of the test before is still being closed.
        const node = (yield* SimulatedCluster.SimulatedCluster).nodes[1]!
        yield* until(() => node.connections.every((each) => each.port !== port))
        assert.strictEqual(yield* shardOf(yield* connect("127.0.0.2", port)), 0)
      }))
  })
})

describe("in memory, under TestClock", () => {
  it.effect("counts who owns what: a request is owned on a replica's owning shard only", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 4, transport: "memory" })
      const setup = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* setUp(setup, [
        "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE ks.t (pk bigint PRIMARY KEY, v text)"
      ])
      // One connection to each shard of each node, through the shard-aware port.
      const clients = new Map<string, RawClient>()
      for (const node of cluster.nodes) {
        for (let shard = 0; shard < 4; shard++) {
          const client = yield* connect(node.address, cluster.shardAwarePort!, cluster.transport, 50_000 + shard)
          yield* client.startup()
          assert.strictEqual(yield* shardOf(client), shard)
          clients.set(`${node.index}/${shard}`, client)
        }
      }
      yield* cluster.resetStats
      // An oracle of its own: with one replica the owner is the node whose token is next on the ring.
      const ring = cluster.nodes.flatMap((node) => node.tokens.map((token) => ({ token, node })))
        .sort((a, b) => (a.token < b.token ? -1 : 1))
      const info = yield* Effect.fromResult(Sharding.ShardInfo.make(4, 12))
      for (let pk = 0; pk < 40; pk++) {
        const token = Murmur3.token(int64(pk))
        const owner = (ring.find((entry) => entry.token >= token) ?? ring[0]!).node.index
        const shard = Sharding.shardOfToken(info, token)
        const text = `INSERT INTO ks.t (pk, v) VALUES (${pk}, 'x')`
        yield* clients.get(`${owner}/${shard}`)!.query(text)
        yield* clients.get(`${owner}/${(shard + 1) % 4}`)!.query(text)
        yield* clients.get(`${(owner + 1) % 3}/${shard}`)!.query(text)
      }
      yield* setup.query("SELECT * FROM ks.t")
      yield* setup.query("SELECT * FROM ks.t WHERE pk IN (1, 2)")
      yield* setup.query("SELECT * FROM system.local")
      const stats = yield* cluster.stats
      assert.strictEqual(stats.owned, 40)
      assert.strictEqual(stats.misrouted, 80)
      assert.strictEqual(stats.unrouted, 2)
      assert.strictEqual(stats.requests, 122)
      assert.deepStrictEqual(stats.byTable["ks.t"], { requests: 122, owned: 40, misrouted: 80, unrouted: 2 })
      assert.strictEqual(stats.byOpcode["QUERY"], 123)
      assert.strictEqual(stats.nodes.flatMap((node) => node.shards).reduce((sum, shard) => sum + shard.owned, 0), 40)
    }))

  it.effect("prepared statements belong to a node, and a restart forgets them", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ transport: "memory" })
      const first = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* setUp(first)
      const insert = yield* prepare(first, "INSERT INTO ks.t (pk, v) VALUES (?, ?)")
      assert.deepStrictEqual(insert.variables.partitionKey, [0])
      assert.strictEqual((yield* execute(first, insert.id, [int64(1), new TextEncoder().encode("a")]))._tag, "Void")
      const second = yield* connect("127.0.0.2", 9042, cluster.transport)
      yield* second.startup()
      const hex = Buffer.from(insert.id).toString("hex")
      const unprepared = yield* execute(second, insert.id, [int64(1), null])
      assert.strictEqual(errorOf(unprepared).message, `No prepared statement with ID ${hex} found.`)
      assert.deepStrictEqual((yield* prepare(second, "INSERT INTO ks.t (pk, v) VALUES (?, ?)")).id, insert.id)

      yield* cluster.stop(0)
      assert.match(String(yield* first.closed), /ECONNRESET/)
      assert.isFalse(cluster.nodes[0]!.isRunning)
      const refused = yield* Effect.flip(connect("127.0.0.1", 9042, cluster.transport))
      assert.strictEqual(refused.kind, "Unreachable")
      yield* cluster.start(0)
      const again = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* again.startup()
      assert.strictEqual(errorOf(yield* execute(again, insert.id, [int64(1), null])).code, 0x2500)
      // The data has survived.
      assert.deepStrictEqual(rowsOf(yield* again.query("SELECT v FROM ks.t WHERE pk = 1")), [{ v: "a" }])
    }))

  it.effect("a change of the table voids what was prepared for it, on every node", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ transport: "memory" })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* setUp(client)
      const select = yield* prepare(client, "SELECT * FROM ks.t WHERE pk = ?")
      const other = yield* connect("127.0.0.2", 9042, cluster.transport)
      yield* other.startup()
      yield* other.query("ALTER TABLE ks.t ADD w int")
      assert.strictEqual(errorOf(yield* execute(client, select.id, [int64(1)])).code, 0x2500)
      const anew = yield* prepare(client, "SELECT * FROM ks.t WHERE pk = ?")
      assert.deepStrictEqual(anew.result.columns!.map((column) => column.name), ["pk", "v", "w"])
      yield* other.query("DROP TABLE ks.t")
      assert.strictEqual(errorOf(yield* execute(client, anew.id, [int64(1)])).code, 0x2500)
    }))

  it.effect("reshard restarts a node with another number of shards", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 2, transport: "memory" })
      const watcher = yield* connect("127.0.0.2", 9042, cluster.transport)
      yield* watcher.startup()
      yield* watcher.request({ _tag: "Register", events: ["STATUS_CHANGE", "TOPOLOGY_CHANGE"] })
      const victim = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* victim.startup()
      yield* cluster.reshard(0, 5)
      yield* victim.closed
      const changes = [decode(yield* watcher.next), decode(yield* watcher.next)]
      assert.deepStrictEqual(
        changes.map((event) => event._tag === "Event" && event.event._tag === "StatusChange" && event.event.change),
        ["DOWN", "UP"]
      )
      assert.strictEqual(cluster.nodes[0]!.nrShards, 5)
      const seen: Array<number> = []
      for (let i = 0; i < 5; i++) seen.push(yield* shardOf(yield* connect("127.0.0.1", 9042, cluster.transport)))
      assert.deepStrictEqual(seen, [0, 1, 2, 3, 4])
    }))

  it.effect("stop and start are idempotent, and a node that is not there is an error", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 2, transport: "memory" })
      const watcher = yield* connect("127.0.0.2", 19_042, cluster.transport)
      yield* watcher.startup()
      yield* watcher.request({ _tag: "Register", events: ["STATUS_CHANGE"] })
      yield* cluster.start(0)
      yield* cluster.stop(0)
      yield* cluster.stop(0)
      yield* cluster.start(0)
      const [down, up] = [decode(yield* watcher.next), decode(yield* watcher.next)]
      // The port of an event is that of the listener that the client came through.
      const event = (change: string) => ({
        _tag: "Event",
        event: { _tag: "StatusChange", change, address: "127.0.0.1", port: 19_042 }
      })
      assert.deepStrictEqual([down, up], [event("DOWN"), event("UP")] as never)
      assert.strictEqual(yield* Queue.size(watcher.frames), 0)
      assert.strictEqual((yield* Effect.flip(cluster.stop(7))).reason, "NoSuchNode")
      assert.strictEqual((yield* Effect.flip(cluster.reshard(0, 0))).reason, "BadOptions")
    }))

  it.effect("datacenters, racks and options", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        datacenters: [{ name: "eu", nodes: 3, racks: 2 }, { name: "us", nodes: 2 }],
        transport: "memory",
        vnodes: 3,
        shardAwarePort: false
      })
      assert.deepStrictEqual(
        cluster.nodes.map((node) => `${node.datacenter}/${node.rack}/${node.tokens.length}`),
        ["eu/rack1/3", "eu/rack2/3", "eu/rack1/3", "us/rack1/3", "us/rack1/3"]
      )
      const client = yield* connect("127.0.0.4", 9042, cluster.transport)
      assert.isFalse((yield* supportedOf(client)).has("SCYLLA_SHARD_AWARE_PORT"))
      yield* setUp(client, [
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'eu': 3, 'us': 2}",
        "CREATE TABLE ks.t (pk int PRIMARY KEY)"
      ])
      yield* cluster.stop(4)
      const insert = "INSERT INTO ks.t (pk) VALUES (1)"
      const local = yield* client.query(insert, { consistency: "LOCAL_QUORUM" })
      assert.strictEqual(
        errorOf(local).message,
        "Cannot achieve consistency level for cl LOCAL_QUORUM. Requires 2, alive 1"
      )
      assert.strictEqual((yield* client.query(insert, { consistency: "QUORUM" }))._tag, "Void")
      assert.strictEqual(errorOf(yield* client.query(insert, { consistency: "EACH_QUORUM" })).code, 0x1000)
      const other = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* other.startup()
      assert.strictEqual((yield* other.query(insert, { consistency: "LOCAL_QUORUM" }))._tag, "Void")
      const wrong = yield* Effect.flip(SimulatedCluster.make({ nodes: 0, shards: 0, transport: "memory" }))
      assert.strictEqual(wrong.message, "nodes must be 1 to 250, got 0; shards must be 1 to 1024, got 0")
    }))

  it.effect("an interceptor ignores, fails, delays, closes, or answers bytes of its own", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* setUp(client)
      const query = (stream: number) =>
        client.send(
          frameOf({ _tag: "Query", query: "SELECT * FROM ks.t WHERE pk = 1", options: { consistency: "ONE" } }, stream)
        )

      yield* cluster.intercept(({ request }) => request._tag === "Query" ? { _tag: "Ignore" } : undefined)
      yield* query(11)
      yield* client.send(frameOf({ _tag: "Options" }, 12))
      assert.strictEqual((yield* client.next).stream, 12)

      const error = new ServerError.Overloaded({ code: 0x1001, message: "too much" })
      yield* cluster.intercept(() => ({ _tag: "Error", error }))
      yield* query(13)
      assert.strictEqual(errorOf(decode(yield* client.next)).message, "too much")

      yield* cluster.intercept(() => ({ _tag: "Delay", millis: 5000 }))
      yield* query(14)
      yield* TestClock.adjust(4999)
      assert.strictEqual(yield* Queue.size(client.frames), 0)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* client.next).stream, 14)

      yield* cluster.intercept(() => ({ _tag: "Raw", bytes: Uint8Array.of(0x84, 0, 0, 9, 2, 0, 0, 0, 0) }))
      yield* query(15)
      assert.strictEqual((yield* client.next).stream, 9)

      yield* cluster.intercept(({ connection, node, shard }) =>
        node === 0 && shard === 0 && connection === 1 ? { _tag: "Close" } : undefined
      )
      yield* query(16)
      yield* client.closed
      yield* cluster.intercept(undefined)
      const next = yield* connect("127.0.0.1", 9042, cluster.transport)
      assert.strictEqual((yield* next.startup())._tag, "Ready")
    }))

  it.effect("SUPPORTED can be forged", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        transport: "memory",
        supported: (map) => map.set("SCYLLA_NR_SHARDS", ["zero"])
      })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      assert.deepStrictEqual((yield* supportedOf(client)).get("SCYLLA_NR_SHARDS"), ["zero"])
      const silent = yield* SimulatedCluster.make({ transport: "memory", advertiseShardAwarePort: false })
      const other = yield* connect("127.0.0.1", 19_042, silent.transport, 50_003)
      assert.isFalse((yield* supportedOf(other)).has("SCYLLA_SHARD_AWARE_PORT"))
      assert.strictEqual(yield* shardOf(other), 3)
    }))

  it.effect("schema events go to those who asked, on every node", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 2, transport: "memory" })
      const watcher = yield* connect("127.0.0.2", 9042, cluster.transport)
      yield* watcher.startup()
      const wrong = yield* watcher.request({ _tag: "Register", events: ["SCHEMA_CHANGE", "NONSENSE"] })
      assert.strictEqual(errorOf(wrong).message, "Invalid value 'NONSENSE' for Event.Type")
      const deaf = yield* connect("127.0.0.2", 9042, cluster.transport)
      yield* deaf.startup()
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* setUp(client)
      const version = rowsOf(yield* client.query("SELECT schema_version FROM system.local"))
      yield* setUp(yield* connect("127.0.0.1", 9042, cluster.transport), [
        "CREATE TYPE ks.u (a int)",
        "DROP KEYSPACE ks"
      ])
      const texts: Array<string> = []
      for (let i = 0; i < 6; i++) {
        const event = decode(yield* watcher.next)
        if (event._tag !== "Event" || event.event._tag !== "SchemaChange") return assert.fail("a schema event expected")
        const { change, name, target } = event.event.schema
        texts.push(`${change} ${target} ${name ?? ""}`.trim())
      }
      assert.deepStrictEqual(texts, [
        "CREATED KEYSPACE",
        "CREATED TABLE t",
        "CREATED TYPE u",
        "DROPPED TABLE t",
        "DROPPED TYPE u",
        "DROPPED KEYSPACE"
      ])
      assert.strictEqual(yield* Queue.size(deaf.frames), 0)
      assert.notDeepEqual(rowsOf(yield* client.query("SELECT schema_version FROM system.local")), version)
    }))
})

describe("framing", () => {
  const one = SimulatedCluster.make({ nodes: 1, transport: "memory" })

  it.effect("messages that come too early, too late or not at all", () =>
    Effect.gen(function*() {
      const cluster = yield* one
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      const early = yield* client.query("SELECT * FROM system.local")
      assert.strictEqual(errorOf(early).message, "Unexpected message 7, expecting STARTUP or OPTIONS")
      assert.strictEqual(
        errorOf(yield* client.startup({ COMPRESSION: "zstd" })).message,
        "Unknown compression algorithm: zstd"
      )
      assert.strictEqual((yield* client.startup())._tag, "Ready")
      assert.strictEqual((yield* client.request({ _tag: "Options" }))._tag, "Supported")
    }))

  it.effect("a frame that is broken ends its connection with an answer on stream 0", () =>
    Effect.gen(function*() {
      const cluster = yield* one
      const header = (version: number, flags: number, opcode: number, length: number): Uint8Array => {
        const bytes = Buffer.alloc(9)
        bytes.set([version, flags, 0, 7, opcode])
        bytes.writeUInt32BE(length, 5)
        return bytes
      }
      const cases = [
        [header(4, 0, 5, 100_001), 0, "Initial message size too large (100001), rejecting as invalid", false],
        [header(0x84, 0, 5, 0), 0, "Invalid or unsupported protocol version: 132", false],
        [header(2, 0, 5, 0), 0, "Invalid or unsupported protocol version: 2", false],
        [header(4, 1, 7, 0), 0, "Unknown compression algorithm", true],
        [
          header(3, 0, 5, 0),
          0,
          "Invalid message version. Got 3 but previous messages on this connection had version 4",
          true
        ],
        [
          header(4, 0, 7, 0xffff_ffff),
          7,
          "request size too large (frame size 4294967295; estimate 8589942590; allowed 107374182)",
          true
        ]
      ] as const
      for (const [bytes, stream, message, afterStartup] of cases) {
        const client = yield* connect("127.0.0.1", 9042, cluster.transport)
        if (afterStartup) yield* client.startup()
        yield* client.send(bytes)
        const frame = yield* client.next
        assert.strictEqual(frame.stream, stream, message)
        assert.strictEqual(errorOf(decode(frame)).message, message)
        yield* client.closed
      }
    }))

  it.effect("a body that is broken fails its request and nothing else", () =>
    Effect.gen(function*() {
      const cluster = yield* one
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup()
      const whole = frameOf({ _tag: "Query", query: "SELECT * FROM system.local", options: { consistency: "ONE" } }, 5)
      const cut = whole.slice(0, whole.length - 2)
      new DataView(cut.buffer).setInt32(5, cut.length - 9)
      yield* client.send(cut)
      assert.strictEqual(errorOf(decode(yield* client.next)).message, "truncated frame: expected 2 bytes, length is 1")
      const badFlags = whole.slice()
      badFlags[badFlags.length - 1] = 0x80
      yield* client.send(badFlags)
      const refused = errorOf(decode(yield* client.next))
      assert.strictEqual(refused.message, "Bit mask contains invalid enumeration indices.")
      assert.strictEqual(refused.code, 0)
      const badLevel = whole.slice()
      badLevel[badLevel.length - 2] = 99
      yield* client.send(badLevel)
      assert.strictEqual(errorOf(decode(yield* client.next)).message, "Unknown code 99 for a consistency level")
      const badText = whole.slice()
      badText[9 + 4 + 3] = 0xc3
      yield* client.send(badText)
      assert.strictEqual(
        errorOf(decode(yield* client.next)).message,
        "Cannot decode string as UTF8, invalid character at byte offset 3"
      )
      // Byte by byte is as good as at once.
      for (const byte of whole) yield* client.send(Uint8Array.of(byte))
      assert.strictEqual(rowsOf(decode(yield* client.next)).length, 1)
    }))

  it.effect("random bytes never bring it down", () =>
    Effect.gen(function*() {
      const cluster = yield* one
      let state = 12_345
      const random = (bound: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
        return (state >>> 8) % bound
      }
      const seed = frameOf({
        _tag: "Query",
        query: "INSERT INTO ks.t (pk, v) VALUES (?, 'x')",
        options: { consistency: "ONE", pageSize: 5, timestamp: 1n },
        values: { values: [int64(1)] }
      })
      for (let round = 0; round < 200; round++) {
        const client = yield* connect("127.0.0.1", 9042, cluster.transport)
        if (random(3) > 0) yield* client.startup()
        const bytes = random(2) === 0 ? seed.slice() : Uint8Array.from({ length: random(60) + 1 }, () => random(256))
        for (let i = random(4); i >= 0; i--) bytes[random(bytes.length)] = random(256)
        yield* client.send(bytes)
        client.socket.destroy()
      }
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* setUp(client)
      assert.strictEqual(rowsOf(yield* client.query("SELECT * FROM system.local")).length, 1)
    }))
})

describe("logging in", () => {
  it.effect("needs a name, a password, and the right ones", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        transport: "memory",
        credentials: { username: "ann", password: "secret" }
      })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      assert.strictEqual((yield* client.startup())._tag, "Authenticate")
      const token = (text: string) => client.request({ _tag: "AuthResponse", token: new TextEncoder().encode(text) })
      assert.strictEqual(errorOf(yield* token("\0\0secret")).message, "Authentication ID must not be null")
      assert.strictEqual(errorOf(yield* token("\0ann\0")).message, "Password must not be null")
      assert.strictEqual(errorOf(yield* token("\0ann\0wrong")).code, 0x0100)
      assert.strictEqual((yield* token("someone\0ann\0secret"))._tag, "AuthSuccess")
      const rows = rowsOf(yield* client.query("SELECT username, driver_name, shard_id FROM system.clients"))
      assert.deepStrictEqual(rows, [{ username: "ann", driver_name: null, shard_id: 0 }])
    }))
})

describe("TestServer", () => {
  layer(SimulatedServer.layer({ nodes: 2, shards: 2 }), { excludeTestServices: true })("simulated", (it) => {
    it.effect("is Scylla, shard-aware, and its nodes can be killed and started", () =>
      Effect.gen(function*() {
        const server = yield* TestServer.TestServer
        assert.strictEqual(server.provider, "simulated")
        assert.strictEqual(server.product, "scylla")
        assert.isTrue(server.shardAware)
        const faults = Option.getOrThrow(server.faults)
        const port = Number(server.contactPoints[0]!.split(":")[1])
        yield* faults.kill(0)
        assert.strictEqual((yield* Effect.flip(connect("127.0.0.1", port))).kind, "Unreachable")
        yield* faults.start(0)
        assert.strictEqual((yield* (yield* connect("127.0.0.1", port)).startup())._tag, "Ready")
        assert.match((yield* Effect.flip(faults.kill(5))).message, /there is no node 5/)
      }))
  })

  it.live("a port that is in use is an error that names it", () =>
    Effect.gen(function*() {
      const first = yield* SimulatedCluster.make({ nodes: 1 })
      const error = yield* Effect.flip(SimulatedCluster.make({ nodes: 1, port: first.port }))
      assert.strictEqual(error.reason, "PortInUse")
      assert.include(error.message, `127.0.0.1:${first.port}`)
    }))
})

describe("the memory layer", () => {
  layer(SimulatedCluster.layerMemory({ nodes: 1, shards: 2 }))("provides the transport", (it) => {
    it.effect("so that a client dials nothing else", () =>
      Effect.gen(function*() {
        const { dial } = yield* Transport.Transport
        const socket = yield* dial({ address: "127.0.0.1", port: 9042, localPort: 50_000 })
        const twice = yield* Effect.flip(dial({ address: "127.0.0.1", port: 9042, localPort: 50_000 }))
        assert.strictEqual(twice.kind, "LocalPortInUse")
        assert.strictEqual((yield* Effect.flip(dial({ address: "127.0.0.1", port: 9042, tls: {} }))).kind, "Tls")
        const got = Deferred.makeUnsafe<number>()
        socket.start({
          onData: (bytes, view, length) => {
            const body = new Reader.Reader(bytes, view, 9, length).stringMultimap()
            Deferred.doneUnsafe(got, Effect.succeed(body.size))
          },
          onClose: () => undefined
        })
        socket.write(frameOf({ _tag: "Options" }), () => undefined)
        assert.isAbove(yield* Deferred.await(got), 7)
        socket.destroy()
        yield* dial({ address: "127.0.0.1", port: 9042, localPort: 50_000 })
      }))
  })
})

describe("what nodes say of where they are reached", () => {
  for (const product of ["scylla", "cassandra"] as const) {
    it.effect(`may be elsewhere, in tables and, on Cassandra, in events: ${product}`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({
          transport: "memory",
          nodes: 2,
          product,
          advertise: (node) => node === 1 ? { address: "10.0.0.1", port: 31_000 } : undefined
        })
        const client = yield* connect("127.0.0.1", 9042, cluster.transport)
        yield* client.startup()
        const [local] = rowsOf(yield* client.query("SELECT rpc_address FROM system.local"))
        const [peer] = rowsOf(yield* client.query("SELECT peer, rpc_address FROM system.peers"))
        assert.deepStrictEqual(
          [local!["rpc_address"], peer!["peer"], peer!["rpc_address"]].map(String),
          ["127.0.0.1", "127.0.0.2", "10.0.0.1"]
        )
        const ports = yield* client.query("SELECT native_address, native_port FROM system.peers_v2")
        if (product === "scylla") assert.strictEqual(errorOf(ports).message, "unconfigured table peers_v2")
        else assert.deepStrictEqual(rowsOf(ports).map((row) => Object.values(row).join(":")), ["10.0.0.1:31000"])
        yield* client.request({ _tag: "Register", events: ["STATUS_CHANGE"] })
        yield* cluster.stop(1)
        const event = client.read(yield* client.next)
        if (event._tag !== "Event" || event.event._tag !== "StatusChange") return assert.fail(JSON.stringify(event))
        const { address, port } = event.event
        assert.strictEqual(`${String(address)}:${port}`, product === "scylla" ? "127.0.0.2:9042" : "10.0.0.1:31000")
      }))
  }
})
