/** As ESM has it: with a default, which is all of it, types as well. */
export * from "./all.js"
import * as all from "./all.js"
export { all as default }
