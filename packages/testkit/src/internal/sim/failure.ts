/** The errors that the simulated server answers, by the texts of ScyllaDB 6.0.4 (recorded frames) and of its sources. */
import { DecodeError } from "@effect-scylla/protocol/ProtocolError"
import * as ServerError from "@effect-scylla/protocol/ServerError"

export const invalid = (message: string): ServerError.InvalidRequest =>
  new ServerError.InvalidRequest({ code: 0x2200, message })

/** More or fewer values than there are variables. */
export const wrongCount = (expected: number, received: number): ServerError.InvalidRequest =>
  invalid(`Invalid amount of bind variables: expected ${expected} received ${received}`)

export const unauthorized = (message: string): ServerError.Unauthorized =>
  new ServerError.Unauthorized({ code: 0x2100, message })

export const syntax = (message: string): ServerError.CqlSyntaxError =>
  new ServerError.CqlSyntaxError({ code: 0x2000, message })

export const config = (message: string): ServerError.ConfigError =>
  new ServerError.ConfigError({ code: 0x2300, message })

export const protocol = (message: string): ServerError.ProtocolError =>
  new ServerError.ProtocolError({ code: 0x000a, message })

export const internal = (message: string): ServerError.InternalServerError =>
  new ServerError.InternalServerError({ code: 0x0000, message })

/** What ScyllaDB can do and the simulator cannot: always INVALID, so that nobody takes a wrong answer for a right one. */
export const unsupported = (what: string): ServerError.InvalidRequest => invalid(`not simulated: ${what}`)

const TAGS = new Set<string>([
  "InternalServerError",
  "ProtocolError",
  "BadCredentials",
  "Unavailable",
  "Overloaded",
  "IsBootstrapping",
  "TruncateError",
  "WriteTimeout",
  "ReadTimeout",
  "ReadFailure",
  "FunctionFailure",
  "WriteFailure",
  "CdcWriteFailure",
  "CasWriteUnknown",
  "CqlSyntaxError",
  "Unauthorized",
  "InvalidRequest",
  "ConfigError",
  "AlreadyExists",
  "Unprepared",
  "RateLimitReached",
  "UnknownServerError"
])

/** Whatever was thrown while a request was handled, as the error to answer. Nothing escapes: a simulator never crashes. */
export const toServerError = (thrown: unknown): ServerError.ServerError => {
  if (thrown instanceof DecodeError) {
    const match = /^truncated body: (-?\d+) bytes expected, (\d+) left$/.exec(thrown.message)
    return protocol(
      match === null ? thrown.message : `truncated frame: expected ${match[1]} bytes, length is ${match[2]}`
    )
  }
  if (thrown instanceof Error && "_tag" in thrown && TAGS.has(String(thrown._tag))) {
    return thrown as ServerError.ServerError
  }
  return internal(thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown))
}
