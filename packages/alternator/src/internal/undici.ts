/**
 * Requests over undici: connections by node, kept alive.
 *
 * Its client is imported by its file: Bun answers `undici` with a module of its own, whose `Client` cannot dispatch.
 */
import * as Effect from "effect/Effect"
import type { Socket } from "node:net"
import type { SecureContextOptions } from "node:tls"
import type { buildConnector as BuildConnector, Dispatcher } from "undici"
import buildConnector from "undici/lib/core/connect.js"
import Client from "undici/lib/dispatcher/client.js"
import {
  type Exchange,
  type ExchangeFailure,
  type ExchangeHandler,
  type ExchangeRequest,
  join,
  type ResponseHeaders
} from "../Exchange.ts"
import type { AlternatorNode } from "../NodeAddress.ts"

export interface TlsOptions extends Pick<SecureContextOptions, "ca" | "cert" | "key" | "passphrase" | "minVersion"> {
  readonly rejectUnauthorized?: boolean | undefined
  readonly servername?: string | undefined
}

export interface Settings {
  readonly connections: number
  readonly connectMillis: number
  readonly idleMillis: number
  readonly cachedSessions: number
  readonly tls: (() => TlsOptions) | undefined
  /** Runs a dial when it is let. Answers how to give up waiting. */
  readonly gate: ((address: string, dial: () => void) => () => void) | undefined
}

/** What the modules in undici's place lack, if they are not undici's: a bundler or a runtime may put in others. */
export const lacking = (client: unknown = Client, connector: unknown = buildConnector): string | undefined =>
  typeof (client as typeof Client | undefined)?.prototype?.dispatch !== "function"
    ? "Client.dispatch"
    : typeof connector !== "function"
    ? "buildConnector"
    : undefined

/** What undici reports before a request has a connection, and what it means. */
const describe = (error: Error & { readonly code?: string }): string =>
  error.code === undefined || error.message.includes(error.code) ? error.message : `${error.code} ${error.message}`

class UndiciExchange implements Exchange, Dispatcher.DispatchHandler {
  sent = false
  /** Waits for a connection, or has one. */
  lane: Lane | undefined
  client: Client | undefined
  private done = false
  private status = 0
  private headers: ResponseHeaders = {}
  private chunks: Array<Uint8Array> = []
  private size = 0
  private controller: Dispatcher.DispatchController | undefined
  readonly request: ExchangeRequest
  private readonly handler: ExchangeHandler

  constructor(request: ExchangeRequest, handler: ExchangeHandler) {
    this.request = request
    this.handler = handler
  }

  readonly abort = (): void => {
    if (this.done) return
    this.done = true
    if (this.client === undefined) this.lane?.forget(this)
    else this.controller?.abort(aborted)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    // It was given up while its connection was made.
    if (this.done) controller.abort(aborted)
    else this.sent = true
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    this.status = status
    this.headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.done) return
    this.size += chunk.length
    const { maxBody } = this.request
    if (this.size > maxBody) {
      this.fail({ kind: "oversized", sent: true, message: `more than ${maxBody} bytes of body`, cause: undefined })
      controller.abort(aborted)
      return
    }
    this.chunks.push(chunk)
  }

  onResponseEnd(): void {
    // First the connection: whoever sends the next request at once shall find it.
    this.release()
    if (this.done) return
    this.done = true
    this.handler.onAnswer(this.status, this.headers, join(this.chunks))
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    // undici is in the middle of failing what its client had, and does not expect more.
    queueMicrotask(this.release)
    this.fail({
      kind: this.sent ? "lost" : "unreachable",
      sent: this.sent,
      message: describe(error),
      cause: error
    })
  }

  private readonly release = (): void => {
    const { client, lane } = this
    this.client = undefined
    if (client !== undefined) lane?.release(client)
  }

  fail(failure: ExchangeFailure): void {
    if (this.done) return
    this.done = true
    this.handler.onFailure(failure)
  }
}

type Connector = BuildConnector.connector

const aborted = new Error("the request was given up")

/** Discovery and probes go on beside requests: no process waits for them, nor for their connections to be made. */
const unrefForGood = (socket: Socket): void => {
  socket.unref()
  socket.ref = () => socket
}

/** Dials by what `tls` says at that moment, so that renewed certificates are used without a restart. */
const connector = (settings: Settings, node: AlternatorNode, lane: ExchangeRequest["lane"]): Connector => {
  let options: TlsOptions | undefined
  let connect: Connector | undefined
  return (target, callback) => {
    const current = settings.tls?.()
    if (connect === undefined || current !== options) {
      options = current
      const { servername = node.servername, ...rest } = current ?? {}
      connect = buildConnector({
        timeout: settings.connectMillis,
        maxCachedSessions: settings.cachedSessions,
        allowH2: false,
        ...rest,
        ...(servername === undefined ? {} : { servername })
      } as BuildConnector.BuildOptions)
    }
    const dial: Connector = (...dialled) => {
      // It gives the socket at once, although its types do not say so.
      const socket = connect!(...dialled) as Socket | undefined
      if (lane === "control" && socket !== undefined) unrefForGood(socket)
    }
    if (settings.gate === undefined) dial(target, callback)
    else {
      const release = settings.gate(node.hostHeader, () =>
        dial(target, (...result) => {
          release()
          callback(...result)
        }))
    }
  }
}

