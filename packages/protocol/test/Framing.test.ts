import {
  Compression,
  Crc,
  Dialect,
  Frame,
  Framing,
  ProtocolError,
  Reader,
  Request,
  Response,
  RowDecoder,
  Segment,
  Writer
} from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { bytesOf, golden } from "../../../test/fixtures/vectors.ts"
import { Random } from "./support/random.ts"

interface Received {
  readonly version: number
  readonly flags: number
  readonly stream: number
  readonly opcode: number
  readonly body: string
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** One end of a connection, and what it received. */
class End implements Framing.EnvelopeHandler {
  readonly framing: Framing.Framing
  readonly received: Array<Received> = []
  readonly broken: Array<readonly [stream: number, message: string]> = []
  /** Done after each envelope. */
  after: (opcode: number) => void = () => {}

  constructor(options?: Framing.FramingOptions) {
    this.framing = new Framing.Framing(this, options)
  }

  onFrame(version: number, flags: number, stream: number, opcode: number, body: Reader.Reader): void {
    this.received.push({ version, flags, stream, opcode, body: hex(body.bytes.subarray(body.pos, body.end)) })
    this.after(opcode)
  }

  onBroken(_version: number, _flags: number, stream: number, _opcode: number, error: ProtocolError.DecodeError): void {
    this.broken.push([stream, error.message])
  }

  push(bytes: Uint8Array, chunk = Infinity): void {
    const r = Reader.Reader.from(bytes)
    for (let at = 0; at < r.end; at += chunk) this.framing.push(r.bytes, r.view, at, Math.min(r.end, at + chunk))
  }

