import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import projects from "./vitest.workspace.ts"

export default defineConfig({
  // Two even where there are two cores, which vitest would halve: the long suites wait for servers.
  test: {
    projects,
    maxWorkers: Math.max(2, availableParallelism() - 1),
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"] }
  }
})
