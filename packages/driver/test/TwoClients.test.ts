/** A Prepared counts the schema changes of whichever client used it last: another client whose count happens to be the same does not look. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { clientOf, passing, world } from "./support/world.ts"

it.effect("a Prepared of one client, executed by another after the types have changed", () =>
  Effect.gen(function*() {
    const { cluster, cql: other } = yield* world()
    yield* passing(other.execute("CREATE TABLE ks.u (id int PRIMARY KEY, v int)"))
    const a = yield* passing(clientOf(cluster))
    yield* passing(a.awaitConnected)
    // Two changes that `a` knows of and `b` does not.
    yield* passing(other.execute("CREATE TABLE ks.x1 (id int PRIMARY KEY)"))
    yield* passing(other.execute("CREATE TABLE ks.x2 (id int PRIMARY KEY)"))
    const held = yield* passing(a.prepare("INSERT INTO ks.u (id, v) VALUES (?, ?)"))
    const b = yield* passing(clientOf(cluster))
    yield* passing(b.awaitConnected)
    yield* passing(a.execute(held, [1, 5]))
    // Two changes, and both have counted to two.
    yield* passing(other.execute("DROP TABLE ks.u"))
    yield* passing(other.execute("CREATE TABLE ks.u (id int PRIMARY KEY, v float)"))
    for (let i = 0; i < 12; i++) {
      yield* passing(other.execute("INSERT INTO ks.u (id, v) VALUES (?, ?)", [100 + i, 5]))
    }
    const written: Array<unknown> = []
    for (let i = 0; i < 6; i++) {
      yield* passing(b.execute(held, [i, 5]))
      written.push((yield* passing(other.execute(`SELECT v FROM ks.u WHERE id = ${i}`))).rows[0]?.["v"])
    }
    assert.deepStrictEqual(written, [5, 5, 5, 5, 5, 5])
  }))
