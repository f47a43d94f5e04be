/** Versions and compression of the protocol, from the client's options to what the servers get. */
import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { Frame, ServerError, Uuid, Value } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { tap } from "./support/tap.ts"
import { clientOf, type ClientOptions, passing, settle, world } from "./support/world.ts"

const INSERT = "INSERT INTO ks.t (id, v) VALUES (?, ?)"
const SELECT = "SELECT id, v FROM ks.t WHERE id = ?"

/** The versions and compressions that connections were begun with. */
const spoken = (options: SimulatedCluster.Options, clientOptions: ClientOptions) =>
  Effect.gen(function*() {
    const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 2, transport: "memory", ...options })
    const wire = tap(cluster.transport)
    const compressions = new Set<string>()
    yield* cluster.intercept(({ request }) => {
      if (request._tag === "Startup") compressions.add(request.options["COMPRESSION"] ?? "none")
      return undefined
    })
    const cql = yield* passing(clientOf(cluster, clientOptions, wire.transport))
    yield* passing(cql.awaitConnected)
    const versions = new Set(wire.startups.map(({ version }) => version))
    return { cluster, cql, versions: [...versions], compressions: [...compressions] }
  })

const keyspace = (cql: CqlClient.CqlClient, name: string) =>
  passing(
    cql.execute(
      `CREATE KEYSPACE ${name} WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 2} AND ` +
        "tablets = {'enabled': false}"
    )
  )

describe("versions and compression", () => {
  const cases: ReadonlyArray<readonly [SimulatedCluster.Options, ClientOptions, number, string]> = [
    [{}, {}, 4, "none"],
    [{ product: "cassandra" }, {}, 5, "none"],
    [{ product: "cassandra" }, { protocolVersion: "auto", compression: "none" }, 5, "none"],
    [{ product: "cassandra", versions: [3] }, {}, 3, "none"],
    [{ product: "cassandra" }, { compression: "lz4" }, 5, "lz4"],
    // v5 has no Snappy: left to choose, the client comes down to v4.
    [{ product: "cassandra" }, { compression: "snappy" }, 4, "snappy"],
    [{ compression: ["snappy"] }, { compression: "lz4" }, 4, "none"],
    [{}, { compression: "lz4" }, 4, "lz4"],
    [{ metadataIds: false }, { compression: "snappy", protocolVersion: 4 }, 4, "snappy"],
    [{}, { protocolVersion: 3 }, 3, "none"],
    [{ product: "cassandra" }, { protocolVersion: 3, compression: "snappy" }, 3, "snappy"],
    [{ product: "cassandra" }, { protocolVersion: 4 }, 4, "none"],
    [{ product: "cassandra" }, { protocolVersion: 5 }, 5, "none"]
  ]
  for (const [options, clientOptions, version, compression] of cases) {
    it.effect(`${JSON.stringify(options)} asked for ${JSON.stringify(clientOptions)}: v${version}, ${compression}`, () =>
      Effect.gen(function*() {
        const { compressions, cql, versions } = yield* spoken(options, clientOptions)
        assert.deepStrictEqual(versions, [version])
        assert.deepStrictEqual(compressions, [compression])
        yield* keyspace(cql, "ks")
        yield* passing(cql.execute("CREATE TABLE ks.t (id uuid PRIMARY KEY, v int, w text)"))
        const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v, w) VALUES (:id, :v, :w)"))
        const ids = Array.from({ length: 40 }, (_, i) => new Uuid.Uuid(i, i, i, i))
        // Longer than a segment of v5.
        const long = "long ".repeat(30_000)
        yield* passing(
          Effect.forEach(ids, (id, v) => cql.execute(insert, { id, v, w: v === 7 ? long : "short" }), {
            concurrency: 8
          })
        )
        for (const [v, id] of ids.entries()) {
          const { rows } = yield* passing(cql.execute("SELECT v, w FROM ks.t WHERE id = ?", [id]))
          assert.deepStrictEqual(rows, [{ v, w: v === 7 ? long : "short" }])
        }
        const unknown = yield* passing(Effect.flip(cql.execute("SELECT * FROM ks.nothing")))
        assert.strictEqual((unknown as CqlError.CqlError).reason._tag, "InvalidRequest")
      }))
  }

  it.effect("v5 and Snappy is an error of the configuration, before anything is dialled", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory", product: "cassandra" })
      const wire = tap(cluster.transport)
      const error = yield* Effect.flip(Effect.scoped(Effect.provideService(
        CqlClient.make({
          contactPoints: cluster.contactPoints,
          protocolVersion: 5,
          compression: "snappy",
          pageSize: 0
        }),
        Transport.Transport,
        wire.transport
      )))
      assert.deepStrictEqual(
        error.reason._tag === "InvalidConfiguration" ? error.reason.issues.map(({ path }) => path).sort() : [],
        ["compression", "pageSize"]
      )
      assert.include(error.message, "compression: protocol v5 has no Snappy: set the compression to lz4 or none")
      assert.strictEqual(wire.dials(), 0)
    }))

  it.effect("a version that the servers do not speak ends in one error that names those they do", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 1, transport: "memory" })
      const error = yield* passing(Effect.flip(Effect.scoped(clientOf(cluster, { protocolVersion: 5 }))))
      assert.strictEqual(error.reason._tag, "NoContactPoint")
      assert.include(error.message, "the server speaks protocol v3, v4")
    }))
})

