/** The checker on ledgers made by hand: each kind of violation is seen, and what may be is left alone. */
import { assert, describe, it } from "@effect/vitest"
import { check, type Violation } from "./checker.ts"
import { type Change, type End, type Entry, type Kind, Ledger, type Look, type Place } from "./ledger.ts"

const done: End = { _tag: "Answered", applied: true }
const notApplied: End = { _tag: "Answered", applied: false }
const failed = (
  outcome: "NotSent" | "Rejected" | "Ambiguous" | undefined,
  reason = "ConnectionLost",
  wasSent = true
): End => ({ _tag: "Failed", outcome, reason, message: "by hand", wasSent })
const ambiguous = failed("Ambiguous")

/** A ledger of one place, told step by step. */
class Story {
  readonly ledger = new Ledger()
  readonly place: Place

  constructor(kind: Kind) {
    this.place = { kind, key: "k" }
  }

  /** A write from its beginning to its end. */
  write(id: number, end: End | undefined, from?: number): Entry {
    const entry = this.ledger.begin("write", [this.change(id, from)])
    if (end !== undefined) this.ledger.end(entry, end)
    return entry
  }

  change(id: number, from?: number, key = "k"): Change {
    return { place: { ...this.place, key }, id, from }
  }

  read(...seen: ReadonlyArray<number>): Entry {
    const entry = this.ledger.begin("read")
    entry.looks = [this.look(seen)]
    this.ledger.end(entry, done)
    return entry
  }

  look(seen: ReadonlyArray<number>, key = "k"): Look {
    return { place: { ...this.place, key }, seen }
  }

  /** The kinds of violations where the place holds this in the end. */
  ends(...seen: ReadonlyArray<number>): ReadonlyArray<Violation["kind"]> {
    return check(this.ledger.entries, [this.look(seen)]).map(({ kind }) => kind)
  }
}

describe("a request", () => {
  const of = (changes: ReadonlyArray<Change>, end: End | undefined): ReadonlyArray<Violation["kind"]> => {
    const story = new Story("list")
    const entry = story.ledger.begin("request", changes)
    if (end !== undefined) story.ledger.end(entry, end)
    return story.ends()
  }
  const change: Change = { place: { kind: "list", key: "k" }, id: 1 }

  it("that never ends, or ends in a defect, is a violation", () => {
    assert.deepStrictEqual(of([], undefined), ["Unsettled"])
    assert.deepStrictEqual(of([change], { _tag: "Died", message: "bug" }), ["Died"])
    assert.deepStrictEqual(of([change], { _tag: "Interrupted" }), [])
  })

  it("that fails has an outcome if it is a write, and only then", () => {
    assert.deepStrictEqual(of([change], failed(undefined)), ["Outcome"])
    assert.deepStrictEqual(of([], ambiguous), ["Outcome"])
    assert.deepStrictEqual(of([], failed(undefined)), [])
    assert.deepStrictEqual(of([change], failed("Rejected")), [])
    assert.deepStrictEqual(of([change], failed("Ambiguous", "RequestTimeout", false)), ["Outcome"])
  })

  it("does not fail for what no fault does", () => {
    assert.deepStrictEqual(of([change], failed("Rejected", "CqlSyntaxError")), ["Reason"])
    assert.deepStrictEqual(of([], failed(undefined, "StatementChanged")), ["Reason"])
  })

  it("ends when its time is over", () => {
    const story = new Story("list")
    story.read().delays = ["2000 ms, and had 1000"]
    assert.deepStrictEqual(story.ends(), ["Late"])
  })

  it("does not get rows of others", () => {
    const story = new Story("list")
    story.read().strangers = ["another's row"]
    assert.deepStrictEqual(story.ends(), ["Foreign"])
  })

  it("has an end to be held against", () => {
    const story = new Story("list")
    story.write(1, done)
    assert.deepStrictEqual(check(story.ledger.entries, []).map(({ kind }) => kind), ["Lost"])
  })
})

