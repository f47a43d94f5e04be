/** The transport on `@grpc/grpc-js`. */
import {
  Client,
  type ClientOptions,
  connectivityState,
  credentials as Credentials,
  Metadata,
  type ServiceError,
  type StatusObject
} from "@grpc/grpc-js"
import * as Redacted from "effect/Redacted"
import { Buffer } from "node:buffer"
import { performance } from "node:perf_hooks"
import {
  type Answer,
  type Channel,
  type ChannelOptions,
  MAX_MESSAGE_BYTES,
  type StreamCall,
  type StreamHandlers,
  type TlsOptions
} from "../Channel.ts"

const bytes = (value: string | Uint8Array | undefined): Buffer | null =>
  value === undefined ? null : Buffer.from(value as Uint8Array)

const makeCredentials = (tls: TlsOptions | undefined) =>
  tls === undefined
    ? Credentials.createInsecure()
    : Credentials.createSsl(
      bytes(tls.ca),
      tls.key === undefined ? null : Buffer.from(Redacted.value(tls.key)),
      bytes(tls.cert)
    )

const CLOSED = "the channel is closed"
const MAX_RECONNECT = 500

const settings = (options: ChannelOptions): ClientOptions => {
  return {
    // Calls and streams of a node must not meet on one connection: 100 streams block every call behind them.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.max_receive_message_length": options.maxReceiveBytes ?? MAX_MESSAGE_BYTES,
    // What is too long is refused before it comes here, by a typed error.
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": options.keepaliveMillis ?? 10_000,
    "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMillis ?? 3_000,
    // A name is looked up again when a connection is lost, and not only half a minute later: pods move.
    "grpc.dns_min_time_between_resolutions_ms": 1_000,
    ...(options.gzip === true ? { "grpc.default_compression_algorithm": 2 as const } : {}),
    ...(options.authority === undefined ? {} : { "grpc.default_authority": options.authority }),
    ...(options.tls?.serverName === undefined ? {} : { "grpc.ssl_target_name_override": options.tls.serverName })
  }
}

/** grpc-js copies with a method that only Buffer has. */
const toBuffer = (body: Uint8Array): Buffer => Buffer.from(body.buffer, body.byteOffset, body.byteLength)

const identity = (body: Buffer): Buffer => body

const noHeader = (): undefined => undefined

const succeeded = (body: Uint8Array): Answer => ({
  code: 0,
  details: "",
  body,
  origin: "Server",
  header: noHeader
})

/**
 * Who made a status? grpc-js makes its own without metadata; what a server sends without a message has at least its
 * content-type. A status after headers may have neither and counts as ours, which is the careful side.
 */
const failed = (status: StatusObject | ServiceError): Answer => {
  const { metadata } = status
  const type = metadata.get("content-type")[0]
  const server = Object.keys(metadata.getMap()).length > 0 &&
    (type === undefined || String(type).startsWith("application/grpc"))
  return {
    code: status.code,
    details: status.details,
    body: undefined,
    origin: server ? "Server" : "Client",
    header: (name) => metadata.get(name)[0]?.toString()
  }
}

/** Pauses between dials that fail grow from this, in milliseconds. */
const FIRST_PAUSE = 50

/** What a call is told that came when there was no connection: grpc-js would dial for it, past the gate. */
const unconnected: Answer = {
  code: 14,
  details: "No connection established. Nobody has connected since the last one was lost",
  body: undefined,
  origin: "Client",
  header: noHeader
}

class GrpcChannel implements Channel {
  private readonly open: () => Client
  private readonly longestPause: number
  private readonly metadata: Metadata
  private readonly more: ChannelOptions["callMetadata"]
  private readonly cancels = new Set<{ cancel(): void }>()
  /** Who waits for the dial that is under way. */
  private readonly waiting = new Set<(error: string | undefined) => void>()
  private client: Client
  private dialling = false
  private closed = false
  private failures = 0
  /** Why the last dial failed; it is the answer until `quietUntil`, which no jump of the wall clock moves. */
  private lastError: string | undefined
  private quietUntil = 0

  constructor(address: string, options: ChannelOptions) {
    this.open = () => new Client(address, makeCredentials(options.tls), settings(options))
    this.client = this.open()
    this.longestPause = options.maxReconnectMillis ?? MAX_RECONNECT
    this.metadata = new Metadata()
    this.more = options.callMetadata
    for (const [name, value] of Object.entries(options.metadata ?? {})) {
      this.metadata.set(name, Redacted.isRedacted(value) ? Redacted.value(value) : value)
    }
  }

  /** What goes with a call. */
  private metadataFor(path: string): Metadata {
    const more = this.more?.(path)
    if (more === undefined) return this.metadata
    const metadata = this.metadata.clone()
    for (const [name, value] of Object.entries(more)) metadata.set(name, Redacted.value(value))
    return metadata
  }

