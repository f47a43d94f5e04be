/** Random mixes of all the ways to write, over one row: the last one that was acknowledged is the one that is read. */
import type { CqlClient, CqlError } from "@effect-scylla/driver"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { Random } from "./random.ts"

const TABLE = "(id int PRIMARY KEY, v int)"

type Write = (
  cql: CqlClient.CqlClient,
  table: string,
  id: number,
  v: number
) => Effect.Effect<unknown, CqlError.CqlError>

const raw = (cql: CqlClient.CqlClient, text: string) => cql.execute(text)

/** Writes of a value, by how they are said. */
const puts: Readonly<Record<string, Write>> = {
  "template INSERT": (cql, table, id, v) => cql`INSERT INTO ${name(cql, table)} (id, v) VALUES (${id}, ${v})`,
  "template UPDATE": (cql, table, id, v) => cql`UPDATE ${name(cql, table)} SET v = ${v} WHERE id = ${id}`,
  "template with options": (cql, table, id, v) =>
    cql`INSERT INTO ${name(cql, table)} (id, v) VALUES (${id}, ${v})`.with({ idempotent: true, consistency: "QUORUM" }),
  "INSERT as a text": (cql, table, id, v) => raw(cql, `INSERT INTO ${table} (id, v) VALUES (${id}, ${v})`),
  "UPDATE as a text": (cql, table, id, v) => raw(cql, `UPDATE ${table} SET v = ${v} WHERE id = ${id}`),
  "prepared": (cql, table, id, v) =>
    Effect.flatMap(
      cql.prepare(`UPDATE ${table} SET v = :v WHERE id = :id`),
      (prepared) => cql.execute(prepared, { v, id })
    ),
  "batch as a text": (cql, table, id, v) =>
    raw(cql, `BEGIN BATCH INSERT INTO ${table} (id, v) VALUES (${id}, ${v}) APPLY BATCH`),
  "batch with values": (cql, table, id, v) =>
    cql.execute(`BEGIN UNLOGGED BATCH UPDATE ${table} SET v = ? WHERE id = ?; APPLY BATCH`, [v, id])
}

/** And those that take it away. */
const removals: Readonly<Record<string, Write>> = {
  "DELETE as a text": (cql, table, id) => raw(cql, `DELETE FROM ${table} WHERE id = ${id}`),
  "prepared DELETE": (cql, table, id) => cql.execute(`DELETE FROM ${table} WHERE id = ?`, [id]),
  "column deleted in a batch": (cql, table, id) =>
    raw(cql, `BEGIN BATCH DELETE v FROM ${table} WHERE id = ${id} APPLY BATCH`)
}

const name = (cql: CqlClient.CqlClient, table: string) => {
  const [keyspace, own] = table.split(".") as [string, string]
  return cql(keyspace, own)
}

/**
 * Runs `rounds` of a few writes each, one after the other, and reads after each round. `around` runs a request: under a test
 * clock somebody has to let time pass.
 */
export const lastWriteIsRead = (
  cql: CqlClient.CqlClient,
  keyspace: string,
  settings: { readonly seed: number; readonly rounds: number },
  around: <A, E>(request: Effect.Effect<A, E>) => Effect.Effect<A, E> = (request) => request
) =>
  Effect.gen(function*() {
    const table = `${keyspace}.last_write`
    yield* around(cql.execute(`CREATE TABLE IF NOT EXISTS ${table} ${TABLE}`))
    const random = new Random(settings.seed)
    const [put, removal] = [Object.entries(puts), Object.entries(removals)]
    for (let round = 0; round < settings.rounds; round++) {
      const id = random.below(4)
      const said: Array<string> = []
      let expected: number | null = null
      for (let n = random.below(4) + 2; n > 0; n--) {
        const isPut = random.below(4) > 0
        const [how, write] = isPut ? put[random.below(put.length)]! : removal[random.below(removal.length)]!
        const v = random.below(1_000_000)
        yield* around(write(cql, table, id, v))
        said.push(isPut ? `${how} ${v}` : how)
        expected = isPut ? v : null
      }
      const { rows } = yield* around(
        cql.execute(`SELECT v FROM ${table} WHERE id = ?`, [id], { consistency: "ALL" })
      )
      assert.strictEqual(rows[0]?.["v"] ?? null, expected, `seed ${settings.seed}, round ${round}: ${said.join(", ")}`)
    }
  })
