/** INSERT, UPDATE and DELETE, compiled to mutations that run alone or in a batch. */
import { invalid, syntax } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { layoutOf } from "../storage/layout.ts"
import type { Clustering, Write } from "../storage/row.ts"
import type { Bounds, Key, TableData } from "../storage/storage.ts"
import { addTo, type Assign, type Assigned, assignElement, assignField, assignWhole, type Stamp } from "./assign.ts"
import { columnOf } from "./columns.ts"
import { compileConditions, type RowCheck } from "./conditions.ts"
import { checkIndexed } from "./indexedValues.ts"
import { compileJson } from "./jsonInsert.ts"
import { checkLength } from "./keys.ts"
import { textOf } from "./terms.ts"
import { compileUsing } from "./using.ts"
import type { Bound, Variables } from "./variables.ts"
import { compileWhere, type Where } from "./where.ts"

/** What a mutation does to the partitions it names; nothing happens before `apply`. */
export interface Staged {
  readonly keys: ReadonlyArray<Key>
  /** The row that conditions are checked on; there only for conditional statements on more than static columns. */
  readonly clustering: Clustering | undefined
  /** Throws for what the partition as it is does not take. */
  readonly check: (key: Key) => void
  /** Reads what its writes depend on, before others of the same batch are there; absent where they depend on nothing. */
  readonly read?: ((key: Key) => void) | undefined
  /** Writes to the data of the table, or to what a node has of it. */
  readonly apply: (key: Key, data?: TableData) => void
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
  /** Whether it is of static columns alone, and of no row. */
  readonly isStatic: boolean
  /** Whether it is of rows, and not of a partition as a whole. */
  readonly isOfRows: boolean
  /** Whether it deletes ranges of rows, or partitions. */
  readonly deletesRange: boolean
  /** Whether it writes static columns. */
  readonly writesStatics: boolean
  /** `timestamp` is for a statement that names none. With a `ballot`, which is that of Paxos, only the ballot counts. */
  readonly stage: (values: Bound, timestamp: bigint, now: number, ballot?: bigint) => Staged
  /** The partitions alone, without anything else of the statement. */
  readonly keys: (values: Bound) => ReadonlyArray<Key>
}

/** When what is written now expires, milliseconds since 1970: servers count in whole seconds. */
const expiryOf = (now: number, ttl: number): number => ttl === 0 ? 0 : (Math.floor(now / 1000) + ttl) * 1000

const unknown = (name: string): string => `Unknown identifier ${name}`

const present = new Uint8Array(0)

const isKey = (column: Column): boolean => column.kind === "partition_key" || column.kind === "clustering"

/** Writes of one statement, by the row that they go to. */
interface Sorted {
  readonly statics: ReadonlyArray<Assign>
  readonly regular: ReadonlyArray<Assign>
}

const sort = (assigns: ReadonlyArray<Assign>): Sorted => ({
  statics: assigns.filter(({ column }) => column.kind === "static"),
  regular: assigns.filter(({ column }) => column.kind !== "static")
})

const missing = (columns: ReadonlyArray<Column>): string => columns.map((column) => column.name).join(", ")

/** What is said of key columns that a modification leaves out. */
const checkKey = (where: Where, needsRow: boolean, variables: Variables): void => {
  const { clustering, partition } = where.missing
  if (partition.length > 0) {
    throw invalid(
      variables.say(
        `Missing mandatory PRIMARY KEY part ${partition[0]!.name}`,
        `Some partition key parts are missing: ${missing(partition)}`
      )
    )
  }
  if (needsRow && clustering.length > 0) {
    throw invalid(
      variables.say(
        `Missing mandatory PRIMARY KEY part ${clustering[0]!.name}`,
        `Some clustering keys are missing: ${missing(clustering)}`
      )
    )
  }
}

