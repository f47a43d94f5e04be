/** What is around calls: policies of one's own, metadata, values, the mapper, many calls at a time, metrics. */
import { Readable } from "node:stream"
import { inspect } from "node:util"
import { called, type Case } from "../support/beside.ts"

const a = (name: string, run: Case["run"]): Case => ({ name, run })

const plans: ReadonlyArray<Case> = [
  a("balancing: a plan that is made of an array, a generator, an iterator", async ({ lib, make }) => {
    const answers: Array<unknown> = []
    let form: (hosts: ReadonlyArray<any>) => any = (hosts) => hosts[Symbol.iterator]()
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      newQueryPlan(_: unknown, __: unknown, callback: any) {
        callback(null, form(this["hosts"].values()))
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    await client.connect()
    for (
      const each of [
        (hosts: ReadonlyArray<any>) => hosts.values(),
        function*(hosts: ReadonlyArray<any>) {
          yield* hosts
        },
        (hosts: ReadonlyArray<any>) => {
          let i = 0
          return {
            next: () => i < hosts.length ? { done: false, value: hosts[i++] } : { done: true, value: undefined }
          }
        },
        (hosts: ReadonlyArray<any>) => [...hosts, ...hosts][Symbol.iterator]()
      ]
    ) {
      form = each
      answers.push((await client.execute("SELECT key FROM system.local")).rowLength)
    }
    return answers
  }),
  a("balancing: a plan later, by a promise, twice", async ({ lib, make }) => {
    const answers: Array<unknown> = []
    let form = 0
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      newQueryPlan(_: unknown, __: unknown, callback: any) {
        const plan = () => this["hosts"].values()[Symbol.iterator]()
        if (form === 0) setImmediate(callback, null, plan())
        else if (form === 1) Promise.resolve().then(() => callback(undefined, plan()))
        else {
          callback(null, plan())
          callback(null, plan())
        }
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    await client.connect()
    for (form = 0; form < 3; form++) answers.push((await client.execute("SELECT key FROM system.local")).rowLength)
    return answers
  }),
  a("balancing: a policy that throws, and a plan that does", async ({ lib, make }) => {
    let form = 0
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      newQueryPlan(keyspace: string, options: unknown, callback: any) {
        if (form === 1) throw new Error("no plan")
        if (form === 2) {
          return callback(null, {
            next: () => {
              throw new Error("no next")
            }
          })
        }
        super["newQueryPlan"](keyspace, options, callback)
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    await client.connect()
    const answers: Array<unknown> = []
    for (form = 1; form < 3; form++) {
      for (const options of [{}, { prepare: true }]) {
        answers.push(
          await client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], options).then(
            () => "fine",
            (error: any) => [error.constructor.name, error.message]
          )
        )
      }
      answers.push(
        await client.batch(["INSERT INTO kv (k) VALUES ('x')"]).then(
          () => "fine",
          (error: any) => [error.constructor.name, error.message]
        )
      )
    }
    form = 0
    answers.push((await client.execute("SELECT key FROM system.local")).rowLength)
    return answers
  }),
  a("balancing: what a policy is told, and of whom", async ({ lib, make }) => {
    const seen: Array<unknown> = []
    class Own extends (lib.policies.loadBalancing.LoadBalancingPolicy as any) {
      init(client: any, hosts: any, callback: any) {
        seen.push([
          "init",
          client instanceof lib.Client,
          hosts.length,
          hosts.constructor.name,
          hosts.values()[0].constructor.name
        ])
        this["hosts"] = hosts
        callback()
      }
      getDistance(host: any) {
        seen.push(["distance", host.constructor.name, typeof host.datacenter])
        return lib.types.distance.local
      }
      newQueryPlan(keyspace: unknown, options: any, callback: any) {
        seen.push(["plan", keyspace, options === null || options === undefined ? "none" : options.getRawQueryOptions()])
        callback(null, this["hosts"].values()[Symbol.iterator]())
      }
      getOptions() {
        return new Map()
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    await client.connect()
    const connected = new Set(seen.map((each) => (each as any)[0]))
    seen.length = 0
    await client.execute("SELECT * FROM kv WHERE k = ?", ["a"], { prepare: true, fetchSize: 7 })
    return {
      isTold: [connected.has("init"), connected.has("distance")],
      plan: seen.filter((each) => (each as any)[0] === "plan" && (each as any)[2] !== "none")
    }
  }),
  a("balancing: a policy whose init fails", async ({ lib, make }) => {
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      init(_: unknown, __: unknown, callback: any) {
        callback(new Error("no init"))
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    const error = await client.connect().catch((error: any) => error)
    return [error.constructor.name, error.message, client.connected]
  }),
  a("balancing: all nodes are ignored", async ({ lib, make }) => {
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      getDistance() {
        return lib.types.distance.ignored
      }
    }
    const client = make({ policies: { loadBalancing: new Own() }, keyspace: undefined })
    const error: any = await client.execute("SELECT key FROM system.local").catch((error: any) => error)
    return [error.constructor.name, error.innerErrors]
  }),
  a("balancing: remote nodes are asked", async ({ lib, make }) => {
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      getDistance() {
        return lib.types.distance.remote
      }
    }
    const client = make({ policies: { loadBalancing: new Own() } })
    return (await client.execute("SELECT key FROM system.local")).rowLength
  }),
  a("balancing: of a profile", async ({ lib, make }) => {
    const asked: Array<string> = []
    class Own extends (lib.policies.loadBalancing.RoundRobinPolicy as any) {
      newQueryPlan(keyspace: string, options: any, callback: any) {
        if (options) asked.push(keyspace)
        super["newQueryPlan"](keyspace, options, callback)
      }
    }
    const client = make({ profiles: [new lib.ExecutionProfile("own", { loadBalancing: new Own() as never })] })
    await client.execute("SELECT key FROM system.local")
    await client.execute("SELECT key FROM system.local", [], { executionProfile: "own" })
    await client.batch(["INSERT INTO kv (k) VALUES ('x')"], { executionProfile: "own" })
    return asked
  }),
  a("retry: what a policy is asked with, and by whom", async ({ lib, make, types }) => {
    const asked: Array<unknown> = []
    class Own extends (lib.policies.retry.RetryPolicy as any) {
      onUnavailable(info: any, ...rest: Array<unknown>) {
        asked.push([
          Object.keys(info),
          info.query,
          info.nbRetry,
          info.executionOptions.constructor.name,
          info.executionOptions.isIdempotent(),
          info.executionOptions.isPrepared(),
          rest
        ])
        return info.nbRetry < 2 ? { decision: 1, useCurrentHost: true, consistency: undefined } : { decision: 0 }
      }
    }
    const client = make({ policies: { retry: new Own() } })
    const three = types.consistencies.three
    const errors: Array<unknown> = []
    for (const prepare of [true, false]) {
      errors.push(
        await client.execute("SELECT * FROM kv WHERE k = ?", ["a"], { prepare, consistency: three }).catch((e: any) =>
          e
        )
      )
      errors.push(
        await client.batch([{ query: "INSERT INTO kv (k) VALUES (?)", params: ["a"] }], { prepare, consistency: three })
          .catch((e: any) => e)
      )
    }
    return { asked, errors }
  }),
  a("retry: answers that are none", async ({ lib, make, types }) => {
    const answers: Array<unknown> = []
    let answer: unknown
    class Own extends (lib.policies.retry.RetryPolicy as any) {
      onUnavailable() {
        return answer
      }
    }
    const client = make({ policies: { retry: new Own() } })
    for (answer of [undefined, null, { decision: 0 }, { decision: 2 }]) {
      answers.push(
        await client.execute("SELECT * FROM kv WHERE k = 'a'", [], { consistency: types.consistencies.three }).then(
          (result: any) => [result.rows, result.rowLength, result.info.triedHosts],
          (error: any) => error
        )
      )
    }
    return answers
  }),
  a("retry: another level, until it goes", async ({ lib, make, types }) => {
    const { all, one, three, two } = types.consistencies
    class Own extends (lib.policies.retry.RetryPolicy as any) {
      onUnavailable(info: any, consistency: number) {
        void info
        return this["retryResult"](consistency === three ? two : one, consistency === three)
      }
    }
    const client = make({ policies: { retry: new Own() } })
    const read = await client.execute("SELECT * FROM kv WHERE k = 'a'", [], { consistency: three }).catch((e: any) => e)
    const write = await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["a", "x"], {
      consistency: three,
      isIdempotent: true,
      prepare: true
    }).catch((e: any) => e)
    void all
    return { read, write }
  }),
  a("timestamps: generators of every kind", async ({ lib, make, types }) => {
    const answers: Array<unknown> = []
    let answer: unknown
    class Own extends (lib.policies.timestampGeneration as any).TimestampGenerator {
      next() {
        return answer
      }
    }
    const client = make({ policies: { timestampGeneration: new Own() } })
    const begin = Date.now() * 1_000
    for (answer of [1_500_000_000_000_000, types.Long.fromString("1500000000000001"), null, undefined]) {
      const key = `gen${answers.length}`
      await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", [key, "x"], { prepare: true })
      const { rows: [row] } = await client.execute("SELECT writetime(v) AS w FROM kv WHERE k = ?", [key])
      const micros = row.w.toNumber()
      answers.push(micros >= begin ? "now" : micros)
    }
    answer = 5
    await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["gen", "x"], {
      prepare: true,
      timestamp: 1_500_000_000_000_002
    })
    answers.push((await client.execute("SELECT writetime(v) AS w FROM kv WHERE k = 'gen'")).first().w)
    return answers
  }),
  a("timestamps: none, but one for a call", async ({ make }) => {
    const client = make({ policies: { timestampGeneration: null } })
    const begin = Date.now() * 1_000
    await client.execute("INSERT INTO kv (k, v) VALUES ('nogen', 'x')")
    await client.execute("INSERT INTO kv (k, v) VALUES ('nogen2', 'x')", [], { timestamp: 1_500_000_000_000_002 })
    const stamp = async (key: string) =>
      (await client.execute("SELECT writetime(v) AS w FROM kv WHERE k = ?", [key])).first().w
    return [(await stamp("nogen")).toNumber() >= begin, await stamp("nogen2")]
  }),
  a("reconnection: a policy that ends", async ({ lib, make }) => {
    class Own extends ((lib.policies.reconnection as any).ReconnectionPolicy) {
      *newSchedule() {
        yield 10
      }
    }
    const client = make({ policies: { reconnection: new Own() } })
    return (await client.execute("SELECT key FROM system.local")).rowLength
  }),
  a("policies: what their options say", async ({ lib, make }) => {
    const { loadBalancing, reconnection, retry, speculativeExecution, timestampGeneration } = lib.policies as any
    void make
    return [
      new loadBalancing.DCAwareRoundRobinPolicy("dc1"),
      new loadBalancing.RoundRobinPolicy(),
      new loadBalancing.TokenAwarePolicy(new loadBalancing.RoundRobinPolicy()),
      new reconnection.ConstantReconnectionPolicy(5),
      new reconnection.ExponentialReconnectionPolicy(1, 5, true),
      new retry.FallthroughRetryPolicy(),
      new speculativeExecution.ConstantSpeculativeExecutionPolicy(5, 2),
      new timestampGeneration.MonotonicTimestampGenerator()
    ].map((policy: any) => [policy.constructor.name, policy.getOptions ? [...policy.getOptions()] : undefined])
  })
]

