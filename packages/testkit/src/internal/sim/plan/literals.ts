/** Constants of CQL texts to bytes. */
import { encode } from "@effect-scylla/protocol/Codec"
import { className, type CqlType, format, type ScalarName } from "@effect-scylla/protocol/CqlType"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { CqlDuration, Inet, LocalDate, LocalTime } from "@effect-scylla/protocol/Value"
import * as BigDecimal from "effect/BigDecimal"
import { Buffer } from "node:buffer"
import { invalid } from "../failure.ts"
import type { ConstantKind, Term } from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"
import { int64, record } from "../storage/values.ts"

type Constant = Extract<Term, { readonly _tag: "Constant" }>

const ACCEPTED: Record<ScalarName, ReadonlyArray<ConstantKind>> = {
  ascii: ["STRING"],
  text: ["STRING"],
  inet: ["STRING"],
  bigint: ["INTEGER"],
  counter: ["INTEGER"],
  int: ["INTEGER"],
  smallint: ["INTEGER"],
  tinyint: ["INTEGER", "HEX"],
  varint: ["INTEGER"],
  blob: ["HEX"],
  boolean: ["BOOLEAN"],
  decimal: ["INTEGER", "FLOAT"],
  double: ["INTEGER", "FLOAT"],
  float: ["INTEGER", "FLOAT"],
  timestamp: ["INTEGER", "STRING"],
  date: ["INTEGER", "STRING"],
  time: ["INTEGER", "STRING"],
  uuid: ["UUID"],
  timeuuid: ["UUID"],
  duration: ["DURATION", "INTEGER"]
}

/** What only Cassandra takes. */
const OF_CASSANDRA: ReadonlyArray<readonly [ScalarName, ConstantKind]> = [["tinyint", "HEX"], ["duration", "INTEGER"]]

const isAccepted = (type: ScalarName, kind: ConstantKind, product: Product): boolean =>
  ACCEPTED[type].includes(kind) &&
  (product === "cassandra" || !OF_CASSANDRA.some((each) => each[0] === type && each[1] === kind))

/** The type that a constant is of by itself. */
const PREFERRED: Record<ConstantKind, ScalarName> = {
  STRING: "text",
  INTEGER: "int",
  FLOAT: "double",
  BOOLEAN: "boolean",
  UUID: "uuid",
  HEX: "blob",
  DURATION: "duration"
}

/** Of Cassandra it is the smallest one that holds it. */
export const preferredType = ({ kind, text }: Constant, product: Product): ScalarName => {
  if (product === "cassandra" && kind === "INTEGER") {
    const value = BigInt(text)
    return BigInt.asIntN(32, value) === value ? "int" : BigInt.asIntN(64, value) === value ? "bigint" : "varint"
  }
  // eslint-disable-next-line no-control-regex
  if (product === "cassandra" && kind === "STRING" && /^[\0-\x7f]*$/.test(text)) return "ascii"
  if (product === "cassandra" && kind === "FLOAT" && /\d/.test(text)) {
    const isDouble = BigDecimal.equals(
      BigDecimal.fromStringUnsafe(text),
      BigDecimal.fromStringUnsafe(String(Number(text)))
    )
    return isDouble ? "double" : "decimal"
  }
  return PREFERRED[kind]
}

/** How well a constant serves as a value of a type, as far as its form shows. */
export const fitsConstant = (type: ScalarName, constant: Constant, product: Product): "exact" | "weak" | "no" =>
  !isAccepted(type, constant.kind, product) ? "no" : preferredType(constant, product) === type ? "exact" : "weak"

/** Days since 1970-01-01 of a proleptic Gregorian date, for any year (`Date` knows only ±271 821). */
const epochDay = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Days since 1970-01-01; ScyllaDB lets months and days run over, Cassandra wants all digits. */
const parseDate = (text: string, product: Product): number | undefined => {
  if (/^\d+$/.test(text) && text.length > 4) {
    const day = Number(text)
    return day < 2 ** 32 ? day - 2 ** 31 : undefined
  }
  const isScylla = product === "scylla"
  const match = isScylla
    ? /^(-?\d{1,7})-(\d{1,2})-(\d{1,2})$/.exec(text)
    : /^(\d{4}|[+-]\d{4,7})-(\d{2})-(\d{2})$/.exec(text)
  if (match === null) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const isReal = month >= 1 && month <= 12 && day >= 1 && day <= DAYS[month - 1]! && (month !== 2 || day < 29 || isLeap)
  if (!isReal && (!isScylla || month < 1 || day < 1)) return undefined
  const result = epochDay(year + Math.floor((month - 1) / 12), (month - 1) % 12 + 1, 1) + day - 1
  return result < -(2 ** 31) || result >= 2 ** 31 ? undefined : result
}

