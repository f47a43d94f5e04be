/** What is noted of a request that is traced. */
import type * as Request from "@effect-scylla/protocol/Request"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import type { Trace } from "../schema/traces.ts"

/** What servers call a request, and its text if it has one. */
const titleOf = (request: Request.Request): readonly [title: string, query: string | undefined] => {
  switch (request._tag) {
    case "Prepare":
      return ["Preparing CQL3 query", request.query]
    case "Query":
      return ["Execute CQL3 query", request.query]
    case "Batch":
      return ["Execute batch of CQL3 queries", undefined]
    default:
      return ["Execute CQL3 prepared query", undefined]
  }
}

const ACTIVITIES = ["Parsing a statement", "Processing a statement", "Done processing - preparing a result"]

const parametersOf = (request: Request.Request, query: string | undefined): ReadonlyMap<string, string> => {
  const out = new Map<string, string>()
  if (query !== undefined) out.set("query", query)
  if (request._tag !== "Query" && request._tag !== "Execute") return out
  const { consistency, pageSize, serialConsistency } = request.options
  out.set("consistency_level", consistency)
  if (pageSize !== undefined) out.set("page_size", String(pageSize))
  return out.set("serial_consistency_level", serialConsistency ?? "SERIAL")
}

export const traceOf = (
  request: Request.Request,
  at: Pick<Trace, "client" | "coordinator" | "shard" | "startedAt">
): Trace => {
  const [title, query] = titleOf(request)
  return {
    ...at,
    id: Uuid.fromTimestamp(at.startedAt),
    request: title,
    parameters: parametersOf(request, query),
    activities: ACTIVITIES
  }
}
