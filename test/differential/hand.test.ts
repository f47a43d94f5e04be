/** Statements that the grammar does not draw: the simulator answers them as Cassandra 5.0.5 did, in its words. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { speak } from "./beside.ts"
import { answer, prepare, sections, simulator } from "./hand.ts"

describe("statements written by hand", () => {
  for (const { name, steps } of sections()) {
    it.live(`are answered as by a Cassandra: ${name}, ${steps.length}`, () =>
      Effect.gen(function*() {
        const client = yield* speak((yield* simulator).contactPoints[0]!)
        yield* prepare(client)
        for (const [line, cassandra] of steps) assert.strictEqual(yield* answer(client, line), cassandra, line)
      }))
  }
})
