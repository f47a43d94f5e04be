import {
  Compression,
  CqlType,
  Dialect,
  Features,
  Frame,
  Framing,
  Metadata,
  Reader,
  Request,
  Response,
  RowDecoder,
  Segment,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { BigDecimal } from "effect"
import { bytesOf, golden, type GoldenFrame } from "../../../test/fixtures/vectors.ts"

const files = [
  "cql-v4-scylla-6.0.4",
  "cql-v3-cassandra-5.0.5",
  "cql-v4-cassandra-5.0.5",
  "cql-v5-cassandra-5.0.5",
  "cql-v5-lz4-cassandra-5.0.5",
  "cql-v4-scylla-6.0.4-events-and-timeouts",
  "cql-v4-scylla-6.0.4-tablets",
  "cql-v4-scylla-6.0.4-auth"
]

interface Decoded {
  readonly stream: number
  readonly prefix: Response.Prefix
  readonly response: Response.Response
}

const dialects = ([3, 4, 5] as const).map((version) => Dialect.make(version, { rateLimitCode: 61_440 }))

/** Of the first byte of a frame; Cassandra refuses v6, which is a beta, in v6. */
const dialectOf = (hex: string): Dialect.Dialect | undefined =>
  dialects.find(({ version }) => version === (Number.parseInt(hex.slice(0, 2), 16) & 0x7f))

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

/** Decodes all frames in the bytes; whatever is left over is a failure. `lz4` where v5's segments have headers of lz4. */
const decodeAll = (hex: string, chunk = Infinity, name = "", segments?: { readonly lz4: boolean }): Array<Decoded> => {
  const out: Array<Decoded> = []
  const decoders = new RowDecoder.RowDecoders()
  const expected = name.endsWith("skip-metadata") ? pages(decoders) : undefined
  const first = segments === undefined ? Number.parseInt(hex.slice(0, 2), 16) : 0x85
  const dialect = segments === undefined ? dialectOf(hex) ?? Dialect.v4 : dialects[2]!
  const parser = new Framing.Framing({
    onFrame: (version, flags, stream, opcode, body) => {
      assert.strictEqual(version, first)
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
  const body = name.endsWith("lz4") ? Compression.lz4 : name.endsWith("snappy") ? Compression.snappy : undefined
  if (segments !== undefined) parser.use(5, segments.lz4 ? Compression.lz4 : undefined)
  else if (dialect.version < 5) parser.use(dialect.version, body)
  const r = Reader.Reader.from(bytesOf(hex))
  for (let at = 0; at < r.end; at += chunk) parser.push(r.bytes, r.view, at, Math.min(r.end, at + chunk))
  assert.strictEqual(parser.pending, 0)
  return out
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
  "error-lz4": "CqlSyntaxError",
  "error-snappy": "CqlSyntaxError",
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
  // On Cassandra these are no errors: the table exists, two of three replicas are a QUORUM, and v5 is spoken.
  if (cassandra && name === "error-peers-v2") return "Rows"
  if (cassandra && name === "error-unavailable-write") return "Void"
  if (cassandra && name === "version-5") return "Supported"
  if (name in errors) return "Error"
  if (name.startsWith("supported") || name === "version-3") return "Supported"
  if (name.startsWith("authenticate")) return "Authenticate"
  if (name === "auth-success") return "AuthSuccess"
  if (name.startsWith("event")) return "Event"
  if (name.startsWith("schema-change")) return "SchemaChanged"
  if (name === "set-keyspace") return "SetKeyspace"
  if (name.startsWith("prepared")) return "Prepared"
  if (name.startsWith("void") || name === "batch-void" || name === "traced") return "Void"
  if (name.startsWith("tablet-write")) return "Void"
  // ScyllaDB 6.0.4 had no LWT on tablets yet.
  if (name.startsWith("tablet-lwt")) return "Error"
  if (/ready(-lz4|-snappy)?$/.test(name)) return "Ready"
  return "Rows"
}

for (const file of files) {
  describe(`recorded: ${file}`, () => {
    const cassandra = file.includes("cassandra")
    const frames = golden(file)

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
        // Parts of each size: a cut at every byte, alone and with others.
        for (let chunk = 1; chunk < Math.min(frame.response!.length / 2, 400); chunk++) {
          assert.deepStrictEqual(decodeAll(frame.response!, chunk, frame.name), whole, `${frame.name} by ${chunk}`)
        }
      }
    })

    it("every request encodes to the recorded bytes", () => {
      let checked = 0
      for (const { name, request } of golden(file)) {
        if (request === undefined || request === "" || name === "error-unknown-opcode") continue
        const dialect = dialectOf(request)
        // Versions that there are not.
        if (dialect === undefined) continue
        const r = Reader.Reader.from(bytesOf(request))
        new Frame.FrameParser({
          onFrame: (_version, flags, stream, opcode, body) => {
            const decoded = Request.decode(opcode, flags, body, dialect)
            assert.strictEqual(body.remaining, 0, name)
            const w = new Writer.Writer()
            Request.encode(w, stream, decoded.request, { ...decoded.envelope, dialect })
            assert.strictEqual(Buffer.from(w.toUint8Array()).toString("hex"), request, name)
            checked++
          }
        }).push(r.bytes, r.view, 0, r.end)
      }
      if (!file.includes("tablets")) assert.isAbove(checked, 5)
    })

    if (file.startsWith("cql-v5")) {
      // Recorded on a connection without compression.
      const plain = new Set(["error-unknown-opcode", "error-second-startup", "register-ready"])
      const isLz4 = (name: string): boolean => file.includes("lz4") && !plain.has(name)
      const segmented = frames.filter((frame) => frame.responseSegments !== undefined)

      it("the segments on the wire hold the same messages, however they are split", () => {
        assert.isAbove(segmented.length, 40)
        for (const { name, response, responseSegments } of segmented) {
          const whole = decodeAll(response!, Infinity, name)
          for (const chunk of responseSegments!.length < 2000 ? [Infinity, 1, 7] : [Infinity]) {
            assert.deepStrictEqual(decodeAll(responseSegments!, chunk, name, { lz4: isLz4(name) }), whole, name)
          }
        }
      })

      it("the segments of requests hold them, and without compression are written as they were recorded", () => {
        for (const { name, request, requestSegment } of segmented) {
          const lz4 = isLz4(name)
          const frame = bytesOf(request!)
          const read: Array<Uint8Array> = []
          const parser = new Segment.SegmentParser({
            onPayload: (bytes, _view, start, end) => {
              read.push(Uint8Array.from(bytes.subarray(start, end)))
            }
          }, lz4)
          const r = Reader.Reader.from(bytesOf(requestSegment!))
          parser.push(r.bytes, r.view, 0, r.end)
          assert.deepStrictEqual(read, [frame], name)
          const framing = new Framing.Framing({ onFrame() {} })
          framing.use(5, lz4 ? Compression.lz4 : undefined)
          const w = new Writer.Writer()
          framing.write(w, frame, 0, frame.length)
          const written = Buffer.from(w.toUint8Array()).toString("hex")
          // Those that were recorded with lz4 are stored as they are, which our writer does where they do not get smaller.
          if (!lz4 || written.length === requestSegment!.length) assert.strictEqual(written, requestSegment, name)
          else assert.isBelow(written.length, requestSegment!.length, name)
        }
      })
    }
  })
}

describe("recorded values", () => {
  const rowOf = (file: string, name: string): RowDecoder.Row => {
    const [decoded] = decodeAll(golden(file).find((frame) => frame.name === name)!.response!)
    const { response } = decoded!
    if (response._tag !== "Rows") throw new Error(`${name} is ${response._tag}`)
    return response.rows[0]!
  }

  for (
    const file of [
      "cql-v4-scylla-6.0.4",
      "cql-v3-cassandra-5.0.5",
      "cql-v4-cassandra-5.0.5",
      "cql-v5-cassandra-5.0.5",
      "cql-v5-lz4-cassandra-5.0.5"
    ]
  ) {
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
      tabletsV2: undefined,
      metadataId: false,
      driverConfig: undefined,
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

  it("v5: metadata has an id, and EXECUTE names it", () => {
    for (const file of ["cql-v5-cassandra-5.0.5", "cql-v5-lz4-cassandra-5.0.5"]) {
      const ids = new Map<string, string>()
      for (const { name, response } of golden(file).filter(({ name }) => name.startsWith("prepared-"))) {
        const { response: prepared } = decodeAll(response!)[0]!
        if (prepared._tag !== "Prepared") throw new Error(prepared._tag)
        assert.strictEqual(prepared.resultMetadataId?.length, 16, name)
        ids.set(String(prepared.id), String(prepared.resultMetadataId))
      }
      for (const name of ["rows-executed", "rows-executed-skip-metadata"]) {
        const request = golden(file).find((frame) => frame.name === name)!.request!
        const r = Reader.Reader.from(bytesOf(request))
        r.take(Frame.HEADER_SIZE)
        const { request: execute } = Request.decode(Frame.Opcode.EXECUTE, 0, r, Dialect.v5)
        if (execute._tag !== "Execute") throw new Error(execute._tag)
        assert.strictEqual(String(execute.resultMetadataId), ids.get(String(execute.id)))
      }
    }
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
