/** Statements of a client on a simulated cluster, and short forms of what they answer. */
import { Codec, CqlType, type Request } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { connect, errorOf, type RawClient, rowsOf } from "./rawClient.ts"

export const int = (value: number): Uint8Array => Codec.encode(CqlType.scalar("int"), value)!
export const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** A client on a cluster of its own, in keyspace `ks`. */
export const client = Effect.fnUntraced(function*(...statements: ReadonlyArray<string>) {
  return yield* clientOf({}, ...statements)
})

/** The same of a cluster with options. */
export const clientOf = Effect.fnUntraced(function*(
  options: SimulatedCluster.Options,
  ...statements: ReadonlyArray<string>
) {
  const cluster = yield* SimulatedCluster.make({ transport: "memory", ...options })
  const made = yield* connect("127.0.0.1", 9042, cluster.transport)
  yield* made.startup({ SCYLLA_LWT_ADD_METADATA_MARK: "" })
  yield* ok(made, "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}")
  yield* ok(made, "USE ks")
  for (const statement of statements) yield* ok(made, statement)
  return made
})

export const ok = Effect.fnUntraced(function*(
  of: RawClient,
  query: string,
  options: Partial<Request.Options> = {},
  values?: ReadonlyArray<Request.RawValue>
) {
  const answer = yield* of.query(query, options, values)
  if (answer._tag === "Error") assert.fail(`${query}: ${answer.error.message}`)
  return answer
})

/** Rows as arrays of strings, for short expectations. */
export const read = Effect.fnUntraced(
  function*(of: RawClient, query: string, values?: ReadonlyArray<Request.RawValue>) {
    return rowsOf(yield* of.query(query, {}, values)).map((row) => Object.values(row).map(String).join(" "))
  }
)

export const refusal = (of: RawClient, query: string, values?: ReadonlyArray<Request.RawValue>) =>
  Effect.map(of.query(query, {}, values), (answer) => errorOf(answer).message)
