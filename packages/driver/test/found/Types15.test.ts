/** Found for issue 15: values, their Schemas and their JSON, and parts of templates. */
import { CqlTypes } from "@effect-scylla/driver"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { runInNewContext } from "node:vm"
import { passing, world } from "../support/world.ts"

describe("JSON", () => {
  // CqlTypes.ts, `Decimal`: any exponent is read, up to what `BigDecimal` can have. A decimal of CQL has a scale of 32 bits: what comes by HTTP is
  // let through by the Schema, and refused by the codec much later. `Bigint` and `Int` know their bounds.
  it("of a decimal past what CQL has is refused by its Schema", () => {
    const decode = Schema.decodeUnknownExit(Schema.toCodecJson(CqlTypes.Decimal))
    assert.isTrue(Exit.isSuccess(decode("1e2147483648")))
    assert.isTrue(Exit.isFailure(decode("1e2147483649")))
    assert.isTrue(Exit.isFailure(decode("1e999999999999")))
  })

  // CqlTypes.ts, `Absent`: JSON has no `undefined`, and a key that is not there is refused ("Missing key"): what a request may leave as it is
  // cannot be left out of one that comes by HTTP, which is what it is for (a PATCH).
  it("of a request may leave a column out", () => {
    const Patch = Schema.Struct({ id: CqlTypes.Int, name: CqlTypes.Absent(Schema.NullOr(CqlTypes.Text)) })
    const decode = Schema.decodeUnknownSync(Schema.toCodecJson(Patch))
    assert.deepStrictEqual(decode({ id: 1, name: "x" }), { id: 1, name: "x" })
    assert.deepStrictEqual(decode({ id: 1, name: null }), { id: 1, name: null })
    assert.isUndefined(decode({ id: 1 }).name)
  })
})

describe("values of another realm", () => {
  // CqlTypes.ts: `instanceof`, where the codecs below ask by brand (`kinds.ts`), so that `cql` takes what `CqlSchema` refuses.
  it("are those of a request", () => {
    const foreign = runInNewContext(
      "({ blob: Uint8Array.of(1), set: new Set([1]), map: new Map([[1, 2]]), at: new Date(0) })"
    )
    const Request = Schema.Struct({
      blob: CqlTypes.Blob,
      set: CqlTypes.Set(CqlTypes.Int),
      map: CqlTypes.Map(CqlTypes.Int, CqlTypes.Int),
      at: CqlTypes.Timestamp
    })
    assert.isTrue(
      Exit.isSuccess(Schema.encodeUnknownExit(Request)(foreign)),
      String(Schema.encodeUnknownExit(Request)(foreign))
    )
  })
})

describe("parts of a template", () => {
  // Statement.ts, `joined`: with " AND " and ", ": what stands behind a comment to the end of the line is in the comment, without an error where
  // it has no values: a condition less, and a DELETE of the whole partition. A line break before the separator would do.
  it.effect("hold whatever comment is in another one", () =>
    Effect.gen(function*() {
      const { cql } = yield* world()
      yield* passing(cql.execute("CREATE TABLE ks.o (k int, c int, PRIMARY KEY (k, c))"))
      yield* passing(cql.executeMany("INSERT INTO ks.o (k, c) VALUES (?, ?)", [[1, 1], [1, 2], [1, 3]]))
      yield* passing(cql`DELETE FROM ks.o WHERE ${cql.and([cql`k = ${1} -- of this person`, cql`c = 2`])}
        `)
      assert.deepStrictEqual(yield* passing(cql`SELECT c FROM ks.o WHERE k = ${1}`), [{ c: 1 }, { c: 3 }])
    }))
})
