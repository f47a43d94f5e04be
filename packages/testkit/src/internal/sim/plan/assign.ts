/** What SET, and the values of INSERT, do to a column: its value, an element of it, a field, more of it or less. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { internal, invalid, unsupported } from "../failure.ts"
import type { Term } from "../parse/ast.ts"
import type { Column } from "../schema/schema.ts"
import type { Cell } from "../storage/cells.ts"
import { comparatorOf, compareBytes, elements } from "../storage/compare.ts"
import { fieldPath, type Layout, layoutOf, listPath } from "../storage/layout.ts"
import { type Row, whole, type Write } from "../storage/row.ts"
import { isNothing, padded, readInt32, readInt64 } from "../storage/values.ts"
import { compile, fits, textOf, unexpectedUnset } from "./terms.ts"
import type { Bound, Compiled, Variables } from "./variables.ts"

/** When a write counts, and until when. */
export interface Stamp {
  readonly timestamp: bigint
  readonly ttl: number
  readonly expires: number
  /** Milliseconds since 1970. */
  readonly now: number
  /** Whether the statement names the timestamp. */
  readonly isGiven: boolean
  /** A place in a list behind all that were given. */
  readonly place: () => bigint
}

/** A column with its value at hand. */
export interface Assigned {
  /** Throws for a row that does not take it. */
  readonly check?: ((row: Row | undefined) => void) | undefined
  readonly writes: (row: Row | undefined) => ReadonlyArray<Write>
  /** Whether what is written depends on the row as it is. */
  readonly reads?: true
  readonly counter?: { readonly slot: number; readonly delta: bigint } | undefined
}

export interface Assign {
  readonly column: Column
  readonly prepare: (values: Bound, stamp: Stamp) => Assigned
}

const NOTHING: Assigned = { writes: () => [] }

const cellOf = (value: Uint8Array | null, { expires, timestamp, ttl }: Stamp): Cell =>
  value === null ? { value, timestamp, expires: 0, ttl: 0 } : { value: value, timestamp, expires, ttl }

const always = (writes: ReadonlyArray<Write>): Assigned => ({ writes: () => writes })

/** Lists may come with nulls in them, which is told by where they go. Cassandra keeps those of frozen ones. */
const checkNulls = (column: Column, bytes: Uint8Array, variables: Variables): void => {
  if (column.type.cql._tag !== "List" || bytes.length < 4) return
  if ((elements(bytes) as ReadonlyArray<Uint8Array | null>).includes(null)) {
    if (variables.product === "cassandra") {
      if (column.layout === undefined) return
      throw internal(
        'java.lang.NullPointerException: Cannot invoke "java.nio.ByteBuffer.remaining()" because "value" is null'
      )
    }
    throw invalid(column.layout === undefined ? "Cannot store NULL in list or set" : "Invalid NULL element in list")
  }
}

/** Longest element of a set or key of a map that is a cell of its own in ScyllaDB, bytes. */
const MAX_PATH = 65_535

const checkLengths = (column: Column, bytes: Uint8Array, variables: Variables): void => {
  const { cql } = column.type
  if (variables.product !== "scylla" || column.layout === undefined || bytes.length <= MAX_PATH) return
  if (cql._tag !== "Set" && cql._tag !== "Map") return
  for (const [path] of column.layout.split(bytes, () => path0)) {
    if (path.length <= MAX_PATH) continue
    throw invalid(
      cql._tag === "Set"
        ? `Set value is too long. Set values are limited to ${MAX_PATH} bytes but ${path.length} bytes value provided`
        : `Map key is too long. Map keys are limited to ${MAX_PATH} bytes but ${path.length} bytes keys provided`
    )
  }
}

const path0 = new Uint8Array(0)

