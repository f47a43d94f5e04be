import { quote } from "@effect-scylla/protocol/Identifier"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Connection } from "../Connection.ts"
import { ConnectionLost, HandshakeFailed, PoolError, type PoolReason } from "../PoolError.ts"

/** Reasons of a request that was never sent, or whose connection is gone anyway: what is set on it has not changed. */
const UNSENT: ReadonlySet<PoolReason["_tag"]> = new Set(["ConnectionBusy", "ConnectionClosed", "EncodeError"])
const NO_ROWS = new RowDecoders()

const isUnsent = (cause: Cause.Cause<PoolError>): boolean => {
  const error = Cause.findErrorOption(cause)
  return error._tag === "Some" && UNSENT.has(error.value.reason._tag)
}

/** Sets the keyspace of a connection, one switch at a time. Where nobody knows how it ended, so does the connection. */
export const switchKeyspace = (
  connection: Connection,
  name: string,
  timeoutMillis: number
): Effect.Effect<void, PoolError> =>
  Effect.suspend(() => {
    if (connection.keyspace === name) return Effect.void
    const where = connection.socket.remoteAddress
    return connection.request(
      { _tag: "Query", query: `USE ${quote(name)}`, options: { consistency: "ONE" } },
      { timeoutMillis, decoders: NO_ROWS }
    ).pipe(
      Effect.onError((cause) =>
        isUnsent(cause) ? Effect.void : Effect.sync(() => {
          const message = `${where} did not say which keyspace is set on the connection`
          connection.fail(new ConnectionLost({ message }))
        })
      ),
      Effect.flatMap(({ response }) => {
        if (response._tag === "SetKeyspace") {
          connection.keyspace = name
          return Effect.void
        }
        const error = response._tag === "Error" ? response.error : undefined
        const why = error?.message ?? `it answered with ${response._tag}`
        const message = `${where} refused the keyspace ${name}: ${why}`
        return Effect.fail(new PoolError({ reason: new HandshakeFailed({ message, error, cause: error }) }))
      })
    )
  })

/** Whose keyspace it is. */
export interface Connections {
  readonly all: ReadonlyArray<Connection>
}

/** The keyspace of a pool: what its connections have, and those that come get. */
export class PoolKeyspace {
  /** To be set on connections that come. */
  wanted: string | undefined
  /** The last one that a connection has taken: it exists. */
  private taken: string | undefined
  private readonly connections: Connections
  private readonly replace: (connection: Connection) => void

  constructor(initial: string | undefined, connections: Connections, replace: (connection: Connection) => void) {
    this.wanted = initial
    this.taken = initial
    this.connections = connections
    this.replace = replace
  }

  /** The connection came with it. */
  adopted(connection: Connection): void {
    this.taken = connection.keyspace
  }

  /** Sets it on all of them; fails when none has taken it. One that has not, where others have, is replaced. */
  use(name: string, timeoutMillis: number): Effect.Effect<void, PoolError> {
    return Effect.suspend(() => {
      this.wanted = name
      return Effect.forEach(
        this.connections.all,
        (connection) => Effect.result(connection.useKeyspace(name, timeoutMillis)),
        { concurrency: "unbounded" }
      ).pipe(Effect.flatMap((results) => {
        const failure = results.find(Result.isFailure)
        if (results.some(Result.isSuccess)) this.taken = name
        else if (failure !== undefined) {
          // Nobody knows it: it is not what was set before that is wrong.
          if (this.wanted === name) this.wanted = this.taken
          return Effect.fail(failure.failure)
        }
        // Where another one is wanted by now, that switch sees to it.
        if (failure !== undefined && this.wanted === name) {
          for (const connection of this.connections.all) if (connection.keyspace !== name) this.replace(connection)
        }
        return Effect.void
      }))
    })
  }
}
