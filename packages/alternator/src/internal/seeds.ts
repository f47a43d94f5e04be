/** Seeds as nodes: a name stands for all its addresses. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { lookup } from "node:dns"
import { isIP } from "node:net"
import { type AlternatorNode, make, parseListed } from "../NodeAddress.ts"
import type { Checked } from "./nodesOptions.ts"

const TTL_MILLIS = 30_000

const system = (name: string): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.callback((resume) => {
    lookup(name, { all: true }, (error, addresses) => {
      resume(error === null ? Effect.succeed(addresses.map(({ address }) => address)) : Effect.fail(error))
    })
  })

export const makeSeeds = (
  { resolve = system, seeds }: Pick<Checked, "resolve" | "seeds">,
  now: () => number
): { readonly nodes: Effect.Effect<ReadonlyArray<AlternatorNode>> } => {
  const names = new Map<string, { readonly addresses: ReadonlyArray<string>; readonly at: number }>()

  const addresses = Effect.fnUntraced(function*(name: string) {
    const known = names.get(name)
    if (known !== undefined && now() - known.at < TTL_MILLIS) return known.addresses
    // Whatever a resolver of the user's does, this is no reason to end.
    const found = yield* Effect.exit(Effect.timeout(Effect.suspend(() => resolve(name)), "2 seconds"))
    const valid = Exit.isSuccess(found) ? found.value.map(parseListed).filter((host) => host !== undefined) : []
    // What was known is better than nothing; and a name alone is better than nothing too.
    if (valid.length === 0) return known?.addresses ?? []
    names.set(name, { addresses: valid, at: now() })
    return valid
  })

  return {
    nodes: Effect.gen(function*() {
      const nodes = new Map<string, AlternatorNode>()
      for (const { host, port, scheme } of seeds) {
        const hosts = isIP(host) === 0 ? yield* addresses(host) : []
        const made = hosts.length === 0
          ? [make(scheme, host, port)]
          : hosts.map((address) => make(scheme, address, port, host))
        for (const node of made) nodes.set(node.url, node)
      }
      return Array.from(nodes.values())
    })
  }
}
