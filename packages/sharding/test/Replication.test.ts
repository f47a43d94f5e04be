import { assert, describe, it } from "@effect/vitest"
import * as Replication from "../src/Replication.ts"
import { fromBigInt, TokenWords } from "../src/Token.ts"
import * as TokenRing from "../src/TokenRing.ts"
import { Random } from "./support/random.ts"

/** Nodes are texts "datacenter/rack/name". */
const nodeOf = (node: string): Replication.NodeLocation => {
  const [datacenter = "", rack = ""] = node.split("/")
  return { datacenter, rack }
}

/** A ring of the nodes in the order given; a node may appear more than once. */
const ringOf = (nodes: ReadonlyArray<string>): TokenRing.TokenRing<string> =>
  TokenRing.make(nodes.map((owner, i) => ({ token: BigInt(i) * 1000n - 5000n, owner })))

const nts = (factors: Record<string, number>): Replication.ReplicationStrategy => ({
  _tag: "NetworkTopology",
  replicationFactors: new Map(Object.entries(factors))
})

const simple = (replicationFactor: number): Replication.ReplicationStrategy => ({ _tag: "Simple", replicationFactor })

const replicas = (nodes: ReadonlyArray<string>, strategy: Replication.ReplicationStrategy) =>
  Replication.replicasBySegment(ringOf(nodes), strategy, nodeOf)

/** Each segment's list, with only the names of the nodes: "a b c". */
const names = (nodes: ReadonlyArray<string>, strategy: Replication.ReplicationStrategy): Array<string> =>
  replicas(nodes, strategy).map((list) => list.map((node) => node.split("/")[2]).join(" "))

/** SimpleStrategy, from its sentence: the next distinct nodes. */
const naiveSimple = (nodes: ReadonlyArray<string>, segment: number, factor: number): Array<string> =>
  Array.from(new Set([...nodes.slice(segment), ...nodes.slice(0, segment)])).slice(0, factor)

/**
 * NetworkTopologyStrategy told another way, data center by data center: the first node of each of the first `factor`
 * racks, and as many of the others as racks are missing, all in the order of the ring.
 */
const naiveNts = (nodes: ReadonlyArray<string>, segment: number, factors: Record<string, number>): Array<string> => {
  const walk = Array.from(new Set([...nodes.slice(segment), ...nodes.slice(0, segment)]))
  const chosen = new Set<string>()
  for (const [name, factor] of Object.entries(factors)) {
    const members = walk.filter((node) => nodeOf(node).datacenter === name)
    const firstOfRack = members.filter((node, i) =>
      members.findIndex((other) => nodeOf(other).rack === nodeOf(node).rack) === i
    )
    for (const node of firstOfRack.slice(0, factor)) chosen.add(node)
    const missing = Math.max(0, factor - firstOfRack.length)
    for (const node of members.filter((node) => !firstOfRack.includes(node)).slice(0, missing)) chosen.add(node)
  }
  return walk.filter((node) => chosen.has(node))
}

/**
 * The way of Cassandra 2 and the older drivers: nodes of used racks are put aside and taken, in order, once every rack
 * of the data center is used. The same nodes must come out, perhaps in another order.
 */
const skipping = (nodes: ReadonlyArray<string>, segment: number, factors: Record<string, number>): Set<string> => {
  const walk = [...nodes.slice(segment), ...nodes.slice(0, segment)]
  const chosen = new Set<string>()
  for (const [name, factor] of Object.entries(factors)) {
    const members = walk.filter((node) => nodeOf(node).datacenter === name)
    const rackCount = new Set(members.map((node) => nodeOf(node).rack)).size
    const used = new Set<string>()
    const aside: Array<string> = []
    const own = new Set<string>()
    for (const node of members) {
      if (own.size === factor) break
      if (own.has(node)) continue
      const { rack } = nodeOf(node)
      if (!used.has(rack)) {
        own.add(node)
        used.add(rack)
        if (used.size === rackCount) { for (const skipped of aside) if (own.size < factor) own.add(skipped) }
      } else if (used.size === rackCount) own.add(node)
      else aside.push(node)
    }
    for (const node of own) chosen.add(node)
  }
  return chosen
}

