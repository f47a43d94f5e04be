import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"
import projects from "./vitest.workspace.ts"

/** Suites that start servers take longest: begun last, they would leave all workers but one idle at the end. */
const long = /CassandraServer\.test|demo\.test/

class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return [
      ...sorted.filter(({ moduleId }) => long.test(moduleId)),
      ...sorted.filter(({ moduleId }) => !long.test(moduleId))
    ]
  }
}

export default defineConfig({
  test: {
    projects,
    sequence: { sequencer: LongFirst },
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"] }
  }
})
