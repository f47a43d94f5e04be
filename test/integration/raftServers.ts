/** The real Raft servers of this run, and registers behind our client. */
import { type ClusterAdapter, DEngineAdapter, EtcdAdapter, type RaftClient } from "@effect-scylla/raft-client"
import * as DEngineServer from "@effect-scylla/testkit/DEngineServer"
import * as EtcdServer from "@effect-scylla/testkit/EtcdServer"
import type { RaftServer, RaftServerError } from "@effect-scylla/testkit/RaftServer"
import type { Registers } from "@effect-scylla/testkit/RaftWorkload"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, type Scope } from "effect"
import { text } from "./raftWire.ts"

export interface Candidate {
  readonly kind: RaftServer["kind"]
  readonly make: Effect.Effect<RaftServer, RaftServerError, Scope.Scope>
  readonly adapter: ClusterAdapter.ClusterAdapter
  /** Why it cannot run here. */
  readonly missing: string | undefined
}

/** Whether suites must run, so that one that cannot fails. */
export const required = process.env["REQUIRE_REAL_SERVERS"] === "1"

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
 * All of them, with the reason of those that cannot run. Those that must are built here if need be: while modules load, where
 * no hook runs out of time.
 */
export const raftServers: ReadonlyArray<Candidate> = await Effect.runPromise(Effect.gen(function*() {
  const out: Array<Candidate> = []
  for (const { adapter, kind, lacks, make, provide } of candidates) {
    const why = yield* required ? provide : lacks
    out.push({ kind, make, adapter, missing: why })
  }
  return out
}))

/** Instead of a suite that cannot run: skipped and named with its reason, or failed where it must run. */
export const instead = (title: string, why: string): void => {
  // The default reporter names no suite of a file that is skipped as a whole.
  if (!required) process.stderr.write(`${title}: skipped, ${why}\n`)
  describe.skipIf(!required)(`${title}: ${why}`, () => {
    it("runs here", () => assert.fail(`${why} (REQUIRE_REAL_SERVERS is set)`))
  })
}

/** Registers behind our client. */
export const registersOf = (client: RaftClient.RaftClient): Registers => ({
  get: (key) => Effect.map(client.get(key), (value) => text(Option.getOrUndefined(value))),
  put: (key, value) => client.put(key, value),
  compareAndSwap: (key, expected, value) =>
    Effect.map(client.compareAndSwap(key, expected, value), ({ succeeded }) => succeeded)
})
