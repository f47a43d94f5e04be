/**
 * What the launchers of real Raft clusters have in common: nodes that can be killed, stopped and started again.
 *
 * Processes live in real time: whatever is waited for here is waited for by the system's clock, also where the clock of the
 * fiber is a test's (`it.effect`).
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { readdirSync, readFileSync, rmSync } from "node:fs"
import * as Process from "./internal/process.ts"

/**
 * Why a node could not be started or handled. `log` has its last lines, which the message ends with.
 *
 * @category errors
 * @since 0.1.0
 */
export class RaftServerError extends Data.TaggedError("RaftServerError")<{
  readonly reason: "Unavailable" | "Exited" | "NotReady" | "NotRunning" | "Running"
  readonly message: string
  readonly log: ReadonlyArray<string>
}> {}

/**
 * One node of a cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface RaftNode {
  /** As the cluster calls it, in decimal; for etcd only its place from 1. */
  readonly name: string
  /** `host:port` for clients. */
  readonly endpoint: string
  readonly isRunning: Effect.Effect<boolean>
  /** The last lines it printed, at most 40. */
  readonly log: Effect.Effect<ReadonlyArray<string>>
  /** SIGKILL, waits until the process is gone. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP, waits until all of it stands (where there is a /proc): its connections stay open and nothing answers. */
  readonly pause: Effect.Effect<void, RaftServerError>
  /** SIGCONT. */
  readonly resume: Effect.Effect<void, RaftServerError>
  /** Starts it again on the data it had. Does not wait. */
  readonly start: Effect.Effect<void, RaftServerError>
  /** Removes its data, as when a volume comes back empty; it must not be running. */
  readonly wipe: Effect.Effect<void, RaftServerError>
}

/**
 * A running cluster.
 *
 * @category services
 * @since 0.1.0
 */
export interface RaftServer {
  readonly kind: "etcd" | "d-engine"
  readonly endpoints: ReadonlyArray<string>
  readonly nodes: ReadonlyArray<RaftNode>
  /** The endpoint of the leader that more than half of the nodes name, if they do. */
  readonly leader: Effect.Effect<string | undefined>
  /** Waits until `leader` is there and every running node answers. */
  readonly awaitReady: Effect.Effect<void, RaftServerError>
}

/** What one node says when it is asked, without any client of ours. */
export interface Said {
  /** The endpoint of the leader it names. */
  readonly leader: string | undefined
}

/** How one kind of server is run. */
export interface Launch {
  readonly kind: RaftServer["kind"]
  readonly command: string
  readonly nodes: ReadonlyArray<{
    readonly name: string
    readonly endpoint: string
    readonly directory: string
    /** What it keeps its data in. */
    readonly data: ReadonlyArray<string>
    readonly args: ReadonlyArray<string>
  }>
  readonly ask: (endpoint: string) => Effect.Effect<Said | undefined>
  readonly deadlineMillis: number
}

/** The system's clock, whatever the clock of the fiber is. */
const liveClock: Clock.Clock = Clock.Clock.defaultValue()

const keptLines = 40
const pollMillis = 20

/** Whether every thread stands. The signal goes to one of them, and the others run on until that one has had its turn. */
const stands = (pid: number): boolean => {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8")
      return /^[TtZX]/.test(stat.slice(stat.lastIndexOf(")") + 2))
    })
  } catch {
    return true
  }
}

interface Running {
  readonly name: string
  readonly endpoint: string
  readonly directory: string
  readonly data: ReadonlyArray<string>
  readonly args: ReadonlyArray<string>
  readonly log: Array<string>
  process: Process.Running | undefined
}

