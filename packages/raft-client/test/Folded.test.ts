import type { WatchEvent } from "@effect-scylla/raft-client"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "../../../test/support/random.ts"
import { Folded } from "../src/internal/folded.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)

const put = (key: string, value: string, revision: number) =>
  ({ _tag: "Put", key: bytes(key), value: bytes(value), revision: BigInt(revision) }) as const
const del = (key: string, revision: number) =>
  ({ _tag: "Delete", key: bytes(key), revision: BigInt(revision) }) as const
const scan = (state: Record<string, string>, revision: number) => ({
  entries: Object.entries(state).map(([key, value]) => ({ key: bytes(key), value: bytes(value), revision: undefined })),
  revision: BigInt(revision)
})

const collector = () => {
  const told: Array<string> = []
  const emit = (event: WatchEvent.WatchEvent): void => {
    if (event._tag === "Put") told.push(`${text(event.key)}=${text(event.value)}@${event.revision}`)
    if (event._tag === "Delete") told.push(`-${text(event.key)}@${event.revision}`)
  }
  return { told, emit }
}

describe("Folded", () => {
  it("drops what it has told, but tells all changes of one revision in one message", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([put("a", "1", 5), put("b", "1", 5)], emit)
    folded.apply([put("a", "x", 5), put("a", "y", 4), put("a", "2", 6)], emit)
    assert.deepStrictEqual(told, ["a=1@5", "b=1@5", "a=2@6"])
  })

  it("a message in parts is one: revisions in two parts, and those told before it", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([put("a", "1", 5)], emit)
    folded.apply([put("a", "old", 4), put("b", "1", 6), put("c", "1", 7)], emit, true)
    assert.strictEqual(folded.mark, 6n, "of revision 7 there may be more")
    folded.apply([put("d", "1", 7), put("b", "2", 8)], emit, true)
    folded.apply([put("e", "1", 8)], emit)
    assert.strictEqual(folded.mark, 8n)
    assert.deepStrictEqual(told, ["a=1@5", "b=1@6", "c=1@7", "d=1@7", "b=2@8", "e=1@8"])
  })

  it("a message of which parts are missing comes again on the next stream, and is told once", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([put("a", "1", 5), put("b", "1", 6), del("a", 7), put("b", "2", 7)], emit, true)
    folded.interrupted()
    folded.apply([del("a", 7), put("b", "2", 7), put("c", "1", 7)], emit)
    assert.deepStrictEqual(told, ["a=1@5", "b=1@6", "-a@7", "b=2@7", "c=1@7"])
  })

  it("after servers went back, changes count by the revisions they have now", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([put("a", "1", 30), put("b", "1", 31)], emit)
    const back = { entries: [{ key: bytes("a"), value: bytes("1"), revision: 2n }], revision: 3n }
    folded.merge(back, 3n, [], true, emit)
    assert.deepStrictEqual(told.splice(0), ["a=1@30", "b=1@31", "-b@3"])
    // The same value at the revision that it had before is another write of it.
    folded.apply([put("a", "1", 30)], emit)
    assert.deepStrictEqual(told, ["a=1@30"])
  })

  it("a deletion of what is not there tells nothing", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([del("a", 1), put("a", "1", 2), del("a", 3), del("a", 4)], emit)
    assert.deepStrictEqual(told, ["a=1@2", "-a@3"])
  })

  it("a first scan tells the state; what the stream said since goes before the scan for its keys", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    // The scan certainly saw revision 10; it says it is of 12, and has missed the change of 11.
    folded.merge(scan({ b: "old", a: "1" }, 12), 10n, [put("a", "0", 9), put("b", "new", 11)], true, emit)
    assert.deepStrictEqual(told, ["a=1@12", "b=new@11"])
    folded.apply([put("b", "new", 11), put("b", "2", 13)], emit)
    assert.deepStrictEqual(told.slice(2), ["b=2@13"])
  })

  it("what a scan was quicker to tell than the stream is told once", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([put("old", "1", 5)], emit)
    told.length = 0
    // The scan has certainly seen 10 and is of 12 at most; the stream has not come to 11 and 12 yet.
    folded.merge(scan({ a: "1", b: "1", old: "1" }, 12), 10n, [], true, emit)
    assert.deepStrictEqual(told.splice(0), ["a=1@12", "b=1@12"])
    folded.apply([put("a", "1", 11), put("b", "2", 12), put("old", "1", 12)], emit)
    assert.deepStrictEqual(told.splice(0), ["b=2@12"])
    // Written again, with the same value.
    folded.apply([put("a", "1", 13)], emit)
    assert.deepStrictEqual(told, ["a=1@13"])
  })

  it("what the old stream has told is not told by the new one, though the scan did not count it yet", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([put("a", "1", 100)], emit)
    told.length = 0
    folded.merge(scan({ a: "1" }, 101), 98n, [put("a", "1", 100), put("b", "1", 101)], true, emit)
    assert.deepStrictEqual(told.splice(0), ["b=1@101"])
    folded.apply([put("a", "1", 102)], emit)
    assert.deepStrictEqual(told, ["a=1@102"])
  })

  it("a new stream tells the difference only, and its revisions may be lower", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.apply([put("a", "1", 100), put("b", "1", 101), put("c", "1", 102)], emit)
    told.length = 0
    folded.merge(scan({ a: "1", b: "2", d: "1" }, 7), 7n, [], true, emit)
    assert.deepStrictEqual(told, ["b=2@7", "-c@7", "d=1@7"])
    folded.apply([put("a", "2", 8)], emit)
    assert.deepStrictEqual(told.slice(3), ["a=2@8"])
  })

  it("a comparison corrects what was lost and leaves alone what is newer than the scan", () => {
    const folded = new Folded()
    const { emit, told } = collector()
    folded.merge(scan({ a: "1", b: "1", c: "1" }, 5), 5n, [], true, emit)
    folded.apply([put("b", "2", 9), del("c", 10)], emit)
    told.length = 0
    // Certainly seen: 8. The scan has neither 9 nor 10; a change of a was lost.
    folded.merge(scan({ a: "lost", b: "1", c: "1" }, 8), 8n, [], false, emit)
    assert.deepStrictEqual(told, ["a=lost@8"])
    folded.merge(scan({ a: "lost", b: "2" }, 12), 12n, [put("a", "3", 13)], false, emit)
    assert.deepStrictEqual(told, ["a=lost@8", "a=3@13"])
  })

  it("ends with the state of the server, whatever is lost, repeated and resumed on the way", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed)
      const server = new Map<string, string>()
      const mine = new Map<string, string>()
      const folded = new Folded()
      const emit = (event: WatchEvent.WatchEvent): void => {
        if (event._tag === "Put") mine.set(text(event.key), text(event.value))
        if (event._tag === "Delete") {
          assert.strictEqual(mine.get(text(event.key)), text(event.previous))
          mine.delete(text(event.key))
        }
      }
      let revision = 0
      let log: Array<ReturnType<typeof put> | ReturnType<typeof del>> = []
      const change = (): void => {
        const key = `k${random.below(6)}`
        revision++
        if (random.below(3) === 0) {
          server.delete(key)
          log.push(del(key, revision))
        } else {
          server.set(key, `v${revision}`)
          log.push(put(key, `v${revision}`, revision))
        }
      }
      folded.merge(scan({}, 0), 0n, [], true, emit)
      for (let i = 0; i < 60; i++) {
        for (let n = random.below(4); n > 0; n--) change()
        const lossy = random.below(5) === 0
        folded.apply(lossy ? log.filter(() => random.below(2) === 0) : log, emit)
        if (random.below(4) === 0) folded.apply(log, emit)
        log = []
        if (!lossy) continue
        // What happens while the scan runs is on the stream, and perhaps in the scan.
        const low = BigInt(revision)
        for (let n = random.below(3); n > 0; n--) change()
        const scanned = scan(Object.fromEntries(server), revision)
        const fresh = random.below(2) === 0
        folded.merge(scanned, low, log, fresh, emit)
        log = []
      }
      folded.merge(scan(Object.fromEntries(server), revision), BigInt(revision), [], false, emit)
      assert.deepStrictEqual(Object.fromEntries(mine), Object.fromEntries(server), `seed ${seed}`)
    }
  })
})
