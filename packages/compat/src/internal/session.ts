import type { CqlError } from "@effect-scylla/driver/CqlError"
import type { Prepared } from "@effect-scylla/driver/Prepared"
import { Answerers } from "./answerers.ts"
import { check, engineOptions, generatorOf, type Given } from "./clientOptions.ts"
import { Control } from "./control.ts"
import { type Engine, open } from "./engine.ts"
import { because, fromCqlError } from "./errors.ts"
import { addressOf, Host } from "./hosts.ts"
import { RequestOptions } from "./requestOptions.ts"
import { type Encoder, theirs } from "./theirs.ts"
import { Bindings } from "./values.ts"

const { DefaultMetrics } = theirs.metrics as any
const { distance, responseErrorCodes } = theirs.types as any

/** Statements that are known by their texts, for values by name and other things that need their columns. */
const KEPT = 500

/** How the engine says, once in a while, what servers warn of. */
const SERVER_WARNS = /^\S+:\d+ warns: /

/** What a client has behind what its users see. */
export class Session {
  readonly client: any
  readonly given: any
  readonly encoder: Encoder
  readonly bindings: Bindings
  readonly control: Control
  readonly requests: RequestOptions
  readonly answerers = new Answerers()
  /** A user's own, that has to be asked for the time of each request. */
  readonly generator: { next(client: unknown): unknown } | undefined
  engine: Engine | undefined = undefined
  private readonly known = new Map<string, Prepared>()
  /** Holds the process until the client is shut down, as sockets of `cassandra-driver` do. */
  private keeper: ReturnType<typeof setInterval> | undefined = undefined

  constructor(client: any, given: any) {
    const options: Given = { given, filled: client.options }
    check(options)
    this.client = client
    this.given = given
    this.encoder = new theirs.Encoder(4, client.options)
    this.bindings = new Bindings(this.encoder, client.options.encoding.useUndefinedAsUnset === true)
    this.control = new Control(client.controlConnection, client.options, this.encoder, (error) => {
      client.metrics.onConnectionError(error)
    })
    this.requests = new RequestOptions(client, () => this.engine?.cql.isShardAware() === true)
    this.generator = generatorOf(client.options)
  }

  /** Connects, and tells the client about the cluster. Throws errors of `cassandra-driver`. */
  async begin(): Promise<void> {
    const { client, control } = this
    const engine = await this.open(client.keyspace)
    this.engine = engine
    this.keeper ??= setInterval(() => {}, 2 ** 30)
    try {
      ;(this.encoder as any).setProtocolVersion(engine.cql.shardAwareStats().protocolVersion)
      await control.begin(engine)
      await client.profileManager.init(client, client.hosts)
      for (const host of client.hosts.values()) client.profileManager.getDistance(host)
      client.options.policies.speculativeExecution.init(client)
      this.complete()
      if (client.options.pooling.warmup) await this.warm(engine)
      control.follow(engine)
    } catch (error) {
      await this.end()
      throw error
    }
  }

  /** Whether somebody wants to know how long requests take: nobody, as long as nobody listens to the default metrics. */
  get isMeasured(): boolean {
    const { metrics, options } = this.client
    return metrics.constructor !== DefaultMetrics || options.requestTracker !== null ||
      metrics.responses.listenerCount("increment") > 0 || metrics.responses.success.listenerCount("increment") > 0
  }

  /** What servers warn of, for whoever listens. */
  warn(warnings: ReadonlyArray<string>, query: unknown): void {
    const what = typeof query === "string" ? query : "a batch"
    for (const warning of warnings) this.client.log("warning", `the server warns of "${what}": ${warning}`)
  }

  /** Another keyspace for all that comes from now on; what is under way is finished in the one before. */
  async use(keyspace: string): Promise<void> {
    const before = this.engine!
    const engine = await this.open(keyspace)
    this.engine = engine
    this.known.clear()
    this.client.keyspace = keyspace
    this.control.goOn(engine)
    this.control.follow(engine)
    before.close().catch(() => {})
  }

  async end(): Promise<void> {
    clearInterval(this.keeper)
    this.keeper = undefined
    const { engine } = this
    this.engine = undefined
    this.known.clear()
    this.control.clear()
    await engine?.close()
  }

  /** Ends after what is under way. */
  async shutdown(): Promise<void> {
    const { engine } = this
    this.control.end()
    await engine?.close()
    clearInterval(this.keeper)
    this.keeper = undefined
  }

