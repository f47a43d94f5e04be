import { type FastBuffer } from "./fastBuffer.ts"
import { canGenerate } from "./generate.ts"

/**
 * Up to this many bytes, one `String.fromCharCode` of all of them takes half the time of a call into V8's UTF-8 reader
 * (measured: 34 against 62 ns for 20 bytes); past 30 the two meet.
 */
const MAX_UNROLLED = 24

type Unrolled = (bytes: FastBuffer, pos: number) => string | undefined

/** By length: answers `undefined` when a byte is not ASCII. */
const unrolled: ReadonlyArray<Unrolled> = canGenerate
  ? Array.from({ length: MAX_UNROLLED + 1 }, (_, length) => {
    if (length === 0) return () => ""
    const bytes = Array.from({ length }, (_, i) => `b[p+${i}]`)
    const body = `if((${bytes.join("|")})<128)return String.fromCharCode(${bytes.join(",")})`
    return new Function("b", "p", body) as Unrolled
  })
  : []

/** UTF-8 text of `length` bytes at `pos`; invalid sequences become U+FFFD. */
export const decodeText = (bytes: FastBuffer, pos: number, length: number): string => {
  if (length < unrolled.length) {
    const text = unrolled[length]!(bytes, pos)
    if (text !== undefined) return text
  }
  return bytes.utf8Slice(pos, pos + length)
}

/** Up to this many characters a loop over `charCodeAt` beats the call into V8's UTF-8 writer (measured). */
const LOOP_CHARS = 12

/** Writes UTF-8 at `pos`, where the caller has made room for three bytes a character; answers how many it took. */
export const writeUtf8 = (bytes: FastBuffer, pos: number, value: string): number => {
  const length = value.length
  if (length <= LOOP_CHARS) {
    let i = 0
    for (; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) break
      bytes[pos + i] = code
    }
    if (i === length) return length
  }
  return bytes.utf8Write(value, pos)
}
