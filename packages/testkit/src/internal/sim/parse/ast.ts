/** What the parser makes of a statement. Names are resolved later, against the schema. */

export type ConstantKind = "STRING" | "INTEGER" | "FLOAT" | "BOOLEAN" | "UUID" | "HEX" | "DURATION"

export type Term =
  | { readonly _tag: "Null" }
  | { readonly _tag: "Constant"; readonly kind: ConstantKind; readonly text: string }
  | { readonly _tag: "Marker"; readonly index: number }
  | { readonly _tag: "List"; readonly items: ReadonlyArray<Term> }
  | { readonly _tag: "Set"; readonly items: ReadonlyArray<Term> }
  | { readonly _tag: "Map"; readonly entries: ReadonlyArray<readonly [Term, Term]> }
  | { readonly _tag: "Udt"; readonly fields: ReadonlyArray<readonly [string, Term]> }
  | { readonly _tag: "Tuple"; readonly items: ReadonlyArray<Term> }
  | { readonly _tag: "Call"; readonly name: string }

export interface TableName {
  readonly keyspace: string | undefined
  readonly name: string
}

export type Operator = "=" | "<" | "<=" | ">" | ">=" | "!=" | "in"

export type Relation =
  | { readonly _tag: "Column"; readonly column: string; readonly op: Exclude<Operator, "in">; readonly term: Term }
  | { readonly _tag: "In"; readonly column: string; readonly terms: ReadonlyArray<Term> | Term }
  | {
    readonly _tag: "Token"
    readonly columns: ReadonlyArray<string>
    readonly op: Exclude<Operator, "in">
    readonly term: Term
  }
  | { readonly _tag: "Other"; readonly what: string }

export type Selector =
  | { readonly _tag: "Column"; readonly name: string; readonly alias: string | undefined }
  | { readonly _tag: "Count"; readonly alias: string | undefined }
  | { readonly _tag: "Other"; readonly what: string }

export interface Using {
  readonly ttl?: Term
  readonly timestamp?: Term
  readonly timeout?: Term
}

export type Condition =
  | { readonly _tag: "NotExists" }
  | { readonly _tag: "Exists" }
  | { readonly _tag: "Columns"; readonly relations: ReadonlyArray<Relation> }

export type Assignment =
  | { readonly _tag: "Set"; readonly column: string; readonly term: Term }
  | { readonly _tag: "Add"; readonly column: string; readonly term: Term; readonly negative: boolean }
  | { readonly _tag: "Other"; readonly what: string }

export type TypeNode =
  | { readonly _tag: "Name"; readonly keyspace: string | undefined; readonly name: string; readonly quoted: boolean }
  | { readonly _tag: "Generic"; readonly name: string; readonly args: ReadonlyArray<TypeNode> }

/** The value of a property: a text, or a map of texts. */
export type Property = string | ReadonlyMap<string, string>

export interface ColumnDefinition {
  readonly name: string
  readonly type: TypeNode
}

export interface Select {
  readonly _tag: "Select"
  readonly table: TableName
  /** Empty for `*`. */
  readonly selectors: ReadonlyArray<Selector>
  readonly distinct: boolean
  readonly where: ReadonlyArray<Relation>
  readonly orderBy: ReadonlyArray<{ readonly column: string; readonly descending: boolean }>
  readonly limit: Term | undefined
  readonly perPartitionLimit: Term | undefined
  readonly allowFiltering: boolean
  readonly using: Using
}

export interface Insert {
  readonly _tag: "Insert"
  readonly table: TableName
  readonly columns: ReadonlyArray<string>
  readonly values: ReadonlyArray<Term>
  readonly condition: Condition | undefined
  readonly using: Using
}

export interface Update {
  readonly _tag: "Update"
  readonly table: TableName
  readonly assignments: ReadonlyArray<Assignment>
  readonly where: ReadonlyArray<Relation>
  readonly condition: Condition | undefined
  readonly using: Using
}

export interface Delete {
  readonly _tag: "Delete"
  readonly table: TableName
  readonly columns: ReadonlyArray<string>
  readonly where: ReadonlyArray<Relation>
  readonly condition: Condition | undefined
  readonly using: Using
}

export type Modification = Insert | Update | Delete

export type BatchKind = "logged" | "unlogged" | "counter"

export interface Batch {
  readonly _tag: "Batch"
  readonly kind: BatchKind
  readonly using: Using
  readonly statements: ReadonlyArray<Modification>
}

export type SchemaStatement =
  | {
    readonly _tag: "CreateKeyspace"
    readonly name: string
    readonly ifNotExists: boolean
    readonly properties: ReadonlyMap<string, Property>
  }
  | { readonly _tag: "AlterKeyspace"; readonly name: string; readonly properties: ReadonlyMap<string, Property> }
  | { readonly _tag: "DropKeyspace"; readonly name: string; readonly ifExists: boolean }
  | {
    readonly _tag: "CreateTable"
    readonly table: TableName
    readonly ifNotExists: boolean
    readonly columns: ReadonlyArray<ColumnDefinition & { readonly isStatic: boolean }>
    readonly partitionKey: ReadonlyArray<string>
    readonly clustering: ReadonlyArray<string>
    readonly order: ReadonlyArray<{ readonly column: string; readonly descending: boolean }>
    readonly properties: ReadonlyMap<string, Property>
  }
  | {
    readonly _tag: "AlterTable"
    readonly table: TableName
    readonly add: ReadonlyArray<ColumnDefinition & { readonly isStatic: boolean }>
    readonly drop: ReadonlyArray<string>
    readonly properties: ReadonlyMap<string, Property>
  }
  | { readonly _tag: "DropTable"; readonly table: TableName; readonly ifExists: boolean }
  | {
    readonly _tag: "CreateType"
    readonly type: TableName
    readonly ifNotExists: boolean
    readonly fields: ReadonlyArray<ColumnDefinition>
  }
  | {
    readonly _tag: "AlterType"
    readonly type: TableName
    readonly change:
      | { readonly _tag: "Add"; readonly fields: ReadonlyArray<ColumnDefinition> }
      | { readonly _tag: "Rename"; readonly fields: ReadonlyArray<readonly [from: string, to: string]> }
  }
  | { readonly _tag: "DropType"; readonly type: TableName; readonly ifExists: boolean }

export type Statement =
  | Select
  | Modification
  | Batch
  | SchemaStatement
  | { readonly _tag: "Truncate"; readonly table: TableName }
  | { readonly _tag: "Use"; readonly keyspace: string }

export interface Parsed {
  readonly statement: Statement
  /** Name of each bind variable, in order; empty for `?`. A name that is used twice is one variable. */
  readonly markers: ReadonlyArray<string>
}
