/**
 * A client under load on a cluster in memory, under a clock and a scheduler that follow a seed: the same seed is the same run. What the
 * cluster is and what the client was told follow it, too.
 */
import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { ConnectLimiter, Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import {
  Clock,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Metric,
  Random as EffectRandom,
  Schedule,
  Scheduler,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import { SeededScheduler } from "../../packages/pool/test/chaos/scheduler.ts"
import { Random } from "../support/random.ts"
import { afflict, WEIGHTS } from "./afflict.ts"
import { check, type Violation } from "./checker.ts"
import { Plan } from "./faults.ts"
import { Ledger } from "./ledger.ts"
import { patient } from "./patience.ts"
import { finalState, prepareSchema, probe } from "./places.ts"
import { Broken, count, type Report, reportOf } from "./report.ts"
import { type Client, REPLICAS, settingOf } from "./setting.ts"
import { Wires } from "./wires.ts"
import { Workload } from "./workload.ts"

/** Turns of the event loop for which something may be under way while time stands still. */
const MAX_TURNS = 100_000

/** Milliseconds by which a deadline may be late: some ticks, and a step of the clock. */
const SLACK = 600

/** Until all is well, which takes as long as the pause between two dials. */
const again = <A>(request: Effect.Effect<A, CqlError.CqlError>) =>
  Effect.retry(request, { schedule: Schedule.spaced("500 millis"), times: 120 })

const run = Effect.fnUntraced(function*(seed: number, requests: number, random: Random, seeded: SeededScheduler) {
  const pass = Effect.fnUntraced(function*(millis: number) {
    yield* TestClock.adjust(millis)
    let turns = 0
    do {
      if (++turns > MAX_TURNS) return yield* Effect.die(new Error(`seed ${seed}: nobody comes to rest`))
      yield* Effect.yieldNow
    } while (seeded.pending > 0)
  })
  /** What needs time to pass. */
  const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
      for (let i = 0; i < 5_000 && fiber.pollUnsafe() === undefined; i++) yield* pass(100)
      return yield* Fiber.join(fiber)
    })
  const setting = settingOf(random)
  const cluster = yield* SimulatedCluster.make(setting.cluster)
  const { nodes } = cluster
  const wires = new Wires(cluster.transport, random)
  const clock = patient(yield* Clock.Clock)
  const connect = (options: Partial<Client>, transport: Transport.Transport) =>
    passing(
      CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0, ...options }).pipe(
        Effect.provideService(Transport.Transport, transport),
        Effect.provideService(Clock.Clock, clock)
      )
    )
  // Another one, which nothing happens to: it makes the tables, alters them, and has the last word.
  const other = yield* connect({ clientId: setting.client.clientId }, cluster.transport)
  const { datacenter } = cluster
  yield* passing(prepareSchema(other, { datacenter, replicas: REPLICAS, tablets: setting.tablets }))

  const scope = yield* Scope.make()
  const cql = yield* Scope.provide(connect(setting.client, wires.transport), scope)
  const ledger = new Ledger()
  const load = new Workload(cql, ledger, {
    name: "s",
    impatient: 25,
    rest: setting.rest,
    generation: 80,
    limit: setting.client.requestTimeout + SLACK
  })
  yield* passing(load.begin(other))

  const suffering = yield* afflict({ cluster, random, wires, clients: [cql, other] })

  let isClosed = false
  const goesOn = (): boolean => !isClosed && ledger.entries.length < requests
  const workers = yield* Effect.forEach(
    Array.from({ length: setting.workers }, (_, i) => i),
    (i) => Effect.forkScoped(load.worker(i, new Random(random.u32()), goesOn), { startImmediately: true })
  )
  const plan = new Plan(random, WEIGHTS)
  const broken: Array<Violation> = []
  const faults: Array<string> = []
  // A few requests from one fault to the next, however many workers there are.
  const pace = setting.rest / setting.workers
  const steps = [0, 1, pace, pace, 2 * pace, 4 * pace]
  /** Where the client is closed under load: after so many requests. */
  const last = setting.closes ? 1 + random.below(requests) : Infinity
  while (goesOn() && ledger.entries.length < last) {
    if (random.below(2) === 0) {
      const fault = plan.next()
      faults.push(fault._tag)
      yield* suffering.inflict(fault, random.below(nodes.length))
    }
    // Most of the time most nodes are well.
    for (const { index } of nodes) if (random.below(20) === 0) yield* suffering.heal(index)
    yield* pass(steps[random.below(steps.length)]!)
  }
  if (setting.closes) {
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    for (let i = 0; i < 40 && closing.pollUnsafe() === undefined; i++) yield* pass(500)
    if (closing.pollUnsafe() === undefined) {
      broken.push({ kind: "Unsettled", what: "the client's scope does not end" })
    }
    isClosed = true
  }
  for (const { index } of nodes) yield* suffering.heal(index)
  // Whoever has asked has an end, and what nodes still held is done.
  for (let i = 0; i < 60 && workers.some((worker) => worker.pollUnsafe() === undefined); i++) yield* pass(500)
  yield* pass(5_000)
  if (!setting.closes) {
    const back = yield* passing(Effect.result(again(probe(cql))))
    if (back._tag === "Failure") {
      broken.push({ kind: "Unsettled", what: `it is not itself again: ${back.failure.message}` })
    }
  }
  yield* Scope.close(scope, Exit.void)
  yield* pass(1_000)
  yield* passing(again(probe(other)))
  const final = yield* passing(finalState(other, ledger.places))
  const violations = [...broken, ...check(ledger.entries, final)]
  if (violations.length > 0) {
    const { client, cluster, tablets } = setting
    const where = `seed ${seed} (${JSON.stringify({ ...cluster, ...client, tablets })}; ${
      JSON.stringify(count(faults))
    })`
    return yield* new Broken({ where, violations })
  }
  return reportOf(ledger.entries, faults)
})

/** Runs one seed. Fails with all that is not as it was said; what else goes wrong is a defect. */
export const simulate = (seed: number, requests: number): Effect.Effect<Report, Broken> => {
  // Small seeds that follow one another have nothing in common.
  const random = new Random(Math.imul(seed, 0x9e3779b1))
  const seeded = new SeededScheduler(random)
  return Effect.scoped(run(seed, requests, random, seeded)).pipe(
    Effect.provideService(ConnectLimiter.ConnectLimiter, ConnectLimiter.make({ rate: 1_000 })),
    EffectRandom.withSeed(String(seed)),
    Effect.provide(TestClock.layer().pipe(Layer.provide(Layer.succeed(Scheduler.Scheduler, seeded)))),
    Effect.provide(Logger.layer([])),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.catch((error) => error instanceof Broken ? Effect.fail(error) : Effect.die(error))
  )
}
