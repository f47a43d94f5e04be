import { Cause, Effect, Exit } from "effect"
import { simulate } from "./simulated.ts"
for (let seed = Number(process.argv[2]); seed <= Number(process.argv[3]); seed++) {
  const t = performance.now()
  const exit = await Effect.runPromise(Effect.exit(simulate(seed, Number(process.argv[4]))))
  if (Exit.isSuccess(exit)) {
    console.log(
      seed,
      (performance.now() - t).toFixed(),
      JSON.stringify(exit.value.ends),
      JSON.stringify(exit.value.faults)
    )
  } else console.log(seed, (performance.now() - t).toFixed(), Cause.pretty(exit.cause))
}
