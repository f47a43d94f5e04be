/** Rows of schema tables as the model, and the DDL out of it: what is in it, and that nothing leads out of it. */
import { Schema } from "@effect-scylla/driver"
import { CqlType } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { readFileSync } from "node:fs"
import { canonical } from "../../../test/support/ddl.ts"
import { statementsOf } from "../src/internal/cqlScript.ts"
import * as Store from "../src/internal/schema/store.ts"
import { clientOf, passing, world } from "./support/world.ts"

type Row = Readonly<Record<string, unknown>>
type Tables = Readonly<Record<string, ReadonlyArray<Row>>>

const ofKeyspace = (row: Row): Row => ({ keyspace_name: "k", ...row })

/** The keyspace `k` of a server with these rows, whose keys are filled in. */
const read = (tables: Tables, isScylla = true) =>
  Effect.gen(function*() {
    const all: Tables = { keyspaces: [{ durable_writes: true, replication: new Map([["class", "x.Y"]]) }], ...tables }
    const store = yield* Store.make({
      allows: () => true,
      wants: () => true,
      timeoutMillis: 0,
      source: {
        isScylla: () => isScylla,
        query: (text) =>
          Effect.succeed(
            (all[/FROM system_schema\.(\w+)/.exec(text)?.[1] ?? ""] ?? [])
              .filter(({ column_name }) => !text.includes("'initial_tablets'") || column_name === "initial_tablets")
              .map(ofKeyspace)
          )
      }
    })
    return Option.getOrThrow(yield* store.keyspace("k"))
  })

const column = (column_name: string, kind: string, type = "int", more: Row = {}): Row => ({
  table_name: "t",
  column_name,
  kind,
  type,
  position: kind === "regular" || kind === "static" ? -1 : 0,
  clustering_order: "none",
  ...more
})

const table = (more: Row = {}): Row => ({ table_name: "t", id: "1", flags: new Set(["compound"]), ...more })

/** As ScyllaDB stores texts by texts. */
const stored = (entries: Readonly<Record<string, string>>): Uint8Array => {
  const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255]
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value)
    return [...u32(bytes.length), ...bytes]
  }
  const all = Object.entries(entries)
  return Uint8Array.from([u32(all.length), ...all.flat().map(text)].flat())
}

