/** CREATE, ALTER and DROP. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "./ast.ts"
import type { Token } from "./lexer.ts"
import { createFunction, dropFunction } from "./parserFunctions.ts"
import { selectFrom } from "./parserSelect.ts"
import { type Cursor, isReserved } from "./tokens.ts"

const ifNotExists = (c: Cursor): boolean => c.clause("if", "not", "exists")
const ifExists = (c: Cursor): boolean => c.clause("if", "exists")

/** What can be created, altered or dropped in CQL and is not simulated. */
const OTHER = new Set([
  "trigger"
])

const refuseOther = (c: Cursor, verb: string): never => {
  const word = c.token.text
  if (c.token.kind === "ident" && OTHER.has(word)) {
    throw unsupported(`${verb} ${word.toUpperCase()}`)
  }
  return c.product === "scylla" ? c.fail(c.tokens[0]) : c.fail(c.token, c.tokens[0])
}

const definition = (c: Cursor): Ast.DefinedColumn => {
  const name = c.name()
  const type = c.type()
  c.ahead = c.at
  const isStatic = c.accept("static")
  return { name, type, isStatic, isMasked: mask(c) }
}

/** What Cassandra shows instead of the values of a column. */
const mask = (c: Cursor): boolean => {
  if (c.product === "scylla" || !c.accept("masked")) return false
  c.expect("with")
  if (c.accept("default")) return true
  c.qualified()
  c.expectOp("(")
  if (!c.isOp(")")) c.list(() => c.term())
  c.expectOp(")")
  return true
}

const requiredProperties = (c: Cursor): Map<string, Ast.Property> => {
  c.expect("with")
  return c.properties()
}

/** `PRIMARY KEY ((a, b), c)`. */
const primaryKey = (c: Cursor): Pick<CreateTable, "partitionKey" | "clustering"> => {
  c.expect("primary", "key")
  c.expectOp("(")
  const partitionKey: Array<string> = []
  const clustering: Array<string> = []
  if (c.acceptOp("(")) {
    partitionKey.push(...c.list(() => c.name()))
    c.expectOp(")")
  } else partitionKey.push(c.name())
  while (c.acceptOp(",")) clustering.push(c.name())
  c.expectOp(")")
  return { partitionKey, clustering }
}

/** Both products have given up compact tables; ScyllaDB may be configured to have them. */
const NOT_COMPACT = {
  scylla:
    "Support for the deprecated feature of 'CREATE TABLE WITH COMPACT STORAGE' is disabled and will eventually be " +
    "removed in a future version.  To enable, set the 'enable_create_table_with_compact_storage' config option to 'true'.",
  cassandra: "Compact tables are not allowed in Cassandra starting with 4.0 version."
}

/** What stands behind the columns of a table or of a view. */
const tableProperties = (c: Cursor): Pick<CreateTable, "order" | "properties"> => {
  const order: Array<Ast.ColumnOrder> = []
  if (!c.accept("with")) return { order, properties: new Map() }
  const properties = c.properties(() => {
    if (c.accept("clustering", "order", "by")) {
      c.expectOp("(")
      order.push(...c.list(() => c.columnOrder()))
      c.expectOp(")")
      return true
    }
    if (c.accept("compact", "storage")) throw invalid(NOT_COMPACT[c.product])
    return false
  })
  return { order, properties }
}

/** Whether a type is a name alone, behind which little can follow. */
const isOver = ({ kind, text }: Token): boolean => kind === "ident" && typeof CqlType.parse(text) !== "string"

const endsColumn = (c: Cursor): boolean =>
  c.isOp(",") || c.isOp(")") || c.isKeyword("primary") || c.token.kind === "eof" || c.tokens[c.at - 1]?.text === ")" ||
  c.tokens[c.at - 1]?.text === "default"

type CreateTable = Extract<Ast.SchemaStatement, { readonly _tag: "CreateTable" }>

