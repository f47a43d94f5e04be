/** What the compiler says to programs that know nothing of Effect. */
import type { AlternatorClient, AlternatorNodes } from "@effect-scylla/alternator"
import { AlternatorTable } from "@effect-scylla/alternator"
import type * as Promises from "@effect-scylla/alternator/promise"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import {
  type Context,
  type Effect,
  type Fiber,
  type Layer,
  type Option,
  type Result,
  Schema,
  type Stream
} from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

type OfEffect =
  | Effect.Effect<any, any, any>
  | Stream.Stream<any, any, any>
  | Layer.Layer<any, any, any>
  | Fiber.Fiber<any, any>
  | Context.Context<any>
  | Option.Option<any>
  | Result.Result<any, any>

/** The paths by which a value of this type gives one of Effect's: by calling, waiting, iterating or reading fields. */
type Leaks<T, Path extends string = "", Depth extends ReadonlyArray<unknown> = []> = Depth["length"] extends 7 ? never
  : 0 extends 1 & T ? never
  : T extends OfEffect ? Path
  : T extends string | number | bigint | boolean | symbol | null | undefined | Uint8Array | Date ? never
  : T extends (...args: any) => infer R ? Leaks<R, `${Path}()`, [...Depth, 0]>
  : T extends PromiseLike<infer A> ? Leaks<A, Path, [...Depth, 0]>
  : T extends AsyncIterable<infer A> ? Leaks<A, `${Path}[]`, [...Depth, 0]>
  : T extends ReadonlyArray<infer A> ? Leaks<A, `${Path}[]`, [...Depth, 0]>
  : { [K in keyof T & string]: Leaks<T[K], `${Path}.${K}`, [...Depth, 0]> }[keyof T & string]

describe("types", () => {
  it("of results are never Effect's", () => {
    expectTypeOf<Leaks<Promises.Client>>().toEqualTypeOf<never>()
    // Or it would be seen.
    expectTypeOf<Leaks<Pick<AlternatorClient.AlternatorClient, "getItem">>>().toEqualTypeOf<".getItem()">()
    expectTypeOf<Leaks<{ readonly a: () => Promise<{ readonly b: AlternatorNodes.AlternatorNodes["age"] }> }>>()
      .toEqualTypeOf<".a().b">()
  })

  it("of operations are those of the Effect client", () => {
    type Lean = AlternatorClient.AlternatorClient
    type Method = Exclude<keyof Lean, "nodes" | "execute">
    expectTypeOf<keyof Promises.ClientOperations>().toEqualTypeOf<Method>()
    type Outputs = { [K in Method]: Effect.Success<ReturnType<Lean[K]>> }
    type Promised = { [K in Method]: Awaited<ReturnType<Promises.ClientOperations[K]>> }
    expectTypeOf<Promised>().toEqualTypeOf<Outputs>()
    type Inputs = { [K in Method]: Parameters<Lean[K]>[0] }
    expectTypeOf<{ [K in Method]: Parameters<Promises.ClientOperations[K]>[0] }>().toEqualTypeOf<Inputs>()
  })

  it("of tables are those of their schema", () => {
    const Users = AlternatorTable.make("users", {
      item: Schema.Struct({ country: Schema.String, id: Schema.Number, joined: Schema.DateFromString }),
      partitionKey: { name: "country", type: "S" },
      sortKey: { name: "id", type: "N" }
    })
    const use = (db: Promises.Client) => {
      const users = db.table(Users)
      expectTypeOf(users.get).parameter(0).toEqualTypeOf<{ readonly country: string; readonly id: number }>()
      expectTypeOf(users.query).parameter(0).toEqualTypeOf<{ readonly country: string }>()
      type User = { readonly country: string; readonly id: number; readonly joined: Date }
      expectTypeOf(users.get({ country: "se", id: 1 })).resolves.toEqualTypeOf<User | undefined>()
      expectTypeOf(users.scan()).toEqualTypeOf<AsyncIterable<User>>()
    }
    assert.isFunction(use)
  })

  it("say what is wrong", () => {
    const use = async (db: Promises.Client) => {
      // @ts-expect-error a key is needed
      await db.getItem({ TableName: "t" })
      // @ts-expect-error no such operation
      await db.execute("GetItems", { TableName: "t" })
      // @ts-expect-error a signal, not its controller
      await db.getItem({ TableName: "t", Key: { id: 1 } }, { signal: new AbortController() })
      // @ts-expect-error items have to be waited for
      Array.from(db.paging.scan({ TableName: "t" }))
      // @ts-expect-error not a time
      await db.close({ timeout: "soon" })
    }
    assert.isFunction(use)
  })
})

