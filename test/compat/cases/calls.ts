/** Every method, its forms, its options, and what goes wrong with them. */
import { once } from "node:events"
import { called, type Case, type Tools } from "../support/beside.ts"

const a = (name: string, run: Case["run"]): Case => ({ name, run })

/** So many rows of one partition. */
const fill = async ({ client }: Tools, p: number, rows: number): Promise<void> => {
  for (let c = 0; c < rows; c++) {
    await client.execute("INSERT INTO pages (p, c, v) VALUES (?, ?, ?)", [p, c, `v${c}`], { prepare: true })
  }
}

const put = (client: any, k: string, v: string | null = "x", options: object = { prepare: true }) =>
  client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", [k, v], options)

const CONSISTENCIES = [
  "any",
  "one",
  "two",
  "three",
  "quorum",
  "all",
  "localQuorum",
  "eachQuorum",
  "serial",
  "localSerial",
  "localOne"
]

const execute: ReadonlyArray<Case> = [
  a("execute: promise", ({ client }) => client.execute("SELECT key, cluster_name FROM system.local")),
  a("execute: callback alone", ({ client }) => called((done) => client.execute("SELECT key FROM system.local", done))),
  a(
    "execute: params and callback",
    ({ client }) => called((done) => client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], done))
  ),
  a(
    "execute: all four",
    ({ client }) =>
      called((done) => client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true }, done))
  ),
  a("execute: callback returns nothing", async ({ client }) => {
    let answer: unknown = "unset"
    await called((done) => {
      answer = client.execute("SELECT key FROM system.local", [], {}, done)
    })
    return { answer }
  }),
  a("execute: null params and options", ({ client }) => client.execute("SELECT key FROM system.local", null, null)),
  a("execute: empty params", ({ client }) => client.execute("SELECT key FROM system.local", [])),
  a("execute: empty object as params", ({ client }) => client.execute("SELECT key FROM system.local", {})),
  a(
    "execute: prepared without params",
    ({ client }) => client.execute("SELECT key FROM system.local", [], { prepare: true })
  ),
  a(
    "execute: prepared without params at all",
    ({ client }) => client.execute("SELECT key FROM system.local", undefined, { prepare: true })
  ),
  a("execute: a write", ({ client }) => put(client, "w1")),
  a("execute: a write that is not prepared", ({ client }) => put(client, "w2", "y", {})),
  a("execute: no rows", ({ client }) => client.execute("SELECT * FROM kv WHERE k = 'nobody'")),
  a(
    "execute: no rows, prepared",
    ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", ["nobody"], { prepare: true })
  ),
  a("execute: named, prepared", async ({ client }) => {
    await client.execute("INSERT INTO kv (k, v, n) VALUES (:k, :v, :n)", { k: "n1", v: "v", n: 5, other: 1 }, {
      prepare: true
    })
    return client.execute("SELECT * FROM kv WHERE k = :K", { k: "n1" }, { prepare: true })
  }),
  a("execute: named by columns, prepared", async ({ client }) => {
    await client.execute("INSERT INTO kv (k, v, n) VALUES (?, ?, ?)", { k: "n2", v: "v", n: 5 }, { prepare: true })
    return client.execute("SELECT * FROM kv WHERE k = ?", { k: "n2" }, { prepare: true })
  }),
  a(
    "execute: named in another case, prepared",
    ({ client }) => client.execute("SELECT * FROM kv WHERE k = :key", { KEY: "n2" }, { prepare: true })
  ),
  a(
    "execute: named, one is missing",
    ({ client }) => client.execute("INSERT INTO kv (k, v) VALUES (:k, :v)", { k: "n3" }, { prepare: true })
  ),
  a(
    "execute: named, one is undefined",
    ({ client }) =>
      client.execute("INSERT INTO kv (k, v) VALUES (:k, :v)", { k: "n3", v: undefined }, { prepare: true })
  ),
  a("execute: named, by guess", async ({ client }) => {
    await client.execute("INSERT INTO kv (k, v) VALUES (:k, :v)", { k: "n4", v: "v" })
    return client.execute("SELECT * FROM kv WHERE k = :k", { k: "n4" })
  }),
  a("execute: named, by hints", async ({ client }) => {
    await client.execute("INSERT INTO kv (k, v, n) VALUES (:k, :v, :n)", { k: "n5", v: "v", n: 5 }, {
      hints: { n: "int" } as never
    })
    return client.execute("SELECT * FROM kv WHERE k = :k", { k: "n5" })
  }),
  a(
    "execute: named, by guess, one is missing",
    ({ client }) => client.execute("INSERT INTO kv (k, v) VALUES (:k, :v)", { k: "n6" })
  ),
  ...[true, false].flatMap((prepare) => [
    a(
      `execute: too few values (prepare ${prepare})`,
      ({ client }) => client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["x"], { prepare })
    ),
    a(
      `execute: too many values (prepare ${prepare})`,
      ({ client }) => client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["x", "y", "z"], { prepare })
    ),
    a(
      `execute: no values (prepare ${prepare})`,
      ({ client }) => client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", [], { prepare })
    ),
    a(
      `execute: a value where none is wanted (prepare ${prepare})`,
      ({ client }) => client.execute("SELECT key FROM system.local", ["x"], { prepare })
    ),
    a(
      `execute: null as the key (prepare ${prepare})`,
      ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", [null], { prepare })
    ),
    a(
      `execute: undefined as the key (prepare ${prepare})`,
      ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", [undefined], { prepare })
    ),
    a(
      `execute: wrong syntax (prepare ${prepare})`,
      ({ client }) => client.execute("SELEC key FROM system.local", [], { prepare })
    ),
    a(
      `execute: no such table (prepare ${prepare})`,
      ({ client }) => client.execute("SELECT * FROM nothing", [], { prepare })
    ),
    a(
      `execute: no such column (prepare ${prepare})`,
      ({ client }) => client.execute("SELECT nix FROM kv WHERE k = ?", ["x"], { prepare })
    ),
    a(`execute: an IN (prepare ${prepare})`, async ({ client }) => {
      await put(client, "in1")
      await put(client, "in2")
      return client.execute("SELECT k, v FROM kv WHERE k IN ?", [["in1", "in2"]], { prepare, hints: ["list<text>"] })
    }),
    a(`execute: a conditional insert, twice (prepare ${prepare})`, async ({ client }) => {
      const query = "INSERT INTO kv (k, v) VALUES (?, ?) IF NOT EXISTS"
      const key = `cas${prepare}`
      return [
        await client.execute(query, [key, "1"], { prepare }),
        await client.execute(query, [key, "2"], { prepare })
      ]
    }),
    a(`execute: a conditional update (prepare ${prepare})`, async ({ client }) => {
      const key = `cas2${prepare}`
      // Written long ago: Paxos has the servers' time, which may be that of this client.
      await put(client, key, "old", { prepare: true, timestamp: 1_600_000_000_000_000 })
      const query = "UPDATE kv SET v = ? WHERE k = ? IF v = ?"
      return [
        await client.execute(query, ["new", key, "old"], { prepare }),
        await client.execute(query, ["x", key, "old"], { prepare })
      ]
    }),
    a(`execute: counters (prepare ${prepare})`, async ({ client, types }) => {
      await client.execute("UPDATE counts SET c = c + ? WHERE k = ?", [types.Long.fromNumber(3), `c${prepare}`], {
        prepare
      })
      return client.execute("SELECT * FROM counts WHERE k = ?", [`c${prepare}`], { prepare })
    }),
    a(`execute: TTL and writetime (prepare ${prepare})`, async ({ client, types }) => {
      const timestamp = types.Long.fromString("1700000000000000")
      await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", [`ts${prepare}`, "x"], { prepare, timestamp })
      return client.execute("SELECT writetime(v), ttl(v) FROM kv WHERE k = ?", [`ts${prepare}`], { prepare })
    }),
    a(`execute: a number as timestamp (prepare ${prepare})`, async ({ client }) => {
      await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", [`tn${prepare}`, "x"], {
        prepare,
        timestamp: 1_600_000_000_000_000
      })
      return client.execute("SELECT writetime(v) AS w FROM kv WHERE k = ?", [`tn${prepare}`], { prepare })
    })
  ]),
  a(
    "execute: an unknown execution profile",
    ({ client }) => client.execute("SELECT key FROM system.local", [], { executionProfile: "nobody" })
  ),
  a(
    "execute: an unknown execution profile, callback",
    ({ client }) =>
      called((done) => client.execute("SELECT key FROM system.local", [], { executionProfile: "nobody" }, done))
  ),
  a("execute: columns of one name, functions, JSON", async ({ client }) => {
    await client.execute("INSERT INTO kv (k, v, n) VALUES (?, ?, ?)", ["f1", "x", 1], { prepare: true })
    return [
      await client.execute("SELECT k, v AS k FROM kv WHERE k = 'f1'"),
      await client.execute("SELECT count(*) FROM kv WHERE k = 'f1'"),
      await client.execute("SELECT JSON * FROM kv WHERE k = 'f1'"),
      await client.execute("SELECT toJson(v), cast(n AS text) FROM kv WHERE k = 'f1'")
    ]
  }),
  a("execute: names in quotes", async ({ client }) => {
    await client.execute('INSERT INTO "Mixed" ("Key", "Val Ue") VALUES (?, ?)', [1, "x"], { prepare: true })
    return client.execute('SELECT * FROM "Mixed" WHERE "Key" = ?', [1], { prepare: true })
  }),
  a(
    "execute: a table of another keyspace",
    ({ client }) => client.execute("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = 'system'")
  ),
  ...CONSISTENCIES.flatMap((level) => [
    a(
      `consistency ${level}: a read`,
      ({ client, types }) =>
        client.execute("SELECT * FROM kv WHERE k = ?", ["nobody"], {
          prepare: true,
          consistency: types.consistencies[level]
        })
    ),
    a(
      `consistency ${level}: a write`,
      ({ client, types }) =>
        client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["c", "x"], {
          prepare: true,
          consistency: types.consistencies[level]
        })
    )
  ]),
  ...["serial", "localSerial"].map((level) =>
    a(
      `serial consistency ${level}`,
      ({ client, types }) =>
        client.execute("INSERT INTO kv (k, v) VALUES (?, ?) IF NOT EXISTS", [`sc${level}`, "x"], {
          prepare: true,
          serialConsistency: types.consistencies[level]
        })
    )
  ),
  a("traceQuery", async ({ client }) => {
    const result = await client.execute("SELECT key FROM system.local", [], { traceQuery: true })
    const trace = await client.metadata.getTrace(result.info.traceId)
    return {
      result,
      keys: Object.keys(trace),
      type: trace.requestType,
      events: trace.events.length > 0,
      event: Object.keys(trace.events[0])
    }
  }),
  a(
    "host: a fixed one",
    ({ client }) => client.execute("SELECT key FROM system.local", [], { host: client.hosts.values()[0] })
  ),
  a(
    "customPayload",
    ({ client }) =>
      client.execute("SELECT key FROM system.local", [], { customPayload: { "my-key": Buffer.from([1]) } })
  ),
  a("readTimeout: off", ({ client }) => client.execute("SELECT key FROM system.local", [], { readTimeout: 0 })),
  a(
    "isIdempotent",
    ({ client }) => client.execute("INSERT INTO kv (k, v) VALUES ('i', 'x')", [], { isIdempotent: true })
  ),
  a(
    "routingKey",
    ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", ["x"], { routingKey: Buffer.from("x") })
  ),
  a(
    "routingKey of several parts",
    ({ client }) =>
      client.execute("SELECT * FROM parts WHERE a = ? AND b = ?", [1, "x"], {
        hints: ["int", "text"],
        routingKey: [Buffer.from([0, 0, 0, 1]), Buffer.from("x")]
      })
  ),
  a(
    "routingKey: a token",
    ({ client }) =>
      client.execute("SELECT * FROM kv WHERE k = ?", ["x"], {
        prepare: true,
        routingKey: client.metadata.newToken(Buffer.from("x")) as never
      })
  ),
  a(
    "routingKey: nonsense",
    ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", ["x"], { routingKey: "x" as never })
  ),
  a("routingIndexes", ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", ["x"], { routingIndexes: [0] })),
  a(
    "routingNames",
    ({ client }) => client.execute("SELECT * FROM kv WHERE k = :k", { k: "x" }, { routingNames: ["k"] })
  ),
  a("captureStackTrace", async ({ client }) => {
    const error = await client.execute("SELECT * FROM nothing", [], { captureStackTrace: true }).catch((error: Error) =>
      error
    )
    return { isError: error instanceof Error, hasHere: /calls\.ts/.test(error.stack) }
  }),
  a("hints: an unknown one", ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", ["x"], { hints: ["nix"] })),
  a(
    "hints: codes",
    ({ client, types }) => client.execute("SELECT * FROM kv WHERE k = ?", ["x"], { hints: [types.dataTypes.text] })
  ),
  a(
    "hints: an unknown type of a user",
    ({ client }) => client.execute("SELECT * FROM kv WHERE k = ?", ["x"], { hints: ["udt<nix>"] })
  ),
  a(
    "hints: fewer than values",
    ({ client }) => client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["x", "y"], { hints: ["text"] })
  ),
  a("USE", async ({ make, ks }) => {
    const client = make({ keyspace: undefined })
    const used = await client.execute(`USE ${ks}`)
    return { used, keyspace: client.keyspace, rows: await client.execute("SELECT * FROM kv WHERE k = 'nobody'") }
  }),
  a("USE: an unknown keyspace", ({ make }) => make({ keyspace: undefined }).execute("USE nothing_at_all")),
  ...([undefined, null, 5, {}, ""] as ReadonlyArray<any>).flatMap((query) => [
    a(`execute: the query ${JSON.stringify(query)}`, async ({ client }) => {
      const error: any = await client.execute(query).catch((error: unknown) => error)
      return { isError: error instanceof Error }
    }),
    a(`execute: the query ${JSON.stringify(query)}, prepared`, async ({ client }) => {
      const error: any = await client.execute(query, [], { prepare: true }).catch((error: unknown) => error)
      return { isError: error instanceof Error }
    })
  ]),
  a("execute: a batch as a text", async ({ client }) => {
    const query = "BEGIN BATCH INSERT INTO kv (k, v) VALUES (?, ?); UPDATE kv SET n = 5 WHERE k = 'text1' APPLY BATCH"
    return [
      await client.execute(query, ["text1", "x"], { prepare: true }),
      await client.execute(query, ["text1", "y"]),
      await client.execute("SELECT v, n FROM kv WHERE k = 'text1'")
    ]
  }),
  a(
    "execute: comments, blanks and semicolons",
    ({ client }) =>
      client.execute("  -- a comment\n /* another */ SELECT key FROM system.local ;  ", [], { prepare: true })
  ),
  a("execute: DISTINCT, LIMIT, ORDER, ALLOW FILTERING", async ({ client }) => [
    await client.execute("SELECT DISTINCT p FROM pages LIMIT 3"),
    await client.execute("SELECT c FROM pages WHERE p = 1 ORDER BY c DESC LIMIT ?", [2], { prepare: true }),
    await client.execute("SELECT c FROM pages WHERE p = 1 AND v = ? ALLOW FILTERING", ["v3"], { prepare: true })
  ]),
  a("execute: parts of collections", async ({ client, ks }) => {
    await client.execute(`UPDATE ${ks}.t_map_text_int_ SET v[?] = ? WHERE k = ?`, ["x", 1, "part"], { prepare: true })
    await client.execute(`UPDATE ${ks}.t_list_int_ SET v = v + ? WHERE k = ?`, [[1, 2], "part"], { prepare: true })
    await client.execute(`UPDATE ${ks}.t_set_text_ SET v = v - ? WHERE k = ?`, [["a"], "part"], { prepare: true })
    return [
      await client.execute(`SELECT v FROM ${ks}.t_map_text_int_ WHERE k = 'part'`),
      await client.execute(`SELECT v FROM ${ks}.t_list_int_ WHERE k = 'part'`),
      await client.execute(`SELECT v FROM ${ks}.t_set_text_ WHERE k = 'part'`)
    ]
  }),
  a("execute: deletes and empty rows", async ({ client }) => {
    await client.execute("INSERT INTO kv (k, v) VALUES ('del', 'x')")
    return [
      await client.execute("DELETE FROM kv WHERE k = ?", ["del"], { prepare: true }),
      await client.execute("SELECT * FROM kv WHERE k = 'del'")
    ]
  }),
  a(
    "execute: TRUNCATE",
    async ({ client }) => [await client.execute("TRUNCATE counts"), await client.execute("SELECT * FROM counts")]
  ),
  a("execute: many at once, prepared by the first", async ({ client }) => {
    const found = await Promise.all(
      Array.from(
        { length: 30 },
        () => client.execute("SELECT k, v FROM kv WHERE k = ? LIMIT 7", ["nobody"], { prepare: true })
      )
    )
    return found.map(({ rowLength }) => rowLength)
  }),
  a("USE, prepared", async ({ make, ks }) => {
    const client = make({ keyspace: undefined })
    await client.execute(`USE ${ks}`, [], { prepare: true })
    return client.keyspace
  }),
  a("methods of a result", async ({ client }) => {
    const result = await client.execute("SELECT key, cluster_name FROM system.local")
    const row = result.first()
    return {
      first: row,
      columns: result.getColumns(),
      state: result.getPageState(),
      values: row.values(),
      keys: row.keys(),
      get: [row.get(0), row.get("key")],
      each: [...result],
      none: (await client.execute("SELECT * FROM kv WHERE k = 'nobody'")).first(),
      properties: Object.getOwnPropertyNames(row),
      json: JSON.stringify(row)
    }
  })
]

