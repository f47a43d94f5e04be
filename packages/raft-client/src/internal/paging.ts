/** Reads of any size, a part at a time: parts that turn out too long for a message are asked for anew, smaller. */
import * as Effect from "effect/Effect"
import type { ClusterAdapter, Entry, Page, Target } from "../ClusterAdapter.ts"
import type { RaftError } from "../RaftError.ts"
import type { Requests } from "./requests.ts"
import type { Settings } from "./settings.ts"

/** How many keys a page has, unless somebody says so or they are large. */
export const PAGE_KEYS = 1_000

export interface Cursor {
  readonly after: Uint8Array | undefined
  /** That of the first page: all show the same moment. */
  readonly revision: bigint | undefined
  /** How many keys to ask for. */
  readonly size: number
  readonly largest: number
}

export const start = (largest: number = PAGE_KEYS): Cursor => ({
  after: undefined,
  revision: undefined,
  size: largest,
  largest
})

/** About what an entry takes in an answer. */
export const sizeOf = ({ key, value }: Entry): number => key.length + value.length + 32

/** A page, and where the next one begins. */
export const next = (
  settings: Settings,
  requests: Requests,
  page: NonNullable<ClusterAdapter["page"]>,
  operation: string,
  target: Target,
  cursor: Cursor,
  timeoutMillis: number
): Effect.Effect<readonly [Page, Cursor | undefined], RaftError> => {
  const { after, largest, revision, size } = cursor
  return requests.run(operation, page({ ...target, limit: size, after, revision }), "Quorum", timeoutMillis).pipe(
    Effect.map((found): readonly [Page, Cursor | undefined] => {
      const last = found.entries.at(-1)
      if (!found.more || last === undefined) return [found, undefined]
      // A quarter of what is allowed: entries that follow may be larger than those.
      const average = found.entries.reduce((sum, entry) => sum + sizeOf(entry), 0) / found.entries.length
      const fitting = Math.floor(settings.maxReceiveBytes / 4 / average)
      const wanted = Math.max(1, Math.min(largest, fitting, 4 * size))
      return [found, { after: last.key, revision: found.revision, size: wanted, largest }]
    }),
    Effect.catchIf(
      ({ reason }) => reason._tag === "MessageTooLarge" && size > 1,
      () => {
        const smaller = { ...cursor, size: Math.ceil(size / 4) }
        return next(settings, requests, page, operation, target, smaller, timeoutMillis)
      }
    )
  )
}
