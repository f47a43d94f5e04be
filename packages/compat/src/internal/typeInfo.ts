import { type CqlType, SCALAR_CODES } from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"

/** A type as `cassandra-driver` describes it: the code of the wire, and what is in it. */
export interface TypeInfo {
  readonly code: number
  readonly type: null
  readonly info?: unknown
}

/** A column as it describes it. */
export interface ColumnInfo {
  readonly ksname?: string
  readonly tablename?: string
  readonly name: string
  readonly type: TypeInfo
}

/** Codes that no scalar type has (native_protocol_v4.spec section 4.2.5.2). */
const CODES = { custom: 0x00, list: 0x20, map: 0x21, set: 0x22, udt: 0x30, tuple: 0x31 } as const

const MARSHAL = "org.apache.cassandra.db.marshal."

/** The classes of the types that may be elements of a vector, which is announced by its class name. */
const CLASSES: Readonly<Record<keyof typeof SCALAR_CODES, string>> = {
  ascii: "AsciiType",
  bigint: "LongType",
  blob: "BytesType",
  boolean: "BooleanType",
  counter: "CounterColumnType",
  date: "SimpleDateType",
  decimal: "DecimalType",
  double: "DoubleType",
  duration: "DurationType",
  float: "FloatType",
  inet: "InetAddressType",
  int: "Int32Type",
  smallint: "ShortType",
  text: "UTF8Type",
  time: "TimeType",
  timestamp: "TimestampType",
  timeuuid: "TimeUUIDType",
  tinyint: "ByteType",
  uuid: "UUIDType",
  varint: "IntegerType"
}

const hex = (text: string): string => Buffer.from(text, "utf8").toString("hex")

/** The class of a type, as servers write it. */
const classOf = (type: CqlType): string => {
  switch (type._tag) {
    case "Scalar":
      return MARSHAL + CLASSES[type.name]
    case "List":
      return `${MARSHAL}ListType(${classOf(type.element)})`
    case "Set":
      return `${MARSHAL}SetType(${classOf(type.element)})`
    case "Map":
      return `${MARSHAL}MapType(${classOf(type.key)},${classOf(type.value)})`
    case "Tuple":
      return `${MARSHAL}TupleType(${type.elements.map(classOf).join(",")})`
    case "Udt": {
      const fields = type.fields.map((field) => `${hex(field.name)}:${classOf(field.type)}`)
      return `${MARSHAL}UserType(${[type.keyspace, hex(type.name), ...fields].join(",")})`
    }
    case "Vector":
      // The blanks are Cassandra's.
      return `${MARSHAL}VectorType(${classOf(type.element)} , ${type.dimension})`
    case "Custom":
      return type.className
  }
}

/**
 * The description of a type. A duration is a custom type in v4 of Cassandra, which `cassandra-driver` speaks, and has a code of its own in
 * that of ScyllaDB.
 */
export const typeInfoOf = (type: CqlType, isScylla = false): TypeInfo => {
  switch (type._tag) {
    case "Scalar":
      return type.name === "duration" && !isScylla
        ? { code: CODES.custom, type: null, info: classOf(type) }
        : { code: SCALAR_CODES[type.name], type: null }
    case "List":
      return { code: CODES.list, type: null, info: typeInfoOf(type.element, isScylla) }
    case "Set":
      return { code: CODES.set, type: null, info: typeInfoOf(type.element, isScylla) }
    case "Map":
      return { code: CODES.map, type: null, info: [typeInfoOf(type.key, isScylla), typeInfoOf(type.value, isScylla)] }
    case "Tuple":
      return { code: CODES.tuple, type: null, info: type.elements.map((element) => typeInfoOf(element, isScylla)) }
    case "Udt": {
      const fields = type.fields.map(({ name, type }) => ({ name, type: typeInfoOf(type, isScylla) }))
      return { code: CODES.udt, type: null, info: { keyspace: type.keyspace, name: type.name, fields } }
    }
    case "Vector":
    case "Custom":
      return { code: CODES.custom, type: null, info: classOf(type) }
  }
}

const known = new WeakMap<ReadonlyArray<Column>, ReadonlyArray<ColumnInfo>>()

/**
 * The description of a result's columns, made once for each shape: keyspace and table are of each column only where the server has named
 * them so.
 */
export const columnsOf = (
  columns: ReadonlyArray<Column>,
  isOfOne = false,
  isScylla = false
): ReadonlyArray<ColumnInfo> => {
  const before = known.get(columns)
  if (before !== undefined) return before
  const described = columns.map(({ keyspace, name, table, type }): ColumnInfo =>
    isOfOne
      ? { name, type: typeInfoOf(type, isScylla) }
      : { ksname: keyspace, tablename: table, name, type: typeInfoOf(type, isScylla) }
  )
  known.set(columns, described)
  return described
}
