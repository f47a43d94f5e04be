import {
  AlternatorClient,
  AlternatorNodes,
  AlternatorTransport,
  Auth,
  type Exchange,
  NodeAddress
} from "@effect-scylla/alternator"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { createServer, type ServerOptions } from "node:https"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import { lacking } from "../src/internal/undici.ts"
import { ofLean } from "./support/clients.ts"
import { operations } from "./support/suite.ts"

const store = () => Promise.resolve({ status: 200, body: "{}" })
const key = { TableName: "t", Key: { pk: "a" } }

/** Polls, with a deadline. */
const until = (condition: () => boolean, what: string) =>
  Effect.gen(function*() {
    for (let i = 0; !condition(); i++) {
      assert.isBelow(i, 2000, what)
      yield* Effect.sleep("5 millis")
    }
  })

const open = (options: AlternatorClient.Options) =>
  Effect.map(Layer.build(AlternatorClient.layer(options)), (services) => ({
    client: Context.get(services, AlternatorClient.AlternatorClient),
    transport: Context.get(services, AlternatorTransport.AlternatorTransport)
  }))

/** A TLS node that lists itself. Closed with the scope. */
const tlsNode = (options: ServerOptions, onRequest: (request: IncomingMessage) => void) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(options, (request, response) => {
        onRequest(request)
        response.end(request.url === "/localnodes" ? '["127.0.0.1"]' : "{}")
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )

/** Self-signed, until 2081: a node on 127.0.0.1, a client, and a client that nobody knows. */
const certificate = (name: "server" | "client" | "stranger") => {
  const read = (part: string) => readFileSync(new URL(`./fixtures/${name}-${part}.pem`, import.meta.url), "utf8")
  return { key: read("key"), cert: read("cert") }
}

describe("AlternatorTransport", () => {
  it.live("R7, R11, R12: discovery has one connection to a node, operations their own, and all of them arrive", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ store })
      const { client } = yield* open({
        seeds: cluster.seeds,
        activeInterval: "10 millis",
        idleInterval: "10 millis",
        balancing: "round-robin",
        transport: { connections: 2 }
      })
      yield* client.nodes.awaitReady
      for (let i = 0; i < 30; i++) yield* client.getItem(key)
      yield* until(() => cluster.nodes.every(({ requests }) => requests.localNodes > 2), "each node is asked")
      assert.deepStrictEqual(cluster.nodes.map(({ requests }) => requests.operations), [10, 10, 10])
      for (const { connections } of cluster.nodes) assert.strictEqual(connections.made, 2)
      yield* Effect.all(Array.from({ length: 60 }, () => client.getItem(key)), { concurrency: "unbounded" })
      for (const { connections } of cluster.nodes) assert.isAtMost(connections.made, 3)
      assert.strictEqual(cluster.nodes.reduce((sum, { requests }) => sum + requests.operations, 0), 90)
    }))

  it.live("R25: a request that fails with a status leaves its connection to the next", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({
        nodes: [{ address: "127.0.0.1" }],
        store: () => Promise.resolve({ status: 400, body: '{"__type":"x#ValidationException","message":"no"}' })
      })
      const { client } = yield* open({ seeds: cluster.seeds, maxAttempts: 1 })
      for (let i = 0; i < 20; i++) yield* Effect.flip(client.getItem(key))
      yield* cluster.nodes[0]!.become("failing")
      for (let i = 0; i < 20; i++) yield* Effect.flip(client.getItem(key))
      assert.strictEqual(cluster.nodes[0]!.connections.made, 2)
    }))

  it.live("when a node leaves, its requests end and its connections are closed; others stay", () =>
    Effect.gen(function*() {
      let answer = () => {}
      const wait = new Promise<void>((resolve) => {
        answer = resolve
      })
      const cluster = yield* AlternatorCluster.make({
        store: (operation) =>
          operation === "Scan" ? wait.then(() => ({ status: 200, body: '{"Count":7,"ScannedCount":7}' })) : store()
      })
      const { client, transport } = yield* open({
        seeds: cluster.seeds,
        activeInterval: "20 millis",
        balancing: "round-robin"
      })
      yield* client.nodes.awaitReady
      for (let i = 0; i < 9; i++) yield* client.getItem(key)
      const counts = cluster.nodes.map(({ requests }) => requests.operations)
      const scanning = Effect.runPromise(client.scan({ TableName: "t" }))
      yield* until(() => cluster.nodes.some(({ requests }, i) => requests.operations > counts[i]!), "the scan arrives")
      const index = cluster.nodes.findIndex(({ requests }, i) => requests.operations > counts[i]!)
      const node = cluster.nodes[index]!
      yield* node.list(false)
      client.nodes.touch()
      yield* client.nodes.awaitNodes(({ nodes }) => nodes.length === 2)
      assert.isAbove(node.connections.open, 0, "the scan is under way")
      answer()
      assert.strictEqual((yield* Effect.promise(() => scanning)).Count, 7)
      // The seed is still asked, on its one connection of discovery.
      const rest = index === 0 ? 1 : 0
      yield* until(() => node.connections.open <= rest, "its connections are closed")
      assert.isAtMost(transport.connections().size, 3)
      yield* node.list(true)
      client.nodes.touch()
      yield* client.nodes.awaitNodes(({ nodes }) => nodes.length === 3)
    }))

  it.live("closing leaves no connection, in nodes' eyes either, over many changes of the cluster", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ store })
      const scope = yield* Scope.make()
      const { client } = yield* Scope.provide(open({ seeds: cluster.seeds, activeInterval: "10 millis" }), scope)
      yield* client.nodes.awaitReady
      for (let i = 0; i < 10; i++) {
        const node = cluster.nodes[1 + i % 2]!
        yield* node.list(i % 3 !== 0)
        yield* client.nodes.refresh
        yield* Effect.all(Array.from({ length: 20 }, () => client.getItem(key)), { concurrency: "unbounded" })
      }
      yield* Scope.close(scope, Exit.void)
      yield* until(() => cluster.nodes.every(({ connections }) => connections.open === 0), "all are closed")
      const error = yield* Effect.flip(client.getItem(key))
      assert.strictEqual(error.reason._tag, "Closed")
      assert.strictEqual(error.outcome, "NotSent")
    }))

  it.live("requests that wait for a connection to a node that dies fail one by one, and the process lives", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ nodes: [{ address: "127.0.0.1" }], store })
      const { client } = yield* open({
        seeds: cluster.seeds,
        maxAttempts: 1,
        health: false,
        transport: { connections: 2 }
      })
      yield* client.nodes.awaitReady
      yield* client.nodes.shutdown
      yield* cluster.nodes[0]!.become("dead")
      const errors = yield* Effect.all(
        Array.from({ length: 50 }, () => Effect.flip(client.updateItem({ ...key, UpdateExpression: "ADD n :n" }))),
        { concurrency: "unbounded" }
      )
      for (const { outcome, reason } of errors) {
        assert.strictEqual(outcome, "NotSent")
        assert.strictEqual(reason._tag, "NodeUnreachable")
      }
      yield* cluster.nodes[0]!.become("up")
      yield* Effect.all(Array.from({ length: 50 }, () => client.getItem(key)), { concurrency: "unbounded" })
    }))

  it.live("D8: IPv6 nodes are reached", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ nodes: [{ address: "::1" }], store, secrets: { a: "b" } })
      const { client } = yield* open({ seeds: cluster.seeds })
      yield* client.nodes.awaitReady
      const error = yield* Effect.flip(client.getItem(key))
      assert.strictEqual(error.reason._tag, "AccessRefused", "it arrived, with the right host")
      assert.strictEqual(client.nodes.current().nodes[0]!.url, `http://[::1]:${cluster.port}`)
    }))

  it.live("any HttpClient will do", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const services = yield* Layer.build(
        AlternatorClient.layerClient().pipe(
          Layer.provideMerge(AlternatorNodes.layer({ seeds: cluster.seeds })),
          Layer.provide(AlternatorTransport.layerHttpClient),
          Layer.provide(FetchHttpClient.layer)
        )
      )
      const client = Context.get(services, AlternatorClient.AlternatorClient)
      yield* Effect.promise(() => operations(ofLean(client), "fetched"))
      yield* client.nodes.shutdown
      for (const node of cluster.nodes) yield* node.become("dead")
      const error = yield* Effect.flip(client.getItem(key, { deadline: "1 seconds" }))
      assert.strictEqual(error.reason._tag, "NodeUnreachable")
      // Before that, connections that were kept ended.
      assert.strictEqual(error.attempts.at(-1)!.outcome, "NotSent")
    }))

  it.live("TLS is verified unless told otherwise, and what is configured serves discovery too", () =>
    Effect.gen(function*() {
      let asked = 0
      const own = certificate("server")
      const shown = new Set<string>()
      const server = yield* tlsNode({ ...own, requestCert: true, rejectUnauthorized: false }, (request) => {
        const { subject } = (request.socket as TLSSocket).getPeerCertificate()
        if (subject?.CN !== undefined) shown.add(`${request.method} ${subject.CN}`)
        if (request.url === "/localnodes") asked++
      })
      const seeds = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
      const strict = yield* open({ seeds })
      const error = yield* Effect.flip(strict.client.getItem(key, { deadline: "1 seconds" }))
      assert.strictEqual(error.reason._tag, "NodeUnreachable")
      assert.strictEqual(error.outcome, "NotSent")
      assert.strictEqual(asked, 0)
      yield* strict.client.nodes.shutdown

      const lax = yield* open({ seeds, transport: { tls: { rejectUnauthorized: false } } })
      yield* lax.client.getItem(key)
      assert.isTrue(lax.client.nodes.current().isDiscovered)
      yield* lax.client.nodes.shutdown

      assert.strictEqual(shown.size, 0)
      const known = yield* open({
        seeds,
        auth: Auth.clientCertificate,
        transport: { tls: { ...certificate("client"), rejectUnauthorized: false } }
      })
      yield* known.client.getItem(key)
      assert.deepStrictEqual(Array.from(shown).toSorted(), ["GET ours", "POST ours"])
      yield* known.client.nodes.shutdown

      // What a function gives is asked at each dial.
      let dials = 0
      const renewed = yield* open({
        seeds,
        transport: {
          tls: () => {
            dials++
            return { rejectUnauthorized: false }
          }
        }
      })
      yield* renewed.client.getItem(key)
      assert.isAtLeast(dials, 2)
    }))

  it.live("mTLS: a node that enforces client certificates takes ours, for discovery too, and nothing without", () =>
    Effect.gen(function*() {
      const [own, ours] = [certificate("server"), certificate("client")]
      const seen: Array<string> = []
      const server = yield* tlsNode(
        { ...own, ca: ours.cert, requestCert: true, rejectUnauthorized: true },
        ({ method, socket }) => seen.push(`${method} ${(socket as TLSSocket).getPeerCertificate().subject.CN}`)
      )
      const seeds = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
      // The node's own certificate is verified here, by the address it is listed by.
      const connect = (tls: AlternatorTransport.TlsOptions) =>
        open({ seeds, auth: Auth.clientCertificate, transport: { tls: { ca: own.cert, ...tls } } })

      for (const tls of [{}, certificate("stranger")]) {
        const { client } = yield* connect(tls)
        const error = yield* Effect.flip(client.getItem(key, { deadline: "1 seconds" }))
        assert.include(["ConnectionLost", "NodeUnreachable"], error.reason._tag)
        assert.isFalse(client.nodes.current().isDiscovered)
        yield* client.nodes.shutdown
      }
      assert.deepStrictEqual(seen, [])

      const { client } = yield* connect(ours)
      yield* client.getItem(key)
      assert.isTrue(client.nodes.current().isDiscovered)
      assert.deepStrictEqual(new Set(seen), new Set(["GET ours", "POST ours"]))
    }))

  it.live("dials wait for the gate that is given", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make({ store })
      let open_ = 0
      let most = 0
      let total = 0
      const { client } = yield* open({
        seeds: cluster.seeds,
        transport: {
          dialGate: (address, dial) =>
            Effect.suspend(() => {
              total++
              assert.match(address, /^127\.0\.0\.[123]:\d+$/)
              most = Math.max(most, ++open_)
              return Effect.ensuring(
                dial,
                Effect.sync(() => {
                  open_--
                })
              )
            })
        }
      })
      yield* Effect.all(Array.from({ length: 30 }, () => client.getItem(key)), { concurrency: "unbounded" })
      assert.isAbove(total, 3)
      assert.isAbove(most, 0)
      yield* until(() => open_ === 0, "every dial gives its place back")
    }))

  it.effect("wrong options are named", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.scoped(
          AlternatorTransport.makeUndici({
            connections: 0,
            cachedSessions: -1,
            idleTimeout: 0,
            connectTimeout: "soon" as never,
            shutdownTimeout: -1
          })
        )
      )
      assert.strictEqual(error.reason._tag, "ConfigInvalid")
      if (error.reason._tag !== "ConfigInvalid") return
      assert.deepStrictEqual(error.reason.issues.map(({ field }) => field), [
        "connections",
        "connectTimeout",
        "idleTimeout",
        "cachedSessions",
        "shutdownTimeout"
      ])
    }))

  it.effect("what never got a connection is NotSent, costs no attempt, and says nothing of the node", () =>
    Effect.gen(function*() {
      let given = 0
      const transport: AlternatorTransport.AlternatorTransport = {
        dispatch: (request: Exchange.ExchangeRequest, handler: Exchange.ExchangeHandler) => {
          if (request.method === "GET") handler.onAnswer(200, {}, Buffer.from('["10.0.0.1","10.0.0.2"]'))
          else given++
          return { sent: false, abort: () => {} }
        },
        retire: () => {},
        connections: () => new Map()
      }
      const layer = AlternatorClient.layerClient({ maxAttempts: 2 }).pipe(
        Layer.provideMerge(AlternatorNodes.layer({ seeds: "10.0.0.1" })),
        Layer.provide(Layer.succeed(AlternatorTransport.AlternatorTransport, transport))
      )
      const services = yield* Layer.build(layer)
      const client = Context.get(services, AlternatorClient.AlternatorClient)
      yield* client.nodes.awaitReady
      const requests = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 20 }, () => Effect.flip(client.getItem(key))), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("13 seconds")
      for (const error of yield* Fiber.join(requests)) {
        assert.strictEqual(error.outcome, "NotSent")
        assert.strictEqual(error.reason._tag, "DeadlineExceeded")
        assert.isAbove(error.attempts.length, 2)
      }
      assert.isAbove(given, 40)
      assert.deepStrictEqual(client.nodes.current().nodes.map(({ isEjected }) => isEjected), [false, false])
      assert.strictEqual(NodeAddress.make("http", "10.0.0.1", 8000).url, client.nodes.current().nodes[0]!.url)
    }))

  it("what something else in undici's place lacks is named", () => {
    assert.isUndefined(lacking())
    for (const client of [null, {}, () => {}, Date]) assert.strictEqual(lacking(client), "Client.dispatch")
    assert.strictEqual(lacking({ prototype: { dispatch: () => {} } }, {}), "buildConnector")
  })
})
