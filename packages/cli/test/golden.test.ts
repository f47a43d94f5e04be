/** What is generated of a keyspace that has everything, byte for byte. `UPDATE_GOLDEN=1` writes it anew. */
import { Codegen, KeyspaceSchema } from "@effect-scylla/cli"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { world } from "./support/cluster.ts"
import { KEYSPACE } from "./support/keyspace.ts"

describe("golden files", () => {
  it.live("are what a live keyspace gives, time and again", () =>
    Effect.gen(function*() {
      const { cql } = yield* world
      const schema = yield* KeyspaceSchema.read(cql, KEYSPACE)
      const files = Codegen.generate([schema])
      assert.deepStrictEqual(files.map(({ name }) => name), ["shop.ts"])
      for (const { name, text } of files) {
        const path = new URL(`./golden/${name}`, import.meta.url)
        if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, text)
        assert.strictEqual(text, readFileSync(path, "utf8"), name)
      }
      const again = Codegen.generate([yield* KeyspaceSchema.read(cql, KEYSPACE)])
      assert.deepStrictEqual(again, files)
    }))
})
