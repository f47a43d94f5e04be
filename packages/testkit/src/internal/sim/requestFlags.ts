/** The flags of query parameters, which the codec reads leniently and ScyllaDB does not. */
import * as Frame from "@effect-scylla/protocol/Frame"
import type { Reader } from "@effect-scylla/protocol/Reader"
import { internal, protocol, unsupported } from "./failure.ts"

const KNOWN = 0x7f
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

/** Throws for bits that mean nothing in v4. A body that is cut off is left for the codec to complain about. */
export const checkFlags = (opcode: number, flags: number, r: Reader): void => {
  let parameters: number
  let isBatch = false
  try {
    if ((flags & Frame.Flags.CUSTOM_PAYLOAD) !== 0) r.bytesMap()
    if (opcode === Frame.Opcode.QUERY) skipLong(r)
    else if (opcode === Frame.Opcode.EXECUTE) skipShort(r)
    else if (opcode === Frame.Opcode.BATCH) {
      isBatch = true
      r.take(1)
      for (let left = r.u16(); left > 0; left--) {
        if (r.u8() === 0) skipLong(r)
        else skipShort(r)
        for (let values = r.u16(); values > 0; values--) skipBytes(r)
      }
    } else return
    r.take(2)
    parameters = r.u8()
  } catch {
    return
  }
  if ((parameters & ~KNOWN) !== 0) throw internal("Bit mask contains invalid enumeration indices.")
  if (isBatch && (parameters & NAMES) !== 0) throw unsupported("names of values in a BATCH")
  // Values, pages and metadata belong to the statements of a batch, not to the batch.
  if (isBatch && (parameters & 0x0f) !== 0) throw protocol(`invalid flags of a batch: ${parameters}`)
}
