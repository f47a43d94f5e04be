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
  | Call<Term>
  | Arithmetic<Term>
  /** `(int) 5`. */
  | { readonly _tag: "Hint"; readonly type: TypeNode; readonly term: Term }

export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%"

/** Of Cassandra. */
export interface Arithmetic<Operand> {
  readonly _tag: "Arithmetic"
  readonly op: ArithmeticOperator
  readonly left: Operand
  readonly right: Operand
}

export interface Call<Argument> {
  readonly _tag: "Call"
  readonly keyspace: string | undefined
  readonly name: string
  readonly args: ReadonlyArray<Argument>
}

/** What SELECT asks for of each row, or of all of them. */
export type Expression =
  | { readonly _tag: "Column"; readonly name: string }
  | { readonly _tag: "Term"; readonly term: Term }
  | Call<Expression>
  | Arithmetic<Expression>
  /** `[a, b]`, `(a, 1)`, `{a: b}` of what is not constant alone; `names` of what may be fields of a user-defined type. */
  | {
    readonly _tag: "Literal"
    readonly of: "List" | "Set" | "Map" | "Tuple"
    readonly items: ReadonlyArray<Expression>
    readonly names?: ReadonlyArray<string | undefined>
  }
  /** `(list<int>) [a, b]` */
  | { readonly _tag: "Typed"; readonly type: TypeNode; readonly of: Expression }
  /** `count(*)`, `count(1)`. */
  | { readonly _tag: "CountRows" }
  /** `-v`, of Cassandra. */
  | { readonly _tag: "Negation"; readonly of: Expression }
  | { readonly _tag: "Cast"; readonly of: Expression; readonly type: TypeNode }
  | { readonly _tag: "Field"; readonly of: Expression; readonly name: string }
  | { readonly _tag: "Element"; readonly of: Expression; readonly key: Term }
  | { readonly _tag: "Slice"; readonly of: Expression; readonly from: Term | undefined; readonly to: Term | undefined }
  | { readonly _tag: "CellOf"; readonly what: "writetime" | "ttl" | "maxwritetime"; readonly of: Expression }

export interface TableName {
  readonly keyspace: string | undefined
  readonly name: string
}

export type Operator = "=" | "<" | "<=" | ">" | ">=" | "!=" | "in"

export type Comparison = Exclude<Operator, "in">

export type Relation =
  | { readonly _tag: "Column"; readonly column: string; readonly op: Comparison; readonly term: Term }
  | { readonly _tag: "In"; readonly column: string; readonly terms: ReadonlyArray<Term> | Term }
  | {
    readonly _tag: "Element"
    readonly column: string
    readonly key: Term
    readonly op: Operator
    readonly terms: ReadonlyArray<Term> | Term
  }
  /** `u.field = 1`, of conditions. */
  | {
    readonly _tag: "Field"
    readonly column: string
    readonly field: string
    readonly op: Operator
    readonly terms: ReadonlyArray<Term> | Term
  }
  | { readonly _tag: "Contains"; readonly column: string; readonly isKey: boolean; readonly term: Term }
  | { readonly _tag: "Like"; readonly column: string; readonly term: Term }
  | { readonly _tag: "NotNull"; readonly column: string }
  /** `(a, b) > (1, 2)`. */
  | { readonly _tag: "Multi"; readonly columns: ReadonlyArray<string>; readonly op: Comparison; readonly term: Term }
  | {
    readonly _tag: "MultiIn"
    readonly columns: ReadonlyArray<string>
    readonly terms: ReadonlyArray<Term> | Term
  }
  | {
    readonly _tag: "Token"
    readonly columns: ReadonlyArray<string>
    readonly op: Comparison
    readonly term: Term
  }
  | { readonly _tag: "Other"; readonly what: string }

export interface Selector {
  readonly expression: Expression
  readonly alias: string | undefined
}

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
  | { readonly _tag: "Prepend"; readonly column: string; readonly term: Term }
  | { readonly _tag: "Element"; readonly column: string; readonly key: Term; readonly term: Term }
  | { readonly _tag: "Field"; readonly column: string; readonly field: string; readonly term: Term }

