/** CREATE, ALTER and DROP ROLE, GRANT, REVOKE and LIST, of who has logged in. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { Column as WireColumn } from "@effect-scylla/protocol/Metadata"
import type { ServerResponse } from "@effect-scylla/protocol/Response"
import { Buffer } from "node:buffer"
import { invalid, syntax, unauthorized, unsupported } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import { type Access, newRole, type Role } from "./access.ts"
import { ALL_ROLES, applicable, type Permission, PERMISSIONS, roleResource, withParents } from "./rights.ts"
import { listedByScylla } from "./scyllaLists.ts"

type Statement = Extract<Ast.Statement, { readonly _tag: "Roles" }>

/** What came out of it beside the answer. */
export interface Done {
  readonly response: ServerResponse
  readonly warnings: ReadonlyArray<string>
}

const VOID: ServerResponse = { _tag: "Void" }

const done = (response: ServerResponse = VOID, warnings: ReadonlyArray<string> = []): Done => ({ response, warnings })

const columns = (table: string, ...of: ReadonlyArray<readonly [name: string, type: CqlType.CqlType]>) =>
  of.map(([name, type]): WireColumn => ({ keyspace: "system_auth", table, name, type }))

const TEXT = CqlType.scalar("text")
const BOOLEAN = CqlType.scalar("boolean")
const ROLES = columns(
  "roles",
  ["role", TEXT],
  ["super", BOOLEAN],
  ["login", BOOLEAN],
  ["options", CqlType.map(TEXT, TEXT)],
  ["datacenters", TEXT]
)
const USERS = columns("users", ["name", TEXT], ["super", BOOLEAN], ["datacenters", TEXT])
const GRANTS = columns("permissions", ["role", TEXT], ["username", TEXT], ["resource", TEXT], ["permission", TEXT])

const flag = (value: boolean): Uint8Array => Uint8Array.of(value ? 1 : 0)
const NO_OPTIONS = new Uint8Array(4)
const ALL = Buffer.from("ALL")

const rows = (of: ReadonlyArray<WireColumn>, cells: ReadonlyArray<ReadonlyArray<Uint8Array>>): ServerResponse => ({
  _tag: "Rows",
  columns: of,
  rows: cells,
  globalSpec: false
})

