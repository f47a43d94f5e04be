import { CqlType, Uuid, Value } from "@effect-scylla/protocol"
import * as BigDecimal from "effect/BigDecimal"
import type { Random } from "./random.ts"

/** A random value of a scalar type, of the class that decoding gives. */
export const scalarValue = (name: CqlType.ScalarName, random: Random): unknown => {
  switch (name) {
    case "ascii":
      return String.fromCharCode(...Array.from({ length: random.below(40) }, () => random.below(128)))
    case "text":
      return random.text()
    case "bigint":
    case "counter":
      return random.big(64)
    case "blob":
      return random.bytes(random.below(50))
    case "boolean":
      return random.below(2) === 1
    case "decimal":
      return BigDecimal.make(random.big(200), random.between(-100, 100))
    case "double":
      return random.pick([
        0,
        -0,
        NaN,
        Infinity,
        -Infinity,
        Number.MAX_VALUE,
        Number.MIN_VALUE,
        random.u32() / 7,
        -random.u32() * 1e30
      ])
    case "float":
      return Math.fround(random.pick([0, -0, NaN, Infinity, 3.14, random.u32() / 7, -random.u32() * 1e20]))
    case "int":
      return random.between(-(2 ** 31), 2 ** 31 - 1)
    case "smallint":
      return random.between(-(2 ** 15), 2 ** 15 - 1)
    case "tinyint":
      return random.between(-128, 127)
    case "timestamp":
      return new Date(random.between(-8.64e15, 8.64e15))
    case "uuid":
      return new Uuid.Uuid(random.u32(), random.u32(), random.u32(), random.u32())
    case "timeuuid":
      return Uuid.fromTimestamp(random.between(-1e12, 4e12), { node: BigInt(random.u32()), clock: random.below(16384) })
    case "varint":
      return random.big(300)
    case "inet":
      return Value.Inet.fromBytes(random.bytes(random.pick([4, 16])))
    case "date":
      return new Value.LocalDate(random.between(-(2 ** 31), 2 ** 31 - 1))
    case "time":
      return new Value.LocalTime(BigInt(random.between(0, 86_399_999_999_999)))
    case "duration": {
      const sign = random.pick([1, -1])
      const nanos = random.big(64)
      return new Value.CqlDuration(
        sign * random.between(0, 2 ** 31 - 1) || 0,
        sign * random.between(0, 2 ** 31 - 1) || 0,
        BigInt(sign) * (nanos < 0n ? -(nanos + 1n) : nanos)
      )
    }
  }
}

export const scalarNames = Object.keys(CqlType.SCALAR_CODES) as Array<CqlType.ScalarName>

/** A random type: nested up to `depth`. */
export const randomType = (random: Random, depth: number): CqlType.CqlType => {
  const inner = (): CqlType.CqlType => randomType(random, depth - 1)
  switch (depth <= 0 ? 0 : random.below(9)) {
    case 1:
      return CqlType.list(inner())
    case 2:
      return CqlType.set(inner())
    case 3:
      return CqlType.map(inner(), inner())
    case 4:
      return CqlType.tuple(...Array.from({ length: 1 + random.below(4) }, inner))
    case 5: {
      const names = ["street", "zip", "__proto__", "constructor", "0", 'Weird "name"\n', "ž"]
      return CqlType.udt(
        "ks",
        random.pick(["address", "Address"]),
        names.slice(random.below(5)).map((name) => ({ name, type: inner() }))
      )
    }
    case 6:
      return { _tag: "Custom", className: "org.example.Type" }
    case 7:
      return CqlType.vector(inner(), 1 + random.below(4))
    default:
      return CqlType.scalar(random.pick(scalarNames))
  }
}

/** A custom type, and a vector of them. */
const isBytes = (type: CqlType.CqlType): boolean =>
  type._tag === "Custom" || (type._tag === "Vector" && isBytes(type.element))

/** A random value of a type. Parts of tuples and user-defined types may be null. */
export const valueOf = (type: CqlType.CqlType, random: Random): unknown => {
  const some = <A>(make: () => A): Array<A> => Array.from({ length: random.below(4) }, make)
  const part = (of: CqlType.CqlType): unknown => random.below(4) === 0 ? null : valueOf(of, random)
  switch (type._tag) {
    case "Scalar":
      return scalarValue(type.name, random)
    case "Custom":
      return random.bytes(random.below(20))
    case "Vector": {
      if (isBytes(type)) return random.bytes(random.below(20))
      const values = Array.from({ length: type.dimension }, () => valueOf(type.element, random))
      return type.element === CqlType.scalar("float") ? Float32Array.from(values as Array<number>) : values
    }
    case "List":
      return some(() => valueOf(type.element, random))
    case "Set":
      return new Set(some(() => valueOf(type.element, random)))
    case "Map":
      return new Map(some(() => [valueOf(type.key, random), valueOf(type.value, random)] as const))
    case "Tuple":
      return type.elements.map(part)
    case "Udt":
      return Object.fromEntries(type.fields.map((field) => [field.name, part(field.type)]))
  }
}

export const column = (name: string, type: CqlType.CqlType, table = "t") => ({ keyspace: "ks", table, name, type })
