/**
 * A counter on a Raft cluster that counts each increment once, whatever happens to the answers.
 *
 * A swap whose answer was lost may have been applied and overwritten since. So the value says, beside the total, which
 * increment of each client was the last; whoever is in doubt reads it there. The nonce makes every value unique.
 */
import type { RaftClient, RaftError } from "@effect-scylla/raft-client"
import { Effect, Option } from "effect"
import { randomUUID } from "node:crypto"

interface State {
  readonly total: number
  readonly last: Readonly<Record<string, number>>
  readonly nonce: string
}

export interface Counter {
  /** Adds, and answers the total as of this or a later increment. */
  readonly add: (by: number) => Effect.Effect<number, RaftError.RaftError>
  readonly total: Effect.Effect<number, RaftError.RaftError>
}

/** `id` names this client among all that use the counter; two at once must not share one. */
export const make = (client: RaftClient.RaftClient, key: string, id: string): Counter => {
  const read = Effect.map(client.get(key), (value) => {
    const text = Option.isSome(value) ? new TextDecoder().decode(value.value) : undefined
    const state: State = text === undefined ? { total: 0, last: {}, nonce: "" } : JSON.parse(text)
    return { text, state }
  })
  const fresh = (state: Omit<State, "nonce">): string => JSON.stringify({ ...state, nonce: randomUUID() })
  const add = Effect.fnUntraced(function*(by: number) {
    let number: number | undefined
    while (true) {
      const { state, text } = yield* read
      const before = state.last[id] ?? 0
      number ??= before + 1
      // It was applied by a try whose answer was lost.
      if (before >= number) return state.total
      const total = state.total + by
      const value = fresh({ total, last: { ...state.last, [id]: number } })
      const done = yield* Effect.catchIf(
        Effect.map(client.compareAndSwap(key, text, value), ({ succeeded }) => succeeded),
        (error: RaftError.RaftError) => error.outcome === "Ambiguous",
        () =>
          Effect.map(
            // The fence is the state as it was, with another nonce.
            client.resolve({ key, expected: text, value, fence: fresh(state) }),
            ({ _tag }) => _tag === "Applied"
          )
      )
      if (done) return total
    }
  })
  return { add, total: Effect.map(read, ({ state }) => state.total) }
}
