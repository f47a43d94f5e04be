import type { Options } from "@effect-scylla/driver/Options"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { authenticatorOf } from "./auth.ts"
import { codecOf } from "./codec.ts"
import { isDefaultBalancing } from "./policies.ts"
import { type Encoder, theirs } from "./theirs.ts"

const { ArgumentError } = theirs.errors as any
const { addressResolution, reconnection, speculativeExecution, timestampGeneration } = theirs.policies as any

/** The options of the user, and those with every default of `cassandra-driver` filled in. */
export interface Given {
  readonly given: any
  readonly filled: any
}

const refuse = (option: string, why: string): never => {
  throw new ArgumentError(`${option} is not supported by @effect-scylla/compat: ${why}`)
}

/** What is refused unless it is what happens anyway: an option that does nothing would be taken for one that does. */
const only = (option: string, value: unknown, usual: unknown, why: string): void => {
  if (value !== undefined && value !== null && value !== usual) refuse(option, `${why}; leave it out`)
}

const DSE = "graphs, proxy execution and GSSAPI are of DataStax Enterprise"

/** Those that `cassandra-driver` has not. */
const checkOwn = ({ compression, unsafeRetries, ...others }: any): void => {
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    throw new ArgumentError(`compat.${unknown}: there is no option of this name, only compression and unsafeRetries`)
  }
  if (compression !== undefined && !["none", "lz4", "snappy"].includes(compression)) {
    throw new ArgumentError(`compat.compression: "none", "lz4" or "snappy", got ${String(compression)}`)
  }
  if (unsafeRetries !== undefined && typeof unsafeRetries !== "boolean") {
    throw new ArgumentError(`compat.unsafeRetries: true or false, got ${String(unsafeRetries)}`)
  }
}

/** Throws for everything that is given and cannot be done. */
export const check = ({ given, filled }: Given): void => {
  const { cloud, encoding = {}, graphOptions, policies = {}, pooling = {}, protocolOptions = {}, socketOptions = {} } =
    given
  if (cloud !== undefined) refuse("cloud", "secure connect bundles of DataStax Astra need an SNI proxy")
  if (graphOptions !== undefined) refuse("graphOptions", DSE)
  if (filled.queryOptions.graphOptions !== undefined) refuse("queryOptions.graphOptions", DSE)
  if (filled.queryOptions.executeAs !== undefined) refuse("queryOptions.executeAs", DSE)
  void encoding
  checkOwn(given.compat ?? {})
  for (
    const [name, value, usual, why] of [
      ["keepAlive", socketOptions.keepAlive, true, "connections always have TCP keep-alive"],
      ["keepAliveDelay", socketOptions.keepAliveDelay, 0, "TCP keep-alive begins after the engine's own delay"],
      [
        "tcpNoDelay",
        socketOptions.tcpNoDelay,
        true,
        "requests of one turn of the event loop are one write, and nothing is to wait after that"
      ],
      [
        "coalescingThreshold",
        socketOptions.coalescingThreshold,
        65_536,
        "requests of one turn of the event loop are one write whatever their size"
      ],
      [
        "defunctReadTimeoutThreshold",
        socketOptions.defunctReadTimeoutThreshold,
        64,
        "connections are replaced by what the node answers to a probe, not by a count of timeouts"
      ]
    ] as const
  ) only(`socketOptions.${name}`, value, usual, why)
  const { heartBeatInterval = 0 } = pooling
  if (heartBeatInterval !== null && !(Number(heartBeatInterval) >= 0)) {
    refuse("pooling.heartBeatInterval", `milliseconds, or 0 for none, got ${String(heartBeatInterval)}`)
  }
  only("protocolOptions.noCompact", protocolOptions.noCompact, false, "the NO_COMPACT startup option is not sent")
  const { maxVersion } = protocolOptions
  if (maxVersion === 1 || maxVersion === 2) {
    refuse("protocolOptions.maxVersion", "version 3 of the protocol is the oldest that is spoken")
  }
  if (filled.prepareOnAllHosts !== filled.rePrepareOnUp) {
    refuse("prepareOnAllHosts", "it and rePrepareOnUp are one switch here: give both the same value")
  }
  for (const distance of Object.keys(pooling.coreConnectionsPerHost ?? {})) {
    const count = pooling.coreConnectionsPerHost[distance]
    if (Number(distance) === 0 && !(Number.isInteger(count) && count >= 1 && count <= 1024)) {
      refuse("pooling.coreConnectionsPerHost", `connections to a local node are 1 to 1024, got ${count}`)
    }
  }
  const { maxRequestsPerConnection } = pooling
  if (
    maxRequestsPerConnection !== undefined &&
    !(Number.isInteger(maxRequestsPerConnection) && maxRequestsPerConnection >= 1 && maxRequestsPerConnection <= 32_766)
  ) refuse("pooling.maxRequestsPerConnection", `a whole number from 1 to 32766, got ${maxRequestsPerConnection}`)
  const { speculativeExecution: speculation } = policies
  if (
    speculation !== undefined && !(speculation instanceof speculativeExecution.SpeculativeExecutionPolicy)
  ) refuse("policies.speculativeExecution", "it is no SpeculativeExecutionPolicy")
  for (const profile of filled.profiles ?? []) {
    if (Object.values(profile.graphOptions ?? {}).some((value) => value !== undefined)) {
      refuse(`the profile ${profile.name}: graphOptions`, DSE)
    }
  }
}

