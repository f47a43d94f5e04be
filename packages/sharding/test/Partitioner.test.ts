import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import * as ByteOrdered from "../src/ByteOrderedPartitioner.ts"
import * as Cdc from "../src/CdcPartitioner.ts"
import { md5 } from "../src/internal/md5.ts"
import * as Murmur3 from "../src/Murmur3.ts"
import * as Partitioner from "../src/Partitioner.ts"
import * as RandomPartitioner from "../src/RandomPartitioner.ts"
import { maximum, minimum, toBigInt, TokenWords } from "../src/Token.ts"
import { Random } from "./support/random.ts"
import { hex, utf8 } from "./support/vectors.ts"

const none = new Uint8Array(0)

describe("CdcPartitioner", () => {
  it("takes the first eight bytes for the token", () => {
    assert.strictEqual(Cdc.token(utf8("primary_key")), 8102654598100187487n)
    assert.strictEqual(Cdc.token(utf8("kremówki")), 7742362231512463211n)
    assert.strictEqual(Cdc.token(hex("ffffffffffffffff")), -1n)
    assert.strictEqual(Cdc.token(hex("7fffffffffffffff00")), maximum)
    assert.strictEqual(Cdc.token(hex("8000000000000001")), minimum + 1n)
  })

  it("a shorter key has the minimum token, which is no token of another key", () => {
    for (const key of [none, utf8("xd"), utf8("test"), new Uint8Array(7)]) assert.strictEqual(Cdc.token(key), minimum)
    assert.strictEqual(Cdc.token(hex("80000000000000000123456789abcdef")), maximum)
  })

  it("agrees with a big-endian int64 anywhere in a buffer", () => {
    const random = new Random(60)
    const out = new TokenWords()
    for (let i = 0; i < 500; i++) {
      const bytes = Buffer.from(random.bytes(40))
      const offset = random.below(20)
      Cdc.hashInto(bytes, offset, 16, out)
      assert.strictEqual(toBigInt(out.hi, out.lo), bytes.readBigInt64BE(offset))
    }
  })
})

describe("RandomPartitioner", () => {
  it("its MD5 is MD5, for every length around the blocks", () => {
    const random = new Random(61)
    for (let length = 0; length <= 200; length++) {
      const bytes = random.bytes(length)
      assert.strictEqual(Buffer.from(md5(bytes)).toString("hex"), createHash("md5").update(bytes).digest("hex"))
    }
  })

  it("a token is the absolute value of the digest as a signed number", () => {
    const random = new Random(62)
    for (let i = 0; i < 200; i++) {
      const key = random.bytes(1 + random.below(40))
      const signed = BigInt.asIntN(128, BigInt(`0x${createHash("md5").update(key).digest("hex")}`))
      const token = RandomPartitioner.token(key)
      assert.strictEqual(token, signed < 0n ? -signed : signed)
      assert.isTrue(token >= 0n && token <= RandomPartitioner.maximum)
      assert.deepStrictEqual(RandomPartitioner.parse(`${token}`), Result.succeed(token))
    }
    // MD5 of "a" is 0cc175b9c0f1b6a831c399e269772661, of "test" 098f6bcd4621d373cade4e832627b4f6.
    assert.strictEqual(RandomPartitioner.token(utf8("a")), 0x0cc175b9c0f1b6a831c399e269772661n)
    assert.strictEqual(RandomPartitioner.token(none), -1n)
  })

  it("parses its tokens and nothing else", () => {
    assert.deepStrictEqual(RandomPartitioner.parse("-1"), Result.succeed(-1n))
    assert.deepStrictEqual(RandomPartitioner.parse(`${2n ** 127n}`), Result.succeed(2n ** 127n))
    for (const text of ["", "-2", "1.5", "0x10", ` ${5}`, `${2n ** 127n + 1n}`, "9".repeat(50)]) {
      assert.isTrue(Result.isFailure(RandomPartitioner.parse(text)), text)
    }
  })
})

