/**
 * What is fuzzed. A target makes an input from a seed and runs any input: to a value or to a typed error. An input is one
 * array of bytes that says everything, so that a finding can be replayed from it alone.
 */
import {
  Codec,
  Compression,
  CqlType,
  Crc,
  Dialect,
  Features,
  Frame,
  Framing,
  Metadata,
  Negotiation,
  ProtocolError,
  Reader,
  Request,
  Response,
  RowDecoder,
  Segment,
  TabletRouting,
  Writer
} from "@effect-scylla/protocol"
import { isDeepStrictEqual } from "node:util"
import type { Random } from "../../packages/protocol/test/support/random.ts"
import { column, randomType, scalarNames, valueOf } from "../../packages/protocol/test/support/types.ts"
import { captured, modes } from "../fixtures/captured.ts"
import { bytesOf, golden } from "../fixtures/vectors.ts"
import { mutate } from "./mutate.ts"

export type Outcome = "value" | "error"

export interface Target {
  /** How often it is chosen among the others. */
  readonly weight: number
  readonly make: (random: Random) => Uint8Array
  /** Throws for whatever breaks the promise: a value or a typed error, and nothing read past its own bytes. */
  readonly run: (input: Uint8Array) => Outcome
}

/** Decoders remember shapes: as a connection's do, and for some hundred inputs, so that memory stays bounded. */
let uses = 0
let shared: ReadonlyArray<RowDecoder.RowDecoders> = []
const decoders = (): ReadonlyArray<RowDecoder.RowDecoders> => {
  if (uses++ % 500 === 0) {
    shared = [
      new RowDecoder.RowDecoders({ uuid: "string", timestamp: "bigint" }),
      new RowDecoder.RowDecoders({ generated: false, uuid: "string", timestamp: "bigint" })
    ]
  }
  return shared
}

const asOutcome = (run: () => void): Outcome => {
  try {
    run()
    return "value"
  } catch (error) {
    if (error instanceof ProtocolError.DecodeError) return "error"
    throw error
  }
}

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** Among bytes that are not its own, as in a socket's buffer. */
const among = (bytes: Uint8Array): Reader.Reader => {
  const all = Buffer.alloc(bytes.length + 32, 0x01)
  all.set(bytes, 16)
  return new Reader.Reader(all, new DataView(all.buffer, all.byteOffset, all.length), 16, 16 + bytes.length)
}

// Envelopes

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
export const corpus: ReadonlyArray<Uint8Array> = [
  ...files.flatMap(golden),
  ...modes.filter(({ compression }) => compression === undefined).flatMap(captured)
].flatMap(({ request, response }) => [response!, request ?? ""]).filter((hex) =>
  /^[08][345]/.test(hex) && hex.length < 8000
).map(bytesOf)

/** Mutations reach the insides of a message only where its frame still holds it. */
const repair = (bytes: Uint8Array): Uint8Array => {
  if (bytes.length >= Frame.HEADER_SIZE) {
    new DataView(bytes.buffer, bytes.byteOffset).setInt32(5, bytes.length - Frame.HEADER_SIZE)
  }
  return bytes
}

/** By version, without extensions and with all of them. */
const dialects = ([3, 4, 5] as const).map((version) => [
  Dialect.make(version, { rateLimitCode: 61_440 }),
  Dialect.make(version, { rateLimitCode: 61_440, metadataIds: true, tabletVersions: true })
])

const decodeEnvelope = (
  version: number,
  flags: number,
  stream: number,
  opcode: number,
  body: Reader.Reader,
  expected?: RowDecoder.RowDecoder
): void => {
  const end = body.end
  // What the header says, as far as it is one that there is. Nothing else reads the stream.
  const dialect = dialects[(version & 0x7f) - 3]?.[stream & 1] ?? Dialect.v4
  let failed: unknown
  try {
    if ((version & Frame.RESPONSE_BIT) === 0) Request.decode(opcode, flags, body, dialect)
    else {
      const { customPayload } = Response.readPrefix(flags, body)
      asOutcome(() => TabletRouting.fromPayload(customPayload))
      Response.decode(opcode, body, decoders()[opcode & 1]!, dialect, expected)
    }
  } catch (error) {
    failed = error
  }
  if (body.pos > end) throw new Error("it was read past its end")
  if (failed !== undefined) throw failed
}

