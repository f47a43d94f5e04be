/**
 * A simulated cluster of Cassandra nodes with the keyspace that `docs/first-ten-minutes.md` begins with. Prints `ready` and a contact point, and ends
 * with stdin.
 */
import { CqlClient } from "@effect-scylla/driver"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import { once } from "node:events"
import { readFileSync } from "node:fs"

const page = readFileSync(new URL("../../docs/first-ten-minutes.md", import.meta.url), "utf8")
const statements = /^```cql\n([\s\S]*?)^```$/m.exec(page)![1]!.split(";").map((text) => text.trim())
  .filter((text) => text !== "")

const program = Effect.gen(function*() {
  const cluster = yield* SimulatedCluster.make({ nodes: 3, product: "cassandra" })
  const cql = yield* CqlClient.make({ contactPoints: cluster.contactPoints })
  for (const statement of statements) yield* cql.execute(statement)
  console.log(`ready ${cluster.contactPoints[0]}`)
  process.stdin.resume()
  yield* Effect.promise(() => once(process.stdin, "end"))
})

await Effect.runPromise(Effect.scoped(program))
