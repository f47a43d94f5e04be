import { format } from "../CqlType.ts"
import type { Column } from "../Metadata.ts"
import { DecodeError } from "../ProtocolError.ts"
import type { Reader } from "../Reader.ts"
import { allowMissing } from "./decoders.ts"
import type { FastBuffer } from "./fastBuffer.ts"
import type { ValueDecoder } from "./valueCodec.ts"

/**
 * Whether it says that a value cannot be read: a RangeError is of a length that lies past the end of the whole buffer, or of a
 * set or map with more elements than the engine's can have.
 */
export const isUnreadable = (error: unknown): error is DecodeError | RangeError =>
  error instanceof DecodeError || error instanceof RangeError

/** What a codec of the user threw, to go on with another error. */
export const causeOf = (error: Error): { readonly cause?: unknown } =>
  error.cause === undefined ? {} : { cause: error.cause }

/** An error of a value with the column that it is of. */
export const atColumn = (error: unknown, column: Column, where = ""): unknown => {
  if (!isUnreadable(error)) return error
  const cqlType = format(column.type)
  const name = JSON.stringify(column.name.length > 100 ? `${column.name.slice(0, 100)}…` : column.name)
  return new DecodeError({
    message: `${where}column ${name} of type ${cqlType}: ${error.message}`,
    column: column.name,
    cqlType,
    ...causeOf(error)
  })
}

/**
 * The error of a page that the reader still stands in front of, with the name of the cell: found by reading the page once more,
 * so that reading one that is sound need not keep count.
 */
export const locate = (
  error: unknown,
  r: Reader,
  count: number,
  columns: ReadonlyArray<Column>,
  decoders: ReadonlyArray<ValueDecoder>
): unknown => {
  if (!isUnreadable(error)) return error
  const bytes = r.bytes as FastBuffer
  const { end, view } = r
  let { pos } = r
  allowMissing(r.remaining)
  for (let i = 0; i < count; i++) {
    for (const [c, column] of columns.entries()) {
      try {
        const length = pos + 4 > end ? Infinity : view.getInt32(pos)
        pos += 4
        if (length > end - pos) throw new DecodeError({ message: "the row is cut off" })
        if (length >= 0) decoders[c]!(bytes, view, pos, length)
        if (length > 0) pos += length
      } catch (found) {
        return atColumn(found, column, `row ${i + 1} of ${count}, `)
      }
    }
  }
  return error instanceof RangeError ? new DecodeError({ message: `a page cannot be read: ${error.message}` }) : error
}
