/** Shells of others: what they show of a session and of a schema, and COPY, on every cluster. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Client, shells } from "./clients.ts"
import { type Cluster, run, type Setting, settings, suite } from "./clusters.ts"
import { programs } from "./preparation.ts"

const golden = fileURLToPath(new URL("golden", import.meta.url))

/** A folder for the files of a test. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-scylla-cqlsh-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** A shell on a cluster, with arguments of its own. */
const commandOf = (shell: Client, { host, port }: Cluster, own: ReadonlyArray<string>) => {
  const [command, ...args] = shell.command()
  return [command, [...args, ...own, host, String(port)]] as const
}

/** Its home: the login, and no configuration or history of anybody's. */
const settle = (directory: string, { credentials }: Cluster) => {
  const path = join(directory, "credentials")
  const login = [
    "[PlainTextAuthProvider]",
    `username = ${credentials?.username}`,
    `password = ${credentials?.password}`
  ]
  if (credentials !== undefined) writeFileSync(path, login.join("\n"), { mode: 0o600 })
  return { args: credentials === undefined ? [] : ["--credentials", path], env: { HOME: directory, COLUMNS: "200" } }
}

const drop = Effect.fnUntraced(function*(shell: Client, cluster: Cluster) {
  const { args, env } = settle(yield* folder, cluster)
  yield* run(...commandOf(shell, cluster, [...args, "-e", "DROP KEYSPACE desk"]), { env })
})

/** What a shell prints of a script in a folder: what it shows, then what it complains of. It ends with 2 where it does. */
const shown = Effect.fnUntraced(function*(
  shell: Client,
  cluster: Cluster,
  script: string,
  options: { readonly directory: string; readonly code: number }
) {
  const { code, directory } = options
  const statements = readFileSync(join(programs, "cqlsh", script), "utf8").replaceAll("COPIES", String(cluster.copies))
  writeFileSync(join(directory, script), statements)
  const { args, env } = settle(directory, cluster)
  const { stderr, stdout } = yield* run(...commandOf(shell, cluster, [...args, "-f", script]), {
    cwd: directory,
    code,
    env
  })
  return `${stdout}${stderr === "" ? "" : `-- complaints --\n${stderr}`}`
})

/** Compares with what is kept in `golden`; `UPDATE_GOLDEN=1` writes it. */
const assertGolden = (name: string, text: string): void => {
  const path = join(golden, `${name}.txt`)
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, text)
  assert.strictEqual(text, readFileSync(path, "utf8"), name)
}

/** Without what is of this cluster only: copies in the keyspace's own statement, tablets, the warning when it is made. */
const withoutCluster = (text: string, { copies, datacenter, warning }: Cluster): string => {
  const warned = warning === undefined ? "" : `\nWarnings :\n${warning}\n\n`
  assert.include(text, warned)
  return text.replace(warned, "").replaceAll(`'${datacenter}': '${copies}'`, "'DATACENTER': 'COPIES'")
    .replaceAll(/ AND tablets = \{[^}]*\}/g, "")
}

/** As many rows for the log, a few without a line. */
const given = (rows: number): string =>
  `source;seq;line\n${
    Array.from({ length: rows }, (_, i) => `s${i % 10};${i};${i % 100 === 3 ? "-" : `"line; ${i}"`}\n`).join("")
  }`

const ROWS = 500