/** Puts the parts of a mutation together: which rows, what is written, when it counts. */
const mutationOf = (
  table: Table,
  where: Where,
  assigns: ReadonlyArray<Assign>,
  using: ReturnType<typeof compileUsing>,
  rest: Pick<Mutation, "isCounter" | "hasTimestamp" | "condition" | "hasRowIn"> & {
    readonly isInsert: boolean
    readonly isCassandra: boolean
  }
): Mutation => {
  const { regular, statics } = sort(assigns)
  const { isCassandra, isInsert, ...common } = rest
  // Without a row there is only what all rows of the partition share.
  const writesRows = regular.length > 0 || (isInsert && where.isFullKey) ||
    (where.restrictsClustering && where.isFullKey && table.clustering.length > 0)
  return {
    table,
    partitionKey: where.partitionKey,
    ...common,
    isStatic: !writesRows,
    isOfRows: writesRows,
    deletesRange: false,
    writesStatics: statics.length > 0,
    keys: where.keys,
    stage: (values, fallback, now, ballot) => {
      const keys = where.keys(values)
      const rows = writesRows ? where.ranges(values) : []
      if (isCassandra) { for (const { prefix } of rows) checkLength(prefix) }
      const timestamp = ballot ?? using.timestamp(values, fallback)
      const ttl = using.ttl(values)
      const stamp: Stamp = {
        timestamp,
        ttl,
        expires: expiryOf(now, ttl),
        now,
        isGiven: common.hasTimestamp,
        place: () => table.data.nextPlace()
      }
      // Cassandra writes static columns once for each row.
      const times = isCassandra && writesRows ? rows.length : 1
      const staticWrites = Array.from({ length: times }, () => statics.map((assign) => assign.prepare(values, stamp)))
        .flat()
      const rowWrites = regular.map((assign) => assign.prepare(values, stamp))
      checkIndexed(table, [...staticWrites, ...rowWrites], isCassandra)
      const marker = isInsert ? { value: present, timestamp, expires: stamp.expires, ttl } : undefined
      const writesFor = (writes: ReadonlyArray<Assigned>, row: Parameters<Assigned["writes"]>[0]) =>
        writes.flatMap((assigned) => assigned.writes(row))
      const read: ReadBefore | undefined = staticWrites.some(reads) || rowWrites.some(reads) ? new Map() : undefined
      return {
        keys,
        clustering: rows[0]?.prefix,
        read: read === undefined ? undefined : (key) => {
          const partition = table.data.get(key.bytes)
          read.set(key, {
            statics: writesFor(staticWrites, partition?.statics),
            rows: rows.map(({ prefix }) => writesFor(rowWrites, partition?.find(prefix)))
          })
        },
        check: (key) => {
          const partition = table.data.get(key.bytes)
          for (const assigned of staticWrites) assigned.check?.(partition?.statics)
          for (const { prefix } of rows) {
            const row = partition?.find(prefix)
            for (const assigned of rowWrites) assigned.check?.(row)
          }
        },
        apply: (key, data = table.data) => {
          const partition = data.obtain(key.bytes, key.components)
          const known = data === table.data ? read?.get(key) : undefined
          if (staticWrites.length > 0) {
            partition.writeStatic(known?.statics ?? writesFor(staticWrites, partition.statics), timestamp)
            addCounters(staticWrites, (slots, deltas) => partition.add(undefined, slots, deltas, timestamp))
          }
          for (let i = 0; i < rows.length; i++) {
            const { prefix } = rows[i]!
            const writes = known?.rows[i] ?? writesFor(rowWrites, partition.find(prefix))
            if (writes.length > 0 || marker !== undefined) partition.write(prefix, writes, timestamp, marker)
            addCounters(rowWrites, (slots, deltas) => partition.add(prefix, slots, deltas, timestamp))
          }
        }
      }
    }
  }
}

/** What the writes of a statement came to before others of the same batch were there. */
type ReadBefore = Map<Key, {
  readonly statics: ReadonlyArray<Write>
  readonly rows: ReadonlyArray<ReadonlyArray<Write>>
}>

const reads = (assigned: Assigned): boolean => assigned.reads === true

