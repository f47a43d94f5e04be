/** WHERE clauses over the primary key, compiled. Anything else would be filtering, and is refused. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { maxComponentLength } from "@effect-scylla/sharding/RoutingKey"
import * as RoutingKey from "@effect-scylla/sharding/RoutingKey"
import { invalid, unsupported } from "../failure.ts"
import type { Operator, Relation, Term } from "../parse/ast.ts"
import { type Column, findColumn, type Table } from "../schema/schema.ts"
import { comparatorOf, elements } from "../storage/compare.ts"
import type { Bounds, Clustering, Key } from "../storage/storage.ts"
import { readInt64 } from "../storage/values.ts"
import { type Bound, compile, type Compiled, type Variables } from "./terms.ts"

const FILTERING = "Cannot execute this query as it might involve data filtering and thus may have unpredictable " +
  "performance. If you want to execute this query despite the performance unpredictability, use ALLOW FILTERING"

/** The value of a key column, which must be one. */
const required = (compiled: Compiled, column: Column): (values: Bound) => Uint8Array => (values) => {
  const bytes = compiled(values)
  if (bytes === null) throw invalid(`Invalid null value in condition for column ${column.name}`)
  if (!(bytes instanceof Uint8Array)) throw invalid(`Invalid unset value for column ${column.name}`)
  return bytes
}

/** What a column must be: one value, or one of several. */
type Restriction =
  | { readonly _tag: "One"; readonly value: (values: Bound) => Uint8Array; readonly marker: number }
  | { readonly _tag: "Many"; readonly list: (values: Bound) => ReadonlyArray<Uint8Array> }

type Side = { readonly value: (values: Bound) => Uint8Array; readonly inclusive: boolean }

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
  readonly keys: (values: Bound) => ReadonlyArray<Key>
  /** Ranges in clustering order. */
  readonly ranges: (values: Bound) => ReadonlyArray<Bounds>
  readonly tokens: ((values: Bound) => TokenBounds) | undefined
  /** Positions of the partition key among the variables, if all of it is bound. */
  readonly partitionKey: ReadonlyArray<number>
}

const inList = (
  column: Column,
  terms: ReadonlyArray<Term> | Term,
  variables: Variables
): (values: Bound) => ReadonlyArray<Uint8Array> => {
  const compare = comparatorOf(column.type.cql)!
  const tidy = (list: Array<Uint8Array>): ReadonlyArray<Uint8Array> => {
    list.sort(compare)
    return list.filter((value, i) => i === 0 || compare(list[i - 1]!, value) !== 0)
  }
  if (!Array.isArray(terms)) {
    const compiled = compile(
      terms as Term,
      CqlType.list(column.type.cql),
      `${variables.inName}(${column.name})`,
      variables
    )
    const list = required(compiled, column)
    return (values) => {
      const bytes = list(values)
      return bytes.length === 0 ? [] : tidy(elements(bytes))
    }
  }
  const items = (terms as ReadonlyArray<Term>).map((term) =>
    required(compile(term, column.type.cql, column.name, variables), column)
  )
  return (values) => tidy(items.map((item) => item(values)))
}

/** Most combinations that one statement may name (`max_partition_key_restrictions_per_query` and its like). */
const MAX_PRODUCT = 100

/** Every combination of the restrictions' values, the last column varying fastest. */
const product = (
  restrictions: ReadonlyArray<Restriction>,
  values: Bound,
  part: "partition" | "clustering"
): ReadonlyArray<Clustering> => {
  let out: Array<Array<Uint8Array>> = [[]]
  for (const restriction of restrictions) {
    const options = restriction._tag === "One" ? [restriction.value(values)] : restriction.list(values)
    const size = out.length * options.length
    if (size > MAX_PRODUCT) {
      throw invalid(`${part}-key cartesian product size ${size} is greater than maximum ${MAX_PRODUCT}`)
    }
    const next: Array<Array<Uint8Array>> = []
    for (const prefix of out) for (const option of options) next.push(prefix.concat(option))
    out = next
  }
  return out
}

