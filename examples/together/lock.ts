/**
 * A lock that a cluster with a leader guards: held by whoever's value is in its key. Whoever dies with it keeps it; a lock for
 * processes that die needs a time after which it may be broken, and a fencing token in what it protects.
 */
import type { RaftClient, RaftError } from "@effect-scylla/raft-client"
import { Effect, Option, Stream } from "effect"
import { randomUUID } from "node:crypto"

interface Held {
  readonly key: string
  readonly value: string
}

/** No value is ever written twice: what is found in the key tells whose it is, however late a write arrives. */
const unique = (state: "held" | "free"): string => `${state}/${randomUUID()}`

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Whether the swap was done. An answer that got lost is looked for; a fence keeps the write from arriving later. */
const swap = (
  raft: RaftClient.RaftClient,
  key: string,
  expected: string | undefined,
  value: string
): Effect.Effect<boolean, RaftError.RaftError> =>
  raft.compareAndSwap(key, expected, value).pipe(
    Effect.map(({ succeeded }) => succeeded),
    Effect.catch((error) =>
      error.outcome === "Ambiguous"
        ? Effect.map(
          raft.resolve({ key, expected, value, fence: unique("free") }),
          ({ _tag }) => _tag === "Applied"
        )
        : Effect.fail(error)
    )
  )

const acquire = Effect.fnUntraced(function*(raft: RaftClient.RaftClient, name: string) {
  const key = `lock/${name}`
  while (true) {
    const current = Option.getOrUndefined(Option.map(yield* raft.get(key), text))
    if (current === undefined || current.startsWith("free/")) {
      const held: Held = { key, value: unique("held") }
      if (yield* swap(raft, key, current, held.value)) return held
      continue
    }
    // The watch begins with what is there now: nothing is missed between the read and it.
    yield* raft.watch(key).pipe(
      Stream.filter((event) => event._tag === "Put" && text(event.value).startsWith("free/")),
      Stream.runHead
    )
  }
})

/** Runs `work` while nobody else holds the lock `name`. */
export const withLock = <A, E, R>(
  raft: RaftClient.RaftClient,
  name: string,
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RaftError.RaftError, R> =>
  Effect.acquireUseRelease(
    acquire(raft, name),
    () => work,
    ({ key, value }) => swap(raft, key, value, unique("free"))
  )
