/** INSERT, UPDATE and DELETE, compiled to mutations that run alone or in a batch. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { type Column, findColumn, type Table } from "../schema/schema.ts"
import { type Cell, type Clustering, type Key, NEVER } from "../storage/storage.ts"
import { isNothing, mergeOf, padded, readInt32, readInt64 } from "../storage/values.ts"
import { compileConditions, type RowCheck } from "./conditions.ts"
import { type Bound, compile, type Compiled, type Variables } from "./terms.ts"
import { compileWhere, type Where } from "./where.ts"

/** What a mutation does to the partitions it names; nothing happens before `apply`. */
export interface Staged {
  readonly keys: ReadonlyArray<Key>
  /** The row that conditions are checked on; there only for conditional statements. */
  readonly clustering: Clustering | undefined
  readonly apply: (key: Key) => void
}

export interface Mutation {
  readonly table: Table
  readonly partitionKey: ReadonlyArray<number>
  readonly isCounter: boolean
  readonly hasTimestamp: boolean
  /** Present for a conditional statement. */
  readonly condition: RowCheck | undefined
  /** Whether it names rows by an IN. */
  readonly hasRowIn: boolean
  /** `timestamp` is for a statement that names none. With a `ballot`, which is that of Paxos, only the ballot counts. */
  readonly stage: (values: Bound, timestamp: bigint, now: number, ballot?: bigint) => Staged
  /** The partitions alone, without anything else of the statement. */
  readonly keys: (values: Bound) => ReadonlyArray<Key>
}

/** What is said of the smallest number as a timestamp. */
export const OUT_OF_BOUND = "Out of bound timestamp, must be in [-9223372036854775807, 9223372036854775807]"

/** Longest time to live, seconds (20 years). */
const MAX_TTL = 630_720_000

const integer = (compiled: Compiled, what: string, size: 4 | 8): (values: Bound) => bigint | undefined => (values) => {
  const bytes = compiled(values)
  if (bytes === Unset) return undefined
  if (bytes === null) throw invalid(`Invalid null value of ${what}`)
  if ((bytes as Uint8Array).length !== size) throw invalid(`Invalid ${what} value`)
  return size === 4 ? BigInt(readInt32(bytes as Uint8Array)) : readInt64(bytes as Uint8Array)
}

/** Compiles USING: the timestamp and the seconds to live, with what counts when they are not given. */
export const compileUsing = (
  using: Ast.Using,
  table: Table | undefined,
  variables: Variables
): {
  readonly timestamp: (values: Bound, fallback: bigint) => bigint
  readonly ttl: (values: Bound) => number
} => {
  const timestamp = using.timestamp === undefined
    ? undefined
    : integer(compile(using.timestamp, CqlType.scalar("bigint"), "[timestamp]", variables), "timestamp", 8)
  const ttl = using.ttl === undefined
    ? undefined
    : integer(compile(using.ttl, CqlType.scalar("int"), "[ttl]", variables), "TTL", 4)
  if (using.timeout !== undefined) compile(using.timeout, CqlType.scalar("duration"), "[timeout]", variables)
  const preset = Number(table?.options.get("default_time_to_live") ?? 0)
  return {
    timestamp: (values, fallback) => {
      const given = timestamp?.(values)
      if (given === NEVER) {
        throw invalid(OUT_OF_BOUND)
      }
      return given ?? fallback
    },
    ttl: (values) => {
      const given = ttl?.(values)
      if (given === undefined) return preset
      if (given < 0n) throw invalid(`A TTL must be greater or equal to 0, but was ${given}`)
      if (given > MAX_TTL) throw invalid(`ttl is too large. requested (${given}) maximum (${MAX_TTL})`)
      return Number(given)
    }
  }
}

/** When what is written now expires, milliseconds since 1970: servers count in whole seconds. */
const expiryOf = (now: number, ttl: number): number => ttl === 0 ? 0 : (Math.floor(now / 1000) + ttl) * 1000

