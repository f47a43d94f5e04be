/**
 * Connections in memory: a `Transport` whose peers are plain code in the same process.
 *
 * Bytes are delivered in order through a dispatcher of the `Scheduler` of the fiber that dials, so under `TestClock` an
 * `adjust` waits for them, and under live services they arrive with the next turn of the event loop.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Socket from "@effect-scylla/pool/Socket"
import type * as Transport from "@effect-scylla/pool/Transport"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import { Buffer } from "node:buffer"

/**
 * The side of a connection that the listener holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** Address of the dialling side. */
  readonly remoteAddress: string
  /** Its port: the local port that it asked for, or one of 49152 to 65535. */
  readonly remotePort: number
  /** Sends a copy of the bytes. */
  readonly send: (bytes: Uint8Array) => void
  /** Closes once everything was delivered. */
  readonly end: () => void
  /** Closes at once, as a reset does: what was not delivered is lost. */
  readonly destroy: () => void
}

/**
 * What a listener makes of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Acceptor {
  /** Bytes are valid until the call returns. */
  readonly onData: (bytes: Uint8Array) => void
  /** The dialling side has closed. Not called after `end` or `destroy` of the peer. */
  readonly onClose: () => void
}

/**
 * A network in memory: listeners by address and port.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryNetwork {
  readonly transport: Transport.Transport
  /** Listens; answers how to stop. A later listener of the same place replaces an earlier one. */
  readonly listen: (address: string, port: number, accept: (peer: Peer) => Acceptor) => () => void
}

/** First local port that a dial without a wish gets: the first of the dynamic ports (RFC 6335 section 6). */
const FIRST_PORT = 49_152
const LAST_PORT = 65_535

const CLIENT = "127.0.0.1"

class MemorySocket implements Socket.Socket {
  readonly localPort: number
  readonly remoteAddress: string
  private readonly defer: (task: () => void) => void
  private readonly released: () => void
  private handlers: Socket.Handlers | undefined
  private acceptor: Acceptor | undefined
  private incoming: Array<Uint8Array> = []
  private outgoing: Array<Uint8Array> = []
  private readonly scheduled = { incoming: false, outgoing: false }
  /** Set once either side has closed; what is still to be delivered to the client is in `incoming`. */
  private ended: { readonly error: Error | undefined } | undefined
  private isReported = false

  constructor(
    localPort: number,
    remoteAddress: string,
    defer: (task: () => void) => void,
    released: () => void
  ) {
    this.localPort = localPort
    this.remoteAddress = remoteAddress
    this.defer = defer
    this.released = released
  }

  attach(accept: (peer: Peer) => Acceptor): void {
    this.acceptor = accept({
      remoteAddress: CLIENT,
      remotePort: this.localPort,
      send: (bytes) => {
        if (this.ended !== undefined) return
        this.incoming.push(Uint8Array.from(bytes))
        this.scheduleIncoming()
      },
      end: () => this.close(undefined, false),
      destroy: () => {
        this.incoming = []
        this.close(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }), false)
      }
    })
  }

  start(handlers: Socket.Handlers): void {
    this.handlers = handlers
    this.scheduleIncoming()
  }

  write(bytes: Uint8Array, _done: () => void): boolean {
    if (this.ended !== undefined) return true
    this.outgoing.push(Uint8Array.from(bytes))
    if (!this.scheduled.outgoing) {
      this.scheduled.outgoing = true
      this.defer(this.deliverOutgoing)
    }
    return true
  }

  get pendingBytes(): number {
    return 0
  }

  destroy(): void {
    this.incoming = []
    this.outgoing = []
    this.close(undefined, true)
  }

  private close(error: Error | undefined, byClient: boolean): void {
    if (this.ended !== undefined) return
    this.ended = { error }
    this.released()
    const { acceptor } = this
    if (byClient) this.defer(() => acceptor?.onClose())
    this.scheduleIncoming()
  }

  private readonly deliverOutgoing = (): void => {
    this.scheduled.outgoing = false
    const chunks = this.outgoing
    this.outgoing = []
    for (const bytes of chunks) {
      if (this.ended !== undefined) return
      this.acceptor?.onData(bytes)
    }
  }

  private scheduleIncoming(): void {
    if (this.scheduled.incoming || this.handlers === undefined) return
    this.scheduled.incoming = true
    this.defer(this.deliverIncoming)
  }

  private readonly deliverIncoming = (): void => {
    this.scheduled.incoming = false
    const handlers = this.handlers!
    while (this.incoming.length > 0) {
      const bytes = this.incoming.shift()!
      const buffer = Buffer.from(bytes.buffer)
      handlers.onData(buffer, new DataView(bytes.buffer), buffer.length)
    }
    if (this.ended !== undefined && !this.isReported) {
      this.isReported = true
      handlers.onClose(this.ended.error)
    }
  }
}

/**
 * A network without listeners.
 *
 * **Details**
 *
 * Dialling where nobody listens fails as a refused connection does. A local port that is in use for the same place fails
 * with `LocalPortInUse`. TLS is refused: there is none in memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): MemoryNetwork => {
  const listeners = new Map<string, (peer: Peer) => Acceptor>()
  const used = new Set<string>()
  let next = FIRST_PORT

  /** A local port that is free for this place, the wish if there is one; `undefined` when it is taken. */
  const claim = (place: string, wish: number | undefined): number | undefined => {
    const tries = wish === undefined ? LAST_PORT - FIRST_PORT + 1 : 1
    for (let i = 0; i < tries; i++) {
      const port = wish ?? next
      if (wish === undefined) next = next === LAST_PORT ? FIRST_PORT : next + 1
      if (used.has(`${port}>${place}`)) continue
      used.add(`${port}>${place}`)
      return port
    }
    return undefined
  }

  const dial = (endpoint: Socket.Endpoint): Effect.Effect<Socket.Socket, Socket.DialError> =>
    Effect.flatMap(Scheduler.Scheduler, (scheduler) =>
      Effect.callback<Socket.Socket, Socket.DialError>((resume) => {
        const dispatcher = scheduler.makeDispatcher()
        const defer = (task: () => void): void => dispatcher.scheduleTask(task, 0)
        const place = `${endpoint.address}:${endpoint.port}`
        const fail = (kind: Socket.DialError["kind"], why: string): void => {
          const message = `cannot connect to ${place}: ${why}`
          resume(Effect.fail(new Socket.DialError({ kind, endpoint, message, cause: new Error(why) })))
        }
        let abandoned = false
        // A dial takes a turn of the loop, as a real one does.
        defer(() => {
          if (abandoned) return
          if (endpoint.tls !== undefined) return fail("Tls", "there is no TLS in memory")
          const accept = listeners.get(place)
          if (accept === undefined) return fail("Unreachable", `connect ECONNREFUSED ${place}`)
          const port = claim(place, endpoint.localPort)
          if (port === undefined) return fail("LocalPortInUse", `bind EADDRINUSE ${CLIENT}:${endpoint.localPort ?? 0}`)
          const socket = new MemorySocket(port, endpoint.address, defer, () => used.delete(`${port}>${place}`))
          socket.attach(accept)
          resume(Effect.succeed(socket))
        })
        return Effect.sync(() => {
          abandoned = true
        })
      }))

  return {
    transport: { dial },
    listen: (address, port, accept) => {
      const place = `${address}:${port}`
      listeners.set(place, accept)
      return () => {
        if (listeners.get(place) === accept) listeners.delete(place)
      }
    }
  }
}
