/** What ours does where several nodes, faults and policies come together, on simulated nodes. */
import { Frame, ServerError } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { SimulatedCluster as Simulated } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { type AddressInfo, connect, type Socket } from "node:net"
import { createServer } from "node:tls"
import { inherits } from "node:util"
import { libraries, optionsFor } from "./support/beside.ts"

const { Client, errors, policies, types } = libraries.ours as any

interface Place {
  readonly cluster: SimulatedCluster.SimulatedCluster
  /** Shut down in the end. */
  readonly make: (options?: object, library?: any) => any
}

/** A cluster of so many nodes, with a keyspace and tables. */
const on = (nodes: number, run: (place: Place) => Promise<void>, options: Simulated.Options = {}) => () =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const cluster = yield* Simulated.make({ nodes, transport: "tcp", product: "cassandra", ...options })
    yield* Effect.promise(async () => {
      const made: Array<any> = []
      const make = (options: object = {}, library: any = libraries.ours): any => {
        const client = new library.Client({
          ...optionsFor({ contactPoints: cluster.contactPoints, datacenter: cluster.datacenter }),
          ...options
        })
        made.push(client)
        return client
      }
      try {
        if (cluster.credentials === undefined) {
          const client = make()
          await client.execute(
            "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
          )
          await client.execute("CREATE TABLE ks.t (k text PRIMARY KEY, v text, l list<int>)")
        }
        await run({ cluster, make })
      } finally {
        for (const client of made) await client.shutdown()
      }
    })
  })))

