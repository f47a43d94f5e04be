/** The command within this process, on a simulated cluster in memory: where options come from, and what is wrong with them. */
import { Command as Cli } from "@effect-scylla/cli"
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { Command } from "effect/cli"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const credentials = { username: "app", password: "secret" }

const run = Command.runWith(Cli.command, { version: "0", renderErrors: false })

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-scylla-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** What runs the command with an environment, by default one that names the cluster. */
const world = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 2, transport: "memory", credentials })
  const connected = { CQL_CONTACT_POINTS: cluster.contactPoints.join(","), CQL_USERNAME: "app", CQL_PASSWORD: "secret" }
  const codegen = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = connected) =>
    run(["codegen", ...args]).pipe(
      Effect.provideService(Transport.Transport, cluster.transport),
      Effect.provide(Layer.merge(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))))
    )
  const cql = yield* CqlClient.make({
    contactPoints: cluster.contactPoints,
    username: credentials.username,
    password: Redacted.make(credentials.password),
    shutdownTimeout: 0
  }).pipe(Effect.provideService(Transport.Transport, cluster.transport))
  for (const name of ["shop", '"Shop"']) {
    yield* cql.execute(
      `CREATE KEYSPACE ${name} WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 2}`
    )
  }
  yield* cql.execute("CREATE TABLE shop.t (id int PRIMARY KEY)")
  return { codegen, connected, out: yield* folder }
})

describe("codegen", () => {
  it.live("takes the cluster, user and password from the environment", () =>
    Effect.gen(function*() {
      const { codegen, out } = yield* world
      yield* codegen(["--keyspace", "shop", "--keyspace", "system", "--keyspace", "shop", "--out", out])
      assert.deepStrictEqual(readdirSync(out), ["shop.ts", "system.ts"])
      yield* codegen(["--keyspace", "shop", "--out", out, "--check"])
    }))

  it.live("goes by its flags before the environment", () =>
    Effect.gen(function*() {
      const { codegen, connected, out } = yield* world
      const env = { ...connected, CQL_CONTACT_POINTS: "10.9.9.9", CQL_DATACENTER: "mars" }
      const args = ["--contact-points", connected.CQL_CONTACT_POINTS, "--datacenter", "datacenter1"]
      yield* codegen([...args, "--keyspace", "shop", "--out", out], env)
      assert.deepStrictEqual(readdirSync(out), ["shop.ts"])
    }))

  it.live("says what is wrong", () =>
    Effect.gen(function*() {
      const { codegen, connected, out } = yield* world
      const file = fileURLToPath(import.meta.url)
      const cases: ReadonlyArray<[args: ReadonlyArray<string>, env: Readonly<Record<string, string>>, says: string]> = [
        [["--keyspace", "shops", "--out", out], connected, "there is no keyspace shops; there are: Shop, shop"],
        [["--keyspace", "shop", "--keyspace", "Shop", "--out", out], connected, "would be written to one file"],
        [["--keyspace", "shop", "--out", out], {}, "CQL_CONTACT_POINTS"],
        [["--keyspace", "shop", "--out", out], { ...connected, CQL_PASSWORD: "wrong" }, "redentials"],
        [["--keyspace", "shop", "--out", out, "--datacenter", "mars"], connected, "mars"],
        [["--keyspace", "shop", "--out", file], connected, "AlreadyExists"],
        [
          ["--keyspace", "shop", "--out", out, "--check"],
          connected,
          "shop.ts is missing: run it again without --check"
        ],
        [["--out", out], connected, "Help requested"]
      ]
      for (const [args, env, says] of cases) {
        const error = yield* Effect.flip(codegen(args, env))
        assert.include(error.message, says)
      }
      assert.deepStrictEqual(readdirSync(out), [])
    }))
})
