/** Values of every type: written prepared, by hint and by guess, read back, and what is refused. */
import type { Case, Tools } from "../support/beside.ts"

type Make = (types: any) => unknown

interface Typed {
  readonly type: string
  /** Values that are well. */
  readonly values: ReadonlyArray<Make>
  /** Values of which some are taken and some are not. */
  readonly odd?: ReadonlyArray<Make>
  /** The hint, where it is another text than the type. */
  readonly hint?: string | ReadonlyArray<unknown>
}

const of = (...values: ReadonlyArray<unknown>): ReadonlyArray<Make> => values.map((value) => () => value)

const DATES = [
  new Date(0),
  new Date("1969-12-31T23:59:59.999Z"),
  new Date(8.64e15),
  new Date("2026-12-01T10:11:12.345Z")
]
const UUID = "123e4567-e89b-42d3-a456-426614174000"
const TIMEUUID = "7f3c1e00-8a1b-11ee-b9d1-0242ac120002"

const SCALARS: ReadonlyArray<Typed> = [
  {
    type: "int",
    values: of(0, 1, -1, 2147483647, -2147483648),
    odd: of("5", 1.5, 2147483648, "x", true, {}, Buffer.from([0, 0, 0, 9]), Buffer.alloc(0), 12n)
  },
  { type: "smallint", values: of(0, 32767, -32768), odd: of("7", 40000, 1.5, "x") },
  { type: "tinyint", values: of(0, 127, -128), odd: of("7", 200, "x") },
  {
    type: "bigint",
    values: [
      () => 5,
      (t) => t.Long.fromString("9223372036854775807"),
      (t) => t.Long.fromNumber(-1),
      () => "123456789012345678",
      () => -9007199254740991
    ],
    odd: [...of(1.5, 2 ** 60, "x", true, {}, 12n), (t) => t.Integer.fromNumber(4)]
  },
  {
    type: "text",
    values: of("", "plain", "žluťoučký kůň 🐎", "x".repeat(5000)),
    odd: of(1, true, {}, Buffer.from("abc"), Buffer.alloc(0))
  },
  { type: "ascii", values: of("", "plain"), odd: of(1, Buffer.from("abc")) },
  { type: "boolean", values: of(true, false), odd: of(1, 0, "", "x", {}) },
  {
    type: "double",
    values: of(0, -0, 1.5, Number.MAX_VALUE, Number.MIN_VALUE, NaN, Infinity, -Infinity),
    odd: of("1.25", "x", true, {})
  },
  { type: "float", values: of(0, 1.5, 0.1, NaN, Infinity), odd: of("1.25", "x", {}) },
  { type: "blob", values: of(Buffer.alloc(0), Buffer.from([0, 255, 1])), odd: of("0x00", 1, new Uint8Array([1, 2])) },
  {
    type: "timestamp",
    values: [
      ...of(...DATES),
      () => 12345,
      () => "2026-12-01T00:00:00Z",
      (t) => t.Long.fromString("9223372036854775807")
    ],
    odd: of(new Date(NaN), "x", {}, 1.5, 12n)
  },
  {
    type: "uuid",
    values: [() => UUID, (t) => t.Uuid.fromString(UUID)],
    odd: of("x", 1, {}, Buffer.alloc(16), Buffer.alloc(3))
  },
  {
    type: "timeuuid",
    values: [() => TIMEUUID, (t) => t.TimeUuid.fromString(TIMEUUID), (t) => t.Uuid.fromString(TIMEUUID)],
    odd: of("x", UUID, 1)
  },
  {
    type: "varint",
    values: [
      () => 5,
      () => "-170141183460469231731687303715884105729",
      (t) => t.Integer.fromString("123456789012345678901234567890")
    ],
    odd: of("x", 1.5, {}, 12n)
  },
  {
    type: "decimal",
    values: [() => 1.5, () => "-12345678901234567890.123456789", (t) => t.BigDecimal.fromString("0.001")],
    odd: of("x", {}, 12n)
  },
  {
    type: "inet",
    values: [() => "127.0.0.1", () => "2001:db8::ff00:42:8329", (t) => t.InetAddress.fromString("10.0.0.1")],
    odd: of("x", 1, Buffer.alloc(4))
  },
  {
    type: "date",
    values: [
      () => "2026-12-01",
      () => "0001-01-01",
      (t) => new t.LocalDate(2026, 2, 3),
      (t) => new t.LocalDate(-2147483648),
      (t) => new t.LocalDate(2147483647)
    ],
    odd: of("x", 1, {})
  },
  {
    type: "time",
    values: [() => "23:59:59.999999999", () => "00:00:00", (t) => t.LocalTime.fromString("10:11:12.13")],
    odd: of("x", 1, "25:00:00")
  },
  {
    type: "duration",
    values: [(t) => t.Duration.fromString("1mo2d3h"), (t) => new t.Duration(-1, -2, -3)],
    odd: of("1d", 1)
  }
]