describe("the model", () => {
  it.effect("has types of types, each behind those that it needs, and columns with all their fields", () =>
    Effect.gen(function*() {
      const { tables, types } = yield* read({
        types: [
          { type_name: "a", field_names: ["c", "v"], field_types: ["frozen<list<frozen<c>>>", "vector<float, 2>"] },
          { type_name: "c", field_names: ["Z"], field_types: ['frozen<"Z">'] },
          { type_name: "Z", field_names: ["x"], field_types: ["int"] }
        ],
        tables: [table()],
        columns: [column("p", "partition_key"), column("m", "regular", "map<text, frozen<a>>")]
      })
      assert.deepStrictEqual([...types.keys()], ["Z", "c", "a"])
      const int = CqlType.scalar("int")
      const z = CqlType.udt("k", "Z", [{ name: "x", type: int }])
      const c = CqlType.udt("k", "c", [{ name: "Z", type: z }])
      const a = CqlType.udt("k", "a", [
        { name: "c", type: CqlType.list(c) },
        { name: "v", type: CqlType.vector(CqlType.scalar("float"), 2) }
      ])
      assert.deepStrictEqual(types.get("a")!.type, a)
      const found = tables.get("t")!.columns[1]!
      assert.deepStrictEqual([found.type, found.text], [CqlType.map(CqlType.scalar("text"), a), "map<text, frozen<a>>"])
    }))

  it.effect("has what it does not know: types of newer servers, circles, kinds of columns, options", () =>
    Effect.gen(function*() {
      const { tables, types } = yield* read({
        types: [
          { type_name: "a", field_names: ["b"], field_types: ["frozen<b>"] },
          { type_name: "b", field_names: ["a"], field_types: ["frozen<a>"] }
        ],
        tables: [table({ novelty: "yes", strange: new Map([["a", "b"]]), odd: { deep: true } })],
        columns: [column("p", "partition_key"), column("x", "regular", "float16<3>"), column("o", "odd")]
      })
      assert.strictEqual(types.size, 2)
      const { columns, options } = tables.get("t")!
      assert.deepStrictEqual(
        columns.map(({ kind, name, type }) => [name, kind, type._tag]),
        [["p", "partition_key", "Scalar"], ["x", "regular", "Custom"], ["o", "odd", "Scalar"]]
      )
      assert.deepStrictEqual(options, { novelty: "yes", strange: { a: "b" } })
    }))

  it.effect("knows ScyllaDB's extensions: those in bytes, and those in tables of their own", () =>
    Effect.gen(function*() {
      const bytes = new Map([
        ["per_partition_rate_limit", stored({ max_reads_per_second: "10", max_writes_per_second: "5" })],
        ["tombstone_gc", stored({ mode: "repair" })],
        ["paxos_grace_seconds", Uint8Array.of(0, 1, 0, 0)],
        ["scylla_tags", stored({ "system:synchronous_view_updates": "true", mine: "é" })],
        ["unreadable", Uint8Array.of(9, 9, 9)]
      ])
      const found = yield* read({
        columns: [column("p", "partition_key"), column("initial_tablets", "regular")],
        tables: [table({ extensions: bytes, comment: "c" })],
        scylla_tables: [{
          table_name: "t",
          cdc: new Map([["enabled", "true"], ["ttl", "60"]]),
          in_memory: true,
          tablets: new Map([["min_tablet_count", "8"]]),
          storage_engine: "logstor",
          version: "v"
        }],
        scylla_keyspaces: [{
          initial_tablets: 4,
          consistency: "global",
          storage_type: "S3",
          storage_options: new Map([["bucket", "b"]])
        }]
      })
      const { extensions, options, scylla } = found.tables.get("t")!
      assert.deepStrictEqual(options, {
        comment: "c",
        cdc: { enabled: "true", ttl: "60" },
        tablets: { min_tablet_count: "8" },
        in_memory: true,
        storage_engine: "logstor",
        per_partition_rate_limit: { max_reads_per_second: "10", max_writes_per_second: "5" },
        tombstone_gc: { mode: "repair" },
        paxos_grace_seconds: 256,
        synchronous_updates: true
      })
      assert.deepStrictEqual([...extensions.keys()], [...bytes.keys()])
      assert.strictEqual(scylla!["version"], "v")
      assert.deepStrictEqual(found.tablets, { enabled: true, initial: 4 })
      assert.include(
        Schema.statements(found)[0],
        "AND tablets = {'initial': 4} AND consistency = 'global' AND storage = {'type': 'S3', 'bucket': 'b'}"
      )
      assert.include(
        Schema.toCql(found.tables.get("t")!),
        "per_partition_rate_limit = {'max_reads_per_second': '10', 'max_writes_per_second': '5'}"
      )
      const none = yield* read({ columns: [column("initial_tablets", "regular")] })
      assert.deepStrictEqual(none.tablets, { enabled: false, initial: 0 })
      assert.include(Schema.statements(none)[0], "AND tablets = {'enabled': false}")
      assert.isUndefined((yield* read({})).tablets)
    }))

  it.effect("reads whatever bytes an extension has", () =>
    Effect.gen(function*() {
      let seed = 1
      const random = () => (seed = Math.imul(seed, 1_103_515_245) + 12_345 & 0x7fff_ffff) / 0x7fff_ffff
      const good = stored({ abc: "def", ghi: "jkl" })
      for (let i = 0; i < 500; i++) {
        const bytes = Uint8Array.from(good.subarray(0, Math.floor(random() * (good.length + 1))))
        for (let j = 0; j < 3 && bytes.length > 0; j++) bytes[Math.floor(random() * bytes.length)] = random() * 256
        const { tables } = yield* read({ tables: [table({ extensions: new Map([["x", bytes]]) })] })
        const x = tables.get("t")!.options["x"]
        assert.isTrue(x === undefined || typeof x === "object")
      }
    }))

  it.effect("shows compact tables as statements see them", () =>
    Effect.gen(function*() {
      const of = (flags: ReadonlyArray<string>, ...columns: ReadonlyArray<Row>) =>
        Effect.map(
          read({ tables: [table({ flags: new Set(flags) })], columns }),
          ({ tables }) => tables.get("t")!
        )
      const sparse = yield* of(
        [],
        column("k", "partition_key"),
        column("column1", "clustering", "text"),
        column("a", "static"),
        column("value", "regular", "blob")
      )
      assert.deepStrictEqual(sparse.columns.map(({ kind, name }) => [name, kind]), [["k", "partition_key"], [
        "a",
        "regular"
      ]])
      assert.include(Schema.toCql(sparse), "k int PRIMARY KEY,\n    a int\n) WITH COMPACT STORAGE")
      const dense = yield* of(
        ["dense", "compound"],
        column("k", "partition_key"),
        column("c", "clustering", "text"),
        column("", "regular", "empty")
      )
      assert.deepStrictEqual(dense.columns.map(({ name }) => name), ["k", "c"])
      assert.include(Schema.toCql(dense), "WITH COMPACT STORAGE\n    AND CLUSTERING ORDER BY (c ASC)")
    }))

  it.effect("has what indexes are on", () =>
    Effect.gen(function*() {
      const index = (index_name: string, target: string, more: ReadonlyArray<readonly [string, string]> = []): Row => ({
        table_name: "t",
        index_name,
        kind: more.length > 0 ? "CUSTOM" : "COMPOSITES",
        options: new Map([["target", target], ...more])
      })
      const { tables } = yield* read({
        tables: [table()],
        columns: [
          column("p", "partition_key"),
          column("f", "regular", "frozen<set<int>>"),
          column("s", "regular", "set<int>"),
          column("odd (name)", "regular")
        ],
        indexes: [
          index("a", '"odd (name)"'),
          index("b", 'keys("M""x")'),
          index("c", '{"pk":["p","Q"],"ck":["v"]}'),
          index("d", "f"),
          index("e", "keys(s)"),
          index("g", "v", [["class_name", "vector_index"], ["similarity_function", "COSINE"]]),
          index("h", "{not json")
        ]
      })
      assert.deepStrictEqual(
        Schema.statements(tables.get("t")!).slice(1).map((text) => text.replace(" ON k.t ", " ")),
        [
          'CREATE INDEX a ("odd (name)")',
          'CREATE INDEX b (keys("M""x"))',
          'CREATE INDEX c ((p, "Q"), v)',
          "CREATE INDEX d (full(f))",
          "CREATE INDEX e (values(s))",
          "CREATE CUSTOM INDEX g (v) USING 'vector_index' WITH OPTIONS = {'similarity_function': 'COSINE'}",
          'CREATE INDEX h ("{not json")'
        ]
      )
    }))

  it.effect("has racks where replication names them", () =>
    Effect.gen(function*() {
      const found = yield* read({
        keyspaces: [{
          durable_writes: true,
          replication: new Map([["class", "org.apache.cassandra.locator.NetworkTopologyStrategy"], ["dc1", "2"]]),
          replication_v2: new Map([
            ["class", "org.apache.cassandra.locator.NetworkTopologyStrategy"],
            ["dc1:0", "r1"],
            ["dc1:1", "r2"],
            ["dc2", "3"]
          ])
        }]
      })
      assert.include(
        Schema.toCql(found),
        "{'class': 'NetworkTopologyStrategy', 'dc1': ['r1', 'r2'], 'dc2': '3'}"
      )
    }))

  it.effect("has masks, with what was given", () =>
    Effect.gen(function*() {
      const { tables } = yield* read({
        tables: [table()],
        columns: [column("p", "partition_key"), column("a", "regular", "text")],
        column_masks: [{
          table_name: "t",
          column_name: "a",
          function_keyspace: "system",
          function_name: "mask_inner",
          function_argument_types: ["int", "int", "text"],
          function_argument_values: ["1", "", "it's"],
          function_argument_nulls: [false, true, false]
        }]
      }, false)
      assert.include(Schema.toCql(tables.get("t")!), "a text MASKED WITH system.mask_inner(1, null, 'it''s')")
    }))
})

