/** What stands behind WITH of a table. */
import { config, syntax, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { cdcOptionsOf } from "./cdcOptions.ts"
import { booleanOf } from "./properties.ts"
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

const checkTtl = (ttl: number, product: Environment["product"]): void => {
  if (product === "scylla") {
    if (ttl < 0) throw config("default_time_to_live cannot be smaller than 0, (default 0)")
    return
  }
  if (ttl < 0) throw config(`default_time_to_live must be greater than or equal to 0 (got ${ttl})`)
  if (ttl > 630_720_000) throw config(`default_time_to_live must be less than or equal to 630720000 (got ${ttl})`)
}

/** What Cassandra has beside the options of both; `undefined` for another option. */
const checkOwn = (key: string, value: Ast.Property): true | undefined => {
  switch (key) {
    case "extensions":
      if (typeof value === "string") throw syntax(`Invalid value for property '${key}'. It should be a map.`)
      return true
    case "allow_auto_snapshot":
    case "incremental_backups":
    case "additional_write_policy":
    case "read_repair":
    case "memtable":
      if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'. It should be a string`)
      if (key === "allow_auto_snapshot" || key === "incremental_backups") booleanOf(key, value)
      else if (key === "read_repair" && !/^(?:blocking|none)$/i.test(value)) {
        throw config(`Invalid value ${value} for option '${key}'`)
      } else if (key === "memtable" && value !== "default") {
        throw config(`Memtable configuration "${value}" not found.`)
      }
      return true
    default:
      return undefined
  }
}

const checkCdcOption = (value: Ast.Property, product: Environment["product"]): void => {
  if (product === "scylla") cdcOptionsOf(value)
  else if (typeof value !== "string") throw syntax("Invalid value for property 'cdc'. It should be a string")
  else booleanOf("cdc", value)
}

export const checkTableOptions = (
  options: ReadonlyMap<string, Ast.Property>,
  { product }: Environment
): void => {
  for (const [key, value] of options) {
    if (product === "cassandra" && checkOwn(key, value)) continue
    if (NUMBERS.has(key)) {
      if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'. It should be a string.`)
      if (!/^-?\d+(?:\.\d+)?$/.test(value)) {
        throw syntax(`Invalid ${DOUBLES.has(key) ? "double" : "integer"} value ${value} for '${key}'`)
      }
      if (key === "default_time_to_live") checkTtl(Number(value), product)
    } else if (TEXTS.has(key)) {
      if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'`)
    } else if (MAPS.has(key)) {
      if (typeof value === "string") throw syntax(`Invalid value for property '${key}'. It should be a map.`)
    } else if (key === "per_partition_rate_limit") RateLimit.check(value)
    else if (key === "cdc") checkCdcOption(value, product)
    else if (["id", "in_memory", "synchronous_updates"].includes(key)) {
      throw unsupported(`the table option ${key}`)
    } else throw syntax(`Unknown property '${key}'`)
  }
}
