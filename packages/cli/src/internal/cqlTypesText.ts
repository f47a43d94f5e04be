/**
 * The generated module of the schemas of CQL types. It is written into the application, which needs nothing of this package when it
 * runs; whatever the generated tables use has the form `CqlTypes.Name`, so that another module can take its place.
 */
const TEXT = String.raw`import { Uuid as Uuids, Value } from "@values"
import * as BigDecimal from "effect/BigDecimal"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

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
      encode: (value) =>
        Object.is(value, -0)
          ? "-0"
          : Number.isFinite(value)
          ? value
          : Number.isNaN(value)
          ? "NaN"
          : value > 0
          ? "Infinity"
          : "-Infinity"
    })
  )

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const integer64 = Schema.BigInt.check(
  Schema.isBetweenBigInt({ minimum: -9_223_372_036_854_775_808n, maximum: 9_223_372_036_854_775_807n })
)

/** ascii */
export const Ascii = Schema.String.check(Schema.isAscii())

/** text and varchar */
export const Text = Schema.String

/** int */
export const Int = integer(-2_147_483_648, 2_147_483_647)

/** smallint */
export const Smallint = integer(-32_768, 32_767)

/** tinyint */
export const Tinyint = integer(-128, 127)

/** bigint, 64 bits; decimal text in JSON */
export const Bigint = integer64

/** counter, 64 bits; decimal text in JSON */
export const Counter = integer64

/** varint; decimal text in JSON */
export const Varint = Schema.BigInt

/** double; in JSON a number, but for NaN, the infinities and -0, which are texts */
export const Double = Schema.declare((value): value is number => typeof value === "number", {
  expected: "number",
  toCodecJson: numberAsJson
})

/** float; in JSON as a double */
export const Float = Double

/** boolean */
export const Boolean = Schema.Boolean

const decimalText = ({ scale, value }: BigDecimal.BigDecimal): string => {
  const sign = value < 0n ? "-" : ""
  const digits = String(value < 0n ? -value : value)
  if (scale === 0) return sign + digits
  if (scale < 0 || scale > digits.length + 20) return sign + digits + "e" + String(-scale)
  const padded = digits.padStart(scale + 1, "0")
  return sign + padded.slice(0, -scale) + "." + padded.slice(-scale)
}

/** decimal; in JSON decimal text, which keeps the scale: 1.90 is not 1.9 */
export const Decimal = asText(
  BigDecimal.isBigDecimal,
  "a BigDecimal",
  (text) => text === "" ? undefined : Option.getOrUndefined(BigDecimal.fromString(text)),
  decimalText
)

/** blob, and types that only the server knows; in JSON 0x and hexadecimal digits */
export const Blob = asText(
  (value): value is Uint8Array => value instanceof Uint8Array,
  "a Uint8Array",
  (text) => text.startsWith("0x") ? Result.getOrUndefined(Hex.decode(text.slice(2))) : undefined,
  (value) => "0x" + Hex.encode(value)
)

/** uuid; its text in JSON */
export const Uuid = asText(
  (value): value is Uuids.Uuid => value instanceof Uuids.Uuid,
  "a Uuid",
  (text) => Uuids.parse(text),
  String
)

/** timeuuid; its text in JSON */
export const TimeUuid = Uuid

/** timestamp as a Date; ISO 8601 in JSON */
export const Timestamp = Schema.Date

/** date as a LocalDate; its text in JSON */
export const Date = asText(
  (value): value is Value.LocalDate => value instanceof Value.LocalDate,
  "a LocalDate",
  (text) => Value.LocalDate.parse(text),
  String
)

/** time as a LocalTime; its text in JSON */
export const Time = asText(
  (value): value is Value.LocalTime => value instanceof Value.LocalTime,
  "a LocalTime",
  (text) => Value.LocalTime.parse(text),
  String
)

/** duration as a CqlDuration; its text in JSON */
export const Duration = asText(
  (value): value is Value.CqlDuration => value instanceof Value.CqlDuration,
  "a CqlDuration",
  (text) => Value.CqlDuration.parse(text),
  String
)

/** inet as an Inet; its text in JSON */
export const Inet = asText(
  (value): value is Value.Inet => value instanceof Value.Inet,
  "an Inet",
  (text) => Value.Inet.parse(text),
  String
)

/** list<element> as an array */
export const List = <S extends Schema.Constraint>(element: S) => Schema.Array(element)

/** set<element> as a Set; an array in JSON */
export const Set = <S extends Schema.Constraint>(element: S) => Schema.ReadonlySet(element)

/** map<key, value> as a Map; an array of pairs in JSON */
export const Map = <K extends Schema.Constraint, V extends Schema.Constraint>(key: K, value: V) =>
  Schema.ReadonlyMap(key, value)

/** vector<element, dimension> as an array */
export const Vector = <S extends Schema.Constraint>(element: S, dimension: number) =>
  Schema.Array(element).check(Schema.isBetweenLength(dimension, dimension))

/** vector<float, dimension> as a Float32Array; an array in JSON */
export const FloatVector = (dimension: number) =>
  Schema.declare(
    (value): value is Float32Array => value instanceof Float32Array && value.length === dimension,
    {
      expected: "a Float32Array of " + String(dimension),
      toCodecJson: () =>
        Schema.link<Float32Array>()(
          Vector(Double, dimension),
          SchemaTransformation.transform<Float32Array, ReadonlyArray<number>>({
            decode: (json) => Float32Array.from(json),
            encode: (value) => Array.from(value)
          })
        )
    }
  )

/** tuple<…> as an array, any element of which may be null */
export const Tuple = <const Elements extends ReadonlyArray<Schema.Constraint>>(...elements: Elements) =>
  Schema.Tuple(elements.map((element) => Schema.NullOr(element)) as { [K in keyof Elements]: Schema.NullOr<Elements[K]> })
`

/** The module; `values` is where an application has `Uuid` and `Value` from. */
export const cqlTypesText = (values: string): string => TEXT.replace("@values", () => values)
