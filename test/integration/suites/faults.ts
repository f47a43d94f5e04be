/**
 * Pools and the client through a proxy that does to connections what networks do, and on nodes that are killed, stopped and
 * started: every request is settled once, in time and typed, nobody gets another one's row, what was acknowledged is
 * there, and the pools are full again afterwards.
 */
import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { ConnectLimiter, NodePool, type PoolError, Ticker, Transport } from "@effect-scylla/pool"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { FaultProxy } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect, Fiber, Layer, Random } from "effect"
import { FaultyCluster } from "../support/faultyClusters.ts"
import { createKeyspace } from "../support/keyspaces.ts"

const KS = "effect_scylla_faults"
const ROWS = 50
const WORKERS = 8
/** Milliseconds of a request; the connection's own timers are shorter than the driver's, so that a suite ends. */
const REQUEST = 1_500
const LIMITS = { heartbeatInterval: 700, heartbeatTimeout: 1_000, writeTimeout: 2_000 }

/** Looks every few milliseconds. */
const until = (what: string, condition: () => boolean, seconds = 40): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < seconds * 100; i++) {
      if (condition()) return
      yield* Effect.sleep(10)
    }
    assert.fail(`never came true: ${what}`)
  })

/** Requests under way all the time on the pools of all nodes, and what became of them. */
const load = Effect.fnUntraced(function*(pools: ReadonlyArray<NodePool.NodePool>) {
  const decoders = new RowDecoders()
  /** By pool. */
  const answered = pools.map(() => 0)
  const reasons = pools.map((): Record<string, number> => ({}))
  let running = true
  /** Milliseconds; leaves the servers a core of the two that CI has. */
  let pause = 3
  const request = Effect.fnUntraced(function*(at: number) {
    const pool = pools[at]!
    const connection = pool.pick(yield* Random.nextIntBetween(0, pool.nrShards - 1))
    // Down: a client asks another node.
    if (connection === undefined) return yield* Effect.sleep(5)
    const id = yield* Random.nextIntBetween(0, ROWS - 1)
    const query = `SELECT v FROM ${KS}.rows WHERE id = ${id}`
    const end = yield* connection.request(
      { _tag: "Query", query, options: { consistency: "ONE" } },
      { timeoutMillis: REQUEST, decoders }
    ).pipe(
      Effect.match({
        onFailure: (error: PoolError.PoolError): string => error.reason._tag,
        onSuccess: ({ response }) => {
          // A coordinator that has lost its replica says so; that is an answer too.
          if (response._tag === "Error") return `server: ${response.error._tag}`
          assert(response._tag === "Rows", response._tag)
          assert.deepStrictEqual(response.rows, [{ v: `value ${id}` }])
          return "answered"
        }
      }),
      Effect.timeoutOrElse({ duration: 15_000, orElse: () => Effect.die(new Error("a request was never settled")) })
    )
    if (end === "answered") answered[at]!++
    else reasons[at]![end] = (reasons[at]![end] ?? 0) + 1
  })
  const worker = Effect.gen(function*() {
    while (running) {
      yield* request(yield* Random.nextIntBetween(0, pools.length - 1))
      yield* Effect.sleep(pause)
    }
  })
  const fiber = yield* Effect.forkChild(
    Effect.forEach(Array.from({ length: WORKERS }, (_, i) => i), () => worker, {
      concurrency: "unbounded",
      discard: true
    })
  )
  return {
    answered,
    reasons,
    /** Goes on, but slowly, while this is done: a server that starts needs both cores. */
    slowly: <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.acquireUseRelease(
        Effect.sync(() => void (pause = 200)),
        () => effect,
        () => Effect.sync(() => void (pause = 3))
      ),
    /** As `until`, and fails at once where the load has failed. */
    until: (what: string, condition: () => boolean) =>
      Effect.raceFirst(until(what, condition), Effect.andThen(Fiber.join(fiber), Effect.never)),
    /** Every pool is full again and answers. */
    get well(): Effect.Effect<void> {
      return Effect.gen({ self: this }, function*() {
        yield* this.until("all pools are full", () => pools.every((pool) => pool.isFull))
        const targets = answered.map((count) => count + 15)
        yield* this.until("all pools answer", () => answered.every((count, at) => count >= targets[at]!))
        yield* this.until(
          "no orphan is left",
          () => pools.every(({ stats }) => stats.slots.every(({ orphans }) => orphans === 0))
        )
        for (const { stats } of pools) {
          assert.strictEqual(stats.excess, 0)
          assert.isTrue(stats.slots.every(({ state }) => state === "Ready"))
        }
      })
    },
    stop: Effect.suspend(() => {
      running = false
      return Fiber.join(fiber)
    })
  }
})

