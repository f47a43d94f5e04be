/**
 * A client under load on three real nodes of Apache Cassandra, which are killed, stopped and started, while a proxy hurts its
 * connections and tables are altered. The seed says what is done, in this order; when it happens to whom is up to the machine.
 */
import { CqlClient } from "@effect-scylla/driver"
import { ConnectLimiter, Transport } from "@effect-scylla/pool"
import { CassandraServer, FaultProxy } from "@effect-scylla/testkit"
import { Data, Effect, Exit, Fiber, Logger, Random as EffectRandom, Scope } from "effect"
import { Random } from "../support/random.ts"
import { check } from "./checker.ts"
import { type Fault, Plan, type Weights } from "./faults.ts"
import { Ledger } from "./ledger.ts"
import { alterable, finalState, prepareSchema } from "./places.ts"
import { Broken, type Report, reportOf } from "./report.ts"
import { type Client, pickBy, policiesOf } from "./setting.ts"
import { Workload } from "./workload.ts"

/** The campaign itself could not go on. */
export class Stuck extends Data.TaggedError("Stuck")<{ readonly message: string }> {}

const WEIGHTS: Weights = { Alter: 2, Cut: 6, Deaf: 2, HalfOpen: 2, Kill: 1, Pause: 4, Slow: 2 }

const WORKERS = 8
/** Milliseconds between two requests of a worker: the servers have the two cores with us. */
const REST = { usual: 60, whileStarting: 600 }

const clientOf = (random: Random): Partial<Client> => {
  const pick = pickBy(random)
  const protocolVersion = pick<Client["protocolVersion"]>("auto", "auto", 3, 4, 5)
  return {
    protocolVersion,
    compression: protocolVersion === 5 ? pick("none", "lz4") : pick("none", "lz4", "snappy"),
    connections: pick<Client["connections"]>({ perShard: 1 }, { perNode: 3 }),
    adaptive: pick(true, false),
    attemptTimeout: pick<Client["attemptTimeout"]>(undefined, 150, 500, false),
    requestTimeout: pick(2_000, 5_000, 12_000),
    maxInFlight: pick(4, 1_024),
    ...policiesOf(pick),
    reconnect: { base: 20, cap: 1_000 }
  }
}

const BLOWS = ["Cut", "Reset", "Tear", "Truncate"] as const

/** Makes the tables unless they are there: every seed has places of its own. */
const ensureSchema = Effect.fnUntraced(function*(cql: CqlClient.CqlClient, datacenter: string) {
  const { rows } = yield* cql.execute("SELECT keyspace_name FROM system_schema.keyspaces")
  if (rows.some((row) => row["keyspace_name"] === "chaos")) return
  yield* prepareSchema(cql, { datacenter, replicas: 3, tablets: undefined })
})

