/** The paging state of answers that are counted through: how many rows were given. */
import { protocol } from "../failure.ts"
import { int32, readInt32 } from "../storage/values.ts"

export const write = (rows: number): Uint8Array => int32(rows)

export const read = (bytes: Uint8Array): number => {
  const rows = bytes.length === 4 ? readInt32(bytes) : -1
  if (rows < 0) throw protocol("Invalid value for the paging state")
  return rows
}
