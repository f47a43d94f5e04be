/** The simulator against frames recorded from ScyllaDB 6.0.4: the same requests must get the same bytes. */
import { Frame, Reader, type Reader as ReaderModule, Response } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bytesOf, golden, type GoldenFrame } from "../../../test/fixtures/vectors.ts"
import { connect, decode, parseFrame, type RawClient, type RawFrame, rowsOf, warningsOf } from "./rawClient.ts"

const recorded = (hex: string): RawFrame => parseFrame(Buffer.from(hex, "hex"))

/** The body behind tracing id, warnings and payload. */
const rest = (frame: RawFrame): string => {
  const r: ReaderModule.Reader = Reader.Reader.from(frame.body)
  Response.readPrefix(frame.flags, r)
  return Buffer.from(frame.body.subarray(r.pos)).toString("hex")
}

const OPTIONS = { nodes: 1, shards: 2, transport: "memory" } as const

const setUp = Effect.fnUntraced(function*(client: RawClient, statements: ReadonlyArray<string>) {
  for (const text of statements) {
    const answer = yield* client.query(text)
    assert.notStrictEqual(answer._tag, "Error", text)
  }
})

/** Behind an id of a trace, which is another one each time. */
const TRACED = new Set(["rows-traced"])
/** Answered, with other values. Each is compared in a test of its own. */
const OWN_VALUES = new Set(["system-local", "rows-page-1", "schema-change-keyspace", "rows-functions"])
/** Of a connection of its own: another version of the protocol, or compressed. */
const isElsewhere = (name: string): boolean =>
  /lz4|snappy|^version-|^supported|^startup-ready$|^prepared-no-binds$/.test(name)

/** Statements that were not recorded and that recorded ones rely on, by the frame in front of which they ran. */
const BEFORE: Record<string, ReadonlyArray<string>> = {
  "system-local": [
    "CREATE KEYSPACE golden_vnodes WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
    "CREATE TABLE golden_vnodes.lwt (pk int PRIMARY KEY, v text)",
    "CREATE TABLE golden_vnodes.counters (pk text PRIMARY KEY, n counter)",
    "UPDATE golden_vnodes.counters SET n = n + 42 WHERE pk = 'a'"
  ],
  "rows-all-types-3": ["INSERT INTO golden.all_types (pk) VALUES (3)"],
  "rows-page-1": [
    "CREATE TABLE golden.pages (pk int, ck int, v text, PRIMARY KEY (pk, ck))",
    ...Array.from({ length: 12 }, (_, i) => `INSERT INTO golden.pages (pk, ck, v) VALUES (1, ${i}, 'v${i}')`)
  ],
  "error-unavailable-write": ["CREATE TABLE rf3.t (pk int PRIMARY KEY, v text)"],
  "register-ready": ["CREATE TABLE golden.evt (pk int PRIMARY KEY)"]
}

const frameNamed = (name: string): GoldenFrame => golden("cql-v4-scylla-6.0.4").find((frame) => frame.name === name)!

