/**
 * A lock on a Raft cluster, by compare-and-swap of values that are never used twice.
 *
 * The value of the key is `held:<n>:<unique>` or `free:<n>:<unique>`. Releasing is a swap, too, and no delete: a delete whose
 * answer was lost could still come when somebody else holds the lock, and nothing could be put before it. `n` counts
 * the holders; give it to whatever the lock protects, so that it can refuse a holder that was thought dead (a fencing token).
 */
import type { RaftClient, RaftError } from "@effect-scylla/raft-client"
import { Effect, Option, type Scope } from "effect"
import { randomUUID } from "node:crypto"

export interface Held {
  /** Higher than that of every holder before. */
  readonly fencing: number
}

const parse = (value: Option.Option<Uint8Array>) => {
  const text = Option.isSome(value) ? new TextDecoder().decode(value.value) : undefined
  const [state, n] = text?.split(":") ?? []
  return { text, free: state !== "held", n: Number(n ?? 0) }
}

/** Swaps and is sure of it: true when the key has `value` now, by this swap. */
const swap = (
  client: RaftClient.RaftClient,
  key: string,
  expected: string | undefined,
  value: string,
  fence: string
): Effect.Effect<boolean, RaftError.RaftError> =>
  Effect.catchIf(
    Effect.map(client.compareAndSwap(key, expected, value), ({ succeeded }) => succeeded),
    (error: RaftError.RaftError) => error.outcome === "Ambiguous",
    () => Effect.map(client.resolve({ key, expected, value, fence }), ({ _tag }) => _tag === "Applied")
  )

const release = Effect.fnUntraced(function*(client: RaftClient.RaftClient, key: string, held: string, n: number) {
  let expected = held
  while (true) {
    const fence = `held:${n}:${randomUUID()}`
    if (yield* swap(client, key, expected, `free:${n}:${randomUUID()}`, fence)) return
    const { text } = parse(yield* client.get(key))
    // Only the fence means that it is still ours: nobody swaps what is held.
    if (text !== fence) return
    expected = fence
  }
})

/** Takes the lock, waiting for it as long as it takes, and gives it back when the scope closes. */
export const acquire = (
  client: RaftClient.RaftClient,
  key: string
): Effect.Effect<Held, RaftError.RaftError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      while (true) {
        const { free, n, text } = parse(yield* client.get(key))
        if (!free) {
          yield* Effect.sleep("50 millis")
          continue
        }
        const value = `held:${n + 1}:${randomUUID()}`
        const mine = yield* swap(client, key, text, value, `free:${n}:${randomUUID()}`)
        if (mine) return { fencing: n + 1, value }
      }
    }),
    ({ fencing, value }) => Effect.orDie(release(client, key, value, fencing)),
    { interruptible: true }
  )
