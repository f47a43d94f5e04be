/**
 * The load: every kind of request that a client has, each such that the final state tells what became of it. What is done follows a
 * seed; what was said of it is in the ledger.
 */
import type { Batch, CqlClient, CqlError, ExecuteOptions, Prepared } from "@effect-scylla/driver"
import { Cause, Clock, Effect, Exit, Option, Stream } from "effect"
import type { Random } from "../support/random.ts"
import { type Change, type End, type Entry, type Kind, type Ledger, type Look, nameOf, type Place } from "./ledger.ts"
import { isConditional, literally, looked, type Said, sayings, tables, templated } from "./places.ts"

/** Chains of each load. */
const CHAINS = 3

type Request = Effect.Effect<{ readonly applied: boolean; readonly looks?: ReadonlyArray<Look> }, CqlError.CqlError>

export interface Settings {
  /** What the places of this load are called after: no other load on these tables has the same. */
  readonly name: string
  /** Share of requests, one of so many, whose caller goes away after a while; 0 for none. */
  readonly impatient: number
  /** Milliseconds that a worker rests between two requests, at most. */
  rest: number
  /** Milliseconds that a call may take at most; not looked at where there is none. */
  readonly limit?: number | undefined
  /** After so many requests there are other places: none gets so large that reading it is all that is done. */
  readonly generation: number
}

export class Workload {
  readonly ledger: Ledger
  private readonly cql: CqlClient.CqlClient
  private readonly settings: Settings
  private readonly prepared = new Map<string, Prepared.Prepared>()
  /** What chains were last seen to have. */
  private readonly chains = new Map<string, number>()

  constructor(cql: CqlClient.CqlClient, ledger: Ledger, settings: Settings) {
    this.cql = cql
    this.ledger = ledger
    this.settings = settings
  }

  /** Makes what has to be there, by a client that nothing happens to. */
  begin(cql: CqlClient.CqlClient): Effect.Effect<void, CqlError.CqlError> {
    const { name } = tables.chain
    return Effect.forEach(
      Array.from({ length: CHAINS }, (_, at) => this.chain(at).key),
      (key) => cql.execute(`INSERT INTO ${name} (k, v) VALUES (?, 0) IF NOT EXISTS`, [key]),
      { discard: true }
    )
  }

  /** Makes requests one after the other until it is told to end. `random` is this worker's alone. */
  worker(index: number, random: Random, goesOn: () => boolean): Effect.Effect<void> {
    const step = Effect.suspend(() => this.step(index, random))
    const rest = Effect.suspend(() => Effect.sleep(random.below(this.settings.rest + 1)))
    return Effect.whileLoop({
      while: goesOn,
      body: () => Effect.andThen(step, rest),
      step: () => undefined
    })
  }

  private step(worker: number, random: Random): Effect.Effect<void> {
    if (random.below(80) === 0) return this.burst(worker, random)
    const roll = random.below(100)
    if (roll < 12) return this.write("counter", this.change("counter", random), random)
    if (roll < 22) return this.write("append", this.change("list", random), random)
    if (roll < 30) return this.write("insert", this.change("rows", random), random, random.below(2) === 0)
    if (roll < 37) return this.puts(worker, random)
    if (roll < 48) return this.swap(random)
    if (roll < 54) return this.write("claim", this.change("claim", random), random)
    if (roll < 74) return this.batch(worker, random)
    if (roll < 77) return this.many(random)
    if (roll < 80) return this.grouped(random)
    return this.read(worker, random)
  }

  /** Many at once: more than there is room for, where little is allowed. None of it is a register's, whose writes have an order. */
  private burst(worker: number, random: Random): Effect.Effect<void> {
    const one = Effect.suspend(() => {
      switch (random.below(5)) {
        case 0:
          return this.write("counter", this.change("counter", random), random)
        case 1:
          return this.write("append", this.change("list", random), random)
        case 2:
          return this.swap(random)
        case 3:
          return this.batched("counter batch", [this.change("counter", random)], { type: "counter" }, false, random)
        default:
          return this.read(worker, random)
      }
    })
    return Effect.forEach(Array.from({ length: 10 + random.below(20) }), () => one, {
      concurrency: "unbounded",
      discard: true
    })
  }

  private get generation(): number {
    return Math.floor(this.ledger.entries.length / this.settings.generation)
  }

  private named(kind: Kind, rest: string): Place {
    return { kind, key: `${this.settings.name}-${kind}-${rest}` }
  }

