/** The differential suite, on whichever server. */
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { isDeepStrictEqual } from "node:util"
import { callCases } from "../cases/calls.ts"
import { clientCases } from "../cases/clients.ts"
import { cornerCases } from "../cases/corners.ts"
import { surroundingCases } from "../cases/surroundings.ts"
import { tables, typeCases } from "../cases/types.ts"
import { DIFFERENCES } from "../differences.ts"
import { type Case, KEYSPACES, libraries, optionsFor, outcomeOf, type Side, TABLES, type Tools } from "./beside.ts"

const SIDES: ReadonlyArray<Side> = ["theirs", "ours"]

/** A client of each library, with the same tables in a keyspace of its own. */
const open = async (server: TestServer.TestServer): Promise<Record<Side, Omit<Tools, "make">>> => {
  const found: Partial<Record<Side, Omit<Tools, "make">>> = {}
  for (const side of SIDES) {
    const lib = libraries[side]
    const ks = KEYSPACES[side]
    const options = optionsFor({ contactPoints: server.contactPoints, datacenter: server.datacenter ?? "datacenter1" })
    const first = new lib.Client(options)
    await first.execute(`DROP KEYSPACE IF EXISTS ${ks}`)
    await first.execute(`CREATE KEYSPACE ${ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`)
    await first.shutdown()
    const client = new lib.Client({ ...options, keyspace: ks })
    await client.connect()
    for (const statement of [...TABLES, ...tables(server.provider === "cassandra")]) await client.execute(statement)
    found[side] = { lib, types: lib.types, client, ks, options: { ...options, keyspace: ks } }
  }
  return found as Record<Side, Omit<Tools, "make">>
}

/** What becomes of a case with one of them. */
const outcome = async (tools: Omit<Tools, "make">, { run }: Case): Promise<unknown> => {
  const made: Array<any> = []
  const make = (options: any = {}): any => {
    const client = new tools.lib.Client({
      ...tools.options,
      ...options,
      protocolOptions: { ...tools.options.protocolOptions, ...options.protocolOptions }
    })
    made.push(client)
    return client
  }
  try {
    return await outcomeOf(() => run({ ...tools, make }))
  } finally {
    for (const client of made) await client.shutdown()
  }
}

export const differential = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  describe(`beside cassandra-driver on ${provider}`, () => {
    const all = [
      ...typeCases(provider === "cassandra"),
      ...callCases,
      ...clientCases,
      ...cornerCases,
      ...surroundingCases
    ]
    let opened: Promise<Record<Side, Omit<Tools, "make">>> | undefined
    for (const each of all) {
      it.effect(each.name, () =>
        Effect.gen(function*() {
          const server = yield* TestServer.TestServer
          const sides = yield* Effect.promise(() => opened ??= open(server))
          const [theirs, ours] = yield* Effect.promise(
            async () => [await outcome(sides.theirs, each), await outcome(sides.ours, each)]
          )
          const difference = DIFFERENCES.get(each.name)
          const isSame = difference === undefined || (difference.isOfV5 === true && server.product === "scylla")
          if (isSame) assert.deepStrictEqual(ours, theirs)
          else assert.isFalse(isDeepStrictEqual(ours, theirs), "does not differ any more: take it from the list")
        }))
    }
    it.effect("ends", () =>
      Effect.promise(async () => {
        const sides = await opened
        for (const side of SIDES) await sides?.[side].client.shutdown()
      }))
  })
}