interface CellWriter {
  readonly slot: number
  readonly value: Compiled
  /** Of a column whose value is made of cells of its own. */
  readonly merge: Cell["merge"]
  /** The value as it is stored. */
  readonly stored: (value: Uint8Array) => Uint8Array
  /** Whether writing the value does no more than to delete what was there. */
  readonly isNothing: (value: Uint8Array | null) => boolean
}

const cellWriter = (column: Column, term: Ast.Term, variables: Variables): CellWriter => ({
  slot: column.position,
  value: compile(term, column.type.cql, column.name, variables),
  merge: column.type.multiCell ? mergeOf(column.type.cql) : undefined,
  stored: column.type.multiCell && column.type.cql._tag === "Udt" ? padded(column.type.cql) : (value) => value,
  isNothing: (value) => column.type.multiCell && (value === null || isNothing(column.type.cql, value))
})

const writeCells = (
  writers: ReadonlyArray<CellWriter>,
  values: Bound,
  timestamp: bigint,
  ttl: number,
  now: number
): { readonly slots: ReadonlyArray<number>; readonly cells: ReadonlyArray<Cell> } => {
  const slots: Array<number> = []
  const cells: Array<Cell> = []
  for (let i = 0; i < writers.length; i++) {
    const { isNothing, merge, slot, stored: storedAs, value } = writers[i]!
    const bytes = value(values)
    if (bytes === Unset) continue
    const stored = bytes === null ? null : storedAs(bytes as Uint8Array)
    slots.push(slot)
    // Writing a collection deletes what was there a microsecond before.
    cells.push(
      isNothing(stored)
        ? { value: null, timestamp: timestamp - 1n, expires: 0, ttl: 0, merge }
        : { value: stored, timestamp, expires: expiryOf(now, ttl), ttl, merge }
    )
  }
  return { slots, cells }
}

const present = new Uint8Array(0)

const compileInsert = (statement: Ast.Insert, table: Table, variables: Variables): Mutation => {
  if (table.isCounter) throw invalid("INSERT statements are not allowed on counter tables, use UPDATE instead")
  if (statement.columns.length !== statement.values.length) throw invalid("Unmatched column names/values")
  const given = new Map<string, Ast.Term>()
  const relations: Array<Ast.Relation> = []
  const writers: Array<CellWriter> = []
  statement.columns.forEach((name, i) => {
    const column = findColumn(table, name)
    if (given.has(name)) throw invalid(`Multiple definitions found for column ${name}`)
    const term = statement.values[i]!
    given.set(name, term)
    if (column.kind === "regular") writers.push(cellWriter(column, term, variables))
    else relations.push({ _tag: "Column", column: name, op: "=", term })
  })
  for (const column of [...table.partitionKey, ...table.clustering]) {
    if (!given.has(column.name)) throw invalid(`Missing mandatory PRIMARY KEY part ${column.name}`)
  }
  const where = compileWhere(relations, table, variables)
  const using = compileUsing(statement.using, table, variables)
  const condition = compileConditions(statement.condition, table, variables)
  return {
    table,
    partitionKey: where.partitionKey,
    isCounter: false,
    hasTimestamp: statement.using.timestamp !== undefined,
    condition,
    hasRowIn: false,
    keys: where.keys,
    stage: (values, fallback, now, ballot) => {
      const keys = where.keys(values)
      const clustering = where.ranges(values)[0]!.prefix
      const timestamp = ballot ?? using.timestamp(values, fallback)
      const ttl = using.ttl(values)
      const { cells, slots } = writeCells(writers, values, timestamp, ttl, now)
      const marker: Cell = { value: present, timestamp, expires: expiryOf(now, ttl), ttl }
      return {
        keys,
        clustering,
        apply: (key) => table.data.obtain(key.bytes, key.components).write(clustering, slots, cells, timestamp, marker)
      }
    }
  }
}

/** The rows that an UPDATE or a conditional statement names: whole clustering keys. */
const wholeRows = (where: Where, table: Table): void => {
  if (where.isFullKey) return
  throw invalid(
    `Missing mandatory PRIMARY KEY part ${table.clustering.map((column) => column.name).join(", ")}`
  )
}

