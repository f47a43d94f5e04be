/**
 * The JavaScript side of CQL values that have no type of their own there.
 *
 * | CQL | JavaScript |
 * |---|---|
 * | `ascii`, `text` | `string` |
 * | `bigint`, `counter`, `varint` | `bigint` (a safe integer is accepted when binding) |
 * | `int`, `smallint`, `tinyint`, `float`, `double` | `number` |
 * | `boolean` | `boolean` |
 * | `blob`, custom types | `Uint8Array` |
 * | `uuid`, `timeuuid` | `Uuid` (or `string` by codec option; a string is accepted when binding) |
 * | `timestamp` | `Date` (or `bigint` by codec option; whole milliseconds are accepted when binding) |
 * | `date`, `time`, `duration`, `inet` | {@link LocalDate}, {@link LocalTime}, {@link CqlDuration}, {@link Inet} (a string is accepted for the first two and the last) |
 * | `decimal` | `BigDecimal` of Effect |
 * | `vector` | `Float32Array` for floats, else `Array` (an array or a typed array of its numbers is accepted) |
 * | `list`, `tuple` | `Array` (a `Set` is accepted for a list) |
 * | `set` | `Set` (an array is accepted) |
 * | `map` | `Map` (a plain object is accepted for text keys) |
 * | user-defined type | an object with its fields |
 *
 * `null` is the absence of a value, {@link Unset} leaves a column as it is, and {@link Empty} is the zero-length value
 * that old tables hold in columns of numbers.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import { formatAddress, parseAddress } from "./internal/address.ts"

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
 * A `date`: a day without a time or a zone.
 *
 * `epochDay` counts days since 1970-01-01, from -2^31 to 2^31-1. `toString` gives `YYYY-MM-DD` for the years that
 * `Date` knows, else the number of the day.
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
  /** Reads `YYYY-MM-DD`; `undefined` for anything else, a 30th of February included. */
  static parse(text: string): LocalDate | undefined {
    const match = /^(-?\d{4,6})-(\d\d)-(\d\d)$/.exec(text)
    if (match === null || match[1] === "-0000") return undefined
    const date = new Date(0)
    date.setUTCFullYear(Number(match[1]), Number(match[2]) - 1, Number(match[3]))
    const day = new LocalDate(Math.floor(date.getTime() / DAY_MILLIS))
    return date.getUTCMonth() === Number(match[2]) - 1 && date.getUTCDate() === Number(match[3]) ? day : undefined
  }
  /** The day of an instant in UTC. */
  static fromDate(date: Date): LocalDate {
    return new LocalDate(Math.floor(date.getTime() / DAY_MILLIS))
  }
  /** Midnight of the day in UTC. */
  toDate(): Date {
    return new Date(this.epochDay * DAY_MILLIS)
  }
  /** `YYYY-MM-DD`, which {@link LocalDate.parse} and CQL read back; past the years of `Date` the number of the day. */
  toString(): string {
    const date = this.toDate()
    if (Number.isNaN(date.getTime())) return String(this.epochDay)
    const year = date.getUTCFullYear()
    const sign = year < 0 ? "-" : ""
    return `${sign}${pad(Math.abs(year), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`
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
  /** Whether all parts have one sign and fit: 32 bits of months and days, a `bigint` of 64 of nanoseconds. */
  get isValid(): boolean {
    const { months, days, nanos } = this
    return (months | 0) === months && (days | 0) === days &&
      typeof nanos === "bigint" && BigInt.asIntN(64, nanos) === nanos &&
      ((months >= 0 && days >= 0 && nanos >= 0n) || (months <= 0 && days <= 0 && nanos <= 0n))
  }
  /** ISO-like text, `1mo2d3ns`, which CQL reads back. */
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
