import type * as Cassandra from "cassandra-driver"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"

const NAME = "cassandra-driver"
const here = createRequire(import.meta.url)

/**
 * Where the package of that name lies which is not this one: a package manager may have been told to put this one in its place for a
 * program (an alias), and then it is found further up.
 */
const find = (): string => {
  for (const folder of here.resolve.paths?.(NAME) ?? []) {
    let manifest: { readonly name?: unknown }
    try {
      manifest = JSON.parse(readFileSync(join(folder, NAME, "package.json"), "utf8"))
    } catch {
      continue
    }
    if (manifest.name === NAME) return join(folder, NAME)
  }
  // Package managers without folders know it by its manifest.
  try {
    return join(here.resolve(`${NAME}/package.json`), "..")
  } catch (cause) {
    throw new Error(`${NAME} is not installed, whose values and policies this uses: npm install ${NAME}@4`, { cause })
  }
}

/** Where `cassandra-driver` itself is. */
export const directory: string = find()

const load = (path: string): any => here(join(directory, path))

/** The module as it is, with what its declarations leave out. */
export const theirs: typeof Cassandra & {
  readonly Encoder: new(protocolVersion: number, options: object) => Encoder
  readonly ExecutionOptions: new() => Cassandra.ExecutionOptions
} = load("")

/** Values as `cassandra-driver` writes and reads them, by its own rules. */
export interface Encoder {
  readonly protocolVersion: number
  encode(value: unknown, type: unknown): Buffer | null | object
  decode(bytes: Buffer, type: unknown): unknown
  setRoutingKeyFromUser(params: unknown, options: Cassandra.ExecutionOptions, keys: unknown): void
}

/**
 * The parts of it that it does not export, each of a file of its own. What is missing in another version is named when the package is
 * loaded, not in the middle of a request.
 */
const part = (path: string, name: string): any => {
  let found: any
  try {
    found = load(path)
  } catch (cause) {
    throw new Error(`${NAME} ${manifest.version} has no ${path}: @effect-scylla/compat is made for 4.8 to 4.10`, {
      cause
    })
  }
  const value = name === "" ? found : found[name]
  if (value === undefined) {
    throw new Error(
      `${NAME} ${manifest.version} has no ${name} in ${path}: @effect-scylla/compat is made for 4.8 to 4.10`
    )
  }
  return value
}

const manifest: { readonly version: string } = load("package.json")

/** What it says of itself. */
export const version: string = manifest.version

/** A node as programs see it. */
export const TheirHost: any = part("lib/host.js", "Host")

/** Options of a request as policies and trackers see them. */
export const TheirExecutionOptions: {
  create(options: object | null | undefined, client: object, rowCallback?: unknown): Cassandra.ExecutionOptions & any
} = part("lib/execution-options.js", "DefaultExecutionOptions")

/** By position what is given by name. */
export const adaptNamedParamsPrepared: (
  params: unknown,
  columns: ReadonlyArray<{ readonly name: string }>
) => ReadonlyArray<unknown> = part("lib/utils.js", "adaptNamedParamsPrepared")

/** The same for statements that are not prepared. */
export const adaptNamedParamsWithHints: (
  params: unknown,
  options: Cassandra.ExecutionOptions
) => {
  readonly params: ReadonlyArray<any> | null | undefined
  readonly namedParameters: boolean
  readonly keyIndexes: object
} = part(
  "lib/utils.js",
  "adaptNamedParamsWithHints"
)

/** Requests as it writes them, by which their length is known. */
export const TheirRequests: {
  readonly QueryRequest: new(query: string, params: unknown, options: unknown, isNamed: boolean) => Written
  readonly ExecuteRequest: new(query: string, id: Buffer, params: unknown, options: unknown, meta: object) => Written
  readonly BatchRequest: new(queries: ReadonlyArray<object>, options: unknown) => Written
} = {
  QueryRequest: part("lib/requests.js", "QueryRequest"),
  ExecuteRequest: part("lib/requests.js", "ExecuteRequest"),
  BatchRequest: part("lib/requests.js", "BatchRequest")
}

interface Written {
  readonly length: number
  write(encoder: Encoder, streamId: number): Buffer
}
