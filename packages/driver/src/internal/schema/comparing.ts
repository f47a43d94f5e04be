type Plain = Readonly<Record<string, unknown>>

/** Whether two parts of the schema, which is plain data, say the same. Faster than what compares anything with anything. */
export const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Array.isArray(a) || a instanceof Uint8Array) {
    const [left, right] = [a, b] as [ReadonlyArray<unknown>, ReadonlyArray<unknown>]
    if (a.constructor !== b.constructor || left.length !== right.length) return false
    for (let i = 0; i < left.length; i++) if (!isSame(left[i], right[i])) return false
    return true
  }
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false
    for (const [key, value] of a) if (!b.has(key) || !isSame(value, b.get(key))) return false
    return true
  }
  const keys = Object.keys(a)
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b) || keys.length !== Object.keys(b).length) return false
  for (const key of keys) if (!isSame((a as Plain)[key], (b as Plain)[key])) return false
  return true
}
