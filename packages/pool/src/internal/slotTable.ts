import type { Connection } from "../Connection.ts"
import type { PoolReason } from "../PoolError.ts"
import { TICK_MILLIS } from "../Ticker.ts"

/** Where a slot stands. */
export type SlotState = "Idle" | "Dialing" | "Handshaking" | "Ready" | "Draining" | "Closed"

/** How many connections there should be. */
export type Size = { readonly perShard: number } | { readonly perNode: number }

/** Why and after how many milliseconds the last connection of a slot ended. */
export interface Ended {
  readonly lived: number
  readonly reason: PoolReason
}

/** What happens to a slot. */
export type OnChange = (slot: number, from: SlotState, to: SlotState, reason: PoolReason | undefined) => void

/** The same, one way. */
interface Shape {
  /** Whether any shard will do. */
  readonly anyShard: boolean
  /** Connections for a shard; for the node where any shard will do. */
  readonly size: number
}

const normal = (given: Size = { perShard: 1 }): Shape => {
  const anyShard = "perNode" in given
  const size = anyShard ? given.perNode : given.perShard
  if (!Number.isInteger(size) || size < 1) {
    throw new RangeError(`${anyShard ? "perNode" : "perShard"} must be a whole number from 1, got ${size}`)
  }
  return { anyShard, size }
}

/** Excess that is kept, however few slots there are. */
const MIN_EXCESS = 8

/**
 * The connections of one node by what they are for, and the choice among them. Plain state: it dials nothing and closes
 * nothing, but says what is to be closed.
 */
export class SlotTable {
  /** By shard, `size` of them each; `size` in all where `anyShard`. */
  slots: Array<Connection | undefined>
  /** Beyond them: of shards that have theirs, kept until all have. */
  excess: Array<Connection> = []
  private states: Array<SlotState>
  size: number
  anyShard: boolean
  /** To be replaced: because of their orphans, because the node has moved, because nothing is heard on them. */
  private readonly exhausted = new Set<Connection>()
  /** Of those, the ones that need not be replaced once something is heard on them. */
  private readonly silenced = new Set<Connection>()
  /** By slot: the tick at which its connection came, and how the last one ended. */
  private readonly since: Array<number> = []
  private readonly ended: Array<Ended> = []
  /** By slot: requests of connections that are gone, so that the counters never fall. */
  private readonly past: Array<number> = []
  private turn = 0
  /** Another one with every reshard. */
  resharded: PoolReason | undefined = undefined
  private readonly changed: OnChange

  constructor(size: Size | undefined, changed: OnChange) {
    const { anyShard, size: each } = normal(size)
    this.anyShard = anyShard
    this.size = each
    this.changed = changed
    this.slots = Array.from({ length: each }, () => undefined)
    this.states = Array.from({ length: each }, () => "Idle")
  }

  // ---- picking -----------------------------------------------------------------------------------------------------

  /** The shard's connection, or the less busy of it and another one when it is half full; else any. Allocates nothing. */
  pick(shard: number, pinned: boolean): Connection | undefined {
    const own = this.size === 1 && !this.anyShard ? this.slots[shard] : this.leastBusy(shard)
    if (own === undefined || !own.isAvailable) return this.next()
    return pinned || !own.isBusy ? own : this.lessBusy(own)
  }

  /** The least busy connection of several to a shard. */
  private leastBusy(shard: number): Connection | undefined {
    const { anyShard, size, slots } = this
    const from = anyShard ? 0 : shard * size
    let best: Connection | undefined
    for (let at = from; at < from + size; at++) {
      const other = slots[at]
      if (other === undefined || !other.isAvailable || (anyShard && other.shard !== shard)) continue
      if (best === undefined || other.load < best.load) best = other
    }
    return best
  }

  /** Another connection, the next in turn, where it has a fifth fewer requests under way (gocql's rule); else `own`. */
  private lessBusy(own: Connection): Connection {
    const { slots } = this
    const other = slots[this.turn = (this.turn + 1) % slots.length]
    return other !== undefined && other.isAvailable && other.load * 120 < own.load * 100 ? other : own
  }

  /** Any connection that takes requests, in turn. */
  next(): Connection | undefined {
    const { excess, slots } = this
    const total = slots.length + excess.length
    for (let i = 0; i < total; i++) {
      const at = this.turn = (this.turn + 1) % total
      const connection = at < slots.length ? slots[at] : excess[at - slots.length]
      if (connection !== undefined && connection.isAvailable) return connection
    }
    return undefined
  }

  /** Any connection that takes a request out of its reserve. */
  nextReserved(): Connection | undefined {
    return this.next() ?? this.all.find((connection) => connection.hasReserve && !connection.isSilent)
  }