const makePools = Effect.gen(function*() {
  const { nodes, port } = yield* FaultyCluster
  const { transport } = yield* FaultProxy.FaultProxy
  const ticker = yield* Ticker.make
  const pools: Array<NodePool.NodePool> = []
  for (const { address } of nodes) {
    pools.push(
      yield* NodePool.make({
        address,
        port,
        reconnect: { base: 20, cap: 300 },
        shutdownTimeout: 500,
        session: { ticker, limits: LIMITS, connectTimeout: 1_000, handshakeTimeout: 2_000 }
      }).pipe(Effect.provideService(Transport.Transport, transport))
    )
  }
  yield* until("all pools are full", () => pools.every((pool) => pool.isFull))
  return pools
})

/** Faults of the network: how each begins, what is seen of it, how it ends. */
const ofTheNetwork: ReadonlyArray<{
  readonly name: string
  readonly begin: (proxy: FaultProxy.FaultProxy, address: string) => Effect.Effect<unknown>
  /** Why requests may fail because of it. */
  readonly reasons: ReadonlyArray<PoolError.PoolReason["_tag"]>
  /** Whether connections are lost by it. */
  readonly loses: boolean
}> = [
  { name: "cut", begin: (proxy, node) => proxy.strike(node, "Cut"), reasons: ["ConnectionLost"], loses: true },
  { name: "reset", begin: (proxy, node) => proxy.strike(node, "Reset"), reasons: ["ConnectionLost"], loses: true },
  { name: "torn frames", begin: (proxy, node) => proxy.strike(node, "Tear"), reasons: ["ConnectionLost"], loses: true },
  {
    name: "truncated frames",
    begin: (proxy, node) => proxy.strike(node, "Truncate"),
    reasons: ["ConnectionLost"],
    loses: true
  },
  {
    name: "refused while all are reset",
    begin: (proxy, node) => Effect.andThen(proxy.set(node, { _tag: "Refuse" }), proxy.strike(node, "Reset")),
    reasons: ["ConnectionLost"],
    loses: true
  },
  {
    name: "half-open",
    begin: (proxy, node) => proxy.strike(node, "HalfOpen"),
    reasons: ["RequestTimeout", "HeartbeatTimeout", "ConnectionClosed"],
    loses: true
  },
  {
    name: "a partition",
    begin: (proxy, node) => proxy.set(node, { _tag: "Hold" }),
    reasons: ["RequestTimeout", "HeartbeatTimeout", "ConnectionClosed", "ConnectionLost"],
    loses: true
  },
  {
    name: "late answers",
    begin: (proxy, node) => proxy.set(node, { _tag: "Delay", minMillis: 1, maxMillis: 60 }),
    reasons: ["RequestTimeout"],
    loses: false
  },
  {
    name: "answers drop by drop",
    begin: (proxy, node) => proxy.set(node, { _tag: "Drip", bytes: 100, everyMillis: 2 }),
    reasons: ["RequestTimeout"],
    loses: false
  }
]

const limiter = ConnectLimiter.layer({ rate: 1_000 })

