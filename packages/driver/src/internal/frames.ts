/** The constant parts of requests' frames, kept with the statement for the next time with the same options. */
import * as BatchFrame from "@effect-scylla/protocol/BatchFrame"
import type * as Dialect from "@effect-scylla/protocol/Dialect"
import * as Request from "@effect-scylla/protocol/Request"
import type { Writer } from "@effect-scylla/protocol/Writer"
import type { Resolved } from "../ExecuteOptions.ts"
import { layoutOf, type Prepared } from "../Prepared.ts"
import type { BatchStatement } from "./batchStatement.ts"
import type { Core } from "./core.ts"
import type { EncodedStatement } from "./encodedStatement.ts"
import type { PlainText } from "./plainTexts.ts"

const BATCH_KINDS: ReadonlyArray<Request.BatchKind> = ["logged", "unlogged", "counter"]

/** Of a prepared statement. */
export const executeTemplate = (
  core: Core,
  options: Resolved,
  prepared: Prepared,
  dialect: Dialect.Dialect
): Request.ExecuteTemplate => {
  const { templates } = prepared
  const layout = layoutOf(dialect)
  templates.select(options)
  const { serialConsistency: _, ...unconditional } = options.request
  const request = prepared.kind.isConditional ? options.request : unconditional
  const known = dialect.metadataIds ? prepared.known : undefined
  return templates.current[layout] ??= Request.executeTemplate(
    prepared.id,
    known?.decoder === undefined ? request : { ...request, skipMetadata: true },
    prepared.variables.length,
    {
      tracing: options.tracing,
      stamped: core.stamps(prepared.kind, options),
      dialect,
      resultMetadataId: known?.id,
      customPayload: options.customPayload
    }
  )
}

/** Of a text. */
export const queryTemplate = (
  core: Core,
  options: Resolved,
  { kind, templates }: PlainText,
  dialect: Dialect.Dialect
): Request.QueryTemplate => {
  const { keyspace, request, tracing } = options
  templates.select(options)
  return templates.current[dialect.version] ??= Request.queryTemplate(
    keyspace === undefined ? request : { ...request, keyspace },
    { dialect, tracing, stamped: core.stamps(kind, options), customPayload: options.customPayload }
  )
}

/** Appends the frame of a statement whose values are bytes already. Throws `EncodeError`; nothing is appended then. */
export const writeEncoded = (
  w: Writer,
  core: Core,
  options: Resolved,
  { encoded, statement }: EncodedStatement,
  dialect: Dialect.Dialect,
  timestamp: number
): void => {
  const { customPayload, tracing } = options
  const { serialConsistency: _, ...unconditional } = options.request
  const isStamped = core.stamps(statement.kind, options)
  const request = {
    ...(statement.kind.isConditional ? options.request : unconditional),
    ...(isStamped ? { timestamp: BigInt(timestamp) } : {})
  }
  const envelope = { dialect, tracing, customPayload }
  if (statement.form === "text") {
    const own = options.keyspace === undefined ? request : { ...request, keyspace: options.keyspace }
    return Request.encode(w, 0, { _tag: "Query", query: statement.text, options: own, values: encoded }, envelope)
  }
  // Positions are all that an EXECUTE goes by.
  const values = { values: encoded.values }
  const resultMetadataId = dialect.metadataIds ? statement.known?.id : undefined
  Request.encode(w, 0, { _tag: "Execute", id: statement.id, resultMetadataId, options: request, values }, envelope)
}

/** Of a batch. */
export const batchTemplate = (
  core: Core,
  options: Resolved,
  { kind, templates, type }: BatchStatement,
  dialect: Dialect.Dialect
): BatchFrame.BatchTemplate => {
  const { keyspace, tracing } = options
  templates.select(options)
  const layout = dialect.version * 12 + BATCH_KINDS.indexOf(type) * 4 + (kind.isConditional ? 2 : 0) +
    (kind.isCounter === true ? 1 : 0)
  const kept = templates.current[layout]
  if (kept !== undefined) return kept
  const { serialConsistency: _, ...unconditional } = options.request
  const request = kind.isConditional ? options.request : unconditional
  return templates.current[layout] = BatchFrame.template(
    type,
    keyspace === undefined ? request : { ...request, keyspace },
    { dialect, tracing, stamped: core.stamps(kind, options), customPayload: options.customPayload }
  )
}
