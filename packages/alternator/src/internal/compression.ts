/** gzip and deflate, off the event loop, with bounds on what comes out. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { deflate, gunzip, gzip, inflate, inflateRaw } from "node:zlib"

export class CompressionFailed extends Data.TaggedError("CompressionFailed")<{ readonly message: string }> {}

export interface Bounds {
  /** Bytes of each layer. */
  readonly maxBytes: number
  /** How many encodings may be stacked. */
  readonly maxLayers: number
}

export type Encoding = "gzip" | "deflate"

type Unpack = typeof gunzip

const unpack = (how: Unpack, bytes: Uint8Array, bounds: Bounds): Effect.Effect<Uint8Array, CompressionFailed> =>
  Effect.callback((resume) => {
    how(bytes, { maxOutputLength: bounds.maxBytes }, (error, plain) => {
      if (error === null) return resume(Effect.succeed(plain))
      const message = (error as { readonly code?: string }).code === "ERR_BUFFER_TOO_LARGE"
        ? `the answer unpacks to more than ${bounds.maxBytes} bytes`
        : `the answer cannot be unpacked: ${error.message}`
      resume(Effect.fail(new CompressionFailed({ message })))
    })
  })

/** `deflate` means the zlib format; some send it without its header. */
const inflateAny = (bytes: Uint8Array): Unpack =>
  (bytes[0]! & 0x0f) === 8 && ((bytes[0]! << 8) | bytes[1]!) % 31 === 0 ? inflate : inflateRaw

/** Takes the encodings of a `content-encoding` header off, the last first. */
export const decompress = (
  bytes: Uint8Array,
  header: string,
  bounds: Bounds
): Effect.Effect<Uint8Array, CompressionFailed> => {
  const encodings = header.split(",").map((name) => name.trim().toLowerCase()).filter((name) =>
    name !== "" && name !== "identity"
  )
  if (encodings.length > bounds.maxLayers) {
    return Effect.fail(
      new CompressionFailed({ message: `the answer has ${encodings.length} encodings, more than ${bounds.maxLayers}` })
    )
  }
  return encodings.reduceRight<Effect.Effect<Uint8Array, CompressionFailed>>(
    (result, name) =>
      Effect.flatMap(result, (bytes) =>
        name === "gzip" || name === "x-gzip"
          ? unpack(gunzip, bytes, bounds)
          : name === "deflate"
          ? unpack(bytes.length < 2 ? inflate : inflateAny(bytes), bytes, bounds)
          : Effect.fail(new CompressionFailed({ message: `the answer has the unknown encoding ${name}` }))),
    Effect.succeed(bytes)
  )
}

/** Compresses a request. */
export const compress = (
  bytes: Uint8Array,
  encoding: Encoding,
  level: number
): Effect.Effect<Uint8Array, CompressionFailed> =>
  Effect.callback((resume) => {
    const how = encoding === "gzip" ? gzip : deflate
    how(bytes, { level }, (error, packed) =>
      resume(
        error === null
          ? Effect.succeed(packed)
          : Effect.fail(new CompressionFailed({ message: `the request cannot be packed: ${error.message}` }))
      ))
  })
