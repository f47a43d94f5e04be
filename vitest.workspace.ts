import type { TestProjectConfiguration } from "vitest/config"

/** One project per package. Tests of a file run one at a time: suites share layers, clocks and ports. */
const project = (name: string, dir: string, timeout = 20_000): TestProjectConfiguration => ({
  root: new URL(dir, import.meta.url).pathname,
  test: {
    name,
    include: ["test/**/*.test.ts", "*.test.ts"],
    sequence: { concurrent: false },
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
  project("integration", "test/integration", 120_000)
]

export default projects
