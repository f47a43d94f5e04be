/** The schema as a client reads it, and the DDL out of it, held to the server's own DESCRIBE. */
import { CqlClient, Schema } from "@effect-scylla/driver"
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Stream } from "effect"
import { canonical } from "../../support/ddl.ts"
import { createKeyspace } from "../support/keyspaces.ts"
import { optionsOf } from "../support/options.ts"

const Client = Layer.unwrap(Effect.map(TestServer.TestServer, (server) => CqlClient.layer(optionsOf(server))))

const KS = "effect_scylla_it_schema"

/** What every server has that can be had here. */
const everywhere = [
  `CREATE TYPE ${KS}.inner (a int, "B c" text)`,
  `CREATE TYPE ${KS}."Outer" (i frozen<inner>, l frozen<list<frozen<inner>>>, "select" int)`,
  `CREATE TABLE ${KS}.types (k int PRIMARY KEY, c1 ascii, c2 bigint, c3 blob, c4 boolean, c5 date, c6 decimal, c7 double,
    c8 duration, c9 float, c10 inet, c11 smallint, c12 text, c13 time, c14 timestamp, c15 timeuuid, c16 tinyint, c17 uuid,
    c18 varint, c19 varchar, l list<int>, s set<text>, m map<text, frozen<list<int>>>, t tuple<int, frozen<set<text>>>,
    o "Outer", fo frozen<"Outer">, lo list<frozen<"Outer">>, fl frozen<list<frozen<map<int, text>>>>)`,
  `CREATE TABLE ${KS}."Quoted_Table" ("Key ""x""" int, b text, c timestamp, d uuid, st set<text> static, "si;" int static, v int,
    PRIMARY KEY (("Key ""x""", b), c, d)) WITH CLUSTERING ORDER BY (c DESC, d ASC) AND comment = 'it''s "x"; -- y'
    AND gc_grace_seconds = 100 AND default_time_to_live = 55 AND crc_check_chance = 0.5 AND min_index_interval = 64
    AND max_index_interval = 1024 AND memtable_flush_period_in_ms = 60000 AND bloom_filter_fp_chance = 0.2
    AND compaction = {'class': 'LeveledCompactionStrategy', 'sstable_size_in_mb': 99}
    AND caching = {'keys': 'NONE', 'rows_per_partition': '10'}`,
  `CREATE TABLE ${KS}.cnt (k int, c int, n counter, s counter static, PRIMARY KEY (k, c))`,
  `CREATE TABLE ${KS}.rev (k int, c frozen<list<int>>, d text, PRIMARY KEY (k, c, d)) WITH CLUSTERING ORDER BY (c DESC, d DESC)`,
  `CREATE TABLE ${KS}.idx (k int, c int, v int, w text, x text, fl frozen<list<int>>, l list<int>, m map<text, int>, s set<text>,
    PRIMARY KEY (k, c))`,
  `CREATE INDEX iv ON ${KS}.idx (v)`,
  `CREATE INDEX "Iw" ON ${KS}.idx (w)`,
  `CREATE INDEX ifl ON ${KS}.idx (FULL(fl))`,
  `CREATE INDEX il ON ${KS}.idx (VALUES(l))`,
  `CREATE INDEX imk ON ${KS}.idx (KEYS(m))`,
  `CREATE INDEX imv ON ${KS}.idx (VALUES(m))`,
  `CREATE INDEX ime ON ${KS}.idx (ENTRIES(m))`,
  `CREATE INDEX iset ON ${KS}.idx (VALUES(s))`,
  `CREATE INDEX ic ON ${KS}.idx (c)`,
  `CREATE MATERIALIZED VIEW ${KS}.mv AS SELECT v, k, c, w FROM ${KS}.idx WHERE v IS NOT NULL AND k IS NOT NULL AND c > 3
    PRIMARY KEY (v, k, c) WITH CLUSTERING ORDER BY (k DESC, c ASC) AND comment = 'a view'`,
  `CREATE TABLE ${KS}.base ("Key ""x""" int, b text, v int, w text, PRIMARY KEY ("Key ""x""", b))`,
  `CREATE MATERIALIZED VIEW ${KS}."Mv_All" AS SELECT * FROM ${KS}.base WHERE v IS NOT NULL AND "Key ""x""" IS NOT NULL AND b = 'its'
    PRIMARY KEY ((v, b), "Key ""x""")`
]

