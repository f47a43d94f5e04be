/**
 * Tablets: which replicas, on which shards, hold a range of tokens of one table, as far as servers have told.
 *
 * A ScyllaDB table with tablets has its own division of the ring and its own replicas per range, which servers tell one
 * tablet at a time, with the answer to a request that was sent to the wrong place (`tablets-routing-v1`). So a client
 * knows some ranges of some tables and must tell three cases apart: a range that is known; one that is not, where any
 * node will do until the server has told; and a table without tablets, whose replicas follow from the token ring.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { maximum, minimum, toBigInt } from "./Token.ts"

/**
 * A replica of a tablet.
 *
 * `shard` is what the server said. Whether the node still has so many shards is the caller's to check: a node may have
 * restarted with fewer.
 *
 * @category models
 * @since 0.1.0
 */
export interface TabletReplica {
  /** Id of the node, `host_id` of `system.local` and `system.peers`. */
  readonly host: string
  /** Of that node, from 0. */
  readonly shard: number
}

/**
 * A tablet as a server describes it: the tokens `first < token <= last`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TabletInfo<R extends TabletReplica = TabletReplica> {
  /** The token before the range; the minimum token for the first tablet of a table. */
  readonly first: bigint
  /** The last token of the range. */
  readonly last: bigint
  /** In the server's order, which is not an order of preference, except that a leader comes first where there is one. */
  readonly replicas: ReadonlyArray<R>
  /** The eight bytes of `tablets-routing-v2`, opaque: compared by their bits, never ordered. */
  readonly version?: bigint | undefined
}

const high = (token: bigint): number => Number(BigInt.asIntN(32, token >> 32n))
const low = (token: bigint): number => Number(BigInt.asIntN(32, token))

/**
 * A tablet that is known: immutable, and `===` the same until a server tells another one for its range.
 *
 * @category models
 * @since 0.1.0
 */
export class Tablet<R extends TabletReplica = TabletReplica> {
  /** High word of the token before the range, int32. */
  readonly firstHi: number
  /** Low word of it, its top bit flipped so that signed order is unsigned order. */
  readonly firstLoFlipped: number
  /** High word of the last token, int32. */
  readonly lastHi: number
  /** Low word of it, its top bit flipped. */
  readonly lastLoFlipped: number
  /** As the server told them, in its order. */
  readonly replicas: ReadonlyArray<R>
  private readonly hasVersion: boolean
  private readonly versionHi: number
  private readonly versionLo: number

  constructor(info: TabletInfo<R>) {
    this.firstHi = high(info.first)
    this.firstLoFlipped = low(info.first) ^ 0x80000000
    this.lastHi = high(info.last)
    this.lastLoFlipped = low(info.last) ^ 0x80000000
    this.replicas = info.replicas
    this.hasVersion = info.version !== undefined
    this.versionHi = high(info.version ?? 0n)
    this.versionLo = low(info.version ?? 0n)
  }

  /** The token before the range. */
  get first(): bigint {
    return toBigInt(this.firstHi, this.firstLoFlipped ^ 0x80000000)
  }

  /** The last token of the range. */
  get last(): bigint {
    return toBigInt(this.lastHi, this.lastLoFlipped ^ 0x80000000)
  }

  /** The version as a signed number, `undefined` when the server told none. */
  get version(): bigint | undefined {
    return this.hasVersion ? toBigInt(this.versionHi, this.versionLo) : undefined
  }

  /**
   * The byte that ends an EXECUTE once `tablets-routing-v2` is negotiated: `index` (0..15, random) in its upper half,
   * and in its lower half this one of the version's sixteen nibbles, 0 the least significant. -1 without a version.
   */
  versionBlock(index: number): number {
    if (!this.hasVersion) return -1
    const word = index < 8 ? this.versionLo : this.versionHi
    return (index << 4) | ((word >>> ((index & 7) << 2)) & 15)
  }
}

/** The known tablets of one table, in the order of their tokens: they never overlap. */
class Table<R extends TabletReplica> {
  size = 0
  lastHi: Int32Array<ArrayBuffer> = new Int32Array(4)
  lastLoFlipped: Int32Array<ArrayBuffer> = new Int32Array(4)
  tablets: Array<Tablet<R>> = []
  /** When it was last asked for or added to, by the map's clock. */
  used = 0

  /** Index of the first tablet whose last token is not smaller, `size` past the end. */
  indexOf(hi: number, loFlipped: number): number {
    let from = 0
    let to = this.size
    while (from < to) {
      const middle = (from + to) >>> 1
      const other = this.lastHi[middle]!
      if (other < hi || (other === hi && this.lastLoFlipped[middle]! < loFlipped)) from = middle + 1
      else to = middle
    }
    return from
  }

