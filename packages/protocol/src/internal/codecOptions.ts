import type { BigDecimal } from "effect/BigDecimal"
import type { Uuid } from "../Uuid.ts"
import type { CqlDuration, Inet, LocalDate, LocalTime } from "../Value.ts"
import type { Writer } from "../Writer.ts"
import type { CqlType } from "./types.ts"

/**
 * How values appear in JavaScript.
 *
 * @category models
 * @since 0.1.0
 */
export interface CodecOptions {
  /** `uuid` and `timeuuid` as the `Uuid` class (default, an order of magnitude cheaper) or as canonical strings. */
  readonly uuid?: "class" | "string" | undefined
  /**
   * `timestamp` as `Date` (default) or as milliseconds since 1970 in a `bigint`. `Date` ends in the year 275760: what lies
   * past it, such as the largest 64-bit number that some write for "forever", is a `Value.OutOfRangeTimestamp` in its place.
   */
  readonly timestamp?: "date" | "bigint" | undefined
  /**
   * `bigint`, `counter` and `varint` as `bigint` (default), as decimal text, or as `number` where that is exact: one past
   * 2^53-1 in magnitude stays a `bigint`, as nothing is ever rounded.
   */
  readonly bigint?: "bigint" | "number" | "string" | undefined
  /**
   * Codecs of one's own for types and columns, both ways. Default none; see {@link UserCodecs}. Read once: what is changed in
   * it later does not count.
   */
  readonly types?: UserCodecs | undefined
  /**
   * The codec of a type by the type itself, asked once for each when a decoder or encoder is compiled; `undefined` for the usual one.
   * Goes before `types`.
   */
  readonly codecOf?: ((type: CqlType) => InPlaceCodec | undefined) | undefined
}

/**
 * A codec that reads a value where it lies in a page, and writes it where it goes in a request. What it throws becomes the `cause` of a
 * `DecodeError` or `EncodeError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface InPlaceCodec {
  /** The value of the `length` bytes at `pos`, of which there may be none. The memory is used again: what is kept of it is a copy. */
  read(bytes: Uint8Array, view: DataView, pos: number, length: number): unknown
  /** Writes the length of the value and the value; null and `Unset` do not come here. */
  write(w: Writer, value: unknown): void
}

/**
 * A codec that stands on the built-in one: `decode` makes a value of the application, `A`, of what the built-in decoder gives
 * (with the other codec options), `encode` makes of it what the built-in encoder takes.
 *
 * Both are called for every value, in the middle of a page or a message: plain functions, which make no requests. `decode` may
 * be called again for the rows of a page that cannot be read. What they throw becomes the `cause` of a `DecodeError` or
 * `EncodeError` that names column and type.
 *
 * @category models
 * @since 0.1.0
 */
export interface ValueCodec<A, B = unknown> {
  /** What a row has for a value of the built-in codec. */
  decode(value: B): A
  /** What is bound for a value of the application; neither null nor undefined. */
  encode(value: A): unknown
}

/**
 * A codec that reads and writes the bytes of a value itself, without the built-in one; what is said of {@link ValueCodec} holds
 * for it, too.
 *
 * @category models
 * @since 0.1.0
 */
export interface BytesCodec<A> {
  /** What a row has for the bytes of a value, which are a copy of its own; there may be none. */
  fromBytes(bytes: Uint8Array): A
  /** The bytes of a value of the application, without a length in front. */
  toBytes(value: A): Uint8Array
}

/**
 * Either form of codec.
 *
 * @category models
 * @since 0.1.0
 */
export type UserCodec<A, B = unknown> = ValueCodec<A, B> | BytesCodec<A>

/** A codec whose `A` is for whoever wrote it to know; of methods, so that it takes whatever its own types say. */
type Of<B> = ValueCodec<any, B> | BytesCodec<any>

type Whole = bigint | number | string

/**
 * Codecs by what they are for:
 *
 * | key | for |
 * | --- | --- |
 * | `date`, `varchar`, `list<int>`, `frozen<map<text, decimal>>`, `vector<float, 3>`, `'org.example.MyType'` | values of that type, as CQL writes it; `frozen` does not count, and `varchar` is `text` |
 * | `shop.address`, `set<shop.address>` | values of a user-defined type, always with its keyspace |
 * | `shop.items.price` | the values of one column: keyspace, table, column |
 *
 * Names are spelled as in CQL: what is not all in lower case stands in double quotes, `shop.items."Price"`.
 *
 * - A codec of a column is taken before one of its type. It is found by the column's name in results and among variables, so an
 *   alias (`price AS p`) has only its type's; that of `price IN ?` has the column's for each element.
 * - Inside collections, tuples, user-defined types and vectors the codecs of the parts' types apply, and the codec of the whole
 *   sees what they made.
 * - `null` and `Unset` never reach a codec, nor do the values that stand for what JavaScript cannot hold: `Empty`,
 *   `OutOfRangeTimestamp`, `OutOfRangeTime` and `Unreadable`. They stay what they are, both ways.
 *
 * `Codec.check` says what is wrong with keys and codecs.
 *
 * @category models
 * @since 0.1.0
 */
export interface UserCodecs {
  readonly [key: string]: Of<any> | undefined
  readonly ascii?: Of<string> | undefined
  readonly bigint?: Of<Whole> | undefined
  readonly blob?: Of<Uint8Array> | undefined
  readonly boolean?: Of<boolean> | undefined
  readonly counter?: Of<Whole> | undefined
  readonly date?: Of<LocalDate> | undefined
  readonly decimal?: Of<BigDecimal> | undefined
  readonly double?: Of<number> | undefined
  readonly duration?: Of<CqlDuration> | undefined
  readonly float?: Of<number> | undefined
  readonly inet?: Of<Inet> | undefined
  readonly int?: Of<number> | undefined
  readonly smallint?: Of<number> | undefined
  readonly text?: Of<string> | undefined
  readonly time?: Of<LocalTime> | undefined
  readonly timestamp?: Of<Date | bigint> | undefined
  readonly timeuuid?: Of<Uuid | string> | undefined
  readonly tinyint?: Of<number> | undefined
  readonly uuid?: Of<Uuid | string> | undefined
  readonly varchar?: Of<string> | undefined
  readonly varint?: Of<Whole> | undefined
}
