/**
 * How long a program waits before it can ask anything: the import of the packages as they are published (built, each in a few files), of
 * `effect` itself and of `cassandra-driver`, unbundled and as one file; then the first row of a simulated cluster over TCP.
 *
 * `node bench/start.ts [--json] [--rounds N]`
 *
 * Each figure is of a new process without a compile cache, the median of its rounds, which are interleaved.
 */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { rolldown } from "rolldown"
import { head } from "./support/table.ts"

/** Goals of the import in milliseconds, and what `cassandra-driver` took on the machine for which they were set. */
const budget = { unbundled: 300, bundled: 150, theirs: 190 } as const

const root = join(import.meta.dirname, "..")
const exec = promisify(execFile)

/** Without the cache of the workspace's own runs: a function of a cloud has none. */
const { NODE_COMPILE_CACHE: _cache, ...env } = process.env

const packages = ["protocol", "sharding", "pool", "driver"] as const

/** A folder in which the packages are as npm would install them. */
const install = async (): Promise<string> => {
  await exec(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b", "tsconfig.packages.json"], {
    cwd: root
  })
  await exec(process.execPath, [join(root, "scripts/bundle.mjs")], { cwd: root })
  const project = mkdtempSync(join(tmpdir(), "effect-scylla-start-"))
  for (const name of packages) {
    const [from, to] = [join(root, "packages", name), join(project, "node_modules/@effect-scylla", name)]
    mkdirSync(to, { recursive: true })
    cpSync(join(from, "dist"), join(to, "dist"), { recursive: true })
    const manifest = JSON.parse(readFileSync(join(from, "package.json"), "utf8"))
    writeFileSync(join(to, "package.json"), JSON.stringify({ ...manifest, ...manifest.publishConfig }))
  }
  for (const name of ["effect", "cassandra-driver"]) {
    symlinkSync(realpathSync(join(root, "node_modules", name)), join(project, "node_modules", name))
  }
  return project
}

/** What is imported, and how it comes to a row. */
const programs = {
  "effect/Effect and Stream": { code: `import "effect/Effect"; import "effect/Stream"` },
  "driver/promise": {
    code: `import { connect } from "@effect-scylla/driver/promise"
export const first = async (contactPoints) => {
  const db = await connect({ contactPoints, localDatacenter: "datacenter1" })
  await db.execute("SELECT release_version FROM system.local")
  await db.close()
}`
  },
  "driver/CqlClient": {
    code: `import * as CqlClient from "@effect-scylla/driver/CqlClient"; export const { layer } = CqlClient`
  },
  "driver, the index": {
    code: `import { CqlClient } from "@effect-scylla/driver"; export const { layer } = CqlClient`
  },
  "cassandra-driver": {
    code: `import cassandra from "cassandra-driver"
export const first = async (contactPoints) => {
  const db = new cassandra.Client({ contactPoints, localDataCenter: "datacenter1" })
  await db.execute("SELECT release_version FROM system.local")
  await db.shutdown()
}`
  }
} as const

type Name = keyof typeof programs
const bundles: ReadonlySet<Name> = new Set(["driver/promise", "driver/CqlClient", "cassandra-driver"])

interface Figure {
  readonly name: string
  readonly bundled: boolean
  readonly kib: number | undefined
  readonly importMillis: number
  readonly firstRowMillis: number | undefined
}

/** Run in the new process: prints how long the import took, and how long it took with the first row. */
const child = `const [file, ...points] = process.argv.slice(1)
const begun = performance.now()
const { first } = await import(file)
const loaded = performance.now() - begun
if (first) await first(points)
console.log(JSON.stringify([loaded, first ? performance.now() - begun : undefined]))`

const median = (of: ReadonlyArray<number>): number => of.toSorted((a, b) => a - b)[of.length >> 1]!

const measured = async (
  project: string,
  points: ReadonlyArray<string>,
  rounds: number
): Promise<ReadonlyArray<Figure>> => {
  const runs: Array<
    {
      readonly name: Name
      readonly file: string
      readonly bundled: boolean
      readonly took: Array<[number, number | null]>
    }
  > = []
  for (const [i, name] of (Object.keys(programs) as Array<Name>).entries()) {
    const file = join(project, `program${i}.mjs`)
    writeFileSync(file, programs[name].code)
    runs.push({ name, file, bundled: false, took: [] })
    if (!bundles.has(name)) continue
    const build = await rolldown({ input: file, platform: "node" })
    const bundle = join(project, `bundle${i}.mjs`)
    // Outside the project's folder nothing is found but what is in the file.
    await build.write({ format: "esm", file: bundle, minify: true, codeSplitting: false })
    runs.push({ name, file: bundle, bundled: true, took: [] })
  }
  for (let round = 0; round < rounds; round++) {
    for (const { file, took } of runs) {
      const args = ["--input-type=module", "--eval", child, pathToFileURL(file).href, ...points]
      const { stdout } = await exec(process.execPath, args, { cwd: project, env })
      took.push(JSON.parse(stdout) as [number, number | null])
    }
  }
  return runs.map(({ bundled, file, name, took }) => {
    const rows = took.flatMap(([, row]) => row === null ? [] : [row])
    return {
      name,
      bundled,
      kib: bundled ? statSync(file).size / 1024 : undefined,
      importMillis: median(took.map(([millis]) => millis)),
      firstRowMillis: rows.length === 0 ? undefined : median(rows)
    }
  })
}

const print = (figures: ReadonlyArray<Figure>): void => {
  const theirs = figures.find(({ bundled, name }) => name === "cassandra-driver" && !bundled)!.importMillis
  head("milliseconds, median", "import", "goal", "of theirs", "goal", "first row", "KiB")
  for (const { bundled, firstRowMillis, importMillis, kib, name } of figures) {
    const goal = name.startsWith("driver/") ? budget[bundled ? "bundled" : "unbundled"] : undefined
    head(
      `${name}${bundled ? ", bundled" : ""}`,
      importMillis.toFixed(0),
      goal?.toFixed(0) ?? "",
      (importMillis / theirs).toFixed(2),
      goal === undefined ? "" : (goal / budget.theirs).toFixed(2),
      firstRowMillis?.toFixed(0) ?? "",
      kib?.toFixed(0) ?? ""
    )
  }
}

export const run = async (options: { readonly json: boolean; readonly rounds: number | undefined }): Promise<void> => {
  const project = await install()
  try {
    const figures = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 4 })
      const points = cluster.contactPoints
      return yield* Effect.promise(() => measured(project, points, options.rounds ?? 9))
    })))
    if (options.json) console.log(JSON.stringify({ budget, figures }, null, 2))
    else print(figures)
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

if (process.argv[1] === import.meta.filename) await run({ json: process.argv.includes("--json"), rounds: undefined })