const root = join(import.meta.dirname, "..")
const tsc = join(root, "../../node_modules/typescript/bin/tsc")

const compile = (args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve) => {
    execFile(process.execPath, [tsc, ...args], { cwd: root }, (error, stdout) => {
      resolve(error === null ? "" : stdout || error.message)
    })
  })

/** A program of somebody who knows nothing of Effect. */
const consumer = `
import { AlternatorError, type Client, connect, type Item, RoutingScope, sigV4 } from "./promise.js"

const seeds: ReadonlyArray<string> = ["10.0.0.1:8000"]
export const main = async (signal: AbortSignal): Promise<ReadonlyArray<Item>> => {
  await using db: Client = await connect({
    seeds,
    auth: sigV4({ accessKeyId: "a", secretAccessKey: "b" }),
    scope: RoutingScope.datacenter("dc1"),
    deadline: "3 seconds",
    resolve: async (name) => [name],
    signal
  })
  const found: Array<Item> = []
  try {
    const { Item } = await db.getItem({ TableName: "users", Key: { id: 1 } }, { signal, deadline: 500 })
    if (Item !== undefined) found.push(Item)
    for await (const item of db.paging.scan({ TableName: "users" }, { segments: 4 })) found.push(item)
  } catch (error) {
    if (!(error instanceof AlternatorError)) throw error
    const { outcome, reason } = error
    switch (reason._tag) {
      case "ConditionalCheckFailed":
        return reason.item === undefined ? [] : [reason.item as Item]
      default:
        console.error(outcome, error.isSafeToRetry, error.stack)
    }
  }
  await db.close({ timeout: 1000 })
  return found
}
`

describe("declarations", () => {
  it("name Effect for options only, and a strict program compiles against them", async () => {
    const directory = mkdtempSync(join(import.meta.dirname, ".types-"))
    try {
      const emitted = ["--outDir", directory, "--declaration", "--emitDeclarationOnly", "--declarationMap", "false"]
      const alone = ["--composite", "false", "--incremental", "false"]
      assert.strictEqual(await compile(["-p", root, ...emitted, ...alone]), "")

      const text = readFileSync(join(directory, "promise.d.ts"), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "")
      const imports = Array.from(text.matchAll(/import (?:type )?\* as (\w+) from "effect\/(\w+)"/g))
      assert.deepStrictEqual(imports.map(([, , module]) => module).sort(), ["Duration", "Layer", "Schema"])
      const uses = Array.from(text.matchAll(/^.*\b(?:Duration|Layer|Schema)\.\w.*$/gm), ([line]) => line.trim())
      // What may name it are the layer and times among options, and the schema of a table.
      const options = uses.map((line) =>
        /^(?:readonly )?(layer\?|timeout\?|type Of|table)(?=[:<])/.exec(line)?.[1] ?? line
      )
      assert.deepStrictEqual(options, ["layer?", "timeout?", "type Of", "table"])

      const check = (program: string): Promise<string> => {
        const file = join(directory, "consumer.ts")
        writeFileSync(file, program)
        const strict = [
          "--strict",
          "--exactOptionalPropertyTypes",
          "--noUncheckedIndexedAccess",
          "--noEmit",
          "--ignoreConfig"
        ]
        const settings = ["--target", "es2023", "--lib", "es2024,esnext.disposable,dom", "--module", "nodenext"]
        return compile([file, ...strict, ...settings, "--types", "node"])
      }
      assert.strictEqual(await check(consumer), "")
      assert.include(await check(consumer.replace("Key: { id: 1 }", "Keys: []")), "consumer.ts(16,")
    } finally {
      rmSync(directory, { recursive: true })
    }
  }, 60_000)
})
