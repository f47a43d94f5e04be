import type { Buffer } from "node:buffer"
import type { ConnectionOptions } from "node:tls"
import type { Endpoint } from "../Socket.ts"
import * as Tls from "../Tls.ts"

/** Tickets that are kept of one node: TLS 1.3 gives two to a connection, and each should be used once. */
const TICKETS = 16

/**
 * Sessions of one node, so that all its connections but the first resume one: a handshake without certificates. @internal
 */
export class TlsSessions {
  private options: ConnectionOptions | undefined
  private tickets: Array<Buffer> = []

  /** What a dial is given. Sessions of options that are no longer in force are forgotten. */
  of(tls: Tls.Input | undefined): Pick<Endpoint, "tls" | "onSession"> {
    if (tls === undefined) return {}
    const options = Tls.current(tls)
    if (options !== this.options) {
      this.options = options
      this.tickets = []
    }
    // The last one is kept: with TLS 1.2 it serves any number of times.
    const session = this.tickets.length > 1 ? this.tickets.pop() : this.tickets[0]
    return {
      tls: session === undefined ? options : { ...options, session },
      onSession: (ticket) => {
        if (options !== this.options) return
        this.tickets.push(ticket)
        if (this.tickets.length > TICKETS) this.tickets.shift()
      }
    }
  }
}
