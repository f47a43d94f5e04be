/** A node as its connections see it. */
import type { Request } from "@effect-scylla/protocol/Request"
import type { ServerError } from "@effect-scylla/protocol/ServerError"
import type { SimNode } from "../cluster/simNode.ts"
import type { Counters } from "../cluster/stats.ts"
import type { Engine } from "../engine.ts"
import type { Plan } from "../plan/plan.ts"
import type { Listener } from "./asked.ts"
import type { Flavour } from "./flavour.ts"
import type { NodeFault } from "./line.ts"

/** Which listener a connection came through. */
export interface Port {
  readonly kind: "plain" | "shardAware"
  readonly number: number
}

export interface InterceptContext {
  readonly node: number
  readonly shard: number
  readonly connection: number
  readonly opcode: number
  readonly request: Request
}

export type Intercepted =
  | { readonly _tag: "Ignore" }
  | { readonly _tag: "Error"; readonly error: ServerError }
  | { readonly _tag: "Close" }
  | { readonly _tag: "Delay"; readonly millis: number }
  | { readonly _tag: "Raw"; readonly bytes: Uint8Array }

export type Interceptor = (context: InterceptContext) => Intercepted | undefined

/** `C` are its connections. */
export interface Host<C> {
  readonly node: SimNode
  readonly flavour: Flavour
  readonly engine: Engine
  readonly counters: Counters
  readonly ignoreMsb: number
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  readonly fault: NodeFault | undefined
  /** By the hex of their ids. */
  readonly prepared: Map<string, Plan>
  readonly intercept: () => Interceptor | undefined
  /** Who is told of statements. */
  readonly listeners: ReadonlySet<Listener>
  readonly delay: (millis: number, task: () => void) => void
  /** What it answers to OPTIONS. */
  supported(shard: number): ReadonlyMap<string, ReadonlyArray<string>>
  /** A connection is over. */
  release(connection: C): void
}
