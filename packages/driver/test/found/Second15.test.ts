/** Found for issue 15: a second look. */
import { CqlClient, CqlMigrator, CqlSchema, CqlTypes } from "@effect-scylla/driver"
import { type Client, connect } from "@effect-scylla/driver/promise"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schema, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import { passing, world } from "../support/world.ts"

describe("CqlSchema.verify", () => {
  // CqlClient.ts, `describe`: a text without variables is not prepared, and `looked` takes that for a fit. README: "everything that does not fit is
  // named, before anything is executed"; issue 15: compared with the prepared metadata, at layer build by `verify`.
  it.effect("looks at a statement without values, too", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const all = CqlSchema.findAll({
        Request: Schema.Void,
        Result: Schema.Struct({ id: CqlTypes.Text, missing: CqlTypes.Int }),
        execute: () => cql`SELECT id, v FROM ks.t`
      })
      const exit = yield* passing(Effect.exit(CqlSchema.verify(all.verify(undefined))))
      assert.isTrue(Exit.isFailure(exit))
    }))

  it.effect("names everything of a request of several columns", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.m (a int, b text, c uuid, d list<int>, PRIMARY KEY (a, b))"))
      const add = CqlSchema.void({
        Request: Schema.Struct({ a: CqlTypes.Text, b: CqlTypes.Int, c: CqlTypes.Blob, d: CqlTypes.Set(CqlTypes.Int) }),
        execute: (row) => cql`INSERT INTO ks.m ${cql.insert(row)}`
      })
      const request = { a: "", b: 1, c: new Uint8Array(0), d: new Set([1]) }
      const error = yield* passing(Effect.flip(CqlSchema.verify(add.verify(request))))
      assert.strictEqual((error as any).reason.issues.length, 4)
    }))
})

describe("CqlMigrator", () => {
  const options = (steps: Record<string, CqlMigrator.Step>) => ({
    keyspace: "ks",
    loader: CqlMigrator.fromRecord(steps)
  })

  // CqlMigrator.ts, `status`: the state of each step, and nothing of what `examined` refuses. Doc: "also what a dry run tells: those that are
  // `pending` would be run"; here none would be.
  it.effect("tells by a dry run what a run does", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const provided = <A, E>(effect: Effect.Effect<A, E, CqlClient.CqlClient>) =>
        passing(Effect.provideService(effect, CqlClient.CqlClient, cql))
      const steps = { "1_a": "CREATE TABLE ks.a (id int PRIMARY KEY)", "3_c": "CREATE TABLE ks.c (id int PRIMARY KEY)" }
      yield* provided(CqlMigrator.run(options(steps)))
      const more = options({ ...steps, "2_b": "CREATE TABLE ks.b (id int PRIMARY KEY)" })
      const told = yield* provided(Effect.exit(CqlMigrator.status(more)))
      const done = yield* provided(Effect.exit(CqlMigrator.run(more)))
      const pending = Exit.map(told, (all) => all.filter(({ state }) => state === "pending").map(({ id }) => id))
      assert.deepStrictEqual(Exit.isSuccess(pending), Exit.isSuccess(done))
    }))

  // CqlMigrator.ts, `mark`: what the conditional writes answer is thrown away, so that it succeeds though nothing was marked.
  it.effect("says so where a mark could not be set, because the lease was lost", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const provided = <A, E>(effect: Effect.Effect<A, E, CqlClient.CqlClient>) =>
        passing(Effect.provideService(effect, CqlClient.CqlClient, cql))
      const failing = options({ "1_a": "nonsense" })
      yield* provided(Effect.flip(CqlMigrator.run(failing)))
      const state = Effect.map(provided(CqlMigrator.status(failing)), ([first]) => first!.state)
      assert.strictEqual(yield* state, "unfinished")
      // Another runner takes over between the lease and the mark, as after a pause.
      let executes = 0
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Execute") return undefined
        // Taken; read; fenced; then this one pauses.
        return undefined
      })
      const stolen = Effect.forever(
        Effect.andThen(
          cql.execute(
            "UPDATE ks.effect_cql_migrations SET fence = 99 WHERE scope = 'migrations' IF fence = 2"
          ),
          Effect.sync(() => void executes++)
        )
      )
      const exit = yield* provided(Effect.exit(Effect.raceFirst(CqlMigrator.mark(1, "done", failing), stolen)))
      yield* cluster.intercept(undefined)
      const after = yield* state
      assert.strictEqual(Exit.isSuccess(exit), after === "done", `${String(exit)} ${after} ${executes}`)
    }))
})

describe("an AbortSignal", () => {
  const scope = Scope.makeUnsafe()
  let db: Client
  beforeAll(async () => {
    const cluster = await Effect.runPromise(
      Scope.provide(SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" }), scope)
    )
    db = await connect({
      contactPoints: cluster.contactPoints,
      layer: Layer.succeed(Transport.Transport, cluster.transport)
    })
    await db.execute("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    await db.execute("CREATE TABLE ks.t (k int, c int, PRIMARY KEY (k, c))")
    await db.executeMany("INSERT INTO ks.t (k, c) VALUES (?, ?)", Array.from({ length: 50 }, (_, c) => [1, c]))
  })
  afterAll(async () => {
    await db.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  // promise.ts, `rowsOf`: the signal is looked at where a page is asked for: the rest of a page, 5000 rows, is given out, and where it is the last one
  // the loop ends as if nothing were. Readable of Node, and `for await` over `events.on`, reject at once.
  it("ends a loop over rows with its reason", async () => {
    const abort = new AbortController()
    let count = 0
    let error: unknown
    try {
      for await (const _ of db.stream("SELECT c FROM ks.t WHERE k = ?", [1], { signal: abort.signal })) {
        if (++count === 3) abort.abort(new Error("enough"))
      }
    } catch (caught) {
      error = caught
    }
    assert.strictEqual(count, 3)
    assert.strictEqual((error as Error | undefined)?.message, "enough")
  })

  it("ends the source of many rows", async () => {
    const abort = new AbortController()
    let ended = 0
    async function* rows() {
      try {
        for (let c = 0;; c++) {
          if (c === 100) abort.abort(new Error("enough"))
          yield [2, c] as const
        }
      } finally {
        ended++
      }
    }
    const result = await db.executeMany("INSERT INTO ks.t (k, c) VALUES (?, ?)", rows(), { signal: abort.signal }).then(
      () => "done",
      (error) => error.message
    )
    assert.strictEqual(result, "enough")
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.strictEqual(ended, 1)
  })

  it("gives up a source that has nothing", async () => {
    const abort = new AbortController()
    let ended = 0
    const rows: AsyncIterable<[number, number]> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          ended++
          return { done: true, value: undefined }
        }
      })
    }
    setTimeout(() => abort.abort(new Error("enough")), 50)
    const result = await db.executeMany("INSERT INTO ks.t (k, c) VALUES (?, ?)", rows, { signal: abort.signal }).then(
      () => "done",
      (error) => error.message
    )
    assert.strictEqual(result, "enough")
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.strictEqual(ended, 1)
  })
})
