import { Identifier } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"

describe("Identifier", () => {
  it("is quoted where it would be another name, or none, without", () => {
    const cases: ReadonlyArray<[name: string, formatted: string]> = [
      ["orders", "orders"],
      ["a1_b", "a1_b"],
      // Not reserved: `SELECT key, count, writetime` is fine.
      ["key", "key"],
      ["count", "count"],
      ["order", '"order"'],
      ["token", '"token"'],
      ["select", '"select"'],
      ["Orders", '"Orders"'],
      ["1a", '"1a"'],
      ["_a", '"_a"'],
      ["a-b", '"a-b"'],
      ["a b", '"a b"'],
      ["ž", '"ž"'],
      ['x"; DROP TABLE t; --', '"x""; DROP TABLE t; --"'],
      ["", '""'],
      ["__proto__", '"__proto__"'],
      ["constructor", "constructor"]
    ]
    for (const [name, formatted] of cases) assert.strictEqual(Identifier.format(name), formatted)
  })

  it("can always be quoted", () => {
    assert.strictEqual(Identifier.quote("a"), '"a"')
    assert.strictEqual(Identifier.quote('"'), '""""')
  })
})
