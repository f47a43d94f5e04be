import * as NodePool from "@effect-scylla/pool/NodePool"
import { DialError, type Endpoint, type Handlers, type Socket } from "@effect-scylla/pool/Socket"
import * as Ticker from "@effect-scylla/pool/Ticker"
import { Transport } from "@effect-scylla/pool/Transport"
import { RowDecoders } from "@effect-scylla/protocol/RowDecoder"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { cql, listen } from "./support/tcpNode.ts"

const ADDRESS = "127.0.0.1"
const cert = readFileSync(new URL("./fixtures/cert.pem", import.meta.url), "utf8")
const key = readFileSync(new URL("./fixtures/key.pem", import.meta.url), "utf8")

/** Polls what only the operating system brings about. */
const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    const deadline = performance.now() + 10_000
    while (!condition()) {
      if (performance.now() > deadline) assert.fail(`never came true: ${String(condition)}`)
      yield* Effect.sleep(2)
    }
  })

const dial = (endpoint: Endpoint): Effect.Effect<Socket, DialError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.flatMap(Transport, (transport) => transport.dial(endpoint)),
    (socket) => Effect.sync(() => socket.destroy()),
    { interruptible: true }
  )

/** Collects what a socket delivers. */
class Collector implements Handlers {
  bytes = Buffer.alloc(0)
  readonly closed: Array<Error | undefined> = []
  readonly order: Array<string> = []
  onData(bytes: Buffer, view: DataView, length: number): void {
    this.order.push("data")
    assert.strictEqual(view.getUint8(0), bytes[0])
    this.bytes = Buffer.concat([this.bytes, bytes.subarray(0, length)])
  }
  onClose(error: Error | undefined): void {
    this.order.push("close")
    this.closed.push(error)
  }
  get text(): string {
    return this.bytes.toString()
  }
}

const echo = (socket: Net.Socket): void => void socket.on("data", (chunk) => socket.write(chunk))
const ignore = (): void => {}

