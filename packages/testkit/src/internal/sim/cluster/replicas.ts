/**
 * Nodes that keep data of their own: a write goes to the replicas that answer, a read asks as many as its level says, and what some of
 * them missed is told to them by reads that notice, or by hints when they are back.
 */
import type { Consistency } from "@effect-scylla/protocol/Consistency"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { Buffer } from "node:buffer"
import type { Table } from "../schema/schema.ts"
import type { Key, Partition, TableData } from "../storage/storage.ts"
import type { SimNode } from "./simNode.ts"
import type { Requirement, Topology } from "./topology.ts"

/** A write that not all replicas have. */
interface Missed {
  readonly apply: (data: TableData) => void
  readonly by: Set<SimNode>
}

/** Where a request is asked, and at which level. */
export interface Asking {
  readonly coordinator: SimNode
  readonly level: Consistency
  readonly isCassandra: boolean
}

const name = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")

/** Whether other nodes get answers of it. */
const answers = ({ isDeaf, isRunning }: SimNode): boolean => isRunning && !isDeaf

const isOf = ({ datacenter }: Requirement) => (node: SimNode): boolean =>
  datacenter === undefined || node.datacenter === datacenter

const timedOut = (
  { keyspace, name }: Table,
  { isCassandra, level }: Asking,
  received: number,
  required: number
): string =>
  isCassandra
    ? `Operation timed out - received only ${received} responses.`
    : `Operation timed out for ${keyspace.name}.${name} - received only ${received} responses from ${required} CL=${level}.`

export class Replicas {
  private readonly topology: Topology
  /** By the partition, oldest first. */
  private readonly missed = new Map<TableData, Map<string, Array<Missed>>>()

  constructor(topology: Topology) {
    this.topology = topology
  }

  /** Writes to the replicas that answer; what is returned is to be thrown when all of the statement is written. */
  write(
    table: Table,
    key: Key,
    token: { readonly hi: number; readonly lo: number },
    asking: Asking,
    writeType: string,
    apply: (data: TableData) => void
  ): ServerError.ServerError | undefined {
    const replicas = this.topology.replicas(table, token.hi, token.lo)
    const by = new Set<SimNode>()
    for (const node of replicas) {
      if (answers(node)) apply(table.data.copyOf(node.index))
      else by.add(node)
    }
    if (by.size > 0) this.miss(table.data, key, { apply, by })
    for (const requirement of this.topology.requirements(table.keyspace, asking.level, asking.coordinator)) {
      const { required } = requirement
      const received = replicas.filter((node) => answers(node) && isOf(requirement)(node)).length
      if (received >= required) continue
      return new ServerError.WriteTimeout({
        code: 0x1100,
        message: timedOut(table, asking, received, required),
        consistency: asking.level,
        received,
        required,
        writeType
      })
    }
    return undefined
  }

  /** What as many replicas as the level wants say of a partition, after they have agreed. */
  read(
    table: Table,
    key: Uint8Array,
    token: { readonly hi: number; readonly lo: number },
    asking: Asking
  ): Partition | undefined {
    const chosen = this.choose(table, this.topology.replicas(table, token.hi, token.lo), asking)
    this.repair(table.data, key, chosen)
    const [first] = chosen
    return first === undefined ? undefined : table.data.copyOf(first.index).get(key)
  }

  /** The node is back: it is told what it missed. */
  deliver(node: SimNode): void {
    if (!answers(node)) return
    for (const data of this.missed.keys()) for (const key of this.missed.get(data)!.keys()) this.tell(data, key, [node])
  }

  /** Nothing of what was written to the table is to be told to anybody. */
  forget(data: TableData): void {
    this.missed.delete(data)
  }

  private miss(data: TableData, key: Key, missed: Missed): void {
    let ofTable = this.missed.get(data)
    if (ofTable === undefined) this.missed.set(data, ofTable = new Map())
    const known = ofTable.get(name(key.bytes))
    if (known === undefined) ofTable.set(name(key.bytes), [missed])
    else known.push(missed)
  }

  /** The coordinator first, where it is one of them, then the others in the order of the ring. */
  private choose(table: Table, replicas: ReadonlyArray<SimNode>, asking: Asking): ReadonlyArray<SimNode> {
    const { coordinator, level } = asking
    const near = replicas.filter((node) => node === coordinator)
    const ordered = [...near, ...replicas.filter((node) => node !== coordinator)].filter(answers)
    const chosen = new Set<SimNode>()
    for (const requirement of this.topology.requirements(table.keyspace, level, coordinator)) {
      const { required } = requirement
      const fitting = ordered.filter(isOf(requirement))
      if (fitting.length < required) {
        const received = fitting.length
        throw new ServerError.ReadTimeout({
          code: 0x1200,
          message: timedOut(table, asking, received, required),
          consistency: level,
          received,
          required,
          dataPresent: received > 0
        })
      }
      for (const node of fitting.slice(0, required)) chosen.add(node)
    }
    return [...chosen]
  }

  /** Read repair: what one of them has, all of them have from now on. */
  private repair(data: TableData, key: Uint8Array, chosen: ReadonlyArray<SimNode>): void {
    const missed = this.missed.get(data)?.get(name(key))
    if (missed === undefined) return
    const known = missed.filter(({ by }) => chosen.some((node) => !by.has(node)))
    this.tell(data, name(key), chosen, new Set(known))
  }

  private tell(data: TableData, key: string, nodes: ReadonlyArray<SimNode>, only?: ReadonlySet<Missed>): void {
    const ofTable = this.missed.get(data)!
    const left = ofTable.get(key)!.filter((each) => {
      if (only !== undefined && !only.has(each)) return true
      for (const node of nodes) if (each.by.delete(node)) each.apply(data.copyOf(node.index))
      return each.by.size > 0
    })
    if (left.length > 0) ofTable.set(key, left)
    else ofTable.delete(key)
    if (ofTable.size === 0) this.missed.delete(data)
  }
}
