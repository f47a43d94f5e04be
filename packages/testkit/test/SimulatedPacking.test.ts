/** Rows that were not looked at for long are packed: nothing of that is to be seen. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Random } from "../../../test/support/random.ts"
import { type Cell, Complex, NEVER } from "../src/internal/sim/storage/cells.ts"
import { clusteringOf, pack, type RowState, unpack } from "../src/internal/sim/storage/packing.ts"
import { client, ok, read } from "./statements.ts"

const bytes = (random: Random, most: number): Uint8Array =>
  Uint8Array.from({ length: random.below(most + 1) }, () => random.below(256))

const time = (random: Random): bigint =>
  [0n, -1n, NEVER + 1n, 2n ** 63n - 1n, 1_700_000_000_000_000n + BigInt(random.below(3))][random.below(5)]!

const cell = (random: Random): Cell => {
  const value = random.below(5) === 0 ? null : bytes(random, 300)
  const isExpiring = random.below(3) === 0
  return {
    value,
    timestamp: time(random),
    expires: isExpiring ? 4e12 + random.below(1000) : 0,
    ttl: isExpiring ? random.below(2 ** 31) : 0
  }
}

const complex = (random: Random): Complex => {
  const out = new Complex()
  if (random.below(2) === 0) out.deletedAt = time(random)
  for (let left = random.below(4); left > 0; left--) {
    out.paths.push(bytes(random, 20))
    out.cells.push(cell(random))
  }
  return out
}

const state = (random: Random): RowState => ({
  clustering: Array.from({ length: random.below(4) }, () => bytes(random, 200)),
  cells: Array.from(
    { length: random.below(6) },
    () => [undefined, cell(random), complex(random)][random.below(3)]
  ),
  marker: random.below(2) === 0 ? undefined : cell(random),
  deletedAt: random.below(2) === 0 ? NEVER : time(random)
})

/** As it is compared: arrays of bytes as numbers. */
const shown = (of: RowState): string =>
  JSON.stringify(
    of,
    (_, value: unknown) =>
      typeof value === "bigint" ? `${value}n` : value instanceof Uint8Array ? [...value] : value ?? null
  )

describe("packed rows", () => {
  it("are what they were", () => {
    const random = new Random(16)
    for (let i = 0; i < 2000; i++) {
      const row = state(random)
      const packed = pack(row)
      assert.isDefined(packed)
      assert.strictEqual(shown(unpack(packed)), shown(row))
      assert.strictEqual(shown({ ...row, clustering: clusteringOf(packed) }), shown(row))
    }
  })

  it("are not of many bytes", () => {
    const long = {
      ...state(new Random(1)),
      clustering: [],
      marker: { ...cell(new Random(2)), value: new Uint8Array(20_000) }
    }
    assert.isUndefined(pack(long))
    assert.isDefined(pack(state(new Random(3))))
  })

  it.effect("are read, changed and deleted behind thousands of others", () =>
    Effect.gen(function*() {
      const c = yield* client(
        "CREATE TABLE t (p int, c int, st text static, v text, l list<int>, PRIMARY KEY (p, c))",
        "CREATE TABLE n (p int PRIMARY KEY, n counter)",
        `INSERT INTO t (p, c, v) VALUES (3, 1, '${"x".repeat(20_000)}')`
      )
      const one = (i: number) =>
        Effect.andThen(
          ok(c, `INSERT INTO t (p, c, st, v, l) VALUES (${i % 2}, ${i}, 's${i}', 'v${i}', [${i}]) USING TIMESTAMP 1`),
          ok(c, `UPDATE n SET n = n + ${i} WHERE p = ${i % 700}`)
        )
      for (let i = 0; i < 2000; i++) yield* one(i)
      // All were written at one time, so the greatest value is that of the static column.
      assert.deepStrictEqual(yield* read(c, "SELECT st, v, l FROM t WHERE p = 0 AND c = 4"), ["s998 v4 4"])
      yield* ok(c, "UPDATE t USING TIMESTAMP 2 SET l = l + [7], v = 'w' WHERE p = 0 AND c = 4")
      yield* ok(c, "DELETE FROM t USING TIMESTAMP 2 WHERE p = 0 AND c > 4 AND c < 1996")
      assert.deepStrictEqual(yield* read(c, "SELECT c, v, l FROM t WHERE p = 0"), [
        "0 v0 0",
        "2 v2 2",
        "4 w 4,7",
        "1996 v1996 1996",
        "1998 v1998 1998"
      ])
      assert.deepStrictEqual(yield* read(c, "SELECT count(*) FROM t"), ["1006"])
      assert.deepStrictEqual(yield* read(c, "SELECT n FROM n WHERE p = 5"), [String(5 + 705 + 1405)])
      const [long] = yield* read(c, "SELECT v FROM t WHERE p = 3")
      assert.strictEqual(long!.length, 20_000)
    }))
})
