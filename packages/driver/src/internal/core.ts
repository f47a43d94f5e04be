import type { Connection } from "@effect-scylla/pool/Connection"
import type { NodePool } from "@effect-scylla/pool/NodePool"
import type { Ticker } from "@effect-scylla/pool/Ticker"
import type { BatchTemplate } from "@effect-scylla/protocol/BatchFrame"
import type { CodecOptions } from "@effect-scylla/protocol/Codec"
import { DecodeError } from "@effect-scylla/protocol/ProtocolError"
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import { emptyPage, type Page, type RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as TabletRouting from "@effect-scylla/protocol/TabletRouting"
import type * as TabletMap from "@effect-scylla/sharding/TabletMap"
import * as Token from "@effect-scylla/sharding/Token"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ClientClosed, CqlError } from "../CqlError.ts"
import type { Resolved, Resolver } from "../ExecuteOptions.ts"
import type { Prepared } from "../Prepared.ts"
import type { SchemaAgreement } from "../ResultSet.ts"
import type { Node } from "../Snapshot.ts"
import * as StatementKind from "../StatementKind.ts"
import { Budget, type Share } from "./budget.ts"
import { PlainTexts } from "./plainTexts.ts"
import type { Retries } from "./retries.ts"
import { Router, type RouterParts } from "./router.ts"
import { SchemaChanges } from "./schemaChanges.ts"
import type { SlowLog } from "./slowLog.ts"
import type { Speculator } from "./speculator.ts"
import { Templates } from "./templates.ts"
import { Usual } from "./usual.ts"
import type { Warnings } from "./warnings.ts"

/** What happens once in a while, and is therefore an effect. */
export interface SlowPath {
  /** Teaches the node of `connection` the statement again; it is renewed where its types are others now. */
  readonly reprepare: (node: Node, connection: Connection, prepared: Prepared) => Effect.Effect<void, CqlError>
  /** Prepares the statement again on any node, because a value does not fit its types. */
  readonly refresh: (prepared: Prepared) => Effect.Effect<void, CqlError>
  /**
   * After a change of the schema on `connection`: waits until the nodes agree with that node, not longer than the request may, and reads
   * what routing needs.
   */
  readonly schemaChanged: (
    connection: Connection,
    change: SchemaChange,
    leftMillis: number
  ) => Effect.Effect<SchemaAgreement | undefined>
  /** In the background: has a server tell of the tablet of these values, which the answer to a conditional statement does not. */
  readonly learnTablet: (prepared: Prepared, values: ReadonlyArray<unknown>) => void
}

/** Milliseconds after which a statement is not taken for what it was without asking, before a value is refused. */
const DOUBT_AFTER = 1_000

/** Requests that may be sent to another node while the one that has them is alive. */
const MOVES: Share = { share: 0.1, first: 100, most: 100 }
/** The same away from a node that seems to be gone: of three nodes one has a third, and all that is under way there at once. */
const ESCAPES: Share = { share: 0.34, first: 100, most: 4_096 }
/** It is no slower than this, so that a node that is well again is soon known to be. */
export const SLOWEST = 8
/** What slow is: so many ticks, and so many times what the statement usually takes. */
const SLOW_TICKS = 2
const SLOW_FACTOR = 4

/** Milliseconds between the reads that are to tell of a tablet, as long as none does. */
const WONDER = { least: 2_000, factor: 4, most: 600_000, tables: 1_000 }

const placeOf = ({ host, shard }: TabletMap.TabletReplica): string => `${host} ${shard}`

/** What the core is made of. */
export interface Parts extends RouterParts {
  readonly ticker: Ticker
  readonly resolver: Resolver
  readonly clock: Clock.Clock
  readonly clientTimestamps: boolean
  readonly maxRows: number
  readonly decoders: RowDecoders
  readonly codec: CodecOptions | undefined
  readonly warnings: Warnings
  readonly retries: Retries
  readonly speculator: Speculator
  readonly slowLog: SlowLog | undefined
}

