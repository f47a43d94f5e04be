import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { runReadme } from "../../../test/support/readme.ts"

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

describe("README", () => {
  it.live("its example runs, and prints what it says", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "tcp" })
      const env = { CONTACT_POINT: cluster.contactPoints[0]! }
      const { printed, promised } = yield* Effect.promise(() => runReadme(import.meta.url, env))
      assert.deepStrictEqual(printed, promised)
    }).pipe(Effect.scoped))

  it("names every option of a client and of a query", () => {
    const declared = readFileSync(new URL("../node_modules/cassandra-driver/index.d.ts", import.meta.url), "utf8")
    for (const name of ["ClientOptions", "QueryOptions"]) {
      const body = new RegExp(`export interface ${name} \\{([\\s\\S]*?)\\n\\}`).exec(declared)![1]!
      const options = Array.from(body.matchAll(/(\w+)\??:/g), ([, option]) => option!)
        .filter((option) =>
          !["key", "username", "password", "secureConnectBundle", "handler", "callback", "err", "result"].includes(
            option
          )
        )
      assert.isAbove(options.length, 15)
      for (const option of options) assert.match(readme, new RegExp(`\\b${option}\\b`), option)
    }
  })
})
