/** A function of CQL. */
import type { CqlType as Type } from "@effect-scylla/protocol/CqlType"
import type { Variables } from "./variables.ts"

/** A function and what it is of. */
export interface Definition {
  readonly name: string
  readonly args: ReadonlyArray<Type>
  readonly returns: Type
  /** `null` for a null argument is answered without asking. */
  readonly run: (args: ReadonlyArray<Uint8Array>, variables: Variables) => Uint8Array | null
  /** Of one that is asked about nulls, too. */
  readonly runWithNulls?: (args: ReadonlyArray<Uint8Array | null>) => Uint8Array | null
}

export const define = (
  name: string,
  args: ReadonlyArray<Type>,
  returns: Type,
  run: Definition["run"]
): Definition => ({ name, args, returns, run })
