/** What SELECT shows of rows: columns, parts of them, functions of them, aggregates over them. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import { Buffer } from "node:buffer"
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Column, Table } from "../schema/schema.ts"
import { comparatorOf, compareBytes, elements, entries, fieldsOf } from "../storage/compare.ts"
import { fieldPath } from "../storage/layout.ts"
import { collection, int32, int64 } from "../storage/values.ts"
import { aggregateOf, type Aggregator, isAggregate } from "./aggregates.ts"
import { negationOf, resolveOperation } from "./arithmetic.ts"
import { castOf } from "./casts.ts"
import { columnOf, valueOf } from "./columns.ts"
import { composed } from "./composed.ts"
import { type Argument, resolveFunction } from "./functions.ts"
import { columnKey, nullable } from "./json.ts"
import { compile, fits, nameOf, textOf } from "./terms.ts"
import { bytesOf, fitOf, type Typed, valueAs } from "./typed.ts"
import type { Bound, Compiled, Variables, View } from "./variables.ts"

/** A row with what the aggregates came to. */
interface Grouped extends View {
  readonly aggregates: ReadonlyArray<Uint8Array | null>
}

interface Compilation {
  readonly table: Table
  readonly variables: Variables
  readonly aggregates: Array<{ readonly make: () => Aggregator; readonly argument: Compiled }>
  /** What is to be looked at before any row is. */
  readonly checks: Array<(values: Bound) => void>
}

export interface Selection {
  readonly wire: ReadonlyArray<WireColumn>
  readonly isAggregate: boolean
  /** Columns that are selected as they are. */
  readonly plain: ReadonlyArray<Column>
  /** All columns that are looked at. */
  readonly used: ReadonlyArray<Column>
  /** Refuses values that nothing can be selected by. */
  readonly check: (values: Bound) => void
  readonly project: (values: Bound, view: View) => ReadonlyArray<Uint8Array | null>
  /** A new count of all aggregates. */
  readonly group: () => Group
}

/** Rows that become one. */
export interface Group {
  readonly add: (values: Bound, view: View) => void
  /** The row of the group; without rows there is none but that of aggregates over nothing. */
  readonly result: (values: Bound) => ReadonlyArray<Uint8Array | null>
}

const LEGACY_TIMEUUID: CqlType.CqlType = {
  _tag: "Custom",
  className: "org.apache.cassandra.db.marshal.LegacyTimeUUIDType"
}

