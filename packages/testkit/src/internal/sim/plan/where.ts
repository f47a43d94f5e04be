/** WHERE clauses, compiled: partitions, ranges of clustering keys, and what rows must be beside that. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { maxComponentLength } from "@effect-scylla/sharding/RoutingKey"
import * as RoutingKey from "@effect-scylla/sharding/RoutingKey"
import { internal, invalid, unsupported } from "../failure.ts"
import type { Comparison, Relation, Term } from "../parse/ast.ts"
import { type Column, type Index, type Table } from "../schema/schema.ts"
import { type Comparator, comparatorOf, elements, entries, fieldsOf } from "../storage/compare.ts"
import type { Bounds, Clustering, Key } from "../storage/storage.ts"
import { readInt64 } from "../storage/values.ts"
import { compile, fits, textOf } from "./terms.ts"
import type { Bound, Compiled, Variables, View } from "./variables.ts"

const FILTERING = "Cannot execute this query as it might involve data filtering and thus may have unpredictable " +
  "performance. If you want to execute this query despite the performance unpredictability, use ALLOW FILTERING"

/** What ScyllaDB still lets pass. */
export const SHOULD_FILTER = "This query should use ALLOW FILTERING and will be rejected in future versions."

export type Verb = "SELECT" | "INSERT" | "UPDATE" | "DELETE"

export type Filter = (values: Bound, view: View) => boolean

/** A column of a table, or what the product says when there is none. */
export const columnOf = (
  table: Table,
  name: string,
  variables: Variables,
  scylla: (name: string) => string = (each) => `Unrecognized name ${each}`
): Column => {
  const found = table.byName.get(name)
  if (found === undefined) {
    throw invalid(
      variables.say(scylla(name), `Undefined column name ${name} in table ${table.keyspace.name}.${table.name}`)
    )
  }
  return found
}

/** The value of a column as a row shows it. */
export const valueOf = (column: Column, { now, partition, row }: View): Uint8Array | null => {
  switch (column.kind) {
    case "partition_key":
      return partition.components[column.position]!
    case "clustering":
      return row === undefined ? null : row.clustering[column.position]!
    case "static":
      return partition.statics.value(column, now)
    default:
      return row === undefined ? null : row.value(column, now)
  }
}

/** Whether a value that is there stands so to another. */
export const compares = (op: Comparison, side: number): boolean => {
  switch (op) {
    case "=":
      return side === 0
    case "!=":
      return side !== 0
    case "<":
      return side < 0
    case "<=":
      return side <= 0
    case ">":
      return side > 0
    case ">=":
      return side >= 0
  }
}

/** The value that a column is compared with; `null` where ScyllaDB finds no rows for it. */
type Value = (values: Bound) => Uint8Array | null

const unsetOf = (term: Term | undefined, variables: Variables, cassandra: string): Error =>
  invalid(
    variables.say(
      `Unexpected unset value for bind variable ${term?._tag === "Marker" ? term.index : 0}`,
      cassandra
    )
  )

/** The value of a column in a restriction. Null is no value: an error, or nothing found. */
const restrictTo = (
  term: Term,
  compiled: Compiled,
  column: Column,
  verb: Verb,
  variables: Variables
): Value => {
  const findsNothing = verb === "SELECT" && variables.product === "scylla"
  return (values) => {
    const bytes = compiled(values)
    if (bytes === Unset) throw unsetOf(term, variables, `Invalid unset value for column ${column.name}`)
    if (bytes === null && !findsNothing) throw invalid(`Invalid null value in condition for column ${column.name}`)
    return bytes as Uint8Array | null
  }
}

/** What a key column must be: one value, or one of several. */
type Restriction =
  | { readonly _tag: "One"; readonly value: Value; readonly marker: number }
  | { readonly _tag: "Many"; readonly list: (values: Bound) => ReadonlyArray<Uint8Array> }

type Side = { readonly value: Value; readonly inclusive: boolean }

export interface TokenBounds {
  readonly lower: { readonly token: bigint; readonly inclusive: boolean } | undefined
  readonly upper: { readonly token: bigint; readonly inclusive: boolean } | undefined
}

export interface Where {
  /** Whether partitions are named; else it is a scan. */
  readonly hasKeys: boolean
  /** At most one partition. */
  readonly isSinglePartition: boolean
  /** Whether each range is a whole clustering key. */
  readonly isFullKey: boolean
  /** Whether the ranges are less than the whole partition. */
  readonly restrictsClustering: boolean
  readonly keys: (values: Bound) => ReadonlyArray<Key>
  /** Ranges in clustering order. */
  readonly ranges: (values: Bound) => ReadonlyArray<Bounds>
  /** `undefined` for a token that nothing has. */
  readonly tokens: ((values: Bound) => TokenBounds | undefined) | undefined
  /** What else rows must be. */
  readonly filters: ReadonlyArray<Filter>
  /** Columns that are restricted, for rules about them. */
  readonly restricted: ReadonlySet<Column>
  /** Key columns that are one value. */
  readonly fixed: ReadonlySet<Column>
  readonly warnings: ReadonlyArray<string>
  /** Key columns that are not restricted to values. */
  readonly missing: { readonly partition: ReadonlyArray<Column>; readonly clustering: ReadonlyArray<Column> }
  /** Positions of the partition key among the variables, if all of it is bound. */
  readonly partitionKey: ReadonlyArray<number>
}

