/**
 * Batches of any size, done completely: split to what a server takes, and what it leaves undone is sent again, after a
 * while that grows.
 *
 * A key may be there more than once, although servers refuse that within one request: of several writes to a key only the
 * last is sent, and a key is read once. Keys are the same as they are for DynamoDB: numbers by their value, binary by its
 * bytes. Which attributes of a put are its key, `keys` says, or a delete of the same table, or else DescribeTable does, once
 * for a client and table.
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
import { forget, keyNames } from "./internal/keySchemas.ts"
import { keyText, lastOfEach, namesOf } from "./internal/keyText.ts"
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
  /**
   * Names of key attributes by table, the partition key's first, where there are puts. Default: those that a delete has, or
   * DescribeTable says.
   */
  readonly keys?: Readonly<Record<string, ReadonlyArray<string>>> | undefined
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

const itemOf = (request: WriteRequest): Item =>
  "PutRequest" in request ? request.PutRequest.Item : request.DeleteRequest.Key

/** Of several writes to a key the last. */
const lastWrites = Effect.fnUntraced(function*(
  client: AlternatorClient,
  table: string,
  requests: ReadonlyArray<WriteRequest>,
  options: BatchOptions
) {
  if (requests.length < 2) return requests
  const deleted = requests.find((request) => "DeleteRequest" in request)
  const names = options.keys?.[table] ?? (deleted === undefined ? undefined : namesOf(itemOf(deleted))) ??
    (yield* keyNames(client, table, options))
  return lastOfEach(requests, (request) => keyText(itemOf(request), names.toSorted()))
})

/**
 * Writes all, in no order; of several writes to one key the last. When it fails, others of the batches may have been written;
 * the same batch may be written again.
 *
 * @category batches
 * @since 0.1.0
 */
export const write = (
  client: AlternatorClient,
  requests: Tables<WriteRequest>,
  options: BatchOptions = {}
): Effect.Effect<void, AlternatorError.AlternatorError> =>
  Effect.gen(function*() {
    const { concurrency, patience, size } = yield* check(options)
    const distinct: Record<string, ReadonlyArray<WriteRequest>> = Object.create(null)
    for (const [table, all] of Object.entries(requests)) {
      distinct[table] = yield* lastWrites(client, table, all, options)
    }
    yield* Effect.forEach(
      split(distinct, size),
      (part) =>
        complete("BatchWriteItem", part, patience, (part) =>
          Effect.map(
            client.batchWriteItem({ RequestItems: part }, options),
            ({ UnprocessedItems = {} }) => UnprocessedItems
          )),
      { concurrency, discard: true }
    )
  }).pipe(Effect.tapError(({ reason }) =>
    Effect.sync(() => {
      // Perhaps because a table has another key by now.
      if (reason._tag === "ValidationFailed") forget(client, Object.keys(requests))
    })
  ))

/**
 * Reads all keys of some tables: the items that exist, by table, in no order; each once, however often its key is there.
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
      keys[table] = lastOfEach(Keys, (key) => keyText(key, namesOf(key)))
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
