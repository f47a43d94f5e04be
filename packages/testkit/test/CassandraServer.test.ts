import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Scope } from "effect"
import { mkdtempSync, readdirSync, rmdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CassandraServer from "../src/CassandraServer.ts"
import * as NativePort from "../src/internal/nativePort.ts"
import * as TestServer from "../src/TestServer.ts"

const requirement = await Effect.runPromise(TestServer.requirement("cassandra"))

// A temporary directory of this file's own, so that suites beside it are not seen.
const temporary = process.env.TMPDIR
let own = ""
beforeAll(() => {
  own = mkdtempSync(join(tmpdir(), "effect-scylla-test-"))
  process.env.TMPDIR = own
})
afterAll(() => {
  if (temporary === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = temporary
  rmdirSync(own) // refuses when anything is left in it
})

const directories = (): ReadonlyArray<string> => readdirSync(own)

/** Signal 0 only asks. */
const exists = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const pidOf = (node: CassandraServer.CassandraNode) => Effect.flatMap(node.pid, (pid) => Effect.fromOption(pid))

// A suite that is skipped says why in its title.
const why = requirement._tag === "Run" ? "" : `: ${requirement.why}`

describe(`CassandraServer${why}`, () => {
  if (requirement._tag === "Required") it("runs here", () => assert.fail(requirement.why))

  // The clock of these tests stands still, and the launcher does not mind.
  const real = it.effect.skipIf(requirement._tag !== "Run")

  real(
    "starts, answers, is killed, starts again on the same data, serves the seam of suites, leaves nothing behind",
    () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const server = yield* Scope.provide(
          CassandraServer.make({ authentication: true, tls: true }),
          scope
        ).pipe(Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))))
        const [pid, again] = yield* Effect.gen(function*() {
          const node = yield* Effect.fromOption(Option.fromUndefinedOr(server.nodes[0]))
          const endpoint = { address: node.address, port: node.port }
          assert.deepStrictEqual(server.contactPoints, [`127.0.0.1:${server.port}`])
          assert.include(server.ca ?? "", "BEGIN CERTIFICATE")
          const supported = yield* NativePort.options(endpoint)
          assert.isTrue(supported.get("PROTOCOL_VERSIONS")?.includes("5/v5"))
          assert.isFalse(NativePort.isScylla(supported))
          const refused = yield* Effect.flip(NativePort.query(endpoint, "SELECT key FROM system.local"))
          assert.include(refused.message, "password")
          yield* NativePort.query(
            endpoint,
            "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            server.credentials
          )
          assert.strictEqual(directories().length, 1)

          const seam = yield* Effect.provide(
            TestServer.TestServer,
            Layer.provide(TestServer.ofCassandra, Layer.succeed(CassandraServer.CassandraServer, server))
          )
          assert.deepStrictEqual([seam.provider, seam.product], ["cassandra", "cassandra"])
          assert.deepStrictEqual([seam.credentials, seam.ca], [server.credentials, server.ca])
          const faults = yield* Effect.fromOption(seam.faults)
          assert.include((yield* Effect.flip(faults.kill(1))).message, "no node 1")

          const pid = yield* pidOf(node)
          assert.isTrue(exists(pid))
          yield* faults.kill(0)
          yield* node.kill
          assert.isFalse(exists(pid))
          assert.isFalse(yield* node.isRunning)
          assert.isTrue(Option.isNone(yield* node.pid))
          yield* Effect.flip(NativePort.options(endpoint))
          const paused = yield* Effect.flip(node.pause)
          assert.strictEqual(paused.reason, "NotRunning")

          yield* node.start
          yield* faults.start(0)
          const again = yield* pidOf(node)
          assert.notStrictEqual(again, pid)
          // a paused node is there but silent
          yield* node.pause
          const silent = yield* Effect.flip(NativePort.options(endpoint, 200))
          assert.include(silent.message, "no answer within 0.2 seconds")
          yield* node.resume
          const rows = yield* NativePort.query(
            endpoint,
            "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = 'k'",
            server.credentials
          )
          assert.strictEqual(rows[0]?.[0]?.toString(), "k")
          return [pid, again] as const
        }).pipe(Effect.onExit((exit) => Scope.close(scope, exit)))
        assert.isFalse(exists(pid) || exists(again))
        assert.deepStrictEqual(directories(), [])
      }),
    180_000
  )

  real("a start that fails says why, with the log, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(CassandraServer.make({ heap: "1M" }))
      assert.strictEqual(error.reason, "Exited")
      assert.isTrue(error.log.length > 0)
      assert.include(error.message, error.log.at(-1) ?? "")
      // at once, though the scope of this test is still open
      assert.deepStrictEqual(directories(), [])

      const late = yield* Effect.flip(CassandraServer.make({ deadlineMillis: 50 }))
      assert.strictEqual(late.reason, "NotReady")
      assert.deepStrictEqual(directories(), [])
    }), 60_000)
})
