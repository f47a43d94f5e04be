import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import type { Attempt, CqlError } from "../CqlError.ts"
import type { Resolved } from "../ExecuteOptions.ts"
import { countOf, ResultSet } from "../ResultSet.ts"
import type { Node } from "../Snapshot.ts"
import { withoutLiterals } from "./lexis.ts"
import type { Subject } from "./subject.ts"

/** Of a batch the convention's word; else the first word of the text. */
const operationOf = (subject: Subject): string =>
  subject.form === "batch" ? "BATCH" : /[a-z]+/i.exec(subject.text)?.[0].toUpperCase() ?? "CQL"

const tableOf = (subject: Subject): { readonly keyspace: string; readonly table: string } => {
  if (subject.form === "prepared") return subject
  if (subject.form === "text") return NONE
  if (subject.form === "encoded") return subject.prepared ?? NONE
  const [first] = subject.prepared
  return first ?? NONE
}
const NONE = { keyspace: "", table: "" }

/**
 * How a request is called in traces, by OpenTelemetry's conventions for database clients and for Cassandra (semantic conventions,
 * `database/cassandra.md`): the text without values, those that are written into it left out.
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
      "db.query.text": withoutLiterals(subject.text),
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

/** What a request, or what goes on for it, notes for its span. */
export interface Traced {
  node: Node | undefined
  shard: number | undefined
  /** Nodes that were asked before another one had answered. */
  speculations: number
  /** Every try that came to nothing. */
  readonly attempts: Array<Attempt>
}

/** Whether somebody looks at spans. */
export const isTraced = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined || cache.span !== undefined

const errorIn = (cause: Cause.Cause<unknown>): CqlError | undefined => {
  for (const reason of cause.reasons) if (Cause.isFailReason(reason)) return reason.error as CqlError
  return undefined
}

/** Runs what notes in `traced` who answered, in a span that tells it. */
export const around = <A, E>(
  { attributes, name }: ReturnType<typeof describe>,
  run: (traced: Traced) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.useSpan(name, { kind: "client", attributes }, (span) =>
    Effect.suspend(() => {
      const traced: Traced = { node: undefined, shard: undefined, speculations: 0, attempts: [] }
      return Effect.onExit(Effect.provideService(run(traced), Tracer.ParentSpan, span), (exit) =>
        Effect.map(Clock.Clock, (clock) => {
          const { attempts, node, shard, speculations } = traced
          finish(span, clock.currentTimeNanosUnsafe(), {
            node,
            shard,
            speculations,
            attempts,
            value: Exit.isSuccess(exit) ? exit.value : undefined,
            error: Exit.isFailure(exit) ? errorIn(exit.cause) : undefined
          })
        }))
    }))

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
const finish = (
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
  for (const attempt of attempts) tell(span, now, attempt)
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
  const rows: unknown = value instanceof ResultSet ? value.rows : value
  if (Array.isArray(rows)) span.attribute("db.response.returned_rows", countOf(rows))
}
