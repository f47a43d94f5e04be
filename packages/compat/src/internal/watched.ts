import type { ExecuteOptions } from "@effect-scylla/driver/ExecuteOptions"
import type { Prepared } from "@effect-scylla/driver/Prepared"
import type { Coordinator } from "@effect-scylla/driver/ResultSet"
import type { Next } from "./errors.ts"
import { addressOf } from "./hosts.ts"
import { balancingOf, isDefaultBalancing, isDefaultRetry, retryOf } from "./policies.ts"
import { microsOf, type Wanted } from "./requestOptions.ts"
import type { Session } from "./session.ts"
import {
  adaptNamedParamsPrepared,
  adaptNamedParamsWithHints,
  TheirExecutionOptions,
  TheirRequests,
  theirs
} from "./theirs.ts"
import { typeInfoOf } from "./typeInfo.ts"

/**
 * Calls that somebody else has a say in: policies of the user's, trackers, keys and times of one's own. They take a way of their own, on
 * which `ExecutionOptions` of `cassandra-driver` are made for who is asked, so that all others pay nothing for it.
 */

const { ConstantSpeculativeExecutionPolicy, NoSpeculativeExecutionPolicy } = theirs.policies.speculativeExecution as any
const { Token, TokenRange } = (theirs as any).token
const NOTHING: ReadonlyArray<unknown> = []

/** Who is told of what becomes of it. */
export interface Watched {
  readonly succeeded: (coordinator: Coordinator, bytes: number, latency: [number, number]) => void
  readonly failed: (node: string | undefined, made: Error, latency: [number, number]) => void
}

