/** Random statements about a schema. Plain writes say their time, so that no clock decides which of them stays. */
import type { Draw } from "./draw.ts"
import { type Literal, many, optional, type Part } from "./parts.ts"
import { allOf, type Column, keyOf, type Schema, type Table } from "./schemas.ts"
import { INT, isNumber, literal, TEXT, type Type } from "./types.ts"

export interface Statement {
  readonly part: Part
  readonly isRead: boolean
  readonly pageSize: number
  /** Whether it is prepared first, with its values bound. */
  readonly isPrepared: boolean
}

const names = (of: ReadonlyArray<Column>): string => of.map(({ name }) => name).join(", ")

/** Seldom one of another type, and never a time of its own. */
const valueOf = (draw: Draw, type: Type): Literal => {
  if (!draw.chance(2)) return literal(draw, type)
  const text = draw.pick(["'x'", "1.5", "null", "(int) 1", "true", "[1]", "{'a': 1}", "0x01", "(1, 2)", "{f0: 1}"])
  return { _tag: "Literal", text, bytes: undefined }
}

const orNull = (draw: Draw, type: Type): Part =>
  draw.chance(12) ? { _tag: "Literal", text: "null", bytes: null } : valueOf(draw, type)

const values = (draw: Draw, type: Type): Part =>
  many(Array.from({ length: 1 + draw.below(3) }, () => valueOf(draw, type)), { before: "(", after: ")", least: 1 })

const COMPARISONS = ["<", "<=", ">", ">="]

const relation = (draw: Draw, { name, type }: Column): Part =>
  draw.weighted<Part>(
    [60, () => [`${name} = `, valueOf(draw, type)]],
    [10, () => [`${name} IN `, draw.chance(5) ? "()" : values(draw, type)]],
    [22, () => [`${name} ${draw.pick(COMPARISONS)} `, valueOf(draw, type)]],
    [2, () => [`${name} BETWEEN `, valueOf(draw, type), " AND ", valueOf(draw, type)]],
    [1, () => [`${name} != `, valueOf(draw, type)]],
    [1, () => `${name} IS NOT NULL`],
    [1, () => `${name} LIKE 'a%'`]
  )

/** What is asked of a column that is no part of the key. */
const filter = (draw: Draw, column: Column): Part => {
  const { name, type } = column
  if (type.element === undefined || draw.chance(20)) return relation(draw, column)
  if (type.key === undefined) return [`${name} CONTAINS `, valueOf(draw, type.element)]
  return draw.weighted<Part>(
    [1, () => [`${name} CONTAINS `, valueOf(draw, type.element!)]],
    [1, () => [`${name} CONTAINS KEY `, valueOf(draw, type.key!)]],
    [1, () => [`${name}[`, valueOf(draw, type.key!), "] = ", valueOf(draw, type.element!)]]
  )
}

/** Relations of several clustering columns at once. */
const multiColumn = (draw: Draw, columns: ReadonlyArray<Column>): Part => {
  const of = columns.slice(0, 1 + draw.below(columns.length))
  const row = (): Part => many(of.map(({ type }) => valueOf(draw, type)), { before: "(", after: ")", least: 1 })
  return draw.chance(30)
    ? [`(${names(of)}) IN `, many([row(), row()], { before: "(", after: ")", least: 1 })]
    : [`(${names(of)}) ${draw.pick(["=", ...COMPARISONS])} `, row()]
}

/** `stop`: how likely a clustering column is the last that is said. */
const where = (draw: Draw, table: Table, stop: number): Part => {
  const parts: Array<Part> = table.partition.filter(() => !draw.chance(2)).map((column) =>
    draw.chance(8) ? relation(draw, column) : [`${column.name} = `, valueOf(draw, column.type)]
  )
  if (table.clustering.length > 1 && draw.chance(8)) parts.push(multiColumn(draw, table.clustering))
  else {
    for (const column of table.clustering) {
      if (draw.chance(stop)) break
      parts.push(relation(draw, column))
    }
  }
  return many(parts, { before: " WHERE ", separator: " AND " })
}

/** Of a write to one row. */
const exactly = (draw: Draw, table: Table, columns: ReadonlyArray<Column>): Part =>
  many(columns.map(({ name, type }) => [`${name} = `, valueOf(draw, type)]), {
    before: " WHERE ",
    separator: " AND ",
    least: table.partition.length
  })