const typed = (expression: Ast.Expression, c: Compilation): Typed => {
  const { table, variables } = c
  switch (expression._tag) {
    case "Column": {
      const column = columnOf(table, expression.name, variables)
      return {
        text: column.name,
        type: column.type.cql,
        column,
        value: (_, view) => valueOf(column, view!)
      }
    }
    case "Term": {
      const { term } = expression
      const type = term._tag === "Hint" ? variables.type(term.type) : undefined
      const text = textOf(term, variables.product)
      return {
        text,
        type,
        value: type === undefined
          ? () => {
            throw unsupported("a constant without its type in a selection")
          }
          : compile(term, type, "[selection]", variables),
        as: (wanted, name) => compile(term, wanted, term._tag === "Marker" ? "[selection]" : name, variables),
        fits: (wanted) => fits(term, wanted, variables)
      }
    }
    case "Literal":
      return composed(expression, expression.items.map((item) => typed(item, c)), variables.product)
    case "Typed": {
      const of = typed(expression.of, c)
      const type = variables.type(expression.type)
      const text = `(${nameOf(expression.type)})${of.text}`
      if (fitOf(of, type, variables.product) === "no") {
        throw invalid(`Cannot assign value ${of.text} to ${of.text} of type ${CqlType.format(type)}`)
      }
      return { text, type, value: valueAs(of, type, "[selection]") }
    }
    case "CountRows":
      return aggregated("count", [], "count", CqlType.scalar("bigint"), c)
    case "Call":
      return call(expression, c)
    case "Arithmetic": {
      const left = typed(expression.left, c)
      const right = typed(expression.right, c)
      const operand = (side: Typed) => ({
        text: side.text,
        fits: (wanted: CqlType.CqlType) => fitOf(side, wanted, variables.product)
      })
      const found = resolveOperation(expression.op, operand(left), operand(right))
      const { run, type } = found
      const x = valueAs(left, found.left, "[selection]")
      const y = valueAs(right, found.right, "[selection]")
      return {
        text: `${left.text} ${expression.op} ${right.text}`,
        type,
        value: (values, view) => {
          const a = bytesOf(x(values, view))
          const b = bytesOf(y(values, view))
          return a === null || b === null ? null : run(a, b)
        }
      }
    }
    case "Negation": {
      const of = typed(expression.of, c)
      if (of.type === undefined) throw unsupported("a sign in front of a constant")
      const { run, type } = negationOf(of.type)
      return {
        text: `-${of.text}`,
        type,
        value: (values, view) => {
          const bytes = bytesOf(of.value(values, view))
          return bytes === null ? null : run(bytes)
        }
      }
    }
    case "Cast": {
      const of = typed(expression.of, c)
      const to = variables.type(expression.type)
      if (of.type === undefined && variables.product === "cassandra") throw notInferred(of)
      if (of.type === undefined) throw unsupported("a cast of a constant")
      // To Cassandra a value as what it is already is the value.
      if (variables.product === "cassandra" && CqlType.isSame(of.type, to) && of.column?.descending !== true) return of
      const cast = castOf(of.type, to, of.text, variables)
      return {
        text: `cast(${of.text} as ${CqlType.format(to)})`,
        type: to,
        value: (values, view) => {
          const bytes = bytesOf(of.value(values, view))
          return bytes === null ? null : cast(bytes)
        }
      }
    }
    case "Field": {
      const of = typed(expression.of, c)
      const type = of.type
      if (type?._tag !== "Udt") {
        const isFrozen = type?._tag === "Tuple" && variables.product === "cassandra"
        throw invalid(`Invalid field selection: ${of.text} of type ${typeName(type, isFrozen)} is not a user type`)
      }
      const at = type.fields.findIndex((field) => field.name === expression.name)
      if (at < 0) throw invalid(`${of.text} of type ${type.name} has no field ${expression.name}`)
      return {
        text: `${of.text}.${expression.name}`,
        type: type.fields[at]!.type,
        value: (values, view) => {
          const bytes = bytesOf(of.value(values, view))
          return bytes === null ? null : fieldsOf(bytes, type.fields.length)[at] ?? null
        }
      }
    }
    case "Element": {
      const of = typed(expression.of, c)
      const { type } = of
      const text = `${of.text}[${textOf(expression.key, variables.product)}]`
      if (type?._tag !== "Map" && type?._tag !== "Set") throw noElement(of)
      const keyType = type._tag === "Map" ? type.key : type.element
      const key = compile(expression.key, keyType, `${type._tag === "Map" ? "key" : "value"}(${of.text})`, variables)
      const compare = comparatorOf(keyType) ?? compareBytes
      if (variables.product === "cassandra") {
        c.checks.push((values) => {
          if (key(values) === null) throw invalid(`Invalid null value for element selection on ${of.text}`)
        })
      }
      return {
        text,
        type: type._tag === "Map" ? type.value : type.element,
        value: (values, view) => {
          const bytes = bytesOf(of.value(values, view))
          const wanted = bytesOf(key(values, view))
          if (bytes === null || wanted === null) return null
          if (type._tag === "Set") return elements(bytes).find((each) => compare(each, wanted) === 0) ?? null
          const flat = entries(bytes)
          for (let i = 0; i < flat.length; i += 2) if (compare(flat[i]!, wanted) === 0) return flat[i + 1]!
          return null
        }
      }
    }
    case "Slice": {
      const of = typed(expression.of, c)
      const { type } = of
      if (type?._tag !== "Map" && type?._tag !== "Set") throw noElement(of)
      const keyType = type._tag === "Map" ? type.key : type.element
      const compare = comparatorOf(keyType) ?? compareBytes
      const bound = (term: Ast.Term | undefined): Compiled | undefined =>
        term === undefined ? undefined : compile(term, keyType, `key(${of.text})`, variables)
      const from = bound(expression.from)
      const to = bound(expression.to)
      const shown = (term: Ast.Term | undefined): string => term === undefined ? "" : textOf(term, variables.product)
      return {
        text: `${of.text}[${shown(expression.from)}..${shown(expression.to)}]`,
        type,
        value: (values, view) => {
          const bytes = bytesOf(of.value(values, view))
          if (bytes === null) return null
          const low = from === undefined ? null : bytesOf(from(values, view))
          const high = to === undefined ? null : bytesOf(to(values, view))
          const inside = (key: Uint8Array): boolean =>
            (low === null || compare(key, low) >= 0) && (high === null || compare(key, high) <= 0)
          if (type._tag === "Set") {
            const kept = elements(bytes).filter(inside)
            return kept.length === 0 ? null : collection(kept.length, kept)
          }
          const flat = entries(bytes)
          const kept: Array<Uint8Array> = []
          for (let i = 0; i < flat.length; i += 2) if (inside(flat[i]!)) kept.push(flat[i]!, flat[i + 1]!)
          return kept.length === 0 ? null : collection(kept.length / 2, kept)
        }
      }
    }
    case "CellOf":
      return cellOf(expression, c)
  }
}

