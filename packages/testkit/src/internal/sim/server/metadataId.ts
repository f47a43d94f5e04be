/**
 * The ids of result metadata: ScyllaDB's are the first half of a SHA-256 (`cql3/result_set.cc`), Cassandra's an MD5
 * (`ResultSet.ResultMetadata`), both over names and types of the columns.
 */
import { className } from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([length, bytes])
}

export const scyllaId = (columns: ReadonlyArray<Column>): Uint8Array => {
  const hash = createHash("sha256")
  for (const { name, type } of columns) hash.update(text(name)).update(text(className(type)))
  return Uint8Array.from(hash.digest().subarray(0, 16))
}

export const cassandraId = (columns: ReadonlyArray<Column>): Uint8Array => {
  const hash = createHash("md5")
  for (const { name, type } of columns) hash.update(`${name}\0${className(type)}\0\0`)
  return Uint8Array.from(hash.digest())
}