/**
 * Connections of one node for one purpose, one request at a time on each. The one that was used last is used first, so
 * that as few as needed stay warm. undici's own pool opens another one when a request follows upon an answer at once.
 */
class Lane {
  private readonly clients = new Set<Client>()
  private readonly idle: Array<Client> = []
  private readonly waiting = new Set<UndiciExchange>()
  private isClosed = false
  private onRelease = (): void => {}
  private readonly max: number
  private readonly open: () => Client

  constructor(max: number, open: () => Client) {
    this.max = max
    this.open = open
  }

  send(exchange: UndiciExchange): void {
    exchange.lane = this
    let client = this.idle.pop()
    if (client === undefined && this.clients.size < this.max) this.clients.add(client = this.open())
    if (client === undefined) this.waiting.add(exchange)
    else this.use(client, exchange)
  }

  private use(client: Client, exchange: UndiciExchange): void {
    exchange.client = client
    const { body, headers, method, path } = exchange.request
    client.dispatch({ path, method, headers: headers as Array<string>, body: body ?? null }, exchange)
  }

  release(client: Client): void {
    this.onRelease()
    for (const next of this.waiting) {
      this.waiting.delete(next)
      return this.use(client, next)
    }
    if (this.isClosed) client.close().catch(() => {})
    else this.idle.push(client)
  }

  forget(exchange: UndiciExchange): void {
    this.waiting.delete(exchange)
  }

  /** Ends when what is under way or waits has ended. */
  async close(): Promise<void> {
    this.isClosed = true
    // Whoever waits needs a connection still.
    while (this.waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.onRelease = resolve
      })
    }
    await Promise.all(Array.from(this.clients, (client) => client.close().catch(() => {})))
  }

  async destroy(): Promise<void> {
    this.isClosed = true
    const cause = new Error("the transport was closed")
    for (const exchange of this.waiting) {
      exchange.fail({ kind: "closed", sent: false, message: cause.message, cause })
    }
    this.waiting.clear()
    await Promise.all(Array.from(this.clients, (client) => client.destroy(cause).catch(() => {})))
  }

  get connected(): number {
    let count = 0
    for (const client of this.clients) if (client.stats.connected) count++
    return count
  }
}

interface Lanes {
  readonly data: Lane
  readonly control: Lane
}

export class UndiciPools {
  private readonly nodes = new Map<string, Lanes>()
  private closed = false
  private readonly settings: Settings

  constructor(settings: Settings) {
    this.settings = settings
  }

  private lanes(node: AlternatorNode): Lanes {
    let lanes = this.nodes.get(node.url)
    if (lanes === undefined) {
      const connects = {
        data: connector(this.settings, node, "data"),
        control: connector(this.settings, node, "control")
      }
      const open = (lane: ExchangeRequest["lane"]) => () =>
        new Client(node.url, {
          pipelining: 1,
          // A deadline belongs to the request and is kept by who made it.
          headersTimeout: 0,
          bodyTimeout: 0,
          keepAliveTimeout: this.settings.idleMillis,
          keepAliveMaxTimeout: this.settings.idleMillis,
          connect: connects[lane]
        })
      lanes = { data: new Lane(this.settings.connections, open("data")), control: new Lane(1, open("control")) }
      this.nodes.set(node.url, lanes)
    }
    return lanes
  }

  readonly dispatch = (request: ExchangeRequest, handler: ExchangeHandler): Exchange => {
    const exchange = new UndiciExchange(request, handler)
    if (this.closed) {
      exchange.fail({ kind: "closed", sent: false, message: "the transport is closed", cause: undefined })
    } else this.lanes(request.node)[request.lane].send(exchange)
    return exchange
  }

  /** Requests under way end; then the connections are closed. */
  readonly retire = (node: AlternatorNode): void => {
    const lanes = this.nodes.get(node.url)
    if (lanes === undefined) return
    this.nodes.delete(node.url)
    for (const lane of [lanes.data, lanes.control]) lane.close().catch(() => {})
  }

  /** Waits for what is under way. */
  readonly drain = (): Effect.Effect<void> =>
    Effect.promise(() => {
      this.closed = true
      return Promise.all(this.all.map((lane) => lane.close()))
    })

  /** Ends what is under way. */
  readonly destroy = (): Effect.Effect<void> =>
    Effect.promise(() => {
      this.closed = true
      return Promise.all(this.all.map((lane) => lane.destroy()))
    })

  private get all(): Array<Lane> {
    return Array.from(this.nodes.values()).flatMap(({ control, data }) => [data, control])
  }

  /** Connections of each node that has any, or had. */
  readonly connections = (): ReadonlyMap<string, number> =>
    new Map(Array.from(this.nodes, ([url, { control, data }]) => [url, data.connected + control.connected]))
}