/** The state that all requests of a client share. */
export class Core extends Router {
  readonly ticker: Ticker
  readonly defaults: Resolved
  readonly resolver: Resolver
  readonly texts: PlainTexts = new PlainTexts()
  readonly schema: SchemaChanges = new SchemaChanges()
  readonly warnings: Warnings
  /** What all batches have in common. */
  readonly batches = { usual: new Usual(), templates: new Templates<BatchTemplate>() }
  readonly clock: Clock.Clock
  readonly clientTimestamps: boolean
  readonly maxRows: number
  readonly decoders: RowDecoders
  readonly codec: CodecOptions | undefined
  readonly retries: Retries
  readonly speculator: Speculator
  readonly slowLog: SlowLog | undefined
  closed = false
  /** Told once, when the client is closed. */
  readonly closing = new Set<() => void>()
  slow!: SlowPath

  readonly page: Page = emptyPage()

  /** Payloads that could not be read, and were left alone. */
  malformedTablets = 0
  private block = 0
  /** When it is asked again about tablets of which nobody has told, by table. */
  private readonly wondering = new Map<string, { readonly wait: number; readonly next: number }>()

  /** A frame is being encoded. Values may have getters, and what those do must not end up in the middle of it. */
  isEncoding = false
  private moment = -1
  private nowMicros = 0
  private readonly moves = new Budget(MOVES)
  private readonly escapes = new Budget(ESCAPES)
  private lastTimestamp = 0
  private stampedTurn = -1

  constructor(parts: Parts) {
    super(parts)
    this.ticker = parts.ticker
    this.defaults = parts.resolver.defaults
    this.resolver = parts.resolver
    this.clock = parts.clock
    this.clientTimestamps = parts.clientTimestamps
    this.maxRows = parts.maxRows
    this.decoders = parts.decoders
    this.codec = parts.codec
    this.warnings = parts.warnings
    this.retries = parts.retries
    this.speculator = parts.speculator
    this.slowLog = parts.slowLog
  }

  /** No request is taken any more. */
  close(): void {
    this.closed = true
    for (const tell of this.closing) tell()
    this.closing.clear()
  }

