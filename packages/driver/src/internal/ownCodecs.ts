import type { CodecOptions } from "@effect-scylla/protocol/Codec"
import { parse } from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import { isWithin } from "./withinType.ts"

const NEVER = (): boolean => false
const ALWAYS = (): boolean => true

/** The names of a column, each of which may be quoted. */
const COLUMN = /^\s*("(?:[^"]|"")+"|\w+)\s*\.\s*("(?:[^"]|"")+"|\w+)\s*\.\s*("(?:[^"]|"")+"|\w+)\s*$/

const bare = (name: string): string =>
  name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()

/** Which columns' values appear otherwise than they do by default: those that no option may be about are not among them. */
export const ownCodecs = (options: CodecOptions | undefined): (column: Column) => boolean => {
  if (options === undefined) return NEVER
  const { types = {}, ...others } = options
  if (Object.values(others).some((value) => value !== undefined)) return ALWAYS
  const columns: Array<readonly [keyspace: string, table: string, name: string]> = []
  const scalars = new Set<string>()
  let isOfOthers = false
  for (const [key, codec] of Object.entries(types)) {
    if (codec === undefined) continue
    const [, keyspace, table, name] = COLUMN.exec(key) ?? []
    const type = parse(key)
    if (keyspace !== undefined) columns.push([bare(keyspace), bare(table!), bare(name!)])
    else if (typeof type === "object" && type._tag === "Scalar") scalars.add(type.name)
    else isOfOthers = true
  }
  return (column) =>
    isWithin(column.type, (type) => type._tag === "Scalar" ? scalars.has(type.name) : isOfOthers) ||
    // The name of a variable may have more to it: `IN(id)`.
    columns.some(([keyspace, table, name]) =>
      column.keyspace === keyspace && column.table === table && column.name.includes(name)
    )
}
