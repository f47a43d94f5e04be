import * as Effect from "effect/Effect"
import { lookup } from "node:dns/promises"
import { isIP, isIPv6 } from "node:net"

/** A contact point as it was given, and where it leads. */
export interface ContactPoint {
  readonly given: string
  readonly host: string
  readonly port: number
}

/** Reads `host`, `host:port`, `[v6]:port` or a bare IPv6 address; answers why it is none of them. */
export const parse = (given: string, defaultPort: number): ContactPoint | string => {
  const text = given.trim()
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text)
  const plain = /^([^:\s/]+)(?::(\d+))?$/.exec(text)
  const host = isIPv6(text) ? text : bracketed !== null && isIPv6(bracketed[1]!) ? bracketed[1]! : plain?.[1]
  const port = isIPv6(text) ? undefined : (bracketed ?? plain)?.[2]
  if (host === undefined) return `${JSON.stringify(given)} is no host, host:port or [IPv6]:port`
  const number = port === undefined ? defaultPort : Number(port)
  if (number < 1 || number > 65_535) return `${JSON.stringify(given)} has no valid port`
  return { given, host, port: number }
}

/** All addresses of a contact point. A name that does not resolve gives none, and the reason. */
export const resolve = (
  point: ContactPoint
): Effect.Effect<{ readonly addresses: ReadonlyArray<string>; readonly problem?: string }> =>
  isIP(point.host) !== 0
    ? Effect.succeed({ addresses: [point.host] })
    : Effect.tryPromise(() => lookup(point.host, { all: true })).pipe(
      Effect.map((found) => ({ addresses: found.map((entry) => entry.address) })),
      Effect.catch((error) =>
        Effect.succeed({ addresses: [], problem: `${point.host} cannot be resolved: ${String(error.cause)}` })
      )
    )