/**
 * Starts the nodes of a launch in a workspace and waits until they have a leader; they are killed with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(
  function*(launch: Launch, space: Process.Workspace): Effect.fn.Return<RaftServer, RaftServerError, Scope.Scope> {
    const { deadlineMillis, kind } = launch
    const members = launch.nodes.map((node): Running => ({ ...node, log: [], process: undefined }))
    const alive = (member: Running): boolean => member.process?.isAlive() === true
    const fail = (member: Running, reason: RaftServerError["reason"], what: string): RaftServerError => {
      const log = [...member.log]
      const end = log.length === 0 ? "It printed nothing." : `The end of its log:\n${log.join("\n")}`
      return new RaftServerError({ reason, log, message: `${kind} node ${member.name} ${what}. ${end}` })
    }
    const guard = (): void =>
      space.guard(members.flatMap(({ process }) => process?.isAlive() === true ? [process.pid] : []))

    const spawn = (member: Running): Effect.Effect<void, RaftServerError> =>
      Effect.try({
        try: () => {
          if (alive(member)) return
          const onLine = (line: string): void => {
            member.log.push(line)
            if (member.log.length > keptLines) member.log.shift()
          }
          member.process = Process.start(launch.command, member.args, { cwd: member.directory, onLine, onEnd: guard })
          guard()
        },
        catch: (error) => fail(member, "Unavailable", `cannot be started: ${String(error)}`)
      })

    const kill = (member: Running): Effect.Effect<void> =>
      Effect.uninterruptible(Effect.suspend(() => {
        const { process } = member
        if (process === undefined) return Effect.void
        process.signal("SIGKILL")
        return Effect.asVoid(process.ended)
      }))

    const signal = (member: Running, name: "SIGSTOP" | "SIGCONT"): Effect.Effect<void, RaftServerError> =>
      Effect.suspend(() => {
        if (!alive(member)) return Effect.fail(fail(member, "NotRunning", `is not running, so ${name} goes to nobody`))
        member.process!.signal(name)
        return Effect.void
      })

    const pause = (member: Running): Effect.Effect<void, RaftServerError> =>
      Effect.andThen(
        signal(member, "SIGSTOP"),
        Effect.gen(function*() {
          while (alive(member) && !stands(member.process!.pid)) yield* Effect.sleep(1)
        }).pipe(
          Effect.timeoutOrElse({
            duration: deadlineMillis,
            orElse: () => Effect.fail(fail(member, "NotReady", `does not stand ${deadlineMillis} ms after SIGSTOP`))
          }),
          Effect.provideService(Clock.Clock, liveClock)
        )
      )

    const wipe = (member: Running): Effect.Effect<void, RaftServerError> =>
      Effect.suspend(() => {
        if (alive(member)) return Effect.fail(fail(member, "Running", "is running: kill it before its data is removed"))
        for (const path of member.data) rmSync(path, { recursive: true, force: true })
        return Effect.void
      })

    const ask = (member: Running): Effect.Effect<Said | undefined> =>
      alive(member) ? launch.ask(member.endpoint) : Effect.undefined

    const leader = Effect.gen(function*() {
      const said = yield* Effect.forEach(members, ask, { concurrency: "unbounded" })
      const votes = new Map<string, number>()
      for (const one of said) {
        if (one?.leader !== undefined) votes.set(one.leader, (votes.get(one.leader) ?? 0) + 1)
      }
      return [...votes].find(([, count]) => count > members.length / 2)?.[0]
    })

    const awaitReady = Effect.gen(function*() {
      while (true) {
        for (const member of members) {
          if (member.process !== undefined && !alive(member)) {
            return yield* fail(member, "Exited", "ended before it was ready")
          }
        }
        const said = yield* Effect.forEach(members, ask, { concurrency: "unbounded" })
        const first = said.find((one) => one?.leader !== undefined)?.leader
        if (first !== undefined && said.every((one, i) => !alive(members[i]!) || one?.leader === first)) return
        yield* Effect.sleep(pollMillis)
      }
    }).pipe(
      Effect.timeoutOrElse({
        duration: deadlineMillis,
        orElse: () =>
          Effect.fail(fail(members[0]!, "NotReady", `and the others have no leader after ${deadlineMillis} ms`))
      }),
      Effect.provideService(Clock.Clock, liveClock)
    )

    yield* Effect.addFinalizer(() => Effect.forEach(members, kill, { concurrency: "unbounded", discard: true }))
    yield* Effect.forEach(members, spawn, { discard: true })
    yield* awaitReady
    return {
      kind,
      endpoints: members.map(({ endpoint }) => endpoint),
      nodes: members.map((member): RaftNode => ({
        name: member.name,
        endpoint: member.endpoint,
        isRunning: Effect.sync(() => alive(member)),
        log: Effect.sync(() => [...member.log]),
        kill: kill(member),
        pause: pause(member),
        resume: signal(member, "SIGCONT"),
        start: spawn(member),
        wipe: wipe(member)
      })),
      leader,
      awaitReady
    }
  }
)
