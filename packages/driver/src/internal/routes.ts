import type { Connection } from "@effect-scylla/pool/Connection"
import type { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as Effect from "effect/Effect"
import { isIP } from "node:net"
import type { ClientRoutes } from "../ClientRoutes.ts"
import type { Reached } from "./reached.ts"
import { portOf, type Problem, query, text } from "./systemTables.ts"

/** Where nodes are reached, by host id. */
export type Routes = ReadonlyMap<string, Reached>

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`

/** Reads the routes of the links that may be used. A server that has no such table has no routes. */
export const read = (
  connection: Connection,
  decoders: RowDecoders,
  { connectionIds, isTransparent = false, table = "system.client_routes" }: ClientRoutes,
  isTls: boolean
): Effect.Effect<Routes, Problem> => {
  const select = `SELECT * FROM ${table} WHERE connection_id IN (${connectionIds.map(quoted).join(", ")})`
  return Effect.map(
    Effect.catchTag(query(connection, decoders, select), "InvalidRequest", () => Effect.succeed([])),
    (rows) => {
      const routes = new Map<string, Reached>()
      // The links that are preferred come last, and stay.
      const rank = (row: (typeof rows)[number]): number => connectionIds.indexOf(text(row["connection_id"]))
      for (const row of rows.toSorted((a, b) => rank(b) - rank(a))) {
        const address = text(row["address"])
        const port = portOf(isTls ? row["tls_port"] : row["port"])
        if (address === "" || port === undefined) continue
        const servername = isIP(address) === 0 ? address : undefined
        const alternator = {
          host: address,
          port: portOf(row["alternator_port"]),
          httpsPort: portOf(row["alternator_https_port"])
        }
        routes.set(text(row["host_id"]), { address, port, servername, isIndirect: !isTransparent, alternator })
      }
      return routes
    }
  )
}
