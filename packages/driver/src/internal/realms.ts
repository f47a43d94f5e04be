import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

/*
 * Values of another realm (a vm context, in which test runners work, an iframe, another thread) have other classes than those of this one.
 * What they are their built-in methods tell, which throw for any other object. The codecs of `protocol` take them, and so do the Schemas.
 */

const { getTime } = Date.prototype
const valuesOfSet = Set.prototype.values
const entriesOfMap = Map.prototype.entries
const nameOfArray = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag
)!.get!

type Class = abstract new(...args: Array<never>) => unknown

/** What a value of a class is in this realm; itself where it is of this realm, or nothing of the kind. */
const ownOf = (own: Class, make: (value: never) => unknown) => (value: unknown): unknown => {
  if (value instanceof own || typeof value !== "object" || value === null) return value
  try {
    return make(value as never)
  } catch {
    return value
  }
}

const ownBytes = ownOf(
  Uint8Array,
  (value: Uint8Array) =>
    nameOfArray.call(value) === "Uint8Array" ? new Uint8Array(value.buffer, value.byteOffset, value.length) : value
)
const ownDate = ownOf(Date, (value: Date) => new Date(getTime.call(value)))
const ownSet = ownOf(Set, (value: Set<unknown>) => new Set(valuesOfSet.call(value)))
const ownMap = ownOf(Map, (value: Map<unknown, unknown>) => new Map(entriesOfMap.call(value)))

/** The Schema, which takes values of other realms as those of this one. */
const taking = (own: (value: unknown) => unknown) => <S extends Schema.Top>(schema: S): S => {
  const { annotations, checks, context, encoding, run, typeParameters } = schema.ast as AST.Declaration
  const ast = new AST.Declaration(
    typeParameters,
    (parameters) => {
      const parse = run(parameters)
      return (input, self, options) => parse(own(input), self, options)
    },
    annotations,
    checks,
    encoding,
    context
  )
  return schema.rebuild(ast as never) as S
}

export const anyBytes = taking(ownBytes)
export const anyDate = taking(ownDate)
export const anySet = taking(ownSet)
export const anyMap = taking(ownMap)
