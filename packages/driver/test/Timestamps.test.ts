/** Who stamps writes, and that the last one that was acknowledged is there. */
import type { CqlClient } from "@effect-scylla/driver"
import { Frame, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { lastWriteIsRead } from "../../../test/support/lastWrite.ts"
import { clientOf, type ClientOptions, passing, world } from "./support/world.ts"

/** Every timestamp that the cluster is given, in the order of the requests; `undefined` where there is none. */
const stamps = (cluster: SimulatedCluster.SimulatedCluster) =>
  Effect.gen(function*() {
    const seen: Array<bigint | undefined> = []
    const isWrite = (opcode: number) =>
      opcode === Frame.Opcode.QUERY || opcode === Frame.Opcode.EXECUTE || opcode === Frame.Opcode.BATCH
    yield* cluster.intercept(({ opcode, request }) => {
      if (isWrite(opcode) && "options" in request) {
        const { timestamp } = request.options as { readonly timestamp?: bigint }
        if (request._tag !== "Query" || !/^\s*SELECT/i.test(request.query)) seen.push(timestamp)
      }
      return undefined
    })
    return seen
  })

describe("the last acknowledged write is read", () => {
  const cases: ReadonlyArray<readonly [string, SimulatedCluster.Options]> = [
    ["ScyllaDB", {}],
    ["ScyllaDB whose clocks are ahead", { clockSkew: "5 seconds" }],
    ["ScyllaDB whose clocks are behind", { clockSkew: "-5 seconds" }],
    ["ScyllaDB whose clocks differ", { clockSkew: (node) => `${node * 400 - 400} millis` as const }],
    ["Cassandra whose clocks are behind", { product: "cassandra", clockSkew: "-5 millis" }],
    ["ScyllaDB with tablets", { tablets: true, clockSkew: "5 millis" }]
  ]
  for (const [name, options] of cases) {
    it.effect(`on ${name}`, () =>
      Effect.gen(function*() {
        const { cql } = yield* world(options)
        yield* lastWriteIsRead(cql, "ks", { seed: 20261130, rounds: 60 }, passing)
      }))
  }

  it.effect("also while the wall clock goes back", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 2, transport: "memory" })
      const clock = yield* Clock.Clock
      let back = 0
      const turning = new Proxy(clock, {
        get: (target, key) =>
          key === "currentTimeMillisUnsafe"
            // A second back with every look.
            ? () => target.currentTimeMillisUnsafe() + 10_000_000 - 1_000 * back++
            : Reflect.get(target, key, target)
      })
      const cql = yield* passing(Effect.provideService(clientOf(cluster), Clock.Clock, turning))
      yield* passing(cql.execute(
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3} AND " +
          "tablets = {'enabled': false}"
      ))
      const seen = yield* stamps(cluster)
      yield* lastWriteIsRead(cql, "ks", { seed: 7, rounds: 40 }, passing)
      seen.length = 0
      const insert = cql.execute("INSERT INTO ks.last_write (id, v) VALUES (1, 2)")
      for (let i = 0; i < 10; i++) {
        yield* passing(Effect.all(Array.from({ length: 20 }, () => insert), { concurrency: 20 }))
      }
      const given = seen.filter((stamp) => stamp !== undefined).sort((a, b) => a < b ? -1 : 1)
      assert.strictEqual(given.length, 200)
      for (let i = 1; i < given.length; i++) {
        assert.isTrue(given[i]! > given[i - 1]!, `${given[i - 1]} then ${given[i]}`)
      }
    }))
})

