/** What Cassandra takes of options of tables, and in which form it keeps them. */
import { config, internal, syntax } from "../failure.ts"
import type { Property } from "../parse/ast.ts"
import { booleanOf } from "./properties.ts"

type Options = ReadonlyMap<string, Property>
type Entries = ReadonlyMap<string, string>

/** A number as Java writes doubles. */
const double = (value: number): string => {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return `${value}.0`
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7)) {
    const [digits, exponent] = value.toExponential().split("e") as [string, string]
    return `${digits.includes(".") ? digits : `${digits}.0`}E${Number(exponent)}`
  }
  return String(value)
}

/** What a sub-option of compaction has to be; `undefined` for nothing to check. */
type Check = (key: string, value: string, given: Entries) => void

const wholeNumber = (key: string, value: string, shown = value): number => {
  if (!/^[+-]?\d+$/.test(value)) throw config(`${shown} is not a parsable int (base10) for ${key}`)
  return Number(value)
}

const fraction = (key: string, value: string): number => {
  const number = Number(value)
  if (value === "" || Number.isNaN(number)) throw config(`${value} is not a parsable float for ${key}`)
  return number
}

const oneOf = (...words: ReadonlyArray<string>): Check => (key, value) => {
  if (!words.includes(value)) throw config(`${value} is not valid for ${key}`)
}

const flag = (wrong: (key: string, value: string) => string): Check => (key, value) => {
  if (!/^(?:true|false)$/i.test(value)) throw config(wrong(key, value))
}

const anything: Check = () => undefined

/** Of all strategies. */
const COMMON: Readonly<Record<string, Check>> = {
  tombstone_threshold: (key, value) => {
    if (value === "" || Number.isNaN(Number(value))) throw config(`${value} is not a parsable int (base10) for ${key}`)
    if (Number(value) < 0) throw config(`${key} must be greater than 0, but was ${Number(value).toFixed(6)}`)
  },
  tombstone_compaction_interval: (key, value) => {
    const interval = wholeNumber(key, value)
    if (interval < 0) throw config(`${key} must be greater than 0, but was ${interval}`)
  },
  unchecked_tombstone_compaction: flag((key, value) => `'${key}' should be either 'true' or 'false', not '${value}'`),
  log_all: flag((key, value) => `'${key}' should either be 'true' or 'false', not ${value}`),
  only_purge_repaired_tombstones: anything,
  enabled: flag((key, value) => `${key} should either be 'true' or 'false', not ${value}`),
  provide_overlapping_tombstones: (key, value) => {
    if (!/^(?:none|row|cell)$/i.test(value)) {
      throw config(
        `Invalid value ${value.toUpperCase()} for '${key}' compaction sub-option - must be one of the following [NONE, ROW, CELL].`
      )
    }
  }
}

const THRESHOLDS: Readonly<Record<string, Check>> = { min_threshold: anything, max_threshold: anything }

const OF_SIZES: Readonly<Record<string, Check>> = {
  min_sstable_size: (key, value) => {
    const size = wholeNumber(key, value)
    if (size < 0) throw config(`${key} must be non negative: ${size}`)
  },
  bucket_low: (key, value) => void fraction(key, value),
  bucket_high: (key, value, given) => {
    const high = fraction(key, value)
    const low = fraction("bucket_low", given.get("bucket_low") ?? "0.5")
    if (high <= low) {
      throw config(
        `bucket_high value (${double(high)}) is less than or equal to the bucket_low value (${double(low)})`
      )
    }
  }
}

const positive: Check = (key, value) => {
  const number = wholeNumber(key, value)
  if (number < 1) throw config(`${key} must be larger than 0, but was ${number}`)
}

const EXPIRED: Readonly<Record<string, Check>> = {
  expired_sstable_check_frequency_seconds: (key, value) => {
    const number = wholeNumber(key, value)
    if (number < 0) throw config(`${key} must not be negative, but was ${number}`)
  },
  unsafe_aggressive_sstable_expiration: flag((key, value) => `${key} is not 'true' or 'false' (${value})`)
}

/** Bytes by their units. */
const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40
}

