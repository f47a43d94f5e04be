/** Reads: of keys, by how sure they have to be; of prefixes, in one piece or page by page. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Consistency, Entry, Page, Scanned } from "../ClusterAdapter.ts"
import * as Prefix from "../Prefix.ts"
import * as RaftError from "../RaftError.ts"
import { type Bytes, compareBytes, textOf, toBytes } from "./bytes.ts"
import type { Discovery } from "./discovery.ts"
import * as Paging from "./paging.ts"
import type { Requests } from "./requests.ts"
import type { Sender } from "./sender.ts"
import { type Settings, toMillis } from "./settings.ts"

/** What an array in the answer may hold at most, in bytes; for more there are streams. */
export const MAX_COLLECTED = 64 * 1024 * 1024
/** How many keys are asked for at once in a stream, where the server does not limit it. */
const MANY = 128
/** How often a scan whose revision went away meanwhile is begun anew. */
const ANEW = 3

/** `RaftClient.RequestOptions`. */
export interface RequestOptions {
  /** Default: that of the client. */
  readonly timeout?: Duration.Input | undefined
}

/** `RaftClient.ReadOptions`. */
export interface ReadOptions extends RequestOptions {
  /** Default: `linearizable`. */
  readonly consistency?: Consistency | undefined
  /**
   * Ask again linearizably for keys that an eventual or lease read does not find: a follower that is restoring a snapshot
   * answers that there is nothing. Default: false.
   */
  readonly confirmMissing?: boolean | undefined
}

/** `RaftClient.ManyOptions`. */
export interface ManyOptions extends ReadOptions {
  /** How many keys are asked for at once, at most 128 on etcd. Default: 128. */
  readonly pageSize?: number | undefined
}

/** `RaftClient.ScanOptions`. */
export interface ScanOptions extends RequestOptions {
  /** Take the prefix as it is, without the rule of `Prefix`; the empty one is refused all the same. Default: false. */
  readonly raw?: boolean | undefined
  /** How many keys at most, the first ones. Default: all. */
  readonly limit?: number | undefined
}

/** `RaftClient.PageOptions`. */
export interface PageOptions extends ScanOptions {
  /** How many keys a page has at most; of large values it has fewer. Default: 1000. */
  readonly pageSize?: number | undefined
}

type Values = ReadonlyArray<Option.Option<Uint8Array>>
type Failing<A> = Effect.Effect<A, RaftError.RaftError>

export interface Reading {
  readonly many: (keys: ReadonlyArray<Bytes>, options?: ReadOptions) => Failing<Values>
  readonly stream: (
    keys: Iterable<Bytes>,
    options?: ManyOptions
  ) => Stream.Stream<Option.Option<Uint8Array>, RaftError.RaftError>
  readonly scan: (prefix: Prefix.Prefix | string, options?: ScanOptions) => Failing<Page>
  readonly pages: (
    prefix: Prefix.Prefix | string,
    options?: PageOptions
  ) => Stream.Stream<Page, RaftError.RaftError>
}

export const invalid = (operation: string, message: string, write = false): RaftError.RaftError =>
  RaftError.make(operation, new RaftError.InvalidRequest({ message }), write ? "NotSent" : undefined)

export const prefixBytes = (operation: string, prefix: Prefix.Prefix | string, raw: boolean): Failing<Uint8Array> => {
  if (typeof prefix !== "string") return Effect.succeed(prefix.bytes)
  if (raw) {
    return prefix === ""
      ? Effect.fail(invalid(operation, "an empty prefix would answer every key; name one"))
      : Effect.succeed(toBytes(prefix))
  }
  const made = Prefix.make(prefix)
  return Result.isSuccess(made)
    ? Effect.succeed(made.success.bytes)
    : Effect.fail(invalid(operation, made.failure.message))
}

const tooMuch = (operation: string, instead: string): RaftError.RaftError =>
  RaftError.make(
    operation,
    new RaftError.MessageTooLarge({
      message: `the answer has more than ${MAX_COLLECTED / 1024 / 1024} MiB; ${instead}`
    })
  )

