import { EncodeError } from "../ProtocolError.ts"
import { Uuid } from "../Uuid.ts"
import { Empty, Inet, LocalDate, LocalTime, Unset } from "../Value.ts"

/** Thrown inside, turned into one {@link EncodeError} that names the whole path at the edge. */
export class Mismatch {
  path = ""
  readonly cqlType: string
  detail: string
  /** What a codec of the user threw. */
  readonly cause: unknown
  constructor(cqlType: string, detail: string, cause?: unknown) {
    this.cqlType = cqlType
    this.detail = detail
    this.cause = cause
  }
}

/** Texts in messages are cut: a value may be a megabyte. */
export const quote = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)

const HUGE = 2n ** 128n

export const describe = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return `string ${quote(value)}`
    case "bigint":
      return value > HUGE || value < -HUGE ? "a bigint of more than 128 bits" : `bigint ${value}n`
    case "number":
    case "boolean":
      return `${typeof value} ${value}`
    case "object": {
      if (value === null) return "null"
      if (value === Unset || value === Empty) return String(value)
      const name: unknown = Object.getPrototypeOf(value)?.constructor?.name
      return typeof name === "string" && name !== "" && name.length <= 40 ? name : "an object"
    }
    default:
      return typeof value
  }
}

/** A key as it stands in a path. */
export const describeKey = (key: unknown): string =>
  typeof key === "string"
    ? quote(key)
    : typeof key === "number" || typeof key === "boolean" || typeof key === "bigint"
    ? describe(key).replace(/^\w+ /, "").replace(/n$/, "")
    : key instanceof Uuid || key instanceof LocalDate || key instanceof LocalTime || key instanceof Inet
    ? String(key)
    : describe(key)

export const mismatch = (cqlType: string, value: unknown, hint = ""): never => {
  throw new Mismatch(cqlType, `expected ${cqlType}, got ${describe(value)}${hint === "" ? "" : ` (${hint})`}`)
}

/** Adds a step to the path of a mismatch further in. Paths are put together on failure only. */
export const inside = (error: unknown, step: string): unknown => {
  if (error instanceof Mismatch) error.path = step + error.path
  return error
}

/** The public error for a mismatch at `name`. */
export const toEncodeError = (error: unknown, name: string): unknown =>
  error instanceof Mismatch
    ? new EncodeError({
      message: `${name}${error.path}: ${error.detail}`,
      path: `${name}${error.path}`,
      cqlType: error.cqlType,
      ...(error.cause === undefined ? undefined : { cause: error.cause })
    })
    : error instanceof EncodeError && error.path === ""
    // Of the writer, which knows no names.
    ? new EncodeError({ message: `${name}: ${error.message}`, path: name, cqlType: error.cqlType })
    : error