  private async open(keyspace: string | undefined): Promise<Engine> {
    const { client, given } = this
    const options = engineOptions(
      { given, filled: client.options },
      this.encoder,
      keyspace,
      (node) => this.isWanted(node)
    )
    try {
      return await open(options, (level, message) => {
        // What servers warn of is told with each answer.
        if (level !== "warning" || !SERVER_WARNS.test(message)) client.log(level, message)
      })
    } catch (error) {
      const { _tag } = (error as CqlError).reason ?? {}
      if (_tag === "AuthenticationFailed" || _tag === "BadCredentials") client.metrics.onAuthenticationError(error)
      throw connectError(error as CqlError, client.options.contactPoints[0], keyspace)
    }
  }

  /** Whether some policy wants to hear of a node: those that are ignored by all are never dialled. */
  private isWanted(node: any): boolean {
    const { client } = this
    const host = client.hosts.get(addressOf(node)) ?? this.stranger(node)
    return client.profileManager._loadBalancingPolicies.every((policy: any) => {
      try {
        return withDatacenter(
          policy,
          client.options.localDataCenter,
          () => policy.getDistance(host) === distance.ignored
        )
      } catch {
        // Before it is told of the cluster.
        return false
      }
    }) === false
  }

  private stranger(node: any): Host {
    const { client } = this
    const host = new Host(addressOf(node), client.options, client.metadata, 4)
    return Object.assign(host, { datacenter: node.datacenter, rack: node.rack, cassandraVersion: node.releaseVersion })
  }

  /** The defaults that are known once the cluster is. */
  private complete(): void {
    const { options } = this.client
    options.queryOptions.consistency ??= theirs.types.consistencies.localOne
    options.pooling = {
      ...options.pooling,
      coreConnectionsPerHost: {
        [distance.local]: 1,
        [distance.remote]: 1,
        [distance.ignored]: 0,
        ...options.pooling.coreConnectionsPerHost
      },
      maxRequestsPerConnection: options.pooling.maxRequestsPerConnection ?? 2048
    }
  }

  /** Waits until each local node has its connections, or has shown that it gives none. */
  private async warm({ cql }: Engine): Promise<void> {
    const end = Date.now() + this.client.options.socketOptions.connectTimeout
    const isOpening = (): boolean =>
      cql.cluster().local.some(({ pool }) => pool !== undefined && !pool.isFull && pool.lastReason === undefined)
    while (isOpening() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  /** The statement, if it was asked for before. */
  preparedNow(query: string, keyspace: string | undefined): Prepared | undefined {
    return this.known.get(`${keyspace ?? ""}\0${query}`)
  }

  /** The statement as the cluster knows it. Throws errors of `cassandra-driver`. */
  async prepare(query: string, keyspace: string | undefined): Promise<Prepared> {
    const before = this.preparedNow(query, keyspace)
    if (before !== undefined) return before
    try {
      const prepared = await this.engine!.promise(
        this.engine!.cql.prepare(query, keyspace === undefined ? undefined : { keyspace })
      )
      if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value!)
      this.known.set(`${keyspace ?? ""}\0${query}`, prepared)
      return prepared
    } catch (error) {
      throw fromCqlError(error as CqlError, { query })
    }
  }
}

/** Policies learn the datacenter of the options when they are told of the cluster, and are asked of its nodes before that. */
const withDatacenter = <A>(policy: any, datacenter: string | undefined, ask: () => A): A => {
  const without: Array<any> = []
  for (let each = policy; each; each = each.childPolicy) if ("localDc" in each && !each.localDc) without.push(each)
  for (const each of without) each.localDc = datacenter
  try {
    return ask()
  } finally {
    for (const each of without) each.localDc = undefined
  }
}

const { ArgumentError, NoHostAvailableError, ResponseError } = theirs.errors as any

/** Why it could not connect: what the server says of the keyspace is said as it is, everything else by node. */
const connectError = (error: CqlError, contactPoint: string, keyspace: string | undefined): Error => {
  if (error?._tag !== "CqlError") return error as Error
  const { reason } = error
  if (reason._tag === "InvalidConfiguration") {
    const [issue] = reason.issues
    // In a server's words, which was not asked.
    if (issue?.path === "keyspace") {
      return because(new ResponseError(responseErrorCodes.invalid, `Keyspace '${keyspace}' does not exist`), error)
    }
    if (issue?.path === "localDatacenter") {
      return because(new NoHostAvailableError({ [contactPoint]: new ArgumentError(issue.message) }), error)
    }
  }
  if (reason._tag === "AuthenticationFailed" || reason._tag === "BadCredentials") {
    return because(new NoHostAvailableError({ [contactPoint]: fromCqlError(error) }), error)
  }
  const reasons = reason._tag === "NoContactPoint" ? reason.reasons.map(({ reason }) => reason) : [reason]
  for (const each of reasons) {
    if (each._tag !== "HandshakeFailed" || each.error?._tag !== "InvalidRequest") continue
    const { message } = each.error
    return because(new ResponseError(responseErrorCodes.invalid, message), error)
  }
  return fromCqlError(error)
}