/** The value of the column; without a term it is deleted. */
export const assignWhole = (column: Column, term: Term | undefined, variables: Variables): Assign => {
  const { layout, position: slot } = column
  if (column.type.text === "counter" && term !== undefined) {
    if (term._tag === "Null") throw invalid("Invalid null value for counter increment/decrement")
    throw invalid(
      `Cannot set the value of counter column ${column.name} (counters can only be incremented/decremented, not set)`
    )
  }
  if (term === undefined) {
    return {
      column,
      prepare: (_, stamp) =>
        always([
          layout === undefined
            ? { slot, cell: cellOf(null, stamp) }
            : { slot, layout, deleted: stamp.timestamp, elements: [] }
        ])
    }
  }
  const value = compile(term, column.type.cql, column.name, variables)
  // Cassandra falls over it where it is written.
  if (variables.product === "cassandra" && term._tag === "Tuple" && column.type.cql._tag === "Udt") {
    return {
      column,
      prepare: () => {
        throw unsupported("a tuple for a user-defined type")
      }
    }
  }
  return assignValue(column, value, variables)
}

/** The same of a value that is compiled already. */
export const assignValue = (column: Column, value: Compiled, variables: Variables): Assign => {
  const { layout, position: slot } = column
  const { cql } = column.type
  const stored = layout !== undefined && cql._tag === "Udt" ? padded(cql) : (bytes: Uint8Array) => bytes
  return {
    column,
    prepare: (values, stamp) => {
      const bytes = value(values)
      if (bytes === Unset) return NOTHING
      if (bytes instanceof Uint8Array) {
        checkNulls(column, bytes, variables)
        checkLengths(column, bytes, variables)
      }
      if (layout === undefined) return always([{ slot, cell: cellOf(bytes as Uint8Array | null, stamp) }])
      // Writing a collection deletes what was there a microsecond before.
      const deleted = stamp.timestamp - 1n
      if (bytes === null || isNothing(cql, bytes as Uint8Array)) {
        return always([{ slot, layout, deleted, elements: [] }])
      }
      return always([whole(column, stored(bytes as Uint8Array), stamp, stamp.place, deleted)])
    }
  }
}

const text = (column: Column, term: Term, how: "+" | "-" | "prepend", variables: Variables): string => {
  const { name } = column
  const value = textOf(term, variables.product)
  if (how === "prepend") return `${name} = ${value} ${variables.say("+", "-")} ${name}`
  return `${name} = ${name} ${how} ${value}`
}

const counterOf = (column: Column, term: Term, isNegative: boolean, variables: Variables): Assign => {
  const value = compile(term, column.type.cql, column.name, variables)
  return {
    column,
    prepare: (values) => {
      const bytes = value(values)
      if (bytes === Unset) return NOTHING
      if (bytes === null) {
        throw invalid(
          `Invalid null value for counter increment${
            variables.product === "cassandra" && term._tag === "Marker" ? "" : "/decrement"
          }`
        )
      }
      if ((bytes as Uint8Array).length !== 8) throw invalid(`Invalid empty value for counter ${column.name}`)
      const delta = readInt64(bytes as Uint8Array)
      if (isNegative && delta === -(2n ** 63n)) {
        throw invalid(`The negation of ${delta} overflows supported counter precision (signed 8 bytes integer)`)
      }
      return { writes: () => [], counter: { slot: column.position, delta: isNegative ? -delta : delta } }
    }
  }
}

/** 2010-01-01: the reference of the places at the front of lists, microseconds. */
const FIRST_PREPEND = 1_262_304_000_000_000n