  /** The least busy of the open connections on which nothing is heard: the last resort. */
  nextSilent(): Connection | undefined {
    let best: Connection | undefined
    for (const connection of this.all) {
      if (connection.isSilent && connection.hasRoom && (best === undefined || connection.load < best.load)) {
        best = connection
      }
    }
    return best
  }

  // ---- looking -----------------------------------------------------------------------------------------------------

  get length(): number {
    return this.slots.length
  }

  /** All connections, in slots and in excess. */
  get all(): Array<Connection> {
    return [...this.slots.filter((slot) => slot !== undefined), ...this.excess]
  }

  /** Some connection takes requests, and its peer is heard. */
  get isUp(): boolean {
    const { excess, slots } = this
    return slots.some((slot) => slot?.isOpen && !slot.isSilent) ||
      excess.some((connection) => connection.isOpen && !connection.isSilent)
  }

  /** Some connection is open, heard or not. */
  get isOpen(): boolean {
    return this.slots.some((slot) => slot?.isOpen) || this.excess.some((connection) => connection.isOpen)
  }

  get isEmpty(): boolean {
    return this.excess.length === 0 && this.slots.every((slot) => slot === undefined)
  }

  /** Every slot has its connection. */
  get isFull(): boolean {
    return this.slots.every((slot) => slot?.isOpen)
  }

  /** Nothing is missing, nothing is to be replaced: whatever is in excess has no use. */
  get isSettled(): boolean {
    return this.slots.every((slot) => slot?.isOpen && !this.exhausted.has(slot))
  }

  /** So many connections in excess are kept at most. */
  get excessBound(): number {
    return Math.max(MIN_EXCESS, this.slots.length)
  }

  /** The shard that a slot is for; `undefined` where any will do. */
  shardOf(slot: number): number | undefined {
    return this.anyShard ? undefined : Math.floor(slot / this.size)
  }

  stateOf(slot: number): SlotState {
    return this.states[slot]!
  }

  /** Of a slot that is `Closed`. */
  endOf(slot: number): Ended {
    return this.ended[slot]!
  }

  /** Whether the slot wants a connection now. */
  needs(slot: number): boolean {
    if (slot >= this.slots.length) return false
    const connection = this.slots[slot]
    if (connection !== undefined && !this.exhausted.has(connection)) return false
    // An empty pool makes one connection first: the node may be dead, and its shards are not known.
    if (this.isEmpty) return slot === 0
    // So does one on whose connections nothing is heard.
    return this.isUp || slot === this.slots.findIndex((other) => other === undefined || this.exhausted.has(other))
  }

  /** A look at each slot. */
  get stats() {
    return this.slots.map((connection, slot) => ({
      shard: this.shardOf(slot),
      state: connection === undefined ? this.states[slot]! : this.exhausted.has(connection) ? "Draining" : "Ready",
      requests: (this.past[slot] ?? 0) + (connection?.requests ?? 0),
      inFlight: connection?.inFlight ?? 0,
      orphans: connection?.orphans ?? 0,
      limit: connection?.limit ?? 0,
      isSilent: connection?.isSilent ?? false
    } as const))
  }

  // ---- changing ----------------------------------------------------------------------------------------------------

  become(slot: number, to: SlotState, reason?: PoolReason): void {
    const from = this.states[slot]
    // A dial for a slot that is gone may still end.
    if (from === undefined || from === to) return
    this.states[slot] = to
    this.changed(slot, from, to, reason)
  }

  /** A dial for the slot goes on: that is its state, unless its connection has turned out to be good meanwhile. */
  progress(slot: number, to: "Dialing" | "Handshaking"): void {
    const connection = this.slots[slot]
    if (connection === undefined || this.exhausted.has(connection)) this.become(slot, to)
  }

  /**
   * The node came back with other shards: all connections are of the past, and each is replaced after the delay that its life
   * was worth. Answers them.
   */
  reshard(nrShards: number, reason: PoolReason, now: number): Array<Connection> {
    const { all } = this
    this.resharded = reason
    for (const [slot, connection] of this.slots.entries()) if (connection !== undefined) this.end(slot, reason, now)
    this.lay(nrShards, this)
    return all
  }

  /** Slots for so many shards, all empty; answers the connections that were there. */
  reset(nrShards: number, shape: Shape = this): Array<Connection> {
    const { all } = this
    this.slots = this.slots.map(() => undefined)
    // Told by the shards that they had; states of slots whose dials go on are kept.
    for (const [slot, state] of this.states.entries()) {
      if (state !== "Dialing" && state !== "Handshaking") this.become(slot, "Idle")
    }
    this.lay(nrShards, shape)
    return all
  }

  private lay(nrShards: number, { anyShard, size }: Shape): void {
    this.anyShard = anyShard
    this.size = size
    const length = this.lengthFor(nrShards)
    this.excess = []
    this.slots = Array.from({ length }, () => undefined)
    this.states = Array.from({ length }, (_, slot) => this.states[slot] ?? "Idle")
  }

