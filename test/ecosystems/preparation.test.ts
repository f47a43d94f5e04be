/** Clients are made once, again when what they are made of changes, and not at all where a program is missing. */
import { assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { COMMAND, directoryOf, missing, type Preparation, prepare, tool } from "./preparation.ts"

const node = (args: ReadonlyArray<string>, oldest: string) =>
  tool("node", args, /v(\d+\.\d+)/, oldest, "from nodejs.org")

/** Appends a line to a file in the directory. */
const append = (line: string, changes: Partial<Preparation> = {}): Preparation => ({
  name: "a-client",
  sources: ["go/go.mod"],
  tools: [],
  steps: (directory) => [{ command: "sh", args: ["-c", `echo ${line} >> "$1"`, "sh", join(directory, "lines")] }],
  ...changes
})

const linesOf = (preparation: Preparation) => readFileSync(join(directoryOf(preparation), "lines"), "utf8")

describe("a preparation", () => {
  beforeEach(() => {
    const before = process.env["EFFECT_SCYLLA_CACHE"]
    const cache = mkdtempSync(join(tmpdir(), "effect-scylla-preparation-"))
    process.env["EFFECT_SCYLLA_CACHE"] = cache
    return () => {
      if (before === undefined) delete process.env["EFFECT_SCYLLA_CACHE"]
      else process.env["EFFECT_SCYLLA_CACHE"] = before
      rmSync(cache, { recursive: true })
    }
  })

  it.live("is made once", () =>
    Effect.gen(function*() {
      assert.include(missing(append("a")), COMMAND)
      assert.isUndefined(yield* prepare(append("a")))
      assert.isUndefined(yield* prepare(append("a")))
      assert.isUndefined(missing(append("a")))
      assert.strictEqual(linesOf(append("a")), "a\n")
    }))

  it.live("is made anew when its commands or sources change, from nothing or from what there is", () =>
    Effect.gen(function*() {
      yield* prepare(append("a"))
      assert.include(missing(append("b")), COMMAND)
      yield* prepare(append("b"))
      assert.strictEqual(linesOf(append("b")), "b\n")
      assert.include(missing(append("b", { sources: ["go"] })), COMMAND)
      yield* prepare(append("c", { grows: true }))
      assert.strictEqual(linesOf(append("c")), "b\nc\n")
    }))

  it.live("that fails says what was printed, and is not made", () =>
    Effect.gen(function*() {
      const failing = append("a", { steps: () => [{ command: "sh", args: ["-c", "echo no such thing >&2; exit 3"] }] })
      assert.include(yield* prepare(failing), "no such thing")
      assert.include(missing(failing), COMMAND)
    }))

  it.live("names the program that is missing or too old, and begins nothing", () =>
    Effect.gen(function*() {
      const without = append("a", { tools: [tool("no-such-program", [], /./, "1.0", "from nowhere")] })
      assert.strictEqual(yield* prepare(without), "there is no no-such-program (from nowhere)")
      assert.strictEqual(missing(without), "there is no no-such-program (from nowhere)")
      const young = append("a", { tools: [node(["--version"], "999.1")] })
      assert.match(
        (yield* prepare(young))!,
        /^node is \d+\.\d+, and must not be older than 999\.1 \(from nodejs\.org\)$/
      )
      assert.isFalse(existsSync(directoryOf(young)))
      assert.isUndefined(yield* prepare(append("a", { tools: [node(["--version"], "20.0")] })))
    }))
})
