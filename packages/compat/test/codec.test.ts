/** What is read and written in place is what the encoder of `cassandra-driver` makes, for values of all types. */
import { Codec, CqlType, Reader, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { inspect, isDeepStrictEqual } from "node:util"
import { Random } from "../../protocol/test/support/random.ts"
import { randomType, scalarNames, scalarValue, valueOf } from "../../protocol/test/support/types.ts"
import { codecOf } from "../src/internal/codec.ts"
import { theirs } from "../src/internal/theirs.ts"
import { typeInfoOf } from "../src/internal/typeInfo.ts"

const SEED = 20_261_201
const ENCODINGS = [{}, { useBigIntAsLong: true, useBigIntAsVarint: true }, { map: Map, set: Set }]

/** Shown whole where they differ: what is compared is of classes that a printed difference does not know. */
const difference = (found: unknown, wanted: unknown, what: string): string | undefined =>
  isDeepStrictEqual(found, wanted)
    ? undefined
    : `${what}: ${inspect(found, { depth: 9 })}, not ${inspect(wanted, { depth: 9 })}`

/** What comes of it: an answer, or the class of what was thrown. */
const outcome = (run: () => unknown): unknown => {
  try {
    return { answer: run() }
  } catch (error) {
    return { thrown: (error as Error).constructor.name, message: (error as Error).message }
  }
}

/** The value of bytes that lie in the middle of a page. */
const readBy = (type: CqlType.CqlType, bytes: Uint8Array, encoding: object): unknown => {
  const encoder = new theirs.Encoder(4, { encoding })
  const { read } = codecOf({ encoder, isBigInt: "useBigIntAsLong" in encoding })(type)
  const page = new Uint8Array(bytes.length + 6)
  page.fill(0xaa)
  page.set(bytes, 3)
  const r = Reader.Reader.from(page)
  const value = read(r.bytes, r.view, 3, bytes.length)
  // The memory of a page is used again.
  page.fill(0x55)
  return value
}

const writtenBy = (type: CqlType.CqlType, value: unknown, encoding: object): unknown => {
  const encoder = new theirs.Encoder(4, { encoding })
  const w = new Writer.Writer(8)
  codecOf({ encoder, isBigInt: "useBigIntAsLong" in encoding })(type).write(w, value)
  return Buffer.from(w.toUint8Array())
}

/** The same by the encoder: with the length in front. */
const writtenByTheirs = (type: CqlType.CqlType, value: unknown, encoding: object): unknown => {
  const made: any = new theirs.Encoder(4, { encoding }).encode(value, typeInfoOf(type))
  const length = Buffer.alloc(4)
  length.writeInt32BE(made === null ? -1 : made.length)
  return made === null ? length : Buffer.concat([length, made])
}

/** A field of that name becomes the prototype of the value there, another object each time. */
const hasPrototype = (type: CqlType.CqlType): boolean => JSON.stringify(type).includes("__proto__")

/** Values without a class of their own there. */
const isVector = (type: CqlType.CqlType): boolean =>
  type._tag === "Vector" || ("element" in type && isVector(type.element)) ||
  (type._tag === "Map" && (isVector(type.key) || isVector(type.value))) ||
  (type._tag === "Tuple" && type.elements.some(isVector)) ||
  (type._tag === "Udt" && type.fields.some((field) => isVector(field.type)))

describe("values", () => {
  for (const encoding of ENCODINGS) {
    it(`are read as cassandra-driver reads them, with ${JSON.stringify(Object.keys(encoding))}`, () => {
      const random = new Random(SEED)
      for (let i = 0; i < 1_500; i++) {
        const type = i < 400 ? CqlType.scalar(scalarNames[i % scalarNames.length]!) : randomType(random, 2)
        const value = type._tag === "Scalar" ? scalarValue(type.name, random) : valueOf(type, random)
        const bytes = Codec.encode(type, value)
        if (bytes === null || hasPrototype(type) || (isVector(type) && type._tag !== "Vector")) continue
        const copy = Buffer.from(bytes)
        const theirEncoder = new theirs.Encoder(4, { encoding })
        assert.isUndefined(difference(
          outcome(() => readBy(type, bytes, encoding)),
          outcome(() => theirEncoder.decode(copy, typeInfoOf(type))),
          CqlType.format(type)
        ))
      }
    })
  }

  it("without bytes are null, or empty where there is such a thing", () => {
    for (const name of scalarNames) {
      const type = CqlType.scalar(name)
      const theirEncoder = new theirs.Encoder(4, { encoding: {} })
      const found = outcome(() => readBy(type, new Uint8Array(0), {}))
      assert.isUndefined(
        difference(found, outcome(() => theirEncoder.decode(Buffer.alloc(0), typeInfoOf(type))), name)
      )
    }
  })

  it("of whatever kind are written as it writes them, or refused as it refuses them", () => {
    const { BigDecimal, Duration, InetAddress, Integer, LocalDate, LocalTime, Long, TimeUuid, Tuple, Uuid, Vector } =
      theirs.types as any
    const values = [
      0,
      1,
      -1,
      1.5,
      127,
      128,
      -129,
      40_000,
      2 ** 31,
      2 ** 53,
      -(2 ** 53),
      2 ** 60,
      NaN,
      Infinity,
      "",
      "5",
      "x",
      "1.5",
      true,
      false,
      12n,
      -1n,
      new Date(0),
      new Date(-1),
      new Date(8.64e15),
      new Date(NaN),
      Buffer.alloc(0),
      Buffer.from([1, 2, 3]),
      new Uint8Array(2),
      Uuid.random(),
      TimeUuid.now(),
      "123e4567-e89b-42d3-a456-426614174000",
      Long.fromNumber(5),
      Long.MIN_VALUE,
      Long.MAX_VALUE,
      Integer.fromNumber(9),
      BigDecimal.fromString("1.25"),
      InetAddress.fromString("10.0.0.1"),
      "127.0.0.1",
      "::1",
      new LocalDate(2026, 12, 1),
      "2026-12-01",
      LocalTime.fromString("10:11:12"),
      "10:11:12",
      new Duration(1, 2, 3),
      [],
      [1],
      ["a"],
      [null],
      {},
      { a: 1 },
      new Map([["a", 1]]),
      new Set([1]),
      new Tuple(1, "a"),
      new Vector([1, 2], "float")
    ]
    const types = [
      ...scalarNames.map((name) => CqlType.scalar(name)),
      CqlType.list(CqlType.scalar("int")),
      CqlType.set(CqlType.scalar("text")),
      CqlType.map(CqlType.scalar("text"), CqlType.scalar("int")),
      CqlType.tuple(CqlType.scalar("int"), CqlType.scalar("text")),
      CqlType.udt("ks", "u", [{ name: "a", type: CqlType.scalar("int") }]),
      CqlType.vector(CqlType.scalar("float"), 2)
    ]
    for (const encoding of ENCODINGS) {
      for (const type of types) {
        for (const [i, value] of values.entries()) {
          // An address that is none becomes whatever lies in memory.
          if (value === "10:11:12" && CqlType.format(type) === "inet") continue
          assert.isUndefined(difference(
            outcome(() => writtenBy(type, value, encoding)),
            outcome(() => writtenByTheirs(type, value, encoding)),
            `${CqlType.format(type)}, value ${i}: ${String(value)}`
          ))
        }
      }
    }
  })
})
