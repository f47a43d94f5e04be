/**
 * What routing costs: nanoseconds per token, per shard and per ring lookup, and cassandra-driver's tokenizer beside it.
 *
 * `node bench/sharding.ts [--json]`
 */
import { Murmur3, Sharding, Token, TokenRing } from "@effect-scylla/sharding"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"

/** Goals of reference/performance.md, section 6, in nanoseconds. */
const budget = { tokenNs16: 70, tokenNs8: 70, shardOfNs: 5, ringLookupNs768: 50 } as const

const keyCount = 256
const rounds = 9

/** Median CPU nanoseconds of one iteration; `loop` runs `iterations` of them and returns something made of every result. */
const measure = (iterations: number, loop: (iterations: number) => number): number => {
  // The first runs let the engine compile the loop.
  for (let i = 0; i < 3; i++) consume(loop(iterations))
  const results: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    // CPU time of this thread, in microseconds: neighbours on the machine count less than with a wall clock.
    const start = process.threadCpuUsage()
    consume(loop(iterations))
    const { system, user } = process.threadCpuUsage(start)
    results.push(((system + user) * 1000) / iterations)
  }
  return results.sort((a, b) => a - b)[rounds >> 1]!
}

let consumed = 0
const consume = (value: number): void => {
  consumed ^= value
}

const pseudoRandom = (): () => number => {
  let state = 0x9e3779b9
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  }
}

/** `inPlace`: keys lie in a key buffer, else they are copied. */
const hashing = (length: number, inPlace: boolean): number => {
  const next = pseudoRandom()
  const size = keyCount * length
  const bytes = inPlace ? Murmur3.keyBuffer(size) : Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = next() >>> 24
  const out = new Token.TokenWords()
  return measure(8_000_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      Murmur3.hashInto(bytes, (i & (keyCount - 1)) * length, length, out)
      sum ^= out.hi ^ out.lo
    }
    return sum
  })
}

/** The least that CQL routing can do with cassandra-driver: the hash, without comparing or finding a replica. */
const hashingOfCassandraDriver = (length: number): number => {
  const { Murmur3Tokenizer } = createRequire(import.meta.url)("cassandra-driver/lib/tokenizer.js") as {
    readonly Murmur3Tokenizer: new() => {
      hash(key: Buffer): { getValue(): { getLowBitsUnsigned(): number; getHighBitsUnsigned(): number } }
    }
  }
  const tokenizer = new Murmur3Tokenizer()
  const next = pseudoRandom()
  const keys = Array.from({ length: keyCount }, () => Buffer.from(Array.from({ length }, () => next() >>> 24)))
  for (const key of keys) {
    const value = tokenizer.hash(key).getValue()
    if (Token.toBigInt(value.getHighBitsUnsigned() | 0, value.getLowBitsUnsigned()) !== Murmur3.token(key)) {
      throw new Error(`cassandra-driver disagrees about ${key.toString("hex")}`)
    }
  }
  return measure(200_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      sum ^= tokenizer.hash(keys[i & (keyCount - 1)]!).getValue().getLowBitsUnsigned()
    }
    return sum
  })
}

/** Tokens as pairs of words, so that making them is no part of what is measured. */
const tokens = (): Int32Array => {
  const next = pseudoRandom()
  return Int32Array.from({ length: 2 * 4096 }, () => next())
}

const sharding = (): number => {
  const words = tokens()
  return measure(4_000_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const at = (i & 4095) << 1
      sum += Sharding.shardOf(words[at]!, words[at + 1]!, 60, 12)
    }
    return sum
  })
}

const lookingUp = (size: number): number => {
  const next = pseudoRandom()
  const ring = TokenRing.make(
    Array.from({ length: size }, (_, i) => ({ token: Token.toBigInt(next(), next()), owner: i % 3 }))
  )
  const words = tokens()
  return measure(2_000_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const at = (i & 4095) << 1
      // A different low word each round of the tokens, so that branch prediction cannot learn the sequence alone.
      sum += TokenRing.segmentOf(ring, words[at]!, words[at + 1]! ^ i)
    }
    return sum
  })
}

export interface ShardingFigures {
  readonly tokenNs16: number
  readonly tokenNs8: number
  readonly shardOfNs: number
  readonly ringLookupNs768: number
  readonly ringLookupNs16384: number
  readonly cassandraDriver: { readonly tokenNs16: number; readonly tokenNs8: number }
  /** cassandra-driver's time over ours. */
  readonly ratio: { readonly token16: number; readonly token8: number }
  readonly budget: typeof budget
  readonly withinBudget: boolean
}

export const run = (options: { readonly json: boolean }): Promise<ShardingFigures> => {
  const round = (value: number) => Math.round(value * 10) / 10
  const tokenNs16 = round(hashing(16, true))
  const copied = round(hashing(16, false))
  console.log("copied", copied, round(hashing(8, false)), round(hashing(36, false)), round(hashing(100, false)))
  const tokenNs8 = round(hashing(8, true))
  const shardOfNs = round(sharding())
  const ringLookupNs768 = round(lookingUp(768))
  const ringLookupNs16384 = round(lookingUp(16384))
  const cassandraDriver = {
    tokenNs16: round(hashingOfCassandraDriver(16)),
    tokenNs8: round(hashingOfCassandraDriver(8))
  }
  const figures: ShardingFigures = {
    tokenNs16,
    tokenNs8,
    shardOfNs,
    ringLookupNs768,
    ringLookupNs16384,
    cassandraDriver,
    ratio: {
      token16: round(cassandraDriver.tokenNs16 / tokenNs16),
      token8: round(cassandraDriver.tokenNs8 / tokenNs8)
    },
    budget,
    withinBudget: tokenNs16 <= budget.tokenNs16 && tokenNs8 <= budget.tokenNs8 && shardOfNs <= budget.shardOfNs &&
      ringLookupNs768 <= budget.ringLookupNs768
  }
  if (options.json) console.log(JSON.stringify(figures))
  else {
    const ns = (value: number | undefined) => (value === undefined ? "" : value.toFixed(1)).padStart(10)
    const row = (name: string, ours: number, limit?: number, theirs?: number) =>
      console.log(
        `${name.padEnd(30)}${ns(ours)}${ns(limit)}${ns(theirs)}${
          theirs === undefined ? "" : `${(theirs / ours).toFixed(1)} x`.padStart(10)
        }`
      )
    console.log(
      `${"CPU ns, median of 9 rounds".padEnd(30)}${"ours".padStart(10)}${"budget".padStart(10)}${
        "cassandra".padStart(10)
      }${"ratio".padStart(10)}`
    )
    row("token of a 16-byte key", tokenNs16, budget.tokenNs16, cassandraDriver.tokenNs16)
    row("token of an 8-byte key", tokenNs8, budget.tokenNs8, cassandraDriver.tokenNs8)
    row("shard of a token", shardOfNs, budget.shardOfNs)
    row("ring lookup, 768 tokens", ringLookupNs768, budget.ringLookupNs768)
    row("ring lookup, 16384 tokens", ringLookupNs16384)
  }
  return Promise.resolve(figures)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await run({ json: process.argv.includes("--json") })
}