/** Milliseconds of `2026-11-21[T ]10:00[:00[.123]][zone]`; UTC where no zone is given, as a server in UTC reads it. */
const parseTimestamp = (text: string, product: Product): number | undefined => {
  if (/^-?\d+$/.test(text)) return Number(text)
  const isScylla = product === "scylla"
  const match =
    /^(-?\d{4}-\d{1,2}-\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$/i
      .exec(text)
  if (match === null) return undefined
  const fraction = match[5] ?? ""
  if (isScylla && fraction.length > 3) {
    throw invalid(
      `marshaling error: unable to parse date '${text}': marshaling error: Milliseconds length exceeds expected (${fraction.length})`
    )
  }
  if (isScylla && /GMT|UTC/i.test(match[6] ?? "")) {
    throw invalid(
      `marshaling error: unable to parse date '${text}': marshaling error: Unable to parse timezone '${
        /\s*(?:GMT|UTC)$/i.exec(text)![0].toLowerCase()
      }'`
    )
  }
  const [year, month, day] = match[1]!.replace(/^-/, "").split("-").map(Number) as [number, number, number]
  // Cassandra takes the last day of the month for those that it does not have.
  const last = Math.min(day, DAYS[month - 1] ?? day)
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const real = isScylla || day > 31 ? day : month === 2 && last === 29 && !isLeap ? 28 : last
  const days = parseDate(
    `${match[1]!.startsWith("-") ? "-" : ""}${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${
      String(real).padStart(2, "0")
    }`,
    "cassandra"
  )
  if (days === undefined) return undefined
  const [hours, minutes, seconds] = [Number(match[2] ?? 0), Number(match[3] ?? 0), Number(match[4] ?? 0)]
  if (!isScylla && (hours > 23 || minutes > 59 || seconds > 59)) return undefined
  const millis = Number(fraction.padEnd(3, "0").slice(0, 3))
  const zone = /^([+-])(\d{2}):?(\d{2})?$/.exec(match[6] ?? "")
  const offset = zone === null ? 0 : (zone[1] === "-" ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3] ?? 0))
  return days * 86_400_000 + (hours * 3600 + (minutes - offset) * 60 + seconds) * 1000 + millis
}

/** Nanoseconds of `hh:mm:ss[.fffffffff]`, or what ScyllaDB says of it. */
const parseTime = (text: string): bigint | string => {
  const match = /^(-?\d{1,2}):(-?\d{1,2}):(-?\d{1,2})(?:\.(\d+))?$/.exec(text)
  if (match === null) return "Timestamp format must be hh:mm:ss[.fffffffff]"
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3])]
  if (hours < 0 || hours > 23) return `Hour out of bounds (${hours}).`
  if (minutes < 0 || minutes > 59) return `Minute out of bounds (${minutes}).`
  if (seconds < 0 || seconds > 59) return `Second out of bounds (${seconds}).`
  const fraction = match[4] ?? ""
  if (fraction.length > 9) return `more than 9 nanosecond digits: ${text}`
  return BigInt(hours * 3600 + minutes * 60 + seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"))
}

const parseDecimal = (text: string): BigDecimal.BigDecimal | undefined => {
  const match = /^(-?)(\d+)(?:\.(\d*))?(?:e([+-]?\d{1,9}))?$/i.exec(text)
  if (match === null) return undefined
  const fraction = match[3] ?? ""
  const unscaled = BigInt(match[2]! + fraction)
  return BigDecimal.make(match[1] === "-" ? -unscaled : unscaled, fraction.length - Number(match[4] ?? 0))
}

