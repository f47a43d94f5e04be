/** Leases: granted, renewed three times in their life, revoked when their scope closes. */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ClusterAdapter, Failure, LeaseCalls } from "../ClusterAdapter.ts"
import type { Lease } from "../Lease.ts"
import * as RaftError from "../RaftError.ts"
import type { Discovery } from "./discovery.ts"
import { Inbox } from "./inbox.ts"
import type { Nodes } from "./nodes.ts"
import type { Requests } from "./requests.ts"
import type { Sender } from "./sender.ts"
import { type Settings, toMillis } from "./settings.ts"
import * as Streams from "./streams.ts"

/** How long a revocation may take: what is not revoked ends by itself. */
const REVOKE_MILLIS = 1_000
const LONGEST_PAUSE = 500

export const unsupported = (
  operation: string,
  adapter: ClusterAdapter,
  capability: string,
  write: boolean
): RaftError.RaftError =>
  RaftError.make(
    operation,
    new RaftError.Unsupported({ capability, message: `${adapter.name} has no ${capability}` }),
    write ? "NotSent" : undefined
  )

/** Whole seconds of a time; a message when it is none. */
export const wholeSeconds = (ttl: Duration.Input): number | string => {
  const seconds = toMillis(ttl) / 1000
  return Number.isInteger(seconds) && seconds >= 1
    ? seconds
    : `a TTL is whole seconds, at least one; this is ${seconds} s`
}

export const make = (
  settings: Settings,
  nodes: Nodes,
  sender: Sender,
  discovery: Discovery,
  requests: Requests
) => {
  const { adapter } = settings
  const { now } = sender

  /** Renews until the server says that there is nothing to renew. */
  const keeping = (calls: LeaseCalls, id: bigint, seconds: number, renewed: (until: number) => void) => {
    const interval = seconds * 1_000 / 3
    const patience = Math.min(interval, Math.max(settings.probeMillis, 1_000))
    const stream: Effect.Effect<"Gone" | Failure, RaftError.RaftError> = Effect.scoped(Effect.gen(function*() {
      const leader = yield* Streams.leading("lease", settings, discovery)
      const spec = calls.keepAlive(id)
      let sentAt = now()
      const inbox = yield* Streams.open(settings, discovery, nodes.get(leader.address), spec)
      if (!(inbox instanceof Inbox)) return inbox
      while (true) {
        yield* inbox.until(() => !inbox.isEmpty || inbox.isOver, patience)
        const left = inbox.drain().flat().at(-1)
        if (left === undefined) {
          return inbox.isOver ? Streams.over(adapter, inbox) : Streams.lost("a renewal was not answered")
        }
        if (left <= 0) return "Gone" as const
        renewed(sentAt + left * 1_000)
        yield* Effect.sleep(interval)
        if (inbox.isOver) return Streams.over(adapter, inbox)
        sentAt = now()
        inbox.write(spec.ping ?? spec.body)
      }
    }))
    return Effect.gen(function*() {
      for (let failures = 0;; failures++) {
        const left = yield* Effect.catch(stream, (error) => Effect.succeed(error))
        if (left === "Gone") return `lease ${id} is gone from the server`
        if (left._tag === "RaftError" && !left.isRetryable) return `lease ${id} cannot be renewed: ${left.message}`
        if (left._tag === "Refused") return `lease ${id} cannot be renewed: ${left.message}`
        if (left._tag === "Unknown" && left.doubt) discovery.verify()
        yield* Effect.sleep(Math.min(10 * 2 ** Math.min(failures, 10), LONGEST_PAUSE))
      }
    })
  }

  const grant = Effect.fnUntraced(
    function*(
      operation: string,
      ttl: Duration.Input,
      timeoutMillis: number
    ): Effect.fn.Return<Lease, RaftError.RaftError, Scope.Scope> {
      const calls = adapter.leases
      if (calls === undefined) return yield* unsupported(operation, adapter, "leases", false)
      const wanted = wholeSeconds(ttl)
      if (typeof wanted === "string") {
        return yield* RaftError.make(operation, new RaftError.InvalidRequest({ message: wanted }))
      }
      let until = 0
      const lost = Deferred.makeUnsafe<RaftError.RaftError>()
      const isAlive = (): boolean => !Deferred.isDoneUnsafe(lost) && now() < until
      const { id, seconds } = yield* Effect.acquireRelease(
        Effect.suspend(() => {
          const sentAt = now()
          return Effect.tap(
            requests.run(operation, calls.grant(wanted), "Quorum", timeoutMillis),
            (granted) =>
              Effect.sync(() => {
                until = sentAt + granted.seconds * 1_000
              })
          )
        }),
        ({ id }) =>
          Effect.suspend(() =>
            isAlive() && !sender.closed
              ? Effect.ignore(requests.run("revokeLease", calls.revoke(id), "Quorum", REVOKE_MILLIS))
              : Effect.void
          ),
        { interruptible: true }
      )
      const expired = Effect.gen(function*() {
        while (now() < until) yield* Effect.sleep(until - now())
        return `lease ${id} could not be renewed in time`
      })
      const kept = keeping(calls, id, seconds, (renewed) => {
        if (renewed > until) until = renewed
      })
      yield* Effect.forkScoped(Effect.flatMap(Effect.raceFirst(kept, expired), (message) => {
        until = 0
        return Deferred.succeed(lost, RaftError.make("lease", new RaftError.LeaseLost({ message })))
      }))
      return { id, seconds, isAlive: Effect.sync(isAlive), lost: Deferred.await(lost) }
    }
  )

  return { grant }
}
