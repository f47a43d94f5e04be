/**
 * What the codec costs: nanoseconds for decoding a row and for binding values, and cassandra-driver's encoder beside it.
 *
 * `node bench/protocol.ts [--json]`
 */
import {
  BindEncoder,
  Codec,
  Compression,
  CqlType,
  type Dialect,
  Frame,
  Framing,
  Metadata,
  Reader,
  Request,
  RowDecoder,
  Uuid,
  Writer
} from "@effect-scylla/protocol"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { measure } from "./support/measure.ts"
import { head, row } from "./support/table.ts"

/** What is aimed at, on the machine that it was set on: nanoseconds (`Ns`), microseconds (`Us`), and cassandra-driver's time over ours. */
const budget = { row4Ns: 90, row4Ratio: 4.5, row12Ratio: 5, pageRowUs: 0.13, bind4Ns: 60 } as const

type Scalar = readonly [name: string, type: CqlType.ScalarName, value: (i: number) => unknown]

/** A string as it comes from elsewhere: one that was just put together is a tree, which costs twice as much to write. */
const flat = (text: string): string => JSON.parse(JSON.stringify(text)) as string

const ids = Array.from({ length: 64 }, () => Uuid.random())

/** The columns of bench/cql: uuid, 20 characters, int, bigint. */
const four: ReadonlyArray<Scalar> = [
  ["id", "uuid", (i) => ids[i & 63]],
  ["name", "text", (i) => flat(`name-of-a-user-${String(i & 0xffff).padStart(5, "0")}`)],
  ["age", "int", (i) => i & 127],
  ["score", "bigint", (i) => BigInt(i) * 1_000_003n]
]

const twelve: ReadonlyArray<Scalar> = [
  ...four,
  ["active", "boolean", (i) => (i & 1) === 1],
  ["balance", "double", (i) => i * 1.5],
  ["city", "text", (i) => ["Praha", "Brno", "Ostrava", "Plzeň"][i & 3]],
  ["created", "timestamp", (i) => new Date(1_790_000_000_000 + i)],
  ["level", "int", (i) => -i],
  ["email", "text", (i) => flat(`user-${i & 0xffff}@example.com`)],
  ["visits", "bigint", (i) => BigInt(i)],
  ["owner", "uuid", (i) => ids[(i * 7) & 63]]
]

const columnsOf = (scalars: ReadonlyArray<Scalar>): ReadonlyArray<Metadata.Column> =>
  scalars.map(([name, type]) => ({ keyspace: "ks", table: "t", name, type: CqlType.scalar(type) }))

/** The bodies of ROWS results behind their kind: each of `size` rows with different values. */
const bodies = (
  scalars: ReadonlyArray<Scalar>,
  size: number,
  count: number,
  skip = false
): ReadonlyArray<Uint8Array> => {
  const columns = columnsOf(scalars)
  const encoder = new BindEncoder.BindEncoder(columns)
  return Array.from({ length: count }, (_, body) => {
    const w = new Writer.Writer()
    Metadata.writeResult(w, columns, { skip })
    w.i32(size)
    for (let i = 0; i < size; i++) encoder.write(w, scalars.map(([, , value]) => value(body * size + i)))
    return w.toUint8Array()
  })
}

/** Per row, the metadata of each page compared as on protocol v4, or left out as where it has an id. */
const decoding = (scalars: ReadonlyArray<Scalar>, size: number, skip = false): number => {
  const readers = bodies(scalars, size, size === 1 ? 64 : 2, skip).map((bytes) => Reader.Reader.from(bytes))
  const decoders = new RowDecoder.RowDecoders()
  const page = RowDecoder.emptyPage()
  const expected = decoders.prepare(Reader.Reader.from(bodies(scalars, 1, 1)[0]!)).decoder
  return measure(size === 1 ? 400_000 : 40, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const r = readers[i & (readers.length - 1)]!
      r.pos = 0
      const rows = decoders.read(r, expected, page)
      sum ^= (rows[rows.length - 1]!["age"] as number) + rows.length
    }
    return sum
  }) / size
}

