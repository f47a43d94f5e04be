/** Found for issue 15: a second look. */
import { CqlClient, CqlMigrator, CqlSchema, CqlTypes } from "@effect-scylla/driver"
import { type Client, connect } from "@effect-scylla/driver/promise"
import { Transport } from "@effect-scylla/pool"
import { Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schema, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import { clientOf, passing, world } from "../support/world.ts"

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

  // cqlForm.ts, `ownJudge`: `AST.resolveAt` reads the annotations of the last check, which is not the one that `fits` has annotated: a Schema of
  // `CqlTypes` with a check of the user's is of no type any more, and goes with every column. With `brand` and `annotate` it is as it was.
  const checked: Record<string, Schema.Top> = {
    uuid: CqlTypes.Uuid.check(Schema.makeFilter(() => true)),
    timestamp: CqlTypes.Timestamp.check(Schema.makeFilter(() => true)),
    "set<int>": CqlTypes.Set(CqlTypes.Int).check(Schema.makeFilter(() => true))
  }
  for (const [name, schema] of Object.entries(checked)) {
    it.effect(`sees that a column is of another type than a Schema with a check: ${name}`, () =>
      Effect.gen(function*() {
        const { cql } = yield* world()
        const find = CqlSchema.findAll({
          Request: Schema.Struct({ id: CqlTypes.Uuid }),
          Result: Schema.Struct({ v: schema }),
          execute: ({ id }) => cql`SELECT v FROM ks.t WHERE id = ${id}`
        })
        const exit = yield* passing(Effect.exit(find.verify({ id: new Uuid.Uuid(1, 1, 1, 1) }) as Effect.Effect<void>))
        assert.isTrue(Exit.isFailure(exit))
      }))
  }

  // cqlForm.ts, `judgeAst`: `Unset`, a member of the union, is a declaration of which nothing is known, and one member that fits is enough.
  it.effect("sees that a variable is of another type than a Schema that may be absent", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const put = CqlSchema.void({
        Request: Schema.Struct({ id: CqlTypes.Uuid, v: CqlTypes.Absent(CqlTypes.Text) }),
        execute: ({ id, v }) => cql`INSERT INTO ks.t (id, v) VALUES (${id}, ${v})`
      })
      const exit = yield* passing(Effect.exit(put.verify({ id: new Uuid.Uuid(1, 1, 1, 1), v: "x" })))
      assert.isTrue(Exit.isFailure(exit))
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
      const { cql } = yield* world()
      const provided = <A, E>(effect: Effect.Effect<A, E, CqlClient.CqlClient>) =>
        passing(Effect.provideService(effect, CqlClient.CqlClient, cql))
      const failing = options({ "1_a": "nonsense" })
      yield* provided(Effect.flip(CqlMigrator.run(failing)))
      const state = Effect.map(provided(CqlMigrator.status(failing)), ([first]) => first!.state)
      assert.strictEqual(yield* state, "unfinished")
      // Another runner takes over between the lease and the mark, as after a pause.
      let executes = 0
      const stolen = Effect.forever(
        Effect.andThen(
          cql.execute(
            "UPDATE ks.effect_cql_migrations SET fence = 99 WHERE scope = 'migrations' IF fence = 2"
          ),
          Effect.sync(() => void executes++)
        )
      )
      const exit = yield* provided(Effect.exit(Effect.raceFirst(CqlMigrator.mark(1, "done", failing), stolen)))
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
})

describe("a client with other defaults", () => {
  const tenants = Effect.gen(function*() {
    const { cluster, cql: admin } = yield* world({ product: "cassandra" })
    yield* passing(admin.execute(
      "CREATE KEYSPACE tenant WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    ))
    for (const keyspace of ["ks", "tenant"]) {
      yield* passing(admin.execute(`CREATE TABLE ${keyspace}.notes (id int PRIMARY KEY, v text)`))
      yield* passing(admin.execute(`INSERT INTO ${keyspace}.notes (id, v) VALUES (1, 'of ${keyspace}')`))
    }
    const cql = yield* passing(clientOf(cluster, { keyspace: "ks" }))
    return { admin, cql, tenant: cql.with({ keyspace: "tenant" }) }
  })

  // CqlClient.ts, `own`: a spread, in which an option that is `undefined` (as its type allows, and as whoever passes options on has it) is one: the
  // default of `with` is gone, and that of the whole client is taken. Doc: "where a call has none of its own"; `prepare` there does look.
  it.effect("has them where a call says undefined", () =>
    Effect.gen(function*() {
      const { tenant } = yield* tenants
      const { rows } = yield* passing(
        tenant.execute("SELECT v FROM notes WHERE id = ?", [1], { keyspace: undefined, timeout: undefined })
      )
      assert.deepStrictEqual(rows, [{ v: "of tenant" }])
    }))

  // batching.ts takes text and values of a template, not whose it is: one of `with({ keyspace })` is written into the keyspace of who sends the batch,
  // without a word.
  it.effect("keeps its templates in its keyspace, or they are refused, in a batch of another one", () =>
    Effect.gen(function*() {
      const { admin, cql, tenant } = yield* tenants
      yield* passing(Effect.exit(cql.batch([tenant`INSERT INTO notes (id, v) VALUES (${2}, ${"secret"})`])))
      assert.deepStrictEqual((yield* passing(admin.execute("SELECT v FROM ks.notes WHERE id = 2"))).rows, [])
    }))
})
