/** Requests over undici: one pool for each node, its connections kept alive. */
import * as Effect from "effect/Effect"
import type { SecureContextOptions } from "node:tls"
import { buildConnector, type Dispatcher, Pool } from "undici"
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

/** What undici reports before a request has a connection, and what it means. */
const describe = (error: Error & { readonly code?: string }): string =>
  error.code === undefined || error.message.includes(error.code) ? error.message : `${error.code} ${error.message}`

class UndiciExchange implements Exchange, Dispatcher.DispatchHandler {
  sent = false
  private done = false
  private status = 0
  private headers: ResponseHeaders = {}
  private chunks: Array<Uint8Array> = []
  private size = 0
  private controller: Dispatcher.DispatchController | undefined
  private readonly handler: ExchangeHandler
  private readonly maxBody: number

  constructor(handler: ExchangeHandler, maxBody: number) {
    this.handler = handler
    this.maxBody = maxBody
  }

  readonly abort = (): void => {
    if (this.done) return
    this.done = true
    this.controller?.abort(aborted)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    // It was given up while it waited for a connection.
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
    if (this.size > this.maxBody) {
      this.fail({ kind: "oversized", sent: true, message: `more than ${this.maxBody} bytes of body`, cause: undefined })
      controller.abort(aborted)
      return
    }
    this.chunks.push(chunk)
  }

  onResponseEnd(): void {
    // The connection is free when undici has returned from this: who sends the next request at once shall find it.
    if (!this.done) queueMicrotask(this.answer)
  }

  private readonly answer = (): void => {
    if (this.done) return
    this.done = true
    this.handler.onAnswer(this.status, this.headers, join(this.chunks))
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.fail({
      kind: this.sent ? "lost" : "unreachable",
      sent: this.sent,
      message: describe(error),
      cause: error
    })
  }

  fail(failure: ExchangeFailure): void {
    if (this.done) return
    this.done = true
    this.handler.onFailure(failure)
  }
}

const aborted = new Error("the request was given up")

/** Dials by what `tls` says at that moment, so that renewed certificates are used without a restart. */
const connector = (settings: Settings, node: AlternatorNode): buildConnector.connector => {
  let options: TlsOptions | undefined
  let connect: buildConnector.connector | undefined
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
      } as buildConnector.BuildOptions)
    }
    const dial = connect
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

interface Lanes {
  data: Pool | undefined
  control: Pool | undefined
}

export class UndiciPools {
  private readonly pools = new Map<string, Lanes>()
  private closed = false
  private readonly settings: Settings

  constructor(settings: Settings) {
    this.settings = settings
  }

  private pool(node: AlternatorNode, lane: "data" | "control"): Pool {
    let lanes = this.pools.get(node.url)
    if (lanes === undefined) this.pools.set(node.url, lanes = { data: undefined, control: undefined })
    return lanes[lane] ??= new Pool(node.url, {
      connections: lane === "data" ? this.settings.connections : 1,
      pipelining: 1,
      // A deadline belongs to the request and is kept by who made it.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: this.settings.idleMillis,
      keepAliveMaxTimeout: this.settings.idleMillis,
      connect: connector(this.settings, node)
    })
  }

  readonly dispatch = (request: ExchangeRequest, handler: ExchangeHandler): Exchange => {
    const exchange = new UndiciExchange(handler, request.maxBody)
    if (this.closed) {
      exchange.fail({ kind: "closed", sent: false, message: "the transport is closed", cause: undefined })
      return exchange
    }
    this.pool(request.node, request.lane).dispatch({
      path: request.path,
      method: request.method,
      headers: request.headers as Array<string>,
      body: request.body ?? null
    }, exchange)
    return exchange
  }

  /** Requests under way end; then the connections are closed. */
  readonly retire = (node: AlternatorNode): void => {
    const lanes = this.pools.get(node.url)
    if (lanes === undefined) return
    this.pools.delete(node.url)
    for (const pool of [lanes.data, lanes.control]) pool?.close().catch(() => {})
  }

  /** Waits for what is under way. */
  readonly drain = (): Effect.Effect<void> =>
    Effect.promise(() => {
      this.closed = true
      return Promise.all(this.all.map((pool) => pool.close().catch(() => {})))
    })

  /** Ends what is under way. */
  readonly destroy = (): Effect.Effect<void> =>
    Effect.promise(() => {
      this.closed = true
      return Promise.all(this.all.map((pool) => pool.destroy().catch(() => {})))
    })

  private get all(): Array<Pool> {
    return Array.from(this.pools.values()).flatMap(({ data, control }) => [data, control]).filter((pool) =>
      pool !== undefined
    )
  }

  /** Connections of each node that has a pool. */
  readonly connections = (): ReadonlyMap<string, number> =>
    new Map(
      Array.from(this.pools, ([url, { data, control }]) => [
        url,
        (data?.stats.connected ?? 0) + (control?.stats.connected ?? 0)
      ])
    )
}
