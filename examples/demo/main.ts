/** `npm run demo`: see `--help`. */
import { CqlClient } from "@effect-scylla/driver"
import { Transport } from "@effect-scylla/pool"
import { Ports, SimulatedCluster } from "@effect-scylla/testkit"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Data, Effect, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import { alternator } from "../alternator/demo.ts"
import { raft } from "../raft/demo.ts"
import { onContactPoints, onSimulated } from "./cql.ts"
import { heading } from "./terminal.ts"

const atLeastOne = Flag.filter((count: number) => count >= 1, (count) => `at least 1, got ${count}`)

/** Flags that do not go together. */
class WrongFlags extends Data.TaggedError("WrongFlags")<{ readonly message: string }> {}

const flags = {
  contactPoints: Flag.String("contact-points").pipe(
    Flag.withDescription("HOST[:PORT],… of a real cluster; nothing is killed there. Default: a simulated cluster"),
    Flag.optional
  ),
  datacenter: Flag.String("datacenter").pipe(
    Flag.withDescription("local datacenter of the real cluster"),
    Flag.optional
  ),
  username: Flag.String("username").pipe(Flag.optional),
  password: Flag.String("password").pipe(Flag.optional),
  rows: Flag.Int("rows").pipe(
    Flag.withDescription("rows to write and read back"),
    atLeastOne,
    Flag.withDefault(20_000)
  ),
  concurrency: Flag.Int("concurrency").pipe(
    Flag.withDescription("requests under way at once"),
    atLeastOne,
    Flag.withDefault(256)
  ),
  notIdempotent: Flag.Boolean("not-idempotent").pipe(
    Flag.withDescription("do not mark the INSERTs idempotent: those cut off are reported as Ambiguous"),
    Flag.withDefault(false)
  ),
  memory: Flag.Boolean("memory").pipe(Flag.withDescription("simulate without sockets"), Flag.withDefault(false))
}

const simulated = Effect.fnUntraced(function*(settings: Parameters<typeof onSimulated>[1], memory: boolean) {
  const loopback = yield* Ports.canUseLoopback("127.0.0.2")
  const transport = memory || !loopback ? "memory" : "tcp"
  yield* heading(
    transport === "tcp"
      ? "A simulated ScyllaDB cluster, over TCP on 127.0.0.1, .2 and .3"
      : `A simulated ScyllaDB cluster, in memory${loopback ? "" : " (this system has no address 127.0.0.2)"}`
  )
  const cluster = yield* SimulatedCluster.make({ nodes: 3, shards: 4, transport })
  yield* Effect.provideService(onSimulated(cluster, settings), Transport.Transport, cluster.transport)
})

const demo = Command.make("demo", flags, (flags) =>
  Effect.scoped(Effect.gen(function*() {
    const settings = { rows: flags.rows, concurrency: flags.concurrency, idempotent: !flags.notIdempotent }
    if (Option.isNone(flags.contactPoints)) {
      const idle = (["datacenter", "username", "password"] as const).filter((name) => Option.isSome(flags[name]))
      if (idle.length > 0) {
        return yield* new WrongFlags({ message: `--${idle.join(", --")}: only with --contact-points` })
      }
      yield* simulated(settings, flags.memory)
    } else {
      if (flags.memory) return yield* new WrongFlags({ message: "--memory: not with --contact-points" })
      yield* heading(`The cluster at ${flags.contactPoints.value}`)
      const client = yield* CqlClient.make({
        contactPoints: flags.contactPoints.value.split(","),
        localDatacenter: Option.getOrUndefined(flags.datacenter),
        username: Option.getOrUndefined(flags.username),
        password: Option.getOrUndefined(Option.map(flags.password, (password) => Redacted.make(password)))
      })
      yield* onContactPoints(client, settings)
    }
    yield* Console.log("\ndone")
  })).pipe(
    Effect.catchTag(["CqlError", "SimulatedClusterError", "TimeoutError", "WrongFlags"], (error) =>
      Effect.andThen(
        Console.error(`\n${error.message}`),
        Effect.sync(() => {
          process.exitCode = 1
        })
      ))
  )).pipe(Command.withDescription("Writes and reads rows on the cores that own them, while a node dies and comes back"))

Command.run(demo.pipe(Command.withSubcommands([alternator, raft])), { version: "0.1.0" }).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
