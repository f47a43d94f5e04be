/**
 * A client under load on a cluster in memory, under a clock and a scheduler that follow a seed: the same seed is the same run. What the
 * cluster is and what the client was told follow it, too.
 */
import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { ConnectLimiter, Transport } from "@effect-scylla/pool"
import { ServerError } from "@effect-scylla/protocol"
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
import { check, type Violation } from "./checker.ts"
import { type Fault, Plan, type Weights } from "./faults.ts"
import { isKnown } from "./known.ts"
import { Ledger } from "./ledger.ts"
import { patient } from "./patience.ts"
import { Broken, count, type Report, reportOf } from "./report.ts"
import { Wires } from "./wires.ts"
import { alterable, finalState, prepareSchema, probe, Workload } from "./workload.ts"

const WEIGHTS: Weights = {
  Kill: 3,
  Start: 3,
  Pause: 4,
  Resume: 4,
  HalfOpen: 2,
  Deaf: 2,
  Slow: 2,
  Heal: 10,
  Reshard: 1,
  Cut: 6,
  Lie: 6,
  Refuse: 3,
  Late: 4,
  Alter: 2,
  Rumour: 1,
  MoveTablet: 2,
  Relocate: 1,
  Leave: 1
}

const REPLICAS = 3

type Client = Parameters<typeof CqlClient.make>[0]

/** The cluster and the client of a seed. */
const settingOf = (random: Random) => {
  const pick = <A>(...choices: ReadonlyArray<A>): A => choices[random.below(choices.length)]!
  const isScylla = pick(true, true, false)
  const versions = isScylla ? pick<ReadonlyArray<3 | 4 | 5>>([3, 4], [3, 4], [3], [3, 4, 5]) : [3, 4, 5] as const
  const protocolVersion = pick<Client["protocolVersion"]>("auto", "auto", ...versions)
  const cluster: SimulatedCluster.Options = {
    transport: "memory",
    product: isScylla ? "scylla" : "cassandra",
    versions,
    nodes: 3 + random.below(3),
    racks: 1 + random.below(3),
    shards: 1 + random.below(4),
    vnodes: pick(2, 16),
    metadataIds: pick(true, false),
    tabletVersions: pick(true, false),
    // Stamps of writes are the client's: nodes may think what they like.
    clockSkew: pick<SimulatedCluster.Options["clockSkew"]>(0, (node) => (node - 1) * 900)
  }
  const client: Partial<Client> = {
    protocolVersion,
    compression: protocolVersion === 5 ? pick("none", "lz4") : pick("none", "none", "lz4", "snappy"),
    connections: pick<Client["connections"]>({ perShard: 1 }, { perShard: 2 }, { perNode: 2 }),
    adaptive: pick(true, false),
    attemptTimeout: pick<Client["attemptTimeout"]>(undefined, 200, 500, false),
    requestTimeout: pick(1_500, 4_000, 12_000),
    maxInFlight: pick(2, 8, 1_024),
    maxWaiting: pick(4, 16_384),
    reconnect: { base: 20, cap: pick(500, 5_000) },
    shutdownTimeout: pick(0, 300, 5_000),
    // Random ones would compress to other lengths each time.
    clientId: "00000000-0000-4000-8000-000000000000"
  }
  const tablets = isScylla ? pick("{'enabled': false}", "{'enabled': true}", "{'initial': 4}") : undefined
  return {
    cluster,
    client,
    tablets,
    closes: pick(true, false, false),
    workers: 2 + random.below(6),
    rest: pick(100, 300, 800)
  }
}

/** Errors of nodes that do nothing. */
const refusals: ReadonlyArray<() => ServerError.ServerError> = [
  () => new ServerError.IsBootstrapping({ code: 0x1002, message: "refused" }),
  () => new ServerError.Overloaded({ code: 0x1001, message: "refused" }),
  () => new ServerError.InternalServerError({ code: 0, message: "refused" }),
  () =>
    new ServerError.Unavailable({
      code: 0x1000,
      message: "refused",
      consistency: "LOCAL_QUORUM",
      required: 2,
      alive: 1
    })
]

/** Until all is well, which takes as long as the pause between two dials. */
const again = <A>(request: Effect.Effect<A, CqlError.CqlError>) =>
  Effect.retry(request, { schedule: Schedule.spaced("500 millis"), times: 120 })

