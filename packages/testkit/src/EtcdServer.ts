/**
 * A real etcd cluster on loopback, from the `etcd` on the PATH (Debian: `etcd-server`).
 *
 * @stability unstable
 * @since 0.1.0
 */
import { create } from "@bufbuild/protobuf"
import {
  MemberListRequestSchema,
  MemberListResponseSchema,
  StatusRequestSchema,
  StatusResponseSchema
} from "@effect-scylla/raft-client/generated/etcd/rpc_pb"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
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
export interface EtcdServerOptions {
  /** Default: 3. */
  readonly nodes?: number
  /** Election timeout in milliseconds; the heartbeat is a tenth. Default: 500. */
  readonly electionMillis?: number
  /** Clusters with different tokens are different clusters, even at the same ports. Default: that of etcd. */
  readonly clusterToken?: string
  /** Two for each node: for clients those of all nodes, then for their peers. Default: free ones. */
  readonly ports?: ReadonlyArray<number>
  /** How long the start may take, in milliseconds. Default: 60000. */
  readonly deadlineMillis?: number
}

/**
 * Undefined when etcd is here, else what to do.
 *
 * @category guards
 * @since 0.1.0
 */
export const missing: Effect.Effect<string | undefined> = Effect.map(
  Process.run("etcd", ["--version"], { timeoutMillis: 10_000 }),
  ({ code }) => code === 0 ? undefined : "there is no etcd on the PATH (Debian: apt-get install etcd-server)"
)

/**
 * Asks one node who leads, by a bare call; undefined when it does not answer or knows nobody.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ask = (endpoint: string, timeoutMillis = 1_000): Effect.Effect<RaftServer.Said | undefined> =>
  Unary.once(endpoint, async (bare) => {
    const status = await bare.call(
      "/etcdserverpb.Maintenance/Status",
      StatusRequestSchema,
      create(StatusRequestSchema),
      StatusResponseSchema,
      timeoutMillis
    )
    const { members } = await bare.call(
      "/etcdserverpb.Cluster/MemberList",
      MemberListRequestSchema,
      create(MemberListRequestSchema),
      MemberListResponseSchema,
      timeoutMillis
    )
    const url = members.find(({ ID }) => ID === status.leader)?.clientUrls[0]
    return { leader: url?.replace(/^http:\/\//, "") }
  })

/**
 * Starts a cluster and waits for its leader. It is killed, and its data removed, when the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(
    options: EtcdServerOptions = {}
  ): Effect.fn.Return<RaftServer.RaftServer, RaftServer.RaftServerError, Scope.Scope> {
    const nodes = options.nodes ?? 3
    const electionMillis = options.electionMillis ?? 500
    const ports = options.ports ?? (yield* Effect.mapError(
      Ports.reservePorts({ count: 2 * nodes }),
      ({ message }) => new RaftServer.RaftServerError({ reason: "Unavailable", message, log: [] })
    ))
    const space = yield* Process.workspace("effect-scylla-etcd-")
    const url = (i: number): string => `http://127.0.0.1:${ports[i]}`
    const peers = Array.from({ length: nodes }, (_, i) => `n${i + 1}=${url(nodes + i)}`).join()
    return yield* RaftServer.run({
      kind: "etcd",
      command: "etcd",
      deadlineMillis: options.deadlineMillis ?? 60_000,
      ask,
      nodes: Array.from({ length: nodes }, (_, i) => {
        const directory = join(space.directory, `node${i + 1}`)
        mkdirSync(directory)
        const flags: Record<string, string> = {
          name: `n${i + 1}`,
          "data-dir": join(directory, "data"),
          "listen-client-urls": url(i),
          "advertise-client-urls": url(i),
          "listen-peer-urls": url(nodes + i),
          "initial-advertise-peer-urls": url(nodes + i),
          "initial-cluster": peers,
          "initial-cluster-state": "new",
          "initial-cluster-token": options.clusterToken ?? "etcd-cluster",
          "heartbeat-interval": String(Math.ceil(electionMillis / 10)),
          "election-timeout": String(electionMillis),
          "logger": "zap",
          "log-level": "warn"
        }
        return {
          name: String(i + 1),
          endpoint: `127.0.0.1:${ports[i]}`,
          directory,
          data: [join(directory, "data")],
          args: Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
        }
      })
    }, space)
  }
)