for (const secure of [false, true]) {
  const serverTls = secure ? { cert, key } : undefined
  const clientTls = secure ? { ca: cert } : undefined

  describe(`Transport over loopback ${secure ? "TLS" : "TCP"}`, () => {
    it.live("bytes go there and back, more than any buffer holds", () =>
      Effect.gen(function*() {
        const { port } = yield* listen(echo, serverTls)
        const socket = yield* dial({ address: ADDRESS, port, tls: clientTls })
        const seen = new Collector()
        socket.start(seen)
        assert.strictEqual(socket.remoteAddress, ADDRESS)
        assert.isNumber(socket.localPort)
        const parts = Array.from({ length: 64 }, (_, i) => Buffer.alloc(64 * 1024, i))
        let isDone = 0
        let isTaken = 0
        for (const part of parts) {
          if (socket.write(part, () => void isDone++)) isTaken++
        }
        yield* eventually(() => seen.bytes.length === 64 * 64 * 1024)
        assert.isTrue(seen.bytes.equals(Buffer.concat(parts)))
        yield* eventually(() => isDone + isTaken === 64)
        assert.strictEqual(socket.pendingBytes, 0)
      }).pipe(Effect.scoped))

    it.live("what arrived before the start is delivered first, in order, and before the close", () =>
      Effect.gen(function*() {
        const { port } = yield* listen((socket) => {
          socket.write("first ")
          setImmediate(() => socket.end("second"))
        }, serverTls)
        const socket = yield* dial({ address: ADDRESS, port, tls: clientTls })
        // Long enough for both, and for the end.
        yield* eventually(() => (socket as unknown as { readonly closed: boolean }).closed)
        const seen = new Collector()
        socket.start(seen)
        assert.deepStrictEqual(seen.order, [])
        yield* eventually(() => seen.closed.length > 0)
        assert.strictEqual(seen.text, "first second")
        assert.strictEqual(seen.order.at(-1), "close")
        yield* Effect.sleep(5)
        assert.deepStrictEqual(seen.closed, [undefined])
      }).pipe(Effect.scoped))

    it.live("what arrives between the start and the delivery of what came before it stays behind", () =>
      Effect.gen(function*() {
        const servers: Array<Net.Socket> = []
        const { port } = yield* listen((socket) => {
          servers.push(socket)
          socket.write("a")
        }, serverTls)
        const socket = yield* dial({ address: ADDRESS, port, tls: clientTls })
        const early = () => (socket as unknown as { readonly early: ReadonlyArray<unknown> }).early.length
        yield* eventually(() => early() === 1)
        const seen = new Collector()
        // Sockets are polled after timers and before immediates: what the server writes in a timer is read in between.
        yield* Effect.sleep(1)
        yield* Effect.sync(() => {
          servers[0]!.write("b")
          socket.start(seen)
        })
        yield* eventually(() => seen.bytes.length === 2)
        assert.strictEqual(seen.text, "ab")
        servers[0]!.write("c")
        yield* eventually(() => seen.bytes.length === 3)
        assert.strictEqual(seen.text, "abc")
      }).pipe(Effect.scoped))

    it.live("the peer ends: told once, last, without an error", () =>
      Effect.gen(function*() {
        const { port } = yield* listen((socket) => void socket.end("bye"), serverTls)
        const socket = yield* dial({ address: ADDRESS, port, tls: clientTls })
        const seen = new Collector()
        socket.start(seen)
        yield* eventually(() => seen.closed.length > 0)
        assert.strictEqual(seen.text, "bye")
        assert.deepStrictEqual(seen.closed, [undefined])
        // Known to the end, for messages.
        assert.strictEqual(socket.remoteAddress, ADDRESS)
      }).pipe(Effect.scoped))

    it.live("`destroy` closes at once and may be repeated", () =>
      Effect.gen(function*() {
        const { port, sockets } = yield* listen(ignore, serverTls)
        const socket = yield* dial({ address: ADDRESS, port, tls: clientTls })
        const seen = new Collector()
        socket.start(seen)
        yield* eventually(() => sockets.size === 1)
        socket.destroy()
        socket.destroy()
        assert.deepStrictEqual(seen.closed, [])
        yield* eventually(() => seen.closed.length === 1 && sockets.size === 0)
        socket.destroy()
        socket.write(Buffer.from("x"), ignore)
        yield* Effect.sleep(5)
        assert.strictEqual(seen.closed.length, 1)
      }).pipe(Effect.scoped))

    it.live("the local port is bound; one in use says so, and does not spoil the other", () =>
      Effect.gen(function*() {
        const { port } = yield* listen(echo, serverTls)
        const free = yield* dial({ address: ADDRESS, port, tls: clientTls })
        const localPort = free.localPort!
        free.destroy()
        // Held by a listener: the port cannot be bound at all.
        const holder = yield* listen(ignore)
        const held = yield* Effect.flip(dial({ address: ADDRESS, port, localPort: holder.port, tls: clientTls }))
        assert.strictEqual(held.kind, "LocalPortInUse")
        assert.isNumber(localPort)
        // Held by a connection to the same place.
        const first = yield* dial({ address: ADDRESS, port, tls: clientTls })
        const taken = yield* Effect.flip(dial({ address: ADDRESS, port, localPort: first.localPort, tls: clientTls }))
        assert.strictEqual(taken.kind, "LocalPortInUse")
        const seen = new Collector()
        first.start(seen)
        first.write(Buffer.from("still here"), ignore)
        yield* eventually(() => seen.text === "still here")
      }).pipe(Effect.scoped))

    it.live("a chosen local port is the one that the server sees", () =>
      Effect.gen(function*() {
        const seen: Array<number | undefined> = []
        const { port } = yield* listen((socket) => void seen.push(socket.remotePort), serverTls)
        for (let localPort = 52_000 + process.pid % 1_000; localPort < 60_000; localPort++) {
          const attempt = yield* Effect.exit(dial({ address: ADDRESS, port, localPort, tls: clientTls }))
          if (Exit.isFailure(attempt)) continue
          assert.strictEqual(attempt.value.localPort, localPort)
          yield* eventually(() => seen.includes(localPort))
          return
        }
        assert.fail("no local port was free")
      }).pipe(Effect.scoped))

    it.live("refused", () =>
      Effect.gen(function*() {
        const gone = yield* Effect.scoped(listen(ignore))
        const error = yield* Effect.flip(dial({ address: ADDRESS, port: gone.port, tls: clientTls }))
        assert.strictEqual(error.kind, "Unreachable")
        assert.include(error.message, `${ADDRESS}:${gone.port}`)
        assert.include(error.message, "ECONNREFUSED")
      }).pipe(Effect.scoped))

    it.live("a port that is none is a failure, not a defect", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(dial({ address: ADDRESS, port: 70_000, tls: clientTls }))
        assert.strictEqual(error.kind, "Unreachable")
      }).pipe(Effect.scoped))

    it.live("a name that does not exist", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(dial({ address: "does-not-exist.invalid", port: 9042, tls: clientTls }))
        assert.strictEqual(error.kind, "Unreachable")
      }).pipe(Effect.scoped))

    it.live("an interrupted dial leaves nothing open", () =>
      Effect.gen(function*() {
        const { port, sockets } = yield* listen(ignore, serverTls)
        for (let i = 0; i < 5; i++) {
          const fiber = yield* Effect.forkChild(Effect.scoped(dial({ address: ADDRESS, port, tls: clientTls })), {
            startImmediately: true
          })
          for (let turn = 0; turn < i; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
        }
        yield* eventually(() => sockets.size === 0)
      }).pipe(Effect.scoped))
  })
}

