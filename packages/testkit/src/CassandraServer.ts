/**
 * One to three real Apache Cassandra 5.0.5 nodes on `127.0.0.1` to `127.0.0.3`, from the jars on Maven Central.
 *
 * Needs Java 17 (below `JAVA_HOME`, in the folders that `$EFFECT_SCYLLA_JVMS` names, else where systems install them, or on `PATH`), and
 * Maven the first time (the jars are cached in `$EFFECT_SCYLLA_CACHE`, else `~/.cache/effect-scylla`).
 * A node takes about 0.75 GB and 7 to 15 seconds to start.
 *
 * It waits by the real clock, under `TestClock` too.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Config from "./internal/cassandraConfig.ts"
import * as Jars from "./internal/jars.ts"
import { onLiveClock } from "./internal/liveClock.ts"
import * as NativePort from "./internal/nativePort.ts"
import * as Process from "./internal/process.ts"
import { testLayer } from "./internal/testLayer.ts"
import * as Ports from "./Ports.ts"

/**
 * Why a node could not be started or handled.
 *
 * **Details**
 *
 * `Unavailable`: something this host lacks (Java, Maven, a loopback address, free ports). `Exited`: the process ended while
 * it was waited for. `NotReady`: it runs but did not answer, or did not see the others, before the deadline.
 * `NotRunning`: a signal was meant for a node that is not there. The message ends with the last lines of the node's log
 * (at most 40), which are also in `log`.
 *
 * @category errors
 * @since 0.1.0
 */
export class CassandraServerError extends Data.TaggedError("CassandraServerError")<{
  readonly reason: "Unavailable" | "Exited" | "NotReady" | "NotRunning"
  readonly message: string
  readonly log: ReadonlyArray<string>
}> {}

/**
 * What to start.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface CassandraServerOptions {
  /** How many nodes, all in one datacenter and one rack. Default: 1. */
  readonly nodes?: 1 | 2 | 3
  /** Ask clients for a user name and a password (`cassandra`, `cassandra`). Default: false. */
  readonly authentication?: boolean
  /** Accept TLS beside plain connections on the same port, with a certificate made for this cluster. Default: false. */
  readonly tls?: boolean
  /** Name of the datacenter. Default: `dc1`. */
  readonly datacenter?: string
  /** Java heap of each node, as `java -Xmx` takes it. Default: `384M`. */
  readonly heap?: string
  /** How long a start may take, the whole cluster's and later each node's, in milliseconds. Default: 120000. */
  readonly deadlineMillis?: number
}

/**
 * One node of the cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface CassandraNode {
  readonly address: string
  /** The native transport port, the same on every node. */
  readonly port: number
  /** None while the node is not running. */
  readonly pid: Effect.Effect<Option.Option<number>>
  /** True from the moment the process is spawned until it has ended; a paused node is running. */
  readonly isRunning: Effect.Effect<boolean>
  /** The last lines it printed, at most 40. */
  readonly log: Effect.Effect<ReadonlyArray<string>>
  /** SIGKILL, waits until the process is gone. Does nothing to a node that is not running. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP: its connections stay open and nothing answers. */
  readonly pause: Effect.Effect<void, CassandraServerError>
  /** SIGCONT. */
  readonly resume: Effect.Effect<void, CassandraServerError>
  /**
   * Starts the node on the data it had and waits until it answers and, where others run, until it and they see each other.
   * A node that is already running is only waited for.
   */
  readonly start: Effect.Effect<void, CassandraServerError>
}

/**
 * A running cluster.
 *
 * @category services
 * @since 0.1.0
 */
export interface CassandraServer {
  /** `address:port` of each node. */
  readonly contactPoints: ReadonlyArray<string>
  readonly nodes: ReadonlyArray<CassandraNode>
  /** The native transport port of all nodes. */
  readonly port: number
  readonly datacenter: string
  /** Present when the cluster was started with `authentication`. */
  readonly credentials?: { readonly username: string; readonly password: string }
  /** The certificate to trust, as PEM. Present when the cluster was started with `tls`. */
  readonly ca?: string
}

