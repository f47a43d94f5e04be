/**
 * The codec's own errors: bytes that cannot be read, values that cannot be written.
 *
 * They are thrown by the plain functions of this package (a codec that is called a million times a second has no room
 * for wrappers) and caught once at its edges. None of them reaches the process as an uncaught exception.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * Bytes from the peer that are not what the protocol says: a truncated body, a length past the frame, an unknown code.
 *
 * @category errors
 * @since 0.1.0
 */
export class DecodeError extends Data.TaggedError("DecodeError")<{
  readonly message: string
  /** The name of the column, where it is a value of a row that cannot be read. */
  readonly column?: string | undefined
  /** The type of the column or value, as CQL writes it. */
  readonly cqlType?: string | undefined
  /** What a codec of the user threw. */
  readonly cause?: unknown
}> {}

/**
 * What is wished for cannot be agreed on: by its own contradictions, known before anybody is dialled, or because the server
 * does not offer it.
 *
 * @category errors
 * @since 0.1.0
 */
export class NegotiationError extends Data.TaggedError("NegotiationError")<{ readonly message: string }> {}

/**
 * A JavaScript value that does not fit the CQL type it is bound to. Raised before a byte is sent.
 *
 * `path` names the place (`addresses[2].zip`), `cqlType` the type that was expected there.
 *
 * @category errors
 * @since 0.1.0
 */
export class EncodeError extends Data.TaggedError("EncodeError")<{
  /** The place, what was expected there and what was given; cut where that is long. */
  readonly message: string
  /** From the name of the variable on, `addresses[2].zip`; empty for what is no value, such as an option. */
  readonly path: string
  /** As CQL writes it; empty for what is no value. */
  readonly cqlType: string
  /** What a codec of the user threw. */
  readonly cause?: unknown
}> {}