/** The key of a partition; throws for what no server stores. */
export const makeKey = (components: ReadonlyArray<Uint8Array>): Key => {
  if (components.length === 1 && components[0]!.length === 0) throw invalid("Key may not be empty")
  for (const component of components) {
    if (component.length > maxComponentLength) {
      throw invalid(`Key length of ${component.length} is longer than maximum of ${maxComponentLength}`)
    }
  }
  return { components, bytes: RoutingKey.compose(components) }
}

/** Relations of one column, sorted out. */
interface Collected {
  equal: Term | undefined
  list: ReadonlyArray<Term> | Term | undefined
  lower: { readonly term: Term; readonly inclusive: boolean } | undefined
  upper: { readonly term: Term; readonly inclusive: boolean } | undefined
}

const collect = (found: Collected, op: Exclude<Operator, "in">, term: Term, name: string): void => {
  const twice = (known: unknown): void => {
    if (known !== undefined) throw invalid(`${name} cannot be restricted by more than one relation of this kind`)
  }
  switch (op) {
    case "=":
      twice(found.equal ?? found.list)
      found.equal = term
      return
    case "<":
    case "<=":
      twice(found.upper)
      found.upper = { term, inclusive: op === "<=" }
      return
    case ">":
    case ">=":
      twice(found.lower)
      found.lower = { term, inclusive: op === ">=" }
      return
    case "!=":
      throw invalid(`Unsupported "!=" relation: ${name} != …`)
  }
}

const nothing = (): Collected => ({ equal: undefined, list: undefined, lower: undefined, upper: undefined })

const restrictionOf = (column: Column, found: Collected, variables: Variables): Restriction | undefined => {
  if (found.equal !== undefined) {
    const value = required(compile(found.equal, column.type.cql, column.name, variables), column)
    return { _tag: "One", value, marker: found.equal._tag === "Marker" ? found.equal.index : -1 }
  }
  return found.list === undefined ? undefined : { _tag: "Many", list: inList(column, found.list, variables) }
}

const sideOf = (
  column: Column,
  side: Collected["lower"],
  variables: Variables
): Side | undefined =>
  side === undefined ? undefined : {
    inclusive: side.inclusive,
    value: required(compile(side.term, column.type.cql, column.name, variables), column)
  }

const compileTokens = (
  relations: ReadonlyArray<Extract<Relation, { readonly _tag: "Token" }>>,
  table: Table,
  variables: Variables
): (values: Bound) => TokenBounds => {
  const found = nothing()
  for (const relation of relations) {
    if (relation.columns.join() !== table.partitionKey.map((column) => column.name).join()) {
      throw invalid("The token() function must be applied to all partition key components in their order")
    }
    collect(found, relation.op, relation.term, "token")
  }
  if (found.equal !== undefined && (found.lower ?? found.upper) !== undefined) {
    throw invalid("token cannot be restricted by both an equality and an inequality relation")
  }
  const read = (term: Term): (values: Bound) => bigint => {
    const compiled = compile(term, CqlType.scalar("bigint"), "partition key", variables)
    return (values) => {
      const bytes = compiled(values)
      if (!(bytes instanceof Uint8Array) || bytes.length !== 8) throw invalid("Invalid null token value")
      return readInt64(bytes)
    }
  }
  const equal = found.equal === undefined ? undefined : read(found.equal)
  const lower = found.lower === undefined ? undefined : read(found.lower.term)
  const upper = found.upper === undefined ? undefined : read(found.upper.term)
  return (values) => {
    if (equal !== undefined) {
      const both = { token: equal(values), inclusive: true }
      return { lower: both, upper: both }
    }
    return {
      lower: lower === undefined ? undefined : { token: lower(values), inclusive: found.lower!.inclusive },
      upper: upper === undefined ? undefined : { token: upper(values), inclusive: found.upper!.inclusive }
    }
  }
}

