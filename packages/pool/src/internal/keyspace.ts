import { quote } from "@effect-scylla/protocol/Identifier"
import type { Request } from "@effect-scylla/protocol/Request"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { ConnectionLost, HandshakeFailed, PoolError, type PoolReason } from "../PoolError.ts"
import type { Answer } from "./ask.ts"

/** Reasons of a request that was never sent, or whose connection is gone anyway: what is set on it has not changed. */
const UNSENT: ReadonlySet<PoolReason["_tag"]> = new Set(["ConnectionBusy", "ConnectionClosed", "EncodeError"])
const NO_ROWS = new RowDecoders()

const isUnsent = (cause: Cause.Cause<PoolError>): boolean => {
  const error = Cause.findErrorOption(cause)
  return error._tag === "Some" && UNSENT.has(error.value.reason._tag)
}

/** Whose keyspace is set. */
export interface Switched {
  keyspace: string | undefined
  readonly socket: { readonly remoteAddress: string }
  request(
    request: Request,
    options: { readonly timeoutMillis: number; readonly decoders: RowDecoders }
  ): Effect.Effect<Answer, PoolError>
  fail(reason: PoolReason): void
}

/** Sets the keyspace of a connection, one switch at a time. Where nobody knows how it ended, so does the connection. */
export const switchKeyspace = (
  connection: Switched,
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
