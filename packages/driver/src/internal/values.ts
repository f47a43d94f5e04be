import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type { Prepared } from "../Prepared.ts"

/** What is wrong with a value, whatever threw it. */
export const encodeError = (error: unknown): EncodeError =>
  error instanceof EncodeError ? error : new EncodeError({ message: String(error), path: "", cqlType: "" })

/** Values in the order of the variables. Throws `EncodeError`, also for what a getter throws. */
export const inOrder = (
  { encoder }: Prepared,
  values: ReadonlyArray<unknown> | Readonly<Record<string, unknown>>
): ReadonlyArray<unknown> => {
  if (Array.isArray(values)) return values
  try {
    return encoder.order(values as Readonly<Record<string, unknown>>)
  } catch (error) {
    throw encodeError(error)
  }
}