/** `c = c + x`, `c = c - x`, `c = x + c`. */
export const addTo = (
  column: Column,
  term: Term,
  how: "+" | "-" | "prepend",
  variables: Variables
): Assign => {
  const { layout, name, position: slot } = column
  const { cql } = column.type
  if (column.type.text === "counter" && how !== "prepend") return counterOf(column, term, how === "-", variables)
  if (how === "prepend" && cql._tag !== "List") {
    throw invalid(`Invalid operation (${text(column, term, how, variables)}) for non list column ${name}`)
  }
  if (layout === undefined || cql._tag === "Udt") {
    throw invalid(
      cql._tag === "List" || cql._tag === "Set" || cql._tag === "Map"
        ? `Invalid operation (${text(column, term, how, variables)}) for frozen collection column ${name}`
        : variables.product === "cassandra" && how === "+" && (cql._tag === "Tuple" || cql._tag === "Udt")
        ? `Invalid operation (${text(column, term, how, variables)}) for tuple column ${name}`
        : `Invalid operation (${text(column, term, how, variables)}) for non counter column ${name}`
    )
  }
  const type = cql._tag === "Map" && how === "-" ? CqlType.set(cql.key) : cql
  checkOperand(term, type, how, column, variables)
  const inner = term._tag === "Set" ? term.items : term._tag === "Map" ? term.entries.flat() : []
  if (variables.product === "cassandra" && cql._tag === "Map" && inner.some(({ _tag }) => _tag === "Marker")) {
    const [what, kind] = how === "-" ? ["substraction", "set"] : ["addition", "map"]
    throw invalid(`Value for a map ${what} has to be a ${kind}, but was: '${textOf(term, variables.product)}'`)
  }
  const compiled = compile(term, type, name, variables)
  const operandLayout = layoutOf(type)!
  return {
    column,
    prepare: (values, stamp) => {
      const bytes = compiled(values)
      if (bytes === Unset || bytes === null) return NOTHING
      checkNulls(column, bytes as Uint8Array, variables)
      if (isNothing(type, bytes as Uint8Array)) return NOTHING
      if (how === "-" && cql._tag === "List") return removeByValue(column, layout, bytes as Uint8Array, stamp)
      if (how === "-") {
        const paths = operandLayout.split(bytes as Uint8Array, () => listPath(0n)).map(([path]) => path)
        return always([{ slot, layout, elements: paths.map((path) => [path, cellOf(null, stamp)] as const) }])
      }
      if (how === "prepend") {
        if (variables.product === "scylla" && stamp.isGiven && stamp.timestamp < FIRST_PREPEND) {
          throw invalid("List prepend custom timestamp must be greater than Jan 1 2010 00:00:00")
        }
        const items = elements(bytes as Uint8Array)
        const places = items.map(() => -stamp.place()).sort((a, b) => a < b ? -1 : 1)
        return always([
          { slot, layout, elements: items.map((item, i) => [listPath(places[i]!), cellOf(item, stamp)] as const) }
        ])
      }
      return always([whole(column, bytes as Uint8Array, stamp, stamp.place)])
    }
  }
}

/** What is said of an operand of another kind. */
const checkOperand = (
  term: Term,
  type: CqlType.CqlType,
  how: "+" | "-" | "prepend",
  column: Column,
  variables: Variables
): void => {
  const hasNulls = variables.product === "cassandra" && term._tag === "Map" &&
    term.entries.flat().some(({ _tag }) => _tag === "Null")
  const isFit = fits(term, type, variables) !== "no" && !hasNulls
  if (column.type.cql._tag !== "Map" || isFit || term._tag === "Call") return
  const shown = textOf(term, variables.product)
  if (variables.product === "cassandra") {
    throw invalid(
      how === "-"
        ? `Value for a map substraction has to be a set, but was: '${shown}'`
        : `Value for a map addition has to be a map, but was: '${shown}'`
    )
  }
  const kind = term._tag.toLowerCase()
  if (how === "-" && (term._tag === "Map" || term._tag === "List")) {
    throw invalid(`Invalid ${kind} literal for ${column.name} of type frozen<${CqlType.format(type)}>`)
  }
}

/** Takes away the elements of a list that are among these values. */
const removeByValue = (column: Column, layout: Layout, bytes: Uint8Array, stamp: Stamp): Assigned => {
  const { cql } = column.type
  const compare = (cql._tag === "List" ? comparatorOf(cql.element) : undefined) ?? compareBytes
  const gone = elements(bytes)
  return {
    reads: true,
    writes: (row) => {
      const living = row?.complex(column)?.living(stamp.now) ?? []
      const paths = living.filter(({ value }) => gone.some((each) => compare(each, value) === 0))
      return [{
        slot: column.position,
        layout,
        elements: paths.map(({ path }) => [path, cellOf(null, stamp)] as const)
      }]
    }
  }
}

