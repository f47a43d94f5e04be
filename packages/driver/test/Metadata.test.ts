/** What the control connection reads and hears of the cluster, where servers say it in their own ways. */
import type { Connection } from "@effect-scylla/pool"
import { Codec, CqlType, Frame, Reader, type Request, ServerError, Uuid, Writer } from "@effect-scylla/protocol"
import { emptyPage } from "@effect-scylla/protocol/RowDecoder"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import { SamePages } from "../src/internal/samePages.ts"
import * as SystemTables from "../src/internal/systemTables.ts"
import * as Tokens from "../src/internal/tokens.ts"
import { RawTokens } from "../src/internal/tokens.ts"
import { changing } from "./support/changing.ts"
import { clientOf, passing, settle, world } from "./support/world.ts"

const make = (options: SimulatedCluster.Options = {}) =>
  SimulatedCluster.make({ nodes: 2, shards: 1, transport: "memory", ...options })

const cell = (address: string) => Buffer.from([0, 0, 0, 4, ...address.split(".").map(Number)])

/** Where the version of the schema stands in the row of a peer that an answer has. */
const versionOf = (bytes: Buffer, peer: string): number => {
  const at = bytes.indexOf(Buffer.concat([cell(peer), cell(peer), Buffer.from([0, 0, 0, 16])]))
  return at < 0 || bytes.includes("data_center") ? -1 : at + 20
}

const query = (request: Request.Request): string => request._tag === "Query" ? request.query : ""

let keyspaces = 0
const createKeyspace = () =>
  `CREATE KEYSPACE k${++keyspaces} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`

/** Where the version of the schema stands in what a node says of itself. */
const ownVersion = (bytes: Buffer): number =>
  bytes.includes("schema_version") && !bytes.includes("peer") && !bytes.includes("data_center") ? bytes.length - 16 : -1

/** Several frames may come together. */
const framesOf = (bytes: Buffer): ReadonlyArray<Buffer> => {
  const frames: Array<Buffer> = []
  for (let start = 0; start + 9 <= bytes.length;) {
    const end = start + 9 + bytes.readUInt32BE(start + 5)
    frames.push(bytes.subarray(start, end))
    start = end
  }
  return frames
}

/**
 * A client of a cluster of which one node has another schema: others say so as long as they have `heard` of it, and it
 * itself as long as it `says` so.
 */
const disagreeing = Effect.fnUntraced(function*(peer: string, options: SimulatedCluster.Options = {}) {
  const cluster = yield* make(options)
  const state = { heard: true, says: true }
  const cql = yield* passing(clientOf(
    cluster,
    { contactPoints: [cluster.contactPoints[0]!] },
    changing(cluster.transport, (all, address) => {
      for (const bytes of framesOf(all)) {
        const heard = state.heard ? versionOf(bytes, peer) : -1
        const at = heard < 0 && state.says && address === peer ? ownVersion(bytes) : heard
        if (at >= 0) bytes[at] = bytes[at]! ^ 0xff
      }
    })
  ))
  yield* passing(cql.awaitConnected)
  return { cluster, cql, state }
})