/** Names and texts that lead out of what they stand in, where they are not quoted. */
const NASTY = [
  'x"; DROP KEYSPACE y; --',
  "x'; DROP KEYSPACE y; --",
  "$$; DROP KEYSPACE y; $$",
  "/* ",
  "--",
  "",
  " ",
  "\n;\n",
  "select",
  "\\",
  'a""b',
  "a''b",
  "{}",
  "é;"
]

describe("the DDL", () => {
  it.effect("is as many statements as it says, whatever names and texts are in it", () =>
    Effect.gen(function*() {
      for (const nasty of NASTY) {
        const found = yield* read({
          keyspaces: [{ durable_writes: false, replication: new Map([["class", nasty], [nasty, nasty]]) }],
          types: [{ type_name: nasty, field_names: [nasty], field_types: [nasty] }],
          functions: [{
            function_name: nasty,
            argument_names: [nasty],
            argument_types: [nasty],
            return_type: nasty,
            language: "java",
            body: nasty
          }],
          aggregates: [{
            aggregate_name: nasty,
            argument_types: [nasty],
            return_type: nasty,
            state_type: `frozen<${nasty}>`,
            state_func: nasty,
            final_func: nasty
          }],
          tables: [{
            table_name: nasty,
            id: "1",
            flags: new Set(["compound"]),
            comment: nasty,
            compaction: new Map([[nasty, nasty]]),
            additional_write_policy: nasty,
            extensions: new Map([[nasty, Uint8Array.of(255)]])
          }],
          columns: [
            column(nasty, "partition_key", nasty, { table_name: nasty }),
            column(`${nasty} `, "clustering", "int", { table_name: nasty })
          ],
          views: [{
            view_name: nasty,
            base_table_name: nasty,
            where_clause: "\"a;\" = 'b;'",
            comment: nasty,
            include_all_columns: false
          }],
          indexes: [
            {
              table_name: nasty,
              index_name: nasty,
              kind: "CUSTOM",
              options: new Map([["target", nasty], ["class_name", nasty], [nasty, nasty]])
            },
            {
              table_name: nasty,
              index_name: `${nasty}2`,
              kind: "COMPOSITES",
              options: new Map([["target", `values(${nasty})`]])
            }
          ],
          column_masks: [{
            table_name: nasty,
            column_name: nasty,
            function_keyspace: nasty,
            function_name: nasty,
            function_argument_types: ["text"],
            function_argument_values: [nasty],
            function_argument_nulls: [false]
          }]
        }, false)
        const statements = Schema.statements(found)
        assert.strictEqual(statements.length, 8)
        const script = statementsOf(Schema.toCql(found))
        assert.strictEqual(script.length, 8, `${JSON.stringify(nasty)}:\n${Schema.toCql(found)}`)
        for (const statement of script) assert.match(statement.trim(), /^CREATE /)
      }
    }))

  it.effect("refuses what is CQL itself and leads out of its place", () =>
    Effect.gen(function*() {
      const view = (where_clause: string) =>
        read({ views: [{ view_name: "v", base_table_name: "t", where_clause }], columns: [] })
      for (
        const fine of [
          "a IS NOT NULL AND b > 3 AND \"C;\" = 'it''s; -- fine' AND d IN (1, -2.5e3, 0xff) AND e = {1: [2]}",
          "f = 1h30m AND g = 123e4567-e89b-12d3-a456-426614174000 AND token(k) > 1",
          ""
        ]
      ) {
        assert.include(Schema.toCql((yield* view(fine)).views.get("v")!), fine)
      }
      for (
        const bad of [
          "a = 1; DROP KEYSPACE k",
          "a = 1 -- b",
          "a = 1 /* b */",
          "a = 'it's'",
          "a = (1",
          "a = 1)",
          "a = [1)",
          'a = "b',
          "a = $$b",
          "a // b",
          "a = \\"
        ]
      ) {
        const { views } = yield* view(bad)
        assert.throws(() => Schema.toCql(views.get("v")!), RangeError)
      }
      const { functions } = yield* read({
        functions: [{
          function_name: "f",
          argument_names: [],
          argument_types: [],
          return_type: "int",
          language: "a b",
          body: ""
        }]
      })
      assert.throws(() => Schema.toCql(functions.get("f()")!), RangeError)
      const { aggregates } = yield* read({
        aggregates: [{
          aggregate_name: "a",
          argument_types: [],
          return_type: "int",
          state_type: "int",
          state_func: "s",
          initcond: "0; x"
        }]
      })
      assert.throws(() => Schema.toCql(aggregates.get("a()")!), RangeError)
    }))

  it("tells functions apart by the types of their arguments", () => {
    assert.strictEqual(Schema.signature("f", ["int", "frozen<list<text>>"]), "f(int, frozen<list<text>>)")
    assert.isTrue(Schema.isOfServer("system_auth"))
    assert.isFalse(Schema.isOfServer("systems"))
  })
})

