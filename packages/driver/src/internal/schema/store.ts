/** The schema as one client knows it: read when it is asked for, and kept up to date by what servers tell. */
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { CqlError, InvalidConfiguration } from "../../CqlError.ts"
import { paced } from "../paced.ts"
import * as Building from "./building.ts"
import { isSame } from "./comparing.ts"
import { between } from "./differences.ts"
import { type Doubt, Heard } from "./heard.ts"
import * as Schema from "./model.ts"
import * as Reading from "./reading.ts"

/** What the store needs of the client. */
export interface Settings {
  /** Which keyspaces it may know. */
  readonly allows: (keyspace: string) => boolean
  /** Which keyspaces are among all of them. */
  readonly wants: (keyspace: string) => boolean
  /** Milliseconds in which who asks has to have an answer. */
  readonly timeoutMillis: number
  /** Fails when the client ends before what was asked does. */
  readonly whileOpen?: <A>(effect: Effect.Effect<A, CqlError>) => Effect.Effect<A, CqlError>
  readonly source: Reading.Source
}

/**
 * Milliseconds from the first change that is heard of to the look at it. Later ones do not put it off, and the random part keeps the
 * clients of a cluster from asking all at once.
 */
const TICK = { least: 500, spread: 1_000 }
/** Times that something is read at once because the schema has changed meanwhile; after that at the next tick. */
const RACES = 3
/** Looks at what has not changed though a server said so: it may not have written it down yet. */
const LOOKS = 3
/** Looks for agreement before others' changes are read: a node that is behind tells how things were. */
const AGREEMENT = { looks: 5, millis: 200 }
/** Milliseconds between attempts while there is no control connection, for who asks. */
const RETRY = 200
/** Names of keyspaces that are not there, kept for those who ask at the same time. */
const MISSED = 64
/** Changes that a subscriber may be behind; older ones are dropped for it. */
const CHANGES = 1_024
const EMPTY: Schema.Snapshot = { version: "", keyspaces: new Map(), isComplete: false }

type Keyspaces = ReadonlyMap<string, Schema.Keyspace | undefined>

export class Store {
  snapshot: Schema.Snapshot = EMPTY
  private readonly settings: Settings
  private readonly published: PubSub.PubSub<Schema.Change>
  private readonly heard = new Heard()
  private readonly due = Latch.makeUnsafe(false)
  /** One reads at a time: those who wait find what they want, and what is read later is newer. */
  private readonly lock = Semaphore.makeUnsafe(1)
  private isReading = false
  /** All keyspaces are wanted, not only those that somebody has asked for. */
  private isWhole = false
  /** Reads of keyspaces that somebody has asked for, counted. */
  private reads = 0
  /** The last of those that found no such keyspace. */
  private readonly missed = new Map<string, number>()
  /** Those that somebody has asked for, and that were there. */
  private readonly followed = new Set<string>()

  constructor(settings: Settings, published: PubSub.PubSub<Schema.Change>) {
    this.settings = settings
    this.published = published
  }

  /** A server tells. Never waits, and keeps a bounded part of it. */
  readonly hear = (change: SchemaChange): void => {
    if (this.concerns(change.keyspace)) {
      this.heard.add(change)
      this.due.openUnsafe()
    } else if (this.settings.allows(change.keyspace)) this.publish([unseen(change)])
  }

  /**
   * A node says which schema it has. `isNew`: nobody heard what happened until now. Otherwise it is another one than that which is known
   * because of something of which nobody told.
   */
  readonly seen = (version: string, isNew: boolean): void => {
    const { snapshot } = this
    if (snapshot.version === "" || snapshot.version === version) return
    if (!isNew && (this.isReading || !this.heard.isEmpty)) return
    this.heard.everything()
    this.due.openUnsafe()
  }