const schema: ReadonlyArray<Case> = [
  a("schema: create, alter, drop a table", async ({ client, ks }) => {
    const create = await client.execute("CREATE TABLE ddl (k int PRIMARY KEY)")
    const before = (await client.metadata.getTable(ks, "ddl")).columns.map((column: any) => column.name)
    await client.execute("ALTER TABLE ddl ADD v text")
    const after = (await client.metadata.getTable(ks, "ddl")).columns.map((column: any) => column.name)
    await client.execute("INSERT INTO ddl (k, v) VALUES (?, ?)", [1, "x"], { prepare: true })
    const star = await client.execute("SELECT * FROM ddl WHERE k = ?", [1], { prepare: true })
    const drop = await client.execute("DROP TABLE ddl")
    return { create, before, after, star, drop, gone: await client.metadata.getTable(ks, "ddl") }
  }),
  a("schema: what exists", ({ client }) => client.execute("CREATE TABLE kv (k text PRIMARY KEY)")),
  a(
    "schema: a keyspace that exists",
    ({ client, ks }) =>
      client.execute(`CREATE KEYSPACE ${ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`)
  ),
  a("schema: SELECT * after a column is added", async ({ client }) => {
    await client.execute("CREATE TABLE star (k int PRIMARY KEY, a int)")
    await client.execute("INSERT INTO star (k, a) VALUES (?, ?)", [1, 2], { prepare: true })
    const before = await client.execute("SELECT * FROM star WHERE k = ?", [1], { prepare: true })
    await client.execute("ALTER TABLE star ADD b int")
    const after = await client.execute("SELECT * FROM star WHERE k = ?", [1], { prepare: true })
    await client.execute("DROP TABLE star")
    return { before: before.first().keys(), after: after.first().keys() }
  }),
  a("metadata: keyspaces", ({ client, ks }) => {
    const { durableWrites, name, strategy, strategyOptions, virtual } = client.metadata.keyspaces[ks]
    return Promise.resolve({ durableWrites, name, strategy, strategyOptions, virtual })
  }),
  a("metadata: a table", async ({ client, ks }) => {
    const table = await client.metadata.getTable(ks, "parts")
    return {
      class: table.constructor.name,
      name: table.name,
      columns: table.columns,
      partitionKeys: table.partitionKeys,
      clusteringKeys: table.clusteringKeys,
      clusteringOrder: table.clusteringOrder,
      isCompact: table.isCompact,
      indexes: table.indexes,
      keys: Object.keys(table)
    }
  }),
  a("metadata: a table that is not there", ({ client, ks }) => client.metadata.getTable(ks, "nothing")),
  a(
    "metadata: a table of a keyspace that is not there",
    ({ client }) => client.metadata.getTable("nothing", "nothing")
  ),
  a(
    "metadata: a table, callback",
    ({ client, ks }) => called<any>((done) => client.metadata.getTable(ks, "kv", done)).then(({ name }) => name)
  ),
  a("metadata: a type", ({ client, ks }) => client.metadata.getUdt(ks, "address")),
  a("metadata: a type that is not there", ({ client, ks }) => client.metadata.getUdt(ks, "nothing")),
  a("metadata: functions and views that are not there", async ({ client, ks }) => [
    await client.metadata.getFunctions(ks, "nothing"),
    await client.metadata.getAggregates(ks, "nothing"),
    await client.metadata.getFunction(ks, "nothing", ["int"]),
    await client.metadata.getMaterializedView(ks, "nothing")
  ]),
  a("metadata: checkSchemaAgreement", ({ client }) => client.metadata.checkSchemaAgreement()),
  a("metadata: refreshKeyspace", async ({ client, ks }) => (await client.metadata.refreshKeyspace(ks)).name),
  a("metadata: refreshKeyspaces", async ({ client, ks }) => (await client.metadata.refreshKeyspaces())[ks].name),
  a("metadata: tokens and replicas", ({ client, ks }) => {
    const token = client.metadata.newToken(Buffer.from("x"))
    return Promise.resolve({
      token: String(token),
      replicas: client.getReplicas(ks, Buffer.from("x")),
      byToken: client.getReplicas(ks, token),
      none: client.getReplicas("nothing", Buffer.from("x")),
      anywhere: client.getReplicas(null, Buffer.from("x")),
      ranges: client.metadata.getTokenRanges().size,
      ofHost: client.metadata.getTokenRangesForHost(ks, client.hosts.values()[0]).size
    })
  }),
  a("metadata: before it is connected", ({ ks, make }) => make().metadata.getTable(ks, "kv")),
  a("metadata: isMetadataSyncEnabled: false", async ({ ks, make }) => {
    const client = make({ isMetadataSyncEnabled: false })
    await client.connect()
    return { keyspaces: client.metadata.keyspaces, table: (await client.metadata.getTable(ks, "kv")).name }
  })
]