const addCounters = (
  writes: ReadonlyArray<Assigned>,
  add: (slots: ReadonlyArray<number>, deltas: ReadonlyArray<bigint>) => void
): void => {
  const counters = writes.flatMap(({ counter }) => counter ?? [])
  if (counters.length > 0) add(counters.map(({ slot }) => slot), counters.map(({ delta }) => delta))
}

const compileInsert = (statement: Ast.Insert, table: Table, variables: Variables): Mutation => {
  if (statement.json !== undefined) {
    if (table.isCounter) {
      const counter = table.regular.find(({ type }) => type.text === "counter")!
      throw variables.product === "scylla"
        ? invalid(`Cannot set the value of counter column ${counter.name} in JSON`)
        : insertsNoCounters(variables)
    }
    const using = compileUsing(statement.using, table, variables)
    const { assigns, where } = compileJson(statement.json, table, variables)
    const condition = compileConditions(statement.condition, table, variables)
    return mutationOf(table, where, assigns, using, {
      isCounter: false,
      hasTimestamp: statement.using.timestamp !== undefined,
      condition,
      hasRowIn: false,
      isInsert: true,
      isCassandra: variables.product === "cassandra"
    })
  }
  if (table.isCounter) throw insertsNoCounters(variables)
  if (statement.columns.length !== statement.values.length) throw invalid("Unmatched column names/values")
  const given = new Set<string>()
  const relations: Array<Ast.Relation> = []
  const assigns: Array<Assign> = []
  statement.columns.forEach((name, i) => {
    const column = columnOf(table, name, variables, unknown)
    if (given.has(name)) {
      throw invalid(
        variables.say(`Multiple definitions found for column ${name}`, "The column names contains duplicates")
      )
    }
    const term = statement.values[i]!
    given.add(name)
    if (isKey(column)) relations.push({ _tag: "Column", column: name, op: "=", term })
    else assigns.push(assignWhole(column, term, variables))
  })
  const where = compileWhere(relations, table, variables, "INSERT")
  const isStatic = assigns.length > 0 && assigns.every(({ column }) => column.kind === "static")
  checkKey(where, !(isStatic && !where.restrictsClustering), variables)
  const using = compileUsing(statement.using, table, variables)
  const condition = compileConditions(statement.condition, table, variables)
  return mutationOf(table, where, assigns, using, {
    isCounter: false,
    hasTimestamp: statement.using.timestamp !== undefined,
    condition,
    hasRowIn: false,
    isInsert: true,
    isCassandra: variables.product === "cassandra"
  })
}

const insertsNoCounters = (variables: Variables): Error =>
  invalid(`INSERT statement${variables.say("", "s")} are not allowed on counter tables, use UPDATE instead`)

const modificationWhere = (
  relations: ReadonlyArray<Ast.Relation>,
  table: Table,
  variables: Variables,
  verb: "UPDATE" | "DELETE"
): Where => {
  const wrong: Array<string> = []
  for (const relation of relations) {
    if (relation._tag === "Token") {
      const shown = `(token(${relation.columns.join(", ")}) ${relation.op} ${textOf(relation.term, variables.product)})`
      throw invalid(
        variables.say(
          `The token function cannot be used in WHERE clauses for UPDATE and DELETE statements: ${shown}`,
          `The token function cannot be used in WHERE clauses for ${verb} statements`
        )
      )
    }
    if (!("column" in relation)) continue
    const column = columnOf(table, relation.column, variables)
    if (isKey(column)) continue
    wrong.push(column.name)
  }
  if (wrong.length > 0) {
    const keys = new Set(relations.flatMap((relation) => "column" in relation ? relation.column : []))
    const absent = table.partitionKey.filter((column) => !keys.has(column.name))
    if (variables.product === "cassandra" && absent.length > 0) {
      throw invalid(`Some partition key parts are missing: ${missing(absent)}`)
    }
    throw invalid(
      variables.say(
        `Invalid where clause contains non PRIMARY KEY columns: ${wrong.join(", ")}`,
        `Non PRIMARY KEY columns found in where clause: ${wrong.join(", ")} `
      )
    )
  }
  // Cassandra tells of what is missing before it tells of gaps.
  if (variables.product === "cassandra" && verb === "UPDATE") {
    const names = new Set(
      relations.flatMap((relation) =>
        "column" in relation ? relation.column : "columns" in relation ? relation.columns : []
      )
    )
    const absent = table.clustering.filter((column) => !names.has(column.name))
    const gap = absent.length > 0 &&
      table.clustering.some((column, i) =>
        names.has(column.name) && table.clustering.slice(0, i).some((before) => absent.includes(before))
      )
    if (gap) throw invalid(`Some clustering keys are missing: ${missing(absent)}`)
  }
  return compileWhere(relations, table, variables, verb)
}

