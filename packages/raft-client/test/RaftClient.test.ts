/** The client as a service: layers, configuration, gate, shutdown, what it shows. */
import {
  type ClusterAdapter,
  DEngineAdapter,
  Election,
  EtcdAdapter,
  Lock,
  Prefix,
  RaftClient,
  type RaftError,
  Transaction,
  Transport
} from "@effect-scylla/raft-client"
import { assert, describe, it } from "@effect/vitest"
import {
  Config,
  ConfigProvider,
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  Redacted,
  Result,
  Scope,
  Stream,
  Tracer
} from "effect"
import { assertError, drive, failing, pass, simulate, text } from "./support/simulated.ts"

const config = (settings: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnvRecord(settings))

describe("RaftClient", () => {
  it.effect("is configured from the environment", () =>
    Effect.gen(function*() {
      const { cluster, transport } = yield* simulate()
      const layer = RaftClient.layerConfig({ adapter: DEngineAdapter.make() }).pipe(
        Layer.provide(config({ RAFT_ENDPOINTS: cluster.endpoints.join(), RAFT_TIMEOUT: "250 millis" })),
        Layer.provide(Layer.succeed(Transport.Transport, transport))
      )
      const error = yield* drive(
        Effect.gen(function*() {
          const client = yield* RaftClient.RaftClient
          yield* client.put("/k", "v")
          for (const node of cluster.nodes) node.script("HandleClientWrite", "silence", 100)
          return yield* Effect.flip(client.put("/k", "w"))
        }).pipe(Effect.provide(layer))
      )
      assert.strictEqual(error.attempts.length, 1)
      assert.isAtMost(error.attempts[0]!.atMillis, 300)
    }))

  it.effect("names every wrong setting at once", () =>
    Effect.gen(function*() {
      const layer = RaftClient.layerConfig({
        adapter: DEngineAdapter.make(),
        maxParked: 0,
        channel: { keepaliveMillis: -1 }
      }).pipe(
        Layer.provide(config({ RAFT_TIMEOUT: "soon", RAFT_ELECTION_TIMEOUT: "later" }))
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assertError(error, "InvalidRequest")
      assert.include(error.message, "5 wrong setting(s)")
      for (const part of ["RAFT_ENDPOINTS", "RAFT_TIMEOUT", "RAFT_ELECTION_TIMEOUT", "maxParked", "keepaliveMillis"]) {
        assert.include(error.message, part)
      }
    }))

  it.effect("is configured from the environment alone", () =>
    Effect.gen(function*() {
      const { cluster, transport } = yield* simulate()
      const layer = RaftClient.layerConfig().pipe(
        Layer.provide(config({
          RAFT_ENDPOINTS: ` ${cluster.endpoints.join(", ")} `,
          RAFT_ADAPTER: "d-engine",
          RAFT_D_ENGINE_TTL: "yes",
          RAFT_TIMEOUT: "250",
          RAFT_ELECTION_TIMEOUT: "300 millis",
          RAFT_EVENTUAL_READS: "sticky",
          RAFT_LEARNERS: "true",
          RAFT_MAX_IN_FLIGHT: "1",
          RAFT_PROBE_TIMEOUT: ""
        })),
        Layer.provide(Layer.succeed(Transport.Transport, transport))
      )
      yield* drive(
        Effect.gen(function*() {
          const client = yield* RaftClient.RaftClient
          assert.isTrue(client.capabilities.ttl)
          yield* client.put("/k", "v")
          for (const node of cluster.nodes) node.script("HandleClientWrite", "silence", 100)
          const [slow, refused] = yield* Effect.forEach([1, 2], () => Effect.flip(client.put("/k", "w")), {
            concurrency: "unbounded"
          })
          assertError(slow!, "RequestTimeout", "Ambiguous")
          assert.match(refused!.message, /1 requests are under way/)
        }).pipe(Effect.provide(layer))
      )
    }))

  it.effect("what is given in code goes before what is configured, a Config of its own too", () =>
    Effect.gen(function*() {
      const { cluster, transport } = yield* simulate()
      const layer = RaftClient.layerConfig({
        adapter: DEngineAdapter.make(),
        endpoints: cluster.endpoints,
        maxInFlight: Config.Int("MY_LIMIT"),
        timeout: "100 millis",
        prefix: "STORE_"
      }).pipe(
        Layer.provide(config({ STORE_TIMEOUT: "never", STORE_ADAPTER: "none", MY_LIMIT: "1", RAFT_LAZY: "perhaps" })),
        Layer.provide(Layer.succeed(Transport.Transport, transport))
      )
      yield* drive(Effect.provide(RaftClient.RaftClient.use((client) => client.put("/k", "v")), layer))
    }))

  it.effect("names every wrong variable at once, in words of its own, and no secret", () =>
    Effect.gen(function*() {
      const layer = RaftClient.layerConfig({ idleProbe: Config.Duration("MY_PROBE"), maxParked: 0 }).pipe(
        Layer.provide(config({
          RAFT_ENDPOINTS: "nowhere,127.0.0.1:1",
          RAFT_ADAPTER: "zookeeper",
          RAFT_PASSWORD: "hush",
          RAFT_TIMEOUT: "soon",
          RAFT_READY_TIMEOUT: "0 seconds",
          RAFT_LAZY: "perhaps",
          RAFT_MAX_IN_FLIGHT: "-1",
          RAFT_EVENTUAL_READS: "sometimes",
          RAFT_ADDRESS_MAP: "a:1",
          RAFT_TLS_KEY: "hush.pem",
          RAFT_TLS_CERT: "-----BEGIN CERTIFICATE-----",
          RAFT_MAX_SEND_BYTES: "0"
        }))
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assertError(error, "InvalidRequest")
      for (
        const part of [
          `RAFT_ENDPOINTS: endpoints has "nowhere", which is not host:port`,
          `RAFT_ADAPTER: "zookeeper" is none of etcd, d-engine`,
          "RAFT_USERNAME is missing: RAFT_PASSWORD is set",
          `RAFT_TIMEOUT: "soon" is no time`,
          "RAFT_READY_TIMEOUT: readyTimeout must be a time of at least 1 ms",
          `RAFT_LAZY: "perhaps" is neither true nor false`,
          `RAFT_MAX_IN_FLIGHT: "-1" is no whole number`,
          `RAFT_EVENTUAL_READS: "sometimes" is none of balanced, sticky`,
          `RAFT_ADDRESS_MAP: "a:1" is not announced=dialled`,
          "RAFT_TLS_KEY: is no PEM",
          "RAFT_MAX_SEND_BYTES: channel.maxSendBytes must be a whole number",
          "idleProbe: MY_PROBE is missing",
          "maxParked must be a whole number from 1, not 0",
          "channel.tls has one of cert and key"
        ]
      ) assert.include(error.message, part)
      assert.include(error.message, "14 wrong setting(s)")
      assert.notInclude(error.message, "hush")
      assert.notMatch(error.message, /SchemaError|Expected|undefined|\n/)
    }))

  it.effect("a user of a store that has none is wrong when it is put together", () =>
    Effect.gen(function*() {
      const users = config({
        RAFT_ENDPOINTS: "127.0.0.1:1",
        RAFT_ADAPTER: "d-engine",
        RAFT_USERNAME: "me",
        RAFT_PASSWORD: "hush"
      })
      const layer = Layer.provide(RaftClient.layerConfig(), users)
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.include(error.message, "1 wrong setting(s): RAFT_USERNAME: d-engine has no users to log in as")
    }))

  it.effect("what d-engine has not is refused by a typed error, before anything is sent", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const auth = { username: "me", password: Redacted.make("hush") }
      assertError(yield* failing(connect({ auth })), "Unsupported")
      const client = yield* connect()
      const { capabilities } = client
      assert.deepInclude(capabilities, { login: false, leases: false, transactions: false, pages: false })
      const service = Effect.provideService(RaftClient.RaftClient, client)
      const sent = cluster.node(1).received.length
      for (
        const [outcome, effect] of [
          [undefined, Effect.scoped(client.grantLease("5 seconds"))],
          ["NotSent", client.transact({ compare: [], success: [Transaction.put("/k", "v")] })],
          ["NotSent", client.put("/k", "v", { lease: { id: 1n } })],
          [undefined, service(Effect.scoped(Lock.acquire("/locks/a/")))],
          [undefined, service(Effect.scoped(Election.campaign("/e/", "me")))]
        ] as const
      ) assertError(yield* failing<unknown, never>(effect), "Unsupported", outcome)
      assertError(yield* failing(service(Lock.withLock("locks", () => Effect.void))), "InvalidRequest")
      assert.strictEqual(cluster.node(1).received.length, sent)
    }))

  it.effect("a scan in pages, and with a limit, where the server knows neither", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      for (const key of ["b", "a", "e", "c", "d"]) cluster.write(`/p/${key}`, key)
      const keys = (entries: ReadonlyArray<ClusterAdapter.Entry>) => entries.map(({ value }) => text(value)).join("")
      const pages = yield* drive(Stream.runCollect(client.scanPages("/p/", { pageSize: 2 })))
      assert.deepStrictEqual(pages.map(({ entries, more }) => [keys(entries), more]), [
        ["ab", true],
        ["cd", true],
        ["e", false]
      ])
      const some = yield* drive(client.scan("/p/", { limit: 3 }))
      assert.deepStrictEqual([keys(some.entries), some.more], ["abc", true])
      const none = yield* drive(Stream.runCollect(client.scanPages("/none/")))
      assert.deepStrictEqual(none.map(({ entries, more }) => [entries.length, more]), [[0, false]])
      assertError(yield* failing(client.scan("/p/", { limit: 0 })), "InvalidRequest")
      const before = cluster.node(1).count("HandleClientRead")
      const values = yield* drive(Stream.runCollect(client.getManyStream(["/p/a", "/p/x", "/p/b"], { pageSize: 2 })))
      assert.strictEqual(cluster.node(1).count("HandleClientRead"), before + 2)
      assert.deepStrictEqual(values.map((value) => text(Option.getOrUndefined(value))), ["a", undefined, "b"])
    }))

  it.effect("lazy: builds with nobody there, and finds them later", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      for (const { id } of cluster.nodes) cluster.kill(id)
      const client = yield* connect({ lazy: true })
      assertError(yield* failing(client.put("/k", "v", { timeout: 200 })), "NoLeader", "NotSent")
      for (const { id } of cluster.nodes) cluster.start(id)
      cluster.elect(2)
      yield* drive(client.put("/k", "v"))
    }))

  it.effect("every dial goes through the gate", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const dialled: Array<string> = []
      const client = yield* connect({
        dialGate: (address, dial) => Effect.andThen(Effect.sync(() => dialled.push(address)), dial)
      })
      yield* drive(client.put("/k", "v"))
      assert.deepStrictEqual(dialled.toSorted(), [...cluster.endpoints])
      cluster.kill(1)
      cluster.start(1)
      yield* drive(client.put("/k", "w"))
      assert.isAbove(dialled.length, 3)
      const before = dialled.length
      yield* drive(Stream.runDrain(Stream.take(client.watchPrefix("/w/"), 1)))
      assert.strictEqual(dialled.length, before + 1, "that of the stream's own connection")
    }))

  it.effect("a close waits for what is under way, as long as it may", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(connect({ shutdownTimeout: "1 second" }), scope)
      cluster.node(1).delay = 200
      const write = yield* Effect.forkChild(client.put("/k", "v"), { startImmediately: true })
      yield* drive(Scope.close(scope, Exit.void))
      yield* Fiber.join(write)
      const nothing = yield* Scope.make()
      yield* Scope.provide(connect({ shutdownTimeout: "1 second" }), nothing)
      // Nothing is under way: no clock is needed.
      yield* Scope.close(nothing, Exit.void)
    }))

  it.effect("bounds what is under way", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect({ maxInFlight: 2 })
      cluster.node(1).delay = 100
      const writes = yield* Effect.forEach([1, 2], (n) =>
        Effect.forkChild(client.put(`/${n}`, "v"), { startImmediately: true }))
      assertError(yield* failing(client.put("/3", "v")), "Overloaded", "NotSent")
      for (const write of writes) {
        yield* drive(Fiber.join(write))
      }
    }))

  it.effect("tells every change of its belief, and counts", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const before = (yield* Metric.snapshot).find(({ id }) => id === "raft_client_leader_changes_total")
      const client = yield* connect()
      const seen: Array<string | undefined> = []
      yield* Effect.forkScoped(
        Stream.runForEach(client.changes, ({ leader }) => Effect.sync(() => seen.push(leader?.id))),
        { startImmediately: true }
      )
      yield* pass(10)
      cluster.kill(1)
      yield* drive(client.put("/k", "v"))
      yield* pass(10)
      const distinct = seen.filter((id, i) => i === 0 || id !== seen[i - 1])
      assert.deepStrictEqual(distinct, ["1", undefined, "2"])
      const { evidence } = yield* client.view
      assert.include(evidence.find(({ address }) => address === "node1:9081")?.answer, "ECONNREFUSED")
      const after = (yield* Metric.snapshot).find(({ id }) => id === "raft_client_leader_changes_total")
      const count = (one: typeof before): number => (one?.state as { count?: number } | undefined)?.count ?? 0
      assert.isAtLeast(Number(count(after)) - Number(count(before)), 2)
    }))

  it.effect("wrong options of an operation are typed errors, and nothing is sent", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect({ adapter: DEngineAdapter.make({ ttl: true }) })
      const before = cluster.nodes.map(({ received }) => received.length)
      const soon = "soon" as "1 second"
      assertError(yield* failing(client.put("/k", "v", { timeout: soon })), "InvalidRequest", "NotSent")
      assertError(yield* failing(client.get("/k", { timeout: soon })), "InvalidRequest")
      assertError(yield* failing(client.scan("/k/", { timeout: soon })), "InvalidRequest")
      assertError(yield* failing(client.putWithTtl("/k", "v", soon)), "InvalidRequest", "NotSent")
      assertError(yield* failing(client.scan("/k/", { timeout: 0 })), "RequestTimeout")
      const streams: ReadonlyArray<Stream.Stream<unknown, RaftError.RaftError>> = [
        client.watch("/k", { reconcile: soon }),
        client.watch("/k", { reconcile: 0 }),
        client.watchPrefix("/k/", { bufferSize: 0 }),
        client.watchMembership({ pollInterval: soon })
      ]
      for (const stream of streams) assertError(yield* failing(Stream.runDrain(stream)), "InvalidRequest")
      assert.deepStrictEqual(cluster.nodes.map(({ received }) => received.length), before)
    }))

  it.effect("what is given and throws ends neither a search nor the process", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      let broken = true
      const client = yield* connect({
        lazy: true,
        addressMap: (announced) => {
          if (broken) throw new Error("no such pod")
          return announced
        }
      })
      const error = yield* failing(client.put("/k", "v", { timeout: 300 }))
      assertError(error, "NoLeader", "NotSent")
      assert.include(error.message, "no such pod")
      broken = false
      yield* drive(client.put("/k", "v"))
      // A hint by its address goes through the map, too.
      broken = true
      cluster.node(1).script("HandleClientWrite", { code: 14, details: "Not leader, try leader at: node2:9082" })
      const lost = yield* Effect.forkChild(client.put("/k", "w"), { startImmediately: true })
      yield* pass(50)
      broken = false
      yield* drive(Fiber.join(lost))

      const base = DEngineAdapter.make()
      const adapter = {
        ...base,
        delete: (key: Uint8Array) => ({
          ...base.delete(key),
          judge: () => {
            throw new Error("cannot judge")
          }
        })
      }
      const other = yield* connect({ adapter })
      const judged = yield* failing(other.delete("/k"))
      assertError(judged, "MalformedResponse", "Ambiguous")
      assert.include(judged.message, "cannot judge")
    }))

  it.effect("each operation has a span where a tracer is installed, with what was tried", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const observed = <A, E>(effect: Effect.Effect<A, E>) => drive(Effect.withTracer(effect, tracer))
      yield* observed(client.put("/k", "v"))
      yield* observed(client.scan("/"))
      cluster.node(1).script("HandleClientWrite", { code: 8, details: "Too many pending write requests" })
      yield* observed(client.delete("/k"))
      cluster.node(1).script("HandleClientWrite", { code: 4, details: "RPC timeout exceeded" })
      yield* Effect.exit(observed(client.compareAndSwap("/k", undefined, "w")))
      yield* observed(client.resolve({ key: "/k", expected: undefined, value: "w", fence: "f" }))
      yield* observed(client.get("/k", { consistency: "eventual", confirmMissing: true }))
      // Nobody looks: no span.
      yield* drive(client.put("/k", "v"))
      assert.deepStrictEqual(spans.map(({ name }) => name), [
        "raft.put",
        "raft.scan",
        "raft.delete",
        "raft.compareAndSwap",
        "raft.resolve",
        "raft.get",
        "raft.compareAndSwap",
        "raft.get"
      ])
      const [put, , busy, lost, resolve, inner, , eventual] = spans
      assert.deepStrictEqual(Object.fromEntries(put!.attributes), {
        "db.system.name": "d-engine",
        "db.operation.name": "put",
        "server.address": "node1:9081"
      })
      assert.strictEqual(put!.kind, "client")
      assert.deepStrictEqual(busy!.attributes.get("raft.attempts"), ["node1:9081: Too many pending write requests"])
      assert.strictEqual(lost!.attributes.get("raft.outcome"), "Ambiguous")
      assert.strictEqual(lost!.attributes.get("error.type"), "RequestTimeout")
      assert.strictEqual(Option.getOrUndefined(inner!.parent)?.spanId, resolve!.spanId)
      assert.match(String(eventual!.attributes.get("server.address")), /^node\d:/)
      assert.isTrue(spans.every(({ status }) => status._tag === "Ended"))
    }))

  it.effect("refresh takes other addresses when they lead to a leader, and only then", () =>
    Effect.gen(function*() {
      const { cluster, connect, transport } = yield* simulate()
      const client = yield* connect({ readyTimeout: "1 second", endpoints: ["node1:9081"] })
      assertError(yield* failing(client.refresh(["nobody:1"])), "NoLeader")
      assertError(yield* failing(client.refresh(["http://x"])), "InvalidRequest")
      yield* drive(client.put("/k", "v"))
      const dialled = transport.opened.filter((address) => address === "node1:9081").length
      yield* drive(client.refresh(["node2:9082"]))
      yield* drive(client.put("/k", "w"))
      assert.strictEqual(transport.opened.filter((address) => address === "node1:9081").length, dialled)
      assert.strictEqual(cluster.index, 2)
    }))

  it("prefixes start and end with a slash", () => {
    assert.isTrue(Result.isSuccess(Prefix.make("/a/")))
    for (const wrong of ["", "a/", "/a"]) assert.isTrue(Result.isFailure(Prefix.make(wrong)))
    assert.deepStrictEqual(Prefix.end(Uint8Array.of(1, 255)), Uint8Array.of(2))
    assert.deepStrictEqual(Prefix.end(Uint8Array.of(1, 2)), Uint8Array.of(1, 3))
    assert.isUndefined(Prefix.end(Uint8Array.of(255)))
  })

  it("adapters say what they lack", () => {
    assert.isFalse(DEngineAdapter.make().capabilities.ttl)
    assert.isTrue(DEngineAdapter.make({ ttl: true }).capabilities.ttl)
    assert.isFalse(EtcdAdapter.make().capabilities.leaseRead)
    assert.isTrue(EtcdAdapter.make().capabilities.resumableWatch)
  })
})
