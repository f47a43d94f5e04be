/**
 * Where a request goes.
 *
 * The default is plain code on the path of every request: a replica of the partition in the local datacenter, of the local rack first
 * where one is named, on the connection of the core that owns it; of two replicas the one whose core has less under way. A replica that
 * is slow is passed over: one whose answers took four times as long as the statement takes where it is quick, and at least 200 ms, or
 * that refused because it is overloaded or not well, three times more often than it answered in time. It still gets one turn in sixteen,
 * so that it is found out when it is well again, and all of them where no other replica is left. Conditional statements and serial reads go to the replicas in their order, the same for all clients.
 *
 * A {@link Policy} of your own takes its place, for a client, a profile or a request. It is called on a path of its own, so that the
 * default costs nothing.
 *
 * @since 0.1.0
 */
import type { Consistency } from "@effect-scylla/protocol/Consistency"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { Node, Snapshot } from "./Snapshot.ts"
import type { StatementKind } from "./StatementKind.ts"

/**
 * A node, and the shard of it that is wanted. Without a shard: any connection of the node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly node: Node
  readonly shard?: number | undefined
}

/**
 * What a policy is told of a request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  /** The statement's text. */
  readonly statement: string
  readonly kind: StatementKind
  /** Of its table; empty where they are not known. */
  readonly keyspace: string
  readonly table: string
  /** The token of its partition, `undefined` where that is not known. */
  readonly token: bigint | undefined
  /** The replicas of its partition that this client is connected to, in the cluster's order, with the shards that own it. */
  readonly replicas: ReadonlyArray<Place>
  /** What is done without a policy, lazily: replicas first, then the other nodes; nodes of the failover's datacenters last. */
  readonly plan: Iterable<Place>
  readonly consistency: Consistency
  /** It is conditional or a serial read: the same order for all clients keeps Paxos from contending. */
  readonly isSerial: boolean
  readonly label: string | undefined
  readonly profile: string | undefined
}

/**
 * Gives the nodes to ask, lazily, the best one first: the next one is asked for when the request goes on to another node. Called once
 * for each request. Nodes without a usable connection are passed over. What it throws is a defect of the request.
 *
 * ```ts
 * const batteryPowered: Balancing.Policy = (request) =>
 *   [...request.plan].filter(({ node }) => node.rack !== "roof")
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Policy = (request: Request, snapshot: Snapshot) => Iterable<Place | Node>

/**
 * The balancing of the clients that are built with it: what their options do not say.
 *
 * @category services
 * @since 0.1.0
 */
export const Balancing: Context.Service<Policy, Policy> = Context.Service<Policy>("@effect-scylla/driver/Balancing")

/**
 * A policy as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (policy: Policy): Layer.Layer<Policy> => Layer.succeed(Balancing, policy)

/**
 * Other datacenters that are asked when none of the local one can be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failover {
  /** By name, the first one first. */
  readonly datacenters: ReadonlyArray<string>
  /** Nodes of each that are connected to and asked. Default 2. */
  readonly nodes?: number | undefined
  /**
   * Requests at a consistency level of one datacenter (LOCAL_ONE, LOCAL_QUORUM, LOCAL_SERIAL) may leave it, too: the level then
   * counts replicas of the other datacenter, and what was written here may not be there yet. Default false.
   */
  readonly localConsistency?: boolean | undefined
  /** Connections to each of these nodes, whatever its shards. Default 1. */
  readonly connections?: number | undefined
}

/** With every default filled in. @internal */
export type CheckedFailover = { readonly [K in keyof Failover]-?: NonNullable<Failover[K]> }
