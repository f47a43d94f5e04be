import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { campaign, check, Finding, type Fixture, fixtureOf } from "../../../test/fuzz/campaign.ts"
import { corpus, targets } from "../../../test/fuzz/targets.ts"
import { Random } from "./support/random.ts"

const root = new URL("../../../test/fixtures/fuzz/", import.meta.url)

describe("hostile bytes", () => {
  it("10,000 inputs of all targets end in a value or a typed error", () => {
    assert.isAbove(corpus.length, 100)
    const iterations = 10_000
    const result = campaign({ iterations, seed: 1 })
    if ("finding" in result) {
      assert.fail(`${JSON.stringify(fixtureOf(result))}\n${result.finding.message}`)
    }
    // A campaign that reaches but one outcome of a target tests nothing.
    for (const [name, { error, value }] of Object.entries(result.outcomes)) {
      assert.isAbove(error, (value + error) / 20, name)
      assert.isAbove(value, name === "noise" ? 0 : (value + error) / 50, name)
    }
    assert.strictEqual(
      Object.values(result.outcomes).reduce((sum, { error, value }) => sum + error + value, 0),
      iterations
    )
  }, 120_000)

  for (const file of readdirSync(root).filter((name) => name.endsWith(".json")).sort()) {
    it(`what was found once: ${file}`, () => {
      const fixture = JSON.parse(readFileSync(new URL(file, root), "utf8")) as Fixture
      assert.include(["value", "error"], check(fixture.target, Buffer.from(fixture.hex, "hex")).outcome, fixture.note)
    })
  }

  it("an input is made of its seed alone, and a finding can be replayed from what it prints", () => {
    for (const [name, target] of Object.entries(targets)) {
      assert.deepStrictEqual(target.make(new Random(7)), target.make(new Random(7)), name)
    }
    const broken = { ...targets["types"]!, run: () => assert.fail("broken on purpose") }
    const { types } = targets
    ;(targets as Record<string, unknown>)["types"] = broken
    try {
      const result = campaign({ iterations: 3, seed: 5, target: "types" })
      if (!("finding" in result)) return assert.fail("it was not found")
      assert.strictEqual(result.seed, 5)
      const fixture = fixtureOf(result)
      assert.match(fixture.note, /^seed 5: .*broken on purpose/)
      assert.throws(() => check(fixture.target, Buffer.from(fixture.hex, "hex")), Finding, "broken on purpose")
    } finally {
      ;(targets as Record<string, unknown>)["types"] = types
    }
  })

  it("what allocates past its bound is found", () => {
    const { types } = targets
    // Held, and more than all that a collection may free meanwhile: what is measured is what there is in the end.
    const held: Array<Uint8Array> = []
    ;(targets as Record<string, unknown>)["types"] = {
      ...types,
      run: () => {
        held.push(new Uint8Array(256 * 1024 * 1024))
        return "value"
      }
    }
    try {
      assert.throws(() => check("types", new Uint8Array(10)), Finding, "bytes, of")
      assert.strictEqual(held.length, 2)
    } finally {
      ;(targets as Record<string, unknown>)["types"] = types
    }
  })
})
