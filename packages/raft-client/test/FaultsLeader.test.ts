/** What goes wrong on the way to the leader. Cases with one number are of one fault. */
import { create, toBinary } from "@bufbuild/protobuf"
import { DEngineAdapter, RaftClient } from "@effect-scylla/raft-client"
import { ClientResponseSchema } from "@effect-scylla/raft-client/generated/dengine/client_pb"
import { SimulatedNode } from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Option } from "effect"
import { assertError, drive, failing, pass, simulate, text } from "./support/simulated.ts"

const seconds = (n: number) => ({ timeout: n * 1_000 })

describe("faults around the leader", () => {
  it.effect("1: callers wait for the end of an election and not longer than their deadline", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect()
      cluster.kill(1)
      const patient = yield* Effect.forkChild(client.put("/k", "v", seconds(10)), { startImmediately: true })
      const error = yield* failing(client.put("/k", "w", seconds(1)))
      assertError(error, "NoLeader", "NotSent")
      assert.isAtLeast(error.after, 1_000)
      assert.isAtMost(error.after, 1_010)
      cluster.elect(2)
      yield* drive(Fiber.join(patient))
      assert.strictEqual(text(cluster.node(2).data.get("/k")?.value), "v")
      assert.strictEqual((yield* client.leader).address, cluster.node(2).address)
    }))

  it.effect("1: the queue of those who wait is bounded", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect({ maxParked: 2 })
      cluster.kill(1)
      yield* Effect.flip(drive(client.put("/k", "v", { timeout: 50 })))
      const waiting = yield* Effect.forEach([1, 2], () => Effect.forkChild(Effect.exit(client.put("/k", "v"))))
      yield* pass(20)
      assertError(yield* failing(client.put("/k", "v")), "Overloaded", "NotSent")
      for (const fiber of waiting) yield* Fiber.interrupt(fiber)
    }))

  it.effect("2: a leader that is not among the members is none", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      for (const node of cluster.nodes) {
        node.names = 9
        node.leading = false
      }
      const starting = yield* Effect.forkChild(connect({ lazy: true }))
      const client = yield* Fiber.join(starting)
      assertError(yield* failing(client.put("/k", "v", seconds(1))), "NoLeader", "NotSent")
      cluster.elect(3)
      yield* drive(client.put("/k", "v"))
    }))

  it.effect("3: a leader that dies between the probe and the call costs no error", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      cluster.node(1).script("HandleClientRead", () => {
        cluster.kill(1)
        return "silence"
      })
      const client = yield* connect()
      assert.notStrictEqual((yield* client.leader).id, "1")
      yield* drive(client.put("/k", "v"))
    }))

  it.effect("4: a leader that accepts connections and is stopped is left for the one that is elected", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      cluster.pause(1)
      const stuck = yield* Effect.forkChild(Effect.flip(client.put("/stuck", "v")), { startImmediately: true })
      yield* pass(900)
      const before = yield* Clock.currentTimeMillis
      yield* drive(client.put("/k", "v"))
      assert.isAtMost((yield* Clock.currentTimeMillis) - before, 700)
      assertError(yield* drive(Fiber.join(stuck)), "RequestTimeout", "Ambiguous")
      assert.strictEqual((yield* client.leader).id, "2")
    }))

  it.effect("4: a stopped leader is noticed although followers go on answering", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const read = Effect.exit(client.get("/k", { consistency: "eventual" }))
      yield* drive(read)
      yield* pass(50)
      cluster.pause(1)
      const stuck = yield* Effect.forkChild(Effect.exit(client.put("/stuck", "v", seconds(10))), {
        startImmediately: true
      })
      for (let i = 0; i < 100; i++) {
        yield* Effect.forkScoped(read)
        yield* pass(10)
      }
      assert.strictEqual((yield* client.view).leader?.id, "2")
      yield* Fiber.interrupt(stuck)
    }))

  it.effect("4: a stopped leader does not keep a client from starting", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      cluster.pause(1)
      const client = yield* connect()
      assert.strictEqual((yield* client.leader).id, "2")
    }))

  it.effect("5: an endpoint that swallows everything costs nothing", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      cluster.elect(3)
      cluster.pause(1)
      const before = yield* Clock.currentTimeMillis
      yield* connect({ endpoints: ["node1:9081", "node2:9082"] })
      assert.isAtMost((yield* Clock.currentTimeMillis) - before, 50)
    }))

  it.effect("6: a leader without quorum: writes end ambiguous, reads fail, eventual reads are served, nobody spins", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect()
      yield* drive(client.put("/k", "v"))
      cluster.isolate(2)
      cluster.isolate(3)
      const write = yield* Effect.forkChild(Effect.flip(client.put("/k", "w", seconds(2))), { startImmediately: true })
      const read = yield* Effect.forkChild(Effect.flip(client.get("/k", seconds(2))), { startImmediately: true })
      assertError(yield* drive(Fiber.join(write)), "RequestTimeout", "Ambiguous")
      assert.isUndefined((yield* drive(Fiber.join(read))).outcome)
      const value = yield* drive(client.get("/k", { consistency: "eventual" }))
      assert.strictEqual(text(Option.getOrUndefined(value)), "v")
      const asked = cluster.node(2).count("GetClusterMetadata")
      yield* pass(5_000)
      assert.isAtMost(cluster.node(2).count("GetClusterMetadata") - asked, 60)
    }))

  it.effect("7: followers that still name a dead leader are not believed, nor is it dialled again and again", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 2_000 })
      const client = yield* connect()
      cluster.kill(1)
      assert.strictEqual(cluster.node(2).names, 1)
      const before = yield* Clock.currentTimeMillis
      yield* drive(client.put("/k", "v", seconds(5)))
      const took = (yield* Clock.currentTimeMillis) - before
      assert.isAtLeast(took, 2_000)
      assert.isAtMost(took, 2_200)
    }))

  it.effect("8: an old leader that is cut off from the others is not followed, and its scans are not believed", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.put("/a/k", "old"))
      cluster.isolate(1)
      yield* pass(600)
      assert.isTrue(cluster.node(1).leading)
      cluster.write("/a/k", "new")
      const { entries } = yield* drive(client.scan("/a/"))
      assert.deepStrictEqual(entries.map(({ value }) => text(value)), ["new"])
      assert.strictEqual((yield* client.leader).id, "2")
      const fresh = yield* connect()
      assert.strictEqual((yield* fresh.leader).id, "2")
    }))

  it.effect("9: of two that name themselves in one term, the one that answers a linearizable read leads", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      cluster.elect(2)
      const old = cluster.node(1)
      old.leading = true
      old.names = 1
      old.term = cluster.node(2).term
      old.script("HandleClientRead", { code: 9, details: "Not leader" }, 1_000)
      const client = yield* connect({ endpoints: ["node1:9081", "node2:9082"] })
      assert.strictEqual((yield* client.leader).id, "2")
    }))

  it.effect("10: hints that lead in a circle are left after three hops", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect()
      for (const node of cluster.nodes) {
        node.dialect = "0.2.5"
        node.leading = false
        node.names = node.id % 3 + 1
      }
      const error = yield* failing(client.put("/k", "v", { timeout: 2_000 }))
      assertError(error, "NoLeader", "Rejected")
      const writes = cluster.nodes.reduce((sum, node) => sum + node.count("HandleClientWrite"), 0)
      assert.isAtMost(writes, 4)
      assert.isAtLeast(writes, 3)
    }))

  it.effect("10: a hint to a member is followed without a search", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect()
      for (const node of cluster.nodes) node.dialect = "0.2.5"
      yield* drive(client.get("/k", { consistency: "eventual" }))
      yield* drive(client.get("/k", { consistency: "eventual" }))
      yield* drive(client.get("/k", { consistency: "eventual" }))
      cluster.elect(3)
      yield* drive(client.put("/k", "v"))
      assert.strictEqual(text(cluster.node(3).data.get("/k")?.value), "v")
      assert.strictEqual(cluster.node(2).count("HandleClientWrite"), 0)
      assert.strictEqual((yield* client.leader).id, "3")
    }))

  it.effect("11: hints to strangers are not followed; announced addresses go through the map", () =>
    Effect.gen(function*() {
      const { cluster, connect, transport } = yield* simulate({ electionMillis: 0 })
      for (const node of cluster.nodes) node.announced = `10.0.0.${node.id}:9081`
      const client = yield* connect({
        addressMap: Object.fromEntries(cluster.nodes.map(({ address, announced }) => [announced!, address]))
      })
      const body = toBinary(
        ClientResponseSchema,
        create(ClientResponseSchema, { error: 4001, metadata: { leaderAddress: "evil:666" } })
      )
      cluster.node(1).script("HandleClientWrite", { code: 0, body })
      yield* drive(client.put("/k", "v"))
      assert.deepStrictEqual([...new Set(transport.opened)].toSorted(), [...cluster.endpoints])
    }))

  it.effect("11: a node that announces 0.0.0.0 is dialled where it was found", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      for (const node of cluster.nodes) node.announced = `0.0.0.0:${9080 + node.id}`
      const client = yield* connect()
      yield* drive(client.put("/k", "v"))
      assert.strictEqual((yield* client.leader).address, cluster.node(1).address)
    }))

  it.effect("13: a new leader that is not ready yet is asked again, without a storm of probes", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      yield* drive(client.get("/k"))
      const asked = cluster.node(2).count("GetClusterMetadata")
      cluster.node(1).ready = false
      const read = yield* Effect.forkChild(client.get("/k"), { startImmediately: true })
      yield* pass(100)
      cluster.node(1).ready = true
      yield* drive(Fiber.join(read))
      assert.strictEqual(cluster.node(2).count("GetClusterMetadata"), asked)
    }))

  it.effect("21: a thousand callers that are sent away at once make one search", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect()
      const asked = cluster.node(3).count("GetClusterMetadata")
      cluster.elect(2)
      const writes = Array.from({ length: 1_000 }, (_, i) => client.put(`/k/${i}`, "v"))
      yield* drive(Effect.all(writes, { concurrency: "unbounded" }))
      assert.isAtMost(cluster.node(3).count("GetClusterMetadata") - asked, 3)
      assert.strictEqual(cluster.node(2).data.size, 1_000)
    }))

  it.effect("22: a leader that flaps is chased with restraint", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect()
      const asked = cluster.node(3).count("GetClusterMetadata")
      let writes = 0
      for (let i = 0; i < 20; i++) {
        cluster.elect(i % 2 + 1)
        const write = yield* Effect.forkChild(client.put("/k", String(i)), { startImmediately: true })
        yield* pass(300)
        writes += (yield* drive(Fiber.await(write)))._tag === "Success" ? 1 : 0
      }
      assert.strictEqual(writes, 20)
      assert.isAtMost(cluster.node(3).count("GetClusterMetadata") - asked, 80)
    }))

  it.effect("23: members come and go; connections to those that stay are kept", () =>
    Effect.gen(function*() {
      const { cluster, connect, transport } = yield* simulate()
      const client = yield* connect({ membershipInterval: "1 second" })
      yield* drive(client.put("/k", "v"))
      const before = transport.opened.filter((address) => address === "node1:9081").length
      const added = new SimulatedNode(4, "node4:9084")
      cluster.setNodes((nodes) => {
        nodes.push(added)
        nodes.splice(nodes.findIndex(({ id }) => id === 3), 1)
      })
      yield* pass(2_500)
      assert.deepStrictEqual((yield* client.members).map(({ id }) => id).toSorted(), ["1", "2", "4"])
      assert.strictEqual(transport.opened.filter((address) => address === "node1:9081").length, before)
      assert.isAtLeast(added.count("GetClusterMetadata"), 1)
    }))

  it.effect("24: a client outlives all the nodes it was given", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect({ membershipInterval: "1 second" })
      for (let old = 1; old <= 3; old++) {
        cluster.setNodes((nodes) => nodes.push(new SimulatedNode(old + 3, `node${old + 3}:${9083 + old}`)))
        yield* pass(2_500)
        cluster.kill(old)
        yield* pass(1_000)
        cluster.setNodes((nodes) => nodes.splice(nodes.findIndex(({ id }) => id === old), 1))
        yield* pass(2_500)
      }
      yield* drive(client.put("/k", "v"))
      assert.deepStrictEqual((yield* client.members).map(({ id }) => id).toSorted(), ["4", "5", "6"])
    }))

  it.effect("25: a leader that was removed is void once the others know", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect({ membershipInterval: "1 second" })
      const removed = cluster.node(1)
      cluster.elect(2)
      // It goes on as if nothing had happened, and answers everything as a leader with a quorum would.
      removed.leading = true
      removed.names = 1
      const old = cluster.answer(
        removed,
        "/d_engine.server.cluster.ClusterManagementService/GetClusterMetadata",
        new Uint8Array()
      )
      removed.script("GetClusterMetadata", old, 1_000)
      cluster.setNodes((nodes) => nodes.splice(0, 1, new SimulatedNode(4, "node4:9084")))
      cluster.elect(2)
      yield* pass(3_000)
      assert.strictEqual((yield* client.leader).id, "2")
      yield* drive(client.put("/k", "v"))
      assert.strictEqual(text(cluster.node(2).data.get("/k")?.value), "v")
    }))

  it.effect("26: learners are not asked who leads and read from only if that is wanted", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const learner = new SimulatedNode(4, "node4:9084")
      learner.voter = false
      cluster.setNodes((nodes) => nodes.push(learner))
      const endpoints = cluster.endpoints.slice(0, 3)
      const client = yield* connect({ endpoints, membershipInterval: "1 second" })
      yield* pass(5_000)
      const reads = Array.from({ length: 12 }, () => client.get("/k", { consistency: "eventual" }))
      yield* drive(Effect.all(reads))
      assert.strictEqual(learner.received.length, 0)
      const eager = yield* connect({ endpoints, learners: true })
      yield* drive(eager.get("/k", { consistency: "eventual" }))
      yield* pass(50)
      yield* drive(Effect.all(Array.from({ length: 8 }, () => eager.get("/k", { consistency: "eventual" }))))
      assert.strictEqual(learner.count("HandleClientRead"), 2)
    }))

  it.effect("39: after a long silence the leader is probed before a write goes to it", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect({ membershipInterval: "1 day" })
      yield* drive(client.put("/k", "v"))
      cluster.elect(2)
      cluster.pause(1)
      yield* pass(90_000)
      yield* drive(client.put("/k", "w"))
      assert.strictEqual(cluster.node(1).count("HandleClientWrite"), 1)
      assert.strictEqual(text(cluster.node(2).data.get("/k")?.value), "w")
    }))

  it.effect("42: a node of another cluster counts for nothing, and refresh does not go over to it", () =>
    Effect.gen(function*() {
      const ours = yield* simulate()
      const theirs = yield* simulate()
      for (const node of theirs.cluster.nodes) {
        node.address = `other${node.id}:1`
      }
      const client = yield* ours.connect({ readyTimeout: "1 second" })
      ours.cluster.nodes.push(...theirs.cluster.nodes)
      // What answers at these addresses are the others' nodes.
      const answer = ours.cluster.answer.bind(ours.cluster)
      ours.cluster.answer = (node, path, body) =>
        theirs.cluster.nodes.includes(node) ? theirs.cluster.answer(node, path, body) : answer(node, path, body)
      const error = yield* failing(client.refresh(["other1:1", "other2:1"]))
      assertError(error, "NoLeader")
      assert.include(error.message, "another cluster")
      yield* drive(client.put("/k", "v"))
    }))

  it.effect("43: a node that is not ready for minutes is left alone, and comes back", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      cluster.node(2).serving = false
      for (let i = 0; i < 30; i++) yield* drive(client.get("/k", { consistency: "eventual" }))
      cluster.node(2).serving = true
      const before = cluster.node(2).count("HandleClientRead")
      for (let i = 0; i < 6; i++) yield* drive(client.get("/k", { consistency: "eventual" }))
      assert.isAtLeast(cluster.node(2).count("HandleClientRead") - before, 1)
    }))

  it.effect("terms that start again from lower numbers open a new period", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      cluster.elect(1, { term: 15 })
      const client = yield* connect()
      assert.strictEqual((yield* client.leader).term, 15n)
      for (const { id } of cluster.nodes) cluster.kill(id)
      yield* pass(200)
      for (const { id } of cluster.nodes) cluster.start(id)
      cluster.elect(3, { term: 7 })
      yield* drive(client.put("/k", "v"))
      const leader = yield* client.leader
      assert.deepStrictEqual([leader.id, leader.term, leader.period], ["3", 7n, 1])
    }))

  it.effect("a layer that finds nobody fails naming the last answer of each endpoint", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      cluster.kill(1)
      cluster.pause(2)
      const error = yield* Effect.flip(connect())
      assertError(error, "NoLeader")
      assert.include(error.message, "node1:9081: connect ECONNREFUSED")
      assert.include(error.message, "node2:9082: not connected after 500 ms")
      assert.include(error.message, "node3:9083: names 1 as the leader")
    }))

  it.effect("wrong options are named all at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(RaftClient.make({
        endpoints: ["http://x:1", "y"],
        adapter: DEngineAdapter.make(),
        timeout: -1,
        maxParked: 0
      })))
      assertError(error, "InvalidRequest")
      for (const part of ["4 wrong", "http://x:1", '"y"', "timeout", "maxParked"]) assert.include(error.message, part)
    }))
})