/** What DELETE takes away of a row: a column, an element of it, a field. */
export type Deletion =
  | { readonly _tag: "Column"; readonly column: string }
  | { readonly _tag: "Element"; readonly column: string; readonly key: Term }
  | { readonly _tag: "Field"; readonly column: string; readonly field: string }

export type TypeNode =
  | { readonly _tag: "Name"; readonly keyspace: string | undefined; readonly name: string; readonly quoted: boolean }
  | { readonly _tag: "Generic"; readonly name: string; readonly args: ReadonlyArray<TypeNode> }
  | { readonly _tag: "Vector"; readonly element: TypeNode; readonly dimension: number }
  /** A class of Cassandra, in quotes. */
  | { readonly _tag: "Custom"; readonly className: string }

/** The value of a property: a text, or a map of texts. */
export type Property = string | ReadonlyMap<string, string>

export interface ColumnDefinition {
  readonly name: string
  readonly type: TypeNode
}

export interface DefinedColumn extends ColumnDefinition {
  readonly isStatic: boolean
  /** Whether Cassandra is to show something else of it. */
  readonly isMasked: boolean
}

/** A direction, of ORDER BY or of CLUSTERING ORDER. */
export interface ColumnOrder {
  readonly column: string
  readonly descending: boolean
}

/** What an index is over: a column or a part of it; of a local index the partition key stands first, in brackets. */
export type IndexTarget =
  | {
    readonly _tag: "Column"
    readonly column: string
    readonly part: "values" | "keys" | "entries" | "full" | undefined
  }
  | { readonly _tag: "Key"; readonly columns: ReadonlyArray<string> }