/** The body of a recorded ROWS result behind its kind. */
const rowsBody = (frame: Uint8Array): Uint8Array | undefined => {
  if (
    frame[0]! < Frame.RESPONSE_BIT || (frame[1]! & Frame.Flags.COMPRESSION) !== 0 || frame[4] !== Frame.Opcode.RESULT
  ) return undefined
  const r = Reader.Reader.from(frame.subarray(Frame.HEADER_SIZE))
  Response.readPrefix(frame[1]!, r)
  return r.i32() === 2 ? frame.slice(Frame.HEADER_SIZE + r.pos) : undefined
}

const recordedRows = corpus.map(rowsBody)

/** Metadata that a decoder is prepared of, behind its length; then frames. */
const frames: Target = {
  weight: 8,
  make: (random) => {
    const from = random.below(corpus.length)
    const frame = mutate(corpus[from]!, random)
    if (random.below(8) !== 0) repair(frame)
    // The metadata of the statement, that of another, or none.
    const rows = random.pick([recordedRows[from], recordedRows[from], random.pick(recordedRows), undefined])
    const metadata = rows === undefined ? new Uint8Array(0) : signature(rows)
    const size = new Uint8Array(2)
    new DataView(size.buffer).setUint16(0, metadata.length)
    return concat(size, metadata, frame)
  },
  run: (input) => {
    let outcome: Outcome = "error"
    let expected: RowDecoder.RowDecoder | undefined
    const size = input.length < 2 ? 0 : input[0]! * 256 + input[1]!
    if (size > 0) {
      asOutcome(() => {
        expected = decoders()[0]!.prepare(Reader.Reader.from(input.subarray(2, 2 + size))).decoder
      })
    }
    const parser = new Frame.FrameParser({
      onFrame: (version, flags, stream, opcode, body) => {
        outcome = asOutcome(() => decodeEnvelope(version, flags, stream, opcode, body, expected))
      }
    })
    const r = among(input.subarray(2 + size))
    asOutcome(() => parser.push(r.bytes, r.view, r.pos, r.end))
    return outcome
  }
}

/** The bytes of result metadata, without what follows. */
const signature = (rows: Uint8Array): Uint8Array => {
  const r = Reader.Reader.from(rows)
  const out = new RowDecoder.RowDecoders().prepare(r)
  return out.decoder?.signature ?? new Uint8Array(0)
}

/** Bytes that were never a frame, but look like the beginning of one. */
const noise: Target = {
  weight: 1,
  make: (random) => {
    const bytes = random.bytes(9 + random.below(60))
    bytes[0] = random.pick([0x83, 0x84, 0x85, 0x04])
    bytes[1] = random.pick([0, 2, 4, 8, 14])
    bytes[4] = random.below(17)
    // Small numbers are likelier to be counts and lengths that fit.
    for (let i = 9; i < bytes.length; i++) if (random.below(2) === 0) bytes[i] = random.below(3)
    return concat(new Uint8Array(2), repair(bytes))
  },
  run: frames.run
}

// Rows

const randomRows = (random: Random): Uint8Array => {
  const columns = Array.from({ length: 1 + random.below(5) }, (_, i) => column(`c${i}`, randomType(random, 2)))
  const w = new Writer.Writer()
  Metadata.writeResult(w, columns)
  const count = random.below(4)
  w.i32(count)
  for (let i = 0; i < count; i++) {
    for (const { type } of columns) {
      w.bytesValue(random.below(5) === 0 ? null : Codec.encode(type, valueOf(type, random)))
    }
  }
  return w.toUint8Array()
}

