/** `examples/sim`: the cluster as a command. */
import { Ports, SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schedule } from "effect"
import { spawn } from "node:child_process"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { connect, rowsOf } from "./rawClient.ts"

const MAIN = fileURLToPath(new URL("../../../examples/sim/main.ts", import.meta.url))

/** Runs the command in its scope. */
const start = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] })
      const exit = Deferred.makeUnsafe<
        { readonly code: number | null; readonly stdout: string; readonly stderr: string }
      >()
      const firstLine = Deferred.makeUnsafe<string>()
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (chunk: Buffer) => {
        stdout += String(chunk)
        const end = stdout.indexOf("\n")
        if (end >= 0) Deferred.doneUnsafe(firstLine, Effect.succeed(stdout.slice(0, end)))
      })
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += String(chunk)
      })
      child.on("close", (code) => {
        Deferred.doneUnsafe(exit, Effect.succeed({ code, stdout, stderr }))
      })
      return { child, exit: Deferred.await(exit), firstLine: Deferred.await(firstLine) }
    }),
    ({ child, exit }) =>
      Effect.suspend(() => {
        child.kill("SIGKILL")
        return Effect.asVoid(exit)
      })
  )

const ROOT = fileURLToPath(new URL("../../..", import.meta.url))

/** `npm run sim` in a process group of its own, so that nothing of it outlives the test. */
const startByNpm = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.callback<number, Error>((resume) => {
      const child = spawn("npm", ["run", "-s", "sim", "--", ...args], {
        cwd: ROOT,
        detached: true,
        stdio: ["ignore", "pipe", "inherit"]
      })
      child.once("error", (error) => resume(Effect.fail(error)))
      child.stdout.once("data", () => resume(Effect.succeed(child.pid!)))
    }),
    (pid) =>
      Effect.sync(() => {
        try {
          process.kill(-pid, "SIGKILL")
        } catch {
          // Nothing of it is left, which is what the test is about.
        }
      })
  )

/** Whether somebody listens there. */
const isTaken = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  })

describe("the sim command", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    // Where there is no /proc, an npm that was killed is not missed.
    it.live.skipIf(signal === "SIGKILL" && process.platform !== "linux")(
      `ends and frees its ports when the npm that started it has ${signal}`,
      () =>
        Effect.gen(function*() {
          const [port] = yield* Ports.freePorts()
          const npm = yield* startByNpm("--nodes", "1", "--port", `${port}`, "--shard-aware-port", "0")
          assert.isTrue(yield* isTaken(port!))
          process.kill(npm, signal)
          yield* isTaken(port!).pipe(
            Effect.repeat({ while: (taken) => taken, schedule: Schedule.spaced("20 millis") }),
            Effect.timeout("15 seconds")
          )
        }),
      60_000
    )
  }

  it.live("says what it took, serves, and prints its counters when it is stopped", () =>
    Effect.gen(function*() {
      const [port, aware] = yield* Ports.freePorts({ addresses: ["127.0.0.1", "127.0.0.2"], count: 2 })
      const sim = yield* start(
        "--nodes",
        "2",
        "--shards",
        "3",
        "--port",
        `${port}`,
        "--shard-aware-port",
        `${aware}`,
        "--stats"
      )
      assert.strictEqual(
        yield* sim.firstLine,
        `ready 127.0.0.1:${port} 127.0.0.2:${port} product=scylla nodes=2 shards=3 shard-aware-port=${aware}`
      )
      const client = yield* connect("127.0.0.2", port!)
      yield* client.startup()
      assert.strictEqual(rowsOf(yield* client.query("SELECT * FROM system.peers")).length, 1)
      yield* client.query("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
      yield* client.query("CREATE TABLE ks.t (pk int PRIMARY KEY)")
      yield* client.query("INSERT INTO ks.t (pk) VALUES (1)")
      sim.child.kill("SIGTERM")
      const { stderr, stdout } = yield* sim.exit
      assert.strictEqual(stderr, "")
      const stats = JSON.parse(stdout.slice(stdout.indexOf("\n") + 1)) as SimulatedCluster.ClusterStats
      assert.strictEqual(stats.requests, 1)
      assert.strictEqual(stats.byOpcode["QUERY"], 4)
      assert.strictEqual(stats.nodes.length, 2)
    }), 60_000)

  it.live("asks for a login, and says in one line that a port is taken", () =>
    Effect.gen(function*() {
      const taken = yield* SimulatedCluster.make({ nodes: 1, shardAwarePort: false })
      const failed = yield* start("--nodes", "1", "--port", `${taken.port}`, "--shard-aware-port", "0")
      assert.deepStrictEqual(yield* failed.exit, {
        code: 1,
        stdout: "",
        stderr: `sim: 127.0.0.1:${taken.port} is in use: stop what listens there, or choose another port\n`
      })
      const [port] = yield* Ports.freePorts()
      const args = ["--nodes", "1", "--port", `${port}`, "--shard-aware-port", "0"]
      const sim = yield* start(...args, "--product", "cassandra", "--username", "u", "--password", "p")
      assert.match(yield* sim.firstLine, /product=cassandra .*shard-aware-port=none$/)
      const client = yield* connect("127.0.0.1", port!)
      assert.strictEqual((yield* client.startup())._tag, "Authenticate")
      const half = yield* start(...args, "--username", "u")
      assert.strictEqual((yield* half.exit).stderr, "sim: --username and --password go together\n")
    }), 60_000)
})
