/** What types forbid and JavaScript does: thrown, or taken without a word, where others are typed errors. */
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit } from "effect"
import { passing, world } from "./support/world.ts"

const id = "01020304-0506-4708-8910-111200000000"

describe("misuse", () => {
  it.effect("is a typed error", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1 })
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      const any = cql as any
      const calls: ReadonlyArray<readonly [string, () => Effect.Effect<unknown, any>]> = [
        ["execute, options null", () => any.execute(insert, [id, 1], null)],
        [
          "a hole in a batch",
          () => any.batch(Object.assign([] as Array<unknown>, { 1: [insert, [id, 1]], length: 2 }))
        ],
        ["executeMany, options null", () => any.executeMany(insert, [[id, 1]], null)]
      ]
      const wrong: Array<string> = []
      for (const [name, call] of calls) {
        try {
          const exit = yield* Effect.exit(passing(call()))
          if (Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Die") wrong.push(`${name} dies`)
        } catch {
          wrong.push(`${name} throws`)
        }
      }
      // A getter that throws: a CqlError whose reason is the error itself, without a tag.
      const row = {
        get id(): never {
          throw new TypeError("boom")
        },
        v: 1
      }
      const exit: any = yield* Effect.exit(passing(cql.executeMany(insert, [row])))
      const reason = exit.cause?.reasons[0]?.error?.reason
      if (reason !== undefined && reason._tag === undefined) {
        wrong.push(`executeMany: a CqlError with the reason ${reason}`)
      }
      assert.deepStrictEqual(wrong, [])
    }))
  it.effect("CQL_TIMESTAMPS=SERVER is taken as `client`", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const env = { CQL_CONTACT_POINTS: cluster.contactPoints[0]!, CQL_TIMESTAMPS: "SERVER" }
      const exit = yield* passing(Effect.exit(
        Effect.scoped(CqlClient.CqlClient.pipe(Effect.provide(CqlClient.layerConfig()))).pipe(
          Effect.provideService(Transport.Transport, cluster.transport),
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
        )
      ))
      assert.isTrue(Exit.isFailure(exit))
    }))
  it.effect("options that change after the call of `execute` with a text that is not prepared yet", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 })
      const seen: Array<unknown> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Execute") {
          seen.push((request as any).options?.consistency ?? (request as any).values?.consistency)
        }
        return undefined
      })
      const options: any = { consistency: "ONE" }
      const request = cql.execute("SELECT v FROM ks.t WHERE id = ?", [id], options)
      options.consistency = "ALL"
      yield* passing(request)
      assert.deepStrictEqual(seen, ["ONE"])
    }))
})
