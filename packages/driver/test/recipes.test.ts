import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readdirSync } from "node:fs"
import { runPage } from "../../../test/support/readme.ts"
import { ServerError } from "../src/index.ts"

const RECIPES = new URL("../../../docs/recipes/", import.meta.url)

const writeTimeout = new ServerError.WriteTimeout({
  code: 0x1100,
  message: "Operation timed out",
  consistency: "LOCAL_QUORUM",
  received: 1,
  required: 2,
  writeType: "COUNTER"
})

/** Servers make ids of texts. */
const preparedAs = (id: Uint8Array, text: string): boolean => createHash("md5").update(text).digest().equals(id)

/** What is the matter with the cluster of a page. */
const faults: Readonly<Record<string, (cluster: SimulatedCluster.SimulatedCluster) => Effect.Effect<void>>> = {
  "errors-and-retries": (cluster) =>
    cluster.intercept(({ request }) =>
      request._tag === "Execute" && preparedAs(request.id, "UPDATE shop.sold SET pieces = pieces + 1 WHERE item = ?")
        ? { _tag: "Error", error: writeTimeout }
        : undefined
    ),
  "graceful-shutdown": (cluster) =>
    cluster.intercept(({ request }) =>
      request._tag === "Query" && /(FROM|INTO) depot.slow/.test(request.query)
        ? { _tag: "Delay", millis: 2_000 }
        : undefined
    )
}

describe("recipes", () => {
  for (const file of readdirSync(RECIPES)) {
    const name = file.replace(/\.md$/, "")
    it.live(`${name}: its program runs, and prints what it says`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2 })
        yield* faults[name]?.(cluster) ?? Effect.void
        const { printed, promised } = yield* Effect.promise(() =>
          runPage(import.meta.url, new URL(file, RECIPES), { CONTACT_POINT: cluster.contactPoints[0]! })
        )
        assert.isAbove(promised.length, 0)
        assert.deepStrictEqual(printed, promised)
      }))
  }
})
