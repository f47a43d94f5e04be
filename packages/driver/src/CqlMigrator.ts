/**
 * A schema that moves forward: steps that are run once, in their order, by one runner at a time.
 *
 * ```ts
 * const Migrated = CqlMigrator.layer({
 *   keyspace: "shop",
 *   loader: CqlMigrator.fromRecord({
 *     "1_users": "CREATE TABLE users (id uuid PRIMARY KEY, name text)",
 *     "2_index": Effect.flatMap(CqlClient.CqlClient, (cql) => cql`CREATE INDEX ON shop.users (name)`)
 *   })
 * })
 * ```
 *
 * CQL has no transactions over its schema, so that a step may end half-way. Each is recorded before and after, with a checksum; one
 * that was begun and not ended is named by the next run, which stops there until somebody says what to do (`unfinished`, {@link mark}).
 *
 * Runners agree by conditional writes on one partition. A lease with a time to live is the servers' to end, whatever clocks the runners
 * have, and a number that each new holder raises (a fence) keeps a runner that was paused, and lost its lease meanwhile, from recording
 * anything: it stops at its next statement of ours. Before each step, and after the last, the nodes agree on the schema, whatever the
 * client's own options say; where they do not, the next one is not begun.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { CqlClient } from "./CqlClient.ts"
import type { CqlError } from "./CqlError.ts"
import { normalized, normalizedBefore, statementsOf, unclosedIn } from "./internal/cqlScript.ts"
import { Journal, type Recorded } from "./internal/migrationJournal.ts"

/**
 * Why migrations could not be run. `kind`:
 *
 * - `BadState`: what was recorded does not fit the steps that there are; a step was changed, is missing, or was not ended.
 * - `Duplicates`: two steps have the same number.
 * - `Failed`: a step failed; `cause` is why, and it is recorded as begun.
 * - `Import`: steps could not be loaded, or cannot be read: a quote that is never closed, a number past what there is.
 * - `Locked`: another runner has the lease, and had it for as long as was to be waited.
 * - `NoAgreement`: the nodes did not agree on the schema in time; the step after it was not begun.
 * - `Options`: an option is wrong.
 * - `LeaseLost`: this runner was paused or cut off for so long that another one has taken over; what it was doing may be half done.
 *
 * @category errors
 * @since 0.1.0
 */
export class MigrationError extends Data.TaggedError("MigrationError")<{
  readonly kind: "BadState" | "Duplicates" | "Failed" | "Import" | "Locked" | "NoAgreement" | "Options" | "LeaseLost"
  readonly message: string
  readonly cause?: unknown
}> {}

/**
 * What a step does: CQL, one statement or several with `;` behind each, or an effect.
 *
 * @category models
 * @since 0.1.0
 */
export type Step = string | ReadonlyArray<string> | Effect.Effect<unknown, unknown, CqlClient>

/**
 * A step with its number and name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Migration {
  readonly id: number
  readonly name: string
  readonly step: Step
}

/**
 * Gives the steps.
 *
 * @category models
 * @since 0.1.0
 */
export type Loader<R = never> = Effect.Effect<ReadonlyArray<Migration>, MigrationError, R>

const NAME = /^(\d+)_(.+?)(?:\.[cm]?[jt]s|\.cql)?$/
/** What a step is among other files: maps of modules, copies of editors and notes lie there, too. */
const FILE = /\.(?:[cm]?[jt]s|cql)$/

const migrationOf = (key: string, step: Step): Migration | undefined => {
  const [, id, name] = NAME.exec(key.split(/[\\/]/).at(-1) ?? "") ?? []
  return id === undefined || name === undefined ? undefined : { id: Number(id), name, step }
}

const importFailed = (what: string, cause: unknown): MigrationError =>
  new MigrationError({ kind: "Import", message: `the steps could not be loaded: ${what}: ${String(cause)}`, cause })

const isStep = (step: unknown): step is Step =>
  typeof step === "string" || Effect.isEffect(step) ||
  (Array.isArray(step) && step.every((statement) => typeof statement === "string"))

