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
  /** While requests are in flight, before it is asked whether it lives. */
  readonly silence: number
  /** After that, before it is set aside. */
  readonly grace: number
  /** While nothing is in flight, before it is asked whether it lives. */
  readonly idle: number
}

/** So many times longer than usual is silence: a peer whose answers take three times as long is slow. */
const FACTOR = 3
/** In ticks: longer quiet is not learned as usual, or longer silence not waited for. */
const MOST_USUAL = 10
const MOST_PATIENCE = 20
/** Requests in a row without an answer that make a peer suspect although it answers heartbeats. */
const SEVERAL = 3
/** Ticks after which a peer that answers no requests is tried again. */
const TRIAL = 10

/**
 * Whether a peer is there: asked at the first silence, set aside when it says nothing to that either, and back when it says
 * anything. One that answers heartbeats only is asked a question, and is back when it answers a request.
 */
export class Liveness {
  /** Set aside. */
  isSilent = false
  /** The tick of the last bytes. */
  lastRead: number
  private readonly silence: number
  private readonly grace: number
  private readonly idle: number
  /** It answers heartbeats, and no requests. */
  private isDeaf = false
  /** The tick since which something is in flight. */
  private since: number
  /** How long it is quiet between two answers while something is in flight, in ticks: the longer ones of the last reads. */
  private usual = 0
  private beatAt = -1
  private hasRead = true
  private askedAt = -1
  /** Requests in a row whose time was over. */
  private unanswered = 0

  constructor({ grace, idle, silence }: Patience, now: number) {
    this.silence = silence / TICK_MILLIS
    this.grace = grace / TICK_MILLIS
    this.idle = idle / TICK_MILLIS
    this.lastRead = now
    this.since = now
  }

  /** A heartbeat is under way. */
  get isBeating(): boolean {
    return this.beatAt >= 0
  }

  /** A heartbeat is under way, and nothing was read since. */
  get isUnheard(): boolean {
    return this.isBeating && !this.hasRead
  }

  /** The first request is in flight after none was. */
  waiting(now: number): void {
    this.since = now
  }

  /** Bytes came. Answers whether the peer is back. */
  read(now: number, isWaiting: boolean): boolean {
    const quiet = isWaiting ? Math.min(MOST_USUAL, now - Math.max(this.lastRead, this.since)) : 0
    if (quiet > 0 || this.usual > 0) this.learn(quiet)
    this.lastRead = now
    this.hasRead = true
    if (!this.isSilent || this.isDeaf) return false
    this.isSilent = false
    return true
  }

  private learn(quiet: number): void {
    const { usual } = this
    // What made it silent says only half as much.
    const next = quiet > usual ? (this.isSilent ? (usual + quiet) / 2 : quiet) : usual - (usual - quiet) / 16
    this.usual = next < 0.1 ? 0 : next
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

  beat(now: number): void {
    this.beatAt = now
    this.hasRead = false
  }

  /** The heartbeat was answered. */
  beaten(): void {
    this.beatAt = -1
  }

  ask(now: number): void {
    this.askedAt = now
  }

  private patience(ticks: number): number {
    return Math.max(ticks, Math.min(FACTOR * this.usual, MOST_PATIENCE))
  }

  /** Called with each tick. */
  step(now: number, isWaiting: boolean): Step {
    if (!this.isBeating) {
      const quiet = now - (isWaiting ? Math.max(this.lastRead, this.since) : this.lastRead)
      if (quiet >= (isWaiting ? Math.min(this.patience(this.silence), this.idle) : this.idle)) return "beat"
    } else if (!this.hasRead && !this.isSilent && now - this.beatAt >= this.patience(this.grace)) {
      this.isSilent = true
      return "aside"
    }
    if (this.unanswered < SEVERAL || (this.isSilent && !this.isDeaf)) return "none"
    if (this.askedAt < 0 || now - this.askedAt >= TRIAL) return "ask"
    if (this.isSilent || now - this.askedAt < this.patience(this.grace)) return "none"
    this.isSilent = true
    this.isDeaf = true
    return "aside"
  }
}
