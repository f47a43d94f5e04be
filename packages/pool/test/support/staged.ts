/** A request that goes through a turn in stages, as those of the driver do. */
import type { Connection, ResponseHandler } from "@effect-scylla/pool/Connection"
import type { PoolReason } from "@effect-scylla/pool/PoolError"
import { Suspension } from "@effect-scylla/pool/Suspension"
import type { Sendable, Ticker } from "@effect-scylla/pool/Ticker"
import * as Frame from "@effect-scylla/protocol/Frame"
import type { Reader } from "@effect-scylla/protocol/Reader"
import * as Request from "@effect-scylla/protocol/Request"
import * as Exit from "effect/Exit"

/** Succeeds with the bytes of the answer. */
export class Staged extends Suspension<Buffer, PoolReason> implements ResponseHandler, Sendable {
  readonly text: string
  private readonly connection: Connection
  private readonly ticker: Ticker
  private readonly millis: number
  private stream = -1

  constructor(ticker: Ticker, connection: Connection, text: string, millis = 12_000) {
    super()
    this.ticker = ticker
    this.connection = connection
    this.text = text
    this.millis = millis
  }

  protected renew(): Staged {
    return new Staged(this.ticker, this.connection, this.text, this.millis)
  }

  protected start(): void {
    this.ticker.send(this)
  }

  send(): void {
    if (this.isSettled) return
    const { connection, ticker } = this
    const out = connection.begin()
    if (out === undefined) return this.settle(Exit.die(new Error("no room")))
    const start = out.pos
    const { dialect } = connection
    Request.encode(out, 0, { _tag: "Query", query: this.text, options: { consistency: "ONE" } }, { dialect })
    this.stream = connection.commit(start, this, ticker.deadline(this.millis))
  }

  protected abandon(): void {
    if (this.stream >= 0) this.connection.abandon(this.stream, this)
  }

  onResponse(_flags: number, opcode: number, body: Reader): void {
    if (opcode !== Frame.Opcode.RESULT) throw new Error(`opcode ${opcode}`)
    this.succeedLater(this.ticker, Buffer.from(body.copy(body.end - body.pos)))
  }

  onFailure(reason: PoolReason): void {
    this.settle(Exit.fail(reason))
  }
}
