/*
 * What the platform gives beyond the web's globals. It is looked for once, when this module is loaded, and by what is there:
 * a bundle for browsers has neither `node:` imports nor a `Buffer`, and takes the ways that are written in JavaScript.
 */

interface Globals {
  readonly Buffer?: BufferConstructor
  readonly process?: { readonly getBuiltinModule?: (name: string) => unknown }
}

const globals = globalThis as Globals

const builtin = (name: string): Record<string, unknown> | undefined => {
  try {
    return globals.process?.getBuiltinModule?.(name) as Record<string, unknown> | undefined
  } catch {
    // A `process` that somebody put together for a browser.
    return undefined
  }
}

/** Whether it has Node's own primitives: a `Buffer` for browsers is slower than what is here. */
const isNative = (candidate: BufferConstructor | undefined): candidate is BufferConstructor =>
  typeof candidate?.allocUnsafeSlow === "function" &&
  ["utf8Slice", "utf8Write", "hexSlice", "hexWrite", "latin1Slice"].every((name) => name in candidate.prototype)

/** Node's `Buffer`, or `undefined`. */
export const NativeBuffer: BufferConstructor | undefined = [
  globals.Buffer,
  builtin("node:buffer")?.["Buffer"] as BufferConstructor | undefined
].find(isNative)

/** CRC32 of Node (since 20.15 and 22.2), which continues from the second argument. */
export const nativeCrc32 = builtin("node:zlib")?.["crc32"] as
  | ((bytes: Uint8Array, seed: number) => number)
  | undefined

/** Fills the array from the system's secure source. */
export const fillRandom = (array: Int32Array<ArrayBuffer>): void => {
  // Looked up by each call, as it costs nothing beside what it does: on Node it may come later than modules that are preloaded.
  const source = (globalThis as { readonly crypto?: Crypto }).crypto ??
    (builtin("node:crypto")?.["webcrypto"] as Crypto | undefined)
  if (source === undefined) {
    throw new Error("random UUIDs need crypto.getRandomValues, which this platform does not have")
  }
  source.getRandomValues(array)
}
