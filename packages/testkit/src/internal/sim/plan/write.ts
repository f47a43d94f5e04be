/** Runs mutations: one, a conditional one, or a batch. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import type { ServerResponse } from "@effect-scylla/protocol/Response"
import type * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import { TokenWords } from "@effect-scylla/sharding/Token"
import { Buffer } from "node:buffer"
import { checkLevel } from "../cluster/topology.ts"
import { invalid, protocol } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { NEVER } from "../storage/cells.ts"
import type { Row } from "../storage/row.ts"
import type { Key, Partition } from "../storage/storage.ts"
import { checkBatchSize } from "./batchSize.ts"
import { judge, type Shown } from "./casCassandra.ts"
import type { RowCheck } from "./conditions.ts"
import { IndexFailure } from "./indexedValues.ts"
import { checkTuples } from "./keys.ts"
import { compileMutation, type Mutation, rowIn, type Staged } from "./modify.ts"
import { type Call, checkPaxos, type Plan, VOID } from "./plan.ts"
import { compileUsing, OUT_OF_BOUND } from "./using.ts"
import { type Bound, type Markers, Variables } from "./variables.ts"

const scratch = new TokenWords()

/** Counts a partition and refuses the request when too few of its replicas are alive. */
const route = (call: Call, table: Table, key: Key, level = call.options.consistency): void => {
  Murmur3.hashInto(key.bytes, 0, key.bytes.length, scratch)
  call.hi = scratch.hi
  call.lo = scratch.lo
  const replicas = call.topology.holders(table, scratch.hi, scratch.lo, call.node)
  call.topology.ensureAlive(table.keyspace, level, call.node, replicas)
}

/** The timestamp that the client sent with the request, or one of the server. */
const timestampOf = (call: Call): bigint => {
  const given = call.options.timestamp
  // The smallest number says that there is none; Cassandra refuses it.
  if (given === NEVER && call.isCassandra) throw protocol(OUT_OF_BOUND)
  return given === undefined || given === NEVER ? call.timestamp() : given
}

/** The client-sent timestamp does not count for conditional statements: Paxos has its own. */
const conditionalLevel = (call: Call): void => {
  const { consistency, serialConsistency } = call.options
  if (consistency === "SERIAL" || consistency === "LOCAL_SERIAL") {
    throw invalid(
      `${consistency} is not supported as conditional update commit consistency. Use ANY if you mean "make sure it is accepted but I don't care how many replicas commit it for non-SERIAL reads"`
    )
  }
  if (serialConsistency !== undefined && serialConsistency !== "SERIAL" && serialConsistency !== "LOCAL_SERIAL") {
    throw invalid("Invalid consistency for conditional update. Must be one of SERIAL or LOCAL_SERIAL")
  }
}

const applied = (table: Table): WireColumn => ({
  keyspace: table.keyspace.name,
  table: table.name,
  name: "[applied]",
  type: CqlType.scalar("boolean")
})

const TRUE = Uint8Array.of(1)
const FALSE = Uint8Array.of(0)

/** What is known of one conditional statement when it runs. */
interface Checked {
  readonly partition: Partition | undefined
  /** The row that it is about; `undefined` where it is about none, or there is none. */
  readonly row: Row | undefined
  /** Whether it is about static columns alone, or nothing of it is conditional. */
  readonly isStatic: boolean
  readonly condition: RowCheck | undefined
}

const shown = (column: Column, checked: Checked, now: number): Uint8Array | null => {
  const { condition, isStatic, partition, row } = checked
  if (partition === undefined) return null
  const isLive = row?.isLive(now) === true
  const isThere = isLive ||
    isStatic && (partition.statics.isLive(now) || partition.rows.some((each) => each.isLive(now)))
  switch (column.kind) {
    case "static":
      // A row that is asked for by itself says nothing of the partition when it is not there.
      return isThere || condition?.kind === "Columns" ? partition.statics.value(column, now) : null
    case "regular":
      return isLive && !isStatic ? row!.value(column, now) : null
    case "clustering":
      return isLive && !isStatic ? row!.clustering[column.position]! : null
    default:
      return isThere ? partition.components[column.position]! : null
  }
}

