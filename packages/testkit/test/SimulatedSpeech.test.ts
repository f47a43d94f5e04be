/** Versions, compression and ids of result metadata as ScyllaDB has them. */
import { Compression, Dialect, Features, Frame, Negotiation, type Response, Writer } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bytesOf, golden, type GoldenFrame } from "../../../test/fixtures/vectors.ts"
import { connect, decode, errorOf, parseFrame, plain, type RawClient, rowsOf } from "./rawClient.ts"

const frameNamed = (name: string): GoldenFrame => golden("cql-v4-scylla-6.0.4").find((frame) => frame.name === name)!

const setUp = Effect.fnUntraced(function*(client: RawClient, statements: ReadonlyArray<string>) {
  for (const text of statements) {
    const answer = yield* client.query(text)
    assert.notStrictEqual(answer._tag, "Error", text)
  }
})

const SCHEMA = [
  "CREATE KEYSPACE ks WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
  "CREATE TABLE ks.t (pk int PRIMARY KEY, v text)",
  "INSERT INTO ks.t (pk, v) VALUES (1, 'a')"
]

const one = Uint8Array.of(0, 0, 0, 1)

const dial = Effect.fnUntraced(
  function*(cluster: SimulatedCluster.SimulatedCluster, version: Dialect.Version = 4, node = 1) {
    return yield* connect(`127.0.0.${node}`, 9042, cluster.transport, undefined, version)
  }
)

type Prepared = Extract<Response.Response, { readonly _tag: "Prepared" }>

const prepare = (client: RawClient, query: string): Effect.Effect<Prepared> =>
  Effect.map(client.request({ _tag: "Prepare", query }), (answer) => {
    if (answer._tag !== "Prepared") throw new Error(JSON.stringify(answer))
    return answer
  })

/** EXECUTE as drivers send it: with the id they know, and without asking for metadata. */
const execute = (
  client: RawClient,
  prepared: Prepared,
  known: Prepared = prepared,
  values: ReadonlyArray<Uint8Array | null> = [one],
  skipMetadata = true
) =>
  Effect.map(
    client.ask({
      _tag: "Execute",
      id: prepared.id,
      resultMetadataId: known.resultMetadataId,
      options: { consistency: "ONE", skipMetadata },
      values: { values }
    }),
    (frame) => ({ flags: metadataFlags(frame.body), answer: client.read(frame, known.decoder) })
  )

const metadataFlags = (body: Uint8Array): number => body[7]!
const NO_METADATA = 0x04
const METADATA_CHANGED = 0x08

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex")

