import * as Background from "@effect-scylla/pool/Background"
import { type Connection, type Owner } from "@effect-scylla/pool/Connection"
import * as Handshake from "@effect-scylla/pool/Handshake"
import * as NodePool from "@effect-scylla/pool/NodePool"
import { DialFailed, PoolError, type PoolReason } from "@effect-scylla/pool/PoolError"
import type * as Response from "@effect-scylla/protocol/Response"
import { type Row, RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import { token } from "@effect-scylla/sharding/Murmur3"
import type { TabletInfo } from "@effect-scylla/sharding/TabletMap"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isIP } from "node:net"
import type { AddressTranslator } from "../AddressTranslator.ts"
import type { CheckedFailover } from "../Balancing.ts"
import type { ClientRoutes } from "../ClientRoutes.ts"
import { CqlError, type CqlReason, InvalidConfiguration, NoContactPoint, NoNodeAvailable } from "../CqlError.ts"
import type { SchemaAgreement } from "../ResultSet.ts"
import * as Snapshot from "../Snapshot.ts"
import { Addresses } from "./addresses.ts"
import { agreement, INTERVAL } from "./agreement.ts"
import * as ContactPoints from "./contactPoints.ts"
import type { Core } from "./core.ts"
import { paced } from "./paced.ts"
import type { Reached } from "./reached.ts"
import * as Routes from "./routes.ts"
import type { Store } from "./schema/store.ts"
import { staggered } from "./staggered.ts"
import * as SystemTables from "./systemTables.ts"

/** What the cluster needs of the client's options. */
export interface Options {
  readonly contactPoints: ReadonlyArray<ContactPoints.ContactPoint>
  readonly localDatacenter: string | undefined
  readonly session: Handshake.Session
  readonly pool: Omit<NodePool.Options, "session" | "address" | "port" | "expect" | "servername">
  /** Of nodes that are reached by way of something that is not what they say they are. */
  readonly port: number
  readonly addressTranslator: AddressTranslator | undefined
  readonly clientRoutes: ClientRoutes | undefined
  /** The cluster that contact points have to be of; the first one's where it is not given. */
  readonly clusterName: string | undefined
  /** Milliseconds for the cluster to be there at all. */
  readonly waitMillis: number
  readonly localRack: string | undefined
  readonly hostFilter: Snapshot.NodeFilter | undefined
  readonly failover: CheckedFailover | undefined
  /** A node takes requests, for the first time or again. */
  readonly onUp: (hostId: string) => void
  /** `system.tablets` is read whenever the cluster is. */
  readonly warmUp: boolean
  /** How long nodes have to agree on a schema; `undefined`: nobody waits for it. */
  readonly agreementMillis: number | undefined
  /** Milliseconds between looks at the cluster for which nothing is the reason; `undefined`: there are none. */
  readonly refreshMillis: number | undefined
  readonly core: Core
  /** Told of what changes in the schema, where it is followed. */
  readonly schema: Pick<Store, "hear" | "seen"> | undefined
}

/** How the cluster is spoken to, by the control connection. */
export interface Negotiated {
  readonly protocolVersion: 3 | 4 | 5
  /** `undefined`: nothing is compressed. */
  readonly compression: "lz4" | "snappy" | undefined
}

type Message =
  | { readonly _tag: "Event"; readonly event: Response.Event }
  | { readonly _tag: "Lost" }
  /** What is known may be out of date. */
  | { readonly _tag: "Doubt" }

type Tablets = ReadonlyArray<{ readonly table: string; readonly tablet: TabletInfo }>

interface Control extends Target {
  readonly connection: Connection
}

/** A control connection, and what it has told. */
interface Opened {
  readonly target: Target
  readonly connection: Connection
  readonly topology: SystemTables.Topology
  readonly keyspaces: ReadonlyArray<Snapshot.KeyspaceRow>
  readonly routes: Routes.Routes | undefined
  readonly tablets: Tablets
}

type Refused = PoolError | ServerError

/** Where a control connection is dialled. */
interface Target {
  /** As errors name it. */
  readonly given: string
  readonly address: string
  readonly port: number
  /** The name that led there. */
  readonly name: string | undefined
  /** A contact point, not a node that is known. */
  readonly isContact: boolean
}

interface Member {
  readonly row: SystemTables.NodeRow
  readonly reached: Reached
  readonly scope: Scope.Closeable
  readonly node: Snapshot.Node
  readonly isFiltered: boolean
  /** Whether there is a way to it: not where others have routes, and it has none. */
  readonly isReachable: boolean
}

/** Changes of nodes that a subscriber may be behind; older ones are dropped for it. */
const CHANGES = 1024
/**
 * A burst of events becomes one refresh, so many milliseconds after the first of them: later ones do not put it off, and the random
 * part keeps the clients of a cluster from asking all at once.
 */
const DEBOUNCE = { least: 500, spread: 1_000 }
const EVENTS = ["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"] as const
/** So many known nodes are dialled for a control connection before the contact points are. */
const KNOWN_FIRST = 8
/** A node that does not answer holds nobody up for long. */
const RACE = {
  after: 800,
  discard: ({ connection }: Opened): Effect.Effect<void> => connection.close(0),
  isFinal: (error: Refused): boolean => isForAll(error)
}
const isForAll = (error: Refused): boolean => error._tag === "PoolError" && error.reason._tag === "AuthenticationFailed"
/** A name that leads nowhere; why was told. */
const NOWHERE = new PoolError({ reason: new DialFailed({ message: "no address", kind: "Unreachable" }) })
/** Milliseconds between looks for a cluster that is not there yet. */
const WAIT_INTERVAL = 1_000

/** Looks at the cluster, where servers refuse to answer, and milliseconds of the first pause between them, at most. */
const LOOKS = 6
const LOOK_AGAIN = 1_000
/** Looks at the schema versions after a change of somebody else's. */
const HEARD_LOOKS = 25

