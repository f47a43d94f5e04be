/** The real servers of this run: which ones the suites run on, and why not on the others. */
import { TestServer } from "@effect-scylla/testkit"
import { Effect } from "effect"

const candidates = ["cassandra", "container", "external"] as const

export interface Chosen {
  readonly provider: (typeof candidates)[number]
  /** Set where the suite must run here and cannot: the suite fails with it. */
  readonly missing: string | undefined
}

/** Those that can run, and those that must; the others are named with their reason. */
export const providers: ReadonlyArray<Chosen> = await Effect.runPromise(
  Effect.gen(function*() {
    const out: Array<Chosen> = []
    for (const provider of candidates) {
      const need = yield* TestServer.requirement(provider, { nodes: 3 })
      if (need._tag === "Skip") process.stderr.write(`integration on ${provider}: skipped, ${need.why}\n`)
      else {
        process.stderr.write(
          `integration on ${provider}: ${need._tag === "Run" ? "runs" : `required, but ${need.why}`}\n`
        )
        out.push({ provider, missing: need._tag === "Required" ? need.why : undefined })
      }
    }
    return out
  })
)
