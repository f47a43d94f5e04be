/** Our client with its defaults: one Effect per request, one fiber per request in flight. */
import { CqlClient } from "@effect-scylla/driver"
import { Uuid } from "@effect-scylla/protocol"
import { Effect, Exit, Scope } from "effect"
import { batchSize, INSERT, keyCount, keys, name, row, SELECT } from "../workload.ts"
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
      return { client, statement: yield* client.prepare(/select/i.test(operation) ? SELECT : INSERT) }
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

  const batch = function*(sampler: Sampler) {
    while (state.remaining > 0) {
      const id = ids[--state.remaining % keyCount]
      const start = sampler.due() ? performance.now() : 0
      const items = scores.slice(0, batchSize).map((score, i) => [statement, [id, name, i, score]] as const)
      yield* client.batch(items, { type: "unlogged" })
      if (start !== 0) sampler.record(start)
    }
  }

  const rows = function*(requests: number) {
    for (let n = 0; n < requests; n++) {
      yield operation === "manySelect" ? [ids[n % keyCount]] : [ids[n % keyCount], name, n, scores[n % keyCount]]
    }
  }

  return {
    run: (inflight, requests, sampler) => {
      if (operation.startsWith("many")) {
        return Effect.runPromise(
          Effect.asVoid(client.executeMany(statement, rows(requests), { concurrency: inflight }))
        )
      }
      state.remaining = requests
      const worker = operation === "select"
        ? Effect.gen(() => select(sampler))
        : operation === "batch"
        ? Effect.gen(() => batch(sampler))
        : Effect.gen(() => insert(sampler))
      return Effect.runPromise(
        Effect.all(Array.from({ length: inflight }, () => worker), { concurrency: "unbounded", discard: true })
      )
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