  /** What is sent for whole envelopes. */
  wrap(envelopes: Uint8Array): Uint8Array {
    const w = new Writer.Writer(16)
    this.framing.write(w, envelopes, 0, envelopes.length)
    return w.toUint8Array()
  }
}

const envelope = (version: number, stream: number, opcode: number, body: Uint8Array): Uint8Array => {
  const w = new Writer.Writer(64 + body.length)
  const start = Frame.begin(w, version, 0, stream, opcode)
  w.raw(body)
  Frame.end(w, start)
  return w.toUint8Array()
}

const asReceived = (bytes: Uint8Array): Array<Received> => {
  const plain = new End()
  plain.push(bytes)
  assert.strictEqual(plain.framing.pending, 0)
  return plain.received
}

/** Bodies that compress well, and such that do not. */
const bodyOf = (random: Random, size: number): Uint8Array =>
  random.below(2) === 0 ? random.bytes(size) : new Uint8Array(size).map((_, i) => i % 7)

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

const READY = (version: Dialect.Version): Uint8Array =>
  envelope(0x80 | version, 0, Frame.Opcode.READY, new Uint8Array(0))

const modes: ReadonlyArray<readonly [name: string, Dialect.Version, Compression.Compressor | undefined]> = [
  ["v3", 3, undefined],
  ["v3 with lz4", 3, Compression.lz4],
  ["v4", 4, undefined],
  ["v4 with lz4", 4, Compression.lz4],
  ["v4 with snappy", 4, Compression.snappy],
  ["v5", 5, undefined],
  ["v5 with lz4", 5, Compression.lz4]
]

for (const [name, version, compressor] of modes) {
  describe(`framing of ${name}`, () => {
    /** A client and a server behind STARTUP. */
    const pair = (options?: Framing.FramingOptions): readonly [client: End, server: End] => {
      const client = new End(options)
      const server = new End(options)
      client.framing.startup(version, compressor)
      if (version >= 5) {
        client.push(READY(version))
        server.framing.use(version, compressor)
      } else {
        server.framing.use(version, compressor)
        client.push(server.wrap(READY(version)))
      }
      assert.deepStrictEqual(client.received, asReceived(READY(version)))
      client.received.length = 0
      return [client, server]
    }

    it("is plain only where nothing is done", () => {
      for (const { framing } of pair()) assert.strictEqual(framing.isPlain, version < 5 && compressor === undefined)
    })

    it("what one end writes the other reads, however it is cut", () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new Random(seed)
        const [client, server] = pair()
        for (const [from, to, bit] of [[client, server, 0], [server, client, 0x80]] as const) {
          const sizes = Array.from(
            { length: 1 + random.below(6) },
            () => random.pick([0, 1, 127, 128, 300, 5000, 130_000, 131_062, 131_063, 300_000])
          )
          const envelopes = concat(
            sizes.map((size) => envelope(version | bit, random.below(32_768), 8, bodyOf(random, size)))
          )
          const bytes = from.wrap(envelopes)
          to.push(bytes, 1 + random.below(random.pick([10, 1000, 200_000, 2_000_000])))
          assert.deepStrictEqual(to.received, asReceived(envelopes), `seed ${seed}`)
          assert.strictEqual(to.framing.pending, 0)
        }
      }
    })

    it("a split at every byte gives the same envelopes", () => {
      const random = new Random(7)
      const envelopes = concat([0, 5, 200, 150].map((size) => envelope(version, size, 7, bodyOf(random, size))))
      const bytes = pair()[0].wrap(envelopes)
      for (let at = 0; at <= bytes.length; at++) {
        const [, server] = pair()
        server.push(bytes.slice(0, at))
        server.push(bytes.slice(at))
        assert.deepStrictEqual(server.received, asReceived(envelopes), `at ${at}`)
      }
    })

    it("stops in the midst of a chunk when the handler says so", () => {
      const [client, server] = pair()
      server.after = () => server.framing.stop()
      const bytes = client.wrap(concat([1, 2, 3].map((stream) => envelope(version, stream, 7, new Uint8Array(300)))))
      server.push(concat([bytes, bytes]))
      server.push(bytes)
      assert.strictEqual(server.received.length, 1)
      assert.strictEqual(server.framing.pending, 0)
      server.framing.use(5)
      server.push(bytes)
      assert.strictEqual(server.received.length, 1)
    })

    it("bodies over the bound end the stream", () => {
      const [, server] = pair({ maxBody: 1000 })
      const [client] = pair()
      server.push(client.wrap(envelope(version, 1, 7, new Uint8Array(1000))))
      assert.strictEqual(server.received.length, 1)
      const large = client.wrap(envelope(version, 2, 7, new Random(3).bytes(1001)))
      assert.throws(() => server.push(large), ProtocolError.DecodeError, "over the bound of 1000 bytes")
      server.push(client.wrap(envelope(version, 3, 7, new Uint8Array(0))))
      assert.strictEqual(server.received.length, 1)
    })

    it("refuses to send what is no whole envelope", () => {
      const [client] = pair()
      if (client.framing.isPlain) return assert.deepStrictEqual(client.wrap(new Uint8Array(5)), new Uint8Array(5))
      const whole = envelope(version, 1, 7, new Uint8Array(20))
      for (const length of [1, 8, 9, 28]) assert.throws(() => client.wrap(whole.slice(0, length)), RangeError)
    })
  })
}

