/**
 * The JavaScript side of CQL values that have no type of their own there.
 *
 * | CQL | JavaScript |
 * |---|---|
 * | `ascii`, `text` | `string` |
 * | `bigint`, `counter`, `varint` | `bigint` (or `number` or `string` by codec option; a safe integer and its decimal text are accepted when binding) |
 * | `int`, `smallint`, `tinyint`, `float`, `double` | `number` |
 * | `boolean` | `boolean` |
 * | `blob`, custom types | `Uint8Array` |
 * | `uuid`, `timeuuid` | `Uuid` (or `string` by codec option; a string is accepted when binding) |
 * | `timestamp` | `Date` (or `bigint` by codec option; whole milliseconds are accepted when binding) |
 * | `date`, `time`, `duration`, `inet` | {@link LocalDate}, {@link LocalTime}, {@link CqlDuration}, {@link Inet} (a string is accepted for each) |
 * | `decimal` | `BigDecimal` of Effect (a finite number, a `bigint` and decimal text are accepted when binding) |
 * | `vector` | `Float32Array` for floats, else `Array` (an array or a typed array of its numbers is accepted) |
 * | `list`, `tuple` | `Array` (a `Set` is accepted for a list) |
 * | `set` | `Set` (an array is accepted) |
 * | `map` | `Map` (a plain object is accepted for text keys) |
 * | user-defined type | an object with its fields |
 *
 * `null` is the absence of a value, {@link Unset} leaves a column as it is, and {@link Empty} is the zero-length value
 * that old tables hold in columns of numbers.
 *
 * What a server stores and JavaScript has no place for is an {@link OutOfRangeTimestamp}, an {@link OutOfRangeTime} or an
 * {@link Unreadable}: each says `isValid` false, prints what CQL takes, and is bound again as the bytes that it was.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import { formatAddress, parseAddress } from "./internal/address.ts"
import { civilOf, daysOf } from "./internal/calendar.ts"
import { parseDuration } from "./internal/durationText.ts"
import { asFast } from "./internal/fastBuffer.ts"

class Marker {
  readonly _tag: string
  constructor(tag: string) {
    this._tag = tag
  }
  toString(): string {
    return this._tag
  }
  [NodeInspectSymbol](): string {
    return this._tag
  }
}

/**
 * Bound in place of a value, it leaves the column untouched: no tombstone is written (protocol v4 and later).
 *
 * @category constants
 * @since 0.1.0
 */
export const Unset: { readonly _tag: "Unset" } = new Marker("Unset") as { readonly _tag: "Unset" }

/**
 * The value of length zero of a type that otherwise has a size, such as an `int` of no bytes. Not `null`.
 *
 * @category constants
 * @since 0.1.0
 */
export const Empty: { readonly _tag: "Empty" } = new Marker("Empty") as { readonly _tag: "Empty" }

const pad = (value: number, width: number): string => String(value).padStart(width, "0")
const DAY_MILLIS = 86_400_000

/**
 * A `date`: a day without a time or a zone, of the Gregorian calendar also where there was none yet.
 *
 * `epochDay` counts days since 1970-01-01, from -2^31 to 2^31-1: from `-5877641-06-23` to `+5881580-07-11`.
 *
 * @category models
 * @since 0.1.0
 */