/** What a conditional statement answers about the row as it was; nulls where there was none. */
const outcome = (
  isApplied: boolean,
  columns: ReadonlyArray<Column>,
  checked: Checked,
  now: number
): ReadonlyArray<Uint8Array | null> => [
  isApplied ? TRUE : FALSE,
  ...columns.map((column) => shown(column, checked, now))
]

/** What Cassandra answers: of what was applied, and of rows that are not there, nothing but that. */
const saidByCassandra = (table: Table, shown: Shown | undefined): ServerResponse => ({
  _tag: "Rows",
  columns: [applied(table), ...(shown?.columns ?? []).map((column) => column.wire)],
  rows: shown === undefined ? [[TRUE]] : shown.rows.length === 0 ? [[FALSE]] : shown.rows.map((row) => [FALSE, ...row]),
  globalSpec: false
})

/** What a mutation does; what an index does not take is told as a failure of the write. */
const stage = (mutation: Mutation, call: Call, ...args: Parameters<Mutation["stage"]>): Staged => {
  try {
    mutation.table.computed?.read(call.node)
    return mutation.stage(...args)
  } catch (thrown) {
    throw thrown instanceof IndexFailure ? thrown.toServerError(call.options.consistency) : thrown
  }
}

/** What of it failed at replicas is returned: all of the statement is written first. */
const commit = (
  { isCounter, table }: Mutation,
  staged: Staged,
  key: Key,
  call: Call,
  writeType = isCounter ? "COUNTER" : "SIMPLE"
): ServerError.ServerError | undefined => {
  if (table.computed !== undefined) {
    table.computed.change(call.node, () => staged.apply(key))
    return undefined
  }
  staged.apply(key)
  if (call.replicas === undefined || table.keyspace.isSystem) return undefined
  Murmur3.hashInto(key.bytes, 0, key.bytes.length, scratch)
  const asking = { coordinator: call.node, level: call.options.consistency, isCassandra: call.isCassandra }
  return call.replicas.write(table, key, scratch, asking, writeType, (data) => staged.apply(key, data))
}

const throwFirst = (failures: ReadonlyArray<ServerError.ServerError | undefined>): void => {
  const failure = failures.find((each) => each !== undefined)
  if (failure !== undefined) throw failure
}

/** What a quorum knows of a partition, which is what conditions are about. */
const agreedOn = (table: Table, key: Key, call: Call): Partition | undefined => {
  if (call.replicas === undefined || table.keyspace.isSystem) return table.data.get(key.bytes)
  Murmur3.hashInto(key.bytes, 0, key.bytes.length, scratch)
  const level = call.options.serialConsistency ?? "SERIAL"
  return call.replicas.read(table, key.bytes, scratch, {
    coordinator: call.node,
    level,
    isCassandra: call.isCassandra
  })
}

const executeOne = (mutation: Mutation, call: Call): ServerResponse => {
  checkLevel(call.options.consistency, "write")
  const staged = stage(mutation, call, call.values, timestampOf(call), call.now)
  call.table = mutation.table
  call.partitions = staged.keys.length
  for (const key of staged.keys) {
    if (call.isCassandra) checkTuples(mutation.table.partitionKey, key)
    route(call, mutation.table, key)
    mutation.table.rateLimiter?.count("write", mutation.table, key.bytes, call)
  }
  for (const key of staged.keys) staged.check(key)
  const failures = staged.keys.map((key) => commit(mutation, staged, key, call))
  mutation.table.data.observer?.flush(call.now)
  throwFirst(failures)
  return VOID
}

/** The row that a condition is about: that of the static columns for a statement on them alone. */
const aboutOf = (mutation: Mutation, staged: Staged, partition: Partition | undefined): Row | undefined =>
  mutation.isStatic || staged.clustering === undefined ? partition?.statics : partition?.find(staged.clustering)

