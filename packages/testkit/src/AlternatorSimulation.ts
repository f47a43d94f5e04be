/**
 * Alternator nodes in memory, as a transport: datacenters and racks, `/localnodes`, and every way to fail. Delays are those
 * of the current clock, so `TestClock` drives them.
 *
 * @stability unstable
 * @since 0.1.0
 */
import { AlternatorTransport } from "@effect-scylla/alternator/AlternatorTransport"
import type { ExchangeHandler, ExchangeRequest } from "@effect-scylla/alternator/Exchange"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

/**
 * How a node is at the moment.
 *
 * - `up`: it answers.
 * - `refusing`: connections are refused.
 * - `silent`: it takes requests and never answers.
 * - `resetting`: it closes the connection when the request is there.
 * - `failing`: status 500 to operations; `/localnodes` and probes work.
 *
 * @category models
 * @since 0.1.0
 */
export type Condition = "up" | "refusing" | "silent" | "resetting" | "failing"

/**
 * What a node answers with, byte for byte.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedAnswer {
  readonly status: number
  readonly body: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * A node; its fields may be changed at any time.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedNode {
  readonly host: string
  readonly datacenter: string
  readonly rack: string
  condition: Condition
  /** Until it answers. */
  delay: Duration.Input
  /** What it filters its list by: servers before 2025.1 by nothing, those before 2025.3 not by rack. */
  filters: ReadonlyArray<"dc" | "rack">
  /** Whether the others list it. */
  isListed: boolean
  /** Answers `/localnodes` with this. */
  localNodes: SimulatedAnswer | undefined
  /** Requests that reached it. */
  readonly requests: { localNodes: number; health: number; operations: number }
}

/**
 * An operation as a node gets it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedOperation {
  readonly node: SimulatedNode
  /** `GetItem` for example. */
  readonly operation: string
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The nodes, what they have seen, and the transport that reaches them.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorSimulation {
  readonly nodes: ReadonlyArray<SimulatedNode>
  readonly node: (host: string) => SimulatedNode
  /** Adds a node. */
  readonly add: (node: { readonly host: string; readonly datacenter?: string; readonly rack?: string }) => SimulatedNode
  /** Requests to hosts that are no node of this cluster. */
  readonly strangers: ReadonlyArray<string>
  /** Exchanges that neither ended nor were given up. */
  readonly underWay: () => number
  /** URLs whose connections were closed because their node left. */
  readonly retired: ReadonlyArray<string>
  readonly layer: Layer.Layer<AlternatorTransport>
}

interface Options {
  readonly nodes: ReadonlyArray<{ readonly host: string; readonly datacenter?: string; readonly rack?: string }>
  /** Answers operations. Default: `{}`, as to a PutItem. */
  readonly handle?: ((operation: SimulatedOperation) => SimulatedAnswer) | undefined
}

const bytes = (body: string | Uint8Array): Uint8Array =>
  typeof body === "string" ? new TextEncoder().encode(body) : body

