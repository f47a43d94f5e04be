/** A cluster whose nodes learn something new one after the other, under a client that lives on. */
import { Frame } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "./support/world.ts"

const METADATA_ID = "SCYLLA_USE_METADATA_ID"

describe("an upgrade under way", () => {
  it.effect("nodes that have ids of metadata and nodes that have not: a statement that was prepared before is read right on all", () =>
    Effect.gen(function*() {
      let isUpgraded = false
      const { cluster, cql } = yield* world({
        supported: (supported) => {
          if (!isUpgraded) supported.delete(METADATA_ID)
          return supported
        }
      })
      yield* passing(cql.execute("CREATE TABLE ks.u (id int PRIMARY KEY, a int)"))
      yield* passing(cql.execute("INSERT INTO ks.u (id, a) VALUES (1, 2)"))
      const select = yield* passing(cql.prepare("SELECT * FROM ks.u WHERE id = ?"))
      const other = yield* passing(clientOf(cluster))
      let expected: Record<string, unknown> = { id: 1, a: 2 }
      const check = Effect.gen(function*() {
        for (let i = 0; i < 9; i++) {
          assert.deepStrictEqual((yield* passing(cql.execute(select, [1]))).rows, [expected])
        }
      })
      yield* check
      isUpgraded = true
      const withIds = new Set<number>()
      yield* cluster.intercept(({ node, opcode, request }) => {
        if (opcode === Frame.Opcode.EXECUTE && request._tag === "Execute" && request.resultMetadataId !== undefined) {
          withIds.add(node)
        }
        return undefined
      })
      for (let node = 0; node < 3; node++) {
        yield* cluster.stop(node)
        yield* TestClock.adjust("1 second")
        yield* check
        yield* cluster.start(node)
        yield* TestClock.adjust("15 seconds")
        yield* check
        // The table changes in the midst of it, by another client.
        yield* passing(other.execute(`ALTER TABLE ks.u ADD b${node} text`))
        expected = Object.assign({}, expected, { [`b${node}`]: null })
        yield* check
        assert.deepStrictEqual([...withIds].sort(), Array.from({ length: node + 1 }, (_, i) => i))
      }
    }))
})

describe("the control connection", () => {
  it.effect("never has a statement of the user's, through fail-overs and schema changes", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const control = new Set<number>()
      const asked: Array<string> = []
      yield* cluster.intercept(({ connection, opcode, request }) => {
        if (opcode === Frame.Opcode.REGISTER) control.add(connection)
        if (!control.has(connection)) return undefined
        if (request._tag === "Query") asked.push(request.query)
        else if (request._tag === "Prepare" || request._tag === "Execute" || request._tag === "Batch") {
          asked.push(request._tag)
        }
        return undefined
      })
      const use = Effect.gen(function*() {
        yield* passing(cql.execute("SELECT * FROM ks.t"))
        yield* passing(
          cql.execute("INSERT INTO ks.t (id, v) VALUES (?, ?)", ["01020304-0506-4708-8910-111200000000", 1], {
            idempotent: true
          })
        )
        yield* passing(
          cql.batch(["DELETE FROM ks.t WHERE id = 01020304-0506-4708-8910-111200000001"], { idempotent: true })
        )
      })
      for (let node = 0; node < 3; node++) {
        yield* cluster.stop(node)
        yield* TestClock.adjust("3 seconds")
        yield* use
        yield* passing(cql.execute(`CREATE TABLE ks.made${node} (id int PRIMARY KEY)`))
        yield* cluster.start(node)
        yield* TestClock.adjust("15 seconds")
        yield* use
      }
      assert.isAbove(control.size, 0)
      assert.isAbove(asked.length, 0)
      assert.deepStrictEqual(asked.filter((text) => !/^SELECT .* FROM system(_schema)?\./.test(text)), [])
    }))
})
