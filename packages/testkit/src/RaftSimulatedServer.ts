/**
 * The nodes of a {@link RaftSimulator} on real sockets, served by `@grpc/grpc-js`.
 *
 * @stability unstable
 * @since 0.1.0
 */
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials
} from "@grpc/grpc-js"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import type { RaftSimulator, Reply, SimulatedNode } from "./RaftSimulator.ts"

/**
 * How a node listens.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface ListenOptions {
  /** Default: one that is free. */
  /** Default: 127.0.0.1. */
  readonly host?: string
  readonly port?: number
  /** PEM of the node's certificate and key. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** How many streams it takes on a connection. Default: 100, as d-engine. */
  readonly maxStreams?: number
}

/**
 * A node that listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  readonly port: number
  /** Lets requests under way end and tells connections to go away, as a rolling restart does. */
  readonly shutDown: Effect.Effect<void>
}

const unary = [
  "/d_engine.client.RaftClientService/HandleClientWrite",
  "/d_engine.client.RaftClientService/HandleClientRead",
  "/d_engine.client.RaftClientService/HandleClientScan",
  "/d_engine.server.cluster.ClusterManagementService/GetClusterMetadata",
  "/d_engine.server.cluster.ClusterManagementService/DiscoverLeader"
]
const streaming = [
  "/d_engine.client.RaftClientService/Watch",
  "/d_engine.client.RaftClientService/WatchMembership"
]

const toBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes)
const identity = (bytes: Buffer): Buffer => bytes

const status = (reply: Exclude<Reply, "silence">) => {
  const metadata = new Metadata()
  if (!("details" in reply)) return { code: reply.code, metadata }
  for (const [name, value] of Object.entries(reply.headers ?? {})) metadata.set(name, value)
  return { code: reply.code, details: reply.details, metadata }
}

/**
 * Listens for a node, whose `address` it sets, until the scope closes or the node is killed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen = (
  cluster: RaftSimulator,
  node: SimulatedNode,
  options: ListenOptions = {}
): Effect.Effect<Listening, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = new Server({ "grpc.max_concurrent_streams": options.maxStreams ?? 100 })
      for (const path of unary) {
        const handler: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
          const reply = cluster.answer(node, path, call.request)
          if (reply === "silence") return
          if ("body" in reply) callback(null, toBuffer(reply.body))
          else callback(status(reply))
        }
        server.register(path, handler, identity, identity, "unary")
      }
      for (const path of streaming) {
        const handler: handleServerStreamingCall<Buffer, Buffer> = (call) => {
          const fail = (reply: Exclude<Reply, "silence">): void => {
            call.emit("error", status(reply))
          }
          const opened = cluster.stream(node, path, call.request, {
            send: (body) => void call.write(toBuffer(body)),
            end: fail
          })
          if (opened === "silence") return
          if (typeof opened !== "function") return fail(opened)
          call.sendMetadata(new Metadata())
          call.on("cancelled", opened)
        }
        server.register(path, handler, identity, identity, "serverStream")
      }
      const credentials = options.tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [{
          cert_chain: Buffer.from(options.tls.cert),
          private_key: Buffer.from(options.tls.key)
        }])
      const host = options.host ?? "127.0.0.1"
      const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync(`${host}:${options.port ?? 0}`, credentials, (error, port) => {
          if (error === null) resolve(port)
          else reject(error)
        })
      })
      node.address = `${host}:${port}`
      const down = (): void => server.forceShutdown()
      node.onDown.add(down)
      return { server, port, down }
    }),
    ({ down, server }) =>
      Effect.sync(() => {
        node.onDown.delete(down)
        server.forceShutdown()
      })
  ).pipe(Effect.map(({ port, server }) => ({
    port,
    shutDown: Effect.promise(() => new Promise<void>((resolve) => server.tryShutdown(() => resolve())))
  })))

/**
 * Listens for all nodes of a cluster.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listenAll = (
  cluster: RaftSimulator,
  options: ListenOptions = {}
): Effect.Effect<ReadonlyArray<Listening>, never, Scope.Scope> =>
  Effect.forEach(cluster.nodes, (node) => listen(cluster, node, options))
