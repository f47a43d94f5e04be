import { Codec, CqlType, Metadata, ProtocolError, Reader, RowDecoder, Value, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { Random } from "./support/random.ts"
import { column, randomType, valueOf } from "./support/types.ts"

const int = CqlType.scalar("int")
const text = CqlType.scalar("text")

const { emptyPage } = RowDecoder

interface Options extends Metadata.WriteResultOptions {
  readonly count?: number
}

/** The body of a ROWS result behind its kind. */
const body = (
  columns: ReadonlyArray<Metadata.Column>,
  rows: ReadonlyArray<ReadonlyArray<Uint8Array | null>>,
  options: Options = {}
): Uint8Array => {
  const w = new Writer.Writer()
  Metadata.writeResult(w, columns, options)
  w.i32(options.count ?? rows.length)
  for (const row of rows) for (const cell of row) w.bytesValue(cell)
  return w.toUint8Array()
}

const metadata = (columns: ReadonlyArray<Metadata.Column>, options?: Metadata.WriteResultOptions): Uint8Array => {
  const w = new Writer.Writer()
  Metadata.writeResult(w, columns, options)
  return w.toUint8Array()
}

/** A reader of the bytes between 64 bytes of each side of a neighbour, which must never be read. */
const among = (bytes: Uint8Array, neighbour: number): Reader.Reader => {
  const all = Buffer.alloc(bytes.length + 128, neighbour)
  all.set(bytes, 64)
  return new Reader.Reader(all, new DataView(all.buffer, all.byteOffset, all.length), 64, 64 + bytes.length)
}

const decodeError = (run: () => unknown, note = ""): ProtocolError.DecodeError => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, ProtocolError.DecodeError, `${note}: ${String(error)}`)
    return error as ProtocolError.DecodeError
  }
  return assert.fail(`it was decoded: ${note}`)
}

const prepared = (decoders: RowDecoder.RowDecoders, columns: ReadonlyArray<Metadata.Column>): RowDecoder.RowDecoder =>
  decoders.prepare(Reader.Reader.from(metadata(columns))).decoder!

/** The other forms of a page, compiled either way, hold what its objects hold. */
const otherForms = (
  bytes: Uint8Array,
  columns: ReadonlyArray<Metadata.Column>,
  objects: ReadonlyArray<RowDecoder.Row>
): void => {
  const read = <A>(generated: boolean, form: (decoder: RowDecoder.RowDecoder, r: Reader.Reader) => A): A => {
    const r = among(bytes, 0xff)
    const decoder = new RowDecoder.RowDecoders({ generated }).open(r, undefined, emptyPage())
    const out = form(decoder, r)
    assert.strictEqual(r.remaining, 0)
    // What was read is its own: the socket's buffer has other bytes by now.
    r.bytes.fill(0x55)
    return out
  }
  const arrays = read(true, (decoder, r) => decoder.readArrays(r))
  assert.deepStrictEqual(read(false, (decoder, r) => decoder.readArrays(r)), arrays)
  assert.strictEqual(arrays.length, objects.length)
  for (const [i, row] of arrays.entries()) {
    assert.strictEqual(row.length, columns.length)
    const named = Object.create(null) as Record<string, unknown>
    for (const [c, { name }] of columns.entries()) named[name] = row[c]
    for (const name of Object.keys(named)) assert.deepStrictEqual(objects[i]![name], named[name])
  }
  for (const generated of [true, false]) {
    const lazy = read(generated, (decoder, r) => decoder.readLazy(r))
    assert.deepStrictEqual(lazy.map((row) => row.toObject()), objects)
    for (const [i, row] of lazy.entries()) {
      assert.deepStrictEqual(row.columns, columns)
      for (const [c, { name }] of columns.entries()) {
        assert.deepStrictEqual(row.at(c), arrays[i]![c])
        assert.deepStrictEqual(row.get(name), objects[i]![name])
      }
    }
    const page = read(generated, (decoder, r) => decoder.readColumns(r))
    assert.strictEqual(page.size, objects.length)
    assert.deepStrictEqual(page.columns, columns)
    assert.strictEqual(page.values.length, columns.length)
    for (const [c, values] of page.values.entries()) {
      assert.strictEqual(values.length, objects.length)
      assert.deepStrictEqual(Array.from<unknown>(values), arrays.map((row) => row[c]))
      const { name } = columns[c]!
      assert.strictEqual(page.get(name), page.values[columns.findLastIndex((column) => column.name === name)])
    }
    const again = read(!generated, (decoder, r) => decoder.readColumns(r))
    assert.deepStrictEqual(
      again.values.map((values) => values.constructor),
      page.values.map((values) => values.constructor)
    )
  }
}

