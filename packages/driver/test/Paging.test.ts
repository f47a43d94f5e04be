/** Pages: read ahead, on the node that has them, in every form, and with tokens for people outside. */
import { Paging } from "@effect-scylla/driver"
import { Frame, RowShape } from "@effect-scylla/protocol"
import type { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import { clientOf, type ClientOptions, passing, settle, world } from "./support/world.ts"

const SELECT = "SELECT k, c, v FROM ks.p WHERE k = ?"

const setup = Effect.fnUntraced(function*(client: ClientOptions = {}) {
  const { cluster, cql } = yield* world({}, { pageSize: 10, ...client })
  yield* passing(cql.execute("CREATE TABLE ks.p (k int, c int, v text, PRIMARY KEY (k, c))"))
  const insert = yield* passing(cql.prepare("INSERT INTO ks.p (k, c, v) VALUES (?, ?, ?)"))
  const rows = Array.from({ length: 95 }, (_, c) => [1, c, `v${c}`])
  yield* passing(cql.executeMany(insert, [...rows, [2, 1, "other"]]))
  const select = yield* passing(cql.prepare(SELECT))
  yield* passing(Effect.sleep("1 second"))
  return { cluster, cql, select }
})

/** Requests for pages from now on: the nodes that they come to, and how many there are. */
const requests = Effect.fnUntraced(function*(cluster: SimulatedCluster.SimulatedCluster) {
  const nodes: Array<number> = []
  yield* cluster.intercept(({ node, opcode }) => {
    if (opcode === Frame.Opcode.EXECUTE) nodes.push(node)
    return undefined
  })
  return nodes
})

describe("streams", () => {
  it.effect("read one page ahead and no more, and end what is under way when nobody wants it", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const nodes = yield* requests(cluster)
      const after: Array<number> = []
      const taken = yield* passing(Stream.runCollect(
        cql.stream(select, [1]).pipe(
          Stream.rechunk(10),
          Stream.tap(() => Effect.andThen(settle, Effect.sync(() => after.push(nodes.length)))),
          Stream.take(25)
        )
      ))
      assert.deepStrictEqual(taken.map((row) => row["c"]), Array.from({ length: 25 }, (_, c) => c))
      // While the rows of page n are looked at, page n + 1 is there or on its way, never page n + 2.
      assert.isTrue(after.every((count, row) => count <= Math.floor(row / 10) + 2))
      assert.strictEqual(after[9], 2)
      yield* settle
      assert.isAtMost(nodes.length, 4)
      assert.strictEqual(
        cql.shardAwareStats().nodes.flatMap(({ slots }) => slots).reduce((sum, { inFlight }) => sum + inFlight, 0),
        0
      )
    }))

  it.effect("ask for a page only when the one before is used up where that was large; `first` never reads ahead", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const nodes = yield* requests(cluster)
      const row = yield* passing(cql<{ c: number }>`SELECT k, c, v FROM ks.p WHERE k = ${1}`.first)
      assert.strictEqual(row._tag === "Some" ? row.value.c : -1, 0)
      yield* settle
      assert.strictEqual(nodes.length, 1)
      const insert = yield* passing(cql.prepare("INSERT INTO ks.p (k, c, v) VALUES (?, ?, ?)"))
      yield* passing(cql.executeMany(insert, Array.from({ length: 20 }, (_, c) => [3, c, "x".repeat(150_000)])))
      nodes.length = 0
      yield* passing(Stream.runDrain(Stream.take(cql.stream(select, [3]), 3)))
      assert.strictEqual(nodes.length, 1)
    }))

  it.effect("stay on the node that gave the page before, as long as it is there", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const nodes = yield* requests(cluster)
      const rows = yield* passing(Stream.runCollect(cql.stream(select, [1])))
      assert.strictEqual(rows.length, 95)
      assert.strictEqual(nodes.length, 10)
      assert.strictEqual(new Set(nodes).size, 1)
      // Pages that are asked for one by one, too.
      nodes.length = 0
      const first = yield* passing(cql.execute(select, [1]))
      const second = yield* passing(cql.execute(select, [1], { pagingState: first.pagingState }))
      assert.strictEqual(new Set(nodes).size, 1)
      yield* cluster.stop(nodes[0]!)
      yield* settle
      const third = yield* passing(cql.execute(select, [1], { pagingState: second.pagingState }))
      assert.strictEqual(third.rows[0]!["c"], 20)
    }))
})