describe("compression of ScyllaDB", () => {
  for (const name of ["lz4", "snappy"] as const) {
    const compressor = name === "lz4" ? Compression.lz4 : Compression.snappy

    it.effect(`${name}: READY, results and errors are compressed however short, events are not`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({
          nodes: 1,
          shards: 2,
          transport: "memory",
          metadataIds: false
        })
        const client = yield* dial(cluster)
        const ready = frameNamed(`ready-${name}`)
        yield* client.send(bytesOf(ready.request!))
        assert.strictEqual((yield* client.next).hex, ready.response)
        client.agreed.compressor = compressor
        const supported = frameNamed(`supported-${name}`)
        yield* client.send(bytesOf(supported.request!))
        const got = yield* client.next
        assert.strictEqual(got.flags, Frame.Flags.COMPRESSION)
        const recorded = decode(plain(parseFrame(Buffer.from(supported.response!, "hex")), compressor))
        const read = client.read(got)
        if (read._tag !== "Supported" || recorded._tag !== "Supported") return assert.fail(read._tag)
        // Recorded on the other shard.
        const without = (options: ReadonlyMap<string, unknown>): ReadonlyArray<unknown> =>
          [...options].filter(([key]) => key !== "SCYLLA_SHARD")
        assert.deepStrictEqual(without(read.options), without(recorded.options))
        const error = frameNamed(`error-${name}`)
        yield* client.send(bytesOf(error.request!))
        const refused = yield* client.next
        assert.strictEqual(refused.flags, Frame.Flags.COMPRESSION)
        assert.strictEqual(errorOf(client.read(refused)).code, 0x2000)

        yield* client.request({ _tag: "Register", events: ["SCHEMA_CHANGE"] })
        // Its own answer, and behind it the event.
        const answer = yield* client.ask({ _tag: "Query", query: SCHEMA[0]!, options: { consistency: "ONE" } })
        assert.strictEqual(answer.flags & Frame.Flags.COMPRESSION, Frame.Flags.COMPRESSION)
        const event = yield* client.next
        assert.deepStrictEqual([event.opcode, event.flags], [Frame.Opcode.EVENT, 0])
      }))

    for (const version of [3, 4] as const) {
      it.effect(`v${version}, ${name}: requests may be compressed, one by one`, () =>
        Effect.gen(function*() {
          const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
          const client = yield* dial(cluster, version)
          assert.strictEqual((yield* client.startup({ COMPRESSION: name.toUpperCase() }))._tag, "Ready")
          yield* setUp(client, SCHEMA)
          const bytes = client.bytesOf({
            _tag: "Query",
            query: "SELECT * FROM ks.t WHERE pk = 1",
            options: { consistency: "ONE" }
          })
          const w = new Writer.Writer()
          const start = Frame.begin(w, version, Frame.Flags.COMPRESSION, 5, Frame.Opcode.QUERY)
          w.raw(compressor.compress(bytes, Frame.HEADER_SIZE, bytes.length - Frame.HEADER_SIZE))
          Frame.end(w, start)
          yield* client.send(w.toUint8Array())
          const got = yield* client.next
          assert.deepStrictEqual([got.version, got.stream, got.flags], [version | 0x80, 5, 1])
          assert.deepStrictEqual(rowsOf(client.read(got)), [{ pk: 1, v: "a" }])
        }))
    }
  }

  it.effect("what breaks the connection is answered without compression, and ends it", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      for (
        const [startup, sent, code, text] of [
          [{}, "040100070500000000", 0x000a, "Unknown compression algorithm"],
          [{ COMPRESSION: "lz4" }, "0401000705000000080000000561626364", 0x0000, ""],
          [{ COMPRESSION: "lz4" }, "030000070500000000", 0x000a, "Invalid message version. Got 3"]
        ] as const
      ) {
        const client = yield* dial(cluster)
        yield* client.startup(startup)
        yield* client.send(bytesOf(sent))
        const got = yield* client.next
        assert.deepStrictEqual([got.version, got.flags, got.stream], [0x84, 0, 0])
        const error = errorOf(decode(got))
        assert.strictEqual(error.code, code)
        assert.isTrue(error.message.startsWith(text), error.message)
        yield* client.closed
      }
    }))

  it.effect("an offer of less, and of nothing", () =>
    Effect.gen(function*() {
      for (const [compression, refused] of [[["snappy"], "lz4"], [[], "snappy"]] as const) {
        const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory", compression })
        const client = yield* dial(cluster)
        const supported = yield* client.request({ _tag: "Options" })
        assert.deepStrictEqual(
          supported._tag === "Supported" ? supported.options.get("COMPRESSION") : undefined,
          compression
        )
        const answer = yield* client.startup({ COMPRESSION: refused })
        assert.strictEqual(errorOf(answer).message, `Unknown compression algorithm: ${refused}`)
        // The connection is as it was.
        assert.strictEqual((yield* client.startup())._tag, "Ready")
      }
    }))
})

