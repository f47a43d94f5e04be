/** The simulator with Cassandra's manners against exchanges recorded from Cassandra 5.0.5, in every version. */
import { Compression, type Dialect, Frame, Framing, Reader, Response, Writer } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { captured, modes, typeCases, typeStatements } from "../../../test/fixtures/captured.ts"
import { bytesOf, golden, type GoldenFrame } from "../../../test/fixtures/vectors.ts"
import { connect, decode, errorOf, parseFrame, plain, type RawClient, type RawFrame } from "./rawClient.ts"

const OPTIONS = { product: "cassandra", nodes: 2, shards: 1, transport: "memory" } as const

const recorded = (hex: string): RawFrame => parseFrame(Buffer.from(hex, "hex"))

/** System tables, and paging states, which are each server's own. */
const OWN_VALUES = new Set([
  "system-local",
  "system-peers",
  // An error of ScyllaDB's alone.
  "error-peers-v2",
  "rows-page-1",
  // Times of writes, and what now() was.
  "rows-functions",
  // The parser's own texts.
  "error-syntax",
  "error-lz4",
  "error-snappy",
  "rows-lz4",
  "rows-snappy"
])
/** The same behind warnings that name ids, and behind ids of traces. */
const WARNED = new Set(["prepared-select", "schema-change-warning", "rows-traced"])
/** Types and functions that the simulator does not have, and values that other statements made. */
const NOT_SIMULATED = /^(udt_nested|udt_grown|vector_.*|composite|empty_.*)$/
/** Of connections of their own. */
const ELSEWHERE = /^(ready|rows|supported|error)-(lz4|snappy)$|^version-|^supported$|^startup-ready$/
/** Recorded on connections without compression. */
const PLAIN = new Set(["error-unknown-opcode", "error-second-startup", "register-ready"])

const pages = [
  "CREATE TABLE golden.pages (pk int, ck int, v text, PRIMARY KEY (pk, ck))",
  ...Array.from({ length: 12 }, (_, i) => `INSERT INTO golden.pages (pk, ck, v) VALUES (1, ${i}, 'v${i}')`)
]

/** Statements that were not recorded and that recorded ones rely on, by the frame in front of which they ran. */
const BEFORE: Record<string, ReadonlyArray<string>> = {
  "system-local": [
    "CREATE KEYSPACE golden_vnodes WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
    "CREATE TABLE golden_vnodes.lwt (pk int PRIMARY KEY, v text)",
    "CREATE TABLE golden_vnodes.counters (pk text PRIMARY KEY, n counter)",
    "UPDATE golden_vnodes.counters SET n = n + 42 WHERE pk = 'a'"
  ],
  "rows-all-types-3": ["INSERT INTO golden.all_types (pk) VALUES (3)"],
  "rows-page-1": pages,
  "error-unavailable-write": ["CREATE TABLE rf3.t (pk int PRIMARY KEY, v text)"],
  "register-ready": ["CREATE TABLE golden.evt (pk int PRIMARY KEY)"]
}

const setUp = Effect.fnUntraced(function*(client: RawClient, statements: ReadonlyArray<string>) {
  for (const text of statements) {
    const answer = yield* client.query(text)
    assert.notStrictEqual(answer._tag, "Error", text)
  }
})

const rest = (frame: RawFrame): string => {
  const r = Reader.Reader.from(frame.body)
  Response.readPrefix(frame.flags, r)
  return Buffer.from(frame.body.subarray(r.pos)).toString("hex")
}

/** The header of a pushed event. */
const EVENT = "8500ffff0c"

const hexOf = (chunks: ReadonlyArray<Buffer>): string => Buffer.concat(chunks).toString("hex")

/** The envelopes in segments, as one text. */
const unsegmented = (hex: string, lz4: boolean): string => {
  const w = new Writer.Writer()
  const framing = new Framing.Framing({
    onFrame: (version, flags, stream, opcode, body) => {
      const start = Frame.begin(w, version | 0x80, flags, stream, opcode)
      w.raw(body.bytes.subarray(body.pos, body.pos + body.remaining))
      Frame.end(w, start)
    }
  })
  framing.use(5, lz4 ? Compression.lz4 : undefined)
  const r = Reader.Reader.from(bytesOf(hex))
  framing.push(r.bytes, r.view, 0, r.end)
  assert.strictEqual(framing.pending, 0)
  return Buffer.from(w.toUint8Array()).toString("hex")
}

