import type { Place, Waiter } from "@effect-scylla/pool/Admission"
import type { Connection, ResponseHandler } from "@effect-scylla/pool/Connection"
import type * as NodePool from "@effect-scylla/pool/NodePool"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import type { Resumable, Sendable, Ticker } from "@effect-scylla/pool/Ticker"
import type { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as Response from "@effect-scylla/protocol/Response"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"

const decoders = new RowDecoders()

/** Where violations are noted: what is thrown in a callback would be taken for a fault of the peer. */
export interface Ledger {
  readonly violated: (what: string) => void
  /** Texts that have reached a server. */
  readonly arrived: Set<string>
  /** Texts of which it was said that they were not sent: they must never arrive. */
  readonly unsent: Set<string>
  /** Those that wait on a pool, in the order in which they began to. */
  readonly waiting: Map<NodePool.NodePool, Set<ChaosRequest>>
}

/** Which of its steps wait for the end of the turn. */
export interface Stages {
  /** It goes elsewhere, here: fails, when nothing is heard of its peer. */
  readonly movesOn: boolean
  readonly sendsLater: boolean
  readonly resumesLater: boolean
}

/** One request, which holds its connection to what it promises. */
export class ChaosRequest implements ResponseHandler, Waiter, Sendable, Resumable {
  readonly text: string
  readonly pool: NodePool.NodePool
  readonly deadline: number
  /** What became of it; `undefined` while nobody knows. */
  end: "answered" | "failed" | "refused" | "abandoned" | undefined = undefined
  /** Told once it is answered, on the stack of the read or at the end of the turn: a caller that goes on at once. */
  onAnswered: (() => void) | undefined
  private readonly ledger: Ledger
  private readonly ticker: Ticker
  private readonly stages: Stages
  private shard = 0
  private pinned = false
  private connection: Connection | undefined
  private stream = -1
  private place: Place | undefined
  /** Its answer is here, and it has not gone on yet. */
  private isResuming = false

  constructor(
    text: string,
    pool: NodePool.NodePool,
    deadline: number,
    { ledger, stages, ticker }: { readonly ledger: Ledger; readonly ticker: Ticker; readonly stages: Stages }
  ) {
    this.text = text
    this.pool = pool
    this.deadline = deadline
    this.ledger = ledger
    this.ticker = ticker
    this.stages = stages
  }

  get isWaiting(): boolean {
    return this.place?.isWaiting === true
  }

  start(shard: number, pinned: boolean): void {
    this.shard = shard
    this.pinned = pinned
    if (this.stages.sendsLater) this.ticker.send(this)
    else this.attempt()
  }

  /** Called by the ticker. */
  send(): void {
    if (this.end === undefined) this.attempt()
  }

  private attempt(): void {
    const connection = this.pool.pick(this.shard, this.pinned)
    if (connection === undefined) return this.wait()
    if (!connection.isOpen) this.ledger.violated(`${this.text}: a closed connection was picked`)
    this.write(connection)
  }

  private wait(): void {
    const place = this.pool.wait(this, this.deadline)
    if ("_tag" in place) {
      this.settle("refused")
      return
    }
    this.place = place
    this.waiters.add(this)
  }

  private get waiters(): Set<ChaosRequest> {
    let waiters = this.ledger.waiting.get(this.pool)
    if (waiters === undefined) this.ledger.waiting.set(this.pool, waiters = new Set())
    return waiters
  }

  private write(connection: Connection): void {
    const out = connection.begin()
    if (out === undefined) {
      this.ledger.violated(`${this.text}: a connection was given that takes no request`)
      this.settle("refused")
      return
    }
    const start = out.pos
    const { dialect } = connection
    Request.encode(out, 0, { _tag: "Query", query: this.text, options: { consistency: "ONE" } }, { dialect })
    this.connection = connection
    this.stream = connection.commit(start, this, this.deadline)
  }

  private isUnsent(): void {
    this.ledger.unsent.add(this.text)
    if (!this.ledger.arrived.has(this.text)) return
    this.ledger.violated(`${this.text}: is said not to be sent, and has arrived`)
  }

  private settle(end: NonNullable<ChaosRequest["end"]>): boolean {
    if (this.end !== undefined) {
      this.ledger.violated(`${this.text}: ${end} after it was ${this.end}`)
      return false
    }
    this.end = end
    return true
  }

  onResponse(flags: number, opcode: number, body: Reader): void {
    if (this.end !== undefined || this.isResuming) {
      this.ledger.violated(`${this.text}: is answered after it was ${this.end ?? "answered"}`)
      return
    }
    Response.readPrefix(flags, body)
    const response = Response.decode(opcode, body, decoders, this.connection!.dialect)
    if (response._tag !== "Error" && (response._tag !== "SetKeyspace" || response.keyspace !== this.text)) {
      this.ledger.violated(`${this.text}: got the answer of ${JSON.stringify(response)}`)
    }
    this.isResuming = true
    if (this.stages.resumesLater) this.ticker.resume(this)
    else this.resume()
  }

  /** Called by the ticker. */
  resume(): void {
    this.isResuming = false
    // Interrupted meanwhile.
    if (this.end === "abandoned") return
    if (this.settle("answered")) this.onAnswered?.()
  }

  onFailure(_reason: PoolReason, sent: boolean): void {
    if (this.isResuming) this.ledger.violated(`${this.text}: failed after it was answered`)
    if (!this.settle("failed")) return
    if (!sent) this.isUnsent()
  }

  onOverdue(now: number): number {
    if (now >= this.deadline) return 0
    return this.stages.movesOn && this.connection!.isSilent ? 0 : this.deadline
  }

  onAdmitted(connection: Connection): void {
    const [first] = this.waiters
    if (first !== this) this.ledger.violated(`${this.text}: has overtaken ${first?.text}`)
    this.waiters.delete(this)
    if (this.end !== undefined) this.ledger.violated(`${this.text}: let in after it was ${this.end}`)
    else this.write(connection)
  }

  onRefused(): void {
    this.waiters.delete(this)
    if (this.settle("refused")) this.isUnsent()
  }

  /** The caller is interrupted. Answers in which stage; `undefined` where it was over. */
  abandon(): "to be sent" | "waiting" | "in flight" | "to be resumed" | undefined {
    if (this.end !== undefined) return undefined
    this.end = "abandoned"
    // The connection knows it no more.
    if (this.isResuming) return "to be resumed"
    if (this.connection !== undefined) {
      this.connection.abandon(this.stream, this)
      return "in flight"
    }
    if (this.isWaiting) {
      this.waiters.delete(this)
      this.pool.leave(this.place!)
    }
    this.isUnsent()
    return this.place === undefined ? "to be sent" : "waiting"
  }
}
