import { Frame, ProtocolError, Reader, Request, Writer } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"

interface Seen {
  readonly version: number
  readonly flags: number
  readonly stream: number
  readonly opcode: number
  readonly body: string
}

const frame = (stream: number, body: Uint8Array, version = 0x84): Uint8Array => {
  const w = new Writer.Writer()
  const start = Frame.begin(w, version, 2, stream, Frame.Opcode.RESULT)
  w.raw(body)
  Frame.end(w, start)
  return w.toUint8Array()
}

const header = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"))

const collector = (maxBody?: number) => {
  const seen: Array<Seen> = []
  const parser = new Frame.FrameParser({
    onFrame: (version, flags, stream, opcode, body) => {
      seen.push({ version, flags, stream, opcode, body: Buffer.from(body.copy(body.remaining)).toString("hex") })
    }
  }, maxBody)
  return { parser, seen }
}

const push = (parser: Frame.FrameParser, bytes: Uint8Array, start = 0, end = bytes.length): void => {
  const r = Reader.Reader.from(bytes)
  parser.push(r.bytes, r.view, start, end)
}

const carryOf = (parser: Frame.FrameParser): number =>
  (parser as unknown as { carry: Uint8Array | undefined }).carry?.length ?? 0

const lengths = [0, 1, 3, 9, 40, 2000]
const stream = Buffer.concat(lengths.map((length, i) => frame(i - 1, new Uint8Array(length).fill(i + 1))))
const expected: ReadonlyArray<Seen> = lengths.map((length, i) => ({
  version: 0x84,
  flags: 2,
  stream: i - 1,
  opcode: 8,
  body: (i + 1).toString(16).padStart(2, "0").repeat(length)
}))

