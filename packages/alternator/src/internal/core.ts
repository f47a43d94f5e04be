/**
 * A request from its body to its answer: attempts on nodes, what becomes of each, and the next one.
 *
 * The first attempt is one callback; what follows it is entered on failure only.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import * as AlternatorError from "../AlternatorError.ts"
import type { ResponseHeaders } from "../Exchange.ts"
import type { TrackedNode } from "../NodeHealth.ts"
import { type Balancer, QueryPlan } from "../QueryPlan.ts"
import * as RequestKind from "../RequestKind.ts"
import type { Signer } from "../SigV4.ts"
import type { AffinityRouter } from "./affinity.ts"
import * as Codec from "./codec.ts"
import { type Bounds, compress, decompress, type Encoding } from "./compression.ts"
import { readyWithin } from "./deadlines.ts"
import { NodeAttempt, type Surroundings } from "./nodeAttempt.ts"
import { type Failure, Retries } from "./retry.ts"
import { isAboutTime, type ServerClock } from "./serverClock.ts"
import type { Telemetry } from "./telemetry.ts"

export interface CoreSettings extends Surroundings {
  readonly balancer: Balancer
  readonly affinity: AffinityRouter
  readonly telemetry: Telemetry
  readonly signer: Signer | undefined
  readonly serverClock: ServerClock
  readonly maxAttempts: number
  readonly deadlineMillis: number
  readonly attemptMillis: number
  readonly bounds: Bounds
  readonly compression: Compression | undefined
  readonly acceptEncoding: string | undefined
  readonly userAgent: string | undefined
  readonly hedge: { readonly delay: Duration.Duration; readonly budget: number } | undefined
}

export interface Compression {
  readonly encoding: Encoding
  readonly threshold: number
  readonly level: number
}

/** The options of one request, in place of the client's. */
export interface CallOptions {
  readonly deadline?: Duration.Input | undefined
  readonly idempotent?: boolean | undefined
  readonly compression?: Encoding | false | undefined
  readonly hedge?: boolean | undefined
}

type Input = Readonly<Record<string, any>>

/** An attempt that failed. */
interface Failed {
  readonly node: TrackedNode | undefined
  readonly reason: AlternatorError.AlternatorReason
  readonly outcome: AlternatorError.Outcome
  readonly millis: number
  readonly isClockCorrected?: Failure["isClockCorrected"]
}

/** Attempts that are remembered. */
const MAX_HISTORY = 16

class Call {
  body: Uint8Array
  encoding: Encoding | undefined
  readonly plan: QueryPlan
  readonly operation: string
  readonly target: string
  readonly input: Input
  readonly expiresAt: number
  readonly mayRepeat: boolean
  /** Of the request, when there is a tracer. */
  readonly span: Tracer.Span | undefined

  /** Throws when the input cannot be written. */
  constructor(
    core: Core,
    operation: string,
    input: Input,
    { idempotent }: CallOptions,
    now: number,
    millis: number,
    span: Tracer.Span | undefined
  ) {
    this.operation = operation
    this.target = `DynamoDB_20120810.${operation}`
    this.input = input
    this.span = span
    this.body = Buffer.from(Codec.encode(input))
    this.plan = new QueryPlan(core.settings.balancer, now)
    core.settings.affinity.apply(operation, input, this.plan)
    this.mayRepeat = idempotent ?? RequestKind.isIdempotent(operation, input)
    this.expiresAt = now + millis
  }
}

/** Says in a span which node it is about. */
const locate = (span: Tracer.Span, node: TrackedNode): void => {
  span.attribute("server.address", node.host)
  span.attribute("server.port", node.port)
  if (node.datacenter !== undefined) span.attribute("scylla.datacenter", node.datacenter)
  if (node.rack !== undefined) span.attribute("scylla.rack", node.rack)
}

/** One attempt under way. */
class Flight extends NodeAttempt {
  private readonly core: Core
  private readonly call: Call
  private readonly resume: (effect: Effect.Effect<any, Failed>) => void
  /** Of the clock that it is signed by. */
  private readonly clockVersion: number

  constructor(core: Core, call: Call, node: TrackedNode, resume: (effect: Effect.Effect<any, Failed>) => void) {
    const start = core.settings.deadlines.now()
    // Cutting an attempt short makes sense only when there may be another one.
    const isShort = call.mayRepeat && start + core.settings.attemptMillis < call.expiresAt
    super(core.settings, node, start, isShort ? start + core.settings.attemptMillis : call.expiresAt)
    this.core = core
    this.call = call
    this.resume = resume
    this.clockVersion = core.settings.serverClock.version
  }

