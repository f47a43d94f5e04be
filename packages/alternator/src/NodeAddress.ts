/**
 * Addresses of nodes: how they are given, how servers list them, and the one form they have here.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { isIP, isIPv6 } from "node:net"

/** How nodes are talked to. @category models @since 0.1.0 */
export type Scheme = "http" | "https"

/**
 * A node, or a seed.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorNode {
  readonly scheme: Scheme
  /** Address or name; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** `host`, IPv6 in brackets. */
  readonly urlHost: string
  /** `scheme://urlHost:port`, always with a port and without a path. */
  readonly url: string
  /** The `Host` header: without a port that is the scheme's default. */
  readonly hostHeader: string
  /** The name to verify a certificate by, when it is not `host`. */
  readonly servername: string | undefined
}

/** Ports that ScyllaDB's documentation uses; the server itself has none by default. @category constants @since 0.1.0 */
export const DEFAULT_PORTS: Readonly<Record<Scheme, number>> = { http: 8000, https: 8043 }

/**
 * A node from its parts, which must be valid.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (scheme: Scheme, host: string, port: number, servername?: string): AlternatorNode => {
  const urlHost = isIPv6(host) ? `[${host}]` : host
  return {
    scheme,
    host,
    port,
    urlHost,
    url: `${scheme}://${urlHost}:${port}`,
    hostHeader: port === (scheme === "https" ? 443 : 80) ? urlHost : `${urlHost}:${port}`,
    servername
  }
}

/**
 * `http`, `http:` and `http://`, and the same of `https`, in any case.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseScheme = (text: string): Result.Result<Scheme, string> => {
  const match = /^(https?)(?::(?:\/\/)?)?$/i.exec(text.trim())
  return match === null
    ? Result.fail(`"${text}" is not a scheme: say http or https`)
    : Result.succeed(match[1]!.toLowerCase() as Scheme)
}

/**
 * Host, and what else a seed says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Seed {
  readonly scheme: Scheme | undefined
  readonly host: string
  readonly port: number | undefined
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i

/** A DNS name, as hosts files and resolvers take it. An all-numeric last label would be a broken IPv4 address. */
const isName = (host: string): boolean => {
  const labels = (host.endsWith(".") ? host.slice(0, -1) : host).split(".")
  return host.length <= 253 && labels.every((part) => label.test(part)) && !/^\d+$/.test(labels.at(-1)!)
}

const parsePort = (text: string): number | undefined => {
  const port = Number(text)
  return /^\d{1,5}$/.test(text) && port >= 1 && port <= 65535 ? port : undefined
}

/** `2001:DB8::0:1` and `2001:db8::1` are one node. */
const canonical = (host: string): string =>
  isIPv6(host) ? new URL(`http://[${host}]/`).hostname.slice(1, -1) : host.toLowerCase().replace(/\.$/, "")

/**
 * A host, `host:port`, or URL without a path; IPv6 bare or in brackets.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseSeed = (text: string): Result.Result<Seed, string> => {
  const bad = (why: string) => Result.fail(`"${text}" is not a seed: ${why}`)
  let rest = text.trim()
  let scheme: Scheme | undefined
  const url = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(rest)
  if (url !== null) {
    const parsed = parseScheme(url[1]!)
    if (Result.isFailure(parsed)) return bad("its scheme must be http or https")
    scheme = parsed.success
    rest = url[2]!.replace(/\/$/, "")
  }
  if (/[/?#]/.test(rest)) return bad("leave out path and query")
  if (rest.includes("@")) return bad("credentials belong into auth")
  let host = rest
  let port: number | undefined
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(rest)
  const colon = rest.indexOf(":")
  const withPort = bracketed === null && colon >= 0 && colon === rest.lastIndexOf(":")
  if (bracketed !== null || withPort) {
    host = bracketed?.[1] ?? rest.slice(0, colon)
    const digits = bracketed === null ? rest.slice(colon + 1) : bracketed[2]
    port = digits === undefined ? undefined : parsePort(digits)
    if (digits !== undefined && port === undefined) return bad("its port must be 1 to 65535")
    if (bracketed !== null && !isIPv6(host)) return bad("what is in brackets is not an IPv6 address")
  }
  if (host === "") return bad("its host is missing")
  if (host.includes("%")) return bad("an IPv6 zone means nothing on another machine")
  if (isIP(host) === 0 && (uuid.test(host) || !isName(host))) return bad("its host is neither an address nor a name")
  return Result.succeed({ scheme, host: canonical(host), port })
}

/**
 * An entry of a server's list: an address or a name, nothing else. ScyllaDB lists a host id (a UUID) for a node whose
 * address it does not know yet, and the unspecified address when it is misconfigured.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseListed = (entry: unknown): string | undefined => {
  if (typeof entry !== "string") return undefined
  const host = entry.trim()
  if (host === "" || host.includes("%")) return undefined
  if (isIP(host) !== 0) {
    const address = canonical(host)
    return address === "0.0.0.0" || address === "::" ? undefined : address
  }
  return uuid.test(host) || !isName(host) ? undefined : canonical(host)
}
