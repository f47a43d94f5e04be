import type { Writer } from "../Writer.ts"
import type { FastBuffer } from "./fastBuffer.ts"

/**
 * Decodes the `length` bytes at `pos`, which the caller has checked to lie in the frame. `length` is never negative:
 * nulls are the caller's.
 */
export type ValueDecoder = (bytes: FastBuffer, view: DataView, pos: number, length: number) => unknown

/** Writes a `[bytes]`: the length and the value. Throws a `Mismatch`; null and unset are the caller's. */
export type ValueEncoder = (w: Writer, value: unknown) => void
