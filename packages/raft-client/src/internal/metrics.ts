/** Counters of the client's decisions. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const counters = {
  probes: counter("raft_client_probes_total", "nodes asked who leads"),
  rounds: counter("raft_client_discovery_rounds_total", "rounds of probes"),
  leaders: counter("raft_client_leader_changes_total", "leaders confirmed"),
  redirects: counter("raft_client_redirects_total", "hints followed to another node"),
  retries: counter("raft_client_retries_total", "requests sent again, reads or writes that were certainly not applied"),
  ambiguous: counter("raft_client_ambiguous_writes_total", "writes whose outcome nobody knows"),
  resyncs: counter("raft_client_watch_resyncs_total", "watches put together again from a scan")
}

export type Count = (name: keyof typeof counters) => void

export const make = (context: Context.Context<never>): Count => (name) => counters[name].updateUnsafe(1, context)
