import { Features } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"

/** SUPPORTED of ScyllaDB 2026.3, whose keys are those of its `docs/dev/protocol-extensions.md`. */
const full: Readonly<Record<string, ReadonlyArray<string>>> = {
  CLIENT_OPTIONS: [""],
  COMPRESSION: ["lz4", "snappy"],
  CQL_VERSION: ["3.3.1"],
  SCYLLA_HOST_ID: ["550e8400-e29b-41d4-a716-446655440000"],
  SCYLLA_LWT_ADD_METADATA_MARK: ["LWT_OPTIMIZATION_META_BIT_MASK=2147483648"],
  SCYLLA_NR_SHARDS: ["8"],
  SCYLLA_PARTITIONER: ["org.apache.cassandra.dht.Murmur3Partitioner"],
  SCYLLA_RATE_LIMIT_ERROR: ["ERROR_CODE=61440"],
  SCYLLA_SHARD: ["3"],
  SCYLLA_SHARDING_ALGORITHM: ["biased-token-round-robin"],
  SCYLLA_SHARDING_IGNORE_MSB: ["12"],
  SCYLLA_SHARD_AWARE_PORT: ["19042"],
  SCYLLA_SHARD_AWARE_PORT_SSL: ["19142"],
  SCYLLA_USE_METADATA_ID: [""],
  TABLETS_ROUTING_V1: [""],
  TABLETS_ROUTING_V2_EXPERIMENTAL: [""]
}

const features = (changes: Readonly<Record<string, ReadonlyArray<string> | undefined>> = {}): Features.Features => {
  const map = new Map(Object.entries(full))
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
  return Features.fromSupported(map)
}

const without = (...keys: ReadonlyArray<string>) => Object.fromEntries(keys.map((key) => [key, undefined]))

const shardKeys = Object.keys(full).filter((key) =>
  /^SCYLLA_(SHARD|NR_SHARDS|PARTITIONER|SHARDING_ALGORITHM|SHARDING_IGNORE_MSB)$/.test(key)
)

const only = ({ warnings }: Features.Features): Features.SupportedWarning => {
  assert.strictEqual(warnings.length, 1)
  return warnings[0]!
}

