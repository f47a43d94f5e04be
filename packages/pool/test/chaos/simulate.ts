/**
 * A few pools and their nodes in memory, under a clock and a scheduler that follow a seed: nodes crash, hang, shed, reshard
 * and lie; callers come and go. After every step it is checked what must always hold
 * (`docs/architecture.md`): ids, slots, bounds, deadlines, and that everybody is told once.
 */
import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import * as NodePool from "@effect-scylla/pool/NodePool"
import { ProtocolVersions } from "@effect-scylla/pool/ProtocolVersions"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Transport from "@effect-scylla/pool/Transport"
import { Cause, Data, Effect, Exit, Layer, Logger, Metric, Random as EffectRandom, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Random } from "../../../../test/support/random.ts"
import type { SlotTable } from "../../src/internal/slotTable.ts"
import { FakeNetwork, type FakeSocket } from "../support/network.ts"
import { PLAIN_PORT, SHARD_AWARE_PORT } from "../support/node.ts"
import { ChaosRequest, type Ledger } from "./request.ts"
import { SeededScheduler } from "./scheduler.ts"
import { ChaosServer } from "./server.ts"

/** An invariant does not hold. */
export class Violation extends Data.TaggedError("Violation")<{
  readonly seed: number
  readonly step: number
  readonly what: ReadonlyArray<string>
  /** What was done to the nodes before. */
  readonly faults: ReadonlyArray<string>
}> {
  override get message(): string {
    return `seed ${this.seed}, step ${this.step}: ${this.what.join("; ")} (last faults: ${this.faults.join(", ")})`
  }
}

/** What happened in one run. */
export interface Report {
  readonly seed: number
  readonly steps: number
  readonly ends: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
  /** What requests waited for when they were abandoned. */
  readonly abandoned: Readonly<Record<string, number>>
  readonly dials: number
}

const PER_NODE = 4
/** Each node has two addresses, and is now at the one and now at the other. */
const homeOf = (address: string): string => address.replace("10.1.", "10.0.")
const awayFrom = (address: string): string =>
  address.startsWith("10.1.") ? homeOf(address) : address.replace("10.0.", "10.1.")
const HOUR = 3_600_000