describe("what is stamped", () => {
  type Run = (cql: CqlClient.CqlClient) => Effect.Effect<unknown, unknown>
  const cases: ReadonlyArray<readonly [string, "client" | "none" | bigint, Run, ClientOptions?]> = [
    [
      "an INSERT as a text",
      "client",
      (cql) => cql.execute("INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, 1)")
    ],
    ["a template", "client", (cql) => cql`UPDATE ks.t SET v = ${1} WHERE id = 01020304-0506-4708-8910-111200000000`],
    [
      "a batch as a text",
      "client",
      (cql) =>
        cql.execute("BEGIN BATCH INSERT INTO ks.t (id) VALUES (01020304-0506-4708-8910-111200000000) APPLY BATCH")
    ],
    [
      "a batch with values",
      "client",
      (cql) =>
        cql.execute("BEGIN BATCH UPDATE ks.t SET v = ? WHERE id = 01020304-0506-4708-8910-111200000000 APPLY BATCH", [
          1
        ])
    ],
    [
      "a text that says its own time goes with the client's, which the server passes over",
      "client",
      (cql) =>
        cql.execute("INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, 1) USING TIMESTAMP 5")
    ],
    [
      "the caller's time",
      77n,
      (cql) =>
        cql.execute("INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, 1)", [], { timestamp: 77n })
    ],
    [
      "a conditional statement",
      "none",
      (cql) => cql.execute("INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, 1) IF NOT EXISTS")
    ],
    [
      "a conditional template",
      "none",
      (cql) => cql`UPDATE ks.t SET v = ${1} WHERE id = 01020304-0506-4708-8910-111200000000 IF v = ${2}`
    ],
    ["a counter as a text", "none", (cql) => cql.execute("UPDATE ks.c SET n = n + 1 WHERE id = 1")],
    ["a counter in a template", "none", (cql) => cql`UPDATE ks.c SET n = n + ${1n} WHERE id = ${1}`],
    [
      "a batch of counters",
      "none",
      (cql) => cql.execute("BEGIN COUNTER BATCH UPDATE ks.c SET n = n + 1 WHERE id = 1; APPLY BATCH")
    ],
    [
      "a request that is left to the servers",
      "none",
      (cql) => cql.execute("UPDATE ks.t SET v = ? WHERE id = ?", [1, Uuid.random()], { timestamp: "server" })
    ],
    [
      "a text that is left to the servers",
      "none",
      (cql) =>
        cql.execute("INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, 1)", [], {
          timestamp: "server"
        })
    ],
    [
      "a batch that is left to the servers",
      "none",
      (cql) => cql.batch([["UPDATE ks.t SET v = ? WHERE id = ?", [1, Uuid.random()]]], { timestamp: "server" })
    ],
    [
      "everything, where the servers stamp",
      "none",
      (cql) => cql`UPDATE ks.t SET v = ${1} WHERE id = 01020304-0506-4708-8910-111200000000`,
      { timestamps: "server" }
    ],
    [
      "a text, where the servers stamp",
      "none",
      (cql) => cql.execute("INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, 1)"),
      {
        timestamps: "server"
      }
    ],
    [
      "a batch, where the servers stamp",
      "none",
      (cql) =>
        cql.execute("BEGIN BATCH INSERT INTO ks.t (id) VALUES (01020304-0506-4708-8910-111200000000) APPLY BATCH"),
      { timestamps: "server" }
    ]
  ]
  for (const [name, expected, run, options] of cases) {
    it.effect(`${name}: ${expected}`, () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world({}, options)
        yield* passing(cql.execute("CREATE TABLE ks.c (id int PRIMARY KEY, n counter)"))
        const seen = yield* stamps(cluster)
        yield* Effect.exit(passing(run(cql)))
        // A node that has to be taught first is sent it twice.
        assert.strictEqual(new Set(seen).size, 1)
        if (expected === "client") assert.typeOf(seen[0], "bigint")
        else assert.strictEqual(seen[0], expected === "none" ? undefined : expected)
      }))
  }

  it.effect("a retry sends the same time again", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const seen: Array<bigint | undefined> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag !== "Query" || !request.query.startsWith("INSERT")) return undefined
        seen.push(request.options.timestamp)
        return seen.length === 1 ? { _tag: "Close" } : undefined
      })
      yield* passing(
        cql.execute("INSERT INTO ks.t (id, v) VALUES (01020304-0506-4708-8910-111200000000, 1)", [], {
          idempotent: true
        })
      )
      assert.strictEqual(seen.length, 2)
      assert.typeOf(seen[0], "bigint")
      assert.strictEqual(seen[1], seen[0])
    }))
})
