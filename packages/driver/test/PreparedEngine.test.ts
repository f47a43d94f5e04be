/** Prepared statements: known to every node before requests get there, bounded, and by whatever name their markers go. */
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, settle, world } from "./support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"

/** PREPAREs from now on. */
const prepares = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster) {
  const seen: Array<{ readonly node: number; readonly text: string }> = []
  yield* cluster.intercept(({ node, opcode, request }) => {
    if (opcode === Frame.Opcode.PREPARE && request._tag === "Prepare") {
      seen.push({ node, text: request.query })
    }
    return undefined
  })
  return seen
})

describe("prepared statements", () => {
  it.effect("are good as soon as one node has them; the others are taught in the background, at a limited rate", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 4 })
      const seen = yield* prepares(cluster)
      const fibers = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, i) => `SELECT v FROM ks.t WHERE id = ? LIMIT ${i + 1}`),
        (text) => Effect.forkChild(cql.prepare(text), { startImmediately: true })
      )
      for (let i = 0; i < 10; i++) yield* settle
      assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() !== undefined))
      assert.isBelow(seen.length, 15)
      yield* TestClock.adjust("50 millis")
      assert.isBelow(seen.length, 25)
      for (let i = 0; i < 50; i++) yield* TestClock.adjust("10 millis")
      assert.strictEqual(seen.length, 40)
      assert.strictEqual(new Set(seen.map(({ node, text }) => `${node} ${text}`)).size, 40)
      // No request has to wait for that any more.
      const select = yield* cql.prepare("SELECT v FROM ks.t WHERE id = ? LIMIT 1")
      yield* passing(Effect.forEach(Array.from({ length: 40 }), () => cql.execute(select, [Uuid.random()])))
      assert.strictEqual(seen.length, 40)
    }))

  it.effect("are taught to a node that comes back, what was used last first", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* passing(cql.prepare(SELECT))
      yield* passing(cql.prepare("SELECT v FROM ks.t WHERE id = ?"))
      yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      yield* cluster.stop(1)
      yield* settle
      const seen = yield* prepares(cluster)
      yield* cluster.start(1)
      yield* passing(cql.awaitConnected)
      yield* passing(Effect.sleep("1 second"))
      assert.deepStrictEqual(seen.map(({ node, text }) => [node, text]), [
        [1, SELECT],
        [1, "SELECT v FROM ks.t WHERE id = ?"]
      ])
      const select = yield* cql.prepare(SELECT)
      yield* passing(Effect.forEach(Array.from({ length: 40 }), () => cql.execute(select, [Uuid.random()])))
      assert.strictEqual(seen.length, 2)
    }))

  it.effect("wait for nobody who hangs: the first success is enough", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* cluster.intercept(({ node, opcode }) =>
        opcode === Frame.Opcode.PREPARE && node !== 1 ? { _tag: "Ignore" } : undefined
      )
      const select = yield* passing(cql.prepare(SELECT))
      assert.strictEqual(select.partitionKey.length, 1)
    }))

  it.effect("are forgotten past a bound of their bytes, those that were used longest ago", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 }, { maxPreparedBytes: 20_000, prepareEverywhere: false })
      const text = (i: number) => `SELECT id, v /* ${"x".repeat(500)} */ FROM ks.t WHERE id = ? LIMIT ${i}`
      yield* passing(cql.prepare(text(1)))
      for (let i = 2; i <= 20; i++) {
        yield* passing(cql.prepare(text(i)))
        // In use.
        yield* passing(cql.prepare(text(1)))
      }
      const seen = yield* prepares(cluster)
      yield* passing(cql.prepare(text(1)))
      yield* passing(cql.prepare(text(20)))
      assert.strictEqual(seen.length, 0)
      yield* passing(cql.prepare(text(2)))
      assert.strictEqual(seen.length, 1)
    }))

  it.effect("that differ in their values only are warned of, once, with an example", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      yield* Effect.provide(
        Effect.gen(function*() {
          const { cql } = yield* world({ nodes: 1 }, { prepareEverywhere: false })
          for (let i = 0; i < 250; i++) {
            yield* passing(cql.prepare(`INSERT INTO ks.t (id, v) VALUES (?, ${i}) USING TTL ${1000 + i}`))
          }
          for (let i = 0; i < 150; i++) yield* passing(cql.prepare(`SELECT v AS a${i} FROM ks.t WHERE id = ?`))
        }),
        Logger.layer([logger])
      )
      const warnings = lines.filter((line) => line.includes("bind the values"))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0]!, "INSERT INTO ks.t (id, v) VALUES (?, ?) USING TTL ?")
      assert.include(warnings[0]!, "for example INSERT INTO ks.t (id, v) VALUES (?, 99) USING TTL 1099")
    }), 20_000)

  it.effect("take values by name in either spelling of a marker's operator, before and after it changed", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 2, inName: "IN" })
      const select = yield* passing(cql.prepare("SELECT v FROM ks.t WHERE id IN ?"))
      yield* TestClock.adjust("1 second")
      const ids = [Uuid.random()]
      for (const name of ["IN", "in"] as const) {
        yield* cluster.renameIn(name)
        yield* passing(cql.execute(select, { "in(id)": ids }))
        yield* passing(cql.execute(select, { "IN(id)": ids }))
      }
    }))
})

