/** The request handler that the AWS SDK is given: one HTTP request to one node. */
import * as Effect from "effect/Effect"
import { AsyncLocalStorage } from "node:async_hooks"
import * as AlternatorError from "../AlternatorError.ts"
import type { ResponseHeaders } from "../Exchange.ts"
import type { TrackedNode } from "../NodeHealth.ts"
import type { TableDescription } from "../Operations.ts"
import { decodeError } from "./codec.ts"
import { decompress } from "./compression.ts"
import { NodeAttempt, type Surroundings } from "./nodeAttempt.ts"
import { type Failure, isShed } from "./retry.ts"
import type { Telemetry } from "./telemetry.ts"

/** The SDK's request, as far as it is used. */
export interface SdkRequest {
  readonly method: string
  readonly protocol: string
  readonly hostname: string
  readonly port?: number | undefined
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | undefined
}

interface SdkResponse {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

interface HandlerOptions {
  /** Milliseconds of one attempt, as the SDK's own handler has it; zero is none. */
  readonly requestTimeout?: number | undefined
  readonly abortSignal?: Signal | undefined
}

/** The platform's, or the SDK's own. */
export interface Signal {
  readonly aborted: boolean
  addEventListener?(type: "abort", listener: () => void): void
  removeEventListener?(type: "abort", listener: () => void): void
}

const BOUNDS = { maxBytes: 32 * 1_048_576, maxLayers: 5 }

const failed = (reason: AlternatorError.AlternatorReason, outcome: AlternatorError.Outcome) =>
  new AlternatorError.AlternatorError({ reason, outcome, attempts: [] })

/** The caller gave up; named as the SDK's own handler names it. */
class Aborted extends Error {
  override readonly name = "AbortError"
  readonly isSent: boolean
  constructor(isSent: boolean) {
    super("Request aborted")
    this.isSent = isSent
  }
}

/** Waits for an effect, unless the caller gives up before. */
export const waitFor = (effect: Effect.Effect<unknown, unknown>, signal: Signal | undefined): Promise<unknown> => {
  if (signal === undefined) return Effect.runPromise(effect)
  if (signal.aborted) return Promise.reject(new Aborted(false))
  const aborting = Effect.callback<never, Aborted>((resume) => {
    const abort = () => resume(Effect.fail(new Aborted(false)))
    signal.addEventListener?.("abort", abort)
    return Effect.sync(() => signal.removeEventListener?.("abort", abort))
  })
  return Effect.runPromise(Effect.raceFirst(effect, aborting))
}

/** The answer to a DescribeTable of ours, which the SDK's deserializer is not to see. */
class Captured extends Error {
  readonly status: number
  readonly text: string
  constructor(status: number, text: string) {
    super(text)
    this.status = status
    this.text = text
  }
}

/** What an error of the pipeline means, the SDK's or ours; `isAnswered`: the node's answer had arrived. */
export const failureOf = (error: unknown, isAnswered: boolean): Failure => {
  if (error instanceof AlternatorError.AlternatorError) return { tag: error.reason._tag, outcome: error.outcome }
  if (error instanceof Aborted) return { tag: "Closed", outcome: error.isSent ? "Ambiguous" : "NotSent" }
  const { $metadata, message = "", name } = error as {
    readonly name?: string
    readonly message?: string
    readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean }
  }
  const status = $metadata?.httpStatusCode
  if (name === "AbortError") return { tag: "Closed", outcome: "Ambiguous" }
  // An error of the SDK itself: before there was a request, or because it cannot read the answer, which stays the same.
  if (status === undefined) return { tag: "RequestInvalid", outcome: isAnswered ? "Ambiguous" : "NotSent" }
  if (status >= 500) return { tag: "InternalServerError", outcome: "Ambiguous" }
  if (status < 400) return { tag: "MalformedResponse", outcome: "Ambiguous" }
  if (name === "InternalServerError") return { tag: "InternalServerError", outcome: "Ambiguous" }
  // The SDK has taken the time of the answer for its next signatures.
  if ($metadata?.clockSkewCorrected === true && /Signature|Time/.test(name ?? "")) {
    return { tag: "AccessRefused", outcome: "Rejected", isClockCorrected: true }
  }
  if (name === "ResourceNotFoundException") return { tag: "ResourceNotFound", outcome: "Rejected" }
  if (/^(?:RequestLimitExceeded|ThrottlingException|ProvisionedThroughputExceededException)$/.test(name ?? "")) {
    return { tag: "RequestLimitExceeded", outcome: isShed(message) ? "Rejected" : "Ambiguous" }
  }
  return { tag: "ServerRejected", outcome: "Rejected" }
}

