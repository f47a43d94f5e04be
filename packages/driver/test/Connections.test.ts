/** What a user sets of connections, and what servers and users see of it. */
import { Authenticator, Tls, type Transport } from "@effect-scylla/pool"
import { Frame } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, settle } from "./support/world.ts"

const make = (options: SimulatedCluster.Options = {}) =>
  SimulatedCluster.make({ nodes: 2, shards: 2, transport: "memory", ...options })

const credentials = { username: "shop", password: "s3cret" }
const given = { username: "shop", password: Redacted.make("s3cret") }

/** The options of every STARTUP from now on. */
const startups = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster) {
  const seen: Array<Readonly<Record<string, string>>> = []
  yield* cluster.intercept(({ request }) => {
    if (request._tag === "Startup") seen.push(request.options)
    return undefined
  })
  return seen
})

describe("connections", () => {
  it.effect("so many for each shard, or for each node", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const double = yield* passing(clientOf(cluster, { connections: { perShard: 2 } }))
      yield* passing(double.awaitConnected)
      for (const { slots } of double.shardAwareStats().nodes) {
        assert.deepStrictEqual(slots.map(({ shard }) => shard), [0, 0, 1, 1])
      }
      const few = yield* passing(clientOf(cluster, { connections: { perNode: 1 } }))
      yield* passing(few.awaitConnected)
      for (const { slots } of few.shardAwareStats().nodes) assert.strictEqual(slots.length, 1)
    }))

  it.effect("the shard-aware port is dialled from the local ports that are given", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 1, shards: 4 })
      const ports: Array<number | undefined> = []
      const transport: Transport.Transport = {
        dial: (endpoint) => {
          if (endpoint.port === cluster.shardAwarePort) ports.push(endpoint.localPort)
          return cluster.transport.dial(endpoint)
        }
      }
      const cql = yield* passing(clientOf(cluster, { localPorts: { from: 61_000, to: 61_099 } }, transport))
      yield* passing(cql.awaitConnected)
      assert.isAtLeast(ports.length, 3)
      for (const port of ports) assert.isTrue(port! >= 61_000 && port! <= 61_099, `${port}`)
    }))

  it.effect("a request beyond those under way and those that wait fails at once", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 1, shards: 1 })
      const cql = yield* passing(clientOf(cluster, { maxInFlight: 1, maxWaiting: 1 }))
      yield* passing(cql.awaitConnected)
      const select = yield* passing(cql.prepare("SELECT release_version FROM system.local"))
      let arrived = 0
      yield* cluster.intercept(({ opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        arrived++
        return { _tag: "Ignore" }
      })
      for (let i = 0; i < 2; i++) yield* Effect.forkChild(cql.execute(select), { startImmediately: true })
      const error = yield* Effect.flip(cql.execute(select))
      assert.strictEqual(error.reason._tag, "ClientOverloaded")
      yield* settle
      assert.strictEqual(arrived, 1)
    }))

  it.effect("a shard is given as many as it is known to bear, if that is wanted", () =>
    Effect.gen(function*() {
      const arrivedOf = (adaptive: boolean) =>
        Effect.gen(function*() {
          const cluster = yield* make({ nodes: 1, shards: 1 })
          const cql = yield* passing(clientOf(cluster, { adaptive }))
          yield* passing(cql.awaitConnected)
          const select = yield* passing(cql.prepare("SELECT release_version FROM system.local"))
          let arrived = 0
          yield* cluster.intercept(({ opcode }) => {
            if (opcode !== Frame.Opcode.EXECUTE) return undefined
            arrived++
            return { _tag: "Ignore" }
          })
          yield* Effect.forEach(
            Array.from({ length: 100 }),
            () => Effect.forkChild(cql.execute(select), { startImmediately: true })
          )
          yield* TestClock.adjust(0)
          return arrived
        })
      assert.strictEqual(yield* arrivedOf(false), 100)
      // Where a shard begins.
      assert.strictEqual(yield* arrivedOf(true), 16)
    }))

  it.effect("a schedule says when lost ones are dialled again", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 2, shards: 1 })
      const cql = yield* passing(clientOf(cluster, {
        contactPoints: [cluster.contactPoints[0]!],
        reconnect: Schedule.spaced("7 seconds")
      }))
      yield* passing(cql.awaitConnected)
      const failures = () => cql.shardAwareStats().nodes.find(({ address }) => address === "127.0.0.2")!.failures
      yield* cluster.stop(1)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(failures(), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(failures(), 1)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(failures(), 2)
    }))

  it.effect("a node that is said to be up is dialled at once, however long the delay", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 2, shards: 1 })
      const cql = yield* passing(clientOf(cluster, {
        contactPoints: [cluster.contactPoints[0]!],
        reconnect: Schedule.recurs(0)
      }))
      yield* passing(cql.awaitConnected)
      yield* cluster.stop(1)
      yield* TestClock.adjust("1 hour")
      const states = () =>
        cql.shardAwareStats().nodes.flatMap(({ address, slots }) =>
          address === "127.0.0.2" ? slots.map(({ state }) => state) : []
        )
      assert.notDeepEqual(states(), ["Ready"])
      yield* cluster.start(1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(states(), ["Ready"])
    }))

  it.effect("a node that is said to be down is asked at once whether it lives, on every connection", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const cql = yield* passing(clientOf(cluster, { contactPoints: [cluster.contactPoints[0]!] }))
      yield* passing(cql.awaitConnected)
      const asked: Array<number> = []
      yield* cluster.intercept(({ node, opcode, shard }) => {
        if (node === 1 && opcode === Frame.Opcode.OPTIONS) asked.push(shard)
        return undefined
      })
      yield* cluster.announce({ type: "STATUS_CHANGE", change: "DOWN", address: "127.0.0.2" })
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(asked.sort(), [0, 1])
    }))

  it.effect("a node that comes back at another address is the same node, with the same pool", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 2, shards: 1 })
      const cql = yield* passing(clientOf(cluster, { contactPoints: [cluster.contactPoints[0]!] }))
      yield* passing(cql.awaitConnected)
      const seen: Array<string> = []
      yield* Effect.forkChild(
        Stream.runForEach(cql.nodeChanges, ({ change }) => Effect.sync(() => seen.push(change._tag))),
        { startImmediately: true }
      )
      const nodeOf = () => cql.cluster().hosts.get(cluster.nodes[1]!.hostId.toString())!
      const { pool } = nodeOf()
      yield* cluster.relocate(1, "127.0.0.77")
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(nodeOf().address, "127.0.0.77")
      assert.strictEqual(nodeOf().pool, pool)
      assert.isTrue(pool!.isFull)
      assert.include(seen, "Moved")
      assert.notInclude(seen, "Removed")
      assert.strictEqual((yield* cluster.stats).nodes[1]!.address, "127.0.0.77")
    }))

  it.effect("what happens to nodes is a stream", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 2, shards: 1 })
      const cql = yield* passing(clientOf(cluster, { contactPoints: [cluster.contactPoints[0]!] }))
      yield* passing(cql.awaitConnected)
      const seen: Array<string> = []
      yield* Effect.forkChild(
        Stream.runForEach(cql.nodeChanges, ({ address, change }) =>
          Effect.sync(() => {
            if (change._tag === "Up" || change._tag === "Down") seen.push(`${address} ${change._tag}`)
          })),
        { startImmediately: true }
      )
      yield* cluster.stop(1)
      yield* settle
      yield* cluster.start(1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["127.0.0.2 Down", "127.0.0.2 Up"])
      assert.strictEqual(cql.shardAwareStats().protocolVersion, 4)
      assert.isUndefined(cql.shardAwareStats().compression)
    }))
})

