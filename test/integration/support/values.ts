/** A value of every type, and whether a row holds them. */
import { Uuid, Value } from "@effect-scylla/protocol"
import { assert } from "@effect/vitest"
import { BigDecimal } from "effect"

/** Columns by name: the type, and a value of it. */
export type Columns = Readonly<Record<string, readonly [type: string, value: unknown]>>

export const scalars: Columns = {
  a: ["ascii", "plain"],
  b: ["bigint", -9223372036854775808n],
  c: ["blob", new Uint8Array([0, 255, 1])],
  d: ["boolean", true],
  e: ["date", new Value.LocalDate(-1)],
  f: ["decimal", BigDecimal.fromStringUnsafe("-12345678901234567890.123456789")],
  g: ["double", Math.PI],
  h: ["duration", new Value.CqlDuration(-1, -2, -3n)],
  i: ["float", -0.5],
  j: ["inet", Value.Inet.parse("2001:db8::ff00:42:8329")],
  k: ["int", -2147483648],
  l: ["smallint", 32767],
  m: ["text", "žluťoučký kůň 🐎"],
  n: ["time", Value.LocalTime.parse("23:59:59.999999999")],
  o: ["timestamp", new Date("1969-12-31T23:59:59.999Z")],
  p: ["timeuuid", Uuid.fromTimestamp(1_700_000_000_000)],
  q: ["tinyint", -128],
  r: ["uuid", Uuid.random()],
  s: ["varint", -170141183460469231731687303715884105729n]
}

/** Without user-defined types, which have to be created. */
export const collections: Columns = {
  list_of: ["list<int>", [3, 1, 2]],
  set_of: ["set<date>", new Set([new Value.LocalDate(3)])],
  map_of: ["map<text, bigint>", new Map([["x", 1n], ["y", -2n]])],
  pair_of: ["tuple<smallint, text>", [7, null]],
  deep: ["map<int, frozen<list<frozen<tuple<tinyint, text>>>>>", new Map([[1, [[1, "a"], [2, "b"]]]])]
}

/** Only Apache Cassandra 5 has them, as far as suites here are concerned. */
export const vectors: Columns = {
  near: ["vector<float, 3>", new Float32Array([0.5, -1, 2])],
  far: ["vector<text, 2>", ["one", ""]]
}

/** `name type, name type` */
export const definitions = (columns: Columns): string =>
  Object.entries(columns).map(([name, [type]]) => `${name} ${type}`).join(", ")

export const valuesOf = (columns: Columns): ReadonlyArray<unknown> => Object.values(columns).map(([, value]) => value)

export const assertRow = (row: Readonly<Record<string, unknown>> | undefined, columns: Columns): void => {
  for (const [name, [type, value]] of Object.entries(columns)) {
    const got = row?.[name]
    if (BigDecimal.isBigDecimal(value)) {
      assert.isTrue(BigDecimal.isBigDecimal(got) && BigDecimal.equals(got, value), `${name} ${type}`)
    } else assert.deepStrictEqual(got, value, `${name} ${type}`)
  }
}