export const copyOf = (request: SdkRequest, changes: Partial<SdkRequest>): SdkRequest =>
  Object.assign(Object.create(Object.getPrototypeOf(request)), request, changes)

/** What an attempt needs of the adapter. */
interface Means extends Surroundings {
  readonly telemetry: Telemetry
}

class Attempt extends NodeAttempt {
  private readonly telemetry: Telemetry
  private readonly resolve: (response: SdkResponse) => void
  private readonly reject: (error: Error) => void

  constructor(
    means: Means,
    node: TrackedNode,
    expiresAt: number,
    resolve: (response: SdkResponse) => void,
    reject: (error: Error) => void
  ) {
    super(means, node, means.deadlines.now(), expiresAt)
    this.telemetry = means.telemetry
    this.resolve = resolve
    this.reject = reject
  }

  readonly abort = (): void => {
    const { isSent } = this
    if (this.giveUp()) this.reject(new Aborted(isSent))
  }

  protected failed(reason: AlternatorError.AlternatorReason, outcome: AlternatorError.Outcome): void {
    this.telemetry.attempt(this.node, reason._tag, this.millis)
    this.reject(failed(reason, outcome))
  }

  private respond(statusCode: number, headers: Readonly<Record<string, string>>, body: Uint8Array): void {
    const result = statusCode === 200
      ? "ok"
      : decodeError(statusCode, Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8")).reason._tag
    this.telemetry.attempt(this.node, result, this.millis)
    this.resolve({ statusCode, headers, body })
  }

  protected answered(statusCode: number, headers: ResponseHeaders, body: Uint8Array): void {
    const { "content-encoding": encoding, ...others } = headers as Readonly<Record<string, string>>
    if (encoding === undefined) return this.respond(statusCode, others, body)
    Effect.runPromise(decompress(body, encoding, BOUNDS)).then(
      (body) => this.respond(statusCode, others, body),
      (error: Error) =>
        this.failed(
          new AlternatorError.MalformedResponse({ message: error.message, status: statusCode }),
          "Ambiguous"
        )
    )
  }
}

/** For whom an answer is. */
export interface Receiver {
  /** For us, not for the deserializer. */
  readonly isCaptured?: boolean
  /** For the document client, which cannot read vectors. */
  readonly isDocument?: boolean
  /** Set when there is an answer. */
  isAnswered?: boolean
}

/** What the handler must know of an attempt and a request does not say: the SDK hands on copies of requests. */
interface Aim {
  readonly node: TrackedNode
  /** Milliseconds of the monotonic clock. */
  readonly until: number
  readonly receiver: Receiver
}

const VECTOR = '"FLOAT32VECTOR"'

/** Vectors as lists of numbers, which are another way to write them for the server too. */
const withLists = (body: Uint8Array): Uint8Array => {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (!text.includes(VECTOR)) return body
  const listed = JSON.parse(text.toString("utf8"), (_, value) => {
    const vector: unknown = value?.FLOAT32VECTOR
    return Array.isArray(vector) ? { L: vector.map((element) => ({ N: String(element) })) } : value
  })
  return Buffer.from(JSON.stringify(listed))
}

const aims = new AsyncLocalStorage<Aim>()

export class NodeHandler {
  readonly metadata = { handlerProtocol: "http/1.1" }
  private readonly means: Means

