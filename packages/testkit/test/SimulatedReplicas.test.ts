/** Nodes with data of their own: what reads see of writes, by level, and how nodes that missed something are told. */
import type { Consistency, Request } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { connect, errorOf, type RawClient, rowsOf } from "./rawClient.ts"

type Level = Consistency.Consistency

const setUp = (options: SimulatedCluster.Options = {}) =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({
      nodes: 3,
      shards: 1,
      transport: "memory",
      replicas: "own",
      ...options
    })
    const dial = Effect.fnUntraced(function*(node: number) {
      const client = yield* connect(`127.0.0.${node + 1}`, 9042, cluster.transport)
      yield* client.startup()
      return client
    })
    const client = yield* dial(0)
    yield* client.query("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
    yield* client.query("CREATE TABLE ks.t (p int, c int, v text, PRIMARY KEY (p, c))")
    return { cluster, client, dial }
  })

const insert = (client: RawClient, v: string, consistency: Level, options: Partial<Request.Options> = {}) =>
  client.query(`INSERT INTO ks.t (p, c, v) VALUES (1, 1, '${v}')`, { consistency, ...options })

const seen = (client: RawClient, consistency: Level, query = "SELECT v FROM ks.t WHERE p = 1") =>
  Effect.map(client.query(query, { consistency }), (answer) => rowsOf(answer).map(({ v }) => v))