const tooBusy = { _tag: "Error", error: new ServerError.Overloaded({ code: 0x1001, message: "too busy" }) } as const

describe("a cluster whose nodes speak different versions", () => {
  const mixed = Effect.gen(function*() {
    let oldNode = false
    const cluster = yield* SimulatedCluster.make({
      nodes: 3,
      shards: 2,
      transport: "memory",
      product: "cassandra",
      supported: (supported) => oldNode ? supported.set("PROTOCOL_VERSIONS", ["3/v3", "4/v4"]) : supported
    })
    const wire = tap(cluster.transport)
    const cql = yield* passing(clientOf(cluster, {}, wire.transport))
    yield* passing(cql.awaitConnected)
    yield* keyspace(cql, "ks")
    yield* passing(cql.execute("CREATE TABLE ks.t (id uuid PRIMARY KEY, v int)"))
    // Node 1 comes back as one that was not upgraded yet.
    yield* cluster.stop(1)
    yield* settle
    oldNode = true
    yield* cluster.start(1)
    yield* passing(cql.awaitConnected)
    oldNode = false
    return { cluster, cql, wire }
  })

  it.effect("new columns that a node without metadata ids has shown are learned with their id from the others", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* mixed
      yield* passing(cql.execute("INSERT INTO ks.t (id, v) VALUES (5a5a5a5a-0000-4000-8000-000000000001, 1)"))
      const select = yield* passing(cql.prepare("SELECT * FROM ks.t"))
      for (let i = 0; i < 6; i++) yield* passing(cql.execute(select))
      const before = select.known
      const other = yield* passing(clientOf(cluster))
      yield* passing(other.awaitConnected)
      yield* passing(other.execute("ALTER TABLE ks.t ADD w text"))
      const theirs = yield* passing(other.prepare("SELECT * FROM ks.t"))
      for (let i = 0; i < 6; i++) yield* passing(other.execute(theirs))
      // Node 1 answers first, with the new columns and without an id.
      yield* cluster.intercept(({ node, opcode }) =>
        opcode === Frame.Opcode.EXECUTE && node !== 1 ? tooBusy : undefined
      )
      assert.deepStrictEqual(Object.keys((yield* passing(cql.execute(select))).rows[0]!), ["id", "v", "w"])
      assert.strictEqual(select.known, before)
      yield* cluster.intercept(({ node, opcode }) =>
        opcode === Frame.Opcode.EXECUTE && node === 1 ? tooBusy : undefined
      )
      for (let i = 0; i < 4; i++) {
        assert.deepStrictEqual(Object.keys((yield* passing(cql.execute(select))).rows[0]!), ["id", "v", "w"])
      }
      assert.deepStrictEqual(select.known?.id, theirs.known?.id)
      assert.notDeepEqual(select.known?.id, before?.id)
    }))

  it.effect("each request is written for its connection, and anew for the next one", () =>
    Effect.gen(function*() {
      const { cluster, cql, wire } = yield* mixed
      const { address } = cluster.nodes[1]!
      assert.deepStrictEqual(
        [...new Set(wire.startups.map((startup) => `${startup.version} ${startup.address === address}`))].sort(),
        ["4 true", "5 false", "5 true"]
      )

      const insert = yield* passing(cql.prepare(INSERT))
      const select = yield* passing(cql.prepare(SELECT))
      /** By node: whether EXECUTE named result metadata, as v5 does and v4 here does not. */
      const named = new Map<number, Set<boolean>>()
      const seen = new Set<string>()
      yield* cluster.intercept(({ node, opcode, request }) => {
        if (opcode !== Frame.Opcode.EXECUTE || request._tag !== "Execute") return undefined
        named.set(node, (named.get(node) ?? new Set()).add(request.resultMetadataId !== undefined))
        const key = `${request.id} ${request.values?.values?.[0]?.toString()}`
        if (seen.has(key)) return undefined
        // Refused once: it goes on to a node that may speak the other version.
        seen.add(key)
        return tooBusy
      })
      const ids = Array.from({ length: 120 }, (_, i) => new Uuid.Uuid(i, i, i, i))
      yield* passing(
        Effect.forEach(ids, (id, v) => cql.execute(insert, [id, v], { idempotent: true }), { concurrency: 8 })
      )
      const rows = yield* passing(
        Effect.forEach(ids, (id) => cql.execute(select, [id]), { concurrency: 8 })
      )
      assert.deepStrictEqual(rows.map((result) => result.rows), ids.map((id, v) => [{ id, v }]))
      assert.strictEqual(seen.size, 2 * ids.length)
      assert.deepStrictEqual([...named.keys()].sort(), [0, 1, 2])
      assert.deepStrictEqual([...named.get(1)!], [false])
      assert.deepStrictEqual([...named.get(0)!, ...named.get(2)!], [true, true])
    }))
})

