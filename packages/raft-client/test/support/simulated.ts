/** A client on a simulated cluster, and virtual time that runs while somebody waits. */
import { DEngineAdapter, RaftClient, type RaftError, Transport } from "@effect-scylla/raft-client"
import * as RaftSimulatedTransport from "@effect-scylla/testkit/RaftSimulatedTransport"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { assert } from "@effect/vitest"
import { Clock, Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"

export interface Simulation {
  readonly cluster: RaftSimulator.RaftSimulator
  readonly transport: Transport.Transport & { readonly opened: ReadonlyArray<string> }
  /** A client of it; the other options are given. */
  readonly connect: (
    options?: Partial<RaftClient.RaftClientOptions>
  ) => Effect.Effect<RaftClient.RaftClient, RaftError.RaftError, Scope.Scope>
}

export const simulate = Effect.fnUntraced(function*(
  options: RaftSimulator.RaftSimulatorOptions = {}
): Effect.fn.Return<Simulation, never, Scope.Scope> {
  const cluster = yield* RaftSimulator.make(options)
  const transport = yield* RaftSimulatedTransport.make(cluster)
  return {
    cluster,
    transport,
    connect: (client = {}) =>
      drive(RaftClient.make({ endpoints: cluster.endpoints, adapter: DEngineAdapter.make(), ...client })).pipe(
        Effect.provideService(Transport.Transport, transport)
      )
  }
})

const STEP = 5

/** Runs an effect while virtual time goes by, at most two minutes of it. */
export const drive = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let passed = 0; fiber.pollUnsafe() === undefined; passed += STEP) {
      if (passed > 120_000) return yield* Effect.die(new Error("nothing came of it in two minutes of virtual time"))
      yield* TestClock.adjust(STEP)
    }
    return yield* Fiber.join(fiber)
  })

/** Lets virtual time go by in small steps. */
export const pass = (millis: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let passed = 0; passed < millis; passed += STEP) yield* TestClock.adjust(Math.min(STEP, millis - passed))
  })

/** The failure of an effect, with the milliseconds that it took. */
export const failing = <A, R>(effect: Effect.Effect<A, RaftError.RaftError, R>) =>
  Effect.gen(function*() {
    const before = yield* Clock.currentTimeMillis
    const error = yield* drive(Effect.flip(effect))
    return Object.assign(error, { after: (yield* Clock.currentTimeMillis) - before })
  })

export const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes)

export const assertError = (
  error: RaftError.RaftError,
  reason: RaftError.RaftReason["_tag"],
  outcome?: RaftError.Outcome
): void => {
  assert.strictEqual(error.reason._tag, reason, error.message)
  assert.strictEqual(error.outcome, outcome, error.message)
}
