/** A span around each operation where a tracer is installed, and nothing at all where none is. */
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Attempt, RaftError } from "../RaftError.ts"

export type Trace = <A>(operation: string, effect: Effect.Effect<A, RaftError>) => Effect.Effect<A, RaftError>

/** Spans of operations of ours; what runs for a watch must not write on those of its consumer. */
const ours = new WeakSet<object>()

/** `leader` is who has answered when the operation did not say otherwise: it went well at its first try. */
export const make = (system: string, leader: () => string | undefined): Trace => (operation, effect) =>
  Effect.withFiber((fiber) => {
    if (fiber.cache.tracer === undefined && fiber.cache.span === undefined) return effect
    const attributes = { "db.system.name": system, "db.operation.name": operation }
    return Effect.useSpan(`raft.${operation}`, { kind: "client", attributes }, (span) => {
      ours.add(span)
      return Effect.provideService(effect, Tracer.ParentSpan, span).pipe(
        Effect.tap(() =>
          Effect.sync(() => {
            if (!span.attributes.has("server.address")) span.attribute("server.address", leader())
          })
        ),
        Effect.tapError(({ attempts, outcome, reason }) =>
          Effect.sync(() => {
            span.attribute("error.type", reason._tag)
            if (outcome !== undefined) span.attribute("raft.outcome", outcome)
            if (attempts.length > 0) span.attribute("raft.attempts", attempts.map(describe))
          })
        )
      )
    })
  })

const describe = ({ address, result }: Attempt): string => `${address}: ${result}`

/** Notes on the span of the operation, if it has one, who answered in the end and who did not before. */
export const answered = (address: string, attempts: ReadonlyArray<Attempt>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const { span } = fiber.cache
    if (span?._tag === "Span" && ours.has(span)) {
      span.attribute("server.address", address)
      if (attempts.length > 0) span.attribute("raft.attempts", attempts.map(describe))
    }
    return Effect.void
  })
