/** Found for issue 14: where a request goes. */
import type { Balancing, CqlClient } from "@effect-scylla/driver"
import { Frame, Uuid } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { createContext, runInContext } from "node:vm"
import { passing, world } from "../support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"

const arrivals = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  answer: (count: number, node: number) => SimulatedCluster.Intercepted | undefined = () => undefined
) {
  const seen: Array<{ readonly node: number; readonly shard: number; readonly query: string | undefined }> = []
  yield* cluster.intercept(({ node, opcode, request, shard }) => {
    const query = request._tag === "Query" && request.query.includes("ks.") ? request.query : undefined
    if (opcode !== Frame.Opcode.EXECUTE && opcode !== Frame.Opcode.BATCH && query === undefined) return undefined
    seen.push({ node, shard, query })
    return answer(seen.length, node)
  })
  return seen
})

const dies = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && Cause.hasDies(exit.cause)

describe("a policy of the user's", () => {
  // ways.ts, `planOf`: `core.placesOf` encodes the key within the function that `Plan` takes for the policy, so that whatever it throws
  // is the policy's defect.
  it.effect("does not make a defect of a value that does not fit", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const balancing: Balancing.Policy = (request) => request.plan
      const plain = yield* passing(Effect.flip(cql.execute(select, ["no uuid"])))
      assert.strictEqual(plain.reason._tag, "EncodeError")
      const exit = yield* passing(Effect.exit(cql.execute(select, ["no uuid"], { balancing })))
      assert.isFalse(dies(exit))
    }))

  // plan.ts:41: `"node" in value` takes a place without a node; ways.ts:37 then throws a TypeError outside of the plan, which is taken for
  // a value that does not fit (`unfit`).
  it.effect("that gives a place without a node is a defect, as all that is no node", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      const balancing = () => [{ node: undefined }] as never
      const exit = yield* passing(Effect.exit(cql.execute(select, [Uuid.random()], { balancing })))
      assert.isTrue(dies(exit))
    }))

  // ways.ts:32-41: the loop takes places until one is new and has a connection, without a bound: a policy that goes round and round
  // stops the event loop once all nodes were tried. (The limit is here so that the test ends.)
  it.effect("that never ends does not hang the process", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      let given = 0
      const balancing: Balancing.Policy = function*(_, { local }) {
        while (true) {
          for (const node of local) {
            if (++given > 10_000) throw new Error("it would go on for ever")
            yield node
          }
        }
      }
      yield* arrivals(cluster, () => ({ _tag: "Close" }))
      const exit = yield* passing(Effect.exit(cql.execute(select, [Uuid.random()], { balancing })))
      assert.isFalse(dies(exit))
    }))

  // ways.ts:88-97, `others`: the next place counts as somebody who can be asked although it was tried, or has no connection; the attempt
  // is given up for nobody, and the request fails long before its time.
  for (
    const [name, balancing] of Object.entries<Balancing.Policy>({
      "names a node twice": (_, { local }) => [local[0]!, local[0]!],
      "names a node that is not there": (_, { local }) => [local[0]!, { ...local[1]!, hostId: "gone", pool: undefined }]
    })
  ) {
    it.effect(`that ${name} does not make the request give up`, () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world()
        const select = yield* passing(cql.prepare(SELECT))
        yield* arrivals(cluster, () => ({ _tag: "Delay", millis: 3_000 }))
        yield* passing(cql.execute(select, [Uuid.random()], { balancing: (_, { local }) => [local[0]!] }))
        yield* passing(cql.execute(select, [Uuid.random()], { balancing, attemptTimeout: "500 millis" }))
      }))
  }

  // ways.ts, `planOf`: `placesOf(prepared, values)` where the way has `keyBytes`.
  it.effect("is told where a key lies that is said", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const told: Array<Balancing.Request> = []
      const balancing: Balancing.Policy = (request) => {
        told.push(request)
        return request.plan
      }
      const routingKey = { key: new Uint8Array(16), keyspace: "ks", table: "t" }
      yield* passing(cql.execute("SELECT * FROM ks.t", [], { balancing, routingKey }))
      assert.isDefined(told[0]!.token)
      assert.strictEqual(told[0]!.replicas.length, 3)
    }))

  // executeRequest.ts, `spare`: `other.history = new History(tried)` has no plan, so that `planOf` asks the policy again.
  it.effect("is asked once for each request that is speculated, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({}, { speculation: { delay: "20 millis" } })
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      let asked = 0
      const balancing: Balancing.Policy = (request) => {
        asked++
        return request.plan
      }
      const seen = yield* arrivals(cluster, (count) => count === 1 ? { _tag: "Ignore" } : undefined)
      yield* passing(cql.execute(select, [Uuid.random()], { balancing }))
      assert.strictEqual(seen.length, 2)
      assert.strictEqual(asked, 1)
    }))
})

