/**
 * Rows out of bytes: a decoder is compiled once for each shape of a result and then costs little more than the values.
 *
 * @since 0.1.0
 */
import type { CodecOptions } from "./Codec.ts"
import * as CodecModule from "./Codec.ts"
import { locate } from "./internal/cellError.ts"
import { allowMissing, columnDecoder } from "./internal/decoders.ts"
import { asFast, copyBytes } from "./internal/fastBuffer.ts"
import * as Pages from "./internal/pages.ts"
import { demand } from "./internal/userCodecs.ts"
import type { ValueDecoder } from "./internal/valueCodec.ts"
import { type Column, duplicateNames, Flags, readResult, type ResultMetadata } from "./Metadata.ts"
import { DecodeError } from "./ProtocolError.ts"
import type { Reader } from "./Reader.ts"
import * as RowShape from "./RowShape.ts"

/**
 * A row as an object: see `RowShape`, where the other forms are.
 *
 * @category models
 * @since 0.1.0
 */
export type Row = RowShape.Row

/**
 * How to compile decoders: `generated` false takes the slower way without `new Function`, which gives the same results
 * and is what happens anyway where code generation is forbidden.
 *
 * @category models
 * @since 0.1.0
 */
export interface RowDecoderOptions extends CodecOptions {
  /** Whether code may be generated for a shape. Default true. */
  readonly generated?: boolean | undefined
}

/**
 * The decoder of one shape of result.
 *
 * @category models
 * @since 0.1.0
 */
export class RowDecoder {
  /** Of the rows, in their order. */
  readonly columns: ReadonlyArray<Column>
  /** The names that more than one column has, mostly none: rows as objects have only the last column of each. */
  readonly duplicates: ReadonlyArray<string>
  /** The metadata it was compiled from: flags, column count and column specs as they are on the wire, without paging or id. */
  readonly signature: Uint8Array
  private readonly signatureView: DataView
  private readonly rows: (r: Reader, count: number) => Array<Row>
  private readonly leastRow: number
  private readonly decoders: ReadonlyArray<ValueDecoder>
  private readonly generated: boolean
  /** The other forms are compiled by their first use. */
  private readonly made = new WeakMap<object, (r: Reader, count: number) => Array<any>>()
  private arrays: ((r: Reader, count: number) => Array<RowShape.ArrayRow>) | undefined
  private columnar: ((r: Reader, count: number) => ReadonlyArray<RowShape.ColumnValues>) | undefined

  /** Throws `TypeError` for what `Codec.check` finds wrong with the options. */
  constructor(
    columns: ReadonlyArray<Column>,
    signature: Uint8Array,
    options: RowDecoderOptions = CodecModule.defaultOptions
  ) {
    this.columns = columns
    this.duplicates = duplicateNames(columns)
    this.signature = signature
    this.signatureView = new DataView(signature.buffer, signature.byteOffset, signature.length)
    this.leastRow = 4 * columns.length
    this.decoders = columns.map((column) => columnDecoder(column, options))
    this.generated = options.generated !== false
    this.rows = Pages.objects(columns.map((column) => column.name), this.decoders, this.generated)
    this.arrays = undefined
    this.columnar = undefined
  }

  /** Reads the row count and the rows that the reader stands at, as objects. Throws `DecodeError`. */
  read(r: Reader): Array<Row> {
    const count = this.count(r)
    try {
      return this.rows(r, count)
    } catch (error) {
      throw locate(error, r, count, this.columns, this.decoders)
    }
  }

  /** The same as arrays, the values in the order of the columns. Throws `DecodeError`. */
  readArrays(r: Reader): Array<RowShape.ArrayRow> {
    const count = this.count(r)
    this.arrays ??= Pages.arrays(this.decoders, this.generated)
    try {
      return this.arrays(r, count)
    } catch (error) {
      throw locate(error, r, count, this.columns, this.decoders)
    }
  }

  /** The same as rows whose values are decoded when they are looked at. Takes a copy of the page. Throws `DecodeError`. */
  readLazy(r: Reader): Array<RowShape.LazyRow> {
    const count = this.count(r)
    try {
      return RowShape.lazyRows(r, count, this.columns, this.decoders)
    } catch (error) {
      // A length that lies past the end of the whole buffer.
      throw error instanceof RangeError ? new DecodeError({ message: "a row is cut off" }) : error
    }
  }