/**
 * The cluster as a service.
 *
 * @category services
 * @since 0.1.0
 */
export const CassandraServer: Context.Service<CassandraServer, CassandraServer> = Context.Service<CassandraServer>(
  "@effect-scylla/testkit/CassandraServer"
)

/**
 * Whether this host can run the server, and if not, why, in one sentence that says what to do.
 *
 * @category models
 * @since 0.1.0
 */
export type Availability = { readonly _tag: "Available" } | { readonly _tag: "Unavailable"; readonly why: string }

/**
 * Looks for Java 17 and for the cached jars, or Maven to fetch them. Starts no server and downloads nothing.
 *
 * @category guards
 * @since 0.1.0
 */
export const available: Effect.Effect<Availability> = Effect.gen(function*() {
  const java = yield* Jars.findJava
  if (java.why !== undefined) return { _tag: "Unavailable", why: java.why } as const
  if (Jars.haveJars()) return { _tag: "Available" } as const
  const maven = yield* Jars.findMaven
  if (maven.why !== undefined) return { _tag: "Unavailable", why: maven.why } as const
  return { _tag: "Available" } as const
})

const unavailable = (why: string): CassandraServerError =>
  new CassandraServerError({ reason: "Unavailable", message: why, log: [] })

/**
 * Fetches the jars if they are not in the cache yet (once per machine, about 10 seconds). `make` does it too; do it before,
 * where a deadline for starting a server should not pay for a download.
 *
 * @category constructors
 * @since 0.1.0
 */
export const prepare: Effect.Effect<void, CassandraServerError> = Effect.asVoid(
  Effect.mapError(Jars.ensureJars, unavailable)
)

const keptLines = 40
const pollMillis = 100
const superuser = { username: "cassandra", password: "cassandra" }

/** A node as the launcher sees it. */
interface Member {
  readonly address: string
  readonly directory: string
  readonly log: Array<string>
  /** What the gossiper of the current process last said of others: true is up. */
  readonly sees: Map<string, boolean>
  process: Process.Running | undefined
  paused: boolean
}

const isRunning = (member: Member): boolean => member.process !== undefined && member.process.isAlive()

const withLog = (member: Member, reason: CassandraServerError["reason"], message: string): CassandraServerError => {
  const log = [...member.log]
  const text = log.length === 0 ? "It printed nothing." : `The end of its log:\n${log.join("\n")}`
  return new CassandraServerError({ reason, message: `Cassandra on ${member.address} ${message}. ${text}`, log })
}

/** The gossiper's verdicts in the log, as in `InetAddress /127.0.0.2:7000 is now UP`. */
const verdict = /InetAddress \/([\d.]+):\d+ is now (UP|DOWN)\b/

const onLine = (member: Member) => (line: string): void => {
  member.log.push(line)
  if (member.log.length > keptLines) member.log.shift()
  const [, address, state] = verdict.exec(line) ?? []
  if (address !== undefined) member.sees.set(address, state === "UP")
}

const address = (cell: Buffer | null | undefined): string => cell === null || cell === undefined ? "" : cell.join(".")

const makeKeystore = Effect.fnUntraced(function*(java: string, directory: string, addresses: ReadonlyArray<string>) {
  const keytool = dirname(java) === "." ? "keytool" : join(dirname(java), "keytool")
  const keystore = { path: join(directory, "server.p12"), password: "cassandra" }
  const store = [
    "-alias",
    "server",
    "-keystore",
    keystore.path,
    "-storetype",
    "PKCS12",
    "-storepass",
    keystore.password
  ]
  const names = ["dns:localhost", ...addresses.map((address) => `ip:${address}`)]
  const identity = ["-dname", "CN=localhost", "-ext", `san=${names.join(",")}`, "-validity", "30"]
  const timeoutMillis = 60_000
  const made = yield* Process.run(keytool, ["-genkeypair", "-keyalg", "RSA", ...store, ...identity], { timeoutMillis })
  const shown = yield* Process.run(keytool, ["-exportcert", "-rfc", ...store], { timeoutMillis })
  if (made.code !== 0 || shown.code !== 0) {
    const why = [made.stdout, made.stderr, shown.stderr].join(" ").trim()
    return yield* unavailable(`${keytool} could not make a certificate, so start without tls, or repair it: ${why}`)
  }
  return { keystore, ca: shown.stdout }
})

