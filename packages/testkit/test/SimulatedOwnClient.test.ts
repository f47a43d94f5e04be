/** Our own client on each product: what the two ends agree on by themselves. */
import { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"

for (
  const [product, versions, agreed] of [["scylla", undefined, 4], ["scylla", [3], 3], [
    "cassandra",
    undefined,
    5
  ]] as const
) {
  it.live(`${product}, ${versions === undefined ? "its versions" : `v${versions.join()}`}: v${agreed}`, () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.SimulatedCluster
      const client = yield* CqlClient.make({ contactPoints: cluster.contactPoints })
      yield* client.execute(
        "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
      )
      yield* client.execute("CREATE TABLE ks.t (pk int PRIMARY KEY, v text)")
      yield* client.execute("INSERT INTO ks.t (pk, v) VALUES (?, ?)", [1, "a"])
      const { rows } = yield* client.execute("SELECT * FROM ks.t WHERE pk = ?", [1])
      assert.deepStrictEqual<unknown>(rows, [{ pk: 1, v: "a" }])
      const clients = yield* client.execute(
        `SELECT protocol_version FROM ${product === "scylla" ? "system" : "system_views"}.clients`
      )
      assert.deepStrictEqual([...new Set(clients.rows.map((row) => row["protocol_version"]))], [agreed])
    }).pipe(Effect.scoped, Effect.provide(SimulatedCluster.layerMemory({ product, versions, nodes: 2, shards: 2 }))))
}
