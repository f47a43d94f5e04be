import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as SourcePort from "../src/SourcePort.ts"
import { Random } from "./support/random.ts"

const ports = (options: SourcePort.SourcePortOptions): Array<number> =>
  Array.from(Result.getOrThrow(SourcePort.iterate(options)))

const naive = (nrShards: number, shard: number, from: number, to: number): Array<number> => {
  const found: Array<number> = []
  for (let port = from; port <= to; port++) if (port % nrShards === shard) found.push(port)
  return found
}

describe("SourcePort", () => {
  it("gives each port of each residue exactly once, whatever range and pivot", () => {
    const random = new Random(10)
    for (let i = 0; i < 300; i++) {
      const from = 1 + random.below(65535)
      const to = from + random.below(Math.min(2_000, 65536 - from))
      const nrShards = 1 + random.below(random.below(2) === 0 ? 100 : 3_000)
      const all: Array<number> = []
      for (let shard = 0; shard < nrShards; shard++) {
        const given = ports({ nrShards, shard, from, to, pivot: random.u32() / 2 ** 32 })
        all.push(...given)
        assert.isTrue(given.every((port) => port % nrShards === shard))
      }
      assert.deepStrictEqual(all.sort((a, b) => a - b), Array.from({ length: to - from + 1 }, (_, i) => from + i))
    }
  })

  it("starts at the pivot, goes up, and comes round once", () => {
    const random = new Random(11)
    for (let i = 0; i < 300; i++) {
      const nrShards = 1 + random.below(64)
      const shard = random.below(nrShards)
      const pivot = random.u32() / 2 ** 32
      const expected = naive(nrShards, shard, 50_000, 50_500)
      const start = Math.floor(pivot * expected.length)
      assert.deepStrictEqual(
        ports({ nrShards, shard, from: 50_000, to: 50_500, pivot }),
        [...expected.slice(start), ...expected.slice(0, start)]
      )
    }
  })

  it("defaults to the dynamic ports 49152..65535", () => {
    assert.deepStrictEqual(ports({ nrShards: 1, shard: 0, pivot: 0 }), naive(1, 0, 49152, 65535))
    // 16384 ports over 60 shards: four shards have 274, the others 273.
    const counts = Array.from({ length: 60 }, (_, shard) => ports({ nrShards: 60, shard, pivot: 0.99 }).length)
    assert.strictEqual(counts.filter((count) => count === 273).length, 56)
    assert.strictEqual(counts.filter((count) => count === 274).length, 4)
  })

  it("iterates anew each time", () => {
    const iterable = Result.getOrThrow(
      SourcePort.iterate({ nrShards: 8, shard: 3, from: 50000, to: 50020, pivot: 0.5 })
    )
    assert.deepStrictEqual(Array.from(iterable), [50011, 50019, 50003])
    assert.deepStrictEqual(Array.from(iterable), [50011, 50019, 50003])
  })

  it("is empty when the range misses the residue", () => {
    assert.deepStrictEqual(ports({ nrShards: 100, shard: 99, from: 50_000, to: 50_010, pivot: 0.5 }), [])
    assert.deepStrictEqual(ports({ nrShards: 65535, shard: 0, pivot: 0 }), [65535])
  })

  it("a cursor says its size and stays at the end", () => {
    const cursor = Result.getOrThrow(
      SourcePort.PortCursor.make({ nrShards: 8, shard: 3, from: 50000, to: 50020, pivot: 0 })
    )
    assert.strictEqual(cursor.size, 3)
    assert.deepStrictEqual(Array.from({ length: 6 }, () => cursor.next()), [50003, 50011, 50019, -1, -1, -1])
    const empty = Result.getOrThrow(SourcePort.PortCursor.make({ nrShards: 9, shard: 0, from: 2, to: 3, pivot: 0.9 }))
    assert.strictEqual(empty.size, 0)
    assert.strictEqual(empty.next(), -1)
  })

  it("refuses what is no range, and says why", () => {
    const valid = { nrShards: 8, shard: 0, from: 50_000, to: 50_010, pivot: 0 }
    const cases: ReadonlyArray<readonly [Partial<SourcePort.SourcePortOptions>, string, string]> = [
      [{ nrShards: 0 }, "NrShards", "SCYLLA_NR_SHARDS"],
      [{ nrShards: 65536 }, "NrShards", "65536"],
      [{ shard: 8 }, "Shard", "from 0 to 7, got 8"],
      [{ shard: -1 }, "Shard", "got -1"],
      [{ shard: 0.5 }, "Shard", "got 0.5"],
      [{ from: 0 }, "Range", "0..50010"],
      [{ to: 65536 }, "Range", "50000..65536"],
      [{ from: 50_011 }, "Range", "50011..50010"],
      [{ to: Number.NaN }, "Range", "NaN"],
      [{ pivot: 1 }, "Pivot", "got 1"],
      [{ pivot: -0.1 }, "Pivot", "got -0.1"],
      [{ pivot: Number.NaN }, "Pivot", "got NaN"]
    ]
    for (const [change, reason, text] of cases) {
      const made = SourcePort.iterate({ ...valid, ...change })
      if (Result.isSuccess(made)) assert.fail(`accepted ${JSON.stringify(change)}`)
      assert.strictEqual(made.failure._tag, "SourcePortError")
      assert.strictEqual(made.failure.reason, reason)
      assert.include(made.failure.message, text)
    }
  })
})

