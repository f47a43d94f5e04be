/**
 * Java, and the jars of Apache Cassandra: fetched once by Maven into a cache outside the work tree.
 */
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { delimiter, join } from "node:path"
import { type Finished, run } from "./process.ts"

export const cassandraVersion = "5.0.5"

/** The directory of a version's jars: `$EFFECT_SCYLLA_CACHE/cassandra-VERSION/lib`, else below `~/.cache/effect-scylla`. */
export const jarsDirectory = (): string =>
  join(
    process.env.EFFECT_SCYLLA_CACHE ?? join(homedir(), ".cache", "effect-scylla"),
    `cassandra-${cassandraVersion}`,
    "lib"
  )

/** The directory appears only when it is complete, so the main jar in it is evidence enough. */
export const haveJars = (): boolean => existsSync(join(jarsDirectory(), `cassandra-all-${cassandraVersion}.jar`))

const candidates = (): ReadonlyArray<string> => {
  const homes = [process.env.JAVA_HOME_17_X64, process.env.JAVA_HOME_17_ARM64, process.env.JAVA_HOME]
  const parents = process.env.EFFECT_SCYLLA_JVMS?.split(delimiter) ??
    ["/usr/lib/jvm", "/Library/Java/JavaVirtualMachines"]
  for (const parent of parents) {
    try {
      for (const name of readdirSync(parent)) {
        if (name.includes("17")) homes.push(join(parent, name), join(parent, name, "Contents", "Home"))
      }
    } catch {
      // not this operating system, or no Java
    }
  }
  const found = homes.flatMap((home) => home === undefined || home === "" ? [] : [join(home, "bin", "java")])
  return [...found.filter((path) => existsSync(path)), "java"]
}

const majorVersion = (command: string): Effect.Effect<string | undefined> =>
  Effect.map(
    run(command, ["-version"], { timeoutMillis: 20_000 }),
    ({ code, stderr }) => code === 0 ? /version "(?:1\.)?(\d+)/.exec(stderr)?.[1] ?? "of an unknown version" : undefined
  )

export type Tool = { readonly path: string; readonly why?: never } | { readonly path?: never; readonly why: string }

/** The `java` to use: the first one of version 17. */
export const findJava: Effect.Effect<Tool> = Effect.gen(function*() {
  const seen: Array<string> = []
  for (const path of candidates()) {
    const version = yield* majorVersion(path)
    if (version === "17") return { path }
    if (version !== undefined) seen.push(`${path} is ${version}`)
  }
  const install = "install one (Debian: openjdk-17-jre-headless) or set JAVA_HOME"
  return {
    why: seen.length === 0
      ? `Apache Cassandra ${cassandraVersion} needs Java 17 and there is no Java here: ${install}`
      : `Apache Cassandra ${cassandraVersion} needs Java 17 but ${seen.join(", ")}: ${install}`
  }
})

/** Maven, which is asked only while the jars are not in the cache. */
export const findMaven: Effect.Effect<Tool> = Effect.map(
  run("mvn", ["--version"], { timeoutMillis: 30_000 }),
  ({ code }): Tool =>
    code === 0 ? { path: "mvn" } : {
      why: `the jars of Apache Cassandra ${cassandraVersion} are not in ${jarsDirectory()} and Maven is not here to ` +
        "fetch them: install it (Debian: maven), or point EFFECT_SCYLLA_CACHE at a cache that has them"
    }
)

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>effect-scylla</groupId>
  <artifactId>testkit-cassandra</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>${cassandraVersion}</version>
    </dependency>
  </dependencies>
</project>
`

const lastLines = (finished: Finished): string =>
  `${finished.stdout}\n${finished.stderr}`.split("\n").filter((line) => line.trim() !== "").slice(-10).join("\n")

/**
 * The directory with the jars, fetched first when it is not there (about 66 MB). Fetched beside and then renamed, so two
 * processes that do this at once both end with a complete directory. Fails with a sentence.
 */
export const ensureJars: Effect.Effect<string, string> = Effect.gen(function*() {
  const target = jarsDirectory()
  if (haveJars()) return target
  const maven = yield* findMaven
  if (maven.why !== undefined) return yield* Effect.fail(maven.why)
  return yield* Effect.acquireUseRelease(
    Effect.try({
      try: () => {
        const parent = join(target, "..")
        mkdirSync(parent, { recursive: true })
        const work = mkdtempSync(join(parent, "fetch-"))
        writeFileSync(join(work, "pom.xml"), pom)
        return work
      },
      catch: (error) =>
        `cannot write below ${target} (${String(error)}): point EFFECT_SCYLLA_CACHE at a directory that is yours`
    }),
    Effect.fnUntraced(function*(work) {
      process.stderr.write(`testkit: fetching Apache Cassandra ${cassandraVersion} (66 MB) into ${target}\n`)
      const finished = yield* run("mvn", [
        "-q",
        "-B",
        "dependency:copy-dependencies",
        `-DoutputDirectory=${join(work, "lib")}`,
        "-DincludeScope=runtime"
      ], { cwd: work, timeoutMillis: 300_000 })
      if (finished.code !== 0) {
        return yield* Effect.fail(
          `Maven could not fetch Apache Cassandra ${cassandraVersion} (is a Maven repository reachable from here?):\n` +
            lastLines(finished)
        )
      }
      const moved = yield* Effect.sync(() => {
        try {
          renameSync(join(work, "lib"), target)
        } catch {
          // somebody else was faster, or something incomplete stands in the way
        }
        return haveJars() && statSync(target).isDirectory()
      })
      if (!moved) return yield* Effect.fail(`${target} exists but lacks Cassandra's jars: remove it and try again`)
      process.stderr.write(`testkit: Apache Cassandra ${cassandraVersion} is in the cache\n`)
      return target
    }),
    (work) => Effect.sync(() => rmSync(work, { recursive: true, force: true }))
  )
})
