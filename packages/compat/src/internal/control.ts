import type { NodeChange } from "@effect-scylla/driver/CqlClient"
import type { ResultSet } from "@effect-scylla/driver/ResultSet"
import type * as Schema from "@effect-scylla/driver/Schema"
import type { Node } from "@effect-scylla/driver/Snapshot"
import * as Consistency from "@effect-scylla/protocol/Consistency"
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import type { Engine } from "./engine.ts"
import { fromCqlError } from "./errors.ts"
import { addressOf, Host } from "./hosts.ts"
import { rowMaker } from "./rows.ts"
import { type Encoder, theirs } from "./theirs.ts"

/** A statement of `cassandra-driver` itself: its text, or a request with the text in it. */
type Asked = string | { readonly query: string; readonly consistency?: number }

/** How often, and how long apart, a node is looked for that has joined. */
const LOOKS = 500
const LOOK_MILLIS = 20

/** All rows at once, as it asks for them. */
const ALL = 2 ** 31 - 1

const PARTITIONERS: Readonly<Record<string, string>> = {
  byteOrdered: "ByteOrderedPartitioner",
  random: "RandomPartitioner"
}

/** A change as an event of the protocol tells it there. */
export const eventOf = ({ argTypes, change, keyspace, name, target }: SchemaChange): object => {
  const event: Record<string, unknown> = {
    eventType: "SCHEMA_CHANGE",
    schemaChangeType: change,
    target,
    keyspace,
    table: null,
    udt: null,
    signature: null,
    isKeyspace: target === "KEYSPACE"
  }
  if (target === "TABLE") event["table"] = name
  else if (target === "TYPE") event["udt"] = name
  else if (target === "FUNCTION") Object.assign(event, { functionName: name, signature: [...argTypes ?? []] })
  else if (target === "AGGREGATE") Object.assign(event, { aggregate: name, signature: [...argTypes ?? []] })
  return event
}

/** The same as a server said it. */
const saidOf = ({ change, keyspace, name, target }: Schema.Change): SchemaChange => {
  if (target === "KEYSPACE") return { change, target, keyspace }
  if (target !== "FUNCTION" && target !== "AGGREGATE") return { change, target, keyspace, name }
  const end = name.lastIndexOf("(")
  const args = name.slice(end + 1, -1)
  return { change, target, keyspace, name: name.slice(0, end), argTypes: args === "" ? [] : args.split(", ") }
}

/**
 * What stands in for the control connection of `cassandra-driver`: its metadata asks it, its policies look at its hosts. It was made by
 * the constructor of its client, and never connects; its own methods that dial are put out of the way.
 */
export class Control {
  /** As `cassandra-driver` made it. */
  private readonly control: any
  private readonly options: any
  private engine: Engine | undefined = undefined
  private readonly rows = rowMaker(() => this.engine?.cql.isShardAware() === true)
  /** Host ids of nodes that have left, as long as the snapshot still has them. */
  private readonly left = new Set<string>()
  private readonly onDial: (error: Error) => void

  constructor(control: any, options: any, encoder: Encoder, onDial: (error: Error) => void) {
    this.control = control
    this.options = options
    this.onDial = onDial
    control._encoder = encoder
    Object.assign(control, {
      init: () => Promise.reject(new theirs.errors.DriverInternalError("the engine has the control connection")),
      query: (asked: Asked) => this.query(asked),
      reset: () => Promise.resolve(void this.clear()),
      getLocalAddress: () => undefined,
      getEndpoint: () => control.host?.address
    })
    for (const name of ["init", "query", "reset", "getLocalAddress", "getEndpoint"]) {
      Object.defineProperty(control, name, { enumerable: false })
    }
  }

  /** The nodes, and what is known of the schema. */
  async begin(engine: Engine): Promise<void> {
    const { control, options } = this
    const { cql } = engine
    this.engine = engine
    control.protocolVersion = cql.shardAwareStats().protocolVersion
    this.look(true)
    const { partitioner } = cql.cluster()
    const { metadata } = control
    metadata.setPartitioner(PARTITIONERS[partitioner.kind] ?? "Murmur3Partitioner")
    metadata.setCassandraVersion(control.host?.getCassandraVersion() ?? [])
    metadata.buildTokens(control.hosts)
    control.connection = {
      endpoint: control.host?.address,
      endpointFriendlyName: control.host?.address,
      protocolVersion: control.protocolVersion,
      encoder: control._encoder,
      send: (asked: Asked) => this.query(asked)
    }
    if (options.isMetadataSyncEnabled) await metadata.refreshKeyspacesInternal(false)
    metadata.initialized = true
    control.initialized = true
  }

  /** Another engine takes over, for the same cluster. */
  goOn(engine: Engine): void {
    this.engine = engine
    this.look(false)
  }

  /** What happens from now on. */
  follow(engine: Engine): void {
    engine.listen(engine.cql.nodeChanges, (change) => {
      if (engine === this.engine) this.changed(change)
    })
    // No keyspace is asked for there, so that each is what a server says, as soon as it says it.
    engine.listen(engine.cql.schema.changes, (change) => {
      if (engine !== this.engine || !this.options.isMetadataSyncEnabled) return
      const said = saidOf(change)
      this.control.log("info", "Schema change", eventOf(said))
      void this.refresh(said, false)
    })
  }