/** What of a call is needed here. */
export interface Watchable {
  readonly session: Session
  readonly query: any
  readonly params: any
  readonly given: any
  readonly rowCallback: unknown
  wanted: Wanted
  consistency: number
  isIgnored: boolean
  next: Next
  watched: Watched | undefined
  readonly guessed: () => unknown
  readonly send: (statement: Prepared | string, values: any) => void
  readonly misfit: (error: unknown) => void
  readonly refuse: (error: unknown) => void
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** The id of a statement has so many bytes, wherever its length counts. */
const ID = Buffer.alloc(16)

/** The nodes in the order in which a policy wants them asked. */
const planOf = (session: Session, policy: any, executionOptions: any): Promise<any> =>
  new Promise((resolve, reject) => {
    policy.newQueryPlan(
      session.client.keyspace,
      executionOptions,
      (error: unknown, plan: unknown) => error ? reject(error as Error) : resolve(plan)
    )
  })

/** The time of a request: the caller's, or of the user's generator. */
const stamp = (session: Session, executionOptions: any, engine: Mutable<ExecuteOptions>): void => {
  const { client, generator } = session
  const given = executionOptions.getTimestamp()
  const made = given === undefined ? generator?.next(client) : given
  if (made === null) engine.timestamp = "server"
  else if (made !== undefined) engine.timestamp = microsOf(made)
  // Asked once for each request.
  executionOptions.getOrGenerateTimestamp = () =>
    made ?? (client.options.policies.timestampGeneration === null ? null : (theirs.types as any).Long.ZERO)
}

/** Who is asked, in which order; where the default decides, nothing is said. */
const route = async (session: Session, executionOptions: any, engine: Mutable<ExecuteOptions>): Promise<void> => {
  const { client } = session
  const policy = executionOptions.getLoadBalancingPolicy()
  const key = executionOptions.getRoutingKey()
  if (!isDefaultBalancing(policy)) {
    engine.balancing = balancingOf(await planOf(session, policy, executionOptions))
  } else if (key instanceof Token || key instanceof TokenRange) {
    const replicas = client.getReplicas(executionOptions.getKeyspace() ?? client.keyspace, key) ?? []
    const { balancing } = { balancing: balancingOf(replicas) }
    engine.balancing = (request, snapshot) => [...balancing(request, snapshot), ...request.plan]
  } else if (Buffer.isBuffer(key)) {
    const keyspace = executionOptions.getKeyspace()
    engine.routingKey = { key, ...(keyspace ? { keyspace } : {}) }
  }
}

/** What is done about failures, and who hears of them. */
const judge = (call: Watchable, executionOptions: any, engine: Mutable<ExecuteOptions>): void => {
  const { client, given } = call.session
  const policy = executionOptions.getRetryPolicy()
  if (isDefaultRetry(policy)) return
  const { metrics } = client
  engine.retry = retryOf({
    policy,
    query: typeof call.query === "string" ? call.query : undefined,
    executionOptions,
    isUnsafe: given.compat?.unsafeRetries === true,
    nodes: engine.balancing === undefined && engine.target === undefined
      ? () => call.session.engine?.cql.cluster().local ?? []
      : undefined,
    onNext: (next) => {
      call.next = next
    },
    onLevel: (consistency) => {
      call.consistency = consistency
    },
    onIgnore: (error) => {
      call.isIgnored = true
      metrics.onIgnoreError(error)
    }
  })
}

/** When other nodes are asked, by a policy of the user's. It is not told of a host: none is chosen yet. */
const speculate = (session: Session, query: unknown, engine: Mutable<ExecuteOptions>): void => {
  const { client } = session
  const policy = client.options.policies.speculativeExecution
  const isOwn = policy.constructor !== NoSpeculativeExecutionPolicy &&
    policy.constructor !== ConstantSpeculativeExecutionPolicy
  if (!isOwn || engine.idempotent !== true) return
  const plan = policy.newPlan(client.keyspace, query)
  engine.speculation = {
    delay: () => {
      const delay = plan.nextExecution()
      return typeof delay === "number" && delay >= 0 ? delay : undefined
    }
  }
}

/** A statement of a batch, as it is told. */
const describe = (item: any): object =>
  typeof item === "string" ? { query: item, params: undefined } : { query: item.query, params: item.params }

/** None where it cannot be written: the tracker hears of that as well. */
const lengthOf = (length: () => number): number => {
  try {
    return length()
  } catch {
    return 0
  }
}

/** The tracker of the client, if it has one. */
const watch = (call: Watchable, executionOptions: any, params: unknown, length: () => number): void => {
  const { client } = call.session
  const tracker = client.options.requestTracker
  if (tracker === null) return
  const requestLength = lengthOf(length)
  const query = typeof call.query === "string" ? call.query : call.query.map(describe)
  const hostOf = (address: string | undefined) => client.hosts.get(address) ?? client.controlConnection.host
  call.watched = {
    succeeded: (coordinator, bytes, latency) =>
      tracker.onSuccess(
        hostOf(addressOf(coordinator)),
        query,
        params,
        executionOptions,
        requestLength,
        // An answer without anything in it says that it is one.
        Math.max(4, bytes),
        latency
      ),
    failed: (node, made, latency) =>
      tracker.onError(
        hostOf(node),
        query,
        params,
        executionOptions,
        requestLength,
        made,
        latency
      )
  }
}

const startPrepared = async (
  call: Watchable,
  executionOptions: any,
  engine: Mutable<ExecuteOptions>
): Promise<void> => {
  const { session } = call
  const { bindings, encoder } = session
  const prepared: Prepared = await session.prepare(call.query, engine.keyspace)
  const values = adaptNamedParamsPrepared(call.params, prepared.variables) ?? NOTHING
  const columns = prepared.variables.map(({ name, type }) => ({ name, type: typeInfoOf(type) }))
  if (!executionOptions.getKeyspace() && prepared.keyspace !== "") executionOptions.setKeyspace(prepared.keyspace)
  if (executionOptions.getRoutingKey()) {
    encoder.setRoutingKeyFromUser(values, executionOptions, undefined)
  } else {
    executionOptions.setRoutingIndexes(prepared.partitionKey)
    ;(encoder as any).setRoutingKeyFromMeta({ columns }, values, executionOptions)
  }
  stamp(session, executionOptions, engine)
  await route(session, executionOptions, engine)
  judge(call, executionOptions, engine)
  speculate(call.session, call.query, engine)
  watch(call, executionOptions, values, () => {
    const request = new TheirRequests.ExecuteRequest(call.query, ID, values, executionOptions, { columns })
    request.write(encoder, 0)
    return request.length
  })
  call.wanted = { ...call.wanted, engine }
  call.send(prepared, bindings.settled(Array.isArray(values) ? values : NOTHING))
}

const startPlain = async (call: Watchable, executionOptions: any, engine: Mutable<ExecuteOptions>): Promise<void> => {
  const { client, encoder } = call.session
  await client.metadata.adaptUserHints(client.keyspace, executionOptions.getHints())
  const { keyIndexes, namedParameters, params } = adaptNamedParamsWithHints(call.params, executionOptions)
  encoder.setRoutingKeyFromUser(params, executionOptions, keyIndexes)
  stamp(call.session, executionOptions, engine)
  await route(call.session, executionOptions, engine)
  judge(call, executionOptions, engine)
  speculate(call.session, call.query, engine)
  let values: unknown = NOTHING
  try {
    if (params !== undefined && params !== null) values = call.guessed()
  } catch (error) {
    return call.misfit(error)
  }
  watch(call, executionOptions, params ?? undefined, () => {
    const request = new TheirRequests.QueryRequest(call.query, params, executionOptions, namedParameters)
    request.write(encoder, 0)
    return request.length
  })
  call.wanted = { ...call.wanted, engine }
  call.send(call.query, values)
}

/** Begins a call that is watched. */
export const start = (call: Watchable): void => {
  const executionOptions = TheirExecutionOptions.create(call.given, call.session.client, call.rowCallback)
  const engine: Mutable<ExecuteOptions> = { ...call.wanted.engine }
  // What was given stays as it was, page after page.
  if (engine.pagingState) executionOptions.setPageState(Buffer.from(engine.pagingState))
  const begin = call.wanted.isPrepared ? startPrepared : startPlain
  begin(call, executionOptions, engine).catch((error: unknown) => call.refuse(error))
}

/** The same for a batch, by the key of its first statement. */
export const startBatch = async (
  call: Watchable,
  first: { readonly prepared: Prepared; readonly values: ReadonlyArray<unknown> } | undefined,
  length: (executionOptions: any) => number
): Promise<ExecuteOptions> => {
  const { session } = call
  const { encoder } = session
  const executionOptions = TheirExecutionOptions.create(call.given, session.client)
  const engine: Mutable<ExecuteOptions> = { ...call.wanted.engine }
  if (executionOptions.getRoutingKey()) {
    encoder.setRoutingKeyFromUser(NOTHING, executionOptions, undefined)
  } else if (first !== undefined) {
    const { partitionKey, variables } = first.prepared
    const columns = variables.map(({ name, type }) => ({ name, type: typeInfoOf(type) }))
    executionOptions.setRoutingIndexes(partitionKey)
    ;(encoder as any).setRoutingKeyFromMeta({ columns }, first.values, executionOptions)
  }
  stamp(session, executionOptions, engine)
  await route(session, executionOptions, engine)
  judge(call, executionOptions, engine)
  speculate(call.session, call.query, engine)
  watch(call, executionOptions, undefined, () => length(executionOptions))
  return engine
}
