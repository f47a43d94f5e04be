/** What newcomers run first: the program of the README, and the main job, `examples/demo`, with its flags. What it prints is what it is for. */
import { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { runReadme } from "../support/readme.ts"

const MAIN = fileURLToPath(new URL("../../examples/demo/main.ts", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const demo = (...args: ReadonlyArray<string>) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += String(chunk)
    })
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += String(chunk)
    })
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => {
      child.kill("SIGKILL")
    })
  })

/** Asserts that it went well, and gives what it printed. */
const ran = (...args: ReadonlyArray<string>) =>
  Effect.map(demo(...args), ({ code, stderr, stdout }) => {
    assert.strictEqual(code, 0, stdout + stderr)
    assert.match(stdout, /\ndone\n$/)
    // Not a terminal: lines, and nothing that moves the cursor.
    assert.notInclude(stdout, "\r")
    assert.notInclude(stdout, "\u001b")
    return stdout
  })

const refused = (...args: ReadonlyArray<string>) =>
  Effect.map(demo(...args), ({ code, stderr, stdout }) => {
    assert.strictEqual(code, 1, stdout + stderr)
    return stdout + stderr
  })

describe("README", () => {
  it.live("its first program runs on an empty cluster, and prints what it says", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make()
      const env = { CONTACT_POINT: cluster.contactPoints[0]! }
      // The README is that of the folder above `test`.
      const seenFrom = new URL("../README.test.ts", import.meta.url).href
      const { printed, promised } = yield* Effect.promise(() => runReadme(seenFrom, env))
      assert.deepStrictEqual(promised, ["Ada"])
      assert.deepStrictEqual(printed, promised)
    }))
})

describe("the demo", () => {
  it.live("writes and reads rows on the cores that own them, and fails no request while a node is dead", () =>
    Effect.gen(function*() {
      const printed = yield* ran("--rows", "300")
      assert.include(printed, "over TCP on 127.0.0.1, .2 and .3")
      assert.include(printed, "3 nodes × 4 shards: one connection to every core")
      assert.match(printed, /writing +█{32} 100 %/)
      assert.include(printed, "300 rows written and read back, every one as it was written")
      for (const address of ["127.0.0.1", "127.0.0.2", "127.0.0.3"]) {
        assert.match(printed, new RegExp(`${address.replaceAll(".", "\\.")}( +\\d+){5} +100\\.00 %\\n`))
      }
      assert.include(printed, "100.00 % of 600 requests landed on the core that owns their partition")
      // Some may be dialling just then.
      assert.match(printed, /killed +127\.0\.0\.2( [○◐]){4} /)
      assert.match(printed, /all shards back after \d+ ms +127\.0\.0\.2 ● ● ● ● .* 0 failed\n/)
      assert.include(printed, "no request failed")
    }))

  it.live("reports each write that was cut off as ambiguous when they are not idempotent", () =>
    Effect.gen(function*() {
      const printed = yield* ran("--rows", "50", "--memory", "--not-idempotent")
      assert.include(printed, "in memory")
      const failed = Number(/ (\d+) failed\n +writes not marked idempotent/.exec(printed)?.[1])
      // How many were in flight is a matter of luck, what they are called is not.
      const reported = [...printed.matchAll(/^ +(\d+) × (.*)$/gm)]
      assert.strictEqual(reported.reduce((sum, [, count]) => sum + Number(count), 0), failed)
      for (const [, , outcome] of reported) assert.match(outcome!, /^Ambiguous \(/)
    }))

  it.live("does the same on a cluster that it is told, and leaves nothing there", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 2 })
      const points = cluster.contactPoints.join(",")
      for (const extra of [[], ["--datacenter", "datacenter1"]]) {
        const printed = yield* ran("--contact-points", points, "--rows", "100", ...extra)
        assert.match(printed, /datacenter datacenter1: 2 nodes, shard-aware\n/)
        assert.match(printed, /100\.00 % of 200 requests left on the connection of the owning shard\n/)
        assert.notInclude(printed, "dies")
      }
      const cassandra = yield* SimulatedCluster.make({ nodes: 3, product: "cassandra" })
      const printed = yield* ran("--contact-points", cassandra.contactPoints[0]!, "--rows", "100")
      assert.match(printed, /3 nodes, no shards \(token-aware\)\n/)
      assert.match(printed, /100\.00 % of 200 requests went to a replica of their partition\n/)
      const client = yield* CqlClient.make({ contactPoints: cluster.contactPoints })
      assert.isFalse(client.cluster().keyspaces.has("effect_scylla_demo"))
      const again = yield* refused("--contact-points", points, "--datacenter", "nowhere")
      assert.include(again, 'the cluster has no datacenter "nowhere": it has datacenter1')
    }))

  it.live("says what is wrong with its flags", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
        [["--rows", "0"], 'flag --rows: "0". Expected: at least 1'],
        [["--datacenter", "dc1", "--username", "u"], "--datacenter, --username: only with --contact-points"],
        [["--contact-points", "127.0.0.1:1", "--memory"], "--memory: not with --contact-points"],
        [["--contact-points", "127.0.0.1:1"], "127.0.0.1:1: cannot connect"]
      ]
      const printed = yield* Effect.forEach(cases, ([args]) => refused(...args), { concurrency: 2 })
      for (const [i, [, expected]] of cases.entries()) assert.include(printed[i], expected)
    }))
})
