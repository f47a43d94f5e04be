/**
 * Results without their metadata: a row is read with the columns that its request named, whatever happens to the table in
 * the meantime (`docs/architecture.md`, what must always hold: rows).
 */
import type { CqlClient } from "@effect-scylla/driver"
import { Frame } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Random } from "../../../test/support/random.ts"
import { tap } from "./support/tap.ts"
import { clientOf, type ClientOptions, passing, settle, withoutEvents, world } from "./support/world.ts"

interface Execute {
  readonly node: number
  /** In hexadecimal; `undefined` where the dialect has no ids. */
  readonly metadataId: string | undefined
  readonly skipMetadata: boolean
}

/** Notes every EXECUTE that the cluster gets. */
const executes = (cluster: SimulatedCluster.SimulatedCluster) =>
  Effect.gen(function*() {
    const seen: Array<Execute> = []
    yield* cluster.intercept(({ node, opcode, request }) => {
      if (opcode === Frame.Opcode.EXECUTE && request._tag === "Execute") {
        seen.push({
          node,
          metadataId: request.resultMetadataId === undefined
            ? undefined
            : Buffer.from(request.resultMetadataId).toString("hex"),
          skipMetadata: request.options.skipMetadata === true
        })
      }
      return undefined
    })
    return seen
  })

const ask = (cql: CqlClient.CqlClient, text: string) => passing(cql.execute(text))

const products: ReadonlyArray<readonly [string, SimulatedCluster.Options, ClientOptions]> = [
  ["ScyllaDB, v4 with the extension", {}, {}],
  ["Cassandra, v5", { product: "cassandra" }, {}],
  ["Cassandra, v5 with lz4", { product: "cassandra" }, { compression: "lz4" }]
]

