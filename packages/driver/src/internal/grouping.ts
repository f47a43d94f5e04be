import { Writer } from "@effect-scylla/protocol/Writer"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Result from "effect/Result"
import { MAX_STATEMENTS } from "../Batch.ts"
import type { Item } from "../Batch.ts"
import { type CqlError, InvalidStatement } from "../CqlError.ts"
import { type Resolved, timeoutOf } from "../ExecuteOptions.ts"
import type { Options, Outcome } from "../Grouped.ts"
import type { ResultSet } from "../ResultSet.ts"
import type { Batching } from "./batching.ts"
import { BatchStatement, type Entry } from "./batchStatement.ts"
import type { Core } from "./core.ts"
import { ExecuteRequest } from "./executeRequest.ts"
import { notSent } from "./notSent.ts"
import { told } from "./preparing.ts"
import { encodeError } from "./values.ts"

const NO_VALUES: ReadonlyArray<unknown> = []
const WRITE = { type: "write", isConditional: false, isSinglePartition: false } as const
/** Bytes of an entry besides its values: its id or its text's length, and its kind. */
const OVERHEAD = 24

/** What each batch holds at most. */
interface Bounds {
  readonly bytes: number
  readonly statements: number
  readonly partitions: number
}

interface Open {
  readonly indexes: Array<number>
  readonly partitions: Set<unknown>
  bytes: number
}

/** Which statements go together. */
const grouped = (
  core: Core,
  entries: ReadonlyArray<Entry>,
  bounds: Bounds,
  fail: (at: number, error: CqlError) => void
): ReadonlyArray<ReadonlyArray<number>> => {
  const done: Array<ReadonlyArray<number>> = []
  const open = new Map<string, Open>()
  const scratch = new Writer(1024)
  for (const [at, { statement, values }] of entries.entries()) {
    let bytes = OVERHEAD
    let place: { readonly key: string; readonly partition: unknown } | undefined
    try {
      if (statement.form === "prepared") {
        scratch.reset()
        statement.encoder.write(scratch, values)
        bytes += scratch.pos
        place = core.placeKey(statement, values)
      } else bytes += statement.text.length
    } catch (error) {
      fail(at, notSent(encodeError(error), statement.text))
      continue
    }
    // Nobody knows where it goes, or servers take no such batch of several partitions.
    if (place === undefined || (statement.form === "prepared" && statement.isGlobal)) {
      done.push([at])
      continue
    }
    const key = statement.kind.isCounter === true ? `counter ${place.key}` : place.key
    let group = open.get(key)
    const isFull = group !== undefined && (
      group.indexes.length >= bounds.statements || group.bytes + bytes > bounds.bytes ||
      (group.partitions.size >= bounds.partitions && !group.partitions.has(place.partition))
    )
    if (group === undefined || isFull) {
      if (group !== undefined) done.push(group.indexes)
      open.set(key, group = { indexes: [], partitions: new Set(), bytes: 0 })
    }
    group.indexes.push(at)
    group.partitions.add(place.partition)
    group.bytes += bytes
  }
  for (const { indexes } of open.values()) done.push(indexes)
  return done
}

const boundsOf = (core: Core, { maxBytes, maxPartitions, maxStatements }: Options): Bounds => {
  const whole = (name: string, value: number | undefined, usual: number, most: number): number => {
    if (value === undefined) return usual
    if (Number.isInteger(value) && value >= 1 && value <= most) return value
    throw new InvalidStatement({ message: `${name}: a whole number from 1 to ${most}, got ${format(value)}` })
  }
  const { local } = core.snapshot
  const isSharded = local.length > 0 && local.every(({ pool }) => pool?.sharding !== undefined)
  return {
    bytes: whole("maxBytes", maxBytes, isSharded ? 65_536 : 4_096, 2 ** 28),
    statements: whole("maxStatements", maxStatements, 100, MAX_STATEMENTS),
    partitions: whole("maxPartitions", maxPartitions, 10, MAX_STATEMENTS)
  }
}

/** Sends writes in unlogged batches by where they go; answers for each, in their order. Throws `InvalidStatement`, `EncodeError`. */
export const sendGrouped = (
  core: Core,
  batching: Batching,
  items: ReadonlyArray<Item>,
  given: Options | undefined
): Effect.Effect<ReadonlyArray<Outcome>, CqlError> => {
  if (Array.isArray(items) && items.length === 0) return Effect.succeed([])
  const { concurrency = 64, maxBytes: _, maxPartitions: __, maxStatements: ___, ...options } = given ?? {}
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 4_096)) {
    throw new InvalidStatement({ message: `concurrency: a whole number from 1 to 4096, got ${format(concurrency)}` })
  }
  const bounds = boundsOf(core, given ?? {})
  const resolved = core.resolver.resolve(options)
  const statements = batching.givenOf(items, resolved.keyspace)
  return Effect.suspend(() => {
    const wrong = new Map<number, CqlError>()
    const preparing = batching.prepared(
      statements,
      resolved.keyspace,
      timeoutOf(resolved, WRITE),
      (at, error) => wrong.set(at, error)
    )
    return Effect.flatMap(told(core, resolved, "BEGIN BATCH", preparing), (entries) => {
      const conditional = entries.findIndex(({ statement }) => statement.kind.isConditional)
      if (conditional >= 0) {
        const place = statements.flatMap((_, at) => wrong.has(at) ? [] : [at + 1])[conditional]
        const message = `statement ${place} is conditional: its answer is its own, execute it by itself`
        return Effect.fail(notSent(new InvalidStatement({ message }), entries[conditional]!.statement.text))
      }
      const outcomes = run(core, entries, bounds, resolved, concurrency)
      if (wrong.size === 0) return outcomes
      return Effect.map(outcomes, (right) => {
        const rest = right.values()
        return statements.map((_, at) => {
          const error = wrong.get(at)
          return error === undefined ? rest.next().value! : Result.fail(error)
        })
      })
    })
  })
}

const run = (
  core: Core,
  entries: ReadonlyArray<Entry>,
  bounds: Bounds,
  options: Resolved,
  concurrency: number
): Effect.Effect<ReadonlyArray<Outcome>> =>
  Effect.suspend(() => {
    const outcomes: Array<Outcome> = Array.from({ length: entries.length })
    const groups = grouped(core, entries, bounds, (at, error) => {
      outcomes[at] = Result.fail(error)
    })
    const send = (indexes: ReadonlyArray<number>): Effect.Effect<void> =>
      Effect.map(Effect.result(requestOf(core, indexes.map((at) => entries[at]!), options)), (result) => {
        const outcome = Result.map(result, ({ coordinator }) => coordinator)
        for (const at of indexes) outcomes[at] = outcome
      })
    return Effect.as(Effect.forEach(groups, send, { concurrency, discard: true }), outcomes)
  })

/** A batch, or the statement itself where there is only one. */
const requestOf = (
  core: Core,
  entries: ReadonlyArray<Entry>,
  options: Resolved
): Effect.Effect<ResultSet, CqlError> => {
  const [{ idempotent, statement, values }] = entries as [Entry]
  if (entries.length === 1) {
    const own = idempotent === undefined ? options : { ...options, idempotent, isKept: false }
    return new ExecuteRequest(core, statement, values, own, false)
  }
  const type = statement.kind.isCounter === true ? "counter" : "unlogged"
  return new ExecuteRequest(core, new BatchStatement(type, entries, core.batches), NO_VALUES, options, false)
}
