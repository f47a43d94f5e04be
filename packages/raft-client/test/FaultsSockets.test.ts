/** What goes wrong on real sockets. Cases with one number are of one fault. */
import { DEngineAdapter, RaftClient, Transport } from "@effect-scylla/raft-client"
import * as RaftSimulatedServer from "@effect-scylla/testkit/RaftSimulatedServer"
import * as RaftSimulator from "@effect-scylla/testkit/RaftSimulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Redacted, type Scope, Stream } from "effect"
import Dns from "node:dns"
import { readFileSync } from "node:fs"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { assertError, text } from "./support/simulated.ts"

const file = (name: string): string => readFileSync(new URL(`./fixtures/${name}.pem`, import.meta.url), "utf8")

const cluster = Effect.fnUntraced(function*(options: RaftSimulatedServer.ListenOptions = {}) {
  const simulated = yield* RaftSimulator.make({ electionMillis: 200 })
  const listening = yield* RaftSimulatedServer.listenAll(simulated, options)
  return { cluster: simulated, listening }
})

const connect = (
  simulated: RaftSimulator.RaftSimulator,
  options: Partial<RaftClient.RaftClientOptions> = {}
) => RaftClient.make({ endpoints: simulated.endpoints, adapter: DEngineAdapter.make(), ...options })

/** Waits for something to become true; fails after 20 seconds. */
const until = (what: string, ready: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < 2_000; i++) {
      if (ready()) return
      yield* Effect.sleep(10)
    }
    assert.fail(`${what} did not come about in 20 seconds`)
  })

/** An HTTP/2 server that sees raw gRPC. */
const raw = (
  onStream: (stream: Http2.ServerHttp2Stream, path: string, body: Uint8Array) => void
): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ server: Http2.Http2Server; sessions: Set<Http2.ServerHttp2Session> }>((resume) => {
      const server = Http2.createServer()
      const sessions = new Set<Http2.ServerHttp2Session>()
      server.on("session", (session) => sessions.add(session))
      server.on("sessionError", () => {})
      server.on("stream", (stream, headers) => {
        const chunks: Array<Buffer> = []
        stream.on("error", () => {})
        stream.on("data", (chunk: Buffer) => chunks.push(chunk))
        stream.on("end", () => onStream(stream, String(headers[":path"]), Buffer.concat(chunks).subarray(5)))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sessions })))
    }),
    ({ server, sessions }) =>
      Effect.sync(() => {
        for (const session of sessions) session.destroy()
        server.close()
      })
  ).pipe(Effect.map(({ server }) => `127.0.0.1:${(server.address() as Net.AddressInfo).port}`))

/** Answers a stream as a simulated node would. */
const reply = (stream: Http2.ServerHttp2Stream, answer: RaftSimulator.Reply): void => {
  if (answer === "silence" || stream.closed) return
  if (!("body" in answer)) {
    stream.respond({
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": String(answer.code),
      "grpc-message": answer.details
    }, { endStream: true })
    return
  }
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(answer.body.length, 1)
  stream.end(Buffer.concat([head, answer.body]))
}

/** One node behind a raw server, whose first answers a test may spoil. */
const single = Effect.fnUntraced(function*(
  spoil: (stream: Http2.ServerHttp2Stream, method: string) => boolean
) {
  const simulated = yield* RaftSimulator.make({ nodes: 1 })
  const node = simulated.node(1)
  node.address = yield* raw((stream, path, body) => {
    if (!spoil(stream, path.slice(path.lastIndexOf("/") + 1))) reply(stream, simulated.answer(node, path, body))
  })
  return simulated
})