export class LocalDate implements Equal.Equal {
  /** Days since 1970-01-01. */
  readonly epochDay: number
  constructor(epochDay: number) {
    this.epochDay = epochDay
  }
  /**
   * Reads `YYYY-MM-DD`; `undefined` for anything else, a 30th of February included. A year past 9999 has a `+` in front
   * (ScyllaDB's form, without one, is read, too), a year before 0000 a `-`.
   */
  static parse(text: string): LocalDate | undefined {
    const match = /^(\+(?=\d{5})|-(?!0{4,7}-))?(\d{4,7})-(\d\d)-(\d\d)$/.exec(text)
    if (match === null) return undefined
    const [year, month, day] = [Number(match[2]) * (match[1] === "-" ? -1 : 1), Number(match[3]), Number(match[4])]
    if (month < 1 || month > 12 || day < 1) return undefined
    const days = daysOf({ year, month, day })
    return civilOf(days).day === day && (days | 0) === days ? new LocalDate(days) : undefined
  }
  /** The day of an instant in UTC. */
  static fromDate(date: Date): LocalDate {
    return new LocalDate(Math.floor(date.getTime() / DAY_MILLIS))
  }
  /** Whether the day is a whole number of 32 bits. */
  get isValid(): boolean {
    return (this.epochDay | 0) === this.epochDay
  }
  /** Midnight of the day in UTC; an invalid `Date` for the years before -271821 and after 275760, which `Date` does not know. */
  toDate(): Date {
    return new Date(this.epochDay * DAY_MILLIS)
  }
  /**
   * `YYYY-MM-DD`, which {@link LocalDate.parse} and CQL read back. The form is that of `DateTimeFormatter.ISO_LOCAL_DATE`, by
   * which Cassandra reads and prints dates: `+10000-01-01` past the year 9999, `-0001-01-01` before the year 0. ScyllaDB knows
   * no `+` there.
   */
  toString(): string {
    if (!this.isValid) return String(this.epochDay)
    const { day, month, year } = civilOf(this.epochDay)
    const sign = year < 0 ? "-" : year > 9999 ? "+" : ""
    return `${sign}${pad(Math.abs(year), 4)}-${pad(month, 2)}-${pad(day, 2)}`
  }
  /** As {@link LocalDate.toString}. */
  toJSON(): string {
    return this.toString()
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof LocalDate && that.epochDay === this.epochDay
  }
  [Hash.symbol](): number {
    return Hash.number(this.epochDay)
  }
  [NodeInspectSymbol](): string {
    return `LocalDate(${this.toString()})`
  }
}

const DAY_NANOS = 86_400_000_000_000n

/**
 * A `time`: nanoseconds since midnight, 0 to 86 399 999 999 999.
 *
 * @category models
 * @since 0.1.0
 */
export class LocalTime implements Equal.Equal {
  /** Nanoseconds since midnight. */
  readonly nanos: bigint
  constructor(nanos: bigint) {
    this.nanos = nanos
  }
  /** Reads `HH:MM[:SS[.fraction]]`; `undefined` for anything else. */
  static parse(text: string): LocalTime | undefined {
    const match = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/.exec(text)
    if (match === null) return undefined
    const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
    if (hours > 23 || minutes > 59 || seconds > 59) return undefined
    const fraction = BigInt((match[4] ?? "0").padEnd(9, "0"))
    return new LocalTime(BigInt(hours * 3600 + minutes * 60 + seconds) * 1_000_000_000n + fraction)
  }
  /** Whether the nanoseconds are a `bigint` within a day. */
  get isValid(): boolean {
    return typeof this.nanos === "bigint" && this.nanos >= 0n && this.nanos < DAY_NANOS
  }
  /** `HH:MM:SS.` and nine digits, which {@link LocalTime.parse} and CQL read back. */
  toString(): string {
    const seconds = Number(this.nanos / 1_000_000_000n)
    const fraction = String(this.nanos % 1_000_000_000n).padStart(9, "0")
    return `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${
      pad(seconds % 60, 2)
    }.${fraction}`
  }
  /** As {@link LocalTime.toString}. */
  toJSON(): string {
    return this.toString()
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof LocalTime && that.nanos === this.nanos
  }
  [Hash.symbol](): number {
    return Hash.string(String(this.nanos))
  }
  [NodeInspectSymbol](): string {
    return `LocalTime(${this.toString()})`
  }
}

/**
 * A `duration`: months, days and nanoseconds, which cannot be turned into one another (a month has no fixed length).
 *
 * All three have the same sign. Months and days are 32-bit, nanoseconds 64-bit.
 *
 * @category models
 * @since 0.1.0
 */
