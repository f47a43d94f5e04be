/** Sends calls and keeps account of them, so that a client that closes can end each one with the truth. */
import * as Effect from "effect/Effect"
import type { Answer, Channel } from "../Channel.ts"
import type { Call, Verdict } from "../ClusterAdapter.ts"
import { unknown } from "./judge.ts"
import type { Node } from "./nodes.ts"

interface Pending {
  readonly node: Node
  readonly write: boolean
  abort(message: string): void
}

/** An adapter of somebody else's may throw, in a callback of a socket, where nobody would catch it. */
const judged = <A>(call: Call<A>, answer: Answer): Verdict<A> => {
  try {
    return call.judge(answer)
  } catch (error) {
    return unknown("Unreadable", `the adapter threw: ${String(error)}`)
  }
}

export class Sender {
  inFlight = 0
  closed = false
  /** Called when a request goes out while none is under way. */
  onBusy: () => void = () => {}
  readonly now: () => number
  private readonly pending = new Set<Pending>()

  constructor(now: () => number) {
    this.now = now
  }

  /** `settle` is called once, unless the returned function is called before: that forgets the request. */
  send<A>(
    node: Node,
    call: Call<A>,
    timeoutMillis: number,
    settle: (verdict: Verdict<A>, sentAt: number) => void
  ): () => void {
    const sentAt = this.now()
    if (node.inFlight++ === 0) node.quietSince = sentAt
    if (this.inFlight++ === 0) this.onBusy()
    let open = true
    let cancel: (() => void) | undefined
    const finish = (): boolean => {
      if (!open) return false
      open = false
      this.inFlight--
      node.inFlight--
      this.pending.delete(pending)
      node.release()
      return true
    }
    const pending: Pending = {
      node,
      write: call.write,
      abort: (message) => {
        if (!finish()) return
        cancel?.()
        settle({ _tag: "Unknown", cause: "Lost", message, doubt: false }, sentAt)
      }
    }
    this.pending.add(pending)
    cancel = node.channel.unary(call.path, call.body, timeoutMillis, (answer) => {
      if (!finish()) return
      const at = this.now()
      if (answer.origin === "Server") {
        node.quietSince = at
        node.lastAnswerAt = at
        node.latency.add(at - sentAt)
      }
      settle(judged(call, answer), sentAt)
    })
    return () => {
      if (finish()) cancel()
    }
  }

  /** One attempt as an effect; interruption cancels the call. */
  readonly attempt = <A>(node: Node, call: Call<A>, timeoutMillis: number): Effect.Effect<Sent<A>> =>
    Effect.callback((resume) => {
      const cancel = this.send(node, call, timeoutMillis, (verdict, sentAt) => {
        resume(Effect.succeed({ verdict, sentAt }))
      })
      return Effect.sync(cancel)
    })

  /** The node is not believed in any longer: reads that wait for it may ask somebody else. Writes wait for their answer. */
  giveUpReads(node: Node): void {
    for (const pending of this.pending) {
      if (pending.node === node && !pending.write) pending.abort("the node was given up before it answered")
    }
  }

  /** Ends everything that is under way. */
  abortAll(message: string): void {
    this.closed = true
    for (const pending of this.pending) pending.abort(message)
  }
}

export interface Sent<A> {
  readonly verdict: Verdict<A>
  readonly sentAt: number
}

/** Connects; undefined when it is connected, else why not. */
export const connect = (channel: Channel, timeoutMillis: number): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const cancel = channel.connect(timeoutMillis, (error) => resume(Effect.succeed(error)))
    return Effect.sync(cancel)
  })
