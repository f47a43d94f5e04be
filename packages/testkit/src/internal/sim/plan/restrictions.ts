/** What a column of the key is restricted to: a value, one of several, a range; and all combinations of them. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { internal, invalid, unsupported } from "../failure.ts"
import type { Comparison, Term } from "../parse/ast.ts"
import type { Column } from "../schema/schema.ts"
import { type Comparator, elements } from "../storage/compare.ts"
import type { Clustering } from "../storage/row.ts"
import { compile, textOf } from "./terms.ts"
import type { Bound, Compiled, Variables } from "./variables.ts"

export type Verb = "SELECT" | "INSERT" | "UPDATE" | "DELETE"

/** The value that a column is compared with; `null` where ScyllaDB finds no rows for it. */
export type Value = (values: Bound) => Uint8Array | null

export const unsetOf = (term: Term | undefined, variables: Variables, cassandra: string): Error =>
  invalid(
    variables.say(
      `Unexpected unset value for bind variable ${term?._tag === "Marker" ? term.index : 0}`,
      cassandra
    )
  )

/** The value of a column in a restriction. Null is no value: an error, or nothing found. */
export const restrictTo = (
  term: Term,
  compiled: Compiled,
  column: Column,
  verb: Verb,
  variables: Variables,
  findsNothing = verb === "SELECT" && variables.product === "scylla"
): Value => {
  return (values) => {
    const bytes = compiled(values)
    if (bytes === Unset) throw unsetOf(term, variables, `Invalid unset value for column ${column.name}`)
    if (bytes === null && !findsNothing) throw invalid(`Invalid null value in condition for column ${column.name}`)
    return bytes as Uint8Array | null
  }
}

/** What a key column must be: one value, or one of several. */
export type Restriction =
  | { readonly _tag: "One"; readonly value: Value; readonly marker: number }
  | {
    readonly _tag: "Many"
    readonly list: (values: Bound) => ReadonlyArray<Uint8Array>
    /** The last variable of the column's own type, to Cassandra. */
    readonly marker: number
  }

export type Side = { readonly value: Value; readonly inclusive: boolean }

/** The last variable among the values of an IN, which Cassandra takes for that of the column. */
export const markerOf = (terms: ReadonlyArray<Term> | Term, product: Variables["product"]): number =>
  product === "cassandra" && Array.isArray(terms)
    ? (terms as ReadonlyArray<Term>).reduce((last, term) => term._tag === "Marker" ? term.index : last, -1)
    : -1

export const tidied = (list: Array<Uint8Array>, compare: Comparator): ReadonlyArray<Uint8Array> => {
  list.sort(compare)
  return list.filter((value, i) => i === 0 || compare(list[i - 1]!, value) !== 0)
}

/** The values of an IN, without nulls where they find nothing. */
export const inList = (
  column: Pick<Column, "name" | "type">,
  type: CqlType.CqlType,
  terms: ReadonlyArray<Term> | Term,
  verb: Verb,
  variables: Variables,
  isFilter = false
): (values: Bound) => Array<Uint8Array> => {
  const skipsNull = verb === "SELECT" && (isFilter || variables.product === "scylla")
  // What stands behind a null Cassandra does not find, where it filters.
  const endsAtNull = skipsNull && variables.product === "cassandra"
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
      if (endsAtNull) return found.slice(0, (found as ReadonlyArray<Uint8Array | null>).indexOf(null))
      if (skipsNull) {
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
      variables,
      skipsNull
    )
  )
  return (values) => {
    const found: Array<Uint8Array> = []
    for (const item of items) {
      const bytes = item(values)
      if (bytes !== null) found.push(bytes)
      else if (endsAtNull) break
    }
    return found
  }
}

/** Cassandra takes as many as it has memory for. */
const MOST = 65_535

/** Most combinations that one statement of ScyllaDB may name (`max_partition_key_restrictions_per_query` and its like). */
const MAX_PRODUCT = 100

/** Every combination of the restrictions' values, the last column varying fastest. */
export const product = (
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

/** Relations of one column, sorted out; what is more than that is a filter. */
export interface Collected {
  equal: Term | undefined
  list: ReadonlyArray<Term> | Term | undefined
  lower: { readonly term: Term; readonly inclusive: boolean } | undefined
  upper: { readonly term: Term; readonly inclusive: boolean } | undefined
}

export const nothing = (): Collected => ({ equal: undefined, list: undefined, lower: undefined, upper: undefined })

/** Takes a relation among the others of its column; `false` for one too many, which ScyllaDB takes as one more filter. */
export const collect = (found: Collected, op: Comparison, term: Term, name: string, variables: Variables): boolean => {
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
