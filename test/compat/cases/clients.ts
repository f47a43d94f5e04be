/** Clients: how they begin and end, their options, their policies, their events. */
import { once } from "node:events"
import { called, type Case, type Tools } from "../support/beside.ts"

const a = (name: string, run: Case["run"]): Case => ({ name, run })

/** What an option does to the constructor: nothing, or an error. */
const built = (name: string, options: (tools: Tools) => any): Case =>
  a(`constructor: ${name}`, async (tools) => {
    const client = new tools.lib.Client(options(tools))
    return { name: client.constructor.name, keyspace: client.keyspace, length: client.hosts.length }
  })

const connected = (name: string, options: (tools: Tools) => any): Case =>
  a(`connects with ${name}`, async (tools) => {
    const client = tools.make(options(tools))
    await client.connect()
    const { rows } = await client.execute("SELECT key FROM system.local")
    return {
      keyspace: client.keyspace,
      hosts: client.hosts.values(),
      rows,
      state: client.getState().getConnectedHosts()
    }
  })

const lives: ReadonlyArray<Case> = [
  a("connect: promise, twice", async ({ make }) => {
    const client = make()
    const answers = [await client.connect(), await client.connect()]
    return { answers, keys: client.hosts.keys(), host: client.hosts.values()[0], length: client.hosts.length }
  }),
  a("connect: callback, twice", async ({ make }) => {
    const client = make()
    return [await called((done) => client.connect(done)), await called((done) => client.connect(done))]
  }),
  a("connect: many at once", async ({ make }) => {
    const client = make()
    return Promise.all([
      client.connect(),
      client.connect(),
      client.execute("SELECT key FROM system.local").then((r: any) => r.rowLength)
    ])
  }),
  a("execute connects", async ({ make }) => {
    const client = make()
    await client.execute("SELECT key FROM system.local")
    return client.connected
  }),
  a("connect: nobody there", async ({ make }) => {
    const client = make({ contactPoints: ["127.0.0.1:1"], protocolOptions: { port: 1 } })
    const error = await client.connect().catch((error: any) => error)
    return { class: error.constructor.name, inner: Object.keys(error.innerErrors), connected: client.connected }
  }),
  a("connect: nobody there, callback", async ({ make }) => {
    const client = make({ contactPoints: ["127.0.0.1:1"], protocolOptions: { port: 1 } })
    const error: any = await called((done) => client.connect(done)).catch((error) => error)
    return error.constructor.name
  }),
  a("connect: a name that is none", async ({ make }) => {
    const error = await make({ contactPoints: ["nobody.invalid"] }).connect().catch((error: any) => error)
    return error.constructor.name
  }),
  a("connect: another datacenter", async ({ make }) => {
    const error = await make({ localDataCenter: "nowhere" }).connect().catch((error: any) => error)
    return error.constructor.name
  }),
  a("connect: no datacenter", async ({ make }) => {
    const error = await make({ localDataCenter: undefined }).connect().catch((error: any) => error)
    return error.constructor.name
  }),
  a("connect: an unknown keyspace", ({ make }) => make({ keyspace: "nothing_at_all" }).connect()),
  a("connect: again after it failed", async ({ make }) => {
    const client = make({ keyspace: "nothing_at_all" })
    const errors = []
    for (let i = 0; i < 2; i++) errors.push(await client.connect().catch((error: any) => error))
    return errors
  }),
  a("shutdown: before it is connected", ({ make }) => make().shutdown()),
  a("shutdown: callback", async ({ make }) => {
    const client = make()
    await client.connect()
    return called((done) => client.shutdown(done))
  }),
  a("shutdown: twice", async ({ make }) => {
    const client = make()
    await client.connect()
    return [await client.shutdown(), await client.shutdown()]
  }),
  a("shutdown: then nothing", async ({ make }) => {
    const client = make()
    await client.connect()
    await client.shutdown()
    const errors = []
    for (const call of [() => client.execute("SELECT key FROM system.local"), () => client.connect()]) {
      errors.push(await call().then(() => "fine", (error: any) => error.constructor.name))
    }
    return { errors, connected: client.connected }
  }),
  a("events: log", async ({ make }) => {
    const client = make()
    const lines: Array<any> = []
    client.on("log", (...line: Array<unknown>) => lines.push(line))
    await client.connect()
    await client.shutdown()
    return {
      some: lines.length > 0,
      levels: lines.every(([level]) => ["info", "verbose", "warning", "error"].includes(level)),
      shape: lines[0].map((part: unknown) => typeof part)
    }
  }),
  a("events: the client is an emitter", async ({ client, make }) => {
    const other = make()
    const heard = once(other, "connected")
    await other.connect()
    return { listeners: client.getMaxListeners(), connected: (await heard).length }
  }),
  a("instances", async ({ client, lib }) => ({
    isClient: client instanceof lib.Client,
    host: client.hosts.values()[0].constructor.name,
    metadata: client.metadata.constructor.name,
    metrics: client.metrics.constructor.name,
    exports: Object.keys(lib).sort()
  })),
  a("hosts", async ({ client }) => {
    const [host] = client.hosts.values()
    const found: Array<unknown> = []
    client.hosts.forEach((host: any, key: string) => found.push([key, host.address]))
    return {
      found,
      byKey: client.hosts.get(client.hosts.keys()[0]),
      version: host.getCassandraVersion(),
      isUp: [host.isUp(), host.canBeConsideredAsUp()],
      workloads: host.workloads,
      dse: host.dseVersion,
      keys: Object.keys(client.hosts.toJSON())
    }
  }),
  a("getState", async ({ client }) => {
    const state = client.getState()
    const [host] = state.getConnectedHosts()
    return {
      class: state.constructor.name,
      hosts: state.getConnectedHosts(),
      open: state.getOpenConnections(host) > 0,
      inFlight: state.getInFlightQueries(host)
    }
  }),
  a("getState: no host", async ({ client }) => client.getState().getOpenConnections(undefined as never)),
  a("options of a client", async ({ client }) => {
    const { encoding, pooling, queryOptions, socketOptions } = client.options
    return { encoding, pooling, queryOptions, socketOptions }
  })
]

