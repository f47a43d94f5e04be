/** What differed once, with what Cassandra answered: `cases.json`, a case a line. */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import type { RawClient } from "../../packages/testkit/test/rawClient.ts"
import type { Answer } from "../../packages/testkit/test/wireAnswer.ts"
import { answerTo, ask, type Sent, textOf } from "./beside.ts"
import type { Difference } from "./campaign.ts"

/** Statements, of which the last one differed. */
export interface Case {
  readonly setUp: ReadonlyArray<string>
  /** Query, page size, and of what is prepared the values as hexadecimal digits. */
  readonly steps: ReadonlyArray<readonly [query: string, pageSize: number, values?: ReadonlyArray<string | null>]>
  /** As JSON. */
  readonly cassandra: string
}

/** All cases are of one keyspace. */
const KEYSPACE = "differential"

export const read = (path: string | URL): ReadonlyArray<Case> =>
  existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) as ReadonlyArray<Case> : []

/** Adds a difference to a file. */
export const addCase = (path: string, { real, sent, setUp }: Difference): void => {
  if (sent.length === 0) return
  const named = (text: string): string => text.replaceAll(/differential_\d+/g, KEYSPACE)
  const added: Case = {
    setUp: setUp.map(named),
    steps: sent.map(({ pageSize, query, values }) =>
      values === undefined
        ? [named(query), pageSize]
        : [named(query), pageSize, values.map((value) => value === null ? null : Buffer.from(value).toString("hex"))]
    ),
    cassandra: named(real)
  }
  const lines = [...read(path), added].map((each) => JSON.stringify(each))
  writeFileSync(path, `[\n${lines.join(",\n")}\n]\n`)
}

const sentOf = ([query, pageSize, values]: Case["steps"][number]): Sent =>
  values === undefined ? { query, pageSize } : {
    query,
    pageSize,
    values: values.map((value) => value === null ? null : Uint8Array.from(Buffer.from(value, "hex")))
  }

/** What a server answers to the last statement of a case, as JSON. */
export const play = Effect.fnUntraced(function*(client: RawClient, { setUp, steps }: Case) {
  yield* answerTo(client, `DROP KEYSPACE IF EXISTS ${KEYSPACE}`)
  for (const text of setUp) yield* answerTo(client, text)
  let answer: Answer | undefined
  for (const step of steps) answer = yield* ask(client, sentOf(step))
  return textOf(answer!)
})
