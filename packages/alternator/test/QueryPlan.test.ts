import { Affinity, NodeAddress, NodeHealth, QueryPlan } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "../../../test/support/random.ts"

const settings: NodeHealth.HealthSettings = {
  enabled: true,
  maxLosses: 3,
  maxServerErrors: 5,
  minEjection: 1000,
  maxEjection: 30_000,
  warmUp: 10_000
}

const setup = (count: number, balancing: QueryPlan.Balancing = "round-robin") => {
  const tracked = Array.from(
    { length: count },
    (_, i) => new NodeHealth.TrackedNode(NodeAddress.make("http", `10.0.0.${i + 1}`, 8000))
  )
  const sorted = Affinity.sorted("go", tracked) as Array<NodeHealth.TrackedNode>
  const state = { nodes: tracked, now: 0 }
  const balancer = new QueryPlan.Balancer({
    balancing,
    order: "go",
    warmUp: settings.warmUp,
    source: () => ({ nodes: state.nodes, affinityNodes: sorted.filter((node) => state.nodes.includes(node)) }),
    now: () => state.now,
    seed: 12345
  })
  return { tracked, state, balancer }
}

const hash = (key: string): Affinity.KeyHash => {
  const hash = new Affinity.KeyHash()
  Affinity.hashInto("S", key, hash)
  return hash
}

const take = (plan: QueryPlan.QueryPlan, count: number) => Array.from({ length: count }, () => plan.next()!)

