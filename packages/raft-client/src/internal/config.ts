/** Options from the configuration: every field by a name of its own, everything that is wrong at once. */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ChannelOptions, TlsOptions } from "../Channel.ts"
import type { ClusterAdapter } from "../ClusterAdapter.ts"
import * as DEngineAdapter from "../DEngineAdapter.ts"
import * as EtcdAdapter from "../EtcdAdapter.ts"
import { type Options, resolve } from "./settings.ts"

/** Each option as it is, as a `Config`, or left out: then it is read by its name. */
export type Leaves = { readonly [K in keyof Options]?: Config.Config<Options[K]> | Options[K] }

/** `RaftClient.FromConfig`. */
export interface FromConfig extends Leaves {
  /** What the names begin with. Default: `RAFT_`. */
  readonly prefix?: string | undefined
}

/** What a text means; a string that says what it should have been. */
type Parse<A> = (text: string) => Result.Result<A, string>

const said = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text)

const time: Parse<Duration.Input> = (text) => {
  const millis = /^\d+$/.test(text) ? Duration.millis(Number(text)) : undefined
  const duration = millis ?? Option.getOrUndefined(Duration.fromInput(text as Duration.Input))
  return duration === undefined
    ? Result.fail(`${said(text)} is no time; write it as "3 seconds" or "500 millis"`)
    : Result.succeed(duration)
}

const whole: Parse<number> = (text) =>
  /^\d+$/.test(text) ? Result.succeed(Number(text)) : Result.fail(`${said(text)} is no whole number`)

const YES = new Set(["true", "yes", "on", "1"])
const NO = new Set(["false", "no", "off", "0"])

const bool: Parse<boolean> = (text) =>
  YES.has(text.toLowerCase())
    ? Result.succeed(true)
    : NO.has(text.toLowerCase())
    ? Result.succeed(false)
    : Result.fail(`${said(text)} is neither true nor false`)

const list: Parse<ReadonlyArray<string>> = (text) =>
  Result.succeed(text.split(",").map((part) => part.trim()).filter((part) => part !== ""))

const anything: Parse<string> = (text) => Result.succeed(text)

const oneOf = <A extends string>(...all: ReadonlyArray<A>): Parse<A> => (text) => {
  const found = all.find((one) => one === text)
  return found === undefined ? Result.fail(`${said(text)} is none of ${all.join(", ")}`) : Result.succeed(found)
}

/** Certificates are told apart from paths, and never shown. */
const pem: Parse<string> = (text) =>
  text.includes("-----BEGIN ")
    ? Result.succeed(text)
    : Result.fail("is no PEM; it has to be the text itself, not a path")

const addresses: Parse<Readonly<Record<string, string>>> = (text) => {
  const out: Record<string, string> = {}
  for (const part of text.split(",")) {
    const [announced, dialled, ...rest] = part.split("=").map((side) => side.trim())
    if (announced === undefined || announced === "" || dialled === undefined || dialled === "" || rest.length > 0) {
      return Result.fail(`${said(part)} is not announced=dialled, as in 10.0.0.1:2379=localhost:2379`)
    }
    out[announced] = dialled
  }
  return Result.succeed(out)
}

/** The options that are one text each, with their names. */
const PLAIN = {
  endpoints: ["ENDPOINTS", list],
  timeout: ["TIMEOUT", time],
  readyTimeout: ["READY_TIMEOUT", time],
  lazy: ["LAZY", bool],
  electionTimeout: ["ELECTION_TIMEOUT", time],
  probeTimeout: ["PROBE_TIMEOUT", time],
  membershipInterval: ["MEMBERSHIP_INTERVAL", time],
  idleProbe: ["IDLE_PROBE", time],
  addressMap: ["ADDRESS_MAP", addresses],
  learners: ["LEARNERS", bool],
  eventualReads: ["EVENTUAL_READS", oneOf("balanced", "sticky")],
  maxParked: ["MAX_PARKED", whole],
  maxInFlight: ["MAX_IN_FLIGHT", whole],
  shutdownTimeout: ["SHUTDOWN_TIMEOUT", time]
} as const satisfies { readonly [K in keyof Options]?: readonly [string, Parse<unknown>] }

/** Stands for endpoints that could not be read, which are reported once already. */
const NOWHERE = "localhost:1"

/** A `Config` of somebody else's: its name, without the text of a schema. */
const describe = (error: Config.ConfigError): string => {
  const name = /\["([^"]+)"\]/.exec(error.message)?.[1]
  return `${name === undefined ? "its Config" : name} is missing, or not of the form that it has to have`
}

