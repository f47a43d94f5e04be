import type { Connection } from "@effect-scylla/pool/Connection"
import { ConnectionLost } from "@effect-scylla/pool/PoolError"
import { assert, describe, it } from "@effect/vitest"
import { type Size, SlotTable } from "../src/internal/slotTable.ts"

const LOST = new ConnectionLost({ message: "lost" })

/** What the table looks at. */
const connection = (shard: number, isSilent = false): Connection => {
  const fields = {
    shard,
    isOpen: true,
    isSilent,
    isAvailable: !isSilent,
    isBusy: false,
    load: 0,
    requests: 0,
    inFlight: 0,
    orphans: 0
  }
  return fields as unknown as Connection
}

/** A table of so many shards; what it says becomes of slots. */
const make = (nrShards: number, size?: Size) => {
  const told: Array<string> = []
  const table = new SlotTable(size, (slot, from, to) => void told.push(`${slot} ${from} ${to}`))
  table.reset(nrShards)
  return { table, told }
}

describe("SlotTable", () => {
  it("a connection that is to be replaced gives way to one of its shard in excess, and to no other", () => {
    const { table, told } = make(3)
    const [own, other, spare] = [connection(1), connection(2), connection(1)]
    table.add(own, 0)
    table.add(other, 0)
    table.add(connection(2), 0)
    assert.deepStrictEqual(table.exhaust(own, 0), [])
    assert.strictEqual(table.pick(1, true), own, "it serves until there is another one")
    assert.isTrue(table.needs(1))
    assert.strictEqual(table.add(spare, 0), own)
    assert.strictEqual(table.pick(1, true), spare)
    assert.deepStrictEqual(told.filter((one) => one.startsWith("1")), [
      "1 Idle Ready",
      "1 Ready Draining",
      "1 Draining Ready"
    ])
    const last = connection(1)
    table.add(last, 0)
    assert.strictEqual(table.excess.length, 2)
    assert.deepStrictEqual(table.exhaust(spare, 0), [spare], "at once")
    assert.strictEqual(table.pick(1, true), last)
    assert.strictEqual(table.excess.length, 1)
  })

  it("a connection in excess on which nothing is heard takes nobody's place", () => {
    const { table } = make(2)
    const [own, silent, spare] = [connection(1), connection(1, true), connection(1)]
    for (const one of [own, silent, spare]) table.add(one, 0)
    table.remove(own, LOST, 0)
    assert.strictEqual(table.slots[1], spare)
    assert.deepStrictEqual(table.excess, [silent])
  })

  it("where nothing is heard one slot at a time wants a connection: the first that has none, or one to be replaced", () => {
    const { table } = make(4)
    const all = [0, 1, 2].map((shard) => connection(shard, true))
    for (const one of all) table.add(one, 0)
    const wants = () => [0, 1, 2, 3].filter((slot) => table.needs(slot))
    assert.deepStrictEqual(wants(), [3])
    table.exhaust(all[1]!, 0, true)
    table.exhaust(all[2]!, 0, true)
    assert.deepStrictEqual(wants(), [1])
    // Something is heard: only what was to be replaced for its silence alone need not be.
    table.exhaust(all[2]!, 0)
    for (const one of all) table.restore(Object.assign(one, { isSilent: false, isAvailable: true }))
    assert.deepStrictEqual(wants(), [2, 3])
    assert.deepStrictEqual(table.stats.map(({ state }) => state), ["Ready", "Ready", "Draining", "Idle"])
  })

  it("a slot whose silent connection is heard again is ready, whatever becomes of the dial for it", () => {
    const { table, told } = make(1)
    const own = connection(0)
    table.add(own, 0)
    table.exhaust(own, 0, true)
    table.progress(0, "Dialing")
    table.restore(own)
    table.progress(0, "Handshaking")
    table.add(connection(0), 0)
    assert.strictEqual(table.stateOf(0), "Ready")
    assert.deepStrictEqual(told, [
      "0 Idle Ready",
      "0 Ready Draining",
      "0 Draining Dialing",
      "0 Dialing Ready"
    ])
  })

  it("a connection in excess that is to be replaced itself takes nobody's place", () => {
    const { table } = make(2, { perShard: 1 })
    const [old, own] = [connection(0), connection(0)]
    table.add(old, 0)
    table.outdate()
    table.resize({ perNode: 1 }, 2, 0)
    table.resize({ perShard: 1 }, 2, 0)
    assert.deepStrictEqual(table.excess, [old])
    assert.isTrue(table.isUp, "it serves")
    assert.isFalse(table.isSettled)
    assert.strictEqual(table.next(), old)
    table.add(own, 0)
    table.remove(own, LOST, 5)
    assert.isUndefined(table.slots[0])
    assert.isTrue(table.needs(0))
    assert.deepStrictEqual(table.endOf(0), { lived: 500, reason: LOST })
  })

  it("what is exhausted in excess is closed at once; what is in no slot and not in excess is none of its business", () => {
    const { table } = make(1)
    const [own, spare] = [connection(0), connection(0)]
    table.add(own, 0)
    table.add(spare, 0)
    assert.deepStrictEqual(table.exhaust(spare, 0), [spare])
    assert.deepStrictEqual(table.exhaust(connection(0), 0), [])
    assert.deepStrictEqual(table.excess, [])
    assert.strictEqual(table.slots[0], own)
  })

  it("removal is by identity", () => {
    const { table } = make(1)
    const [own, spare] = [connection(0), connection(0)]
    table.add(own, 0)
    table.add(spare, 0)
    assert.isFalse(table.remove(spare, LOST, 0))
    assert.isFalse(table.remove(spare, LOST, 0))
    assert.strictEqual(table.slots[0], own)
    assert.isTrue(table.remove(own, LOST, 0))
    assert.isUndefined(table.slots[0])
  })

  it("excess is taken from its older end: all, half of it, or what is beyond the bound", () => {
    const { table } = make(1)
    table.add(connection(0), 0)
    const excess = Array.from({ length: 11 }, () => connection(0))
    for (const one of excess) table.add(one, 0)
    assert.deepStrictEqual(table.takeExcess("beyond the bound"), excess.slice(0, 3))
    assert.deepStrictEqual(table.takeExcess("beyond the bound"), [])
    assert.deepStrictEqual(table.takeExcess("older half"), excess.slice(3, 7))
    assert.deepStrictEqual(table.takeExcess("all"), excess.slice(7))
  })
})
