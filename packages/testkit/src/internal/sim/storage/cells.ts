/** Values with their times: the last write wins, whatever the order in which writes arrive. */
import { Buffer } from "node:buffer"
import type { Layout } from "./layout.ts"

/** Before every timestamp a client may send. */
export const NEVER = -(2n ** 63n)

export interface Cell {
  /** `null` for a deleted one. */
  readonly value: Uint8Array | null
  /** Microseconds. */
  readonly timestamp: bigint
  /** Milliseconds since 1970 when it expires; 0 for never. */
  readonly expires: number
  /** Seconds to live that it was written with. */
  readonly ttl: number
}

export const live = (cell: Cell, now: number): boolean =>
  cell.value !== null && (cell.expires === 0 || now < cell.expires)

/**
 * Of two writes with one timestamp the deletion wins, then what expires, the later the better, then the greater value: the
 * rule of all replicas.
 */
export const wins = (next: Cell, old: Cell): boolean => {
  if (next.timestamp !== old.timestamp) return next.timestamp > old.timestamp
  if (next.value === null || old.value === null) return next.value === null
  if (next.expires !== old.expires) {
    return next.expires !== 0 && (old.expires === 0 || next.expires > old.expires)
  }
  return Buffer.compare(next.value, old.value) >= 0
}

/** A column whose value lies in many cells. */
export class Complex {
  deletedAt = NEVER
  /** In the order of the paths. */
  readonly paths: Array<Uint8Array> = []
  readonly cells: Array<Cell> = []

  /** Where a path is, or belongs (as `-1 - index`). */
  find(layout: Layout, path: Uint8Array): number {
    let low = 0
    let high = this.paths.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const side = layout.comparePaths(this.paths[middle]!, path)
      if (side === 0) return middle
      if (side < 0) low = middle + 1
      else high = middle
    }
    return -1 - low
  }

  put(layout: Layout, path: Uint8Array, cell: Cell): void {
    if (cell.timestamp <= this.deletedAt) return
    const at = this.find(layout, path)
    if (at >= 0) {
      if (wins(cell, this.cells[at]!)) this.cells[at] = cell
      return
    }
    this.paths.splice(-1 - at, 0, path)
    this.cells.splice(-1 - at, 0, cell)
  }

  delete(timestamp: bigint): void {
    if (timestamp <= this.deletedAt) return
    this.deletedAt = timestamp
    for (let i = this.cells.length - 1; i >= 0; i--) {
      if (this.cells[i]!.timestamp > timestamp) continue
      this.cells.splice(i, 1)
      this.paths.splice(i, 1)
    }
  }

  /** The elements that live, and their cells. */
  living(now: number): ReadonlyArray<{ readonly path: Uint8Array; readonly cell: Cell; readonly value: Uint8Array }> {
    const out = []
    for (let i = 0; i < this.cells.length; i++) {
      const cell = this.cells[i]!
      if (live(cell, now)) out.push({ path: this.paths[i]!, cell, value: cell.value! })
    }
    return out
  }
}
