import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { SignatureV4 } from "@smithy/signature-v4"
import { Effect } from "effect"
import { Sha256 } from "../../../test/support/sha256.ts"
import * as DynaliteStore from "../src/internal/dynaliteStore.ts"
import { verify } from "../src/internal/sigV4Verifier.ts"

const now = Date.UTC(2026, 10, 21, 12)
const secrets = { alice: "secret" }
const body = '{"TableName":"t"}'

const signed = async (): Promise<Record<string, string>> => {
  const signer = new SignatureV4({
    credentials: { accessKeyId: "alice", secretAccessKey: "secret" },
    region: "us-east-1",
    service: "dynamodb",
    sha256: Sha256,
    applyChecksum: false
  })
  const request = await signer.sign({
    method: "POST",
    protocol: "http:",
    hostname: "h",
    path: "/",
    headers: { host: "127.0.0.1:8000", "x-amz-target": "DynamoDB_20120810.GetItem" },
    body
  }, { signingDate: new Date(now) })
  return request.headers
}

describe("the signature verifier", () => {
  it("takes what smithy signs, within 15 minutes", async () => {
    const headers = await signed()
    assert.isUndefined(verify(headers, Buffer.from(body), secrets, now))
    assert.isUndefined(verify(headers, Buffer.from(body), secrets, now + 899_000))
    assert.include(verify(headers, Buffer.from(body), secrets, now + 901_000)!.message, "expired")
    assert.isDefined(verify(headers, Buffer.from(body), { alice: "other" }, now))
    assert.isDefined(verify(headers, Buffer.from(body), {}, now))
  })

  it("refuses each change of a single byte of the body, and of every header that is signed or carries the signature", async () => {
    const headers = await signed()
    const bytes = Buffer.from(body)
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed[i]! ^= 1
      assert.isDefined(verify(headers, changed, secrets, now), `byte ${i} of the body`)
    }
    for (const name of ["host", "x-amz-date", "x-amz-target", "authorization"]) {
      const value = headers[name]!
      for (let i = 0; i < value.length; i++) {
        const changed = `${value.slice(0, i)}${value[i] === "x" ? "y" : "x"}${value.slice(i + 1)}`
        assert.isDefined(verify({ ...headers, [name]: changed }, bytes, secrets, now), `${name}: ${changed}`)
      }
      const { [name]: _, ...others } = headers
      assert.isDefined(verify(others, bytes, secrets, now), `without ${name}`)
    }
  })
})

describe("AlternatorCluster", () => {
  it.live("answers /localnodes by datacenter and rack, health, and 404", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({
        nodes: [
          { address: "127.0.0.1", datacenter: "dc1", rack: "r1" },
          { address: "127.0.0.2", datacenter: "dc1", rack: "r2" },
          { address: "127.0.0.3", datacenter: "dc2", rack: "r1" }
        ],
        store: () => Promise.resolve({ status: 200, body: "{}" })
      })
      const get = (address: string, path: string) =>
        Effect.promise(() => fetch(`http://${address}:${cluster.port}${path}`).then((r) => r.text()))
      assert.strictEqual(yield* get("127.0.0.1", "/localnodes"), '["127.0.0.1","127.0.0.2"]')
      assert.strictEqual(yield* get("127.0.0.1", "/localnodes?dc=dc2"), '["127.0.0.3"]')
      assert.strictEqual(yield* get("127.0.0.3", "/localnodes?dc=dc1&rack=r2"), '["127.0.0.2"]')
      assert.strictEqual(yield* get("127.0.0.3", "/localnodes?dc=nope"), "[]")
      assert.strictEqual(yield* get("127.0.0.2", "/"), `healthy: 127.0.0.2:${cluster.port}`)
      assert.include(yield* get("127.0.0.2", "/nope"), "404")
    }))

  it.live("a node dies and comes back on its address", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ store: () => Promise.resolve({ status: 200, body: "{}" }) })
      const [node] = cluster.nodes
      const alive = () =>
        Effect.promise(() => fetch(`http://${node!.address}:${cluster.port}/`).then(() => true, () => false))
      assert.isTrue(yield* alive())
      yield* node!.become("dead")
      assert.isFalse(yield* alive())
      yield* node!.become("up")
      assert.isTrue(yield* alive())
    }))
})

describe("the store", () => {
  it.effect("has a table before it says that it was made, and has it no more before it says that it was dropped", () =>
    Effect.gen(function*() {
      const store = yield* DynaliteStore.make
      const ask = (operation: string, request: object) =>
        Effect.promise(async () => {
          const { body, status } = await store(operation, JSON.stringify({ TableName: "things", ...request }))
          return { status, body: JSON.parse(body) }
        })
      for (let i = 0; i < 20; i++) {
        const created = yield* ask("CreateTable", {
          BillingMode: "PAY_PER_REQUEST",
          KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
          AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }]
        })
        assert.strictEqual(created.body.TableDescription.TableStatus, "ACTIVE")
        assert.strictEqual((yield* ask("PutItem", { Item: { id: { S: "a" } } })).status, 200)
        assert.strictEqual((yield* ask("DeleteTable", {})).status, 200)
        assert.strictEqual((yield* ask("DescribeTable", {})).status, 400)
      }
    }))
})
