/**
 * Sockets in memory, scripted by tests. Everything is delivered through a dispatcher of the current `Scheduler`, as the
 * pool's own work is.
 */
import type { Connection } from "@effect-scylla/pool/Connection"
import { DialError, type Endpoint, type Handlers, type Socket } from "@effect-scylla/pool/Socket"
import type { Transport } from "@effect-scylla/pool/Transport"
import type { Compressor } from "@effect-scylla/protocol/Compression"
import * as Dialect from "@effect-scylla/protocol/Dialect"
import { Framing } from "@effect-scylla/protocol/Framing"
import type { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as Response from "@effect-scylla/protocol/Response"
import { Writer } from "@effect-scylla/protocol/Writer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scheduler from "effect/Scheduler"
import { Buffer } from "node:buffer"

/** A request as the server saw it. */
export interface Received {
  readonly version: number
  readonly stream: number
  readonly request: Request.Request
}

/** What a server does with a request. */
export type OnRequest = (socket: FakeSocket, received: Received) => void

/** What becomes of a dial: accepted, refused, the local port taken, or no answer at all. */
export type Verdict = "accept" | "refuse" | "in use" | "hang" | "break"

export class FakeSocket implements Socket {
  readonly endpoint: Endpoint
  readonly localPort: number | undefined
  readonly remoteAddress: string
  /** Requests in the order of their arrival. */
  readonly received: Array<Received> = []
  /** One entry for each write of the client. */
  readonly writes: Array<number> = []
  isDestroyed = false
  isClosed = false
  /** `false`: writes are held until `drain`, as those of a socket whose peer does not read. */
  taking = true
  /** `true`: writes are taken and never arrive. */
  deaf = false
  shard = 0
  /** In what it reads and answers; the version is that of the last request. */
  dialect = Dialect.v4
  onRequest: OnRequest
  onClosed: (() => void) | undefined
  private handlers: Handlers | undefined
  /** What happened before anybody listened. */
  private readonly early: Array<() => void> = []
  private readonly held: Array<{ readonly bytes: Uint8Array; readonly done: () => void }> = []
  private readonly defer: (task: () => void) => void
  readonly framing: Framing

  constructor(endpoint: Endpoint, localPort: number, defer: (task: () => void) => void, onRequest: OnRequest) {
    this.endpoint = endpoint
    this.localPort = localPort
    this.remoteAddress = endpoint.address
    this.defer = defer
    this.onRequest = onRequest
    this.framing = new Framing({
      onFrame: (version: number, flags: number, stream: number, opcode: number, body: Reader) => {
        if (version !== this.dialect.version) this.dialect = Dialect.make(version as Dialect.Version)
        const received = { version, stream, request: Request.decode(opcode, flags, body, this.dialect).request }
        this.received.push(received)
        this.onRequest(this, received)
      }
    }, { maxBody: 512 * 1024 * 1024, compress: "always" })
  }

  // ---- the client's side

  /** Whom it reports to: the client's connection. */
  get client(): Connection | undefined {
    return this.handlers as Connection | undefined
  }

  start(handlers: Handlers): void {
    this.handlers = handlers
    // What came before is delivered first.
    for (const task of this.early.splice(0)) this.defer(task)
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    if (this.isDestroyed) return true
    this.writes.push(bytes.length)
    if (this.deaf) return true
    if (!this.taking) {
      this.held.push({ bytes, done })
      return false
    }
    this.arrive(bytes)
    return true
  }

  get pendingBytes(): number {
    return this.held.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  destroy(): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    this.close(undefined)
  }

  // ---- the server's side

  /** Lets `count` held writes through: only now are their bytes looked at, as a kernel would. */
  drain(count = this.held.length): void {
    for (const { bytes, done } of this.held.splice(0, count)) {
      this.arrive(bytes)
      done()
    }
  }

  private arrive(bytes: Uint8Array): void {
    const copy = Buffer.from(bytes)
    this.defer(() => {
      this.framing.push(copy, new DataView(copy.buffer, copy.byteOffset, copy.length), 0, copy.length)
    })
  }

  /** Delivers bytes; the buffer is overwritten as soon as the client has seen them. */
  send(bytes: Uint8Array): void {
    const copy = Buffer.from(Uint8Array.from(bytes).buffer)
    this.toClient(() => {
      if (this.isClosed || this.isDestroyed) return
      this.handlers!.onData(copy, new DataView(copy.buffer), copy.length)
      copy.fill(0xee)
    })
  }

  respond(stream: number, response: Response.ServerResponse): void {
    this.respondAll([[stream, response]])
  }

  /** All in one read of the client. */
  respondAll(answers: ReadonlyArray<readonly [stream: number, response: Response.ServerResponse]>): void {
    const bytes = Buffer.concat(answers.map(([stream, response]) => frame(stream, response, this.dialect)))
    if (this.framing.isPlain) return this.send(bytes)
    const w = new Writer()
    this.framing.write(w, bytes, 0, bytes.length)
    this.send(w.toUint8Array())
  }

  /** Answers STARTUP, with which compression and segments begin. */
  begin(stream: number, response: Response.ServerResponse, compressor: Compressor | undefined): void {
    if (this.dialect.version >= 5) {
      this.respond(stream, response)
      this.framing.use(this.dialect.version, compressor)
    } else {
      this.framing.use(this.dialect.version, compressor)
      this.respond(stream, response)
    }
  }

  /** Ends the connection from the server's side, after what was sent before. */
  end(error?: Error): void {
    this.close(error)
  }

  private toClient(task: () => void): void {
    if (this.handlers === undefined && !this.isDestroyed) this.early.push(task)
    else this.defer(task)
  }

  private close(error: Error | undefined): void {
    this.toClient(() => {
      if (this.isClosed) return
      this.isClosed = true
      this.onClosed?.()
      this.handlers?.onClose(error)
    })
  }
}

/** The bytes of a response. */
export const frame = (
  stream: number,
  response: Response.ServerResponse,
  dialect: Dialect.Dialect = Dialect.v4
): Uint8Array => {
  const w = new Writer()
  Response.encode(w, stream, response, undefined, dialect)
  return w.toUint8Array()
}

export class FakeNetwork {
  readonly sockets: Array<FakeSocket> = []
  readonly dials: Array<Endpoint> = []
  /** Dials under way, by the address. */
  private readonly underWay = new Map<string, number>()
  judge: (endpoint: Endpoint, nth: number) => Verdict = () => "accept"
  /** Called with each accepted socket. */
  accept: (socket: FakeSocket) => void = () => {}
  readonly defer: (task: () => void) => void
  /** How each socket defers what it delivers, in order. */
  private readonly deferSocket: () => (task: () => void) => void
  private nextPort = 33_000

  constructor(defer: (task: () => void) => void, deferSocket = () => defer) {
    this.defer = defer
    this.deferSocket = deferSocket
  }

  /** Sockets that the client has not let go of. */
  get open(): ReadonlyArray<FakeSocket> {
    return this.sockets.filter((socket) => !socket.isDestroyed)
  }

  get last(): FakeSocket {
    return this.sockets.at(-1)!
  }

  private count({ address }: Endpoint, by: number): void {
    this.underWay.set(address, this.dialingTo(address) + by)
  }

  dialingTo(address: string): number {
    return this.underWay.get(address) ?? 0
  }

  /** Dials under way. */
  get dialing(): number {
    return [...this.underWay.values()].reduce((sum, count) => sum + count, 0)
  }

  readonly transport: Transport = {
    dial: (endpoint) =>
      Effect.callback<Socket, DialError>((resume) => {
        const nth = this.dials.push(endpoint) - 1
        let isOver = false
        const fail = (kind: DialError["kind"], message: string): void =>
          resume(Exit.fail(new DialError({ kind, endpoint, message, cause: new Error(message) })))
        this.count(endpoint, 1)
        const over = (): void => {
          if (!isOver) this.count(endpoint, -1)
          isOver = true
        }
        const verdict = this.judge(endpoint, nth)
        if (verdict === "break") {
          over()
          throw new Error("the transport broke")
        }
        if (verdict !== "hang") {
          this.defer(() => {
            if (isOver) return
            over()
            if (verdict === "refuse") return fail("Unreachable", `connect ECONNREFUSED ${endpoint.port}`)
            if (verdict === "in use") return fail("LocalPortInUse", `bind EADDRINUSE ${endpoint.localPort}`)
            const socket = new FakeSocket(endpoint, endpoint.localPort ?? this.nextPort++, this.deferSocket(), () => {})
            this.sockets.push(socket)
            this.accept(socket)
            resume(Exit.succeed(socket))
          })
        }
        return Effect.sync(over)
      })
  }
}

/** A network whose deliveries are seen by the clock of the test. */
export const make: Effect.Effect<FakeNetwork> = Effect.gen(function*() {
  const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
  return new FakeNetwork((task) => dispatcher.scheduleTask(task, 0))
})
