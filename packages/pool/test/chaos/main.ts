/**
 * `npm run chaos -- [--seeds N] [--requests M] [--seed S]`: runs seeds S … S+N-1 (50 from 1), M requests each (1000). With
 * `--seed` alone it runs just that one.
 */
import { Cause, Effect, Exit } from "effect"
import { parseArgs } from "node:util"
import { simulate } from "./simulate.ts"

const { values } = parseArgs({
  options: { seeds: { type: "string" }, requests: { type: "string" }, seed: { type: "string" } }
})
const number = (name: "seeds" | "requests" | "seed", fallback: number): number => {
  const value = Number(values[name] ?? fallback)
  if (Number.isInteger(value) && value > 0) return value
  process.stderr.write(`chaos: --${name} has to be a whole number from 1, got ${values[name]}\n`)
  process.exit(2)
}
const first = number("seed", 1)
const seeds = number("seeds", values.seed === undefined ? 50 : 1)
const requests = number("requests", 1_000)

const begun = performance.now()
const ends: Record<string, number> = {}
const faults: Record<string, number> = {}
const abandoned: Record<string, number> = {}
const add = (to: Record<string, number>, counts: Readonly<Record<string, number>>): void => {
  for (const [name, count] of Object.entries(counts)) to[name] = (to[name] ?? 0) + count
}
const list = (counts: Record<string, number>): string =>
  Object.entries(counts).toSorted((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count}`).join(", ")

for (let seed = first; seed < first + seeds; seed++) {
  const exit = await Effect.runPromise(Effect.exit(simulate(seed, requests)))
  if (Exit.isFailure(exit)) {
    process.stderr.write(
      `${Cause.pretty(exit.cause)}\n\nreplay: npm run chaos -- --seed ${seed} --requests ${requests}\n`
    )
    process.exit(1)
  }
  add(ends, exit.value.ends)
  add(faults, exit.value.faults)
  add(abandoned, exit.value.abandoned)
}
const seconds = (performance.now() - begun) / 1000
process.stdout.write(
  `${seeds} seeds of ${requests} requests: no invariant was broken; ${(seeds / seconds).toFixed(1)} seeds/s\n` +
    `requests: ${list(ends)}\nabandoned: ${list(abandoned)}\nfaults: ${list(faults)}\n`
)
