/** What is done to a node, for how long, and what shall come of it. */

export type On = "simulated" | "cassandra"

export type FaultName = "killed" | "stopped" | "cut" | "slow" | "resharded" | "late"

export interface Fault {
  readonly name: FaultName
  readonly what: string
  /** How long it lasts unless asked otherwise, in seconds: longer where clients wait for their own long deadlines. */
  readonly seconds: number
  /** Why it is not tried there. */
  readonly missing: Readonly<Partial<Record<On, string>>>
}

/** Of the node that the fault is done to; the contact point, and with it the control connection, is node 0. */
export const NODE = 1
export const WORKERS = 32
/** Each worker writes to partitions of its own. */
export const PARTITIONS = 128
export const WARM_UP_SECONDS = 1.5
export const BEFORE_SECONDS = 5
export const AFTER_SECONDS = 7
/** A real node that came back takes longer to be what it was, and its JVM to be warm. */
export const AFTER_SECONDS_CASSANDRA = 10
export const SLOW_MILLIS = 50
export const LATE_MILLIS = 3_000
/** Each so many-th answer is late. */
export const LATE_EVERY = 100
export const SHARDS = 4
export const SHARDS_AFTER = 6

export const faults: ReadonlyArray<Fault> = [
  { name: "killed", what: "SIGKILL: its connections are reset", seconds: 15, missing: {} },
  { name: "stopped", what: "SIGSTOP: its connections stay open", seconds: 15, missing: {} },
  { name: "cut", what: "no byte arrives, and nobody is told", seconds: 15, missing: {} },
  { name: "slow", what: `all it sends is ${SLOW_MILLIS} ms later`, seconds: 8, missing: {} },
  {
    name: "resharded",
    what: `restarted with ${SHARDS_AFTER} shards instead of ${SHARDS}`,
    seconds: 8,
    missing: { cassandra: "Cassandra has no shards" }
  },
  {
    name: "late",
    what: `each ${LATE_EVERY}th answer is ${LATE_MILLIS / 1000} s late`,
    seconds: 8,
    missing: { cassandra: "the proxy delays bytes, and with them all answers behind" }
  }
]

/** What shall hold for a client while a node is away and after its return, in milliseconds. */
export const reach = { p99: 300, max: 2_000, half: 1_000, again: 2_000 }

/** Milliseconds of a clock that all processes of this machine share. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6
