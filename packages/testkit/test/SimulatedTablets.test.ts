/** Tablets of the simulator: as recorded from ScyllaDB 6.0.4 on three nodes of two shards, and what tests do with them. */
import { Features, TabletRouting } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { golden } from "../../../test/fixtures/vectors.ts"
import { connect, decode, parseFrame, payloadOf, type RawClient, type RawFrame, rowsOf } from "./rawClient.ts"

const OPTIONS = { nodes: 3, shards: 2, transport: "memory" } as const
const V1 = { TABLETS_ROUTING_V1: "" }
const V2 = { [Features.TABLETS_V2]: "" }
const CREATE = [
  "CREATE KEYSPACE tab WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 2} " +
  "AND tablets = {'enabled': true, 'initial': 8}",
  "CREATE TABLE tab.t (pk int, ck int, v text, PRIMARY KEY (pk, ck))"
]
const SELECT = "SELECT * FROM tab.t WHERE pk = ?"
const INSERT = "INSERT INTO tab.t (pk, ck, v) VALUES (?, ?, ?)"
const UPDATE = "UPDATE tab.t SET v = ? WHERE pk = ? AND ck = ? IF v = ?"

const int = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const text = (value: string): Uint8Array => Buffer.from(value)

const setUp = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  statements: ReadonlyArray<string> = CREATE
) {
  const client = yield* connect("127.0.0.1", 9042, cluster.transport)
  yield* client.startup()
  for (const query of statements) assert.notStrictEqual((yield* client.query(query))._tag, "Error", query)
  return client
})

let dials = 0

/** A connection to a shard of a node, from a local port of its own. */
const at = Effect.fnUntraced(function*(
  cluster: SimulatedCluster.SimulatedCluster,
  node: number,
  shard: number,
  options: Record<string, string> = V1
) {
  const client = yield* connect(
    `127.0.0.${node + 1}`,
    19_042,
    cluster.transport,
    50_000 + 2 * (dials++ % 5_000) + shard
  )
  assert.strictEqual((yield* client.startup(options))._tag, "Ready")
  return client
})

/** Prepares and executes; answers the frame. */
const execute = Effect.fnUntraced(function*(
  client: RawClient,
  query: string,
  values: ReadonlyArray<Uint8Array>,
  tabletBlock?: number
) {
  const prepared = yield* client.request({ _tag: "Prepare", query })
  if (prepared._tag !== "Prepared") return assert.fail(query)
  const frame: RawFrame = yield* client.ask({
    _tag: "Execute",
    id: prepared.id,
    values: { values },
    options: { consistency: "ONE" },
    tabletBlock
  })
  return frame
})

const told = (frame: RawFrame) => TabletRouting.fromPayload(payloadOf(frame))

describe("tablets recorded from ScyllaDB 6.0.4", () => {
  it.effect("the same requests at the same shards get the same payloads, or none", () =>
    Effect.gen(function*() {
      const frames = golden("cql-v4-scylla-6.0.4-tablets")
      const rows = (name: string) =>
        rowsOf(decode(parseFrame(Buffer.from(frames.find((frame) => frame.name === name)!.response!, "hex"))))
      // The recorded nodes, by their addresses from 127.0.0.2 on.
      const hosts = [...rows("host-id-127.0.0.2"), ...rows("host-ids-peers")]
        .map((row) => ({ address: String(row["peer"] ?? "127.0.0.2"), hostId: String(row["host_id"]) }))
        .sort((a, b) => (a.address < b.address ? -1 : 1))
        .map(({ hostId }) => hostId)
      assert.strictEqual(hosts.length, 3)

      const cluster = yield* SimulatedCluster.make(OPTIONS)
      yield* setUp(cluster)
      for (const row of rows("system-tablets").filter((row) => row["keyspace_name"] === "tab")) {
        const replicas = (row["replicas"] as ReadonlyArray<readonly [unknown, number]>)
          .map(([host, shard]) => ({ node: hosts.indexOf(String(host)), shard }))
        yield* cluster.moveTablet("tab.t", row["last_token"] as bigint, replicas)
      }
      assert.strictEqual(cluster.tablets("tab.t").length, 8)

      /** The recorded payload with the host ids of the simulated nodes. */
      const here = (payload: string): string =>
        hosts.reduce(
          (hex, host, index) =>
            hex.replaceAll(
              host.replaceAll("-", ""),
              Buffer.from(cluster.nodes[index]!.hostId.toBytes()).toString("hex")
            ),
          payload
        )
      let compared = 0
      let payloads = 0
      for (const { name, response } of frames) {
        const match = /^tablet-(read|write)-pk(\d+)-at-127\.0\.0\.(\d)-shard(\d)$/.exec(name)
        if (match === null) continue
        const client = yield* at(cluster, Number(match[3]) - 2, Number(match[4]))
        const pk = int(Number(match[2]))
        const frame = match[1] === "read"
          ? yield* execute(client, SELECT, [pk])
          : yield* execute(client, INSERT, [pk, int(1), text("x")])
        const hex = (from: RawFrame): string | undefined => {
          const bytes = payloadOf(from)?.get(TabletRouting.Keys.V1)
          return bytes === undefined || bytes === null ? undefined : Buffer.from(bytes).toString("hex")
        }
        const recorded = hex(parseFrame(Buffer.from(response!, "hex")))
        assert.strictEqual(hex(frame), recorded === undefined ? undefined : here(recorded), name)
        compared++
        if (recorded !== undefined) payloads++
      }
      assert.strictEqual(compared, 54)
      assert.isAbove(payloads, 30)
    }))
})

