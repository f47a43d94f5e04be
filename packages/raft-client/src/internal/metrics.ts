/** Counters of the client's decisions. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

/** Goes up and down: the sum over all clients, which a gauge would not be. */
const level = (name: string, description: string) => Metric.counter(name, { description })

const counters = {
  probes: counter("raft_client_probes_total", "nodes asked who leads"),
  rounds: counter("raft_client_discovery_rounds_total", "rounds of probes"),
  leaders: counter("raft_client_leader_changes_total", "leaders confirmed"),
  redirects: counter("raft_client_redirects_total", "hints followed to another node"),
  retries: counter("raft_client_retries_total", "requests sent again, reads or writes that were certainly not applied"),
  ambiguous: counter("raft_client_ambiguous_writes_total", "writes whose outcome nobody knows"),
  resyncs: counter("raft_client_watch_resyncs_total", "watches put together again from a scan"),
  watches: level("raft_client_watches", "watches, of keys and prefixes"),
  waitingWatches: level(
    "raft_client_watches_waiting",
    "of them, those that wait for their turn to be opened or compared"
  )
}

/** `by` may be below 0 for what is a level. Default: 1. */
export type Count = (name: keyof typeof counters, by?: number) => void

export const make = (context: Context.Context<never>): Count => (name, by = 1) =>
  counters[name].updateUnsafe(by, context)
