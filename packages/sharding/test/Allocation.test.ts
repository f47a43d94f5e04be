import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"

/**
 * Bytes of heap that each of `lookups`, sources of functions of two int32 words, leaves behind each time, in a process whose
 * young generation is so large that nothing is collected in between.
 */
const allocated = (lookups: ReadonlyArray<string>): ReadonlyArray<number> => {
  const measured = lookups.map((lookup) =>
    `measure((count) => {
    const lookup = ${lookup}
    let sum = 0
    for (let i = 0; i < count; i++) sum ^= lookup(Math.imul(i, 0x9e3779b1), Math.imul(i, 0x85ebca6b))
    return sum
  })`
  )
  const program = `
    import { CdcPartitioner, Murmur3, Partitioner, Replication, RoutingKey, Sharding, TabletMap, Token, TokenRing } from "@effect-scylla/sharding"
    const nodes = ["r1", "r2", "r3"].map((rack) => ({ datacenter: "dc1", rack }))
    const step = 2n ** 64n / 768n
    const ring = TokenRing.make(
      Array.from({ length: 768 }, (_, i) => ({ token: Token.minimum + BigInt(i + 1) * step, owner: nodes[i % 3] }))
    )
    const table = new Replication.ReplicaTables(ring, (node) => node).get({
      _tag: "NetworkTopology",
      replicationFactors: new Map([["dc1", 3]])
    })
    const tablets = TabletMap.make()
    // Every other range is unknown.
    for (let i = 0n; i < 768n; i += 2n) {
      const first = Token.minimum + i * step
      tablets.add("ks.t", { first, last: first + step, replicas: [{ host: "h", shard: 1 }], version: i })
    }
    const token = new Token.TokenWords()
    const key = Murmur3.keyBuffer(1024)
    const plain = Buffer.alloc(1024)
    const partitioner = Partitioner.resolve("Murmur3Partitioner", "cassandra")
    const parts = [Buffer.from("tenant"), Buffer.from("12345678")]
    let sum = 0
    const measure = (run) => {
      // Until the engine has compiled it.
      for (let i = 0; i < 20; i++) sum ^= run(20_000)
      gc()
      const before = process.memoryUsage().heapUsed
      sum ^= run(200_000)
      return (process.memoryUsage().heapUsed - before) / 200_000
    }
    console.log(JSON.stringify([${measured.join(",")}]))`
  const output = execFileSync(
    process.execPath,
    ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64", "--input-type=module", "--eval", program],
    { encoding: "utf8", cwd: new URL(".", import.meta.url), env: { ...process.env, NODE_OPTIONS: "" } }
  )
  return JSON.parse(output) as ReadonlyArray<number>
}

// The smallest object takes 12 bytes; what the engine does besides, such as compiling, is less for each.
const NOTHING = 4

describe("lookups on the path of a request", () => {
  const lookups: Readonly<Record<string, string>> = {
    "the token of a key in a key buffer":
      "(hi, lo) => { key[0] = hi; key[1] = lo; Murmur3.hashInto(key, 0, 16, token); return token.hi ^ token.lo }",
    "the token of a key of 36 bytes elsewhere":
      "(hi, lo) => { plain[0] = hi; plain[1] = lo; Murmur3.hashInto(plain, 0, 36, token); return token.hi ^ token.lo }",
    "the token by a partitioner":
      "(hi, lo) => { key[0] = hi; Partitioner.hashInto(partitioner, key, 0, lo & 63, token); return token.hi }",
    "the token of a CDC stream":
      "(hi, lo) => { key[0] = hi; CdcPartitioner.hashInto(key, 0, 16, token); return token.hi }",
    "the routing key of two columns": "(hi, lo) => RoutingKey.composeInto(parts, key, lo & 15)",
    "the shard of a token": "(hi, lo) => Sharding.shardOf(hi, lo, 60, 12)",
    "the segment of a token": "(hi, lo) => TokenRing.segmentOf(ring, hi, lo)",
    "the replicas of a token": "(hi, lo) => Replication.replicasOf(table, hi, lo).length",
    "the tablet of a token, known or not": '(hi, lo) => tablets.find("ks.t", hi, lo)?.versionBlock(hi & 15) ?? -1',
    "what is known of a token": '(hi, lo) => tablets.state("ks.t", hi, lo).length',
    "the order of tokens": "(hi, lo) => Token.compare(hi, lo, lo, hi)"
  }
  it("allocate nothing", () => {
    const results = allocated(Object.values(lookups))
    for (const [i, name] of Object.keys(lookups).entries()) assert.isBelow(Math.abs(results[i]!), NOTHING, name)
  })

  it("or it would be seen", () => {
    assert.isAbove(allocated(["(hi, lo) => Number(Token.toBigInt(hi, lo) & 255n)"])[0]!, 8)
  })
})
