/** CREATE, ALTER, DROP ROLE and USER, GRANT, REVOKE, LIST, and the service levels of ScyllaDB. */
import type * as Ast from "./ast.ts"
import type { Cursor } from "./tokens.ts"

type Roles = Extract<Ast.Statement, { readonly _tag: "Roles" }>

const PERMISSIONS = ["create", "alter", "drop", "select", "modify", "authorize", "describe", "execute"] as const
const MASKS = ["unmask", "select_masked"] as const

/** A role, by a name of any kind. */
const roleName = (c: Cursor): string =>
  c.token.kind === "string" ? c.string() : c.token.kind === "quoted" ? c.name() : c.name(true)

/** A text, or what stands in its place. */
const passwordOf = (c: Cursor): string => {
  c.acceptOp("=")
  return c.string()
}

const flag = (c: Cursor): boolean => {
  c.expectOp("=")
  if (c.accept("true")) return true
  if (c.accept("false")) return false
  return c.product === "cassandra" ? c.failExpecting("BOOLEAN", () => false) : c.fail()
}

const roleOption = (c: Cursor, out: { -readonly [K in keyof Ast.RoleOptions]: Ast.RoleOptions[K] }): void => {
  const first = c.token
  const isHashed = c.accept(
    ...(c.product === "scylla" && c.isKeyword("salted") ? ["salted", "hash"] : ["hashed", "password"])
  )
  if (isHashed) {
    c.expectOp("=")
    out.password = c.string()
  } else if (c.accept("password")) {
    c.expectOp("=")
    out.password = c.string()
  } else if (c.accept("login")) out.login = flag(c)
  else if (c.accept("superuser")) out.superuser = flag(c)
  else if (c.accept("options")) {
    c.expectOp("=")
    c.property()
  } else if (c.product === "cassandra" && c.accept("access", "to")) {
    if (!c.accept("all", "datacenters")) {
      c.expect("datacenters")
      c.property()
    }
  } else if (c.product === "cassandra" && c.accept("access", "from")) {
    if (!c.accept("all", "cidrs")) {
      c.expect("cidrs")
      c.property()
    }
  } else c.fail(first)
}

const roleOptions = (c: Cursor): Ast.RoleOptions => {
  const out: { -readonly [K in keyof Ast.RoleOptions]: Ast.RoleOptions[K] } = {}
  if (!c.accept("with")) return out
  do roleOption(c, out)
  while (c.accept("and"))
  return out
}

/** A user is a role that may log in. */
const userOptions = (c: Cursor): Ast.RoleOptions => {
  const out: { -readonly [K in keyof Ast.RoleOptions]: Ast.RoleOptions[K] } = { login: true }
  if (c.accept("with")) {
    c.accept("hashed")
    c.expect("password")
    out.password = passwordOf(c)
  }
  if (c.accept("superuser")) out.superuser = true
  else if (c.accept("nosuperuser")) out.superuser = false
  return out
}

/** What a permission is for, as messages name it. */
const resource = (c: Cursor): string => {
  if (c.accept("all", "keyspaces")) return "<all keyspaces>"
  if (c.accept("keyspace")) return `<keyspace ${c.name()}>`
  if (c.accept("all", "roles")) return "<all roles>"
  if (c.accept("role")) return `<role ${roleName(c)}>`
  if (c.accept("all", "functions")) {
    return c.clause("in", "keyspace") ? `<all functions in ${c.name()}>` : "<all functions>"
  }
  if (c.product === "cassandra" && c.accept("all", "tables", "in", "keyspace")) return `<all tables in ${c.name()}>`
  if (c.product === "cassandra" && c.accept("all", "mbeans")) return "<all mbeans>"
  if (c.product === "cassandra" && (c.accept("mbean") || c.accept("mbeans"))) return `<mbean ${c.string()}>`
  if (c.accept("function")) {
    const { keyspace, name } = c.qualified()
    c.expectOp("(")
    if (!c.isOp(")")) c.list(() => c.type())
    c.expectOp(")")
    return `<function ${keyspace ?? ""}.${name}>`
  }
  c.accept("table")
  const { keyspace, name } = c.qualified()
  return `<table ${keyspace ?? ""}.${name}>`
}

/** A permission, or all; `undefined` where the name of a role stands. */
const permissions = (c: Cursor): ReadonlyArray<string> | undefined => {
  if (c.accept("all")) {
    c.accept("permissions")
    return ["all"]
  }
  const known: ReadonlyArray<string> = c.product === "cassandra" ? [...PERMISSIONS, ...MASKS] : PERMISSIONS
  const one = (): string | undefined => known.find((name) => c.accept(name))
  const first = one()
  if (first === undefined) return undefined
  const out = [first]
  while (c.acceptOp(",")) out.push(one() ?? c.fail())
  if (!c.accept("permission")) c.accept("permissions")
  return out
}

const NONE = { ifExists: false, options: {}, permissions: undefined, resource: undefined, grantee: undefined } as const