describe("the switch", () => {
  for (const [opcode, body] of [[Frame.Opcode.READY, ""], [Frame.Opcode.AUTHENTICATE, "000161"]] as const) {
    for (const compressor of [undefined, Compression.lz4]) {
      it(`v5: segments begin right behind the answer ${opcode}, with ${compressor?.name ?? "no compression"}`, () => {
        const answer = envelope(0x85, 0, opcode, bytesOf(body))
        const server = new End()
        server.framing.use(5, compressor)
        const next = envelope(0x85, 1, Frame.Opcode.RESULT, new Uint8Array(500))
        const bytes = concat([answer, server.wrap(next)])
        for (const chunk of [1, 3, Infinity]) {
          const client = new End()
          client.framing.startup(5, compressor)
          assert.isTrue(client.framing.isPlain)
          const plain: Array<boolean> = []
          client.after = () => plain.push(client.framing.isPlain)
          client.push(bytes, chunk)
          assert.deepStrictEqual(client.received, asReceived(concat([answer, next])))
          // Whoever answers from within the handler sends a segment already.
          assert.deepStrictEqual(plain, [false, false])
        }
      })
    }
  }

  it("the answer itself may be compressed, as recorded", () => {
    const files = ["cql-v4-scylla-6.0.4", "cql-v4-cassandra-5.0.5", "cql-v3-cassandra-5.0.5"]
    for (const file of files) {
      for (const compressor of [Compression.lz4, Compression.snappy]) {
        const { response } = golden(file).find(({ name }) => name === `ready-${compressor.name}`)!
        const version = file.includes("v3") ? 3 : 4
        const client = new End()
        client.framing.startup(version, compressor)
        assert.isTrue(client.framing.isPlain)
        client.push(bytesOf(response!))
        const { body, flags, opcode } = client.received[0]!
        assert.deepStrictEqual([body, flags, opcode], ["", 0, Frame.Opcode.READY])
        assert.isFalse(client.framing.isPlain)
      }
    }
  })

  it("v5: the answer is not compressed, whatever its flag says", () => {
    const answer = envelope(0x85, 0, Frame.Opcode.READY, Compression.lz4.compress(new Uint8Array(6), 0, 6))
    answer[1] = Frame.Flags.COMPRESSION
    const client = new End()
    client.framing.startup(5, Compression.lz4)
    client.push(answer)
    // Its reader refuses it by the flag.
    assert.deepStrictEqual(client.received, asReceived(answer))
    assert.strictEqual(client.received[0]!.flags, Frame.Flags.COMPRESSION)
  })

  it("an ERROR to STARTUP may be compressed, too, and does not switch", () => {
    const error = envelope(0x84, 0, Frame.Opcode.ERROR, new Uint8Array(6))
    for (const compressor of [Compression.lz4, Compression.snappy]) {
      const server = new End({ compress: "always" })
      server.framing.use(4, compressor)
      const client = new End()
      client.framing.startup(4, compressor)
      client.push(server.wrap(error))
      assert.deepStrictEqual(client.received, asReceived(error))
      assert.isTrue(client.framing.isPlain)
    }
  })

  it("a server switches within the chunk that holds STARTUP", () => {
    const startup = envelope(5, 0, Frame.Opcode.STARTUP, new Uint8Array(2))
    const client = new End()
    client.framing.use(5)
    const query = envelope(5, 1, Frame.Opcode.QUERY, new Uint8Array(30))
    const server = new End()
    server.after = (opcode) => {
      if (opcode === Frame.Opcode.STARTUP) server.framing.use(5)
    }
    server.push(concat([startup, client.wrap(query)]))
    assert.deepStrictEqual(server.received, asReceived(concat([startup, query])))
  })

  it("an ERROR does not switch, and STARTUP can be asked again in another way", () => {
    const client = new End()
    client.framing.startup(5, Compression.lz4)
    const error = envelope(0x84, 0, Frame.Opcode.ERROR, new Uint8Array(6))
    client.push(error)
    assert.isTrue(client.framing.isPlain)
    client.framing.startup(4)
    client.push(concat([READY(4), READY(4)]))
    assert.isTrue(client.framing.isPlain)
    assert.deepStrictEqual(client.received, asReceived(concat([error, READY(4), READY(4)])))
  })

  it("Snappy on v5 is refused, and so is a second switch", () => {
    const { framing } = new End()
    assert.throws(() => framing.startup(5, Compression.snappy), ProtocolError.EncodeError, "v5 has no Snappy")
    assert.throws(() => framing.use(5, Compression.snappy), ProtocolError.EncodeError, "v5 has no Snappy")
    framing.use(5)
    assert.throws(() => framing.use(4), ProtocolError.EncodeError, "its segments stay")
    assert.throws(() => framing.startup(5), ProtocolError.EncodeError, "its segments stay")
  })
})

