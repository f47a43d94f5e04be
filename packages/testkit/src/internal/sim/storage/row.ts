/** Rows: cells by their columns. Those that were not looked at for long are packed. */
import { type Cell, Complex, live, NEVER, wins } from "./cells.ts"
import { type Element, type Layout, listPath } from "./layout.ts"
import { clusteringOf, pack, type RowState, unpack } from "./packing.ts"

/** One thing that a statement does to one column of a row. */
export type Write =
  | { readonly slot: number; readonly cell: Cell }
  | {
    readonly slot: number
    readonly layout: Layout
    /** Deletes what was written up to then. */
    readonly deleted?: bigint | undefined
    readonly elements: ReadonlyArray<readonly [path: Uint8Array, cell: Cell]>
  }

/** The write of a whole value. What a column of many cells held before is deleted only by a caller who says so. */
export const whole = (
  column: Place,
  value: Uint8Array,
  { expires, timestamp, ttl }: Omit<Cell, "value">,
  place: () => bigint,
  deleted?: bigint
): Write => {
  const { layout, position: slot } = column
  if (layout === undefined) return { slot, cell: { value, timestamp, expires, ttl } }
  const elements = layout.split(value, () => listPath(place()))
  return {
    slot,
    layout,
    deleted,
    elements: elements.map(([path, each]) => [path, { value: each, timestamp, expires, ttl }] as const)
  }
}

/** What a row knows of a column. */
export interface Place {
  readonly position: number
  readonly layout: Layout | undefined
}

export type Clustering = ReadonlyArray<Uint8Array>

/** So many rows are kept as they are, the last that were looked at. */
const WARM = 512
const warm: Array<Row | undefined> = Array.from({ length: WARM }, () => undefined)
let next = 0

/** Never written to: a row that is makes room first. */
const NO_CELLS: Array<Cell | Complex | undefined> = []

export class Row {
  private packed = ""
  /** Absent while the row is packed. */
  private known: RowState | undefined
  private isChanged = true

  constructor(clustering: Clustering) {
    this.known = { clustering, cells: NO_CELLS, marker: undefined, deletedAt: NEVER }
    this.warm()
  }

  /** Another row is packed instead. */
  private warm(): void {
    const before = warm[next]
    warm[next] = this
    next = (next + 1) % WARM
    before?.cool()
  }

  private cool(): void {
    if (this.known === undefined) return
    if (this.isChanged) {
      const packed = pack(this.known)
      if (packed === undefined) return
      this.packed = packed
      this.isChanged = false
    }
    this.known = undefined
  }

  private get state(): RowState {
    if (this.known === undefined) {
      this.known = unpack(this.packed)
      this.warm()
    }
    return this.known
  }

  private change(): RowState {
    const { state } = this
    this.isChanged = true
    return state
  }

  /** Is read of a packed row without the rest of it: rows that a search passes by stay packed. */
  get clustering(): Clustering {
    return this.known === undefined ? clusteringOf(this.packed) : this.known.clustering
  }

  /** By the places of columns, no longer than it has to be. */
  get cells(): ReadonlyArray<Cell | Complex | undefined> {
    return this.state.cells
  }

  /** Set by INSERT: the row exists although all its columns may be null. */
  get marker(): Cell | undefined {
    return this.state.marker
  }

  get deletedAt(): bigint {
    return this.state.deletedAt
  }

  /** The value of a column; `null` when there is none. */
  value(column: Place, now: number): Uint8Array | null {
    const cell = this.state.cells[column.position]
    if (cell === undefined) return null
    if (!(cell instanceof Complex)) return live(cell, now) ? cell.value : null
    return column.layout!.join(cell.living(now).map(({ path, value }): Element => [path, value]))
  }

  /** The cell of a column that is one, if it lives. */
  cell(column: Place, now: number): Cell | undefined {
    const cell = this.state.cells[column.position]
    return cell === undefined || cell instanceof Complex || !live(cell, now) ? undefined : cell
  }

  /** The cells of a column that is made of many, to read. */
  complex(column: Place): Complex | undefined {
    const cell = this.state.cells[column.position]
    return cell instanceof Complex ? cell : undefined
  }

  isLive(now: number): boolean {
    const { cells, marker } = this.state
    if (marker !== undefined && live(marker, now)) return true
    for (let i = 0; i < cells.length; i++) if (isLive(cells[i], now)) return true
    return false
  }

  /** The same of some columns, whatever the others are. */
  hasLive(columns: ReadonlyArray<Place>, now: number): boolean {
    const { cells, marker } = this.state
    if (marker !== undefined && live(marker, now)) return true
    return columns.some(({ position }) => isLive(cells[position], now))
  }

  /** Writes columns, and with `marker` the row itself. */
  write(writes: ReadonlyArray<Write>, marker?: Cell): void {
    const state = this.change()
    let most = -1
    for (let i = 0; i < writes.length; i++) most = Math.max(most, writes[i]!.slot)
    reserve(state, most)
    for (let i = 0; i < writes.length; i++) put(state, writes[i]!)
    if (marker !== undefined && (state.marker === undefined || wins(marker, state.marker))) state.marker = marker
  }

  /** Adds to a counter; one that is not there begins at nothing. */
  add(slot: number, delta: bigint, timestamp: bigint): void {
    const state = this.change()
    reserve(state, slot)
    const cell = state.cells[slot]
    const old = cell instanceof Complex ? undefined : cell?.value
    const value = new Uint8Array(8)
    const before = old === undefined || old === null
      ? 0n
      : new DataView(old.buffer, old.byteOffset).getBigInt64(0)
    new DataView(value.buffer).setBigInt64(0, before + delta)
    state.cells[slot] = { value, timestamp, expires: 0, ttl: 0 }
  }

  /** Deletes what was written up to `timestamp`. */
  delete(timestamp: bigint): void {
    const state = this.change()
    if (timestamp > state.deletedAt) state.deletedAt = timestamp
    if (state.marker !== undefined && state.marker.timestamp <= timestamp) state.marker = undefined
    for (let slot = 0; slot < state.cells.length; slot++) deleteIn(state, slot, timestamp)
  }

  /** Deletes what was written to a column up to a time. */
  forget(slot: number, timestamp: bigint): void {
    deleteIn(this.change(), slot, timestamp)
  }
}

const isLive = (cell: Cell | Complex | undefined, now: number): boolean =>
  cell !== undefined &&
  (cell instanceof Complex ? cell.cells.some((each) => live(each, now)) : live(cell, now))

/** Makes room for a place. An array that grows by itself takes room for many more. */
const reserve = (state: RowState, slot: number): void => {
  const { cells } = state
  if (slot < cells.length) return
  state.cells = Array.from({ length: slot + 1 }, (_, i) => cells[i])
}

const put = ({ cells }: RowState, write: Write): void => {
  const { slot } = write
  const old = cells[slot]
  if ("cell" in write) {
    if (old === undefined || old instanceof Complex || wins(write.cell, old)) cells[slot] = write.cell
    return
  }
  const complex = old instanceof Complex ? old : new Complex()
  cells[slot] = complex
  if (write.deleted !== undefined) complex.delete(write.deleted)
  for (const [path, cell] of write.elements) complex.put(write.layout, path, cell)
}

const deleteIn = ({ cells }: RowState, slot: number, timestamp: bigint): void => {
  const cell = cells[slot]
  if (cell instanceof Complex) cell.delete(timestamp)
  else if (cell !== undefined && cell.timestamp <= timestamp) cells[slot] = undefined
}
