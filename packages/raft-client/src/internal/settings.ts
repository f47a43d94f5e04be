/** Options with their defaults, checked all at once. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { ClusterAdapter } from "../ClusterAdapter.ts"
import { type ChannelOptions, MAX_MESSAGE_BYTES } from "../Transport.ts"

/** See `RaftClient.RaftClientOptions`. */
export interface Options {
  readonly endpoints: ReadonlyArray<string>
  readonly adapter: ClusterAdapter
  readonly timeout?: Duration.Input | undefined
  readonly readyTimeout?: Duration.Input | undefined
  readonly lazy?: boolean | undefined
  readonly electionTimeout?: Duration.Input | undefined
  readonly probeTimeout?: Duration.Input | undefined
  readonly membershipInterval?: Duration.Input | undefined
  readonly idleProbe?: Duration.Input | undefined
  readonly addressMap?: Readonly<Record<string, string>> | ((announced: string) => string) | undefined
  readonly channel?: ChannelOptions | undefined
  readonly learners?: boolean | undefined
  readonly eventualReads?: "balanced" | "sticky" | undefined
  readonly maxParked?: number | undefined
  readonly maxInFlight?: number | undefined
  readonly shutdownTimeout?: Duration.Input | undefined
  readonly dialGate?: DialGate | undefined
}

/** Goes around each dial. */
export type DialGate = <A, E, R>(address: string, dial: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Settings {
  readonly endpoints: ReadonlyArray<string>
  readonly adapter: ClusterAdapter
  readonly timeoutMillis: number
  readonly readyTimeoutMillis: number
  readonly lazy: boolean
  readonly electionMillis: number
  readonly probeMillis: number
  readonly membershipMillis: number
  readonly idleProbeMillis: number
  readonly map: (announced: string) => string
  readonly channel: ChannelOptions
  readonly maxSendBytes: number
  readonly learners: boolean
  readonly sticky: boolean
  readonly maxParked: number
  readonly maxInFlight: number
  readonly shutdownMillis: number
  readonly dialGate: DialGate
}

/** `host:port`, `[v6]:port`. */
const address = /^(\[[\da-fA-F:.%]+\]|[^:[\]/\s]+):(\d{1,5})$/

export const isAddress = (text: string): boolean => {
  const port = Number(address.exec(text)?.[2] ?? 0)
  return port >= 1 && port <= 65_535
}

/** The settings, or everything that is wrong with the options. */
export const resolve = (options: Options): Settings | ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const millis = (name: keyof Options, value: Duration.Input | undefined, fallback: number, least = 1): number => {
    if (value === undefined) return fallback
    const duration = Duration.fromInput(value)
    const out = duration._tag === "Some" ? Duration.toMillis(duration.value) : Number.NaN
    if (Number.isFinite(out) && out >= least) return out
    wrong.push(`${name} must be a time of at least ${least} ms, as in "3 seconds"`)
    return fallback
  }
  const whole = (name: keyof Options, value: number | undefined, fallback: number): number => {
    if (value === undefined || (Number.isInteger(value) && value >= 1)) return value ?? fallback
    wrong.push(`${name} must be a whole number from 1, not ${value}`)
    return fallback
  }
  if (options.endpoints.length === 0) wrong.push("endpoints is empty: name at least one node, as in 127.0.0.1:9081")
  for (const endpoint of options.endpoints) {
    if (!isAddress(endpoint)) {
      wrong.push(`endpoints has ${JSON.stringify(endpoint)}, which is not host:port (without a scheme)`)
    }
  }
  const { addressMap } = options
  const settings: Settings = {
    endpoints: [...new Set(options.endpoints)],
    adapter: options.adapter,
    timeoutMillis: millis("timeout", options.timeout, 3_000),
    readyTimeoutMillis: millis("readyTimeout", options.readyTimeout, 5_000),
    lazy: options.lazy ?? false,
    electionMillis: millis("electionTimeout", options.electionTimeout, 500),
    probeMillis: millis("probeTimeout", options.probeTimeout, 500),
    membershipMillis: millis("membershipInterval", options.membershipInterval, 30_000, 100),
    idleProbeMillis: millis("idleProbe", options.idleProbe, 60_000),
    map: typeof addressMap === "function"
      ? addressMap
      : addressMap === undefined
      ? (announced) => announced
      : (announced) => Object.hasOwn(addressMap, announced) ? addressMap[announced]! : announced,
    channel: options.channel ?? {},
    maxSendBytes: options.channel?.maxSendBytes ?? MAX_MESSAGE_BYTES,
    learners: options.learners ?? false,
    sticky: options.eventualReads === "sticky",
    maxParked: whole("maxParked", options.maxParked, 10_000),
    maxInFlight: whole("maxInFlight", options.maxInFlight, 10_000),
    shutdownMillis: millis("shutdownTimeout", options.shutdownTimeout, 0, 0),
    dialGate: options.dialGate ?? ((_, dial) => dial)
  }
  return wrong.length === 0 ? settings : wrong
}
