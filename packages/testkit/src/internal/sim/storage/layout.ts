/**
 * How a value that is not frozen lies in cells of its own: each element has a path, which is the key of a map, the element of a
 * set, the place in a list, the number of a field. Servers reconcile, expire and delete each of these cells for itself.
 */
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import { type Comparator, comparatorOf, compareBytes, elements, entries, fieldsOf } from "./compare.ts"
import { collection, int64, readInt32, record } from "./values.ts"

/** A path and the value of its cell. */
export type Element = readonly [path: Uint8Array, value: Uint8Array]

export interface Layout {
  readonly type: CqlType
  readonly comparePaths: Comparator
  /** The cells of a whole value. Those of a list get the places behind `place`. */
  readonly split: (value: Uint8Array, place: () => Uint8Array) => ReadonlyArray<Element>
  /** The value of what lives, in the order of the paths; `null` for nothing. */
  readonly join: (elements: ReadonlyArray<Element>) => Uint8Array | null
}

const EMPTY = new Uint8Array(0)

/** Field numbers as paths. */
export const fieldPath = (index: number): Uint8Array => Uint8Array.of(index >> 8, index & 0xff)

/** Places in lists are numbers that grow at the end and shrink at the front. */
export const listPath = (place: bigint): Uint8Array => int64(place)

const signed64: Comparator = (a, b) => {
  const high = readInt32(a) - readInt32(b)
  return high === 0 ? compareBytes(a, b) : high
}

export const layoutOf = (type: CqlType): Layout | undefined => {
  switch (type._tag) {
    case "List":
      return {
        type,
        comparePaths: signed64,
        split: (value, place) => elements(value).map((element): Element => [place(), element]),
        join: (found) => found.length === 0 ? null : collection(found.length, found.map(([, value]) => value))
      }
    case "Set":
      return {
        type,
        comparePaths: comparatorOf(type.element) ?? compareBytes,
        split: (value) => elements(value).map((element): Element => [element, EMPTY]),
        join: (found) => found.length === 0 ? null : collection(found.length, found.map(([path]) => path))
      }
    case "Map":
      return {
        type,
        comparePaths: comparatorOf(type.key) ?? compareBytes,
        split: (value) => {
          const flat = entries(value)
          const out: Array<Element> = []
          for (let i = 0; i < flat.length; i += 2) out.push([flat[i]!, flat[i + 1]!])
          return out
        },
        join: (found) => found.length === 0 ? null : collection(found.length, found.flat())
      }
    case "Udt": {
      const count = type.fields.length
      return {
        type,
        comparePaths: compareBytes,
        split: (value) =>
          fieldsOf(value, count).flatMap((field, i): ReadonlyArray<Element> =>
            field === null ? [] : [[fieldPath(i), field]]
          ),
        join: (found) => {
          if (found.length === 0) return null
          const fields: Array<Uint8Array | null> = Array.from({ length: count }, () => null)
          for (const [path, value] of found) fields[(path[0]! << 8) | path[1]!] = value
          return record(fields)
        }
      }
    }
    default:
      return undefined
  }
}
