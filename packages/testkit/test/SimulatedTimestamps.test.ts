/** Whose timestamp a write has: that of its text, of the request, or of the node's own clock. */
import { Codec, CqlType } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { connect, errorOf, type RawClient, rowsOf } from "./rawClient.ts"
import { client, clientOf, int, ok, read, refusal } from "./statements.ts"

const TABLE = "CREATE TABLE t (pk int PRIMARY KEY, v int, w int)"
/** Microseconds, what a client whose clock is right sends after `at`. */
const AT = Duration.seconds(100)
const NOW = 100_000_000n

/** A cluster whose time is `NOW`. */
const world = (options: SimulatedCluster.Options, ...statements: ReadonlyArray<string>) =>
  Effect.andThen(TestClock.adjust(AT), clientOf(options, TABLE, ...statements))

const prepare = Effect.fnUntraced(function*(of: RawClient, query: string) {
  const answer = yield* of.request({ _tag: "Prepare", query })
  if (answer._tag !== "Prepared") return assert.fail(JSON.stringify(answer))
  return answer.id
})

describe("the clock of a node", () => {
  it.effect("that is ahead wins over clients that are right", () =>
    Effect.gen(function*() {
      const c = yield* world({ clockSkew: "5 millis" })
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 1)")
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 2)", { timestamp: NOW + 4000n })
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["1"])
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 3)", { timestamp: NOW + 6000n })
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["3"])
    }))

  it.effect("that is behind loses to what clients wrote before, deletions too", () =>
    Effect.gen(function*() {
      const c = yield* world({ clockSkew: "-5 millis" })
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 1)", { timestamp: NOW })
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 2)")
      yield* ok(c, "DELETE FROM t WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["1"])
      yield* TestClock.adjust("6 millis")
      yield* ok(c, "DELETE FROM t WHERE pk = 1")
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), [])
    }))

  it.effect("is each node's own, and in order on each", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        transport: "memory",
        nodes: 2,
        clockSkew: (node) => node === 0 ? 0 : "-1 seconds"
      })
      const [right, late] = yield* Effect.forEach(cluster.nodes, ({ address }) =>
        Effect.gen(function*() {
          const made = yield* connect(address, 9042, cluster.transport)
          yield* made.startup()
          return made
        }))
      yield* ok(right!, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
      yield* ok(right!, TABLE.replace("t ", "ks.t "))
      yield* ok(right!, "INSERT INTO ks.t (pk, v) VALUES (1, 1)")
      yield* ok(late!, "INSERT INTO ks.t (pk, v) VALUES (1, 2)")
      assert.deepStrictEqual(yield* read(late!, "SELECT v FROM ks.t"), ["1"])
      // Within one instant a node gives one timestamp after the other.
      for (const v of [3, 4]) yield* ok(late!, `INSERT INTO ks.t (pk, v) VALUES (2, ${v})`)
      assert.deepStrictEqual(yield* read(right!, "SELECT v FROM ks.t WHERE pk = 2"), ["4"])
    }))

  it.effect("is not asked in which order conditional statements of a partition ran", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        transport: "memory",
        nodes: 2,
        clockSkew: (node) => node === 0 ? 0 : "-1 seconds"
      })
      const [right, late] = yield* Effect.forEach(cluster.nodes, ({ address }) =>
        Effect.tap(connect(address, 9042, cluster.transport), (made) => made.startup()))
      yield* ok(right!, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}")
      yield* ok(right!, TABLE.replace("t ", "ks.t "))
      yield* ok(right!, "INSERT INTO ks.t (pk, v) VALUES (1, 1) IF NOT EXISTS")
      yield* ok(late!, "UPDATE ks.t SET v = 2 WHERE pk = 1 IF v = 1")
      assert.deepStrictEqual(yield* read(late!, "SELECT v FROM ks.t"), ["2"])
    }))

  it.effect("must be off by something finite", () =>
    Effect.gen(function*() {
      const wrong = yield* Effect.flip(SimulatedCluster.make({ transport: "memory", clockSkew: "Infinity" }))
      assert.strictEqual(wrong.message, "clockSkew must be a finite duration")
    }))
})