/** What only Cassandra has. */
const onCassandra = [
  `CREATE TYPE ${KS}.withvec (v vector<float, 3>, t tuple<int, frozen<inner>>, m map<int, frozen<set<int>>>)`,
  `CREATE TABLE ${KS}.vectors (k frozen<withvec> PRIMARY KEY, v vector<float, 2>, w vector<frozen<list<text>>, 2>,
    e vector<vector<int, 2>, 2>, m map<uuid, frozen<tuple<int, frozen<"Outer">>>>)`,
  `CREATE CUSTOM INDEX sai ON ${KS}.vectors (v) USING 'sai' WITH OPTIONS = {'similarity_function': 'dot_product'}`,
  `CREATE TABLE ${KS}.policies (k int PRIMARY KEY, x text, y int, z int) WITH speculative_retry = 'NEVER'
    AND additional_write_policy = 'ALWAYS' AND read_repair = 'NONE' AND allow_auto_snapshot = false
    AND incremental_backups = false AND compression = {'enabled': false}`,
  `CREATE CUSTOM INDEX saitext ON ${KS}.policies (x) USING 'StorageAttachedIndex'
    WITH OPTIONS = {'case_sensitive': 'false', 'normalize': 'true'}`,
  `CREATE INDEX saiint ON ${KS}.policies (y) USING 'sai'`,
  `CREATE TABLE ${KS}.zstd (k int PRIMARY KEY) WITH compression = {'class': 'ZstdCompressor', 'compression_level': 3}
    AND compaction = {'class': 'UnifiedCompactionStrategy'}`,
  `CREATE FUNCTION ${KS}.plus (s int, v int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return s == null ? v : s + v;'`,
  `CREATE FUNCTION ${KS}.plus (s text, v int) CALLED ON NULL INPUT RETURNS text LANGUAGE java AS 'return s + v;'`,
  `CREATE FUNCTION ${KS}."Final" (s int) RETURNS NULL ON NULL INPUT RETURNS text LANGUAGE java AS 'return "$" + s + "''";'`,
  `CREATE FUNCTION ${KS}.dollars () CALLED ON NULL INPUT RETURNS text LANGUAGE java AS 'return "it''s $$";'`,
  `CREATE FUNCTION ${KS}.nested ("TheL" list<frozen<tuple<int, text>>>, m map<int, frozen<list<text>>>, t tuple<int, bigint>)
    CALLED ON NULL INPUT RETURNS tuple<int, bigint> LANGUAGE java AS $$ /* it's; */ return t; $$`,
  `CREATE FUNCTION ${KS}.pair (s tuple<int, bigint>, v int) RETURNS NULL ON NULL INPUT RETURNS tuple<int, bigint> LANGUAGE java
    AS 'return s;'`,
  `CREATE AGGREGATE ${KS}.total (int) SFUNC plus STYPE int FINALFUNC "Final" INITCOND 0`,
  `CREATE AGGREGATE ${KS}.total2 (int) SFUNC plus STYPE int`,
  `CREATE AGGREGATE ${KS}."Pairs" (int) SFUNC pair STYPE tuple<int, bigint> INITCOND (0, 0)`
]

/** Columns that are masked. */
const masked = [
  `CREATE FUNCTION ${KS}.hide (v int, w int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return w;'`,
  `CREATE TABLE ${KS}.masked (k int, r int MASKED WITH DEFAULT, a text MASKED WITH mask_inner(1, null), b int MASKED WITH DEFAULT,
    c text MASKED WITH mask_replace('xy'), d text MASKED WITH mask_outer(1, 2, '#'), e int static MASKED WITH ${KS}.hide(7),
    PRIMARY KEY (k, r))`
]

/** ScyllaDB's own. */
const onScylla = [
  `CREATE INDEX local ON ${KS}.idx ((k), x)`,
  `CREATE TABLE ${KS}.logged (k int PRIMARY KEY, v int) WITH cdc = {'delta': 'full', 'enabled': 'true',
    'postimage': 'false', 'preimage': 'false', 'ttl': '60'}`
]

/** Writes of ScyllaDB's DESCRIBE that mean the same, and what it shows that nobody has given and nothing stores. */
const meaning = (statement: string): string =>
  canonical(
    statement.replaceAll(" STATIC", " static").replaceAll("IS NOT null", "IS NOT NULL")
      // As they are shown they would be refused.
      .replace(".idx(fl)", ".idx (full(fl))").replace(".idx(keys(s))", ".idx (values(s))")
      .replace("org.apache.cassandra.locator.", "").replace(/_chance = (\d+)(?![.\d])/g, "_chance = $1.0")
      .replace(/\n\s*AND tombstone_gc = \{'mode': 'timeout', 'propagation_delay_in_seconds': '3600'\}/, "")
      .replace(/(MATERIALIZED VIEW[^]*)\n\s*AND default_time_to_live = 0/, "$1")
  )

