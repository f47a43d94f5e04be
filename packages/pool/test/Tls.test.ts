import * as NodePool from "@effect-scylla/pool/NodePool"
import * as Ticker from "@effect-scylla/pool/Ticker"
import * as Tls from "@effect-scylla/pool/Tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, type Scope } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as NodeTls from "node:tls"
import { TlsSessions } from "../src/internal/tlsSessions.ts"
import { frame } from "./support/network.ts"
import { error } from "./support/node.ts"
import { cql, listen } from "./support/tcpNode.ts"

const ADDRESS = "127.0.0.1"
const fixture = (name: string): string => new URL(`./fixtures/${name}`, import.meta.url).pathname
const cert = readFileSync(fixture("cert.pem"), "utf8")
const key = readFileSync(fixture("key.pem"), "utf8")

/** Polls what only the operating system brings about. */
const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    const deadline = performance.now() + 10_000
    while (!condition()) {
      if (performance.now() > deadline) assert.fail(`never came true: ${String(condition)}`)
      yield* Effect.sleep(2)
    }
  })

/** A node behind TLS that notes what it sees of its clients. */
const node = (options: NodeTls.TlsOptions = {}) => {
  const seen: Array<{ readonly resumed: boolean; readonly servername: string | false; readonly hasCert: boolean }> = []
  return Effect.map(
    listen((socket) => {
      const tls = socket as NodeTls.TLSSocket
      seen.push({
        resumed: tls.isSessionReused(),
        servername: (tls as unknown as { readonly servername: string | false }).servername,
        hasCert: Object.keys(tls.getPeerCertificate() ?? {}).length > 0
      })
      cql(socket)
    }, { cert, key, ...options }),
    (listening) => ({ ...listening, seen })
  )
}

const pool = (
  port: number,
  tls: NodePool.Options["tls"],
  options: Partial<NodePool.Options> = {}
): Effect.Effect<NodePool.NodePool, never, Scope.Scope> =>
  Effect.flatMap(Ticker.make, (ticker) =>
    NodePool.make({
      address: ADDRESS,
      port,
      tls,
      shutdownTimeout: 0,
      reconnect: { base: 1, cap: 5 },
      ...options,
      session: { ticker }
    }))

describe("TLS of a pool", () => {
  it.live("the address is verified, or the name that is given and sent", () =>
    Effect.gen(function*() {
      const { port, seen } = yield* node()
      yield* (yield* pool(port, { ca: cert })).awaitFull
      assert.isFalse(seen[0]!.servername)
      yield* (yield* pool(port, { ca: cert, servername: "localhost" })).awaitFull
      assert.strictEqual(seen[1]!.servername, "localhost")
      const other = yield* pool(port, { ca: cert, servername: "db.example.org" })
      yield* other.awaitFirst
      assert.isFalse(other.isUp)
      assert.strictEqual(other.lastReason?._tag, "DialFailed")
      // Nobody vouches for it.
      const unknown = yield* pool(port, {})
      yield* unknown.awaitFirst
      assert.isFalse(unknown.isUp)
    }))

  it.live("a client certificate", () =>
    Effect.gen(function*() {
      const { port, seen } = yield* node({ requestCert: true, rejectUnauthorized: true, ca: cert })
      yield* (yield* pool(port, { ca: cert, cert, key })).awaitFull
      assert.isTrue(seen[0]!.hasCert)
      const without = yield* pool(port, { ca: cert })
      yield* without.awaitFirst
      assert.isFalse(without.isUp)
    }))

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it.live(`all connections to a node but the first resume a session (${version})`, () =>
      Effect.gen(function*() {
        const { port, seen, sockets } = yield* node({ maxVersion: version })
        const one = yield* pool(port, { ca: cert })
        yield* one.awaitFull
        for (let i = 1; i <= 3; i++) {
          for (const socket of sockets) socket.destroy()
          yield* eventually(() => seen.length === i + 1 && one.isFull)
        }
        assert.deepStrictEqual(seen.map(({ resumed }) => resumed), [false, true, true, true])
        // Another pool may be another node.
        yield* (yield* pool(port, { ca: cert })).awaitFull
        assert.isFalse(seen.at(-1)!.resumed)
      }))
  }

  it.live("certificates that are renewed are taken with the next dial; old sessions are not resumed", () =>
    Effect.gen(function*() {
      const dir = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-scylla-tls-"))),
        (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
      )
      const ca = join(dir, "ca.pem")
      writeFileSync(ca, cert)
      const { port, seen, sockets } = yield* node()
      const tls = yield* Tls.make(Tls.files({ ca }))
      const one = yield* pool(port, tls)
      yield* one.awaitFull
      // Broken for a while: what was there stays.
      rmSync(ca)
      const broken = yield* Effect.flip(tls.reload)
      assert.strictEqual(broken._tag, "TlsError")
      for (const socket of sockets) socket.destroy()
      yield* eventually(() => seen.length === 2 && one.isFull)
      assert.isTrue(seen[1]!.resumed)
      writeFileSync(ca, cert)
      yield* tls.reload
      for (const socket of sockets) socket.destroy()
      yield* eventually(() => seen.length === 3 && one.isFull)
      assert.isFalse(seen[2]!.resumed)
    }))

  it.live("what cannot be loaded at first is an error; later, by itself, a warning", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(Tls.make(Tls.files({ ca: "/does/not/exist.pem" })))
      assert.match(missing.message, /ca.*ENOENT/)
      const garbage = yield* Effect.flip(Tls.make(Effect.succeed({ cert: "no certificate", key })))
      assert.strictEqual(garbage._tag, "TlsError")
      const logged: Array<string> = []
      let loads = 0
      const load = Effect.suspend(() =>
        ++loads === 2
          ? Effect.fail(new Tls.TlsError({ message: "away", cause: undefined }))
          : Effect.succeed<NodeTls.ConnectionOptions>({ ca: cert })
      )
      const tls = yield* Tls.make(load, { every: 5 }).pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))]))
      )
      const first = tls.options
      yield* eventually(() => loads >= 4)
      assert.notStrictEqual(tls.options, first)
      assert.strictEqual(logged.filter((line) => /away/.test(line)).length, 1)
    }))
})

