/** Changes to bytes that are likely to reach what parses them: flips, cuts, insertions, extreme numbers, moved pieces. */
import type { Random } from "../../packages/protocol/test/support/random.ts"

const extremes = [0, 1, -1, -2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 2 ** 31 - 1, -(2 ** 31), 0x10000000]

export const mutate = (source: Uint8Array, random: Random): Uint8Array => {
  let bytes: Uint8Array = source.slice()
  for (let times = 1 + random.below(4); times > 0; times--) {
    const at = random.below(bytes.length + 1)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    switch (random.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random.below(8)
        break
      case 1:
        bytes = bytes.slice(0, at)
        break
      case 2:
        bytes = Uint8Array.from(
          Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)])
        )
        break
      case 3:
        bytes = Uint8Array.from(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(8))]))
        break
      case 4:
        if (at + 4 <= bytes.length) view.setInt32(at, random.pick(extremes))
        break
      case 5:
        if (at + 2 <= bytes.length) view.setUint16(at, random.pick(extremes) & 0xffff)
        break
      case 6: {
        // A part of the same message somewhere else: types where names were, and the like.
        const length = random.below(40)
        const from = random.below(bytes.length + 1)
        bytes.set(bytes.slice(from, from + Math.min(length, bytes.length - Math.max(at, from))), at)
        break
      }
    }
  }
  return bytes
}
