/**
 * What a value is, whichever realm made it: test runners and `structuredClone` hand over values whose constructors are not
 * those of this module, so `instanceof` is only the short way.
 */
import { types } from "node:util"

export const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array || types.isUint8Array(value)

export const isFloats = (value: unknown): value is Float32Array => types.isFloat32Array(value)

export const isSet = (value: unknown): value is ReadonlySet<unknown> => types.isSet(value)

export const isMap = (value: unknown): value is ReadonlyMap<unknown, unknown> => types.isMap(value)

/** Made by `{}`, or without a prototype: nothing between it and the `Object.prototype` of some realm. */
export const isPlain = (value: object): value is Readonly<Record<string, unknown>> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, "isPrototypeOf")
}