describe("ByteOrderedPartitioner", () => {
  it("a token is the key", () => {
    const key = utf8("key")
    assert.strictEqual(ByteOrdered.token(key), key)
    assert.strictEqual(ByteOrdered.format(key), "6b6579")
    assert.deepStrictEqual(ByteOrdered.parse("6B6579"), Result.succeed(key))
    assert.deepStrictEqual(ByteOrdered.parse("123"), Result.succeed(hex("0123")))
    assert.deepStrictEqual(ByteOrdered.parse(""), Result.succeed(ByteOrdered.minimum))
    assert.isTrue(Result.isFailure(ByteOrdered.parse("0x12")))
  })

  it("orders as Buffer.compare does", () => {
    const random = new Random(63)
    for (let i = 0; i < 500; i++) {
      const a = random.bytes(random.below(4)).map((byte) => byte & 0x81)
      const b = random.bytes(random.below(4)).map((byte) => byte & 0x81)
      assert.strictEqual(Math.sign(ByteOrdered.compare(a, b)), Buffer.compare(a, b))
    }
  })
})

describe("Partitioner", () => {
  it("resolves class names, with the rule for the empty key", () => {
    const cases: ReadonlyArray<readonly [string, "scylla" | "cassandra", Partitioner.Partitioner]> = [
      ["org.apache.cassandra.dht.Murmur3Partitioner", "scylla", { kind: "murmur3", emptyKey: "hash" }],
      ["org.apache.cassandra.dht.Murmur3Partitioner", "cassandra", { kind: "murmur3", emptyKey: "minimum" }],
      ["Murmur3Partitioner", "scylla", { kind: "murmur3", emptyKey: "hash" }],
      ["com.scylladb.dht.CDCPartitioner", "scylla", { kind: "cdc", emptyKey: "minimum" }],
      ["org.apache.cassandra.dht.RandomPartitioner", "cassandra", { kind: "random", emptyKey: "minimum" }],
      ["org.apache.cassandra.dht.ByteOrderedPartitioner", "cassandra", { kind: "byteOrdered", emptyKey: "minimum" }],
      ["org.apache.cassandra.dht.OrderPreservingPartitioner", "cassandra", { kind: "unknown", emptyKey: "minimum" }],
      ["com.example.Murmur3Partitioner", "scylla", { kind: "unknown", emptyKey: "hash" }],
      ["", "scylla", { kind: "unknown", emptyKey: "hash" }]
    ]
    for (const [name, server, expected] of cases) assert.deepStrictEqual(Partitioner.resolve(name, server), expected)
  })

  it("the empty key", () => {
    const token = (name: string, server: "scylla" | "cassandra") =>
      Partitioner.token(Partitioner.resolve(name, server), none)
    assert.strictEqual(token("Murmur3Partitioner", "scylla"), 0n)
    assert.strictEqual(token("Murmur3Partitioner", "cassandra"), minimum)
    assert.strictEqual(token("CDCPartitioner", "scylla"), minimum)
    assert.strictEqual(token("RandomPartitioner", "cassandra"), -1n)
    assert.deepStrictEqual(token("ByteOrderedPartitioner", "cassandra"), none)
    assert.isUndefined(token("X", "scylla"))
  })

  it("any other key", () => {
    const key = utf8("primary_key")
    const token = (name: string) => Partitioner.token(Partitioner.resolve(name, "cassandra"), key)
    assert.strictEqual(token("Murmur3Partitioner"), Murmur3.token(key))
    assert.strictEqual(token("CDCPartitioner"), 8102654598100187487n)
    assert.strictEqual(token("RandomPartitioner"), RandomPartitioner.token(key))
    assert.strictEqual(token("ByteOrderedPartitioner"), key)
    assert.isUndefined(token("X"))
  })

  it("hashInto says whether the token is an int64, and writes nothing when it is not", () => {
    const out = new TokenWords()
    out.hi = 7
    for (const name of ["RandomPartitioner", "ByteOrderedPartitioner", "X"]) {
      assert.isFalse(Partitioner.hashInto(Partitioner.resolve(name, "cassandra"), utf8("key"), 0, 3, out))
      assert.strictEqual(out.hi, 7)
    }
    assert.isTrue(Partitioner.hashInto(Partitioner.resolve("Murmur3Partitioner", "scylla"), utf8(".test"), 1, 4, out))
    assert.strictEqual(toBigInt(out.hi, out.lo), -6017608668500074083n)
  })
})