  readonly isReady = (): boolean =>
    !this.closed && this.client.getChannel().getConnectivityState(false) === connectivityState.READY

  readonly connect = (timeoutMillis: number, settle: (error: string | undefined) => void): () => void => {
    const known = this.closed ? CLOSED : performance.now() < this.quietUntil ? this.lastError : undefined
    if (known !== undefined || this.isReady()) {
      settle(known)
      return () => {}
    }
    const waiter = (error: string | undefined): void => {
      if (!this.waiting.delete(waiter)) return
      clearTimeout(timer)
      settle(error)
    }
    // The dial goes on: whoever asks next may find it done.
    const timer = setTimeout(() => waiter(`not connected after ${timeoutMillis} ms`), timeoutMillis)
    this.waiting.add(waiter)
    this.dial()
    return () => {
      clearTimeout(timer)
      this.waiting.delete(waiter)
    }
  }

  /** One dial for all who wait. Names are looked up anew by each, because pods move. */
  private dial(): void {
    if (this.dialling) return
    this.dialling = true
    const { client } = this
    const channel = client.getChannel()
    const look = (): void => {
      const state = channel.getConnectivityState(!this.closed)
      switch (state) {
        case connectivityState.READY:
          return this.dialled(undefined)
        case connectivityState.SHUTDOWN:
          return this.dialled(CLOSED)
        case connectivityState.TRANSIENT_FAILURE:
          return this.whyNot((error) => this.dialled(error))
        default:
          channel.watchConnectivityState(state, Infinity, look)
      }
    }
    look()
  }

  private dialled(error: string | undefined): void {
    this.dialling = false
    this.lastError = error
    if (error === undefined) this.failures = 0
    else if (!this.closed) {
      this.quietUntil = performance.now() + Math.min(FIRST_PAUSE * 1.6 ** this.failures++, this.longestPause)
      // grpc-js would go on dialling by itself, past the gate.
      const failed = this.client
      this.client = this.open()
      failed.close()
    }
    for (const settle of this.waiting) settle(error)
  }

  /** grpc-js tells why it is not connected to calls only. */
  private whyNot(finish: (error: string) => void): void {
    const nothing = new Uint8Array()
    const path = "/grpc.health.v1.Health/Check"
    this.client.makeUnaryRequest(path, toBuffer, identity, nothing, { deadline: Date.now() + 100 }, (error) => {
      const why = /Last error: (.*?)(?:\. Resolution note|$)/s.exec(error?.details ?? "")?.[1]
      finish(why ?? error?.details ?? "the connection came and went")
    })
  }

  readonly unary = (
    path: string,
    body: Uint8Array,
    timeoutMillis: number,
    settle: (answer: Answer) => void
  ): () => void => {
    if (!this.isReady()) {
      settle(unconnected)
      return () => {}
    }
    const call = this.client.makeUnaryRequest(
      path,
      toBuffer,
      identity,
      body,
      this.metadataFor(path),
      { deadline: Date.now() + timeoutMillis },
      (error, value) => settle(error === null ? succeeded(value!) : failed(error))
    )
    return () => call.cancel()
  }

  readonly stream = (path: string, body: Uint8Array, both: boolean, handlers: StreamHandlers): StreamCall => {
    if (!this.isReady()) {
      handlers.onEnd(unconnected)
      return { write: () => {}, pause: () => {}, resume: () => {}, cancel: () => {} }
    }
    let ended = false
    const metadata = this.metadataFor(path)
    const duplex = both ? this.client.makeBidiStreamRequest(path, toBuffer, identity, metadata, {}) : undefined
    const call = duplex ?? this.client.makeServerStreamRequest(path, toBuffer, identity, body, metadata, {})
    const write = (message: Uint8Array): void => {
      if (!ended) duplex?.write(message)
    }
    this.cancels.add(call)
    call.once("metadata", (metadata: Metadata) => {
      // Headers that carry nothing of gRPC come from something in between.
      if (String(metadata.get("content-type")[0]).startsWith("application/grpc")) handlers.onOpen()
    })
    call.on("data", (message: Uint8Array) => handlers.onMessage(message))
    const end = (status: StatusObject | ServiceError): void => {
      if (ended) return
      ended = true
      this.cancels.delete(call)
      handlers.onEnd(status.code === 0 ? { ...succeeded(new Uint8Array()), body: undefined } : failed(status))
    }
    call.once("error", (error: Error) => end(error as ServiceError))
    call.once("status", end)
    duplex?.write(body)
    return { write, pause: () => void call.pause(), resume: () => void call.resume(), cancel: () => call.cancel() }
  }

  readonly close = (): void => {
    if (this.closed) return
    this.closed = true
    for (const call of this.cancels) call.cancel()
    this.client.close()
  }
}

/** Connections of `@grpc/grpc-js`. */
export const grpcTransport = {
  open: (address: string, options: ChannelOptions): Channel => new GrpcChannel(address, options)
}