for (const [name, options, clientOptions] of products) {
  describe(`metadata ids on ${name}`, () => {
    it.effect("a result is asked for without its metadata, a write names nothing to leave out", () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world(options, clientOptions)
        yield* ask(cql, "CREATE TABLE ks.u (id int PRIMARY KEY, a int, b text)")
        const insert = yield* passing(cql.prepare("INSERT INTO ks.u (id, a, b) VALUES (?, ?, ?)"))
        const select = yield* passing(cql.prepare("SELECT * FROM ks.u WHERE id = ?"))
        const seen = yield* executes(cluster)
        yield* passing(cql.execute(insert, [1, 2, "three"]))
        assert.deepStrictEqual(seen.map(({ skipMetadata }) => skipMetadata), seen.map(() => false))
        seen.length = 0
        for (let i = 0; i < 8; i++) {
          const result = yield* passing(cql.execute(select, [1]))
          assert.deepStrictEqual(result.rows, [{ id: 1, a: 2, b: "three" }])
          assert.deepStrictEqual(result.columns.map((column) => column.name), ["id", "a", "b"])
        }
        assert.isTrue(seen.every(({ metadataId, skipMetadata }) => skipMetadata && metadataId?.length === 32))
        // Options of a single call leave it out as well, pages too.
        seen.length = 0
        const page = yield* passing(cql.execute(select, [1], { pageSize: 1, consistency: "ONE" }))
        assert.deepStrictEqual(page.rows, [{ id: 1, a: 2, b: "three" }])
        assert.isTrue(seen.every(({ skipMetadata }) => skipMetadata))
      }))

    it.effect("METADATA_CHANGED replaces id and columns together", () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world(options, clientOptions, withoutEvents)
        yield* ask(cql, "CREATE TABLE ks.u (id int PRIMARY KEY, a int)")
        yield* ask(cql, "INSERT INTO ks.u (id, a) VALUES (1, 2)")
        const TEXT = "SELECT * FROM ks.u WHERE id = ?"
        const select = yield* passing(cql.prepare(TEXT))
        for (let i = 0; i < 6; i++) yield* passing(cql.execute(select, [1]))
        // Another client alters the table and prepares the statement everywhere: ours is not told UNPREPARED.
        const other = yield* passing(clientOf(cluster, clientOptions))
        yield* passing(other.awaitConnected)
        yield* ask(other, "ALTER TABLE ks.u ADD b text")
        yield* passing(Effect.forEach(Array.from({ length: 9 }), () => other.execute(TEXT, [1])))
        const prepares = (yield* cluster.stats).prepares
        const seen = yield* executes(cluster)
        for (let i = 0; i < 6; i++) {
          const { rows } = yield* passing(cql.execute(select, [1]))
          assert.deepStrictEqual(rows, [{ id: 1, a: 2, b: null }])
        }
        assert.strictEqual((yield* cluster.stats).prepares, prepares)
        const [first, ...later] = seen.map(({ metadataId }) => metadataId)
        assert.strictEqual(new Set(later).size, 1)
        assert.notStrictEqual(later[0], first)
        assert.isTrue(seen.every(({ skipMetadata }) => skipMetadata))
      }))

    it.effect("a re-prepare brings them too", () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world(options, clientOptions)
        yield* ask(cql, "CREATE TABLE ks.u (id int PRIMARY KEY, a int)")
        yield* ask(cql, "INSERT INTO ks.u (id, a) VALUES (1, 2)")
        const select = yield* passing(cql.prepare("SELECT * FROM ks.u WHERE id = ?"))
        for (let i = 0; i < 6; i++) yield* passing(cql.execute(select, [1]))
        const before = select.known!
        const seen = yield* executes(cluster)
        yield* ask(cql, "ALTER TABLE ks.u ADD b text")
        for (let i = 0; i < 6; i++) {
          assert.deepStrictEqual((yield* passing(cql.execute(select, [1]))).rows, [{ id: 1, a: 2, b: null }])
        }
        const ids = seen.map(({ metadataId }) => metadataId)
        // Asked again before it is sent: the old id goes nowhere any more.
        assert.strictEqual(new Set(ids).size, 1)
        assert.notStrictEqual(ids[0], Buffer.from(before.id).toString("hex"))
      }))

    it.effect("two answers around the change: each is read with what its request named", () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 1, transport: "memory", ...options })
        yield* withoutEvents(cluster)
        const wire = tap(cluster.transport)
        const cql = yield* passing(clientOf(cluster, { ...clientOptions, attemptTimeout: false }, wire.transport))
        const other = yield* passing(clientOf(cluster, clientOptions))
        yield* passing(Effect.all([cql.awaitConnected, other.awaitConnected]))
        yield* ask(
          other,
          "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 2} AND " +
            "tablets = {'enabled': false}"
        )
        yield* ask(other, "CREATE TABLE ks.u (id int PRIMARY KEY, v int)")
        yield* ask(other, "INSERT INTO ks.u (id, v) VALUES (1, 1684234849)")
        const TEXT = "SELECT * FROM ks.u WHERE id = ?"
        const select = yield* passing(cql.prepare(TEXT))
        for (let i = 0; i < 4; i++) yield* passing(cql.execute(select, [1]))
        const seen = yield* executes(cluster)

        /** Sends until the node has got one; answers that one, after those that went to the other node. */
        const until = (node: number) =>
          Effect.gen(function*() {
            const fibers: Array<Fiber.Fiber<ReadonlyArray<unknown>, unknown>> = []
            for (let tries = 0; tries < 10; tries++) {
              seen.length = 0
              fibers.push(
                yield* Effect.forkChild(Effect.map(cql.execute(select, [1]), ({ rows }) => rows), {
                  startImmediately: true
                })
              )
              for (let turns = 0; turns < 100 && seen.length === 0; turns++) yield* settle
              if (seen[0]?.node === node) return fibers
            }
            return assert.fail(`node ${node} was never asked`)
          })

        // Node 0 answers with the old columns, and the answer stays on its way.
        wire.holdNext(cluster.nodes[0]!.address)
        const early = (yield* until(0)).at(-1)!
        yield* settle
        // As many columns as before, and four bytes that are an int as well as a text.
        yield* ask(other, "ALTER TABLE ks.u DROP v")
        yield* ask(other, "ALTER TABLE ks.u ADD w text")
        yield* ask(other, "INSERT INTO ks.u (id, w) VALUES (1, 'dcba')")
        yield* passing(Effect.forEach(Array.from({ length: 4 }), () => other.execute(TEXT, [1])))
        // Node 1 tells of the change.
        const before = select.known
        const late = yield* until(1)
        assert.deepStrictEqual(yield* passing(Fiber.join(late.pop()!)), [{ id: 1, w: "dcba" }])
        assert.notStrictEqual(select.known, before)
        // Only now the old answer arrives.
        assert.isUndefined(early.pollUnsafe())
        wire.release()
        assert.deepStrictEqual(yield* passing(Fiber.join(early)), [{ id: 1, v: 1684234849 }])
        for (const fiber of late) {
          assert.deepStrictEqual(yield* passing(Fiber.join(fiber)), [{ id: 1, w: "dcba" }])
        }
        for (let i = 0; i < 4; i++) {
          assert.deepStrictEqual((yield* passing(cql.execute(select, [1]))).rows, [{ id: 1, w: "dcba" }])
        }
      }))

    it.effect("ALTER TABLE under load: no row is read with columns that are not its own", () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world(options, clientOptions)
        const other = yield* passing(clientOf(cluster, clientOptions))
        yield* passing(other.awaitConnected)
        const random = new Random(20260)
        const TEXT = "SELECT * FROM ks.u WHERE id = ?"
        yield* ask(cql, "CREATE TABLE ks.u (id int PRIMARY KEY, a int)")
        const select = yield* passing(cql.prepare(TEXT))
        const shapes = new Set<string>()
        /** A column's name tells its type and so its values. */
        const check = (row: Record<string, unknown>) => {
          shapes.add(Object.keys(row).sort().join())
          assert.strictEqual(typeof row["id"], "number")
          for (const [column, value] of Object.entries(row)) {
            if (value === null || column === "id") continue
            assert.strictEqual(value, column.startsWith("t") ? "text" : 7, column)
          }
        }
        const workers = yield* Effect.forEach(Array.from({ length: 6 }), () =>
          Effect.forkChild(
            Effect.forEach(Array.from({ length: 150 }), () =>
              Effect.gen(function*() {
                const { rows } = yield* cql.execute(select, [random.below(5)], { timeout: "5 minutes" })
                for (const row of rows) check(row)
                yield* Effect.sleep("100 millis")
              }), { discard: true }),
            { startImmediately: true }
          ))
        let columns = ["a"]
        for (let change = 0; change < 12; change++) {
          const dropped = columns[random.below(columns.length)]!
          const added = `${random.below(2) === 0 ? "t" : "i"}${change}`
          const text = added.startsWith("t")
          // Whoever prepares it again first makes the difference between UNPREPARED and METADATA_CHANGED.
          const by = random.below(2) === 0 ? cql : other
          yield* ask(by, `ALTER TABLE ks.u ADD ${added} ${text ? "text" : "int"}`)
          if (columns.length > 1) yield* ask(by, `ALTER TABLE ks.u DROP ${dropped}`)
          columns = [...columns.filter((column) => columns.length === 1 || column !== dropped), added]
          for (let id = 0; id < 5; id++) {
            yield* ask(by, `INSERT INTO ks.u (id, ${added}) VALUES (${id}, ${text ? "'text'" : 7})`)
          }
          yield* passing(Effect.forEach(Array.from({ length: 6 }), () => other.execute(TEXT, [1])))
        }
        yield* passing(Effect.forEach(workers, (worker) => Fiber.join(worker), { discard: true }))
        assert.isAbove(shapes.size, 6)
      }))
  })
}

