/** Found for issue 14: what is judged idempotent, or repeated, and must not be. */
import { RetryPolicy, StatementKind } from "@effect-scylla/driver"
import * as Idempotence from "@effect-scylla/driver/Idempotence"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "../support/world.ts"

/** BATCH, EXECUTE and QUERY on user tables from now on. */
const writes = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number) => SimulatedCluster.Intercepted | undefined
) {
  const seen: Array<{ readonly node: number }> = []
  yield* cluster.intercept(({ node, opcode, request }) => {
    const isData = opcode === Frame.Opcode.BATCH || opcode === Frame.Opcode.EXECUTE ||
      (request._tag === "Query" && /BATCH|INSERT|UPDATE/.test(request.query))
    if (!isData) return undefined
    seen.push({ node })
    return answer(seen.length)
  })
  return seen
})

const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })

describe("a list that is overwritten", () => {
  // Idempotence.ts (the shapes) and Prepared.isCertain: servers delete what a list held before at `timestamp - 1` and write each element
  // into a cell of its own, whose path is a new time-UUID (Cassandra 5.0.5 `UpdateParameters.setComplexDeletionTimeForOverwrite`,
  // `Lists.Setter`; ScyllaDB `lists::setter`, `make_tombstone_just_before`). The same overwrite at the same timestamp, which is what a
  // repetition sends, leaves the elements twice.
  it.effect("is not doubled by an attempt that took too long", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.l (id int PRIMARY KEY, l list<text>)"))
      const insert = yield* passing(cql.prepare("INSERT INTO ks.l (id, l) VALUES (?, ?)"))
      yield* TestClock.adjust("1 second")
      // The first node does what it is asked, and says so too late.
      yield* writes(cluster, (count) => count === 1 ? { _tag: "Delay", millis: 3_000 } : undefined)
      yield* passing(cql.execute(insert, [1, ["a"]]))
      yield* TestClock.adjust("5 seconds")
      const rows = yield* passing(cql`SELECT l FROM ks.l WHERE id = ${1}`)
      assert.deepStrictEqual(rows.map(({ l }) => l), [["a"]])
    }))

  it("is not certain by a text that has one", () => {
    const texts = [
      "INSERT INTO t (k, l) VALUES (1, ['x'])",
      "UPDATE t SET l = ['x'] WHERE k = 1",
      'INSERT INTO t JSON \'{"k": 1, "l": [1]}\''
    ]
    assert.deepStrictEqual(texts.filter((text) => Idempotence.isCertain(text)), [])
  })
})

describe("a comment that ends with a carriage return", () => {
  // StatementKind.ts:46-47 (SKIPPED), :55, Idempotence.ts:14: `--[^\n]*` and `//[^\n]*`; the servers' COMMENT ends with '\n' or '\r'
  // (Cassandra Lexer.g, ScyllaDB Cql.g: `('--' | '//') .* ('\n'|'\r')`). What is behind a lone '\r' is read by them and not here.
  it("does not hide a condition", () => {
    const text = "UPDATE t SET v = 1 WHERE k = 1 -- only if it is as it was\rIF v = 2"
    assert.isTrue(StatementKind.of(text).isConditional)
    assert.isFalse(Idempotence.isCertain(text))
  })
})

describe("a counter", () => {
  // batchStatement.ts:45: `isCounter: type === "counter"`. Servers take an unlogged batch of counters, too (Cassandra
  // `BatchStatement.validate`: only a mixture is refused), and `idempotent: true` is then believed.
  it.effect("in an unlogged batch is not sent twice, whatever is said of it", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.n (id int PRIMARY KEY, n counter)"))
      const count = yield* passing(cql.prepare("UPDATE ks.n SET n = n + ? WHERE id = ?"))
      const seen = yield* writes(cluster, () => ({ _tag: "Error", error: overloaded }))
      yield* passing(Effect.flip(cql.batch([[count, [1n, 1]]], { type: "unlogged", idempotent: true })))
      assert.strictEqual(seen.length, 1)
    }))

  // StatementKind.ts, `of`, case "BEGIN": `isCounter: second === "COUNTER"`.
  it.effect("in the text of an unlogged batch is not sent twice, whatever is said of it", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.n (id int PRIMARY KEY, n counter)"))
      const seen = yield* writes(cluster, () => ({ _tag: "Error", error: overloaded }))
      yield* passing(Effect.flip(
        cql.execute("BEGIN UNLOGGED BATCH UPDATE ks.n SET n = n + 1 WHERE id = 1 APPLY BATCH", [], { idempotent: true })
      ))
      assert.strictEqual(seen.length, 1)
    }))

  // StatementKind.ts:52 (COUNTS): the two names are compared as they are spelled.
  it("is one whose name is quoted once and once not, and one in a long text", () => {
    const texts = [
      'UPDATE t SET "n" = n + 1 WHERE id = 1',
      'UPDATE t SET n = "n" + 1 WHERE id = 1',
      'UPDATE t SET "where" = "where" + 1 WHERE id = 1'
    ]
    assert.deepStrictEqual(texts.filter((text) => StatementKind.of(text).isCounter !== true), [])
  })
})

describe("one statement of a batch that says it is not idempotent", () => {
  // executeRequest.ts, `isIdempotent`: `options.idempotent` (here of a profile, which is for what is left out) wins over what the
  // statement itself says; batchStatement.ts `isCertain` is not asked.
  it.effect("is not overruled by a profile", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { profiles: { safe: { idempotent: true } } })
      const seen = yield* writes(cluster, () => ({ _tag: "Error", error: overloaded }))
      const once = cql`INSERT INTO ks.t (id, v) VALUES (${Uuid.random()}, ${1})`.with({ idempotent: false })
      const error = yield* passing(Effect.flip(cql.batch([once], { profile: "safe" })))
      assert.strictEqual(error.outcome, "Ambiguous")
      assert.strictEqual(seen.length, 1)
    }))
})

