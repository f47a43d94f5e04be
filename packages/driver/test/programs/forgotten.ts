/**
 * A program that closes nothing: `forgotten.ts <case> <contact point>`. It says what it has done and is expected to end by itself.
 */
import { CqlClient } from "@effect-scylla/driver"
import { Effect, Exit, Scope } from "effect"

const [what, contactPoint] = process.argv.slice(2) as [string, string]
const scope = Effect.runSync(Scope.make())
const cql = await Effect.runPromise(
  Effect.provideService(CqlClient.make({ contactPoints: [contactPoint], shutdownTimeout: 0 }), Scope.Scope, scope)
)
switch (what) {
  case "idle":
    await Effect.runPromise(cql.execute("SELECT key FROM system.local"))
    break
  case "waiting":
    // Nobody but the request holds the process.
    Effect.runFork(
      Effect.flatMap(cql.execute("SELECT key FROM system.local"), () => Effect.sync(() => console.log("late")))
    )
    break
  case "closed":
    await Effect.runPromise(Scope.close(scope, Exit.void))
    break
}
if (what !== "waiting") console.log("done")