/** Looks until it is so. */
const until = async (what: string, isSo: () => boolean): Promise<void> => {
  const end = Date.now() + 20_000
  while (!isSo()) {
    if (Date.now() > end) assert.fail(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const DATA = new Set<number>([Frame.Opcode.QUERY, Frame.Opcode.EXECUTE, Frame.Opcode.BATCH])

/** What becomes of data requests from now on. */
const answer = async (
  { cluster }: Place,
  make: (count: number) => SimulatedCluster.Intercepted | undefined
): Promise<Array<number>> => {
  const nodes: Array<number> = []
  await Effect.runPromise(cluster.intercept(({ node, opcode, request }) => {
    const isData = DATA.has(opcode) && !("query" in request && /system/.test(String(request.query)))
    if (!isData) return undefined
    nodes.push(node)
    return make(nodes.length)
  }))
  return nodes
}

const APPEND = "UPDATE ks.t SET l = l + [1] WHERE k = 'a'"
const unavailable = new ServerError.Unavailable({
  code: 0x1000,
  message: "no",
  consistency: "ONE",
  required: 1,
  alive: 0
})
const timedOut = new ServerError.WriteTimeout({
  code: 0x1100,
  message: "late",
  consistency: "ONE",
  received: 0,
  required: 1,
  writeType: "SIMPLE"
})

class Again extends policies.retry.RetryPolicy {
  asked = 0
  onWriteTimeout() {
    this.asked++
    return (this as any).retryResult(undefined, false)
  }
  onUnavailable() {
    this.asked++
    return (this as any).retryResult(undefined, false)
  }
}

describe("writes that may have been applied", () => {
  const UNLOGGED = [APPEND, "UPDATE ks.t SET l = l + [1] WHERE k = 'b'"]

  it(
    "are not sent twice, whatever a retry policy says",
    on(3, async (place) => {
      const retry = new Again()
      const client = place.make({ policies: { retry } })
      await client.connect()
      const seen = await answer(place, () => ({ _tag: "Error", error: unavailable }))
      // Servers may have begun with some statements of an unlogged batch.
      const error: any = await client.batch(UNLOGGED, { logged: false }).catch((error: any) => error)
      assert.deepStrictEqual([seen.length, retry.asked, error.code], [1, 1, 0x1000])
      assert.strictEqual(error.cause.outcome, "Ambiguous")
    })
  )

  it(
    "are, where the client says that it wants that",
    on(3, async (place) => {
      const client = place.make({ policies: { retry: new Again() }, compat: { unsafeRetries: true } })
      await client.connect()
      const seen = await answer(place, (count) => count === 1 ? { _tag: "Error", error: unavailable } : undefined)
      await client.batch(UNLOGGED, { logged: false })
      assert.strictEqual(seen.length, 2)
    })
  )

  it(
    "that are said to be idempotent are sent again, when a policy says so",
    on(3, async (place) => {
      const retry = new Again()
      const client = place.make({ policies: { retry } })
      await client.connect()
      const seen = await answer(place, (count) => count === 1 ? { _tag: "Error", error: timedOut } : undefined)
      const result = await client.execute("INSERT INTO ks.t (k, v) VALUES ('a', 'x')", [], { isIdempotent: true })
      assert.deepStrictEqual([seen.length, retry.asked, new Set(seen).size], [2, 1, 2])
      // The node that failed, and the one that answered.
      const tried = Object.values<any>(result.info.triedHosts)
      assert.deepStrictEqual([tried.length, tried.filter((error) => error === null).length], [2, 1])
      assert.strictEqual(tried.find((error) => error !== null).code, 0x1100)
    })
  )
})

describe("errors", () => {
  it(
    "no answer in time: the class, the host, and why",
    on(1, async (place) => {
      const client = place.make({ socketOptions: { readTimeout: 300 } })
      await client.connect()
      await answer(place, () => ({ _tag: "Ignore" }))
      const error: any = await client.execute(APPEND).catch((error: any) => error)
      assert.strictEqual(error.constructor, errors.OperationTimedOutError)
      assert.strictEqual(error.host, place.cluster.contactPoints[0])
      assert.strictEqual(error.cause.outcome, "Ambiguous")
      const quick: any = await client.execute(APPEND, [], { readTimeout: 100 }).catch((error: any) => error)
      assert.strictEqual(quick.constructor, errors.OperationTimedOutError)
    })
  )

  it(
    "what a callback throws is nobody else's: it is an uncaught exception, and the client goes on",
    on(1, async (place) => {
      const client = place.make()
      await client.connect()
      const boom = new Error("boom")
      const listeners = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      try {
        const caught = new Promise((resolve) => process.once("uncaughtException", resolve))
        client.execute("SELECT key FROM system.local", () => {
          throw boom
        })
        assert.strictEqual(await caught, boom)
      } finally {
        for (const listener of listeners) process.on("uncaughtException", listener)
      }
      assert.strictEqual((await client.execute("SELECT key FROM system.local")).rowLength, 1)
    })
  )

  it(
    "an answer that never came before the client was shut down",
    on(1, async (place) => {
      const client = place.make()
      await client.connect()
      await answer(place, () => ({ _tag: "Ignore" }))
      const pending = client.execute(APPEND).then(() => undefined, (error: any) => error)
      await client.shutdown()
      assert.instanceOf(await pending, Error)
    })
  )
})

describe("authentication", () => {
  const credentials = { username: "ann", password: "secret" }

  it(
    "by credentials, by a provider, and wrong: the same errors as cassandra-driver",
    on(1, async ({ make }) => {
      for (const library of [libraries.theirs, libraries.ours] as ReadonlyArray<any>) {
        await make({ credentials }, library).connect()
        await make({ authProvider: new library.auth.PlainTextAuthProvider("ann", "secret") }, library).connect()
        for (const options of [{ credentials: { ...credentials, password: "wrong" } }, {}]) {
          const error = await make(options, library).connect().catch((error: any) => error)
          assert.strictEqual(error.constructor.name, "NoHostAvailableError")
          const [inner] = Object.values<any>(error.innerErrors)
          assert.strictEqual(inner.constructor.name, "AuthenticationError")
        }
      }
    }, { credentials })
  )

  it(
    "a user's own provider is asked, and told that it went well",
    on(1, async ({ cluster, make }) => {
      const seen: Array<unknown> = []
      for (const library of [libraries.theirs, libraries.ours] as ReadonlyArray<any>) {
        class Own extends library.auth.AuthProvider {
          newAuthenticator(endpoint: string, name: string) {
            seen.push(["new", endpoint, name])
            return {
              initialResponse: (callback: any) => callback(null, Buffer.from("\0ann\0secret")),
              evaluateChallenge: (_: unknown, callback: any) => callback(),
              onAuthenticationSuccess: () => seen.push("success")
            }
          }
        }
        const client = make({ authProvider: new Own() }, library)
        await client.connect()
        await client.shutdown()
        const kinds = new Set(seen.splice(0).map((each) => JSON.stringify(each)))
        assert.deepStrictEqual(
          kinds,
          new Set([
            JSON.stringify(["new", cluster.contactPoints[0], "org.apache.cassandra.auth.PasswordAuthenticator"]),
            JSON.stringify("success")
          ])
        )
      }
    }, { credentials })
  )
})

describe("TLS", () => {
  const fixture = (name: string): string =>
    readFileSync(new URL(`../../packages/pool/test/fixtures/${name}`, import.meta.url), "utf8")

  it(
    "by sslOptions: nothing is verified by default, as with cassandra-driver, and everything where it is asked for",
    on(1, async ({ cluster, make }) => {
      // A node behind TLS: what ends it here goes on to the node.
      const sockets = new Set<Socket>()
      const server = createServer({ cert: fixture("cert.pem"), key: fixture("key.pem") }, (outer) => {
        const inner = connect(cluster.port, "127.0.0.1")
        for (const [from, to] of [[outer, inner], [inner, outer]] as const) {
          sockets.add(from)
          from.on("error", () => to.destroy()).on("close", () => to.destroy()).pipe(to)
        }
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const { port } = server.address() as AddressInfo
      const at = { contactPoints: [`127.0.0.1:${port}`], protocolOptions: { port } }
      try {
        for (const library of [libraries.theirs, libraries.ours] as ReadonlyArray<any>) {
          const client = make({ ...at, sslOptions: {} }, library)
          await client.connect()
          assert.strictEqual((await client.execute("SELECT key FROM system.local")).rowLength, 1)
          const error = await make({ ...at, sslOptions: { rejectUnauthorized: true } }, library).connect()
            .catch((error: any) => error)
          assert.strictEqual(error.constructor.name, "NoHostAvailableError")
          const plain = await make(at, library).connect().catch((error: any) => error)
          assert.strictEqual(plain.constructor.name, "NoHostAvailableError")
        }
      } finally {
        for (const socket of sockets) socket.destroy()
        await new Promise((resolve) => server.close(resolve))
      }
    })
  )
})

describe("nodes", () => {
  it(
    "that go down, come back, and leave are told of",
    on(3, async ({ cluster, make }) => {
      const client = make({ policies: { reconnection: new policies.reconnection.ConstantReconnectionPolicy(50) } })
      await client.connect()
      await until(
        "all nodes have connections",
        () => client.hosts.values().every((host: any) => host.pool.connections.length > 0)
      )
      const seen: Array<string> = []
      for (const name of ["hostUp", "hostDown", "hostAdd", "hostRemove"]) {
        client.on(name, (host: any) => seen.push(`${name} ${host.address}`))
      }
      const address = cluster.contactPoints[2]!
      await Effect.runPromise(cluster.stop(2))
      await until("it is down", () => seen.includes(`hostDown ${address}`))
      assert.isFalse(client.hosts.get(address).isUp())
      for (let i = 0; i < 10; i++) {
        await client.execute("SELECT * FROM ks.t WHERE k = 'a'", [], { isIdempotent: true }).catch(() => {})
      }
      await Effect.runPromise(cluster.start(2))
      await until("it is up", () => seen.includes(`hostUp ${address}`))
      assert.isTrue(client.hosts.get(address).isUp())
      await Effect.runPromise(cluster.remove(2))
      await until("it has left", () => seen.includes(`hostRemove ${address}`))
      assert.strictEqual(client.hosts.length, 2)
      assert.deepStrictEqual(seen.filter((each) => !each.endsWith(address)), [])
    })
  )

  it(
    "are asked in the order of a user's own plan, and no others",
    on(3, async (place) => {
      const asked: Array<string> = []
      class Own extends policies.loadBalancing.RoundRobinPolicy {
        newQueryPlan(_: unknown, executionOptions: any, callback: any) {
          const hosts = (this as any).hosts.values().toSorted((a: any, b: any) => a.address < b.address ? 1 : -1)
          if (executionOptions) asked.push(hosts[0].address)
          callback(null, hosts.slice(0, 2)[Symbol.iterator]())
        }
      }
      const client = place.make({ policies: { loadBalancing: new Own() } })
      await client.connect()
      await until(
        "all nodes have connections",
        () => client.hosts.values().every((host: any) => host.pool.connections.length > 0)
      )
      await client.execute("SELECT * FROM ks.t WHERE k = ?", ["a"], { prepare: true })
      asked.length = 0
      const results = []
      for (let i = 0; i < 6; i++) {
        results.push(await client.execute("SELECT * FROM ks.t WHERE k = ?", [`a${i}`], { prepare: true }))
      }
      assert.deepStrictEqual(results.map(({ info }) => info.queriedHost), asked)
      assert.strictEqual(new Set(asked).size, 1)
      const seen = await answer(
        place,
        () => ({ _tag: "Error", error: new ServerError.Overloaded({ code: 0x1001, message: "busy" }) })
      )
      const error: any = await client.execute("SELECT * FROM ks.t WHERE k = ?", ["a"], {
        prepare: true,
        isIdempotent: true
      }).catch((error: any) => error)
      assert.strictEqual(error.constructor, errors.NoHostAvailableError)
      assert.strictEqual(seen.length, 2)
      assert.strictEqual(Object.keys(error.innerErrors).length, 2)
    })
  )

  it(
    "that a policy ignores are never dialled",
    on(3, async ({ cluster, make }) => {
      const own = new policies.loadBalancing.AllowListPolicy(
        new policies.loadBalancing.DCAwareRoundRobinPolicy(cluster.datacenter),
        [cluster.contactPoints[0]]
      )
      const client = make({ policies: { loadBalancing: own } })
      await client.connect()
      for (let i = 0; i < 5; i++) await client.execute("SELECT * FROM ks.t WHERE k = ?", [`a${i}`], { prepare: true })
      assert.deepStrictEqual(client.getState().getConnectedHosts().map(({ address }: any) => address), [
        cluster.contactPoints[0]
      ])
    })
  )

  it(
    "are dialled where a translator says",
    on(1, async ({ cluster, make }) => {
      const asked: Array<unknown> = []
      class Own extends policies.addressResolution.AddressTranslator {
        translate(address: string, port: number, callback: (endpoint: string) => void) {
          asked.push([address, port])
          setTimeout(callback, 1, `${address}:${port}`)
        }
      }
      const client = make({ policies: { addressResolution: new Own() } })
      await client.connect()
      assert.deepStrictEqual(client.hosts.keys(), cluster.contactPoints)
      void asked
    })
  )
})

describe("connections", () => {
  it(
    "that are silent are asked after pooling.heartBeatInterval",
    on(1, async ({ cluster, make }) => {
      for (const library of [libraries.theirs, libraries.ours]) {
        const client = make({ pooling: { heartBeatInterval: 150 } }, library)
        await client.connect()
        let asked = 0
        await Effect.runPromise(cluster.intercept(({ opcode }) => {
          if (opcode === Frame.Opcode.OPTIONS) asked++
          return undefined
        }))
        await until("it was asked again and again", () => asked >= 3)
        await client.shutdown()
        assert.isAtLeast(asked, 3)
      }
    })
  )

  it(
    "hold when what is asked is nonsense: a state of pages that is none harms no other request",
    on(1, async (place) => {
      const client = place.make()
      await client.connect()
      for (const pageState of [5, {}, true]) {
        const error = await client.execute("SELECT * FROM ks.t", [], { pageState }).catch((error: any) => error)
        assert.instanceOf(error, errors.ArgumentError)
      }
      assert.strictEqual((await client.execute("SELECT key FROM system.local")).rowLength, 1)
    })
  )

  it(
    "hold when a retry policy throws: its own request fails with that, and no other",
    on(1, async (place) => {
      const boom = new Error("boom")
      class Own extends policies.retry.RetryPolicy {
        onUnavailable(): never {
          throw boom
        }
      }
      const client = place.make({ policies: { retry: new Own() } })
      await client.connect()
      await answer(place, (count) => count === 1 ? { _tag: "Error", error: unavailable } : undefined)
      const error = await client.execute("SELECT * FROM ks.t WHERE k = 'a'").catch((error: any) => error)
      assert.strictEqual(error, boom)
      assert.strictEqual((await client.execute("SELECT key FROM system.local")).rowLength, 1)
    })
  )

  it(
    "hold when a callback for rows throws: its own request fails with that, and no other",
    on(1, async (place) => {
      const client = place.make()
      await client.connect()
      const boom = new Error("boom")
      const error = await new Promise((resolve) =>
        client.eachRow("SELECT key FROM system.local", [], {}, () => {
          throw boom
        }, resolve)
      )
      assert.strictEqual(error, boom)
      assert.strictEqual((await client.execute("SELECT key FROM system.local")).rowLength, 1)
    })
  )
})

describe("trackers and metrics", () => {
  it(
    "hear of each attempt, as with cassandra-driver",
    on(3, async (place) => {
      const seen: Record<string, unknown> = {}
      for (const [name, library] of Object.entries({ theirs: libraries.theirs, ours: libraries.ours }) as any) {
        const calls: Array<string> = []
        class Own extends library.tracker.RequestTracker {
          onSuccess(host: any) {
            calls.push(`success ${typeof host.address}`)
          }
          onError(host: any, _query: any, _params: any, _options: any, _length: any, error: any, latency: any) {
            calls.push(`error ${typeof host.address} ${error.code} ${latency.length}`)
          }
          shutdown() {}
        }
        const client = place.make({ requestTracker: new Own() }, library)
        await client.connect()
        await until(
          "all nodes have connections",
          () => client.hosts.values().every((host: any) => host.pool.connections.length > 0)
        )
        const { errors: failures, responses, retries } = client.metrics
        const count = (what: string, emitter: any) => emitter.on("increment", () => calls.push(what))
        count("other error", failures.other)
        count("other retry", retries.other)
        count("success", responses.success)
        await answer(place, (count) =>
          count === 1
            ? { _tag: "Error", error: new ServerError.Overloaded({ code: 0x1001, message: "busy" }) }
            : undefined)
        await client.execute("SELECT * FROM ks.t WHERE k = 'a'", [], { isIdempotent: true })
        await answer(place, () => undefined)
        seen[name] = calls.sort()
      }
      assert.deepStrictEqual(seen["ours"], seen["theirs"])
    })
  )
})

describe("speculation", () => {
  it(
    "asks another node by the constant policy and by one's own, of what is idempotent alone",
    on(3, async (place) => {
      let plans = 0
      class Own extends policies.speculativeExecution.SpeculativeExecutionPolicy {
        newPlan() {
          plans++
          let left = 1
          return { nextExecution: () => left-- > 0 ? 20 : -1 }
        }
      }
      for (
        const speculativeExecution of [
          new policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(20, 1),
          new Own()
        ]
      ) {
        const client = place.make({ policies: { speculativeExecution } })
        await client.connect()
        const select = (options: object) =>
          client.execute("SELECT * FROM ks.t WHERE k = ?", ["a"], { prepare: true, ...options })
        await until(
          "all nodes have connections",
          () => client.hosts.values().every((host: any) => host.pool.connections.length > 0)
        )
        await select({})
        const counted: Array<unknown> = []
        client.metrics.speculativeExecutions.on("increment", () => counted.push(1))
        const seen = await answer(place, (count) => count === 1 ? { _tag: "Ignore" } : undefined)
        const result = await select({ isIdempotent: true })
        assert.deepStrictEqual([seen.length, result.info.speculativeExecutions, counted.length], [2, 1, 1])
        await answer(place, () => undefined)
      }
      assert.strictEqual(plans, 1)
    })
  )
})

describe("streams", () => {
  it(
    "ask for a page when what is there was read, and not before",
    on(1, async (place) => {
      const client = place.make({ keyspace: "ks" })
      await client.execute("CREATE TABLE pages (p int, c int, PRIMARY KEY (p, c))")
      await Promise.all(
        Array.from(
          { length: 200 },
          (_, c) => client.execute("INSERT INTO pages (p, c) VALUES (1, ?)", [c], { prepare: true })
        )
      )
      const seen = await answer(place, () => undefined)
      const stream = client.stream("SELECT c FROM pages WHERE p = 1", [], { fetchSize: 20 })
      await new Promise((resolve) => stream.once("readable", resolve))
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
      const before = seen.length
      assert.isAtMost(before, 3)
      let rows = 0
      for await (const _ of stream) rows++
      // The last one says that there is none after it.
      assert.deepStrictEqual([rows, seen.length], [200, 11])
    })
  )
})

describe("keyspaces", () => {
  it(
    "USE holds for what comes after it, and what is under way is finished",
    on(1, async ({ make }) => {
      const client = make()
      await client.execute(
        "CREATE KEYSPACE other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
      )
      await client.execute("CREATE TABLE other.t (k text PRIMARY KEY, w int)")
      await client.execute("USE ks")
      await client.execute("INSERT INTO t (k, v) VALUES (?, ?)", ["a", "x"], { prepare: true })
      const before = Array.from(
        { length: 20 },
        () => client.execute("SELECT v FROM t WHERE k = ?", ["a"], { prepare: true })
      )
      const used = client.execute("USE other")
      const rows = await Promise.all(before)
      await used
      assert.isTrue(rows.every((result: any) => result.first().v === "x"))
      assert.strictEqual(client.keyspace, "other")
      await client.execute("INSERT INTO t (k, w) VALUES (?, ?)", ["a", 1], { prepare: true })
      assert.strictEqual((await client.execute("SELECT w FROM t WHERE k = ?", ["a"], { prepare: true })).first().w, 1)
      assert.strictEqual((await client.metadata.getTable("other", "t")).name, "t")
    })
  )
})

describe("shards and the wire", () => {
  it(
    "come along: the core that owns a key is asked, and frames are compressed where that is wished for",
    on(3, async ({ cluster, make }) => {
      const client = make({ keyspace: "ks", compat: { compression: "lz4" } })
      await client.connect()
      await until(
        "all shards have connections",
        () => client.hosts.values().every((host: any) => host.pool.connections.length === 4)
      )
      await client.execute("SELECT * FROM t WHERE k = ?", ["a"], { prepare: true })
      await Effect.runPromise(cluster.resetStats)
      for (let i = 0; i < 50; i++) {
        await client.execute("SELECT * FROM t WHERE k = ?", [`k${i}`], { prepare: true })
      }
      const stats = client._session.engine.cql.shardAwareStats()
      assert.strictEqual(stats.compression, "lz4")
      assert.isAtLeast(stats.routing.owned, 50)
    }, { product: "scylla", shards: 4 })
  )
})

describe("the schema", () => {
  it(
    "that other clients change is looked up again",
    on(1, async ({ make }) => {
      const [client, other] = [make(), make({}, libraries.theirs)]
      const heard: Array<string> = []
      client.on("log", (level: string, _: string, message: string) => {
        if (message === "Schema change") heard.push(level)
      })
      await client.connect()
      const columns = async () => (await client.metadata.getTable("ks", "t")).columns.map(({ name }: any) => name)
      assert.deepStrictEqual((await columns()).sort(), ["k", "l", "v"])
      await other.execute("ALTER TABLE ks.t ADD more int")
      await until("the table has another column", () => heard.length === 1)
      const end = Date.now() + 10_000
      while ((await columns()).length < 4 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20))
      assert.deepStrictEqual((await columns()).sort(), ["k", "l", "more", "v"])
      await other.execute(
        "CREATE KEYSPACE another WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
      )
      await until("there is another keyspace", () => client.metadata.keyspaces.another !== undefined)
      await other.execute("DROP KEYSPACE another")
      await until("it is gone", () => client.metadata.keyspaces.another === undefined)
    })
  )

  it(
    "that was changed while there was no connection is read again with the next one",
    on(1, async ({ cluster, make }) => {
      const client = make()
      await client.connect()
      const [host] = client.hosts.values()
      await Effect.runPromise(cluster.stop(0))
      await until("the node is down", () => !host.isUp())
      delete client.metadata.keyspaces.ks
      await Effect.runPromise(cluster.start(0))
      await until("the keyspace is there again", () => client.metadata.keyspaces.ks !== undefined)
      assert.isTrue(host.isUp())
    })
  )
})

describe("a client that is forgotten", () => {
  it(
    "classes from before there were any extend it",
    on(1, async ({ cluster }) => {
      const made: Array<any> = []
      for (const library of [libraries.ours, libraries.theirs] as Array<any>) {
        const Old: any = function(this: any, options: object) {
          library.Client.call(this, options)
        }
        inherits(Old, library.Client)
        class Young extends library.Client {}
        for (const Kind of [Old, Young]) {
          const client = new Kind(optionsFor({ contactPoints: cluster.contactPoints, datacenter: cluster.datacenter }))
          try {
            const { rows } = await client.execute("SELECT key FROM system.local")
            assert.deepStrictEqual([rows.length, client instanceof library.Client], [1, true])
            made.push([Object.keys(client).sort(), library.Client.name, library.Client.length])
          } finally {
            await client.shutdown()
          }
        }
      }
      assert.deepStrictEqual(made.slice(0, 2), made.slice(2))
    })
  )

  it("types are those of cassandra-driver", () => {
    assert.strictEqual(types, libraries.theirs.types)
    assert.isTrue(Client.prototype instanceof libraries.theirs.Client)
  })
})
