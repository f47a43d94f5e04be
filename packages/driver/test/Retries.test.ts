/** What a user's policy may say of attempts that fail, and what all of them together may cost. */
import { RetryPolicy } from "@effect-scylla/driver"
import { Frame, type Request, ServerError, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, settle, world } from "./support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const LWT = "UPDATE ks.t SET v = ? WHERE id = ? IF v = ?"
const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
const timedOut = new ServerError.WriteTimeout({
  code: 0x1100,
  message: "late",
  consistency: "LOCAL_QUORUM",
  received: 1,
  required: 2,
  writeType: "SIMPLE"
})
const unsafe = { idempotent: false } as const

/** Data requests from now on, and what becomes of them. */
const attempts = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number) => SimulatedCluster.Intercepted | undefined
) {
  const seen: Array<{ readonly node: number; readonly shard: number; readonly options: Request.Options }> = []
  yield* cluster.intercept(({ node, opcode, request, shard }) => {
    if (opcode !== Frame.Opcode.EXECUTE || request._tag !== "Execute") return undefined
    seen.push({ node, shard, options: request.options })
    return answer(seen.length)
  })
  return seen
})

const setup = Effect.fnUntraced(
  function*(client: Parameters<typeof world>[1] = {}, options: Parameters<typeof world>[0] = {}) {
    const { cluster, cql } = yield* world(options, client)
    const select = yield* passing(cql.prepare(SELECT))
    const insert = yield* passing(cql.prepare(INSERT))
    const lwt = yield* passing(cql.prepare(LWT))
    // Every node knows them.
    yield* TestClock.adjust("1 second")
    return { cluster, cql, select, insert, lwt }
  }
)

const always = (error: ServerError.ServerError) => () => ({ _tag: "Error", error } as const)

