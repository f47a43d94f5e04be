/** What is known of a statement while it is compiled, and what its terms become. */
import { type CqlType, format } from "@effect-scylla/protocol/CqlType"
import type { Column } from "@effect-scylla/protocol/Metadata"
import type { RawValue } from "@effect-scylla/protocol/Request"
import { invalid, unsupported } from "../failure.ts"
import type { TypeNode } from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"
import type { Table } from "../schema/schema.ts"
import { resolve } from "../schema/types.ts"
import type { Row } from "../storage/row.ts"
import type { Partition } from "../storage/storage.ts"

/** How well a value serves where one of a type is wanted. */
export type Fit = "exact" | "weak" | "no"

export type Bound = ReadonlyArray<RawValue>

/** A row as expressions see it; `row` is absent where a partition has static columns alone. */
export interface View {
  readonly partition: Partition
  readonly row: Row | undefined
  /** Milliseconds since 1970. */
  readonly now: number
}

/** A value of a statement, which in a selection or a filter may depend on the row. */
export type Compiled = (values: Bound, view?: View) => RawValue

/** How the marker of `c IN ?` is called: `in(c)` or `IN(c)`. */
export type InName = "in" | "IN"

/** Bind variables of a statement, as the parser and the server call them. */
export interface Markers {
  /** Empty for `?`. */
  readonly names: ReadonlyArray<string>
  readonly inName: InName
  readonly product: Product
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Another number each time. */
  readonly unique: () => number
}

/** Collects what is learnt about the bind variables of a statement. */
export class Variables {
  readonly columns: Array<Column | undefined>
  readonly names: ReadonlyArray<string>
  readonly inName: InName
  readonly product: Product
  readonly now: () => number
  readonly unique: () => number
  table: Table | undefined
  /** Where variables belong, as clients are told. */
  private owner: { readonly keyspace: string; readonly table: string }

  constructor({ inName, names, now, product, unique }: Markers, table: Table | undefined) {
    this.owner = { keyspace: table?.keyspace.name ?? "", table: table?.name ?? "" }
    this.names = names
    this.inName = inName
    this.product = product
    this.now = now
    this.unique = unique
    this.columns = names.map(() => undefined)
    this.table = table
  }

  /** What is added next belongs to another table, as in a batch. */
  of(table: Table): void {
    this.table = table
    this.owner = { keyspace: table.keyspace.name, table: table.name }
  }

  /** What is added while this runs belongs to no table, but to `[batch]`, or to nothing. */
  ofNone<A>(name: string, run: () => A): A {
    const { owner } = this
    this.owner = { keyspace: name, table: name }
    const result = run()
    this.owner = owner
    return result
  }

  /** What the product says: ScyllaDB this, Cassandra that. */
  say(scylla: string, cassandra: string): string {
    return this.product === "scylla" ? scylla : cassandra
  }

  /** A type as it is written in a statement. */
  type(node: TypeNode): CqlType {
    const keyspace = this.table?.keyspace
    return resolve(node, { product: this.product, find: (_, name) => keyspace?.types.get(name) }).cql
  }

  /** Notes the type of a variable. A name used twice is one variable (ScyllaDB), and must be of one type. */
  add(index: number, name: string, type: CqlType): void {
    const known = this.columns[index]
    if (known !== undefined && format(known.type) !== format(type)) {
      throw invalid(
        `variable :${known.name} has type ${format(known.type)} which doesn't match ${name}`
      )
    }
    this.columns[index] ??= {
      ...this.owner,
      name: this.names[index] === "" ? name : this.names[index]!,
      type
    }
  }

  /** All of them; every marker was visited while the statement was compiled. */
  get all(): ReadonlyArray<Column> {
    return this.columns.map((column) => {
      if (column === undefined) throw unsupported("a bind variable in this place")
      return column
    })
  }
}