const tidied = (list: Array<Uint8Array>, compare: Comparator): ReadonlyArray<Uint8Array> => {
  list.sort(compare)
  return list.filter((value, i) => i === 0 || compare(list[i - 1]!, value) !== 0)
}

/** The values of an IN, without nulls where they find nothing. */
const inList = (
  column: Pick<Column, "name" | "type">,
  type: CqlType.CqlType,
  terms: ReadonlyArray<Term> | Term,
  verb: Verb,
  variables: Variables
): (values: Bound) => Array<Uint8Array> => {
  const { name } = column
  if (!Array.isArray(terms)) {
    const term = terms as Term
    const compiled = compile(term, CqlType.list(type), `${variables.inName}(${name})`, variables)
    return (values) => {
      const bytes = compiled(values)
      if (bytes === Unset) throw unsetOf(term, variables, `Invalid unset value for column ${name}`)
      if (bytes === null) {
        if (verb === "SELECT" && variables.product === "scylla") return []
        throw invalid(`Invalid null value for column ${name}`)
      }
      const found = (bytes as Uint8Array).length === 0 ? [] : elements(bytes as Uint8Array)
      if (!(found as ReadonlyArray<Uint8Array | null>).includes(null)) return found
      if (verb === "SELECT" && variables.product === "scylla") {
        return (found as ReadonlyArray<Uint8Array | null>).filter((each) => each !== null)
      }
      throw invalid(`Invalid null value in condition for column ${name}`)
    }
  }
  const itemName = variables.say(`value(${variables.inName}(${name}))`, name)
  const items = (terms as ReadonlyArray<Term>).map((term) =>
    restrictTo(
      term,
      compile(term, type, term._tag === "Marker" ? itemName : name, variables),
      column as Column,
      verb,
      variables
    )
  )
  return (values) =>
    items.flatMap((item) => {
      const bytes = item(values)
      return bytes === null ? [] : [bytes]
    })
}

/** Cassandra takes as many as it has memory for. */
const MOST = 65_535

/** Most combinations that one statement of ScyllaDB may name (`max_partition_key_restrictions_per_query` and its like). */
const MAX_PRODUCT = 100

/** Every combination of the restrictions' values, the last column varying fastest. */
const product = (
  restrictions: ReadonlyArray<Restriction>,
  values: Bound,
  part: "partition" | "clustering",
  product: Variables["product"]
): ReadonlyArray<Clustering> => {
  let out: Array<Array<Uint8Array>> = [[]]
  for (const restriction of restrictions) {
    const one = restriction._tag === "One" ? restriction.value(values) : null
    const options = restriction._tag === "Many" ? restriction.list(values) : one === null ? [] : [one]
    const size = out.length * options.length
    if (product === "scylla" && size > MAX_PRODUCT) {
      throw internal(
        `size of ${part}-key IN list or ${part}-key cartesian product of IN list ${size} is greater than maximum ` +
          `${MAX_PRODUCT}. Use --max-${part}-key-restrictions-per-query configuration option to change default setting.`
      )
    }
    if (size > MOST) throw unsupported(`more than ${MOST} combinations of values of IN`)
    const next: Array<Array<Uint8Array>> = []
    for (const prefix of out) for (const option of options) next.push(prefix.concat(option))
    out = next
  }
  return out
}

/** ScyllaDB counts the lengths of the parts of a key, too. */
const checkSize = (parts: Clustering): void => {
  const size = parts.reduce((sum, part) => sum + part.length + 2, 0)
  if (size > maxComponentLength) throw internal(`Key size too large: ${size} > ${maxComponentLength}`)
}

/** The key of a partition; throws for what no server stores. */
export const makeKey = (components: ReadonlyArray<Uint8Array>, product?: Variables["product"]): Key => {
  if (product === "scylla") checkSize(components)
  if (components.length === 1 && components[0]!.length === 0) throw invalid("Key may not be empty")
  for (const component of components) {
    if (component.length > maxComponentLength) {
      throw invalid(`Key length of ${component.length} is longer than maximum of ${maxComponentLength}`)
    }
  }
  return { components, bytes: RoutingKey.compose(components) }
}

/** Relations of one column, sorted out; what is more than that is a filter. */
interface Collected {
  equal: Term | undefined
  list: ReadonlyArray<Term> | Term | undefined
  lower: { readonly term: Term; readonly inclusive: boolean } | undefined
  upper: { readonly term: Term; readonly inclusive: boolean } | undefined
}

const nothing = (): Collected => ({ equal: undefined, list: undefined, lower: undefined, upper: undefined })

