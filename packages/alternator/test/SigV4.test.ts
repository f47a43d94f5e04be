import { Auth, SigV4 } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { SignatureV4 } from "@smithy/signature-v4"
import { gzipSync } from "node:zlib"
import { Random } from "../../../test/support/random.ts"
import { Sha256 } from "../../../test/support/sha256.ts"

describe("SigV4", () => {
  it("R4, D9: signatures are those of @smithy/signature-v4, byte for byte", async () => {
    const random = new Random(42)
    const hosts = ["10.0.0.1:8000", "[2001:db8::1]:8043", "db.example.com", "localhost:1"]
    for (let round = 0; round < 200; round++) {
      const region = ["us-east-1", "fake", "eu-north-1"][random.below(3)]!
      const accessKeyId = `role_${random.below(1000)}`
      const secretAccessKey = Buffer.from(random.bytes(1 + random.below(60))).toString("base64")
      const host = hosts[random.below(hosts.length)]!
      const target = `DynamoDB_20120810.${["GetItem", "PutItem", "Query"][random.below(3)]}`
      const text = JSON.stringify({ TableName: "é".repeat(random.below(50)), n: random.u32() })
      const body = round % 3 === 0 ? gzipSync(text) : round % 3 === 1 ? text : Buffer.from(text)
      const millis = Date.UTC(2026, random.below(12), 1 + random.below(28), random.below(24), random.below(60), 7, 999)
      const theirs = await new SignatureV4({
        credentials: { accessKeyId, secretAccessKey },
        region,
        service: "dynamodb",
        sha256: Sha256,
        applyChecksum: false
      }).sign({
        method: "POST",
        protocol: "http:",
        hostname: host,
        path: "/",
        headers: { host, "x-amz-target": target },
        body
      }, { signingDate: new Date(millis) })
      const signer = new SigV4.Signer(Auth.sigV4({ accessKeyId, secretAccessKey, region }) as never)
      assert.strictEqual(signer.at(millis), theirs.headers["x-amz-date"])
      assert.strictEqual(signer.sign(host, target, body), theirs.headers["authorization"])
    }
  })

  it("follows the clock over seconds and days", () => {
    const credentials = Auth.sigV4({ accessKeyId: "a", secretAccessKey: "b" }) as never
    const signer = new SigV4.Signer(credentials)
    const night = Date.UTC(2026, 11, 31, 23, 59, 59, 999)
    assert.strictEqual(signer.at(night), "20261231T235959Z")
    const before = signer.sign("h", "t", "")
    assert.strictEqual(signer.at(night + 1), "20270101T000000Z")
    const after = signer.sign("h", "t", "")
    assert.notStrictEqual(before, after)
    assert.include(after, "20270101/us-east-1/dynamodb/aws4_request")
    const fresh = new SigV4.Signer(credentials)
    fresh.at(night + 1)
    assert.strictEqual(fresh.sign("h", "t", ""), after)
  })
})
