/** A client of a store in memory that has leases and transactions, as far as locks and elections go; and leases that end. */
import { type RaftClient, RaftError, type Transaction, type WatchEvent } from "@effect-scylla/raft-client"
import { Deferred, Effect, Queue, Stream } from "effect"

const bytes = (value: Uint8Array | string): Uint8Array =>
  typeof value === "string" ? new TextEncoder().encode(value) : value
const text = (value: Uint8Array | string): string => typeof value === "string" ? value : new TextDecoder().decode(value)

interface Stored {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly revision: bigint
  readonly created: bigint
  readonly lease: bigint
}

export class MemoryStore {
  readonly keys = new Map<string, Stored>()
  readonly leases = new Map<bigint, Deferred.Deferred<RaftError.RaftError>>()
  private revision = 0n
  private readonly watchers = new Set<(event: WatchEvent.WatchEvent) => void>()

  put(key: string, value: Uint8Array, lease = 0n): void {
    const before = this.keys.get(key)
    const revision = ++this.revision
    const stored = { key: bytes(key), value, revision, created: before?.created ?? revision, lease }
    this.keys.set(key, stored)
    const { key: at } = stored
    this.tell({ _tag: "Put", key: at, value, previous: before?.value, revision, source: "Stream" })
  }

  delete(key: string): void {
    const before = this.keys.get(key)
    if (before === undefined) return
    this.keys.delete(key)
    const { key: at, value } = before
    this.tell({ _tag: "Delete", key: at, previous: value, revision: ++this.revision, source: "Stream" })
  }

  /** The server ends a lease, whether its holder wanted it or not. */
  end(id: bigint, isLost: boolean): void {
    const lost = this.leases.get(id)
    this.leases.delete(id)
    for (const [key, { lease }] of this.keys) if (lease === id) this.delete(key)
    if (lost === undefined || !isLost) return
    const reason = new RaftError.LeaseLost({ message: "the lease is gone from the server" })
    Deferred.doneUnsafe(lost, Effect.succeed(RaftError.make("lease", reason)))
  }

  private tell(event: WatchEvent.WatchEvent): void {
    for (const watcher of this.watchers) watcher(event)
  }

  private holds(condition: Transaction.Condition): boolean {
    const stored = this.keys.get(text(condition.key))
    if (condition._tag === "Version") return (stored === undefined) === (condition.relation !== "greater")
    if (condition._tag === "Created") return stored?.created === condition.number
    throw new Error(`no ${condition._tag} here`)
  }

  private do(operation: Transaction.Operation): Transaction.Result {
    const key = text(operation.key)
    if (operation._tag === "Put") {
      this.put(key, bytes(operation.value), operation.lease)
      return { _tag: "Put" }
    }
    if (operation._tag !== "Get") throw new Error(`no ${operation._tag} here`)
    const stored = this.keys.get(key)
    return { _tag: "Get", entry: stored && { ...stored, modified: stored.revision, version: 1n } }
  }

  private watch(wanted: (key: string) => boolean, initial: boolean) {
    return Stream.callback<WatchEvent.WatchEvent>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          for (const [key, { key: at, revision, value }] of initial ? this.keys : []) {
            if (!wanted(key)) continue
            Queue.offerUnsafe(queue, { _tag: "Put", key: at, value, previous: undefined, revision, source: "Scan" })
          }
          Queue.offerUnsafe(queue, { _tag: "Synced", revision: this.revision })
          const watcher = (event: WatchEvent.WatchEvent): void => {
            if ("key" in event && wanted(text(event.key))) Queue.offerUnsafe(queue, event)
          }
          this.watchers.add(watcher)
          return watcher
        }),
        (watcher) => Effect.sync(() => this.watchers.delete(watcher))
      )
    )
  }

  get isWatched(): boolean {
    return this.watchers.size > 0
  }

  /** What locks, elections and leases use of a client; the rest is not there. */
  readonly client = {
    capabilities: { leases: true, transactions: true },
    put: (key, value, options) =>
      Effect.sync(() => {
        this.put(text(key), bytes(value), options?.lease?.id)
        return { revision: this.revision }
      }),
    transact: ({ compare, failure = [], success }) =>
      Effect.sync(() => {
        const succeeded = compare.every((condition) => this.holds(condition))
        const results = (succeeded ? success : failure).map((operation) => this.do(operation))
        return { succeeded, revision: this.revision, results }
      }),
    scan: (prefix) =>
      Effect.sync(() => {
        const from = typeof prefix === "string" ? prefix : prefix.text
        const entries = [...this.keys.entries()].filter(([key]) => key.startsWith(from)).map(([, stored]) => stored)
        return { entries, revision: this.revision, more: false }
      }),
    watch: (key) => this.watch((other) => other === text(key), true),
    watchPrefix: (prefix, options) => {
      const from = typeof prefix === "string" ? prefix : prefix.text
      return this.watch((key) => key.startsWith(from), options?.initial !== false)
    },
    grantLease: () =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const id = BigInt(this.leases.size) + ++this.revision
            const lost = Deferred.makeUnsafe<RaftError.RaftError>()
            this.leases.set(id, lost)
            return { id, lost }
          }),
          ({ id }) => Effect.sync(() => this.end(id, false))
        ),
        ({ id, lost }) => ({
          id,
          seconds: 10,
          isAlive: Effect.sync(() => !Deferred.isDoneUnsafe(lost)),
          lost: Deferred.await(lost)
        })
      )
  } satisfies
    & Partial<{ [K in keyof RaftClient.RaftClient]: unknown }>
    & Partial<Fake> as unknown as RaftClient.RaftClient
}

type Fake = Pick<RaftClient.RaftClient, "put" | "transact" | "scan" | "watch" | "watchPrefix" | "grantLease">