  /** This client has changed something, and the nodes agree: it is known when this ends, or later where there is not the time. */
  readonly settle = (change: SchemaChange, leftMillis: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!this.concerns(change.keyspace)) return Effect.void
      this.heard.add(change)
      this.due.openUnsafe()
      return Effect.ignore(Effect.timeoutOption(this.catchUp(false), Math.max(0, leftMillis)))
    })

  readonly keyspace = (name: string): Effect.Effect<Option.Option<Schema.Keyspace>, CqlError> =>
    Effect.suspend(() => {
      const known = this.snapshot.keyspaces.get(name)
      if (known !== undefined) return Effect.succeedSome(known)
      if (!this.settings.allows(name)) return Effect.succeedNone
      const asked = this.reads
      return Effect.map(
        this.patient(this.alone(this.first(name, asked))),
        () => Option.fromUndefinedOr(this.snapshot.keyspaces.get(name))
      )
    })

  readonly table = (keyspace: string, name: string): Effect.Effect<Option.Option<Schema.Table>, CqlError> =>
    Effect.map(
      this.keyspace(keyspace),
      Option.flatMap(({ tables }) => Option.fromUndefinedOr(tables.get(name)))
    )

  /**
   * Reads a keyspace that somebody asks for, unless somebody else has been there first: it is known then, or was not there when it was looked
   * for after read number `asked`. Followed from before, so that no change is lost.
   */
  private first(name: string, asked: number): Effect.Effect<void, CqlError> {
    return Effect.suspend(() => {
      if (this.snapshot.keyspaces.has(name) || (this.missed.get(name) ?? 0) > asked) return Effect.void
      const isNew = !this.followed.has(name)
      this.followed.add(name)
      const read = ++this.reads
      return Effect.onExit(
        this.consistent(this.whole([name]), () => this.heard.whole(name)),
        (exit) =>
          Effect.sync(() => {
            if (!isNew || this.snapshot.keyspaces.has(name)) return
            this.followed.delete(name)
            if (Exit.isFailure(exit)) return
            if (this.missed.size >= MISSED) this.missed.clear()
            this.missed.set(name, read)
          })
      )
    })
  }

  get all(): Effect.Effect<Schema.Snapshot, CqlError> {
    const missing = Effect.flatMap(
      this.wanted,
      (names) => this.whole(names.filter((name) => !this.snapshot.keyspaces.has(name)))
    )
    const read = this.alone(
      Effect.suspend(() => {
        if (this.snapshot.isComplete) return Effect.void
        // From before they are read, so that no change is lost.
        this.isWhole = true
        return this.consistent(missing, () => this.heard.everything(), true)
      })
    )
    return Effect.suspend(() =>
      Effect.map(this.snapshot.isComplete ? Effect.void : this.patient(read), () => this.snapshot)
    )
  }

  /** From now on all keyspaces are wanted; those that cannot be read now are read later. */
  get eager(): Effect.Effect<void> {
    return Effect.catch(this.all, (error) => {
      this.heard.everything()
      this.due.openUnsafe()
      return Effect.logWarning(`the schema could not be read, and is read again: ${error.message}`)
    })
  }

  get refresh(): Effect.Effect<void, CqlError> {
    return Effect.suspend(() => {
      if (this.snapshot.version === "") return Effect.void
      this.heard.everything()
      return this.patient(this.catchUp(false))
    })
  }

  get changes(): Stream.Stream<Schema.Change> {
    return Stream.fromPubSub(this.published)
  }

  /** Looks at what was heard, tick by tick, for as long as the client lives. */
  get run(): Effect.Effect<never> {
    const tick = Effect.gen({ self: this }, function*() {
      yield* this.due.await
      yield* Effect.sleep(TICK.least + (yield* Random.next) * TICK.spread)
      this.due.closeUnsafe()
      yield* Effect.catch(
        this.catchUp(true),
        (error) => Effect.logDebug(`the schema could not be read, and is read again: ${error.message}`)
      )
    })
    return Effect.forever(
      Effect.catchDefect(tick, (defect) => Effect.logError("the schema could not be kept up to date", defect))
    )
  }

  /** Whether it is to be read again when it changes. */
  private concerns(keyspace: string): boolean {
    return this.followed.has(keyspace) || (this.isWhole && this.settings.wants(keyspace))
  }

  private publish(changes: ReadonlyArray<Schema.Change>): void {
    for (const change of changes) PubSub.publishUnsafe(this.published, change)
  }

  private alone<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const reading = Effect.ensuring(
      Effect.suspend(() => {
        this.isReading = true
        return effect
      }),
      Effect.sync(() => {
        this.isReading = false
      })
    )
    return this.lock.withPermit(reading)
  }

  /** Again for as long as who asks can wait: a control connection that is lost is replaced soon. */
  private patient<A>(effect: Effect.Effect<A, CqlError>): Effect.Effect<A, CqlError> {
    const asked = Effect.gen({ self: this }, function*() {
      const until = (yield* Clock.currentTimeMillis) + this.settings.timeoutMillis
      for (;;) {
        const result = yield* Effect.result(effect)
        if (Result.isSuccess(result)) return result.success
        // What a server refuses it will refuse again.
        const isAnswered = "code" in result.failure.reason
        if (isAnswered || (yield* Clock.currentTimeMillis) + RETRY > until) return yield* result.failure
        yield* Effect.sleep(RETRY)
      }
    })
    return this.settings.whileOpen?.(asked) ?? asked
  }

  /** Reads what was heard of; what cannot be read is kept for later. */
  private catchUp(isOfOthers: boolean): Effect.Effect<void, CqlError> {
    return this.alone(Effect.suspend(() => {
      if (this.heard.isEmpty) return Effect.void
      const taken = this.heard.take()
      const before = this.snapshot
      const read = this.consistent(
        Effect.suspend(() => this.doubted(taken)),
        () => this.heard.addAll(taken),
        // All that are wanted are among them.
        taken.all && this.isWhole ? true : undefined,
        taken
      )
      return Effect.onExit(
        isOfOthers ? Effect.andThen(this.agreement, read) : read,
        (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) this.later(taken)
            else if (this.isDoubtful(taken, before)) this.again(taken)
          })
      )
    }))
  }

  /** Waits a little for the node that is asked to have the schema of the others. */
  private get agreement(): Effect.Effect<void, CqlError> {
    const { source } = this.settings
    return Effect.gen(function*() {
      for (let look = 1; look < AGREEMENT.looks; look++) {
        const own = yield* Reading.version(source)
        const others = yield* Reading.versionsOfOthers(source)
        if (others.every((version) => version === own)) return
        yield* Effect.sleep(AGREEMENT.millis)
      }
    })
  }

  private later(taken: Heard): void {
    this.heard.addAll(taken)
    this.due.openUnsafe()
  }

  /** A server said that something changed, and what was read is as it was, or contradicts it. */
  private isDoubtful({ keyspaces }: Heard, before: Schema.Snapshot): boolean {
    return [...keyspaces].some(([name, { said }]) => {
      const keyspace = this.snapshot.keyspaces.get(name)
      if (!this.concerns(name)) return false
      if (this.snapshot.version === before.version && keyspace === before.keyspaces.get(name)) return true
      return [...said].some(([table, isThere]) =>
        table === ""
          ? isThere !== (keyspace !== undefined)
          // Where ScyllaDB keeps an index.
          : keyspace !== undefined && !table.endsWith("_index") &&
            isThere !== (keyspace.tables.has(table) || keyspace.views.has(table))
      )
    })
  }

  private again(taken: Heard): void {
    if (++taken.looks < LOOKS) this.later(taken)
  }

  /** Names of all keyspaces that are known where all are. */
  private get wanted(): Effect.Effect<ReadonlyArray<string>, CqlError> {
    return Effect.map(
      Reading.names(this.settings.source),
      (names) => names.filter((name) => this.settings.wants(name))
    )
  }

  /**
   * Reads until the schema was the same at the end as at the beginning, and makes that the snapshot. In a storm of changes `again` says what
   * is to be read when it may be over.
   */
  private consistent(
    read: Effect.Effect<Keyspaces, CqlError>,
    again: () => void,
    isComplete?: true,
    heard?: Heard
  ): Effect.Effect<void, CqlError> {
    const { source } = this.settings
    return Effect.gen({ self: this }, function*() {
      for (let race = 1;; race++) {
        const before = yield* Reading.version(source)
        const found = yield* read
        const version = yield* Reading.version(source)
        if (version !== before && race < RACES) continue
        yield* this.apply(found, version, isComplete, heard)
        if (version === before) return
        again()
        return this.due.openUnsafe()
      }
    })
  }

  /** Makes it the snapshot, as one step. */
  private apply(
    found: Keyspaces,
    version: string,
    isComplete: boolean = this.snapshot.isComplete,
    heard?: Heard
  ): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const keyspaces = new Map(this.snapshot.keyspaces)
      const changes: Array<Schema.Change> = []
      for (const [name, after] of found) {
        const isKnown = keyspaces.has(name)
        const made: Array<Schema.Change> = []
        let before = keyspaces.get(name)
        // Made again: a keyspace has no id by which it would be another one.
        const doubt = heard?.keyspaces.get(name)
        if (before !== undefined && after !== undefined && doubt?.gone === true && doubt.said.get("") === true) {
          before = yield* paced(between(before, undefined, made))
        }
        const now = yield* paced(between(before, after, made))
        if (now === undefined) keyspaces.delete(name)
        else keyspaces.set(name, now)
        // What is read for the first time is no change, unless all of them are known.
        if (isKnown || this.snapshot.isComplete) { for (const change of made) changes.push(change) }
      }
      this.snapshot = { version, keyspaces, isComplete }
      this.publish(changes)
    })
  }

  /** All of some keyspaces; `undefined` for those that are not there. */
  private whole(names: ReadonlyArray<string>): Effect.Effect<Keyspaces, CqlError> {
    const { source } = this.settings
    if (names.length === 0) return Effect.succeed(new Map())
    return Effect.gen(function*() {
      const made = yield* paced(Building.keyspaces(yield* Reading.all(source, names), source.isScylla()))
      return new Map(names.map((name) => [name, made.get(name)]))
    })
  }

  /** What is new of what was heard of. */
  private doubted(heard: Heard): Effect.Effect<Keyspaces, CqlError> {
    return Effect.gen({ self: this }, function*() {
      const known = this.snapshot.keyspaces
      if (heard.all) {
        const names = this.isWhole ? yield* this.wanted : []
        return yield* this.whole([...new Set([...known.keys(), ...this.followed, ...names])])
      }
      const concerned = [...heard.keyspaces].filter(([name]) => this.concerns(name))
      const isWhole = ([name, doubt]: readonly [string, Doubt]): boolean => doubt.whole || !known.has(name)
      const out = new Map(yield* this.whole(concerned.filter(isWhole).map(([name]) => name)))
      for (const entry of concerned) {
        const [name, doubt] = entry
        if (!isWhole(entry)) out.set(name, yield* this.parts(known.get(name)!, doubt))
      }
      return out
    })
  }

  /** What is in doubt of a keyspace, and the rest as it was. */
  private parts(known: Schema.Keyspace, doubt: Doubt): Effect.Effect<Schema.Keyspace | undefined, CqlError> {
    const { source } = this.settings
    const { name } = known
    return Effect.gen(function*() {
      let now = known
      if (doubt.own) {
        const own = Building.properties(yield* Reading.properties(source, [name])).get(name)
        if (own === undefined) return undefined
        now = { ...now, ...own }
      }
      // Tables may be of types of which nothing was heard yet.
      if (doubt.types || doubt.functions || doubt.tables.size > 0) {
        const types = Building.userTypes(name, yield* Reading.types(source, [name]))
        if (!isSame(types, now.types)) now = Building.retyped(now, types)
      }
      const types = Building.typesOf(now.types)
      if (doubt.functions) now = { ...now, ...Building.functions(yield* Reading.functions(source, [name]), types) }
      if (doubt.tables.size > 0) {
        const names = new Set([
          ...doubt.tables,
          // What views have of their tables changes with these.
          ...[...now.views.values()].filter(({ base }) => doubt.tables.has(base)).map(({ name }) => name),
          ...(source.isScylla() ? [...doubt.tables].map((table) => `${table}_scylla_cdc_log`) : [])
        ])
        const rows = yield* Reading.relations(source, [name], [...names])
        const found = yield* paced(Building.relations(rows, types, source.isScylla()))
        const merged = <A extends { readonly name: string }>(
          before: ReadonlyMap<string, A>,
          read: ReadonlyMap<string, A>
        ) => Building.byName([...[...before.values()].filter((each) => !names.has(each.name)), ...read.values()])
        now = { ...now, tables: merged(now.tables, found.tables), views: merged(now.views, found.views) }
      }
      return now
    })
  }
}

