/*
 * What a value is, whichever realm it was made in: `instanceof` knows the classes of one alone, and those of a vm context (a
 * worker of a test runner), an iframe or `structuredClone` there are others. Values of this realm are recognised first, by their
 * class; of others the built-in methods tell, which look at what an object is and throw for any other.
 */

const getterOf = (prototype: object, name: PropertyKey): (this: unknown) => unknown =>
  Object.getOwnPropertyDescriptor(prototype, name)!.get!

const { getTime } = Date.prototype
const sizeOfMap = getterOf(Map.prototype, "size")
const sizeOfSet = getterOf(Set.prototype, "size")
const nameOfArray = getterOf(Object.getPrototypeOf(Uint8Array.prototype) as object, Symbol.toStringTag)

const passes = (method: (this: never) => unknown, value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false
  try {
    method.call(value as never)
    return true
  } catch {
    return false
  }
}

/** The milliseconds of a `Date`, which are NaN for an invalid one; `undefined` for anything else. */
export const millisOf = (value: unknown): number | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  try {
    return getTime.call(value as Date)
  } catch {
    return undefined
  }
}

/** The name of a typed array's class, `Uint8Array` of a `Buffer`; `undefined` for anything else. */
export const typedArrayName = (value: unknown): string | undefined => nameOfArray.call(value) as string | undefined

export const isBytes = (value: unknown): value is Uint8Array =>
  value instanceof Uint8Array || typedArrayName(value) === "Uint8Array"

export const isSet = (value: unknown): value is ReadonlySet<unknown> => value instanceof Set || passes(sizeOfSet, value)

export const isMap = (value: unknown): value is ReadonlyMap<unknown, unknown> =>
  value instanceof Map || (!isOwnPlain(value) && passes(sizeOfMap, value))

/** An object of this realm without a class: asked first, as it is the common case and an exception costs microseconds. */
const isOwnPlain = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Whether it is an object without a class: made by a literal, or without a prototype. */
export const isPlain = (value: object): boolean => {
  if (isOwnPlain(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  // The `Object.prototype` of another realm: nothing is behind it, and it has what only that one has.
  return typeof prototype === "object" && Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype as object, "isPrototypeOf")
}
