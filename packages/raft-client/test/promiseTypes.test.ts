/** What the compiler says to programs that know nothing of Effect. */
import type { RaftClient } from "@effect-scylla/raft-client"
import type * as Promises from "@effect-scylla/raft-client/promise"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import type { Context, Effect, Fiber, Layer, Option, Result, Stream } from "effect"
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
    expectTypeOf<Leaks<Pick<RaftClient.RaftClient, "get" | "watch">>>().toEqualTypeOf<".get()" | ".watch()">()
    type Lease = () => Promise<Effect.Success<ReturnType<RaftClient.RaftClient["grantLease"]>>>
    expectTypeOf<Leaks<{ readonly grantLease: Lease }>>().toEqualTypeOf<
      ".grantLease().isAlive" | ".grantLease().lost"
    >()
  })

  it("of operations are those of the Effect client", () => {
    type Lean = RaftClient.RaftClient
    expectTypeOf<Exclude<keyof Lean, keyof Promises.Client>>().toEqualTypeOf<never>()
    type Same = "put" | "putWithTtl" | "delete" | "compareAndSwap" | "transact" | "scan" | "refresh" | "resolve"
    type Outputs = { [K in Same]: Effect.Success<ReturnType<Lean[K]>> }
    expectTypeOf<{ [K in Same]: Awaited<ReturnType<Promises.Client[K]>> }>().toEqualTypeOf<Outputs>()
    type Streams = "scanPages" | "watch" | "watchPrefix" | "watchMembership"
    type Items = { [K in Streams]: Stream.Success<ReturnType<Lean[K]>> }
    type Iterated = { [K in Streams]: ReturnType<Promises.Client[K]> extends AsyncIterable<infer A> ? A : "none" }
    expectTypeOf<Iterated>().toEqualTypeOf<Items>()
    expectTypeOf<Promises.Client["get"]>().returns.resolves.toEqualTypeOf<Uint8Array | undefined>()
    type Keys = { [K in Same | "get" | "getMany"]: Parameters<Lean[K]>[0] }
    expectTypeOf<{ [K in keyof Keys]: Parameters<Promises.Client[K]>[0] }>().toEqualTypeOf<Keys>()
  })

  it("say what is wrong", () => {
    const use = async (raft: Promises.Client) => {
      // @ts-expect-error a value is needed
      await raft.put("/a")
      // @ts-expect-error a signal, not its controller
      await raft.get("/a", { signal: new AbortController() })
      // @ts-expect-error events have to be waited for
      Array.from(raft.watch("/a"))
      // @ts-expect-error it may not be there
      const value: Uint8Array = await raft.get("/a")
      // @ts-expect-error the work is a promise
      await raft.lock.withLock("/locks/a/", () => value)
      // @ts-expect-error not a time
      await raft.close({ timeout: "soon" })
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
import { type Client, connect, RaftError, Transaction, type WatchEvent } from "./promise.js"

export const main = async (signal: AbortSignal): Promise<string> => {
  await using raft: Client = await connect({
    endpoints: ["10.0.0.1:2379"],
    auth: { username: "me", password: "secret" },
    channel: { tls: { key: "pem" } },
    timeout: "3 seconds",
    signal
  })
  try {
    const value: Uint8Array | undefined = await raft.get("/a", { consistency: "lease", signal })
    await using lease = await raft.grantLease("10 seconds")
    await raft.put("/b", value ?? "none", { lease, signal: lease.lost })
    await raft.lock.withLock("/locks/a/", async ({ isHeld, lost }) => {
      await raft.transact({ compare: [isHeld], success: [Transaction.put("/c", "1")] }, { signal: lost })
    })
    for await (const event of raft.watchPrefix("/")) {
      const tag: WatchEvent["_tag"] = event._tag
      if (event._tag === "Resync") return tag + event.reason
    }
  } catch (error) {
    if (!(error instanceof RaftError)) throw error
    if (error.reason._tag === "NoLeader") return error.reason.evidence.map(({ address }) => address).join()
    console.error(error.outcome, error.isSafeToRetry, error.stack)
  }
  await raft.close({ timeout: 1000 })
  return raft.view().leader?.address ?? "none"
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
      assert.deepStrictEqual(imports.map(([, , module]) => module).sort(), ["Duration", "Layer", "Redacted"])
      const uses = Array.from(text.matchAll(/^.*\b(?:Duration|Layer|Redacted)\.\w.*$/gm), ([line]) => line.trim())
      // What may name it are the layer, times and secrets among options.
      const options = uses.map((line) =>
        /\b(\w+)(?=\??: (?:string \| )?(?:Duration|Layer|Redacted)\.)/.exec(line)?.[1] ?? line
      )
      assert.deepStrictEqual([...new Set(options)].sort(), [
        "key",
        "layer",
        "password",
        "pollInterval",
        "timeout",
        "ttl"
      ])

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
      assert.include(await check(consumer.replace("lost }) =>", "lose }) =>")), "consumer.ts(")
    } finally {
      rmSync(directory, { recursive: true })
    }
  }, 60_000)
})