const checked = (key: string, step: unknown): Effect.Effect<ReadonlyArray<Migration>, MigrationError> => {
  if (!isStep(step)) return Effect.fail(importFailed(key, "a step is CQL or an effect"))
  const migration = migrationOf(key, step)
  return Effect.succeed(migration === undefined ? [] : [migration])
}

/**
 * Steps by name: `"1_users"`, `"0002_add_index"`. Names of another form are passed over.
 *
 * @category loaders
 * @since 0.1.0
 */
export const fromRecord = (steps: Readonly<Record<string, Step>>): Loader =>
  Effect.map(Effect.forEach(Object.entries(steps), ([key, step]) => checked(key, step)), (found) => found.flat())

/**
 * Modules by path, each with its step as `default`, as bundlers give them: `import.meta.glob("migrations/*.ts")`.
 *
 * @category loaders
 * @since 0.1.0
 */
export const fromGlob = (modules: Readonly<Record<string, () => Promise<any>>>): Loader =>
  Effect.map(
    Effect.forEach(Object.entries(modules), ([key, load]) =>
      Effect.flatMap(
        Effect.tryPromise({ try: load, catch: (cause) => importFailed(key, cause) }),
        (module) => checked(key, module?.default ?? module)
      )),
    (found) => found.flat()
  )

/**
 * The files of a directory: `1_users.cql`, or modules (`2_index.ts`) whose `default` is a step. Files of other kinds are passed over.
 *
 * @category loaders
 * @since 0.1.0
 */
export const fromFileSystem = (directory: string): Loader =>
  Effect.gen(function*() {
    const names = yield* Effect.tryPromise({
      try: () => readdir(directory),
      catch: (cause) => importFailed(directory, cause)
    })
    const found: Array<Migration> = []
    for (
      const name of names.filter((name) => NAME.test(name) && FILE.test(name) && !/\.d\.[cm]?ts$/.test(name)).sort()
    ) {
      const path = join(directory, name)
      const step = yield* Effect.tryPromise({
        try: async () => {
          if (name.endsWith(".cql")) return await readFile(path, "utf8")
          const module = await import(pathToFileURL(path).href)
          return module.default
        },
        catch: (cause) => importFailed(path, cause)
      })
      found.push(...yield* checked(name, step))
    }
    return found
  })

/**
 * How steps are run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never> {
  readonly loader: Loader<R>
  /** Where the table of what was run is. It has to be there. Statements of steps that are CQL are run as they stand. */
  readonly keyspace: string
  /** Default `effect_cql_migrations`. */
  readonly table?: string | undefined
  /** How long a runner that is gone keeps others from running; renewed three times within it. At least 3 seconds. Default 30 seconds. */
  readonly lease?: Duration.Input | undefined
  /** How long to wait for another runner. Default 1 minute. */
  readonly wait?: Duration.Input | undefined
  /** How long the nodes may take to agree on the schema, before each step and after the last. Default 30 seconds. */
  readonly agreementTimeout?: Duration.Input | undefined
  /** What to do about a step that was begun and not ended: `"fail"` (default), or run it again (`"resume"`). */
  readonly unfinished?: "fail" | "resume" | undefined
}

/**
 * A step, and what became of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly id: number
  readonly name: string
  /** `pending`: not begun. `unfinished`: begun, and not ended: by a runner that runs now, or that was stopped. */
  readonly state: "done" | "pending" | "unfinished"
  /** What was recorded is of another text; of effects nothing is known. */
  readonly isChanged: boolean
  readonly startedAt: Date | undefined
  readonly endedAt: Date | undefined
}

const isCql = (step: Step): step is string | ReadonlyArray<string> => !Effect.isEffect(step)

const digest = (text: string): string => createHash("sha256").update(text).digest("hex")

/** Of CQL what it does: comments, ends of lines and indents are no part of it. An effect is known by its name only. */
const checksumOf = ({ name, step }: Migration): string => isCql(step) ? digest(normalized(step)) : `effect ${name}`