const run = Effect.fnUntraced(function*(seed: number, requests: number, random: Random, seeded: SeededScheduler) {
  const scheduler = yield* Scheduler.Scheduler
  /** Lets time pass, and everything happen that follows from it. */
  const pass = Effect.fnUntraced(function*(millis: number) {
    yield* TestClock.adjust(millis)
    do yield* Effect.yieldNow
    while (seeded.pending > 0)
  })
  const deferred = (): (task: () => void) => void => {
    const dispatcher = scheduler.makeDispatcher()
    return (task) => dispatcher.scheduleTask(task, 0)
  }
  const violations: Array<string> = []
  const ledger: Ledger = {
    violated: (what) => void violations.push(what),
    arrived: new Set(),
    unsent: new Set(),
    waiting: new Map()
  }
  const pick = <A>(...choices: ReadonlyArray<A>): A => choices[random.below(choices.length)]!
  const ticker = yield* Ticker.make
  const scope = yield* Scope.make()
  const limiter = makeLimiter({ concurrency: 8, concurrencyPerNode: PER_NODE, rate: 500 })
  const versions = new ProtocolVersions()
  const maxInFlight = pick(4, 16, 64)
  const maxWaiting = pick(5, 50)
  const maxOrphans = pick(2, 8)
  const isV5 = random.below(2) === 0

  const servers: Array<ChaosServer> = []
  const transport: Transport.Transport = {
    dial: (endpoint) =>
      servers.find(({ node }) => node.options.hostId === homeOf(endpoint.address))!.network.transport.dial(endpoint)
  }
  const connections = pick<NodePool.Options["connections"]>(undefined, undefined, { perShard: 2 }, { perNode: 2 })
  for (let i = 0; i <= random.below(3); i++) {
    servers.push(
      new ChaosServer(
        new FakeNetwork(deferred(), deferred),
        {
          shards: pick(0, 1, 3, 8),
          shardAwarePort: pick<number | false>(SHARD_AWARE_PORT, false, false),
          hostId: `10.0.0.${i}`,
          versions: isV5 ? [3, 4, 5] : [3, 4],
          supported: isV5 ? { PROTOCOL_VERSIONS: ["3/v3", "4/v4", "5/v5"] } : {}
        },
        random,
        ledger
      )
    )
  }
  const pools: Array<NodePool.NodePool> = []
  for (const { node } of servers) {
    pools.push(
      yield* NodePool.make({
        address: node.options.hostId!,
        port: PLAIN_PORT,
        connections,
        maxWaiting,
        adaptive: seed % 3 === 0,
        reconnect: { base: 20, cap: 2_000 },
        shutdownTimeout: pick(0, 500, 3_000),
        session: {
          ticker,
          versions,
          wishes: { compression: pick("none", "lz4") },
          connectTimeout: 1_000,
          handshakeTimeout: 1_000,
          limits: {
            maxInFlight,
            maxOrphans,
            maxOldOrphans: maxOrphans >> 1,
            heartbeatInterval: 2_000,
            heartbeatTimeout: 500,
            writeTimeout: 3_000
          }
        }
      }).pipe(
        Scope.provide(scope),
        Effect.provideService(Transport.Transport, transport),
        Effect.provideService(ConnectLimiter, limiter),
        EffectRandom.withSeed(String(seed))
      )
    )
  }

  const all: Array<ChaosRequest> = []
  let live: Array<ChaosRequest> = []
  const faults: Array<string> = []
  const abandoned: Array<string> = []
  let step = 0

  const dialed = (): number => servers.reduce((sum, { network }) => sum + network.dials.length, 0)
  const look = Effect.suspend(() => {
    // A pool that wants what it cannot have waits between two dials.
    if (dialed() > 300 + 10 * step) violations.push(`${dialed()} dials in ${step} steps`)
    for (const [i, pool] of pools.entries()) {
      const { condemned, network } = servers[i]!
      const stats = pool.stats
      const slots = stats.slots.length
      const bound = Math.max(8, slots)
      if (stats.excess > bound) violations.push(`${stats.excess} connections in excess, at most ${bound}`)
      // Those to an address that the node has left may never end, and hold up nobody.
      for (const address of [homeOf(pool.address), awayFrom(homeOf(pool.address))]) {
        const dialing = network.dialingTo(address)
        if (dialing > PER_NODE) violations.push(`${dialing} dials to ${address} at once`)
      }
      if (stats.waiting > maxWaiting) violations.push(`${stats.waiting} wait, at most ${maxWaiting}`)
      const waiters = ledger.waiting.get(pool)
      if ((waiters?.size ?? 0) !== stats.waiting) violations.push(`${stats.waiting} wait, and ${waiters?.size} know it`)
      const { table } = pool as unknown as { readonly table: SlotTable }
      const seen = new Set<unknown>()
      for (const [slot, connection] of table.slots.entries()) {
        if (connection === undefined) continue
        if (seen.has(connection)) violations.push("a connection is in two slots")
        seen.add(connection)
        if (connection.closeReason !== undefined) violations.push(`slot ${slot} holds a closed connection`)
        const { shard } = stats.slots[slot]!
        if (shard !== undefined && connection.shard !== shard) {
          violations.push(`slot ${slot} has shard ${connection.shard}`)
        }
        const beat = connection.load - connection.inFlight - connection.orphans
        if (connection.inFlight < 0 || connection.orphans < 0 || beat < 0 || beat > 1) {
          violations.push(
            `${connection.load} ids for ${connection.inFlight} requests and ${connection.orphans} orphans`
          )
        }
        // What is in flight has arrived, and waits for the server.
        const socket = connection.socket as FakeSocket
        const owed = servers[i]!.unansweredBy(socket).size
        const isSound = !socket.deaf && !socket.isDestroyed && socket.pendingBytes === 0
        if (isSound && connection.load !== owed) {
          violations.push(`${connection.load} ids are taken, and the server owes ${owed}`)
        }
        // The heartbeat, a switch of the keyspace, and questions that were not answered: four of each kind.
        if (connection.load > maxInFlight + 2 + 8) {
          violations.push(`${connection.load} in flight, at most ${maxInFlight}`)
        }
      }
      // Two lives of a node at a time, and what is being made of the next.
      if (network.open.length > 2 * slots + 2 * bound + PER_NODE + 32) {
        violations.push(`${network.open.length} sockets are open`)
      }
      if (pool.isUp && !pool.isOpen) violations.push("up without a connection")
      if (stats.waiting > 0 && !pool.isOpen) violations.push(`${stats.waiting} wait for connections that are gone`)
      if (pool.pickSilent()?.isSilent === false) violations.push("what is heard was picked as silent")
      if (pool.pickAny()?.isSilent) violations.push("a silent connection was picked")
      for (const socket of condemned) {
        if (!socket.isDestroyed) violations.push("a connection that lied is still used")
      }
      condemned.clear()
    }
    let inFlight = 0
    for (const { network } of servers) for (const { client } of network.sockets) inFlight += client?.inFlight ?? 0
    if (ticker.inFlight !== inFlight) violations.push(`${inFlight} in flight, and ${ticker.inFlight} by the ticker`)
    for (const request of live) {
      if (request.end === undefined && ticker.now > request.deadline + 3) {
        violations.push(`${request.text} is ${request.isWaiting ? "waiting" : "in flight"} past its deadline`)
      }
    }
    live = live.filter(({ end }) => end === undefined)
    return violations.length === 0
      ? Effect.void
      : Effect.fail(new Violation({ seed, step, what: violations.slice(0, 5), faults: faults.slice(-8) }))
  })

  /** Looks when nothing is on its way: this fiber, too, yields where it did not ask to. */
  const check: Effect.Effect<void, Violation> = Effect.suspend(() =>
    seeded.pending === 0 ? look : Effect.andThen(Effect.yieldNow, check)
  )

  const upset = (server: ChaosServer, pool: NodePool.NodePool): string => {
    switch (random.below(20)) {
      case 19:
        server.hungShard = random.below(Math.max(1, server.node.shards))
        return "a shard hangs"
      case 18:
        server.isDeaf = true
        return "answers heartbeats only"
      case 17:
        // Stopped, and it goes on: what it had is answered.
        server.isHung = false
        server.isDeaf = false
        server.hungShard = -1
        server.catchUp()
        return "resume"
      case 16:
        server.isFiltered = true
        return "filter"
      case 15:
        pool.moveTo(awayFrom(pool.address))
        return "move"
      case 14:
        pool.resize(pick<NodePool.Options["connections"]>({ perShard: 1 }, { perShard: 2 }, { perNode: 3 }))
        return "resize"
      case 0:
        server.crash()
        server.isDown = true
        return "crash"
      case 1:
        server.isHung = true
        return "hang"
      case 2:
        server.isShedding = true
        return "shed"
      case 3: {
        const by = 1 + random.below(3)
        server.node.nat = (port) => port + by
        return "NAT"
      }
      case 4:
        if (server.node.shards === 0) return "nothing"
        server.node.shards = pick(1, 2, 3, 5, 8)
        server.crash()
        return "reshard"
      case 5:
        server.forgets = 200
        return "forget"
      case 6:
        server.node.others = Array.from({ length: server.node.shards }, () => random.below(6))
        return "another client"
      case 7:
        pool.nodeDown()
        return "said to be down"
      case 8:
        pool.nodeUp()
        return "said to be up"
      case 9:
      case 10:
        server.heal()
        return "heal"
      default:
        return server.hurt()
    }
  }

  const interrupt = (): void => {
    if (live.length === 0) return
    const stage = live[random.below(live.length)]!.abandon()
    if (stage !== undefined) abandoned.push(stage)
  }

  /** Asks, and where it `goesOn` again with the answer, on the stack of the read or at the end of the turn. */
  const ask = (pool: NodePool.NodePool, shard: number, goesOn: boolean): void => {
    const deadline = ticker.deadline(pick(100, 300, 1_000, 3_000))
    const stages = {
      sendsLater: random.below(2) === 0,
      resumesLater: random.below(2) === 0,
      movesOn: random.below(2) === 0
    }
    const request = new ChaosRequest(`q${all.length}`, pool, deadline, { ledger, ticker, stages })
    all.push(request)
    live.push(request)
    request.onAnswered = () => {
      // Of those who have their answer in this turn, too, and of those who have just asked.
      if (random.below(8) === 0) interrupt()
      if (goesOn && all.length < requests) ask(pool, shard, random.below(2) === 0)
    }
    request.start(shard, random.below(4) === 0)
  }

  while (all.length < requests) {
    step++
    for (let i = random.below(9); i > 0 && all.length < requests; i--) {
      const pool = pick(...pools)
      ask(pool, random.below(pool.nrShards), random.below(8) === 0)
    }
    // Many callers of one shard: their next requests are written in the middle of a read.
    if (random.below(6) === 0) {
      const pool = pick(...pools)
      const shard = random.below(pool.nrShards)
      for (let i = 10 + random.below(30); i > 0 && all.length < requests; i--) ask(pool, shard, true)
    }
    for (const server of servers) server.catchUp(random.below(8))
    if (random.below(3) === 0) interrupt()
    if (random.below(3) === 0) {
      const at = random.below(servers.length)
      faults.push(upset(servers[at]!, pools[at]!))
    }
    // Most of the time most nodes are well: what is broken is soon mended.
    for (const server of servers) if (random.below(25) === 0) server.heal()
    if (random.below(60) === 0) {
      const pool = pick(...pools)
      faults.push("keyspace")
      yield* Effect.forkIn(Effect.ignore(pool.useKeyspace(`ks${step}`)), scope, { startImmediately: true })
    }
    yield* pass(pick(0, 0, 1, 20, 100, 100, 400, 1_500))
    yield* check
  }

  // Peace: everybody is answered, and every pool becomes what it should be.
  for (const server of servers) server.heal()
  for (let i = 0; i < 20; i++) {
    step++
    yield* pass(1_500)
    for (const server of servers) server.heal()
    yield* check
  }
  for (const request of all) if (request.end === undefined) violations.push(`${request.text} was never settled`)
  for (const [i, pool] of pools.entries()) {
    const { node } = servers[i]!
    const { excess, slots, waiting } = pool.stats
    if (!pool.isFull) violations.push(`not full: ${slots.map(({ state }) => state).join(" ")}`)
    if (slots.some(({ isSilent, state }) => isSilent || state !== "Ready")) violations.push("something is silent still")
    if (excess > 0 || waiting > 0) violations.push(`${excess} in excess, ${waiting} waiting`)
    if (pool.nrShards !== Math.max(1, node.shards)) violations.push(`${pool.nrShards} shards, not ${node.shards}`)
    const open = node.open
    if (open.length !== slots.length) violations.push(`${open.length} connections for ${slots.length} slots`)
    for (let at = 0; at < 2 * slots.length; at++) {
      const connection = pool.pick(random.below(pool.nrShards))
      if (connection === undefined) continue
      if (pool.keyspace !== undefined && connection.keyspace !== pool.keyspace) {
        violations.push(`the keyspace is ${connection.keyspace}, not ${pool.keyspace}`)
      }
    }
  }
  yield* check

  // The end: with requests in flight, some of which are never answered.
  for (const server of servers) server.forgets = 300
  for (let i = 0; i < 20; i++) {
    const pool = pick(...pools)
    const stages = {
      sendsLater: random.below(2) === 0,
      resumesLater: random.below(2) === 0,
      movesOn: random.below(2) === 0
    }
    const request = new ChaosRequest(`q-last${i}`, pool, ticker.deadline(60_000), { ledger, ticker, stages })
    all.push(request)
    request.start(random.below(pool.nrShards), false)
  }
  const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
  // One pool after the other, each for up to its shutdownTimeout.
  for (let i = 0; i < 30 && closing.pollUnsafe() === undefined; i++) {
    for (const server of servers) server.catchUp()
    yield* pass(500)
  }
  if (closing.pollUnsafe() === undefined) violations.push("the scope does not end")
  yield* check
  for (const request of all) if (request.end === undefined) violations.push(`${request.text} outlived its pool`)
  const dials = dialed()
  const { now } = ticker
  yield* pass(HOUR)
  for (const { network } of servers) {
    if (network.open.length > 0) violations.push(`${network.open.length} sockets outlived their pool`)
  }
  if (servers.reduce((sum, { network }) => sum + network.dials.length, 0) !== dials) {
    violations.push("dials after the end")
  }
  if (ticker.now > now + 20) violations.push("the ticker still ticks")
  yield* check

  const count = (names: ReadonlyArray<string>): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const name of names) counts[name] = (counts[name] ?? 0) + 1
    return counts
  }
  const report: Report = {
    seed,
    steps: step,
    ends: count(all.map(({ end }) => end!)),
    faults: count(faults),
    abandoned: count(abandoned),
    dials
  }
  return report
})

/** Runs one seed. Fails with the first violation; what else goes wrong is a defect. */
export const simulate = (seed: number, requests: number): Effect.Effect<Report, Violation> => {
  // Small seeds that follow one another have nothing in common.
  const random = new Random(Math.imul(seed, 0x9e3779b1))
  const seeded = new SeededScheduler(random)
  return Effect.scoped(run(seed, requests, random, seeded)).pipe(
    Effect.provide(TestClock.layer().pipe(Layer.provide(Layer.succeed(Scheduler.Scheduler, seeded)))),
    Effect.provide(Logger.layer([])),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.catchCause((cause) => Effect.failCause(Cause.map(cause, (error) => error as Violation)))
  )
}
