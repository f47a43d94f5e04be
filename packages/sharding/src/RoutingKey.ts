/**
 * Routing keys: the bytes of a partition key as the partitioner hashes them.
 *
 * A partition key of one column is hashed as its serialized value. One of several columns is hashed as their
 * composite: for each column its length as unsigned 16-bit big-endian number, its bytes, and a zero byte (Cassandra's
 * `CompositeType`). Columns come in the order of the table's partition key, whatever the order of bind markers.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * Longest component of a composite partition key, in bytes: 65535, what its 16-bit length can say.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxComponentLength = 0xffff

/**
 * The components do not make a partition key: see `reason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RoutingKeyError extends Data.TaggedError("RoutingKeyError")<{
  /**
   * `NoComponents`: the list is empty. `ComponentTooLong`: one of several components exceeds 65535 bytes.
   * `MissingComponent`: no value, or null, is bound for a column.
   */
  readonly reason: "NoComponents" | "ComponentTooLong" | "MissingComponent"
  /** Index of the offending component, -1 when there is none. */
  readonly index: number
  /** Its length in bytes, 0 when there is none. */
  readonly length: number
}> {
  override get message(): string {
    switch (this.reason) {
      case "NoComponents":
        return "RoutingKey: a partition key has at least one component; bind all its columns, or send without a routing key"
      case "ComponentTooLong":
        return `RoutingKey: component ${this.index} has ${this.length} bytes, ` +
          `more than the ${maxComponentLength} that a composite partition key can hold; shorten the value`
      case "MissingComponent":
        return `RoutingKey: component ${this.index} has no value; bind all columns of the partition key, none of them null`
    }
  }
}

const check = (components: ReadonlyArray<Uint8Array>): RoutingKeyError | undefined => {
  if (components.length === 0) return new RoutingKeyError({ reason: "NoComponents", index: -1, length: 0 })
  if (components.length === 1) return undefined
  for (let index = 0; index < components.length; index++) {
    const length = components[index]!.length
    if (length > maxComponentLength) return new RoutingKeyError({ reason: "ComponentTooLong", index, length })
  }
  return undefined
}

const build = (components: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (components.length === 1) return components[0]!
  let size = 0
  for (const component of components) size += component.length + 3
  const key = new Uint8Array(size)
  let at = 0
  for (const component of components) {
    key[at] = component.length >>> 8
    key[at + 1] = component.length & 0xff
    key.set(component, at + 2)
    // The byte after it, the end of component, stays 0.
    at += component.length + 3
  }
  return key
}

/**
 * Routing key of the serialized partition key columns.
 *
 * **Details**
 *
 * One component is returned as it is: the same array, not a copy, whatever its length (a server refuses keys beyond
 * 65535 bytes by itself). Several are joined to a new array.
 *
 * **Gotchas**
 *
 * Throws {@link RoutingKeyError} when there is no component, or one of several is longer than 65535 bytes. Use
 * {@link composeResult} where the components come from outside.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compose = (components: ReadonlyArray<Uint8Array>): Uint8Array => {
  const error = check(components)
  if (error !== undefined) throw error
  return build(components)
}

/**
 * As {@link compose}, with {@link RoutingKeyError} as a value instead of an exception.
 *
 * @category constructors
 * @since 0.1.0
 */
export const composeResult = (components: ReadonlyArray<Uint8Array>): Result.Result<Uint8Array, RoutingKeyError> => {
  const error = check(components)
  return error === undefined ? Result.succeed(build(components)) : Result.fail(error)
}

/**
 * Writes the routing key of the serialized partition key columns to `out` at `offset`; answers its length, or -1 when
 * it does not fit. Allocates nothing: with a `Murmur3.keyBuffer` for `out` the key is hashed where it was written.
 *
 * Throws {@link RoutingKeyError} as {@link compose} does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const composeInto = (components: ReadonlyArray<Uint8Array>, out: Uint8Array, offset: number): number => {
  const error = check(components)
  if (error !== undefined) throw error
  const overhead = components.length === 1 ? 0 : 3
  let size = 0
  for (let i = 0; i < components.length; i++) size += components[i]!.length + overhead
  if (offset + size > out.length) return -1
  if (overhead === 0) {
    out.set(components[0]!, offset)
    return size
  }
  let at = offset
  for (let i = 0; i < components.length; i++) {
    const component = components[i]!
    out[at] = component.length >>> 8
    out[at + 1] = component.length & 0xff
    out.set(component, at + 2)
    at += component.length + 3
    out[at - 1] = 0
  }
  return size
}

/**
 * For each column of the partition key the index of the bind marker that carries it, `undefined` when one has none.
 *
 * **Details**
 *
 * For statements whose PREPARED message does not tell (`pk_indexes` is there from protocol 4 on, and only when all of
 * the partition key is bound). `markers` are the names of the markers in the order of their values: what a marker `?`
 * is compared with or assigned to, or the name of a marker `:name`. Names are compared exactly; a name that occurs more
 * than once counts where it is first.
 *
 * @category markers
 * @since 0.1.0
 */
export const markersOf = (
  partitionKey: ReadonlyArray<string>,
  markers: ReadonlyArray<string>
): Array<number> | undefined => {
  const found = partitionKey.map((column) => markers.indexOf(column))
  return found.length === 0 || found.includes(-1) ? undefined : found
}

const collect = (
  count: number,
  valueOf: (index: number) => Uint8Array | null | undefined
): Result.Result<Uint8Array, RoutingKeyError> => {
  const components: Array<Uint8Array> = []
  for (let index = 0; index < count; index++) {
    const value = valueOf(index)
    if (value === null || value === undefined) {
      return Result.fail(new RoutingKeyError({ reason: "MissingComponent", index, length: 0 }))
    }
    components.push(value)
  }
  return composeResult(components)
}

/**
 * Routing key from the serialized values of all markers of a statement, given which of them carry the partition key, in
 * the order of its columns (`pk_indexes`, or {@link markersOf}).
 *
 * @category markers
 * @since 0.1.0
 */
export const fromMarkers = (
  values: ReadonlyArray<Uint8Array | null | undefined>,
  markers: ReadonlyArray<number>
): Result.Result<Uint8Array, RoutingKeyError> => collect(markers.length, (index) => values[markers[index]!])

/**
 * Routing key from serialized values by name, given the names of the partition key's columns in their order.
 *
 * Only own properties count, so that a column may be called `constructor`.
 *
 * @category markers
 * @since 0.1.0
 */
export const fromNamed = (
  values: Readonly<Record<string, Uint8Array | null | undefined>>,
  partitionKey: ReadonlyArray<string>
): Result.Result<Uint8Array, RoutingKeyError> =>
  collect(partitionKey.length, (index) => {
    const name = partitionKey[index]!
    return Object.hasOwn(values, name) ? values[name] : undefined
  })
