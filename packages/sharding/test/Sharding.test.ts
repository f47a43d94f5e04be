import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Murmur3 from "../src/Murmur3.ts"
import * as Sharding from "../src/Sharding.ts"
import { fromBigInt, TokenWords } from "../src/Token.ts"
import { Random } from "./support/random.ts"
import { utf8, vectors } from "./support/vectors.ts"

const info = (nrShards: number, ignoreMsb: number): Sharding.ShardInfo =>
  Result.getOrThrow(Sharding.ShardInfo.make(nrShards, ignoreMsb))

/** The definition, in 128-bit arithmetic. */
const oracle = (token: bigint, nrShards: number, ignoreMsb: number): number =>
  Number((BigInt.asUintN(64, (token + 2n ** 63n) << BigInt(ignoreMsb)) * BigInt(nrShards)) >> 64n)

describe("Sharding", () => {
  it("all vectors", () => {
    const cases = vectors<readonly [token: string, nrShards: number, ignoreMsb: number, shard: number]>("shard-of")
    assert.isAbove(cases.length, 100)
    for (const [token, nrShards, ignoreMsb, shard] of cases) {
      assert.strictEqual(
        Sharding.shardOfToken(info(nrShards, ignoreMsb), BigInt(token)),
        shard,
        `${token} of ${nrShards}, ${ignoreMsb}`
      )
    }
  })

  it("tokens that other drivers know the shard of", () => {
    const four = info(4, 12)
    assert.strictEqual(Sharding.shardOfToken(four, -9219783007514621794n), 3)
    assert.strictEqual(Sharding.shardOfToken(four, -9217148724365525195n), 1)
    assert.strictEqual(Sharding.shardOfToken(four, -9215501124608928187n), 2)
    assert.strictEqual(Sharding.shardOfToken(four, 9222582454147032830n), 3)
  })

  it("keys that other drivers know the shard of", () => {
    const twelve = info(12, 12)
    for (const [key, shard] of [["a", 4], ["b", 6], ["c", 6], ["e", 4], ["100000", 2]] as const) {
      assert.strictEqual(Sharding.shardOfToken(twelve, Murmur3.token(utf8(key))), shard, key)
    }
  })

  it("agrees with 128-bit arithmetic for all shifts", () => {
    const random = new Random(8)
    const words = new TokenWords()
    const counts = [1, 2, 3, 7, 8, 12, 60, 64, 127, 128, 255, 1000, 32768, 65535]
    for (let ignoreMsb = 0; ignoreMsb < 64; ignoreMsb++) {
      for (const nrShards of counts) {
        for (let i = 0; i < 25; i++) {
          const token = random.token()
          fromBigInt(token, words)
          const shard = Sharding.shardOf(words.hi, words.lo, nrShards, ignoreMsb)
          const expected = oracle(token, nrShards, ignoreMsb)
          if (shard !== expected) assert.fail(`${token} of ${nrShards}, ${ignoreMsb}: ${shard}, not ${expected}`)
          if (shard !== Sharding.shardOf(words.hi, words.lo >>> 0, nrShards, ignoreMsb)) {
            assert.fail("unsigned low word")
          }
        }
      }
    }
  })

  it("covers all shards and no other", () => {
    const random = new Random(9)
    const seen = new Set<number>()
    for (let i = 0; i < 10_000; i++) seen.add(Sharding.shardOfToken(info(60, 12), random.token()))
    assert.deepStrictEqual(Array.from(seen).sort((a, b) => a - b), Array.from({ length: 60 }, (_, i) => i))
  })

  describe("ShardInfo", () => {
    it("accepts the edges", () => {
      assert.deepInclude(info(1, 0), { nrShards: 1, ignoreMsb: 0 })
      assert.deepInclude(info(65535, 63), { nrShards: 65535, ignoreMsb: 63 })
    })

    it("refuses anything else, and says what to pass", () => {
      const refused = (nrShards: number, ignoreMsb: number) => {
        const made = Sharding.ShardInfo.make(nrShards, ignoreMsb)
        return Result.isFailure(made) ? made.failure : assert.fail(`${nrShards}, ${ignoreMsb} was accepted`)
      }
      for (const nrShards of [0, -1, 65536, 1.5, Number.NaN, Infinity]) {
        const error = refused(nrShards, 12)
        assert.strictEqual(error._tag, "ShardInfoError")
        assert.strictEqual(error.reason, "NrShards")
        assert.include(error.message, `got ${nrShards}`)
        assert.include(error.message, "SCYLLA_NR_SHARDS")
      }
      for (const ignoreMsb of [-1, 64, 0.5, Number.NaN]) {
        const error = refused(8, ignoreMsb)
        assert.strictEqual(error.reason, "IgnoreMsb")
        assert.include(error.message, "SCYLLA_SHARDING_IGNORE_MSB")
      }
    })
  })
})