/** Per row of pages of 5,000, in another form: what it takes to look at one column of four. */
const decodingAs = (form: (decoder: RowDecoder.RowDecoder, r: Reader.Reader) => number): number => {
  const size = 5000
  const readers = bodies(four, size, 2).map((bytes) => Reader.Reader.from(bytes))
  const decoders = new RowDecoder.RowDecoders()
  const expected = decoders.prepare(Reader.Reader.from(bodies(four, 1, 1)[0]!)).decoder
  const page = RowDecoder.emptyPage()
  return measure(40, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const r = readers[i & 1]!
      r.pos = 0
      sum ^= form(decoders.open(r, expected, page), r)
    }
    return sum
  }) / size
}

const forms: Record<string, (decoder: RowDecoder.RowDecoder, r: Reader.Reader) => number> = {
  "as arrays": (decoder, r) => {
    let sum = 0
    for (const row of decoder.readArrays(r)) sum ^= row[2] as number
    return sum
  },
  "lazily, one of four values": (decoder, r) => {
    let sum = 0
    for (const row of decoder.readLazy(r)) sum ^= row.at(2) as number
    return sum
  },
  "by columns": (decoder, r) => {
    let sum = 0
    for (const age of decoder.readColumns(r).values[2] as Int32Array) sum ^= age
    return sum
  }
}

/** A vector of 768 floats, as embeddings are, there and back. */
const vectors = (): { readonly bindNs: number; readonly decodeNs: number } => {
  const type = CqlType.vector(CqlType.scalar("float"), 768)
  const value = Float32Array.from({ length: 768 }, (_, i) => i / 7)
  const encoder = new BindEncoder.BindEncoder([{ keyspace: "ks", table: "t", name: "v", type }])
  const w = new Writer.Writer(8192)
  const bytes = Codec.encode(type, value)
  return {
    bindNs: measure(100_000, (iterations) => {
      let sum = 0
      for (let i = 0; i < iterations; i++) {
        w.pos = 0
        encoder.write(w, [value])
        sum ^= w.pos
      }
      return sum
    }),
    decodeNs: measure(100_000, (iterations) => {
      let sum = 0
      for (let i = 0; i < iterations; i++) sum ^= (Codec.decode(type, bytes) as Float32Array).length
      return sum
    })
  }
}

/** 4 KiB of rows out of an LZ4 block: into a buffer of ours as a connection does, and into one of its own, as lz4-napi must. */
const decompressing = (): { readonly intoNs: number; readonly ownNs: number; readonly lz4NapiNs: number } => {
  const size = 4096
  const plain = bodies(four, 80, 1)[0]!.subarray(0, size)
  const block = Compression.lz4CompressBlock(plain, 0, size)
  const prefixed = Buffer.alloc(4 + block.length)
  prefixed.writeUInt32LE(size)
  prefixed.set(block, 4)
  const out = new Uint8Array(size)
  const { uncompressSync } = createRequire(import.meta.url)("lz4-napi") as {
    readonly uncompressSync: (bytes: Buffer) => Buffer
  }
  const timed = (run: () => number): number =>
    measure(20_000, (iterations) => {
      let sum = 0
      for (let i = 0; i < iterations; i++) sum ^= run()
      return sum
    })
  return {
    intoNs: timed(() => {
      Compression.lz4DecompressBlockInto(block, 0, block.length, out, 0, size)
      return out[0]!
    }),
    ownNs: timed(() => Compression.lz4DecompressBlock(block, 0, block.length, size)[0]!),
    lz4NapiNs: timed(() => uncompressSync(prefixed)[0]!)
  }
}

/** Only the rows, behind metadata that was compared already. */
const decodingRows = (scalars: ReadonlyArray<Scalar>): number => {
  const size = 32
  const decoders = new RowDecoder.RowDecoders()
  const decoder = decoders.prepare(Reader.Reader.from(bodies(scalars, size, 1)[0]!)).decoder!
  const readers = bodies(scalars, size, 4).map((bytes) => {
    const r = Reader.Reader.from(bytes)
    r.pos = decoder.signature.length
    return r
  })
  const start = decoder.signature.length
  return measure(20_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const r = readers[i & 3]!
      r.pos = start
      const rows = decoder.read(r)
      for (let j = 0; j < rows.length; j++) sum ^= rows[j]!["age"] as number
    }
    return sum
  }) / size
}