/** A change of the schema that does not change where anything lies. */
const isOfTables = (message: Message): boolean =>
  message._tag === "Event" && message.event._tag === "SchemaChange" && message.event.schema.target !== "KEYSPACE"

const isSameKeyspace = (a: Snapshot.KeyspaceRow, b: Snapshot.KeyspaceRow): boolean => {
  const options = Object.entries(a.replication)
  return a.name === b.name && a.hasTablets === b.hasTablets && a.isGlobal === b.isGlobal &&
    options.length === Object.keys(b.replication).length &&
    options.every(([name, value]) => b.replication[name] === value)
}

const isSameRoute = (a: Snapshot.AlternatorRoute | undefined, b: Snapshot.AlternatorRoute | undefined): boolean =>
  a?.host === b?.host && a?.port === b?.port && a?.httpsPort === b?.httpsPort

const isSameNode = (a: Snapshot.Node, b: Snapshot.Node): boolean =>
  (Object.keys(a) as Array<keyof Snapshot.Node>).every((key) => {
    const [before, after] = [a[key], b[key]]
    if (key === "alternator") return isSameRoute(a.alternator, b.alternator)
    return Array.isArray(before) ? Snapshot.isSameList(before, after as ReadonlyArray<unknown>) : before === after
  })

/** A number of two texts, the same each time. */
const mixed = (a: string, b: string): string => token(new TextEncoder().encode(`${a} ${b}`)).toString(36)

const keyOf = ({ keyspace, name = "", target }: Response.SchemaChange): string => `${target} ${keyspace}.${name}`

const cqlError = (reason: CqlReason): CqlError => new CqlError({ reason, attempts: [] })
const reasonOf = (error: PoolError | ServerError): PoolReason | ServerError =>
  error instanceof PoolError ? error.reason : error

/** Milliseconds between two choices of nodes of other datacenters because some cannot be reached. */
const CHOOSE_MILLIS = 30_000

/**
 * The control connection and what it tells: one actor that owns the list of nodes, their pools, and the snapshot.
 */
export class Cluster {
  private readonly options: Options
  private readonly core: Core
  private readonly decoders = new RowDecoders({ uuid: "string" })
  private readonly reader = new SystemTables.TopologyReader()
  private readonly keyspacesReader = new SystemTables.KeyspacesReader()
  /** What the members were made of. */
  private applied: SystemTables.Topology | undefined
  /** Whether an address has turned out to be another node's since. */
  private isDoubted = false
  private placement: Snapshot.Snapshot["placement"] | undefined
  private readonly inbox: Queue.Queue<Message>
  private readonly members = new Map<string, Member>()
  /** Those that are members no more and whose pools have not ended. */
  private readonly leaving = new Set<Member>()
  private readonly published: PubSub.PubSub<Snapshot.NodeChange>
  private readonly scope: Scope.Scope
  private readonly context: Context.Context<never>
  private readonly addresses: Addresses
  private control: Control | undefined
  private isLost = false
  /** The loss of the control connection that there is. */
  private loss = Deferred.makeUnsafe<void>()
  /** Addresses that events said are down. */
  private readonly down = new Set<string>()
  /** Nodes that take no requests, and since when. */
  private readonly gone = new Map<string, number>()
  private datacenter = ""
  private clusterName: string | undefined
  private partitioner: string | undefined
  private isScylla = false
  /** `undefined` before the first control connection. */
  negotiated: Negotiated | undefined
  private keyspaces: ReadonlyArray<Snapshot.KeyspaceRow> = []
  /** Changes that were heard of, until the nodes agree. */
  private readonly heard = new Map<string, Response.SchemaChange>()
  /** That of the last look at the cluster, `undefined` after a change that was heard of. */
  private schemaVersion: string | undefined

  constructor(
    options: Options,
    inbox: Queue.Queue<Message>,
    published: PubSub.PubSub<Snapshot.NodeChange>,
    scope: Scope.Scope,
    context: Context.Context<never>
  ) {
    this.options = options
    this.core = options.core
    this.clusterName = options.clusterName
    this.addresses = new Addresses(options.addressTranslator)
    this.inbox = inbox
    this.published = published
    this.scope = scope
    this.context = context
  }

  private lost(): void {
    // A flag, because a flood of events may push the message out of the queue.
    this.isLost = true
    Deferred.doneUnsafe(this.loss, Exit.void)
    Queue.offerUnsafe(this.inbox, { _tag: "Lost" })
  }

  /** For as long as the control connection is there: its loss is what to see to first. */
  private whileControlled<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<unknown, E> {
    return Effect.suspend(() => this.isLost ? Effect.void : Effect.raceFirst(effect, Deferred.await(this.loss)))
  }

  private get owner(): Owner {
    const { inbox } = this
    const lost = (connection: Connection): void => {
      if (connection === this.control?.connection) this.lost()
    }
    return {
      onClosed: lost,
      onExhausted: lost,
      onSilent: (connection) => {
        if (this.core.snapshot.local.some(({ pool }) => pool?.isUp)) lost(connection)
      },
      // Never waits: the read loop must not depend on whoever reads events.
      onEvent: (event) => {
        if (event._tag === "SchemaChange") {
          this.forget(event.schema)
          this.core.schema.add(event.schema)
          this.options.schema?.hear(event.schema)
          this.schemaVersion = undefined
          if (this.heard.size < CHANGES) this.heard.set(keyOf(event.schema), event.schema)
        }
        // What it says of a node that is known is for its pool, at once.
        if (event._tag === "StatusChange" && this.hint(event)) return
        Queue.offerUnsafe(inbox, { _tag: "Event", event })
      }
    }
  }

