import { Frame, ProtocolError, Reader, Segment, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import { bytesOf, golden, type GoldenFrame } from "../../../test/fixtures/vectors.ts"
import { Random } from "./support/random.ts"

const { DecodeError } = ProtocolError

interface Recorded extends GoldenFrame {
  readonly requestSegment?: string
  readonly responseSegments?: string
}

/** Exchanges that were recorded on a connection without compression though the file is the one of LZ4. */
const plainInLz4 = new Set(["error-unknown-opcode", "error-second-startup", "register-ready"])

const recorded = ["cql-v5-cassandra-5.0.5", "cql-v5-lz4-cassandra-5.0.5"].flatMap((file) =>
  (golden(file) as Array<Recorded>).flatMap(({ name, request, requestSegment, response, responseSegments }) => {
    const lz4 = file.includes("lz4") && !plainInLz4.has(name)
    return [
      { name: `${file} ${name} request`, lz4, envelope: request, segment: requestSegment },
      { name: `${file} ${name} response`, lz4, envelope: response, segment: responseSegments }
    ].filter((one) => one.segment !== undefined)
  })
)

interface Payload {
  readonly bytes: Buffer
  readonly selfContained: boolean
}

const payloads = (segments: Uint8Array, lz4: boolean, chunks: ReadonlyArray<number> = []): Array<Payload> => {
  const out: Array<Payload> = []
  const parser = new Segment.SegmentParser({
    onPayload: (bytes, view, start, end, selfContained) => {
      if (end > start) assert.strictEqual(view.getUint8(start), bytes[start])
      out.push({ bytes: Buffer.from(bytes.subarray(start, end)), selfContained })
    }
  }, lz4)
  const { bytes, end, view } = Reader.Reader.from(segments)
  let at = 0
  for (const cut of [...chunks, end]) {
    parser.push(bytes, view, at, cut)
    at = cut
  }
  assert.strictEqual(parser.pending, 0)
  return out
}

const write = (bytes: Uint8Array, lz4: boolean): Uint8Array => {
  const w = new Writer.Writer()
  Segment.write(w, bytes, 0, bytes.length, lz4)
  return w.toUint8Array()
}

const envelope = (stream: number, body: Uint8Array): Uint8Array => {
  const w = new Writer.Writer()
  const start = Frame.begin(w, 5, 0, stream, Frame.Opcode.QUERY)
  w.ensure(body.length)
  w.bytes.set(body, w.pos)
  w.pos += body.length
  Frame.end(w, start)
  return w.toUint8Array()
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("Segment", () => {
  it("there is something recorded", () => assert.isAbove(recorded.length, 180))

  for (const { envelope, lz4, name, segment } of recorded) {
    it(`${name}`, () => {
      const bytes = bytesOf(segment!)
      const whole = payloads(bytes, lz4)
      assert.strictEqual(hex(Buffer.concat(whole.map((payload) => payload.bytes))), envelope)
      assert.isTrue(whole.every((payload) => payload.selfContained))
      for (let cut = 1; cut < bytes.length; cut++) assert.deepStrictEqual(payloads(bytes, lz4, [cut]), whole)
      assert.deepStrictEqual(payloads(bytes, lz4, Array.from(bytes, (_, i) => i)), whole)
      const ours = write(bytesOf(envelope!), lz4)
      if (lz4) assert.strictEqual(hex(payloads(ours, true)[0]!.bytes), envelope)
      else assert.strictEqual(hex(ours), segment)
    })
  }

  const sizes = [0, 1, 100, 5000, 60_000, 131_061, 131_062, 131_063, 131_071, 262_133, 262_134, 400_000]

  for (const lz4 of [false, true]) {
    describe(`${lz4 ? "lz4" : "plain"} segments`, () => {
      it("a self-contained segment holds up to 131071 bytes of whole envelopes, larger ones come in pieces", () => {
        const shape = (...bodies: Array<number>): Array<[number, boolean]> => {
          const bytes = Buffer.concat(bodies.map((size, i) => envelope(i, new Uint8Array(size))))
          return payloads(write(bytes, lz4), lz4).map(({ bytes, selfContained }) => [bytes.length, selfContained])
        }
        assert.deepStrictEqual(shape(), [])
        assert.deepStrictEqual(shape(0), [[9, true]])
        assert.deepStrictEqual(shape(131_062), [[131_071, true]])
        assert.deepStrictEqual(shape(131_063), [[131_071, false], [1, false]])
        assert.deepStrictEqual(shape(131_052, 0, 1), [[131_070, true], [10, true]])
        assert.deepStrictEqual(shape(131_052, 1, 0), [[131_071, true], [9, true]])
        assert.deepStrictEqual(shape(5, 200_000, 6, 7), [[14, true], [131_071, false], [68_938, false], [31, true]])
        assert.deepStrictEqual(shape(262_133), [[131_071, false], [131_071, false]])
      })

      it("envelopes come back through the parser of frames", () => {
        const random = new Random(lz4 ? 5 : 6)
        const bodies = sizes.map((size, i) => i % 2 === 0 ? random.bytes(size) : new Uint8Array(size).fill(i))
        const segments = write(Buffer.concat(bodies.map((body, i) => envelope(i, body))), lz4)
        const seen: Array<number> = []
        const frames = new Frame.FrameParser({
          onFrame: (version, _flags, stream, opcode, body) => {
            assert.deepStrictEqual([version, opcode], [5, Frame.Opcode.QUERY])
            assert.isTrue(Buffer.from(bodies[stream]!).equals(body.bytes.subarray(body.pos, body.end)))
            seen.push(stream)
          }
        })
        const parser = new Segment.SegmentParser({
          onPayload: (bytes, view, start, end) => frames.push(bytes, view, start, end)
        }, lz4)
        for (const chunk of [segments.length, 70_000, 1013]) {
          const { bytes, end, view } = Reader.Reader.from(segments)
          for (let at = 0; at < end; at += chunk) parser.push(bytes, view, at, Math.min(end, at + chunk))
          assert.deepStrictEqual(seen.splice(0), sizes.map((_, i) => i))
          assert.strictEqual(frames.pending + parser.pending, 0)
        }
      })

      it("every changed bit of a segment is noticed", () => {
        const bytes = write(envelope(1, new Uint8Array(40).fill(3)), lz4)
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const changed = bytes.slice()
          changed[bit >> 3]! ^= 1 << (bit & 7)
          assert.throws(() => payloads(changed, lz4), DecodeError, /of a segment does not match its checksum/)
        }
      })

      it("a parser that has failed or was stopped hands out nothing more", () => {
        const good = write(envelope(1, new Uint8Array(40)), lz4)
        const bad = good.slice()
        bad[0]! ^= 1
        let count = 0
        const parser = new Segment.SegmentParser({ onPayload: () => count++ }, lz4)
        const stopping: Segment.SegmentParser = new Segment.SegmentParser({
          onPayload: () => {
            count++
            stopping.stop()
          }
        }, lz4)
        const feed = (parser: Segment.SegmentParser, bytes: Uint8Array): void => {
          const reader = Reader.Reader.from(bytes)
          parser.push(reader.bytes, reader.view, 0, reader.end)
        }
        assert.throws(() => feed(parser, bad), DecodeError)
        feed(parser, good)
        assert.strictEqual(count, 0)
        feed(stopping, Buffer.concat([good, good, good.subarray(0, 10)]))
        feed(stopping, good)
        assert.strictEqual(count, 1)
        assert.strictEqual(stopping.pending, 0)
      })
    })
  }

  it("compresses what gets smaller and stores the rest", () => {
    const compressible = envelope(1, new Uint8Array(10_000))
    assert.isBelow(write(compressible, true).length, 200)
    const random = envelope(1, new Random(9).bytes(10_000))
    assert.strictEqual(write(random, true).length, random.length + Segment.headerSize(true) + 4)
  })

  it("bytes that are no envelopes are refused", () => {
    const bytes = envelope(1, new Uint8Array(10))
    const w = new Writer.Writer()
    assert.throws(() => Segment.write(w, bytes, 0, bytes.length - 1), RangeError)
    assert.throws(() => Segment.write(w, bytes, 0, 8), RangeError)
    assert.throws(() => Segment.write(w, bytes, 0, bytes.length + 1), RangeError)
    assert.strictEqual(w.pos, 0)
  })

  it("a compressed payload that is corrupt, with checksums that match, is a DecodeError", () => {
    const bytes = write(envelope(1, new Uint8Array(1000)), true)
    // The uncompressed length is one more, the checksum of the header is made anew.
    const parts = [...bytes.subarray(0, 5)]
    parts[2]! ^= 2
    const crc = (header: ReadonlyArray<number>): number => {
      let crc = 0x875060
      for (const byte of header) {
        crc ^= byte << 16
        for (let bit = 0; bit < 8; bit++) {
          crc <<= 1
          if (crc & 0x1000000) crc ^= 0x1974f0b
        }
      }
      return crc
    }
    const sum = crc(parts)
    const changed = Uint8Array.of(...parts, sum, sum >> 8, sum >> 16, ...bytes.subarray(8))
    assert.throws(() => payloads(changed, true), DecodeError, /corrupt lz4/)
  })
})
