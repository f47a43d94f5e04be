/**
 * The ids of result metadata: ScyllaDB's are the first half of a SHA-256 (`cql3/result_set.cc`), Cassandra's an MD5
 * (`ResultSet.ResultMetadata`), both over names and types of the columns.
 */
import type { CqlType, ScalarName } from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"

const MARSHAL = "org.apache.cassandra.db.marshal."

const CLASSES: Record<ScalarName, string> = {
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

const hex = (text: string): string => Buffer.from(text).toString("hex")

/** The name of the class that a server has for the type. Types do not know whether they are frozen: nothing says so here. */
export const className = (type: CqlType): string => {
  switch (type._tag) {
    case "Scalar":
      return MARSHAL + CLASSES[type.name]
    case "List":
      return `${MARSHAL}ListType(${className(type.element)})`
    case "Set":
      return `${MARSHAL}SetType(${className(type.element)})`
    case "Map":
      return `${MARSHAL}MapType(${className(type.key)},${className(type.value)})`
    case "Tuple":
      return `${MARSHAL}TupleType(${type.elements.map(className).join(",")})`
    case "Udt": {
      const fields = type.fields.map((field) => `${hex(field.name)}:${className(field.type)}`)
      return `${MARSHAL}UserType(${[type.keyspace, hex(type.name), ...fields].join(",")})`
    }
    case "Custom":
      return type.className
    default:
      // A type that protocol has and the simulator does not: no table here holds one.
      throw new TypeError(`not simulated: the type ${(type as { readonly _tag: string })._tag}`)
  }
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([length, bytes])
}

export const scyllaId = (columns: ReadonlyArray<Column>): Uint8Array => {
  const hash = createHash("sha256")
  for (const { name, type } of columns) hash.update(text(name)).update(text(className(type)))
  return Uint8Array.from(hash.digest().subarray(0, 16))
}

export const cassandraId = (columns: ReadonlyArray<Column>): Uint8Array => {
  const hash = createHash("md5")
  for (const { name, type } of columns) hash.update(`${name}\0${className(type)}\0\0`)
  return Uint8Array.from(hash.digest())
}
