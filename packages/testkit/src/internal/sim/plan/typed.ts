/** Expressions of a selection, as far as they are understood. */
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import { invalid } from "../failure.ts"
import type { Product } from "../parse/product.ts"
import type { Column } from "../schema/schema.ts"
import { serves } from "./terms.ts"
import type { Compiled, Fit } from "./variables.ts"

/** An expression: how it is called, its type if it has one by itself, and its value. */
export interface Typed {
  readonly text: string
  readonly type: CqlType | undefined
  readonly value: Compiled
  /** For literals: as a value of a type. */
  readonly as?: ((type: CqlType, name: string) => Compiled) | undefined
  readonly fits?: ((type: CqlType) => Fit) | undefined
  readonly column?: Column | undefined
}

/** How well an expression serves where a type is wanted. */
export const fitOf = (of: Typed, wanted: CqlType, product: Product): Fit =>
  of.type === undefined ? of.fits!(wanted) : serves(of.type, wanted, product)

/** The value of an expression, as one of a type. */
export const valueAs = (of: Typed, wanted: CqlType, name: string): Compiled =>
  of.type === undefined ? of.as!(wanted, name) : of.value

export const bytesOf = (value: ReturnType<Compiled>): Uint8Array | null => {
  if (value === Unset) throw invalid("Invalid unset value in a selection")
  return value as Uint8Array | null
}
