import type { Random } from "../../../../test/support/random.ts"
import type { FakeNetwork, FakeSocket, Received } from "../support/network.ts"
import { error, FakeNode, type Options as NodeOptions } from "../support/node.ts"
import type { Ledger } from "./request.ts"

/** An answer that the server owes. */
interface Debt {
  readonly socket: FakeSocket
  readonly received: Received
}

/** A node that does what a real one may do on a bad day. */
export class ChaosServer {
  readonly network: FakeNetwork
  readonly node: FakeNode
  private readonly random: Random
  private readonly ledger: Ledger
  /** Answers nothing and forgets nothing: stopped, or collecting garbage. */
  isHung = false
  /** Answers heartbeats and handshakes, and nothing else. */
  isDeaf = false
  /** A shard that hangs; -1 for none. */
  hungShard = -1
  /** Accepts and closes. */
  isShedding = false
  /** Refuses dials. */
  isDown = false
  /** A firewall drops what goes to the shard-aware port. */
  isFiltered = false
  /** Requests of which the server will say nothing, in a thousand. */
  forgets = 0
  private readonly late: Array<Debt> = []
  /** Ids that each socket's server has not answered. */
  private readonly unanswered = new Map<FakeSocket, Set<number>>()
  /** Sockets that sent what no client may bear. */
  readonly condemned = new Set<FakeSocket>()

  constructor(network: FakeNetwork, options: NodeOptions, random: Random, ledger: Ledger) {
    this.network = network
    this.node = new FakeNode(network, options)
    this.random = random
    this.ledger = ledger
    network.judge = (endpoint) =>
      this.isDown
        ? "refuse"
        : endpoint.localPort === undefined
        ? "accept"
        : this.isFiltered
        ? "hang"
        : random.below(20) === 0
        ? "in use"
        : "accept"
    this.node.intercept = (socket, received) => this.receive(socket, received)
  }

  unansweredBy(socket: FakeSocket): Set<number> {
    let ids = this.unanswered.get(socket)
    if (ids === undefined) this.unanswered.set(socket, ids = new Set())
    return ids
  }

  private receive(socket: FakeSocket, received: Received): boolean {
    const { request, stream } = received
    const ids = this.unansweredBy(socket)
    if (ids.has(stream)) this.ledger.violated(`id ${stream} of ${socket.localPort} was used again before its answer`)
    ids.add(stream)
    if (request._tag === "Query") {
      this.ledger.arrived.add(request.query)
      if (this.ledger.unsent.has(request.query)) {
        this.ledger.violated(`${request.query}: was said not to be sent, and arrives`)
      }
    }
    if (this.isShedding && request._tag === "Options") {
      socket.end()
      return true
    }
    const isOurs = request._tag === "Query" && request.query.startsWith("q")
    if (isOurs && this.random.below(1000) < this.forgets) return true
    if (this.isLate(socket, received) || (isOurs && this.random.below(3) === 0)) this.late.push({ socket, received })
    else this.answer({ socket, received })
    return true
  }

  private answer({ received, socket }: Debt): void {
    const { request, stream } = received
    this.unansweredBy(socket).delete(stream)
    if (request._tag !== "Query" || !request.query.startsWith("q")) return this.node.answer(socket, received)
    if (this.random.below(30) === 0) return socket.respond(stream, error("Overloaded", "too busy"))
    socket.respond(stream, { _tag: "SetKeyspace", keyspace: request.query })
    if (this.random.below(400) === 0) this.condemn(socket, stream, request.query)
  }

  /** Stopped, all of it or what has to do with this. */
  private isLate(socket: FakeSocket, { request }: Received): boolean {
    if (this.isHung || (this.hungShard >= 0 && socket.shard === this.hungShard)) return true
    return this.isDeaf && request._tag === "Query"
  }

  /** Answers some of what it owes, in any order. */
  catchUp(count = this.late.length): void {
    for (let i = 0; i < count && this.late.length > 0; i++) {
      const at = this.random.below(this.late.length)
      const debt = this.late[at]!
      if (this.isLate(debt.socket, debt.received)) continue
      this.late[at] = this.late.at(-1)!
      this.late.pop()
      this.answer(debt)
    }
  }

  /** Says again what was answered already: the client must not take it for an answer to anything else. */
  private condemn(socket: FakeSocket, stream: number, text: string): void {
    if (socket.isClosed || socket.isDestroyed) return
    socket.respond(stream, { _tag: "SetKeyspace", keyspace: text })
    this.condemned.add(socket)
  }

  private get victim(): FakeSocket | undefined {
    const { open } = this.node
    return open.length === 0 ? undefined : open[this.random.below(open.length)]
  }

  /** Something that happens to one connection. */
  hurt(): string {
    const socket = this.victim
    if (socket === undefined) return "nothing"
    switch (this.random.below(7)) {
      case 0:
        socket.end(new Error("read ECONNRESET"))
        return "reset"
      case 1:
        // Half open: nothing arrives any more, and nobody says so.
        socket.deaf = true
        return "half-open"
      case 2: {
        const torn = Uint8Array.of(socket.dialect.version | 0x80, 0, 0, 1, 8, 0, 0, 1, 0, 1, 2, 3)
        socket.send(torn.subarray(0, 1 + this.random.below(torn.length)))
        socket.end()
        return "reset in the midst of a frame"
      }
      case 3:
        socket.respond(20_000 + this.random.below(1_000), { _tag: "Void" })
        this.condemned.add(socket)
        return "answer on an id that was never used"
      case 4:
        if (this.unansweredBy(socket).has(0)) return "nothing"
        socket.respond(0, error("ProtocolError", "the stream is broken"))
        this.condemned.add(socket)
        return "error of the whole connection"
      case 5:
        for (let i = 0; i < 20; i++) {
          socket.respond(-1, {
            _tag: "NodeEvent",
            type: "STATUS_CHANGE",
            change: i % 2 === 0 ? "UP" : "DOWN",
            address: Uint8Array.of(10, 0, 0, 1),
            port: 9042
          })
        }
        return "flood of events"
      default:
        socket.taking = false
        return "slow reader"
    }
  }

  /** The process ends; what it owed is lost. */
  crash(): void {
    this.late.length = 0
    for (const socket of this.node.open) socket.end(new Error("read ECONNRESET"))
  }

  /** Everything is well again, but for connections that are half open. */
  heal(): void {
    this.isHung = false
    this.isDeaf = false
    this.hungShard = -1
    this.isShedding = false
    this.isDown = false
    this.isFiltered = false
    this.forgets = 0
    this.node.nat = (port) => port
    this.node.others = []
    for (const socket of this.node.open) {
      socket.taking = true
      socket.drain()
    }
    this.catchUp()
  }
}