const using = (draw: Draw, table: Table, isConditional: boolean, hasTtl: boolean): Part =>
  many([
    ...(isConditional || table.isCounter ? [] : [`TIMESTAMP ${1 + draw.below(6)}`]),
    ...(hasTtl && table.hasTtl && draw.chance(15) ? ["TTL 100000"] : [])
    // A write that does not say its time has that of a clock.
  ], { before: " USING ", separator: " AND ", least: isConditional || table.isCounter ? 0 : 1 })

const condition = (draw: Draw, table: Table): Part => {
  const columns = [...table.statics, ...table.regular]
  if (columns.length === 0 || draw.chance(35)) return " IF EXISTS"
  const asked = ({ name, type }: Column): Part => {
    if (type.key !== undefined && draw.chance(40)) {
      return [`${name}[`, valueOf(draw, type.key), `] ${draw.pick(["=", "!="])} `, orNull(draw, type.element!)]
    }
    if (draw.chance(15)) return [`${name} IN `, values(draw, type)]
    const op = draw.pick(["=", "=", "!=", ...COMPARISONS])
    return [`${name} ${op} `, !COMPARISONS.includes(op) ? orNull(draw, type) : valueOf(draw, type)]
  }
  // Of several conditions on one column Cassandra asks in an order of no rule, and one may be an error where another does not hold.
  return many(draw.some(columns, 1, 2).map(asked), { before: " IF ", separator: " AND ", least: 1 })
}

const assignment = (draw: Draw, column: Column): Part => {
  const { name, type } = column
  if (type.name === "counter") return `${name} = ${name} ${draw.pick(["+", "-"])} ${1 + draw.below(9)}`
  const whole = (): Part => [`${name} = `, orNull(draw, type)]
  if (!type.isMultiCell) return whole()
  if (type.fields !== undefined) {
    const [field, of] = draw.pick(type.fields)
    return draw.chance(50) ? whole() : [`${name}.${field} = `, orNull(draw, of)]
  }
  const some = valueOf(draw, type)
  const { element, key } = type
  if (key !== undefined) {
    return draw.weighted<Part>(
      [3, whole],
      [2, () => [`${name} = ${name} + `, some]],
      [2, () => [`${name}[`, valueOf(draw, key), "] = ", orNull(draw, element!)]],
      [1, () => [`${name} += `, some]],
      [1, () => [`${name} = ${name} - {`, valueOf(draw, key), "}"]]
    )
  }
  const isList = type.name.startsWith("list")
  return draw.weighted<Part>(
    [3, whole],
    [2, () => [`${name} = ${name} + `, some]],
    [1, () => [`${name} = ${name} - `, some]],
    [1, () => [`${name} ${draw.pick(["+=", "-="])} `, some]],
    [1, () => isList ? [`${name} = `, some, ` + ${name}`] : [`${name} = ${name} + `, some]],
    [1, () => isList ? [`${name}[${draw.below(3)}] = `, orNull(draw, element!)] : whole()]
  )
}

const insert = (draw: Draw, table: Table, isConditional: boolean): Part => {
  const chosen = [...keyOf(table), ...draw.some([...table.statics, ...table.regular], 0)]
  const columns = draw.chance(2) ? chosen.slice(1) : chosen
  const isPart = new Set(keyOf(table))
  return [
    `INSERT INTO ${table.name} (${names(columns)}) VALUES (`,
    ...columns.flatMap((column, i): Array<Part> => [
      i === 0 ? "" : ", ",
      isPart.has(column) ? valueOf(draw, column.type) : orNull(draw, column.type)
    ]),
    ")",
    isConditional ? " IF NOT EXISTS" : "",
    using(draw, table, isConditional, true)
  ]
}

const update = (draw: Draw, table: Table, isConditional: boolean): Part => {
  const columns = [...table.statics, ...table.regular]
  const chosen = columns.length === 0 ? table.partition : draw.some(columns, 1)
  const isOfPartition = chosen.every((column) => table.statics.includes(column))
  return [
    `UPDATE ${table.name}`,
    using(draw, table, isConditional, true),
    many(chosen.map((column) => assignment(draw, column)), { before: " SET ", least: 1 }),
    draw.chance(10) ? where(draw, table, 10) : exactly(draw, table, isOfPartition ? table.partition : keyOf(table)),
    isConditional ? condition(draw, table) : ""
  ]
}

