/**
 * What is tested when: the projects of vitest by tier, with the servers that their suites have.
 *
 * `always` needs nothing but Node, `servers` runs on the real servers that are there and names the others. `bash .ci/run` is both with
 * all servers required, and what takes the packages out of the house: packing, using, the demo.
 */
export const tiers = {
  always: {
    protocol: "none",
    sharding: "none",
    pool: "simulated",
    alternator: "simulated, dynalite",
    "raft-client": "simulated",
    driver: "simulated",
    cli: "simulated",
    testkit: "simulated",
    "integration-simulated": "simulated",
    differential: "none",
    compat: "simulated",
    "compat-beside": "simulated",
    chaos: "simulated"
  },
  /** Suites of these are named for their servers. */
  servers: {
    "testkit-servers": undefined,
    "cli-servers": undefined,
    integration: undefined,
    "compat-servers": undefined,
    ecosystems: undefined,
    "chaos-servers": undefined
  }
}

/** The projects of some tiers, all of them by default. */
export const projectsOf = (names = Object.keys(tiers)) => names.flatMap((name) => Object.keys(tiers[name]))
