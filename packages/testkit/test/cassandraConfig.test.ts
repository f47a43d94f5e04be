import { assert, describe, it } from "@effect/vitest"
import * as Config from "../src/internal/cassandraConfig.ts"

describe("cassandraConfig", () => {
  const config: Config.NodeConfig = {
    index: 1,
    addresses: ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
    nativePort: 21_001,
    storagePort: 21_002,
    sslStoragePort: 21_003,
    authentication: false
  }

  it("spreads the tokens of all nodes evenly, and none twice", () => {
    for (const nodes of [1, 2, 3]) {
      const owned = Array.from({ length: nodes }, (_, index) => Config.tokensOf(index, nodes))
      const all = owned.flat().sort((a, b) => (a < b ? -1 : 1))
      assert.strictEqual(all.length, 4 * nodes)
      const step = (1n << 64n) / BigInt(all.length)
      all.forEach((token, i) => {
        assert.isTrue(token > -(1n << 63n) && token < 1n << 63n)
        assert.isTrue(owned[i % nodes]?.includes(token), "neighbours belong to different nodes")
        const previous = all[i - 1]
        if (previous !== undefined) {
          const error = token - previous - step
          assert.isTrue(error >= -2n && error <= 2n)
        }
      })
    }
  })

  it("writes ports, addresses, seeds and tokens", () => {
    const text = Config.yaml(config)
    const lines = text.split("\n")
    assert.include(lines, "listen_address: 127.0.0.2")
    assert.include(lines, "rpc_address: 127.0.0.2")
    assert.include(lines, "native_transport_port: 21001")
    assert.include(lines, "storage_port: 21002")
    assert.include(lines, "ssl_storage_port: 21003")
    assert.include(lines, `initial_token: "${Config.tokensOf(1, 3).join(",")}"`)
    assert.include(text, 'seeds: "127.0.0.1:21002,127.0.0.2:21002,127.0.0.3:21002"')
    assert.notInclude(text, "authenticator")
    assert.notInclude(text, "client_encryption_options")
  })

  it("adds authentication and TLS only when asked to", () => {
    const text = Config.yaml({ ...config, authentication: true, keystore: { path: '/a "b"', password: "p" } })
    assert.include(text, "authenticator: PasswordAuthenticator")
    assert.include(text, 'keystore: "/a \\"b\\""')
    assert.include(text, "optional: true")
  })
})
