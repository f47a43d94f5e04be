/** Where a request goes: the default with its options, a policy of the user's, one node, a key that is said. */
import { Balancing, CqlClient, type Options } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, type ClientOptions, passing, settle } from "./support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const ids = Array.from({ length: 60 }, (_, i) => new Uuid.Uuid(i, i, i, i))

const setup = Effect.fnUntraced(function*(options: SimulatedCluster.Options = {}, client: ClientOptions = {}) {
  const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory", ...options })
  const factors = options.datacenters?.map(({ name, nodes }) => `'${name}': ${Math.min(3, nodes)}`).join(", ") ??
    `'datacenter1': ${Math.min(3, options.nodes ?? 3)}`
  const admin = yield* passing(clientOf(cluster, { localDatacenter: cluster.datacenter }))
  yield* passing(admin.execute(
    `CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', ${factors}} AND tablets = {'enabled': false}`
  ))
  yield* passing(admin.execute("CREATE TABLE ks.t (id uuid PRIMARY KEY, v int)"))
  yield* passing(admin.execute("CREATE TABLE ks.pair (a int, b text, v int, PRIMARY KEY ((a, b)))"))
  const cql = yield* passing(clientOf(cluster, { localDatacenter: cluster.datacenter, ...client }))
  yield* passing(cql.awaitConnected)
  const select = yield* passing(cql.prepare(SELECT))
  yield* TestClock.adjust("1 second")
  return { cluster, cql, select }
})

/** The nodes at which data requests arrive from now on. */
const arrivals = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number, node: number) => SimulatedCluster.Intercepted | undefined = () => undefined
) {
  const seen: Array<{ readonly node: number; readonly shard: number }> = []
  yield* cluster.intercept(({ node, opcode, request, shard }) => {
    const isData = opcode === Frame.Opcode.EXECUTE || (request._tag === "Query" && request.query.includes("ks."))
    if (!isData) return undefined
    seen.push({ node, shard })
    return answer(seen.length, node)
  })
  return seen
})
const nodesOf = (seen: ReadonlyArray<{ readonly node: number }>) => [...new Set(seen.map(({ node }) => node))].sort()

const twoDatacenters: SimulatedCluster.Options = {
  datacenters: [{ name: "here", nodes: 2 }, { name: "there", nodes: 3 }, { name: "far", nodes: 2 }]
}

