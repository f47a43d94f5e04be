/** What a person reads of nodes in the log: who joins and leaves, dies and returns. Once each, with why. */
import * as Effect from "effect/Effect"
import type { TrackedNode } from "../NodeHealth.ts"

/** Names of a few. */
const some = (nodes: ReadonlyArray<TrackedNode>): string =>
  nodes.slice(0, 5).map(({ url }) => url).join(", ") + (nodes.length > 5 ? ` and ${nodes.length - 5} more` : "")

/** Who is in one list and not in another, for the end of a sentence. */
export const difference = (before: ReadonlyArray<TrackedNode>, after: ReadonlyArray<TrackedNode>): string => {
  const [old, now] = [new Set(before), new Set(after)]
  const joined = after.filter((node) => !old.has(node))
  const gone = before.filter((node) => !now.has(node))
  return (joined.length > 0 ? `; new: ${some(joined)}` : "") + (gone.length > 0 ? `; gone: ${some(gone)}` : "")
}

export class NodeLog {
  /** Nodes that were said to be dead, and since when, in milliseconds of the monotonic clock. */
  private readonly dead = new Map<TrackedNode, number>()

  /** Says which of these have died since it was asked last. A node that waits for its first probe is not dead. */
  died(nodes: Iterable<TrackedNode>, now: number): Effect.Effect<void> {
    const found = Array.from(nodes).filter((node) => node.isEjected && node.why !== "" && !this.dead.has(node))
    for (const node of found) this.dead.set(node, now)
    return Effect.forEach(
      found,
      ({ url, why }) => Effect.logWarning(`alternator: ${url} is sent no requests until it answers a probe: ${why}`),
      { discard: true }
    )
  }

  /** Says that a node has answered a probe. */
  returned(node: TrackedNode, now: number): Effect.Effect<void> {
    const since = this.dead.get(node)
    this.dead.delete(node)
    return Effect.logInfo(
      since === undefined
        ? `alternator: ${node.url} is new, has answered its first probe and is sent requests`
        : `alternator: ${node.url} is sent requests again: it answered a probe, ${
          Math.round(now - since)
        } ms after it was ejected`
    )
  }

  /** They are in the cluster no more. */
  forget(nodes: ReadonlyArray<TrackedNode>): void {
    for (const node of nodes) this.dead.delete(node)
  }
}
