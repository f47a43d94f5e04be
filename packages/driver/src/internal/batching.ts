import { Encoded } from "@effect-scylla/protocol/Encoded"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import type { Item, Options, Values } from "../Batch.ts"
import { MAX_STATEMENTS } from "../Batch.ts"
import { type CqlError, InvalidStatement } from "../CqlError.ts"
import { timeoutOf } from "../ExecuteOptions.ts"
import { Prepared } from "../Prepared.ts"
import type { ResultSet } from "../ResultSet.ts"
import { Statement } from "../Statement.ts"
import { BatchStatement, EncodedEntry, type Entry, PreparedEntry, TextEntry } from "./batchStatement.ts"
import type { Core } from "./core.ts"
import { ExecuteRequest, preparingTimedOut } from "./executeRequest.ts"
import { notSent } from "./notSent.ts"
import type { PreparedCache } from "./preparedCache.ts"
import { told } from "./preparing.ts"
import { inOrder } from "./values.ts"

/** An item taken apart. */
export interface Given {
  readonly statement: Prepared | string
  readonly values: Values
  readonly idempotent: boolean | undefined
  /** The keyspace of a client that sends to it what names none; `undefined` where the batch may say it. */
  readonly home: string | undefined
}

const TYPES: ReadonlySet<unknown> = new Set(["logged", "unlogged", "counter"])
const NO_VALUES: ReadonlyArray<unknown> = []

const wrong = (message: string): never => {
  throw new InvalidStatement({ message })
}

const isEmpty = (values: Values): boolean =>
  Array.isArray(values) ? values.length === 0 : Object.keys(values).length === 0

/** Throws `InvalidStatement` for what is no statement. */
const takenApart = (item: Item, at: number, core: Core): Given => {
  if (item instanceof Statement) {
    if (item.problem !== undefined) wrong(`statement ${at + 1} of the batch: ${item.problem}`)
    const { idempotent, ...others } = item.options ?? {}
    const [other] = Object.entries(others).find(([, value]) => value !== undefined) ?? []
    if (other !== undefined) wrong(`statement ${at + 1} of the batch has the option ${other}: give it to the batch`)
    const { client, said, usual } = item.home
    return {
      statement: item.text,
      values: item.values,
      idempotent,
      home: said ?? (client === core ? undefined : usual)
    }
  }
  if (item instanceof Prepared || typeof item === "string") {
    return ofClient(core, item, NO_VALUES)
  }
  if (!Array.isArray(item)) {
    return wrong(
      `statement ${at + 1} of the batch is ${
        format(item)
      }: a template, a text, a prepared statement, or one with its values ` +
        "as [statement, values]"
    )
  }
  const [statement, values = NO_VALUES] = item as readonly [Prepared | string, Values?]
  if (!(statement instanceof Prepared) && typeof statement !== "string") {
    wrong(`statement ${at + 1} of the batch is ${format(statement)}: a text or a prepared statement was expected`)
  }
  if (typeof values !== "object" || values === null) {
    wrong(
      `statement ${at + 1} of the batch: values are a list, or an object with a value for each name, got ${
        format(values)
      }`
    )
  }
  return ofClient(core, statement, values)
}

/** A prepared statement of another client, which is told of other changes, by its text. */
const ofClient = (core: Core, statement: Prepared | string, values: Values): Given =>
  typeof statement === "string" || statement.owner === core.schema
    ? { statement, values, idempotent: undefined, home: undefined }
    : { statement: statement.text, values, idempotent: undefined, home: statement.givenKeyspace }

/** Batches of a client. */
export class Batching {
  private readonly core: Core
  private readonly cache: PreparedCache

  constructor(core: Core, cache: PreparedCache) {
    this.core = core
    this.cache = cache
  }

  run(items: ReadonlyArray<Item>, options: Options | undefined): Effect.Effect<ResultSet, CqlError> {
    const { core } = this
    const resolved = core.resolver.resolve(options)
    const { keyspace } = resolved
    const quick = keyspace === undefined ? this.quick(items) : undefined
    const given = quick === undefined ? this.givenOf(items, keyspace) : []
    if (items.length > MAX_STATEMENTS) {
      wrong(`a batch has at most ${MAX_STATEMENTS} statements, got ${items.length}: split it`)
    }
    const type = options?.type ?? "logged"
    if (!TYPES.has(type)) wrong(`type: "logged", "unlogged" or "counter", got ${format(type)}`)
    const send = (entries: ReadonlyArray<Entry>, deadline?: number): ExecuteRequest =>
      new ExecuteRequest(core, new BatchStatement(type, entries, core.batches), NO_VALUES, resolved, false, deadline)
    if (quick !== undefined) return send(quick)
    const known = this.known(given, keyspace)
    if (known !== undefined) return send(known)
    return Effect.suspend(() => {
      const millis = timeoutOf(resolved, BATCH)
      const deadline = core.ticker.deadline(millis)
      const preparing = told(core, resolved, "BEGIN BATCH", this.prepared(given, keyspace, millis))
      return Effect.flatMap(preparing, (entries) => send(entries, deadline))
    })
  }

  /** Prepared statements with values in order, and nothing else: what a loop sends that counts. */
  private quick(items: ReadonlyArray<Item>): ReadonlyArray<Entry> | undefined {
    if (!Array.isArray(items) || items.length === 0) return undefined
    const { schema } = this.core
    const entries: Array<Entry> = []
    for (let i = 0; i < items.length; i++) {
      const item: unknown = items[i]
      if (!Array.isArray(item) || item.length !== 2) return undefined
      const statement: unknown = item[0]
      const values: unknown = item[1]
      if (!(statement instanceof Prepared) || statement.owner !== schema || !Array.isArray(values)) return undefined
      if (statement.kind.type !== "write") return undefined
      entries.push(new PreparedEntry(statement, values, undefined))
    }
    return entries
  }