const remove = (draw: Draw, table: Table, isConditional: boolean): Part => {
  const columns = draw.chance(40) ? draw.some([...table.statics, ...table.regular], 0, 2) : []
  const what = columns.map(({ name, type }): Part => {
    if (!type.isMultiCell || draw.chance(40)) return name
    if (type.fields !== undefined) return `${name}.${draw.pick(type.fields)[0]}`
    if (type.key !== undefined) return [`${name}[`, valueOf(draw, type.key), "]"]
    return type.name.startsWith("list") ? `${name}[${draw.below(3)}]` : [`${name}[`, valueOf(draw, type.element!), "]"]
  })
  return [
    "DELETE",
    many(what, { before: " " }),
    ` FROM ${table.name}`,
    using(draw, table, isConditional, false),
    draw.chance(50) ? exactly(draw, table, keyOf(table)) : where(draw, table, 25),
    isConditional ? condition(draw, table) : ""
  ]
}

const write = (draw: Draw, table: Table): Part => {
  const isConditional = table.hasConditions && draw.chance(12)
  // What is removed from a counter is not to be written to again.
  if (table.isCounter) return update(draw, table, draw.chance(2))
  return draw.weighted(
    [45, () => insert(draw, table, isConditional)],
    [30, () => update(draw, table, isConditional)],
    [25, () => remove(draw, table, isConditional)]
  )
}

const batch = (draw: Draw, tables: ReadonlyArray<Table>): Part => {
  const first = draw.pick(tables)
  const parts = Array.from(
    { length: 1 + draw.below(3) },
    () => write(draw, draw.chance(85) ? first : draw.pick(tables))
  )
  const kind = first.isCounter ? draw.pick(["COUNTER ", ""]) : draw.pick(["", "", "UNLOGGED "])
  return [`BEGIN ${kind}BATCH `, many(parts, { separator: "; ", after: "; " }), "APPLY BATCH"]
}

const AGGREGATES = ["count", "min", "max", "sum", "avg"]

const OPERATORS = ["+", "-", "*", "/", "%"]

const isText = ({ name }: Type): boolean => name === "text" || name === "ascii"

/** Literals of columns: what they are of is known, or said. */
const composedOf = (draw: Draw, name: string, other: string): string =>
  draw.pick([`(${name}, ${other})`, `[${name}, ${name}]`, `(${name})`, `[${name}]`, `((${name}), ${other})`])

const selector = (draw: Draw, table: Table): Part => {
  const column = draw.pick(allOf(table))
  const { name, type } = column
  const isCell = table.regular.includes(column) || table.statics.includes(column)
  return draw.weighted<Part>(
    [40, () => name],
    [5, () => `${name} AS x`],
    [4, () => `cast(${name} AS ${draw.pick(["text", "int", "bigint", "double", "decimal", "varint", "ascii"])})`],
    [4, () => `to_json(${name}) AS j`],
    [3, () => `token(${names(table.partition)})`],
    [5, () => isCell && !table.isCounter ? `ttl(${name})` : name],
    [5, () => isCell && !table.isCounter && !table.hasConditions ? `writetime(${name})` : name],
    [4, () =>
      type.key !== undefined
        ? [`${name}[`, valueOf(draw, type.key), "]"]
        : type.fields !== undefined
        ? `${name}.${draw.pick(type.fields)[0]}`
        : type.name.startsWith("set") || type.name.startsWith("frozen<set")
        ? [`${name}[`, valueOf(draw, type.element!), "]"]
        : name],
    [6, () => isNumber(type) ? `${name} ${draw.pick(["+", "-", "*", "/", "%"])} ${draw.pick(["1", "2", name])}` : name],
    [2, () => isNumber(type) ? `${draw.pick(["abs", "round", "exp", "log", "log10"])}(${name})` : name],
    [2, () =>
      type.element === undefined
        ? `${type.name.includes("<") ? "text" : type.name}asblob(${name})`
        : `${draw.pick(["collection_count", "collection_min", "collection_max", "collection_sum"])}(${name})`],
    [2, () => type.key === undefined ? name : `${draw.pick(["map_keys", "map_values"])}(${name})`],
    [
      3,
      () => [`${name} ${draw.pick(OPERATORS)} `, draw.chance(50) ? draw.pick(allOf(table)).name : valueOf(draw, type)]
    ],
    [1, () => `(${name} ${draw.pick(OPERATORS)} 1) ${draw.pick(OPERATORS)} 2`],
    [1, () => `- ${name}`],
    [2, () => composedOf(draw, name, draw.pick(allOf(table)).name)],
    [2, () => `${draw.pick(["mask_default", "mask_null", "mask_hash"])}(${name})`],
    [1, () => table.isCounter ? name : [`mask_replace(${name}, `, valueOf(draw, type), ")"]],
    [
      1,
      () =>
        isText(type) ? `${draw.pick(["mask_inner", "mask_outer"])}(${name}, 1, ${draw.pick(["0", "1", "null"])})` : name
    ]
  )
}

