/**
 * The time by which requests are signed: this machine's, until a server refuses it as too far from its own, which then is
 * used. Servers take what is within 15 minutes, so whoever is off by more could otherwise do nothing at all.
 */
import type { ResponseHeaders } from "../Exchange.ts"

/** Milliseconds that are not worth a correction: the date of an answer has whole seconds, and may have been under way. */
const TOLERANCE = 60_000

export class ServerClock {
  /** Milliseconds that servers are ahead. */
  private ahead = 0
  /** Counts the corrections. */
  version = 0
  private readonly local: () => number

  constructor(local: () => number) {
    this.local = local
  }

  /** Milliseconds since 1970. */
  now(): number {
    return this.local() + this.ahead
  }

  /**
   * Takes the date of an answer that says that a signature, made at `version`, is expired or not yet valid. Whether the next
   * one has another date.
   */
  correct(date: ResponseHeaders[string], version: number): boolean {
    if (version !== this.version) return true
    const server = Date.parse(String(date ?? ""))
    if (Number.isNaN(server) || Math.abs(server - this.now()) < TOLERANCE) return false
    this.ahead = server - this.local()
    this.version++
    return true
  }
}

/** Whether a refusal is about the date of a signature. */
export const isAboutTime = (type: string, message: string): boolean =>
  type === "InvalidSignatureException" && /signature (?:expired|not yet current)/i.test(message)
