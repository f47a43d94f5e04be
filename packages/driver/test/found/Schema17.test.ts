/** Found for issue 17: the schema as data, and agreement on it. */
import type { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, settle, world } from "../support/world.ts"

const make = (options: SimulatedCluster.Options = {}) =>
  SimulatedCluster.make({ nodes: 3, shards: 1, transport: "memory", ...options })

const KEYSPACE = (name: string) =>
  `CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} AND tablets = {'enabled': false}`

describe("the end of a client", () => {
  const gone = Effect.gen(function*() {
    const { cluster } = yield* world({ shards: 1 })
    const scope = yield* Scope.make()
    const cql = yield* passing(Scope.provide(clientOf(cluster), scope))
    yield* passing(cql.awaitConnected)
    return { cluster, cql, scope }
  })

  // store.ts, `patient`: it asks again every 200 ms for the whole request timeout; nobody looks at whether the client is there any more.
  it.effect("is told to who asks for a keyspace afterwards, at once", () =>
    Effect.gen(function*() {
      const { cql, scope } = yield* gone
      yield* passing(Scope.close(scope, Exit.void))
      const begun = yield* Clock.currentTimeMillis
      const error = yield* passing(Effect.flip(cql.schema.keyspace("ks")))
      assert.strictEqual(error.reason._tag, "ClientClosed")
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 500)
    }))

  // The same: `close` of the promise module lets such a call hang for as long, though "what is left then fails".
  it.effect("ends a read of the schema that is under way", () =>
    Effect.gen(function*() {
      const { cluster, cql, scope } = yield* gone
      yield* cluster.intercept(({ request }) =>
        request._tag === "Query" && request.query.includes("system_schema") ? { _tag: "Ignore" } : undefined
      )
      const asked = yield* Effect.forkChild(Effect.exit(cql.schema.keyspace("ks")), { startImmediately: true })
      yield* TestClock.adjust("50 millis")
      yield* passing(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("500 millis")
      const ended = asked.pollUnsafe()
      yield* Fiber.interrupt(asked)
      assert.isDefined(ended)
    }))

  // cluster.ts, `make`: nobody shuts `published` down, as `Store.make` does with its own.
  it.effect("ends the stream of what happens to nodes", () =>
    Effect.gen(function*() {
      const { cql, scope } = yield* gone
      const changes = yield* Effect.forkChild(Stream.runDrain(cql.nodeChanges), { startImmediately: true })
      yield* settle
      yield* passing(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("10 seconds")
      const ended = changes.pollUnsafe()
      yield* Fiber.interrupt(changes)
      assert.isDefined(ended)
    }))
})

describe("changes", () => {
  const watch = Effect.fnUntraced(function*(cql: CqlClient.CqlClient) {
    const seen: Array<string> = []
    yield* Effect.forkChild(
      Stream.runForEach(
        cql.schema.changes,
        ({ change, keyspace, name, target }) =>
          Effect.sync(() => void seen.push(`${change} ${target} ${keyspace}.${name}`))
      ),
      { startImmediately: true }
    )
    yield* settle
    return seen
  })

  // differences.ts, `between`: a keyspace has no id, and equal properties are no change, though `Heard` was told both; tables, which have ids, are
  // told as DROPPED and CREATED ("where it is another one of the name, made again, it has gone first").
  it.effect("tell of a keyspace that was dropped and made again within a tick", () =>
    Effect.gen(function*() {
      const { cluster, cql: other } = yield* world({ shards: 1 })
      yield* passing(other.execute(KEYSPACE("two")))
      yield* passing(other.execute("CREATE TABLE two.t (k int PRIMARY KEY)"))
      const cql = yield* passing(clientOf(cluster, { schema: "eager" }))
      const seen = yield* watch(cql)
      const fiber = yield* Effect.forkChild(
        Effect.andThen(other.execute("DROP KEYSPACE two"), other.execute(KEYSPACE("two"))),
        { startImmediately: true }
      )
      for (let i = 0; i < 200; i++) yield* TestClock.adjust("1 millis")
      yield* passing(Fiber.join(fiber))
      yield* TestClock.adjust("10 seconds")
      assert.includeMembers(seen, ["DROPPED KEYSPACE two.two", "CREATED KEYSPACE two.two"])
    }))
})

describe("a keyspace that is not there", () => {
  // store.ts, `first`: each of those who wait for the lock reads for itself, one after the other: a dozen statements each on the control connection,
  // and whoever changes the schema, or asks for a keyspace that is there, waits for all of them. Issue 17: nothing is asked twice.
  it.effect("is looked for once for all who ask together", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ shards: 1 })
      let reads = 0
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Query" && request.query.includes("FROM system_schema.tables")) reads++
        return undefined
      })
      const asked = Effect.forEach(Array.from({ length: 40 }), () => cql.schema.keyspace("nothing"), {
        concurrency: "unbounded"
      })
      const found = yield* passing(asked)
      assert.isTrue(found.every(Option.isNone))
      assert.isAtMost(reads, 2)
    }), 30_000)
})

describe("a translator", () => {
  // addresses.ts, `of`: what was answered is taken only for nodes that have a pool that is up: those of other datacenters, and those that are
  // filtered out, are asked for again at every look, each event included. Issue 17: cached by host id.
  it.effect("is asked once of a node that is not connected to", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ datacenters: [{ name: "here", nodes: 1 }, { name: "there", nodes: 2 }] })
      const asked: Array<string> = []
      const cql = yield* passing(clientOf(cluster, {
        localDatacenter: "here",
        contactPoints: [cluster.contactPoints[0]!],
        refreshInterval: "1 minute",
        addressTranslator: ({ address }) => {
          asked.push(address)
          return undefined
        }
      }))
      yield* passing(cql.awaitConnected)
      const before = asked.length
      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(asked.slice(before), [])
    }))
})