describe("versions of ScyllaDB", () => {
  it.effect("v3 has no warnings, no positions of the partition key, and every negative length is null", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const client = yield* dial(cluster, 3)
      yield* client.startup()
      const warned = yield* client.ask({ _tag: "Query", query: SCHEMA[0]!, options: { consistency: "ONE" } })
      assert.deepStrictEqual([warned.version, warned.flags], [0x83, 0])
      yield* setUp(client, SCHEMA.slice(1))
      const insert = yield* prepare(client, "INSERT INTO ks.t (pk, v) VALUES (?, ?)")
      assert.deepStrictEqual(insert.variables.partitionKey, [])
      const bytes = client.bytesOf({
        _tag: "Execute",
        id: insert.id,
        options: { consistency: "ONE" },
        values: { values: [one, null] }
      })
      // The last length: -2 is Unset on v4.
      bytes[bytes.length - 1] = 0xfe
      yield* client.send(bytes)
      assert.strictEqual(client.read(yield* client.next)._tag, "Void")
      assert.deepStrictEqual(rowsOf(yield* client.query("SELECT v FROM ks.t WHERE pk = 1")), [{ v: null }])
      const clients = rowsOf(yield* client.query("SELECT protocol_version FROM system.clients"))
      assert.deepStrictEqual(clients, [{ protocol_version: 3 }])
    }))

  it.effect("versions are configured; one that is not is refused as the others are", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory", versions: [4] })
      const client = yield* dial(cluster, 3)
      yield* client.send(client.bytesOf({ _tag: "Options" }))
      const refused = yield* client.next
      assert.strictEqual(refused.version, 0x84)
      assert.strictEqual(errorOf(decode(refused)).message, "Invalid or unsupported protocol version: 3")
      yield* client.closed
      const wrong = yield* Effect.flip(SimulatedCluster.make({ transport: "memory", versions: [2 as 3] }))
      assert.strictEqual(wrong.reason, "BadOptions")
      const none = yield* Effect.flip(SimulatedCluster.make({ transport: "memory", versions: [] }))
      assert.strictEqual(none.reason, "BadOptions")
    }))

  it.effect("with v5, which ScyllaDB has not, a client finds both segments and shards", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 3, transport: "memory", versions: [3, 4, 5] })
      const client = yield* dial(cluster, 5)
      const four = yield* dial(cluster)
      const supported = yield* four.request({ _tag: "Options" })
      if (supported._tag !== "Supported") return assert.fail(supported._tag)
      const features = Features.fromSupported(supported.options)
      assert.strictEqual(features.shards?.nrShards, 3)
      const agreement = Negotiation.agree(features, { compression: "lz4" })
      assert.strictEqual(agreement.dialect.version, 5)
      yield* client.startup(agreement.startup)
      yield* setUp(client, SCHEMA)
      const select = yield* prepare(client, "SELECT * FROM ks.t WHERE pk = ?")
      const { answer, flags } = yield* execute(client, select)
      assert.strictEqual(flags & NO_METADATA, NO_METADATA)
      assert.deepStrictEqual(rowsOf(answer), [{ pk: 1, v: "a" }])
    }))
})

