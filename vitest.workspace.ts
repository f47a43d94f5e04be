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
  /** Whether each file gets modules of its own, and so a heap of its own. Default: those of a worker are loaded once. */
  readonly isolate?: boolean
}

/** One project per package. Tests of a file run one at a time: suites share layers, clocks and ports. */
const project = (name: string, dir: string, options: Options = {}): TestProjectConfiguration => {
  const { exclude, include = ["test/**/*.test.ts", "*.test.ts"], isolate = false, last = false, timeout = 20_000 } =
    options
  return {
    root: new URL(dir, import.meta.url).pathname,
    test: {
      name,
      include: [...include],
      ...(exclude === undefined ? {} : { exclude: [...configDefaults.exclude, ...exclude] }),
      isolate,
      sequence: { concurrent: false, groupOrder: last ? 1 : 0 },
      maxWorkers: last ? 1 : workers,
      testTimeout: timeout,
      hookTimeout: timeout
    }
  }
}

/** They start no servers of others: they go along with the packages. */
const simulated = [
  "client.test.ts",
  "demo.test.ts",
  "faults.test.ts",
  "raftWire.test.ts",
  "storm.test.ts",
  "together.test.ts"
]

/** Launchers of real servers, by the servers. */
const realServers = ["test/CassandraServer.test.ts", "test/RaftServer.test.ts"]

const projects: Array<TestProjectConfiguration> = [
  // Fuzzing measures the heap.
  project("protocol", "packages/protocol", { isolate: true }),
  project("sharding", "packages/sharding"),
  project("pool", "packages/pool"),
  project("alternator", "packages/alternator"),
  project("raft-client", "packages/raft-client"),
  project("driver", "packages/driver"),
  project("cli", "packages/cli", { exclude: ["test/servers.test.ts"] }),
  project("testkit", "packages/testkit", { exclude: realServers }),
  project("testkit-servers", "packages/testkit", { include: realServers, timeout: 120_000 }),
  project("cli-servers", "packages/cli", { include: ["test/servers.test.ts"], timeout: 120_000, last: true }),
  // Broken on purpose, the driver must not be what other files of a worker have loaded.
  project("chaos", "test/chaos", {
    include: ["*.test.ts"],
    exclude: ["cassandra.test.ts"],
    isolate: true,
    timeout: 120_000
  }),
  project("differential", "test/differential"),
  project("compat", "packages/compat"),
  project("compat-beside", "test/compat", { exclude: ["cassandra.test.ts"], timeout: 60_000 }),
  project("integration-simulated", "test/integration", { include: simulated, timeout: 120_000 }),
  // Two clusters of Cassandra nodes at a time are too much for two cores, and Raft servers without theirs elect others.
  project("integration", "test/integration", { exclude: simulated, timeout: 120_000, last: true }),
  project("compat-servers", "test/compat", { include: ["cassandra.test.ts"], timeout: 120_000, last: true }),
  project("ecosystems", "test/ecosystems", { timeout: 60_000, last: true }),
  project("chaos-servers", "test/chaos", { include: ["cassandra.test.ts"], timeout: 180_000, last: true })
]

export default projects
