import { Uuid } from "@effect-scylla/protocol/Uuid"
import * as Effect from "effect/Effect"
import { CqlError, TraceMissing } from "../CqlError.ts"
import type { ExecuteOptions } from "../ExecuteOptions.ts"
import type { ResultSet } from "../ResultSet.ts"
import type { Trace } from "../Trace.ts"

/** Servers write traces when the request is long answered: milliseconds between looks, doubled up to the longest, and looks. */
const INTERVAL = { first: 20, longest: 500 }
const LOOKS = 20

type Query = (
  text: string,
  values: ReadonlyArray<unknown>,
  options: ExecuteOptions
) => Effect.Effect<ResultSet, CqlError>

/** One replica is enough: whoever has the row has it whole. */
const options: ExecuteOptions = { consistency: "ONE", idempotent: true }

const missing = (message: string): CqlError => new CqlError({ reason: new TraceMissing({ message }), attempts: [] })

const number = (value: unknown): number | undefined => typeof value === "number" ? value : undefined
const text = (value: unknown): string => value === null || value === undefined ? "" : String(value)

/** Reads the trace of a result, again until it is there. */
export const traceOf = (query: Query, given: ResultSet<any> | Uuid): Effect.Effect<Trace, CqlError> =>
  Effect.gen(function*() {
    const id = given instanceof Uuid ? given : given.tracingId
    if (id === undefined) return yield* missing("the result has no trace: ask for one with `tracing: true`")
    let interval = INTERVAL.first
    for (let look = 0; look < LOOKS; look++) {
      if (look > 0) {
        yield* Effect.sleep(interval)
        interval = Math.min(2 * interval, INTERVAL.longest)
      }
      const { rows: [session] } = yield* query(
        "SELECT * FROM system_traces.sessions WHERE session_id = ?",
        [id],
        options
      )
      const durationMicros = number(session?.["duration"])
      // The duration is written last.
      if (session === undefined || durationMicros === undefined) continue
      const { rows } = yield* query("SELECT * FROM system_traces.events WHERE session_id = ?", [id], options)
      const { coordinator, parameters, request, started_at: startedAt } = session
      return {
        id,
        request: text(request),
        coordinator: text(coordinator),
        durationMicros,
        startedAt: startedAt instanceof Date ? startedAt : undefined,
        parameters: parameters instanceof Map ? parameters as Map<string, string> : new Map(),
        events: rows.map((row) => ({
          activity: text(row["activity"]),
          source: text(row["source"]),
          elapsedMicros: number(row["source_elapsed"]),
          thread: text(row["thread"])
        }))
      }
    }
    return yield* missing(`the trace ${id.toString()} was not there after ${LOOKS} looks`)
  })
