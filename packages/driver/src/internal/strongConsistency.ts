import { InvalidStatement } from "../CqlError.ts"
import type { Resolved } from "../ExecuteOptions.ts"
import type { Core } from "./core.ts"
import { withoutTexts } from "./lexis.ts"
import type { Subject } from "./subject.ts"

const WRITES: ReadonlySet<string> = new Set(["QUORUM", "LOCAL_QUORUM"])
const READS: ReadonlySet<string> = new Set([...WRITES, "ONE", "LOCAL_ONE"])
/** Outside of strings and comments. */
const USING_TIMESTAMP = /\busing\s+(?:ttl\s+\S+\s+and\s+)?timestamp\b/i

/**
 * What a server refuses of a strongly consistent keyspace (scylladb `docs/dev/strong_consistency.md`), before it is sent: writes at other
 * levels than QUORUM and LOCAL_QUORUM, reads at others than those and ONE, LOCAL_ONE, times of the caller's, batches over several tables
 * or partitions and counters in them. Throws `EncodeError`.
 */
export const refusal = (core: Core, subject: Subject, { request }: Resolved): InvalidStatement | undefined => {
  const { consistency, timestamp } = request
  const { kind } = subject
  const of = "of a strongly consistent keyspace (consistency = 'global')"
  const levels = kind.type === "read" ? READS : WRITES
  if (!levels.has(consistency)) {
    const what = kind.type === "read" ? "reads" : "writes"
    return new InvalidStatement({ message: `${what} ${of} are at ${[...levels].join(", ")}, not at ${consistency}` })
  }
  const texts = subject.form === "batch" ? subject.entries.map(({ statement }) => statement.text) : [subject.text]
  if (timestamp !== undefined || texts.some((text) => USING_TIMESTAMP.test(withoutTexts(text)))) {
    return new InvalidStatement({ message: `writes ${of} get their time from the servers: leave the timestamp out` })
  }
  if (subject.form !== "batch") return undefined
  if (subject.kind.isCounter === true) return new InvalidStatement({ message: `batches ${of} have no counters` })
  const tables = new Set([...subject.prepared].map(({ keyspace, table }) => `${keyspace}.${table}`))
  const one = `batches ${of} are of one table and one partition`
  if (tables.size > 1) return new InvalidStatement({ message: `${one}, not of ${[...tables].join(", ")}` })
  const partitions = new Set<unknown>()
  for (const { statement, values } of subject.entries) {
    if (statement.form === "prepared") partitions.add(core.placesOf(statement, values).token)
  }
  return partitions.size > 1
    ? new InvalidStatement({ message: `${one}, not of ${partitions.size} partitions` })
    : undefined
}
