/** Types of random columns, and values of them: few of each, so that rows meet. */
import { Codec, CqlType } from "@effect-scylla/protocol"
import type { Draw } from "./draw.ts"
import type { Literal } from "./parts.ts"

/** A value as text, and as what the codec takes; without that it is never bound. */
type Value = readonly [text: string, value?: unknown]

export interface Type {
  /** As it is written in CQL. */
  readonly name: string
  readonly cql: CqlType.CqlType
  readonly value: (draw: Draw) => Value
  /** Of a collection: what is in it. */
  readonly key?: Type
  readonly element?: Type
  /** Of a user-defined type: its fields. */
  readonly fields?: ReadonlyArray<readonly [name: string, type: Type]>
  /** Whether parts of it are written by themselves. */
  readonly isMultiCell: boolean
}

export interface UserType {
  readonly name: string
  readonly fields: ReadonlyArray<readonly [name: string, type: Type]>
}

const scalars: Readonly<Record<string, ReadonlyArray<Value>>> = {
  int: [["-1", -1], ["0", 0], ["1", 1], ["2", 2], ["2147483647", 2147483647]],
  bigint: [["-1", -1n], ["0", 0n], ["1", 1n], ["9223372036854775807", 9223372036854775807n]],
  smallint: [["-1", -1], ["0", 0], ["1", 1], ["32767", 32767]],
  tinyint: [["-128", -128], ["0", 0], ["1", 1]],
  varint: [["-1", -1n], ["0", 0n], ["18446744073709551616", 18446744073709551616n], ["255", 255n]],
  decimal: [["-1.5"], ["0"], ["0.00"], ["1E+3"], ["2.50"]],
  float: [["-0.0", -0], ["0.5", 0.5], ["NaN", Number.NaN], ["1e10", 1e10]],
  double: [["-0.0", -0], ["1e10", 1e10], ["NaN", Number.NaN], ["-Infinity", -Infinity], ["2.5", 2.5]],
  text: [["''", ""], ["'a'", "a"], ["'b'", "b"], ["'é'", "é"], ["'it''s'", "it's"]],
  ascii: [["''", ""], ["'a'", "a"], ["'ab'", "ab"]],
  blob: [["0x", new Uint8Array()], ["0x00", Uint8Array.of(0)], ["0xff01", Uint8Array.of(255, 1)]],
  boolean: [["true", true], ["false", false]],
  date: [["'2024-02-29'"], ["'1970-01-01'"], ["'1969-12-31'"]],
  time: [["'00:00:00'"], ["'23:59:59.999999999'"], ["'12:30:00'"]],
  timestamp: [["0"], ["'2024-02-29T12:00:00.123Z'"], ["-1"], ["'1969-12-31'"]],
  uuid: [["00000000-0000-0000-0000-000000000000"], ["c0ffee00-0000-4000-8000-000000000001"]],
  timeuuid: [["50554d6e-29bb-11e5-b345-feff819cdc9f"], ["60554d6e-29bb-11e5-b345-feff819cdc9f"]],
  inet: [["'127.0.0.1'"], ["'::1'"], ["'10.0.0.1'"]],
  duration: [["1mo"], ["2d3h"], ["-1ns"], ["P1Y"]]
}

const scalar = (name: string): Type => ({
  name,
  cql: CqlType.scalar(name as CqlType.ScalarName),
  value: (draw) => draw.pick(scalars[name]!),
  isMultiCell: false
})

const SCALARS = Object.keys(scalars).map(scalar)
/**
 * Of keys and of what is in collections, without a second way to write zero: which of two stays depends on whether Cassandra has flushed
 * the first to disk by then.
 */
const KEYS = SCALARS.filter(({ name }) => name !== "duration").map((type) =>
  type.name === "decimal"
    ? Object.assign({}, type, {
      value: (draw: Draw) => draw.pick(scalars["decimal"]!.filter(([text]) => text !== "0.00"))
    })
    : type
)
/** Those that most columns have. */
const USUAL = ["int", "text", "bigint", "boolean", "double", "uuid"].map(scalar)

const [INT, TEXT] = [scalar("int"), scalar("text")]

export { INT, TEXT }

/** The text and what the codec takes, of several. */
const gathered = (
  values: ReadonlyArray<Value>,
  text: (texts: ReadonlyArray<string>) => string,
  make: (of: ReadonlyArray<unknown>) => unknown
): Value =>
  values.some((each) => each.length === 1)
    ? [text(values.map(([each]) => each))]
    : [text(values.map(([each]) => each)), make(values.map(([, each]) => each))]

