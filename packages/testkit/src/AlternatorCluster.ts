/**
 * A cluster of Alternator nodes on loopback sockets, over one store: datacenters and racks, `/localnodes`, health, SigV4 as
 * a server that enforces it, compression both ways; nodes can be killed, hung and started again.
 *
 * The store is dynalite, in this process and in memory, unless another is given. It answers correctly and slowly.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib"
import * as DynaliteStore from "./internal/dynaliteStore.ts"
import { verify } from "./internal/sigV4Verifier.ts"
import { type PortsError, reservePorts } from "./Ports.ts"

/**
 * What the nodes are, and what they ask of clients. All have defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClusterOptions {
  /** Default: three nodes on 127.0.0.1 to 127.0.0.3, in rack r1, r2 and r3 of dc1. */
  readonly nodes?:
    | ReadonlyArray<{
      readonly address: string
      readonly datacenter?: string | undefined
      readonly rack?: string | undefined
    }>
    | undefined
  /** Enforces signatures: secrets by user. Default: none is looked at. */
  readonly secrets?: Readonly<Record<string, string>> | undefined
  /** How far the nodes' clocks are ahead, or behind when negative, in milliseconds. Default: 0. */
  readonly clockSkew?: number | undefined
  /** What nodes filter their lists by. Default: both. */
  readonly filters?: ReadonlyArray<"dc" | "rack"> | undefined
  /** Bytes from which on an answer is compressed, if the client takes that. Default: 4096. */
  readonly compressionThreshold?: number | undefined
  /** Answers operations instead of dynalite. */
  readonly store?: DynaliteStore.Store | undefined
}

/**
 * - `up`: answers.
 * - `hanging`: takes requests and does not answer.
 * - `failing`: status 500 to operations.
 * - `dead`: nobody listens.
 *
 * @category models
 * @since 0.1.0
 */
export type Condition = "up" | "hanging" | "failing" | "dead"

/** An operation that a node received. @category models @since 0.1.0 */
export interface Received {
  readonly operation: string
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  /** As it arrived. */
  readonly bytes: number
}

/**
 * A node: who it is, what it has received, and how to change what it does.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClusterNode {
  readonly address: string
  readonly datacenter: string
  readonly rack: string
  readonly condition: Condition
  /** Connections that were made, and that are open. */
  readonly connections: { readonly made: number; readonly open: number }
  readonly requests: { readonly localNodes: number; readonly health: number; readonly operations: number }
  /** The last 1,000. */
  readonly received: ReadonlyArray<Received>
  /** Changes how it behaves; `dead` closes its sockets. */
  readonly become: (condition: Condition) => Effect.Effect<void, AlternatorClusterError>
  /** Whether it is listed. One that dies still is, as in a cluster that has not noticed yet. */
  readonly list: (isListed: boolean) => Effect.Effect<void>
}

/**
 * Nodes on one port of several loopback addresses, which share one store.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorCluster {
  readonly port: number
  readonly nodes: ReadonlyArray<ClusterNode>
  /** `address:port` of the first node. */
  readonly seeds: ReadonlyArray<string>
}

/** A node cannot listen: its address is not this machine's, or the port is taken. @category errors @since 0.1.0 */
export class AlternatorClusterError extends Data.TaggedError("AlternatorClusterError")<{
  readonly message: string
  readonly cause: unknown
}> {}

const prefix = "com.amazonaws.dynamodb.v20120810#"
const JSON_TYPE = "application/x-amz-json-1.0"

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

const refusal = (status: number, type: string, message: string): Answer => ({
  status,
  type: JSON_TYPE,
  body: JSON.stringify({ __type: prefix + type, message })
})

const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

class Node implements ClusterNode {
  condition: Condition = "dead"
  isListed = true
  readonly connections = { made: 0, open: 0 }
  readonly requests = { localNodes: 0, health: 0, operations: 0 }
  readonly received: Array<Received> = []
  private server: Server | undefined
  private readonly sockets = new Set<Socket>()
  readonly address: string
  readonly datacenter: string
  readonly rack: string
  private readonly cluster: Cluster

  constructor(cluster: Cluster, address: string, datacenter: string, rack: string) {
    this.cluster = cluster
    this.address = address
    this.datacenter = datacenter
    this.rack = rack
  }

  readonly list = (isListed: boolean): Effect.Effect<void> =>
    Effect.sync(() => {
      this.isListed = isListed
    })

  readonly become = (condition: Condition): Effect.Effect<void, AlternatorClusterError> =>
    Effect.suspend(() => {
      const was = this.condition
      this.condition = condition
      if (condition === "dead") return this.stop
      return was === "dead" ? this.start : Effect.void
    })

  private get start(): Effect.Effect<void, AlternatorClusterError> {
    return Effect.callback((resume) => {
      const server = createServer((request, response) => {
        this.serve(request, response).catch(() => response.destroy())
      })
      server.keepAliveTimeout = 0
      server.on("connection", (socket) => {
        this.connections.made++
        this.connections.open++
        this.sockets.add(socket)
        socket.on("close", () => {
          this.connections.open--
          this.sockets.delete(socket)
        })
      })
      server.once("error", (cause) =>
        resume(
          Effect.fail(
            new AlternatorClusterError({
              cause,
              message: `cannot listen on ${this.address}:${this.cluster.port}: ${cause.message}`
            })
          )
        ))
      server.listen({ host: this.address, port: this.cluster.port }, () => {
        this.server = server
        resume(Effect.void)
      })
    })
  }

