/**
 * A prefix of keys that means the same to scans and to watches.
 *
 * d-engine watches only prefixes that start and end with `/`, while a scan takes any bytes: `/svc` also finds `/svcx`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/** The text is no prefix. @category errors @since 0.1.0 */
export class PrefixError extends Data.TaggedError("PrefixError")<{ readonly message: string }> {}

/**
 * A checked prefix.
 *
 * @category models
 * @since 0.1.0
 */
export class Prefix {
  readonly text: string
  readonly bytes: Uint8Array
  /** Use `make`, which checks. */
  constructor(text: string) {
    this.text = text
    this.bytes = new TextEncoder().encode(text)
  }
}

/**
 * A prefix from text that starts and ends with `/`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (text: string): Result.Result<Prefix, PrefixError> =>
  text.startsWith("/") && text.endsWith("/")
    ? Result.succeed(new Prefix(text))
    : Result.fail(
      new PrefixError({
        message: `a prefix starts and ends with "/", as in "/locks/"; this is ${JSON.stringify(text)}`
      })
    )

/** The first key that does not start with `bytes` and comes after all that do; undefined when there is none. */
export const end = (bytes: Uint8Array): Uint8Array | undefined => {
  for (let last = bytes.length - 1; last >= 0; last--) {
    if (bytes[last] !== 0xff) {
      const out = bytes.slice(0, last + 1)
      out[last]!++
      return out
    }
  }
  return undefined
}
