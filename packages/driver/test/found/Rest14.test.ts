/** Found for issue 14: the rest. */
import { type Options, Paging, StatementKind } from "@effect-scylla/driver"
import { Frame, ServerError, Uuid } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { clientOf, passing, world } from "../support/world.ts"

const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"

describe("a failover", () => {
  // cluster.ts, `away`: nodes that have a pool already rank first for ever, whether anything answers there or not; nobody chooses anew.
  it.effect(
    "connects to other nodes of a datacenter when those that it has are gone",
    () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({
          datacenters: [{ name: "here", nodes: 1 }, { name: "there", nodes: 5 }],
          shards: 1,
          transport: "memory"
        })
        const cql = yield* passing(clientOf(cluster, {
          localDatacenter: "here",
          contactPoints: [cluster.contactPoints[0]!],
          consistency: "ONE",
          datacenterFailover: { datacenters: ["there"], nodes: 2 }
        }))
        yield* passing(cql.execute(
          "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'here': 1, 'there': 3} AND tablets = {'enabled': false}"
        ))
        yield* passing(cql.execute("CREATE TABLE ks.t (id uuid PRIMARY KEY, v int)"))
        yield* TestClock.adjust("2 seconds")
        for (const { address } of cql.cluster().remote) {
          yield* cluster.stop(cluster.nodes.findIndex((node) => node.address === address))
        }
        yield* TestClock.adjust("5 minutes")
        yield* cluster.stop(0)
        yield* TestClock.adjust("5 seconds")
        yield* passing(cql.execute("SELECT * FROM ks.t"))
      }),
    30_000
  )
})

describe("executeMany", () => {
  // executeMany.ts: a `Row` is started without a fiber (`startFor`), past `around`; `ManyRequest` has none of its own. A row that is sent
  // again gets a span of its own, for the rest of it.
  it.effect("has a span", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      // Every node knows it: nothing is sent again.
      yield* TestClock.adjust("1 second")
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span(options) {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* passing(Effect.withTracer(cql.executeMany(insert, [[Uuid.random(), 1], [Uuid.random(), 2]]), tracer))
      assert.isAtLeast(spans.length, 1)
    }))
})

describe("options that are wrong", () => {
  // ExecuteOptions.ts, `resolve`: checks neither levels nor booleans nor times.
  for (
    const [name, value] of Object.entries({
      consistency: "LOCAL_QORUM",
      serialConsistency: "QUORUM",
      idempotent: "false",
      tracing: "false"
    })
  ) {
    it.effect(`of a profile are named when the client is made: ${name}`, () =>
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 1, shards: 1, transport: "memory" })
        const options = { profiles: { a: { [name]: value } } } as unknown as Options.Options
        const error = yield* passing(Effect.flip(clientOf(cluster, options)))
        assert.include(error.message, "profiles.a")
      }))
  }

  // The same: a text is true, and what must not be done twice is.
  it.effect("of a request are refused: idempotent", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      const error = yield* passing(
        Effect.flip(cql.execute("SELECT * FROM ks.t", [], { idempotent: "false" as never }))
      )
      assert.strictEqual(error.reason._tag, "InvalidStatement")
    }))
})

describe("a text of many megabytes", () => {
  // StatementKind.ts:46 (SKIPPED): each character of a string is a step that the regular expression can go back to, and its stack has an end.
  it("is read", () => {
    assert.strictEqual(StatementKind.of(`INSERT INTO t (k, v) VALUES (1, '${"x".repeat(20_000_000)}')`).type, "write")
  })

  // The same: `/*` without an end is looked for to the end of the text, each time. 180 kB take 4 seconds.
  it("with comments that do not end is read in time", () => {
    const time = (text: string): number => {
      const begun = performance.now()
      StatementKind.of(text)
      return performance.now() - begun
    }
    time(`DELETE ${"/* ".repeat(2_000)}`)
    assert.isBelow(time(`DELETE ${"/* ".repeat(32_000)}`), 10 * Math.max(2, time(`DELETE ${"/* ".repeat(4_000)}`)))
  })
})

