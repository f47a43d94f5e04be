/**
 * Schemas of the types of CQL: the values that this client gives and takes, and their JSON, which loses no digit.
 *
 * ```ts
 * const Item = Schema.Struct({ id: CqlTypes.Uuid, price: Schema.NullOr(CqlTypes.Decimal), tags: Schema.NullOr(CqlTypes.Set(CqlTypes.Text)) })
 * const json = Schema.encodeSync(Schema.toCodecJson(Item))(row) // { id: "…", price: "1.90", tags: ["new"] }
 * ```
 *
 * The JSON is that of `Json.toJson` of `@effect-scylla/protocol`, which writes a row without its Schema: what the one writes the other
 * reads.
 *
 * Columns that are no part of the primary key may be null, whatever was written: `Schema.NullOr`. In values that are bound `undefined`
 * is refused, and `Value.Unset` leaves a column as it is: {@link Absent} is for requests in which a column may be left out.
 *
 * `CqlSchema` compares Schemas with what a statement really has, and needs not look at values whose type the server has promised.
 *
 * @since 0.1.0
 */
import type { CqlType, ScalarName } from "@effect-scylla/protocol/CqlType"
import * as Json from "@effect-scylla/protocol/Json"
import * as Uuids from "@effect-scylla/protocol/Uuid"
import * as Value from "@effect-scylla/protocol/Value"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { fits, type Judge, judgeOf } from "./internal/cqlForm.ts"
import { anyBytes, anyDate, anyMap, anySet } from "./internal/realms.ts"

/** A Schema of a scalar type, or of several that JavaScript has one type for. */
const scalar = <S extends Schema.Top>(schema: S, ...names: ReadonlyArray<ScalarName>): S["Rebuild"] =>
  fits(schema, (type) => ({ fits: type._tag === "Scalar" && names.includes(type.name), isTrusted: true }))

const MISFIT = { fits: false, isTrusted: false } as const

/** A Schema of a type that has others within. */
const composed = <S extends Schema.Top>(schema: S, judge: Judge): S["Rebuild"] => fits(schema, judge)

/** What comes to the same as all its parts. */
const all = (
  isRight: boolean,
  parts: ReadonlyArray<readonly [Schema.Constraint, CqlType]>
): ReturnType<Judge> => {
  const judged = parts.map(([schema, type]) => judgeOf(schema, type))
  return {
    fits: isRight && judged.every(({ fits }) => fits),
    // Elements are never null where the server says so.
    isTrusted: judged.every(({ isTrusted }) => isTrusted)
  }
}

/** Values that are a text in JSON, which parse reads back, and answers undefined for any other. */
const asText = <A>(
  is: (value: unknown) => value is A,
  expected: string,
  parse: (text: string) => A | undefined,
  format: (value: A) => string
) =>
  Schema.declare(is, {
    expected,
    toCodecJson: () =>
      Schema.link<A>()(
        Schema.String,
        SchemaTransformation.transformEffect<A, string>({
          decode: (text, options) => {
            const value = parse(text)
            return value === undefined
              ? Effect.fail(new SchemaIssue.InvalidValue({ expected: "the text of " + expected }, text, options))
              : Effect.succeed(value)
          },
          encode: (value) => Effect.succeed(format(value))
        })
      )
  })

/** Numbers of which JSON has not all: those are a text there. */
const numberAsJson = () =>
  Schema.link<number>()(
    Schema.Union([Schema.Finite, Schema.Literals(["NaN", "Infinity", "-Infinity", "-0"])]),
    SchemaTransformation.transform<number, number | "NaN" | "Infinity" | "-Infinity" | "-0">({
      decode: (json) => Number(json),
      encode: (value) => Json.toJson(value) as number | "NaN" | "Infinity" | "-Infinity" | "-0"
    })
  )

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const integer64 = Schema.BigInt.check(
  Schema.isBetweenBigInt({ minimum: -9_223_372_036_854_775_808n, maximum: 9_223_372_036_854_775_807n })
)

/** Ascii. @category schemas @since 0.1.0 */
export const Ascii = scalar(Schema.String.check(Schema.isAscii()), "ascii")

/** Text and varchar. @category schemas @since 0.1.0 */
export const Text = scalar(Schema.String, "text", "ascii")

/** Int. @category schemas @since 0.1.0 */
export const Int = scalar(integer(-2_147_483_648, 2_147_483_647), "int")

/** Smallint. @category schemas @since 0.1.0 */
export const Smallint = scalar(integer(-32_768, 32_767), "smallint")

/** Tinyint. @category schemas @since 0.1.0 */
export const Tinyint = scalar(integer(-128, 127), "tinyint")

/** Bigint, 64 bits; decimal text in JSON. @category schemas @since 0.1.0 */
export const Bigint = scalar(integer64, "bigint")

/** Counter, 64 bits; decimal text in JSON. @category schemas @since 0.1.0 */
export const Counter = scalar(integer64, "counter")

