/**
 * `node --import @effect-scylla/compat/register app.js`: who asks for `cassandra-driver`, by `require` or by `import`, gets this package,
 * in the whole process and without a change to it.
 *
 * @since 0.1.0
 */
import * as Module from "node:module"

const NAME = "cassandra-driver"
const here = new URL("./", import.meta.url).href
const own = new URL(import.meta.url.endsWith(".ts") ? "./index.ts" : "./index.js", import.meta.url).href

Module.registerHooks({
  resolve: (specifier, context, next) =>
    specifier === NAME && context.parentURL?.startsWith(here) !== true
      ? { url: own, format: import.meta.url.endsWith(".ts") ? "module-typescript" : "module", shortCircuit: true }
      : next(specifier, context)
})