export class CqlDuration implements Equal.Equal {
  /** Whole months, 32 bits. */
  readonly months: number
  /** Whole days, 32 bits. */
  readonly days: number
  /** Nanoseconds, 64 bits. */
  readonly nanos: bigint
  constructor(months: number, days: number, nanos: bigint) {
    this.months = months
    this.days = days
    this.nanos = nanos
  }
  /**
   * Reads the forms that CQL has for durations; `undefined` for anything else.
   *
   * - Numbers and units, the greater unit first and each once: `1y2mo3w4d5h6m7s8ms9us10ns`, in either case, `µs` for `us`.
   * - ISO 8601 with designators: `P1Y2M3DT4H5M6S`, `P3W`.
   * - The alternative form of ISO 8601: `P0001-02-03T04:05:06`.
   *
   * Each may have a `-` in front.
   */
  static parse(text: string): CqlDuration | undefined {
    const isNegative = text.startsWith("-")
    const parts = parseDuration(isNegative ? text.slice(1) : text)
    if (parts === undefined) return undefined
    const signed = (value: bigint): bigint => isNegative ? -value : value
    const duration = new CqlDuration(Number(signed(parts.months)), Number(signed(parts.days)), signed(parts.nanos))
    return duration.isValid ? duration : undefined
  }
  /** Whether all parts have one sign and fit: 32 bits of months and days, a `bigint` of 64 of nanoseconds. */
  get isValid(): boolean {
    const { months, days, nanos } = this
    return (months | 0) === months && (days | 0) === days &&
      typeof nanos === "bigint" && BigInt.asIntN(64, nanos) === nanos &&
      ((months >= 0 && days >= 0 && nanos >= 0n) || (months <= 0 && days <= 0 && nanos <= 0n))
  }
  /** Numbers and units, `1mo2d3ns`, which {@link CqlDuration.parse} and CQL read back. */
  toString(): string {
    const negative = this.months < 0 || this.days < 0 || this.nanos < 0n
    const part = (value: number | bigint, unit: string): string => {
      const text = String(value).replace("-", "")
      return text === "0" ? "" : text + unit
    }
    const text = part(this.months, "mo") + part(this.days, "d") + part(this.nanos, "ns")
    return text === "" ? "0ns" : negative ? `-${text}` : text
  }
  /** As {@link CqlDuration.toString}. */
  toJSON(): string {
    return this.toString()
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof CqlDuration && that.months === this.months && that.days === this.days &&
      that.nanos === this.nanos
  }
  [Hash.symbol](): number {
    return Hash.string(this.toString())
  }
  [NodeInspectSymbol](): string {
    return `CqlDuration(${this.toString()})`
  }
}

/**
 * An `inet`: an IPv4 or IPv6 address, in canonical text.
 *
 * @category models
 * @since 0.1.0
 */
export class Inet implements Equal.Equal {
  /** The canonical text: of IPv6 that of RFC 5952. */
  readonly address: string
  private constructor(address: string) {
    this.address = address
  }
  /** Reads an address and brings it into canonical form; `undefined` for anything else. */
  static parse(text: string): Inet | undefined {
    const bytes = parseAddress(text)
    return bytes === undefined ? undefined : Inet.fromBytes(bytes)
  }
  /** Takes 4 or 16 bytes from `pos`; throws `DecodeError` for another size. */
  static fromBytes(bytes: Uint8Array, pos = 0, size: number = bytes.length - pos): Inet {
    return new Inet(formatAddress(bytes, pos, size))
  }
  /** Its 4 or 16 bytes, in network order. */
  toBytes(): Uint8Array {
    return parseAddress(this.address)!
  }
  /** The address. */
  toString(): string {
    return this.address
  }
  /** The address. */
  toJSON(): string {
    return this.address
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Inet && that.address === this.address
  }
  [Hash.symbol](): number {
    return Hash.string(this.address)
  }
  [NodeInspectSymbol](): string {
    return `Inet(${this.address})`
  }
}

/** Bytes as a constant of CQL. */
const blobText = (bytes: Uint8Array): string => `0x${asFast(bytes).hexSlice(0, bytes.length)}`

