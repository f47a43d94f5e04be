/** What a statement is compiled to, and what it is given when it runs. */
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import type { Options } from "@effect-scylla/protocol/Request"
import type { ServerResponse } from "@effect-scylla/protocol/Response"
import type { Replicas } from "../cluster/replicas.ts"
import type { SimNode } from "../cluster/simNode.ts"
import type { Topology } from "../cluster/topology.ts"
import { invalid } from "../failure.ts"
import type { Right } from "../schema/rights.ts"
import type { Table } from "../schema/schema.ts"
import type { Mutation } from "./modify.ts"
import type { Bound } from "./variables.ts"

/** One run of a statement. It notes which partitions were asked for, for the counters. */
export interface Call {
  readonly topology: Topology
  /** The coordinator. */
  readonly node: SimNode
  /** Who asks, where clients log in. */
  readonly user: string | undefined
  readonly values: Bound
  readonly options: Options
  /** Milliseconds since 1970. */
  readonly now: number
  /** A fresh timestamp by the coordinator's clock, microseconds, later than all that it gave before. */
  readonly timestamp: () => bigint
  /** Whether the client understands the error of the rate limit. */
  readonly hasRateLimitError: boolean
  /** Conditional statements answer as those of Cassandra: no more than there is to say. */
  readonly isCassandra: boolean
  /** Whether tables with tablets refuse what needs Paxos. */
  readonly tabletLimits: boolean
  /** Where nodes have data of their own. */
  readonly replicas: Replicas | undefined
  /** What the answer warns of. */
  readonly warnings: Array<string>
  /** Partitions touched: a request of exactly one can be owned by a shard. */
  partitions: number
  table: Table | undefined
  hi: number
  lo: number
}

/** Refuses to run a statement that needs Paxos on a table with tablets, where the cluster cannot. */
export const checkPaxos = (call: Call, { keyspace, name }: Table): void => {
  if (!call.tabletLimits || keyspace.tablets === undefined) return
  throw invalid(
    `Cannot use LightWeight Transactions for table ${keyspace.name}.${name}: LWT is not yet supported with tablets`
  )
}

export interface Plan {
  readonly variables: ReadonlyArray<WireColumn>
  /** Positions of the partition key's columns among the variables; empty when not all of them are variables. */
  readonly partitionKey: ReadonlyArray<number>
  readonly result: ReadonlyArray<WireColumn>
  readonly isConditional: boolean
  /** The tables that it was compiled against: when one of them is altered or dropped, so is the plan. */
  readonly tables: ReadonlyArray<Table>
  /** Set for INSERT, UPDATE and DELETE: what a batch needs of them. */
  readonly mutation: Mutation | undefined
  readonly execute: (call: Call) => ServerResponse
  /** What who asks has to have the right to, where clients log in. */
  readonly needs?: ReadonlyArray<Right>
  /** The statement, where it was compiled as one. */
  readonly text?: string
}

export const VOID: ServerResponse = { _tag: "Void" }

/** A plan without variables, and without anything that is known of its answer. */
export const plain = (execute: (call: Call) => ServerResponse, tables: ReadonlyArray<Table> = []): Plan => ({
  variables: [],
  partitionKey: [],
  result: [],
  isConditional: false,
  tables,
  mutation: undefined,
  execute
})
