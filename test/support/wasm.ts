import { assert } from "@effect/vitest"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"

/** Fails where `packages/<owner>/wasm/<name>.ts` changed after the module that embeds it was built. */
export const assertBuiltFromSource = (owner: string, name: string): void => {
  const read = (path: string) => readFileSync(new URL(`../../packages/${owner}/${path}`, import.meta.url))
  const source = createHash("sha256").update(read(`wasm/${name}.ts`)).digest("hex")
  const [, built] = /^\/\/ sha256 of the source: (\w+)$/m.exec(read(`src/internal/${name}Module.ts`).toString()) ?? []
  assert.strictEqual(built, source, `run node scripts/build-wasm.mjs: wasm/${name}.ts of ${owner} changed`)
}