  private chain(at: number): Place {
    return this.named("chain", String(at))
  }

  private register(worker: number): Place {
    return this.named("register", String(worker))
  }

  private place(kind: Kind, random: Random): Place {
    return kind === "chain"
      ? this.chain(random.below(CHAINS))
      : this.named(kind, `${this.generation}-${random.below(3)}`)
  }

  /** A place that only batches write. */
  private batchPlace(kind: Kind, at: number): Place {
    return this.named(kind, `${this.generation}-b${at}`)
  }

  /** A partition that only conditional batches write: they go with no others. */
  private conditionalPlace(random: Random): Place {
    return this.named("rows", `${this.generation}-c${random.below(2)}`)
  }

  private change(kind: Kind, random: Random, place = this.place(kind, random)): Change {
    return { place, id: this.ledger.nextId() }
  }

  /** Of a register, which is one worker's. */
  private put(worker: number): Change {
    return { place: this.register(worker), id: this.ledger.nextId() }
  }

  /** Some in a row, and before each a look at what there is: what is late of one may have come after the next. */
  private puts(worker: number, random: Random): Effect.Effect<void> {
    const one = Effect.suspend(() =>
      Effect.andThen(
        this.look(this.register(worker), random),
        Effect.suspend(() => this.write("put", this.put(worker), random, true))
      )
    )
    return Effect.forEach(Array.from({ length: 1 + random.below(4) }), () => one, { discard: true })
  }

