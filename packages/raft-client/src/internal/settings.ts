/** Options with their defaults, checked all at once. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type ChannelOptions, MAX_MESSAGE_BYTES } from "../Channel.ts"
import type { ClusterAdapter } from "../ClusterAdapter.ts"
import type { Auth } from "./session.ts"

/** `RaftClient.RaftClientOptions`. */
export interface Options {
  /** `host:port` of some nodes, to start from; the others are learnt. */
  readonly endpoints: ReadonlyArray<string>
  /** `DEngineAdapter.make()` or `EtcdAdapter.make()`. */
  readonly adapter: ClusterAdapter
  /** Logs in as this user, and again when the token is worth nothing any longer; on servers that have users (etcd). */
  readonly auth?: Auth | undefined
  /** Deadline of an operation. Default: 3 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** How long building the layer waits for a leader, and `refresh` too. Default: 5 seconds. */
  readonly readyTimeout?: Duration.Input | undefined
  /** Build at once and look for the leader when it is needed. Default: false. */
  readonly lazy?: boolean | undefined
  /** The shortest election timeout of the servers. A proof of leadership is trusted for half of it. Default: 500 ms. */
  readonly electionTimeout?: Duration.Input | undefined
  /** How long a node may take to connect, and to answer who leads. Default: 500 ms. */
  readonly probeTimeout?: Duration.Input | undefined
  /** How often the members are asked for. Default: 30 seconds. */
  readonly membershipInterval?: Duration.Input | undefined
  /** After so long without an answer of the leader it is asked whether it still leads, before a request goes to it. Default: 1 minute. */
  readonly idleProbe?: Duration.Input | undefined
  /** From addresses that servers announce to addresses that can be dialled: containers, port forwarding. */
  readonly addressMap?: Readonly<Record<string, string>> | ((announced: string) => string) | undefined
  /** TLS, metadata, keepalive, limits, compression. */
  readonly channel?: ChannelOptions | undefined
  /** Let learners answer eventual reads. Default: false. */
  readonly learners?: boolean | undefined
  /**
   * `balanced` spreads eventual reads over the voters; `sticky` stays with one as long as it answers, which keeps reads from
   * going back in time where answers carry no revision (d-engine). Default: `balanced`.
   */
  readonly eventualReads?: "balanced" | "sticky" | undefined
  /** How many requests may wait for a leader at once. Default: 10000. */
  readonly maxParked?: number | undefined
  /** How many requests may be under way at once. Default: 10000. */
  readonly maxInFlight?: number | undefined
  /** How long a close waits for requests under way. Default: 0. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Goes around each dial, as a limit on dials under way does. */
  readonly dialGate?: DialGate | undefined
}

/** Goes around each dial. */
export type DialGate = <A, E, R>(address: string, dial: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Settings {
  readonly endpoints: ReadonlyArray<string>
  readonly adapter: ClusterAdapter
  readonly auth: Auth | undefined
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
  readonly maxReceiveBytes: number
  readonly learners: boolean
  readonly sticky: boolean
  readonly maxParked: number
  readonly maxInFlight: number
  readonly shutdownMillis: number
  readonly dialGate: DialGate
}

const CHANNEL_NUMBERS = [
  "maxReceiveBytes",
  "maxSendBytes",
  "keepaliveMillis",
  "keepaliveTimeoutMillis",
  "maxReconnectMillis"
] as const

/** `host:port`, `[v6]:port`. */
const address = /^(\[[\da-fA-F:.%]+\]|[^:[\]/\s]+):(\d{1,5})$/

export const isAddress = (text: string): boolean => {
  const port = Number(address.exec(text)?.[2] ?? 0)
  return port >= 1 && port <= 65_535
}

/** Milliseconds of a time that somebody gave; NaN when it is none. */
export const toMillis = (time: Duration.Input): number => {
  const duration = Duration.fromInput(time)
  return duration._tag === "Some" ? Duration.toMillis(duration.value) : Number.NaN
}

/** The settings, or everything that is wrong with the options. */
export const resolve = (options: Options): Settings | ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const millis = (name: keyof Options, value: Duration.Input | undefined, fallback: number, least = 1): number => {
    if (value === undefined) return fallback
    const out = toMillis(value)
    if (Number.isFinite(out) && out >= least) return out
    wrong.push(`${name} must be a time of at least ${least} ms, as in "3 seconds"`)
    return fallback
  }
  const whole = (name: string, value: number | undefined, fallback: number): number => {
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
  const { addressMap, auth, channel = {}, eventualReads } = options
  if (eventualReads !== undefined && eventualReads !== "balanced" && eventualReads !== "sticky") {
    wrong.push(`eventualReads must be "balanced" or "sticky", not ${JSON.stringify(eventualReads)}`)
  }
  if (auth !== undefined && (auth.username === "" || !Redacted.isRedacted(auth.password))) {
    wrong.push("auth must have a username, and a password by Redacted.make")
  }
  if (channel.tls !== undefined && (channel.tls.cert === undefined) !== (channel.tls.key === undefined)) {
    wrong.push("channel.tls has one of cert and key: a client certificate needs both")
  }
  for (const name of CHANNEL_NUMBERS) whole(`channel.${name}`, channel[name], 1)
  const settings: Settings = {
    endpoints: [...new Set(options.endpoints)],
    adapter: options.adapter,
    auth: options.auth,
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
    channel,
    maxSendBytes: channel.maxSendBytes ?? MAX_MESSAGE_BYTES,
    maxReceiveBytes: channel.maxReceiveBytes ?? MAX_MESSAGE_BYTES,
    learners: options.learners ?? false,
    sticky: eventualReads === "sticky",
    maxParked: whole("maxParked", options.maxParked, 10_000),
    maxInFlight: whole("maxInFlight", options.maxInFlight, 10_000),
    shutdownMillis: millis("shutdownTimeout", options.shutdownTimeout, 0, 0),
    dialGate: options.dialGate ?? ((_, dial) => dial)
  }
  return wrong.length === 0 ? settings : wrong
}
