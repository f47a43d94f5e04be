/**
 * The `effect-scylla` command, and what it is made of.
 *
 * @since 0.1.0
 */
export * as Codegen from "./Codegen.ts"
export * as CodegenError from "./CodegenError.ts"
export * as Command from "./Command.ts"
export * as KeyspaceSchema from "./KeyspaceSchema.ts"
export * as Output from "./Output.ts"
