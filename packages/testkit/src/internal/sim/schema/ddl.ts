/** CREATE, ALTER and DROP, applied to the schema. */
import type * as Ast from "../parse/ast.ts"
import { alterTableStatement, dropTable } from "./alterTable.ts"
import { createTable } from "./createTable.ts"
import { createIndex, dropIndex } from "./indexes.ts"
import { alterKeyspace, createKeyspace, dropKeyspace } from "./keyspaces.ts"
import type { Change, Environment } from "./schemaChange.ts"
import { userFunction } from "./userFunctions.ts"
import { alterType, createType, dropType } from "./userTypes.ts"
import { alterView, createView, dropView } from "./views.ts"

/** Applies a statement; throws before anything is changed. `current` is the connection's keyspace. */
export const applyStatement = (env: Environment, statement: Ast.SchemaStatement, current: string): Change => {
  switch (statement._tag) {
    case "CreateKeyspace":
      return createKeyspace(env, statement)
    case "AlterKeyspace":
      return alterKeyspace(env, statement)
    case "DropKeyspace":
      return dropKeyspace(env, statement.name, statement.ifExists)
    case "CreateTable":
      return createTable(env, current, statement)
    case "AlterTable":
      return alterTableStatement(env, current, statement)
    case "DropTable":
      return dropTable(env, current, statement.table, statement.ifExists)
    case "AlterType":
      return alterType(env, current, statement)
    case "CreateType":
      return createType(env, current, statement)
    case "CreateIndex":
      return createIndex(env, current, statement)
    case "DropIndex":
      return dropIndex(env, current, statement)
    case "CreateView":
      return createView(env, current, statement)
    case "AlterView":
      return alterView(env, current, statement)
    case "DropView":
      return dropView(env, current, statement)
    case "DropType":
      return dropType(env, current, statement.type, statement.ifExists)
    case "UserFunction":
      return userFunction(env, current, statement)
  }
}
