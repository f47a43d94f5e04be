/** A transport on which a node has another schema than all others, as it and they say. */
import type { Transport } from "@effect-scylla/pool"
import { Buffer } from "node:buffer"
import { changing } from "./changing.ts"

const cell = (address: string) => Buffer.from([0, 0, 0, 4, ...address.split(".").map(Number)])

export const disagreeing = (inner: Transport.Transport, peer: string): Transport.Transport => {
  const heard = Buffer.concat([cell(peer), cell(peer), Buffer.from([0, 0, 0, 16])])
  return changing(inner, (all, address) => {
    // Several frames may come together.
    for (let start = 0; start + 9 <= all.length;) {
      const end = start + 9 + all.readUInt32BE(start + 5)
      const bytes = all.subarray(start, end)
      start = end
      if (!bytes.includes("schema_version") || bytes.includes("data_center")) continue
      const at = bytes.indexOf(heard)
      if (at >= 0) bytes[at + 20]! ^= 0xff
      else if (address === peer && !bytes.includes("peer")) bytes[bytes.length - 16]! ^= 0xff
    }
  })
}
