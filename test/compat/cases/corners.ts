/** Corners of the manual of `cassandra-driver`: forms of a call, of its options and of what it answers, that few programs take. */
import { once } from "node:events"
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { called, type Case, type Tools } from "../support/beside.ts"

const a = (name: string, run: Case["run"]): Case => ({ name, run })

/** What a call does when it is called, and what it is called back with. */
const shown = async (call: (callback: (...args: ReadonlyArray<any>) => void) => unknown): Promise<unknown> => {
  const calls: Array<unknown> = []
  let isReturned = false
  let answer: unknown
  let thrown: unknown
  await new Promise<void>((resolve) => {
    try {
      answer = call((...args) => {
        calls.push([isReturned ? "later" : "at once", args])
        // A second call would come in the next turns.
        setTimeout(resolve, 20)
      })
      if (typeof (answer as any)?.then === "function") {
        ;(answer as Promise<unknown>).then(
          (value) => calls.push(["fulfilled", value]),
          (error) => calls.push(["rejected", error])
        ).finally(() => setTimeout(resolve, 20))
      }
    } catch (error) {
      thrown = error
      resolve()
    }
    isReturned = true
  })
  return { answer: (answer as any)?.constructor?.name, calls, thrown }
}

const forms: ReadonlyArray<Case> = [
  a(
    "forms: execute with nothing",
    ({ client }) => client.execute().catch((error: any) => [error.constructor.name, error.code])
  ),
  a("forms: execute with a callback in every place", async ({ client }) => [
    await shown((done) => client.execute("SELECT key FROM system.local", done)),
    await shown((done) => client.execute("SELECT key FROM system.local", null, done)),
    await shown((done) => client.execute("SELECT key FROM system.local", [], done)),
    await shown((done) => client.execute("SELECT key FROM system.local", undefined, undefined, done)),
    await shown((done) => client.execute("SELECT key FROM system.local", null, null, done))
  ]),
  a("forms: execute with an error by callback", async ({ client }) => [
    await shown((done) => client.execute("SELECT * FROM nothing", done)),
    await shown((done) => client.execute("SELECT * FROM nothing", [], { prepare: true }, done)),
    await shown((done) => client.execute("SELECT key FROM system.local", [], { executionProfile: "x" }, done)),
    await shown((done) => client.execute("SELECT * FROM kv WHERE k = ?", [{ a: 1 }], {}, done)),
    await shown((done) => client.execute("SELECT * FROM kv WHERE k = ?", [1.5], { prepare: true }, done)),
    await shown((done) => client.execute("SELECT * FROM kv WHERE k = :k", { x: 1 }, { prepare: true }, done))
  ]),
  a("forms: a callback that is no function", async ({ client }) => {
    const answers = []
    for (const callback of [5, "x", {}]) {
      const listeners = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      const caught = new Promise<string>((resolve) =>
        process.once("uncaughtException", (error) => resolve(error.constructor.name))
      )
      try {
        answers.push(typeof client.execute("SELECT key FROM system.local", [], {}, callback), await caught)
      } finally {
        for (const listener of listeners) process.on("uncaughtException", listener)
      }
    }
    return answers
  }),
  a("forms: batch", async ({ client }) => {
    const queries = ["INSERT INTO kv (k, v) VALUES ('forms', 'x')"]
    return [
      await shown((done) => client.batch(queries, done)),
      await shown((done) => client.batch(queries, null, done)),
      await shown((done) => client.batch(queries, undefined, done)),
      await shown((done) => client.batch(queries, {}, done)),
      await shown(() => client.batch(queries, null)),
      await shown(() => client.batch()),
      await shown((done) => client.batch([], done)),
      await shown((done) => client.batch(null, {}, done)),
      await shown((done) => client.batch(queries, { executionProfile: "x" }, done)),
      await shown(() => client.batch(queries, { executionProfile: "x" }))
    ]
  }),
  a("forms: connect and shutdown", async ({ make }) => {
    const client = make()
    return [
      await shown((done) => client.connect(done)),
      await shown((done) => client.connect(done)),
      await shown(() => client.connect()),
      await shown((done) => client.shutdown(done)),
      await shown((done) => client.shutdown(done)),
      await shown(() => client.shutdown()),
      await shown((done) => client.connect(done)),
      await shown((done) => client.execute("SELECT key FROM system.local", done)),
      await shown((done) => client.batch(["INSERT INTO kv (k) VALUES ('x')"], done))
    ]
  }),
  a("forms: shutdown while it connects", async ({ make }) => {
    const client = make()
    const connecting = client.connect().then(() => "connected", (error: any) => error.constructor.name)
    const ended = client.shutdown().then(() => "ended", (error: any) => error.constructor.name)
    const answers = [await connecting, await ended]
    return {
      answers,
      connected: client.connected,
      after: await client.execute("SELECT key FROM system.local").then(
        () => "fine",
        (error: any) => error.constructor.name
      )
    }
  }),
  a("forms: shutdown many times at once", async ({ make }) => {
    const client = make()
    await client.connect()
    return Promise.all([client.shutdown(), client.shutdown(), client.shutdown()])
  }),
  a("forms: shutdown of what never connected, then use", async ({ make }) => {
    const client = make()
    await client.shutdown()
    return (await client.execute("SELECT key FROM system.local")).rowLength
  }),
  a("forms: eachRow without its parts", async ({ client }) => [
    await shown(() => client.eachRow("SELECT key FROM system.local")),
    await shown(() => client.eachRow("SELECT key FROM system.local", [])),
    await shown(() => client.eachRow("SELECT key FROM system.local", [], {})),
    await shown((done) => client.eachRow("SELECT key FROM system.local", () => {}, done)),
    await shown((done) => client.eachRow("SELECT key FROM system.local", [], () => {}, done)),
    await shown((done) => client.eachRow("SELECT key FROM system.local", null, null, () => {}, done)),
    await shown((done) =>
      client.eachRow("SELECT key FROM system.local", [], { executionProfile: "x" }, () => {}, done)
    ),
    await shown((done) => client.eachRow("SELECT key FROM system.local", done))
  ]),
  a("forms: eachRow, rows as arrow, and the numbers of rows over pages", async (tools) => {
    for (let c = 0; c < 12; c++) {
      await tools.client.execute("INSERT INTO pages (p, c, v) VALUES (?, ?, ?)", [70, c, "x"], { prepare: true })
    }
    const seen: Array<unknown> = []
    const result: any = await called((done) =>
      tools.client.eachRow(
        "SELECT c FROM pages WHERE p = ?",
        [70],
        { prepare: true, fetchSize: 5, autoPage: true },
        function(this: unknown, n: number, row: any, ...more: Array<unknown>) {
          seen.push([n, row.c, more.length])
        },
        done
      )
    )
    return { seen, result, rows: result.rows, length: result.rowLength }
  }),
  a("forms: options are not changed, and may be frozen", async ({ client }) => {
    const options = Object.freeze({ prepare: true, hints: Object.freeze(["text"]), fetchSize: 10 })
    const params = Object.freeze(["forms"])
    await client.execute("SELECT * FROM kv WHERE k = ?", params, options)
    await client.execute("SELECT * FROM kv WHERE k = ?", params, Object.freeze({ hints: options.hints }))
    await client.execute(
      "SELECT * FROM kv WHERE k = :k",
      Object.freeze({ k: "a" }),
      Object.freeze({ hints: { k: "text" } })
    )
    await client.batch(
      Object.freeze([
        Object.freeze({ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: Object.freeze(["f", "x"]) })
      ]),
      options.prepare ? Object.freeze({ prepare: true }) : {}
    )
    return [options, params]
  }),
  a("forms: options by a prototype", async ({ client }) => {
    const options = Object.create({ prepare: true })
    return client.execute("INSERT INTO kv (k, n) VALUES (?, ?)", ["proto", 5], options)
  }),
  a("forms: options of a class with getters", async ({ client }) => {
    class Own {
      get prepare() {
        return true
      }
      get fetchSize() {
        return 2
      }
    }
    return client.execute("SELECT c FROM pages WHERE p = ?", [70], new Own())
  }),
  a("forms: methods taken from the client", async ({ client }) => {
    const { execute } = client
    return execute.call(client, "SELECT key FROM system.local")
  }),
  a(
    "forms: a query that is an instance of String",
    ({ client }) => client.execute(new String("SELECT key FROM system.local")).then(() => "fine", () => "an error")
  ),
  a("forms: what a client and its prototype have", ({ client, lib }) => {
    const prototype = (lib as any).Client.prototype
    const names = [
      "connect",
      "execute",
      "eachRow",
      "stream",
      "batch",
      "shutdown",
      "getReplicas",
      "getState",
      "log",
      "executeGraph"
    ]
    return Promise.resolve(
      names.map((name) => [name, typeof client[name], typeof prototype[name], client[name].length])
    )
  })
]

