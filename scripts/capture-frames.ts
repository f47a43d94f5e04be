/**
 * Records exchanges with a real Apache Cassandra, for the tests of decoders:
 *
 *     node scripts/capture-frames.ts
 *
 * starts the servers that `testkit` launches (Java 17, about a minute), asks the same of them in every version and
 * compression, and writes `test/fixtures/captured/cql-*.json`. Needs Node 24 (`npm run vitest` installs one).
 */
import { Compression, Dialect, Frame, Framing, type Reader, Request, Value, Writer } from "@effect-scylla/protocol"
import { CassandraServer } from "@effect-scylla/testkit"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { mkdirSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { LARGE_ROWS, largeText, type Mode, modes, typeCases, typeStatements } from "../test/fixtures/captured.ts"

/** Longer texts are compressed in the file. */
const LARGE = 8192

interface Captured {
  readonly name: string
  readonly note: string
  readonly request: string
  readonly response: string
  readonly requestSegment?: string
  readonly responseSegments?: string
}

interface Envelope {
  readonly opcode: number
  readonly stream: number
  readonly hex: string
  /** The bytes on the wire, of this envelope and, rarely, of those that came with it. */
  readonly wire: string
  readonly body: Buffer
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** Large texts as gzip: they are for the shape of what is large, and repeat themselves. */
const text = (value: string): string =>
  value.length <= LARGE ? value : `gzip:${gzipSync(Buffer.from(value, "hex"), { level: 9 }).toString("base64")}`

/** One connection, bytes and all. */
class Recorder {
  readonly frames: Array<Captured> = []
  readonly mode: Mode
  private readonly socket: Net.Socket
  private readonly dialect: Dialect.Dialect
  private readonly compressor: Compression.Compressor | undefined
  private segments: Framing.Framing | undefined
  private pending = Buffer.alloc(0)
  private wire: Array<Buffer> = []
  private readonly queue: Array<Envelope> = []
  private waiting: ((envelope: Envelope) => void) | undefined
  private stream = 0

  constructor(mode: Mode, socket: Net.Socket) {
    this.mode = mode
    this.socket = socket
    this.dialect = Dialect.make(mode.version)
    this.compressor = mode.compression === undefined
      ? undefined
      : mode.compression === "lz4"
      ? Compression.lz4
      : Compression.snappy
    socket.on("data", (bytes: Buffer) => this.receive(bytes))
  }

  static async connect(mode: Mode, contactPoint: string): Promise<Recorder> {
    const [host, port] = contactPoint.split(":")
    const socket = Net.connect({ host: host!, port: Number(port) })
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject))
    return new Recorder(mode, socket)
  }

  close(): void {
    this.socket.destroy()
  }

  private receive(bytes: Buffer): void {
    if (this.segments !== undefined) {
      this.wire.push(Buffer.from(bytes))
      this.segments.push(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
      if (this.segments.pending === 0) this.wire = []
      return
    }
    this.pending = Buffer.concat([this.pending, bytes])
    while (this.pending.length >= 9 && this.pending.length >= 9 + this.pending.readUInt32BE(5)) {
      const frame = this.pending.subarray(0, 9 + this.pending.readUInt32BE(5))
      this.pending = Buffer.from(this.pending.subarray(frame.length))
      this.take(frame, "")
    }
  }

  private take(frame: Buffer, wire: string): void {
    const envelope = {
      opcode: frame[4]!,
      stream: frame.readInt16BE(2),
      hex: hex(frame),
      wire,
      body: Buffer.from(frame.subarray(9))
    }
    const { waiting } = this
    this.waiting = undefined
    if (waiting === undefined) this.queue.push(envelope)
    else waiting(envelope)
  }

  private toSegments(): void {
    this.segments = new Framing.Framing({
      onFrame: (version: number, flags: number, stream: number, opcode: number, body: Reader.Reader) => {
        const w = new Writer.Writer()
        const start = Frame.begin(w, version | 0x80, flags, stream, opcode)
        w.raw(body.bytes.subarray(body.pos, body.pos + body.remaining))
        Frame.end(w, start)
        this.take(Buffer.from(w.toUint8Array()), hex(Buffer.concat(this.wire)))
      }
    })
    this.segments.use(5, this.compressor)
  }

  next(millis = 75_000): Promise<Envelope> {
    const ready = this.queue.shift()
    if (ready !== undefined) return Promise.resolve(ready)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.mode.name}: nothing came within ${millis} ms`)), millis)
      this.waiting = (envelope) => {
        clearTimeout(timer)
        resolve(envelope)
      }
    })
  }

  /** Sends whole envelopes and waits for the answer to them. */
  private async exchange(envelope: Uint8Array): Promise<{ readonly sent: Uint8Array; readonly got: Envelope }> {
    let sent = envelope
    if (this.segments !== undefined) {
      const w = new Writer.Writer()
      this.segments.write(w, envelope, 0, envelope.length)
      sent = w.toUint8Array()
    }
    this.socket.write(sent)
    const stream = Buffer.from(envelope).readInt16BE(2)
    let got = await this.next()
    // Errors of the connection itself come on stream 0.
    while (got.stream !== stream && got.stream !== 0) got = await this.next()
    return { sent, got }
  }

  encode(request: Request.Request, envelope: Omit<Request.Envelope, "dialect"> = {}): Uint8Array {
    const w = new Writer.Writer()
    Request.encode(w, ++this.stream, request, { dialect: this.dialect, ...envelope })
    return w.toUint8Array()
  }

  async raw(name: string, note: string, envelope: Uint8Array): Promise<Envelope> {
    const { got, sent } = await this.exchange(envelope).catch((cause: unknown) => {
      throw new Error(`${name}: ${note}`, { cause })
    })
    const large = envelope.length > LARGE
    this.frames.push({
      name,
      note,
      request: large ? "" : hex(envelope),
      response: text(got.hex),
      ...(got.wire === "" ? {} : { requestSegment: large ? "" : hex(sent), responseSegments: text(got.wire) })
    })
    return got
  }

  record(name: string, note: string, request: Request.Request, envelope?: Omit<Request.Envelope, "dialect">) {
    return this.raw(name, note, this.encode(request, envelope))
  }

  /** A request that is not written down, again until both nodes know the schema that it needs. */
  async quiet(query: string): Promise<Envelope> {
    for (let left = 50;; left--) {
      const { got } = await this.exchange(this.encode({ _tag: "Query", query, options: { consistency: "ONE" } }))
      if (got.opcode !== Frame.Opcode.ERROR) return got
      const message = got.body.subarray(6).toString("utf8")
      if (left === 0 || !/INCOMPATIBLE_SCHEMA/.test(message)) throw new Error(`${query.slice(0, 200)}: ${message}`)
      await sleep(200)
    }
  }

  query(name: string, query: string, options: Partial<Request.Options> = {}, values?: Request.Values) {
    const note = query.length > 300 ? `${query.slice(0, 300)}…` : query
    return this.record(name, note, {
      _tag: "Query",
      query,
      options: { consistency: "ONE", ...options },
      ...(values === undefined ? {} : { values })
    })
  }

  /** Records what is pushed next; v3 pushes nothing of functions and aggregates. */
  async pushed(name: string, note: string): Promise<void> {
    const got = await this.next(2000).catch(() => undefined)
    if (got === undefined) return say(`${this.mode.name}: no ${name}`)
    this.frames.push({
      name,
      note,
      request: "",
      response: text(got.hex),
      ...(got.wire === "" ? {} : { responseSegments: text(got.wire) })
    })
  }

  async startup(record = true): Promise<void> {
    const options = {
      CQL_VERSION: "3.0.0",
      ...(this.mode.compression === undefined ? {} : { COMPRESSION: this.mode.compression })
    }
    const envelope = this.encode({ _tag: "Startup", options })
    if (record) await this.raw("startup", "STARTUP", envelope)
    else await this.exchange(envelope)
    if (this.mode.version === 5) this.toSegments()
  }
}

/** What PREPARED answered: the ids. */
const idsOf = (body: Buffer, version: number, flags: number): { id: Buffer; resultMetadataId: Buffer | undefined } => {
  let at = 4
  // Warnings stand in front of the kind.
  if ((flags & Frame.Flags.WARNING) !== 0) {
    let pos = 2
    for (let left = body.readUInt16BE(0); left > 0; left--) pos += 2 + body.readUInt16BE(pos)
    at += pos
  }
  const id = body.subarray(at + 2, at + 2 + body.readUInt16BE(at))
  at += 2 + id.length
  return {
    id: Buffer.from(id),
    resultMetadataId: version < 5 ? undefined : Buffer.from(body.subarray(at + 2, at + 2 + body.readUInt16BE(at)))
  }
}

const int = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** Tables and rows of all modes. */
const prepareTables = async (setup: Recorder): Promise<void> => {
  await setup.quiet("CREATE KEYSPACE capture WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
  await setup.quiet("CREATE KEYSPACE capture2 WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}")
  await setup.quiet("CREATE TABLE capture2.t (pk int PRIMARY KEY, v text)")
  await setup.quiet("CREATE TABLE capture2.c (pk int PRIMARY KEY, n counter)")
  await setup.quiet("USE capture")
  for (const statement of typeStatements) await setup.quiet(statement)
  for (const { name, rows, type } of typeCases) {
    await setup.quiet(`CREATE TABLE capture.c_${name} (pk int PRIMARY KEY, v ${type})`)
    for (const [i, [literal]] of rows.entries()) {
      await setup.quiet(`INSERT INTO capture.c_${name} (pk, v) VALUES (${i}, ${literal})`)
    }
  }
  await setup.quiet("ALTER TYPE capture.grown ADD b text")
  await setup.quiet("CREATE TABLE capture.counters (pk text PRIMARY KEY, n counter)")
  await setup.quiet("UPDATE capture.counters SET n = n - 42 WHERE pk = 'a'")
  await setup.quiet("CREATE TABLE capture.lwt (pk int PRIMARY KEY, a int, b text)")
  await setup.quiet(
    "CREATE TABLE capture.statics (pk int, ck timestamp, s text static, v int, PRIMARY KEY (pk, ck)) " +
      "WITH CLUSTERING ORDER BY (ck DESC)"
  )
  await setup.quiet("INSERT INTO capture.statics (pk, s) VALUES (1, 'only static')")
  await setup.quiet("INSERT INTO capture.statics (pk, ck, s, v) VALUES (2, 1000, 'both', 3)")
  await setup.quiet("CREATE TABLE capture.pages (pk int, ck int, v text, PRIMARY KEY (pk, ck))")
  for (let ck = 0; ck < 7; ck++) await setup.quiet(`INSERT INTO capture.pages (pk, ck, v) VALUES (1, ${ck}, 'v${ck}')`)
  await setup.quiet("CREATE TABLE capture.large (pk int, ck int, v text, PRIMARY KEY (pk, ck))")
  for (let i = 0; i < LARGE_ROWS; i++) {
    await setup.quiet(`INSERT INTO capture.large (pk, ck, v) VALUES (1, ${i}, '${largeText(i)}')`)
  }
  await setup.quiet(
    "CREATE FUNCTION capture.bad(a int, b text) CALLED ON NULL INPUT RETURNS int LANGUAGE java " +
      "AS 'throw new RuntimeException(\"on purpose\");'"
  )
  // Too many tombstones to be read over: 100 000 is the limit.
  await setup.quiet("CREATE TABLE capture.dead (pk int, ck int, v int, PRIMARY KEY (pk, ck))")
  for (let batch = 0; batch < 101; batch++) {
    const rows = Array.from(
      { length: 1000 },
      (_, i) => `DELETE FROM capture.dead WHERE pk = 1 AND ck = ${batch * 1000 + i}`
    )
    await setup.quiet(`BEGIN UNLOGGED BATCH ${rows.join("; ")}; APPLY BATCH`)
  }
}

/** Every kind of result, and the errors of one node. */
const recordMode = async (r: Recorder, thorough: boolean): Promise<void> => {
  const { version } = r.mode
  for (const { name } of typeCases) {
    if (!thorough && !["text", "nested", "udt", "duration", "vector_float"].includes(name)) continue
    await r.query(`rows-${name}`, `SELECT pk, v FROM capture.c_${name}`)
    if (thorough) {
      await r.record(`prepared-${name}`, "", {
        _tag: "Prepare",
        query: `INSERT INTO capture.c_${name} (pk, v) VALUES (?, ?)`
      })
    }
  }
  await r.query("void", "INSERT INTO capture.lwt (pk, a, b) VALUES (1, 1, 'x')")
  await r.query("rows-counter", "SELECT * FROM capture.counters")
  await r.query("rows-static", "SELECT pk, ck, s, v FROM capture.statics")
  await r.query("rows-empty", "SELECT * FROM capture.pages WHERE pk = 404")
  await r.query("rows-page", "SELECT * FROM capture.pages WHERE pk = 1", { pageSize: 3 })
  await r.query("rows-skip-metadata", "SELECT * FROM capture.pages WHERE pk = 1", { skipMetadata: true })
  await r.query("rows-two-tables", "SELECT json * FROM capture.pages WHERE pk = 1 LIMIT 1")
  await r.query(
    "rows-functions",
    "SELECT pk, writetime(v), ttl(v), cast(ck AS text) AS t FROM capture.pages WHERE pk = 1 LIMIT 1"
  )
  await r.query("rows-warning", "SELECT count(*) FROM capture.pages")
  await r.record("rows-traced", "tracing", {
    _tag: "Query",
    query: "SELECT pk FROM capture.pages WHERE pk = 1 AND ck = 1",
    options: { consistency: "ONE" }
  }, { tracing: true })
  await r.record("rows-traced-warning", "tracing, and a warning", {
    _tag: "Query",
    query: "SELECT count(*) FROM capture.pages",
    options: { consistency: "ONE" }
  }, { tracing: true })
  await r.query("rows-values", "SELECT v FROM capture.pages WHERE pk = ? AND ck = ?", {}, { values: [int(1), int(2)] })
  await r.query("rows-named", "SELECT v FROM capture.pages WHERE pk = :p AND ck = :c", {}, {
    values: [int(2), int(1)],
    names: ["c", "p"]
  })
  if (version >= 4) {
    await r.record("void-payload", "a custom payload, which nobody there reads", {
      _tag: "Query",
      query: "INSERT INTO capture.lwt (pk, a, b) VALUES (1, 1, 'x')",
      options: { consistency: "ONE", timestamp: 1n }
    }, { customPayload: new Map([["key", Uint8Array.of(1, 2)], ["none", null]]) })
    await r.query("void-unset", "INSERT INTO capture.lwt (pk, a) VALUES (2, ?)", {}, {
      values: [Value.Unset]
    })
  }
  if (version >= 5) {
    await r.query("rows-keyspace", "SELECT v FROM pages WHERE pk = 1 AND ck = 1", { keyspace: "capture" })
    await r.query("void-now", "INSERT INTO capture.lwt (pk, a) VALUES (3, 3) USING TTL 10", {
      nowInSeconds: 1_700_000_000
    })
  }
  await r.query("lwt-applied", "INSERT INTO capture.lwt (pk, a, b) VALUES (9, 1, 'x') IF NOT EXISTS")
  await r.query("lwt-not-applied", "INSERT INTO capture.lwt (pk, a, b) VALUES (9, 1, 'x') IF NOT EXISTS")
  await r.query("lwt-condition", "UPDATE capture.lwt SET a = 5 WHERE pk = 9 IF a = 7 AND b = 'x'")
  await r.query("lwt-delete", "DELETE FROM capture.lwt WHERE pk = 9 IF EXISTS")
  await r.record("batch", "logged, with values", {
    _tag: "Batch",
    kind: "logged",
    entries: [
      { _tag: "Text", query: "INSERT INTO capture.pages (pk, ck, v) VALUES (5, ?, 'x')", values: [int(1)] },
      { _tag: "Text", query: "DELETE FROM capture.pages WHERE pk = 5", values: [] }
    ],
    options: { consistency: "ONE", serialConsistency: "LOCAL_SERIAL" }
  })
  const prepare = async (name: string, query: string) => {
    const got = await r.record(name, query, { _tag: "Prepare", query })
    const flags = Number.parseInt(got.hex.slice(2, 4), 16)
    const compressed = (flags & Frame.Flags.COMPRESSION) !== 0
    const body = !compressed
      ? got.body
      : Buffer.from((r.mode.compression === "lz4" ? Compression.lz4 : Compression.snappy)
        .decompress(got.body, 0, got.body.length, 1e6))
    return idsOf(body, version, flags)
  }
  const select = await prepare("prepared-select", "SELECT * FROM capture.pages WHERE pk = ? AND ck = ?")
  const execute = (
    name: string,
    note: string,
    ids: typeof select,
    values: ReadonlyArray<Uint8Array | null>,
    skip = false
  ) =>
    r.record(name, note, {
      _tag: "Execute",
      id: ids.id,
      resultMetadataId: ids.resultMetadataId,
      options: { consistency: "ONE", skipMetadata: skip },
      values: { values }
    })
  await execute("rows-executed", "", select, [int(1), int(3)])
  await execute("rows-executed-skip-metadata", "", select, [int(1), int(3)], true)
  if (version >= 5) {
    const stale = { ...select, resultMetadataId: Buffer.alloc(16, 7) }
    await execute("rows-metadata-changed", "another id than that of the metadata", stale, [int(1), int(3)], true)
  }
  const lwt = await prepare("prepared-lwt", "INSERT INTO capture.lwt (pk, a, b) VALUES (?, 1, 'p') IF NOT EXISTS")
  await execute("lwt-executed-applied", "", lwt, [int(77)], true)
  await execute("lwt-executed-not-applied", "", lwt, [int(77)], true)
  await r.quiet("DELETE FROM capture.lwt WHERE pk = 77 IF EXISTS")

  await r.query("rows-large", "SELECT * FROM capture.large WHERE pk = 1")

  await r.record("error-syntax", "SELEC", { _tag: "Query", query: "SELEC", options: { consistency: "ONE" } })
  await r.query("error-invalid-table", "SELECT * FROM capture.nope")
  await r.query("error-invalid-value", "INSERT INTO capture.pages (pk, ck) VALUES ('x', 1)")
  await r.query("error-already-exists-table", "CREATE TABLE capture.pages (pk int PRIMARY KEY)")
  await r.query(
    "error-already-exists-keyspace",
    "CREATE KEYSPACE capture WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
  )
  await r.query("error-config", "CREATE KEYSPACE bad WITH replication = {'class': 'Nope'}")
  await r.query("error-unauthorized-or-invalid", "LIST ROLES")
  await r.record("error-unprepared", "", {
    _tag: "Execute",
    id: Uint8Array.from({ length: 16 }, () => 1),
    resultMetadataId: version < 5 ? undefined : Uint8Array.from({ length: 16 }, () => 2),
    options: { consistency: "ONE" }
  })
  await r.query("error-function", "SELECT capture.bad(ck, v) FROM capture.pages WHERE pk = 1")
  await r.query("error-read-failure", "SELECT v FROM capture.dead WHERE pk = 1")
  await r.raw(
    "error-too-large",
    "INSERT INTO capture.c_blob (pk, v) VALUES (9, ?), with a value of 3 MB",
    r.encode({
      _tag: "Query",
      query: "INSERT INTO capture.c_blob (pk, v) VALUES (9, ?)",
      options: { consistency: "ONE" },
      values: { values: [new Uint8Array(3_000_000)] }
    })
  )
  await r.query("error-unavailable", "SELECT * FROM capture2.t WHERE pk = 1", { consistency: "THREE" })
  const garbage = r.encode({ _tag: "Prepare", query: "x" })
  garbage[9] = 0x7f
  await r.raw("error-protocol", "a PREPARE whose text is said to be longer than the message", garbage)
}

/** The schema's own answers and events, of one mode at a time. */
const recordSchema = async (r: Recorder, contactPoint: string): Promise<void> => {
  const watcher = await Recorder.connect(r.mode, contactPoint)
  await watcher.startup(false)
  await watcher.record("register", "", {
    _tag: "Register",
    events: ["SCHEMA_CHANGE", "STATUS_CHANGE", "TOPOLOGY_CHANGE"]
  })
  const steps: ReadonlyArray<readonly [name: string, statement: string, events: number]> = [
    [
      "keyspace-created",
      "CREATE KEYSPACE s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
      1
    ],
    ["keyspace-updated", "ALTER KEYSPACE s WITH durable_writes = false", 1],
    ["type-created", "CREATE TYPE s.ty (a int)", 1],
    ["type-updated", "ALTER TYPE s.ty ADD b int", 1],
    ["table-created", "CREATE TABLE s.t (pk int PRIMARY KEY, v int)", 1],
    ["table-updated", "ALTER TABLE s.t ADD w text", 1],
    ["index-created", "CREATE INDEX i ON s.t (v)", 1],
    [
      "function-created",
      "CREATE FUNCTION s.f(a int, b list<text>) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a;'",
      1
    ],
    [
      "state-function-created",
      "CREATE FUNCTION s.g(a int, b int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a;'",
      1
    ],
    ["aggregate-created", "CREATE AGGREGATE s.a(int) SFUNC g STYPE int", 1],
    ["aggregate-dropped", "DROP AGGREGATE s.a", 1],
    ["function-dropped", "DROP FUNCTION s.f", 1],
    ["table-dropped", "DROP TABLE s.t", 1],
    ["type-dropped", "DROP TYPE s.ty", 1],
    [
      "unchanged",
      "CREATE KEYSPACE IF NOT EXISTS capture WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
      0
    ],
    // Of the function that is left, too.
    ["keyspace-dropped", "DROP KEYSPACE s", r.mode.compression === undefined ? 2 : 1]
  ]
  for (const [name, statement, events] of steps) {
    if (r.mode.compression !== undefined && !/^keyspace-(created|dropped)$/.test(name)) continue
    await r.query(name === "unchanged" ? "void-unchanged" : `schema-${name}`, statement)
    for (let i = 0; i < events; i++) await watcher.pushed(`event-${name}`, statement)
  }
  await r.query("set-keyspace", "USE capture")
  r.frames.push(...watcher.frames)
  watcher.close()
}

/** A write that comes to the other node before its table does. */
const recordWriteFailure = async (r: Recorder): Promise<void> => {
  for (let i = 0; i < 30; i++) {
    await r.quiet(`CREATE TABLE capture2.w_${r.mode.name}_${i} (pk int PRIMARY KEY)`)
    const got = await r.query("error-write-failure", `INSERT INTO capture2.w_${r.mode.name}_${i} (pk) VALUES (1)`, {
      consistency: "ALL"
    })
    if (got.opcode === Frame.Opcode.ERROR) return
    r.frames.pop()
  }
  say(`${r.mode.name}: no error-write-failure`)
}

/** What a node says when another one, which holds a replica, is silent. */
const recordTimeouts = async (r: Recorder): Promise<void> => {
  const all = { consistency: "ALL" } as const
  await r.query("error-read-timeout", "SELECT * FROM capture2.t WHERE pk = 1", all)
  await r.query("error-write-timeout-counter", "UPDATE capture2.c SET n = n + 1 WHERE pk = 1", all)
  await r.query("error-write-timeout-cas", "INSERT INTO capture2.t (pk, v) VALUES (2, 'x') IF NOT EXISTS", all)
  await r.record("error-write-timeout-unlogged-batch", "", {
    _tag: "Batch",
    kind: "unlogged",
    entries: [
      { _tag: "Text", query: "INSERT INTO capture2.t (pk, v) VALUES (1, 'x')", values: [] },
      { _tag: "Text", query: "INSERT INTO capture2.t (pk, v) VALUES (3, 'x')", values: [] }
    ],
    options: all
  })
  await r.record("error-write-timeout-batch", "", {
    _tag: "Batch",
    kind: "logged",
    entries: [
      { _tag: "Text", query: "INSERT INTO capture2.t (pk, v) VALUES (1, 'x')", values: [] },
      { _tag: "Text", query: "INSERT INTO capture2.t (pk, v) VALUES (3, 'x')", values: [] }
    ],
    options: all
  })
  await r.query("error-write-timeout-simple", "INSERT INTO capture2.t (pk, v) VALUES (1, 'x')", all)
  await r.query("error-truncate", "TRUNCATE capture2.t", all)
}

const recordLogin = async (r: Recorder): Promise<void> => {
  await r.startup()
  await r.record("auth-bad-credentials", "", {
    _tag: "AuthResponse",
    token: new TextEncoder().encode("\0cassandra\0wrong")
  })
  await r.record("auth-success", "", {
    _tag: "AuthResponse",
    token: new TextEncoder().encode("\0cassandra\0cassandra")
  })
  await r.query("role-created", "CREATE ROLE IF NOT EXISTS nobody WITH PASSWORD = 'p' AND LOGIN = true")
}

const recordUnauthorized = async (r: Recorder): Promise<void> => {
  await r.startup(false)
  const token = new TextEncoder().encode("\0nobody\0p")
  await r.record("auth-success-nobody", "", { _tag: "AuthResponse", token })
  await r.query(
    "error-unauthorized",
    "CREATE KEYSPACE x WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
  )
}

const output = new URL("../test/fixtures/captured/", import.meta.url)

const frames = new Map<string, Array<Captured>>(modes.map((mode) => [mode.name, []]))

/** Compressed modes only show what compression changes. */
const isThorough = (mode: Mode): boolean => mode.compression === undefined

const keep = (r: Recorder): void => {
  frames.get(r.mode.name)!.push(...r.frames)
  r.close()
}

const say = (what: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${what}`)

const program = Effect.gen(function*() {
  yield* Effect.scoped(Effect.gen(function*() {
    say("starting two nodes")
    const server = yield* CassandraServer.make({ nodes: 2, deadlineMillis: 300_000 })
    const [contactPoint] = server.contactPoints
    yield* Effect.promise(async () => {
      const setup = await Recorder.connect(modes[4], contactPoint!)
      await setup.startup(false)
      say("tables and rows")
      await prepareTables(setup)
      setup.close()
      for (const mode of modes) {
        say(mode.name)
        const r = await Recorder.connect(mode, contactPoint!)
        await r.startup()
        await recordMode(r, isThorough(mode))
        await recordSchema(r, contactPoint!)
        if (isThorough(mode)) await recordWriteFailure(r)
        keep(r)
      }
    })
    say("one node is silent")
    const recorders = yield* Effect.promise(() =>
      Promise.all(modes.filter(isThorough).map((mode) => Recorder.connect(mode, contactPoint!)))
    )
    yield* Effect.promise(() => Promise.all(recorders.map((r) => r.startup(false))))
    yield* server.nodes[1]!.pause
    yield* Effect.promise(() => Promise.all(recorders.map(recordTimeouts)))
    for (const r of recorders) keep(r)
    yield* server.nodes[1]!.resume
  }))
  yield* Effect.scoped(Effect.gen(function*() {
    say("a node that asks for a password")
    const server = yield* CassandraServer.make({ nodes: 1, authentication: true, deadlineMillis: 300_000 })
    yield* Effect.promise(async () => {
      for (const mode of modes.filter(isThorough)) {
        for (const record of [recordLogin, recordUnauthorized]) {
          const r = await Recorder.connect(mode, server.contactPoints[0]!)
          await record(r)
          keep(r)
        }
      }
    })
  }))
  mkdirSync(output, { recursive: true })
  let total = 0
  for (const mode of modes) {
    const content = { server: "cassandra-5.0.5", protocol: mode.version, frames: frames.get(mode.name)! }
    const lines = content.frames.map((frame) => `    ${JSON.stringify(frame)}`).join(",\n")
    const json =
      `{\n  "server": "${content.server}",\n  "protocol": ${content.protocol},\n  "frames": [\n${lines}\n  ]\n}\n`
    total += json.length
    writeFileSync(new URL(`cql-${mode.name}-cassandra-5.0.5.json`, output), json)
    say(`${mode.name}: ${content.frames.length} exchanges, ${Math.round(json.length / 1024)} KiB`)
  }
  say(`${Math.round(total / 1024)} KiB`)
})

await Effect.runPromise(program)
