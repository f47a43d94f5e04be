/** When the program of the d-engine launcher is built, and when not; cargo is a script here. */
import * as DEngineServer from "@effect-scylla/testkit/DEngineServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

/** An empty cache, and a cargo before all others that does as `script` says. */
const machine = (script: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), "effect-scylla-cargo-"))
      for (const [name, text] of [["cargo", script], ["protoc", "exit 0"]] as const) {
        writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`)
        chmodSync(join(directory, name), 0o755)
      }
      const before = { PATH: process.env["PATH"], EFFECT_SCYLLA_CACHE: process.env["EFFECT_SCYLLA_CACHE"] }
      process.env["PATH"] = `${directory}${delimiter}${before.PATH}`
      process.env["EFFECT_SCYLLA_CACHE"] = directory
      return { directory, before, calls: join(directory, "calls") }
    }),
    ({ before, directory }) =>
      Effect.sync(() => {
        for (const [name, value] of Object.entries(before)) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
        rmSync(directory, { recursive: true })
      })
  )

/** Notes each call, and leaves what cargo would: `--target-dir` is its last argument. */
const building = `
here="$(dirname "$0")"
if [ "$1" = "--version" ]; then exit 0; fi
echo "$1" >> "$here/calls"
mkdir -p "$here/dengine-target/release" && touch "$here/dengine-target/release/dengine-node"`

describe("DEngineServer", () => {
  it.live("is not built by looking, nor by starting it: both say how", () =>
    Effect.gen(function*() {
      const { calls } = yield* machine(building)
      assert.include(yield* DEngineServer.missing, "REQUIRE_REAL_SERVERS=1")
      const error = yield* Effect.flip(DEngineServer.make())
      assert.strictEqual(error.reason, "Unavailable")
      assert.include(error.message, "REQUIRE_REAL_SERVERS=1")
      assert.isFalse(existsSync(calls))
    }))

  it.live("is built once", () =>
    Effect.gen(function*() {
      const { calls } = yield* machine(building)
      assert.isUndefined(yield* DEngineServer.build)
      assert.isUndefined(yield* DEngineServer.missing)
      assert.isUndefined(yield* DEngineServer.build)
      assert.strictEqual(readFileSync(calls, "utf8"), "build\n")
    }))

  it.effect("is waited for by the system's clock, where that of the test stands", () =>
    Effect.gen(function*() {
      const { directory } = yield* machine(building)
      assert.isUndefined(yield* DEngineServer.build)
      // A node that starts and never answers.
      const node = join(directory, "dengine-target", "release", "dengine-node")
      writeFileSync(node, "#!/bin/sh\nexec sleep 60\n")
      chmodSync(node, 0o755)
      const error = yield* Effect.flip(Effect.scoped(DEngineServer.make({ deadlineMillis: 300 })))
      assert.strictEqual(error.reason, "NotReady")
    }))

  it.live("a build that fails says why, and counts for nothing", () =>
    Effect.gen(function*() {
      yield* machine('if [ "$1" = "--version" ]; then exit 0; fi\necho "error: no such crate" >&2\nexit 101')
      assert.strictEqual(yield* DEngineServer.build, "cargo cannot build d-engine: error: no such crate")
      assert.isDefined(yield* DEngineServer.missing)
    }))
})
