import type { Dialect } from "@effect-scylla/protocol/Dialect"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type { Reader } from "@effect-scylla/protocol/Reader"
import type * as Request from "@effect-scylla/protocol/Request"
import * as Response from "@effect-scylla/protocol/Response"
import type { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as Exit from "effect/Exit"
import { ConnectionBusy, ConnectionClosed, PoolError, type PoolReason } from "../PoolError.ts"
import { Suspension } from "../Suspension.ts"
import type { ResponseHandler } from "./responseHandler.ts"

/** A response, and what is in front of it. */
export type Answer = { readonly response: Response.Response; readonly prefix: Response.Prefix }

/** What a question needs of a connection. */
export interface Asked {
  readonly dialect: Dialect
  readonly isOpen: boolean
  readonly closeReason: PoolReason | undefined
  /** The id of the request, -1 when none can be sent now. */
  askNow(request: Request.Request, handler: ResponseHandler, timeoutMillis: number): number
  abandon(id: number, handler: ResponseHandler): void
}

/** One question, its answer decoded in the general way. */
export class Ask extends Suspension<Answer, PoolError> implements ResponseHandler {
  protected readonly connection: Asked
  protected readonly message: Request.Request
  protected readonly timeoutMillis: number
  protected readonly decoders: RowDecoders
  private stream = -1

  constructor(connection: Asked, message: Request.Request, timeoutMillis: number, decoders: RowDecoders) {
    super()
    this.connection = connection
    this.message = message
    this.timeoutMillis = timeoutMillis
    this.decoders = decoders
  }

  protected renew(): Ask {
    return new Ask(this.connection, this.message, this.timeoutMillis, this.decoders)
  }

  protected start(): void {
    try {
      this.stream = this.connection.askNow(this.message, this, this.timeoutMillis)
    } catch (error) {
      const reason = error instanceof EncodeError
        ? error
        : new EncodeError({ message: `the request cannot be written: ${String(error)}`, path: "", cqlType: "" })
      return this.settle(Exit.fail(new PoolError({ reason })))
    }
    if (this.stream < 0) {
      const reason = this.connection.closeReason ?? (this.connection.isOpen
        ? new ConnectionBusy({ message: "the connection has as many requests under way as it may" })
        : new ConnectionClosed({ message: "the connection takes no more requests: it is about to close" }))
      this.settle(Exit.fail(new PoolError({ reason })))
    }
  }

  protected abandon(): void {
    this.connection.abandon(this.stream, this)
  }

  onResponse(flags: number, opcode: number, body: Reader): void {
    const prefix = Response.readPrefix(flags, body)
    const response = Response.decode(opcode, body, this.decoders, this.connection.dialect)
    this.settle(Exit.succeed({ response, prefix }))
  }

  onFailure(reason: PoolReason): void {
    this.settle(Exit.fail(new PoolError({ reason })))
  }
}

/** One that may be asked of somebody else as well: it gives up when nothing is heard of the peer. */
export class RepeatableAsk extends Ask {
  protected override renew(): RepeatableAsk {
    return new RepeatableAsk(this.connection, this.message, this.timeoutMillis, this.decoders)
  }

  onOverdue(): number {
    return 0
  }
}
