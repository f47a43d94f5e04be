/** LZ4 and Snappy once more, as slow and plain as their descriptions: the oracle of the codecs. */

class Corrupt extends Error {}

/** Bytes of a bare LZ4 block (lz4_Block_format.md). `strict` demands what only compressors have to keep. */
export const lz4Oracle = (block: Uint8Array, strict = false): Array<number> => {
  const out: Array<number> = []
  let at = 0
  const next = (): number => {
    const byte = block[at++]
    if (byte === undefined) throw new Corrupt("truncated")
    return byte
  }
  const extended = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) {
      for (let byte = 255; byte === 255;) {
        byte = next()
        length += byte
      }
    }
    return length
  }
  let lastMatch = -Infinity
  for (;;) {
    const token = next()
    const literals = extended(token >> 4)
    for (let i = 0; i < literals; i++) out.push(next())
    if (at === block.length) {
      if (strict && lastMatch >= 0) {
        if (literals < 5) throw new Corrupt("the last five bytes are not literals")
        if (out.length - lastMatch < 12) throw new Corrupt("the last match begins too late")
      }
      return out
    }
    const distance = next() + 256 * next()
    const length = extended(token & 15) + 4
    if (distance === 0 || distance > out.length) throw new Corrupt("distance")
    lastMatch = out.length
    for (let i = 0; i < length; i++) out.push(out[out.length - distance]!)
  }
}

/** Bytes of Snappy's raw format (format_description.txt). */
export const snappyOracle = (body: Uint8Array): Array<number> => {
  let at = 0
  const number = (bytes: number): number => {
    let value = 0
    for (let i = 0; i < bytes; i++) value += next() * 256 ** i
    return value
  }
  const next = (): number => {
    const byte = body[at++]
    if (byte === undefined) throw new Corrupt("truncated")
    return byte
  }
  let size = 0
  for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
    byte = next()
    size += (byte % 128) * 2 ** shift
  }
  const out: Array<number> = []
  while (at < body.length) {
    const tag = next()
    if (tag % 4 === 0) {
      const n = tag >> 2
      const length = 1 + (n < 60 ? n : number(n - 59))
      for (let i = 0; i < length; i++) out.push(next())
    } else {
      const length = tag % 4 === 1 ? 4 + ((tag >> 2) % 8) : 1 + (tag >> 2)
      const distance = tag % 4 === 1 ? (tag >> 5) * 256 + next() : number(tag % 4 === 2 ? 2 : 4)
      if (distance === 0 || distance > out.length) throw new Corrupt("distance")
      for (let i = 0; i < length; i++) out.push(out[out.length - distance]!)
    }
  }
  if (out.length !== size) throw new Corrupt("size")
  return out
}
