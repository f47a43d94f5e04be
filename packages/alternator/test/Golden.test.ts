/** What a live ScyllaDB 6.0.4 was sent and answered: our bodies mean the same, its answers are understood. */
import { AlternatorClient, AlternatorNodes, AttributeValue, type Operations } from "@effect-scylla/alternator"
import * as AlternatorSimulation from "@effect-scylla/testkit/AlternatorSimulation"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { vectors } from "../../../test/fixtures/vectors.ts"

interface Exchange {
  readonly name: string
  readonly request: { readonly headers: Readonly<Record<string, string>>; readonly body: string | null }
  readonly response: { readonly status: number; readonly body: string }
}

const { exchanges } = vectors("golden/alternator-scylla-6.0.4.json") as { readonly exchanges: ReadonlyArray<Exchange> }

/** The recorded input, its items as plain values. */
const plain = (input: any): any => {
  const out = { ...input }
  for (const name of ["Key", "Item", "ExpressionAttributeValues"]) {
    if (out[name] !== undefined) out[name] = AttributeValue.decodeItem(out[name])
  }
  if (out.RequestItems !== undefined) {
    out.RequestItems = Object.fromEntries(
      Object.entries(out.RequestItems).map(([table, value]: [string, any]) => [
        table,
        Array.isArray(value)
          ? value.map(({ PutRequest }) => ({ PutRequest: { Item: AttributeValue.decodeItem(PutRequest.Item) } }))
          : { Keys: value.Keys.map(AttributeValue.decodeItem) }
      ])
    )
  }
  return out
}

const errors: Readonly<Record<string, string>> = {
  "delete-missing-table": "ResourceNotFound",
  "condition-failed": "ConditionalCheckFailed",
  "missing-table": "ResourceNotFound",
  validation: "ValidationFailed",
  "wrong-type": "ValidationFailed",
  "unknown-op": "UnknownOperation"
}

const recorded = exchanges.flatMap(({ name, request, response }) => {
  const operation = request.headers["X-Amz-Target"]?.split(".")[1]
  return operation === undefined || name === "bad-json" ? [] : [{ name, operation, request, response }]
})

describe("ScyllaDB 6.0.4", () => {
  it.effect.each(recorded)("$name", ({ name, operation, request, response }) =>
    Effect.gen(function*() {
      let sent = ""
      const simulation = AlternatorSimulation.make({
        nodes: [{ host: "10.0.0.1" }],
        handle: ({ body }) => {
          sent = Buffer.from(body).toString("utf8")
          return response
        }
      })
      const services = yield* Layer.build(
        AlternatorClient.layerClient().pipe(
          Layer.provideMerge(AlternatorNodes.layer({ seeds: "10.0.0.1" })),
          Layer.provideMerge(simulation.layer)
        )
      )
      const client = Context.get(services, AlternatorClient.AlternatorClient)
      const result = yield* Effect.result(
        client.execute(operation as Operations.Operation, plain(JSON.parse(request.body!)))
      )
      assert.deepStrictEqual(JSON.parse(sent), JSON.parse(request.body!))
      if (result._tag === "Failure") {
        assert.strictEqual(result.failure.reason._tag, errors[name] as never)
        assert.strictEqual(result.failure.outcome, "Rejected")
        assert.include(result.failure.message, JSON.parse(response.body).message)
        return
      }
      assert.isUndefined(errors[name])
      const answer = JSON.parse(response.body)
      assert.deepStrictEqual(Object.keys(result.success), Object.keys(answer))
      if (answer.Count !== undefined) assert.strictEqual((result.success as Operations.Page).Count, answer.Count)
    }))

  it("covers what was recorded", () => {
    assert.isAbove(recorded.length, 20)
    for (const name of Object.keys(errors)) assert.isTrue(recorded.some((one) => one.name === name), name)
  })
})