const createTable = (c: Cursor): Ast.SchemaStatement => {
  const exists = ifNotExists(c)
  const table = c.qualified()
  const columns: Array<Ast.DefinedColumn> = []
  const partitionKey: Array<string> = []
  const clustering: Array<string> = []
  let keys = 0
  c.expectOp("(")
  do {
    if (c.isKeyword("primary") && c.isKeyword("key", 1) && (c.isOp("(", 2) || c.product === "cassandra")) {
      keys++
      const key = primaryKey(c)
      partitionKey.push(...key.partitionKey)
      clustering.push(...key.clustering)
      continue
    }
    const { kind, text } = c.token
    // A word that is no name ends the columns, behind the first of them.
    if (columns.length > 0 && kind === "ident" && (isReserved(text) || c.isReservedColumn(text))) c.expectOp(")")
    const type = c.peek(1)
    if (c.product === "cassandra" && type.text === "primary" && c.isKeyword("key", 2)) return c.fail(type)
    const column = definition(c)
    if (isOver(type) && !endsColumn(c)) return c.product === "scylla" ? c.fail(type) : c.fail(c.token, type)
    columns.push(column)
    if (c.clause("primary", "key")) {
      keys++
      partitionKey.push(column.name)
    }
  } while (c.acceptOp(",") && !c.isOp(")"))
  c.expectOp(")")
  if (keys > 1) {
    throw invalid(
      c.product === "scylla"
        ? "Multiple PRIMARY KEYs specified (exactly one required)"
        : `Multiple PRIMARY KEY specified for table '${table.name}' (exactly one required)`
    )
  }
  return {
    _tag: "CreateTable",
    table,
    ifNotExists: exists,
    columns,
    partitionKey,
    clustering,
    ...tableProperties(c)
  }
}

const createView = (c: Cursor): Ast.SchemaStatement => {
  const exists = ifNotExists(c)
  const view = c.qualified()
  c.expect("as", "select")
  const { selectors, table: base, where } = selectFrom(c)
  return {
    _tag: "CreateView",
    view,
    ifNotExists: exists,
    selectors,
    base,
    where,
    ...primaryKey(c),
    ...tableProperties(c)
  }
}

const alterTable = (c: Cursor): Ast.SchemaStatement => {
  // Cassandra takes changes that are there already, or not there.
  const isIf = (...words: ReadonlyArray<string>): boolean => c.product === "cassandra" && c.clause("if", ...words)
  const ifExists = isIf("exists")
  const table = c.qualified()
  const none = {
    ifExists,
    ifColumns: false,
    add: [],
    mask: undefined,
    drop: [],
    dropTimestamp: undefined,
    retype: undefined,
    rename: [],
    properties: new Map<string, Ast.Property>()
  }
  const listOrOne = <A>(item: () => A): Array<A> => {
    if (!c.acceptOp("(")) return [item()]
    const items = c.list(item)
    c.expectOp(")")
    return items
  }
  if (c.accept("add")) {
    const ifColumns = isIf("not", "exists")
    return { _tag: "AlterTable", table, ...none, ifColumns, add: listOrOne(() => definition(c)) }
  }
  if (c.accept("drop")) {
    if (c.product === "cassandra" && c.accept("compact", "storage")) {
      throw invalid("DROP COMPACT STORAGE is disabled. Enable in cassandra.yaml to use.")
    }
    const ifColumns = isIf("exists")
    const drop = listOrOne(() => c.name())
    if (!c.clause("using", "timestamp")) return { _tag: "AlterTable", table, ...none, ifColumns, drop }
    if (c.token.kind !== "int") return c.fail()
    return { _tag: "AlterTable", table, ...none, ifColumns, drop, dropTimestamp: BigInt(c.next().text) }
  }
  if (c.accept("rename")) {
    const ifColumns = isIf("exists")
    const rename: Array<readonly [string, string]> = []
    do {
      const from = c.name()
      c.expect("to")
      rename.push([from, c.name()])
    } while (c.accept("and"))
    return { _tag: "AlterTable", table, ...none, ifColumns, rename }
  }
  if (c.accept("with")) return { _tag: "AlterTable", table, ...none, properties: c.properties() }
  if (c.accept("alter")) {
    const ifColumns = isIf("exists")
    const column = c.name()
    const isMasked = mask(c)
    if (isMasked || (c.product === "cassandra" && c.accept("drop", "masked"))) {
      return { _tag: "AlterTable", table, ...none, ifColumns, mask: { column, isMasked } }
    }
    if (ifColumns) return c.fail()
    c.expect("type")
    return { _tag: "AlterTable", table, ...none, retype: { column, type: c.type() } }
  }
  return c.product === "scylla" ? c.fail() : c.fail(c.token, c.tokens[c.at - 1])
}

const INDEX_PARTS = ["values", "keys", "entries", "full"] as const

const indexTarget = (c: Cursor): Ast.IndexTarget => {
  if (c.product === "scylla" && c.acceptOp("(")) {
    const columns = c.list(() => c.name())
    c.expectOp(")")
    return { _tag: "Key", columns }
  }
  const part = INDEX_PARTS.find((name) => c.isKeyword(name) && c.isOp("(", 1))
  if (part === undefined) return { _tag: "Column", column: c.name(), part }
  c.at += 2
  const column = c.name()
  c.expectOp(")")
  return { _tag: "Column", column, part }
}

