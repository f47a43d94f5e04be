/** What follows a seed beside the load and the faults: the cluster, and what the client was told. */
import type { CqlClient } from "@effect-scylla/driver"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import type { Random } from "../support/random.ts"

/** Of every keyspace. */
export const REPLICAS = 3

export type Client = Parameters<typeof CqlClient.make>[0]

/** Wants everything again, which must not make anything happen twice. */
const reckless: Client["retry"] = {
  decide: ({ attempts }) => attempts > 4 ? "Fail" : attempts % 2 === 0 ? "SameNode" : "NextNode"
}

export type Pick = <A>(...choices: ReadonlyArray<A>) => A

export const pickBy = (random: Random): Pick => (...choices) => choices[random.below(choices.length)]!

/** What the client does about slow and failed attempts, whatever cluster it has. */
export const policiesOf = (pick: Pick) => ({
  speculation: pick<Client["speculation"]>(
    undefined,
    { delay: 10 },
    { delay: 100, max: 2 },
    { delay: { percentile: 90 }, max: 3 }
  ),
  speculationLimit: { share: 1 },
  retry: pick<Client["retry"]>(undefined, undefined, { backoff: false }, { maxAttempts: 2 }, reckless),
  retryBudget: pick<Client["retryBudget"]>(undefined, false, { share: 0.05, burst: 3 }),
  replicas: pick<Client["replicas"]>("lessBusy", "turns"),
  prepareEverywhere: pick(true, false)
} satisfies Partial<Client>)

/** The cluster and the client of a seed. */
export const settingOf = (random: Random) => {
  const pick = pickBy(random)
  const isScylla = pick(true, true, false)
  const versions = isScylla ? pick<ReadonlyArray<3 | 4 | 5>>([3, 4], [3, 4], [3], [3, 4, 5]) : [3, 4, 5] as const
  const protocolVersion = pick<Client["protocolVersion"]>("auto", "auto", ...versions)
  const cluster: SimulatedCluster.Options = {
    transport: "memory",
    product: isScylla ? "scylla" : "cassandra",
    versions,
    nodes: 3 + random.below(3),
    racks: 1 + random.below(3),
    shards: 1 + random.below(4),
    vnodes: pick(2, 16),
    metadataIds: pick(true, false),
    tabletVersions: pick(true, false),
    // Stamps of writes are the client's: nodes may think what they like.
    clockSkew: pick<SimulatedCluster.Options["clockSkew"]>(0, (node) => (node - 1) * 900)
  }
  const client = {
    protocolVersion,
    compression: protocolVersion === 5 ? pick("none", "lz4") : pick("none", "none", "lz4", "snappy"),
    connections: pick<Client["connections"]>({ perShard: 1 }, { perShard: 2 }, { perNode: 2 }),
    adaptive: pick(true, false),
    attemptTimeout: pick<Client["attemptTimeout"]>(undefined, 200, 500, false),
    requestTimeout: pick(1_500, 4_000, 12_000),
    maxInFlight: pick(2, 8, 1_024),
    maxWaiting: pick(4, 16_384),
    ...policiesOf(pick),
    localRack: pick<Client["localRack"]>(undefined, "rack1"),
    reconnect: { base: 20, cap: pick(500, 5_000) },
    shutdownTimeout: pick(0, 300, 5_000),
    // Random ones would compress to other lengths each time.
    clientId: "00000000-0000-4000-8000-000000000000"
  } satisfies Partial<Client>
  const tablets = isScylla ? pick("{'enabled': false}", "{'enabled': true}", "{'initial': 4}") : undefined
  return {
    cluster,
    client,
    tablets,
    closes: pick(true, false, false),
    workers: 2 + random.below(6),
    rest: pick(100, 300, 800)
  }
}
