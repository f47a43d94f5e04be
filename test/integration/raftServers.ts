/** The real Raft servers of this run, and clients of them: ours, and a bare one to compare with. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { type ClusterAdapter, DEngineAdapter, EtcdAdapter, type RaftClient } from "@effect-scylla/raft-client"
import * as Pb from "@effect-scylla/raft-client/generated/dengine/client_pb"
import * as DEngineServer from "@effect-scylla/testkit/DEngineServer"
import * as EtcdServer from "@effect-scylla/testkit/EtcdServer"
import type { RaftServer, RaftServerError } from "@effect-scylla/testkit/RaftServer"
import type { RegisterFailure, Registers } from "@effect-scylla/testkit/RaftWorkload"
import { Client, credentials } from "@grpc/grpc-js"
import { Effect, Option, type Scope } from "effect"

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

export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value)

/** Registers behind our client. */
export const registersOf = (client: RaftClient.RaftClient): Registers => ({
  get: (key) => Effect.map(client.get(key), (value) => text(Option.getOrUndefined(value))),
  put: (key, value) => client.put(key, value),
  compareAndSwap: (key, expected, value) =>
    Effect.map(client.compareAndSwap(key, expected, value), ({ succeeded }) => succeeded)
})

/**
 * Registers behind nothing but grpc-js: one try at the node that a majority names, everything unclear is ambiguous. What is
 * not linearizable through it is not linearizable by the server.
 */
export const bareDEngine = (server: RaftServer): Effect.Effect<Registers, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        new Map(
          server.endpoints.map((endpoint) => [
            endpoint,
            new Client(endpoint, credentials.createInsecure(), {
              "grpc.use_local_subchannel_pool": 1,
              "grpc.max_reconnect_backoff_ms": 200
            })
          ])
        )
      ),
      (clients) =>
        Effect.sync(() => {
          for (const client of clients.values()) client.close()
        })
    ),
    (clients): Registers => {
      let leader = server.endpoints[0]!
      const encoder = new TextEncoder()
      const call = (
        method: string,
        body: Uint8Array,
        write: boolean
      ): Effect.Effect<Pb.ClientResponse, RegisterFailure> =>
        Effect.tapError(
          Effect.callback((resume) => {
            const fail = (definite: boolean): void =>
              resume(
                Effect.fail({ outcome: write ? definite ? "Rejected" as const : "Ambiguous" as const : undefined })
              )
            clients.get(leader)!.makeUnaryRequest(
              `/d_engine.client.RaftClientService/${method}`,
              (bytes: Uint8Array) => Buffer.from(bytes),
              (bytes: Buffer) => fromBinary(Pb.ClientResponseSchema, bytes),
              body,
              { deadline: Date.now() + 1_000 },
              (error, response) => {
                if (error !== null) {
                  return fail(error.code === 9 || error.details.startsWith("No connection established"))
                }
                if (response!.error !== 0 || response!.successResult.case === undefined) return fail(false)
                resume(Effect.succeed(response!))
              }
            )
          }),
          () =>
            Effect.andThen(
              Effect.sleep(20),
              Effect.map(server.leader, (named) => {
                if (named !== undefined) leader = named
              })
            )
        )
      const write = (operation: Pb.WriteCommand["operation"]) =>
        Effect.map(
          call(
            "HandleClientWrite",
            toBinary(Pb.ClientWriteRequestSchema, create(Pb.ClientWriteRequestSchema, { command: { operation } })),
            true
          ),
          ({ successResult }) => successResult.case === "writeResult" && successResult.value.succeeded
        )
      return {
        get: (key) =>
          Effect.map(
            call(
              "HandleClientRead",
              toBinary(
                Pb.ClientReadRequestSchema,
                create(Pb.ClientReadRequestSchema, {
                  keys: [encoder.encode(key)],
                  consistencyPolicy: Pb.ReadConsistencyPolicy.LINEARIZABLE_READ
                })
              ),
              false
            ),
            ({ successResult }) =>
              successResult.case === "readData" ? text(successResult.value.results[0]?.value) : undefined
          ),
        put: (key, value) =>
          write({
            case: "insert",
            value: create(Pb.WriteCommand_InsertSchema, { key: encoder.encode(key), value: encoder.encode(value) })
          }),
        compareAndSwap: (key, expected, value) =>
          write({
            case: "compareAndSwap",
            value: create(Pb.WriteCommand_CompareAndSwapSchema, {
              key: encoder.encode(key),
              newValue: encoder.encode(value),
              ...(expected === undefined ? {} : { expectedValue: encoder.encode(expected) })
            })
          })
      }
    }
  )
