import type { ExecuteOptions } from "@effect-scylla/driver/ExecuteOptions"
import * as Consistency from "@effect-scylla/protocol/Consistency"
import type { RowMaker } from "@effect-scylla/protocol/RowShape"
import { timeoutOf } from "./clientOptions.ts"
import { isDefaultBalancing, isDefaultRetry } from "./policies.ts"
import { rowMaker } from "./rows.ts"
import { theirs } from "./theirs.ts"

const { ArgumentError, NotSupportedError } = theirs.errors as any
const { ConstantSpeculativeExecutionPolicy, NoSpeculativeExecutionPolicy } = theirs.policies.speculativeExecution as any
const { Long } = theirs.types as any

/** The options of a call: those of the engine, and what is done about it here. */
export interface Wanted {
  readonly engine: Mutable<ExecuteOptions>
  readonly isPrepared: boolean
  /** Its code. */
  readonly consistency: number
  readonly hints: ReadonlyArray<unknown> | object | undefined
  readonly isCapturing: boolean
  /** A policy or a tracker of the user's is told of it. */
  readonly isWatched: boolean
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const first = (...values: ReadonlyArray<unknown>): any => values.find((value) => value !== undefined)

const levelOf = (code: unknown, what: string): Consistency.Consistency => {
  try {
    return Consistency.fromCode(code as number)
  } catch {
    throw new ArgumentError(`${what} is one of types.consistencies, got ${String(code)}`)
  }
}

export const unknownProfile = ({ executionProfile }: { readonly executionProfile?: unknown }): Error =>
  new ArgumentError(`Execution profile "${String(executionProfile)}" not found`)

/** Microseconds as the engine takes them. */
export const microsOf = (timestamp: unknown): bigint => {
  if (typeof timestamp === "number" && Number.isFinite(timestamp)) return BigInt(Math.trunc(timestamp))
  if (timestamp instanceof Long) return BigInt((timestamp as any).toString())
  throw new ArgumentError(`timestamp is a Number or a Long of microseconds, got ${String(timestamp)}`)
}

const payloadOf = (payload: any): NonNullable<ExecuteOptions["customPayload"]> => {
  const found: Record<string, Uint8Array | null> = {}
  for (const name of Object.keys(payload)) found[name] = payload[name] ?? null
  return found
}

/** Bytes of a state, which may come as the text of `result.pageState`. Throws for what servers would choke on. */
export const stateOf = (state: unknown): Uint8Array | undefined => {
  if (state === undefined || state === null) return undefined
  if (typeof state === "string") return Buffer.from(state, "hex")
  if (state instanceof Uint8Array) return state
  throw new ArgumentError(`pageState is a text or a Buffer, got ${String(state)}`)
}

/** The node that is to be asked. */
const targetOf = (host: any): NonNullable<ExecuteOptions["target"]> => {
  if (host.hostId === undefined) throw new ArgumentError(`host is one of client.hosts, got ${String(host)}`)
  return { hostId: String(host.hostId) }
}

/** What a call may be given; by the way of an object, a getter of a class as well. */
const isUsual = (given: any): boolean =>
  given.consistency === undefined && given.fetchSize === undefined && given.isIdempotent === undefined &&
  given.hints === undefined && given.pageState === undefined && given.readTimeout === undefined &&
  given.serialConsistency === undefined && given.timestamp === undefined && given.executionProfile === undefined &&
  given.keyspace === undefined && given.host === undefined && given.retry === undefined &&
  given.routingKey === undefined && given.routingIndexes === undefined && given.routingNames === undefined &&
  given.traceQuery === undefined && given.customPayload === undefined && given.captureStackTrace === undefined &&
  given.executeAs === undefined && given.graphOptions === undefined

/** What a client's defaults are, which do not change once it is connected. */
export class RequestOptions {
  private readonly client: any
  private readonly rows: RowMaker<unknown>
  /** With the client's defaults alone, by whether it is prepared: the options of most calls. */
  private usual: readonly [unprepared: Wanted, prepared: Wanted] | undefined = undefined

  constructor(client: any, isScylla: () => boolean) {
    this.client = client
    this.rows = rowMaker(isScylla)
  }

