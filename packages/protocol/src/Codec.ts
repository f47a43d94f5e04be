/**
 * Values of one CQL type, there and back.
 *
 * @since 0.1.0
 */
import type { CqlType } from "./CqlType.ts"
import * as Type from "./CqlType.ts"
import { isUnreadable } from "./internal/cellError.ts"
import type { CodecOptions } from "./internal/codecOptions.ts"
import { allowMissing, decoderOf } from "./internal/decoders.ts"
import { bind, encoderOf, toEncodeError } from "./internal/encoders.ts"
import { copyBytes, type FastBuffer } from "./internal/fastBuffer.ts"
import { DecodeError, EncodeError } from "./ProtocolError.ts"
import { Reader } from "./Reader.ts"
import { Unset } from "./Value.ts"
import { Writer } from "./Writer.ts"

export type { CodecOptions } from "./internal/codecOptions.ts"

/**
 * The default: every type as the table of `Value` says.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultOptions: CodecOptions = {}

/**
 * Encodes one value, without the length in front; `null` for null. Throws `EncodeError` for a value that does not fit.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (type: CqlType, value: unknown): Uint8Array | null => {
  const w = new Writer(64)
  try {
    bind(w, encoderOf(type), Type.format(type), value)
  } catch (error) {
    throw toEncodeError(error, "value")
  }
  if (value === Unset) {
    throw new EncodeError({
      message: `expected ${Type.format(type)}, got Unset: it can be bound, but has no bytes`,
      path: "value",
      cqlType: Type.format(type)
    })
  }
  const length = w.view.getInt32(0)
  return length < 0 ? null : copyBytes(w.bytes, 4, 4 + length)
}

/**
 * Decodes the bytes of one value; `null` stays null. Throws `DecodeError` for bytes that are no value of the type.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (type: CqlType, bytes: Uint8Array | null, options: CodecOptions = defaultOptions): unknown => {
  if (bytes === null) return null
  const r = Reader.from(bytes)
  allowMissing(bytes.length)
  try {
    return decoderOf(type, options)(r.bytes as FastBuffer, r.view, 0, bytes.length)
  } catch (error) {
    if (!isUnreadable(error)) throw error
    const cqlType = Type.format(type)
    throw new DecodeError({ message: `${cqlType}: ${error.message}`, cqlType })
  }
}
