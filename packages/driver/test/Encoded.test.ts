/** Values that are bytes already, rows that a function makes, and what came before an answer. */
import type { CqlClient, RetryPolicy } from "@effect-scylla/driver"
import {
  Codec,
  CqlType,
  Encoded,
  Frame,
  type Metadata,
  type Request,
  ServerError,
  Uuid,
  Value
} from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const id = Uuid.random()
const bytesOf = (type: CqlType.ScalarName, value: unknown): Uint8Array => Codec.encode(CqlType.scalar(type), value)!
const key = bytesOf("uuid", id)

/** Prepared by all nodes. */
const prepared = Effect.fnUntraced(function*(cql: CqlClient.CqlClient, text: string) {
  const statement = yield* passing(cql.prepare(text))
  yield* TestClock.adjust("1 second")
  return statement
})
const seven = bytesOf("int", 7)

/** Data requests from now on. */
const requests = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number) => SimulatedCluster.Intercepted | undefined = () => undefined
) {
  const seen: Array<{ readonly request: Request.Request; readonly node: number }> = []
  yield* cluster.intercept(({ node, opcode, request }) => {
    if (
      opcode !== Frame.Opcode.EXECUTE && opcode !== Frame.Opcode.QUERY && opcode !== Frame.Opcode.BATCH &&
      opcode !== Frame.Opcode.PREPARE
    ) return undefined
    // The client's own look at the cluster, which follows the tables that were made.
    if (request._tag === "Query" && request.query.includes(" FROM system")) return undefined
    seen.push({ request, node })
    return opcode === Frame.Opcode.PREPARE ? undefined : answer(seen.length)
  })
  return seen
})

describe("values that are bytes already", () => {
  it.effect("go along with a text, which is not prepared: by position and by name", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const seen = yield* requests(cluster)
      yield* passing(cql.execute(INSERT, new Encoded.Encoded([key, seven])))
      const named = "SELECT v FROM ks.t WHERE id = :who"
      const { rows } = yield* passing(cql.execute(named, new Encoded.Encoded([key], ["who"])))
      assert.deepStrictEqual(rows, [{ v: 7 }])
      assert.deepStrictEqual(seen.map(({ request }) => request._tag), ["Query", "Query"])
      const [first] = seen
      assert(first?.request._tag === "Query")
      // The client stamps it, as it does what is prepared.
      assert.isDefined(first.request.options.timestamp)
    }))

  it.effect("go with a prepared statement, to a replica of the key among them", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* prepared(cql, INSERT)
      const seen = yield* requests(cluster)
      const before = cql.shardAwareStats().routing
      for (let i = 0; i < 10; i++) {
        yield* passing(cql.execute(insert, new Encoded.Encoded([bytesOf("uuid", Uuid.random()), seven])))
      }
      assert.isTrue(seen.every(({ request }) => request._tag === "Execute"))
      const after = cql.shardAwareStats().routing
      assert.strictEqual(after.owned - before.owned, 10)
    }))

  it.effect("how many there are is for the server to say", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const insert = yield* prepared(cql, INSERT)
      for (const statement of [INSERT, insert]) {
        const error = yield* Effect.flip(passing(cql.execute(statement, new Encoded.Encoded([key]))))
        assert.strictEqual(error.reason._tag, "InvalidRequest")
        assert.strictEqual(error.attempts?.length, 1)
      }
    }))

  it.effect("a node that has forgotten the statement is taught it again", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* prepared(cql, INSERT)
      const seen = yield* requests(cluster, (count) =>
        count === 1
          ? { _tag: "Error", error: new ServerError.Unprepared({ code: 0x2500, message: "?", id: insert.id }) }
          : undefined)
      yield* passing(cql.execute(insert, new Encoded.Encoded([key, seven])))
      assert.deepStrictEqual(seen.map(({ request }) => request._tag), ["Execute", "Prepare", "Execute"])
    }))

  it.effect("go in a batch, of texts and of prepared statements", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const insert = yield* prepared(cql, INSERT)
      const other = Uuid.random()
      const seen = yield* requests(cluster)
      yield* passing(cql.batch([
        [INSERT, new Encoded.Encoded([key, seven])],
        [insert, new Encoded.Encoded([bytesOf("uuid", other), seven])],
        [insert, [Uuid.random(), 8]]
      ]))
      const [batch, ...more] = seen
      assert(batch?.request._tag === "Batch")
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(batch.request.entries.map(({ _tag }) => _tag), ["Text", "Prepared", "Prepared"])
      for (const who of [id, other]) {
        assert.deepStrictEqual((yield* passing(cql.execute(SELECT, [who]))).rows, [{ id: who, v: 7 }])
      }
    }))

  it.effect("USE is refused all the same, and so is what has no place for them", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const used = yield* Effect.flip(cql.execute("USE ks", new Encoded.Encoded([])))
      assert.strictEqual(used.reason._tag, "InvalidStatement")
      const many = yield* passing(Effect.flip(cql.executeMany(INSERT, [new Encoded.Encoded([key, seven])])))
      assert.include(many.message, "bytes already")
    }))

  it.effect("Unset among them leaves a column as it is", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute(INSERT, new Encoded.Encoded([key, seven])))
      yield* passing(cql.execute(INSERT, new Encoded.Encoded([key, Value.Unset])))
      assert.deepStrictEqual((yield* passing(cql.execute(SELECT, [id]))).rows, [{ id, v: 7 }])
    }))
})

