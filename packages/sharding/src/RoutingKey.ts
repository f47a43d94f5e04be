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
  /** `NoComponents`: the list is empty. `ComponentTooLong`: one of several components exceeds 65535 bytes. */
  readonly reason: "NoComponents" | "ComponentTooLong"
  /** Index of the offending component, -1 when there is none. */
  readonly index: number
  /** Its length in bytes, 0 when there is none. */
  readonly length: number
}> {
  override get message(): string {
    return this.reason === "NoComponents"
      ? "RoutingKey: a partition key has at least one component; bind all its columns, or send without a routing key"
      : `RoutingKey: component ${this.index} has ${this.length} bytes, ` +
        `more than the ${maxComponentLength} that a composite partition key can hold; shorten the value`
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
