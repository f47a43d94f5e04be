/** Finds the leader: one search at a time, for any number of callers. */
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Answer } from "../Channel.ts"
import type { Claim, Failure, Member } from "../ClusterAdapter.ts"
import { Belief, type Candidate, type Leader, membershipOf, rank, sameCluster } from "../LeaderBelief.ts"
import type { Evidence } from "../RaftError.ts"
import { idleSleep } from "./idle.ts"
import { unknown } from "./judge.ts"
import type { Count } from "./metrics.ts"
import type { Node, Nodes } from "./nodes.ts"
import { connect, type Sender } from "./sender.ts"
import type { Settings } from "./settings.ts"

/** See `RaftClient.ClusterView`. */
export interface View {
  readonly leader: Leader | undefined
  readonly members: ReadonlyArray<Member>
  readonly evidence: ReadonlyArray<Evidence>
}

/** Why a caller that waited for a leader was sent away. */
export type Parked = "Timeout" | "Full" | "Closed"

export interface Discovery {
  readonly belief: Belief
  readonly view: SubscriptionRef.SubscriptionRef<View>
  /** The leader and its node, when both are there. */
  readonly current: () => { readonly leader: Leader; readonly node: Node } | undefined
  /** The leader of this epoch is not to be believed in any longer; starts the search. */
  readonly doubt: (epoch: number) => void
  /** Asks everybody again while the belief stands. */
  readonly verify: () => void
  /** The leader, or why there is none after `millis`. */
  readonly awaitLeader: (millis: number) => Effect.Effect<Leader, Parked>
  /** Takes other addresses to start from, if one leads to a leader within `millis`; else answers what was heard instead. */
  readonly refresh: (
    endpoints: ReadonlyArray<string> | undefined,
    millis: number
  ) => Effect.Effect<ReadonlyArray<Evidence> | undefined>
  readonly evidence: () => ReadonlyArray<Evidence>
  /** The identity of the cluster, where it has one. */
  readonly cluster: () => string | undefined
  /** True when an answer comes from a cluster of another identity than the one that is known. */
  readonly isOther: (cluster: bigint) => boolean
  /** Why nobody leads here: whoever answers belongs to another cluster. Undefined while that is not so. */
  readonly strangers: () => string | undefined
  /** A node that was hinted at has answered as only a leader can. */
  readonly adopt: (node: Node, sentAt: number) => void
  /** Called when another leader is believed in. */
  readonly listeners: Set<() => void>
  /** Sends away everybody who waits. */
  readonly close: () => void
}

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 100
/** After so many rounds without a leader nobody is in a hurry any longer. */
const PATIENT_AFTER = 40
const PATIENT_PAUSE = 500

const isClaim = (probed: Claim | Failure): probed is Claim => !("_tag" in probed)

const describe = (claim: Claim): string =>
  claim.leader === undefined
    ? "knows no leader"
    : claim.selfClaim
    ? `leads${claim.term === undefined ? "" : ` in term ${claim.term}`}`
    : `names ${claim.leader} as the leader`

const ask = (node: Node, path: string, body: Uint8Array, timeoutMillis: number): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const cancel = node.channel.unary(path, body, timeoutMillis, (answer) => resume(Effect.succeed(answer)))
    return Effect.sync(cancel)
  })

interface Round {
  readonly claims: Map<string, Claim>
  readonly asked: Set<string>
  /** Candidates that did not pass, by address. */
  readonly failed: Set<string>
  /** Those that answered as nodes of another cluster. */
  readonly strangers: Set<string>
  readonly complete: boolean
}

