/**
 * `npm run fuzz -- [--iterations N] [--seed S] [--target NAME]`: hostile bytes, from seed S on, to every decoder of
 * `protocol`. Each ends in a value or a typed error, within its memory and time; the first that does not is printed with its
 * seed and bytes, and as the fixture that makes a regression test of it.
 */
import { parseArgs } from "node:util"
import { campaign, DEADLINE, fixtureOf, MEMORY_AT_LEAST, MEMORY_PER_BYTE } from "./campaign.ts"
import { targets } from "./targets.ts"

const whole = (option: string, text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${option} takes whole numbers from 1, got ${text}`)
  return value
}

const main = (): void => {
  const { values } = parseArgs({
    options: {
      iterations: { type: "string", default: "100000" },
      seed: { type: "string", default: "1" },
      target: { type: "string" }
    }
  })
  const { target } = values
  if (target !== undefined && !Object.hasOwn(targets, target)) {
    throw new Error(`there is no target ${target}, there are ${Object.keys(targets).join(", ")}`)
  }
  const [iterations, seed] = [whole("iterations", values.iterations), whole("seed", values.seed)]
  const started = performance.now()
  const result = campaign({
    iterations,
    seed,
    target,
    onProgress: (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${iterations}`)
    }
  })
  const took = ((performance.now() - started) / 1000).toFixed(1)
  if ("finding" in result) {
    const fixture = fixtureOf(result)
    console.error(`\nseed ${result.seed} of the target ${fixture.target}, after ${took} s:\n${result.finding.message}`)
    console.error(`\nbytes: ${fixture.hex}`)
    console.error(`\nagain: npm run fuzz -- --iterations 1 --seed ${result.seed}${target ? ` --target ${target}` : ""}`)
    console.error(`\nA regression test of it is the file test/fixtures/fuzz/${fixture.target}-${result.seed}.json:`)
    console.error(JSON.stringify(fixture, undefined, 2))
    process.exitCode = 1
    return
  }
  for (const [name, { error, value }] of Object.entries(result.outcomes)) {
    if (value + error > 0) {
      console.log(`${name.padEnd(20)}${String(value).padStart(9)} values${String(error).padStart(9)} errors`)
    }
  }
  const { slowest } = result
  console.log(
    `${iterations} inputs from seed ${seed} in ${took} s, all within ${DEADLINE} ms and ` +
      `${MEMORY_AT_LEAST / 1024 / 1024} MiB + ${MEMORY_PER_BYTE} bytes a byte; ` +
      `the slowest took ${slowest.millis.toFixed(1)} ms (${slowest.target}, seed ${slowest.seed})`
  )
}

try {
  main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