const modificationWhere = (
  relations: ReadonlyArray<Ast.Relation>,
  table: Table,
  variables: Variables
): Where => {
  for (const relation of relations) {
    if (relation._tag === "Token") {
      throw invalid("The token function cannot be used in WHERE clauses for UPDATE and DELETE statements")
    }
    if (relation._tag !== "Other" && findColumn(table, relation.column).kind === "regular") {
      throw invalid(`Non PRIMARY KEY columns found in where clause: ${relation.column}`)
    }
  }
  const where = compileWhere(relations, table, variables)
  if (!where.hasKeys) {
    throw invalid(`Missing mandatory PRIMARY KEY part ${table.partitionKey.map((column) => column.name).join(", ")}`)
  }
  return where
}

/** Whether a column is restricted by an IN. One of a single term is an equality, one of the same term twice is not. */
const hasIn = (relations: ReadonlyArray<Ast.Relation>, columns: ReadonlyArray<Column>): boolean =>
  relations.some((relation) =>
    relation._tag === "In" && columns.some(({ name }) => name === relation.column) &&
    (!Array.isArray(relation.terms) || relation.terms.length !== 1)
  )

/** What a conditional statement is told that names rows by an IN. */
export const rowIn = (): Error => invalid("IN on the clustering key columns is not supported with conditional updates")

const conditionalWhere = (
  relations: ReadonlyArray<Ast.Relation>,
  where: Where,
  table: Table,
  condition: RowCheck | undefined
): void => {
  if (condition === undefined) return
  if (!where.isSinglePartition) throw invalid("IN on the partition key is not supported with conditional updates")
  if (hasIn(relations, table.clustering)) throw rowIn()
  wholeRows(where, table)
}

const compileUpdate = (statement: Ast.Update, table: Table, variables: Variables): Mutation => {
  // Variables of USING come first in the text of an UPDATE, and take their indices from it: order is of no matter here.
  const using = compileUsing(statement.using, table, variables)
  const writers: Array<CellWriter> = []
  const counters: Array<
    { readonly slot: number; readonly value: Compiled; readonly negative: boolean; readonly name: string }
  > = []
  const seen = new Set<string>()
  for (const assignment of statement.assignments) {
    if (assignment._tag === "Other") throw unsupported(assignment.what)
    const column = findColumn(table, assignment.column)
    if (column.kind !== "regular") throw invalid(`PRIMARY KEY part ${column.name} found in SET part`)
    if (seen.has(column.name)) throw invalid(`Multiple assignments to column ${column.name} in one statement`)
    seen.add(column.name)
    const isCounter = column.type.text === "counter"
    if (assignment._tag === "Set") {
      if (isCounter) {
        throw invalid(
          `Cannot set the value of counter column ${column.name} (counters can only be incremented/decremented, not set)`
        )
      }
      writers.push(cellWriter(column, assignment.term, variables))
      continue
    }
    if (!isCounter) {
      if (column.type.multiCell) throw unsupported("adding to or removing from a collection")
      throw invalid(
        `Invalid operation (${column.name} = ${column.name} ${
          assignment.negative ? "-" : "+"
        } …) for non counter column ${column.name}`
      )
    }
    counters.push({
      slot: column.position,
      value: compile(assignment.term, column.type.cql, column.name, variables),
      negative: assignment.negative,
      name: column.name
    })
  }
  if (counters.length > 0 && (statement.using.ttl ?? statement.using.timestamp) !== undefined) {
    throw invalid("Cannot provide custom TTL or timestamp for counter updates")
  }
  const where = modificationWhere(statement.where, table, variables)
  wholeRows(where, table)
  const condition = compileConditions(statement.condition, table, variables)
  if (condition !== undefined && table.isCounter) {
    throw invalid("Conditional updates are not supported on counter tables")
  }
  conditionalWhere(statement.where, where, table, condition)
  return {
    table,
    partitionKey: where.partitionKey,
    isCounter: counters.length > 0,
    hasTimestamp: statement.using.timestamp !== undefined,
    condition,
    hasRowIn: hasIn(statement.where, table.clustering),
    keys: where.keys,
    stage: (values, fallback, now, ballot) => {
      const keys = where.keys(values)
      const rows = where.ranges(values)
      const timestamp = ballot ?? using.timestamp(values, fallback)
      const { cells, slots } = writeCells(writers, values, timestamp, using.ttl(values), now)
      const added: Array<number> = []
      const deltas: Array<bigint> = []
      for (const counter of counters) {
        const bytes = counter.value(values)
        if (bytes === Unset) continue
        if (bytes === null) throw invalid("Invalid null value for counter increment/decrement")
        if ((bytes as Uint8Array).length !== 8) throw invalid(`Invalid empty value for counter ${counter.name}`)
        const delta = readInt64(bytes as Uint8Array)
        added.push(counter.slot)
        deltas.push(counter.negative ? -delta : delta)
      }
      return {
        keys,
        clustering: rows[0]?.prefix,
        apply: (key) => {
          const partition = table.data.obtain(key.bytes, key.components)
          for (const row of rows) {
            if (counters.length > 0) partition.add(row.prefix, added, deltas, timestamp)
            else partition.write(row.prefix, slots, cells, timestamp)
          }
        }
      }
    }
  }
}

