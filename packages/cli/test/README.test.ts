import { Codegen, KeyspaceSchema } from "@effect-scylla/cli"
import { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { runReadme } from "../../../test/support/readme.ts"

/** Beside the example, which imports `./db/shop.ts`. */
const folder = fileURLToPath(new URL("./db", import.meta.url))

describe("README", () => {
  it.live("its example runs on what was generated, and prints what it says", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1 })
      const cql = yield* CqlClient.make({ contactPoints: cluster.contactPoints, shutdownTimeout: 0 })
      yield* cql.execute(
        "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
      )
      yield* cql.execute(
        "CREATE TABLE shop.order_items (shop text, number int, price decimal, tags set<text>, PRIMARY KEY (shop, number))"
      )
      yield* cql`INSERT INTO shop.order_items (shop, number, price, tags) VALUES (${"Prague"}, ${1}, ${"19.90"}, ${[
        "new"
      ]})`
      const schema = yield* KeyspaceSchema.read(cql, "shop")
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          mkdirSync(folder, { recursive: true })
          for (const { name, text } of Codegen.generate([schema])) {
            writeFileSync(`${folder}/${name}`, text)
          }
        }),
        () => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const { printed, promised } = yield* Effect.promise(() =>
        runReadme(import.meta.url, { CONTACT_POINT: cluster.contactPoints[0]! })
      )
      assert.isAbove(promised.length, 0)
      assert.deepStrictEqual(printed, promised)
    }))

  it.live("the program that it leaves to the reader loads", () =>
    Effect.promise(async () => {
      const { promised } = await runReadme(import.meta.url, {}, 1)
      assert.strictEqual(promised.length, 0)
    }))
})
