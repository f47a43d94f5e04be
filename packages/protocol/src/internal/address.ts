import { DecodeError } from "../ProtocolError.ts"

/** Whether 16 bytes are an IPv4 address behind `::ffff:`. */
const isMapped = (bytes: Uint8Array, pos: number): boolean => {
  for (let i = 0; i < 10; i++) if (bytes[pos + i] !== 0) return false
  return bytes[pos + 10] === 0xff && bytes[pos + 11] === 0xff
}

/**
 * The text of 4 or 16 address bytes; IPv6 in the canonical form of RFC 5952.
 *
 * @category decoding
 * @since 0.1.0
 */
export const formatAddress = (bytes: Uint8Array, pos: number, size: number): string => {
  if (size > bytes.length - pos) throw new DecodeError({ message: "an address is cut off" })
  if (size === 4) return `${bytes[pos]}.${bytes[pos + 1]}.${bytes[pos + 2]}.${bytes[pos + 3]}`
  if (size !== 16) throw new DecodeError({ message: `an address takes 4 or 16 bytes, got ${size}` })
  // An IPv4-mapped address shows the IPv4 address (RFC 5952 section 5).
  if (isMapped(bytes, pos)) return `::ffff:${formatAddress(bytes, pos + 12, 4)}`
  const groups: Array<number> = []
  for (let i = 0; i < 16; i += 2) groups.push((bytes[pos + i]! << 8) | bytes[pos + i + 1]!)
  // The longest run of zero groups (two or more, the first of equals) becomes "::".
  let best = -1
  let bestLength = 1
  for (let i = 0; i < 8; i++) {
    let length = 0
    while (i + length < 8 && groups[i + length] === 0) length++
    if (length > bestLength) {
      best = i
      bestLength = length
    }
    i += length
  }
  const hex = (from: number, to: number): string => groups.slice(from, to).map((group) => group.toString(16)).join(":")
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`
}

/**
 * The bytes of an IPv4 or IPv6 address, or `undefined` for a text that is neither.
 *
 * @category encoding
 * @since 0.1.0
 */
export const parseAddress = (text: string): Uint8Array | undefined => {
  if (!text.includes(":")) return parseDotted(text)
  // The last group may be an IPv4 address: it takes the place of two.
  const last = text.lastIndexOf(":") + 1
  let source = text
  if (text.includes(".", last)) {
    const dotted = parseDotted(text.slice(last))
    if (dotted === undefined) return undefined
    const [a, b, c, d] = dotted as unknown as readonly [number, number, number, number]
    source = `${text.slice(0, last)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const halves = source.split("::")
  const [front = [], back = []] = halves.map((half) => half === "" ? [] : half.split(":"))
  const missing = 8 - front.length - back.length
  if (halves.length > 2 || (halves.length === 2 ? missing < 1 : missing !== 0)) return undefined
  const groups = [...front, ...Array<string>(missing).fill("0"), ...back]
  const out = new Uint8Array(16)
  for (let i = 0; i < 8; i++) {
    if (!/^[\da-f]{1,4}$/i.test(groups[i]!)) return undefined
    const group = Number.parseInt(groups[i]!, 16)
    out[2 * i] = group >>> 8
    out[2 * i + 1] = group & 0xff
  }
  return out
}

/** Four numbers from 0 to 255, none with zeros in front: some would read those as octal. */
const parseDotted = (text: string): Uint8Array | undefined => {
  const parts = text.split(".")
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)
    ? Uint8Array.from(parts, Number)
    : undefined
}
