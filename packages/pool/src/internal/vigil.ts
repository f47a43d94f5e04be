import type * as Request from "@effect-scylla/protocol/Request"
import type { Limits } from "../Limits.ts"
import { TICK_MILLIS } from "../Ticker.ts"
import { Liveness } from "./liveness.ts"
import type { ResponseHandler } from "./responseHandler.ts"

/** What a peer is asked that answers heartbeats, and nothing else: every server has an answer at hand. */
const TRIAL: Request.Request = {
  _tag: "Query",
  query: "SELECT key FROM system.local WHERE key = 'local'",
  options: { consistency: "ONE" }
}
const TRIAL_MILLIS = 1_000
/** Questions of a kind that are sent while earlier ones are not answered. */
const MAX_LOST = 4
/** So many times `heartbeatTimeout`, and a connection on which nobody waits is closed, though there is no other. */
const GIVE_UP = 6

/** The connection that is watched. */
export interface Watched {
  /** Requests that somebody waits for. */
  inFlight(): number
  /** Sends a question. Answers its id, -1 where none is left. */
  send(request: Request.Request, handler: ResponseHandler, timeoutMillis: number): number
  /** Nobody waits for the answer to a heartbeat any more. */
  orphan(id: number): void
  /** The same of a request. */
  abandon(id: number, handler: ResponseHandler): void
  /** The peer is set aside. */
  onSilent(now: number): void
  /** A heartbeat is not answered in time: another connection is wanted. */
  onOverdue(): void
  /** Nothing was heard for long, and nobody waits. */
  onDead(): void
}

/** Asks the peer of a connection whether it lives, and whether it answers requests. */
export class Vigil {
  readonly liveness: Liveness
  /** Waits for the answer to a heartbeat. */
  readonly heartbeat: ResponseHandler = {
    onResponse: () => {
      this.beatId = -1
      this.lostBeats = 0
      this.liveness.beaten()
    },
    onFailure() {}
  }
  /** Waits for the answer to a question that any server answers. That there is one is all that matters. */
  readonly trial: ResponseHandler = { onResponse() {}, onFailure() {} }
  private readonly watched: Watched
  private readonly timeout: number
  private readonly timeoutMillis: number
  /** Of the last heartbeat, -1 when it was answered or there was no id for it. */
  private beatId = -1
  private trialId = -1
  /** Of both kinds: those that were not answered before another one was sent, in a row. */
  private lostBeats = 0
  private lostTrials = 0

  constructor(watched: Watched, limits: Limits, now: number) {
    this.watched = watched
    this.timeoutMillis = limits.heartbeatTimeout
    // The tick that is under way may be nearly over.
    this.timeout = Math.ceil(limits.heartbeatTimeout / TICK_MILLIS) + 1
    this.liveness = new Liveness(
      { silence: limits.silence, grace: limits.silenceGrace, idle: limits.heartbeatInterval },
      now
    )
  }

  /** Called with each tick: sees to it that silence is noticed. */
  watch(now: number, isDraining: boolean): void {
    // There was no id for a heartbeat, so none will be overdue.
    if (this.beatId < 0 && this.liveness.isUnheard && this.beatOverdue(now) === 0) return
    switch (this.liveness.step(now, this.watched.inFlight() > 0)) {
      case "beat":
        return this.beat(now)
      case "ask":
        // Who waits while it drains has a deadline.
        if (!isDraining) this.try(now)
        return
      case "aside":
        return this.watched.onSilent(now)
    }
  }

  /** Asks the peer whether it lives. */
  beat(now: number): void {
    this.liveness.beat(now)
    if (this.beatId >= 0) {
      // It is behind others that were answered since, or lost. After some of them that is question enough.
      if (this.lostBeats >= MAX_LOST) return
      this.lostBeats++
      this.watched.orphan(this.beatId)
    }
    // What has all ids is question enough, too.
    this.beatId = this.watched.send({ _tag: "Options" }, this.heartbeat, this.timeoutMillis)
  }

  /** Asks a peer that answers heartbeats, and nothing else. */
  private try(now: number): void {
    if (!this.liveness.isAsking) this.lostTrials = 0
    // As with heartbeats: enough is asked where there is no id left, or several are not answered.
    this.liveness.ask(now)
    if (this.lostTrials >= MAX_LOST) return
    this.end()
    this.trialId = this.watched.send(TRIAL, this.trial, TRIAL_MILLIS)
    if (this.trialId >= 0) this.lostTrials++
  }

  /** A close does not wait for a question of ours. */
  end(): void {
    if (this.trialId >= 0) this.watched.abandon(this.trialId, this.trial)
  }

  /** A heartbeat was not answered in its time: until when to wait for it. */
  beatOverdue(now: number): number {
    // Bytes that came meanwhile are a sign of life too: the answer may be behind a large one.
    const { quietSince } = this.liveness
    if (quietSince + this.timeout > now) return quietSince + this.timeout
    // Who waits here may still be answered, and knows best for how long; everybody else wants another connection. This one serves
    // again at once where the peer was stopped for a while.
    if (this.watched.inFlight() === 0 && quietSince + GIVE_UP * this.timeout <= now) {
      this.watched.onDead()
      return 0
    }
    this.watched.onOverdue()
    return now + 1
  }
}