  get stop(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const { server } = this
      this.condition = "dead"
      this.server = undefined
      if (server === undefined) return resume(Effect.void)
      server.close(() => resume(Effect.void))
      for (const socket of this.sockets) socket.destroy()
    })
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    const url = new URL(request.url ?? "/", "http://node")
    if (request.method === "GET" && url.pathname === "/localnodes") this.requests.localNodes++
    else if (request.method === "GET") this.requests.health++
    else this.requests.operations++
    if (this.condition === "hanging") return
    const answer = request.method === "GET" ? this.get(url, request) : await this.post(request, body)
    this.send(request, response, answer)
  }

  private get(url: URL, request: IncomingMessage): Answer {
    if (url.pathname === "/") return { status: 200, type: "text/plain", body: `healthy: ${request.headers.host}` }
    if (url.pathname !== "/localnodes") {
      return { status: 404, type: "application/json", body: '{"message": "Not found", "code": 404}' }
    }
    const { filters, nodes } = this.cluster
    const datacenter = (filters.includes("dc") ? url.searchParams.get("dc") : null) ?? this.datacenter
    const rack = filters.includes("rack") ? url.searchParams.get("rack") : null
    const hosts = nodes
      .filter((node) => node.isListed && node.datacenter === datacenter)
      .filter((node) => rack === null || node.rack === rack)
      .map((node) => node.address)
    return { status: 200, type: "application/json", body: JSON.stringify(hosts) }
  }

  private async post(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const { headers } = request
    const operation = String(headers["x-amz-target"] ?? "").split(".")[1] ?? ""
    if (this.received.length === 1000) this.received.shift()
    this.received.push({ operation, headers: { ...headers }, bytes: body.length })
    if (this.condition === "failing") {
      return refusal(500, "InternalServerError", "Internal server error: exceptions::unavailable_exception")
    }
    const own = this.address.includes(":") ? `[${this.address}]` : this.address
    if (headers.host !== `${own}:${this.cluster.port}`) {
      return refusal(400, "ValidationException", `the host ${headers.host} is not ${own}:${this.cluster.port}`)
    }
    if (this.cluster.secrets !== undefined) {
      const refused = verify(headers, body, this.cluster.secrets, this.cluster.now())
      if (refused !== undefined) return refusal(400, refused.type, refused.message)
    }
    let text: string
    try {
      const encoding = headers["content-encoding"]
      if (encoding === undefined) text = body.toString("utf8")
      else if (encoding === "gzip") text = gunzipSync(body).toString("utf8")
      else if (encoding === "deflate") text = inflateSync(body).toString("utf8")
      else return refusal(500, "InternalServerError", "Unsupported Content-Encoding")
    } catch {
      return refusal(400, "ValidationException", "the body cannot be unpacked")
    }
    const { body: answer, status } = await this.cluster.store(operation, text)
    return { status, type: JSON_TYPE, body: answer }
  }

  private send(request: IncomingMessage, response: ServerResponse, { body, status, type }: Answer): void {
    const accepted = String(request.headers["accept-encoding"] ?? "")
    let bytes = Buffer.from(body)
    response.setHeader("Content-Type", type)
    response.setHeader("Date", new Date(this.cluster.now()).toUTCString())
    if (bytes.length >= this.cluster.threshold && /gzip|deflate/.test(accepted)) {
      const encoding = accepted.includes("gzip") ? "gzip" : "deflate"
      bytes = encoding === "gzip" ? gzipSync(bytes) : deflateSync(bytes)
      response.setHeader("Content-Encoding", encoding)
    }
    response.statusCode = status
    response.setHeader("Content-Length", bytes.length)
    response.end(bytes)
  }
}

interface Cluster {
  readonly port: number
  readonly nodes: Array<Node>
  readonly secrets: Readonly<Record<string, string>> | undefined
  readonly filters: ReadonlyArray<"dc" | "rack">
  readonly threshold: number
  readonly store: DynaliteStore.Store
  readonly now: () => number
}

const three = [1, 2, 3].map((n) => ({ address: `127.0.0.${n}`, datacenter: "dc1", rack: `r${n}` }))

/**
 * Starts a cluster; all of it ends with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: ClusterOptions = {}
): Effect.Effect<
  AlternatorCluster,
  AlternatorClusterError | PortsError | DynaliteStore.DynaliteMissing,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const wanted = options.nodes ?? three
    const [port] = yield* reservePorts({ addresses: wanted.map(({ address }) => address) })
    const clock = yield* Clock.Clock
    const cluster: Cluster = {
      port: port!,
      nodes: [],
      secrets: options.secrets,
      filters: options.filters ?? ["dc", "rack"],
      threshold: options.compressionThreshold ?? 4096,
      store: options.store ?? (yield* DynaliteStore.make),
      now: () => clock.currentTimeMillisUnsafe() + (options.clockSkew ?? 0)
    }
    for (const { address, datacenter = "dc1", rack = "r1" } of wanted) {
      const node = new Node(cluster, address, datacenter, rack)
      cluster.nodes.push(node)
      yield* Effect.acquireRelease(node.become("up"), () => node.stop)
    }
    const [first] = cluster.nodes
    return {
      port: cluster.port,
      nodes: cluster.nodes,
      seeds: [first!.address.includes(":") ? `[${first!.address}]:${port}` : `${first!.address}:${port}`]
    }
  })
