import { TICK_MILLIS } from "../Ticker.ts"

/** What is to be done about a peer. */
export type Step =
  /** Nothing. */
  | "none"
  /** A heartbeat is to be sent: `beat` is called when it is. */
  | "beat"
  /** A request that any server answers is to be sent: `ask` is called when it is. */
  | "ask"
  /** Nothing is heard of it: it has been set aside. */
  | "aside"

/** How long a peer may be silent, in milliseconds. */
export interface Patience {
  /** While it owes answers, before it is asked whether it lives. */
  readonly silence: number
  /** After that, before it is set aside. */
  readonly grace: number
  /** While it owes nothing, before it is asked whether it lives. */
  readonly idle: number
}

/** So many times longer than usual is silence: a peer whose answers take three times as long is slow. */
const FACTOR = 3
/** In ticks: longer times are not learned as usual, and longer silence is not waited for. */
const MOST_USUAL = 10
const MOST_PATIENCE = 20
/** Requests in a row without an answer that make a peer suspect although it answers heartbeats. */
const SEVERAL = 3
/** Ticks after which a peer that answers no requests is tried again. */
const TRIAL = 10

/**
 * Whether a peer is there: asked at the first silence, set aside when it says nothing to that either, and back when it says
 * anything. One that answers heartbeats only is asked a question, set aside when it does not answer, and back when it answers a
 * request.
 *
 * It costs a request a comparison or two: one at a time is timed, as TCP times its segments (RFC 6298).
 */
export class Liveness {
  /** Set aside. */
  isSilent = false
  /** Set aside although it answers heartbeats. */
  isDeaf = false
  /** The tick at which it was set aside. */
  silentSince = 0
  /** The tick of the last bytes. */
  lastRead: number
  /** Something was sent since the last bytes came: it may have been given up meanwhile. */
  isOwing = false
  /** The request whose answer is timed, -1 for none, and when it was sent. */
  timed = -1
  private timedAt = 0
  private readonly silence: number
  private readonly grace: number
  private readonly idle: number
  /** The tick since which something is owed. */
  private since: number
  /** Ticks that an answer usually takes: the longer ones of the last few. */
  private latency = 0
  /** Heartbeats that were answered since the last request was sent: one that takes long is not asked for all the time. */
  private beats = 0
  private beatAt = -1
  /** Bytes came since the last heartbeat was sent; before there was any, since the beginning. */
  hasRead = false
  private askedAt = -1
  /** Requests in a row whose time was over. */
  private unanswered = 0
  /** The tick of the last step. */
  private stepped: number

  constructor({ grace, idle, silence }: Patience, now: number) {
    this.silence = silence / TICK_MILLIS
    this.grace = grace / TICK_MILLIS
    this.idle = idle / TICK_MILLIS
    this.lastRead = now
    this.since = now
    this.stepped = now
  }

  /** Steps follow. */
  begin(now: number): void {
    this.lastRead = now
    this.stepped = now
    this.hasRead = true
  }

  /** A heartbeat is under way. */
  get isBeating(): boolean {
    return this.beatAt >= 0
  }

  /** A heartbeat is under way, and nothing was read since. */
  get isUnheard(): boolean {
    return this.isBeating && !this.hasRead
  }

  /** The tick since which it could have said something. */
  get quietSince(): number {
    return Math.max(this.lastRead, this.beatAt)
  }

  /** Request `id` is the first that is sent since bytes came; `isFirst`: and the only one in flight. Called while not `isOwing`. */
  owes(id: number, now: number, isFirst: boolean): void {
    this.isOwing = true
    this.beats = 0
    if (isFirst) this.since = now
    if (this.timed >= 0) return
    this.timed = id
    this.timedAt = now
  }

  /** The answer to the request that is `timed`. */
  timedOne(now: number): void {
    const { latency } = this
    const took = Math.min(MOST_USUAL, now - this.timedAt)
    this.timed = -1
    if (took > latency) this.latency = took
    else if (latency > 0) this.latency = latency < 0.1 ? 0 : latency - (latency - took) / 16
  }

  /** Bytes came. Answers whether the peer is back. */
  read(now: number): boolean {
    this.lastRead = now
    this.isOwing = false
    this.hasRead = true
    if (!this.isSilent || this.isDeaf) return false
    this.isSilent = false
    // A question from before would be long overdue.
    this.askedAt = -1
    return true
  }

  /** A request, not a heartbeat, was answered. Answers whether the peer is back. */
  answered(): boolean {
    if (this.unanswered === 0) return false
    this.unanswered = 0
    this.askedAt = -1
    if (!this.isDeaf) return false
    this.isDeaf = false
    this.isSilent = false
    return true
  }

  /** The time of a request is over, or that of an attempt. */
  missed(): void {
    this.unanswered++
  }

  /** Others have found that it does not answer: it is to be asked. */
  suspect(): void {
    this.unanswered = Math.max(this.unanswered, SEVERAL)
  }

  beat(now: number): void {
    this.beatAt = now
    this.hasRead = false
  }

  /** The heartbeat was answered. */
  beaten(): void {
    this.beatAt = -1
    this.beats++
  }

  /** It was asked a question, and has answered nothing since. */
  get isAsking(): boolean {
    return this.askedAt >= 0
  }

  ask(now: number): void {
    this.askedAt = now
  }

  private get gracePatience(): number {
    return Math.max(this.grace, Math.min(FACTOR * this.latency, MOST_PATIENCE))
  }

  private get silencePatience(): number {
    return Math.min(this.idle, Math.max(this.silence, Math.min(this.silence * 2 ** this.beats, MOST_PATIENCE)))
  }

  /** Time in which this process did not run says nothing about the peer. */
  private skip(ticks: number): void {
    if (this.beatAt >= 0) this.beatAt += ticks
    if (this.askedAt >= 0) this.askedAt += ticks
    this.timedAt += ticks
  }

  private setAside(now: number): Step {
    this.isSilent = true
    this.silentSince = now
    return "aside"
  }

  /** Called with each tick. */
  step(now: number, isWaiting: boolean): Step {
    const late = now - this.stepped - 1
    this.stepped = now
    if (late > 0) this.skip(late)
    // Another one is timed: this one may never be answered.
    if (this.timed >= 0 && now - this.timedAt > MOST_PATIENCE) this.timed = -1
    const isOwed = isWaiting || this.isOwing
    if (!this.isBeating || (this.hasRead && isOwed)) {
      const quiet = now - (isOwed ? Math.max(this.lastRead, this.since) : this.lastRead)
      if (quiet >= (isOwed ? this.silencePatience : this.idle)) return "beat"
    } else if (!this.hasRead && (!this.isSilent || this.isDeaf) && now - this.beatAt >= this.gracePatience) {
      // Not even heartbeats any more.
      this.isDeaf = false
      return this.isSilent ? "none" : this.setAside(now)
    }
    return this.hear(now)
  }

  /** Sees to a peer that answers heartbeats. */
  private hear(now: number): Step {
    if (this.unanswered < SEVERAL || (this.isSilent && !this.isDeaf)) return "none"
    if (this.askedAt < 0 || now - this.askedAt >= TRIAL) return "ask"
    if (this.isSilent || this.isUnheard || now - this.askedAt < this.gracePatience) return "none"
    this.isDeaf = true
    return this.setAside(now)
  }
}
