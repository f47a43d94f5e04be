/** `+`, `-`, `*`, `/` and `%` of Cassandra: of numbers, and of times and durations. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import type { CqlDuration } from "@effect-scylla/protocol/Value"
import * as BigDecimal from "effect/BigDecimal"
import { invalid } from "../failure.ts"
import type { ArithmeticOperator } from "../parse/ast.ts"
import { int64, readInt64 } from "../storage/values.ts"
import { durationText } from "./durations.ts"
import * as Decimal from "./javaDecimal.ts"
import { isIntegral, readIntegral, writeIntegral, writeReal } from "./numbers.ts"
import type { Fit } from "./variables.ts"

type Type = CqlType.CqlType

export interface Operation {
  readonly type: Type
  readonly run: (left: Uint8Array, right: Uint8Array) => Uint8Array
}

/** Whole numbers by how much they hold. */
const WHOLE: ReadonlyArray<CqlType.ScalarName> = ["tinyint", "smallint", "int", "bigint", "varint"]
const FLOATS = new Set<CqlType.ScalarName>(["float", "double", "decimal"])

const numberName = (type: Type): CqlType.ScalarName | undefined => {
  if (type._tag !== "Scalar") return undefined
  const name = type.name === "counter" ? "bigint" : type.name
  return WHOLE.includes(name) || FLOATS.has(name) ? name : undefined
}

/** The type of what two numbers come to: the one that holds both. */
const wider = (left: CqlType.ScalarName, right: CqlType.ScalarName): CqlType.ScalarName => {
  if (left === right) return left
  if (left === "decimal" || right === "decimal") return "decimal"
  const [a, b] = [WHOLE.indexOf(left), WHOLE.indexOf(right)]
  if (a >= 0 && b >= 0) return WHOLE[Math.max(a, b)]!
  const whole = a >= 0 ? left : b >= 0 ? right : undefined
  if (whole === "varint") return "decimal"
  if (left === "double" || right === "double") return "double"
  return whole === "bigint" ? "double" : "float"
}

const failed = (op: string, left: Type, right: Type, why: string): Error =>
  new ServerError.FunctionFailure({
    code: 0x1400,
    message: `the operation '${CqlType.format(left)} ${op} ${CqlType.format(right)}' failed: ${why}`,
    keyspace: "system",
    function: op,
    argTypes: [CqlType.format(left), CqlType.format(right)]
  })

const whole = (op: ArithmeticOperator, x: bigint, y: bigint): bigint => {
  switch (op) {
    case "+":
      return x + y
    case "-":
      return x - y
    case "*":
      return x * y
    case "/":
      return x / y
    case "%":
      return x % y
  }
}

const float = (op: ArithmeticOperator, x: number, y: number): number => {
  switch (op) {
    case "+":
      return x + y
    case "-":
      return x - y
    case "*":
      return x * y
    case "/":
      return x / y
    case "%":
      return x % y
  }
}

const decimalOf = (type: Type, bytes: Uint8Array): BigDecimal.BigDecimal => {
  const value: unknown = decode(type, bytes)
  if (BigDecimal.isBigDecimal(value)) return value
  if (typeof value === "bigint" && type._tag === "Scalar" && type.name === "varint") return BigDecimal.make(value, 0)
  const double = Number(value)
  if (Number.isFinite(double)) return Decimal.ofDouble(double)
  throw new RangeError(`${Number.isNaN(double) ? "A NaN" : "An infinite number"} cannot be converted into a decimal`)
}

const decimal = (
  op: ArithmeticOperator,
  x: BigDecimal.BigDecimal,
  y: BigDecimal.BigDecimal
): BigDecimal.BigDecimal | undefined => {
  switch (op) {
    case "+":
      return Decimal.plus(x, y)
    case "-":
      return Decimal.minus(x, y)
    case "*":
      return Decimal.times(x, y)
    case "/":
      return Decimal.divided(x, y)
    case "%":
      return Decimal.remainder(x, y)
  }
}

