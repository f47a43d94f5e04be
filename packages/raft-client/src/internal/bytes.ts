/** Bytes, or text that stands for its UTF-8. */
export type Bytes = Uint8Array | string

const encoder = new TextEncoder()

export const toBytes = (bytes: Bytes): Uint8Array => typeof bytes === "string" ? encoder.encode(bytes) : bytes

const latin1 = new TextDecoder("latin1")

/** Bytes as a key of a Map. */
export const textOf = (key: Uint8Array): string => latin1.decode(key)

export const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!
  }
  return a.length - b.length
}
