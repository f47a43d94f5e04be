/** Decimal numbers as Java computes with them: each result has digits behind the point by a rule of its operation. */
import * as BigDecimal from "effect/BigDecimal"

type Decimal = BigDecimal.BigDecimal

const at = ({ scale, value }: Decimal, to: number): bigint => value * 10n ** BigInt(to - scale)

export const plus = (x: Decimal, y: Decimal): Decimal => {
  const scale = Math.max(x.scale, y.scale)
  return BigDecimal.make(at(x, scale) + at(y, scale), scale)
}

export const minus = (x: Decimal, y: Decimal): Decimal => plus(x, BigDecimal.make(-y.value, y.scale))

export const times = (x: Decimal, y: Decimal): Decimal => BigDecimal.make(x.value * y.value, x.scale + y.scale)

const magnitude = (value: bigint): bigint => value < 0n ? -value : value

const digits = ({ value }: Decimal): number => magnitude(value).toString().length

/** How a quotient that lies between two numbers is rounded. */
type Rounding = "half-up" | "half-even"

const rounded = (numerator: bigint, denominator: bigint, rounding: Rounding): bigint => {
  const whole = numerator / denominator
  const twice = 2n * magnitude(numerator % denominator)
  const by = magnitude(denominator)
  const isUp = twice > by || (twice === by && (rounding === "half-up" || (whole & 1n) === 1n))
  if (!isUp) return whole
  return (numerator < 0n) === (denominator < 0n) ? whole + 1n : whole - 1n
}

/** The quotient with so many digits behind the point. */
export const quotient = (x: Decimal, y: Decimal, scale: number, rounding: Rounding): Decimal => {
  const power = scale - x.scale + y.scale
  const [numerator, denominator] = power >= 0
    ? [x.value * 10n ** BigInt(power), y.value]
    : [x.value, y.value * 10n ** BigInt(-power)]
  return BigDecimal.make(rounded(numerator, denominator, rounding), scale)
}

const stripped = (of: Decimal, least: number): Decimal => {
  let { scale, value } = of
  while (scale > least && value % 10n === 0n) {
    value /= 10n
    scale--
  }
  return BigDecimal.make(value, scale)
}

/** Division of Cassandra, with 32 digits at least and 1000 behind the point at most; `undefined` by zero. */
export const divided = (x: Decimal, y: Decimal): Decimal | undefined => {
  if (y.value === 0n) return undefined
  const first = digits(x) - x.scale - (digits(y) - y.scale)
  const scale = Math.min(Math.max(32 - first, x.scale, y.scale, 32), 1000)
  const result = quotient(x, y, scale, "half-up")
  return result.value === 0n ? BigDecimal.make(0n, 0) : stripped(result, Number.MIN_SAFE_INTEGER)
}

/** What division to whole numbers leaves; `undefined` by zero. */
export const remainder = (x: Decimal, y: Decimal): Decimal | undefined => {
  if (y.value === 0n) return undefined
  const scale = Math.max(x.scale, y.scale)
  const wanted = x.scale - y.scale
  const whole = stripped(BigDecimal.make(at(x, scale) / at(y, scale), 0), Math.min(wanted, 0))
  const fitted = whole.value === 0n || whole.scale < wanted
    ? BigDecimal.make(at(whole, Math.max(wanted, whole.scale)), Math.max(wanted, whole.scale))
    : whole
  return minus(x, times(whole.value === 0n ? BigDecimal.make(0n, wanted) : fitted, y))
}

/** The number that Java writes a double as, with a digit behind the point at least; of a float by its own fewest digits. */
export const ofDouble = (value: number, isFloat = false): Decimal => {
  const shortest = isFloat ? shortestFloat(value) : String(value)
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(shortest)!
  const shown = `${whole}${fraction}`.replace(/^0+/, "")
  if (shown === "") return BigDecimal.make(0n, 1)
  const power = Number(exponent) - fraction.length + shown.length - 1
  // From 0.001 to 10 million Java writes it out.
  const isPlain = power >= -3 && power < 7
  const least = isPlain ? Math.max(power + 2, 1) : 2
  const padded = shown.replace(/0+$/, "").padEnd(least, "0")
  return BigDecimal.make(BigInt(`${sign}${padded}`), padded.length - 1 - power)
}

/** The fewest digits that name a float. */
const shortestFloat = (value: number): string => {
  for (let count = 1; count < 9; count++) {
    const text = value.toPrecision(count)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(Number(value.toPrecision(9)))
}