  /** Throws `ArgumentError`. */
  of(given: any): Wanted {
    const usual = this.usual ??= [this.read({ prepare: false }), this.read({ prepare: true })]
    if (given === undefined || given === null) return usual[this.client.options.queryOptions.prepare === true ? 1 : 0]
    if (!isUsual(given)) return this.read(given)
    return usual[first(given.prepare, this.client.options.queryOptions.prepare) ? 1 : 0]
  }

  private read(given: any): Wanted {
    const { options, profileManager } = this.client
    const defaults = options.queryOptions
    const profile = profileManager.getProfile(given.executionProfile)
    if (!profile) throw unknownProfile(given)
    if (given.graphOptions !== undefined || given.executeAs !== undefined) {
      throw new NotSupportedError(
        `${
          given.executeAs === undefined ? "graphOptions" : "executeAs"
        } is of DataStax Enterprise, which @effect-scylla/compat does not speak`
      )
    }
    // ANY is 0, and cassandra-driver takes that for none: what was acknowledged by a replica there is to be so here.
    const consistency = first(given.consistency, profile.consistency, defaults.consistency, 10) || 1
    const serial = first(given.serialConsistency, profile.serialConsistency, defaults.serialConsistency)
    const fetchSize = first(given.fetchSize, defaults.fetchSize)
    const idempotent = first(given.isIdempotent, defaults.isIdempotent)
    const readTimeout = first(given.readTimeout, profile.readTimeout)
    const customPayload = given.customPayload || defaults.customPayload
    const engine: Mutable<ExecuteOptions> = {
      rows: this.rows,
      consistency: levelOf(consistency, "consistency"),
      pageSize: fetchSize > 0 ? Math.trunc(fetchSize) : 2 ** 31 - 1
    }
    if (serial) engine.serialConsistency = levelOf(serial, "serialConsistency") as Consistency.SerialConsistency
    if (idempotent !== undefined && idempotent !== null) engine.idempotent = Boolean(idempotent)
    if (readTimeout !== undefined && readTimeout !== null) engine.timeout = timeoutOf(Number(readTimeout))
    if (customPayload) engine.customPayload = payloadOf(customPayload)
    if (first(given.traceQuery, defaults.traceQuery)) engine.tracing = true
    if (given.host) engine.target = targetOf(given.host)
    const state = stateOf(given.pageState)
    if (state !== undefined) engine.pagingState = state
    if (given.timestamp === null) engine.timestamp = "server"
    else if (given.timestamp !== undefined) engine.timestamp = microsOf(given.timestamp)
    // Before v5 it is for routing alone, which knows the keyspace of a prepared statement.
    if (given.keyspace && this.client.controlConnection.protocolVersion >= 5) engine.keyspace = given.keyspace
    const speculation = options.policies.speculativeExecution
    // cassandra-driver speculates with nothing but what is said to be idempotent.
    const isSpeculating = engine.idempotent === true && speculation.constructor !== NoSpeculativeExecutionPolicy
    const isConstant = speculation.constructor === ConstantSpeculativeExecutionPolicy
    if (isSpeculating && isConstant) engine.speculation = constantSpeculation(speculation)
    const retry = first(given.retry, profile.retry, options.policies.retry)
    return {
      engine,
      isPrepared: Boolean(first(given.prepare, defaults.prepare)),
      consistency,
      hints: given.hints,
      isCapturing: Boolean(first(given.captureStackTrace, defaults.captureStackTrace)),
      isWatched: options.requestTracker !== null || !isDefaultRetry(retry) ||
        !isDefaultBalancing(profile.loadBalancing) || (isSpeculating && !isConstant) || this.client._isStampedByUser ||
        given.routingKey !== undefined || given.routingIndexes !== undefined || given.routingNames !== undefined
    }
  }
}

/** As the engine has it: not at once, and to eight more nodes at most. */
const constantSpeculation = (policy: any): NonNullable<ExecuteOptions["speculation"]> => ({
  delay: Math.max(1, policy._delay),
  max: Math.min(8, policy._maxSpeculativeExecutions)
})
