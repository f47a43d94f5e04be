/** The real servers that suites may run on, and why not on the others. */
import { TestServer } from "@effect-scylla/testkit"
import { Effect } from "effect"

const candidates = ["cassandra", "container", "external"] as const

export interface Chosen {
  readonly provider: (typeof candidates)[number]
  /** Why it cannot run here. */
  readonly missing: string | undefined
  /** Whether that is a failure. */
  readonly isRequired: boolean
}

/** All of them. */
export const providers: ReadonlyArray<Chosen> = await Effect.runPromise(
  Effect.forEach(candidates, (provider) =>
    Effect.map(
      TestServer.requirement(provider, { nodes: 3 }),
      (need): Chosen => ({
        provider,
        missing: need._tag === "Run" ? undefined : need.why,
        isRequired: need._tag === "Required"
      })
    ))
)

/** The one of that name. */
export const providerOf = (name: Chosen["provider"]): Chosen => providers.find(({ provider }) => provider === name)!