describe("SourcePort.share", () => {
  it("shares are disjoint, cover the range and differ by one port at most", () => {
    const random = new Random(70)
    for (let i = 0; i < 200; i++) {
      const from = 1 + random.below(60_000)
      const range = { from, to: from + random.below(65_536 - from) }
      const size = range.to - range.from + 1
      const count = 1 + random.below(Math.min(size, 200))
      const shares = Array.from({ length: count }, (_, index) => SourcePort.share(index, count, range)!)
      assert.strictEqual(shares[0]!.from, range.from)
      assert.strictEqual(shares.at(-1)!.to, range.to)
      shares.forEach(({ from, to }, index) => {
        if (index > 0) assert.strictEqual(from, shares[index - 1]!.to + 1)
        assert.isTrue(Math.abs(to - from + 1 - size / count) < 1)
      })
    }
  })

  it("has the default range, and none for what is no share", () => {
    assert.deepStrictEqual(SourcePort.share(1, 4), { from: 53_248, to: 57_343 })
    const cases: ReadonlyArray<readonly [number, number, SourcePort.PortRange?]> = [
      [4, 4],
      [-1, 4],
      [0, 0],
      [0.5, 2],
      [0, 3, { from: 10, to: 11 }],
      [0, 1, { from: 0, to: 11 }],
      [0, 1, { from: 11, to: 10 }],
      [0, 1, { from: 11, to: 65_536 }]
    ]
    for (const [index, count, range] of cases) assert.isUndefined(SourcePort.share(index, count, range))
  })
})

describe("SourcePort.RecentPorts", () => {
  const walk = (recent: SourcePort.RecentPorts, now: number, pivot = 0) =>
    ports({ nrShards: 10, shard: 0, from: 50_000, to: 50_050, pivot, recent, now })

  it("recently closed ports come last, the one closed first before the others", () => {
    const recent = new SourcePort.RecentPorts(1_000)
    recent.close(50_010, 300)
    recent.close(50_000, 100)
    recent.close(50_050, 200)
    assert.deepStrictEqual(walk(recent, 400), [50_020, 50_030, 50_040, 50_000, 50_050, 50_010])
    assert.deepStrictEqual(walk(recent, 400, 0.5), [50_030, 50_040, 50_020, 50_000, 50_050, 50_010])
    // Their time is over at 1100, 1200 and 1300.
    assert.deepStrictEqual(
      walk(recent, 1_199),
      [50_000, 50_020, 50_030, 50_040, 50_050, 50_010].toSpliced(4, 1, 50_050)
    )
    assert.deepStrictEqual(walk(recent, 1_300), [50_000, 50_010, 50_020, 50_030, 50_040, 50_050])
  })

  it("every port is given exactly once, even when all were closed", () => {
    const random = new Random(71)
    for (let i = 0; i < 300; i++) {
      const recent = new SourcePort.RecentPorts()
      const nrShards = 1 + random.below(20)
      const shard = random.below(nrShards)
      for (let j = random.below(400); j > 0; j--) recent.close(50_000 + random.below(300), j % 100)
      const given = ports({
        nrShards,
        shard,
        from: 50_000,
        to: 50_300,
        pivot: random.u32() / 2 ** 32,
        recent,
        now: 100
      })
      assert.deepStrictEqual(given.toSorted((a, b) => a - b), naive(nrShards, shard, 50_000, 50_300))
      const since = given.map((port) => recent.since(port, 100))
      const last = since.findIndex((at) => at !== -1)
      if (last !== -1) assert.deepStrictEqual(since.slice(last), since.slice(last).toSorted((a, b) => a - b))
    }
  })

  it("forgets ports after their time, and holds each once", () => {
    const recent = new SourcePort.RecentPorts()
    assert.strictEqual(recent.holdMillis, 60_000)
    for (let now = 0; now < 1_000; now++) recent.close(50_000 + now % 100, now)
    assert.strictEqual(recent.size, 100)
    assert.strictEqual(recent.since(50_000, 1_000), 900)
    recent.close(50_000, 61_000)
    assert.strictEqual(recent.size, 1)
    assert.strictEqual(recent.since(50_001, 61_000), -1)
    recent.close(50_001, 121_000)
    assert.strictEqual(recent.size, 1)
    assert.strictEqual(recent.since(50_000, 121_000), -1)
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) recent.close(port, 121_000)
    assert.strictEqual(recent.size, 1)
  })
})
