/** Tables with tablets: conditional statements that never learn, what is read ahead, leaders, and tokens of other partitioners. */
import type { Snapshot } from "@effect-scylla/driver"
import * as SnapshotModule from "@effect-scylla/driver/Snapshot"
import { Frame, Uuid } from "@effect-scylla/protocol"
import { CdcPartitioner, Murmur3, RandomPartitioner } from "@effect-scylla/sharding"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { clientOf, type ClientOptions, passing } from "./support/world.ts"

const LWT = "UPDATE tab.t SET v = ? WHERE id = ? IF v = ?"
const ids = Array.from({ length: 64 }, (_, i) => new Uuid.Uuid(i, i, i, i))

const setup = Effect.fnUntraced(function*(options: SimulatedCluster.Options = {}, client: ClientOptions = {}) {
  const cluster = yield* SimulatedCluster.make({
    nodes: 4,
    shards: 2,
    transport: "memory",
    tabletVersions: true,
    ...options
  })
  const cql = yield* passing(clientOf(cluster, client))
  yield* passing(cql.awaitConnected)
  yield* passing(cql.execute(
    "CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 2} AND tablets = {'enabled': true, 'initial': 8}"
  ))
  yield* passing(cql.execute("CREATE TABLE tab.t (id uuid PRIMARY KEY, v int)"))
  return { cluster, cql }
})

const executes = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster) {
  const seen: Array<{ readonly node: number; readonly shard: number; readonly isLwt: boolean }> = []
  yield* cluster.intercept(({ node, opcode, request, shard }) => {
    if (opcode !== Frame.Opcode.EXECUTE || request._tag !== "Execute") return undefined
    seen.push({ node, shard, isLwt: request.options.serialConsistency !== undefined })
    return undefined
  })
  return seen
})

describe("conditional statements on tablets", () => {
  it.effect(
    "go to one node for each token, the same for every client, while no tablet is known",
    () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* setup()
        const other = yield* passing(clientOf(cluster))
        yield* passing(other.awaitConnected)
        const places: Array<Array<number>> = []
        for (const client of [cql, other]) {
          const lwt = yield* passing(client.prepare(LWT))
          yield* passing(Effect.sleep("1 second"))
          // Reads by which it would learn are not answered.
          const seen: Array<number> = []
          yield* cluster.intercept(({ node, opcode, request }) => {
            if (opcode !== Frame.Opcode.EXECUTE || request._tag !== "Execute") return undefined
            if (request.options.serialConsistency === undefined) return { _tag: "Ignore" }
            seen.push(node)
            return undefined
          })
          yield* passing(Effect.forEach(ids, (id) => client.execute(lwt, [1, id, null])))
          places.push(seen)
        }
        assert.deepStrictEqual(places[0], places[1])
        assert.strictEqual(places[0]!.length, 64)
        assert.strictEqual(new Set(places[0]).size, 4)
      }),
    20_000
  )

  it.effect(
    "learn by a read of the key that the client makes by itself, and then find the first replica",
    () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* setup()
        const lwt = yield* passing(cql.prepare(LWT))
        for (let round = 0; round < 40; round++) {
          yield* passing(Effect.forEach(ids, (id) => cql.execute(lwt, [1, id, null])))
        }
        assert.strictEqual(cql.shardAwareStats().tablets.known, 8)
        yield* cluster.resetStats
        const seen = yield* executes(cluster)
        yield* passing(Effect.forEach(ids, (id) => cql.execute(lwt, [1, id, null])))
        assert.isTrue(seen.every(({ isLwt }) => isLwt), "nothing is asked any more")
        assert.strictEqual((yield* cluster.stats).byTable["tab.t"]!.misrouted, 0)
        const { hits } = cql.shardAwareStats().tablets
        assert.isAtLeast(hits, 64)
      }),
    30_000
  )
})

