/** `npm run ecosystems [name…]`: makes the clients of others that the suites of this folder run; all of them by default. */
import { Effect } from "effect"
import { preparations } from "./clients.ts"
import { directoryOf, prepare } from "./preparation.ts"

/** As many at a time: compilers and installers wait for the network by turns. */
const AT_A_TIME = 2

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => preparations.every((each) => each.name !== name))
if (unknown.length > 0) {
  console.error(`there is no ${unknown.join(", ")}: choose of ${preparations.map(({ name }) => name).join(", ")}`)
  process.exit(2)
}
const chosen = preparations.filter(({ name }) => wanted.length === 0 || wanted.includes(name))

const results = await Effect.runPromise(Effect.forEach(chosen, (preparation) =>
  Effect.gen(function*() {
    const begun = performance.now()
    const why = yield* prepare(preparation)
    const after = `after ${((performance.now() - begun) / 1000).toFixed(1)} s`
    console.log(
      why === undefined ? `${preparation.name}: in ${directoryOf(preparation)} ${after}` : `${preparation.name}: ${why}`
    )
    return why === undefined
  }), { concurrency: AT_A_TIME }))

if (results.includes(false)) process.exitCode = 1
