/** `cassandra-driver`, which knows nothing of us, on the simulated cluster. */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it, layer } from "@effect/vitest"
import cassandra from "cassandra-driver"
import { Effect, Fiber } from "effect"

const connect = Effect.acquireRelease(
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.SimulatedCluster
    const client = new cassandra.Client({
      contactPoints: cluster.nodes.map((node) => node.address),
      // system.peers of ScyllaDB has no ports: clients take the one they were given for every node.
      protocolOptions: { port: cluster.port },
      localDataCenter: cluster.datacenter,
      ...(cluster.credentials === undefined ? {} : { credentials: cluster.credentials })
    })
    yield* Effect.promise(() => client.connect())
    return client
  }),
  (client) => Effect.promise(() => client.shutdown())
)

layer(SimulatedCluster.layer({ nodes: 3, shards: 2, credentials: { username: "u", password: "p" } }), {
  excludeTestServices: true
})("cassandra-driver", (it) => {
  it.effect("connects, sees the nodes, and reads the schema's metadata", () =>
    Effect.gen(function*() {
      const client = yield* connect
      const run = (query: string) => Effect.promise(() => client.execute(query))
      assert.deepStrictEqual(client.hosts.values().map((host) => [host.datacenter, host.rack, host.isUp()]), [
        ["datacenter1", "rack1", true],
        ["datacenter1", "rack1", true],
        ["datacenter1", "rack1", true]
      ])
      yield* run(
        "CREATE KEYSPACE foreign_ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 2}"
      )
      yield* run("CREATE TYPE foreign_ks.addr (street text, zip int)")
      yield* run(
        "CREATE TABLE foreign_ks.t (a int, b text, c timeuuid, d map<text, int>, e frozen<addr>, PRIMARY KEY ((a, b), c)) " +
          "WITH CLUSTERING ORDER BY (c DESC) AND comment = 'hello'"
      )
      const table = yield* Effect.promise(() => client.metadata.getTable("foreign_ks", "t"))
      assert.deepStrictEqual(table.partitionKeys.map((column) => column.name), ["a", "b"])
      assert.deepStrictEqual(table.clusteringKeys.map((column) => column.name), ["c"])
      assert.deepStrictEqual([...table.clusteringOrder], ["DESC"])
      assert.deepStrictEqual(table.columns.map((column) => column.name).sort(), ["a", "b", "c", "d", "e"])
      assert.strictEqual(table.comment, "hello")
      const udt = yield* Effect.promise(() => client.metadata.getUdt("foreign_ks", "addr"))
      assert.deepStrictEqual(udt.fields.map((field) => field.name), ["street", "zip"])
      // Its own ring agrees with ours: two replicas for a token.
      assert.strictEqual(client.metadata.getReplicas("foreign_ks", Buffer.from([0, 0, 0, 1]))!.length, 2)
    }))

  it.effect("writes and reads rows, with prepared statements, pages, batches and conditions", () =>
    Effect.gen(function*() {
      const client = yield* connect
      const run = (
        query: string,
        values?: ReadonlyArray<unknown>,
        options: cassandra.QueryOptions = { prepare: true }
      ) => Effect.promise(() => client.execute(query, values as Array<unknown>, options))
      yield* run(
        "CREATE KEYSPACE rows_ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}",
        [],
        {}
      )
      yield* run("CREATE TABLE rows_ks.t (pk int, ck int, v text, s set<text>, u uuid, PRIMARY KEY (pk, ck))", [], {})
      const insert = "INSERT INTO rows_ks.t (pk, ck, v, s, u) VALUES (?, ?, ?, ?, ?)"
      const uuid = cassandra.types.Uuid.random()
      for (let ck = 0; ck < 25; ck++) yield* run(insert, [1, ck, `v${ck}`, ["b", "a"], uuid])
      const one = yield* run("SELECT * FROM rows_ks.t WHERE pk = ? AND ck = ?", [1, 7])
      assert.strictEqual(one.rows[0]!["v"], "v7")
      assert.deepStrictEqual(one.rows[0]!["s"], ["a", "b"])
      assert.isTrue(uuid.equals(one.rows[0]!["u"]))
      const seen: Array<number> = []
      yield* Effect.promise(async () => {
        const result = await client.execute("SELECT ck FROM rows_ks.t WHERE pk = ?", [1], {
          prepare: true,
          fetchSize: 4
        })
        for await (const row of result) seen.push(row["ck"])
      })
      assert.deepStrictEqual(seen, Array.from({ length: 25 }, (_, i) => i))
      yield* Effect.promise(() =>
        client.batch(
          [{ query: insert, params: [2, 1, "x", null, uuid] }, {
            query: "DELETE FROM rows_ks.t WHERE pk = ?",
            params: [1]
          }],
          { prepare: true }
        )
      )
      assert.strictEqual((yield* run("SELECT count(*) FROM rows_ks.t", [])).rows[0]!["count"].toNumber(), 1)
      const applied = yield* run("UPDATE rows_ks.t SET v = ? WHERE pk = ? AND ck = ? IF v = ?", ["y", 2, 1, "x"])
      assert.isTrue(applied.wasApplied())
      const { owned, requests } = yield* (yield* SimulatedCluster.SimulatedCluster).stats
      assert.isAbove(requests, 30)
      assert.isAbove(owned, 0)
    }))

  it.effect("hears of a node that goes and comes", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.SimulatedCluster
      const client = yield* connect
      const heard = Effect.callback<string>((resume) => {
        client.once("hostDown", (host: { readonly address: string }) => resume(Effect.succeed(host.address)))
      })
      // The control connection is on one of them: the last is another one, or the driver finds out by its reset.
      const down = yield* Effect.forkChild(heard, { startImmediately: true })
      yield* cluster.stop(2)
      assert.match(yield* Effect.timeout(Fiber.join(down), "10 seconds"), /127\.0\.0\.3/)
      const up = yield* Effect.forkChild(
        Effect.callback<string>((resume) => {
          client.once("hostUp", (host: { readonly address: string }) => resume(Effect.succeed(host.address)))
        }),
        { startImmediately: true }
      )
      yield* cluster.start(2)
      assert.match(yield* Effect.timeout(Fiber.join(up), "15 seconds"), /127\.0\.0\.3/)
    }))
})

