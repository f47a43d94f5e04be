/**
 * Batches of any size, done completely: split to what a server takes, and what it leaves undone is sent again, after a
 * while that grows.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { AlternatorClient, RequestOptions } from "./AlternatorClient.ts"
import * as AlternatorError from "./AlternatorError.ts"
import type { Item, ReadItem } from "./AttributeValue.ts"
import { Issues } from "./internal/issues.ts"
import type { KeysAndAttributes, WriteRequest } from "./Operations.ts"

/**
 * Options of a whole batch; those of a request hold for each part of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchOptions extends RequestOptions {
  /** Requests in a batch. ScyllaDB takes 100 writes unless it is told otherwise, DynamoDB 25; both take 100 keys. Default: 100. */
  readonly size?: number | undefined
  /** Batches under way. Default: 4. */
  readonly concurrency?: number | undefined
  /** For a batch with all that it leaves undone. Default: 60 seconds. */
  readonly patience?: Duration.Input | undefined
}

type Tables<A> = Readonly<Record<string, ReadonlyArray<A>>>

/** Parts of a batch, how many of them are under way, and milliseconds for each; or what is wrong with the options. */
const check = (options: BatchOptions) => {
  const issues = new Issues()
  const checked = {
    size: issues.count("size", options.size, 100),
    concurrency: issues.count("concurrency", options.concurrency, 4),
    patience: issues.millis("patience", options.patience, "60 seconds")
  }
  return Effect.as(issues.result, checked)
}

/** Parts of at most `size`, over all tables. */
const split = <A>(tables: Tables<A>, size: number): Array<Record<string, Array<A>>> => {
  const parts: Array<Record<string, Array<A>>> = []
  let count = size
  for (const [table, requests] of Object.entries(tables)) {
    for (const request of requests) {
      if (count === size) {
        parts.push(Object.create(null) as Record<string, Array<A>>)
        count = 0
      }
      ;(parts.at(-1)![table] ??= []).push(request)
      count++
    }
  }
  return parts
}

const size = (tables: Tables<unknown>): number =>
  Object.values(tables).reduce((sum, requests) => sum + requests.length, 0)

/** Sends a part until nothing is left of it; full jitter, from 50 ms up to 5 s. */
const complete = Effect.fnUntraced(function*<A>(
  operation: string,
  part: Tables<A>,
  patience: number,
  send: (part: Tables<A>) => Effect.Effect<Tables<A>, AlternatorError.AlternatorError>
): Effect.fn.Return<void, AlternatorError.AlternatorError> {
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const until = now() + patience
  let rest = part
  for (let round = 0; size(rest) > 0; round++) {
    if (round > 0) {
      const delay = (yield* Random.next) * Math.min(5000, 50 * 2 ** Math.min(round, 10))
      if (now() + delay >= until) {
        return yield* new AlternatorError.AlternatorError({
          reason: new AlternatorError.BatchIncomplete({
            message: `the server left ${size(rest)} undone again and again`,
            unprocessed: rest
          }),
          operation,
          // It said so: these were not done.
          outcome: "Rejected",
          attempts: []
        })
      }
      yield* Effect.sleep(Duration.millis(delay))
    }
    const left = yield* send(rest)
    // Progress earns patience.
    if (size(left) < size(rest)) round = 0
    rest = left
  }
})

/**
 * Writes all, in no order: of two writes to one key either may be the last. When it fails, others of the batches may have
 * been written.
 *
 * @category batches
 * @since 0.1.0
 */
export const write = (
  client: AlternatorClient,
  requests: Tables<WriteRequest>,
  options: BatchOptions = {}
): Effect.Effect<void, AlternatorError.AlternatorError> =>
  Effect.flatMap(check(options), ({ concurrency, patience, size }) =>
    Effect.forEach(
      split(requests, size),
      (part) =>
        complete("BatchWriteItem", part, patience, (part) =>
          Effect.map(
            client.batchWriteItem({ RequestItems: part }, options),
            ({ UnprocessedItems = {} }) => UnprocessedItems
          )),
      { concurrency, discard: true }
    ))

/**
 * Reads all keys of some tables: the items that exist, by table, in no order.
 *
 * @category batches
 * @since 0.1.0
 */
export const get = (
  client: AlternatorClient,
  requests: Readonly<Record<string, KeysAndAttributes>>,
  options: BatchOptions = {}
): Effect.Effect<Record<string, Array<ReadItem>>, AlternatorError.AlternatorError> =>
  Effect.flatMap(check(options), ({ concurrency, patience, size }) => {
    const found: Record<string, Array<ReadItem>> = Object.create(null)
    const keys: Record<string, ReadonlyArray<Item>> = Object.create(null)
    for (const [table, { Keys }] of Object.entries(requests)) {
      keys[table] = Keys
      found[table] = []
    }
    const withOptions = (part: Tables<Item>) =>
      Object.fromEntries(
        Object.entries(part).map(([table, Keys]) => [table, Object.assign({}, requests[table], { Keys })])
      )
    return Effect.as(
      Effect.forEach(
        split(keys, size),
        (part) =>
          complete("BatchGetItem", part, patience, (part) =>
            Effect.map(
              client.batchGetItem({ RequestItems: withOptions(part) }, options),
              ({ Responses = {}, UnprocessedKeys = {} }) => {
                for (const [table, items] of Object.entries(Responses)) (found[table] ??= []).push(...items)
                return Object.fromEntries(Object.entries(UnprocessedKeys).map(([table, { Keys }]) => [table, Keys]))
              }
            )),
        { concurrency, discard: true }
      ),
      found
    )
  })
