/**
 * The server that an integration suite runs against, whoever provides it.
 *
 * A suite is written once against {@link TestServer} and run with every provider; {@link requirement} says beforehand
 * whether a provider can run here, and whether it would be a failure if it cannot.
 *
 * Providers wait by the real clock, under `TestClock` too.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Transport from "@effect-scylla/pool/Transport"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as CassandraServer from "./CassandraServer.ts"
import * as NativePort from "./internal/nativePort.ts"
import { testLayer } from "./internal/testLayer.ts"
import * as Ports from "./Ports.ts"
import * as ScyllaContainer from "./ScyllaContainer.ts"

/**
 * Who can provide a server: the simulator of this package, real Cassandra nodes, ScyllaDB in a container, or a cluster
 * that runs already and is named in the environment.
 *
 * @category models
 * @since 0.1.0
 */
export type Provider = "simulated" | "cassandra" | "container" | "external"

/**
 * Why a provider has no server, or a fault could not be caused.
 *
 * @category errors
 * @since 0.1.0
 */
export class TestServerError extends Data.TaggedError("TestServerError")<{
  readonly provider: Provider
  readonly message: string
}> {}

/**
 * What a suite may do to the nodes, which are counted from 0 in the order of the contact points.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faults {
  readonly nodes: number
  /** Ends a node as a power cut would. Does nothing to a node that is down already. */
  readonly kill: (index: number) => Effect.Effect<void, TestServerError>
  /** Starts a node again and waits until it answers and the others know it. */
  readonly start: (index: number) => Effect.Effect<void, TestServerError>
}

/**
 * A server to test against.
 *
 * @category services
 * @since 0.1.0
 */
export interface TestServer {
  readonly provider: Provider
  /** `address:port` of each node that clients may be told about. */
  readonly contactPoints: ReadonlyArray<string>
  /** Undefined when nobody said it. */
  readonly datacenter: string | undefined
  readonly product: "scylla" | "cassandra"
  /** True when the source port of a connection chooses its shard here, so that assertions about shards mean something. */
  readonly shardAware: boolean
  /** Present when the server asks for them. */
  readonly credentials?: { readonly username: string; readonly password: string }
  /** The certificate to trust, as PEM. Present when the server accepts TLS. */
  readonly ca?: string
  /** None when the nodes are not the suite's to stop. */
  readonly faults: Option.Option<Faults>
}

/**
 * The server as a service.
 *
 * @category services
 * @since 0.1.0
 */
export const TestServer: Context.Service<TestServer, TestServer> = Context.Service<TestServer>(
  "@effect-scylla/testkit/TestServer"
)

const failure = (provider: Provider) => (error: { readonly message: string }): TestServerError =>
  new TestServerError({ provider, message: error.message })

/**
 * The Cassandra cluster that is there already, for suites that handle its nodes by themselves, too.
 *
 * @category layers
 * @since 0.1.0
 */
export const ofCassandra: Layer.Layer<TestServer, never, CassandraServer.CassandraServer> = Layer.effect(
  TestServer,
  Effect.map(CassandraServer.CassandraServer, (server): TestServer => {
    const fail = failure("cassandra")
    const node = (index: number): Effect.Effect<CassandraServer.CassandraNode, TestServerError> => {
      const node = server.nodes[index]
      const message = `there is no node ${index}: nodes are counted from 0 and there are ${server.nodes.length}`
      return node === undefined ? Effect.fail(fail({ message })) : Effect.succeed(node)
    }
    return {
      provider: "cassandra",
      contactPoints: server.contactPoints,
      datacenter: server.datacenter,
      product: "cassandra",
      shardAware: false,
      ...(server.credentials === undefined ? {} : { credentials: server.credentials }),
      ...(server.ca === undefined ? {} : { ca: server.ca }),
      faults: Option.some({
        nodes: server.nodes.length,
        kill: (index) => Effect.flatMap(node(index), (node) => node.kill),
        start: (index) => Effect.flatMap(node(index), (node) => Effect.mapError(node.start, fail))
      })
    }
  })
)

/**
 * Real Apache Cassandra nodes, started for the suite; see `CassandraServer`.
 *
 * @category layers
 * @since 0.1.0
 */
export const cassandra = (
  options: CassandraServer.CassandraServerOptions = {}
): Layer.Layer<TestServer, TestServerError> =>
  testLayer(Layer.provide(
    ofCassandra,
    Layer.effect(
      CassandraServer.CassandraServer,
      Effect.mapError(CassandraServer.make(options), failure("cassandra"))
    )
  ))

/**
 * ScyllaDB in a container, started for the suite; see `ScyllaContainer`.
 *
 * @category layers
 * @since 0.1.0
 */
export const container = (
  options: ScyllaContainer.ScyllaContainerOptions = {}
): Layer.Layer<TestServer, TestServerError> =>
  testLayer(Layer.effectContext(
    Effect.map(
      Effect.mapError(ScyllaContainer.make(options), failure("container")),
      (node) =>
        Context.make(TestServer, {
          provider: "container",
          contactPoints: [node.contactPoint],
          datacenter: node.datacenter,
          product: "scylla",
          shardAware: node.shardAware,
          faults: Option.none()
        }).pipe(Context.add(Transport.Transport, node.transport))
    )
  ))

/** A setting of the environment (or of the `ConfigProvider` in its place); empty counts as absent. */
const setting = (name: string): Effect.Effect<string | undefined> =>
  Effect.map(
    Effect.orDie(Config.option(Config.String(name))),
    (value) => Option.getOrUndefined(Option.filter(value, (text) => text.trim() !== ""))?.trim()
  )

