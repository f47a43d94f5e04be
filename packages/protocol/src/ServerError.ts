/**
 * The errors that a server answers (native_protocol_v4.spec and v5 section 9, and ScyllaDB's rate limit), each with its body.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Consistency from "./Consistency.ts"
import * as Dialect from "./Dialect.ts"
import { EncodeError } from "./ProtocolError.ts"
import { parseAddress, type Reader } from "./Reader.ts"
import type { Writer } from "./Writer.ts"

interface Common {
  /** The server's text. */
  readonly message: string
  /** The code on the wire. */
  readonly code: number
}
interface Counted extends Common {
  readonly consistency: Consistency.Consistency
  /** Replicas that answered. */
  readonly received: number
  /** Replicas that the consistency level asks for. */
  readonly required: number
}

/**
 * Why replicas failed, v5: a code for each address. 0 is unknown, 1 that a read met too many tombstones; the rest is in
 * native_protocol_v5.spec section 9 (READ_FAILURE), and servers know further ones (Cassandra's RequestFailureReason).
 *
 * @category models
 * @since 0.1.0
 */
export type FailureReasons = ReadonlyMap<string, number>

interface Failed extends Counted {
  /** Replicas that failed. */
  readonly failures: number
  /** Absent before v5. */
  readonly reasons?: FailureReasons | undefined
}

/**
 * 0x0000: something went wrong inside the server.
 *
 * @category errors
 * @since 0.1.0
 */
export class InternalServerError extends Data.TaggedError("InternalServerError")<Common> {}

/**
 * 0x000A: the server could not read the message.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolError extends Data.TaggedError("ProtocolError")<Common> {}

/**
 * 0x0100: authentication failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadCredentials extends Data.TaggedError("BadCredentials")<Common> {}

/**
 * 0x1000: too few replicas are alive; nothing was started.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable extends Data.TaggedError("Unavailable")<
  Common & { readonly consistency: Consistency.Consistency; readonly required: number; readonly alive: number }
> {}

/**
 * 0x1001: the server sheds load.
 *
 * @category errors
 * @since 0.1.0
 */
export class Overloaded extends Data.TaggedError("Overloaded")<Common> {}

/**
 * 0x1002: the coordinator is still joining.
 *
 * @category errors
 * @since 0.1.0
 */
export class IsBootstrapping extends Data.TaggedError("IsBootstrapping")<Common> {}

/**
 * 0x1003: a TRUNCATE failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class TruncateError extends Data.TaggedError("TruncateError")<Common> {}

/**
 * 0x1100: too few replicas confirmed a write in time. `writeType` is SIMPLE, BATCH, UNLOGGED_BATCH, COUNTER, BATCH_LOG,
 * CAS, VIEW or CDC.
 *
 * @category errors
 * @since 0.1.0
 */
export class WriteTimeout extends Data.TaggedError("WriteTimeout")<
  Counted & {
    readonly writeType: string
    /** Of a CAS write on v5: how often it met another one under way. */
    readonly contentions?: number | undefined
  }
> {}

/**
 * 0x1200: too few replicas answered a read in time.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReadTimeout extends Data.TaggedError("ReadTimeout")<Counted & { readonly dataPresent: boolean }> {}

/**
 * 0x1300: a replica failed while reading.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReadFailure extends Data.TaggedError("ReadFailure")<Failed & { readonly dataPresent: boolean }> {}

/**
 * 0x1400: a user-defined function threw.
 *
 * @category errors
 * @since 0.1.0
 */
export class FunctionFailure extends Data.TaggedError("FunctionFailure")<
  Common & { readonly keyspace: string; readonly function: string; readonly argTypes: ReadonlyArray<string> }
> {}

/**
 * 0x1500: a replica failed while writing.
 *
 * @category errors
 * @since 0.1.0
 */
export class WriteFailure extends Data.TaggedError("WriteFailure")<Failed & { readonly writeType: string }> {}

/**
 * 0x1600: the change log could not be written.
 *
 * @category errors
 * @since 0.1.0
 */
export class CdcWriteFailure extends Data.TaggedError("CdcWriteFailure")<Common> {}

/**
 * 0x1700: nobody knows whether a conditional write was applied. v5; before, it is a `WriteTimeout` of type CAS.
 *
 * @category errors
 * @since 0.1.0
 */
export class CasWriteUnknown extends Data.TaggedError("CasWriteUnknown")<Counted> {}

