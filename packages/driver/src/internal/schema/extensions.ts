/** ScyllaDB's options of tables that are stored as bytes: `system_schema.tables.extensions`. */
import type { OptionValue } from "./model.ts"

const UTF8 = new TextDecoder("utf-8", { fatal: true })

/** Texts by texts: their number, then each with its length in front, all of them 32 bits, the lowest byte first. */
const mapOf = (bytes: Uint8Array): Readonly<Record<string, string>> | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const length = (): number => {
    const found = view.getUint32(at, true)
    at += 4
    return found
  }
  const text = (): string => {
    const size = length()
    if (size > bytes.length - at) throw new RangeError("longer than there is")
    at += size
    return UTF8.decode(bytes.subarray(at - size, at))
  }
  try {
    const entries: Array<[string, string]> = []
    for (let left = length(); left > 0; left--) entries.push([text(), text()])
    return at === bytes.length ? Object.fromEntries(entries) : undefined
  } catch {
    return undefined
  }
}

const TAGS = "scylla_tags"
const SYNCHRONOUS = "system:synchronous_view_updates"

/** What of it can be said of a table in CQL. What is not understood is left out. */
export const optionsOf = (extensions: ReadonlyMap<string, Uint8Array>): ReadonlyArray<[string, OptionValue]> =>
  [...extensions].flatMap(([name, bytes]): ReadonlyArray<[string, OptionValue]> => {
    if (name === "paxos_grace_seconds") {
      return bytes.length === 4 ? [[name, new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true)]] : []
    }
    const found = mapOf(bytes)
    if (found === undefined) return []
    // Tags are no option, but one of them is.
    if (name !== TAGS) return [[name, found]]
    const isSynchronous = found[SYNCHRONOUS]
    return isSynchronous === undefined ? [] : [["synchronous_updates", isSynchronous === "true"]]
  })
