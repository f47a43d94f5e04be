import { BindEncoder, Codec, CqlType, Reader, RowDecoder, Uuid, Value, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as BigDecimal from "effect/BigDecimal"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import { anyTyped, big, i32, i64 } from "./support/arbitraries.ts"
import { column } from "./support/types.ts"

/** The seed of all properties: a failure says how to replay what falsified it. */
const SEED = 20_261_121

const holds = <A>(name: string, arbitrary: Arbitrary.Arbitrary<A>, runs: number, property: (value: A) => boolean) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      const result = yield* Arbitrary.checkEffect(arbitrary, property, { seed: SEED, runs })
      const failure = Arbitrary.formatCheckFailure(result)
      if (failure !== undefined) assert.fail(failure)
      assert.strictEqual(result._tag, "Passed")
    }))

/** Two's complement, in the definition's own words. */
const signed = (bytes: Uint8Array): bigint => {
  let value = 0n
  for (const byte of bytes) value = value * 256n + BigInt(byte)
  return bytes.length > 0 && bytes[0]! > 127 ? value - 256n ** BigInt(bytes.length) : value
}

/** Vints, likewise: ones in front say how many bytes follow, signed ones zig-zag. */
const vints = (bytes: Uint8Array): Array<bigint> => {
  const out: Array<bigint> = []
  for (let at = 0; at < bytes.length;) {
    const bits = bytes[at]!.toString(2).padStart(8, "0")
    const extra = (bits + "0").indexOf("0")
    const rest = Array.from(bytes.subarray(at + 1, at + 1 + extra), (byte) => byte.toString(2).padStart(8, "0"))
    const value = BigInt(`0b0${bits.slice(extra + 1)}${rest.join("")}`)
    out.push(value % 2n === 0n ? value / 2n : -(value + 1n) / 2n)
    at += 1 + extra
  }
  return out
}

/** The bytes take no more than the value needs. */
const isMinimal = (bytes: Uint8Array): boolean => bytes.length === 1 || signed(bytes) !== signed(bytes.subarray(1))

const encode = (name: CqlType.ScalarName, value: unknown): Uint8Array => Codec.encode(CqlType.scalar(name), value)!

describe("round trips", () => {
  holds(
    "any value of any type is read as it was written, and written again as it was",
    anyTyped(2),
    600,
    ({ type, value }) => {
      const bytes = Codec.encode(type, value)
      const read = Codec.decode(type, bytes)
      return Equal.equals(read, value) && Equal.equals(Codec.encode(type, read), bytes)
    }
  )

  holds(
    "so is a row of them, however it is compiled and in whatever form",
    Arbitrary.array(anyTyped(1), { minLength: 1, maxLength: 4 }),
    200,
    (cells) => {
      const columns = cells.map(({ type }, i) => column(`c${i}`, type))
      const values = cells.map(({ value }) => value)
      return [true, false].every((generated) => {
        const w = new Writer.Writer(16)
        w.i32(1)
        new BindEncoder.BindEncoder(columns, { generated }).write(w, values)
        const decoder = new RowDecoder.RowDecoder(columns, new Uint8Array(8), { generated })
        const reader = () => Reader.Reader.from(w.toUint8Array())
        return Equal.equals(decoder.readArrays(reader()), [values]) &&
          Equal.equals(decoder.read(reader()), [Object.fromEntries(values.map((value, i) => [`c${i}`, value]))]) &&
          Equal.equals(decoder.readLazy(reader()).map((row) => columns.map((_, i) => row.at(i))), [values]) &&
          Equal.equals(decoder.readColumns(reader()).values.map((column) => column[0]), values)
      })
    }
  )

  holds("types are read back from the wire, from CQL and from their class names", anyTyped(3), 400, ({ type }) => {
    const w = new Writer.Writer()
    CqlType.write(w, type)
    return Equal.equals(CqlType.read(Reader.Reader.from(w.toUint8Array())), type) &&
      Equal.equals(CqlType.fromClassName(CqlType.className(type)), type)
  })
})

describe("arithmetic agrees with bigint", () => {
  holds("varint", big(2000n), 500, (value) => {
    const bytes = encode("varint", value)
    return signed(bytes) === value && isMinimal(bytes) && Codec.decode(CqlType.scalar("varint"), bytes) === value
  })

  holds("bigint, of bigints and of safe integers", i64, 300, (value) => {
    const safe = BigInt.asIntN(53, value)
    return signed(encode("bigint", value)) === value && signed(encode("bigint", Number(safe))) === safe &&
      signed(encode("timestamp", Number(safe))) === safe
  })

  holds("decimal", Arbitrary.all([big(300n), i32]), 300, ([value, scale]) => {
    const bytes = encode("decimal", BigDecimal.make(value, scale))
    return signed(bytes.subarray(0, 4)) === BigInt(scale) && signed(bytes.subarray(4)) === value &&
      isMinimal(bytes.subarray(4))
  })

  holds("duration", Arbitrary.all([i32, i32, i64]), 500, ([months, days, nanos]) => {
    const negative = months < 0
    if (days < 0 !== negative || nanos < 0n !== negative) {
      // Mixed signs are no duration, unless a part is zero.
      return !new Value.CqlDuration(months, days, nanos).isValid || months === 0 || days === 0 || nanos === 0n
    }
    const bytes = encode("duration", new Value.CqlDuration(months, days, nanos))
    return Equal.equals(vints(bytes), [BigInt(months), BigInt(days), nanos])
  })

  holds("date and time", Arbitrary.all([i32, i64]), 300, ([day, seed]) => {
    const nanos = BigInt.asUintN(46, seed) % 86_400_000_000_000n
    return signed(Uint8Array.of(0, ...encode("date", new Value.LocalDate(day)))) === BigInt(day) + 2n ** 31n &&
      signed(encode("time", new Value.LocalTime(nanos))) === nanos
  })

  holds("the instant of a time-based UUID", i64, 300, (seed) => {
    const millis = Number(BigInt.asUintN(46, seed)) - 12_219_292_800_000
    const uuid = Uuid.fromTimestamp(millis, { node: 1n, clock: 2 })
    const hex = uuid.toString()
    const ticks = BigInt(`0x${hex.slice(15, 18)}${hex.slice(9, 13)}${hex.slice(0, 8)}`)
    return ticks === (BigInt(millis) + 12_219_292_800_000n) * 10_000n && uuid.timestamp === millis
  })
})