const executeConditional = (mutation: Mutation, result: ReadonlyArray<WireColumn>, call: Call): ServerResponse => {
  conditionalLevel(call)
  const { condition, table } = mutation
  checkPaxos(call, table)
  const [key] = mutation.keys(call.values) as [Key]
  const ballot = table.data.ballot(key.bytes, call.timestamp())
  const staged = stage(mutation, call, call.values, ballot, call.now, ballot)
  call.table = table
  call.partitions = 1
  route(call, table, key, call.options.serialConsistency ?? "SERIAL")
  table.rateLimiter?.count("write", table, key.bytes, call)
  const partition = agreedOn(table, key, call)
  if (call.isCassandra) {
    return runByCassandra([{ mutation, values: call.values }], [staged], key, partition, call, false)
  }
  const row = aboutOf(mutation, staged, partition)
  const isApplied = condition!.holds(call.values, partition, row, call.now)
  const checked: Checked = { partition, row, isStatic: mutation.isStatic, condition }
  const cells = outcome(isApplied, condition!.columns, checked, call.now)
  // Nothing is committed where nothing is applied.
  if (isApplied) commitAll([{ mutation, values: call.values }], [staged], key, call)
  return { _tag: "Rows", columns: result, rows: [cells], globalSpec: false, skipMetadata: call.options.skipMetadata }
}

/** Writes what conditions let through. */
const commitAll = (parts: ReadonlyArray<BatchPart>, staged: ReadonlyArray<Staged>, key: Key, call: Call): void => {
  const { table } = parts[0]!.mutation
  route(call, table, key)
  for (const each of staged) {
    each.check(key)
    each.read?.(key)
  }
  const failures = staged.map((each, i) => commit(parts[i]!.mutation, each, key, call, "CAS"))
  table.data.observer?.flush(call.now)
  throwFirst(failures)
}

const runByCassandra = (
  parts: ReadonlyArray<BatchPart>,
  staged: ReadonlyArray<Staged>,
  key: Key,
  partition: Partition | undefined,
  call: Call,
  isBatch: boolean
): ServerResponse => {
  const { table } = parts[0]!.mutation
  const asked = parts.map(({ mutation, values }, i) => ({ mutation, values, clustering: staged[i]!.clustering }))
  const shown = judge(table, asked, partition, call.now, isBatch)
  if (shown === undefined) commitAll(parts, staged, key, call)
  return saidByCassandra(table, shown)
}

/** The plan of a single modification. */
export const compileModification = (
  statement: Ast.Modification,
  table: Table,
  markers: Markers
): Plan => {
  const variables = new Variables(markers, table)
  const mutation = compileMutation(statement, table, variables)
  const { condition } = mutation
  const result = condition === undefined ? [] : [applied(table), ...condition.columns.map((column) => column.wire)]
  return {
    variables: variables.all,
    partitionKey: mutation.partitionKey,
    result,
    isConditional: condition !== undefined,
    tables: [table],
    mutation,
    execute: condition === undefined
      ? (call) => executeOne(mutation, call)
      : (call) => executeConditional(mutation, result, call)
  }
}

/** One statement of a batch with its values. */
export interface BatchPart {
  readonly mutation: Mutation
  readonly values: Bound
}

const checkKinds = (
  kind: Ast.BatchKind,
  parts: ReadonlyArray<BatchPart>,
  hasTimestamp: boolean,
  isCassandra: boolean
): void => {
  if (kind === "counter" && hasTimestamp) throw invalid("Cannot provide custom timestamp for counter BATCH")
  const mixed = "Counter and non-counter mutations cannot exist in the same batch"
  for (const { mutation } of parts) {
    if (!isCassandra && mutation.isCounter && kind === "logged") {
      throw invalid("Cannot include a counter statement in a logged batch")
    }
    if (!mutation.isCounter && kind === "counter") {
      throw invalid("Cannot include non-counter statement in a counter batch")
    }
    if (!isCassandra && mutation.isCounter !== parts[0]!.mutation.isCounter) throw invalid(mixed)
    if (hasTimestamp && mutation.hasTimestamp) {
      throw invalid("Timestamp must be set either on BATCH or individual statements")
    }
    if (hasTimestamp && mutation.isCounter) throw invalid("Cannot provide custom timestamp for counter BATCH")
  }
  if (!isCassandra) return
  // Cassandra looks at each by itself first.
  const counters = parts.filter(({ mutation }) => mutation.isCounter).length
  if (counters > 0 && counters < parts.length) throw invalid(mixed)
  if (counters > 0 && kind === "logged") throw invalid("Cannot include a counter statement in a logged batch")
}

