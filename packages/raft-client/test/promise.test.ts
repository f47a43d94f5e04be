/** The client of promises, on a simulated cluster; locks and elections on a store in memory. */
import { RaftClient, RaftError, Transport, type WatchEvent } from "@effect-scylla/raft-client"
import {
  type Client,
  connect,
  connectConfig,
  type ConnectOptions,
  dEngine,
  type HeldLock,
  Transaction
} from "@effect-scylla/raft-client/promise"
import * as RaftSimulatedTransport from "@effect-scylla/testkit/RaftSimulatedTransport"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Metric } from "effect"
import { MemoryStore } from "./support/memoryStore.ts"

type Cluster = RaftSimulator.RaftSimulator

const simulate = Effect.gen(function*() {
  const cluster = yield* RaftSimulator.make()
  return { cluster, transport: yield* RaftSimulatedTransport.make(cluster) }
})

/** A client of a cluster in memory, for as long as the test runs. */
const withClient = (
  test: (raft: Client, cluster: Cluster) => Promise<void>,
  options: Partial<ConnectOptions> = {}
) =>
  Effect.gen(function*() {
    const { cluster, transport } = yield* simulate
    yield* Effect.promise(async () => {
      await using raft = await connect({
        endpoints: cluster.endpoints,
        adapter: "d-engine",
        transport,
        ...options
      })
      await test(raft, cluster)
    })
  })

/** A client of a store in memory. */
const withStore = async (test: (raft: Client, store: MemoryStore) => Promise<void>): Promise<void> => {
  const store = new MemoryStore()
  const layer = Layer.succeed(RaftClient.RaftClient, store.client)
  await using raft = await connect({ endpoints: [], layer })
  await test(raft, store)
}

const silence = (cluster: Cluster): void => {
  for (const node of cluster.nodes) {
    node.script("HandleClientWrite", "silence", 1000)
    node.script("HandleClientRead", "silence", 1000)
  }
}
const writes = (cluster: Cluster): number =>
  cluster.nodes.reduce((sum, node) => sum + node.count("HandleClientWrite"), 0)

const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value)

/** What a promise is rejected with. */
const failure = (promise: Promise<unknown>): Promise<RaftError.RaftError> =>
  promise.then(() => assert.fail("it has succeeded"), (error) => error)

const said = (error: unknown): string =>
  error instanceof RaftError.RaftError ? `${error.reason._tag}, ${error.outcome}` : String(error)

