/** Options of AlternatorNodes, checked all at once. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { AlternatorError } from "../AlternatorError.ts"
import type { NodesOptions } from "../AlternatorNodes.ts"
import { DEFAULT_PORTS, parseScheme, parseSeed, type Scheme, type Seed } from "../NodeAddress.ts"
import type { HealthSettings } from "../NodeHealth.ts"
import * as RoutingScope from "../RoutingScope.ts"
import type { Settings } from "./discovery.ts"
import { Issues } from "./issues.ts"

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
const common = <A>(values: ReadonlyArray<A | undefined>): A | undefined =>
  values.every((value) => value === values[0]) ? values[0] : undefined

export const check = (options: NodesOptions): Effect.Effect<Checked, AlternatorError> =>
  Effect.suspend(() => {
    const issues = new Issues()
    const texts = typeof options.seeds === "string" ? options.seeds.split(",") : options.seeds
    const seeds: Array<Seed> = []
    for (const text of texts) {
      const seed = parseSeed(text)
      if (Result.isFailure(seed)) issues.add("seeds", seed.failure)
      else seeds.push(seed.success)
    }
    if (texts.length === 0) issues.add("seeds", "give at least one address")

    let scheme: Scheme | undefined
    if (options.scheme !== undefined) {
      const parsed = parseScheme(options.scheme)
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
    if (options.port !== undefined && !(Number.isInteger(options.port) && options.port > 0 && options.port < 65536)) {
      issues.add("port", `must be 1 to 65535, is ${options.port}`)
    }
    const port = options.port ?? common(seeds.map((seed) => seed.port)) ?? DEFAULT_PORTS[used]

    const scope = options.scope ?? RoutingScope.cluster()
    const problem = RoutingScope.problem(scope)
    if (problem !== undefined) issues.add("scope", problem)

    const activeMillis = issues.millis("activeInterval", options.activeInterval, "1 seconds")
    const idleMillis = issues.millis("idleInterval", options.idleInterval, "60 seconds")
    if (idleMillis < activeMillis) issues.add("idleInterval", "must not be less than activeInterval")
    const enabled = options.health !== false
    const health = options.health === false || options.health === undefined ? {} : options.health
    const checked: Checked = {
      seeds: seeds.map(({ host, port: own }) => ({ host, scheme: used, port: own ?? port })),
      scope,
      isStatic: options.discovery === "static",
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
    return Effect.as(issues.result, checked)
  })