describe("a strongly consistent keyspace", () => {
  // executeRequest.ts, `isIdempotent`: "what its text says counts where each time it is sent it writes at the same time"; such a keyspace
  // takes its times from the leader (strongConsistency.ts), so a repetition writes at another time, over what others wrote meanwhile.
  it.effect("does not repeat writes that nobody said to be idempotent", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ tablets: true, tabletVersions: true, globalKeyspaces: ["tab"] })
      yield* passing(cql.execute(
        "CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3} AND tablets = {'initial': 8}"
      ))
      yield* passing(cql.execute("CREATE TABLE tab.t (id int PRIMARY KEY, v int)"))
      const insert = yield* passing(cql.prepare("INSERT INTO tab.t (id, v) VALUES (?, ?)"))
      const seen = yield* writes(cluster, () => ({ _tag: "Error", error: overloaded }))
      yield* passing(Effect.flip(cql.execute(insert, [1, 1], { consistency: "QUORUM" })))
      assert.strictEqual(seen.length, 1)
    }))

  // strongConsistency.ts:6 and :28: USING_TIMESTAMP is looked for in strings and comments, too.
  it.effect("takes a text in which somebody writes about timestamps", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ tablets: true, tabletVersions: true, globalKeyspaces: ["tab"] })
      yield* passing(cql.execute(
        "CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3} AND tablets = {'initial': 8}"
      ))
      yield* passing(cql.execute("CREATE TABLE tab.t (id int PRIMARY KEY, v text)"))
      yield* passing(
        cql.execute("INSERT INTO tab.t (id, v) VALUES (?, 'using timestamp is refused')", [1], {
          consistency: "QUORUM"
        })
      )
    }))
})

describe("a retry policy", () => {
  // executeRequest.ts `renew`: a copy for the next evaluation takes `this.options`, which `failed` has replaced by `atLevel(…)`.
  it.effect("that asks at a lower level once does not do so for good", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare("SELECT id, v FROM ks.t WHERE id = ?"))
      yield* TestClock.adjust("1 second")
      const unavailable = new ServerError.Unavailable({
        code: 0x1000,
        message: "",
        consistency: "LOCAL_QUORUM",
        required: 2,
        alive: 1
      })
      const levels: Array<string> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Execute") return undefined
        levels.push(request.options.consistency)
        return levels.length === 1 ? { _tag: "Error", error: unavailable } : undefined
      })
      const retry: RetryPolicy.Policy = { decide: () => ({ decision: "SameNode", consistency: "ONE" }) }
      const read = cql.execute(select, [Uuid.random()], { retry })
      yield* passing(read)
      yield* passing(read)
      assert.deepStrictEqual(levels, ["LOCAL_QUORUM", "ONE", "LOCAL_QUORUM"])
    }))

  // executeRequest.ts `onOverdue` gives the attempt up before anybody has asked the policy whether there will be another one.
  it.effect("that allows no other attempt lets the first one have all the time", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare("SELECT id, v FROM ks.t WHERE id = ?"))
      yield* writes(cluster, () => ({ _tag: "Delay", millis: 3_000 }))
      for (const retry of [RetryPolicy.never, { maxAttempts: 1 }]) {
        yield* passing(cql.execute(select, [Uuid.random()], { retry }))
      }
    }))

  // RetryPolicy.ts `govern`: what is neither a decision nor a verdict (a misspelt word, a promise of an `async` function) is taken for
  // NextNode by executeRequest.ts `failed`, which only looks for "Fail" and "SameNode".
  it.effect("that answers nonsense repeats nothing", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare("SELECT id, v FROM ks.t WHERE id = ?"))
      const invalid = new ServerError.InvalidRequest({ code: 0x2200, message: "no" })
      for (const decide of [() => "RETHROW", async () => "Fail" as const, () => ({})]) {
        const seen = yield* writes(cluster, () => ({ _tag: "Error", error: invalid }))
        yield* passing(Effect.exit(cql.execute(select, [Uuid.random()], { retry: { decide: decide as never } })))
        assert.strictEqual(seen.length, 1)
      }
    }))

  // judging.ts:57: `!sent` is decided before the time that is left is looked at. A waiter whose time is over is refused, goes on to the next
  // node, is refused there at once, and begins the round again (`beginAgain`): for ever, without a turn of the event loop. Without the
  // limit in `decide` the process runs out of memory.
  it.effect("that always goes on does not hang the process when a request waits too long for room", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 2, shards: 1 }, { maxInFlight: 1 })
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      yield* TestClock.adjust("1 second")
      const seen = yield* writes(cluster, () => ({ _tag: "Ignore" }))
      const put = (v: number, timeout: "3 seconds" | "500 millis", retry?: RetryPolicy.Policy) =>
        cql.execute(insert, [Uuid.random(), v], { idempotent: false, timeout, retry })
      yield* Effect.forkChild(Effect.all([put(1, "3 seconds"), put(2, "3 seconds")], { concurrency: 2 }), {
        startImmediately: true
      })
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(seen.length, 2)
      let asked = 0
      const retry: RetryPolicy.Policy = {
        decide: () => {
          if (++asked > 1_000) throw new Error("it would go on for ever")
          return "NextNode"
        }
      }
      const error = yield* passing(Effect.flip(put(3, "500 millis", retry)))
      assert.strictEqual(error.reason._tag, "RequestTimeout")
      assert.strictEqual(error.outcome, "NotSent")
    }))
})