describe("a retry policy", () => {
  // judging.ts:57: the delay of a verdict is not looked at where the attempt was given up or not sent.
  it.effect("is waited for as long as it says after an attempt that took too long, too", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world()
      const select = yield* passing(cql.prepare(SELECT))
      yield* TestClock.adjust("1 second")
      const times: Array<number> = []
      yield* cluster.intercept(({ opcode }) => {
        if (opcode !== Frame.Opcode.EXECUTE) return undefined
        times.push(cql.shardAwareStats().routing.owned)
        return times.length === 1 ? { _tag: "Ignore" } : undefined
      })
      const retry = { decide: () => ({ decision: "NextNode", delay: "3 seconds" } as const) }
      const fiber = yield* Effect.forkChild(
        cql.execute(select, [Uuid.random()], { retry, attemptTimeout: "500 millis" }),
        { startImmediately: true }
      )
      for (let i = 0; i < 20; i++) yield* TestClock.adjust("100 millis")
      assert.strictEqual(times.length, 1)
      yield* passing(Fiber.join(fiber))
    }))
})

describe("not broken", () => {
  it.effect(
    "interrupted at every moment, with speculation, retries, nodes that have forgotten and an attempt's time",
    () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world({}, {
          speculation: { delay: "20 millis", max: 2 },
          speculationLimit: { share: 1 }
        })
        const select = yield* passing(cql.prepare(SELECT))
        yield* TestClock.adjust("1 second")
        const overloaded = new ServerError.Overloaded({ code: 0x1001, message: "too busy" })
        for (let at = 0; at < 150; at++) {
          let count = 0
          yield* cluster.intercept(({ opcode, request }) => {
            if (opcode === Frame.Opcode.PREPARE) return { _tag: "Delay", millis: 7 }
            if (request._tag !== "Execute") return undefined
            switch (++count) {
              case 1:
                return { _tag: "Ignore" }
              case 2:
                return {
                  _tag: "Error",
                  error: new ServerError.Unprepared({ code: 0x2500, message: "", id: select.id })
                }
              case 3:
                return { _tag: "Delay", millis: 20 }
              default:
                return { _tag: "Error", error: overloaded }
            }
          })
          const request = cql.execute(select, [Uuid.random()], { attemptTimeout: "100 millis" })
          const fiber = yield* Effect.forkChild(Effect.all([request, request], { concurrency: 2 }), {
            startImmediately: true
          })
          for (let i = 0; i < at; i++) yield* TestClock.adjust("2 millis")
          yield* Fiber.interrupt(fiber)
          // A PREPARE goes on for others.
          yield* TestClock.adjust("10 millis")
          const slots = cql.shardAwareStats().nodes.flatMap(({ slots }) => slots)
          assert.strictEqual(slots.reduce((sum, { inFlight }) => sum + inFlight, 0), 0, `after ${at * 2} ms`)
        }
        yield* cluster.intercept(undefined)
        yield* passing(cql.execute(select, [Uuid.random()]))
      }),
    30_000
  )

  it.effect("closed while requests race", () =>
    Effect.gen(function*() {
      const { cluster } = yield* world()
      const exits = yield* Effect.scoped(Effect.gen(function*() {
        const cql = yield* passing(clientOf(cluster, { speculation: { delay: "20 millis" } }))
        const select = yield* passing(cql.prepare(SELECT))
        yield* cluster.intercept(({ opcode }) => opcode === Frame.Opcode.EXECUTE ? { _tag: "Ignore" } : undefined)
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let i = 0; i < 20; i++) {
          fibers.push(yield* Effect.forkDetach(Effect.exit(cql.execute(select, [Uuid.random()]))))
        }
        yield* TestClock.adjust("50 millis")
        return fibers
      }))
      yield* TestClock.adjust("100 millis")
      for (const fiber of exits) assert.isDefined(fiber.pollUnsafe())
    }))

  it("paging tokens, cut and changed", () => {
    const bound = { text: "SELECT", keyspace: "ks", values: Uint8Array.of(1, 2, 3), secret: undefined }
    const token = Paging.toToken(bound, new Uint8Array(100).fill(7))
    for (let i = 0; i < token.length; i++) assert.isString(Paging.fromToken(bound, token.slice(0, i)))
    for (let i = 0; i < token.length - 1; i++) {
      const changed = `${token.slice(0, i)}${token[i] === "A" ? "B" : "A"}${token.slice(i + 1)}`
      assert.isString(Paging.fromToken(bound, changed))
    }
    for (const odd of ["", "=", `${token}=`, token + token, token.replace(/.$/, "+"), undefined, 5, {}]) {
      assert.isString(Paging.fromToken(bound, odd as never))
    }
    const huge = Paging.toToken(bound, new Uint8Array(20_000_000))
    assert.strictEqual((Paging.fromToken(bound, huge) as Uint8Array).length, 20_000_000)
  })
})
