import type { AlternatorRoute } from "../Snapshot.ts"

/** Where a node is dialled. */
export interface Reached {
  readonly address: string
  readonly port: number
  /** The name by which it is known there, for certificates. */
  readonly servername: string | undefined
  /** Not where it says: something lies in between, which is not known to pass on local ports. */
  readonly isIndirect: boolean
  /** By a client route. */
  readonly alternator?: AlternatorRoute | undefined
}