/** Nanoseconds, days or months of one unit of a duration. */
const UNITS: Record<string, readonly [field: "months" | "days" | "nanos", factor: bigint]> = {
  y: ["months", 12n],
  mo: ["months", 1n],
  w: ["days", 7n],
  d: ["days", 1n],
  h: ["nanos", 3_600_000_000_000n],
  m: ["nanos", 60_000_000_000n],
  s: ["nanos", 1_000_000_000n],
  ms: ["nanos", 1_000_000n],
  us: ["nanos", 1000n],
  "µs": ["nanos", 1000n],
  ns: ["nanos", 1n]
}

const ORDER = ["y", "mo", "w", "d", "h", "m", "s", "ms", "us", "ns"]
const NAMES = [
  "years",
  "months",
  "weeks",
  "days",
  "hours",
  "minutes",
  "seconds",
  "milliseconds",
  "microseconds",
  "nanoseconds"
]

/** What is wrong with the units of a duration: each may come once, the greater ones first. */
export const wrongUnits = (text: string): string | undefined => {
  if (/^-?p/i.test(text)) return undefined
  let last = -1
  for (const [, unit] of text.toLowerCase().matchAll(/\d+(mo|ms|us|µs|ns|[ywdhms])/g)) {
    const at = ORDER.indexOf(unit === "µs" ? "us" : unit!)
    if (at === last) return `Invalid duration. The ${NAMES[at]} are specified multiple times`
    if (at < last) return `Invalid duration. The ${NAMES[last]} should be after ${NAMES[at]}`
    last = at
  }
  return undefined
}

/** A duration with units (`1h30m`) or in ISO form (`PT1H30M`). */
export const parseDuration = (text: string): CqlDuration | undefined => {
  const negative = text.startsWith("-")
  const total = { months: 0n, days: 0n, nanos: 0n }
  let rest = (negative ? text.slice(1) : text).toLowerCase()
  const dated = /^p(\d{4})-(\d{2})-(\d{2})t(\d{2}):(\d{2}):(\d{2})$/.exec(rest)
  if (dated !== null) {
    const [years, months, days, hours, minutes, seconds] = dated.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number
    ]
    rest = `${years}y${months}mo${days}d${hours}h${minutes}m${seconds}s`
  }
  const iso = rest.startsWith("p")
  let time = !iso
  if (iso) rest = rest.slice(1)
  while (rest !== "") {
    if (iso && rest.startsWith("t")) {
      time = true
      rest = rest.slice(1)
      continue
    }
    const match = /^(\d+)(mo|ms|us|µs|ns|[ywdhms])/.exec(rest)
    if (match === null) return undefined
    const unit = iso && !time && match[2] === "m" ? "mo" : match[2]!
    const [field, factor] = UNITS[unit]!
    total[field] += BigInt(match[1]!) * factor
    rest = rest.slice(match[0].length)
  }
  const sign = negative ? -1n : 1n
  const limit = 2n ** 31n
  if (total.months >= limit || total.days >= limit || total.nanos >= 2n ** 63n) return undefined
  return new CqlDuration(Number(total.months * sign), Number(total.days * sign), total.nanos * sign)
}

