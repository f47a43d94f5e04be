/**
 * The checksums of v5 segments (native_protocol_v5.spec section 2.2): CRC24 of a header, CRC32 of a payload.
 *
 * @since 0.1.0
 */
import { nativeCrc32 } from "./internal/platform.ts"

/** Initial value of the CRC24 (native_protocol_v5.spec 2.2.1; Koopman's table of best CRCs). */
const CRC24_INIT = 0x875060

/** Polynomial of the CRC24, with its leading one at bit 24. */
const CRC24_POLYNOMIAL = 0x1974f0b

const crc24Table = new Int32Array(256)
for (let i = 0; i < 256; i++) {
  let crc = i << 16
  for (let bit = 0; bit < 8; bit++) {
    crc <<= 1
    if ((crc & 0x1000000) !== 0) crc ^= CRC24_POLYNOMIAL
  }
  crc24Table[i] = crc
}

/**
 * CRC24 of `length` bytes at `offset`, in the order in which they are sent.
 *
 * @category checksums
 * @since 0.1.0
 */
export const crc24 = (bytes: Uint8Array, offset: number, length: number): number => {
  let crc = CRC24_INIT
  for (const end = offset + length; offset < end; offset++) {
    crc = ((crc << 8) & 0xffffff) ^ crc24Table[(crc >>> 16) ^ bytes[offset]!]!
  }
  return crc
}

/** Polynomial of CRC-32/ISO-HDLC, bits reversed. */
const CRC32_POLYNOMIAL = 0xedb88320

/** Eight tables of 256: the n-th is of a byte that has n zero bytes behind it ("slicing by 8"). */
const crc32Tables = new Int32Array(8 * 256)
for (let i = 0; i < 256; i++) {
  let crc = i
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : CRC32_POLYNOMIAL)
  crc32Tables[i] = crc
}
for (let i = 256; i < crc32Tables.length; i++) {
  const crc = crc32Tables[i - 256]!
  crc32Tables[i] = (crc >>> 8) ^ crc32Tables[crc & 0xff]!
}

/** Continues the register of a CRC32 (not inverted) over bytes. */
const slicing = (crc: number, bytes: Uint8Array, offset: number, length: number): number => {
  const t = crc32Tables
  const end = offset + length
  for (const whole = offset + (length & ~7); offset < whole; offset += 8) {
    crc ^= bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)
    crc = t[0x700 + (crc & 0xff)]! ^ t[0x600 + ((crc >>> 8) & 0xff)]! ^ t[0x500 + ((crc >>> 16) & 0xff)]! ^
      t[0x400 + (crc >>> 24)]! ^ t[0x300 + bytes[offset + 4]!]! ^ t[0x200 + bytes[offset + 5]!]! ^
      t[0x100 + bytes[offset + 6]!]! ^ t[bytes[offset + 7]!]!
  }
  for (; offset < end; offset++) crc = (crc >>> 8) ^ t[(crc ^ bytes[offset]!) & 0xff]!
  return crc
}

/** The register after the bytes that every payload is thought to be preceded by (native_protocol_v5.spec 2.2.1). */
const seeded = slicing(-1, Uint8Array.of(0xfa, 0x2d, 0x55, 0xca), 0, 4)

/** CRC32 of no bytes: what zlib continues from. */
const seed = ~seeded >>> 0

/** From here on zlib, which is a call out of JavaScript, beats the tables (measured: 128 bytes 84 ns against 109). */
const zlibFrom = 200

/**
 * CRC32 of `fa2d55ca` and `length` bytes at `offset`, an unsigned number.
 *
 * @category checksums
 * @since 0.1.0
 */
export const crc32 = (bytes: Uint8Array, offset: number, length: number): number =>
  length < zlibFrom || nativeCrc32 === undefined
    ? ~slicing(seeded, bytes, offset, length) >>> 0
    : nativeCrc32(bytes.subarray(offset, offset + length), seed)
