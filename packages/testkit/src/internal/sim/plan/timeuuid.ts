/** Version 1 UUIDs: a time, and eight bytes that tell those of one time apart. */

/** 1582-10-15 in 100 ns before 1970. */
export const GREGORIAN = 0x01b21dd213814000n

/** A UUID of so many units of 100 ns since 1582. */
export const timeuuidOf = (ticks: bigint, low: ReadonlyArray<number>): Uint8Array => {
  const out = new Uint8Array(16)
  const view = new DataView(out.buffer)
  view.setUint32(0, Number(ticks & 0xffffffffn))
  view.setUint16(4, Number((ticks >> 32n) & 0xffffn))
  view.setUint16(6, Number((ticks >> 48n) & 0xfffn) | 0x1000)
  out.set(low, 8)
  return out
}
