import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { DialError, type Endpoint, type Handlers, type Socket } from "../Socket.ts"
import * as PoolTls from "../Tls.ts"
import { explain, nameFor } from "./tlsErrors.ts"

/**
 * One read buffer for all sockets of the process: bytes are decoded before the read callback returns, so no two reads
 * are ever under way. Saves an allocation of 64 KiB for every read (measured: 12 to 27 % of a request).
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024)
const READ_VIEW = new DataView(READ_BUFFER.buffer)

/** Silence after which the system looks whether the peer is there, as gocql has it; by itself it would after two hours. */
const KEEPALIVE_MILLIS = 15_000

class NodeSocket implements Socket {
  private readonly socket: Net.Socket
  private handlers: Handlers | undefined
  private error: Error | undefined
  private closed = false
  private early: Array<Uint8Array> = []
  /** Everything from before the start is delivered. */
  private started = false
  /** Kept: a socket that is closed does not tell them any more. */
  localPort: number | undefined = undefined
  remoteAddress = ""

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.on("error", (error) => {
      this.error = error
    })
    socket.on("end", () => socket.destroy())
    socket.on("close", () => {
      this.closed = true
      if (this.started) this.handlers!.onClose(this.error)
    })
  }

  opened(endpoint: Endpoint): void {
    // Here, because `tls.connect` does not take them as options.
    this.socket.setNoDelay(true)
    this.socket.setKeepAlive(true, KEEPALIVE_MILLIS)
    // Whoever waits for an answer holds the process: an open connection alone does not.
    this.socket.unref()
    this.localPort = this.socket.localPort
    this.remoteAddress = this.socket.remoteAddress ?? endpoint.address
  }

  get pendingBytes(): number {
    return this.socket.writableLength
  }

  /** A read of `length` bytes into the shared buffer. */
  readonly onRead = (length: number): boolean => {
    if (this.started) this.handlers!.onData(READ_BUFFER, READ_VIEW, length)
    else this.early.push(Uint8Array.from(READ_BUFFER.subarray(0, length)))
    return true
  }

  start(handlers: Handlers): void {
    this.handlers = handlers
    if (this.early.length === 0 && !this.closed) {
      this.started = true
      return
    }
    setImmediate(() => {
      for (const bytes of this.early) {
        const copy = Buffer.from(bytes.buffer)
        handlers.onData(copy, new DataView(copy.buffer), copy.length)
      }
      this.early = []
      this.started = true
      if (this.closed) handlers.onClose(this.error)
    })
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    const { socket } = this
    // Plain TCP usually takes everything at once; TLS never does.
    let taken = false
    socket.write(bytes, () => {
      if (!taken) done()
    })
    taken = socket.writableLength === 0
    return taken
  }

  destroy(): void {
    this.socket.destroy()
  }
}

const kindOf = (error: Error, endpoint: Endpoint): DialError["kind"] => {
  const { code } = error as NodeJS.ErrnoException
  if (endpoint.localPort !== undefined && (code === "EADDRINUSE" || code === "EADDRNOTAVAIL")) return "LocalPortInUse"
  const isSystem = code !== undefined && /^(E[A-Z]+|EAI_[A-Z]+|ERR_SOCKET_BAD_PORT)$/.test(code) && code !== "EPROTO"
  return endpoint.tls === undefined || isSystem ? "Unreachable" : "Tls"
}

/** Of this dial: whoever says by what a certificate is verified has the last word. */
const tlsOptions = (endpoint: Endpoint, tls: PoolTls.Input): Tls.ConnectionOptions => {
  const options = PoolTls.current(tls)
  const isDecided = options.servername !== undefined || options.checkServerIdentity !== undefined
  return isDecided ? options : { ...options, ...nameFor(endpoint) }
}

/** Dials with `node:net` or `node:tls`. */
export const dial = (endpoint: Endpoint): Effect.Effect<Socket, DialError> =>
  Effect.callback<Socket, DialError>((resume) => {
    let wrapped: NodeSocket
    const options: Net.TcpNetConnectOpts = {
      host: endpoint.address,
      port: endpoint.port,
      // A dial goes to one address; racing families would hide which, and a local port fits one only.
      autoSelectFamily: false,
      localPort: endpoint.localPort,
      onread: { buffer: READ_BUFFER, callback: (length) => wrapped.onRead(length) }
    }
    const failed = (cause: Error): void => {
      const message = endpoint.tls === undefined
        ? `cannot connect to ${endpoint.address}:${endpoint.port}: ${cause.message}`
        : explain(cause, endpoint)
      resume(Exit.fail(new DialError({ kind: kindOf(cause, endpoint), endpoint, message, cause })))
    }
    let socket: Net.Socket
    try {
      socket = endpoint.tls === undefined
        ? Net.connect(options)
        // Where the dial goes is the endpoint's alone.
        : Tls.connect(
          {
            ...tlsOptions(endpoint, endpoint.tls),
            ...options,
            path: undefined,
            socket: undefined
          } as Tls.ConnectionOptions
        )
    } catch (cause) {
      // A port that is none, a certificate that cannot be read.
      return failed(cause as Error)
    }
    wrapped = new NodeSocket(socket)
    const { onSession } = endpoint
    if (onSession !== undefined) socket.on("session", onSession)
    const onError = (cause: Error): void => {
      socket.destroy()
      failed(cause)
    }
    const onClose = (): void => onError(new Error("the connection was closed while it was made"))
    socket.once("error", onError)
    socket.once("close", onClose)
    socket.once(endpoint.tls === undefined ? "connect" : "secureConnect", () => {
      socket.off("error", onError)
      socket.off("close", onClose)
      wrapped.opened(endpoint)
      resume(Exit.succeed(wrapped))
    })
    return Effect.sync(() => {
      socket.destroy()
    })
  })