export const read = Effect.fnUntraced(
  function*(given: FromConfig): Effect.fn.Return<Options | ReadonlyArray<string>> {
    const { prefix = "RAFT_", ...leaves } = given
    const wrong: Array<string> = []
    /** Which option came from which name. */
    const sources = new Map<string, string>()

    /** `exact`: spaces around it are part of it. */
    const named = <A>(name: string, parse: Parse<A>, exact = false): Effect.Effect<A | undefined> =>
      Effect.map(Effect.result(Config.option(Config.String(`${prefix}${name}`))), (found) => {
        if (Result.isFailure(found)) {
          wrong.push(`${prefix}${name} cannot be read`)
          return undefined
        }
        const raw = Option.getOrUndefined(found.success)
        const text = exact ? raw : raw?.trim()
        // An empty variable is how shells and containers say that there is none.
        if (text === undefined || text === "") return undefined
        const parsed = parse(text)
        if (Result.isSuccess(parsed)) return parsed.success
        wrong.push(`${prefix}${name}: ${parsed.failure}`)
        return undefined
      })

    const out: Record<string, unknown> = {}
    /** What was given in code, as it is or by a `Config`; false when nothing was. */
    const coded = Effect.fnUntraced(function*(field: keyof Options) {
      const leaf = leaves[field] as unknown
      if (leaf === undefined) return false
      if (!Config.isConfig(leaf)) {
        out[field] = leaf
        return true
      }
      const found = yield* Effect.result(leaf as Config.Config<unknown>)
      if (Result.isSuccess(found)) out[field] = found.success
      else wrong.push(`${field}: ${describe(found.failure)}`)
      return true
    })

    for (const [field, [name, parse]] of Object.entries(PLAIN)) {
      if (yield* coded(field as keyof Options)) continue
      const before = wrong.length
      const value = yield* named(name, parse as Parse<unknown>)
      if (value === undefined) {
        if (field === "endpoints" && wrong.length === before) {
          wrong.push(`${prefix}ENDPOINTS is missing: name at least one node, as in 127.0.0.1:2379,127.0.0.2:2379`)
        }
        continue
      }
      out[field] = value
      sources.set(field, `${prefix}${name}`)
    }
    yield* coded("dialGate")

    if (!(yield* coded("adapter"))) {
      const kind = (yield* named("ADAPTER", oneOf("etcd", "d-engine"))) ?? "etcd"
      const ttl = yield* named("D_ENGINE_TTL", bool)
      out["adapter"] = kind === "etcd" ? EtcdAdapter.make() : DEngineAdapter.make({ ttl })
    }

    if (!(yield* coded("auth"))) {
      const username = yield* named("USERNAME", anything, true)
      const password = yield* named("PASSWORD", anything, true)
      if (username !== undefined && password !== undefined) {
        out["auth"] = { username, password: Redacted.make(password) }
        sources.set("auth", `${prefix}USERNAME`)
      } else if (username !== undefined) wrong.push(`${prefix}PASSWORD is missing: ${prefix}USERNAME is set`)
      else if (password !== undefined) wrong.push(`${prefix}USERNAME is missing: ${prefix}PASSWORD is set`)
    }

    if (!(yield* coded("channel"))) {
      const on = yield* named("TLS", bool)
      const key = yield* named("TLS_KEY", pem)
      const tls: TlsOptions = {
        ca: yield* named("TLS_CA", pem),
        cert: yield* named("TLS_CERT", pem),
        key: key === undefined ? undefined : Redacted.make(key),
        serverName: yield* named("TLS_SERVER_NAME", anything)
      }
      const some = Object.values(tls).some((value) => value !== undefined)
      if (on === false && some) wrong.push(`${prefix}TLS is false, and ${prefix}TLS_… are set: leave one of them out`)
      const channel: ChannelOptions = {
        tls: on === true || some ? tls : undefined,
        authority: yield* named("AUTHORITY", anything),
        gzip: yield* named("GZIP", bool),
        maxReceiveBytes: yield* named("MAX_RECEIVE_BYTES", whole),
        maxSendBytes: yield* named("MAX_SEND_BYTES", whole)
      }
      out["channel"] = channel
      sources.set("channel.maxReceiveBytes", `${prefix}MAX_RECEIVE_BYTES`)
      sources.set("channel.maxSendBytes", `${prefix}MAX_SEND_BYTES`)
      sources.set("channel.tls", `${prefix}TLS_CERT, ${prefix}TLS_KEY`)
    }

    const options = { endpoints: [NOWHERE], adapter: EtcdAdapter.make(), ...out } as Options
    // What shows only when the values are put together is told beside what cannot be read.
    const settings = resolve(options)
    if (!("adapter" in settings)) {
      for (const issue of settings) {
        const field = /^[\w.]+/.exec(issue)?.[0] ?? ""
        const source = sources.get(field)
        wrong.push(source === undefined ? issue : `${source}: ${issue}`)
      }
    }
    const adapter: ClusterAdapter = options.adapter
    if (options.auth !== undefined && adapter.login === undefined) {
      wrong.push(`${sources.get("auth") ?? "auth"}: ${adapter.name} has no users to log in as`)
    }
    return wrong.length === 0 ? options : wrong
  }
)
