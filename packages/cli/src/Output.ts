/**
 * Generated files and a folder: writing them, and comparing them with what is there.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import type { File } from "./Codegen.ts"
import { CodegenError, Stale } from "./CodegenError.ts"
import { unifiedDiff } from "./internal/diff.ts"

/**
 * What became of a file.
 *
 * @category models
 * @since 0.1.0
 */
export interface Written {
  /** Where it is. */
  readonly path: string
  /** Whether it was written: one that has the text already is left alone. */
  readonly isChanged: boolean
}

const existing = (path: string): Effect.Effect<string | undefined, PlatformError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path)).pipe(
    Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.undefined)
  )

/** Checkouts may have line ends of their own. */
const isSame = (there: string | undefined, text: string): boolean => there?.replaceAll("\r\n", "\n") === text

/**
 * Writes the files into a folder, which is made where it is missing. Other files in it are left alone.
 *
 * @category writing
 * @since 0.1.0
 */
export const write = (
  folder: string,
  files: ReadonlyArray<File>
): Effect.Effect<ReadonlyArray<Written>, PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    yield* fs.makeDirectory(folder, { recursive: true })
    return yield* Effect.forEach(files, ({ name, text }) =>
      Effect.gen(function*() {
        const path = join(folder, name)
        const isChanged = !isSame(yield* existing(path), text)
        if (isChanged) yield* fs.writeFileString(path, text)
        return { path, isChanged }
      }))
  })

/**
 * Compares the files with those in a folder, and changes nothing. Fails with `Stale` where one is missing or has another text, whatever
 * its line ends.
 *
 * @category comparing
 * @since 0.1.0
 */
export const check = (
  folder: string,
  files: ReadonlyArray<File>
): Effect.Effect<void, CodegenError | PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const { join } = yield* Path.Path
    const changed: Array<string> = []
    const missing: Array<string> = []
    const diffs: Array<string> = []
    for (const { name, text } of files) {
      const path = join(folder, name)
      const there = yield* existing(path)
      if (there === undefined) missing.push(path)
      else if (!isSame(there, text)) {
        changed.push(path)
        diffs.push(unifiedDiff(path, there.replaceAll("\r\n", "\n"), text))
      }
    }
    if (changed.length + missing.length === 0) return
    return yield* new CodegenError({ reason: new Stale({ changed, missing, diff: diffs.join("\n") }) })
  })