const TYPES: ReadonlyArray<Typed> = [
  ...SCALARS,
  { type: "list<int>", values: of([1, 2, 3], []), odd: of([null], [undefined], "x", {}, [1, "x"], new Set([1])) },
  { type: "list<text>", values: of(["a", ""], ["b"]), odd: of([1]) },
  { type: "set<text>", values: of(["b", "a"], []), odd: of(new Set(["a"]), "x", [null]) },
  {
    type: "map<text, int>",
    values: of({ a: 1, b: 2 }, {}),
    odd: of(new Map([["a", 1]]), { a: null }, { a: undefined }, { a: "x" }, "x", 1)
  },
  { type: "map<uuid, timestamp>", values: of({ [UUID]: DATES[3] }) },
  { type: "map<int, frozen<list<bigint>>>", values: [(t) => ({ 1: [t.Long.fromNumber(5)], 2: [] })] },
  { type: "list<frozen<map<text, uuid>>>", values: of([{ a: UUID }]) },
  {
    type: "tuple<int, text, timestamp>",
    values: [(t) => new t.Tuple(1, "a", DATES[0]), (t) => new t.Tuple(1, null, null), (t) => new t.Tuple(1)],
    odd: [...of([1, "a"], {}), (t) => new t.Tuple("x", 1)],
    hint: "tuple<int,text,timestamp>"
  },
  {
    type: "frozen<address>",
    values: of({ street: "s", zip: 1, tags: ["a"] }, { street: "s" }, { zip: null }, {}),
    odd: of({ zip: "x" }, { other: 1 }, "x"),
    hint: "address"
  },
  { type: "list<frozen<address>>", values: of([{ street: "s", zip: 1, tags: [] }]), hint: "list<address>" },
  { type: "frozen<map<text, frozen<set<int>>>>", values: of({ a: [1, 2] }), hint: "map<text,set<int>>" }
]

const VECTORS: ReadonlyArray<Typed> = [
  {
    type: "vector<float, 3>",
    values: [(t) => new t.Vector([1.5, 2.5, -3], "float"), (t) => new t.Vector(new Float32Array([1, 2, 3]))],
    odd: [...of([1, 2, 3], new Float32Array([1, 2, 3])), (t) => new t.Vector([1, 2], "float")]
  },
  { type: "vector<text, 2>", values: [(t) => new t.Vector(["a", "bc"], "text")] },
  { type: "vector<int, 2>", values: [(t) => new t.Vector([1, 2], "int")] }
]

const tableOf = (type: string): string => `t_${type.replaceAll(/\W+/g, "_")}`

const shown = (make: Make): string => {
  const source = String(make)
  return source.length > 60 ? `${source.slice(0, 60)}…` : source
}

const read = async ({ client, ks }: Tools, type: string, key: string, options: object) => {
  const { columns, rows } = await client.execute(`SELECT v FROM ${ks}.${tableOf(type)} WHERE k = ?`, [key], options)
  return { columns, rows }
}

