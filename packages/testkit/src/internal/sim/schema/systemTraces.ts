/** The tables of `system_traces`. */
import * as Uuid from "@effect-scylla/protocol/Uuid"
import type { Product } from "../server/flavour.ts"
import type { Definition, Values } from "./systemDefinitions.ts"

/** Cassandra tells ports beside addresses, ScyllaDB sizes, users and spans. */
export const definitionsOfTraces = (product: Product): ReadonlyArray<Definition> => {
  const own = product === "cassandra"
    ? { session: "coordinator_port int", event: "source_port int" }
    : {
      session: "request_size int, response_size int, username text",
      event: "scylla_parent_id bigint, scylla_span_id bigint"
    }
  const port = (name: "coordinator" | "source"): Values => product === "cassandra" ? { [`${name}_port`]: 7000 } : {}
  return [
    {
      keyspace: "system_traces",
      name: "sessions",
      columns: "session_id uuid || client inet, command text, coordinator inet, duration int, " +
        `parameters map<text, text>, request text, started_at timestamp, ${own.session}`,
      rows: ({ traces }) =>
        traces.all.map((trace) =>
          Object.assign({
            session_id: trace.id,
            client: trace.client,
            command: "QUERY",
            coordinator: trace.coordinator.address,
            // Time does not pass while a request is answered: it is counted, so that events are in order.
            duration: trace.activities.length + 1,
            parameters: trace.parameters,
            request: trace.request,
            started_at: trace.startedAt
          }, port("coordinator"))
        )
    },
    {
      keyspace: "system_traces",
      name: "events",
      columns: "session_id uuid | event_id timeuuid | activity text, source inet, source_elapsed int, thread text, " +
        own.event,
      rows: ({ traces }) =>
        traces.all.flatMap((trace) =>
          trace.activities.map((activity, i) =>
            Object.assign({
              session_id: trace.id,
              event_id: Uuid.fromTimestamp(trace.startedAt, { node: BigInt(trace.coordinator.index), clock: i }),
              activity,
              source: trace.coordinator.address,
              source_elapsed: i + 1,
              thread: product === "cassandra" ? "Native-Transport-Requests-1" : `shard ${trace.shard}`
            }, port("source"))
          )
        )
    }
  ]
}
