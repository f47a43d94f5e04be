/**
 * The event comes when the control connection's node has the change. A node that is asked then and has not got it yet (gossip takes a
 * second) confirms the types as they were, for good: nobody asks it again, and no event of it is heard.
 */
import { Frame } from "@effect-scylla/protocol"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import { changing } from "./support/changing.ts"
import { clientOf, passing, world } from "./support/world.ts"

/** Runs an effect that needs the network, but no time. */
const atOnce = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let i = 0; i < 2_000 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust(0)
    return yield* Fiber.join(fiber)
  })

it.effect("a change by another client: a node that learns of it later than the event", () =>
  Effect.gen(function*() {
    const { cluster, cql: other } = yield* world()
    yield* passing(
      other.execute(
        "CREATE KEYSPACE one WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1} AND tablets = {'enabled': false}"
      )
    )
    yield* passing(other.execute("CREATE TABLE one.u (id int PRIMARY KEY, v int)"))
    let isLagging = false
    const float = Buffer.from([0, 1, 0x76, 0, 8])
    const cql = yield* passing(clientOf(
      cluster,
      {},
      changing(cluster.transport, (bytes, address) => {
        if (!isLagging || address !== cluster.nodes[1]!.address || bytes[4] !== Frame.Opcode.RESULT) return
        const at = bytes.indexOf(float)
        if (at > 0) bytes[at + 4] = 9
      })
    ))
    yield* passing(cql.awaitConnected)
    const held = yield* passing(cql.prepare("INSERT INTO one.u (id, v) VALUES (?, ?)"))
    // A key of node 1.
    let key = 0
    while ((yield* passing(cql.execute(held, [key, 5]))).coordinator.address !== cluster.nodes[1]!.address) key++
    isLagging = true
    yield* atOnce(other.execute("DROP TABLE one.u"))
    yield* atOnce(other.execute("CREATE TABLE one.u (id int PRIMARY KEY, v float)"))
    // Node 1 knows nothing of it yet: no time has passed in which nodes could have agreed.
    yield* atOnce(cql.execute(held, [key, 5]))
    isLagging = false
    yield* TestClock.adjust("1 minute")
    yield* passing(cql.execute(held, [key, 5]))
    const [row] = (yield* passing(other.execute(`SELECT v FROM one.u WHERE id = ${key}`))).rows
    assert.deepStrictEqual(row, { v: 5 })
  }))
