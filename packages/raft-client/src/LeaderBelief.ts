/**
 * Who leads, judged by evidence. Plain functions and a plain state machine: the caller says what time it is.
 *
 * Claims of one round of probes are ranked; a candidate is believed only when it has answered a linearizable read. Terms
 * rank claims within one period of belief and no longer, because servers that lose their state start again from lower terms.
 *
 * @since 0.1.0
 */
import type { Claim, Member } from "./ClusterAdapter.ts"

/**
 * Somebody who may lead, and why one would think so.
 *
 * @category models
 * @since 0.1.0
 */
export interface Candidate {
  readonly id: string
  readonly address: string
  /** It said so itself in this round. */
  readonly selfClaim: boolean
  /** It answered in this round. */
  readonly reachable: boolean
  readonly term: bigint | undefined
  /** How many others name it. */
  readonly witnesses: number
}

/**
 * The leader as it is believed in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Leader {
  readonly id: string
  readonly address: string
  readonly term: bigint | undefined
  /** Counts up when a leader with a lower term than the last one was confirmed: terms are comparable within a period only. */
  readonly period: number
  /** Counts up with every change of the belief. */
  readonly epoch: number
  /** What it was ranked by when it was confirmed. */
  readonly evidence: Candidate
}

/**
 * The membership that most of the claims agree on: the highest version first, then the set with the most votes, then the
 * one that was known before.
 *
 * **Details**
 *
 * The address of a member is what it says itself if it answered. Undefined when nobody has answered.
 *
 * @category combinators
 * @since 0.1.0
 */
export const membershipOf = (
  claims: ReadonlyArray<Claim>,
  known: ReadonlyArray<Member> = []
): ReadonlyArray<Member> | undefined => {
  const told = claims.filter((claim) => claim.members.length > 0)
  const newest = told.reduce((version, claim) => claim.version > version ? claim.version : version, 0n)
  const votes = new Map<string, { count: number; members: ReadonlyArray<Member> }>()
  for (const claim of told) {
    if (claim.version !== newest) continue
    const key = keyOf(claim.members)
    const vote = votes.get(key)
    if (vote === undefined) votes.set(key, { count: 1, members: claim.members })
    else vote.count++
  }
  const before = keyOf(known)
  const [best] = [...votes.entries()].sort(([a, x], [b, y]) =>
    y.count - x.count || Number(b === before) - Number(a === before)
  )
  if (best === undefined) return undefined
  return best[1].members.map((member) => {
    const own = claims.find((claim) => claim.self === member.id)?.members.find(({ id }) => id === member.id)
    return own ?? member
  })
}

const keyOf = (members: ReadonlyArray<Member>): string =>
  members.map(({ id, voter }) => `${id}${voter ? "" : " learner"}`).sort().join()

/**
 * Says whether two memberships can be of one cluster: they share an id with its address, or a node was replaced by another
 * at the same address. Two clusters with equal ids and addresses cannot be told apart.
 *
 * @category guards
 * @since 0.1.0
 */
export const sameCluster = (a: ReadonlyArray<Member>, b: ReadonlyArray<Member>): boolean =>
  a.length === 0 || b.length === 0 ||
  a.some((left) => b.some((right) => left.id === right.id && left.address === right.address))

