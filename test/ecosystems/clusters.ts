/** The clusters that clients of others are run on, and a client's run on one. */
import { SimulatedCluster, TestServer } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFile } from "node:child_process"
import { instead } from "../integration/support/instead.ts"
import { type Client, whyNot } from "./clients.ts"

export interface Cluster {
  readonly product: "scylla" | "cassandra"
  readonly host: string
  readonly port: number
  readonly datacenter: string
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  /** As many as there are nodes: each has all the data. */
  readonly copies: number
  /** What it warns of when a keyspace is made, as it is made here. */
  readonly warning?: string
  /** What it has seen; nothing of a real one. */
  readonly stats?: SimulatedCluster.SimulatedCluster["stats"]
}

export interface Setting {
  readonly title: string
  readonly make: Effect.Effect<Cluster, unknown, Scope.Scope>
}

const simulated = (title: string, options: SimulatedCluster.Options, warning?: string): Setting => ({
  title,
  make: Effect.map(SimulatedCluster.make(options), ({ credentials, datacenter, nodes, port, product, stats }) => ({
    ...warning === undefined ? {} : { warning },
    product,
    host: nodes[0]!.address,
    port,
    datacenter,
    credentials,
    copies: nodes.length,
    stats
  }))
})

/** One that runs already, named by `CQL_CONTACT_POINTS`: what is expected of the simulated ones is what it answers. */
const external: Setting = {
  title: "those of CQL_CONTACT_POINTS",
  make: Effect.gen(function*() {
    const { contactPoints, credentials, datacenter, product } = yield* TestServer.TestServer
    const [host, port] = contactPoints[0]!.split(":")
    return {
      product,
      host: host!,
      port: Number(port),
      datacenter: datacenter!,
      credentials,
      copies: contactPoints.length
    }
  }).pipe(Effect.provide(TestServer.external))
}

const FEW_COPIES =
  "Using Replication Factor replication_factor=1 lower than the minimum_replication_factor_warn_threshold=3 is " +
  "not recommended."
const TABLETS =
  "Tables in this keyspace will be replicated using Tablets and will not support CDC, LWT and counters features. To " +
  "use CDC, LWT or counters, drop this keyspace and re-create it without tablets by adding AND TABLETS = {'enabled': false} to the " +
  "CREATE KEYSPACE statement."

/** What a client may meet: shards, tablets, a node alone, a login, and nothing of ScyllaDB's. */
export const settings = {
  tablets: simulated("three nodes of ScyllaDB, with tablets", { nodes: 3, shards: 2, tablets: true }, TABLETS),
  alone: simulated("one node of ScyllaDB", { nodes: 1, shards: 3 }, FEW_COPIES),
  cassandra: simulated("three nodes of Cassandra, each with data of its own, with a login", {
    nodes: 3,
    product: "cassandra",
    replicas: "own",
    credentials: { username: "kim", password: "secret" }
  }),
  ...process.env["CQL_CONTACT_POINTS"] === undefined ? {} : { external }
} satisfies Record<string, Setting>

/** How long a program may take, in milliseconds. */
const PATIENCE = 60_000

export interface Ran {
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end, which has to be a good one. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>>; readonly code?: number } = {}
): Effect.Effect<Ran> =>
  Effect.callback((resume) => {
    const child = execFile(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      timeout: PATIENCE,
      killSignal: "SIGKILL",
      maxBuffer: 16 * 1024 * 1024
    }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      resume(Effect.sync(() => {
        assert.strictEqual(code, options.code ?? 0, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`)
        return { stdout, stderr }
      }))
    })
    child.stdin?.end()
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** What a client's program printed on a cluster: one line of JSON. */
export const answersOf = Effect.fnUntraced(function*(client: Client, cluster: Cluster) {
  const [command, ...args] = client.command()
  const { copies, credentials, datacenter, host, port } = cluster
  const env = {
    ...client.env?.(),
    ...credentials === undefined ? {} : { CQL_USERNAME: credentials.username, CQL_PASSWORD: credentials.password }
  }
  const { stdout } = yield* run(command, [...args, host, String(port), datacenter, String(copies)], { env })
  return JSON.parse(stdout) as Record<string, unknown>
})

/** A suite: a client on every cluster, or on those of some settings; or why not. */
export const suite = (
  client: Client,
  body: (cluster: Cluster) => Effect.Effect<void, unknown, Scope.Scope>,
  { on = Object.values(settings), what }: {
    readonly on?: ReadonlyArray<Setting>
    /** What it does there; nothing if it does one thing only. */
    readonly what?: string
  } = {}
): void => {
  const title = `${client.title} on simulated clusters`
  const missing = whyNot(client)
  if (missing !== undefined) return instead(title, missing, process.env["REQUIRE_REAL_SERVERS"] === "1")
  describe(`${client.title} on simulated clusters`, () => {
    for (const { make, title } of on) {
      it.live(
        what === undefined ? title : `${what}, ${title}`,
        () => Effect.scoped(Effect.flatMap(make, body)),
        PATIENCE
      )
    }
  })
}
