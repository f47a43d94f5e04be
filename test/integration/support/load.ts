/** Load on the pools of all nodes, for suites that do things to connections and nodes meanwhile. */
import { CqlClient } from "@effect-scylla/driver"
import { ConnectLimiter, NodePool, type PoolError, Ticker, Transport } from "@effect-scylla/pool"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { FaultProxy } from "@effect-scylla/testkit"
import { assert } from "@effect/vitest"
import { Effect, Fiber, Layer, Random } from "effect"
import { FaultyCluster } from "./faultyClusters.ts"
import { createKeyspace } from "./keyspaces.ts"

const ROWS = 50
export const WORKERS = 8
/** Milliseconds of a request; the connection's own timers are shorter than the driver's, so that a suite ends. */
const REQUEST = 1_500
const LIMITS = { heartbeatInterval: 700, heartbeatTimeout: 1_000, writeTimeout: 2_000 }

/** What suites of faults need beside their cluster: dials that are not rationed, and the proxy. */
export const Faulty = Layer.merge(ConnectLimiter.layer({ rate: 1_000 }), FaultProxy.layer)

export const client = Effect.gen(function*() {
  const { contactPoints, datacenter } = yield* FaultyCluster
  return yield* CqlClient.make({ contactPoints, localDatacenter: datacenter })
})

/** A keyspace with the rows that the load reads. */
export const fill = Effect.fnUntraced(function*(cql: CqlClient.CqlClient, keyspace: string) {
  yield* createKeyspace(cql, keyspace)
  yield* cql.execute(`CREATE TABLE ${keyspace}.rows (id int PRIMARY KEY, v text)`)
  yield* Effect.forEach(
    Array.from({ length: ROWS }, (_, id) => id),
    (id) =>
      cql.execute(`INSERT INTO ${keyspace}.rows (id, v) VALUES (?, ?)`, [id, `value ${id}`], { consistency: "ALL" }),
    { concurrency: 8, discard: true }
  )
})

/** Looks every few milliseconds. */
export const until = (what: string, condition: () => boolean, seconds = 40): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < seconds * 100; i++) {
      if (condition()) return
      yield* Effect.sleep(10)
    }
    assert.fail(`never came true: ${what}`)
  })

/** Requests under way all the time on the pools of all nodes, and what became of them. */
export const load = Effect.fnUntraced(function*(pools: ReadonlyArray<NodePool.NodePool>, keyspace: string) {
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
    const query = `SELECT v FROM ${keyspace}.rows WHERE id = ${id}`
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

export const makePools = Effect.gen(function*() {
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