describe("a change of the schema", () => {
  it.effect("is over when the nodes agree on it", () =>
    Effect.gen(function*() {
      const { cql, state } = yield* disagreeing("127.0.0.2")
      const change = yield* Effect.forkChild(cql.execute(createKeyspace()), { startImmediately: true })
      for (let i = 0; i < 30; i++) yield* TestClock.adjust("100 millis")
      assert.isUndefined(change.pollUnsafe(), "it is waited for")
      state.says = false
      for (let i = 0; i < 4; i++) yield* TestClock.adjust("100 millis")
      assert.isDefined(change.pollUnsafe(), "it is over, though its peers have not heard of it yet")
      yield* Fiber.join(change)
    }))

  it.effect("tells who has another one when they do not agree in time, and lets others ask", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const { cluster, cql, state } = yield* disagreeing("127.0.0.2")
      const changed = yield* Effect.provide(passing(cql.execute(createKeyspace())), Logger.layer([logger]))
      assert.strictEqual(changed.schemaAgreement?.agreed, false)
      // Seen from the node that made the change, which may be the one that is alone with its version.
      const [other, ...more] = changed.schemaAgreement!.others
      assert.deepStrictEqual(more, [])
      assert.isDefined(changed.schemaAgreement?.version)
      assert.include(
        lines,
        `the nodes did not agree on the schema within 10 seconds: ${other!.address}:${cluster.port} has another one`
      )
      // Within the request's time, too.
      const short = yield* passing(cql.execute(createKeyspace(), [], { timeout: "2 seconds" }))
      assert.strictEqual(short.schemaAgreement?.agreed, false)
      const asked = yield* passing(cql.schemaAgreement({ timeout: "8 seconds" }))
      assert.strictEqual(asked.others.length, 1)
      state.says = false
      assert.deepStrictEqual((yield* passing(cql.schemaAgreement())).others, [])
      const agreed = yield* passing(cql.execute(createKeyspace()))
      assert.strictEqual(agreed.schemaAgreement?.agreed, true)
      assert.isUndefined((yield* passing(cql.execute("SELECT key FROM system.local"))).schemaAgreement)
    }))

  it.effect("is not waited for where nobody wants to", () =>
    Effect.gen(function*() {
      const { cluster } = yield* disagreeing("127.0.0.2")
      const cql = yield* passing(clientOf(cluster, { schemaAgreementTimeout: false }))
      const begun = yield* Clock.currentTimeMillis
      const changed = yield* passing(cql.execute(createKeyspace()))
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 1_000)
      assert.isUndefined(changed.schemaAgreement)
    }))

  it.effect.each(
    [
      { _tag: "Error", error: new ServerError.Overloaded({ message: "not now", code: 0x1001 }) },
      { _tag: "Ignore" }
    ] as const
  )("is over when all have heard of it from a node that does not answer: $_tag", (refusal) =>
    Effect.gen(function*() {
      const { cluster, cql, state } = yield* disagreeing("127.0.0.2")
      let asked = 0
      let coordinator = -1
      yield* cluster.intercept(({ node, request }) => {
        const text = query(request)
        if (text.startsWith("CREATE")) coordinator = node
        if (node !== 1 || coordinator === 1 || !text.startsWith("SELECT schema_version FROM system.local")) {
          return undefined
        }
        asked++
        return refusal
      })
      // They go round: the next one is made on the node that answers.
      state.heard = state.says = false
      while (coordinator !== 1) yield* passing(cql.execute(createKeyspace()))
      state.heard = true
      const made = yield* Effect.forkChild(cql.execute(createKeyspace()), { startImmediately: true })
      for (let i = 0; i < 10; i++) yield* TestClock.adjust("100 millis")
      assert.strictEqual(coordinator, 0)
      assert.isAbove(asked, 0)
      assert.isUndefined(made.pollUnsafe(), "what was heard of it counts")
      state.heard = false
      // A round of gossip, and the next look.
      for (let i = 0; i < 14; i++) yield* TestClock.adjust("100 millis")
      assert.isDefined(made.pollUnsafe(), "it is over")
      yield* Fiber.join(made)
    }))

  it.effect("is over after 10 seconds anyway: it was made", () =>
    Effect.gen(function*() {
      const { cql } = yield* disagreeing("127.0.0.2")
      const change = yield* Effect.forkChild(cql.execute(createKeyspace()), { startImmediately: true })
      for (let i = 0; i < 95; i++) yield* TestClock.adjust("100 millis")
      assert.isUndefined(change.pollUnsafe())
      for (let i = 0; i < 10; i++) yield* TestClock.adjust("100 millis")
      yield* Fiber.join(change)
    }))

  it.effect("waits for nobody who is said to be down, though there is no connection to see it", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* disagreeing("127.0.0.2", {
        datacenters: [{ name: "here", nodes: 1 }, { name: "there", nodes: 1 }]
      })
      const run = Effect.fnUntraced(function*(change: string) {
        yield* cluster.announce({ type: "STATUS_CHANGE", change, address: "127.0.0.2" })
        yield* settle
        const fiber = yield* Effect.forkChild(cql.execute(createKeyspace()), { startImmediately: true })
        for (let i = 0; i < 10; i++) yield* TestClock.adjust("100 millis")
        const isOver = fiber.pollUnsafe() !== undefined
        yield* passing(Fiber.join(fiber))
        return isOver
      })
      assert.isTrue(yield* run("DOWN"))
      assert.isFalse(yield* run("UP"))
    }))

  it.effect("is asked after where it was made", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 3, shards: 1 })
      const made: Array<number> = []
      const asked: Array<number> = []
      yield* cluster.intercept(({ node, request }) => {
        if (query(request).startsWith("CREATE")) made.push(node)
        if (query(request).startsWith("SELECT schema_version FROM system.local")) asked.push(node)
        return undefined
      })
      for (let i = 0; i < 3; i++) {
        // What the control connection looks after is asked later.
        asked.length = 0
        yield* passing(cql.execute(createKeyspace()))
        assert.strictEqual(asked[0], made.at(-1))
      }
      assert.deepStrictEqual([...made].sort(), [0, 1, 2])
    }))
})

