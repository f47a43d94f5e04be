/** Found for issue 15: async/await. */
import { type Client, connect, CqlError } from "@effect-scylla/driver/promise"
import { Transport } from "@effect-scylla/pool"
import { ServerError } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect, Exit, Layer, Scope } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const scope = Scope.makeUnsafe()
let cluster: SimulatedCluster.SimulatedCluster
let db: Client
const open = (more = {}) =>
  connect({
    contactPoints: cluster.contactPoints,
    layer: Layer.succeed(Transport.Transport, cluster.transport),
    ...more
  })

beforeAll(async () => {
  cluster = await Effect.runPromise(
    Scope.provide(SimulatedCluster.make({ nodes: 3, shards: 1, transport: "memory" }), scope)
  )
  db = await open()
  await db.execute(
    "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3} AND tablets = {'enabled': false}"
  )
  await db.execute("CREATE TABLE ks.t (k int, c int, v text, PRIMARY KEY (k, c))")
  await db.executeMany("INSERT INTO ks.t (k, c, v) VALUES (?, ?, ?)", Array.from({ length: 50 }, (_, c) => [1, c, "v"]))
})
afterAll(async () => {
  await db.close()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

const rejected = async (promise: PromiseLike<unknown>): Promise<any> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail("it was fulfilled")
}

describe("an error", () => {
  // calls.ts, `placed`: writes the stack into the error, which several callers share where they waited for one preparation: the last one's line
  // stands in all of them. Issue 15: a stack that points at the caller's line.
  it("of a statement that two have prepared at once leads each to their own line", async () => {
    const alice = async () => await rejected(db.execute("SELECT * FROM ks.nothing WHERE k = ?", [1]))
    const bob = async () => await rejected(db.execute("SELECT * FROM ks.nothing WHERE k = ?", [1]))
    const [first, second] = await Promise.all([alice(), bob()])
    assert.instanceOf(first, CqlError)
    assert.include(second.stack, "bob")
    assert.include(first.stack, "alice")
  })

  // promise.ts, `pagesOf`: `asked.catch` is a second reaction of the promise of `run`, past which V8 looks for nobody who waits; without it the
  // frames of both generators and of the loop are there. Issue 15: a stack that points at the caller's line.
  for (
    const [name, read] of [
      ["stream", async function alice() {
        for await (const _ of db.stream("SELECT * FROM ks.nothing WHERE k = ?", [1])) { /* none */ }
      }],
      ["pages", async function alice() {
        for await (const _ of db.pages("SELECT * FROM ks.nothing WHERE k = ?", [1])) { /* none */ }
      }],
      ["template", async function alice() {
        for await (const _ of db`SELECT * FROM ks.nothing WHERE k = ${1}`) { /* none */ }
      }]
    ] as const
  ) {
    it(`of ${name} leads to the line that waits`, async () => {
      const error = await rejected(read())
      assert.include(String(error.stack), "alice")
    })
  }

  // The second page fails: whoever iterates sees their line.
  it("of the second page leads to the loop", async () => {
    await Effect.runPromise(
      cluster.intercept(({ request }) =>
        request._tag === "Execute" && request.options.pagingState != null
          ? { _tag: "Error", error: new ServerError.InvalidRequest({ code: 0x2200, message: "no more" }) }
          : undefined
      )
    )
    const alice = async () => {
      let count = 0
      for await (const _ of db.stream("SELECT c FROM ks.t WHERE k = ?", [1], { pageSize: 10 })) count++
      return count
    }
    const error = await rejected(alice())
    await Effect.runPromise(cluster.intercept(undefined))
    assert.include(String(error.stack), "alice")
  })
})

describe("events", () => {
  // cluster.ts, `make`: nobody shuts `published` down. Doc of `iterate`: "Ends with the client, with the loop, or with the signal."
  it("end with the client", async () => {
    const other = await open()
    const seen: Array<unknown> = []
    const loop = (async () => {
      for await (const event of other.events()) seen.push(event)
      return "ended"
    })()
    const changes = (async () => {
      for await (const event of other.schema.changes()) seen.push(event)
      return "ended"
    })()
    await other.execute("SELECT key FROM system.local")
    await other.close()
    const late = new Promise((resolve) => setTimeout(resolve, 2_000, "not ended"))
    assert.strictEqual(await Promise.race([changes, late]), "ended")
    assert.strictEqual(await Promise.race([loop, late]), "ended")
  })

  it("that are asked for after the end are over", async () => {
    const other = await open()
    await other.close()
    const late = new Promise((resolve) => setTimeout(resolve, 2_000, "not ended"))
    const loop = (async () => {
      for await (const _ of other.events()) { /* none */ }
      return "ended"
    })().catch((error) => error._tag)
    assert.notStrictEqual(await Promise.race([loop, late]), "not ended")
  })

  // promise.ts, `iterate`: a stream is subscribed to by the first `next`. Doc: "What happens to nodes from now on."; `events.on` of Node keeps
  // what happens between.
  it("are those from the call on", async () => {
    const abort = new AbortController()
    const events = db.schema.changes({ signal: abort.signal })[Symbol.asyncIterator]()
    await db.schema.keyspace("ks")
    await db.execute("CREATE TABLE ks.made (k int PRIMARY KEY)")
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, 1_000, undefined))
    const first = await Promise.race([events.next(), late])
    abort.abort()
    await db.execute("DROP TABLE ks.made")
    assert.strictEqual(first?.value?.name, "made")
  })
})

describe("what is under way when the client ends", () => {
  // cluster/pool: `awaitConnected` waits for connections that nobody makes any more, for ever; store.ts, `patient`: the schema is asked for again and
  // again for the whole request timeout. Doc of `close`: "closes everything; what is left then fails".
  const calls: Record<string, (db: Client) => Promise<unknown>> = {
    connected: (db) => db.connected(),
    "schema.keyspace": (db) => db.schema.keyspace("ks"),
    "schema.all": (db) => db.schema.all()
  }
  for (const [name, call] of Object.entries(calls)) {
    it(`fails: ${name}`, async () => {
      await Effect.runPromise(cluster.stop(2))
      const other = await open()
      await Effect.runPromise(
        cluster.intercept(({ request }) =>
          request._tag === "Query" && request.query.includes("system_schema") ? { _tag: "Ignore" } : undefined
        )
      )
      const late = new Promise((resolve) => setTimeout(resolve, 2_000, "nothing"))
      const told = call(other).then(() => "done", (error) => error.reason._tag)
      await other.close({ timeout: 0 })
      const heard = await Promise.race([told, late])
      await Effect.runPromise(cluster.intercept(undefined))
      await Effect.runPromise(cluster.start(2))
      assert.strictEqual(heard, "ClientClosed")
    })
  }
})
