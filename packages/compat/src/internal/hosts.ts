import type * as Snapshot from "@effect-scylla/driver/Snapshot"
import { TheirHost, theirs } from "./theirs.ts"

const { Uuid, distance } = theirs.types as any

/**
 * A node, as policies, listeners and programs see it. What `cassandra-driver` keeps in a host to speak to it (connections, schedules,
 * timers) the engine has.
 */
export class Host extends TheirHost {
  /** What the engine knows of it. @internal */
  node!: Snapshot.Node

  constructor(address: string, options: object, metadata: object, protocolVersion: number) {
    super(address, protocolVersion, options, metadata)
    // Not for `util.inspect`, nor for comparisons.
    Object.defineProperty(this, "node", { writable: true, enumerable: false, configurable: true })
    // `ClientState.from` and user's policies count them there.
    Object.defineProperty(this["pool"], "connections", {
      configurable: true,
      get: () => Array.from({ length: this.openConnections })
    })
  }

  /** Connections that are open now. @internal */
  get openConnections(): number {
    const slots = this.node?.pool?.stats.slots ?? []
    return slots.filter(({ state }) => state === "Ready").length
  }

  getInFlight(): number {
    const { slots } = this.node?.pool?.stats ?? { slots: [] }
    return slots.reduce((sum, { inFlight }) => sum + inFlight, 0)
  }

  /** A node that has been answering lately: what the balancing of `cassandra-driver` takes for healthy. */
  getResponseCount(): number {
    return this.node?.pool?.isSuspect === true ? 0 : 2
  }

  setDistance(value: number | undefined): number {
    const before = this["_distance"]
    this["_distance"] = value || distance.local
    if (this["_distance"] !== before && this["_distance"] === distance.ignored) this["emit"]("ignore")
    return this["_distance"]
  }

  setDown(): void {
    if (this["setDownAt"] !== 0) return
    this["setDownAt"] = Date.now()
    this["emit"]("down")
  }

  setUp(_clearReconnection?: unknown): void {
    if (this["setDownAt"] === 0) return
    this["setDownAt"] = 0
    this["isUpSince"] = Date.now()
    this["emit"]("up")
  }

  /** Whether it may be asked: the engine dials it again by itself. */
  canBeConsideredAsUp(): boolean {
    return this["isUp"]()
  }

  checkIsUp(): void {}
  checkHealth(): void {}
  removeFromPool(): void {}
  initializePool(): void {}
  warmupPool(): Promise<void> {
    return Promise.resolve()
  }
  getActiveConnection(): null {
    return null
  }
  borrowConnection(_previous?: unknown): never {
    throw new theirs.errors.NotSupportedError(
      "connections of @effect-scylla/compat are the engine's: none can be borrowed"
    )
  }
  shutdown(): Promise<void> {
    return Promise.resolve()
  }

  /** What the cluster says of it now. */
  describe(node: Snapshot.Node): void {
    this.node = node
    Object.assign(this, {
      datacenter: node.datacenter,
      rack: node.rack,
      // Those that are no int64 come as text.
      tokens: node.tokens.length > 0 ? node.tokens.map(String) : [...node.tokenTexts ?? []],
      hostId: Uuid.fromString(node.hostId),
      cassandraVersion: node.releaseVersion
    })
  }
}

/** The name of a node in `client.hosts`, in errors and in results. */
export const addressOf = ({ address, port }: { readonly address: string; readonly port: number }): string =>
  `${address}:${port}`
