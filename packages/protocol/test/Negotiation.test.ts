import {
  Compression,
  Dialect,
  Features,
  Negotiation,
  ProtocolError,
  Reader,
  Response,
  RowDecoder,
  ServerError
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { bytesOf, golden } from "../../../test/fixtures/vectors.ts"

/** What a recorded server answered. */
const answerOf = (file: string, name: string): Response.Response => {
  const bytes = bytesOf(golden(file).find((frame) => frame.name === name)!.response!)
  const r = Reader.Reader.from(bytes)
  r.take(9)
  return Response.decode(bytes[4]!, r, new RowDecoder.RowDecoders())
}

const supported = (file: string): Features.Features => {
  const response = answerOf(file, "supported")
  return response._tag === "Supported" ? Features.fromSupported(response.options) : assert.fail(response._tag)
}

const scylla = supported("cql-v4-scylla-6.0.4")
const cassandra = supported("cql-v4-cassandra-5.0.5")
/** Everything that a ScyllaDB of 2026.3 offers. */
const newest: Features.Features = { ...scylla, metadataId: true, tabletsV2: "TABLETS_ROUTING_V2_EXPERIMENTAL" }

const protocolError = (message: string) => new ServerError.ProtocolError({ code: 0x000a, message })

describe("agree", () => {
  it("takes the highest version that both speak, v4 where the server does not say", () => {
    const offering = (...protocolVersions: ReadonlyArray<number>) => ({ ...Features.none, protocolVersions })
    const cases: ReadonlyArray<
      readonly [Features.Features, Negotiation.Wishes, Dialect.Version | undefined, Dialect.Version | string]
    > = [
      [cassandra, {}, undefined, 5],
      [cassandra, { version: 4 }, undefined, 4],
      [cassandra, { version: 3 }, undefined, 3],
      [cassandra, {}, 4, 4],
      [cassandra, {}, 3, 3],
      // Snappy is what was asked for, and v4 has it.
      [cassandra, { compression: "snappy" }, undefined, 4],
      [cassandra, { compression: "lz4" }, undefined, 5],
      [scylla, {}, undefined, 4],
      [scylla, { version: 3 }, undefined, 3],
      [scylla, {}, 3, 3],
      [Features.none, {}, undefined, 4],
      [offering(3, 4), {}, undefined, 4],
      [offering(3), {}, undefined, 3],
      [offering(4, 5, 6), {}, undefined, 5],
      [
        scylla,
        { version: 5 },
        undefined,
        "the server speaks protocol v3, v4, and v5 is wished for: set another version"
      ],
      [offering(6), {}, undefined, "the server speaks protocol v6, and v3 to v5 are wished for"],
      [cassandra, { version: 5 }, 4, "v3, v4, v5 and refused what is over v4, and v5 is wished for"]
    ]
    for (const [features, wishes, most, expected] of cases) {
      const agree = () => Negotiation.agree(features, wishes, most)
      if (typeof expected === "string") assert.throws(agree, ProtocolError.NegotiationError, expected)
      else assert.strictEqual(agree().dialect.version, expected)
    }
  })

  it("v5 with Snappy is refused before anybody is dialled", () => {
    const wishes = { version: 5, compression: "snappy" } as const
    const message = "protocol v5 has no Snappy: set the compression to lz4 or none, or the version to 4"
    assert.throws(() => Negotiation.check(wishes), ProtocolError.NegotiationError, message)
    assert.throws(() => Negotiation.agree(cassandra, wishes), ProtocolError.NegotiationError, message)
    for (const right of [{}, { version: 5, compression: "lz4" }, { version: 4, compression: "snappy" }] as const) {
      assert.doesNotThrow(() => Negotiation.check(right))
    }
  })

  it("compresses as wished where the server offers it, and says where not", () => {
    for (const features of [scylla, cassandra]) {
      for (const wished of ["lz4", "snappy"] as const) {
        const { compressor, startup, warnings } = Negotiation.agree(features, { compression: wished })
        assert.strictEqual(compressor, wished === "lz4" ? Compression.lz4 : Compression.snappy)
        assert.strictEqual(startup["COMPRESSION"], wished)
        assert.deepStrictEqual(warnings, [])
      }
      assert.isUndefined(Negotiation.agree(features).compressor)
      assert.notProperty(Negotiation.agree(features).startup, "COMPRESSION")
    }
    const bare = Negotiation.agree({ ...scylla, compression: ["snappy"] }, { compression: "lz4" })
    assert.isUndefined(bare.compressor)
    assert.notProperty(bare.startup, "COMPRESSION")
    assert.deepStrictEqual(bare.warnings, ["the server offers no lz4 (snappy): nothing is compressed"])
  })

  it("the dialect follows from what STARTUP says", () => {
    const wishes = { metadataIds: true, tablets: "v2" } as const
    const all = Negotiation.agree(newest, wishes)
    assert.deepStrictEqual(
      all.dialect,
      Dialect.make(4, { metadataIds: true, tabletVersions: true, rateLimitCode: 0xf000 })
    )
    assert.strictEqual(all.tablets, "v2")
    assert.deepStrictEqual(Object.keys(all.startup).sort(), [
      "CQL_VERSION",
      "SCYLLA_LWT_ADD_METADATA_MARK",
      "SCYLLA_RATE_LIMIT_ERROR",
      "SCYLLA_USE_METADATA_ID",
      "TABLETS_ROUTING_V2_EXPERIMENTAL"
    ])
    // What was not asked for is not spoken, however much is offered.
    const little = Negotiation.agree(newest)
    assert.deepStrictEqual(little.dialect, Dialect.make(4, { rateLimitCode: 0xf000 }))
    assert.strictEqual(little.tablets, "none")
    const older = Negotiation.agree(scylla, wishes)
    assert.deepStrictEqual(older.dialect, Dialect.make(4, { rateLimitCode: 0xf000 }))
    assert.strictEqual(older.tablets, "v1")
    // The ids are v4's extension, and v5's own.
    assert.isFalse(Negotiation.agree(newest, { ...wishes, version: 3 }).dialect.metadataIds)
    assert.notProperty(Negotiation.agree(newest, { ...wishes, version: 3 }).startup, "SCYLLA_USE_METADATA_ID")
    assert.deepStrictEqual(Negotiation.agree(cassandra, wishes).dialect, Dialect.v5)
    assert.deepStrictEqual(Negotiation.agree(cassandra, wishes).startup, { CQL_VERSION: "3.0.0" })
  })

  it("OPTIONS goes out as v4, but for a client that wants v3", () => {
    assert.deepStrictEqual(
      [undefined, 3, 4, 5].map((version) => Negotiation.firstVersion({ version: version as Dialect.Version })),
      [4, 3, 4, 4]
    )
  })
})

describe("refusals", () => {
  it("are told by code and text, as recorded and as older servers write them", () => {
    for (const name of ["version-5", "version-6", "version-66"]) {
      const response = answerOf("cql-v4-scylla-6.0.4", name)
      assert.strictEqual(response._tag === "Error" && Negotiation.refusal(response.error), "unsupported", name)
    }
    for (const [name, expected] of [["version-6", "beta"], ["version-66", "unsupported"]] as const) {
      const response = answerOf("cql-v4-cassandra-5.0.5", name)
      assert.strictEqual(response._tag === "Error" && Negotiation.refusal(response.error), expected, name)
    }
    const texts = {
      "Invalid or unsupported protocol version (5); supported versions are (3/v3, 4/v4, 5/v5-beta)": "unsupported",
      "Invalid or unsupported protocol version (5); the lowest supported version is 3 and the greatest is 4":
        "unsupported",
      "Beta version of the protocol used (5/v5-beta), but USE_BETA flag is unset": "beta",
      "Invalid message version. Got 5 but previous messages on this connection had version 4": "mixed",
      "Unknown compression algorithm: lz4": undefined,
      "Initial message size too large (100001), rejecting as invalid": undefined
    } as const
    for (const [text, expected] of Object.entries(texts)) {
      assert.strictEqual(Negotiation.refusal(protocolError(text)), expected, text)
      // The text in any other error says nothing.
      const other = new ServerError.InternalServerError({ code: 0, message: text })
      assert.isUndefined(Negotiation.refusal(other))
    }
  })

  it("lower the version step by step, and nothing else does", () => {
    const unsupported = protocolError("Invalid or unsupported protocol version: 5")
    const beta = protocolError("Beta version of the protocol used (5/v5-beta), but USE_BETA flag is unset")
    const mixed = protocolError("Invalid message version. Got 5 but previous messages on this connection had version 4")
    const other = protocolError("Unknown compression algorithm: lz4")
    const overloaded = new ServerError.Overloaded({ code: 0x1001, message: unsupported.message })
    const giveUp = { _tag: "GiveUp" }
    const lower = (version: number) => ({ _tag: "Lower", version })
    const cases: ReadonlyArray<readonly [Parameters<typeof Negotiation.afterRefusal>, object]> = [
      [[5, "STARTUP", unsupported], lower(4)],
      [[5, "STARTUP", beta], lower(4)],
      [[4, "STARTUP", unsupported], lower(3)],
      [[4, "OPTIONS", unsupported], lower(3)],
      // OPTIONS says nothing but its version: whatever is wrong is that.
      [[4, "OPTIONS", other], lower(3)],
      [[4, "STARTUP", other], giveUp],
      [[5, "STARTUP", mixed], { _tag: "Redial", version: 5 }],
      [[5, "OPTIONS", mixed], giveUp],
      [[3, "OPTIONS", unsupported], giveUp],
      [[4, "OPTIONS", overloaded], giveUp],
      [[5, "STARTUP", overloaded], giveUp],
      [[5, "STARTUP", "lost"], giveUp],
      [[4, "OPTIONS", "lost"], giveUp],
      [[4, "OPTIONS", unsupported, { version: 4 }], giveUp]
    ]
    for (const [given, expected] of cases) {
      assert.deepStrictEqual(Negotiation.afterRefusal(...given), expected, JSON.stringify(given))
    }
  })
})
