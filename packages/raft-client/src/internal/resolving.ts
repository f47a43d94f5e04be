/** What became of an ambiguous compare-and-swap: read, and where it may still come, put a fence before it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RaftError } from "../RaftError.ts"
import { compareBytes } from "./bytes.ts"

/** `RaftClient.Resolution`. */
export type Resolution =
  | { readonly _tag: "Applied" }
  | { readonly _tag: "NotApplied" }
  | { readonly _tag: "Superseded"; readonly current: Uint8Array | undefined }

/** What it takes of a client. */
interface Register {
  readonly get: (
    key: Uint8Array,
    options: { readonly timeout: number }
  ) => Effect.Effect<Option.Option<Uint8Array>, RaftError>
  readonly compareAndSwap: (
    key: Uint8Array,
    expected: Uint8Array | undefined,
    value: Uint8Array,
    options: { readonly timeout: number }
  ) => Effect.Effect<{ readonly succeeded: boolean }, RaftError>
}

interface Question {
  readonly key: Uint8Array
  readonly expected: Uint8Array | undefined
  readonly value: Uint8Array
  readonly fence: Uint8Array
  readonly timeoutMillis: number
}

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : compareBytes(a, b) === 0

export const resolveOutcome = Effect.fnUntraced(function*(
  client: Register,
  { expected, fence, key, timeoutMillis, value }: Question,
  now: () => number
): Effect.fn.Return<Resolution, RaftError> {
  const startedAt = now()
  const timeout = () => ({ timeout: Math.max(0, timeoutMillis - (now() - startedAt)) })
  while (true) {
    const current = Option.getOrUndefined(yield* client.get(key, timeout()))
    if (same(current, value)) return { _tag: "Applied" }
    if (same(current, fence)) return { _tag: "NotApplied" }
    // What it expected never comes back, because values are unique: it cannot be applied any more.
    if (!same(current, expected)) return { _tag: "Superseded", current }
    const fenced = yield* Effect.catchIf(
      client.compareAndSwap(key, expected, fence, timeout()),
      (error) => error.outcome === "Ambiguous",
      // The next look says whether it was.
      () => Effect.undefined
    )
    if (fenced?.succeeded === true) return { _tag: "NotApplied" }
  }
})