const pages: ReadonlyArray<Case> = [
  a("pages: the first, and the state", async (tools) => {
    await fill(tools, 1, 25)
    return tools.client.execute("SELECT c FROM pages WHERE p = 1", [], { fetchSize: 10 })
  }),
  a("pages: by state, as text and as bytes", async ({ client }) => {
    const query = "SELECT c FROM pages WHERE p = ?"
    const one = await client.execute(query, [1], { prepare: true, fetchSize: 10 })
    const two = await client.execute(query, [1], { prepare: true, fetchSize: 10, pageState: one.pageState })
    const again = await client.execute(query, [1], {
      prepare: true,
      fetchSize: 10,
      pageState: Buffer.from(one.pageState, "hex")
    })
    const three = await client.execute(query, [1], { prepare: true, fetchSize: 10, pageState: two.pageState })
    return { two, again, three }
  }),
  a(
    "pages: a state that is none",
    ({ client }) => client.execute("SELECT c FROM pages WHERE p = 1", [], { pageState: "00ff00" })
  ),
  a(
    "pages: fetchSize 0",
    async ({ client }) => (await client.execute("SELECT c FROM pages WHERE p = 1", [], { fetchSize: 0 })).rowLength
  ),
  a("pages: async iteration", async ({ client }) => {
    const result = await client.execute("SELECT c FROM pages WHERE p = ?", [1], { prepare: true, fetchSize: 7 })
    const found = []
    for await (const row of result) found.push(row)
    return { found, length: result.rowLength }
  }),
  a("pages: async iteration of no rows", async ({ client }) => {
    const found = []
    for await (const row of await client.execute("SELECT c FROM pages WHERE p = 99")) found.push(row)
    return found
  }),
  ...[{}, { prepare: true }, { autoPage: true, fetchSize: 7 }, { autoPage: true, prepare: true, fetchSize: 7 }, {
    fetchSize: 7
  }].map((options) =>
    a(`eachRow ${JSON.stringify(options)}`, async ({ client }) => {
      const seen: Array<unknown> = []
      const result = await called((done) =>
        client.eachRow(
          "SELECT c, v FROM pages WHERE p = ?",
          [1],
          { hints: ["int"], ...options },
          (n: number, row: any) => seen.push([n, row]),
          done
        )
      )
      return { seen, result }
    })
  ),
  a("eachRow: page by page by hand", async ({ client }) => {
    const seen: Array<number> = []
    const pages: Array<unknown> = []
    await new Promise<void>((resolve, reject) => {
      client.eachRow(
        "SELECT c FROM pages WHERE p = 1",
        [],
        { fetchSize: 10 },
        (n: number) => seen.push(n),
        (error: Error, result: any) => {
          if (error) return reject(error)
          pages.push([result.rowLength, typeof result.nextPage, result.pageState !== null])
          if (result.nextPage) result.nextPage()
          else resolve()
        }
      )
    })
    return { seen, pages }
  }),
  a("eachRow: forms", async ({ client }) => {
    const rows: Array<number> = []
    await called((done) => client.eachRow("SELECT c FROM pages WHERE p = 1", [], (n: number) => rows.push(n), done))
    await called((done) => client.eachRow("SELECT c FROM pages WHERE p = 1", [], {}, (n: number) => rows.push(n), done))
    return rows
  }),
  a("eachRow: an error", ({ client }) => called((done) => client.eachRow("SELECT * FROM nothing", [], () => {}, done))),
  a(
    "eachRow: no callback for rows",
    async ({ client }) => client.eachRow("SELECT c FROM pages WHERE p = 1", [], {}, null)
  ),
  a(
    "eachRow: a write",
    ({ client }) => called((done) => client.eachRow("INSERT INTO kv (k, v) VALUES ('e', 'x')", [], () => {}, done))
  ),
  a("stream: rows", async ({ client }) => {
    const found = []
    for await (const row of client.stream("SELECT c FROM pages WHERE p = ?", [1], { prepare: true, fetchSize: 7 })) {
      found.push(row)
    }
    return found
  }),
  a("stream: autoPage", async ({ client }) => {
    const found: Array<unknown> = []
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [1], {
      prepare: true,
      autoPage: true,
      fetchSize: 7
    })
    stream.on("readable", () => {
      for (let row = stream.read(); row !== null; row = stream.read()) found.push(row)
    })
    await once(stream, "end")
    return { found, class: stream.constructor.name }
  }),
  a("stream: callback in the end", ({ client }) =>
    called((done) => {
      const stream = client.stream("SELECT c FROM pages WHERE p = 1", [], {}, done)
      stream.resume()
    })),
  a("stream: an error", async ({ client }) => {
    const stream = client.stream("SELECT * FROM nothing", [])
    const [error] = await once(stream, "error").catch((error) => [error])
    throw error
  }),
  a("stream: paused, nothing is lost", async ({ client }) => {
    const stream = client.stream("SELECT c FROM pages WHERE p = 1", [], { fetchSize: 5 })
    const found: Array<number> = []
    stream.on("data", (row: any) => {
      found.push(row.c)
      stream.pause()
      setImmediate(() => stream.resume())
    })
    await once(stream, "end")
    return found
  })
]

