/** Our client with its defaults: one Effect per request, one fiber per request in flight. */
import { CqlClient } from "@effect-scylla/driver"
import { Uuid } from "@effect-scylla/protocol"
import { Effect, Exit, Scope } from "effect"
import { INSERT, keyCount, keys, name, row, SELECT } from "../workload.ts"
import type { Connect, Sampler } from "./client.ts"

export const connect: Connect = async (port, operation) => {
  const scope = Effect.runSync(Scope.make())
  const ids = keys.map((key) => Uuid.parseUnsafe(key))
  const scores = keys.map((_, i) => BigInt(i))
  const state = { remaining: 0 }

  const { client, statement } = await Effect.runPromise(
    Effect.gen(function*() {
      const client = yield* CqlClient.make({
        contactPoints: [`127.0.0.1:${port}`],
        localDatacenter: "datacenter1"
      })
      return { client, statement: yield* client.prepare(operation === "select" ? SELECT : INSERT) }
    }).pipe(Effect.provideService(Scope.Scope, scope))
  )

  const select = function*(sampler: Sampler) {
    while (state.remaining > 0) {
      const n = --state.remaining
      const start = sampler.due() ? performance.now() : 0
      const result = yield* client.execute(statement, [ids[n % keyCount]])
      if (start !== 0) sampler.record(start)
      if (result.rows[0]!["age"] !== row.age) throw new Error("not the row")
    }
  }

  const insert = function*(sampler: Sampler) {
    while (state.remaining > 0) {
      const n = --state.remaining
      const start = sampler.due() ? performance.now() : 0
      yield* client.execute(statement, [ids[n % keyCount], name, n, scores[n % keyCount]])
      if (start !== 0) sampler.record(start)
    }
  }

  return {
    run: (inflight, requests, sampler) => {
      state.remaining = requests
      const worker = operation === "select"
        ? Effect.gen(() => select(sampler))
        : Effect.gen(() => insert(sampler))
      return Effect.runPromise(
        Effect.all(Array.from({ length: inflight }, () => worker), { concurrency: "unbounded", discard: true })
      )
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
