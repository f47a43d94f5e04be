/**
 * Conditions as Cassandra has them: what it reads for them, in which order it asks, and what it shows where they do not hold. It reads
 * the rows that are asked about, or the first of the partition where only static columns are, and shows what it read.
 */
import { Buffer } from "node:buffer"
import { invalid } from "../failure.ts"
import type { Column, Table } from "../schema/schema.ts"
import type { Clustering, Row } from "../storage/row.ts"
import type { Partition } from "../storage/storage.ts"
import type { ConditionTest, RowCheck } from "./conditions.ts"
import type { Mutation } from "./modify.ts"
import type { Bound } from "./variables.ts"

/** A statement of a conditional batch, or the only one. */
export interface Asked {
  readonly mutation: Mutation
  /** Absent for a statement on static columns. */
  readonly clustering: Clustering | undefined
  readonly values: Bound
}

/** What is asked of one row, or of the static columns. */
interface RowCondition {
  readonly kind: RowCheck["kind"]
  readonly clustering: Clustering | undefined
  readonly tests: Array<readonly [ConditionTest, Bound]>
}

/** What is shown of rows that did not hold. */
export interface Shown {
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<ReadonlyArray<Uint8Array | null>>
}

const isStatic = (column: Column): boolean => column.kind === "static"

/** Conditions by the row that they are about, and those of static columns. */
const sorted = (table: Table, asked: ReadonlyArray<Asked>) => {
  const rows: Array<RowCondition> = []
  let statics: RowCondition | undefined
  const obtain = (clustering: Clustering | undefined, kind: RowCheck["kind"]): RowCondition => {
    const found = clustering === undefined
      ? statics
      : rows.find((each) => table.data.compare(each.clustering!, clustering) === 0)
    if (found === undefined) {
      const made: RowCondition = { kind, clustering, tests: [] }
      if (clustering === undefined) statics = made
      else rows.push(made)
      return made
    }
    if (found.kind === kind) return found
    throw invalid(
      kind === "Columns"
        ? "Cannot mix IF conditions and IF NOT EXISTS for the same row"
        : found.kind === "Columns"
        ? `Cannot mix IF conditions and IF ${kind === "NotExists" ? "NOT " : ""}EXISTS for the same row`
        : "Cannot mix IF EXISTS and IF NOT EXISTS conditions for the same row"
    )
  }
  for (const { clustering, mutation: { condition, isStatic: isOfStatics }, values } of asked) {
    if (condition === undefined) continue
    const row = isOfStatics ? undefined : clustering ?? []
    if (condition.kind !== "Columns") obtain(row, condition.kind)
    for (const test of condition.tests.filter(({ column }) => !isStatic(column))) {
      obtain(row, "Columns").tests.push([test, values])
    }
    for (const test of condition.tests.filter(({ column }) => isStatic(column))) {
      obtain(undefined, "Columns").tests.push([test, values])
    }
  }
  rows.sort((a, b) => table.data.compare(a.clustering!, b.clustering!))
  return { rows, statics }
}

/** `ByteBuffer.hashCode` of Java. */
const hashOf = (bytes: Uint8Array): number => {
  let hash = 1
  for (let i = bytes.length - 1; i >= 0; i--) hash = (Math.imul(31, hash) + ((bytes[i]! << 24) >> 24)) | 0
  return hash
}

/** The place of a condition in the hash table that Cassandra goes through, of 16 buckets. */
const bucketOf = ([{ column, element }, values]: RowCondition["tests"][number]): number => {
  const key = element?.(values)
  const name = (31 + hashOf(Buffer.from(column.name, "utf8"))) | 0
  const hash = (Math.imul(31, name) + (key === undefined || key === null ? 0 : hashOf(key))) | 0
  return (hash ^ (hash >>> 16)) & 15
}

/** Whether what is asked for holds, and what is shown if it does not. `undefined`: it does. */
export const judge = (
  table: Table,
  asked: ReadonlyArray<Asked>,
  partition: Partition | undefined,
  now: number,
  isBatch: boolean
): Shown | undefined => {
  const { rows, statics } = sorted(table, asked)
  const conditional = asked.filter(({ mutation }) => mutation.condition !== undefined)
  const named = new Set(
    conditional.flatMap(({ mutation: { condition } }) => condition!.kind === "Columns" ? condition!.asked : [])
  )
  const readsRows = asked.some(({ mutation }) => mutation.isOfRows)
  const readsStatics = conditional.some(({ mutation }) => mutation.writesStatics)
  const isRead = (column: Column): boolean =>
    isStatic(column) ? readsStatics || named.has(column) : readsRows || named.has(column)
  const regular = table.regular.filter((column) => !isStatic(column) && isRead(column))
  const read = table.regular.filter((column) => isStatic(column) && isRead(column))
  const isThere = (row: Row): boolean => row.hasLive(regular, now)
  const ofStatics = partition !== undefined && partition.statics.hasLive(read, now) ? partition.statics : undefined
  const found = new Map<RowCondition, Row>()
  for (const each of rows) {
    const row = partition?.find(each.clustering!)
    if (row !== undefined && isThere(row)) found.set(each, row)
  }
  const holds = (condition: RowCondition, row: Row | undefined): boolean => {
    if (condition.kind !== "Columns") return (row !== undefined) === (condition.kind === "Exists")
    return condition.tests.toSorted((a, b) => bucketOf(a) - bucketOf(b)).every(([{ column, test }, values]) =>
      test(values, row === undefined ? null : row.value(column, now))
    )
  }
  if (
    (statics === undefined || holds(statics, ofStatics)) &&
    rows.every((each) => holds(each, found.get(each)))
  ) return undefined

  const first = rows.length === 0 ? partition?.rows.find(isThere) : undefined
  const shown = first === undefined ? [...found.values()] : [first]
  const columns = conditional.some(({ mutation }) => mutation.condition!.kind !== "Columns") ? table.columns : [
    ...new Set([
      ...(isBatch ? [...table.partitionKey, ...table.clustering] : []),
      ...conditional.flatMap(({ mutation }) => mutation.condition!.asked)
    ])
  ]
  const cells = (row: Row | undefined): ReadonlyArray<Uint8Array | null> =>
    columns.map((column) => {
      switch (column.kind) {
        case "partition_key":
          return partition!.components[column.position]!
        case "clustering":
          return row?.clustering[column.position] ?? null
        case "static":
          return isRead(column) ? ofStatics?.value(column, now) ?? null : null
        default:
          return isRead(column) ? row?.value(column, now) ?? null : null
      }
    })
  if (shown.length > 0) return { columns, rows: shown.map(cells) }
  return ofStatics === undefined ? { columns: [], rows: [] } : { columns, rows: [cells(undefined)] }
}