/**
 * A `timestamp` that `Date` cannot hold: before -271821-04-20 or after +275760-09-13. Some write the greatest number for
 * "forever", and `system_schema.dropped_columns` of Cassandra has microseconds where milliseconds are meant.
 *
 * It comes out of rows in the place of a `Date`, and can be bound as one. To have all timestamps as numbers take the codec
 * option `timestamp: "bigint"`.
 *
 * @category models
 * @since 0.1.0
 */
export class OutOfRangeTimestamp implements Equal.Equal {
  /** Milliseconds since 1970, 64 bits. */
  readonly millis: bigint
  constructor(millis: bigint) {
    this.millis = millis
  }
  /** Always false. */
  get isValid(): false {
    return false
  }
  /** The milliseconds, which CQL takes for a timestamp. */
  toString(): string {
    return String(this.millis)
  }
  /** As {@link OutOfRangeTimestamp.toString}. */
  toJSON(): string {
    return this.toString()
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof OutOfRangeTimestamp && that.millis === this.millis
  }
  [Hash.symbol](): number {
    return Hash.string(String(this.millis))
  }
  [NodeInspectSymbol](): string {
    return `OutOfRangeTimestamp(${this.millis})`
  }
}

/**
 * A `time` that is not within a day: servers check none that comes from `blob_as_time`, or bound, for more than its size.
 *
 * It comes out of rows in the place of a {@link LocalTime}, and can be bound as one.
 *
 * @category models
 * @since 0.1.0
 */
export class OutOfRangeTime implements Equal.Equal {
  /** Nanoseconds since midnight as they are stored: negative, or a day and more. 64 bits. */
  readonly nanos: bigint
  constructor(nanos: bigint) {
    this.nanos = nanos
  }
  /** Always false. */
  get isValid(): false {
    return false
  }
  /** `blobAsTime(0x…)`: CQL has no other constant for it. */
  toString(): string {
    return `blobAsTime(0x${BigInt.asUintN(64, this.nanos).toString(16).padStart(16, "0")})`
  }
  /** As {@link OutOfRangeTime.toString}. */
  toJSON(): string {
    return this.toString()
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof OutOfRangeTime && that.nanos === this.nanos
  }
  [Hash.symbol](): number {
    return Hash.string(String(this.nanos))
  }
  [NodeInspectSymbol](): string {
    return `OutOfRangeTime(${this.nanos})`
  }
}

/**
 * A value that a server stores and of which no other can be made here: a `decimal` of a scale without digits, which servers
 * let pass and cannot read themselves; a `varint` or `decimal` of more digits than a `bigint` of the engine holds (V8: 128 MiB).
 *
 * It can be bound for the type that it is of, as the bytes that it was.
 *
 * @category models
 * @since 0.1.0
 */
export class Unreadable implements Equal.Equal {
  /** The type, as CQL writes it. */
  readonly cqlType: "decimal" | "varint"
  /** What is stored, a copy. */
  readonly bytes: Uint8Array
  /** Why it is no other value. */
  readonly reason: string
  constructor(cqlType: "decimal" | "varint", bytes: Uint8Array, reason: string) {
    this.cqlType = cqlType
    this.bytes = bytes
    this.reason = reason
  }
  /** Always false. */
  get isValid(): false {
    return false
  }
  /** `blobAsDecimal(0x…)`: CQL has no other constant for it. */
  toString(): string {
    return `blobAs${this.cqlType === "decimal" ? "Decimal" : "Varint"}(${blobText(this.bytes)})`
  }
  /** As {@link Unreadable.toString}. */
  toJSON(): string {
    return this.toString()
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Unreadable && that.cqlType === this.cqlType && blobText(that.bytes) === blobText(this.bytes)
  }
  [Hash.symbol](): number {
    return Hash.string(`${this.cqlType} ${this.bytes.length}`)
  }
  [NodeInspectSymbol](): string {
    return `Unreadable(${this.cqlType} of ${this.bytes.length} bytes: ${this.reason})`
  }
}