/** Waits for what happens outside of promises. */
const until = async (condition: () => boolean): Promise<void> => {
  for (let waited = 0; !condition(); waited += 5) {
    assert.isBelow(waited, 10_000, "it has not happened in 10 seconds")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const collect = async <A>(iterable: AsyncIterable<A>): Promise<Array<A>> => {
  const all: Array<A> = []
  for await (const one of iterable) all.push(one)
  return all
}

/** Reads on until an event fits. */
const first = async <A>(iterable: AsyncIterable<A>, fits: (event: A) => boolean): Promise<A> => {
  for await (const event of iterable) if (fits(event)) return event
  return assert.fail("it has ended")
}

describe("operations", () => {
  it.live("write and read", () =>
    withClient(async (raft) => {
      await raft.put("/a", "1")
      assert.strictEqual(text(await raft.get("/a")), "1")
      assert.isUndefined(await raft.get("/none"))
      assert.strictEqual(text(await raft.get("/a", { consistency: "eventual", confirmMissing: true })), "1")
      await raft.putWithTtl("/b", "2", "60 seconds")
      assert.deepStrictEqual((await raft.getMany(["/b", "/none", "/a"])).map(text), ["2", undefined, "1"])
      const many = await collect(raft.getManyStream(["/a", "/none", "/b"], { pageSize: 2 }))
      assert.deepStrictEqual(many.map(text), ["1", undefined, "2"])
      assert.isFalse((await raft.compareAndSwap("/a", "9", "3")).succeeded)
      assert.isTrue((await raft.compareAndSwap("/a", "1", "3")).succeeded)
      assert.isTrue((await raft.compareAndSwap("/c", undefined, "4")).succeeded)
      await raft.delete("/c")
      assert.deepStrictEqual((await raft.scan("/")).entries.map(({ key }) => text(key)), ["/a", "/b"])
      const pages = await collect(raft.scanPages("/", { pageSize: 1 }))
      assert.deepStrictEqual(pages.map(({ entries }) => entries.map(({ value }) => text(value))), [["3"], ["2"]])
      const write = { key: "/a", expected: "0", value: "never", fence: "fence" }
      assert.strictEqual((await raft.resolve(write))._tag, "Superseded")
    }, { adapter: dEngine({ ttl: true }) }))

  it.live("tell of the cluster", () =>
    withClient(async (raft, cluster) => {
      assert.isFalse(raft.capabilities.leases)
      assert.lengthOf(raft.members(), 3)
      const { address } = await raft.leader()
      assert.strictEqual(address, cluster.leader!.address)
      assert.strictEqual(raft.view().leader?.address, address)
      await raft.refresh()
      await raft.refresh([address])
      assert.strictEqual(said(await failure(raft.refresh(["nowhere"]))), "InvalidRequest, undefined")
      assert.lengthOf((await first(raft.watchMembership({ pollInterval: 10 }), () => true)).voters, 3)
      const other = cluster.nodes.find((node) => node !== cluster.leader)!
      const changed = first(raft.changes(), ({ leader }) => leader?.address === other.address)
      cluster.elect(other.id)
      await raft.put("/a", "1")
      assert.strictEqual((await changed).leader?.address, other.address)
    }))

  it.live("fail with Unsupported where the servers have not got them", () =>
    withClient(async (raft) => {
      const transaction = { compare: [], success: [Transaction.put("/a", "1")] }
      assert.strictEqual(said(await failure(raft.transact(transaction))), "Unsupported, NotSent")
      assert.strictEqual(said(await failure(raft.grantLease("10 seconds"))), "Unsupported, undefined")
      assert.strictEqual(said(await failure(raft.putWithTtl("/a", "1", 1000))), "Unsupported, NotSent")
      assert.strictEqual(said(await failure(raft.lock.acquire("/locks/a/"))), "Unsupported, undefined")
    }))

  it.live("fail with what arguments that are none throw", () =>
    withClient(async (raft, cluster) => {
      assert.instanceOf(await failure(raft.transact(undefined as never)), Error)
      assert.instanceOf(await failure(collect(raft.watch("/a", null as never))), Error)
      assert.strictEqual(writes(cluster), 0)
    }))

  it.live("are tried again as long as that is safe", () =>
    withClient(async (raft, cluster) => {
      const passing = RaftError.make("put", new RaftError.NotServing({ message: "not yet" }), "Rejected")
      let calls = 0
      await raft.retry(() => ++calls < 3 ? Promise.reject(passing) : raft.put("/a", "1"))
      assert.deepStrictEqual([calls, writes(cluster)], [3, 1])
      const ambiguous = RaftError.make("put", new RaftError.ConnectionLost({ message: "lost" }), "Ambiguous")
      assert.strictEqual(
        said(await failure(raft.retry(() => Promise.reject(ambiguous)))),
        "ConnectionLost, Ambiguous"
      )
      const other = new Error("not ours")
      assert.strictEqual(await failure(raft.retry(() => Promise.reject(other))), other)
    }))
})

describe("metrics", () => {
  it.live("are those of the package", () =>
    withClient(async (raft) => {
      const counted = new Map(raft.metrics().map(({ name, value }) => [name, value]))
      assert.include([...counted.keys()], "raft_client_probes_total")
      assert.strictEqual(counted.get("raft_client_leader_changes_total"), 1)
    }, { layer: Layer.succeed(Metric.MetricRegistry, new Map()) }))
})

describe("watches", () => {
  it.live("tell the state, then changes, and end on the server with their loop", () =>
    withClient(async (raft, cluster) => {
      await raft.put("/w/a", "1")
      const seen: Array<string> = []
      for await (const event of raft.watchPrefix("/w/")) {
        seen.push(event._tag === "Put" ? `${text(event.key)}=${text(event.value)}` : event._tag)
        if (event._tag === "Synced") await raft.put("/w/b", "2")
        if (event._tag === "Put" && text(event.value) === "2") break
      }
      assert.deepStrictEqual(seen, ["/w/a=1", "Synced", "/w/b=2"])
      await until(() => cluster.nodes.every(({ watchers }) => watchers.size === 0))

      const event = await first(raft.watch("/w/a"), ({ _tag }) => _tag === "Put")
      assert.strictEqual(text((event as WatchEvent.Put).value), "1")
      assert.strictEqual(
        said(await failure(collect(raft.watch("/a", { bufferSize: 0 })))),
        "InvalidRequest, undefined"
      )
      assert.strictEqual(said(await failure(collect(raft.watchPrefix("no slash")))), "InvalidRequest, undefined")
    }))

  it.live("return ends one that waits", () =>
    withClient(async (raft, cluster) => {
      const events = raft.watch("/a")[Symbol.asyncIterator]()
      assert.strictEqual((await events.next()).value?._tag, "Synced")
      const next = events.next()
      await until(() => cluster.nodes.some(({ watchers }) => watchers.size > 0))
      assert.deepStrictEqual(await events.return!(), { done: true, value: undefined })
      assert.deepStrictEqual(await next, { done: true, value: undefined })
      await until(() => cluster.nodes.every(({ watchers }) => watchers.size === 0))
    }))
})

describe("a signal", () => {
  const reason = new Error("enough")

  it.live("that is aborted before lets nothing be sent", () =>
    withClient(async (raft, cluster) => {
      const signal = AbortSignal.abort(reason)
      assert.strictEqual(await failure(raft.put("/a", "1", { signal })), reason)
      assert.strictEqual(await failure(raft.lock.acquire("/locks/a/", { signal })), reason)
      assert.strictEqual(await failure(collect(raft.watch("/a", { signal }))), reason)
      assert.strictEqual(writes(cluster), 0)
    }))

  it.live("that is aborted gives up what is under way", () =>
    withClient(async (raft, cluster) => {
      silence(cluster)
      const controller = new AbortController()
      const { signal } = controller
      const calls = [
        failure(raft.put("/a", "1", { signal })),
        failure(raft.get("/a", { signal })),
        failure(collect(raft.watch("/a", { signal, initial: false })))
      ]
      await until(() => writes(cluster) === 1)
      controller.abort(reason)
      for (const error of await Promise.all(calls)) assert.strictEqual(error as Error, reason)
      await until(() => cluster.nodes.every(({ watchers }) => watchers.size === 0))
    }))

  it.live("is that of connecting, too", () =>
    Effect.gen(function*() {
      const { cluster, transport } = yield* simulate
      for (const { id } of cluster.nodes) cluster.pause(id)
      const options = { endpoints: cluster.endpoints, adapter: "d-engine", transport } as const
      yield* Effect.promise(async () => {
        const controller = new AbortController()
        const connecting = failure(connect({ ...options, signal: controller.signal }))
        await until(() => transport.opened.length > 0)
        controller.abort(reason)
        assert.strictEqual(await connecting as Error, reason)
      })
    }))
})

describe("close", () => {
  it.live("refuses what comes after, as often as it is called", () =>
    withClient(async (raft) => {
      await Promise.all([raft.close(), raft.close()])
      assert.strictEqual(said(await failure(raft.put("/a", "1"))), "ClientClosed, NotSent")
      assert.strictEqual(said(await failure(raft.get("/a"))), "ClientClosed, undefined")
      assert.strictEqual(said(await failure(collect(raft.watch("/a")))), "ClientClosed, undefined")
      assert.strictEqual(said(await failure(raft.grantLease(1000))), "ClientClosed, undefined")
    }))

  it.live("cuts off what is under way, and says which write may have been done", () =>
    withClient(async (raft, cluster) => {
      let told = 0
      const watch = async (events: AsyncIterable<unknown>) => {
        for await (const _ of events) told++
      }
      const watching = [failure(watch(raft.watch("/a"))), failure(watch(raft.changes()))]
      await until(() => told >= 2)
      silence(cluster)
      const put = failure(raft.put("/a", "1"))
      const get = failure(raft.get("/a"))
      await until(() => writes(cluster) === 1)
      await raft.close()
      assert.strictEqual(said(await put), "ClientClosed, Ambiguous")
      assert.strictEqual(said(await get), "ClientClosed, undefined")
      for (const error of await Promise.all(watching)) assert.strictEqual(said(error), "ClientClosed, undefined")
    }))

  it.live("waits for calls under way as long as it is told", () =>
    withClient(async (raft, cluster) => {
      for (const node of cluster.nodes) node.delay = 100
      const quick = raft.put("/a", "1")
      const closing = raft.close({ timeout: "10 seconds" })
      assert.strictEqual(said(await failure(raft.put("/a", "2"))), "ClientClosed, NotSent")
      assert.property(await quick, "revision")
      await closing
    }))
})

describe("failures", () => {
  /** The line below whoever calls this, as stacks show it. */
  const nextLine = (): string => {
    const [, file, line] = /([\w.]+):(\d+):\d+\)?$/.exec(new Error("here").stack!.split("\n")[2]!)!
    return `${file}:${Number(line) + 1}:`
  }
  const refuse = (cluster: Cluster): void => {
    for (const node of cluster.nodes) node.script("HandleClientWrite", { code: 3, details: "no such thing" }, 100)
  }

  it.live("have the line that waited for them in their stack", () =>
    withClient(async (raft, cluster) => {
      refuse(cluster)
      let line = ""
      const writesOne = async () => {
        line = nextLine()
        await raft.put("/a", "1")
      }
      const error = await failure(writesOne())
      assert.strictEqual(said(error), "InvalidRequest, Rejected")
      assert.match(error.stack!, /^RaftError: put: .*no such thing/)
      assert.include(error.stack, "writesOne")
      assert.include(error.stack, line)

      const watches = async () => {
        line = nextLine()
        for await (const event of raft.watchPrefix("no slash")) assert.fail(String(event))
      }
      assert.include((await failure(watches())).stack, line)
    }))

  it.live("do not have it where that is not wanted", () =>
    withClient(async (raft, cluster) => {
      refuse(cluster)
      const writesOne = async () => {
        await raft.put("/a", "1")
      }
      const error = await failure(writesOne())
      assert.strictEqual(said(error), "InvalidRequest, Rejected")
      assert.notInclude(error.stack, "writesOne")
    }, { stacks: false }))
})

describe("leases, locks and elections", () => {
  it("a lease lives until it is given back", () =>
    withStore(async (raft, store) => {
      const lease = await raft.grantLease("10 seconds")
      assert.deepStrictEqual([lease.seconds, lease.isAlive(), lease.lost.aborted], [10, true, false])
      await raft.put("/a", "1", { lease })
      await lease.close()
      await lease.close()
      assert.deepStrictEqual([lease.isAlive(), lease.lost.aborted, store.keys.size], [false, false, 0])
    }))

  it("a lease that is lost aborts its signal with why", () =>
    withStore(async (raft, store) => {
      await using lease = await raft.grantLease("10 seconds")
      store.end(lease.id, true)
      await until(() => lease.lost.aborted)
      assert.strictEqual(said(lease.lost.reason), "LeaseLost, undefined")
      assert.strictEqual(await failure(raft.put("/a", "1", { signal: lease.lost })), lease.lost.reason)
    }))

  it("a lock has one holder at a time, in the order in which they came", () =>
    withStore(async (raft, store) => {
      const held: Array<bigint> = []
      let inside = 0
      const one = () =>
        raft.lock.withLock("/locks/a/", async ({ isHeld, token }) => {
          assert.strictEqual(++inside, 1)
          held.push(token)
          await new Promise((resolve) => setTimeout(resolve, 2))
          assert.isTrue((await raft.transact({ compare: [isHeld], success: [] })).succeeded)
          inside--
          return token
        })
      const tokens = await Promise.all(Array.from({ length: 5 }, one))
      assert.deepStrictEqual(held, tokens.toSorted((a, b) => a < b ? -1 : 1))
      assert.deepStrictEqual([store.keys.size, store.leases.size, store.isWatched], [0, 0, false])
    }))

  it("a lock is given back when its work fails", () =>
    withStore(async (raft, store) => {
      const bad = new Error("bad work")
      assert.strictEqual(await failure(raft.lock.withLock("/locks/a/", () => Promise.reject(bad))) as Error, bad)
      assert.strictEqual(store.leases.size, 0)
      await using held = await raft.lock.acquire("/locks/a/", { value: "me" })
      assert.strictEqual(text(store.keys.get(text(held.key)!)?.value), "me")
      assert.strictEqual(said(await failure(raft.lock.acquire("locks"))), "InvalidRequest, undefined")
    }))

  it("a lock that is lost ends its work with why, whatever it comes to", () =>
    withStore(async (raft, store) => {
      const lose = async (held: HeldLock) => {
        for (const id of store.leases.keys()) store.end(id, true)
        await until(() => held.lost.aborted)
      }
      const losesAndEnds = async () => {
        await raft.lock.withLock("/locks/a/", lose)
      }
      const error = await failure(losesAndEnds())
      assert.strictEqual(said(error), "LeaseLost, undefined")
      assert.include(error.stack, "losesAndEnds")
      const losesAndFails = (held: HeldLock) => lose(held).then(() => held.lost.throwIfAborted())
      assert.strictEqual(said(await failure(raft.lock.withLock("/locks/a/", losesAndFails))), "LeaseLost, undefined")
    }))

  it("who gives up waiting for a lock leaves the line", () =>
    withStore(async (raft, store) => {
      await using held = await raft.lock.acquire("/locks/a/")
      const controller = new AbortController()
      const waiting = failure(raft.lock.acquire("/locks/a/", { signal: controller.signal }))
      await until(() => store.keys.size === 2)
      controller.abort(new Error("enough"))
      assert.strictEqual(said(await waiting), "Error: enough")
      assert.deepStrictEqual([...store.keys.keys()], [text(held.key)])
    }))

  it("close gives back what is held, and ends who waits for it", () =>
    withStore(async (raft, store) => {
      const held = await raft.lock.acquire("/locks/a/")
      const waiting = failure(raft.lock.acquire("/locks/a/"))
      await until(() => store.keys.size === 2)
      await raft.close()
      assert.strictEqual(said(await waiting), "ClientClosed, undefined")
      assert.deepStrictEqual([store.keys.size, store.leases.size, store.isWatched], [0, 0, false])
      await held.close()
    }))

  it("an election has a leader, whom others see", () =>
    withStore(async (raft, store) => {
      assert.isUndefined(await raft.election.leader("/elections/a/"))
      const leaders: Array<string | undefined> = []
      const observing = (async () => {
        for await (const leader of raft.election.observe("/elections/a/")) {
          leaders.push(text(leader?.value))
          if (leaders.length > 1 && leader === undefined) break
        }
      })()
      await until(() => leaders.length === 1)
      {
        await using office = await raft.election.campaign("/elections/a/", "me", { ttl: "5 seconds" })
        await until(() => leaders.length === 2)
        const leader = await raft.election.leader("/elections/a/")
        assert.deepStrictEqual([text(leader?.value), leader?.token], ["me", office.token])
        await office.proclaim("still me")
        await until(() => leaders.length === 3)
        store.delete(text(office.key)!)
        assert.strictEqual(said(await failure(office.proclaim("gone"))), "LeaseLost, Rejected")
      }
      await observing
      assert.deepStrictEqual(leaders, [undefined, "me", "still me", undefined])
    }))
})

describe("connect", () => {
  it("names all wrong options", async () => {
    const error = await failure(connect({ endpoints: ["nowhere"], maxParked: 0, timeout: -1 }))
    assert.strictEqual(said(error), "InvalidRequest, undefined")
    for (const field of ["endpoints", "maxParked", "timeout"]) assert.include(error.message, field)
  })

  it.live("fails without a leader, and with a lazy client only when there is need", () =>
    Effect.gen(function*() {
      const { cluster, transport } = yield* simulate
      for (const { id } of cluster.nodes) cluster.pause(id)
      const options = { endpoints: cluster.endpoints, adapter: "d-engine", transport } as const
      yield* Effect.promise(async () => {
        const error = await failure(connect({ ...options, readyTimeout: 50 }))
        assert.strictEqual(said(error), "NoLeader, undefined")
        await using raft = await connect({ ...options, lazy: true })
        assert.strictEqual(said(await failure(raft.put("/a", "1", { timeout: 50 }))), "NoLeader, NotSent")
      })
    }))

  it.live("reads the configuration of the layer, after what is given, and takes its transport", () =>
    Effect.gen(function*() {
      const { cluster, transport } = yield* simulate
      const settings = { MY_ENDPOINTS: cluster.endpoints.join(), MY_ADAPTER: "etcd", MY_TIMEOUT: "40 millis" }
      const layer = Layer.merge(
        Layer.succeed(Transport.Transport, transport),
        ConfigProvider.layer(ConfigProvider.fromEnvRecord(settings))
      )
      yield* Effect.promise(async () => {
        await using raft = await connectConfig({ adapter: "d-engine", prefix: "MY_", layer })
        await raft.put("/a", "1", { timeout: 1000 })
        silence(cluster)
        const started = performance.now()
        assert.strictEqual(said(await failure(raft.put("/a", "1"))), "RequestTimeout, Ambiguous")
        assert.isBelow(performance.now() - started, 1000)
        const error = await failure(connectConfig({ layer: ConfigProvider.layer(ConfigProvider.fromUnknown({})) }))
        assert.include(error.message, "RAFT_ENDPOINTS")
      })
    }))

  it.live("takes passwords and keys as text", () =>
    Effect.gen(function*() {
      const { cluster, transport } = yield* simulate
      const opened: Array<Parameters<Transport.Transport["open"]>[1]> = []
      const spying: Transport.Transport = {
        open: (address, options) => {
          opened.push(options)
          return transport.open(address, options)
        }
      }
      yield* Effect.promise(async () => {
        const options = { endpoints: cluster.endpoints, transport: spying } as const
        await using raft = await connect({
          ...options,
          adapter: "d-engine",
          channel: { gzip: true, tls: { ca: "ca", cert: "cert", key: "secret" } }
        })
        await raft.put("/a", "1")
        const { gzip, tls } = opened[0]!
        assert.deepStrictEqual([gzip, tls?.ca, String(tls?.key)], [true, "ca", "<redacted>"])
        const auth = { username: "me", password: "secret" }
        const error = await failure(connect({ ...options, adapter: "d-engine", auth }))
        assert.strictEqual(said(error), "Unsupported, undefined")
      })
    }))
})