describe("TLS sessions", () => {
  it("each is given once, the newest first, but the last; those of options that are not in force any more never", () => {
    const sessions = new TlsSessions()
    const first: NodeTls.ConnectionOptions = { ca: "first" }
    const ticket = (text: string): Buffer => Buffer.from(text)
    assert.deepStrictEqual(sessions.of(undefined), {})
    const { onSession, tls } = sessions.of(first)
    assert.strictEqual(tls, first)
    for (const name of ["a", "b", "c"]) onSession!(ticket(name))
    const given = (options: NodeTls.ConnectionOptions): string =>
      String((sessions.of(options).tls as NodeTls.ConnectionOptions).session)
    assert.deepStrictEqual([given(first), given(first), given(first), given(first)], ["c", "b", "a", "a"])
    const second: NodeTls.ConnectionOptions = { ca: "second" }
    assert.strictEqual(given(second), "undefined")
    // From a connection that was made with the old ones.
    onSession!(ticket("late"))
    assert.strictEqual(given(second), "undefined")
    sessions.of(second).onSession!(ticket("new"))
    assert.strictEqual(given(second), "new")
    for (let i = 0; i < 100; i++) sessions.of(second).onSession!(ticket(String(i)))
    assert.isAtMost((sessions as unknown as { readonly tickets: ReadonlyArray<Buffer> }).tickets.length, 16)
  })
})

describe("TCP", () => {
  const isLinux = process.platform === "linux"

  it.live("nothing waits for more to send, with TLS and without", () =>
    Effect.gen(function*() {
      const { setNoDelay } = Net.Socket.prototype
      const set: Array<boolean | undefined> = []
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          Net.Socket.prototype.setNoDelay = setNoDelay
        })
      )
      Net.Socket.prototype.setNoDelay = function(on) {
        set.push(on)
        return setNoDelay.call(this, on)
      }
      for (const tls of [undefined, { ca: cert }]) {
        const { port } = yield* listen(cql, tls === undefined ? undefined : { cert, key })
        set.length = 0
        yield* (yield* pool(port, tls)).awaitFull
        assert.isAtLeast(set.length, 1)
        assert.isFalse(set.includes(false))
      }
    }))

  it.live.skipIf(!isLinux)("keepalive is on, with TLS and without", () =>
    Effect.gen(function*() {
      for (const tls of [undefined, { ca: cert }]) {
        const { port } = yield* listen(cql, tls === undefined ? undefined : { cert, key })
        yield* (yield* pool(port, tls)).awaitFull
        const remote = port.toString(16).toUpperCase().padStart(4, "0")
        // Fields of /proc/net/tcp: local, remote, state (01: established), queues, timer (02: keepalive) and its time.
        const lines = readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
        const mine = lines.find((fields) => fields[2]?.endsWith(`:${remote}`) && fields[3] === "01")
        assert.strictEqual(mine?.[5]?.slice(0, 2), "02")
      }
    }))
})

