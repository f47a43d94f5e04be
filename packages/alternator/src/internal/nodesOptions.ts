/** Options of AlternatorNodes, checked all at once. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { DEFAULT_PORTS, parseScheme, parseSeed, type Scheme, type Seed } from "../NodeAddress.ts"
import type { HealthSettings } from "../NodeHealth.ts"
import * as RoutingScope from "../RoutingScope.ts"
import type { Settings } from "./discovery.ts"
import { type Issues, show } from "./issues.ts"

/**
 * Ejection of nodes that fail.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthOptions {
  /** Timeouts and lost connections in a row that eject a node. Default: 3. One refused connection ejects at once. */
  readonly maxLosses?: number | undefined
  /** Answers with status 500 or more in a row that eject a node. Default: 5. */
  readonly maxServerErrors?: number | undefined
  /** Until the first probe (`GET /`) of an ejected node; doubles with each that fails. Default: 1 second. */
  readonly minEjection?: Duration.Input | undefined
  /** Default: 30 seconds. */
  readonly maxEjection?: Duration.Input | undefined
  /** Time for the answer to a probe. Default: 2 seconds. */
  readonly probeTimeout?: Duration.Input | undefined
  /** In which the share of a node grows that is new or was ejected. Default: 10 seconds. */
  readonly warmUp?: Duration.Input | undefined
}

/**
 * All options have defaults but `seeds`.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodesOptions {
  /**
   * Where to ask first, and whenever no live node answers: addresses or names, with a port or without, or URLs; IPv6 bare
   * or in brackets. A name stands for all its addresses.
   */
  readonly seeds: string | ReadonlyArray<string>
  /** `http` or `https`. Default: the seeds', if they are URLs, else `http`. */
  readonly scheme?: string | undefined
  /** Of the nodes that are listed. Default: the seeds', if they have one in common, else 8000 (http) or 8043 (https). */
  readonly port?: number | undefined
  /** Default: the cluster, see {@link RoutingScope.cluster}. */
  readonly scope?: RoutingScope.RoutingScope | undefined
  /** `static` uses the seeds and asks no node; names among them are looked up again every 30 seconds. Default: `live`. */
  readonly discovery?: "live" | "static" | undefined
  /** Between two looks while there are requests. Default: 1 second. */
  readonly activeInterval?: Duration.Input | undefined
  /** Between two looks when there was no request for as long; a request ends the wait. Default: 60 seconds. */
  readonly idleInterval?: Duration.Input | undefined
  /** For one look, however many nodes are asked. Default: 5 seconds. */
  readonly discoveryTimeout?: Duration.Input | undefined
  /** How long one node is waited for before the next is asked too. Default: 250 ms. */
  readonly raceDelay?: Duration.Input | undefined
  /** Looks in a row that find the scope in force empty before its fallback is used. Default: 2. */
  readonly widenAfter?: number | undefined
  /** How long to believe what a node was seen to filter its list by. Default: 1 hour. */
  readonly supportInterval?: Duration.Input | undefined
  /** Addresses of a seed's name. Default: the system's resolver, asked again every 30 seconds. */
  readonly resolve?: ((name: string) => Effect.Effect<ReadonlyArray<string>, unknown>) | undefined
  /** Where a listed node is reached from here: behind NAT, forwarded ports, private links. */
  readonly translate?:
    | ((address: { readonly host: string; readonly port: number }) =>
      | { readonly host: string; readonly port: number }
      | undefined)
    | undefined
  /** Listed nodes, at most: a longer list is refused. Default: 4096. */
  readonly maxNodes?: number | undefined
  /** Bytes of a list, at most. Default: 1 MiB. */
  readonly maxListBytes?: number | undefined
  /** `false` never ejects. */
  readonly health?: HealthOptions | false | undefined
}

export interface Checked {
  readonly seeds: ReadonlyArray<{ readonly host: string; readonly port: number; readonly scheme: Scheme }>
  readonly scope: RoutingScope.RoutingScope
  readonly isStatic: boolean
  readonly activeMillis: number
  readonly idleMillis: number
  readonly probeMillis: number
  readonly resolve: NodesOptions["resolve"]
  readonly discovery: Settings
  readonly health: HealthSettings
}