describe("the default", () => {
  it.effect("asks replicas of its own rack, and others when there is none left", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({ racks: 3 }, { localRack: "rack2" })
      const seen = yield* arrivals(cluster)
      yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
      assert.deepStrictEqual([...new Set(seen.map(({ node }) => cluster.nodes[node]!.rack))], ["rack2"])
      assert.isAbove(cql.shardAwareStats().routing.owned, 59)
      yield* cluster.stop(nodesOf(seen)[0]!)
      yield* settle
      const after = yield* arrivals(cluster)
      yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
      assert.strictEqual(nodesOf(after).length, 2)
    }))

  it.effect("sends conditional statements to the primary replica whatever the rack", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup({ racks: 3 }, { localRack: "rack2" })
      const lwt = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?) IF NOT EXISTS"))
      const seen = yield* arrivals(cluster)
      yield* passing(Effect.forEach(ids, (id) => cql.execute(lwt, [id, 1])))
      assert.strictEqual(nodesOf(seen).length, 3)
    }))

  it.effect("takes replicas in turns where that is asked for", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({}, { replicas: "turns" })
      // One node answers late, so that the others are the less busy ones.
      const seen = yield* arrivals(cluster, (_, node) => node === 0 ? { _tag: "Delay", millis: 90 } : undefined)
      yield* passing(Effect.forEach(ids, () => cql.execute(select, [ids[0]!]), { concurrency: 60 }))
      const late = seen.filter(({ node }) => node === 0).length
      assert.strictEqual(late, 20)
    }))

  it.effect(
    "passes over a replica that is slow, but for one turn in sixteen, until it is well again",
    () =>
      Effect.gen(function*() {
        const { cluster, cql, select } = yield* setup()
        yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
        let isSlow = true
        const seen = yield* arrivals(
          cluster,
          (_, node) => isSlow && node === 1 ? { _tag: "Delay", millis: 350 } : undefined
        )
        const read = (n: number) =>
          passing(Effect.forEach(Array.from({ length: n }, (_, i) => ids[i % 60]!), (id) => cql.execute(select, [id])))
        yield* read(60)
        seen.length = 0
        yield* read(320)
        const share = seen.filter(({ node }) => node === 1).length
        // It is not starved: it has its turns, a third of every sixteenth.
        assert.isAtLeast(share, 3)
        assert.isAtMost(share, 320 / 16)
        isSlow = false
        yield* read(600)
        seen.length = 0
        yield* read(300)
        assert.isAtLeast(seen.filter(({ node }) => node === 1).length, 60)
      }),
    30_000
  )

  it.effect("does not take a replica that refuses everything, and is quick at that, for the less busy one", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const error = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
      const seen = yield* arrivals(
        cluster,
        (_, node) => node === 1 ? { _tag: "Error", error } : { _tag: "Delay", millis: 20 }
      )
      yield* passing(
        Effect.forEach(Array.from({ length: 400 }, (_, i) => ids[i % 59]!), (id) => cql.execute(select, [id]), {
          concurrency: 16
        })
      )
      assert.isAtMost(seen.filter(({ node }) => node === 1).length, 60)
      assert.isAtLeast(seen.filter(({ node }) => node === 1).length, 3)
    }))

  it.effect("never dials nor asks a node that is filtered out, not even as a contact point", () =>
    Effect.gen(function*() {
      const connected = (cluster: SimulatedCluster.SimulatedCluster, node: number) =>
        cluster.nodes[node]!.connections.length
      const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory" })
      const filtered = cluster.nodes[0]!.address
      const cql = yield* passing(clientOf(cluster, { hostFilter: ({ address }) => address !== filtered }))
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual([0, 1, 2].map((node) => connected(cluster, node) > 0), [false, true, true])
      assert.deepStrictEqual(
        cql.cluster().local.map(({ address }) => address).sort(),
        cluster.nodes.slice(1).map((n) => n.address)
      )
      // The control connection goes elsewhere, too.
      yield* cluster.stop(1)
      yield* passing(Effect.sleep("5 seconds"))
      assert.strictEqual(connected(cluster, 0), 0)
      assert.isAbove(connected(cluster, 2), 2)
    }))

  it.effect("asks nodes without tokens when no other can be, and never as replicas", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({ nodes: 4, zeroToken: [2] })
      const seen = yield* arrivals(cluster)
      yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
      yield* passing(Effect.forEach(ids, () => cql.execute("SELECT * FROM ks.t")))
      assert.deepStrictEqual(nodesOf(seen), [0, 1, 3])
      seen.length = 0
      const all = yield* passing(
        cql.execute(select, [ids[0]!], { retry: { decide: () => "NextNode", maxAttempts: 4, backoff: false } })
      )
      assert.isDefined(all)
      yield* cluster.intercept(({ node, opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        seen.push({ node, shard: 0 })
        const error = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
        return node === 2 ? undefined : { _tag: "Error", error }
      })
      seen.length = 0
      const { coordinator } = yield* passing(cql.execute(select, [ids[0]!]))
      assert.strictEqual(coordinator.address, cluster.nodes[2]!.address)
      assert.strictEqual(seen.at(-1)!.node, 2)
      assert.strictEqual(seen.length, 4)
    }))
})