const rowsCorpus = recordedRows.filter((rows) => rows !== undefined && rows.length < 1000) as Array<Uint8Array>

/** Objects, arrays, lazy rows and columns agree, generated or not: on every value, or that there is none. */
const rows: Target = {
  weight: 2,
  make: (random) => mutate(random.below(20) === 0 ? randomRows(random) : random.pick(rowsCorpus), random),
  run: (input) => {
    const forms = [
      (decoder: RowDecoder.RowDecoder, r: Reader.Reader) => decoder.read(r).map((row) => Object.entries(row)),
      (decoder: RowDecoder.RowDecoder, r: Reader.Reader) => decoder.readArrays(r).map((row) => named(decoder, row)),
      (decoder: RowDecoder.RowDecoder, r: Reader.Reader) =>
        decoder.readLazy(r).map((row) => Object.entries(row.toObject())),
      (decoder: RowDecoder.RowDecoder, r: Reader.Reader) => {
        const { size, values } = decoder.readColumns(r)
        return Array.from({ length: size }, (_, i) => named(decoder, values.map((column) => column[i])))
      }
    ]
    let first: unknown
    for (const of of decoders()) {
      for (const form of forms) {
        const r = among(input)
        let seen: unknown = "error"
        asOutcome(() => {
          seen = form(of.open(r, undefined, RowDecoder.emptyPage()), r)
        })
        if (r.pos > r.end) throw new Error("it was read past its end")
        first ??= seen
        if (!isDeepStrictEqual(seen, first)) throw new Error("two forms of a page differ")
      }
    }
    return first === "error" ? "error" : "value"
  }
}

const named = (decoder: RowDecoder.RowDecoder, row: ReadonlyArray<unknown>): Array<[string, unknown]> => {
  const out: Record<string, unknown> = {}
  for (const [i, { name }] of decoder.columns.entries()) {
    Object.defineProperty(out, name, { value: row[i], enumerable: true, configurable: true, writable: true })
  }
  return Object.entries(out)
}

// Streams: a byte that says how they are cut, then what a socket gives

const pushed = (input: Uint8Array, version: Dialect.Version, compressor?: Compression.Compressor): Outcome => {
  let values = 0
  const framing = new Framing.Framing(
    {
      onFrame: (version, flags, stream, opcode, body) => {
        if (asOutcome(() => decodeEnvelope(version, flags, stream, opcode, body)) === "value") values++
      },
      onBroken: () => {}
    },
    { maxBody: 1 << 20 }
  )
  framing.use(version, compressor)
  const r = among(input.subarray(1))
  const chunk = 1 + (input[0] ?? 0)
  asOutcome(() => {
    for (let at = r.pos; at < r.end; at += chunk) framing.push(r.bytes, r.view, at, Math.min(r.end, at + chunk))
  })
  return values > 0 ? "value" : "error"
}

const envelopes = (random: Random, damaged: boolean): Uint8Array =>
  concat(...Array.from({ length: 1 + random.below(3) }, () => {
    const envelope = random.pick(corpus)
    const other = damaged && random.below(2) === 0 ? repair(mutate(envelope, random)) : envelope
    // A framing takes whole envelopes only.
    return other.length < Frame.HEADER_SIZE ? envelope : other
  }))

const framed = (source: Uint8Array, version: Dialect.Version, compressor?: Compression.Compressor): Uint8Array => {
  const framing = new Framing.Framing({ onFrame: () => {} }, { compress: "always" })
  framing.use(version, compressor)
  const w = new Writer.Writer()
  framing.write(w, source, 0, source.length)
  return w.toUint8Array()
}

