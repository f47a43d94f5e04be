/** The connections of a client: one node for each address, one channel for its calls and others for its streams. */
import type { Channel, ChannelOptions } from "../Channel.ts"
import type { Member } from "../ClusterAdapter.ts"
import type { Transport } from "../Transport.ts"
import { Latency } from "./latency.ts"

/** Servers take 100 streams on a connection by default; what comes behind them waits without a word. */
const STREAMS_PER_CHANNEL = 90

interface StreamChannel {
  readonly channel: Channel
  count: number
}

export class Node {
  readonly address: string
  readonly latency = new Latency()
  /** What was heard of it last, for error messages. */
  lastAnswer = "not asked yet"
  /** Milliseconds on the client's clock. */
  lastAnswerAt = -Infinity
  /** When it last answered something that takes a quorum. */
  quorumAnswerAt = -Infinity
  member: Member | undefined
  inFlight = 0
  /** When the first call of those under way went out, or the last answer came, whichever is later. */
  quietSince = 0
  /** A connection is on its way for nobody in particular. */
  warming = false
  private readonly open: () => Channel
  private calls: Channel
  private streams: Array<StreamChannel> = []
  private retired = false
  closed = false

  constructor(address: string, transport: Transport, options: ChannelOptions) {
    this.address = address
    this.open = () => transport.open(address, options)
    this.calls = this.open()
  }

  get channel(): Channel {
    return this.calls
  }

  /** A place for a stream, on a channel that carries no more than it can, until `release` is called. */
  streamSlot(): { readonly channel: Channel; readonly release: () => void } {
    let slot = this.streams.find(({ count }) => count < STREAMS_PER_CHANNEL)
    if (slot === undefined) this.streams.push(slot = { channel: this.open(), count: 0 })
    const used = slot
    used.count++
    return {
      channel: used.channel,
      release: () => {
        used.count--
        // The first one stays, for the next watch.
        if (used.count > 0 || this.streams.length === 1) return
        this.streams = this.streams.filter((other) => other !== used)
        used.channel.close()
      }
    }
  }

  /** A connection that stopped answering is not waited for: the next call gets a new one. */
  recycle(): void {
    if (this.closed) return
    const old = this.calls
    this.calls = this.open()
    old.close()
  }

  /** Takes no new requests, and closes when those under way have ended. */
  retire(): void {
    this.retired = true
    this.release()
  }

  /** To be called when a request has ended. */
  release(): void {
    if (this.retired && this.inFlight === 0) this.close()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.calls.close()
    for (const { channel } of this.streams) channel.close()
  }
}

export class Nodes {
  private readonly byAddress = new Map<string, Node>()
  private readonly transport: Transport
  private readonly options: ChannelOptions
  members: ReadonlyArray<Member> = []
  bootstrap: ReadonlyArray<string>
  private turn = 0

  constructor(transport: Transport, options: ChannelOptions, bootstrap: ReadonlyArray<string>) {
    this.transport = transport
    this.options = options
    this.bootstrap = bootstrap
  }

  get(address: string): Node {
    let node = this.byAddress.get(address)
    if (node === undefined) this.byAddress.set(address, node = new Node(address, this.transport, this.options))
    return node
  }

  find(address: string): Node | undefined {
    return this.byAddress.get(address)
  }

  /** Everybody worth asking who leads: the addresses that were given and those that the cluster told, without learners. */
  get known(): ReadonlyArray<string> {
    const learners = new Set(this.members.filter(({ voter }) => !voter).map(({ address }) => address))
    const all = [...this.bootstrap, ...this.members.map(({ address }) => address)]
    return [...new Set(all)].filter((address) => !learners.has(address))
  }

  /** Who was added and removed; nodes that stay keep their connections. */
  setMembers(members: ReadonlyArray<Member>): void {
    this.members = members
    for (const member of members) this.get(member.address).member = member
    this.dropStrangers()
  }

  setBootstrap(addresses: ReadonlyArray<string>): void {
    this.bootstrap = addresses
    this.dropStrangers()
  }

  private dropStrangers(): void {
    const wanted = new Set([...this.bootstrap, ...this.members.map(({ address }) => address)])
    for (const [address, node] of this.byAddress) {
      if (wanted.has(address)) {
        if (!this.members.some((member) => member.address === address)) node.member = undefined
        continue
      }
      this.byAddress.delete(address)
      node.retire()
    }
  }

  /** Nodes for reads that any may answer, the next one first; `usable` are preferred to the others. */
  readers(learners: boolean, sticky: boolean, usable: (node: Node) => boolean): ReadonlyArray<Node> {
    const all = this.members.filter(({ voter }) => voter || learners).map(({ address }) => this.get(address))
    const start = sticky || all.length === 0 ? this.turn : this.turn++ % all.length
    const turned = all.map((_, i) => all[(start + i) % all.length]!)
    return [...turned.filter(usable), ...turned.filter((node) => !usable(node))]
  }

  get all(): ReadonlyArray<Node> {
    return [...this.byAddress.values()]
  }

  close(): void {
    for (const node of this.byAddress.values()) node.close()
    this.byAddress.clear()
  }
}
