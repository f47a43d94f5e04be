import { CqlType, Frame, Metadata, ProtocolError, Reader, Response, RowDecoder, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { captured, modes } from "../../../test/fixtures/captured.ts"
import { bytesOf, golden } from "../../../test/fixtures/vectors.ts"

const int = CqlType.scalar("int")
const text = CqlType.scalar("text")
const address = CqlType.udt("ks", "address", [{ name: "zip", type: int }])
const named = (name: string): CqlType.CqlType => CqlType.udt("ks", name, [])
const quoted = named('My "Type"')

const resolve = (name: string): CqlType.CqlType | undefined =>
  name === "address" ? address : name === 'My "Type"' || name === "int" || name === "vector" ? named(name) : undefined

describe("parse", () => {
  const cases: ReadonlyArray<[text: string, type: CqlType.CqlType]> = [
    ["int", int],
    [" INT ", int],
    ["varchar", text],
    ["Text", text],
    ["list<int>", CqlType.list(int)],
    ["frozen<list<int>>", CqlType.list(int)],
    ["map<text,frozen<set<int>>>", CqlType.map(text, CqlType.set(int))],
    ["map < text , int >", CqlType.map(text, int)],
    ["tuple<int, text, tuple<int>>", CqlType.tuple(int, text, CqlType.tuple(int))],
    ["frozen<address>", address],
    ["ADDRESS", address],
    ['list<frozen<"My ""Type""">>', CqlType.list(quoted)],
    // Of the value column that a compact table without one has in system_schema.columns.
    ["empty", { _tag: "Custom", className: "org.apache.cassandra.db.marshal.EmptyType" }],
    // Quoted, it is never a built-in type.
    ['"int"', named("int")],
    ["'org.example.It''s'", { _tag: "Custom", className: "org.example.It's" }],
    ["'org.apache.cassandra.db.marshal.DurationType'", CqlType.scalar("duration")],
    ["vector<float, 3>", CqlType.vector(CqlType.scalar("float"), 3)],
    ["VECTOR < frozen<list<int>> , 2147483647 >", CqlType.vector(CqlType.list(int), 2 ** 31 - 1)],
    ["map<text, vector<vector<int,2>,1>>", CqlType.map(text, CqlType.vector(CqlType.vector(int, 2), 1))],
    ["vector<address, 2>", CqlType.vector(address, 2)],
    ['"vector"', named("vector")],
    ["'org.apache.cassandra.db.marshal.VectorType(Int32Type, 2)'", CqlType.vector(int, 2)],
    [`${"list<".repeat(64)}int${">".repeat(64)}`, Array.from({ length: 64 }).reduce<CqlType.CqlType>(CqlType.list, int)]
  ]
  it("reads what schema tables hold", () => {
    for (const [source, type] of cases) assert.deepStrictEqual(CqlType.parse(source, resolve), type, source)
    for (const name of Object.keys(CqlType.SCALAR_CODES)) {
      assert.deepStrictEqual<unknown>(CqlType.parse(name), { _tag: "Scalar", name })
    }
  })

  it("answers a message for anything else", () => {
    const wrong = [
      "",
      " ",
      "int int",
      "int!",
      "!int",
      "in-t",
      "list",
      "list<",
      "list<int",
      "list<int>>",
      "list<>",
      "list<int,>",
      "list<int, int>",
      "map<int>",
      "map<int, int, int>",
      "frozen<>",
      "tuple<>",
      "<int>",
      ",",
      "nothing",
      '"unclosed',
      "'unclosed",
      '""',
      "vector",
      "vector<float>",
      "vector<float, 0>",
      "vector<float, -1>",
      "vector<float, 1.5>",
      "vector<float, 1e2>",
      "vector<float, 2147483648>",
      "vector<float, int>",
      "vector<float, 3, 3>",
      "vector<3, float>",
      "vector<float, 3",
      "vector<",
      "3",
      `${"vector<".repeat(65)}int${", 1>".repeat(65)}`,
      "toString",
      "__proto__",
      "int;",
      `${"list<".repeat(65)}int${">".repeat(65)}`,
      "list<".repeat(100_000),
      "x".repeat(100_000)
    ]
    for (const source of wrong) {
      const answer = CqlType.parse(source, resolve)
      if (typeof answer !== "string") assert.fail(`${source} is ${JSON.stringify(answer)}`)
      assert.isBelow(answer.length, 600)
    }
    assert.strictEqual(CqlType.parse("list<int, int>"), 'list takes 1 type argument in the type "list<int, int>"')
    assert.strictEqual(CqlType.parse("nothing"), 'unknown type nothing in the type "nothing"')
  })
})

describe("format", () => {
  it("gives what parse reads", () => {
    const types: ReadonlyArray<[CqlType.CqlType, string]> = [
      [CqlType.map(text, CqlType.list(CqlType.tuple(int, address))), "map<text, list<tuple<int, address>>>"],
      [quoted, '"My ""Type"""'],
      [named("int"), '"int"'],
      [named("Int"), '"Int"'],
      [named("frozen"), '"frozen"'],
      [named("vector"), '"vector"'],
      [named("empty"), '"empty"'],
      [named("order"), '"order"'],
      [
        CqlType.vector(CqlType.list(CqlType.vector(CqlType.scalar("float"), 3)), 2),
        "vector<list<vector<float, 3>>, 2>"
      ],
      [named("1a"), '"1a"'],
      [{ _tag: "Custom", className: "a.It's" }, "'a.It''s'"]
    ]
    for (const [type, expected] of types) {
      assert.strictEqual(CqlType.format(type), expected)
      const parsed = CqlType.parse(expected, (name) => name === "address" ? address : named(name))
      assert.deepStrictEqual(parsed, type)
    }
  })
})

describe("class names", () => {
  const marshal = "org.apache.cassandra.db.marshal."
  /** Short names made long ones. */
  const long = (short: string): string => short.replaceAll(/\b[A-Z]\w*Type\b/g, (name) => marshal + name)
  const hex = (value: string): string => Buffer.from(value).toString("hex")
  const addressName = `UserType(ks,${hex("address")},${hex("zip")}:Int32Type)`

  it("of every scalar type", () => {
    const names = Object.keys(CqlType.SCALAR_CODES) as Array<CqlType.ScalarName>
    const classes =
      "AsciiType LongType BytesType BooleanType CounterColumnType DecimalType DoubleType FloatType Int32Type TimestampType " +
      "UUIDType UTF8Type IntegerType TimeUUIDType InetAddressType SimpleDateType TimeType ShortType ByteType DurationType"
    assert.deepStrictEqual(names.map((name) => CqlType.className(CqlType.scalar(name))), classes.split(" ").map(long))
    for (const name of names) {
      assert.strictEqual(CqlType.fromClassName(CqlType.className(CqlType.scalar(name))), CqlType.scalar(name))
    }
    assert.strictEqual(CqlType.fromClassName(`${marshal}DateType`), CqlType.scalar("timestamp"))
  })

  it("are read as CQL types, and written as servers do", () => {
    const both: ReadonlyArray<[string, CqlType.CqlType]> = [
      ["ListType(Int32Type)", CqlType.list(int)],
      ["SetType(UTF8Type)", CqlType.set(text)],
      ["MapType(UTF8Type,ListType(Int32Type))", CqlType.map(text, CqlType.list(int))],
      ["TupleType(Int32Type,UTF8Type)", CqlType.tuple(int, text)],
      [addressName, address],
      ["VectorType(FloatType , 3)", CqlType.vector(CqlType.scalar("float"), 3)],
      ["ListType(VectorType(VectorType(Int32Type , 2) , 1))", CqlType.list(CqlType.vector(CqlType.vector(int, 2), 1))],
      [`UserType(ks,${hex('My "Type"')})`, quoted]
    ]
    for (const [name, type] of both) {
      assert.deepStrictEqual(CqlType.fromClassName(long(name)), type, name)
      assert.strictEqual(CqlType.className(type), long(name))
      // Without the package, too.
      assert.deepStrictEqual(CqlType.fromClassName(name), type, name)
    }
    const read: ReadonlyArray<[string, CqlType.CqlType]> = [
      ["FrozenType(ListType(FrozenType(SetType(Int32Type))))", CqlType.list(CqlType.set(int))],
      ["ReversedType(TimeUUIDType)", CqlType.scalar("timeuuid")],
      ["ReversedType(FrozenType(TupleType(Int32Type)))", CqlType.tuple(int)],
      // ScyllaDB's blanks, and none.
      ["VectorType(FloatType, 3)", CqlType.vector(CqlType.scalar("float"), 3)],
      ["VectorType(FloatType,3)", CqlType.vector(CqlType.scalar("float"), 3)],
      [" MapType ( Int32Type , UTF8Type ) ", CqlType.map(int, text)],
      [`FrozenType(${addressName})`, address]
    ]
    for (const [name, type] of read) assert.deepStrictEqual(CqlType.fromClassName(long(name)), type, name)
  })

  it("that mean no type of CQL are custom types, inside others, too", () => {
    const custom = (className: string): CqlType.CqlType => ({ _tag: "Custom", className })
    for (
      const name of [
        "CompositeType(Int32Type,UTF8Type)",
        "DynamicCompositeType(a=>AsciiType,b=>BytesType)",
        "LexicalUUIDType",
        "org.example.Own(whatever (it) is)",
        "",
        " ",
        "(",
        ")",
        "ListType",
        "ListType()",
        "ListType(Int32Type",
        "ListType(Int32Type))",
        "ListType(Int32Type,Int32Type)",
        "MapType(Int32Type)",
        "Int32Type(Int32Type)",
        "Int32Type x",
        "VectorType(FloatType)",
        "VectorType(FloatType , 0)",
        "VectorType(FloatType , -3)",
        "VectorType(FloatType , 3.5)",
        "VectorType(FloatType , 2147483648)",
        "UserType()",
        "UserType(ks)",
        "UserType(ks,61,6:Int32Type)",
        "UserType(ks,zz,61:Int32Type)",
        "UserType(ks,61,61)",
        "UserType(ks,61,62:Int32Type,62:UTF8Type)",
        "TupleType()",
        "org.example.Own(",
        "ListType(".repeat(7000),
        `${"ListType(".repeat(65)}Int32Type${")".repeat(65)}`
      ]
    ) {
      assert.deepStrictEqual(CqlType.fromClassName(long(name)), custom(long(name)), name)
    }
    assert.deepStrictEqual(
      CqlType.fromClassName(long("MapType(org.example.Own(a,(b)),CompositeType(Int32Type))")),
      CqlType.map(custom("org.example.Own(a,(b))"), custom(long("CompositeType(Int32Type)")))
    )
  })

  it("a dimension that none has is refused", () => {
    for (const dimension of [0, -1, 1.5, NaN, Infinity, 2 ** 31]) {
      assert.throws(() => CqlType.vector(int, dimension), RangeError, "dimension")
    }
  })

  it("stand for what a version has no code for, as Cassandra announces it", () => {
    const names = ["date", "time", "smallint", "tinyint", "duration", "int"] as const
    const announcedBy = (version: 3 | 4 | 5) =>
      names.filter((name) => CqlType.announced(CqlType.scalar(name), version)._tag === "Custom")
    assert.deepStrictEqual(announcedBy(3), ["date", "time", "smallint", "tinyint", "duration"])
    assert.deepStrictEqual(announcedBy(4), ["duration"])
    assert.deepStrictEqual(announcedBy(5), [])
    const date = CqlType.scalar("date")
    const nested = CqlType.map(
      text,
      CqlType.tuple(CqlType.udt("ks", "u", [{ name: "d", type: CqlType.set(date) }]), CqlType.list(date), int)
    )
    for (
      const type of [nested, CqlType.vector(date, 2), CqlType.list({ _tag: "Custom", className: "org.example.Own" })]
    ) {
      const w = new Writer.Writer()
      CqlType.write(w, CqlType.announced(type, 3))
      assert.isFalse(Buffer.from(w.toUint8Array()).includes(Buffer.from([0, CqlType.SCALAR_CODES.date])))
      // Read back, the class is the type again.
      assert.deepStrictEqual(CqlType.read(Reader.Reader.from(w.toUint8Array())), type)
    }
  })
})

describe("as Apache Cassandra 5 announces them", () => {
  for (const version of [3, 4, 5] as const) {
    it(`the metadata of all recorded results of v${version} is written again byte for byte`, () => {
      let results = 0
      const seen = new Set<CqlType.ScalarName>()
      const mode = modes.find((mode) => mode.version === version && mode.compression === undefined)!
      for (const { name, response } of [...golden(`cql-v${version}-cassandra-5.0.5`), ...captured(mode)]) {
        const frame = bytesOf(response!)
        if (frame[0] !== (0x80 | version) || frame[1]! % 2 === 1 || frame[4] !== Frame.Opcode.RESULT) continue
        const r = Reader.Reader.from(frame.subarray(Frame.HEADER_SIZE))
        Response.readPrefix(frame[1]!, r)
        if (r.i32() !== 2) continue
        const { decoder } = new RowDecoder.RowDecoders().prepare(r)
        if (decoder === undefined) continue
        const columns = decoder.columns.map((column) => {
          if (column.type._tag === "Scalar") seen.add(column.type.name)
          return { ...column, type: CqlType.announced(column.type, version) }
        })
        const w = new Writer.Writer()
        Metadata.writeResult(w, columns, { global: (decoder.signature[3]! & Metadata.Flags.GLOBAL_TABLES_SPEC) !== 0 })
        assert.deepStrictEqual(w.toUint8Array(), decoder.signature, name)
        results++
      }
      assert.isAbove(results, 10)
      for (const name of ["date", "time", "smallint", "tinyint", "duration"] as const) {
        assert.isTrue(seen.has(name), name)
      }
    })
  }
})

describe("on the wire", () => {
  it("a vector is a custom option of its class name, as in Cassandra and ScyllaDB", () => {
    const w = new Writer.Writer()
    CqlType.write(w, CqlType.list(CqlType.vector(CqlType.scalar("float"), 3)))
    const name = "org.apache.cassandra.db.marshal.VectorType(org.apache.cassandra.db.marshal.FloatType , 3)"
    assert.strictEqual(
      Buffer.from(w.toUint8Array()).toString("latin1"),
      `\0\u0020\0\0\0${String.fromCharCode(name.length)}${name}`
    )
  })

  const reader = (hex: string) => Reader.Reader.from(Buffer.from(hex, "hex"))
  it("text has two codes, duration a class name", () => {
    assert.strictEqual(CqlType.read(reader("000a")), text)
    assert.strictEqual(CqlType.read(reader("000d")), text)
    const w = new Writer.Writer()
    CqlType.write(w, { _tag: "Custom", className: "org.apache.cassandra.db.marshal.DurationType" })
    assert.strictEqual(CqlType.read(Reader.Reader.from(w.toUint8Array())), CqlType.scalar("duration"))
  })

  it("unknown codes, cut types and nesting without end fail typed", () => {
    for (
      const hex of [
        "",
        "00",
        "0016",
        "ffff",
        "0020",
        "00200020",
        "0021000d",
        "00300000",
        "0031ffff",
        "00310001",
        "003000000000ffff",
        // Two fields called a.
        "00300000000000020001610009000161000d"
      ]
    ) {
      assert.throws(() => CqlType.read(reader(hex)), ProtocolError.DecodeError, undefined, hex)
    }
    assert.throws(() => CqlType.read(reader("0020".repeat(100_000))), ProtocolError.DecodeError, "nested")
    assert.deepStrictEqual(
      CqlType.format(CqlType.read(reader(`${"0020".repeat(64)}0009`))),
      `${"list<".repeat(64)}int${">".repeat(64)}`
    )
  })
})

describe("isSame", () => {
  const field = (name: string, type: CqlType.CqlType): CqlType.UdtField => ({ name, type })
  const custom = (className: string): CqlType.CqlType => ({ _tag: "Custom", className })
  // Each is made anew, so that none is compared with itself.
  const types = (): ReadonlyArray<CqlType.CqlType> => [
    ...Object.keys(CqlType.SCALAR_CODES).map((name): CqlType.CqlType => ({
      _tag: "Scalar",
      name: name as CqlType.ScalarName
    })),
    CqlType.list(int),
    CqlType.list(text),
    CqlType.set(int),
    CqlType.map(int, text),
    CqlType.map(text, int),
    CqlType.tuple(int),
    CqlType.tuple(int, text),
    CqlType.tuple(text, int),
    CqlType.tuple(CqlType.tuple(int)),
    CqlType.vector(int, 2),
    CqlType.vector(int, 3),
    CqlType.vector(text, 2),
    CqlType.udt("ks", "address", []),
    CqlType.udt("ks", "address", [field("zip", int)]),
    CqlType.udt("ks", "address", [field("zip", text)]),
    CqlType.udt("ks", "address", [field("Zip", int)]),
    CqlType.udt("ks", "address", [field("zip", int), field("street", text)]),
    CqlType.udt("ks", "address", [field("street", text), field("zip", int)]),
    CqlType.udt("ks", "Address", [field("zip", int)]),
    CqlType.udt("ks2", "address", [field("zip", int)]),
    CqlType.udt("ks", "person", [field("home", CqlType.udt("ks", "address", [field("zip", int)]))]),
    CqlType.udt("ks", "person", [
      field("home", CqlType.udt("ks", "address", [field("zip", CqlType.scalar("bigint"))]))
    ]),
    CqlType.udt("ks", "person", [field("home", CqlType.list(int))]),
    custom("org.example.Type"),
    custom("org.example.Other"),
    // A class name says what is frozen, so there it counts.
    custom("org.example.Type(org.apache.cassandra.db.marshal.FrozenType(org.example.Inner))"),
    custom("org.example.Type(org.example.Inner)")
  ]
  const nested: ReadonlyArray<(type: CqlType.CqlType) => CqlType.CqlType> = [
    (type) => type,
    CqlType.list,
    CqlType.set,
    (type) => CqlType.map(type, int),
    (type) => CqlType.map(int, type),
    (type) => CqlType.tuple(int, type),
    (type) => CqlType.vector(type, 4),
    (type) => CqlType.udt("ks", "holder", [field("held", CqlType.list(type))])
  ]

  it("is true for a type made twice and for nothing else", () => {
    for (const [how, nest] of nested.entries()) {
      const [left, right] = [types().map(nest), types().map(nest)]
      for (const [i, a] of left.entries()) {
        for (const [j, b] of right.entries()) {
          assert.strictEqual(CqlType.isSame(a, b), i === j, `${how}: ${JSON.stringify(a)} and ${JSON.stringify(b)}`)
        }
      }
    }
  })

  it("tells apart what has one text: a type of another keyspace, or altered since", () => {
    const before = CqlType.list(CqlType.udt("ks", "address", [field("zip", int)]))
    const after = CqlType.list(CqlType.udt("ks", "address", [field("zip", int), field("city", text)]))
    const elsewhere = CqlType.list(CqlType.udt("other", "address", [field("zip", int)]))
    assert.strictEqual(CqlType.format(before), CqlType.format(after))
    assert.strictEqual(CqlType.format(before), CqlType.format(elsewhere))
    assert.isFalse(CqlType.isSame(before, after))
    assert.isFalse(CqlType.isSame(before, elsewhere))
  })

  it("sees one type behind its code and its class name, frozen or not", () => {
    const marshal = "org.apache.cassandra.db.marshal."
    const type = CqlType.map(text, CqlType.list(int))
    const frozen = `${marshal}FrozenType(${marshal}MapType(${marshal}UTF8Type,${marshal}FrozenType(` +
      `${marshal}ListType(${marshal}Int32Type))))`
    assert.isTrue(CqlType.isSame(CqlType.fromClassName(CqlType.className(type)), type))
    assert.isTrue(CqlType.isSame(CqlType.fromClassName(frozen), type))
    assert.isTrue(CqlType.isSame(CqlType.parse("frozen<map<text, frozen<list<int>>>>") as CqlType.CqlType, type))
  })
})