describe("generated and interpreted decoders", () => {
  const both = (columns: ReadonlyArray<Metadata.Column>, rows: ReadonlyArray<ReadonlyArray<Uint8Array | null>>) => {
    const bytes = body(columns, rows)
    const read = (generated: boolean) =>
      new RowDecoder.RowDecoders({ generated }).read(Reader.Reader.from(bytes), undefined, emptyPage())
    const [a, b] = [read(true), read(false)]
    assert.deepStrictEqual(a, b)
    if (columns.length <= 1000) otherForms(bytes, columns, a)
    for (let i = 0; i < a.length; i++) {
      assert.deepStrictEqual(Object.keys(a[i]!), Object.keys(b[i]!))
      assert.deepStrictEqual(Object.getOwnPropertyDescriptors(a[i]), Object.getOwnPropertyDescriptors(b[i]))
      assert.strictEqual(Object.getPrototypeOf(a[i]), Object.prototype)
      assert.strictEqual(Object.getPrototypeOf(b[i]), Object.prototype)
    }
    return a
  }
  const one = (value: unknown) => Codec.encode(int, value)

  it("give the same rows for names of every kind", () => {
    const names = [
      "__proto__",
      "constructor",
      "toString",
      "hasOwnProperty",
      "",
      "2",
      "0",
      "-1",
      "a b",
      '"quoted"',
      "back\\slash",
      "new\nline\r\u2028\u2029",
      "`${x}`",
      "']});throw 1;//",
      "*/ /*",
      "žluť 🐎",
      "\u0000",
      "\ufeff",
      "class",
      "x".repeat(60_000),
      "}]);process.exit(1);([{",
      "[applied]",
      "system.now()"
    ]
    const rows = both(names.map((name) => column(name, int)), [names.map((_, i) => one(i)), names.map(() => null)])
    for (const [i, name] of names.entries()) {
      assert.isTrue(Object.hasOwn(rows[0]!, name), JSON.stringify(name))
      assert.strictEqual(rows[0]![name], i)
      assert.isNull(rows[1]![name])
    }
    assert.strictEqual(Object.keys(rows[0]!).length, names.length)
  })

  it("the later of two columns of one name wins", () => {
    for (const name of ["a", "__proto__", "1", ""]) {
      const [row] = both([column(name, int), column("b", int), column(name, text)], [[
        one(1),
        one(2),
        Codec.encode(text, "x")
      ]])
      assert.strictEqual(row![name], "x")
      assert.strictEqual(Object.keys(row!).length, 2)
    }
  })

  it("no column at all, and what conditional statements answer", () => {
    assert.deepStrictEqual(both([], []), [])
    const boolean = CqlType.scalar("boolean")
    const applied = (value: boolean) => Codec.encode(boolean, value)
    assert.deepStrictEqual(both([column("[applied]", boolean)], [[applied(true)]]), [{ "[applied]": true }])
    // Of a batch that was not applied ScyllaDB answers a row for each statement, those of the others full of nulls.
    assert.deepStrictEqual(
      both([column("[applied]", boolean), column("k", int), column("v", text)], [
        [applied(false), one(1), Codec.encode(text, "x")],
        [applied(false), null, null]
      ]),
      [{ "[applied]": false, k: 1, v: "x" }, { "[applied]": false, k: null, v: null }]
    )
  })

  it("the names that several columns have are known, and their values to be had", () => {
    const columns = ["a", "x", "__proto__", "x", "a", "b", "x", "__proto__"].map((name) => column(name, int))
    const decoder = prepared(new RowDecoder.RowDecoders(), columns)
    assert.deepStrictEqual(decoder.duplicates, ["x", "a", "__proto__"])
    assert.deepStrictEqual(prepared(new RowDecoder.RowDecoders(), columns.slice(0, 3)).duplicates, [])
    assert.deepStrictEqual(Metadata.duplicateNames(columns), decoder.duplicates)
    const bytes = body(columns, [columns.map((_, i) => one(i))])
    const open = () => {
      const r = Reader.Reader.from(bytes)
      return { r, decoder: new RowDecoder.RowDecoders().open(r, decoder, emptyPage()) }
    }
    const arrays = open()
    assert.deepStrictEqual(arrays.decoder.readArrays(arrays.r), [[0, 1, 2, 3, 4, 5, 6, 7]])
    const lazy = open()
    const [row] = lazy.decoder.readLazy(lazy.r)
    assert.deepStrictEqual(columns.map((_, i) => row!.at(i)), [0, 1, 2, 3, 4, 5, 6, 7])
    assert.strictEqual(row!.get("x"), 6)
    const byColumns = open()
    assert.deepStrictEqual(
      byColumns.decoder.readColumns(byColumns.r).values.map((values) => values[0]),
      [0, 1, 2, 3, 4, 5, 6, 7]
    )
  })

  it("empty values and nulls", () => {
    const types = Object.keys(CqlType.SCALAR_CODES).map((name) => CqlType.scalar(name as CqlType.ScalarName))
    const columns = types.map((type, i) => column(`c${i}`, type))
    const [empty, nulls] = both(columns, [types.map(() => new Uint8Array(0)), types.map(() => null)])
    assert.isTrue(Object.values(nulls!).every((value) => value === null))
    assert.strictEqual(Object.values(empty!).filter((value) => value === Value.Empty).length, types.length - 3)
  })

  it("random shapes", () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = new Random(seed * 31_337)
      const columns = Array.from(
        { length: 1 + random.below(8) },
        () => column(random.pick(["a", "b", "__proto__", "0", random.text()]), randomType(random, 2))
      )
      const rows = Array.from(
        { length: random.below(4) },
        () => columns.map(({ type }) => random.below(5) === 0 ? null : Codec.encode(type, valueOf(type, random)))
      )
      assert.strictEqual(both(columns, rows).length, rows.length)
    }
  })

  it("more columns than a function takes parameters", () => {
    const columns = Array.from({ length: 70_000 }, (_, i) => column(`c${i}`, int))
    const [row] = both(columns, [columns.map((_, i) => one(i))])
    assert.strictEqual(row!["c69999"], 69_999)
    const decoder = prepared(new RowDecoder.RowDecoders(), columns)
    const rows = body(columns, [columns.map((_, i) => one(i))]).subarray(decoder.signature.length)
    assert.strictEqual(decoder.readArrays(Reader.Reader.from(rows))[0]![69_999], 69_999)
    assert.strictEqual(decoder.readLazy(Reader.Reader.from(rows))[0]!.get("c69999"), 69_999)
    assert.strictEqual(decoder.readColumns(Reader.Reader.from(rows)).get("c69999")![0], 69_999)
  })

  it("where code generation is forbidden, rows are decoded and values bound all the same", () => {
    const script = `
      import { BindEncoder, CqlType, Metadata, Reader, RowDecoder, Writer } from "@effect-scylla/protocol"
      try { new Function("return 1"); throw new TypeError("allowed") } catch (error) { if (error instanceof TypeError) throw error }
      const columns = ["id", "name", "__proto__"].map((name, i) => ({ keyspace: "k", table: "t", name, type: CqlType.scalar(["int", "text", "bigint"][i]) }))
      const w = new Writer.Writer()
      Metadata.writeResult(w, columns)
      w.i32(1)
      new BindEncoder.BindEncoder(columns).write(w, [1, "x", 2n])
      const rows = new RowDecoder.RowDecoders().read(Reader.Reader.from(w.toUint8Array()), undefined, RowDecoder.emptyPage())
      console.log(rows.length, rows[0].id, rows[0].name, Object.entries(rows[0]).length, rows[0]["__proto__"])
    `
    const output = execFileSync(
      process.execPath,
      ["--disallow-code-generation-from-strings", "--input-type=module", "--eval", script],
      { encoding: "utf8", cwd: new URL(".", import.meta.url), env: { ...process.env, NODE_OPTIONS: "" } }
    )
    assert.strictEqual(output, "1 1 x 3 2n\n")
  })
})