/** The one that all have in common. */
const commonOf = <A>(values: ReadonlyArray<A | undefined>): A | undefined =>
  values.every((value) => value === values[0]) ? values[0] : undefined

/** The options as they are used; what is wrong with them is added to `issues`, and then the result is of no use. */
export const check = (options: NodesOptions, issues: Issues): Checked => {
  const seeds: Array<Seed> = []
  const texts: ReadonlyArray<unknown> = typeof options.seeds === "string"
    ? options.seeds.split(",")
    : options.seeds ?? []
  if (!Array.isArray(texts)) issues.add("seeds", `must be addresses of nodes, is ${show(texts)}`)
  else if (texts.length === 0) issues.add("seeds", "give at least one address, such as 10.0.0.1:8000")
  else {
    for (const text of texts) {
      const seed = typeof text === "string"
        ? parseSeed(text)
        : Result.fail(`${show(text)} is not a seed: say host:port`)
      if (Result.isFailure(seed)) issues.add("seeds", seed.failure)
      else seeds.push(seed.success)
    }
  }

  let scheme: Scheme | undefined
  if (options.scheme !== undefined) {
    const parsed = parseScheme(String(options.scheme))
    if (Result.isFailure(parsed)) issues.add("scheme", parsed.failure)
    else scheme = parsed.success
  }
  const stated = new Set(seeds.map((seed) => seed.scheme).filter((scheme) => scheme !== undefined))
  if (stated.size > 1) issues.add("seeds", "all must have the same scheme")
  const [ofSeeds] = stated
  if (scheme !== undefined && ofSeeds !== undefined && scheme !== ofSeeds) {
    issues.add("scheme", `is ${scheme}, but the seeds say ${ofSeeds}`)
  }
  const used = scheme ?? ofSeeds ?? "http"
  const common = commonOf(seeds.map((seed) => seed.port)) ?? DEFAULT_PORTS[used]
  const port = issues.count("port", options.port, common, 1, 65_535)

  const scope = options.scope ?? RoutingScope.cluster()
  const problem = RoutingScope.problem(scope)
  if (problem !== undefined) issues.add("scope", problem)

  const activeMillis = issues.millis("activeInterval", options.activeInterval, "1 seconds")
  const idleMillis = issues.millis("idleInterval", options.idleInterval, "60 seconds")
  if (idleMillis < activeMillis) issues.add("idleInterval", "must not be less than activeInterval")
  const enabled = options.health !== false
  const health = options.health === false || options.health === undefined ? {} : options.health
  return {
    seeds: seeds.map(({ host, port: own }) => ({ host, scheme: used, port: own ?? port })),
    scope,
    isStatic: issues.word("discovery", options.discovery, ["live", "static"]) === "static",
    activeMillis,
    idleMillis,
    probeMillis: issues.millis("health.probeTimeout", health.probeTimeout, "2 seconds"),
    resolve: options.resolve,
    discovery: {
      scheme: used,
      port,
      limits: {
        maxNodes: issues.count("maxNodes", options.maxNodes, 4096),
        maxBody: issues.count("maxListBytes", options.maxListBytes, 1_048_576)
      },
      timeout: Duration.millis(issues.millis("discoveryTimeout", options.discoveryTimeout, "5 seconds")),
      raceDelay: Duration.millis(issues.millis("raceDelay", options.raceDelay, "250 millis")),
      widenAfter: issues.count("widenAfter", options.widenAfter, 2),
      supportMillis: issues.millis("supportInterval", options.supportInterval, "1 hour"),
      translate: options.translate
    },
    health: {
      enabled,
      maxLosses: issues.count("health.maxLosses", health.maxLosses, 3),
      maxServerErrors: issues.count("health.maxServerErrors", health.maxServerErrors, 5),
      minEjection: issues.millis("health.minEjection", health.minEjection, "1 seconds"),
      maxEjection: issues.millis("health.maxEjection", health.maxEjection, "30 seconds"),
      warmUp: issues.millis("health.warmUp", health.warmUp, "10 seconds")
    }
  }
}