const copied = Effect.fnUntraced(function*(shell: Client, cluster: Cluster) {
  const directory = yield* folder
  writeFileSync(join(directory, "given.csv"), given(ROWS))
  const text = yield* shown(shell, cluster, "copy.cql", { directory, code: 0 })
  const counted = [...text.matchAll(/^(\d+) rows (exported to|imported from) (\d+) files?.*?(\(.*\))?\.?$/gm)]
  assert.deepStrictEqual(
    counted.map(([, rows, what, files, skipped]) => [Number(rows), what, Number(files), skipped]),
    [
      [ROWS, "imported from", 1, "(0 skipped)"],
      [2, "exported to", 1, undefined],
      [ROWS, "exported to", 1, undefined],
      [1, "exported to", 1, undefined],
      [2, "imported from", 1, "(0 skipped)"],
      [ROWS, "imported from", 1, "(0 skipped)"],
      [1, "imported from", 1, "(0 skipped)"]
    ]
  )
  const csv = (name: string) => readFileSync(join(directory, name), "utf8").split(/\r?\n/).filter((line) => line !== "")
  assert.deepStrictEqual(csv("people.csv"), [
    "id,at,balance,big,born,home,ip,marks,name,ok,photo,pos,score,tags,uid,visits",
    "1,2024-02-29 12:34:56.789+0000,12.50,1208925819614629174706176,1990-05-17,\"{street: 'Main, 1', zip: 12345}\",10.0.0.1," +
    "\"{'x': 1, 'y': 2}\",Åsa \\\"A\\\",True,0x00ff10,\"(7, 'seven')\",0.1,\"{'a', 'b'}\",123e4567-e89b-42d3-a456-426614174000," +
    "['2024-02-29 12:34:56.789+0000']",
    "2,,,,,,,,Bo,,,,,,,"
  ])
  assert.deepStrictEqual(csv("hits.csv"), ["/,3"])
  const lines = Array.from({ length: ROWS }, (_, i) => `s${i % 10},${i},${i % 100 === 3 ? "" : `line; ${i}`}`)
  assert.deepStrictEqual(csv("log.csv").sort(), lines.sort())
  assert.deepStrictEqual(readdirSync(directory).filter((name) => name.includes(".err")), [])
  const after = text.slice(text.lastIndexOf("(0 skipped)"))
  assertGolden(`rows-copied-${cluster.product}`, after.slice(after.indexOf("\n") + 1).split("-- complaints --")[0]!)
})

const { alone, cassandra, tablets } = settings
/** Real ones, if they are named, are Cassandra's. */
const ofCassandra = "external" in settings ? [cassandra, settings.external] : [cassandra]

/** A script of a shell on clusters, against what is kept under its name. */
const script = (name: string, client: Client, script: string, on: ReadonlyArray<Setting>) =>
  suite(client, (cluster) =>
    Effect.gen(function*() {
      const text = yield* shown(client, cluster, `${script}.cql`, { directory: yield* folder, code: 2 })
      assertGolden(`${script}-${name}-${cluster.product}`, withoutCluster(text, cluster))
    }).pipe(Effect.ensuring(drop(client, cluster))), { on, what: script })

const copy = (client: Client, on: ReadonlyArray<Setting>) =>
  suite(client, (cluster) => Effect.ensuring(copied(client, cluster), drop(client, cluster)), { on, what: "copy" })

/** Traces are read at the level of the session: there are two copies of them. */
const traced = (client: Client, on: ReadonlyArray<Setting>) =>
  suite(client, (cluster) =>
    Effect.gen(function*() {
      const text = yield* shown(client, cluster, "tracing.cql", { directory: yield* folder, code: 0 })
      assert.lengthOf(text.match(/^Tracing session: [0-9a-f-]{36}$/gm) ?? [], 1)
      assert.match(text, /^ *activity +\| timestamp +\| source +\| source_elapsed \| client$/m)
      assert.match(text, /^ *Execute CQL3 query \| +[0-9-]{10} [0-9:.]{15} \| +127\.0\.0\.\d \| +0 \| +127\.0\.0\.1$/m)
      assert.match(text, /^ *Request complete \| /m)
    }).pipe(Effect.ensuring(drop(client, cluster))), { on, what: "tracing" })

script("cqlsh", shells.cqlsh, "session", [tablets, ...ofCassandra])
// Of a ScyllaDB it says that DESCRIBE is for younger servers, and asks nothing.
script("cqlsh", shells.cqlsh, "describe", ofCassandra)
copy(shells.cqlsh, [tablets, ...ofCassandra])
traced(shells.cqlsh, [tablets, cassandra])

script("scylla-cqlsh", shells.scyllaCqlsh, "session", [tablets, alone])
script("scylla-cqlsh", shells.scyllaCqlsh, "describe", [tablets, alone])
copy(shells.scyllaCqlsh, [tablets])
traced(shells.scyllaCqlsh, [tablets])
