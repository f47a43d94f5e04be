/** What goes wrong with requests, and what is said of them then. Cases with one number are of one fault. */
import { create, toBinary } from "@bufbuild/protobuf"
import { DEngineAdapter, EtcdAdapter, type RaftError, type Transport } from "@effect-scylla/raft-client"
import { ClientResponseSchema } from "@effect-scylla/raft-client/generated/dengine/client_pb"
import type { Reply } from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Option, Scope } from "effect"
import { assertError, drive, failing, pass, simulate, text } from "./support/simulated.ts"

/** OK, as far as gRPC is concerned, with a code inside. */
const coded = (error: number): Reply => ({
  code: 0,
  body: toBinary(ClientResponseSchema, create(ClientResponseSchema, { error: error as 0 }))
})

describe("faults of requests", () => {
  const dialects: ReadonlyArray<readonly [string, Reply]> = [
    ["FAILED_PRECONDITION", { code: 9, details: "Not leader" }],
    ["OK with NOT_LEADER", coded(4001)],
    ["INTERNAL", { code: 13, details: "RPC error: Not leader" }],
    ["UNAVAILABLE with a text", { code: 14, details: "Not leader, try leader at: node3:9083" }],
    [
      "a header",
      { code: 2, details: "no", headers: { "x-raft-leader": '{"leader_id":"3","address":"node3:9083"}' } }
    ],
    ["PERMISSION_DENIED", { code: 7, details: "Learner should not response." }]
  ]
  for (const [name, reply] of dialects) {
    it.effect(`12: "not leader" said by ${name} is followed`, () =>
      Effect.gen(function*() {
        const { cluster, connect } = yield* simulate({ electionMillis: 0 })
        const client = yield* connect()
        cluster.elect(3)
        cluster.node(1).script("HandleClientWrite", reply)
        yield* drive(client.put("/k", "v"))
        assert.strictEqual(text(cluster.node(3).data.get("/k")?.value), "v")
        assert.strictEqual(cluster.index, 1)
      }))
  }

  const ambiguous: ReadonlyArray<readonly [string, Reply, RaftError.RaftReason["_tag"]]> = [
    ["14: the server's own deadline", { code: 4, details: "RPC timeout exceeded" }, "RequestTimeout"],
    ["14: the server's transport timeout", { code: 1, details: "Timeout expired" }, "RequestTimeout"],
    ["14: a channel that the server dropped", { code: 4, details: "RPC channel closed" }, "RequestTimeout"],
    ["15: PROPOSE_FAILED", coded(4006), "ServerFailure"],
    ["15: TERM_OUTDATED", coded(4007), "ServerFailure"],
    ["15: success without a result", coded(0), "MalformedResponse"],
    ["15: a code that nobody knows", coded(1234), "ServerFailure"],
    ["15: an unknown text of UNAVAILABLE", { code: 14, details: "something new" }, "ConnectionLost"],
    ["15: a fatal error after the commit", { code: 13, details: "Node fatal error: disk" }, "ServerFailure"],
    ["16: bytes that are no message", { code: 0, body: Uint8Array.of(255, 255, 255) }, "MalformedResponse"]
  ]
  for (const [name, reply, reason] of ambiguous) {
    it.effect(`${name} leaves a write ambiguous, and it is not sent again`, () =>
      Effect.gen(function*() {
        const { cluster, connect } = yield* simulate({ electionMillis: 0 })
        const client = yield* connect()
        cluster.node(1).script("HandleClientWrite", reply)
        assertError(yield* failing(client.put("/k", "v")), reason, "Ambiguous")
        yield* pass(2_000)
        const writes = cluster.nodes.reduce((sum, node) => sum + node.count("HandleClientWrite"), 0)
        assert.strictEqual(writes, 1)
        yield* drive(client.put("/k", "w"))
      }))
  }

  it.effect("16: a connection that breaks under a write leaves it ambiguous", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      // It is applied, and the answer never comes.
      cluster.node(1).delay = 100
      const write = yield* Effect.forkChild(Effect.flip(client.put("/k", "v")), { startImmediately: true })
      yield* pass(60)
      cluster.kill(1)
      assertError(yield* drive(Fiber.join(write)), "ConnectionLost", "Ambiguous")
      assert.strictEqual(text(cluster.node(2).data.get("/k")?.value), "v")
    }))

  it.effect("16: a read whose connection breaks is asked again", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/k", "v"))
      cluster.node(1).delay = 100
      const read = yield* Effect.forkChild(client.get("/k"), { startImmediately: true })
      yield* pass(60)
      cluster.kill(1)
      assert.strictEqual(text(Option.getOrUndefined(yield* drive(Fiber.join(read)))), "v")
    }))

  it.effect("18: a compare-and-swap whose answer was lost is never told as not matching", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/k", "v1"))
      cluster.node(1).delay = 100
      const swap = yield* Effect.forkChild(Effect.flip(client.compareAndSwap("/k", "v1", "v2")), {
        startImmediately: true
      })
      yield* pass(60)
      cluster.kill(1)
      assertError(yield* drive(Fiber.join(swap)), "ConnectionLost", "Ambiguous")
      const resolved = yield* drive(client.resolve({ key: "/k", expected: "v1", value: "v2", fence: "v3" }))
      assert.deepStrictEqual(resolved, { _tag: "Applied" })
    }))

  it.effect("18: one that was not applied is fenced, so that it cannot be applied later", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/k", "v1"))
      cluster.node(1).script("HandleClientWrite", { code: 4, details: "RPC timeout exceeded" })
      assertError(yield* failing(client.compareAndSwap("/k", "v1", "v2")), "RequestTimeout", "Ambiguous")
      const resolved = yield* drive(client.resolve({ key: "/k", expected: "v1", value: "v2", fence: "v3" }))
      assert.deepStrictEqual(resolved, { _tag: "NotApplied" })
      assert.strictEqual(text(cluster.node(2).data.get("/k")?.value), "v3")
      const late = yield* drive(client.compareAndSwap("/k", "v1", "v2"))
      assert.isFalse(late.succeeded)
      const other = yield* drive(client.resolve({ key: "/k", expected: "v1", value: "v2", fence: "v4" }))
      assert.strictEqual(other._tag, "Superseded")
    }))

  it.effect("18: a fence whose own answer is lost is found", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/k", "v1"))
      cluster.node(1).script("HandleClientWrite", (request) => {
        // Applied, and the answer says that nobody knows.
        cluster.write("/k", "v3")
        return request.length > 0 ? { code: 4, details: "RPC timeout exceeded" } : undefined
      })
      const resolved = yield* drive(client.resolve({ key: "/k", expected: "v1", value: "v2", fence: "v3" }))
      assert.deepStrictEqual(resolved, { _tag: "NotApplied" })
    }))

  it.effect("19: a leader that has too much to do is asked again later, and nobody is looked for", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const asked = cluster.node(2).count("GetClusterMetadata")
      cluster.node(1).script("HandleClientWrite", { code: 8, details: "Too many pending write requests" }, 3)
      const before = yield* Clock.currentTimeMillis
      yield* drive(client.put("/k", "v"))
      assert.isAtLeast((yield* Clock.currentTimeMillis) - before, 70)
      assert.strictEqual(cluster.node(2).count("GetClusterMetadata"), asked)
      cluster.node(1).script("HandleClientWrite", { code: 8, details: "Too many pending write requests" }, 1_000)
      assertError(yield* failing(client.put("/k", "w", { timeout: 500 })), "Overloaded", "Rejected")
    }))

  it.effect("19: a leader that is slow and answers is neither left nor asked twice", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const { epoch } = yield* client.leader
      const node = cluster.node(1)
      node.delay = 600
      let reads = 0
      node.script("HandleClientRead", (request) => {
        if (text(request)!.includes("/slow")) reads++
        return undefined
      }, 1_000)
      const all = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => Effect.andThen(Effect.sleep(i * 100), client.get("/slow")),
          { concurrency: "unbounded", discard: true }
        ),
        { startImmediately: true }
      )
      yield* drive(Fiber.join(all))
      assert.strictEqual(reads, 20)
      assert.strictEqual((yield* client.leader).epoch, epoch)
    }))

  it.effect("20: a request that is too long is refused here, and one that the server refuses is not sent again", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect({ channel: { maxSendBytes: 1_000 } })
      assertError(yield* failing(client.put("/k", "v".repeat(1_000))), "MessageTooLarge", "NotSent")
      assert.strictEqual(cluster.node(1).count("HandleClientWrite"), 0)
      const details = "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes"
      cluster.node(1).script("HandleClientWrite", { code: 11, details })
      assertError(yield* failing(client.put("/k", "v")), "MessageTooLarge", "Rejected")
      assert.strictEqual(cluster.node(1).count("HandleClientWrite"), 1)
    }))

  it.effect("27: followers that lag are known by their revision, where the server tells one", () =>
    Effect.gen(function*() {
      // The rule is the same for every adapter; only the answers of this one are given a revision.
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const base = DEngineAdapter.make()
      const adapter = {
        ...base,
        get: (...args: Parameters<typeof base.get>) => {
          const call = base.get(...args)
          return {
            ...call,
            judge: (answer: Transport.Answer) => {
              const verdict = call.judge(answer)
              const value = verdict._tag === "Done" ? verdict.value[0] : undefined
              return value === undefined ? verdict : { ...verdict, revision: BigInt(text(value.value)!) }
            }
          }
        }
      }
      const client = yield* connect({ adapter })
      yield* drive(client.put("/k", "1"))
      cluster.isolate(3)
      yield* drive(client.put("/k", "2"))
      const seen: Array<string> = []
      for (let i = 0; i < 9; i++) {
        const value = yield* drive(client.get("/k", { consistency: "eventual" }))
        seen.push(text(Option.getOrUndefined(value))!)
        yield* pass(20)
      }
      const first = seen.indexOf("2")
      assert.isAtLeast(first, 0)
      assert.isTrue(seen.slice(first).every((value) => value === "2"), seen.join())
      assert.isAtLeast(cluster.node(3).count("HandleClientRead"), 1)
    }))

  it.effect("27: sticky eventual reads stay with one node as long as it answers", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect({ eventualReads: "sticky" })
      for (let i = 0; i < 9; i++) yield* drive(client.get("/k", { consistency: "eventual" }))
      const counts = cluster.nodes.map((node) => node.count("HandleClientRead")).filter((count) => count > 1)
      assert.lengthOf(counts, 1)
    }))

  it.effect("28: what a restoring follower does not find is asked for again where that is wanted", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/k", "v"))
      for (const node of cluster.nodes) {
        node.script("HandleClientRead", (request) => request.at(-1) === 2 ? coded(0) : undefined, 1_000)
      }
      assert.isTrue(Option.isNone(yield* drive(client.get("/k", { consistency: "eventual" }))))
      const value = yield* drive(client.get("/k", { consistency: "eventual", confirmMissing: true }))
      assert.strictEqual(text(Option.getOrUndefined(value)), "v")
    }))

  it.effect("37: an interrupted write is cancelled and may be applied all the same", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      cluster.node(1).delay = 100
      const write = yield* Effect.forkChild(client.put("/k", "v"), { startImmediately: true })
      yield* pass(60)
      yield* Fiber.interrupt(write)
      assert.strictEqual(text(cluster.node(1).data.get("/k")?.value), "v")
      cluster.node(1).delay = 1
      yield* drive(client.put("/k", "w"))
    }))

  it.effect("38: a deadline that has passed, or is shorter than any answer, sends nothing", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      for (const node of cluster.nodes) node.delay = 20
      const client = yield* connect()
      for (const timeout of [0, 1]) {
        const error = yield* failing(client.put("/k", "v", { timeout }))
        assertError(error, "RequestTimeout", "NotSent")
        assert.isAtMost(error.after, 5)
      }
      assert.strictEqual(cluster.node(1).count("HandleClientWrite"), 0)
    }))

  it.effect("44: closing ends what waits as not sent and what is under way as ambiguous", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(connect(), scope)
      cluster.node(1).script("HandleClientWrite", "silence")
      const sent = yield* Effect.forkChild(Effect.flip(client.put("/sent", "v")), { startImmediately: true })
      yield* pass(20)
      cluster.node(1).script("HandleClientWrite", { code: 9, details: "Not leader" })
      cluster.node(1).leading = false
      const parked = yield* Effect.forkChild(Effect.flip(client.put("/parked", "v")), { startImmediately: true })
      yield* pass(60)
      yield* Scope.close(scope, Exit.void)
      assertError(yield* drive(Fiber.join(sent)), "ClientClosed", "Ambiguous")
      assertError(yield* drive(Fiber.join(parked)), "ClientClosed", "Rejected")
      assertError(yield* failing(client.put("/late", "v")), "ClientClosed", "NotSent")
    }))

  it.effect("45: scans are read in the shape they come in, while servers are upgraded", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/s/b", "2"))
      yield* drive(client.put("/s/a", "1"))
      yield* drive(client.put("/sx", "3"))
      for (const dialect of ["0.2.4", "0.2.5", "0.2.4"] as const) {
        cluster.node(1).dialect = dialect
        const { entries, revision } = yield* drive(client.scan("/s/"))
        assert.deepStrictEqual(entries.map(({ key, value }) => `${text(key)}=${text(value)}`), ["/s/a=1", "/s/b=2"])
        assert.strictEqual(revision, 3n)
      }
      const { entries } = yield* drive(client.scan("/s", { raw: true }))
      assert.lengthOf(entries, 3)
      const { entries: none } = yield* drive(client.scan("/none/"))
      assert.lengthOf(none, 0)
    }))

  it.effect("prefixes that mean different things to scans and watches, or everything, are refused here", () =>
    Effect.gen(function*() {
      const { connect } = yield* simulate()
      const client = yield* connect()
      assertError(yield* failing(client.scan("/svc")), "InvalidRequest")
      assertError(yield* failing(client.scan("")), "InvalidRequest")
      assertError(yield* failing(client.scan("", { raw: true })), "InvalidRequest")
    }))

  it.effect("a TTL is refused unless the servers are known to have leases", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      assertError(yield* failing(client.putWithTtl("/k", "v", "1 second")), "Unsupported", "NotSent")
      assert.strictEqual(cluster.node(1).count("HandleClientWrite"), 0)
      const able = yield* connect({ adapter: DEngineAdapter.make({ ttl: true }) })
      assertError(yield* failing(able.putWithTtl("/k", "v", "500 millis")), "InvalidRequest", "NotSent")
      yield* drive(able.putWithTtl("/k", "v", "1 second"))
    }))

  it.effect("reads: values in the order of the keys, each level of consistency", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/a", "1"))
      yield* drive(client.put("/b", ""))
      for (const consistency of ["linearizable", "lease", "eventual"] as const) {
        const values = yield* drive(client.getMany(["/b", "/none", "/a", "/b"], { consistency }))
        assert.deepStrictEqual(values.map((value) => text(Option.getOrUndefined(value))), ["", undefined, "1", ""])
      }
      yield* drive(client.delete("/a"))
      assert.isTrue(Option.isNone(yield* drive(client.get("/a"))))
      // Leadership is proved before a lease read, unless it was a moment ago.
      const reads = cluster.node(1).count("HandleClientRead")
      yield* pass(1_000)
      yield* drive(client.get("/b", { consistency: "lease" }))
      assert.strictEqual(cluster.node(1).count("HandleClientRead"), reads + 2)
      yield* drive(client.get("/b", { consistency: "lease" }))
      assert.strictEqual(cluster.node(1).count("HandleClientRead"), reads + 3)
    }))

  it.effect("one description evaluated twice is two requests", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const put = client.put("/k", "v")
      yield* drive(Effect.all([put, put], { concurrency: "unbounded" }))
      yield* drive(put)
      assert.strictEqual(cluster.index, 3)
    }))
})