const build = Effect.fnUntraced(
  function*(options: CassandraServerOptions): Effect.fn.Return<CassandraServer, CassandraServerError, Scope.Scope> {
    const nodes = options.nodes ?? 1
    const authentication = options.authentication ?? false
    const datacenter = options.datacenter ?? "dc1"
    const heap = options.heap ?? "384M"
    const deadlineMillis = options.deadlineMillis ?? 120_000
    const addresses = Array.from({ length: nodes }, (_, i) => `127.0.0.${i + 1}`)
    const credentials = authentication ? superuser : undefined

    const java = yield* Jars.findJava
    if (java.why !== undefined) return yield* unavailable(java.why)
    const jars = yield* Effect.mapError(Jars.ensureJars, unavailable)
    const [port = 0, storagePort = 0, sslStoragePort = 0] = yield* Effect.mapError(
      Ports.reservePorts({ addresses, count: 3 }),
      (error) => unavailable(error.message)
    )

    const space = yield* Process.workspace("effect-scylla-cassandra-")
    const tls = options.tls === true ? yield* makeKeystore(java.path, space.directory, addresses) : undefined
    const members = yield* Effect.sync(() =>
      addresses.map((address, index): Member => {
        const directory = join(space.directory, `node${index + 1}`)
        mkdirSync(directory)
        writeFileSync(join(directory, "logback.xml"), Config.logback)
        writeFileSync(join(directory, "cassandra-rackdc.properties"), Config.rackProperties(datacenter))
        writeFileSync(
          join(directory, "cassandra.yaml"),
          Config.yaml({
            index,
            addresses,
            nativePort: port,
            storagePort,
            sslStoragePort,
            authentication,
            ...(tls === undefined ? {} : { keystore: tls.keystore })
          })
        )
        return { address, directory, log: [], sees: new Map(), process: undefined, paused: false }
      })
    )

    const guard = (): void => {
      space.guard(members.flatMap(({ process }) => process !== undefined && process.isAlive() ? [process.pid] : []))
    }

    const kill = (member: Member): Effect.Effect<void> =>
      Effect.uninterruptible(Effect.suspend(() => {
        const running = member.process
        if (running === undefined) return Effect.void
        running.signal("SIGKILL")
        return Effect.andThen(
          running.ended,
          Effect.sync(() => {
            if (member.process !== running) return
            member.process = undefined
            member.paused = false
          })
        )
      }))

    const spawn = (member: Member): Effect.Effect<void, CassandraServerError> =>
      Effect.try({
        try: () => {
          if (isRunning(member)) return
          member.log.length = 0
          member.sees.clear()
          // Others may not have noticed yet that it was gone: only what they say from now on counts.
          for (const other of members) other.sees.delete(member.address)
          member.paused = false
          member.process = Process.start(
            java.path,
            Config.javaArguments({ directory: member.directory, jars, heap, nodes }),
            { cwd: member.directory, onLine: onLine(member), onEnd: guard }
          )
          guard()
        },
        catch: (error) => unavailable(`${java.path} cannot be started: ${String(error)}`)
      })

    /** Who should be seen: nodes that run and can answer. */
    const others = (member: Member): ReadonlyArray<Member> =>
      members.filter((other) => other !== member && isRunning(other) && !other.paused)

    /** Undefined when the node is ready, else what is missing. */
    const missing = Effect.fnUntraced(function*(member: Member): Effect.fn.Return<string | undefined> {
      for (const other of others(member)) {
        if (member.sees.get(other.address) !== true) return `does not see ${other.address} as up`
        if (other.sees.get(member.address) !== true) return `is not seen as up by ${other.address}`
      }
      const endpoint = { address: member.address, port }
      const ask = Effect.fnUntraced(function*() {
        yield* NativePort.options(endpoint)
        const local = yield* NativePort.query(endpoint, "SELECT schema_version FROM system.local", credentials)
        if (nodes === 1) return undefined
        const peers = yield* NativePort.query(
          endpoint,
          "SELECT peer, schema_version, host_id, rpc_address, tokens FROM system.peers",
          credentials
        )
        const schema = local[0]?.[0]?.toString("hex")
        for (const other of others(member)) {
          const row = peers.find((row) => address(row[0]) === other.address)
          if (row === undefined || row.includes(null)) return `has not learnt everything about ${other.address}`
          if (row[1]?.toString("hex") !== schema) return `has another schema than ${other.address}`
        }
        return undefined
      })
      return yield* Effect.catch(ask(), (error) => Effect.succeed(`does not answer (${error.message})`))
    })

    const awaitReady = Effect.fnUntraced(function*(member: Member): Effect.fn.Return<void, CassandraServerError> {
      const running = member.process
      let lacks = "was not asked yet"
      const poll = Effect.gen(function*() {
        while (true) {
          if (running === undefined || member.process !== running || !running.isAlive()) {
            return yield* withLog(member, "Exited", "ended before it was ready")
          }
          const found = yield* missing(member)
          if (found === undefined) return
          lacks = found
          yield* Effect.sleep(pollMillis)
        }
      })
      yield* onLiveClock(Effect.timeoutOrElse(poll, {
        duration: deadlineMillis,
        orElse: () => Effect.fail(withLog(member, "NotReady", `is not ready after ${deadlineMillis} ms: it ${lacks}`))
      }))
    })

    const signal = (member: Member, name: "SIGSTOP" | "SIGCONT"): Effect.Effect<void, CassandraServerError> =>
      Effect.suspend(() => {
        if (member.process === undefined || !member.process.isAlive()) {
          return Effect.fail(
            withLog(member, "NotRunning", `is not running, so ${name} has nobody to go to; start it first`)
          )
        }
        member.process.signal(name)
        member.paused = name === "SIGSTOP"
        return Effect.void
      })

    yield* Effect.addFinalizer(() => Effect.forEach(members, kill, { concurrency: "unbounded", discard: true }))
    yield* Effect.forEach(members, spawn, { discard: true })
    yield* Effect.forEach(members, awaitReady, { concurrency: "unbounded", discard: true })

    return {
      contactPoints: addresses.map((address) => `${address}:${port}`),
      port,
      datacenter,
      ...(credentials === undefined ? {} : { credentials }),
      ...(tls === undefined ? {} : { ca: tls.ca }),
      nodes: members.map((member): CassandraNode => ({
        address: member.address,
        port,
        pid: Effect.sync(() =>
          member.process !== undefined && member.process.isAlive() ? Option.some(member.process.pid) : Option.none()
        ),
        isRunning: Effect.sync(() => isRunning(member)),
        log: Effect.sync(() => [...member.log]),
        kill: kill(member),
        pause: signal(member, "SIGSTOP"),
        resume: signal(member, "SIGCONT"),
        start: Effect.andThen(spawn(member), awaitReady(member))
      }))
    }
  }
)

/**
 * Starts a cluster and waits until every node answers and all see each other.
 *
 * **Details**
 *
 * The nodes share a native and a storage port that were free on all their addresses. Their data is in a temporary directory.
 * When the scope closes, or at once when the start fails, all nodes are killed (SIGKILL, awaited) and the directory is
 * removed; the same happens if this process dies.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: CassandraServerOptions = {}
): Effect.Effect<CassandraServer, CassandraServerError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      return yield* restore(Scope.provide(build(options), scope)).pipe(
        Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(scope, Exit.failCause(exit.cause)) : Effect.void)
      )
    })
  )

/**
 * The cluster as a layer. Every call makes a layer of its own, with a cluster of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: CassandraServerOptions = {}): Layer.Layer<CassandraServer, CassandraServerError> =>
  testLayer(Layer.effect(CassandraServer, make(options)))
