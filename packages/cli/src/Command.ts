/**
 * The command `effect-scylla`, on effect's CLI module.
 *
 * ```sh
 * effect-scylla codegen --contact-points 10.0.0.1 --keyspace shop --out src/db
 * ```
 *
 * @since 0.1.0
 */
import * as CqlClient from "@effect-scylla/driver/CqlClient"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Codegen from "./Codegen.ts"
import { CodegenError, SameFile } from "./CodegenError.ts"
import * as KeyspaceSchema from "./KeyspaceSchema.ts"
import * as Output from "./Output.ts"

const flags = {
  contactPoints: Flag.String("contact-points").pipe(
    Flag.withDescription(
      "Some nodes of the cluster, host or host:port, with commas between them. Default: CQL_CONTACT_POINTS"
    ),
    Flag.optional
  ),
  datacenter: Flag.String("datacenter").pipe(
    Flag.withDescription(
      "The datacenter whose nodes are asked. Default: CQL_DATACENTER, else that of the contact points"
    ),
    Flag.optional
  ),
  keyspaces: Flag.String("keyspace").pipe(
    Flag.withDescription("The keyspace, in the case that it was defined in; may be given several times"),
    Flag.atLeast(1)
  ),
  out: Flag.String("out").pipe(Flag.withDescription("The folder that the files are written into")),
  check: Flag.Boolean("check").pipe(
    Flag.withDescription("Write nothing; fail with a diff where a file is not what the schema says"),
    Flag.withDefault(false)
  )
}

/** What went wrong, in words, without a stack: nothing of it is a bug of whoever runs the command. */
const forUser = (cause: { readonly message: string }): CliError.UserError =>
  new CliError.UserError({ cause, userMessage: cause.message })

const listOf = (text: string): ReadonlyArray<string> =>
  text.split(",").map((each) => each.trim()).filter((each) => each !== "")

/** Files of keyspaces whose names differ in case alone are one on many systems. */
const distinct = (keyspaces: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, CodegenError> => {
  const all = [...new Set(keyspaces)].sort()
  for (const name of all) {
    const same = all.filter((other) => other.toLowerCase() === name.toLowerCase())
    if (same.length > 1) return Effect.fail(new CodegenError({ reason: new SameFile({ keyspaces: same }) }))
  }
  return Effect.succeed(all)
}

/**
 * `codegen`: writes Schemas and row types of keyspaces, or with `--check` compares them. User and password come from the environment,
 * `CQL_USERNAME` and `CQL_PASSWORD`, as does every other option of the client by its name there (`CQL_TLS`, …).
 *
 * @category commands
 * @since 0.1.0
 */
export const codegen = Command.make("codegen", flags, (input) =>
  Effect.gen(function*() {
    const keyspaces = yield* distinct(input.keyspaces)
    const schemas = yield* Effect.scoped(
      Effect.gen(function*() {
        const cql = yield* CqlClient.CqlClient
        return yield* Effect.forEach(keyspaces, (keyspace) => KeyspaceSchema.read(cql, keyspace))
      }).pipe(Effect.provide(CqlClient.layerConfig({
        ...Option.match(input.contactPoints, {
          onNone: () => ({}),
          onSome: (text) => ({ contactPoints: listOf(text) })
        }),
        ...Option.match(input.datacenter, { onNone: () => ({}), onSome: (localDatacenter) => ({ localDatacenter }) })
      })))
    )
    const files = Codegen.generate(schemas)
    if (input.check) {
      yield* Output.check(input.out, files).pipe(
        Effect.tapError((error) =>
          error._tag === "CodegenError" && error.reason._tag === "Stale" && error.reason.diff !== ""
            ? Console.log(error.reason.diff)
            : Effect.void
        )
      )
      yield* Console.log(`${files.length} ${files.length === 1 ? "file is" : "files are"} what the schema says`)
      return
    }
    for (const { isChanged, path } of yield* Output.write(input.out, files)) {
      yield* Console.log(`${isChanged ? "written  " : "unchanged"} ${path}`)
    }
  }).pipe(Effect.mapError(forUser))).pipe(
    Command.withDescription("Writes Effect Schemas and row types for the tables, views and types of a keyspace"),
    Command.withExamples([
      {
        command: "effect-scylla codegen --contact-points 10.0.0.1,10.0.0.2 --keyspace shop --out src/db",
        description: "Writes src/db/shop.ts"
      },
      {
        command: "effect-scylla codegen --keyspace shop --out src/db --check",
        description: "For CI: fails where the files are not what the schema says"
      }
    ])
  )

/**
 * `effect-scylla` with all its commands.
 *
 * @category commands
 * @since 0.1.0
 */
export const command = Command.make("effect-scylla").pipe(
  Command.withDescription("Tools for ScyllaDB and Apache Cassandra"),
  Command.withSubcommands([codegen])
)