describe("a counter", () => {
  const story = (): Story => {
    const story = new Story("counter")
    story.write(1, done)
    story.write(2, ambiguous)
    story.write(3, failed("NotSent"))
    return story
  }

  it("has all that was acknowledged, and perhaps what is ambiguous", () => {
    assert.deepStrictEqual(story().ends(1), [])
    assert.deepStrictEqual(story().ends(2), [])
    assert.deepStrictEqual(story().ends(), ["Lost"])
    assert.deepStrictEqual(story().ends(0), ["Lost"])
    assert.deepStrictEqual(story().ends(3), ["Twice"])
  })

  it("is read like that on the way", () => {
    const late = story()
    late.read(0)
    late.read(3)
    assert.deepStrictEqual(late.ends(2), ["Lost", "Twice"])
    const meanwhile = new Story("counter")
    const read = meanwhile.ledger.begin("read")
    meanwhile.write(1, done)
    read.looks = [meanwhile.look([0])]
    meanwhile.ledger.end(read, done)
    assert.deepStrictEqual(meanwhile.ends(1), [])
    read.looks = [meanwhile.look([1])]
    assert.deepStrictEqual(meanwhile.ends(1), [])
  })
})

describe("a list", () => {
  const story = (): Story => {
    const story = new Story("list")
    story.write(1, done)
    story.write(2, ambiguous)
    story.write(3, failed("Rejected"))
    return story
  }

  it("has each acknowledged id once", () => {
    assert.deepStrictEqual(story().ends(1), [])
    assert.deepStrictEqual(story().ends(2, 1), [])
    assert.deepStrictEqual(story().ends(), ["Lost"])
    assert.deepStrictEqual(story().ends(1, 1), ["Twice"])
    assert.deepStrictEqual(story().ends(1, 2, 2), ["Twice"])
  })

  it("has none that was refused or never written, nor before it was", () => {
    assert.deepStrictEqual(story().ends(1, 3), ["Refused"])
    assert.deepStrictEqual(story().ends(1, 4), ["Foreign"])
    const early = new Story("list")
    early.read(1)
    early.write(1, done)
    assert.deepStrictEqual(early.ends(1), ["Foreign"])
  })

  it("is read with all that was acknowledged before", () => {
    const late = story()
    late.read(2)
    assert.deepStrictEqual(late.ends(1), ["Lost"])
  })
})

describe("rows of a partition", () => {
  it("come once each, and in their order", () => {
    const story = (...seen: ReadonlyArray<number>): ReadonlyArray<string> => {
      const story = new Story("rows")
      for (const id of [1, 2, 3]) story.write(id, done)
      story.read(...seen)
      return story.ends(1, 2, 3)
    }
    assert.deepStrictEqual(story(1, 2, 3), [])
    assert.deepStrictEqual(story(1, 3), ["Lost"])
    assert.deepStrictEqual(story(1, 2, 2, 3), ["Twice"])
    assert.deepStrictEqual(story(2, 1, 3), ["Disordered"])
    assert.deepStrictEqual(story(1, 2, 3, 4), ["Foreign"])
  })
})

describe("a register", () => {
  it("has the last acknowledged write, or a later one that is ambiguous", () => {
    const story = (...seen: ReadonlyArray<number>): ReadonlyArray<string> => {
      const story = new Story("register")
      story.write(1, ambiguous)
      story.write(2, done)
      story.write(3, ambiguous)
      story.write(4, failed("NotSent"))
      return story.ends(...seen)
    }
    assert.deepStrictEqual(story(2), [])
    assert.deepStrictEqual(story(3), [])
    assert.deepStrictEqual(story(1), ["Lost"])
    assert.deepStrictEqual(story(), ["Lost"])
    assert.deepStrictEqual(story(4), ["Refused"])
    assert.deepStrictEqual(story(9), ["Foreign"])
  })

  it("does not go back to what was there before", () => {
    const story = new Story("register")
    story.write(1, done)
    story.write(2, ambiguous)
    story.read(2)
    story.read(1)
    assert.deepStrictEqual(story.ends(2), ["Lost"])
    assert.deepStrictEqual(story.ends(1), ["Lost", "Lost"])
  })
})