const ofDecimals = (op: ArithmeticOperator, left: Type, right: Type, x: Uint8Array, y: Uint8Array): Uint8Array => {
  let result: BigDecimal.BigDecimal | undefined
  try {
    result = decimal(op, decimalOf(left, x), decimalOf(right, y))
  } catch (thrown) {
    throw failed(op, left, right, (thrown as Error).message)
  }
  if (result === undefined) throw failed(op, left, right, op === "/" ? "/ by zero" : "Division by zero")
  return encode(CqlType.scalar("decimal"), result)!
}

const ofNumbers = (op: ArithmeticOperator, left: Type, right: Type, name: CqlType.ScalarName): Operation => {
  const type = CqlType.scalar(name)
  return {
    type,
    run: (x, y) => {
      if (isIntegral(name)) {
        const by = readIntegral(right, y)
        if (by === 0n && (op === "/" || op === "%")) throw failed(op, left, right, "/ by zero")
        return writeIntegral(name, whole(op, readIntegral(left, x), by))
      }
      if (name === "decimal") return ofDecimals(op, left, right, x, y)
      const result = float(op, Number(decode(left, x)), Number(decode(right, y)))
      return writeReal(name as "double" | "float", name === "float" ? Math.fround(result) : result)
    }
  }
}

const DAY = 86_400_000

/** A time so many months, days and nanoseconds later; the day of the month is kept where the month has it. */
const later = (millis: number, { days, months, nanos }: CqlDuration, sign: 1 | -1): number => {
  const rest = sign * (days * DAY + Number(nanos / 1_000_000n))
  if (months === 0) return millis + rest
  const at = new Date(millis)
  const day = at.getUTCDate()
  at.setUTCDate(1)
  at.setUTCMonth(at.getUTCMonth() + sign * months)
  const last = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate()
  at.setUTCDate(Math.min(day, last))
  return at.getTime() + rest
}

const ofTimes = (op: "+" | "-", type: Extract<Type, { readonly _tag: "Scalar" }>): Operation => {
  const sign = op === "+" ? 1 : -1
  return {
    type,
    run: (x, y) => {
      const by = decode(duration, y) as CqlDuration
      if (type.name === "timestamp") return int64(BigInt(later(Number(readInt64(x)), by, sign)))
      if (by.nanos !== 0n) {
        throw failed(op, type, duration, `The duration must have a day precision. Was: ${durationText(by)}`)
      }
      const days = new DataView(x.buffer, x.byteOffset).getUint32(0) - 2 ** 31
      const out = new Uint8Array(4)
      new DataView(out.buffer).setUint32(0, later(days * DAY, by, sign) / DAY + 2 ** 31)
      return out
    }
  }
}

/** Texts behind one another: of what is one of them at least they are text. */
const joined = (type: Type): Operation => ({
  type,
  run: (x, y) => {
    const out = new Uint8Array(x.length + y.length)
    out.set(x)
    out.set(y, x.length)
    return out
  }
})

/** One side of an operation: as messages show it, and how well it serves where a type is wanted. */
export interface Operand {
  readonly text: string
  readonly fits: (type: Type) => Fit
}

/** What is known of the value that is wanted. */
export interface Wanted {
  readonly type: Type
  readonly takes: (returned: Type) => boolean
  /** Whether a side is a variable, of which nothing is known. */
  readonly hasMarkers: boolean
}

/** An operation, with the types that its sides are taken for. */
export interface Resolved extends Operation {
  readonly left: Type
  readonly right: Type
}