describe("who is spoken to", () => {
  it.effect("another node at the address is left alone, and the cluster is asked again", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 3, shards: 1 })
      // What is meant for the second node reaches the third.
      const transport: Transport.Transport = {
        dial: (endpoint) =>
          cluster.transport.dial(endpoint.address === "127.0.0.2" ? { ...endpoint, address: "127.0.0.3" } : endpoint)
      }
      let refreshes = 0
      const cql = yield* passing(clientOf(cluster, { contactPoints: [cluster.contactPoints[0]!] }, transport))
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Query" && request.query.startsWith("SELECT * FROM system.peers")) refreshes++
        return undefined
      })
      const change = yield* Effect.forkChild(
        Stream.runHead(Stream.filter(cql.nodeChanges, ({ change }) => change._tag === "DialFailed")),
        { startImmediately: true }
      )
      const seen = yield* passing(Fiber.join(change))
      assert.isTrue(
        seen._tag === "Some" && seen.value.address === "127.0.0.2" && seen.value.change._tag === "DialFailed" &&
          seen.value.change.reason._tag === "WrongNode"
      )
      yield* TestClock.adjust("5 seconds")
      assert.isAbove(refreshes, 0)
      const node = cql.shardAwareStats().nodes.find(({ address }) => address === "127.0.0.2")!
      assert.strictEqual(node.lastError?._tag, "WrongNode")
      assert.notInclude(node.slots.map(({ state }) => state), "Ready")
    }))

  it.effect("contact points of another cluster are not used", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const error = yield* passing(Effect.flip(clientOf(cluster, { clusterName: "production" })))
      assert.strictEqual(error.reason._tag, "NoContactPoint")
      assert.include(error.message, 'of the cluster "effect-scylla simulated", not of "production"')
      const cql = yield* passing(clientOf(cluster, { clusterName: "effect-scylla simulated" }))
      assert.strictEqual(cql.cluster().clusterName, "effect-scylla simulated")
    }))

  it.effect("a control connection that follows goes to the same cluster", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 1, shards: 1 })
      const other = yield* make({
        shards: 1,
        datacenters: [{ name: "elsewhere", nodes: 1 }],
        clusterName: "another"
      })
      let target = cluster
      const transport: Transport.Transport = { dial: (endpoint) => target.transport.dial(endpoint) }
      const cql = yield* passing(clientOf(cluster, {}, transport))
      let told = 0
      yield* other.intercept(({ request }) => {
        if (request._tag === "Query" && request.query.startsWith("SELECT * FROM system.")) told++
        return undefined
      })
      target = other
      yield* cluster.stop(0)
      yield* TestClock.adjust("20 seconds")
      assert.isAbove((yield* other.stats).connections.plain, 1)
      assert.strictEqual(told, 0)
      assert.deepStrictEqual(cql.cluster().nodes.map(({ datacenter }) => datacenter), ["datacenter1"])
    }))

  it.effect("certificates that were renewed are those of dials from then on", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 1, shards: 1 })
      let serial = 0
      const tls = yield* Tls.make(Effect.sync(() => ({ servername: `serial-${++serial}` })))
      const dialled: Array<string | undefined> = []
      const transport: Transport.Transport = {
        dial: (endpoint) => {
          const options = endpoint.tls instanceof Tls.Tls ? endpoint.tls.options : endpoint.tls
          dialled.push(options?.servername)
          // There is no TLS in memory.
          return cluster.transport.dial({ ...endpoint, tls: undefined })
        }
      }
      const cql = yield* passing(clientOf(cluster, { tls }, transport))
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(new Set(dialled), new Set(["serial-1"]))
      dialled.length = 0
      yield* tls.reload
      yield* cluster.stop(0)
      yield* cluster.start(0)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(new Set(dialled), new Set(["serial-2"]))
    }))
})

