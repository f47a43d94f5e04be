/**
 * Clients that read, write and swap registers at random while a cluster suffers, and write down what they saw.
 *
 * Values are unique to each attempt and a swap expects only what was read, because d-engine may apply an entry twice.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Entry, Operation } from "./RaftHistory.ts"

/**
 * What an operation fails with; `outcome` is undefined for reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface RegisterFailure {
  readonly outcome: "NotSent" | "Rejected" | "Ambiguous" | undefined
}

/**
 * What is tried: registers behind some client.
 *
 * @category services
 * @since 0.1.0
 */
export interface Registers {
  readonly get: (key: string) => Effect.Effect<string | undefined, RegisterFailure>
  readonly put: (key: string, value: string) => Effect.Effect<unknown, RegisterFailure>
  readonly compareAndSwap: (
    key: string,
    expected: string | undefined,
    value: string
  ) => Effect.Effect<boolean, RegisterFailure>
}

/**
 * How to try it.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface WorkloadOptions {
  readonly registers: Registers
  /** Integers in `0..bound - 1`. */
  readonly below: (bound: number) => number
  /** The workers go on until it is true. */
  readonly isOver: () => boolean
  /** Default: 6. */
  readonly workers?: number
  /** Default: 8. */
  readonly keys?: number
  /** Between two operations of a worker. Default: nothing. */
  readonly pause?: Effect.Effect<unknown>
  /** Goes before each value, so that runs on one cluster do not share any. Default: nothing. */
  readonly tag?: string
}

/**
 * What came of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkloadResult {
  readonly history: ReadonlyArray<Entry>
  readonly counts: Record<"done" | "NotSent" | "Rejected" | "Ambiguous" | "failedReads", number>
}

/**
 * Runs the workers to the end.
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function*(options: WorkloadOptions): Effect.fn.Return<WorkloadResult> {
  const { below, registers, tag = "" } = options
  const history: Array<Entry> = []
  const counts = { done: 0, NotSent: 0, Rejected: 0, Ambiguous: 0, failedReads: 0 }
  // Starts and ends in the order in which they happened; a clock could give two of them one time.
  let moment = 0
  const record = Effect.fnUntraced(
    function*<A>(key: string, effect: Effect.Effect<A, RegisterFailure>, seen: (value: A | undefined) => Operation) {
      const start = ++moment
      const result = yield* Effect.result(effect)
      const end = ++moment
      if (Result.isSuccess(result)) {
        counts.done++
        history.push({ key, operation: seen(result.success), start, end })
        return result.success
      }
      const { outcome } = result.failure
      if (outcome === undefined) counts.failedReads++
      else {
        counts[outcome]++
        if (outcome === "Ambiguous") history.push({ key, operation: seen(undefined), start, end: undefined })
      }
      return undefined
    }
  )
  const worker = Effect.fnUntraced(function*(id: number) {
    for (let n = 0; !options.isOver(); n++) {
      const key = `/r/${tag}${below(options.keys ?? 8)}`
      const value = `${tag}${id}.${n}`
      const kind = below(10)
      if (kind < 4) yield* record(key, registers.get(key), (value) => ({ _tag: "Get", value }))
      else if (kind < 7) yield* record(key, registers.put(key, value), () => ({ _tag: "Put", value }))
      else {
        let read = false
        const expected = yield* record(
          key,
          Effect.tap(registers.get(key), () => {
            read = true
            return Effect.void
          }),
          (value) => ({ _tag: "Get", value })
        )
        if (read) {
          yield* record(key, registers.compareAndSwap(key, expected, value), (succeeded) => ({
            _tag: "CompareAndSwap",
            expected,
            value,
            succeeded: succeeded ?? true
          }))
        }
      }
      if (options.pause !== undefined) yield* options.pause
    }
  })
  yield* Effect.forEach(Array.from({ length: options.workers ?? 6 }, (_, id) => id), worker, {
    concurrency: "unbounded",
    discard: true
  })
  return { history, counts }
})
