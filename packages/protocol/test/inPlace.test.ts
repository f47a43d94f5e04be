/** Codecs by the type, which read and write in place, and rows that a function makes. */
import {
  BatchFrame,
  BindEncoder,
  Codec,
  CqlType,
  Dialect,
  Encoded,
  Frame,
  type Metadata,
  ProtocolError,
  Reader,
  Request,
  RowDecoder,
  Value,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"

const column = (name: string, type: string): Metadata.Column => ({
  keyspace: "ks",
  table: "t",
  name,
  type: CqlType.parse(type) as CqlType.CqlType
})

class Box {
  readonly value: unknown
  constructor(value: unknown) {
    this.value = value
  }
}

/** Ints in boxes, null for one without bytes; of lists their bytes; nothing else. */
const inPlace: Codec.CodecOptions = {
  codecOf: (type) => {
    if (type._tag === "List") {
      return {
        read: (bytes, _, pos, length) => bytes.slice(pos, pos + length),
        write: (w, value) => w.bytesValue(value as Uint8Array)
      }
    }
    if (type._tag !== "Scalar" || type.name !== "int") return undefined
    return {
      read: (_, view, pos, length) => length === 0 ? null : new Box(view.getInt32(pos)),
      write: (w, value) => {
        if (!(value instanceof Box)) throw new TypeError("a box is wanted")
        w.i32(4)
        w.i32(value.value as number)
      }
    }
  }
}

const columns = [column("a", "int"), column("b", "text"), column("c", "list<text>")]

const page = (
  rows: ReadonlyArray<ReadonlyArray<unknown>>,
  options: BindEncoder.BindEncoderOptions = {}
): Uint8Array => {
  const w = new Writer.Writer(16)
  w.i32(rows.length)
  const encoder = new BindEncoder.BindEncoder(columns, { ...inPlace, ...options })
  for (const row of rows) encoder.write(w, row)
  return w.toUint8Array()
}

const list = Codec.encode(CqlType.list(CqlType.scalar("text")), ["x"])!

const thrown = (run: () => unknown): any => {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error("nothing was thrown")
}

describe("codecs in place", () => {
  for (const generated of [true, false]) {
    it(`read and write what they are for, and leave the rest alone (generated ${generated})`, () => {
      const bytes = page([[new Box(1), "x", list], [null, "", null]], { generated })
      assert.deepStrictEqual(
        bytes,
        (() => {
          const w = new Writer.Writer(16)
          w.i32(2)
          const plain = new BindEncoder.BindEncoder(columns)
          plain.write(w, [1, "x", ["x"]])
          plain.write(w, [null, "", null])
          return w.toUint8Array()
        })()
      )
      const decoder = new RowDecoder.RowDecoder(columns, new Uint8Array(8), { ...inPlace, generated })
      const rows = decoder.readArrays(Reader.Reader.from(bytes))
      assert.deepStrictEqual(rows, [[new Box(1), "x", Uint8Array.from(list)], [null, "", null]])
    })
  }

  it("see a value without bytes, which has no other name for them", () => {
    const int = CqlType.scalar("int")
    assert.isNull(Codec.decode(int, new Uint8Array(0), inPlace))
    assert.strictEqual(Codec.decode(int, new Uint8Array(0)), Value.Empty)
  })

  it("of a whole list are asked for the variable of an IN, too", () => {
    const asked: Array<string> = []
    const encoder = new BindEncoder.BindEncoder([column("in(a)", "list<int>")], {
      codecOf: (type) => {
        asked.push(CqlType.format(type))
        return inPlace.codecOf!(type)
      }
    })
    const w = new Writer.Writer(16)
    encoder.write(w, [list])
    assert.include(asked, "list<int>")
    assert.deepStrictEqual(w.toUint8Array().subarray(4), Uint8Array.from(list))
  })

  it("what they throw is the cause of an error that names the column", () => {
    const error = thrown(() => page([[5, "x", null]]))
    assert.instanceOf(error, ProtocolError.EncodeError)
    assert.strictEqual(error.path, "a")
    assert.instanceOf(error.cause, TypeError)
    assert.strictEqual(error.cause.message, "a box is wanted")
    const refused = new Error("no")
    const decoder = new RowDecoder.RowDecoder(columns, new Uint8Array(8), {
      codecOf: () => ({
        read: () => {
          throw refused
        },
        write: () => {}
      })
    })
    const wrong = thrown(() => decoder.readArrays(Reader.Reader.from(page([[new Box(1), "x", null]]))))
    assert.instanceOf(wrong, ProtocolError.DecodeError)
    assert.strictEqual(wrong.cause, refused)
  })

  it("go before codecs by name", () => {
    const options = { ...inPlace, types: { int: { decode: () => "by name", encode: () => 7 } } }
    assert.deepStrictEqual(Codec.decode(CqlType.scalar("int"), Uint8Array.of(0, 0, 0, 1), options), new Box(1))
  })
})

describe("rows that a function makes", () => {
  const wide = Array.from({ length: 300 }, (_, i) => column(`c${i}`, "int"))

  for (const [what, shape] of [["few columns", columns], ["more than are generated", wide]] as const) {
    for (const generated of [true, false]) {
      it(`are told the columns once, and each row's values (${what}, generated ${generated})`, () => {
        const row = shape.map(({ type }, i) =>
          type._tag === "List" ? ["x"] : CqlType.format(type) === "int" ? i : `v${i}`
        )
        const w = new Writer.Writer(16)
        w.i32(3)
        const encoder = new BindEncoder.BindEncoder(shape, { generated })
        for (let i = 0; i < 3; i++) encoder.write(w, row)
        let made = 0
        const told: Array<boolean> = []
        const maker = {
          of: (found: ReadonlyArray<Metadata.Column>, isOfOneTable: boolean) => {
            made++
            told.push(isOfOneTable)
            assert.strictEqual(found, shape)
            return (...values: Array<unknown>) => new Box(values)
          }
        }
        for (const flags of [0, 1]) {
          const signature = new Uint8Array(8)
          signature[3] = flags
          const decoder = new RowDecoder.RowDecoder(shape, signature, { generated })
          for (let i = 0; i < 2; i++) {
            const rows = decoder.readMade(Reader.Reader.from(w.toUint8Array()), maker)
            assert.deepStrictEqual(rows, [new Box(row), new Box(row), new Box(row)])
          }
        }
        assert.strictEqual(made, 2)
        assert.deepStrictEqual(told, [false, true])
      })
    }
  }

  it("of a page that is cut off there are none, and the error says where", () => {
    const decoder = new RowDecoder.RowDecoder(columns, new Uint8Array(8))
    const bytes = page([[new Box(1), "x", list]])
    const maker = { of: () => (...values: Array<unknown>) => values }
    const error = thrown(() => decoder.readMade(Reader.Reader.from(bytes.subarray(0, bytes.length - 1)), maker))
    assert.instanceOf(error, ProtocolError.DecodeError)
  })
})

describe("values that are bytes already, in a batch", () => {
  const values = [Uint8Array.of(1), null, Value.Unset]
  const template = (dialect: Dialect.Dialect) =>
    BatchFrame.template("logged", { consistency: "ONE" }, { tracing: false, stamped: false, dialect })

  it("are written as they are, of a text and of a prepared statement", () => {
    const w = new Writer.Writer(16)
    const encoded = new Encoded.Encoded(values)
    const id = Uint8Array.of(9, 9)
    BatchFrame.write(w, template(Dialect.v4), [
      { id: undefined, query: "INSERT", encoded },
      { id, query: "INSERT", encoded }
    ], 0)
    const frame = w.toUint8Array()
    const body = Reader.Reader.from(frame.subarray(Frame.HEADER_SIZE))
    const { request } = Request.decode(frame[4]!, frame[1]!, body, Dialect.v4)
    assert(request._tag === "Batch")
    assert.deepStrictEqual(
      request.entries.map((entry) => ({
        ...entry,
        values: entry.values.map((value) => value instanceof Uint8Array ? [...value] : value)
      })),
      [
        { _tag: "Text", query: "INSERT", values: [[1], null, Value.Unset] },
        {
          _tag: "Prepared",
          id: request.entries[1]!._tag === "Prepared" ? request.entries[1]!.id : id,
          values: [[1], null, Value.Unset]
        }
      ]
    )
  })

  it("Unset among them is refused where the version has none, and nothing is appended", () => {
    const w = new Writer.Writer(16)
    const encoded = new Encoded.Encoded(values)
    const error = thrown(() =>
      BatchFrame.write(w, template(Dialect.make(3)), [{ id: undefined, query: "x", encoded }], 0)
    )
    assert.instanceOf(error, ProtocolError.EncodeError)
    assert.strictEqual(w.pos, 0)
  })
})