describe("Replication", () => {
  describe("parse", () => {
    const cases: ReadonlyArray<readonly [string, Record<string, string>, Replication.ReplicationStrategy]> = [
      [
        "SimpleStrategy",
        { class: "org.apache.cassandra.locator.SimpleStrategy", replication_factor: "3" },
        simple(3)
      ],
      ["a short class name", { class: "SimpleStrategy", replication_factor: "1" }, simple(1)],
      [
        "NetworkTopologyStrategy",
        { class: "org.apache.cassandra.locator.NetworkTopologyStrategy", dc1: "3", "dc-2": "2" },
        nts({ dc1: 3, "dc-2": 2 })
      ],
      [
        "transient replicas count",
        { class: "NetworkTopologyStrategy", dc1: "3/1", dc2: "2" },
        nts({ dc1: 3, dc2: 2 })
      ],
      ["transient replicas of SimpleStrategy", { class: "SimpleStrategy", replication_factor: "5/2" }, simple(5)],
      [
        "replication_factor of NetworkTopologyStrategy is ignored",
        { class: "NetworkTopologyStrategy", replication_factor: "3", dc1: "2" },
        nts({ dc1: 2 })
      ],
      [
        "data centers with no replicas are left out",
        { class: "NetworkTopologyStrategy", a: "0", b: "1" },
        nts({ b: 1 })
      ],
      ["no data centers", { class: "NetworkTopologyStrategy" }, nts({})],
      ["EverywhereStrategy", { class: "org.apache.cassandra.locator.EverywhereStrategy" }, { _tag: "Everywhere" }],
      ["LocalStrategy", { class: "org.apache.cassandra.locator.LocalStrategy" }, { _tag: "Local" }],
      [
        "a data center named like a property of objects",
        { class: "NetworkTopologyStrategy", constructor: "2" },
        nts({
          constructor: 2
        })
      ]
    ]
    for (const [name, options, expected] of cases) {
      it(`reads ${name}`, () => {
        assert.deepStrictEqual(Replication.parse(options), expected)
      })
    }

    it("is Unknown for anything else, and keeps what it was", () => {
      const strange: ReadonlyArray<Record<string, string>> = [
        {},
        { class: "com.example.NetworkTopologyStrategy", dc1: "3" },
        { class: "org.apache.cassandra.locator.MetaStrategy", dc1: "3" },
        { class: "SimpleStrategy" },
        { class: "SimpleStrategy", replication_factor: "three" },
        { class: "SimpleStrategy", replication_factor: "-1" },
        { class: "NetworkTopologyStrategy", dc1: "[r1, r2]" }
      ]
      for (const options of strange) {
        assert.deepStrictEqual(Replication.parse(options), {
          _tag: "Unknown",
          className: options["class"] ?? "",
          options
        })
      }
    })
  })

  describe("replicationKey", () => {
    it("is equal exactly for strategies that place replicas equally", () => {
      const key = Replication.replicationKey
      assert.strictEqual(key(nts({ a: 3, b: 2 })), key(nts({ b: 2, a: 3 })))
      assert.strictEqual(key(nts({ a: 3, b: 0 })), key(nts({ a: 3 })))
      assert.strictEqual(
        key(Replication.parse({ class: "X" })),
        key(Replication.parse({ class: "Y", dc1: "3" }))
      )
      const different = [
        simple(1),
        simple(3),
        nts({}),
        nts({ a: 3 }),
        nts({ a: 2 }),
        nts({ a: 3, b: 2 }),
        nts({ 'a",3],["b': 2 }),
        Replication.parse({ class: "EverywhereStrategy" }),
        Replication.parse({ class: "LocalStrategy" }),
        Replication.parse({ class: "X" })
      ]
      assert.strictEqual(new Set(different.map(key)).size, different.length)
    })
  })

  describe("SimpleStrategy", () => {
    const nodes = ["d/r/a", "d/r/b", "d/r/a", "d/r/c", "e/r/d"]

    it("takes the next distinct nodes, whatever their data center", () => {
      assert.deepStrictEqual(names(nodes, simple(2)), ["a b", "b a", "a c", "c d", "d a"])
      assert.deepStrictEqual(names(nodes, simple(3)), ["a b c", "b a c", "a c d", "c d a", "d a b"])
    })

    it("takes all nodes when there are fewer", () => {
      assert.deepStrictEqual(names(nodes, simple(9)), ["a b c d", "b a c d", "a c d b", "c d a b", "d a b c"])
    })

    it("takes none for factor 0", () => {
      assert.deepStrictEqual(names(nodes, simple(0)), ["", "", "", "", ""])
    })
  })

  describe("NetworkTopologyStrategy", () => {
    it("prefers distinct racks", () => {
      const nodes = ["d/r1/a", "d/r1/b", "d/r2/c", "d/r2/d", "d/r3/e"]
      assert.deepStrictEqual(names(nodes, nts({ d: 2 })), ["a c", "b c", "c e", "d e", "e a"])
      assert.deepStrictEqual(names(nodes, nts({ d: 3 })), ["a c e", "b c e", "c e a", "d e a", "e a c"])
    })

    it("fills up with the first nodes of used racks when racks are missing", () => {
      const nodes = ["d/r1/a", "d/r1/b", "d/r1/c", "d/r2/d", "d/r2/e"]
      // One replica more than racks: one node of a used rack is taken where it is met.
      assert.deepStrictEqual(names(nodes, nts({ d: 3 })), ["a b d", "b c d", "c d e", "d e a", "e a b"])
      assert.deepStrictEqual(names(nodes, nts({ d: 4 })), ["a b c d", "b c d e", "c d e a", "d e a b", "e a b c"])
    })

    it("passes over a used rack when every replica can have its own", () => {
      const nodes = ["d/r1/a", "d/r1/b", "d/r1/c", "d/r1/d", "d/r2/e"]
      assert.deepStrictEqual(names(nodes, nts({ d: 2 })), ["a e", "b e", "c e", "d e", "e a"])
    })

    it("is SimpleStrategy within a data center of one rack", () => {
      const nodes = ["d/r/a", "d/r/b", "d/r/c", "d/r/d"]
      assert.deepStrictEqual(names(nodes, nts({ d: 3 })), ["a b c", "b c d", "c d a", "d a b"])
    })

    it("walks the ring once for all data centers", () => {
      const nodes = ["d/r1/a", "e/r1/x", "d/r2/b", "e/r2/y", "d/r1/c", "e/r1/z"]
      assert.deepStrictEqual(
        names(nodes, nts({ d: 2, e: 1 })),
        ["a x b", "x b c", "b y c", "y c b", "c z b", "z a b"]
      )
      // Racks of one name in two data centers are two racks.
      assert.deepStrictEqual(
        names(nodes, nts({ d: 2, e: 2 })),
        ["a x b y", "x b y c", "b y c z", "y c z b", "c z b y", "z a b y"]
      )
    })

    it("leaves out data centers that it does not name, so the owner of a token may not be a replica", () => {
      const nodes = ["d/r1/a", "e/r1/x", "d/r2/b", "e/r2/y"]
      assert.deepStrictEqual(names(nodes, nts({ e: 2 })), ["x y", "x y", "y x", "y x"])
    })

    it("ignores data centers without nodes", () => {
      assert.deepStrictEqual(names(["d/r1/a", "d/r2/b"], nts({ d: 1, elsewhere: 3 })), ["a", "b"])
      assert.deepStrictEqual(names(["d/r1/a", "d/r2/b"], nts({ elsewhere: 3 })), ["", ""])
      assert.deepStrictEqual(names(["d/r1/a", "d/r2/b"], nts({})), ["", ""])
    })

    it("takes all nodes of a data center that has fewer than the factor, in ring order", () => {
      const nodes = ["d/r1/a", "d/r1/b", "d/r2/c", "e/r1/x"]
      assert.deepStrictEqual(
        names(nodes, nts({ d: 5, e: 3 })),
        ["a b c x", "b c x a", "c x a b", "x a b c"]
      )
    })

    it("counts a node once however many tokens it has", () => {
      const nodes = ["d/r1/a", "d/r1/a", "d/r2/b", "d/r1/a", "d/r2/b", "d/r2/c"]
      assert.deepStrictEqual(
        names(nodes, nts({ d: 3 })),
        ["a b c", "a b c", "b a c", "a b c", "b c a", "c a b"]
      )
      assert.deepStrictEqual(names(nodes, nts({ d: 2 })), ["a b", "a b", "b a", "a b", "b a", "c a"])
    })
  })

  it("EverywhereStrategy: all nodes in ring order, one list for all segments", () => {
    const table = replicas(["d/r/a", "e/r/b", "d/r/a", "d/r/c"], { _tag: "Everywhere" })
    assert.deepStrictEqual(table[0], ["d/r/a", "e/r/b", "d/r/c"])
    assert.strictEqual(new Set(table).size, 1)
    assert.strictEqual(table.length, 4)
  })

  it("LocalStrategy: nobody", () => {
    assert.deepStrictEqual(names(["d/r/a", "d/r/b"], { _tag: "Local" }), ["", ""])
  })

  it("unknown strategies: the primary owner", () => {
    assert.deepStrictEqual(names(["d/r/a", "d/r/b", "d/r/a"], Replication.parse({ class: "X" })), ["a", "b", "a"])
  })

  it("an empty ring has an empty table, whatever the strategy", () => {
    const ring = TokenRing.make<string>([])
    for (
      const strategy of [
        simple(3),
        nts({ d: 3 }),
        Replication.parse({ class: "EverywhereStrategy" }),
        Replication.parse({ class: "LocalStrategy" }),
        Replication.parse({})
      ]
    ) {
      assert.deepStrictEqual(Replication.replicasBySegment(ring, strategy, nodeOf), [])
    }
  })

  it("shares equal lists", () => {
    const random = new Random(16)
    const nodes = ["d/r1/a", "d/r2/b", "d/r3/c"]
    const table = replicas(Array.from({ length: 768 }, () => nodes[random.below(3)]!), nts({ d: 3 }))
    assert.strictEqual(table.length, 768)
    assert.isAtMost(new Set(table).size, 6)
  })

  it("asks for each node's location once", () => {
    const asked: Array<string> = []
    Replication.replicasBySegment(ringOf(["d/r/a", "d/r/b", "d/r/a"]), nts({ d: 2 }), (node) => {
      asked.push(node)
      return nodeOf(node)
    })
    assert.deepStrictEqual(asked, ["d/r/a", "d/r/b"])
  })

  it("agrees with naive implementations on random rings", () => {
    const random = new Random(17)
    for (let round = 0; round < 400; round++) {
      const datacenters = 1 + random.below(3)
      const members = Array.from(
        { length: 1 + random.below(12) },
        (_, i) => `dc${random.below(datacenters)}/r${random.below(1 + random.below(5))}/n${i}`
      )
      const nodes = Array.from({ length: 1 + random.below(40) }, () => members[random.below(members.length)]!)
      const factors: Record<string, number> = {}
      for (let i = 0; i < datacenters; i++) if (random.below(4) !== 0) factors[`dc${i}`] = random.below(7)
      const factor = random.below(8)
      const expectedSimple = nodes.map((_, segment) => naiveSimple(nodes, segment, factor))
      assert.deepStrictEqual(replicas(nodes, simple(factor)), expectedSimple)
      const table = replicas(nodes, nts(factors))
      assert.deepStrictEqual(table, nodes.map((_, segment) => naiveNts(nodes, segment, factors)))
      assert.deepStrictEqual(
        table.map((list) => new Set(list)),
        nodes.map((_, segment) => skipping(nodes, segment, factors))
      )
    }
  })
})