/** Compiles a WHERE clause; throws INVALID for what is not a restriction of the primary key from its front. */
export const compileWhere = (
  relations: ReadonlyArray<Relation>,
  table: Table,
  variables: Variables,
  allowFiltering = false
): Where => {
  const filtering = (): Error => allowFiltering ? unsupported("ALLOW FILTERING where it is needed") : invalid(FILTERING)
  const byColumn = new Map<string, Collected>()
  const tokens: Array<Extract<Relation, { readonly _tag: "Token" }>> = []
  // Variables are counted in the order of the text, so columns are looked at in the order of the relations.
  for (const relation of relations) {
    if (relation._tag === "Other") throw unsupported(relation.what)
    if (relation._tag === "Token") {
      tokens.push(relation)
      continue
    }
    const column = findColumn(table, relation.column)
    if (column.kind === "regular") throw filtering()
    const found = byColumn.get(column.name) ?? nothing()
    byColumn.set(column.name, found)
    if (relation._tag === "In") {
      if (found.list !== undefined || found.equal !== undefined) {
        throw invalid(`${column.name} cannot be restricted by more than one relation if it includes an IN`)
      }
      found.list = relation.terms
    } else collect(found, relation.op, relation.term, column.name)
    if ((found.equal ?? found.list) !== undefined && (found.lower ?? found.upper) !== undefined) {
      throw invalid(`${column.name} cannot be restricted by both an equality and an inequality relation`)
    }
  }

  const partition: Array<Restriction> = []
  for (const column of table.partitionKey) {
    const found = byColumn.get(column.name)
    if (found === undefined) continue
    const restriction = restrictionOf(column, found, variables)
    if (restriction === undefined) {
      throw invalid("Only EQ and IN relation are supported on the partition key (unless you use the token() function)")
    }
    partition.push(restriction)
  }
  if (partition.length > 0 && partition.length < table.partitionKey.length) throw filtering()
  if (partition.length > 0 && tokens.length > 0) {
    throw unsupported("token() together with a restriction of the partition key")
  }

  const clustering: Array<Restriction> = []
  let range: { readonly lower: Side | undefined; readonly upper: Side | undefined } | undefined
  let ended: string | undefined
  for (const column of table.clustering) {
    const found = byColumn.get(column.name)
    if (found === undefined) {
      ended ??= column.name
      continue
    }
    if (ended !== undefined) {
      throw invalid(
        `PRIMARY KEY column "${column.name}" cannot be restricted as preceding column "${ended}" is not restricted` +
          (range === undefined ? "" : " by an equality")
      )
    }
    if (partition.length === 0) throw filtering()
    const restriction = restrictionOf(column, found, variables)
    if (restriction !== undefined) {
      clustering.push(restriction)
      continue
    }
    const lower = sideOf(column, found.lower, variables)
    const upper = sideOf(column, found.upper, variables)
    // Bounds are kept in clustering order: a descending column turns them around.
    range = column.descending ? { lower: upper, upper: lower } : { lower, upper }
    ended = column.name
  }

  const isSinglePartition = partition.length > 0 && partition.every((restriction) => restriction._tag === "One")
  const simple = isSinglePartition
    ? partition.map((restriction) => (restriction as Extract<Restriction, { readonly _tag: "One" }>).value)
    : undefined
  const everything: ReadonlyArray<Bounds> = [{ prefix: [] }]
  const order = table.data.order
  return {
    hasKeys: partition.length > 0,
    isSinglePartition,
    isFullKey: clustering.length === table.clustering.length,
    keys: simple !== undefined
      ? (values) => [makeKey(simple.map((value) => value(values)))]
      : (values) => product(partition, values, "partition").map(makeKey),
    ranges: clustering.length === 0 && range === undefined
      ? () => everything
      : (values) => {
        const side = (of: Side | undefined): Bounds["lower"] =>
          of === undefined ? undefined : { value: of.value(values), inclusive: of.inclusive }
        const bounds = { lower: side(range?.lower), upper: side(range?.upper) }
        const { lower, upper } = bounds
        const prefixes = product(clustering, values, "clustering").map((prefix): Bounds => ({ prefix, lower, upper }))
        return prefixes.length < 2 ? prefixes : prefixes.sort((a, b) => {
          for (let i = 0; i < a.prefix.length; i++) {
            const result = order[i]!(a.prefix[i]!, b.prefix[i]!)
            if (result !== 0) return result
          }
          return 0
        })
      },
    tokens: tokens.length === 0 ? undefined : compileTokens(tokens, table, variables),
    partitionKey: simple !== undefined && partition.every((each) => each._tag === "One" && each.marker >= 0)
      ? partition.map((each) => (each as Extract<Restriction, { readonly _tag: "One" }>).marker)
      : []
  }
}
