import * as RaftHistory from "@effect-scylla/testkit/RaftHistory"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "../../../test/support/random.ts"

type Op = RaftHistory.Operation
const put = (value: string | undefined): Op => ({ _tag: "Put", value })
const got = (value: string | undefined): Op => ({ _tag: "Get", value })
const cas = (expected: string | undefined, value: string, succeeded = true): Op => ({
  _tag: "CompareAndSwap",
  expected,
  value,
  succeeded
})
const at = (start: number, end: number | undefined, operation: Op): RaftHistory.Entry => ({
  key: "k",
  operation,
  start,
  end
})
const isLinearizable = (...entries: ReadonlyArray<RaftHistory.Entry>): boolean =>
  RaftHistory.check(entries).length === 0

describe("RaftHistory", () => {
  it("accepts what happened in order", () => {
    assert.isTrue(isLinearizable(at(0, 1, got(undefined)), at(2, 3, put("a")), at(4, 5, got("a"))))
    assert.isTrue(
      isLinearizable(at(0, 1, cas(undefined, "a")), at(2, 3, cas("x", "b", false)), at(4, 5, cas("a", "c")))
    )
  })

  it("finds stale reads, lost writes and reads that go back", () => {
    assert.isFalse(isLinearizable(at(0, 1, put("a")), at(2, 3, put("b")), at(4, 5, got("a"))))
    assert.isFalse(isLinearizable(at(0, 1, put("a")), at(2, 3, got(undefined))))
    assert.isFalse(isLinearizable(at(0, 9, put("a")), at(1, 2, got("a")), at(3, 4, got(undefined))))
    assert.isFalse(isLinearizable(at(0, 1, put("a")), at(2, 3, cas("a", "b", false))))
    assert.isFalse(isLinearizable(at(0, 1, put("a")), at(2, 5, cas("a", "b")), at(2, 5, cas("a", "c"))))
  })

  it("lets operations that overlap come in any order", () => {
    assert.isTrue(isLinearizable(at(0, 9, put("a")), at(1, 9, put("b")), at(10, 11, got("a"))))
    assert.isTrue(isLinearizable(at(0, 9, put("a")), at(1, 2, got(undefined)), at(3, 4, got("a"))))
  })

  it("lets what nobody knows happen at any time after its start, or never, but once", () => {
    assert.isTrue(isLinearizable(at(0, undefined, put("a")), at(5, 6, got(undefined)), at(50, 51, got("a"))))
    assert.isTrue(isLinearizable(at(0, undefined, put("a")), at(5, 6, got(undefined))))
    assert.isFalse(isLinearizable(at(0, 1, got("a")), at(2, undefined, put("a"))))
    // Applied twice: that is what a client does which sends again what may have been applied.
    assert.isFalse(isLinearizable(
      at(0, undefined, put("a")),
      at(1, 2, got("a")),
      at(3, 4, put("b")),
      at(5, 6, got("b")),
      at(7, 8, got("a"))
    ))
    assert.isTrue(isLinearizable(at(0, 1, put("a")), at(2, undefined, cas("a", "b")), at(5, 6, cas("a", "c", false))))
  })

  it("says which key, and shows it", () => {
    const history = [at(0, 1, put("a")), at(2, 3, got("b")), { ...at(0, 1, put("z")), key: "other" }]
    const [violation, ...others] = RaftHistory.check(history)
    assert.lengthOf(others, 0)
    assert.strictEqual(violation?.key, "k")
    assert.include(RaftHistory.render(violation!), "2.00 to 3.00  got b")
  })

  it("agrees with histories that were made from an order, and not when one read of them is spoilt", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const source = new Random(seed)
      const next = () => source.u32() / 2 ** 32
      let state: string | undefined
      const entries: Array<RaftHistory.Entry> = []
      for (let i = 0; i < 60; i++) {
        const moment = i * 10
        const start = moment - next() * 40
        const unknown = next() < 0.1
        const end = unknown ? undefined : moment + next() * 40
        const kind = next()
        if (kind < 0.4) entries.push(at(start, moment + next() * 40, got(state)))
        else if (kind < 0.7) {
          // Of the unknown ones half have happened.
          if (!unknown || next() < 0.5) state = `v${i}`
          entries.push(at(start, end, put(`v${i}`)))
        } else {
          const expected = next() < 0.7 ? state : "never"
          const succeeded = expected === state
          if (succeeded) state = `v${i}`
          entries.push(at(start, end, cas(expected, `v${i}`, succeeded)))
        }
      }
      assert.isTrue(isLinearizable(...entries), `seed ${seed}`)
      const spoilt = entries.findIndex(({ operation }) => operation._tag === "Get")
      if (spoilt < 0) continue
      entries[spoilt] = { ...entries[spoilt]!, operation: got("from nowhere") }
      assert.isFalse(isLinearizable(...entries), `seed ${seed}, spoilt`)
    }
  })
})