/** What cassandra-driver does for the rows of a page (lib/readers.js, lib/streams.js): slice, decode, set by name. */
const decodingOfCassandraDriver = (scalars: ReadonlyArray<Scalar>): number => {
  const load = createRequire(import.meta.url)
  const { FrameReader } = load("cassandra-driver/lib/readers.js") as {
    readonly FrameReader: new(header: object, body: Buffer) => {
      offset: number
      readMetadata(kind: number): { readonly columns: ReadonlyArray<{ readonly name: string; readonly type: object }> }
      readInt(): number
      readBytes(): Buffer | null
    }
  }
  const Encoder = load("cassandra-driver/lib/encoder.js") as new(version: number, options: object) => TheirEncoder
  const { Row } = load("cassandra-driver/lib/types/index.js") as {
    readonly Row: new(columns: object) => Record<string, unknown>
  }
  const encoder = new Encoder(4, { encoding: {} })
  const size = 32
  const pages = bodies(scalars, size, 4).map((bytes) =>
    new FrameReader({ version: 4 }, Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length))
  )
  const meta = pages[0]!.readMetadata(2)
  const start = pages[0]!.offset
  return measure(2_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const reader = pages[i & 3]!
      reader.offset = start
      const count = reader.readInt()
      for (let j = 0; j < count; j++) {
        // lib/streams.js, ResultEmitter via parsers: `row[c.name] = this.encoder.decode(this.reader.readBytes(), c.type)`.
        const row = new Row(meta.columns)
        for (const column of meta.columns) row[column.name] = encoder.decode(reader.readBytes(), column.type)
        sum ^= row["age"] as number
      }
    }
    return sum
  }) / size
}

interface TheirEncoder {
  decode(bytes: Buffer | null, type: object): unknown
  encode(value: unknown, type: object): Buffer
}

const binding = (scalars: ReadonlyArray<Scalar>): number => {
  const encoder = new BindEncoder.BindEncoder(columnsOf(scalars))
  const rows = Array.from({ length: 64 }, (_, i) => scalars.map(([, , value]) => value(i)))
  const w = new Writer.Writer(4096)
  return measure(500_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      w.pos = 0
      encoder.write(w, rows[i & 63]!)
      sum ^= w.pos
    }
    return sum
  })
}

/** Whole EXECUTEs, as the driver writes them: template, values, timestamp. */
const executing = (scalars: ReadonlyArray<Scalar>): number => {
  const encoder = new BindEncoder.BindEncoder(columnsOf(scalars))
  const rows = Array.from({ length: 64 }, (_, i) => scalars.map(([, , value]) => value(i)))
  const template = Request.executeTemplate(new Uint8Array(16), { consistency: "LOCAL_QUORUM" }, scalars.length, {
    tracing: false,
    stamped: true
  })
  const w = new Writer.Writer(4096)
  return measure(400_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      w.pos = 0
      Request.writeExecute(w, template, encoder, rows[i & 63]!, 1_790_000_000_000_000 + i)
      sum ^= w.pos
    }
    return sum
  })
}

/** Envelopes of one flush, `count` results of `size` rows each, from one end of a connection to the other. */
const framing = (
  version: Dialect.Version,
  compressor: Compression.Compressor | undefined,
  size: number,
  count: number
): { readonly outNs: number; readonly inNs: number } => {
  const out = new Writer.Writer(4096)
  for (const body of bodies(four, size, count)) {
    const start = Frame.begin(out, 0x80 | version, 0, 1, Frame.Opcode.RESULT)
    out.raw(body)
    Frame.end(out, start)
  }
  let received = 0
  const end = new Framing.Framing({
    onFrame: () => {
      received++
    }
  })
  end.use(version, compressor)
  const wire = new Writer.Writer(4096)
  end.write(wire, out.bytes, 0, out.pos)
  const incoming = Reader.Reader.from(wire.toUint8Array())
  return {
    outNs: measure(16_000, (iterations) => {
      let sum = 0
      for (let i = 0; i < iterations; i++) {
        wire.pos = 0
        end.write(wire, out.bytes, 0, out.pos)
        sum ^= wire.pos
      }
      return sum
    }) / count,
    inNs: measure(16_000, (iterations) => {
      for (let i = 0; i < iterations; i++) end.push(incoming.bytes, incoming.view, 0, incoming.end)
      return received
    }) / count
  }
}