export interface Select {
  readonly _tag: "Select"
  readonly table: TableName
  /** Empty for `*`. */
  readonly selectors: ReadonlyArray<Selector>
  readonly distinct: boolean
  readonly isJson: boolean
  readonly groupBy: ReadonlyArray<string>
  /** `ORDER BY v ANN OF […]`. */
  readonly ann: { readonly column: string; readonly term: Term } | undefined
  readonly where: ReadonlyArray<Relation>
  readonly orderBy: ReadonlyArray<ColumnOrder>
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
  /** Of `INSERT … JSON`, which has neither columns nor values. */
  readonly json: { readonly term: Term; readonly defaultUnset: boolean } | undefined
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
  /** Empty for whole rows. */
  readonly deletions: ReadonlyArray<Deletion>
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

/** A function or an aggregate of users, made or dropped. */
export interface UserFunction {
  readonly _tag: "UserFunction"
  readonly verb: "CREATE" | "DROP"
  readonly kind: "function" | "aggregate"
  readonly name: TableName
  readonly ifExists: boolean
  /** Types of the arguments; absent where they were not said. */
  readonly args: ReadonlyArray<TypeNode> | undefined
  /** Of an aggregate that is made. */
  readonly stateFunction?: string
  readonly stateType?: TypeNode
}

export type SchemaStatement =
  | UserFunction
  | {
    readonly _tag: "CreateKeyspace"
    readonly name: string
    readonly ifNotExists: boolean
    readonly properties: ReadonlyMap<string, Property>
  }
  | {
    readonly _tag: "AlterKeyspace"
    readonly name: string
    readonly ifExists: boolean
    readonly properties: ReadonlyMap<string, Property>
  }
  | { readonly _tag: "DropKeyspace"; readonly name: string; readonly ifExists: boolean }
  | {
    readonly _tag: "CreateTable"
    readonly table: TableName
    readonly ifNotExists: boolean
    readonly columns: ReadonlyArray<DefinedColumn>
    readonly partitionKey: ReadonlyArray<string>
    readonly clustering: ReadonlyArray<string>
    readonly order: ReadonlyArray<ColumnOrder>
    readonly properties: ReadonlyMap<string, Property>
  }
  | {
    readonly _tag: "AlterTable"
    readonly table: TableName
    readonly ifExists: boolean
    /** Columns that are there already, or not there, are left as they are. */
    readonly ifColumns: boolean
    readonly rename: ReadonlyArray<readonly [from: string, to: string]>
    readonly add: ReadonlyArray<DefinedColumn>
    /** What is shown of a column: something else, or its values again. */
    readonly mask: { readonly column: string; readonly isMasked: boolean } | undefined
    readonly drop: ReadonlyArray<string>
    /** Until when what was written to dropped columns is gone, microseconds; `undefined` for now. */
    readonly dropTimestamp: bigint | undefined
    readonly retype: { readonly column: string; readonly type: TypeNode } | undefined
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
    readonly ifExists: boolean
    /** Fields that are there already, or not there, are left as they are. */
    readonly ifFields: boolean
    readonly change:
      | { readonly _tag: "Add"; readonly fields: ReadonlyArray<ColumnDefinition> }
      | { readonly _tag: "Rename"; readonly fields: ReadonlyArray<readonly [from: string, to: string]> }
      | { readonly _tag: "Retype"; readonly field: string; readonly type: TypeNode }
  }
  | { readonly _tag: "DropType"; readonly type: TableName; readonly ifExists: boolean }
  | {
    readonly _tag: "CreateIndex"
    readonly name: string | undefined
    readonly ifNotExists: boolean
    readonly table: TableName
    readonly targets: ReadonlyArray<IndexTarget>
    readonly isCustom: boolean
    readonly className: string | undefined
    readonly options: ReadonlyMap<string, Property>
  }
  | { readonly _tag: "DropIndex"; readonly index: TableName; readonly ifExists: boolean }
  | {
    readonly _tag: "CreateView"
    readonly view: TableName
    readonly ifNotExists: boolean
    /** Empty for `*`. */
    readonly selectors: ReadonlyArray<Selector>
    readonly base: TableName
    readonly where: ReadonlyArray<Relation>
    readonly partitionKey: ReadonlyArray<string>
    readonly clustering: ReadonlyArray<string>
    readonly order: ReadonlyArray<ColumnOrder>
    readonly properties: ReadonlyMap<string, Property>
  }
  | {
    readonly _tag: "AlterView"
    readonly ifExists: boolean
    readonly view: TableName
    readonly properties: ReadonlyMap<string, Property>
  }
  | { readonly _tag: "DropView"; readonly view: TableName; readonly ifExists: boolean }

export type Statement =
  | Select
  | Modification
  | Batch
  | SchemaStatement
  | { readonly _tag: "Truncate"; readonly table: TableName }
  | { readonly _tag: "Use"; readonly keyspace: string }
  | {
    readonly _tag: "Describe"
    readonly what:
      | "keyspaces"
      | "tables"
      | "types"
      | "functions"
      | "aggregates"
      | "cluster"
      | "schema"
      | "keyspace"
      | "table"
      | "view"
      | "index"
      | "type"
      | "function"
      | "aggregate"
      | "any"
    readonly name: TableName | undefined
    /** Of a keyspace: without what is in it. Of the schema: with the keyspaces of the system. */
    readonly isOnly: boolean
    /** With ids, and with columns that were dropped. */
    readonly hasInternals: boolean
  }
  /** Of roles and their rights. */
  | {
    readonly _tag: "Roles"
    readonly what:
      | "CREATE"
      | "ALTER"
      | "DROP"
      | "GRANT"
      | "REVOKE"
      | "LIST ROLES"
      | "LIST USERS"
      | "LIST PERMISSIONS"
      | "ADD IDENTITY"
      | "DROP IDENTITY"
    /** Whom it is about; of LIST all where there is none. */
    readonly role: string | undefined
    readonly ifExists: boolean
    readonly options: RoleOptions
    /** Of GRANT, REVOKE and LIST: permissions, `all` among them; `undefined` where a role is given. */
    readonly permissions: ReadonlyArray<string> | undefined
    readonly resource: string | undefined
    readonly grantee: string | undefined
  }
  /** Of ScyllaDB. */
  | {
    readonly _tag: "ServiceLevel"
    readonly what: "CREATE" | "ALTER" | "DROP" | "LIST" | "ATTACH" | "DETACH" | "EFFECTIVE"
    readonly name: string | undefined
    readonly isIf: boolean
    readonly options: ReadonlyMap<string, Property>
  }

/** What WITH says of a role. */
export interface RoleOptions {
  readonly password?: string
  readonly login?: boolean
  readonly superuser?: boolean
}

export interface Parsed {
  readonly statement: Statement
  /** Name of each bind variable, in order; empty for `?`. A name that is used twice is one variable. */
  readonly markers: ReadonlyArray<string>
}
