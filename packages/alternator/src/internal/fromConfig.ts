/** Options from the configuration: what is not given is read by its name, and all that is wrong is said at once. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type AlternatorError, configInvalid } from "../AlternatorError.ts"
import * as Auth from "../Auth.ts"
import * as RoutingScope from "../RoutingScope.ts"
import type { Issue, Issues } from "./issues.ts"

/** Options of which every field may be a `Config`. */
export type Leaves<A> = { readonly [K in keyof A]: Config.Config<A[K]> | A[K] }

const whole = (text: string): unknown => /^\d+$/.test(text.trim()) ? Number(text) : text
const same = (text: string): unknown => text.trim()

/** Options that have a name, and how their text is read. What it means, and whether it is right, is the checks' matter. */
const named: ReadonlyArray<readonly [field: string, name: string, read: (text: string) => unknown]> = [
  ["scheme", "SCHEME", same],
  ["port", "PORT", whole],
  ["discovery", "DISCOVERY", same],
  ["deadline", "DEADLINE", same],
  ["attemptTimeout", "ATTEMPT_TIMEOUT", same],
  ["maxAttempts", "MAX_ATTEMPTS", whole],
  ["balancing", "BALANCING", same],
  ["affinity", "AFFINITY", same],
  ["affinityOrder", "AFFINITY_ORDER", same]
]

/** What a schema says of a value, in one line: where, and what was expected. */
const readable = ({ message }: Config.ConfigError): string => {
  const [said = "", at = ""] = message.replace(/^SchemaError\(([^]*)\)$/, "$1").split("\n")
  const path = /^\s*at (.*)$/.exec(at)?.[1]?.replace(/^\["?|"?\]$/g, "").replaceAll(/"?\]\["?/g, ".")
  const text = said.replace(/^Expected/, "is missing or wrong, expected")
  return path === undefined ? text : `${path} ${text}`
}

interface Read<A> {
  /** As far as they could be read. */
  readonly options: A
  /** Fails with all that is wrong, if anything is; `found` is what the checks of the options have found. */
  readonly failWith: (found: Issues) => Effect.Effect<void, AlternatorError>
}

/** Runs the leaves that are `Config`s, and reads the options that are not given. */
export const fromConfig = <A extends object>(given: Partial<Leaves<A>>): Effect.Effect<Read<A>> =>
  Effect.gen(function*() {
    const issues: Array<Issue> = []
    const options: Record<string, unknown> = {}
    /** Fields whose value could not be read: what else is said of them is of no use. */
    const unread = new Set<string>()
    /** By which name a field was read. */
    const names = new Map<string, string>()

    const read = <B>(field: string, name: string, config: Config.Config<B>): Effect.Effect<B | undefined> =>
      Effect.map(Effect.result(config), (result) => {
        if (Result.isSuccess(result)) return result.success
        issues.push({ field: name, message: readable(result.failure) })
        unread.add(field)
        return undefined
      })
    const optional = <B>(field: string, name: string, config: Config.Config<B>): Effect.Effect<B | undefined> =>
      Effect.map(read(field, name, Config.option(config)), (found) => {
        names.set(field, name)
        return found === undefined ? undefined : Option.getOrUndefined(found)
      })

    for (const [field, leaf] of Object.entries(given)) {
      options[field] = Config.isConfig(leaf) ? yield* read(field, field, leaf as Config.Config<unknown>) : leaf
    }
    const isWanted = (field: string): boolean => options[field] === undefined && !unread.has(field)

    if (isWanted("seeds")) {
      const name = "ALTERNATOR_SEEDS"
      options["seeds"] = yield* optional("seeds", name, Config.Array(Schema.String, name))
      if (isWanted("seeds")) {
        issues.push({
          field: name,
          message: "is not set: give addresses of nodes, such as 10.0.0.1:8000,10.0.0.2:8000"
        })
        unread.add("seeds")
      }
    }
    for (const [field, short, parse] of named) {
      if (!isWanted(field)) continue
      const text = yield* optional(field, `ALTERNATOR_${short}`, Config.String(`ALTERNATOR_${short}`))
      if (text !== undefined) options[field] = parse(text)
    }
    if (isWanted("scope")) {
      const [ofDatacenter, ofRack] = ["ALTERNATOR_DATACENTER", "ALTERNATOR_RACK"] as const
      const rack = yield* optional("scope", ofRack, Config.String(ofRack))
      const datacenter = yield* optional("scope", ofDatacenter, Config.String(ofDatacenter))
      if (datacenter !== undefined) {
        options["scope"] = rack === undefined
          ? RoutingScope.datacenter(datacenter)
          : RoutingScope.rack(datacenter, rack)
      } else if (rack !== undefined) issues.push({ field: ofDatacenter, message: `is not set, but ${ofRack} is` })
    }
    if (isWanted("auth")) {
      const { ACCESS_KEY_ID, SECRET_ACCESS_KEY } = Auth.names
      const accessKeyId = yield* optional("auth", ACCESS_KEY_ID, Config.String(ACCESS_KEY_ID))
      const secretAccessKey = yield* optional("auth", SECRET_ACCESS_KEY, Config.Redacted(SECRET_ACCESS_KEY))
      if (accessKeyId !== undefined && secretAccessKey !== undefined) {
        options["auth"] = Auth.sigV4({ accessKeyId, secretAccessKey })
      } else if (accessKeyId !== undefined) {
        issues.push({ field: SECRET_ACCESS_KEY, message: `is not set, but ${ACCESS_KEY_ID} is` })
      } else if (secretAccessKey !== undefined) {
        issues.push({ field: ACCESS_KEY_ID, message: `is not set, but ${SECRET_ACCESS_KEY} is` })
      }
    }
    return {
      options: options as A,
      failWith: (found) => {
        for (const { field, message } of found.list) {
          if (!unread.has(field)) issues.push({ field: names.get(field) ?? field, message })
        }
        return issues.length === 0 ? Effect.void : Effect.fail(configInvalid(issues))
      }
    }
  })
