/** What plans read, sorted once for each change of the nodes. */
import * as Affinity from "../Affinity.ts"
import type { AlternatorNodes, NodesSnapshot } from "../AlternatorNodes.ts"
import type { TrackedNode } from "../NodeHealth.ts"
import type { PlanNodes } from "../QueryPlan.ts"

export const sortedNodes = (nodes: AlternatorNodes, order: Affinity.AffinityOrder): () => PlanNodes => {
  let of: NodesSnapshot | undefined
  let plan: PlanNodes = { nodes: [], affinityNodes: [] }
  return () => {
    const snapshot = nodes.current()
    if (snapshot !== of) {
      of = snapshot
      plan = {
        nodes: snapshot.nodes,
        affinityNodes: Affinity.sorted(order, snapshot.affinityNodes) as ReadonlyArray<TrackedNode>
      }
    }
    return plan
  }
}
