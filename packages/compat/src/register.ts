/**
 * `node --import @effect-scylla/compat/register app.js`: who asks for `cassandra-driver`, by `require` or by `import`, gets this package,
 * in the whole process and without a change to it.
 *
 * Where the name leads to stays as it is (`require.resolve`), so that what wraps modules by their names, as instrumentations do, finds it;
 * what is loaded there is another module. Files within the package (`cassandra-driver/lib/…`) are its own.
 *
 * @since 0.1.0
 */
import * as Module from "node:module"

const NAME = "cassandra-driver"
const isSource = import.meta.url.endsWith(".ts")
const own = new URL(isSource ? "./index.ts" : "./index.js", import.meta.url).href
const require = Module.createRequire(import.meta.url)

interface Loader {
  _load: (this: unknown, request: string, ...rest: ReadonlyArray<unknown>) => unknown
}

// By `require`.
const loader = Module.default as unknown as Loader
const load = loader._load
loader._load = function(request, ...rest) {
  return request === NAME ? require(isSource ? "./index.ts" : "./index.js") : load.call(this, request, ...rest)
}

// By `import`.
Module.registerHooks({
  resolve: (specifier, context, next) =>
    specifier === NAME && context.conditions.includes("import")
      ? { url: own, format: isSource ? "module-typescript" : "module", shortCircuit: true }
      : next(specifier, context)
})