describe("ids of result metadata", () => {
  const IDS = { SCYLLA_USE_METADATA_ID: "" }

  it.effect("are those of ScyllaDB", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const client = yield* dial(cluster)
      yield* client.startup(IDS)
      yield* setUp(client, [
        SCHEMA[0]!,
        "CREATE TABLE ks.ids (id uuid PRIMARY KEY, id2 uuid, val1 int, val2 int)"
      ])
      // Known from ScyllaDB's test/boost/schema_change_test.cc.
      for (
        const [columns, known] of [
          ["id", "d0c38eb409a57bb14497c35b80dfaaf1"],
          ["id2", "ae0bc2741d0480f0ebf4ee18a9bca7c7"],
          ["val1", "f38171ab2b2e4d98e3f76a4640de5b32"],
          ["val1, val2", "31c5cb5d0d41fbc426266248cc37941a"],
          ["val2, val1", "b52512f2b76d3e0695dcaf7b0a71efac"]
        ] as const
      ) {
        const prepared = yield* prepare(client, `SELECT ${columns} FROM ks.ids`)
        assert.strictEqual(hex(prepared.resultMetadataId), known, columns)
      }
      const write = yield* prepare(client, "INSERT INTO ks.ids (id) VALUES (?)")
      assert.strictEqual(hex(write.resultMetadataId), "e3b0c44298fc1c149afbf4c8996fb924")
    }))

  it.effect("are not there on v4 unless both sides want them", () =>
    Effect.gen(function*() {
      const without = yield* SimulatedCluster.make({ nodes: 1, transport: "memory", metadataIds: false })
      const client = yield* dial(without)
      const supported = yield* client.request({ _tag: "Options" })
      assert.isFalse(supported._tag !== "Supported" || supported.options.has("SCYLLA_USE_METADATA_ID"))
      yield* client.startup(IDS)
      // The server does not know the key: its messages stay as they were.
      client.agreed.dialect = Dialect.v4
      yield* setUp(client, SCHEMA)
      const select = yield* prepare(client, "SELECT * FROM ks.t WHERE pk = ?")
      assert.isUndefined(select.resultMetadataId)
      assert.deepStrictEqual(rowsOf((yield* execute(client, select)).answer), [{ pk: 1, v: "a" }])

      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const unaware = yield* dial(cluster)
      yield* unaware.startup()
      yield* setUp(unaware, SCHEMA)
      const plainly = yield* prepare(unaware, "SELECT * FROM ks.t WHERE pk = ?")
      assert.isUndefined(plainly.resultMetadataId)
      assert.deepStrictEqual(rowsOf((yield* execute(unaware, plainly)).answer), [{ pk: 1, v: "a" }])
    }))

  for (
    const [name, options, version, startup] of [
      ["v4", { product: "scylla" }, 4, IDS],
      ["v5", { product: "cassandra" }, 5, {}],
      ["v5, lz4", { product: "cassandra" }, 5, { COMPRESSION: "lz4" }]
    ] as const
  ) {
    it.effect(`${name}: ALTER TABLE, a re-prepare by somebody else, and METADATA_CHANGED`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ ...options, nodes: 1, transport: "memory" })
        const client = yield* dial(cluster, version)
        const other = yield* dial(cluster, version)
        yield* client.startup(startup)
        yield* other.startup(startup)
        yield* setUp(client, SCHEMA)
        const text = "SELECT * FROM ks.t WHERE pk = ?"
        const select = yield* prepare(client, text)
        const before = yield* execute(client, select)
        assert.strictEqual(before.flags & (NO_METADATA | METADATA_CHANGED), NO_METADATA)
        assert.deepStrictEqual(rowsOf(before.answer), [{ pk: 1, v: "a" }])
        // Who asks for metadata gets it.
        const asked = yield* execute(client, select, select, [one], false)
        assert.strictEqual(asked.flags & (NO_METADATA | METADATA_CHANGED), 0)

        yield* setUp(other, ["ALTER TABLE ks.t ADD w int", "UPDATE ks.t SET w = 7 WHERE pk = 1"])
        // The change has voided the statement …
        const void1 = yield* client.request({
          _tag: "Execute",
          id: select.id,
          resultMetadataId: select.resultMetadataId,
          options: { consistency: "ONE", skipMetadata: true },
          values: { values: [one] }
        })
        assert.strictEqual(errorOf(void1).code, 0x2500)
        // … and prepared by another connection it has the same id, and other metadata.
        const anew = yield* prepare(other, text)
        assert.strictEqual(hex(anew.id), hex(select.id))
        assert.notStrictEqual(hex(anew.resultMetadataId), hex(select.resultMetadataId))
        const changed = yield* execute(client, select)
        assert.strictEqual(changed.flags & (NO_METADATA | METADATA_CHANGED), METADATA_CHANGED)
        assert.deepStrictEqual(rowsOf(changed.answer), [{ pk: 1, v: "a", w: 7 }])
        assert.strictEqual(
          hex(changed.answer._tag === "Rows" ? changed.answer.newMetadataId : undefined),
          hex(anew.resultMetadataId)
        )
        const current = yield* execute(client, select, anew)
        assert.strictEqual(current.flags & (NO_METADATA | METADATA_CHANGED), NO_METADATA)
        assert.deepStrictEqual(rowsOf(current.answer), [{ pk: 1, v: "a", w: 7 }])
        // Back to the columns that were: back to their id.
        yield* setUp(other, ["ALTER TABLE ks.t DROP w"])
        assert.strictEqual(hex((yield* prepare(other, text)).resultMetadataId), hex(select.resultMetadataId))
      }))
  }

  it.effect("a conditional statement of ScyllaDB has its columns known", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const client = yield* dial(cluster)
      yield* client.startup(IDS)
      yield* setUp(client, SCHEMA)
      const insert = yield* prepare(client, "INSERT INTO ks.t (pk, v) VALUES (?, 'b') IF NOT EXISTS")
      const { answer, flags } = yield* execute(client, insert)
      assert.strictEqual(flags & (NO_METADATA | METADATA_CHANGED), NO_METADATA)
      assert.deepStrictEqual(rowsOf(answer), [{ "[applied]": false, pk: 1, v: "a" }])
    }))
})

describe("an interceptor's own bytes", () => {
  it.effect("are sent as they are, whatever was agreed on", () =>
    Effect.gen(function*() {
      const bytes = bytesOf("840000010200000000")
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const client = yield* dial(cluster)
      yield* client.startup({ COMPRESSION: "lz4" })
      yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.QUERY ? { _tag: "Raw", bytes } : undefined)
      const got = yield* client.ask({ _tag: "Query", query: "whatever", options: { consistency: "ONE" } })
      assert.strictEqual(got.hex, hex(bytes))
    }))
})