describe("what a version does not have", () => {
  it.effect("v3 has no Unset: a typed error, nothing is sent", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1 }, { protocolVersion: 3 })
      const insert = yield* passing(cql.prepare(INSERT))
      const id = Uuid.random()
      yield* passing(cql.execute(insert, [id, null]))
      yield* cluster.resetStats
      const error = yield* Effect.flip(cql.execute(insert, [id, Value.Unset]))
      assert.strictEqual(error.reason._tag, "EncodeError")
      assert.strictEqual(error.outcome, "NotSent")
      assert.include(error.message, "v: Unset needs protocol v4, and the connection speaks v3")
      assert.strictEqual((yield* cluster.stats).requests, 0)
      // Nothing of it was left on the connection.
      assert.deepStrictEqual((yield* passing(cql.execute(SELECT, [id]))).rows, [{ id, v: null }])
    }))

  for (const protocolVersion of [3, 4] as const) {
    it.effect(`v${protocolVersion} has neither a keyspace nor a time of a single request`, () =>
      Effect.gen(function*() {
        const { cluster, cql } = yield* world({ nodes: 1, product: "cassandra" }, { protocolVersion })
        const insert = yield* passing(cql.prepare(INSERT))
        yield* cluster.resetStats
        const failing = (effect: Effect.Effect<unknown, CqlError.CqlError>) => passing(Effect.flip(effect))
        for (
          const error of [
            yield* failing(cql.execute("TRUNCATE t", [], { keyspace: "ks" })),
            yield* failing(cql.execute("DELETE FROM t WHERE id = ?", [Uuid.random()], { keyspace: "ks" })),
            yield* failing(cql.prepare("SELECT * FROM t", { keyspace: "ks" })),
            yield* failing(cql.execute(insert, [Uuid.random(), 1], { nowInSeconds: 1 })),
            yield* failing(cql.execute("TRUNCATE ks.t", [], { nowInSeconds: 1 }))
          ]
        ) {
          assert.strictEqual(error.reason._tag, "EncodeError")
          assert.strictEqual(error.outcome, error.statement?.startsWith("SELECT") ? undefined : "NotSent")
          assert.include(error.message, `needs protocol v5, and the connection speaks v${protocolVersion}`)
        }
        const { byOpcode, requests } = yield* cluster.stats
        assert.strictEqual(requests, 0)
        assert.isUndefined(byOpcode["PREPARE"])
      }))
  }
})

