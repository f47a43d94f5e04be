/** A connection to a fake peer, and requests that note what becomes of them. */
import { Connection, type Owner, type ResponseHandler } from "@effect-scylla/pool/Connection"
import * as Limits from "@effect-scylla/pool/Limits"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { type Compressor, lz4, snappy } from "@effect-scylla/protocol/Compression"
import * as Dialect from "@effect-scylla/protocol/Dialect"
import type { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import type * as Response from "@effect-scylla/protocol/Response"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as Effect from "effect/Effect"
import * as Network from "./network.ts"

/** Notes what it is told. */
export class RecordingOwner implements Owner {
  readonly closed: Array<PoolReason> = []
  readonly exhausted: Array<Connection> = []
  readonly events: Array<Response.Event> = []
  /** That it was set aside, and that it was heard again. */
  readonly moods: Array<"silent" | "heard"> = []
  onClosed(_connection: Connection, reason: PoolReason): void {
    this.closed.push(reason)
  }
  onExhausted(connection: Connection): void {
    this.exhausted.push(connection)
  }
  onEvent(event: Response.Event): void {
    this.events.push(event)
  }
  onSilent(): void {
    this.moods.push("silent")
  }
  onHeard(): void {
    this.moods.push("heard")
  }
}

/** A request whose text comes back in the log of what was told. */
export class Query implements ResponseHandler {
  readonly text: string
  readonly connection: Connection
  /** Opcodes of answers, then failures: what it was told in all. */
  readonly told: Array<number | { readonly reason: PoolReason; readonly sent: boolean }> = []
  /** The body of the answer. */
  answer: Buffer | undefined
  stream = -1
  onTold: (() => void) | undefined

  constructor(connection: Connection, text: string, deadline: number) {
    this.connection = connection
    this.text = text
    const out = connection.begin()
    if (out === undefined) return
    const start = out.pos
    const { dialect } = connection
    Request.encode(out, 0, { _tag: "Query", query: text, options: { consistency: "ONE" } }, { dialect })
    this.stream = connection.commit(start, this, deadline)
  }

  onResponse(_flags: number, opcode: number, body: Reader): void {
    this.told.push(opcode)
    this.answer = Buffer.from(body.copy(body.end - body.pos))
    this.onTold?.()
  }

  onFailure(reason: PoolReason, sent: boolean): void {
    this.told.push({ reason, sent })
    this.onTold?.()
  }

  abandon(): void {
    this.connection.abandon(this.stream, this)
  }

  get failure(): { readonly reason: PoolReason; readonly sent: boolean } | undefined {
    const [first] = this.told
    return typeof first === "object" ? first : undefined
  }
}

/** How bytes travel on a connection; by default as they are, in v4. */
export interface Wire {
  readonly version: Dialect.Version
  readonly compressor?: Compressor | undefined
}

/** All ways that there are. */
export const wires: ReadonlyArray<Wire & { readonly name: string }> = [
  { name: "v4", version: 4 },
  { name: "v4, lz4", version: 4, compressor: lz4 },
  { name: "v4, snappy", version: 4, compressor: snappy },
  { name: "v5", version: 5 },
  { name: "v5, lz4", version: 5, compressor: lz4 }
]

/** A connection past its handshake, its peer silent unless told otherwise; on a `ticker` that it may share with others. */
export const open = Effect.fnUntraced(
  function*(limits: Partial<Limits.Limits> = {}, wire?: Wire, shared?: Ticker.Ticker) {
    const network = yield* Network.make
    const ticker = shared ?? (yield* Ticker.make)
    const socket = new Network.FakeSocket({ address: "10.0.0.1", port: 9042 }, 40_000, network.defer, () => {})
    const owner = new RecordingOwner()
    const connection = new Connection(socket, ticker, { ...Limits.defaults, ...limits }, owner)
    if (wire !== undefined) {
      connection.startup(Dialect.make(wire.version), wire.compressor)
      socket.onRequest = (_, { stream }) => socket.begin(stream, { _tag: "Ready" }, wire.compressor)
      yield* Effect.orDie(
        connection.request({ _tag: "Startup", options: {} }, { timeoutMillis: 1_000, decoders: new RowDecoders() })
      )
      socket.onRequest = () => {}
      socket.received.length = 0
      socket.writes.length = 0
    }
    connection.ready()
    const query = (text: string, millis = 12_000): Query => new Query(connection, text, ticker.deadline(millis))
    return { network, ticker, socket, owner, connection, query }
  }
)

export const VOID: Response.ServerResponse = { _tag: "Void" }
/** An answer that says which request it belongs to. */
export const named = (name: string): Response.ServerResponse => ({ _tag: "SetKeyspace", keyspace: name })

/** Answers heartbeats, and nothing else. */
export const heartbeats: Network.OnRequest = (socket, { request, stream }) => {
  if (request._tag === "Options") socket.respond(stream, { _tag: "Supported", options: new Map() })
}

/** Answers every query with its own text. */
export const echo: Network.OnRequest = (socket, { request, stream }) =>
  socket.respond(stream, request._tag === "Query" ? named(request.query) : { _tag: "Supported", options: new Map() })
