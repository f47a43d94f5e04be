/** CQL types and their values as Effect's `Arbitrary`: what falsifies a property is made small. */
import { CqlType, Uuid, Value } from "@effect-scylla/protocol"
import * as Arbitrary from "effect/Arbitrary"
import * as BigDecimal from "effect/BigDecimal"
import * as Schema from "effect/Schema"

type Any<A> = Arbitrary.Arbitrary<A>

const int = (minimum: number, maximum: number): Any<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const big = (bits: bigint): Any<bigint> =>
  Arbitrary.schema(
    Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** (bits - 1n)), maximum: 2n ** (bits - 1n) - 1n }))
  )

const oneOf = <A>(options: ReadonlyArray<Any<A>>): Any<A> =>
  Arbitrary.flatMap(int(0, options.length - 1), (index) => options[index]!)

const i32 = int(-(2 ** 31), 2 ** 31 - 1)
const i64 = big(64n)
const text = Arbitrary.map(Arbitrary.schema(Schema.String), (value) => value.toWellFormed())
const bytes = (size: number): Any<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(int(0, 255), { minLength: size, maxLength: size }), (all) => Uint8Array.from(all))
const uuid = Arbitrary.map(bytes(16), (all) => Uuid.fromBytes(all))
const double = oneOf<number>([Arbitrary.schema(Schema.Number), Arbitrary.Constant(NaN), Arbitrary.Constant(-0)])

const scalars: Record<CqlType.ScalarName, Any<unknown>> = {
  ascii: Arbitrary.map(Arbitrary.array(int(0, 127)), (codes) => String.fromCharCode(...codes)),
  text,
  bigint: i64,
  counter: i64,
  blob: Arbitrary.schema(Schema.Uint8Array),
  boolean: Arbitrary.schema(Schema.Boolean),
  decimal: Arbitrary.map(Arbitrary.all([big(200n), i32]), ([value, scale]) => BigDecimal.make(value, scale)),
  double,
  float: Arbitrary.map(double, Math.fround),
  int: i32,
  smallint: int(-(2 ** 15), 2 ** 15 - 1),
  tinyint: int(-128, 127),
  timestamp: Arbitrary.map(int(-8.64e15, 8.64e15), (millis) => new Date(millis)),
  uuid,
  timeuuid: uuid,
  varint: big(300n),
  inet: Arbitrary.map(oneOf([bytes(4), bytes(16)]), (all) => Value.Inet.fromBytes(all)),
  date: Arbitrary.map(i32, (day) => new Value.LocalDate(day)),
  time: Arbitrary.map(int(0, 86_399_999_999_999), (nanos) => new Value.LocalTime(BigInt(nanos))),
  duration: Arbitrary.map(Arbitrary.all([i32, i32, i64]), ([months, days, nanos]) => {
    // One sign for all; the smallest of each has no positive counterpart.
    const sign = months < 0 ? -1 : 1
    const of = (value: number): number => sign * Math.min(Math.abs(value), 2 ** 31 - 1) || 0
    const positive = nanos < 0n ? -(nanos + 1n) : nanos
    return new Value.CqlDuration(of(months), of(days), BigInt(sign) * positive)
  })
}

const names = Object.keys(scalars) as Array<CqlType.ScalarName>

/** Any type, nested up to `depth`. */
export const anyType = (depth: number): Any<CqlType.CqlType> => {
  const scalar = Arbitrary.map(int(0, names.length - 1), (index) => CqlType.scalar(names[index]!))
  if (depth === 0) return scalar
  const inner = anyType(depth - 1)
  const some = Arbitrary.array(inner, { minLength: 1, maxLength: 3 })
  return oneOf<CqlType.CqlType>([
    scalar,
    Arbitrary.map(inner, CqlType.list),
    Arbitrary.map(inner, CqlType.set),
    Arbitrary.map(Arbitrary.all([inner, inner]), ([key, value]) => CqlType.map(key, value)),
    Arbitrary.map(some, (elements) => CqlType.tuple(...elements)),
    Arbitrary.map(Arbitrary.all([inner, int(1, 4)]), ([element, dimension]) => CqlType.vector(element, dimension)),
    Arbitrary.map(
      Arbitrary.all([some, text]),
      ([types, name]) => CqlType.udt("ks", `t${name}`, types.map((type, i) => ({ name: `${name}${i}`, type })))
    )
  ])
}

/** Any value of a type, of the class that decoding gives. */
export const anyValue = (type: CqlType.CqlType): Any<unknown> => {
  const several = (of: CqlType.CqlType): Any<Array<unknown>> => Arbitrary.array(anyValue(of), { maxLength: 4 })
  const part = (of: CqlType.CqlType): Any<unknown> => oneOf([anyValue(of), Arbitrary.Constant(null)])
  switch (type._tag) {
    case "Scalar":
      return scalars[type.name]
    case "List":
      return several(type.element)
    case "Set":
      return Arbitrary.map(several(type.element), (values) => new Set(values))
    case "Map":
      return Arbitrary.map(
        Arbitrary.all([several(type.key), several(type.value)]),
        ([keys, values]) => new Map(keys.slice(0, values.length).map((key, i) => [key, values[i]]))
      )
    case "Tuple":
      return Arbitrary.all(type.elements.map(part))
    case "Udt":
      return Arbitrary.map(
        Arbitrary.all(type.fields.map((field) => part(field.type))),
        (values) => Object.fromEntries(type.fields.map((field, i) => [field.name, values[i]]))
      )
    case "Vector": {
      const { dimension, element } = type
      const values = Arbitrary.array(anyValue(element), { minLength: dimension, maxLength: dimension })
      return element === CqlType.scalar("float")
        ? Arbitrary.map(values, (all) => Float32Array.from(all as Array<number>))
        : values
    }
    case "Custom":
      return Arbitrary.schema(Schema.Uint8Array)
  }
}

/** A type and a value of it. */
export const anyTyped = (depth: number): Any<{ readonly type: CqlType.CqlType; readonly value: unknown }> =>
  Arbitrary.flatMap(anyType(depth), (type) => Arbitrary.map(anyValue(type), (value) => ({ type, value })))

export { big, i32, i64 }
