/** USING: the timestamp of a write, and how long it lives. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Table } from "../schema/schema.ts"
import { NEVER } from "../storage/cells.ts"
import { readInt32, readInt64 } from "../storage/values.ts"
import { compile } from "./terms.ts"
import type { Bound, Compiled, Variables } from "./variables.ts"

/** What is said of the smallest number as a timestamp. */
export const OUT_OF_BOUND = "Out of bound timestamp, must be in [-9223372036854775807, 9223372036854775807]"

/** Longest time to live, seconds (20 years). */
const MAX_TTL = 630_720_000

/** How far ahead of its clock ScyllaDB lets a timestamp be, microseconds. */
const MAX_AHEAD = 3n * 86_400n * 1_000_000n
const TOO_FAR_AHEAD =
  "Cannot provide a timestamp more than 3 days into the future. If this was not intended, make sure the timestamp is in " +
  "microseconds. You can also disable this check by setting the restrict_future_timestamp configuration option to false."

/** The last second that Cassandra can write down for an expiry. */
const LAST_EXPIRY = 2 ** 31 - 2

const checkExpiry = (table: Table, ttl: number, now: number): void => {
  if (Math.floor(now / 1000) + ttl <= LAST_EXPIRY) return
  throw invalid(
    `Request on table ${table.keyspace.name}.${table.name} with ttl of ${ttl} seconds exceeds maximum supported expiration date of ` +
      "2038-01-19T03:14:06+00:00. In order to avoid this use a lower TTL, change the expiration date overflow policy or " +
      "upgrade to a version where this limitation is fixed. See CASSANDRA-14092 and CASSANDRA-14227 for more details."
  )
}

const integer = (
  compiled: Compiled,
  what: string,
  size: 4 | 8,
  isNullable = false
): (values: Bound) => bigint | undefined =>
(values) => {
  const bytes = compiled(values)
  if (bytes === Unset) return undefined
  if (bytes === null) {
    if (isNullable) return 0n
    throw invalid(`Invalid null value of ${what}`)
  }
  if (isNullable && (bytes as Uint8Array).length === 0) return 0n
  if ((bytes as Uint8Array).length !== size) throw invalid(`Invalid ${what} value`)
  return size === 4 ? BigInt(readInt32(bytes as Uint8Array)) : readInt64(bytes as Uint8Array)
}

/** Compiles USING: the timestamp and the seconds to live, with what counts when they are not given. */
export const compileUsing = (
  using: Ast.Using,
  table: Table | undefined,
  variables: Variables
): {
  readonly timestamp: (values: Bound, fallback: bigint) => bigint
  readonly ttl: (values: Bound) => number
} => {
  const timestamp = using.timestamp === undefined
    ? undefined
    : integer(compile(using.timestamp, CqlType.scalar("bigint"), "[timestamp]", variables), "timestamp", 8)
  const ttl = using.ttl === undefined
    ? undefined
    : integer(
      compile(using.ttl, CqlType.scalar("int"), "[ttl]", variables),
      "TTL",
      4,
      variables.product === "cassandra"
    )
  if (using.timeout !== undefined) compile(using.timeout, CqlType.scalar("duration"), "[timeout]", variables)
  const preset = Number(table?.options.get("default_time_to_live") ?? 0)
  return {
    timestamp: (values, fallback) => {
      const given = timestamp?.(values)
      if (given === undefined) return fallback
      if (given === NEVER) throw invalid(OUT_OF_BOUND)
      if (variables.product === "scylla" && given > BigInt(Math.floor(variables.now())) * 1000n + MAX_AHEAD) {
        throw invalid(TOO_FAR_AHEAD)
      }
      return given
    },
    ttl: (values) => {
      const given = ttl?.(values)
      if (given === undefined) return preset
      if (given < 0n) {
        throw invalid(`A TTL must be greater or equal to 0${variables.say("", `, but was ${given}`)}`)
      }
      if (given > MAX_TTL) throw invalid(`ttl is too large. requested (${given}) maximum (${MAX_TTL})`)
      if (variables.product === "cassandra" && given > 0n && table !== undefined) {
        checkExpiry(table, Number(given), variables.now())
      }
      return Number(given)
    }
  }
}