describe("tablets", () => {
  it.effect("are told to whoever asked for them, and only where a single key was bound", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      yield* setUp(cluster)
      const [tablet] = cluster.tablets("tab.t")
      const elsewhere = [0, 1, 2].find((node) => !tablet!.replicas.some((replica) => replica.node === node))!
      // Of all 8 keys those of the first tablet are asked on a node that has none of it.
      const client = yield* at(cluster, elsewhere, 0)
      const frames: Array<RawFrame> = []
      for (let key = 0; key < 32; key++) frames.push(yield* execute(client, SELECT, [int(key)]))
      const first = frames.find((frame) => told(frame)?.first === tablet!.first)!
      assert.deepStrictEqual(
        told(first)?.replicas,
        tablet!.replicas.map(({ node, shard }) => ({ host: cluster.nodes[node]!.hostId.toString(), shard }))
      )
      const silent = yield* at(cluster, elsewhere, 0, {})
      for (let key = 0; key < 32; key++) {
        assert.isUndefined(payloadOf(yield* execute(silent, SELECT, [int(key)])))
        const literal = yield* client.ask({
          _tag: "Query",
          query: `SELECT * FROM tab.t WHERE pk = ${key}`,
          options: { consistency: "ONE" }
        })
        assert.isUndefined(payloadOf(literal))
      }
    }))

  it.effect("requests are owned where the tablet says, and nowhere else", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      yield* setUp(cluster)
      yield* cluster.resetStats
      for (let node = 0; node < 3; node++) {
        for (let shard = 0; shard < 2; shard++) {
          const client = yield* at(cluster, node, shard)
          for (let key = 0; key < 8; key++) yield* execute(client, SELECT, [int(key)])
        }
      }
      const { byTable } = yield* cluster.stats
      // Each key is on two of the six shards.
      assert.deepStrictEqual(byTable["tab.t"], { requests: 48, owned: 16, misrouted: 32, unrouted: 0 })
    }))

  it.effect("v2: the version tells, wherever the request arrives", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ ...OPTIONS, tabletVersions: true })
      yield* setUp(cluster)
      const client = yield* at(cluster, 0, 0, V2)
      let version: bigint | undefined
      // A wrong block is told the tablet: at most one of the 16 is right.
      for (let block = 0; block < 2; block++) version ??= told(yield* execute(client, SELECT, [int(1)], block))?.version
      if (version === undefined) return assert.fail("no version was told")
      for (let index = 0; index < 16; index++) {
        const nibble = Number((version >> BigInt(index * 4)) & 15n)
        const right = yield* execute(client, SELECT, [int(1)], (index << 4) | nibble)
        assert.isUndefined(payloadOf(right))
        const wrong = yield* execute(client, SELECT, [int(1)], (index << 4) | (nibble ^ 1))
        assert.strictEqual(told(wrong)?.version, version)
      }
      const { replicas } = cluster.tablets("tab.t")[0]!
      // Conditional statements are told nothing.
      const conditional = yield* execute(client, UPDATE, [text("a"), int(1), int(1), text("b")], 0)
      assert.isUndefined(payloadOf(conditional))
      for (const { first } of cluster.tablets("tab.t")) {
        yield* cluster.moveTablet("tab.t", first + 1n, replicas.slice(0, 1))
      }
      let other: bigint | undefined
      for (let block = 0; block < 2; block++) {
        other ??= told(yield* execute(client, SELECT, [int(1)], block))?.version
      }
      assert.notStrictEqual(other, version)
    }))

  it.effect("v2 may be asked for by the name that it had as an experiment", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ ...OPTIONS, tabletVersions: true })
      yield* setUp(cluster)
      const client = yield* at(cluster, 0, 0, { [Features.TABLETS_V2_EXPERIMENTAL]: "" })
      const frames = [yield* execute(client, SELECT, [int(1)], 0), yield* execute(client, SELECT, [int(1)], 1)]
      assert.isTrue(frames.some((frame) => told(frame)?.version !== undefined))
    }))

  it.effect("by default, on demand, or not", () =>
    Effect.gen(function*() {
      const network = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}"
      const simple = "{'class': 'SimpleStrategy', 'replication_factor': 3}"
      const statements = [
        `CREATE KEYSPACE plain WITH replication = ${network}`,
        `CREATE KEYSPACE simple WITH replication = ${simple}`,
        `CREATE KEYSPACE without WITH replication = ${network} AND tablets = {'enabled': false}`,
        `CREATE KEYSPACE with WITH replication = ${network} AND tablets = {'initial': 5}`
      ]
      const tabletsOf = (options: SimulatedCluster.Options) =>
        Effect.gen(function*() {
          const cluster = yield* SimulatedCluster.make({ ...OPTIONS, ...options })
          const client = yield* setUp(
            cluster,
            statements.map((text) => text.replace("KEYSPACE with ", "KEYSPACE having "))
          )
          const rows = rowsOf(
            yield* client.query("SELECT keyspace_name, initial_tablets FROM system_schema.scylla_keyspaces")
          )
          return Object.fromEntries(rows.map((row) => [row["keyspace_name"], row["initial_tablets"]]))
        })
      assert.deepStrictEqual(yield* tabletsOf({}), { having: 5 })
      assert.deepStrictEqual(yield* tabletsOf({ tablets: true }), { having: 5, plain: 0 })
    }))

  it.effect("a node that leaves is in no tablet and no ring any more", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* setUp(cluster)
      yield* cluster.remove(2)
      for (const { replicas } of cluster.tablets("tab.t")) {
        assert.deepStrictEqual(replicas.map(({ node }) => node).sort(), [0, 1])
      }
      assert.strictEqual(rowsOf(yield* client.query("SELECT peer FROM system.peers")).length, 1)
      const error = yield* Effect.flip(cluster.start(2))
      assert.strictEqual(error.reason, "NoSuchNode")
    }))

  it.effect("a node that moves is found at its new address, and nowhere else", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      const client = yield* setUp(cluster)
      yield* cluster.relocate(2, "127.0.0.9")
      const peers = rowsOf(yield* client.query("SELECT rpc_address FROM system.peers"))
      assert.deepStrictEqual(peers.map((row) => String(row["rpc_address"])).sort(), ["127.0.0.2", "127.0.0.9"])
      const there = yield* connect("127.0.0.9", 9042, cluster.transport)
      assert.strictEqual((yield* there.startup())._tag, "Ready")
      assert.strictEqual((yield* Effect.flip(cluster.relocate(0, "127.0.0.2"))).reason, "BadOptions")
      const gone = yield* Effect.flip(connect("127.0.0.3", 9042, cluster.transport))
      assert.strictEqual(gone._tag, "DialError")
    }))

  it.effect("split and merge under load: rows are found, and payloads tell of the tablets as they are", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      yield* setUp(cluster)
      const client = yield* at(cluster, 0, 0)
      /** Rows that are found; the ranges of tokens that answers name are those of tablets. */
      const load = Effect.fnUntraced(function*(from: number) {
        const ranges = new Set<string>()
        let found = 0
        for (let pk = from; pk < from + 40; pk++) {
          yield* execute(client, INSERT, [int(pk), int(1), text("v")])
          const frame = yield* execute(client, SELECT, [int(pk)])
          found += rowsOf(decode(frame)).length
          const tablet = told(frame)
          if (tablet !== undefined) ranges.add(`${tablet.first} ${tablet.last}`)
        }
        const known = new Set(cluster.tablets("tab.t").map(({ first, last }) => `${first} ${last}`))
        assert.isTrue([...ranges].every((range) => known.has(range)), [...ranges].join(", "))
        // Of a single tablet the node that is asked has all.
        if (known.size > 1) assert.isAbove(ranges.size, 0)
        return found
      })
      assert.strictEqual(yield* load(0), 40)
      const before = cluster.tablets("tab.t")
      yield* cluster.resizeTablets("tab.t", "split")
      const after = cluster.tablets("tab.t")
      assert.strictEqual(after.length, 16)
      assert.deepStrictEqual(after.map(({ first }) => first).slice(1), after.map(({ last }) => last).slice(0, -1))
      assert.deepStrictEqual(
        after.map(({ replicas }) => replicas),
        before.flatMap(({ replicas }) => [replicas, replicas])
      )
      assert.strictEqual(yield* load(40), 40)
      yield* cluster.resizeTablets("tab.t", "merge")
      assert.deepStrictEqual(cluster.tablets("tab.t"), before)
      yield* cluster.resizeTablets("tab.t", "merge")
      assert.strictEqual(yield* load(80), 40)
      assert.deepStrictEqual(
        cluster.tablets("tab.t").map(({ replicas }) => replicas),
        before.filter((_, i) => i % 2 === 0).map(({ replicas }) => replicas)
      )
      for (let i = 0; i < 2; i++) yield* cluster.resizeTablets("tab.t", "merge")
      const error = yield* Effect.flip(cluster.resizeTablets("tab.t", "merge"))
      assert.strictEqual(error.message, "tab.t has 1 tablets, too few or too many to merge")
      assert.strictEqual(yield* load(0), 40)
    }))

  it.effect("a move that cannot be is refused", () =>
    Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make(OPTIONS)
      yield* setUp(cluster)
      const reason = (table: string, node: number, shard: number) =>
        Effect.map(Effect.flip(cluster.moveTablet(table, 0n, [{ node, shard }])), ({ reason }) => reason)
      assert.strictEqual(yield* reason("tab.nothing", 0, 0), "BadOptions")
      assert.strictEqual(yield* reason("tab.t", 0, 2), "BadOptions")
      assert.strictEqual(yield* reason("tab.t", 3, 0), "NoSuchNode")
    }))
})