describe("credentials", () => {
  it.effect("are not given to a server class that is not allowed", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ credentials })
      const error = yield* passing(
        Effect.flip(clientOf(cluster, { ...given, allowedAuthenticators: ["com.example.Other"] }))
      )
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.include(error.message, "to which the password is not sent")
      const cql = yield* passing(clientOf(cluster, given))
      yield* passing(cql.awaitConnected)
    }))

  it.effect("any other mechanism is an authenticator, as an option or in the context", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ credentials })
      const servers = new Set<string>()
      const authenticator: Authenticator.Authenticator = {
        begin: (server) => {
          servers.add(server.where.split(":")[0]!)
          return Authenticator.plain(given).begin(server)
        }
      }
      const own = yield* passing(clientOf(cluster, { authenticator }))
      yield* passing(own.awaitConnected)
      assert.strictEqual(servers.size, 2)
      servers.clear()
      const provided = yield* passing(Effect.provide(clientOf(cluster), Authenticator.layer(authenticator)))
      yield* passing(provided.awaitConnected)
      assert.strictEqual(servers.size, 2)
    }))

  it.effect("nobody asks for them: an error, if that is wanted", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const error = yield* passing(Effect.flip(clientOf(cluster, { ...given, onMissingChallenge: "fail" })))
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.include(error.message, "did not ask for credentials")
      yield* passing(clientOf(cluster, { ...given, onMissingChallenge: "allow" }))
    }))
})

