/** Drivers of other languages, all with the same program: what one reads is what all read, on every cluster. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { drivers } from "./clients.ts"
import { answersOf, type Cluster, suite } from "./clusters.ts"

const literal = {
  id: 1,
  name: "Bo",
  email: "bo@example.com",
  tags: ["x", "y"],
  phones: { home: "11" },
  visits: [2, 1],
  home: { street: "Side 2", zip: 54_321 },
  uid: "00000000-0000-4000-8000-000000000001",
  balance: "-0.001",
  born: "1970-01-01",
  at: "1969-12-31T23:59:59.999Z",
  photo: "cafe",
  big: "-1",
  ok: false,
  score: -2.25,
  pos: [1, "one"],
  ip: "::1"
}

const prepared = {
  id: 2,
  name: "Åsa",
  email: "asa@example.com",
  tags: ["a", "b"],
  phones: { home: "1", work: "2" },
  visits: [3, 1, 2],
  home: { street: "Main 1", zip: 12_345 },
  uid: "123e4567-e89b-42d3-a456-426614174000",
  balance: "12.50",
  born: "1990-05-17",
  at: "2024-02-29T12:34:56.789Z",
  photo: "00ff10",
  big: "1208925819614629174706176",
  ok: true,
  score: 0.5,
  pos: [7, "x"],
  ip: "10.0.0.1"
}

const columns = {
  id: "int",
  name: "text",
  email: "text",
  tags: "set<text>",
  phones: "map<text, text>",
  visits: "list<int>",
  home: "frozen<address>",
  uid: "uuid",
  balance: "decimal",
  born: "date",
  at: "timestamp",
  photo: "blob",
  big: "varint",
  ok: "boolean",
  score: "double",
  pos: "frozen<tuple<int, text>>",
  ip: "inet"
}

/** What every driver reads. */
const expected = ({ copies, product }: Cluster) => ({
  literal,
  prepared,
  nobody: null,
  pages: { sizes: [40, 40, 40, 10], first: [129, "busy", "p129"], last: [0, "busy", "p0"] },
  again: true,
  slice: [11, 12, 13],
  batch: [[4, "few", "later"], [3, "few", "later"], [2, "few", "second"], [1, "few", "first"]],
  counters: { "/": 4, "/about": 10 },
  claims: [[true, null], [false, [3, "Cy"]], [false, ["Cy"]], [true, null], [false, null]],
  many: [[1, "Bo"], [2, "Åsa"], [3, "Ed"]],
  ring: { parts: 4, rows: 100 },
  changed: { tags: ["b", "c"], phones: { cell: "3", work: "2" }, visits: [9, 1, 2, 4] },
  lives: [true, 1_234_567_890_123_456],
  left: 100,
  indexed: [2],
  // The last one filters without ALLOW FILTERING, of which ScyllaDB only warns.
  errors: ["invalid", "syntax", "hits exists", "invalid", product === "scylla" ? "none" : "invalid"],
  meta: {
    nodes: copies,
    tables: ["customer", "event", "hits"],
    partition: ["source", "day"],
    clustering: [["seq", "desc"]],
    static: ["note"],
    columns,
    type: [["street", "zip"], ["text", "int"]]
  }
})

const traced = ["Execute CQL3 query", true]

/** Of ScyllaDB's nodes, a client that knows about shards has a connection to each, and asks the one that owns the partition. */
const assertShards = Effect.fnUntraced(function*({ copies, product, stats }: Cluster) {
  if (stats === undefined || product === "cassandra") return
  const { misrouted, nodes, owned } = yield* stats
  for (const { address, shards } of nodes) {
    const without = shards.filter(({ connections }) => connections.plain + connections.shardAware === 0)
    assert.deepStrictEqual(without, [], `shards of ${address} without a connection`)
  }
  // With tablets it learns who owns what from what went wrong, many requests late; of a ring it knows it beforehand.
  if (copies === 1) assert.isAbove(owned, 2 * misrouted, "requests on the shard that owns the partition")
})

suite(drivers.python, (cluster) =>
  Effect.gen(function*() {
    const answers = yield* answersOf(drivers.python, cluster)
    const own = { indexes: ["customer_email"], replicas: cluster.copies, traced, dropped: true }
    assert.deepStrictEqual(answers, { ...expected(cluster), own })
    yield* assertShards(cluster)
  }))

suite(drivers.rust, (cluster) =>
  Effect.gen(function*() {
    const answers = yield* answersOf(drivers.rust, cluster)
    const { meta: { clustering: _, ...meta }, ...rest } = expected(cluster)
    // It does not know the order of clustering columns.
    const own = { clustering: ["seq"], token: "-4069959284402364209", traced }
    assert.deepStrictEqual(answers, { ...rest, meta, own })
    yield* assertShards(cluster)
  }))

suite(drivers.go, (cluster) =>
  Effect.gen(function*() {
    const answers = yield* answersOf(drivers.go, cluster)
    assert.deepStrictEqual(answers, { ...expected(cluster), own: { traced: true } })
  }))

for (const driver of [drivers.java, drivers.scyllaJava]) {
  suite(driver, (cluster) =>
    Effect.gen(function*() {
      const answers = yield* answersOf(driver, cluster)
      const own = { inRanges: 100, indexes: ["customer_email"], replicas: cluster.copies, described: true, traced }
      assert.deepStrictEqual(answers, { ...expected(cluster), own })
      if (driver === drivers.scyllaJava) yield* assertShards(cluster)
    }))
}
