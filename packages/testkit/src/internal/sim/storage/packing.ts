/**
 * Rows as texts of one character a byte. What a row of objects takes is many times what is in it; a text takes 16 bytes more, and the
 * garbage collector does not look into it.
 */
import { Buffer } from "node:buffer"
import { type Cell, Complex, NEVER } from "./cells.ts"

/** What is known of a row. */
export interface RowState {
  readonly clustering: ReadonlyArray<Uint8Array>
  /** By the places of columns, no longer than it has to be. */
  cells: Array<Cell | Complex | undefined>
  /** Set by INSERT: the row exists although all its columns may be null. */
  marker: Cell | undefined
  deletedAt: bigint
}

/** Longer rows are left as they are, bytes: what could be spared is little beside them. */
const MOST = 16_384

/** Bits in front of a row. */
const HAS_MARKER = 1
const HAS_DELETION = 2

/** Bits in front of a cell; 0 for none. */
const THERE = 1
const COMPLEX = 2
const NULL = 4
const OWN_TIME = 8
const EXPIRES = 16

let scratch = Buffer.alloc(MOST)
let view = new DataView(scratch.buffer, scratch.byteOffset)
let at = 0
/** The time that most of a row was written at. */
let common = NEVER

const reserve = (size: number): void => {
  if (at + size <= scratch.length) return
  const grown = Buffer.alloc(Math.max(2 * scratch.length, at + size))
  scratch.copy(grown, 0, 0, at)
  scratch = grown
  view = new DataView(scratch.buffer, scratch.byteOffset)
}

const putInt = (value: number): void => {
  reserve(5)
  let rest = value
  while (rest >= 0x80) {
    scratch[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  scratch[at++] = rest
}

const putBytes = (bytes: Uint8Array): void => {
  const { length } = bytes
  putInt(length)
  reserve(length)
  scratch.set(bytes, at)
  at += length
}

const putTime = (time: bigint): void => {
  reserve(8)
  view.setBigInt64(at, time)
  at += 8
}

const putCell = ({ expires, timestamp, ttl, value }: Cell): void => {
  const isOwn = timestamp !== common
  const isExpiring = expires !== 0 || ttl !== 0
  reserve(1)
  scratch[at++] = THERE | (value === null ? NULL : 0) | (isOwn ? OWN_TIME : 0) | (isExpiring ? EXPIRES : 0)
  if (isOwn) putTime(timestamp)
  if (isExpiring) {
    reserve(16)
    view.setFloat64(at, expires)
    view.setFloat64(at + 8, ttl)
    at += 16
  }
  if (value !== null) putBytes(value)
}

const putComplex = ({ cells, deletedAt, paths }: Complex): void => {
  const isDeleted = deletedAt !== NEVER
  reserve(1)
  scratch[at++] = COMPLEX | (isDeleted ? OWN_TIME : 0)
  if (isDeleted) putTime(deletedAt)
  putInt(cells.length)
  for (let i = 0; i < cells.length; i++) {
    putBytes(paths[i]!)
    putCell(cells[i]!)
  }
}

const commonOf = ({ cells, marker }: RowState): bigint => {
  if (marker !== undefined) return marker.timestamp
  const first = cells.find((cell) => cell !== undefined)
  return first === undefined ? NEVER : first instanceof Complex ? first.cells[0]?.timestamp ?? NEVER : first.timestamp
}

/** `undefined` for a row that is too long. */
export const pack = (state: RowState): string | undefined => {
  const { cells, clustering, deletedAt, marker } = state
  common = commonOf(state)
  at = 0
  const isDeleted = deletedAt !== NEVER
  scratch[at++] = (marker === undefined ? 0 : HAS_MARKER) | (isDeleted ? HAS_DELETION : 0)
  putInt(clustering.length)
  for (let i = 0; i < clustering.length; i++) putBytes(clustering[i]!)
  putTime(common)
  if (isDeleted) putTime(deletedAt)
  if (marker !== undefined) putCell(marker)
  putInt(cells.length)
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]
    if (cell === undefined) scratch[at++] = 0
    else if (cell instanceof Complex) putComplex(cell)
    else putCell(cell)
    reserve(1)
  }
  return at > MOST ? undefined : scratch.toString("latin1", 0, at)
}

/** Reads one text; its values lie in one array. */
class Unpacking {
  private readonly bytes: Buffer
  private readonly view: DataView
  private at = 0
  private common = NEVER

  constructor(text: string) {
    this.bytes = Buffer.from(text, "latin1")
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  }

  private int(): number {
    let value = 0
    for (let shift = 0;; shift += 7) {
      const byte = this.bytes[this.at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  private value(): Uint8Array {
    const length = this.int()
    this.at += length
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + this.at - length, length)
  }

  private time(): bigint {
    this.at += 8
    return this.view.getBigInt64(this.at - 8)
  }

  private number(): number {
    this.at += 8
    return this.view.getFloat64(this.at - 8)
  }

  private cellOf(bits: number): Cell {
    const timestamp = (bits & OWN_TIME) === 0 ? this.common : this.time()
    const isExpiring = (bits & EXPIRES) !== 0
    const expires = isExpiring ? this.number() : 0
    const ttl = isExpiring ? this.number() : 0
    return { value: (bits & NULL) === 0 ? this.value() : null, timestamp, expires, ttl }
  }

  private complexOf(bits: number): Complex {
    const complex = new Complex()
    if ((bits & OWN_TIME) !== 0) complex.deletedAt = this.time()
    for (let left = this.int(); left > 0; left--) {
      complex.paths.push(this.value())
      complex.cells.push(this.cellOf(this.bytes[this.at++]!))
    }
    return complex
  }

  clustering(): ReadonlyArray<Uint8Array> {
    this.at = 1
    const count = this.int()
    const out: Array<Uint8Array> = []
    for (let i = 0; i < count; i++) out.push(this.value())
    return out
  }

  state(): RowState {
    const bits = this.bytes[0]!
    const clustering = this.clustering()
    this.common = this.time()
    const deletedAt = (bits & HAS_DELETION) === 0 ? NEVER : this.time()
    const marker = (bits & HAS_MARKER) === 0 ? undefined : this.cellOf(this.bytes[this.at++]!)
    const cells: RowState["cells"] = []
    for (let left = this.int(); left > 0; left--) {
      const cell = this.bytes[this.at++]!
      cells.push(cell === 0 ? undefined : (cell & COMPLEX) === 0 ? this.cellOf(cell) : this.complexOf(cell))
    }
    return { clustering, cells, marker, deletedAt }
  }
}

export const unpack = (text: string): RowState => new Unpacking(text).state()

/** Only the key of a row. */
export const clusteringOf = (text: string): ReadonlyArray<Uint8Array> => new Unpacking(text).clustering()