const STRATEGIES: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  SizeTieredCompactionStrategy: { ...COMMON, ...OF_SIZES, ...THRESHOLDS },
  LeveledCompactionStrategy: {
    ...COMMON,
    sstable_size_in_mb: positive,
    // Cassandra shows another number than it was given.
    fanout_size: (key, value) => {
      const size = wholeNumber(key, value, "1")
      if (size < 1) throw config(`${key} must be larger than 0, but was ${size}`)
    },
    single_sstable_uplevel: anything,
    ...OF_SIZES,
    ...THRESHOLDS
  },
  TimeWindowCompactionStrategy: {
    ...COMMON,
    timestamp_resolution: oneOf("MICROSECONDS", "MILLISECONDS", "SECONDS", "NANOSECONDS", "MINUTES", "HOURS", "DAYS"),
    compaction_window_unit: oneOf("MINUTES", "HOURS", "DAYS"),
    compaction_window_size: (key, value) => {
      const size = wholeNumber(key, value)
      if (size < 1) throw config(`${size} must be greater than 1 for ${key}`)
    },
    ...EXPIRED,
    ...OF_SIZES,
    ...THRESHOLDS
  },
  UnifiedCompactionStrategy: {
    ...COMMON,
    scaling_parameters: (_, value) => {
      for (const each of value.split(",").map((part) => part.trim())) {
        if (!/^(?:N|L\d+|T\d+|[+-]?\d+)$/.test(each)) {
          throw config(`Scaling parameter ${each} must match N|L[0-9]+|T[0-9]+|[+-]?[0-9]+`)
        }
      }
    },
    target_sstable_size: (key, value) => {
      if (!value.endsWith("B")) {
        throw config(`${key} ${value} is not a valid size in bytes: ${value} does not end in unit B`)
      }
      const [, number, unit] = /^([\d.]+)\s*(\w+)$/.exec(value) ?? []
      if (Number(number) * (UNITS[unit ?? ""] ?? Number.NaN) < UNITS["MiB"]!) {
        throw config(`${key} ${value} is not acceptable, size must be at least 1.000MiB`)
      }
    },
    base_shard_count: (key, value) => {
      const count = wholeNumber(key, value)
      if (count <= 0) throw config(`Invalid configuration, ${key} should be positive: ${count}`)
    },
    sstable_growth: (key, value) => {
      const growth = fraction(key, value)
      if (growth < 0 || growth > 1) throw config(`${key} ${value} must be between 0 and 1`)
    },
    min_sstable_size: anything,
    flush_size_override: anything,
    overlap_inclusion_method: anything,
    ...EXPIRED
  }
}

const COMPACTIONS = "org.apache.cassandra.db.compaction."

const threshold = (given: Entries, key: string, preset: number): number => {
  const value = given.get(key)
  if (value === undefined) return preset
  if (!/^[+-]?\d+$/.test(value)) {
    throw config(`Invalid value ${value} for '${key}' compaction sub-option - must be an integer`)
  }
  return Number(value)
}

const checkCompaction = (given: Entries): void => {
  const type = given.get("class")
  if (type === undefined) throw config("Missing sub-option 'class' for the 'compaction' option")
  const full = type.includes(".") ? type : COMPACTIONS + type
  const strategy = full.startsWith(COMPACTIONS) ? full.slice(COMPACTIONS.length) : ""
  const checks = Object.hasOwn(STRATEGIES, strategy) ? STRATEGIES[strategy]! : undefined
  if (checks === undefined) throw config(`Unable to find compaction strategy class '${full}'`)
  COMMON["provide_overlapping_tombstones"]!(
    "provide_overlapping_tombstones",
    given.get("provide_overlapping_tombstones") ?? "none",
    given
  )
  for (const [key, check] of Object.entries(checks)) {
    const value = given.get(key)
    if (value !== undefined) check(key, value, given)
  }
  const unknown = [...given.keys()].filter((key) => key !== "class" && !Object.hasOwn(checks, key))
  if (unknown.length > 0) {
    throw config(`Properties specified [${unknown.join(", ")}] are not understood by ${strategy}`)
  }
  const least = threshold(given, "min_threshold", 4)
  const most = threshold(given, "max_threshold", 32)
  if (least < 2) throw config(`Min compaction threshold cannot be less than 2 (got ${least})`)
  if (least > most) {
    throw config(
      `Min compaction threshold (got ${least}) cannot be greater than max compaction threshold (got ${most})`
    )
  }
}

const COMPRESSORS = "org.apache.cassandra.io.compress."

/** Compressors, and what each has of its own. */
const OF_COMPRESSOR: Readonly<Record<string, ReadonlyArray<string>>> = {
  LZ4Compressor: ["lz4_compressor_type", "lz4_high_compressor_level"],
  SnappyCompressor: [],
  DeflateCompressor: [],
  NoopCompressor: [],
  ZstdCompressor: ["compression_level"]
}

