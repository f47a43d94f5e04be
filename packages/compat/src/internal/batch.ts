import type { Item } from "@effect-scylla/driver/Batch"
import type { Prepared } from "@effect-scylla/driver/Prepared"
import type { Call } from "./call.ts"
import { notConnected } from "./call.ts"
import { adaptNamedParamsPrepared, TheirRequests, theirs } from "./theirs.ts"
import { typeInfoOf } from "./typeInfo.ts"
import * as Watched from "./watched.ts"

const { ArgumentError } = theirs.errors as any

/** A statement of a batch as it is given. */
type Given = string | { readonly query: string; readonly params?: unknown }

const NOTHING: ReadonlyArray<unknown> = []

/** What is wrong with the whole is said before anything is asked of anybody. */
export const checkQueries = (queries: unknown): void => {
  if (!Array.isArray(queries)) {
    throw new ArgumentError("queries are an Array of texts, or of objects with query and params")
  }
  if (queries.length === 0) throw new ArgumentError("a batch of no queries cannot be executed")
}

const textOf = (item: Given, i: number): string => {
  const text = typeof item === "string" ? item : item?.query
  if (typeof text !== "string") throw new ArgumentError(`the query at ${i} of the batch is no text`)
  return text
}

const paramsOf = (item: Given): unknown => typeof item === "string" ? undefined : item.params

interface Made {
  readonly items: ReadonlyArray<Item>
  /** As trackers' lengths are reckoned. */
  readonly described: ReadonlyArray<object>
  readonly first: { readonly prepared: Prepared; readonly values: ReadonlyArray<unknown> } | undefined
}

const prepared = async ({ session, wanted }: Call, queries: ReadonlyArray<Given>): Promise<Made> => {
  const { bindings } = session
  const items: Array<Item> = []
  const described: Array<object> = []
  let first: Made["first"]
  for (const [i, item] of queries.entries()) {
    const query = textOf(item, i)
    const statement = await session.prepare(query, wanted.engine.keyspace)
    const given = adaptNamedParamsPrepared(paramsOf(item), statement.variables) ?? NOTHING
    const values = Array.isArray(given) ? given : NOTHING
    first ??= { prepared: statement, values }
    const columns = statement.variables.map(({ name, type }) => ({ name, type: typeInfoOf(type) }))
    described.push({ query, params: values, queryId: Buffer.alloc(16), meta: { columns } })
    items.push(
      values.length === statement.variables.length && statement.kind.type === "write"
        ? [statement, bindings.settled(values)]
        // How many there have to be, and what may be in a batch, is for the server to say.
        : [statement, bindings.encoded(values, (i) => columns[i]?.type)]
    )
  }
  return { items, described, first }
}

const plain = async ({ session, wanted }: Call, queries: ReadonlyArray<Given>): Promise<Made> => {
  const { bindings, client } = session
  const hints = (wanted.hints ?? NOTHING) as ReadonlyArray<any>
  for (const each of Array.isArray(hints) ? hints : NOTHING) await client.metadata.adaptUserHints(client.keyspace, each)
  const described = queries.map((item, i) => {
    const query = textOf(item, i)
    if (query === "") throw new ArgumentError(`the query at ${i} of the batch is empty`)
    return { query, params: paramsOf(item) ?? NOTHING }
  })
  const items = described.map(({ params, query }, i): Item => {
    const values: Array<unknown> = []
    ;(params as ReadonlyArray<unknown>).forEach((value) => values.push(value))
    // What has no length has no values.
    return [
      query,
      bindings.encoded((params as ReadonlyArray<unknown>).length > 0 ? values : NOTHING, (at) => hints[i]?.[at])
    ]
  })
  return { items, described, first: undefined }
}

/** Begins a batch. */
export const start = (call: Call, queries: ReadonlyArray<Given>): void => {
  call.begin()
  send(call, queries).catch((error: unknown) => call.refuse(error))
}

const send = async (call: Call, queries: ReadonlyArray<Given>): Promise<void> => {
  const { given, session, wanted } = call
  const { described, first, items } = wanted.isPrepared ? await prepared(call, queries) : await plain(call, queries)
  const { pageSize: _, pagingState: __, ...own } = wanted.isWatched
    ? await Watched.startBatch(call, first, (executionOptions) => {
      const request = new TheirRequests.BatchRequest(described, executionOptions)
      request.write(session.encoder, 0)
      return request.length
    })
    : wanted.engine
  const logged = given?.logged ?? session.client.options.queryOptions.logged ?? true
  const type = given?.counter === true ? "counter" : logged ? "logged" : "unlogged"
  const { engine } = session
  if (engine === undefined) throw notConnected()
  engine.run(engine.cql.batch(items, { ...own, type }), call)
}