describe("TLS: names, and what goes wrong in words", () => {
  const failure = (port: number, tls: NodePool.Options["tls"], options: Partial<NodePool.Options> = {}) =>
    Effect.gen(function*() {
      const one = yield* pool(port, tls, options)
      yield* one.awaitFirst
      assert.isFalse(one.isUp)
      return one.lastReason!
    })

  it.live("the name by which the node was reached is verified and sent, unless the options say by what", () =>
    Effect.gen(function*() {
      const { port, seen } = yield* node()
      yield* (yield* pool(port, { ca: cert }, { servername: "localhost" })).awaitFull
      assert.strictEqual(seen.at(-1)!.servername, "localhost")
      const other = yield* failure(port, { ca: cert }, { servername: "db.example.org" })
      assert.include(other.message, "not for db.example.org")
      // The user's own.
      yield* (yield* pool(port, { ca: cert, servername: "localhost" }, { servername: "db.example.org" })).awaitFull
      assert.strictEqual(seen.at(-1)!.servername, "localhost")
      const checked: Array<string> = []
      const checkServerIdentity = (name: string): undefined => void checked.push(name)
      yield* (yield* pool(port, { ca: cert, checkServerIdentity }, { servername: "db.example.org" })).awaitFull
      assert.strictEqual(checked.at(-1), ADDRESS)
      // A way by another name, from the next dial on.
      const moved = yield* pool(port, { ca: cert }, { servername: "db.example.org" })
      yield* moved.awaitFirst
      assert.isFalse(moved.isUp)
      moved.moveTo(ADDRESS, port, "localhost")
      moved.nodeUp()
      yield* moved.awaitFull
      assert.strictEqual(seen.at(-1)!.servername, "localhost")
      // Certificates that are renewed, and a name that is none.
      const renewed = yield* Tls.make(Effect.succeed({ ca: cert }))
      yield* (yield* pool(port, renewed, { servername: "localhost" })).awaitFull
      yield* (yield* pool(port, { ca: cert }, { servername: ADDRESS })).awaitFull
      assert.isFalse(seen.at(-1)!.servername)
    }))

  it.live("a certificate for others: its names, and the options that help", () =>
    Effect.gen(function*() {
      const { port } = yield* node()
      const reason = yield* failure(port, { ca: cert, servername: "db.example.org" })
      assert.strictEqual(reason._tag === "DialFailed" && reason.kind, "Tls")
      for (
        const part of [
          "DNS:localhost",
          "IP Address:127.0.0.1",
          "db.example.org",
          "`servername`",
          "`checkServerIdentity`"
        ]
      ) {
        assert.include(reason.message, part)
      }
    }))

  it.live("nobody vouches for it: `ca`", () =>
    Effect.gen(function*() {
      const { port } = yield* node()
      const reason = yield* failure(port, {})
      assert.strictEqual(reason._tag === "DialFailed" && reason.kind, "Tls")
      assert.match(reason.message, /vouches for the certificate of 127.0.0.1:\d+ .*`ca`/)
    }))

  /** Answers as Cassandra does to what is no frame, by closing, or as an HTTP server. */
  const plain: ReadonlyArray<readonly [name: string, accept: (socket: Net.Socket) => void]> = [
    [
      "a CQL server that answers with an error",
      (socket) =>
        void socket.once(
          "data",
          () => socket.end(frame(0, error("ProtocolError", "Invalid or unsupported protocol version (22)")))
        )
    ],
    ["a server that closes", (socket) => void socket.once("data", () => socket.end())],
    [
      "a server of something else",
      (socket) => void socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
    ]
  ]
  for (const [name, accept] of plain) {
    it.live(`TLS is dialled where none is spoken: ${name}`, () =>
      Effect.gen(function*() {
        const { port } = yield* listen(accept)
        const reason = yield* failure(port, { ca: cert })
        assert.strictEqual(reason._tag, "DialFailed")
        assert.match(
          reason.message,
          /^127.0.0.1:\d+ .*speaks no TLS.*set `tls` to false, or use the port for TLS \(9142/
        )
      }))
  }

  it.live("TLS is spoken where none is dialled: a server that says so in TLS", () =>
    Effect.gen(function*() {
      const { port } = yield* node()
      const reason = yield* failure(port, undefined)
      assert.match(reason.message, /`tls`/)
      const alert = yield* listen((socket) =>
        void socket.once("data", () => socket.end(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70)))
      )
      const said = yield* failure(alert.port, undefined)
      assert.strictEqual(said._tag, "ProtocolViolation")
      assert.match(said.message, /^127.0.0.1 speaks TLS: set `tls`, or use the port without TLS \(9042/)
    }))

  it.live("TLS may be spoken where none is dialled: a server that closes without a word", () =>
    Effect.gen(function*() {
      const { port } = yield* listen((socket) => void socket.once("data", () => socket.destroy()))
      const reason = yield* failure(port, undefined)
      assert.strictEqual(reason._tag, "ConnectionLost")
      assert.match(reason.message, /before it said anything.*`tls`/)
    }))
})