/** Takes a relation among the others of its column; `false` for one too many, which ScyllaDB takes as one more filter. */
const collect = (found: Collected, op: Comparison, term: Term, name: string, variables: Variables): boolean => {
  const tooMany = (message: string): false => {
    if (variables.product === "cassandra") throw invalid(message)
    return false
  }
  const equal = (): false => tooMany(`${name} cannot be restricted by more than one relation if it includes an Equal`)
  switch (op) {
    case "=":
      if ((found.equal ?? found.list ?? found.lower ?? found.upper) !== undefined) {
        return found.list === undefined
          ? equal()
          : tooMany(`${name} cannot be restricted by more than one relation if it includes a IN`)
      }
      found.equal = term
      return true
    case "<":
    case "<=":
      if (found.equal !== undefined) return equal()
      if (found.upper !== undefined) {
        return tooMany(`More than one restriction was found for the end bound on ${name}`)
      }
      found.upper = { term, inclusive: op === "<=" }
      return true
    case ">":
    case ">=":
      if (found.equal !== undefined) return equal()
      if (found.lower !== undefined) {
        return tooMany(`More than one restriction was found for the start bound on ${name}`)
      }
      found.lower = { term, inclusive: op === ">=" }
      return true
    case "!=":
      throw invalid(`Unsupported "!=" relation: ${name} != ${textOf(term, variables.product)}`)
  }
}

const compileTokens = (
  relations: ReadonlyArray<Extract<Relation, { readonly _tag: "Token" }>>,
  table: Table,
  variables: Variables
): (values: Bound) => TokenBounds | undefined => {
  const key = table.partitionKey.map((column) => column.name)
  const bounds: Array<{ readonly op: Comparison; readonly token: (values: Bound) => bigint | undefined }> = []
  const seen = nothing()
  for (const { columns, op, term } of relations) {
    if (columns.join() !== key.join()) {
      for (const name of columns) columnOf(table, name, variables)
      if (variables.product === "scylla") {
        throw invalid(
          columns.length === key.length
            ? `The token function arguments must be in the partition key order: ${key.join(", ")}`
            : `Invalid number of arguments in call to function system.token: ${key.length} required but ${columns.length} provided`
        )
      }
      throw invalid(
        columns.length > key.length
          ? "The token() function must contains only partition key components"
          : columns.every((name) => key.includes(name)) && columns.length === key.length
          ? `The token function arguments must be in the partition key order: ${key.join(", ")}`
          : "The token() function must be applied to all partition key components or none of them"
      )
    }
    if (op === "!=") {
      throw invalid(
        `Unsupported "!=" relation: token(${columns.join(", ")}) != ${textOf(term, variables.product)}`
      )
    }
    collect(seen, op, term, key.join(", "), variables)
    const compiled = compile(term, CqlType.scalar("bigint"), "partition key token", variables)
    bounds.push({
      op,
      token: (values) => {
        const bytes = compiled(values)
        if (bytes === Unset) throw unsetOf(term, variables, "Invalid unset token value")
        if (bytes === null) {
          if (variables.product === "scylla") return undefined
          throw invalid("Invalid null token value")
        }
        return readInt64(bytes as Uint8Array)
      }
    })
  }
  return (values) => {
    let lower: TokenBounds["lower"]
    let upper: TokenBounds["upper"]
    for (const { op, token: read } of bounds) {
      const token = read(values)
      if (token === undefined) return undefined
      const inclusive = op === "=" || op === ">=" || op === "<="
      if (op === "=" || op === ">" || op === ">=") {
        const isTighter = lower === undefined || token > lower.token || (token === lower.token && !inclusive)
        if (isTighter) lower = { token, inclusive }
      }
      if (op === "=" || op === "<" || op === "<=") {
        const isTighter = upper === undefined || token < upper.token || (token === upper.token && !inclusive)
        if (isTighter) upper = { token, inclusive }
      }
    }
    return { lower, upper }
  }
}