  protected failed(reason: AlternatorError.AlternatorReason, outcome: AlternatorError.Outcome): void {
    const { call, core, millis, node } = this
    const isLast = reason._tag === "AttemptTimeout" && call.expiresAt <= core.settings.deadlines.now()
    const said = isLast ? new AlternatorError.DeadlineExceeded({ message: reason.message }) : reason
    core.settings.telemetry.attempt(node, said._tag, millis)
    this.resume(Exit.fail({ node, reason: said, outcome, millis }))
  }

  protected answered(status: number, headers: ResponseHeaders, body: Uint8Array): void {
    const { core } = this
    const encoding = headers["content-encoding"]
    if (encoding === undefined || encoding === "identity") return this.settle(status, headers, body)
    // Off the event loop; the request's own deadline does not cut this short.
    this.resume(
      Effect.matchEffect(decompress(body, String(encoding), core.settings.bounds), {
        onSuccess: (plain) => Effect.callback<any, Failed>((resume) => this.settle(status, headers, plain, resume)),
        onFailure: ({ message }) => {
          const reason = new AlternatorError.MalformedResponse({ message, status })
          core.settings.telemetry.attempt(this.node, reason._tag, this.millis)
          return Effect.fail<Failed>({ node: this.node, reason, outcome: "Ambiguous", millis: this.millis })
        }
      })
    )
  }

  private settle(status: number, headers: ResponseHeaders, body: Uint8Array, resume = this.resume): void {
    const { call, core, node } = this
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8")
    const millis = this.millis
    if (status === 200) {
      let output: unknown
      try {
        output = Codec.read(call.operation, text)
      } catch (error) {
        const message = `${node.hostHeader}: the answer cannot be read: ${
          error instanceof Error ? error.message : String(error)
        }`
        core.settings.telemetry.attempt(node, "MalformedResponse", millis)
        return resume(Exit.fail({
          node,
          reason: new AlternatorError.MalformedResponse({ message, status, cause: error }),
          outcome: "Ambiguous",
          millis
        }))
      }
      core.settings.telemetry.attempt(node, "ok", millis)
      return resume(Exit.succeed(output))
    }
    const { isRejected, reason } = Codec.decodeError(status, text)
    core.settings.telemetry.attempt(node, reason._tag, millis)
    const isClockCorrected = reason._tag === "AccessRefused" && isAboutTime(reason.type, reason.message) &&
      core.settings.serverClock.correct(headers["date"], this.clockVersion)
    resume(Exit.fail({ node, reason, outcome: isRejected ? "Rejected" : "Ambiguous", millis, isClockCorrected }))
  }
}

export class Core {
  readonly settings: CoreSettings
  private hedges = 0

  constructor(settings: CoreSettings) {
    this.settings = settings
  }

  execute(operation: string, input: Input, options: CallOptions): Effect.Effect<any, AlternatorError.AlternatorError> {
    return Effect.withFiber((fiber) => {
      const { span, tracer } = fiber.cache
      return tracer !== undefined || span !== undefined
        ? Effect.useSpan(
          `alternator.${operation}`,
          {
            kind: "client",
            attributes: {
              "db.system.name": "scylladb",
              "db.operation.name": operation,
              "db.collection.name": input["TableName"]
            }
          },
          (span) => Effect.provideService(this.run(operation, input, options, span), Tracer.ParentSpan, span)
        )
        : this.run(operation, input, options, undefined)
    })
  }

  private run(
    operation: string,
    input: Input,
    options: CallOptions,
    span: Tracer.Span | undefined
  ): Effect.Effect<any, AlternatorError.AlternatorError> {
    const { deadlines, nodes } = this.settings
    nodes.touch()
    let call: Call
    try {
      const millis = options.deadline === undefined
        ? this.settings.deadlineMillis
        : Duration.toMillis(Duration.fromInputUnsafe(options.deadline))
      if (!nodes.isReady()) {
        const until = deadlines.now() + millis
        return Effect.flatMap(
          readyWithin(nodes, millis, operation),
          () => this.run(operation, input, { ...options, deadline: Math.max(0, until - deadlines.now()) }, span)
        )
      }
      call = new Call(this, operation, input, options, deadlines.now(), millis, span)
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      return Effect.fail(AlternatorError.of(new AlternatorError.RequestInvalid({ message, cause }), operation))
    }
    const encoding = options.compression === false
      ? undefined
      : options.compression ?? this.settings.compression?.encoding
    const threshold = this.settings.compression?.threshold ?? 1024
    if (encoding === undefined || call.body.length < threshold) return this.send(call, options)
    return compress(call.body, encoding, this.settings.compression?.level ?? 6).pipe(
      Effect.mapError(({ message }) => AlternatorError.of(new AlternatorError.RequestInvalid({ message }), operation)),
      Effect.flatMap((body) => {
        call.body = body
        call.encoding = encoding
        return this.send(call, options)
      })
    )
  }

