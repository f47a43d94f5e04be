import { RoutingScope } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { hosts, logged, looks, start, two } from "./support/nodes.ts"

describe("RoutingScope", () => {
  it.effect("the whole cluster, from a seed in each datacenter, or by the datacenters' names from any node", () =>
    Effect.gen(function*() {
      const all = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.1"]
      const bySeeds = yield* start(two(), { seeds: ["10.0.0.2", "10.1.0.1"] })
      yield* bySeeds.awaitReady
      yield* bySeeds.refresh
      assert.deepStrictEqual(hosts(bySeeds.current()), all)
      const simulation = two()
      const byNames = yield* start(simulation, { scope: RoutingScope.cluster(["dc1", "dc2"]) })
      yield* byNames.awaitReady
      assert.deepStrictEqual(hosts(byNames.current()), all)
      assert.deepStrictEqual(byNames.current().nodes.map(({ datacenter }) => datacenter), ["dc1", "dc1", "dc1", "dc2"])
    }))

  it.effect("a datacenter of which nobody answers stays as it was", () =>
    Effect.gen(function*() {
      const simulation = two()
      const nodes = yield* start(simulation, { seeds: ["10.0.0.1", "10.1.0.1"] })
      yield* nodes.awaitReady
      yield* nodes.refresh
      simulation.node("10.1.0.1").condition = "silent"
      simulation.add({ host: "10.0.0.9", datacenter: "dc1" })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "10.1.0.1"])
    }))

  it.effect("any node answers for any datacenter", () =>
    Effect.gen(function*() {
      const nodes = yield* start(two(), { seeds: ["10.0.0.1"], scope: RoutingScope.datacenter("dc2") })
      yield* nodes.awaitReady
      assert.deepStrictEqual(hosts(nodes.current()), ["10.1.0.1"])
    }))

  it.effect("a rack that empties falls back after two looks, and is used again when it has nodes", () =>
    logged((lines) =>
      Effect.gen(function*() {
        const simulation = two()
        const scope = RoutingScope.rack("dc1", "r2").pipe(RoutingScope.orElse(RoutingScope.datacenter("dc1")))
        const nodes = yield* start(simulation, { scope })
        yield* nodes.awaitReady
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.3"])
        assert.strictEqual(nodes.current().nodes[0]!.rack, "r2")
        simulation.node("10.0.0.3").isListed = false
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.3"])
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2"])
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(lines.filter((line) => line.includes("rack(dc1, r2) has no nodes")).length, 1)
        simulation.node("10.0.0.3").isListed = true
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.3"])
      })
    ))

  it.effect("D12: failures widen no scope, and every candidate is tried before a scope is given up", () =>
    Effect.gen(function*() {
      const simulation = two()
      const scope = RoutingScope.rack("dc1", "r2").pipe(RoutingScope.orElse(RoutingScope.cluster()))
      const nodes = yield* start(simulation, { seeds: ["10.0.0.9", "10.0.0.1"], scope })
      simulation.add({ host: "10.0.0.9" }).condition = "refusing"
      yield* nodes.awaitReady
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.3"])
      for (const node of simulation.nodes) node.condition = "refusing"
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.3"])
    }))

  it.effect("servers that ignore dc and rack: a narrow scope falls back with one warning, or fails typed", () =>
    logged((lines) =>
      Effect.gen(function*() {
        const simulation = two()
        for (const node of simulation.nodes) node.filters = []
        const refused = yield* start(simulation, { scope: RoutingScope.datacenter("dc2") })
        const error = yield* Effect.flip(refused.awaitReady)
        assert.strictEqual(error.reason._tag, "ScopeUnsupported")
        assert.include(error.message, "orElse")
        yield* refused.shutdown

        const scope = RoutingScope.datacenter("dc2").pipe(RoutingScope.orElse(RoutingScope.cluster()))
        const nodes = yield* start(simulation, { scope })
        yield* nodes.awaitReady
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        assert.strictEqual(lines.filter((line) => line.includes("datacenter(dc2) has no nodes")).length, 1)

        // The servers are upgraded; what one filters by is asked again within the hour.
        for (const node of simulation.nodes) node.filters = ["dc", "rack"]
        yield* TestClock.adjust("61 minutes")
        nodes.touch()
        yield* TestClock.adjust("61 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.1.0.1"])
      })
    ))

  it.effect("a list of a node that ignores the filter never enters a narrow scope", () =>
    Effect.gen(function*() {
      const simulation = two()
      simulation.node("10.0.0.1").filters = []
      const nodes = yield* start(simulation, {
        seeds: ["10.0.0.1", "10.0.0.2"],
        scope: RoutingScope.rack("dc1", "r2")
      })
      yield* nodes.awaitReady
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.3"])
    }))

  it.effect("R23: affinity has every rack of the datacenter; equal questions of both views are asked once", () =>
    Effect.gen(function*() {
      const simulation = two()
      const scope = RoutingScope.rack("dc1", "r2").pipe(
        RoutingScope.orElse(RoutingScope.rack("dc2", "r7")),
        RoutingScope.orElse(RoutingScope.cluster())
      )
      assert.strictEqual(
        RoutingScope.format(RoutingScope.forAffinity(scope)),
        "datacenter(dc1) -> datacenter(dc2) -> cluster"
      )
      const nodes = yield* start(simulation, { scope })
      nodes.useAffinity()
      yield* nodes.awaitReady
      yield* nodes.refresh
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.3"])
      assert.deepStrictEqual(nodes.current().affinityNodes.map(({ host }) => host), [
        "10.0.0.1",
        "10.0.0.2",
        "10.0.0.3"
      ])
      // The rack is empty: both views ask for the datacenter, which is one question.
      const narrow = RoutingScope.rack("dc1", "r9").pipe(RoutingScope.orElse(RoutingScope.datacenter("dc1")))
      const shared = two()
      const fallen = yield* start(shared, { scope: narrow })
      fallen.useAffinity()
      yield* fallen.awaitReady
      // Each node is asked once what it filters by.
      for (let i = 0; i < 8; i++) yield* fallen.refresh
      const before = looks(shared)
      yield* fallen.refresh
      assert.strictEqual(looks(shared) - before, 3, "two for the empty rack, one for the datacenter")
    }))
})
