/** The launchers of real Raft servers, by etcd, which starts fastest; d-engine is started by the integration suite. */
import * as EtcdServer from "@effect-scylla/testkit/EtcdServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Net from "node:net"

const missing = await Effect.runPromise(EtcdServer.missing)
const required = process.env["REQUIRE_REAL_SERVERS"] === "1"
if (missing !== undefined) process.stderr.write(`RaftServer: ${required ? "required, but " : "skipped, "}${missing}\n`)

/** Whether anything listens there. */
const listens = (endpoint: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const [host, port] = endpoint.split(":")
    const socket = Net.connect(Number(port), host)
    const end = (answer: boolean) => (): void => {
      socket.destroy()
      resume(Effect.succeed(answer))
    }
    socket.once("connect", end(true)).once("error", end(false))
  })

describe.skipIf(missing !== undefined && !required)("RaftServer", () => {
  it.live(
    "one node: killed, started again on its data, stopped, and gone with the scope",
    () =>
      Effect.gen(function*() {
        const endpoint = yield* Effect.scoped(Effect.gen(function*() {
          const server = yield* EtcdServer.make({ nodes: 1, electionMillis: 200 })
          const [node] = server.nodes
          assert.deepStrictEqual(server.endpoints, [node!.endpoint])
          assert.strictEqual(yield* server.leader, node!.endpoint)
          assert.isTrue(yield* listens(node!.endpoint))
          yield* node!.kill
          assert.isFalse(yield* node!.isRunning)
          assert.isUndefined(yield* server.leader)
          const nobody = yield* Effect.flip(node!.pause)
          assert.strictEqual(nobody.reason, "NotRunning")
          yield* node!.start
          yield* server.awaitReady
          yield* node!.pause
          assert.isUndefined(yield* EtcdServer.ask(node!.endpoint, 200))
          yield* node!.resume
          yield* server.awaitReady
          return node!.endpoint
        }))
        assert.isFalse(yield* listens(endpoint))
      }),
    60_000
  )

  it.live("a node that ends instead of starting is named, with the end of its log", () =>
    Effect.gen(function*() {
      // An election timeout below five heartbeats is refused by etcd.
      const error = yield* Effect.flip(Effect.scoped(EtcdServer.make({ nodes: 1, electionMillis: 3 })))
      assert.strictEqual(error.reason, "Exited")
      assert.isAbove(error.log.length, 0)
    }), 60_000)
})