describe("fail-over to other datacenters", () => {
  const failover = { datacenters: ["there", "far"], nodes: 2 }

  it.effect(
    "connects to some of their nodes, in their order, and asks them when no local one can be",
    () =>
      Effect.gen(function*() {
        const { cluster, cql, select } = yield* setup(twoDatacenters, {
          datacenterFailover: failover,
          consistency: "ONE"
        })
        yield* passing(Effect.sleep("1 second"))
        const remote = cql.cluster().remote
        assert.deepStrictEqual(remote.map(({ datacenter }) => datacenter), ["there", "there", "far", "far"])
        assert.deepStrictEqual(remote.map(({ pool }) => pool!.stats.slots.length), [1, 1, 1, 1])
        const seen = yield* arrivals(cluster)
        yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
        assert.deepStrictEqual(nodesOf(seen), [0, 1])
        yield* cluster.stop(0)
        yield* cluster.stop(1)
        yield* passing(Effect.sleep("1 second"))
        seen.length = 0
        yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
        const places = new Set(seen.map(({ node }) => cluster.nodes[node]!.datacenter))
        assert.deepStrictEqual([...places], ["there"])
        assert.strictEqual(cql.shardAwareStats().routing.otherDatacenter, 60)
        for (const node of [2, 3, 4]) yield* cluster.stop(node)
        yield* passing(Effect.sleep("1 second"))
        seen.length = 0
        yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
        assert.deepStrictEqual(nodesOf(seen), [5, 6])
      }),
    20_000
  )

  it.effect(
    "never leaves the datacenter at a level of one datacenter, unless that is allowed",
    () =>
      Effect.gen(function*() {
        const { cluster, cql, select } = yield* setup(twoDatacenters, { datacenterFailover: failover })
        yield* cluster.stop(0)
        yield* cluster.stop(1)
        yield* passing(Effect.sleep("1 second"))
        const seen = yield* arrivals(cluster)
        const error = yield* passing(Effect.flip(cql.execute(select, [ids[0]!])))
        assert.strictEqual(error.reason._tag, "NoNodeAvailable")
        const lwt = "INSERT INTO ks.t (id, v) VALUES (?, ?) IF NOT EXISTS"
        yield* passing(Effect.flip(cql.execute(lwt, [ids[0]!, 1], { consistency: "ONE" })))
        assert.deepStrictEqual(seen, [])
        yield* passing(cql.execute(select, [ids[0]!], { consistency: "ONE" }))
        assert.strictEqual(seen.length, 1)
        const free = yield* passing(clientOf(cluster, {
          contactPoints: [cluster.contactPoints[2]!],
          localDatacenter: "there",
          datacenterFailover: { datacenters: ["far"], localConsistency: true }
        }))
        yield* passing(free.awaitConnected)
        yield* passing(Effect.sleep("1 second"))
        for (const node of [2, 3, 4]) yield* cluster.stop(node)
        yield* passing(Effect.sleep("1 second"))
        yield* passing(free.execute(SELECT, [ids[0]!]))
      }),
    20_000
  )

  it.effect("goes on to another datacenter within one request", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup(twoDatacenters, {
        datacenterFailover: failover,
        consistency: "ONE"
      })
      yield* passing(Effect.sleep("1 second"))
      const error = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
      const seen = yield* arrivals(cluster, (_, node) => node < 2 ? { _tag: "Error", error } : undefined)
      yield* passing(cql.execute(select, [ids[0]!]))
      assert.strictEqual(seen.length, 3)
      assert.strictEqual(cluster.nodes[seen[2]!.node]!.datacenter, "there")
    }))
})