describe("FrameParser", () => {
  it("finds many frames in one chunk", () => {
    const { parser, seen } = collector()
    push(parser, stream)
    assert.deepStrictEqual(seen, expected)
    assert.strictEqual(parser.pending, 0)
    assert.strictEqual(carryOf(parser), 0, "nothing was copied")
  })

  it("finds them wherever the stream is split", () => {
    const small = Buffer.concat(
      lengths.slice(0, 5).map((length, i) => frame(i - 1, new Uint8Array(length).fill(i + 1)))
    )
    for (let a = 0; a <= small.length; a++) {
      for (let b = a; b <= small.length; b += 3) {
        const { parser, seen } = collector()
        push(parser, small, 0, a)
        push(parser, small, a, b)
        push(parser, small, b)
        assert.deepStrictEqual(seen, expected.slice(0, 5), `split at ${a} and ${b}`)
        assert.strictEqual(parser.pending, 0)
      }
    }
    for (const size of [1, 2, 5, 8, 9, 10, 11, 100]) {
      const { parser, seen } = collector()
      for (let at = 0; at < stream.length; at += size) push(parser, stream, at, Math.min(stream.length, at + size))
      assert.deepStrictEqual(seen, expected, `chunks of ${size}`)
    }
  })

  it("takes chunks out of a buffer that is used again", () => {
    const { parser, seen } = collector()
    const buffer = Buffer.alloc(64)
    for (let at = 0; at < stream.length; at += 50) {
      buffer.fill(0xee)
      const size = stream.copy(buffer, 7, at, Math.min(at + 50, stream.length))
      push(parser, buffer, 7, 7 + size)
    }
    assert.deepStrictEqual(seen, expected)
  })

  it("says how much has arrived of the next frame", () => {
    const { parser } = collector()
    push(parser, stream, 0, 5)
    assert.strictEqual(parser.pending, 5)
    push(parser, stream, 5, 9 + 10 + 4)
    assert.strictEqual(parser.pending, 4)
  })

  it("lengths over the bound and negative ones fail typed, whole or split", () => {
    for (const hex of ["840000000800000065", "84000000087fffffff", "8400000008ffffffff", "840000000880000000"]) {
      for (let at = 0; at <= 9; at++) {
        const { parser, seen } = collector(100)
        assert.throws(
          () => {
            push(parser, header(hex), 0, at)
            push(parser, header(hex), at)
          },
          ProtocolError.DecodeError,
          /a frame of \d+ bytes is over the bound of 100 bytes/
        )
        // The stream is lost: nothing that follows is a frame.
        push(parser, stream)
        assert.deepStrictEqual(seen, [])
        assert.strictEqual(parser.pending, 0)
      }
    }
    const { parser, seen } = collector(100)
    push(parser, frame(1, new Uint8Array(100)))
    assert.strictEqual(seen.length, 1)
  })

  it("what is not the protocol is called that, whatever length it seems to have", () => {
    const starts = ["HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH", "\0\0\0\0\0\0\0\0\0\0", "\u00ff".repeat(9)]
    for (const start of starts) {
      const { parser } = collector()
      assert.throws(
        () => push(parser, Buffer.from(start, "latin1")),
        ProtocolError.DecodeError,
        /not the native protocol: a frame starts with byte 0x/
      )
    }
  })

  it("hands out any version: whoever reads it knows what was negotiated", () => {
    for (const version of [0x03, 0x04, 0x83, 0x85, 0xc2]) {
      const { parser, seen } = collector()
      push(parser, frame(1, new Uint8Array(1), version))
      assert.strictEqual(seen[0]!.version, version)
    }
  })

  it("a promise of 256 MiB costs what has arrived", () => {
    const { parser, seen } = collector()
    push(parser, header("840000000810000000"))
    assert.isAtMost(carryOf(parser), 1024)
    let arrived = 9
    for (const size of [1, 1, 500, 5000, 100_000, 100_000]) {
      push(parser, Buffer.alloc(size))
      arrived += size
      assert.strictEqual(parser.pending, arrived)
      assert.isAtMost(carryOf(parser), Math.max(1024, 2 * arrived))
    }
    assert.strictEqual(seen.length, 0)
    parser.stop()
    assert.strictEqual(parser.pending, 0)
    assert.strictEqual(carryOf(parser), 0)
  })

  it("lets go of a large carry, keeps a small one", () => {
    const { parser, seen } = collector()
    const large = frame(1, new Uint8Array(200_000))
    push(parser, large, 0, 100_000)
    push(parser, large, 100_000)
    assert.strictEqual(carryOf(parser), 0)
    push(parser, stream, 0, 5)
    push(parser, stream, 5)
    assert.isAbove(carryOf(parser), 0)
    assert.strictEqual(seen.length, 1 + expected.length)
    // Never more than the frame takes, however it arrives.
    const { parser: exact } = collector()
    push(exact, large, 0, 9)
    for (let at = 9; at < large.length - 1; at += 10_000) {
      push(exact, large, at, Math.min(at + 10_000, large.length - 1))
    }
    assert.isAtMost(carryOf(exact), large.length)
  })

  it("a large carry serves the next large frame, of whichever connection, and never two at a time", () => {
    const sizes = [200_000, 150_000, 300_000, 200_000]
    const bodies = sizes.map((size, i) => new Uint8Array(size).fill(i + 1))
    const storages: Array<Uint8Array> = []
    const parser = () =>
      new Frame.FrameParser({
        onFrame: (_, __, stream, ___, body) => {
          storages.push(body.bytes)
          const { length, [stream]: expected } = bodies
          assert.isBelow(stream, length)
          assert.strictEqual(Buffer.compare(body.bytes.subarray(body.pos, body.end), expected!), 0)
        }
      })
    const halves = (frames: ReadonlyArray<Uint8Array>): void => {
      const parsers = frames.map((bytes) => {
        const one = parser()
        push(one, bytes, 0, 100_000)
        return one
      })
      for (const [i, one] of parsers.entries()) push(one, frames[i]!, 100_000)
    }
    const frames = bodies.map((body, i) => frame(i, body))
    // All at the same time: none is written over by another one's.
    halves(frames)
    // One after the other: the largest of those.
    const [known] = storages.toSorted((a, b) => b.length - a.length)
    storages.length = 0
    for (const bytes of frames) halves([bytes])
    assert.deepStrictEqual(storages.map((storage) => storage === known), frames.map(() => true))
  })

  for (const split of [false, true]) {
    describe(`${split ? "of a frame that arrived in two" : "of a frame that arrived whole"}`, () => {
      const feed = (parser: Frame.FrameParser): void => {
        if (split) {
          push(parser, stream, 0, 4)
          push(parser, stream, 4)
        } else push(parser, stream)
      }

      it("a handler that stops gets no further frame", () => {
        let count = 0
        const parser = new Frame.FrameParser({
          onFrame: () => {
            count++
            parser.stop()
          }
        })
        feed(parser)
        assert.strictEqual(count, 1)
        feed(parser)
        assert.strictEqual(count, 1)
        assert.strictEqual(parser.pending, 0)
        assert.strictEqual(carryOf(parser), 0)
      })

      it("a handler that throws loses the stream: nothing is handed out from the middle of it", () => {
        let count = 0
        const own = new Error("mine")
        const parser = new Frame.FrameParser({
          onFrame: () => {
            count++
            throw own
          }
        })
        let thrown: unknown
        try {
          feed(parser)
        } catch (error) {
          thrown = error
        }
        assert.strictEqual(thrown, own)
        feed(parser)
        assert.strictEqual(count, 1)
        assert.strictEqual(parser.pending, 0)
      })
    })
  }

  it("a body is read to its end and not further", () => {
    const { parser } = collector()
    const two = Buffer.concat([frame(1, header("0002")), frame(2, header("ffff"))])
    const errors: Array<unknown> = []
    const reading = new Frame.FrameParser({
      onFrame: (_version, _flags, _stream, _opcode, body) => {
        try {
          body.string()
        } catch (error) {
          errors.push(error)
        }
      }
    })
    push(reading, two)
    assert.strictEqual(errors.length, 2)
    for (const error of errors) assert.instanceOf(error, ProtocolError.DecodeError)
    assert.strictEqual(parser.pending, 0)
  })
})

describe("encoding", () => {
  it("a stream id is 16 bits, signed on the way back", () => {
    for (const id of [0, 1, 255, 256, 32_767, -1]) {
      const { parser, seen } = collector()
      push(parser, frame(id, new Uint8Array(0)))
      assert.strictEqual(seen[0]!.stream, id)
    }
  })

  it("a request that fails leaves what was written before", () => {
    const w = new Writer.Writer(16, 100)
    Request.encode(w, 1, { _tag: "Options" })
    const before = w.toUint8Array()
    assert.throws(
      () => Request.encode(w, 2, { _tag: "Prepare", query: "x".repeat(200) }),
      ProtocolError.EncodeError,
      "larger than 100 bytes"
    )
    assert.deepStrictEqual(w.toUint8Array(), before)
    Request.encode(w, 3, { _tag: "Options" })
    assert.strictEqual(w.pos, 18)
  })
})
