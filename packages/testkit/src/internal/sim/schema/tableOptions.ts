/** What stands behind WITH of a table. */
import { config, syntax, unsupported } from "../failure.ts"
import type { Property } from "../parse/ast.ts"
import { cdcOptionsOf } from "./cdcOptions.ts"
import { cassandraOptions } from "./optionsCassandra.ts"
import * as RateLimit from "./rateLimit.ts"
import type { Environment } from "./schemaChange.ts"

/** Options of tables with their defaults as `system_schema.tables` shows them. What ScyllaDB has beside them is refused. */
const NUMBERS = new Set([
  "bloom_filter_fp_chance",
  "crc_check_chance",
  "dclocal_read_repair_chance",
  "default_time_to_live",
  "gc_grace_seconds",
  "max_index_interval",
  "memtable_flush_period_in_ms",
  "min_index_interval",
  "read_repair_chance",
  "paxos_grace_seconds"
])
const DOUBLES = new Set([
  "bloom_filter_fp_chance",
  "crc_check_chance",
  "dclocal_read_repair_chance",
  "read_repair_chance"
])
const TEXTS = new Set(["comment", "speculative_retry"])
const MAPS = new Set(["caching", "compaction", "compression", "tombstone_gc"])

const STRATEGIES = new Set([
  "IncrementalCompactionStrategy",
  "LeveledCompactionStrategy",
  "NullCompactionStrategy",
  "SizeTieredCompactionStrategy",
  "TimeWindowCompactionStrategy"
])

const COMPRESSORS = new Set(["DeflateCompressor", "LZ4Compressor", "SnappyCompressor", "ZstdCompressor"])

/** What ScyllaDB looks at in maps. */
const checkMap = (key: string, value: ReadonlyMap<string, string>): void => {
  if (key === "compaction" && value.size > 0) {
    const type = value.get("class")
    if (type === undefined) throw config("Missing sub-option 'class' for the 'compaction' option.")
    if (!STRATEGIES.has(type.slice(type.lastIndexOf(".") + 1))) {
      throw config(`Unable to find compaction strategy class '${type}'`)
    }
  }
  if (key === "compression" && value.size > 0) {
    const type = value.get("sstable_compression")
    if (type === undefined) throw config("Missing sub-option 'sstable_compression' for the 'compression' option.")
    const isKnown = type === "" || COMPRESSORS.has(type.slice(type.lastIndexOf(".") + 1))
    if (!isKnown || !/^\d+$/.test(value.get("chunk_length_in_kb") ?? "4")) {
      throw unsupported("what ScyllaDB says of this compression")
    }
  }
  if (key === "caching") {
    for (const [name, text] of value) {
      if (name === "enabled") continue
      if (name !== "keys" && name !== "rows_per_partition") throw config(`Invalid caching option: ${name}`)
      const isWord = text === "ALL" || text === "NONE"
      if (!isWord && (name === "keys" || !/^\d+$/.test(text))) throw config(`Invalid key value: ${text}`)
    }
  }
}

const checkNumbers = (options: ReadonlyMap<string, Property>): void => {
  const number = (name: string): number | undefined => {
    const value = options.get(name)
    return value === undefined ? undefined : Number(value)
  }
  for (const name of ["default_time_to_live", "paxos_grace_seconds"]) {
    const preset = name === "default_time_to_live" ? 0 : 864_000
    if ((number(name) ?? 0) < 0) throw config(`${name} cannot be smaller than 0, (default ${preset})`)
  }
  const least = number("min_index_interval") ?? 128
  if (least < 1) throw config("min_index_interval must be greater than 0")
  if ((number("max_index_interval") ?? 2048) < least) {
    throw config("max_index_interval must be greater than min_index_interval")
  }
  const bloom = number("bloom_filter_fp_chance")
  if (bloom !== undefined && (bloom <= 6.71e-5 || bloom > 1)) {
    throw config(
      `bloom_filter_fp_chance must be larger than 6.71e-05 and less than or equal to 1.0 (got ${bloom})`
    )
  }
  const flush = number("memtable_flush_period_in_ms") ?? 0
  if (flush !== 0 && flush < 60_000) throw config("memtable_flush_period_in_ms must be 0 or greater than 60000")
}

/** Options of ScyllaDB; throws for what it does not take. */
const checkScylla = (options: ReadonlyMap<string, Property>): void => {
  for (const [key, value] of options) {
    if (NUMBERS.has(key)) {
      if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'. It should be a string.`)
      if (!/^-?\d+(?:\.\d+)?$/.test(value) || (!DOUBLES.has(key) && value.includes("."))) {
        throw syntax(`Invalid ${DOUBLES.has(key) ? "double" : "integer"} value ${value} for '${key}'`)
      }
    } else if (TEXTS.has(key)) {
      if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'`)
      if (key === "speculative_retry" && !/^(?:none|always|[\d.]+(?:ms|percentile))$/i.test(value)) {
        throw unsupported("what ScyllaDB says of this speculative_retry")
      }
    } else if (MAPS.has(key)) {
      if (typeof value === "string") throw syntax(`Invalid value for property '${key}'. It should be a map.`)
      checkMap(key, value)
    } else if (key === "per_partition_rate_limit") RateLimit.check(value)
    else if (key === "cdc") cdcOptionsOf(value)
    else if (["id", "in_memory", "synchronous_updates"].includes(key)) {
      throw unsupported(`the table option ${key}`)
    } else throw syntax(`Unknown property '${key}'`)
  }
  checkNumbers(options)
}

/** Options in the form in which a table keeps them, beside those that it has; throws for what the product does not take. */
export const tableOptions = (
  options: ReadonlyMap<string, Property>,
  { product }: Environment,
  before?: ReadonlyMap<string, Property>
): ReadonlyMap<string, Property> => {
  if (product === "cassandra") return cassandraOptions(options, before)
  checkScylla(options)
  return options
}