describe("on v3, whose PREPARED does not name the partition key", () => {
  it.effect("it comes from the markers' names and the schema; requests without one are counted", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ versions: [3] })
      yield* passing(cql.execute("CREATE TABLE ks.pair (a int, b text, c int, v int, PRIMARY KEY ((a, b), c))"))
      const insert = yield* passing(cql.prepare("INSERT INTO ks.pair (c, b, v, a) VALUES (?, ?, ?, ?)"))
      assert.deepStrictEqual(insert.partitionKey, [3, 1])
      const part = yield* passing(cql.prepare("SELECT v FROM ks.pair WHERE a = ? AND b = 'x'"))
      assert.deepStrictEqual(part.partitionKey, [])
      yield* TestClock.adjust("1 second")
      yield* cluster.resetStats
      const before = cql.shardAwareStats().routing
      for (let i = 0; i < 40; i++) yield* passing(cql.execute(insert, [1, `k${i}`, 2, i]))
      const { byTable } = yield* cluster.stats
      assert.deepStrictEqual([byTable["ks.pair"]!.owned, byTable["ks.pair"]!.misrouted], [40, 0])
      yield* passing(cql.execute(part, [1]))
      assert.strictEqual(cql.shardAwareStats().routing.unrouted, before.unrouted + 1)
    }))
})

describe("what a request carries", () => {
  it.effect("a custom payload goes out with every form of a request, and v3 refuses it before anything is sent", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const customPayload = { "who": Uint8Array.of(1, 2), "none": null }
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      const id = Uuid.random()
      // The server reads what follows it as if it were not there.
      yield* passing(cql.execute(insert, [id, 1], { customPayload }))
      yield* passing(cql.execute(`SELECT v FROM ks.t WHERE id = ${id}`, [], { customPayload }))
      yield* passing(cql.batch([[insert, [id, 7]]], { customPayload }))
      const { rows } = yield* passing(cql.execute(SELECT, [id], { customPayload }))
      assert.deepStrictEqual(rows, [{ id, v: 7 }])
      const old = yield* passing(clientOf(cluster, { protocolVersion: 3 }))
      const error = yield* passing(Effect.flip(old.execute(SELECT, [id], { customPayload })))
      assert.strictEqual(error.reason._tag, "EncodeError")
      assert.include(error.message, "a custom payload")
    }))

  it.effect("values by the user's own codecs, both ways; wrong ones are named when the client is made", () =>
    Effect.gen(function*() {
      class Money {
        readonly cents: number
        constructor(cents: number) {
          this.cents = cents
        }
      }
      const codec = {
        types: {
          "ks.prices.price": {
            decode: (value: unknown) => new Money(value as number),
            encode: (money: unknown) => (money as Money).cents
          }
        }
      }
      const { cluster, cql } = yield* world({}, { codec })
      yield* passing(cql.execute("CREATE TABLE ks.prices (id int PRIMARY KEY, price int, stock int)"))
      yield* passing(cql.execute("INSERT INTO ks.prices (id, price, stock) VALUES (?, ?, ?)", [1, new Money(250), 3]))
      const [row] = yield* passing(cql`SELECT id, price, stock FROM ks.prices WHERE id = ${1}`)
      assert.deepStrictEqual(row, { id: 1, price: new Money(250), stock: 3 })
      const wrong = yield* Effect.flip(
        Effect.scoped(clientOf(cluster, { codec: { types: { dat: codec.types["ks.prices.price"] } } }))
      )
      assert.strictEqual(wrong.reason._tag, "InvalidConfiguration")
      assert.include(wrong.message, "codec.types.dat")
    }))

  it.effect("tell where they could not be prepared", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      yield* cluster.intercept(({ opcode }) =>
        opcode === Frame.Opcode.PREPARE
          ? { _tag: "Error", error: new ServerError.Overloaded({ code: 0x1001, message: "too busy" }) }
          : undefined
      )
      const refused = yield* Effect.flip(passing(cql.execute(SELECT, [Uuid.random()])))
      assert.deepStrictEqual(refused.attempts?.map(({ decision, reason, sent }) => [decision, reason._tag, sent]), [
        ["NextNode", "Overloaded", true],
        ["NextNode", "Overloaded", true],
        ["NextNode", "Overloaded", true]
      ])
      assert.strictEqual(new Set(refused.attempts?.map(({ node }) => node)).size, 3)
      assert.include(refused.message, "after 3 attempts")
    }))
})