describe("compressed bodies", () => {
  it("mutated streams end in envelopes, broken ones or a DecodeError", () => {
    const outcomes = { received: 0, broken: 0, errors: 0 }
    for (let seed = 1; seed <= 4000; seed++) {
      const random = new Random(seed)
      const compressor = random.pick([Compression.lz4, Compression.snappy])
      const client = new End()
      client.framing.use(4, compressor)
      const bytes = client.wrap(
        concat(Array.from({ length: 3 }, (_, i) => envelope(4, i, 7, new Uint8Array(128 + random.below(2000)))))
      )
      for (let times = 1 + random.below(3); times > 0; times--) {
        bytes[random.below(bytes.length)] = random.pick([0, 1, 0xff, 0x7f, random.below(256)])
      }
      const server = new End({ maxBody: 10_000 })
      server.framing.use(4, compressor)
      try {
        server.push(bytes, 1 + random.below(500))
      } catch (error) {
        assert.instanceOf(error, ProtocolError.DecodeError, `seed ${seed}`)
        outcomes.errors++
      }
      assert.isAtMost(server.framing.pending, 10_009)
      for (const { body } of server.received) assert.isAtMost(body.length, 20_000)
      outcomes.received += server.received.length
      outcomes.broken += server.broken.length
    }
    for (const [name, count] of Object.entries(outcomes)) assert.isAbove(count, 200, name)
  })

  for (const compressor of [Compression.lz4, Compression.snappy]) {
    const sender = (compress?: "always"): End => {
      const end = new End({ compress })
      end.framing.use(4, compressor)
      return end
    }

    it(`${compressor.name}: those that get smaller, from a size on`, () => {
      const flagged = (body: Uint8Array) =>
        asReceived(sender().wrap(envelope(4, 1, 7, body)))[0]!.flags === Frame.Flags.COMPRESSION
      assert.isTrue(flagged(new Uint8Array(Framing.COMPRESS_FROM)))
      assert.isFalse(flagged(new Uint8Array(Framing.COMPRESS_FROM - 1)))
      assert.isFalse(flagged(new Random(5).bytes(500)))
    })

    it(`${compressor.name}: ScyllaDB compresses whatever is no event`, () => {
      const answers = golden("cql-v4-scylla-6.0.4").filter(({ name }) => name.endsWith(compressor.name))
      assert.isAtLeast(answers.length, 3)
      const receiver = new End()
      receiver.framing.use(4, compressor)
      for (const { name, response } of answers) {
        receiver.received.length = 0
        receiver.push(bytesOf(response!))
        const { body, flags, opcode, stream } = receiver.received[0]!
        assert.strictEqual(flags & Frame.Flags.COMPRESSION, 0)
        const r = Reader.Reader.from(bytesOf(body))
        Response.readPrefix(flags, r)
        assert.strictEqual(
          Response.decode(opcode, r, new RowDecoder.RowDecoders())._tag,
          {
            ready: "Ready",
            rows: "Rows",
            supported: "Supported",
            error: "Error"
          }[name.split("-")[0]!],
          name
        )
        const again = sender("always").wrap(envelope(0x84, stream, opcode, bytesOf(body)))
        assert.strictEqual(again[1], Frame.Flags.COMPRESSION, name)
        if (name.startsWith("ready")) assert.strictEqual(hex(again), response)
      }
      const event = envelope(0x84, -1, Frame.Opcode.EVENT, new Uint8Array(500))
      assert.deepStrictEqual(sender("always").wrap(event), event)
    })

    it(`${compressor.name}: one that is corrupt, or too large, fails alone`, () => {
      const good = sender().wrap(envelope(0x84, 3, 8, new Uint8Array(900)))
      const corrupt = sender().wrap(envelope(0x84, 2, 8, new Uint8Array(900)))
      corrupt.fill(0xff, 13)
      const large = sender().wrap(envelope(0x84, 1, 8, new Uint8Array(1001)))
      const receiver = new End({ maxBody: 1000 })
      receiver.framing.use(4, compressor)
      receiver.push(concat([corrupt, large, good]))
      assert.deepStrictEqual(receiver.broken.map(([stream]) => stream), [2, 1])
      assert.match(receiver.broken[1]![1], /over the bound of 1000 bytes/)
      assert.deepStrictEqual(receiver.received.map(({ stream }) => stream), [3])
    })
  }

  it("of any size one after the other, each whole", () => {
    const sizes = [1000, 3000, 300_000, 10, 200_000, 262_144, 262_145, 500]
    for (const compressor of [Compression.lz4, Compression.snappy]) {
      const client = new End({ compress: "always" })
      const server = new End()
      for (const { framing } of [client, server]) framing.use(4, compressor)
      const random = new Random(11)
      const envelopes = concat(sizes.map((size, i) => envelope(4, i, 7, bodyOf(random, size))))
      server.push(client.wrap(envelopes))
      assert.deepStrictEqual(server.received, asReceived(envelopes))
    }
  })

  it("one that is corrupt ends the stream where nobody can be told", () => {
    const framing = new Framing.Framing({ onFrame: () => assert.fail("it was handed out") })
    framing.use(4, Compression.lz4)
    const r = Reader.Reader.from(concat([Uint8Array.of(0x84, 1, 0, 1, 8, 0, 0, 0, 1, 0), READY(4)]))
    assert.throws(() => framing.push(r.bytes, r.view, 0, r.end), ProtocolError.DecodeError, "has no length")
    framing.push(r.bytes, r.view, 10, r.end)
    assert.strictEqual(framing.pending, 0)
  })

  it("one where none was agreed on is the reader's to refuse", () => {
    const plain = new End()
    plain.push(Uint8Array.of(0x84, 1, 0, 1, 8, 0, 0, 0, 1, 0))
    assert.strictEqual(plain.received[0]!.flags, Frame.Flags.COMPRESSION)
  })
})

