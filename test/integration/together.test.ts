/** The example that uses all three packages. */
import * as Driver from "@effect-scylla/driver/Driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { embedded } from "../../examples/together/embedded.ts"
import { program } from "../../examples/together/program.ts"

describe("together", () => {
  it.live("orders, stock and a lock, over one layer on embedded clusters", () =>
    Effect.gen(function*() {
      const addresses = yield* embedded
      const result = yield* Effect.provide(program({ orders: 12, stock: 50 }), Driver.layer(addresses))
      assert.strictEqual(result.orders, 12)
      // Without the lock some of the twelve would be lost.
      assert.strictEqual(result.left, 38)
      assert.include(addresses.raft.endpoints, result.leader)
    }))
})