describe("Replication.ReplicaTables", () => {
  const nodes = ["d/r1/a", "d/r2/b", "d/r1/c", "e/r1/x"]
  const ring = ringOf(nodes)

  it("strategies that place replicas equally share a table", () => {
    const tables = new Replication.ReplicaTables(ring, nodeOf)
    const table = tables.get(nts({ d: 2, e: 1 }))
    assert.strictEqual(tables.get(nts({ e: 1, d: 2 })), table)
    assert.strictEqual(
      tables.get(Replication.parse({ class: "NetworkTopologyStrategy", d: "2", e: "1", f: "0" })),
      table
    )
    assert.notStrictEqual(tables.get(nts({ d: 2 })), table)
    assert.notStrictEqual(tables.get(simple(2)), table)
    assert.strictEqual(tables.size, 3)
    assert.deepStrictEqual(
      Array.from({ length: table.size }, (_, i) => table.of(i)),
      Replication.replicasBySegment(ring, nts({ d: 2, e: 1 }), nodeOf)
    )
  })

  it("replicasOf gives the list of the token's segment, the same array each time", () => {
    const table = new Replication.ReplicaTables(ring, nodeOf).get(nts({ d: 2 }))
    const random = new Random(74)
    const words = new TokenWords()
    for (let i = 0; i < 500; i++) {
      const token = i % 2 === 0 ? random.token() : BigInt(random.below(6000)) - 5500n
      fromBigInt(token, words)
      const list = Replication.replicasOf(table, words.hi, words.lo)
      assert.strictEqual(list, table.of(TokenRing.segmentOf(ring, words.hi, words.lo)))
    }
  })

  it("has those only that are wanted, in their order", () => {
    const isHere = (node: string): boolean => node.startsWith("d/")
    const table = new Replication.ReplicaTables(ring, nodeOf, isHere).get(nts({ d: 2, e: 1 }))
    const all = Replication.replicasBySegment(ring, nts({ d: 2, e: 1 }), nodeOf)
    for (let segment = 0; segment < table.size; segment++) {
      assert.deepStrictEqual(table.of(segment), all[segment]!.filter(isHere))
      assert.strictEqual(table.of(segment), table.of(segment))
    }
  })

  it("an empty ring and LocalStrategy have nobody", () => {
    const empty = new Replication.ReplicaTables(TokenRing.make<string>([]), nodeOf).get(simple(3))
    assert.deepStrictEqual(Replication.replicasOf(empty, 0, 0), [])
    const local = new Replication.ReplicaTables(ring, nodeOf).get({ _tag: "Local" })
    assert.deepStrictEqual(Replication.replicasOf(local, 0, 0), [])
  })

  it("replicasBySegment takes a ring of other tokens", () => {
    const ordered = TokenRing.makeOrdered(
      nodes.map((owner, i) => ({ token: 10n ** 30n * BigInt(i), owner })),
      (a, b) => a < b ? -1 : a > b ? 1 : 0
    )
    assert.deepStrictEqual(
      Replication.replicasBySegment(ordered, nts({ d: 2, e: 1 }), nodeOf),
      Replication.replicasBySegment(ring, nts({ d: 2, e: 1 }), nodeOf)
    )
  })
})