const checkCompression = (given: Entries): void => {
  if (given.size === 0) return
  const enabled = given.get("enabled")
  if (enabled !== undefined && !/^true$/i.test(enabled)) {
    if (given.size > 1) throw config("If the 'enabled' option is set to false no other options must be specified")
    return
  }
  const type = given.get("class")
  if (type === undefined) throw config("Missing sub-option 'class' for the 'compression' option.")
  if (type === "") {
    throw config("The 'class' option must not be empty. To disable compression use 'enabled' : false")
  }
  const length = given.get("chunk_length_in_kb")
  if (length !== undefined) {
    if (!/^[+-]?\d+$/.test(length)) throw config("Invalid value for chunk_length_in_kb")
    if (Number(length) <= 0) throw config("Invalid negative or null chunk_length_in_kb")
    if (!Number.isInteger(Math.log2(Number(length)))) throw config("chunk_length_in_kb must be a power of 2")
  }
  const ratio = Number(given.get("min_compress_ratio") ?? "0")
  if (ratio !== 0 && ratio < 1) throw config("min_compress_ratio can either be 0 or greater than or equal to 1")
  const full = type.includes(".") ? type : COMPRESSORS + type
  const own = full.startsWith(COMPRESSORS) ? OF_COMPRESSOR[full.slice(COMPRESSORS.length)] : undefined
  if (own === undefined) throw config(`Could not create Compression for type ${full}`)
  const known = new Set(["enabled", "class", "chunk_length_in_kb", "min_compress_ratio", ...own])
  const unknown = [...given.keys()].find((key) => !known.has(key))
  if (unknown !== undefined) throw config(`Unknown compression options ${unknown}`)
  const level = given.get("compression_level")
  if (level !== undefined && !/^[+-]?\d+$/.test(level)) {
    throw config(
      `ZstdCompressor.create() threw an error: java.lang.NumberFormatException For input string: "${level}"`
    )
  }
  if (level !== undefined && (Number(level) > 22 || Number(level) < -131_072)) {
    throw config(
      `ZstdCompressor.create() threw an error: java.lang.IllegalArgumentException compression_level=${level} is invalid`
    )
  }
  const kind = given.get("lz4_compressor_type")
  if (kind !== undefined && kind !== "high" && kind !== "fast") {
    throw config(
      `Invalid compressor type '${kind}' specified for LZ4 parameter 'lz4_compressor_type'. Valid options are [high, fast].`
    )
  }
}

/** Compression as it is kept: of one that is off nothing else is. */
const compressionOf = (given: Entries): Entries => {
  checkCompression(given)
  const out = new Map(given)
  const enabled = out.get("enabled")
  if (given.size === 0 || (enabled !== undefined && !/^true$/i.test(enabled))) return new Map([["enabled", "false"]])
  out.delete("enabled")
  const ratio = out.get("min_compress_ratio")
  if (ratio !== undefined) out.set("min_compress_ratio", double(Number(ratio)))
  return out
}

const cachingOf = (given: Entries): Entries => {
  const unknown = [...given.keys()].filter((key) => key !== "keys" && key !== "rows_per_partition")
  if (unknown.length > 0) {
    throw config(
      `Invalid caching sub-options [${unknown.join(", ")}]: only 'keys' and 'rows_per_partition' are allowed`
    )
  }
  const keys = given.get("keys") ?? "NONE"
  if (!/^(?:all|none)$/i.test(keys)) {
    throw config(`Invalid value '${keys}' for caching sub-option 'keys': only 'ALL' and 'NONE' are allowed`)
  }
  const rows = given.get("rows_per_partition") ?? "NONE"
  if (!/^(?:all|none|\d+)$/i.test(rows)) {
    throw config(
      `Invalid value '${rows}' for caching sub-option 'rows_per_partition': only 'ALL', 'NONE', and integer values are allowed`
    )
  }
  return new Map([["keys", keys.toUpperCase()], ["rows_per_partition", rows.toUpperCase()]])
}

/** A policy of second requests, as it is shown. */
const retryOf = (value: string): string => {
  const wrong = config(`Invalid value ${value} for option 'speculative_retry'`)
  if (/^always$/i.test(value)) return "ALWAYS"
  if (/^(?:never|none)$/i.test(value)) return "NEVER"
  const fixed = /^(\d+(?:\.\d+)?)ms$/i.exec(value)
  if (fixed !== null) return `${Math.trunc(Number(fixed[1]))}ms`
  const percentile = /^(\d+(?:\.\d+)?)(?:p|percentile)$/i.exec(value)
  if (percentile !== null) {
    const number = Number(percentile[1])
    if (number <= 0 || number >= 100) {
      throw config(
        `Invalid value ${value} for PERCENTILE option 'speculative_retry': must be between (0.0 and 100.0)`
      )
    }
    return `${Number(number.toFixed(4))}p`
  }
  const hybrid = /^(min|max)\(([^,]+),([^,]+)\)$/i.exec(value)
  if (hybrid === null) throw wrong
  return `${hybrid[1]!.toUpperCase()}(${retryOf(hybrid[2]!.trim())},${retryOf(hybrid[3]!.trim())})`
}