describe("Transport: TLS", () => {
  it.live("a certificate that is not trusted", () =>
    Effect.gen(function*() {
      const { port } = yield* listen(echo, { cert, key })
      const error = yield* Effect.flip(dial({ address: ADDRESS, port, tls: {} }))
      assert.strictEqual(error.kind, "Tls")
    }).pipe(Effect.scoped))

  it.live("a certificate of another host", () =>
    Effect.gen(function*() {
      const { port } = yield* listen(echo, { cert, key })
      const error = yield* Effect.flip(
        dial({ address: ADDRESS, port, tls: { ca: cert, servername: "db.example.org" } })
      )
      assert.strictEqual(error.kind, "Tls")
    }).pipe(Effect.scoped))

  it.live("a server without TLS: an error, never plain text", () =>
    Effect.gen(function*() {
      const received: Array<Buffer> = []
      const { port } = yield* listen((socket) => {
        socket.on("data", (chunk: Buffer) => {
          received.push(chunk)
          socket.write("this is no TLS, not at all")
        })
      })
      const error = yield* Effect.flip(dial({ address: ADDRESS, port, tls: { ca: cert } }))
      assert.strictEqual(error.kind, "Tls")
      // A ClientHello.
      assert.strictEqual(received[0]![0], 0x16)
    }).pipe(Effect.scoped))

  it.live("options of TLS do not change where the dial goes", () =>
    Effect.gen(function*() {
      const { port } = yield* listen(echo, { cert, key })
      const other = yield* listen(ignore, { cert, key })
      const socket = yield* dial({
        address: ADDRESS,
        port,
        tls: { ca: cert, port: other.port, host: "127.0.0.2", path: "/tmp/elsewhere" }
      })
      const seen = new Collector()
      socket.start(seen)
      socket.write(Buffer.from("hello"), ignore)
      yield* eventually(() => seen.text === "hello")
      assert.strictEqual(other.sockets.size, 0)
    }).pipe(Effect.scoped))

  it.live("options that cannot be used are a failure, not a defect", () =>
    Effect.gen(function*() {
      const { port } = yield* listen(echo, { cert, key })
      const error = yield* Effect.flip(dial({ address: ADDRESS, port, tls: { ca: cert, cert: "garbage", key: "x" } }))
      assert.strictEqual(error.kind, "Tls")
    }).pipe(Effect.scoped))
})