/** The JavaScript value of a constant of an accepted kind, `undefined` where the text is not one of the type. */
const valueOf = (name: ScalarName, { kind, text }: Constant, product: Product): unknown => {
  switch (name) {
    case "ascii":
      return /^[\0-\x7f]*$/.test(text) ? text : undefined
    case "text":
      return text
    case "bigint":
    case "counter":
    case "varint":
      return /^-?\d+$/.test(text) ? BigInt(text) : undefined
    case "int":
    case "smallint":
    case "tinyint":
      return Number(text)
    case "blob":
      return text.length % 2 === 0 ? Buffer.from(text.slice(2), "hex") : undefined
    case "boolean":
      return /^true$/i.test(text) ? true : text === "" || /^false$/i.test(text) ? false : undefined
    case "decimal":
      return parseDecimal(text)
    case "double":
    case "float": {
      const isNegative = text.startsWith("-")
      const plain = text.toLowerCase().slice(isNegative ? 1 : 0)
      if (plain === "nan") return Number.NaN
      const value = plain === "infinity" ? Number.POSITIVE_INFINITY : Number(plain)
      const stored = name === "float" ? Math.fround(value) : value
      if (plain !== "infinity" && !Number.isFinite(stored)) {
        return product === "scylla" ? undefined : (isNegative ? -stored : stored)
      }
      return isNegative ? -stored : stored
    }
    case "timestamp": {
      const millis = kind === "INTEGER" ? Number(text) : parseTimestamp(text, product)
      return millis === undefined || !Number.isSafeInteger(millis) ? undefined : millis
    }
    case "date": {
      // An integer is the number on the wire: days with 2^31 for 1970-01-01.
      const day = kind === "INTEGER" ? Number(text) - 2 ** 31 : parseDate(text, product)
      return day === undefined ? undefined : new LocalDate(day)
    }
    case "time": {
      if (kind === "INTEGER" && !/^-?\d+$/.test(text)) return undefined
      const nanos = kind === "INTEGER" ? BigInt(text) : parseTime(text)
      return typeof nanos === "string" ? undefined : new LocalTime(nanos)
    }
    case "uuid":
    case "timeuuid": {
      const uuid = Uuid.parse(text)
      return name === "timeuuid" && uuid?.version !== 1 ? undefined : uuid
    }
    case "inet":
      return Inet.parse(text)
    case "duration":
      return wrongUnits(text) === undefined ? parseDuration(text) : undefined
  }
}

const JAVA_NAMES: Partial<Record<ScalarName, string>> = {
  int: "int",
  smallint: "short",
  tinyint: "byte",
  bigint: "long",
  counter: "long"
}

/** What is said of a text that is no value of the type. */
export const wrongText = (name: ScalarName, { kind, text }: Constant, product: Product): string => {
  const isScylla = product === "scylla"
  switch (name) {
    case "int":
    case "smallint":
    case "tinyint":
    case "bigint":
    case "counter": {
      if (!isScylla) return `Unable to make ${JAVA_NAMES[name]} from '${text}'`
      if (!/^-?\d+$/.test(text)) return `Invalid number format '${text}'`
      const isLong = BigInt.asIntN(64, BigInt(text)) === BigInt(text)
      return isLong && name !== "bigint"
        ? `Value out of range for type ${className({ _tag: "Scalar", name })}: '${text}'`
        : `Invalid number format '${text}'`
    }
    case "double":
    case "float":
      return `Invalid number format '${text}'`
    case "decimal":
      return `unable to make BigDecimal from '${text}'`
    case "date":
      if (kind === "INTEGER") {
        return `Unable to make unsigned int (for date) from${isScylla ? ` ${text}` : `: '${text}'`}`
      }
      return isScylla && /^-?\d{1,7}-\d{1,2}-\d{1,2}$/.test(text)
        ? `Input date ${text} is ${text.startsWith("-") ? "less than min" : "greater than max"} supported date ${
          text.startsWith("-") ? "-5877641-06-23" : "5881580-07-11"
        }`
        : `Unable to coerce '${text}' to a formatted date (long)`
    case "time": {
      if (kind === "INTEGER") return `Unable to make long (for time) from: '${text}'`
      const said = parseTime(text)
      return isScylla ? String(said) : `(TimeType) Unable to coerce '${text}' to a formatted time (long)`
    }
    case "timestamp":
      if (kind === "INTEGER") return `Unable to make long (for date) from: '${text}'`
      if (!isScylla) return `Unable to parse a date/time from '${text}'`
      return `unable to parse date '${text}': ${
        /^-?\d{4}-\d{1,2}-\d{1,2}/.test(text)
          ? "boost::wrapexcept<boost::gregorian::bad_day_of_month> (Day of month is not valid for year)"
          : `marshaling error: Unable to parse timestamp from '${text}'`
      }`
    case "duration": {
      const days = /(\d+)d/.exec(text)
      if (days !== null && Number(days[1]) > 2 ** 31 - 1) {
        return isScylla
          ? "Invalid duration. The number of days must be less than or equal to 2147483647"
          : "Invalid duration. The total number of days must be less or equal to 2147483647"
      }
      const large = isScylla ? /(\d{19,})([a-z]+)/i.exec(text) : null
      if (large !== null && BigInt(large[1]!) >= 2n ** 63n) {
        return `Invalid duration. The count for the ${
          NAMES[ORDER.indexOf(large[2]!.toLowerCase())] ?? "units"
        } is out of range`
      }
      return wrongUnits(text) ?? `Unable to convert '${text}' to a duration`
    }
    case "ascii":
      return `Invalid ASCII character in string literal: ${
        isScylla ? `'${text}'` : "java.nio.charset.UnmappableCharacterException: Input length = 1"
      }`
    default:
      return `unable to make ${name} from '${text}'`
  }
}