  constructor(means: Omit<Means, "maxResponseBytes">) {
    this.means = { ...means, maxResponseBytes: BOUNDS.maxBytes }
  }

  /** Sends a request on, made out for a node, to be signed and handled. */
  aim<A>(
    request: SdkRequest,
    node: TrackedNode | undefined,
    until: number,
    send: (request: SdkRequest) => Promise<A>,
    receiver: Receiver = {}
  ): Promise<A> {
    if (node === undefined) {
      const reason = new AlternatorError.NodeUnreachable({ message: "no node is known", kind: "none" })
      return Promise.reject(failed(reason, "NotSent"))
    }
    const aimed = copyOf(request, {
      protocol: `${node.scheme}:`,
      hostname: node.urlHost,
      port: node.port,
      headers: { ...request.headers, host: node.hostHeader }
    })
    return aims.run({ node, until, receiver }, send, aimed)
  }

  handle(
    request: SdkRequest,
    { abortSignal, requestTimeout = 0 }: HandlerOptions = {}
  ): Promise<{ readonly response: SdkResponse }> {
    const aim = aims.getStore()
    if (aim === undefined || request.hostname !== aim.node.urlHost || request.port !== aim.node.port) {
      return Promise.reject(
        new Error(
          `${request.hostname}:${request.port} is not the node of this attempt: a middleware has changed the request`
        )
      )
    }
    if (abortSignal?.aborted === true) return Promise.reject(new Aborted(false))
    if (this.means.deadlines.isClosed) {
      return Promise.reject(failed(new AlternatorError.Closed({ message: "the nodes are closed" }), "NotSent"))
    }
    const { node, receiver } = aim
    const until = requestTimeout > 0 ? Math.min(aim.until, this.means.deadlines.now() + requestTimeout) : aim.until
    return new Promise((resolve, reject) => {
      const forget = () => abortSignal?.removeEventListener?.("abort", attempt.abort)
      const attempt = new Attempt(this.means, node, until, (response) => {
        forget()
        receiver.isAnswered = true
        const { body } = response
        if (receiver.isCaptured === true) reject(new Captured(response.statusCode, Buffer.from(body).toString("utf8")))
        else if (receiver.isDocument !== true) resolve({ response })
        else resolve({ response: { ...response, body: withLists(body) } })
      }, (error) => {
        forget()
        reject(error)
      })
      abortSignal?.addEventListener?.("abort", attempt.abort)
      const headers: Array<string> = []
      for (const name of Object.keys(request.headers)) {
        // The transport counts itself.
        if (name.toLowerCase() !== "content-length") headers.push(name, request.headers[name]!)
      }
      attempt.launch(request.path, headers, request.body)
    })
  }

  /** Describes a table on the way of another request. */
  async describe(
    request: SdkRequest,
    table: string,
    node: TrackedNode | undefined,
    until: number,
    send: (request: SdkRequest) => Promise<unknown>
  ): Promise<{ readonly Table: TableDescription }> {
    const { "content-encoding": _, ...others } = request.headers
    const headers = { ...others, "x-amz-target": "DynamoDB_20120810.DescribeTable" }
    const described = copyOf(request, { body: JSON.stringify({ TableName: table }), headers })
    try {
      await this.aim(described, node, until, send, { isCaptured: true })
    } catch (error) {
      if (!(error instanceof Captured)) throw error
      const answer = JSON.parse(error.text)
      if (error.status === 200) return answer
      const name = String(answer.__type ?? "").split("#").at(-1)
      throw Object.assign(new Error(String(answer.message ?? name)), {
        name,
        $metadata: { httpStatusCode: error.status }
      })
    }
    throw new Error("DescribeTable was not sent")
  }

  // What else the SDK asks of a handler. Connections belong to the transport.
  destroy(): void {}
  updateHttpClientConfig(): void {}
  httpHandlerConfigs(): Record<string, never> {
    return {}
  }
}