const recordedOf = (migration: Migration) => ({
  id: migration.id,
  name: migration.name,
  checksum: checksumOf(migration)
})

/** Whether it was recorded of this step, in the way of now or of before. */
const isOf = (checksum: string | null, migration: Migration): boolean =>
  checksum === checksumOf(migration) ||
  (isCql(migration.step) && checksum === digest(normalizedBefore(migration.step)))

const bad = (message: string): MigrationError => new MigrationError({ kind: "BadState", message })

/** In order, each number once. */
const sorted = (steps: ReadonlyArray<Migration>): Effect.Effect<ReadonlyArray<Migration>, MigrationError> => {
  const ids = new Map<number, Migration>()
  for (const step of steps) {
    const other = ids.get(step.id)
    if (other !== undefined) {
      return Effect.fail(
        new MigrationError({
          kind: "Duplicates",
          message: `two steps have the number ${step.id}: ${other.name} and ${step.name}`
        })
      )
    }
    ids.set(step.id, step)
    const what = `${step.id}_${step.name}`
    // `id` is an int in the table.
    if (!Number.isInteger(step.id) || step.id > 2_147_483_647 || step.id < 0) {
      return Effect.fail(importFailed(what, "the number of a step is at most 2147483647: count, or begin with the day"))
    }
    const begun = isCql(step.step) ? unclosedIn(step.step) : undefined
    if (begun !== undefined) return Effect.fail(importFailed(what, `${begun} is begun in its CQL and never closed`))
  }
  return Effect.succeed([...ids.values()].sort((a, b) => a.id - b.id))
}

const statusOf = (
  steps: ReadonlyArray<Migration>,
  records: ReadonlyArray<Recorded>
): ReadonlyArray<Status> =>
  steps.map((step) => {
    const record = records.find(({ id }) => id === step.id)
    return {
      id: step.id,
      name: step.name,
      state: record?.state === "done" ? "done" : record?.state === "running" ? "unfinished" : "pending",
      isChanged: record?.state === "done" && (!isOf(record.checksum, step) || record.name !== step.name),
      startedAt: record?.started ?? undefined,
      endedAt: record?.ended ?? undefined
    }
  })

/** What was recorded has to be what there is: what no state of a step says. */
const misfits = (
  steps: ReadonlyArray<Migration>,
  records: ReadonlyArray<Recorded>,
  all: ReadonlyArray<Status>
): MigrationError | undefined => {
  const unknown = records.filter(({ id, state }) =>
    id !== null && state !== null && !steps.some((step) => step.id === id)
  )
  if (unknown.length > 0) {
    return bad(
      `steps were run that there are none of here: ${unknown.map(({ id, name }) => `${id}_${name}`).join(", ")}`
    )
  }
  const last = all.findLast(({ state }) => state === "done")
  const late = all.find(({ id, state }) => state === "pending" && last !== undefined && id < last.id)
  return late === undefined ? undefined : bad(
    `the step ${late.id}_${late.name} is new, and ${last!.id}_${
      last!.name
    } was run before it: give it a number behind that`
  )
}

/** What is to be run, where nothing is wrong. */
const examined = (
  steps: ReadonlyArray<Migration>,
  records: ReadonlyArray<Recorded>,
  unfinished: "fail" | "resume"
): Effect.Effect<ReadonlyArray<Migration>, MigrationError> => {
  const all = statusOf(steps, records)
  const changed = all.filter(({ isChanged }) => isChanged)
  if (changed.length > 0) {
    return Effect.fail(
      bad(
        `steps that were run have another text or name now: ${
          changed.map(({ id, name }) => `${id}_${name}`).join(", ")
        }: ` +
          "a step that was run is not changed; add another one"
      )
    )
  }
  const half = all.find(({ state }) => state === "unfinished")
  if (half !== undefined && unfinished === "fail") {
    return Effect.fail(
      bad(
        `the step ${half.id}_${half.name} was begun at ${
          half.startedAt?.toISOString() ?? "?"
        } and not ended: see what it has done, ` +
          `then run with unfinished: "resume", or mark it (CqlMigrator.mark) as done or pending`
      )
    )
  }
  const misfit = misfits(steps, records, all)
  return misfit !== undefined ? Effect.fail(misfit) : Effect.succeed(steps.filter((_, i) => all[i]!.state !== "done"))
}