/** A relation as a condition on rows. */
const filterOf = (
  relation: Relation,
  table: Table,
  variables: Variables,
  verb: Verb
): { readonly column: Column; readonly holds: Filter } => {
  if (
    relation._tag === "Multi" || relation._tag === "MultiIn" || relation._tag === "Token" || relation._tag === "Other"
  ) {
    throw unsupported(relation._tag === "Other" ? relation.what : "this relation where rows are filtered")
  }
  const column = columnOf(table, relation.column, variables)
  const { cql } = column.type
  const ordered = (type: CqlType.CqlType): Comparator => {
    const compare = comparatorOf(type)
    if (compare !== undefined) return compare
    throw unsupported(`a relation on ${column.name}, whose type has no order`)
  }
  /** ScyllaDB finds nothing for null. */
  const wanted = (
    term: Term,
    type: CqlType.CqlType,
    name: string
  ): (values: Bound, view: View) => Uint8Array | null => {
    const compiled = compile(term, type, name, variables)
    return (values, view) => {
      const bytes = compiled(values, view)
      if (bytes === Unset) throw unsetOf(term, variables, `Invalid unset value for column ${column.name}`)
      if (bytes === null && variables.product === "cassandra") {
        throw unsupported(`a filter by null on ${column.name}`)
      }
      return bytes as Uint8Array | null
    }
  }
  switch (relation._tag) {
    case "Column": {
      if (relation.op === "!=") {
        throw invalid(
          `Unsupported "!=" relation: ${column.name} != ${textOf(relation.term, variables.product)}`
        )
      }
      const compare = ordered(cql)
      const value = wanted(relation.term, cql, column.name)
      return {
        column,
        holds: (values, view) => {
          const to = value(values, view)
          const actual = valueOf(column, view)
          return to !== null && actual !== null && compares(relation.op, compare(actual, to))
        }
      }
    }
    case "In": {
      const compare = ordered(cql)
      const list = inList(column, cql, relation.terms, verb, variables)
      return {
        column,
        holds: (values, view) => {
          const actual = valueOf(column, view)
          return actual !== null && list(values).some((each) => compare(each, actual) === 0)
        }
      }
    }
    case "Contains": {
      if (cql._tag !== "List" && cql._tag !== "Set" && cql._tag !== "Map") {
        throw invalid(
          variables.say(
            `Cannot use CONTAINS${relation.isKey ? " KEY" : ""} on non-collection column ${column.name}`,
            `Cannot use CONTAINS${relation.isKey ? " KEY" : ""} on non-collection column ${column.name}`
          )
        )
      }
      if (relation.isKey && cql._tag !== "Map") {
        throw invalid(`Cannot use CONTAINS KEY on non-map column ${column.name}`)
      }
      const type = cql._tag === "Map" ? (relation.isKey ? cql.key : cql.value) : cql.element
      const compare = ordered(type)
      const value = wanted(relation.term, type, `${relation.isKey ? "key" : "value"}(${column.name})`)
      return {
        column,
        holds: (values, view) => {
          const to = value(values, view)
          const actual = valueOf(column, view)
          if (to === null || actual === null) return false
          const parts = cql._tag === "Map"
            ? entries(actual).filter((_, i) => (i % 2 === 0) === relation.isKey)
            : elements(actual)
          return parts.some((each) => compare(each, to) === 0)
        }
      }
    }
    case "Element": {
      if (cql._tag !== "Map" || relation.op === "in") {
        throw unsupported("a relation on an element that is not one of a map")
      }
      if (relation.op !== "=") throw unsupported("a relation on an element of a map other than =")
      const key = wanted(relation.key, cql.key, `key(${column.name})`)
      const value = wanted(relation.terms as Term, cql.value, `value(${column.name})`)
      const compareKeys = ordered(cql.key)
      const compareValues = ordered(cql.value)
      return {
        column,
        holds: (values, view) => {
          const at = key(values, view)
          const to = value(values, view)
          const actual = valueOf(column, view)
          if (at === null || to === null || actual === null) return false
          const flat = entries(actual)
          for (let i = 0; i < flat.length; i += 2) {
            if (compareKeys(flat[i]!, at) === 0) return compareValues(flat[i + 1]!, to) === 0
          }
          return false
        }
      }
    }
    case "Like":
      return { column, holds: likeFilter(relation, column, variables) }
    case "NotNull":
      throw invalid(
        variables.say(
          `restriction '${column.name} IS NOT null' is only supported in materialized view creation`,
          `Unsupported restriction: ${column.name} IS NOT NULL`
        )
      )
  }
}

/** A pattern with `%` for anything; a backslash takes the meaning from what follows. */
export const likePattern = (pattern: string): RegExp => {
  let out = "^"
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!
    if (char === "%") out += "[^]*"
    else if (char === "_") out += "[^]"
    else {
      const literal = char === "\\" && i + 1 < pattern.length ? pattern[++i]! : char
      out += literal.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&")
    }
  }
  return new RegExp(`${out}$`, "u")
}

const likeFilter = (
  relation: Extract<Relation, { readonly _tag: "Like" }>,
  column: Column,
  variables: Variables
): Filter => {
  const { cql } = column.type
  const isText = cql._tag === "Scalar" && (cql.name === "text" || cql.name === "ascii")
  if (variables.product === "cassandra") {
    compile(relation.term, cql, column.name, variables)
    throw invalid(
      `LIKE restriction is only supported on properly indexed columns. ${column.name} LIKE ${
        textOf(relation.term, variables.product)
      } is not valid.`
    )
  }
  if (!isText) throw invalid(`LIKE is allowed only on string types, which ${column.name} is not`)
  const value = compile(relation.term, cql, column.name, variables)
  const text = new TextDecoder()
  return (values, view) => {
    const to = value(values, view)
    const actual = valueOf(column, view)
    if (!(to instanceof Uint8Array) || actual === null) return false
    return likePattern(text.decode(to)).test(text.decode(actual))
  }
}