export const schema = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  describe(`the schema on ${provider}`, () => {
    it.layer(Client)("", (it) => {
      const make = (cql: CqlClient.CqlClient, statements: ReadonlyArray<string>) =>
        Effect.forEach(statements, (text) => cql.execute(text, [], { timeout: "60 seconds" }), { discard: true })

      const described = (cql: CqlClient.CqlClient) =>
        Effect.map(
          cql.execute(`DESCRIBE KEYSPACE ${KS}`),
          ({ rows }) => rows.map((row) => String(row["create_statement"]))
        )

      const held = (cql: CqlClient.CqlClient) => Effect.map(cql.schema.keyspace(KS), Option.getOrThrow)

      it.effect("is what was made, in DDL what DESCRIBE shows, and executed it is the same again", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          yield* createKeyspace(cql, KS)
          yield* make(cql, everywhere)
          const isScylla = provider !== "cassandra" && Option.isSome(yield* Effect.option(make(cql, onScylla)))
          if (provider === "cassandra") yield* make(cql, onCassandra)
          if (provider === "cassandra") yield* make(cql, masked)
          const before = yield* held(cql)
          // Cassandra shows a body with `$$` in it between `$$`, which nobody can execute.
          const sorted = (all: ReadonlyArray<string>) =>
            all.filter((text) => !text.includes(".dollars(")).map(meaning).sort()
          assert.deepStrictEqual(sorted(Schema.statements(before)), sorted(yield* described(cql)))
          // Away with it, and made again from the text alone.
          yield* make(cql, [`DROP KEYSPACE ${KS}`])
          assert.isFalse(cql.schema.snapshot().keyspaces.has(KS))
          yield* make(cql, Schema.statements(before))
          const after = yield* held(cql)
          assert.deepStrictEqual(Schema.statements(after), Schema.statements(before))
          const parts = ({ keyspaces }: Schema.Snapshot) => {
            const { tables, views, ...own } = keyspaces.get(KS)!
            // Made again they have other ids.
            const timeless = (of: ReadonlyMap<string, object>) =>
              Array.from(of.values(), (each) => ({ ...each, id: "", baseId: "", scylla: undefined }))
            return { own, tables: timeless(tables), views: timeless(views) }
          }
          assert.deepStrictEqual(
            parts(cql.schema.snapshot()),
            parts({ version: "", keyspaces: new Map([[KS, before]]), isComplete: false })
          )
          assert.deepStrictEqual(sorted(yield* described(cql)), sorted(Schema.statements(after)))
          if (isScylla) assert.deepStrictEqual(after.tables.get("idx")!.indexes.get("local")!.localTo, ["k"])
        }))

      it.effect("follows what this client does at once, and what another one does soon", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.CqlClient
          const server = yield* TestServer.TestServer
          yield* createKeyspace(cql, KS)
          yield* held(cql)
          yield* make(cql, [
            `CREATE TYPE ${KS}.followed (a int)`,
            `CREATE TABLE ${KS}.follows (k int PRIMARY KEY, f frozen<followed>)`,
            `ALTER TYPE ${KS}.followed ADD b text`
          ])
          const typeOf = (keyspace: Schema.Keyspace) =>
            keyspace.tables.get("follows")!.columns.find(({ name }) => name === "f")!.type
          const { type } = (yield* held(cql)).types.get("followed")!
          assert.deepStrictEqual(typeOf(yield* held(cql)), type)
          const changed = yield* Effect.forkChild(
            Stream.runCollect(Stream.take(Stream.filter(cql.schema.changes, ({ name }) => name === "others"), 2)),
            { startImmediately: true }
          )
          const other = yield* CqlClient.make(optionsOf(server))
          yield* make(other, [`CREATE TABLE ${KS}.others (k int PRIMARY KEY)`])
          // Two servers' ticks may lie between, and a loaded machine.
          for (let i = 0; i < 1_000 && !cql.schema.snapshot().keyspaces.get(KS)!.tables.has("others"); i++) {
            yield* Effect.sleep(20)
          }
          yield* make(other, [`DROP TABLE ${KS}.others`])
          const changes = yield* Effect.timeout(Fiber.join(changed), "20 seconds")
          assert.deepStrictEqual(
            changes.map((
              { after, before, change, target }
            ) => [target, change, before === undefined, after === undefined]),
            [["TABLE", "CREATED", true, false], ["TABLE", "DROPPED", false, true]]
          )
          yield* make(cql, [`DROP KEYSPACE ${KS}`])
        }), 60_000)
    })
  })
}
