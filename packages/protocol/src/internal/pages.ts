import { DecodeError } from "../ProtocolError.ts"
import type { Reader } from "../Reader.ts"
import type { ArrayRow, ColumnValues, Row } from "../RowShape.ts"
import { Uuid } from "../Uuid.ts"
import { define, inline, typed } from "./decoders.ts"
import type { FastBuffer } from "./fastBuffer.ts"
import { canGenerate } from "./generate.ts"
import type { ValueDecoder } from "./valueCodec.ts"

/** Reads the rows behind a count, both of which the reader stands at, in one of their forms. */
type Read<A> = (r: Reader, count: number) => A

const cutOff = (): never => {
  throw new DecodeError({ message: "a row is cut off" })
}

/** Wider shapes are interpreted: their code would take long to compile, and a function takes 65,535 parameters at most. */
const MAX_GENERATED = 256

const parameters = (decoders: ReadonlyArray<ValueDecoder>): ReadonlyArray<string> => decoders.map((_, i) => `d${i}`)

/** The source of the value at `p`, in place where that is a few loads. */
const valueOf = (decoder: ValueDecoder, i: number): string => {
  const inlined = inline.get(decoder)
  return inlined === undefined ? `d${i}(b,v,p,l)` : `${inlined}:d${i}(b,v,p,l)`
}

/**
 * Straight-line code for one shape: half the price of the loop below (measured), where the platform allows `new Function`.
 * `row` is the source of a row of the values `c0`, `c1`…
 */
const generateRows = <A>(
  decoders: ReadonlyArray<ValueDecoder>,
  row: string,
  make?: (...values: Array<unknown>) => A
): Read<Array<A>> => {
  const cells = decoders.map((decoder, i) =>
    `l=v.getInt32(p);p+=4;let c${i}=null;if(l>=0){if(l>e-p)x();c${i}=${valueOf(decoder, i)};p+=l}`
  )
  // An array of its exact size where pages are small: one that grows takes 17 slots for its first row.
  const body = `return function(r,n){const b=r.bytes,v=r.view,e=r.end,o=n>1024?[]:new Array(n);let p=r.pos,l=0;` +
    `for(let i=0;i<n;i++){${cells.join("")}if(p>e)x();o[i]=${row}}r.pos=p;return o}`
  return new Function("x", "U", "R", ...parameters(decoders), body)(cutOff, Uuid, make, ...decoders) as Read<Array<A>>
}

/** The same without code generation, for platforms that forbid it. */
const interpretRows = <A>(
  decoders: ReadonlyArray<ValueDecoder>,
  empty: () => A,
  put: (row: A, column: number, value: unknown) => void
): Read<Array<A>> =>
(r, count) => {
  const bytes = r.bytes as FastBuffer
  const { end, view } = r
  const out: Array<A> = []
  let pos = r.pos
  for (let i = 0; i < count; i++) {
    const row = empty()
    for (let c = 0; c < decoders.length; c++) {
      const length = view.getInt32(pos)
      pos += 4
      if (length > end - pos) cutOff()
      put(row, c, length < 0 ? null : decoders[c]!(bytes, view, pos, length))
      if (length > 0) pos += length
    }
    if (pos > end) cutOff()
    out.push(row)
  }
  r.pos = pos
  return out
}

const mayGenerate = (decoders: ReadonlyArray<ValueDecoder>, wished: boolean): boolean =>
  wished && canGenerate && decoders.length <= MAX_GENERATED

/** Rows as objects, the later of two columns of one name in its place. */
export const objects = (
  names: ReadonlyArray<string>,
  decoders: ReadonlyArray<ValueDecoder>,
  generated: boolean
): Read<Array<Row>> => {
  if (!mayGenerate(decoders, generated)) {
    return interpretRows(decoders, (): Row => ({}), (row, column, value) => define(row, names[column]!, value))
  }
  const fields = names.map((name, i) => `${name === "__proto__" ? '["__proto__"]' : JSON.stringify(name)}:c${i}`)
  return generateRows(decoders, `{${fields.join(",")}}`)
}