const execute = (cql: CqlClient, step: Step): Effect.Effect<unknown, unknown, CqlClient> =>
  Effect.isEffect(step)
    ? step as Effect.Effect<unknown, unknown, CqlClient>
    : Effect.forEach(statementsOf(step), (statement) => cql.execute(statement), { discard: true })

/** Seconds of an option, so many at the most. */
const secondsOf = (name: string, given: Duration.Input, most: number): Effect.Effect<number, MigrationError> => {
  const duration = Duration.fromInput(given)
  const seconds = duration._tag === "Some" ? Math.ceil(Duration.toSeconds(duration.value)) : NaN
  return seconds >= 0 && seconds <= most ? Effect.succeed(seconds) : Effect.fail(
    new MigrationError({
      kind: "Options",
      message: `${name}: a time${most === Infinity ? "" : `, at most ${most} seconds`}, got ${format(given)}`
    })
  )
}

/** What servers take for a time to live: 20 years. */
const LONGEST_LEASE = 630_720_000

/** The nodes have the same schema, before anything more is changed. */
const agreed = ({ agreementTimeout = "30 seconds" }: Options<any>): Effect.Effect<void, MigrationError, CqlClient> =>
  Effect.gen(function*() {
    const cql = yield* CqlClient
    const seconds = yield* secondsOf("agreementTimeout", agreementTimeout, Infinity)
    const { agreed, others } = yield* cql.schemaAgreement({ timeout: seconds * 1_000 })
    if (agreed) return
    const who = others.map(({ address, port }) => `${address}:${port}`).join(", ")
    return yield* new MigrationError({
      kind: "NoAgreement",
      message: `the nodes have not agreed on the schema within ${seconds} seconds${
        who === "" ? "" : ` (another one than the others have: ${who})`
      }: no other step is begun; what is recorded as done is done. See what is wrong with the nodes, then run again`
    })
  })

/** Milliseconds between looks at whether the other runner has ended. */
const LOOK = 1_000

/** Of a conditional write, or a read at SERIAL, that was not answered in time. */
const isPassing = ({ outcome, isRetryable }: CqlError): boolean => outcome === "Ambiguous" || isRetryable

