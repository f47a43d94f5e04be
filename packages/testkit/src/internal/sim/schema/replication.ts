/** Options of keyspaces: replication, tablets, and what is warned of them. */
import type * as Replication from "@effect-scylla/sharding/Replication"
import { config, invalid, syntax, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { booleanOf } from "./properties.ts"
import type { Environment } from "./schemaChange.ts"

const PACKAGE = "org.apache.cassandra.locator."

/** Replication as `system_schema.keyspaces` shows it: full class names, factors by datacenter. */
export const replicationOf = (
  property: Ast.Property | undefined,
  { datacenters, product }: Environment,
  keyspace: string
): Readonly<Record<string, string>> => {
  const unknown = (option: string, strategy: string): Error =>
    config(
      `Unrecognized strategy option {${option}} passed to ${
        product === "scylla" ? PACKAGE : ""
      }${strategy} for keyspace ${keyspace}`
    )
  const noClass = (): Error => config(`Missing ${product === "scylla" ? "mandatory " : ""}replication strategy class`)
  if (property === undefined) throw noClass()
  if (typeof property === "string") throw syntax("Invalid value for property 'replication'. It should be a map.")
  const given = property.get("class")
  if (given === undefined) throw noClass()
  const name = given.startsWith(PACKAGE) ? given.slice(PACKAGE.length) : given
  const factor = (text: string): string => {
    if (product === "cassandra" && /^\d+\/\d+$/.test(text)) throw unsupported("transient replication")
    if (product === "cassandra" && !/^[+-]?\d+$/.test(text)) throw config(`For input string: "${text}"`)
    if (product === "cassandra" && Number(text) < 0) {
      throw config(`Replication factor must be non-negative, found ${Number(text)}`)
    }
    if (!/^\d{1,4}$/.test(text)) throw config(`Replication factor must be numeric and non-negative, found '${text}'`)
    return String(Number(text))
  }
  const out: Record<string, string> = { class: `${PACKAGE}${name}` }
  switch (name) {
    case "SimpleStrategy": {
      const value = property.get("replication_factor")
      if (value === undefined && product === "scylla") {
        throw config("SimpleStrategy requires a replication_factor strategy option.")
      }
      for (const key of property.keys()) {
        if (key !== "class" && key !== "replication_factor") throw unknown(key, name)
      }
      out["replication_factor"] = factor(value ?? "1")
      return out
    }
    case "NetworkTopologyStrategy": {
      const all = property.get("replication_factor")
      if (all !== undefined) { for (const name of datacenters) out[name] = factor(all) }
      for (const [key, value] of property) {
        if (key === "class" || key === "replication_factor") continue
        if (!datacenters.includes(key)) {
          throw unknown(key, name)
        }
        out[key] = factor(value)
      }
      if (product === "scylla" && Object.keys(out).length === 1) {
        throw config("Configuration for at least one datacenter must be present")
      }
      return out
    }
    case "LocalStrategy":
      throw product === "cassandra"
        ? invalid("Unable to use given strategy class: LocalStrategy is reserved for internal use.")
        : config("LocalStrategy is for system keyspaces")
    default:
      if (product === "scylla" && name === "EverywhereStrategy") return out
      throw config(
        product === "scylla"
          ? `unable to find class '${given}'`
          : `Unable to find replication strategy class '${given.includes(".") ? given : PACKAGE + given}'`
      )
  }
}

/** The smallest replication factor that ScyllaDB does not warn about. */
const WARN_BELOW = 3

const TABLETS_WARNING =
  "Tables in this keyspace will be replicated using Tablets and will not support CDC, LWT and counters features. To use CDC, " +
  "LWT or counters, drop this keyspace and re-create it without tablets by adding AND TABLETS = {'enabled': false} to the " +
  "CREATE KEYSPACE statement."

/** Cassandra warns of more replicas than there are nodes, and of more replicas than there were. */
const tooMany = (
  { nodes }: Environment,
  keyspace: string,
  replication: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>> | undefined
): ReadonlyArray<string> => {
  const out: Array<string> = []
  for (const [key, text] of Object.entries(replication)) {
    if (key === "class") continue
    const isAll = key === "replication_factor"
    const count = nodes.filter((datacenter) => isAll || datacenter === key).length
    if (Number(text) > count) {
      out.push(
        `Your replication factor ${text} for keyspace ${keyspace} is higher than the number of nodes ${count}${
          isAll ? "" : ` for datacenter ${key}`
        }`
      )
    }
  }
  const all = (factors: Readonly<Record<string, string>>): number =>
    Object.entries(factors).reduce((sum, [key, text]) => key === "class" ? sum : sum + Number(text), 0)
  const grows = before !== undefined && all(replication) > all(before)
  if (grows) {
    out.push("When increasing replication factor you need to run a full (-full) repair to distribute the data.")
  }
  return out
}

export const warningsOf = (
  env: Environment,
  keyspace: string,
  property: Ast.Property,
  hasTablets: boolean,
  replication: Readonly<Record<string, string>>,
  before?: Readonly<Record<string, string>>
): ReadonlyArray<string> => {
  if (env.product === "cassandra") return tooMany(env, keyspace, replication, before)
  const out: Array<string> = []
  if (typeof property === "string") return out
  if (hasTablets) out.push(TABLETS_WARNING)
  const strategy = property.get("class") ?? ""
  if (strategy.endsWith("SimpleStrategy")) {
    out.push(
      `${strategy} replication class is not recommended, but was used for keyspace ${keyspace}. ` +
        `You may suppress this warning by delisting ${strategy} from replication_strategy_warn_list configuration option, ` +
        "or make it into an error by listing this replication strategy on replication_strategy_fail_list."
    )
  }
  for (const [key, value] of property) {
    const factor = Number(value)
    if (key !== "class" && factor > 0 && factor < WARN_BELOW) {
      out.push(
        `Using Replication Factor ${key}=${value} lower than the minimum_replication_factor_warn_threshold=${WARN_BELOW} is not recommended.`
      )
    }
  }
  return out
}

/** `{'enabled': false}`, which is what keyspaces of Cassandra are like. */
const isOff = (value: Ast.Property): boolean =>
  typeof value !== "string" && value.size === 1 && value.get("enabled") === "false"

export const checkKeyspaceProperties = (
  properties: ReadonlyMap<string, Ast.Property>,
  { passesNoTablets, product }: Environment
): void => {
  for (const [key, value] of properties) {
    if (key === "replication") continue
    if (key === "tablets" && product === "cassandra" && passesNoTablets && isOff(value)) continue
    if (key === "durable_writes") {
      if (product === "cassandra") booleanOf(key, value)
      continue
    }
    if (key !== "tablets" || product === "cassandra") throw syntax(`Unknown property '${key}'`)
    if (typeof value === "string") throw syntax("Invalid value for property 'tablets'. It should be a map.")
  }
}

/** How many tablets the tables of a keyspace begin with; `undefined` for those that have none. */
export const tabletsOf = (
  env: Environment,
  property: Ast.Property | undefined,
  strategy: Replication.ReplicationStrategy
): number | undefined => {
  const given = property instanceof Map ? property : new Map<string, string>()
  const enabled = given.get("enabled")
  const initial = given.get("initial")
  if (enabled !== undefined && enabled !== "true" && enabled !== "false") {
    throw config(`Tablets enabled value must be true or false; found: ${enabled}`)
  }
  if (initial !== undefined && !/^\d{1,4}$/.test(initial)) {
    throw config(`Initial tablets value should be numeric; found ${initial}`)
  }
  const isAsked = property !== undefined && enabled !== "false"
  if (strategy._tag !== "NetworkTopology") {
    if (isAsked) throw config("SimpleStrategy doesn't support tablet replication")
    return undefined
  }
  return isAsked || (property === undefined && env.tablets === "by default") ? Number(initial ?? 0) : undefined
}
