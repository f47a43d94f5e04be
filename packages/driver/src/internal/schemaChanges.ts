import type { CqlType } from "@effect-scylla/protocol/CqlType"
import type { SchemaChange } from "@effect-scylla/protocol/Response"
import type { Prepared } from "../Prepared.ts"
import { isWithin } from "./withinType.ts"

/** Changes that are remembered; a statement that was last used before them all is taken as touched. */
const KEPT = 256

/**
 * What has changed of the schema, as far as the types of bound variables go. Counted, so that a statement in use compares one
 * number; what the number stands for is looked at once for each statement.
 */
export class SchemaChanges {
  /** How many there were. */
  epoch = 0
  private recent: Array<SchemaChange | undefined> = []

  /** `undefined`: nobody knows what, because nobody was told. */
  add(change: SchemaChange | undefined): void {
    this.epoch++
    this.recent.push(change)
    if (this.recent.length > KEPT) this.recent.shift()
  }

  /**
   * Looks at what has changed since the statement was looked at last: where it may have touched the types of variables, no node is
   * known to have these types any more.
   */
  check(prepared: Prepared): void {
    const missed = this.epoch - prepared.epoch
    prepared.epoch = this.epoch
    if (missed === 0 || prepared.variables.length === 0) return
    const { recent } = this
    if (missed > recent.length || recent.slice(-missed).some((change) => touches(change, prepared))) {
      prepared.confirmed = new Set()
    }
  }
}

const touches = (change: SchemaChange | undefined, { variables }: Prepared): boolean => {
  if (change === undefined) return true
  const { keyspace, name, target } = change
  switch (target) {
    case "TABLE":
      return variables.some((variable) => variable.keyspace === keyspace && variable.table === name)
    case "TYPE":
      return variables.some(({ type }) => uses(type, (udt) => udt.keyspace === keyspace && udt.name === name))
    default:
      // A keyspace, or a function: its arguments may be variables.
      return variables.some((variable) =>
        variable.keyspace === keyspace || uses(variable.type, (udt) => udt.keyspace === keyspace)
      )
  }
}

/** Whether a user-defined type is there, however deep. */
const uses = (type: CqlType, isIt: (udt: Extract<CqlType, { _tag: "Udt" }>) => boolean): boolean =>
  isWithin(type, (within) => within._tag === "Udt" && isIt(within))
