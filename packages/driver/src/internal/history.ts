import type { Place } from "@effect-scylla/pool/Admission"
import type { Connection } from "@effect-scylla/pool/Connection"
import type { Attempt, Outcome } from "../CqlError.ts"
import type { Node } from "../Snapshot.ts"

const SEVERITY: ReadonlyArray<Outcome | undefined> = [undefined, "NotSent", "Rejected", "Ambiguous"]

/** What a request has been through. */
export class History {
  readonly attempts: Array<Attempt> = []
  /** Nodes that are not asked again. */
  readonly tried: Array<Node> = []
  sameNode = 0
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

  /** An attempt came to this. */
  came(outcome: Outcome | undefined): void {
    if (SEVERITY.indexOf(outcome) > SEVERITY.indexOf(this.worst)) this.worst = outcome
  }
}
