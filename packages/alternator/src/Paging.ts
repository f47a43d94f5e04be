/**
 * All pages of queries, scans and lists, as streams: a page is asked for when the one before is used up.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { AlternatorClient, RequestOptions } from "./AlternatorClient.ts"
import { type AlternatorError, of, RequestInvalid } from "./AlternatorError.ts"
import type { ReadItem } from "./AttributeValue.ts"
import type { ListTablesInput, Page, QueryInput, ScanInput } from "./Operations.ts"

const follow = <A, S>(
  ask: (start: S | undefined) => Effect.Effect<A, AlternatorError>,
  next: (page: A) => S | undefined
): Stream.Stream<A, AlternatorError> =>
  Stream.paginate(undefined as S | undefined, (start) =>
    Effect.map(ask(start), (page) => {
      const following = next(page)
      return [[page], following === undefined ? Option.none() : Option.some(following)] as const
    }))

const items = (pages: Stream.Stream<Page, AlternatorError>): Stream.Stream<ReadItem, AlternatorError> =>
  Stream.flattenIterable(Stream.map(pages, (page) => page.Items ?? []))

/**
 * The pages of a query.
 *
 * @category streams
 * @since 0.1.0
 */
export const queryPages = (
  client: AlternatorClient,
  input: QueryInput,
  options?: RequestOptions
): Stream.Stream<Page, AlternatorError> =>
  follow<Page, ReadItem>(
    (start) => client.query(start === undefined ? input : { ...input, ExclusiveStartKey: start }, options),
    (page) => page.LastEvaluatedKey
  )

/**
 * The items of a query.
 *
 * @category streams
 * @since 0.1.0
 */
export const query = (
  client: AlternatorClient,
  input: QueryInput,
  options?: RequestOptions
): Stream.Stream<ReadItem, AlternatorError> => items(queryPages(client, input, options))

/**
 * The pages of a scan, of `segments` parts of the table side by side.
 *
 * @category streams
 * @since 0.1.0
 */
export const scanPages = (
  client: AlternatorClient,
  input: Omit<ScanInput, "Segment" | "TotalSegments">,
  options?: RequestOptions & { readonly segments?: number | undefined }
): Stream.Stream<Page, AlternatorError> => {
  const segments = options?.segments ?? 1
  // The API's bounds.
  if (!Number.isInteger(segments) || segments < 1 || segments > 1_000_000) {
    const message = `segments must be a whole number from 1 to 1000000, is ${segments}`
    return Stream.fail(of(new RequestInvalid({ message }), "Scan"))
  }
  const segment = (part: Partial<ScanInput>) =>
    follow<Page, ReadItem>(
      (start) =>
        client.scan({ ...input, ...part, ...(start === undefined ? {} : { ExclusiveStartKey: start }) }, options),
      (page) => page.LastEvaluatedKey
    )
  if (segments === 1) return segment({})
  return Stream.mergeAll(
    Array.from({ length: segments }, (_, i) => segment({ Segment: i, TotalSegments: segments })),
    { concurrency: segments, bufferSize: 1 }
  )
}

/**
 * The items of a scan; in no order when there are several segments.
 *
 * @category streams
 * @since 0.1.0
 */
export const scan = (
  client: AlternatorClient,
  input: Omit<ScanInput, "Segment" | "TotalSegments">,
  options?: RequestOptions & { readonly segments?: number | undefined }
): Stream.Stream<ReadItem, AlternatorError> => items(scanPages(client, input, options))

/**
 * The names of all tables.
 *
 * @category streams
 * @since 0.1.0
 */
export const listTables = (
  client: AlternatorClient,
  input: Omit<ListTablesInput, "ExclusiveStartTableName"> = {},
  options?: RequestOptions
): Stream.Stream<string, AlternatorError> =>
  Stream.flattenIterable(Stream.map(
    follow(
      (start: string | undefined) =>
        client.listTables(start === undefined ? input : { ...input, ExclusiveStartTableName: start }, options),
      (page) => page.LastEvaluatedTableName
    ),
    (page) => page.TableNames
  ))