describe("fromSupported", () => {
  it("of ScyllaDB", () => {
    assert.deepStrictEqual(features(), {
      shards: { shard: 3, nrShards: 8, ignoreMsb: 12, shardAwarePort: 19042, shardAwarePortTls: 19142 },
      lwtMask: 0x80000000,
      rateLimitCode: 61440,
      tabletsV1: true,
      tabletsV2: "TABLETS_ROUTING_V2_EXPERIMENTAL",
      metadataId: true,
      driverConfig: "CLIENT_OPTIONS",
      hostId: "550e8400-e29b-41d4-a716-446655440000",
      compression: ["lz4", "snappy"],
      protocolVersions: [],
      isScylla: true,
      warnings: []
    })
  })

  it("of Cassandra", () => {
    const cassandra = Features.fromSupported(
      new Map([
        ["PROTOCOL_VERSIONS", ["3/v3", "4/v4", "5/v5", "6/v6-beta", "x", "7", "/v8"]],
        ["COMPRESSION", ["SNAPPY", "LZ4"]],
        ["CQL_VERSION", ["3.4.7"]]
      ])
    )
    assert.deepStrictEqual(cassandra, {
      ...Features.none,
      compression: ["snappy", "lz4"],
      protocolVersions: [3, 4, 5]
    })
    assert.isFalse(cassandra.isScylla)
    assert.deepStrictEqual(Features.startupOptions(cassandra), {})
  })

  it("without the group of sharding: no shards, and nothing wrong about it", () => {
    const plain = features(without(...shardKeys, "SCYLLA_SHARD_AWARE_PORT", "SCYLLA_SHARD_AWARE_PORT_SSL"))
    assert.isUndefined(plain.shards)
    assert.deepStrictEqual(plain.warnings, [])
    assert.isTrue(plain.isScylla)
  })

  const edges: ReadonlyArray<[key: string, values: ReadonlyArray<ReadonlyArray<string> | undefined>]> = [
    ["SCYLLA_SHARD", [undefined, [], [""], ["8"], ["-1"], ["x"], ["1.5"], ["0x1"], ["1e0"], [" 3"], ["3", "3"], ["٣"]]],
    [
      "SCYLLA_NR_SHARDS",
      [undefined, [], [""], ["0"], ["-8"], ["65536"], ["4294967304"], ["99999999999"], ["8", "8"], ["eight"], ["3"], [
        "NaN"
      ]]
    ],
    ["SCYLLA_SHARDING_IGNORE_MSB", [undefined, [], ["64"], ["-1"], ["12.0"], ["12", "13"], [""]]],
    ["SCYLLA_SHARDING_ALGORITHM", [undefined, [], [""], ["round-robin"], ["biased-token-round-robin", "other"]]],
    [
      "SCYLLA_PARTITIONER",
      [undefined, [], ["Murmur3Partitioner"], ["org.apache.cassandra.dht.RandomPartitioner"], [
        "org.apache.cassandra.dht.Murmur3Partitioner",
        "org.apache.cassandra.dht.Murmur3Partitioner"
      ]]
    ]
  ]
  for (const [key, values] of edges) {
    it(`${key} that is missing or wrong: no shards, one warning, the rest stands`, () => {
      for (const value of values) {
        const wrong = features({ [key]: value })
        assert.isUndefined(wrong.shards, JSON.stringify(value))
        const warning = only(wrong)
        assert.strictEqual(warning.without, "shards")
        // The number of shards is what the shard is judged by.
        if (JSON.stringify(value) !== '["3"]') {
          assert.strictEqual(warning.key, key)
          assert.deepStrictEqual(warning.values, value)
        }
        assert.match(
          warning.message,
          /^SUPPORTED has SCYLLA_\w+=.+ where .+ was expected: the node is used without shards$/
        )
        const { shards: _, warnings: __, ...rest } = wrong
        const { shards: ___, warnings: ____, ...expected } = features()
        assert.deepStrictEqual(rest, expected)
      }
    })
  }

  it("the ends of the ranges are taken", () => {
    const of = (changes: Readonly<Record<string, string>>) => {
      const result = features(Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, [value]])))
      assert.deepStrictEqual(result.warnings, [])
      return result.shards!
    }
    assert.strictEqual(of({ SCYLLA_SHARD: "0", SCYLLA_NR_SHARDS: "1" }).nrShards, 1)
    assert.strictEqual(of({ SCYLLA_SHARD: "65534", SCYLLA_NR_SHARDS: "65535" }).shard, 65_534)
    assert.strictEqual(of({ SCYLLA_SHARDING_IGNORE_MSB: "0" }).ignoreMsb, 0)
    assert.strictEqual(of({ SCYLLA_SHARDING_IGNORE_MSB: "63" }).ignoreMsb, 63)
    assert.strictEqual(of({ SCYLLA_SHARD_AWARE_PORT: "65535" }).shardAwarePort, 65_535)
  })

  it("ports: each stands for itself, a wrong one is left out with a warning", () => {
    for (
      const [key, field, other] of [
        ["SCYLLA_SHARD_AWARE_PORT", "shardAwarePort", "shardAwarePortTls"],
        ["SCYLLA_SHARD_AWARE_PORT_SSL", "shardAwarePortTls", "shardAwarePort"]
      ] as const
    ) {
      assert.isUndefined(features(without(key)).shards![field])
      assert.deepStrictEqual(features(without(key)).warnings, [])
      for (const value of [["0"], ["65536"], ["x"], [], ["-1"], ["19042", "19043"], [""]]) {
        const wrong = features({ [key]: value })
        assert.isUndefined(wrong.shards![field])
        assert.strictEqual(wrong.shards![other], features().shards![other])
        assert.deepStrictEqual(
          only(wrong),
          new Features.SupportedWarning({ without: field, key, values: value, expected: "a port" })
        )
      }
      // Ports of a node that says nothing about its shards.
      const alone = features(without(...shardKeys))
      assert.isUndefined(alone.shards)
      assert.strictEqual(only(alone).without, "shards")
    }
  })

  it("extensions with malformed parameters are left out with a warning", () => {
    const table: ReadonlyArray<[key: string, name: string, field: "lwtMask" | "rateLimitCode"]> = [
      ["SCYLLA_LWT_ADD_METADATA_MARK", "LWT_OPTIMIZATION_META_BIT_MASK", "lwtMask"],
      ["SCYLLA_RATE_LIMIT_ERROR", "ERROR_CODE", "rateLimitCode"]
    ]
    for (const [key, name, field] of table) {
      assert.isUndefined(features(without(key))[field])
      assert.deepStrictEqual(features(without(key)).warnings, [])
      for (
        const value of [
          [],
          [""],
          [name],
          [`${name}=`],
          [`${name}=x`],
          [`${name}=0`],
          [`${name}=-1`],
          [`${name}=1=2`],
          [`${name}=4294967296`],
          [`${name} =1`],
          [`X${name}=1`],
          ["1"]
        ]
      ) {
        const wrong = features({ [key]: value })
        assert.isUndefined(wrong[field], JSON.stringify(value))
        assert.deepStrictEqual(
          only(wrong),
          new Features.SupportedWarning({ without: field, key, values: value, expected: `${name}=<number>` })
        )
        assert.deepStrictEqual(wrong.shards, features().shards)
        assert.notProperty(Features.startupOptions(wrong), key)
      }
      assert.strictEqual(features({ [key]: ["OTHER=5", `${name}=7`] })[field], 7)
    }
  })

  it("a host id that is none is left out with a warning, in its canonical text otherwise", () => {
    for (const value of [[], [""], ["x"], ["550e8400-e29b-41d4-a716-44665544000"], ["a", "b"]]) {
      const wrong = features({ SCYLLA_HOST_ID: value })
      assert.isUndefined(wrong.hostId)
      assert.strictEqual(only(wrong).without, "hostId")
      assert.match(only(wrong).message, /^SUPPORTED has SCYLLA_HOST_ID=.* where a UUID was expected: it is not used$/)
      assert.deepStrictEqual(wrong.shards, features().shards)
    }
    assert.deepStrictEqual(features(without("SCYLLA_HOST_ID")).warnings, [])
    assert.strictEqual(
      features({ SCYLLA_HOST_ID: ["550E8400-E29B-41D4-A716-446655440000"] }).hostId,
      "550e8400-e29b-41d4-a716-446655440000"
    )
  })

  it("the mark of conditional statements is a bit of the flags", () => {
    assert.isTrue(Features.isConditional(features(), 0x80000001 | 0))
    assert.isTrue(Features.isConditional(features(), 0x80000000))
    assert.isFalse(Features.isConditional(features(), 0x7fffffff))
    assert.isFalse(Features.isConditional(Features.none, -1))
  })

  it("a warning is told apart by its tag, reads as a sentence, and repeats no more than a line of what was sent", () => {
    const warning = only(features({ SCYLLA_SHARD: ["9"] }))
    assert.strictEqual(warning._tag, "SupportedWarning")
    assert.strictEqual(
      `node: ${warning}`,
      'node: SUPPORTED has SCYLLA_SHARD=["9"] where a number from 0 to 7 was expected: the node is used without shards'
    )
    const missing = only(features(without("SCYLLA_SHARD")))
    assert.match(missing.message, /^SUPPORTED has SCYLLA_SHARD=null where/)
    const megabytes = only(features({ SCYLLA_SHARD: Array.from({ length: 1000 }, () => "9".repeat(65_535)) }))
    assert.isBelow(megabytes.message.length, 400)
  })

  it("names that objects have anyway are no keys", () => {
    const odd = Features.fromSupported(new Map([["__proto__", ["x"]], ["constructor", ["y"]]]))
    assert.deepStrictEqual(odd, Features.none)
  })
})