describe("events", () => {
  it.effect("may name a node by the address that its peers know", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const transport = changing(cluster.transport, (bytes) => {
        // The key of a row in system.peers comes first.
        const at = bytes.includes("data_center") ? bytes.indexOf(cell("127.0.0.2")) : -1
        if (at >= 0) cell("10.0.0.2").copy(bytes, at)
      })
      const cql = yield* passing(clientOf(cluster, { contactPoints: [cluster.contactPoints[0]!] }, transport))
      yield* passing(cql.awaitConnected)
      assert.deepStrictEqual(cql.cluster().nodes.map(({ address, peer }) => [address, peer]), [
        ["127.0.0.1", "127.0.0.1"],
        ["127.0.0.2", "10.0.0.2"]
      ])
      let asked = 0
      yield* cluster.intercept(({ node, opcode }) => {
        if (node === 1 && opcode === Frame.Opcode.OPTIONS) asked++
        return undefined
      })
      yield* cluster.announce({ type: "STATUS_CHANGE", change: "DOWN", address: "10.0.0.2" })
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(asked, 1)
    }))

  it.effect("come over a contact point that is left when all known local nodes are gone", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ datacenters: [{ name: "east", nodes: 1 }, { name: "west", nodes: 1 }] })
      const cql = yield* passing(clientOf(cluster, { localDatacenter: "east" }))
      yield* passing(cql.awaitConnected)
      const registered: Array<number> = []
      yield* cluster.intercept(({ node, opcode }) => {
        if (opcode === Frame.Opcode.REGISTER) registered.push(node)
        return undefined
      })
      yield* cluster.stop(0)
      for (let i = 0; i < 50 && registered.length === 0; i++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(registered, [1])
      yield* cluster.start(0)
      yield* passing(cql.awaitConnected)
      yield* passing(cql.execute(createKeyspace()))
    }))
})

