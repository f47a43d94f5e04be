/** Changes that servers tell, until they are looked at: bounded, however many there are. */
import type { SchemaChange } from "@effect-scylla/protocol/Response"

/** More tables of one keyspace are read with all of it. */
const TABLES = 16
/** More keyspaces are read with all that is known. */
const KEYSPACES = 64

/** What is to be read again of a keyspace. */
export interface Doubt {
  /** All of it: it is new, or gone, or there is much. */
  whole: boolean
  /** It was dropped, whatever came after. */
  gone: boolean
  own: boolean
  types: boolean
  functions: boolean
  readonly tables: Set<string>
  /** What servers said of tables and of the keyspace, last: whether it is there, by name; "" is the keyspace. */
  readonly said: Map<string, boolean>
}

/** What is to be read again. */
export class Heard {
  /** All that is known. */
  all = false
  /** How often it was read and looked as if nothing had changed. */
  looks = 0
  readonly keyspaces = new Map<string, Doubt>()

  get isEmpty(): boolean {
    return !this.all && this.keyspaces.size === 0
  }

  add({ change, keyspace, name = "", target }: SchemaChange): void {
    const doubt = this.of(keyspace)
    if (doubt === undefined) return
    if (target === "KEYSPACE") {
      doubt.own = true
      doubt.whole ||= change !== "UPDATED"
      doubt.gone ||= change === "DROPPED"
      doubt.said.set("", change !== "DROPPED")
    } else if (target === "TABLE") {
      doubt.tables.add(name)
      doubt.said.set(name, change !== "DROPPED")
    } else if (target === "TYPE") doubt.types = true
    else if (target === "FUNCTION" || target === "AGGREGATE") doubt.functions = true
    // What this client does not know is in it somewhere.
    else doubt.whole = true
    this.bound(doubt)
  }

  /** Those of another one that could not be read. */
  addAll(other: Heard): void {
    if (this.isEmpty) this.looks = other.looks
    if (other.all) this.everything()
    for (const [name, was] of other.keyspaces) {
      const doubt = this.of(name)
      if (doubt === undefined) return
      doubt.whole ||= was.whole
      doubt.gone ||= was.gone
      doubt.own ||= was.own
      doubt.types ||= was.types
      doubt.functions ||= was.functions
      for (const table of was.tables) doubt.tables.add(table)
      // What was said since is newer.
      for (const [table, isThere] of was.said) if (!doubt.said.has(table)) doubt.said.set(table, isThere)
      this.bound(doubt)
    }
  }

  /** All of one keyspace. */
  whole(keyspace: string): void {
    const doubt = this.of(keyspace)
    if (doubt !== undefined) doubt.whole = true
  }

  everything(): void {
    this.all = true
    this.keyspaces.clear()
  }

  /** What there is, which is not here any more. */
  take(): Heard {
    const taken = new Heard()
    taken.all = this.all
    taken.looks = this.looks
    for (const [name, doubt] of this.keyspaces) taken.keyspaces.set(name, doubt)
    this.all = false
    this.looks = 0
    this.keyspaces.clear()
    return taken
  }

  private of(keyspace: string): Doubt | undefined {
    if (this.all) return undefined
    const known = this.keyspaces.get(keyspace)
    if (known !== undefined) return known
    if (this.keyspaces.size >= KEYSPACES) {
      this.everything()
      return undefined
    }
    const made: Doubt = {
      whole: false,
      gone: false,
      own: false,
      types: false,
      functions: false,
      tables: new Set(),
      said: new Map()
    }
    this.keyspaces.set(keyspace, made)
    return made
  }

  private bound(doubt: Doubt): void {
    if (doubt.tables.size <= TABLES) return
    doubt.whole = true
    doubt.tables.clear()
    const isThere = doubt.said.get("")
    doubt.said.clear()
    if (isThere !== undefined) doubt.said.set("", isThere)
  }
}