describe("startupOptions", () => {
  it("echoes what is offered and asked for", () => {
    const always = {
      SCYLLA_LWT_ADD_METADATA_MARK: "LWT_OPTIMIZATION_META_BIT_MASK=2147483648",
      SCYLLA_RATE_LIMIT_ERROR: ""
    }
    const cases: ReadonlyArray<readonly [Features.Extensions, Readonly<Record<string, string>>]> = [
      [{}, {}],
      [{ tablets: "none", metadataIds: false }, {}],
      [{ tablets: "v1" }, { TABLETS_ROUTING_V1: "" }],
      [{ tablets: "v2", metadataIds: true }, { SCYLLA_USE_METADATA_ID: "", TABLETS_ROUTING_V2_EXPERIMENTAL: "" }]
    ]
    for (const [extensions, more] of cases) {
      assert.deepStrictEqual(Features.startupOptions(features(), extensions), { ...always, ...more })
      assert.deepStrictEqual(Features.startupOptions(Features.none, extensions), {})
    }
    // v1 is the next best thing.
    const older = features(without("TABLETS_ROUTING_V2_EXPERIMENTAL"))
    assert.deepStrictEqual(Features.startupOptions(older, { tablets: "v2" }), { ...always, TABLETS_ROUTING_V1: "" })
    // The name that is offered, and the new one where both are.
    const stable = Features.fromSupported(new Map([["TABLETS_ROUTING_V2", [""]]]))
    assert.deepStrictEqual(Features.startupOptions(stable, { tablets: "v2" }), { TABLETS_ROUTING_V2: "" })
    const both = Features.fromSupported(
      new Map([["TABLETS_ROUTING_V2_EXPERIMENTAL", [""]], ["TABLETS_ROUTING_V2", [""]]])
    )
    assert.deepStrictEqual(Features.startupOptions(both, { tablets: "v2" }), { TABLETS_ROUTING_V2: "" })
    const only2 = features(without("TABLETS_ROUTING_V1"))
    assert.deepStrictEqual(Features.startupOptions(only2, { tablets: "v1" }), always)
  })
})

describe("the name of the options that servers show", () => {
  for (
    const [offered, name] of [
      [["DRIVER_CONFIG"], "DRIVER_CONFIG"],
      [["CLIENT_OPTIONS"], "CLIENT_OPTIONS"],
      [["CLIENT_OPTIONS", "DRIVER_CONFIG"], "DRIVER_CONFIG"],
      [["COMPRESSION"], undefined]
    ] as const
  ) {
    it(`${offered.join(" and ")}: ${name}`, () => {
      assert.strictEqual(Features.fromSupported(new Map(offered.map((key) => [key, [""]]))).driverConfig, name)
    })
  }
})