/** Of what has not been read: what the server says, and no more. */
const unseen = ({ argTypes, change, keyspace, name = "", target }: SchemaChange): Schema.Change =>
  ({
    target,
    change,
    keyspace,
    name: target === "KEYSPACE" ? keyspace : argTypes === undefined ? name : Schema.signature(name, argTypes),
    before: undefined,
    after: undefined
  }) as unknown as Schema.Change

/** Whoever listens is let go with the scope. */
export const make = (settings: Settings): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(PubSub.sliding<Schema.Change>(CHANGES), PubSub.shutdown),
    (published) => new Store(settings, published)
  )

/** What users see of it. */
export const schemasOf = (store: Store | undefined): Schema.Schemas => {
  if (store === undefined) return NEVER
  const { all, changes, keyspace, refresh, table } = store
  return { all, changes, keyspace, refresh, table, snapshot: () => store.snapshot }
}

const refused = Effect.suspend(() => {
  const message = "the client was made with `schema: false`, which reads none"
  return Effect.fail(
    new CqlError({ reason: new InvalidConfiguration({ message, issues: [{ path: "schema", message }] }), attempts: [] })
  )
})

const NEVER: Schema.Schemas = {
  keyspace: () => refused,
  table: () => refused,
  all: refused,
  refresh: refused,
  changes: Stream.empty,
  snapshot: () => EMPTY
}
