/** Nodes that hang, under the test clock: what becomes of requests, and of the node. */
import type { CqlClient, CqlError } from "@effect-scylla/driver"
import { Frame } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type ClientOptions, passing, settle, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const SELECT = "SELECT v FROM ks.t WHERE id = ?"

const id = (n: number) => `01020304-0506-4708-8910-1112${n.toString(16).padStart(8, "0")}`

interface Ended {
  readonly exit: Exit.Exit<unknown, CqlError.CqlError>
  readonly millis: number
  /** The address of the node that answered. */
  readonly by: string | undefined
}

const timed = (request: Effect.Effect<unknown, CqlError.CqlError>): Effect.Effect<Ended> =>
  Effect.gen(function*() {
    const begun = yield* Clock.currentTimeMillis
    const exit = yield* Effect.exit(request)
    const by = Exit.isSuccess(exit)
      ? (exit.value as { coordinator: { address: string } }).coordinator.address
      : undefined
    return { exit, millis: (yield* Clock.currentTimeMillis) - begun, by }
  })

/** A request every 10 ms for so many milliseconds; all of them, when they have ended. */
const load = (
  millis: number,
  request: (n: number) => Effect.Effect<unknown, CqlError.CqlError>,
  each?: (at: number) => Effect.Effect<void>
) =>
  Effect.gen(function*() {
    const fibers: Array<Fiber.Fiber<Ended>> = []
    for (let at = 0; at < millis; at += 10) {
      if (each !== undefined) yield* each(at)
      fibers.push(yield* Effect.forkChild(timed(request(at / 10)), { startImmediately: true }))
      yield* TestClock.adjust(10)
    }
    for (let i = 0; i < 200 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); i++) {
      yield* TestClock.adjust(100)
    }
    return yield* Effect.forEach(fibers, Fiber.join)
  })

const failures = (ended: ReadonlyArray<Ended>) =>
  ended.flatMap(({ exit }) => Exit.isFailure(exit) ? [String(exit.cause)] : [])
const slowest = (ended: ReadonlyArray<Ended>) => Math.max(...ended.map(({ millis }) => millis))

/** A client that knows how long its statements take, and a mix of reads and idempotent writes. */
const setup = (options: SimulatedCluster.Options = {}, clientOptions: ClientOptions = {}) =>
  Effect.gen(function*() {
    const { cluster, cql } = yield* world(options, clientOptions)
    const insert = yield* passing(cql.prepare(INSERT))
    const select = yield* passing(cql.prepare(SELECT))
    const mixed = (n: number) =>
      n % 2 === 0 ? cql.execute(select, [id(n)]) : cql.execute(insert, [id(n), n], { idempotent: true })
    yield* load(1_000, mixed)
    return { cluster, cql, insert, select, mixed }
  })

const isUp = (cql: CqlClient.CqlClient, address: string) =>
  cql.cluster().local.find((node) => node.address === address)!.pool!.isUp

const faults: ReadonlyArray<SimulatedCluster.NodeFault> = [
  { _tag: "Stopped" },
  { _tag: "HalfOpen" },
  { _tag: "HeartbeatsOnly" }
]

