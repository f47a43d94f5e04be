/** Options of the lean client, checked all at once. */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type * as Affinity from "../Affinity.ts"
import * as Auth from "../Auth.ts"
import type { Scheme } from "../NodeAddress.ts"
import type * as QueryPlan from "../QueryPlan.ts"
import { type Issues, show } from "./issues.ts"

/**
 * Options of one client; those of the nodes and of the transport, which several may share, are elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions {
  /** Default: {@link Auth.none}. */
  readonly auth?: Auth.Auth | undefined
  /** Default: `power-of-two`. */
  readonly balancing?: QueryPlan.Balancing | undefined
  /** Which writes go to the node of their key. Default: `none`. */
  readonly affinity?: Affinity.AffinityMode | undefined
  /** Whose order of nodes for a key: clients of different families choose different nodes. Default: `go`. */
  readonly affinityOrder?: Affinity.AffinityOrder | undefined
  /** Names of partition keys by table, for affinity. Those that are missing are learned by DescribeTable. */
  readonly partitionKeys?: Readonly<Record<string, string>> | undefined
  /** For a request with all its attempts. Default: 12 seconds, 2 more than servers take. */
  readonly deadline?: Duration.Input | undefined
  /** For an attempt of a request that may be repeated. Default: 3 seconds. */
  readonly attemptTimeout?: Duration.Input | undefined
  /** Attempts that reached a node. Default: 4. */
  readonly maxAttempts?: number | undefined
  /** Compresses requests (ScyllaDB 2026.1 and newer unpack them). Default: no. */
  readonly compression?: {
    readonly encoding?: "gzip" | "deflate" | undefined
    /** Bytes from which on it is worth it. Default: 1024. */
    readonly threshold?: number | undefined
    /** 1 to 9. Default: 6. */
    readonly level?: number | undefined
  } | undefined
  /** Asks for compressed answers: the encodings, the best first. Default: none. */
  readonly acceptEncoding?: ReadonlyArray<"gzip" | "deflate"> | undefined
  /** Bytes of an answer, as it arrives. Default: 32 MiB. */
  readonly maxResponseBytes?: number | undefined
  /** Unpacking of answers. Default: 32 MiB for each of at most 5 layers. */
  readonly decompression?:
    | { readonly maxBytes?: number | undefined; readonly maxLayers?: number | undefined }
    | undefined
  /** A second attempt on another node for GetItem, BatchGetItem and Query that are slow. Default: no. */
  readonly hedge?: {
    /** After which an attempt is slow. */
    readonly delay: Duration.Input
    /** Second attempts as a part of all requests. Default: 0.05; up to 10 may be saved. */
    readonly budget?: number | undefined
  } | undefined
  /** The `User-Agent`, which `system.clients` shows; a function gets the default, `false` sends none. */
  readonly userAgent?: string | false | ((own: string) => string) | undefined
}

/** The `User-Agent` of requests, unless another is given. @category constants @since 0.1.0 */
export const USER_AGENT = "effect-scylla-alternator"

const userAgent = (option: ClientOptions["userAgent"]): string | undefined =>
  option === false ? undefined : typeof option === "function" ? option(USER_AGENT) : option ?? USER_AGENT

const MIB = 1_048_576

const BALANCINGS: ReadonlyArray<QueryPlan.Balancing> = ["power-of-two", "round-robin"]
const MODES: ReadonlyArray<Affinity.AffinityMode> = ["none", "rmw", "any-write"]
const ORDERS: ReadonlyArray<Affinity.AffinityOrder> = ["go", "python", "rust"]
const ENCODINGS: ReadonlyArray<"gzip" | "deflate"> = ["gzip", "deflate"]

/** Which node, in both clients. */
export const checkRouting = (
  options: Pick<ClientOptions, "affinity" | "affinityOrder" | "balancing">,
  issues: Issues
) => ({
  balancing: issues.word("balancing", options.balancing, BALANCINGS),
  mode: issues.word("affinity", options.affinity, MODES),
  order: issues.word("affinityOrder", options.affinityOrder, ORDERS)
})

/** How much of their time requests have, in both clients. */
export const checkTimes = (options: Pick<ClientOptions, "attemptTimeout" | "deadline">, issues: Issues) => ({
  deadlineMillis: issues.millis("deadline", options.deadline, "12 seconds"),
  attemptMillis: issues.millis("attemptTimeout", options.attemptTimeout, "3 seconds")
})

/** How requests and answers are packed, in both clients. */
export const checkPacking = (options: Pick<ClientOptions, "acceptEncoding" | "compression">, issues: Issues) => {
  const { acceptEncoding = [], compression } = options
  for (const encoding of acceptEncoding) issues.word("acceptEncoding", encoding, ENCODINGS)
  return {
    acceptEncoding: acceptEncoding.length === 0 ? undefined : acceptEncoding.join(", "),
    compression: compression === undefined ? undefined : {
      encoding: issues.word("compression.encoding", compression.encoding, ENCODINGS),
      threshold: issues.count("compression.threshold", compression.threshold, 1024, 0),
      level: issues.count("compression.level", compression.level, 6, 1, 9)
    }
  }
}

/** The options as they are used over nodes of these schemes; what is wrong with them is added to `issues`. */
export const check = (options: ClientOptions, schemes: ReadonlyArray<Scheme>, issues: Issues) => {
  const { auth = Auth.none, hedge } = options
  if (auth._tag === "ClientCertificate" && schemes.includes("http")) {
    issues.add("auth", "a client certificate needs https: say so in the nodes' scheme")
  }
  if (auth._tag === "SigV4" && (auth.accessKeyId === "" || Redacted.value(auth.secretAccessKey) === "")) {
    issues.add("auth", "accessKeyId and secretAccessKey must not be empty; use Auth.none for no signatures")
  }
  const budget = hedge?.budget ?? 0.05
  if (!(budget > 0 && budget <= 1)) issues.add("hedge.budget", `must be more than 0 and at most 1, is ${show(budget)}`)
  const agent = userAgent(options.userAgent)
  if (agent !== undefined && !/^[ -~]+$/.test(agent)) issues.add("userAgent", "must be printable ASCII")
  return {
    auth,
    maxAttempts: issues.count("maxAttempts", options.maxAttempts, 4),
    ...checkTimes(options, issues),
    maxResponseBytes: issues.count("maxResponseBytes", options.maxResponseBytes, 32 * MIB),
    bounds: {
      maxBytes: issues.count("decompression.maxBytes", options.decompression?.maxBytes, 32 * MIB),
      maxLayers: issues.count("decompression.maxLayers", options.decompression?.maxLayers, 5)
    },
    ...checkPacking(options, issues),
    routing: checkRouting(options, issues),
    userAgent: agent,
    hedge: hedge === undefined
      ? undefined
      : { delay: Duration.millis(issues.millis("hedge.delay", hedge.delay, "1 seconds")), budget }
  }
}
