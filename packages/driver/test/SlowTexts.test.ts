/** Texts that take exponential or quadratic time before anything is sent, on the event loop. */
import { StatementKind } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { passing, world } from "./support/world.ts"

describe("reading a text", () => {
  // Each comment doubles it: 24 took about a second; 30 would be about a minute.
  it.effect("a banner of block comments in front", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1 })
      const begun = performance.now()
      yield* passing(cql.execute("/* a line of a banner */\n".repeat(24) + "SELECT * FROM ks.t"))
      assert.isBelow(performance.now() - begun, 500)
    }))
  it("many double quotes in a row behind SET", () => {
    const begun = performance.now()
    StatementKind.of(`UPDATE t SET x = 1 + 1 ${'"'.repeat(8_000)}`)
    assert.isBelow(performance.now() - begun, 200)
  })
  it.effect("a large batch of texts, of which one is to be prepared", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 1 })
      const items: Array<any> = Array.from(
        { length: 16_000 },
        (_, i) => `INSERT INTO ks.t (id, v) VALUES (uuid(), ${i})`
      )
      items.push(["INSERT INTO ks.t (id, v) VALUES (uuid(), ?)", [1]])
      const batch = cql.batch(items)
      const begun = performance.now()
      // Up to the PREPARE, in one turn of the event loop: nothing of a server is in it.
      Effect.runFork(Effect.ignore(batch))
      assert.isBelow(performance.now() - begun, 1_000)
    }))
})
