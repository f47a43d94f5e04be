import { assert, describe, it } from "@effect/vitest"
import * as ByteOrdered from "../src/ByteOrderedPartitioner.ts"
import { fromBigInt, maximum, minimum, TokenWords } from "../src/Token.ts"
import * as TokenRing from "../src/TokenRing.ts"
import { Random } from "./support/random.ts"

const words = new TokenWords()

const segmentOf = <T>(ring: TokenRing.TokenRing<T>, token: bigint): number => {
  fromBigInt(token, words)
  return TokenRing.segmentOf(ring, words.hi, words.lo)
}

const of = (tokens: ReadonlyArray<bigint>): TokenRing.TokenRing<string> =>
  TokenRing.make(tokens.map((token) => ({ token, owner: `n${token}` })))

/** Where a ring differs from a scan of its sorted tokens, at each token, its neighbours, the edges and random ones. */
const differences = (tokens: ReadonlyArray<bigint>, random: Random): Array<string> => {
  const differences: Array<string> = []
  const ring = of(tokens)
  const sorted = Array.from(new Set(tokens)).sort((a, b) => (a < b ? -1 : 1))
  assert.strictEqual(ring.size, sorted.length)
  sorted.forEach((token, i) => {
    assert.strictEqual(TokenRing.tokenAt(ring, i), token)
    assert.strictEqual(ring.owners[i], `n${token}`)
  })
  const asked = sorted.flatMap((token) => [token - 1n, token, token + 1n])
  asked.push(minimum, maximum, 0n, -1n, ...Array.from({ length: 50 }, () => random.token()))
  for (const token of asked.map((token) => BigInt.asIntN(64, token))) {
    const at = sorted.findIndex((other) => other >= token)
    const expected = at === -1 ? 0 : at
    const found = segmentOf(ring, token)
    if (found !== expected) differences.push(`${token} is in segment ${expected} of ${sorted.join()}, got ${found}`)
    fromBigInt(token, words)
    if (TokenRing.ownerOf(ring, words.hi, words.lo) !== `n${sorted[expected]}`) differences.push(`owner of ${token}`)
  }
  return differences
}

describe("TokenRing", () => {
  it("agrees with a scan for random rings of all sizes up to 70", () => {
    const random = new Random(12)
    for (let size = 1; size <= 70; size++) {
      assert.deepStrictEqual(differences(Array.from({ length: size }, () => random.token()), random), [])
    }
  })

  it("agrees with a scan for a ring of 3 nodes with 256 tokens each", () => {
    const random = new Random(13)
    assert.deepStrictEqual(differences(Array.from({ length: 768 }, () => random.token()), random), [])
  })

  it("agrees with a scan for tokens that lie close together, in one bucket of the index", () => {
    const random = new Random(14)
    for (const base of [0n, 1n << 31n, 1n << 32n, -(1n << 32n), 1n << 62n, minimum + 5n, maximum - 900n]) {
      assert.deepStrictEqual(
        differences(Array.from({ length: 200 }, () => base + BigInt(random.below(800))), random),
        []
      )
    }
  })

  it("holds more tokens than the index has buckets", () => {
    const random = new Random(15)
    const ring = of(Array.from({ length: 70_000 }, () => random.token()))
    for (let segment = 0; segment < ring.size; segment++) {
      const token = TokenRing.tokenAt(ring, segment)!
      if (segmentOf(ring, token) !== segment) assert.fail(`${token}`)
      if (segmentOf(ring, BigInt.asIntN(64, token + 1n)) !== (segment + 1) % ring.size) {
        // Only the next token may be a direct neighbour.
        assert.strictEqual(TokenRing.tokenAt(ring, segment + 1), token + 1n)
      }
    }
  })

  it("a segment ends with its token, and the last wraps to the first", () => {
    const ring = of([100n, -100n, 0n])
    assert.deepStrictEqual(
      [minimum, -101n, -100n, -99n, 0n, 1n, 100n, 101n, maximum].map((token) => segmentOf(ring, token)),
      [0, 0, 0, 1, 1, 2, 2, 0, 0]
    )
  })

  it("one token owns everything, at the edges too", () => {
    for (const token of [minimum, -1n, 0n, maximum]) {
      const ring = of([token])
      for (const asked of [minimum, -1n, 0n, 1n, maximum]) assert.strictEqual(segmentOf(ring, asked), 0)
    }
  })

  it("the last entry of a repeated token wins", () => {
    const ring = TokenRing.make([
      { token: 5n, owner: "stale" },
      { token: 1n, owner: "a" },
      { token: 5n, owner: "b" }
    ])
    assert.strictEqual(ring.size, 2)
    assert.deepStrictEqual(ring.owners, ["a", "b"])
  })

  it("an empty ring has no segment and no owner", () => {
    const ring = TokenRing.make<string>([])
    assert.strictEqual(ring.size, 0)
    assert.strictEqual(TokenRing.segmentOf(ring, 0, 0), -1)
    assert.strictEqual(TokenRing.segmentOf(ring, 0x7fffffff, -1), -1)
    assert.isUndefined(TokenRing.ownerOf(ring, 0, 0))
    assert.isUndefined(TokenRing.tokenAt(ring, 0))
  })

  it("takes any iterable, and unsigned low words", () => {
    const ring = TokenRing.make((function*() {
      yield { token: 0xffffffffn, owner: 1 }
      yield { token: 0x1ffffffffn, owner: 2 }
    })())
    assert.strictEqual(TokenRing.segmentOf(ring, 0, 0xffffffff), 0)
    assert.strictEqual(TokenRing.segmentOf(ring, 1, 0), 1)
    assert.strictEqual(TokenRing.segmentOf(ring, 1, 0xffffffff), 1)
  })
})

