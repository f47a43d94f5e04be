/** Rows of system tables: made when they are asked for, as a node sees them, with what clients wrote there on top. */
import type { SimNode } from "../cluster/simNode.ts"
import type { TableData } from "../storage/storage.ts"

type Change = () => void

export class Computed {
  private readonly fill: (node: SimNode) => TableData
  private readonly empty: Change
  private readonly changes = new WeakMap<SimNode, Array<Change>>()

  /** `fill` makes the rows of a node, `empty` takes away all that TRUNCATE does. */
  constructor(fill: (node: SimNode) => TableData, empty: Change) {
    this.fill = fill
    this.empty = empty
  }

  read(node: SimNode): TableData {
    const data = this.fill(node)
    for (const change of this.changes.get(node) ?? []) change()
    return data
  }

  /** Writes to the rows that were read last; whoever reads them of this node again finds it written. */
  change(node: SimNode, change: Change): void {
    change()
    const all = this.changes.get(node)
    if (all === undefined) this.changes.set(node, [change])
    else all.push(change)
  }

  /** Of all that came before, nothing is left. */
  truncate(node: SimNode): void {
    this.changes.set(node, [this.empty])
  }
}
