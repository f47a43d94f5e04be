import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Token from "../src/Token.ts"
import { Random } from "./support/random.ts"

describe("Token", () => {
  it("converts words to bigint and back", () => {
    const random = new Random(1)
    const words = new Token.TokenWords()
    for (let i = 0; i < 20_000; i++) {
      const token = random.token()
      Token.fromBigInt(token, words)
      assert.strictEqual(words.hi, words.hi | 0)
      assert.strictEqual(words.lo, words.lo | 0)
      assert.strictEqual(Token.toBigInt(words.hi, words.lo), token)
      // The low word may come as unsigned, too.
      assert.strictEqual(Token.toBigInt(words.hi, words.lo >>> 0), token)
    }
  })

  it("keeps the low 64 bits of greater numbers", () => {
    const words = new Token.TokenWords()
    Token.fromBigInt(2n ** 63n, words)
    assert.strictEqual(Token.toBigInt(words.hi, words.lo), Token.minimum)
  })

  it("knows the edges", () => {
    assert.strictEqual(Token.minimum, -9223372036854775808n)
    assert.strictEqual(Token.maximum, 9223372036854775807n)
  })

  it("parses decimal int64", () => {
    const cases: ReadonlyArray<readonly [string, bigint]> = [
      ["0", 0n],
      ["-1", -1n],
      ["+1", 1n],
      ["-9223372036854775808", Token.minimum],
      ["9223372036854775807", Token.maximum],
      ["-6017608668500074083", -6017608668500074083n]
    ]
    for (const [text, token] of cases) assert.deepStrictEqual(Token.parse(text), Result.succeed(token), text)
  })

  it("refuses what is no int64, and says which text", () => {
    for (
      const text of ["", " 1", "1 ", "0x10", "-", "1.5", "1e3", "-+1", "9223372036854775808", "-9223372036854775809"]
    ) {
      const parsed = Token.parse(text)
      assert.isTrue(Result.isFailure(parsed), text)
      if (Result.isFailure(parsed)) {
        assert.strictEqual(parsed.failure._tag, "TokenParseError")
        assert.strictEqual(parsed.failure.text, text)
        assert.include(parsed.failure.message, JSON.stringify(text))
      }
    }
  })

  it("refuses a text of a million digits in a short message", () => {
    for (const text of ["9".repeat(1_000_000), "x".repeat(1_000_000), `${"0".repeat(20)}1`]) {
      const parsed = Token.parse(text)
      assert.isTrue(Result.isFailure(parsed))
      if (Result.isFailure(parsed)) assert.isBelow(parsed.failure.message.length, 300)
    }
  })

  it("compares as signed 64-bit numbers", () => {
    const random = new Random(2)
    const a = new Token.TokenWords()
    const b = new Token.TokenWords()
    for (let i = 0; i < 20_000; i++) {
      const x = random.token()
      // Neighbours often share the high word, where the low words decide.
      const y = random.below(2) === 0 ? random.token() : BigInt.asIntN(64, x + BigInt(random.below(3) - 1))
      Token.fromBigInt(x, a)
      Token.fromBigInt(y, b)
      assert.strictEqual(Token.compare(a.hi, a.lo, b.hi, b.lo), x < y ? -1 : x > y ? 1 : 0, `${x} ${y}`)
    }
  })
})