/** `c[key] = value`; without a value the element is deleted. */
export const assignElement = (
  column: Column,
  key: Term,
  term: Term | undefined,
  variables: Variables
): Assign => {
  const { layout, name, position: slot } = column
  const { cql } = column.type
  const isCollection = cql._tag === "List" || cql._tag === "Map" || cql._tag === "Set"
  const operation = term === undefined
    ? ""
    : `(${name}[${textOf(key, variables.product)}] = ${textOf(term, variables.product)})`
  if (!isCollection) {
    throw invalid(
      term === undefined
        ? `Invalid deletion operation for non collection column ${name}`
        : `Invalid operation ${operation} for non collection column ${name}`
    )
  }
  if (layout === undefined) throw invalid(`Invalid operation ${operation} for frozen collection column ${name}`)
  if (cql._tag === "Set") {
    if (term !== undefined) throw invalid(`Invalid operation ${operation} for set column ${name}`)
    return elementOfMap(
      column,
      layout,
      compile(key, cql.element, variables.say(name, `value(${name})`), variables),
      undefined,
      "set element",
      key,
      variables
    )
  }
  if (cql._tag === "Map") {
    const path = compile(key, cql.key, `key(${name})`, variables)
    const value = term === undefined ? undefined : compile(term, cql.value, `value(${name})`, variables)
    return elementOfMap(column, layout, path, value, "map key", key, variables)
  }
  const index = compile(key, CqlType.scalar("int"), `idx(${name})`, variables)
  const value = term === undefined ? undefined : compile(term, cql.element, `value(${name})`, variables)
  return {
    column,
    prepare: (values, stamp) => {
      const at = index(values)
      if (at === Unset) {
        throw invalid(variables.say(unexpectedUnset(key), "Invalid unset value for list index"))
      }
      if (at === null) throw invalid("Invalid null value for list index")
      const bytes = value === undefined ? null : value(values)
      if (bytes === Unset) return NOTHING
      const place = readInt32(at as Uint8Array)
      const living = (row: Row | undefined) => row?.complex(column)?.living(stamp.now) ?? []
      return {
        check: (row) => {
          const { length } = living(row)
          if (length === 0) {
            throw invalid(
              term === undefined
                ? "Attempted to delete an element from a list which is null"
                : "Attempted to set an element on a list which is null"
            )
          }
          if (place < 0 || place >= length) {
            throw invalid(`List index ${place} out of bound, list has size ${length}`)
          }
        },
        reads: true,
        writes: (row) => {
          const found = living(row)[place]
          if (found === undefined) return []
          return [{ slot, layout, elements: [[found.path, cellOf(bytes as Uint8Array | null, stamp)]] }]
        }
      }
    }
  }
}

const elementOfMap = (
  column: Column,
  layout: Layout,
  key: Compiled,
  value: Compiled | undefined,
  what: string,
  term: Term,
  variables: Variables
): Assign => ({
  column,
  prepare: (values, stamp) => {
    const path = key(values)
    if (path === Unset) throw invalid(variables.say(unexpectedUnset(term), `Invalid unset ${what}`))
    if (path === null) throw invalid(`Invalid null ${what}`)
    const bytes = value === undefined ? null : value(values)
    if (bytes === Unset) return NOTHING
    return always([{
      slot: column.position,
      layout,
      elements: [[path as Uint8Array, cellOf(bytes as Uint8Array | null, stamp)]]
    }])
  }
})

/** `c.field = value`; without a value the field is deleted. */
export const assignField = (
  column: Column,
  field: string,
  term: Term | undefined,
  variables: Variables
): Assign => {
  const { layout, name, position: slot } = column
  const { cql } = column.type
  const operation = term === undefined ? "" : `(${name}.${field} = ${textOf(term, variables.product)})`
  if (cql._tag !== "Udt") {
    throw invalid(
      term === undefined
        ? `Invalid field deletion operation for non-UDT column ${name}`
        : `Invalid operation ${operation} for non-UDT column ${name}`
    )
  }
  if (layout === undefined) {
    throw invalid(
      term === undefined
        ? `Frozen UDT column ${name} does not support field deletions`
        : `Invalid operation ${operation} for frozen UDT column ${name}`
    )
  }
  const at = cql.fields.findIndex((each) => each.name === field)
  if (at < 0) throw invalid(`UDT column ${name} does not have a field named ${field}`)
  const value = term === undefined ? undefined : compile(term, cql.fields[at]!.type, `${name}.${field}`, variables)
  return {
    column,
    prepare: (values, stamp) => {
      const bytes = value === undefined ? null : value(values)
      if (bytes === Unset) return NOTHING
      return always([{
        slot,
        layout,
        elements: [[fieldPath(at), cellOf(bytes as Uint8Array | null, stamp)]]
      }])
    }
  }
}