describe("QueryPlan", () => {
  it("round robin is even", () => {
    const { balancer, tracked } = setup(3)
    const counts = new Map(tracked.map((node) => [node, 0]))
    for (let i = 0; i < 300; i++) {
      const node = new QueryPlan.QueryPlan(balancer).next()!
      counts.set(node, counts.get(node)! + 1)
    }
    assert.deepStrictEqual(Array.from(counts.values()), [100, 100, 100])
  })

  it.each(["round-robin", "power-of-two"] as const)(
    "R3: a plan by %s tries each node once before any again",
    (balancing) => {
      for (const count of [1, 2, 3, 7, 31, 32, 33, 40, 100]) {
        const { balancer, tracked } = setup(count, balancing)
        for (let round = 0; round < 5; round++) {
          assert.strictEqual(new Set(take(new QueryPlan.QueryPlan(balancer), count)).size, count, `${count} nodes`)
        }
        assert.strictEqual(new Set(tracked).size, count)
      }
    }
  )

  it.each(["round-robin", "power-of-two"] as const)(
    "R5: more attempts than nodes wrap around by %s, never twice in a row, never outside the cluster",
    (balancing) => {
      for (const count of [1, 2, 3, 40]) {
        const { balancer, tracked } = setup(count, balancing)
        const nodes = take(new QueryPlan.QueryPlan(balancer), 5 * count + 3)
        for (const [i, node] of nodes.entries()) {
          assert.include(tracked, node)
          if (count > 1 && i > 0) assert.notStrictEqual(node, nodes[i - 1])
        }
        assert.strictEqual(new Set(nodes).size, count)
      }
    }
  )

  it("R5: wraps around with affinity too, and no node is an answer only when there is none", () => {
    const { balancer, state, tracked } = setup(3)
    const plan = new QueryPlan.QueryPlan(balancer)
    plan.prefer(hash("hello"))
    const nodes = take(plan, 10)
    assert.strictEqual(new Set(nodes.slice(0, 3)).size, 3)
    for (const node of nodes) assert.include(tracked, node)
    state.nodes = []
    assert.isUndefined(new QueryPlan.QueryPlan(balancer).next())
  })

  it("affinity: the first is the key's, the others follow in the key's order", () => {
    const { balancer, tracked } = setup(12)
    for (const key of ["hello", "", "user_123"]) {
      const plan = new QueryPlan.QueryPlan(balancer)
      plan.prefer(hash(key))
      const order = Affinity.order("go", hash(key), Affinity.sorted("go", tracked)).map(({ host }) => host)
      assert.deepStrictEqual(take(plan, 12).map(({ host }) => host), order)
    }
  })

  it("affinity passes ejected nodes by, and comes back to them: keys of others stay where they are", () => {
    const { balancer, tracked } = setup(5)
    const first = (key: string) => {
      const plan = new QueryPlan.QueryPlan(balancer)
      plan.prefer(hash(key))
      return plan.next()!
    }
    const keys = Array.from({ length: 200 }, (_, i) => `key ${i}`)
    const before = keys.map(first)
    tracked[2]!.eject(0, settings, "it is dead")
    const during = keys.map(first)
    for (const [i, node] of before.entries()) {
      if (node === tracked[2]) assert.notStrictEqual(during[i], tracked[2])
      else assert.strictEqual(during[i], node)
    }
    tracked[2]!.restore(0)
    assert.deepStrictEqual(keys.map(first).map(({ host }) => host), before.map(({ host }) => host))
  })

  it("ejected nodes get nothing while others are there, their share goes to all others; all ejected, all are used", () => {
    for (const balancing of ["round-robin", "power-of-two"] as const) {
      const { balancer, tracked } = setup(4, balancing)
      tracked[1]!.eject(0, settings, "it is dead")
      const counts = new Map(tracked.map((node) => [node, 0]))
      for (let i = 0; i < 4000; i++) {
        const node = new QueryPlan.QueryPlan(balancer).next()!
        counts.set(node, counts.get(node)! + 1)
      }
      const [a, b, c, d] = tracked.map((node) => counts.get(node)!) as [number, number, number, number]
      assert.strictEqual(b, 0)
      for (const count of [a, c, d]) assert.isTrue(count > 1100 && count < 1600, `${balancing}: ${[a, b, c, d]}`)
      for (const node of tracked) node.eject(0, settings, "it is dead")
      assert.strictEqual(new Set(take(new QueryPlan.QueryPlan(balancer), 4)).size, 4)
    }
  })

  it("a node that returns gets its share by and by", () => {
    const { balancer, state, tracked } = setup(2)
    tracked[0]!.eject(0, settings, "it is dead")
    tracked[0]!.restore(1000)
    const share = (now: number) => {
      state.now = now
      let count = 0
      for (let i = 0; i < 2000; i++) if (new QueryPlan.QueryPlan(balancer).next() === tracked[0]) count++
      return count / 2000
    }
    const [early, middle, late] = [share(1100), share(6000), share(11_000)]
    assert.isTrue(early > 0 && early < 0.06, String(early))
    assert.isTrue(middle > 0.2 && middle < 0.3, String(middle))
    assert.strictEqual(late, 0.5)
  })

  it("power of two prefers whoever is quicker and has less to do", () => {
    const { balancer, tracked } = setup(3, "power-of-two")
    for (const node of tracked) node.observe("answered", 0, 5, settings)
    const counts = new Map(tracked.map((node) => [node, 0]))
    tracked[0]!.outstanding = 50
    tracked[1]!.observe("answered", 0, 100, settings)
    for (let i = 0; i < 3000; i++) {
      const node = new QueryPlan.QueryPlan(balancer).next()!
      counts.set(node, counts.get(node)! + 1)
    }
    const [busy, slow, good] = tracked.map((node) => counts.get(node)!) as [number, number, number]
    assert.isTrue(good > 1900 && busy < 50, `${[busy, slow, good]}`)
  })

  it.each(["limited", "server-error"] as const)("a node that is quick to say no (%s) is not preferred for it", (no) => {
    const { balancer, state, tracked } = setup(3, "power-of-two")
    const never = { ...settings, maxServerErrors: 1e9 }
    const counts = new Map(tracked.map((node) => [node, 0]))
    for (let i = 0; i < 3000; i++) {
      const node = new QueryPlan.QueryPlan(balancer).next()!
      counts.set(node, counts.get(node)! + 1)
      const start = state.now
      state.now += node === tracked[0] ? 0.2 : 4
      node.observe(node === tracked[0] ? no : "answered", start, state.now, never)
    }
    const [refusing, ...others] = tracked.map((node) => counts.get(node)!) as [number, number, number]
    assert.isTrue(refusing > 0 && refusing < 100, `${refusing}, ${others}`)
    // When it takes requests again, it gets its share.
    counts.clear()
    for (let i = 0; i < 30_000; i++) {
      const node = new QueryPlan.QueryPlan(balancer).next()!
      counts.set(node, (counts.get(node) ?? 0) + 1)
      const start = state.now
      state.now += 4
      node.observe("answered", start, state.now, never)
      if (i === 20_000) counts.clear()
    }
    assert.isAbove(counts.get(tracked[0]!) ?? 0, 1000)
  })

  it("nodes that leave in the middle of a request are not tried, those that joined are", () => {
    const { balancer, state, tracked } = setup(3)
    const plan = new QueryPlan.QueryPlan(balancer)
    const first = plan.next()!
    for (const node of tracked) if (node !== first) node.removed = true
    const joined = new NodeHealth.TrackedNode(NodeAddress.make("http", "10.0.0.9", 8000))
    state.nodes = [first, joined]
    assert.strictEqual(plan.next(), joined)
  })

  it("batches go where most of their items belong; ties by URL; the rest sorted", () => {
    const { tracked } = setup(6)
    const sorted = Affinity.sorted("go", tracked) as Array<NodeHealth.TrackedNode>
    const random = new Random(11)
    for (let round = 0; round < 50; round++) {
      const hashes = Array.from({ length: random.below(20) }, () => hash(`key ${random.below(1000)}`))
      const votes = new Map<NodeHealth.TrackedNode, number>()
      for (const one of hashes) {
        const node = Affinity.order("go", one, sorted)[0]!
        votes.set(node, (votes.get(node) ?? 0) + 1)
      }
      const order = QueryPlan.orderByVotes("go", sorted, hashes)
      assert.strictEqual(order.length, 6)
      for (let i = 1; i < order.length; i++) {
        const [a, b] = [votes.get(order[i - 1]!) ?? 0, votes.get(order[i]!) ?? 0]
        assert.isTrue(a > b || (a === b && order[i - 1]!.url < order[i]!.url))
      }
    }
  })
})