const constructors: ReadonlyArray<Case> = [
  built("nothing", () => undefined),
  built("an empty object", () => ({})),
  built("no contact points", () => ({ contactPoints: [] })),
  built("an empty contact point", () => ({ contactPoints: [""] })),
  built("the least", ({ options }) => options),
  built("a keyspace", ({ ks, options }) => ({ ...options, keyspace: ks })),
  built("policies: null", ({ options }) => ({ ...options, policies: { loadBalancing: null } })),
  ...["loadBalancing", "reconnection", "retry", "addressResolution", "timestampGeneration"].map((name) =>
    built(`a wrong policy of ${name}`, ({ options }) => ({ ...options, policies: { [name]: {} } }))
  ),
  built("a wrong tracker", ({ options }) => ({ ...options, requestTracker: {} })),
  built("wrong metrics", ({ options }) => ({ ...options, metrics: {} })),
  built("wrong profiles", ({ options }) => ({ ...options, profiles: {} })),
  built("wrong readTimeout", ({ options }) => ({ ...options, socketOptions: { readTimeout: "1" } })),
  built("wrong coalescingThreshold", ({ options }) => ({ ...options, socketOptions: { coalescingThreshold: -1 } })),
  built("wrong credentials", ({ options }) => ({ ...options, credentials: { username: 1 } })),
  built("a wrong authProvider", ({ options }) => ({ ...options, authProvider: {} })),
  built("a wrong maxVersion", ({ options }) => ({ ...options, protocolOptions: { maxVersion: 5 } })),
  built("a wrong maxVersion, a text", ({ options }) => ({ ...options, protocolOptions: { maxVersion: "4" } })),
  built("a wrong Map", ({ options }) => ({ ...options, encoding: { map: 1 } })),
  built("a wrong Set", ({ options }) => ({ ...options, encoding: { set: Object } })),
  built("a wrong application name", ({ options }) => ({ ...options, applicationName: 1 })),
  built("a wrong id", ({ options }) => ({ ...options, id: "x" })),
  built("wrong monitorReporting", ({ options }) => ({ ...options, monitorReporting: 1 }))
]