/** `host:port`, `host`, `[v6]:port` or a bare v6 address; the port defaults to 9042. */
const parseContactPoint = (text: string): NativePort.Endpoint | undefined => {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text)
  const plain = bracketed ?? /^([^:[\]]+)(?::(\d+))?$/.exec(text)
  const [, address = text, port = "9042"] = plain ?? []
  if (plain === null && !/^[\da-f:.]+$/i.test(text)) return undefined
  const number = Number(port)
  return number >= 1 && number <= 65_535 ? { address, port: number } : undefined
}

const makeExternal = Effect.gen(function*() {
  const fail = failure("external")
  const named = yield* setting("CQL_CONTACT_POINTS")
  if (named === undefined) {
    return yield* fail({
      message: "CQL_CONTACT_POINTS is not set: name the cluster, as in 10.0.0.1:9042,10.0.0.2:9042"
    })
  }
  const endpoints: Array<NativePort.Endpoint> = []
  for (const text of named.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const endpoint = parseContactPoint(text)
    if (endpoint === undefined) {
      return yield* fail({ message: `CQL_CONTACT_POINTS has "${text}", which is not host:port: correct it` })
    }
    endpoints.push(endpoint)
  }
  if (endpoints.length === 0) return yield* fail({ message: "CQL_CONTACT_POINTS names nobody: write host:port" })
  const username = yield* setting("CQL_USERNAME")
  const password = yield* setting("CQL_PASSWORD")
  const reached = yield* Effect.mapError(
    Effect.firstSuccessOf(
      endpoints.map((endpoint) => Effect.map(NativePort.options(endpoint), (supported) => ({ endpoint, supported })))
    ),
    (error) => fail({ message: `no contact point of CQL_CONTACT_POINTS answers, the last one being ${error.message}` })
  )
  const scylla = NativePort.isScylla(reached.supported)
  return TestServer.of({
    provider: "external",
    contactPoints: endpoints.map(({ address, port }) =>
      address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
    ),
    datacenter: yield* setting("CQL_DATACENTER"),
    product: scylla ? "scylla" : "cassandra",
    shardAware: scylla && (yield* NativePort.followsSourcePort(reached.endpoint.address, reached.supported)),
    ...(username === undefined ? {} : { credentials: { username, password: password ?? "" } }),
    faults: Option.none()
  })
})

/**
 * A cluster that runs already, named by `CQL_CONTACT_POINTS` (`host:port,host:port`), and where needed by
 * `CQL_DATACENTER`, `CQL_USERNAME` and `CQL_PASSWORD`.
 *
 * **Details**
 *
 * What it is, and whether its shards can be chosen from here, is found out by asking it (OPTIONS, without TLS).
 *
 * @category layers
 * @since 0.1.0
 */
export const external: Layer.Layer<TestServer, TestServerError> = testLayer(Layer.effect(TestServer, makeExternal))

/**
 * What a suite is to do with a provider: run, say why it does not, or fail saying why.
 *
 * @category models
 * @since 0.1.0
 */
export type Requirement =
  | { readonly _tag: "Run" }
  | { readonly _tag: "Skip"; readonly why: string }
  | { readonly _tag: "Required"; readonly why: string }

const whyNoCassandra = Effect.fnUntraced(function*(nodes: number): Effect.fn.Return<string | undefined> {
  for (let node = 1; node <= nodes; node++) {
    const address = `127.0.0.${node}`
    if (!(yield* Ports.canUseLoopback(address))) {
      return `this host cannot listen on ${address} (macOS: sudo ifconfig lo0 alias ${address})`
    }
  }
  const found = yield* CassandraServer.available
  if (found._tag === "Unavailable") return found.why
  return yield* Effect.match(CassandraServer.prepare, {
    onSuccess: () => undefined,
    onFailure: (error) => error.message
  })
})

/**
 * Says whether a provider can run here, and what it means if it cannot.
 *
 * **Details**
 *
 * `simulated` always runs. `cassandra` runs where Java 17 and the jars are there or can be fetched (which this does, once per
 * machine), and is required when `REQUIRE_REAL_SERVERS` is `1`. `container` runs where a container runtime answers, and is
 * required when `REQUIRE_CONTAINER` is `1`. `external` runs when `CQL_CONTACT_POINTS` is set.
 *
 * @category guards
 * @since 0.1.0
 */
export const requirement = Effect.fnUntraced(
  function*(
    provider: Provider,
    options: {
      /** How many Cassandra nodes the suite starts, each of which needs a loopback address. Default: 1. */
      readonly nodes?: number
    } = {}
  ): Effect.fn.Return<Requirement> {
    const missing = Effect.fnUntraced(
      function*(why: string | undefined, variable: string): Effect.fn.Return<Requirement> {
        if (why === undefined) return { _tag: "Run" }
        const required = (yield* setting(variable)) === "1"
        return required ? { _tag: "Required", why: `${why} (${variable} is set)` } : { _tag: "Skip", why }
      }
    )
    switch (provider) {
      case "simulated":
        return { _tag: "Run" }
      case "cassandra":
        return yield* missing(yield* whyNoCassandra(options.nodes ?? 1), "REQUIRE_REAL_SERVERS")
      case "container": {
        const found = yield* ScyllaContainer.available
        return yield* missing(found._tag === "Unavailable" ? found.why : undefined, "REQUIRE_CONTAINER")
      }
      case "external": {
        const named = yield* setting("CQL_CONTACT_POINTS")
        return named === undefined ? { _tag: "Skip", why: "CQL_CONTACT_POINTS is not set" } : { _tag: "Run" }
      }
    }
  }
)