/** Checksums that fit what was mutated, so that what lies behind them is reached. */
const withChecksums = (bytes: Uint8Array, lz4: boolean): Uint8Array => {
  const header = lz4 ? 5 : 3
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at + header + 3 <= bytes.length;) {
    const crc = Crc.crc24(bytes, at, header)
    view.setUint16(at + header, crc & 0xffff, true)
    bytes[at + header + 2] = crc >>> 16
    const payload = at + header + 3
    const length = view.getUint32(at, true) & Segment.MAX_PAYLOAD
    if (payload + length + 4 > bytes.length) break
    view.setUint32(payload + length, Crc.crc32(bytes, payload, length), true)
    at = payload + length + 4
  }
  return bytes
}

const segments = (lz4: boolean): Target => {
  const compressor = lz4 ? Compression.lz4 : undefined
  return {
    weight: 2,
    make: (random) => {
      const way = random.below(3)
      const wire = framed(envelopes(random, way === 0), 5, compressor)
      const bytes = way === 0 ? wire : mutate(wire, random)
      return concat(random.bytes(1), way === 1 ? withChecksums(bytes, lz4) : bytes)
    },
    run: (input) => pushed(input, 5, compressor)
  }
}

const compressed = (compressor: Compression.Compressor): Target => ({
  weight: 2,
  make: (random) => {
    // One envelope: its header is repaired, its compressed body is not.
    const wire = framed(random.pick(corpus), 4, compressor)
    return concat(random.bytes(1), repair(mutate(wire, random)))
  },
  run: (input) => pushed(input, 4, compressor)
})

// What a server says of itself

const numbers = ["", "0", "1", "-1", "12", "63", "64", "65", "1e3", " 3", "0x10", "4294967296", "9".repeat(400), "NaN"]
const offered: Record<string, ReadonlyArray<string>> = {
  SCYLLA_SHARD: numbers,
  SCYLLA_NR_SHARDS: numbers,
  SCYLLA_SHARDING_IGNORE_MSB: numbers,
  SCYLLA_PARTITIONER: ["org.apache.cassandra.dht.Murmur3Partitioner", "x", ""],
  SCYLLA_SHARDING_ALGORITHM: ["biased-token-round-robin", "other"],
  SCYLLA_SHARD_AWARE_PORT: ["19042", "65536", ...numbers],
  SCYLLA_SHARD_AWARE_PORT_SSL: ["19142", ...numbers],
  SCYLLA_LWT_ADD_METADATA_MARK: ["LWT_OPTIMIZATION_META_BIT_MASK=2147483648", "LWT_OPTIMIZATION_META_BIT_MASK=-1", "x"],
  SCYLLA_RATE_LIMIT_ERROR: ["ERROR_CODE=61440", "ERROR_CODE=x", "ERROR_CODE=99999999999", ""],
  [Features.TABLETS_V1]: ["", "x"],
  [Features.TABLETS_V2]: [""],
  [Features.METADATA_ID]: [""],
  SCYLLA_HOST_ID: ["550e8400-e29b-41d4-a716-446655440000", "x"],
  COMPRESSION: ["lz4", "snappy", "zstd", "", "LZ4"],
  CQL_VERSION: ["3.0.0", "3.4.7", "x"],
  PROTOCOL_VERSIONS: ["3/v3", "4/v4", "5/v5", "6/v6-beta", "x/y", "", "4", "99999999999/v9"],
  CLIENT_OPTIONS: ["", "x"]
}

const supported: Target = {
  weight: 2,
  make: (random) => {
    const entries = Object.entries(offered).filter(() => random.below(3) !== 0).map(([key, values]) =>
      [
        random.below(20) === 0 ? random.text() : key,
        Array.from({ length: random.below(4) }, () => random.below(8) === 0 ? random.text() : random.pick(values))
      ] as const
    )
    const w = new Writer.Writer()
    w.stringMultimap(new Map(entries))
    return random.below(2) === 0 ? w.toUint8Array() : mutate(w.toUint8Array(), random)
  },
  run: (input) =>
    asOutcome(() => {
      const features = Features.fromSupported(among(input).stringMultimap())
      for (const compression of ["none", "lz4", "snappy"] as const) {
        try {
          const agreed = Negotiation.agree(features, { compression, tablets: "v2", metadataIds: true })
          const w = new Writer.Writer()
          Request.encode(w, 0, { _tag: "Startup", options: agreed.startup }, { dialect: agreed.dialect })
        } catch (error) {
          if (!(error instanceof ProtocolError.NegotiationError)) throw error
        }
      }
    })
}