/** Whether a column is restricted by an IN. One of a single term is an equality, one of the same term twice is not. */
const hasIn = (relations: ReadonlyArray<Ast.Relation>, columns: ReadonlyArray<Column>): boolean =>
  relations.some((relation) =>
    (relation._tag === "In" && columns.some(({ name }) => name === relation.column) ||
      relation._tag === "MultiIn" && columns.some(({ name }) => relation.columns.includes(name))) &&
    (!Array.isArray(relation.terms) || relation.terms.length !== 1)
  )

/** What a conditional statement is told that names rows by an IN. */
export const rowIn = (what = "updates"): Error =>
  invalid(`IN on the clustering key columns is not supported with conditional ${what}`)

const conditionalWhere = (
  relations: ReadonlyArray<Ast.Relation>,
  where: Where,
  table: Table,
  condition: RowCheck | undefined,
  what = "updates"
): void => {
  if (condition === undefined) return
  if (!where.isSinglePartition) throw invalid(`IN on the partition key is not supported with conditional ${what}`)
  if (hasIn(relations, table.clustering)) throw rowIn(what)
}

const assignmentOf = (assignment: Ast.Assignment, table: Table, variables: Variables): Assign => {
  const column = columnOf(table, assignment.column, variables, unknown)
  if (isKey(column)) throw invalid(`PRIMARY KEY part ${column.name} found in SET part`)
  switch (assignment._tag) {
    case "Set":
      return assignWhole(column, assignment.term, variables)
    case "Add":
      return addTo(column, assignment.term, assignment.negative ? "-" : "+", variables)
    case "Prepend":
      return addTo(column, assignment.term, "prepend", variables)
    case "Element":
      return assignElement(column, assignment.key, assignment.term, variables)
    case "Field":
      return assignField(column, assignment.field, assignment.term, variables)
  }
}

/** A column may be set once; parts of it may be changed several times. */
const checkTwice = (statement: Ast.Update, variables: Variables): void => {
  const whole = new Map<string, number>()
  const fields = new Set<string>()
  for (const assignment of statement.assignments) {
    const { _tag, column } = assignment
    const isWhole = _tag === "Set"
    if (_tag === "Field") {
      const field = JSON.stringify([column, assignment.field])
      if (fields.has(field)) {
        const message = `Multiple incompatible setting of column ${column}`
        throw variables.product === "scylla" ? invalid(message) : syntax(message)
      }
      fields.add(field)
    }
    const before = whole.get(column)
    if (before !== undefined && (isWhole || before === 1)) {
      const message = `Multiple incompatible setting of column ${column}`
      throw variables.product === "scylla" ? invalid(message) : syntax(message)
    }
    whole.set(column, isWhole ? 1 : 0)
  }
}

/** Whether IF asks for columns that are of a row. */
const isAboutRows = (condition: Ast.Condition | undefined, table: Table): boolean =>
  condition?._tag === "Columns" &&
  condition.relations.some((relation) => "column" in relation && table.byName.get(relation.column)?.kind === "regular")

