/** What goes wrong with watches. Cases with one number are of one fault. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import {
  type ClusterAdapter,
  DEngineAdapter,
  EtcdAdapter,
  RaftClient,
  type RaftError,
  type WatchEvent
} from "@effect-scylla/raft-client"
import { WatchResponseSchema } from "@effect-scylla/raft-client/generated/etcd/rpc_pb"
import { event } from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, type Scope, Stream } from "effect"
import { assertError, drive, pass, simulate, type Simulation, text } from "./support/simulated.ts"

const show = (event: WatchEvent.WatchEvent): string => {
  switch (event._tag) {
    case "Put":
      return `${text(event.key)}=${text(event.value)}${event.previous === undefined ? "" : `<${text(event.previous)}`}`
    case "Delete":
      return `-${text(event.key)}<${text(event.previous)}`
    case "Synced":
      return "synced"
    case "Resync":
      return `resync: ${event.reason}`
  }
}

interface Watched {
  readonly events: Array<string>
  readonly raw: Array<WatchEvent.WatchEvent>
  readonly fiber: Fiber.Fiber<void, RaftError.RaftError>
}

const watching = (
  stream: Stream.Stream<WatchEvent.WatchEvent, RaftError.RaftError>
): Effect.Effect<Watched, never, Scope.Scope> =>
  Effect.gen(function*() {
    const raw: Array<WatchEvent.WatchEvent> = []
    const events: Array<string> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(stream, (event) =>
        Effect.sync(() => {
          raw.push(event)
          events.push(show(event))
        })),
      { startImmediately: true }
    )
    yield* pass(100)
    return { events, raw, fiber }
  })

/** What a consumer that folds the events holds. */
const folded = (raw: ReadonlyArray<WatchEvent.WatchEvent>): Record<string, string> => {
  const state: Record<string, string> = {}
  for (const event of raw) {
    if (event._tag === "Put") state[text(event.key)!] = text(event.value)!
    if (event._tag === "Delete") delete state[text(event.key)!]
  }
  return state
}

const stateOf = (cluster: Simulation["cluster"]): Record<string, string> =>
  Object.fromEntries([...cluster.leader!.data].map(([key, { value }]) => [key, text(value)!]))