  /**
   * Tablets of what was dropped, and perhaps made again, are not those that are known; nor are those of a keyspace with other
   * replicas now, which servers of v1 would not tell.
   */
  private forget({ change, keyspace, name, target }: Response.SchemaChange): void {
    const { tablets } = this.core
    if (target === "KEYSPACE") tablets.dropKeyspace(keyspace)
    else if (target === "TABLE" && change !== "UPDATED") tablets.dropTable(`${keyspace}.${name}`)
  }

  /** Opens the control connection: on known nodes first, on those that take requests before the others, and on the contact points. */
  private readonly open = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const reasons: Array<{ readonly contactPoint: string; readonly reason: PoolReason | ServerError }> = []
    const attempt = (target: Target): Effect.Effect<Opened, Refused> =>
      Effect.mapError(this.openAt(target), (error) => {
        reasons.push({ contactPoint: target.given, reason: reasonOf(error) })
        return error
      })
    const grade = ({ pool }: Snapshot.Node): number => pool === undefined ? 2 : pool.isUp ? 0 : 1
    const usable = [...this.members.values()].filter(({ isFiltered, isReachable }) => !isFiltered && isReachable)
    const known = (yield* Random.shuffle(usable))
      .toSorted((a, b) => grade(a.node) - grade(b.node))
      .map(({ node, reached }) => {
        const { address, port } = node
        return attempt({ given: `${address}:${port}`, address, port, name: reached.servername, isContact: false })
      })
    const contacts = this.options.contactPoints.map((point) => this.openContact(point, attempt, reasons))
    // Where all nodes have moved, contact points are not far behind.
    const order = [...known.slice(0, KNOWN_FIRST), ...contacts, ...known.slice(KNOWN_FIRST)]
    const opened = yield* Effect.result(staggered(order, RACE))
    if (Result.isFailure(opened)) {
      // No other node will like these credentials better.
      const [first] = opened.failure
      if (first !== undefined && isForAll(first)) return yield* cqlError(reasonOf(first))
      return yield* cqlError(
        new NoContactPoint({
          message: `none of the contact points could be used: ${
            reasons.map(({ contactPoint, reason }) => `${contactPoint}: ${reason.message}`).join("; ")
          }. Check addresses, port and TLS`,
          reasons
        })
      )
    }
    const { connection, target, topology } = opened.success
    this.control = { ...target, connection }
    this.applied = undefined
    this.isScylla = connection.features.isScylla
    this.isLost = false
    this.loss = Deferred.makeUnsafe()
    this.negotiated = { protocolVersion: connection.dialect.version, compression: connection.compression }
    if (target.isContact && this.options.clientRoutes === undefined) this.addresses.reached(topology.local, target)
    // Its end is nobody's business as long as it is not the control connection.
    if (!connection.isOpen) this.lost()
    return opened.success
  })

  /** A contact point, by all the addresses that its name has now. */
  private openContact(
    point: ContactPoints.ContactPoint,
    attempt: (target: Target) => Effect.Effect<Opened, Refused>,
    reasons: Array<{ readonly contactPoint: string; readonly reason: PoolReason | ServerError }>
  ): Effect.Effect<Opened, Refused> {
    const { given, host, port } = point
    return Effect.gen({ self: this }, function*() {
      const { addresses, problem } = yield* ContactPoints.resolve(point)
      if (problem !== undefined) {
        reasons.push({ contactPoint: given, reason: new DialFailed({ message: problem, kind: "Unreachable" }) })
      }
      const name = isIP(host) === 0 ? host : undefined
      const refused = [...this.members.values()].filter(({ isFiltered }) => isFiltered).map(({ node }) => node)
      const wanted = addresses.filter((address) =>
        !refused.some((node) => node.address === address && node.port === port)
      )
      return yield* Effect.mapError(
        staggered(wanted.map((address) => attempt({ given, address, port, name, isContact: true })), RACE),
        (errors) => errors.at(-1) ?? NOWHERE
      )
    })
  }

  private readonly openAt = Effect.fnUntraced({ self: this }, function*(this: Cluster, target: Target) {
    const { address, name, port } = target
    const { keyspace: _, ...session } = this.options.session
    const connection = yield* Handshake.connect({
      session,
      endpoint: { address, port, tls: this.options.pool.tls, servername: name },
      owner: this.owner,
      expect: { clusterName: this.clusterName },
      events: this.options.clientRoutes === undefined ? EVENTS : [...EVENTS, "CLIENT_ROUTES_CHANGE"]
    })
    const read = Effect.gen({ self: this }, function*() {
      const topology = yield* this.reader.read(connection, address)
      const keyspaces = yield* this.keyspacesReader.read(connection)
      const routes = yield* this.readRoutes(connection)
      if (this.isFiltered(topology.local, { address, port })) {
        return yield* new PoolError({
          reason: new DialFailed({ message: `${address}:${port} is filtered out (hostFilter)`, kind: "Unreachable" })
        })
      }
      const tablets = yield* this.readTablets(connection, keyspaces)
      return { target, connection, topology, keyspaces, routes, tablets }
    })
    return yield* Effect.onError(read, () => connection.close(0))
  })

  private readonly refresh = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const { control } = this
    if (control === undefined) return
    const { address, connection } = control
    const [topology, keyspaces, routes] = yield* Effect.all([
      this.reader.read(connection, address),
      this.keyspacesReader.read(connection),
      this.readRoutes(connection)
    ], { concurrency: "unbounded" })
    yield* this.apply({ topology, keyspaces, routes })
    this.options.schema?.seen(topology.local.schemaVersion, false)
    if (this.isRefused(topology.local.hostId)) return this.lost()
    this.learn(yield* this.readTablets(control.connection, keyspaces))
  })

  /** Whether the filter refuses the node, and has left another one that can be asked. */
  private isRefused(hostId: string): boolean {
    return this.members.get(hostId)?.isFiltered === true &&
      [...this.members.values()].some(({ isFiltered, node }) => !isFiltered && node.pool?.isUp === true)
  }

  /**
   * A look at the cluster. What is refused may be told a moment later; where no answer comes, though the connection seems to live, another
   * node is asked.
   */
  private readonly look = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    for (let attempt = 0; attempt < LOOKS; attempt++) {
      const looked = yield* Effect.result(this.refresh())
      if (Result.isSuccess(looked)) return
      const { failure } = looked
      yield* Effect.logDebug(`the cluster could not be looked at: ${failure.message}`)
      if (failure._tag === "PoolError") return this.lost()
      yield* Effect.sleep((yield* Random.next) * LOOK_AGAIN * 2 ** attempt)
    }
  })

  /** Reads a system table on the control connection, as it is at that moment; no statement of a user's goes there. */
  readonly query = (text: string): Effect.Effect<ReadonlyArray<Row>, CqlError> =>
    Effect.suspend(() => {
      const { control } = this
      return control === undefined
        ? Effect.fail(cqlError(new NoNodeAvailable({ message: "there is no control connection at the moment" })))
        : Effect.mapError(
          SystemTables.queryPages(control.connection, this.decoders, text),
          (error) => cqlError(reasonOf(error))
        )
    })

  get isScyllaDB(): boolean {
    return this.isScylla
  }

  private isFiltered(
    row: SystemTables.NodeRow,
    { address, port }: { readonly address: string; readonly port: number }
  ) {
    const { datacenter, hostId, rack, releaseVersion } = row
    try {
      return this.options.hostFilter?.({ hostId, address, port, datacenter, rack, releaseVersion }) === false
    } catch (error) {
      this.core.warnings.warn("hostFilter", `hostFilter has thrown, nodes stay as they are: ${String(error)}`)
      // One that is new is not asked: it is not known whether it may be.
      return this.members.get(hostId)?.isFiltered ?? true
    }
  }

  private readRoutes(connection: Connection): Effect.Effect<Routes.Routes | undefined, Refused> {
    const { clientRoutes, pool } = this.options
    return clientRoutes === undefined
      ? Effect.undefined
      : Routes.read(connection, this.decoders, clientRoutes, pool.tls !== undefined)
  }

  /** Where they are wanted, and the server has them in a form that is understood. */
  private readTablets(
    connection: Connection,
    keyspaces: ReadonlyArray<Snapshot.KeyspaceRow>
  ): Effect.Effect<Tablets> {
    if (!this.options.warmUp || !keyspaces.some(({ hasTablets }) => hasTablets)) return Effect.succeed([])
    return Effect.catch(
      SystemTables.tablets(connection, this.decoders),
      (error) => Effect.as(Effect.logDebug(`system.tablets could not be read: ${error.message}`), [])
    )
  }

  /** Of tablets that a server has told itself, the version is known, too: those stay as they are. */
  private learn(tablets: Tablets): void {
    for (const { table, tablet } of tablets) this.core.warm(table, tablet)
  }

  /**
   * That of nodes of which nobody says it: the control connection's, unless that leads somewhere else than to what the node says. Where
   * it leads to another port than the node says, others will not be on theirs either: one port is for TLS, or mapped.
   */
  private portsOf({ local }: SystemTables.Topology): (row: SystemTables.NodeRow) => number {
    const { control, options } = this
    const isDirect = control !== undefined && control.address === local.address
    const port = isDirect ? control.port : options.port
    const isAnother = isDirect && local.port !== undefined && local.port !== control.port
    return (row) => isAnother ? port : row.port ?? port
  }

  /** Starts pools of new nodes, ends those of nodes that left, publishes the snapshot. */
  private readonly apply = Effect.fnUntraced({ self: this }, function*(
    this: Cluster,
    { keyspaces, routes, topology }: Pick<Opened, "topology" | "keyspaces" | "routes">
  ) {
    for (const line of topology.skipped) yield* Effect.logDebug(`cluster metadata: ${line}`)
    if (topology.clusterName !== "") this.clusterName = topology.clusterName
    if (topology.partitioner !== "") this.partitioner = topology.partitioner
    this.schemaVersion = topology.local.schemaVersion
    this.setKeyspaces(keyspaces)
    if (topology === this.applied && this.isSettled) return this.shown()
    this.applied = undefined
    this.isDoubted = false
    const places = yield* this.addresses.of(
      topology.nodes,
      this.portsOf(topology),
      routes,
      // One that nobody dials is where it was.
      (hostId) => this.members.get(hostId)?.node.pool?.isUp ?? true
    )
    yield* Effect.uninterruptible(this.applyTo(topology, places))
  })

  /** In one piece: a member without its pool, or a pool without its member, would stay. */
  private readonly applyTo = Effect.fnUntraced({ self: this }, function*(
    this: Cluster,
    topology: SystemTables.Topology,
    places: ReadonlyArray<Reached | undefined>
  ) {
    const seen = new Set<string>()
    const ended: Array<Effect.Effect<unknown>> = []
    const away = this.away(
      topology.nodes.filter((row, i) => places[i] !== undefined && !this.isFiltered(row, places[i]))
    )
    for (const [i, row] of topology.nodes.entries()) {
      seen.add(row.hostId)
      const member = this.members.get(row.hostId)
      const place = places[i]
      if (place === undefined) this.core.warnings.warn(`route ${row.hostId}`, `${row.address} has no client route`)
      const reached: Reached = place ??
        { address: row.address, port: this.options.port, servername: undefined, isIndirect: true }
      const isFiltered = this.isFiltered(row, reached)
      const isAsked = place !== undefined && !isFiltered && (row.datacenter === this.datacenter || away.has(row.hostId))
      const same = member !== undefined && member.row.datacenter === row.datacenter && member.row.rack === row.rack &&
        member.reached.isIndirect === reached.isIndirect &&
        member.isFiltered === isFiltered && (member.node.pool !== undefined) === isAsked
      if (member !== undefined && !same) ended.push(this.remove(row.hostId))
      // The same node at another address keeps its pool.
      if (same) member.node.pool?.moveTo(reached.address, reached.port, reached.servername ?? null)
      const isReachable = place !== undefined
      yield* this.admit(row, reached, { isAsked, isFiltered, isReachable }, same ? member : undefined)
    }
    for (const hostId of this.members.keys()) {
      if (seen.has(hostId)) continue
      this.core.tablets.dropHost(hostId)
      ended.push(this.remove(hostId))
    }
    yield* this.publish()
    this.applied = topology
    // Nobody asks those any more.
    yield* Effect.all(ended, { discard: true })
  })

  /**
   * Whether the same topology would give the same members: a node that cannot be reached may make room for another one, or is where a
   * translator says now, and only the user knows what a filter depends on.
   */
  private get isSettled(): boolean {
    const { clientRoutes, hostFilter } = this.options
    if (this.isDoubted || hostFilter !== undefined || clientRoutes !== undefined) return false
    for (const { node: { pool } } of this.members.values()) if (pool?.isUp === false) return false
    return true
  }

  /**
   * The nodes of other datacenters that are connected to: some of each, those that are already first. Which ones is another choice for
   * each client, so that the clients of a cluster do not all fall on the same ones.
   */
  private away(rows: ReadonlyArray<SystemTables.NodeRow>): ReadonlySet<string> {
    const { failover } = this.options
    const chosen = new Set<string>()
    for (const datacenter of failover?.datacenters ?? []) {
      if (datacenter === this.datacenter) continue
      // Those that are connected stay, and those that cannot be reached make room for others.
      const grade = (pool: NodePool.NodePool | undefined): number =>
        pool === undefined ? 1 : pool.isUp || pool.lastReason === undefined ? 0 : 2
      const rank = ({ hostId }: SystemTables.NodeRow): string =>
        `${grade(this.members.get(hostId)?.node.pool)} ${mixed(this.options.session.clientId ?? "", hostId)}`
      rows.filter((row) => row.datacenter === datacenter)
        .toSorted((a, b) => rank(a) < rank(b) ? -1 : 1)
        .slice(0, failover!.nodes)
        .forEach(({ hostId }) => chosen.add(hostId))
    }
    return chosen
  }

  /** Events of what is gone may have been missed while there was no control connection. */
  private setKeyspaces(rows: ReadonlyArray<Snapshot.KeyspaceRow>): void {
    const before = this.keyspaces
    if (rows === before) return
    if (rows.length === before.length && rows.every((row, i) => isSameKeyspace(row, before[i]!))) return
    const still = new Set(rows.filter(({ hasTablets }) => hasTablets).map(({ name }) => name))
    for (const { hasTablets, name } of before) {
      if (hasTablets && !still.has(name)) this.core.tablets.dropKeyspace(name)
    }
    this.keyspaces = rows
  }

  private readonly admit = Effect.fnUntraced({ self: this }, function*(
    this: Cluster,
    row: SystemTables.NodeRow,
    reached: Reached,
    { isAsked, isFiltered, isReachable }: {
      readonly isAsked: boolean
      readonly isFiltered: boolean
      readonly isReachable: boolean
    },
    before: Member | undefined
  ) {
    const { address, isIndirect, port, servername } = reached
    const isLocal = row.datacenter === this.datacenter && !isFiltered
    const { failover, localRack } = this.options
    const scope = before?.scope ?? (yield* Scope.make())
    const pool = before !== undefined
      ? before.node.pool
      : isAsked
      ? yield* Scope.provide(
        NodePool.make({
          ...this.options.pool,
          connections: isLocal ? this.options.pool.connections : { perNode: failover!.connections },
          session: this.options.session,
          address,
          port,
          servername,
          // What lies in between gives the server other local ports than those that choose a shard.
          shardAwarePort: isIndirect ? false : this.options.pool.shardAwarePort,
          // A node that did not tell its id is known by its address.
          expect: row.hostId === row.address ? undefined : { hostId: row.hostId }
        }),
        scope
      )
      : undefined
    const node: Snapshot.Node = {
      hostId: row.hostId,
      address,
      port,
      rpcAddress: row.address,
      peer: row.peer,
      datacenter: row.datacenter,
      rack: row.rack,
      tokens: row.tokens.tokens,
      tokenTexts: row.tokens.texts,
      releaseVersion: row.releaseVersion,
      alternator: reached.alternator,
      isLocal,
      isFar: isLocal && localRack !== undefined && row.rack !== localRack,
      pool
    }
    // The same object as long as nothing is new: whoever has it need not look again.
    const same = before !== undefined && isSameNode(before.node, node) ? before.node : node
    this.members.set(row.hostId, { row, reached, scope, node: same, isFiltered, isReachable })
    if (before !== undefined) return
    this.tell(node, { _tag: "Added" })
    if (pool === undefined) return
    const watch = Stream.runForEach(
      pool.changes,
      (change) => this.observe(this.members.get(row.hostId)?.node ?? node, change)
    )
    yield* Effect.forkIn(watch, scope, { startImmediately: true })
  })

  private chosenAt = -Infinity

  private tell({ address, hostId, port }: Snapshot.Node, change: Snapshot.NodeChange["change"]): void {
    PubSub.publishUnsafe(this.published, { hostId, address, port, change })
  }

  /** Passes on what happens to a pool. Where somebody else answers, what is known of the cluster is out of date. */
  private observe(node: Snapshot.Node, change: NodePool.Change): Effect.Effect<void> {
    this.tell(node, change)
    this.log(node, change)
    if (change._tag === "Up") this.options.onUp(node.hostId)
    // An idle connection to the same node would notice much later.
    if (change._tag === "Down" && this.control?.address === node.address) this.control.connection.probe()
    if ((change._tag === "Down" || change._tag === "DialFailed") && !node.isLocal) this.chooseOthers(node)
    if (change._tag !== "DialFailed" || change.reason._tag !== "WrongNode") return Effect.void
    // A contact point may lead to many nodes in turn.
    this.addresses.refuted(node.hostId)
    this.isDoubted = true
    Queue.offerUnsafe(this.inbox, { _tag: "Doubt" })
    return Effect.logWarning(`a connection was closed: ${change.reason.message}`)
  }

  /** Where there are others, one of another datacenter that cannot be reached is replaced: not more often than once in a while. */
  private chooseOthers({ datacenter, pool }: Snapshot.Node): void {
    const now = this.core.millis
    if (pool?.isUp === true || now - this.chosenAt < CHOOSE_MILLIS) return
    const isSpare = ({ isFiltered, node }: Member): boolean =>
      node.datacenter === datacenter && node.pool === undefined && !isFiltered
    if (![...this.members.values()].some(isSpare)) return
    this.chosenAt = now
    Queue.offerUnsafe(this.inbox, { _tag: "Doubt" })
  }

  /** A node that takes no requests any more, and one that does again: once each, with why. */
  private log({ address, hostId, port }: Snapshot.Node, change: NodePool.Change): void {
    if (change._tag === "Down" && change.reason !== undefined && change.reason._tag !== "ConnectionClosed") {
      if (this.gone.has(hostId)) return
      this.gone.set(hostId, this.core.millis)
      this.say(Effect.logWarning(`${address}:${port} takes no requests: ${change.reason.message}`))
    } else if (change._tag === "Up" && this.gone.has(hostId)) {
      const seconds = ((this.core.millis - this.gone.get(hostId)!) / 1000).toFixed(1)
      this.gone.delete(hostId)
      this.say(Effect.logInfo(`${address}:${port} takes requests again, after ${seconds} s`))
    }
  }

  private say(line: Effect.Effect<void>): void {
    Effect.runForkWith(this.context)(line)
  }

  /** What happens to nodes from now on. A subscriber that is slow misses the oldest of what it has not read. */
  get changes(): Stream.Stream<Snapshot.NodeChange> {
    return Stream.fromPubSub(this.published)
  }

  /** It is no member any more; its pool ends when the effect is run. */
  private remove(hostId: string): Effect.Effect<unknown> {
    const member = this.members.get(hostId)
    if (member === undefined) return Effect.void
    this.members.delete(hostId)
    this.leaving.add(member)
    this.gone.delete(hostId)
    this.tell(member.node, { _tag: "Removed" })
    const ending = Effect.andThen(Scope.close(member.scope, Exit.void), Effect.sync(() => this.leaving.delete(member)))
    return Effect.forkIn(ending, this.scope, { startImmediately: true })
  }

  /** The members as they are now, and who owns what. */
  private readonly publish = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const nodes = [...this.members.values()].map(({ node }) => node)
    this.placement = yield* paced(Snapshot.place(nodes, this.partitioner ?? "Murmur3Partitioner", this.placement))
    this.shown()
  })

  /** The keyspaces of `shownOf`'s snapshot. */
  private shownOf: ReadonlyArray<Snapshot.KeyspaceRow> | undefined

  /** Another snapshot, where something is new: whoever has looked something up need not do so again. */
  private shown(): void {
    const { core, keyspaces, placement } = this
    if (placement === undefined) return
    if (core.snapshot.placement === placement && this.shownOf === keyspaces) return
    this.shownOf = keyspaces
    core.snapshot = Snapshot.make(this.clusterName ?? "", this.datacenter, placement.nodes, keyspaces, {
      remote: this.options.failover?.datacenters,
      partitioner: this.partitioner,
      isScylla: this.isScylla,
      placement
    })
  }

  /** The datacenter to use: the one asked for, or the contact points' common one. */
  private readonly chooseDatacenter = Effect.fnUntraced({ self: this }, function*(
    this: Cluster,
    topology: SystemTables.Topology
  ) {
    const all = [...new Set(topology.nodes.map((node) => node.datacenter))].sort()
    const { contactPoints, localDatacenter } = this.options
    const wrong = (message: string): Effect.Effect<never, CqlError> =>
      Effect.fail(
        cqlError(new InvalidConfiguration({ message, issues: [{ path: "localDatacenter", message }] }))
      )
    if (localDatacenter !== undefined) {
      return all.includes(localDatacenter)
        ? localDatacenter
        : yield* wrong(`the cluster has no datacenter ${JSON.stringify(localDatacenter)}: it has ${all.join(", ")}`)
    }
    const resolved = yield* Effect.forEach(contactPoints, ContactPoints.resolve, { concurrency: "unbounded" })
    const hosts = new Set(resolved.flatMap(({ addresses }) => addresses))
    const contacted = topology.nodes.filter((node) => hosts.has(node.address) || hosts.has(node.peer))
    // The node that was reached, whatever it calls itself.
    const chosen = [...new Set([topology.local, ...contacted].map((node) => node.datacenter))]
    if (chosen.length > 1) {
      return yield* wrong(
        `the contact points are in different datacenters (${chosen.sort().join(", ")}): set localDatacenter`
      )
    }
    // Where there is no other one nobody will wonder.
    const line = `the local datacenter is ${chosen[0]}, that of the contact points`
    yield* all.length > 1 ? Effect.logInfo(line) : Effect.logDebug(line)
    return chosen[0]!
  })

  /** The first control connection, and a keyspace that is there. */
  private readonly begin = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const first = yield* this.open()
    const { keyspace } = this.options.session
    if (keyspace !== undefined && !first.keyspaces.some(({ name }) => name === keyspace)) {
      const names = first.keyspaces.map(({ name }) => name).filter((name) => !name.startsWith("system")).sort()
      const message = `the keyspace ${JSON.stringify(keyspace)} does not exist (there are: ${
        names.join(", ") || "none"
      }). Names are case-sensitive here; create it, leave \`keyspace\` out, or wait for it with waitForCluster`
      const control = this.control?.connection
      this.control = undefined
      if (control !== undefined) yield* control.close(0)
      return yield* cqlError(new InvalidConfiguration({ message, issues: [{ path: "keyspace", message }] }))
    }
    return first
  })

  /** The same, again and again as long as may be waited: for what another moment may bring. */
  private readonly beginInTime = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const until = (yield* Clock.currentTimeMillis) + this.options.waitMillis
    for (let attempt = 0;; attempt++) {
      const begun = yield* Effect.result(this.begin())
      if (Result.isSuccess(begun)) return begun.success
      const { reason } = begun.failure
      const mayCome = reason._tag === "NoContactPoint" || reason._tag === "InvalidConfiguration"
      const left = until - (yield* Clock.currentTimeMillis)
      if (!mayCome || left <= 0) return yield* begun.failure
      if (attempt === 0) yield* Effect.logInfo(`waiting for the cluster: ${begun.failure.message}`)
      yield* Effect.sleep(Math.min(left, WAIT_INTERVAL))
    }
  })

  /** Everything up to the first usable pool. */
  readonly start = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const first = yield* this.beginInTime()
    this.datacenter = yield* this.chooseDatacenter(first.topology)
    yield* this.apply(first)
    this.learn(first.tablets)
    const { localRack } = this.options
    const racks = new Set(this.core.snapshot.local.map(({ rack }) => rack))
    if (localRack !== undefined && !racks.has(localRack)) {
      yield* Effect.logWarning(
        `no node of the datacenter ${this.datacenter} is in the rack ${localRack} (localRack): there are ${
          [...racks].sort().join(", ")
        }`
      )
    }
    const pools = this.core.snapshot.local.flatMap((node) => node.pool ?? [])
    // One dial each: all that can be reached at once are there, and a dead node holds nobody up for long.
    const { connectTimeout = 5_000, handshakeTimeout = 5_000 } = this.options.session
    yield* Effect.timeoutOption(
      Effect.forEach(pools, (pool) => pool.awaitFirst, { concurrency: "unbounded", discard: true }),
      connectTimeout + handshakeTimeout
    )
    if (!pools.some((pool) => pool.isUp)) {
      const [reason] = pools.flatMap((pool) => pool.lastReason ?? [])
      const isDial = reason === undefined || reason._tag === "DialFailed" || reason._tag === "ConnectTimeout"
      return yield* cqlError(isDial ? this.unreachable(reason) : reason)
    }
  })

  /** The nodes are not where they say: what was dialled, and what helps. */
  private unreachable(reason: PoolReason | undefined): NoNodeAvailable {
    const { control, datacenter } = this
    const { clientRoutes } = this.options
    if (clientRoutes !== undefined && !this.core.snapshot.local.some(({ pool }) => pool !== undefined)) {
      const { connectionIds, table = "system.client_routes" } = clientRoutes
      const links = connectionIds.join(", ")
      return new NoNodeAvailable({
        message:
          `no node of the datacenter ${datacenter} has a route by ${links} in ${table}: check clientRoutes.connectionIds`
      })
    }
    const nodes = this.core.snapshot.local.map(({ address, port, rpcAddress }) =>
      address === rpcAddress ? `${address}:${port}` : `${address}:${port}, which calls itself ${rpcAddress}`
    )
    const by = control === undefined ? "" : `${control.name ?? control.address}:${control.port} answered, but `
    return new NoNodeAvailable({
      message:
        `${by}no node of the datacenter ${datacenter} can be reached at the address that the cluster tells (${
          nodes.join("; ") || "it has none"
        })${
          reason === undefined ? "" : `: ${reason.message}`
        }. Behind a tunnel, mapped ports or an address translation, ` +
        "set addressTranslator"
    })
  }

  /** What no event has told shows sooner or later; each client at times of its own. */
  get refreshes(): Effect.Effect<void> {
    const { refreshMillis } = this.options
    if (refreshMillis === undefined) return Effect.void
    const once = Effect.flatMap(Random.next, (share) =>
      Effect.andThen(
        Effect.sleep(refreshMillis * (0.75 + share / 2)),
        Effect.sync(() => Queue.offerUnsafe(this.inbox, { _tag: "Doubt" }))
      ))
    return Effect.forever(once)
  }

  /** The actor: takes one message after the other for as long as the client lives. */
  get run(): Effect.Effect<never> {
    const step = Effect.catchCause(this.step(), (cause) =>
      Cause.hasInterrupts(cause)
        ? Effect.failCause(cause as Cause.Cause<never>)
        : Effect.logError("the cluster's metadata could not be kept up to date", cause))
    return Effect.forever(step)
  }

  private readonly step = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const message = yield* Queue.take(this.inbox)
    if (!this.isLost) {
      if (message._tag === "Lost" || (message._tag === "Event" && this.hint(message.event))) return
      let isRefreshed = !isOfTables(message)
      // What arrives meanwhile is answered by the same refresh.
      yield* this.whileControlled(Effect.sleep(DEBOUNCE.least + (yield* Random.next) * DEBOUNCE.spread))
      for (const other of yield* Queue.clear(this.inbox)) {
        if (other._tag === "Lost" || (other._tag === "Event" && this.hint(other.event))) continue
        isRefreshed ||= !isOfTables(other)
      }
      yield* this.whileControlled(this.settleHeard())
      if (isRefreshed) yield* this.whileControlled(this.look())
    }
    while (this.isLost) {
      yield* this.failOver()
      yield* this.whileControlled(this.settleHeard())
    }
  })

  /** Lets the pool of a known node know; answers whether that is all there is to do. */
  private hint(event: Response.Event): boolean {
    if (event._tag === "UnknownEvent") return true
    // Links of others.
    if (event._tag === "ClientRoutesChange") {
      const own = this.options.clientRoutes?.connectionIds ?? []
      return !event.connectionIds.some((id) => own.includes(id))
    }
    if (event._tag === "SchemaChange") return false
    if (event._tag !== "StatusChange") return false
    if (event.change === "DOWN") this.down.add(event.address)
    else this.down.delete(event.address)
    // ScyllaDB's events name the peer address, Cassandra's the native one; the port is the listener's, not the node's.
    const node = this.core.snapshot.nodes.find(({ peer, rpcAddress }) =>
      rpcAddress === event.address || peer === event.address
    )
    if (node === undefined) return false
    if (event.change === "UP") node.pool?.nodeUp()
    else if (event.change === "DOWN") node.pool?.nodeDown()
    return true
  }

  private readonly failOver = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    const lost = this.control
    this.control = undefined
    this.isLost = false
    if (lost !== undefined && lost.connection.isOpen) {
      yield* Effect.forkIn(lost.connection.close("5 seconds"), this.scope, { startImmediately: true })
    }
    for (let attempt = 0;; attempt++) {
      const opened = yield* Effect.result(this.open())
      if (Result.isSuccess(opened)) {
        const { tablets, topology } = opened.success
        // Events of what changed while there was no control connection went to nobody.
        if (topology.local.schemaVersion !== this.schemaVersion) this.core.schema.add(undefined)
        yield* this.whileControlled(this.apply(opened.success))
        if (this.isLost) return
        this.options.schema?.seen(topology.local.schemaVersion, true)
        return this.learn(tablets)
      }
      if (attempt === 0) yield* Effect.logWarning(`the control connection is lost: ${opened.failure.message}`)
      yield* Effect.sleep((yield* Random.next) * Math.min(10_000, 100 * 2 ** Math.min(attempt, 10)))
    }
  })

  /** Whether the nodes have the same schema. `asked` is the node that made a change, if one has just done so. */
  agreement(
    asked: Connection | undefined,
    timeoutMillis = this.options.agreementMillis ?? 0
  ): Effect.Effect<SchemaAgreement> {
    const { core, decoders, down } = this
    const control = () => asked?.isOpen === true ? asked : this.control?.connection
    return agreement({ core, decoders, down, control }, timeoutMillis)
  }

  /** After a change of the schema: the nodes agree on it before the caller goes on, and routing knows it. */
  readonly schemaChanged = (
    connection: Connection,
    change: Response.SchemaChange,
    leftMillis: number
  ): Effect.Effect<SchemaAgreement | undefined> =>
    Effect.gen({ self: this }, function*() {
      const { agreementMillis } = this.options
      const millis = Math.min(agreementMillis ?? 0, leftMillis)
      const until = (yield* Clock.currentTimeMillis) + leftMillis
      const agreement = agreementMillis === undefined ? undefined : yield* this.agreement(connection, millis)
      if (agreement?.agreed === false && !this.core.closed) {
        const others = agreement.others.map(({ address, port }) => `${address}:${port}`).join(", ")
        yield* Effect.logWarning(
          `the nodes did not agree on the schema within ${millis / 1000} seconds${
            others === "" ? "" : `: ${others} ${agreement.others.length === 1 ? "has" : "have"} another one`
          }`
        )
      }
      const { control } = this
      if (control !== undefined && !this.core.closed) {
        const read = Effect.option(this.keyspacesReader.read(control.connection))
        const rows = Option.flatten(yield* Effect.timeoutOption(read, until - (yield* Clock.currentTimeMillis)))
        if (rows._tag === "Some") {
          this.setKeyspaces(rows.value)
          this.shown()
        }
      }
      return agreement
    }).pipe(
      // Nodes that were asked meanwhile may not have had it yet.
      Effect.ensuring(Effect.sync(() => {
        this.heard.delete(keyOf(change))
        this.core.schema.add(change)
      }))
    )

  /**
   * The same of what others have changed: the event comes from one node, and another one that is asked at once may not have it yet. So it
   * counts again when the nodes agree.
   */
  private readonly settleHeard = Effect.fnUntraced({ self: this }, function*(this: Cluster) {
    for (let look = 0; look < HEARD_LOOKS && this.heard.size > 0; look++) {
      const { control } = this
      if (control === undefined) return
      const versions = yield* Effect.option(
        SystemTables.schemaVersions(control.connection, this.decoders, () => true, () => undefined)
      )
      if (versions._tag === "Some" && versions.value.others.length === 0) break
      yield* Effect.sleep(INTERVAL.longest)
    }
    for (const change of this.heard.values()) this.core.schema.add(change)
    this.heard.clear()
  })

  /** Closes everything, requests in flight drained. */
  get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const members = [...this.members.values(), ...this.leaving]
      const control = this.control?.connection
      this.control = undefined
      return Effect.andThen(
        Effect.forEach(members, (member) => Scope.close(member.scope, Exit.void), {
          concurrency: "unbounded",
          discard: true
        }),
        control === undefined ? Effect.void : control.close(0)
      )
    })
  }
}

/** Starts the actor; it ends, and everything is closed, with the scope. */
export const make = (options: Options): Effect.Effect<Cluster, CqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const inbox = yield* Queue.sliding<Message>(1024)
    // Whoever listens is let go with the scope.
    const published = yield* Effect.acquireRelease(PubSub.sliding<Snapshot.NodeChange>(CHANGES), PubSub.shutdown)
    const scope = yield* Effect.scope
    const cluster = new Cluster(options, inbox, published, scope, yield* Effect.context<never>())
    yield* Effect.addFinalizer(() => cluster.shutdown)
    yield* cluster.start()
    yield* Effect.forkScoped(Background.run(cluster.run))
    yield* Effect.forkScoped(Background.run(cluster.refreshes))
    return cluster
  })
