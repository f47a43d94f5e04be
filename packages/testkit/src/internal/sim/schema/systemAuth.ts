/** `system_auth` and `system_distributed` of Cassandra. */
import { type Definition, none } from "./systemDefinitions.ts"

const KEPT = { gc_grace_seconds: "7776000" }
/** Of what is noted of repairs. */
const FOR_A_MONTH = { default_time_to_live: "2592000" }

const auth = (
  name: string,
  comment: string,
  columns: string,
  rows: Definition["rows"] = none
): Definition => ({ keyspace: "system_auth", name, comment, columns, rows, options: KEPT })

/** Who is there where nobody has to log in. */
const DEFAULT_ROLE = { role: "cassandra", can_login: true, is_superuser: true }

export const AUTH: ReadonlyArray<Definition> = [
  auth(
    "roles",
    "role definitions",
    "role text || can_login boolean, is_superuser boolean, member_of set<text>, salted_hash text",
    (input) => {
      const rows = [...input.roles()].map(([role, { canLogin, isSuperuser, memberOf }]) => ({
        role,
        can_login: canLogin,
        is_superuser: isSuperuser,
        member_of: memberOf.size === 0 ? null : [...memberOf]
      }))
      return rows.length === 0 ? [DEFAULT_ROLE] : rows
    }
  ),
  auth(
    "role_members",
    "role memberships lookup table",
    "role text | member text |",
    (input) =>
      [...input.roles()].flatMap(([member, { memberOf }]) => Array.from(memberOf, (role) => ({ role, member })))
  ),
  auth(
    "role_permissions",
    "permissions granted to db roles",
    "role text | resource text | permissions set<text>",
    (input) =>
      [...input.roles()].flatMap(([role, { grants }]) =>
        Array.from(grants, ([resource, permissions]) => ({ role, resource, permissions: [...permissions] }))
      )
  ),
  auth(
    "resource_role_permissons_index",
    "index of db roles with permissions granted on a resource",
    "resource text | role text |",
    (input) =>
      [...input.roles()].flatMap(([role, { grants }]) => Array.from(grants.keys(), (resource) => ({ resource, role })))
  ),
  auth(
    "cidr_groups",
    "cidr groups to cidrs mapping",
    "cidr_group text || cidrs frozen<set<frozen<tuple<inet, smallint>>>>"
  ),
  auth("cidr_permissions", "user cidr permissions", "role text || cidr_groups frozen<set<text>>"),
  auth("identity_to_role", "mtls authorized identities lookup table", "identity text || role text"),
  auth("network_permissions", "user network permissions", "role text || dcs frozen<set<text>>")
]

export const DISTRIBUTED: ReadonlyArray<Definition> = [
  {
    keyspace: "system_distributed",
    name: "parent_repair_history",
    comment: "Repair history",
    columns: "parent_id timeuuid || columnfamily_names set<text>, exception_message text, exception_stacktrace text, " +
      "finished_at timestamp, keyspace_name text, options map<text, text>, requested_ranges set<text>, " +
      "started_at timestamp, successful_ranges set<text>",
    rows: none,
    options: FOR_A_MONTH
  },
  {
    keyspace: "system_distributed",
    name: "partition_denylist",
    comment: "Partition keys which have been denied access",
    columns: "ks_name text, table_name text | key blob |",
    rows: none
  },
  {
    keyspace: "system_distributed",
    name: "repair_history",
    comment: "Repair history",
    columns: "keyspace_name text, columnfamily_name text | id timeuuid | coordinator inet, coordinator_port int, " +
      "exception_message text, exception_stacktrace text, finished_at timestamp, parent_id timeuuid, " +
      "participants set<inet>, participants_v2 set<text>, range_begin text, range_end text, started_at timestamp, " +
      "status text",
    rows: none,
    options: FOR_A_MONTH
  },
  {
    keyspace: "system_distributed",
    name: "view_build_status",
    comment: "Materialized View build status",
    columns: "keyspace_name text, view_name text | host_id uuid | status text",
    rows: none
  }
]