/**
 * 0x2000: the text is not CQL.
 *
 * @category errors
 * @since 0.1.0
 */
export class CqlSyntaxError extends Data.TaggedError("CqlSyntaxError")<Common> {}

/**
 * 0x2100: the role lacks a permission.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized extends Data.TaggedError("Unauthorized")<Common> {}

/**
 * 0x2200: the statement is CQL but cannot be done.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidRequest extends Data.TaggedError("InvalidRequest")<Common> {}

/**
 * 0x2300: refused by the server's configuration.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigError extends Data.TaggedError("ConfigError")<Common> {}

/**
 * 0x2400: the keyspace or table is there already. `table` is empty for a keyspace.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyExists extends Data.TaggedError("AlreadyExists")<
  Common & { readonly keyspace: string; readonly table: string }
> {}

/**
 * 0x2500: this node does not know the prepared id.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unprepared extends Data.TaggedError("Unprepared")<Common & { readonly id: Uint8Array }> {}

/**
 * ScyllaDB's per-partition rate limit; its code comes from SUPPORTED.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimitReached extends Data.TaggedError("RateLimitReached")<
  Common & { readonly operation: "read" | "write"; readonly rejectedByCoordinator: boolean }
> {}

/**
 * A code that this version does not know.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownServerError extends Data.TaggedError("UnknownServerError")<Common> {}

/**
 * Every error that a server can answer, told apart by `_tag`.
 *
 * @category errors
 * @since 0.1.0
 */
export type ServerError =
  | InternalServerError
  | ProtocolError
  | BadCredentials
  | Unavailable
  | Overloaded
  | IsBootstrapping
  | TruncateError
  | WriteTimeout
  | ReadTimeout
  | ReadFailure
  | FunctionFailure
  | WriteFailure
  | CdcWriteFailure
  | CasWriteUnknown
  | CqlSyntaxError
  | Unauthorized
  | InvalidRequest
  | ConfigError
  | AlreadyExists
  | Unprepared
  | RateLimitReached
  | UnknownServerError

const counted = (r: Reader, common: Common): Counted => ({
  ...common,
  consistency: Consistency.fromCode(r.u16()),
  received: r.i32(),
  required: r.i32()
})

/** An address of one byte of size and four bytes at least, and a code. */
const LEAST_REASON = 7

const failed = (r: Reader, common: Common, dialect: Dialect.Dialect): Failed => {
  const base = counted(r, common)
  if (dialect.version < 5) return { ...base, failures: r.i32() }
  const failures = r.count(r.i32(), LEAST_REASON)
  const reasons = new Map<string, number>()
  for (let i = 0; i < failures; i++) reasons.set(r.inetAddress(), r.u16())
  return { ...base, failures, reasons }
}

const writeTimeout = (r: Reader, common: Common, dialect: Dialect.Dialect): WriteTimeout => {
  const base = { ...counted(r, common), writeType: r.string() }
  return new WriteTimeout(dialect.version >= 5 && base.writeType === "CAS" ? { ...base, contentions: r.u16() } : base)
}

