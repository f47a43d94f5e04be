import type * as Uuid from "@effect-scylla/protocol/Uuid"

/** A node's place in the cluster. The rest of it is the server's. */
export interface SimNode {
  readonly index: number
  address: string
  readonly hostId: Uuid.Uuid
  readonly datacenter: string
  readonly rack: string
  readonly tokens: ReadonlyArray<bigint>
  nrShards: number
  isRunning: boolean
  /** Whether it runs and other nodes get no answers of it. */
  isDeaf: boolean
  /** For good. */
  hasLeft: boolean
}
