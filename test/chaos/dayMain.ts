/**
 * `npm run chaos -- --day [--seeds N] [--seed S] [--hours H]`: days (of 24 hours) of a client in a cluster that changes, seeds S … S+N-1 (10 from 1;
 * with `--seed` alone just that one), and whether what it knows is so.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { day } from "./day.ts"

const { values } = parseArgs({
  options: { day: { type: "boolean" }, hours: { type: "string" }, seed: { type: "string" }, seeds: { type: "string" } }
})
const number = (name: "hours" | "seed" | "seeds", fallback: number): number => {
  const value = Number(values[name] ?? fallback)
  if (Number.isInteger(value) && value > 0) return value
  process.stderr.write(`chaos: --${name} has to be a whole number from 1, got ${values[name]}\n`)
  process.exit(2)
}
const first = number("seed", 1)
const seeds = number("seeds", values.seed === undefined ? 10 : 1)
const hours = number("hours", 24)

let broken = 0
for (let seed = first; seed < first + seeds; seed++) {
  const begun = performance.now()
  const end = await Effect.runPromise(Effect.result(day(seed, hours)))
  const took = `${((performance.now() - begun) / 1_000).toFixed(1)} s`
  if (end._tag === "Success") {
    const { events, requests, snapshots } = end.success
    const all = Object.entries(events).map(([name, count]) => `${name} ${count}`).join(", ")
    console.log(`seed ${seed}: ${requests} requests, ${snapshots} snapshots; ${all} (${took})`)
  } else {
    broken++
    console.log(`${end.failure.message} (${took})`)
  }
}
console.log(`${seeds - broken} of ${seeds} days went well`)
process.exitCode = broken === 0 ? 0 : 1