describe("forms of a page", () => {
  const scalars = ["int", "smallint", "tinyint", "float", "double", "bigint", "counter", "timestamp", "text"] as const
  const columns = scalars.map((name) => column(name, CqlType.scalar(name)))
  const full = (i: number) =>
    scalars.map((name) =>
      Codec.encode(
        CqlType.scalar(name),
        name === "text" ? `${i}` : name === "bigint" || name === "counter" || name === "timestamp" ? BigInt(i) : i
      )
    )
  const open = (
    rows: ReadonlyArray<ReadonlyArray<Uint8Array | null>>,
    options: RowDecoder.RowDecoderOptions = {}
  ): [RowDecoder.RowDecoder, Reader.Reader] => {
    const r = Reader.Reader.from(body(columns, rows))
    return [new RowDecoder.RowDecoders(options).open(r, undefined, emptyPage()), r]
  }

  for (const generated of [true, false]) {
    it(`columns of numbers are typed arrays while every row has a value, ${generated ? "generated" : "interpreted"}`, () => {
      const kinds = [Int32Array, Int16Array, Int8Array, Float32Array, Float64Array, BigInt64Array, BigInt64Array]
      const [decoder, r] = open([full(1), full(-2), full(3)], { generated, timestamp: "bigint" })
      const page = decoder.readColumns(r)
      assert.deepStrictEqual(page.values.map((values) => values.constructor), [...kinds, BigInt64Array, Array])
      assert.deepStrictEqual(page.get("int"), Int32Array.of(1, -2, 3))
      assert.deepStrictEqual(page.get("timestamp"), BigInt64Array.of(1n, -2n, 3n))
      assert.isUndefined(page.get("nothing"))
      for (const hole of [null, new Uint8Array(0)]) {
        for (const at of [0, 1, 2]) {
          const rows = [full(1), full(2), full(3)].map((row, i) => i === at ? row.map(() => hole) : row)
          const [holed, again] = open(rows, { generated })
          const { values } = holed.readColumns(again)
          for (const [c, column] of values.entries()) {
            assert.strictEqual(column.constructor, Array, scalars[c])
            const expected = hole === null ? null : scalars[c] === "text" ? "" : Value.Empty
            assert.strictEqual(column[at], expected as never)
            assert.strictEqual(column.length, 3)
            assert.notStrictEqual(column[(at + 1) % 3], expected as never)
          }
        }
      }
    })

    it(`pages of thousands of rows, ${generated ? "generated" : "interpreted"}`, () => {
      const rows = Array.from({ length: 3000 }, (_, i) => full(i % 100))
      const forms = [
        (() => {
          const [decoder, r] = open(rows, { generated })
          return decoder.readArrays(r).map((row) => row[0])
        })(),
        (() => {
          const [decoder, r] = open(rows, { generated })
          return decoder.readLazy(r).map((row) => row.get("int"))
        })(),
        (() => {
          const [decoder, r] = open(rows, { generated })
          return Array.from<unknown>(decoder.readColumns(r).values[0]!)
        })()
      ]
      for (const values of forms) assert.deepStrictEqual(values, rows.map((_, i) => i % 100))
    })
  }

  it("what a lazy row does not have is undefined, and a value that is none fails when it is looked at", () => {
    const r = Reader.Reader.from(
      body([column("a", int), column("b", text)], [[new Uint8Array(3), Codec.encode(text, "x")]])
    )
    const [row] = new RowDecoder.RowDecoders().open(r, undefined, emptyPage()).readLazy(r)
    assert.strictEqual(row!.get("b"), "x")
    assert.match(decodeError(() => row!.get("a")).message, /type int cannot have 3 bytes/)
    decodeError(() => row!.toObject())
    for (const at of [-1, 2, NaN, 0.5]) assert.isUndefined(row!.at(at))
    assert.isUndefined(row!.get("c"))
    assert.isUndefined(row!.get("__proto__"))
  })
})

