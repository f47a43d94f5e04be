import { assert, describe, it } from "@effect/vitest"
import * as TabletMap from "../src/TabletMap.ts"
import { fromBigInt, maximum, minimum, TokenWords } from "../src/Token.ts"
import { Random } from "./support/random.ts"

const words = new TokenWords()
const table = "ks.t"

const on = (...hosts: Array<string>): Array<TabletMap.TabletReplica> => hosts.map((host, shard) => ({ host, shard }))

const find = (map: TabletMap.TabletMap, token: bigint, name = table): TabletMap.Tablet | undefined => {
  fromBigInt(token, words)
  return map.find(name, words.hi, words.lo)
}

const state = (map: TabletMap.TabletMap, token: bigint, name = table): TabletMap.TabletState => {
  fromBigInt(token, words)
  return map.state(name, words.hi, words.lo)
}

const ranges = (map: TabletMap.TabletMap, name = table): Array<readonly [bigint, bigint]> =>
  map.tablets(name).map(({ first, last }) => [first, last])

const mapOf = (list: ReadonlyArray<readonly [number, number]>): TabletMap.TabletMap => {
  const map = TabletMap.make()
  for (const [first, last] of list) map.add(table, { first: BigInt(first), last: BigInt(last), replicas: on("a") })
  return map
}