const parameters: ReadonlyArray<Case> = [
  ...[true, false].flatMap((prepare) => [
    a(`params: questions within texts and comments (prepare ${prepare})`, async ({ client }) => {
      await client.execute("INSERT INTO kv (k, v) VALUES (?, 'what? :k') -- really?", ["q?"], { prepare })
      return client.execute("SELECT * FROM kv /* ? */ WHERE k = ?", ["q?"], { prepare })
    }),
    a(`params: a Set, a typed array and an iterator as params (prepare ${prepare})`, async ({ client }) => {
      const answers = []
      for (const params of [new Set(["a"]), new Uint8Array([1]), ["a"].values(), new Map([["k", "a"]]), "a", 5, true]) {
        answers.push(
          await client.execute("SELECT k FROM kv WHERE k = ?", params as never, { prepare }).then(
            (result: any) => result.rowLength,
            (error: any) => [error.constructor.name, error.code]
          )
        )
      }
      return answers
    }),
    a(`params: a hole in a list (prepare ${prepare})`, ({ client }) =>
      // oxlint-disable-next-line no-sparse-arrays
      client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", ["hole", ,], { prepare })),
    a(`params: null, undefined and unset in every place (prepare ${prepare})`, async ({ client, types }) => {
      const answers: Array<unknown> = []
      for (const value of [null, undefined, types.unset]) {
        for (const params of [[value, "x", 1], ["nul", value, 1], ["nul", "x", value], [value, value, value]]) {
          answers.push(
            await client.execute("INSERT INTO kv (k, v, n) VALUES (?, ?, ?)", params, {
              prepare,
              hints: ["text", "text", "int"]
            }).then(() => "fine", (error: any) => [error.constructor.name, error.code, error.message])
          )
        }
      }
      return [answers, await client.execute("SELECT * FROM kv WHERE k = 'nul'")]
    }),
    a(`params: null, undefined and unset by name (prepare ${prepare})`, async ({ client, types }) => {
      const answers: Array<unknown> = []
      for (const value of [null, undefined, types.unset]) {
        answers.push(
          await client.execute("INSERT INTO kv (k, v, n) VALUES (:k, :v, :n)", { k: "byname", v: value, n: 1 }, {
            prepare,
            hints: prepare ? undefined : { k: "text", v: "text", n: "int" }
          }).then(() => "fine", (error: any) => [error.constructor.name, error.code, error.message])
        )
      }
      return [answers, await client.execute("SELECT * FROM kv WHERE k = 'byname'")]
    }),
    a(
      `params: the same name twice (prepare ${prepare})`,
      ({ client }) =>
        client.execute("SELECT * FROM pages WHERE p = :p AND c = :p", { p: 1 }, { prepare, hints: { p: "int" } })
    ),
    a(`params: names of other cases and in quotes (prepare ${prepare})`, async ({ client }) => {
      const answers = []
      for (
        const [query, params] of [
          ["SELECT * FROM kv WHERE k = :KEY", { key: "a" }],
          ["SELECT * FROM kv WHERE k = :Key", { KEY: "a" }],
          ['SELECT * FROM kv WHERE k = :"Key"', { Key: "a" }],
          ['SELECT * FROM kv WHERE k = :"key"', { Key: "a" }]
        ] as const
      ) {
        answers.push(await client.execute(query, params, { prepare }).catch((error: any) => error))
      }
      return answers
    }),
    a(`params: by position where names are, and the other way (prepare ${prepare})`, async ({ client }) => [
      await client.execute("SELECT * FROM kv WHERE k = :k", ["a"], { prepare }).catch((error: any) => error),
      await client.execute("SELECT * FROM kv WHERE k = ?", { k: "a" }, { prepare }).catch((error: any) => error),
      await client.execute("SELECT * FROM kv WHERE k = ?", { "[0]": "a" }, { prepare }).catch((error: any) => error)
    ]),
    a(`params: bind markers for LIMIT, TTL and TIMESTAMP (prepare ${prepare})`, async ({ client, types }) => {
      await client.execute("INSERT INTO kv (k, v) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?", [
        "using",
        "x",
        500,
        types.Long.fromNumber(1_500_000_000_000_000)
      ], { prepare, hints: ["text", "text", "int", "bigint"] })
      await client.execute("UPDATE kv USING TTL :t SET n = :n WHERE k = :k", { t: 600, n: 5, k: "using" }, {
        prepare,
        hints: { t: "int", n: "int" }
      })
      return [
        await client.execute("SELECT writetime(v) FROM kv WHERE k = ? LIMIT ?", ["using", 1], {
          prepare,
          hints: ["text", "int"]
        }),
        (await client.execute("SELECT ttl(n) AS t FROM kv WHERE k = 'using'")).first().t > 500
      ]
    }),
    a(
      `params: rows of functions with markers (prepare ${prepare})`,
      ({ client }) =>
        client.execute("SELECT * FROM kv WHERE token(k) > token(?) LIMIT 1", ["a"], { prepare }).then(
          (result: any) => result.rowLength
        )
    ),
    a(`params: an object where a text is wanted (prepare ${prepare})`, async ({ client }) => {
      const answers: Array<unknown> = []
      for (
        const value of [
          {},
          { a: 1 },
          [],
          ["a"],
          new Date(0),
          Symbol("x"),
          () => {},
          10n,
          NaN,
          Infinity,
          -0,
          new Map(),
          new Set()
        ]
      ) {
        answers.push(
          await client.execute("INSERT INTO kv (k, v) VALUES ('odd', ?)", [value], { prepare }).then(
            () => "fine",
            (error: any) => [error.constructor.name, error.code]
          )
        )
      }
      return answers
    })
  ]),
  a("hints: in every form", async ({ client, types }) => {
    const { dataTypes } = types
    const answers: Array<unknown> = []
    for (
      const hints of [
        ["text", "text", "int"],
        ["text", "text", dataTypes.int],
        [null, null, "int"],
        [undefined, undefined, "int"],
        [{ code: dataTypes.text }, { code: dataTypes.text }, { code: dataTypes.int }],
        ["varchar", "ascii", "int"],
        ["TEXT", "Text", "INT"],
        [" text ", "text", "int"],
        [],
        {},
        null,
        "int",
        5,
        ["text", "text", "int", "int", "int"],
        ["text", "text", "map<text"],
        ["text", "text", "frozen<int>"],
        ["text", "text", ""],
        ["text", "text", 9999],
        [["text"], "text", "int"]
      ] as ReadonlyArray<any>
    ) {
      answers.push(
        await client.execute("INSERT INTO kv (k, v, n) VALUES (?, ?, ?)", ["hints", "x", 7], { hints }).then(
          () => "fine",
          (error: any) => [error.constructor.name, error.code, error.message]
        )
      )
    }
    return [answers, await client.execute("SELECT * FROM kv WHERE k = 'hints'")]
  }),
  a("hints: prepared statements do without", async ({ client }) => {
    const answers: Array<unknown> = []
    for (const hints of [["int"], ["nix"], {}, "x", null] as ReadonlyArray<any>) {
      answers.push(
        await client.execute("SELECT * FROM kv WHERE k = ?", ["hints"], { hints, prepare: true }).then(
          (result: any) => result.rowLength,
          (error: any) => [error.constructor.name, error.code]
        )
      )
    }
    return answers
  }),
  a("hints: of a batch in every form", async ({ client }) => {
    const query = "INSERT INTO kv (k, n) VALUES (?, ?)"
    const items = [{ query, params: ["hb", 1] }, { query, params: ["hb2", 2] }]
    const answers: Array<unknown> = []
    for (
      const hints of [
        [["text", "int"], ["text", "int"]],
        [["text", "int"]],
        [null, ["text", "int"]],
        [[null, "int"], [null, "int"]],
        [],
        {},
        "int"
      ] as ReadonlyArray<any>
    ) {
      answers.push(
        await client.batch(items, { hints }).then(
          () => "fine",
          (error: any) => [error.constructor.name, error.code, error.message]
        )
      )
    }
    return answers
  }),
  a("batch: items in every form", async ({ client }) => {
    const query = "INSERT INTO kv (k, v) VALUES (?, ?)"
    const answers: Array<unknown> = []
    for (const prepare of [false, true]) {
      for (
        const items of [
          [{ query, params: ["items", "1"] }, "INSERT INTO kv (k, v) VALUES ('items2', 'x')"],
          [{ query: "INSERT INTO kv (k, v) VALUES ('items3', 'x')" }],
          [{ query: "INSERT INTO kv (k, v) VALUES ('items3', 'x')", params: null }],
          [{ query: "INSERT INTO kv (k, v) VALUES ('items3', 'x')", params: [] }],
          [{ query, params: [null, "x"] }],
          [{ query, params: ["items4", null] }],
          [{ query, params: ["items4", undefined] }],
          [{ query: "", params: [] }],
          [{}],
          [5],
          [undefined],
          [[query, ["a", "b"]]],
          ...prepare ? [] : [[{ query, params: ["a", "b", "c"] }]],
          [{ query, params: "ab" }],
          [{ query, params: new Set(["a", "b"]) }],
          [{ query: "UPDATE counts SET c = c + 1 WHERE k = 'mixed'" }, { query, params: ["a", "b"] }],
          [{ query: "CREATE TABLE nonsense (k int PRIMARY KEY)" }],
          [{ query: "SELECT * FROM kv WHERE k = ?", params: ["a"] }],
          [{ query: "INSERT INTO nothing (k) VALUES (1)" }]
        ] as ReadonlyArray<any>
      ) {
        answers.push(
          await client.batch(items, { prepare }).then(
            (result: any) => result,
            (error: any) => [error.constructor.name, error.code, error.code === undefined ? undefined : error.message]
          )
        )
      }
    }
    return answers
  }),
  a("batch: every option", async ({ client, types }) => {
    const query = "INSERT INTO kv (k, v) VALUES (?, ?)"
    const items = [{ query, params: ["bo", "1"] }]
    const answers: Array<unknown> = []
    for (const prepare of [false, true]) {
      for (
        const options of [
          { consistency: types.consistencies.one },
          { consistency: types.consistencies.three },
          { consistency: types.consistencies.serial },
          { serialConsistency: types.consistencies.localSerial },
          { counter: true },
          { logged: false },
          { logged: null },
          { logged: 0 },
          { counter: false, logged: true },
          { timestamp: types.Long.fromNumber(1_700_000_000_000_000) },
          { traceQuery: true },
          { customPayload: { a: Buffer.from("x") } },
          { isIdempotent: true },
          { readTimeout: 0 },
          { readTimeout: 10_000 },
          { host: client.hosts.values()[0] },
          { fetchSize: 5 },
          { pageState: "00" },
          { autoPage: true },
          { routingKey: Buffer.from("bo") },
          { routingIndexes: [0] },
          { routingNames: ["k"] },
          { keyspace: client.keyspace },
          { captureStackTrace: true },
          { unknown: true }
        ] as ReadonlyArray<any>
      ) {
        answers.push(
          await client.batch(items, { prepare, ...options }).then(
            (
              result: any
            ) => [
              result.constructor.name,
              Object.keys(result.info),
              result.info.achievedConsistency,
              typeof result.info.traceId
            ],
            (error: any) => error
          )
        )
      }
    }
    return answers
  })
]

const requests: ReadonlyArray<Case> = [
  ...[true, false].flatMap((prepare) => [
    a(`options: timestamps in every form (prepare ${prepare})`, async ({ client, types }) => {
      const answers: Array<unknown> = []
      for (
        const timestamp of [
          1_500_000_000_000_001,
          types.Long.fromString("1500000000000002"),
          types.generateTimestamp(new Date(1_500_000_000_000), 3),
          undefined,
          0,
          -5,
          1.5
        ] as ReadonlyArray<any>
      ) {
        await client.execute("DELETE FROM kv USING TIMESTAMP 1400000000000000 WHERE k = 'stamp'")
        const key = `stamp${prepare}${answers.length}`
        answers.push(
          await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", [key, "x"], { prepare, timestamp }).then(
            () => "fine",
            (error: any) => [error.constructor.name, error.code]
          )
        )
        const [row] = (await client.execute("SELECT writetime(v) AS w FROM kv WHERE k = ?", [key])).rows
        answers.push(timestamp === undefined ? row !== undefined : String(row?.w))
      }
      return answers
    }),
    a(`options: timestamp null, the server's own (prepare ${prepare})`, async ({ client }) => {
      const before = Date.now() * 1_000
      await client.execute("INSERT INTO kv (k, v) VALUES (?, ?)", [`server${prepare}`, "x"], {
        prepare,
        timestamp: null
      })
      await client.batch([{ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: [`serverb${prepare}`, "x"] }], {
        prepare,
        timestamp: null
      })
      const answers = []
      for (const key of [`server${prepare}`, `serverb${prepare}`]) {
        const { rows: [row] } = await client.execute("SELECT writetime(v) AS w FROM kv WHERE k = ?", [key])
        answers.push(row.w.toNumber() >= before)
      }
      return answers
    }),
    a(`options: consistency in every form (prepare ${prepare})`, async ({ client }) => {
      const answers: Array<unknown> = []
      for (const consistency of [null, undefined, 0, 1, 6, 7, 10, NaN] as ReadonlyArray<any>) {
        answers.push(
          await client.execute("SELECT * FROM kv WHERE k = 'nobody'", [], { prepare, consistency }).then(
            (result: any) => result.info.achievedConsistency,
            (error: any) => [error.constructor.name, error.code]
          )
        )
      }
      return answers
    }),
    a(`options: serial consistency in every form (prepare ${prepare})`, async ({ client }) => {
      const answers: Array<unknown> = []
      for (const serialConsistency of [null, undefined, 0, 8, 9] as ReadonlyArray<any>) {
        answers.push(
          await client.execute("UPDATE kv SET v = 'x' WHERE k = 'serial' IF v = 'nix'", [], {
            prepare,
            serialConsistency
          })
            .then((result: any) => result.wasApplied(), (error: any) => [error.constructor.name, error.code])
        )
      }
      return answers
    }),
    a(`options: fetchSize in every form (prepare ${prepare})`, async ({ client }) => {
      const answers: Array<unknown> = []
      for (const fetchSize of [undefined, null, 0, -1, 3, 3.7, "3", "x", NaN, true, {}] as ReadonlyArray<any>) {
        answers.push(
          await client.execute("SELECT c FROM pages WHERE p = 70", [], { prepare, fetchSize }).then(
            (result: any) => [result.rowLength, result.isPaged()],
            (error: any) => [error.constructor.name, error.code]
          )
        )
      }
      return answers
    }),
    a(`options: pageState in every form (prepare ${prepare})`, async ({ client }) => {
      const query = "SELECT c FROM pages WHERE p = 70"
      const first = await client.execute(query, [], { prepare, fetchSize: 5 })
      const answers: Array<unknown> = []
      for (
        const pageState of [
          first.pageState,
          first.rawPageState,
          first.getPageState(),
          new Uint8Array(first.rawPageState),
          null,
          undefined,
          "",
          Buffer.alloc(0),
          "zz",
          "abc"
        ] as ReadonlyArray<any>
      ) {
        answers.push(
          await client.execute(query, [], { prepare, fetchSize: 5, pageState }).then(
            (result: any) => [result.rowLength, result.first()?.c, result.isPaged()],
            (error: any) => [error.constructor.name, error.code]
          )
        )
      }
      return answers
    }),
    a(`options: readTimeout in every form (prepare ${prepare})`, async ({ client }) => {
      const answers: Array<unknown> = []
      for (const readTimeout of [undefined, null, 0, -1, 5_000, "5000", NaN] as ReadonlyArray<any>) {
        answers.push(
          await client.execute("SELECT key FROM system.local", [], { prepare, readTimeout }).then(
            (result: any) => result.rowLength,
            (error: any) => [error.constructor.name, error.code]
          )
        )
      }
      return answers
    }),
    a(`options: customPayload in every form (prepare ${prepare})`, async ({ client }) => {
      const answers: Array<unknown> = []
      for (const customPayload of [undefined, null, {}, { a: Buffer.alloc(0) }, { a: null }, 5] as ReadonlyArray<any>) {
        answers.push(
          await client.execute("SELECT key FROM system.local", [], { prepare, customPayload }).then(
            (result: any) => [result.rowLength, result.info.customPayload],
            (error: any) => [error.constructor.name, error.code]
          )
        )
      }
      return answers
    }),
    a(`options: host, keyspace, routing and the rest (prepare ${prepare})`, async ({ client, ks, lib }) => {
      const [host] = client.hosts.values()
      const answers: Array<unknown> = []
      for (
        const options of [
          { host: null },
          { host },
          { keyspace: ks },
          { keyspace: null },
          { routingKey: null },
          { routingKey: [] },
          { routingKey: [Buffer.from("a")] },
          { routingKey: "x" },
          { routingKey: {} },
          { routingIndexes: null },
          { routingIndexes: [] },
          { routingIndexes: [5] },
          { routingIndexes: ["x"] },
          { routingNames: null },
          { routingNames: ["x"] },
          { executionProfile: null },
          { executionProfile: undefined },
          { executionProfile: "default" },
          { executionProfile: new lib.ExecutionProfile("own", { consistency: 1 }) },
          { executionProfile: 5 },
          { retry: null },
          { retry: new lib.policies.retry.RetryPolicy() },
          { captureStackTrace: true },
          { traceQuery: false },
          { autoPage: true },
          { isIdempotent: null },
          { logged: false },
          { counter: true },
          { prepare: undefined },
          { unknown: 5 }
        ] as ReadonlyArray<any>
      ) {
        answers.push([
          Object.keys(options)[0],
          await client.execute("SELECT * FROM kv WHERE k = ?", ["nobody"], { prepare, ...options }).then(
            (result: any) => [result.rowLength, result.info.achievedConsistency],
            (error: any) => [error.constructor.name, error.code, error.code === undefined ? undefined : error.message]
          )
        ])
      }
      return answers
    })
  ]),
  a("options: values that are none", async ({ client, types }) => {
    const answers: Array<unknown> = []
    for (
      const options of [
        { timestamp: NaN },
        { timestamp: "1500000000000004" },
        { timestamp: 1_500_000_000_000_005n },
        { timestamp: types.Integer.fromNumber(5) },
        { timestamp: new Date(0) },
        { timestamp: {} },
        { timestamp: true },
        { consistency: 99 },
        { consistency: -1 },
        { consistency: 1.5 },
        { consistency: "one" },
        { consistency: {} },
        { consistency: true },
        { serialConsistency: 1 },
        { serialConsistency: 99 },
        { serialConsistency: "serial" },
        { fetchSize: Infinity },
        { fetchSize: 2 ** 31 },
        { pageState: 5 },
        { pageState: {} },
        { pageState: true },
        { customPayload: { a: "text" } },
        { customPayload: { a: 5 } },
        { customPayload: "x" },
        { host: client.hosts.keys()[0] },
        { host: {} }
      ] as ReadonlyArray<any>
    ) {
      for (const prepare of [true, false]) {
        const query = "UPDATE kv SET v = ? WHERE k = ? IF v = ?"
        answers.push(
          await client.execute(query, ["x", "none", "y"], { prepare, ...options }).then(
            () => [options, "fine"],
            (error: any) => [options, error.constructor.name]
          )
        )
      }
    }
    return answers
  }),
  a(
    "options: another keyspace for names without one",
    ({ client }) => client.execute("SELECT * FROM kv WHERE k = 'a'", [], { keyspace: "system" })
  ),
  a(
    "options: another keyspace for a batch",
    ({ client }) => client.batch(["INSERT INTO kv (k) VALUES ('a')"], { keyspace: "system" })
  ),
  a(
    "batch: too many values, prepared",
    ({ client }) =>
      client.batch([{ query: "INSERT INTO kv (k, v) VALUES (?, ?)", params: ["a", "b", "c"] }], { prepare: true })
  ),
  a("options: prepare by what is true and what is not", async ({ client }) => {
    const answers: Array<unknown> = []
    for (const prepare of [1, "yes", {}, 0, "", null, NaN] as ReadonlyArray<any>) {
      answers.push(
        await client.execute("INSERT INTO kv (k, n) VALUES ('truthy', ?)", [5], { prepare }).then(
          () => "fine",
          (error: any) => [error.constructor.name, error.code]
        )
      )
    }
    return answers
  }),
  a("options: an answer with warnings", async ({ client, make }) => {
    const other = make()
    let lines = 0
    other.on("log", (level: string) => {
      if (level === "warning") lines++
    })
    const query = "INSERT INTO parts (a, b, c, v) VALUES (?, ?, 1, ?)"
    const items = Array.from({ length: 12 }, (_, i) => ({ query, params: [i, "warn", "x".repeat(1_000)] }))
    const result = await other.batch(items, { prepare: true, logged: false })
    const agg = await other.execute("SELECT count(*) FROM kv", [], { prepare: true })
    void client
    return { warnings: result.info.warnings, aggregate: agg.info.warnings, lines }
  })
]

