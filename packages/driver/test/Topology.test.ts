/** A cluster that changes: what is read again, what is kept, and how the control connection finds another node. */
import type { CqlClient } from "@effect-scylla/driver"
import type { Transport } from "@effect-scylla/pool"
import { Frame, ServerError } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { staggered } from "../src/internal/staggered.ts"
import { clientOf, passing, settle, withoutEvents, world } from "./support/world.ts"

const make = (options: SimulatedCluster.Options = {}) =>
  SimulatedCluster.make({ nodes: 3, shards: 1, transport: "memory", ...options })

/** Dials of these addresses have no answer. */
const hanging = (cluster: SimulatedCluster.SimulatedCluster, addresses: ReadonlySet<string>, dialled: Array<string>) =>
  ({
    dial: (endpoint) => {
      dialled.push(endpoint.address)
      return addresses.has(endpoint.address) ? Effect.never : cluster.transport.dial(endpoint)
    }
  }) satisfies Transport.Transport

/** Nodes that are asked for what a control connection wants to know. */
const registered = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster) {
  const seen: Array<number> = []
  yield* cluster.intercept(({ node, opcode }) => {
    if (opcode === Frame.Opcode.REGISTER) seen.push(node)
    return undefined
  })
  return seen
})

describe("the control connection", () => {
  it.effect("is not held up by contact points that do not answer", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const begun = yield* Clock.currentTimeMillis
      const gone = new Set(["10.0.0.1", "10.0.0.2"])
      const dialled: Array<string> = []
      const cql = yield* passing(
        clientOf(cluster, { contactPoints: [...gone, ...cluster.contactPoints] }, hanging(cluster, gone, dialled))
      )
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 3_000)
      assert.deepStrictEqual(dialled.slice(0, 3), ["10.0.0.1", "10.0.0.2", "127.0.0.1"])
      yield* passing(cql.execute("SELECT key FROM system.local"))
    }))

  it.effect("is with another node within a second of a death, though the next one is dead as well", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ nodes: 4 })
      const gone = new Set<string>()
      const dialled: Array<string> = []
      const cql = yield* passing(clientOf(cluster, {}, hanging(cluster, gone, dialled)))
      yield* passing(cql.awaitConnected)
      for (let round = 0; round < 6; round++) {
        const seen = yield* registered(cluster)
        const first = cluster.nodes.find(({ index }) => index === 0)
        gone.add(first!.address)
        yield* cluster.stop(0)
        for (let i = 0; i < 9 && seen.length === 0; i++) yield* TestClock.adjust("100 millis")
        // Where it was not with the node that died, it stays.
        assert.isFalse(seen.includes(0))
        gone.delete(first!.address)
        yield* cluster.start(0)
        yield* passing(cql.awaitConnected)
        yield* passing(
          cql.execute(
            `CREATE KEYSPACE k${round} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
          )
        )
      }
    }))

  it.effect("finds the nodes by the contact points when all of them have moved while it was away", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const cql = yield* passing(clientOf(cluster))
      yield* passing(cql.awaitConnected)
      const hosts = new Map(cql.cluster().nodes.map(({ hostId, pool }) => [hostId, pool]))
      yield* withoutEvents(cluster)
      for (const index of [0, 1, 2]) yield* cluster.stop(index)
      for (const index of [1, 2]) yield* cluster.relocate(index, `127.0.1.${index + 1}`)
      for (const index of [0, 1, 2]) yield* cluster.start(index)
      yield* passing(Effect.sleep("30 seconds"))
      yield* passing(cql.awaitConnected)
      const { nodes } = cql.cluster()
      assert.deepStrictEqual(nodes.map(({ address }) => address).sort(), ["127.0.0.1", "127.0.1.2", "127.0.1.3"])
      for (const { hostId, pool } of nodes) assert.strictEqual(pool, hosts.get(hostId), "the same node, the same pool")
    }))

  it.effect("does without the events that a server does not know", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const asked: Array<ReadonlyArray<string>> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Register") return undefined
        asked.push([...request.events])
        return request.events.includes("TOPOLOGY_CHANGE")
          ? { _tag: "Error", error: new ServerError.ProtocolError({ code: 10, message: "no such event" }) }
          : undefined
      })
      yield* passing(clientOf(cluster))
      assert.deepStrictEqual(asked, [
        ["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"],
        ["TOPOLOGY_CHANGE"],
        ["STATUS_CHANGE"],
        ["SCHEMA_CHANGE"]
      ])
      yield* cluster.intercept(({ request }) =>
        request._tag === "Register"
          ? { _tag: "Error", error: new ServerError.ProtocolError({ code: 10, message: "no events at all" }) }
          : undefined
      )
      const error = yield* passing(Effect.flip(clientOf(cluster)))
      assert.include(error.message, "no events at all")
    }))
})

describe("a look at the cluster", () => {
  it.effect("is taken once in a while, though nobody says that anything has changed", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      yield* withoutEvents(cluster)
      const cql = yield* passing(clientOf(cluster, { refreshInterval: "1 minute" }))
      const other = yield* passing(clientOf(cluster, { refreshInterval: false }))
      yield* passing(cql.awaitConnected)
      yield* cluster.relocate(2, "127.0.1.3")
      yield* passing(Effect.sleep("80 seconds"))
      const addressOf = (cql: CqlClient.CqlClient) => cql.cluster().hosts.get(String(cluster.nodes[2]!.hostId))!.address
      assert.strictEqual(addressOf(cql), "127.0.1.3")
      assert.strictEqual(addressOf(other), "127.0.0.3")
    }))

  it.effect("that finds nothing new keeps the snapshot, and one that finds a new address keeps the ring", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 3 })
      const before = cql.cluster()
      yield* cluster.announce({ type: "TOPOLOGY_CHANGE", change: "NEW_NODE", address: "127.0.0.9" })
      yield* passing(Effect.sleep("3 seconds"))
      assert.strictEqual(cql.cluster(), before)
      yield* passing(
        cql.execute(
          "CREATE KEYSPACE more WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} AND tablets = {'enabled': false}"
        )
      )
      const more = cql.cluster()
      assert.strictEqual(more.ring, before.ring)
      assert.strictEqual(more.keyspaces.get("ks")!.replicas, before.keyspaces.get("ks")!.replicas)
      yield* cluster.relocate(1, "127.0.1.2")
      yield* passing(Effect.sleep("3 seconds"))
      const moved = cql.cluster()
      assert.notStrictEqual(moved, more)
      assert.strictEqual(moved.ring.hi, before.ring.hi)
      assert.isTrue(moved.ring.owners.every((node) => moved.nodes.includes(node)))
      yield* cluster.remove(2)
      yield* passing(Effect.sleep("3 seconds"))
      const { keyspaces, nodes, ring } = cql.cluster()
      assert.strictEqual(ring.size, before.ring.size * 2 / 3)
      const replicas = keyspaces.get("ks")!.replicas!
      for (let segment = 0; segment < replicas.size; segment++) {
        assert.isTrue(replicas.of(segment).every((node) => nodes.includes(node)))
      }
    }))
})

describe("the end of a client", () => {
  it.effect("in the midst of a look leaves no pool behind, not even of a node that has just left", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const scope = yield* Scope.make()
      const [first, second] = cluster.nodes.map(({ hostId }) => String(hostId))
      let isArmed = false
      const hostFilter = ({ hostId }: { readonly hostId: string }): boolean => !isArmed || hostId === first
      const cql = yield* passing(Scope.provide(clientOf(cluster, { hostFilter }), scope))
      yield* passing(cql.awaitConnected)
      // Who hears that a node has left ends the client before the look is over, in which every step takes its time.
      const { now } = performance
      let time = 0
      yield* Effect.acquireRelease(
        Effect.sync(() => void (performance.now = () => time += 10)),
        () => Effect.sync(() => void (performance.now = now))
      )
      const closing = yield* Effect.forkChild(
        cql.nodeChanges.pipe(
          Stream.filter(({ change, hostId }) => change._tag === "Removed" && hostId === second),
          Stream.take(1),
          Stream.runDrain,
          Effect.andThen(Scope.close(scope, Exit.void))
        ),
        { startImmediately: true }
      )
      isArmed = true
      yield* cluster.announce({ type: "TOPOLOGY_CHANGE", change: "NEW_NODE", address: "127.0.0.9" })
      yield* passing(Fiber.join(closing))
      yield* settle
      assert.deepStrictEqual(cluster.nodes.map(({ connections }) => connections.length), [0, 0, 0])
    }))
})

describe("staggered", () => {
  const options = { after: 100, isFinal: (error: string) => error === "final" }

  it.effect("starts the next at once after a failure, and in time after silence; late ones are given back", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const attempt = (name: string, millis: number, result: "ok" | "fail" | "final") =>
        Effect.gen(function*() {
          log.push(`${name} ${yield* Clock.currentTimeMillis}`)
          yield* Effect.onInterrupt(Effect.sleep(millis), () => Effect.sync(() => void log.push(`${name} is given up`)))
          return result === "ok" ? name : yield* Effect.fail(result === "fail" ? name : "final")
        })
      const discard = (late: string) => Effect.sync(() => void log.push(`${late} is late`))
      const run = (...attempts: ReadonlyArray<Effect.Effect<string, string>>) =>
        passing(Effect.exit(staggered(attempts, { ...options, discard })))
      const first = yield* run(attempt("a", 10, "fail"), attempt("b", 1_000, "ok"), attempt("c", 150, "ok"))
      assert.strictEqual(first._tag === "Success" && first.value, "c")
      assert.deepStrictEqual(log.map((line) => line.split(" ")[0]), ["a", "b", "c", "b"])
      assert.include(log, "b is given up")
      log.length = 0
      const gate = yield* Deferred.make<void>()
      const both = yield* run(Effect.as(Deferred.await(gate), "a"), Effect.as(Deferred.succeed(gate, undefined), "b"))
      assert.strictEqual(both._tag, "Success")
      assert.include(log, `${both._tag === "Success" && both.value === "a" ? "b" : "a"} is late`)
      const none = yield* run(attempt("a", 10, "fail"), attempt("b", 300, "fail"))
      assert.strictEqual(none._tag, "Failure")
      assert.deepStrictEqual(
        yield* Effect.flip(
          Effect.flatten(Effect.succeed(none as never as Effect.Effect<string, ReadonlyArray<string>>))
        ),
        ["a", "b"]
      )
      log.length = 0
      const final = yield* run(attempt("a", 10, "final"), attempt("b", 10, "ok"))
      assert.deepStrictEqual(yield* Effect.flip(final as never as Effect.Effect<string, ReadonlyArray<string>>), [
        "final"
      ])
      assert.strictEqual(log.length, 1)
      assert.deepStrictEqual(yield* Effect.flip(staggered([], { ...options, discard })), [])
    }))

  it.effect("leaves nothing behind when it is interrupted", () =>
    Effect.gen(function*() {
      let given = 0
      const attempt = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void given++))
      const fiber = yield* Effect.forkChild(
        staggered([attempt, attempt, attempt], { ...options, discard: () => Effect.void }),
        { startImmediately: true }
      )
      yield* TestClock.adjust(150)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(given, 2)
      yield* settle
    }))
})