describe("faults on sockets", () => {
  it.live("what is put is got, scanned and watched; gzip, metadata and authority go along", () =>
    Effect.gen(function*() {
      const seen: Array<Http2.IncomingHttpHeaders> = []
      const simulated = yield* RaftSimulator.make({ nodes: 1 })
      const node = simulated.node(1)
      yield* RaftSimulatedServer.listen(simulated, node)
      const client = yield* connect(simulated, {
        channel: { gzip: true, metadata: { token: Redacted.make("secret") } }
      })
      yield* client.put("/k/a", "x".repeat(10_000))
      const value = yield* client.get("/k/a")
      assert.strictEqual(text(Option.getOrUndefined(value))?.length, 10_000)
      assert.lengthOf((yield* client.scan("/k/")).entries, 1)
      const [first] = yield* Stream.runCollect(Stream.take(client.watchPrefix("/k/"), 1))
      assert.strictEqual(first?._tag, "Put")

      const address = yield* Effect.acquireRelease(
        Effect.callback<Http2.Http2Server>((resume) => {
          const server = Http2.createServer()
          server.on("stream", (stream, headers) => {
            seen.push(headers)
            stream.on("error", () => {})
            stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "14" }, {
              endStream: true
            })
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => void server.close())
      )
      const port = (address.address() as Net.AddressInfo).port
      yield* Effect.exit(Effect.scoped(connect(simulated, {
        endpoints: [`127.0.0.1:${port}`],
        readyTimeout: 300,
        channel: { gzip: true, authority: "raft.internal", metadata: { token: Redacted.make("secret") } }
      })))
      assert.strictEqual(seen[0]?.[":authority"], "raft.internal")
      assert.strictEqual(seen[0]?.["token"], "secret")
      assert.strictEqual(seen[0]?.["grpc-encoding"], "gzip")
      assert.include(String(seen[0]?.["grpc-accept-encoding"]), "gzip")
    }))

  it.live("3, 5: a refused and a silent endpoint do not keep a client from starting", () =>
    Effect.gen(function*() {
      const { cluster: simulated } = yield* cluster()
      const silent = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => socket.on("error", () => {}))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => void server.close())
      )
      const port = (silent.address() as Net.AddressInfo).port
      const client = yield* connect(simulated, {
        endpoints: [`127.0.0.1:${port}`, "127.0.0.1:1", simulated.endpoints[2]!]
      })
      yield* client.put("/k", "v")
      assert.strictEqual((yield* client.leader).id, "1")
    }))

  it.live("16: a server that dies under a write leaves it ambiguous; the next write finds the new leader", () =>
    Effect.gen(function*() {
      const { cluster: simulated } = yield* cluster()
      const client = yield* connect(simulated)
      simulated.node(1).script("HandleClientWrite", "silence")
      const write = yield* Effect.forkChild(Effect.flip(client.put("/k", "v")), { startImmediately: true })
      yield* until("the write", () => simulated.node(1).count("HandleClientWrite") === 1)
      simulated.kill(1)
      assertError(yield* Fiber.join(write), "ConnectionLost", "Ambiguous")
      yield* client.put("/k", "w")
      assert.notStrictEqual((yield* client.leader).id, "1")
    }))

  it.live("17: a stream that was refused is sent again, unseen", () =>
    Effect.gen(function*() {
      let refused = 0
      const simulated = yield* single((stream, method) => {
        if (method !== "HandleClientWrite" || refused++ > 0) return false
        stream.close(Http2.constants.NGHTTP2_REFUSED_STREAM)
        return true
      })
      const client = yield* connect(simulated)
      yield* client.put("/k", "v")
      assert.strictEqual(refused, 2)
      assert.strictEqual(simulated.index, 1)
    }))

  it.live("17: a rolling restart costs no write", () =>
    Effect.gen(function*() {
      const { cluster: simulated, listening } = yield* cluster()
      const client = yield* connect(simulated)
      const results: Array<string> = []
      let stop = false
      const writer = yield* Effect.forkChild(Effect.gen(function*() {
        for (let i = 0; !stop; i++) {
          const result = yield* Effect.result(client.put("/k", String(i)))
          results.push(result._tag === "Success" ? "ok" : result.failure.outcome!)
        }
      }))
      yield* until("some writes", () => results.length > 20)
      yield* listening[0]!.shutDown
      simulated.elect(2)
      const before = results.length
      yield* until("writes after the restart", () => results.length > before + 20)
      stop = true
      yield* Fiber.join(writer)
      assert.deepStrictEqual([...new Set(results)], ["ok"])
    }))

  it.live("20: an answer that is too long is a typed error for a read and ambiguous for a write", () =>
    Effect.gen(function*() {
      const { cluster: simulated } = yield* cluster()
      const client = yield* connect(simulated, { channel: { maxReceiveBytes: 10_000 } })
      simulated.write("/big", "x".repeat(20_000))
      const error = yield* Effect.flip(client.get("/big"))
      assertError(error, "MessageTooLarge")
      assert.include(error.message, "maxReceiveBytes")
      simulated.node(1).script("HandleClientWrite", { code: 0, body: new Uint8Array(20_000) })
      assertError(yield* Effect.flip(client.put("/k", "v")), "MalformedResponse", "Ambiguous")
    }))

  it.live("33: a connection that swallows everything is found by its keepalive", () =>
    Effect.gen(function*() {
      const { cluster: simulated } = yield* cluster()
      const node = simulated.node(1)
      const swallowing = new Set<() => void>()
      let connections = 0
      const front = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => {
            connections++
            const behind = Net.connect(Number(node.address.split(":")[1]), "127.0.0.1")
            swallowing.add(() => socket.unpipe(behind).resume() && behind.unpipe(socket).resume())
            socket.on("error", () => {}).on("close", () => behind.destroy())
            behind.on("error", () => {}).on("close", () => socket.destroy())
            socket.pipe(behind).pipe(socket)
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => void server.close())
      )
      const proxied = `127.0.0.1:${(front.address() as Net.AddressInfo).port}`
      const client = yield* connect(simulated, {
        endpoints: [proxied],
        addressMap: { [node.address]: proxied },
        channel: { keepaliveMillis: 100, keepaliveTimeoutMillis: 100 }
      })
      const seen: Array<string> = []
      yield* Effect.forkScoped(Stream.runForEach(client.watchPrefix("/w/"), (event) =>
        Effect.sync(() =>
          seen.push(event._tag === "Put" ? text(event.value)! : event._tag)
        )))
      yield* until("the watch", () =>
        seen.length === 1)
      const before = connections
      for (const swallow of swallowing) swallow()
      simulated.write("/w/a", "1")
      yield* until("the change", () => seen.includes("1"))
      assert.isAbove(connections, before)
    }))

  it.live("34: three hundred watches do not starve calls, and each hears its event", () =>
    Effect.gen(function*() {
      const { cluster: simulated } = yield* cluster()
      const client = yield* connect(simulated, { timeout: "10 seconds" })
      const heard = new Set<number>()
      let synced = 0
      for (let i = 0; i < 300; i++) {
        yield* Effect.forkScoped(Stream.runForEach(client.watch(`/w/${i}`), (event) =>
          Effect.sync(() => {
            if (event._tag === "Synced") synced++
            if (event._tag === "Put") heard.add(i)
          })))
      }
      yield* until("all watches", () => synced >= 300)
      assert.strictEqual(simulated.node(1).watchers.size, 300)
      for (let i = 0; i < 300; i++) yield* client.put(`/w/${i}`, "v")
      yield* until("all events", () => heard.size === 300)
    }), 60_000)

  it.live("40: a name with several addresses is tried at each, and looked up again", () =>
    Effect.gen(function*() {
      const { cluster: simulated, listening } = yield* cluster()
      // localhost is ::1 and 127.0.0.1 on most systems; only the latter is listened on.
      const addressMap = Object.fromEntries(
        listening.map(({ port }) => [`127.0.0.1:${port}`, `localhost:${port}`])
      )
      const client = yield* connect(simulated, { endpoints: Object.values(addressMap), addressMap })
      yield* client.put("/k", "v")
      assert.match((yield* client.leader).address, /^localhost:/)
    }))

  it.live("40: a node whose name leads elsewhere after it has moved is found there", () =>
    Effect.gen(function*() {
      const simulated = yield* RaftSimulator.make({ nodes: 1 })
      const node = simulated.node(1)
      let home = "127.0.0.1"
      let lookups = 0
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const real = Dns.promises.lookup
          const ours = async (name: string, options: never) => {
            if (name !== "pod.test") return real(name, options)
            lookups++
            return [{ address: home, family: 4 }]
          }
          Dns.promises.lookup = ours as typeof real
          return real
        }),
        (real) =>
          Effect.sync(() => {
            Dns.promises.lookup = real
          })
      )
      const { port } = yield* RaftSimulatedServer.listen(simulated, node)
      const name = `pod.test:${port}`
      const client = yield* connect(simulated, { endpoints: [name], addressMap: () => name })
      yield* client.put("/k", "v")
      const before = lookups
      simulated.kill(1)
      home = "127.0.0.2"
      yield* RaftSimulatedServer.listen(simulated, node, { host: home, port })
      simulated.start(1)
      simulated.elect(1)
      // A read: a write may meet the end of the old connection, which leaves it ambiguous.
      const value = yield* client.get("/k", { timeout: "10 seconds" })
      assert.strictEqual(text(Option.getOrUndefined(value)), "v")
      assert.isAbove(lookups, before)
    }))

  it.live("a connection is dialled when it is asked for and never otherwise, each dial at its time", () =>
    Effect.gen(function*() {
      let connections = 0
      const server = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => {
            connections++
            socket.on("error", () => {}).destroy()
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => void server.close())
      )
      const address = `127.0.0.1:${(server.address() as Net.AddressInfo).port}`
      const transport = yield* Transport.Transport
      const channel = Effect.acquireRelease(
        Effect.sync(() => transport.open(address, { maxReconnectMillis: 50 })),
        (channel) => Effect.sync(channel.close)
      )
      const dial = (channel: Transport.Channel) =>
        Effect.callback<string | undefined>((resume) => {
          channel.connect(5_000, (error) => resume(Effect.succeed(error)))
        })
      const quiet = yield* channel
      // Two who ask at once are told by one dial.
      const [first, second] = yield* Effect.all([dial(quiet), dial(quiet)], { concurrency: "unbounded" })
      assert.isString(first)
      assert.strictEqual(second, first)
      assert.strictEqual(connections, 1)
      // In the time of ten dials of another, this one makes none: grpc-js by itself would.
      const busy = yield* channel
      for (let n = 0; n < 10;) {
        const before = connections
        yield* dial(busy)
        if (connections > before) n++
        else yield* Effect.sleep(5)
      }
      assert.strictEqual(connections, 11)
      // A call on what is not connected does not dial either, and is certainly not sent.
      const answer = yield* Effect.callback<Transport.Answer>((resume) => {
        quiet.unary("/x/Y", new Uint8Array(), 1_000, (answer) => resume(Effect.succeed(answer)))
      })
      assert.include(answer.details, "No connection established")
      assert.strictEqual(connections, 11)
    }))

  it.live("44: a channel that is closed while it dials tells those who wait", () =>
    Effect.gen(function*() {
      let arrived = false
      const silent = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => {
            arrived = true
            socket.on("error", () => {})
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => void server.close())
      )
      const transport = yield* Transport.Transport
      const channel = transport.open(`127.0.0.1:${(silent.address() as Net.AddressInfo).port}`, {})
      const told: Array<string | undefined> = []
      const waited = (millis: number) => channel.connect(millis, (error) => void told.push(error))
      waited(60_000)
      waited(60_000)()
      waited(20)
      yield* until("the connection", () => arrived)
      yield* until("the end of the shorter wait", () => told.length === 1)
      channel.close()
      waited(60_000)
      yield* until("the others", () => told.length === 3)
      assert.deepStrictEqual(told, ["not connected after 20 ms", "the channel is closed", "the channel is closed"])
    }))

  it.live("41: a node with a wrong certificate is unusable and says why; the others serve", () =>
    Effect.gen(function*() {
      const simulated = yield* RaftSimulator.make({ electionMillis: 200 })
      const tls = { cert: file("node-cert"), key: file("node-key") }
      yield* RaftSimulatedServer.listen(simulated, simulated.node(1), { tls })
      yield* RaftSimulatedServer.listen(simulated, simulated.node(2), { tls })
      yield* RaftSimulatedServer.listen(simulated, simulated.node(3), {
        tls: { cert: file("stranger-cert"), key: file("stranger-key") }
      })
      const client = yield* connect(simulated, { channel: { tls: { ca: tls.cert } }, membershipInterval: 200 })
      yield* client.put("/k", "v")
      const wrong = simulated.node(3).address
      yield* Effect.forkScoped(client.refresh())
      let answer = ""
      for (let i = 0; i < 500 && !/certificate/i.test(answer); i++) {
        yield* Effect.sleep(10)
        answer = (yield* client.view).evidence.find(({ address }) => address === wrong)?.answer ?? ""
      }
      assert.match(answer, /certificate/i)
      assert.strictEqual(simulated.node(3).received.length, 0)
    }))

  it.live("41: with TLS nobody is spoken to in plaintext, not even a node that speaks nothing else", () =>
    Effect.gen(function*() {
      const { cluster: simulated } = yield* cluster()
      const error = yield* Effect.flip(Effect.scoped(
        connect(simulated, { channel: { tls: { ca: file("node-cert") } }, readyTimeout: 500 })
      ))
      assertError(error, "NoLeader")
      assert.isTrue(simulated.nodes.every(({ received }) => received.length === 0))
    }))

  it.live("44: when the scope has closed no connection is left", () =>
    Effect.gen(function*() {
      const { cluster: simulated } = yield* cluster()
      const open = new Set<Net.Socket>()
      const front = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => {
            open.add(socket)
            const behind = Net.connect(Number(simulated.node(1).address.split(":")[1]), "127.0.0.1")
            socket.on("error", () => {}).on("close", () => {
              open.delete(socket)
              behind.destroy()
            })
            behind.on("error", () => {}).on("close", () => socket.destroy())
            socket.pipe(behind).pipe(socket)
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => void server.close())
      )
      const proxied = `127.0.0.1:${(front.address() as Net.AddressInfo).port}`
      const addressMap = { [simulated.node(1).address]: proxied }
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* connect(simulated, { endpoints: [proxied], addressMap })
        yield* client.put("/k", "v")
        yield* Stream.runDrain(Stream.take(client.watchPrefix("/w/"), 1))
        simulated.node(1).script("HandleClientWrite", "silence")
        yield* Effect.forkChild(Effect.exit(client.put("/k", "w")), { startImmediately: true })
        assert.isAtLeast(open.size, 2)
      }))
      yield* until("the end of all connections", () => open.size === 0)
    }))

  for (const status of [404, 403, 502, 503]) {
    it.live(`46: HTTP ${status} of something in between is no word of a server`, () =>
      Effect.gen(function*() {
        let spoilt = 0
        const simulated = yield* single((stream, method) => {
          if (method !== "HandleClientWrite" || spoilt++ > 0) return false
          stream.respond({ ":status": status, "content-type": "text/html" })
          stream.end("<html>no</html>")
          return true
        })
        const client = yield* connect(simulated)
        const error = yield* Effect.flip(client.put("/k", "v"))
        assert.strictEqual(error.outcome, "Ambiguous")
        assert.include(error.message, `HTTP status code ${status}`)
        yield* client.put("/k", "w")
      }))
  }

  it.live("46: a read behind such a proxy is asked again", () =>
    Effect.gen(function*() {
      let spoilt = 0
      const simulated = yield* single((stream, method) => {
        if (method !== "HandleClientRead" || spoilt++ !== 2) return false
        stream.respond({ ":status": 502, "content-type": "text/html" })
        stream.end("<html>no</html>")
        return true
      })
      const client = yield* connect(simulated)
      for (let i = 0; i < 4; i++) yield* client.get("/k")
      assert.isAbove(spoilt, 3)
    }))
})
