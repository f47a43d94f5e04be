/** Bundles a program for browsers, and runs it where there is nothing but what they have. */
import { webcrypto } from "node:crypto"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { createContext, runInContext } from "node:vm"

interface Chunk {
  readonly code: string
  readonly imports: ReadonlyArray<string>
  readonly dynamicImports: ReadonlyArray<string>
}

interface Rolldown {
  readonly rolldown: (options: object) => Promise<{
    readonly generate: (options: object) => Promise<{ readonly output: readonly [Chunk, ...Array<Chunk>] }>
    readonly close: () => Promise<void>
  }>
}

/** The bundler that comes along with vite. */
const loadRolldown = (): Promise<Rolldown> => {
  const ofVite = createRequire(createRequire(import.meta.url).resolve("vite/package.json"))
  return import(pathToFileURL(ofVite.resolve("rolldown")).href) as Promise<Rolldown>
}

/** One script that has all of the program, as the global `program`. Rejects where it imports what a browser does not have. */
export const bundleForBrowser = async (file: string): Promise<string> => {
  const { rolldown } = await loadRolldown()
  const logs: Array<string> = []
  const bundle = await rolldown({
    input: file,
    platform: "browser",
    // What is not used, too, must be there.
    treeshake: false,
    onLog: (_level: string, log: { readonly code?: string; readonly message: string }) => {
      logs.push(log.message)
    }
  })
  try {
    const { output } = await bundle.generate({ format: "iife", name: "program" })
    const missing = output.flatMap(({ dynamicImports, imports }) => [...imports, ...dynamicImports])
    if (output.length !== 1 || missing.length > 0 || logs.length > 0) {
      throw new Error(`the bundle of ${file} is not complete: ${[...missing, ...logs].join("; ")}`)
    }
    return output[0].code
  } finally {
    await bundle.close()
  }
}

/** What a page has of globals beside those of the language. */
const webGlobals = () => ({
  AbortController,
  TextDecoder,
  TextEncoder,
  URL,
  atob,
  btoa,
  clearTimeout,
  console,
  crypto: { getRandomValues: (array: Int32Array<ArrayBuffer>) => webcrypto.getRandomValues(array) },
  performance,
  queueMicrotask,
  setTimeout,
  structuredClone
})

/** What `program.run` of a bundle answers; `eval` and `new Function` may be forbidden, as by a policy of the page. */
export const runInBrowser = (code: string, mayGenerate = true): ReadonlyArray<string> => {
  const context = createContext(webGlobals(), { codeGeneration: { strings: mayGenerate, wasm: true } })
  return runInContext(`${code}\nprogram.run()`, context) as ReadonlyArray<string>
}
