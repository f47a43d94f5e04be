import {
  Codec,
  CqlType,
  ProtocolError,
  Reader,
  Response,
  RowDecoder,
  TabletRouting,
  type Uuid
} from "@effect-scylla/protocol"
import { TabletMap } from "@effect-scylla/sharding"
import { assert, describe, it } from "@effect/vitest"
import { bytesOf, golden } from "../../../test/fixtures/vectors.ts"
import { Random } from "./support/random.ts"

const typeOf = (text: string): CqlType.CqlType => {
  const type = CqlType.parse(text)
  return typeof type === "string" ? assert.fail(type) : type
}

const v1 = typeOf("tuple<bigint, bigint, list<tuple<uuid, int>>>")
const v2 = typeOf("tuple<bigint, bigint, list<tuple<uuid, int>>, bigint>")
const host = "550e8400-e29b-41d4-a716-446655440000"

const encode = (type: CqlType.CqlType, value: ReadonlyArray<unknown>): Uint8Array => Codec.encode(type, value)!

const payload = (key: string, bytes: Uint8Array | null): ReadonlyMap<string, Uint8Array | null> =>
  new Map([["other", new Uint8Array(3)], [key, bytes]])

describe("TabletRouting", () => {
  it("of each version, and none", () => {
    const value = [-(2n ** 63n), 2n ** 63n - 1n, [[host, 7], [host, 0]]]
    const expected = {
      first: -(2n ** 63n),
      last: 2n ** 63n - 1n,
      replicas: [{ host, shard: 7 }, { host, shard: 0 }]
    }
    assert.deepStrictEqual(TabletRouting.fromPayload(payload("tablets-routing-v1", encode(v1, value))), {
      ...expected,
      version: undefined
    })
    const version = -(2n ** 62n) - 5n
    const told = TabletRouting.fromPayload(payload("tablets-routing-v2", encode(v2, [...value, version])))!
    assert.deepStrictEqual(told, { ...expected, version })
    assert.deepStrictEqual(
      TabletRouting.fromPayload(payload("tablets-routing-v1", encode(v1, [1n, 2n, []])))?.replicas,
      []
    )
    for (const none of [undefined, new Map(), payload("x", new Uint8Array(1)), payload("tablets-routing-v1", null)]) {
      assert.isUndefined(TabletRouting.fromPayload(none))
    }
    // It is what the map of tablets takes, and the version comes back nibble by nibble.
    const tablet = new TabletMap.Tablet(told)
    assert.strictEqual(tablet.versionBlock(0), Number(BigInt.asUintN(4, version)))
    assert.strictEqual(tablet.versionBlock(15), 0xf0 | Number(BigInt.asUintN(4, version >> 60n)))
  })

  it("elements that a later server adds are left alone", () => {
    const bytes = encode(v2, [1n, 2n, [], 3n])
    assert.isUndefined(TabletRouting.fromPayload(payload("tablets-routing-v1", bytes))!.version)
  })

  it("whatever is cut, mutated or without a token fails typed", () => {
    const bytes = encode(v2, [1n, 2n, [[host, 1]], 3n])
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(
        () => TabletRouting.fromPayload(payload("tablets-routing-v2", bytes.slice(0, end))),
        ProtocolError.DecodeError
      )
    }
    for (const [first, last] of [[2n, 2n], [3n, 2n]] as const) {
      assert.throws(
        () => TabletRouting.fromPayload(payload("tablets-routing-v1", encode(v1, [first, last, []]))),
        ProtocolError.DecodeError,
        "a tablet of no tokens"
      )
    }
    assert.throws(
      () => TabletRouting.fromPayload(payload("tablets-routing-v1", encode(v1, [1n, 2n, [[host, -1]]]))),
      ProtocolError.DecodeError,
      "shard -1"
    )
    // The list says that it is longer, or shorter, than its elements: what follows is not what it seems to be.
    for (const change of [-32, -1, 1, 12]) {
      const lying = bytes.slice()
      const view = new DataView(lying.buffer)
      view.setInt32(24, view.getInt32(24) + change)
      assert.throws(
        () => TabletRouting.fromPayload(payload("tablets-routing-v2", lying)),
        ProtocolError.DecodeError,
        "the replicas of a tablet have"
      )
    }
    let values = 0
    for (let seed = 1; seed <= 20_000; seed++) {
      const random = new Random(seed)
      const copy = bytes.slice()
      for (let i = 1 + random.below(3); i > 0; i--) {
        copy[random.below(copy.length)] = random.pick([0, 1, 28, 0xff, 0x7f])
      }
      try {
        if (TabletRouting.fromPayload(payload("tablets-routing-v2", copy)) !== undefined) values++
      } catch (error) {
        assert.instanceOf(error, ProtocolError.DecodeError, `seed ${seed}`)
      }
    }
    assert.isAbove(values, 100)
  })

  it("recorded: each node tells the tablet of the token exactly where it is no replica, all the same", () => {
    const frames = golden("cql-v4-scylla-6.0.4-tablets")
    const decode = (hex: string): { readonly prefix: Response.Prefix; readonly response: Response.Response } => {
      const bytes = bytesOf(hex)
      const r = Reader.Reader.from(bytes)
      r.take(9)
      const prefix = Response.readPrefix(bytes[1]!, r)
      return { prefix, response: Response.decode(bytes[4]!, r, new RowDecoder.RowDecoders()) }
    }
    const rowsOf = (name: string): ReadonlyArray<RowDecoder.Row> => {
      const { response } = decode(frames.find((frame) => frame.name === name)!.response!)
      return response._tag === "Rows" ? response.rows : assert.fail(response._tag)
    }
    const tokens = new Map(rowsOf("tokens").map((row) => [row["pk"] as number, row["system.token(pk)"] as bigint]))
    const hosts = new Map([
      ["127.0.0.2", String(rowsOf("host-id-127.0.0.2")[0]!["host_id"])],
      ...rowsOf("host-ids-peers").map((row) => [String(row["peer"]), String(row["host_id"] as Uuid.Uuid)] as const)
    ])
    const told = frames.flatMap(({ name, response }) => {
      const match = /^tablet-(?:read|write)-pk(\d+)-at-([\d.]+)-shard(\d)$/.exec(name)
      if (match === null) return []
      const [, pk, address, shard] = match
      const tablet = TabletRouting.fromPayload(decode(response!).prefix.customPayload)
      return [{ name, pk: Number(pk), host: hosts.get(address!)!, shard: Number(shard), tablet }]
    })
    assert.strictEqual(told.length, 54)
    for (const { host, name, pk, shard, tablet } of told) {
      const known = told.find((other) => other.pk === pk && other.tablet !== undefined)!.tablet!
      const isReplica = known.replicas.some((replica) => replica.host === host && replica.shard === shard)
      assert.strictEqual(tablet === undefined, isReplica, name)
      if (tablet !== undefined) assert.deepStrictEqual(tablet, known, name)
      assert.strictEqual(known.replicas.length, 2)
      assert.isTrue(known.first < tokens.get(pk)! && tokens.get(pk)! <= known.last, name)
    }
  })
})
