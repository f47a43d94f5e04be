/** Clients that are open: what their process waits for, and what it says of them at its end. */
import process from "node:process"
import { clearInterval, setInterval } from "node:timers"

const MAX_TIMER_MILLIS = 2 ** 31 - 1

/** Where each was opened. */
const places = new Set<Error>()

/** The line that called; no other is kept of its stack. */
const lineOf = (place: Error): string => place.stack?.split("\n")[1]?.trim() ?? ""

const say = (code: number): void => {
  // A program that has failed has forgotten nothing.
  if (code !== 0) return
  const lines = Array.from(places, (place) => `\n  opened ${lineOf(place)}`)
  const which = lines.length === 1 ? "1 client was" : `${lines.length} clients were`
  process.stderr.write(
    `@effect-scylla/raft-client: ${which} not closed: open with "await using", or call close()${lines.join("")}\n`
  )
}

/** Notes a client that `opener` opens, and answers with how to note its end. */
export const note = (holdsProcess: boolean, opener: (...args: Array<never>) => unknown): () => void => {
  const timer = holdsProcess ? setInterval(() => {}, MAX_TIMER_MILLIS) : undefined
  if (process.env["NODE_ENV"] === "production") return () => clearInterval(timer)
  const place = new Error("opened")
  Error.captureStackTrace?.(place, opener)
  if (places.size === 0) process.on("exit", say)
  places.add(place)
  return () => {
    clearInterval(timer)
    if (places.delete(place) && places.size === 0) process.off("exit", say)
  }
}
