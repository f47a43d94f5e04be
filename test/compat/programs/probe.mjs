// Loaded before a program: says at its end whose client it has had.
import { createRequire } from "node:module"
const require = createRequire(import.meta.url)
process.on(
  "exit",
  () =>
    console.error(`client: ${"_begin" in require("cassandra-driver").Client.prototype ? "compat" : "cassandra-driver"}`)
)