describe("metadata of a response", () => {
  const columns = [column("id", int), column("name", text)]
  const row = [Codec.encode(int, 7), Codec.encode(text, "x")]

  it("the expected decoder is used where the bytes agree, with and without a paging state", () => {
    for (const pagingState of [null, new Uint8Array(0), new Uint8Array([1, 2, 3])]) {
      for (const neighbour of [0, 0xff]) {
        const decoders = new RowDecoder.RowDecoders()
        const expected = prepared(decoders, columns)
        const page = emptyPage()
        page.pagingState = new Uint8Array([9])
        const r = among(body(columns, [row], { pagingState }), neighbour)
        assert.deepStrictEqual(decoders.read(r, expected, page), [{ id: 7, name: "x" }])
        assert.strictEqual(page.decoder, expected)
        assert.deepStrictEqual(page.pagingState, pagingState)
        assert.strictEqual(r.remaining, 0)
        if (pagingState !== null) assert.notStrictEqual(page.pagingState!.buffer, r.bytes.buffer)
      }
    }
  })

  it("a null paging state behind HAS_MORE_PAGES", () => {
    const w = new Writer.Writer()
    w.raw(metadata(columns))
    const bytes = w.toUint8Array()
    bytes[3] = bytes[3]! | Metadata.Flags.HAS_MORE_PAGES
    const all = Buffer.concat([
      bytes.subarray(0, 8),
      Buffer.from("ffffffff", "hex"),
      bytes.subarray(8),
      Buffer.alloc(4)
    ])
    const decoders = new RowDecoder.RowDecoders()
    for (const expected of [undefined, prepared(decoders, columns)]) {
      const page = emptyPage()
      assert.deepStrictEqual(decoders.read(Reader.Reader.from(all), expected, page), [])
      assert.isNull(page.pagingState)
    }
  })

  it("any other metadata is decoded with its own", () => {
    const others: ReadonlyArray<ReadonlyArray<Metadata.Column>> = [
      [column("id", int), column("nama", text)],
      [column("id", int), column("name", CqlType.scalar("blob"))],
      [column("id", int, "u"), column("name", text, "u")],
      [column("id", int), column("name", text, "u")],
      [column("id", int)],
      [column("id", int), column("name", text), column("more", int)],
      [column("name", text), column("id", int)],
      [column("id", int), column("name", CqlType.list(text))]
    ]
    for (const other of others) {
      for (const pagingState of [null, new Uint8Array([1])]) {
        const decoders = new RowDecoder.RowDecoders()
        const expected = prepared(decoders, columns)
        const page = emptyPage()
        const cells = other.map(({ type }) =>
          Codec.encode(type, type === int ? 1 : type === text ? "x" : type._tag === "List" ? [] : new Uint8Array(1))
        )
        const rows = decoders.read(Reader.Reader.from(body(other, [cells], { pagingState })), expected, page)
        assert.notStrictEqual(page.decoder, expected)
        assert.deepStrictEqual(page.decoder!.columns, other)
        assert.deepStrictEqual(page.pagingState, pagingState)
        assert.deepStrictEqual(Object.keys(rows[0]!), other.map(({ name }) => name))
      }
    }
  })

  it("every flipped byte of the metadata is noticed", () => {
    const decoders = new RowDecoder.RowDecoders()
    const expected = prepared(decoders, columns)
    const bytes = body(columns, [row])
    const size = expected.signature.length
    for (let i = 0; i < size; i++) {
      for (let bit = 0; bit < 8; bit++) {
        // With more pages the same columns may follow, and without metadata none do: that is what these flags are for.
        if (i === 3 && (bit === 1 || bit === 2)) continue
        const copy = bytes.slice()
        copy[i] = copy[i]! ^ (1 << bit)
        const r = among(copy, 0)
        assert.isFalse(expected.accept(r, emptyPage()), `byte ${i}, bit ${bit}`)
        assert.strictEqual(r.pos, 64, "the reader was moved")
      }
    }
  })

  it("metadata cut at every byte is not accepted and fails typed, whatever the neighbour holds", () => {
    for (const pagingState of [null, new Uint8Array([1, 2, 3])]) {
      const bytes = metadata(columns, { pagingState })
      for (const neighbour of [0, 1, 0xff]) {
        const decoders = new RowDecoder.RowDecoders()
        const expected = prepared(decoders, columns)
        for (let end = 0; end < bytes.length; end++) {
          const r = among(bytes.subarray(0, end), neighbour)
          assert.isFalse(expected.accept(r, emptyPage()))
          decodeError(() => decoders.read(r, expected, emptyPage()), `cut at ${end}`)
        }
      }
    }
    // No columns: the paging state lies past the end of the shortest metadata there is.
    const none = new RowDecoder.RowDecoder([], new Uint8Array(8))
    for (const neighbour of [0, 0xff]) {
      assert.isFalse(none.accept(among(Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 0), neighbour), emptyPage()))
    }
    const tight = Reader.Reader.from(Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 0))
    assert.isFalse(none.accept(tight, emptyPage()))
  })

  it("without metadata the expected decoder is used, or the read fails typed", () => {
    const decoders = new RowDecoder.RowDecoders()
    const expected = prepared(decoders, columns)
    const bytes = body(columns, [row], { skip: true, pagingState: new Uint8Array([5]) })
    const page = emptyPage()
    assert.deepStrictEqual(decoders.read(Reader.Reader.from(bytes), expected, page), [{ id: 7, name: "x" }])
    assert.strictEqual(page.decoder, expected)
    assert.deepStrictEqual(page.pagingState, new Uint8Array([5]))
    assert.match(
      decodeError(() => decoders.read(Reader.Reader.from(bytes), undefined, emptyPage())).message,
      /2 columns without metadata/
    )
    decodeError(() => decoders.read(Reader.Reader.from(bytes), prepared(decoders, [column("id", int)]), emptyPage()))
  })

  it("new metadata comes with its id, page by page, and its decoder is that of the same metadata without", () => {
    const decoders = new RowDecoder.RowDecoders()
    const old = prepared(decoders, [column("id", int)])
    const page = emptyPage()
    for (const pagingState of [null, new Uint8Array([5, 6])]) {
      const newId = new Uint8Array([1, 2, 3])
      const bytes = body(columns, [row], { newId, pagingState })
      assert.deepStrictEqual(decoders.read(Reader.Reader.from(bytes), old, page), [{ id: 7, name: "x" }])
      assert.deepStrictEqual(page.newMetadataId, newId)
      assert.deepStrictEqual(page.pagingState, pagingState)
      assert.strictEqual(page.decoder, prepared(decoders, columns))
      // The decoder that the metadata changed to does not hide that it changed.
      assert.isFalse(page.decoder!.accept(Reader.Reader.from(bytes), emptyPage()))
      for (const next of [body(columns, [row], { skip: true }), body(columns, [row])]) {
        page.newMetadataId = newId
        assert.deepStrictEqual(decoders.read(Reader.Reader.from(next), page.decoder, page), [{ id: 7, name: "x" }])
        assert.isUndefined(page.newMetadataId)
      }
    }
    const cut = body(columns, [row], { newId: new Uint8Array(16) }).subarray(0, 20)
    decodeError(() => decoders.read(Reader.Reader.from(cut), old, emptyPage()))
  })

  it("changed metadata without any is a contradiction, and fails typed", () => {
    const decoders = new RowDecoder.RowDecoders()
    const bytes = body(columns, [row], { skip: true })
    bytes[3] = bytes[3]! | Metadata.Flags.METADATA_CHANGED
    assert.match(
      decodeError(() => decoders.read(Reader.Reader.from(bytes), prepared(decoders, columns), emptyPage())).message,
      /changed comes without it/
    )
  })

  it("decoders are shared by shape, and their number is bounded", () => {
    const decoders = new RowDecoder.RowDecoders()
    const first = prepared(decoders, columns)
    assert.strictEqual(prepared(decoders, columns), first)
    for (let i = 0; i < 600; i++) prepared(decoders, [column(`c${i}`, int)])
    assert.strictEqual((decoders as unknown as { shapes: Map<string, unknown> }).shapes.size, 512)
    assert.notStrictEqual(prepared(decoders, columns), first)
    // Metadata of a megabyte would be kept as its own key.
    const wide = new RowDecoder.RowDecoders()
    const huge = [column("x".repeat(60_000), int), column("y".repeat(60_000), int)]
    prepared(wide, huge)
    assert.strictEqual((wide as unknown as { shapes: Map<string, unknown> }).shapes.size, 0)
    assert.deepStrictEqual(
      Object.values(
        wide.read(Reader.Reader.from(body(huge, [[Codec.encode(int, 1), null]])), undefined, emptyPage())[0]!
      ),
      [1, null]
    )
  })
})

