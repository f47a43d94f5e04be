/**
 * A proxy on loopback sockets that stands between a client and its nodes, and does to their connections what networks do.
 *
 * It is reached by its `transport`: a client over it dials the addresses that it knows, and gets there by way of the proxy, a
 * shard-aware port included (the proxy goes on from the local port that it was reached from). What is drawn (where a
 * frame is torn, how long bytes are late) comes from the `Random` in force when it is made: `Random.withSeed` repeats it.
 *
 * **Gotchas**
 *
 * A dial succeeds when the proxy has taken it: a node that is not there is noticed in the handshake, as a connection that is
 * lost. Sockets have the proxy's address as their `remoteAddress`. Going on from the same local port works on Linux only.
 *
 * @stability unstable
 * @since 0.1.0
 */
import type * as Socket from "@effect-scylla/pool/Socket"
import { DialError } from "@effect-scylla/pool/Socket"
import * as Transport from "@effect-scylla/pool/Transport"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { type Blow, type Draw, Link, type Weather } from "./internal/faultyLink.ts"

export type {
  /**
   * What is done once to the open connections of a node.
   *
   * - `Cut`: both ends are told, in order, that there is no more.
   * - `Reset`: both ends are reset.
   * - `Tear`: a part of the server's next bytes arrives, then both are reset.
   * - `Truncate`: a part of them arrives, then the client is told, in order, that there is no more.
   * - `HalfOpen`: the server's end is closed and the client is never told; what it sends is lost.
   *
   * @category models
   * @since 0.1.0
   */
  Blow,
  /**
   * How bytes pass until further notice, on connections that are open and on new ones.
   *
   * - `Pass`: as they come.
   * - `Refuse`: new connections are refused (those of `forward` are reset); those that are open go on.
   * - `Hold`: nothing passes, nothing is lost and nobody is told: a partition, which `Pass` ends.
   * - `Delay`: each read is late by `minMillis` to `maxMillis`, in order.
   * - `Drip`: `bytes` at a time, every `everyMillis`.
   *
   * @category models
   * @since 0.1.0
   */
  Weather
}

/**
 * The proxy cannot listen where it was asked to.
 *
 * @category errors
 * @since 0.1.0
 */
export class FaultProxyError extends Data.TaggedError("FaultProxyError")<{
  readonly message: string
  readonly cause: unknown
}> {}

/**
 * The proxy. Nodes go by their address, with all their ports.
 *
 * @category services
 * @since 0.1.0
 */
export interface FaultProxy {
  /** Dials what it is asked for, by way of the proxy. */
  readonly transport: Transport.Transport
  /**
   * Listens on an address and a port of its own and goes on to a node, for clients that dial without the transport: as a tunnel does,
   * or a mapped port. Weather and blows of the node are meant for these connections too. Answers the port; ends with the scope.
   */
  readonly forward: (
    from: { readonly address: string; readonly port?: number | undefined },
    to: { readonly address: string; readonly port: number }
  ) => Effect.Effect<number, FaultProxyError, Scope.Scope>
  /** From now on the bytes of the node pass like this. Default: `Pass`. */
  readonly set: (address: string, weather: Weather) => Effect.Effect<void>
  /**
   * Does it to every connection to the node that is open, and answers how many these are. `Tear` and `Truncate` wait for
   * the server's next bytes.
   */
  readonly strike: (address: string, blow: Blow) => Effect.Effect<number>
  /** Connections to the node that are open on the client's side. */
  readonly connections: (address: string) => number
}

/**
 * The proxy as a service.
 *
 * @category services
 * @since 0.1.0
 */
export const FaultProxy: Context.Service<FaultProxy, FaultProxy> = Context.Service<FaultProxy>(
  "@effect-scylla/testkit/FaultProxy"
)

const PASS: Weather = { _tag: "Pass" }

/** The way to one port of a node. */
interface Door {
  readonly port: number
  readonly server: Net.Server
}

/** A node as the proxy knows it. */
class Target {
  weather: Weather = PASS
  readonly links = new Set<Link>()
  readonly doors = new Map<number, Door>()
  private readonly address: string
  private readonly draw: Draw
  /** Local ports of clients that asked for theirs: the proxy goes on from the same ones. */
  readonly chosen = new Set<number>()

  constructor(address: string, draw: Draw) {
    this.address = address
    this.draw = draw
  }

