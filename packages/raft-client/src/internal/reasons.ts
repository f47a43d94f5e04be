/** What a caller is told of a verdict. */
import type { Failure } from "../ClusterAdapter.ts"
import * as RaftError from "../RaftError.ts"

export const reasonOf = (verdict: Failure): RaftError.RaftReason => {
  const { message } = verdict
  switch (verdict._tag) {
    case "NotLeader":
    case "NotReady":
    case "NotServing":
      return new RaftError.NotServing({ message })
    case "Busy":
      return new RaftError.Overloaded({ message: `${message}; send less, or later` })
    case "NotSent":
      return new RaftError.ConnectionLost({ message })
    case "Unauthenticated":
      return new RaftError.PermissionDenied({ message })
    case "Refused":
      switch (verdict.why) {
        case "InvalidRequest":
          return new RaftError.InvalidRequest({ message })
        case "MessageTooLarge":
          return new RaftError.MessageTooLarge({ message })
        case "PermissionDenied":
          return new RaftError.PermissionDenied({ message })
        case "ServerFailure":
          return new RaftError.ServerFailure({ message })
        case "Compacted":
          return new RaftError.Compacted({ message })
        case "LeaseNotFound":
          return new RaftError.LeaseLost({ message })
        case "OtherCluster":
          return new RaftError.OtherCluster({ message })
        case "Unsupported":
          return new RaftError.Unsupported({
            message: `the server does not serve this: ${message}`,
            capability: "server"
          })
      }
      break
    case "Unknown":
      switch (verdict.cause) {
        case "Lost":
          return new RaftError.ConnectionLost({ message })
        case "TimedOut":
          return new RaftError.RequestTimeout({ message })
        case "Failed":
          return new RaftError.ServerFailure({ message })
        case "Unreadable":
          return new RaftError.MalformedResponse({ message })
      }
  }
}

export const outcomeOf = (verdict: Failure): RaftError.Outcome =>
  verdict._tag === "Unknown" ? "Ambiguous" : verdict._tag === "NotSent" ? "NotSent" : "Rejected"