const run = Effect.fnUntraced(function*(seed: number, requests: number, random: Random, seeded: SeededScheduler) {
  const pass = Effect.fnUntraced(function*(millis: number) {
    yield* TestClock.adjust(millis)
    do yield* Effect.yieldNow
    while (seeded.pending > 0)
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
  const load = new Workload(cql, ledger, { name: "s", impatient: 25, rest: setting.rest, generation: 80 })
  yield* passing(load.begin(other))

  /** By node: what is refused, and what is late. */
  const refusing = new Map<number, number>()
  const late = new Map<number, { readonly oneOf: number; readonly millis: number }>()
  yield* cluster.intercept(({ node, request }) => {
    const isOfUsers = request._tag === "Execute" || request._tag === "Batch" ||
      (request._tag === "Query" && !request.query.includes("system"))
    if (!isOfUsers) return undefined
    const refusal = refusing.get(node)
    if (refusal !== undefined && random.below(refusal) === 0) {
      return { _tag: "Error", error: refusals[random.below(refusals.length)]!() }
    }
    const delay = late.get(node)
    if (delay !== undefined && random.below(delay.oneOf) === 0) return { _tag: "Delay", millis: delay.millis }
    return undefined
  })

  const gone = new Set<number>()
  const heal = (index: number) =>
    Effect.gen(function*() {
      if (gone.has(index)) return
      refusing.delete(index)
      late.delete(index)
      wires.lie(nodes[index]!.address, 0)
      yield* cluster.setFault(index, undefined)
      if (!nodes[index]!.isRunning) yield* cluster.start(index)
    })

  let columns = 0
  const alter = Effect.suspend(() => {
    const table = alterable[random.below(alterable.length)]!
    // By the client itself, too: it waits then for the nodes to agree.
    const by = random.below(2) === 0 ? cql : other
    return Effect.ignore(by.execute(`ALTER TABLE ${table} ADD added_${++columns} int`, [], { timeout: 5_000 }))
  })
  const moveTablet = Effect.suspend(() => {
    const table = alterable[random.below(alterable.length)]!
    const found = cluster.tablets(table)
    if (found.length === 0) return Effect.void
    const { last } = found[random.below(found.length)]!
    const from = random.below(nodes.length)
    const members = nodes.filter(({ index }) => !gone.has(index))
    const replicas = Array.from({ length: REPLICAS }, (_, i) => {
      const { index, nrShards } = members[(from + i) % members.length]!
      return { node: index, shard: random.below(nrShards) }
    })
    return cluster.moveTablet(table, last, replicas)
  })

  const inflict = (fault: Fault, index: number) => {
    const { address, isRunning } = nodes[index]!
    if (gone.has(index)) return Effect.void
    switch (fault._tag) {
      case "Kill":
        return cluster.stop(index)
      case "Start":
        return isRunning ? Effect.void : cluster.start(index)
      case "Pause":
        return cluster.setFault(index, { _tag: "Stopped" })
      case "Resume":
        return cluster.setFault(index, undefined)
      case "HalfOpen":
        return cluster.setFault(index, { _tag: "HalfOpen" })
      case "Deaf":
        return cluster.setFault(index, { _tag: "HeartbeatsOnly" })
      case "Slow":
        return cluster.setFault(index, { _tag: "Slow", millis: fault.millis })
      case "Heal":
        return heal(index)
      case "Reshard":
        return isRunning ? cluster.reshard(index, fault.shards) : Effect.void
      case "Cut":
        return Effect.sync(() => wires.cut(address, fault.loses))
      case "Lie":
        return Effect.sync(() => wires.lie(address, fault.oneOf))
      case "Refuse":
        return Effect.sync(() => void refusing.set(index, fault.oneOf))
      case "Late":
        return Effect.sync(() => void late.set(index, fault))
      case "Alter":
        return Effect.asVoid(Effect.forkScoped(alter, { startImmediately: true }))
      case "Rumour":
        return cluster.announce({ type: "STATUS_CHANGE", change: fault.change, address })
      case "MoveTablet":
        return moveTablet
      case "Relocate":
        // One stays where contact points lead: who has lost all others finds them again.
        if (index === 0) return Effect.void
        wires.lie(address, 0)
        return cluster.relocate(index, `127.0.${address.startsWith("127.0.0.") ? 1 : 0}.${index + 1}`)
      case "Leave":
        if (index === 0 || nodes.length - gone.size === REPLICAS) return Effect.void
        gone.add(index)
        return cluster.remove(index)
    }
  }

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
      yield* inflict(fault, random.below(nodes.length))
    }
    // Most of the time most nodes are well.
    for (const { index } of nodes) if (random.below(20) === 0) yield* heal(index)
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
  for (const { index } of nodes) yield* heal(index)
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
  const violations = [...broken, ...check(ledger.entries, final)].filter((violation) => !isKnown(violation))
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
    Effect.catchIf((error) => !(error instanceof Broken), Effect.die)
  ) as Effect.Effect<Report, Broken>
}
