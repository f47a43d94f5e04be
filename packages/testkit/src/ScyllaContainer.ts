/**
 * One real ScyllaDB node in a container, through the package `testcontainers` and a container runtime such as Docker.
 *
 * `testcontainers` is an optional peer: this module loads it only when it is used, and {@link available} says so when it is
 * not there.
 *
 * **Gotchas**
 *
 * Pulling the image the first time takes as long as the network needs. It waits by the real clock, under `TestClock` too.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Transport from "@effect-scylla/pool/Transport"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Availability } from "./CassandraServer.ts"
import { onLiveClock } from "./internal/liveClock.ts"
import * as MappedPorts from "./internal/mappedPorts.ts"
import * as NativePort from "./internal/nativePort.ts"
import { testLayer } from "./internal/testLayer.ts"

/**
 * Why there is no container.
 *
 * **Details**
 *
 * `Unavailable`: no package `testcontainers`, or no container runtime that answers. `NotStarted`: the image could not be
 * pulled, or the server did not come up in time. `NotReachable`: it runs, but its CQL port cannot be reached from here.
 *
 * @category errors
 * @since 0.1.0
 */
export class ScyllaContainerError extends Data.TaggedError("ScyllaContainerError")<{
  readonly reason: "Unavailable" | "NotStarted" | "NotReachable"
  readonly message: string
}> {}

/**
 * What to start.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface ScyllaContainerOptions {
  /** Default: `scylladb/scylla:2025.4`. */
  readonly image?: string
  /** Shards of the node (`--smp`). Default: 2. */
  readonly shards?: number
  /** How long the start may take once the image is there, in milliseconds. Default: 180000. */
  readonly deadlineMillis?: number
}

/**
 * A running ScyllaDB node.
 *
 * @category services
 * @since 0.1.0
 */
export interface ScyllaContainer {
  /** `address:port` of the CQL port, as this host reaches it. */
  readonly contactPoint: string
  /**
   * True when the container is dialled at its own address, where the source port of a connection chooses its shard. False
   * behind a mapped port (Docker Desktop on macOS), where it cannot.
   */
  readonly shardAware: boolean
  readonly datacenter: string
  /**
   * Where to dial for an address and a port that the node told clients, its own: the same, or behind mapped ports the host's. It is
   * for the address translation of a client.
   */
  readonly translate: (place: { readonly address: string; readonly port: number }) => {
    readonly address: string
    readonly port: number
  }
  /** Dials so by itself, for clients that know of no translation. {@link layer} provides it. */
  readonly transport: Transport.Transport
}

/**
 * The node as a service.
 *
 * @category services
 * @since 0.1.0
 */
export const ScyllaContainer: Context.Service<ScyllaContainer, ScyllaContainer> = Context.Service<ScyllaContainer>(
  "@effect-scylla/testkit/ScyllaContainer"
)

const nativePort = 9042
const shardAwarePort = 19_042

const text = (error: unknown): string => error instanceof Error ? error.message : String(error)

const load = Effect.tryPromise({
  try: () => import("testcontainers"),
  catch: () =>
    new ScyllaContainerError({
      reason: "Unavailable",
      message: "the package testcontainers is not installed: add it to the devDependencies"
    })
})

const findRuntime = Effect.flatMap(load, (testcontainers) =>
  Effect.tryPromise({
    try: () => testcontainers.getContainerRuntimeClient(),
    catch: (error) =>
      new ScyllaContainerError({
        reason: "Unavailable",
        message: `no container runtime answers (${text(error)}): start Docker, or set DOCKER_HOST`
      })
  })).pipe(
    Effect.timeoutOrElse({
      duration: 20_000,
      orElse: () =>
        Effect.fail(
          new ScyllaContainerError({
            reason: "Unavailable",
            message: "the container runtime does not answer within 20 seconds: restart Docker, or set DOCKER_HOST"
          })
        )
    }),
    onLiveClock
  )

/**
 * Looks for the package `testcontainers` and a container runtime that answers. Starts and pulls nothing.
 *
 * @category guards
 * @since 0.1.0
 */
export const available: Effect.Effect<Availability> = Effect.match(findRuntime, {
  onSuccess: (): Availability => ({ _tag: "Available" }),
  onFailure: (error): Availability => ({ _tag: "Unavailable", why: error.message })
})

/**
 * Starts a node and waits until it answers. The container is stopped and removed when the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(
    options: ScyllaContainerOptions = {}
  ): Effect.fn.Return<ScyllaContainer, ScyllaContainerError, Scope.Scope> {
    const image = options.image ?? "scylladb/scylla:2025.4"
    const { GenericContainer, Wait } = yield* load
    yield* findRuntime
    const container = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () =>
          new GenericContainer(image)
            .withCommand([
              "--smp",
              String(options.shards ?? 2),
              "--memory",
              "1G",
              "--overprovisioned",
              "1",
              "--native-shard-aware-transport-port",
              String(shardAwarePort)
            ])
            .withExposedPorts(nativePort, shardAwarePort)
            .withWaitStrategy(Wait.forLogMessage(/Starting listening for CQL clients/))
            .withStartupTimeout(options.deadlineMillis ?? 180_000)
            .start(),
        catch: (error) =>
          new ScyllaContainerError({
            reason: "NotStarted",
            message: `${image} did not start (${text(error)}): see whether the runtime can pull it and has 1 GB for it`
          })
      }),
      (container) => Effect.ignore(Effect.tryPromise(() => container.stop({ remove: true, removeVolumes: true })))
    )
    const network = container.getNetworkNames()[0]
    const own = network === undefined ? "" : container.getIpAddress(network)
    const onHost = (port: number) => ({ address: container.getHost(), port: container.getMappedPort(port) })
    const mapped = onHost(nativePort)
    const answer = Effect.fnUntraced(function*(endpoint: NativePort.Endpoint) {
      return { endpoint, supported: yield* NativePort.options(endpoint) }
    })
    const { endpoint, supported } = yield* (own === "" ? answer(mapped) : Effect.catch(
      answer({ address: own, port: nativePort }),
      () => answer(mapped)
    )).pipe(Effect.mapError((error) =>
      new ScyllaContainerError({
        reason: "NotReachable",
        message: `${image} runs but ${error.message}: run the tests on the host of the container runtime`
      })
    ))
    const dialled = yield* Transport.Transport
    const mapping: MappedPorts.Mapping = {
      address: own,
      ports: endpoint === mapped
        ? new Map([nativePort, shardAwarePort].map((port) => [port, onHost(port)]))
        : new Map()
    }
    return {
      translate: (place) => MappedPorts.translate(mapping, place),
      transport: endpoint === mapped ? MappedPorts.through(dialled, mapping) : dialled,
      contactPoint: `${endpoint.address}:${endpoint.port}`,
      shardAware: endpoint.address === own && (yield* NativePort.followsSourcePort(own, supported)),
      datacenter: "datacenter1"
    }
  }
)

/**
 * The node as a layer, with the `Transport` that reaches it. Every call makes a layer of its own, with a container of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: ScyllaContainerOptions = {}): Layer.Layer<ScyllaContainer, ScyllaContainerError> =>
  testLayer(Layer.effectContext(
    Effect.map(
      make(options),
      (node) => Context.make(ScyllaContainer, node).pipe(Context.add(Transport.Transport, node.transport))
    )
  ))
