/**
 * The live nodes of a cluster, as a service that any number of clients share: one loop asks the nodes who is there, and
 * keeps what requests teach about their health.
 *
 * Sharing is optional: `AlternatorClient.layer` makes nodes of its own. Clients with different credentials or affinity that
 * share them ask the cluster once instead of each, and learn of a dead node from one another. The loop belongs to the
 * nodes: it begins when they are made, and ends with their scope or {@link AlternatorNodes.shutdown}, not with a client. It
 * keeps no process alive: a program that forgets to close them ends when its work is done.
 * Seeds, intervals, routing scope and health are theirs alone; a client has no say in them.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as AlternatorError from "./AlternatorError.ts"
import { AlternatorTransport } from "./AlternatorTransport.ts"
import * as Background from "./internal/background.ts"
import { Discovery, makeView, Registry } from "./internal/discovery.ts"
import { Issues } from "./internal/issues.ts"
import { isHealthy } from "./internal/localNodes.ts"
import { difference, NodeLog } from "./internal/nodeLog.ts"
import { check, type Checked, type NodesOptions } from "./internal/nodesOptions.ts"
import { makeSeeds, TTL_MILLIS } from "./internal/seeds.ts"
import type { AlternatorNode } from "./NodeAddress.ts"
import type { HealthSettings, Observation, TrackedNode } from "./NodeHealth.ts"
import * as RoutingScope from "./RoutingScope.ts"

export type { HealthOptions, NodesOptions } from "./internal/nodesOptions.ts"

/**
 * The nodes of one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodesSnapshot {
  /** Sorted by URL. Never empty. */
  readonly nodes: ReadonlyArray<TrackedNode>
  /** Those that requests with key affinity choose from: the same, or those of the racks' datacenters. */
  readonly affinityNodes: ReadonlyArray<TrackedNode>
  /** The step of the routing scope that is in force; none while only the seeds are known. */
  readonly step: RoutingScope.RoutingStep | undefined
  /** Whether a server told of these nodes, or they are the seeds. */
  readonly isDiscovered: boolean
  /** Counts the changes. */
  readonly version: number
}

/**
 * The service.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorNodes {
  /** The nodes as they are known now. */
  readonly current: () => NodesSnapshot
  /** The nodes now, and after each change. A list in another order is no change. Who listens keeps no process alive. */
  readonly changes: Stream.Stream<NodesSnapshot>
  /** Waits until the nodes are as `predicate` wants them. */
  readonly awaitNodes: (predicate: (snapshot: NodesSnapshot) => boolean) => Effect.Effect<NodesSnapshot>
  /**
   * Waits for the end of the first look. Fails when no server can tell of the scope; when nobody answers it succeeds: the
   * seeds are used.
   */
  readonly awaitReady: Effect.Effect<NodesSnapshot, AlternatorError.AlternatorError>
  /** What {@link awaitReady} would do, if it need not wait: true when requests may be made. */
  readonly isReady: () => boolean
  /** Looks now; joins the look that is under way, if there is one. */
  readonly refresh: Effect.Effect<NodesSnapshot, AlternatorError.AlternatorError>
  /** Time since the nodes were last confirmed by a server; none before. */
  readonly age: Effect.Effect<Option.Option<Duration.Duration>>
  /** Ends discovery and probes, and waits for that. Nodes stay as they are, requests go on. Any number of times. */
  readonly shutdown: Effect.Effect<void>
  /** A request is made: discovery need not sleep. */
  readonly touch: () => void
  /** Some client has key affinity: what it chooses from is asked for too. */
  readonly useAffinity: () => void
  /**
   * Takes what a request that started at `start` (of {@link AlternatorNodes.now}) has shown of a node. `detail` is for the
   * log, if this ejects the node.
   */
  readonly observe: (node: TrackedNode, observation: Observation, start: number, detail?: string) => void
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number
  readonly health: HealthSettings
}

/**
 * @category services
 * @since 0.1.0
 */
export const AlternatorNodes: Context.Service<AlternatorNodes, AlternatorNodes> = Context.Service<AlternatorNodes>(
  "@effect-scylla/alternator/AlternatorNodes"
)

const liveNodes = Metric.gauge("alternator_live_nodes", { description: "Nodes that requests go to" })
const ejectedNodes = Metric.gauge("alternator_ejected_nodes", { description: "Nodes that wait for a probe" })
const looks = Metric.counter("alternator_discovery_total", { description: "Looks at the cluster", incremental: true })