describe("warmUp", () => {
  it.effect("reads system.tablets when the client connects: nothing has to be learnt", () =>
    Effect.gen(function*() {
      const { cluster } = yield* setup()
      const cql = yield* passing(clientOf(cluster, { tablets: { warmUp: true } }))
      yield* passing(cql.awaitConnected)
      assert.strictEqual(cql.shardAwareStats().tablets.known, 8)
      const lwt = yield* passing(cql.prepare(LWT))
      yield* cluster.resetStats
      yield* passing(Effect.forEach(ids, (id) => cql.execute(lwt, [1, id, null])))
      assert.strictEqual((yield* cluster.stats).byTable["tab.t"]!.misrouted, 0)
      assert.strictEqual(cql.shardAwareStats().routing.unknownTablet, 0)
    }))

  it.effect("reads it again when the topology changes, and is quiet on a server that has no such table", () =>
    Effect.gen(function*() {
      const { cluster } = yield* setup()
      const cql = yield* passing(clientOf(cluster, { tablets: { warmUp: true } }))
      yield* passing(cql.awaitConnected)
      yield* cluster.remove(3)
      yield* passing(Effect.sleep("5 seconds"))
      const select = yield* passing(cql.prepare("SELECT v FROM tab.t WHERE id = ?"))
      yield* passing(Effect.sleep("1 second"))
      yield* cluster.resetStats
      yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
      assert.strictEqual((yield* cluster.stats).byTable["tab.t"]!.misrouted, 0)
      const cassandra = yield* SimulatedCluster.make({ nodes: 1, transport: "memory", product: "cassandra" })
      const plain = yield* passing(clientOf(cassandra, { tablets: { warmUp: true } }))
      assert.strictEqual(plain.shardAwareStats().tablets.known, 0)
    }))
})

describe("strongly consistent keyspaces", () => {
  it.effect("leader first, but for reads at ONE; what such a server refuses is refused before it is sent", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup({ globalKeyspaces: ["tab"] }, { consistency: "QUORUM" })
      const select = yield* passing(cql.prepare("SELECT v FROM tab.t WHERE id = ?"))
      const insert = yield* passing(cql.prepare("INSERT INTO tab.t (id, v) VALUES (?, ?)"))
      yield* passing(Effect.sleep("1 second"))
      for (let round = 0; round < 12; round++) {
        yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id], { consistency: "ONE" })))
      }
      assert.strictEqual(cql.shardAwareStats().tablets.known, 8)
      const leaders = new Set(
        cluster.tablets("tab.t").map(({ replicas }) => `${replicas[0]!.node} ${replicas[0]!.shard}`)
      )
      const seen = yield* executes(cluster)
      yield* passing(Effect.forEach(ids, (id) => cql.execute(insert, [id, 1])))
      yield* passing(Effect.forEach(ids, (id) => cql.execute(select, [id])))
      assert.isTrue(seen.every(({ node, shard }) => leaders.has(`${node} ${shard}`)))
      seen.length = 0
      for (let i = 0; i < 4; i++) yield* passing(cql.execute(select, [ids[0]!], { consistency: "LOCAL_ONE" }))
      assert.strictEqual(new Set(seen.map(({ node }) => node)).size, 2)
      seen.length = 0
      const refused = [
        [cql.execute(insert, [ids[0]!, 1], { consistency: "ONE" }), "writes of a strongly consistent keyspace"],
        [cql.execute(select, [ids[0]!], { consistency: "ALL" }), "reads of a strongly consistent keyspace"],
        [cql.execute(insert, [ids[0]!, 1], { timestamp: 5n }), "get their time from the servers"],
        [
          cql.execute("INSERT INTO tab.t (id, v) VALUES (?, ?) USING TIMESTAMP 5", [ids[0]!, 1]),
          "get their time from the servers"
        ]
      ] as const
      for (const [request, message] of refused) {
        const error = yield* passing(Effect.flip(request))
        assert.deepStrictEqual([error.reason._tag, error.outcome === "Ambiguous"], ["InvalidStatement", false])
        assert.include(error.message, message)
      }
      assert.deepStrictEqual(seen, [])
    }))

  it.effect("version 2 can be turned off", () =>
    Effect.gen(function*() {
      const { cluster } = yield* setup()
      const asked: Array<string> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Startup") asked.push(...Object.keys(request.options))
        return undefined
      })
      yield* passing(clientOf(cluster, { tablets: { v2: false } }))
      assert.include(asked, "TABLETS_ROUTING_V1")
      assert.isFalse(asked.some((key) => key.startsWith("TABLETS_ROUTING_V2")))
    }))
})

