/** Does to simulated nodes what the plan says. */
import type { CqlClient } from "@effect-scylla/driver"
import { ServerError } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import type { Random } from "../support/random.ts"
import type { Fault, Weights } from "./faults.ts"
import { alterable } from "./places.ts"
import { REPLICAS } from "./setting.ts"
import type { Wires } from "./wires.ts"

export const WEIGHTS: Weights = {
  Kill: 3,
  Start: 3,
  Pause: 4,
  Resume: 4,
  HalfOpen: 2,
  Deaf: 2,
  Slow: 2,
  Heal: 10,
  Reshard: 1,
  Cut: 6,
  Lie: 9,
  Refuse: 3,
  Late: 4,
  Alter: 2,
  Rumour: 1,
  MoveTablet: 2,
  Relocate: 1,
  Leave: 1
}

/** Errors of nodes that do nothing. */
const refusals: ReadonlyArray<() => ServerError.ServerError> = [
  () => new ServerError.IsBootstrapping({ code: 0x1002, message: "refused" }),
  () => new ServerError.Overloaded({ code: 0x1001, message: "refused" }),
  () => new ServerError.InternalServerError({ code: 0, message: "refused" }),
  () =>
    new ServerError.Unavailable({
      code: 0x1000,
      message: "refused",
      consistency: "LOCAL_QUORUM",
      required: 2,
      alive: 1
    })
]

export interface Patients {
  readonly cluster: SimulatedCluster.SimulatedCluster
  /** Those of the client under load. */
  readonly wires: Wires
  /** Who alters tables. */
  readonly clients: ReadonlyArray<CqlClient.CqlClient>
  readonly random: Random
}

/** How to hurt a node, by its index, and how to make it well. */
export const afflict = Effect.fnUntraced(function*({ clients, cluster, random, wires }: Patients) {
  const { nodes } = cluster
  /** By node: what is refused, and what is late. */
  const refusing = new Map<number, number>()
  const late = new Map<number, { readonly oneOf: number; readonly millis: number }>()
  yield* cluster.intercept(({ node, request }) => {
    const isOfUsers = request._tag === "Execute" || request._tag === "Batch" ||
      (request._tag === "Query" && !request.query.includes("system"))
    if (!isOfUsers) return undefined
    const refusal = refusing.get(node)
    if (refusal !== undefined && random.below(refusal) === 0) {
      return { _tag: "Error", error: refusals[random.below(refusals.length)]!() }
    }
    const delay = late.get(node)
    if (delay !== undefined && random.below(delay.oneOf) === 0) return { _tag: "Delay", millis: delay.millis }
    return undefined
  })

  const gone = new Set<number>()
  const heal = (index: number) =>
    Effect.gen(function*() {
      if (gone.has(index)) return
      refusing.delete(index)
      late.delete(index)
      wires.lie(nodes[index]!.address, 0)
      yield* cluster.setFault(index, undefined)
      if (!nodes[index]!.isRunning) yield* cluster.start(index)
    })

  let columns = 0
  const alter = Effect.suspend(() => {
    const table = alterable[random.below(alterable.length)]!
    // By the client under load, too: it waits then for the nodes to agree.
    const by = clients[random.below(clients.length)]!
    return Effect.ignore(by.execute(`ALTER TABLE ${table} ADD added_${++columns} int`, [], { timeout: 5_000 }))
  })
  const moveTablet = Effect.suspend(() => {
    const table = alterable[random.below(alterable.length)]!
    const found = cluster.tablets(table)
    if (found.length === 0) return Effect.void
    const { last } = found[random.below(found.length)]!
    const from = random.below(nodes.length)
    const members = nodes.filter(({ index }) => !gone.has(index))
    const replicas = Array.from({ length: REPLICAS }, (_, i) => {
      const { index, nrShards } = members[(from + i) % members.length]!
      return { node: index, shard: random.below(nrShards) }
    })
    return cluster.moveTablet(table, last, replicas)
  })

  const inflict = (fault: Fault, index: number) => {
    const { address, isRunning } = nodes[index]!
    if (gone.has(index)) return Effect.void
    switch (fault._tag) {
      case "Kill":
        return cluster.stop(index)
      case "Start":
        return isRunning ? Effect.void : cluster.start(index)
      case "Pause":
        return cluster.setFault(index, { _tag: "Stopped" })
      case "Resume":
        return cluster.setFault(index, undefined)
      case "HalfOpen":
        return cluster.setFault(index, { _tag: "HalfOpen" })
      case "Deaf":
        return cluster.setFault(index, { _tag: "HeartbeatsOnly" })
      case "Slow":
        return cluster.setFault(index, { _tag: "Slow", millis: fault.millis })
      case "Heal":
        return heal(index)
      case "Reshard":
        return isRunning ? cluster.reshard(index, fault.shards) : Effect.void
      case "Cut":
        return Effect.sync(() => wires.cut(address, fault.loses))
      case "Lie":
        return Effect.sync(() => wires.lie(address, fault.oneOf))
      case "Refuse":
        return Effect.sync(() => void refusing.set(index, fault.oneOf))
      case "Late":
        return Effect.sync(() => void late.set(index, fault))
      case "Alter":
        return Effect.asVoid(Effect.forkScoped(alter, { startImmediately: true }))
      case "Rumour":
        return cluster.announce({ type: "STATUS_CHANGE", change: fault.change, address })
      case "MoveTablet":
        return moveTablet
      case "Relocate":
        // One stays where contact points lead: who has lost all others finds them again.
        if (index === 0) return Effect.void
        wires.lie(address, 0)
        return cluster.relocate(index, `127.0.${address.startsWith("127.0.0.") ? 1 : 0}.${index + 1}`)
      case "Leave":
        if (index === 0 || nodes.length - gone.size === REPLICAS) return Effect.void
        gone.add(index)
        return cluster.remove(index)
    }
  }

  return { heal, inflict }
})
