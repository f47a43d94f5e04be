/** Found for issue 14, in the second round: what was mended and is not whole. */
import type { Balancing, CqlClient } from "@effect-scylla/driver"
import * as StatementKind from "@effect-scylla/driver/StatementKind"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Tracer } from "effect"
import { TestClock } from "effect/testing"
import * as ExecuteOptions from "../../src/ExecuteOptions.ts"
import { withoutLiterals } from "../../src/internal/lexis.ts"
import { clientOf, passing, world } from "../support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })

const executes = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number, node: number) => SimulatedCluster.Intercepted | undefined = () => undefined
) {
  const seen: Array<number> = []
  yield* cluster.intercept(({ node, opcode }) => {
    if (opcode !== Frame.Opcode.EXECUTE) return undefined
    seen.push(node)
    return answer(seen.length, node)
  })
  return seen
})

const uses = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster, cql: CqlClient.CqlClient) {
  const prepared: Array<string> = []
  yield* cluster.intercept(({ request }) => {
    if (request._tag === "Prepare") prepared.push(request.query)
    return undefined
  })
  const id = Uuid.random()
  const use = (name: string) => passing(cql.execute(`SELECT id, v AS ${name} FROM ks.t WHERE id = ?`, [id]))
  return { prepared, use }
})

describe("texts without their literals", () => {
  // lexis.ts, `withoutLiterals`: knows no comments, so that an apostrophe in one turns inside and outside of strings round: what is in them is
  // in spans and the log. Match `COMMENT` and `QUOTED_NAME` before them; replace comments with " " (or keep them), keep names.
  it("are without them where a comment has an apostrophe", () => {
    const text = "-- the customer's mail\nSELECT id FROM ks.t WHERE mail = 'secret@example.org'"
    assert.notInclude(withoutLiterals(text), "secret")
  })

  // lexis.ts, `withoutLiterals`: the same by an apostrophe in a quoted name. `new RegExp(`(${QUOTED_NAME})|${COMMENT}|${STRING}|${NUMBERS}`)`
  // with a function that answers the name as it is.
  it("are without them where a quoted name has an apostrophe", () => {
    assert.notInclude(withoutLiterals(`SELECT "it's" FROM ks.t WHERE mail = 'secret@example.org'`), "secret")
  })

  // lexis.ts, `withoutLiterals`: a number in a quoted name is replaced, so that the name of the table is lost. The same expression mends it.
  it("keep quoted names as they are", () => {
    assert.strictEqual(withoutLiterals(`SELECT "2024" FROM ks.t WHERE id = 1`), `SELECT "2024" FROM ks.t WHERE id = ?`)
  })

  // lexis.ts, `NUMBERS`: `\b` after the digits leaves durations (`89h4m48s`, `P1Y2M`), `NaN` and `true`. Take over the constants of the
  // `TOKEN` of Idempotence.ts: `\d+(?:y|mo|w|d|h|ms|us|µs|ns|m|s)` in a row.
  it("are without durations", () => {
    assert.notInclude(withoutLiterals("UPDATE ks.t SET d = 89h4m48s WHERE id = 1"), "89h")
  })
})

describe("counters", () => {
  // lexis.ts, `withoutTexts`: knows no quoted names; all from the apostrophe in one to the next string is cut out, the assignment with it
  // (in `refusal` USING TIMESTAMP likewise). Match `QUOTED_NAME` first, and answer it as it is.
  it("are known where a quoted name has an apostrophe", () => {
    const text = `UPDATE ks."it's" SET c = c + 1 WHERE id = 'x'`
    assert.isTrue(StatementKind.of(text).isCounter)
  })

  // StatementKind.ts, `COUNTS`: goes back over every doubled quote from every quote: 0.8 s for 16 KB, in which the process does nothing else.
  // Replace names by `NAME` with a number for each (`"1"`), so that no quote is doubled and `COUNTS` needs `"\d+"` only.
  it("are looked for in no time that grows with the square of the text", () => {
    const time = (size: number) => {
      const text = `UPDATE t SET a = 1 + "${'""'.repeat(size / 2 - 100)}" WHERE id = 1`
      const times = Array.from({ length: 3 }, () => {
        const begun = performance.now()
        StatementKind.of(text)
        return performance.now() - begun
      })
      return Math.min(...times)
    }
    assert.isBelow(time(16_000), 100)
  })
})