describe("conditional statements", () => {
  it.effect("Cassandra prepares them without columns: their answers never become what is known", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ product: "cassandra" })
      const lwt = yield* passing(
        cql.prepare("INSERT INTO ks.t (id, v) VALUES (5a5a5a5a-0000-4000-8000-000000000001, ?) IF NOT EXISTS")
      )
      const plain = yield* passing(cql.prepare("SELECT v FROM ks.t"))
      const known = lwt.known
      assert.isDefined(known)
      assert.isUndefined(known?.decoder)
      const seen = yield* executes(cluster)
      for (const expected of [true, false, false]) {
        const result = yield* passing(cql.execute(lwt, [1]))
        assert.strictEqual(result.wasApplied, expected)
        assert.strictEqual(result.columns.length, expected ? 1 : 3)
      }
      assert.strictEqual(lwt.known, known)
      assert.deepStrictEqual(new Set(seen.map(({ metadataId }) => metadataId)).size, 1)
      assert.isTrue(seen.every(({ skipMetadata }) => !skipMetadata))
      assert.deepStrictEqual((yield* passing(cql.execute(plain, []))).rows, [{ v: 1 }])
    }))

  it.effect("ScyllaDB announces all columns: they are left out, and a change of the table does not replace them", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, {}, withoutEvents)
      yield* ask(cql, "CREATE TABLE ks.u (id int PRIMARY KEY, a int)")
      const TEXT = "INSERT INTO ks.u (id, a) VALUES (?, ?) IF NOT EXISTS"
      const lwt = yield* passing(cql.prepare(TEXT))
      assert.isTrue(lwt.kind.isConditional)
      for (let i = 0; i < 6; i++) yield* passing(cql.execute(lwt, [i, 1]))
      const known = lwt.known
      const other = yield* passing(clientOf(cluster))
      yield* passing(other.awaitConnected)
      yield* ask(other, "ALTER TABLE ks.u ADD b text")
      yield* passing(Effect.forEach(Array.from({ length: 20 }, (_, i) => i), (i) => other.execute(TEXT, [100 + i, 1])))
      const again = yield* passing(cql.execute(lwt, [1, 9]))
      assert.isFalse(again.wasApplied)
      assert.deepStrictEqual(again.rows, [{ "[applied]": false, id: 1, a: 1, b: null }])
      assert.strictEqual(lwt.known, known)
    }))
})

describe("without metadata ids", () => {
  it.effect("metadata is never left out, and compared with what the decoder was made from", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ metadataIds: false })
      yield* ask(cql, "CREATE TABLE ks.u (id int PRIMARY KEY, a int)")
      const select = yield* passing(cql.prepare("SELECT * FROM ks.u WHERE id = ?"))
      assert.isUndefined(select.known)
      // Every node knows it.
      yield* passing(Effect.sleep("1 second"))
      const seen = yield* executes(cluster)
      yield* passing(cql.execute(select, [1]))
      assert.deepStrictEqual(seen.map(({ metadataId, skipMetadata }) => [metadataId, skipMetadata]), [[
        undefined,
        false
      ]])
    }))
})
