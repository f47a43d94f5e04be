/** The parser on texts that are no CQL: an error of the protocol each time, and soon. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { toServerError } from "../src/internal/sim/failure.ts"
import { parse } from "../src/internal/sim/parse/parser.ts"

const WORDS = [
  ..."SELECT INSERT UPDATE DELETE BEGIN APPLY BATCH CREATE TABLE KEYSPACE TYPE ALTER DROP USE TRUNCATE FROM INTO VALUES WHERE AND"
    .split(" "),
  ..."IF NOT EXISTS USING TTL TIMESTAMP IN ORDER BY LIMIT ALLOW FILTERING PRIMARY KEY WITH ADD token count frozen list map"
    .split(" "),
  ..."( ) [ ] { } , ; . = < > <= >= != + - : ? * * ( )".split(" "),
  ..."a b ks t \"Q\" 'text' 12 -3 1.5 0xff 1h2m true null NaN 00000000-0000-0000-0000-000000000000 :n /* -- $$ ' \""
    .split(" ")
]

const outcome = (text: string): string => {
  try {
    parse(text)
    return "Parsed"
  } catch (thrown) {
    return toServerError(thrown)._tag
  }
}

const EXPECTED = ["Parsed", "CqlSyntaxError", "InvalidRequest"]

describe("the parser", () => {
  it.prop("answers any text", { text: Arbitrary.schema(Schema.String) }, ({ text }) => {
    assert.include(EXPECTED, outcome(text))
  })

  it.prop(
    "answers any sequence of CQL's words",
    { picks: Arbitrary.schema(Schema.Array(Schema.Int)) },
    ({ picks }) => {
      const text = picks.map((pick) => WORDS[Math.abs(pick % WORDS.length)]!).join(" ")
      assert.include(EXPECTED, outcome(text), text)
    }
  )

  it("answers statements with a piece cut out or doubled", () => {
    const statements = [
      "SELECT a, b AS c, count(*) FROM ks.t WHERE pk = ? AND ck IN (1, :x) AND token(pk) > 5 ORDER BY ck DESC LIMIT 3 ALLOW FILTERING USING TIMEOUT 5s",
      "INSERT INTO t (a, \"B\") VALUES ({'x': [1, (2, null)]}, {f: 0xff, g: {1, 2}}) IF NOT EXISTS USING TTL 5 AND TIMESTAMP ?",
      "BEGIN UNLOGGED BATCH UPDATE t SET a = a + 1, b = ? WHERE pk = 'it''s' IF c != 1h2m; DELETE a FROM t WHERE pk = $$x$$ APPLY BATCH",
      "CREATE TABLE IF NOT EXISTS ks.t (a int, b frozen<map<text, list<int>>>, PRIMARY KEY ((a), b)) WITH CLUSTERING ORDER BY (b DESC) AND x = {'a': 1}"
    ]
    for (const statement of statements) {
      assert.strictEqual(outcome(statement), "Parsed", statement)
      for (let i = 0; i < statement.length; i++) {
        for (const size of [1, 3, 10]) {
          for (
            const text of [
              statement.slice(0, i) + statement.slice(i + size),
              statement.slice(0, i + size) + statement.slice(i)
            ]
          ) {
            assert.include(EXPECTED, outcome(text), text)
          }
        }
      }
    }
  })

  it("bounds nesting and length", () => {
    assert.strictEqual(outcome(`SELECT * FROM t WHERE a = ${"[".repeat(100_000)}`), "CqlSyntaxError")
    assert.strictEqual(outcome(`CREATE TABLE t (a ${"list<".repeat(50_000)}`), "CqlSyntaxError")
    assert.strictEqual(outcome(`SELECT * FROM t WHERE a = ${"- ".repeat(50_000)}1`), "CqlSyntaxError")
    assert.strictEqual(outcome(`SELECT '${"x".repeat(2_000_000)}'`), "CqlSyntaxError")
    assert.strictEqual(outcome(`/*${"*".repeat(500_000)}`), "CqlSyntaxError")
    assert.strictEqual(outcome(`$$${"$a".repeat(200_000)}`), "CqlSyntaxError")
  })

  it("says where it stopped", () => {
    const message = (text: string): string => {
      try {
        parse(text)
        return ""
      } catch (thrown) {
        return toServerError(thrown).message
      }
    }
    assert.strictEqual(message("SELEC"), "line 1:0 no viable alternative at input 'SELEC'")
    assert.strictEqual(message("SELECT *\n  FRM t"), "line 2:2 : Missing K_FROM")
    assert.strictEqual(message("SELECT * FROM t nonsense"), "line 1:16 : Unexpected 'nonsense'")
    // A character that no token begins with is passed over, as the servers' lexers do.
    assert.strictEqual(message("SELECT * FROM t WHERE a = #"), "line 1:26 no viable alternative at input ''")
  })
})