  /** Takes `removed` tablets out at `at`, and puts `tablet` there. */
  replace(at: number, removed: number, tablet: Tablet<R> | undefined): void {
    const added = tablet === undefined ? 0 : 1
    const size = this.size - removed + added
    if (size > this.lastHi.length) {
      this.lastHi = this.grown(this.lastHi)
      this.lastLoFlipped = this.grown(this.lastLoFlipped)
    }
    this.lastHi.copyWithin(at + added, at + removed, this.size)
    this.lastLoFlipped.copyWithin(at + added, at + removed, this.size)
    if (tablet === undefined) this.tablets.splice(at, removed)
    else {
      this.lastHi[at] = tablet.lastHi
      this.lastLoFlipped[at] = tablet.lastLoFlipped
      if (removed === 1) this.tablets[at] = tablet
      else this.tablets.splice(at, removed, tablet)
    }
    this.size = size
  }

  /** Keeps the tablets that `keep` accepts. */
  filter(keep: (tablet: Tablet<R>) => boolean): void {
    const kept = this.tablets.filter(keep)
    if (kept.length === this.size) return
    this.tablets = kept
    this.size = kept.length
    kept.forEach((tablet, i) => {
      this.lastHi[i] = tablet.lastHi
      this.lastLoFlipped[i] = tablet.lastLoFlipped
    })
  }

  clear(): void {
    this.size = 0
    this.lastHi = new Int32Array(4)
    this.lastLoFlipped = new Int32Array(4)
    this.tablets = []
  }

  private grown(words: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
    const grown = new Int32Array(words.length * 2)
    grown.set(words)
    return grown
  }
}

/**
 * How many tablets a {@link TabletMap} knows at most, unless it is told otherwise: 65536.
 *
 * About 20 MiB with three replicas each. A cluster of nine nodes with 60 shards each and 100 tablets a shard has 18 000.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultMaxTablets = 65_536

/**
 * What is known of a token of a table: see {@link TabletMap.state}.
 *
 * @category models
 * @since 0.1.0
 */
export type TabletState = "NotTabletTable" | "Unknown" | "Known"

/**
 * The tablets that servers have told, by table.
 *
 * **Details**
 *
 * Tables are named `"keyspace.table"`, as they are written in the system tables. The map is mutable and belongs to one
 * thread; {@link TabletMap.find} is the form of the request path.
 *
 * A tablet that is added replaces every tablet that it overlaps, whole: what the new one does not cover becomes
 * unknown, because a server that has split, merged or moved one tablet has changed its neighbours too.
 *
 * **Bound**
 *
 * At most `maxTablets` are known. Beyond that, the table that was least recently asked for or added to forgets all of its
 * tablets; a table that fills the bound alone forgets one tablet after the other, by a hand that goes round the ring. A
 * table that forgets stays a tablet table: its ranges are unknown, and its requests never go by the token ring.
 * Names of tables are not bounded here, they are those of the schema.
 *
 * `R` may say more of a replica than {@link TabletReplica}, such as the node itself.
 *
 * @category models
 * @since 0.1.0
 */
export class TabletMap<R extends TabletReplica = TabletReplica> {
  /** How many tablets it knows at most. */
  readonly maxTablets: number
  /** How many lookups found a tablet. */
  hits = 0
  /** How many lookups asked for an unknown range of a tablet table. Tables without tablets count as neither. */
  misses = 0
  /** How many tablets were forgotten for the bound. */
  evictions = 0
  private tabletCount = 0
  private hand = 0
  private clock = 0
  private readonly tables = new Map<string, Table<R>>()

  /** `maxTablets` is {@link defaultMaxTablets} by default, and at least 1. */
  constructor(options?: { readonly maxTablets?: number | undefined }) {
    this.maxTablets = Math.max(1, Math.floor(options?.maxTablets ?? defaultMaxTablets) || 1)
  }

  /** How many tablets are known, in all tables. */
  get size(): number {
    return this.tabletCount
  }

  /** How many tables are tablet tables. */
  get tableCount(): number {
    return this.tables.size
  }

  /** Whether the table has tablets, known or not. A table that has not must be routed by the token ring. */
  isTabletTable(table: string): boolean {
    return this.tables.has(table)
  }

  /**
   * The tablet of a table that holds the token (two int32 words); allocates nothing.
   *
   * `undefined` means either a table without tablets or an unknown range: {@link TabletMap.isTabletTable} tells.
   */
  find(table: string, hi: number, lo: number): Tablet<R> | undefined {
    const found = this.tables.get(table)
    if (found === undefined) return undefined
    found.used = ++this.clock
    const loFlipped = lo ^ 0x80000000
    const at = found.indexOf(hi, loFlipped)
    if (at < found.size) {
      const tablet = found.tablets[at]!
      const { firstHi } = tablet
      if (firstHi < hi || (firstHi === hi && tablet.firstLoFlipped < loFlipped)) {
        this.hits++
        return tablet
      }
    }
    this.misses++
    return undefined
  }