describe("hostile rows", () => {
  const columns = [column("id", int), column("name", text)]
  const cells = [Codec.encode(int, 7), Codec.encode(text, "x")]

  for (const generated of [true, false]) {
    describe(`${generated ? "generated" : "interpreted"}`, () => {
      const decoders = () => new RowDecoder.RowDecoders({ generated })

      it("counts that cannot be", () => {
        const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
        for (const count of [-1, -(2 ** 31), 2 ** 31 - 1, 2 ** 30, 4, 3]) {
          const bytes = body(columns, [cells, cells], { count })
          const error = decodeError(
            () => decoders().read(Reader.Reader.from(bytes), undefined, emptyPage()),
            String(count)
          )
          assert.isBelow(error.message.length, 200)
        }
        for (const count of [1, 2 ** 31 - 1, -1]) {
          decodeError(() => decoders().read(Reader.Reader.from(body([], [], { count })), undefined, emptyPage()))
        }
        assert.deepStrictEqual(decoders().read(Reader.Reader.from(body([], [])), undefined, emptyPage()), [])
        assert.isBelow(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before, 50_000_000)
      })

      it("cut at every byte, with any neighbour", () => {
        const bytes = body(columns, [cells, [null, cells[1]!], [cells[0]!, null]])
        for (const neighbour of [0, 1, 4, 0x7f, 0xff]) {
          for (let end = 0; end < bytes.length; end++) {
            const error = decodeError(
              () => decoders().read(among(bytes.subarray(0, end), neighbour), undefined, emptyPage()),
              `cut at ${end}, neighbour ${neighbour}`
            )
            assert.isAbove(error.message.length, 0)
          }
        }
        for (let end = 0; end < bytes.length; end++) {
          decodeError(() => decoders().read(Reader.Reader.from(bytes.slice(0, end)), undefined, emptyPage()))
        }
      })

      it("a cell that is longer than the frame", () => {
        for (const type of [int, text, CqlType.scalar("blob"), CqlType.list(int), CqlType.scalar("uuid")]) {
          for (const length of [1, 2, 4, 16, 2 ** 31 - 1]) {
            const w = new Writer.Writer()
            Metadata.writeResult(w, [column("c", type)])
            w.i32(1)
            w.i32(length)
            const error = decodeError(
              () => decoders().read(among(w.toUint8Array(), 0), undefined, emptyPage()),
              `${length}`
            )
            assert.match(error.message, /cut off/)
          }
        }
      })

      it("a neighbour's bytes are in no value", () => {
        const type = CqlType.list(text)
        const w = new Writer.Writer()
        Metadata.writeResult(w, [column("c", type)])
        w.i32(1)
        w.i32(12)
        w.i32(1)
        // Longer than its collection, but not than the buffer.
        w.i32(40)
        w.i32(0)
        const error = decodeError(() => decoders().read(among(w.toUint8Array(), 65), undefined, emptyPage()))
        assert.match(error.message, /an element of 40 bytes is cut off/)
      })
    })
  }
})

