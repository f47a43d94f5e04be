import type { CqlType } from "../CqlType.ts"
import { format } from "../CqlType.ts"
import { DecodeError } from "../ProtocolError.ts"
import type { InPlaceCodec } from "./codecOptions.ts"
import { copyBytes } from "./fastBuffer.ts"
import { type AnyCodec, isBytesCodec, messageOf, passesBy } from "./userCodecs.ts"
import type { ValueDecoder } from "./valueCodec.ts"

const failed = (type: CqlType, cause: unknown): DecodeError =>
  new DecodeError({ message: `the codec for ${format(type)} threw: ${messageOf(cause)}`, cause })

/**
 * A decoder with a codec of the user behind it, which only a type or column that has one goes through. What the codec throws is
 * caught here: a RangeError further out means bytes that are cut off.
 */
export const withCodec = (codec: AnyCodec, type: CqlType, builtIn: () => ValueDecoder): ValueDecoder => {
  if (isBytesCodec(codec)) {
    return (b, _v, p, l) => {
      try {
        return codec.fromBytes(copyBytes(b, p, p + l))
      } catch (cause) {
        throw failed(type, cause)
      }
    }
  }
  const decode = builtIn()
  const passes = passesBy(type)
  return (b, v, p, l) => {
    const value = decode(b, v, p, l)
    if (passes(value)) return value
    try {
      return codec.decode(value)
    } catch (cause) {
      throw failed(type, cause)
    }
  }
}

/** A codec that reads in place. */
export const inPlace = (codec: InPlaceCodec, type: CqlType): ValueDecoder => (b, v, p, l) => {
  try {
    return codec.read(b, v, p, l)
  } catch (cause) {
    throw failed(type, cause)
  }
}