export const faults = (it: Vitest.MethodsNonLive<FaultyCluster>, name: string): void => {
  const client = Effect.gen(function*() {
    const { contactPoints, datacenter } = yield* FaultyCluster
    return yield* CqlClient.make({ contactPoints, localDatacenter: datacenter })
  })
  describe(`faults on ${name}`, () => {
    it.layer(Layer.merge(limiter, FaultProxy.layer))("", (it) => {
      it.effect("rows are there", () =>
        Effect.gen(function*() {
          const cql = yield* client
          yield* createKeyspace(cql, KS)
          yield* cql.execute(`CREATE TABLE ${KS}.rows (id int PRIMARY KEY, v text)`)
          yield* Effect.forEach(
            Array.from({ length: ROWS }, (_, id) => id),
            (id) =>
              cql.execute(`INSERT INTO ${KS}.rows (id, v) VALUES (?, ?)`, [id, `value ${id}`], { consistency: "ALL" }),
            { concurrency: 8, discard: true }
          )
        }))

      it.effect("pools bear what the network does to their connections", () =>
        Effect.gen(function*() {
          const { isShardAware, nodes } = yield* FaultyCluster
          const proxy = yield* FaultProxy.FaultProxy
          const pools = yield* makePools
          const work = yield* load(pools)
          yield* work.well
          if (isShardAware) {
            assert.deepStrictEqual(pools.map(({ stats }) => stats.shardAwarePort), ["trusted", "trusted", "trusted"])
          }
          for (const [turn, fault] of ofTheNetwork.entries()) {
            const at = turn % nodes.length
            const [pool, { address }] = [pools[at]!, nodes[at]!]
            const before = Array.from({ length: pool.nrShards }, (_, shard) => pool.pick(shard, true)!)
            const known = work.reasons.map((counts) => ({ ...counts }))
            const answers = work.answered[at]!
            yield* fault.begin(proxy, address)
            if (fault.loses) {
              yield* work.until(`${fault.name}: it is noticed`, () => before.every(({ isOpen }) => !isOpen))
            } else {
              yield* work.until(`${fault.name}: it goes on`, () => work.answered[at]! >= answers + 20)
              assert.isTrue(before.every(({ isOpen }) => isOpen), fault.name)
            }
            yield* proxy.set(address, { _tag: "Pass" })
            yield* work.well
            for (const [other, counts] of work.reasons.entries()) {
              for (const [reason, count] of Object.entries(counts)) {
                if (count === (known[other]![reason] ?? 0) || reason.startsWith("server: ")) continue
                const allowed = other === at ? fault.reasons : ["RequestTimeout"]
                assert.include(allowed, reason, `${fault.name}: on node ${other}, and it was done to node ${at}`)
              }
            }
          }
          yield* work.stop
        }), 60_000)

      it.effect("pools bear what happens to their nodes", () =>
        Effect.gen(function*() {
          const { nodes } = yield* FaultyCluster
          const pools = yield* makePools
          const work = yield* load(pools)
          yield* work.well
          const [last] = nodes.slice(-1)
          const pool = pools.at(-1)!
          if (last!.stopped !== undefined) {
            // For less than it takes to give the connection up: the late answers find orphans, or their request.
            const timeouts = work.reasons.at(-1)!["RequestTimeout"] ?? 0
            const [connection] = [pool.pick(0)!]
            yield* last!.stopped.pause
            yield* work.until("requests expire", () =>
              (work.reasons.at(-1)!["RequestTimeout"] ?? 0) > timeouts || !connection.isOpen)
            yield* last!.stopped.resume
            yield* work.well
            // For longer.
            yield* last!.stopped.pause
            yield* work.until("the silence is noticed", () =>
              !pool.isUp)
            yield* last!.stopped.resume
            yield* work.well
          }
          yield* last!.kill
          yield* work.until("the end is noticed", () => !pool.isUp)
          const others = work.answered.slice(0, -1)
          yield* work.until("the others go on", () => others.every((count, at) => work.answered[at]! > count + 10))
          yield* work.slowly(last!.start)
          yield* work.well
          yield* work.stop
          const known = new Set(["RequestTimeout", "HeartbeatTimeout", "ConnectionLost", "ConnectionClosed"])
          for (const reason of work.reasons.flatMap((counts) => Object.keys(counts))) {
            assert.isTrue(known.has(reason) || reason.startsWith("server: "), reason)
          }
        }), 90_000)

      it.effect("what the client says of its writes is so", () =>
        Effect.gen(function*() {
          const { nodes } = yield* FaultyCluster
          const proxy = yield* FaultProxy.FaultProxy
          const cql = yield* Effect.provideService(client, Transport.Transport, proxy.transport)
          yield* cql.awaitConnected
          yield* cql.execute(`CREATE TABLE ${KS}.writes (id int PRIMARY KEY, v text)`)
          const insert = yield* cql.prepare(`INSERT INTO ${KS}.writes (id, v) VALUES (?, ?)`)
          const select = yield* cql.prepare(`SELECT id, v FROM ${KS}.writes WHERE id = ?`)
          const outcomes: Array<CqlError.Outcome | "Applied" | undefined> = []
          let running = true
          const worker = Effect.gen(function*() {
            while (running) {
              const id = outcomes.push(undefined) - 1
              const end = yield* Effect.result(cql.execute(insert, [id, `value ${id}`], { consistency: "QUORUM" }))
              outcomes[id] = end._tag === "Success" ? "Applied" : end.failure.outcome
              // Reads go to another replica: nobody sees that one was cut off.
              const { rows } = yield* cql.execute(select, [id], { consistency: "QUORUM" })
              if (outcomes[id] === "Applied" || rows.length > 0) {
                assert.deepStrictEqual(rows, [{ id, v: `value ${id}` }])
              }
              yield* Effect.sleep(3)
            }
          })
          const fiber = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: WORKERS }, (_, i) => i), () => worker, {
              concurrency: "unbounded",
              discard: true
            })
          )
          const progress = Effect.gen(function*() {
            const target = outcomes.length + 60
            yield* Effect.raceFirst(
              until("writes go on", () => outcomes.length >= target),
              Effect.andThen(Fiber.join(fiber), Effect.never)
            )
          })
          for (const [turn, blow] of (["Cut", "Reset", "Tear", "Truncate", "Reset", "Tear"] as const).entries()) {
            yield* progress
            // One at a time: a read that is cut off finds the others there.
            yield* Effect.timeout(cql.awaitConnected, "30 seconds")
            yield* proxy.strike(nodes[turn % nodes.length]!.address, blow)
          }
          yield* progress
          running = false
          yield* Fiber.join(fiber)
          yield* Effect.timeout(cql.awaitConnected, "30 seconds")
          yield* Effect.forEach(outcomes.entries(), ([id, outcome]) =>
            Effect.gen(function*() {
              const { rows } = yield* cql.execute(select, [id], { consistency: "QUORUM" })
              assert.isDefined(outcome, `write ${id} was never settled`)
              if (rows.length > 0) assert.deepStrictEqual(rows, [{ id, v: `value ${id}` }])
              if (outcome === "Applied") assert.strictEqual(rows.length, 1, `write ${id} was acknowledged and is lost`)
              if (outcome === "NotSent" || outcome === "Rejected") {
                assert.strictEqual(rows.length, 0, `write ${id} was ${outcome} and is there`)
              }
            }), { concurrency: 32, discard: true })
          const counts = outcomes.filter((outcome) => outcome === "Applied").length
          assert.isAbove(counts, 300)
        }), 60_000)

      it.effect("tidies up", () =>
        Effect.gen(function*() {
          const cql = yield* client
          yield* cql.execute(`DROP KEYSPACE IF EXISTS ${KS}`, [], { idempotent: true })
        }))
    })
  })
}
