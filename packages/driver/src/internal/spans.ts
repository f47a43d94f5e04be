import type * as Tracer from "effect/Tracer"
import type { Attempt, CqlError } from "../CqlError.ts"
import type { Resolved } from "../ExecuteOptions.ts"
import { ResultSet } from "../ResultSet.ts"
import type { Node } from "../Snapshot.ts"
import type { Subject } from "./subject.ts"

/** Of a batch the convention's word; else the first word of the text. */
const operationOf = (subject: Subject): string =>
  subject.form === "batch" ? "BATCH" : /[a-z]+/i.exec(subject.text)?.[0].toUpperCase() ?? "CQL"

const tableOf = (subject: Subject): { readonly keyspace: string; readonly table: string } => {
  if (subject.form === "prepared") return subject
  if (subject.form === "text") return NONE
  const [first] = subject.prepared
  return first ?? NONE
}
const NONE = { keyspace: "", table: "" }

/**
 * How a request is called in traces, by OpenTelemetry's conventions for database clients and for Cassandra (semantic conventions,
 * `database/cassandra.md`): the text without values, which are always bound.
 */
export const describe = (
  subject: Subject,
  options: Resolved,
  keyspace: string | undefined,
  isIdempotent: boolean
): { readonly name: string; readonly attributes: Record<string, unknown> } => {
  const { consistency, pageSize } = options.request
  const { keyspace: own, table } = tableOf(subject)
  const namespace = own || options.keyspace || keyspace
  const operation = operationOf(subject)
  const target = table === "" ? namespace ?? "" : `${namespace ?? ""}.${table}`
  return {
    name: options.label ?? (target === "" ? operation : `${operation} ${target}`),
    attributes: {
      "db.system.name": "cassandra",
      "db.operation.name": operation,
      "db.query.text": subject.text,
      ...(namespace === undefined ? {} : { "db.namespace": namespace }),
      ...(table === "" ? {} : { "db.collection.name": table }),
      ...(subject.form === "batch" ? { "db.operation.batch.size": subject.entries.length } : {}),
      "cassandra.consistency.level": consistency.toLowerCase(),
      ...(pageSize === undefined ? {} : { "cassandra.page.size": pageSize }),
      "cassandra.query.idempotent": subject.kind.type === "read" || isIdempotent,
      ...(options.label === undefined ? {} : { "cql.label": options.label }),
      ...(options.profile === undefined ? {} : { "cql.profile": options.profile })
    }
  }
}

/** Every try that came to nothing, as an event. */
const tell = (span: Tracer.Span, now: bigint, { decision, durationMillis, node, reason, sent, shard }: Attempt): void =>
  span.event("cql.attempt", now, {
    "server.address": node,
    "cql.shard": shard,
    "error.type": reason._tag,
    "cql.sent": sent,
    "cql.decision": decision,
    "cql.duration_ms": durationMillis
  })

/** How it ended. */
export const finish = (
  span: Tracer.Span,
  now: bigint,
  end: {
    readonly node: Node | undefined
    readonly shard: number | undefined
    readonly speculations: number
    readonly attempts: ReadonlyArray<Attempt>
    readonly value: unknown
    readonly error: CqlError | undefined
  }
): void => {
  const { attempts, error, node, shard, speculations, value } = end
  for (const attempt of error?.attempts ?? attempts) tell(span, now, attempt)
  if (node !== undefined) {
    span.attribute("server.address", node.address)
    span.attribute("server.port", node.port)
    span.attribute("cassandra.coordinator.id", node.hostId)
    span.attribute("cassandra.coordinator.dc", node.datacenter)
  } else {
    // Of an attempt at least the address.
    const last = error?.attempts?.at(-1)?.node
    const colon = last?.lastIndexOf(":") ?? -1
    if (last !== undefined && colon > 0) {
      span.attribute("server.address", last.slice(0, colon))
      span.attribute("server.port", Number(last.slice(colon + 1)))
    }
  }
  if (shard !== undefined && shard >= 0) span.attribute("cql.shard", shard)
  span.attribute("cassandra.speculative_execution.count", speculations)
  if (error !== undefined) {
    span.attribute("error.type", error.reason._tag)
    if ("code" in error.reason) span.attribute("db.response.status_code", String(error.reason.code))
    if (error.outcome !== undefined) span.attribute("cql.outcome", error.outcome)
    return
  }
  const rows = value instanceof ResultSet ? value.rows.length : Array.isArray(value) ? value.length : undefined
  if (rows !== undefined) span.attribute("db.response.returned_rows", rows)
}
