/** Watches that survive their node: opened on the leader, put together again from a scan where they cannot be resumed. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type {
  Call,
  Entry,
  Failure,
  MemberIds,
  Page,
  Scanned,
  StreamSpec,
  Target,
  Verdict,
  WatchItem
} from "../ClusterAdapter.ts"
import * as RaftError from "../RaftError.ts"
import type { Resync, WatchEvent } from "../WatchEvent.ts"
import type { Discovery } from "./discovery.ts"
import { Folded } from "./folded.ts"
import { Inbox } from "./inbox.ts"
import { refused } from "./judge.ts"
import type { Count } from "./metrics.ts"
import type { Node, Nodes } from "./nodes.ts"
import * as Paging from "./paging.ts"
import type { Requests } from "./requests.ts"
import type { Sender } from "./sender.ts"
import type { Session } from "./session.ts"
import type { Settings } from "./settings.ts"
import * as Streams from "./streams.ts"

export interface WatchSettings {
  readonly initial: boolean
  readonly on: "leader" | "any"
  readonly bufferSize: number
  readonly reconcileMillis: number
}

export interface Watching {
  readonly watch: (target: Target, settings: WatchSettings) => Stream.Stream<WatchEvent, RaftError.RaftError>
  readonly watchMembership: (pollMillis: number) => Stream.Stream<MemberIds, RaftError.RaftError>
}

/** How long the stream's own word is waited for after a scan that it may lag behind. */
const SETTLE = 20
const LONGEST_PAUSE = 1_000
/** How often a watch looks at what nobody tells it: silence, a node that is gone, a comparison that is due. */
const LOOK = 1_000
/** How many watches may be opened or compared at once: after a leader's death all of them are. */
const SYNCS = 16

/** How often a first state is read again because the servers turned out to have gone back while it was. */
const BASELINES = 3

type Change = Extract<WatchItem, { _tag: "Put" | "Delete" }>

const isChange = (item: WatchItem): item is Change => item._tag === "Put" || item._tag === "Delete"

/** Why a stream is left: it failed, or a better one is to be had, from where it ended or from a scan. */
type Left = { readonly _tag: "Again"; readonly resync: Resync["reason"] | undefined } | Failure

const leave = ({ compacted, message, why }: Extract<WatchItem, { _tag: "Canceled" }>): Left =>
  why === undefined ? { _tag: "Again", resync: compacted ? "Compacted" : undefined } : refused(why, message)

/** Everything that is watched, and the revision that this has certainly seen. */
interface Snapshot {
  readonly scanned: Scanned
  readonly low: bigint
}

/** Which servers, with what they remembered, a stream has told from. */
interface History {
  readonly lineage: number
  readonly period: number
}