/** What a user writes to dial something else: here an endpoint's address is the path of a unix socket. */
const unixSockets: Transport = {
  dial: (endpoint) =>
    Effect.callback<Socket, DialError>((resume) => {
      const socket = Net.connect({ path: endpoint.address })
      socket.once("error", (cause) => {
        resume(Effect.fail(new DialError({ kind: "Unreachable", endpoint, message: cause.message, cause })))
      })
      socket.once("connect", () => {
        resume(Effect.succeed<Socket>({
          localPort: undefined,
          remoteAddress: endpoint.address,
          start: (handlers) => {
            let error: Error | undefined
            socket.on("data", (chunk: Buffer) => {
              handlers.onData(chunk, new DataView(chunk.buffer, chunk.byteOffset, chunk.length), chunk.length)
            })
            socket.on("error", (cause) => (error = cause))
            socket.on("close", () => handlers.onClose(error))
          },
          // Says that it is not done with the bytes until it is.
          write: (bytes, done) => {
            socket.write(bytes, () => done())
            return false
          },
          get pendingBytes() {
            return socket.writableLength
          },
          destroy: () => void socket.destroy()
        }))
      })
      return Effect.sync(() => void socket.destroy())
    })
}

describe("NodePool over real sockets", () => {
  for (const secure of [false, true]) {
    it.live(`serves, and its scope leaves no socket and no timer (${secure ? "TLS" : "TCP"})`, () =>
      Effect.gen(function*() {
        const { port, sockets } = yield* listen(cql, secure ? { cert, key } : undefined)
        const held = () => process.getActiveResourcesInfo().length
        const before = held()
        yield* Effect.scoped(Effect.gen(function*() {
          const ticker = yield* Ticker.make
          const pool = yield* NodePool.make({
            address: ADDRESS,
            port,
            tls: secure ? { ca: cert } : undefined,
            shutdownTimeout: 0,
            session: { ticker }
          })
          yield* pool.awaitFull
          const ask = pool.pick(0)!.request({ _tag: "Query", query: "SELECT", options: { consistency: "ONE" } }, {
            timeoutMillis: 5_000,
            decoders: new RowDecoders()
          })
          const answers = yield* Effect.all(Array.from({ length: 500 }, () => ask), { concurrency: 50 })
          assert.strictEqual(answers.length, 500)
          assert.strictEqual(sockets.size, 1)
        }))
        yield* eventually(() => sockets.size === 0)
        yield* eventually(() => held() <= before)
      }).pipe(Effect.scoped))
  }

  it.live.skipIf(process.platform === "win32")(
    "over a transport of the user's own: a unix socket",
    () =>
      Effect.gen(function*() {
        const folder = mkdtempSync(join(tmpdir(), "pool-"))
        const path = join(folder, "cql.sock")
        const server = Net.createServer(cql).listen(path)
        yield* Effect.promise(() => once(server, "listening"))
        yield* Effect.addFinalizer(() =>
          Effect.promise(async () => {
            await promisify(server.close.bind(server))()
            rmSync(folder, { recursive: true })
          })
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const ticker = yield* Ticker.make
          const pool = yield* NodePool.make({ address: path, port: 0, shutdownTimeout: 0, session: { ticker } })
          yield* pool.awaitFull
          const ask = pool.pick(0)!.request({ _tag: "Query", query: "SELECT", options: { consistency: "ONE" } }, {
            timeoutMillis: 5_000,
            decoders: new RowDecoders()
          })
          const answers = yield* Effect.all(Array.from({ length: 200 }, () => ask), { concurrency: 50 })
          assert.isTrue(answers.every(({ response }) => response._tag === "Void"))
        })).pipe(Effect.provideService(Transport, unixSockets))
      }).pipe(Effect.scoped)
  )

  it.live("a scope that ends while it dials an address that does not answer", () =>
    Effect.gen(function*() {
      const before = process.getActiveResourcesInfo().length
      yield* Effect.scoped(Effect.gen(function*() {
        const ticker = yield* Ticker.make
        // TEST-NET-1 (RFC 5737): answers nowhere, or is refused at once where there is no route.
        yield* NodePool.make({ address: "192.0.2.1", port: 9042, session: { ticker } })
        yield* Effect.sleep(20)
      }))
      yield* eventually(() => process.getActiveResourcesInfo().length <= before)
    }))
})