/** Whether an index finds what a relation asks for. */
const isIndexed = (relation: Relation, index: Index): boolean => {
  if (!("column" in relation) || relation.column !== index.column.name) return false
  const { type } = index.column
  switch (relation._tag) {
    case "Column":
      return relation.op === "=" && (index.part === "full" || (!type.multiCell && index.part === "values"))
    case "Contains":
      return relation.isKey ? index.part === "keys" : index.part === "values" && type.multiCell
    case "Element":
      return relation.op === "=" && index.part === "entries"
    default:
      return false
  }
}

interface Multi {
  readonly columns: ReadonlyArray<Column>
  readonly op: Comparison | "in"
  readonly terms: ReadonlyArray<Term> | Term
}

const multiText = (columns: ReadonlyArray<string>, op: string, term: string): string =>
  `(${columns.join(", ")}) ${op} ${term}`

const multiOf = (
  relation: Extract<Relation, { readonly _tag: "Multi" | "MultiIn" }>,
  table: Table,
  variables: Variables
): Multi => {
  const columns = relation.columns.map((name) => columnOf(table, name, variables))
  const text = (): string =>
    relation._tag === "Multi"
      ? multiText(relation.columns, relation.op, textOf(relation.term, variables.product))
      : multiText(relation.columns, "IN", "…")
  for (const column of columns) {
    if (column.kind !== "clustering") {
      throw invalid(
        `Multi-column relations can only be applied to clustering columns but was applied to: ${column.name}`
      )
    }
  }
  const twice = columns.find((column, i) => columns.indexOf(column) < i)
  if (variables.product === "cassandra" && twice !== undefined) {
    throw invalid(`Column "${twice.name}" appeared twice in a relation: ${text()}`)
  }
  columns.forEach(({ position }, i) => {
    if (i === 0 && position > 0 && variables.product === "scylla") {
      throw invalid(
        "Clustering columns may not be skipped in multi-column relations. They should appear in the PRIMARY KEY order"
      )
    }
    if (i > 0 && position !== columns[i - 1]!.position + 1) {
      throw invalid(
        `Clustering columns must appear in the PRIMARY KEY order in multi-column relations${
          variables.say("", `: ${text()}`)
        }`
      )
    }
  })
  if (relation._tag === "MultiIn") return { columns, op: "in", terms: relation.terms }
  const { term } = relation
  if (relation.op === "!=") throw invalid(`Unsupported "!=" relation: ${text()}`)
  if (term._tag === "Tuple" && term.items.length !== columns.length) {
    throw invalid(
      `Expected ${columns.length} elements in value tuple, but got ${term.items.length}: ${
        textOf(term, variables.product)
      }`
    )
  }
  return { columns, op: relation.op, terms: term }
}

/** The values of a tuple that several columns are compared with. */
const tupleOf = (
  term: Term,
  columns: ReadonlyArray<Column>,
  verb: Verb,
  variables: Variables,
  name?: string
): (values: Bound) => Clustering | undefined => {
  if (term._tag === "Tuple") {
    const parts = columns.map((column, i) => {
      const item = term.items[i]!
      if (variables.product === "scylla" && fits(item, column.type.cql, variables) === "no") {
        throw invalid(
          `Invalid tuple literal for (${columns.map((each) => each.name).join(",")}): component ${i} is not of type ${
            CqlType.format(column.type.cql)
          }`
        )
      }
      const itemName = variables.say(`(${columns.map((each) => each.name).join(",")})[${i}]`, column.name)
      const compiled = compile(item, column.type.cql, item._tag === "Marker" ? itemName : column.name, variables)
      return restrictTo(item, compiled, column, "INSERT", variables)
    })
    return (values) => parts.map((part) => part(values)!)
  }
  const type = CqlType.tuple(...columns.map((column) => column.type.cql))
  const compiled = compile(term, type, name ?? `(${columns.map((column) => column.name).join(",")})`, variables)
  return (values) => {
    const bytes = compiled(values)
    if (bytes === Unset) throw unsetOf(term, variables, "Invalid unset value for tuple")
    if (bytes === null) {
      if (verb === "SELECT" && variables.product === "scylla") return undefined
      throw invalid("Invalid null value in condition for columns")
    }
    return partsOf(bytes as Uint8Array, columns)
  }
}

const partsOf = (bytes: Uint8Array, columns: ReadonlyArray<Column>): Clustering => {
  const parts = fieldsOf(bytes, columns.length)
  return columns.map((column, i) => {
    const part = parts[i] ?? null
    if (part === null) throw invalid(`Invalid null value in condition for column ${column.name}`)
    return part
  })
}

/** Compares parts of a clustering key as values, whatever the clustering order is. */
const compareTuples = (clustering: Clustering, to: Clustering, columns: ReadonlyArray<Column>): number => {
  for (let i = 0; i < columns.length; i++) {
    const { position, type } = columns[i]!
    const side = comparatorOf(type.cql)!(clustering[position]!, to[i]!)
    if (side !== 0) return side
  }
  return 0
}