/** Varint; decimal text in JSON. @category schemas @since 0.1.0 */
export const Varint = scalar(Schema.BigInt, "varint")

/** Double; in JSON a number, but for NaN, the infinities and -0, which are texts. @category schemas @since 0.1.0 */
export const Double = scalar(
  Schema.declare((value): value is number => typeof value === "number", {
    expected: "number",
    toCodecJson: numberAsJson
  }),
  "double"
)

/** Float; in JSON as a double. @category schemas @since 0.1.0 */
export const Float = scalar(Double, "float", "double")

/** Boolean. @category schemas @since 0.1.0 */
export const Boolean = scalar(Schema.Boolean, "boolean")

/** Decimal; in JSON decimal text, which keeps the scale: 1.90 is not 1.9. @category schemas @since 0.1.0 */
export const Decimal = scalar(
  asText(
    BigDecimal.isBigDecimal,
    "a BigDecimal",
    (text) => {
      const value = text === "" ? undefined : Option.getOrUndefined(BigDecimal.fromString(text))
      // CQL has the scale in 32 bits.
      return value === undefined || value.scale !== (value.scale | 0) ? undefined : value
    },
    (value) => Json.toJson(value) as string
  ),
  "decimal"
)

/** Blob, and types that only the server knows; in JSON 0x and hexadecimal digits. @category schemas @since 0.1.0 */
export const Blob = scalar(
  anyBytes(asText(
    (value): value is Uint8Array => value instanceof Uint8Array,
    "a Uint8Array",
    (text) => text.startsWith("0x") ? Result.getOrUndefined(Hex.decode(text.slice(2))) : undefined,
    (value) => Json.toJson(value) as string
  )),
  "blob"
)

/** Uuid; its text in JSON. @category schemas @since 0.1.0 */
export const Uuid = scalar(
  asText(
    (value): value is Uuids.Uuid => value instanceof Uuids.Uuid,
    "a Uuid",
    (text) => Uuids.parse(text),
    String
  ),
  "uuid",
  "timeuuid"
)

/** Timeuuid; its text in JSON. @category schemas @since 0.1.0 */
export const TimeUuid = scalar(Uuid, "timeuuid")

/** Timestamp as a Date; ISO 8601 in JSON. As a DateTime.Utc: {@link TimestampUtc}. @category schemas @since 0.1.0 */
export const Timestamp = scalar(anyDate(Schema.Date), "timestamp")

/** Timestamp as a DateTime.Utc of Effect; ISO 8601 in JSON. @category schemas @since 0.1.0 */
export const TimestampUtc = Timestamp.pipe(
  Schema.decodeTo(Schema.DateTimeUtc, {
    decode: SchemaGetter.dateTimeUtcFromInput<globalThis.Date>(),
    encode: SchemaGetter.transform(DateTime.toDateUtc)
  })
)

/** Date as a LocalDate; its text in JSON. @category schemas @since 0.1.0 */
export const Date = scalar(
  asText(
    (value): value is Value.LocalDate => value instanceof Value.LocalDate,
    "a LocalDate",
    (text) => Value.LocalDate.parse(text),
    String
  ),
  "date"
)

/** Time as a LocalTime; its text in JSON. @category schemas @since 0.1.0 */
export const Time = scalar(
  asText(
    (value): value is Value.LocalTime => value instanceof Value.LocalTime,
    "a LocalTime",
    (text) => Value.LocalTime.parse(text),
    String
  ),
  "time"
)

/** Duration as a CqlDuration; its text in JSON. @category schemas @since 0.1.0 */
export const Duration = scalar(
  asText(
    (value): value is Value.CqlDuration => value instanceof Value.CqlDuration,
    "a CqlDuration",
    (text) => Value.CqlDuration.parse(text),
    String
  ),
  "duration"
)

/** Inet as an Inet; its text in JSON. @category schemas @since 0.1.0 */
export const Inet = scalar(
  asText(
    (value): value is Value.Inet => value instanceof Value.Inet,
    "an Inet",
    (text) => Value.Inet.parse(text),
    String
  ),
  "inet"
)

/** List of elements as an array. @category schemas @since 0.1.0 */
export const List = <S extends Schema.Constraint>(element: S): Schema.$Array<S> =>
  composed(Schema.Array(element), (type) => type._tag === "List" ? all(true, [[element, type.element]]) : MISFIT)

/** Set of elements as a Set; an array in JSON. @category schemas @since 0.1.0 */
export const Set = <S extends Schema.Constraint>(element: S): Schema.$ReadonlySet<S> =>
  composed(
    anySet(Schema.ReadonlySet(element)),
    (type) => type._tag === "Set" ? all(true, [[element, type.element]]) : MISFIT
  )