  /** Reads again what a change of the schema was about: at once, or with others that come in the next moment. */
  async refresh(change: SchemaChange, now: boolean): Promise<void> {
    if (!this.options.isMetadataSyncEnabled) return
    try {
      await this.control.handleSchemaChange(eventOf(change), now)
    } catch (error) {
      this.control.log("warning", "the schema could not be read again", error)
    }
  }

  /** Keyspaces are read again, and what is in them when it is asked for. */
  private forget(): void {
    if (!this.options.isMetadataSyncEnabled) return
    this.control.metadata.refreshKeyspacesInternal(false).catch((error: unknown) =>
      this.control.log("warning", "the keyspaces could not be read again", error)
    )
  }

  clear(): void {
    this.control.hosts.clear()
    this.control.initialized = false
    this.control.metadata.initialized = false
  }

  /** No more is looked at. */
  end(): void {
    this.control.shutdown()
    this.engine = undefined
    this.control.connection = null
  }

  private async query(asked: Asked): Promise<object> {
    const { engine } = this
    if (engine === undefined) throw new theirs.errors.NoHostAvailableError({}, "the client is not connected")
    const { consistency = 1, query } = typeof asked === "string" ? { query: asked } : asked
    const { cql } = engine
    const node = this.asked(cql.cluster().local)
    const options = {
      rows: this.rows,
      consistency: Consistency.fromCode(consistency),
      pageSize: ALL,
      ...(node === undefined ? {} : { target: { hostId: node.hostId } })
    } as const
    try {
      const { rows } = await engine.promise(cql.execute(query, [], options)) as ResultSet<any>
      return { rows, rowLength: rows.length, meta: {} }
    } catch (error) {
      throw fromCqlError(error as never, { query })
    }
  }

  /** One node for all that is asked about the cluster, as long as it is up: two nodes may see it differently. */
  private asked(nodes: ReadonlyArray<Node>): Node | undefined {
    const { host } = this.control
    const last = nodes.find(({ hostId, pool }) => pool?.isUp === true && String(host?.hostId) === hostId)
    return last ?? nodes.find(({ pool }) => pool?.isUp === true)
  }

  private changed({ address, change, hostId, port }: NodeChange): void {
    const { control } = this
    if (change._tag === "DialFailed") this.onDial(fromReason(change.reason))
    if (change._tag === "Slot" || change._tag === "ShardAwarePort") return
    // Of who joins and who leaves is told before the snapshot says so.
    if (change._tag === "Removed") this.left.add(hostId)
    if (change._tag === "Added") {
      this.left.delete(hostId)
      this.lookFor(hostId, LOOKS)
    }
    this.look(false)
    const host: Host | undefined =
      control.hosts.values().find((host: Host) => String((host as any).hostId) === hostId) ??
        control.hosts.get(addressOf({ address, port }))
    if (host === undefined) return
    if (change._tag === "Up") {
      // What was changed while there was nobody to tell of it.
      if (!host.isUp()) this.forget()
      host.setUp()
    } else if (change._tag === "Down") host.setDown()
  }

  /** Looks again until a node that has joined is there. */
  private lookFor(hostId: string, times: number): void {
    const { engine } = this
    if (engine === undefined || times === 0 || this.left.has(hostId)) return
    if (engine.cql.cluster().hosts.has(hostId)) this.look(false)
    else setTimeout(() => this.lookFor(hostId, times - 1), LOOK_MILLIS).unref()
  }

  /** Takes over the nodes as the engine knows them now. */
  private look(isFirst: boolean): void {
    const { control, engine, options } = this
    const { hosts: known, local, nodes: all } = engine!.cql.cluster()
    for (const hostId of this.left) if (!known.has(hostId)) this.left.delete(hostId)
    const nodes = all.filter(({ hostId }) => !this.left.has(hostId))
    const { hosts, metadata } = control
    const places = new Map(nodes.map((node) => [addressOf(node), node]))
    const gone = hosts.keys().filter((address: string) => !places.has(address))
    const isOther = gone.length > 0 || nodes.length !== hosts.length
    for (const address of gone) hosts.remove(address)
    for (const [address, node] of places) {
      const present: Host | undefined = hosts.get(address)
      if (present !== undefined) {
        present.describe(node)
        continue
      }
      const host = new Host(address, options, metadata, control.protocolVersion)
      host.describe(node)
      // It is up when a connection to it is: until then it is not asked.
      if (!isFirst && node.pool?.isUp !== true) (host as any).setDownAt = Date.now()
      hosts.set(address, host)
    }
    if (control.host === null || hosts.get(control.host?.address) === undefined) {
      const first = local.find(({ pool }) => pool?.isUp === true) ?? nodes[0]
      control.host = first === undefined ? null : hosts.get(addressOf(first))
    }
    if (!isFirst && isOther && metadata.tokenizer !== undefined) metadata.buildTokens(hosts)
  }
}

const fromReason = (reason: { readonly message: string }): Error =>
  Object.assign(new Error(reason.message), { isSocketError: true })
