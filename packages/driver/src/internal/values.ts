import { Encoded } from "@effect-scylla/protocol/Encoded"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"
import type { Values } from "../Batch.ts"
import type { Prepared } from "../Prepared.ts"

/** What is wrong with a value, whatever threw it. */
export const encodeError = (error: unknown): EncodeError =>
  error instanceof EncodeError ? error : new EncodeError({ message: String(error), path: "", cqlType: "" })

/** Values in the order of the variables. Throws `EncodeError`, also for what a getter throws. */
export const inOrder = (
  { encoder }: Prepared,
  values: Values
): ReadonlyArray<unknown> => {
  if (Array.isArray(values)) return values
  if (values instanceof Encoded) {
    throw new EncodeError({ message: "values that are bytes already cannot be used here", path: "", cqlType: "" })
  }
  try {
    return encoder.order(values as Readonly<Record<string, unknown>>)
  } catch (error) {
    throw encodeError(error)
  }
}

/** The parts of the partition key among values that are bytes already; `undefined` where they do not tell it. */
export const keyOf = (
  { partitionKey, variables }: Prepared,
  { values }: Encoded
): ReadonlyArray<Uint8Array> | undefined => {
  if (partitionKey.length === 0 || values.length !== variables.length) return undefined
  const parts = partitionKey.map((i) => values[i])
  return parts.every((part) => part instanceof Uint8Array && part.length > 0)
    ? parts as ReadonlyArray<Uint8Array>
    : undefined
}
