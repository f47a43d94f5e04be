/**
 * Loopback addresses and free TCP ports for servers that a test starts itself.
 *
 * A cluster on one machine gives every node an address of its own (`127.0.0.1`, `127.0.0.2`, …) and the same port
 * everywhere, so a port is only useful when it is free on all of them.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { randomInt } from "node:crypto"
import * as Dgram from "node:dgram"
import * as Net from "node:net"

/**
 * Why no ports could be handed out.
 *
 * @category errors
 * @since 0.1.0
 */
export class PortsError extends Data.TaggedError("PortsError")<{
  readonly reason: "AddressUnusable" | "NoneFree"
  readonly message: string
}> {}

/**
 * What to look for.
 *
 * @category models
 * @since 0.1.0
 */
export interface FreePortsOptions {
  /** Loopback addresses on which each port must be free. Default: `["127.0.0.1"]`. */
  readonly addresses?: ReadonlyArray<string>
  /** How many distinct ports. Default: 1. */
  readonly count?: number
  /** Lowest port to consider. Default: 20000. */
  readonly from?: number
  /** First port above the range. Default: 30000, which is below the ephemeral range of Linux (32768) and macOS (49152). */
  readonly to?: number
}

const closeServer = (server: Net.Server): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
  })

/** Listens for a moment; answers the error code instead of failing. */
const tryListen = (address: string, port: number): Effect.Effect<string | undefined> =>
  Effect.callback<string | undefined>((resume) => {
    const server = Net.createServer()
    server.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    server.listen({ host: address, port, exclusive: true }, () => resume(Effect.as(closeServer(server), undefined)))
    return closeServer(server)
  })

/**
 * A claim is a UDP socket on the same port number: it does not stand in the way of the TCP server that the port is for,
 * and other processes that look for ports here see it, even while that server is still booting.
 */
const tryClaim = (port: number): Effect.Effect<Option.Option<Dgram.Socket>> =>
  Effect.callback<Option.Option<Dgram.Socket>>((resume) => {
    const socket = Dgram.createSocket("udp4")
    socket.unref()
    socket.once("error", () => {
      socket.close()
      resume(Effect.succeedNone)
    })
    socket.bind({ address: "127.0.0.1", port, exclusive: true }, () => {
      socket.removeAllListeners("error")
      socket.on("error", () => {})
      resume(Effect.succeedSome(socket))
    })
  })

const release = (socket: Dgram.Socket): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    socket.close(() => resume(Effect.void))
  })

/**
 * Says whether this host can listen on a loopback address.
 *
 * Linux routes all of `127.0.0.0/8` to the loopback device; macOS has only `127.0.0.1` until somebody runs
 * `sudo ifconfig lo0 alias 127.0.0.2`.
 *
 * @category guards
 * @since 0.1.0
 */
export const canUseLoopback = (address: string): Effect.Effect<boolean> =>
  Effect.map(tryListen(address, 0), (code) => code === undefined)

/**
 * Finds ports that are free on every given address and keeps other callers of this module away from them, in this and
 * in other processes, until the scope closes.
 *
 * **When to use**
 *
 * Use for servers that take a while between being started and listening: a JVM binds its port seconds after it was told
 * which.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reservePorts = Effect.fnUntraced(
  function*(options: FreePortsOptions = {}): Effect.fn.Return<ReadonlyArray<number>, PortsError, Scope.Scope> {
    const addresses = options.addresses ?? ["127.0.0.1"]
    const count = options.count ?? 1
    const from = options.from ?? 20_000
    const to = options.to ?? 30_000
    for (const address of addresses) {
      if (!(yield* canUseLoopback(address))) {
        return yield* new PortsError({
          reason: "AddressUnusable",
          message: `cannot listen on ${address}: give the loopback device that address ` +
            `(macOS: sudo ifconfig lo0 alias ${address}), or use fewer nodes`
        })
      }
    }
    // Every port of the range once, from a random place: never more tries than ports. The start is truly random on purpose
    // (not effect/Random): suites that run side by side under the same seed must not all begin at the same port.
    const found: Array<number> = []
    const size = to - from
    const start = size > 0 ? randomInt(size) : 0
    for (let i = 0; i < size && found.length < count; i++) {
      const port = from + (start + i) % size
      const claim = yield* Effect.acquireRelease(
        tryClaim(port),
        (socket) => Option.isNone(socket) ? Effect.void : release(socket.value)
      )
      if (Option.isNone(claim)) continue
      const codes = yield* Effect.forEach(addresses, (address) => tryListen(address, port))
      if (codes.every((code) => code === undefined)) found.push(port)
    }
    if (found.length < count) {
      return yield* new PortsError({
        reason: "NoneFree",
        message:
          `only ${found.length} of ${count} ports are free on ${addresses.join(", ")} between ${from} and ${to}: ` +
          "stop what listens there, or pass a wider range"
      })
    }
    return found
  }
)

/**
 * Finds ports that are free on every given address at this moment.
 *
 * **Gotchas**
 *
 * Nothing holds the ports afterwards. Listen at once, or use {@link reservePorts}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const freePorts = (options: FreePortsOptions = {}): Effect.Effect<ReadonlyArray<number>, PortsError> =>
  Effect.scoped(reservePorts(options))
