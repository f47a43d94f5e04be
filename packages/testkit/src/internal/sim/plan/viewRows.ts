/** The rows of a materialized view: made of its table's when they are read, so that they are in step at any time. */
import type { Table } from "../schema/schema.ts"
import { type Cell, Complex } from "../storage/cells.ts"
import type { Row, Write } from "../storage/row.ts"
import { type Partition, TableData } from "../storage/storage.ts"
import { valueOf } from "./columns.ts"
import { filterOf } from "./filters.ts"
import { makeKey } from "./keys.ts"
import { Variables, type View } from "./variables.ts"

/** What was made of a table as it was, and until when its rows are what they were. */
interface Made {
  readonly data: TableData
  readonly base: Table
  readonly version: number
  readonly from: number
  readonly until: number
}

const made = new WeakMap<Table, Made>()

/** When the next of a row's cells expires. */
const nextExpiry = (row: Row, now: number): number => {
  let next = Number.POSITIVE_INFINITY
  const see = (cell: Cell): void => {
    if (cell.expires > now && cell.expires < next) next = cell.expires
  }
  if (row.marker !== undefined) see(row.marker)
  for (const cell of row.cells) {
    if (cell instanceof Complex) cell.cells.forEach(see)
    else if (cell !== undefined) see(cell)
  }
  return next
}

const present = new Uint8Array(0)

const build = (view: Table, base: Table, product: Variables["product"], now: number): Made => {
  const variables = new Variables(
    { names: [], inName: "in", product, now: () => now, unique: () => 0 },
    base
  )
  const filters = view.view!.where.filter(({ _tag }) => _tag !== "NotNull")
    .map((relation) => filterOf(relation, base, variables, "SELECT").holds)
  const from = (name: string) => base.byName.get(name)!
  const partitionKey = view.partitionKey.map(({ name }) => from(name))
  const clustering = view.clustering.map(({ name }) => from(name))
  const regular = view.regular.map((column) => ({ column, of: from(column.name) }))
  const data = new TableData(view.data.order)
  let until = Number.POSITIVE_INFINITY

  const show = (partition: Partition, row: Row): void => {
    const seen: View = { partition, row, now }
    if (!filters.every((filter) => filter([], seen))) return
    const values = (columns: typeof clustering): ReadonlyArray<Uint8Array> =>
      columns.flatMap((column) => valueOf(column, seen) ?? [])
    const components = values(partitionKey)
    const rest = values(clustering)
    if (components.length < partitionKey.length || rest.length < clustering.length) return
    // A partition has no key of nothing.
    if (components.length === 1 && components[0]!.length === 0) return
    const writes = regular.flatMap(({ column, of }): ReadonlyArray<Write> => {
      const cell = row.cells[of.position]
      if (cell === undefined) return []
      if (!(cell instanceof Complex)) return [{ slot: column.position, cell }]
      const elements = cell.paths.map((path, i) => [path, cell.cells[i]!] as const)
      return [{ slot: column.position, layout: column.layout!, elements }]
    })
    const key = makeKey(components)
    const marker = { value: present, timestamp: 0n, expires: 0, ttl: 0 }
    data.obtain(key.bytes, components).write(rest, writes, 0n, marker)
  }

  for (const partition of base.data.scan()) {
    for (const row of partition.rows) {
      if (!row.isLive(now)) continue
      until = Math.min(until, nextExpiry(row, now))
      show(partition, row)
    }
  }
  return { data, base, version: base.data.version, from: now, until }
}

/** The rows of a view at a time. */
export const viewRows = (view: Table, product: Variables["product"], now: number): TableData => {
  const base = view.keyspace.tables.get(view.view!.base)!
  const known = made.get(view)
  const isFresh = known !== undefined && known.base === base && known.version === base.data.version &&
    now >= known.from && now < known.until
  if (isFresh) return known.data
  const next = build(view, base, product, now)
  made.set(view, next)
  return next.data
}
