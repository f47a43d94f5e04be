import {
  Codec,
  CqlType,
  Dialect,
  Frame,
  ProtocolError,
  type Reader,
  Request,
  Response,
  RowDecoder
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { bytesOf, golden } from "../../../test/fixtures/vectors.ts"
import { Random } from "./support/random.ts"
import { randomType, valueOf } from "./support/types.ts"

/*
 * Mutated frames: every decode ends in a value or a DecodeError. `PROTOCOL_FUZZ_ITERATIONS` and `PROTOCOL_FUZZ_SEED` make a
 * longer or another campaign of it.
 */
const iterations = Number(process.env["PROTOCOL_FUZZ_ITERATIONS"] ?? 20_000)
const firstSeed = Number(process.env["PROTOCOL_FUZZ_SEED"] ?? 1)

const files = [
  "cql-v4-scylla-6.0.4",
  "cql-v3-cassandra-5.0.5",
  "cql-v4-cassandra-5.0.5",
  "cql-v5-cassandra-5.0.5",
  "cql-v4-scylla-6.0.4-events-and-timeouts",
  "cql-v4-scylla-6.0.4-tablets",
  "cql-v4-scylla-6.0.4-auth"
]

/** Responses and requests that fit a small frame. */
const corpus: ReadonlyArray<Uint8Array> = files.flatMap((file) =>
  golden(file).flatMap(({ request, response }) => [response!, request ?? ""])
).filter((hex) => /^[08][345]/.test(hex) && hex.length < 8000).map(bytesOf)

const extremes = [0, 1, -1, -2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 2 ** 31 - 1, -(2 ** 31), 0x10000000]

const mutate = (source: Uint8Array, random: Random): Uint8Array => {
  let bytes: Uint8Array = source.slice()
  for (let times = 1 + random.below(4); times > 0; times--) {
    const at = random.below(bytes.length + 1)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    switch (random.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random.below(8)
        break
      case 1:
        bytes = bytes.slice(0, at)
        break
      case 2:
        bytes = Uint8Array.from(
          Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)])
        )
        break
      case 3:
        bytes = Uint8Array.from(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(8))]))
        break
      case 4:
        if (at + 4 <= bytes.length) view.setInt32(at, random.pick(extremes))
        break
      case 5:
        if (at + 2 <= bytes.length) view.setUint16(at, random.pick(extremes) & 0xffff)
        break
      case 6: {
        // A part of the same message somewhere else: types where names were, and the like.
        const length = random.below(40)
        const from = random.below(bytes.length + 1)
        bytes.set(bytes.slice(from, from + Math.min(length, bytes.length - Math.max(at, from))), at)
        break
      }
    }
  }
  return bytes
}

/** Mutations reach the insides of a message only where its frame still holds it. */
const repair = (bytes: Uint8Array): void => {
  if (bytes.length >= Frame.HEADER_SIZE) {
    new DataView(bytes.buffer, bytes.byteOffset).setInt32(5, bytes.length - Frame.HEADER_SIZE)
  }
}

const dialects = [3, 4, 5].map((version) => Dialect.make(version as Dialect.Version, { rateLimitCode: 61_440 }))

/** What came of it, to see that a campaign reaches both outcomes. */
const outcomes = { values: 0, errors: 0 }

const decode = (
  bytes: Uint8Array,
  decoders: RowDecoder.RowDecoders,
  expected: RowDecoder.RowDecoder | undefined
): void => {
  // Its neighbours in a socket's buffer are not its own.
  const all = Buffer.alloc(bytes.length + 32, 0x01)
  all.set(bytes, 16)
  const parser = new Frame.FrameParser({
    onFrame: (version, flags, _stream, opcode, body) => {
      const end = body.end
      try {
        // What the header says, as far as it is one that there is.
        const dialect = dialects[(version & 0x7f) - 3] ?? Dialect.v4
        if ((version & Frame.RESPONSE_BIT) === 0) Request.decode(opcode, flags, body, dialect)
        else {
          Response.readPrefix(flags, body)
          Response.decode(opcode, body, decoders, dialect, expected)
        }
        outcomes.values++
      } catch (error) {
        if (!(error instanceof ProtocolError.DecodeError)) throw error
        outcomes.errors++
      }
      if (body.pos > end) throw new Error("it was read past its end")
    }
  })
  try {
    parser.push(all, new DataView(all.buffer, all.byteOffset, all.length), 16, 16 + bytes.length)
  } catch (error) {
    if (!(error instanceof ProtocolError.DecodeError)) throw error
  }
}