/** Map as a Map; an array of pairs in JSON, as an object would put 10 before 9 or 9 before 10 by its own rules. @category schemas @since 0.1.0 */
export const Map = <K extends Schema.Constraint, V extends Schema.Constraint>(
  key: K,
  value: V
): Schema.$ReadonlyMap<K, V> =>
  composed(
    anyMap(Schema.ReadonlyMap(key, value)),
    (type) => type._tag === "Map" ? all(true, [[key, type.key], [value, type.value]]) : MISFIT
  )

/** Vector of so many elements as an array. @category schemas @since 0.1.0 */
export const Vector = <S extends Schema.Constraint>(element: S, dimension: number): Schema.$Array<S> =>
  composed(
    Schema.Array(element).check(Schema.isBetweenLength(dimension, dimension)),
    (type) => {
      if (type._tag !== "Vector") return MISFIT
      const judged = all(type.dimension === dimension, [[element, type.element]])
      // Those of floats come as a `Float32Array`.
      return type.element._tag === "Scalar" && type.element.name === "float" ? { ...judged, isTrusted: false } : judged
    }
  )

/** Vector of floats as a Float32Array; an array in JSON. @category schemas @since 0.1.0 */
export const FloatVector = (dimension: number): Schema.declare<Float32Array> =>
  composed(
    Schema.declare(
      (value): value is Float32Array => value instanceof Float32Array && value.length === dimension,
      {
        expected: "a Float32Array of " + String(dimension),
        toCodecJson: () =>
          Schema.link<Float32Array>()(
            Schema.Array(Double).check(Schema.isBetweenLength(dimension, dimension)),
            SchemaTransformation.transform<Float32Array, ReadonlyArray<number>>({
              decode: (json) => Float32Array.from(json),
              encode: (value) => Array.from(value)
            })
          )
      }
    ),
    (type) => ({
      fits: type._tag === "Vector" && type.dimension === dimension && type.element._tag === "Scalar" &&
        type.element.name === "float",
      isTrusted: true
    })
  )

/** Tuple as an array, any element of which may be null. @category schemas @since 0.1.0 */
export const Tuple = <const Elements extends ReadonlyArray<Schema.Constraint>>(
  ...elements: Elements
): Schema.Tuple<{ readonly [K in keyof Elements]: Schema.NullOr<Elements[K]> }> =>
  composed(
    Schema.Tuple(
      elements.map((element) => Schema.NullOr(element)) as { [K in keyof Elements]: Schema.NullOr<Elements[K]> }
    ) as any,
    (type) =>
      type._tag === "Tuple"
        ? all(
          type.elements.length === elements.length,
          type.elements.flatMap((own, i) => elements[i] === undefined ? [] : [[elements[i]!, own] as const])
        )
        : MISFIT
  ) as any

/**
 * User-defined type, any field of which may be null: a type that got a field later has it as null in what was written before.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Udt = <const Fields extends Readonly<Record<string, Schema.Top>>>(
  fields: Fields
): Schema.Struct<{ readonly [K in keyof Fields]: Schema.NullOr<Fields[K]> }> =>
  composed(
    Schema.Struct(
      Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name, Schema.NullOr(schema)]))
    ) as any,
    (type) =>
      type._tag === "Udt"
        ? {
          ...all(
            Object.keys(fields).every((name) => type.fields.some((field) => field.name === name)),
            type.fields.flatMap(({ name, type }) => Object.hasOwn(fields, name) ? [[fields[name]!, type] as const] : [])
          ),
          // Fields of which the Schema knows nothing are left out by decoding.
          isTrusted: false
        }
        : MISFIT
  ) as any

/**
 * A column that a request may leave as it is: `undefined` becomes `Value.Unset` (protocol v4 and later). Null, which deletes the
 * value, is another thing: `Schema.NullOr`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Absent = <S extends Schema.Top>(
  schema: S
): Schema.Codec<
  S["Type"] | undefined,
  S["Encoded"] | typeof Value.Unset,
  S["DecodingServices"],
  S["EncodingServices"]
> =>
  // In JSON its key is not there.
  Schema.optionalKey(Schema.Union([schema, Unset])).pipe(
    Schema.decodeTo(Schema.toType(Schema.UndefinedOr(schema)) as any, {
      decode: SchemaGetter.transformOptional((given: Option.Option<unknown>) =>
        Option.some(Option.getOrUndefined(Option.filter(given, (value) => value !== Value.Unset)))
      ) as any,
      encode: SchemaGetter.transformOptional((given: Option.Option<unknown>) =>
        Option.some(Option.getOrElse(Option.filter(given, (value) => value !== undefined), () => Value.Unset))
      ) as any
    })
  ) as any

/** It fits whatever the Schema beside it fits, and nothing by itself. */
const Unset = fits(
  Schema.declare((value): value is typeof Value.Unset => value === Value.Unset, {
    expected: "Unset",
    toCodecJson: () =>
      Schema.link<typeof Value.Unset>()(Schema.Undefined, {
        decode: SchemaGetter.transform(() => Value.Unset),
        encode: SchemaGetter.omit()
      })
  }),
  () => MISFIT
)