const typeName = (type: CqlType.CqlType | undefined, isFrozen: boolean): string =>
  type === undefined ? "unknown" : isFrozen ? `frozen<${CqlType.format(type)}>` : CqlType.format(type)

const noElement = ({ text, type }: Typed): Error =>
  type?._tag === "Tuple" || type?._tag === "Scalar" || type?._tag === "Vector"
    ? invalid(
      `Invalid element selection: ${text} is of type ${typeName(type, type._tag === "Tuple")} is not a collection`
    )
    : invalid(
      `Element selection is only allowed on sets and maps, but ${text} is a ${type?._tag.toLowerCase() ?? "constant"}`
    )

const notInferred = ({ text }: Typed): Error =>
  invalid(`Cannot infer type for term ${text} in selection clause (try using a cast to force a type)`)

const aggregated = (
  name: string,
  args: ReadonlyArray<Typed>,
  text: string,
  type: CqlType.CqlType,
  c: Compilation
): Typed => {
  const slot = c.aggregates.length
  const argument = args[0]
  c.aggregates.push({
    make: aggregateOf(name, argument?.type, c.variables),
    argument: argument === undefined ? () => present : argument.value
  })
  return { text, type, value: (_, view) => (view as Grouped).aggregates[slot]! }
}

const present = new Uint8Array(0)

const NUMBERS = new Set(["bigint", "counter", "decimal", "double", "float", "int", "smallint", "tinyint", "varint"])

/** What functions of collections want. */
const OF_COLLECTIONS: Partial<Record<string, string>> = {
  collection_avg: "numeric set/list",
  collection_count: "collection",
  collection_max: "set or list",
  collection_min: "set or list",
  collection_sum: "numeric set/list",
  map_keys: "map",
  map_values: "map"
}

const isWanted = (what: string, type: CqlType.CqlType): boolean => {
  if (type._tag === "Map") return what === "map" || what === "collection"
  if (type._tag !== "List" && type._tag !== "Set") return false
  const { element } = type
  return what === "collection" || what === "set or list" ||
    what === "numeric set/list" && element._tag === "Scalar" && NUMBERS.has(element.name)
}