  /** What is known of a token; counts and touches nothing. */
  state(table: string, hi: number, lo: number): TabletState {
    const found = this.tables.get(table)
    if (found === undefined) return "NotTabletTable"
    const loFlipped = lo ^ 0x80000000
    const tablet = found.tablets[found.indexOf(hi, loFlipped)]
    return tablet !== undefined &&
        (tablet.firstHi < hi || (tablet.firstHi === hi && tablet.firstLoFlipped < loFlipped))
      ? "Known"
      : "Unknown"
  }

  /** The known tablets of a table in the order of their tokens; empty for any other table. */
  tablets(table: string): ReadonlyArray<Tablet<R>> {
    return this.tables.get(table)?.tablets.slice() ?? []
  }

  /** Says that a table has tablets, none of which need be known. Keeps those that are. */
  markTabletTable(table: string): void {
    this.entry(table)
  }

  /**
   * Adds what a server has told; the table is a tablet table from now on.
   *
   * Answers `false`, and keeps nothing of it, for a range that is none (`last <= first`, or a token beyond 64 bits) and
   * for a tablet without replicas; the latter still makes its range unknown. `replicas` is kept, not copied.
   */
  add(table: string, info: TabletInfo<R>): boolean {
    const entry = this.entry(table)
    const { first, last } = info
    if (last <= first || first < minimum || last > maximum) return false
    entry.used = ++this.clock
    const tablet = new Tablet(info)
    // Those that overlap end after `first` and begin before `last`: the first that ends at `last` or later may, too.
    let from = entry.indexOf(tablet.firstHi, tablet.firstLoFlipped)
    if (
      from < entry.size && entry.lastHi[from] === tablet.firstHi &&
      entry.lastLoFlipped[from] === tablet.firstLoFlipped
    ) from++
    let to = entry.indexOf(tablet.lastHi, tablet.lastLoFlipped)
    if (to < entry.size) {
      const { firstHi, firstLoFlipped } = entry.tablets[to]!
      if (firstHi < tablet.lastHi || (firstHi === tablet.lastHi && firstLoFlipped < tablet.lastLoFlipped)) to++
    }
    const added = info.replicas.length > 0
    if (added && to === from && this.tabletCount >= this.maxTablets) {
      this.makeRoom(entry)
      // The entry itself may have lost a tablet before this place.
      from = to = entry.indexOf(tablet.lastHi, tablet.lastLoFlipped)
    }
    this.tabletCount += (added ? 1 : 0) - (to - from)
    entry.replace(from, to - from, added ? tablet : undefined)
    return added
  }

  /** Forgets the tablets of a table that stays a tablet table: its ranges are unknown. */
  forget(table: string): void {
    const entry = this.tables.get(table)
    if (entry === undefined) return
    this.tabletCount -= entry.size
    entry.clear()
  }

  /** Forgets a table that was dropped: it is not a tablet table any more. */
  dropTable(table: string): void {
    this.forget(table)
    this.tables.delete(table)
  }

  /** As {@link TabletMap.dropTable} for all tables of a keyspace. */
  dropKeyspace(keyspace: string): void {
    for (const table of this.tables.keys()) if (table.startsWith(`${keyspace}.`)) this.dropTable(table)
  }

  /** Forgets the tablets of all tables that have a replica on a node; their ranges are unknown. */
  dropHost(host: string): void {
    for (const entry of this.tables.values()) {
      this.tabletCount -= entry.size
      entry.filter((tablet) => !tablet.replicas.some((replica) => replica.host === host))
      this.tabletCount += entry.size
    }
  }

  private entry(table: string): Table<R> {
    let entry = this.tables.get(table)
    if (entry === undefined) this.tables.set(table, entry = new Table())
    return entry
  }

  /** Makes room for one tablet of `entry`. */
  private makeRoom(entry: Table<R>): void {
    let oldest: Table<R> | undefined
    for (const other of this.tables.values()) {
      if (other !== entry && other.size > 0 && (oldest === undefined || other.used < oldest.used)) oldest = other
    }
    const before = this.tabletCount
    if (oldest === undefined) {
      this.hand = this.hand >= entry.size ? 0 : this.hand
      entry.replace(this.hand++, 1, undefined)
      this.tabletCount--
    } else {
      this.tabletCount -= oldest.size
      oldest.clear()
    }
    this.evictions += before - this.tabletCount
  }
}

/**
 * Makes an empty map that knows at most `maxTablets` tablets.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R extends TabletReplica = TabletReplica>(
  options?: { readonly maxTablets?: number | undefined }
): TabletMap<R> => new TabletMap<R>(options)
