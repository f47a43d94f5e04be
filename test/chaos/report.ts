/** What came of a run. */
import { Data } from "effect"
import type { Violation } from "./checker.ts"
import type { Entry } from "./ledger.ts"

/** What the client said is not so. */
export class Broken extends Data.TaggedError("Broken")<{
  /** The seed, and what the cluster and the client were like. */
  readonly where: string
  readonly violations: ReadonlyArray<Violation>
}> {
  override get message(): string {
    const { violations, where } = this
    const shown = violations.slice(0, 8).map(({ kind, what }) => `  ${kind}: ${what}`)
    const more = violations.length > shown.length ? `\n  and ${violations.length - shown.length} more` : ""
    return `${where}:\n${shown.join("\n")}${more}`
  }
}

export interface Report {
  readonly ends: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
  /** Why requests failed. */
  readonly reasons: Readonly<Record<string, number>>
  readonly entries: ReadonlyArray<Entry>
}

export const count = (names: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

const endOf = ({ changes, end }: Entry): string => {
  if (end === undefined) return "unsettled"
  switch (end._tag) {
    case "Answered":
      return end.applied ? "answered" : "not applied"
    case "Failed":
      return changes.length === 0 ? "failed reads" : String(end.outcome)
    case "Interrupted":
      return "interrupted"
    case "Died":
      return "defects"
  }
}

export const reportOf = (entries: ReadonlyArray<Entry>, faults: ReadonlyArray<string>): Report => ({
  ends: count(entries.map(endOf)),
  faults: count(faults),
  reasons: count(entries.flatMap(({ end }) => end?._tag === "Failed" ? [end.reason] : [])),
  entries
})