/** The columns that a conditional batch answers: the key, and what any of its conditions asks for. */
const batchColumns = (parts: ReadonlyArray<BatchPart>): ReadonlyArray<Column> => {
  const table = parts[0]!.mutation.table
  const asked = new Set<Column>([...table.partitionKey, ...table.clustering])
  for (const { mutation } of parts) for (const column of mutation.condition?.columns ?? []) asked.add(column)
  return table.columns.filter((column) => asked.has(column))
}

const executeConditionalBatch = (parts: ReadonlyArray<BatchPart>, call: Call): ServerResponse => {
  conditionalLevel(call)
  const table = parts[0]!.mutation.table
  if (parts.some(({ mutation }) => mutation.table !== table)) {
    throw invalid(`${call.isCassandra ? "Batch" : "BATCH"} with conditions cannot span multiple tables`)
  }
  checkPaxos(call, table)
  const named = parts.map(({ mutation, values }) => mutation.keys(values))
  const key = named[0]![0]!
  for (const keys of named) {
    if (keys.length !== 1 || Buffer.compare(keys[0]!.bytes, key.bytes) !== 0) {
      throw invalid(`${call.isCassandra ? "Batch" : "BATCH"} with conditions cannot span multiple partitions`)
    }
  }
  const ballot = table.data.ballot(key.bytes, call.timestamp())
  const staged = parts.map(({ mutation, values }) => stage(mutation, call, values, ballot, call.now, ballot))
  call.table = table
  call.partitions = 1
  route(call, table, key, call.options.serialConsistency ?? "SERIAL")
  const partition = agreedOn(table, key, call)
  if (call.isCassandra) {
    if (parts.some(({ mutation }) => mutation.hasRowIn)) throw rowIn()
    return runByCassandra(parts, staged, key, partition, call, true)
  }
  const all = parts.map(({ mutation }, i): Checked => {
    const { condition } = mutation
    const isStatic = mutation.isStatic || condition === undefined
    return { partition, row: aboutOf(mutation, staged[i]!, partition), isStatic, condition }
  })
  const isApplied = parts.map(({ mutation: { condition }, values }, i) =>
    condition === undefined || condition.holds(values, partition, all[i]!.row, call.now)
  ).every((holds) => holds)
  const columns = batchColumns(parts)
  // Of what is not conditional ScyllaDB shows the partition, if it found something there.
  const isFound = all.some(({ condition, row }) => condition !== undefined && row?.isLive(call.now) === true) ||
    partition?.statics.isLive(call.now) === true ||
    (partition !== undefined && all.some(({ condition, isStatic }) => condition !== undefined && isStatic) &&
      partition.rows.some((row) => row.isLive(call.now)))
  const rows = all.map((each) => {
    if (each.isStatic && isFound && partition !== undefined) {
      const shared = columns.map((column) =>
        column.kind === "partition_key"
          ? partition.components[column.position]!
          : column.kind === "static"
          ? partition.statics.value(column, call.now)
          : null
      )
      shared.unshift(isApplied ? TRUE : FALSE)
      return shared
    }
    return outcome(isApplied, columns, each, call.now)
  })
  if (isApplied) commitAll(parts, staged, key, call)
  return { _tag: "Rows", columns: [applied(table), ...columns.map((column) => column.wire)], rows, globalSpec: false }
}

/** Partitions of an unlogged batch that Cassandra does not warn of. */
const WARN_PARTITIONS = 10

