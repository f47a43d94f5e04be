/** Constants of CQL texts to bytes. */
import { encode } from "@effect-scylla/protocol/Codec"
import { type CqlType, format, type ScalarName } from "@effect-scylla/protocol/CqlType"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import { CqlDuration, Inet, LocalDate, LocalTime } from "@effect-scylla/protocol/Value"
import * as BigDecimal from "effect/BigDecimal"
import { Buffer } from "node:buffer"
import { invalid } from "../failure.ts"
import type { ConstantKind, Term } from "../parse/ast.ts"

type Constant = Extract<Term, { readonly _tag: "Constant" }>

const ACCEPTED: Record<ScalarName, ReadonlyArray<ConstantKind>> = {
  ascii: ["STRING"],
  text: ["STRING"],
  inet: ["STRING"],
  bigint: ["INTEGER"],
  counter: ["INTEGER"],
  int: ["INTEGER"],
  smallint: ["INTEGER"],
  tinyint: ["INTEGER"],
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
  duration: ["DURATION"]
}

/** The type that a constant is of by itself. */
const PREFERRED: Record<ConstantKind, ReadonlyArray<ScalarName>> = {
  STRING: ["text", "ascii"],
  INTEGER: ["int", "bigint", "varint"],
  FLOAT: ["double", "float", "decimal"],
  BOOLEAN: ["boolean"],
  UUID: ["uuid", "timeuuid"],
  HEX: ["blob"],
  DURATION: ["duration"]
}

/** How well a constant serves as a value of a type, as far as its form shows. */
export const fitsConstant = (type: ScalarName, { kind }: Constant): "exact" | "weak" | "no" =>
  !ACCEPTED[type].includes(kind) ? "no" : PREFERRED[kind][0] === type ? "exact" : "weak"

/** Days since 1970-01-01 of a proleptic Gregorian date, for any year (`Date` knows only ±271 821). */
const epochDay = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

const parseDate = (text: string): number | undefined => {
  const match = /^([+-]?\d{1,7})-(\d{1,2})-(\d{1,2})$/.exec(text)
  if (match === null) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  if (month < 1 || month > 12 || day < 1 || day > DAYS[month - 1]!) return undefined
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (month === 2 && day === 29 && !leap) return undefined
  const result = epochDay(year, month, day)
  return result < -(2 ** 31) || result >= 2 ** 31 ? undefined : result
}

/** Milliseconds of `2026-11-21[T ]10:00[:00[.123]][zone]`; UTC where no zone is given, as a server in UTC reads it. */
const parseTimestamp = (text: string): number | undefined => {
  if (/^-?\d+$/.test(text)) return Number(text)
  const match =
    /^(-?\d{4}-\d{1,2}-\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$/i
      .exec(text)
  if (match === null) return undefined
  const day = parseDate(match[1]!)
  if (day === undefined) return undefined
  const [hours, minutes, seconds] = [Number(match[2] ?? 0), Number(match[3] ?? 0), Number(match[4] ?? 0)]
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined
  const millis = Number((match[5] ?? "").padEnd(3, "0").slice(0, 3))
  const zone = /^([+-])(\d{2}):?(\d{2})?$/.exec(match[6] ?? "")
  const offset = zone === null ? 0 : (zone[1] === "-" ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3] ?? 0))
  return day * 86_400_000 + (hours * 3600 + (minutes - offset) * 60 + seconds) * 1000 + millis
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

/** A duration with units (`1h30m`) or in ISO form (`PT1H30M`). */
export const parseDuration = (text: string): CqlDuration | undefined => {
  const negative = text.startsWith("-")
  const total = { months: 0n, days: 0n, nanos: 0n }
  let rest = (negative ? text.slice(1) : text).toLowerCase()
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
const valueOf = (name: ScalarName, { kind, text }: Constant): unknown => {
  switch (name) {
    case "ascii":
    case "text":
      return text
    case "bigint":
    case "counter":
    case "varint":
      return BigInt(text)
    case "int":
    case "smallint":
    case "tinyint":
      return Number(text)
    case "blob":
      return text.length % 2 === 0 ? Buffer.from(text.slice(2), "hex") : undefined
    case "boolean":
      return text === "true"
    case "decimal":
      return parseDecimal(text)
    case "double":
    case "float": {
      const plain = text.toLowerCase().replace("-", "")
      const value = plain === "nan" ? Number.NaN : plain === "infinity" ? Number.POSITIVE_INFINITY : Number(plain)
      return text.startsWith("-") ? -value : value
    }
    case "timestamp": {
      const millis = kind === "INTEGER" ? Number(text) : parseTimestamp(text)
      return millis === undefined || !Number.isSafeInteger(millis) ? undefined : millis
    }
    case "date": {
      // An integer is the number on the wire: days with 2^31 for 1970-01-01.
      const day = kind === "INTEGER" ? Number(text) - 2 ** 31 : parseDate(text)
      return day === undefined ? undefined : new LocalDate(day)
    }
    case "time":
      return kind === "INTEGER" ? new LocalTime(BigInt(text)) : LocalTime.parse(text)
    case "uuid":
    case "timeuuid": {
      const uuid = Uuid.parse(text)
      return name === "timeuuid" && uuid?.version !== 1 ? undefined : uuid
    }
    case "inet":
      return Inet.parse(text)
    case "duration":
      return parseDuration(text)
  }
}

/** Encodes a constant as a value of a scalar type, for the column or element called `name`; throws INVALID. */
export const encodeConstant = (type: CqlType, constant: Constant, name: string): Uint8Array => {
  const scalar = type._tag === "Scalar" ? type.name : undefined
  if (scalar === undefined || !ACCEPTED[scalar].includes(constant.kind)) {
    throw invalid(`Invalid ${constant.kind} constant (${constant.text}) for "${name}" of type ${format(type)}`)
  }
  const value = valueOf(scalar, constant)
  const wrong = (why: string): never => {
    throw invalid(`unable to make ${scalar} from '${constant.text}'${why}`)
  }
  if (value === undefined) return wrong("")
  try {
    return encode(type, value)!
  } catch (error) {
    return wrong(`: ${(error as Error).message}`)
  }
}
