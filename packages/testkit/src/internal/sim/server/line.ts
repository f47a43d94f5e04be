/** What lies between a connection and its wire: it passes everything on, unless something is wrong with the node. */
import type { Wire } from "./wire.ts"

/** What is wrong with a node that runs, for as long as it is said to be. */
export type NodeFault =
  | { readonly _tag: "Stopped" }
  | { readonly _tag: "HalfOpen" }
  | { readonly _tag: "HeartbeatsOnly" }
  | { readonly _tag: "Slow"; readonly millis: number }

/** Bytes of a connection that wait for a node that is stopped; with more it is reset. */
const MAX_HELD = 16 * 1024 * 1024

/** What a line needs of its node. */
export interface LineHost {
  readonly fault: NodeFault | undefined
  readonly now: () => number
  readonly delay: (millis: number, task: () => void) => void
}

/** The connection that a line leads to. */
export interface LineEnd {
  receive(bytes: Uint8Array): void
  closed(): void
  destroy(): void
}

export class Line implements Wire {
  readonly remoteAddress: string
  readonly remotePort: number
  private readonly host: LineHost
  private readonly wire: Wire
  private connection: LineEnd | undefined
  /** What a stopped node will find when it goes on: what came, and what it was about to send. */
  private held: Array<() => void> = []
  private heldBytes = 0
  /** What a slow node will send, and when. */
  private readonly late: Array<{ readonly due: number; readonly task: () => void }> = []
  /** Bytes have vanished: this is no connection any more, and whoever still uses it is told with the next byte. */
  private isLost = false
  private isOver = false

  constructor(host: LineHost, wire: Wire) {
    this.host = host
    this.wire = wire
    this.remoteAddress = wire.remoteAddress
    this.remotePort = wire.remotePort
  }

  attach(connection: LineEnd): void {
    this.connection = connection
  }

  /** Bytes of the client; they may be overwritten afterwards. */
  receive(bytes: Uint8Array): void {
    if (this.isOver) return
    const { fault } = this.host
    if (fault?._tag === "HalfOpen") this.isLost = true
    else if (this.isLost) this.connection?.destroy()
    else if (fault?._tag !== "Stopped") this.connection?.receive(bytes)
    else {
      const copy = Uint8Array.from(bytes)
      this.hold(() => this.connection?.receive(copy), copy.length)
    }
  }

  /** The client sends no more; `answer` does the same. */
  ended(answer: () => void): void {
    const { fault } = this.host
    if (fault?._tag === "HalfOpen") this.isLost = true
    if (fault?._tag === "Stopped" || fault?._tag === "HalfOpen") this.hold(answer)
    else answer()
  }

  /** The client is gone. */
  closed(): void {
    const { fault } = this.host
    if (fault?._tag === "Stopped" || fault?._tag === "HalfOpen") this.hold(() => this.over())
    else this.over()
  }

  private over(): void {
    this.isOver = true
    this.connection?.closed()
  }

  private hold(task: () => void, bytes = 0): void {
    this.held.push(task)
    this.heldBytes += bytes
    if (this.heldBytes > MAX_HELD) this.connection?.destroy()
  }

  /** The fault of the node is another one, or over. */
  changed(): void {
    if (this.host.fault?._tag === "Stopped" || this.host.fault?._tag === "HalfOpen") return
    const { held } = this
    this.held = []
    this.heldBytes = 0
    for (const task of held) task()
  }

  send(bytes: Uint8Array): void {
    if (this.host.fault === undefined && this.late.length === 0 && !this.isLost) return this.wire.send(bytes)
    const copy = Uint8Array.from(bytes)
    this.outgoing(() => this.wire.send(copy), copy.length)
  }

  end(): void {
    this.outgoing(() => this.wire.end())
  }

  private outgoing(task: () => void, bytes = 0): void {
    if (this.isOver) return
    const { fault } = this.host
    if (fault?._tag === "HalfOpen" || this.isLost) this.isLost = true
    else if (fault?._tag === "Stopped") this.hold(task, bytes)
    else if (fault?._tag === "Slow" || this.late.length > 0) this.later(fault?._tag === "Slow" ? fault.millis : 0, task)
    else task()
  }

  /** Nothing overtakes what is late already. */
  private later(millis: number, task: () => void): void {
    const now = this.host.now()
    const due = Math.max(now + millis, this.late.at(-1)?.due ?? 0)
    this.late.push({ due, task })
    this.host.delay(due - now, () => {
      while (this.late.length > 0 && this.late[0]!.due <= this.host.now()) this.late.shift()!.task()
    })
  }

  destroy(): void {
    this.isOver = true
    this.held = []
    this.late.length = 0
    this.wire.destroy()
  }
}
