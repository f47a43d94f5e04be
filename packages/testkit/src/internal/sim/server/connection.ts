/** One connection as the server sees it: message states, and one answer per request, in order. */
import * as Dialect from "@effect-scylla/protocol/Dialect"
import * as Features from "@effect-scylla/protocol/Features"
import * as Frame from "@effect-scylla/protocol/Frame"
import { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as Response from "@effect-scylla/protocol/Response"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import type * as Uuid from "@effect-scylla/protocol/Uuid"
import { Writer } from "@effect-scylla/protocol/Writer"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import { isCurrent, isOwner, payloadOf } from "../cluster/tablets.ts"
import { isRetired } from "../engine.ts"
import { internal, invalid, protocol, toServerError, wrongCount } from "../failure.ts"
import type { Call, Plan } from "../plan/plan.ts"
import * as Asked from "./asked.ts"
import * as Flavour from "./flavour.ts"
import type { Host, Port } from "./host.ts"
import { checkRequest } from "./requestCheck.ts"
import { Requests } from "./requests.ts"
import { traceOf } from "./tracing.ts"
import type { Wire } from "./wire.ts"

const EVENTS = new Set(["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"])
/** Only ScyllaDB has it. */
const ROUTES_EVENT = "CLIENT_ROUTES_CHANGE"
const LWT_MARK = 0x80000000 | 0
const AUTHENTICATOR = "org.apache.cassandra.auth.PasswordAuthenticator"
/** Statements that a node keeps prepared. */
const MAX_PREPARED = 10_000
/** A writer that grew beyond this is not kept. */
const KEPT_OUTPUT = 1024 * 1024

type State = "Uninitialized" | "Authentication" | "Ready"

export class Connection {
  readonly id: number
  readonly shard: number
  readonly port: Port
  readonly wire: Wire
  private readonly host: Host<Connection>
  private state: State = "Uninitialized"
  private keyspace = ""
  private lwtMark = false
  private hasRateLimitError = false
  private tablets: "none" | "v1" | "v2" = "none"
  private hasWarned = false
  /** The trace of the request that is answered. */
  private traced: Uuid.Uuid | undefined
  private readonly events = new Set<string>()
  private startup: Readonly<Record<string, string>> = {}
  private username: string | undefined
  private readonly out = { writer: new Writer(4096) }
  private readonly wired = { writer: new Writer(4096) }
  private readonly requests: Requests
  private receiving = false
  private readonly pushed: Array<Response.ServerResponse> = []
  private isClosed = false

  constructor(host: Host<Connection>, id: number, shard: number, port: Port, wire: Wire) {
    this.host = host
    this.id = id
    this.shard = shard
    this.port = port
    this.wire = wire
    this.requests = new Requests(host.flavour, {
      onRequest: (flags, stream, opcode, body) => this.frame(flags, stream, opcode, body),
      onRefused: (refusal) => this.refuse(refusal)
    })
  }

  get client(): {
    readonly stage: string
    readonly driverName: string | undefined
    readonly driverVersion: string | undefined
    readonly username: string | undefined
    readonly protocolVersion: number
  } {
    return {
      protocolVersion: this.requests.dialect.version,
      stage: this.state === "Ready" ? "READY" : this.state === "Authentication" ? "AUTHENTICATING" : "ESTABLISHED",
      driverName: this.startup["DRIVER_NAME"],
      driverVersion: this.startup["DRIVER_VERSION"],
      username: this.username ?? "anonymous"
    }
  }

  /** Takes bytes as they arrive; the buffer may be used again afterwards. */
  receive(chunk: Uint8Array): void {
    if (this.isClosed) return
    this.receiving = true
    this.requests.receive(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    this.receiving = false
    this.flush()
  }

  /** Answers an error of the connection itself, and closes if that is what the server does. */
  private refuse({ close, error, header, stream }: Flavour.Refusal): void {
    const { writer } = this.out
    if (this.host.flavour.product === "scylla" && this.requests.dialect.version < 5) {
      // Whatever was agreed on: such an error is never compressed.
      this.flush()
      this.encode(writer, stream, { _tag: "Error", error })
      this.sendPlain()
    } else {
      const start = writer.pos
      this.encode(writer, stream, { _tag: "Error", error })
      if (header !== undefined) {
        writer.bytes[start] = header.version | Frame.RESPONSE_BIT
        writer.bytes[start + 1] = header.flags
      }
    }
    if (!close) return
    this.flush()
    this.isClosed = true
    this.requests.stop()
    this.wire.end()
    this.host.release(this)
  }

  private frame(flags: number, stream: number, opcode: number, body: Buffer): void {
    if (this.isClosed) return
    this.host.counters.opcode(opcode)
    try {
      const request = this.decode(flags, opcode, body)
      if (this.host.fault?._tag === "HeartbeatsOnly" && isStatement(request)) return
      if (this.intercept(stream, opcode, request)) return
      if ((flags & Frame.Flags.TRACING) !== 0 && isStatement(request)) {
        const { engine, node } = this.host
        const at = { client: this.wire.remoteAddress, coordinator: node, shard: this.shard, startedAt: engine.millis }
        this.traced = engine.traces.add(traceOf(request, at))
      }
      this.handle(stream, opcode, request)
    } catch (thrown) {
      this.answer(stream, { _tag: "Error", error: toServerError(thrown) })
    }
    this.traced = undefined
    if (this.pushed.length > 0) { for (const event of this.pushed.splice(0)) this.answer(-1, event) }
  }

  /** Reads the request, after the state of the connection has let it pass. */
  private decode(flags: number, opcode: number, body: Buffer): Request.Request {
    switch (this.state) {
      case "Uninitialized":
        if (opcode !== Frame.Opcode.STARTUP && opcode !== Frame.Opcode.OPTIONS) {
          throw protocol(`Unexpected message ${opcode}, expecting STARTUP or OPTIONS`)
        }
        break
      case "Authentication":
        if (opcode === 0x04) throw protocol("Unknown opcode 4")
        if (opcode !== Frame.Opcode.AUTH_RESPONSE) {
          throw protocol(`Unexpected message ${opcode}, expecting SASL_RESPONSE`)
        }
        // The server takes all that is left as the token, whatever length stands in front of it.
        return { _tag: "AuthResponse", token: Uint8Array.from(body.subarray(Math.min(4, body.length))) }
      case "Ready":
        if (opcode === Frame.Opcode.STARTUP) {
          throw protocol("Unexpected message STARTUP, the connection is already initialized")
        }
    }
    const { dialect } = this.requests
    // v3 has no payload: the flag means nothing.
    const known = dialect.version < 4 ? flags & ~Frame.Flags.CUSTOM_PAYLOAD : flags
    checkRequest(opcode, known, Reader.from(body), dialect)
    return Request.decode(opcode, known, Reader.from(body), dialect).request
  }

  /** Whether a test took the request over. */
  private intercept(stream: number, opcode: number, request: Request.Request): boolean {
    const hook = this.host.intercept()
    if (hook === undefined) return false
    const action = hook({ node: this.host.node.index, shard: this.shard, connection: this.id, opcode, request })
    if (action === undefined) return false
    switch (action._tag) {
      case "Ignore":
        return true
      case "Error":
        this.answer(stream, { _tag: "Error", error: action.error })
        return true
      case "Raw":
        this.flush()
        this.wire.send(action.bytes)
        return true
      case "Close":
        this.flush()
        this.destroy()
        return true
      case "Delay":
        this.later(action.millis, stream, () => this.handle(stream, opcode, request))
        return true
    }
  }

  /** Answers something later, unless the connection is over by then. */
  private later(millis: number, stream: number, run: () => void): void {
    this.host.delay(millis, () => {
      if (this.isClosed) return
      try {
        run()
      } catch (thrown) {
        this.answer(stream, { _tag: "Error", error: toServerError(thrown) })
      }
      this.flush()
    })
  }

  /** Tells those who listen of a statement; whether one of them took it over. All are told, the first that answers decides. */
  private heard(
    stream: number,
    request: Extract<Request.Request, { readonly _tag: "Query" | "Execute" | "Batch" }>,
    parts: ReadonlyArray<Asked.Part>
  ): boolean {
    if (parts.every(Asked.isOfSystem)) return false
    const statements = parts.map(Asked.statementOf)
    const options: Request.Options = request.options
    const { consistency, pageSize, pagingState = null, serialConsistency } = options
    const asked: Asked.Asked = {
      ...statements[0]!,
      ...(request._tag === "Batch" ? { operation: "BATCH" } : {}),
      node: this.host.node.index,
      shard: this.shard,
      consistency,
      serialConsistency,
      isPrepared: request._tag === "Execute",
      pageSize,
      pagingState,
      statements
    }
    let reaction: Asked.Reaction | undefined
    for (const listener of this.host.listeners) {
      const said = listener(asked)
      reaction ??= said
    }
    switch (reaction?._tag) {
      case undefined:
        return false
      case "Ignore":
        return true
      case "Error":
        this.answer(stream, { _tag: "Error", error: reaction.error })
        return true
      case "Close":
        this.flush()
        this.destroy()
        return true
      case "Delay":
        this.later(reaction.millis, stream, () => this.onStatement(stream, request, true))
        return true
      case "Rows":
        this.answer(stream, Asked.rowsOf(parts[0]!.plan, reaction))
        return true
    }
  }

  /** The plans and values of a request, for those who listen. */
  private partsOf(
    request: Extract<Request.Request, { readonly _tag: "Query" | "Execute" | "Batch" }>
  ): ReadonlyArray<Asked.Part> {
    const { engine, flavour } = this.host
    const keyspace = request.options.keyspace ?? this.keyspace
    if (request._tag === "Batch") {
      return request.entries.map((entry) => ({
        plan: entry._tag === "Text" ? engine.planOf(entry.query, keyspace) : this.prepared(entry.id),
        values: entry.values
      }))
    }
    const plan = request._tag === "Query" ? engine.planOf(request.query, keyspace) : this.prepared(request.id)
    return [{ plan, values: bind(plan, request.values, flavour.product) }]
  }

  private handle(stream: number, opcode: number, request: Request.Request): void {
    switch (request._tag) {
      case "Options":
        return this.answer(stream, { _tag: "Supported", options: this.host.supported(this.shard) })
      case "Startup":
        return this.onStartup(stream, request.options)
      case "AuthResponse":
        return this.answer(stream, this.onToken(request.token))
      case "Register":
        return this.answer(stream, this.onRegister(request.events))
      case "Prepare":
        return this.answer(stream, this.onPrepare(request), this.warningsOf(request))
      case "Query":
      case "Execute":
      case "Batch":
        return this.onStatement(stream, request)
      default:
        throw protocol(`Unknown opcode ${opcode}`)
    }
  }

  private onStartup(stream: number, options: Readonly<Record<string, string>>): void {
    const { flavour } = this.host
    const { dialect: { version } } = this.requests
    const algorithm = Flavour.compressionOf(flavour, options["COMPRESSION"], version)
    const dialect = Dialect.make(version, {
      metadataIds: flavour.metadataIds && options[Features.METADATA_ID] !== undefined,
      tabletVersions: flavour.tabletVersions &&
        (options[Features.TABLETS_V2] ?? options[Features.TABLETS_V2_EXPERIMENTAL]) !== undefined
    })
    this.tablets = dialect.tabletVersions
      ? "v2"
      : flavour.product === "scylla" && options[Features.TABLETS_V1] !== undefined
      ? "v1"
      : "none"
    this.startup = options
    this.lwtMark = options["SCYLLA_LWT_ADD_METADATA_MARK"] !== undefined
    this.hasRateLimitError = options["SCYLLA_RATE_LIMIT_ERROR"] !== undefined
    const needsLogin = this.host.credentials !== undefined
    this.state = needsLogin ? "Authentication" : "Ready"
    const answer: Response.ServerResponse = needsLogin
      ? { _tag: "Authenticate", authenticator: AUTHENTICATOR }
      : { _tag: "Ready" }
    // The answer is compressed already on v3 and v4, and the last one without segments on v5.
    if (version >= 5) this.answer(stream, answer)
    this.flush()
    this.requests.begin(dialect, algorithm)
    if (version < 5) this.answer(stream, answer)
  }

  /** `[authzid] NUL username NUL password`, taken apart from the end. */
  private onToken(token: Uint8Array | null): Response.ServerResponse {
    if (this.state !== "Authentication") throw protocol("Unexpected message AUTH_RESPONSE")
    const bytes = token ?? new Uint8Array(0)
    const second = bytes.lastIndexOf(0)
    const first = second <= 0 ? -1 : bytes.lastIndexOf(0, second - 1)
    const text = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString("utf8")
    const refuse = (message: string): never => {
      throw new ServerError.BadCredentials({ code: 0x0100, message })
    }
    const username = second < 0 ? "" : text(first + 1, second)
    const password = second < 0 ? "" : text(second + 1, bytes.length)
    if (username === "") refuse("Authentication ID must not be null")
    if (password === "") refuse("Password must not be null")
    const wrong = this.host.engine.access?.refuse(username, password)
    if (wrong !== undefined) refuse(wrong)
    this.username = username
    this.state = "Ready"
    return { _tag: "AuthSuccess", token: new Uint8Array(0) }
  }

  private onRegister(events: ReadonlyArray<string>): Response.ServerResponse {
    for (const event of events) {
      // Those in front of an unknown one stay registered.
      const isKnown = EVENTS.has(event) || (event === ROUTES_EVENT && this.host.flavour.product === "scylla")
      if (!isKnown) throw protocol(`Invalid value '${event}' for Event.Type`)
      this.events.add(event)
    }
    return { _tag: "Ready" }
  }

  /** The keyspace is a part of the id: on Cassandra only of that of a statement that leaves it out. */
  private idOf(query: string, keyspace: string): Buffer {
    const { engine, flavour } = this.host
    const part = flavour.product === "cassandra" && engine.isQualified(query) ? "" : keyspace
    return createHash("md5").update(part + query).digest()
  }

  private onPrepare(request: Extract<Request.Request, { readonly _tag: "Prepare" }>): Response.ServerResponse {
    const { query } = request
    const { flavour } = this.host
    const keyspace = request.keyspace ?? this.keyspace
    this.host.counters.of(this.host.node.index, this.shard).prepares++
    const id = this.idOf(query, keyspace)
    const key = id.toString("hex")
    const known = this.host.prepared.get(key)
    const plan = known !== undefined && !isRetired(known) ? known : this.host.engine.compile(query, keyspace)
    this.host.prepared.set(key, plan)
    // The oldest makes room, as in any bounded cache: its next EXECUTE is told so.
    if (this.host.prepared.size > MAX_PREPARED) this.host.prepared.delete(this.host.prepared.keys().next().value!)
    const result = this.announced(plan)
    return {
      _tag: "Prepared",
      id,
      resultMetadataId: Flavour.metadataId(flavour, result),
      variables: { partitionKey: plan.partitionKey, columns: plan.variables },
      variableFlags: plan.isConditional && this.lwtMark ? LWT_MARK : 0,
      result,
      globalSpec: false
    }
  }

  /** Cassandra warns of statements that mean another thing in another keyspace, once for each connection. */
  private warningsOf(
    { keyspace, query }: Extract<Request.Request, { readonly _tag: "Prepare" }>
  ): ReadonlyArray<string> {
    const { engine, flavour } = this.host
    if (flavour.product === "scylla" || this.keyspace === "" || this.hasWarned || engine.isQualified(query)) return []
    this.hasWarned = true
    return [
      "`USE <keyspace>` with prepared statements is considered to be an anti-pattern due to ambiguity in non-qualified table " +
      'names. Please consider removing instances of `Session#setKeyspace(<keyspace>)`, `Session#execute("USE <keyspace>")` ' +
      "and `cluster.newSession(<keyspace>)` from your code, and always use fully qualified table names (e.g. " +
      `<keyspace>.<table>). Keyspace used: ${this.keyspace}, statement keyspace: ${keyspace ?? "null"}, statement id: ${
        this.idOf(query, keyspace ?? this.keyspace).toString("hex")
      }`
    ]
  }

  /** The columns that PREPARED tells of: Cassandra tells none of a conditional statement, whose answers vary. */
  private announced(plan: Plan): Plan["result"] {
    return plan.isConditional && this.host.flavour.product === "cassandra" ? NO_COLUMNS : plan.result
  }

  /** Rows with the metadata that the client needs beside that which it named. */
  private described(
    plan: Plan,
    request: Extract<Request.Request, { readonly _tag: "Execute" }>,
    response: Response.ServerResponse
  ): Response.ServerResponse {
    if (response._tag !== "Rows") return response
    const { flavour } = this.host
    // What varies is told each time, and never as a change.
    if (plan.isConditional && flavour.product === "cassandra") return { ...response, skipMetadata: false }
    if (!this.requests.dialect.metadataIds) return response
    const id = Flavour.metadataId(flavour, plan.result)
    const named = request.resultMetadataId
    return named !== undefined && Buffer.compare(id, named) === 0 ? response : { ...response, newMetadataId: id }
  }

  private readonly prepared = (id: Uint8Array): Plan => {
    const key = Buffer.from(id.buffer, id.byteOffset, id.length).toString("hex")
    const plan = this.host.prepared.get(key)
    if (plan !== undefined && !isRetired(plan)) return plan
    // A change of the table invalidates what was prepared for it, as in ScyllaDB.
    this.host.prepared.delete(key)
    throw new ServerError.Unprepared({ code: 0x2500, message: `No prepared statement with ID ${key} found.`, id })
  }

  private onStatement(
    stream: number,
    request: Extract<Request.Request, { readonly _tag: "Query" | "Execute" | "Batch" }>,
    isHeard = this.host.listeners.size === 0
  ): void {
    if (!isHeard && this.heard(stream, request, this.partsOf(request))) return
    const { engine, flavour, node } = this.host
    const manners = {
      hasRateLimitError: this.hasRateLimitError,
      isCassandra: flavour.product === "cassandra",
      user: this.username
    }
    let call: Call | undefined
    try {
      if (request._tag === "Batch") {
        call = engine.call(node, [], request.options, manners)
        const { response, warnings } = engine.batch(
          request,
          request.options.keyspace ?? this.keyspace,
          call,
          this.prepared
        )
        return this.answer(stream, response, warnings)
      }
      const plan = request._tag === "Query"
        ? engine.planOf(request.query, request.options.keyspace ?? this.keyspace)
        : this.prepared(request.id)
      call = engine.call(node, bind(plan, request.values, flavour.product), request.options, manners)
      if (request._tag === "Query" && manners.isCassandra && call.values.length !== plan.variables.length) {
        throw invalid("Invalid amount of bind variables")
      }
      const { response, warnings } = engine.execute(plan, call)
      if (response._tag === "SetKeyspace") this.keyspace = response.keyspace
      const payload = this.tabletPayload(plan, call, request)
      const answer = request._tag === "Execute" ? this.described(plan, request, response) : response
      this.answer(stream, answer, warnings, payload)
    } finally {
      if (call !== undefined) this.host.counters.request(call, this.shard, this.host.ignoreMsb)
    }
  }

  /** The tablet that was asked for, where the request shows that the client does not know it. */
  private tabletPayload(
    plan: Plan,
    call: Call,
    request: Extract<Request.Request, { readonly _tag: "Query" | "Execute" }>
  ): Response.Prefix["customPayload"] {
    const { table } = call
    // Only of a single partition whose key is in variables.
    if (this.tablets === "none" || table === undefined || call.partitions !== 1 || plan.partitionKey.length === 0) {
      return undefined
    }
    const tablet = call.topology.tablets(table)?.of(call.hi)
    if (tablet === undefined) return undefined
    if (this.tablets === "v1") {
      return isOwner(tablet, call.node, this.shard) ? undefined : payloadOf(tablet, false)
    }
    if (request._tag === "Query") {
      throw internal("a tablet table requires that every EXECUTE request carry a tablet_version_block")
    }
    return plan.isConditional || isCurrent(tablet, request.tabletBlock ?? 0) ? undefined : payloadOf(tablet, true)
  }

  private answer(
    stream: number,
    response: Response.ServerResponse,
    warnings: ReadonlyArray<string> = [],
    customPayload?: Response.Prefix["customPayload"]
  ): void {
    const { writer } = this.out
    const start = writer.pos
    try {
      this.encode(writer, stream, response, warnings, customPayload)
    } catch (thrown) {
      writer.pos = start
      const error = internal(`cannot encode the answer: ${(thrown as Error).message}`)
      this.encode(writer, stream, { _tag: "Error", error })
    }
  }

  private encode(
    w: Writer,
    stream: number,
    response: Response.ServerResponse,
    warnings: ReadonlyArray<string> = [],
    customPayload?: Response.Prefix["customPayload"]
  ): void {
    const { flavour } = this.host
    const { dialect } = this.requests
    const tracingId = this.traced
    // Payloads are ScyllaDB's.
    const prefix = flavour.product === "scylla" ? { warnings, customPayload, tracingId } : { warnings, tracingId }
    const start = w.pos
    Response.encode(w, stream, Flavour.inFlavour(flavour, dialect, response), prefix, dialect)
    Flavour.afterEncoding(flavour, w.bytes.subarray(start, w.pos))
  }

  /** Sends an event if the client asked for its kind. */
  push(type: string, event: Response.ServerResponse): void {
    if (this.isClosed || !this.events.has(type)) return
    // The client that caused it gets its answer first.
    if (this.receiving) this.pushed.push(event)
    else {
      this.answer(-1, event)
      this.flush()
    }
  }

  private flush(): void {
    const { writer } = this.out
    if (writer.pos === 0 || this.isClosed) return
    if (this.requests.isPlain) return this.sendPlain()
    const wired = this.wired.writer
    this.requests.write(wired, writer.bytes, writer.pos)
    this.wire.send(wired.bytes.subarray(0, wired.pos))
    emptied(this.wired)
    emptied(this.out)
  }

  /** What was encoded, as it is. */
  private sendPlain(): void {
    const { writer } = this.out
    this.wire.send(writer.bytes.subarray(0, writer.pos))
    emptied(this.out)
  }

  /** Ends the connection from this side, at once. */
  destroy(): void {
    if (!this.isClosed) {
      this.isClosed = true
      this.host.release(this)
    }
    this.wire.destroy()
  }

  /** The other side is gone. */
  closed(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.host.release(this)
  }
}

/** What a node that answers heartbeats alone leaves unanswered. */
const isStatement = ({ _tag }: Request.Request): boolean =>
  _tag === "Query" || _tag === "Prepare" || _tag === "Execute" || _tag === "Batch"

const NO_COLUMNS: Plan["result"] = []

const emptied = (holder: { writer: Writer }): void => {
  if (holder.writer.bytes.length > KEPT_OUTPUT) holder.writer = new Writer(4096)
  else holder.writer.reset()
}

/** The other name that the marker of an IN may have. */
const otherName = (name: string): string | undefined => {
  if (name.startsWith("in(")) return `IN${name.slice(2)}`
  return name.startsWith("IN(") ? `in${name.slice(2)}` : undefined
}

/** The values of a request in the order of the plan's variables; named ones are sorted out. */
const bind = (
  plan: Plan,
  values: Request.Values | undefined,
  product: Flavour.Product
): ReadonlyArray<Request.RawValue> => {
  const list = values?.values ?? []
  const names = values?.names
  if (names === undefined) return list
  const places = plan.variables.map((variable) => {
    const other = product === "scylla" ? otherName(variable.name) : undefined
    return names.findLastIndex((name) => name === variable.name || name === other)
  })
  const missing = places.indexOf(-1)
  if (missing >= 0) {
    // Cassandra counts those that it finds.
    const count = product === "scylla" ? list.length : places.filter((at) => at >= 0).length
    if (count !== plan.variables.length) throw wrongCount(plan.variables.length, count)
    throw invalid(`Missing value for bind marker with name: ${plan.variables[missing]!.name}`)
  }
  return places.map((at) => list[at]!)
}
