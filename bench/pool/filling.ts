/** From nothing to a connection for every shard of three nodes, in handshakes, by a clock that is moved by hand. */
import { ConnectLimiter, make as makeLimiter } from "@effect-scylla/pool/ConnectLimiter"
import * as NodePool from "@effect-scylla/pool/NodePool"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Transport from "@effect-scylla/pool/Transport"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Network from "../../packages/pool/test/support/network.ts"
import { FakeNode, PLAIN_PORT, SHARD_AWARE_PORT } from "../../packages/pool/test/support/node.ts"

const NODES = 3
const SHARDS = 8
/** Milliseconds for which the server keeps STARTUP waiting, and by which the clock moves. */
const HANDSHAKE = 1
const STEP = 0.05
const MAX = 100

/** Time until all pools are full, in handshakes; the limiter has its defaults. */
export const filling: Effect.Effect<number> = Effect.scoped(Effect.gen(function*() {
  const limiter = makeLimiter()
  const scope = yield* Effect.scope
  const ticker = yield* Ticker.make
  const pools: Array<NodePool.NodePool> = []
  for (let i = 0; i < NODES; i++) {
    const network = yield* Network.make
    const node = new FakeNode(network, { shards: SHARDS, shardAwarePort: SHARD_AWARE_PORT })
    node.intercept = (socket, received) => {
      if (received.request._tag !== "Startup") return false
      const later = Effect.andThen(Effect.sleep(HANDSHAKE), Effect.sync(() => node.answer(socket, received)))
      network.defer(() => Effect.runForkWith(context)(Effect.forkIn(later, scope)))
      return true
    }
    pools.push(
      yield* NodePool.make({ address: `10.0.0.${i + 1}`, port: PLAIN_PORT, session: { ticker } }).pipe(
        Effect.provideService(Transport.Transport, network.transport),
        Effect.provideService(ConnectLimiter, limiter)
      )
    )
  }
  const context = yield* Effect.context<never>()
  let passed = 0
  while (!pools.every((pool) => pool.isFull)) {
    if (passed > MAX) return yield* Effect.die(new Error("the pools do not become full"))
    yield* TestClock.adjust(STEP)
    for (let turn = 0; turn < 60; turn++) yield* Effect.yieldNow
    passed += STEP
  }
  return passed / HANDSHAKE
})).pipe(Effect.provide(TestClock.layer()))
