/**
 * What routing costs: nanoseconds per token, shard, replicas and tablet, and cassandra-driver's tokenizer beside it.
 *
 * `node bench/sharding.ts [--json]`
 */
import { Murmur3, Replication, Sharding, TabletMap, Token, TokenRing } from "@effect-scylla/sharding"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { measure } from "./support/measure.ts"
import { head, row } from "./support/table.ts"

/** Goals: nanoseconds, and cassandra-driver's time over ours. */
const budget = { tokenNs16: 20, tokenRatio16: 30, shardOfNs: 5, replicasNs768: 60 } as const

const keyCount = 256

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
  return measure(16_000_000, (iterations) => {
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
  return measure(8_000_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const at = (i & 4095) << 1
      // A different low word each round of the tokens, so that branch prediction cannot learn the sequence alone.
      sum += TokenRing.segmentOf(ring, words[at]!, words[at + 1]! ^ i)
    }
    return sum
  })
}

/** Replicas of a token: three nodes in three racks, replication factor 3, as of a keyspace that vnodes hold. */
const findingReplicas = (size: number): number => {
  const next = pseudoRandom()
  const nodes = [0, 1, 2].map((rack) => ({ datacenter: "dc1", rack: `r${rack}` }))
  const ring = TokenRing.make(
    Array.from({ length: size }, (_, i) => ({ token: Token.toBigInt(next(), next()), owner: nodes[i % 3]! }))
  )
  const strategy = Replication.parse({ class: "NetworkTopologyStrategy", dc1: "3" })
  const table = new Replication.ReplicaTables(ring, (node) => node).get(strategy)
  const words = tokens()
  return measure(4_000_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const at = (i & 4095) << 1
      sum += Replication.replicasOf(table, words[at]!, words[at + 1]! ^ i).length
    }
    return sum
  })
}

/** The tablet of a token, of one of sixteen tables of `size` tablets each. */
const findingTablets = (size: number): number => {
  const map = TabletMap.make({ maxTablets: 16 * size })
  const width = 2n ** 64n / BigInt(size)
  const names = Array.from({ length: 16 }, (_, i) => `keyspace.table${i}`)
  for (const name of names) {
    for (let i = 0n; i < size; i++) {
      const first = Token.minimum + i * width
      const last = i + 1n === BigInt(size) ? Token.maximum : first + width
      map.add(name, { first, last, replicas: [0, 1, 2].map((shard) => ({ host: "host", shard })) })
    }
  }
  const words = tokens()
  return measure(4_000_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const at = (i & 4095) << 1
      sum += map.find(names[i & 15]!, words[at]!, words[at + 1]! ^ i)!.replicas.length
    }
    return sum
  })
}

export interface ShardingFigures {
  /** What hashes: WebAssembly or JavaScript. */
  readonly implementation: typeof Murmur3.implementation
  /** A key in a key buffer, hashed where it lies, by its length. */
  readonly tokenNs16: number
  readonly tokenNs8: number
  readonly tokenNs36: number
  readonly tokenNs100: number
  /** A key in any other buffer. */
  readonly copied: { readonly tokenNs16: number; readonly tokenNs8: number; readonly tokenNs36: number }
  readonly shardOfNs: number
  readonly ringLookupNs768: number
  readonly ringLookupNs16384: number
  readonly replicasNs768: number
  readonly tabletNs128: number
  readonly cassandraDriver: { readonly tokenNs16: number; readonly tokenNs8: number }
  /** cassandra-driver's time over ours. */
  readonly ratio: { readonly token16: number; readonly token8: number; readonly tokenCopied16: number }
  readonly budget: typeof budget
  readonly withinBudget: boolean
}

export const run = (options: { readonly json: boolean }): Promise<ShardingFigures> => {
  const round = (value: number) => Math.round(value * 10) / 10
  const token = (length: number) => round(hashing(length, true))
  const copiedToken = (length: number) => round(hashing(length, false))
  // Theirs between ours, so that a slow minute of the machine does not make a ratio.
  const tokenNs16 = token(16)
  const theirs16 = round(hashingOfCassandraDriver(16))
  const tokenNs8 = token(8)
  const theirs8 = round(hashingOfCassandraDriver(8))
  const tokenNs36 = token(36)
  const tokenNs100 = token(100)
  const copied = { tokenNs16: copiedToken(16), tokenNs8: copiedToken(8), tokenNs36: copiedToken(36) }
  const shardOfNs = round(sharding())
  const ringLookupNs768 = round(lookingUp(768))
  const ringLookupNs16384 = round(lookingUp(16384))
  const replicasNs768 = round(findingReplicas(768))
  const tabletNs128 = round(findingTablets(128))
  const ratio = {
    token16: round(theirs16 / tokenNs16),
    token8: round(theirs8 / tokenNs8),
    tokenCopied16: round(theirs16 / copied.tokenNs16)
  }
  const figures: ShardingFigures = {
    implementation: Murmur3.implementation,
    tokenNs16,
    tokenNs8,
    tokenNs36,
    tokenNs100,
    copied,
    shardOfNs,
    ringLookupNs768,
    ringLookupNs16384,
    replicasNs768,
    tabletNs128,
    cassandraDriver: { tokenNs16: theirs16, tokenNs8: theirs8 },
    ratio,
    budget,
    withinBudget: tokenNs16 <= budget.tokenNs16 && ratio.token16 >= budget.tokenRatio16 &&
      shardOfNs <= budget.shardOfNs && replicasNs768 <= budget.replicasNs768
  }
  if (options.json) console.log(JSON.stringify(figures))
  else {
    head("CPU ns, median of 9 rounds", "ours", "budget", "cassandra", "ratio")
    row("token of 16 bytes, in a key buffer", tokenNs16, budget.tokenNs16, theirs16)
    row("token of 8 bytes, in a key buffer", tokenNs8, undefined, theirs8)
    row("token of 36 bytes, in a key buffer", tokenNs36)
    row("token of 100 bytes, in a key buffer", tokenNs100)
    row("token of 16 bytes, copied", copied.tokenNs16, undefined, theirs16)
    row("token of 8 bytes, copied", copied.tokenNs8, undefined, theirs8)
    row("token of 36 bytes, copied", copied.tokenNs36)
    row("shard of a token", shardOfNs, budget.shardOfNs)
    row("segment of a token, 768 tokens", ringLookupNs768)
    row("segment of a token, 16384 tokens", ringLookupNs16384)
    row("replicas of a token, 768 tokens", replicasNs768, budget.replicasNs768)
    row("tablet of a token, 16 tables of 128", tabletNs128)
    console.log(
      `hashing in ${figures.implementation}; ${
        figures.withinBudget ? "within" : "NOT within"
      } the budget, which asks for ${budget.tokenRatio16} x, too`
    )
  }
  return Promise.resolve(figures)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await run({ json: process.argv.includes("--json") })
}
