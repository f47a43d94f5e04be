/**
 * `cassandra-driver` on the engine of `@effect-scylla/driver`: everything that it exports, with another `Client`.
 *
 * ```ts
 * import { Client, types } from "@effect-scylla/compat"
 * ```
 *
 * The types are those of `cassandra-driver` (`types/index.d.ts`).
 *
 * @since 0.1.0
 */
import { Client as Own } from "./internal/client.ts"
import { theirs } from "./internal/theirs.ts"

const all: Record<string, any> = { ...theirs, Client: Own }

/** The client. */
export const Client: any = Own

/** Values, codes and classes of results, as `cassandra-driver` has them; so is everything below. */
export const types: any = all["types"]
/** The classes of errors. */
export const errors: any = all["errors"]
/** Policies. */
export const policies: any = all["policies"]
/** Providers of credentials. */
export const auth: any = all["auth"]
/** The mapper. */
export const mapping: any = all["mapping"]
/** Trackers and loggers of requests. */
export const tracker: any = all["tracker"]
/** Metrics of a client. */
export const metrics: any = all["metrics"]
/** Many statements at a time. */
export const concurrent: any = all["concurrent"]
/** Tokens and ranges of them. */
export const token: any = all["token"]
/** The class of a client's metadata. */
export const metadata: any = all["metadata"]
/** Shapes. */
export const geometry: any = all["geometry"]
/** What is of DataStax. */
export const datastax: any = all["datastax"]
/** How values are written and read. */
export const Encoder: any = all["Encoder"]
/** Options by name. */
export const ExecutionProfile: any = all["ExecutionProfile"]
/** Options of a request. */
export const ExecutionOptions: any = all["ExecutionOptions"]
/** The options of a client that is given none. */
export const defaultOptions: any = all["defaultOptions"]
/** The version of `cassandra-driver`. */
export const version: any = all["version"]

// What `require` gives is a plain object, as that of cassandra-driver is: instrumentations write into it.
export { all as "module.exports", all as default }