/** What cassandra-driver does (lib/requests.js, QueryParameters): a buffer per value, put together with their lengths. */
const bindingOfCassandraDriver = (scalars: ReadonlyArray<Scalar>): number => {
  const load = createRequire(import.meta.url)
  const Encoder = load("cassandra-driver/lib/encoder.js") as new(version: number, options: object) => TheirEncoder
  const { FrameWriter } = load("cassandra-driver/lib/writers.js") as {
    readonly FrameWriter: new(opcode: number) => {
      writeBytes(bytes: Buffer): void
      write(version: number, streamId: number, flags: number): Buffer
    }
  }
  const { dataTypes, Long, Uuid: TheirUuid } = load("cassandra-driver").types as {
    readonly dataTypes: Record<string, number>
    readonly Long: { fromString(text: string): unknown }
    readonly Uuid: { fromString(text: string): unknown }
  }
  const encoder = new Encoder(4, { encoding: {} })
  const types = scalars.map(([, type]) => ({ code: dataTypes[type] }))
  const rows = Array.from({ length: 64 }, (_, i) =>
    scalars.map(([, type, value]) => {
      const ours = value(i)
      return type === "uuid"
        ? TheirUuid.fromString(String(ours))
        : type === "bigint"
        ? Long.fromString(String(ours))
        : ours
    }))
  return measure(50_000, (iterations) => {
    let sum = 0
    for (let i = 0; i < iterations; i++) {
      const writer = new FrameWriter(10)
      const row = rows[i & 63]!
      for (let j = 0; j < row.length; j++) writer.writeBytes(encoder.encode(row[j], types[j]!))
      sum ^= writer.write(4, 1, 0).length
    }
    return sum
  })
}

export interface ProtocolFigures {
  /** Nanoseconds per row, of pages of 32 rows. */
  readonly row4Ns: number
  readonly row12Ns: number
  /** Nanoseconds for a result of one row, its metadata compared. */
  readonly result4Ns: number
  /** The same without metadata. */
  readonly skipped4Ns: number
  /** Microseconds per row of a page of 5,000 rows of 4 columns. */
  readonly pageRowUs: number
  readonly bind4Ns: number
  readonly bind12Ns: number
  /** Nanoseconds for a whole EXECUTE of 4 values. */
  readonly execute4Ns: number
  /** Nanoseconds per envelope of what `Framing` does for it: 32 results of one row, and one of 64 rows (4.6 KiB). */
  readonly framing: Readonly<Record<string, { readonly outNs: number; readonly inNs: number }>>
  /** Nanoseconds per row of a page of 5,000 in its other forms. */
  readonly forms: Readonly<Record<string, number>>
  /** Nanoseconds for a vector of 768 floats. */
  readonly vector: { readonly bindNs: number; readonly decodeNs: number }
  /** Nanoseconds for 4 KiB out of an LZ4 block. */
  readonly lz4: { readonly intoNs: number; readonly ownNs: number; readonly lz4NapiNs: number }
  readonly cassandraDriver: {
    readonly row4Ns: number
    readonly row12Ns: number
    readonly bind4Ns: number
    readonly bind12Ns: number
  }
  /** cassandra-driver's time over ours. */
  readonly ratio: { readonly row4: number; readonly row12: number; readonly bind4: number; readonly bind12: number }
  readonly budget: typeof budget
  readonly withinBudget: boolean
}

