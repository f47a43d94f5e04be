/** `npm run demo -- raft`: members, leader, a kill, and the new leader. */
import { DEngineAdapter, EtcdAdapter, RaftClient } from "@effect-scylla/raft-client"
import * as RaftSimulatedServer from "@effect-scylla/testkit/RaftSimulatedServer"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { Console, Effect, Fiber, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { heading, table } from "../demo/terminal.ts"

const flags = {
  endpoints: Flag.String("endpoints").pipe(
    Flag.withDescription(
      "HOST:PORT,… of a real cluster; nothing is killed there. Default: a simulated d-engine cluster"
    ),
    Flag.optional
  ),
  kind: Flag.Literals("kind", ["d-engine", "etcd"]).pipe(
    Flag.withDescription("what the real cluster is"),
    Flag.withDefault("d-engine" as const)
  )
}

const prefix = "/effect-scylla-demo/"

const showMembers = Effect.fnUntraced(function*(client: RaftClient.RaftClient) {
  const { evidence, leader, members } = yield* client.view
  yield* table(
    ["member", "address", "what it said last"],
    members.map(({ address, id }) => [
      id + (id === leader?.id ? " (leader)" : ""),
      address,
      evidence.find((one) => one.address === address)?.answer ?? ""
    ])
  )
})

/** Four writers, until they are told to stop; answers what became of their writes. */
const write = (client: RaftClient.RaftClient) => {
  const outcomes: Record<string, number> = {}
  let over = false
  let longest = 0
  const writer = Effect.fnUntraced(function*(id: number) {
    for (let n = 0; !over; n++) {
      const before = performance.now()
      const result = yield* Effect.result(client.put(`${prefix}${id}`, String(n)))
      const outcome = result._tag === "Success" ? "acknowledged" : result.failure.outcome!
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      if (outcome === "acknowledged") longest = Math.max(longest, performance.now() - before)
      yield* Effect.sleep(5)
    }
  })
  return Effect.map(
    Effect.forkChild(Effect.forEach([0, 1, 2, 3], writer, { concurrency: "unbounded", discard: true })),
    (fiber) =>
      Effect.suspend(() => {
        over = true
        return Effect.map(Fiber.join(fiber), () => ({ outcomes, longest }))
      })
  )
}

const show = ({ longest, outcomes }: { readonly outcomes: Record<string, number>; readonly longest: number }) =>
  Console.log(
    `  writes: ${
      Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`).join(", ")
    }; the slowest acknowledged one took ${Math.round(longest)} ms`
  )

const onSimulated = Effect.gen(function*() {
  yield* heading("A simulated d-engine cluster of three nodes, by gRPC on 127.0.0.1")
  const cluster = yield* RaftSimulator.make({ electionMillis: 800 })
  yield* RaftSimulatedServer.listenAll(cluster)
  const client = yield* RaftClient.make({ endpoints: cluster.endpoints, adapter: DEngineAdapter.make() })
  yield* showMembers(client)
  const begun = performance.now()
  const stamp = (): string => `  ${Math.round(performance.now() - begun)} ms`.padEnd(12)
  yield* Effect.forkScoped(
    Stream.runForEach(
      Stream.changesWith(client.changes, (a, b) => a.leader?.id === b.leader?.id),
      ({ leader }) =>
        Console.log(`${stamp()}${leader === undefined ? "no leader, looking for one" : `node ${leader.id} leads`}`)
    )
  )

  yield* heading("Four writers, and the leader is killed under them")
  const stop = yield* write(client)
  yield* Effect.sleep(500)
  const old = yield* client.leader
  yield* Console.log(`${stamp()}node ${old.id} is killed`)
  cluster.kill(Number(old.id))
  yield* Effect.sleep(500)
  yield* client.leader
  yield* Effect.sleep(500)
  yield* show(yield* stop)

  yield* heading("What the client believes now")
  yield* showMembers(client)
})

const onEndpoints = Effect.fnUntraced(function*(endpoints: string, kind: "d-engine" | "etcd") {
  yield* heading(`The ${kind} cluster at ${endpoints}`)
  const client = yield* RaftClient.make({
    endpoints: endpoints.split(","),
    adapter: kind === "etcd" ? EtcdAdapter.make() : DEngineAdapter.make()
  })
  yield* showMembers(client)
  yield* heading("Four writers for a second; kill the leader if you like")
  const stop = yield* write(client)
  yield* Effect.sleep("1 second")
  yield* show(yield* stop)
  const { entries } = yield* client.scan(prefix)
  yield* Effect.forEach(entries, ({ key }) => client.delete(key), { discard: true })
  yield* showMembers(client)
})

/** The command. */
export const raft = Command.make(
  "raft",
  flags,
  ({ endpoints, kind }) =>
    Effect.scoped(Option.isNone(endpoints) ? onSimulated : onEndpoints(endpoints.value, kind)).pipe(
      Effect.andThen(Console.log("\ndone")),
      Effect.catchTag("RaftError", (error) =>
        Effect.andThen(
          Console.error(`\n${error.message}`),
          Effect.sync(() => {
            process.exitCode = 1
          })
        ))
    )
).pipe(Command.withDescription("Members and leader of a Raft cluster, a kill, and the new leader"))