/** Rows as arrays. */
export const arrays = (decoders: ReadonlyArray<ValueDecoder>, generated: boolean): Read<Array<ArrayRow>> =>
  mayGenerate(decoders, generated)
    ? generateRows(decoders, `[${decoders.map((_, i) => `c${i}`).join(",")}]`)
    : interpretRows(decoders, (): ArrayRow => [], (row, _column, value) => {
      row.push(value)
    })

/** Sets a value that a typed array does not hold: what it held by then goes on as an array. */
const widen = (values: ColumnValues, i: number, value: unknown): Array<unknown> => {
  const out = Array.isArray(values) ? values : Array.from<unknown>(values.subarray(0, i))
  out[i] = value
  return out
}

/** Straight-line code for the columns of one shape. */
const generateColumns = (decoders: ReadonlyArray<ValueDecoder>): Read<ReadonlyArray<ColumnValues>> => {
  const starts = decoders.map((decoder, i) => `let c${i}=${typed.has(decoder) ? `new T${i}(n)` : "[]"};`)
  const cells = decoders.map((decoder, i) => {
    const numbers = typed.get(decoder)
    const value = numbers === undefined
      ? `c${i}[i]=l<0?null:${valueOf(decoder, i)};`
      : `if(l===${numbers.array.BYTES_PER_ELEMENT})c${i}[i]=v.${numbers.get}(p);` +
        `else c${i}=w(c${i},i,l<0?null:d${i}(b,v,p,l));`
    return `l=v.getInt32(p);p+=4;if(l>e-p)x();${value}if(l>0)p+=l;`
  })
  const body = `return function(r,n){const b=r.bytes,v=r.view,e=r.end;let p=r.pos,l=0;${starts.join("")}` +
    `for(let i=0;i<n;i++){${cells.join("")}if(p>e)x()}r.pos=p;return [${decoders.map((_, i) => `c${i}`).join(",")}]}`
  const arrays = decoders.map((decoder) => typed.get(decoder)?.array)
  return new Function("x", "U", "w", ...parameters(decoders), ...arrays.map((_, i) => `T${i}`), body)(
    cutOff,
    Uuid,
    widen,
    ...decoders,
    ...arrays
  ) as Read<ReadonlyArray<ColumnValues>>
}

/** The same without code generation. */
const interpretColumns = (decoders: ReadonlyArray<ValueDecoder>): Read<ReadonlyArray<ColumnValues>> => (r, count) => {
  const bytes = r.bytes as FastBuffer
  const { end, view } = r
  const out = decoders.map((decoder): ColumnValues => {
    const numbers = typed.get(decoder)
    return numbers === undefined ? [] : new numbers.array(count)
  })
  let pos = r.pos
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < decoders.length; c++) {
      const length = view.getInt32(pos)
      pos += 4
      if (length > end - pos) cutOff()
      const value = length < 0 ? null : decoders[c]!(bytes, view, pos, length)
      const values = out[c]!
      if (Array.isArray(values)) values[i] = value
      else if (length === values.BYTES_PER_ELEMENT) values[i] = value as never
      else out[c] = widen(values, i, value)
      if (length > 0) pos += length
    }
    if (pos > end) cutOff()
  }
  r.pos = pos
  return out
}

/** The columns of a page. */
export const columns = (
  decoders: ReadonlyArray<ValueDecoder>,
  generated: boolean
): Read<ReadonlyArray<ColumnValues>> =>
  mayGenerate(decoders, generated) ? generateColumns(decoders) : interpretColumns(decoders)

/** Rows by a function of their values. */
export const made = <A>(
  decoders: ReadonlyArray<ValueDecoder>,
  make: (...values: Array<unknown>) => A,
  generated: boolean
): Read<Array<A>> => {
  if (mayGenerate(decoders, generated)) {
    return generateRows<A>(decoders, `R(${decoders.map((_, i) => `c${i}`).join(",")})`, make)
  }
  const read = arrays(decoders, generated)
  return (r, count) => read(r, count).map((values) => make(...values))
}
