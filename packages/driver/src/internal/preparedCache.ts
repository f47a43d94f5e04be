import type { Connection } from "@effect-scylla/pool/Connection"
import { MalformedResponse } from "@effect-scylla/pool/PoolError"
import { format } from "@effect-scylla/protocol/CqlType"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type * as Response from "@effect-scylla/protocol/Response"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { markersOf } from "@effect-scylla/sharding/RoutingKey"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Attempt, ClientClosed, CqlError, NoNodeAvailable, StatementChanged } from "../CqlError.ts"
import { Prepared } from "../Prepared.ts"
import { decide } from "../RetryPolicy.ts"
import type { Node } from "../Snapshot.ts"
import * as StatementKind from "../StatementKind.ts"
import type { Core } from "./core.ts"
import { Literals } from "./literals.ts"
import { notSent } from "./notSent.ts"
import * as SystemTables from "./systemTables.ts"
import type { Teacher } from "./teacher.ts"

/** Milliseconds after which another node is asked to prepare a statement. */
const ATTEMPT_MILLIS = 2_000

/** Milliseconds between looks for a connection. */
const NOBODY_THERE = 100

/** How many statements are remembered, and how many bytes of them. */
export interface Bounds {
  readonly count: number
  readonly bytes: number
}

/** What a statement is known by: its text, and the keyspace if it was given one. */
const keyOf = (text: string, keyspace: string | undefined): string =>
  keyspace === undefined ? text : `${keyspace}\0${text}`

/**
 * Prepared statements by their text and keyspace. Least recently used ones are forgotten past the bounds, of their number and of their
 * bytes, so that texts with values inlined cannot fill the memory. Each text is prepared once however many ask for it, and once
 * for each node that has forgotten it; whoever gives up waiting does not stop it for the others.
 */
export class PreparedCache {
  private readonly statements = new Map<string, Prepared>()
  private readonly preparing = new Map<string, Deferred.Deferred<Prepared, CqlError>>()
  private readonly core: Core
  private readonly scope: Scope.Scope
  private readonly decoders = new RowDecoders()
  private readonly bounds: Bounds
  private readonly literals = new Literals()
  /** Of the partition keys of tables, for v3, as of an epoch of the schema. */
  private keys = { epoch: -1, of: new Map<string, ReadonlyArray<string>>() }
  private bytes = 0
  /** Of all statements. */
  private uses = 0
  /** Statements that were forgotten for the bounds. */
  evictions = 0
  /** `undefined`: nodes are taught on the way only. */
  teacher: Teacher | undefined = undefined

  constructor(core: Core, scope: Scope.Scope, bounds: Bounds) {
    this.core = core
    this.scope = scope
    this.bounds = bounds
  }

  /** Statements that are remembered. */
  get size(): number {
    return this.statements.size
  }

  /** The statement, if it is prepared. */
  get(text: string, keyspace?: string): Prepared | undefined {
    const found = this.statements.get(keyOf(text, keyspace))
    if (found !== undefined) found.usedAt = ++this.uses
    return found
  }

  /** Marks it as used. */
  private touch(prepared: Prepared): void {
    const key = keyOf(prepared.text, prepared.givenKeyspace)
    this.drop(key)
    this.statements.set(key, prepared)
    prepared.usedAt = ++this.uses
    // What it weighs may change.
    prepared.keptWeight = prepared.weight
    this.bytes += prepared.keptWeight
    const { bytes, count } = this.bounds
    while (this.statements.size > count || (this.bytes > bytes && this.statements.size > 1)) {
      this.drop(this.leastUsed())
      this.evictions++
    }
  }

  /** Looked for only when one has to go: that is a round trip anyhow, and each use costs no more than a number. */
  private leastUsed(): string {
    let least = ""
    let at = Infinity
    for (const [key, { usedAt }] of this.statements) {
      if (usedAt >= at) continue
      at = usedAt
      least = key
    }
    return least
  }

