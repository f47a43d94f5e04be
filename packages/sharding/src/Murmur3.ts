/**
 * Murmur3 of `Murmur3Partitioner`: the hash that turns a partition key into a token.
 *
 * It is the first half (`h1`) of MurmurHash3 x64-128 with seed 0, as Apache Cassandra computes it and ScyllaDB
 * reproduces it (`utils/murmur_hash.cc`), which differs from the textbook in two ways: the bytes of the tail (the last
 * `length % 16`) are sign-extended before they are mixed in, and a hash of `-2^63` becomes `2^63 - 1`, because the
 * minimum token is not a place on the ring.
 *
 * It exists twice: as a WebAssembly module of a kilobyte, compiled from `wasm/murmur3.ts` of this package's repository,
 * and in plain JavaScript. Which one hashes is decided once, when this module is loaded; both give the same tokens.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as js from "./internal/murmur3Js.ts"
import * as wasm from "./internal/murmur3Wasm.ts"
import { toBigInt, TokenWords } from "./Token.ts"

/**
 * What hashes in this process: WebAssembly, or JavaScript where WebAssembly is missing (`node --jitless`), has no memory
 * left, or fails the check that it is put to when it is loaded.
 *
 * @category constants
 * @since 0.1.0
 */
export const implementation: "wasm" | "javascript" = wasm.isAvailable ? "wasm" : "javascript"

/**
 * Hashes `length` bytes at `offset` of `bytes` and writes the token to `out`.
 *
 * **Details**
 *
 * The form of the request path: no `bigint`, and no allocation for keys of up to 128 bytes or in a {@link keyBuffer}.
 * `bytes` may be a buffer with other data around the key. The caller keeps `offset + length` inside it: bytes past the
 * end count as 0 and give a wrong token, not an error.
 *
 * A key in a {@link keyBuffer} is hashed where it lies; any other is copied to the module's memory first. Nanoseconds
 * on the machine that `bench/sharding.ts` was written on, by length of the key:
 *
 * | | 4 | 8 | 16 | 36 | 100 |
 * | --- | --- | --- | --- | --- | --- |
 * | in a key buffer | 17 | 17 | 17 | 21 | 29 |
 * | in any other array | 21 | 20 | 24 | 46 | 92 |
 * | in JavaScript | 38 | 37 | 60 | 106 | 194 |
 *
 * **Gotchas**
 *
 * The empty key hashes to token 0, which is where ScyllaDB puts it. Cassandra gives an empty key the minimum token
 * instead: see `Partitioner`, which knows both.
 *
 * @category hashing
 * @since 0.1.0
 */
export const hashInto: (bytes: Uint8Array, offset: number, length: number, out: TokenWords) => void = wasm.isAvailable
  ? wasm.hashInto
  : js.hashInto

/**
 * A zeroed buffer of `size` bytes to write partition keys to, whose content {@link hashInto} hashes without copying it.
 *
 * **Details**
 *
 * It lies in the memory of the WebAssembly module, 1 MiB for all key buffers of a thread. What is given out is never
 * taken back, so make one buffer per client or session and write key after key to it, and do not make one per request.
 * When the memory is used up, or without WebAssembly, the buffer is an ordinary one: keys in it are copied or hashed in
 * JavaScript, with the same result. Where the platform has no `Buffer` (a browser) it is a `Uint8Array`: write to it as to one.
 *
 * **Gotchas**
 *
 * Pass the buffer itself and an offset to {@link hashInto}: a `subarray` of it is taken for an array like any other.
 *
 * **Example** (Hashing key after key in place)
 *
 * ```ts
 * const key = Murmur3.keyBuffer(1024)
 * const token = new Token.TokenWords()
 * key.writeBigInt64BE(42n)
 * Murmur3.hashInto(key, 0, 8, token)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const keyBuffer = (size: number): Buffer => wasm.keyBuffer(size) ?? wasm.plainBuffer(size)

const scratch = new TokenWords()

/**
 * Token of a whole partition key (the routing key: see `RoutingKey.compose` for keys of several columns).
 *
 * The comfortable form of {@link hashInto}; it allocates the `bigint` it returns.
 *
 * @category hashing
 * @since 0.1.0
 */
export const token = (key: Uint8Array): bigint => {
  hashInto(key, 0, key.length, scratch)
  return toBigInt(scratch.hi, scratch.lo)
}