describe("what servers are told", () => {
  it.effect("every connection names client and session, the control connection the options", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ credentials, supported: (supported) => supported.set("DRIVER_CONFIG", [""]) })
      const seen = yield* startups(cluster)
      const options = { ...given, localDatacenter: "datacenter1", requestTimeout: "3 seconds" } as const
      const cql = yield* passing(clientOf(cluster, options))
      yield* passing(cql.awaitConnected)
      assert.strictEqual(seen.length, 5)
      assert.strictEqual(new Set(seen.map((startup) => startup["CLIENT_ID"])).size, 1)
      assert.strictEqual(new Set(seen.map((startup) => startup["SESSION_ID"])).size, 1)
      const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
      assert.match(seen[0]!["CLIENT_ID"]!, uuid)
      assert.match(seen[0]!["SESSION_ID"]!, uuid)
      const [config, ...more] = seen.flatMap((startup) => startup["DRIVER_CONFIG"] ?? [])
      assert.strictEqual(more.length, 0)
      assert.notInclude(config!, "s3cret")
      assert.notInclude(config!, "shop")
      const read = JSON.parse(config!)
      assert.deepStrictEqual(Object.keys(read), ["version", "connection", "control-plane", "query"])
      assert.strictEqual(read.version, 1)
      assert.deepStrictEqual(read.query.defaults, {
        consistency: "LOCAL_QUORUM",
        "serial-consistency": "LOCAL_SERIAL",
        idempotence: false,
        page: { size: 5000 },
        "client-timestamps": true,
        request: { "timeout-ms": 3000 }
      })
      assert.deepStrictEqual(read.connection["node-preference"], { type: "dc", "local-dc": "datacenter1" })
      assert.deepStrictEqual(read.connection.reconnection.policy, {
        type: "exponential",
        "base-ms": 50,
        "max-ms": 10_000
      })
    }))

  it.effect("another client has another id, unless it is given one", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 1, shards: 1 })
      const seen = yield* startups(cluster)
      const idsOf = (options: Parameters<typeof clientOf>[1]) =>
        Effect.gen(function*() {
          seen.length = 0
          const cql = yield* passing(clientOf(cluster, options))
          yield* passing(cql.awaitConnected)
          return seen.map((startup) => startup["CLIENT_ID"]!)
        })
      const [first] = yield* idsOf({})
      const [second] = yield* idsOf({})
      assert.notStrictEqual(first, second)
      assert.deepStrictEqual(yield* idsOf({ clientId: "orders-7" }), ["orders-7", "orders-7"])
    }))
})
