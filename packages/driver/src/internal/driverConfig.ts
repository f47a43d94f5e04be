import * as Limits from "@effect-scylla/pool/Limits"
import * as Tls from "@effect-scylla/pool/Tls"
import * as Schedule from "effect/Schedule"
import type { Checked, Options } from "../Options.ts"
import { CLIENT_TIMEOUT, SERVER_TIMEOUT } from "./systemTables.ts"

/**
 * DRIVER_CONFIG: what is in force of the options, as JSON that servers show in their lists of clients. Nothing secret, no
 * addresses. The form is version 1 of ScyllaDB's schema, which refuses keys that it does not know (gocql
 * `docs/driver-config-schema.json`).
 */
export const make = (options: Options, { agreementMillis, defaults, pool, session }: Checked): string => {
  const { consistency, pageSize, serialConsistency } = defaults.request
  const { localDatacenter } = options
  const { reconnect, tls } = pool
  const preference = localDatacenter === undefined ? { type: "dc-auto" } : { type: "dc", "local-dc": localDatacenter }
  const isShardAware = pool.shardAwarePort !== false
  // Zero is none in this form.
  const timeout = (millis: number | undefined): object =>
    millis === undefined || millis < 1 ? {} : { "timeout-ms": Math.round(millis) }
  const policy = reconnect === undefined || Schedule.isSchedule(reconnect)
    ? { type: "custom", name: "Schedule" }
    : {
      type: "exponential",
      "base-ms": Math.max(1, Math.round(reconnect.base ?? 1)),
      "max-ms": Math.max(1, Math.round(reconnect.cap ?? 1))
    }
  return JSON.stringify({
    version: 1,
    connection: {
      connect: timeout(session.connectTimeout),
      write: timeout(Limits.defaults.writeTimeout),
      requests: {
        "in-flight": { max: session.limits?.maxInFlight ?? Limits.defaults.maxInFlight },
        orphaned: { max: Limits.defaults.maxOrphans }
      },
      pool: { "shard-aware": { enabled: isShardAware } },
      "node-preference": preference,
      // What node does, and for a chosen local port.
      socket: { "tcp-no-delay": true, "keep-alive": true, "reuse-address": isShardAware },
      reconnection: { policy },
      ...(tls === undefined ? {} : { tls: { "hostname-verification": verifies(tls) } })
    },
    "control-plane": {
      queries: { system: { timeout: { "client-side-ms": CLIENT_TIMEOUT, "server-side-ms": SERVER_TIMEOUT } } },
      schema: { agreement: timeout(agreementMillis) }
    },
    query: {
      defaults: {
        consistency,
        "serial-consistency": serialConsistency,
        // Without a word about it, what a statement's text makes certain.
        idempotence: defaults.idempotent ?? false,
        page: { size: pageSize },
        "client-timestamps": options.timestamps !== "server",
        request: timeout(defaults.timeoutMillis)
      },
      retry: { policy: { type: "standard-error-aware" } },
      "load-balancing": {
        policy: {
          type: "token-aware",
          "load-distribution": "round-robin",
          "fallback-to-non-preferred-nodes": options.datacenterFailover !== undefined
        },
        "node-preference": preference
      }
    }
  })
}

/** Whether certificates have to name the host. */
const verifies = (tls: Tls.Input): boolean => {
  const { checkServerIdentity, rejectUnauthorized } = tls instanceof Tls.Tls ? tls.options : tls
  return rejectUnauthorized !== false && checkServerIdentity === undefined
}
