/** The parts of a duration, without its sign. */
export interface DurationParts {
  readonly months: bigint
  readonly days: bigint
  readonly nanos: bigint
}

const SECOND = 1_000_000_000n
const MINUTE = 60n * SECOND
const HOUR = 60n * MINUTE

/** Units of the standard form in the order that they have to come in (Cassandra, `Duration.Builder`): the part, its factor. */
const UNITS: ReadonlyMap<string, readonly [part: keyof DurationParts, factor: bigint]> = new Map([
  ["y", ["months", 12n]],
  ["mo", ["months", 1n]],
  ["w", ["days", 7n]],
  ["d", ["days", 1n]],
  ["h", ["nanos", HOUR]],
  ["m", ["nanos", MINUTE]],
  ["s", ["nanos", SECOND]],
  ["ms", ["nanos", 1_000_000n]],
  ["us", ["nanos", 1000n]],
  ["ns", ["nanos", 1n]]
])
const ORDER = [...UNITS.keys()]

/** Digits of a 64-bit number at most: more are none, and would take long to read. */
const PAIR = /(\d{1,19})(mo|ms|us|µs|ns|y|w|d|h|m|s)/iy

const standard = (text: string): DurationParts | undefined => {
  const parts = { months: 0n, days: 0n, nanos: 0n }
  let last = -1
  let at = 0
  while (at < text.length) {
    PAIR.lastIndex = at
    const pair = PAIR.exec(text)
    if (pair === null) return undefined
    at = PAIR.lastIndex
    const unit = pair[2]!.toLowerCase().replace("µ", "u")
    const index = ORDER.indexOf(unit)
    if (index <= last) return undefined
    last = index
    const [part, factor] = UNITS.get(unit)!
    parts[part] += BigInt(pair[1]!) * factor
  }
  return last < 0 ? undefined : parts
}

/** Of groups of digits, years first, those that are missing as zeros. */
const sum = (groups: ReadonlyArray<string | undefined>): DurationParts => {
  const [years = 0n, months = 0n, days = 0n, hours = 0n, minutes = 0n, seconds = 0n] = groups.map((digits) =>
    BigInt(digits ?? 0)
  )
  return { months: years * 12n + months, days, nanos: hours * HOUR + minutes * MINUTE + seconds * SECOND }
}

const DIGITS = String.raw`(\d{1,19})`
const DESIGNATORS = new RegExp(
  `^P(?=.)(?:${DIGITS}Y)?(?:${DIGITS}M)?(?:${DIGITS}D)?(?:T(?=.)(?:${DIGITS}H)?(?:${DIGITS}M)?(?:${DIGITS}S)?)?$`
)
const ALTERNATIVE = /^P(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)$/

const iso = (text: string): DurationParts | undefined => {
  const weeks = /^P(\d{1,19})W$/.exec(text)
  if (weeks !== null) return { months: 0n, days: 7n * BigInt(weeks[1]!), nanos: 0n }
  const groups = ALTERNATIVE.exec(text) ?? DESIGNATORS.exec(text)
  return groups === null ? undefined : sum(groups.slice(1))
}

/** Reads what CQL has for durations, without a sign; `undefined` for anything else. */
export const parseDuration = (text: string): DurationParts | undefined =>
  text.startsWith("P") ? iso(text) : standard(text)
