/** What makes a difference small, and what follows a seed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Draw } from "./draw.ts"
import { many, optional, type Part, render, smaller } from "./parts.ts"
import { schemaOf } from "./schemas.ts"
import { shrink } from "./shrink.ts"
import { type Statement, statementOf } from "./statements.ts"

const statement = (part: Part): Statement => ({ part, isRead: false, pageSize: 1, isPrepared: false })

describe("parts", () => {
  it("are texts, with values bound or written", () => {
    const bytes = Uint8Array.of(1)
    const part = [
      "a = ",
      { _tag: "Literal", text: "1", bytes },
      many(["b", "c"], { before: " IN (", after: ")" })
    ] as const
    assert.strictEqual(render(part), "a = 1 IN (b, c)")
    const bound: Array<Uint8Array | null> = []
    assert.strictEqual(render(part, bound), "a = ? IN (b, c)")
    assert.deepStrictEqual(bound, [bytes])
    // Those that are not there need nothing around them.
    assert.strictEqual(render(many([], { before: " WHERE " })), "")
  })

  it("are left out one by one, down to what has to stay", () => {
    const part = ["x", optional(" LIMIT 1"), many(["a", "b"], { least: 1 })]
    assert.deepStrictEqual([...smaller(part)].map((each) => render(each)), ["xa, b", "x LIMIT 1b", "x LIMIT 1a"])
  })
})

describe("shrink", () => {
  it.effect("keeps what a failure needs and nothing else", () =>
    Effect.gen(function*() {
      const all = Array.from({ length: 40 }, (_, i) => statement(["write ", many([`${i}`, "more", "even more"])]))
      let asked = 0
      const least = yield* shrink(all, (some) => {
        asked++
        const text = some.map(({ part }) => render(part)).join("; ")
        return Effect.succeed(text.includes("write 7") && text.endsWith("even more"))
      }, 500)
      assert.deepStrictEqual(least.map(({ part }) => render(part)), ["write 7", "write even more"])
      assert.isBelow(asked, 200)
    }))

  it.effect("asks no more often than it may", () =>
    Effect.gen(function*() {
      const all = Array.from({ length: 40 }, (_, i) => statement(`${i}`))
      let asked = 0
      yield* shrink(all, () => Effect.sync(() => ++asked < 0), 3)
      assert.strictEqual(asked, 3)
    }))
})

describe("seeds", () => {
  it("give the same schema and statements each time, and others to others", () => {
    const texts = (seed: number): ReadonlyArray<string> => {
      const draw = new Draw(seed)
      const schema = schemaOf(draw, "ks")
      const statements = Array.from({ length: 50 }, () => render(statementOf(draw, schema).part))
      return [...schema.types, ...schema.tables.flatMap(({ create }) => create), ...statements]
    }
    assert.deepStrictEqual(texts(4), texts(4))
    assert.notDeepEqual(texts(4), texts(5))
  })
})
