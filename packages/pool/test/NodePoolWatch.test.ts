import type * as NodePool from "@effect-scylla/pool/NodePool"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Option, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { BLOCK_MILLIS, PortBelief } from "../src/internal/portBelief.ts"
import { SHARD_AWARE_PORT } from "./support/node.ts"
import { query, setup, sharded } from "./support/pool.ts"
import { turns, until } from "./support/turns.ts"

const NODE = "10.0.0.1:9042"

describe("PortBelief", () => {
  const make = () => {
    const changes: Array<string> = []
    return { belief: new PortBelief((state) => void changes.push(state)), changes }
  }

  it("blocked for five minutes, then one dial tries it, and decides", () => {
    const { belief, changes } = make()
    for (let i = 0; i < 3; i++) assert.isTrue(belief.enter(0))
    belief.right()
    belief.wrong(1_000)
    assert.isFalse(belief.isOpen)
    assert.isFalse(belief.enter(1_000 + BLOCK_MILLIS - 1))
    assert.isTrue(belief.enter(1_000 + BLOCK_MILLIS))
    assert.isFalse(belief.enter(1_000 + BLOCK_MILLIS), "one at a time")
    belief.wrong(2_000 + BLOCK_MILLIS)
    assert.isFalse(belief.enter(3_000 + BLOCK_MILLIS))
    assert.isTrue(belief.enter(2_000 + 2 * BLOCK_MILLIS))
    belief.right()
    for (let i = 0; i < 3; i++) assert.isTrue(belief.enter(2_000 + 2 * BLOCK_MILLIS))
    assert.deepStrictEqual(changes, ["blocked", "probing", "blocked", "probing", "trusted"])
  })

  it("dials that were under way when it was blocked neither lift the block nor prolong it", () => {
    const { belief, changes } = make()
    for (let i = 0; i < 3; i++) belief.enter(0)
    belief.wrong(0)
    belief.right()
    belief.wrong(10_000)
    assert.deepStrictEqual(changes, ["blocked"])
    assert.isTrue(belief.enter(BLOCK_MILLIS))
  })

  it("a try that says nothing is followed by another one", () => {
    const { belief } = make()
    belief.enter(0)
    belief.wrong(0)
    assert.isTrue(belief.enter(BLOCK_MILLIS))
    belief.undecided()
    assert.strictEqual(belief.state, "probing")
    assert.isTrue(belief.enter(BLOCK_MILLIS))
    assert.isFalse(belief.enter(BLOCK_MILLIS))
  })
})