/**
 * Who may lead, the best first. Those that are not in `members`, and learners, are left out.
 *
 * **Details**
 *
 * In this order: it says so itself, its term is higher, it answered at all, more others name it. A node that answers
 * and does not name itself is no candidate, whatever others say. `ignored` are nodes that were named and did not answer
 * lately: the word of others does not count for them.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rank = (
  claims: ReadonlyArray<Claim>,
  members: ReadonlyArray<Member>,
  ignored: (address: string) => boolean = () => false
): ReadonlyArray<Candidate> => {
  const candidates = new Map<string, Candidate>()
  for (const claim of claims) {
    if (claim.leader === undefined) continue
    const member = members.find(({ id }) => id === claim.leader)
    if (member === undefined || !member.voter || candidates.has(member.id)) continue
    const own = claims.find(({ address, self }) => self === member.id || address === member.address)
    if (own === undefined && ignored(member.address)) continue
    if (own !== undefined && own.leader !== member.id) continue
    const witnesses = claims.filter(({ leader, self }) => leader === member.id && self !== member.id).length
    candidates.set(member.id, {
      id: member.id,
      address: member.address,
      selfClaim: own?.selfClaim === true,
      reachable: own !== undefined,
      term: own?.selfClaim === true ? own.term : undefined,
      witnesses
    })
  }
  return [...candidates.values()].sort(compare)
}

const compare = (a: Candidate, b: Candidate): number =>
  Number(b.selfClaim) - Number(a.selfClaim) ||
  compareTerms(b.term, a.term) ||
  Number(b.reachable) - Number(a.reachable) ||
  b.witnesses - a.witnesses

const compareTerms = (a: bigint | undefined, b: bigint | undefined): number =>
  a === b || a === undefined || b === undefined ? 0 : a < b ? -1 : 1

/**
 * What is believed, and for how long a confirmation counts. One for a client; every method is told the time.
 *
 * @category models
 * @since 0.1.0
 */
export class Belief {
  leader: Leader | undefined
  private epoch = 0
  private period = 0
  private lastTerm: bigint | undefined
  private confirmedAt = -Infinity
  private readonly ignoredUntil = new Map<string, number>()
  private readonly trustMillis: number
  private readonly ignoreMillis: number

  /** `electionMillis` is the shortest election timeout of the servers. */
  constructor(electionMillis: number) {
    // A leader that lost its followers still answers for a while; half an election is before anybody else can lead.
    this.trustMillis = electionMillis / 2
    this.ignoreMillis = electionMillis
  }

  /** A candidate has answered a linearizable read that was sent at `sentAt`. Answers true when the leader is another now. */
  confirm(candidate: Candidate, sentAt: number): boolean {
    const { leader } = this
    this.ignoredUntil.delete(candidate.address)
    this.confirmedAt = Math.max(this.confirmedAt, sentAt)
    const same = leader !== undefined && leader.id === candidate.id && leader.address === candidate.address &&
      (candidate.term === undefined || leader.term === undefined || candidate.term === leader.term)
    if (same) return false
    if (candidate.term !== undefined) {
      if (this.lastTerm !== undefined && candidate.term < this.lastTerm) this.period++
      this.lastTerm = candidate.term
    }
    this.confirmedAt = sentAt
    this.leader = {
      id: candidate.id,
      address: candidate.address,
      term: candidate.term,
      period: this.period,
      epoch: ++this.epoch,
      evidence: candidate
    }
    return true
  }

  /** The leader has answered something that only a leader with a quorum can, sent at `sentAt`. */
  proved(epoch: number, sentAt: number): void {
    if (this.leader?.epoch === epoch && sentAt > this.confirmedAt) this.confirmedAt = sentAt
  }

  /** True while the last proof is young enough to trust what needs no quorum by itself: lease reads and scans. */
  isFresh(now: number): boolean {
    return this.leader !== undefined && now - this.confirmedAt <= this.trustMillis
  }

  /** The leader of this epoch leads no more, or nobody knows. Answers false when the belief is another already. */
  doubt(epoch: number): boolean {
    if (this.leader?.epoch !== epoch) return false
    this.leader = undefined
    this.confirmedAt = -Infinity
    return true
  }

  /** The node does not answer: for an election's time it counts for nothing that others still name it. */
  ignore(address: string, now: number): void {
    this.ignoredUntil.set(address, now + this.ignoreMillis)
  }

  readonly isIgnored = (address: string, now: number): boolean => (this.ignoredUntil.get(address) ?? 0) > now
}
