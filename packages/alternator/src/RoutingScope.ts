/**
 * Which nodes requests go to: those of the cluster, of a datacenter, or of a rack, and what to fall back to.
 *
 * A server lists one datacenter at a time. A scope of a datacenter or rack is asked for by name, which any node of the
 * cluster answers; for the whole cluster either name the datacenters, or give seeds in each of them.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { dual } from "effect/Function"
import { type Pipeable, Prototype } from "effect/Pipeable"

/**
 * One set of nodes that may be wanted.
 *
 * @category models
 * @since 0.1.0
 */
export type RoutingStep =
  | { readonly _tag: "Cluster"; readonly datacenters: ReadonlyArray<string> }
  | { readonly _tag: "Datacenter"; readonly datacenter: string }
  | { readonly _tag: "Rack"; readonly datacenter: string; readonly rack: string }

/**
 * A chain: the first step that has nodes is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface RoutingScope extends Pipeable {
  readonly steps: ReadonlyArray<RoutingStep>
}

const of = (steps: ReadonlyArray<RoutingStep>): RoutingScope => Object.assign(Object.create(Prototype), { steps })

/**
 * All nodes. With `datacenters` any one node tells of all of them; without, each node that nobody has told of yet is
 * asked for its own datacenter.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cluster = (datacenters: ReadonlyArray<string> = []): RoutingScope => of([{ _tag: "Cluster", datacenters }])

/**
 * The nodes of one datacenter, which any node of the cluster tells of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const datacenter = (datacenter: string): RoutingScope => of([{ _tag: "Datacenter", datacenter }])

/**
 * The nodes of one rack of a datacenter.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rack = (datacenter: string, rack: string): RoutingScope => of([{ _tag: "Rack", datacenter, rack }])

/**
 * What to use when `self` has no nodes. It is left again when `self` has some. Another datacenter changes what may be
 * read: consistent reads and writes are local to the coordinator's.
 *
 * @category combinators
 * @since 0.1.0
 */
export const orElse: {
  (fallback: RoutingScope): (self: RoutingScope) => RoutingScope
  (self: RoutingScope, fallback: RoutingScope): RoutingScope
} = dual(2, (self: RoutingScope, fallback: RoutingScope): RoutingScope => of([...self.steps, ...fallback.steps]))

const name = (step: RoutingStep): string =>
  step._tag === "Cluster"
    ? step.datacenters.length === 0 ? "cluster" : `cluster(${step.datacenters.join(", ")})`
    : step._tag === "Datacenter"
    ? `datacenter(${step.datacenter})`
    : `rack(${step.datacenter}, ${step.rack})`

/**
 * A scope for people: `rack(dc1, r1) -> cluster`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (scope: RoutingScope): string => scope.steps.map(name).join(" -> ")

/**
 * One step of a scope for people.
 *
 * @category formatting
 * @since 0.1.0
 */
export const formatStep = name

/**
 * The scope of requests with key affinity: racks are widened to their datacenters, so that clients in different racks
 * choose the same coordinator for a key.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forAffinity = (scope: RoutingScope): RoutingScope => {
  const steps: Array<RoutingStep> = []
  for (const step of scope.steps) {
    const wide: RoutingStep = step._tag === "Rack" ? { _tag: "Datacenter", datacenter: step.datacenter } : step
    if (steps.every((other) => name(other) !== name(wide))) steps.push(wide)
  }
  return of(steps)
}

/**
 * What is wrong with a scope.
 *
 * @category guards
 * @since 0.1.0
 */
export const problem = (scope: RoutingScope): string | undefined => {
  if (scope.steps.length === 0) return "has no step"
  for (const step of scope.steps) {
    const names = step._tag === "Cluster"
      ? step.datacenters
      : step._tag === "Datacenter"
      ? [step.datacenter]
      : [step.datacenter, step.rack]
    if (names.some((name) => name.trim() === "")) return `${name(step)} has an empty name`
  }
  return undefined
}
