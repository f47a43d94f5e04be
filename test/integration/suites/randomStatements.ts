/** Random statements, the same to the simulated cluster and to a real Cassandra: the same answers, or a refusal. */
import { CqlClient, type ResultSet } from "@effect-scylla/driver"
import { SimulatedCluster, TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { inspect } from "node:util"
import { Random } from "../../support/random.ts"

const KS = "effect_scylla_random"
const STATEMENTS = 600

interface Table {
  readonly name: string
  readonly key: ReadonlyArray<string>
  readonly clustering: ReadonlyArray<string>
  readonly regular: ReadonlyArray<string>
  readonly columns: Readonly<Record<string, string>>
  readonly order?: string
}

const TABLES: ReadonlyArray<Table> = [
  {
    name: "simple",
    key: ["p"],
    clustering: ["c"],
    regular: ["v", "w"],
    columns: { p: "int", c: "int", v: "int", w: "text" }
  },
  {
    name: "ordered",
    key: ["p"],
    clustering: ["c1", "c2"],
    regular: ["v"],
    columns: { p: "int", c1: "int", c2: "text", v: "boolean" },
    order: "c1 DESC, c2 ASC"
  },
  {
    name: "composite",
    key: ["a", "b"],
    clustering: [],
    regular: ["v"],
    columns: { a: "int", b: "text", v: "double" }
  },
  {
    name: "rich",
    key: ["p"],
    clustering: [],
    regular: ["l", "s", "m", "f", "u", "t"],
    columns: {
      p: "int",
      l: "list<int>",
      s: "set<int>",
      m: "map<text, int>",
      f: "frozen<set<int>>",
      u: "pair",
      t: "tuple<int, text>"
    }
  }
]

const LITERALS: Readonly<Record<string, ReadonlyArray<string>>> = {
  int: ["-1", "0", "1", "2", "3"],
  text: ["''", "'a'", "'b'", "'é'"],
  boolean: ["true", "false"],
  double: ["-0.0", "1e10", "NaN", "-Infinity", "2.5"],
  "list<int>": ["[]", "[1]", "[2, 1, 2]"],
  "set<int>": ["{}", "{1}", "{3, 1, 2, 1}"],
  "map<text, int>": ["{}", "{'a': 1}", "{'b': 2, 'a': 1}"],
  "frozen<set<int>>": ["{}", "{2, 1}"],
  pair: ["{a: 1, b: 'x'}", "{a: 2}", "{b: null}"],
  "tuple<int, text>": ["(1, 'a')", "(null, 'a')", "(1)"]
}

/** Statements that follow a seed. Plain writes say their time, so that no clock decides which of them stays. */
const generator = (random: Random) => {
  const pick = <A>(of: ReadonlyArray<A>): A => of[random.below(of.length)]!
  const chance = (percent: number): boolean => random.below(100) < percent
  const literal = (table: Table, column: string): string =>
    chance(2) ? pick(["'x'", "1.5", "null", "now()", "(int) 1"]) : pick(LITERALS[table.columns[column]!]!)
  const value = (table: Table, column: string): string => chance(15) ? "null" : literal(table, column)
  const relation = (table: Table, column: string): string => {
    const kind = random.below(20)
    if (kind < 13) return `${column} = ${literal(table, column)}`
    if (kind < 15) return `${column} IN (${literal(table, column)}, ${literal(table, column)})`
    if (kind < 19) return `${column} ${pick(["<", "<=", ">", ">="])} ${literal(table, column)}`
    return pick([`${column} != ${literal(table, column)}`, `${column} IS NOT NULL`, `${column} LIKE 'a%'`])
  }
  const where = (table: Table, stop: number): string => {
    const out = table.key.filter(() => !chance(3)).map((column) =>
      chance(10) ? relation(table, column) : `${column} = ${literal(table, column)}`
    )
    for (const column of table.clustering) {
      if (chance(stop)) break
      out.push(relation(table, column))
    }
    if (chance(3)) out.push(relation(table, pick(table.regular)))
    return out.length === 0 ? "" : ` WHERE ${out.join(" AND ")}`
  }
  const using = (isConditional: boolean, ttl: boolean): string => {
    const out = [
      ...(isConditional ? [] : [`TIMESTAMP ${1 + random.below(5)}`]),
      ...(ttl && chance(20) ? ["TTL 100000"] : [])
    ]
    return out.length === 0 ? "" : ` USING ${out.join(" AND ")}`
  }
  const condition = (table: Table): string => {
    if (chance(40)) return " IF EXISTS"
    const asked = () => {
      const column = pick(table.regular)
      return `${column} ${pick(["=", "!=", "<", ">="])} ${value(table, column)}`
    }
    return ` IF ${chance(50) ? asked() : `${asked()} AND ${asked()}`}`
  }
  const write = (table: Table): string => {
    const isConditional = chance(8)
    const name = `${KS}.${table.name}`
    const some = table.regular.filter(() => chance(60))
    switch (random.below(3)) {
      case 0: {
        const columns = [...table.key, ...table.clustering, ...some]
        const values = columns.map((column) => some.includes(column) ? value(table, column) : literal(table, column))
        return `INSERT INTO ${name} (${columns.join(", ")}) VALUES (${values.join(", ")})` +
          `${isConditional ? " IF NOT EXISTS" : ""}${using(isConditional, true)}`
      }
      case 1: {
        const set = (some.length === 0 ? table.regular : some).map((column) => `${column} = ${value(table, column)}`)
        return `UPDATE ${name}${using(isConditional, true)} SET ${set.join(", ")}${where(table, 3)}` +
          (isConditional ? condition(table) : "")
      }
      default:
        return `DELETE ${chance(40) ? some.join(", ") : ""} FROM ${name}${using(isConditional, false)}` +
          `${where(table, 25)}${isConditional ? condition(table) : ""}`
    }
  }
  const select = (table: Table): string => {
    const all = Object.keys(table.columns)
    const what = pick([
      "*",
      "*",
      `${pick(all)}, ${pick(all)} AS x`,
      "count(*)",
      `DISTINCT ${table.key.join(", ")}`,
      `max(${pick(all)})`,
      "JSON *"
    ])
    const tokens = `token(${table.key.join(", ")}) ${pick(["<", ">=", "="])} ${pick(["0", "-9223372036854775808"])}`
    const restricted = chance(10) ? ` WHERE ${tokens}` : chance(85) ? where(table, 40) : ""
    const order = table.clustering.length > 0 && chance(25)
      ? ` ORDER BY ${table.clustering.map((column) => `${column}${pick(["", " DESC"])}`).join(", ")}`
      : ""
    return `SELECT ${what} FROM ${KS}.${table.name}${restricted}${order}` +
      (chance(30) ? ` LIMIT ${pick(["1", "2", "5", "0"])}` : "") + (chance(10) ? " ALLOW FILTERING" : "")
  }
  return (): { readonly text: string; readonly isRead: boolean; readonly pageSize: number } => {
    const table = pick(TABLES)
    const isRead = chance(50)
    const text = isRead
      ? select(table)
      : chance(12)
      ? `BEGIN BATCH ${write(table)}; ${write(chance(80) ? table : pick(TABLES))}; APPLY BATCH`
      : write(table)
    return { text, isRead, pageSize: pick([1, 2, 3, 5000]) }
  }
}

/** One second for all, so that what expires does so at the same time on both. */
const OPTIONS = { consistency: "ONE", serialConsistency: "SERIAL", nowInSeconds: 2_000_000_000 } as const

type Answer = { readonly rows: string } | { readonly refusal: string }

const ask = (cql: CqlClient.CqlClient, text: string, pageSize: number): Effect.Effect<Answer> =>
  Effect.gen(function*() {
    const rows: Array<unknown> = []
    let pagingState: Uint8Array | null = null
    do {
      const page: ResultSet.ResultSet = yield* cql.execute(text, [], { ...OPTIONS, pageSize, pagingState })
      rows.push(...page.rows)
      pagingState = page.pagingState
    } while (pagingState !== null)
    return { rows: inspect(rows, { depth: 8, breakLength: Infinity, maxArrayLength: null }) }
  }).pipe(Effect.catchTag("CqlError", ({ reason }) => Effect.succeed({ refusal: `${reason._tag}: ${reason.message}` })))

export const randomStatements = (it: Vitest.MethodsNonLive<TestServer.TestServer>): void => {
  describe("the simulator beside a Cassandra", () => {
    it.effect(`answers ${STATEMENTS} random statements as it does, or refuses them`, () =>
      Effect.gen(function*() {
        const real = yield* CqlClient.make({ contactPoints: (yield* TestServer.TestServer).contactPoints })
        const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, product: "cassandra" })
        const simulated = yield* CqlClient.make({ contactPoints: cluster.contactPoints })
        const setUp = [
          `CREATE KEYSPACE ${KS} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
          `CREATE TYPE ${KS}.pair (a int, b text)`,
          ...TABLES.map(({ clustering, columns, key, name, order }) => {
            const defined = Object.entries(columns).map(([column, type]) => `${column} ${type}`).join(", ")
            const primary = `PRIMARY KEY (${[`(${key.join(", ")})`, ...clustering].join(", ")})`
            const ordered = order === undefined ? "" : ` WITH CLUSTERING ORDER BY (${order})`
            return `CREATE TABLE ${KS}.${name} (${defined}, ${primary})${ordered}`
          })
        ]
        for (const text of setUp) {
          for (const cql of [real, simulated]) yield* cql.execute(text)
        }
        const next = generator(new Random(20_261_121))
        let compared = 0
        let crashes = 0
        for (let i = 0; i < STATEMENTS; i++) {
          const { isRead, pageSize, text } = next()
          const mine = yield* ask(simulated, text, pageSize)
          // What it refuses to write is not written there either.
          if ("refusal" in mine && !isRead) continue
          const theirs = yield* ask(real, text, pageSize)
          if ("refusal" in mine) {
            const both = "refusal" in theirs
            assert.isTrue(both || mine.refusal.startsWith("InvalidRequest"), `${text}: ${mine.refusal}`)
            continue
          }
          // It fell over the statement (5.0 does over SELECT JSON of some rows): that says nothing of how it should be answered.
          if (isRead && "refusal" in theirs && theirs.refusal.startsWith("InternalServerError")) {
            crashes++
            continue
          }
          compared++
          assert.deepStrictEqual(mine, theirs, `statement ${i}, pages of ${pageSize}: ${text}`)
        }
        // Most of what is generated is not refused.
        assert.isAbove(compared, STATEMENTS / 2)
        assert.isBelow(crashes, STATEMENTS / 50)
      }), 120_000)
  })
}