describe("a node that hangs", () => {
  for (const fault of faults) {
    it.effect(`${fault._tag}: no read and no idempotent write fails, and the node is set aside until it answers`, () =>
      Effect.gen(function*() {
        const { cluster, cql, mixed } = yield* setup()
        const { address } = cluster.nodes[1]!
        yield* cluster.setFault(1, fault)
        let aside = -1
        const ended = yield* load(15_000, mixed, (at) =>
          Effect.sync(() => {
            if (aside < 0 && !isUp(cql, address)) aside = at
          }))
        assert.deepStrictEqual(failures(ended), [])
        assert.isAtMost(slowest(ended), fault._tag === "HeartbeatsOnly" ? 2_500 : 2_000)
        // With the node aside nobody waits for it any more.
        assert.isAtLeast(aside, 0)
        assert.isAtMost(aside, fault._tag === "HeartbeatsOnly" ? 3_000 : 1_000)
        const after = ended.slice(aside / 10 + 10)
        assert.isAbove(after.length, 1_000)
        if (fault._tag === "Stopped") assert.isAtMost(slowest(after), 100)
        const late = ended.filter(({ millis }) => millis > 300)
        assert.isAtMost(late.length, ended.length / 10, `of ${ended.length}`)
        yield* cluster.setFault(1, undefined)
        // One that answers heartbeats is asked more and more rarely.
        const back = yield* load(fault._tag === "Stopped" ? 2_000 : 12_000, mixed)
        assert.deepStrictEqual(failures(back), [])
        assert.isTrue(back.slice(-50).some(({ by }) => by === address), "it is in use again")
      }))
  }

  it.effect(
    "one that answers questions of ours and no others is set aside all the same, and tried now and then",
    () =>
      Effect.gen(function*() {
        const { cluster, mixed } = yield* setup()
        let isDeaf = true
        let reached = 0
        yield* cluster.intercept(({ node, opcode, request }) => {
          if (node !== 1 || opcode !== Frame.Opcode.EXECUTE || !isDeaf) return undefined
          if (request._tag === "Execute") reached++
          return { _tag: "Ignore" }
        })
        const ended = yield* load(20_000, mixed)
        assert.deepStrictEqual(failures(ended), [])
        assert.isAtMost(slowest(ended), 2_500)
        assert.isAtMost(reached, ended.length / 10)
        isDeaf = false
        const { address } = cluster.nodes[1]!
        const back = yield* load(40_000, mixed)
        assert.deepStrictEqual(failures(back), [])
        assert.isTrue(back.slice(-50).some(({ by }) => by === address), "it is in use again")
      }),
    40_000
  )

  it.effect("what may not be done twice waits until its own deadline, then it is ambiguous", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup({}, { requestTimeout: "12 seconds" })
      yield* cluster.setFault(1, { _tag: "Stopped" })
      const ended = yield* load(300, (n) => cql.execute(insert, [id(n), n], { idempotent: false }))
      const failed = ended.filter(({ exit }) => Exit.isFailure(exit))
      assert.isAbove(failed.length, 0)
      for (const { exit, millis } of failed) {
        const error = Exit.isFailure(exit) ? (exit.cause as any).reasons[0].error as CqlError.CqlError : undefined
        assert.strictEqual(error?.outcome, "Ambiguous")
        assert.strictEqual(error?.reason._tag, "RequestTimeout")
        assert.isAtLeast(millis, 12_000)
        assert.isAtMost(millis, 12_300)
      }
    }))

  it.effect("and is answered when the node goes on before that", () =>
    Effect.gen(function*() {
      const { cluster, cql, insert } = yield* setup()
      yield* cluster.setFault(1, { _tag: "Stopped" })
      const fibers = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, n) => n),
        (n) =>
          Effect.forkChild(timed(cql.execute(insert, [id(n), n], { idempotent: false })), { startImmediately: true })
      )
      for (let i = 0; i < 90; i++) yield* TestClock.adjust(100)
      assert.isTrue(fibers.some((fiber) => fiber.pollUnsafe() === undefined))
      yield* cluster.setFault(1, undefined)
      yield* settle
      yield* TestClock.adjust(100)
      const ended = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(failures(ended), [])
    }))

  it.effect("a conditional statement is not sent to another node while it may be under way", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup()
      const LWT = "INSERT INTO ks.t (id, v) VALUES (?, ?) IF NOT EXISTS"
      yield* load(200, (n) => cql.execute(LWT, [id(5_000 + n), n]))
      yield* cluster.setFault(1, { _tag: "Stopped" })
      const ended = yield* load(300, (n) => cql.execute(LWT, [id(6_000 + n), n], { idempotent: true }))
      const failed = ended.filter(({ exit }) => Exit.isFailure(exit))
      assert.isAbove(failed.length, 0)
      for (const { millis } of failed) assert.isAtLeast(millis, 12_000)
    }))

  it.effect("a new statement is prepared by another node", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* setup()
      yield* cluster.setFault(1, { _tag: "Stopped" })
      for (let n = 0; n < 6; n++) {
        const { exit, millis } = yield* passing(
          timed(cql.execute(`SELECT v, ${n} FROM ks.t WHERE id = ?`.replace(`, ${n}`, ` `.repeat(n)), [id(n)]))
        )
        assert.isTrue(Exit.isSuccess(exit))
        assert.isAtMost(millis, 4_500)
      }
    }))

  it.effect("the only node of a cluster: requests wait for it", () =>
    Effect.gen(function*() {
      const { cluster, mixed } = yield* setup({ nodes: 1 })
      yield* cluster.setFault(0, { _tag: "Stopped" })
      const ended = yield* load(6_000, mixed, (at) =>
        at === 5_000 ? Effect.ignore(cluster.setFault(0, undefined)) : Effect.void)
      assert.deepStrictEqual(failures(ended), [])
      assert.isAtLeast(slowest(ended), 4_000)
    }))
})