describe("v5", () => {
  it.effect("a statement is in the keyspace that it is given, prepared or not", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 2, shards: 2, transport: "memory", product: "cassandra" })
      const cql = yield* passing(clientOf(cluster))
      yield* passing(cql.awaitConnected)
      for (const name of ["one", "two"]) {
        yield* keyspace(cql, name)
        yield* passing(cql.execute(`CREATE TABLE ${name}.t (id int PRIMARY KEY, v text)`))
        // The same text, another statement: each is prepared for its keyspace.
        yield* passing(cql.execute("INSERT INTO t (id, v) VALUES (?, ?)", [1, `of ${name}`], { keyspace: name }))
      }
      for (const name of ["one", "two"]) {
        const rows = [{ v: `of ${name}` }]
        assert.deepStrictEqual((yield* passing(cql.execute("SELECT v FROM t", [], { keyspace: name }))).rows, rows)
        assert.deepStrictEqual(yield* passing(cql`SELECT v FROM t WHERE id = ${1}`.with({ keyspace: name })), rows)
        const select = yield* passing(cql.prepare("SELECT v FROM t WHERE id = ?", { keyspace: name }))
        assert.strictEqual(select.givenKeyspace, name)
        assert.deepStrictEqual((yield* passing(cql.execute(select, [1]))).rows, rows)
        assert.deepStrictEqual((yield* passing(cql.execute(select, [1], { keyspace: name }))).rows, rows)
        const other = yield* Effect.flip(cql.execute(select, [1], { keyspace: "three" }))
        assert.strictEqual(other.reason._tag, "InvalidStatement")
        assert.include(
          other.message,
          `prepared for ${name} and cannot be executed in three: give the keyspace to \`prepare\``
        )
      }
      // A node that has forgotten it is taught it in its keyspace.
      const select = yield* passing(cql.prepare("SELECT v FROM t WHERE id = ?", { keyspace: "two" }))
      for (const node of [0, 1]) {
        yield* cluster.stop(node)
        yield* settle
        yield* cluster.start(node)
        yield* passing(cql.awaitConnected)
      }
      for (let i = 0; i < 4; i++) {
        assert.deepStrictEqual((yield* passing(cql.execute(select, [1]))).rows, [{ v: "of two" }])
      }
    }))

  it.effect("a request has the time that it is given", () =>
    Effect.gen(function*() {
      const { cql } = yield* world({ nodes: 2, product: "cassandra" })
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?) USING TTL 100"))
      const id = Uuid.random()
      yield* passing(cql.execute(insert, [id, 1], { nowInSeconds: 1_000_000 }))
      const at = (nowInSeconds: number) =>
        Effect.map(passing(cql.execute("SELECT v FROM ks.t WHERE id = ?", [id], { nowInSeconds })), ({ rows }) => rows)
      assert.deepStrictEqual(yield* at(1_000_099), [{ v: 1 }])
      assert.deepStrictEqual(yield* at(1_000_101), [])
      const wrong = yield* Effect.flip(cql.execute(insert, [id, 1], { nowInSeconds: 1.5 }))
      assert.strictEqual(wrong.reason._tag, "EncodeError")
      assert.include(wrong.message, "expected whole seconds in 32 bits")
    }))
})
