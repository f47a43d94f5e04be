import { availableParallelism } from "node:os"
import { configDefaults, type TestProjectConfiguration } from "vitest/config"

/** Two even where there are two cores, which vitest would halve. */
const workers = Math.max(2, availableParallelism() - 1)

interface Options {
  /** Which files. Default: all. */
  readonly include?: ReadonlyArray<string>
  readonly exclude?: ReadonlyArray<string>
  /** Milliseconds that a test may take. Default 20 000. */
  readonly timeout?: number
  /** One suite at a time, after all others. */
  readonly last?: boolean
}

/** One project per package. Tests of a file run one at a time: suites share layers, clocks and ports. */
const project = (name: string, dir: string, options: Options = {}): TestProjectConfiguration => {
  const { exclude, include = ["test/**/*.test.ts", "*.test.ts"], last = false, timeout = 20_000 } = options
  return {
    root: new URL(dir, import.meta.url).pathname,
    test: {
      name,
      include: [...include],
      ...(exclude === undefined ? {} : { exclude: [...configDefaults.exclude, ...exclude] }),
      sequence: { concurrent: false, groupOrder: last ? 1 : 0 },
      maxWorkers: last ? 1 : workers,
      testTimeout: timeout,
      hookTimeout: timeout
    }
  }
}

const projects: Array<TestProjectConfiguration> = [
  project("protocol", "packages/protocol"),
  project("sharding", "packages/sharding"),
  project("pool", "packages/pool"),
  project("alternator", "packages/alternator"),
  project("raft-client", "packages/raft-client"),
  project("driver", "packages/driver"),
  project("testkit", "packages/testkit"),
  // These wait more than they work, so they go along with the packages.
  project("integration-raft", "test/integration", { include: ["raft*.test.ts"], timeout: 120_000 }),
  // Two clusters of Cassandra nodes at a time are too much for two cores.
  project("integration", "test/integration", { exclude: ["raft*.test.ts"], timeout: 120_000, last: true })
]

export default projects