describe("a conditional statement", () => {
  const places = Effect.fnUntraced(function*(
    run: (cql: CqlClient.CqlClient, id: Uuid.Uuid) => Effect.Effect<unknown, unknown>
  ) {
    const { cluster, cql } = yield* world()
    yield* TestClock.adjust("1 second")
    const id = Uuid.random()
    yield* passing(Effect.exit(run(cql, id)))
    const seen = yield* arrivals(cluster)
    for (let i = 0; i < 6; i++) yield* passing(Effect.exit(run(cql, id)))
    return new Set(seen.map(({ node }) => node))
  })

  // router.ts:203 (`route`): `prepared.kind.isConditional` is that of the statement which routes the batch, not the batch's.
  it.effect("in a batch goes to the first replica though another one routes it", () =>
    Effect.gen(function*() {
      const nodes = yield* places((cql, id) =>
        cql.batch([
          ["INSERT INTO ks.t (id, v) VALUES (?, ?)", [id, 1]],
          ["UPDATE ks.t SET v = ? WHERE id = ? IF v = ?", [2, id, 1]]
        ])
      )
      assert.strictEqual(nodes.size, 1)
    }))

  // ways.ts:30, router.ts:235: `routeKey` looks at `prepared` only, which a text has none of.
  it.effect("that is a text goes to the first replica of a key that is said", () =>
    Effect.gen(function*() {
      const nodes = yield* places((cql, id) =>
        cql.execute(`UPDATE ks.t SET v = 1 WHERE id = ${id} IF v = 2`, [], {
          routingKey: { key: Buffer.from(id.toString().replaceAll("-", ""), "hex"), keyspace: "ks" }
        })
      )
      assert.strictEqual(nodes.size, 1)
    }))

  // core.ts `wonder`, tabletLearning.ts: where every node and shard is a right one, no server ever tells of a tablet, and each
  // conditional statement is followed by one more read.
  it.effect("is not followed by a read each time where servers never tell", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1, shards: 1, tablets: true })
      yield* passing(cql.execute(
        "CREATE KEYSPACE ks1 WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1} AND tablets = {'initial': 4}"
      ))
      yield* passing(cql.execute("CREATE TABLE ks1.t (id int PRIMARY KEY, v int)"))
      const lwt = yield* passing(cql.prepare("UPDATE ks1.t SET v = ? WHERE id = ? IF v = ?"))
      const seen = yield* arrivals(cluster)
      for (let i = 0; i < 20; i++) {
        yield* passing(cql.execute(lwt, [1, 7, 1]))
        yield* TestClock.adjust("1 second")
      }
      assert.isAtMost(seen.length, 24)
    }))
})

describe("a slow replica", () => {
  // router.ts, `grade`: `this.turn % PROBES` and the place where the turns begin (`this.turn % count`) are the same number, so that of two
  // or four replicas the first one never begins a turn in which it is looked at.
  it.effect(
    "of two gets a turn now and then, so that it is found out when it is well again",
    () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world({ nodes: 2, shards: 1 })
        const select = yield* passing(cql.prepare(SELECT))
        const id = new Uuid.Uuid(1, 2, 3, 4)
        for (const slow of [0, 1]) {
          yield* arrivals(cluster, (_, node) => node === slow ? { _tag: "Delay", millis: 900 } : undefined)
          for (let i = 0; i < 30; i++) yield* passing(cql.execute(select, [id], { attemptTimeout: false }))
          const seen = yield* arrivals(cluster)
          for (let i = 0; i < 320; i++) yield* passing(cql.execute(select, [id]))
          assert.isAbove(seen.filter(({ node }) => node === slow).length, 9, `node ${slow}`)
        }
      }),
    30_000
  )
})

describe("bytes of another realm", () => {
  // ExecuteOptions.ts:247, RoutingKey.ts:27-28: `instanceof Uint8Array`; values are taken by their name (protocol `internal/kinds.ts`).
  it.effect("are bytes, in a routing key and in a payload", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const bytes = runInContext("new Uint8Array(16)", createContext()) as Uint8Array
      yield* passing(cql.execute("SELECT * FROM ks.t", [], { customPayload: { a: bytes } }))
      yield* passing(cql.execute("SELECT * FROM ks.t", [], { routingKey: { key: bytes, keyspace: "ks" } }))
    }))
})

describe("hostFilter", () => {
  // cluster.ts, `failOver`: what the filter throws in `openAt` is a defect, which passes by `Effect.result` and the pause between attempts;
  // the connection that is closed for it is "lost", and the actor begins anew at once.
  it.effect(
    "that throws does not make the client dial again and again without a pause",
    () =>
      Effect.gen(function*() {
        let asked = 0
        let throws = false
        const { cluster } = yield* world({}, {
          hostFilter: () => {
            if (!throws) return true
            asked++
            throw new Error("the filter is not well")
          }
        })
        yield* TestClock.adjust("3 seconds")
        throws = true
        // Wherever the control connection is.
        for (const node of [0, 1, 2]) {
          yield* cluster.stop(node)
          yield* TestClock.adjust("1 second")
          yield* cluster.start(node)
        }
        yield* TestClock.adjust("5 seconds")
        throws = false
        assert.isAtMost(asked, 200)
      }),
    20_000
  )
})

describe("a timeout without end", () => {
  // Options clamps durations to 2e9 ms, ExecuteOptions does not.
  it.effect("is a time like any other", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      for (const timeout of [Infinity, Number.MAX_SAFE_INTEGER, 1e12]) {
        yield* passing(cql.execute(select, [Uuid.random()], { timeout }))
        yield* passing(
          cql.execute(`${SELECT} AND v = ? ALLOW FILTERING /* ${timeout} */`, [Uuid.random(), 1], { timeout })
        )
      }
    }))
})

describe("a failover to the local datacenter", () => {
  // Snapshot.ts:191: `remote` has every node of the datacenters that are named.
  it.effect("has no nodes elsewhere", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({}, { datacenterFailover: { datacenters: ["datacenter1"] } })
      assert.deepStrictEqual(cql.cluster().remote, [])
    }))
})
