import {
  BindEncoder,
  Codec,
  CqlType,
  Metadata,
  ProtocolError,
  Reader,
  RowDecoder,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "./support/random.ts"
import { column, randomType, scalarNames, scalarValue, valueOf } from "./support/types.ts"

/** The frame of rows around encoded cells, and its decoder. */
const page = (columns: ReadonlyArray<Metadata.Column>, rows: ReadonlyArray<ReadonlyArray<Uint8Array | null>>) => {
  const w = new Writer.Writer()
  Metadata.writeResult(w, columns)
  w.i32(rows.length)
  for (const row of rows) for (const cell of row) w.bytesValue(cell)
  return w.toUint8Array()
}

describe("what is encoded is decoded", () => {
  for (const name of scalarNames) {
    it(`${name}`, () => {
      const random = new Random(1)
      const type = CqlType.scalar(name)
      for (let i = 0; i < 300; i++) {
        const value = scalarValue(name, random)
        const bytes = Codec.encode(type, value)
        const decoded = Codec.decode(type, bytes)
        assert.deepStrictEqual(decoded, value, `${name} number ${i}`)
        assert.deepStrictEqual(Codec.encode(type, decoded), bytes)
      }
    })
  }

  it("any type, nested up to four deep, alone and as a bound variable and a cell of a row", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed * 7919)
      const types = Array.from({ length: 1 + random.below(5) }, () => randomType(random, 4))
      const columns = types.map((type, i) => column(`c${i}`, type))
      const note = `seed ${seed}: ${types.map(CqlType.format).join(", ")}`
      const decoders = new RowDecoder.RowDecoders()
      const encoder = new BindEncoder.BindEncoder(columns)
      const rows = Array.from(
        { length: 3 },
        () => types.map((type) => random.below(5) === 0 ? null : valueOf(type, random))
      )
      const cells = rows.map((row) => row.map((value, i) => Codec.encode(types[i]!, value)))
      for (const [r, row] of rows.entries()) {
        const w = new Writer.Writer(1)
        encoder.write(w, row)
        const alone = new Writer.Writer()
        for (const cell of cells[r]!) alone.bytesValue(cell)
        assert.deepStrictEqual(w.toUint8Array(), alone.toUint8Array(), note)
      }
      const read = decoders.read(Reader.Reader.from(page(columns, cells)), undefined, {
        pagingState: null,
        decoder: undefined,
        newMetadataId: undefined
      })
      assert.deepStrictEqual(
        read,
        rows.map((row) => Object.fromEntries(row.map((value, i) => [`c${i}`, value]))),
        note
      )
    }
  })

  it("generated and interpreted encoders write the same, wherever the buffer ends", () => {
    const plain = [
      "uuid",
      "text",
      "int",
      "bigint",
      "double",
      "boolean",
      "timestamp",
      "timeuuid",
      "float",
      "ascii"
    ] as const
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed * 65_537)
      const types = Array.from(
        { length: random.below(7) },
        () => random.below(5) === 0 ? randomType(random, 2) : CqlType.scalar(random.pick(plain))
      )
      const columns = types.map((type, i) => column(`c${i}`, type))
      const [generated, interpreted] = [true, false].map((generated) =>
        new BindEncoder.BindEncoder(columns, { generated })
      )
      for (let i = 0; i < 5; i++) {
        const row = types.map((type) =>
          random.pick([null, Value.Unset, ...Array.from({ length: 6 }, () => valueOf(type, random))])
        )
        const loose = new Writer.Writer(65_536)
        interpreted!.write(loose, row)
        for (const capacity of [0, 1, 4, random.below(loose.pos + 1), loose.pos, loose.pos + 1, 65_536]) {
          const w = new Writer.Writer(capacity, Math.max(loose.pos, 1))
          generated!.write(w, row)
          assert.deepStrictEqual(w.toUint8Array(), loose.toUint8Array(), `seed ${seed}, capacity ${capacity}`)
        }
        if (loose.pos > 1) {
          // One byte less than it takes.
          for (const encoder of [generated!, interpreted!]) {
            assert.throws(() => encoder.write(new Writer.Writer(1, loose.pos - 1), row), ProtocolError.EncodeError)
          }
        }
        // A wrong value anywhere gives the same error.
        if (types.length > 0) {
          const wrong = row.with(
            random.below(types.length),
            random.pick([undefined, Symbol("s"), 2n ** 70n, {}, NaN, new Date(NaN)])
          )
          const errors = [generated!, interpreted!].map((encoder) => {
            try {
              encoder.write(new Writer.Writer(), wrong)
              return undefined
            } catch (error) {
              assert.instanceOf(error, ProtocolError.EncodeError)
              return (error as ProtocolError.EncodeError).message
            }
          })
          assert.strictEqual(errors[0], errors[1])
        }
      }
    }
  })

  it("types on the wire and as text", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const type = randomType(new Random(seed * 104_729), 5)
      const w = new Writer.Writer()
      CqlType.write(w, type)
      const r = Reader.Reader.from(w.toUint8Array())
      assert.deepStrictEqual(CqlType.read(r), type)
      assert.strictEqual(r.remaining, 0)
      const udts = new Map<string, CqlType.CqlType>()
      const collect = (t: CqlType.CqlType): void => {
        if (t._tag === "Udt") udts.set(t.name, t)
        else if (t._tag === "List" || t._tag === "Set" || t._tag === "Vector") collect(t.element)
        else if (t._tag === "Map") [t.key, t.value].forEach(collect)
        else if (t._tag === "Tuple") t.elements.forEach(collect)
      }
      collect(type)
      const text = CqlType.format(type)
      const parsed = CqlType.parse(text, (name) => udts.get(name))
      assert.strictEqual(typeof parsed === "string" ? parsed : CqlType.format(parsed), text)
      assert.deepStrictEqual(CqlType.fromClassName(CqlType.className(type)), type, CqlType.className(type))
    }
  })
})