  admit(port: number, client: Net.Socket): void {
    const { remotePort } = client
    client.on("error", () => undefined)
    // A socket that is reset before it is accepted has no address any more.
    if (remotePort === undefined || this.weather._tag === "Refuse") {
      client.resetAndDestroy()
      return
    }
    const server = Net.connect({
      host: this.address,
      port,
      localPort: this.chosen.delete(remotePort) ? remotePort : undefined,
      autoSelectFamily: false,
      allowHalfOpen: true,
      noDelay: true
    })
    const link: Link = new Link(client, server, this.weather, this.draw, () => this.links.delete(link))
    this.links.add(link)
  }

  change(weather: Weather): void {
    this.weather = weather
    for (const link of this.links) link.change(weather._tag === "Refuse" ? PASS : weather)
    if (weather._tag !== "Refuse") return
    for (const { server } of this.doors.values()) server.close()
    this.doors.clear()
  }

  /** The port that leads to `port` of the node; another one after it was refused. */
  door(port: number): Effect.Effect<number, Error> {
    return Effect.callback<number, Error>((resume) => {
      const known = this.doors.get(port)
      if (known !== undefined) return resume(Exit.succeed(known.port))
      const server = Net.createServer(
        { allowHalfOpen: true, noDelay: true },
        (client) => this.admit(port, client)
      )
      server.once("error", (error) => resume(Exit.fail(error)))
      server.listen(0, "127.0.0.1", () => {
        const door = { port: (server.address() as Net.AddressInfo).port, server }
        // Two dials may have asked at once.
        const first = this.doors.get(port)
        if (first === undefined) this.doors.set(port, door)
        else server.close()
        resume(Exit.succeed((first ?? door).port))
      })
      return Effect.sync(() => {
        if (this.doors.get(port)?.server !== server) server.close()
      })
    })
  }

  close(): void {
    for (const { server } of this.doors.values()) server.close()
    for (const link of this.links) link.destroy()
  }
}

const listenOn = (
  address: string,
  port: number,
  admit: (client: Net.Socket) => void
): Effect.Effect<Net.Server, FaultProxyError> =>
  Effect.callback((resume) => {
    const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, admit)
    server.once("error", (cause) => {
      const message = `cannot listen on ${address}:${port}: ${cause.message}; choose another address or port`
      resume(Effect.fail(new FaultProxyError({ message, cause })))
    })
    server.listen({ host: address, port, exclusive: true }, () => {
      server.removeAllListeners("error")
      // An accept that fails (too many open files) concerns one client.
      server.on("error", () => undefined)
      resume(Effect.succeed(server))
    })
    return Effect.sync(() => void server.close())
  })

/**
 * A proxy, which ends with the scope: its connections are reset.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<FaultProxy, never, Scope.Scope> = Effect.gen(function*() {
  const { dial } = yield* Transport.Transport
  const random = yield* Random.Random
  const draw: Draw = (bound) => Math.floor(random.nextDoubleUnsafe() * bound)
  const targets = new Map<string, Target>()
  const target = (address: string): Target => {
    let known = targets.get(address)
    if (known === undefined) targets.set(address, known = new Target(address, draw))
    return known
  }
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const known of targets.values()) known.close()
    })
  )
  const through = Effect.fnUntraced(function*(endpoint: Socket.Endpoint) {
    const { address, localPort, port } = endpoint
    const node = target(address)
    const failed = (cause: Error) =>
      new DialError({
        kind: "Unreachable",
        endpoint,
        message: `cannot connect to ${address}:${port}: ${cause.message}`,
        cause
      })
    if (node.weather._tag === "Refuse") return yield* failed(new Error("connect ECONNREFUSED"))
    const door = yield* Effect.mapError(node.door(port), failed)
    if (localPort !== undefined) node.chosen.add(localPort)
    return yield* Effect.onError(
      dial({ ...endpoint, address: "127.0.0.1", port: door }),
      () => Effect.sync(() => node.chosen.delete(localPort ?? 0))
    )
  })
  return {
    transport: { dial: through },
    forward: (from, to) =>
      Effect.map(
        Effect.acquireRelease(
          listenOn(from.address, from.port ?? 0, (client) => target(to.address).admit(to.port, client)),
          (server) => Effect.sync(() => server.close())
        ),
        (server) => (server.address() as Net.AddressInfo).port
      ),
    set: (address, weather) => Effect.sync(() => target(address).change(weather)),
    strike: (address, blow) =>
      Effect.sync(() => {
        const struck = [...target(address).links]
        for (const link of struck) link.strike(blow)
        return struck.length
      }),
    connections: (address) => targets.get(address)?.links.size ?? 0
  }
})

/**
 * The proxy, and the `Transport` that leads through it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<FaultProxy> = Layer.effectContext(
  Effect.map(make, (proxy) => Context.make(FaultProxy, proxy).pipe(Context.add(Transport.Transport, proxy.transport)))
)
