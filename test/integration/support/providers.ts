/** The providers of this run: which servers the suites run on, and why not on the others. */
import { SimulatedServer, TestServer } from "@effect-scylla/testkit"
import { Effect, type Layer } from "effect"

type Server = Layer.Layer<TestServer.TestServer, TestServer.TestServerError>

const candidates: ReadonlyArray<readonly [TestServer.Provider, () => Server]> = [
  ["simulated", () => SimulatedServer.layer({ nodes: 3, shards: 4 })],
  ["cassandra", () => TestServer.cassandra({ nodes: 3 })],
  ["container", () => TestServer.container()],
  ["external", () => TestServer.external]
]

export interface Chosen {
  readonly provider: TestServer.Provider
  readonly server: Server
  /** Set where the suite must run here and cannot: the suite fails with it. */
  readonly missing: string | undefined
}

/** Those that can run, and those that must; the others are named with their reason. */
export const providers: ReadonlyArray<Chosen> = await Effect.runPromise(
  Effect.gen(function*() {
    const out: Array<Chosen> = []
    for (const [provider, server] of candidates) {
      const need = yield* TestServer.requirement(provider, { nodes: 3 })
      if (need._tag === "Skip") process.stderr.write(`integration on ${provider}: skipped, ${need.why}\n`)
      else {
        process.stderr.write(
          `integration on ${provider}: ${need._tag === "Run" ? "runs" : `required, but ${need.why}`}\n`
        )
        out.push({ provider, server: server(), missing: need._tag === "Required" ? need.why : undefined })
      }
    }
    return out
  })
)