const run = Effect.fnUntraced(function*(seed: number, seconds: number) {
  const random = new Random(Math.imul(seed, 0x9e3779b1))
  const { contactPoints, datacenter, nodes } = yield* CassandraServer.CassandraServer
  const proxy = yield* FaultProxy.make
  const options = clientOf(random)
  // Another one, which nothing happens to: it makes and alters tables, and has the last word.
  const other = yield* CqlClient.make({ contactPoints, localDatacenter: datacenter, requestTimeout: "20 seconds" })
  yield* other.awaitConnected
  yield* ensureSchema(other, datacenter)
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const cql = yield* CqlClient.make({ contactPoints, localDatacenter: datacenter, ...options }).pipe(
    Scope.provide(scope),
    Effect.provideService(Transport.Transport, proxy.transport)
  )
  const ledger = new Ledger()
  const settings = { name: `s${seed}-${Date.now()}`, impatient: 40, rest: REST.usual, generation: 200 }
  const load = new Workload(cql, ledger, settings)
  yield* load.begin(other)

  let running = true
  const workers = yield* Effect.forEach(
    Array.from({ length: WORKERS }, (_, i) => i),
    (i) => Effect.forkScoped(load.worker(i, new Random(random.u32()), () => running))
  )
  let columns = 0
  /** How long a fault lasts: some are over before they are noticed. */
  const a = (least: number, most: number) => Effect.suspend(() => Effect.sleep(least + random.below(most - least)))
  const clear = (address: string) => proxy.set(address, { _tag: "Pass" })
  const inflict = (fault: Fault) => {
    const { address, kill, pause, resume, start } = nodes[random.below(nodes.length)]!
    switch (fault._tag) {
      case "Kill":
        // Whoever starts needs both cores.
        return Effect.gen(function*() {
          yield* kill
          yield* a(200, 2_000)
          settings.rest = REST.whileStarting
          yield* start
          settings.rest = REST.usual
        })
      case "Pause":
        return Effect.andThen(pause, Effect.andThen(a(100, 5_000), resume))
      case "Cut":
        return proxy.strike(address, BLOWS[random.below(BLOWS.length)]!)
      case "HalfOpen":
        return proxy.strike(address, "HalfOpen")
      case "Deaf":
        return Effect.andThen(
          proxy.set(address, { _tag: "Hold" }),
          Effect.andThen(a(100, 4_000), clear(address))
        )
      case "Slow":
        return Effect.andThen(
          proxy.set(address, { _tag: "Delay", minMillis: 1, maxMillis: fault.millis / 2 }),
          Effect.andThen(a(500, 4_000), clear(address))
        )
      case "Alter": {
        const table = alterable[random.below(alterable.length)]!
        // A node that has come back may refuse every change of the schema.
        return Effect.ignore(
          other.execute(`ALTER TABLE ${table} ADD s${seed}_${++columns} int`, [], { timeout: 10_000 })
        )
      }
      default:
        return Effect.die(new Error(`nobody does ${fault._tag} to real nodes`))
    }
  }
  const plan = new Plan(random, WEIGHTS)
  const faults: Array<string> = []
  const deadline = performance.now() + seconds * 1_000
  while (performance.now() < deadline) {
    yield* a(100, 1_500)
    // A run is long enough for one death at least.
    const fault: Fault = faults.length === 2 ? { _tag: "Kill" } : plan.next()
    faults.push(fault._tag)
    yield* inflict(fault)
  }
  running = false
  yield* Effect.ignore(Effect.timeout(Effect.forEach(workers, Fiber.await), "60 seconds"))
  yield* Scope.close(scope, Exit.void)
  yield* Effect.timeout(other.awaitConnected, "60 seconds")

  // What nodes still had, and what a batch log has to repeat, is done some time.
  let violations = check(ledger.entries, yield* lastWord(other, ledger))
  for (let i = 0; i < 20 && violations.some(({ kind }) => kind === "Torn"); i++) {
    yield* Effect.sleep("3 seconds")
    violations = check(ledger.entries, yield* lastWord(other, ledger))
  }
  if (violations.length > 0) {
    const where = `seed ${seed} on Cassandra (${JSON.stringify(options)}; ${faults.join(", ")})`
    return yield* new Broken({ where, violations })
  }
  return reportOf(ledger.entries, faults)
})

/** All replicas have to answer, which one that has just come back does not always. */
const lastWord = (cql: CqlClient.CqlClient, ledger: Ledger) =>
  Effect.retry(finalState(cql, ledger.places), { times: 10, while: ({ isRetryable }) => isRetryable })

/** Runs one seed for so many seconds. */
export const torment = (
  seed: number,
  seconds: number
): Effect.Effect<Report, Broken | Stuck, CassandraServer.CassandraServer> =>
  Effect.scoped(run(seed, seconds)).pipe(
    Effect.provideService(ConnectLimiter.ConnectLimiter, ConnectLimiter.make({ rate: 1_000 })),
    EffectRandom.withSeed(String(seed)),
    Effect.provide(Logger.layer([])),
    Effect.mapError((error) => error instanceof Broken ? error : new Stuck({ message: String(error) }))
  )