const call = (expression: Extract<Ast.Expression, { readonly _tag: "Call" }>, c: Compilation): Typed => {
  const { variables } = c
  const { keyspace, name } = expression
  const [only] = expression.args
  // It counts all rows, whatever the constant is.
  if (
    name === "count" && variables.product === "cassandra" && expression.args.length === 1 && only?._tag === "Term" &&
    only.term._tag === "Constant"
  ) return typed({ _tag: "CountRows" }, c)
  const args = expression.args.map((arg) => typed(arg, c))
  const text = `system.${name}(${args.map((arg) => arg.text).join(", ")})`
  if (isAggregate(name) && (keyspace === undefined || keyspace === "system")) {
    if (args.length !== 1) {
      throw invalid(
        `Invalid number of arguments in call to function system.${name}: 1 required but ${args.length} provided`
      )
    }
    if (variables.product === "cassandra" && expression.args.some(hasAggregate)) {
      throw invalid("aggregate functions cannot be used as arguments of aggregate functions")
    }
    const type = args[0]!.type
    if (type === undefined && variables.product === "cassandra" && (name === "min" || name === "max")) {
      throw invalid(
        `Cannot infer type of argument ${
          args[0]!.text
        } in call to function system.${name}(any): use type casts to disambiguate`
      )
    }
    if (type === undefined) throw unsupported("an aggregate of a constant")
    // Its type is checked before it counts.
    aggregateOf(name, type, variables)
    return aggregated(name, args, text, name === "count" ? CqlType.scalar("bigint") : type, c)
  }
  const ofCollection = variables.product === "cassandra" ? OF_COLLECTIONS[name] : undefined
  const first = args[0]?.column
  // Cassandra does not see a collection in a column of descending order.
  if (
    ofCollection !== undefined && first !== undefined && (first.descending || !isWanted(ofCollection, first.type.cql))
  ) {
    throw invalid(
      `Function system.${name} requires a ${ofCollection} argument, but found argument ${first.name} of type ${first.type.text}`
    )
  }
  const found = resolveFunction(
    { keyspace, name },
    args.map((arg): Argument => ({
      text: arg.text,
      type: arg.type,
      fits: (wanted) => fitOf(arg, wanted, variables.product),
      compile: (wanted, argName) => valueAs(arg, wanted, argName)
    })),
    variables
  )
  return { text: `${found.name}(${args.map((arg) => arg.text).join(", ")})`, type: found.type, value: found.value }
}

