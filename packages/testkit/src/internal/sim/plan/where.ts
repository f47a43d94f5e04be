/** WHERE clauses, compiled: partitions, ranges of clustering keys, and what rows must be beside that. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { maxComponentLength } from "@effect-scylla/sharding/RoutingKey"
import { invalid, unsupported } from "../failure.ts"
import type { Relation, Term } from "../parse/ast.ts"
import type { Column, Index, Table } from "../schema/schema.ts"
import { comparatorOf, elements } from "../storage/compare.ts"
import type { Clustering } from "../storage/row.ts"
import type { Bounds, Key } from "../storage/storage.ts"
import { columnOf } from "./columns.ts"
import { compares } from "./comparison.ts"
import { type Filter, filterOf, isFound, isIndexed, likeFilter } from "./filters.ts"
import { checkSize, makeKey } from "./keys.ts"
import { asCassandraTakes, wrongByItself } from "./relationRules.ts"
import {
  collect,
  type Collected,
  inList,
  markerOf,
  nothing,
  product,
  type Restriction,
  restrictTo,
  type Side,
  tidied,
  unsetOf,
  type Verb
} from "./restrictions.ts"
import { compile, textOf } from "./terms.ts"
import { compileTokens, type TokenBounds } from "./tokenRange.ts"
import { compareTuples, type Multi, multiOf, partsOf, tupleOf } from "./tuples.ts"
import type { Bound, Compiled, Variables } from "./variables.ts"

const FILTERING = "Cannot execute this query as it might involve data filtering and thus may have unpredictable " +
  "performance. If you want to execute this query despite the performance unpredictability, use ALLOW FILTERING"

/** What ScyllaDB still lets pass. */
export const SHOULD_FILTER = "This query should use ALLOW FILTERING and will be rejected in future versions."

