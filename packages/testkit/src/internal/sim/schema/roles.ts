/** Who may do what. */
import { invalid, unauthorized } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"

type Roles = Extract<Ast.Statement, { readonly _tag: "Roles" }>

/** What is said of what nobody may do who has not logged in. */
export const refuseAnonymous = ({ options, resource, role, what }: Roles, product: Product): Error => {
  if (product === "cassandra" && options.password !== undefined) {
    return invalid("org.apache.cassandra.auth.CassandraRoleManager doesn't support PASSWORD")
  }
  if (product === "cassandra" && options.superuser !== undefined) {
    return unauthorized(
      what === "CREATE"
        ? "Only superusers can create a role with superuser status"
        : "Only superusers are allowed to alter superuser status"
    )
  }
  return unauthorized(
    product === "scylla" && what === "LIST PERMISSIONS" && (role !== undefined || resource === undefined)
      ? `You are not authorized to view ${role ?? "everyone"}'s permissions`
      : "You have to be logged in and not anonymous to perform this request"
  )
}
