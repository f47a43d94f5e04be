import type { Keyspace, Table } from "./model.ts"

const SUFFIX = "_scylla_cdc_log"
const PARTITIONER = "com.scylladb.dht.CDCPartitioner"

/** Whether ScyllaDB made it, for the changes of another table (CDC). */
export const isLog = ({ tables }: Keyspace, { name, scylla }: Table): boolean => {
  if (!name.endsWith(SUFFIX)) return false
  const base = tables.get(name.slice(0, -SUFFIX.length))
  const cdc = base?.options["cdc"]
  return base !== undefined &&
    (scylla?.["partitioner"] === PARTITIONER || (typeof cdc === "object" && cdc["enabled"] === "true"))
}