const DOUBLES = new Set(["bloom_filter_fp_chance", "crc_check_chance"])
const WHOLE = new Set([
  "default_time_to_live",
  "gc_grace_seconds",
  "max_index_interval",
  "memtable_flush_period_in_ms",
  "min_index_interval"
])
const FLAGS = new Set(["allow_auto_snapshot", "cdc", "incremental_backups"])
const MAPS = new Set(["caching", "compaction", "compression", "extensions"])
const TEXTS = new Set(["additional_write_policy", "comment", "memtable", "read_repair", "speculative_retry"])

/** The smallest share of false positives that a filter can have. */
const LEAST_FALSE_POSITIVES = 6.71e-5

const checkNumbers = (numbers: ReadonlyMap<string, number>): void => {
  const bloom = numbers.get("bloom_filter_fp_chance")
  if (bloom !== undefined && (bloom <= LEAST_FALSE_POSITIVES || bloom > 1)) {
    throw config(
      `bloom_filter_fp_chance must be larger than 6.71E-5 and less than or equal to 1.0 (got ${double(bloom)})`
    )
  }
  const crc = numbers.get("crc_check_chance")
  if (crc !== undefined && (crc < 0 || crc > 1)) {
    throw config(
      `crc_check_chance must be larger than or equal to 0 and smaller than or equal to 1.0 (got ${double(crc)})`
    )
  }
  const notBelow = (name: string, least: number): void => {
    const value = numbers.get(name)
    if (value !== undefined && value < least) {
      throw config(`${name} must be greater than or equal to ${least} (got ${value})`)
    }
  }
  notBelow("default_time_to_live", 0)
  const ttl = numbers.get("default_time_to_live") ?? 0
  if (ttl > 630_720_000) throw config(`default_time_to_live must be less than or equal to 630720000 (got ${ttl})`)
  notBelow("gc_grace_seconds", 0)
  notBelow("min_index_interval", 1)
  const least = numbers.get("min_index_interval") ?? 128
  const most = numbers.get("max_index_interval") ?? 2048
  if (most < least) {
    throw config(`max_index_interval must be greater than or equal to min_index_interval (${least}) (got ${most})`)
  }
  notBelow("memtable_flush_period_in_ms", 0)
}

/** Options as Cassandra keeps them, beside those that a table has already; throws for what it does not take. */
export const cassandraOptions = (options: Options, before: Options = new Map()): Map<string, Property> => {
  for (const key of options.keys()) {
    const isKnown = [DOUBLES, WHOLE, FLAGS, MAPS, TEXTS].some((names) => names.has(key))
    if (!isKnown) throw syntax(`Unknown property '${key}'`)
  }
  const out = new Map<string, Property>()
  for (const [key, value] of options) {
    if (MAPS.has(key)) {
      if (typeof value === "string") throw syntax(`Invalid value for property '${key}'. It should be a map.`)
      if (key === "compaction") checkCompaction(value)
      if (key === "compression") out.set(key, compressionOf(value))
      else if (key === "caching") out.set(key, cachingOf(value))
      // What is given as an extension is not kept.
      else if (key !== "extensions") out.set(key, value)
      continue
    }
    if (typeof value !== "string") throw syntax(`Invalid value for property '${key}'. It should be a string`)
    if (DOUBLES.has(key) && !/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(value)) {
      throw syntax(`Invalid double value ${value} for '${key}'`)
    }
    if (WHOLE.has(key) && (!/^[+-]?\d+$/.test(value) || Number(value) !== (Number(value) | 0))) {
      throw syntax(`Invalid integer value ${value} for '${key}'`)
    }
    if (FLAGS.has(key)) out.set(key, String(booleanOf(key, value)))
    else if (key === "memtable" && value !== "default") throw config(`Memtable configuration "${value}" not found.`)
    else if (key === "read_repair" && !/^(?:blocking|none)$/i.test(value)) {
      throw internal(
        `java.lang.IllegalArgumentException: No enum constant org.apache.cassandra.service.reads.repair.ReadRepairStrategy.${value.toUpperCase()}`
      )
    } else if (key === "read_repair") out.set(key, value.toUpperCase())
    else if (key === "speculative_retry" || key === "additional_write_policy") out.set(key, retryOf(value))
    else out.set(key, value)
  }
  const numbers = [...before, ...out].filter(([key]) => DOUBLES.has(key) || WHOLE.has(key))
  checkNumbers(new Map(numbers.map(([key, value]) => [key, Number(value)])))
  return out
}
