/** What a person reads in the log. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { passing, world } from "./support/world.ts"

const logged = () => {
  const lines: Array<string> = []
  return {
    lines,
    layer: Logger.layer([Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))])
  }
}

describe("the log", () => {
  it.effect("a node that dies and returns: once each, with why", () => {
    const { layer, lines } = logged()
    return Effect.gen(function*() {
      const { cluster, cql } = yield* world({ shards: 4 })
      lines.length = 0
      yield* cluster.stop(1)
      yield* TestClock.adjust("20 seconds")
      yield* cluster.start(1)
      yield* TestClock.adjust("20 seconds")
      const about = lines.filter((line) => line.includes("127.0.0.2:9042 takes"))
      assert.strictEqual(about.length, 2, lines.join("\n"))
      assert.match(about[0]!, /^Warn.* takes no requests: the connection to .* was lost/)
      assert.match(about[1]!, /^Info.* takes requests again, after \d+\.\d s/)
      yield* passing(cql.execute("SELECT * FROM ks.t"))
    }).pipe(Effect.provide(layer))
  })

  it.effect("a node that hangs is named, too; the end of the client is nobody's death", () => {
    const { layer, lines } = logged()
    return Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const { cluster, cql } = yield* world()
        lines.length = 0
        yield* cluster.setFault(1, { _tag: "Stopped" })
        yield* passing(Effect.forEach(Array.from({ length: 20 }), () => cql.execute("SELECT * FROM ks.t"), {
          concurrency: 20
        }))
        yield* TestClock.adjust("2 seconds")
        yield* cluster.setFault(1, undefined)
        yield* TestClock.adjust("1 second")
      }))
      const about = lines.filter((line) => line.includes(":9042 takes"))
      assert.strictEqual(about.length, 2, lines.join("\n"))
      assert.include(about[0], "nothing is heard of")
    }).pipe(Effect.provide(layer))
  })
})
