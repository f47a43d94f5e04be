/**
 * The frame of a BATCH whose values are encoded straight into the buffer (section 4.1.7 of native_protocol_v4.spec): what is the
 * same for all batches of one kind with the same options is put together once.
 *
 * @since 0.1.0
 */
import type { BindEncoder } from "./BindEncoder.ts"
import * as Consistency from "./Consistency.ts"
import * as Dialect from "./Dialect.ts"
import type { Encoded } from "./Encoded.ts"
import * as Frame from "./Frame.ts"
import {
  checkUnset,
  flagsOf,
  type Options,
  QueryFlags,
  writeEnd,
  writeFlags,
  writeRaw,
  writeTail,
  writeTimestamp
} from "./internal/parameters.ts"
import { EncodeError } from "./ProtocolError.ts"
import { type BatchKind, headerFlags, payloadHead, type TemplateSettings } from "./Request.ts"
import { Writer } from "./Writer.ts"

/**
 * A statement of a batch: prepared, with the encoder of its variables, a text without values, or either with encoded ones.
 *
 * @category models
 * @since 0.1.0
 */
export type Part =
  | { readonly id: Uint8Array; readonly encoder: BindEncoder; readonly values: ReadonlyArray<unknown> }
  | { readonly query: string }
  /** With values that are bytes already: prepared where there is an id. */
  | { readonly id: Uint8Array | undefined; readonly query: string; readonly encoded: Encoded }

/**
 * The frame of a BATCH but for its statements and its timestamp.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchTemplate {
  readonly dialect: Dialect.Dialect
  /** Of the header. */
  readonly flags: number
  /** What comes before the kind: a custom payload; empty in most cases. */
  readonly head: Uint8Array
  /** The byte of the kind. */
  readonly kind: number
  /** What comes behind the statements, up to the timestamp. */
  readonly tail: Uint8Array
  /** Whether {@link write} adds a timestamp there. */
  readonly stamped: boolean
  /** What comes behind the timestamp. */
  readonly rest: Uint8Array
}

const KINDS: Readonly<Record<BatchKind, number>> = { logged: 0, unlogged: 1, counter: 2 }

/**
 * Puts together what is the same each time. Of the options those that a batch has count: no page size, no paging state. Throws
 * `EncodeError` for what the dialect's version does not have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const template = (
  kind: BatchKind,
  { consistency, keyspace, nowInSeconds, serialConsistency, timestamp }: Options,
  settings: Omit<TemplateSettings, "resultMetadataId">
): BatchTemplate => {
  const { dialect = Dialect.v4 } = settings
  const flags = headerFlags(settings, dialect)
  const head = payloadHead(settings)
  const options: Options = { consistency, keyspace, nowInSeconds, serialConsistency, timestamp }
  const stamped = settings.stamped && timestamp === undefined
  const w = new Writer(64)
  w.u16(Consistency.toCode(consistency))
  writeFlags(w, flagsOf(options) | (stamped ? QueryFlags.TIMESTAMP : 0), dialect)
  writeTail(w, options)
  const tail = w.toUint8Array()
  w.reset()
  writeEnd(w, options)
  return { dialect, flags, head, kind: KINDS[kind], tail, stamped, rest: w.toUint8Array() }
}

/**
 * Appends the frame. `timestamp` in whole microseconds since 1970, for a template that is `stamped`. Throws `EncodeError`, which
 * says at which statement, for values that do not fit, and for more than 65,535 statements; nothing is appended then.
 *
 * @category encoding
 * @since 0.1.0
 */
export const write = (w: Writer, template: BatchTemplate, parts: ReadonlyArray<Part>, timestamp: number): void => {
  const { dialect, flags, head, kind, rest, stamped, tail } = template
  const start = Frame.begin(w, dialect.version, flags, 0, Frame.Opcode.BATCH)
  let n = 0
  try {
    w.raw(head)
    w.u8(kind)
    w.count(parts.length, "statements of a batch: split it")
    for (; n < parts.length; n++) writePart(w, parts[n]!, dialect)
    w.raw(tail)
    if (stamped) {
      w.ensure(8)
      writeTimestamp(w, timestamp)
    }
    w.raw(rest)
  } catch (error) {
    w.pos = start
    if (!(error instanceof EncodeError) || parts.length > 0xffff) throw error
    const { cause, cqlType, message, path } = error
    throw new EncodeError({
      message: `statement ${n + 1} of the batch: ${message}`,
      path,
      cqlType,
      ...(cause === undefined ? {} : { cause })
    })
  }
  Frame.end(w, start)
}

const writePart = (w: Writer, part: Part, dialect: Dialect.Dialect): void => {
  if ("encoded" in part) return writeEncoded(w, part, dialect)
  if ("query" in part) {
    w.u8(0)
    w.longString(part.query)
    w.u16(0)
    return
  }
  const { encoder, id, values } = part
  w.u8(1)
  w.shortBytes(id)
  w.count(values.length, "values")
  encoder.write(w, values)
  if (dialect.version < 4) checkUnset(values, dialect, (i) => encoder.columns[i]?.name)
}

const writeEncoded = (
  w: Writer,
  { encoded: { values }, id, query }: {
    readonly id: Uint8Array | undefined
    readonly query: string
    readonly encoded: Encoded
  },
  dialect: Dialect.Dialect
): void => {
  if (id === undefined) {
    w.u8(0)
    w.longString(query)
  } else {
    w.u8(1)
    w.shortBytes(id)
  }
  checkUnset(values, dialect, () => undefined)
  w.count(values.length, "values")
  for (const value of values) writeRaw(w, value)
}
