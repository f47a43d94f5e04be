import process from "node:process"
import { clearInterval, setInterval } from "node:timers"

const LONGEST = 2 ** 31 - 1

/** Where the clients that are open were opened. */
const places = new Set<Error>()

const say = (code: number): void => {
  // A program that has failed has forgotten nothing.
  if (code !== 0) return
  const lines = Array.from(places, ({ stack }) => `\n  opened ${stack?.split("\n")[1]?.trim() ?? "somewhere"}`)
  process.stderr.write(
    `@effect-scylla/driver: ${
      lines.length === 1 ? "1 client was" : `${lines.length} clients were`
    } not closed: open with ` +
      `"await using", or call close()${lines.join("")}\n`
  )
}

/** Notes a client that `opener` opens; answers with how to note its end. `isHeld`: the process stays for it. */
export const note = (isHeld: boolean, opener: (...args: Array<never>) => unknown): () => void => {
  const timer = isHeld ? setInterval(() => {}, LONGEST) : undefined
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