  private drop(key: string): void {
    const known = this.statements.get(key)
    if (known === undefined) return
    this.statements.delete(key)
    this.bytes -= known.keptWeight
  }

  /** A statement that was not known: perhaps one of many that are alike. */
  private added(prepared: Prepared): void {
    const warning = this.literals.observe(prepared.text)
    if (warning !== undefined) this.core.warnings.warn("literals", warning, Infinity)
    this.spread(prepared)
  }

  /** Teaches the other nodes, in the background. */
  private spread(prepared: Prepared): void {
    const { teacher } = this
    if (teacher === undefined) return
    const { local, remote } = this.core.snapshot
    for (const node of local) if (node.pool?.isUp === true) teacher.add(prepared, node)
    for (const node of remote) if (node.pool?.isUp === true) teacher.add(prepared, node)
  }

  /** A node is there, perhaps again: what is in use is prepared before requests get there, what was used last first. */
  nodeUp(hostId: string): void {
    const { teacher } = this
    const node = this.core.snapshot.hosts.get(hostId)
    for (const prepared of [...this.statements.values()].toSorted((a, b) => b.usedAt - a.usedAt)) {
      // It may have been started anew, and remember nothing.
      prepared.knownBy.delete(hostId)
      if (teacher !== undefined && node !== undefined) teacher.add(prepared, node)
    }
  }

  /** One job of the teacher's. What does not work out is left to the request that gets there. */
  readonly teach = (node: Node, prepared: Prepared): Effect.Effect<void> =>
    Effect.suspend(() => {
      const now = this.core.snapshot.hosts.get(node.hostId)
      const connection = now?.pool?.isUp === true ? now.pool.pickReserved() : undefined
      const isInUse = this.statements.get(keyOf(prepared.text, prepared.givenKeyspace)) === prepared
      return connection === undefined || !isInUse
        ? Effect.void
        : Effect.ignore(this.reprepare(now!, connection, prepared, false))
    })

  prepare(text: string, keyspace?: string): Effect.Effect<Prepared, CqlError> {
    return Effect.suspend(() => {
      const known = this.get(text, keyspace)
      if (known === undefined) return this.once(keyOf(text, keyspace), text, this.anywhere(text, keyspace))
      this.touch(known)
      this.core.schema.check(known)
      if (known.confirmed === undefined || known.preparedEpoch === this.core.schema.epoch) return Effect.succeed(known)
      // Who prepares it now wants it as it is now; for whoever has it from before it may be no more what it was.
      return this.refresh(known).pipe(
        Effect.as(known),
        Effect.catchReason("CqlError", "StatementChanged", () => this.prepare(text, keyspace))
      )
    })
  }

  /** Teaches a node that has forgotten the statement, or that may have other types for it since the schema changed. */
  readonly reprepare = (
    node: Node,
    connection: Connection,
    prepared: Prepared,
    isInUse = true
  ): Effect.Effect<void, CqlError> => {
    const { givenKeyspace, text } = prepared
    const { core } = this
    // Where others can be asked, one node does not take all the time.
    const { timeoutMillis } = core.defaults
    const millis = core.waitable(undefined, [], [node]).length > 0
      ? Math.min(ATTEMPT_MILLIS, timeoutMillis)
      : timeoutMillis
    return Effect.flatMap(
      this.once(
        `${node.hostId} ${keyOf(text, givenKeyspace)}`,
        text,
        this.on(node, connection, text, givenKeyspace, millis),
        isInUse
      ),
      (again) => this.compare(prepared, again)
    )
  }

  /** Prepares a statement again wherever that can be done. */
  readonly refresh = (prepared: Prepared): Effect.Effect<void, CqlError> => {
    const { givenKeyspace, text } = prepared
    return Effect.flatMap(
      this.once(` ${keyOf(text, givenKeyspace)}`, text, this.anywhere(text, givenKeyspace)),
      (again) => this.compare(prepared, again)
    )
  }