const times = <A>(draw: Draw, make: () => A): ReadonlyArray<A> => Array.from({ length: draw.below(4) }, make)

const list = (element: Type): Type => ({
  name: `list<${element.name}>`,
  cql: CqlType.list(element.cql),
  value: (draw) => gathered(times(draw, () => element.value(draw)), (texts) => `[${texts.join(", ")}]`, (of) => of),
  element,
  isMultiCell: true
})

const set = (element: Type): Type => ({
  name: `set<${element.name}>`,
  cql: CqlType.set(element.cql),
  // Bound ones would have to be sorted by the client, so they are written.
  value: (draw) => [`{${times(draw, () => element.value(draw)[0]).join(", ")}}`],
  element,
  isMultiCell: true
})

const map = (key: Type, element: Type): Type => ({
  name: `map<${key.name}, ${element.name}>`,
  cql: CqlType.map(key.cql, element.cql),
  value: (draw) => [`{${times(draw, () => `${key.value(draw)[0]}: ${element.value(draw)[0]}`).join(", ")}}`],
  key,
  element,
  isMultiCell: true
})

/** `isWhole`: none at the end is left out, which is another way to write null. */
const tupleOf = (isWhole: boolean, ...elements: ReadonlyArray<Type>): Type => ({
  name: `tuple<${elements.map(({ name }) => name).join(", ")}>`,
  cql: CqlType.tuple(...elements.map(({ cql }) => cql)),
  value: (draw) => {
    const given = !isWhole && draw.chance(10) ? elements.slice(0, -1) : elements
    const texts = given.map((element) => draw.chance(10) ? "null" : element.value(draw)[0])
    return [`(${texts.join(", ")})`]
  },
  isMultiCell: false
})

const vector = (dimension: number): Type => ({
  name: `vector<float, ${dimension}>`,
  cql: CqlType.vector(CqlType.scalar("float"), dimension),
  value: (draw) => [`[${Array.from({ length: dimension }, () => draw.pick(["0.5", "1", "-2"])).join(", ")}]`],
  isMultiCell: false
})

const user = (keyspace: string, { fields, name }: UserType): Type => ({
  name,
  cql: CqlType.udt(keyspace, name, fields.map(([field, { cql }]) => ({ name: field, type: cql }))),
  value: (draw) => {
    const given = fields.filter(() => draw.chance(80))
    const of = given.length === 0 ? fields : given
    return [`{${of.map(([field, type]) => `${field}: ${draw.chance(10) ? "null" : type.value(draw)[0]}`).join(", ")}}`]
  },
  fields,
  isMultiCell: true
})

const frozen = (type: Type): Type => ({ ...type, name: `frozen<${type.name}>`, isMultiCell: false })

/** A type of a column of a primary key. */
export const keyType = (draw: Draw): Type =>
  draw.weighted(
    [70, () => draw.pick(USUAL)],
    [25, () => draw.pick(KEYS)],
    [3, () => frozen(set(draw.pick(USUAL)))],
    [2, () => tupleOf(true, INT, TEXT)]
  )

const flat = (draw: Draw): Type => draw.chance(70) ? draw.pick(USUAL) : draw.pick(KEYS)

/** A type of any other column. */
export const columnType = (draw: Draw, keyspace: string, users: ReadonlyArray<UserType>): Type =>
  draw.weighted(
    [45, () => draw.pick(USUAL)],
    [15, () => draw.pick(SCALARS)],
    [8, () => list(flat(draw))],
    [8, () => set(flat(draw))],
    [8, () => map(flat(draw), flat(draw))],
    [4, () => frozen(draw.pick([list, set])(flat(draw)))],
    [2, () => list(frozen(set(INT)))],
    [3, () => tupleOf(false, flat(draw), flat(draw))],
    [2, () => vector(2)],
    [3, () => users.length === 0 ? TEXT : user(keyspace, draw.pick(users))],
    [2, () => users.length === 0 ? INT : frozen(user(keyspace, draw.pick(users)))]
  )

export const userType = (draw: Draw, name: string): UserType => ({
  name,
  fields: Array.from({ length: 1 + draw.below(3) }, (_, i) => [`f${i}`, draw.pick(USUAL)] as const)
})

/** A random value of a type. */
export const literal = (draw: Draw, type: Type): Literal => {
  const value = type.value(draw)
  return {
    _tag: "Literal",
    text: value[0],
    bytes: value.length === 1 ? undefined : Codec.encode(type.cql, value[1])
  }
}

const NUMBERS = new Set(["int", "bigint", "smallint", "tinyint", "varint", "decimal", "float", "double"])

export const isNumber = ({ name }: Type): boolean => NUMBERS.has(name)
