/** What a statement needs of who asks, and what permissions there are. */
import { invalid, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"

/** In the order in which they are listed. */
export const PERMISSIONS = [
  "CREATE",
  "ALTER",
  "DROP",
  "SELECT",
  "MODIFY",
  "AUTHORIZE",
  "DESCRIBE",
  "EXECUTE",
  "UNMASK",
  "SELECT_MASKED"
] as const

export type Permission = (typeof PERMISSIONS)[number]

/** A permission on a resource, which is named as messages name it. */
export interface Right {
  readonly permission: Permission
  readonly resource: string
}

const OF_TABLES: ReadonlyArray<Permission> = [
  "ALTER",
  "DROP",
  "SELECT",
  "MODIFY",
  "AUTHORIZE",
  "UNMASK",
  "SELECT_MASKED"
]

export const keyspaceResource = (keyspace: string): string => `<keyspace ${keyspace}>`
export const tableResource = (keyspace: string, table: string): string => `<table ${keyspace}.${table}>`
export const tablesResource = (keyspace: string): string => `<all tables in ${keyspace}>`
export const roleResource = (role: string): string => `<role ${role}>`
export const ALL_KEYSPACES = "<all keyspaces>"
export const ALL_ROLES = "<all roles>"

/** The permissions that a resource can have. */
export const applicable = (resource: string): ReadonlyArray<Permission> => {
  if (resource.startsWith("<table ")) return OF_TABLES
  if (/^<(?:keyspace |all keyspaces|all tables)/.test(resource)) return ["CREATE", ...OF_TABLES]
  if (resource === ALL_ROLES) return ["CREATE", "ALTER", "DROP", "AUTHORIZE", "DESCRIBE"]
  if (resource.startsWith("<role ")) return ["ALTER", "DROP", "AUTHORIZE"]
  throw unsupported(`permissions on ${resource}`)
}

/** The resource and what it is a part of. */
export const withParents = (resource: string): ReadonlyArray<string> => {
  const [, keyspace] = /^<table ([^.]*)\./.exec(resource) ?? /^<all tables in (.*)>$/.exec(resource) ?? []
  if (keyspace !== undefined) {
    return [...new Set([resource, tablesResource(keyspace), keyspaceResource(keyspace), ALL_KEYSPACES])]
  }
  if (resource.startsWith("<keyspace ")) return [resource, ALL_KEYSPACES]
  if (resource.startsWith("<role ")) return [resource, ALL_ROLES]
  return [resource]
}

/** What everybody may read. */
const isOpen = (keyspace: string): boolean => /^system(?:_|$)/.test(keyspace) && keyspace !== "system_auth"

/** The rights that a statement needs; those of statements about roles are looked at where they run. */
export const needsOf = (statement: Ast.Statement, current: string): ReadonlyArray<Right> => {
  const keyspaceOf = ({ keyspace }: Ast.TableName): string => {
    const found = keyspace ?? current
    if (found === "") {
      throw invalid("No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename")
    }
    return found
  }
  const on = (permission: Permission, table: Ast.TableName): Right => ({
    permission,
    resource: tableResource(keyspaceOf(table), table.name)
  })
  switch (statement._tag) {
    case "Select":
      return isOpen(keyspaceOf(statement.table)) ? [] : [on("SELECT", statement.table)]
    case "Insert":
    case "Update":
    case "Delete":
      return [
        on("MODIFY", statement.table),
        ...(statement.condition === undefined ? [] : [on("SELECT", statement.table)])
      ]
    case "Batch":
      return statement.statements.flatMap((each) => needsOf(each, current))
    case "Truncate":
      return [on("MODIFY", statement.table)]
    case "CreateKeyspace":
      return [{ permission: "CREATE", resource: ALL_KEYSPACES }]
    case "AlterKeyspace":
      return [{ permission: "ALTER", resource: keyspaceResource(statement.name) }]
    case "DropKeyspace":
      return [{ permission: "DROP", resource: keyspaceResource(statement.name) }]
    case "CreateTable":
      return [{ permission: "CREATE", resource: tablesResource(keyspaceOf(statement.table)) }]
    case "AlterTable":
    case "CreateIndex":
      return [on("ALTER", statement.table)]
    case "DropTable":
      return [on("DROP", statement.table)]
    case "Use":
    case "Describe":
    case "Roles":
      return []
    default:
      // Only superusers, who need nothing, get further.
      return [{ permission: "CREATE", resource: UNKNOWN }]
  }
}

/** Of a statement whose rights are not known. */
export const UNKNOWN = "<unknown>"
