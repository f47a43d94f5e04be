/** Runs targets over seeds and holds them to what is promised of hostile bytes. */
import { getHeapStatistics } from "node:v8"
import { Random } from "../../packages/protocol/test/support/random.ts"
import { type Outcome, targets } from "./targets.ts"

/**
 * What one input may allocate: for each of its bytes, and for any. The largest that is promised is 32 words of nulls a byte
 * (`parts that are left out`), read in eight ways by the target `rows`; compiled code and tables of decoders are the rest.
 */
export const MEMORY_PER_BYTE = 4096
export const MEMORY_AT_LEAST = 24 * 1024 * 1024

/** How long one input may take, milliseconds: far more than any does, for machines that stand still. */
export const DEADLINE = 5000

/** An input that broke a promise. */
export class Finding extends Error {
  readonly target: string
  readonly input: Uint8Array
  constructor(target: string, input: Uint8Array, why: string, cause?: unknown) {
    super(why, { cause })
    this.target = target
    this.input = input
  }
}

const allocated = (): number => {
  const heap = getHeapStatistics()
  return heap.used_heap_size + heap.external_memory
}

/** Runs one input; throws a {@link Finding}. */
export const check = (target: string, input: Uint8Array): { readonly outcome: Outcome; readonly took: number } => {
  const { run } = targets[target]!
  const limit = MEMORY_AT_LEAST + MEMORY_PER_BYTE * input.length
  // A second time, should something else have allocated during the first.
  for (let attempt = 1;; attempt++) {
    const before = allocated()
    const started = performance.now()
    let outcome: Outcome
    try {
      outcome = run(input)
    } catch (error) {
      throw new Finding(target, input, error instanceof Error ? error.stack ?? error.message : String(error), error)
    }
    const took = performance.now() - started
    const grown = allocated() - before
    if (grown <= limit && took <= DEADLINE) return { outcome, took }
    if (attempt === 2) {
      throw new Finding(target, input, `it took ${Math.round(took)} ms and ${grown} bytes, of ${DEADLINE} and ${limit}`)
    }
  }
}

export interface Report {
  readonly iterations: number
  readonly outcomes: Readonly<Record<string, { value: number; error: number }>>
  readonly slowest: { readonly seed: number; readonly target: string; readonly millis: number }
}

export interface Found {
  readonly seed: number
  readonly finding: Finding
}

const wheel = Object.entries(targets).flatMap(([name, { weight }]) => Array.from({ length: weight }, () => name))

/** Inputs of the seeds from `seed` on, of all targets or one. Stops at the first finding. */
export const campaign = (
  options: {
    readonly iterations: number
    readonly seed: number
    readonly target?: string | undefined
    readonly onProgress?: ((done: number) => void) | undefined
  }
): Report | Found => {
  const outcomes = Object.fromEntries(Object.keys(targets).map((name) => [name, { value: 0, error: 0 }]))
  let slowest: Report["slowest"] = { seed: options.seed, target: "", millis: 0 }
  for (let i = 0; i < options.iterations; i++) {
    const seed = options.seed + i
    const random = new Random(Math.imul(seed, 0x9e3779b1) >>> 0)
    const target = options.target ?? random.pick(wheel)
    const input = targets[target]!.make(random)
    try {
      const { outcome, took } = check(target, input)
      outcomes[target]![outcome]++
      if (took > slowest.millis) slowest = { seed, target, millis: took }
    } catch (error) {
      if (error instanceof Finding) return { seed, finding: error }
      throw error
    }
    if (i % 10_000 === 9999) options.onProgress?.(i + 1)
  }
  return { iterations: options.iterations, outcomes, slowest }
}

/** What a finding is written down as, in test/fixtures/fuzz. */
export interface Fixture {
  readonly target: string
  readonly note: string
  readonly hex: string
}

export const fixtureOf = ({ finding, seed }: Found): Fixture => ({
  target: finding.target,
  note: `seed ${seed}: ${finding.message.split("\n")[0]}`,
  hex: Buffer.from(finding.input).toString("hex")
})
