/** Random schemas: a keyspace with some tables. */
import type { Draw } from "./draw.ts"
import { columnType, INT, keyType, type Type, type UserType, userType } from "./types.ts"

export interface Column {
  readonly name: string
  readonly type: Type
}

export interface Table {
  /** With its keyspace. */
  readonly name: string
  readonly partition: ReadonlyArray<Column>
  readonly clustering: ReadonlyArray<Column>
  readonly statics: ReadonlyArray<Column>
  readonly regular: ReadonlyArray<Column>
  readonly isCounter: boolean
  /** Whether it is written to with conditions, whose times are the server's. */
  readonly hasConditions: boolean
  /** Whether what is written to it may expire. */
  readonly hasTtl: boolean
  readonly create: ReadonlyArray<string>
}

export interface Schema {
  readonly keyspace: string
  readonly types: ReadonlyArray<string>
  readonly tables: ReadonlyArray<Table>
}

export const keyOf = ({ clustering, partition }: Table): ReadonlyArray<Column> => [...partition, ...clustering]

export const allOf = (table: Table): ReadonlyArray<Column> => [...keyOf(table), ...table.statics, ...table.regular]

const columns = (prefix: string, count: number, type: () => Type): ReadonlyArray<Column> =>
  Array.from({ length: count }, (_, i) => ({ name: `${prefix}${i}`, type: type() }))

const indexOf = (draw: Draw, { name, type }: Column): string =>
  !type.isMultiCell || type.fields !== undefined
    ? name
    : type.key === undefined
    ? draw.pick([name, `values(${name})`])
    : draw.pick([name, `keys(${name})`, `values(${name})`, `entries(${name})`])

const tableOf = (draw: Draw, keyspace: string, short: string, users: ReadonlyArray<UserType>): Table => {
  const name = `${keyspace}.${short}`
  const isCounter = draw.chance(8)
  const partition = columns("p", draw.weighted([70, () => 1], [25, () => 2], [5, () => 3]), () => keyType(draw))
  const clustering = columns(
    "c",
    draw.weighted([30, () => 0], [35, () => 1], [25, () => 2], [10, () => 3]),
    () => keyType(draw)
  )
  const counter: Type = { ...INT, name: "counter" }
  const other = () => isCounter ? counter : columnType(draw, keyspace, users)
  const statics = columns("s", clustering.length > 0 && draw.chance(35) ? 1 + draw.below(2) : 0, other)
  const regular = columns("v", isCounter ? 1 + draw.below(2) : draw.below(5), other)
  const defined = [
    ...[...partition, ...clustering, ...regular].map(({ name, type }) => `${name} ${type.name}`),
    ...statics.map(({ name, type }) => `${name} ${type.name} STATIC`)
  ]
  const primary = [`(${partition.map(({ name }) => name).join(", ")})`, ...clustering.map(({ name }) => name)]
  const order = clustering.length > 0 && draw.chance(40)
    ? ` WITH CLUSTERING ORDER BY (${clustering.map(({ name }) => `${name} ${draw.pick(["ASC", "DESC"])}`).join(", ")})`
    : ""
  const indexed = isCounter || draw.chance(70) ? [] : draw.some([...clustering, ...statics, ...regular], 1, 2)
  return {
    name,
    partition,
    clustering,
    statics,
    regular,
    isCounter,
    hasConditions: !isCounter && draw.chance(50),
    // An old index on a clustering column has rows expire by the server's own clock, whatever time a request says it is.
    hasTtl: !indexed.some((column) => clustering.includes(column)),
    create: [
      `CREATE TABLE ${name} (${defined.join(", ")}, PRIMARY KEY (${primary.join(", ")}))${order}`,
      ...indexed.map((column) =>
        `CREATE INDEX ${short}_${column.name} ON ${name} (${indexOf(draw, column)})${
          draw.chance(30) ? " USING 'sai'" : ""
        }`
      )
    ]
  }
}

/** The schema of a seed. */
export const schemaOf = (draw: Draw, keyspace: string): Schema => {
  const users = Array.from({ length: draw.below(3) }, (_, i) => userType(draw, `u${i}`))
  return {
    keyspace,
    types: users.map(({ fields, name }) =>
      `CREATE TYPE ${keyspace}.${name} (${fields.map(([field, type]) => `${field} ${type.name}`).join(", ")})`
    ),
    tables: Array.from({ length: 2 + draw.below(3) }, (_, i) => tableOf(draw, keyspace, `t${i}`, users))
  }
}