  /** A call that is over when its time is. */
  private timed<A>(entry: Entry, call: Effect.Effect<A, CqlError.CqlError>): Effect.Effect<A, CqlError.CqlError> {
    const { limit } = this.settings
    if (limit === undefined) return call
    return Effect.flatMap(
      Clock.currentTimeMillis,
      (begun) =>
        Effect.onExit(call, () =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            if (now - begun > limit) entry.delays = [...entry.delays, `${now - begun} ms, and had ${limit}`]
          }))
    )
  }

  private ready(entry: Entry, text: string): Effect.Effect<Prepared.Prepared, CqlError.CqlError> {
    const known = this.prepared.get(text)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.tap(
      this.timed(entry, this.cql.prepare(text)),
      (prepared) => Effect.sync(() => this.prepared.set(text, prepared))
    )
  }

  /** Runs it and writes down what became of it. */
  private perform(entry: Entry, request: Request, random: Random): Effect.Effect<void> {
    const { impatient } = this.settings
    const within = impatient > 0 && random.below(impatient) === 0 ? 1 + random.below(800) : undefined
    const bounded = within === undefined ? Effect.asSome(request) : Effect.timeoutOption(request, within)
    return Effect.map(Effect.exit(bounded), (exit) => {
      if (Exit.isSuccess(exit) && Option.isSome(exit.value)) {
        const { applied, looks = [] } = exit.value.value
        entry.looks = looks
        this.ledger.end(entry, { _tag: "Answered", applied })
      } else this.ledger.end(entry, Exit.isSuccess(exit) ? { _tag: "Interrupted" } : endOf(exit.cause))
    })
  }

  /** A statement of its own, in one of the ways in which it can be said. */
  private write(name: string, change: Change, random: Random, idempotent = false): Effect.Effect<void> {
    const { cql } = this
    const said = sayings[change.place.kind](change)
    const options = idempotent ? { idempotent } : {}
    const entry = this.ledger.begin(idempotent ? `${name} (idempotent)` : name, [change])
    const run = Effect.suspend(() => {
      switch (random.below(5)) {
        case 0:
          return this.timed(entry, cql.execute(said.text, said.values, options))
        case 1:
          return this.timed(entry, cql.execute(literally(said), [], options))
        case 2:
          return this.timed(entry, templated(cql, said).with(options).page())
        default:
          return Effect.flatMap(
            this.ready(entry, said.text),
            (prepared) => this.timed(entry, cql.execute(prepared, said.values, options))
          )
      }
    })
    return this.perform(
      entry,
      Effect.map(run, (result) => {
        const { place } = change
        if (!isConditional(place)) return { applied: result.wasApplied }
        const applied = result.wasApplied
        const [row] = result.rows
        // What was there instead comes with the refusal, under its own name.
        const seen = applied || typeof row?.["v"] !== "number" ? [] : [row["v"]]
        if (place.kind === "chain") {
          if (applied) this.chains.set(place.key, change.id)
          else if (seen.length > 0) this.chains.set(place.key, seen[0]!)
        }
        return { applied, looks: applied ? [] : [{ place, seen }] }
      }),
      random
    )
  }

  private swap(random: Random): Effect.Effect<void> {
    const place = this.place("chain", random)
    return this.write("swap", { place, id: this.ledger.nextId(), from: this.chains.get(place.key) ?? 0 }, random)
  }

  private batch(worker: number, random: Random): Effect.Effect<void> {
    const { ledger } = this
    const size = 2 + random.below(3)
    const several = (make: (at: number) => Change): ReadonlyArray<Change> =>
      Array.from({ length: size }, (_, i) => make(i))
    /** One change for each place: a batch is one moment, in which the order within a place would not be told. */
    const apart = (kind: Kind) => several((at) => ({ place: this.batchPlace(kind, at), id: ledger.nextId() }))
    switch (random.below(7)) {
      case 6: {
        const place = this.conditionalPlace(random)
        const changes = several(() => this.change("rows", random, place))
        return this.batched("conditional batch", changes, { type: "unlogged" }, true, random, true)
      }
      case 0:
        return this.batched("logged batch of appends", apart("list"), { type: "logged" }, true, random)
      case 1:
        return this.batched(
          "logged batch",
          [...apart("rows"), this.change("list", random)],
          { type: "logged" },
          true,
          random
        )
      case 2:
        return this.batched("unlogged batch", apart("list"), { type: "unlogged" }, false, random)
      case 3: {
        const place = this.place("rows", random)
        const changes = several(() => this.change("rows", random, place))
        return this.batched("unlogged batch of one partition", changes, { type: "unlogged" }, true, random)
      }
      case 4:
        return this.batched("counter batch", apart("counter"), { type: "counter" }, false, random)
      default:
        return this.batched("put in a batch", [this.put(worker)], { type: "logged", idempotent: true }, true, random)
    }
  }

  private batched(
    name: string,
    changes: ReadonlyArray<Change>,
    options: Batch.Options,
    isWhole: boolean,
    random: Random,
    isConditional = false
  ): Effect.Effect<void> {
    const { cql } = this
    const entry = this.ledger.begin(name, changes, isWhole)
    const items = Effect.forEach(changes, (change): Effect.Effect<Batch.Item, CqlError.CqlError> => {
      const plain = sayings[change.place.kind](change)
      const said = isConditional ? { ...plain, text: `${plain.text} IF NOT EXISTS` } : plain
      switch (random.below(4)) {
        case 0:
          return Effect.succeed([said.text, said.values])
        case 1:
          return Effect.succeed(literally(said))
        case 2:
          return Effect.succeed(templated(cql, said))
        default:
          return Effect.map(this.ready(entry, said.text), (prepared) => [prepared, said.values])
      }
    })
    const run = Effect.flatMap(items, (items) => this.timed(entry, cql.batch(items, options)))
    return this.perform(entry, Effect.map(run, ({ wasApplied }) => ({ applied: wasApplied })), random)
  }

  /** Many rows in one call, each of which is a request. */
  private many(random: Random): Effect.Effect<void> {
    const { cql, ledger } = this
    const entries: Array<Entry> = []
    const count = 2 + random.below(8)
    const take = (): ReadonlyArray<unknown> => {
      const change = this.change("rows", random)
      entries.push(ledger.begin("row of many", [change]))
      return sayings.rows(change).values
    }
    const rows = {
      *[Symbol.iterator]() {
        for (let i = 0; i < count; i++) yield take()
      }
    }
    const { text } = sayings.rows({ place: { kind: "rows", key: "" }, id: 0 })
    const settle = (index: number, end: End): void => {
      const entry = entries[index]!
      // Told of its result before the whole is over: what came first counts.
      if (entry.end === undefined) ledger.end(entry, end)
    }
    const run = cql.executeMany(text, rows, {
      concurrency: 3,
      failures: "collect",
      onResult: (_, index) => settle(index, { _tag: "Answered", applied: true })
    })
    return Effect.map(Effect.exit(run), (exit) => {
      if (Exit.isSuccess(exit)) {
        for (const { error, index } of exit.value.failures) settle(index, failed(error))
        return
      }
      // The error is that of one row; of others that had no result nothing is told.
      const [error] = exit.cause.reasons.flatMap((reason) => reason._tag === "Fail" ? [reason.error] : [])
      const unknown: End = error === undefined ? endOf(exit.cause) : { _tag: "Interrupted" }
      for (const index of entries.keys()) settle(index, index === error?.progress?.index ? failed(error) : unknown)
    })
  }

  private read(worker: number, random: Random): Effect.Effect<void> {
    const kinds: ReadonlyArray<Kind> = [
      "counter",
      "list",
      "rows",
      "rows",
      "rows",
      "register",
      "register",
      "chain",
      "claim"
    ]
    const kind = kinds[random.below(kinds.length)]!
    const place: Place = kind === "register"
      ? this.register(random.below(worker + 1))
      : kind !== "chain" && kind !== "claim" && random.below(3) === 0
      ? this.batchPlace(kind, random.below(4))
      : this.place(kind, random)
    return this.look(place, random)
  }

  /** Writes that the client puts into batches as it sees fit: each is told its own end. */
  private grouped(random: Random): Effect.Effect<void> {
    const { cql, ledger } = this
    const kind: Kind = random.below(2) === 0 ? "list" : "rows"
    const changes = Array.from({ length: 2 + random.below(8) }, () => this.change(kind, random))
    const entries = changes.map((change) => ledger.begin("one of a group", [change]))
    const items = changes.map((change): Batch.Item => {
      const said = sayings[kind](change)
      return random.below(3) === 0 ? templated(cql, said) : [said.text, said.values]
    })
    return Effect.map(Effect.exit(cql.grouped(items, { maxStatements: 3 })), (exit) => {
      for (const [i, entry] of entries.entries()) {
        const end = Exit.isFailure(exit) ? endOf(exit.cause) : exit.value[i]!
        if (end._tag === "Success") ledger.end(entry, { _tag: "Answered", applied: true })
        else ledger.end(entry, end._tag === "Failure" ? failed(end.failure) : end)
      }
    })
  }

  private look(place: Place, random: Random): Effect.Effect<void> {
    const { kind } = place
    const { name, value } = tables[kind]
    // A table that is altered has more columns from one moment to the next.
    const columns = random.below(2) === 0 ? "*" : `k, ${value}`
    const said: Said = { text: `SELECT ${columns} FROM ${name} WHERE k = ?`, values: [place.key] }
    const options: ExecuteOptions.ExecuteOptions = isConditional(place) ? { consistency: "LOCAL_SERIAL" } : {}
    const entry = this.ledger.begin(`read of ${nameOf(place)}`)
    const rows = Effect.suspend(() =>
      kind === "rows" ? this.pages(entry, said, random) : this.page(entry, said, options, random)
    )
    return this.perform(
      entry,
      Effect.map(rows, (rows) => {
        const { look, strangers } = looked(place, rows)
        entry.strangers = strangers
        if (kind === "chain" && look.seen.length > 0) this.chains.set(place.key, look.seen[0]!)
        return { applied: true, looks: [look] }
      }),
      random
    )
  }

  /** All rows, by pages that are smaller than the partition. */
  private pages(
    entry: Entry,
    said: Said,
    random: Random
  ): Effect.Effect<ReadonlyArray<Record<string, unknown>>, CqlError.CqlError> {
    const { cql } = this
    const pageSize = 1 + random.below(6)
    switch (random.below(3)) {
      case 0:
        return templated(cql, said).with({ pageSize })
      case 1:
        return Stream.runCollect(cql.stream(said.text, said.values, { pageSize }))
      default:
        return Effect.flatMap(
          this.ready(entry, said.text),
          (prepared) => Stream.runCollect(cql.stream(prepared, said.values, { pageSize }))
        )
    }
  }

  private page(
    entry: Entry,
    said: Said,
    options: ExecuteOptions.ExecuteOptions,
    random: Random
  ): Effect.Effect<ReadonlyArray<Record<string, unknown>>, CqlError.CqlError> {
    const { cql } = this
    const result = random.below(3) === 0
      ? this.timed(entry, cql.execute(literally(said), [], options))
      : Effect.flatMap(
        this.ready(entry, said.text),
        (prepared) => this.timed(entry, cql.execute(prepared, said.values, options))
      )
    return Effect.map(result, ({ rows }) => rows)
  }
}

const failed = ({ attempts = [], message, outcome, reason }: CqlError.CqlError): End => ({
  _tag: "Failed",
  reason: reason._tag,
  outcome,
  message,
  wasSent: attempts.some(({ sent }) => sent)
})

const endOf = (cause: Cause.Cause<CqlError.CqlError>): End => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Fail") return failed(reason.error)
    if (reason._tag === "Die") return { _tag: "Died", message: Cause.pretty(cause) }
  }
  return { _tag: "Interrupted" }
}
