import { NodeAddress } from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"

const seed = (text: string) => Result.getOrThrow(NodeAddress.parseSeed(text))

describe("NodeAddress", () => {
  it.each(["http", "http:", "http://", "HTTP", " http "])("R2: %j is the scheme http", (text) => {
    assert.deepStrictEqual(NodeAddress.parseScheme(text), Result.succeed("http"))
  })

  it.each(["https", "https:", "https://"])("R2: %j is the scheme https", (text) => {
    assert.deepStrictEqual(NodeAddress.parseScheme(text), Result.succeed("https"))
  })

  it.each(["", "ftp", "http:/", "https//", "http://host", "httpx"])("R2: %j is no scheme", (text) => {
    assert.isTrue(Result.isFailure(NodeAddress.parseScheme(text)))
  })

  it.each(
    [
      ["10.0.0.1", undefined, "10.0.0.1", undefined],
      ["10.0.0.1:8000", undefined, "10.0.0.1", 8000],
      ["db.example.com", undefined, "db.example.com", undefined],
      ["DB.example.com.:80", undefined, "db.example.com", 80],
      ["2001:DB8:0::1", undefined, "2001:db8::1", undefined],
      ["[2001:db8::1]", undefined, "2001:db8::1", undefined],
      ["[2001:db8::1]:8043", undefined, "2001:db8::1", 8043],
      ["https://[2001:db8::1]:8043/", "https", "2001:db8::1", 8043],
      ["HTTP://node_1:1", "http", "node_1", 1]
    ] as const
  )("reads the seed %j", (text, scheme, host, port) => {
    assert.deepStrictEqual(seed(text), { scheme, host, port })
  })

  it.each([
    "",
    " ",
    ":8000",
    "http://",
    "host:",
    "host:0",
    "host:65536",
    "host:80a",
    "ftp://host",
    "http://host/path",
    "http://host?x",
    "user:secret@host",
    "[10.0.0.1]:80",
    "[::1",
    "fe80::1%eth0",
    "10.0.0",
    "10.0.0.256",
    "-host",
    "ho st",
    "1b2c3d4e-5f60-4a7b-8c9d-0123456789ab"
  ])("R18: %j is no seed", (text) => {
    assert.isTrue(Result.isFailure(NodeAddress.parseSeed(text)), JSON.stringify(NodeAddress.parseSeed(text)))
  })

  it("R18, R19: scheme, host and port of a node are one thing, with IPv6 in brackets where it must be", () => {
    const node = NodeAddress.make("https", "2001:db8::1", 8043)
    assert.strictEqual(node.url, "https://[2001:db8::1]:8043")
    assert.strictEqual(node.hostHeader, "[2001:db8::1]:8043")
    assert.strictEqual(NodeAddress.make("http", "a", 80).hostHeader, "a")
    assert.strictEqual(NodeAddress.make("https", "a", 80).hostHeader, "a:80")
    assert.strictEqual(NodeAddress.make("https", "a", 443).url, "https://a:443")
  })
})