export const make = (
  settings: Settings,
  nodes: Nodes,
  sender: Sender,
  discovery: Discovery,
  requests: Requests,
  session: Session | undefined,
  count: Count
): Watching => {
  const { adapter } = settings
  const { now } = sender
  const syncs = Semaphore.makeUnsafe(SYNCS)
  /** As many at once as `SYNCS`; the others can be counted. */
  const inTurn = <A, E, R>(sync: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      let waiting = true
      const begin = (): void => {
        if (waiting) count("waitingWatches", -1)
        waiting = false
      }
      count("waitingWatches")
      return Effect.ensuring(
        syncs.withPermit(Effect.andThen(Effect.sync(begin), sync)),
        // Interrupted while it waited.
        Effect.sync(begin)
      )
    })
  const closed = RaftError.make("watch", new RaftError.ClientClosed({ message: "the client is closed" }))

  const choose = Effect.fnUntraced(function*(on: "leader" | "any"): Effect.fn.Return<Node, RaftError.RaftError> {
    const leader = yield* Streams.leading("watch", settings, discovery)
    const others = on === "any"
      ? nodes.readers(settings.learners, settings.sticky, (node) => !discovery.belief.isIgnored(node.address, now()))
      : []
    return others[0] ?? nodes.get(leader.address)
  })

  /** What a verdict gives, else the verdict as failure. */
  const must = <A>(node: Node, call: Call<A>): Effect.Effect<A, Failure> =>
    Effect.flatMap(
      requests.once(node, call, settings.timeoutMillis),
      (verdict: Verdict<A>) => verdict._tag === "Done" ? Effect.succeed(verdict.value) : Effect.fail(verdict)
    )

  const nobody = new TextEncoder().encode("/.effect-scylla/none/")

  const snapshot = Effect.fnUntraced(
    function*(target: Target): Effect.fn.Return<Snapshot, Failure | RaftError.RaftError> {
      const { epoch, node } = yield* requests.confirmed("watch", settings.timeoutMillis, false)
      const { revision: low } = yield* must(node, adapter.scan(nobody))
      const entries = target.prefix
        ? (yield* must(node, adapter.scan(target.key))).entries
        : yield* must(node, adapter.get([target.key], "linearizable"))
      const after = yield* requests.confirmed("watch", settings.timeoutMillis, false)
      if (after.epoch !== epoch) return yield* Effect.fail(Streams.lost("the leader changed during a scan"))
      // A server applies, counts and tells one after the other: what the entries show may be newer than the revision that came
      // with them. It was counted before the confirming read was answered.
      const { revision } = yield* must(node, adapter.scan(nobody))
      return { scanned: { entries, revision }, low }
    }
  )

  /** The state for a stream that is resumed by revision: all pages are of one, and it comes with them. */
  const baseline = Effect.fnUntraced(
    function*(target: Target): Effect.fn.Return<Snapshot, RaftError.RaftError> {
      const { page } = adapter
      if (page !== undefined) {
        const entries: Array<Entry> = []
        let cursor: Paging.Cursor | undefined = Paging.start()
        let revision = 0n
        while (cursor !== undefined) {
          const [found, more]: readonly [Page, Paging.Cursor | undefined] = yield* Paging.next(
            settings,
            requests,
            page,
            "watch",
            target,
            cursor,
            settings.timeoutMillis
          )
          for (const entry of found.entries) entries.push(entry)
          revision = found.revision
          cursor = more
        }
        return { scanned: { entries, revision }, low: revision }
      }
      const scanned = yield* requests.run(
        "watch",
        adapter.scan(target.prefix ? target.key : nobody),
        "Quorum",
        settings.timeoutMillis
      )
      if (target.prefix) return { scanned, low: scanned.revision }
      // The revision came first: what changes between the two is told twice and dropped once.
      const { revision } = scanned
      const call = adapter.get([target.key], "linearizable")
      const entries = yield* requests.run("watch", call, "Quorum", settings.timeoutMillis)
      const low = entries.reduce((low, entry) => (entry.revision ?? 0n) > low ? entry.revision ?? low : low, revision)
      return { scanned: { entries, revision: low }, low }
    }
  )

  /** The revision that a quorum is at, asked for with a right to `target`. */
  const presentRevision = (target: Target): Effect.Effect<bigint, RaftError.RaftError> => {
    const call = adapter.page === undefined
      ? adapter.scan(target.key)
      : adapter.page({ ...target, limit: 1, after: undefined, revision: undefined })
    return Effect.map(
      requests.run<Scanned>("watch", call, "Quorum", settings.timeoutMillis),
      ({ revision }) => revision
    )
  }

  const watch: Watching["watch"] = (target, options) =>
    Stream.callback<WatchEvent, RaftError.RaftError>((queue) => {
      const folded = new Folded()
      let synced = false
      let from: bigint | undefined
      let history: History | undefined
      /** Why the next comparison is made, where it is not known from itself. */
      let because: Resync["reason"] | undefined

      /** The servers that were told from have lost something since, whatever they say now. */
      const isForgotten = (): boolean => {
        const { leader } = discovery.belief
        return history !== undefined &&
          (history.lineage !== requests.lineage() || (leader !== undefined && leader.period !== history.period))
      }

      /** A node is behind what was told: so is the cluster, unless it is a follower that will catch up. */
      const isBehind = Effect.suspend(() =>
        options.on === "leader"
          // It answered a linearizable read before it was believed in: it had applied all that was ever told.
          ? Effect.succeed(true)
          : Effect.map(presentRevision(target), (revision) => revision < folded.mark)
      )

      const out: Array<WatchEvent> = []
      const emit = (event: WatchEvent): void => void out.push(event)
      const flush = Effect.suspend(() => {
        const events = out.splice(0)
        return events.length === 0 ? Effect.void : Effect.asVoid(Queue.offerAll(queue, events))
      })

      const merge = (found: Snapshot, items: ReadonlyArray<Change>, fresh: boolean) =>
        Effect.suspend(() => {
          const { revision } = found.scanned
          if (fresh && synced) {
            const reason = revision < folded.mark ? "WentBack" : because ?? "Reopened"
            emit({ _tag: "Resync", reason, seen: folded.mark, revision })
          }
          because = undefined
          folded.merge(found.scanned, found.low, items, fresh, emit)
          if (!synced && !options.initial) out.length = 0
          if (fresh) {
            emit({ _tag: "Synced", revision: folded.mark })
            if (synced) count("resyncs")
          }
          synced = true
          return flush
        })

      /** Changes that came so far; a cancellation among them ends it. */
      const collect = (inbox: Inbox<WatchItem>): { items: Array<Change>; canceled: Left | undefined } => {
        const all = inbox.drain().flat()
        const canceled = all.find((item) => item._tag === "Canceled")
        return {
          items: all.filter(isChange),
          canceled: canceled === undefined ? undefined : leave(canceled)
        }
      }

      const compare = Effect.fnUntraced(function*(inbox: Inbox<WatchItem>, fresh: boolean) {
        const found = yield* snapshot(target)
        if (found.scanned.revision > found.low) yield* Effect.sleep(SETTLE)
        const { canceled, items } = collect(inbox)
        if (canceled !== undefined) return canceled
        yield* merge(found, items, fresh)
        return undefined
      })

      /** Reads the stream until there is a reason to leave it. */
      const follow = Effect.fnUntraced(
        function*(node: Node, inbox: Inbox<WatchItem>): Effect.fn.Return<Left, Failure | RaftError.RaftError> {
          const { ping } = adapter.watch({ ...target, from: undefined })
          const silence = adapter.watchProgressMillis * 2.5
          let heardAt = now()
          let pingedAt = now()
          let comparedAt = now()
          while (true) {
            yield* inbox.next(LOOK)
            const at = now()
            if (inbox.heard) {
              inbox.heard = false
              heardAt = at
            }
            for (const message of inbox.drain()) {
              // A cancellation has revision 0, so the type comes before any comparison of revisions.
              const canceled = message.find((item) => item._tag === "Canceled")
              for (const item of message) {
                if (item._tag !== "Progress") continue
                if (item.cluster !== undefined && item.cluster !== (discovery.cluster() ?? item.cluster)) {
                  return refused("OtherCluster", `another cluster answers at ${node.address}`)
                }
                if (item.revision !== undefined && item.revision < folded.mark && (yield* isBehind)) {
                  return { _tag: "Again", resync: "WentBack" }
                }
              }
              folded.apply(message.filter(isChange), emit, message.at(-1)?._tag === "Fragment")
              if (canceled !== undefined) {
                yield* flush
                return leave(canceled)
              }
            }
            yield* flush
            if (adapter.capabilities.resumableWatch) {
              if (isForgotten()) return { _tag: "Again", resync: "WentBack" }
              requests.saw(folded.mark)
            }
            if (inbox.isOver) return Streams.over(adapter, inbox)
            if (at - heardAt > silence) return Streams.lost(`nothing came for ${silence} ms`)
            const leader = discovery.belief.leader
            if (options.on === "leader" && leader !== undefined && leader.address !== node.address) {
              return { _tag: "Again", resync: undefined }
            }
            if (node.closed) return Streams.lost("the node is not a member any longer")
            if (ping !== undefined && at - pingedAt >= adapter.watchProgressMillis) {
              pingedAt = at
              inbox.write(ping)
            }
            if (!adapter.capabilities.resumableWatch && at - comparedAt >= options.reconcileMillis) {
              const left = yield* inTurn(compare(inbox, false))
              comparedAt = now()
              if (left !== undefined) return left
            }
          }
        }
      )

      const attempt: Effect.Effect<Left, Failure | RaftError.RaftError> = Effect.scoped(Effect.gen(function*() {
        const opened = yield* inTurn(Effect.gen(function*() {
          if (adapter.capabilities.resumableWatch && (from === undefined || isForgotten())) {
            if (from !== undefined) because = "WentBack"
            let found: Snapshot
            let tries = 0
            do {
              // Before the state is read: what is forgotten meanwhile is noticed, be it by this read itself.
              const { period } = yield* Streams.leading("watch", settings, discovery)
              history = { lineage: requests.lineage(), period }
              found = yield* baseline(target)
            } while (history.lineage !== requests.lineage() && ++tries < BASELINES)
            yield* merge(found, [], true)
            from = folded.mark + 1n
          }
          const node = yield* choose(options.on)
          const inbox = yield* Streams.open(settings, discovery, node, adapter.watch({ ...target, from }))
          if (!(inbox instanceof Inbox)) return inbox
          const left = adapter.capabilities.resumableWatch ? undefined : yield* compare(inbox, true)
          return left ?? { _tag: "Open" as const, node, inbox }
        }))
        if (opened._tag !== "Open") return opened
        const { inbox, node } = opened
        return yield* follow(node, inbox)
      }))

      return Effect.gen(function*() {
        let failures = 0
        /** A server may call a token that has ended a want of rights: once it is renewed for that. */
        let renewed = false
        yield* Effect.acquireRelease(Effect.sync(() => count("watches")), () => Effect.sync(() => count("watches", -1)))
        while (true) {
          const before = folded.mark
          const login = session?.generation ?? 0
          const left = yield* Effect.catch(
            attempt,
            (error) => error._tag === "RaftError" && !error.isRetryable ? Effect.fail(error) : Effect.succeed(error)
          )
          folded.interrupted()
          if (folded.mark !== before) renewed = false
          const denied = left._tag === "Unauthenticated" || (left._tag === "Refused" && left.why === "PermissionDenied")
          if (denied && session !== undefined && !renewed) {
            renewed = true
            yield* requests.logIn(login, settings.timeoutMillis)
          } else if (left._tag === "Refused" || denied) return yield* requests.failure("watch", left, false)
          if (sender.closed) return yield* closed
          if (left._tag === "Again") {
            if (left.resync !== undefined) {
              from = undefined
              because = left.resync
            }
          } else if (left._tag === "Unknown" && left.doubt) discovery.verify()
          if (from !== undefined) from = folded.mark + 1n
          failures = folded.mark !== before ? 0 : failures + 1
          yield* Effect.sleep(Math.min(5 * 2 ** Math.min(failures, 10), LONGEST_PAUSE))
        }
      })
    }, { bufferSize: options.bufferSize, strategy: "suspend" })

  const fromView: Stream.Stream<MemberIds> = Stream.map(
    Stream.concat(
      Stream.fromEffect(SubscriptionRef.get(discovery.view)),
      SubscriptionRef.changes(discovery.view)
    ),
    ({ members }) => ({
      voters: members.filter(({ voter }) => voter).map(({ id }) => id),
      learners: members.filter(({ voter }) => !voter).map(({ id }) => id)
    })
  )

  const distinct = Stream.changesWith<MemberIds>((a, b) =>
    a.voters.toSorted().join() === b.voters.toSorted().join() &&
    a.learners.toSorted().join() === b.learners.toSorted().join()
  )

  const streamed = (spec: StreamSpec<MemberIds>): Stream.Stream<MemberIds, RaftError.RaftError> =>
    Stream.callback<MemberIds, RaftError.RaftError>((queue) => {
      const session = Effect.scoped(Effect.gen(function*() {
        const node = yield* choose("leader")
        const inbox = yield* Streams.open(settings, discovery, node, spec)
        if (!(inbox instanceof Inbox)) return inbox
        while (true) {
          yield* inbox.next(LOOK)
          for (const message of inbox.drain()) {
            // Its addresses come by a probe.
            discovery.verify()
            yield* Queue.offerAll(queue, message)
          }
          if (inbox.isOver) return Streams.over(adapter, inbox)
          const leader = discovery.belief.leader
          if (leader !== undefined && leader.address !== node.address) return Streams.lost("another leader")
        }
      }))
      return Effect.gen(function*() {
        for (let failures = 0;; failures++) {
          const left = yield* session
          if (left._tag === "Refused") return yield* requests.failure("watchMembership", left, false)
          if (sender.closed) return yield* closed
          yield* Effect.sleep(Math.min(5 * 2 ** Math.min(failures, 10), LONGEST_PAUSE))
        }
      })
    })

  return {
    watch,
    watchMembership: (pollMillis) => {
      const spec = adapter.watchMembership
      if (spec !== undefined) return distinct(streamed(spec))
      const poll = Effect.forever(
        Effect.andThen(Effect.sleep(Duration.millis(pollMillis)), Effect.sync(discovery.verify))
      )
      return distinct(Stream.merge(fromView, Stream.drain(Stream.fromEffect(poll))))
    }
  }
}