describe("a node that is slow", () => {
  for (const usual of [0, 100, 400]) {
    it.effect(`three times slower than ${usual} ms: it is no hang, and nothing is asked for twice`, () =>
      Effect.gen(function*() {
        const { cluster, cql, mixed } = yield* setup()
        for (let node = 0; node < 3; node++) yield* cluster.setFault(node, { _tag: "Slow", millis: usual })
        yield* load(6_000, mixed)
        yield* cluster.setFault(1, { _tag: "Slow", millis: usual * 3 })
        const before = (yield* cluster.stats).requests
        const ended = yield* load(
          8_000,
          mixed,
          () => Effect.sync(() => assert.isTrue(isUp(cql, cluster.nodes[1]!.address)))
        )
        assert.deepStrictEqual(failures(ended), [])
        assert.strictEqual((yield* cluster.stats).requests - before, ended.length)
      }))
  }

  it.effect("a whole datacenter that becomes slow: nobody is left without a node, and the load does not double", () =>
    Effect.gen(function*() {
      const { cluster, mixed } = yield* setup({}, { shutdownTimeout: "5 seconds" })
      for (let node = 0; node < 3; node++) yield* cluster.setFault(node, { _tag: "Slow", millis: 3_000 })
      const before = (yield* cluster.stats).requests
      const ended = yield* load(12_000, mixed)
      assert.deepStrictEqual(failures(ended), [])
      const sent = (yield* cluster.stats).requests - before
      assert.isAtMost(sent, ended.length * 1.5, `${sent} of ${ended.length}`)
    }))
})

describe("the time of an attempt", () => {
  const first = (options: Parameters<CqlClient.CqlClient["execute"]>[2], clientOptions: ClientOptions = {}) =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup({}, clientOptions)
      // It answers heartbeats, so that it is the attempt's time alone that counts.
      yield* cluster.setFault(1, { _tag: "HeartbeatsOnly" })
      const ended = yield* Effect.forEach(
        Array.from({ length: 2 }),
        () => passing(timed(cql.execute(select, [id(3)], options)))
      )
      const more = yield* Effect.forEach(
        Array.from({ length: 4 }, (_, n) => n),
        (n) => passing(timed(cql.execute(select, [id(n)], options)))
      )
      return [...ended, ...more].map(({ exit, millis }) => Exit.isSuccess(exit) ? millis : Infinity)
    })

  it.effect("is what is said", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* first({ attemptTimeout: "3 seconds" })).some((millis) => millis >= 3_000 && millis < 3_400))
      assert.isTrue(
        (yield* first({}, { attemptTimeout: "1 second" })).some((millis) => millis >= 1_000 && millis < 1_400)
      )
    }))

  it.effect("false: an attempt may take all the time of the request", () =>
    Effect.gen(function*() {
      const millis = yield* first({ attemptTimeout: false, timeout: "4 seconds" })
      assert.include(millis, Infinity)
    }))

  it.effect("wrong ones are refused", () =>
    Effect.gen(function*() {
      const { cql, select } = yield* setup()
      const error = yield* Effect.flip(cql.execute(select, [id(1)], { attemptTimeout: "-1 second" as never }))
      assert.include(error.message, "attemptTimeout")
    }))
})