describe("NodePool: what happens", () => {
  /** All changes from now on. */
  const watch = Effect.fnUntraced(function*(pool: NodePool.NodePool) {
    const changes: Array<NodePool.Change> = []
    yield* Effect.forkScoped(
      Stream.runForEach(pool.changes, (change) => Effect.sync(() => void changes.push(change))),
      { startImmediately: true }
    )
    yield* turns(3)
    return changes
  })

  it.effect("is a stream of changes, in order", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup({ shards: 2, shardAwarePort: SHARD_AWARE_PORT })
      network.judge = () => "refuse"
      const pool = yield* start
      const changes = yield* watch(pool)
      yield* pool.awaitFirst
      network.judge = () => "accept"
      yield* TestClock.adjust("1 second")
      yield* pool.awaitFull
      yield* turns()
      assert.isAtLeast(changes.filter(({ _tag }) => _tag === "DialFailed").length, 1)
      assert.strictEqual(changes.filter(({ _tag }) => _tag === "Up").length, 1)
      const states = (slot: number) =>
        changes.flatMap((change) => change._tag === "Slot" && change.slot === slot ? [change.to] : [])
      assert.deepStrictEqual(states(0).slice(-3), ["Dialing", "Handshaking", "Ready"])
      assert.deepStrictEqual(states(1), ["Dialing", "Handshaking", "Ready"])
      changes.length = 0
      for (const socket of node.open) socket.end()
      yield* turns()
      const lost = changes.flatMap((change) =>
        change._tag === "Slot" && change.to === "Closed" ? [change.reason?._tag] : []
      )
      assert.deepStrictEqual(lost, ["ConnectionLost", "ConnectionLost"])
      const down = changes.find(({ _tag }) => _tag === "Down")
      assert.strictEqual(down?._tag === "Down" ? down.reason?._tag : "", "ConnectionLost")
      node.shards = 3
      yield* TestClock.adjust("1 second")
      assert.deepInclude(changes, { _tag: "Resharded", from: 2, to: 3 })
      // A NAT appears.
      node.nat = (port) => port + 1
      node.open.find(({ shard }) => shard === 2)!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(changes, { _tag: "ShardAwarePort", belief: "blocked" })
    }))

  it.effect("each change of a slot goes on from the one before, whatever happens to the node", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, { shutdownTimeout: 0 })
      const pool = yield* start
      yield* pool.awaitFull
      const states = new Map(pool.stats.slots.map(({ state }, slot) => [slot, state]))
      const told: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(pool.changes, (change) =>
          Effect.sync(() => {
            if (change._tag !== "Slot") return
            const { from, shard, slot, to } = change
            assert.strictEqual(from, states.get(slot) ?? "Idle", `slot ${slot} (shard ${shard}) to ${to}`)
            states.set(slot, to)
            told.push(`${slot} ${shard} ${to}`)
          })),
        { startImmediately: true }
      )
      const settled = Effect.gen(function*() {
        yield* turns()
        yield* TestClock.adjust("1 minute")
        yield* turns()
        assert.isTrue(pool.isFull)
        const expected = pool.stats.slots.map(({ state }) => state)
        assert.deepStrictEqual(expected.map((_, slot) => states.get(slot)), expected)
      })
      yield* turns()
      pool.resize({ perShard: 2 })
      yield* settled
      told.length = 0
      pool.resize({ perNode: 3 })
      yield* turns()
      // As what they were, then as what they are.
      assert.include(told, "15 7 Idle")
      assert.include(told, "2 undefined Ready")
      yield* settled
      pool.resize({ perShard: 1 })
      yield* settled
      node.shards = 3
      node.open[0]!.end()
      yield* settled
      pool.moveTo("10.0.0.2")
      yield* settled
      network.judge = () => "refuse"
      for (const socket of node.open) socket.end()
      yield* TestClock.adjust("10 seconds")
      network.judge = () => "accept"
      yield* settled
    }))

  it.effect("a subscriber that does not read costs nothing but its oldest changes", () =>
    Effect.gen(function*() {
      const { network, start } = yield* setup({}, { reconnect: { base: 1, cap: 1 } })
      network.judge = () => "refuse"
      const pool = yield* start
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(pool.changes, () => Effect.never),
        { startImmediately: true }
      )
      yield* TestClock.adjust("5 seconds")
      assert.isAbove(network.dials.length, 1_000)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("metrics: dials, failures, losses, connections and requests by shard, time of handshakes and in the list", () =>
    Effect.gen(function*() {
      const { close, network, node, start, ticker } = yield* setup(
        { shards: 2 },
        { shutdownTimeout: 0 },
        { limits: { maxInFlight: 2 } }
      )
      let refused = 2
      network.judge = () => refused-- > 0 ? "refuse" : "accept"
      const pool = yield* start
      yield* TestClock.adjust("1 second")
      yield* pool.awaitFull
      node.intercept = (_socket, { request }) => request._tag === "Query"
      for (let i = 0; i < 2; i++) yield* Effect.forkChild(query(pool, 1), { startImmediately: true })
      yield* Effect.forkChild(query(pool, 0), { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      const one = yield* Effect.forkChild(query(pool, 0), { startImmediately: true })
      yield* turns()
      yield* Fiber.interrupt(one)
      yield* TestClock.adjust("2 seconds")
      const read = Effect.map(
        Metric.snapshot,
        (all) => (id: string, shard?: string) =>
          all.find((one) =>
            one.id === id && one.attributes?.["node"] === NODE &&
            (shard === undefined || one.attributes["shard"] === shard)
          )?.state as { readonly value?: number; readonly count?: number; readonly sum?: number }
      )
      const before = yield* read
      assert.strictEqual(Number(before("cql_pool_connections", "0").value), 1)
      assert.strictEqual(Number(before("cql_pool_in_flight", "0").value), 1)
      assert.strictEqual(Number(before("cql_pool_in_flight", "1").value), 2)
      assert.strictEqual(Number(before("cql_pool_orphans", "0").value), 1)
      assert.strictEqual(Number(before("cql_pool_orphans", "1").value), 0)
      assert.strictEqual(Number(before("cql_pool_dials_total").count), pool.stats.dials)
      assert.strictEqual(Number(before("cql_pool_dial_failures_total").count), 2)
      assert.isAtLeast(Number(before("cql_pool_handshake_milliseconds").count), 2)
      assert.strictEqual(Number(before("cql_pool_shard_aware_port").value), 0)
      // All is full, the orphan being one of them: waits for a second until the other connection comes back.
      pool.wait({ onAdmitted() {}, onRefused() {} }, ticker.deadline(60_000))
      yield* TestClock.adjust("1200 millis")
      assert.strictEqual(Number((yield* read)("cql_pool_waiting").value), 1)
      node.open[0]!.end()
      yield* TestClock.adjust("2 seconds")
      const after = yield* read
      assert.strictEqual(Number(after("cql_pool_connections_lost_total").count), 1)
      assert.isAtLeast(Number(after("cql_pool_queue_milliseconds").sum), 1_000)
      yield* close
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(Number((yield* read)("cql_pool_connections", "1").value), 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("metrics: connections in excess, and the shard-aware port that is left alone", () =>
    Effect.gen(function*() {
      const { node, start } = yield* setup(sharded)
      const gauge = (id: string) =>
        Effect.map(
          Metric.snapshot,
          (all) => (all.find((one) => one.id === id)!.state as { readonly value: number }).value
        )
      // A NAT in between, and core 5 has always the fewest.
      node.nat = () => 5
      node.others = Array.from({ length: 8 }, (_, shard) => shard === 5 ? -10_000 : 0)
      const pool = yield* start
      yield* until(() => pool.stats.excess === 8)
      yield* TestClock.adjust("1100 millis")
      assert.strictEqual(yield* gauge("cql_pool_excess"), pool.stats.excess)
      assert.isAbove(pool.stats.excess, 0)
      assert.strictEqual(yield* gauge("cql_pool_shard_aware_port"), 2)
      node.others = []
      yield* TestClock.adjust("1 minute")
      assert.isTrue(pool.isFull)
      assert.strictEqual(yield* gauge("cql_pool_excess"), 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("metrics: where the slots of each shard stand", () =>
    Effect.gen(function*() {
      const { close, network, node, start } = yield* setup({ shards: 2 }, { shutdownTimeout: 0 })
      const slots = Effect.map(Metric.snapshot, (all) =>
        Object.fromEntries(
          all.filter(({ id, state }) => id === "cql_pool_slots" && (state as { readonly value: number }).value > 0)
            .map(({ attributes, state }) => [
              `${attributes?.["node"]} ${attributes?.["shard"]} ${attributes?.["state"]}`,
              (state as { readonly value: number }).value
            ])
        ))
      network.judge = () => "hang"
      const pool = yield* start
      yield* turns()
      assert.deepStrictEqual(yield* slots, { [`${NODE} 0 Dialing`]: 1 })
      pool.resize({ perShard: 2 })
      assert.deepStrictEqual(yield* slots, { [`${NODE} 0 Dialing`]: 1, [`${NODE} 0 Idle`]: 1 })
      pool.resize({ perShard: 1 })
      assert.deepStrictEqual(yield* slots, { [`${NODE} 0 Dialing`]: 1 })
      network.judge = () => "accept"
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* slots, { [`${NODE} 0 Ready`]: 1, [`${NODE} 1 Ready`]: 1 })
      network.judge = () => "hang"
      node.open.find(({ shard }) => shard === 1)!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* slots, { [`${NODE} 0 Ready`]: 1, [`${NODE} 1 Dialing`]: 1 })
      pool.resize({ perNode: 3 })
      yield* turns()
      assert.deepStrictEqual(yield* slots, { [`${NODE} any Ready`]: 1, [`${NODE} any Dialing`]: 2 })
      pool.moveTo("10.0.0.9")
      yield* turns()
      const moved = Object.keys(yield* slots)
      assert.isAtLeast(moved.length, 1)
      assert.isTrue(moved.every((name) => name.startsWith("10.0.0.9:9042 any ")), moved.join())
      yield* close
      assert.deepStrictEqual(yield* slots, {})
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("a span for each dial, where there is a tracer", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const { start } = yield* setup(sharded)
      const pool = yield* Effect.withSpan(start, "startup").pipe(Effect.provideService(Tracer.Tracer, tracer))
      yield* pool.awaitFull
      yield* turns()
      const { name, spanId: startup } = spans.shift()!
      assert.strictEqual(name, "startup")
      assert.strictEqual(spans.length, 8)
      assert.isTrue(spans.every(({ name, status }) => name === "cql.dial" && status._tag === "Ended"))
      assert.strictEqual(spans.filter(({ attributes }) => attributes.get("scylla.shard_aware") === true).length, 7)
      assert.strictEqual(spans[0]!.attributes.get("server.address"), "10.0.0.1")
      // What the pool was made in is soon over.
      const belongs = spans.map(({ links, parent }) => Option.getOrUndefined(parent) ?? links[0]?.span)
      assert.deepStrictEqual([...new Set(belongs.map((span) => span?.spanId))], [startup])
    }))

  it.effect("dials are part of the span that asked for the pool as long as that lasts, and have a link to it later", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const { node, start } = yield* setup(sharded)
      const pool = yield* Effect.tap(start, (pool) => pool.awaitFull).pipe(
        Effect.withSpan("startup"),
        Effect.provideService(Tracer.Tracer, tracer)
      )
      const [startup, ...dials] = spans
      assert.strictEqual(dials.length, 8)
      assert.isTrue(dials.every(({ parent }) => Option.getOrUndefined(parent) === startup))
      assert.isTrue(dials.every(({ traceId }) => traceId === startup!.traceId))
      node.open[0]!.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      const later = spans.at(-1)!
      assert.strictEqual(spans.length, 10)
      assert.isTrue(Option.isNone(later.parent))
      assert.notStrictEqual(later.traceId, startup!.traceId)
      assert.deepStrictEqual(later.links.map(({ span }) => span), [startup!])
      // Where nobody asked for it there is nothing to belong to.
      const other = yield* setup({})
      yield* Effect.tap(other.start, (pool) => pool.awaitFull).pipe(Effect.provideService(Tracer.Tracer, tracer))
      assert.strictEqual(spans.length, 11)
      assert.deepStrictEqual([spans.at(-1)!.parent, spans.at(-1)!.links], [Option.none(), []])
    }))

  it.effect("a local port is not used again as long as there are others that rest", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, { localPorts: { from: 50_000, to: 50_039 } })
      const pool = yield* start
      yield* pool.awaitFull
      for (let i = 0; i < 4; i++) {
        node.open.find(({ shard }) => shard === 3)!.end()
        yield* until(() => !pool.isFull)
        // Long enough for the delays to begin anew, and less than ports rest.
        yield* TestClock.adjust("11 seconds")
        assert.isTrue(pool.isFull)
      }
      const ports = network.dials.flatMap(({ localPort = 0 }) => localPort % 8 === 3 ? [localPort] : [])
      assert.strictEqual(ports.length, 5)
      assert.strictEqual(new Set(ports).size, 5)
    }))

  it.effect("local ports of a share, and those that were closed a minute ago last", () =>
    Effect.gen(function*() {
      const { network, node, start } = yield* setup(sharded, { localPorts: { from: 50_000, to: 50_015 } })
      const pool = yield* start
      yield* pool.awaitFull
      const aware = () => network.dials.flatMap(({ localPort }) => localPort === undefined ? [] : [localPort])
      assert.isTrue(aware().every((port) => port >= 50_000 && port <= 50_015))
      // Two ports for each shard: they take turns.
      const socket = node.open.find(({ localPort, shard }) => shard === 3 && localPort! >= 50_000)!
      socket.end()
      yield* until(() => !pool.isFull)
      yield* TestClock.adjust(100)
      assert.isTrue(pool.isFull)
      const next = aware().at(-1)!
      assert.strictEqual(next % 8, 3)
      assert.notStrictEqual(next, socket.localPort)
    }))
})
