/** What is new in a keyspace; what is not new stays the same object. */
import { isSame } from "./comparing.ts"
import type * as Schema from "./model.ts"

type Named = { readonly keyspace: string; readonly id?: string }

const change = <A>(
  target: string,
  keyspace: string,
  name: string,
  before: A | undefined,
  after: A | undefined
): Schema.Change =>
  ({
    target,
    change: before === undefined ? "CREATED" : after === undefined ? "DROPPED" : "UPDATED",
    keyspace,
    name,
    before,
    after
  }) as unknown as Schema.Change

/** Where it is another one of the name, made again, it has gone first. */
const isAnother = (before: Named, after: Named): boolean => before.id !== after.id

/** Compared in one step. */
const AT_ONCE = 8

/** In steps, see `paced`. */
function* differences<A extends Named>(
  target: string,
  before: ReadonlyMap<string, A>,
  after: ReadonlyMap<string, A>,
  out: Array<Schema.Change>
): Generator<void, ReadonlyMap<string, A>> {
  let isEqual = before.size === after.size
  const kept = new Map<string, A>()
  for (const [name, was] of before) {
    if (!after.has(name)) out.push(change<A>(target, was.keyspace, name, was, undefined))
  }
  let count = 0
  for (const [name, is] of after) {
    if (++count % AT_ONCE === 0) yield
    const was = before.get(name)
    if (was !== undefined && (was === is || isSame(was, is))) {
      kept.set(name, was)
      continue
    }
    isEqual = false
    kept.set(name, is)
    if (was !== undefined && isAnother(was, is)) out.push(change<A>(target, is.keyspace, name, was, undefined))
    out.push(change<A>(target, is.keyspace, name, was !== undefined && isAnother(was, is) ? undefined : was, is))
  }
  // The order counts, too: types stand in that of what they need.
  return isEqual && [...before.keys()].join() === [...after.keys()].join() ? before : kept
}

const NONE: ReadonlyMap<string, any> = new Map()

const ownOf = ({ consistency, durableWrites, replication, storage, tablets }: Schema.Keyspace) => [
  consistency,
  durableWrites,
  replication,
  storage,
  tablets
]

/** The keyspace as it is now, with parts of the one before; what differs is added to `out`, what makes others possible first. */
export function* between(
  before: Schema.Keyspace | undefined,
  after: Schema.Keyspace | undefined,
  out: Array<Schema.Change>
): Generator<void, Schema.Keyspace | undefined> {
  const whole = after ?? before
  if (whole === undefined) return undefined
  const { name } = whole
  if (before === undefined || after === undefined || !isSame(ownOf(before), ownOf(after))) {
    out.push(change("KEYSPACE", name, name, before, after))
  }
  const types = yield* differences("TYPE", before?.types ?? NONE, after?.types ?? NONE, out)
  const functions = yield* differences("FUNCTION", before?.functions ?? NONE, after?.functions ?? NONE, out)
  const aggregates = yield* differences("AGGREGATE", before?.aggregates ?? NONE, after?.aggregates ?? NONE, out)
  const tables = yield* differences("TABLE", before?.tables ?? NONE, after?.tables ?? NONE, out)
  const indexes = (keyspace: Schema.Keyspace | undefined): ReadonlyMap<string, Schema.Index> =>
    new Map([...keyspace?.tables.values() ?? []].flatMap((table) => Array.from(table.indexes)))
  yield* differences("INDEX", indexes(before), indexes(after), out)
  const views = yield* differences("VIEW", before?.views ?? NONE, after?.views ?? NONE, out)
  if (after === undefined) return undefined
  const isEqual = before !== undefined && isSame(ownOf(before), ownOf(after)) && types === before.types &&
    functions === before.functions && aggregates === before.aggregates && tables === before.tables &&
    views === before.views
  return isEqual ? before : { ...after, types, functions, aggregates, tables, views }
}
