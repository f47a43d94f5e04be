import { AlternatorNodes, RoutingScope } from "@effect-scylla/alternator"
import * as AlternatorSimulation from "@effect-scylla/testkit/AlternatorSimulation"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Random } from "../../../test/support/random.ts"
import { hosts, logged, looks, start, three } from "./support/nodes.ts"

describe("AlternatorNodes", () => {
  it.effect("D1: asks before the first request", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation)
      assert.isFalse(nodes.isReady())
      assert.deepStrictEqual(hosts(yield* nodes.awaitReady), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      assert.strictEqual(looks(simulation), 1)
      assert.isTrue(nodes.isReady())
    }))

  it.effect("looks each active interval while there are requests, each idle interval when there are none, wakes at once", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation)
      yield* nodes.awaitReady
      assert.strictEqual(looks(simulation), 1)
      // Busy: at 1, 2, … 10 seconds.
      for (let second = 1; second <= 10; second++) {
        nodes.touch()
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(looks(simulation), second)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(looks(simulation), second + 1)
      }
      // Not a request since: active until a minute after the last was seen, then once a minute.
      yield* TestClock.adjust("60 seconds")
      const quiet = looks(simulation)
      assert.strictEqual(quiet, 71)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(looks(simulation), quiet)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(looks(simulation), quiet + 1)
      yield* TestClock.adjust("20 seconds")
      nodes.touch()
      yield* TestClock.adjust(0)
      assert.strictEqual(looks(simulation), quiet + 2)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(looks(simulation), quiet + 3)
    }))

  it.effect("D2: a candidate that takes the request and says nothing is passed by, and given up", () =>
    Effect.gen(function*() {
      const simulation = three()
      simulation.node("10.0.0.1").condition = "silent"
      const nodes = yield* start(simulation, { seeds: ["10.0.0.1", "10.0.0.2"] })
      const ready = yield* Effect.forkChild(nodes.awaitReady, { startImmediately: true })
      yield* TestClock.adjust("249 millis")
      assert.isFalse(nodes.isReady())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(ready)).nodes.length, 3)
      // The rest of the look has its end too, and nothing is left under way.
      yield* nodes.shutdown
      assert.strictEqual(simulation.underWay(), 0)
    }))

  it.effect("one look has one deadline, however many candidates are silent", () =>
    Effect.gen(function*() {
      const simulation = three()
      for (const node of simulation.nodes) node.condition = "silent"
      const nodes = yield* start(simulation, { seeds: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] })
      const ready = yield* Effect.forkChild(nodes.awaitReady, { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.isFalse(nodes.isReady())
      yield* TestClock.adjust("1 millis")
      const snapshot = yield* Fiber.join(ready)
      assert.isFalse(snapshot.isDiscovered)
      assert.strictEqual(snapshot.nodes.length, 3)
      simulation.node("10.0.0.2").condition = "up"
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(nodes.current().isDiscovered)
    }))

  it.effect("D3: with all seeds dead, live nodes are asked", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation)
      yield* nodes.awaitReady
      simulation.node("10.0.0.1").condition = "refusing"
      simulation.add({ host: "10.0.0.4" })
      yield* TestClock.adjust("2 seconds")
      assert.include(hosts(nodes.current()), "10.0.0.4")
    }))

  it.effect("R22: all candidates dead: the list is kept, with its age, and said once", () =>
    logged((lines) =>
      Effect.gen(function*() {
        const simulation = three()
        const nodes = yield* start(simulation)
        yield* nodes.awaitReady
        for (const node of simulation.nodes) node.condition = "refusing"
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(nodes.current().nodes.length, 3)
        assert.deepStrictEqual(yield* nodes.age, Option.some(Duration.seconds(30)))
        const warnings = lines.filter((line) => line.includes("not known"))
        assert.strictEqual(warnings.length, 1, lines.join("\n"))
        for (const node of simulation.nodes) node.condition = "up"
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual(yield* nodes.age, Option.some(Duration.zero))
        assert.strictEqual(lines.filter((line) => line.includes("works again")).length, 1)
      })
    ))

  it.effect("D7: one look that fails does not end discovery", () =>
    Effect.gen(function*() {
      const simulation = three()
      for (const node of simulation.nodes) node.localNodes = { status: 500, body: "[]" }
      const nodes = yield* start(simulation)
      yield* nodes.awaitReady
      assert.isFalse(nodes.current().isDiscovered)
      for (const node of simulation.nodes) node.localNodes = undefined
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(nodes.current().nodes.length, 3)
    }))

  it.effect("D7: functions of the user's that throw end nothing", () =>
    logged((lines) =>
      Effect.gen(function*() {
        const simulation = three()
        let isBroken = true
        const fail = () => {
          throw new Error("oops")
        }
        const nodes = yield* start(simulation, {
          seeds: ["db.example.com", "10.0.0.1"],
          translate: (address) => isBroken ? fail() : address,
          resolve: () => isBroken ? fail() : Effect.succeed(["10.0.0.2"])
        })
        yield* nodes.awaitReady
        assert.isFalse(nodes.current().isDiscovered)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(lines.filter((line) => line.includes("oops")).length, 1)
        isBroken = false
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      })
    ))

  it.effect("D8: listed IPv6 addresses are nodes", () =>
    Effect.gen(function*() {
      const simulation = AlternatorSimulation.make({ nodes: [{ host: "2001:db8::1" }, { host: "2001:db8::2" }] })
      const nodes = yield* start(simulation, { seeds: ["[2001:db8::1]:8000"] })
      yield* nodes.awaitReady
      assert.deepStrictEqual(nodes.current().nodes.map(({ url }) => url), [
        "http://[2001:db8::1]:8000",
        "http://[2001:db8::2]:8000"
      ])
    }))

  it.effect("D10: a list is believed with status 200 only", () =>
    Effect.gen(function*() {
      const simulation = three()
      simulation.node("10.0.0.1").localNodes = { status: 500, body: JSON.stringify(["10.9.9.9"]) }
      const nodes = yield* start(simulation, { seeds: ["10.0.0.1", "10.0.0.2"] })
      yield* nodes.awaitReady
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      assert.deepStrictEqual(simulation.strangers, [])
    }))

  it.effect("a list in another order, or with duplicates, is no change", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation)
      yield* nodes.awaitReady
      const { version } = nodes.current()
      for (const node of simulation.nodes) {
        node.localNodes = {
          status: 200,
          body: JSON.stringify(["10.0.0.3", "10.0.0.1", " 10.0.0.2 ", "10.0.0.1"])
        }
      }
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(nodes.current().version, version)
    }))

  it.effect("answers that are no lists of addresses change nothing", () =>
    Effect.gen(function*() {
      const bodies = [
        "",
        "healthy: 10.0.0.1:8000",
        "{}",
        "null",
        "[1, null, {}]",
        '[["10.9.9.9"]]',
        '"10.9.9.9"',
        '["1b2c3d4e-5f60-4a7b-8c9d-0123456789ab"]',
        '["0.0.0.0"]',
        '["::"]',
        '["10.9.9.9:8000"]',
        '["http://10.9.9.9"]',
        '["10.9.9.9/evil"]',
        '["user@10.9.9.9"]',
        '["10.9.9"]',
        '["fe80::1%eth0"]',
        '[""]',
        JSON.stringify(Array.from({ length: 5000 }, (_, i) => `10.9.${i >> 8}.${i & 255}`)),
        `["${"a".repeat(2_000_000)}"]`
      ]
      for (const body of bodies) {
        const simulation = three()
        const nodes = yield* start(simulation)
        yield* nodes.awaitReady
        for (const node of simulation.nodes) node.localNodes = { status: 200, body }
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"], body.slice(0, 60))
        yield* nodes.shutdown
      }
    }))

  it.effect("fuzzed lists: a node is an address, whatever a server says, and nothing dies", () =>
    Effect.gen(function*() {
      const random = new Random(20261121)
      const simulation = three()
      const nodes = yield* start(simulation)
      yield* nodes.awaitReady
      const good = JSON.stringify(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      for (let round = 0; round < 300; round++) {
        const bytes = Buffer.from(good)
        for (let edits = 1 + random.below(4); edits > 0; edits--) bytes[random.below(bytes.length)] = random.below(256)
        const cut = random.below(3) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes
        for (const node of simulation.nodes) node.localNodes = { status: 200, body: cut }
        yield* TestClock.adjust("1 seconds")
        nodes.touch()
        assert.isAbove(nodes.current().nodes.length, 0)
        for (const { host } of nodes.current().nodes) assert.match(host, /^[0-9a-z.:_-]+$/, cut.toString())
      }
      for (const node of simulation.nodes) node.localNodes = undefined
      yield* TestClock.adjust("70 seconds")
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    }))

  it.effect("an entry that is no address is left out, and said once", () =>
    logged((lines) =>
      Effect.gen(function*() {
        const simulation = three()
        for (const node of simulation.nodes) {
          node.localNodes = {
            status: 200,
            body: JSON.stringify(["10.0.0.1", "1b2c3d4e-5f60-4a7b-8c9d-0123456789ab"])
          }
        }
        const nodes = yield* start(simulation)
        yield* nodes.awaitReady
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1"])
        assert.strictEqual(lines.filter((line) => line.includes("no addresses")).length, 1)
      })
    ))

  it.effect("R8: static mode uses the seeds and asks nobody", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation, { seeds: ["10.0.0.1", "10.0.0.2:9000"], discovery: "static" })
      assert.isTrue(nodes.isReady())
      yield* nodes.awaitReady
      yield* TestClock.adjust("10 minutes")
      yield* nodes.refresh
      assert.strictEqual(looks(simulation), 0)
      assert.deepStrictEqual(nodes.current().nodes.map(({ url }) => url), [
        "http://10.0.0.1:8000",
        "http://10.0.0.2:9000"
      ])
    }))

  it.effect("R8, R17: bad options fail with one error that names every field", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(start(three(), {
        seeds: ["10.0.0.1/path", ""],
        scheme: "ftp",
        port: 0,
        activeInterval: 0,
        idleInterval: "-1 seconds",
        discoveryTimeout: Infinity,
        widenAfter: 0.5,
        scope: RoutingScope.rack("dc1", " "),
        health: { maxLosses: 0 }
      }))
      assert.strictEqual(error.reason._tag, "ConfigInvalid")
      if (error.reason._tag !== "ConfigInvalid") return
      assert.deepStrictEqual(error.reason.issues.map(({ field }) => field).toSorted(), [
        "activeInterval",
        "discoveryTimeout",
        "health.maxLosses",
        "idleInterval",
        "port",
        "scheme",
        "scope",
        "seeds",
        "seeds",
        "widenAfter"
      ])
    }))

  it.effect("R10: the end of a look and changes of the nodes can be awaited", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation)
      yield* nodes.awaitReady
      const four = yield* Effect.forkChild(nodes.awaitNodes(({ nodes }) => nodes.length === 4), {
        startImmediately: true
      })
      const sizes = yield* Effect.forkChild(
        nodes.changes.pipe(Stream.map(({ nodes }) => nodes.length), Stream.take(3), Stream.runCollect),
        { startImmediately: true }
      )
      yield* TestClock.adjust("3 seconds")
      simulation.add({ host: "10.0.0.4" })
      yield* nodes.refresh
      assert.strictEqual((yield* Fiber.join(four)).nodes.length, 4)
      simulation.node("10.0.0.2").isListed = false
      yield* nodes.refresh
      assert.deepStrictEqual(yield* Fiber.join(sizes), [3, 4, 3])
    }))

  it.effect("R20: one look at a time, however many ask for one", () =>
    Effect.gen(function*() {
      const simulation = three()
      for (const node of simulation.nodes) node.delay = "100 millis"
      const nodes = yield* start(simulation)
      const asking = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 50 }, () => nodes.refresh), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(asking)
      assert.isAtMost(looks(simulation), 2)
    }))

  it.effect("R25: shutdown is awaited, may be repeated by several, and leaves the nodes and nothing else", () =>
    Effect.gen(function*() {
      const simulation = three()
      const scope = yield* Scope.make()
      const nodes = yield* Scope.provide(start(simulation), scope)
      yield* nodes.awaitReady
      for (const node of simulation.nodes) node.condition = "silent"
      yield* TestClock.adjust("1 seconds")
      assert.isAbove(simulation.underWay(), 0)
      yield* Effect.all([nodes.shutdown, nodes.shutdown, nodes.shutdown], { concurrency: "unbounded" })
      assert.strictEqual(simulation.underWay(), 0)
      const before = looks(simulation)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(looks(simulation), before)
      assert.strictEqual(nodes.current().nodes.length, 3)
      assert.isTrue(nodes.isReady())
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect("a seed's name stands for all its addresses, and is asked again", () =>
    Effect.gen(function*() {
      const simulation = three()
      simulation.node("10.0.0.1").condition = "refusing"
      let addresses = ["10.0.0.1", "10.0.0.2"]
      let lookups = 0
      const nodes = yield* start(simulation, {
        seeds: ["db.example.com:8000"],
        resolve: () => Effect.sync(() => (lookups++, addresses))
      })
      yield* nodes.awaitReady
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      assert.deepStrictEqual(nodes.current().nodes.map(({ servername }) => servername), [
        "db.example.com",
        "db.example.com",
        undefined
      ])
      addresses = ["10.0.0.3"]
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(lookups, 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(lookups, 2)
    }))

  it.effect("in static mode a seed's name is looked up again, and nodes that left it are left", () =>
    Effect.gen(function*() {
      const simulation = three()
      let addresses: ReadonlyArray<string> = ["10.0.0.2", "10.0.0.1"]
      const nodes = yield* start(simulation, {
        seeds: ["db.example.com"],
        discovery: "static",
        resolve: () => Effect.sync(() => addresses)
      })
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2"])
      const [kept] = nodes.current().nodes
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual(nodes.current().version, 0, "the same addresses are no change")
      addresses = ["10.0.0.3", "10.0.0.1"]
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.3"])
      assert.strictEqual(nodes.current().nodes[0], kept)
      assert.deepStrictEqual(simulation.retired, ["http://10.0.0.2:8000"])
      addresses = []
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(nodes.current().nodes.length, 2, "a resolver that knows nothing takes nothing away")
      assert.strictEqual(looks(simulation), 0)
    }))

  it.effect("a resolver that hangs is waited for once for all names, and not again at each look", () =>
    Effect.gen(function*() {
      const simulation = three()
      let asked = 0
      const starting = yield* Effect.forkChild(
        start(simulation, {
          seeds: ["a.example.com", "b.example.com", "c.example.com", "10.0.0.1"],
          resolve: () =>
            Effect.suspend(() => {
              asked++
              return Effect.never
            })
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("2 seconds")
      const nodes = yield* Fiber.join(starting)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      assert.strictEqual(asked, 3)
      const before = looks(simulation)
      for (let i = 0; i < 20; i++) {
        nodes.touch()
        yield* TestClock.adjust("1 seconds")
      }
      assert.isAtLeast(looks(simulation) - before, 12)
      assert.isAtMost(asked, 3 + 3 * 3)
    }))

  it.effect("R6, R16: clients get the same nodes, made once, and none at all is said to whoever waits", () =>
    Effect.gen(function*() {
      const simulation = three()
      for (const node of simulation.nodes) node.condition = "silent"
      const nodes = yield* start(simulation, { discoveryTimeout: "700 millis" })
      const waiting = yield* Effect.forkChild(nodes.awaitReady, { startImmediately: true })
      yield* TestClock.adjust("700 millis")
      const first = yield* Fiber.join(waiting)
      // Balancing goes on over the seeds, and says that nobody confirmed them.
      assert.isFalse(first.isDiscovered)
      assert.deepStrictEqual(hosts(first), ["10.0.0.1"])
      for (const node of simulation.nodes) node.condition = "up"
      nodes.touch()
      yield* TestClock.adjust("2 seconds")
      const found = nodes.current()
      assert.strictEqual(found.nodes.length, 3)
      for (let i = 0; i < 10; i++) {
        nodes.touch()
        yield* TestClock.adjust("1 seconds")
      }
      assert.isAbove(looks(simulation), 5)
      assert.strictEqual(nodes.current(), found, "looks that find the same make nothing")
    }))

  it.effect("when the nodes are closed before the first look has ended, nobody waits for it", () =>
    Effect.gen(function*() {
      const simulation = three()
      for (const node of simulation.nodes) node.condition = "silent"
      const scope = yield* Scope.make()
      const nodes = yield* Scope.provide(start(simulation), scope)
      const waiting = yield* Effect.forkChild(nodes.awaitReady, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(waiting)
      assert.isTrue(nodes.isReady())
    }))

  it.effect("listed nodes are reached where translate says", () =>
    Effect.gen(function*() {
      const simulation = AlternatorSimulation.make({ nodes: [{ host: "192.168.0.1" }, { host: "192.168.0.2" }] })
      for (const node of simulation.nodes) {
        node.localNodes = { status: 200, body: JSON.stringify(["10.0.0.1", "10.0.0.2"]) }
      }
      const nodes = yield* start(simulation, {
        seeds: ["192.168.0.1"],
        translate: ({ host, port }) => ({ host: host.replace("10.0", "192.168"), port: port + 1 })
      })
      yield* nodes.awaitReady
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(nodes.current().nodes.map(({ url }) => url), [
        "http://192.168.0.1:8001",
        "http://192.168.0.2:8001"
      ])
      assert.deepStrictEqual(simulation.strangers, [])
    }))

  it.effect("a node that is new is probed before it gets requests; one that leaves has its connections closed", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation)
      yield* nodes.awaitReady
      const added = simulation.add({ host: "10.0.0.4" })
      added.condition = "refusing"
      yield* TestClock.adjust("1 seconds")
      const node = nodes.current().nodes.find(({ host }) => host === "10.0.0.4")!
      assert.isTrue(node.isEjected)
      added.condition = "up"
      yield* TestClock.adjust("2 seconds")
      assert.isFalse(node.isEjected)
      assert.strictEqual(added.requests.health, 1)
      assert.isTrue(node.isWarming)
      added.isListed = false
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(node.removed)
      assert.deepStrictEqual(simulation.retired, [node.url])
    }))

  it.effect("a node is ejected at once when it is unreachable, after some losses, after more errors; probes bring it back", () =>
    Effect.gen(function*() {
      const simulation = three()
      const nodes = yield* start(simulation)
      const [a, b, c] = (yield* nodes.awaitReady).nodes as [any, any, any]
      for (const node of simulation.nodes) node.condition = "refusing"
      nodes.observe(a, "unreachable", nodes.now())
      assert.isTrue(a.isEjected)
      for (let i = 0; i < 2; i++) nodes.observe(b, "timeout", nodes.now())
      assert.isFalse(b.isEjected)
      nodes.observe(b, "answered", nodes.now())
      for (let i = 0; i < 3; i++) nodes.observe(b, "lost", nodes.now())
      assert.isTrue(b.isEjected)
      for (let i = 0; i < 5; i++) nodes.observe(c, "server-error", nodes.now())
      assert.isTrue(c.isEjected)
      // Probes at 1, 1 + 2, 3 + 4 … seconds; at most 30 seconds apart.
      yield* TestClock.adjust("10 minutes")
      assert.isTrue(a.isEjected)
      for (const node of simulation.nodes) node.condition = "up"
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual([a, b, c].map((node) => node.isEjected), [false, false, false])
    }))

  it.effect("D6: looks by itself, comes back to its seeds, probes more than once, asks for names as they are", () =>
    Effect.gen(function*() {
      const simulation = AlternatorSimulation.make({
        nodes: [{ host: "10.0.0.1", datacenter: "a&b=c d", rack: "é/1" }, { host: "10.0.0.2", datacenter: "x" }]
      })
      const nodes = yield* start(simulation, { scope: RoutingScope.rack("a&b=c d", "é/1") })
      yield* nodes.awaitReady
      assert.deepStrictEqual(hosts(nodes.current()), ["10.0.0.1"])
      // The nodes move; only the seed knows where to.
      const moved = three()
      const again = yield* start(moved, { seeds: ["10.0.0.1"] })
      yield* again.awaitReady
      for (const host of ["10.0.0.2", "10.0.0.3"]) moved.node(host).condition = "refusing"
      for (const host of ["10.0.0.2", "10.0.0.3"]) moved.node(host).isListed = false
      moved.add({ host: "10.0.0.7" })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(hosts(again.current()), ["10.0.0.1", "10.0.0.7"])
      const [node] = again.current().nodes
      for (let round = 0; round < 3; round++) {
        again.observe(node!, "unreachable", again.now())
        assert.isTrue(node!.isEjected)
        yield* TestClock.adjust("30 seconds")
        assert.isFalse(node!.isEjected)
      }
    }))

  it.effect("R14: clients that share the nodes share one loop", () =>
    Effect.gen(function*() {
      const simulation = three()
      const built = yield* Deferred.make<AlternatorNodes.AlternatorNodes>()
      const use = Effect.gen(function*() {
        const nodes = yield* AlternatorNodes.AlternatorNodes
        yield* nodes.awaitReady
        yield* Deferred.succeed(built, nodes)
        assert.strictEqual(nodes, yield* Deferred.await(built))
      })
      yield* Effect.all([use, use, use], { concurrency: "unbounded" }).pipe(
        Effect.provide(AlternatorNodes.layer({ seeds: "10.0.0.1" })),
        Effect.provide(simulation.layer)
      )
      assert.strictEqual(looks(simulation), 1)
    }))
})
