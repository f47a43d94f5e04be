import { CqlType, ProtocolError, Reader, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"

const int = CqlType.scalar("int")
const text = CqlType.scalar("text")
const address = CqlType.udt("ks", "address", [{ name: "zip", type: int }])
const named = (name: string): CqlType.CqlType => CqlType.udt("ks", name, [])
const quoted = named('My "Type"')

const resolve = (name: string): CqlType.CqlType | undefined =>
  name === "address" ? address : name === 'My "Type"' || name === "int" ? named(name) : undefined

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
    // Quoted, it is never a built-in type.
    ['"int"', named("int")],
    ["'org.example.It''s'", { _tag: "Custom", className: "org.example.It's" }],
    ["'org.apache.cassandra.db.marshal.DurationType'", CqlType.scalar("duration")],
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
      "vector<float, 3>",
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

describe("on the wire", () => {
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
        "003000000000ffff"
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
