/** Nodes that are not reached where they say that they are: routes of private links, and a translator, each over a proxy for every node. */
import { CqlClient } from "@effect-scylla/driver"
import { FaultProxy, TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { createKeyspace } from "../support/keyspaces.ts"
import { optionsOf } from "../support/options.ts"

const KS = "effect_scylla_it_ways"

export const ways = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  describe(`ways to nodes on ${provider}`, () => {
    /** A client that needs no other way, and a proxy to each node. */
    const setup = Effect.gen(function*() {
      const options = optionsOf(yield* TestServer.TestServer)
      const direct = yield* CqlClient.make(options)
      const proxy = yield* FaultProxy.make
      const nodes = direct.cluster().nodes
      const forward = Effect.forEach(
        nodes,
        ({ address, hostId, port }) =>
          Effect.map(proxy.forward({ address: "127.0.0.1" }, { address, port }), (port) => ({ hostId, port }))
      )
      return { direct, forward, nodes, options, proxy }
    })

    const portsOf = (cql: CqlClient.CqlClient) =>
      cql.cluster().nodes.map(({ hostId, port }) => ({ hostId, port })).toSorted((a, b) => a.hostId < b.hostId ? -1 : 1)

    const until = (isSo: () => boolean) =>
      Effect.gen(function*() {
        // A schema of many nodes, and a loaded machine, take their time.
        for (let i = 0; i < 1_000 && !isSo(); i++) yield* Effect.sleep(20)
        assert.isTrue(isSo())
      })

    /** As many writes as that every node coordinates some. */
    const writes = (cql: CqlClient.CqlClient) =>
      Effect.gen(function*() {
        const insert = yield* cql.prepare(`INSERT INTO ${KS}.t (k) VALUES (?)`)
        const ids = Array.from({ length: 200 }, (_, i) => i)
        const results = yield* Effect.forEach(ids, (i) => cql.execute(insert, [i]), { concurrency: 16 })
        return new Set(results.map(({ coordinator }) => coordinator?.hostId))
      })

    const sorted = <A extends { readonly hostId: string }>(of: ReadonlyArray<A>): ReadonlyArray<A> =>
      of.toSorted((a, b) => a.hostId < b.hostId ? -1 : 1)

    it.effect(
      "private links lead to all nodes; a link that is made anew elsewhere is found, and pools stay",
      () =>
        Effect.gen(function*() {
          const { direct, forward, nodes, options, proxy } = yield* setup
          yield* createKeyspace(direct, KS)
          const ddl = (text: string) => direct.execute(text, [], { timeout: "60 seconds" })
          yield* ddl(`CREATE TABLE IF NOT EXISTS ${KS}.t (k int PRIMARY KEY)`)
          const table = `${KS}.client_routes`
          yield* ddl(
            `CREATE TABLE IF NOT EXISTS ${table} (connection_id text, host_id uuid, address text, port int, tls_port int,
            alternator_port int, alternator_https_port int, PRIMARY KEY (connection_id, host_id))`
          )
          const tell = (routes: ReadonlyArray<{ readonly hostId: string; readonly port: number }>) =>
            Effect.forEach(routes, ({ hostId, port }) =>
              direct.execute(
                `INSERT INTO ${table} (connection_id, host_id, address, port) VALUES ('link', ?, 'localhost', ?)`,
                [hostId, port],
                { consistency: "ALL", idempotent: true }
              ))
          const first = yield* forward
          yield* tell(first)
          const cql = yield* CqlClient.make({
            ...options,
            contactPoints: [`127.0.0.1:${first[0]!.port}`],
            clientRoutes: { connectionIds: ["other", "link"], table },
            refreshInterval: "1 second"
          })
          yield* cql.awaitConnected
          assert.deepStrictEqual(portsOf(cql), sorted(first))
          assert.isTrue(cql.cluster().nodes.every(({ address }) => address === "localhost"))
          assert.strictEqual((yield* writes(cql)).size, nodes.length)
          for (const { address } of nodes) assert.isAbove(proxy.connections(address), 0)
          const pools = cql.cluster().nodes.map(({ pool }) => pool)
          const second = yield* forward
          yield* tell(second)
          yield* until(() => JSON.stringify(portsOf(cql)) === JSON.stringify(sorted(second)))
          assert.sameMembers(cql.cluster().nodes.map(({ pool }) => pool), pools)
          assert.strictEqual((yield* writes(cql)).size, nodes.length)
        }),
      120_000
    )

    it.effect(
      "a translator leads to all nodes, and is not asked again of those that are reached",
      () =>
        Effect.gen(function*() {
          const { forward, nodes, options } = yield* setup
          const ports = new Map((yield* forward).map(({ hostId, port }) => [hostId, port]))
          const asked: Array<string> = []
          const cql = yield* CqlClient.make({
            ...options,
            refreshInterval: "1 second",
            addressTranslator: ({ hostId }) => {
              asked.push(hostId)
              return Promise.resolve({ address: "127.0.0.1", port: ports.get(hostId)! })
            }
          })
          yield* cql.awaitConnected
          assert.deepStrictEqual(new Map(portsOf(cql).map(({ hostId, port }) => [hostId, port])), ports)
          assert.strictEqual((yield* writes(cql)).size, nodes.length)
          const before = asked.length
          const snapshot = cql.cluster()
          yield* Effect.sleep("3 seconds")
          assert.strictEqual(asked.length, before)
          assert.strictEqual(cql.cluster(), snapshot)
        }),
      120_000
    )
  })
}
