/** A schema that moves forward: once, in order, by one runner at a time. */
import { CqlClient, CqlMigrator } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { clientOf, passing, world } from "./support/world.ts"

const with_ = <A, E>(effect: Effect.Effect<A, E, CqlClient.CqlClient>, cql: CqlClient.CqlClient) =>
  Effect.provideService(effect, CqlClient.CqlClient, cql)

const users = "CREATE TABLE ks.users (id int PRIMARY KEY, name text)"
const two: Record<string, CqlMigrator.Step> = {
  "1_users": `-- people; and more
${users};
INSERT INTO ks.users (id, name) VALUES (1, 'a;b');`,
  "0002_orders.ts": Effect.flatMap(
    CqlClient.CqlClient,
    (cql) => Effect.asVoid(cql.execute("CREATE TABLE ks.orders (id int PRIMARY KEY)"))
  )
}
const optionsOf = (steps: Record<string, CqlMigrator.Step> = two, more: Partial<CqlMigrator.Options> = {}) => ({
  keyspace: "ks",
  loader: CqlMigrator.fromRecord(steps),
  ...more
})

describe("CqlMigrator", () => {
  it.effect("runs steps once, in the order of their numbers, and tells what became of each", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const run = (steps = two) => passing(with_(CqlMigrator.run(optionsOf(steps)), cql))
      const status = (steps = two) => passing(with_(CqlMigrator.status(optionsOf(steps)), cql))
      assert.deepStrictEqual((yield* status()).map(({ id, state }) => [id, state]), [[1, "pending"], [2, "pending"]])
      assert.deepStrictEqual(yield* run(), [[1, "users"], [2, "orders"]])
      assert.deepStrictEqual(yield* passing(cql`SELECT name FROM ks.users WHERE id = ${1}`), [{ name: "a;b" }])
      assert.deepStrictEqual(yield* run(), [])
      const more = { ...two, "3_more": ["ALTER TABLE ks.users ADD age int", "ALTER TABLE ks.users ADD town text"] }
      assert.deepStrictEqual(yield* run(more), [[3, "more"]])
      const all = yield* status(more)
      assert.deepStrictEqual(all.map(({ isChanged, state }) => [state, isChanged]), [["done", false], ["done", false], [
        "done",
        false
      ]])
      assert.isTrue(all.every(({ endedAt, startedAt }) => startedAt !== undefined && endedAt !== undefined))
    }))

  it.effect("takes a checksum that was made of comments and ends of lines for what it is, and another text for another one", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const step = "CREATE TABLE ks.users (\r\n  id int PRIMARY KEY, -- whose\r\n  name text\r\n);"
      const run = (text: string) => passing(with_(CqlMigrator.run(optionsOf({ "1_users": text })), cql))
      assert.deepStrictEqual(yield* run(step), [[1, "users"]])
      const before = createHash("sha256").update(
        "CREATE TABLE ks.users (\r\n  id int PRIMARY KEY,  \n  name text\r\n)"
      ).digest("hex")
      yield* passing(
        cql`UPDATE ks.effect_cql_migrations SET checksum = ${before} WHERE scope = 'migrations' AND id = 1`
      )
      assert.deepStrictEqual(yield* run(step), [])
      const error = yield* Effect.flip(run(step.replace("name text", "name blob")))
      assert.strictEqual((error as CqlMigrator.MigrationError).kind, "BadState")
    }))

  it.effect("two runners at once: each step is run once", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const other = yield* passing(clientOf(cluster))
      let orders = 0
      const steps = {
        ...two,
        "3_count": Effect.sync(() => {
          orders++
        })
      }
      const [a, b] = yield* passing(
        Effect.all([with_(CqlMigrator.run(optionsOf(steps)), cql), with_(CqlMigrator.run(optionsOf(steps)), other)], {
          concurrency: 2
        })
      )
      assert.deepStrictEqual([...a, ...b].sort(), [[1, "users"], [2, "orders"], [3, "count"]])
      assert.strictEqual(orders, 1)
    }))

  it.effect("a step that fails half-way is named, and can be resumed or marked", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const steps = {
        "1_users": users,
        "2_bad": [`INSERT INTO ks.users (id) VALUES (5)`, "CREATE TABLE ks.users (id int PRIMARY KEY)"]
      }
      const run = (given: Record<string, CqlMigrator.Step>, more = {}) =>
        passing(with_(CqlMigrator.run(optionsOf(given, more)), cql))
      const failed = yield* Effect.flip(run(steps))
      assert.isTrue(failed._tag === "MigrationError" && failed.kind === "Failed")
      assert.include(failed.message, "the step 2_bad failed, and may be half done")
      const again = yield* Effect.flip(run(steps))
      assert.isTrue(again._tag === "MigrationError" && again.kind === "BadState")
      assert.match(again.message, /the step 2_bad was begun at 1970.* and not ended/)
      const mended = { ...steps, "2_bad": "INSERT INTO ks.users (id) VALUES (6)" }
      assert.deepStrictEqual(yield* run(mended, { unfinished: "resume" }), [[2, "bad"]])
      const third = { ...mended, "3_bad": "nonsense" }
      yield* Effect.flip(run(third))
      yield* passing(with_(CqlMigrator.mark(3, "pending", optionsOf(third)), cql))
      yield* Effect.flip(run(third))
      yield* passing(with_(CqlMigrator.mark(3, "done", optionsOf(third)), cql))
      assert.deepStrictEqual(yield* run(third), [])
      const unknown = yield* Effect.flip(passing(with_(CqlMigrator.mark(9, "done", optionsOf(third)), cql)))
      assert.include(unknown.message, "there is no step with the number 9")
    }))

  it.effect("refuses steps that do not fit what was run: changed, missing, late, double", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const steps = { "1_a": "CREATE TABLE ks.a (id int PRIMARY KEY)", "3_c": "CREATE TABLE ks.c (id int PRIMARY KEY)" }
      const run = (given: Record<string, CqlMigrator.Step>) => passing(with_(CqlMigrator.run(optionsOf(given)), cql))
      yield* run(steps)
      // White space around it and comments are no change.
      assert.deepStrictEqual(yield* run({ ...steps, "1_a": `  ${steps["1_a"]};\n-- said\n` }), [])
      const wrong: ReadonlyArray<readonly [Record<string, CqlMigrator.Step>, string]> = [
        [{ ...steps, "1_a": "CREATE TABLE ks.b (id int PRIMARY KEY)" }, "have another text or name now: 1_a"],
        [{ "1_a": steps["1_a"] }, "there are none of here: 3_c"],
        [{ ...steps, "2_b": "x" }, "the step 2_b is new, and 3_c was run before it"],
        [{ ...steps, "3_d": "x" }, "two steps have the number 3: c and d"]
      ]
      for (const [given, message] of wrong) assert.include((yield* Effect.flip(run(given))).message, message)
    }))

  it.effect(
    "waits for another runner, and takes over from one that is gone; who was paused records nothing more",
    () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world()
        const other = yield* passing(clientOf(cluster))
        let entered = 0
        const steps = {
          "1_slow": Effect.andThen(
            Effect.sync(() => entered++),
            Effect.suspend(() => entered === 1 ? Effect.never : Effect.void)
          ),
          "2_after": "CREATE TABLE ks.after (id int PRIMARY KEY)"
        }
        const first = yield* Effect.forkChild(with_(CqlMigrator.run(optionsOf(steps, { lease: "10 seconds" })), cql), {
          startImmediately: true
        })
        for (let i = 0; i < 40; i++) yield* TestClock.adjust("100 millis")
        assert.strictEqual(entered, 1)
        const locked = yield* passing(
          Effect.flip(with_(CqlMigrator.run(optionsOf(steps, { wait: "20 seconds" })), other))
        )
        assert.isTrue(locked._tag === "MigrationError" && locked.kind === "Locked")
        // From now on the first one's renewals are lost: it is paused, or cut off.
        yield* cluster.intercept(({ request }) =>
          request._tag === "Execute" && entered === 1 && request.values?.values?.length === 4
            ? { _tag: "Ignore" }
            : undefined
        )
        for (let i = 0; i < 300; i++) yield* TestClock.adjust("100 millis")
        yield* cluster.intercept(undefined)
        const took = yield* passing(
          with_(CqlMigrator.run(optionsOf(steps, { unfinished: "resume", lease: "10 seconds" })), other)
        )
        assert.deepStrictEqual(took, [[1, "slow"], [2, "after"]])
        for (let i = 0; i < 300; i++) yield* TestClock.adjust("100 millis")
        const lost = yield* Effect.flip(Fiber.join(first))
        assert.isTrue(lost._tag === "MigrationError" && lost.kind === "LeaseLost")
        const states = yield* passing(with_(CqlMigrator.status(optionsOf(steps)), other))
        assert.deepStrictEqual(states.map(({ state }) => state), ["done", "done"])
      }),
    30_000
  )

  it.effect("loads files and modules", () =>
    Effect.gen(function*() {
      const directory = mkdtempSync(join(tmpdir(), "migrations-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      writeFileSync(join(directory, "1_users.cql"), users)
      writeFileSync(join(directory, "2_more.mjs"), 'export default ["ALTER TABLE ks.users ADD x int"]')
      writeFileSync(join(directory, "notes.txt"), "nothing")
      const loaded = yield* CqlMigrator.fromFileSystem(directory)
      assert.deepStrictEqual(loaded.map(({ id, name }) => [id, name]), [[1, "users"], [2, "more"]])
      assert.deepStrictEqual(loaded[1]!.step, ["ALTER TABLE ks.users ADD x int"])
      const missing = yield* Effect.flip(CqlMigrator.fromFileSystem(join(directory, "none")))
      assert.strictEqual(missing.kind, "Import")
      const globbed = yield* CqlMigrator.fromGlob({ "./migrations/3_x.ts": () => Promise.resolve({ default: "x" }) })
      assert.deepStrictEqual(globbed, [{ id: 3, name: "x", step: "x" }])
      const wrong = yield* Effect.flip(CqlMigrator.fromGlob({ "1_x.ts": () => Promise.resolve({ default: 5 }) }))
      assert.include(wrong.message, "a step is CQL or an effect")
    }))
})
