/** What users do with the Raft client, and what their clusters do to them, on real etcd and d-engine. */
import { RaftClient, Transport } from "@effect-scylla/raft-client"
import * as RaftHistory from "@effect-scylla/testkit/RaftHistory"
import type { RaftNode, RaftServer } from "@effect-scylla/testkit/RaftServer"
import * as RaftWorkload from "@effect-scylla/testkit/RaftWorkload"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Stream } from "effect"
import { Random } from "../support/random.ts"
import { instead, raftServers, registersOf } from "./raftServers.ts"
import { dialects, text, Wire } from "./raftWire.ts"

class Server extends Context.Service<Server, RaftServer>()("test/RaftServer") {}

/** Waits for something to become true; fails after 20 seconds. */
const until = <E, R>(what: string, ready: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    for (let i = 0; i < 2_000; i++) {
      if (yield* ready) return
      yield* Effect.sleep(10)
    }
    assert.fail(`${what} did not come about in 20 seconds`)
  })

const leaderOf = Effect.fnUntraced(function*(server: RaftServer): Effect.fn.Return<RaftNode> {
  let node: RaftNode | undefined
  yield* until(
    "a leader",
    Effect.map(server.leader, (endpoint) => {
      node = server.nodes.find((node) => node.endpoint === endpoint)
      return node !== undefined
    })
  )
  return node!
})

const anotherLeads = (server: RaftServer, than: RaftNode) =>
  until(
    "another leader",
    Effect.map(server.leader, (leader) => leader !== undefined && leader !== than.endpoint)
  )