export const run = (options: { readonly json: boolean }): Promise<ProtocolFigures> => {
  const round = (value: number, digits = 1) => Math.round(value * 10 ** digits) / 10 ** digits
  // Theirs beside ours, so that a slow minute of the machine does not make a ratio.
  const row4Ns = round(decodingRows(four))
  const theirRow4Ns = round(decodingOfCassandraDriver(four))
  const row12Ns = round(decodingRows(twelve))
  const theirRow12Ns = round(decodingOfCassandraDriver(twelve))
  const result4Ns = round(decoding(four, 1))
  const skipped4Ns = round(decoding(four, 1, true))
  const execute4Ns = round(executing(four))
  const lines = [
    ["v5", 5, undefined],
    ["v4 with lz4", 4, Compression.lz4],
    ["v4 with snappy", 4, Compression.snappy],
    ["v5 with lz4", 5, Compression.lz4]
  ] as const
  const framings = Object.fromEntries(
    lines.flatMap(([name, version, compressor]) =>
      ([["32 small", 1, 32], ["one of 64 rows", 64, 1]] as const).map(([what, size, count]) => {
        const { inNs, outNs } = framing(version, compressor, size, count)
        return [`${name}, ${what}`, { outNs: round(outNs), inNs: round(inNs) }]
      })
    )
  )
  const pageRowUs = round(decoding(four, 5000) / 1000, 3)
  const otherForms = Object.fromEntries(Object.entries(forms).map(([name, form]) => [name, round(decodingAs(form))]))
  const rounded = <K extends string>(values: Readonly<Record<K, number>>): Record<K, number> =>
    Object.fromEntries(Object.entries<number>(values).map(([key, value]) => [key, round(value)])) as Record<K, number>
  const vector = rounded(vectors())
  const lz4 = rounded(decompressing())
  const bind4Ns = round(binding(four))
  const theirBind4Ns = round(bindingOfCassandraDriver(four))
  const bind12Ns = round(binding(twelve))
  const theirBind12Ns = round(bindingOfCassandraDriver(twelve))
  const cassandraDriver = {
    row4Ns: theirRow4Ns,
    row12Ns: theirRow12Ns,
    bind4Ns: theirBind4Ns,
    bind12Ns: theirBind12Ns
  }
  const ratio = {
    row4: round(cassandraDriver.row4Ns / row4Ns),
    row12: round(cassandraDriver.row12Ns / row12Ns),
    bind4: round(cassandraDriver.bind4Ns / bind4Ns),
    bind12: round(cassandraDriver.bind12Ns / bind12Ns)
  }
  const figures: ProtocolFigures = {
    row4Ns,
    row12Ns,
    result4Ns,
    skipped4Ns,
    pageRowUs,
    bind4Ns,
    bind12Ns,
    execute4Ns,
    framing: framings,
    forms: otherForms,
    vector,
    lz4,
    cassandraDriver,
    ratio,
    budget,
    withinBudget: row4Ns <= budget.row4Ns && ratio.row4 >= budget.row4Ratio && ratio.row12 >= budget.row12Ratio &&
      pageRowUs <= budget.pageRowUs && bind4Ns <= budget.bind4Ns && lz4.ownNs <= lz4.lz4NapiNs
  }
  if (options.json) console.log(JSON.stringify(figures))
  else {
    head("CPU ns, median of 9 rounds", "ours", "budget", "cassandra", "ratio")
    row("row of 4 columns", row4Ns, budget.row4Ns, cassandraDriver.row4Ns)
    row("row of 12 columns", row12Ns, undefined, cassandraDriver.row12Ns)
    row("result of one row, metadata compared", result4Ns)
    row("result of one row, metadata left out", skipped4Ns)
    row("row of a page of 5,000", pageRowUs * 1000, budget.pageRowUs * 1000)
    for (const [name, ns] of Object.entries(otherForms)) row(`  ${name}`, ns)
    row("bind of 4 values", bind4Ns, budget.bind4Ns, cassandraDriver.bind4Ns)
    row("bind of 12 values", bind12Ns, undefined, cassandraDriver.bind12Ns)
    row("EXECUTE of 4 values", execute4Ns)
    row("bind of a vector of 768 floats", vector.bindNs)
    row("decode of a vector of 768 floats", vector.decodeNs)
    head("lz4 to 4 KiB", "ours", "", "lz4-napi", "ratio")
    row("  into a buffer that is there", lz4.intoNs, undefined, lz4.lz4NapiNs)
    row("  into one of its own", lz4.ownNs, undefined, lz4.lz4NapiNs)
    head("framing, per envelope", "out", "in")
    for (const [name, { inNs, outNs }] of Object.entries(framings)) row(`  ${name}`, outNs, inNs)
    console.log(
      `${
        figures.withinBudget ? "within" : "NOT within"
      } the budget, which asks for ratios, too: ${budget.row4Ratio} x and ` +
        `${budget.row12Ratio} x for rows of 4 and 12 columns, and LZ4 no slower than lz4-napi`
    )
  }
  return Promise.resolve(figures)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await run({ json: process.argv.includes("--json") })
}