/** Runs a batch: everything is checked before anything is written. `timestamp` is that of `USING`. */
export const executeBatch = (
  kind: Ast.BatchKind,
  parts: ReadonlyArray<BatchPart>,
  call: Call,
  timestamp?: bigint
): ServerResponse => {
  checkKinds(kind, parts, timestamp !== undefined, call.isCassandra)
  if (parts.length === 0) return VOID
  if (parts.some(({ mutation }) => mutation.condition !== undefined)) {
    if (timestamp !== undefined) throw invalid("Cannot provide custom timestamp for conditional BATCH")
    return executeConditionalBatch(parts, call)
  }
  if (!call.isCassandra) checkLevel(call.options.consistency, "write")
  const fallback = timestamp ?? timestampOf(call)
  const staged: Array<readonly [Mutation, Staged]> = []
  const partitions = new Set<string>()
  for (const { mutation, values } of parts) {
    const each = stage(mutation, call, values, fallback, call.now)
    staged.push([mutation, each])
    call.table = mutation.table
    for (const key of each.keys) {
      if (call.isCassandra) checkTuples(mutation.table.partitionKey, key)
      route(call, mutation.table, key)
      mutation.table.rateLimiter?.count("write", mutation.table, key.bytes, call)
      partitions.add(`${mutation.table.keyspace.name}/${Buffer.from(key.bytes).toString("latin1")}`)
    }
  }
  call.partitions = partitions.size
  for (const [, each] of staged) {
    for (const key of each.keys) {
      each.check(key)
      each.read?.(key)
    }
  }
  const large = call.isCassandra ? checkBatchSize(staged) : undefined
  if (large !== undefined) call.warnings.push(large)
  const writeType = { logged: "BATCH", unlogged: "UNLOGGED_BATCH", counter: "COUNTER" }[kind]
  const failures = staged.flatMap(([mutation, each]) =>
    each.keys.map((key) => commit(mutation, each, key, call, writeType))
  )
  for (const { data } of new Set(parts.map(({ mutation }) => mutation.table))) data.observer?.flush(call.now)
  throwFirst(failures)
  if (kind === "unlogged" && call.isCassandra && partitions.size > WARN_PARTITIONS) {
    const tables = [...new Set(parts.map(({ mutation: { table } }) => `${table.keyspace.name}.${table.name}`))]
    call.warnings.push(
      `Unlogged batch covering ${partitions.size} partitions detected against table${tables.length === 1 ? "" : "s"} [${
        tables.join(", ")
      }]. You should use a logged batch for atomicity, or asynchronous writes for performance.`
    )
  }
  return VOID
}

/** Cassandra takes the last variable of each column of the key, whichever statement it is of. */
const keyAmong = (variables: ReadonlyArray<WireColumn>, table: Table | undefined): ReadonlyArray<number> => {
  const found = (table?.partitionKey ?? []).map(({ name }) => variables.findLastIndex((each) => each.name === name))
  return found.includes(-1) ? [] : found
}

/** The plan of `BEGIN BATCH … APPLY BATCH`. `find` looks tables up. */
export const compileBatch = (
  statement: Ast.Batch,
  find: (name: Ast.TableName) => Table,
  markers: Markers
): Plan => {
  const tables = statement.statements.map((each) => find(each.table))
  const first = tables[0]
  const variables = new Variables(markers, first)
  const using = variables.ofNone("[batch]", () => compileUsing(statement.using, undefined, variables))
  const mutations = statement.statements.map((each, i) => {
    const table = tables[i]!
    variables.of(table)
    return compileMutation(each, table, variables)
  })
  const hasTimestamp = statement.using.timestamp !== undefined
  checkKinds(
    statement.kind,
    mutations.map((mutation) => ({ mutation, values: [] })),
    hasTimestamp,
    markers.product === "cassandra"
  )
  const conditional = mutations.some((mutation) => mutation.condition !== undefined)
  return {
    variables: variables.all,
    partitionKey: !tables.every((table) => table === first) || statement.using.timestamp?._tag === "Marker"
      ? []
      : markers.product === "cassandra"
      ? keyAmong(variables.all, first)
      : mutations[mutations.length - 1]?.partitionKey ?? [],
    result: conditional
      ? [
        applied(first!),
        ...batchColumns(mutations.map((mutation) => ({ mutation, values: [] }))).map((column) => column.wire)
      ]
      : [],
    isConditional: conditional,
    tables,
    mutation: undefined,
    execute: (call) => {
      const parts = mutations.map((mutation): BatchPart => ({ mutation, values: call.values }))
      return executeBatch(
        statement.kind,
        parts,
        call,
        hasTimestamp ? using.timestamp(call.values, call.timestamp()) : undefined
      )
    }
  }
}