  /** The statements of many, taken apart. Throws `InvalidStatement`. */
  givenOf(items: ReadonlyArray<Item>, keyspace: string | undefined): ReadonlyArray<Given> {
    if (!Array.isArray(items)) wrong(`a batch is a list of statements, got ${format(items)}`)
    if (items.length === 0) wrong("a batch has at least one statement")
    const { core } = this
    const here = keyspace ?? core.keyspace
    // A hole in the list is no statement, and would be passed over by `map`.
    return Array.from(items, (item, at) => {
      const given = takenApart(item, at, core)
      const { home } = given
      // By its text alone it would be written where nobody meant it.
      if (home !== undefined && home !== here) {
        wrong(
          `statement ${at + 1} of the batch is of a client with the keyspace ${home}, and the batch is sent ${
            here === undefined ? "without one" : `in ${here}`
          }: send it by that client, or give the batch that keyspace`
        )
      }
      return given
    })
  }

  /** As far as nothing has to be prepared, all of them. Throws `InvalidStatement` and `EncodeError`. */
  known(given: ReadonlyArray<Given>, keyspace: string | undefined): ReadonlyArray<Entry> | undefined {
    const known: Array<Entry> = []
    for (const [at, one] of given.entries()) {
      const entry = this.entryOf(one, keyspace, at)
      if (entry === undefined) return undefined
      known.push(entry)
    }
    return known
  }

  /** All of them, what has to be prepared prepared; without those whose values are wrong, where `onError` is told of them. */
  prepared(
    given: ReadonlyArray<Given>,
    keyspace: string | undefined,
    millis: number,
    onError?: (at: number, error: CqlError) => void
  ): Effect.Effect<ReadonlyArray<Entry>, CqlError> {
    return Effect.suspend(() => {
      const unknown = new Set<string>()
      for (const one of given) if (this.isToPrepare(one)) unknown.add(one.statement as string)
      const preparing = Effect.forEach(
        unknown,
        (text) => Effect.map(this.cache.prepare(text, keyspace), (prepared) => [text, prepared] as const),
        { concurrency: PREPARING }
      )
      return Effect.flatMap(
        Effect.timeoutOrElse(preparing, {
          duration: millis,
          orElse: () => Effect.fail(notSent(preparingTimedOut(), "BEGIN BATCH"))
        }),
        (prepared) => {
          const byText = new Map(prepared)
          try {
            return Effect.succeed(
              given.flatMap((one, at) => {
                const { statement } = one
                const found = typeof statement === "string" ? byText.get(statement) : undefined
                try {
                  return [found === undefined ? this.entryOf(one, keyspace, at)! : entry(found, one, at)]
                } catch (error) {
                  if (onError === undefined || !(error instanceof EncodeError)) throw error
                  onError(at, notSent(error, typeof statement === "string" ? statement : statement.text))
                  return []
                }
              })
            )
          } catch (error) {
            return Effect.fail(refused(error))
          }
        }
      )
    })
  }

  private isToPrepare({ statement, values }: Given): boolean {
    return !(values instanceof Encoded) && typeof statement === "string" &&
      (!isEmpty(values) || this.core.texts.of(statement).hasVariables)
  }

  /** An entry as far as nothing has to be prepared for it. Throws `InvalidStatement` and `EncodeError`. */
  private entryOf(given: Given, keyspace: string | undefined, at: number): Entry | undefined {
    const { idempotent, statement, values } = given
    if (typeof statement !== "string") {
      if (keyspace !== undefined && keyspace !== statement.givenKeyspace) {
        wrong(
          `statement ${
            at + 1
          } of the batch was prepared for another keyspace than ${keyspace}: give that to \`prepare\``
        )
      }
      return entry(statement, given, at)
    }
    if (values instanceof Encoded) {
      return new EncodedEntry(this.core.texts.of(statement), values, idempotent)
    }
    if (!isEmpty(values)) {
      const prepared = this.cache.get(statement, keyspace)
      return prepared === undefined ? undefined : entry(prepared, given, at)
    }
    const text = this.core.texts.of(statement)
    if (text.hasVariables) return undefined
    return new TextEntry(writing(text, at), idempotent)
  }
}

/** What counts for the time of a batch. */
const BATCH = { type: "batch", isConditional: false, isSinglePartition: false } as const
/** Statements of a batch that are prepared at a time. */
const PREPARING = 16

/** The error of a batch of which nothing was sent. */
export const refused = (error: unknown): CqlError => {
  if (
    error instanceof Error && "_tag" in error && (error._tag === "InvalidStatement" || error._tag === "EncodeError")
  ) {
    return notSent(error as never, "BEGIN BATCH")
  }
  throw error
}

const writing = <A extends Entry["statement"]>(statement: A, at: number): A =>
  statement.kind.type === "write"
    ? statement
    : wrong(`statement ${at + 1} of the batch is no INSERT, UPDATE or DELETE: ${statement.text.slice(0, 60)}`)

const entry = (prepared: Prepared, { idempotent, values }: Given, at: number): Entry =>
  values instanceof Encoded
    ? new EncodedEntry(prepared, values, idempotent)
    : new PreparedEntry(writing(prepared, at), inOrder(prepared, values), idempotent)
