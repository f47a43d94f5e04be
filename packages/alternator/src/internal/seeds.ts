/** Seeds as nodes: a name stands for all its addresses. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { lookup } from "node:dns"
import { isIP } from "node:net"
import { type AlternatorNode, make, parseListed } from "../NodeAddress.ts"
import type { Checked } from "./nodesOptions.ts"

/** How long addresses are used before they are asked for again, and how long none are asked for after a failure. */
export const TTL_MILLIS = 30_000
const RETRY_MILLIS = 5000
const LOOKUP_TIMEOUT = "2 seconds"

const system = (name: string): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.callback((resume) => {
    lookup(name, { all: true }, (error, addresses) => {
      resume(error === null ? Effect.succeed(addresses.map(({ address }) => address)) : Effect.fail(error))
    })
  })

export interface Seeds {
  /** Asks for the addresses of names whose addresses were not asked for lately, of all of them at once. */
  readonly nodes: Effect.Effect<ReadonlyArray<AlternatorNode>>
  /** Whether there are names. */
  readonly hasNames: boolean
}

export const makeSeeds = (
  { resolve = system, seeds }: Pick<Checked, "resolve" | "seeds">,
  now: () => number
): Seeds => {
  const names = new Map<string, { readonly addresses: ReadonlyArray<string>; readonly until: number }>()

  const addresses = Effect.fnUntraced(function*(name: string) {
    const known = names.get(name)
    if (known !== undefined && now() < known.until) return known.addresses
    // Whatever a resolver of the user's does, this is no reason to end.
    const found = yield* Effect.exit(Effect.timeout(Effect.suspend(() => resolve(name)), LOOKUP_TIMEOUT))
    const valid = Exit.isSuccess(found) ? found.value.map(parseListed).filter((host) => host !== undefined) : []
    // What was known is better than nothing. A resolver that fails is not waited for again at once.
    const [told, validity] = valid.length > 0 ? [valid, TTL_MILLIS] : [known?.addresses ?? [], RETRY_MILLIS]
    names.set(name, { addresses: told, until: now() + validity })
    return told
  })

  return {
    hasNames: seeds.some(({ host }) => isIP(host) === 0),
    nodes: Effect.map(
      Effect.forEach(seeds, ({ host }) => isIP(host) === 0 ? addresses(host) : Effect.succeed([]), {
        concurrency: "unbounded"
      }),
      (found) => {
        const nodes = new Map<string, AlternatorNode>()
        for (const [i, { host, port, scheme }] of seeds.entries()) {
          // A name alone is better than nothing too.
          const made = found[i]!.length === 0
            ? [make(scheme, host, port)]
            : found[i]!.map((address) => make(scheme, address, port, host))
          for (const node of made) nodes.set(node.url, node)
        }
        return Array.from(nodes.values())
      }
    )
  }
}