describe("the timestamp of a request", () => {
  it.effect("is that of the statement that is executed, too, and the text's wins", () =>
    Effect.gen(function*() {
      const c = yield* client(TABLE)
      const plain = yield* prepare(c, "UPDATE t SET v = ? WHERE pk = 1")
      const stamped = yield* prepare(c, "UPDATE t USING TIMESTAMP ? SET v = ? WHERE pk = 1")
      const bigint = (value: bigint) => Codec.encode(CqlType.scalar("bigint"), value)!
      const execute = (id: Uint8Array, timestamp: bigint, ...values: ReadonlyArray<Uint8Array>) =>
        c.request({ _tag: "Execute", id, values: { values }, options: { consistency: "ONE", timestamp } })
      yield* execute(plain, 10n, int(1))
      yield* execute(plain, 9n, int(2))
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["1"])
      yield* execute(stamped, 20n, bigint(5n), int(3))
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["1"])
      yield* execute(stamped, 0n, bigint(11n), int(4))
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["4"])
    }))

  it.effect("of a batch is that of its statements that name none", () =>
    Effect.gen(function*() {
      const c = yield* client(TABLE, "INSERT INTO t (pk, v, w) VALUES (1, 0, 0) USING TIMESTAMP 10")
      const id = yield* prepare(c, "UPDATE t USING TIMESTAMP 11 SET w = ? WHERE pk = 1")
      const batch = (timestamp: bigint, v: number) =>
        c.request({
          _tag: "Batch",
          kind: "logged",
          entries: [
            { _tag: "Text", query: `UPDATE t SET v = ${v} WHERE pk = 1`, values: [] },
            { _tag: "Prepared", id, values: [int(v)] }
          ],
          options: { consistency: "ONE", timestamp }
        })
      yield* batch(9n, 1)
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t"), ["0 1"])
      yield* batch(12n, 2)
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t"), ["2 2"])
      const text = (using: string, first: string) =>
        `BEGIN BATCH ${using} UPDATE t ${first} SET v = 7 WHERE pk = 1; UPDATE t SET w = 7 WHERE pk = 1; APPLY BATCH`
      yield* ok(c, text("", "USING TIMESTAMP 5"), { timestamp: 13n })
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t"), ["2 7"])
      yield* ok(c, text("USING TIMESTAMP 6", ""), { timestamp: 14n })
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t"), ["2 7"])
      assert.match(yield* refusal(c, text("USING TIMESTAMP 6", "USING TIMESTAMP 5")), /^Timestamp must be set either/)
    }))

  it.effect("means nothing to counters, nor to conditional statements, which have that of Paxos", () =>
    Effect.gen(function*() {
      const c = yield* world({}, "CREATE TABLE n (pk int PRIMARY KEY, n counter)")
      yield* ok(c, "UPDATE n SET n = n + 1 WHERE pk = 1", { timestamp: 10n })
      yield* ok(c, "UPDATE n SET n = n + 1 WHERE pk = 1", { timestamp: 5n })
      assert.deepStrictEqual(yield* read(c, "SELECT n FROM n"), ["2"])
      yield* ok(c, "INSERT INTO t (pk, v) VALUES (1, 1) IF NOT EXISTS", { timestamp: 1n })
      yield* ok(c, "UPDATE t SET v = 2 WHERE pk = 1", { timestamp: NOW - 1n })
      assert.deepStrictEqual(yield* read(c, "SELECT v FROM t"), ["1"])
      // A timestamp beside a condition of another statement is that of Paxos all the same.
      const batch = "BEGIN BATCH UPDATE t SET v = 3 WHERE pk = 1 IF v = 1; " +
        "UPDATE t USING TIMESTAMP 2 SET w = 3 WHERE pk = 1; APPLY BATCH"
      assert.deepStrictEqual(rowsOf(yield* ok(c, batch)).map((row) => row["[applied]"]), [true, true])
      yield* ok(c, "UPDATE t SET w = 4 WHERE pk = 1", { timestamp: NOW - 1n })
      assert.deepStrictEqual(yield* read(c, "SELECT v, w FROM t"), ["3 3"])
    }))

  it.effect("is none when it is the smallest number, which Cassandra refuses", () =>
    Effect.gen(function*() {
      /** The codec does not write it: its last byte is that of the number after it. */
      const insert = Effect.fnUntraced(function*(of: RawClient, v: number) {
        const bytes = of.bytesOf({
          _tag: "Query",
          query: `INSERT INTO t (pk, v) VALUES (1, ${v})`,
          options: { consistency: "ONE", timestamp: 1n - 2n ** 63n }
        })
        bytes[bytes.length - 1] = 0
        yield* of.send(bytes)
        return of.read(yield* of.next)
      })
      const scylla = yield* world({})
      yield* insert(scylla, 1)
      yield* ok(scylla, "INSERT INTO t (pk, v) VALUES (1, 2)", { timestamp: NOW - 1n })
      assert.deepStrictEqual(yield* read(scylla, "SELECT v FROM t"), ["1"])
      const cassandra = yield* clientOf({ product: "cassandra" }, TABLE)
      const error = errorOf(yield* insert(cassandra, 1))
      assert.deepStrictEqual([error.code, error.message.slice(0, 22)], [0x0a, "Out of bound timestamp"])
    }))
})
