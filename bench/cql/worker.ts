/**
 * One run of one client in a process of its own: `node worker.ts <client> <operation> <inflight> <port> <requests>`.
 * Prints one line of JSON, {@link Measured}.
 */
import { type Connect, Sampler } from "./clients/client.ts"
import type { Operation } from "./workload.ts"

/**
 * Microseconds; CPU time is that of the whole process (user and system, with garbage collection) per request. `null`: nothing was
 * timed by itself.
 */
export interface Measured {
  readonly cpuMicros: number
  readonly p50: number | null
  readonly p99: number | null
  readonly reqPerSec: number
}

/** The engine compiles in the background: enough requests and enough time. */
const warmUpRequests = 20_000
const warmUpMillis = 500

const [client, operation, ...numbers] = process.argv.slice(2) as [string, Operation, ...ReadonlyArray<string>]
const [inflight, port, requests] = numbers.map(Number) as [number, number, number]

// Only the client that runs is loaded.
const { connect } = await import(`./clients/${client}.ts`) as { readonly connect: Connect }
const connected = await connect(port, operation)

const busy = Math.max(inflight, 32)
for (const start = performance.now(); performance.now() - start < warmUpMillis;) {
  await connected.run(busy, warmUpRequests, new Sampler(busy, warmUpRequests))
}
await connected.run(inflight, Math.ceil(requests / 20), new Sampler(inflight, requests))

const sampler = new Sampler(inflight, requests)
const start = performance.now()
const cpu = process.cpuUsage()
await connected.run(inflight, requests, sampler)
const { system, user } = process.cpuUsage(cpu)
const seconds = (performance.now() - start) / 1000

const measured: Measured = {
  cpuMicros: (user + system) / requests,
  p50: sampler.quantile(0.5),
  p99: sampler.quantile(0.99),
  reqPerSec: Math.round(requests / seconds)
}
console.log(JSON.stringify(measured))
await connected.close()