const casesOf = ({ hint, odd = [], type, values }: Typed): ReadonlyArray<Case> => {
  const insert = (ks: string) => `INSERT INTO ${ks}.${tableOf(type)} (k, v) VALUES (?, ?)`
  const all = [...values, ...odd]
  return [
    ...all.map((make, i): Case => ({
      name: `${type}: value ${i} prepared, ${shown(make)}`,
      run: async (tools) => {
        const { client, ks, types } = tools
        await client.execute(insert(ks), [`p${i}`, make(types)], { prepare: true })
        return read(tools, type, `p${i}`, { prepare: true })
      }
    })),
    ...all.map((make, i): Case => ({
      name: `${type}: value ${i} by hint`,
      run: async (tools) => {
        const { client, ks, types } = tools
        await client.execute(insert(ks), [`h${i}`, make(types)], { hints: ["text", hint ?? type] })
        return read(tools, type, `h${i}`, {})
      }
    })),
    ...all.map((make, i): Case => ({
      name: `${type}: value ${i} by guess`,
      run: async (tools) => {
        const { client, ks, types } = tools
        await client.execute(insert(ks), [`g${i}`, make(types)])
        return read(tools, type, `g${i}`, {})
      }
    })),
    {
      name: `${type}: null, undefined and unset`,
      run: async (tools) => {
        const { client, ks, types } = tools
        const found = []
        for (const [i, value] of [null, undefined, types.unset].entries()) {
          const key = `n${i}`
          await client.execute(insert(ks), [key, values[0]!(types)], { prepare: true })
          await client.execute(insert(ks), [key, value], { prepare: true })
          found.push(await read(tools, type, key, { prepare: true }))
        }
        return found
      }
    }
  ]
}

/** One table for each type. */
export const tables = (withVectors: boolean): ReadonlyArray<string> =>
  [...TYPES, ...withVectors ? VECTORS : []].map(({ type }) =>
    `CREATE TABLE ${tableOf(type)} (k text PRIMARY KEY, v ${type})`
  )

export const typeCases = (withVectors: boolean): ReadonlyArray<Case> => [
  ...[...TYPES, ...withVectors ? VECTORS : []].flatMap(casesOf),
  ...["int", "bigint", "uuid", "timestamp", "boolean", "double", "date", "inet", "decimal", "varint", "text", "blob"]
    .map((type): Case => ({
      name: `${type}: no bytes at all`,
      run: async (tools) => {
        const { client, ks } = tools
        await client.execute(`INSERT INTO ${ks}.${tableOf(type)} (k, v) VALUES ('e', ?)`, [Buffer.alloc(0)], {
          prepare: true
        })
        return read(tools, type, "e", { prepare: true })
      }
    })),
  ...([
    ["useBigIntAsLong", { useBigIntAsLong: true }, "bigint", [5n, -1n, 9223372036854775807n, "7", 5]],
    ["useBigIntAsVarint", { useBigIntAsVarint: true }, "varint", [
      5n,
      -170141183460469231731687303715884105729n,
      "7",
      0n,
      -1n,
      127n,
      128n,
      5
    ]],
    ["useBigIntAsLong, timestamps", { useBigIntAsLong: true }, "timestamp", [DATES[3], 5, "2026-12-01T00:00:00Z"]],
    ["map: Map", { map: Map }, "map<text, int>", [new Map([["a", 1]]), { a: 1 }]],
    ["set: Set", { set: Set }, "set<text>", [new Set(["a", "b"]), ["c"]]],
    ["useUndefinedAsUnset: false", { useUndefinedAsUnset: false }, "int", [undefined, 1]],
    ["copyBuffer: false", { copyBuffer: false }, "blob", [Buffer.from([1, 2, 3])]]
  ] as ReadonlyArray<readonly [string, object, string, ReadonlyArray<unknown>]>).flatMap((
    [name, encoding, type, values]
  ) =>
    values.map((value, i): Case => ({
      name: `encoding.${name}: value ${i}`,
      run: async (tools) => {
        const client = tools.make({ encoding })
        const { ks } = tools
        await client.execute(`INSERT INTO ${ks}.${tableOf(type)} (k, v) VALUES (?, ?)`, [`enc${name}${i}`, value], {
          prepare: true
        })
        return read({ ...tools, client }, type, `enc${name}${i}`, { prepare: true })
      }
    }))
  )
]