  headers(call: Call, node: TrackedNode): Array<string> {
    const { acceptEncoding, serverClock, signer, userAgent } = this.settings
    const headers = [
      "host",
      node.hostHeader,
      "x-amz-target",
      call.target,
      "content-type",
      "application/x-amz-json-1.0"
    ]
    if (call.encoding !== undefined) headers.push("content-encoding", call.encoding)
    if (acceptEncoding !== undefined) headers.push("accept-encoding", acceptEncoding)
    if (userAgent !== undefined) headers.push("user-agent", userAgent)
    if (signer !== undefined) {
      headers.push("x-amz-date", signer.at(serverClock.now()))
      headers.push("authorization", signer.sign(node.hostHeader, call.target, call.body))
    }
    return headers
  }

  private send(call: Call, options: CallOptions): Effect.Effect<any, AlternatorError.AlternatorError> {
    const { hedge } = this.settings
    const first = hedge !== undefined && options.hedge !== false && hedgeable.has(call.operation)
      ? this.hedged(call, hedge)
      : this.attempt(call)
    return Effect.catch(first, (failed: Failed) => this.retry(call, failed))
  }

  private attempt(call: Call): Effect.Effect<any, Failed> {
    return call.span !== undefined
      ? Effect.useSpan("alternator.attempt", { kind: "client" }, (span) => this.fly(call, span))
      : this.fly(call, undefined)
  }

  private fly(call: Call, span: Tracer.Span | undefined): Effect.Effect<any, Failed> {
    return Effect.callback<any, Failed>((resume) => {
      if (this.settings.deadlines.isClosed) {
        const reason = new AlternatorError.Closed({ message: "the client is closed" })
        return resume(Exit.fail({ node: undefined, reason, outcome: "NotSent", millis: 0 }))
      }
      const node = call.plan.next()
      if (node === undefined) {
        return resume(Exit.fail({
          node: undefined,
          reason: new AlternatorError.NodeUnreachable({ message: "no node is known", kind: "none" }),
          outcome: "NotSent",
          millis: 0
        }))
      }
      if (span !== undefined) {
        locate(span, node)
        // The request's span has the last one: whoever looks at a failed request sees where it failed.
        if (call.span !== undefined) locate(call.span, node)
      }
      const flight = new Flight(this, call, node, resume)
      flight.launch("/", this.headers(call, node), call.body)
      return Effect.sync(() => flight.giveUp())
    })
  }

  /** A second attempt elsewhere when the first is slow and the budget allows. The first alone decides on failure. */
  private hedged(call: Call, hedge: NonNullable<CoreSettings["hedge"]>): Effect.Effect<any, Failed> {
    this.hedges = Math.min(10, this.hedges + hedge.budget)
    const second = Effect.flatMap(Effect.sleep(hedge.delay), () => {
      if (this.hedges < 1 || this.settings.nodes.current().nodes.length < 2) return Effect.never
      this.hedges--
      return Effect.catch(this.attempt(call), () => Effect.never)
    })
    return Effect.raceFirst(this.attempt(call), second)
  }

  private readonly retry = Effect.fnUntraced(function*(
    this: Core,
    call: Call,
    first: Failed
  ): Effect.fn.Return<any, AlternatorError.AlternatorError> {
    const retries = new Retries(this.settings.balancer, this.settings.maxAttempts, call.mayRepeat, call.expiresAt)
    const history: Array<AlternatorError.Attempt> = []
    let failed = first
    while (true) {
      const { isClockCorrected, millis, node, outcome, reason } = failed
      const delay = retries.next({ tag: reason._tag, outcome, isClockCorrected })
      if (history.length < MAX_HISTORY) {
        history.push({ node: node?.hostHeader ?? "", reason: reason._tag, message: reason.message, outcome, millis })
      }
      if (delay === undefined) {
        call.span?.attribute("error.type", reason._tag)
        return yield* new AlternatorError.AlternatorError({
          reason,
          operation: call.operation,
          outcome: retries.outcome(outcome),
          attempts: history,
          isIdempotent: call.mayRepeat
        })
      }
      if (delay > 0) yield* Effect.sleep(Duration.millis(delay))
      const result = yield* Effect.result(this.attempt(call))
      if (result._tag === "Success") return result.success
      failed = result.failure
    }
  })
}

const hedgeable = new Set(["GetItem", "BatchGetItem", "Query"])
