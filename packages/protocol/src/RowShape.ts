/**
 * The forms that the rows of a page can take in JavaScript. `RowDecoder` reads each of them from the same bytes.
 *
 * | form | take it when |
 * |---|---|
 * | {@link Row}, objects | rows are handed on as they are: the default |
 * | {@link ArrayRow}, arrays | columns are known by their place, or two have one name |
 * | {@link LazyRow} | only some values of a row are looked at: nothing else is decoded |
 * | {@link ColumnarPage} | columns are summed up, plotted, written to another columnar format: numbers stand in typed arrays |
 *
 * @since 0.1.0
 */
import { atColumn } from "./internal/cellError.ts"
import { allowMissing, define } from "./internal/decoders.ts"
import { copyBytes, type FastBuffer } from "./internal/fastBuffer.ts"
import type { ValueDecoder } from "./internal/valueCodec.ts"
import type { Column } from "./Metadata.ts"
import { DecodeError } from "./ProtocolError.ts"
import { Reader } from "./Reader.ts"

/**
 * A row: the columns by name, in the order of the result. Where a result has two columns of one name, the later wins, as
 * in an object literal.
 *
 * @category models
 * @since 0.1.0
 */
export type Row = Record<string, unknown>

/**
 * A row: the values in the order of the result's columns.
 *
 * @category models
 * @since 0.1.0
 */
export type ArrayRow = Array<unknown>

/**
 * Rows of one's own: `of` is called once for each shape of a result, and what it answers once for each row, with the values in the
 * order of the columns. `isOfOneTable`: the server names the table once for all columns, not with each.
 *
 * @category models
 * @since 0.1.0
 */
export interface RowMaker<A> {
  readonly of: (columns: ReadonlyArray<Column>, isOfOneTable: boolean) => (...values: Array<unknown>) => A
}

/** What the lazy rows of one page share. */
interface LazyPage {
  readonly columns: ReadonlyArray<Column>
  readonly decoders: ReadonlyArray<ValueDecoder>
  readonly names: ReadonlyMap<string, number>
  /** The rows' bytes, the page's own. */
  readonly bytes: FastBuffer
  readonly view: DataView
  /** Where each cell's length stands, row after row. */
  readonly offsets: Int32Array
}

/**
 * A row whose values are decoded when they are asked for, and each time again. That its cells lie within the page was
 * checked when it was read; a value that is none of its type throws `DecodeError` when it is looked at.
 *
 * The rows of a page share one copy of its bytes: a row that is kept keeps all of it.
 *
 * @category models
 * @since 0.1.0
 */
export class LazyRow {
  private readonly page: LazyPage
  private readonly start: number

  /** Rows are made by `RowDecoder.readLazy`. */
  constructor(page: LazyPage, index: number) {
    this.page = page
    this.start = index * page.columns.length
  }

  /** The result's columns. */
  get columns(): ReadonlyArray<Column> {
    return this.page.columns
  }

  /** The value of the column at this place, from 0; `undefined` where there is none. */
  at(column: number): unknown {
    const { bytes, decoders, offsets, view } = this.page
    const decode = decoders[column]
    if (decode === undefined) return undefined
    const pos = offsets[this.start + column]!
    const length = view.getInt32(pos)
    if (length < 0) return null
    allowMissing(length)
    try {
      return decode(bytes, view, pos + 4, length)
    } catch (error) {
      throw atColumn(error, this.page.columns[column]!)
    }
  }

  /** The value of the column of this name, of the later of two; `undefined` where there is none. */
  get(name: string): unknown {
    const column = this.page.names.get(name)
    return column === undefined ? undefined : this.at(column)
  }

  /** All values by name. */
  toObject(): Row {
    const row: Row = {}
    for (let i = 0; i < this.page.columns.length; i++) define(row, this.page.columns[i]!.name, this.at(i))
    return row
  }
}

/** Steps over `count` rows and takes a copy of them. The caller has checked that the count can fit. */
export const lazyRows = (
  r: Reader,
  count: number,
  columns: ReadonlyArray<Column>,
  decoders: ReadonlyArray<ValueDecoder>
): Array<LazyRow> => {
  const { end, pos: start, view } = r
  const offsets = new Int32Array(count * columns.length)
  let pos = start
  for (let i = 0; i < offsets.length; i++) {
    offsets[i] = pos - start
    const length = view.getInt32(pos)
    pos += 4
    if (length > 0) pos += length
    if (pos > end) throw new DecodeError({ message: "a row is cut off" })
  }
  r.pos = pos
  const own = Reader.from(copyBytes(r.bytes, start, pos))
  const page: LazyPage = {
    columns,
    decoders,
    names: new Map(columns.map((column, i) => [column.name, i])),
    bytes: own.bytes as FastBuffer,
    view: own.view,
    offsets
  }
  const rows: Array<LazyRow> = []
  for (let i = 0; i < count; i++) rows.push(new LazyRow(page, i))
  return rows
}

/**
 * The values of one column on a page: a typed array where the column is of a numeric type and every row has a value
 * (`int`, `smallint`, `tinyint`, `float`, `double`; `bigint`, `counter` and `timestamp` read as `bigint` as
 * `BigInt64Array`), else an array of the values, `null` and `Empty` among them.
 *
 * @category models
 * @since 0.1.0
 */
export type ColumnValues =
  | Array<unknown>
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array

/**
 * A page by columns.
 *
 * @category models
 * @since 0.1.0
 */
export class ColumnarPage {
  /** How many rows it has. */
  readonly size: number
  /** The result's columns. */
  readonly columns: ReadonlyArray<Column>
  /** In the order of `columns`, each of `size` values. */
  readonly values: ReadonlyArray<ColumnValues>

  constructor(size: number, columns: ReadonlyArray<Column>, values: ReadonlyArray<ColumnValues>) {
    this.size = size
    this.columns = columns
    this.values = values
  }

  /** The values of the column of this name, of the later of two; `undefined` where there is none. */
  get(name: string): ColumnValues | undefined {
    for (let i = this.columns.length - 1; i >= 0; i--) if (this.columns[i]!.name === name) return this.values[i]
    return undefined
  }
}