const compileUpdate = (statement: Ast.Update, table: Table, variables: Variables): Mutation => {
  // Variables of USING come first in the text of an UPDATE, and take their indices from it: order is of no matter here.
  const using = compileUsing(statement.using, table, variables)
  for (const { column } of statement.assignments) columnOf(table, column, variables, unknown)
  checkTwice(statement, variables)
  const assigns = statement.assignments.map((assignment) => assignmentOf(assignment, table, variables))
  const counters = assigns.filter(({ column }) => column.type.text === "counter")
  const checkUsing = (): void => {
    if (!table.isCounter) return
    if (statement.using.timestamp !== undefined) throw invalid("Cannot provide custom timestamp for counter updates")
    if (statement.using.ttl !== undefined) throw invalid("Cannot provide custom TTL for counter updates")
  }
  if (variables.product === "scylla") checkUsing()
  const where = modificationWhere(statement.where, table, variables, "UPDATE")
  const isStatic = assigns.every(({ column }) => column.kind === "static")
  const asksRows = isAboutRows(statement.condition, table)
  if (isStatic && where.restrictsClustering && !asksRows) {
    throw invalid("Invalid restrictions on clustering columns since the UPDATE statement modifies only static columns")
  }
  const isSliced = statement.where.some((relation) =>
    relation._tag === "Column" && /[<>]/.test(relation.op) && table.byName.get(relation.column)?.kind === "clustering"
  )
  if (isSliced && variables.product === "cassandra" && where.missing.partition.length === 0) {
    throw invalid("Slice restrictions are not supported on the clustering columns in UPDATE statements")
  }
  checkKey(where, !isStatic || asksRows, variables)
  if (statement.condition !== undefined && table.isCounter) {
    throw invalid(
      variables.product === "cassandra" && statement.condition._tag === "Columns"
        ? "Conditions on counters are not supported"
        : "Conditional updates are not supported on counter tables"
    )
  }
  const condition = compileConditions(statement.condition, table, variables)
  conditionalWhere(statement.where, where, table, condition)
  if (variables.product === "cassandra") checkUsing()
  return mutationOf(table, where, assigns, using, {
    isCounter: counters.length > 0,
    hasTimestamp: statement.using.timestamp !== undefined,
    condition,
    hasRowIn: hasIn(statement.where, table.clustering),
    isInsert: false,
    isCassandra: variables.product === "cassandra"
  })
}

const deletionOf = (deletion: Ast.Deletion, table: Table, variables: Variables): Assign => {
  const column = columnOf(table, deletion.column, variables, unknown)
  if (isKey(column)) {
    throw invalid(`Invalid identifier ${column.name} for deletion (should not be a PRIMARY KEY part)`)
  }
  if (deletion._tag === "Column") return assignWhole(column, undefined, variables)
  if (deletion._tag === "Element") {
    if (column.layout === undefined && layoutOf(column.type.cql) !== undefined) {
      throw invalid(`Invalid deletion operation for frozen collection column ${column.name}`)
    }
    return assignElement(column, deletion.key, undefined, variables)
  }
  return assignField(column, deletion.field, undefined, variables)
}

const noRange = (): Error => invalid("Range deletions are not supported for specific columns")

/** Whether a range ends before it begins. */
const isNone = ({ lower, prefix, upper }: Bounds, table: Table): boolean => {
  if (lower === undefined || upper === undefined) return false
  const side = table.data.order[prefix.length]!(lower.value, upper.value)
  return side > 0 || (side === 0 && !(lower.inclusive && upper.inclusive))
}