/** Runs a statement about roles for the role that asks; `exists` says whether there is such a resource. */
export const runRoles = (
  access: Access,
  statement: Statement,
  user: string,
  keyspace: string,
  exists: (resource: string) => boolean
): Done => {
  const { ifExists, options, role, what } = statement
  const isCassandra = access.product === "cassandra"
  const isSuper = access.isSuperuser(user)
  const say = (scylla: string, cassandra: string): string => isCassandra ? cassandra : scylla
  const unknown = (name: string): string => say(`Role ${name} doesn't exist.`, `${name} doesn't exist`)
  /** Whether the asker may do this to a role. */
  const ensure = (permission: Permission, resource: string): void => {
    if (access.has(user, { permission, resource })) return
    if (!isCassandra) return access.ensure(user, [{ permission, resource }])
    throw unauthorized(`User ${user} does not have sufficient privileges to perform the requested operation`)
  }
  const change = (of: Role): void => {
    if (options.password !== undefined) of.password = options.password
    if (options.login !== undefined) of.canLogin = options.login
    if (options.superuser !== undefined) of.isSuperuser = options.superuser
  }
  const resource = statement.resource?.replace("<table .", `<table ${keyspace}.`)
  const wanted = (on: string): ReadonlyArray<Permission> => {
    const asked = new Set(statement.permissions!.map((each) => each.toUpperCase()))
    const known = applicable(on)
    if (asked.has("ALL")) return known
    const found = known.filter((each) => asked.has(each))
    if (found.length < asked.size) {
      throw isCassandra && found.length === 0 && !on.startsWith("<role") && on !== ALL_ROLES
        ? syntax("Resource type DataResource does not support any of the requested permissions")
        : unsupported(`some of these permissions on ${on}`)
    }
    return found
  }
  switch (what) {
    case "CREATE": {
      ensure("CREATE", ALL_ROLES)
      if (options.superuser !== undefined && !isSuper) {
        throw unauthorized("Only superusers can create a role with superuser status")
      }
      if (access.roles.has(role!)) {
        if (ifExists) return done()
        throw invalid(say(`Role ${role} already exists.`, `${role} already exists`))
      }
      const made = newRole()
      change(made)
      access.roles.set(role!, made)
      if (!isSuper) access.created(user, roleResource(role!))
      return done()
    }
    case "ALTER": {
      if (!access.roles.has(role!) && ifExists) return done()
      const found = access.existing(role!, say(`Role ${role} doesn't exist.`, `Role ${role} doesn't exist`))
      if (options.superuser !== undefined) {
        if (access.rolesOf(user).has(role!)) {
          throw unauthorized("You aren't allowed to alter your own superuser status or that of a role granted to you")
        }
        if (!isSuper) throw unauthorized("Only superusers are allowed to alter superuser status")
      }
      // Of itself a role may change the password.
      if (role !== user || options.login !== undefined) ensure("ALTER", roleResource(role!))
      change(found)
      return done()
    }
    case "DROP": {
      ensure("DROP", roleResource(role!))
      if (role === user) {
        throw invalid(say("Cannot DROP primary role for current login.", "Cannot DROP primary role for current login"))
      }
      if (!access.roles.has(role!) && ifExists) return done()
      access.existing(role!, unknown(role!))
      access.roles.delete(role!)
      for (const other of access.roles.values()) other.memberOf.delete(role!)
      access.dropped((each) => each === roleResource(role!))
      return done()
    }
    case "GRANT":
    case "REVOKE": {
      const grantee = statement.grantee!
      if (role !== undefined) {
        ensure("AUTHORIZE", roleResource(role))
        for (const each of [role, grantee]) access.existing(each, unknown(each))
        const { memberOf } = access.roles.get(grantee)!
        if (what === "REVOKE") {
          if (!memberOf.delete(role)) {
            throw invalid(
              say(
                `${grantee} was not granted role ${role}, so it cannot be revoked.`,
                `${grantee} is not a member of ${role}`
              )
            )
          }
          return done()
        }
        if (access.rolesOf(grantee).has(role)) {
          throw invalid(say(`${grantee} already includes role ${role}.`, `${grantee} is a member of ${role}`))
        }
        if (access.rolesOf(role).has(grantee)) {
          throw invalid(say(`${role} already includes role ${grantee}.`, `${role} is a member of ${grantee}`))
        }
        memberOf.add(role)
        return done()
      }
      const on = resource!
      const permissions = wanted(on)
      const { grants } = access.existing(
        grantee,
        say(`Role ${grantee} doesn't exist.`, `Role ${grantee} doesn't exist`)
      )
      if (!exists(on)) throw invalid(say(`${on} doesn't exist.`, `Resource ${on} doesn't exist`))
      access.ensure(user, [
        { permission: "AUTHORIZE", resource: on },
        ...permissions.map((permission) => ({ permission, resource: on }))
      ])
      const granted = grants.get(on) ?? new Set<Permission>()
      const same = permissions.filter((each) => granted.has(each) === (what === "GRANT"))
      for (const each of permissions) {
        if (what === "GRANT") granted.add(each)
        else granted.delete(each)
      }
      if (granted.size > 0) grants.set(on, granted)
      else grants.delete(on)
      const already = what === "GRANT" ? "already" : "not"
      return done(
        VOID,
        isCassandra && same.length > 0
          ? [`Role '${grantee}' was ${already} granted ${same.join(", ")} on ${on}`]
          : []
      )
    }
    case "LIST ROLES":
    case "LIST USERS": {
      if (!isCassandra) return done(listedByScylla(access, statement, user, exists))
      if (role !== undefined) {
        access.existing(role, `${roleResource(role)} doesn't exist`)
        const mayDescribe = access.has(user, { permission: "DESCRIBE", resource: ALL_ROLES })
        if (!mayDescribe && !access.rolesOf(user).has(role)) {
          throw unauthorized(`You are not authorized to view roles granted to ${role} `)
        }
      }
      const seesAll = access.has(user, { permission: "DESCRIBE", resource: ALL_ROLES })
      const names = role !== undefined || !seesAll ? access.rolesOf(role ?? user) : access.roles.keys()
      const found = [...names].sort().map((name) => [name, access.roles.get(name)!] as const)
      return done(
        what === "LIST ROLES"
          ? rows(
            ROLES,
            found.map(([name, each]) => [
              Buffer.from(name),
              flag(access.isSuperuser(name)),
              flag(each.canLogin),
              NO_OPTIONS,
              ALL
            ])
          )
          : rows(
            USERS,
            found.filter(([, { canLogin }]) => canLogin).map(([name]) => [
              Buffer.from(name),
              flag(access.isSuperuser(name)),
              ALL
            ])
          )
      )
    }
    case "LIST PERMISSIONS": {
      if (!isCassandra) return done(listedByScylla(access, statement, user, exists))
      if (resource !== undefined && !exists(resource)) throw invalid(`${resource} doesn't exist`)
      if (role !== undefined) access.existing(role, `${roleResource(role)} doesn't exist`)
      if (!isSuper && (role === undefined || !access.rolesOf(user).has(role))) {
        throw unauthorized(`You are not authorized to view ${role ?? "everyone"}'s permissions`)
      }
      const asked = new Set(statement.permissions!.map((each) => each.toUpperCase()))
      const listed = access.listed(
        role === undefined ? access.roles.keys() : access.rolesOf(role),
        new Set(asked.has("ALL") ? PERMISSIONS : PERMISSIONS.filter((each) => asked.has(each))),
        resource === undefined ? undefined : withParents(resource)
      )
      if (listed.length === 0) return done()
      return done(
        rows(
          GRANTS,
          listed.map(([name, on, permission]) => [name, name, on, permission].map((text) => Buffer.from(text)))
        )
      )
    }
    default:
      throw unsupported(`${what} of roles`)
  }
}
