/**
 * What `found.test.ts` shows to be wrong, and what comes up in so many seeds that it would hide everything else. Nothing is left of this
 * file once the driver is mended.
 */
import type { Violation } from "./checker.ts"

/**
 * The event loop is held up by a PREPARE that no node is left for; a write that had to be prepared and found the client closed has no
 * outcome; the third node that has forgotten a statement ends its request.
 */
export const isKnown = ({ kind, what }: Violation): boolean =>
  (kind === "Died" && what.includes("the event loop is held up") && what.includes("preparedCache.ts")) ||
  (kind === "Outcome" && what.includes("(no outcome, ClientClosed)")) ||
  (kind === "Reason" && what.includes(", Unprepared)"))
