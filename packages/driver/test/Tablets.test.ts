/** Tables with tablets: routed by what servers have told, never by the ring. */
import type { Transport } from "@effect-scylla/pool"
import { Frame, ServerError, TabletRouting, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Buffer } from "node:buffer"
import { changing } from "./support/changing.ts"
import { clientOf, type ClientOptions, passing, settle } from "./support/world.ts"

const SELECT = "SELECT id, v FROM tab.t WHERE id = ?"
const INSERT = "INSERT INTO tab.t (id, v) VALUES (?, ?)"
const UPDATE = "UPDATE tab.t SET v = ? WHERE id = ? IF v = ?"
const ids = Array.from({ length: 64 }, (_, i) => new Uuid.Uuid(i, i, i, i))

/** A cluster with a keyspace `tab` of so many tablets and replicas, and a client of it. */
const world = Effect.fnUntraced(function*(
  options: SimulatedCluster.Options & { readonly factor?: number } = {},
  client: ClientOptions = {},
  through: (transport: Transport.Transport) => Transport.Transport = (transport) => transport
) {
  const { factor = 2, ...rest } = options
  const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory", ...rest })
  const cql = yield* passing(clientOf(cluster, client, through(cluster.transport)))
  yield* passing(cql.awaitConnected)
  const create = Effect.gen(function*() {
    yield* passing(cql.execute(
      `CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': ${factor}} ` +
        "AND tablets = {'enabled': true, 'initial': 8}"
    ))
    yield* passing(cql.execute("CREATE TABLE tab.t (id uuid PRIMARY KEY, v int)"))
  })
  yield* create
  const select = yield* passing(cql.prepare(SELECT))
  const read = (id: Uuid.Uuid) => cql.execute(select, [id])
  /** Reads every key until all tablets are known: a request that happens to come to the right shard is told nothing. */
  const warm = Effect.gen(function*() {
    for (let round = 0; round < 50; round++) {
      const before = cql.shardAwareStats().routing.unknownTablet
      yield* passing(Effect.forEach(ids, read))
      if (cql.shardAwareStats().routing.unknownTablet === before) return
    }
    assert.fail("some tablets were never told")
  })
  return { cluster, cql, create, read, warm }
})

/** Where EXECUTEs arrive from now on. */
const arrivals = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster) {
  const nodes: Array<number> = []
  yield* cluster.intercept(({ node, opcode }) => {
    if (opcode === Frame.Opcode.EXECUTE) nodes.push(node)
    return undefined
  })
  return nodes
})

/** The tablet as the cluster has it. */
const tabletOf = (cluster: SimulatedCluster.SimulatedCluster, told: TabletRouting.TabletRouting) =>
  cluster.tablets("tab.t").find(({ first }) => first === told.first)!