const ofName = (name: CqlType.ScalarName): Type => CqlType.scalar(name)
const NUMBERS: ReadonlyArray<Type> = (
  ["tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "varint", "counter"] as const
).map(ofName)
const [ascii, text, timestamp, date, duration] = (["ascii", "text", "timestamp", "date", "duration"] as const).map(
  ofName
) as [Type, Type, Type, Type, Type]
const NUMBER_PAIRS = NUMBERS.flatMap((left) => NUMBERS.map((right): readonly [Type, Type] => [left, right]))
const TEXT_PAIRS: ReadonlyArray<readonly [Type, Type]> = [[ascii, ascii], [ascii, text], [text, ascii], [text, text]]
const TIME_PAIRS: ReadonlyArray<readonly [Type, Type]> = [[timestamp, duration], [date, duration]]

/** What each operator is there for. */
const PAIRS: Record<ArithmeticOperator, ReadonlyArray<readonly [Type, Type]>> = {
  "+": [...NUMBER_PAIRS, ...TIME_PAIRS, ...TEXT_PAIRS],
  "-": [...NUMBER_PAIRS, ...TIME_PAIRS],
  "*": NUMBER_PAIRS,
  "/": NUMBER_PAIRS,
  "%": NUMBER_PAIRS
}

/** What two types come to. */
const typeOf = (left: Type, right: Type): Type => {
  const [a, b] = [numberName(left), numberName(right)]
  if (a !== undefined && b !== undefined) return ofName(wider(a, b))
  return right === duration ? left : left === ascii && right === ascii ? ascii : text
}

const operationOf = (op: ArithmeticOperator, left: Type, right: Type): Operation => {
  const [a, b] = [numberName(left), numberName(right)]
  if (a !== undefined && b !== undefined) return ofNumbers(op, left, right, wider(a, b))
  return right === duration
    ? ofTimes(op as "+" | "-", left as Extract<Type, { readonly _tag: "Scalar" }>)
    : joined(typeOf(left, right))
}

/** The operation of two sides: the one whose types they are, or the only one that they can be taken for. */
export const resolveOperation = (
  op: ArithmeticOperator,
  left: Operand,
  right: Operand,
  wanted?: Wanted
): Resolved => {
  const fitsOf = ({ fits }: Operand) => {
    const known = new Map<Type, Fit>()
    return (type: Type): Fit => {
      const fit = known.get(type) ?? fits(type)
      known.set(type, fit)
      return fit
    }
  }
  const [a, b] = [fitsOf(left), fitsOf(right)]
  const resolved = ([x, y]: readonly [Type, Type]): Resolved => ({ ...operationOf(op, x, y), left: x, right: y })
  const weak: Array<readonly [Type, Type]> = []
  for (const pair of PAIRS[op]) {
    const [x, y] = pair
    const fit = a(x)
    if (fit === "no") continue
    const other = b(y)
    if (other === "no" || (wanted !== undefined && !wanted.takes(typeOf(x, y)))) continue
    if (fit === "exact" && other === "exact") return resolved(pair)
    weak.push(pair)
  }
  if (weak.length === 0) {
    throw invalid(`the '${op}' operation is not supported between ${left.text} and ${right.text}`)
  }
  if (weak.length === 1) return resolved(weak[0]!)
  const own = wanted === undefined || wanted.hasMarkers
    ? undefined
    : weak.find(([x, y]) => CqlType.isSame(x, wanted.type) && CqlType.isSame(y, wanted.type))
  if (own !== undefined) return resolved(own)
  throw invalid(
    `Ambiguous '${op}' operation with args ${left.text} and ${right.text}: use type hint to disambiguate, example '(int) ?'`
  )
}

/** The sign in front of a number, which keeps its type. */
export const negationOf = (
  type: Type
): { readonly type: Type; readonly run: (bytes: Uint8Array) => Uint8Array } => {
  const name = numberName(type)
  if (name === undefined) throw invalid(`the '-' operation is not supported for ${CqlType.format(type)}`)
  const own = CqlType.scalar(name)
  const one = name === "decimal" ? BigDecimal.make(-1n, 0) : name === "bigint" || name === "varint" ? -1n : -1
  const minusOne = encode(own, one)!
  const { run } = ofNumbers("*", own, own, name)
  return { type, run: (bytes) => run(bytes, minusOne) }
}