describe("TokenRing.makeOrdered", () => {
  it("agrees with the ring of int64 tokens", () => {
    const random = new Random(73)
    for (let size = 0; size <= 40; size++) {
      const entries = Array.from({ length: size }, (_, owner) => ({ token: random.token(), owner }))
      // A repeated token: the last wins in both.
      if (size > 3) entries.push({ token: entries[1]!.token, owner: 1000 })
      const ring = TokenRing.make(entries)
      const ordered = TokenRing.makeOrdered(entries, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
      assert.strictEqual(ordered.size, ring.size)
      assert.deepStrictEqual(ordered.owners, ring.owners)
      for (let i = 0; i < 50; i++) {
        const token = i < size ? entries[i]!.token : random.token()
        assert.strictEqual(TokenRing.segmentOfOrdered(ordered, token), segmentOf(ring, token))
      }
    }
  })

  it("holds the tokens of ByteOrderedPartitioner", () => {
    const ring = TokenRing.makeOrdered(
      ["80", "", "7f", "7f00"].map((owner) => ({ token: Buffer.from(owner, "hex"), owner })),
      ByteOrdered.compare
    )
    assert.deepStrictEqual(ring.owners, ["", "7f", "7f00", "80"])
    assert.deepStrictEqual(
      ["", "00", "7f", "7f00", "7f01", "80", "8000"].map((key) =>
        TokenRing.segmentOfOrdered(ring, Buffer.from(key, "hex"))
      ),
      [0, 1, 1, 2, 3, 3, 0]
    )
  })

  it("is the same in steps, none of which has more than a small part of the work", () => {
    const random = new Random(7)
    const entries = Array.from({ length: 20_000 }, (_, i) => ({
      token: BigInt.asIntN(64, (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32))),
      owner: i % 300
    }))
    // Tokens in one place, as no cluster has them, and one that is given twice.
    for (let i = 0; i < 40; i++) entries.push({ token: BigInt(i * 7 % 40), owner: i })
    entries.push({ token: 3n, owner: 299 })
    const steps = TokenRing.makeInSteps(entries)
    let count = 1
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) count++
    assert.isAbove(count, 60)
    const ring = step.value
    const owners = new Map(entries.map(({ owner, token }) => [token, owner]))
    const sorted = [...owners.keys()].sort((a, b) => a < b ? -1 : 1)
    assert.deepStrictEqual(Array.from({ length: ring.size }, (_, i) => TokenRing.tokenAt(ring, i)), sorted)
    assert.deepStrictEqual(ring.owners, sorted.map((token) => owners.get(token)!))
    for (const token of [...sorted.slice(0, 500), 3n, 4n, -1n]) {
      assert.strictEqual(
        sorted[segmentOf(ring, token)],
        sorted.find((other) => other >= token)
      )
    }
  })

  it("gets other owners without a copy of its tokens", () => {
    const ring = of([5n, 1n, 9n])
    const mapped = TokenRing.mapOwners(ring, (owner) => owner.length)
    assert.strictEqual(mapped.hi, ring.hi)
    assert.deepStrictEqual(mapped.owners, [2, 2, 2])
    assert.strictEqual(TokenRing.ownerOf(mapped, 0, 6), 2)
  })
})