/**
 * A cluster whose nodes are up and list one another.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): AlternatorSimulation => {
  const nodes: Array<SimulatedNode> = []
  const strangers: Array<string> = []
  const retired: Array<string> = []
  let underWay = 0
  const add: AlternatorSimulation["add"] = ({ datacenter = "dc1", host, rack = "r1" }) => {
    const node: SimulatedNode = {
      host,
      datacenter,
      rack,
      condition: "up",
      delay: 0,
      filters: ["dc", "rack"],
      isListed: true,
      localNodes: undefined,
      requests: { localNodes: 0, health: 0, operations: 0 }
    }
    nodes.push(node)
    return node
  }
  for (const node of options.nodes) add(node)

  const list = (node: SimulatedNode, query: URLSearchParams): SimulatedAnswer => {
    if (node.localNodes !== undefined) return node.localNodes
    const rack = node.filters.includes("rack") ? query.get("rack") : null
    const datacenter = (node.filters.includes("dc") ? query.get("dc") : null) ?? node.datacenter
    const hosts = nodes
      .filter((other) => other.isListed && other.datacenter === datacenter && (rack === null || other.rack === rack))
      .map(({ host }) => host)
    return { status: 200, body: JSON.stringify(hosts) }
  }

  const answer = (node: SimulatedNode, request: ExchangeRequest): SimulatedAnswer => {
    const url = new URL(request.path, request.node.url)
    if (request.method === "GET" && url.pathname === "/localnodes") {
      node.requests.localNodes++
      return list(node, url.searchParams)
    }
    if (request.method === "GET") {
      node.requests.health++
      return { status: 200, body: `healthy: ${request.node.hostHeader}` }
    }
    node.requests.operations++
    if (node.condition === "failing") {
      return {
        status: 500,
        body: JSON.stringify({
          __type: "com.amazonaws.dynamodb.v20120810#InternalServerError",
          message: "Internal server error: exceptions::unavailable_exception (Cannot achieve consistency level)"
        })
      }
    }
    const headers: Record<string, string> = {}
    for (let i = 0; i < request.headers.length; i += 2) headers[request.headers[i]!] = request.headers[i + 1]!
    const operation = (headers["x-amz-target"] ?? "").split(".")[1] ?? ""
    return options.handle?.({ node, operation, body: bytes(request.body ?? ""), headers }) ??
      { status: 200, body: "{}" }
  }

  const exchange = (request: ExchangeRequest, handler: ExchangeHandler): Effect.Effect<void> =>
    Effect.suspend(() => {
      const node = nodes.find(({ host }) => host === request.node.host)
      const failure = (kind: "unreachable" | "lost", sent: boolean, message: string) =>
        handler.onFailure({ kind, sent, message, cause: undefined })
      if (node === undefined) {
        strangers.push(request.node.url)
        failure("unreachable", false, "ENOTFOUND")
        return Effect.void
      }
      if (node.condition === "refusing") {
        failure("unreachable", false, "ECONNREFUSED")
        return Effect.void
      }
      if (node.condition === "silent") return Effect.never
      return Effect.andThen(
        Duration.isZero(Duration.fromInputUnsafe(node.delay)) ? Effect.void : Effect.sleep(node.delay),
        Effect.sync(() => {
          if (node.condition === "resetting") {
            answer(node, request)
            return failure("lost", true, "ECONNRESET")
          }
          const { body, headers = {}, status } = answer(node, request)
          const content = bytes(body)
          if (content.length > request.maxBody) {
            return handler.onFailure({ kind: "oversized", sent: true, message: "too large a body", cause: undefined })
          }
          handler.onAnswer(status, headers, content)
        })
      )
    })

  const layer = Layer.effect(
    AlternatorTransport,
    Effect.gen(function*() {
      const fork = Effect.runForkWith(yield* Effect.context<never>())
      return AlternatorTransport.of({
        dispatch: (request, handler) => {
          let isOver = false
          underWay++
          const end = () => {
            if (isOver) return false
            isOver = true
            underWay--
            return true
          }
          // Never on the stack of whoever asks, as with sockets.
          const fiber = fork(Effect.andThen(
            Effect.yieldNow,
            exchange(request, {
              onAnswer: (status, headers, body) => {
                if (end()) handler.onAnswer(status, headers, body)
              },
              onFailure: (failure) => {
                if (end()) handler.onFailure(failure)
              }
            })
          ))
          return {
            get sent() {
              return nodes.find(({ host }) => host === request.node.host)?.condition !== "refusing"
            },
            abort: () => {
              if (end()) fork(Fiber.interrupt(fiber))
            }
          }
        },
        retire: (node) => {
          retired.push(node.url)
        },
        connections: () => new Map()
      })
    })
  )

  return {
    nodes,
    node: (host) => {
      const node = nodes.find((node) => node.host === host)
      if (node === undefined) throw new Error(`there is no node ${host}`)
      return node
    },
    add,
    strangers,
    underWay: () => underWay,
    retired,
    layer
  }
}
