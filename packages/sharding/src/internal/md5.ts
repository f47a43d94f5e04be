/** MD5 (RFC 1321), because `node:crypto` has none in FIPS mode and other platforms have none at all. Not for secrets. */

const shifts = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
const sines = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32))

export const md5 = (input: Uint8Array): Uint8Array => {
  // A 1 bit, zeros, and the length in bits as 64-bit number, up to a multiple of 64 bytes.
  const padded = new Uint8Array(((input.length + 8) & ~63) + 64)
  padded.set(input)
  padded[input.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, input.length << 3, true)
  view.setUint32(padded.length - 4, Math.floor(input.length / 2 ** 29), true)
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476)
  for (let block = 0; block < padded.length; block += 64) {
    let [a = 0, b = 0, c = 0, d = 0] = state
    for (let i = 0; i < 64; i++) {
      const round = i >>> 4
      const mixed = round === 0
        ? (b & c) | (~b & d)
        : round === 1
        ? (d & b) | (~d & c)
        : round === 2
        ? b ^ c ^ d
        : c ^ (b | ~d)
      const word = round === 0 ? i : round === 1 ? 5 * i + 1 : round === 2 ? 3 * i + 5 : 7 * i
      const sum = (a + mixed + sines[i]! + view.getInt32(block + ((word & 15) << 2), true)) | 0
      const shift = shifts[(round << 2) | (i & 3)]!
      a = d
      d = c
      c = b
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0
    }
    state[0]! += a
    state[1]! += b
    state[2]! += c
    state[3]! += d
  }
  const digest = new Uint8Array(16)
  const out = new DataView(digest.buffer)
  state.forEach((word, i) => out.setInt32(i * 4, word, true))
  return digest
}
