/** A second node is asked before the first one has answered: for what may be done twice, and within limits. */
import { type CqlClient, CqlError, Speculation } from "@effect-scylla/driver"
import { Frame, type Request, ServerError, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const speculation: Speculation.Policy = { delay: "20 millis" }

const setup = Effect.fnUntraced(function*(client: Parameters<typeof world>[1] = {}) {
  const { cluster, cql } = yield* world({}, { speculation, ...client })
  yield* passing(cql.execute("CREATE TABLE ks.n (id uuid PRIMARY KEY, n counter)"))
  const select = yield* passing(cql.prepare(SELECT))
  const insert = yield* passing(cql.prepare(INSERT))
  const count = yield* passing(cql.prepare("UPDATE ks.n SET n = n + 1 WHERE id = ?"))
  const lwt = yield* passing(cql.prepare(`${INSERT} IF NOT EXISTS`))
  yield* TestClock.adjust("1 second")
  return { cluster, cql, select, insert, count, lwt }
})

const executes = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number, node: number) => SimulatedCluster.Intercepted | undefined
) {
  const seen: Array<{ readonly node: number; readonly options: Request.Options }> = []
  yield* cluster.intercept(({ node, opcode, request }) => {
    if (opcode !== Frame.Opcode.EXECUTE || request._tag !== "Execute") return undefined
    seen.push({ node, options: request.options })
    return answer(seen.length, node)
  })
  return seen
})

/** Of all connections. */
const total = (cql: CqlClient.CqlClient, of: "inFlight" | "orphans"): number =>
  cql.shardAwareStats().nodes.flatMap(({ slots }) => slots).reduce((sum, one) => sum + one[of], 0)

const first = (count: number) => count === 1 ? { _tag: "Ignore" as const } : undefined

