/** One call on `cassandra-driver` and on ours, and what of the outcomes has to be equal. */
import ours from "@effect-scylla/compat"
import theirs from "cassandra-driver"
import { createRequire } from "node:module"

export type Library = typeof theirs

/** A place to run against. */
export interface Server {
  readonly contactPoints: ReadonlyArray<string>
  readonly datacenter: string
}

/** What a case has. */
export interface Tools {
  readonly lib: Library
  readonly types: any
  /** Connected, with no options but where it connects, in `ks`. */
  readonly client: any
  /** A keyspace of its own for each library, with the same tables. */
  readonly ks: string
  /** Options by which a client connects. */
  readonly options: any
  /** Another client, shut down after the case. Not connected. */
  readonly make: (options?: any) => any
}

/** Something to be done with either. */
export interface Case {
  readonly name: string
  readonly run: (tools: Tools) => Promise<unknown>
}

export const libraries = {
  theirs,
  ours: ours as unknown as Library,
  required: createRequire(import.meta.url)("@effect-scylla/compat") as Library
}

export type Side = "theirs" | "ours"

/** The keyspaces. */
export const KEYSPACES: Readonly<Record<Side, string>> = { theirs: "compat_theirs", ours: "compat_ours" }

export const TABLES: ReadonlyArray<string> = [
  "CREATE TYPE address (street text, zip int, tags frozen<set<text>>)",
  "CREATE TABLE kv (k text PRIMARY KEY, v text, n int)",
  "CREATE TABLE pages (p int, c int, v text, PRIMARY KEY (p, c))",
  "CREATE TABLE counts (k text PRIMARY KEY, c counter)",
  "CREATE TABLE parts (a int, b text, c int, v text, PRIMARY KEY ((a, b), c))",
  'CREATE TABLE "Mixed" ("Key" int PRIMARY KEY, "Val Ue" text)'
]

/** Options for a client of either. */
export const optionsFor = ({ contactPoints, datacenter }: Server): any => ({
  contactPoints: [contactPoints[0]],
  localDataCenter: datacenter,
  protocolOptions: { port: Number(contactPoints[0]!.split(":")[1]) }
})

/** Names that differ by library become one. */
const text = (value: string): string => value.replaceAll(/compat_(theirs|ours)/g, "compat_ks")

/** Codes whose messages the driver words, with the numbers that came. */
const WORDED: ReadonlySet<number> = new Set([0x1000, 0x1100, 0x1200, 0x1300, 0x1500])

const ofError = (error: any, seen: Set<unknown>): unknown => ({
  error: error.constructor.name,
  code: error.code,
  ...(error.constructor.name === "ResponseError" && !WORDED.has(error.code) || error.constructor.name === "TypeError"
    ? { message: text(error.message) }
    : {}),
  ...(error.innerErrors ? { innerErrors: normal(error.innerErrors, seen) } : {}),
  ...Object.fromEntries(
    [
      "consistencies",
      "required",
      "alive",
      "received",
      "blockFor",
      "isDataPresent",
      "writeType",
      "failures",
      "keyspace",
      "table",
      "query"
    ]
      .filter((name) => error[name] !== undefined).map((name) => [name, normal(error[name], seen)])
  )
})

/** What may not differ, without what has to: ids of traces, states of pages, functions. */
export const normal = (value: any, seen: Set<unknown> = new Set()): unknown => {
  if (typeof value === "string") return text(value)
  if (typeof value === "function") return "a function"
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Error) return ofError(value, seen)
  if (seen.has(value)) return "seen above"
  if (Buffer.isBuffer(value) || value instanceof Date || ArrayBuffer.isView(value)) return value
  seen.add(value)
  try {
    if (value instanceof Map) {
      return {
        map: [...value].map(([key, each]) => [normal(key, seen), normal(each, seen)]),
        class: value.constructor.name
      }
    }
    if (value instanceof Set) {
      return { set: [...value].map((each) => normal(each, seen)), class: value.constructor.name }
    }
    const { name } = value.constructor ?? { name: "null" }
    if (Array.isArray(value)) return value.map((each) => normal(each, seen))
    if (name === "Host") {
      const { address, cassandraVersion, datacenter, hostId, rack, tokens } = value
      return {
        class: name,
        address,
        cassandraVersion,
        datacenter,
        hostId: String(hostId),
        rack,
        tokens: tokens?.length,
        isUp: value.isUp()
      }
    }
    if (name === "ResultSet") {
      const { info } = value
      return {
        class: name,
        info: {
          ...normal(info, seen) as object,
          traceId: info.traceId === undefined ? undefined : info.traceId?.constructor.name
        },
        rows: normal(value.rows, seen),
        rowLength: value.rowLength,
        columns: normal(value.columns, seen),
        hasState: value.pageState !== null,
        pageState: typeof value.pageState,
        rawPageState: value.rawPageState?.constructor.name,
        nextPage: typeof value.nextPage,
        nextPageAsync: typeof value.nextPageAsync,
        isPaged: value.isPaged(),
        wasApplied: value.wasApplied(),
        keys: Object.keys(value)
      }
    }
    // Values are compared as they are, by their class and all that is in them.
    if (
      ["Uuid", "TimeUuid", "Long", "Integer", "BigDecimal", "InetAddress", "LocalDate", "LocalTime", "Duration"]
        .includes(name)
    ) {
      return value
    }
    const own = Object.fromEntries(Object.keys(value).map((key) => [text(key), normal(value[key], seen)]))
    return name === "Object" ? own : { class: name, ...own }
  } finally {
    seen.delete(value)
  }
}

/** What becomes of a case: what it answers, or how it fails. */
export const outcomeOf = async (run: () => Promise<unknown>): Promise<unknown> => {
  try {
    return { answer: normal(await run()) }
  } catch (error) {
    return normal(error instanceof Error ? error : new Error(String(error)))
  }
}

/** By the callback that some method takes. */
export const called = <A = any>(call: (callback: (error: any, value?: A) => void) => unknown): Promise<A> =>
  new Promise((resolve, reject) => {
    call((error, value) => error ? reject(error) : resolve(value as A))
  })