const streams: ReadonlyArray<Case> = [
  a("streams: fill", async ({ client }) => {
    await Promise.all(
      Array.from(
        { length: 60 },
        (_, c) => client.execute("INSERT INTO pages (p, c, v) VALUES (?, ?, ?)", [71, c, `v${c}`], { prepare: true })
      )
    )
    return true
  }),
  a("streams: piped into something slow", async ({ client }) => {
    const seen: Array<number> = []
    await pipeline(
      client.stream("SELECT c FROM pages WHERE p = ?", [71], { prepare: true, fetchSize: 10 }),
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write(row, _, done) {
          seen.push(row.c)
          setImmediate(done)
        }
      })
    )
    return seen
  }),
  a("streams: destroyed midway", async ({ client }) => {
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [71], { prepare: true, fetchSize: 10 })
    const events: Array<string> = []
    for (const name of ["end", "error", "close"]) stream.on(name, () => events.push(name))
    let rows = 0
    await new Promise<void>((resolve) => {
      stream.on("data", () => {
        if (++rows === 15) {
          stream.destroy()
          setTimeout(resolve, 100)
        }
      })
    })
    return { rows, events, destroyed: stream.destroyed }
  }),
  a("streams: destroyed with an error", async ({ client }) => {
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [71], { prepare: true, fetchSize: 10 })
    const events: Array<unknown> = []
    for (const name of ["end", "error", "close"]) {
      stream.on(name, (error?: Error) => events.push([name, error?.message]))
    }
    stream.once("data", () => stream.destroy(new Error("enough")))
    await new Promise((resolve) => stream.once("close", () => setImmediate(resolve)))
    return events
  }),
  a("streams: destroyed before there are rows", async ({ client }) => {
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [71], { prepare: true, fetchSize: 10 })
    const events: Array<string> = []
    for (const name of ["end", "error", "close", "data"]) stream.on(name, () => events.push(name))
    stream.destroy()
    await new Promise((resolve) => setTimeout(resolve, 150))
    return events
  }),
  a("streams: broken off by a loop", async ({ client }) => {
    const found: Array<number> = []
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [71], { prepare: true, fetchSize: 10 })
    for await (const row of stream) if (found.push((row as any).c) === 12) break
    return { found, destroyed: stream.destroyed }
  }),
  a("streams: aborted", async ({ client }) => {
    const controller = new AbortController()
    const found: Array<number> = []
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [71], { prepare: true, fetchSize: 10 })
    try {
      await pipeline(
        stream,
        new Writable({
          objectMode: true,
          write(row, _, done) {
            if (found.push(row.c) === 5) controller.abort()
            setImmediate(done)
          }
        }),
        { signal: controller.signal }
      )
      return "never aborted"
    } catch (error) {
      return [(error as Error).name, stream.destroyed]
    }
  }),
  a("streams: paused for a while, events and what is kept", async ({ client }) => {
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [71], { prepare: true, fetchSize: 7 })
    const found: Array<number> = []
    stream.on("data", (row: any) => {
      found.push(row.c)
      if (found.length % 10 === 0) {
        stream.pause()
        setTimeout(() => stream.resume(), 5)
      }
    })
    await once(stream, "end")
    return found
  }),
  a("streams: read by hand, in small bites", async ({ client }) => {
    const stream = client.stream("SELECT c FROM pages WHERE p = ?", [71], {
      prepare: true,
      fetchSize: 7,
      autoPage: true
    })
    const found: Array<number> = []
    stream.on("readable", () => {
      for (let row = stream.read(); row; row = stream.read()) found.push(row.c)
    })
    await once(stream, "end")
    return found
  }),
  a("streams: without params, options, callback", async ({ client }) => {
    const found: Array<unknown> = []
    for await (const row of client.stream("SELECT key FROM system.local")) found.push(row)
    return found
  }),
  a("streams: callback and events of an error, in their order", async ({ client }) => {
    const events: Array<unknown> = []
    await new Promise<void>((resolve) => {
      const stream = client.stream("SELECT * FROM nothing", [], {}, (error: any) => {
        events.push(["callback", error])
        setTimeout(resolve, 30)
      })
      for (const name of ["end", "error", "close"]) stream.on(name, (error?: any) => events.push([name, error?.code]))
      stream.resume()
    })
    return events
  }),
  a("streams: a profile that is none", async ({ client }) => {
    const events: Array<unknown> = []
    const stream = client.stream("SELECT key FROM system.local", [], { executionProfile: "x" })
    for (const name of ["end", "error", "close"]) {
      stream.on(name, (error?: any) => events.push([name, error?.constructor.name]))
    }
    stream.resume()
    await new Promise((resolve) => setTimeout(resolve, 50))
    return events
  }),
  a("streams: a write, and no rows", async ({ client }) => {
    const found: Array<unknown> = []
    for await (const row of client.stream("INSERT INTO kv (k) VALUES ('stream')")) found.push(row)
    for await (const row of client.stream("SELECT * FROM kv WHERE k = 'nobody'")) found.push(row)
    return found
  }),
  a("streams: methods of a ResultStream", async ({ client, types }) => {
    const stream = client.stream("SELECT key FROM system.local")
    const answers = [
      stream instanceof types.ResultStream,
      stream instanceof Readable,
      typeof stream.cancel,
      stream.paused
    ]
    let thrown: unknown
    try {
      stream.cancel()
    } catch (error) {
      thrown = (error as Error).message
    }
    stream.resume()
    await once(stream, "end")
    return [answers, thrown]
  }),
  a("pages: nextPage of eachRow, again after the last, and twice at once", async ({ client }) => {
    const seen: Array<unknown> = []
    let last: any
    await new Promise<void>((resolve, reject) => {
      client.eachRow(
        "SELECT c FROM pages WHERE p = 71",
        [],
        { fetchSize: 25, prepare: true },
        (n: number, row: any) => seen.push([n, row.c]),
        (error: Error, result: any) => {
          if (error) return reject(error)
          last = result
          if (result.nextPage) result.nextPage()
          else resolve()
        }
      )
    })
    return { seen, keys: Object.keys(last), length: last.rowLength, state: last.pageState }
  }),
  a("pages: nextPageAsync", async ({ client }) => {
    const first = await client.execute("SELECT c FROM pages WHERE p = 71", [], { prepare: true, fetchSize: 25 })
    const second = await first.nextPageAsync(first.rawPageState)
    const third = await second.nextPageAsync(second.rawPageState)
    return { lengths: [first, second, third].map((result) => [result.rowLength, result.first(), result.isPaged()]) }
  }),
  a("pages: iterated twice", async ({ client }) => {
    const result = await client.execute("SELECT c FROM pages WHERE p = 71", [], { prepare: true, fetchSize: 25 })
    const counts = []
    for (let i = 0; i < 2; i++) {
      let n = 0
      for await (const _ of result) n++
      counts.push(n)
    }
    return counts
  }),
  a("pages: iterated by hand beyond the end", async ({ client }) => {
    const result = await client.execute("SELECT c FROM pages WHERE p = 71 LIMIT 2", [], { prepare: true, fetchSize: 1 })
    const iterator = result[Symbol.asyncIterator]()
    const steps = []
    for (let i = 0; i < 5; i++) steps.push(await iterator.next())
    return steps
  }),
  a("pages: a table that is dropped between", async ({ client }) => {
    await client.execute("CREATE TABLE IF NOT EXISTS gone (p int, c int, PRIMARY KEY (p, c))")
    for (let c = 0; c < 6; c++) await client.execute("INSERT INTO gone (p, c) VALUES (1, ?)", [c], { prepare: true })
    const result = await client.execute("SELECT c FROM gone WHERE p = 1", [], { prepare: true, fetchSize: 3 })
    await client.execute("DROP TABLE gone")
    return result.nextPageAsync(result.rawPageState).then(
      () => "fine",
      (error: any) => [error.constructor.name, error.code]
    )
  })
]

export const cornerCases: ReadonlyArray<Case> = [...forms, ...parameters, ...requests, ...streams]
export const cases = cornerCases
export type { Tools }