const metadata: ReadonlyArray<Case> = [
  a("metadata: callbacks of every method", async ({ client, ks }) => {
    const { metadata } = client
    const answers: Array<unknown> = []
    for (
      const call of [
        (done: any) => metadata.getTable(ks, "kv", done),
        (done: any) => metadata.getUdt(ks, "address", done),
        (done: any) => metadata.getFunction(ks, "nix", ["int"], done),
        (done: any) => metadata.getFunctions(ks, "nix", done),
        (done: any) => metadata.getAggregate(ks, "nix", ["int"], done),
        (done: any) => metadata.getAggregates(ks, "nix", done),
        (done: any) => metadata.getMaterializedView(ks, "nix", done),
        (done: any) => metadata.refreshKeyspace(ks, done),
        (done: any) => metadata.refreshKeyspaces(done),
        (done: any) => metadata.checkSchemaAgreement(done)
      ]
    ) {
      answers.push(
        await called<any>(call).then(
          (value) => value?.constructor?.name ?? value,
          (error) => [error.constructor.name, error.message]
        )
      )
    }
    return answers
  }),
  a("metadata: names that are not there, and none", async ({ client, ks }) => {
    const { metadata } = client
    const answers: Array<unknown> = []
    for (
      const call of [
        () => metadata.getTable(),
        () => metadata.getTable(null, "kv"),
        () => metadata.getTable(ks),
        () => metadata.getTable(ks, ""),
        () => metadata.getUdt("nothing", "nothing"),
        () => metadata.getFunction(ks, null, null),
        () => metadata.getFunction(ks, "nix"),
        () => metadata.getFunctions("nothing", "nix"),
        () => metadata.getAggregate(ks, "nix", []),
        () => metadata.getMaterializedView("nothing", "nix"),
        () => metadata.refreshKeyspace("nothing"),
        () => metadata.refreshKeyspace(null),
        () => metadata.getTrace(null),
        () => metadata.getReplicas("nothing", null),
        () => metadata.getReplicas(null, null),
        () => metadata.getTokenRangesForHost("nothing", client.hosts.values()[0]),
        () => metadata.getTokenRangesForHost(ks, null)
      ]
    ) {
      try {
        const value = await call()
        answers.push(value?.constructor?.name === "Object" ? Object.keys(value).length > 0 : value)
      } catch (error) {
        answers.push([(error as Error).constructor.name, (error as Error).message])
      }
    }
    return answers
  }),
  a("metadata: getTrace of what is not there, and with a level", async ({ client, types }) => {
    const result = await client.execute("SELECT key FROM system.local", [], { traceQuery: true })
    const { metadata } = client
    const trace = await metadata.getTrace(result.info.traceId, types.consistencies.one)
    const byCallback: any = await called((done) => metadata.getTrace(result.info.traceId, done))
    const byBoth: any = await called((done) => metadata.getTrace(result.info.traceId, types.consistencies.one, done))
    return [trace, byCallback, byBoth].map((each) => [
      Object.keys(each),
      each.requestType,
      each.coordinator?.constructor.name,
      each.parameters?.query,
      typeof each.startedAt,
      typeof each.duration,
      Object.keys(each.events[0]),
      each.events[0].id.constructor.name
    ])
  }),
  a("metadata: tokens and ranges", ({ client, ks }) => {
    const { metadata } = client
    const token = metadata.newToken(Buffer.from("a"))
    const several = metadata.newToken([Buffer.from("a"), Buffer.from("b")])
    const text = metadata.newToken("5")
    const range = metadata.newTokenRange(text, token)
    const [first] = metadata.getTokenRanges()
    const ends = [...metadata.getTokenRanges()].map(String)
    return Promise.resolve({
      classes: [token, range, first].map((each) => each.constructor.name),
      values: [token, several, text].map((each) => [String(each), each.getType?.(), each.getValue?.()]),
      compared: [token.compare(text), token.equals(token), token.equals(text)],
      range: [String(range), range.isEmpty(), range.isWrappedAround(), range.contains(token), range.contains(text)],
      split: range.splitEvenly(3).map(String),
      unwrapped: metadata.newTokenRange(token, text).unwrap().map(String),
      ends: ends.length,
      replicas: metadata.getReplicas(ks, range)?.map?.((host: any) => host.address),
      ofHost: [...metadata.getTokenRangesForHost(ks, client.hosts.values()[0])].map(String).length
    })
  }),
  a("metadata: views, functions and aggregates", async ({ client, ks }) => {
    const { metadata } = client
    const errors: Array<unknown> = []
    for (
      const query of [
        "CREATE MATERIALIZED VIEW kv_by_n AS SELECT * FROM kv WHERE n IS NOT NULL AND k IS NOT NULL PRIMARY KEY (n, k)",
        "CREATE FUNCTION plus(a int, b int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a + b;'",
        "CREATE FUNCTION plus(a bigint, b bigint) RETURNS NULL ON NULL INPUT RETURNS bigint LANGUAGE java AS 'return a + b;'",
        "CREATE AGGREGATE total(int) SFUNC plus STYPE int INITCOND 0",
        "CREATE INDEX kv_v ON kv (v)"
      ]
    ) await client.execute(query).catch((error: any) => errors.push([error.constructor.name, error.code]))
    const view = await metadata.getMaterializedView(ks, "kv_by_n")
    const f = await metadata.getFunction(ks, "plus", ["int", "int"])
    const fs = await metadata.getFunctions(ks, "plus")
    const g = await metadata.getAggregate(ks, "total", ["int"])
    const table = await metadata.getTable(ks, "kv")
    const answer = {
      errors,
      view: view &&
        [
          view.constructor.name,
          view.name,
          view.tableName,
          view.whereClause,
          view.includeAllColumns,
          view.columns,
          view.partitionKeys,
          view.clusteringKeys
        ],
      f,
      fs,
      g,
      byCode: await metadata.getFunction(ks, "plus", [{ code: 9 }, { code: 9 }]),
      aggregates: await metadata.getAggregates(ks, "total"),
      indexes: table.indexes,
      used: await client.execute("SELECT plus(n, n) AS p FROM kv LIMIT 1").then(
        (r: any) => r.columns,
        (e: any) => e.code
      ),
      tableKeys: Object.keys(table)
    }
    for (
      const query of [
        "DROP INDEX IF EXISTS kv_v",
        "DROP AGGREGATE IF EXISTS total(int)",
        "DROP FUNCTION IF EXISTS plus(int, int)",
        "DROP FUNCTION IF EXISTS plus(bigint, bigint)",
        "DROP MATERIALIZED VIEW IF EXISTS kv_by_n"
      ]
    ) {
      await client.execute(query).catch(() => {})
    }
    return {
      ...answer,
      after: [
        await metadata.getFunctions(ks, "plus"),
        await metadata.getMaterializedView(ks, "kv_by_n"),
        (await metadata.getTable(ks, "kv")).indexes
      ]
    }
  }),
  a("metadata: changing what getTable gave changes nothing", async ({ client, ks }) => {
    const one = await client.metadata.getTable(ks, "kv")
    const two = await client.metadata.getTable(ks, "kv")
    return [one === two, one.columnsByName.k, Object.keys(one.columnsByName)]
  }),
  a("metadata: keyspaces as programs look at them", ({ client, ks }) =>
    Promise.resolve({
      names: Object.keys(client.metadata.keyspaces).filter((name) => !name.startsWith("compat")).sort(),
      own: Object.keys(client.metadata.keyspaces[ks]).sort(),
      system: client.metadata.keyspaces["system"]?.strategy
    })),
  a("metadata: its prepared statements", async ({ make }) => {
    const client = make()
    await client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true })
    const { metadata } = client
    return [
      typeof metadata.clearPrepared,
      metadata.clearPrepared(),
      (await client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true })).rowLength
    ]
  }),
  a("hosts: every method of the map", ({ client }) => {
    const { hosts } = client
    const [host] = hosts.values()
    return Promise.resolve({
      keys: hosts.keys(),
      slices: [hosts.slice().length, hosts.slice(0).length, hosts.slice(1).length, hosts.slice(0, 1)[0] === host],
      frozen: Object.isFrozen(hosts.values()),
      get: hosts.get("nobody"),
      length: hosts.length,
      names: Object.keys(hosts),
      json: Object.keys(JSON.parse(JSON.stringify(hosts))),
      shown: /Host/.test(inspect(hosts)),
      emitter: typeof hosts.on
    })
  }),
  a("hosts: what one has", ({ client }) => {
    const [host] = client.hosts.values()
    const methods = [
      "isUp",
      "canBeConsideredAsUp",
      "getCassandraVersion",
      "getDseVersion",
      "getActiveConnection",
      "getInFlight",
      "getResponseCount",
      "borrowConnection",
      "setDistance",
      "setUp",
      "setDown"
    ]
    return Promise.resolve({
      keys: Object.keys(host).sort(),
      methods: methods.map((name) => [name, typeof host[name], host[name].length]),
      versions: [host.getCassandraVersion(), host.getDseVersion(), host.dseVersion, host.workloads],
      // Since when is of what has happened before, on a busy machine.
      up: [host.isUp(), host.canBeConsideredAsUp(), "isUpSince" in host, typeof host.setDownAt],
      types: [
        host.hostId.constructor.name,
        typeof host.rack,
        typeof host.datacenter,
        Array.isArray(host.tokens),
        typeof host.tokens[0]
      ],
      inFlight: typeof host.getInFlight()
    })
  }),
  a("getState: as text, and while something is under way", async ({ client }) => {
    const [host] = client.hosts.values()
    const pending = client.execute("SELECT key FROM system.local")
    const state = client.getState()
    const text = state.toString()
    await pending
    const parsed = JSON.parse(text)
    return {
      keys: Object.keys(parsed),
      connected: Object.keys(parsed.openConnections ?? parsed),
      after: client.getState().getInFlightQueries(host),
      unknown: [
        client.getState().getInFlightQueries({ address: "x" }),
        client.getState().getOpenConnections({ address: "x" })
      ]
    }
  }),
  a("getState: before it connects and after it was shut down", async ({ make }) => {
    const client = make()
    const before = client.getState().getConnectedHosts()
    await client.connect()
    await client.shutdown()
    return [before, client.getState().getConnectedHosts().length, client.hosts.length]
  })
]

