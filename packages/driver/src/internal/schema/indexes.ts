/** Indexes, and what their targets say. */
import type { Row } from "@effect-scylla/protocol/RowDecoder"
import type * as Schema from "./model.ts"

const PART = /^(keys|values|entries|full)\(([^]*)\)$/

/** The name of a column as CQL writes it. */
const nameOf = (text: string): string =>
  text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text

interface Target {
  readonly columns: ReadonlyArray<string>
  readonly part: Schema.Index["part"]
  readonly localTo: ReadonlyArray<string> | undefined
}

const isNames = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((each) => typeof each === "string")

/** ScyllaDB's of several columns is JSON: the partition key of a local index, and what is indexed. */
const localOf = (target: string): Target | undefined => {
  if (!target.startsWith("{")) return undefined
  try {
    const { ck, pk } = JSON.parse(target) as { readonly pk?: unknown; readonly ck?: unknown }
    return isNames(pk) && isNames(ck) ? { columns: ck, part: undefined, localTo: pk } : undefined
  } catch {
    return undefined
  }
}

const targetOf = (target: string): Target => {
  const local = localOf(target)
  if (local !== undefined) return local
  const [, part, inner] = PART.exec(target) ?? []
  return { columns: [nameOf(inner ?? target)], part: part as Schema.Index["part"], localTo: undefined }
}

/**
 * The part as a statement has to say it. ScyllaDB writes nothing where a collection is frozen, and wants `FULL`; values of a set are its
 * keys to it, which a statement may not say.
 */
const partOf = ({ columns: [name], localTo, part }: Target, columns: ReadonlyArray<Schema.Column>): Target["part"] => {
  const text = columns.find((column) => column.name === name)?.text ?? ""
  if (part === undefined && localTo === undefined && /^frozen<(list|set|map)</.test(text)) return "full"
  return part === "keys" && text.startsWith("set<") ? "values" : part
}

/** An index of a table with these columns. */
export const indexOf = (row: Row, columns: ReadonlyArray<Schema.Column>): Schema.Index => {
  const given = row["options"] instanceof Map ? row["options"] : new Map<unknown, unknown>()
  const target = String(given.get("target") ?? "")
  const className = given.get("class_name")
  const told = targetOf(target)
  return {
    _tag: "Index",
    keyspace: String(row["keyspace_name"]),
    table: String(row["table_name"]),
    name: String(row["index_name"]),
    kind: String(row["kind"]),
    target,
    ...told,
    // Those of custom indexes are a matter of their own.
    part: className === undefined ? partOf(told, columns) : told.part,
    className: typeof className === "string" ? className : undefined,
    options: Object.fromEntries(
      [...given].filter(([key]) => key !== "target" && key !== "class_name").map(([key, value]) => [
        String(key),
        String(value)
      ])
    )
  }
}