const wrongNumber = (operation: string, options: PageOptions): RaftError.RaftError | undefined => {
  for (const name of ["limit", "pageSize"] as const) {
    const value = options[name]
    if (value !== undefined && (!Number.isInteger(value) || value < 1)) {
      return invalid(operation, `${name} must be a whole number from 1, not ${value}`)
    }
  }
  return undefined
}

export const make = (
  settings: Settings,
  sender: Sender,
  discovery: Discovery,
  requests: Requests
): Reading => {
  const { adapter } = settings
  const { now } = sender
  const millisOf = (options: RequestOptions): number =>
    options.timeout === undefined ? settings.timeoutMillis : toMillis(options.timeout)

  /** Keys that one request may ask for. */
  const part = (keys: ReadonlyArray<Bytes>, options: ReadOptions): Failing<Values> => {
    const wanted = keys.map(toBytes)
    const { confirmMissing = false, consistency = "linearizable" } = options
    const timeoutMillis = millisOf(options)
    const level = consistency === "lease" && !adapter.capabilities.leaseRead ? "linearizable" : consistency
    const call = adapter.get(wanted, level)
    const align = (entries: ReadonlyArray<Entry>): Values => {
      const found = new Map(entries.map(({ key, value }) => [textOf(key), value]))
      return wanted.map((key) => Option.fromUndefinedOr(found.get(textOf(key))))
    }
    if (level === "linearizable") return Effect.map(requests.run("get", call, "Quorum", timeoutMillis), align)
    const weak = level === "eventual"
      ? requests.run("get", call, "Any", timeoutMillis)
      // What a lease is worth depends on clocks; a young proof of leadership does not.
      : Effect.andThen(
        requests.confirmed("get", timeoutMillis, true),
        requests.run("get", call, "Leader", timeoutMillis)
      )
    return Effect.filterOrElse(
      Effect.map(weak, align),
      (values) => !confirmMissing || values.every(Option.isSome),
      () => part(keys, { ...options, consistency: "linearizable" })
    )
  }

  /** The same in halves, when their values are too much for one answer. */
  const divided = (keys: ReadonlyArray<Bytes>, options: ReadOptions): Failing<Values> =>
    keys.length <= 1 ? part(keys, options) : Effect.catchIf(
      part(keys, options),
      ({ reason }) => reason._tag === "MessageTooLarge",
      () => {
        const half = Math.ceil(keys.length / 2)
        return Effect.map(
          Effect.forEach([keys.slice(0, half), keys.slice(half)], (some) => divided(some, options)),
          (values) => values.flat()
        )
      }
    )

  const many: Reading["many"] = (keys, options = {}) => {
    if (keys.length === 0) return Effect.succeed([])
    if (keys.length === 1) return part(keys, options)
    return Effect.gen(function*() {
      const out: Array<Option.Option<Uint8Array>> = []
      let bytes = 0
      const most = Math.min(adapter.maxKeys, keys.length)
      for (let i = 0; i < keys.length; i += most) {
        for (const value of yield* divided(keys.slice(i, i + most), options)) {
          if (Option.isSome(value)) bytes += value.value.length
          out.push(value)
        }
        if (bytes > MAX_COLLECTED) return yield* tooMuch("getMany", "use getManyStream")
      }
      return out
    })
  }

  const stream: Reading["stream"] = (keys, options = {}) =>
    Stream.suspend(() => {
      const wrong = wrongNumber("getManyStream", options)
      if (wrong !== undefined) return Stream.fail(wrong)
      const source = keys[Symbol.iterator]()
      const size = Math.min(adapter.maxKeys, options.pageSize ?? MANY)
      return Stream.paginate(undefined, () =>
        Effect.suspend(() => {
          const some: Array<Bytes> = []
          while (some.length < size) {
            const { done, value } = source.next()
            if (done === true) break
            some.push(value)
          }
          const values: Failing<Values> = some.length === 0 ? Effect.succeed([]) : divided(some, options)
          return Effect.map(
            values,
            (found) => [found, some.length < size ? Option.none() : Option.some(undefined)] as const
          )
        }))
    })

  const sorted = (scanned: Scanned): Page => ({
    revision: scanned.revision,
    entries: scanned.entries.toSorted((a, b) => compareBytes(a.key, b.key)),
    more: false
  })

  /** A scan that is one answer. */
  const whole = Effect.fnUntraced(
    function*(prefix: Uint8Array, timeoutMillis: number): Effect.fn.Return<Page, RaftError.RaftError> {
      const call = adapter.scan(prefix)
      if (adapter.capabilities.linearizableScan) {
        return sorted(yield* requests.run("scan", call, "Quorum", timeoutMillis))
      }
      // Any node that thinks it leads answers a scan. It counts when the same one proves before and after that it does.
      const startedAt = now()
      const left = (): number => timeoutMillis - (now() - startedAt)
      for (let failures = 0;; failures++) {
        const before = yield* requests.confirmed("scan", left(), true)
        const verdict = yield* requests.once(before.node, call, Math.max(1, left()))
        if (verdict._tag === "Done") {
          const after = yield* requests.confirmed("scan", left(), false)
          if (after.epoch === before.epoch) return sorted(verdict.value)
        } else {
          if (verdict._tag === "Refused" || sender.closed) return yield* requests.failure("scan", verdict, false)
          discovery.doubt(before.epoch)
        }
        yield* Effect.sleep(Math.min(5 * 2 ** failures, 100))
      }
    }
  )

  /** `millis` is the time that there is for the next page. */
  const paged = (
    prefix: Prefix.Prefix | string,
    options: PageOptions,
    millis: () => number
  ): Stream.Stream<Page, RaftError.RaftError> => {
    const { limit = Infinity, pageSize = Paging.PAGE_KEYS } = options
    const { page } = adapter
    const read = (key: Uint8Array): Stream.Stream<Page, RaftError.RaftError> => {
      if (page === undefined) {
        return Stream.unwrap(Effect.map(whole(key, millis()), ({ entries, revision }) => {
          const last = Math.min(entries.length, limit)
          const count = Math.max(1, Math.ceil(last / pageSize))
          return Stream.map(Stream.range(0, count - 1), (i): Page => {
            const end = Math.min((i + 1) * pageSize, last)
            return { entries: entries.slice(i * pageSize, end), revision, more: end < entries.length }
          })
        }))
      }
      interface State {
        readonly cursor: Paging.Cursor
        readonly left: number
      }
      const first: State = { cursor: Paging.start(pageSize), left: limit }
      return Stream.paginate(first, ({ cursor, left }) => {
        const size = Math.min(cursor.size, left)
        const target = { key, prefix: true }
        return Effect.map(
          Paging.next(settings, requests, page, "scan", target, { ...cursor, size }, millis()),
          ([found, next]) => {
            const rest = left - found.entries.length
            const state = next === undefined || rest <= 0 ? undefined : { cursor: next, left: rest }
            return [[found], Option.fromUndefinedOr(state)] as const
          }
        )
      })
    }
    const wrong = wrongNumber("scan", options)
    return wrong === undefined
      ? Stream.unwrap(Effect.map(prefixBytes("scan", prefix, options.raw ?? false), read))
      : Stream.fail(wrong)
  }

  const scan: Reading["scan"] = (prefix, options = {}) =>
    Effect.suspend(() => {
      const startedAt = now()
      const timeoutMillis = millisOf(options)
      const left = (): number => timeoutMillis - (now() - startedAt)
      const once = Effect.suspend(() => {
        const entries: Array<Entry> = []
        let bytes = 0
        let last: Page | undefined
        return Effect.map(
          Stream.runForEach(paged(prefix, options, left), (page) => {
            last = page
            for (const entry of page.entries) {
              entries.push(entry)
              bytes += Paging.sizeOf(entry)
            }
            return bytes > MAX_COLLECTED ? Effect.fail(tooMuch("scan", "use scanPages, or a limit")) : Effect.void
          }),
          (): Page => ({ entries, revision: last?.revision ?? 0n, more: last?.more ?? false })
        )
      })
      return Effect.retry(once, { times: ANEW, while: ({ reason }) => reason._tag === "Compacted" })
    })

  const pages: Reading["pages"] = (prefix, options = {}) => paged(prefix, options, () => millisOf(options))

  return { many, stream, scan, pages }
}
