/** Durations as servers write them. They have no order: what Cassandra says of relations that would need one. */
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import type { CqlDuration } from "@effect-scylla/protocol/Value"

const DURATION_UNITS: ReadonlyArray<readonly [unit: string, nanos: bigint]> = [
  ["h", 3_600_000_000_000n],
  ["m", 60_000_000_000n],
  ["s", 1_000_000_000n],
  ["ms", 1_000_000n],
  ["us", 1000n],
  ["ns", 1n]
]

/** A duration as servers write it, in all units that it has some of. */
export const durationText = ({ days, months, nanos }: CqlDuration): string => {
  const isNegative = months < 0 || days < 0 || nanos < 0n
  const out: Array<string> = []
  const add = (count: number | bigint, unit: string): void => {
    if (Number(count) !== 0) out.push(`${count}${unit}`)
  }
  const whole = Math.abs(months)
  add(Math.floor(whole / 12), "y")
  add(whole % 12, "mo")
  add(Math.abs(days), "d")
  let rest = nanos < 0n ? -nanos : nanos
  for (const [unit, size] of DURATION_UNITS) {
    add(rest / size, unit)
    rest %= size
  }
  return `${isNegative ? "-" : ""}${out.join("")}`
}

const hasDuration = (type: CqlType): boolean => {
  switch (type._tag) {
    case "Scalar":
      return type.name === "duration"
    case "List":
    case "Set":
    case "Vector":
      return hasDuration(type.element)
    case "Map":
      return hasDuration(type.key) || hasDuration(type.value)
    case "Tuple":
      return type.elements.some(hasDuration)
    case "Udt":
      return type.fields.some((field) => hasDuration(field.type))
    default:
      return false
  }
}

/** `undefined` for a type of which values have an order. */
export const noSlice = (type: CqlType, what: "conditions" | "restrictions", op: string): string | undefined => {
  if (!hasDuration(type)) return undefined
  const head = `Slice ${what}`
  switch (type._tag) {
    case "List":
    case "Set":
    case "Map":
      return `${head} are not supported on collections containing durations`
    case "Tuple":
      return `${head} are not supported on tuples containing durations`
    case "Udt":
      return `${head} are not supported on UDTs containing durations`
    default:
      return what === "conditions"
        ? `${head} ( ${op} ) are not supported on durations`
        : `${head} are not supported on duration columns`
  }
}