describe("prepared statements", () => {
  // preparedCache.ts, `get`: moves a statement at its first use after an addition only, and the one that was added last not at all: what is
  // forgotten is what was used first since, not what was used last. Give each use a number (`usedAt = ++uses`), and look for the least.
  it.effect("that are in use all the time are not forgotten for a new one", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1, shards: 1 }, { maxPrepared: 3 })
      const { prepared, use } = yield* uses(cluster, cql)
      for (const name of ["a", "b", "hot"]) yield* use(name)
      for (const name of ["a", "b"]) yield* use(name)
      for (let i = 0; i < 100; i++) yield* use("hot")
      prepared.length = 0
      yield* use("d")
      yield* use("hot")
      assert.deepStrictEqual(prepared.map((text) => text.includes("hot")), [false])
    }))

  // preparedCache.ts, `teach`: looks with `get`, which marks as used, in the order of what was used last first: after a node has come up
  // the one that was used last is the first to go. Look with `this.statements.get(keyOf(...))`.
  it.effect("are not marked as used by being taught", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 2, shards: 1 }, { maxPrepared: 3 })
      const { prepared, use } = yield* uses(cluster, cql)
      for (const name of ["a", "b", "hot"]) yield* use(name)
      yield* TestClock.adjust("1 second")
      yield* cluster.stop(1)
      yield* TestClock.adjust("5 seconds")
      yield* cluster.start(1)
      for (let i = 0; i < 300; i++) yield* TestClock.adjust("100 millis")
      yield* use("d")
      yield* TestClock.adjust("1 second")
      prepared.length = 0
      yield* use("hot")
      assert.deepStrictEqual(prepared, [])
    }))
})

describe("a policy of the user's", () => {
  // ways.ts, `mostOf` with plan.ts, `seek`: 2 n + 8 places of no use are taken for endless, but a policy may give every shard of a node
  // before the next node. Count only places that were given before (same host and shard), or allow for all shards of all nodes.
  it.effect("may give all shards of one node before the next node", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 3, shards: 16 })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      const seen = yield* executes(cluster, (count) => count === 1 ? { _tag: "Error", error: overloaded } : undefined)
      const balancing: Balancing.Policy = (_, { local }) =>
        local.flatMap((node) => Array.from({ length: 16 }, (_, shard) => ({ node, shard })))
      yield* passing(cql.execute(select, [Uuid.random()], { balancing }))
      assert.strictEqual(seen.length, 2)
    }))

  // executeRequest.ts, `onOverdue`: `core.mayMove` takes from the budget before the policy is asked, who says `Fail`: nothing moves, and
  // requests without a policy have nothing left. Ask the policy first, then `mayMove`.
  it.effect("that gives nothing up leaves the others their moves", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 2, shards: 1 })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      const seen = yield* executes(cluster, () => ({ _tag: "Delay", millis: 1_000 }))
      const options = { attemptTimeout: "300 millis", timeout: "5 seconds" } as const
      const many = (retry: {} | undefined) =>
        passing(Effect.forEach(
          Array.from({ length: 300 }),
          () => Effect.exit(cql.execute(select, [Uuid.random()], { ...options, retry: retry as never })),
          { concurrency: 300 }
        ))
      yield* many({ decide: () => "Fail" })
      const before = seen.length
      assert.strictEqual(before, 300)
      yield* passing(Effect.exit(cql.execute(select, [Uuid.random()], options)))
      assert.strictEqual(seen.length - before, 2)
    }))

  // executeRequest.ts, `beginAgain`: empties `tried`, which those that race share, and with it where the others are: both are at one node.
  // In a race do not begin again (return where `this.race !== undefined`), or keep the nodes at which another one is.
  it.effect("sends those that race to no node where one of them is", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 2, shards: 1 })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      const seen = yield* executes(cluster, (count) =>
        count === 1 ? { _tag: "Ignore" } : count === 2 ? { _tag: "Error", error: overloaded } : { _tag: "Ignore" })
      const fiber = yield* Effect.forkChild(
        cql.execute(select, [Uuid.random()], {
          speculation: { delay: "20 millis" },
          attemptTimeout: false,
          timeout: "2 seconds",
          retry: {
            decide: () =>
              "NextNode"
          }
        }),
        { startImmediately: true }
      )
      for (let i = 0; i < 40; i++) {
        yield* TestClock.adjust("10 millis")
      }
      yield* Fiber.interrupt(fiber)
      // The second one may be asked again, the first one has it still.
      assert.strictEqual(
        seen.filter((node) =>
          node === seen[0]
        ).length,
        1,
        seen.join()
      )
    }))

  // executeRequest.ts, `failed`: "nobody is left, nothing to wait for" goes by who is up now; with a policy that says NextNode in 10 s the
  // request fails at once when the last node goes away (SameNode waits, and succeeds). Skip that condition where the policy gave a delay.
  it.effect("waits as long as it says where nobody can be asked now", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1, shards: 1 })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      yield* executes(cluster, () => ({ _tag: "Ignore" }))
      const fiber = yield* Effect.forkChild(
        cql.execute(select, [Uuid.random()], {
          timeout: "30 seconds",
          attemptTimeout: false,
          retry: { decide: () => ({ decision: "NextNode", delay: "10 seconds" }) }
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 millis")
      yield* cluster.stop(0)
      yield* TestClock.adjust("100 millis")
      yield* cluster.intercept(undefined)
      yield* cluster.start(0)
      for (let i = 0; i < 250; i++) yield* TestClock.adjust("100 millis")
      yield* Fiber.join(fiber)
    }))
})

