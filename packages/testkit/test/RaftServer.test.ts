/** The launchers of real Raft servers, by etcd, which starts fastest; d-engine is started by the integration suite. */
import * as EtcdServer from "@effect-scylla/testkit/EtcdServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Net from "node:net"

const missing = await Effect.runPromise(EtcdServer.missing)
const required = process.env["REQUIRE_REAL_SERVERS"] === "1"

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

// The default reporter names no suite of a file that is skipped as a whole.
if (missing !== undefined && !required) process.stderr.write(`RaftServer: skipped, ${missing}\n`)

describe.skipIf(missing !== undefined && !required)(
  `RaftServer${missing === undefined || required ? "" : `: ${missing}`}`,
  () => {
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

    it.effect("a test's own clock, which stands, does not hold the launcher up", () =>
      Effect.gen(function*() {
        const server = yield* EtcdServer.make({ nodes: 1, electionMillis: 200 })
        const [node] = server.nodes
        yield* node!.kill
        yield* node!.start
        yield* server.awaitReady
        assert.strictEqual(yield* server.leader, node!.endpoint)
      }), 60_000)

    it.effect("and its deadline passes by the system's clock", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(EtcdServer.make({ nodes: 1, deadlineMillis: 1 }))
        assert.strictEqual(error.reason, "NotReady")
      }), 60_000)

    it.live(
      "a node whose data was removed starts empty, which it does not while it runs",
      () =>
        Effect.gen(function*() {
          const server = yield* EtcdServer.make({ nodes: 1, electionMillis: 200 })
          const [node] = server.nodes
          assert.strictEqual((yield* Effect.flip(node!.wipe)).reason, "Running")
          const before = yield* EtcdServer.ask(node!.endpoint)
          yield* node!.kill
          yield* node!.wipe
          yield* node!.start
          yield* server.awaitReady
          assert.deepStrictEqual(yield* EtcdServer.ask(node!.endpoint), before)
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
  }
)