/** `writetime` and `ttl`: of a cell, and on Cassandra of each cell of a collection, or of one. */
const cellOf = (expression: Extract<Ast.Expression, { readonly _tag: "CellOf" }>, c: Compilation): Typed => {
  const { what } = expression
  const { variables } = c
  let of = expression.of
  const keys: Array<Ast.Expression> = []
  while (of._tag === "Element" || of._tag === "Slice" || of._tag === "Field") {
    keys.push(of)
    of = of.of
  }
  if (of._tag !== "Column") throw unsupported(`${what} of an expression`)
  const column = columnOf(c.table, of.name, variables)
  const shown = typed(expression.of, c).text
  if (column.kind === "partition_key" || column.kind === "clustering") {
    throw invalid(
      variables.say(
        `${what.toUpperCase()} is not legal on partition key component ${column.name}`,
        `Cannot use selection function ${what} on PRIMARY KEY part ${column.name}`
      )
    )
  }
  const type = CqlType.scalar(what === "ttl" ? "int" : "bigint")
  const text = `${what}(${shown})`
  const rowOf = (view: View) => column.kind === "static" ? view.partition.statics : view.row
  const read = (cell: { readonly timestamp: bigint; readonly expires: number }, now: number): Uint8Array | null =>
    what === "ttl"
      ? cell.expires === 0 ? null : int32(Math.floor(cell.expires / 1000) - Math.floor(now / 1000))
      : int64(cell.timestamp)
  const { layout } = column
  if (layout === undefined) {
    // All fields of a value that is one cell were written with it.
    if (keys.some(({ _tag }) => _tag !== "Field")) throw unsupported(`${what} of a part of a value that is one cell`)
    return {
      text,
      type,
      value: (_, view) => {
        const cell = rowOf(view!)?.cell(column, view!.now)
        return cell === undefined ? null : read(cell, view!.now)
      }
    }
  }
  if (variables.product === "scylla") {
    throw invalid(`${what.toUpperCase()} expects an atomic column, but ${column.name} is a non-frozen collection`)
  }
  const [key] = keys
  const { type: whole } = layout
  if (keys.length === 1 && key?._tag === "Field" && whole._tag === "Udt") {
    const path = fieldPath(whole.fields.findIndex(({ name }) => name === key.name))
    return {
      text,
      type,
      value: (_, view) => {
        const found = rowOf(view!)?.complex(column)?.living(view!.now)
          .find((each) => layout.comparePaths(each.path, path) === 0)
        return found === undefined ? null : read(found.cell, view!.now)
      }
    }
  }
  if (
    keys.length > 1 || key?._tag === "Slice" || key?._tag === "Field" || layout.type._tag === "List" && keys.length > 0
  ) {
    throw unsupported(`${what} of this part of a column`)
  }
  if (key?._tag === "Element") {
    const keyType = layout.type._tag === "Map"
      ? layout.type.key
      : layout.type._tag === "Set"
      ? layout.type.element
      : undefined
    if (keyType === undefined) throw unsupported(`${what} of this part of a column`)
    const wanted = compile(key.key, keyType, `key(${column.name})`, variables)
    return {
      text,
      type,
      value: (values, view) => {
        const path = bytesOf(wanted(values, view))
        const complex = rowOf(view!)?.complex(column)
        if (path === null || complex === undefined) return null
        const found = complex.living(view!.now).find((each) => layout.comparePaths(each.path, path) === 0)
        return found === undefined ? null : read(found.cell, view!.now)
      }
    }
  }
  return {
    text,
    type: what === "maxwritetime" ? type : CqlType.list(type),
    value: (_, view) => {
      const living = rowOf(view!)?.complex(column)?.living(view!.now) ?? []
      if (living.length === 0) return null
      if (what !== "maxwritetime") {
        const of = (cell: (typeof living)[number]["cell"]) => read(cell, view!.now)
        if (whole._tag !== "Udt") return collection(living.length, living.map(({ cell }) => of(cell)))
        // Of a user-defined type each field has its place.
        const fields: Array<Uint8Array | null> = whole.fields.map(() => null)
        for (const { cell, path } of living) fields[(path[0]! << 8) | path[1]!] = of(cell)
        return collection(fields.length, fields)
      }
      return int64(
        living.reduce((most, { cell }) => cell.timestamp > most ? cell.timestamp : most, living[0]!.cell.timestamp)
      )
    }
  }
}

/** The first columns of expressions, however deep. */
const columnsIn = (expression: Ast.Expression, c: Compilation): ReadonlyArray<Column> => {
  switch (expression._tag) {
    case "Column":
      return [columnOf(c.table, expression.name, c.variables)]
    case "Call":
      return expression.args.flatMap((arg) => columnsIn(arg, c))
    case "Arithmetic":
      return [...columnsIn(expression.left, c), ...columnsIn(expression.right, c)]
    case "Literal":
      return expression.items.flatMap((item) => columnsIn(item, c))
    case "Typed":
    case "Negation":
    case "Cast":
    case "Field":
    case "Element":
    case "Slice":
    case "CellOf":
      return columnsIn(expression.of, c)
    default:
      return []
  }
}

/** Throws INVALID for names of columns that there are none of. */
export const checkColumns = (statement: Ast.Select, table: Table, variables: Variables): void => {
  const c: Compilation = { table, variables, aggregates: [], checks: [] }
  for (const { expression } of statement.selectors) columnsIn(expression, c)
}