const around: ReadonlyArray<Case> = [
  a("executeConcurrent: arrays, objects, streams, generators", async ({ client, lib }) => {
    const { executeConcurrent } = lib.concurrent as any
    const query = "INSERT INTO kv (k, v) VALUES (?, ?)"
    const params = (n: number) => Array.from({ length: n }, (_, i) => [`con${i}`, "x"])
    const answers: Array<unknown> = []
    const shown = (
      result: any
    ) => [
      result.constructor.name,
      result.totalExecuted,
      result.errors.length,
      result.resultItems?.length,
      result.resultItems?.[0]?.constructor.name
    ]
    answers.push(shown(await executeConcurrent(client, query, params(20))))
    answers.push(
      shown(await executeConcurrent(client, query, params(20), { collectResults: true, concurrencyLevel: 3 }))
    )
    answers.push(
      shown(await executeConcurrent(client, params(5).map((params) => ({ query, params })), { collectResults: true }))
    )
    answers.push(shown(await executeConcurrent(client, query, Readable.from(params(30)), { concurrencyLevel: 4 })))
    answers.push(shown(await executeConcurrent(client, query, Readable.from(params(30)))))
    answers.push(
      await executeConcurrent(
        client,
        query,
        (function*() {
          yield* params(5)
        })() as never
      ).then(shown, (error: any) => [error.constructor.name, error.message])
    )
    answers.push(shown(await executeConcurrent(client, query, [])))
    answers.push(
      await executeConcurrent(client, query, null).then(shown, (error: any) => [error.constructor.name, error.message])
    )
    return answers
  }),
  a("executeConcurrent: errors", async ({ client, lib }) => {
    const { executeConcurrent } = lib.concurrent as any
    const query = "INSERT INTO kv (k, n) VALUES (?, ?)"
    const params = Array.from({ length: 12 }, (_, i) => [`con${i}`, i % 3 === 0 ? "x" : i])
    const answers: Array<unknown> = []
    for (
      const options of [
        undefined,
        { raiseOnFirstError: true },
        { raiseOnFirstError: false },
        { raiseOnFirstError: false, collectResults: true, concurrencyLevel: 1 },
        { raiseOnFirstError: false, maxErrors: 2, concurrencyLevel: 1 },
        { executionProfile: "x", raiseOnFirstError: false }
      ]
    ) {
      answers.push(
        await executeConcurrent(client, query, params, options).then(
          (
            result: any
          ) => [
            result.totalExecuted,
            result.errors.map((e: any) => [e.constructor.name, e.message]),
            result.resultItems?.map((e: any) => e?.constructor.name)
          ],
          (error: any) => [error.constructor.name, error.message]
        )
      )
    }
    return answers
  }),
  a("metrics: counters of everything", async ({ lib, make, types }) => {
    const metrics: any = new (lib as any).metrics.DefaultMetrics()
    const seen: Record<string, number> = {}
    const count = (name: string, emitter: any) => {
      emitter.on("increment", (value: any) => {
        seen[name] = (seen[name] ?? 0) + 1
        if (Array.isArray(value)) seen[`${name} latency`] = value.length
        else if (value instanceof Error) seen[`${name} ${value.constructor.name}`] = 1
      })
    }
    for (const [name, emitter] of Object.entries<any>(metrics.errors)) if (emitter?.on) count(`errors.${name}`, emitter)
    for (const [name, emitter] of Object.entries<any>(metrics.retries)) {
      if (emitter?.on) count(`retries.${name}`, emitter)
    }
    count("errors", metrics.errors)
    count("retries", metrics.retries)
    count("responses", metrics.responses)
    count("success", metrics.responses.success)
    count("ignored", metrics.ignoredErrors)
    count("speculative", metrics.speculativeExecutions)
    const client = make({ metrics })
    await client.connect()
    for (const name of Object.keys(seen)) delete seen[name]
    await client.execute("SELECT key FROM system.local")
    await client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true })
    await client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true })
    await client.execute("SELECT * FROM nothing").catch(() => {})
    await client.execute("SELECT * FROM kv WHERE k = 'a'", [], { consistency: types.consistencies.three }).catch(
      () => {}
    )
    await client.execute("INSERT INTO kv (k) VALUES ('a')", [], { consistency: types.consistencies.three }).catch(
      () => {}
    )
    await client.batch(["INSERT INTO kv (k) VALUES ('metrics')"])
    await client.batch(["INSERT INTO nothing (k) VALUES ('metrics')"]).catch(() => {})
    await client.execute("SELECT * FROM kv WHERE k = ?", [1.5], { prepare: true }).catch(() => {})
    await new Promise<void>((resolve) =>
      client.eachRow("SELECT c FROM pages LIMIT 10", [], { fetchSize: 4, autoPage: true }, () => {}, () => resolve())
    )
    return seen
  }),
  a("metrics: a statement that cannot be prepared", async ({ lib, make }) => {
    const metrics: any = new (lib as any).metrics.DefaultMetrics()
    let count = 0
    metrics.errors.on("increment", () => count++)
    const client = make({ metrics })
    await client.execute("SELECT * FROM nothing", [], { prepare: true }).catch(() => {})
    return count
  }),
  a("metrics: of a user's own class", async ({ lib, make }) => {
    const calls: Array<string> = []
    class Own extends (lib as any).metrics.ClientMetrics {}
    for (const name of Object.getOwnPropertyNames((lib as any).metrics.ClientMetrics.prototype)) {
      if (name !== "constructor") {
        ;(Own.prototype as any)[name] = (...args: Array<unknown>) => calls.push(`${name} ${args.length}`)
      }
    }
    const client = make({ metrics: new Own() })
    await client.connect()
    calls.length = 0
    await client.execute("SELECT key FROM system.local")
    await client.execute("SELECT * FROM nothing").catch(() => {})
    return calls
  }),
  a("a tracker: pages, batches of texts, errors of values", async ({ lib, make }) => {
    const seen: Array<unknown> = []
    class Own extends (lib.tracker as any).RequestTracker {
      onSuccess(host: any, query: any, params: any, options: any, length: number, bytes: number, latency: any) {
        seen.push([
          "success",
          host.address,
          Array.isArray(query) ? query.length : query,
          params,
          options.getRawQueryOptions(),
          options.getFetchSize(),
          typeof length,
          bytes > 0,
          latency.length
        ])
      }
      onError(host: any, query: any, params: any, options: any, length: number, error: any, latency: any) {
        seen.push([
          "error",
          host.address,
          Array.isArray(query) ? query.length : query,
          params,
          options.isPrepared(),
          typeof length,
          error.constructor.name,
          latency.length
        ])
      }
    }
    const client = make({ requestTracker: new Own() })
    for await (const _ of client.stream("SELECT c FROM pages WHERE p = ?", [70], { prepare: true, fetchSize: 5 }));
    await client.batch(["INSERT INTO kv (k) VALUES ('a')", "INSERT INTO kv (k) VALUES ('b')"])
    await client.batch([{ query: "INSERT INTO kv (k, n) VALUES (?, ?)", params: ["a", "x"] }], { prepare: true }).catch(
      () => {}
    )
    await client.execute("SELECT * FROM kv WHERE k = ?", [1.5], { prepare: true }).catch(() => {})
    await client.execute("SELECT * FROM nothing", [], { prepare: true }).catch(() => {})
    return seen
  }),
  a("RequestLogger: what it writes", async ({ lib, make }) => {
    const lines: Array<unknown> = []
    const logger: any = new lib.tracker.RequestLogger({
      logNormalRequests: true,
      logErroredRequests: true,
      slowThreshold: 60_000,
      requestSizeThreshold: 100,
      messageMaxQueryLength: 30,
      messageMaxParameterValueLength: 5,
      messageMaxErrorStackTraceLength: 20
    } as never)
    for (const name of ["normal", "slow", "large", "failure"]) {
      logger.emitter.on(
        name,
        (line: string) =>
          lines.push([
            name,
            line.replaceAll(/\d+ ?ms/g, "T").replaceAll(/\d+ bytes/g, "B").replaceAll(
              /(request|response) length \d+/g,
              "$1 L"
            ).replaceAll(/(request|response) (size|length)? ?[\d.]+ ?(KB|bytes|B)?/gi, "$1 S").slice(0, 120)
          ])
      )
    }
    const client = make({ requestTracker: logger })
    await client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true })
    await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["logged", "x".repeat(500)], { prepare: true })
    await client.batch([{ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: ["logged", "x"] }], { prepare: true })
    await client.execute("SELECT * FROM nothing").catch(() => {})
    return lines.map(([name, line]: any) => [name, line.replace(/\[.*?\]/, "[]").split(" ").length > 3])
  }),
  a("the mapper: forms of its documentation", async ({ client, ks, lib }) => {
    await client.execute(
      "CREATE TABLE IF NOT EXISTS videos (video_id int PRIMARY KEY, user_id int, added int, name text, tags set<text>)"
    )
    await client.execute(
      "CREATE TABLE IF NOT EXISTS user_videos (user_id int, added int, video_id int, name text, PRIMARY KEY (user_id, added, video_id))"
    )
    const { Mapper, mapping, q } = {
      Mapper: lib.mapping.Mapper,
      mapping: lib.mapping as any,
      q: (lib.mapping as any).q
    }
    const mapper = new Mapper(client, {
      models: {
        Video: {
          tables: ["videos", "user_videos"],
          keyspace: ks,
          mappings: new mapping.UnderscoreCqlToCamelCaseMappings(),
          columns: {
            name: {
              name: "title",
              toModel: (text: string) => text?.toUpperCase(),
              fromModel: (text: string) => text?.toLowerCase()
            } as never
          }
        }
      }
    })
    const videos: any = mapper.forModel("Video")
    const answers: Array<unknown> = []
    await videos.insert({ videoId: 1, userId: 2, added: 3, title: "First", tags: ["a"] })
    await videos.insert({ videoId: 2, userId: 2, added: 4, title: "Second" }, { ttl: 1000 })
    await videos.insert({ videoId: 3, userId: 2, added: 5, title: "Third" }, { fields: ["videoId", "userId", "added"] })
    answers.push(await videos.get({ videoId: 1 }))
    answers.push((await videos.find({ userId: 2 })).toArray())
    answers.push(
      (await videos.find({ userId: 2, added: q.gt(3) }, {
        orderBy: { added: "desc" },
        limit: 5,
        fields: ["added", "title"]
      })).toArray()
    )
    answers.push((await videos.find({ userId: 2, added: q.and(q.gte(3), q.lt(5)) })).toArray())
    answers.push((await videos.find({ userId: q.in_([2, 3]) })).toArray().length)
    answers.push((await videos.update({ videoId: 1, userId: 2, added: 3, title: "Other" })).wasApplied())
    answers.push(
      (await videos.update({ videoId: 1, tags: q.append(["b"]) }, { fields: ["videoId", "tags"] })).wasApplied()
    )
    answers.push(await videos.get({ videoId: 1 }, { fields: ["tags", "title"] }))
    answers.push(
      await videos.insert({ videoId: 9, title: "Only" }, { ifNotExists: true }).then((
        r: any
      ) => [r.wasApplied(), r.toArray()])
    )
    answers.push(
      await videos.insert({ videoId: 9, title: "Only" }, { ifNotExists: true }).then((
        r: any
      ) => [r.wasApplied(), r.toArray()])
    )
    answers.push(
      await videos.update({ videoId: 9, title: "x" }, { when: { title: "nope" } }).then((
        r: any
      ) => [r.wasApplied(), r.toArray()])
    )
    answers.push(await videos.remove({ videoId: 9 }, { ifExists: true }).then((r: any) => r.wasApplied()))
    answers.push(
      await videos.find({ nope: 1 }).then(() => "fine", (error: any) => [error.constructor.name, error.message])
    )
    answers.push(await videos.get({}).then(() => "fine", (error: any) => [error.constructor.name, error.message]))
    const byName = videos.mapWithQuery("SELECT * FROM videos WHERE video_id = ?", (doc: any) => [doc.id], {
      isIdempotent: true
    })
    answers.push((await byName({ id: 1 })).toArray())
    const batch = await mapper.batch([
      videos.batching.insert({ videoId: 20, userId: 5, added: 1, title: "B" }),
      videos.batching.update({ videoId: 1, userId: 2, added: 3, title: "C" }),
      videos.batching.remove({ videoId: 2 })
    ], { logged: true, timestamp: Date.now() * 1_000 + 5_000_000 } as never)
    answers.push([batch.constructor.name, batch.wasApplied()])
    const all = await videos.findAll()
    answers.push([all.constructor.name, all.length, all.isPaged?.(), all.pageState, [...all].length, all.first()])
    const page = await videos.findAll({}, { fetchSize: 1 } as never).catch((error: any) => error)
    answers.push([page.length, typeof page.pageState])
    answers.push(inspect(all).length > 0)
    return answers
  }),
  a("encoding: user's own Map and Set", async ({ make }) => {
    class OwnMap extends Map {}
    class OwnSet extends Set {}
    const client = make({ encoding: { map: OwnMap, set: OwnSet } })
    await client.execute(
      "CREATE TABLE IF NOT EXISTS collections (k int PRIMARY KEY, m map<text, frozen<set<int>>>, s set<text>, l list<frozen<map<int, text>>>)"
    )
    await client.execute("INSERT INTO collections (k, m, s, l) VALUES (?, ?, ?, ?)", [
      1,
      new Map([["a", new Set([1])]]),
      new Set(["x"]),
      [new Map([[1, "a"]])]
    ], { prepare: true })
    await client.execute("INSERT INTO collections (k, s) VALUES (?, ?)", [2, new OwnSet()], { prepare: true })
    const { rows } = await client.execute("SELECT * FROM collections")
    return rows
  }),
  a("encoding: bigints everywhere", async ({ make }) => {
    const client = make({ encoding: { useBigIntAsLong: true, useBigIntAsVarint: true } })
    await client.execute(
      "CREATE TABLE IF NOT EXISTS bigs (k bigint PRIMARY KEY, v varint, l list<bigint>, m map<varint, bigint>, t tuple<bigint, varint>)"
    )
    await client.execute("INSERT INTO bigs (k, v, l, m) VALUES (?, ?, ?, ?)", [1n, 2n ** 70n, [3n, -3n], { 5: 6n }], {
      prepare: true
    })
    await client.execute("INSERT INTO bigs (k, v) VALUES (?, ?)", [2n, 5n], { hints: ["bigint", "varint"] })
    await client.execute("INSERT INTO bigs (k) VALUES (?)", [3n]).catch(() => {})
    const { rows } = await client.execute("SELECT * FROM bigs")
    const one = await client.execute("SELECT count(*) AS c FROM bigs WHERE k = ?", [1n], { prepare: true })
    return [rows, one.rows]
  }),
  a("encoding: rows as JSON and by inspect", async ({ client, types }) => {
    await client.execute(
      "CREATE TABLE IF NOT EXISTS every (k int PRIMARY KEY, a uuid, b timeuuid, c bigint, d varint, e decimal, f inet, g date, h time, i timestamp, j duration, l blob, m tuple<int, text>)"
    )
    await client.execute(
      "INSERT INTO every (k, a, b, c, d, e, f, g, h, i, j, l, m) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      [
        1,
        types.Uuid.fromString("123e4567-e89b-42d3-a456-426614174000"),
        types.TimeUuid.fromDate(new Date(0), 5, Buffer.alloc(6), Buffer.alloc(2)),
        types.Long.fromNumber(5),
        types.Integer.fromNumber(6),
        types.BigDecimal.fromString("1.25"),
        types.InetAddress.fromString("127.0.0.1"),
        types.LocalDate.fromString("2020-01-02"),
        types.LocalTime.fromString("01:02:03"),
        new Date(5),
        types.Duration.fromString("1mo"),
        Buffer.from("x"),
        new types.Tuple(1, "a")
      ],
      { prepare: true }
    )
    const row = (await client.execute("SELECT * FROM every")).first()
    return [JSON.stringify(row), inspect(row), row.keys(), row.values(), Object.getPrototypeOf(row).constructor.name]
  }),
  a("types: what is exported, and its statics", ({ types }) => {
    const { TimeUuid, Uuid } = types
    return Promise.resolve({
      names: Object.keys(types).sort(),
      now: [
        TimeUuid.now().constructor.name,
        TimeUuid.now("host01", "AA").getNodeIdString(),
        TimeUuid.now(Buffer.alloc(6), Buffer.alloc(2)).getClockId().toString("hex")
      ],
      min: TimeUuid.min(new Date(0), 5).toString(),
      max: TimeUuid.max(new Date(0), 5).toString(),
      random: Uuid.random().constructor.name,
      codes: types.responseErrorCodes,
      levels: types.consistencies,
      names2: [
        types.getDataTypeNameByCode({ code: 9 }),
        types.getDataTypeNameByCode({ code: 0x20, info: { code: 9 } })
      ],
      timeuuid: typeof types.timeuuid(),
      uuid: typeof types.uuid()
    })
  })
]

export const surroundingCases: ReadonlyArray<Case> = [...plans, ...metadata, ...around]
export const cases = surroundingCases