describe("segments", () => {
  /** A segment made by hand: the library's own writer makes only right ones. `uncompressed` makes it one of lz4. */
  const sealed = (payload: Uint8Array, selfContained: boolean, uncompressed?: number): Uint8Array => {
    const w = new Writer.Writer()
    const littleEndian = (value: bigint, size: number): void => {
      for (let i = 0; i < size; i++) w.u8(Number((value >> BigInt(8 * i)) & 0xffn))
    }
    const length = BigInt(payload.length)
    if (uncompressed === undefined) littleEndian(length | (selfContained ? 1n << 17n : 0n), 3)
    else littleEndian(length | (BigInt(uncompressed) << 17n) | (selfContained ? 1n << 34n : 0n), 5)
    littleEndian(BigInt(Crc.crc24(w.bytes, 0, w.pos)), 3)
    w.raw(payload)
    littleEndian(BigInt(Crc.crc32(payload, 0, payload.length)), 4)
    return w.toUint8Array()
  }

  it("small envelopes share one, a large one is cut", () => {
    const client = new End()
    client.framing.use(5)
    const small = client.wrap(concat([1, 2, 3].map((stream) => envelope(5, stream, 7, new Uint8Array(50)))))
    assert.strictEqual(small.length, 6 + 3 * 59 + 4)
    const large = client.wrap(envelope(5, 1, 7, new Uint8Array(Segment.MAX_PAYLOAD)))
    assert.strictEqual(large.length, 9 + Segment.MAX_PAYLOAD + 2 * 10)
  })

  it("a self-contained one that ends within an envelope, or stands between pieces, ends the stream", () => {
    const whole = envelope(5, 1, 7, new Uint8Array(20))
    const receiver = (): End => {
      const end = new End()
      end.framing.use(5)
      return end
    }
    const good = receiver()
    good.push(concat([sealed(whole.slice(0, 15), false), sealed(whole.slice(15), false)]))
    assert.strictEqual(good.received.length, 1)
    const cases: ReadonlyArray<readonly [ReadonlyArray<Uint8Array>, string]> = [
      [[sealed(whole.slice(0, 15), true)], "ends within an envelope"],
      [[sealed(whole.slice(0, 15), false), sealed(whole, true)], "between the pieces"],
      [
        [sealed(whole.slice(0, 15), false), sealed(concat([whole.slice(15), whole.slice(0, 12)]), false)],
        "not a piece"
      ]
    ]
    for (const [parts, message] of cases) {
      const end = receiver()
      assert.throws(() => end.push(concat(parts)), ProtocolError.DecodeError, message)
      end.push(sealed(whole, true))
      assert.strictEqual(end.framing.pending, 0)
    }
  })

  it("a flipped bit anywhere ends the stream", () => {
    for (const compressor of [undefined, Compression.lz4]) {
      const client = new End()
      client.framing.use(5, compressor)
      const bytes = client.wrap(envelope(5, 1, 7, new Uint8Array(40)))
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const copy = bytes.slice()
        copy[bit >> 3]! ^= 1 << (bit & 7)
        const server = new End()
        server.framing.use(5, compressor)
        assert.throws(() => server.push(copy), ProtocolError.DecodeError, "does not match its checksum")
        assert.strictEqual(server.received.length, 0)
      }
    }
  })

  it("mutated payloads whose checksums match end in envelopes or a DecodeError", () => {
    let envelopes = 0
    let errors = 0
    for (let seed = 1; seed <= 4000; seed++) {
      const random = new Random(seed)
      const lz4 = random.below(2) === 0
      const stream: Array<Uint8Array> = []
      for (let i = 1 + random.below(4); i > 0; i--) {
        const plain = concat(
          Array.from({ length: random.below(3) + 1 }, () => envelope(5, 1, 7, bodyOf(random, random.below(400))))
        )
        const payload = (lz4 ? Compression.lz4CompressBlock(plain, 0, plain.length) : plain).slice(0, 100_000)
        for (let times = random.below(3); times > 0; times--) {
          payload[random.below(payload.length)] = random.pick([0, 1, 0xff, 0x7f, random.below(256)])
        }
        const cut = random.below(10) === 0 ? random.below(payload.length) : payload.length
        const uncompressed = random.below(10) === 0 ? random.below(131_072) : plain.length
        stream.push(sealed(payload.slice(0, cut), random.below(8) !== 0, lz4 ? uncompressed : undefined))
      }
      const server = new End({ maxBody: 100_000 })
      server.framing.use(5, lz4 ? Compression.lz4 : undefined)
      try {
        server.push(concat(stream), 1 + random.below(2000))
      } catch (error) {
        assert.instanceOf(error, ProtocolError.DecodeError, `seed ${seed}`)
        errors++
      }
      assert.isAtMost(server.framing.pending, 100_009)
      envelopes += server.received.length
    }
    assert.isAbove(envelopes, 2000)
    assert.isAbove(errors, 500)
  })

  it("requests of the library go there and back", () => {
    const out = new Writer.Writer()
    const requests: ReadonlyArray<Request.Request> = [
      { _tag: "Prepare", query: "SELECT 1", keyspace: "k" },
      { _tag: "Query", query: "x".repeat(200_000), options: { consistency: "ONE" }, values: undefined }
    ]
    requests.forEach((request, i) => Request.encode(out, i, request, { dialect: Dialect.v5 }))
    const client = new End()
    client.framing.use(5, Compression.lz4)
    const read: Array<Request.Request> = []
    const server = new Framing.Framing({
      onFrame: (_version, flags, _stream, opcode, body) => {
        read.push(Request.decode(opcode, flags, body, Dialect.v5).request)
      }
    })
    server.use(5, Compression.lz4)
    const r = Reader.Reader.from(client.wrap(out.toUint8Array()))
    server.push(r.bytes, r.view, 0, r.end)
    assert.deepStrictEqual(read, requests)
  })
})
