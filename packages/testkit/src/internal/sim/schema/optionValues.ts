/** Options of tables as they are in force: what was given, and what each product takes where nothing was. */
import type { Property } from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"
import type { Table } from "./schema.ts"

/** A number that is shown with a fraction, a number, a text, a map, a boolean. */
type Kind = "double" | "int" | "text" | "map" | "boolean"

type Option = readonly [name: string, kind: Kind, preset: Property]

const map = (entries: Readonly<Record<string, string>>): Property => new Map(Object.entries(entries))

/** In the order in which they are shown. */
const OPTIONS: Record<Product, ReadonlyArray<Option>> = {
  scylla: [
    ["bloom_filter_fp_chance", "double", "0.01"],
    ["caching", "map", map({ keys: "ALL", rows_per_partition: "ALL" })],
    ["comment", "text", ""],
    ["compaction", "map", map({ class: "SizeTieredCompactionStrategy" })],
    ["compression", "map", map({ sstable_compression: "org.apache.cassandra.io.compress.LZ4Compressor" })],
    ["crc_check_chance", "double", "1"],
    ["default_time_to_live", "int", "0"],
    ["gc_grace_seconds", "int", "864000"],
    ["max_index_interval", "int", "2048"],
    ["memtable_flush_period_in_ms", "int", "0"],
    ["min_index_interval", "int", "128"],
    ["speculative_retry", "text", "99.0PERCENTILE"],
    ["tombstone_gc", "map", map({ mode: "timeout", propagation_delay_in_seconds: "3600" })]
  ],
  cassandra: [
    ["additional_write_policy", "text", "99p"],
    ["allow_auto_snapshot", "boolean", "true"],
    ["bloom_filter_fp_chance", "double", "0.01"],
    ["caching", "map", map({ keys: "ALL", rows_per_partition: "NONE" })],
    ["cdc", "boolean", "false"],
    ["comment", "text", ""],
    [
      "compaction",
      "map",
      map({
        class: "org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy",
        max_threshold: "32",
        min_threshold: "4"
      })
    ],
    [
      "compression",
      "map",
      map({ chunk_length_in_kb: "16", class: "org.apache.cassandra.io.compress.LZ4Compressor" })
    ],
    ["memtable", "text", "default"],
    ["crc_check_chance", "double", "1"],
    ["default_time_to_live", "int", "0"],
    ["extensions", "map", map({})],
    ["gc_grace_seconds", "int", "864000"],
    ["incremental_backups", "boolean", "true"],
    ["max_index_interval", "int", "2048"],
    ["memtable_flush_period_in_ms", "int", "0"],
    ["min_index_interval", "int", "128"],
    ["read_repair", "text", "BLOCKING"],
    ["speculative_retry", "text", "99p"]
  ]
}

const COMPACTIONS = "org.apache.cassandra.db.compaction."
const COMPRESSORS = "org.apache.cassandra.io.compress."

const qualified = (name: string, place: string): string => name.includes(".") ? name : place + name

/** Cassandra shows classes by their full names, and some values that were not given. */
const completed = (name: string, given: ReadonlyMap<string, string>): ReadonlyMap<string, string> => {
  const out = new Map(given)
  if (name === "compaction") {
    const type = qualified(given.get("class") ?? "", COMPACTIONS)
    out.set("class", type)
    // How many tables are compacted at once is nothing to one that counts by their density.
    if (type !== `${COMPACTIONS}UnifiedCompactionStrategy`) {
      if (!out.has("max_threshold")) out.set("max_threshold", "32")
      if (!out.has("min_threshold")) out.set("min_threshold", "4")
    }
  }
  if (name === "compression" && given.get("enabled") !== "false") {
    const type = given.get("class") ?? given.get("sstable_compression") ?? "LZ4Compressor"
    out.delete("sstable_compression")
    out.set("class", qualified(type, COMPRESSORS))
    if (!out.has("chunk_length_in_kb")) out.set("chunk_length_in_kb", "16")
  }
  if (name === "caching") {
    if (!out.has("keys")) out.set("keys", "ALL")
    if (!out.has("rows_per_partition")) out.set("rows_per_partition", "NONE")
  }
  return out
}

const sorted = (entries: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map([...entries].sort(([a], [b]) => a < b ? -1 : 1))

/** Cassandra takes more false positives where it compacts by levels. */
const bloomOf = (table: Table): string => {
  const compaction = table.options.get("compaction")
  return typeof compaction === "object" && compaction.get("class")?.endsWith("LeveledCompactionStrategy") === true
    ? "0.1"
    : "0.01"
}

/** The value of an option. */
const valueOf = (table: Table, [name, kind, preset]: Option, product: Product): Property => {
  const given = table.options.get(name)
  if (given === undefined) return product === "cassandra" && name === "bloom_filter_fp_chance" ? bloomOf(table) : preset
  if (kind !== "map" || typeof given === "string") return given
  if (product === "cassandra") return sorted(completed(name, given))
  return sorted(name === "tombstone_gc" ? new Map([...(preset as Map<string, string>), ...given]) : given)
}

const optionOf = (table: Table, name: string, product: Product): Property =>
  valueOf(table, OPTIONS[product].find(([each]) => each === name) ?? [name, "text", ""], product)

export const numberOf = (table: Table, name: string, product: Product): number => Number(optionOf(table, name, product))

export const textOf = (table: Table, name: string, product: Product): string => String(optionOf(table, name, product))

export const mapOf = (table: Table, name: string, product: Product): ReadonlyMap<string, string> => {
  const value = optionOf(table, name, product)
  return typeof value === "string" ? new Map() : value
}

export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

export const mapText = (entries: ReadonlyMap<string, string>): string =>
  `{${[...entries].map(([key, value]) => `${quoted(key)}: ${quoted(value)}`).join(", ")}}`

const shown = (value: Property, kind: Kind, product: Product): string => {
  if (typeof value !== "string") return mapText(value)
  switch (kind) {
    case "double": {
      const text = String(Number(value))
      return product === "cassandra" && /^-?\d+$/.test(text) ? `${text}.0` : text
    }
    case "int":
      return String(Number(value))
    case "boolean":
      return value.toLowerCase()
    default:
      return quoted(value)
  }
}

/** Options of ScyllaDB that are only shown where they were given. */
const EXTENSIONS = ["cdc", "paxos_grace_seconds", "per_partition_rate_limit"]

/** All options as a statement has them, by name. */
export const optionTexts = (table: Table, product: Product): ReadonlyArray<readonly [name: string, text: string]> => {
  const isHidden = (name: string): boolean =>
    name === "default_time_to_live" && product === "cassandra" && table.view !== undefined
  const out = OPTIONS[product].filter(([name]) => !isHidden(name)).map((option): readonly [string, string] => [
    option[0],
    shown(valueOf(table, option, product), option[1], product)
  ])
  if (product === "cassandra") return out
  const given = EXTENSIONS.flatMap((name): ReadonlyArray<readonly [string, string]> => {
    const value = table.options.get(name)
    return value === undefined ? [] : [[name, shown(value, "int", product)]]
  })
  return [...out.slice(0, -1), ...given, ...out.slice(-1)]
}