describe("frames recorded from ScyllaDB 6.0.4", () => {
  it.effect("the same requests get the same bytes", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup({ SCYLLA_LWT_ADD_METADATA_MARK: "", SCYLLA_RATE_LIMIT_ERROR: "" })
      const same: Array<string> = []
      for (const { name, request, response } of golden("cql-v4-scylla-6.0.4")) {
        if (request === undefined || request === "" || isElsewhere(name)) continue
        yield* setUp(client, BEFORE[name] ?? [])
        yield* client.send(bytesOf(request))
        let got = yield* client.next
        // Events are compared in a test of their own.
        while (got.opcode === Frame.Opcode.EVENT) got = yield* client.next
        if (OWN_VALUES.has(name)) continue
        const expected = recorded(response!)
        // The tablets payload comes with tablets: what is behind it must be the same.
        if (TRACED.has(name) || (expected.flags & Frame.Flags.CUSTOM_PAYLOAD) !== 0) {
          assert.strictEqual(rest(got), rest(expected), name)
          assert.strictEqual(got.flags & Frame.Flags.TRACING, expected.flags & Frame.Flags.TRACING, name)
        } else assert.strictEqual(got.hex, expected.hex, name)
        same.push(name)
      }
      assert.isAbove(same.length, 35)
    }))

  it.effect("events are the recorded bytes", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup()
      yield* client.send(bytesOf(frameNamed("register-ready").request!))
      assert.strictEqual((yield* client.next).hex, frameNamed("register-ready").response)
      const other = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* other.startup()
      yield* setUp(other, [
        "CREATE KEYSPACE golden WITH replication = {'class':'SimpleStrategy','replication_factor':3}",
        "CREATE TABLE golden.evt (pk int PRIMARY KEY)",
        "ALTER TABLE golden.evt ADD v int",
        "DROP TABLE golden.evt"
      ])
      const keyspace = decode(yield* client.next)
      assert.deepStrictEqual(keyspace, {
        _tag: "Event",
        event: { _tag: "SchemaChange", schema: { change: "CREATED", target: "KEYSPACE", keyspace: "golden" } }
      })
      for (const name of ["event-1", "event-2", "event-3"]) {
        assert.strictEqual((yield* client.next).hex, frameNamed(name).response, name)
      }
    }))

  it.effect("SUPPORTED is the recorded one", () =>
    Effect.gen(function*() {
      // The recorded release had no ids of metadata yet.
      const cluster = yield* SimulatedCluster.make({ ...OPTIONS, metadataIds: false })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      const got = yield* client.request({ _tag: "Options" })
      const expected = decode(recorded(frameNamed("supported").response!))
      if (got._tag !== "Supported" || expected._tag !== "Supported") return assert.fail("SUPPORTED expected")
      assert.deepStrictEqual<unknown>([...got.options], [...expected.options])
    }))

  it.effect("READY and the answers to other versions", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      const ready = frameNamed("startup-ready")
      yield* client.send(bytesOf(ready.request!))
      assert.strictEqual((yield* client.next).hex, ready.response)
      for (const name of ["version-5", "version-6", "version-66"]) {
        const { request, response } = frameNamed(name)
        const other = yield* connect("127.0.0.1", 9042, cluster.transport)
        yield* other.send(bytesOf(request!))
        assert.strictEqual((yield* other.next).hex, response, name)
        yield* other.closed
      }
      const three = yield* SimulatedCluster.make({ ...OPTIONS, metadataIds: false })
      const old = yield* connect("127.0.0.1", 9042, three.transport, undefined, 3)
      // Recorded on shard 1: the second connection of the plain port.
      const older = yield* connect("127.0.0.1", 9042, three.transport, undefined, 3)
      yield* old.send(bytesOf(frameNamed("version-3").request!))
      assert.strictEqual((yield* old.next).version, 0x83)
      yield* older.send(bytesOf(frameNamed("version-3").request!))
      const got = decode(yield* older.next)
      const expected = decode(recorded(frameNamed("version-3").response!))
      if (got._tag !== "Supported" || expected._tag !== "Supported") return assert.fail("SUPPORTED expected")
      assert.deepStrictEqual<unknown>([...got.options], [...expected.options])
    }))

  it.effect("system.local and system.peers have the recorded columns, types and form", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ ...OPTIONS, nodes: 3 })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup()
      const frames = golden("cql-v4-scylla-6.0.4-events-and-timeouts")
      for (
        const [name, text] of [
          ["system-local-3-nodes", "SELECT * FROM system.local"],
          ["system-peers-3-nodes", "SELECT * FROM system.peers"]
        ] as const
      ) {
        const expected = decode(recorded(frames.find((frame) => frame.name === name)!.response!))
        const got = yield* client.query(text)
        if (got._tag !== "Rows" || expected._tag !== "Rows") return assert.fail("rows expected")
        assert.deepStrictEqual(got.columns, expected.columns)
        assert.strictEqual(got.rows.length, expected.rows.length)
        for (const [i, row] of got.rows.entries()) {
          const other = expected.rows[i]!
          for (const column of Object.keys(other)) {
            // The same columns hold something, and what does not depend on the cluster is equal.
            assert.strictEqual(row[column] === null, other[column] === null, `${name} ${column}`)
          }
          for (
            const column of [
              "key",
              "bootstrapped",
              "cql_version",
              "data_center",
              "native_protocol_version",
              "partitioner",
              "rack",
              "release_version",
              "thrift_version"
            ]
          ) {
            assert.deepStrictEqual(row[column], other[column], `${name} ${column}`)
          }
        }
      }
    }))

  it.effect("the warnings of CREATE KEYSPACE are recorded texts", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup()
      const { request, response } = frameNamed("schema-change-keyspace")
      yield* client.send(bytesOf(request!))
      const got = yield* client.next
      const expected = recorded(response!)
      // The first recorded warning is about tablets, which this keyspace does not have here.
      assert.deepStrictEqual(warningsOf(got), warningsOf(expected).slice(1))
      assert.strictEqual(rest(got), rest(expected))
    }))

  it.effect("a page has the recorded rows and a state of its own", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup()
      yield* setUp(client, [
        "CREATE KEYSPACE golden WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
        "USE golden",
        ...BEFORE["rows-page-1"]!
      ])
      yield* client.send(bytesOf(frameNamed("rows-page-1").request!))
      const got = decode(yield* client.next)
      const expected = decode(recorded(frameNamed("rows-page-1").response!))
      if (got._tag !== "Rows" || expected._tag !== "Rows") return assert.fail("rows expected")
      assert.deepStrictEqual(rowsOf(got), rowsOf(expected))
      assert.deepStrictEqual(got.columns, expected.columns)
      assert.isNotNull(got.pagingState)
    }))

  it.effect("logging in is the recorded dialogue", () =>
    Effect.gen(function*() {
      const credentials = { username: "cassandra", password: "cassandra" }
      const cluster = yield* SimulatedCluster.make({ ...OPTIONS, credentials })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      const frames = golden("cql-v4-scylla-6.0.4-auth").filter(({ name }) => !/lz4|unauthorized/.test(name))
      assert.strictEqual(frames.length, 6)
      for (const { name, request, response } of frames) {
        yield* client.send(bytesOf(request!))
        assert.strictEqual((yield* client.next).hex, response, name)
      }
    }))

  it.effect("the events of nodes and UNAVAILABLE with a node down are recorded bytes", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 4, shards: 2, transport: "memory" })
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup()
      yield* client.request({ _tag: "Register", events: ["STATUS_CHANGE"] })
      const frames = golden("cql-v4-scylla-6.0.4-events-and-timeouts")
      const event = (note: string): string =>
        frames.find((frame) => frame.name === "event" && frame.note.endsWith(note))!.response!
      yield* cluster.stop(3)
      assert.strictEqual((yield* client.next).hex, event("node 3 terminated"))
      yield* cluster.start(3)
      assert.strictEqual((yield* client.next).hex, event("node 3 restarted"))
      yield* client.request({ _tag: "Register", events: ["TOPOLOGY_CHANGE"] })
      yield* cluster.announce({ type: "TOPOLOGY_CHANGE", change: "NEW_NODE", address: "127.0.0.3" })
      assert.strictEqual(
        (yield* client.next).hex,
        frames.find((frame) => frame.note.endsWith("node 2 joins"))!.response
      )

      const three = yield* SimulatedCluster.make({ nodes: 3, transport: "memory" })
      const other = yield* connect("127.0.0.1", 9042, three.transport)
      yield* other.startup()
      yield* setUp(other, [
        "CREATE KEYSPACE rf3 WITH replication = {'class':'NetworkTopologyStrategy','replication_factor':3}",
        "CREATE TABLE rf3.t (pk int PRIMARY KEY, v text)"
      ])
      yield* three.stop(2)
      for (const name of ["error-unavailable-or-timeout", "error-unavailable-read-all"]) {
        const frame = frames.find((each) => each.name === name)!
        yield* other.send(bytesOf(frame.request!))
        assert.strictEqual((yield* other.next).hex, frame.response, name)
      }
    }))

  it.effect("the rate limit answers the recorded error, and CONFIG to clients that do not know it", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* client.startup({ SCYLLA_RATE_LIMIT_ERROR: "" })
      yield* setUp(client, [
        "CREATE KEYSPACE golden_vnodes WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
        "CREATE TABLE golden_vnodes.limited (pk int PRIMARY KEY, v int) WITH per_partition_rate_limit = {'max_writes_per_second': 1}",
        "INSERT INTO golden_vnodes.limited (pk, v) VALUES (1, 1)"
      ])
      const again = "INSERT INTO golden_vnodes.limited (pk, v) VALUES (1, 2)"
      const options = { consistency: "ONE" } as const
      const got = yield* client.ask({ _tag: "Query", query: again, options }, 75)
      assert.strictEqual(got.hex, frameNamed("error-rate-limit").response)
      const unaware = yield* connect("127.0.0.1", 9042, cluster.transport)
      yield* unaware.startup()
      const plain = yield* unaware.query(again)
      assert.strictEqual(plain._tag === "Error" && plain.error.code, 0x2300)
    }))
})