describe("nodes with data of their own", () => {
  it.effect("show what they missed at ONE, and the last write where QUORUM meets QUORUM", () =>
    Effect.gen(function*() {
      const { client, cluster, dial } = yield* setUp()
      yield* insert(client, "old", "ALL")
      yield* cluster.stop(2)
      assert.strictEqual((yield* insert(client, "new", "QUORUM"))._tag, "Void")
      yield* cluster.start(2)
      const third = yield* dial(2)
      // Its own copy comes first, and nobody told it yet.
      assert.deepStrictEqual(yield* seen(third, "ONE"), ["old"])
      assert.deepStrictEqual(yield* seen(third, "ONE", "SELECT v FROM ks.t"), ["old"])
      assert.deepStrictEqual(yield* seen(client, "ONE"), ["new"])
      assert.deepStrictEqual(yield* seen(third, "QUORUM"), ["new"])
      // A read that notices repairs.
      assert.deepStrictEqual(yield* seen(third, "ONE"), ["new"])
    }))

  it.effect("are told by hints when they are back", () =>
    Effect.gen(function*() {
      const { client, cluster, dial } = yield* setUp()
      yield* cluster.stop(2)
      yield* insert(client, "new", "ONE")
      yield* client.query("DELETE FROM ks.t WHERE p = 2")
      yield* cluster.start(2)
      const third = yield* dial(2)
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* seen(third, "ONE"), [])
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* seen(third, "ONE"), ["new"])
    }))

  it.effect("keep the write with the later timestamp, whichever they hear of first", () =>
    Effect.gen(function*() {
      const { client, cluster, dial } = yield* setUp()
      yield* cluster.stop(2)
      yield* insert(client, "early", "QUORUM", { timestamp: 1n })
      yield* cluster.start(2)
      const third = yield* dial(2)
      yield* cluster.stop(1)
      yield* cluster.setFault(0, { _tag: "Stopped" })
      assert.strictEqual(errorOf(yield* insert(third, "late", "QUORUM", { timestamp: 2n })).code, 0x1100)
      assert.deepStrictEqual(yield* seen(third, "ONE"), ["late"])
      yield* cluster.setFault(0, undefined)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* seen(client, "ONE"), ["late"])
      assert.deepStrictEqual(yield* seen(third, "QUORUM"), ["late"])
    }))

  it.effect("that hang are waited for in vain: timeouts say how many answered, and the write may be there", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp()
      yield* insert(client, "old", "ALL")
      yield* cluster.setFault(1, { _tag: "Stopped" })
      yield* cluster.setFault(2, { _tag: "HalfOpen" })
      const write = errorOf(yield* insert(client, "new", "QUORUM"))
      assert.deepInclude({ ...write } as object, {
        code: 0x1100,
        received: 1,
        required: 2,
        writeType: "SIMPLE",
        consistency: "QUORUM"
      })
      assert.strictEqual(write.message, "Operation timed out for ks.t - received only 1 responses from 2 CL=QUORUM.")
      const read: object = errorOf(yield* client.query("SELECT v FROM ks.t WHERE p = 1", { consistency: "QUORUM" }))
      assert.deepInclude(read, { code: 0x1200, received: 1, required: 2, dataPresent: true })
      assert.deepStrictEqual(yield* seen(client, "ONE"), ["new"])
      const batch =
        "BEGIN BATCH INSERT INTO ks.t (p, c) VALUES (2, 1); INSERT INTO ks.t (p, c) VALUES (3, 1); APPLY BATCH"
      const failed: object = errorOf(yield* client.query(batch, { consistency: "ALL" }))
      assert.deepInclude(failed, {
        writeType: "BATCH",
        received: 1
      })
    }))

  it.effect("that are down are not asked: UNAVAILABLE, and nothing is written", () =>
    Effect.gen(function*() {
      const { client, cluster } = yield* setUp({ product: "cassandra" })
      yield* cluster.stop(1)
      yield* cluster.stop(2)
      assert.strictEqual(errorOf(yield* insert(client, "new", "QUORUM")).code, 0x1000)
      assert.deepStrictEqual(yield* seen(client, "ONE"), [])
      assert.strictEqual((yield* insert(client, "new", "ONE"))._tag, "Void")
      assert.strictEqual(errorOf(yield* client.query("SELECT v FROM ks.t", { consistency: "ALL" })).code, 0x1000)
    }))

  it.effect("agree on conditions", () =>
    Effect.gen(function*() {
      const { client, cluster, dial } = yield* setUp()
      yield* cluster.stop(2)
      yield* insert(client, "new", "QUORUM")
      yield* cluster.start(2)
      yield* cluster.stop(1)
      const third = yield* dial(2)
      const answer = yield* third.query("UPDATE ks.t SET v = 'next' WHERE p = 1 AND c = 1 IF v = 'new'", {
        consistency: "QUORUM"
      })
      assert.strictEqual(rowsOf(answer)[0]!["[applied]"], true)
      assert.deepStrictEqual(yield* seen(third, "ONE"), ["next"])
    }))

  it.effect("count each increment once, forget what was truncated, and do not leave", () =>
    Effect.gen(function*() {
      const { client, cluster, dial } = yield* setUp()
      yield* client.query("CREATE TABLE ks.n (p int PRIMARY KEY, v counter)")
      yield* cluster.stop(2)
      yield* client.query("UPDATE ks.n SET v = v + 2 WHERE p = 1", { consistency: "QUORUM" })
      yield* insert(client, "new", "QUORUM")
      yield* cluster.start(2)
      const third = yield* dial(2)
      yield* client.query("UPDATE ks.n SET v = v + 3 WHERE p = 1", { consistency: "QUORUM" })
      assert.deepStrictEqual(yield* seen(third, "ONE", "SELECT v FROM ks.n WHERE p = 1"), [3n])
      assert.deepStrictEqual(yield* seen(third, "ALL", "SELECT v FROM ks.n WHERE p = 1"), [5n])
      yield* client.query("TRUNCATE ks.t")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* seen(third, "ONE"), [])
      assert.deepStrictEqual(yield* seen(third, "ONE", "SELECT v FROM ks.n WHERE p = 1"), [5n])
      assert.include((yield* Effect.flip(cluster.remove(1))).message, "not simulated")
    }))

  it.effect("are not there by default", () =>
    Effect.gen(function*() {
      const { client, cluster, dial } = yield* setUp({ replicas: "one" })
      yield* cluster.stop(2)
      yield* insert(client, "new", "ONE")
      yield* cluster.start(2)
      assert.deepStrictEqual(yield* seen(yield* dial(2), "ONE"), ["new"])
    }))
})
