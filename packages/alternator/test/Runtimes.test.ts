/**
 * Programs in processes of their own: on this Node, and on Bun and Deno where they are (`BUN`, `DENO`, or in the PATH).
 */
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer as createSecureServer } from "node:https"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { join } from "node:path"

const found = (name: string): string | undefined => {
  const path = process.env[name.toUpperCase()] ?? name
  return spawnSync(path, ["--version"]).status === 0 ? path : undefined
}

const runtimes: ReadonlyArray<readonly [name: string, path: string | undefined, options: ReadonlyArray<string>]> = [
  ["node", process.execPath, []],
  ["bun", found("bun"), ["run"]],
  ["deno", found("deno"), ["run", "--allow-all", "--no-check"]]
]

const DEADLINE = 30_000

/** The last line of its output, what is logged comes before it; it has to end by itself, and well. */
const run = (path: string, args: ReadonlyArray<string>): Effect.Effect<string, Error> =>
  Effect.callback((resume) => {
    const child = execFile(path, [...args], { cwd: import.meta.dirname, timeout: DEADLINE, killSignal: "SIGKILL" }, (
      error,
      stdout,
      stderr
    ) => {
      const why = child.signalCode === "SIGKILL" ? `has not ended, after it said ${JSON.stringify(stdout)}` : stderr
      resume(
        error === null
          ? Effect.succeed(stdout.trim().split("\n").at(-1)!)
          : Effect.fail(new Error(`${args.join(" ")}: ${why}`))
      )
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** A node that takes connections and requests, and never answers. */
const silentNode = Effect.acquireRelease(
  Effect.callback<{ readonly seed: string; readonly close: () => void }>((resume) => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => sockets.add(socket.on("error", () => {})))
    server.listen(0, "127.0.0.1", () =>
      resume(Effect.succeed({
        seed: `127.0.0.1:${(server.address() as AddressInfo).port}`,
        close: () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
      })))
  }),
  ({ close }) => Effect.sync(close)
)

const fixture = (name: string) => readFileSync(join(import.meta.dirname, "fixtures", name))

const secureNode = Effect.acquireRelease(
  Effect.callback<ReturnType<typeof createSecureServer>>((resume) => {
    const options = { key: fixture("server-key.pem"), cert: fixture("server-cert.pem") }
    const server = createSecureServer(options, (request, response) => {
      request.resume()
      response.end('{"TableNames":["safe"]}')
    })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

for (const [name, path, options] of runtimes) {
  describe.skipIf(path === undefined)(`on ${name}`, () => {
    it.live.each(["sdk", "runtime", "scope", "static", "nodes"])(
      "what is not closed keeps no process: %s",
      (how) =>
        Effect.gen(function*() {
          const cluster = yield* AlternatorCluster.make()
          // The first look waits for its answer, long after the others have been enough to begin.
          const silent = yield* silentNode
          const seeds = how === "static" ? `localhost:${cluster.port}` : `${cluster.seeds[0]},${silent.seed}`
          const output = yield* run(path!, [...options, "programs/forgotten.ts", how, seeds, String(cluster.port)])
          assert.strictEqual(output, "done")
        }),
      DEADLINE * 2
    )

    it.live("does what it does on Node", () =>
      Effect.gen(function*() {
        const cluster = yield* AlternatorCluster.make({ secrets: { alice: "secret" } })
        const { port } = (yield* secureNode).address() as AddressInfo
        const output = yield* run(path!, [...options, "programs/working.ts", cluster.seeds[0]!, String(port)])
        assert.deepStrictEqual(JSON.parse(output), {
          lean: { isSame: true, Count: 251, nodes: 3, refused: "ResourceNotFound Rejected" },
          sdk: { id: { S: "7" } },
          dead: "NodeUnreachable NotSent",
          secure: ["safe"],
          distrusted: "NodeUnreachable NotSent"
        })
        // A hundred requests one after another need no hundred connections.
        const made = cluster.nodes.reduce((sum, { connections }) => sum + connections.made, 0)
        assert.isBelow(made, 50)
      }), DEADLINE * 2)
  })
}