  /** The statement as a node has just given it: what is known is confirmed for that node, or renewed. */
  private compare(before: Prepared, after: Prepared): Effect.Effect<void, CqlError> {
    const { core } = this
    if (!before.isSame(after)) {
      this.drop(keyOf(before.text, before.givenKeyspace))
      return Effect.fail(
        new CqlError({
          reason: new StatementChanged({
            message: `the statement is another one since the schema changed (variables were: ${shape(before)}; are: ${
              shape(after)
            }): prepare it again`
          }),
          outcome: "Rejected",
          attempts: [],
          statement: before.text
        })
      )
    }
    for (const hostId of after.knownBy) before.knownBy.add(hostId)
    if (before.hasTypesOf(after)) before.relearned(after)
    else {
      before.renew(after)
      // The others may not have it yet.
      before.confirmed = new Set()
    }
    // What changed while it was asked is another question.
    if (after.preparedEpoch === core.schema.epoch && after.preparedBy !== undefined) {
      core.schema.check(before)
      core.confirm(before, after.preparedBy)
    }
    return Effect.void
  }

  /** Runs `prepare` unless somebody does already; it goes on when the caller is interrupted. */
  private once(
    key: string,
    text: string,
    prepare: Effect.Effect<Prepared, CqlError>,
    isInUse = true
  ): Effect.Effect<Prepared, CqlError> {
    return Effect.suspend(() => {
      if (this.core.closed) {
        return Effect.fail(notSent(new ClientClosed({ message: "the client is closed: its scope has ended" }), text))
      }
      const running = this.preparing.get(key)
      if (running !== undefined) return Deferred.await(running)
      const deferred = Deferred.makeUnsafe<Prepared, CqlError>()
      this.preparing.set(key, deferred)
      // A getter of a bound value may ask for it: not in the midst of that frame.
      const work = (this.core.isEncoding ? Effect.andThen(Effect.yieldNow, prepare) : prepare).pipe(
        Effect.tap((prepared) =>
          Effect.sync(() => {
            const known = this.statements.get(keyOf(prepared.text, prepared.givenKeyspace))
            if (known === undefined || isInUse) this.touch(known ?? prepared)
            if (known === undefined) this.added(prepared)
          })
        ),
        Effect.onInterrupt(() =>
          Deferred.fail(
            deferred,
            notSent(new ClientClosed({ message: "the client was closed while it prepared a statement" }), text)
          )
        ),
        Effect.exit,
        Effect.flatMap((exit) => {
          this.preparing.delete(key)
          return Deferred.done(deferred, exit)
        })
      )
      return Effect.andThen(Effect.forkIn(work, this.scope, { startImmediately: true }), Deferred.await(deferred))
    })
  }

  private on(
    node: Node,
    connection: Connection,
    text: string,
    keyspace: string | undefined,
    timeoutMillis = this.core.defaults.timeoutMillis
  ): Effect.Effect<Prepared, CqlError> {
    const { core } = this
    const begun = core.millis
    const fail = (reason: CqlError["reason"], ...attempts: ReadonlyArray<Attempt>) =>
      Effect.fail(notSent(reason, text, attempts))
    const failed = (reason: CqlError["reason"]) =>
      fail(reason, {
        node: `${node.address}:${node.port}`,
        shard: connection.shard ?? 0,
        reason,
        sent: reason._tag !== "ConnectionBusy",
        durationMillis: core.millis - begun,
        decision: "Fail"
      })
    const { version } = connection.dialect
    if (keyspace !== undefined && version < 5) {
      const message = `the keyspace of a single statement needs protocol v5, and the connection speaks v${version}: ` +
        "name the keyspace in the statement"
      return fail(new EncodeError({ message, path: "", cqlType: "" }))
    }
    const asked = { epoch: core.schema.epoch, millis: core.millis, node, owner: core.schema }
    return Effect.matchEffect(
      connection.request({ _tag: "Prepare", query: text, keyspace }, {
        timeoutMillis,
        decoders: core.decoders,
        isRepeatable: true
      }),
      {
        onFailure: (error) => failed(error.reason),
        onSuccess: ({ response }) =>
          response._tag === "Prepared"
            ? Effect.map(this.withKey(connection, response), (told) => {
              const prepared = new Prepared(text, told, connection.features, keyspace, asked, core.codec)
              prepared.knownBy.add(node.hostId)
              return prepared
            })
            : response._tag === "Error"
            ? failed(response.error)
            : failed(new MalformedResponse({ message: `PREPARE was answered with ${response._tag}` }))
      }
    )
  }

