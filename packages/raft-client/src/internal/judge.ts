/** What every adapter makes of answers that no server of its kind has sent, and of bytes that cannot be read. */
import type { Answer } from "../Channel.ts"
import type { Failure, Verdict } from "../ClusterAdapter.ts"

export const unknown = (
  cause: Extract<Failure, { _tag: "Unknown" }>["cause"],
  message: string,
  doubt = true
): Failure => ({ _tag: "Unknown", cause, message, doubt })

export const refused = (why: Extract<Failure, { _tag: "Refused" }>["why"], message: string): Failure => ({
  _tag: "Refused",
  why,
  message
})

/** Failures that this side of the wire made up: only one of them proves that nothing was sent. */
export const judgeClient = (answer: Answer, write: boolean): Failure => {
  const { details } = answer
  switch (answer.code) {
    case 4:
      return unknown("TimedOut", "no answer in time")
    case 8:
      // The answer is longer than allowed: a read may be given up, a write has been executed.
      return write
        ? unknown("Unreadable", details, false)
        : refused("MessageTooLarge", `${details}; raise maxReceiveBytes, or read less at once`)
    case 14:
      return details.startsWith("No connection established")
        ? { _tag: "NotSent", message: details }
        : unknown("Lost", details)
    default:
      return unknown(answer.code === 1 ? "Lost" : "Failed", details)
  }
}

/** Reads an answer whose status is OK. */
export const judgeBody = <A>(answer: Answer, read: (body: Uint8Array) => Verdict<A>): Verdict<A> => {
  try {
    return read(answer.body ?? new Uint8Array())
  } catch (error) {
    return unknown("Unreadable", `the answer cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}