  /** The same by columns, numbers in typed arrays. Throws `DecodeError`. */
  readColumns(r: Reader): RowShape.ColumnarPage {
    const count = this.count(r)
    this.columnar ??= Pages.columns(this.decoders, this.generated)
    try {
      return new RowShape.ColumnarPage(count, this.columns, this.columnar(r, count))
    } catch (error) {
      throw locate(error, r, count, this.columns, this.decoders)
    }
  }

  /** The same as the maker makes them, compiled by its first use. Throws `DecodeError`. */
  readMade<A>(r: Reader, maker: RowShape.RowMaker<A>): Array<A> {
    const count = this.count(r)
    let read = this.made.get(maker) as ((r: Reader, count: number) => Array<A>) | undefined
    if (read === undefined) {
      const isOfOneTable = (this.signatureView.getInt32(0) & Flags.GLOBAL_TABLES_SPEC) !== 0
      read = Pages.made(this.decoders, maker.of(this.columns, isOfOneTable), this.generated)
      this.made.set(maker, read)
    }
    try {
      return read(r, count)
    } catch (error) {
      throw locate(error, r, count, this.columns, this.decoders)
    }
  }

  /** The row count, if as many rows can be in the bytes left: before anything is allocated for them. */
  private count(r: Reader): number {
    const count = r.i32()
    if (count < 0 || count * this.leastRow > r.remaining || (this.leastRow === 0 && count > 0)) {
      throw new DecodeError({ message: `${count} rows do not fit in the ${r.remaining} bytes left` })
    }
    allowMissing(r.remaining)
    return count
  }

  /**
   * If the metadata that the reader stands at is this decoder's, or was left out of a result of as many columns, steps
   * over it, leaves the paging state in `page` and answers true; else answers false with the reader where it was. This
   * compare is what makes it safe to decode without parsing metadata on protocol v4, where a table may have changed since
   * it was prepared.
   */
  accept(r: Reader, page: Page): boolean {
    const { signature } = this
    const { bytes, pos: start, view } = r
    const size = signature.length
    if (r.remaining < 8) return false
    const flags = view.getInt32(start)
    let pos = start + 8
    let pagingState: Uint8Array | null = null
    if ((flags & Flags.HAS_MORE_PAGES) !== 0) {
      if (r.end - pos < 4) return false
      const length = view.getInt32(pos)
      pos += 4
      if (length >= 0) {
        if (length > r.end - pos) return false
        pagingState = copyBytes(bytes, pos, pos + length)
        pos += length
      }
    }
    const { signatureView } = this
    if (view.getInt32(start + 4) !== signatureView.getInt32(4)) return false
    if ((flags & ~Flags.HAS_MORE_PAGES) !== signatureView.getInt32(0)) {
      if ((flags & (Flags.NO_METADATA | Flags.METADATA_CHANGED)) !== Flags.NO_METADATA) return false
      r.pos = pos
      page.pagingState = pagingState
      page.newMetadataId = undefined
      return true
    }
    if (r.end - pos < size - 8) return false
    const shift = pos - 8
    // Four bytes at a time, then the rest.
    let i = 8
    for (; i + 4 <= size; i += 4) {
      if (view.getInt32(shift + i) !== signatureView.getInt32(i)) return false
    }
    for (; i < size; i++) {
      if (bytes[shift + i] !== signature[i]) return false
    }
    r.pos = shift + size
    page.pagingState = pagingState
    page.newMetadataId = undefined
    return true
  }
}

/**
 * Where a read leaves what belongs to a page besides its rows. Owned by the caller and used again for every page, so that
 * reading a page allocates nothing but the rows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  /** The state to ask for the next page with, or `null` after the last one. */
  pagingState: Uint8Array | null
  /** The decoder that fits the page. */
  decoder: RowDecoder | undefined
  /**
   * The id of the page's metadata, where the request named another (METADATA_CHANGED): it and `decoder` replace, together,
   * what is known of the statement. Not so for a conditional statement: the columns of its results depend on
   * whether it was applied, so keep what PREPARED said.
   */
  newMetadataId: Uint8Array | undefined
}

/**
 * A page of nothing, to be read into.
 *
 * @category constructors
 * @since 0.1.0
 */
