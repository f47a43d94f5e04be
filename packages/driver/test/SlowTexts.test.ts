/** Texts that would take exponential or quadratic time to read: with such sizes a test that has to read them would never end. */
import { StatementKind } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { passing, world } from "./support/world.ts"

describe("reading a text", () => {
  it.effect("a banner of block comments in front", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1 })
      const banner = "/* a line of a banner */\n".repeat(400)
      assert.deepStrictEqual((yield* passing(cql.execute(`${banner}SELECT * FROM ks.t`))).rows, [])
      const use = yield* Effect.flip(passing(cql.execute(`${banner}use ks`)))
      assert.include(use.message, "USE would change one connection")
    }))

  it("many double quotes in a row behind SET", () => {
    assert.strictEqual(StatementKind.of(`UPDATE t SET x = 1 + 1 ${'"'.repeat(400_000)}`).type, "write")
  })

  it.effect("a large batch of texts, of which one is to be prepared", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1 })
      const id = "01020304-0506-4708-8910-111200000000"
      const items = Array.from({ length: 60_000 }, (_, i) => `INSERT INTO ks.t (id, v) VALUES (${id}, ${i})`)
      // Nothing of a server is in it: up to the PREPARE, in one turn of the event loop.
      const fiber = Effect.runFork(
        Effect.exit(cql.batch([...items, [`INSERT INTO ks.t (id, v) VALUES (?, ?)`, [id, 1]]]))
      )
      assert.isUndefined(fiber.pollUnsafe())
      fiber.interruptUnsafe()
    }))
})