describe("faults of watches", () => {
  it.effect("a watch starts with the state, then tells changes with the value before", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      cluster.write("/w/b", "1")
      cluster.write("/w/a", "1")
      cluster.write("/x", "1")
      const all = yield* watching(client.watchPrefix("/w/"))
      const one = yield* watching(client.watch("/w/a"))
      const quiet = yield* watching(client.watchPrefix("/w/", { initial: false }))
      cluster.write("/w/a", "2")
      cluster.write("/w/c", "1")
      cluster.write("/w/b", undefined)
      cluster.write("/w/none", undefined)
      yield* pass(50)
      const changes = ["/w/a=2<1", "/w/c=1", "-/w/b<1"]
      assert.deepStrictEqual(all.events, ["/w/a=1", "/w/b=1", "synced", ...changes])
      assert.deepStrictEqual(one.events, ["/w/a=1", "synced", "/w/a=2<1"])
      assert.deepStrictEqual(quiet.events, ["synced", ...changes])
    }))

  it.effect("29: when the node of a watch dies, it goes on elsewhere without a gap and without a repetition", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      cluster.write("/w/stays", "1")
      cluster.write("/w/goes", "1")
      const { events, raw } = yield* watching(client.watchPrefix("/w/"))
      cluster.write("/w/before", "1")
      yield* pass(20)
      cluster.kill(1)
      yield* pass(520)
      cluster.write("/w/during", "1")
      cluster.write("/w/goes", undefined)
      yield* pass(500)
      cluster.write("/w/after", "1")
      yield* pass(50)
      assert.deepStrictEqual(events.slice(0, 4), ["/w/goes=1", "/w/stays=1", "synced", "/w/before=1"])
      assert.deepStrictEqual(events.slice(4).toSorted(), [
        "-/w/goes<1",
        "/w/after=1",
        "/w/during=1",
        "resync: Reopened",
        "synced"
      ])
      assert.deepStrictEqual(folded(raw), stateOf(cluster))
    }))

  it.effect("29: a watch moves to the new leader when its old one lives on as a follower", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect()
      const { events } = yield* watching(client.watchPrefix("/w/"))
      cluster.elect(2)
      yield* drive(client.put("/w/a", "1"))
      yield* pass(1_000)
      assert.strictEqual(cluster.node(1).watchers.size, 0)
      assert.strictEqual(cluster.node(2).watchers.size, 1)
      cluster.write("/w/b", "1")
      yield* pass(50)
      assert.deepStrictEqual(events.filter((event) => event.startsWith("/")), ["/w/a=1", "/w/b=1"])
    }))

  it.effect("30: a cancellation, which has revision 0 and error 0, leads to a new watch", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const { events } = yield* watching(client.watchPrefix("/w/"))
      cluster.write("/w/a", "1")
      yield* pass(20)
      cluster.cancelWatches(1)
      cluster.write("/w/lost", "1")
      yield* pass(300)
      cluster.write("/w/b", "1")
      yield* pass(50)
      assert.deepStrictEqual(events, ["synced", "/w/a=1", "resync: Reopened", "/w/lost=1", "synced", "/w/b=1"])
    }))

  /** Watches that are resumed by revision, on servers that answer otherwise as the simulated ones. */
  const resumable = (canceled: Extract<ClusterAdapter.WatchItem, { _tag: "Canceled" }>) => {
    const base = DEngineAdapter.make()
    const asked: Array<bigint | undefined> = []
    const adapter: ClusterAdapter.ClusterAdapter = {
      ...base,
      capabilities: { ...base.capabilities, resumableWatch: true, linearizableScan: true },
      watch: (target) => {
        asked.push(target.from)
        const spec = base.watch(target)
        return {
          ...spec,
          decode: (body) => spec.decode(body).map((item) => item._tag === "Canceled" ? canceled : item)
        }
      }
    }
    return { adapter, asked }
  }

  it.effect("30: a watch whose revision was compacted starts from the present state, and tells the difference", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const { adapter, asked } = resumable({ _tag: "Canceled", message: "compacted", compacted: true })
      const client = yield* connect({ adapter })
      const { events } = yield* watching(client.watchPrefix("/w/"))
      cluster.write("/w/a", "1")
      yield* pass(20)
      cluster.cancelWatches(1)
      cluster.write("/w/lost", "1")
      yield* pass(300)
      cluster.write("/w/b", "1")
      yield* pass(50)
      assert.deepStrictEqual(events, ["synced", "/w/a=1", "resync: Compacted", "/w/lost=1", "synced", "/w/b=1"])
      assert.deepStrictEqual(asked.filter((from) => from !== undefined), [1n, 3n])
    }))

  it.effect("30: a watch that is given up for another reason is resumed behind what it has told", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const { adapter, asked } = resumable({ _tag: "Canceled", message: "", compacted: false })
      const client = yield* connect({ adapter })
      yield* watching(client.watchPrefix("/w/"))
      cluster.write("/w/a", "1")
      yield* pass(20)
      cluster.cancelWatches(1)
      yield* pass(300)
      assert.deepStrictEqual(asked.filter((from) => from !== undefined), [1n, 2n])
    }))

  it.effect("35: a watch that is refused on its stream is a permanent error", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const canceled = { _tag: "Canceled", message: "permission denied", compacted: false } as const
      const { adapter, asked } = resumable({ ...canceled, why: "PermissionDenied" })
      const client = yield* connect({ adapter })
      const { fiber } = yield* watching(client.watchPrefix("/w/"))
      cluster.cancelWatches(1)
      assertError(yield* drive(Effect.flip(Fiber.join(fiber))), "PermissionDenied")
      assert.lengthOf(asked.filter((from) => from !== undefined), 1)
    }))

  it("what etcd says on a watch", () => {
    const { decode } = EtcdAdapter.make().watch({ key: new Uint8Array(1), prefix: false, from: undefined })
    const said = (message: MessageInitShape<typeof WatchResponseSchema>) =>
      decode(toBinary(WatchResponseSchema, create(WatchResponseSchema, message)))[0]
    assert.deepInclude(said({ canceled: true, compactRevision: 7n }), { _tag: "Canceled", compacted: true })
    const refused = said({ canceled: true, cancelReason: "rpc error: code = PermissionDenied desc = no" })
    assert.deepInclude(refused, { compacted: false, why: "PermissionDenied" })
    assert.deepInclude(said({ canceled: true, cancelReason: "etcdserver: no leader" }), { why: undefined })
    assert.deepStrictEqual(said({ created: true, header: { revision: 7n, clusterId: 5n } }), {
      _tag: "Progress",
      revision: 7n,
      cluster: "5"
    })
    const part = decode(toBinary(
      WatchResponseSchema,
      create(WatchResponseSchema, { fragment: true, events: [{ kv: { modRevision: 3n } }] })
    ))
    assert.deepStrictEqual(part.map(({ _tag }) => _tag), ["Put", "Fragment"])
  })

  it.effect("31: what a stream repeats is dropped, and what it reorders does not go back", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const { events } = yield* watching(client.watchPrefix("/w/"))
      const [watcher] = cluster.node(1).watchers
      const key = new TextEncoder().encode("/w/a")
      const put = (value: string, revision: number) =>
        watcher!.send(event(0, key, new TextEncoder().encode(value), revision))
      put("1", 100)
      put("1", 100)
      put("2", 102)
      put("old", 101)
      put("3", 103)
      yield* pass(50)
      assert.deepStrictEqual(events, ["synced", "/w/a=1", "/w/a=2<1", "/w/a=3<2"])
    }))

  it.effect("31: revisions that start again from lower numbers do not silence a watch", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      cluster.index = 35_484
      const client = yield* connect()
      cluster.write("/w/a", "1")
      const { events } = yield* watching(client.watchPrefix("/w/"))
      for (const { id } of cluster.nodes) cluster.kill(id)
      yield* pass(500)
      cluster.index = 100
      for (const node of cluster.nodes) {
        node.applied = 100
        cluster.start(node.id)
      }
      cluster.elect(2, { term: 1 })
      yield* pass(2_000)
      cluster.write("/w/a", "2")
      yield* pass(50)
      assert.deepStrictEqual(events, ["/w/a=1", "synced", "resync: WentBack", "synced", "/w/a=2<1"])
    }))

  /** Watches that are resumed by revision, on servers that say theirs with answers and progress, and their identity. */
  const revealing = (cluster: Simulation["cluster"], said: { cluster: string } = { cluster: "7" }) => {
    const base = DEngineAdapter.make({ watchProgressMillis: 100_000 })
    const counted = <A>(call: ClusterAdapter.Call<A>): ClusterAdapter.Call<A> => ({
      ...call,
      judge: (answer) => {
        const verdict = call.judge(answer)
        return verdict._tag === "Done"
          ? { ...verdict, revision: BigInt(cluster.index), cluster: BigInt(said.cluster) }
          : verdict
      }
    })
    return {
      ...base,
      capabilities: { ...base.capabilities, resumableWatch: true, linearizableScan: true },
      readProbe: (address, answers, map) => {
        const claim = base.readProbe(address, answers, map)
        return "_tag" in claim ? claim : { ...claim, cluster: "7" }
      },
      put: (key, value) => counted(base.put(key, value)),
      scan: (prefix) => counted(base.scan(prefix)),
      watch: (target) => {
        const spec = base.watch(target)
        return {
          ...spec,
          decode: (body) =>
            spec.decode(body).map((item) =>
              item._tag === "Progress"
                ? { _tag: "Progress" as const, revision: BigInt(cluster.index), cluster: said.cluster }
                : item
            )
        }
      }
    } satisfies ClusterAdapter.ClusterAdapter as ClusterAdapter.ClusterAdapter
  }

  /** The servers are as they were at revision 100, in a moment that no connection shows. */
  const rewind = (cluster: Simulation["cluster"], state: Record<string, string>): void => {
    const entries = Object.entries(state).map(([key, value]) =>
      [key, { key: Buffer.from(key), value: Buffer.from(value) }] as const
    )
    cluster.index = 100
    for (const node of cluster.nodes) {
      node.applied = 100
      node.data.clear()
      for (const [key, entry] of entries) node.data.set(key, entry)
    }
  }

  it.effect("31: servers that went back are found out by the answer to a write", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      cluster.index = 35_484
      const client = yield* connect({ adapter: revealing(cluster) })
      yield* drive(client.put("/w/goes", "1"))
      yield* drive(client.put("/w/stays", "1"))
      yield* drive(client.put("/w/changes", "2"))
      const { events, raw } = yield* watching(client.watchPrefix("/w/"))
      rewind(cluster, { "/w/stays": "1", "/w/changes": "1" })
      yield* drive(client.put("/w/a", "1"))
      yield* pass(3_000)
      yield* drive(client.put("/w/a", "2"))
      yield* pass(50)
      assert.deepStrictEqual(events.slice(4), [
        "resync: WentBack",
        "/w/a=1",
        "/w/changes=1<2",
        "-/w/goes<1",
        "synced",
        "/w/a=2<1"
      ])
      const resync = raw.find((event) => event._tag === "Resync")
      assert.deepStrictEqual([resync?.seen, resync?.revision], [35_487n, 101n])
    }))

  it.effect("31: servers that went back are found out by the progress of a stream", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0, progressMillis: 1_000 })
      cluster.index = 35_484
      const client = yield* connect({ adapter: revealing(cluster) })
      cluster.write("/w/a", "1")
      const { events } = yield* watching(client.watchPrefix("/w/"))
      rewind(cluster, {})
      yield* pass(4_000)
      assert.deepStrictEqual(events, ["/w/a=1", "synced", "resync: WentBack", "-/w/a<1", "synced"])
    }))

  it.effect("31: servers whose term went back are compared with, whatever their revision", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ electionMillis: 0 })
      const client = yield* connect({ adapter: revealing(cluster) })
      cluster.elect(1, { term: 9 })
      cluster.write("/w/a", "1")
      const { events } = yield* watching(client.watchPrefix("/w/"))
      yield* drive(client.refresh())
      for (const { id } of cluster.nodes) cluster.kill(id)
      yield* pass(500)
      for (const node of cluster.nodes) {
        node.data.clear()
        cluster.start(node.id)
      }
      cluster.index = 50_000
      cluster.elect(2, { term: 1 })
      yield* pass(3_000)
      assert.deepStrictEqual(events.slice(0, 2), ["/w/a=1", "synced"])
      assert.deepStrictEqual(events.slice(-3), ["resync: WentBack", "-/w/a<1", "synced"])
    }))

  it.effect("a stream of another cluster ends the watch", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ progressMillis: 1_000 })
      const said = { cluster: "7" }
      const client = yield* connect({ adapter: revealing(cluster, said) })
      const { fiber } = yield* watching(client.watchPrefix("/w/"))
      yield* pass(2_000)
      assert.isUndefined(fiber.pollUnsafe())
      said.cluster = "8"
      assertError(yield* drive(Effect.flip(Fiber.join(fiber))), "OtherCluster")
    }))

  it.effect("an answer of another cluster is no success", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const said = { cluster: "7" }
      const client = yield* connect({ adapter: revealing(cluster, said) })
      yield* drive(client.put("/k", "1"))
      said.cluster = "8"
      const error = yield* drive(Effect.flip(client.put("/k", "2")))
      assertError(error, "OtherCluster", "Ambiguous")
      assert.match(error.message, /another cluster answers at node1:9081, and has taken the write/)
    }))

  it.effect("32: what the server drops silently comes with the next comparison", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const { events, raw } = yield* watching(client.watchPrefix("/w/", { reconcile: "10 seconds" }))
      cluster.write("/w/a", "1")
      yield* pass(20)
      const dropped = [...cluster.node(1).watchers]
      cluster.node(1).watchers.clear()
      cluster.write("/w/a", "2")
      cluster.write("/w/b", "1")
      for (const watcher of dropped) cluster.node(1).watchers.add(watcher)
      yield* pass(1_000)
      assert.deepStrictEqual(events, ["synced", "/w/a=1"])
      yield* pass(10_000)
      assert.deepStrictEqual(events, ["synced", "/w/a=1", "/w/a=2<1", "/w/b=1"])
      assert.deepStrictEqual(raw.map((event) => event._tag === "Put" || event._tag === "Delete" ? event.source : ""), [
        "",
        "Stream",
        "Scan",
        "Scan"
      ])
    }))

  it.effect("32: what a scan shows before its revision says so, and the stream after, is told once", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const { events } = yield* watching(client.watchPrefix("/w/", { reconcile: "10 seconds" }))
      const node = cluster.node(1)
      const watchers = [...node.watchers]
      let revision = 0
      // Servers apply, count and tell one after the other: here the scan of the comparison falls between the first two.
      node.script("HandleClientScan", (request) => {
        if (revision > 0 || !text(request)!.includes("/w/")) return undefined
        node.watchers.clear()
        revision = cluster.write("/w/b", "1")
        node.applied = revision - 1
        for (const watcher of watchers) node.watchers.add(watcher)
        node.script("HandleClientRead", () => {
          node.applied = revision
          return undefined
        })
        return undefined
      }, 1_000)
      yield* pass(12_000)
      assert.isAbove(revision, 0)
      assert.deepStrictEqual(events, ["synced", "/w/b=1"])
      for (const watcher of watchers) watcher.send(event(0, Buffer.from("/w/b"), Buffer.from("1"), revision))
      yield* pass(100)
      assert.deepStrictEqual(events, ["synced", "/w/b=1"])
      // Written again, with the same value.
      cluster.write("/w/b", "1")
      yield* pass(100)
      assert.deepStrictEqual(events, ["synced", "/w/b=1", "/w/b=1<1"])
    }))

  it.effect("33: a stream that is silent although the connection stands is declared dead", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect({ adapter: DEngineAdapter.make({ watchProgressMillis: 1_000 }) })
      const { events } = yield* watching(client.watchPrefix("/w/", { reconcile: "1 hour" }))
      const opened = cluster.node(1).count("Watch")
      cluster.node(1).watchers.clear()
      cluster.write("/w/a", "1")
      yield* pass(2_000)
      assert.deepStrictEqual(events, ["synced"])
      yield* pass(1_500)
      assert.isAbove(cluster.node(1).count("Watch"), opened)
      assert.deepStrictEqual(events.slice(1), ["resync: Reopened", "/w/a=1", "synced"])
    }))

  it.effect("33: progress keeps a quiet stream", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ progressMillis: 1_000 })
      const client = yield* connect({ adapter: DEngineAdapter.make({ watchProgressMillis: 1_000 }) })
      yield* watching(client.watchPrefix("/w/", { reconcile: "1 hour" }))
      yield* pass(20_000)
      assert.strictEqual(cluster.node(1).count("Watch"), 1)
    }))

  it.effect("34: watches that wait for their turn to be opened can be counted", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const level = (id: string) =>
        Effect.map(Metric.snapshot, (all) => {
          const state = all.find((metric) => metric.id === id)?.state as { count?: number } | undefined
          return Number(state?.count ?? 0)
        })
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* connect()
        // Streams are opened, and their state is not told.
        cluster.node(1).script("HandleClientScan", "silence", 1_000)
        const watches = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, i) => i),
          (i) => Effect.forkChild(Stream.runDrain(client.watch(`/w/${i}`)), { startImmediately: true })
        )
        yield* pass(200)
        assert.strictEqual(yield* level("raft_client_watches"), 40)
        assert.strictEqual(yield* level("raft_client_watches_waiting"), 24)
        for (const watch of watches.slice(20)) yield* Fiber.interrupt(watch)
        assert.strictEqual(yield* level("raft_client_watches_waiting"), 4)
        cluster.node(1).unscript()
        yield* pass(5_000)
        assert.strictEqual(yield* level("raft_client_watches_waiting"), 0)
        assert.strictEqual(yield* level("raft_client_watches"), 20)
        for (const watch of watches) yield* Fiber.interrupt(watch)
      }))
      assert.strictEqual(yield* level("raft_client_watches"), 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("35: a server without watches is a permanent error, not a loop", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      for (
        const [code, details] of [
          [12, "unimplemented"],
          [14, "Watch feature is disabled in server configuration"]
        ] as const
      ) {
        cluster.node(1).script("Watch", { code, details }, 1_000)
        const before = cluster.node(1).count("Watch")
        const error = yield* drive(Effect.flip(Stream.runDrain(client.watchPrefix("/w/"))))
        assertError(error, "Unsupported")
        assert.strictEqual(cluster.node(1).count("Watch"), before + 1)
        cluster.node(1).unscript()
      }
    }))

  it.effect("36: a slow consumer holds the server back and loses nothing", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      let seen = 0
      const stream = client.watchPrefix("/w/", { bufferSize: 16 })
      yield* Effect.forkScoped(
        Stream.runForEach(stream, (event) => {
          if (event._tag === "Put") seen++
          return Effect.sleep(10)
        }),
        { startImmediately: true }
      )
      yield* pass(100)
      let held = false
      const [watcher] = cluster.node(1).watchers
      for (let i = 0; i < 3_000; i++) cluster.write(`/w/${i}`, "v")
      assert.isDefined(watcher)
      yield* pass(100)
      held = seen < 20
      assert.isTrue(held)
      yield* pass(31_000)
      assert.strictEqual(seen, 3_000)
    }))

  it.effect("a watch of many changes under faults ends with the state of the cluster", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate({ nodes: 5 })
      const client = yield* connect()
      const { raw } = yield* watching(client.watchPrefix("/w/", { reconcile: "5 seconds" }))
      for (let i = 0; i < 400; i++) {
        if (cluster.leader !== undefined) {
          cluster.write(`/w/${i * 7 % 23}`, i % 5 === 0 ? undefined : `v${i}`)
        }
        if (i % 90 === 45) cluster.kill(cluster.leader?.id ?? 1)
        if (i % 90 === 80) { for (const { id, running } of cluster.nodes) if (!running) cluster.start(id) }
        if (i % 37 === 0 && cluster.leader !== undefined) cluster.cancelWatches(cluster.leader.id)
        yield* pass(15)
      }
      yield* pass(8_000)
      assert.deepStrictEqual(folded(raw), stateOf(cluster))
      let last = 0
      for (const event of raw) {
        if (event._tag === "Put" && event.source === "Stream") {
          const n = Number(text(event.value)!.slice(1))
          assert.isAbove(n, last, "values come in their order, each once")
          last = n
        }
      }
    }))

  it.effect("the membership is told now and when it changes", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const seen: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(client.watchMembership(), ({ voters }) => Effect.sync(() => seen.push(voters.join()))),
        { startImmediately: true }
      )
      yield* pass(100)
      cluster.setNodes((nodes) => nodes.pop())
      yield* pass(100)
      assert.deepStrictEqual(seen, ["1,2,3", "1,2"])
      assert.deepStrictEqual((yield* client.members).map(({ id }) => id), ["1", "2"])
    }))

  it.effect("closing the client ends its watches", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const watched = yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* connect()
        return yield* Effect.forkDetach(Effect.flip(Stream.runDrain(client.watchPrefix("/w/"))), {
          startImmediately: true
        }).pipe(Effect.tap(pass(100)))
      }))
      assertError(yield* drive(Fiber.join(watched)), "ClientClosed")
      assert.strictEqual(cluster.node(1).watchers.size, 0)
      assert.isDefined(RaftClient.layer)
    }))
})
