/**
 * Exchanges captured from a real Cassandra (`scripts/capture-frames.ts`): the codec reads of them what was inserted, and
 * writes its requests as they were sent.
 */
import {
  Compression,
  CqlType,
  Dialect,
  Frame,
  Framing,
  Reader,
  Request,
  Response,
  RowDecoder,
  Segment,
  type ServerError,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { captured, LARGE_ROWS, largeText, type Mode, modes, show, typeCases } from "../../../test/fixtures/captured.ts"
import { bytesOf, type GoldenFrame } from "../../../test/fixtures/vectors.ts"

interface Decoded {
  readonly opcode: number
  readonly stream: number
  readonly flags: number
  readonly prefix: Response.Prefix
  readonly response: Response.Response
  /** Bytes behind the message. */
  readonly left: number
}

const compressorOf = (mode: Mode): Compression.Compressor | undefined =>
  mode.compression === undefined ? undefined : mode.compression === "lz4" ? Compression.lz4 : Compression.snappy

/** Decodes what came over the wire, in chunks. */
const decodeAll = (
  mode: Mode,
  hex: string,
  inSegments: boolean,
  chunk = Infinity,
  expected?: RowDecoder.RowDecoder
): Array<Decoded> => {
  const out: Array<Decoded> = []
  const decoders = new RowDecoder.RowDecoders()
  const framing = new Framing.Framing({
    onFrame: (version, flags, stream, opcode, body) => {
      assert.strictEqual(version, mode.version | 0x80)
      const prefix = Response.readPrefix(flags, body)
      const response = Response.decode(opcode, body, decoders, Dialect.make(mode.version), expected)
      out.push({ opcode, stream, flags, prefix, response, left: body.remaining })
    }
  })
  if (inSegments) framing.use(5, compressorOf(mode))
  else if (mode.version < 5) framing.use(mode.version, compressorOf(mode))
  const r = Reader.Reader.from(bytesOf(hex))
  for (let at = 0; at < r.end; at += chunk) framing.push(r.bytes, r.view, at, Math.min(r.end, at + chunk))
  assert.strictEqual(framing.pending, 0)
  return out
}

/** The answer of an exchange, as it came over the wire. */
const answerOf = (mode: Mode, frame: GoldenFrame, chunk?: number, expected?: RowDecoder.RowDecoder): Decoded => {
  const { name, response, responseSegments } = frame
  // Several events may have come in one segment.
  return responseSegments === undefined || name.startsWith("event-")
    ? decodeAll(mode, response!, false, chunk, expected)[0]!
    : decodeAll(mode, responseSegments, true, chunk, expected)[0]!
}

/** What a decoder function is compares equal to nothing. */
const comparable = ({ response, ...rest }: Decoded): unknown => ({
  ...rest,
  response: response._tag === "Prepared" ? { ...response, decoder: undefined } : response
})

const errors: Record<string, ServerError.ServerError["_tag"]> = {
  "auth-bad-credentials": "BadCredentials",
  "error-already-exists-keyspace": "AlreadyExists",
  "error-already-exists-table": "AlreadyExists",
  "error-config": "ConfigError",
  "error-function": "FunctionFailure",
  "error-invalid-table": "InvalidRequest",
  "error-invalid-value": "InvalidRequest",
  "error-protocol": "ProtocolError",
  "error-read-failure": "ReadFailure",
  "error-read-timeout": "ReadTimeout",
  "error-syntax": "CqlSyntaxError",
  "error-too-large": "InvalidRequest",
  "error-truncate": "TruncateError",
  "error-unauthorized": "Unauthorized",
  "error-unauthorized-or-invalid": "Unauthorized",
  "error-unavailable": "Unavailable",
  "error-unprepared": "Unprepared",
  "error-write-failure": "WriteFailure",
  "error-write-timeout-batch": "WriteTimeout",
  "error-write-timeout-cas": "WriteTimeout",
  "error-write-timeout-counter": "WriteTimeout",
  "error-write-timeout-simple": "WriteTimeout",
  "error-write-timeout-unlogged-batch": "WriteTimeout"
}

/** Errors that v3 does not have come as older ones. */
const errorsOfV3: typeof errors = {
  ...errors,
  "error-function": "InvalidRequest",
  "error-read-failure": "ReadTimeout",
  "error-write-failure": "WriteTimeout"
}

const tagOf = (name: string): Response.Response["_tag"] => {
  if (name.startsWith("error-") || name === "auth-bad-credentials") return "Error"
  if (name.startsWith("event-")) return "Event"
  if (name.startsWith("rows-") || name.startsWith("lwt-")) return "Rows"
  if (name.startsWith("prepared-")) return "Prepared"
  if (name.startsWith("schema-")) return "SchemaChanged"
  if (name.startsWith("auth-success")) return "AuthSuccess"
  if (name === "set-keyspace") return "SetKeyspace"
  if (name === "register") return "Ready"
  return "Void"
}

/** v3 has no functions: Cassandra says that their keyspace was updated, and leaves an empty name behind it. */
const isOfFunction = (name: string): boolean => /function|aggregate|^event-keyspace-dropped/.test(name)

/** The decoder that PREPARED of the same exchanges gave. */
const prepared = (mode: Mode, frames: ReadonlyArray<GoldenFrame>, name: string): RowDecoder.RowDecoder => {
  const { response } = answerOf(mode, frames.find((frame) => frame.name === name)!)
  if (response._tag !== "Prepared" || response.decoder === undefined) throw new Error(response._tag)
  return response.decoder
}

for (const mode of modes) {
  const thorough = mode.compression === undefined
  const frames = captured(mode)
  const named = (name: string): GoldenFrame => {
    const frame = frames.find((each) => each.name === name)
    if (frame === undefined) throw new Error(`${mode.name} has no ${name}`)
    return frame
  }
  const expectedOf = (name: string): RowDecoder.RowDecoder | undefined =>
    name.endsWith("skip-metadata") ? prepared(mode, frames, "prepared-select") : undefined
  const rowsOf = (name: string): ReadonlyArray<Record<string, unknown>> => {
    const { response } = answerOf(mode, named(name), undefined, expectedOf(name))
    if (response._tag !== "Rows") throw new Error(`${name}: ${response._tag}`)
    return response.rows as ReadonlyArray<Record<string, unknown>>
  }
  const shown = (name: string): unknown => rowsOf(name).map(show)

  describe(`captured from Cassandra 5.0.5: ${mode.name}`, () => {
    it("every answer is the message that was provoked, and nothing is left of it", () => {
      assert.isAtLeast(frames.length, thorough ? 155 : 45)
      for (const frame of frames) {
        const { name } = frame
        const { left, response } = answerOf(mode, frame, undefined, expectedOf(name))
        if (name === "startup") assert.match(response._tag, /^(Ready|Authenticate)$/)
        else assert.strictEqual(response._tag, tagOf(name), name)
        assert.strictEqual(left, mode.version === 3 && isOfFunction(name) && left > 0 ? 2 : 0, name)
        if (response._tag === "Error") {
          assert.strictEqual(response.error._tag, (mode.version === 3 ? errorsOfV3 : errors)[name], name)
        }
      }
    })

    it("cut after every byte, the answers are the same", () => {
      for (const frame of frames) {
        if (frame.name === "rows-large") continue
        const expected = expectedOf(frame.name)
        assert.deepStrictEqual(
          comparable(answerOf(mode, frame, 1, expected)),
          comparable(answerOf(mode, frame, undefined, expected)),
          frame.name
        )
      }
    })

    it("requests are read, and written again as they were", () => {
      const dialect = Dialect.make(mode.version)
      let count = 0
      for (const { name, request } of frames) {
        // The broken one cannot be read.
        if (request === undefined || request === "" || name === "error-protocol") continue
        const r = Reader.Reader.from(bytesOf(request))
        const stream = r.view.getInt16(2)
        const flags = r.bytes[1]!
        const opcode = r.bytes[4]!
        r.take(Frame.HEADER_SIZE)
        const { envelope, request: read } = Request.decode(opcode, flags, r, dialect)
        assert.strictEqual(r.remaining, 0, name)
        const w = new Writer.Writer()
        Request.encode(w, stream, read, { ...envelope, dialect })
        assert.strictEqual(Buffer.from(w.toUint8Array()).toString("hex"), request, name)
        count++
      }
      assert.isAtLeast(count, thorough ? 120 : 40)
    })

    for (const { name, rows, type } of typeCases) {
      if (!frames.some((frame) => frame.name === `rows-${name}`)) continue
      it(`${type} (${name})`, () => {
        const { response } = answerOf(mode, named(`rows-${name}`))
        if (response._tag !== "Rows") return assert.fail(response._tag)
        const columnType = response.columns[1]!.type
        const got = new Map(response.rows.map((row) => [row["pk"], row["v"]]))
        assert.strictEqual(got.size, rows.length)
        for (const [pk, [literal, value, hex]] of rows.entries()) {
          // A type that the codec does not know is the bytes that it has on the wire.
          const expected = columnType._tag === "Custom" ? `0x${hex}` : value
          assert.deepStrictEqual(show(got.get(pk)), expected, literal)
        }
        if (!thorough) return
        const announced = answerOf(mode, named(`prepared-${name}`)).response
        if (announced._tag !== "Prepared") return assert.fail(announced._tag)
        assert.deepStrictEqual(announced.variables.columns.map((column) => column.name), ["pk", "v"])
        assert.strictEqual(CqlType.format(announced.variables.columns[1]!.type), CqlType.format(columnType))
        if (mode.version >= 4) assert.deepStrictEqual(announced.variables.partitionKey, [0])
      })
    }

    it("rows of every kind of request", () => {
      const page = (from: number, to: number): unknown =>
        Array.from({ length: to - from }, (_, i) => ({ pk: 1, ck: from + i, v: `v${from + i}` }))
      assert.deepStrictEqual(shown("rows-counter"), [{ pk: "a", n: "-42n" }])
      assert.deepStrictEqual(shown("rows-static"), [
        { pk: 1, ck: null, s: "only static", v: null },
        { pk: 2, ck: "1970-01-01T00:00:01.000Z", s: "both", v: 3 }
      ])
      assert.deepStrictEqual(shown("rows-empty"), [])
      assert.deepStrictEqual(shown("rows-page"), page(0, 3))
      const { response } = answerOf(mode, named("rows-page"))
      assert.isAbove(response._tag === "Rows" ? response.pagingState?.length ?? 0 : 0, 8)
      assert.deepStrictEqual(shown("rows-skip-metadata"), page(0, 7))
      assert.deepStrictEqual(shown("rows-values"), [{ v: "v2" }])
      assert.deepStrictEqual(shown("rows-named"), [{ v: "v2" }])
      assert.deepStrictEqual(shown("rows-executed"), page(3, 4))
      assert.deepStrictEqual(shown("rows-executed-skip-metadata"), page(3, 4))
      assert.deepStrictEqual(shown("lwt-applied"), [{ "[applied]": true }])
      assert.deepStrictEqual(shown("lwt-not-applied"), [{ "[applied]": false, pk: 9, a: 1, b: "x" }])
      assert.deepStrictEqual(shown("lwt-condition"), [{ "[applied]": false, a: 1, b: "x" }])
      assert.deepStrictEqual(shown("lwt-executed-applied"), [{ "[applied]": true }])
      assert.deepStrictEqual(shown("lwt-executed-not-applied"), [{ "[applied]": false, pk: 77, a: 1, b: "p" }])
      if (mode.version >= 5) {
        assert.deepStrictEqual(shown("rows-keyspace"), [{ v: "v1" }])
        const changed = answerOf(mode, named("rows-metadata-changed")).response
        const announced = answerOf(mode, named("prepared-select")).response
        if (changed._tag !== "Rows" || announced._tag !== "Prepared") return assert.fail(changed._tag)
        assert.deepStrictEqual(changed.newMetadataId, announced.resultMetadataId)
        assert.deepStrictEqual(changed.rows.map(show), page(3, 4))
      }
    })

    it("tracing ids and warnings, alone and together", () => {
      const prefix = (name: string): Response.Prefix => answerOf(mode, named(name)).prefix
      const warned = mode.version < 4 ? [] : ["Aggregation query used without partition key"]
      assert.deepStrictEqual(prefix("rows-warning").warnings, warned)
      assert.isUndefined(prefix("rows-warning").tracingId)
      assert.isDefined(prefix("rows-traced").tracingId)
      assert.deepStrictEqual(prefix("rows-traced").warnings, [])
      assert.isDefined(prefix("rows-traced-warning").tracingId)
      assert.deepStrictEqual(prefix("rows-traced-warning").warnings, warned)
      assert.deepStrictEqual(rowsOf("rows-traced-warning").map((row) => row["count"]), [7n])
    })

    it("a large answer", () => {
      const rows = rowsOf("rows-large")
      assert.strictEqual(rows.length, LARGE_ROWS)
      for (const [i, row] of rows.entries()) assert.deepStrictEqual(row, { pk: 1, ck: i, v: largeText(i) })
      const frame = named("rows-large")
      if (mode.version < 5) return
      assert.isAbove(frame.response!.length / 2, 2 * Segment.MAX_PAYLOAD)
      // It is the same however the bytes are cut.
      assert.deepStrictEqual(answerOf(mode, frame, 4093).response, answerOf(mode, frame).response)
    })

    if (thorough) {
      it("errors carry what their bodies say", () => {
        const errorOf = (name: string): ServerError.ServerError => {
          const { response } = answerOf(mode, named(name))
          if (response._tag !== "Error") throw new Error(response._tag)
          return response.error
        }
        const { version } = mode
        const pick = (name: string, ...keys: ReadonlyArray<string>): unknown =>
          Object.fromEntries(keys.map((key) => [key, (errorOf(name) as unknown as Record<string, unknown>)[key]]))
        assert.deepStrictEqual(pick("error-already-exists-table", "keyspace", "table"), {
          keyspace: "capture",
          table: "pages"
        })
        assert.deepStrictEqual(pick("error-already-exists-keyspace", "keyspace", "table"), {
          keyspace: "capture",
          table: ""
        })
        assert.deepStrictEqual(pick("error-unavailable", "consistency", "required", "alive"), {
          consistency: "THREE",
          required: 3,
          alive: 2
        })
        assert.deepStrictEqual(pick("error-unprepared", "id"), { id: new Uint8Array(16).fill(1) })
        assert.deepStrictEqual(pick("error-read-timeout", "consistency", "received", "required", "dataPresent"), {
          consistency: "ALL",
          received: 1,
          required: 2,
          dataPresent: true
        })
        assert.deepStrictEqual(pick("error-write-timeout-simple", "writeType", "received", "required"), {
          writeType: "SIMPLE",
          received: 1,
          required: 2
        })
        assert.deepStrictEqual(pick("error-write-timeout-counter", "writeType"), { writeType: "COUNTER" })
        assert.deepStrictEqual(pick("error-write-timeout-unlogged-batch", "writeType"), { writeType: "UNLOGGED_BATCH" })
        assert.deepStrictEqual(pick("error-write-timeout-batch", "writeType"), { writeType: "BATCH_LOG" })
        assert.deepStrictEqual(pick("error-write-timeout-cas", "writeType", "contentions"), {
          writeType: "CAS",
          contentions: version < 5 ? undefined : 0
        })
        if (version === 3) return
        assert.deepStrictEqual(pick("error-function", "keyspace", "function", "argTypes"), {
          keyspace: "capture",
          function: "bad",
          argTypes: ["int", "text"]
        })
        assert.deepStrictEqual(pick("error-read-failure", "failures", "dataPresent"), {
          failures: 1,
          dataPresent: false
        })
        assert.deepStrictEqual(pick("error-write-failure", "failures", "writeType"), {
          failures: 1,
          writeType: "SIMPLE"
        })
        if (version === 4) return
        // 1: too many tombstones; 3: a schema that does not match (RequestFailureReason of Cassandra 5).
        assert.deepStrictEqual(pick("error-read-failure", "reasons"), { reasons: new Map([["127.0.0.1", 1]]) })
        assert.deepStrictEqual(pick("error-write-failure", "reasons"), { reasons: new Map([["127.0.0.2", 3]]) })
      })
    }

    it("changes of the schema, as answers and as events", () => {
      const of = (name: string): Response.SchemaChange => {
        const { response } = answerOf(mode, named(name))
        if (response._tag === "SchemaChanged") return response.schema
        if (response._tag === "Event" && response.event._tag === "SchemaChange") return response.event.schema
        throw new Error(response._tag)
      }
      assert.deepStrictEqual(of("schema-keyspace-created"), { change: "CREATED", target: "KEYSPACE", keyspace: "s" })
      for (const { name } of frames.filter((frame) => frame.name.startsWith("schema-"))) {
        const event = name.replace("schema-", "event-")
        // A keyspace takes with it what is in it: its own event is the last.
        if (name !== "schema-keyspace-dropped") assert.deepStrictEqual(of(event), of(name), name)
      }
      const last = frames.findLast((frame) => frame.name === "event-keyspace-dropped")!
      const { response } = answerOf(mode, last)
      if (response._tag !== "Event") return assert.fail(response._tag)
      assert.deepStrictEqual(response.event, {
        _tag: "SchemaChange",
        schema: { change: "DROPPED", target: "KEYSPACE", keyspace: "s" }
      })
      assert.deepStrictEqual(of("schema-keyspace-dropped"), { change: "DROPPED", target: "KEYSPACE", keyspace: "s" })
      if (!thorough) return
      assert.deepStrictEqual(of("schema-type-updated"), {
        change: "UPDATED",
        target: "TYPE",
        keyspace: "s",
        name: "ty"
      })
      assert.deepStrictEqual(
        of("schema-function-created"),
        mode.version === 3
          ? { change: "UPDATED", target: "KEYSPACE", keyspace: "s" }
          : { change: "CREATED", target: "FUNCTION", keyspace: "s", name: "f", argTypes: ["int", "list<text>"] }
      )
      if (mode.version > 3) {
        assert.deepStrictEqual(of("schema-aggregate-dropped"), {
          change: "DROPPED",
          target: "AGGREGATE",
          keyspace: "s",
          name: "a",
          argTypes: ["int"]
        })
      }
    })

    if (mode.version >= 5) {
      it("segments hold the envelopes, one way and the other", () => {
        for (const { name, request, requestSegment, response, responseSegments } of frames) {
          if (responseSegments === undefined) continue
          const envelopes = (hex: string, bit: number): string => {
            let out = ""
            const framing = new Framing.Framing({
              onFrame: (version, flags, stream, opcode, body) => {
                const w = new Writer.Writer()
                const start = Frame.begin(w, (version & 0x7f) | bit, flags, stream, opcode)
                w.raw(body.bytes.subarray(body.pos, body.pos + body.remaining))
                Frame.end(w, start)
                out += Buffer.from(w.toUint8Array()).toString("hex")
              }
            })
            framing.use(5, compressorOf(mode))
            const r = Reader.Reader.from(bytesOf(hex))
            framing.push(r.bytes, r.view, 0, r.end)
            return out
          }
          const held = envelopes(responseSegments, 0x80)
          if (name.startsWith("event-")) assert.include(held, response!, name)
          else assert.strictEqual(held, response, name)
          if (requestSegment !== undefined && requestSegment !== "") {
            assert.strictEqual(envelopes(requestSegment, 0), request, name)
          }
        }
      })
    }
  })
}
