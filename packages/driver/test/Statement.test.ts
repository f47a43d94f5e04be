import { Statement } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const nobody: Statement.Runner = {
  page: () => Effect.never,
  rows: () => Effect.never,
  pages: () => Effect.never,
  describe: () => Effect.never,
  home: () => ({ client: nobody, said: undefined, usual: undefined }),
  toToken: () => Effect.never,
  fromToken: () => Effect.never
}

const template = (strings: TemplateStringsArray, ...args: ReadonlyArray<unknown>) => {
  const { text, values } = Statement.compile(nobody, strings, args)
  return { text, values }
}

describe("templates", () => {
  it("every value is bound", () => {
    assert.deepStrictEqual(template`SELECT * FROM t WHERE a = ${1} AND b = ${"x' OR 1"}`, {
      text: "SELECT * FROM t WHERE a = ? AND b = ?",
      values: [1, "x' OR 1"]
    })
    assert.deepStrictEqual(template`SELECT 1`, { text: "SELECT 1", values: [] })
  })

  it("names are written, quoted where they must be", () => {
    const name = (...path: ReadonlyArray<string>) => new Statement.Identifier(path)
    assert.deepStrictEqual(template`SELECT ${name("a")} FROM ${name("ks", 'T"x')} WHERE ${name("B")} = ${2}`, {
      text: 'SELECT a FROM ks."T""x" WHERE "B" = ?',
      values: [2]
    })
    assert.strictEqual(name("select; drop").text, '"select; drop"')
    assert.strictEqual(name("1a").text, '"1a"')
    // A word of CQL is a name only in quotes.
    assert.strictEqual(name("shop", "order").text, 'shop."order"')
    assert.strictEqual(name("").text, '""')
  })

  it("a list is one value", () => {
    assert.deepStrictEqual(template`SELECT * FROM t WHERE a IN ${new Statement.InValues([1, 2])} AND b = ${3}`, {
      text: "SELECT * FROM t WHERE a IN ? AND b = ?",
      values: [[1, 2], 3]
    })
  })

  it("the text of a literal is put together once", () => {
    const of = (value: number) => template`SELECT ${value}`
    assert.strictEqual(of(1).text, of(2).text)
    assert.deepStrictEqual(of(2).values, [2])
  })
})