describe("a chain", () => {
  it("holds every swap that was made, and none that was not", () => {
    const story = new Story("chain")
    story.write(1, done, 0)
    story.write(2, ambiguous, 1)
    story.write(3, done, 2)
    story.write(4, ambiguous, 2)
    story.write(5, failed("Rejected"), 3)
    assert.deepStrictEqual(story.ends(3), [])
    assert.deepStrictEqual(story.ends(2), ["Lost"])
    assert.deepStrictEqual(story.ends(4), ["Lost"])
    assert.deepStrictEqual(story.ends(), ["Lost"])
    assert.deepStrictEqual(story.ends(5), ["Refused"])
    assert.deepStrictEqual(story.ends(6), ["Foreign"])
  })

  it("that two made of one is no chain", () => {
    const story = new Story("chain")
    story.write(1, done, 0)
    story.write(2, done, 0)
    assert.include(story.ends(2), "Lost")
    assert.include(story.ends(1), "Lost")
  })

  it("goes in no circles", () => {
    const story = new Story("chain")
    story.write(1, ambiguous, 2)
    story.write(2, ambiguous, 1)
    assert.include(story.ends(2), "Condition")
  })

  it("is read on its way, and never backwards", () => {
    const story = (...seen: ReadonlyArray<number>): ReadonlyArray<string> => {
      const story = new Story("chain")
      story.write(1, done, 0)
      story.write(2, done, 1)
      story.write(3, ambiguous, 2)
      story.read(...seen)
      return story.ends(2)
    }
    assert.deepStrictEqual(story(2), [])
    assert.deepStrictEqual(story(1), ["Lost"])
    assert.deepStrictEqual(story(3), ["Lost"])
  })

  it("does not refuse what found what it wished, nor apply what did not", () => {
    const refused = new Story("chain")
    refused.write(1, notApplied, 0).looks = [refused.look([0])]
    assert.deepStrictEqual(refused.ends(0), ["Condition"])
    const told = new Story("chain")
    told.write(1, done, 0)
    told.write(2, notApplied, 0).looks = [told.look([1])]
    assert.deepStrictEqual(told.ends(1), [])
    assert.include(told.ends(2), "Refused")
  })
})

describe("a claim", () => {
  it("is granted once", () => {
    const story = new Story("claim")
    story.write(1, done)
    story.write(2, notApplied).looks = [story.look([1])]
    story.write(3, ambiguous)
    assert.deepStrictEqual(story.ends(1), [])
    assert.include(story.ends(), "Lost")
    assert.include(story.ends(2), "Refused")
    assert.include(story.ends(3), "Lost")
    story.write(4, done)
    assert.include(story.ends(1), "Condition")
  })

  it("may be that of whom nothing is known, and stays that", () => {
    const story = new Story("claim")
    story.write(1, ambiguous)
    story.write(2, notApplied).looks = [story.look([1])]
    assert.deepStrictEqual(story.ends(1), [])
    story.read(2)
    assert.include(story.ends(1), "Refused")
  })

  it("is not refused where nobody has it", () => {
    const story = new Story("claim")
    story.write(1, notApplied).looks = [story.look([])]
    assert.deepStrictEqual(story.ends(), ["Condition"])
  })

  it("is seen by who looks later", () => {
    const story = new Story("claim")
    story.write(1, done)
    story.read()
    assert.deepStrictEqual(story.ends(1), ["Lost"])
  })
})

describe("a batch that is whole or not at all", () => {
  const batch = (isWhole: boolean, end: End, there: number): ReadonlyArray<string> => {
    const story = new Story("list")
    const keys = ["a", "b", "c"]
    const entry = story.ledger.begin("batch", keys.map((key, id) => story.change(id, undefined, key)), isWhole)
    story.ledger.end(entry, end)
    const final = keys.map((key, id) => story.look(id < there ? [id] : [], key))
    return check(story.ledger.entries, final).map(({ kind }) => kind)
  }

  it("is not there in part", () => {
    assert.deepStrictEqual(batch(true, ambiguous, 0), [])
    assert.deepStrictEqual(batch(true, ambiguous, 3), [])
    assert.deepStrictEqual(batch(true, ambiguous, 2), ["Torn"])
    assert.deepStrictEqual(batch(true, done, 2), ["Lost", "Torn"])
    assert.deepStrictEqual(batch(false, ambiguous, 2), [])
    assert.deepStrictEqual(batch(false, failed("Rejected"), 1), ["Refused"])
  })
})
