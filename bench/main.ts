/**
 * `npm run bench -- <name> [--json] [--rounds N]`: runs the benchmark of that name, a module beside this one.
 *
 * `cql` takes `--inflight 1,32` and `--only ours,raw` too, `faults` `--on cassandra`, `--seconds N` and `--only stopped,ours`.
 */
import { readdirSync } from "node:fs"
import { parseArgs } from "node:util"

interface Options {
  readonly json: boolean
  readonly rounds: number | undefined
  readonly inflight: ReadonlyArray<number> | undefined
  readonly only: ReadonlyArray<string> | undefined
  readonly on: string | undefined
  readonly seconds: number | undefined
}

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && file !== "main.ts")
  .map((file) => file.slice(0, -3))

const positive = (option: string, text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} takes whole numbers from 1, got ${text}`)
  return value
}

const main = async (): Promise<void> => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string" },
      inflight: { type: "string" },
      only: { type: "string" },
      on: { type: "string" },
      seconds: { type: "string" }
    }
  })
  const [name, ...others] = positionals
  if (name === undefined) {
    console.log(`benchmarks: ${names.join(", ")}\nnpm run bench -- <name> [--json] [--rounds N]`)
    return
  }
  if (!names.includes(name)) throw new Error(`there is no benchmark ${name}, there are ${names.join(", ")}`)
  if (others.length > 0) throw new Error(`one benchmark at a time, got also ${others.join(", ")}`)
  const { run } = await import(`./${name}.ts`) as { readonly run: (options: Options) => Promise<unknown> }
  await run({
    json: values.json,
    rounds: values.rounds === undefined ? undefined : positive("rounds", values.rounds),
    inflight: values.inflight?.split(",").map((text) => positive("inflight", text)),
    only: values.only?.split(","),
    on: values.on,
    seconds: values.seconds === undefined ? undefined : positive("seconds", values.seconds)
  })
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