interface Answer {
  readonly kind: string
  readonly rows?: ReadonlyArray<ReadonlyArray<string>>
}
interface Step {
  readonly q: string
  readonly scylla: Answer
  readonly cassandra: Answer
}
interface Scenario {
  readonly name: string
  readonly setup: ReadonlyArray<Step>
  readonly steps: ReadonlyArray<Step>
  readonly keyspace?: Readonly<Record<string, string>>
}

const recorded = (area: string): ReadonlyArray<Scenario> =>
  JSON.parse(
    readFileSync(new URL(`../../../test/fixtures/statements/statements-${area}.json`, import.meta.url), "utf8")
  ).scenarios

/** ScyllaDB 6.2.3 shows what nobody has given and nothing stores; and writes some things in a way of its own. */
const meaning = (statement: string): string =>
  canonical(
    statement.replaceAll(" STATIC", " static").replaceAll("IS NOT null", "IS NOT NULL")
      .replace("org.apache.cassandra.locator.", "").replace(/_chance = (\d+)(?![.\d])/g, "_chance = $1.0")
      .replace(/\n\s*AND tombstone_gc = \{[^}]*\}/, "").replace(
        /(MATERIALIZED VIEW[^]*)\n\s*AND default_time_to_live = 0/,
        "$1"
      )
      .replaceAll("'dc1'", "'datacenter1'")
  )

