/** Reads by key that are batched. */
import { CqlResolver, CqlTypes } from "@effect-scylla/driver"
import { Frame, Uuid } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { passing, world } from "./support/world.ts"

const id = (n: number) => new Uuid.Uuid(n, n, n, n)

describe("CqlResolver", () => {
  it.effect("reads each key once, each from its own partition and core, and completes each by itself", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      yield* passing(cql.executeMany(insert, Array.from({ length: 20 }, (_, i) => [id(i), i])))
      const resolver = CqlResolver.findById({
        Id: CqlTypes.Uuid,
        Result: Schema.Struct({ id: CqlTypes.Uuid, v: CqlTypes.Int }),
        execute: (id) => cql`SELECT id, v FROM ks.t WHERE id = ${id}`
      })
      yield* passing(CqlResolver.request(id(0), resolver))
      yield* passing(Effect.sleep("1 second"))
      yield* cluster.resetStats
      let executed = 0
      yield* cluster.intercept(({ opcode }) => {
        if (opcode === Frame.Opcode.EXECUTE) executed++
        return undefined
      })
      const asked = [...Array.from({ length: 60 }, (_, i) => i % 20), 99]
      const exits = yield* passing(
        // Whoever asks does so in a span and a scope of its own, and with logs of its own.
        Effect.forEach(
          asked,
          (n) =>
            CqlResolver.request(id(n), resolver).pipe(
              Effect.withSpan(`read ${n}`),
              Effect.annotateLogs({ asked: `${n}` }),
              Effect.scoped,
              Effect.exit
            ),
          { concurrency: "unbounded" }
        )
      )
      assert.strictEqual(executed, 21)
      assert.strictEqual((yield* cluster.stats).byTable["ks.t"]!.misrouted, 0)
      assert.deepStrictEqual(
        exits.slice(0, 60).map((exit) => Exit.isSuccess(exit) ? exit.value.v : undefined),
        asked.slice(0, 60)
      )
      const missing = exits[60]!
      assert.isTrue(Exit.isFailure(missing) && String(missing).includes("NoSuchElement"))
    }))

  it.effect("gives the rows of a partition, and an error of one key is of nobody else", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.o (k int, c int, PRIMARY KEY (k, c))"))
      yield* passing(cql.executeMany("INSERT INTO ks.o (k, c) VALUES (?, ?)", [[1, 1], [1, 2], [2, 1]]))
      const resolver = CqlResolver.grouped({
        Id: Schema.Struct({ k: Schema.Number }),
        Result: Schema.Struct({ c: CqlTypes.Int }),
        execute: ({ k }) => cql`SELECT c FROM ks.o WHERE k = ${k}`
      })
      const [one, wrong, two, again] = yield* passing(
        Effect.forEach([1, 0.5, 2, 1], (k) => Effect.exit(CqlResolver.request({ k }, resolver)), {
          concurrency: "unbounded"
        })
      )
      assert.deepStrictEqual(one, Exit.succeed([{ c: 1 }, { c: 2 }]))
      assert.deepStrictEqual(two, Exit.succeed([{ c: 1 }]))
      assert.deepStrictEqual(again, one)
      assert.isTrue(Exit.isFailure(wrong!))
      assert.match(String(wrong), /int/)
    }))
})