/** Compiles a WHERE clause; throws INVALID for what the statement cannot ask for. */
export const compileWhere = (
  relations: ReadonlyArray<Relation>,
  table: Table,
  variables: Variables,
  verb: Verb,
  allowFiltering = false
): Where => {
  const byColumn = new Map<Column, Collected>()
  const restricted = new Set<Column>()
  const tokens: Array<Extract<Relation, { readonly _tag: "Token" }>> = []
  const multis: Array<Multi> = []
  /** Relations that rows are looked at for, in the order of the text. */
  const looked: Array<Relation> = []
  /** Relations of key columns beyond those that a key is made of: they cost no filtering. */
  const free: Array<Relation> = []
  const index = verb === "SELECT"
    ? table.indexes.find((each) =>
      relations.some((relation) => isIndexed(relation, each)) &&
      (!each.isLocal || table.partitionKey.every((column) =>
        relations.some((relation) =>
          relation._tag === "Column" && relation.op === "=" && relation.column === column.name
        )
      ))
    )
    : undefined
  const isAllowed = allowFiltering || index !== undefined

  for (const relation of relations) {
    switch (relation._tag) {
      case "Other":
        throw unsupported(relation.what)
      case "Token":
        tokens.push(relation)
        continue
      case "Multi":
      case "MultiIn": {
        const multi = multiOf(relation, table, variables)
        multis.push(multi)
        for (const column of multi.columns) restricted.add(column)
        continue
      }
      default:
    }
    const column = columnOf(table, relation.column, variables)
    restricted.add(column)
    if (relation._tag === "Like") likeFilter(relation, column, variables)
    const isKey = column.kind === "partition_key" || column.kind === "clustering"
    if (!isKey || (relation._tag !== "Column" && relation._tag !== "In")) {
      if (isKey && !isAllowed && relation._tag === "Contains") {
        throw invalid(
          variables.say(
            `Cannot restrict ${
              column.kind === "clustering" ? "clustering columns" : "partition key"
            } by a CONTAINS relation without a secondary index or filtering`,
            `${
              column.kind === "clustering" ? "Clustering columns" : "Partition key columns"
            } can only be restricted with CONTAINS with a secondary index or filtering`
          )
        )
      }
      looked.push(relation)
      continue
    }
    const found = byColumn.get(column) ?? nothing()
    byColumn.set(column, found)
    if (relation._tag === "In") {
      if ((found.list ?? found.equal ?? found.lower ?? found.upper) !== undefined) {
        if (variables.product === "cassandra") {
          throw invalid(
            `${column.name} cannot be restricted by more than one relation if it includes a${
              found.equal === undefined ? " IN" : "n Equal"
            }`
          )
        }
        free.push(relation)
      } else found.list = relation.terms
    } else if (!collect(found, relation.op, relation.term, column.name, variables)) free.push(relation)
  }

  let needsFiltering = false
  const filtered = (column: Column): void => {
    needsFiltering = true
    for (const relation of relations) {
      if ("column" in relation && relation.column === column.name && !looked.includes(relation)) looked.push(relation)
    }
  }

  const partition: Array<Restriction> = []
  const missingPartition: Array<Column> = []
  let slicedKey: Column | undefined
  for (const column of table.partitionKey) {
    const found = byColumn.get(column)
    if (found?.equal !== undefined) {
      const { equal } = found
      const value = restrictTo(equal, compile(equal, column.type.cql, column.name, variables), column, verb, variables)
      partition.push({ _tag: "One", value, marker: equal._tag === "Marker" ? equal.index : -1 })
    } else if (found?.list !== undefined) {
      const list = inList(column, column.type.cql, found.list, verb, variables)
      const compare = comparatorOf(column.type.cql)!
      partition.push({ _tag: "Many", list: (values) => tidied(list(values), compare) })
    } else {
      if (found !== undefined) slicedKey = column
      missingPartition.push(column)
    }
  }
  const hasKeys = missingPartition.length === 0
  if (slicedKey !== undefined && !isAllowed) {
    if (verb !== "SELECT") {
      throw invalid(
        variables.say(
          "Only EQ and IN relation are supported on the partition key (unless you use the token() function or ALLOW FILTERING)",
          `Only EQ and IN relation are supported on the partition key (unless you use the token() function) for ${verb} statements`
        )
      )
    }
    throw invalid(
      variables.say(
        "Only EQ and IN relation are supported on the partition key (unless you use the token() function or ALLOW FILTERING)",
        FILTERING
      )
    )
  }
  if (tokens.length > 0 && (partition.length > 0 || slicedKey !== undefined)) {
    if (variables.product === "scylla") {
      const column = table.partitionKey.find((each) => byColumn.has(each))!
      throw invalid(
        `Columns "ColumnDefinition{name=${column.name}, type=org.apache.cassandra.db.marshal.${CqlType.className(
          column.type.cql
        ).split(".")
          .pop()!}, kind=PARTITION_KEY, componentIndex=${column.position}, droppedAt=-9223372036854775808}" cannot be restricted by both a normal relation and a token relation`
      )
    }
  }
  if (!hasKeys) { for (const column of table.partitionKey) if (byColumn.has(column)) filtered(column) }
  // What an index finds needs no filtering, a part of the partition key either.
  const scansPart = needsFiltering &&
    !(index !== undefined && table.partitionKey.every((column) => !byColumn.has(column) || index.column === column))

  const clustering: Array<Restriction> = []
  let range: { readonly lower: Side | undefined; readonly upper: Side | undefined } | undefined
  let ended: { readonly column: Column; readonly isSlice: boolean } | undefined
  let test: ((values: Bound) => ((clustering: Clustering) => boolean) | undefined) | undefined
  let tuples: ((values: Bound) => ReadonlyArray<Clustering>) | undefined
  const missingClustering: Array<Column> = []
  let restrictsClustering = false

  if (multis.length > 0) {
    const names = multis[0]!.columns.map((column) => column.name).join(" ,")
    if (variables.product === "scylla" && table.clustering.some((column) => byColumn.has(column))) {
      throw invalid("Mixing single column relations and multi column relations on clustering columns is not allowed")
    }
    const equals = multis.filter(({ op }) => op === "=" || op === "in")
    if (equals.length > 0 && multis.length > 1) {
      throw invalid(`${names} cannot be restricted by more than one relation if it includes an Equal`)
    }
    for (const side of ["<", ">"]) {
      if (multis.filter(({ op }) => op[0] === side).length > 1) {
        throw invalid(`More than one restriction was found for the ${side === ">" ? "start" : "end"} bound on ${names}`)
      }
    }
    restrictsClustering = true
  }
  for (const column of table.clustering) {
    const found = byColumn.get(column)
    if (found === undefined) {
      if (multis.some(({ columns, op }) => columns.includes(column) && (op === "=" || op === "in"))) continue
      missingClustering.push(column)
      ended ??= { column, isSlice: multis.some(({ columns }) => columns.includes(column)) }
      continue
    }
    restrictsClustering = true
    if (ended !== undefined) {
      if (multis.length > 0 && ended.isSlice) {
        // Beside a relation over several columns another one is one more condition on the same rows.
        looked.push(...relations.filter((relation) => "column" in relation && relation.column === column.name))
        continue
      }
      if (!isAllowed) {
        throw invalid(
          ended.isSlice
            ? `Clustering column "${column.name}" cannot be restricted (preceding column "${ended.column.name}" is restricted by a non-EQ relation)`
            : `PRIMARY KEY column "${column.name}" cannot be restricted as preceding column "${ended.column.name}" is not restricted`
        )
      }
      filtered(column)
      continue
    }
    if (found.equal !== undefined) {
      const { equal } = found
      const value = restrictTo(equal, compile(equal, column.type.cql, column.name, variables), column, verb, variables)
      clustering.push({ _tag: "One", value, marker: -1 })
      continue
    }
    if (found.list !== undefined) {
      const list = inList(column, column.type.cql, found.list, verb, variables)
      const compare = comparatorOf(column.type.cql)!
      clustering.push({ _tag: "Many", list: (values) => tidied(list(values), compare) })
      continue
    }
    missingClustering.push(column)
    const side = (of: Collected["lower"], isLower: boolean): Side | undefined => {
      if (of === undefined) return undefined
      const compiled = compile(of.term, column.type.cql, column.name, variables)
      return {
        inclusive: of.inclusive,
        value: (values) => {
          const bytes = compiled(values)
          if (bytes === Unset) throw unsetOf(of.term, variables, `Invalid unset value for column ${column.name}`)
          if (bytes === null && variables.product === "cassandra" && (verb !== "SELECT" || !isLower)) {
            throw unsupported(`a range up to null on ${column.name}`)
          }
          return bytes as Uint8Array | null
        }
      }
    }
    const lower = side(found.lower, true)
    const upper = side(found.upper, false)
    // Bounds are kept in clustering order: a descending column turns them around.
    range = column.descending ? { lower: upper, upper: lower } : { lower, upper }
    ended = { column, isSlice: true }
  }
  for (const multi of multis) {
    const { columns, op, terms } = multi
    if (op === "=" || op === "in") {
      if (columns[0]!.position > 0 && clustering.length < columns[0]!.position) {
        throw invalid(
          `PRIMARY KEY column "${columns[0]!.name}" cannot be restricted as preceding column "${
            table.clustering[clustering.length]!.name
          }" is not restricted`
        )
      }
      if (Array.isArray(terms)) {
        const items = (terms as ReadonlyArray<Term>).map((term) => {
          if (term._tag === "Tuple" && term.items.length !== columns.length) {
            throw invalid(
              `Expected ${columns.length} elements in value tuple, but got ${term.items.length}: ${
                textOf(term, variables.product)
              }`
            )
          }
          const tuple = `(${columns.map((column) => column.name).join(",")})`
          return tupleOf(term, columns, verb, variables, variables.say(`value(${variables.inName}(${tuple}))`, tuple))
        })
        tuples = (values) => items.map((item) => item(values)).filter((each) => each !== undefined)
      } else if (op === "in") {
        const type = CqlType.list(CqlType.tuple(...columns.map((column) => column.type.cql)))
        const tuple = columns.map((column) => column.name).join(",")
        const name = `${variables.inName}${variables.say(`((${tuple}))`, `(${tuple})`)}`
        const compiled = compile(terms as Term, type, name, variables)
        tuples = (values) => {
          const bytes = compiled(values)
          if (bytes === Unset) throw unsetOf(terms as Term, variables, `Invalid unset value for ${name}`)
          if (bytes === null) {
            if (variables.product === "scylla") return []
            throw invalid("Invalid null value for IN")
          }
          return elements(bytes as Uint8Array).map((each) => partsOf(each, columns))
        }
      } else {
        const one = tupleOf(terms as Term, columns, verb, variables)
        tuples = (values) => {
          const found = one(values)
          return found === undefined ? [] : [found]
        }
      }
      continue
    }
    if (columns[0]!.position > clustering.length) {
      throw invalid(
        `PRIMARY KEY column "${columns[0]!.name}" cannot be restricted as preceding column "${
          table.clustering[clustering.length]!.name
        }" is not restricted`
      )
    }
    const to = tupleOf(terms as Term, columns, verb, variables)
    const before = test
    test = (values) => {
      const others = before?.(values)
      const bound = to(values)
      if (bound === undefined || (before !== undefined && others === undefined)) return undefined
      return (key) => compares(op, compareTuples(key, bound, columns)) && (others === undefined || others(key))
    }
  }

  const warnings: Array<string> = []
  if (!hasKeys && restrictsClustering && verb === "SELECT" && !isAllowed) {
    if (variables.product === "cassandra" || scansPart) throw invalid(FILTERING)
    warnings.push(SHOULD_FILTER)
  }
  if (!hasKeys && restrictsClustering) needsFiltering = true
  const others = looked.filter((relation) => {
    if (index !== undefined && isIndexed(relation, index)) return false
    return "column" in relation && table.byName.get(relation.column)!.kind !== "clustering" ||
      relation._tag === "Contains"
  })
  if (verb === "SELECT" && !allowFiltering) {
    const unindexed = others.length > 0 || scansPart
    if (unindexed && !(index !== undefined && others.length === 0 && !scansPart)) throw invalid(FILTERING)
  }
  const filters = [...looked, ...free].map((relation) => filterOf(relation, table, variables, verb).holds)

  const isSinglePartition = hasKeys && partition.every((restriction) => restriction._tag === "One")
  const everything: ReadonlyArray<Bounds> = [{ prefix: [] }]
  const order = table.data.order
  const keys = (values: Bound): ReadonlyArray<Key> => {
    const out: Array<Key> = []
    for (const components of product(partition, values, "partition", variables.product)) {
      if (
        verb === "SELECT" && variables.product === "scylla" && components.length === 1 && components[0]!.length === 0
      ) {
        continue
      }
      out.push(makeKey(components, variables.product))
    }
    return out
  }
  const isOpen = clustering.length === 0 && range === undefined && tuples === undefined && test === undefined
  return {
    hasKeys,
    isSinglePartition,
    isFullKey: missingClustering.length === 0,
    restrictsClustering,
    keys,
    ranges: isOpen ? () => everything : (values) => {
      const side = (of: Side | undefined): Bounds["lower"] | null => {
        if (of === undefined) return undefined
        const value = of.value(values)
        if (value === null) return variables.product === "scylla" ? null : undefined
        if (variables.product === "scylla") checkSize([value])
        return { value, inclusive: of.inclusive }
      }
      const lower = side(range?.lower)
      const upper = side(range?.upper)
      const holds = test?.(values)
      if (lower === null || upper === null || (test !== undefined && holds === undefined)) return []
      let prefixes = product(clustering, values, "clustering", variables.product)
      if (tuples !== undefined) {
        const behind = tuples(values)
        prefixes = prefixes.flatMap((prefix) => behind.map((tuple) => prefix.concat(tuple)))
      }
      if (variables.product === "scylla") prefixes.forEach(checkSize)
      const sorted = prefixes.map((prefix): Bounds => ({ prefix, lower, upper, test: holds }))
      if (sorted.length < 2) return sorted
      const compare = (a: Bounds, b: Bounds): number => {
        for (let i = 0; i < a.prefix.length; i++) {
          const result = order[i]!(a.prefix[i]!, b.prefix[i]!)
          if (result !== 0) return result
        }
        return 0
      }
      sorted.sort(compare)
      return sorted.filter((each, i) => i === 0 || compare(sorted[i - 1]!, each) !== 0)
    },
    tokens: tokens.length === 0 ? undefined : compileTokens(tokens, table, variables),
    filters,
    restricted,
    fixed: new Set(
      [...byColumn].filter(([, found]) => found.equal !== undefined).map(([column]) => column)
    ),
    warnings,
    missing: { partition: missingPartition, clustering: missingClustering },
    partitionKey: isSinglePartition && partition.every((each) => each._tag === "One" && each.marker >= 0)
      ? partition.map((each) => (each as Extract<Restriction, { readonly _tag: "One" }>).marker)
      : []
  }
}
