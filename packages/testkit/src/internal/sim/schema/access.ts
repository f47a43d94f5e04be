/** Roles, their memberships and grants, where clients log in. */
import { invalid, unauthorized, unsupported } from "../failure.ts"
import type { Product } from "../parse/product.ts"
import { applicable, type Permission, PERMISSIONS, type Right, UNKNOWN, withParents } from "./rights.ts"

export interface Role {
  password: string | undefined
  canLogin: boolean
  isSuperuser: boolean
  /** Roles that were granted to it. */
  readonly memberOf: Set<string>
  /** Permissions by their resource. */
  readonly grants: Map<string, Set<Permission>>
}

export const newRole = (): Role => ({
  password: undefined,
  canLogin: false,
  isSuperuser: false,
  memberOf: new Set(),
  grants: new Map()
})

export class Access {
  readonly product: Product
  readonly roles = new Map<string, Role>()

  constructor(product: Product, { password, username }: { readonly username: string; readonly password: string }) {
    this.product = product
    this.roles.set(username, { ...newRole(), password, canLogin: true, isSuperuser: true })
  }

  /** Why nobody logs in so; `undefined` for who may. */
  refuse(username: string, password: string): string | undefined {
    const role = this.roles.get(username)
    if (role?.password !== password) {
      return this.product === "cassandra"
        ? `Provided username ${username} and/or password are incorrect`
        : "Username and/or password are incorrect"
    }
    return role.canLogin ? undefined : `${username} is not permitted to log in`
  }

  /** The role and all that were granted to it, directly or not. */
  rolesOf(name: string, found = new Set<string>()): ReadonlySet<string> {
    if (found.has(name)) return found
    found.add(name)
    for (const other of this.roles.get(name)?.memberOf ?? []) this.rolesOf(other, found)
    return found
  }

  isSuperuser(name: string): boolean {
    return [...this.rolesOf(name)].some((each) => this.roles.get(each)?.isSuperuser === true)
  }

  has(name: string, { permission, resource }: Right): boolean {
    if (this.isSuperuser(name)) return true
    return [...this.rolesOf(name)].some((each) =>
      withParents(resource).some((place) => this.roles.get(each)?.grants.get(place)?.has(permission) === true)
    )
  }

  /** Throws UNAUTHORIZED for the first right that is missing. */
  ensure(name: string, rights: ReadonlyArray<Right>): void {
    for (const right of rights) {
      if (this.has(name, right)) continue
      if (right.resource === UNKNOWN) throw unsupported("the rights that this statement needs of who is no superuser")
      throw unauthorized(
        `User ${name} has no ${right.permission} permission on ${right.resource} or any of its parents`
      )
    }
  }

  /** Whoever creates something may do everything with it. */
  created(name: string, resource: string): void {
    this.roles.get(name)?.grants.set(resource, new Set(applicable(resource)))
  }

  /** A resource is gone, and what was granted on it. */
  dropped(isGone: (resource: string) => boolean): void {
    for (const { grants } of this.roles.values()) {
      for (const resource of grants.keys()) if (isGone(resource)) grants.delete(resource)
    }
  }

  existing(name: string, message: string): Role {
    const found = this.roles.get(name)
    if (found === undefined) throw invalid(message)
    return found
  }

  /** Grants of these roles, on these resources where they are said, in the order in which they are listed. */
  listed(
    names: Iterable<string>,
    permissions: ReadonlySet<Permission>,
    resources: ReadonlyArray<string> | undefined
  ): ReadonlyArray<readonly [role: string, resource: string, permission: Permission]> {
    return [...names].sort().flatMap((name) =>
      [...this.roles.get(name)?.grants ?? []].sort(([a], [b]) => a < b ? -1 : 1)
        .filter(([resource]) => resources === undefined || resources.includes(resource))
        .flatMap(([resource, granted]) =>
          PERMISSIONS.filter((each) => granted.has(each) && permissions.has(each))
            .map((permission) => [name, resource, permission] as const)
        )
    )
  }
}