describe("rows that a function makes", () => {
  it.effect("are the rows of a result, of a stream, and of a conditional statement", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute(INSERT, [id, 7]))
      const maker = {
        of: (columns: ReadonlyArray<Metadata.Column>) => (...values: Array<unknown>) =>
          columns.map(({ name }, i) => `${name}=${String(values[i])}`).join(" ")
      }
      const { rows } = yield* passing(cql.execute("SELECT v FROM ks.t WHERE id = ?", [id], { rows: maker }))
      assert.deepStrictEqual(rows as ReadonlyArray<unknown>, ["v=7"])
      const wrong = yield* Effect.flip(cql.execute(SELECT, [id], { rows: {} as never }))
      assert.include(wrong.message, "rows:")
    }))
})

describe("what came before an answer", () => {
  it.effect("attempts that failed are in the result, and a policy is told of their node", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const retry: RetryPolicy.Policy = {
        decide: ({ node, proposed }) => {
          told.push(node.hostId)
          return proposed
        }
      }
      const { cluster, cql } = yield* world({}, { retry })
      const select = yield* prepared(cql, SELECT)
      const calm = yield* passing(cql.execute(select, [id]))
      assert.deepStrictEqual([calm.attempts, calm.speculations, calm.schemaChange], [[], 0, undefined])
      const seen = yield* requests(cluster, (count) =>
        count === 1
          ? { _tag: "Error", error: new ServerError.Overloaded({ code: 0x1001, message: "busy" }) }
          : undefined)
      const { attempts } = yield* passing(cql.execute(select, [id]))
      assert.deepStrictEqual(attempts.map(({ decision, reason }) => [reason._tag, decision]), [[
        "Overloaded",
        "NextNode"
      ]])
      const { address, port } = cql.cluster().hosts.get(told[0]!)!
      assert.strictEqual(attempts[0]!.node, `${address}:${port}`)
      assert.strictEqual(cluster.nodes[seen[0]!.node]!.address, address)
    }))

  it.effect("a change of the schema is in the result of what made it", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const { schemaChange } = yield* passing(cql.execute("CREATE TABLE ks.more (id int PRIMARY KEY)"))
      assert.deepStrictEqual(schemaChange, { change: "CREATED", target: "TABLE", keyspace: "ks", name: "more" })
    }))

  it.effect("a function says when others are asked, each time anew, until it says no more", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { speculationLimit: { share: 10 } })
      const select = yield* prepared(cql, SELECT)
      yield* TestClock.adjust("1 second")
      const seen = yield* requests(cluster, (count) => count < 3 ? { _tag: "Ignore" } : undefined)
      const asked: Array<number> = []
      const delay = (n: number): number | undefined => {
        asked.push(n)
        return n === 1 ? 20 : n === 2 ? 40 : undefined
      }
      const fiber = yield* Effect.forkChild(cql.execute(select, [id], { speculation: { delay } }), {
        startImmediately: true
      })
      yield* TestClock.adjust("15 millis")
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust("15 millis")
      assert.strictEqual(seen.length, 2)
      yield* TestClock.adjust("20 millis")
      assert.strictEqual(seen.length, 2)
      yield* TestClock.adjust("30 millis")
      assert.strictEqual(seen.length, 3)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result.speculations, 2)
      assert.deepStrictEqual(asked, [1, 2, 3])
    }))

  it.effect("what such a function throws is a defect of the request", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const boom = new Error("boom")
      const delay = (): number => {
        throw boom
      }
      const exit = yield* passing(Effect.exit(cql.execute(SELECT, [id], { speculation: { delay } })))
      assert.isTrue(
        Exit.isFailure(exit) && exit.cause.reasons.some((reason) => "defect" in reason && reason.defect === boom)
      )
    }))
})
