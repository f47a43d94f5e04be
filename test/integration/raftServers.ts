/** The real Raft servers of this run, and registers behind our client. */
import { type ClusterAdapter, DEngineAdapter, EtcdAdapter, type RaftClient } from "@effect-scylla/raft-client"
import * as DEngineServer from "@effect-scylla/testkit/DEngineServer"
import * as EtcdServer from "@effect-scylla/testkit/EtcdServer"
import type { RaftServer, RaftServerError } from "@effect-scylla/testkit/RaftServer"
import type { Registers } from "@effect-scylla/testkit/RaftWorkload"
import { Effect, Option, type Scope } from "effect"
import { text } from "./raftWire.ts"

export interface Candidate {
  readonly kind: RaftServer["kind"]
  readonly make: Effect.Effect<RaftServer, RaftServerError, Scope.Scope>
  readonly adapter: ClusterAdapter.ClusterAdapter
  /** Set where the suite must run here and cannot. */
  readonly missing: string | undefined
}

const candidates = [
  {
    kind: "etcd",
    make: EtcdServer.make(),
    adapter: EtcdAdapter.make(),
    lacks: EtcdServer.missing,
    provide: EtcdServer.missing
  },
  {
    kind: "d-engine",
    make: DEngineServer.make(),
    adapter: DEngineAdapter.make({ ttl: true }),
    lacks: DEngineServer.missing,
    provide: DEngineServer.build
  }
] as const

/**
 * Those that can run, and those that must, which are built here if need be: while modules load, where no hook runs out of
 * time. The others are named with their reason. */
export const raftServers: ReadonlyArray<Candidate> = await Effect.runPromise(Effect.gen(function*() {
  const out: Array<Candidate> = []
  const required = process.env["REQUIRE_REAL_SERVERS"] === "1"
  for (const { adapter, kind, lacks, make, provide } of candidates) {
    const why = yield* required ? provide : lacks
    if (why !== undefined && !required) process.stderr.write(`integration on ${kind}: skipped, ${why}\n`)
    else {out.push({
        kind,
        make,
        adapter,
        missing: why === undefined ? undefined : `${why} (REQUIRE_REAL_SERVERS is set)`
      })}
  }
  return out
}))

/** Registers behind our client. */
export const registersOf = (client: RaftClient.RaftClient): Registers => ({
  get: (key) => Effect.map(client.get(key), (value) => text(Option.getOrUndefined(value))),
  put: (key, value) => client.put(key, value),
  compareAndSwap: (key, expected, value) =>
    Effect.map(client.compareAndSwap(key, expected, value), ({ succeeded }) => succeeded)
})