describe("a policy of the user's", () => {
  it.effect("is asked once for each request, lazily, and told where the partition lies", () =>
    Effect.gen(function*() {
      const told: Array<Balancing.Request> = []
      let given = 0
      const balancing: Balancing.Policy = function*(request, snapshot) {
        told.push(request)
        for (const node of snapshot.local.toSorted((a, b) => a.address < b.address ? 1 : -1)) {
          given++
          yield node
        }
      }
      const { cluster, cql, select } = yield* setup({}, { balancing, profiles: { usual: {} } })
      told.length = given = 0
      const seen = yield* arrivals(cluster)
      yield* passing(cql.execute(select, [ids[7]!], { label: "seventh", profile: "usual" }))
      assert.deepStrictEqual(nodesOf(seen), [2])
      assert.deepStrictEqual([told.length, given], [1, 1])
      const { isSerial, keyspace, kind, label, plan, profile, replicas, statement, table, token } = told[0]!
      assert.deepStrictEqual(
        { isSerial, keyspace, type: kind.type, label, profile, statement, table },
        {
          isSerial: false,
          keyspace: "ks",
          type: "read",
          label: "seventh",
          profile: "usual",
          statement: SELECT,
          table: "t"
        }
      )
      assert.strictEqual(typeof token, "bigint")
      assert.strictEqual(replicas.length, 3)
      assert.isTrue(replicas.every(({ shard }) => shard === 0 || shard === 1))
      assert.strictEqual([...plan].length, 3)
    }))

  it.effect("leads the way when nodes fail, and its end is the request's", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const error = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
      const seen = yield* arrivals(cluster, () => ({ _tag: "Error", error }))
      const balancing: Balancing.Policy = (_, { local }) => [local[1]!, { node: local[0]!, shard: 1 }]
      const failed = yield* passing(Effect.flip(cql.execute(select, [ids[3]!], { balancing })))
      assert.strictEqual(failed.reason._tag, "Overloaded")
      const { local } = cql.cluster()
      assert.deepStrictEqual(
        seen.map(({ node }) => cluster.nodes[node]!.address),
        [local[1]!.address, local[0]!.address]
      )
      assert.strictEqual(seen[1]!.shard, 1)
      const nobody = yield* passing(Effect.flip(cql.execute(select, [ids[3]!], { balancing: () => [] })))
      assert.strictEqual(nobody.reason._tag, "NoNodeAvailable")
    }))

  it.effect("may filter what is done without it, as it is documented", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({ racks: 3 })
      const balancing: Balancing.Policy = (request) => [...request.plan].filter(({ node }) => node.rack !== "rack1")
      const seen = yield* arrivals(cluster)
      yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id], { balancing })))
      assert.notInclude(seen.map(({ node }) => cluster.nodes[node]!.rack), "rack1")
      assert.strictEqual(nodesOf(seen).length, 2)
      // With the shards that the plan names.
      assert.strictEqual((yield* cluster.stats).byTable["ks.t"]!.misrouted, 0)
    }))

  it.effect("that throws, or gives what is no node, is a defect of that request and of no other", () =>
    Effect.gen(function*() {
      const { cql, select } = yield* setup()
      const policies: ReadonlyArray<Balancing.Policy> = [
        () => {
          throw new Error("no idea")
        },
        function*() {
          throw new Error("no idea")
        },
        () => ["127.0.0.1"] as never,
        () => undefined as never
      ]
      for (const balancing of policies) {
        const exit = yield* passing(Effect.exit(cql.execute(select, [ids[0]!], { balancing })))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      }
      yield* passing(cql.execute(select, [ids[0]!]))
    }))

  it.effect("comes from the context where the options have none", () =>
    Effect.gen(function*() {
      const { cluster } = yield* setup()
      const policy: Balancing.Policy = (_, { local }) =>
        local.filter(({ address }) => address === cluster.nodes[1]!.address)
      const layer = CqlClient.layer({ contactPoints: cluster.contactPoints, shutdownTimeout: 0 }).pipe(
        Layer.provide(Layer.succeed(Transport.Transport, cluster.transport)),
        Layer.provide(Balancing.layer(policy))
      )
      const context = yield* passing(Layer.build(layer))
      const seen = yield* arrivals(cluster)
      yield* passing(Effect.provide(
        Effect.flatMap(CqlClient.CqlClient, (cql) => Effect.forEach(ids, (id) => cql.execute(SELECT, [id]))),
        context
      ))
      assert.deepStrictEqual(nodesOf(seen), [1])
    }))
})

describe("one node", () => {
  it.effect("is asked, on the shard that is wanted, and no other", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const node = cql.cluster().local[1]!
      const seen = yield* arrivals(cluster)
      for (const shard of [0, 1]) {
        yield* passing(cql.execute(select, [ids[0]!], { target: { hostId: node.hostId, shard } }))
      }
      yield* passing(cql.execute("SELECT * FROM ks.t", [], { target: { hostId: node.hostId } }))
      assert.isTrue(seen.every((one) => cluster.nodes[one.node]!.address === node.address))
      assert.deepStrictEqual(seen.slice(0, 2).map(({ shard }) => shard), [0, 1])
      const error = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
      const again = yield* arrivals(cluster, () => ({ _tag: "Error", error }))
      const failed = yield* passing(Effect.flip(cql.execute(select, [ids[0]!], { target: node })))
      assert.deepStrictEqual([failed.reason._tag, again.length], ["Overloaded", 1])
    }))

  it.effect("that is not there, or not connected to, is named", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup(twoDatacenters)
      const unknown = yield* passing(Effect.flip(cql.execute(select, [ids[0]!], { target: { hostId: "x" } })))
      assert.include(unknown.message, "the cluster has no node with the host id x: it has ")
      const other = cql.cluster().nodes.find(({ datacenter }) => datacenter === "far")!
      const away = yield* passing(Effect.flip(cql.execute(select, [ids[0]!], { target: other })))
      assert.include(away.message, "it is in the datacenter far, or filtered out")
      const { hostId } = cql.cluster().local[0]!
      yield* cluster.stop(cluster.nodes.findIndex((node) => node.hostId.toString() === hostId))
      yield* passing(Effect.sleep("1 second"))
      const down = yield* passing(Effect.flip(cql.execute(select, [ids[0]!], { target: { hostId } })))
      assert.include(down.message, "cannot be asked:")
    }))
})

