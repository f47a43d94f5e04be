import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"

/** Hashes of `packages/<owner>/wasm/<name>.ts`: as it is, and as it was when the module that embeds it was built. */
export const sourceHashes = (owner: string, name: string): { readonly source: string; readonly built: string } => {
  const read = (path: string) => readFileSync(new URL(`../../packages/${owner}/${path}`, import.meta.url))
  return {
    source: createHash("sha256").update(read(`wasm/${name}.ts`)).digest("hex"),
    built: /^\/\/ sha256 of the source: (\w+)$/m.exec(read(`src/internal/${name}Module.ts`).toString())?.[1] ?? "none"
  }
}
