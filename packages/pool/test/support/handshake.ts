/** A handshake with one scripted node. */
import type { Connection } from "@effect-scylla/pool/Connection"
import * as Handshake from "@effect-scylla/pool/Handshake"
import type { PoolError } from "@effect-scylla/pool/PoolError"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Transport from "@effect-scylla/pool/Transport"
import type * as Request from "@effect-scylla/protocol/Request"
import { assert } from "@effect/vitest"
import { Effect, Exit, Logger } from "effect"
import { RecordingOwner } from "./connection.ts"
import * as Network from "./network.ts"
import { FakeNode, type Options as NodeOptions } from "./node.ts"
import { turns } from "./turns.ts"

export const setup = Effect.fnUntraced(function*(nodeOptions: NodeOptions = {}) {
  const network = yield* Network.make
  const node = new FakeNode(network, nodeOptions)
  const ticker = yield* Ticker.make
  const owner = new RecordingOwner()
  const logged: Array<string> = []
  const connect = (
    session: Partial<Handshake.Session> = {},
    options: Partial<Handshake.Options> = {}
  ): Effect.Effect<Connection, PoolError> =>
    Handshake.connect({
      endpoint: { address: "10.0.0.1", port: 9042 },
      owner,
      ...options,
      session: { ticker, ...session }
    }).pipe(
      Effect.provideService(Transport.Transport, network.transport),
      Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))]))
    )
  /** What the server has been asked, in order. */
  const asked = (): ReadonlyArray<Request.Request> => network.sockets.flatMap((s) => s.received.map((r) => r.request))
  const tags = (): ReadonlyArray<string> => asked().map(({ _tag }) => _tag)
  return { network, node, ticker, owner, connect, asked, tags, logged }
})

/** Fails with one typed error, and nothing stays open. */
export const fails = Effect.fnUntraced(function*(
  { network, owner }: { readonly network: Network.FakeNetwork; readonly owner: RecordingOwner },
  connect: Effect.Effect<Connection, PoolError>
) {
  const exit = yield* Effect.exit(connect)
  if (Exit.isSuccess(exit)) assert.fail("a connection was made")
  assert.strictEqual(exit.cause.reasons.length, 1)
  const [cause] = exit.cause.reasons
  if (cause?._tag !== "Fail") assert.fail(`not a typed failure: ${cause?._tag}`)
  yield* turns()
  assert.strictEqual(network.open.length, 0)
  assert.strictEqual(network.dialing, 0)
  assert.isAtMost(owner.closed.length, network.sockets.length)
  return cause.error.reason
})