describe("answers of etcd", () => {
  const adapter = EtcdAdapter.make()
  const put = adapter.put(new Uint8Array(), new Uint8Array())
  const judge = (code: number, details: string, origin: "Server" | "Client" = "Server") =>
    put.judge({ code, details, origin, body: undefined, header: () => undefined })._tag
  it("are definite only where nothing was proposed", () => {
    assert.strictEqual(judge(14, "etcdserver: no leader"), "NotServing")
    assert.strictEqual(judge(14, "etcdserver: leader changed"), "Unknown")
    assert.strictEqual(judge(14, "etcdserver: request timed out"), "Unknown")
    assert.strictEqual(judge(14, "etcdserver: server stopped"), "Unknown")
    assert.strictEqual(judge(8, "etcdserver: too many requests"), "Busy")
    assert.strictEqual(judge(8, "etcdserver: mvcc: database space exceeded"), "Refused")
    assert.strictEqual(judge(9, "etcdserver: not leader"), "NotLeader")
    assert.strictEqual(judge(3, "etcdserver: request is too large"), "Refused")
    assert.strictEqual(judge(7, "etcdserver: permission denied"), "Refused")
    assert.strictEqual(judge(14, "No connection established. Last error: ECONNREFUSED", "Client"), "NotSent")
    assert.strictEqual(judge(14, "Connection dropped", "Client"), "Unknown")
    assert.strictEqual(judge(7, "Received HTTP status code 403", "Client"), "Unknown")
    assert.strictEqual(judge(4, "Deadline exceeded", "Client"), "Unknown")
  })
})
