/** `npm run together`: one program on CQL, the DynamoDB API and a Raft store, all embedded. */
import * as Driver from "@effect-scylla/driver/Driver"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { embedded } from "./embedded.ts"
import { program } from "./program.ts"

const main = Effect.gen(function*() {
  const { left, leader, orders } = yield* program({ orders: 20, stock: 100 })
  yield* Console.log(`${orders} orders in CQL, ${left} of 100 left in the item, the lock's leader is ${leader}`)
})

/** On clusters of your own: `Driver.layer({ cql: …, alternator: …, raft: … })` with your addresses, and nothing else changes. */
const clients = Layer.unwrap(
  Effect.map(embedded, (addresses) => Driver.layer({ ...addresses, labels: { service: "shop" } }))
)

main.pipe(Effect.provide(clients), NodeRuntime.runMain)
