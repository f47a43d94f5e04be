/** Everything that may be said of a request, as far as any server can show it. */
import {
  type Balancing,
  CqlClient,
  type CqlError,
  CqlMigrator,
  CqlResolver,
  CqlSchema,
  CqlTypes,
  Json,
  type RetryPolicy
} from "@effect-scylla/driver"
import { connect } from "@effect-scylla/driver/promise"
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { DateTime, Effect, Fiber, Layer, Metric, Result, Schema, Stream } from "effect"
import { createKeyspace } from "../support/keyspaces.ts"
import { optionsOf } from "../support/options.ts"

const KS = "effect_scylla_it_requests"
const SELECT = `SELECT k, c, v FROM ${KS}.t WHERE k = ?`
const INSERT = `INSERT INTO ${KS}.t (k, c, v) VALUES (?, ?, ?)`

export const requests = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  const Client = Layer.unwrap(Effect.map(TestServer.TestServer, (server) => CqlClient.layer(optionsOf(server))))

  /** The table with 100 rows of the partition 1, and a client with these options. */
  const setup = Effect.fnUntraced(function*(options: Partial<Parameters<typeof CqlClient.make>[0]> = {}) {
    const admin = yield* CqlClient.CqlClient
    yield* createKeyspace(admin, KS)
    yield* admin.execute(`CREATE TABLE IF NOT EXISTS ${KS}.t (k int, c int, v text, PRIMARY KEY (k, c))`)
    yield* admin.execute(`CREATE TABLE IF NOT EXISTS ${KS}.n (k int PRIMARY KEY, n counter)`)
    yield* admin.executeMany(INSERT, Array.from({ length: 100 }, (_, c) => [1, c, `v${c}`]))
    const server = yield* TestServer.TestServer
    return yield* CqlClient.make({ ...optionsOf(server), ...options })
  })

  describe(`requests on ${provider}`, () => {
    it.layer(Client)("", (it) => {
      it.effect("go by their profile, to one node, to the node of a key that is said, or where a policy says", () =>
        Effect.gen(function*() {
          const cql = yield* setup({ profiles: { reports: { consistency: "ONE", pageSize: 10, label: "reports" } } })
          yield* cql.awaitConnected
          const select = yield* cql.prepare(SELECT)
          const page = yield* cql.execute(select, [1], { profile: "reports" })
          assert.strictEqual(page.rows.length, 10)
          for (const node of cql.cluster().local) {
            const { coordinator } = yield* cql.execute(select, [1], { target: node })
            assert.strictEqual(coordinator.hostId, node.hostId)
          }
          // Both to the first replica.
          const serial = { consistency: "SERIAL" } as const
          const bound = yield* cql.execute(select, [1], serial)
          const said = yield* cql.execute(`SELECT * FROM ${KS}.t WHERE k = 1`, [], {
            ...serial,
            routingKey: { key: Uint8Array.of(0, 0, 0, 1), keyspace: KS, table: "t" }
          })
          assert.strictEqual(said.coordinator.hostId, bound.coordinator.hostId)
          const last: Balancing.Policy = (request) => [...request.plan].toReversed()
          const first = yield* cql.execute(select, [1], { balancing: (request) => request.plan })
          const reversed = yield* cql.execute(select, [1], { balancing: last })
          assert.strictEqual(typeof first.coordinator.hostId, "string")
          assert.include(cql.cluster().local.map(({ hostId }) => hostId), reversed.coordinator.hostId)
        }))

      it.effect("pages: read ahead, from the node before, in every form, and by tokens", () =>
        Effect.gen(function*() {
          const cql = yield* setup({ pageSize: 7 })
          const rows = yield* Stream.runCollect(cql.stream(SELECT, [1]))
          assert.deepStrictEqual(rows.map((row) => row["c"]), Array.from({ length: 100 }, (_, c) => c))
          const first = yield* cql.execute(SELECT, [1])
          const second = yield* cql.execute(SELECT, [1], { pagingState: first.pagingState })
          assert.strictEqual(second.coordinator.hostId, first.coordinator.hostId)
          const token = (yield* cql.toToken(SELECT, [1], second))!
          const other = yield* setup({ pageSize: 7 })
          const third = yield* other.execute(SELECT, [1], { pagingState: yield* other.fromToken(SELECT, [1], token) })
          assert.strictEqual(third.rows[0]!["c"], 14)
          const refused = yield* Effect.flip(other.fromToken(SELECT, [2], token))
          assert.strictEqual(refused.reason._tag, "PagingTokenRefused")
          const lazy = yield* cql.execute(SELECT, [1], { rows: "lazy" })
          assert.strictEqual(lazy.rows[3]!.get("v"), "v3")
          const columns = yield* cql.execute(SELECT, [1], { rows: "columns" })
          assert.deepStrictEqual([...columns.rows[0]!.get("c") as Int32Array], [0, 1, 2, 3, 4, 5, 6])
        }))

      it.effect("many writes as few requests: each is there, and each knows what became of it", () =>
        Effect.gen(function*() {
          const cql = yield* setup()
          yield* cql.execute(`TRUNCATE ${KS}.t`)
          const insert = yield* cql.prepare(INSERT)
          const items = Array.from({ length: 500 }, (_, i) => [insert, [i, 0, `v${i}`]] as const)
          const outcomes = yield* cql.grouped([...items, [insert, [1]] as never])
          assert.isTrue(outcomes.slice(0, 500).every(Result.isSuccess))
          const wrong = outcomes[500]!
          assert.strictEqual(Result.isFailure(wrong) ? wrong.failure.reason._tag : "", "EncodeError")
          const [row] = yield* cql<{ count: bigint }>`SELECT count(*) AS count FROM ${cql(KS, "t")}`
          assert.strictEqual(row!.count, 500n)
          const count = [`UPDATE ${KS}.n SET n = n + 1 WHERE k = ?`, [7]] as const
          const before = yield* cql<{ n: bigint }>`SELECT n FROM ${cql(KS, "n")} WHERE k = ${7}`
          assert.isTrue((yield* cql.grouped([count, count, count])).every(Result.isSuccess))
          const after = yield* cql<{ n: bigint }>`SELECT n FROM ${cql(KS, "n")} WHERE k = ${7}`
          assert.strictEqual(after[0]!.n - (before[0]?.n ?? 0n), 3n)
        }))

      it.effect("an error of the server goes by the user's policy, at another level in the end", () =>
        Effect.gen(function*() {
          const cql = yield* setup()
          const told: Array<string> = []
          const retry: RetryPolicy.Policy = {
            decide: ({ consistency, proposed, reason }) => {
              told.push(`${reason._tag} ${consistency} ${proposed}`)
              return consistency === "THREE" ? { decision: "SameNode", consistency: "ONE" } : "Fail"
            }
          }
          // More replicas than there are.
          const name = `${KS}_one`
          yield* cql.execute(
            `CREATE KEYSPACE IF NOT EXISTS ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
          )
          yield* cql.execute(`CREATE TABLE IF NOT EXISTS ${name}.t (k int PRIMARY KEY)`)
          yield* cql.execute(`SELECT * FROM ${name}.t WHERE k = ?`, [1], { consistency: "THREE", retry })
          assert.strictEqual(told.length, 1)
          assert.match(told[0]!, /^Unavailable THREE/)
        }))

      it.effect("are asked of a second node when the first is slow, and counted by label", () =>
        Effect.provideService(
          Effect.gen(function*() {
            const cql = yield* setup({ speculationLimit: { share: 1 } })
            yield* cql.awaitConnected
            const select = yield* cql.prepare(SELECT)
            const options = { label: "hedged", speculation: { delay: "5 millis", max: 2 } } as const
            const results = yield* Effect.forEach(
              Array.from({ length: 300 }),
              () => cql.execute(select, [1], options),
              { concurrency: 32 }
            )
            assert.isTrue(results.every(({ rows }) => rows.length === results[0]!.rows.length))
            const answered = (yield* Metric.snapshot).find(({ attributes, id }) =>
              id === "cql_requests_total" && attributes?.["label"] === "hedged"
            )
            assert.strictEqual((answered?.state as { readonly count: number } | undefined)?.count, 300)
          }),
          Metric.MetricRegistry,
          new Map()
        ))

      it.effect("are known to every node soon after one has prepared them, and carry payloads", () =>
        Effect.gen(function*() {
          const cql = yield* setup()
          yield* cql.awaitConnected
          const text = `SELECT v FROM ${KS}.t WHERE k = ? AND c = ? LIMIT ${1 + (Date.now() % 1_000_000)}`
          const select = yield* cql.prepare(text)
          const nodes = cql.cluster().local
          let looks = 0
          while (!nodes.every(({ hostId }) => select.knownBy.has(hostId)) && looks++ < 200) yield* Effect.sleep(10)
          assert.isTrue(nodes.every(({ hostId }) => select.knownBy.has(hostId)))
          for (const node of nodes) yield* cql.execute(select, [1, 1], { target: node })
          // Servers without an extension of that name pass over it.
          yield* cql.execute(select, [1, 1], { customPayload: { nobody: Uint8Array.of(1) } })
        }))

      it.effect("with Schemas are compared with what the server says, and give rows of all promised types", () =>
        Effect.gen(function*() {
          const cql = yield* setup()
          const find = CqlSchema.findAll({
            Request: CqlTypes.Int,
            Result: Schema.Struct({ k: CqlTypes.Int, c: CqlTypes.Int, v: Schema.NullOr(CqlTypes.Text) }),
            execute: (k) => cql`SELECT k, c, v FROM ${cql(KS, "t")} WHERE k = ${k} LIMIT 3`
          })
          assert.strictEqual((yield* find(1)).length, 3)
          const wrong = CqlSchema.findAll({
            Request: CqlTypes.Text,
            Result: Schema.Struct({ c: CqlTypes.Uuid }),
            execute: (k) => cql`SELECT c FROM ${cql(KS, "t")} WHERE k = ${k}`
          })
          const error = yield* Effect.flip(wrong("1"))
          assert.isTrue(
            error._tag === "CqlError" && error.reason._tag === "SchemaMismatch" && error.reason.issues.length === 2
          )
        }))

      it.effect("by key are asked of their partitions, written in parts, with codecs of one's own, and as JSON", () =>
        Effect.gen(function*() {
          const doubled = {
            decode: (value: string | null) => `${value}!`,
            encode: (value: string) => value.slice(0, -1)
          }
          const cql = yield* setup({ codec: { types: { [`${KS}.w.v`]: doubled } } })
          yield* cql.execute(
            `CREATE TABLE IF NOT EXISTS ${KS}.w (k int PRIMARY KEY, v text, at timestamp, big bigint, m map<int, text>)`
          )
          const at = DateTime.makeUnsafe("2026-12-01T01:02:03.004Z")
          const row = {
            k: 1,
            v: "one!",
            at: DateTime.toDateUtc(at),
            big: 2n ** 60n + 1n,
            m: new Map([[10, "x"], [9, "y"]])
          }
          yield* cql`INSERT INTO ${cql(KS, "w")} ${cql.insert(row)}`
          yield* cql`UPDATE ${cql(KS, "w")} SET ${cql.update({ v: "two!" })} WHERE ${cql.and([cql`k = ${2}`])}`
          const Row = Schema.Struct({
            k: CqlTypes.Int,
            v: Schema.NullOr(CqlTypes.Text),
            at: Schema.NullOr(CqlTypes.TimestampUtc),
            big: Schema.NullOr(CqlTypes.Bigint),
            m: Schema.NullOr(CqlTypes.Map(CqlTypes.Int, CqlTypes.Text))
          })
          const resolver = CqlResolver.findById({
            Id: CqlTypes.Int,
            Result: Row,
            execute: (k) => cql`SELECT k, v, at, big, m FROM ${cql(KS, "w")} WHERE k = ${k}`
          })
          const found = yield* Effect.forEach([1, 2, 1], (k) => CqlResolver.request(k, resolver), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(found.map(({ v }) => v), ["one!", "two!", "one!"])
          assert.strictEqual(DateTime.toEpochMillis(found[0]!.at!), DateTime.toEpochMillis(at))
          const [plain] = yield* cql`SELECT k, v, at, big, m FROM ${cql(KS, "w")} WHERE k = ${1}`
          const back = Schema.decodeUnknownSync(Schema.toCodecJson(Row))(JSON.parse(Json.stringify(plain)))
          assert.deepStrictEqual(back, found[0])
        }))

      it.effect("are the same by promises, to the end", () =>
        Effect.gen(function*() {
          yield* setup()
          const server = yield* TestServer.TestServer
          const { password, username, ...options } = optionsOf(server)
          yield* Effect.promise(async () => {
            const db = await connect({ ...options, username, password, stacks: true })
            const rows: Array<unknown> = []
            for await (const row of db.stream(SELECT, [1], { pageSize: 30 })) rows.push(row)
            assert.strictEqual(rows.length, 100)
            const [first] = await db<{ v: string }>`SELECT v FROM ${db(KS, "t")} WHERE k = ${1} LIMIT 1`
            assert.strictEqual(first?.v, "v0")
            assert.isTrue((await db.schemaAgreement()).agreed)
            const wrong = await db.execute(`SELECT nothing FROM ${KS}.t`).catch((error: unknown) => error)
            assert.strictEqual((wrong as CqlError.CqlError).reason._tag, "InvalidRequest")
            assert.include((wrong as Error).stack, "suites/requests.ts")
            await db.close()
          })
        }))

      it.effect("two migrators at once run each step once, and one that is killed in the middle leaves a step that is resumed", () =>
        Effect.gen(function*() {
          const one = yield* setup()
          const other = yield* setup()
          yield* one.execute(`DROP TABLE IF EXISTS ${KS}.effect_cql_migrations`)
          yield* one.execute(`DROP TABLE IF EXISTS ${KS}.moved`)
          let ran = 0
          const options = (step: Effect.Effect<unknown>) => ({
            keyspace: KS,
            lease: "3 seconds" as const,
            unfinished: "resume" as const,
            loader: CqlMigrator.fromRecord({
              "1_moved": `CREATE TABLE ${KS}.moved (id int PRIMARY KEY)`,
              "2_step": step
            })
          })
          const run = (cql: CqlClient.CqlClient, step: Effect.Effect<unknown>) =>
            Effect.provideService(CqlMigrator.run(options(step)), CqlClient.CqlClient, cql)
          const entered = Effect.sync(() => {
            ran++
          })
          const killed = yield* Effect.forkChild(run(one, Effect.andThen(entered, Effect.never)), {
            startImmediately: true
          })
          while (ran === 0) yield* Effect.sleep(20)
          yield* Fiber.interrupt(killed)
          const both = yield* Effect.all([run(one, entered), run(other, entered)], { concurrency: 2 })
          assert.deepStrictEqual(both.flat(), [[2, "step"]])
          assert.strictEqual(ran, 2)
        }))

      it.effect("that change the schema end when the nodes agree on it, and say so", () =>
        Effect.gen(function*() {
          const cql = yield* setup()
          const { schemaAgreement } = yield* cql.execute(`CREATE TABLE IF NOT EXISTS ${KS}.agreed (k int PRIMARY KEY)`)
          assert.strictEqual(schemaAgreement?.agreed ?? true, true)
          const now = yield* cql.schemaAgreement()
          assert.isTrue(now.agreed)
          assert.match(now.version!, /^[0-9a-f-]{36}$/)
          assert.deepStrictEqual(now.others, [])
          // Addresses, ports and tokens as the servers tell them; a look in which nothing is new keeps them.
          const before = cql.cluster()
          assert.isTrue(before.nodes.every(({ pool, tokens }) => pool?.isUp === true && tokens.length > 0))
          const replicas = before.keyspaces.get(KS)!.replicas
          if (replicas !== undefined) assert.isTrue(replicas.of(0).every((node) => before.nodes.includes(node)))
        }))

      it.effect("never reach a node that is filtered out", () =>
        Effect.gen(function*() {
          const all = yield* setup()
          const [gone] = all.cluster().local
          if (all.cluster().local.length < 2) return
          const cql = yield* setup({ hostFilter: ({ hostId }) => hostId !== gone!.hostId })
          yield* cql.awaitConnected
          const select = yield* cql.prepare(SELECT)
          for (let k = 0; k < 30; k++) {
            assert.notStrictEqual((yield* cql.execute(select, [k])).coordinator.hostId, gone!.hostId)
          }
          assert.isUndefined(cql.cluster().hosts.get(gone!.hostId)!.pool)
        }))
    })
  })
}
