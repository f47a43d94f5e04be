import type { Connection } from "@effect-scylla/pool/Connection"
import type { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SchemaAgreement } from "../ResultSet.ts"
import type { Core } from "./core.ts"
import { schemaVersions } from "./systemTables.ts"

/** Milliseconds between looks at the schema versions: Java, Go and Rust take 200 from the start, when nodes often agree sooner. */
export const INTERVAL = { first: 25, longest: 200 } as const

/** What is asked, and of whom. */
export interface Asked {
  readonly core: Core
  readonly decoders: RowDecoders
  /** Addresses that events said are down. */
  readonly down: ReadonlySet<string>
  /** The node that made a change: any other may still be in agreement on how things were before. Else whoever can be asked. */
  readonly control: () => Connection | undefined
}

/** Whether the nodes have the same schema, asked again and again until they do or the time is over. */
export const agreement = Effect.fnUntraced(function*({ control, core, decoders, down }: Asked, timeoutMillis: number) {
  /** One of which nothing is heard just now will have to know the schema when it goes on. That it is down is a hint, if it answers here. */
  const hasToAgree = (hostId: string): boolean => {
    const node = core.snapshot.hosts.get(hostId)
    if (node === undefined) return false
    const { address, peer, pool } = node
    return pool?.isUp === true || (pool?.isOpen !== false && !down.has(address) && !down.has(peer))
  }
  const connectionTo = (hostId: string) => core.snapshot.hosts.get(hostId)?.pool?.pickReserved()
  let interval: number = INTERVAL.first
  const until = (yield* Clock.currentTimeMillis) + timeoutMillis
  let agreement: SchemaAgreement = { agreed: false, version: undefined, others: [] }
  while (!core.closed) {
    const left = until - (yield* Clock.currentTimeMillis)
    const connection = control()
    if (connection !== undefined) {
      const told = schemaVersions(connection, decoders, hasToAgree, connectionTo)
      // At least one look, however short the time.
      const versions = Option.flatten(yield* Effect.timeoutOption(Effect.option(told), Math.max(left, interval)))
      if (versions._tag === "Some") {
        const { others, own } = versions.value
        const nodes = others.flatMap((hostId) => core.snapshot.hosts.get(hostId) ?? [])
        agreement = { agreed: others.length === 0, version: own, others: nodes }
        if (agreement.agreed) break
      }
    }
    if (left <= 0) break
    yield* Effect.sleep(Math.min(interval, left))
    interval = Math.min(2 * interval, INTERVAL.longest)
  }
  return agreement
})
