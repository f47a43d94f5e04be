/**
 * Which partitioner a cluster or a table has, and what it makes of a key.
 *
 * A cluster has one (`system.local.partitioner`); in ScyllaDB a table may have another one
 * (`system_schema.scylla_tables.partitioner`), as CDC logs have. Both are names of classes.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as CdcPartitioner from "./CdcPartitioner.ts"
import * as Murmur3 from "./Murmur3.ts"
import * as RandomPartitioner from "./RandomPartitioner.ts"
import { toBigInt, TokenWords } from "./Token.ts"

/**
 * A partitioner.
 *
 * **Details**
 *
 * - `murmur3`: the default of both servers.
 * - `cdc`: CDC logs of ScyllaDB.
 * - `random`, `byteOrdered`: old clusters of Cassandra. Their tokens are no int64.
 * - `unknown`: any other. Keys of such tables have no token here, and their requests go to any node.
 *
 * `emptyKey` is the rule for a key of no bytes: ScyllaDB hashes it like any other (Murmur3: token 0), Cassandra gives it
 * the minimum token whatever the partitioner.
 *
 * @category models
 * @since 0.1.0
 */
export interface Partitioner {
  /** How tokens are made of keys. */
  readonly kind: "murmur3" | "cdc" | "random" | "byteOrdered" | "unknown"
  /** What the key of no bytes gets. */
  readonly emptyKey: "hash" | "minimum"
}

/**
 * The partitioner of a class name, with or without its package, for either server.
 *
 * **Details**
 *
 * The packages are `org.apache.cassandra.dht` and `com.scylladb.dht`; a class of another package is `unknown`, whatever
 * its name. A null or empty name is what a table of ScyllaDB has that goes by the cluster's partitioner, for which
 * callers pass the cluster's name.
 *
 * @category parsing
 * @since 0.1.0
 */
export const resolve = (className: string, server: "scylla" | "cassandra"): Partitioner => {
  const hashed = server === "scylla" ? "hash" : "minimum"
  switch (className.replace(/^(?:org\.apache\.cassandra|com\.scylladb)\.dht\./, "")) {
    case "Murmur3Partitioner":
      return { kind: "murmur3", emptyKey: hashed }
    case "CDCPartitioner":
      // Hashed or not: a key without eight bytes has the minimum token.
      return { kind: "cdc", emptyKey: "minimum" }
    case "RandomPartitioner":
      return { kind: "random", emptyKey: "minimum" }
    case "ByteOrderedPartitioner":
      return { kind: "byteOrdered", emptyKey: "minimum" }
    default:
      return { kind: "unknown", emptyKey: hashed }
  }
}

/**
 * Writes the token of the key of `length` bytes at `offset` of `bytes` to `out`, by the partitioner's rules.
 *
 * Answers `false`, and writes nothing, for partitioners whose tokens are no int64. Allocates nothing, under the
 * conditions of `Murmur3.hashInto`.
 *
 * @category hashing
 * @since 0.1.0
 */
export const hashInto = (
  partitioner: Partitioner,
  bytes: Uint8Array,
  offset: number,
  length: number,
  out: TokenWords
): boolean => {
  if (partitioner.kind === "murmur3") {
    if (length > 0 || partitioner.emptyKey === "hash") Murmur3.hashInto(bytes, offset, length, out)
    else {
      out.hi = -0x80000000
      out.lo = 0
    }
    return true
  }
  if (partitioner.kind !== "cdc") return false
  CdcPartitioner.hashInto(bytes, offset, length, out)
  return true
}

const scratch = new TokenWords()

/**
 * Token of a whole partition key in the form of its partitioner: a `bigint`, bytes with ByteOrderedPartitioner, and
 * `undefined` with an unknown one.
 *
 * @category hashing
 * @since 0.1.0
 */
export const token = (partitioner: Partitioner, key: Uint8Array): bigint | Uint8Array | undefined => {
  if (hashInto(partitioner, key, 0, key.length, scratch)) return toBigInt(scratch.hi, scratch.lo)
  switch (partitioner.kind) {
    case "random":
      return RandomPartitioner.token(key)
    case "byteOrdered":
      return key
    default:
      return undefined
  }
}