export const compileSelection = (statement: Ast.Select, table: Table, variables: Variables): Selection => {
  const c: Compilation = { table, variables, aggregates: [], checks: [] }
  const selectors: ReadonlyArray<Ast.Selector> = statement.selectors.length > 0
    ? statement.selectors
    : table.columns.map((column) => ({ expression: { _tag: "Column", name: column.name }, alias: undefined }))
  const parts = selectors.map(({ alias, expression }) => {
    const part = typed(expression, c)
    if (part.type === undefined) throw notInferred(part)
    const isLegacy = variables.product === "cassandra" && expression._tag === "Call" &&
      /^(?:min|max|blobastimeuuid|blob_as_timeuuid)$/.test(expression.name) &&
      part.type._tag === "Scalar" && part.type.name === "timeuuid" &&
      // Of a column in descending order the type keeps its name.
      !expression.args.some((arg) => arg._tag === "Column" && table.byName.get(arg.name)?.descending === true)
    return { ...part, name: alias ?? part.text, type: part.type, shown: isLegacy ? LEGACY_TIMEUUID : part.type }
  })
  const common = { keyspace: table.keyspace.name, table: table.name }
  const plainWire = parts.map((part, i): WireColumn =>
    part.column !== undefined && selectors[i]!.alias === undefined
      ? part.column.wire
      : { ...common, name: part.name, type: part.shown }
  )
  const wire = statement.isJson ? [{ ...common, name: "[json]", type: CqlType.scalar("text") }] : plainWire
  const evaluate = (values: Bound, view: View): ReadonlyArray<Uint8Array | null> => {
    const out: Array<Uint8Array | null> = []
    for (let i = 0; i < parts.length; i++) out.push(bytesOf(parts[i]!.value(values, view)))
    return out
  }
  const toRow = (cells: ReadonlyArray<Uint8Array | null>): ReadonlyArray<Uint8Array | null> => {
    if (!statement.isJson) return cells
    const fields = parts.map((part, i) => {
      const key = JSON.stringify(columnKey(part.name))
      return `${key}: ${nullable(part.type, cells[i]!, variables.product)}`
    })
    return [Buffer.from(`{${fields.join(", ")}}`)]
  }
  return {
    wire,
    check: (values) => {
      for (let i = 0; i < c.checks.length; i++) c.checks[i]!(values)
    },
    isAggregate: c.aggregates.length > 0,
    plain: parts.flatMap((part) => part.column ?? []),
    used: selectors.flatMap(({ expression }) => columnsIn(expression, c)),
    project: (values, view) => toRow(evaluate(values, view)),
    group: () => {
      const aggregators = c.aggregates.map((each) => each.make())
      let first: View | undefined
      return {
        add: (values, view) => {
          first ??= view
          for (let i = 0; i < aggregators.length; i++) {
            aggregators[i]!.add(bytesOf(c.aggregates[i]!.argument(values, view)))
          }
        },
        result: (values) => {
          const aggregates = aggregators.map((each) => each.result())
          if (first !== undefined) return toRow(evaluate(values, { ...first, aggregates } as Grouped))
          // Over nothing columns are null, and aggregates what they are of nothing.
          return toRow(parts.map((part, i) => {
            const { expression } = selectors[i]!
            const isNothing = columnsIn(expression, c).length > 0 && !hasAggregate(expression)
            return isNothing ? null : bytesOf(part.value(values, { aggregates } as unknown as Grouped))
          }))
        }
      }
    }
  }
}

const hasAggregate = (expression: Ast.Expression): boolean => {
  switch (expression._tag) {
    case "CountRows":
      return true
    case "Call":
      return isAggregate(expression.name) || expression.args.some(hasAggregate)
    case "Arithmetic":
      return hasAggregate(expression.left) || hasAggregate(expression.right)
    case "Literal":
      return expression.items.some(hasAggregate)
    case "Typed":
    case "Negation":
    case "Cast":
    case "Field":
    case "Element":
    case "Slice":
      return hasAggregate(expression.of)
    default:
      return false
  }
}