describe("system tables", () => {
  const texts = CqlType.set(CqlType.scalar("text"))
  const tokensOf = (...tokens: ReadonlyArray<string>) => new RawTokens(Codec.encode(texts, new Set(tokens))!)
  const row = (address: string, rpc: string | null, more: object = {}) => ({
    host_id: `host of ${address}`,
    data_center: "dc1",
    rack: "r1",
    peer: address,
    broadcast_address: address,
    rpc_address: rpc,
    tokens: tokensOf("1", "-5"),
    release_version: "5.0.5",
    schema_version: "v",
    ...more
  })

  /** A connection that answers one query after the other. */
  const answering = (...answers: ReadonlyArray<ReadonlyArray<object>>) => {
    const left = [...answers]
    return {
      features: { isScylla: false },
      request: () => Effect.succeed({ response: { _tag: "Rows", rows: left.shift() ?? [] } })
    } as unknown as Connection.Connection
  }

  it.effect("a node that listens everywhere is reached at the address that was dialled, or that its peers know", () =>
    Effect.gen(function*() {
      for (const everywhere of ["0.0.0.0", "::", null]) {
        const connection = answering([row("10.0.0.1", everywhere)], [
          row("10.0.0.2", everywhere),
          row("10.0.0.3", "9.0.0.3")
        ])
        const { nodes } = yield* new SystemTables.TopologyReader().read(connection, "127.0.0.1")
        assert.deepStrictEqual(nodes.map(({ address }) => address), ["127.0.0.1", "10.0.0.2", "9.0.0.3"])
      }
    }))

  it.effect("rows that are not whole, or of the asked node itself, are left out", () =>
    Effect.gen(function*() {
      const connection = answering([row("10.0.0.1", "10.0.0.1")], [
        row("10.0.0.2", "10.0.0.2", { host_id: null }),
        row("10.0.0.3", "10.0.0.3", { data_center: null }),
        row("10.0.0.4", "10.0.0.4", { host_id: "host of 10.0.0.1" }),
        row("10.0.0.5", "10.0.0.5", { tokens: null })
      ])
      const { nodes, skipped } = yield* new SystemTables.TopologyReader().read(connection, "10.0.0.1")
      assert.deepStrictEqual(nodes.map(({ address }) => address), ["10.0.0.1", "10.0.0.5"])
      assert.deepStrictEqual(nodes.map(({ tokens }) => tokens.tokens), [[1n, -5n], []])
      assert.strictEqual(skipped.length, 3)
    }))

  /** What a node answers, as bytes that the driver's decoder reads. */
  const page = (...versions: ReadonlyArray<string>): Buffer => {
    const w = new Writer.Writer()
    w.i32(1)
    w.i32(2)
    for (const name of ["ks", "t", "v", "tokens"]) {
      w.string(name)
      if (name === "v") w.u16(0x000d)
    }
    w.u16(0x0022)
    w.u16(0x000d)
    w.i32(versions.length)
    for (const version of versions) {
      w.bytesValue(Buffer.from(version))
      w.bytesValue(Codec.encode(texts, new Set(["1", "2"])))
    }
    return Buffer.from(w.toUint8Array())
  }

  it("that come byte for byte as the last time are the same rows; others are not, nor are those of a buffer that is used again", () => {
    const codecOf = (type: CqlType.CqlType) => type._tag === "Set" ? Tokens.codec : undefined
    const pages = new SamePages({ codecOf })
    // One buffer, as a connection has.
    const buffer = Buffer.alloc(1_000)
    const read = (bytes: Buffer) => {
      buffer.fill(0xff)
      bytes.copy(buffer, 7)
      const reader = new Reader.Reader(
        buffer,
        new DataView(buffer.buffer, buffer.byteOffset, buffer.length),
        7,
        7 + bytes.length
      )
      const out = emptyPage()
      const rows = pages.read(reader, undefined, out)
      assert.strictEqual(reader.remaining, 0)
      assert.isNull(out.pagingState)
      assert.deepStrictEqual(out.decoder?.columns.map(({ name }) => name), ["v", "tokens"])
      return rows
    }
    const first = read(page("a", "b"))
    assert.strictEqual(read(page("a", "b")), first)
    const other = read(page("a", "c"))
    assert.notStrictEqual(other, first)
    assert.notStrictEqual(read(page("a")), other)
    read(page("x", "y"))
    assert.deepStrictEqual([first, other].map((rows) => rows.map((row) => row["v"])), [["a", "b"], ["a", "c"]])
    const raw = first[1]!["tokens"] as RawTokens
    const known = raw.read(true, undefined)
    assert.deepStrictEqual(known.tokens, [1n, 2n])
    // The same list, of other bytes: those of the page before need not stay for it.
    const again = (other[1]!["tokens"] as RawTokens).read(true, known)
    assert.strictEqual(again.tokens, known.tokens)
    assert.notStrictEqual(again.raw, raw)
  })

  it.effect("in which nothing is new are the same topology, and are looked at by the filter all the same", () =>
    Effect.gen(function*() {
      let refused: string | undefined
      const { cluster, cql } = yield* world({ shards: 1 }, {
        refreshInterval: "10 seconds",
        hostFilter: ({ address }) => address !== refused
      })
      const before = cql.cluster()
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(cql.cluster(), before)
      refused = cluster.nodes[1]!.address
      yield* TestClock.adjust("30 seconds")
      const left = cql.cluster().nodes.filter(({ pool }) => pool === undefined).map(({ address }) => address)
      assert.deepStrictEqual(left, [refused])
    }))

  it.effect("are read with a time limit that ScyllaDB is told", () =>
    Effect.gen(function*() {
      for (const product of ["scylla", "cassandra"] as const) {
        const cluster = yield* make({ product })
        const asked: Array<string> = []
        yield* cluster.intercept(({ request }) => {
          // The pools' own question, who it is that answered, is bounded by the handshake.
          if (/system\.peers|system_schema/.test(query(request))) asked.push(query(request))
          return undefined
        })
        yield* passing(clientOf(cluster))
        assert.isAtLeast(asked.length, 2)
        const limited = asked.filter((text) => text.endsWith(" USING TIMEOUT 5000ms"))
        assert.strictEqual(limited.length, product === "scylla" ? asked.length : 0)
        assert.strictEqual(asked.some((text) => text.includes("scylla_keyspaces")), product === "scylla")
      }
    }))

  it.effect("a ScyllaDB without tablets has no table of them", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      yield* cluster.intercept(({ request }) =>
        query(request).includes("scylla_keyspaces")
          ? {
            _tag: "Error",
            error: new ServerError.InvalidRequest({ code: 0x2200, message: "unconfigured table scylla_keyspaces" })
          }
          : undefined
      )
      const cql = yield* passing(clientOf(cluster))
      assert.isAtLeast(cql.cluster().keyspaces.size, 1)
      for (const keyspace of cql.cluster().keyspaces.values()) assert.isFalse(keyspace.hasTablets)
    }))
})

describe("timestamps", () => {
  it.effect("of writes grow, however many are written at the same moment", () =>
    Effect.gen(function*() {
      const { cluster, cql } = yield* world({ nodes: 1, shards: 1 })
      const insert = yield* passing(cql.prepare("INSERT INTO ks.t (id, v) VALUES (?, ?)"))
      const seen: Array<bigint> = []
      yield* cluster.intercept(({ request }) => {
        if (request._tag === "Execute" && request.options.timestamp !== undefined) seen.push(request.options.timestamp)
        return undefined
      })
      const all = Effect.forEach(Array.from({ length: 50 }, (_, i) => i), (i) =>
        cql.execute(insert, [Uuid.random(), i]), {
        concurrency: "unbounded"
      })
      yield* passing(all)
      yield* passing(all)
      assert.strictEqual(seen.length, 100)
      assert.isTrue(
        seen.every((timestamp, i) =>
          i === 0 || timestamp > seen[i - 1]!
        ),
        String(seen)
      )
    }))
})
