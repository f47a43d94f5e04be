/**
 * A day of a client in a cluster that changes, under a clock and a scheduler that follow a seed: nodes join, leave, move to other addresses,
 * are replaced, die and come back; datacenters grow; the schema is altered in storms; events get lost. What the client knows of
 * the cluster has to be so within a stated time, and in the end nothing may be left of it.
 */
import { CqlClient } from "@effect-scylla/driver"
import { ConnectLimiter, type Socket, Transport } from "@effect-scylla/pool"
import { Frame } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import {
  Clock,
  Data,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Metric,
  Random as EffectRandom,
  Scheduler,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import { SeededScheduler } from "../../packages/pool/test/chaos/scheduler.ts"
import { Random } from "../support/random.ts"

/** Milliseconds after which the client knows: where it is told, and where no event reaches it (a look each minute, a quarter more or less). */
export const KNOWN = { told: 5_000, untold: 85_000 } as const
/** Milliseconds after which a node that runs is connected to, whatever happened before: the longest pause between dials, and a dial. */
const CONNECTED = 90_000

/** What the client knows or does is not as it should be. */
export class Wrong
  extends Data.TaggedError("Wrong")<{ readonly seed: number; readonly at: string; readonly what: string }>
{
  override get message(): string {
    return `seed ${this.seed}, ${this.at}: ${this.what}`
  }
}

export interface Day {
  /** How often each thing happened. */
  readonly events: Readonly<Record<string, number>>
  readonly requests: number
  readonly snapshots: number
}

const MEMBERS = 4
const SPARES = 28

/** As the transport has it, but that events may get lost and dials are noted. */
class Wire {
  isDeaf = false
  readonly dials: Array<{ readonly address: string; readonly at: number }> = []
  readonly transport: Transport.Transport

  constructor(inner: Transport.Transport, now: () => number) {
    this.transport = {
      dial: (endpoint) => {
        this.dials.push({ address: endpoint.address, at: now() })
        return Effect.map(inner.dial(endpoint), (socket): Socket.Socket => ({
          localPort: socket.localPort,
          remoteAddress: socket.remoteAddress,
          get pendingBytes() {
            return socket.pendingBytes
          },
          destroy: () => socket.destroy(),
          write: (bytes, done) => socket.write(bytes, done),
          start: (handlers) =>
            socket.start({
              onClose: (error) => handlers.onClose(error),
              // In memory a frame comes whole, and alone.
              onData: (bytes, view, length) => {
                if (this.isDeaf && bytes[4] === Frame.Opcode.EVENT) return
                handlers.onData(bytes, view, length)
              }
            })
        }))
      }
    }
  }
}

/** Of the client, for those that are meant to fail. */
export type Options = Partial<Parameters<typeof CqlClient.make>[0]>

const run = Effect.fnUntraced(function*(
  seed: number,
  hours: number,
  options: Options,
  random: Random,
  seeded: SeededScheduler
) {
  const pass = Effect.fnUntraced(function*(millis: number) {
    yield* TestClock.adjust(millis)
    do yield* Effect.yieldNow
    while (seeded.pending > 0)
  })
  /** What needs time to pass, in small steps. */
  const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
      for (let i = 0; i < 5_000 && fiber.pollUnsafe() === undefined; i++) yield* pass(100)
      return yield* Fiber.join(fiber)
    })
  const wait = Effect.fnUntraced(function*(millis: number, step = 1_000) {
    for (let left = millis; left > 0; left -= step) yield* pass(Math.min(step, left))
  })
  const cluster = yield* SimulatedCluster.make({
    datacenters: [{ name: "one", nodes: MEMBERS + SPARES, racks: 3 }, { name: "two", nodes: 6 }],
    joining: Array.from({ length: SPARES + 6 }, (_, i) => MEMBERS + i),
    shards: 2,
    vnodes: 8,
    transport: "memory"
  })
  const clock = yield* Clock.Clock
  const wire = new Wire(cluster.transport, () => clock.currentTimeMillisUnsafe())
  const scope = yield* Scope.make()
  const cql = yield* passing(Scope.provide(
    CqlClient.make({ contactPoints: cluster.contactPoints, localDatacenter: "one", shutdownTimeout: 0, ...options })
      .pipe(
        Effect.provideService(Transport.Transport, wire.transport)
      ),
    scope
  ))
  const contactPoints = new Set(cluster.contactPoints.map((point) => point.split(":")[0]!))
  const replication = "{'class': 'NetworkTopologyStrategy', 'one': 3} AND tablets = {'enabled': false}"
  yield* passing(cql.execute(`CREATE KEYSPACE day WITH replication = ${replication}`))
  yield* passing(cql.execute("CREATE TABLE day.t (id int PRIMARY KEY, v int)"))

  const members = new Set(Array.from({ length: MEMBERS }, (_, i) => i))
  const spare = {
    one: Array.from({ length: SPARES }, (_, i) => MEMBERS + i),
    two: Array.from({ length: 6 }, (_, i) => MEMBERS + SPARES + i)
  }
  const events: Record<string, number> = {}
  let requests = 0
  let places = 0
  let keyspaces = 0
  const snapshots = new Set<unknown>()
  const at = (): string => new Date(clock.currentTimeMillisUnsafe()).toISOString().slice(11, 19)
  const wrong = (what: string) => new Wrong({ seed, at: at(), what })

  const nodeOf = (index: number) => cluster.nodes[index]!
  const placed = () => [...members].map((index) => `${nodeOf(index).hostId} ${nodeOf(index).address}`).sort()
  const known = () => cql.cluster().nodes.map(({ address, hostId }) => `${hostId} ${address}`).sort()

  /** The snapshot equals the cluster, and every pool belongs to one member. */
  const check = Effect.fnUntraced(function*(since: number) {
    const [is, says] = [placed(), known()]
    if (is.join() !== says.join()) {
      return yield* wrong(`the cluster is ${is.join(", ")}, and the client knows ${says.join(", ")}`)
    }
    const { hosts, local, nodes } = cql.cluster()
    snapshots.add(cql.cluster())
    if (hosts.size !== nodes.length) return yield* wrong("a node is there twice")
    const pools = nodes.flatMap(({ pool }) => pool ?? [])
    if (new Set(pools).size !== pools.length) return yield* wrong("two nodes have one pool")
    if (local.some(({ pool }) => pool === undefined)) return yield* wrong("a local node has no pool")
    const addresses = new Set([...members].map((index) => nodeOf(index).address))
    const astray = wire.dials.find(({ address, at }) =>
      at > since && !addresses.has(address) && !contactPoints.has(address)
    )
    if (astray !== undefined) return yield* wrong(`${astray.address} is dialled, which is no member any more`)
    for (const { hostId, pool } of local) {
      const index = [...members].find((index) => String(nodeOf(index).hostId) === hostId)!
      const alive = nodeOf(index).connections.length
      if (pool!.isUp && nodeOf(index).isRunning && alive === 0) {
        return yield* wrong(`${hostId} has no connection, and is taken for up`)
      }
    }
  })
  const ask = Effect.fnUntraced(function*() {
    const id = random.below(1_000)
    for (const text of [`INSERT INTO day.t (id, v) VALUES (?, 1)`, "SELECT v FROM day.t WHERE id = ?"]) {
      requests++
      const end = yield* passing(Effect.exit(cql.execute(text, [id], { consistency: "ONE", idempotent: true })))
      if (Exit.isFailure(end)) return yield* wrong(`a request has failed: ${String(end.cause)}`)
    }
  })

  const pick = (from: Iterable<number>): number => {
    const all = [...from]
    return all[random.below(all.length)]!
  }
  const local = () => [...members].filter((index) => nodeOf(index).datacenter === "one")
  const join = (datacenter: "one" | "two") =>
    Effect.suspend(() => {
      const index = spare[datacenter].shift()
      if (index === undefined) return Effect.void
      members.add(index)
      return cluster.join(index)
    })
  const leave = (index: number) =>
    Effect.suspend(() => {
      members.delete(index)
      return cluster.remove(index)
    })
  const relocate = (index: number) => cluster.relocate(index, `127.1.${++places >> 7}.${(places & 127) + 1}`)
  const happenings: Readonly<Record<string, () => Effect.Effect<unknown, unknown>>> = {
    join: () => join("one"),
    leave: () => local().length > 3 ? leave(pick(local())) : join("one"),
    replace: () => Effect.andThen(leave(pick(local())), join("one")),
    move: () => relocate(pick(members)),
    // One after the other: when all are gone at once from where they were, only a name that leads to the new places would help.
    "all move": () =>
      Effect.forEach([...members], (index) => Effect.andThen(relocate(index), wait(1_000 + random.below(10_000))), {
        discard: true
      }),
    datacenter: () => join("two"),
    "remote leaves": () => {
      const others = [...members].filter((index) => !local().includes(index))
      return others.length > 0 ? leave(pick(others)) : Effect.void
    },
    death: () => {
      const index = pick(local())
      return Effect.gen(function*() {
        yield* cluster.stop(index)
        yield* wait(1_000 + random.below(30_000))
        yield* ask()
        yield* cluster.start(index)
      })
    },
    silence: () => {
      const index = pick(local())
      return Effect.gen(function*() {
        yield* cluster.setFault(index, { _tag: "Stopped" })
        yield* wait(1_000 + random.below(20_000))
        yield* ask()
        yield* cluster.setFault(index, undefined)
      })
    },
    storm: () =>
      Effect.gen(function*() {
        const name = `storm${++keyspaces}`
        yield* passing(cql.execute(`CREATE KEYSPACE ${name} WITH replication = ${replication}`))
        for (let i = 0; i < 5; i++) yield* passing(cql.execute(`CREATE TABLE ${name}.t${i} (id int PRIMARY KEY)`))
        if (!cql.cluster().keyspaces.has(name)) return yield* wrong(`${name} is made, and not known`)
        if (random.below(2) === 0) return
        yield* passing(cql.execute(`DROP KEYSPACE ${name}`))
        if (cql.cluster().keyspaces.has(name)) return yield* wrong(`${name} is dropped, and still known`)
      }),
    flood: () =>
      Effect.forEach(
        Array.from({ length: 200 }),
        () =>
          cluster.announce({
            type: "TOPOLOGY_CHANGE",
            change: "NEW_NODE",
            address: `127.9.0.${random.below(200) + 1}`
          }),
        {
          discard: true
        }
      )
  }
  const names = Object.keys(happenings)
  const until = clock.currentTimeMillisUnsafe() + hours * 3_600_000
  while (clock.currentTimeMillisUnsafe() < until) {
    const name = names[random.below(names.length)]!
    events[name] = (events[name] ?? 0) + 1
    wire.isDeaf = random.below(4) === 0
    if (wire.isDeaf) events["lost events"] = (events["lost events"] ?? 0) + 1
    yield* happenings[name]!()
    const begun = clock.currentTimeMillisUnsafe()
    yield* wait(wire.isDeaf ? KNOWN.untold : KNOWN.told)
    yield* check(Math.max(begun + KNOWN.told, wire.isDeaf ? begun + KNOWN.untold : 0))
    yield* ask()
    yield* wait(CONNECTED)
    yield* check(begun + KNOWN.untold)
    const missing = cql.cluster().local.filter(({ pool }) => pool?.isUp !== true)
    if (missing.length > 0) {
      return yield* wrong(
        `not connected to ${missing.map(({ address }) => address).join(", ")}: ${missing[0]!.pool?.lastReason?.message}`
      )
    }
    wire.isDeaf = false
    // Nothing, for a quarter of an hour or so.
    yield* wait(random.below(1_500_000), 3_000)
    yield* ask()
  }
  yield* passing(Scope.close(scope, Exit.void))
  yield* pass(1_000)
  const left = cluster.nodes.reduce((sum, { connections }) => sum + connections.length, 0)
  if (left > 0) return yield* wrong(`${left} connections are left when it is closed`)
  const dials = wire.dials.length
  yield* wait(300_000)
  if (wire.dials.length > dials) return yield* wrong("it dials although it is closed")
  return { events, requests, snapshots: snapshots.size }
})

/** Runs the day of a seed. What else goes wrong is a defect. */
export const day = (seed: number, hours: number, options: Options = {}): Effect.Effect<Day, Wrong> => {
  const random = new Random(Math.imul(seed, 0x9e3779b1))
  const seeded = new SeededScheduler(random)
  return Effect.scoped(run(seed, hours, options, random, seeded)).pipe(
    Effect.provideService(ConnectLimiter.ConnectLimiter, ConnectLimiter.make({ rate: 1_000 })),
    EffectRandom.withSeed(String(seed)),
    Effect.provide(TestClock.layer().pipe(Layer.provide(Layer.succeed(Scheduler.Scheduler, seeded)))),
    Effect.provide(Logger.layer([])),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.catch((error) => error instanceof Wrong ? Effect.fail(error) : Effect.die(error))
  )
}