/** Runs something with the lease, renewed meanwhile. */
const leased = <A, E, R>(
  journal: Journal,
  { lease = "30 seconds", wait = "1 minute" }: Options<any>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | CqlError | MigrationError, R> =>
  Effect.gen(function*() {
    const seconds = Math.max(3, yield* secondsOf("lease", lease, LONGEST_LEASE))
    const until = (yield* Clock.currentTimeMillis) + (yield* secondsOf("wait", wait, Infinity)) * 1_000
    while (true) {
      const taken = yield* Effect.result(journal.acquire(seconds))
      if (Result.isSuccess(taken) && taken.success) break
      const isOver = (yield* Clock.currentTimeMillis) >= until
      if (Result.isFailure(taken)) {
        // Many runners that begin at once are in each other's way; the next attempt tells what became of this one.
        if (isOver || !isPassing(taken.failure)) return yield* taken.failure
        journal.doubt()
      } else if (isOver) {
        return yield* new MigrationError({
          kind: "Locked",
          message: "another runner has the lease of the migrations, and has not ended in the time to wait"
        })
      }
      yield* Effect.sleep(LOOK)
    }
    const lost = Effect.gen(function*() {
      while (true) {
        yield* Effect.sleep(seconds * 1_000 / 3)
        // One that fails may have been done; the next one tells.
        const renewed = yield* Effect.orElseSucceed(journal.renew(seconds), () => true)
        if (!renewed) return yield* leaseLost
      }
    })
    return yield* Effect.ensuring(Effect.raceFirst(effect, lost), Effect.ignore(journal.release))
  })

/** What is wrong is said before anything is done. */
const checkedOptions = (
  { agreementTimeout = 0, lease = 0, wait = 0 }: Options<any>
): Effect.Effect<unknown, MigrationError> =>
  Effect.all([
    secondsOf("lease", lease, LONGEST_LEASE),
    secondsOf("wait", wait, Infinity),
    secondsOf("agreementTimeout", agreementTimeout, Infinity)
  ])

const leaseLost = new MigrationError({
  kind: "LeaseLost",
  message:
    "this runner was away for longer than its lease, and another one may have taken over: what it was doing may be half done"
})

/**
 * Runs the steps that were not run yet; answers which. Waits for another runner that is at it.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <R>(
  options: Options<R>
): Effect.Effect<ReadonlyArray<readonly [id: number, name: string]>, MigrationError | CqlError, CqlClient | R> =>
  Effect.gen(function*() {
    const cql = yield* CqlClient
    const steps = yield* Effect.flatMap(options.loader, sorted)
    const journal = new Journal(cql, options)
    yield* checkedOptions(options)
    yield* journal.create
    const work = Effect.gen(function*() {
      const pending = yield* examined(steps, yield* journal.records, options.unfinished ?? "fail")
      const done: Array<readonly [number, string]> = []
      for (const migration of pending) {
        const { id, name, step } = migration
        yield* agreed(options)
        if (!(yield* journal.begun(recordedOf(migration), yield* Clock.currentTimeMillis))) return yield* leaseLost
        yield* Effect.mapError(execute(cql, step), (cause) =>
          new MigrationError({
            kind: "Failed",
            message: `the step ${id}_${name} failed, and may be half done: ${
              cause instanceof Error ? cause.message : String(cause)
            }`,
            cause
          }))
        if (!(yield* journal.ended(id, yield* Clock.currentTimeMillis))) return yield* leaseLost
        yield* Effect.logInfo(`migrated: ${id}_${name}`)
        done.push([id, name])
      }
      if (done.length > 0) yield* agreed(options)
      return done
    })
    return yield* leased(journal, options, work)
  })

/**
 * All steps, and what became of each. Changes nothing; also what a dry run tells: those that are `pending` would be run, unless one is
 * `unfinished` or changed. Fails as `run` does (`BadState`) where a step that was run is missing, or a new one has a number before
 * one that was run: no state of a step says that.
 *
 * @category running
 * @since 0.1.0
 */
export const status = <R>(
  options: Options<R>
): Effect.Effect<ReadonlyArray<Status>, MigrationError | CqlError, CqlClient | R> =>
  Effect.gen(function*() {
    const journal = new Journal(yield* CqlClient, options)
    const steps = yield* Effect.flatMap(options.loader, sorted)
    // There is no table before the first run.
    const records = yield* Effect.catchReason(journal.records, "CqlError", "InvalidRequest", () => Effect.succeed([]))
    const all = statusOf(steps, records)
    const misfit = misfits(steps, records, all)
    return misfit === undefined ? all : yield* misfit
  })

/**
 * Says of a step that was begun and not ended that it is done, or that nothing of it is, so that it is run again. Fails with `LeaseLost`
 * where it could not be marked, because another runner has taken over.
 *
 * @category running
 * @since 0.1.0
 */
export const mark = <R>(
  id: number,
  state: "done" | "pending",
  options: Options<R>
): Effect.Effect<void, MigrationError | CqlError, CqlClient | R> =>
  Effect.gen(function*() {
    const journal = new Journal(yield* CqlClient, options)
    const steps = yield* Effect.flatMap(options.loader, sorted)
    const migration = steps.find((step) => step.id === id)
    if (migration === undefined) return yield* bad(`there is no step with the number ${id}`)
    yield* leased(
      journal,
      options,
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatMap(journal.mark(recordedOf(migration), state, now), (isMarked) =>
          isMarked ? Effect.void : leaseLost))
    )
  })

/**
 * Runs the steps when the layer is built.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R>(options: Options<R>): Layer.Layer<never, MigrationError | CqlError, CqlClient | R> =>
  Layer.effectDiscard(run(options))
