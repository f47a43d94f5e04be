/**
 * What a browser does with the two packages: bundled, and run where there are only the web's globals, by `browser.test.ts` out of
 * the sources and by `scripts/pack-check.mjs` out of the packed packages. `run` answers what is not as it should be.
 */
import * as Protocol from "@effect-scylla/protocol"
import * as BindEncoder from "@effect-scylla/protocol/BindEncoder"
import * as Codec from "@effect-scylla/protocol/Codec"
import * as Compression from "@effect-scylla/protocol/Compression"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as Crc from "@effect-scylla/protocol/Crc"
import * as Dialect from "@effect-scylla/protocol/Dialect"
import * as Framing from "@effect-scylla/protocol/Framing"
import * as Json from "@effect-scylla/protocol/Json"
import * as Metadata from "@effect-scylla/protocol/Metadata"
import * as Reader from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as RowDecoder from "@effect-scylla/protocol/RowDecoder"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import * as Value from "@effect-scylla/protocol/Value"
import * as Writer from "@effect-scylla/protocol/Writer"
import * as Sharding from "@effect-scylla/sharding"
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import * as RoutingKey from "@effect-scylla/sharding/RoutingKey"
import * as ShardMath from "@effect-scylla/sharding/Sharding"
import * as Token from "@effect-scylla/sharding/Token"
import * as BigDecimal from "effect/BigDecimal"

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Each type with a value and its bytes. */
const values: ReadonlyArray<[type: string, value: unknown, bytes: string]> = [
  ["ascii", "abc", "616263"],
  [
    "text",
    "žluť 🐎 a longer text than is read at once",
    "c5be6c75c5a520f09f908e2061206c6f6e6765722074657874207468616e2069732072656164206174206f6e6365"
  ],
  ["text", "\ufeffx", "efbbbf78"],
  ["bigint", -2n, "fffffffffffffffe"],
  ["blob", Uint8Array.of(1, 2), "0102"],
  ["boolean", true, "01"],
  ["decimal", BigDecimal.make(-112_233_441_191n, 6), "00000006e5de5d9859"],
  ["double", 1.5, "3ff8000000000000"],
  ["float", 1.5, "3fc00000"],
  ["int", 7, "00000007"],
  ["timestamp", new Date(5), "0000000000000005"],
  ["timestamp", new Value.OutOfRangeTimestamp(2n ** 63n - 1n), "7fffffffffffffff"],
  ["uuid", Uuid.parseUnsafe("550e8400-e29b-41d4-a716-446655440000"), "550e8400e29b41d4a716446655440000"],
  ["varint", 123456789123456789123456789n, "661efdf2e3b19f7c045f15"],
  ["varint", 1n << 200n, `01${"00".repeat(25)}`],
  ["inet", Value.Inet.parse("fe80::1"), "fe800000000000000000000000000001"],
  ["date", new Value.LocalDate(1), "80000001"],
  ["time", new Value.LocalTime(1n), "0000000000000001"],
  ["duration", new Value.CqlDuration(1, 2, 3n), "020406"],
  ["list<int>", [1], "000000010000000400000001"],
  ["set<text>", new Set(["a"]), "000000010000000161"],
  ["map<text, int>", new Map([["a", 1]]), "0000000100000001610000000400000001"],
  ["tuple<int, text>", [1, null], "0000000400000001ffffffff"],
  ["vector<float, 50>", Float32Array.from({ length: 50 }, () => 1), "3f800000".repeat(50)]
]

const typeOf = (text: string): CqlType.CqlType => {
  const type = CqlType.parse(text)
  if (typeof type === "string") throw new Error(type)
  return type
}

const show = (value: unknown): string => Json.stringify(value)