/** The decoder of the rows that a recorded frame holds. */
const decoderOf = (bytes: Uint8Array): RowDecoder.RowDecoder | undefined => {
  let found: RowDecoder.RowDecoder | undefined
  class Kept extends RowDecoder.RowDecoders {
    override read(r: Reader.Reader, expected: RowDecoder.RowDecoder | undefined, page: RowDecoder.Page) {
      const rows = super.read(r, expected, page)
      found = page.decoder
      return rows
    }
  }
  decode(bytes, new Kept(), undefined)
  return found
}

describe("hostile bytes", () => {
  it(`${iterations} mutations of recorded frames end in a value or a DecodeError`, () => {
    assert.isAbove(corpus.length, 100)
    let decoders: Array<RowDecoder.RowDecoders> = []
    const expected = corpus.map(decoderOf)
    assert.isAbove(expected.filter((decoder) => decoder !== undefined).length, 20)
    outcomes.values = outcomes.errors = 0
    for (let i = 0; i < iterations; i++) {
      if (i % 500 === 0) {
        decoders = [
          new RowDecoder.RowDecoders({ uuid: "string" }),
          new RowDecoder.RowDecoders({ generated: false })
        ]
      }
      const seed = (firstSeed + i) * 2_654_435_761 >>> 0
      const random = new Random(seed)
      const from = random.below(corpus.length)
      const bytes = mutate(corpus[from]!, random)
      if (random.below(8) !== 0) repair(bytes)
      const started = performance.now()
      try {
        // The decoder of the statement, that of another, or none.
        const decoder = random.pick([expected[from], expected[from], random.pick(expected), undefined])
        decode(bytes, decoders[i & 1]!, decoder)
      } catch (error) {
        assert.fail(
          `seed ${firstSeed + i}: ${String(error)}\n${(error as Error).stack}\n${Buffer.from(bytes).toString("hex")}`
        )
      }
      const took = performance.now() - started
      if (took > 2000) assert.fail(`seed ${firstSeed + i} took ${took} ms: ${Buffer.from(bytes).toString("hex")}`)
    }
    assert.isAbove(outcomes.values, iterations / 20)
    assert.isAbove(outcomes.errors, iterations / 20)
  }, 60_000 + iterations)

  it("random bytes, too", () => {
    outcomes.values = outcomes.errors = 0
    const decoders = new RowDecoder.RowDecoders()
    for (let seed = 1; seed <= 3000; seed++) {
      const random = new Random(seed)
      const bytes = random.bytes(9 + random.below(60))
      bytes[0] = random.pick([0x84, 0x04])
      bytes[1] = random.pick([0, 2, 4, 8, 14])
      bytes[4] = random.below(17)
      // Small numbers are likelier to be counts and lengths that fit.
      for (let i = 9; i < bytes.length; i++) if (random.below(2) === 0) bytes[i] = random.below(3)
      repair(bytes)
      decode(bytes, decoders, undefined)
    }
    assert.strictEqual(outcomes.values + outcomes.errors, 3000)
  })

  it("bytes of any type end in a value or a DecodeError, and a value can be written again", () => {
    let values = 0
    for (let seed = 1; seed <= 10_000; seed++) {
      const random = new Random(seed * 7)
      const type = randomType(random, 3)
      const valid = Codec.encode(type, valueOf(type, random))!
      const bytes = random.below(4) === 0 ? random.bytes(random.below(30)) : mutate(valid, random)
      const note = `seed ${seed}: ${CqlType.format(type)} ${Buffer.from(bytes).toString("hex")}`
      let value: unknown
      try {
        value = Codec.decode(type, bytes)
      } catch (error) {
        assert.instanceOf(error, ProtocolError.DecodeError, note)
        continue
      }
      values++
      try {
        Codec.encode(type, value)
      } catch (error) {
        // Collections that hold nulls are read, where a server sends them, and never written.
        assert.instanceOf(error, ProtocolError.EncodeError, note)
        assert.match((error as Error).message, /collections hold no nulls|ASCII characters only/, note)
      }
    }
    assert.isAbove(values, 1000)
  })

  it("a count that promises gigabytes allocates nothing", () => {
    const before = process.memoryUsage()
    for (
      const hex of [
        "00000002000000007fffffff",
        "00000002000000040000000a7fffffff",
        "0000000200000000000000007fffffff"
      ]
    ) {
      const body = bytesOf(hex)
      const frame = Buffer.concat([bytesOf("840000000800000000"), body])
      repair(frame)
      for (let i = 0; i < 200; i++) decode(frame, new RowDecoder.RowDecoders(), undefined)
    }
    const after = process.memoryUsage()
    assert.isBelow(after.rss - before.rss, 100_000_000)
  })
})