describe("TabletMap", () => {
  it("a range excludes its first token and includes its last", () => {
    const map = mapOf([[-10, 5]])
    assert.deepStrictEqual(
      [-11n, -10n, -9n, 0n, 5n, 6n].map((token) => find(map, token) !== undefined),
      [false, false, true, true, true, false]
    )
  })

  it("covers the whole ring, at its edges", () => {
    const map = TabletMap.make()
    map.add(table, { first: minimum, last: maximum, replicas: on("a") })
    assert.isUndefined(find(map, minimum))
    for (const token of [minimum + 1n, -1n, 0n, 1n, maximum]) assert.deepStrictEqual(find(map, token)?.last, maximum)
    const tablet = find(map, 0n)
    assert.deepStrictEqual([tablet?.first, tablet?.last, tablet?.version], [minimum, maximum, undefined])
  })

  it("tells a table without tablets, an unknown range and a known one apart", () => {
    const map = TabletMap.make()
    assert.strictEqual(state(map, 0n), "NotTabletTable")
    assert.isFalse(map.isTabletTable(table))
    assert.isUndefined(find(map, 0n))
    assert.deepInclude(map, { hits: 0, misses: 0 })

    map.markTabletTable(table)
    assert.strictEqual(state(map, 0n), "Unknown")
    assert.isTrue(map.isTabletTable(table))
    assert.isUndefined(find(map, 0n))
    assert.deepInclude(map, { hits: 0, misses: 1 })

    map.add(table, { first: -1n, last: 1n, replicas: on("a", "b") })
    assert.strictEqual(state(map, 0n), "Known")
    assert.deepStrictEqual(find(map, 0n)?.replicas, on("a", "b"))
    assert.strictEqual(state(map, 2n), "Unknown")
    assert.deepInclude(map, { hits: 1, misses: 1 })
    // Marking again forgets nothing.
    map.markTabletTable(table)
    assert.strictEqual(map.size, 1)
    assert.strictEqual(state(map, 0n, "ks.other"), "NotTabletTable")
  })

  describe("replaces whatever a new tablet overlaps", () => {
    const three: ReadonlyArray<readonly [number, number]> = [
      [-2_000_000, -1_800_001],
      [-1_800_000, -1_600_001],
      [-1_600_000, -1_400_000]
    ]
    const cases: ReadonlyArray<
      readonly [
        name: string,
        before: ReadonlyArray<readonly [number, number]>,
        added: readonly [number, number],
        after: ReadonlyArray<readonly [number, number]>
      ]
    > = [
      ["a smaller one leaves holes", three, [-1_750_000, -1_650_000], [
        [-2_000_000, -1_800_001],
        [-1_750_000, -1_650_000],
        [-1_600_000, -1_400_000]
      ]],
      ["over the end of one and the start of the next", three, [-1_700_000, -1_500_000], [
        [-2_000_000, -1_800_001],
        [-1_700_000, -1_500_000]
      ]],
      ["over all of them", three, [-3_000_000, 0], [[-3_000_000, 0]]],
      ["the same range", three, [-1_800_000, -1_600_001], three],
      ["over the first", three, [-3_000_000, -1_900_000], [[-3_000_000, -1_900_000], ...three.slice(1)]],
      ["over the last", three, [-1_500_000, 5], [...three.slice(0, 2), [-1_500_000, 5]]],
      ["between two, touching both", [[0, 10], [20, 30]], [10, 20], [[0, 10], [10, 20], [20, 30]]],
      ["one token into the left one", [[0, 10], [20, 30]], [9, 20], [[9, 20], [20, 30]]],
      ["one token into the right one", [[0, 10], [20, 30]], [10, 21], [[0, 10], [10, 21]]],
      ["a split: the left half", [[0, 100]], [0, 50], [[0, 50]]],
      ["a split: the right half", [[0, 100]], [50, 100], [[50, 100]]],
      ["a merge", [[0, 50], [50, 100]], [0, 100], [[0, 100]]],
      ["before all", [[0, 10]], [-10, 0], [[-10, 0], [0, 10]]],
      ["after all", [[0, 10]], [10, 20], [[0, 10], [10, 20]]]
    ]
    for (const [name, before, [first, last], after] of cases) {
      it(`case: ${name}`, () => {
        const map = mapOf(before)
        const replicas = on("new")
        assert.isTrue(map.add(table, { first: BigInt(first), last: BigInt(last), replicas }))
        assert.deepStrictEqual(ranges(map), after.map(([a, b]) => [BigInt(a), BigInt(b)]))
        assert.strictEqual(map.size, after.length)
        assert.strictEqual(find(map, BigInt(last))?.replicas, replicas)
      })
    }
  })

  it("refuses ranges that are none, and still knows that the table has tablets", () => {
    const map = TabletMap.make()
    for (
      const [first, last] of [[5n, 5n], [5n, 4n], [maximum, minimum], [minimum - 1n, 0n], [0n, maximum + 1n]] as const
    ) assert.isFalse(map.add(table, { first, last, replicas: on("a") }))
    assert.strictEqual(map.size, 0)
    assert.isTrue(map.isTabletTable(table))
  })

  it("a tablet without replicas makes its range unknown", () => {
    const map = mapOf([[0, 10], [10, 20]])
    assert.isFalse(map.add(table, { first: 5n, last: 10n, replicas: [] }))
    assert.deepStrictEqual(ranges(map), [[10n, 20n]])
    assert.strictEqual(map.size, 1)
  })

  it("agrees with a list of intervals, whatever happens", () => {
    interface Interval {
      readonly first: bigint
      readonly last: bigint
      readonly replicas: ReadonlyArray<TabletMap.TabletReplica>
    }
    const random = new Random(50)
    const hosts = ["a", "b", "c", "d"]
    const names = ["ks.t", "ks.u", "ks2.t", "k.s"]
    for (let round = 0; round < 60; round++) {
      const map = TabletMap.make()
      const naive = new Map<string, Array<Interval>>()
      // Few coordinates, so that ranges touch, nest and repeat; in every other round around the limits of the words.
      const base = [0n, minimum, maximum - 40n, 1n << 32n, -(1n << 31n)][round % 5]!
      const coordinate = () => base + BigInt(random.below(41)) * (round % 5 === 0 ? 1n << 57n : 1n)
      for (let step = 0; step < 150; step++) {
        const name = names[random.below(names.length)]!
        const what = random.below(40)
        if (what === 0) {
          map.dropTable(name)
          naive.delete(name)
        } else if (what === 1) {
          map.dropKeyspace("ks")
          naive.delete("ks.t")
          naive.delete("ks.u")
        } else if (what === 2) {
          const host = hosts[random.below(4)]!
          map.dropHost(host)
          for (const [key, list] of naive) {
            naive.set(key, list.filter(({ replicas }) => replicas.every((replica) => replica.host !== host)))
          }
        } else if (what === 3) {
          map.forget(name)
          if (naive.has(name)) naive.set(name, [])
        } else if (what === 4) {
          map.markTabletTable(name)
          if (!naive.has(name)) naive.set(name, [])
        } else {
          const [first, last] = [coordinate(), coordinate()]
          const replicas = on(hosts[random.below(4)]!, hosts[random.below(4)]!)
          const valid = first < last && last <= maximum
          assert.strictEqual(map.add(name, { first, last, replicas }), valid)
          const list = naive.get(name) ?? []
          naive.set(
            name,
            valid
              ? [...list.filter((other) => other.last <= first || other.first >= last), { first, last, replicas }]
              : list
          )
        }
        if (step % 10 !== 0) continue
        assert.strictEqual(map.size, Array.from(naive.values()).reduce((sum, list) => sum + list.length, 0))
        for (const asked of names) {
          const list = naive.get(asked)
          for (let i = 0; i < 15; i++) {
            const token = BigInt.asIntN(64, coordinate() + BigInt(random.below(3) - 1))
            const expected = list?.find(({ first, last }) => first < token && token <= last)
            assert.strictEqual(find(map, token, asked)?.replicas, expected?.replicas)
            assert.strictEqual(
              state(map, token, asked),
              list === undefined ? "NotTabletTable" : expected === undefined ? "Unknown" : "Known"
            )
          }
        }
      }
    }
  })

  it("drops by table, keyspace and host", () => {
    const map = TabletMap.make()
    for (const name of ["a.t", "a.u", "ab.t"]) {
      map.add(name, { first: 0n, last: 10n, replicas: on("x", "y") })
      map.add(name, { first: 10n, last: 20n, replicas: on("y", "z") })
    }
    map.dropTable("a.t")
    map.dropTable("a.t")
    assert.deepStrictEqual(["a.t", "a.u", "ab.t"].map((name) => map.isTabletTable(name)), [false, true, true])
    map.dropHost("x")
    assert.deepStrictEqual(ranges(map, "a.u"), [[10n, 20n]])
    assert.deepStrictEqual([state(map, 5n, "a.u"), state(map, 15n, "a.u")], ["Unknown", "Known"])
    map.dropKeyspace("a")
    assert.deepStrictEqual(["a.u", "ab.t"].map((name) => map.isTabletTable(name)), [false, true])
    assert.deepInclude({ size: map.size, tables: map.tableCount }, { size: 1, tables: 1 })
    map.forget("ab.t")
    map.forget("none")
    assert.deepInclude({ size: map.size, tables: map.tableCount }, { size: 0, tables: 1 })
    assert.deepStrictEqual(map.tablets("none"), [])
  })

  describe("is bounded", () => {
    const fill = (map: TabletMap.TabletMap, name: string, count: number, from = 0): void => {
      for (let i = from; i < from + count; i++) {
        map.add(name, { first: BigInt(i), last: BigInt(i + 1), replicas: on("a") })
      }
    }

    it("the least recently used table forgets its tablets, and stays a tablet table", () => {
      const map = TabletMap.make({ maxTablets: 9 })
      for (const name of ["ks.a", "ks.b", "ks.c"]) fill(map, name, 3)
      assert.isDefined(find(map, 1n, "ks.a"))
      fill(map, "ks.d", 1)
      assert.deepStrictEqual(
        ["ks.a", "ks.b", "ks.c", "ks.d"].map((name) => map.tablets(name).length),
        [3, 0, 3, 1]
      )
      assert.deepInclude(map, { evictions: 3 })
      assert.strictEqual(map.size, 7)
      assert.strictEqual(state(map, 1n, "ks.b"), "Unknown")
    })

    it("one table alone gives up one tablet at a time", () => {
      const map = TabletMap.make({ maxTablets: 10 })
      fill(map, table, 25)
      assert.strictEqual(map.size, 10)
      assert.strictEqual(map.tablets(table).length, 10)
      assert.strictEqual(map.evictions, 15)
      assert.strictEqual(state(map, 25n), "Known")
    })

    it("a replacement needs no room", () => {
      const map = TabletMap.make({ maxTablets: 4 })
      fill(map, table, 4)
      map.add(table, { first: 0n, last: 3n, replicas: on("b") })
      assert.deepStrictEqual([map.size, map.evictions], [2, 0])
    })

    it("holds the bound and the order for any sequence", () => {
      const random = new Random(51)
      const map = TabletMap.make({ maxTablets: 12 })
      for (let i = 0; i < 5_000; i++) {
        const first = BigInt(random.below(60))
        const name = random.below(3) === 0 ? "ks.a" : "ks.b"
        const last = first + 1n + BigInt(random.below(4))
        map.add(name, { first, last, replicas: on("a") })
        assert.isAtMost(map.size, 12)
        assert.strictEqual(map.size, map.tablets("ks.a").length + map.tablets("ks.b").length)
        assert.strictEqual(state(map, last, name), "Known")
        const list = ranges(map, name)
        list.forEach(([first], i) => assert.isTrue(i === 0 || list[i - 1]![1] <= first))
      }
      assert.isAbove(map.evictions, 0)
    })

    it("has a default, and at least room for one", () => {
      assert.strictEqual(TabletMap.make().maxTablets, 65_536)
      for (const maxTablets of [0, -1, Number.NaN]) assert.strictEqual(TabletMap.make({ maxTablets }).maxTablets, 1)
    })
  })

  it("keeps the version's eight bytes, and gives the block that an EXECUTE ends with", () => {
    const map = TabletMap.make()
    const version = BigInt.asIntN(64, 0xfedcba9876543210n)
    map.add(table, { first: 0n, last: 1n, replicas: on("a"), version })
    const tablet = find(map, 1n)!
    assert.strictEqual(tablet.version, version)
    assert.deepStrictEqual(
      Array.from({ length: 16 }, (_, index) => tablet.versionBlock(index)),
      Array.from({ length: 16 }, (_, index) => (index << 4) | index)
    )
    map.add(table, { first: 0n, last: 1n, replicas: on("a") })
    assert.strictEqual(find(map, 1n)?.versionBlock(3), -1)
  })
})
