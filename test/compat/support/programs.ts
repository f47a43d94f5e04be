/** Programs that nobody here wrote, unchanged, on `cassandra-driver` and on ours by the register entry: what they print is the same. */
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { libraries, optionsFor, type Side, TABLES } from "./beside.ts"

const require = createRequire(import.meta.url)
const here = (path: string): string => fileURLToPath(new URL(`../programs/${path}`, import.meta.url))
const REGISTER = fileURLToPath(import.meta.resolve("@effect-scylla/compat/register"))

interface Ended {
  readonly code: unknown
  readonly said: string
  readonly client: string | undefined
}

/** Runs a program as its users do; ours gets one more flag. */
const run = (side: Side, args: ReadonlyArray<string>): Promise<Ended> =>
  new Promise((resolve) => {
    const flags = [...side === "ours" ? ["--import", REGISTER] : [], "--import", here("probe.mjs")]
    execFile(process.execPath, [...flags, ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({
        code: error === null ? 0 : error.code,
        said: stdout.replaceAll(/compat_prog_(theirs|ours)/g, "compat_prog"),
        client: /client: (.*)/.exec(stderr)?.[1]
      })
    })
  })

const keyspaceOf = (side: Side): string => `compat_prog_${side}`

interface Place {
  readonly contactPoint: string
  readonly datacenter: string
}

/** The keyspaces, made anew, and what is in them. */
const prepare = async ({ contactPoint, datacenter }: Place): Promise<void> => {
  const client = new libraries.theirs.Client(optionsFor({ contactPoints: [contactPoint], datacenter }))
  for (const ks of (["theirs", "ours"] as const).map(keyspaceOf)) {
    await client.execute(`DROP KEYSPACE IF EXISTS ${ks}`)
    await client.execute(
      `CREATE KEYSPACE ${ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`
    )
    for (const table of TABLES) await client.execute(table.replace(/(TABLE|TYPE) /, `$1 ${ks}.`))
  }
  await client.shutdown()
}

/** What a program prints on both, after its arguments were made for each. */
const beside = async (argsOf: (side: Side) => ReadonlyArray<string>): Promise<Ended> => {
  const theirs = await run("theirs", argsOf("theirs"))
  const ours = await run("ours", argsOf("ours"))
  assert.strictEqual(theirs.client, "cassandra-driver")
  assert.strictEqual(ours.client, "compat")
  assert.deepStrictEqual({ ...ours, client: "" }, { ...theirs, client: "" })
  return ours
}

export const programs = (it: Vitest.MethodsNonLive<TestServer.TestServer>, provider: TestServer.Provider): void => {
  describe(`programs of others on ${provider}`, () => {
    const place = Effect.map(
      TestServer.TestServer,
      ({ contactPoints, datacenter = "datacenter1" }): Place => ({ contactPoint: contactPoints[0]!, datacenter })
    )
    const on = (what: string, run: (place: Place, test: TestServer.TestServer) => Promise<void>) =>
      it.effect(what, () =>
        Effect.gen(function*() {
          const at = yield* place
          const test = yield* TestServer.TestServer
          yield* Effect.promise(async () => {
            await prepare(at)
            await run(at, test)
          })
        }))

    on("express-cassandra: models, saves, finds, batches, streams", async ({ contactPoint, datacenter }) => {
      const { code, said } = await beside((side) => [here("express.cjs"), contactPoint, datacenter, keyspaceOf(side)])
      assert.strictEqual(code, 0)
      const { batched, counter, found, updated } = JSON.parse(said)
      assert.deepStrictEqual([found.length, updated, batched, counter], [2, ["x", "y", "z"], [1, 42], "2"])
    })

    on("cassandra-migration", async ({ contactPoint, datacenter }, { product }) => {
      const folder = mkdtempSync(join(tmpdir(), "compat-migrations-"))
      try {
        const command = join(dirname(require.resolve("cassandra-migration/package.json")), "bin", "cassandra-migration")
        const [host, port] = contactPoint.split(":")
        const { code } = await beside((side) => {
          const file = join(folder, `${side}.json`)
          const cassandra = {
            contactPoints: [host],
            localDataCenter: datacenter,
            keyspace: keyspaceOf(side),
            protocolOptions: { port: Number(port) }
          }
          writeFileSync(file, JSON.stringify({ migrationsDir: here("migrations"), cassandra }))
          return [command, file]
        })
        // It knows the schema tables of Cassandra 3 and 4 alone, and fails on 5 with whichever driver.
        const isKnown = product === "scylla"
        assert.strictEqual(code, isKnown ? 0 : 1)
        if (!isKnown) return
        const client = new libraries.theirs.Client(optionsFor({ contactPoints: [contactPoint], datacenter }))
        const { rows } = await client.execute(`SELECT id, name, age FROM ${keyspaceOf("ours")}.people`)
        await client.shutdown()
        assert.deepStrictEqual(rows.map(({ age, id, name }) => ({ id, name, age })), [{ id: 1, name: "Ann", age: 30 }])
      } finally {
        rmSync(folder, { recursive: true })
      }
    })

    on("@opentelemetry/instrumentation-cassandra-driver: spans", async ({ contactPoint, datacenter }) => {
      const { code, said } = await beside((side) => [here("otel.cjs"), contactPoint, datacenter, keyspaceOf(side)])
      assert.strictEqual(code, 0)
      const spans: ReadonlyArray<{ readonly name: string }> = JSON.parse(said)
      assert.deepStrictEqual(
        spans.map(({ name }) => name),
        ["execute", "execute", "execute", "batch", "execute", "execute", "stream"].map((op) => `cassandra-driver.${op}`)
      )
    })

    on("import and require give one module, with the same names", async ({ contactPoint, datacenter }) => {
      const { said } = await beside(() => [here("both.mjs"), contactPoint, datacenter])
      assert.deepStrictEqual(JSON.parse(said).isOne, true)
    })
  })
}
