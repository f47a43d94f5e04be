import { CassandraServer } from "@effect-scylla/testkit"
import { Effect } from "effect"
const nodes = Number(process.argv[2] ?? 1)
await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const s = yield* CassandraServer.make({ nodes })
  console.log("ready", s.contactPoints.join(" "))
  yield* Effect.never
})))
