/** What a load did, step by step, and what was said of it: all that the checker knows besides the final state. */
import type { CqlError } from "@effect-scylla/driver"

/**
 * What a place holds, as numbers.
 *
 * - `counter`: one number, which every change makes larger by one. No row is 0.
 * - `list`: ids that were appended, of which none may be there twice.
 * - `rows`: ids of the rows of a partition, each written once, in ascending order.
 * - `register`: the id of the last write, of writes that one worker makes one after the other with growing ids. Or nothing.
 * - `chain`: an id that only a condition on the id before replaces. The first one is 0.
 * - `claim`: the id of the one write that found nothing there. Or nothing.
 */
export type Kind = "counter" | "list" | "rows" | "register" | "chain" | "claim"

export interface Place {
  readonly kind: Kind
  readonly key: string
}

/** What a write does to a place. */
export interface Change {
  readonly place: Place
  /** No other change of the place has it. */
  readonly id: number
  /** Of a chain: the id that it has to find. */
  readonly from?: number | undefined
}

/** What was found in a place. */
export interface Look {
  readonly place: Place
  readonly seen: ReadonlyArray<number>
}

export type End =
  /** `applied` is false only of a conditional write that was refused by its condition. */
  | { readonly _tag: "Answered"; readonly applied: boolean }
  | {
    readonly _tag: "Failed"
    readonly reason: string
    readonly outcome: CqlError.Outcome | undefined
    readonly message: string
    /** Whether any attempt was given to a socket. */
    readonly wasSent: boolean
  }
  /** The caller went away, or was told nothing of it. */
  | { readonly _tag: "Interrupted" }
  | { readonly _tag: "Died"; readonly message: string }

/** One request as its caller saw it. */
export interface Entry {
  readonly number: number
  readonly name: string
  /** Nothing, of a read. */
  readonly changes: ReadonlyArray<Change>
  /** All of its changes are there in the end, or none. */
  readonly isWhole: boolean
  readonly begun: number
  /** `Infinity` while it is under way. */
  ended: number
  end: End | undefined
  looks: ReadonlyArray<Look>
  /** Rows that belong to somebody else. */
  strangers: ReadonlyArray<string>
  /** Calls that went on after their time. */
  delays: ReadonlyArray<string>
}

export class Ledger {
  readonly entries: Array<Entry> = []
  /** Of whatever happens: each is later than the one before. */
  private moment = 0
  private lastId = 0

  nextId(): number {
    return ++this.lastId
  }

  begin(name: string, changes: ReadonlyArray<Change> = [], isWhole = false): Entry {
    const entry: Entry = {
      number: this.entries.length,
      name,
      changes,
      isWhole,
      begun: ++this.moment,
      ended: Infinity,
      end: undefined,
      looks: [],
      strangers: [],
      delays: []
    }
    this.entries.push(entry)
    return entry
  }

  end(entry: Entry, end: End): void {
    entry.end = end
    entry.ended = ++this.moment
  }

  /** Every place that was to be changed or was looked at, once. */
  get places(): ReadonlyArray<Place> {
    const found = new Map<string, Place>()
    for (const { changes, looks } of this.entries) {
      for (const { place } of [...changes, ...looks]) found.set(nameOf(place), place)
    }
    return [...found.values()]
  }
}

export const nameOf = ({ key, kind }: Place): string => `${kind} ${key}`
