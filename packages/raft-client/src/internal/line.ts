/**
 * Standing in line: everybody puts a key of their own under a prefix, with a lease, and waits until nobody who came before is
 * there. The revision at which a key was created is its number in the line: it only grows, so it fences too.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Entry } from "../ClusterAdapter.ts"
import type { Lease } from "../Lease.ts"
import * as Prefix from "../Prefix.ts"
import { RaftClient } from "../RaftClient.ts"
import * as RaftError from "../RaftError.ts"
import * as Transaction from "../Transaction.ts"
import type { WatchEvent } from "../WatchEvent.ts"
import { type Bytes, compareBytes, toBytes } from "./bytes.ts"

/** A place at the head of the line. */
export interface Place {
  readonly key: Uint8Array
  readonly token: bigint
  readonly lease: Lease
  readonly lost: Effect.Effect<RaftError.RaftError>
}

export const prefixOf = (
  operation: string,
  name: Prefix.Prefix | string
): Effect.Effect<Prefix.Prefix, RaftError.RaftError> => {
  const made = typeof name === "string" ? Prefix.make(name) : Result.succeed(name)
  return Result.isSuccess(made)
    ? Effect.succeed(made.success)
    : Effect.fail(RaftError.make(operation, new RaftError.InvalidRequest({ message: made.failure.message })))
}

const gone = (operation: string, message: string): RaftError.RaftError =>
  RaftError.make(operation, new RaftError.LeaseLost({ message }))

const numberOf = ({ created }: Entry): bigint => created ?? 0n

/** Those in the line, the first one first. */
export const queue = Effect.fnUntraced(
  function*(prefix: Prefix.Prefix): Effect.fn.Return<ReadonlyArray<Entry>, RaftError.RaftError, RaftClient> {
    const client = yield* RaftClient
    const { entries } = yield* client.scan(prefix)
    return entries.toSorted((a, b) => numberOf(a) < numberOf(b) ? -1 : 1)
  }
)

/** As long as the lease lives: it ends whatever waits for a place. */
const persistently = Schedule.spaced("100 millis")

/** Waits until a key is not there. */
const untilGone = (
  changes: Stream.Stream<WatchEvent, RaftError.RaftError>
): Effect.Effect<void, RaftError.RaftError> => {
  let isThere = false
  return Stream.runDrain(Stream.takeUntil(changes, (event) => {
    if (event._tag === "Put") isThere = true
    if (event._tag === "Delete") isThere = false
    return event._tag === "Delete" || (event._tag === "Synced" && !isThere)
  }))
}

/** Puts the key unless it is there: an answer that was lost is asked for again. */
const register = Effect.fnUntraced(
  function*(
    operation: string,
    key: Uint8Array,
    value: Uint8Array,
    lease: Lease
  ): Effect.fn.Return<bigint, RaftError.RaftError, RaftClient> {
    const client = yield* RaftClient
    const attempt = client.transact({
      compare: [Transaction.isAbsent(key)],
      success: [Transaction.put(key, value, lease.id)],
      failure: [Transaction.get(key)]
    })
    const { results, revision, succeeded } = yield* Effect.retry(attempt, {
      schedule: persistently,
      while: (error) => error.outcome === "Ambiguous" || error.isSafeToRetry
    })
    if (succeeded) return revision
    const [found] = results
    if (found?._tag !== "Get" || found.entry === undefined) {
      return yield* gone(operation, "the key of this place was deleted while it was put")
    }
    return found.entry.created
  }
)

const wait = Effect.fnUntraced(
  function*(operation: string, prefix: Prefix.Prefix, key: Uint8Array, token: bigint) {
    const client = yield* RaftClient
    while (true) {
      const line = yield* Effect.retry(queue(prefix), {
        schedule: persistently,
        while: ({ isSafeToRetry }) => isSafeToRetry
      })
      if (!line.some((entry) => compareBytes(entry.key, key) === 0 && numberOf(entry) === token)) {
        return yield* gone(operation, "somebody else deleted the key of this place in the line")
      }
      const before = line.findLast((entry) => numberOf(entry) < token)
      if (before === undefined) return
      // Only the one before: if all who wait looked at the first, all would come running when it goes.
      yield* untilGone(client.watch(before.key))
    }
  }
)

const enter = Effect.fnUntraced(
  function*(
    operation: string,
    name: Prefix.Prefix | string,
    value: Bytes,
    ttl: Duration.Input
  ): Effect.fn.Return<Place, RaftError.RaftError, RaftClient | Scope.Scope> {
    const client = yield* RaftClient
    const prefix = yield* prefixOf(operation, name)
    const lease = yield* client.grantLease(ttl)
    const key = toBytes(`${prefix.text}${lease.id.toString(16).padStart(16, "0")}`)
    const standing = Effect.gen(function*() {
      const token = yield* register(operation, key, toBytes(value), lease)
      yield* wait(operation, prefix, key, token)
      return token
    })
    const token = yield* Effect.raceFirst(standing, Effect.flatMap(lease.lost, Effect.fail))
    const deleted = Deferred.makeUnsafe<RaftError.RaftError>()
    yield* Effect.forkScoped(Effect.matchEffect(untilGone(client.watch(key)), {
      // The lease goes on being renewed, and its end is told by itself.
      onFailure: () => Effect.void,
      onSuccess: () =>
        Deferred.succeed(
          deleted,
          gone(operation, "the key that stood for it is gone; its lease ended, or somebody deleted it")
        )
    }))
    return { key, token, lease, lost: Effect.raceFirst(lease.lost, Deferred.await(deleted)) }
  }
)

/** The default for leases of locks and offices. */
export const TTL = Duration.seconds(10)

/** The head of the line; whoever gives up waiting leaves the line at once. */
export const stand = (
  operation: string,
  name: Prefix.Prefix | string,
  value: Bytes,
  ttl: Duration.Input
): Effect.Effect<Place, RaftError.RaftError, RaftClient | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      return yield* restore(Scope.provide(enter(operation, name, value, ttl), scope)).pipe(
        Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(scope, Exit.failCause(exit.cause)) : Effect.void)
      )
    })
  )
