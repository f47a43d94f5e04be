/**
 * The raft client's transport into a {@link RaftSimulator}, in memory and on the clock of the present fiber.
 *
 * @stability unstable
 * @since 0.1.0
 */
import type { Answer, Channel, Transport } from "@effect-scylla/raft-client/Transport"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { RaftSimulator, Reply, SimulatedNode } from "./RaftSimulator.ts"

const made = (code: number, details: string): Answer => ({
  code,
  details,
  body: undefined,
  origin: "Client",
  header: () => undefined
})

const answered = (reply: Exclude<Reply, "silence">): Answer =>
  "body" in reply
    ? { code: 0, details: "", body: reply.body, origin: "Server", header: () => undefined }
    : {
      code: reply.code,
      details: reply.details,
      body: undefined,
      origin: "Server",
      header: (name) => reply.headers?.[name]
    }

/** Timers on the clock, each with its cancel. */
type After = (millis: number, task: () => void) => () => void

class MemoryChannel implements Channel {
  private connected = false
  private closed = false
  private readonly breaks = new Set<() => void>()
  private readonly find: () => SimulatedNode | undefined
  private readonly cluster: RaftSimulator
  private readonly after: After
  private readonly onDown = (): void => {
    this.connected = false
    for (const task of this.breaks) task()
  }

  constructor(cluster: RaftSimulator, address: string, after: After) {
    this.cluster = cluster
    this.after = after
    this.find = () => cluster.nodes.find((node) => node.address === address)
  }

  readonly isReady = (): boolean => this.connected && !this.closed

  readonly connect: Channel["connect"] = (timeoutMillis, settle) => {
    const node = this.find()
    if (node === undefined || !node.running || this.closed) return this.after(1, () => settle("connect ECONNREFUSED"))
    if (node.paused) return this.after(timeoutMillis, () => settle(`not connected after ${timeoutMillis} ms`))
    return this.after(node.delay, () => {
      if (!node.running || this.closed) return settle("connect ECONNRESET")
      this.connected = true
      node.onDown.add(this.onDown)
      settle(undefined)
    })
  }

  readonly unary: Channel["unary"] = (path, body, timeoutMillis, settle) => {
    const node = this.find()
    let done = false
    const cancels: Array<() => void> = []
    const finish = (answer: Answer): void => {
      if (done) return
      done = true
      this.breaks.delete(broken)
      for (const cancel of cancels) cancel()
      settle(answer)
    }
    const broken = (): void => finish(made(14, "Connection dropped"))
    if (node === undefined || !this.isReady()) {
      cancels.push(this.after(1, () => finish(made(14, "No connection established. Last error: ECONNREFUSED"))))
      return () => finish(made(1, "Cancelled on client"))
    }
    this.breaks.add(broken)
    cancels.push(
      this.after(timeoutMillis, () => finish(made(4, "Deadline exceeded"))),
      this.after(node.delay / 2, () => {
        // Here the server has it, and what it does is done even if nobody hears of it.
        const reply = this.cluster.answer(node, path, body)
        if (reply !== "silence") cancels.push(this.after(node.delay / 2, () => finish(answered(reply))))
      })
    )
    return () => finish(made(1, "Cancelled on client"))
  }

  readonly stream: Channel["stream"] = (path, body, _both, handlers) => {
    const node = this.find()
    let over = false
    let paused = false
    let close: (() => void) | undefined
    const waiting: Array<Uint8Array> = []
    const end = (answer: Answer): void => {
      if (over) return
      over = true
      this.breaks.delete(broken)
      close?.()
      handlers.onEnd(answer)
    }
    const broken = (): void => end(made(14, "Connection dropped"))
    this.breaks.add(broken)
    if (node !== undefined && node.running) node.onDown.add(this.onDown)
    this.after(node?.delay ?? 1, () => {
      if (over) return
      if (node === undefined || !node.running) return end(made(14, "No connection established"))
      let ready = false
      const early: Array<Uint8Array> = []
      const deliver = (message: Uint8Array): void => {
        if (node.paused) return
        if (paused) waiting.push(message)
        else handlers.onMessage(message)
      }
      const opened = this.cluster.stream(node, path, body, {
        send: (message) => {
          if (over) return
          if (ready) this.after(node.delay, () => !over && deliver(message))
          else early.push(message)
        },
        end: (reply) => this.after(node.delay, () => end(answered(reply)))
      })
      if (opened === "silence") return
      if (typeof opened !== "function") return end(answered(opened))
      close = opened
      ready = true
      handlers.onOpen()
      for (const message of early) deliver(message)
    })
    return {
      write: () => {},
      pause: () => {
        paused = true
      },
      resume: () => {
        paused = false
        for (const message of waiting.splice(0)) if (!over) handlers.onMessage(message)
      },
      cancel: () => end(made(1, "Cancelled on client"))
    }
  }

  readonly close = (): void => {
    this.closed = true
    this.connected = false
    this.find()?.onDown.delete(this.onDown)
  }
}

/**
 * A transport to the nodes of `cluster` by their `address`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  cluster: RaftSimulator
): Effect.Effect<Transport & { readonly opened: ReadonlyArray<string> }, never, Scope.Scope> =>
  Effect.map(FiberSet.makeRuntime<never>(), (run) => {
    const after: After = (millis, task) => {
      const fiber = run(Effect.andThen(Effect.sleep(millis), Effect.sync(task)))
      return () => fiber.interruptUnsafe()
    }
    const opened: Array<string> = []
    return {
      opened,
      open: (address) => {
        opened.push(address)
        return new MemoryChannel(cluster, address, after)
      }
    }
  })
