/** One attempt of a request on a node: under way, counted, and ended once. What becomes of it, a client decides. */
import * as AlternatorError from "../AlternatorError.ts"
import type { AlternatorNodes } from "../AlternatorNodes.ts"
import type { AlternatorTransport } from "../AlternatorTransport.ts"
import type { Exchange, ExchangeFailure, ExchangeHandler, ResponseHeaders } from "../Exchange.ts"
import type { TrackedNode } from "../NodeHealth.ts"
import type { Deadlines, Expiring } from "./deadlines.ts"
import { isShed } from "./retry.ts"

export interface Surroundings {
  readonly nodes: AlternatorNodes
  readonly transport: AlternatorTransport
  readonly deadlines: Deadlines
  readonly maxResponseBytes: number
}

/** Whether a refusal is because the node has too much to do; the limit of a partition says nothing of the node. */
const isLimited = (body: Uint8Array): boolean => {
  if (body.length > 4096) return false
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1")
  return text.includes("#RequestLimitExceeded") && isShed(text)
}

export abstract class NodeAttempt implements ExchangeHandler, Expiring {
  private isOver = false
  private exchange: Exchange | undefined
  /** Of the monotonic clock. */
  private readonly start: number
  readonly expiresAt: number
  protected readonly node: TrackedNode
  private readonly surroundings: Surroundings

  constructor(surroundings: Surroundings, node: TrackedNode, start: number, expiresAt: number) {
    this.surroundings = surroundings
    this.node = node
    this.start = start
    this.expiresAt = expiresAt
  }

  /** Called once, unless the attempt is given up; after it nothing else is. */
  protected abstract failed(reason: AlternatorError.AlternatorReason, outcome: AlternatorError.Outcome): void
  /** Likewise, with whatever the node said. */
  protected abstract answered(status: number, headers: ResponseHeaders, body: Uint8Array): void

  launch(path: string, headers: ReadonlyArray<string>, body: string | Uint8Array | undefined): void {
    const { deadlines, maxResponseBytes, transport } = this.surroundings
    this.node.outstanding++
    deadlines.add(this)
    const { node } = this
    this.exchange = transport.dispatch(
      { node, method: "POST", path, headers, body, lane: "data", maxBody: maxResponseBytes },
      this
    )
  }

  /** Since its start. */
  get millis(): number {
    return this.surroundings.deadlines.now() - this.start
  }

  /** Whether any byte may have been given to a connection. */
  get isSent(): boolean {
    return this.exchange?.sent === true
  }

  /** False when it was over before. */
  private end(): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.node.outstanding--
    this.surroundings.deadlines.remove(this)
    return true
  }

  /** Nobody waits for it any more. False when it was over before. */
  giveUp(): boolean {
    if (!this.end()) return false
    this.exchange?.abort()
    this.surroundings.nodes.observe(this.node, "given-up", this.start)
    return true
  }

  expire(isClosing: boolean): void {
    if (!this.end()) return
    const { isSent, millis, node } = this
    this.exchange?.abort()
    const outcome = isSent ? "Ambiguous" : "NotSent"
    // What waited for a connection says nothing of the node: there are more requests than connections.
    const late = `did not answer in ${Math.round(millis)} ms`
    this.surroundings.nodes.observe(node, isSent && !isClosing ? "timeout" : "given-up", this.start, late)
    this.failed(
      isClosing
        ? new AlternatorError.Closed({ message: "the client was closed" })
        : new AlternatorError.AttemptTimeout({ message: `${node.hostHeader} ${late}` }),
      outcome
    )
  }

  onFailure({ cause, kind, message, sent }: ExchangeFailure): void {
    if (!this.end()) return
    const { node } = this
    const text = `${node.hostHeader}: ${message}`
    const outcome = sent ? "Ambiguous" : "NotSent"
    if (kind === "closed") return this.failed(new AlternatorError.Closed({ message: text }), outcome)
    this.surroundings.nodes.observe(node, kind === "oversized" ? "answered" : kind, this.start, message)
    if (kind === "oversized") {
      return this.failed(new AlternatorError.MalformedResponse({ message: text, status: 200 }), outcome)
    }
    if (kind === "lost") return this.failed(new AlternatorError.ConnectionLost({ message: text, cause }), outcome)
    const code = (cause as { readonly code?: unknown } | undefined)?.code
    this.failed(
      new AlternatorError.NodeUnreachable({ message: text, cause, kind: typeof code === "string" ? code : message }),
      outcome
    )
  }

  onAnswer(status: number, headers: ResponseHeaders, body: Uint8Array): void {
    if (!this.end()) return
    const observation = status >= 500 ? "server-error" : status === 400 && isLimited(body) ? "limited" : "answered"
    const detail = status >= 500 ? `status ${status}` : undefined
    this.surroundings.nodes.observe(this.node, observation, this.start, detail)
    this.answered(status, headers, body)
  }
}
