/** The command as it is run: what it writes, what it says, and how it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { world } from "./support/cluster.ts"

interface Ended {
  readonly code: number | string | null | undefined
  readonly stdout: string
  readonly stderr: string
}

const bin = fileURLToPath(new URL("../src/internal/bin.ts", import.meta.url))

const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Effect.Effect<Ended> =>
  Effect.promise(() =>
    new Promise((resolve) => {
      const options = { encoding: "utf8" as const, env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", ...env } }
      execFile(process.execPath, [bin, ...args], options, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : error.code, stdout, stderr })
      })
    })
  )

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-scylla-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("effect-scylla codegen", () => {
  it.live("writes, leaves alone what is the same, and checks", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world
      const out = join(yield* folder, "src", "db")
      const shop = join(out, "shop.ts")
      const args = ["codegen", "--contact-points", cluster.contactPoints.join(","), "--keyspace", "shop", "--out", out]

      const first = yield* run(args)
      assert.deepStrictEqual(first, { code: 0, stdout: `written   ${shop}\n`, stderr: "" })
      assert.deepStrictEqual(readdirSync(out), ["shop.ts"])
      assert.strictEqual(
        readFileSync(shop, "utf8"),
        readFileSync(new URL("./golden/shop.ts", import.meta.url), "utf8")
      )

      const { mtimeMs } = statSync(shop)
      const again = yield* run(args)
      assert.strictEqual(again.stdout, `unchanged ${shop}\n`)
      assert.strictEqual(statSync(shop).mtimeMs, mtimeMs)

      // As a checkout on Windows has it.
      writeFileSync(shop, readFileSync(shop, "utf8").replaceAll("\n", "\r\n"))
      const same = yield* run([...args, "--check"])
      assert.deepStrictEqual(same, { code: 0, stdout: "1 file is what the schema says\n", stderr: "" })

      yield* cql.execute("ALTER TABLE shop.order_items ADD amount int")
      // A keyspace that was never written.
      const other = join(out, "system.ts")
      const stale = yield* run([...args, "--keyspace", "system", "--check"])
      assert.strictEqual(stale.code, 1)
      assert.strictEqual(
        stale.stdout,
        `--- ${shop}
+++ ${shop}
@@ -93,6 +93,8 @@
   at: CqlTypes.Timestamp,
   /** int, clustering key */
   number: CqlTypes.Int,
+  /** int */
+  amount: Schema.NullOr(CqlTypes.Int),
   /** text */
   note: Schema.NullOr(CqlTypes.Text),
   /** decimal */
`
      )
      assert.include(
        stale.stderr,
        `${other} is missing, ${shop} is not what the schema says: run it again without --check`
      )
      assert.notInclude(stale.stderr, "    at ")
      assert.deepStrictEqual(readdirSync(out), ["shop.ts"])
    }), 60_000)

  it.live("says what is wrong without a stack", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run(["codegen", "--keyspace", "shop", "--out", tmpdir()], {
        CQL_CONTACT_POINTS: "127.0.0.1:1"
      })
      assert.strictEqual(code, 1)
      assert.strictEqual(stdout, "")
      assert.include(stderr, "cannot connect to 127.0.0.1:1")
      assert.notInclude(stderr, "    at ")
    }), 60_000)

  it.live("explains itself", () =>
    Effect.gen(function*() {
      const help = yield* run(["codegen", "--help"])
      assert.strictEqual(help.code, 0)
      for (const flag of ["--contact-points", "--keyspace", "--out", "--check", "--datacenter"]) {
        assert.include(help.stdout, flag)
      }
      const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
        version: string
      }
      assert.include((yield* run(["--version"])).stdout, version)
    }), 60_000)
})
