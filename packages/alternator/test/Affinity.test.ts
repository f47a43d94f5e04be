import { Affinity, NodeAddress } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { bytesOf, vectors } from "../../../test/fixtures/vectors.ts"
import { Random } from "../../../test/support/random.ts"
import { GoRandom, reduceSeed } from "../src/internal/goRandom.ts"
import { cookedHigh, cookedLow } from "../src/internal/goRandomState.ts"

const families = ["go", "python", "rust"] as const

const keyHash = (seed: bigint): Affinity.KeyHash => {
  const hash = new Affinity.KeyHash()
  hash.hi = Number(BigInt.asIntN(32, seed >> 32n))
  hash.lo = Number(BigInt.asIntN(32, seed))
  return hash
}

describe("Affinity", () => {
  it("hashes keys as the official clients do", () => {
    const { cases } = vectors("affinity-hash.json")
    assert.isAbove(cases.length, 100)
    for (const { type, value, hash } of cases) {
      assert.strictEqual(
        Affinity.hash(type, type === "B" ? bytesOf(value) : value),
        BigInt(hash),
        JSON.stringify([type, value])
      )
    }
  })

  it("hashes what the reference names, long and non-ASCII keys among them", () => {
    assert.strictEqual(Affinity.hash("S", ""), 8849112093580131862n)
    assert.strictEqual(Affinity.hash("S", "こんにちは"), -8746014667889746860n)
    assert.strictEqual(Affinity.hash("N", "1.23E10"), -8571981415737439826n)
    assert.strictEqual(Affinity.hash("B", new Uint8Array()), 8244620721157455449n)
    assert.strictEqual(Affinity.hash("B", new TextEncoder().encode("12345")), -3752463870508600385n)
    const long = "é".repeat(5000)
    assert.strictEqual(
      BigInt.asIntN(64, Affinity.hash("S", long)),
      Affinity.hash("S", long),
      "grows its buffer and stays the same"
    )
  })

  it.each(families)("orders nodes as the clients of the %s family do", (family) => {
    const { cases } = vectors("affinity-order.json")
    assert.isAbove(cases.length, 30)
    for (const one of cases) {
      const nodes = one.hosts.map((host: string) => NodeAddress.make(one.scheme, host, one.port))
      const sorted = Affinity.sorted(family, nodes)
      const hash = keyHash(BigInt(one.seed))
      const order = Affinity.order(family, hash, sorted).map((node) => node.host)
      assert.deepStrictEqual(order, one[family], `${one.hosts[0]} seed ${one.seed}`)
      assert.strictEqual(sorted[Affinity.first(family, hash, sorted.length)]!.host, order[0])
    }
  })

  it("D4: sorts addresses by bytes, so that 10.0.0.1 and 10.0.0.10 are where Go has them", () => {
    const nodes = Array.from({ length: 12 }, (_, i) => NodeAddress.make("http", `10.0.0.${i + 1}`, 8080))
    const last = (key: string) => {
      const hash = new Affinity.KeyHash()
      Affinity.hashInto("S", key, hash)
      return Affinity.order("go", hash, Affinity.sorted("go", nodes)).map((node) => Number(node.host.split(".")[3]))
    }
    assert.deepStrictEqual(last("hello"), [4, 9, 12, 8, 10, 6, 1, 5, 3, 2, 11, 7])
    assert.deepStrictEqual(last(""), [7, 9, 11, 8, 10, 1, 3, 5, 6, 2, 12, 4])
    assert.deepStrictEqual(last("user_123"), [2, 1, 7, 11, 9, 12, 3, 5, 8, 10, 4, 6])
  })

  it("D13: the first pick by multiplication is that of the whole generator, beyond the direct draws too", () => {
    const random = new Random(7)
    for (let round = 0; round < 300; round++) {
      const [hi, lo] = [random.u32() | 0, random.u32() | 0]
      const table = new GoRandom(reduceSeed(hi, lo))
      const reference = goReference(hi, lo)
      for (let n = 0; n < (round < 3 ? 2000 : 30); n++) {
        const bound = 1 + random.below(1000)
        assert.strictEqual(table.below(bound), reference(bound), `seed ${hi} ${lo} draw ${n}`)
      }
    }
  })
})

/** Go's generator written down literally, in BigInt: the oracle. */
const goReference = (hi: number, lo: number): (bound: number) => number => {
  const modulus = 2147483647n
  const seed = (((BigInt(hi) << 32n) | BigInt(lo >>> 0)) % modulus + modulus) % modulus
  let x = seed === 0n ? 89482311n : seed
  const step = () => (x = x * 48271n % modulus)
  const vec: Array<bigint> = []
  for (let i = -20; i < 607; i++) {
    step()
    if (i < 0) continue
    let u = x << 40n
    u ^= step() << 20n
    u ^= step()
    vec.push((u ^ cooked(i)) & (2n ** 63n - 1n))
  }
  let tap = 0
  let feed = 334
  const int31 = () => {
    tap = (tap + 606) % 607
    feed = (feed + 606) % 607
    vec[feed] = (vec[feed]! + vec[tap]!) & (2n ** 63n - 1n)
    return Number(vec[feed]! >> 32n)
  }
  return (bound) => {
    if ((bound & (bound - 1)) === 0) return int31() & (bound - 1)
    for (;;) {
      const value = int31()
      if (value <= 2147483647 - 2147483648 % bound) return value % bound
    }
  }
}

const cooked = (i: number): bigint => (BigInt(cookedHigh[i]!) << 32n) | BigInt(cookedLow[i]! >>> 0)