/** Delays by a policy of `cassandra-driver`: each row of failures has a schedule of its own. */
const scheduleOf = (policy: any): Schedule.Schedule<unknown, any> =>
  Schedule.fromStep(Effect.sync(() => {
    const delays = policy.newSchedule()
    return () => {
      const { value } = delays.next()
      return Effect.succeed([value, Number(value)] as never)
    }
  })) as Schedule.Schedule<unknown, any>

/** Where a node is dialled, by a translator with a callback. */
const translatorOf = (translator: any): Options["addressTranslator"] =>
  translator.constructor === addressResolution.AddressTranslator
    ? undefined
    : ({ address, port }) => new Promise((resolve) => translator.translate(address, port, resolve))

/** The engine's own stamps are those of the default generator: they grow, a microsecond at a time. */
export const generatorOf = (filled: any): { next(client: unknown): unknown } | undefined => {
  const { timestampGeneration: generator } = filled.policies
  return generator === null || generator.constructor === timestampGeneration.MonotonicTimestampGenerator
    ? undefined
    : generator
}

/** Who is asked in which datacenter. */
const datacenterOf = (filled: any): string | undefined => {
  for (let policy = filled.policies.loadBalancing; policy !== undefined; policy = policy.childPolicy) {
    if (typeof policy.localDc === "string") return policy.localDc
  }
  return filled.localDataCenter
}

/** Longer than anybody waits. */
const FOREVER = 2_000_000_000

/** Milliseconds of a request, of which none means that there is no end. */
export const timeoutOf = (millis: number): number => millis > 0 ? Math.min(millis, FOREVER) : FOREVER

/** Milliseconds of silence before a node is asked whether it lives; 0: it is not asked. */
const heartbeatOf = ({ pooling: { heartBeatInterval } }: any): number => timeoutOf(Number(heartBeatInterval ?? 0))

const poolingOf = ({ pooling = {} }: any): Pick<Options, "connections" | "maxInFlight"> => {
  const count = pooling.coreConnectionsPerHost?.[0]
  return {
    ...(count === undefined ? {} : { connections: { perNode: count } }),
    ...(pooling.maxRequestsPerConnection === undefined ? {} : { maxInFlight: pooling.maxRequestsPerConnection })
  }
}

/** What the engine is to do for these options. */
export const engineOptions = (
  { filled, given }: Given,
  encoder: Encoder,
  keyspace: string | undefined,
  hostFilter: Options["hostFilter"]
): Options => {
  const { maxSchemaAgreementWaitSeconds, maxVersion } = filled.protocolOptions
  const agreementMillis = 1_000 * maxSchemaAgreementWaitSeconds
  const { policies, socketOptions, sslOptions } = filled
  const datacenter = datacenterOf(filled)
  const authenticator = authenticatorOf(filled.authProvider)
  const { compression, unsafeRetries: _ } = given.compat ?? {}
  const isOwnReconnection = given.policies?.reconnection !== undefined
  const speculation = policies.speculativeExecution
  return {
    contactPoints: filled.contactPoints,
    port: filled.protocolOptions.port,
    ...(datacenter === undefined ? {} : { localDatacenter: datacenter }),
    ...(keyspace === undefined || keyspace === null ? {} : { keyspace }),
    ...(authenticator === undefined ? {} : { authenticator, onMissingChallenge: "allow" }),
    // cassandra-driver verifies no certificate unless it is told to.
    ...(sslOptions === undefined || sslOptions === null ? {} : { tls: { rejectUnauthorized: false, ...sslOptions } }),
    ...poolingOf(given),
    heartbeatInterval: heartbeatOf(filled),
    addressTranslator: translatorOf(policies.addressResolution),
    ...(isOwnReconnection && policies.reconnection instanceof reconnection.ReconnectionPolicy
      ? { reconnect: scheduleOf(policies.reconnection) }
      : {}),
    ...(isDefaultBalancing(policies.loadBalancing) ? {} : { hostFilter }),
    // How often is for the policy to say.
    ...(speculation.constructor === speculativeExecution.NoSpeculativeExecutionPolicy
      ? {}
      : { speculationLimit: { share: 10, burst: 1_000_000 } }),
    retryBudget: false,
    consistency: "LOCAL_ONE",
    serialConsistency: "SERIAL",
    requestTimeout: timeoutOf(socketOptions.readTimeout),
    schemaTimeout: Math.max(65_000, timeoutOf(socketOptions.readTimeout)),
    schemaAgreementTimeout: agreementMillis > 0 && agreementMillis,
    connectTimeout: socketOptions.connectTimeout,
    handshakeTimeout: socketOptions.connectTimeout,
    maxRows: 2 ** 31 - 1,
    timestamps: policies.timestampGeneration === null ? "server" : "client",
    maxPrepared: filled.maxPrepared,
    prepareEverywhere: filled.prepareOnAllHosts,
    protocolVersion: maxVersion === 3 || maxVersion === 4 ? maxVersion : "auto",
    ...(compression === undefined ? {} : { compression }),
    ...(typeof filled.applicationName === "string" ? { applicationName: filled.applicationName } : {}),
    ...(typeof filled.applicationVersion === "string" ? { applicationVersion: filled.applicationVersion } : {}),
    clientId: String(filled.id),
    codec: { codecOf: codecOf({ encoder, isBigInt: filled.encoding.useBigIntAsLong === true }) }
  } as Options
}