describe("a value that cannot be read", () => {
  const types = ["text", "list<int>", "map<text, frozen<tuple<int, bigint>>>", "int"].map((source) => {
    const type = CqlType.parse(source)
    if (typeof type === "string") throw new Error(type)
    return type
  })
  const columns = types.map((type, i) => column(["id", 'odd "name"', "__proto__", "n".repeat(300)][i]!, type))
  const good = [Codec.encode(text, "x"), Codec.encode(types[1]!, [1]), null, Codec.encode(int, 7)]
  // A list of an int of three bytes, a map of a tuple of a bigint of one, an int of five.
  const cases: ReadonlyArray<[at: number, hex: string, message: RegExp]> = [
    [1, "0000000100000003000000", /^row 2 of 3, column "odd \\"name\\"" of type list<int>: .*int cannot have 3 bytes$/],
    [1, "00000002000000040000", /^row 2 of 3, column "odd \\"name\\"" of type list<int>: /],
    [
      2,
      "0000000100000001610000000dffffffff0000000101000000",
      /^row 2 of 3, column "__proto__" of type map<text, tuple<int, bigint>>: /
    ],
    [3, "0000000000", /^row 2 of 3, column "n{100}…" of type int: a value of type int cannot have 5 bytes$/]
  ]

  it("is named, with its row, column and type, in every form", () => {
    for (const [at, hex, message] of cases) {
      const bad = good.map((cell, i) => i === at ? Uint8Array.from(Buffer.from(hex, "hex")) : cell)
      const bytes = body(columns, [good, bad, good])
      for (const generated of [true, false]) {
        for (const form of ["read", "readArrays", "readColumns"] as const) {
          const r = among(bytes, 0)
          const decoder = new RowDecoder.RowDecoders({ generated }).open(r, undefined, emptyPage())
          const error = decodeError(() => decoder[form](r), form)
          assert.match(error.message, message, form)
          assert.strictEqual(error.column, columns[at]!.name)
          assert.strictEqual(error.cqlType, CqlType.format(types[at]!))
        }
      }
      const r = among(bytes, 0)
      const rows = new RowDecoder.RowDecoders().open(r, undefined, emptyPage()).readLazy(r)
      assert.strictEqual(rows[1]!.at(0), "x")
      const error = decodeError(() => rows[1]!.at(at))
      assert.match(error.message, new RegExp(message.source.replace("row 2 of 3, ", "")))
      assert.strictEqual(error.column, columns[at]!.name)
    }
  })

  it("is named where the row is cut off", () => {
    const bytes = body(columns, [good, good])
    const short = bytes.subarray(0, bytes.length - 2)
    for (const r of [Reader.Reader.from(short.slice()), among(short, 0)]) {
      const decoder = new RowDecoder.RowDecoders().open(r, undefined, emptyPage())
      assert.match(
        decodeError(() => decoder.read(r)).message,
        /^row 2 of 2, column "n+…" of type int: the row is cut off$/
      )
    }
  })

  it("alone is named by its type", () => {
    const error = decodeError(() => Codec.decode(types[1]!, Uint8Array.of(0, 0)))
    assert.strictEqual(error.message, "list<int>: truncated collection")
    assert.strictEqual(error.cqlType, "list<int>")
    assert.isUndefined(error.column)
  })
})
