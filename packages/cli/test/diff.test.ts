import { assert, describe, it } from "@effect/vitest"
import { Random } from "../../protocol/test/support/random.ts"
import { unifiedDiff } from "../src/internal/diff.ts"

const lines = (...all: ReadonlyArray<string>): string => all.map((line) => `${line}\n`).join("")

/** Does to a text what a diff says, and fails where the text is not what the diff expects. */
const apply = (before: string, diff: string): string => {
  const old = before.split("\n")
  const out: Array<string> = []
  let at = 0
  for (const hunk of diff.split(/^@@ /m).slice(1)) {
    const [header, ...body] = hunk.replace(/\n$/, "").split("\n")
    const [, from, olds, to, news] = /^-(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(header!)!.map(Number)
    out.push(...old.slice(at, from! - 1))
    at = from! - 1
    assert.strictEqual(out.length, to! - 1)
    for (const line of body) {
      if (!line.startsWith("+")) assert.strictEqual(old[at++], line.slice(1))
      if (!line.startsWith("-")) out.push(line.slice(1))
    }
    assert.deepStrictEqual([at - from! + 1, out.length - to! + 1], [olds, news])
  }
  return [...out, ...old.slice(at)].join("\n")
}

describe("unifiedDiff", () => {
  it("shows what changes with what is around it", () => {
    const before = lines("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m")
    const after = lines("a", "b", "c", "d", "E", "f", "g", "h", "i", "j", "k", "l", "m", "n")
    assert.strictEqual(
      unifiedDiff("x.ts", before, after),
      `--- x.ts
+++ x.ts
@@ -2,7 +2,7 @@
 b
 c
 d
-e
+E
 f
 g
 h
@@ -11,4 +11,5 @@
 k
 l
 m
+n
 `
    )
  })

  it("is empty where nothing changes, and tells ends of lines that are missing", () => {
    assert.strictEqual(unifiedDiff("x", "a\n", "a\n"), "")
    assert.strictEqual(unifiedDiff("x", "a", "a\n"), "--- x\n+++ x\n@@ -1,1 +1,2 @@\n a\n+")
  })

  it("makes the one of the other", () => {
    const random = new Random(20_261_203)
    for (let i = 0; i < 200; i++) {
      const some = (): Array<string> => Array.from({ length: random.below(40) }, () => `line ${random.below(12)}`)
      const before = lines(...some())
      const after = lines(...some())
      assert.strictEqual(apply(before, unifiedDiff("file", before, after)), after)
    }
  })

  it("gives up on what would take long, and shows all of it", () => {
    const many = (prefix: string): string => lines(...Array.from({ length: 3000 }, (_, i) => `${prefix}${i}`))
    const diff = unifiedDiff("x", many("a"), many("b"))
    assert.lengthOf(diff.split("\n").filter((line) => line.startsWith("-a")), 3000)
    assert.lengthOf(diff.split("\n").filter((line) => line.startsWith("+b")), 3000)
  })
})
