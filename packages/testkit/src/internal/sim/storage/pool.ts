/** Bytes that are kept for long: each array of its own would cost several times what is in it. */

const CHUNK = 65_536

/** Longer ones are worth an array of their own. */
const MOST = 256

let chunk = new Uint8Array(CHUNK)
let used = 0

/** The same bytes, in a chunk with others. They must not be written to. */
export const kept = (bytes: Uint8Array): Uint8Array => {
  const { length } = bytes
  // One that is in such a chunk already is left there.
  if (length > MOST || bytes.buffer === chunk.buffer) return bytes
  if (used + length > CHUNK) {
    chunk = new Uint8Array(CHUNK)
    used = 0
  }
  chunk.set(bytes, used)
  used += length
  return chunk.subarray(used - length, used)
}
