/**
 * Reads by key that are batched by Effect: what is asked for at the same moment is asked once for each key, and each key is read from
 * its own partition, on the core that owns it, all of them in parallel. An `IN` over many partitions would make one node read all.
 * Who asks with other services than the others (a tenant, say) is answered by a read of their own.
 *
 * ```ts
 * const users = CqlResolver.findById({
 *   Id: CqlTypes.Uuid,
 *   Result: User,
 *   execute: (id) => cql`SELECT id, name FROM shop.users WHERE id = ${id}`
 * })
 * const names = Effect.forEach(ids, (id) => CqlResolver.request(id, users), { concurrency: "unbounded" })
 * ```
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { CqlError } from "./CqlError.ts"
import * as CqlSchema from "./CqlSchema.ts"

/**
 * A read by key.
 *
 * @category models
 * @since 0.1.0
 */
export interface CqlRequest<Id, A, E, R = never> extends Request.Request<A, E, R> {
  readonly payload: Id
}

class Impl extends Request.Class<{ readonly payload: unknown }, any, any, any> {}

/**
 * Asks a resolver for a key.
 *
 * @category requests
 * @since 0.1.0
 */
export const request = <Id, A, E, R>(
  id: Id,
  resolver: RequestResolver.RequestResolver<CqlRequest<Id, A, E, R>>
): Effect.Effect<A, E, R> =>
  Effect.request(new Impl({ payload: id }) as unknown as CqlRequest<Id, A, E, R>, resolver) as Effect.Effect<A, E, R>

/** What resolvers are made of. */
interface Options<Id extends Schema.Constraint, Res extends Schema.Constraint, E, R> {
  readonly Id: Id
  readonly Result: Res
  /** The statement that reads one key. */
  readonly execute: (id: Id["Encoded"]) => Effect.Effect<ReadonlyArray<unknown>, E, R>
  /** Keys that are read at a time. Default 128. */
  readonly concurrency?: number | undefined
}

type Fails<E> = E | CqlError | Schema.SchemaError

/**
 * Services that say who asks, and not what is read: spans, scopes, and what Effect itself keeps for a fiber (its place in the program, what its
 * logs are annotated with).
 */
const isOfWhoAsks = (key: string): boolean =>
  key === Tracer.ParentSpanKey || key === Scope.Scope.key || key.startsWith("effect/References/")

/** Whether what is run with the one context is the same with the other. */
const isSame = (a: Context.Context<any>, b: Context.Context<any>): boolean => {
  if (a === b) return true
  const one = a.mapUnsafe
  const other = b.mapUnsafe
  for (const [key, service] of one) {
    if (!isOfWhoAsks(key) && !(other.has(key) && other.get(key) === service)) return false
  }
  for (const key of other.keys()) if (!isOfWhoAsks(key) && !one.has(key)) return false
  return true
}

const resolverOf = <Id extends Schema.Constraint, A>(
  { Id, concurrency = 128 }: { readonly Id: Id; readonly concurrency?: number | undefined },
  find: (id: Id["Type"]) => Effect.Effect<A, any, any>,
  /** Of what may be changed each has their own. */
  copied: (answer: A) => A = (answer) => answer
): RequestResolver.RequestResolver<CqlRequest<Id["Type"], A, any, any>> => {
  // By their JSON keys of one value are the same, whatever objects they are.
  const keyOf = Schema.encodeUnknownExit(Schema.toCodecJson(Id) as never)
  return RequestResolver.make<CqlRequest<Id["Type"], A, any, any>>((entries) => {
    type Entry = (typeof entries)[number]
    const groups: Array<Array<Entry>> = []
    const byKey = new Map<unknown, Array<Array<Entry>>>()
    for (const entry of entries) {
      const key = keyOf(entry.request.payload)
      const name = Exit.isSuccess(key) ? JSON.stringify(key.value) : entry
      let known = byKey.get(name)
      if (known === undefined) byKey.set(name, known = [])
      // What `execute` takes from the context may be another thing for somebody else: a tenant, for example.
      let same = known.find(([first]) => isSame(first!.context, entry.context))
      if (same === undefined) {
        same = []
        known.push(same)
        groups.push(same)
      }
      same.push(entry)
    }
    return Effect.forEach(groups, (same) => {
      const [first] = same
      return Effect.map(
        Effect.exit(Effect.provideContext(find(first!.request.payload), first!.context as never)),
        (exit) => {
          // Before the first of them can change anything.
          const exits = same.map((_, i) => i === 0 ? exit : Exit.map(exit, copied))
          for (const [i, entry] of same.entries()) entry.completeUnsafe(exits[i] as never)
        }
      )
    }, { concurrency, discard: true }) as Effect.Effect<void>
  }) as never
}

/**
 * The row of a key: fails with `NoSuchElementError` where there is none.
 *
 * @category resolvers
 * @since 0.1.0
 */
export const findById = <Id extends Schema.Constraint, Res extends Schema.Constraint, E, R>(
  options: Options<Id, Res, E, R>
): RequestResolver.RequestResolver<
  CqlRequest<
    Id["Type"],
    Res["Type"],
    Fails<E> | Cause.NoSuchElementError,
    R | Id["EncodingServices"] | Res["DecodingServices"]
  >
> => resolverOf(options, CqlSchema.findOne({ ...options, Request: options.Id }))

/**
 * All rows of a key, a partition for example.
 *
 * @category resolvers
 * @since 0.1.0
 */
export const grouped = <Id extends Schema.Constraint, Res extends Schema.Constraint, E, R>(
  options: Options<Id, Res, E, R>
): RequestResolver.RequestResolver<
  CqlRequest<Id["Type"], Array<Res["Type"]>, Fails<E>, R | Id["EncodingServices"] | Res["DecodingServices"]>
> => resolverOf(options, CqlSchema.findAll({ ...options, Request: options.Id }), (rows) => rows.slice())

/**
 * Writes by key, each once however many ask for the same at the same moment.
 *
 * @category resolvers
 * @since 0.1.0
 */
const void_ = <Id extends Schema.Constraint, E, R>(
  options: Omit<Options<Id, Schema.Constraint, E, R>, "Result">
): RequestResolver.RequestResolver<CqlRequest<Id["Type"], void, Fails<E>, R | Id["EncodingServices"]>> =>
  resolverOf(options, CqlSchema.void({ Request: options.Id, execute: options.execute }))

export {
  /**
   * Statements by key whose rows nobody looks at.
   *
   * @category resolvers
   * @since 0.1.0
   */
  void_ as void
}
