/** Found for issue 15: migrations. */
import { CqlClient, CqlMigrator } from "@effect-scylla/driver"
import { ServerError } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { disagreeing } from "../support/disagreeing.ts"
import { clientOf, passing, world } from "../support/world.ts"

const run = (
  cql: CqlClient.CqlClient,
  steps: Record<string, CqlMigrator.Step>,
  more: Partial<CqlMigrator.Options> = {}
) =>
  Effect.provideService(
    CqlMigrator.run({ keyspace: "ks", loader: CqlMigrator.fromRecord(steps), ...more }),
    CqlClient.CqlClient,
    cql
  )

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "steps-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const load = Effect.fnUntraced(function*(files: Readonly<Record<string, string>>) {
  const directory = yield* folder
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return yield* CqlMigrator.fromFileSystem(directory)
})

const TABLE = "CREATE TABLE ks.users (\n  id int PRIMARY KEY,\n  name text\n)"

describe("a step of CQL", () => {
  // CqlMigrator.ts, `checksumOf`: of the bytes, with the ends of lines as they are. git's autocrlf gives a developer on Windows other ones than
  // the image that ran the step: BadState, for good. Flyway and Liquibase take all ends of lines for the same.
  it.effect("is the same with other ends of lines", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(run(cql, { "1_users": TABLE }))
      assert.deepStrictEqual(yield* passing(run(cql, { "1_users": TABLE.replaceAll("\n", "\r\n") })), [])
    }))

  // cqlScript.ts: a comment within a statement becomes a space that is part of the checksum; the one before a statement is not.
  it.effect("is the same with another comment within", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(run(cql, { "1_users": TABLE }))
      const said = TABLE.replace("PRIMARY KEY,", "PRIMARY KEY, -- of the person")
      assert.deepStrictEqual(yield* passing(run(cql, { "1_users": said })), [])
    }))

  // cqlScript.ts, `PART`: a comment ends at \n only, for CQL (lexis.ts, both servers' lexers) at \r, too: all the rest is taken for a comment,
  // and the step is recorded as done without having been run.
  it.effect("is run behind a comment that a carriage return ends", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(run(cql, { "1_users": "-- people\rCREATE TABLE ks.users (id int PRIMARY KEY)" }))
      yield* passing(cql.execute("SELECT * FROM ks.users"))
    }))

  // cqlScript.ts, `PART`: a quote without its other half matches nothing, and `matchAll` passes over it: what is sent is not what is written.
  it.effect("with a quote that is never closed is refused, not sent without it", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.people (id int PRIMARY KEY, name text)"))
      const exit = yield* passing(Effect.exit(run(cql, { "1_a": `INSERT INTO ks.people (id) VALUES (1)'` })))
      assert.isTrue(Exit.isFailure(exit))
    }))
})

describe("steps from files", () => {
  // CqlMigrator.ts, `NAME`: any end is part of the name. `tsc` writes `1_a.js.map` beside `1_a.js`, editors `1_a.cql~`: the first is imported as a
  // module, which fails. Effect's `Migrator.fromFileSystem` takes `.js` and `.ts` only; the doc says `.cql` or modules.
  it.effect("are .cql and modules; what else lies there is passed over", () =>
    Effect.gen(function*() {
      const found = yield* load({
        "1_a.cql": "CREATE TABLE ks.a (id int PRIMARY KEY)",
        "1_a.cql~": "CREATE TABLE ks.b (id int PRIMARY KEY)",
        "2_b.mjs": "export default 'CREATE TABLE ks.b (id int PRIMARY KEY)'",
        "2_b.mjs.map": "{}",
        "3_notes.md": "# why"
      })
      assert.deepStrictEqual(found.map(({ id, name }) => [id, name]), [[1, "a"], [2, "b"]])
    }))
})

describe("numbers of steps", () => {
  // CqlMigrator.ts: `id int` in the table, any number of digits in `NAME`: numbers by time (Rails, Knex, Prisma) fail as an EncodeError of a
  // statement that nobody wrote, after the lease was taken.
  it.effect("may be times, or are refused as what they are", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const result = yield* passing(
        Effect.result(run(cql, { "20261201120000_a": "CREATE TABLE ks.a (id int PRIMARY KEY)" }))
      )
      if (result._tag === "Failure") assert.strictEqual(result.failure._tag, "MigrationError")
    }))
})

describe("the lease", () => {
  // CqlMigrator.ts, `acquire`: the answer that is lost is an error of all of it, though there is a minute to wait, and this runner may be the one
  // that has the lease. A rollout of many runners has such timeouts (CAS contention) by nature.
  it.effect("that may or may not have been taken is asked for again", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      let lost = 0
      yield* cluster.intercept(({ request }) =>
        request._tag === "Execute" && lost++ === 1
          ? {
            _tag: "Error",
            error: new ServerError.WriteTimeout({
              code: 0x1100,
              message: "CAS",
              consistency: "SERIAL",
              received: 1,
              blockFor: 2,
              writeType: "CAS"
            } as never)
          }
          : undefined
      )
      const exit = yield* passing(Effect.exit(run(cql, { "1_a": "CREATE TABLE ks.a (id int PRIMARY KEY)" })))
      assert.isAbove(lost, 0)
      assert.isTrue(Exit.isSuccess(exit), String(exit))
    }))
})

describe("options", () => {
  // CqlMigrator.ts, `secondsOf`: what is no duration is the least there is, a lease of 3 seconds and no wait; what is endless is written into the
  // text (`USING TTL Infinity`). The client's own options name what is wrong.
  for (const lease of ["soon", "Infinity"]) {
    it.effect(`that are wrong are refused: a lease of ${lease}`, () =>
      Effect.gen(function*() {
        const { cql } = yield* world()
        const steps = { "1_a": "CREATE TABLE ks.a (id int PRIMARY KEY)" }
        const result = yield* passing(Effect.result(run(cql, steps, { lease: lease as "3 seconds" })))
        assert.include(String(result._tag === "Failure" ? result.failure.message : "run"), "lease")
      }))
  }
})

describe("between two steps", () => {
  // CqlMigrator.ts, `run`: nothing asks for agreement; it is what the client does after DDL, or does not (`schemaAgreementTimeout: false`), and
  // a disagreement is a line in the log. Doc: "After each step the nodes agree on the schema before the next one begins"; issue 15 says so, too.
  for (const schemaAgreementTimeout of [false, "2 seconds"] as const) {
    it.effect(`the nodes agree on the schema, or the next one does not begin: ${schemaAgreementTimeout}`, () =>
      Effect.gen(function*() {
        const { cluster } = yield* world()
        const cql = yield* passing(
          clientOf(cluster, { schemaAgreementTimeout }, disagreeing(cluster.transport, "127.0.0.3"))
        )
        yield* passing(cql.awaitConnected)
        assert.isFalse((yield* passing(cql.schemaAgreement({ timeout: "1 second" }))).agreed)
        let second = false
        const exit = yield* passing(Effect.exit(run(cql, {
          "1_a": "CREATE TABLE ks.a (id int PRIMARY KEY)",
          "2_b": Effect.sync(() => {
            second = true
          })
        })))
        assert.isFalse(second)
        assert.isTrue(Exit.isFailure(exit))
      }))
  }
})