const compileDelete = (statement: Ast.Delete, table: Table, variables: Variables): Mutation => {
  const columns = statement.columns.map((name) => {
    const column = findColumn(table, name)
    if (column.kind !== "regular") {
      throw invalid(`Invalid identifier ${name} for deletion (should not be a PRIMARY KEY part)`)
    }
    return column.position
  })
  const using = compileUsing(statement.using, undefined, variables)
  if (table.isCounter && statement.using.timestamp !== undefined) {
    throw invalid("Cannot provide custom timestamp for counter updates")
  }
  const where = modificationWhere(statement.where, table, variables)
  if (columns.length > 0) wholeRows(where, table)
  const condition = compileConditions(statement.condition, table, variables)
  if (condition !== undefined && table.isCounter) {
    throw invalid("Conditional updates are not supported on counter tables")
  }
  conditionalWhere(statement.where, where, table, condition)
  return {
    table,
    partitionKey: where.partitionKey,
    isCounter: table.isCounter,
    hasTimestamp: statement.using.timestamp !== undefined,
    condition,
    hasRowIn: hasIn(statement.where, table.clustering),
    keys: where.keys,
    stage: (values, fallback, _now, ballot) => {
      const keys = where.keys(values)
      const ranges = where.ranges(values)
      const timestamp = ballot ?? using.timestamp(values, fallback)
      return {
        keys,
        clustering: ranges[0]?.prefix,
        apply: (key) => {
          const partition = table.data.obtain(key.bytes, key.components)
          if (columns.length > 0) {
            const cells = columns.map((): Cell => ({ value: null, timestamp, expires: 0, ttl: 0 }))
            for (const range of ranges) partition.write(range.prefix, columns, cells, timestamp)
            return
          }
          for (const range of ranges) {
            const open = range.lower === undefined && range.upper === undefined
            if (open && range.prefix.length === 0) partition.deleteAll(timestamp)
            else if (open && range.prefix.length === table.clustering.length) {
              partition.deleteRow(range.prefix, timestamp)
            } else partition.deleteRange(range, timestamp)
          }
        }
      }
    }
  }
}

/** Compiles one modification. The variables are those of the whole statement, a batch included. */
export const compileMutation = (statement: Ast.Modification, table: Table, variables: Variables): Mutation => {
  if (table.keyspace.isSystem) throw invalid(`${table.keyspace.name} keyspace is not user-modifiable.`)
  const mutation = statement._tag === "Insert"
    ? compileInsert(statement, table, variables)
    : statement._tag === "Update"
    ? compileUpdate(statement, table, variables)
    : compileDelete(statement, table, variables)
  if (mutation.condition !== undefined && mutation.hasTimestamp) {
    throw invalid("Cannot provide custom timestamp for conditional updates")
  }
  return mutation
}
