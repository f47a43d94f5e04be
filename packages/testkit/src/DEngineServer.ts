/**
 * A real d-engine 0.2.4 cluster on loopback, from the small program in `servers/d-engine`, built by cargo once per machine.
 *
 * `build` needs cargo (Rust 1.88 or newer) and protoc (Debian: `protobuf-compiler`), and about 4 minutes on two cores; the
 * binary stays in `$EFFECT_SCYLLA_CACHE`, else `~/.cache/effect-scylla`. Nothing else here builds.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { create } from "@bufbuild/protobuf"
import { ClusterMembershipSchema, MetadataRequestSchema } from "@effect-scylla/raft-client/generated/dengine/cluster_pb"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Process from "./internal/process.ts"
import * as Unary from "./internal/raftUnary.ts"
import * as Ports from "./Ports.ts"
import * as RaftServer from "./RaftServer.ts"

/**
 * What to start.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface DEngineServerOptions {
  /** Default: 3. */
  readonly nodes?: number
  /** Shortest and longest election timeout in milliseconds. Default: 300 and 600. */
  readonly electionMillis?: readonly [number, number]
  /** How long the start may take, in milliseconds. Default: 60000. */
  readonly deadlineMillis?: number
}

/** What to tell a person who wants the node built. */
const BUILD = "REQUIRE_REAL_SERVERS=1 npm run vitest -- --project integration -t d-engine"

const source = fileURLToPath(new URL("../servers/d-engine", import.meta.url))

const target = (): string =>
  join(process.env["EFFECT_SCYLLA_CACHE"] ?? join(homedir(), ".cache", "effect-scylla"), "dengine-target")

const binary = (): string => join(target(), "release", "dengine-node")

/** What the binary in the cache was built from. */
const stamp = (): string => join(target(), "built-from")

const sourceHash = (): string => {
  const hash = createHash("sha256")
  for (const file of ["Cargo.toml", "Cargo.lock", "src/main.rs"]) hash.update(readFileSync(join(source, file)))
  return hash.digest("hex")
}

const isBuilt = (): boolean =>
  existsSync(binary()) && existsSync(stamp()) && readFileSync(stamp(), "utf8") === sourceHash()

/**
 * Undefined when the node is built, else how to build it. Looks only: building takes minutes, so nobody gets it unasked.
 *
 * @category guards
 * @since 0.1.0
 */
export const missing: Effect.Effect<string | undefined> = Effect.sync(() =>
  isBuilt()
    ? undefined
    : `d-engine is not built (or its source has changed): ${BUILD} does that, once, in some minutes; it needs cargo and protoc`
)

/**
 * Builds the node if it is not in the cache, and says on stderr that it does. Undefined when it is there, else why not and
 * what to do. Takes minutes: not for a hook of a test.
 *
 * @category constructors
 * @since 0.1.0
 */
export const build: Effect.Effect<string | undefined> = Effect.gen(function*() {
  if (isBuilt()) return undefined
  const probe = (command: string) => Process.run(command, ["--version"], { timeoutMillis: 10_000 })
  if ((yield* probe("cargo")).code !== 0) return "there is no cargo to build d-engine with (https://rustup.rs)"
  if ((yield* probe("protoc")).code !== 0) {
    return "there is no protoc to build d-engine with (Debian: apt-get install protobuf-compiler)"
  }
  process.stderr.write("building d-engine with cargo: some minutes, the first time\n")
  const args = ["-n", "19", "cargo", "build", "--release", "--locked", "--quiet", "--target-dir", target()]
  const built = yield* Process.run("nice", args, { cwd: source, timeoutMillis: 1_800_000 })
  if (built.code === 0) {
    writeFileSync(stamp(), sourceHash())
    return undefined
  }
  const error = built.stderr.split("\n").find((line) => line.startsWith("error")) ?? built.stderr.trim().slice(-200)
  return `cargo cannot build d-engine: ${error}`
})

/**
 * Asks one node who leads, by a bare call; undefined when it does not answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ask = (endpoint: string, timeoutMillis = 1_000): Effect.Effect<RaftServer.Said | undefined> =>
  Unary.once(endpoint, async (bare) => {
    const { currentLeaderId, nodes } = await bare.call(
      "/d_engine.server.cluster.ClusterManagementService/GetClusterMetadata",
      MetadataRequestSchema,
      create(MetadataRequestSchema),
      ClusterMembershipSchema,
      timeoutMillis
    )
    return { leader: nodes.find(({ id }) => id === currentLeaderId)?.address }
  })

/**
 * Starts a cluster with leases and file storage, and waits for its leader; fails when the node is not built. It is killed, and its data removed, when the
 * scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(
    options: DEngineServerOptions = {}
  ): Effect.fn.Return<RaftServer.RaftServer, RaftServer.RaftServerError, Scope.Scope> {
    const nodes = options.nodes ?? 3
    const [shortest, longest] = options.electionMillis ?? [300, 600]
    const unavailable = (message: string) => new RaftServer.RaftServerError({ reason: "Unavailable", message, log: [] })
    const why = yield* missing
    if (why !== undefined) return yield* unavailable(why)
    const ports = yield* Effect.mapError(Ports.reservePorts({ count: nodes }), ({ message }) => unavailable(message))
    const space = yield* Process.workspace("effect-scylla-dengine-")
    const endpoints = ports.map((port) => `127.0.0.1:${port}`)
    const cluster = endpoints.map((address, i) => `{ id = ${i + 1}, address = "${address}", role = 1, status = 3 }`)
    return yield* RaftServer.run({
      kind: "d-engine",
      command: binary(),
      deadlineMillis: options.deadlineMillis ?? 60_000,
      ask,
      nodes: endpoints.map((endpoint, i) => {
        const directory = join(space.directory, `node${i + 1}`)
        mkdirSync(directory)
        const config = join(directory, "config.toml")
        // Their own snapshot directory each: the default is one for all clusters of the machine.
        writeFileSync(
          config,
          `[cluster]
node_id = ${i + 1}
listen_address = "${endpoint}"
initial_cluster = [${cluster.join(", ")}]
db_root_dir = "${directory}/db"
log_dir = "${directory}/logs"
[raft]
general_raft_timeout_duration_in_ms = 2000
[raft.election]
election_timeout_min = ${shortest}
election_timeout_max = ${longest}
[raft.read_consistency]
default_policy = "LinearizableRead"
lease_duration_ms = ${Math.floor(shortest / 2)}
[raft.state_machine.lease]
enabled = true
[raft.snapshot]
snapshots_dir = "${directory}/snapshots"
[network.control]
request_timeout_in_ms = 3000
`
        )
        const data = [join(directory, "data"), join(directory, "db"), join(directory, "snapshots")]
        return { name: String(i + 1), endpoint, directory, data, args: [config, join(directory, "data")] }
      })
    }, space)
  }
)