describe("options", () => {
  // ExecuteOptions.ts, `isSame`: a `Duration` is no literal, so that a policy with one that is written at a call is another each time: each
  // request resolves it and makes templates anew. Compare Durations with `Equal.equals`, or take them for milliseconds in `plain`.
  it("with a policy that has a duration are resolved once", () => {
    const defaults = { request: { consistency: "ONE" } } as never
    const resolver = new ExecuteOptions.Resolver(defaults, () => ({}) as never)
    const resolve = (delay: Duration.Input) => resolver.resolve({ speculation: { delay } })
    assert.strictEqual(resolve("20 millis"), resolve("20 millis"))
    assert.strictEqual(resolve(Duration.millis(20)), resolve(Duration.millis(20)))
  })
})

describe("executeMany", () => {
  // executeRequest.ts, `noteSpan`: all rows write the same `traced`, and the one that is answered last overwrites the history of the others.
  // Have `record` tell the attempt to `traced` (a list of its own) and let `finish` read that.
  it.effect("tells in its span what all rows have been through", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      yield* TestClock.adjust("1 second")
      yield* executes(cluster, (count) =>
        count === 1
          ? { _tag: "Error", error: overloaded }
          : count === 2
          ? { _tag: "Delay", millis: 500 }
          : undefined)
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span(options) {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const rows = [[Uuid.random(), 1], [Uuid.random(), 2]]
      yield* passing(Effect.withTracer(cql.executeMany(insert, rows, { attemptTimeout: false }), tracer))
      assert.deepStrictEqual(spans.flatMap(({ events }) => events.map(([name]) => name)), ["cql.attempt"])
    }))
})

describe("grouped", () => {
  // grouping.ts, `sendGrouped`: counts in `entries`, from which those with wrong values are missing. Look for the conditional one before
  // they are left out, or keep where each entry comes from.
  it.effect("names the conditional statement by its place", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      const once = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?) IF NOT EXISTS"))
      const error = yield* passing(Effect.flip(cql.grouped([
        [insert, { id: Uuid.random() }],
        [once, [Uuid.random(), 1]]
      ])))
      assert.include(error.message, "statement 2 is conditional")
    }))
})

describe("a client with options of its own", () => {
  // CqlClient.ts, `withDefaults`: `prepare` has the keyspace of these options, but not that of their profile, which `execute` of the same
  // client then asks for. Have `keyspace` there be `defaults.keyspace ??` that of the profile (`runner` may resolve it).
  it.effect("prepares in the keyspace of its profile", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory", product: "cassandra" })
      const admin = yield* passing(clientOf(cluster))
      for (const name of ["one", "two"]) {
        yield* passing(admin.execute(
          `CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
        ))
        yield* passing(admin.execute(`CREATE TABLE ${name}.t (id uuid PRIMARY KEY, v int)`))
      }
      const cql = yield* passing(clientOf(cluster, { keyspace: "one", profiles: { second: { keyspace: "two" } } }))
      const second = cql.with({ profile: "second" })
      const insert = yield* passing(second.prepare("INSERT INTO t (id, v) VALUES (?, ?)"))
      yield* passing(second.execute(insert, [Uuid.random(), 2]))
      assert.strictEqual((yield* passing(admin.execute("SELECT * FROM two.t"))).rows.length, 1)
    }))
})
