/** What happens to nodes, to their connections and to the schema: a plan that follows a seed, for whoever can carry it out. */
import type { Random } from "../support/random.ts"

export type Fault =
  /** As by a power cut. */
  | { readonly _tag: "Kill" }
  | { readonly _tag: "Start" }
  /** SIGSTOP and SIGCONT. */
  | { readonly _tag: "Pause" }
  | { readonly _tag: "Resume" }
  /** Bytes vanish, and nobody is told. */
  | { readonly _tag: "HalfOpen" }
  /** Heartbeats are answered, and nothing else is. */
  | { readonly _tag: "Deaf" }
  | { readonly _tag: "Slow"; readonly millis: number }
  /** What was wrong with it is over. */
  | { readonly _tag: "Heal" }
  /** Comes back with another number of shards. */
  | { readonly _tag: "Reshard"; readonly shards: number }
  /** Connections end; `loses` what the node answers first, after it has done what it was asked. */
  | { readonly _tag: "Cut"; readonly loses: boolean }
  /** For a while the node does what it is asked and answers, to one request of so many, that something went wrong. */
  | { readonly _tag: "Lie"; readonly oneOf: number }
  /** For a while the node refuses one request of so many, undone. */
  | { readonly _tag: "Refuse"; readonly oneOf: number }
  /** For a while the node takes its time with one request of so many, and does it then, if its connection is there, whoever waits. */
  | { readonly _tag: "Late"; readonly oneOf: number; readonly millis: number }
  /** A table gets a column. */
  | { readonly _tag: "Alter" }
  /** The others say that it is down, or up. */
  | { readonly _tag: "Rumour"; readonly change: "UP" | "DOWN" }
  /** A tablet goes elsewhere. */
  | { readonly _tag: "MoveTablet" }
  /** It ends and comes back at another address. */
  | { readonly _tag: "Relocate" }
  /** It leaves the cluster for good, where enough are left. */
  | { readonly _tag: "Leave" }

export type FaultName = Fault["_tag"]

/** How often each comes. */
export type Weights = Partial<Readonly<Record<FaultName, number>>>

export class Plan {
  private readonly random: Random
  private readonly names: ReadonlyArray<FaultName>

  constructor(random: Random, weights: Weights) {
    this.random = random
    this.names = (Object.entries(weights) as Array<[FaultName, number]>).flatMap(([name, weight]) =>
      Array.from({ length: weight }, () => name)
    )
  }

  next(): Fault {
    const { names, random } = this
    const _tag = names[random.below(names.length)]!
    const oneOf = 1 + random.below(4)
    switch (_tag) {
      case "Slow":
        return { _tag, millis: 50 + random.below(1_500) }
      case "Reshard":
        return { _tag, shards: 1 + random.below(5) }
      case "Cut":
        return { _tag, loses: random.below(2) === 0 }
      case "Late":
        return { _tag, oneOf, millis: 50 + random.below(4_000) }
      case "Lie":
      case "Refuse":
        return { _tag, oneOf }
      case "Rumour":
        return { _tag, change: random.below(2) === 0 ? "UP" : "DOWN" }
      default:
        return { _tag }
    }
  }
}