const same = (a: ReadonlyArray<TrackedNode>, b: ReadonlyArray<TrackedNode>): boolean =>
  a.length === b.length && a.every((node, i) => node === b[i])

/**
 * Starts to look at the cluster, in the background, until the scope ends.
 *
 * Fails with one error that names all wrong options. That nobody answers is no failure: the seeds are used, and asked
 * again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: NodesOptions
): Effect.Effect<AlternatorNodes, AlternatorError.AlternatorError, Scope.Scope | AlternatorTransport> =>
  Effect.gen(function*() {
    const issues = new Issues()
    const checked = check(options, issues)
    yield* issues.result
    const transport = yield* AlternatorTransport
    const clock = yield* Clock.Clock
    const outer = yield* Effect.scope
    const scope = yield* Scope.fork(outer)
    return yield* Scope.provide(start(checked, transport, clock, scope), scope)
  })

const start = Effect.fnUntraced(function*(
  checked: Checked,
  transport: AlternatorTransport,
  clock: Clock.Clock,
  scope: Scope.Closeable
): Effect.fn.Return<AlternatorNodes, never, Scope.Scope> {
  const { health, isStatic } = checked
  const services = yield* Effect.context<never>()
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const registry = new Registry()
  const discovery = new Discovery(transport, checked.discovery, clock)
  const seeds = makeSeeds(checked, now)
  const primary = makeView(checked.scope)
  const affinity = makeView(RoutingScope.forAffinity(checked.scope))
  const hasOwnAffinity = RoutingScope.format(primary.scope) !== RoutingScope.format(affinity.scope)

  let snapshot: NodesSnapshot = {
    nodes: registry.of(yield* seeds.nodes),
    affinityNodes: [],
    step: undefined,
    isDiscovered: false,
    version: 0
  }
  snapshot = { ...snapshot, affinityNodes: snapshot.nodes }
  const published = yield* SubscriptionRef.make(snapshot)
  const ready = yield* Deferred.make<void>()
  /** Why no request can be made, as long as that is so. */
  let refusal: AlternatorError.AlternatorError | undefined
  let confirmedAt = -1
  let isAffinityWanted = false
  let isReady = isStatic

  // What wakes the loops: a request after a while without any, and an ejection.
  const activity = Latch.makeUnsafe(false)
  let isTouched = false
  let isIdle = false
  const ejection = Latch.makeUnsafe(false)

  const log = new NodeLog()

  const gauge = () => {
    let ejected = 0
    for (const node of registry.all()) if (node.isEjected) ejected++
    liveNodes.updateUnsafe(snapshot.nodes.length, services)
    ejectedNodes.updateUnsafe(ejected, services)
  }

  /** These nodes from now on; connections to others are closed when their requests have ended. */
  const adopt = Effect.fnUntraced(function*(next: Omit<NodesSnapshot, "version">) {
    snapshot = { ...next, version: snapshot.version + 1 }
    const gone = registry.retain(new Set([...next.nodes, ...next.affinityNodes]))
    log.forget(gone)
    yield* SubscriptionRef.set(published, snapshot)
    for (const node of gone) transport.retire(node)
    gauge()
  })

  /** Takes over what the views came to, if that is a change. */
  const publish = Effect.fnUntraced(function*(
    isFirst: boolean,
    groups = primary.groups,
    step = primary.scope.steps[primary.step]
  ) {
    const known = new Set(registry.all())
    const nodes = registry.ofGroups(groups)
    if (nodes.length === 0) return
    const own = hasOwnAffinity && isAffinityWanted ? registry.ofGroups(affinity.groups) : nodes
    const affinityNodes = own.length > 0 ? own : nodes
    const isSame = same(nodes, snapshot.nodes) && same(affinityNodes, snapshot.affinityNodes)
    if (isSame && snapshot.isDiscovered && snapshot.step === step) return
    if (!isFirst) {
      // It is listed before it listens: its first request is a probe.
      for (const node of [...nodes, ...affinityNodes]) {
        if (known.has(node) || !health.enabled || node.isEjected) continue
        node.await(now())
        ejection.openUnsafe()
      }
    }
    const changes = difference(snapshot.nodes, nodes)
    yield* adopt({ nodes, affinityNodes, step, isDiscovered: true })
    if (!isFirst) {
      const where = step === undefined ? "the cluster" : RoutingScope.formatStep(step)
      yield* Effect.logInfo(`alternator: ${nodes.length} nodes in ${where}${changes}`)
    }
  })

  // Said once, until something else is to be said.
  let said = ""
  const say = (kind: string, text: string) => {
    if (kind === said) return Effect.void
    const before = said
    said = kind
    if (text !== "") return Effect.logWarning(`alternator: ${text}`)
    return before === "" ? Effect.void : Effect.logInfo("alternator: discovery works again")
  }
  let fellBackTo: RoutingScope.RoutingStep | undefined

  /** Nobody need wait any longer: a look has ended, or there will be none. */
  const settle = Effect.suspend(() => {
    isReady = refusal === undefined
    return Deferred.succeed(ready, undefined)
  })
  yield* Effect.addFinalizer(() => settle)

  let turn = 0
  const candidates = Effect.gen(function*() {
    const live = new Set<AlternatorNode>(snapshot.isDiscovered ? [...snapshot.nodes, ...snapshot.affinityNodes] : [])
    // Another one first each time, ejected ones last.
    const list = Array.from(live) as Array<TrackedNode>
    const shift = list.length === 0 ? 0 : turn++ % list.length
    const rotated = [...list.slice(shift), ...list.slice(0, shift)]
    const urls = new Set(list.map(({ url }) => url))
    const others = (yield* seeds.nodes).filter(({ url }) => !urls.has(url))
    return [...rotated.filter((node) => !node.isEjected), ...rotated.filter((node) => node.isEjected), ...others]
  })

  const look = Effect.gen(function*() {
    const wanted = hasOwnAffinity && isAffinityWanted ? [primary, affinity] : [primary]
    const isFirst = !snapshot.isDiscovered
    // A resolver that is slow takes its time from the look.
    const until = now() + Duration.toMillis(checked.discovery.timeout)
    const [result] = yield* discovery.look(wanted, yield* candidates, until, (groups) => {
      // Requests that wait need not wait for all datacenters.
      if (!isFirst) return Effect.void
      isReady = true
      const cluster = primary.scope.steps.find(({ _tag }) => _tag === "Cluster")
      return Effect.andThen(publish(isFirst, groups, cluster), Deferred.succeed(ready, undefined))
    })
    if (result === undefined) return
    refusal = undefined
    let kind = ""
    let text = ""
    if (result._tag === "Found") {
      confirmedAt = now()
      looks.updateUnsafe(1, services)
      yield* publish(isFirst)
      const { step } = snapshot
      if (step !== fellBackTo && step !== undefined) {
        if (primary.step > 0) {
          yield* Effect.logWarning(
            `alternator: ${RoutingScope.formatStep(primary.scope.steps[0]!)} has no nodes that can be told; ` +
              `requests go to ${RoutingScope.formatStep(step)}`
          )
        }
        fellBackTo = step
      }
      const dropped = discovery.dropped.slice(0, 3)
      if (dropped.length > 0) {
        kind = "dropped"
        text = `entries that are no addresses are left out: ${dropped.join(", ")}`
      }
    } else if (result._tag === "Unsupported") {
      kind = "unsupported"
      text = `${result.message}; nothing wider than ${RoutingScope.format(checked.scope)} is allowed`
      if (!snapshot.isDiscovered) {
        refusal = AlternatorError.of(
          new AlternatorError.ScopeUnsupported({
            message: `${text}: upgrade the servers (datacenters since 2025.1, racks since 2025.3), or add ` +
              "RoutingScope.orElse(RoutingScope.cluster()) to the scope"
          })
        )
      }
    } else if (result.message !== undefined) {
      kind = "kept"
      text = `who is in the cluster is not known, the nodes stay as they are: ${result.message}`
    }
    yield* say(kind, text)
    yield* settle
  })

  // A function of the user's may throw: that is one look that failed, not the end of discovery.
  const survive = (cause: Cause.Cause<never>) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause)
      : Effect.andThen(
        say("defect", `a look at the cluster failed, the nodes stay as they are: ${Cause.pretty(cause)}`),
        settle
      )

  // One look at a time: whoever asks for one meanwhile gets that one's end.
  const mutex = Semaphore.makeUnsafe(1)
  let looked = 0
  const single = Effect.suspend(() => {
    const before = looked
    return mutex.withPermit(
      Effect.suspend(() =>
        looked > before ? Effect.void : Effect.ensuring(
          Effect.catchCause(look, survive),
          Effect.sync(() => {
            looked++
          })
        )
      )
    )
  })

  const wait = Effect.fnUntraced(function*(started: number, lastActive: number) {
    const rest = (interval: number) => Duration.millis(Math.max(0, started + interval - now()))
    if (now() - lastActive < checked.idleMillis) return yield* Effect.sleep(rest(checked.activeMillis))
    isIdle = true
    activity.closeUnsafe()
    if (isTouched) isIdle = false
    else yield* Effect.timeoutOption(activity.await, rest(checked.idleMillis))
    isIdle = false
    yield* Effect.sleep(rest(checked.activeMillis))
  })

  const loop = Effect.gen(function*() {
    let lastActive = now()
    while (true) {
      const started = now()
      if (isTouched) {
        isTouched = false
        lastActive = started
      }
      yield* single
      yield* wait(started, lastActive)
    }
  })

  const probe = Effect.fnUntraced(function*(node: TrackedNode) {
    const isWell = yield* Effect.timeoutOption(isHealthy(transport, node), Duration.millis(checked.probeMillis))
    if (node.removed || !node.isEjected) return
    if (Option.getOrElse(isWell, () => false)) {
      node.restore(now())
      yield* log.returned(node, now())
    } else node.eject(now(), health, node.why === "" ? "it is new and does not answer yet" : node.why)
    gauge()
  })

  const probes = Effect.gen(function*() {
    while (true) {
      ejection.closeUnsafe()
      yield* log.died(registry.all(), now())
      let first = Infinity
      for (const node of registry.all()) if (node.isEjected) first = Math.min(first, node.probeAt)
      if (first === Infinity) {
        yield* ejection.await
        continue
      }
      const rest = first - now()
      if (rest > 0) {
        yield* Effect.timeoutOption(ejection.await, Duration.millis(rest))
        continue
      }
      const due = Array.from(registry.all()).filter((node) => node.isEjected && node.probeAt <= now())
      yield* Effect.forEach(due, probe, { concurrency: 16, discard: true })
    }
  })

  /** In static mode: the addresses of names may change. */
  const follow = Effect.gen(function*() {
    while (true) {
      yield* Effect.sleep(Duration.millis(TTL_MILLIS))
      const nodes = registry.of(yield* seeds.nodes)
      if (same(nodes, snapshot.nodes)) continue
      const changes = difference(snapshot.nodes, nodes)
      yield* adopt({ nodes, affinityNodes: nodes, step: undefined, isDiscovered: false })
      yield* Effect.logInfo(`alternator: the seeds' names stand for ${nodes.length} nodes now${changes}`)
    }
  })

  const inBackground = (effect: Effect.Effect<void>) =>
    Effect.forkScoped(Effect.provideService(effect, Clock.Clock, Background.clockOf(clock)))
  if (!isStatic) yield* inBackground(loop)
  else {
    yield* Deferred.succeed(ready, undefined)
    if (seeds.hasNames) yield* inBackground(follow)
  }
  if (health.enabled) yield* inBackground(probes)
  gauge()

  const state = Effect.suspend(() => refusal === undefined ? Effect.succeed(snapshot) : Effect.fail(refusal))
  return AlternatorNodes.of({
    current: () => snapshot,
    changes: SubscriptionRef.changes(published),
    awaitNodes: (predicate) =>
      SubscriptionRef.changes(published).pipe(
        Stream.filter(predicate),
        Stream.runHead,
        Effect.map((found) => Option.getOrElse(found, () => snapshot)),
        Background.awaited
      ),
    awaitReady: Background.awaited(Effect.andThen(Deferred.await(ready), state)),
    isReady: () => isReady,
    refresh: isStatic ? state : Background.awaited(Effect.andThen(single, state)),
    age: Effect.sync(() => confirmedAt < 0 ? Option.none() : Option.some(Duration.millis(now() - confirmedAt))),
    shutdown: Scope.close(scope, Exit.void),
    touch: () => {
      isTouched = true
      if (isIdle) {
        isIdle = false
        activity.openUnsafe()
      }
    },
    useAffinity: () => {
      isAffinityWanted = true
    },
    observe: (node, observation, start, detail) => {
      if (node.observe(observation, start, now(), health, detail)) {
        ejection.openUnsafe()
        gauge()
      }
    },
    now,
    health
  })
})

/**
 * {@link make} as a layer; clients built on it share one loop.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: NodesOptions
): Layer.Layer<AlternatorNodes, AlternatorError.AlternatorError, AlternatorTransport> =>
  Layer.effect(AlternatorNodes, make(options))
