/** What the codec reads leniently and ScyllaDB does not: flags of query parameters, texts that are not UTF-8. */
import type { Dialect } from "@effect-scylla/protocol/Dialect"
import * as Frame from "@effect-scylla/protocol/Frame"
import type { Reader } from "@effect-scylla/protocol/Reader"
import { ProtocolError } from "@effect-scylla/protocol/ServerError"
import { isUtf8 } from "node:buffer"
import { internal, protocol, unsupported } from "../failure.ts"

/** Of parameters, in v3 and v4: one byte. v5 has four, with a keyspace and a time beside them. */
const KNOWN = 0x7f
const KNOWN_V5 = 0x1ff
const NAMES = 0x40

const skipBytes = (r: Reader): void => {
  const length = r.i32()
  if (length > 0) r.take(length)
}

const skipShort = (r: Reader): void => {
  r.take(r.u16())
}

const skipLong = (r: Reader): void => {
  const length = r.i32()
  if (length > 0) r.take(length)
}

const checkText = (bytes: Uint8Array): void => {
  if (!isUtf8(bytes)) {
    throw protocol(`Cannot decode string as UTF8, invalid character at byte offset ${invalidAt(bytes)}`)
  }
}

/** Offset of the first byte that is not UTF-8. */
const invalidAt = (bytes: Uint8Array): number => {
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at]!
    const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    if (!isUtf8(bytes.subarray(at, at + size))) return at
    at += size
  }
  return bytes.length
}

/** Throws for bits that mean nothing, and for texts that are none. A body that is cut off is the codec's to refuse. */
export const checkRequest = (opcode: number, flags: number, r: Reader, dialect: Dialect): void => {
  let parameters: number
  let isBatch = false
  let text: Uint8Array
  try {
    if ((flags & Frame.Flags.CUSTOM_PAYLOAD) !== 0) r.bytesMap()
    if (opcode === Frame.Opcode.QUERY || opcode === Frame.Opcode.PREPARE) {
      const length = r.i32()
      const start = r.take(Math.max(0, length))
      text = r.bytes.subarray(start, start + Math.max(0, length))
      if (opcode === Frame.Opcode.PREPARE || !isUtf8(text)) return checkText(text)
    } else if (opcode === Frame.Opcode.EXECUTE) {
      skipShort(r)
      if (dialect.metadataIds) skipShort(r)
    } else if (opcode === Frame.Opcode.BATCH) {
      isBatch = true
      r.take(1)
      for (let left = r.u16(); left > 0; left--) {
        if (r.u8() === 0) skipLong(r)
        else skipShort(r)
        for (let values = r.u16(); values > 0; values--) skipBytes(r)
      }
    } else return
    r.take(2)
    parameters = dialect.version >= 5 ? r.i32() : r.u8()
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown
    return
  }
  if ((parameters & ~(dialect.version >= 5 ? KNOWN_V5 : KNOWN)) !== 0) {
    throw internal("Bit mask contains invalid enumeration indices.")
  }
  if (isBatch && (parameters & NAMES) !== 0) throw unsupported("names of values in a BATCH")
  // Values, pages and metadata belong to the statements of a batch, not to the batch.
  if (isBatch && (parameters & 0x0f) !== 0) throw protocol(`invalid flags of a batch: ${parameters}`)
}
