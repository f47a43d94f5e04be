/** Found for issue 14: more of it. */
import type { Balancing } from "@effect-scylla/driver"
import { Frame, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Logger } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "../support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"
const keyOf = (id: Uuid.Uuid) => Buffer.from(id.toString().replaceAll("-", ""), "hex")

describe("a routing key that is said", () => {
  // ways.ts:25-29: `routeTo(node, shard, prepared, values)` knows nothing of the way's `keyBytes`.
  it.effect("leads to the shard that owns it of a node that is said, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ shards: 4 })
      const select = yield* passing(cql.prepare(SELECT))
      const { hostId } = cql.cluster().local[0]!
      for (let i = 0; i < 20; i++) {
        const id = new Uuid.Uuid(i, i, i, i)
        const shards: Array<number> = []
        yield* cluster.intercept(({ opcode, request, shard }) => {
          if (opcode === Frame.Opcode.EXECUTE || (request._tag === "Query" && request.query.includes("ks.t"))) {
            shards.push(shard)
          }
          return undefined
        })
        yield* passing(cql.execute(select, [id], { target: { hostId } }))
        yield* passing(cql.execute(`SELECT v FROM ks.t WHERE id = ${id}`, [], {
          target: { hostId },
          routingKey: { key: keyOf(id), keyspace: "ks" }
        }))
        assert.strictEqual(shards[1], shards[0])
      }
    }))

  // executeRequest.ts, `attempt`: `routePage` only where `options.way` is undefined.
  it.effect("does not keep pages from staying on the node that gave the page before", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.many (id int, c int, PRIMARY KEY (id, c))"))
      for (let c = 0; c < 20; c++) yield* passing(cql.execute("INSERT INTO ks.many (id, c) VALUES (?, ?)", [1, c]))
      const routingKey = { key: Uint8Array.of(0, 0, 0, 1), keyspace: "ks" }
      const nodes = new Set<string>()
      let pagingState: Uint8Array | null | undefined = undefined
      do {
        const options = { pageSize: 2, routingKey, ...(pagingState === undefined ? {} : { pagingState }) }
        const page: { readonly pagingState: Uint8Array | null; readonly coordinator: { readonly address: string } } =
          yield* passing(cql.execute("SELECT c FROM ks.many WHERE id = 1", [], options))
        nodes.add(page.coordinator.address)
        pagingState = page.pagingState
      } while (pagingState !== null)
      assert.strictEqual(nodes.size, 1)
    }))
})

describe("a node of another datacenter", () => {
  // core.ts, `confirm`: the doubt ends when all of `snapshot.local` are confirmed; nodes of the failover are asked about nothing then.
  it.effect("is asked about a statement before that goes there, after the schema has changed", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        datacenters: [{ name: "here", nodes: 1 }, { name: "there", nodes: 1 }],
        shards: 1,
        transport: "memory"
      })
      const cql = yield* passing(clientOf(cluster, {
        localDatacenter: "here",
        contactPoints: [cluster.contactPoints[0]!],
        consistency: "ONE",
        datacenterFailover: { datacenters: ["there"] }
      }))
      yield* passing(cql.execute(
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'here': 1, 'there': 1} AND tablets = {'enabled': false}"
      ))
      yield* passing(cql.execute("CREATE TABLE ks.t (id uuid PRIMARY KEY, v int)"))
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      yield* TestClock.adjust("2 seconds")
      yield* passing(cql.execute("ALTER TABLE ks.t ADD w int"))
      yield* passing(cql.execute(insert, [Uuid.random(), 1]))
      yield* TestClock.adjust("2 seconds")
      const seen: Array<string> = []
      yield* cluster.intercept(({ node, opcode }) => {
        if (node === 1 && opcode === Frame.Opcode.EXECUTE) seen.push("EXECUTE")
        if (node === 1 && opcode === Frame.Opcode.PREPARE) seen.push("PREPARE")
        return undefined
      })
      yield* cluster.stop(0)
      yield* TestClock.adjust("100 millis")
      yield* passing(cql.execute(insert, [Uuid.random(), 1]))
      assert.deepStrictEqual(seen, ["PREPARE", "EXECUTE"])
    }))
})

describe("the warning of literals", () => {
  // preparedCache.ts, `added`: also of a text that was known, forgotten and prepared again; literals.ts counts it as another one.
  it.effect("is not for the same two texts again and again", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      yield* Effect.provide(
        Effect.gen(function*() {
          const { cql } = yield* world({}, { maxPrepared: 1, prepareEverywhere: false })
          for (let i = 0; i < 110; i++) {
            yield* passing(cql.execute("SELECT v FROM ks.t WHERE id = ? LIMIT 10", [Uuid.random()]))
            yield* passing(cql.execute("SELECT id FROM ks.t WHERE id = ? LIMIT 10", [Uuid.random()]))
          }
        }),
        Logger.layer([logger])
      )
      assert.deepStrictEqual(lines.filter((line) => line.includes("differ in their values only")), [])
    }), 20_000)
})

describe("a speculation", () => {
  // ways.ts, `others`: nodes of other datacenters count where all local ones were tried, though those are well.
  it.effect("does not leave the datacenter while its nodes are well", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({
        datacenters: [{ name: "here", nodes: 1 }, { name: "there", nodes: 2 }],
        shards: 1,
        transport: "memory"
      })
      const cql = yield* passing(clientOf(cluster, {
        localDatacenter: "here",
        contactPoints: [cluster.contactPoints[0]!],
        consistency: "ONE",
        datacenterFailover: { datacenters: ["there"] },
        speculation: { delay: "20 millis" }
      }))
      yield* passing(cql.execute(
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'here': 1, 'there': 1} AND tablets = {'enabled': false}"
      ))
      yield* passing(cql.execute("CREATE TABLE ks.t (id uuid PRIMARY KEY, v int)"))
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("2 seconds")
      const seen: Array<number> = []
      yield* cluster.intercept(({ node, opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        seen.push(node)
        return { _tag: "Delay", millis: 60 }
      })
      yield* passing(cql.execute(select, [Uuid.random()]))
      assert.deepStrictEqual(seen, [0])
    }))
})

describe("a policy of the user's", () => {
  // ways.ts, `planOf`; executeRequest.ts `onOverdue`: `others` has a place without a node, whose `pool` is looked at in a tick.
  it.effect("that has a place without a node behind a node that hangs", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const balancing: Balancing.Policy = (_, { local }) => [local[0]!, { node: undefined } as never, local[1]!]
      yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.EXECUTE ? { _tag: "Ignore" } : undefined)
      const exit = yield* passing(
        Effect.exit(cql.execute(select, [Uuid.random()], { balancing, timeout: "5 seconds" }))
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    }))
})
