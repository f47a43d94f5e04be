/** Names of the key attributes of tables, learned by DescribeTable and remembered by client. */
import * as Effect from "effect/Effect"
import type { AlternatorClient, RequestOptions } from "../AlternatorClient.ts"
import * as AlternatorError from "../AlternatorError.ts"

/** Tables that are remembered for a client; then it begins anew. */
const MAX_TABLES = 1000

const learned = new WeakMap<AlternatorClient, Map<string, ReadonlyArray<string>>>()

/** Partition key, and sort key if there is one. A failure is `NotSent`: whoever needs the names has not begun. */
export const keyNames = (
  client: AlternatorClient,
  table: string,
  options: RequestOptions
): Effect.Effect<ReadonlyArray<string>, AlternatorError.AlternatorError> =>
  Effect.suspend(() => {
    const known = learned.get(client)?.get(table)
    if (known !== undefined) return Effect.succeed(known)
    return client.describeTable({ TableName: table }, options).pipe(
      Effect.flatMap((output) => {
        const names = output.Table?.KeySchema?.map(({ AttributeName }) => AttributeName) ?? []
        if (names.length === 0) {
          const message = `the server does not say what the key of ${table} is: say it in the option keys`
          return Effect.fail(AlternatorError.of(new AlternatorError.MalformedResponse({ message, status: 200 })))
        }
        let tables = learned.get(client)
        if (tables === undefined || tables.size >= MAX_TABLES) learned.set(client, tables = new Map())
        tables.set(table, names)
        return Effect.succeed(names)
      }),
      Effect.mapError(({ attempts, isIdempotent, operation = "DescribeTable", reason }) =>
        new AlternatorError.AlternatorError({ reason, operation, outcome: "NotSent", attempts, isIdempotent })
      )
    )
  })

/** The tables may be others by now. */
export const forget = (client: AlternatorClient, tables: Iterable<string>): void => {
  for (const table of tables) learned.get(client)?.delete(table)
}
