import { type CqlType, format } from "../CqlType.ts"
import { Empty, Unset } from "../Value.ts"
import type { InPlaceCodec } from "./codecOptions.ts"
import { isBytes } from "./kinds.ts"
import { describe, Mismatch } from "./mismatch.ts"
import { type AnyCodec, isBytesCodec, messageOf, passesBy } from "./userCodecs.ts"
import type { ValueEncoder } from "./valueCodec.ts"

/** Calls a codec and says what it threw, or that it made nothing that could be written. */
const made = (make: (value: any) => unknown, codec: AnyCodec, name: string, value: unknown): unknown => {
  let out: unknown
  try {
    out = make.call(codec, value)
  } catch (cause) {
    throw new Mismatch(name, `the codec for ${name} threw on ${describe(value)}: ${messageOf(cause)}`, cause)
  }
  if (out === null || out === undefined || out === Unset) {
    throw new Mismatch(name, `expected ${name}, got ${describe(out)} (of its codec, for ${describe(value)})`)
  }
  return out
}

/** An encoder with a codec of the user in front of it, which only a type or column that has one goes through. */
export const withCodec = (codec: AnyCodec, type: CqlType, builtIn: () => ValueEncoder): ValueEncoder => {
  const name = format(type)
  if (isBytesCodec(codec)) {
    const { toBytes } = codec
    return (w, value) => {
      if (value === Empty) return w.i32(0)
      const bytes = made(toBytes, codec, name, value)
      if (!isBytes(bytes)) {
        throw new Mismatch(
          name,
          `expected bytes of ${name}, got ${describe(bytes)} (of its codec, for ${describe(value)})`
        )
      }
      w.bytesValue(bytes)
    }
  }
  const encode = builtIn()
  const passes = passesBy(type)
  const { encode: make } = codec
  return (w, value) => {
    if (passes(value)) return encode(w, value)
    const out = made(make, codec, name, value)
    try {
      encode(w, out)
    } catch (error) {
      if (error instanceof Mismatch) error.detail += ` (of the codec for ${name}, for ${describe(value)})`
      throw error
    }
  }
}

/** A codec that writes in place. */
export const inPlace = (codec: InPlaceCodec, type: CqlType): ValueEncoder => {
  const name = format(type)
  return (w, value) => {
    try {
      codec.write(w, value)
    } catch (cause) {
      throw new Mismatch(name, `the codec for ${name} threw on ${describe(value)}: ${messageOf(cause)}`, cause)
    }
  }
}
