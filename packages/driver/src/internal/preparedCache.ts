import type { Connection } from "@effect-scylla/pool/Connection"
import { MalformedResponse } from "@effect-scylla/pool/PoolError"
import { format } from "@effect-scylla/protocol/CqlType"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ClientClosed, CqlError, NoNodeAvailable, StatementChanged } from "../CqlError.ts"
import { Prepared } from "../Prepared.ts"
import { decide } from "../RetryPolicy.ts"
import type { Node } from "../Snapshot.ts"
import * as StatementKind from "../StatementKind.ts"
import type { Core } from "./core.ts"

/** What a statement is known by: its text, and the keyspace if it was given one. */
const keyOf = (text: string, keyspace: string | undefined): string =>
  keyspace === undefined ? text : `${keyspace}\0${text}`

/**
 * Prepared statements by their text and keyspace. Least recently used ones are forgotten past the bound,
 * so that texts with values inlined cannot fill the memory. Each text is prepared once however many ask for it, and once
 * for each node that has forgotten it; whoever gives up waiting does not stop it for the others.
 */
export class PreparedCache {
  private readonly statements = new Map<string, Prepared>()
  private readonly preparing = new Map<string, Deferred.Deferred<Prepared, CqlError>>()
  private readonly core: Core
  private readonly scope: Scope.Scope
  private readonly bound: number

  constructor(core: Core, scope: Scope.Scope, bound: number) {
    this.core = core
    this.scope = scope
    this.bound = bound
  }

  /** The statement, if it is prepared. */
  get(text: string, keyspace?: string): Prepared | undefined {
    return this.statements.get(keyOf(text, keyspace))
  }

  /** Marks it as used. Called by slow paths only: a statement in use every microsecond needs no note of each use. */
  private touch(prepared: Prepared): void {
    const key = keyOf(prepared.text, prepared.givenKeyspace)
    this.statements.delete(key)
    this.statements.set(key, prepared)
    if (this.statements.size > this.bound) this.statements.delete(this.statements.keys().next().value!)
  }

  prepare(text: string, keyspace?: string): Effect.Effect<Prepared, CqlError> {
    return Effect.suspend(() => {
      const known = this.get(text, keyspace)
      if (known !== undefined) {
        this.touch(known)
        return Effect.succeed(known)
      }
      return this.once(keyOf(text, keyspace), this.anywhere(text, keyspace))
    })
  }

  /** Teaches a node that has forgotten the statement. */
  readonly reprepare = (node: Node, connection: Connection, prepared: Prepared): Effect.Effect<void, CqlError> =>
    Effect.flatMap(
      this.once(
        `${node.hostId} ${keyOf(prepared.text, prepared.givenKeyspace)}`,
        this.on(connection, prepared.text, prepared.givenKeyspace)
      ),
      (again) => this.same(prepared, again)
    )

  private same(before: Prepared, after: Prepared): Effect.Effect<void, CqlError> {
    const shape = (prepared: Prepared): string =>
      prepared.variables.map((variable) => `${variable.name} ${format(variable.type)}`).join(", ")
    if (before.isSame(after) && shape(before) === shape(after)) {
      before.relearned(after)
      return Effect.void
    }
    this.statements.delete(keyOf(before.text, before.givenKeyspace))
    return Effect.fail(
      new CqlError({
        reason: new StatementChanged({
          message: `the statement means something else since the schema changed (variables were: ${
            shape(before)
          }; are: ${shape(after)}): prepare it again`
        }),
        outcome: "Rejected",
        attempts: [],
        statement: before.text
      })
    )
  }

  /** Runs `prepare` unless somebody does already; it goes on when the caller is interrupted. */
  private once(key: string, prepare: Effect.Effect<Prepared, CqlError>): Effect.Effect<Prepared, CqlError> {
    return Effect.suspend(() => {
      const running = this.preparing.get(key)
      if (running !== undefined) return Deferred.await(running)
      const deferred = Deferred.makeUnsafe<Prepared, CqlError>()
      this.preparing.set(key, deferred)
      // A getter of a bound value may ask for it: not in the midst of that frame.
      const work = (this.core.isEncoding ? Effect.andThen(Effect.yieldNow, prepare) : prepare).pipe(
        Effect.tap((prepared) =>
          Effect.sync(() => this.touch(this.get(prepared.text, prepared.givenKeyspace) ?? prepared))
        ),
        Effect.onInterrupt(() =>
          Deferred.fail(
            deferred,
            new CqlError({
              reason: new ClientClosed({ message: "the client was closed while it prepared a statement" })
            })
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

  private on(connection: Connection, text: string, keyspace: string | undefined): Effect.Effect<Prepared, CqlError> {
    const { core } = this
    const fail = (reason: CqlError["reason"]) =>
      Effect.fail(new CqlError({ reason, outcome: "NotSent", attempts: [], statement: text }))
    const { version } = connection.dialect
    if (keyspace !== undefined && version < 5) {
      const message = `the keyspace of a single statement needs protocol v5, and the connection speaks v${version}: ` +
        "name the keyspace in the statement"
      return fail(new EncodeError({ message, path: "", cqlType: "" }))
    }
    return Effect.matchEffect(
      connection.request({ _tag: "Prepare", query: text, keyspace }, {
        timeoutMillis: core.defaults.timeoutMillis,
        decoders: core.decoders
      }),
      {
        onFailure: (error) => fail(error.reason),
        onSuccess: ({ response }) =>
          response._tag === "Prepared"
            ? Effect.succeed(new Prepared(text, response, connection.features, keyspace))
            : response._tag === "Error"
            ? fail(response.error)
            : fail(new MalformedResponse({ message: `PREPARE was answered with ${response._tag}` }))
      }
    )
  }

  /** On one local node after the other until one answers. */
  private anywhere(text: string, keyspace: string | undefined): Effect.Effect<Prepared, CqlError> {
    return Effect.gen({ self: this }, function*() {
      const { core } = this
      let last: CqlError | undefined
      const tried: Array<Node> = []
      while (true) {
        const connection = core.route(undefined, [], false, tried) ?? core.routeReserved(tried)
        if (connection === undefined) break
        tried.push(core.node!)
        const attempt = yield* Effect.result(this.on(connection, text, keyspace))
        if (attempt._tag === "Success") return attempt.success
        last = attempt.failure
        const { reason } = last
        const decision = decide({
          reason,
          sent: true,
          kind: StatementKind.read,
          isIdempotent: true,
          isSerial: false,
          sameNode: 0,
          unavailable: 0
        })
        if (decision === "Fail") break
      }
      return yield* last ?? new CqlError({
        reason: new NoNodeAvailable({ message: "no node has a connection on which the statement could be prepared" }),
        outcome: "NotSent",
        attempts: [],
        statement: text
      })
    })
  }
}