const options: ReadonlyArray<Case> = [
  connected("the usual", () => ({})),
  connected("credentials that nobody asks for", () => ({ credentials: { username: "u", password: "p" } })),
  connected("a PlainTextAuthProvider", ({ lib }) => ({ authProvider: new lib.auth.PlainTextAuthProvider("u", "p") })),
  connected(
    "names of the application",
    ({ lib }) => ({ applicationName: "a", applicationVersion: "1", id: lib.types.Uuid.random() })
  ),
  connected("maxVersion 4", () => ({ protocolOptions: { maxVersion: 4 } })),
  connected("maxVersion 3", () => ({ protocolOptions: { maxVersion: 3 } })),
  connected(
    "pooling",
    ({ types }) => ({
      pooling: { coreConnectionsPerHost: { [types.distance.local]: 2 }, maxRequestsPerConnection: 100 }
    })
  ),
  connected("pooling without a warmup", () => ({ pooling: { warmup: false } })),
  connected("timeouts", () => ({ socketOptions: { connectTimeout: 2000, readTimeout: 5000 } })),
  connected("prepareOnAllHosts and rePrepareOnUp off", () => ({ prepareOnAllHosts: false, rePrepareOnUp: false })),
  connected("maxPrepared", () => ({ maxPrepared: 10 })),
  connected(
    "RoundRobinPolicy",
    ({ lib }) => ({ policies: { loadBalancing: new lib.policies.loadBalancing.RoundRobinPolicy() } })
  ),
  connected("DCAwareRoundRobinPolicy", ({ lib, options }) => ({
    policies: { loadBalancing: new lib.policies.loadBalancing.DCAwareRoundRobinPolicy(options.localDataCenter) }
  })),
  connected("TokenAwarePolicy", ({ lib, options }) => ({
    policies: {
      loadBalancing: new lib.policies.loadBalancing.TokenAwarePolicy(
        new lib.policies.loadBalancing.DCAwareRoundRobinPolicy(options.localDataCenter)
      )
    }
  })),
  connected("AllowListPolicy", ({ lib, options }) => ({
    policies: {
      loadBalancing: new lib.policies.loadBalancing.AllowListPolicy(
        new lib.policies.loadBalancing.DCAwareRoundRobinPolicy(options.localDataCenter),
        options.contactPoints
      )
    }
  })),
  connected("DefaultLoadBalancingPolicy with a filter", ({ lib, options }) => ({
    policies: {
      loadBalancing: new (lib.policies.loadBalancing as any).DefaultLoadBalancingPolicy({
        localDc: options.localDataCenter,
        filter: () => true
      })
    }
  })),
  connected("DefaultLoadBalancingPolicy with a filter, the datacenter of the options", ({ lib }) => ({
    policies: {
      loadBalancing: new (lib.policies.loadBalancing as any).DefaultLoadBalancingPolicy({ filter: () => true })
    }
  })),
  connected(
    "ConstantReconnectionPolicy",
    ({ lib }) => ({ policies: { reconnection: new lib.policies.reconnection.ConstantReconnectionPolicy(100) } })
  ),
  connected(
    "ExponentialReconnectionPolicy",
    ({ lib }) => ({
      policies: { reconnection: new lib.policies.reconnection.ExponentialReconnectionPolicy(10, 1000, true) }
    })
  ),
  connected(
    "FallthroughRetryPolicy",
    ({ lib }) => ({ policies: { retry: new (lib.policies.retry as any).FallthroughRetryPolicy() } })
  ),
  connected(
    "IdempotenceAwareRetryPolicy",
    ({ lib }) => ({ policies: { retry: new (lib.policies.retry as any).IdempotenceAwareRetryPolicy() } })
  ),
  connected("ConstantSpeculativeExecutionPolicy", ({ lib }) => ({
    policies: { speculativeExecution: new lib.policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(200, 1) }
  })),
  connected("no timestamps", () => ({ policies: { timestampGeneration: null } })),
  connected(
    "EC2MultiRegionTranslator",
    ({ lib }) => ({ policies: { addressResolution: new lib.policies.addressResolution.EC2MultiRegionTranslator() } })
  ),
  a("queryOptions: defaults", async ({ make, types }) => {
    const client = make({ queryOptions: { prepare: true, consistency: types.consistencies.one, fetchSize: 5 } })
    return client.execute("SELECT c FROM pages WHERE p = ?", [1])
  }),
  a("a user's own load balancing is called for its plan", async ({ ks, lib, make }) => {
    const asked: Array<unknown> = []
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      newQueryPlan(keyspace: string, executionOptions: any, callback: any) {
        if (executionOptions) {
          asked.push([
            keyspace,
            executionOptions.getConsistency(),
            executionOptions.isPrepared(),
            executionOptions.getRoutingKey(),
            executionOptions.getKeyspace()
          ])
        }
        super.newQueryPlan(keyspace, executionOptions, callback)
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    await client.execute("SELECT * FROM kv WHERE k = ?", ["a"], { prepare: true })
    await client.execute("SELECT * FROM kv WHERE k = ?", ["a"])
    await client.execute(`SELECT * FROM ${ks}.parts WHERE a = ? AND b = ?`, [1, "x"], { prepare: true })
    return asked
  }),
  a("a user's own load balancing that fails", async ({ lib, make }) => {
    let fails = false
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      newQueryPlan(keyspace: string, executionOptions: any, callback: any) {
        if (fails) return callback(new Error("no plan"))
        super.newQueryPlan(keyspace, executionOptions, callback)
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    await client.connect()
    fails = true
    const error = await client.execute("SELECT key FROM system.local").catch((error: Error) => error)
    return error.message
  }),
  a("a user's own load balancing without nodes", async ({ lib, make }) => {
    let isEmpty = false
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      newQueryPlan(keyspace: string, executionOptions: any, callback: any) {
        if (isEmpty) return callback(null, [][Symbol.iterator]())
        super.newQueryPlan(keyspace, executionOptions, callback)
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    await client.connect()
    isEmpty = true
    const error: any = await client.execute("SELECT key FROM system.local").catch((error: Error) => error)
    return { class: error.constructor.name, innerErrors: error.innerErrors }
  }),
  a("a user's own retry policy: unavailable", async ({ lib, make, types }) => {
    const asked: Array<unknown> = []
    class Own extends (lib.policies.retry.RetryPolicy as any) {
      onUnavailable(info: any, consistency: number, required: number, alive: number) {
        asked.push([info.query, info.nbRetry, consistency, required, alive, info.executionOptions.getConsistency()])
        return info.nbRetry === 0 ? this["retryResult"](types.consistencies.one, true) : this["rethrowResult"]()
      }
    }
    const client = make({ policies: { retry: new Own() } })
    const result = await client.execute("SELECT * FROM kv WHERE k = 'a'", [], {
      consistency: types.consistencies.three
    })
    return { asked, result }
  }),
  a("a user's own retry policy: ignore", async ({ lib, make, types }) => {
    class Own extends (lib.policies.retry.RetryPolicy as any) {
      onUnavailable() {
        return { decision: (lib.policies.retry.RetryPolicy as any).retryDecision.ignore }
      }
    }
    const client = make({ policies: { retry: new Own() } })
    const result = await client.execute("SELECT * FROM kv WHERE k = 'a'", [], {
      consistency: types.consistencies.three
    })
    return { rows: result.rows, rowLength: result.rowLength, class: result.constructor.name }
  }),
  a("a retry policy of one call", async ({ client, lib, types }) => {
    let asked = 0
    class Own extends (lib.policies.retry.RetryPolicy as any) {
      onUnavailable() {
        asked++
        return this["rethrowResult"]()
      }
    }
    const error: any = await client.execute("SELECT * FROM kv WHERE k = 'a'", [], {
      consistency: types.consistencies.three,
      retry: new Own() as never
    })
      .catch((error: Error) => error)
    return { asked, error }
  }),
  a("a user's own timestamps", async ({ lib, make, types }) => {
    let calls = 0
    class Own extends (lib.policies.timestampGeneration as any).TimestampGenerator {
      next() {
        calls++
        return types.Long.fromString("1500000000000000")
      }
    }
    const client = make({ policies: { timestampGeneration: new Own() } })
    await client.execute("INSERT INTO kv (k, v) VALUES ('own', 'x')")
    await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["own2", "x"], { prepare: true })
    await client.batch(["INSERT INTO kv (k, v) VALUES ('own3', 'x')"])
    const before = calls
    const written = []
    for (const key of ["own", "own2", "own3"]) {
      written.push((await client.execute("SELECT writetime(v) AS w FROM kv WHERE k = ?", [key])).first())
    }
    return { before, written }
  }),
  a("execution profiles", async ({ lib, make, types }) => {
    const client = make({
      profiles: [
        new lib.ExecutionProfile("default", { consistency: types.consistencies.one }),
        new lib.ExecutionProfile("slow", {
          consistency: types.consistencies.all,
          readTimeout: 30_000,
          serialConsistency: types.consistencies.localSerial
        })
      ]
    })
    const levels = []
    for (const executionProfile of [undefined, "default", "slow"]) {
      levels.push(
        (await client.execute("SELECT key FROM system.local", [], { executionProfile })).info.achievedConsistency
      )
    }
    levels.push(
      (await client.execute("SELECT key FROM system.local", [], {
        executionProfile: "slow",
        consistency: types.consistencies.two
      }).catch((e: any) => e)).code ?? "fine"
    )
    return levels
  }),
  a("a tracker", async ({ lib, make }) => {
    const seen: Array<unknown> = []
    class Own extends (lib.tracker as any).RequestTracker {
      onSuccess(
        host: any,
        query: any,
        params: any,
        options: any,
        requestLength: number,
        responseLength: number,
        latency: any
      ) {
        seen.push([
          "success",
          host.address,
          shownQuery(query),
          params,
          options.constructor.name,
          requestLength,
          typeof responseLength,
          Array.isArray(latency)
        ])
      }
      onError(host: any, query: any, params: any, options: any, requestLength: number, error: any, latency: any) {
        seen.push([
          "error",
          host.address,
          query,
          params,
          options.constructor.name,
          requestLength,
          error,
          Array.isArray(latency)
        ])
      }
      shutdown() {
        seen.push("shutdown")
      }
    }
    // What of a batch is of the driver itself.
    const shownQuery = (query: any) =>
      Array.isArray(query) ? query.map(({ params, query }: any) => ({ params, query })) : query
    const client = make({ requestTracker: new Own() })
    await client.execute("SELECT * FROM kv WHERE k = ?", ["a"], { prepare: true })
    await client.execute("SELECT * FROM kv WHERE k = ?", ["a"])
    await client.execute("SELECT * FROM kv WHERE k = :k", { k: "a" })
    await client.execute("SELECT * FROM nothing").catch(() => {})
    await client.batch([{ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: ["t", "x"] }], { prepare: true })
    await client.batch(["INSERT INTO kv (k, v) VALUES ('t', 'x')"])
    await client.shutdown()
    return seen
  }),
  a("RequestLogger", async ({ lib, make }) => {
    const lines: Array<string> = []
    const logger: any = new lib.tracker.RequestLogger(
      { logNormalRequests: true, logErroredRequests: true, slowThreshold: 60_000 } as never
    )
    logger.emitter.on(
      "normal",
      (line: string) => lines.push(line.replaceAll(/\d+ ms/g, "T").replaceAll(/\d+ bytes/g, "B"))
    )
    logger.emitter.on("failure", () => lines.push("failure"))
    const client = make({ requestTracker: logger })
    await client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true })
    await client.execute("SELECT * FROM nothing").catch(() => {})
    return lines.map((line) => line.replaceAll(/response size [^ ]+/g, "R").split(" ").length > 3)
  }),
  a("metrics", async ({ lib, make }) => {
    const metrics: any = new (lib as any).metrics.DefaultMetrics()
    const seen: Record<string, number> = {}
    const count = (name: string, emitter: any) => emitter.on("increment", () => seen[name] = (seen[name] ?? 0) + 1)
    count("responses", metrics.responses)
    count("success", metrics.responses.success)
    count("errors", metrics.errors)
    count("other", metrics.errors.other)
    const client = make({ metrics })
    await client.connect()
    const before = { ...seen }
    await client.execute("SELECT key FROM system.local")
    await client.execute("SELECT key FROM system.local", [], {})
    await client.execute("SELECT * FROM nothing").catch(() => {})
    return { before, seen }
  }),
  a("executeConcurrent", async ({ client, lib }) => {
    const { executeConcurrent } = lib.concurrent
    const result = await executeConcurrent(
      client,
      "INSERT INTO kv (k, v) VALUES (?, ?)",
      Array.from({ length: 50 }, (_, i) => [`cc${i}`, "x"]),
      { concurrencyLevel: 8, collectResults: true }
    )
    const failing = await executeConcurrent(client, "INSERT INTO kv (k, n) VALUES (?, ?)", [["cx", 1], ["cy", "x"]], {
      raiseOnFirstError: false
    })
    return {
      total: result.totalExecuted,
      items: result.resultItems.length,
      errors: failing.errors.map((error) => error.constructor.name)
    }
  }),
  a("what a client has", async ({ make }) => {
    const client = make()
    const before = Object.keys(client).sort()
    await client.connect()
    return [before, Object.keys(client).sort()]
  }),
  a("metadata: what another client changes", async ({ ks, make }) => {
    const [client, other] = [make(), make()]
    await client.connect()
    const { metadata } = client
    const until = async (isSo: () => Promise<boolean>) => {
      for (const end = Date.now() + 15_000; !(await isSo());) {
        if (Date.now() > end) throw new Error("never came true")
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await other.execute(`CREATE TABLE ${ks}.seen (k int PRIMARY KEY)`)
    await until(async () => (await metadata.getTable(ks, "seen")) !== null)
    await other.execute(`ALTER TABLE ${ks}.seen ADD v text`)
    await until(async () => (await metadata.getTable(ks, "seen")).columns.length === 2)
    const table = await metadata.getTable(ks, "seen")
    await other.execute(`CREATE TYPE ${ks}.of_another (a int)`)
    await until(async () => (await metadata.getUdt(ks, "of_another")) !== null)
    await other.execute(`ALTER TYPE ${ks}.of_another ADD b text`)
    await until(async () => (await metadata.getUdt(ks, "of_another")).fields.length === 2)
    const type = await metadata.getUdt(ks, "of_another")
    await other.execute(`DROP TABLE ${ks}.seen`)
    await other.execute(`DROP TYPE ${ks}.of_another`)
    await until(async () => (await metadata.getTable(ks, "seen")) === null)
    await until(async () => (await metadata.getUdt(ks, "of_another")) === null)
    return { columns: table.columns.map(({ name }: any) => name), fields: type.fields.map(({ name }: any) => name) }
  }),
  a("the mapper", async ({ client, lib, ks }) => {
    const mapper = new lib.mapping.Mapper(client, {
      models: {
        Kv: { tables: ["kv"], keyspace: ks, columns: { k: "key", v: "value" } },
        Page: { tables: ["pages"], keyspace: ks }
      }
    })
    const kv = mapper.forModel("Kv")
    await kv.insert({ key: "m1", value: "x", n: 4 })
    await kv.update({ key: "m1", value: "y" })
    const found = await kv.get({ key: "m1" })
    const pages = await mapper.forModel("Page").find({ p: 1 }, { limit: 3 })
    await kv.remove({ key: "m1" })
    const batch = await mapper.batch([
      kv.batching.insert({ key: "m2", value: "z" } as never),
      kv.batching.insert({ key: "m3", value: "z" } as never)
    ])
    const lwt = await kv.insert({ key: "m4", value: "x" }, { ifNotExists: true })
    return {
      found,
      pages: pages.toArray(),
      gone: await kv.get({ key: "m1" }),
      batch: batch.wasApplied(),
      lwt: lwt.wasApplied(),
      all: (await kv.findAll({ limit: 1 } as never)).toArray().length
    }
  })
]

export const clientCases: ReadonlyArray<Case> = [...lives, ...constructors, ...options]