describe("speculation", () => {
  it.effect("asks another node after the delay, and takes the first answer; the other is an orphan", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const seen = yield* executes(cluster, first)
      const fiber = yield* Effect.forkChild(cql.execute(select, [Uuid.random()]), { startImmediately: true })
      yield* TestClock.adjust("15 millis")
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust("15 millis")
      assert.strictEqual(seen.length, 2)
      const { coordinator } = yield* Fiber.join(fiber)
      assert.strictEqual(coordinator.address, cluster.nodes[seen[1]!.node]!.address)
      assert.notStrictEqual(seen[0]!.node, seen[1]!.node)
      assert.strictEqual(total(cql, "orphans"), 1)
    }))

  it.effect("does nothing where the answer comes in time, and the first node wins where it is quicker after all", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const quick = yield* executes(cluster, () => undefined)
      yield* cql.execute(select, [Uuid.random()])
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(quick.length, 1)
      const seen = yield* executes(
        cluster,
        (count) => count === 1 ? { _tag: "Delay", millis: 30 } : { _tag: "Ignore" }
      )
      const fiber = yield* Effect.forkChild(cql.execute(select, [Uuid.random()]), { startImmediately: true })
      for (let i = 0; i < 10; i++) yield* TestClock.adjust("5 millis")
      const { coordinator } = yield* Fiber.join(fiber)
      assert.strictEqual(seen.length, 2)
      assert.strictEqual(coordinator.address, cluster.nodes[seen[0]!.node]!.address)
    }))

  it.effect("of an idempotent write has the same timestamp everywhere", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup()
      const seen = yield* executes(cluster, first)
      yield* passing(cql.execute(insert, [Uuid.random(), 1]))
      assert.strictEqual(seen.length, 2)
      assert.isDefined(seen[0]!.options.timestamp)
      assert.strictEqual(seen[0]!.options.timestamp, seen[1]!.options.timestamp)
    }))

  it.effect("is never made of what may not be done twice, whoever asks for it", () =>
    Effect.gen(function*() {
      const { cluster, count, cql, insert, lwt, select } = yield* setup()
      const asked = { speculation: { delay: "5 millis", max: 3 } } as const
      const requests = [
        cql.execute(insert, [Uuid.random(), 1], { ...asked, idempotent: false }),
        cql.execute(count, [Uuid.random()], { ...asked, idempotent: true }),
        cql.execute(lwt, [Uuid.random(), 1], { ...asked, idempotent: true }),
        cql.execute(select, [Uuid.random()], { ...asked, consistency: "SERIAL" }),
        cql.batch([[count, [Uuid.random()]]], { ...asked, type: "counter", idempotent: true })
      ]
      for (const request of requests) {
        let sent = 0
        yield* cluster.intercept(({ opcode }) =>
          (opcode === Frame.Opcode.EXECUTE || opcode === Frame.Opcode.BATCH) && ++sent > 0
            ? { _tag: "Delay", millis: 200 }
            : undefined
        )
        const fiber = yield* Effect.forkChild(Effect.exit(request), { startImmediately: true })
        for (let i = 0; i < 30; i++) yield* TestClock.adjust("10 millis")
        yield* passing(Fiber.join(fiber))
        assert.strictEqual(sent, 1)
      }
    }))

  it.effect("asks as many nodes as it may, each after the delay, and no node twice", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({ speculation: { delay: "20 millis", max: 4 } })
      const seen = yield* executes(cluster, () => ({ _tag: "Ignore" }))
      const fiber = yield* Effect.forkChild(
        Effect.flip(cql.execute(select, [Uuid.random()], { attemptTimeout: false })),
        {
          startImmediately: true
        }
      )
      for (let i = 0; i < 40; i++) yield* TestClock.adjust("5 millis")
      assert.strictEqual(seen.length, 3)
      assert.strictEqual(new Set(seen.map(({ node }) => node)).size, 3)
      const error = yield* passing(Fiber.join(fiber))
      assert.strictEqual(error.reason._tag, "RequestTimeout")
    }))

  it.effect("fails with all attempts when all have failed, and not before", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup({ speculation: { delay: "20 millis", max: 2 } })
      const error = new ServerError.InvalidRequest({ code: 0x2200, message: "no" })
      const seen = yield* executes(
        cluster,
        (count) => count === 1 ? { _tag: "Delay", millis: 300 } : { _tag: "Error", error }
      )
      const fiber = yield* Effect.forkChild(cql.execute(insert, [Uuid.random(), 1]), { startImmediately: true })
      for (let i = 0; i < 20; i++) yield* TestClock.adjust("5 millis")
      assert.isUndefined(fiber.pollUnsafe())
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("5 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      assert.isAtLeast(seen.length, 2)
      const all = yield* executes(cluster, (count) =>
        count === 1
          ? { _tag: "Delay", millis: 50 }
          : { _tag: "Error", error })
      // The late one finds its node's answer to be an error, too.
      yield* cluster.intercept(({ opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        all.push({ node: 0, options: { consistency: "ONE" } })
        return all.length === 1 ? { _tag: "Ignore" } : { _tag: "Error", error }
      })
      const failed = yield* passing(
        Effect.flip(cql.execute(insert, [Uuid.random(), 1], { timeout: "1 second", attemptTimeout: false }))
      )
      assert.instanceOf(failed, CqlError.CqlError)
      assert.strictEqual(failed.outcome, "Ambiguous")
      assert.isAtLeast(failed.attempts!.length, 2)
    }))

  it.effect("goes by a percentile of what the statement took, once that is known", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({
        speculation: { delay: { percentile: 95 } },
        speculationLimit: { share: 1 }
      })
      yield* executes(cluster, () => ({ _tag: "Delay", millis: 40 }))
      const before = yield* executes(cluster, () => ({ _tag: "Delay", millis: 40 }))
      for (let i = 0; i < 60; i++) {
        const fiber = yield* Effect.forkChild(cql.execute(select, [Uuid.random()]), { startImmediately: true })
        for (let step = 0; step < 9; step++) yield* TestClock.adjust("5 millis")
        yield* Fiber.join(fiber)
      }
      assert.isAtMost(before.length, 62)
      const seen = yield* executes(cluster, first)
      const fiber = yield* Effect.forkChild(cql.execute(select, [Uuid.random()]), { startImmediately: true })
      for (let step = 0; step < 6; step++) yield* TestClock.adjust("5 millis")
      assert.strictEqual(seen.length, 1)
      for (let step = 0; step < 8; step++) yield* TestClock.adjust("5 millis")
      assert.strictEqual(seen.length, 2)
      yield* Fiber.join(fiber)
    }), 20_000)

  it.effect("is a part of all requests", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({ speculationLimit: { share: 0.1, burst: 3 } })
      const seen = yield* executes(cluster, () => ({ _tag: "Delay", millis: 60 }))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 50 }), () => cql.execute(select, [Uuid.random()]), { concurrency: 50 }),
        { startImmediately: true }
      )
      for (let step = 0; step < 40; step++) yield* TestClock.adjust("5 millis")
      yield* Fiber.join(fiber)
      assert.isAbove(seen.length, 50)
      assert.isAtMost(seen.length, 50 + 3 + 6)
    }))

  it.effect("ends with the request: one that is interrupted leaves nothing under way", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const seen = yield* executes(cluster, () => ({ _tag: "Ignore" }))
      const fiber = yield* Effect.forkChild(cql.execute(select, [Uuid.random()]), { startImmediately: true })
      for (let step = 0; step < 10; step++) yield* TestClock.adjust("5 millis")
      assert.strictEqual(seen.length, 2)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(total(cql, "inFlight"), 0)
      assert.strictEqual(total(cql, "orphans"), 2)
    }))

  it("refuses what is no policy", () => {
    assert.match(Speculation.resolve({ delay: "soon" } as never) as string, /speculation\.delay/)
    assert.match(Speculation.resolve({ delay: { percentile: 100 } }) as string, /percentile: a number from 50/)
    assert.match(Speculation.resolve({ delay: "1 second", max: 0 }) as string, /speculation\.max/)
    assert.match(Speculation.resolve("1 second" as never) as string, /speculation:/)
  })
})