  /** v3 does not tell which variables are the partition key: their names and the schema do. Without it, the request goes anywhere. */
  private withKey(connection: Connection, response: Response.Prepared): Effect.Effect<Response.Prepared> {
    const { variables } = response
    const [first] = variables.columns
    if (connection.dialect.version !== 3 || first === undefined || variables.partitionKey.length > 0) {
      return Effect.succeed(response)
    }
    const { core } = this
    if (this.keys.epoch !== core.schema.epoch) this.keys = { epoch: core.schema.epoch, of: new Map() }
    const { of } = this.keys
    const table = `${first.keyspace}.${first.table}`
    const known = of.get(table)
    const asked = known === undefined
      ? Effect.tap(
        Effect.orElseSucceed(
          SystemTables.partitionKey(connection, this.decoders, first.keyspace, first.table),
          (): ReadonlyArray<string> => []
        ),
        (key) => Effect.sync(() => key.length > 0 && of.set(table, key))
      )
      : Effect.succeed(known)
    return Effect.map(asked, (key) => {
      const markers = markersOf(key, variables.columns.map(({ name }) => name))
      return markers === undefined ? response : { ...response, variables: { ...variables, partitionKey: markers } }
    })
  }

  /** On one local node after the other until one answers; those that did not in time get all of it once the others were asked. */
  private anywhere(text: string, keyspace: string | undefined): Effect.Effect<Prepared, CqlError> {
    return Effect.gen({ self: this }, function*() {
      const { core } = this
      const { timeoutMillis } = core.defaults
      const attempts: Array<Attempt> = []
      let last: CqlError["reason"] | undefined
      let isLate = false
      const begun = core.millis
      let tried: Array<Node> = []
      let millis = Math.min(ATTEMPT_MILLIS, timeoutMillis)
      while (true) {
        const connection = core.route(undefined, [], core.defaults, false, tried) ?? core.routeReserved(tried) ??
          core.routeRemote(tried) ?? core.routeSilent(tried)
        if (connection === undefined) {
          if (!isLate || core.closed || core.millis - begun >= timeoutMillis) break
          // All are late. One that has recovered is not found out about by waiting for another one for long.
          // Where none is connected, one may be in a moment.
          if (tried.length === 0) yield* Effect.sleep(NOBODY_THERE)
          millis = Math.min(millis * 1.5, timeoutMillis)
          tried = []
          continue
        }
        const node = core.node!
        tried.push(node)
        const attempt = yield* Effect.result(this.on(node, connection, text, keyspace, millis))
        if (attempt._tag === "Success") return attempt.success
        const { reason } = attempt.failure
        last = reason
        const next = (decision: Attempt["decision"]): void => {
          for (const one of attempt.failure.attempts ?? []) attempts.push({ ...one, decision })
        }
        if (reason._tag === "RequestTimeout" || reason._tag === "NodeSilent") {
          isLate = true
          next("NextNode")
          continue
        }
        const decision = decide({
          reason,
          sent: true,
          kind: StatementKind.read,
          isIdempotent: true,
          isSerial: false,
          sameNode: 0,
          unavailable: 0
        })
        next(decision)
        if (decision === "Fail") break
      }
      const nowhere = "no node has a connection on which the statement could be prepared"
      return yield* notSent(last ?? new NoNodeAvailable({ message: nowhere }), text, attempts)
    })
  }
}

/** A statement's variables, for people. */
const shape = (prepared: Prepared): string =>
  prepared.variables.map((variable) => `${variable.name} ${format(variable.type)}`).join(", ")
