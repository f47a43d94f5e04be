/**
 * Something real with each of the packed packages, on whatever runtime this is: `smoke.mjs <package>…`. Everything it needs is in the
 * process: simulated clusters, in memory and on loopback.
 */
import { Effect } from "effect"

const check = (what, actual, expected) => {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value, (_, v) => typeof v === "bigint" ? `${v}n` : v))
  if (a !== b) throw new Error(`${what}: ${a} instead of ${b}`)
}

const smoke = {
  protocol: async () => {
    const { Codec, CqlType, Uuid } = await import("@effect-scylla/protocol")
    const type = CqlType.map(CqlType.scalar("text"), CqlType.list(CqlType.scalar("varint")))
    const value = new Map([["a", [1n, -(2n ** 70n)]]])
    check("a map", [...Codec.decode(type, Codec.encode(type, value))], [...value])
    const ids = Array.from({ length: 100 }, () => Uuid.now())
    check("time UUIDs in order", ids.every((id, i) => i === 0 || Uuid.compareTime(ids[i - 1], id) < 0), true)
  },
  compat: async () => {
    const { Client, types } = await import("@effect-scylla/compat")
    const { SimulatedCluster } = await import("@effect-scylla/testkit")
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { contactPoints, datacenter } = yield* SimulatedCluster.make({ nodes: 1 })
      yield* Effect.promise(async () => {
        const client = new Client({
          contactPoints: [contactPoints[0]],
          localDataCenter: datacenter,
          protocolOptions: { port: Number(contactPoints[0].split(":")[1]) }
        })
        await client.execute(
          "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        await client.execute("CREATE TABLE k.t (id uuid PRIMARY KEY, n bigint)")
        const id = types.Uuid.random()
        await client.execute("INSERT INTO k.t (id, n) VALUES (?, ?)", [id, 7], { prepare: true })
        const { rows } = await client.execute("SELECT * FROM k.t WHERE id = ?", [id], { prepare: true })
        check("a row", [String(rows[0].id), rows[0].n instanceof types.Long], [String(id), true])
        await client.shutdown()
      })
    })))
  },
  sharding: async () => {
    const { Murmur3 } = await import("@effect-scylla/sharding")
    check("the token of the int 1", Murmur3.token(new Uint8Array([0, 0, 0, 1])), -4069959284402364209n)
  },
  pool: async () => {
    const { ConnectLimiter, NodePool, ProtocolVersions, Ticker } = await import("@effect-scylla/pool")
    const { SimulatedCluster } = await import("@effect-scylla/testkit")
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 3 })
      const ticker = yield* Ticker.make
      const session = { ticker, versions: new ProtocolVersions.ProtocolVersions() }
      const pool = yield* NodePool.make({ session, address: cluster.nodes[0].address, port: cluster.port })
      yield* pool.awaitFull
      check("a connection for each shard", pool.stats.slots.map(({ shard, state }) => [shard, state]), [
        [0, "Ready"],
        [1, "Ready"],
        [2, "Ready"]
      ])
    })))
    check("a limiter", typeof ConnectLimiter.make().limit, "function")
  },
  driver: async () => {
    const { CqlClient } = await import("@effect-scylla/driver")
    const { SimulatedCluster } = await import("@effect-scylla/testkit")
    const { Transport } = await import("@effect-scylla/pool")
    for (const transport of ["tcp", "memory"]) {
      const cluster = SimulatedCluster.make({ nodes: 2, shards: 2, ...transport === "memory" ? { transport } : {} })
      await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const servers = yield* cluster
        const make = CqlClient.make({ contactPoints: servers.contactPoints, compression: "lz4" })
        const cql = yield* transport === "memory"
          ? Effect.provideService(make, Transport.Transport, servers.transport)
          : make
        yield* cql`CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 2}`
        yield* cql`CREATE TABLE k.t (id int PRIMARY KEY, name text, sum bigint)`
        yield* cql.executeMany(
          "INSERT INTO k.t (id, name, sum) VALUES (?, ?, ?)",
          Array.from({ length: 500 }, (_, id) => [id, `name ${id}`, BigInt(id) ** 5n])
        )
        yield* cql.batch([cql`UPDATE k.t SET name = ${"changed"} WHERE id = ${7}`, "DELETE FROM k.t WHERE id = 8"])
        const [row] = yield* cql`SELECT name, sum FROM k.t WHERE id = ${7}`
        check(`a row over ${transport}`, [row.name, row.sum], ["changed", 7n ** 5n])
        check(`all rows over ${transport}`, (yield* cql`SELECT id FROM k.t`).length, 499)
      })))
    }
  },
  cli: async () => {
    const { Codegen, KeyspaceSchema } = await import("@effect-scylla/cli")
    const { CqlClient } = await import("@effect-scylla/driver")
    const { SimulatedCluster } = await import("@effect-scylla/testkit")
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 2 })
      const cql = yield* CqlClient.make({ contactPoints: cluster.contactPoints })
      yield* cql`CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}`
      yield* cql`CREATE TABLE k.order_items (id int PRIMARY KEY, price decimal)`
      const [file] = Codegen.generate([yield* KeyspaceSchema.read(cql, "k")])
      check("a column", file.text.includes("  price: Schema.NullOr(CqlTypes.Decimal)\n"), true)
    })))
  },
  testkit: async () => {
    const { SimulatedCluster } = await import("@effect-scylla/testkit")
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 4 })
      yield* cluster.stop(2)
      check("nodes that run", cluster.nodes.map(({ isRunning }) => isRunning), [true, true, false])
    })))
  },
  alternator: async () => {
    const { AlternatorClient, AttributeValue } = await import("@effect-scylla/alternator")
    const item = { a: 1, b: ["x", new Set(["y"])], v: new Float32Array([0.5, -1]) }
    const there = AttributeValue.decodeItem(JSON.parse(AttributeValue.encodeItem(item)))
    check("an item", [there.a, [...there.v], [...there.b[1]]], [1, [0.5, -1], ["y"]])
    // Nobody is there: that is a typed error, soon.
    const error = await Effect.runPromise(Effect.scoped(Effect.flip(
      Effect.flatMap(
        AlternatorClient.AlternatorClient,
        (client) => client.listTables({})
      ).pipe(Effect.provide(AlternatorClient.layer({ seeds: ["127.0.0.1:1"], deadline: "1 second" })))
    )))
    check("nobody is there", error._tag, "AlternatorError")
  },
  "raft-client": async () => {
    const { DEngineAdapter, RaftClient, Transport } = await import("@effect-scylla/raft-client")
    const { make } = await import("@effect-scylla/testkit/RaftSimulator")
    const simulated = await import("@effect-scylla/testkit/RaftSimulatedTransport")
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make({})
      const transport = yield* simulated.make(cluster)
      const client = yield* Effect.provideService(
        RaftClient.make({ endpoints: cluster.endpoints, adapter: DEngineAdapter.make() }),
        Transport.Transport,
        transport
      )
      yield* client.put("key", "value")
      const found = yield* client.get("key")
      check("a value", new TextDecoder().decode(found.value), "value")
    })))
    // By way of gRPC: nobody is there, and that is a typed error.
    const error = await Effect.runPromise(Effect.scoped(Effect.flip(
      RaftClient.make({ endpoints: ["127.0.0.1:1"], adapter: DEngineAdapter.make(), timeout: "1 second" })
    )))
    check("nobody is there", error._tag, "RaftError")
  }
}

for (const name of process.argv.slice(2)) {
  await smoke[name]()
  console.log(`ok ${name}`)
}