/** It tries v4 at most unless it is told less, begins with the versions of DSE, and goes down when it is refused. */
describe("cassandra-driver, by product and version", () => {
  for (const product of ["scylla", "cassandra"] as const) {
    for (const maxVersion of [3, 4, undefined] as const) {
      it.live(`${product}, ${maxVersion === undefined ? "whatever it finds" : `v${maxVersion}`}`, () =>
        Effect.scoped(Effect.gen(function*() {
          const cluster = yield* SimulatedCluster.make({ product, nodes: 2, shards: 2 })
          const client = new cassandra.Client({
            contactPoints: cluster.nodes.map((node) => node.address),
            protocolOptions: { port: cluster.port, ...(maxVersion === undefined ? {} : { maxVersion }) },
            localDataCenter: cluster.datacenter
          })
          yield* Effect.addFinalizer(() => Effect.promise(() => client.shutdown()))
          yield* Effect.promise(() => client.connect())
          const run = (query: string, values: Array<unknown> = []) =>
            Effect.promise(() => client.execute(query, values, { prepare: values.length > 0 }))
          yield* run("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}")
          const { LocalDate, LocalTime } = cassandra.types
          // On v3 Cassandra announces the newer types by their class, and the driver cannot write those.
          const columns: ReadonlyArray<readonly [name: string, type: string, value: unknown]> = [
            ["a", "text", "ž"],
            ["l", "list<int>", [1, 2]],
            ...(product === "cassandra" && maxVersion === 3 ? [] : [
              ["d", "date", new LocalDate(2026, 11, 21)],
              ["p", "frozen<pair>", { a: 3, b: new LocalDate(1999, 1, 1) }],
              ["s", "smallint", -5],
              ["t", "time", LocalTime.fromString("12:34:56")],
              ["y", "tinyint", 7]
            ] as const)
          ]
          const names = columns.map(([name]) => name).join(", ")
          const values = columns.map(([, , value]) => value)
          yield* run("CREATE TYPE ks.pair (a smallint, b date)")
          yield* run(
            `CREATE TABLE ks.t (pk int PRIMARY KEY, ${columns.map(([name, type]) => `${name} ${type}`).join(", ")})`
          )
          yield* run(`INSERT INTO ks.t (pk, ${names}) VALUES (1, ${values.map(() => "?").join(", ")})`, values)
          const { rows } = yield* run(`SELECT ${names} FROM ks.t WHERE pk = ?`, [1])
          assert.deepStrictEqual(JSON.stringify(rows[0]!.values()), JSON.stringify(values))
          const versions = yield* run(
            `SELECT protocol_version FROM ${product === "scylla" ? "system" : "system_views"}.clients`
          )
          assert.deepStrictEqual([...new Set(versions.rows.map((each) => each["protocol_version"]))], [maxVersion ?? 4])
        })))
    }
  }
})
