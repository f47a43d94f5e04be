/**
 * Private links (AWS PrivateLink and its like): nodes are reached at addresses of a link and not at their own, and ScyllaDB keeps a table
 * of which node is where on which link.
 *
 * ```ts
 * CqlClient.layer({ contactPoints: ["link.example.com:9042"], clientRoutes: { connectionIds: ["vpce-0123"] } })
 * ```
 *
 * - All nodes are reached by their routes, or none: one without a route on these links is not asked, and a warning says so.
 * - A row says `connection_id`, `host_id`, `address` (or a name) and `port`, or `tls_port`.
 * - The port is the route's for TLS where `tls` is set, else the plain one.
 * - Names are resolved at every dial, because links are made anew under the same name, and certificates have to be for the name.
 * - The routes are read with the cluster, and when an event (`CLIENT_ROUTES_CHANGE`) names these links.
 *
 * @since 0.1.0
 */

/**
 * Which links to take.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientRoutes {
  /** Ids of the links that this client can use, as the server's table has them; of a node on several, the first counts. */
  readonly connectionIds: ReadonlyArray<string>
  /**
   * Whether the link passes on the local port of a connection, so that ScyllaDB's shard-aware port lands on the shard that it names.
   * Default false: a link is a proxy.
   */
  readonly isTransparent?: boolean | undefined
  /** Where the routes are, `keyspace.table`. Default `system.client_routes`. */
  readonly table?: string | undefined
}