describe("forms of rows", () => {
  it.effect("lazily decoded and by columns", () =>
    Effect.gen(function*() {
      const { cql, select } = yield* setup()
      const lazy = yield* passing(cql.execute(select, [1], { rows: "lazy" }))
      assert.instanceOf(lazy.rows[0], RowShape.LazyRow)
      assert.deepStrictEqual(lazy.rows.map((row) => row.get("c")), Array.from({ length: 10 }, (_, c) => c))
      const columns = yield* passing(cql.execute(select, [1], { rows: "columns", pageSize: 50 }))
      assert.strictEqual(columns.rows.length, 1)
      const [page] = columns.rows
      assert.strictEqual(page!.size, 50)
      assert.instanceOf(page!.get("c"), Int32Array)
      assert.strictEqual(page!.get("v")![49], "v49")
      const sizes = yield* passing(Stream.runCollect(
        Stream.map(cql.stream(select, [1], { rows: "columns", pageSize: 40 }), ({ size }) => size)
      ))
      assert.deepStrictEqual(sizes, [40, 40, 15])
      const lwt = "UPDATE ks.p SET v = 'w' WHERE k = 1 AND c = 1 IF v = 'nothing'"
      for (const rows of ["lazy", "columns", "arrays"] as const) {
        assert.isFalse((yield* passing(cql.execute(lwt, [], { rows }))).wasApplied)
      }
      assert.isTrue((yield* passing(cql.execute(select, [1], { rows: "columns" }))).wasApplied)
    }))
})

describe("tokens", () => {
  it.effect("lead to the next page, in another process too, as long as statement and values are the same", () =>
    Effect.gen(function*() {
      const { cluster, cql, select } = yield* setup()
      const first = yield* passing(cql.execute(select, [1]))
      const token = (yield* passing(cql.toToken(select, [1], first)))!
      assert.match(token, /^[\w-]+$/)
      const other = yield* passing(clientOf(cluster, { pageSize: 10 }))
      const pagingState = yield* passing(other.fromToken(SELECT, { k: 1 }, token))
      const second = yield* passing(other.execute(SELECT, [1], { pagingState }))
      assert.strictEqual(second.rows[0]!["c"], 10)
      for (const [statement, values] of [[SELECT, [2]], ["SELECT k, c FROM ks.p WHERE k = ?", [1]]] as const) {
        const error = yield* passing(Effect.flip(other.fromToken(statement, values, token)))
        assert.strictEqual(error.reason._tag, "PagingTokenRefused")
        assert.include(error.message, "it belongs to another statement or to other values")
      }
    }))

  it.effect("of templates, and none behind the last page", () =>
    Effect.gen(function*() {
      const { cql } = yield* setup()
      const all = cql<{ c: number }>`SELECT k, c, v FROM ks.p WHERE k = ${1}`.with({ pageSize: 50 })
      const first = yield* passing(all.page())
      const token = (yield* passing(all.toToken(first)))!
      const second = yield* passing(all.pageOf(token))
      assert.deepStrictEqual([second.rows.length, second.rows[0]!.c], [45, 50])
      assert.isUndefined(yield* passing(all.toToken(second)))
      const text = cql`SELECT k, c FROM ks.p`.with({ pageSize: 50 })
      const page = yield* passing(text.page())
      const plain = (yield* passing(text.toToken(page)))!
      assert.strictEqual((yield* passing(text.pageOf(plain))).rows.length, 46)
      const error = yield* passing(Effect.flip(all.pageOf(plain)))
      assert.strictEqual(error.reason._tag, "PagingTokenRefused")
    }))

  it.effect("that were changed, cut, or made by somebody without the secret are refused before anything is asked", () =>
    Effect.gen(function*() {
      const secret = { pagingSecret: Redacted.make("only ours") }
      const { cluster, cql, select } = yield* setup(secret)
      const first = yield* passing(cql.execute(select, [1]))
      const token = (yield* passing(cql.toToken(select, [1], first)))!
      const strangers = yield* passing(clientOf(cluster, { pageSize: 10 }))
      const theirs = (yield* passing(strangers.toToken(SELECT, [1], first)))!
      assert.notStrictEqual(theirs, token)
      const nodes = yield* requests(cluster)
      const at = token.length - 3
      const wrong = [
        theirs,
        token.slice(0, 10),
        token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1),
        "",
        "not a token!",
        5 as never
      ]
      for (const one of wrong) {
        const error = yield* passing(Effect.flip(cql.fromToken(select, [1], one)))
        assert.strictEqual(error.reason._tag, "PagingTokenRefused", String(one))
      }
      yield* passing(cql.fromToken(select, [1], token))
      assert.strictEqual(nodes.length, 0)
    }))

  it("have no part that can be taken for another one", () => {
    const state = Uint8Array.of(1, 2, 3)
    const bound = (text: string, keyspace: string, values: Uint8Array) => ({
      text,
      keyspace,
      values,
      secret: undefined
    })
    const token = Paging.toToken(bound("ab", "c", Uint8Array.of()), state)
    assert.deepStrictEqual(Paging.fromToken(bound("ab", "c", Uint8Array.of()), token), state)
    assert.isString(Paging.fromToken(bound("a", "bc", Uint8Array.of()), token))
    assert.isString(Paging.fromToken(bound("ab", "", Uint8Array.from(Buffer.from("c"))), token))
  })
})
