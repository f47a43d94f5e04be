/** Keys of items as texts that are equal where DynamoDB holds the keys to be the same. */
import { canonicalNumber, type Item, keyOf } from "../AttributeValue.ts"

/**
 * Of the attributes `names`: numbers by their value (`1` is `1.0`), binary by its bytes. None when one of them is missing
 * or cannot be part of a key: that is for the server to refuse.
 */
export const keyText = (item: Item, names: ReadonlyArray<string>): string | undefined => {
  const parts: Array<string> = []
  for (const name of names) {
    const key = keyOf(item[name])
    if (key === undefined) return undefined
    const text = key.type === "N"
      ? canonicalNumber(key.value)
      : key.type === "B"
      ? Buffer.from(key.value.buffer, key.value.byteOffset, key.value.byteLength).toString("base64")
      : key.value
    parts.push(name, key.type, text)
  }
  return JSON.stringify(parts)
}

/** Names of what a key has, in one order. */
export const namesOf = (key: Item): Array<string> => Object.keys(key).filter((name) => key[name] !== undefined).sort()

/** The last of those with equal texts, in the order of the last; all that have none. */
export const lastOfEach = <A>(all: ReadonlyArray<A>, textOf: (one: A) => string | undefined): Array<A> => {
  const kept = new Map<string | symbol, A>()
  for (const one of all) {
    const text = textOf(one) ?? Symbol("unique")
    kept.delete(text)
    kept.set(text, one)
  }
  return Array.from(kept.values())
}