export interface Where {
  /** Whether partitions are named; else it is a scan. */
  readonly hasKeys: boolean
  /** Whether a column of the partition key is one of several values. */
  readonly listsKeys: boolean
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
  /** Refuses values that nothing can be compared with. */
  readonly check: (values: Bound) => void
  /** What is told of it once all else is right. */
  readonly late?: Error | undefined
  /** Whether what is asked for is looked up in an index. */
  readonly usesIndex: boolean
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

/** What is looked for in an index is no longer than what can be in it. */
const checkSized = (term: Compiled, variables: Variables) => (values: Bound): void => {
  const bytes = term(values)
  if (!(bytes instanceof Uint8Array) || bytes.length <= maxComponentLength) return
  if (variables.product === "cassandra") throw invalid("Index expression values may not be larger than 64K")
  checkSize([bytes])
}

/** Positions of variables for the partition key: the last of each column, whatever it is compared by. */
const boundKey = (relations: ReadonlyArray<Relation>, { partitionKey }: Table): ReadonlyArray<number> => {
  const found = partitionKey.map((column) =>
    relations.reduce((last, relation) => {
      if (!("column" in relation) || relation.column !== column.name) return last
      if (relation._tag === "In") return Math.max(last, markerOf(relation.terms, "cassandra"))
      return relation._tag === "Column" && relation.term._tag === "Marker" ? relation.term.index : last
    }, -1)
  )
  return found.includes(-1) ? [] : found
}

/** Compiles a WHERE clause; throws INVALID for what the statement cannot ask for. */
export const compileWhere = (
  relations: ReadonlyArray<Relation>,
  table: Table,
  variables: Variables,
  verb: Verb,
  allowFiltering = false
): Where => {
  if (variables.product === "scylla") return whereOf(relations, table, variables, verb, allowFiltering)
  try {
    return whereOf(asCassandraTakes(relations, table, variables), table, variables, verb, allowFiltering)
  } catch (thrown) {
    throw wrongByItself(relations, table, variables) ?? thrown
  }
}

const whereOf = (
  relations: ReadonlyArray<Relation>,
  table: Table,
  variables: Variables,
  verb: Verb,
  allowFiltering: boolean
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
  const isOnVector = ({ column }: Index): boolean =>
    column.type.cql._tag === "Vector" && relations.some((each) => "column" in each && each.column === column.name)
  if (variables.product === "cassandra" && verb === "SELECT" && table.indexes.some(isOnVector)) {
    throw invalid("Vector indexes only support ANN queries")
  }
  const ofKey = new Set(table.partitionKey.map(({ name }) => name))
  if (
    variables.product === "cassandra" && index !== undefined && index.column.kind !== "clustering" &&
    relations.some((relation) => relation._tag === "In" && ofKey.has(relation.column))
  ) {
    throw invalid("Select on indexed columns and with IN clause for the PRIMARY KEY are not supported")
  }
  const analyzed = ["normalize", "ascii"].some((each) => index?.options.get(each) === "true") ||
    index?.options.get("case_sensitive") === "false"
  if (analyzed) throw unsupported("an index that takes several texts for one")
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
      partition.push({
        _tag: "Many",
        list: (values) => tidied(list(values), compare),
        marker: markerOf(found.list, variables.product)
      })
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
    const shared = multis[0]!.columns.filter((column) => multis.every(({ columns }) => columns.includes(column)))
    const names = (shared.length > 0 ? shared : multis[0]!.columns).map((column) => column.name).join(" ,")
    for (const column of variables.product === "cassandra" ? multis.flatMap(({ columns }) => columns) : []) {
      const found = byColumn.get(column)
      if ((found?.equal ?? found?.list) !== undefined) {
        throw invalid(
          `${column.name} cannot be restricted by more than one relation if it includes a${
            found?.equal === undefined ? " IN" : "n Equal"
          }`
        )
      }
    }
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
      clustering.push({ _tag: "Many", list: (values) => tidied(list(values), compare), marker: -1 })
      continue
    }
    missingClustering.push(column)
    const side = (of: Collected["lower"]): Side | undefined => {
      if (of === undefined) return undefined
      const compiled = compile(of.term, column.type.cql, column.name, variables)
      return {
        inclusive: of.inclusive,
        value: (values) => {
          const bytes = compiled(values)
          if (bytes === Unset) throw unsetOf(of.term, variables, `Invalid unset value for column ${column.name}`)
          if (bytes === null && variables.product === "cassandra" && verb !== "SELECT") {
            throw unsupported(`a range up to null on ${column.name}`)
          }
          return bytes as Uint8Array | null
        }
      }
    }
    const lower = side(found.lower)
    const upper = side(found.upper)
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
          const name = variables.say(`value(${variables.inName}(${tuple}))`, tuple)
          return tupleOf(term, columns, verb, variables, name)
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
  let late: Error | undefined
  if (!hasKeys && restrictsClustering && verb === "SELECT" && !isAllowed) {
    if (variables.product === "cassandra") late = invalid(FILTERING)
    else if (scansPart) throw invalid(FILTERING)
    if (variables.product === "scylla") warnings.push(SHOULD_FILTER)
  }
  if (!hasKeys && restrictsClustering) needsFiltering = true
  const others = looked.filter((relation) => {
    if (index !== undefined && isFound(relation, index, relations, table, variables)) return false
    return "column" in relation && table.byName.get(relation.column)!.kind !== "clustering" ||
      relation._tag === "Contains"
  })
  const ofClustering = (relation: Relation): boolean =>
    "column" in relation && table.byName.get(relation.column)!.kind === "clustering"
  if (variables.product === "cassandra" && index !== undefined && !allowFiltering) {
    // Clustering columns that are no range of a partition are filtered, all of them.
    const areFiltered = !hasKeys || looked.some(ofClustering)
    const isLeft = (relation: Relation) =>
      ofClustering(relation) && !isFound(relation, index, relations, table, variables)
    if (areFiltered && relations.some(isLeft)) throw invalid(FILTERING)
  }
  if (verb === "SELECT" && !allowFiltering) {
    const unindexed = others.length > 0 || scansPart
    if (unindexed && !(index !== undefined && others.length === 0 && !scansPart)) throw invalid(FILTERING)
  }
  const checks: Array<(values: Bound) => void> = []
  const filters = [...looked, ...free].map((relation) => {
    const isExact = variables.product === "cassandra" && index?.kind === "COMPOSITES" &&
      isFound(relation, index, relations, table, variables)
    const { column, holds } = filterOf(relation, table, variables, verb, checks, isExact, hasKeys)
    // Beside a storage-attached index Cassandra looks at what is frozen as a whole, and finds no part of it.
    const isBlind = index?.kind === "CUSTOM" && relation._tag === "Contains" && !column.type.multiCell &&
      (column.kind === "regular" || column.kind === "static")
    if (isBlind) return () => false
    if (index !== undefined && isIndexed(relation, index) && relation._tag === "Column") {
      checks.push(checkSized(compile(relation.term, index.column.type.cql, index.column.name, variables), variables))
    }
    return holds
  })

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
    listsKeys: table.partitionKey.some((column) => byColumn.get(column)?.list !== undefined),
    isSinglePartition,
    isFullKey: missingClustering.length === 0,
    restrictsClustering,
    keys,
    ranges: isOpen ? () => everything : (values) => {
      const side = (of: Side | undefined, isLower: boolean): Bounds["lower"] | null => {
        if (of === undefined) return undefined
        const value = of.value(values)
        // To Cassandra null stands in front of all that there is.
        if (value === null) return variables.product === "scylla" || !isLower ? null : undefined
        if (variables.product === "scylla") checkSize([value])
        return { value, inclusive: of.inclusive }
      }
      const lower = side(range?.lower, true)
      const upper = side(range?.upper, false)
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
    check: (values) => {
      for (const check of checks) check(values)
    },
    late,
    usesIndex: index !== undefined && (!hasKeys || looked.length > 0),
    filters,
    restricted,
    fixed: new Set([
      ...[...byColumn].filter(([, found]) => found.equal !== undefined).map(([column]) => column),
      ...(variables.product === "cassandra" ? multis.flatMap(({ columns, op }) => op === "=" ? columns : []) : [])
    ]),
    warnings,
    missing: { partition: missingPartition, clustering: missingClustering },
    partitionKey: variables.product === "cassandra"
      ? boundKey(relations, table)
      : hasKeys && partition.every(({ marker }) => marker >= 0)
      ? partition.map(({ marker }) => marker)
      : []
  }
}