const aggregate = (draw: Draw, table: Table): string =>
  draw.chance(35) ? "count(*)" : `${draw.pick(AGGREGATES)}(${draw.pick(allOf(table)).name})`

const select = (draw: Draw, table: Table): Part => {
  const keys = keyOf(table)
  const grouped = draw.chance(8) ? keys.slice(0, 1 + draw.below(keys.length)) : []
  const isDistinct = grouped.length === 0 && draw.chance(7)
  const what: Part = isDistinct
    ? [`DISTINCT ${names(table.partition)}`, many(table.statics.map(({ name }) => name), { before: ", " })]
    : grouped.length > 0
    ? many([...grouped.map(({ name }) => name), aggregate(draw, table)], { least: 1 })
    : draw.weighted<Part>(
      [35, () => "*"],
      [45, () => many(Array.from({ length: 1 + draw.below(4) }, () => selector(draw, table)), { least: 1 })],
      [14, () => many(Array.from({ length: 1 + draw.below(3) }, () => aggregate(draw, table)), { least: 1 })],
      [6, () => draw.pick(["JSON *", `JSON ${names(draw.some(keys, 1))}`])]
    )
  const others = [...table.statics, ...table.regular]
  const restricted = draw.weighted<Part>(
    [8, () => [
      ` WHERE token(${names(table.partition)}) ${draw.pick(COMPARISONS)} `,
      draw.pick([
        "0",
        "-9223372036854775808",
        ["token(", ...table.partition.flatMap(({ type }, i) => [i === 0 ? "" : ", ", valueOf(draw, type)]), ")"]
      ])
    ]],
    [20, () => ""],
    [57, () => where(draw, table, 40)],
    [15, () =>
      others.length === 0
        ? ""
        : [
          " WHERE ",
          many([filter(draw, draw.pick(others)), ...(draw.chance(30) ? [filter(draw, draw.pick(allOf(table)))] : [])], {
            separator: " AND ",
            least: 1
          })
        ]]
  )
  const order = table.clustering.length > 0 && draw.chance(20)
    ? many(
      draw.some(table.clustering, 1).map(({ name }) => `${name}${draw.pick(["", " DESC", " ASC"])}`),
      { before: " ORDER BY " }
    )
    : ""
  return [
    "SELECT ",
    what,
    ` FROM ${table.name}`,
    optional(restricted),
    grouped.length === 0 ? "" : optional(` GROUP BY ${names(grouped)}`),
    order,
    draw.chance(10) ? optional(` PER PARTITION LIMIT ${draw.pick(["1", "2", "0"])}`) : "",
    draw.chance(25) ? optional(` LIMIT ${draw.pick(["1", "2", "5", "0"])}`) : "",
    draw.chance(35) ? optional(" ALLOW FILTERING") : ""
  ]
}

/** INSERT JSON, of those columns whose JSON is easily said. */
const insertJson = (draw: Draw, table: Table): Part => {
  const fields = allOf(table).filter(({ type }) => isNumber(type) || type.name === TEXT.name || type.name === INT.name)
    .map(({ name, type }) => `"${name}": ${isNumber(type) ? draw.pick(["0", "1"]) : '"a"'}`)
  return [
    `INSERT INTO ${table.name} JSON '`,
    ["{", many(fields), "}"],
    "'",
    draw.chance(30) ? optional(draw.pick([" DEFAULT UNSET", " DEFAULT NULL"])) : "",
    " USING TIMESTAMP 3"
  ]
}

/** The next statement of a seed. */
export const statementOf = (draw: Draw, { tables }: Schema): Statement => {
  const table = draw.pick(tables)
  const isRead = draw.chance(50)
  const part = isRead
    ? select(draw, table)
    : draw.weighted(
      [86, () => write(draw, table)],
      [11, () => batch(draw, tables)],
      [3, () => table.isCounter ? write(draw, table) : insertJson(draw, table)]
    )
  return { part, isRead, pageSize: draw.pick([1, 2, 3, 5000]), isPrepared: draw.chance(25) }
}