export const emptyPage = (): Page => ({ pagingState: null, decoder: undefined, newMetadataId: undefined })

/** Bound of the decoders kept for shapes seen; one takes some kilobytes. */
const MAX_SHAPES = 512

/** Metadata of more bytes than this is not kept: it is its own key. */
const MAX_KEY = 65_536

/**
 * Decoders by the bytes of the metadata they were compiled from. Two results of the same shape share one, whatever
 * statement they answer; past 512 shapes the one that was made first is forgotten, and metadata of more than 64 KiB is
 * compiled each time it is met.
 *
 * @category models
 * @since 0.1.0
 */
export class RowDecoders {
  private readonly shapes = new Map<string, RowDecoder>()
  private readonly options: RowDecoderOptions

  /** Throws `TypeError` for what `Codec.check` finds wrong with the options. */
  constructor(options: RowDecoderOptions = CodecModule.defaultOptions) {
    demand(options)
    this.options = options
  }

  /** Reads the result metadata that the reader stands at, as PREPARED carries it, and compiles its decoder. */
  prepare(r: Reader): { readonly metadata: ResultMetadata; readonly decoder: RowDecoder | undefined } {
    const start = r.pos
    const metadata = readResult(r)
    return {
      metadata,
      decoder: metadata.columns === undefined || metadata.columnCount === 0
        ? undefined
        : this.get(signatureOf(r, start, metadata), metadata.columns)
    }
  }

  private get(signature: Uint8Array, columns: ReadonlyArray<Column>): RowDecoder {
    if (signature.length > MAX_KEY) return new RowDecoder(columns, signature, this.options)
    const key = asFast(signature).latin1Slice(0, signature.length)
    const known = this.shapes.get(key)
    if (known !== undefined) return known
    if (this.shapes.size >= MAX_SHAPES) this.shapes.delete(this.shapes.keys().next().value!)
    const decoder = new RowDecoder(columns, signature, this.options)
    this.shapes.set(key, decoder)
    return decoder
  }

  /**
   * Reads the body of a ROWS result behind its kind: metadata, row count, rows as objects. Throws `DecodeError`.
   *
   * `expected` is tried first, and decodes a result that carries no metadata. A result that carries metadata is always
   * decoded with its own.
   */
  read(r: Reader, expected: RowDecoder | undefined, page: Page): Array<Row> {
    return this.open(r, expected, page).read(r)
  }

  /**
   * The first half of {@link RowDecoders.read}: reads the metadata, fills in `page`, and answers the decoder of the rows
   * that the reader then stands at, to be read in the form that is wanted. Throws `DecodeError`.
   */
  open(r: Reader, expected: RowDecoder | undefined, page: Page): RowDecoder {
    if (expected !== undefined && expected.accept(r, page)) {
      page.decoder = expected
      return expected
    }
    const start = r.pos
    const metadata = readResult(r)
    page.pagingState = metadata.pagingState
    page.newMetadataId = metadata.newId
    const decoder = metadata.columns === undefined
      ? withoutMetadata(metadata, expected)
      : this.get(signatureOf(r, start, metadata), metadata.columns)
    page.decoder = decoder
    return decoder
  }
}

const withoutMetadata = (metadata: ResultMetadata, expected: RowDecoder | undefined): RowDecoder => {
  if (expected === undefined || expected.columns.length !== metadata.columnCount) {
    throw new DecodeError({
      message: `a result of ${metadata.columnCount} columns without metadata, and none known for it`
    })
  }
  return expected
}

/** The metadata that lies between `start` and the reader, without the paging state and the new id. */
const signatureOf = (r: Reader, start: number, metadata: ResultMetadata): Uint8Array => {
  const paging = (metadata.flags & Flags.HAS_MORE_PAGES) === 0 ? 0 : 4 + (metadata.pagingState?.length ?? 0)
  const between = paging + (metadata.newId === undefined ? 0 : 2 + metadata.newId.length)
  const out = new Uint8Array(r.pos - start - between)
  out.set(r.bytes.subarray(start, start + 8), 0)
  out.set(r.bytes.subarray(start + 8 + between, r.pos), 8)
  out[3] = out[3]! & ~(Flags.HAS_MORE_PAGES | Flags.METADATA_CHANGED)
  return out
}