export const make = Effect.fnUntraced(function*(
  settings: Settings,
  nodes: Nodes,
  sender: Sender,
  count: Count
): Effect.fn.Return<Discovery, never, Scope.Scope> {
  const { adapter } = settings
  const belief = new Belief(settings.electionMillis)
  const view = yield* SubscriptionRef.make<View>({ leader: undefined, members: [], evidence: [] })
  const runSearch = yield* FiberHandle.makeRuntime<never>()
  const runVerify = yield* FiberHandle.makeRuntime<never>()
  const { now } = sender
  const listeners = new Set<() => void>()
  const waiting = new Set<(result: Leader | Parked) => void>()
  let cluster: string | undefined
  let identity: bigint | undefined
  let strangers: string | undefined
  let version = 0n
  let highestTerm: bigint | undefined
  let misses = 0
  let searching = false
  let verifying = false
  let closed = false
  let lastChange = -Infinity
  let flaps = 0

  const evidence = (): ReadonlyArray<Evidence> =>
    nodes.all.map(({ address, lastAnswer }) => ({ address, answer: lastAnswer }))

  const publish = Effect.suspend(() =>
    SubscriptionRef.set(view, { leader: belief.leader, members: nodes.members, evidence: evidence() })
  )

  /** One node's word, or what came instead of it. */
  const probe = (node: Node): Effect.Effect<Claim | Failure> =>
    Effect.catchDefect(
      asked(node),
      // An address map, a gate or an adapter of somebody else's: the search goes on, and says so.
      (defect) => Effect.succeed(unknown("Failed", `a function that was given threw: ${String(defect)}`, false))
    )

  const asked = Effect.fnUntraced(function*(node: Node): Effect.fn.Return<Claim | Failure> {
    count("probes")
    const error = node.channel.isReady()
      ? undefined
      : yield* settings.dialGate(node.address, connect(node.channel, settings.probeMillis))
    if (error !== undefined) return { _tag: "NotSent", message: error }
    const sentAt = now()
    const answers = yield* Effect.forEach(
      adapter.probe,
      ({ body, path }) => ask(node, path, body, settings.probeMillis),
      { concurrency: "unbounded" }
    )
    const at = now()
    if (answers.some(({ origin }) => origin === "Server")) {
      node.latency.add(at - sentAt)
      node.lastAnswerAt = at
    }
    return adapter.readProbe(node.address, answers, settings.map)
  })

  const otherCluster = (claim: Claim): boolean =>
    (cluster !== undefined && claim.cluster !== undefined && claim.cluster !== cluster) ||
    !sameCluster(nodes.members, claim.members)

  /** Sorts a claim in; undefined when it counts for nothing. */
  const admit = (node: Node, probed: Claim | Failure, strict: boolean, state: Round): Claim | undefined => {
    if (!isClaim(probed)) {
      node.lastAnswer = probed.message
      if (probed._tag === "NotSent" || (probed._tag === "Unknown" && probed.cause !== "Failed")) {
        belief.ignore(node.address, now())
        // It accepted the connection and does not answer on it: what comes next shall not wait behind that.
        if (probed._tag === "Unknown" && probed.cause === "TimedOut") node.recycle()
      }
      return undefined
    }
    if (strict && otherCluster(probed)) {
      node.lastAnswer = "is a node of another cluster"
      state.strangers.add(node.address)
      return undefined
    }
    node.lastAnswer = describe(probed)
    return probed
  }

  /** A linearizable read, with its own deadline, which grows while nobody passes. */
  const confirm = Effect.fnUntraced(function*(candidate: Candidate): Effect.fn.Return<number | undefined> {
    const node = nodes.get(candidate.address)
    const deadline = Math.min(
      Math.max(50, 2 * node.latency.p99) * 2 ** Math.min(misses, 4),
      Math.max(settings.probeMillis, 50)
    )
    const until = now() + settings.electionMillis
    while (true) {
      const { sentAt, verdict } = yield* sender.attempt(node, adapter.confirm, deadline)
      if (verdict._tag === "Done") return sentAt
      node.lastAnswer = `leads, it says, but did not pass the check: ${verdict.message}`
      if (verdict._tag !== "NotReady" || now() >= until) return undefined
      yield* Effect.sleep(5)
    }
  })

  const giveUp = (address: string): void => {
    const node = nodes.find(address)
    if (node !== undefined) sender.giveUpReads(node)
  }

  const believe = (candidate: Candidate, sentAt: number, members: ReadonlyArray<Member>, claim: Claim | undefined) => {
    nodes.setMembers(members)
    strangers = undefined
    if (claim?.cluster !== undefined && claim.cluster !== cluster) {
      cluster = claim.cluster
      identity = /^\d+$/.test(cluster) ? BigInt(cluster) : undefined
    }
    if (claim !== undefined && claim.version > version) version = claim.version
    if (candidate.term !== undefined) highestTerm = candidate.term
    const before = belief.leader?.address
    nodes.get(candidate.address).lastAnswer = `leads${candidate.term === undefined ? "" : ` in term ${candidate.term}`}`
    if (belief.confirm(candidate, sentAt)) {
      count("leaders")
      const at = now()
      flaps = at - lastChange < 1_000 ? Math.min(flaps + 1, 5) : 0
      lastChange = at
      if (before !== undefined && before !== candidate.address) giveUp(before)
      for (const listen of listeners) listen()
    }
    misses = 0
  }

  /**
   * May this one be tried before the others have answered? Its word is weaker when a leader with a higher term was known, or
   * when it sees another membership than was known: then the others are heard first.
   */
  const isStrong = (candidate: Candidate, claim: Claim | undefined): boolean =>
    candidate.selfClaim && candidate.reachable && claim !== undefined && claim.version >= version &&
    (candidate.term === undefined || highestTerm === undefined || candidate.term >= highestTerm) &&
    (nodes.members.length === 0 || sameMembers(nodes.members, claim.members))

  const claimOf = (round: Round, candidate: Candidate): Claim | undefined =>
    [...round.claims.values()].find(({ address, self }) => self === candidate.id || address === candidate.address)

  /** Tries the best candidate, and the next when it fails. Answers whether one passed. */
  const consider = Effect.fnUntraced(function*(round: Round, all: boolean): Effect.fn.Return<boolean> {
    while (true) {
      const claims = [...round.claims.values()]
      const members = membershipOf(claims, nodes.members)
      if (members === undefined) return false
      const at = now()
      const next = rank(claims, members, (address) => belief.isIgnored(address, at)).find((candidate) =>
        !round.failed.has(candidate.address) && candidate.reachable &&
        (all || (!round.complete && isStrong(candidate, claimOf(round, candidate))))
      )
      if (next === undefined) return false
      // Whoever comes here meanwhile looks at the next one.
      round.failed.add(next.address)
      const sentAt = yield* confirm(next)
      if (sentAt === undefined) continue
      believe(next, sentAt, members, claimOf(round, next))
      return true
    }
  })

  /** Asks `targets` and whoever they name, all at once; ends with the first confirmed leader. */
  const round = Effect.fnUntraced(
    function*(targets: ReadonlyArray<string>, complete: boolean, strict = true): Effect.fn.Return<boolean> {
      count("rounds")
      const state: Round = { claims: new Map(), asked: new Set(), failed: new Set(), strangers: new Set(), complete }
      const visit = (address: string): Effect.Effect<boolean> =>
        Effect.suspend(() => {
          if (state.asked.has(address)) return Effect.succeed(false)
          state.asked.add(address)
          const node = nodes.get(address)
          return Effect.flatMap(probe(node), (probed) => {
            const claim = admit(node, probed, strict, state)
            if (claim === undefined) return Effect.succeed(false)
            state.claims.set(address, claim)
            const others = claim.members.filter(({ voter }) => voter).map(({ address }) => address)
            return anyOf([consider(state, false), ...others.map(visit)])
          })
        })
      if (yield* anyOf(targets.map(visit))) return true
      const found = yield* consider(state, true)
      if (!found) {
        strangers = state.claims.size > 0 || state.strangers.size === 0
          ? undefined
          : `another cluster answers at ${[...state.strangers].join(", ")}`
      }
      return found
    }
  )

  const wake = (result: Leader | Parked): void => {
    const all = [...waiting]
    waiting.clear()
    for (const settle of all) settle(result)
  }

  const search = Effect.gen(function*() {
    yield* publish
    // A leader that is gone again within a second: do not chase the next one at full speed.
    if (flaps > 0) yield* Effect.sleep(FIRST_PAUSE * 2 ** flaps * (yield* Random.next))
    for (let n = 0; belief.leader === undefined; n++) {
      if (n > 0) {
        const longest = n > PATIENT_AFTER ? PATIENT_PAUSE : LONGEST_PAUSE
        const pause = Math.min(FIRST_PAUSE * 1.5 ** n, longest) * (0.5 + (yield* Random.next) / 2)
        yield* waiting.size === 0 ? idleSleep(pause) : Effect.sleep(pause)
      }
      if (!(yield* round(nodes.known, false))) {
        misses++
        yield* publish
      }
    }
    searching = false
    yield* publish
    wake(belief.leader)
  })

  const start = (): void => {
    if (searching || closed) return
    searching = true
    runSearch(search)
  }

  const doubt = (epoch: number): void => {
    const address = belief.leader?.address
    if (!belief.doubt(epoch)) return
    start()
    if (address !== undefined) giveUp(address)
  }

  const verification = (complete: boolean) =>
    Effect.gen(function*() {
      const { leader } = belief
      if (leader === undefined) return start()
      const startedAt = now()
      for (let tries = 0; tries < 2; tries++) {
        if (yield* round(nodes.known, complete)) return yield* publish
        // It has no time for us, but for others: that is a busy leader and no dead one.
        if ((nodes.find(leader.address)?.quorumAnswerAt ?? 0) > startedAt) return
        misses++
      }
      belief.ignore(leader.address, now())
      doubt(leader.epoch)
    }).pipe(Effect.ensuring(Effect.sync(() => {
      verifying = false
    })))

  // Members come and go without anybody saying so.
  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    yield* idleSleep(settings.membershipMillis * (0.9 + (yield* Random.next) / 5))
    if (belief.leader !== undefined && !verifying) yield* verification(true)
  })))

  const current = () => {
    const { leader } = belief
    const node = leader === undefined ? undefined : nodes.find(leader.address)
    return leader === undefined || node === undefined ? undefined : { leader, node }
  }

  const awaitLeader = (millis: number): Effect.Effect<Leader, Parked> =>
    Effect.suspend((): Effect.Effect<Leader, Parked> => {
      if (closed) return Effect.fail("Closed")
      if (belief.leader !== undefined) return Effect.succeed(belief.leader)
      if (waiting.size >= settings.maxParked) return Effect.fail("Full")
      const parked = Effect.callback<Leader, Parked>((resume) => {
        const settle = (result: Leader | Parked): void =>
          resume(typeof result === "string" ? Effect.fail(result) : Effect.succeed(result))
        waiting.add(settle)
        start()
        return Effect.sync(() => void waiting.delete(settle))
      })
      return Effect.flatMap(
        Effect.timeoutOption(parked, millis),
        Option.match({ onNone: () => Effect.fail("Timeout" as const), onSome: (leader) => Effect.succeed(leader) })
      )
    })

  const refresh: Discovery["refresh"] = (endpoints, millis) => {
    const attempts = Effect.gen(function*() {
      for (let n = 0;; n++) {
        if (n > 0) yield* Effect.sleep(Math.min(FIRST_PAUSE * 1.5 ** n, LONGEST_PAUSE))
        if (yield* round(endpoints ?? nodes.known, endpoints === undefined)) return
        misses++
      }
    })
    return Effect.flatMap(Effect.timeoutOption(attempts, millis), (found) => {
      if (Option.isNone(found)) {
        const heard = evidence()
        // Those that were only tried go again.
        nodes.setBootstrap(nodes.bootstrap)
        return Effect.succeed(heard)
      }
      nodes.setBootstrap(endpoints ?? nodes.bootstrap)
      if (belief.leader !== undefined) wake(belief.leader)
      return Effect.as(publish, undefined)
    })
  }

  return {
    listeners,
    belief,
    view,
    current,
    doubt,
    verify: () => {
      if (verifying || searching || closed) return
      verifying = true
      runVerify(verification(false))
    },
    awaitLeader,
    refresh,
    evidence,
    cluster: () => cluster,
    isOther: (other) => identity !== undefined && other !== identity,
    strangers: () => strangers,
    adopt: (node, sentAt) => {
      const { member } = node
      if (member === undefined || belief.leader !== undefined) return
      belief.confirm({
        id: member.id,
        address: node.address,
        selfClaim: false,
        reachable: true,
        term: undefined,
        witnesses: 1
      }, sentAt)
      count("leaders")
      lastChange = now()
      for (const listen of listeners) listen()
    },
    close: () => {
      closed = true
      wake("Closed")
    }
  }
})

const sameMembers = (a: ReadonlyArray<Member>, b: ReadonlyArray<Member>): boolean =>
  a.length === b.length && a.every((left) => b.some((right) => left.id === right.id && left.voter === right.voter))

/** True as soon as one of them is; the others are interrupted. */
const anyOf = (effects: ReadonlyArray<Effect.Effect<boolean>>): Effect.Effect<boolean> =>
  effects.length === 0
    ? Effect.succeed(false)
    : Effect.map(
      Effect.option(Effect.raceAll(effects.map((effect) => Effect.filterOrFail(effect, (found) => found)))),
      Option.isSome
    )
