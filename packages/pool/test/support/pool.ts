/** A pool of one scripted node. */
import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import type * as Handshake from "@effect-scylla/pool/Handshake"
import * as NodePool from "@effect-scylla/pool/NodePool"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Transport from "@effect-scylla/pool/Transport"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert } from "@effect/vitest"
import { Effect, Exit, Random, Scope } from "effect"
import * as Network from "./network.ts"
import { FakeNode, type Options as NodeOptions, PLAIN_PORT, SHARD_AWARE_PORT } from "./node.ts"

const ADDRESS = "10.0.0.1"

export const setup = Effect.fnUntraced(function*(
  nodeOptions: NodeOptions = {},
  options: Partial<NodePool.Options> = {},
  session: Partial<Handshake.Session> = {},
  around: { readonly seed?: string; readonly limiter?: ConnectLimiter } = {}
) {
  const network = yield* Network.make
  const node = new FakeNode(network, nodeOptions)
  const ticker = yield* Ticker.make
  const scope = yield* Scope.make()
  const start = NodePool.make({ address: ADDRESS, port: PLAIN_PORT, ...options, session: { ticker, ...session } }).pipe(
    Scope.provide(scope),
    Effect.provideService(Transport.Transport, network.transport),
    Random.withSeed(around.seed ?? "pool"),
    Effect.provideService(ConnectLimiter, around.limiter ?? makeLimiter())
  )
  const plain = () => network.dials.filter(({ port }) => port === PLAIN_PORT).length
  const aware = () => network.dials.filter(({ port }) => port === SHARD_AWARE_PORT).length
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  return { network, node, ticker, scope, start, plain, aware, close }
})

export const sharded: NodeOptions = { shards: 8, shardAwarePort: SHARD_AWARE_PORT }

/** One connection in each slot, for the shard of the slot. */
export const assertFull = (pool: NodePool.NodePool, node: FakeNode): void => {
  assert.isTrue(pool.isFull)
  assert.isTrue(pool.isUp)
  assert.strictEqual(pool.stats.excess, 0)
  for (let shard = 0; shard < pool.nrShards; shard++) assert.strictEqual(pool.pick(shard)?.shard, shard)
  assert.deepStrictEqual(node.counts, Array.from({ length: pool.nrShards }, () => 1))
}

export const query = (pool: NodePool.NodePool, shard: number, timeoutMillis = 600_000) =>
  pool.pick(shard)!.request({ _tag: "Query", query: "SELECT", options: { consistency: "ONE" } }, {
    timeoutMillis,
    decoders: new RowDecoders()
  })