  lengthFor(nrShards: number): number {
    return this.anyShard ? this.size : nrShards * this.size
  }

  /** Another number of connections; those that have a place keep it. Answers whether that is a change. */
  resize(to: Size | undefined, nrShards: number, now: number): boolean {
    const shape = normal(to)
    if (shape.anyShard === this.anyShard && shape.size === this.size) return false
    for (const connection of this.reset(nrShards, shape)) {
      // What was to be replaced serves until there is something in its place.
      if (this.exhausted.has(connection)) this.excess.push(connection)
      else this.add(connection, now)
    }
    return true
  }

  /** Puts a connection where it is of use, else in excess; answers the one that it replaces. */
  add(connection: Connection, now: number): Connection | undefined {
    const from = this.groupOf(connection) * this.size
    let place = -1
    for (let slot = from; slot < from + this.size; slot++) {
      const current = this.slots[slot]
      if (current === undefined) {
        place = slot
        break
      }
      if (place < 0 && this.exhausted.has(current)) place = slot
    }
    if (place < 0) {
      this.excess.push(connection)
      return undefined
    }
    const replaced = this.slots[place]
    this.put(place, connection, now)
    return replaced
  }

  /** Slots from this times `size` on are for the connection. */
  private groupOf(connection: Connection): number {
    return this.anyShard ? 0 : connection.shard
  }

  private put(slot: number, connection: Connection, now: number): void {
    this.slots[slot] = connection
    this.since[slot] = now
    this.become(slot, "Ready")
  }

  /** Takes a closed connection out, and puts one in excess in its place if that would do. Answers whether it was in a slot. */
  remove(connection: Connection, reason: PoolReason, now: number): boolean {
    this.exhausted.delete(connection)
    this.silenced.delete(connection)
    // By identity: a connection that was replaced or parked must not take its successor with it.
    const slot = this.slots.indexOf(connection)
    const at = slot < 0 ? this.groupOf(connection) * this.size : slot
    this.past[at] = (this.past[at] ?? 0) + connection.requests
    if (slot < 0) {
      this.excess = this.excess.filter((other) => other !== connection)
      return false
    }
    this.end(slot, reason, now)
    this.promote(slot, now)
    return true
  }

  private end(slot: number, reason: PoolReason, now: number): void {
    this.slots[slot] = undefined
    this.ended[slot] = { lived: (now - this.since[slot]!) * TICK_MILLIS, reason }
    this.become(slot, "Closed", reason)
  }

  /** Fills a slot from the excess. */
  private promote(slot: number, now: number): void {
    const group = Math.floor(slot / this.size)
    const at = this.excess.findIndex((connection) =>
      connection.isOpen && !connection.isSilent && !this.exhausted.has(connection) && this.groupOf(connection) === group
    )
    if (at >= 0) this.put(slot, this.excess.splice(at, 1)[0]!, now)
  }

  /**
   * A connection has too many orphans, say. In a slot it stays until there is another one: one in excess, at once. Answers what
   * is to be closed now. `isSilenced`: it is to be replaced only as long as nothing is heard on it.
   */
  exhaust(connection: Connection, now: number, isSilenced = false): ReadonlyArray<Connection> {
    const slot = this.slots.indexOf(connection)
    if (slot < 0) {
      const isExcess = this.excess.includes(connection)
      this.excess = this.excess.filter((other) => other !== connection)
      return isExcess ? [connection] : []
    }
    if (!isSilenced) this.silenced.delete(connection)
    else if (!this.exhausted.has(connection)) this.silenced.add(connection)
    this.exhausted.add(connection)
    this.become(slot, "Draining")
    this.promote(slot, now)
    return this.slots[slot] === connection ? [] : [connection]
  }

  /** Something is heard on a connection again: where it was to be replaced for its silence only, it is as good as any. */
  restore(connection: Connection): void {
    if (!this.silenced.delete(connection)) return
    this.exhausted.delete(connection)
    const slot = this.slots.indexOf(connection)
    if (slot >= 0) this.become(slot, "Ready")
  }

  /** Whether it is to be replaced. */
  isExhausted(connection: Connection): boolean {
    return this.exhausted.has(connection)
  }

  /** Everything is to be replaced, and serves until it is. */
  outdate(): void {
    this.silenced.clear()
    for (const connection of this.all) this.exhausted.add(connection)
    for (const [slot, connection] of this.slots.entries()) if (connection !== undefined) this.become(slot, "Draining")
  }

  /** Takes the older half of the excess, or all of it, or what is beyond the bound, the oldest. */
  takeExcess(what: "older half" | "all" | "beyond the bound"): Array<Connection> {
    const { length } = this.excess
    const count = what === "all" ? length : what === "older half" ? Math.ceil(length / 2) : length - this.excessBound
    return this.excess.splice(0, Math.max(0, count))
  }
}
