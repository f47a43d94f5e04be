/**
 * Rows out of bytes: a decoder is compiled once for each shape of a result and then costs little more than the values.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import type { CodecOptions } from "./Codec.ts"
import * as CodecModule from "./Codec.ts"
import { allowMissing, decoderOf, define, inline, type ValueDecoder } from "./internal/decoders.ts"
import { copyBytes, type FastBuffer } from "./internal/fastBuffer.ts"
import { canGenerate } from "./internal/generate.ts"
import { type Column, Flags, readResult, type ResultMetadata } from "./Metadata.ts"
import { DecodeError } from "./ProtocolError.ts"
import type { Reader } from "./Reader.ts"
import { Uuid } from "./Uuid.ts"

/**
 * A row: the columns by name, in the order of the result. Where a result has two columns of one name, the later wins, as
 * in an object literal.
 *
 * @category models
 * @since 0.1.0
 */
export type Row = Record<string, unknown>

/** Reads the rows behind a count, both of which the reader stands at. */
type Rows = (r: Reader, count: number) => Array<Row>

const cutOff = (): never => {
  throw new DecodeError({ message: "a row is cut off" })
}

/** Wider shapes are interpreted: their code would take long to compile, and a function takes 65,535 parameters at most. */
const MAX_GENERATED = 256

/**
 * Straight-line code for one shape: half the price of the loop below (measured), where the platform allows `new Function`.
 * Values that are a few loads are read in place; everything else through its decoder.
 */
const generate = (names: ReadonlyArray<string>, decoders: ReadonlyArray<ValueDecoder>): Rows => {
  const params = decoders.map((_, i) => `d${i}`)
  const cells = decoders.map((decoder, i) => {
    const inlined = inline.get(decoder)
    const value = inlined === undefined ? `d${i}(b,v,p,l)` : `${inlined}:d${i}(b,v,p,l)`
    return `l=v.getInt32(p);p+=4;let c${i}=null;if(l>=0){if(l>e-p)x();c${i}=${value};p+=l}`
  })
  const fields = names.map((name, i) => `${name === "__proto__" ? '["__proto__"]' : JSON.stringify(name)}:c${i}`)
  // An array of its exact size where pages are small: one that grows takes 17 slots for its first row.
  const body = `return function(r,n){const b=r.bytes,v=r.view,e=r.end,o=n>1024?[]:new Array(n);let p=r.pos,l=0;` +
    `for(let i=0;i<n;i++){${cells.join("")}if(p>e)x();o[i]={${fields.join(",")}}}r.pos=p;return o}`
  return new Function("x", "U", ...params, body)(cutOff, Uuid, ...decoders) as Rows
}

/** The same without code generation, for platforms that forbid it. */
const interpret = (names: ReadonlyArray<string>, decoders: ReadonlyArray<ValueDecoder>): Rows => (r, count) => {
  const bytes = r.bytes as FastBuffer
  const { end, view } = r
  const out: Array<Row> = []
  let pos = r.pos
  for (let i = 0; i < count; i++) {
    const row: Row = {}
    for (let c = 0; c < decoders.length; c++) {
      const length = view.getInt32(pos)
      pos += 4
      if (length > end - pos) cutOff()
      define(row, names[c]!, length < 0 ? null : decoders[c]!(bytes, view, pos, length))
      if (length > 0) pos += length
    }
    if (pos > end) cutOff()
    out.push(row)
  }
  r.pos = pos
  return out
}

/**
 * How to compile decoders: `generated` false takes the slower way without `new Function`, which gives the same results
 * and is what happens anyway where code generation is forbidden.
 *
 * @category models
 * @since 0.1.0
 */
export interface RowDecoderOptions extends CodecOptions {
  readonly generated?: boolean | undefined
}

/**
 * The decoder of one shape of result.
 *
 * @category models
 * @since 0.1.0
 */
export class RowDecoder {
  readonly columns: ReadonlyArray<Column>
  /** The metadata it was compiled from: flags, column count and column specs as they are on the wire, without paging or id. */
  readonly signature: Uint8Array
  private readonly signatureView: DataView
  private readonly rows: Rows
  private readonly leastRow: number

  constructor(
    columns: ReadonlyArray<Column>,
    signature: Uint8Array,
    options: RowDecoderOptions = CodecModule.defaultOptions
  ) {
    this.columns = columns
    this.signature = signature
    this.signatureView = new DataView(signature.buffer, signature.byteOffset, signature.length)
    this.leastRow = 4 * columns.length
    const names = columns.map((column) => column.name)
    const decoders = columns.map((column) => decoderOf(column.type, options))
    this.rows = options.generated !== false && canGenerate && names.length <= MAX_GENERATED
      ? generate(names, decoders)
      : interpret(names, decoders)
  }

  /** Reads the row count and the rows that the reader stands at. Throws `DecodeError`. */
  read(r: Reader): Array<Row> {
    const count = r.i32()
    // A count that cannot fit is refused before anything is allocated for it.
    if (count < 0 || count * this.leastRow > r.remaining || (this.leastRow === 0 && count > 0)) {
      throw new DecodeError({ message: `${count} rows do not fit in the ${r.remaining} bytes left` })
    }
    allowMissing(r.remaining)
    try {
      return this.rows(r, count)
    } catch (error) {
      // A cell length read past the end of the whole buffer.
      throw error instanceof RangeError ? new DecodeError({ message: `a row is cut off (${error.message})` }) : error
    }
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
   * what is known of the statement. For the response of a conditional statement see DESIGN 4.3.
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

  constructor(options: RowDecoderOptions = CodecModule.defaultOptions) {
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
    const key = Buffer.from(signature.buffer, signature.byteOffset, signature.length).toString("latin1")
    const known = this.shapes.get(key)
    if (known !== undefined) return known
    if (this.shapes.size >= MAX_SHAPES) this.shapes.delete(this.shapes.keys().next().value!)
    const decoder = new RowDecoder(columns, signature, this.options)
    this.shapes.set(key, decoder)
    return decoder
  }

  /**
   * Reads the body of a ROWS result behind its kind: metadata, row count, rows.
   *
   * `expected` is tried first, and decodes a result that carries no metadata. A result that carries metadata is always
   * decoded with its own. Throws `DecodeError`.
   */
  read(r: Reader, expected: RowDecoder | undefined, page: Page): Array<Row> {
    if (expected !== undefined && expected.accept(r, page)) {
      page.decoder = expected
      return expected.read(r)
    }
    const start = r.pos
    const metadata = readResult(r)
    page.pagingState = metadata.pagingState
    page.newMetadataId = metadata.newId
    const decoder = metadata.columns === undefined
      ? withoutMetadata(metadata, expected)
      : this.get(signatureOf(r, start, metadata), metadata.columns)
    page.decoder = decoder
    return decoder.read(r)
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