/**
 * Reads the body of an ERROR. `dialect` is what the connection speaks.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = (r: Reader, dialect: Dialect.Dialect = Dialect.v4): ServerError => {
  const code = r.i32()
  const common: Common = { code, message: r.string() }
  switch (code) {
    case 0x0000:
      return new InternalServerError(common)
    case 0x000a:
      return new ProtocolError(common)
    case 0x0100:
      return new BadCredentials(common)
    case 0x1000:
      return new Unavailable({
        ...common,
        consistency: Consistency.fromCode(r.u16()),
        required: r.i32(),
        alive: r.i32()
      })
    case 0x1001:
      return new Overloaded(common)
    case 0x1002:
      return new IsBootstrapping(common)
    case 0x1003:
      return new TruncateError(common)
    case 0x1100:
      return writeTimeout(r, common, dialect)
    case 0x1200:
      return new ReadTimeout({ ...counted(r, common), dataPresent: r.u8() !== 0 })
    case 0x1300:
      return new ReadFailure({ ...failed(r, common, dialect), dataPresent: r.u8() !== 0 })
    case 0x1400:
      return new FunctionFailure({ ...common, keyspace: r.string(), function: r.string(), argTypes: r.stringList() })
    case 0x1500:
      return new WriteFailure({ ...failed(r, common, dialect), writeType: r.string() })
    case 0x1600:
      return new CdcWriteFailure(common)
    case 0x1700:
      return new CasWriteUnknown(counted(r, common))
    case 0x2000:
      return new CqlSyntaxError(common)
    case 0x2100:
      return new Unauthorized(common)
    case 0x2200:
      return new InvalidRequest(common)
    case 0x2300:
      return new ConfigError(common)
    case 0x2400:
      return new AlreadyExists({ ...common, keyspace: r.string(), table: r.string() })
    case 0x2500:
      return new Unprepared({ ...common, id: r.shortBytes() })
    default:
      return (code >>> 0) === dialect.rateLimitCode
        ? new RateLimitReached({
          ...common,
          operation: r.u8() === 0 ? "read" : "write",
          rejectedByCoordinator: r.u8() !== 0
        })
        : new UnknownServerError(common)
  }
}

const writeCounted = (w: Writer, error: Counted): void => {
  w.u16(Consistency.toCode(error.consistency))
  w.i32(error.received)
  w.i32(error.required)
}

const writeReasons = (w: Writer, error: Failed, dialect: Dialect.Dialect): void => {
  if (dialect.version < 5) return w.i32(error.failures)
  const reasons = error.reasons ?? new Map<string, number>()
  w.i32(reasons.size)
  for (const [address, code] of reasons) {
    const bytes = parseAddress(address)
    if (bytes === undefined) {
      throw new EncodeError({ message: `not an address: ${JSON.stringify(address)}`, path: "reasons", cqlType: "inet" })
    }
    w.u8(bytes.length)
    w.raw(bytes)
    w.u16(code)
  }
}

/** What a server makes of an error that the version does not have (Cassandra's ErrorMessage, Scylla's server.cc). */
const inVersion = (error: ServerError, dialect: Dialect.Dialect): ServerError => {
  if (dialect.version >= 5) return error
  if (error._tag === "CasWriteUnknown") {
    const { consistency, message, received, required } = error
    return new WriteTimeout({ code: 0x1100, message, consistency, received, required, writeType: "CAS" })
  }
  if (dialect.version >= 4) return error
  switch (error._tag) {
    case "ReadFailure": {
      const { consistency, dataPresent, message, received, required } = error
      return new ReadTimeout({ code: 0x1200, message, consistency, received, required, dataPresent })
    }
    case "WriteFailure": {
      const { consistency, message, received, required, writeType } = error
      return new WriteTimeout({ code: 0x1100, message, consistency, received, required, writeType })
    }
    case "FunctionFailure":
    case "CdcWriteFailure":
      return new InvalidRequest({ code: 0x2200, message: error.message })
    default:
      return error
  }
}

/**
 * Writes the body of an ERROR, as a server does: an error that the version does not have is written as the one that it
 * was before.
 *
 * @category encoding
 * @since 0.1.0
 */
export const write = (w: Writer, given: ServerError, dialect: Dialect.Dialect = Dialect.v4): void => {
  const error = inVersion(given, dialect)
  w.i32(error.code)
  w.string(error.message)
  switch (error._tag) {
    case "Unavailable":
      w.u16(Consistency.toCode(error.consistency))
      w.i32(error.required)
      w.i32(error.alive)
      return
    case "WriteTimeout":
      writeCounted(w, error)
      w.string(error.writeType)
      if (dialect.version >= 5 && error.writeType === "CAS") w.u16(error.contentions ?? 0)
      return
    case "ReadTimeout":
      writeCounted(w, error)
      w.u8(error.dataPresent ? 1 : 0)
      return
    case "ReadFailure":
      writeCounted(w, error)
      writeReasons(w, error, dialect)
      w.u8(error.dataPresent ? 1 : 0)
      return
    case "WriteFailure":
      writeCounted(w, error)
      writeReasons(w, error, dialect)
      w.string(error.writeType)
      return
    case "CasWriteUnknown":
      writeCounted(w, error)
      return
    case "FunctionFailure":
      w.string(error.keyspace)
      w.string(error.function)
      w.stringList(error.argTypes)
      return
    case "AlreadyExists":
      w.string(error.keyspace)
      w.string(error.table)
      return
    case "Unprepared":
      w.shortBytes(error.id)
      return
    case "RateLimitReached":
      w.u8(error.operation === "read" ? 0 : 1)
      w.u8(error.rejectedByCoordinator ? 1 : 0)
      return
  }
}
