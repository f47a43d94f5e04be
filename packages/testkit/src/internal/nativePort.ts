/**
 * The smallest CQL v4 client that can say whether a server is ready: OPTIONS, and one query on a connection of its own.
 *
 * Deliberately independent of `@effect-scylla/protocol`: a launcher must not need what it helps to test.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import { onLiveClock } from "./liveClock.ts"

/** Why a server did not answer. */
export class ProbeError extends Data.TaggedError("ProbeError")<{ readonly message: string }> {}

export interface Endpoint {
  readonly address: string
  readonly port: number
}

export interface Credentials {
  readonly username: string
  readonly password: string
}

interface Frame {
  readonly opcode: number
  readonly body: Buffer
}

const Opcode = {
  error: 0x00,
  startup: 0x01,
  ready: 0x02,
  authenticate: 0x03,
  options: 0x05,
  supported: 0x06,
  query: 0x07,
  result: 0x08,
  authResponse: 0x0f,
  authSuccess: 0x10
} as const

const maxBody = 64 * 1024 * 1024

const request = (opcode: number, body: Buffer): Buffer => {
  const frame = Buffer.alloc(9 + body.length)
  frame.writeUInt8(4, 0)
  frame.writeUInt8(opcode, 4)
  frame.writeUInt32BE(body.length, 5)
  body.copy(frame, 9)
  return frame
}