/** A whole number as a timestamp. ScyllaDB takes what is too great for the greatest. */
const timestampOf = (text: string, product: Product): Uint8Array => {
  const millis = BigInt(text)
  const stored = BigInt.asIntN(64, millis)
  if (stored === millis) return int64(millis)
  if (product === "cassandra") throw invalid(`Unable to make long (for date) from: '${text}'`)
  return int64(millis < 0n ? -(2n ** 63n) : 2n ** 63n - 1n)
}

/** Any constant is the text of a tuple, its parts with colons between them. */
const tupleOfText = (
  type: Extract<CqlType, { readonly _tag: "Tuple" }>,
  { kind, text }: Constant,
  name: string,
  product: Product
): Uint8Array => {
  // Bytes are bytes to Cassandra.
  if (kind === "HEX" && product === "cassandra") return Buffer.from(text.slice(2), "hex")
  const parts = text.split(":")
  if (parts.length > type.elements.length) {
    throw invalid(
      `Invalid tuple literal: too many elements. Type ${
        format(type)
      } expects ${type.elements.length} but got ${parts.length}`
    )
  }
  return record(parts.map((part, i) => part === "@" ? null : valueOfText(type.elements[i]!, part, name, product)))
}

/** A value of a scalar type by its text alone. */
const valueOfText = (type: CqlType, text: string, name: string, product: Product): Uint8Array => {
  if (type._tag !== "Scalar") return encodeConstant(type, { _tag: "Constant", kind: "STRING", text }, name, product)
  const isReal = type.name === "double" || type.name === "float"
  if (isReal && product === "cassandra" && text !== "NaN" && Number.isNaN(Number(text))) {
    throw invalid(`Unable to make ${type.name} from '${text}'`)
  }
  const kind = ACCEPTED[type.name].includes("STRING") ? "STRING" : ACCEPTED[type.name][0]!
  return encodeConstant(type, { _tag: "Constant", kind, text }, name, product)
}

/** An empty text is an empty value of some types. */
const EMPTY_TEXTS: Record<Product, ReadonlyArray<ScalarName>> = {
  scylla: ["date", "time", "timestamp"],
  cassandra: ["timestamp"]
}

/** Encodes a constant as a value of a scalar type, for the column or element called `name`; throws INVALID. */
export const encodeConstant = (type: CqlType, constant: Constant, name: string, product: Product): Uint8Array => {
  const scalar = type._tag === "Scalar" ? type.name : undefined
  const { kind, text } = constant
  if (type._tag === "Tuple") return tupleOfText(type, constant, name, product)
  const isRefused = scalar === undefined || !isAccepted(scalar, kind, product) ||
    (scalar === "time" && kind === "INTEGER" && product === "scylla")
  if (isRefused) throw invalid(`Invalid ${kind} constant (${text}) for "${name}" of type ${format(type)}`)
  if (text === "" && kind === "STRING" && EMPTY_TEXTS[product].includes(scalar)) return new Uint8Array(0)
  if (scalar === "tinyint" && kind === "HEX") return Buffer.from(text.slice(2), "hex")
  if (scalar === "timestamp" && kind === "INTEGER") return timestampOf(text, product)
  const prefix = product === "scylla" && scalar !== "uuid" ? "marshaling error: " : ""
  const wrong = (): never => {
    throw invalid(`${prefix}${wrongText(scalar, constant, product)}`)
  }
  const value = valueOf(scalar, constant, product)
  if (value === undefined) return wrong()
  try {
    return encode(type, value)!
  } catch {
    return wrong()
  }
}