for (const { adapter, kind, make, missing } of raftServers) {
  if (missing !== undefined) {
    instead(`raft on ${kind}`, missing)
    continue
  }
  const connect = (server: RaftServer, options: Partial<RaftClient.RaftClientOptions> = {}) =>
    RaftClient.make({
      endpoints: server.endpoints,
      adapter,
      electionTimeout: "300 millis",
      readyTimeout: "15 seconds",
      timeout: "10 seconds",
      ...options
    })

  const overheard = Effect.fnUntraced(function*(server: RaftServer, options: Partial<RaftClient.RaftClientOptions>) {
    const wire = new Wire(dialects[kind])
    const tapped = wire.tap(yield* Transport.Transport)
    return { wire, client: yield* Effect.provideService(connect(server, options), Transport.Transport, tapped) }
  })

  describe(`raft on ${kind}`, () => {
    layer(Layer.effect(Server, make), { excludeTestServices: true, timeout: "120 seconds" })("", (it) => {
      it.effect("every operation", () =>
        Effect.gen(function*() {
          const server = yield* Server
          const client = yield* connect(server)
          yield* client.put("/o/a", "1")
          yield* client.put("/o/empty", "")
          const get = (key: string, consistency?: "linearizable" | "lease") =>
            Effect.map(client.get(key, { consistency }), (value) => text(Option.getOrUndefined(value)))
          assert.strictEqual(yield* get("/o/a"), "1")
          assert.strictEqual(yield* get("/o/a", "lease"), "1")
          assert.strictEqual(yield* get("/o/empty"), "")
          assert.isUndefined(yield* get("/o/none"))
          const many = yield* client.getMany(["/o/empty", "/o/none", "/o/a"])
          assert.deepStrictEqual(many.map((value) => text(Option.getOrUndefined(value))), ["", undefined, "1"])
          yield* until(
            "the follower's copy",
            Effect.map(client.get("/o/a", { consistency: "eventual" }), Option.isSome)
          )
          const hundreds = Array.from({ length: 300 }, (_, i) => i === 299 ? "/o/a" : `/o/none/${i}`)
          const found = (yield* client.getMany(hundreds)).map(Option.isSome)
          assert.deepStrictEqual([found.length, found.indexOf(true)], [300, 299])
          const swap = (key: string, expected: string | undefined, value: string) =>
            Effect.map(client.compareAndSwap(key, expected, value), ({ succeeded }) => succeeded)
          assert.isTrue(yield* swap("/o/a", "1", "2"))
          assert.isFalse(yield* swap("/o/a", "1", "3"))
          assert.isTrue(yield* swap("/o/new", undefined, "1"))
          assert.isFalse(yield* swap("/o/new", undefined, "2"))
          assert.isFalse(yield* swap("/o/new", "", "2"))
          assert.isTrue(yield* swap("/o/empty", "", "full"))
          yield* client.put("/ox", "not under it")
          const { entries } = yield* client.scan("/o/")
          assert.deepStrictEqual(entries.map(({ key, value }) => `${text(key)}=${text(value)}`), [
            "/o/a=2",
            "/o/empty=full",
            "/o/new=1"
          ])
          assert.lengthOf((yield* client.scan("/o", { raw: true })).entries, 4)
          yield* client.delete("/o/a")
          yield* client.delete("/o/never")
          assert.isUndefined(yield* get("/o/a"))
          yield* client.putWithTtl("/ttl", "v", "1 second")
          assert.strictEqual(yield* get("/ttl"), "v")
          yield* until("the end of its time", Effect.map(client.get("/ttl"), Option.isNone))
          assert.lengthOf(yield* client.members, 3)
          assert.strictEqual((yield* client.leader).address, (yield* leaderOf(server)).endpoint)
          const [membership] = yield* Stream.runCollect(Stream.take(client.watchMembership(), 1))
          assert.lengthOf(membership!.voters, 3)
        }))

      it.effect(
        "the leader is killed, stopped and resumed under load: it is followed, nothing acknowledged is lost or doubled",
        () =>
          Effect.gen(function*() {
            const server = yield* Server
            const client = yield* connect(server, { timeout: "3 seconds" })
            const told = new Map<string, number>()
            const resyncs: Array<string> = []
            const watched = yield* Effect.forkScoped(Stream.runForEach(client.watchPrefix("/load/"), (event) =>
              Effect.sync(() => {
                if (event._tag === "Resync") resyncs.push(event.reason)
                if (event._tag === "Put") told.set(text(event.key)!, (told.get(text(event.key)!) ?? 0) + 1)
              })))
            const outcomes = new Map<string, string>()
            let over = false
            const writers = yield* Effect.forkChild(Effect.forEach(
              [0, 1, 2, 3],
              Effect.fnUntraced(function*(writer) {
                for (let n = 0; !over; n++) {
                  const key = `/load/${writer}/${n}`
                  const result = yield* Effect.result(client.put(key, "v"))
                  outcomes.set(key, result._tag === "Success" ? "done" : result.failure.outcome!)
                  yield* Effect.sleep(5)
                }
              }),
              { concurrency: "unbounded", discard: true }
            ))
            const written = (): number =>
              [...outcomes.values()].filter((outcome) => outcome === "done").length
            const more = Effect.suspend(() => {
              const before = written()
              return until("acknowledged writes", Effect.sync(() => written() > before + 20))
            })
            yield* more
            const killed = yield* leaderOf(server)
            yield* killed.kill
            yield* anotherLeads(server, killed)
            yield* more
            yield* killed.start
            yield* server.awaitReady
            const stopped = yield* leaderOf(server)
            yield* stopped.pause
            yield* anotherLeads(server, stopped)
            yield* more
            yield* stopped.resume
            yield* server.awaitReady
            yield* more
            over = true
            yield* Fiber.join(writers)
            assert.strictEqual((yield* client.leader).address, (yield* leaderOf(server)).endpoint)
            const { entries } = yield* client.scan("/load/")
            const present = new Set(entries.map(({ key }) => text(key)!))
            const lost = [...outcomes].filter(([key, outcome]) => outcome === "done" && !present.has(key))
            assert.deepStrictEqual(lost, [])
            const denied = [...outcomes].filter(([key, outcome]) =>
              (outcome === "NotSent" || outcome === "Rejected") && present.has(key)
            )
            assert.deepStrictEqual(denied, [])
            yield* until("all events", Effect.sync(() => [...present].every((key) => told.has(key))))
            assert.deepStrictEqual([...told].filter(([, times]) => times > 1), [])
            // A watch is resumed by revision where that can be, and no election is taken for a loss.
            if (kind === "etcd") assert.deepStrictEqual(resyncs, [])
            yield* Fiber.interrupt(watched)
          }),
        90_000
      )

      it.effect(
        "without a quorum reads fail typed and writes are ambiguous; afterwards all goes on",
        () =>
          Effect.gen(function*() {
            const server = yield* Server
            const client = yield* connect(server)
            yield* client.put("/q", "v")
            const leader = yield* leaderOf(server)
            const followers = server.nodes.filter((node) => node !== leader)
            yield* Effect.gen(function*() {
              for (const node of followers) yield* node.pause
              const write = yield* Effect.flip(client.put("/q", "w", { timeout: "1500 millis" }))
              assert.strictEqual(write.outcome, "Ambiguous")
              const read = yield* Effect.flip(client.get("/q", { timeout: "1500 millis" }))
              assert.isUndefined(read.outcome)
              // Whatever comes of it: the next case finds all nodes running.
            }).pipe(Effect.ensuring(Effect.ignore(Effect.forEach(followers, (node) => node.resume))))
            yield* server.awaitReady
            yield* client.put("/q", "x")
            assert.strictEqual(text(Option.getOrUndefined(yield* client.get("/q"))), "x")
          }),
        60_000
      )

      /** Registers under a nemesis that kills, stops and restarts until it has done `rounds` of it. */
      const suffer = Effect.fnUntraced(function*(
        server: RaftServer,
        registers: RaftWorkload.Registers,
        seed: number,
        rounds: number,
        tag: string
      ) {
        const source = new Random(seed)
        let over = false
        const workload = yield* Effect.forkChild(RaftWorkload.run({
          registers,
          below: (bound) => source.below(bound),
          isOver: () => over,
          pause: Effect.sleep(3),
          tag
        }))
        for (let i = 0; i < rounds; i++) {
          const leader = yield* leaderOf(server)
          const node = source.below(4) > 0 ? leader : server.nodes[source.below(3)]!
          const stop = source.below(2) === 0
          yield* stop ? node.pause : node.kill
          if (node === leader) yield* anotherLeads(server, leader)
          else yield* Effect.sleep(300)
          // The new leader serves for a while before the old one is back.
          yield* Effect.sleep(300 + source.below(500))
          yield* stop ? node.resume : node.start
          yield* server.awaitReady
          yield* Effect.sleep(200)
        }
        over = true
        const { counts, history } = yield* Fiber.join(workload)
        return { counts, violations: RaftHistory.check(history) }
      })

      it.effect("histories under chaos are linearizable, and say what the servers said", () =>
        Effect.gen(function*() {
          const server = yield* Server
          const { client, wire } = yield* overheard(server, { timeout: "1 second" })
          const { counts, violations } = yield* suffer(server, wire.heldTo(registersOf(client)), 1, 5, "h")
          process.stderr.write(`chaos on ${kind}: ${JSON.stringify(counts)}\n`)
          assert.isAbove(counts.done, 300)
          assert.deepStrictEqual(wire.untruths, [])
          const servers = RaftHistory.check(wire.history)
          // d-engine applies an entry twice now and then: what the wire shows is not the client's doing.
          for (const violation of servers) {
            const what = `${kind} is not linearizable by itself:\n${RaftHistory.render(violation)}\n`
            if (kind === "d-engine") process.stderr.write(what)
            else assert.fail(what)
          }
          const clients = violations.filter(({ key }) => !servers.some((violation) => violation.key === key))
          assert.deepStrictEqual(clients.map(RaftHistory.render), [])
        }), 110_000)

      it.effect("a client that takes ambiguous writes for done is caught", () =>
        Effect.gen(function*() {
          const server = yield* Server
          const { client, wire } = yield* overheard(server, { timeout: "400 millis" })
          const right = registersOf(client)
          const wrong: RaftWorkload.Registers = {
            ...right,
            put: (key, value) =>
              Effect.catch(right.put(key, value), (error) =>
                error.outcome === "Ambiguous" ? Effect.void : Effect.fail(error))
          }
          for (let seed = 1; seed <= 4; seed++) {
            const { violations } = yield* suffer(server, wire.heldTo(wrong), seed, 2, `w${seed}.`)
            if (violations.length > 0) {
              assert.match(wire.untruths.join("\n"), /the client says Done/)
              return
            }
          }
          assert.fail("none of 4 runs shows it")
        }), 110_000)
    })
  })
}
