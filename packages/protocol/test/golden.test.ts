import {
  CqlType,
  Dialect,
  Features,
  Frame,
  Metadata,
  Reader,
  Request,
  Response,
  RowDecoder,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { BigDecimal } from "effect"
import { bytesOf, golden, type GoldenFrame } from "../../../test/fixtures/vectors.ts"

const files = [
  "cql-v4-scylla-6.0.4",
  "cql-v4-cassandra-5.0.5",
  "cql-v4-scylla-6.0.4-events-and-timeouts",
  "cql-v4-scylla-6.0.4-tablets",
  "cql-v4-scylla-6.0.4-auth"
]

interface Decoded {
  readonly stream: number
  readonly prefix: Response.Prefix
  readonly response: Response.Response
}

const dialect = Dialect.make(4, { rateLimitCode: 61_440 })

/** The decoder of the table that the recorded SKIP_METADATA exchanges read. */
const pages = (decoders: RowDecoder.RowDecoders): RowDecoder.RowDecoder => {
  const w = new Writer.Writer()
  Metadata.writeResult(
    w,
    (["pk", "ck", "v"] as const).map((name) => ({
      keyspace: "golden",
      table: "pages",
      name,
      type: CqlType.scalar(name === "v" ? "text" : "int")
    }))
  )
  return decoders.prepare(Reader.Reader.from(w.toUint8Array())).decoder!
}

/** Decodes all frames in the bytes; whatever is left over is a failure. */
const decodeAll = (hex: string, chunk = Infinity, name = ""): Array<Decoded> => {
  const out: Array<Decoded> = []
  const decoders = new RowDecoder.RowDecoders()
  const expected = name.endsWith("skip-metadata") ? pages(decoders) : undefined
  const parser = new Frame.FrameParser({
    onFrame: (version, flags, stream, opcode, body) => {
      assert.strictEqual(version, 0x84)
      const prefix = Response.readPrefix(flags, body)
      const response = Response.decode(opcode, body, decoders, dialect, expected)
      // Compiled decoders are functions: two of them are never deeply equal.
      out.push({
        stream,
        prefix,
        response: response._tag === "Prepared" ? { ...response, decoder: undefined } : response
      })
      assert.strictEqual(body.remaining, 0, "bytes are left behind the message")
    }
  })
  const r = Reader.Reader.from(bytesOf(hex))
  for (let at = 0; at < r.end; at += chunk) parser.push(r.bytes, r.view, at, Math.min(r.end, at + chunk))
  assert.strictEqual(parser.pending, 0)
  return out
}

const isPlainV4 = (frame: GoldenFrame): boolean => {
  const first = frame.response!.slice(0, 4)
  return first.startsWith("84") && (Number.parseInt(first.slice(2), 16) & Frame.Flags.COMPRESSION) === 0
}

const errors: Record<string, string> = {
  "error-already-exists-keyspace": "AlreadyExists",
  "error-already-exists-table": "AlreadyExists",
  "error-bind-count": "InvalidRequest",
  "error-config": "ConfigError",
  "error-invalid-table": "InvalidRequest",
  "error-peers-v2": "InvalidRequest",
  "error-rate-limit": "RateLimitReached",
  "error-read-timeout": "ReadTimeout",
  "error-second-startup": "ProtocolError",
  "error-syntax": "CqlSyntaxError",
  "error-unauthorized": "Unauthorized",
  "error-unavailable-or-timeout": "Unavailable",
  "error-unavailable-read": "Unavailable",
  "error-unavailable-read-all": "Unavailable",
  "error-unavailable-write": "Unavailable",
  "error-unknown-opcode": "ProtocolError",
  "error-unprepared": "Unprepared",
  "error-use-missing": "InvalidRequest",
  "error-write-timeout-batch": "WriteTimeout",
  "error-write-timeout-counter": "WriteTimeout",
  "error-write-timeout-simple": "WriteTimeout",
  "error-write-timeout-unlogged-batch": "WriteTimeout",
  "auth-bad-credentials": "BadCredentials",
  "options-during-authentication": "ProtocolError",
  "query-before-login": "ProtocolError",
  "version-5": "ProtocolError",
  "version-6": "ProtocolError",
  "version-66": "ProtocolError"
}

/** What kind of message an exchange was recorded for. */
const expectedTag = (frame: GoldenFrame, cassandra: boolean): string => {
  const { name } = frame
  // On Cassandra these two are results: the table exists, and two of three replicas are a QUORUM.
  if (cassandra && name === "error-peers-v2") return "Rows"
  if (cassandra && name === "error-unavailable-write") return "Void"
  if (name in errors) return "Error"
  if (name === "supported") return "Supported"
  if (name === "authenticate") return "Authenticate"
  if (name === "auth-success") return "AuthSuccess"
  if (name.startsWith("event")) return "Event"
  if (name.startsWith("schema-change")) return "SchemaChanged"
  if (name === "set-keyspace") return "SetKeyspace"
  if (name.startsWith("prepared")) return "Prepared"
  if (name.startsWith("void") || name === "batch-void" || name === "traced") return "Void"
  if (name.startsWith("tablet-write")) return "Void"
  // ScyllaDB 6.0.4 had no LWT on tablets yet.
  if (name.startsWith("tablet-lwt")) return "Error"
  if (name.endsWith("ready")) return "Ready"
  return "Rows"
}

for (const file of files) {
  describe(`recorded: ${file}`, () => {
    const cassandra = file.includes("cassandra")
    const frames = golden(file).filter(isPlainV4)

    it("every response decodes to what it was recorded for", () => {
      assert.isAbove(frames.length, 5)
      for (const frame of frames) {
        const [decoded, ...more] = decodeAll(frame.response!, Infinity, frame.name)
        assert.deepStrictEqual(more, [], frame.name)
        assert.strictEqual(decoded!.response._tag, expectedTag(frame, cassandra), `${frame.name}: ${frame.note}`)
        if (decoded!.response._tag === "Error" && frame.name in errors && !cassandra) {
          assert.strictEqual(decoded!.response.error._tag, errors[frame.name], frame.name)
          assert.isAbove(decoded!.response.error.message.length, 0)
        }
        if (decoded!.response._tag === "Event") assert.strictEqual(decoded!.stream, -1)
      }
    })

    it("a split at every byte gives the same messages", () => {
      for (const frame of frames.filter((frame) => frame.response!.length < 2000)) {
        const whole = decodeAll(frame.response!, Infinity, frame.name)
        assert.deepStrictEqual(decodeAll(frame.response!, 1, frame.name), whole, frame.name)
        assert.deepStrictEqual(decodeAll(frame.response!, 7, frame.name), whole, frame.name)
      }
    })

    it("every request encodes to the recorded bytes", () => {
      let checked = 0
      for (const { name, request } of golden(file)) {
        if (request === undefined || !request.startsWith("04") || name === "error-unknown-opcode") continue
        const r = Reader.Reader.from(bytesOf(request))
        new Frame.FrameParser({
          onFrame: (_version, flags, stream, opcode, body) => {
            const decoded = Request.decode(opcode, flags, body)
            assert.strictEqual(body.remaining, 0, name)
            const w = new Writer.Writer()
            Request.encode(w, stream, decoded.request, decoded.envelope)
            assert.strictEqual(Buffer.from(w.toUint8Array()).toString("hex"), request, name)
            checked++
          }
        }).push(r.bytes, r.view, 0, r.end)
      }
      if (!file.includes("tablets")) assert.isAbove(checked, 5)
    })
  })
}

describe("recorded values", () => {
  const rowOf = (file: string, name: string): RowDecoder.Row => {
    const [decoded] = decodeAll(golden(file).find((frame) => frame.name === name)!.response!)
    const { response } = decoded!
    if (response._tag !== "Rows") throw new Error(`${name} is ${response._tag}`)
    return response.rows[0]!
  }

  for (const file of ["cql-v4-scylla-6.0.4", "cql-v4-cassandra-5.0.5"]) {
    it(`${file}: every type has the value that its INSERT wrote`, () => {
      const row = rowOf(file, "rows-all-types-1")
      const { c_uuid, c_timeuuid, c_inet4, c_inet6, c_decimal, c_date, c_time, c_duration, ...plain } = row
      assert.deepStrictEqual(plain, {
        pk: 1,
        c_ascii: "ascii",
        c_bigint: 9007199254740993n,
        c_blob: new Uint8Array([0, 255, 16]),
        c_boolean: true,
        c_double: -1.5e-300,
        c_float: 3.141590118408203,
        c_frozen: [new Map([[1, "one"]]), new Map([[2, "two"], [3, "three"]])],
        c_int: -2147483648,
        c_list: [1, -2, 3],
        c_map: new Map([["x", 1], ["y", -2]]),
        c_nested: new Map([["k", [[1, "a"], [2, "b"]]]]),
        c_set: new Set(["a", "b", "ž"]),
        c_smallint: -32768,
        c_text: "žluťoučký kůň 🐎",
        c_timestamp: new Date("2026-11-21T10:20:30.456Z"),
        c_tinyint: -128,
        c_tuple: [1, "t", 2.5],
        c_udt: { street: "Main", zip: 123, tags: new Set(["q"]) },
        c_udt_nf: {
          street: "NF",
          zip: 9,
          tags: file.includes("cassandra") ? plain["c_udt_nf"] && new Set() : new Set()
        },
        c_varint: -170141183460469231731687303715884105728n
      })
      assert.strictEqual(String(c_uuid), "550e8400-e29b-41d4-a716-446655440000")
      assert.strictEqual(String(c_timeuuid), "50554d6e-29bb-11e5-b345-feff819cdc9f")
      assert.strictEqual(String(c_inet4), "127.0.0.1")
      assert.strictEqual(String(c_inet6), "2001:db8::1")
      assert.strictEqual(String(c_date), "2026-11-21")
      assert.strictEqual(String(c_time), "08:12:54.123456789")
      assert.isTrue(BigDecimal.equals(
        c_decimal as BigDecimal.BigDecimal,
        BigDecimal.fromStringUnsafe("12345678901234567890.0987654321")
      ))
      assert.deepStrictEqual(c_duration, new Value.CqlDuration(3, 12, 14_706_007_008_009n))
    })

    it(`${file}: extreme values`, () => {
      const row = rowOf(file, "rows-all-types-2")
      assert.strictEqual(row["c_bigint"], -(2n ** 63n))
      assert.isNaN(row["c_double"])
      assert.strictEqual(row["c_float"], Infinity)
      assert.strictEqual((row["c_date"] as Value.LocalDate).epochDay, -2147483648)
      assert.deepStrictEqual(row["c_duration"], new Value.CqlDuration(-1, -2, -3n))
      assert.deepStrictEqual(row["c_timestamp"], new Date(-1))
      assert.strictEqual(row["c_text"], "")
      assert.strictEqual(row["c_varint"], 0n)
      assert.deepStrictEqual(row["c_tuple"], [null, null, null])
      assert.deepStrictEqual(row["c_udt"], { street: null, zip: null, tags: null })
      assert.strictEqual(row["c_udt_nf"], null)
    })

    it(`${file}: nulls`, () => {
      const { pk, ...rest } = rowOf(file, "rows-all-types-3")
      assert.strictEqual(pk, 3)
      assert.deepStrictEqual([...new Set(Object.values(rest))], [null])
    })
  }

  it("SUPPORTED of ScyllaDB becomes features", () => {
    const [decoded] = decodeAll(golden("cql-v4-scylla-6.0.4")[0]!.response!)
    const { response } = decoded!
    if (response._tag !== "Supported") throw new Error(response._tag)
    const features = Features.fromSupported(response.options)
    assert.deepStrictEqual(features, {
      shards: { shard: 0, nrShards: 2, ignoreMsb: 12, shardAwarePort: 19042, shardAwarePortTls: undefined },
      lwtMask: 0x80000000,
      rateLimitCode: 61440,
      tabletsV1: true,
      tabletsV2: false,
      metadataId: false,
      clientOptions: false,
      hostId: undefined,
      compression: ["lz4", "snappy"],
      protocolVersions: [],
      isScylla: true,
      warnings: []
    })
  })

  it("tracing ids, warnings and payloads are read in front of any body", () => {
    const find = (name: string): Decoded =>
      decodeAll(golden("cql-v4-scylla-6.0.4").find((frame) => frame.name === name)!.response!)[0]!
    assert.isDefined(find("rows-traced").prefix.tracingId)
    assert.match(find("schema-change-warning").prefix.warnings[0]!, /SimpleStrategy/)
    const payload = find("tablet-pk0-on-shard0").prefix.customPayload
    assert.isAbove(payload?.get("tablets-routing-v1")?.length ?? 0, 20)
  })

  it("the mark of conditional statements is in the flags of the variables", () => {
    const prepared = (name: string): Response.Prepared => {
      const { response } = decodeAll(golden("cql-v4-scylla-6.0.4").find((frame) => frame.name === name)!.response!)[0]!
      if (response._tag !== "Prepared") throw new Error(response._tag)
      return response
    }
    assert.strictEqual((prepared("prepared-lwt").variables.flags & 0x80000000) >>> 0, 0x80000000)
    assert.strictEqual(prepared("prepared-select").variables.flags & 0x80000000, 0)
    assert.deepStrictEqual(prepared("prepared-select").variables.partitionKey, [0])
  })
})
