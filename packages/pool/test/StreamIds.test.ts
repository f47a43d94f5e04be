import { assert, describe, it } from "@effect/vitest"
import { StreamIds } from "../src/internal/streamIds.ts"
import { SeededRandom } from "./support/random.ts"

describe("StreamIds", () => {
  it("starts at 1 and never issues 0", () => {
    const ids = new StreamIds()
    assert.strictEqual(ids.acquire(), 1)
    assert.strictEqual(ids.acquire(), 2)
    assert.strictEqual(ids.taken, 2)
  })

  it("an id that was just freed is not the next one: an answer that comes twice meets a free id", () => {
    const ids = new StreamIds()
    const seen: Array<number> = []
    for (let i = 0; i < 200; i++) {
      const id = ids.acquire()
      assert.notInclude(seen.slice(-32), id)
      seen.push(id)
      ids.release(id)
    }
    // And yet the table stays small.
    assert.isAtMost(ids.issued, 64)
  })

  it("the one that was freed longest ago is the first to be issued again", () => {
    const ids = new StreamIds()
    const all = Array.from({ length: 100 }, () => ids.acquire())
    for (const id of [40, 7, 99]) ids.release(id)
    assert.deepStrictEqual([ids.acquire(), ids.acquire(), ids.acquire(), ids.acquire()], [40, 7, 99, 101])
    assert.strictEqual(all.length, 100)
  })

  it("issues all of 1..32767 once, then answers -1 until one is freed", () => {
    const ids = new StreamIds()
    const seen = new Set<number>()
    for (let i = 0; i < StreamIds.MAX; i++) seen.add(ids.acquire())
    assert.strictEqual(seen.size, 32_767)
    assert.isFalse(seen.has(0))
    assert.strictEqual(Math.max(...seen), 32_767)
    assert.strictEqual(ids.acquire(), -1)
    assert.strictEqual(ids.taken, 32_767)
    ids.release(12_345)
    assert.strictEqual(ids.acquire(), 12_345)
    assert.strictEqual(ids.acquire(), -1)
    // The ring holds all of them.
    for (const id of seen) ids.release(id)
    assert.strictEqual(ids.taken, 0)
    assert.deepStrictEqual(Array.from({ length: seen.size }, () => ids.acquire()), [...seen])
  })

  for (const seed of [1, 2, 3, 4, 5]) {
    it(`against a model, seed ${seed}`, () => {
      const random = new SeededRandom(seed)
      const ids = new StreamIds()
      const taken: Array<number> = []
      const isTaken = new Uint8Array(StreamIds.MAX + 1)
      const everIssued = new Uint8Array(StreamIds.MAX + 1)
      const freed: Array<number> = []
      let oldest = 0
      // Waves, so that the ring wraps, grows while it is wrapped, and empties.
      for (let step = 0; step < 200_000; step++) {
        if (Math.sin(step / 30_000) > random.below(100) / 50 - 1) {
          const id = ids.acquire()
          if (id === -1) {
            assert.strictEqual(taken.length, StreamIds.MAX)
            continue
          }
          if (id < 1 || id > StreamIds.MAX || isTaken[id] === 1) assert.fail(`step ${step}: id ${id}`)
          if (everIssued[id] === 1) assert.strictEqual(id, freed[oldest++], `step ${step}`)
          everIssued[id] = 1
          isTaken[id] = 1
          taken.push(id)
        } else if (taken.length > 0) {
          const at = random.below(taken.length)
          const id = taken[at]!
          taken[at] = taken.at(-1)!
          taken.pop()
          isTaken[id] = 0
          freed.push(id)
          ids.release(id)
        }
        if (ids.taken !== taken.length) assert.fail(`step ${step}: ${ids.taken} taken, not ${taken.length}`)
      }
    })
  }
})
