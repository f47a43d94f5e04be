import { Snapshot } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"

const node = (name: string, datacenter: string, tokens: ReadonlyArray<bigint>): Snapshot.Node => ({
  hostId: name,
  address: name,
  rpcAddress: name,
  peer: name,
  port: 9042,
  datacenter,
  rack: "rack1",
  tokens,
  releaseVersion: "",
  isLocal: datacenter === "here",
  pool: undefined
})

const nodes = [
  node("a", "here", [-100n, 50n]),
  node("b", "there", [-50n]),
  node("c", "here", [0n]),
  node("d", "here", [100n])
]
const network = (here: number, there: number) => ({
  class: "org.apache.cassandra.locator.NetworkTopologyStrategy",
  here: String(here),
  there: String(there)
})
const make = (rows: ReadonlyArray<Snapshot.KeyspaceRow>): Snapshot.Snapshot => Snapshot.make("c", "here", nodes, rows)
const names = (replicas: ReadonlyArray<Snapshot.Node>): ReadonlyArray<string> => replicas.map((node) => node.hostId)

describe("Snapshot", () => {
  it("replicas are the local ones, in the order of the ring, the primary first", () => {
    const { keyspaces, ring } = make([{ name: "ks", replication: network(2, 1), hasTablets: false }])
    assert.strictEqual(ring.size, 5)
    // Segments end at -100 (a), -50 (b), 0 (c), 50 (a), 100 (d).
    const { replicas } = keyspaces.get("ks")!
    assert.deepStrictEqual(Array.from({ length: replicas!.size }, (_, i) => names(replicas!.of(i))), [
      ["a", "c"],
      ["c", "a"],
      ["c", "a"],
      ["a", "d"],
      ["d", "a"]
    ])
  })

  it("keyspaces of equal replication share their replicas", () => {
    const { keyspaces } = make([
      { name: "one", replication: network(2, 1), hasTablets: false },
      { name: "two", replication: network(2, 1), hasTablets: false },
      { name: "three", replication: network(1, 1), hasTablets: false }
    ])
    assert.strictEqual(keyspaces.get("one")!.replicas, keyspaces.get("two")!.replicas)
    assert.notStrictEqual(keyspaces.get("one")!.replicas, keyspaces.get("three")!.replicas)
  })

  it("a keyspace on tablets, or of a strategy that is not known, has no replicas to route to", () => {
    const { keyspaces } = make([
      { name: "tablets", replication: network(2, 1), hasTablets: true },
      { name: "vnodes", replication: network(2, 1), hasTablets: false },
      { name: "local", replication: { class: "LocalStrategy" }, hasTablets: false },
      { name: "own", replication: { class: "com.example.Strategy" }, hasTablets: false }
    ])
    for (const name of ["tablets", "local", "own"]) assert.isUndefined(keyspaces.get(name)!.replicas, name)
    assert.isDefined(keyspaces.get("vnodes")!.replicas)
  })

  it("a cluster without tokens still has its nodes", () => {
    const empty = Snapshot.make("c", "here", [node("a", "here", [])], [
      { name: "ks", replication: network(1, 0), hasTablets: false }
    ])
    assert.deepStrictEqual(names(empty.local), ["a"])
    assert.strictEqual(empty.keyspaces.get("ks")!.replicas!.size, 0)
    assert.deepStrictEqual(empty.keyspaces.get("ks")!.replicas!.of(-1), [])
  })
})
