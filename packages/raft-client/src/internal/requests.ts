/** From an operation to its outcome: where it goes, what is tried again, and what is said in the end. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Call, Failure, Hint, Verdict } from "../ClusterAdapter.ts"
import * as RaftError from "../RaftError.ts"
import type { Discovery, Parked } from "./discovery.ts"
import type { Count } from "./metrics.ts"
import type { Node, Nodes } from "./nodes.ts"
import { outcomeOf, reasonOf } from "./reasons.ts"
import { connect, type Sender } from "./sender.ts"
import type { Session } from "./session.ts"
import type { Settings } from "./settings.ts"
import * as Tracing from "./tracing.ts"

/** `Leader`: whoever leads. `Quorum`: too, and an answer proves that it does. `Any`: any healthy voter. */
export type Route = "Leader" | "Quorum" | "Any"

const HOPS = 3
const KEPT_ATTEMPTS = 16

/** A request that was not answered at its first try, or had none. */
interface Trial<A> {
  readonly operation: string
  readonly call: Call<A>
  readonly route: Route
  readonly startedAt: number
  readonly timeoutMillis: number
  readonly attempts: Array<RaftError.Attempt>
  /** Addresses that a chain of hints has led through. */
  readonly visited: Set<string>
  hops: number
  notReady: number
  busy: number
  /** How many in a row have not been applied for whatever reason; pauses grow with it. */
  failures: number
  /** A node to try next, by hint or again. */
  next: Node | undefined
  last: Failure | undefined
  /** The login that the last try went with, and how often it was made anew for this request. */
  login: number
  logins: number
}

/** How much of what the servers say has been seen, and when they forgot it. */
interface Seen {
  readonly revision: bigint
  readonly period: number
  readonly lineage: number
}

export interface Requests {
  readonly run: <A>(
    operation: string,
    call: Call<A>,
    route: Route,
    timeoutMillis: number
  ) => Effect.Effect<A, RaftError.RaftError>
  /** Asks the leader for a sign of leadership and answers with its node, for what it would answer without one. */
  readonly confirmed: (
    operation: string,
    timeoutMillis: number,
    fresh: boolean
  ) => Effect.Effect<{ readonly node: Node; readonly epoch: number }, RaftError.RaftError>
  /** One call to one node, without a second try. */
  readonly once: <A>(node: Node, call: Call<A>, timeoutMillis: number) => Effect.Effect<Verdict<A>>
  /** Looks at the leader when answers stay away; runs while something is under way. */
  readonly watchdog: Effect.Effect<void>
  readonly failure: (operation: string, verdict: Failure, write: boolean) => RaftError.RaftError
  /** Counts up when the servers turn out to be behind what this client has seen of them. */
  readonly lineage: () => number
  /** A watch has told changes up to here. */
  readonly saw: (revision: bigint) => void
  /** Logs in unless somebody has since login number `since`; does nothing for who has no password. */
  readonly logIn: (since: number, timeoutMillis: number) => Effect.Effect<void, RaftError.RaftError>
}

/** Logins for one request: a token may end while it is used, but not again at once. */
const LOGINS = 2

