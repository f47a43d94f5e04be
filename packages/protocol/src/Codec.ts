/**
 * Values of one CQL type, there and back.
 *
 * @since 0.1.0
 */
import type { CqlType } from "./CqlType.ts"
import * as Type from "./CqlType.ts"
import { causeOf, isUnreadable } from "./internal/cellError.ts"
import type { CodecOptions } from "./internal/codecOptions.ts"
import { allowingMissing, decoderOf } from "./internal/decoders.ts"
import { bind, encoderOf } from "./internal/encoders.ts"
import { copyBytes, type FastBuffer } from "./internal/fastBuffer.ts"
import { toEncodeError } from "./internal/mismatch.ts"
import { type Problem, problemsOf } from "./internal/userCodecs.ts"
import { DecodeError, EncodeError } from "./ProtocolError.ts"
import { Reader } from "./Reader.ts"
import { Unset } from "./Value.ts"
import { Writer } from "./Writer.ts"

export type {
  BytesCodec,
  CodecOptions,
  InPlaceCodec,
  UserCodec,
  UserCodecs,
  ValueCodec
} from "./internal/codecOptions.ts"
export type { Problem } from "./internal/userCodecs.ts"

/**
 * The default: every type as the table of `Value` says.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultOptions: CodecOptions = {}

/**
 * What is wrong with the codecs among the options (`types`): keys that name neither a type of CQL nor a column, two keys that
 * mean the same, codecs that lack a function. Empty when nothing is; those who are given wrong options throw a `TypeError` of
 * the same words.
 *
 * ```ts
 * Codec.check({ types: { dat: codec } })
 * // [{ path: "types.dat", message: "no type of CQL has the name dat: …" }]
 * ```
 *
 * @category predicates
 * @since 0.1.0
 */
export const check = (options: CodecOptions): ReadonlyArray<Problem> => problemsOf(options)

/**
 * Encodes one value, without the length in front; `null` for null. Throws `EncodeError` for a value that does not fit.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (
  type: CqlType,
  value: unknown,
  options: CodecOptions = defaultOptions
): Uint8Array | null => {
  const w = new Writer(64)
  try {
    bind(w, encoderOf(type, options), Type.format(type), value)
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
  const decode = decoderOf(type, options)
  try {
    return allowingMissing(bytes.length, () => decode(r.bytes as FastBuffer, r.view, 0, bytes.length))
  } catch (error) {
    if (!isUnreadable(error)) throw error
    const cqlType = Type.format(type)
    throw new DecodeError({ message: `${cqlType}: ${error.message}`, cqlType, ...causeOf(error) })
  }
}
