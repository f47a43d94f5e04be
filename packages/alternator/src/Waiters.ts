/**
 * Waiting for tables to be what they were asked to become.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { AlternatorClient, RequestOptions } from "./AlternatorClient.ts"
import * as AlternatorError from "./AlternatorError.ts"
import type { TableDescription } from "./Operations.ts"

/**
 * How often to look, and for how long; options of a request hold for each look.
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitOptions extends RequestOptions {
  /** Between two looks. Default: 200 ms. */
  readonly interval?: Duration.Input | undefined
  /** Default: 60 seconds. */
  readonly patience?: Duration.Input | undefined
}

const poll = <A>(
  what: string,
  look: Effect.Effect<Option.Option<A>, AlternatorError.AlternatorError>,
  { interval = "200 millis", patience = "60 seconds" }: WaitOptions
): Effect.Effect<A, AlternatorError.AlternatorError> => {
  const again: Effect.Effect<A, AlternatorError.AlternatorError> = Effect.flatMap(
    look,
    Option.match({ onNone: () => Effect.delay(again, interval), onSome: (found) => Effect.succeed(found) })
  )
  return Effect.timeoutOrElse(again, {
    duration: patience,
    orElse: () =>
      Effect.fail(
        AlternatorError.of(
          new AlternatorError.WaitTimeout({
            message: `${what} did not happen within ${Duration.format(Duration.fromInputUnsafe(patience))}`
          }),
          "DescribeTable"
        )
      )
  })
}

const describe = (client: AlternatorClient, table: string, options: WaitOptions) =>
  client.describeTable({ TableName: table }, options).pipe(
    Effect.map(({ Table }) => Option.some(Table)),
    Effect.catchReason("AlternatorError", "ResourceNotFound", () => Effect.succeed(Option.none<TableDescription>()))
  )

/**
 * Until the table exists and takes requests.
 *
 * @category waiters
 * @since 0.1.0
 */
export const tableExists = (
  client: AlternatorClient,
  table: string,
  options: WaitOptions = {}
): Effect.Effect<TableDescription, AlternatorError.AlternatorError> =>
  poll(
    `that ${table} exists`,
    Effect.map(describe(client, table, options), Option.filter(({ TableStatus }) => TableStatus === "ACTIVE")),
    options
  )

/**
 * Until there is no such table.
 *
 * @category waiters
 * @since 0.1.0
 */
export const tableNotExists = (
  client: AlternatorClient,
  table: string,
  options: WaitOptions = {}
): Effect.Effect<void, AlternatorError.AlternatorError> =>
  poll(
    `that ${table} is gone`,
    Effect.map(
      describe(client, table, options),
      Option.match({
        onNone: () => Option.some(undefined),
        onSome: () => Option.none()
      })
    ),
    options
  )