describe("beside what servers have shown", () => {
  for (const product of ["scylla", "cassandra"] as const) {
    for (const area of ["system-describe", "tablets"]) {
      for (const { keyspace, name, setup, steps } of recorded(area)) {
        const all = [...setup, ...steps]
        const at = all.findIndex(({ q }) => /^DESC(RIBE)? KEYSPACE ks$/.test(q))
        if (at < 0) continue
        it.effect(`${name}, on ${product}: the same from the rows alone`, () =>
          Effect.gen(function*() {
            const { cluster, cql } = yield* world({ product, nodes: 1, tablets: product === "scylla" })
            yield* passing(cql.execute("DROP KEYSPACE ks"))
            const made = keyspace?.[product] ??
              `CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}${
                product === "scylla" ? " AND tablets = {'enabled': false}" : ""
              }`
            yield* passing(cql.execute(made))
            const own = yield* passing(clientOf(cluster, { keyspace: "ks" }))
            for (const step of all.slice(0, at)) {
              if (step[product].kind === "schema") yield* passing(own.execute(step.q))
            }
            const found = Option.getOrThrow(yield* passing(cql.schema.keyspace("ks")))
            const shown = all[at]![product].rows!.map((row) => Buffer.from(row.at(-1)!, "hex").toString())
            assert.deepStrictEqual(Schema.statements(found).map(meaning).sort(), shown.map(meaning).sort())
          }))
      }
    }
  }
})
