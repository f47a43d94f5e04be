/** What is recorded of migrations, and who may record: by conditional writes on one partition. */
import * as Identifier from "@effect-scylla/protocol/Identifier"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import * as Effect from "effect/Effect"
import type { CqlClient } from "../CqlClient.ts"
import type { CqlError } from "../CqlError.ts"

/** Of which table. */
interface Where {
  readonly keyspace: string
  readonly table?: string | undefined
}

/** A step as it is recorded. */
interface Step {
  readonly id: number
  readonly name: string
  readonly checksum: string
}

/** A row of the table: the steps, and in each of them who has the lease. */
export interface Recorded {
  readonly id: number | null
  readonly name: string | null
  readonly checksum: string | null
  readonly state: "running" | "done" | null
  readonly started: Date | null
  readonly ended: Date | null
  readonly runner: string | null
  readonly holder: string | null
  readonly fence: bigint | null
}

const SCOPE = "migrations"

/** Everything that is read and written of the table. */
export class Journal {
  private readonly cql: CqlClient
  private readonly table: string
  readonly runner = Uuid.random().toString()
  private fence = 0n
  private isInDoubt = false

  constructor(cql: CqlClient, { keyspace, table = "effect_cql_migrations" }: Where) {
    this.cql = cql.with({
      consistency: "LOCAL_QUORUM",
      serialConsistency: "SERIAL",
      idempotent: false,
      timeout: "15 seconds"
    })
    this.table = `${Identifier.format(keyspace)}.${Identifier.format(table)}`
  }

  get create(): Effect.Effect<unknown, CqlError> {
    return this.cql.execute(
      `CREATE TABLE IF NOT EXISTS ${this.table} (scope text, id int, name text, checksum text, state text, started timestamp, ` +
        "ended timestamp, runner text, holder text static, fence bigint static, PRIMARY KEY (scope, id))",
      [],
      { timeout: "65 seconds" }
    )
  }

  get records(): Effect.Effect<ReadonlyArray<Recorded>, CqlError> {
    return Effect.map(
      this.cql.execute(
        `SELECT id, name, checksum, state, started, ended, runner, holder, fence FROM ${this.table} WHERE scope = ?`,
        [SCOPE],
        { consistency: "SERIAL", pageSize: 5_000 }
      ),
      ({ rows }) => rows as ReadonlyArray<any>
    )
  }

  private applied(text: string, values: ReadonlyArray<unknown>): Effect.Effect<boolean, CqlError> {
    return Effect.map(this.cql.execute(text, values), ({ wasApplied }) => wasApplied)
  }

  /**
   * The same; where nobody knows whether it was applied, what is there says so: a read at SERIAL brings to an end what is under way. It
   * fails as it did where it was not.
   */
  private settled(
    text: string,
    values: ReadonlyArray<unknown>,
    isThere: (records: ReadonlyArray<Recorded>) => boolean
  ): Effect.Effect<boolean, CqlError> {
    return Effect.catchIf(
      this.applied(text, values),
      ({ outcome }) => outcome === "Ambiguous",
      (error) => Effect.flatMap(this.records, (records) => isThere(records) ? Effect.succeed(true) : Effect.fail(error))
    )
  }

  private has = ([first]: ReadonlyArray<Recorded>): boolean => first?.holder === this.runner

  /** Takes the lease, if nobody has it; who has lost it meanwhile cannot record any more. */
  acquire(seconds: number): Effect.Effect<boolean, CqlError> {
    return Effect.gen({ self: this }, function*() {
      const took = yield* this.settled(
        `UPDATE ${this.table} USING TTL ${seconds} SET holder = ? WHERE scope = ? IF holder = null`,
        [this.runner, SCOPE],
        this.has
      )
      // Taken by an attempt before, perhaps, of which nothing was heard.
      if (!took && !this.isInDoubt) return false
      this.isInDoubt = true
      const records = yield* this.records
      this.isInDoubt = this.has(records)
      if (!this.isInDoubt) return false
      const before = records[0]?.fence ?? null
      const fence = this.fence = (before ?? 0n) + 1n
      return yield* this.settled(
        `UPDATE ${this.table} SET fence = ? WHERE scope = ? IF fence = ? AND holder = ?`,
        [fence, SCOPE, before, this.runner],
        (records) => this.has(records) && records[0]?.fence === fence
      )
    })
  }

  /** An attempt to take the lease has failed, and may have taken it. */
  doubt(): void {
    this.isInDoubt = true
  }

  /** Answers whether this runner still has it. */
  renew(seconds: number): Effect.Effect<boolean, CqlError> {
    return this.applied(
      `UPDATE ${this.table} USING TTL ${seconds} SET holder = ? WHERE scope = ? IF holder = ? AND fence = ?`,
      [this.runner, SCOPE, this.runner, this.fence]
    )
  }

  get release(): Effect.Effect<unknown, CqlError> {
    return this.applied(`UPDATE ${this.table} SET holder = null WHERE scope = ? IF holder = ? AND fence = ?`, [
      SCOPE,
      this.runner,
      this.fence
    ])
  }

  begun(step: Step, now: number): Effect.Effect<boolean, CqlError> {
    return this.settled(
      `UPDATE ${this.table} SET name = ?, checksum = ?, state = 'running', started = ?, ended = null, runner = ? ` +
        "WHERE scope = ? AND id = ? IF fence = ? AND holder = ?",
      [
        step.name,
        step.checksum,
        new Date(now),
        this.runner,
        SCOPE,
        step.id,
        this.fence,
        this.runner
      ],
      (records) =>
        records.some(({ fence, id, runner, started, state }) =>
          id === step.id && state === "running" && runner === this.runner && fence === this.fence &&
          started?.getTime() === now
        )
    )
  }

  /** Recorded while no other runner has taken over, though the lease may have run out in the last step. */
  ended(id: number, now: number): Effect.Effect<boolean, CqlError> {
    return this.settled(
      `UPDATE ${this.table} SET state = 'done', ended = ? WHERE scope = ? AND id = ? IF fence = ?`,
      [new Date(now), SCOPE, id, this.fence],
      (records) => records.some((record) => record.id === id && record.state === "done" && record.fence === this.fence)
    )
  }

  /** Answers whether it could be: this runner has the lease. */
  mark(step: Step, state: "done" | "pending", now: number): Effect.Effect<boolean, CqlError> {
    return state === "pending"
      ? this.settled(
        `DELETE FROM ${this.table} WHERE scope = ? AND id = ? IF fence = ?`,
        [SCOPE, step.id, this.fence],
        (records) => records.every(({ id }) => id !== step.id) && records[0]?.fence === this.fence
      )
      : Effect.flatMap(
        this.begun(step, now),
        (isBegun) => isBegun ? this.ended(step.id, now) : Effect.succeed(false)
      )
  }
}