describe("a routing key that is said", () => {
  it.effect("sends a text to a replica of its partition, on the core that owns it", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      yield* cluster.resetStats
      for (const id of ids.slice(0, 20)) {
        const seen = yield* arrivals(cluster)
        const bytes = Buffer.from(id.toString().replaceAll("-", ""), "hex")
        yield* passing(
          cql.execute(`SELECT * FROM ks.t WHERE id = ${id}`, [], { routingKey: { key: bytes, keyspace: "ks" } })
        )
        yield* passing(cql.execute(select, [id]))
        // The same core of whichever replica.
        const [text, prepared] = seen
        assert.strictEqual(text!.shard, prepared!.shard)
      }
      const { routing } = cql.shardAwareStats()
      assert.isAtLeast(routing.owned, 40)
    }))

  it.effect("of several columns is put together", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup({ nodes: 3 }, { keyspace: "ks" })
      const pair = yield* passing(cql.prepare("SELECT v FROM ks.pair WHERE a = ? AND b = ?"))
      const lwt = "UPDATE ks.pair SET v = 1 WHERE a = 5 AND b = 'x' IF v = 2"
      const seen = yield* arrivals(cluster)
      // Both to the primary replica: one knows the key, the other one is told it.
      yield* passing(cql.execute(pair, [5, "x"], { consistency: "SERIAL" }))
      const key = [Uint8Array.of(0, 0, 0, 5), Uint8Array.of(120)]
      yield* passing(cql.execute(lwt, [], { routingKey: { key }, consistency: "SERIAL" as never }).pipe(Effect.exit))
      yield* passing(
        cql.execute(`SELECT v FROM ks.pair WHERE a = 5 AND b = 'x'`, [], { routingKey: { key }, consistency: "SERIAL" })
      )
      assert.strictEqual(seen.at(-1)!.node, seen[0]!.node)
      assert.strictEqual(seen.at(-1)!.shard, seen[0]!.shard)
      const wrong = yield* passing(
        Effect.flip(cql.execute("SELECT * FROM ks.t", [], { routingKey: { key: "5" as never } }))
      )
      assert.include(wrong.message, "routingKey.key: bytes, or a list of them")
    }))
})

describe("wrong options", () => {
  it.effect("are named, all of them at once", () =>
    Effect.gen(function*() {
      const options = {
        contactPoints: ["127.0.0.1"],
        replicas: "some",
        balancing: "mine",
        hostFilter: {},
        datacenterFailover: { datacenters: [], nodes: 0 },
        retryBudget: { share: -1 },
        speculation: { delay: "never" },
        profiles: { a: { consistency: "ONE", timeout: 0 }, b: { pagingState: new Uint8Array(1) } },
        retry: { decide: 5 },
        slowRequests: { threshold: 0 }
      } as unknown as Options.Options
      const error = yield* Effect.flip(Effect.scoped(CqlClient.make(options)))
      const { issues } = error.reason as
        & { readonly issues: ReadonlyArray<{ readonly path: string }> }
        & typeof error.reason
      assert.deepStrictEqual(issues.map(({ path }) => path).sort(), [
        "balancing",
        "datacenterFailover.datacenters",
        "datacenterFailover.nodes",
        "hostFilter",
        "profiles.a",
        "profiles.b",
        "replicas",
        "retry",
        "retryBudget.share",
        "slowRequests.threshold",
        "speculation"
      ])
    }))

  it.effect("of a request fail before anything is sent", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({}, { profiles: { reports: {} } })
      const seen = yield* arrivals(cluster)
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ profile: "report" }, 'there is no profile "report": the client has reports'],
        [{ label: 5 }, "label: a text"],
        [{ customPayload: { a: "b" } }, "customPayload.a: bytes or null"],
        [{ target: { hostId: 5 } }, "target: { hostId } of a node"],
        [{ target: { hostId: "a", shard: -1 } }, "target.shard: a whole number"],
        [{ balancing: {} }, "balancing: a function"],
        [{ speculation: { delay: 0 } }, "speculation.delay: a duration above 0"],
        [{ retry: { backoff: { base: "soon" } } }, "retry.backoff.base: a duration"]
      ]
      for (const [options, message] of wrong) {
        const error = yield* Effect.flip(cql.execute(select, [ids[0]!], options))
        assert.strictEqual(error.reason._tag, "InvalidStatement")
        assert.include(error.message, message)
      }
      assert.deepStrictEqual(seen, [])
    }))
})