const string = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const longBytes = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Reads a body from front to back; every read past the end throws (node's own RangeError). */
class Reader {
  readonly body: Buffer
  at = 0
  constructor(body: Buffer) {
    this.body = body
  }
  short(): number {
    return this.body.readUInt16BE((this.at += 2) - 2)
  }
  int(): number {
    return this.body.readInt32BE((this.at += 4) - 4)
  }
  take(length: number): Buffer {
    if (this.at + length > this.body.length) throw new RangeError("the body ends early")
    return this.body.subarray(this.at, this.at += length)
  }
  string(): string {
    return this.take(this.short()).toString("utf8")
  }
  bytes(): Buffer | null {
    const length = this.int()
    return length < 0 ? null : this.take(length)
  }
  skipStrings(count: number): void {
    for (let i = 0; i < count; i++) this.string()
  }
}

const skipPayload = (reader: Reader): void => {
  for (let n = reader.short(); n > 0; n--) {
    reader.skipStrings(1)
    reader.bytes()
  }
}

/** Answers the next request of a conversation, or says that it is over. */
type Step<A> = (frame: Frame) => { readonly send: Buffer } | { readonly done: A }

/** What a conversation found, and the local port that it was held from. */
interface Held<A> {
  readonly value: A
  readonly localPort: number
}

/** How long a conversation may take, milliseconds. */
const DEADLINE = 5000

const converse = <A>(
  endpoint: Endpoint,
  first: Buffer,
  step: Step<A>,
  deadline = DEADLINE
): Effect.Effect<Held<A>, ProbeError> =>
  Effect.callback<Held<A>, ProbeError>((resume) => {
    const socket = Net.connect({ host: endpoint.address, port: endpoint.port, noDelay: true })
    let pending: Buffer = Buffer.alloc(0)
    const fail = (message: string): void => {
      socket.destroy()
      resume(Effect.fail(new ProbeError({ message: `${endpoint.address}:${endpoint.port}: ${message}` })))
    }
    socket.once("connect", () => socket.write(first))
    socket.on("error", (error) => fail(error.message))
    socket.on("close", () => fail("the server closed the connection"))
    socket.on("data", (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      try {
        while (pending.length >= 9) {
          const length = pending.readUInt32BE(5)
          if (pending.readUInt8(0) !== 0x84 || length > maxBody) return fail("what answers here does not speak CQL v4")
          if (pending.length < 9 + length) return
          const flags = pending.readUInt8(1)
          const reader = new Reader(pending.subarray(9, 9 + length))
          const opcode = pending.readUInt8(4)
          pending = pending.subarray(9 + length)
          if ((flags & 0x02) !== 0) reader.take(16) // tracing id
          if ((flags & 0x08) !== 0) reader.skipStrings(reader.short()) // warnings
          if ((flags & 0x04) !== 0) skipPayload(reader)
          if (opcode === Opcode.error) return fail(`error 0x${reader.int().toString(16)} ${reader.string()}`)
          const next = step({ opcode, body: reader.body.subarray(reader.at) })
          if ("done" in next) {
            const localPort = socket.localPort ?? 0
            socket.removeAllListeners().on("error", () => {})
            socket.destroy()
            return resume(Effect.succeed({ value: next.done, localPort }))
          }
          socket.write(next.send)
        }
      } catch (error) {
        fail(`unreadable answer (${error instanceof Error ? error.message : String(error)})`)
      }
    })
    return Effect.sync(() => void socket.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: deadline,
      orElse: () =>
        Effect.fail(
          new ProbeError({
            message: `${endpoint.address}:${endpoint.port}: no answer within ${deadline / 1000} seconds`
          })
        )
    }),
    onLiveClock
  )

const unexpected = (frame: Frame): never => {
  throw new Error(`opcode 0x${frame.opcode.toString(16)}`)
}

/** The options that a server announces. */
export type Supported = ReadonlyMap<string, ReadonlyArray<string>>

const readSupported = (body: Buffer): Supported => {
  const reader = new Reader(body)
  const supported = new Map<string, ReadonlyArray<string>>()
  for (let n = reader.short(); n > 0; n--) {
    const key = reader.string()
    supported.set(key, Array.from({ length: reader.short() }, () => reader.string()))
  }
  return supported
}

const askOptions = (endpoint: Endpoint, deadline?: number): Effect.Effect<Held<Supported>, ProbeError> =>
  converse(
    endpoint,
    request(Opcode.options, Buffer.alloc(0)),
    (frame) => frame.opcode === Opcode.supported ? { done: readSupported(frame.body) } : unexpected(frame),
    deadline
  )

/** Sends OPTIONS and returns what SUPPORTED says. */
export const options = (endpoint: Endpoint, deadline?: number): Effect.Effect<Supported, ProbeError> =>
  Effect.map(askOptions(endpoint, deadline), (held) => held.value)

/** A row: one cell for each column, as bytes. */
export type Row = ReadonlyArray<Buffer | null>

/** Skips a type of the result metadata. */
const skipType = (reader: Reader): void => {
  const id = reader.short()
  if (id === 0x00) reader.string()
  else if (id === 0x20 || id === 0x22) skipType(reader)
  else if (id === 0x21) skipTypes(reader, 2)
  else if (id === 0x31) skipTypes(reader, reader.short())
  else if (id === 0x30) {
    reader.skipStrings(2)
    for (let n = reader.short(); n > 0; n--) {
      reader.skipStrings(1)
      skipType(reader)
    }
  }
}

const skipTypes = (reader: Reader, count: number): void => {
  for (let i = 0; i < count; i++) skipType(reader)
}

const readRows = (body: Buffer): ReadonlyArray<Row> => {
  const reader = new Reader(body)
  if (reader.int() !== 2) return []
  const flags = reader.int()
  const columns = reader.int()
  if ((flags & 0x02) !== 0) reader.bytes()
  if ((flags & 0x04) === 0) {
    if ((flags & 0x01) !== 0) reader.skipStrings(2)
    for (let i = 0; i < columns; i++) {
      reader.skipStrings((flags & 0x01) === 0 ? 3 : 1)
      skipType(reader)
    }
  }
  return Array.from({ length: reader.int() }, () => Array.from({ length: columns }, () => reader.bytes()))
}

/** Runs one statement at consistency ONE on a new connection. Rows of its first page; none for anything else. */
export const query = (
  endpoint: Endpoint,
  statement: string,
  credentials?: Credentials
): Effect.Effect<ReadonlyArray<Row>, ProbeError> =>
  Effect.map(
    converse<ReadonlyArray<Row>>(
      endpoint,
      request(Opcode.startup, Buffer.concat([Buffer.from([0, 1]), string("CQL_VERSION"), string("3.0.0")])),
      (frame) => {
        switch (frame.opcode) {
          case Opcode.authenticate: {
            if (credentials === undefined) throw new Error("it asks for a user name and a password")
            const token = Buffer.from(`\0${credentials.username}\0${credentials.password}`)
            return { send: request(Opcode.authResponse, longBytes(token)) }
          }
          case Opcode.ready:
          case Opcode.authSuccess: {
            const parameters = Buffer.from([0, 1, 0]) // consistency ONE, no flags
            return { send: request(Opcode.query, Buffer.concat([longBytes(Buffer.from(statement)), parameters])) }
          }
          case Opcode.result:
            return { done: readRows(frame.body) }
          default:
            return unexpected(frame)
        }
      }
    ),
    (held) => held.value
  )

/** The vendor that announces `SCYLLA_…` options. */
export const isScylla = (supported: Supported): boolean =>
  Array.from(supported.keys()).some((key) => key.startsWith("SCYLLA_"))

/**
 * Says whether choosing a source port chooses a shard here. It does not behind address translation, which the announced
 * options cannot know, so it is tried: the shard that three connections land on must follow from their own local ports.
 */
export const followsSourcePort = Effect.fnUntraced(
  function*(address: string, supported: Supported): Effect.fn.Return<boolean> {
    const port = Number(supported.get("SCYLLA_SHARD_AWARE_PORT")?.[0])
    const shards = Number(supported.get("SCYLLA_NR_SHARDS")?.[0])
    if (!Number.isInteger(port) || port < 1 || port > 65_535 || !Number.isInteger(shards) || shards < 1) return false
    for (let i = 0; i < 3; i++) {
      const held = yield* Effect.option(askOptions({ address, port }))
      if (held._tag === "None") return false
      const shard = Number(held.value.value.get("SCYLLA_SHARD")?.[0])
      if (shard !== held.value.localPort % shards) return false
    }
    return true
  }
)
