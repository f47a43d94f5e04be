/** CAST: numbers to numbers, times to times, and whatever has a text to text. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as BigDecimal from "effect/BigDecimal"
import { Buffer } from "node:buffer"
import { internal, invalid, unsupported } from "../failure.ts"
import { readInt64 } from "../storage/values.ts"
import { resolveFunction } from "./functions.ts"
import { ofDouble } from "./javaDecimal.ts"
import { toJson } from "./json.ts"
import { isIntegral, narrowed, readIntegral, writeIntegral } from "./numbers.ts"
import type { Variables } from "./variables.ts"

type Cast = (bytes: Uint8Array) => Uint8Array | null

const isNumeric = (name: string): boolean => isIntegral(name) || ["float", "double", "decimal"].includes(name)

const numeric =
  (from: CqlType.CqlType, source: string, to: CqlType.CqlType, target: string, isCassandra: boolean): Cast =>
  (
    bytes
  ) => {
    if (bytes.length === 0) return null
    if (isIntegral(source)) {
      const value = readIntegral(from, bytes)
      if (isIntegral(target)) return writeIntegral(target, value)
      return target === "decimal" ? encode(to, BigDecimal.fromBigInt(value)) : encode(to, Number(value))
    }
    const value = decode(from, bytes) as number | BigDecimal.BigDecimal
    if (typeof value === "number") {
      if (target === "float" || target === "double") return encode(to, value)
      if (isIntegral(target)) {
        if (!isCassandra && (!Number.isFinite(value) || Math.abs(value) >= 2 ** 31)) {
          throw unsupported(`a cast of ${value} to ${target}`)
        }
        return writeIntegral(target, narrowed(value, target))
      }
      if (!isCassandra) throw unsupported(`a cast from ${source} to ${target}`)
      if (!Number.isFinite(value)) {
        throw internal(
          `java.lang.NumberFormatException: Character ${
            Number.isNaN(value) ? "N" : "I"
          } is neither a decimal digit number, decimal point, ` +
            'nor "e" notation exponential mark.'
        )
      }
      return encode(to, ofDouble(value, source === "float"))
    }
    if (isIntegral(target)) {
      const whole = value.scale > 0
        ? value.value / 10n ** BigInt(value.scale)
        : value.value * 10n ** BigInt(-value.scale)
      return writeIntegral(target, whole)
    }
    return encode(to, Number(BigDecimal.format(value)))
  }

/** What Cassandra can cast to a type, in the order in which it says so. */
const SOURCES: Record<string, string> = {
  text:
    "double inet counter varint boolean uuid float int bigint timestamp tinyint decimal date ascii timeuuid time smallint",
  ascii:
    "smallint tinyint counter int float decimal varint timestamp time bigint double uuid timeuuid inet boolean date",
  int: "float counter bigint varint double tinyint smallint decimal",
  bigint: "double counter smallint tinyint int decimal varint float",
  double: "int varint smallint tinyint decimal counter bigint float",
  decimal: "bigint float counter varint double tinyint int smallint",
  varint: "double counter bigint float tinyint smallint int decimal",
  smallint: "bigint double counter varint tinyint float int decimal",
  tinyint: "counter decimal bigint float varint int double smallint",
  float: "counter bigint varint tinyint smallint int decimal double",
  date: "timeuuid timestamp",
  timestamp: "date timeuuid"
}

const noCast = (from: CqlType.CqlType, to: CqlType.CqlType, text: string, variables: Variables): Error => {
  const target = CqlType.format(to)
  if (variables.product === "scylla") return invalid(`${CqlType.format(from)} cannot be cast to ${target}`)
  const sources = SOURCES[target]
  if (sources === undefined) return invalid(`${text} cannot be cast to ${target}`)
  const name = `system.cast_as_${target}`
  const known = sources.split(" ").map((source) => `${name} : (${source}) -> ${target}`).join(", ")
  return invalid(
    `Invalid call to function ${name}, none of its type signatures match (known type signatures: ${known})`
  )
}