describe("partitioners", () => {
  const node = (hostId: string, tokenTexts: ReadonlyArray<string>): Snapshot.Node => ({
    hostId,
    address: hostId,
    rpcAddress: hostId,
    peer: hostId,
    port: 9042,
    datacenter: "here",
    rack: "rack1",
    tokens: [],
    tokenTexts,
    releaseVersion: "",
    isLocal: true,
    pool: undefined
  })
  const rows = [{ name: "ks", replication: { class: "SimpleStrategy", replication_factor: "1" }, hasTablets: false }]
  const key = new TextEncoder().encode("some key")

  it("Random: the owner of the token, which is no int64", () => {
    const token = RandomPartitioner.token(key)
    const nodes = [
      node("before", [String(token - 1n)]),
      node("owner", [String(token)]),
      node("after", [String(token + 5n)])
    ]
    const snapshot = SnapshotModule.make("c", "here", nodes, rows, {
      partitioner: "org.apache.cassandra.dht.RandomPartitioner"
    })
    const segment = snapshot.segmentOfKey!(key)
    assert.deepStrictEqual(snapshot.keyspaces.get("ks")!.replicas!.of(segment).map(({ hostId }) => hostId), ["owner"])
    assert.strictEqual(snapshot.ring.size, 0)
  })

  it("ByteOrdered: by the bytes", () => {
    const nodes = [node("a", ["61"]), node("m", ["6d"]), node("z", ["7a"])]
    const snapshot = SnapshotModule.make("c", "here", nodes, rows, { partitioner: "ByteOrderedPartitioner" })
    const of = (text: string) =>
      snapshot.keyspaces.get("ks")!.replicas!.of(snapshot.segmentOfKey!(new TextEncoder().encode(text)))[0]!.hostId
    assert.deepStrictEqual([of("b"), of("m"), of("n"), of("zz"), of("A")], ["m", "m", "z", "a", "a"])
  })

  it("an unknown one routes nothing", () => {
    const snapshot = SnapshotModule.make("c", "here", [node("a", ["1"])], rows, { partitioner: "com.example.Mine" })
    assert.strictEqual(snapshot.ring.size, 0)
    assert.isUndefined(snapshot.segmentOfKey)
  })

  it.effect("of CDC, for the logs of ScyllaDB: the token is in the stream's id", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup({ tabletVersions: false })
      yield* passing(cql.execute(
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1} AND tablets = {'enabled': false}"
      ))
      yield* passing(cql.execute('CREATE TABLE ks.t_scylla_cdc_log ("cdc$stream_id" blob PRIMARY KEY, v int)'))
      const select = yield* passing(cql.prepare('SELECT v FROM ks.t_scylla_cdc_log WHERE "cdc$stream_id" = ?'))
      yield* passing(Effect.sleep("1 second"))
      const stream = new Uint8Array(16)
      new DataView(stream.buffer).setBigInt64(0, 4_000_000_000_000_000_000n)
      assert.notStrictEqual(CdcPartitioner.token(stream), Murmur3.token(stream))
      const seen = yield* executes(cluster)
      yield* passing(cql.execute(select, [stream]))
      const { keyspaces, ring } = cql.cluster()
      const { segmentOf } = yield* Effect.promise(() => import("@effect-scylla/sharding/TokenRing"))
      const token = CdcPartitioner.token(stream)
      const segment = segmentOf(ring, Number(BigInt.asIntN(32, token >> 32n)), Number(BigInt.asIntN(32, token)))
      const owner = keyspaces.get("ks")!.replicas!.of(segment)[0]!
      assert.strictEqual(cluster.nodes[seen[0]!.node]!.address, owner.address)
    }))
})
