import { Transport } from "@effect-scylla/pool"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import * as Net from "node:net"
import * as MappedPorts from "../src/internal/mappedPorts.ts"
import * as NativePort from "../src/internal/nativePort.ts"
import * as TestServer from "../src/TestServer.ts"

const withEnvironment = (record: Record<string, string>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(record)))

const string = (text: string): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(Buffer.byteLength(text))
  return Buffer.concat([length, Buffer.from(text)])
}

const supported = (entries: Record<string, string>): Buffer => {
  const count = Buffer.alloc(2)
  count.writeUInt16BE(Object.keys(entries).length)
  const body = Buffer.concat([
    count,
    ...Object.entries(entries).flatMap(([key, value]) => [string(key), Buffer.from([0, 1]), string(value)])
  ])
  const header = Buffer.from([0x84, 0, 0, 0, 0x06, 0, 0, 0, 0])
  header.writeUInt32BE(body.length, 5)
  return Buffer.concat([header, body])
}

/** Answers every request with SUPPORTED in two pieces; what it says may depend on the client's port. */
const server = (entries: (clientPort: number, ownPort: number) => Record<string, string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => {
          socket.on("error", () => {})
          socket.once("data", () => {
            const frame = supported(entries(socket.remotePort ?? 0, socket.localPort ?? 0))
            socket.write(frame.subarray(0, 11))
            setImmediate(() => socket.write(frame.subarray(11)))
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
        })
    ),
    (server) => (server.address() as Net.AddressInfo).port
  )

const external = (environment: Record<string, string>) =>
  Effect.map(
    Layer.build(Layer.fresh(TestServer.external)),
    (context) => Context.get(context, TestServer.TestServer)
  ).pipe(withEnvironment(environment))

describe("TestServer.requirement", () => {
  it.live("the simulator always runs", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* TestServer.requirement("simulated"), { _tag: "Run" })
    }))

  it.live("an external cluster runs where it is named", () =>
    Effect.gen(function*() {
      const absent = yield* TestServer.requirement("external").pipe(withEnvironment({ CQL_CONTACT_POINTS: " " }))
      assert.strictEqual(absent._tag, "Skip")
      const named = yield* TestServer.requirement("external").pipe(withEnvironment({ CQL_CONTACT_POINTS: "h:1" }))
      assert.strictEqual(named._tag, "Run")
    }))

  it.live("a provider that cannot run is skipped, or required where the environment says so", () =>
    Effect.gen(function*() {
      // 127.0.0.256 is no address, so no host can have that many nodes
      const nodes = { nodes: 256 }
      const skip = yield* TestServer.requirement("cassandra", nodes).pipe(withEnvironment({ REQUIRE_CONTAINER: "1" }))
      assert.strictEqual(skip._tag, "Skip")
      assert.include(skip._tag === "Skip" ? skip.why : "", "127.0.0.")
      const required = yield* TestServer.requirement("cassandra", nodes).pipe(
        withEnvironment({ REQUIRE_REAL_SERVERS: "1" })
      )
      assert.strictEqual(required._tag, "Required")
    }))

  it.live("a container is required by its own variable only", () =>
    Effect.gen(function*() {
      const lenient = yield* TestServer.requirement("container").pipe(withEnvironment({ REQUIRE_REAL_SERVERS: "1" }))
      if (lenient._tag === "Run") return
      assert.strictEqual(lenient._tag, "Skip")
      console.log(`container: ${lenient.why}`)
      const strict = yield* TestServer.requirement("container").pipe(withEnvironment({ REQUIRE_CONTAINER: "1" }))
      assert.strictEqual(strict._tag, "Required")
    }), 60_000)
})

describe("TestServer.external", () => {
  it.live("finds out the product by asking, past contact points that do not answer", () =>
    Effect.gen(function*() {
      const port = yield* server(() => ({ CQL_VERSION: "3.4.7" }))
      // port 1: nobody listens there
      const found = yield* external({
        CQL_CONTACT_POINTS: `127.0.0.1:1, 127.0.0.1:${port}`,
        CQL_DATACENTER: "east",
        CQL_USERNAME: "u",
        CQL_PASSWORD: "p"
      })
      assert.deepStrictEqual(found.contactPoints, ["127.0.0.1:1", `127.0.0.1:${port}`])
      assert.strictEqual(found.product, "cassandra")
      assert.strictEqual(found.shardAware, false)
      assert.strictEqual(found.datacenter, "east")
      assert.deepStrictEqual(found.credentials, { username: "u", password: "p" })
      assert.strictEqual(found.faults._tag, "None")
    }))

  it.live("trusts the shard-aware port only where source ports arrive", () =>
    Effect.gen(function*() {
      const scylla = (shard: (clientPort: number) => number) => (clientPort: number, ownPort: number) => ({
        SCYLLA_NR_SHARDS: "5",
        SCYLLA_SHARD_AWARE_PORT: String(ownPort),
        SCYLLA_SHARD: String(shard(clientPort))
      })
      const direct = yield* server(scylla((clientPort) => clientPort % 5))
      const first = yield* external({ CQL_CONTACT_POINTS: `127.0.0.1:${direct}` })
      assert.deepStrictEqual([first.product, first.shardAware, first.datacenter], ["scylla", true, undefined])
      const translated = yield* server(scylla((clientPort) => (clientPort + 1) % 5))
      const second = yield* external({ CQL_CONTACT_POINTS: `127.0.0.1:${translated}` })
      assert.deepStrictEqual([second.product, second.shardAware], ["scylla", false])
    }))

  it.effect("waits for an answer by the real clock", () =>
    Effect.gen(function*() {
      const silent = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => socket.on("error", () => {}))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = silent.address() as Net.AddressInfo
      const error = yield* Effect.flip(NativePort.options({ address: "127.0.0.1", port }, 50))
      assert.include(error.message, "no answer within 0.05 seconds")
    }))

  it.live("says what is wrong with the environment", () =>
    Effect.gen(function*() {
      const why = (environment: Record<string, string>) =>
        Effect.map(Effect.flip(external(environment)), (error) => error.message)
      assert.include(yield* why({}), "CQL_CONTACT_POINTS is not set")
      assert.include(yield* why({ CQL_CONTACT_POINTS: "," }), "names nobody")
      assert.include(yield* why({ CQL_CONTACT_POINTS: "h:99999" }), "h:99999")
      assert.include(yield* why({ CQL_CONTACT_POINTS: "127.0.0.1:1" }), "127.0.0.1:1")
    }))
})

describe("a server behind mapped ports", () => {
  it.live("is reached where its ports are mapped to, by the address that it tells", () =>
    Effect.gen(function*() {
      const port = yield* server(() => ({ CQL_VERSION: "3.4.7" }))
      // TEST-NET-1 (RFC 5737): nobody is there.
      const mapping: MappedPorts.Mapping = {
        address: "192.0.2.1",
        ports: new Map([[9042, { address: "127.0.0.1", port }]])
      }
      const { dial } = MappedPorts.through(Transport.Transport.defaultValue(), mapping)
      // The port that it listens on, and the one that a client took for that of all nodes.
      for (const told of [9042, port]) {
        const socket = yield* Effect.acquireRelease(
          dial({ address: "192.0.2.1", port: told }),
          (socket) => Effect.sync(() => socket.destroy())
        )
        assert.strictEqual(socket.remoteAddress, "127.0.0.1")
      }
      for (const other of [{ address: "192.0.2.2", port: 9042 }, { address: "192.0.2.1", port: 1 }]) {
        assert.deepStrictEqual(MappedPorts.translate(mapping, other), other)
      }
    }))
})