const client = Effect.fnUntraced(function*(version: Dialect.Version, startup: Record<string, string> = {}) {
  const cluster = yield* SimulatedCluster.make(OPTIONS)
  const client = yield* connect("127.0.0.1", 9042, cluster.transport, undefined, version)
  const ready = yield* client.startup(startup)
  assert.strictEqual(ready._tag, "Ready")
  return client
})

const files = [
  ["cql-v3-cassandra-5.0.5", 3, {}, 38],
  ["cql-v4-cassandra-5.0.5", 4, {}, 38],
  ["cql-v5-cassandra-5.0.5", 5, {}, 38],
  ["cql-v5-lz4-cassandra-5.0.5", 5, { COMPRESSION: "lz4" }, 35]
] as const

const frameNamed = (file: string, name: string): GoldenFrame => golden(file).find((frame) => frame.name === name)!

describe("exchanges recorded from Cassandra 5.0.5", () => {
  for (const [file, version, startup, least] of files) {
    it.effect(`${file}: the same requests get the same bytes`, () =>
      Effect.gen(function*() {
        const raw = yield* client(version, startup)
        const lz4 = "COMPRESSION" in startup
        const same: Array<string> = []
        for (const { name, request, requestSegment, response, responseSegments } of golden(file)) {
          if (request === undefined || request === "" || ELSEWHERE.test(name)) continue
          yield* setUp(raw, BEFORE[name] ?? [])
          if (lz4 && PLAIN.has(name)) continue
          raw.received.length = 0
          yield* raw.send(bytesOf(version === 5 ? requestSegment! : request))
          let got = yield* raw.next
          while (got.opcode === Frame.Opcode.EVENT) {
            raw.received.length = 0
            got = yield* raw.next
          }
          if (OWN_VALUES.has(name)) {
            assert.strictEqual(got.opcode, recorded(response!).opcode, name)
            continue
          }
          if (WARNED.has(name)) assert.strictEqual(rest(got), rest(recorded(response!)), name)
          else {
            assert.strictEqual(got.hex, response, name)
            // What the socket carried: the recorded segments, but for those that hold an event behind the answer.
            const carried = hexOf(raw.received)
            if (version === 5 && !lz4 && !carried.includes(EVENT)) assert.strictEqual(carried, responseSegments, name)
            if (version === 5) {
              assert.strictEqual(unsegmented(responseSegments!, lz4), response, name)
              assert.isTrue(unsegmented(carried, lz4).startsWith(response!), name)
            }
          }
          same.push(name)
        }
        assert.isAtLeast(same.length, least)
      }))

    it.effect(`${file}: SUPPORTED and READY`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make(OPTIONS)
        const raw = yield* connect("127.0.0.1", 9042, cluster.transport)
        for (const name of ["supported", "startup-ready"]) {
          const { request, response } = frameNamed(file, name)
          yield* raw.send(bytesOf(request!))
          assert.strictEqual((yield* raw.next).hex, response, name)
        }
      }))
  }

  for (const version of [3, 4] as const) {
    for (const name of ["lz4", "snappy"] as const) {
      it.effect(`v${version}, ${name}: READY is compressed already, and so is everything`, () =>
        Effect.gen(function*() {
          const file = `cql-v${version}-cassandra-5.0.5`
          const compressor = name === "lz4" ? Compression.lz4 : Compression.snappy
          const cluster = yield* SimulatedCluster.make(OPTIONS)
          const raw = yield* connect("127.0.0.1", 9042, cluster.transport, undefined, version)
          const ready = frameNamed(file, `ready-${name}`)
          yield* raw.send(bytesOf(ready.request!))
          assert.strictEqual((yield* raw.next).hex, ready.response)
          const supported = frameNamed(file, `supported-${name}`)
          yield* raw.send(bytesOf(supported.request!))
          const got = yield* raw.next
          assert.strictEqual(got.flags & Frame.Flags.COMPRESSION, Frame.Flags.COMPRESSION)
          // Two compressors rarely agree on the bytes.
          assert.deepStrictEqual(plain(got, compressor).body, plain(recorded(supported.response!), compressor).body)
          // A compressed request.
          const w = new Writer.Writer()
          const start = Frame.begin(w, version, Frame.Flags.COMPRESSION, 9, Frame.Opcode.REGISTER)
          const list = new Writer.Writer()
          list.stringList(["SCHEMA_CHANGE"])
          w.raw(compressor.compress(list.bytes, 0, list.pos))
          Frame.end(w, start)
          yield* raw.send(w.toUint8Array())
          const registered = yield* raw.next
          assert.deepStrictEqual([registered.opcode, registered.stream, registered.flags], [Frame.Opcode.READY, 9, 1])
        }))
    }
  }

  it.effect("pushed events are recorded bytes in every version", () =>
    Effect.gen(function*() {
      for (const [file, version, startup] of files) {
        const cluster = yield* SimulatedCluster.make(OPTIONS)
        const raw = yield* connect("127.0.0.1", 9042, cluster.transport, undefined, version)
        yield* raw.startup(startup)
        yield* raw.request({ _tag: "Register", events: ["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"] })
        const other = yield* connect("127.0.0.2", 9042, cluster.transport)
        yield* other.startup()
        yield* setUp(other, [
          "CREATE KEYSPACE golden WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
          "CREATE TABLE golden.evt (pk int PRIMARY KEY)",
          "ALTER TABLE golden.evt ADD v int",
          "DROP TABLE golden.evt"
        ])
        yield* raw.next
        for (const name of ["event-1", "event-2", "event-3"]) {
          assert.strictEqual((yield* raw.next).hex, frameNamed(file, name).response, `${file} ${name}`)
        }
      }
    }))

  it.effect("rows of every simulated type, and what PREPARED says of it, are the captured bytes", () =>
    Effect.gen(function*() {
      for (const mode of modes) {
        if (mode.compression !== undefined) continue
        const raw = yield* client(mode.version)
        yield* setUp(
          raw,
          [
            "CREATE KEYSPACE capture WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            ...typeStatements.filter((statement) => statement.includes("capture.addr"))
          ].slice(0, 2)
        )
        const frames = captured(mode)
        let count = 0
        for (const { name, rows, type } of typeCases) {
          if (NOT_SIMULATED.test(name)) continue
          yield* setUp(raw, [
            `CREATE TABLE capture.c_${name} (pk int PRIMARY KEY, v ${type})`,
            ...rows.map(([literal], i) => `INSERT INTO capture.c_${name} (pk, v) VALUES (${i}, ${literal})`)
          ])
          for (const exchange of [`rows-${name}`, `prepared-${name}`]) {
            const { request, requestSegment, response } = frames.find((frame) => frame.name === exchange)!
            yield* raw.send(bytesOf(requestSegment ?? request!))
            assert.strictEqual((yield* raw.next).hex, response, `${mode.name} ${exchange}`)
            count++
          }
        }
        assert.isAtLeast(count, 50)
      }
    }))

  it.effect("with a compression on v4 events are compressed, as captured", () =>
    Effect.gen(function*() {
      for (const mode of modes) {
        if (mode.version !== 4 || mode.compression === undefined) continue
        const compressor = mode.compression === "lz4" ? Compression.lz4 : Compression.snappy
        const raw = yield* client(4, { COMPRESSION: mode.compression })
        yield* raw.request({ _tag: "Register", events: ["SCHEMA_CHANGE"] })
        yield* raw.query("CREATE KEYSPACE s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        const event = yield* raw.next
        const { response } = captured(mode).find((frame) => frame.name === "event-keyspace-created")!
        const known = recorded(response!)
        assert.strictEqual(known.flags, Frame.Flags.COMPRESSION)
        assert.deepStrictEqual(
          [event.version, event.flags, event.stream, event.opcode],
          [known.version, known.flags, known.stream, known.opcode]
        )
        assert.deepStrictEqual(plain(event, compressor).body, plain(known, compressor).body)
      }
    }))

  it.effect("other versions are refused as recorded, and the connection stays", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const raw = yield* connect("127.0.0.1", 9042, cluster.transport)
      // One connection for all: before STARTUP each message has its own version.
      for (const name of ["version-3", "version-5", "version-6", "version-66", "supported"]) {
        const { request, response } = frameNamed("cql-v4-cassandra-5.0.5", name)
        yield* raw.send(bytesOf(request!))
        assert.strictEqual((yield* raw.next).hex, response, name)
      }
      // Behind STARTUP there is one version; asked of the real one on 2026-11-21.
      yield* raw.startup()
      yield* raw.send(bytesOf("030000070500000000"))
      const refused = yield* raw.next
      assert.deepStrictEqual([refused.version, refused.stream], [0x84, 7])
      assert.strictEqual(
        errorOf(decode(refused)).message,
        "Invalid message version. Got 3/v3 but previous messages on this connection had version 4/v4"
      )
      assert.strictEqual((yield* raw.request({ _tag: "Options" }))._tag, "Supported")
    }))

  it.effect("v5 has no Snappy, other algorithms have no name, and STARTUP may be said again", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const raw = yield* connect("127.0.0.1", 9042, cluster.transport, undefined, 5)
      assert.strictEqual(
        errorOf(yield* raw.startup({ COMPRESSION: "snappy" })).message,
        "Snappy compression is not supported in protocol V5"
      )
      assert.strictEqual(
        errorOf(yield* raw.startup({ COMPRESSION: "zip" })).message,
        "Unknown compression algorithm: zip"
      )
      assert.strictEqual((yield* raw.startup({ COMPRESSION: "lz4" }))._tag, "Ready")
      assert.strictEqual((yield* raw.request({ _tag: "Options" }))._tag, "Supported")
    }))

  it.effect("a compressed body that is none is an error on stream 0, and the connection stays", () =>
    Effect.gen(function*() {
      const raw = yield* client(4, { COMPRESSION: "lz4" })
      yield* raw.send(bytesOf("0401000105000000070000000561 6263".replace(" ", "")))
      const refused = yield* raw.next
      assert.strictEqual(refused.stream, 0)
      assert.strictEqual(errorOf(raw.read(refused)).code, 0)
      assert.strictEqual((yield* raw.request({ _tag: "Options" }))._tag, "Supported")
    }))

  it.effect("a segment whose checksum does not match ends a connection of v5", () =>
    Effect.gen(function*() {
      const raw = yield* client(5)
      const { requestSegment } = frameNamed("cql-v5-cassandra-5.0.5", "set-keyspace")
      const bytes = bytesOf(requestSegment!)
      bytes[12] = bytes[12]! ^ 1
      yield* raw.send(bytes)
      assert.strictEqual(errorOf(raw.read(yield* raw.next)).code, 0x000a)
      yield* raw.closed
    }))

  it.effect("logging in on v5: segments begin behind AUTHENTICATE", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ ...OPTIONS, credentials: { username: "u", password: "p" } })
      for (const COMPRESSION of [undefined, "lz4"]) {
        const raw = yield* connect("127.0.0.1", 9042, cluster.transport, undefined, 5)
        const asked = yield* raw.startup(COMPRESSION === undefined ? {} : { COMPRESSION })
        assert.strictEqual(asked._tag, "Authenticate")
        assert.strictEqual(raw.received[0]![0], 0x85)
        raw.received.length = 0
        const token = new TextEncoder().encode("\0u\0p")
        assert.strictEqual((yield* raw.request({ _tag: "AuthResponse", token }))._tag, "AuthSuccess")
        assert.notStrictEqual(raw.received[0]![0], 0x85)
        assert.strictEqual((yield* raw.query("SELECT key FROM system.local"))._tag, "Rows")
      }
    }))

  it.effect("answers of several segments, and requests too, cut anywhere", () =>
    Effect.gen(function*() {
      for (const startup of [{}, { COMPRESSION: "lz4" }]) {
        const raw = yield* client(5, startup)
        yield* setUp(raw, [
          "CREATE KEYSPACE ks WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
          "CREATE TABLE ks.t (pk int PRIMARY KEY, v blob)"
        ])
        const value = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) >>> 3)
        const bytes = raw.bytesOf({
          _tag: "Query",
          query: "INSERT INTO ks.t (pk, v) VALUES (1, ?)",
          options: { consistency: "ONE" },
          values: { values: [value] }
        })
        // In pieces of all sizes: the header alone, byte after byte, the rest in large ones.
        for (let at = 0, size = 1; at < bytes.length; at += size, size = at < 64 ? 1 : 17_001) {
          yield* raw.send(bytes.subarray(at, at + size))
        }
        assert.strictEqual(raw.read(yield* raw.next)._tag, "Void")
        const answer = yield* raw.query("SELECT v FROM ks.t WHERE pk = 1")
        if (answer._tag !== "Rows") return assert.fail(answer._tag)
        assert.deepStrictEqual<unknown>(answer.rows, [{ v: value }])
        assert.strictEqual(yield* Queue.size(raw.frames), 0)
      }
    }))

  it.effect("a conditional statement announces no columns, and is described anew each time", () =>
    Effect.gen(function*() {
      const raw = yield* client(5)
      yield* setUp(raw, [
        "CREATE KEYSPACE ks WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
        "CREATE TABLE ks.t (pk int PRIMARY KEY, v text)"
      ])
      const prepared = yield* raw.request({
        _tag: "Prepare",
        query: "INSERT INTO ks.t (pk, v) VALUES (1, ?) IF NOT EXISTS"
      })
      if (prepared._tag !== "Prepared") return assert.fail(prepared._tag)
      assert.isUndefined(prepared.decoder)
      const execute = (text: string) =>
        raw.request({
          _tag: "Execute",
          id: prepared.id,
          resultMetadataId: prepared.resultMetadataId,
          options: { consistency: "ONE", skipMetadata: true },
          values: { values: [new TextEncoder().encode(text)] }
        })
      const columns = (answer: Response.Response): ReadonlyArray<string> => {
        if (answer._tag !== "Rows") throw new Error(answer._tag)
        assert.isUndefined(answer.newMetadataId)
        return answer.columns.map((column) => column.name)
      }
      assert.deepStrictEqual(columns(yield* execute("a")), ["[applied]"])
      assert.deepStrictEqual(columns(yield* execute("b")), ["[applied]", "pk", "v"])
    }))

  it.effect("a request of v5 has a keyspace and a time of its own", () =>
    Effect.gen(function*() {
      const raw = yield* client(5)
      yield* setUp(raw, [
        "CREATE KEYSPACE a WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
        "CREATE KEYSPACE b WITH replication = {'class':'SimpleStrategy','replication_factor':1}",
        "CREATE TABLE a.t (pk int PRIMARY KEY, v text)",
        "CREATE TABLE b.t (pk int PRIMARY KEY, v text)",
        "USE a"
      ])
      yield* raw.query("INSERT INTO t (pk, v) VALUES (1, 'in b')", { keyspace: "b" })
      yield* raw.query("INSERT INTO t (pk, v) VALUES (1, 'in a')")
      const prepare = (keyspace: string | undefined) =>
        raw.request({ _tag: "Prepare", query: "SELECT v FROM t WHERE pk = 1", keyspace })
      const ids = new Set<string>()
      for (const keyspace of [undefined, "a", "b"]) {
        const prepared = yield* prepare(keyspace)
        if (prepared._tag !== "Prepared") return assert.fail(prepared._tag)
        ids.add(Buffer.from(prepared.id).toString("hex"))
        const answer = yield* raw.request({
          _tag: "Execute",
          id: prepared.id,
          resultMetadataId: prepared.resultMetadataId,
          options: { consistency: "ONE" }
        })
        if (answer._tag !== "Rows") return assert.fail(answer._tag)
        assert.deepStrictEqual<unknown>(answer.rows, [{ v: keyspace === "b" ? "in b" : "in a" }])
      }
      assert.strictEqual(ids.size, 2)
      yield* raw.request({
        _tag: "Batch",
        kind: "logged",
        entries: [{ _tag: "Text", query: "INSERT INTO t (pk, v) VALUES (2, 'x') USING TTL 100", values: [] }],
        options: { consistency: "ONE", keyspace: "b", nowInSeconds: 1_000_000 }
      })
      const at = (nowInSeconds: number) =>
        Effect.map(raw.query("SELECT v FROM b.t WHERE pk = 2", { nowInSeconds }), (answer) =>
          answer._tag === "Rows" ? answer.rows.length : answer._tag)
      assert.strictEqual(yield* at(1_000_099), 1)
      assert.strictEqual(yield* at(1_000_101), 0)
    }))
})
