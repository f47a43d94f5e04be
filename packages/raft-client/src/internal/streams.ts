/** Streams to nodes: opened on a connection that has room for them, given back when the scope closes. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ClusterAdapter, Failure, StreamSpec } from "../ClusterAdapter.ts"
import type { Leader } from "../LeaderBelief.ts"
import * as RaftError from "../RaftError.ts"
import type { Discovery } from "./discovery.ts"
import { Inbox } from "./inbox.ts"
import type { Node } from "./nodes.ts"
import { connect } from "./sender.ts"
import type { Settings } from "./settings.ts"

export const lost = (message: string): Failure => ({ _tag: "Unknown", cause: "Lost", message, doubt: true })

/** Why a stream is over. */
export const over = (adapter: ClusterAdapter, inbox: Inbox<unknown>): Failure =>
  inbox.broken !== undefined
    ? lost(`an event cannot be read: ${inbox.broken}`)
    : inbox.ended === undefined || inbox.ended.code === 0
    ? lost("the server ended the stream")
    : adapter.judgeStream(inbox.ended)

/** A stream whose headers have come, or why there is none. */
export const open = Effect.fnUntraced(function*<A>(
  settings: Settings,
  discovery: Discovery,
  node: Node,
  spec: StreamSpec<A>
): Effect.fn.Return<Inbox<A> | Failure, never, Scope.Scope> {
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
  if (inbox.isOver) return over(settings.adapter, inbox)
  return came ? inbox : lost("the server does not answer on the stream")
})

/** The leader, however long it takes; but not when whoever answers belongs to another cluster. */
export const leading = (
  operation: string,
  settings: Settings,
  discovery: Discovery
): Effect.Effect<Leader, RaftError.RaftError> =>
  Effect.catch(discovery.awaitLeader(settings.timeoutMillis), (why) => {
    if (why === "Closed") {
      return Effect.fail(RaftError.make(operation, new RaftError.ClientClosed({ message: "the client is closed" })))
    }
    const strangers = discovery.strangers()
    return strangers === undefined
      ? Effect.andThen(Effect.sleep(100), leading(operation, settings, discovery))
      : Effect.fail(RaftError.make(operation, new RaftError.OtherCluster({ message: strangers })))
  })
