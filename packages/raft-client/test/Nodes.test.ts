import { assert, describe, it } from "@effect/vitest"
import { Nodes } from "../src/internal/nodes.ts"
import type { Channel, Transport } from "../src/Transport.ts"

const member = (id: number, voter = true) => ({ id: String(id), address: `n${id}:1`, voter })

const make = (bootstrap: ReadonlyArray<string>) => {
  const opened: Array<string> = []
  const closed: Array<string> = []
  const transport: Transport = {
    open: (address) => {
      opened.push(address)
      return { isReady: () => true, close: () => void closed.push(address) } as unknown as Channel
    }
  }
  return { nodes: new Nodes(transport, {}, bootstrap), opened, closed }
}

describe("Nodes", () => {
  it("keeps who stays, closes who goes when its last call has ended", () => {
    const { closed, nodes, opened } = make(["n1:1"])
    nodes.setMembers([member(1), member(2), member(3)])
    nodes.get("n3:1").inFlight = 1
    const gone = nodes.get("n3:1")
    nodes.setMembers([member(1), member(4)])
    assert.deepStrictEqual(opened, ["n1:1", "n2:1", "n3:1", "n4:1"])
    assert.deepStrictEqual(closed, ["n2:1"])
    gone.inFlight = 0
    gone.release()
    assert.deepStrictEqual(closed, ["n2:1", "n3:1"])
    assert.isUndefined(nodes.find("n3:1"))
    assert.notStrictEqual(nodes.get("n3:1"), gone)
  })

  it("knows the addresses that were given and the members, without learners", () => {
    const { nodes } = make(["lb:1", "n3:1"])
    nodes.setMembers([member(1), member(2), member(3, false)])
    assert.deepStrictEqual(nodes.known, ["lb:1", "n1:1", "n2:1"])
    nodes.setBootstrap(["n2:1"])
    assert.deepStrictEqual(nodes.known, ["n2:1", "n1:1"])
    assert.isUndefined(nodes.find("lb:1"))
  })

  it("spreads reads over the usable, the others last", () => {
    const { nodes } = make([])
    nodes.setMembers([member(1), member(2), member(3), member(4, false)])
    const order = (learners: boolean, sticky: boolean) =>
      nodes.readers(learners, sticky, ({ address }) => address !== "n2:1").map(({ address }) => address).join()
    assert.deepStrictEqual([order(false, false), order(false, false), order(false, false)], [
      "n1:1,n3:1,n2:1",
      "n3:1,n1:1,n2:1",
      "n3:1,n1:1,n2:1"
    ])
    assert.strictEqual(order(false, true), order(false, true))
    assert.include(order(true, false), "n4:1")
  })

  it("puts no more than 90 streams on a connection, and calls on none of them", () => {
    const { closed, nodes, opened } = make([])
    const node = nodes.get("n1:1")
    const slots = Array.from({ length: 181 }, () => node.streamSlot())
    assert.lengthOf(opened, 4)
    assert.strictEqual(new Set(slots.map(({ channel }) => channel)).size, 3)
    assert.notInclude(slots.map(({ channel }) => channel), node.channel)
    for (const slot of slots) slot.release()
    // One stays for the next.
    assert.lengthOf(closed, 2)
    node.streamSlot()
    assert.lengthOf(opened, 4)
    nodes.close()
    assert.lengthOf(closed, 4)
  })

  it("gives a node that stopped answering a new connection, and lets the calls on the old one end", () => {
    const { closed, nodes, opened } = make([])
    const node = nodes.get("n1:1")
    const before = node.channel
    node.recycle()
    assert.notStrictEqual(node.channel, before)
    assert.deepStrictEqual([opened.length, closed.length], [2, 1])
    node.close()
    node.recycle()
    assert.deepStrictEqual([opened.length, closed.length], [2, 2])
  })
})
