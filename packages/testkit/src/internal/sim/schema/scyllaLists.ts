/** LIST as ScyllaDB 6 answers it (cql3/statements/role-management-statements.cc, list_permissions_statement.cc): its own columns, order and rights. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { ServerResponse } from "@effect-scylla/protocol/Response"
import { Buffer } from "node:buffer"
import { invalid, unauthorized } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Access } from "./access.ts"
import { ALL_ROLES, PERMISSIONS, withParents } from "./rights.ts"

type Statement = Extract<Ast.Statement, { readonly _tag: "Roles" }>

const TEXT = CqlType.scalar("text")
const BOOLEAN = CqlType.scalar("boolean")

/** Roles are in `system` since they are kept by Raft. */
const rows = (
  table: string,
  columns: ReadonlyArray<readonly [name: string, type: CqlType.CqlType]>,
  cells: ReadonlyArray<ReadonlyArray<string | boolean | Uint8Array>>
): ServerResponse => ({
  _tag: "Rows",
  columns: columns.map(([name, type]) => ({ keyspace: "system", table, name, type })),
  rows: cells.map((row) =>
    row.map((cell) =>
      typeof cell === "string" ? Buffer.from(cell) : typeof cell === "boolean" ? Uint8Array.of(cell ? 1 : 0) : cell
    )
  ),
  globalSpec: true
})

/** Data first, then roles, by their names: `<table ks.t>` stands behind `<keyspace ks>`, and before `<keyspace other>`. */
const placeOf = (resource: string): string => {
  const kind = resource === ALL_ROLES || resource.startsWith("<role ") ? 1 : 0
  const names = resource.startsWith("<all ") ? "" : resource.slice(resource.indexOf(" ") + 1, -1)
  return `${kind} ${names.replaceAll(".", "\0")}`
}

/** What only Cassandra has. */
const isUnknown = (permission: string): boolean => permission === "UNMASK" || permission === "SELECT_MASKED"

const before = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** The answer; throws what ScyllaDB refuses. */
export const listedByScylla = (
  access: Access,
  { permissions, resource, role, what }: Statement,
  user: string,
  exists: (resource: string) => boolean
): ServerResponse => {
  const granted = (name: string): ReadonlySet<string> => {
    access.existing(name, `Role ${name} doesn't exist.`)
    return new Set(access.rolesOf(name))
  }
  const isSuper = access.isSuperuser(user)
  if (what === "LIST USERS") {
    const names = isSuper ? [...access.roles.keys()] : [...granted(user)]
    return rows(
      "users",
      [["name", TEXT], ["super", BOOLEAN]],
      names.sort().filter((name) => access.roles.get(name)?.canLogin).map((name) => [name, access.isSuperuser(name)])
    )
  }
  if (what === "LIST ROLES") {
    const seesAll = access.has(user, { permission: "DESCRIBE", resource: ALL_ROLES })
    if (role !== undefined && !seesAll && !granted(user).has(role)) {
      throw unauthorized(`You are not authorized to view the roles granted to role '${role}'.`)
    }
    const names = role === undefined && seesAll ? [...access.roles.keys()] : [...granted(role ?? user)]
    return rows(
      "roles",
      [["role", TEXT], ["super", BOOLEAN], ["login", BOOLEAN], ["options", CqlType.map(TEXT, TEXT)]],
      names.sort().map((name) => [name, access.isSuperuser(name), access.roles.get(name)!.canLogin, new Uint8Array(4)])
    )
  }
  if (resource !== undefined) {
    // Whoever has logged in may ask for it.
    if (!exists(resource)) throw invalid(`${resource} doesn't exist.`)
  } else if (!isSuper && (role === undefined || !granted(user).has(role))) {
    throw unauthorized(`You are not authorized to view ${role ?? "everyone"}'s permissions`)
  }
  const asked = new Set(permissions!.map((each) => each.toUpperCase()))
  const listed = access.listed(
    role === undefined ? access.roles.keys() : granted(role),
    new Set(PERMISSIONS.filter((each) => !isUnknown(each) && (asked.has("ALL") || asked.has(each)))),
    resource === undefined ? undefined : withParents(resource)
  )
  return rows(
    "permissions",
    [["role", TEXT], ["username", TEXT], ["resource", TEXT], ["permission", TEXT]],
    listed.toSorted((a, b) => before(a[0], b[0]) || before(placeOf(a[1]), placeOf(b[1])) || before(a[2], b[2]))
      .map(([name, on, permission]) => [name, name, on, permission])
  )
}