describe("tables with tablets", () => {
  for (const tabletVersions of [false, true]) {
    const name = tabletVersions ? "v2" : "v1"

    it.effect(`${name}: once they are known all requests are owned, and servers tell nothing more`, () =>
      Effect.gen(function*() {
        const { cluster, cql, read, warm } = yield* world({ tabletVersions })
        yield* warm
        assert.strictEqual(cql.shardAwareStats().tablets.known, 8)
        yield* cluster.resetStats
        const before = cql.shardAwareStats().routing
        const results = yield* passing(Effect.forEach(ids, read, { concurrency: 16 }))
        const insert = yield* passing(cql.prepare(INSERT))
        const writes = yield* passing(Effect.forEach(ids, (id, i) => cql.execute(insert, [id, i])))
        const { byTable } = yield* cluster.stats
        assert.deepStrictEqual(byTable["tab.t"], { requests: 128, owned: 128, misrouted: 0, unrouted: 0 })
        assert.strictEqual(cql.shardAwareStats().routing.owned, before.owned + 128)
        for (const result of [...results, ...writes]) assert.isUndefined(result.customPayload)
      }))

    it.effect(`${name}: a tablet that has moved is learnt from the next answer`, () =>
      Effect.gen(function*() {
        const { cluster, read, warm } = yield* world({ factor: 1, tabletVersions })
        yield* warm
        for (const { last, replicas: [old] } of cluster.tablets("tab.t")) {
          yield* cluster.moveTablet("tab.t", last, [{ node: (old!.node + 1) % 3, shard: 1 - old!.shard }])
        }
        if (!tabletVersions) {
          // Without versions whoever is asked in the wrong place tells: each key costs one such request at most.
          const [id] = ids
          const told = TabletRouting.fromPayload((yield* passing(read(id!))).customPayload)
          assert.isDefined(told)
          yield* cluster.resetStats
          assert.isUndefined((yield* passing(read(id!))).customPayload)
          assert.strictEqual((yield* cluster.stats).owned, 1)
        }
        // A block of four bits may agree by chance: it is another one each time.
        for (let round = 0; round < 8; round++) yield* passing(Effect.forEach(ids, read))
        yield* cluster.resetStats
        yield* passing(Effect.forEach(ids, read))
        assert.strictEqual((yield* cluster.stats).owned, ids.length)
      }))
  }

  it.effect("a statement of another kind of table does not end with the version of the tablet before", () =>
    Effect.gen(function*() {
      const { cluster, cql, read, warm } = yield* world({ tabletVersions: true })
      yield* warm
      yield* passing(cql.execute(
        "CREATE KEYSPACE ring WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1} " +
          "AND tablets = {'enabled': false}"
      ))
      yield* passing(cql.execute("CREATE TABLE ring.t (id uuid PRIMARY KEY, v int)"))
      const select = yield* passing(cql.prepare("SELECT v FROM ring.t WHERE id = ?"))
      const parts = new Map<number, Set<number>>()
      const times = new Map<number, number>()
      let isOther = false
      yield* cluster.intercept(({ request }) => {
        if (isOther && request._tag === "Execute") {
          const block = request.tabletBlock!
          parts.set(block >> 4, (parts.get(block >> 4) ?? new Set()).add(block & 15))
          times.set(block >> 4, (times.get(block >> 4) ?? 0) + 1)
        }
        return undefined
      })
      for (let i = 0; i < 64; i++) {
        isOther = false
        yield* passing(read(ids[0]!))
        isOther = true
        yield* passing(cql.execute(select, [ids[0]!]))
      }
      // A version has one part for each index; what is said at random has others each time.
      for (const [index, said] of parts) if (times.get(index)! > 3) assert.isAbove(said.size, 1, `index ${index}`)
    }))

  it.effect("while a tablet is unknown any node is asked, not the replicas that a ring would have", () =>
    Effect.gen(function*() {
      const { cluster, cql, read } = yield* world({ factor: 1 })
      // Nothing is told, so nothing is known.
      const nodes: Array<number> = []
      yield* cluster.intercept(({ node, opcode }) => {
        if (opcode === Frame.Opcode.EXECUTE) nodes.push(node)
        return opcode === Frame.Opcode.EXECUTE ? { _tag: "Ignore" } : undefined
      })
      for (let i = 0; i < 3; i++) yield* Effect.forkChild(read(ids[0]!), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(nodes.sort(), [0, 1, 2])
      assert.strictEqual(cql.shardAwareStats().routing.unknownTablet, 3)
    }))

  it.effect("payloads that cannot be read fail no request and teach nothing", () =>
    Effect.gen(function*() {
      /** The first token claims to have another size. */
      const corrupt = (bytes: Buffer): void => {
        const key = TabletRouting.Keys.V1
        for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + 1)) bytes[at + key.length + 7] = 7
      }
      const through = (transport: Transport.Transport) => changing(transport, corrupt)
      const { cql, read } = yield* world({}, {}, through)
      yield* passing(Effect.forEach(ids, (id, v) => cql.execute(INSERT, [id, v])))
      const results = yield* passing(Effect.forEach(ids, read))
      assert.deepStrictEqual(results.map(({ rows }) => rows), ids.map((id, v) => [{ id, v }]))
      const { tablets } = cql.shardAwareStats()
      assert.strictEqual(tablets.known, 0)
      assert.isAbove(tablets.malformed, 0)
    }))

  it.effect("conditional statements begin at the first replica that the server names", () =>
    Effect.gen(function*() {
      const { cluster, cql, read, warm } = yield* world()
      yield* passing(Effect.forEach(ids, (id) => cql.execute(INSERT, [id, 0])))
      yield* warm
      const nodes = yield* arrivals(cluster)
      const update = yield* passing(cql.prepare(UPDATE))
      // Which tablet a key is in is told to a client that knows none yet.
      const stranger = yield* passing(clientOf(cluster))
      const strange = yield* passing(stranger.prepare(SELECT))
      let checked = 0
      for (const id of ids) {
        const told = TabletRouting.fromPayload((yield* passing(stranger.execute(strange, [id]))).customPayload)
        if (told === undefined) continue
        nodes.length = 0
        for (let i = 0; i < 3; i++) {
          const result = yield* passing(cql.execute(update, [i + 1, id, i]))
          assert.isTrue(result.wasApplied)
        }
        const first = tabletOf(cluster, told).replicas[0]!.node
        // More often than three times where a node has yet to be taught the statement.
        assert.deepStrictEqual([...new Set(nodes)], [first])
        checked++
      }
      assert.isAbove(checked, 3)
      // Reads take turns.
      nodes.length = 0
      yield* passing(Effect.forEach(ids, read))
      assert.strictEqual(new Set(nodes).size, 3)
      yield* cluster.stop(0)
      yield* passing(Effect.forEach(ids, (id) => cql.execute(update, [9, id, 3]).pipe(Effect.ignore)))
      assert.notInclude(nodes.slice(-ids.length), 0)
    }))

  it.effect("a request that is refused goes on to the next replica of the tablet", () =>
    Effect.gen(function*() {
      const { cluster, cql, read, warm } = yield* world()
      yield* warm
      const [id] = ids
      yield* passing(read(id!))
      yield* cluster.resetStats
      const before = cql.shardAwareStats().routing.owned
      const nodes: Array<number> = []
      yield* cluster.intercept(({ node, opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        nodes.push(node)
        return nodes.length > 1
          ? undefined
          : { _tag: "Error", error: new ServerError.Overloaded({ code: 0x1001, message: "too busy" }) }
      })
      yield* passing(read(id!))
      assert.strictEqual(new Set(nodes).size, 2)
      // The refused attempt never reached the counters of the server.
      assert.strictEqual((yield* cluster.stats).owned, 1)
      assert.strictEqual(cql.shardAwareStats().routing.owned, before + 2)
    }))

  it.effect("v2: a request that waited for room sends the version, too", () =>
    Effect.gen(function*() {
      const { cluster, read, warm } = yield* world({ nodes: 1, shards: 4, factor: 1, tabletVersions: true }, {
        maxInFlight: 1
      })
      yield* warm
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.EXECUTE ? { _tag: "Delay", millis: 10 } : undefined
      )
      const results = yield* passing(Effect.forEach(ids, read, { concurrency: "unbounded" }))
      for (const { customPayload } of results) assert.isUndefined(customPayload)
    }))

  it.effect("replicas of the local datacenter share the requests", () =>
    Effect.gen(function*() {
      const { cluster, read, warm } = yield* world({
        datacenters: [{ name: "here", nodes: 2 }, { name: "there", nodes: 4 }],
        factor: 2
      }, { localDatacenter: "here", contactPoints: ["127.0.0.1:9042"] })
      yield* warm
      const nodes = yield* arrivals(cluster)
      // Were the others' replicas in the turn, too, one of these two would have six of eight.
      for (const id of ids) {
        nodes.length = 0
        for (let i = 0; i < 8; i++) yield* passing(read(id))
        assert.deepStrictEqual([0, 1].map((index) => nodes.filter((node) => node === index).length), [4, 4])
      }
    }))

  it.effect("what was dropped is forgotten, and learnt anew when it is made again", () =>
    Effect.gen(function*() {
      const { cluster, cql, create, read, warm } = yield* world()
      const known = () => cql.shardAwareStats().tablets.known
      yield* warm
      assert.strictEqual(known(), 8)
      yield* passing(cql.execute("DROP TABLE tab.t"))
      assert.strictEqual(known(), 0)
      yield* passing(cql.execute("CREATE TABLE tab.t (id uuid PRIMARY KEY, v int)"))
      yield* warm
      assert.strictEqual(known(), 8)
      yield* passing(cql.execute("DROP KEYSPACE tab"))
      assert.strictEqual(known(), 0)
      yield* create
      yield* warm
      yield* cluster.resetStats
      yield* passing(Effect.forEach(ids, read))
      assert.strictEqual((yield* cluster.stats).owned, ids.length)
    }))

  it.effect("a keyspace that was dropped while there was no control connection is forgotten", () =>
    Effect.gen(function*() {
      const { cluster, cql, warm } = yield* world({ nodes: 2, factor: 1 }, { contactPoints: ["127.0.0.1:9042"] })
      yield* warm
      const other = yield* passing(clientOf(cluster, { contactPoints: ["127.0.0.2:9042"] }))
      // The control connection of the first client is gone; nobody else tells it.
      yield* cluster.intercept(({ request }) => request._tag === "Register" ? { _tag: "Close" } : undefined)
      yield* cluster.stop(0)
      yield* settle
      yield* passing(other.execute("DROP KEYSPACE tab"))
      yield* cluster.intercept(undefined)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(cql.shardAwareStats().tablets.known, 0)
    }))

  it.effect("tablets of a keyspace that was altered are learnt anew: it may have other replicas", () =>
    Effect.gen(function*() {
      const { cql, warm } = yield* world()
      yield* warm
      yield* passing(cql.execute("ALTER KEYSPACE tab WITH durable_writes = false"))
      assert.strictEqual(cql.shardAwareStats().tablets.known, 0)
      yield* warm
      assert.strictEqual(cql.shardAwareStats().tablets.known, 8)
    }))

  it.effect("tablets on a node that has left are forgotten", () =>
    Effect.gen(function*() {
      const { cluster, cql, read, warm } = yield* world({ nodes: 4 })
      yield* warm
      const gone = cluster.tablets("tab.t").filter(({ replicas }) => replicas.some(({ node }) => node === 3)).length
      assert.isAbove(gone, 0)
      yield* cluster.remove(3)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(cql.cluster().nodes.length, 3)
      assert.strictEqual(cql.shardAwareStats().tablets.known, 8 - gone)
      yield* warm
      yield* cluster.resetStats
      yield* passing(Effect.forEach(ids, read))
      assert.strictEqual((yield* cluster.stats).owned, ids.length)
    }))

  it.effect("tables without tablets are routed by the ring, beside them", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ tabletVersions: true })
      yield* passing(cql.execute(
        "CREATE KEYSPACE ring WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 2} " +
          "AND tablets = {'enabled': false}"
      ))
      yield* passing(cql.execute("CREATE TABLE ring.t (id uuid PRIMARY KEY, v int)"))
      yield* cluster.resetStats
      yield* passing(Effect.forEach(ids, (id) => cql.execute("SELECT v FROM ring.t WHERE id = ?", [id])))
      assert.strictEqual((yield* cluster.stats).owned, ids.length)
      assert.strictEqual(cql.shardAwareStats().routing.unknownTablet, 0)
    }))
})