const batches: ReadonlyArray<Case> = [
  ...[true, false].flatMap((prepare) => [
    a(`batch: objects (prepare ${prepare})`, async ({ client }) => {
      const query = "INSERT INTO kv (k, v) VALUES (?, ?)"
      const result = await client.batch([{ query, params: [`b1${prepare}`, "1"] }, {
        query,
        params: [`b2${prepare}`, "2"]
      }], { prepare })
      return { result, rows: await client.execute("SELECT * FROM kv WHERE k = ?", [`b2${prepare}`]) }
    }),
    a(
      `batch: unlogged (prepare ${prepare})`,
      ({ client }) =>
        client.batch([{ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: ["b3", "1"] }], {
          prepare,
          logged: false
        })
    ),
    a(`batch: counters (prepare ${prepare})`, async ({ client, types }) => {
      const query = "UPDATE counts SET c = c + ? WHERE k = ?"
      await client.batch([{ query, params: [types.Long.fromNumber(2), `bc${prepare}`] }, {
        query,
        params: [types.Long.fromNumber(5), `bc${prepare}`]
      }], { prepare, counter: true })
      return client.execute("SELECT c FROM counts WHERE k = ?", [`bc${prepare}`])
    }),
    a(`batch: conditional (prepare ${prepare})`, async ({ client }) => {
      const query = "INSERT INTO parts (a, b, c, v) VALUES (?, ?, ?, ?) IF NOT EXISTS"
      const items = [{ query, params: [1, `bx${prepare}`, 1, "x"] }, { query, params: [1, `bx${prepare}`, 2, "y"] }]
      const hints = [["int", "text", "int", "text"], ["int", "text", "int", "text"]]
      return [await client.batch(items, { prepare, hints }), await client.batch(items, { prepare, hints })]
    }),
    a(
      `batch: a wrong value (prepare ${prepare})`,
      ({ client }) =>
        client.batch([{ query: "INSERT INTO kv (k, n) VALUES (?, ?)", params: ["b", "x"] }], {
          prepare,
          hints: [["text", "int"]]
        })
    ),
    a(`batch: wrong syntax (prepare ${prepare})`, ({ client }) => client.batch(["INSERTED"], { prepare })),
    a(
      `batch: too few values (prepare ${prepare})`,
      ({ client }) => client.batch([{ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: ["b"] }], { prepare })
    ),
    a(`batch: with a timestamp (prepare ${prepare})`, async ({ client }) => {
      await client.batch([{ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: [`bt${prepare}`, "x"] }], {
        prepare,
        timestamp: 1_600_000_000_000_000
      })
      return client.execute("SELECT writetime(v) FROM kv WHERE k = ?", [`bt${prepare}`])
    })
  ]),
  a(
    "batch: texts",
    ({ client }) =>
      client.batch(["INSERT INTO kv (k, v) VALUES ('bs1', 'x')", "INSERT INTO kv (k, v) VALUES ('bs2', 'x')"])
  ),
  a(
    "batch: callback",
    ({ client }) => called((done) => client.batch(["INSERT INTO kv (k, v) VALUES ('bs1', 'x')"], done))
  ),
  a(
    "batch: options and callback",
    ({ client }) =>
      called((done) => client.batch(["INSERT INTO kv (k, v) VALUES ('bs1', 'x')"], { logged: false }, done))
  ),
  a("batch: named, prepared", async ({ client }) => {
    await client.batch([{ query: "INSERT INTO kv (k, v) VALUES (:k, :v)", params: { k: "bn", v: "x" } }], {
      prepare: true
    })
    return client.execute("SELECT v FROM kv WHERE k = 'bn'")
  }),
  a("batch: none", ({ client }) => client.batch([])),
  a("batch: no list", ({ client }) => client.batch("x" as never)),
  a("batch: null among them", ({ client }) => client.batch([null as never])),
  a("batch: null among them, prepared", ({ client }) => client.batch([null as never], { prepare: true })),
  a("batch: a SELECT", ({ client }) => client.batch(["SELECT * FROM kv"])),
  a(
    "batch: named, by guess",
    ({ client }) => client.batch([{ query: "INSERT INTO kv (k, v) VALUES (:k, :v)", params: { k: "bn", v: "x" } }])
  ),
  a("batch: a stack trace of the call", async ({ client }) => {
    const error = await client.batch(["INSERTED"], { captureStackTrace: true }).catch((error: Error) => error)
    return { isError: error instanceof Error }
  })
]

export const callCases: ReadonlyArray<Case> = [...execute, ...schema, ...pages, ...batches]
