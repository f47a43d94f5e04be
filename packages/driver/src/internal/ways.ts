/** Where a request goes that does not go the default way, and what is left when that leads nowhere. */
import type { Connection } from "@effect-scylla/pool/Connection"
import type * as Balancing from "../Balancing.ts"
import type { Resolved, Way } from "../ExecuteOptions.ts"
import type { Prepared } from "../Prepared.ts"
import type { Node } from "../Snapshot.ts"
import type { Core } from "./core.ts"
import { History } from "./history.ts"
import { Plan, PolicyDefect } from "./plan.ts"
import { isAmong } from "./router.ts"
import type { Subject } from "./subject.ts"

/** What counts of a request. */
export interface Routed {
  readonly core: Core
  readonly options: Resolved
  readonly subject: Subject
  readonly prepared: Prepared | undefined
  readonly values: ReadonlyArray<unknown>
  history: History | undefined
}

/** A connection for a request that does not go the default way. Throws `PolicyDefect` and `EncodeError`. */
export const routeBy = (request: Routed, way: Way): Connection | undefined => {
  const { core, options, prepared, subject } = request
  const tried = request.history?.tried
  if (way.target !== undefined) {
    const node = core.snapshot.hosts.get(way.target.hostId)
    return node === undefined || isAmong(tried, node)
      ? undefined
      : core.routeTo(node, way.target.shard, placesOf(request).replicas)
  }
  if (way.balancing === undefined) {
    return core.routeKey(way, prepared, options.isSerial || subject.kind.isConditional, tried)
  }
  const plan = planOf(request, way.balancing)
  const { full } = plan
  full.length = 0
  while (true) {
    const place = plan.seek((place) => isOpen(core, place, tried) && !isAmong(full, place.node), mostOf(core))
    if (place === undefined) return undefined
    plan.take()
    // As it is now: policies may keep what they were given.
    const node = core.snapshot.hosts.get(place.node.hostId)!
    const connection = core.routeTo(node, place.shard, place.shard === undefined ? placesOf(request).replicas : [])
    if (connection !== undefined) return connection
    full.push(node)
  }
}

/** Places in turn that are of no use, before a policy is taken to have no others: all shards of all nodes, twice. */
const mostOf = ({ snapshot: { nodes } }: Core): number =>
  nodes.reduce((sum, { pool }) => sum + 2 * (pool?.sharding?.nrShards ?? 1), 8)

/** Whether a place may be asked. */
const isOpen = (core: Core, { node: { hostId } }: Balancing.Place, skip: ReadonlyArray<Node> | undefined): boolean => {
  const node = core.snapshot.hosts.get(hostId)
  return node?.pool?.isUp === true && !isAmong(skip, node)
}

/** Where the partition lies: by the key that is said, else by the values. Throws `EncodeError`. */
const placesOf = ({ core, options, prepared, values }: Routed) =>
  options.way?.keyBytes === undefined ? core.placesOf(prepared, values) : core.placesOfKey(options.way, prepared)

const planOf = (request: Routed, policy: Balancing.Policy): Plan => {
  const history = request.history ??= new History()
  if (history.plan !== undefined) return history.plan
  const { core, options, prepared, subject } = request
  // What is wrong with a value is no defect of the policy's.
  const places = placesOf(request)
  const { replicas, token } = places
  const isPinned = options.isSerial || subject.kind.isConditional
  const told: Balancing.Request = {
    statement: subject.text,
    kind: subject.kind,
    keyspace: prepared?.keyspace ?? "",
    table: prepared?.table ?? "",
    token,
    replicas,
    plan: { [Symbol.iterator]: () => core.plan(places, options, isPinned) },
    consistency: options.request.consistency,
    isSerial: isPinned,
    label: options.label,
    profile: options.profile
  }
  return history.plan = new Plan(() => policy(told, core.snapshot))
}

/** The nodes on which it may wait for room. */
export const waitable = (request: Routed, skip: ReadonlyArray<Node> | undefined, any = false): ReadonlyArray<Node> => {
  const { core, prepared, values } = request
  const { way } = request.options
  if (way?.target !== undefined) {
    const node = core.snapshot.hosts.get(way.target.hostId)
    const isThere = node?.pool !== undefined && (any ? node.pool.isOpen : node.pool.isUp)
    return isThere && !isAmong(skip, node) ? [node] : []
  }
  if (way?.balancing !== undefined) return request.history?.plan?.full ?? []
  return core.waitable(prepared, values, skip, any)
}

/** Where it could go next; with `mayLeave` also to another datacenter where nobody else is left. */
export const others = (
  request: Routed,
  skip: ReadonlyArray<Node>,
  mayLeave = true
): ReadonlyArray<Node> => {
  const { core, options } = request
  const { way } = options
  if (way?.balancing !== undefined && way.target === undefined) {
    try {
      const next = planOf(request, way.balancing).seek((place) => isOpen(core, place, skip), mostOf(core))
      return next === undefined ? [] : [core.snapshot.hosts.get(next.node.hostId)!]
    } catch (error) {
      // It throws again where that can be told.
      if (error instanceof PolicyDefect) return core.snapshot.local
      throw error
    }
  }
  const others = way?.target === undefined ? core.waitable(undefined, request.values, skip) : []
  if (others.length > 0 || way?.target !== undefined || !mayLeave) return others
  if (!core.mayLeave(options, request.subject.kind.isConditional)) return others
  return core.snapshot.remote.filter((node) => node.pool?.isUp === true && !isAmong(skip, node))
}

/** No node that should be asked takes requests now: those of another datacenter, and those that may answer again. */
export const routeLast = (request: Routed, skip: ReadonlyArray<Node> | undefined): Connection | undefined => {
  const { core, options } = request
  const { way } = options
  if (way?.target !== undefined) {
    const node = core.snapshot.hosts.get(way.target.hostId)
    core.node = node
    return node === undefined || isAmong(skip, node) ? undefined : node.pool?.pickSilent()
  }
  if (way?.balancing !== undefined) return undefined
  const remote = core.mayLeave(options, request.subject.kind.isConditional) ? core.routeRemote(skip) : undefined
  // Nobody answers now: those who may again are better than nobody.
  return remote ?? core.routeSilent(skip)
}

/** Why the node that was asked for cannot be asked. */
export const whyNot = ({ core }: Routed, hostId: string): string => {
  const { hosts, nodes } = core.snapshot
  const node = hosts.get(hostId)
  if (node === undefined) {
    return `the cluster has no node with the host id ${hostId}: it has ${nodes.map((node) => node.hostId).join(", ")}`
  }
  const at = `${node.address}:${node.port}`
  return node.pool === undefined
    ? `the client is not connected to ${at} (${hostId}): it is in the datacenter ${node.datacenter}, or filtered out`
    : `${at} cannot be asked: ${node.pool.lastReason?.message ?? "no connection takes a request now"}`
}
