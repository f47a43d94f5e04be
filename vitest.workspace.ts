import { availableParallelism } from "node:os"
import type { TestProjectConfiguration } from "vitest/config"

/** Two even where there are two cores, which vitest would halve. */
const workers = Math.max(2, availableParallelism() - 1)

/** One project per package. Tests of a file run one at a time: suites share layers, clocks and ports. */
const project = (name: string, dir: string, timeout = 20_000, alone = false): TestProjectConfiguration => ({
  root: new URL(dir, import.meta.url).pathname,
  test: {
    name,
    include: ["test/**/*.test.ts", "*.test.ts"],
    // Real servers come last, and one suite of them at a time: two clusters of Cassandra nodes are too much for two cores.
    sequence: { concurrent: false, groupOrder: alone ? 1 : 0 },
    maxWorkers: alone ? 1 : workers,
    testTimeout: timeout,
    hookTimeout: timeout
  }
})

const projects: Array<TestProjectConfiguration> = [
  project("protocol", "packages/protocol"),
  project("sharding", "packages/sharding"),
  project("pool", "packages/pool"),
  project("alternator", "packages/alternator"),
  project("raft-client", "packages/raft-client"),
  project("driver", "packages/driver"),
  project("testkit", "packages/testkit"),
  project("integration", "test/integration", 120_000, true)
]

export default projects