/** A time as Cassandra writes it there: years of four digits, those before the first counted like those after it. */
const isoText = (millis: bigint): string => {
  const date = new Date(Number(millis))
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999) throw unsupported("a cast of a time so far away")
  const text = date.toISOString()
  const year = date.getUTCFullYear()
  const rest = text.slice(text.indexOf("-", 1))
  return `${String(year < 1 ? 1 - year : year).padStart(4, "0")}${rest}`
}

export const castOf = (from: CqlType.CqlType, to: CqlType.CqlType, text: string, variables: Variables): Cast => {
  if (CqlType.isSame(from, to)) {
    // Cassandra asks for a cast only where a column is in descending order, and has none.
    // Of int and bigint it takes that of varint, whose values are written alike.
    const isWhole = from._tag === "Scalar" && (from.name === "int" || from.name === "bigint")
    if (variables.product === "cassandra" && !isWhole) throw noCast(from, to, text, variables)
    return (bytes) => bytes
  }
  if (from._tag !== "Scalar" || to._tag !== "Scalar") throw noCast(from, to, text, variables)
  // A time is the number of its milliseconds, to those of Cassandra's casts that take numbers of that size.
  if (variables.product === "cassandra" && from.name === "timestamp" && isNumeric(to.name)) {
    if (to.name === "varint") return numeric(CqlType.scalar("bigint"), "bigint", to, to.name, true)
    if (to.name === "bigint") return (bytes) => bytes.length === 0 ? null : bytes
    const name = `system.cast_as_${to.name}`
    const fitting = SOURCES[to.name]!.split(" ").filter((source) => source === "varint" || source === "bigint")
    const known = fitting.map((source) => `${name} : (${source}) -> ${to.name}`).join(", ")
    throw invalid(
      `Ambiguous call to function ${name} (can be matched by following signatures: ${known}): use type casts to disambiguate`
    )
  }
  if (isNumeric(from.name) && isNumeric(to.name)) {
    return numeric(from, from.name, to, to.name, variables.product === "cassandra")
  }
  if (to.name === "text" || to.name === "ascii") {
    if (to.name === "ascii" && from.name === "text" && variables.product === "cassandra") {
      throw noCast(from, to, text, variables)
    }
    if (to.name === "ascii" && from.name === "text") throw unsupported("a cast from text to ascii")
    if (from.name === "blob" && variables.product === "cassandra") throw noCast(from, to, text, variables)
    if (from.name === "timestamp" && variables.product === "cassandra") {
      return (bytes) => bytes.length === 0 ? null : Buffer.from(isoText(readInt64(bytes)))
    }
    if (["blob", "duration", "timestamp"].includes(from.name)) {
      throw unsupported(`a cast from ${from.name} to text`)
    }
    return (bytes) => {
      if (from.name === "double" || from.name === "float") {
        const value = decode(from, bytes) as number
        if (!Number.isFinite(value)) return Buffer.from(String(value))
      }
      const json = toJson(from, bytes, variables.product)
      return Buffer.from(json.startsWith('"') ? JSON.parse(json) as string : json)
    }
  }
  const name = to.name === "timestamp" ? "totimestamp" : to.name === "date" ? "todate" : undefined
  if (name !== undefined && ["timeuuid", "timestamp", "date"].includes(from.name)) {
    let given: Uint8Array | null = null
    const argument = {
      text,
      type: from,
      fits: (type: CqlType.CqlType) => CqlType.isSame(type, from) ? "exact" as const : "no" as const,
      compile: () => () => given
    }
    const found = resolveFunction({ keyspace: undefined, name }, [argument], variables)
    return (bytes) => {
      given = bytes
      return found.value([]) as Uint8Array | null
    }
  }
  throw noCast(from, to, text, variables)
}