// Types and values

const holdsCustom = (type: CqlType.CqlType): boolean => {
  switch (type._tag) {
    case "Custom":
      return true
    case "Scalar":
      return false
    case "Map":
      return holdsCustom(type.key) || holdsCustom(type.value)
    case "Tuple":
      return type.elements.some(holdsCustom)
    case "Udt":
      return type.fields.some((field) => holdsCustom(field.type))
    default:
      return holdsCustom(type.element)
  }
}

const words = [
  "<",
  ">",
  "(",
  ")",
  ",",
  " ",
  "'",
  '"',
  "frozen",
  "vector",
  "list",
  "ListType",
  "UserType",
  ":",
  "61",
  "3"
]

/** A text: as CQL, and as the name of a class. */
const types: Target = {
  weight: 2,
  make: (random) => {
    const type = randomType(random, 4)
    const text = random.pick([CqlType.format, CqlType.className])(type)
    if (random.below(3) === 0) return mutate(Buffer.from(text), random)
    let out = text
    for (let i = random.below(4); i > 0; i--) {
      const at = random.below(out.length + 1)
      out = out.slice(0, at) + random.pick(words) + out.slice(at + random.below(6))
    }
    return Uint8Array.from(Buffer.from(out))
  },
  run: (input) => {
    const text = Buffer.from(input).toString()
    const parsed = CqlType.parse(text, (name) => CqlType.udt("ks", name, []))
    const named = CqlType.fromClassName(text)
    for (const type of [named, ...typeof parsed === "string" ? [] : [parsed]]) {
      CqlType.format(type)
      if (
        !holdsCustom(type) && type === named && !isDeepStrictEqual(CqlType.fromClassName(CqlType.className(type)), type)
      ) {
        throw new Error("a class name is not read back")
      }
    }
    return typeof parsed === "string" && named._tag === "Custom" ? "error" : "value"
  }
}

/** What is read and cannot be written: nulls that a server put in a collection, bytes that are no ASCII. */
const UNWRITABLE = /collections hold no nulls|ASCII characters only|each takes \d+ bytes/

/** A type as on the wire, then the bytes of a value: decoded, written again, and decoded to the same. */
const values: Target = {
  weight: 4,
  make: (random) => {
    const type = random.below(4) === 0 ? CqlType.scalar(random.pick(scalarNames)) : randomType(random, 3)
    const w = new Writer.Writer()
    CqlType.write(w, type)
    const head = w.toUint8Array()
    if (random.below(4) === 0) return concat(head, random.bytes(random.below(30)))
    const bytes = Codec.encode(type, valueOf(type, random))!
    return random.below(6) === 0 ? mutate(concat(head, bytes), random) : concat(head, mutate(bytes, random))
  },
  run: (input) =>
    asOutcome(() => {
      const r = Reader.Reader.from(input)
      const type = CqlType.read(r)
      const options = { timestamp: "bigint" } as const
      const value = Codec.decode(type, input.subarray(r.pos), options)
      let written: Uint8Array | null
      try {
        written = Codec.encode(type, value)
      } catch (error) {
        if (error instanceof ProtocolError.EncodeError && UNWRITABLE.test(error.message)) return
        throw error
      }
      const again = Codec.decode(type, written, options)
      if (!isDeepStrictEqual(again, value)) throw new Error("it is not read back as it was written")
    })
}

export const targets: Readonly<Record<string, Target>> = {
  frames,
  noise,
  rows,
  segments: segments(false),
  "segments-lz4": segments(true),
  "compressed-lz4": compressed(Compression.lz4),
  "compressed-snappy": compressed(Compression.snappy),
  supported,
  types,
  values
}