const createIndex = (c: Cursor, isCustom: boolean): Ast.SchemaStatement => {
  c.expect("index")
  const exists = ifNotExists(c)
  const name = c.isKeyword("on") ? undefined : c.name()
  c.expect("on")
  const table = c.qualified()
  c.expectOp("(")
  const isNone = c.isOp(")") || (c.product === "cassandra" && c.isOp("("))
  const targets = isNone ? [] : c.list(() => indexTarget(c))
  c.expectOp(")")
  const className = c.accept("using") ? c.string() : undefined
  let options: ReadonlyMap<string, Ast.Property> = new Map()
  if (c.accept("with", "options")) {
    c.expectOp("=")
    const given = c.property()
    if (typeof given === "string") return c.fail()
    options = given
  }
  return { _tag: "CreateIndex", name, ifNotExists: exists, table, targets, isCustom, className, options }
}

const create = (c: Cursor): Ast.SchemaStatement => {
  if (c.accept("keyspace")) {
    const exists = ifNotExists(c)
    const name = c.name()
    return { _tag: "CreateKeyspace", name, ifNotExists: exists, properties: requiredProperties(c) }
  }
  if (c.accept("table") || c.accept("columnfamily")) return createTable(c)
  if (c.accept("type")) {
    const exists = ifNotExists(c)
    const type = c.qualifiedType()
    c.expectOp("(")
    const fields = c.list(() => ({ name: c.name(), type: c.type() }))
    c.expectOp(")")
    return { _tag: "CreateType", type, ifNotExists: exists, fields }
  }
  if (c.isKeyword("index")) return createIndex(c, false)
  if (c.isKeyword("custom") && c.isKeyword("index", 1)) {
    c.at++
    return createIndex(c, true)
  }
  if (c.accept("materialized", "view")) return createView(c)
  return createFunction(c) ?? refuseOther(c, "CREATE")
}

type AlterType = Extract<Ast.SchemaStatement, { readonly _tag: "AlterType" }>

const alterType = (c: Cursor): Ast.SchemaStatement => {
  const isIf = (...words: ReadonlyArray<string>): boolean => c.product === "cassandra" && c.clause("if", ...words)
  const exists = isIf("exists")
  const type = c.qualifiedType()
  const of = (ifFields: boolean, change: AlterType["change"]): Ast.SchemaStatement => ({
    _tag: "AlterType",
    type,
    ifExists: exists,
    ifFields,
    change
  })
  if (c.accept("add")) {
    const ifFields = isIf("not", "exists")
    return of(ifFields, { _tag: "Add", fields: [{ name: c.name(), type: c.type() }] })
  }
  if (c.accept("alter")) {
    const field = c.name()
    c.expect("type")
    return of(false, { _tag: "Retype", field, type: c.type() })
  }
  if (!c.accept("rename")) return c.fail()
  const ifFields = isIf("exists")
  const fields: Array<readonly [string, string]> = []
  do {
    const from = c.name()
    c.expect("to")
    fields.push([from, c.name()])
  } while (c.accept("and"))
  return of(ifFields, { _tag: "Rename", fields })
}

const alter = (c: Cursor): Ast.SchemaStatement => {
  if (c.accept("keyspace")) {
    const exists = c.product === "cassandra" && ifExists(c)
    return { _tag: "AlterKeyspace", name: c.name(), ifExists: exists, properties: requiredProperties(c) }
  }
  if (c.accept("table") || c.accept("columnfamily")) return alterTable(c)
  if (c.accept("type")) return alterType(c)
  if (c.accept("materialized", "view")) {
    const exists = c.product === "cassandra" && ifExists(c)
    return { _tag: "AlterView", ifExists: exists, view: c.qualified(), properties: requiredProperties(c) }
  }
  return refuseOther(c, "ALTER")
}

const drop = (c: Cursor): Ast.SchemaStatement => {
  if (c.accept("keyspace")) {
    const exists = ifExists(c)
    return { _tag: "DropKeyspace", name: c.name(), ifExists: exists }
  }
  if (c.accept("table") || c.accept("columnfamily")) {
    const exists = ifExists(c)
    return { _tag: "DropTable", table: c.qualified(), ifExists: exists }
  }
  if (c.accept("type")) {
    const exists = ifExists(c)
    return { _tag: "DropType", type: c.qualifiedType(), ifExists: exists }
  }
  if (c.accept("index")) {
    const exists = ifExists(c)
    return { _tag: "DropIndex", index: c.qualified(), ifExists: exists }
  }
  if (c.accept("materialized", "view")) {
    const exists = ifExists(c)
    return { _tag: "DropView", view: c.qualified(), ifExists: exists }
  }
  return dropFunction(c) ?? refuseOther(c, "DROP")
}

export const parseSchemaStatement = (c: Cursor): Ast.SchemaStatement => {
  if (c.accept("create")) return create(c)
  if (c.accept("alter")) return alter(c)
  c.expect("drop")
  return drop(c)
}
