/** `GET /localnodes` of one node: its answer, checked; and what the node understands. */
import * as Effect from "effect/Effect"
import type { AlternatorTransport } from "../AlternatorTransport.ts"
import type { ExchangeFailure } from "../Exchange.ts"
import { type AlternatorNode, parseListed } from "../NodeAddress.ts"
import { decompress } from "./compression.ts"

/** An answer, or why there is none. */
export type Answer =
  | { readonly _tag: "Hosts"; readonly hosts: ReadonlyArray<string>; readonly dropped: ReadonlyArray<string> }
  | { readonly _tag: "Failed"; readonly message: string }

export interface Limits {
  readonly maxNodes: number
  readonly maxBody: number
}

const failed = (message: string): Answer => ({ _tag: "Failed", message })

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** The list in a body. Entries that are no address are left out; a list of nothing else is no answer. */
export const parse = (text: string, maxNodes: number): Answer => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return failed(`its list of nodes is not JSON: ${show(text)}`)
  }
  if (!Array.isArray(value)) return failed(`its list of nodes is not an array: ${show(value)}`)
  if (value.length > maxNodes) return failed(`it lists ${value.length} nodes, more than ${maxNodes}`)
  const hosts = new Set<string>()
  const dropped: Array<string> = []
  for (const entry of value) {
    const host = parseListed(entry)
    if (host === undefined) dropped.push(show(entry))
    else hosts.add(host)
  }
  if (hosts.size === 0 && dropped.length > 0) return failed(`it lists no address: ${dropped.slice(0, 3).join(", ")}`)
  return { _tag: "Hosts", hosts: Array.from(hosts), dropped }
}

interface Got {
  readonly status: number
  readonly encoding: string | undefined
  readonly body: Uint8Array
}

/** A GET without credentials; interrupting it gives the request up. */
export const get = (
  transport: AlternatorTransport,
  node: AlternatorNode,
  path: string,
  maxBody: number
): Effect.Effect<Got, ExchangeFailure> =>
  Effect.callback<Got, ExchangeFailure>((resume) => {
    const exchange = transport.dispatch(
      { node, method: "GET", path, headers: ["host", node.hostHeader], body: undefined, lane: "control", maxBody },
      {
        onAnswer: (status, headers, body) => {
          const encoding = headers["content-encoding"]
          resume(Effect.succeed({ status, encoding: encoding === undefined ? undefined : String(encoding), body }))
        },
        onFailure: (failure) => resume(Effect.fail(failure))
      }
    )
    return Effect.sync(exchange.abort)
  })

/** Asks a node for a datacenter and rack by name, or for its own datacenter. */
export const ask = (
  transport: AlternatorTransport,
  node: AlternatorNode,
  query: string,
  limits: Limits
): Effect.Effect<Answer> =>
  get(transport, node, `/localnodes${query}`, limits.maxBody).pipe(
    Effect.flatMap(({ body, encoding, status }) => {
      if (status !== 200) return Effect.succeed(failed(`it answers /localnodes with status ${status}`))
      if (encoding === undefined) return Effect.succeed(parse(Buffer.from(body).toString("utf8"), limits.maxNodes))
      return decompress(body, encoding, { maxBytes: limits.maxBody, maxLayers: 5 }).pipe(
        Effect.match({
          onSuccess: (plain) => parse(Buffer.from(plain).toString("utf8"), limits.maxNodes),
          onFailure: (error) => failed(error.message)
        })
      )
    }),
    Effect.catch((failure: ExchangeFailure) => Effect.succeed(failed(failure.message)))
  )

/** `?dc=…&rack=…`. */
export const queryOf = (datacenter: string | undefined, rack?: string): string => {
  const parts: Array<string> = []
  if (datacenter !== undefined) parts.push(`dc=${encodeURIComponent(datacenter)}`)
  if (rack !== undefined) parts.push(`rack=${encodeURIComponent(rack)}`)
  return parts.length === 0 ? "" : `?${parts.join("&")}`
}

/** A name that no datacenter and no rack has: who knows the parameter answers with an empty list. */
const NOBODY = "effect-scylla-none"

/**
 * What a node filters its list by. Servers before 2025.1 ignore both parameters, those before 2025.3 ignore `rack`; an
 * answer of such a node is the list of its own datacenter, whatever was asked.
 */
export type Filter = "dc" | "rack"

export const supports = (
  transport: AlternatorTransport,
  node: AlternatorNode,
  filter: Filter,
  limits: Limits
): Effect.Effect<boolean | undefined> =>
  Effect.map(
    ask(transport, node, filter === "dc" ? queryOf(NOBODY) : queryOf(undefined, NOBODY), limits),
    (answer) => answer._tag === "Failed" ? undefined : answer.hosts.length === 0
  )

/** Whether the node says that it is well: `GET /`. */
export const isHealthy = (transport: AlternatorTransport, node: AlternatorNode): Effect.Effect<boolean> =>
  get(transport, node, "/", 65_536).pipe(
    Effect.map(({ status }) => status === 200),
    Effect.orElseSucceed(() => false)
  )