const compileDelete = (statement: Ast.Delete, table: Table, variables: Variables): Mutation => {
  const assigns = statement.deletions.map((deletion) => deletionOf(deletion, table, variables))
  const using = compileUsing(statement.using, undefined, variables)
  if (table.isCounter && statement.using.timestamp !== undefined) {
    throw invalid("Cannot provide custom timestamp for counter updates")
  }
  const where = modificationWhere(statement.where, table, variables, "DELETE")
  checkKey(where, false, variables)
  const regular = assigns.find(({ column }) => column.kind !== "static")
  // Cassandra looks when it runs: of no rows there is nothing to be refused.
  const isOfRange = regular !== undefined && !where.isFullKey
  if (isOfRange && variables.product === "scylla") {
    if (where.restrictsClustering) throw noRange()
    throw invalid(
      `Primary key column '${
        where.missing.clustering[0]!.name
      }' must be specified in order to modify column '${regular.column.name}'`
    )
  }
  const asksRows = variables.product === "cassandra" && isAboutRows(statement.condition, table)
  if (assigns.length > 0 && regular === undefined && where.restrictsClustering && !asksRows) {
    throw invalid("Invalid restrictions on clustering columns since the DELETE statement modifies only static columns")
  }
  const condition = compileConditions(statement.condition, table, variables)
  if (condition !== undefined && table.isCounter) {
    throw invalid("Conditional updates are not supported on counter tables")
  }
  conditionalWhere(statement.where, where, table, condition, variables.say("updates", "deletions"))
  if (condition !== undefined && !where.isFullKey && (assigns.length === 0 || regular !== undefined)) {
    throw invalid(
      "DELETE statements must restrict all PRIMARY KEY columns with equality relations in order to delete non static columns"
    )
  }
  if (asksRows && !where.isFullKey) {
    throw invalid(
      "DELETE statements must restrict all PRIMARY KEY columns with equality relations in order to use IF condition on non static columns"
    )
  }
  const common = {
    isCounter: table.isCounter,
    hasTimestamp: statement.using.timestamp !== undefined,
    condition,
    hasRowIn: hasIn(statement.where, table.clustering)
  }
  if (assigns.length > 0) {
    const made = mutationOf(table, where, assigns, using, {
      ...common,
      isInsert: false,
      isCassandra: variables.product === "cassandra"
    })
    if (!isOfRange) return made
    return {
      ...made,
      stage: (values, ...rest) => {
        const staged = made.stage(values, ...rest)
        return {
          ...staged,
          check: (of) => {
            if (where.ranges(values).some((range) => !isNone(range, table))) throw noRange()
            staged.check(of)
          }
        }
      }
    }
  }
  return {
    table,
    partitionKey: where.partitionKey,
    ...common,
    isStatic: false,
    isOfRows: where.restrictsClustering || table.clustering.length === 0,
    deletesRange: !where.isFullKey || table.clustering.length === 0,
    writesStatics: false,
    keys: where.keys,
    stage: (values, fallback, _now, ballot) => {
      const keys = where.keys(values)
      const ranges = where.ranges(values)
      if (variables.product === "cassandra") { for (const { prefix } of ranges) checkLength(prefix) }
      // Of what a conditional batch of Cassandra does, rows that it writes outlive ranges and partitions that it deletes.
      const isRange = (!where.isFullKey || table.clustering.length === 0) && variables.product === "cassandra"
      const timestamp = ballot === undefined ? using.timestamp(values, fallback) : isRange ? ballot - 1n : ballot
      return {
        keys,
        clustering: where.isFullKey ? ranges[0]?.prefix : undefined,
        check: () => undefined,
        apply: (key, data = table.data) => {
          const partition = data.obtain(key.bytes, key.components)
          for (const range of ranges) {
            const open = range.lower === undefined && range.upper === undefined && range.test === undefined
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
  if (table.keyspace.isVirtual) {
    throw invalid(`Modification is not supported by table ${table.keyspace.name}.${table.name}`)
  }
  if (statement.condition !== undefined && statement.using.timestamp !== undefined) {
    throw invalid("Cannot provide custom timestamp for conditional updates")
  }
  const mutation = statement._tag === "Insert"
    ? compileInsert(statement, table, variables)
    : statement._tag === "Update"
    ? compileUpdate(statement, table, variables)
    : compileDelete(statement, table, variables)
  if (table.view !== undefined) throw invalid("Cannot directly modify a materialized view")
  return mutation
}