/** What is not as it should be. */
export const run = (): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const check = (what: string, actual: unknown, expected: unknown): void => {
    if (actual !== expected) problems.push(`${what}: ${String(actual)}, expected ${String(expected)}`)
  }
  const globals = globalThis as Record<string, unknown>
  for (const name of ["Buffer", "process", "require"]) check(name, typeof globals[name], "undefined")
  for (const [name, module] of [...Object.entries(Protocol), ...Object.entries(Sharding)]) {
    if (Object.keys(module).length === 0) problems.push(`${name} has no exports`)
  }

  // Tokens, and what is made of them.
  check("implementation", Murmur3.implementation, "wasm")
  check("token", Murmur3.token(utf8("kremówki")), KNOWN_TOKEN)
  const key = Murmur3.keyBuffer(64)
  const token = new Token.TokenWords()
  const length = RoutingKey.composeInto([utf8("acme"), Uint8Array.of(0, 0, 0, 42)], key, 0)
  Murmur3.hashInto(key, 0, length, token)
  check("token of a composed key", Token.toBigInt(token.hi, token.lo), 5752876510554547543n)
  check("shard", ShardMath.shardOf(token.hi, token.lo, 8, 12), 3)
  Murmur3.hashInto(key.slice(0, length), 0, length, token)
  check("token of a copied key", Token.toBigInt(token.hi, token.lo), 5752876510554547543n)

  // UUIDs.
  const known = "550e8400-e29b-41d4-a716-446655440000"
  check("uuid", String(Uuid.parse(known)), known)
  check("version of a random uuid", Uuid.random().version, 4)
  check("random uuids differ", Uuid.random().equals(Uuid.random()), false)
  check("order of time uuids", Uuid.compareTime(Uuid.now(), Uuid.now()), -1)
  check("minTimeuuid", String(Uuid.min(0)), "13814000-1dd2-11b2-8080-808080808080")

  // Values, there and back, alone and as a row.
  for (const [text, value, bytes] of values) {
    const type = typeOf(text)
    const encoded = Codec.encode(type, value)!
    check(`bytes of ${text}`, hex(encoded), bytes)
    check(`value of ${text}`, show(Codec.decode(type, encoded)), show(value))
  }
  const columns = values.map(([text], i) => ({ keyspace: "ks", table: "t", name: `c${i}`, type: typeOf(text) }))
  const row = values.map(([, value]) => value)
  const page = new Writer.Writer(16)
  Metadata.writeResult(page, columns)
  page.i32(1)
  new BindEncoder.BindEncoder(columns).write(page, row)
  const rows = new RowDecoder.RowDecoders().read(
    Reader.Reader.from(page.toUint8Array()),
    undefined,
    RowDecoder.emptyPage()
  )
  check("row", show(Object.values(rows[0]!)), show(row))
  check(
    "class name",
    show(CqlType.fromClassName("UserType(ks,61c5be,7a6970:Int32Type)")),
    show(CqlType.udt("ks", "až", [{ name: "zip", type: CqlType.scalar("int") }]))
  )
  check("class name back", CqlType.className(CqlType.udt("ks", "až", [])).endsWith("UserType(ks,61c5be)"), true)

  // Messages, in segments with their checksums, compressed.
  check("crc", Crc.crc32(new Uint8Array(1000), 0, 1000), Crc.crc32(new Uint8Array(1200), 100, 1000))
  const queries: Array<string> = []
  const server = new Framing.Framing({
    onFrame: (_version, flags, _stream, opcode, body) => {
      const { request } = Request.decode(opcode, flags, body, Dialect.v5)
      if (request._tag === "Query") queries.push(request.query)
    }
  })
  const client = new Framing.Framing({ onFrame: () => undefined })
  for (const end of [client, server]) end.use(5, Compression.lz4)
  const query = `SELECT ${"a, ".repeat(1000)}ž FROM t`
  const out = new Writer.Writer()
  Request.encode(out, 1, { _tag: "Query", query, options: { consistency: "ONE" } }, { dialect: Dialect.v5 })
  const wire = new Writer.Writer()
  client.write(wire, out.bytes, 0, out.pos)
  const { bytes, end, view } = Reader.Reader.from(wire.toUint8Array())
  server.push(bytes, view, 0, 11)
  server.push(bytes, view, 11, end)
  check("query", queries.join(), query)
  check("compressed", wire.pos < out.pos / 10, true)
  return problems
}

const KNOWN_TOKEN = 4354931215268080151n