  /** Ends with the client. */
  get ended(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.closed) return resume(Effect.void)
      const tell = (): void => resume(Effect.void)
      this.closing.add(tell)
      return Effect.sync(() => this.closing.delete(tell))
    })
  }

  /** A pause, which the end of the client ends. */
  pause(millis: number): Effect.Effect<void> {
    return Effect.raceFirst(Effect.sleep(millis), this.ended)
  }

  /** The same, which fails when the client ends before it does. */
  whileOpen<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | CqlError> {
    const ended = Effect.andThen(
      this.ended,
      Effect.fail(
        new CqlError({
          reason: new ClientClosed({ message: "the client is closed: its scope has ended" }),
          attempts: []
        })
      )
    )
    return Effect.raceFirst(ended, effect)
  }

  /** Whether this client stamps such a statement: where the caller gives no time of its own. */
  stamps(kind: StatementKind.StatementKind, options: Resolved): boolean {
    return this.clientTimestamps && !options.isServerStamped && StatementKind.takesTimestamp(kind) &&
      options.request.timestamp === undefined
  }

  /**
   * Microseconds, for how long something takes: looked at once for many requests, and anew when time may have passed. Wraps every 18
   * minutes, so that it is a small integer.
   */
  get micros(): number {
    const { moment } = this.ticker
    if (moment !== this.moment) {
      this.moment = moment
      this.nowMicros = Number((this.clock.monotonicTimeNanosUnsafe() / 1_000n) & 0x3fff_ffffn)
    }
    return this.nowMicros
  }

  /** Milliseconds, for how long something is ago. */
  get millis(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  /**
   * Whether a value that does not fit may fit when the statement is prepared again: the schema has changed since, or it may have
   * without anybody having told yet. Once in a while only: most such values are wrong for good.
   */
  mayHaveChanged(prepared: Prepared): boolean {
    return prepared.preparedEpoch !== this.schema.epoch || this.millis - prepared.preparedAt >= DOUBT_AFTER
  }

  /** Statements are the same for this node as they are known. */
  confirm(prepared: Prepared, node: Node): void {
    const { confirmed } = prepared
    if (confirmed === undefined) return
    confirmed.add(node.hostId)
    const isSure = ({ hostId }: Node): boolean => confirmed.has(hostId)
    const { local, remote } = this.snapshot
    if (local.every(isSure) && remote.every(isSure)) prepared.confirmed = undefined
  }

  /** Microseconds since 1970, growing with every call; the clock is read once for each turn of the event loop. */
  nextTimestamp(): number {
    const { turn } = this.ticker
    if (turn !== this.stampedTurn) {
      this.stampedTurn = turn
      const now = this.clock.currentTimeMillisUnsafe() * 1000
      if (now > this.lastTimestamp) return this.lastTimestamp = now
    }
    return ++this.lastTimestamp
  }

  /** An answer took so many ticks: what its statement and its node usually take, and whether that was slow for the node. */
  observe(took: number, usual: Usual, pool: NodePool): void {
    const isSlow = took >= SLOW_TICKS && took >= SLOW_FACTOR * usual.least
    usual.observe(took)
    if (isSlow) pool.slowness = Math.min(SLOWEST, pool.slowness + 1)
    else if (pool.slowness > 0) pool.slowness--
  }

  /** Finds the tablet of a request that is not routed, because its connection is given. */
  locate(prepared: Prepared, values: ReadonlyArray<unknown>): void {
    const { tabletTable } = prepared
    this.tablet = tabletTable !== undefined && this.hash(prepared, values)
      ? this.tablets.find(tabletTable, this.token.hi, this.token.lo)
      : undefined
  }

  /**
   * The byte that ends an EXECUTE of that request where servers compare versions of tablets: a part of the
   * version, each time another one. Any byte where none is known; the answer then tells the tablet.
   */
  tabletBlock(): number {
    const index = ++this.block & 15
    const block = this.tablet?.versionBlock(index) ?? -1
    return block < 0 ? (index << 4) | (this.block >>> 4 & 15) : block
  }

  /** A conditional statement was answered, and such answers tell of no tablet: lets a read find out, where it is not known. */
  wonder(prepared: Prepared, values: ReadonlyArray<unknown>): void {
    const { tabletTable } = prepared
    if (tabletTable === undefined || !this.hash(prepared, values)) return
    if (this.tablets.find(tabletTable, this.token.hi, this.token.lo) !== undefined) return
    const now = this.millis
    const before = this.wondering.get(tabletTable)
    if (before !== undefined && now < before.next) return
    // Where every node and shard is a right one, no server ever tells.
    const wait = before === undefined ? WONDER.least : Math.min(before.wait * WONDER.factor, WONDER.most)
    if (this.wondering.size >= WONDER.tables) this.wondering.clear()
    this.wondering.set(tabletTable, { wait, next: now + wait })
    this.slow.learnTablet(prepared, values)
  }

  /** A tablet as `system.tablets` has it: what is known of that range already is not replaced by the same. */
  warm(table: string, tablet: TabletMap.TabletInfo): void {
    const last = new Token.TokenWords()
    Token.fromBigInt(tablet.last, last)
    const known = this.tablets.find(table, last.hi, last.lo)
    const isSame = known !== undefined && known.first === tablet.first && known.last === tablet.last &&
      known.replicas.map(placeOf).join() === this.localReplicas(tablet).map(placeOf).join()
    if (!isSame) this.addTablet(table, tablet)
  }

  /** Those of the datacenters that are asked, or all where none is. */
  private localReplicas(told: TabletMap.TabletInfo): ReadonlyArray<TabletMap.TabletReplica> {
    const { hosts } = this.snapshot
    const local = told.replicas.filter(({ host }) => hosts.get(host)?.isLocal !== false)
      // The text that the snapshot has, so that looking it up compares no characters.
      .map(({ host, shard }) => ({ host: hosts.get(host)?.hostId ?? host, shard }))
    return local.length === 0 ? told.replicas : local
  }

  private addTablet(table: string, told: TabletMap.TabletInfo): void {
    this.wondering.delete(table)
    this.tablets.add(table, { ...told, replicas: this.localReplicas(told) })
  }

  /** An answer tells the tablet of its request. One that cannot be read is left alone: the rows are not to blame. */
  learn(prepared: Prepared, payload: ReadonlyMap<string, Uint8Array | null>): void {
    const { tabletTable } = prepared
    if (tabletTable === undefined) return
    let told: TabletRouting.TabletRouting | undefined
    try {
      told = TabletRouting.fromPayload(payload)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.malformedTablets++
      return
    }
    if (told === undefined) return
    this.addTablet(tabletTable, told)
  }

  /**
   * Whether a request may be sent to another node that one has already. Away from a node that seems to be gone (`isGone`) more often than
   * from one that is alive; where all nodes are slow, asking each for what the others have under way makes it worse.
   */
  mayMove(isGone: boolean): boolean {
    const { requests } = this
    return (isGone && this.escapes.take(requests)) || this.moves.take(requests)
  }
}
