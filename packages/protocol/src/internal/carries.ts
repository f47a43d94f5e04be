import type { Buffer } from "node:buffer"
import { allocate } from "./fastBuffer.ts"

/**
 * Large buffers that nobody uses at the moment, the largest last. A frame that is larger than a read is collected in one, and more of its
 * kind are to come: a new buffer for each is memory outside of the heap, for which the engine soon looks through all of the heap.
 */
const free: Array<Buffer> = []

/** Bytes: what is smaller a parser keeps for itself. */
export const LEAST = 65_536
/** Bytes: larger ones are let go of. */
const MOST = 2 ** 20
/** So many are kept, for all connections. */
const COUNT = 4

/** A buffer for `needed` bytes, the first of the `frame` that are promised. What is in it is undefined. */
export const take = (needed: number, frame: number): Buffer =>
  needed > LEAST && free.length > 0 && free.at(-1)!.length >= needed
    ? free.pop()!
    : allocate(Math.max(1024, Math.min(needed * 2, frame)))

/** Nobody reads any more what is in it. */
export const give = (buffer: Buffer): void => {
  if (buffer.length <= LEAST || buffer.length > MOST) return
  free.push(buffer)
  free.sort((a, b) => a.length - b.length)
  if (free.length > COUNT) free.shift()
}
