/** Watches that survive their node: opened on the leader, put together again from a scan where they cannot be resumed. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Call, Failure, MemberIds, Scanned, StreamSpec, Verdict, WatchItem } from "../ClusterAdapter.ts"
import type { Leader } from "../LeaderBelief.ts"
import * as RaftError from "../RaftError.ts"
import type { WatchEvent } from "../WatchEvent.ts"
import type { Discovery } from "./discovery.ts"
import { Folded } from "./folded.ts"
import { Inbox } from "./inbox.ts"
import { refused } from "./judge.ts"
import type { Count } from "./metrics.ts"
import type { Node, Nodes } from "./nodes.ts"
import type { Requests } from "./requests.ts"
import { connect, type Sender } from "./sender.ts"
import type { Settings } from "./settings.ts"

export interface Target {
  readonly key: Uint8Array
  readonly prefix: boolean
}

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

type Change = Extract<WatchItem, { _tag: "Put" | "Delete" }>

const isChange = (item: WatchItem): item is Change => item._tag === "Put" || item._tag === "Delete"

/** Why a stream is left: it failed, or a better one is to be had. */
type Left = { readonly _tag: "Again"; readonly resync: boolean } | Failure

const leave = ({ compacted, message, why }: Extract<WatchItem, { _tag: "Canceled" }>): Left =>
  why === undefined ? { _tag: "Again", resync: compacted } : refused(why, message)

