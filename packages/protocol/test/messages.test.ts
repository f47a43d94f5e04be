import {
  BindEncoder,
  Codec,
  type Consistency,
  CqlType,
  Dialect,
  Frame,
  type Metadata,
  ProtocolError,
  Reader,
  Request,
  Response,
  RowDecoder,
  ServerError,
  Uuid,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { column } from "./support/types.ts"

const readFrame = <A>(
  bytes: Uint8Array,
  read: (frame: { version: number; flags: number; stream: number; opcode: number; body: Reader.Reader }) => A
): A => {
  const out: Array<A> = []
  const r = Reader.Reader.from(bytes)
  new Frame.FrameParser({
    onFrame: (version, flags, stream, opcode, body) => {
      out.push(read({ version, flags, stream, opcode, body }))
      assert.strictEqual(body.remaining, 0, "bytes are left behind the message")
    }
  }).push(r.bytes, r.view, 0, r.end)
  assert.strictEqual(out.length, 1)
  return out[0]!
}

/** Every version, alone and with what can be negotiated on it. */
const dialects: ReadonlyArray<Dialect.Dialect> = [
  Dialect.v3,
  Dialect.v4,
  Dialect.make(4, { metadataIds: true }),
  Dialect.make(4, { metadataIds: true, tabletVersions: true, rateLimitCode: 0xf000 }),
  Dialect.make(3, { tabletVersions: true }),
  Dialect.v5
]

const requestThere = (request: Request.Request, envelope: Request.Envelope = {}, stream = 7) => {
  const w = new Writer.Writer(1)
  Request.encode(w, stream, request, envelope)
  return readFrame(w.toUint8Array(), ({ body, flags, opcode, stream: id, version }) => {
    assert.strictEqual(id, stream)
    assert.strictEqual(version, envelope.dialect?.version ?? 4)
    return Request.decode(opcode, flags, body, envelope.dialect)
  })
}

const payload = new Map<string, Uint8Array | null>([["a", new Uint8Array([1, 2])], ["ž", null], [
  "",
  new Uint8Array(0)
]])

const allOptions: Request.Options = {
  consistency: "LOCAL_QUORUM",
  serialConsistency: "LOCAL_SERIAL",
  pageSize: 5000,
  pagingState: new Uint8Array([1, 2, 3]),
  timestamp: -(2n ** 63n) + 1n,
  skipMetadata: true
}

const newOptions: Request.Options = { ...allOptions, keyspace: "ž", nowInSeconds: -5 }

const values: ReadonlyArray<Request.RawValue> = [new Uint8Array([1]), null, Value.Unset, new Uint8Array(0)]

/** What a request looks like where there is no Unset. */
const without = <A extends Request.RawValue>(list: ReadonlyArray<A>): Array<A | null> =>
  list.map((value) => value === Value.Unset ? null : value)

const forVersion3 = (request: Request.Request): Request.Request =>
  "values" in request && request.values?.values !== undefined
    ? { ...request, values: { ...request.values, values: without(request.values.values) } }
    : request._tag === "Batch"
    ? { ...request, entries: request.entries.map((entry) => ({ ...entry, values: without(entry.values) })) }
    : request

describe("requests", () => {
  const requests: ReadonlyArray<Request.Request> = [
    { _tag: "Options" },
    { _tag: "Startup", options: { CQL_VERSION: "3.0.0", DRIVER_NAME: "ž" } },
    { _tag: "AuthResponse", token: new Uint8Array([0, 1, 0, 2]) },
    { _tag: "AuthResponse", token: null },
    { _tag: "Prepare", query: "SELECT ž FROM t" },
    { _tag: "Register", events: ["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"] },
    { _tag: "Query", query: "SELECT 1", options: { consistency: "ONE" }, values: undefined },
    { _tag: "Query", query: "SELECT 1", options: allOptions, values: { values } },
    { _tag: "Query", query: "SELECT 1", options: allOptions, values: { values, names: ["a", "b", "c", "d"] } },
    { _tag: "Query", query: "x".repeat(100_000), options: allOptions, values: { values: [] } },
    { _tag: "Execute", id: new Uint8Array(16).fill(3), options: allOptions, values: { values } },
    { _tag: "Execute", id: new Uint8Array(0), options: { consistency: "SERIAL" }, values: undefined },
    ...(["logged", "unlogged", "counter"] as const).map((kind): Request.Request => ({
      _tag: "Batch",
      kind,
      entries: [
        { _tag: "Text", query: "INSERT", values },
        { _tag: "Prepared", id: new Uint8Array([9]), values: [] }
      ],
      options: { consistency: "EACH_QUORUM", serialConsistency: "SERIAL", timestamp: 5n }
    })),
    { _tag: "Batch", kind: "logged", entries: [], options: { consistency: "ANY" } }
  ]
  /** Only v5 has these. */
  const requestsOf5: ReadonlyArray<Request.Request> = [
    { _tag: "Prepare", query: "SELECT ž FROM t", keyspace: "ž" },
    { _tag: "Query", query: "SELECT 1", options: newOptions, values: { values, names: ["a", "b", "c", "d"] } },
    { _tag: "Query", query: "SELECT 1", options: { consistency: "ONE", nowInSeconds: 2 ** 31 - 1 }, values: undefined },
    {
      _tag: "Execute",
      id: new Uint8Array(16).fill(3),
      resultMetadataId: new Uint8Array(16).fill(4),
      options: newOptions,
      values: { values }
    },
    {
      _tag: "Batch",
      kind: "unlogged",
      entries: [{ _tag: "Text", query: "INSERT", values }],
      options: { consistency: "ONE", keyspace: "k", nowInSeconds: 1, serialConsistency: "SERIAL", timestamp: 5n }
    }
  ]

  /** As the server reads it: what the dialect always has is there. */
  const completed = (request: Request.Request, dialect: Dialect.Dialect): Request.Request =>
    request._tag === "Execute"
      ? {
        ...request,
        ...(dialect.metadataIds ? { resultMetadataId: request.resultMetadataId ?? new Uint8Array(0) } : {}),
        ...(dialect.tabletVersions ? { tabletBlock: request.tabletBlock ?? 0 } : {})
      }
      : request

  it("are decoded as they were encoded", () => {
    for (const dialect of dialects) {
      const all = dialect.version >= 5 ? [...requests, ...requestsOf5] : requests
      for (const given of all) {
        const request = dialect.version < 4 ? forVersion3(given) : given
        for (const tracing of [false, true]) {
          for (const customPayload of dialect.version < 4 ? [undefined] : [undefined, payload, new Map()]) {
            assert.deepStrictEqual(requestThere(request, { dialect, tracing, customPayload }), {
              request: completed(request, dialect),
              envelope: { tracing, customPayload }
            })
          }
        }
      }
    }
  })

  it("what a version does not have is refused, by name", () => {
    const query = (options: Partial<Request.Options>, given?: Request.Values): Request.Request => ({
      _tag: "Query",
      query: "",
      options: { consistency: "ONE", ...options },
      values: given
    })
    const batch: Request.Request = {
      _tag: "Batch",
      kind: "logged",
      entries: [{ _tag: "Text", query: "", values: [] }, { _tag: "Text", query: "", values: [null, Value.Unset] }],
      options: { consistency: "ONE" }
    }
    const cases: ReadonlyArray<readonly [Request.Request, Dialect.Dialect, string]> = [
      [query({ keyspace: "k" }), Dialect.v4, "the option keyspace of a request needs protocol v5"],
      [query({ nowInSeconds: 0 }), Dialect.v3, "the option nowInSeconds of a request needs protocol v5"],
      [{ _tag: "Prepare", query: "", keyspace: "k" }, Dialect.v4, "the keyspace of a PREPARE needs protocol v5"],
      [{ ...batch, options: { consistency: "ONE", keyspace: "k" } }, Dialect.v4, "the option keyspace of a request"],
      [query({}, { values: [null, Value.Unset] }), Dialect.v3, "value 2: Unset needs protocol v4"],
      [query({}, { values: [Value.Unset], names: ["age"] }), Dialect.v3, "age: Unset needs protocol v4"],
      [batch, Dialect.v3, "statement 2, value 2: Unset needs protocol v4"]
    ]
    for (const [request, dialect, message] of cases) {
      const w = new Writer.Writer()
      Request.encode(w, 1, { _tag: "Options" })
      assert.throws(() => Request.encode(w, 1, request, { dialect }), ProtocolError.EncodeError, message)
      assert.strictEqual(w.pos, Frame.HEADER_SIZE, message)
    }
    assert.throws(
      () => requestThere({ _tag: "Options" }, { dialect: Dialect.v3, customPayload: payload }),
      ProtocolError.EncodeError,
      "a custom payload needs protocol v4, and the connection speaks v3"
    )
  })

  it("flags that a version or a message does not have are refused", () => {
    const body = (bytes: ReadonlyArray<number>) => Reader.Reader.from(Uint8Array.from(bytes))
    const cases: ReadonlyArray<readonly [number, ReadonlyArray<number>, Dialect.Dialect]> = [
      [Frame.Opcode.QUERY, [0, 0, 0, 0, 0, 1, 0x80, 0, 0], Dialect.v4],
      [Frame.Opcode.QUERY, [0, 0, 0, 0, 0, 1, 0, 0, 0x02, 0], Dialect.v5],
      [Frame.Opcode.PREPARE, [0, 0, 0, 0, 0, 0, 0, 2], Dialect.v5],
      // Names, values and pages are not the batch's.
      ...[0x01, 0x02, 0x04, 0x08, 0x40].map((flag) =>
        [Frame.Opcode.BATCH, [0, 0, 0, 0, 1, flag, 0, 0, 0, 0], Dialect.v4] as const
      )
    ]
    for (const [opcode, bytes, dialect] of cases) {
      assert.throws(() => Request.decode(opcode, 0, body(bytes), dialect), ProtocolError.DecodeError, "unknown flags")
    }
  })

  it("any negative length is null on v3, and only two are anything later", () => {
    const read = (length: number, dialect: Dialect.Dialect) => {
      const w = new Writer.Writer()
      Request.encode(w, 1, { _tag: "Query", query: "", options: { consistency: "ONE" }, values: { values: [null] } }, {
        dialect
      })
      const bytes = w.toUint8Array()
      new DataView(bytes.buffer).setInt32(bytes.length - 4, length)
      return readFrame(bytes, ({ body, opcode }) => {
        try {
          const { request } = Request.decode(opcode, 0, body, dialect)
          return request._tag === "Query" ? request.values?.values?.[0] : undefined
        } catch (error) {
          body.pos = body.end
          return error
        }
      })
    }
    for (const length of [-1, -2, -3]) assert.isNull(read(length, Dialect.v3))
    assert.isNull(read(-1, Dialect.v5))
    assert.strictEqual(read(-2, Dialect.v5), Value.Unset)
    assert.instanceOf(read(-3, Dialect.v4), ProtocolError.DecodeError)
  })

  it("a batch takes only its own options, whatever the object holds", () => {
    const options = { ...allOptions, serialConsistency: undefined }
    const { request } = requestThere({ _tag: "Batch", kind: "logged", entries: [], options })
    assert.deepStrictEqual(request, {
      _tag: "Batch",
      kind: "logged",
      entries: [],
      options: { consistency: "LOCAL_QUORUM", timestamp: allOptions.timestamp }
    })
  })

  it("names that objects have anyway survive in STARTUP", () => {
    const options = Object.fromEntries([["__proto__", "x"], ["constructor", "y"]])
    assert.deepStrictEqual(requestThere({ _tag: "Startup", options }).request, { _tag: "Startup", options })
  })

  it("cut at every byte they fail typed", () => {
    for (const dialect of dialects.filter(({ version }) => version >= 4)) {
      for (const request of dialect.version >= 5 ? [...requests, ...requestsOf5] : requests) {
        const w = new Writer.Writer()
        Request.encode(w, 1, request, { customPayload: payload, dialect })
        if (w.pos > 2000) continue
        const bytes = w.toUint8Array()
        for (let end = Frame.HEADER_SIZE; end < bytes.length; end++) {
          const r = Reader.Reader.from(bytes)
          const body = new Reader.Reader(r.bytes, r.view, Frame.HEADER_SIZE, end)
          assert.throws(() => Request.decode(bytes[4]!, bytes[1]!, body, dialect), ProtocolError.DecodeError)
        }
      }
    }
  })

  it("options that no message can carry are refused", () => {
    const wrong: ReadonlyArray<Partial<Request.Options>> = [
      { pageSize: 2 ** 31 },
      { pageSize: 1.5 },
      { timestamp: 2n ** 63n },
      { timestamp: -(2n ** 63n) },
      { nowInSeconds: 2 ** 31 },
      { nowInSeconds: 0.5 },
      // What only TypeScript would have refused: written as it stands, it would be some other level or time.
      { timestamp: 5 as unknown as bigint },
      { consistency: "local_quorum" as Consistency.Consistency },
      { consistency: "constructor" as Consistency.Consistency },
      { consistency: undefined as unknown as Consistency.Consistency },
      { serialConsistency: "QUORUM" as Consistency.SerialConsistency }
    ]
    for (const options of wrong) {
      const query: Request.Request = { _tag: "Query", query: "", options: { consistency: "ONE", ...options } }
      assert.throws(
        () => requestThere(query, { dialect: Dialect.v5 }),
        ProtocolError.EncodeError,
        /^the (page size|timestamp|time of the request|serial consistency|consistency) is/
      )
    }
    assert.throws(
      () => requestThere({ _tag: "Query", query: "", options: { consistency: "ONE" }, values: { names: ["a"] } }),
      ProtocolError.EncodeError,
      "0 values and 1 names"
    )
    const kind = "LOGGED" as Request.BatchKind
    assert.throws(
      () => requestThere({ _tag: "Batch", kind, entries: [], options: { consistency: "ONE" } }),
      ProtocolError.EncodeError,
      "the kind of the batch is LOGGED, expected logged, unlogged or counter"
    )
    assert.throws(
      () =>
        requestThere({ _tag: "Query", query: "", options: { consistency: "ONE" }, values: { values, names: ["a"] } }),
      ProtocolError.EncodeError,
      "4 values and 1 names"
    )
  })

  it("page sizes below one ask for everything", () => {
    for (const pageSize of [0, -1, NaN]) {
      assert.deepStrictEqual(
        requestThere({ _tag: "Query", query: "", options: { consistency: "ONE", pageSize } }).request,
        { _tag: "Query", query: "", options: { consistency: "ONE" }, values: undefined }
      )
    }
  })
})

describe("writeExecute", () => {
  const columns = [column("id", CqlType.scalar("int")), column("name", CqlType.scalar("text"))]
  const encoder = new BindEncoder.BindEncoder(columns)
  const id = new Uint8Array(16).fill(7)
  const raw = [Codec.encode(columns[0]!.type, 5), Codec.encode(columns[1]!.type, "x")]

  it("writes what encode writes", () => {
    for (const dialect of dialects) {
      for (const [tracing, stamped] of [[false, false], [false, true], [true, false], [true, true]] as const) {
        for (const timestamp of [0, 1, 1_790_000_000_123_456, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER]) {
          for (
            const options of [
              { consistency: "ONE" as const },
              { ...allOptions, timestamp: undefined },
              allOptions,
              ...(dialect.version >= 5 ? [newOptions, { ...newOptions, timestamp: undefined }] : [])
            ]
          ) {
            for (const resultMetadataId of [undefined, new Uint8Array([1, 2, 3])]) {
              const customPayload = tracing && dialect.version >= 4 ? payload : undefined
              const settings = { tracing, stamped, dialect, resultMetadataId, customPayload }
              const template = Request.executeTemplate(id, options, 2, settings)
              const fast = new Writer.Writer(1)
              Request.writeExecute(fast, template, encoder, [5, "x"], timestamp)
              if (dialect.tabletVersions) Request.setTabletBlock(fast, 0xa7)
              const slow = new Writer.Writer()
              Request.encode(slow, 0, {
                _tag: "Execute",
                id,
                resultMetadataId,
                tabletBlock: 0xa7,
                options: { ...options, timestamp: options.timestamp ?? (stamped ? BigInt(timestamp) : undefined) },
                values: { values: raw }
              }, { tracing, dialect, customPayload })
              assert.deepStrictEqual(fast.toUint8Array(), slow.toUint8Array(), `${stamped} ${timestamp}`)
            }
          }
        }
      }
    }
  })

  it("a template is refused what its version does not have, and Unset on v3 is named", () => {
    const settings = { tracing: false, stamped: false }
    assert.throws(
      () => Request.executeTemplate(id, { consistency: "ONE", keyspace: "k" }, 2, settings),
      ProtocolError.EncodeError,
      "needs protocol v5"
    )
    assert.throws(
      () =>
        Request.executeTemplate(id, { consistency: "ONE" }, 2, {
          ...settings,
          dialect: Dialect.v3,
          customPayload: payload
        }),
      ProtocolError.EncodeError,
      "a custom payload needs protocol v4"
    )
    const template = Request.executeTemplate(id, { consistency: "ONE" }, 2, { ...settings, dialect: Dialect.v3 })
    const w = new Writer.Writer()
    assert.throws(
      () => Request.writeExecute(w, template, encoder, [5, Value.Unset], 0),
      ProtocolError.EncodeError,
      "name: Unset needs protocol v4, and the connection speaks v3"
    )
    assert.strictEqual(w.pos, 0)
  })

  it("without variables there are no values", () => {
    const template = Request.executeTemplate(id, { consistency: "ONE" }, 0, { tracing: false, stamped: false })
    const w = new Writer.Writer()
    Request.writeExecute(w, template, new BindEncoder.BindEncoder([]), [], 0)
    assert.deepStrictEqual(
      readFrame(w.toUint8Array(), ({ body, flags, opcode }) => Request.decode(opcode, flags, body)).request,
      {
        _tag: "Execute",
        id,
        options: { consistency: "ONE" },
        values: undefined
      }
    )
  })

  it("values that do not fit leave nothing behind", () => {
    const template = Request.executeTemplate(id, { consistency: "ONE" }, 2, { tracing: false, stamped: false })
    const w = new Writer.Writer(1)
    Request.writeExecute(w, template, encoder, [5, "x"], 0)
    const before = w.toUint8Array()
    assert.throws(() => Request.writeExecute(w, template, encoder, [5, 6], 0), ProtocolError.EncodeError)
    assert.deepStrictEqual(w.toUint8Array(), before)
  })
})

const decodeResponse = (bytes: Uint8Array, dialect: Dialect.Dialect, expected?: RowDecoder.RowDecoder) =>
  readFrame(bytes, ({ body, flags, opcode, version }) => {
    assert.strictEqual(version, 0x80 | dialect.version)
    const prefix = Response.readPrefix(flags, body)
    return { prefix, response: Response.decode(opcode, body, new RowDecoder.RowDecoders(), dialect, expected) }
  })

const prefixes: ReadonlyArray<Response.Prefix> = [
  Response.noPrefix,
  { tracingId: new Uuid.Uuid(1, 2, 3, 4), warnings: [], customPayload: undefined },
  { tracingId: undefined, warnings: ["one", "", "ž"], customPayload: undefined },
  { tracingId: undefined, warnings: [], customPayload: payload },
  { tracingId: new Uuid.Uuid(-1, 2, -3, 4), warnings: ["w"], customPayload: payload }
]

/** The answer is the same in every dialect, unless one is given. */
const there = (
  response: Response.ServerResponse,
  dialect?: Dialect.Dialect,
  expected?: RowDecoder.RowDecoder
): Response.Response => {
  if (dialect === undefined) {
    const [first, ...others] = dialects.map((each) => there(response, each, expected))
    for (const other of others) assert.deepStrictEqual(other, first)
    return first!
  }
  const decoded = prefixes.map((prefix) => {
    const w = new Writer.Writer(1)
    Response.encode(w, 3, response, prefix, dialect)
    const { prefix: read, response: answer } = decodeResponse(w.toUint8Array(), dialect, expected)
    assert.deepStrictEqual(read, dialect.version < 4 ? { ...prefix, warnings: [] } : prefix)
    // Cut anywhere, it fails typed.
    const bytes = w.toUint8Array()
    const r = Reader.Reader.from(bytes)
    for (let end = Frame.HEADER_SIZE; end < bytes.length; end++) {
      const body = new Reader.Reader(r.bytes, r.view, Frame.HEADER_SIZE, end)
      assert.throws(() => {
        Response.readPrefix(bytes[1]!, body)
        Response.decode(bytes[4]!, body, new RowDecoder.RowDecoders(), dialect, expected)
      }, ProtocolError.DecodeError)
    }
    return answer
  })
  return decoded[0]!
}

const common = { message: "because ž", code: 0 }
const counted = { ...common, consistency: "QUORUM", received: 1, required: 2 } as const

const reasons = new Map([["10.0.0.1", 1], ["2001:db8::1", 0xffff]])

const serverErrors: ReadonlyArray<ServerError.ServerError> = [
  new ServerError.InternalServerError({ ...common, code: 0x0000 }),
  new ServerError.ProtocolError({ ...common, code: 0x000a }),
  new ServerError.BadCredentials({ ...common, code: 0x0100 }),
  new ServerError.Unavailable({ ...common, code: 0x1000, consistency: "ALL", required: 3, alive: 2 }),
  new ServerError.Overloaded({ ...common, code: 0x1001 }),
  new ServerError.IsBootstrapping({ ...common, code: 0x1002 }),
  new ServerError.TruncateError({ ...common, code: 0x1003 }),
  ...["SIMPLE", "BATCH", "UNLOGGED_BATCH", "COUNTER", "BATCH_LOG", "CAS", "VIEW", "CDC", "NEW"].map((writeType) =>
    new ServerError.WriteTimeout({ ...counted, code: 0x1100, writeType })
  ),
  new ServerError.ReadTimeout({ ...counted, code: 0x1200, dataPresent: true }),
  new ServerError.ReadTimeout({ ...counted, code: 0x1200, consistency: "LOCAL_SERIAL", dataPresent: false }),
  new ServerError.WriteTimeout({ ...counted, code: 0x1100, writeType: "CAS", contentions: 3 }),
  new ServerError.ReadFailure({ ...counted, code: 0x1300, failures: 2, reasons, dataPresent: true }),
  new ServerError.FunctionFailure({ ...common, code: 0x1400, keyspace: "k", function: "f", argTypes: ["int", "text"] }),
  new ServerError.WriteFailure({ ...counted, code: 0x1500, failures: 2, reasons, writeType: "BATCH" }),
  new ServerError.CdcWriteFailure({ ...common, code: 0x1600 }),
  new ServerError.CasWriteUnknown({ ...counted, code: 0x1700 }),
  new ServerError.CqlSyntaxError({ ...common, code: 0x2000 }),
  new ServerError.Unauthorized({ ...common, code: 0x2100 }),
  new ServerError.InvalidRequest({ ...common, code: 0x2200 }),
  new ServerError.ConfigError({ ...common, code: 0x2300 }),
  new ServerError.AlreadyExists({ ...common, code: 0x2400, keyspace: "k", table: "" }),
  new ServerError.Unprepared({ ...common, code: 0x2500, id: new Uint8Array([1, 2, 3]) }),
  new ServerError.RateLimitReached({ ...common, code: 0xf000, operation: "read", rejectedByCoordinator: true }),
  new ServerError.RateLimitReached({ ...common, code: 0xf000, operation: "write", rejectedByCoordinator: false }),
  new ServerError.UnknownServerError({ ...common, code: 0x7777 })
]

describe("responses", () => {
  it("every error", () => {
    for (const error of serverErrors) {
      const answer = there({ _tag: "Error", error }, Dialect.make(5, { rateLimitCode: 0xf000 }))
      if (answer._tag !== "Error") return assert.fail(answer._tag)
      assert.strictEqual(answer.error._tag, error._tag)
      assert.strictEqual(answer.error.constructor, error.constructor)
      // What v5 says of a CAS write is there even if the server knows nothing of it.
      const known = error._tag === "WriteTimeout" && error.writeType === "CAS" ? { contentions: 0, ...error } : error
      assert.deepStrictEqual({ ...answer.error, message: answer.error.message }, { ...known, message: error.message })
    }
    // Every class of the union is here.
    const classes = Object.values(ServerError).filter((value) =>
      typeof value === "function" && value.prototype instanceof Error
    )
    assert.strictEqual(new Set(serverErrors.map((error) => error.constructor)).size, classes.length)
  })

  it("errors that a version does not have are written as the nearest that it has", () => {
    const inVersion = (error: ServerError.ServerError, version: Dialect.Version): ServerError.ServerError => {
      const answer = there({ _tag: "Error", error }, Dialect.make(version, { rateLimitCode: 0xf000 }))
      return answer._tag === "Error" ? answer.error : assert.fail(answer._tag)
    }
    const tags = (version: Dialect.Version) =>
      Object.fromEntries(
        serverErrors.flatMap((error) => {
          const { _tag } = inVersion(error, version)
          return _tag === error._tag ? [] : [[error._tag, _tag]]
        })
      )
    assert.deepStrictEqual(tags(5), {})
    assert.deepStrictEqual(tags(4), { CasWriteUnknown: "WriteTimeout" })
    assert.deepStrictEqual(tags(3), {
      ReadFailure: "ReadTimeout",
      FunctionFailure: "InvalidRequest",
      WriteFailure: "WriteTimeout",
      CdcWriteFailure: "InvalidRequest",
      CasWriteUnknown: "WriteTimeout"
    })
    const failure = serverErrors.find((error) => error._tag === "WriteFailure")!
    assert.deepStrictEqual({ ...inVersion(failure, 3) }, {
      ...inVersion(new ServerError.WriteTimeout({ ...counted, code: 0x1100, writeType: "BATCH" }), 3)
    })
    const read = inVersion(serverErrors.find((error) => error._tag === "ReadFailure")!, 4)
    assert.deepStrictEqual(read._tag === "ReadFailure" && [read.failures, read.reasons], [2, undefined])
  })

  it("a reason map that promises too much, and an address that is none, fail typed", () => {
    const w = new Writer.Writer()
    for (const value of [0x1300]) w.i32(value)
    w.string("")
    w.u16(1)
    for (const value of [1, 2, 2 ** 31 - 1, 0]) w.i32(value)
    const r = Reader.Reader.from(w.toUint8Array())
    assert.throws(() => ServerError.read(r, Dialect.v5), ProtocolError.DecodeError, "does not fit")
    const wrong = new ServerError.ReadFailure({
      ...counted,
      code: 0x1300,
      failures: 1,
      reasons: new Map([["nowhere", 0]]),
      dataPresent: false
    })
    assert.throws(
      () => there({ _tag: "Error", error: wrong }, Dialect.v5),
      ProtocolError.EncodeError,
      'not an address: "nowhere"'
    )
  })

  it("the rate limit is told by its negotiated code only", () => {
    const body = (code: number) => {
      const w = new Writer.Writer()
      w.i32(code | 0)
      w.string("x")
      w.u8(1)
      w.u8(1)
      return Reader.Reader.from(w.toUint8Array())
    }
    const limited = (rateLimitCode: number) => Dialect.make(4, { rateLimitCode })
    assert.strictEqual(ServerError.read(body(0xf000))._tag, "UnknownServerError")
    assert.strictEqual(ServerError.read(body(0xf000), limited(0xf001))._tag, "UnknownServerError")
    assert.strictEqual(ServerError.read(body(0xf001), limited(0xf001))._tag, "RateLimitReached")
    assert.strictEqual(ServerError.read(body(0xfffffff0), limited(0xfffffff0))._tag, "RateLimitReached")
    // A code of the protocol keeps its meaning.
    assert.strictEqual(ServerError.read(body(0x2200), limited(0x2200))._tag, "InvalidRequest")
  })

  it("an unknown consistency in an error fails typed", () => {
    const w = new Writer.Writer()
    ServerError.write(w, serverErrors[3]!)
    const bytes = w.toUint8Array()
    bytes[bytes.length - 9] = 0x0b
    assert.throws(() => ServerError.read(Reader.Reader.from(bytes)), ProtocolError.DecodeError, "Unknown code 11")
  })

  it("messages without rows", () => {
    const same: ReadonlyArray<Response.ServerResponse & Response.Response> = [
      { _tag: "Authenticate", authenticator: "org.apache.cassandra.auth.PasswordAuthenticator" },
      { _tag: "Supported", options: new Map([["A", ["1", "2"]], ["B", []], ["__proto__", ["x"]]]) },
      { _tag: "AuthChallenge", token: new Uint8Array([1]) },
      { _tag: "AuthChallenge", token: null },
      { _tag: "AuthSuccess", token: new Uint8Array(0) },
      { _tag: "AuthSuccess", token: null },
      { _tag: "Void" },
      { _tag: "SetKeyspace", keyspace: '"Ks"' },
      { _tag: "SchemaChanged", schema: { change: "CREATED", target: "KEYSPACE", keyspace: "k" } },
      { _tag: "SchemaChanged", schema: { change: "UPDATED", target: "TABLE", keyspace: "k", name: "t" } },
      { _tag: "SchemaChanged", schema: { change: "DROPPED", target: "TYPE", keyspace: "k", name: "t" } },
      {
        _tag: "SchemaChanged",
        schema: { change: "CREATED", target: "FUNCTION", keyspace: "k", name: "f", argTypes: ["int", "text"] }
      },
      {
        _tag: "SchemaChanged",
        schema: { change: "CREATED", target: "AGGREGATE", keyspace: "k", name: "f", argTypes: [] }
      }
    ]
    for (const response of same) assert.deepStrictEqual(there(response), response)
    assert.deepStrictEqual(there({ _tag: "Ready" }), { _tag: "Ready" })
  })

  it("events", () => {
    const address = new Uint8Array([10, 0, 0, 1])
    for (const type of ["TOPOLOGY_CHANGE", "STATUS_CHANGE"] as const) {
      assert.deepStrictEqual(there({ _tag: "NodeEvent", type, change: "UP", address, port: 9042 }), {
        _tag: "Event",
        event: {
          _tag: type === "STATUS_CHANGE" ? "StatusChange" : "TopologyChange",
          change: "UP",
          address: "10.0.0.1",
          port: 9042
        }
      })
    }
    const schema = { change: "CREATED", target: "TABLE", keyspace: "k", name: "t" }
    assert.deepStrictEqual(there({ _tag: "SchemaEvent", schema }), {
      _tag: "Event",
      event: { _tag: "SchemaChange", schema }
    })
    const routes = { change: "UPDATE_NODES", connectionIds: ["a", "a"], hostIds: ["1", "2"] }
    assert.deepStrictEqual(there({ _tag: "ClientRoutesEvent", ...routes }), {
      _tag: "Event",
      event: { _tag: "ClientRoutesChange", ...routes }
    })
    const w = new Writer.Writer()
    Response.encode(w, -1, { _tag: "ClientRoutesEvent", ...routes, hostIds: ["1"] })
    const uneven = Reader.Reader.from(w.toUint8Array())
    uneven.take(Frame.HEADER_SIZE)
    assert.throws(
      () => Response.decode(Frame.Opcode.EVENT, uneven, new RowDecoder.RowDecoders()),
      ProtocolError.DecodeError,
      "2 connection ids and 1 host ids"
    )
    w.reset()
    w.string("NEWS")
    const r = Reader.Reader.from(w.toUint8Array())
    assert.deepStrictEqual(Response.decode(Frame.Opcode.EVENT, r, new RowDecoder.RowDecoders()), {
      _tag: "Event",
      event: { _tag: "UnknownEvent", type: "NEWS" }
    })
  })

  const int = CqlType.scalar("int")
  const columns: ReadonlyArray<Metadata.Column> = [column("id", int), column("v", CqlType.list(int))]
  const rows = [[Codec.encode(int, 1), Codec.encode(CqlType.list(int), [1, 2])], [Codec.encode(int, 2), null]]

  it("rows", () => {
    for (const globalSpec of [undefined, false]) {
      for (const pagingState of [null, new Uint8Array([1, 2])]) {
        for (const columnsOf of [columns, [columns[0]!, { ...columns[1]!, table: "u" }]]) {
          assert.deepStrictEqual(there({ _tag: "Rows", columns: columnsOf, rows, pagingState, globalSpec }), {
            _tag: "Rows",
            columns: columnsOf,
            rows: [{ id: 1, v: [1, 2] }, { id: 2, v: null }],
            pagingState
          })
        }
      }
    }
    assert.deepStrictEqual(there({ _tag: "Rows", columns: [], rows: [] }), {
      _tag: "Rows",
      columns: [],
      rows: [],
      pagingState: null
    })
  })

  it("rows without metadata", () => {
    const expected = new RowDecoder.RowDecoders().prepare((() => {
      const w = new Writer.Writer()
      Response.encode(w, 0, {
        _tag: "Prepared",
        id: new Uint8Array(0),
        variables: { partitionKey: [], columns: [] },
        result: columns
      })
      const r = Reader.Reader.from(w.toUint8Array())
      // Header, kind, id, metadata of no variables.
      r.take(9 + 4 + 2 + 12)
      return r
    })()).decoder!
    assert.deepStrictEqual(there({ _tag: "Rows", columns, rows, skipMetadata: true }, undefined, expected), {
      _tag: "Rows",
      columns,
      rows: [{ id: 1, v: [1, 2] }, { id: 2, v: null }],
      pagingState: null
    })
  })

  it("new metadata comes whole, with its id", () => {
    const newMetadataId = new Uint8Array([7, 7])
    const expected = new RowDecoder.RowDecoder([columns[0]!], new Uint8Array(8))
    for (const pagingState of [null, new Uint8Array([1, 2])]) {
      assert.deepStrictEqual(
        // Whoever asked to skip it has asked for other metadata.
        there({ _tag: "Rows", columns, rows, pagingState, newMetadataId, skipMetadata: true }, undefined, expected),
        { _tag: "Rows", columns, rows: [{ id: 1, v: [1, 2] }, { id: 2, v: null }], pagingState, newMetadataId }
      )
    }
  })

  it("prepared statements", () => {
    const resultMetadataId = new Uint8Array([5])
    for (const dialect of dialects) {
      const answer = there({
        _tag: "Prepared",
        id: new Uint8Array([1]),
        resultMetadataId,
        variables: { partitionKey: [0], columns },
        result: columns
      }, dialect)
      if (answer._tag !== "Prepared") return assert.fail(answer._tag)
      assert.deepStrictEqual(answer.resultMetadataId, dialect.metadataIds ? resultMetadataId : undefined)
      // v3 tells nothing of the partition key.
      assert.deepStrictEqual(answer.variables.partitionKey, dialect.version < 4 ? [] : [0])
      assert.deepStrictEqual([answer.variables.columns, answer.result.columns], [columns, columns])
    }
    for (const globalSpec of [undefined, false]) {
      for (const result of [columns, []]) {
        const answer = there({
          _tag: "Prepared",
          id: new Uint8Array([1, 2, 3]),
          variables: { partitionKey: [1, 0], columns },
          variableFlags: 0x80000000,
          result,
          globalSpec
        }, Dialect.v4)
        if (answer._tag !== "Prepared") return assert.fail(answer._tag)
        assert.deepStrictEqual(answer.id, new Uint8Array([1, 2, 3]))
        assert.deepStrictEqual(answer.variables.columns, columns)
        assert.deepStrictEqual(answer.variables.partitionKey, [1, 0])
        assert.notStrictEqual(answer.variables.flags & 0x80000000, 0)
        assert.deepStrictEqual(answer.decoder?.columns, result.length === 0 ? undefined : columns)
        assert.strictEqual(answer.result.columnCount, result.length)
      }
    }
  })

  it("prepared metadata with positions or counts that cannot be fails typed", () => {
    for (
      const hex of [
        // flags, count, number of key positions, positions
        "0000000000000001000000010001",
        "00000000ffffffff00000000",
        "000000007fffffff00000000",
        "00000000000000007fffffff",
        "0000000000000000ffffffff",
        "000000017fffffff0000000000000000"
      ]
    ) {
      const body = Buffer.from(`00000004${"0000"}${hex}${"00".repeat(8)}`, "hex")
      assert.throws(
        () => Response.decode(Frame.Opcode.RESULT, Reader.Reader.from(body), new RowDecoder.RowDecoders()),
        ProtocolError.DecodeError,
        undefined,
        hex
      )
    }
    // One variable, an int, which is not the second.
    const wrong = Buffer.from(`0000000400000000000000000001000000010001${"00".repeat(6)}0009`, "hex")
    assert.throws(
      () => Response.decode(Frame.Opcode.RESULT, Reader.Reader.from(wrong), new RowDecoder.RowDecoders()),
      ProtocolError.DecodeError,
      "partition key at variable 1 of 1"
    )
  })

  it("unknown opcodes, kinds of result and compressed frames fail typed", () => {
    const decoders = new RowDecoder.RowDecoders()
    const empty = () => Reader.Reader.from(new Uint8Array(4))
    for (const opcode of [0x01, 0x04, 0x07, 0x11, 0xff]) {
      assert.throws(() => Response.decode(opcode, empty(), decoders), ProtocolError.DecodeError, "unknown opcode")
      if (opcode > 0xf || opcode === 4) {
        assert.throws(() => Request.decode(opcode, 0, empty()), ProtocolError.DecodeError, "Unknown opcode")
      }
    }
    assert.throws(() => Response.decode(8, empty(), decoders), ProtocolError.DecodeError, "unknown kind of result 0")
    assert.throws(() => Response.readPrefix(1, empty()), ProtocolError.DecodeError, "compressed")
  })

  it("an encoding that fails leaves what was written before", () => {
    const w = new Writer.Writer()
    Response.encode(w, 1, { _tag: "Ready" })
    assert.throws(
      () => Response.encode(w, 1, { _tag: "SetKeyspace", keyspace: "x".repeat(70_000) }),
      ProtocolError.EncodeError
    )
    assert.strictEqual(w.pos, 9)
  })
})
