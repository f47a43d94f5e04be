/** Where places are kept: their tables, how a change of one is said in CQL, and how what is there is read. */
import type { CqlClient, CqlError } from "@effect-scylla/driver"
import { Effect, Stream } from "effect"
import type { Change, Kind, Look, Place } from "./ledger.ts"

/** Conditions and counters are not for tables with tablets on all versions of ScyllaDB: they have a keyspace of their own. */
const KEYSPACES = { plain: "chaos", spread: "chaos_spread" } as const

export const tables: Readonly<
  Record<Kind, { readonly name: string; readonly columns: string; readonly value: string }>
> = {
  counter: { name: `${KEYSPACES.plain}.counters`, columns: "k text PRIMARY KEY, n counter", value: "n" },
  list: { name: `${KEYSPACES.spread}.lists`, columns: "k text PRIMARY KEY, ids list<int>", value: "ids" },
  rows: { name: `${KEYSPACES.spread}.rows`, columns: "k text, id int, v text, PRIMARY KEY (k, id)", value: "id, v" },
  register: { name: `${KEYSPACES.spread}.registers`, columns: "k text PRIMARY KEY, v int", value: "v" },
  chain: { name: `${KEYSPACES.plain}.chains`, columns: "k text PRIMARY KEY, v int", value: "v" },
  claim: { name: `${KEYSPACES.plain}.claims`, columns: "k text PRIMARY KEY, v int", value: "v" }
}

/** Tables that may get another column at any time. A counter table takes none but counters. */
export const alterable: ReadonlyArray<string> = Object.values(tables).flatMap(({ columns, name }) =>
  columns.includes("counter") ? [] : [name]
)

/** Makes what the load needs; the nodes are well. `tablets` is said of the keyspace that may have them. */
export const prepareSchema = (
  cql: CqlClient.CqlClient,
  settings: { readonly datacenter: string; readonly replicas: number; readonly tablets: string | undefined }
): Effect.Effect<void, CqlError.CqlError> => {
  const { datacenter, replicas, tablets } = settings
  const replication = `WITH replication = {'class': 'NetworkTopologyStrategy', '${datacenter}': ${replicas}}`
  const timeout = { timeout: "60 seconds" } as const
  return Effect.gen(function*() {
    const off = tablets === undefined ? "" : " AND tablets = {'enabled': false}"
    yield* cql.execute(`CREATE KEYSPACE ${KEYSPACES.plain} ${replication}${off}`, [], timeout)
    const spread = tablets === undefined ? "" : ` AND tablets = ${tablets}`
    yield* cql.execute(`CREATE KEYSPACE ${KEYSPACES.spread} ${replication}${spread}`, [], timeout)
    for (const { columns, name } of Object.values(tables)) {
      yield* cql.execute(`CREATE TABLE ${name} (${columns})`, [], timeout)
    }
  })
}

/** A statement with `?` and its values. */
export interface Said {
  readonly text: string
  readonly values: ReadonlyArray<unknown>
}

/** The texts of this load: each is prepared once, by whoever needs it first. */
export const sayings: Readonly<Record<Kind, (change: Change) => Said>> = {
  counter: ({ place }) => ({ text: `UPDATE ${tables.counter.name} SET n = n + 1 WHERE k = ?`, values: [place.key] }),
  list: ({ id, place }) => ({
    text: `UPDATE ${tables.list.name} SET ids = ids + ? WHERE k = ?`,
    values: [[id], place.key]
  }),
  rows: ({ id, place }) => ({
    text: `INSERT INTO ${tables.rows.name} (k, id, v) VALUES (?, ?, ?)`,
    values: [place.key, id, owned(place.key, id)]
  }),
  register: ({ id, place }) => ({
    text: `UPDATE ${tables.register.name} SET v = ? WHERE k = ?`,
    values: [id, place.key]
  }),
  chain: ({ from, id, place }) => ({
    text: `UPDATE ${tables.chain.name} SET v = ? WHERE k = ? IF v = ?`,
    values: [id, place.key, from]
  }),
  claim: ({ id, place }) => ({
    text: `INSERT INTO ${tables.claim.name} (k, v) VALUES (?, ?) IF NOT EXISTS`,
    values: [place.key, id]
  })
}

/** What the row says of whose it is. */
const owned = (key: string, id: number): string => `${key}/${id}`

const literalOf = (value: unknown): string =>
  Array.isArray(value) ? `[${value.join(", ")}]` : typeof value === "string" ? `'${value}'` : String(value)

/** Without markers: never prepared, and routed nowhere. */
export const literally = ({ text, values }: Said): string => {
  let at = 0
  return text.replace(/\?/g, () => literalOf(values[at++]))
}

const strings = new Map<string, TemplateStringsArray>()

/** As if it had been written as a template. */
export const templated = (cql: CqlClient.CqlClient, { text, values }: Said) => {
  let parts = strings.get(text)
  if (parts === undefined) {
    const split = text.split("?")
    strings.set(text, parts = Object.assign(split, { raw: split }))
  }
  return cql(parts, ...values)
}

/** What rows say: the numbers of the place, and whatever belongs elsewhere. */
export const looked = (
  place: Place,
  rows: ReadonlyArray<Readonly<Record<string, unknown>>>
): { readonly look: Look; readonly strangers: ReadonlyArray<string> } => {
  const { key, kind } = place
  const strangers: Array<string> = []
  const seen: Array<number> = []
  for (const row of rows) {
    if (row["k"] !== key) strangers.push(`the row of ${String(row["k"])} as that of ${key}`)
    if (kind === "counter") seen.push(Number(row["n"] ?? 0))
    else if (kind === "list") { for (const id of (row["ids"] ?? []) as ReadonlyArray<number>) seen.push(id) }
    else if (kind === "rows") {
      const id = row["id"] as number
      seen.push(id)
      if (row["v"] !== owned(key, id)) strangers.push(`${String(row["v"])} as the row ${owned(key, id)}`)
    } else if (typeof row["v"] === "number") seen.push(row["v"])
  }
  if (kind !== "list" && kind !== "rows" && rows.length > 1) strangers.push(`${rows.length} rows of one key`)
  return { look: { place, seen }, strangers }
}

/** Asks all replicas of a partition. */
export const probe = (cql: CqlClient.CqlClient): Effect.Effect<unknown, CqlError.CqlError> =>
  cql.execute(`SELECT k FROM ${tables.register.name} WHERE k = ?`, ["probe"], { consistency: "ALL" })

export const isConditional = ({ kind }: Place): boolean => kind === "chain" || kind === "claim"

/** The last word on every place, from a client that was not under load, read at a consistency that sees all there is. */
export const finalState = (
  cql: CqlClient.CqlClient,
  places: ReadonlyArray<Place>
): Effect.Effect<ReadonlyArray<Look>, CqlError.CqlError> =>
  Effect.forEach(places, (place) => {
    const { name, value } = tables[place.kind]
    const rows = Stream.runCollect(
      cql.stream(`SELECT k, ${value} FROM ${name} WHERE k = ?`, [place.key], {
        consistency: isConditional(place) ? "SERIAL" : "ALL"
      })
    )
    return Effect.map(rows, (rows) => {
      const { look, strangers } = looked(place, rows)
      // The state is what it is: a row of another key would be the servers' fault, and the ids of it belong to nobody.
      return strangers.length === 0 ? look : { place, seen: [...look.seen, -1] }
    })
  }, { concurrency: 8 })
