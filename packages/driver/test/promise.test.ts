/** The client for async/await. */
import { type Client, connect, connectConfig, CqlError, Schema } from "@effect-scylla/driver/promise"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect, Exit, Layer, Scope, Tracer } from "effect"
import { afterAll, assert, beforeAll, describe, expect, expectTypeOf, it } from "vitest"

const scope = Scope.makeUnsafe()
let cluster: SimulatedCluster.SimulatedCluster
let db: Client
const options = () => ({
  contactPoints: cluster.contactPoints,
  layer: Layer.succeed(Transport.Transport, cluster.transport)
})

beforeAll(async () => {
  cluster = await Effect.runPromise(
    Scope.provide(SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory" }), scope)
  )
  db = await connect(options())
  await db.execute(
    "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3} AND tablets = {'enabled': false}"
  )
  await db.execute("CREATE TABLE ks.t (k int, c int, v text, PRIMARY KEY (k, c))")
  await db.executeMany(
    "INSERT INTO ks.t (k, c, v) VALUES (?, ?, ?)",
    Array.from({ length: 100 }, (_, c) => [1, c, `v${c}`])
  )
})
afterAll(async () => {
  await db.close()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

const intercept = (interceptor: SimulatedCluster.Interceptor | undefined) =>
  Effect.runPromise(cluster.intercept(interceptor))
const rejected = async (promise: PromiseLike<unknown>): Promise<any> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail("it was fulfilled")
}

describe("a client for async/await", () => {
  it("templates give rows when they are awaited, once", async () => {
    const query = db<{ c: number; v: string }>`SELECT c, v FROM ks.t WHERE k = ${1} AND c IN ${db.in([3, 4])}`
    let sent = 0
    await intercept(({ request }) => {
      if (request._tag === "Execute") sent++
      return undefined
    })
    assert.strictEqual(sent, 0)
    const rows = await query
    assert.deepStrictEqual(rows, [{ c: 3, v: "v3" }, { c: 4, v: "v4" }])
    assert.strictEqual(await query, rows)
    assert.isAtMost(sent, 2)
    await intercept(undefined)
    expectTypeOf(rows).toEqualTypeOf<Array<{ c: number; v: string }>>()
    assert.deepStrictEqual(await query.first(), { c: 3, v: "v3" })
    assert.strictEqual((await rejected(query.one())).reason._tag, "NotOneRow")
    assert.deepStrictEqual(await db`SELECT c FROM ${db("ks", "t")} WHERE k = ${1} AND c = ${7}`.one(), { c: 7 })
    assert.isFalse(await db`UPDATE ks.t SET v = ${"x"} WHERE k = ${1} AND c = ${1} IF v = ${"y"}`.applied())
  })

  it("templates are made of parts, and a client may have other defaults", async () => {
    const mine = db.with({ pageSize: 5 })
    await mine`INSERT INTO ks.t ${mine.insert({ k: 7, c: 1, v: "x" })}`
    await mine`UPDATE ks.t SET ${mine.update({ v: "y" })} WHERE ${db.and([db`k = ${7}`, db`c = ${1}`])}`
    assert.deepStrictEqual(await db`SELECT ${db.csv([db("v"), db("c")])} FROM ks.t WHERE ${db`k = ${7}`}`, [{
      v: "y",
      c: 1
    }])
    assert.strictEqual((await mine.execute("SELECT c FROM ks.t WHERE k = ?", [1])).rows.length, 5)
  })

  it("pages and rows come one after the other, one page ahead, and leaving the loop gives up the rest", async () => {
    const seen: Array<number> = []
    for await (const row of db.stream<{ c: number }>("SELECT c FROM ks.t WHERE k = ?", [1], { pageSize: 7 })) {
      seen.push(row.c)
    }
    assert.deepStrictEqual(seen, Array.from({ length: 100 }, (_, c) => c))
    let pages = 0
    for await (const page of db.pages("SELECT c FROM ks.t WHERE k = ?", [1], { pageSize: 30 })) {
      pages += page.rows.length > 0 ? 1 : 0
    }
    assert.strictEqual(pages, 4)
    let asked = 0
    await intercept(({ request }) => {
      if (request._tag === "Execute") asked++
      return undefined
    })
    for await (const row of db<{ c: number }>`SELECT c FROM ks.t WHERE k = ${1}`.with({ pageSize: 10 })) {
      if (row.c === 15) break
    }
    assert.isAtMost(asked, 4)
    await intercept(undefined)
    const inFlight = () => db.stats().nodes.flatMap(({ slots }) => slots).reduce((sum, slot) => sum + slot.inFlight, 0)
    // What was given up holds its place until the node has answered: here over sockets, when there is time.
    await expect.poll(inFlight, { timeout: 10_000 }).toBe(0)
  })

  it("tokens lead to the next page", async () => {
    const query = db<{ c: number }>`SELECT c FROM ks.t WHERE k = ${1}`.with({ pageSize: 60 })
    const token = (await query.toToken(await query.page()))!
    assert.strictEqual((await query.pageOf(token)).rows[0]!.c, 60)
    const error = await rejected(db`SELECT c FROM ks.t WHERE k = ${2}`.pageOf(token))
    assert.strictEqual(error.reason._tag, "PagingTokenRefused")
    const state = await db.fromToken("SELECT c FROM ks.t WHERE k = ?", [1], token)
    assert.strictEqual(
      (await db.execute("SELECT c FROM ks.t WHERE k = ?", [1], { pagingState: state })).rows[0]!["c"],
      60
    )
  })

  it("batches and many writes take templates, texts and prepared statements", async () => {
    const insert = await db.prepare("INSERT INTO ks.t (k, c, v) VALUES (?, ?, ?)")
    await db.batch([
      db`INSERT INTO ks.t (k, c, v) VALUES (${2}, ${1}, ${"a"})`,
      [insert, [2, 2, "b"]],
      "INSERT INTO ks.t (k, c, v) VALUES (2, 3, 'c')"
    ])
    const outcomes = await db.grouped([db`INSERT INTO ks.t (k, c, v) VALUES (${2}, ${4}, ${"d"})`, [insert, [2]]])
    assert.deepStrictEqual(outcomes.map(({ ok }) => ok), [true, false])
    async function* rows() {
      for (let c = 5; c < 8; c++) yield [2, c, "e"]
    }
    assert.strictEqual((await db.executeMany(insert, rows())).succeeded, 3)
    assert.strictEqual((await db`SELECT * FROM ks.t WHERE k = ${2}`).length, 7)
    assert.include((await rejected(db.batch("all" as never))).message, "a batch is a list of statements")
  })

  it("fail with CqlError, whose stack leads to the line that waited", async () => {
    const wrong = async () => {
      await db.execute("SELECT nothing FROM ks.t")
    }
    const template = async () => {
      await db`SELECT nothing FROM ks.t WHERE k = ${1}`
    }
    for (const fails of [wrong, template]) {
      const error = await rejected(fails())
      assert.instanceOf(error, CqlError)
      assert.strictEqual(error.reason._tag, "InvalidRequest")
      // Before it there may be frames of Node itself.
      const frames = error.stack!.split("\n    at ").slice(1, 4)
      assert.isTrue(frames.some((frame) => new RegExp(`${fails.name} .*promise\\.test\\.ts`).test(frame)), error.stack)
    }
    const plain = await connect({ ...options(), stacks: false })
    assert.notInclude((await rejected(plain.execute("SELECT nothing FROM ks.t"))).stack, "promise.test.ts")
    await plain.close()
  })

  it("are given up by a signal, before and while they are under way", async () => {
    await intercept(({ request }) => request._tag === "Execute" ? { _tag: "Ignore" } : undefined)
    const reason = new Error("enough")
    const early = await rejected(
      db.execute("SELECT c FROM ks.t WHERE k = ?", [1], { signal: AbortSignal.abort(reason) })
    )
    assert.strictEqual(early, reason)
    const controller = new AbortController()
    const calls = [
      db.execute("SELECT c FROM ks.t WHERE k = ?", [1], { signal: controller.signal }),
      db`SELECT c FROM ks.t WHERE k = ${1}`.with({ signal: controller.signal }).rows(),
      (async () => {
        for await (const _ of db.stream("SELECT c FROM ks.t WHERE k = ?", [1], { signal: controller.signal })) {
          assert.fail("a row")
        }
      })(),
      db.executeMany("INSERT INTO ks.t (k, c, v) VALUES (?, ?, ?)", [[9, 1, "x"]], { signal: controller.signal })
    ].map(rejected)
    await new Promise((resolve) => setTimeout(resolve, 20))
    controller.abort(reason)
    for (const call of calls) assert.strictEqual(await call, reason)
    await intercept(undefined)
    await db.execute("SELECT c FROM ks.t WHERE k = ?", [1])
  })

  it("know the nodes, and what happens to them", async () => {
    await db.connected()
    assert.deepStrictEqual(db.nodes().map(({ isLocal, isUp }) => [isLocal, isUp]), [[true, true], [true, true], [
      true,
      true
    ]])
    const events: Array<string> = []
    const controller = new AbortController()
    const watching = (async () => {
      for await (const { change } of db.events({ signal: controller.signal })) events.push(change._tag)
    })()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await Effect.runPromise(cluster.stop(2))
    for (let i = 0; i < 200 && !events.includes("Down"); i++) await new Promise((resolve) => setTimeout(resolve, 10))
    controller.abort()
    await watching
    assert.include(events, "Down")
    await Effect.runPromise(cluster.start(2))
    await db.connected()
  })

  it("know the schema, and what happens to it", async () => {
    await db.execute("CREATE TABLE ks.schemas (k int PRIMARY KEY)")
    assert.deepStrictEqual(await db.schema.keyspace("nothing"), undefined)
    const keyspace = await db.schema.keyspace("ks")
    assert.strictEqual((await db.schema.table("ks", "schemas"))?.columns.length, 1)
    assert.strictEqual(db.schema.snapshot().keyspaces.get("ks"), keyspace)
    const changes: Array<string> = []
    const controller = new AbortController()
    const watching = (async () => {
      for await (const { change, name } of db.schema.changes({ signal: controller.signal })) {
        changes.push(`${change} ${name}`)
      }
    })()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await db.execute("DROP TABLE ks.schemas")
    assert.isUndefined(await db.schema.table("ks", "schemas"))
    for (let i = 0; i < 200 && changes.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10))
    controller.abort()
    await watching
    assert.deepStrictEqual(changes, ["DROPPED schemas"])
    await db.schema.refresh()
    assert.isTrue((await db.schema.all()).isComplete)
    assert.match(Schema.toCql(db.schema.snapshot().keyspaces.get("ks")!), /^CREATE KEYSPACE ks WITH /)
    const reason = new Error("no more")
    assert.strictEqual(await rejected(db.schema.keyspace("later", { signal: AbortSignal.abort(reason) })), reason)
  })

  it("close when what is under way has ended, or at once; what comes then is refused", async () => {
    const one = await connect(options())
    await one.connected()
    await intercept(({ request }) =>
      request._tag === "Query" && request.query.includes("ks.t") ? { _tag: "Delay", millis: 60 } : undefined
    )
    const reading = one.execute("SELECT c FROM ks.t")
    const closing = one.close()
    assert.strictEqual(one.close({ timeout: 5 }), closing)
    const refused = await rejected(one.execute("SELECT c FROM ks.t"))
    assert.strictEqual(refused.reason._tag, "ClientClosed")
    assert.strictEqual((await reading).rows.length > 0, true)
    await closing
    const two = await connect(options())
    await intercept(({ request }) =>
      request._tag === "Query" && request.query.includes("ks.t") ? { _tag: "Ignore" } : undefined
    )
    const lost = rejected(two.execute("SELECT c FROM ks.t"))
    await new Promise((resolve) => setTimeout(resolve, 20))
    await two.close({ timeout: 0 })
    assert.instanceOf(await lost, CqlError)
    await intercept(undefined)
    {
      await using three = await connect(options())
      await three.execute("SELECT c FROM ks.t")
    }
  })

  it("say what is wrong with their options, all of it at once, and may be opened by the environment", async () => {
    const error = await rejected(connect({ contactPoints: [], consistency: "SOME" as never }))
    assert.deepStrictEqual(error.reason.issues.map(({ path }: { path: string }) => path), [
      "contactPoints",
      "consistency"
    ])
    process.env["CQL_CONTACT_POINTS"] = cluster.contactPoints.join(",")
    const { layer } = options()
    const client = await connectConfig({ layer })
    assert.isAbove((await client.execute("SELECT c FROM ks.t")).rows.length, 0)
    delete process.env["CQL_CONTACT_POINTS"]
    await client.close()
    const reason = new Error("no time")
    assert.strictEqual(await rejected(connect({ ...options(), signal: AbortSignal.abort(reason) })), reason)
  })

  it("are traced where the layer has a tracer", async () => {
    const names: Array<string> = []
    const tracer = Tracer.make({
      span(given) {
        names.push(given.name)
        return new Tracer.NativeSpan(given)
      }
    })
    const traced = await connect({
      ...options(),
      layer: Layer.merge(options().layer, Layer.succeed(Tracer.Tracer, tracer))
    })
    await traced.execute("SELECT c FROM ks.t WHERE k = ?", [1])
    assert.include(names, "SELECT ks.t")
    await traced.close()
  })

  it("ten thousand at once get their own rows", async () => {
    const rows = await Promise.all(
      Array.from(
        { length: 10_000 },
        (_, i) => db.execute<{ c: number }>("SELECT c FROM ks.t WHERE k = ? AND c = ?", [1, i % 100])
      )
    )
    assert.isTrue(rows.every(({ rows: [row] }, i) => row!.c === i % 100))
  })
})