const granting = (c: Cursor, what: "GRANT" | "REVOKE"): Roles => {
  const behind = what === "GRANT" ? "to" : "from"
  // The end of the text is nothing that could follow.
  if (c.token.kind === "eof") c.fail(c.product === "scylla" ? c.tokens[0] : c.token)
  const granted = permissions(c)
  if (granted === undefined) {
    const role = roleName(c)
    c.expect(behind)
    return { _tag: "Roles", what, ...NONE, role, grantee: roleName(c) }
  }
  c.expect("on")
  const on = resource(c)
  c.expect(behind)
  return { _tag: "Roles", what, ...NONE, role: undefined, permissions: granted, resource: on, grantee: roleName(c) }
}

const list = (c: Cursor): Ast.Statement => {
  const first = c.tokens[0]!
  const listed = c.token
  const of = (what: Roles["what"], role: string | undefined, rest: Partial<Roles> = {}): Roles => ({
    _tag: "Roles",
    what,
    ...NONE,
    role,
    ...rest
  })
  if (c.accept("roles")) {
    const role = c.accept("of") ? roleName(c) : undefined
    c.accept("norecursive")
    return of("LIST ROLES", role)
  }
  if (c.accept("users")) return of("LIST USERS", undefined)
  if (c.product === "scylla") {
    if (c.accept("effective", "service", "level")) {
      c.expect("of")
      return { _tag: "ServiceLevel", what: "EFFECTIVE", name: roleName(c), isIf: false, options: new Map() }
    }
    if (c.accept("all", "service", "levels")) {
      return { _tag: "ServiceLevel", what: "LIST", name: undefined, isIf: false, options: new Map() }
    }
    if (c.accept("service", "level")) {
      return { _tag: "ServiceLevel", what: "LIST", name: c.name(), isIf: false, options: new Map() }
    }
  }
  const listing = permissions(c)
  if (listing === undefined) {
    return c.product === "scylla"
      ? c.fail(first)
      : c.fail(listed, listed.kind === "eof" ? listed : first)
  }
  const on = c.accept("on") ? resource(c) : undefined
  const role = c.accept("of") ? roleName(c) : undefined
  c.accept("norecursive")
  return of("LIST PERMISSIONS", role, { permissions: listing, resource: on })
}

const serviceLevel = (c: Cursor, what: "CREATE" | "ALTER" | "DROP"): Ast.Statement => {
  const isIf = what === "DROP" ? c.clause("if", "exists") : what === "CREATE" && c.clause("if", "not", "exists")
  const name = c.name()
  const options = c.accept("with") ? c.properties() : new Map<string, Ast.Property>()
  return { _tag: "ServiceLevel", what, name, isIf, options }
}

/** A statement about roles; `undefined` where another one begins. */
export const parseRoles = (c: Cursor): Ast.Statement | undefined => {
  if (c.accept("grant")) return granting(c, "GRANT")
  if (c.accept("revoke")) return granting(c, "REVOKE")
  if (c.isKeyword("list") && (c.peek(1).kind !== "eof" || c.product === "cassandra")) {
    c.at++
    return list(c)
  }
  if (c.product === "scylla" && c.accept("attach", "service", "level")) {
    const name = c.name()
    c.expect("to")
    roleName(c)
    return { _tag: "ServiceLevel", what: "ATTACH", name, isIf: false, options: new Map() }
  }
  if (c.product === "scylla" && c.accept("detach", "service", "level")) {
    c.expect("from")
    return { _tag: "ServiceLevel", what: "DETACH", name: roleName(c), isIf: false, options: new Map() }
  }
  if (c.product === "cassandra" && (c.accept("add", "identity") || c.accept("drop", "identity"))) {
    const what = c.tokens[0]!.text === "add" ? "ADD IDENTITY" : "DROP IDENTITY"
    const isIf = c.clause("if", ...(what === "ADD IDENTITY" ? ["not", "exists"] : ["exists"]))
    const identity = c.string()
    if (what === "ADD IDENTITY") c.expect("to", "role")
    return {
      _tag: "Roles",
      what,
      ...NONE,
      ifExists: isIf,
      role: what === "ADD IDENTITY" ? roleName(c) : identity
    }
  }
  for (const verb of ["CREATE", "ALTER", "DROP"] as const) {
    const word = verb.toLowerCase()
    if (c.product === "scylla") {
      if (c.accept(word, "service", "level") || c.accept(word, "service_level")) return serviceLevel(c, verb)
    }
    const isUser = c.isKeyword("user", 1)
    if (!c.isKeyword(word) || !(isUser || c.isKeyword("role", 1)) || c.peek(2).kind === "eof") continue
    c.at += 2
    const ifExists = verb === "CREATE" ? c.clause("if", "not", "exists") : c.clause("if", "exists")
    const role = roleName(c)
    const options = verb === "DROP" ? {} : isUser ? userOptions(c) : roleOptions(c)
    return { _tag: "Roles", what: verb, ...NONE, ifExists, role, options }
  }
  return undefined
}