export const make = (
  settings: Settings,
  nodes: Nodes,
  sender: Sender,
  discovery: Discovery,
  session: Session | undefined,
  count: Count,
  background: (effect: Effect.Effect<void>) => void
): Requests => {
  const { adapter } = settings
  const { belief } = discovery
  const { now } = sender
  /** The newest revision that any answer carried. */
  let seen = 0n
  let period = 0
  /** The newest revision that an answer of a quorum carried, or a watch has told. */
  let proved = 0n
  let lineage = 0

  const remember = (): Seen => ({ revision: proved, period, lineage })

  const failure = (operation: string, verdict: Failure, write: boolean): RaftError.RaftError =>
    RaftError.make(operation, reasonOf(verdict), write ? outcomeOf(verdict) : undefined)

  /** Books what an answer proves. Answers false when it is older than what this client has seen. */
  const accept = (
    verdict: Verdict<unknown>,
    node: Node,
    route: Route,
    epoch: number,
    sentAt: number,
    before: Seen
  ): boolean => {
    if (verdict._tag !== "Done") return true
    const { leader } = belief
    if (route === "Quorum") {
      belief.proved(epoch, sentAt)
      node.quorumAnswerAt = node.lastAnswerAt
    }
    if (leader !== undefined && leader.period !== period) {
      period = leader.period
      seen = 0n
      proved = 0n
    }
    if (verdict.term !== undefined && leader?.term !== undefined && verdict.term > leader.term) discovery.verify()
    if (verdict.revision === undefined) return true
    if (route === "Any" && verdict.revision < seen) return false
    if (route === "Quorum") {
      // What a quorum says after it has said more is the word of servers that have lost their state.
      if (verdict.revision < before.revision && before.period === period && before.lineage === lineage) {
        lineage++
        seen = proved = verdict.revision
        for (const listen of discovery.listeners) listen()
      } else if (verdict.revision > proved) proved = verdict.revision
    }
    if (verdict.revision > seen) seen = verdict.revision
    return true
  }

  const end = <A>(trial: Trial<A>, reason: RaftError.RaftReason, outcome: RaftError.Outcome) => {
    const write = trial.call.write
    if (write && outcome === "Ambiguous") count("ambiguous")
    return Effect.fail(
      RaftError.make(trial.operation, reason, write ? outcome : undefined, trial.attempts.slice(-KEPT_ATTEMPTS))
    )
  }

  /** An answer of a cluster that is not the one that was meant. */
  const isForeign = (verdict: Verdict<unknown>): boolean =>
    verdict._tag === "Done" && verdict.cluster !== undefined && discovery.isOther(verdict.cluster)

  const foreign = <A>(trial: Trial<A>, node: Node, epoch: number) => {
    belief.ignore(node.address, now())
    discovery.doubt(epoch)
    const took = trial.call.write ? ", and has taken the write" : ""
    const message = `another cluster answers at ${node.address}${took}`
    return end(trial, new RaftError.OtherCluster({ message }), "Ambiguous")
  }

  const remaining = <A>(trial: Trial<A>): number => trial.timeoutMillis - (now() - trial.startedAt)

  const note = <A>(trial: Trial<A>, address: string, result: string): void => {
    trial.attempts.push({ address, result, atMillis: now() - trial.startedAt })
    if (trial.attempts.length > 2 * KEPT_ATTEMPTS) trial.attempts.splice(0, KEPT_ATTEMPTS)
  }

  /** What a request that was never ambiguous fails with when its time is over. */
  const timeUp = <A>(trial: Trial<A>, why: string) => {
    const outcome = trial.last === undefined || trial.last._tag === "NotSent" ? "NotSent" : "Rejected"
    const rejected = trial.attempts.some(({ result }) => !result.startsWith("not sent"))
    const message = `${why} within ${trial.timeoutMillis} ms`
    const busy = trial.last?._tag === "Busy" ? new RaftError.Overloaded({ message: trial.last.message }) : undefined
    return end(trial, busy ?? new RaftError.RequestTimeout({ message }), rejected ? "Rejected" : outcome)
  }

  const parked = <A>(trial: Trial<A>, why: Parked) => {
    const outcome = trial.attempts.some(({ result }) => !result.startsWith("not sent")) ? "Rejected" : "NotSent"
    switch (why) {
      case "Closed":
        return end(trial, new RaftError.ClientClosed({ message: "the client is closed" }), outcome)
      case "Full":
        return end(
          trial,
          new RaftError.Overloaded({
            message: `${settings.maxParked} requests wait for a leader already; raise maxParked, or send less`
          }),
          outcome
        )
      case "Timeout": {
        const strangers = discovery.strangers()
        if (strangers !== undefined) return end(trial, new RaftError.OtherCluster({ message: strangers }), outcome)
        const evidence = discovery.evidence()
        const said = evidence.map(({ address, answer }) => `${address} ${answer}`).join("; ")
        const message = `no leader was found within ${trial.timeoutMillis} ms: ${said}`
        return end(trial, new RaftError.NoLeader({ message, evidence }), outcome)
      }
    }
  }

  const begin = <A>(operation: string, call: Call<A>, route: Route, timeoutMillis: number): Trial<A> => ({
    operation,
    call,
    route,
    startedAt: now(),
    timeoutMillis,
    attempts: [],
    visited: new Set(),
    hops: 0,
    notReady: 0,
    busy: 0,
    failures: 0,
    next: undefined,
    last: undefined,
    login: session?.generation ?? 0,
    logins: 0
  })

  /** Nodes that are not connected are connected meanwhile, without anybody waiting for it. */
  const usable = (node: Node): boolean => {
    if (belief.isIgnored(node.address, now())) return false
    if (node.channel.isReady()) return true
    if (node.warming) return false
    node.warming = true
    background(Effect.map(settings.dialGate(node.address, connect(node.channel, settings.probeMillis)), (error) => {
      node.warming = false
      if (error !== undefined) belief.ignore(node.address, now())
    }))
    return false
  }

  /** A map that throws maps to nobody. */
  const mapped = (announced: string): string | undefined => {
    try {
      return settings.map(announced)
    } catch {
      return undefined
    }
  }

  /** A member that a server has hinted at; others are not dialled, whatever a server says. */
  const hinted = (hint: Hint | undefined): Node | undefined => {
    if (hint === undefined) return undefined
    const address = hint.address === undefined ? undefined : mapped(hint.address)
    const member = nodes.members.find((member) =>
      hint.id === undefined ? member.address === address : member.id === hint.id
    )
    if (member === undefined || !member.voter || belief.isIgnored(member.address, now())) return undefined
    return nodes.get(member.address)
  }

  /** Where the next try goes; waits for a leader where it needs one. */
  const target = Effect.fnUntraced(function*<A>(
    trial: Trial<A>
  ): Effect.fn.Return<{ readonly node: Node; readonly epoch: number }, RaftError.RaftError> {
    const given = trial.next
    trial.next = undefined
    if (given !== undefined) return { node: given, epoch: belief.leader?.address === given.address ? epochNow() : 0 }
    if (trial.route === "Any") {
      const readers = nodes.readers(settings.learners, settings.sticky, usable)
      const fresh = readers.find(({ address }) => !trial.visited.has(address)) ?? readers[0]
      if (fresh !== undefined) {
        if (trial.visited.size >= readers.length) trial.visited.clear()
        trial.visited.add(fresh.address)
        return { node: fresh, epoch: 0 }
      }
    }
    const leader = yield* Effect.catch(
      discovery.awaitLeader(Math.max(0, remaining(trial))),
      (why) => parked(trial, why)
    )
    return { node: nodes.get(leader.address), epoch: leader.epoch }
  })

  const epochNow = (): number => belief.leader?.epoch ?? 0

  /** What follows from a verdict that is not success; fails when nothing may. Answers how long to wait first. */
  const react = <A>(
    trial: Trial<A>,
    node: Node,
    epoch: number,
    verdict: Failure,
    sentAt: number
  ): Effect.Effect<number, RaftError.RaftError> => {
    trial.last = verdict
    const { write } = trial.call
    note(trial, node.address, verdict._tag === "NotSent" ? `not sent: ${verdict.message}` : verdict.message)
    if (verdict._tag === "Refused") return end(trial, reasonOf(verdict), outcomeOf(verdict))
    if (verdict._tag === "Unknown") {
      if (verdict.doubt) {
        // Others have had answers from it meanwhile: it is this request that is slow.
        if (verdict.cause === "TimedOut" && node.lastAnswerAt > sentAt) discovery.verify()
        else {
          if (verdict.cause !== "Failed") belief.ignore(node.address, now())
          discovery.doubt(epoch)
        }
      }
      if (write) {
        const reason = sender.closed ? new RaftError.ClientClosed({ message: verdict.message }) : reasonOf(verdict)
        return end(trial, reason, "Ambiguous")
      }
    }
    if (sender.closed) {
      return end(trial, new RaftError.ClientClosed({ message: "the client is closed" }), outcomeOf(verdict))
    }
    count("retries")
    trial.failures++
    const calm = Math.min(5 * 2 ** Math.min(trial.failures, 5), 100)
    switch (verdict._tag) {
      case "NotLeader": {
        trial.visited.add(node.address)
        discovery.doubt(epoch)
        const next = trial.route === "Any" ? undefined : hinted(verdict.hint)
        if (next !== undefined && trial.hops < HOPS && !trial.visited.has(next.address)) {
          trial.hops++
          trial.next = next
          count("redirects")
          return Effect.succeed(0)
        }
        trial.hops = 0
        if (trial.route !== "Any") trial.visited.clear()
        // The one that says so may still be believed in by the next search: not at full speed.
        return Effect.succeed(trial.failures > 1 ? calm : 0)
      }
      case "Unauthenticated":
        if (session === undefined || session.isLogin(trial.call) || trial.logins >= LOGINS) {
          return end(trial, reasonOf(verdict), "Rejected")
        }
        trial.logins++
        trial.next = node
        return Effect.matchEffect(logIn(trial.login, Math.max(0, remaining(trial))), {
          onFailure: ({ reason }) => end(trial, reason, "Rejected"),
          onSuccess: () => Effect.succeed(0)
        })
      case "NotReady":
        trial.notReady++
        if (trial.notReady * 10 > settings.electionMillis) {
          trial.notReady = 0
          discovery.doubt(epoch)
        } else trial.next = node
        return Effect.succeed(10)
      case "Busy":
        if (trial.route !== "Any") trial.next = node
        return Effect.succeed(verdict.retryAfterMillis ?? Math.min(10 * 2 ** trial.busy++, 1_000))
      case "NotSent":
        belief.ignore(node.address, now())
        discovery.doubt(epoch)
        return Effect.succeed(trial.failures > 1 ? calm : 0)
      case "NotServing":
        discovery.doubt(epoch)
        return Effect.succeed(trial.failures > 1 ? calm : 0)
      case "Unknown":
        return Effect.succeed(trial.failures > 1 ? calm : 0)
    }
  }

  /**
   * A read that any node can answer does not wait for one of them all the time there is; the next try gets more. What only the
   * leader can answer waits, and is sent again when the leader is given up.
   */
  const patience = (route: Route, node: Node, left: number, failures: number): number =>
    route === "Any" ? Math.min(left, Math.max(settings.probeMillis, 4 * node.latency.p99) * 2 ** failures) : left

  /** Everything but a first try that goes well. */
  const persist = Effect.fnUntraced(function*<A>(trial: Trial<A>): Effect.fn.Return<A, RaftError.RaftError> {
    while (true) {
      if (sender.closed) return yield* parked(trial, "Closed")
      if (remaining(trial) <= 0) return yield* timeUp(trial, "not served")
      const { epoch, node } = yield* target(trial)
      const left = remaining(trial)
      if (left <= 0 || left < node.latency.shortest) return yield* timeUp(trial, "not served")
      if (!node.channel.isReady()) {
        // Whoever listens there now may be of another cluster: it is asked before it gets a request.
        if (epoch > 0 && discovery.cluster() !== undefined && belief.leader?.epoch === epoch) {
          discovery.doubt(epoch)
          continue
        }
        const error = yield* settings.dialGate(
          node.address,
          connect(node.channel, Math.min(left, settings.probeMillis))
        )
        if (error !== undefined) {
          yield* Effect.sleep(yield* react(trial, node, epoch, { _tag: "NotSent", message: error }, now()))
          continue
        }
      }
      const before = remember()
      trial.login = session?.generation ?? 0
      const { sentAt, verdict } = yield* sender.attempt(
        node,
        trial.call,
        patience(trial.route, node, left, trial.failures)
      )
      if (isForeign(verdict)) return yield* foreign(trial, node, epoch)
      if (verdict._tag === "Done") {
        if (!accept(verdict, node, trial.route, epoch, sentAt, before)) {
          note(trial, node.address, "its answer is older than one before")
          // All of them are behind: the leader is not.
          if (trial.attempts.length >= nodes.members.length) {
            return yield* persist({ ...trial, route: "Leader", visited: new Set() })
          }
          continue
        }
        if (trial.route === "Quorum") discovery.adopt(node, sentAt)
        yield* Tracing.answered(node.address, trial.attempts)
        return verdict.value
      }
      const pause = yield* react(trial, node, epoch, verdict, sentAt)
      if (pause > 0) yield* Effect.sleep(Math.min(pause, Math.max(0, remaining(trial))))
    }
  })

  /** Refused before anything is sent. */
  const refusal = <A>(call: Call<A>, timeoutMillis: number): RaftError.RaftReason | undefined => {
    if (Number.isNaN(timeoutMillis)) {
      return new RaftError.InvalidRequest({ message: `timeout must be a time, as in "3 seconds"` })
    }
    if (timeoutMillis <= 0) return new RaftError.RequestTimeout({ message: "the deadline has passed already" })
    if (call.body.length > settings.maxSendBytes) {
      return new RaftError.MessageTooLarge({
        message: `the request has ${call.body.length} bytes, ${settings.maxSendBytes} are allowed (maxSendBytes)`
      })
    }
    if (sender.inFlight >= settings.maxInFlight) {
      return new RaftError.Overloaded({
        message: `${settings.maxInFlight} requests are under way; raise maxInFlight, or send less at once`
      })
    }
    return sender.closed ? new RaftError.ClientClosed({ message: "the client is closed" }) : undefined
  }

  const run = <A>(
    operation: string,
    call: Call<A>,
    route: Route,
    timeoutMillis: number
  ): Effect.Effect<A, RaftError.RaftError> =>
    Effect.callback<A, RaftError.RaftError>((resume) => {
      const refused = refusal(call, timeoutMillis)
      if (refused !== undefined) {
        return resume(Effect.fail(RaftError.make(operation, refused, call.write ? "NotSent" : undefined)))
      }
      if (session !== undefined && session.generation === 0 && !session.isLogin(call)) {
        return resume(loggedIn(operation, call, route, timeoutMillis))
      }
      const current = route === "Any" ? undefined : discovery.current()
      if (
        current === undefined || !current.node.channel.isReady() ||
        now() - current.node.lastAnswerAt > settings.idleProbeMillis
      ) {
        return resume(
          route === "Any" ? anyReader(operation, call, timeoutMillis) : awakened(operation, call, route, timeoutMillis)
        )
      }
      const { leader, node } = current
      if (timeoutMillis < node.latency.shortest) {
        const message = `${timeoutMillis} ms are less than any answer has taken so far`
        return resume(
          Effect.fail(
            RaftError.make(operation, new RaftError.RequestTimeout({ message }), call.write ? "NotSent" : undefined)
          )
        )
      }
      const startedAt = now()
      const before = remember()
      const login = session?.generation ?? 0
      const cancel = sender.send(node, call, timeoutMillis, (verdict, sentAt) => {
        if (verdict._tag === "Done" && !isForeign(verdict)) {
          accept(verdict, node, route, leader.epoch, sentAt, before)
          return resume(Exit.succeed(verdict.value))
        }
        const trial = { ...begin(operation, call, route, timeoutMillis), startedAt, login }
        if (verdict._tag === "Done") return resume(foreign(trial, node, leader.epoch))
        resume(Effect.andThen(
          Effect.flatMap(
            react(trial, node, leader.epoch, verdict, sentAt),
            (pause) => pause > 0 ? Effect.sleep(pause) : Effect.void
          ),
          persist(trial)
        ))
      })
      return Effect.sync(cancel)
    })

  const logIn: Requests["logIn"] = (since, timeoutMillis) =>
    session === undefined
      ? Effect.void
      : Effect.timeoutOrElse(
        session.gate.withPermit(Effect.suspend(() =>
          session.generation !== since ? Effect.void : Effect.map(
            run("login", session.call, "Quorum", timeoutMillis),
            (token) => session.accept(token)
          )
        )),
        {
          duration: timeoutMillis,
          orElse: () => {
            const message = `not logged in within ${timeoutMillis} ms`
            return Effect.fail(RaftError.make("login", new RaftError.RequestTimeout({ message })))
          }
        }
      )

  /** The first request of a client with a password waits until it is logged in. */
  const loggedIn = <A>(operation: string, call: Call<A>, route: Route, timeoutMillis: number) =>
    Effect.suspend(() => {
      const startedAt = now()
      return Effect.andThen(
        Effect.mapError(
          logIn(0, timeoutMillis),
          ({ attempts, reason }) => RaftError.make(operation, reason, call.write ? "NotSent" : undefined, attempts)
        ),
        Effect.suspend(() => run(operation, call, route, timeoutMillis - (now() - startedAt)))
      )
    })

  const anyReader = <A>(operation: string, call: Call<A>, timeoutMillis: number) =>
    Effect.suspend(() => persist(begin(operation, call, "Any", timeoutMillis)))

  /** After a long silence nobody knows what the connections are worth: ask first, so that a write is not what finds out. */
  const awakened = <A>(operation: string, call: Call<A>, route: Route, timeoutMillis: number) =>
    Effect.suspend(() => {
      const trial = begin(operation, call, route, timeoutMillis)
      const current = discovery.current()
      if (current !== undefined && now() - current.node.lastAnswerAt > settings.idleProbeMillis) {
        discovery.doubt(current.leader.epoch)
      }
      return persist(trial)
    })

  const confirmed: Requests["confirmed"] = Effect.fnUntraced(function*(operation, timeoutMillis, fresh) {
    const refused = refusal(adapter.confirm, timeoutMillis)
    if (refused !== undefined) return yield* RaftError.make(operation, refused)
    const current = discovery.current()
    if (fresh && current !== undefined && belief.isFresh(now())) {
      return { node: current.node, epoch: current.leader.epoch }
    }
    const startedAt = now()
    while (true) {
      yield* run(operation, adapter.confirm, "Quorum", timeoutMillis - (now() - startedAt))
      const after = discovery.current()
      if (after !== undefined) return { node: after.node, epoch: after.leader.epoch }
    }
  })

  const watchdog = Effect.gen(function*() {
    while (sender.inFlight > 0) {
      const current = discovery.current()
      const limit = Math.min(Math.max(150, 3 * (current?.node.latency.p99 ?? 0)), settings.electionMillis)
      yield* Effect.sleep(limit / 2)
      const node = discovery.current()?.node
      if (node !== undefined && node.inFlight > 0 && now() - node.quietSince > limit) discovery.verify()
    }
  })

  return {
    run,
    confirmed,
    once: (node, call, timeoutMillis) =>
      Effect.map(sender.attempt(node, call, timeoutMillis), ({ verdict }) => verdict),
    watchdog,
    failure,
    lineage: () => lineage,
    saw: (revision) => {
      if (revision > proved) proved = revision
    },
    logIn
  }
}