export const make = (
  settings: Settings,
  nodes: Nodes,
  sender: Sender,
  discovery: Discovery,
  requests: Requests,
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

  /** The leader, however long it takes. */
  const leading: Effect.Effect<Leader, RaftError.RaftError> = Effect.suspend(() =>
    Effect.catch(
      discovery.awaitLeader(60_000),
      (why) => why === "Closed" ? Effect.fail(closed) : Effect.andThen(Effect.sleep(100), leading)
    )
  )

  const choose = Effect.fnUntraced(function*(on: "leader" | "any"): Effect.fn.Return<Node, RaftError.RaftError> {
    const leader = yield* leading
    const others = on === "any"
      ? nodes.readers(settings.learners, settings.sticky, (node) => !discovery.belief.isIgnored(node.address, now()))
      : []
    return others[0] ?? nodes.get(leader.address)
  })

  const lost = (message: string): Failure => ({ _tag: "Unknown", cause: "Lost", message, doubt: true })

  const over = (inbox: Inbox<unknown>): Failure =>
    inbox.broken !== undefined
      ? lost(`an event cannot be read: ${inbox.broken}`)
      : inbox.ended === undefined || inbox.ended.code === 0
      ? lost("the server ended the stream")
      : adapter.judgeStream(inbox.ended)

  /** A stream whose headers have come, or why there is none. */
  const open = Effect.fnUntraced(function*<A>(node: Node, spec: StreamSpec<A>) {
    const slot = yield* Effect.acquireRelease(
      Effect.sync(() => node.streamSlot()),
      (slot) => Effect.sync(slot.release)
    )
    const error = slot.channel.isReady()
      ? undefined
      : yield* settings.dialGate(node.address, connect(slot.channel, settings.probeMillis))
    if (error !== undefined) return lost(error)
    const inbox = yield* Effect.acquireRelease(
      Effect.sync(() => new Inbox(slot.channel, spec)),
      (inbox) => Effect.sync(() => inbox.close())
    )
    // A new leader is a reason to look, wherever the stream is.
    yield* Effect.acquireRelease(
      Effect.sync(() => discovery.listeners.add(inbox.poke)),
      () => Effect.sync(() => discovery.listeners.delete(inbox.poke))
    )
    const came = yield* inbox.until(() => inbox.opened || inbox.isOver, Math.max(settings.probeMillis, 1_000))
    if (inbox.isOver) return over(inbox)
    return came ? inbox : lost("the server does not answer on the stream")
  })

  /** What a verdict gives, else the verdict as failure. */
  const must = <A>(node: Node, call: Call<A>): Effect.Effect<A, Failure> =>
    Effect.flatMap(
      requests.once(node, call, settings.timeoutMillis),
      (verdict: Verdict<A>) => verdict._tag === "Done" ? Effect.succeed(verdict.value) : Effect.fail(verdict)
    )

  const nobody = new TextEncoder().encode("/.effect-scylla/none/")

  /** Everything that is watched, and the revision that this has certainly seen. */
  const snapshot = Effect.fnUntraced(
    function*(target: Target): Effect.fn.Return<{ scanned: Scanned; low: bigint }, Failure | RaftError.RaftError> {
      const { epoch, node } = yield* requests.confirmed("watch", settings.timeoutMillis, false)
      const { revision: low } = yield* must(node, adapter.scan(nobody))
      const entries = target.prefix
        ? (yield* must(node, adapter.scan(target.key))).entries
        : yield* must(node, adapter.get([target.key], "linearizable"))
      const after = yield* requests.confirmed("watch", settings.timeoutMillis, false)
      if (after.epoch !== epoch) return yield* Effect.fail(lost("the leader changed during a scan"))
      // A server applies, counts and tells one after the other: what the entries show may be newer than the revision that came
      // with them. It was counted before the confirming read was answered.
      const { revision } = yield* must(node, adapter.scan(nobody))
      return { scanned: { entries, revision }, low }
    }
  )

  /** The state for a stream that is resumed by revision: one read has both, the state and its revision. */
  const baseline = Effect.fnUntraced(
    function*(target: Target): Effect.fn.Return<{ scanned: Scanned; low: bigint }, RaftError.RaftError> {
      const scanned = target.prefix
        ? yield* requests.run("watch", adapter.scan(target.key), "Quorum", settings.timeoutMillis)
        : { entries: [], revision: 0n }
      if (target.prefix) return { scanned, low: scanned.revision }
      // The revision first: what changes between the two is told twice and dropped once.
      const { revision } = yield* requests.run("watch", adapter.scan(nobody), "Quorum", settings.timeoutMillis)
      const call = adapter.get([target.key], "linearizable")
      const entries = yield* requests.run("watch", call, "Quorum", settings.timeoutMillis)
      const low = entries.reduce((low, entry) => (entry.revision ?? 0n) > low ? entry.revision ?? low : low, revision)
      return { scanned: { entries, revision: low }, low }
    }
  )

  const watch: Watching["watch"] = (target, options) =>
    Stream.callback<WatchEvent, RaftError.RaftError>((queue) => {
      const folded = new Folded()
      let synced = false
      let from: bigint | undefined

      const out: Array<WatchEvent> = []
      const emit = (event: WatchEvent): void => void out.push(event)
      const flush = Effect.suspend(() => {
        const events = out.splice(0)
        return events.length === 0 ? Effect.void : Effect.asVoid(Queue.offerAll(queue, events))
      })

      const merge = (found: { scanned: Scanned; low: bigint }, items: ReadonlyArray<Change>, fresh: boolean) =>
        Effect.suspend(() => {
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
              folded.apply(message.filter(isChange), emit)
              if (canceled !== undefined) {
                yield* flush
                return leave(canceled)
              }
            }
            yield* flush
            if (inbox.isOver) return over(inbox)
            if (at - heardAt > silence) return lost(`nothing came for ${silence} ms`)
            const leader = discovery.belief.leader
            if (options.on === "leader" && leader !== undefined && leader.address !== node.address) {
              return { _tag: "Again", resync: false }
            }
            if (node.closed) return lost("the node is not a member any longer")
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

      const session: Effect.Effect<Left, Failure | RaftError.RaftError> = Effect.scoped(Effect.gen(function*() {
        const opened = yield* inTurn(Effect.gen(function*() {
          if (adapter.capabilities.resumableWatch && from === undefined) {
            const found = yield* baseline(target)
            yield* merge(found, [], true)
            from = folded.mark + 1n
          }
          const node = yield* choose(options.on)
          const inbox = yield* open(node, adapter.watch({ ...target, from }))
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
        yield* Effect.acquireRelease(Effect.sync(() => count("watches")), () => Effect.sync(() => count("watches", -1)))
        while (true) {
          const before = folded.mark
          const left = yield* Effect.catch(
            session,
            (error) => error._tag === "RaftError" && !error.isRetryable ? Effect.fail(error) : Effect.succeed(error)
          )
          if (left._tag === "Refused") return yield* requests.failure("watch", left, false)
          if (sender.closed) return yield* closed
          if (left._tag === "Again") {
            if (left.resync) from = undefined
          } else if (left._tag === "Unknown" && left.doubt) discovery.verify()
          if (from !== undefined) from = folded.mark + 1n
          failures = folded.mark > before ? 0 : failures + 1
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
        const inbox = yield* open(node, spec)
        if (!(inbox instanceof Inbox)) return inbox
        while (true) {
          yield* inbox.next(LOOK)
          for (const message of inbox.drain()) {
            // Its addresses come by a probe.
            discovery.verify()
            yield* Queue.offerAll(queue, message)
          }
          if (inbox.isOver) return over(inbox)
          const leader = discovery.belief.leader
          if (leader !== undefined && leader.address !== node.address) return lost("another leader")
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
