import type { Place } from "@effect-scylla/pool/Admission"
import type { Connection } from "@effect-scylla/pool/Connection"
import type { Attempt, Outcome } from "../CqlError.ts"
import type { Resolved } from "../ExecuteOptions.ts"
import type { Node } from "../Snapshot.ts"
import type { Plan } from "./plan.ts"

const SEVERITY: ReadonlyArray<Outcome | undefined> = [undefined, "NotSent", "Rejected", "Ambiguous"]

/** The graver of two outcomes: what more may have happened. */
export const graver = (a: Outcome | undefined, b: Outcome | undefined): Outcome | undefined =>
  SEVERITY.indexOf(b) > SEVERITY.indexOf(a) ? b : a

/** What a request has been through. */
export class History {
  readonly attempts: Array<Attempt> = []
  /** Nodes that are not asked again: of those that race for one answer, the same list. */
  readonly tried: Array<Node>
  sameNode = 0
  nextNode = 0
  /** Repetitions that waited before they were sent. */
  repeats = 0
  /** What a policy of the user's says about where to go. */
  plan: Plan | undefined = undefined
  /** What it was asked with at first, where a policy has chosen another consistency since. */
  first: Resolved | undefined = undefined
  unavailable = 0
  /** It was answered UNPREPARED so often. */
  unprepared = 0
  /** Statements were prepared again so often, and whether because a value did not fit. */
  prepares = 0
  refreshed = false
  /** It was sent to another node so often because the one that had it did not answer in time. */
  moves = 0
  /** The gravest outcome of an attempt. */
  worst: Outcome | undefined = undefined
  /** The next attempt goes to the same connection, as long as that takes requests. */
  again: Connection | undefined = undefined
  node: Node | undefined = undefined
  /** Where it waits for room. */
  place: Place | undefined = undefined

  constructor(tried: Array<Node> = []) {
    this.tried = tried
  }

  /** An attempt came to this. */
  came(outcome: Outcome | undefined): void {
    this.worst = graver(this.worst, outcome)
  }
}