describe("a policy of the user's", () => {
  it.effect("sees the failure, the outcome, and what would be done without it", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup({
        profiles: { careful: { label: "orders" } }
      })
      yield* attempts(cluster, always(timedOut))
      const told: Array<RetryPolicy.Attempted> = []
      const retry: RetryPolicy.Policy = {
        decide: (attempted) => {
          told.push(attempted)
          return attempted.proposed
        }
      }
      const error = yield* passing(
        Effect.flip(cql.execute(insert, [Uuid.random(), 1], { ...unsafe, retry, profile: "careful" }))
      )
      assert.strictEqual(error.reason._tag, "WriteTimeout")
      assert.strictEqual(told.length, 1)
      const { attempts: count, consistency, label, leftMillis, outcome, profile, proposed, reason, statement } =
        told[0]!
      assert.deepStrictEqual(
        { count, consistency, label, outcome, profile, proposed, reason: reason._tag, statement },
        {
          count: 1,
          consistency: "LOCAL_QUORUM",
          label: "orders",
          outcome: "Ambiguous",
          profile: "careful",
          proposed: "Fail",
          reason: "WriteTimeout",
          statement: INSERT
        }
      )
      assert.isAbove(leftMillis, 11_000)
    }))

  it.effect("cannot make a write be repeated that may have been applied, unless it says so in as many words", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup({ retry: { decide: () => "NextNode" } })
      const seen = yield* attempts(cluster, (count) => count === 1 ? { _tag: "Error", error: timedOut } : undefined)
      const error = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1], unsafe)))
      assert.deepStrictEqual([seen.length, error.outcome, error.attempts![0]!.decision], [1, "Ambiguous", "Fail"])
      const retry: RetryPolicy.Policy = {
        decide: () => ({ decision: "NextNode", evenIfItIsAppliedTwice: true })
      }
      const again = yield* attempts(cluster, (count) => count === 1 ? { _tag: "Error", error: timedOut } : undefined)
      yield* passing(cql.execute(insert, [Uuid.random(), 1], { ...unsafe, retry }))
      assert.strictEqual(again.length, 2)
      assert.notStrictEqual(again[0]!.node, again[1]!.node)
      assert.strictEqual(again[0]!.options.timestamp, again[1]!.options.timestamp)
    }))

  it.effect("repeats what is idempotent as often as it likes, up to its own bound", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup()
      const seen = yield* attempts(cluster, always(timedOut))
      const retry: RetryPolicy.Policy = { decide: () => "NextNode", maxAttempts: 5, backoff: false }
      const error = yield* passing(Effect.flip(cql.execute(insert, [Uuid.random(), 1], { retry })))
      assert.strictEqual(seen.length, 5)
      assert.strictEqual(error.attempts!.length, 5)
      // Once round all nodes, then again, and never the same one twice in a row.
      assert.strictEqual(new Set(seen.slice(0, 3).map(({ node }) => node)).size, 3)
      assert.isTrue(seen.every(({ node }, i) => i === 0 || node !== seen[i - 1]!.node))
    }))

  it.effect("may ask the same node, at another level, after a time of its own", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const seen = yield* attempts(cluster, (count) => count < 3 ? { _tag: "Error", error: overloaded } : undefined)
      const retry: RetryPolicy.Policy = {
        decide: () => ({ decision: "SameNode", delay: "2 seconds", consistency: "LOCAL_ONE" })
      }
      const fiber = yield* Effect.forkChild(cql.execute(select, [Uuid.random()], { retry }), { startImmediately: true })
      yield* TestClock.adjust("1900 millis")
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(seen.length, 2)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen.map(({ options }) => options.consistency), ["LOCAL_QUORUM", "LOCAL_ONE", "LOCAL_ONE"])
      assert.strictEqual(new Set(seen.map(({ node }) => node)).size, 1)
    }))

  it.effect("goes on to a node that was not tried, though the cluster was looked at again meanwhile", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const seen = yield* attempts(cluster, (count) => count < 3 ? { _tag: "Error", error: overloaded } : undefined)
      const retry: RetryPolicy.Policy = { decide: () => ({ decision: "NextNode", delay: "4 seconds" }) }
      const fiber = yield* Effect.forkChild(cql.execute(select, [Uuid.random()], { retry }), { startImmediately: true })
      const before = cql.cluster()
      for (let i = 0; i < 2; i++) {
        yield* TestClock.adjust("500 millis")
        yield* cluster.announce({ type: "TOPOLOGY_CHANGE", change: "NEW_NODE", address: "127.0.0.9" })
        const other =
          `CREATE KEYSPACE other${i} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
        yield* Effect.forkChild(cql.execute(other), { startImmediately: true })
        yield* TestClock.adjust("4 seconds")
      }
      yield* Fiber.join(fiber)
      assert.notStrictEqual(cql.cluster(), before)
      // What is the same is the same object.
      assert.isTrue(cql.cluster().nodes.every((node) => before.nodes.includes(node)))
      assert.strictEqual(new Set(seen.map(({ node }) => node)).size, 3)
    }))

  it.effect("that throws is a defect of that request, and of no other", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      yield* attempts(cluster, (count) => count === 1 ? { _tag: "Error", error: overloaded } : undefined)
      const retry: RetryPolicy.Policy = {
        decide: () => {
          throw new Error("not thought of")
        }
      }
      const exit = yield* passing(Effect.exit(cql.execute(select, [Uuid.random()], { retry })))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      yield* passing(cql.execute(select, [Uuid.random()]))
    }))

  it.effect("of a request wins over the profile's, and that over the client's; `never` repeats nothing", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({
        retry: RetryPolicy.never,
        profiles: { stubborn: { retry: {} } }
      })
      const once = yield* attempts(cluster, (count) => count === 1 ? { _tag: "Error", error: overloaded } : undefined)
      yield* passing(Effect.flip(cql.execute(select, [Uuid.random()])))
      assert.strictEqual(once.length, 1)
      const twice = yield* attempts(cluster, (count) => count === 1 ? { _tag: "Error", error: overloaded } : undefined)
      yield* passing(cql.execute(select, [Uuid.random()], { profile: "stubborn" }))
      assert.strictEqual(twice.length, 2)
      const never = yield* attempts(cluster, (count) => count === 1 ? { _tag: "Error", error: overloaded } : undefined)
      yield* passing(
        Effect.flip(cql.execute(select, [Uuid.random()], { profile: "stubborn", retry: RetryPolicy.never }))
      )
      assert.strictEqual(never.length, 1)
    }))

  it.effect("has a time for an attempt, which the request's own option wins over", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({ retry: { attemptTimeout: "300 millis" } })
      const seen = yield* attempts(cluster, (count) => count === 1 ? { _tag: "Ignore" } : undefined)
      const quick = yield* Effect.forkChild(cql.execute(select, [Uuid.random()]), { startImmediately: true })
      yield* TestClock.adjust("600 millis")
      assert.isDefined(quick.pollUnsafe())
      assert.strictEqual(seen.length, 2)
      yield* attempts(cluster, (count) => count === 1 ? { _tag: "Ignore" } : undefined)
      const patient = yield* Effect.forkChild(cql.execute(select, [Uuid.random()], { attemptTimeout: "4 seconds" }), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 second")
      assert.isUndefined(patient.pollUnsafe())
      yield* passing(Fiber.join(patient))
    }))
})

describe("repetitions", () => {
  it.effect("the first one is sent at once; those behind it wait a random part of a delay that doubles", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({ retry: { backoff: { base: "400 millis" } } })
      const seen = yield* attempts(cluster, always(overloaded))
      const fiber = yield* Effect.forkChild(Effect.flip(cql.execute(select, [Uuid.random()])), {
        startImmediately: true
      })
      for (let i = 0; i < 5; i++) yield* settle
      assert.strictEqual(seen.length, 2)
      for (let i = 0; i < 5; i++) yield* TestClock.adjust("100 millis")
      assert.strictEqual(seen.length, 3)
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "Overloaded")
    }))

  it.effect(
    "are a part of all requests, the first of each aside; what is beyond that fails",
    () =>
      Effect.gen(function*() {
        const { cluster, cql, select } = yield* setup({
          retryBudget: { share: 0.1, burst: 5 },
          retry: { backoff: false }
        })
        const seen = yield* attempts(cluster, always(overloaded))
        const errors = yield* passing(
          Effect.forEach(Array.from({ length: 200 }), () => Effect.flip(cql.execute(select, [Uuid.random()])))
        )
        // Two for each, and of the third ones 5 and a tenth of what was sent.
        assert.isAtLeast(seen.length, 400 + 5)
        assert.isAtMost(seen.length, 400 + 5 + 60)
        assert.isTrue(errors.every(({ reason }) => reason._tag === "Overloaded"))
        const unlimited = yield* setup({ retryBudget: false, retry: { backoff: false } })
        const all = yield* attempts(unlimited.cluster, always(overloaded))
        yield* passing(
          Effect.forEach(
            Array.from({ length: 200 }),
            () => Effect.flip(unlimited.cql.execute(unlimited.select, [Uuid.random()]))
          )
        )
        assert.strictEqual(all.length, 600)
      }),
    20_000
  )

  it.effect("of a conditional statement that was not sent begin at the same node", () =>
    Effect.gen(function*() {
      const { cluster, cql, lwt } = yield* setup({ connections: { perShard: 2 } })
      const id = Uuid.random()
      yield* passing(cql.execute(lwt, [1, id, null]))
      const seen = yield* attempts(cluster, () => undefined)
      yield* passing(cql.execute(lwt, [1, id, null]))
      const { node } = seen[0]!
      // Its connections close while requests for them are under way: those that were not written go again.
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 4 }), () => Effect.exit(cql.execute(lwt, [2, id, 1])), {
          concurrency: 4
        }),
        { startImmediately: true }
      )
      yield* passing(Fiber.join(fiber))
      assert.isTrue(seen.every((one) => one.node === node))
    }))
})
