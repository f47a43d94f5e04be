/**
 * Clients that are broken on purpose, each of which the checker has to catch: it shows that the campaign would see such a bug. They are
 * broken where it is decided what may be repeated, in `RetryPolicy`.
 */
import type * as Policy from "@effect-scylla/driver/RetryPolicy"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterEach, vi } from "vitest"
import { simulate } from "./simulated.ts"

/** What is broken now: asked first, and may leave the answer to the policy. */
const broken = vi.hoisted((): {
  decide: ((failure: Policy.Failure) => Policy.Decision | undefined) | undefined
  mayBeSentTwice: ((request: Parameters<typeof Policy.mayBeSentTwice>[0]) => boolean) | undefined
  outcomeOf: ((failure: Parameters<typeof Policy.outcomeOf>[0]) => ReturnType<typeof Policy.outcomeOf>) | undefined
} => ({ decide: undefined, mayBeSentTwice: undefined, outcomeOf: undefined }))

vi.mock("../../packages/driver/src/RetryPolicy.ts", async (original) => {
  const policy = await original<typeof Policy>()
  return {
    decide: (failure: Policy.Failure) => broken.decide?.(failure) ?? policy.decide(failure),
    mayBeSentTwice: (request: Parameters<typeof Policy.mayBeSentTwice>[0]) =>
      broken.mayBeSentTwice?.(request) === true || policy.mayBeSentTwice(request),
    outcomeOf: (failure: Parameters<typeof Policy.outcomeOf>[0]) =>
      broken.outcomeOf?.(failure) ?? policy.outcomeOf(failure)
  }
})

const REQUESTS = 250
/** Seeds that a mutant has to be caught within. */
const SEEDS = 12

const TIMED_OUT: ReadonlySet<string> = new Set(["AttemptTimeout", "WriteTimeout", "RequestTimeout"])
const LOST: ReadonlySet<string> = new Set(["ConnectionLost", "ConnectionClosed", "HeartbeatTimeout"])

const mutants: ReadonlyArray<
  & { readonly name: string; readonly kinds: ReadonlyArray<string> }
  & Partial<typeof broken>
> = [
  {
    name: "a counter is sent to a second node while the first has it",
    kinds: ["Twice"],
    mayBeSentTwice: ({ kind }) => kind.isCounter === true && kind.type === "write",
    // The attempt that was moved away from is no failure.
    decide: ({ kind, reason }) =>
      kind.isCounter === true && kind.type === "write" && reason._tag === "AttemptTimeout" ? "NextNode" : undefined
  },
  {
    name: "a write that is not idempotent is sent again after its connection was lost",
    kinds: ["Twice", "Refused"],
    decide: ({ kind, reason, sent }) => sent && kind.type === "write" && LOST.has(reason._tag) ? "NextNode" : undefined
  },
  {
    name: "a batch is sent again after a timeout",
    kinds: ["Twice"],
    decide: ({ kind, reason, sameNode }) =>
      kind.type === "batch" && reason._tag === "WriteTimeout" && sameNode === 0 ? "SameNode" : undefined
  },
  {
    name: "a conditional statement is sent again after an error of the server",
    kinds: ["Refused", "Condition", "Lost"],
    decide: ({ kind, reason, sent }) =>
      sent && kind.isConditional && (reason._tag === "Overloaded" || reason._tag === "InternalServerError")
        ? "NextNode"
        : undefined
  },
  {
    name: "a write whose connection was lost is said to be rejected",
    kinds: ["Refused", "Twice"],
    outcomeOf: ({ kind, reason, sent }) =>
      sent && kind.type === "write" && LOST.has(reason._tag) ? "Rejected" : undefined
  },
  {
    name: "a write that timed out is said not to be sent",
    kinds: ["Refused", "Twice"],
    outcomeOf: ({ kind, reason }) => kind.type !== "read" && TIMED_OUT.has(reason._tag) ? "NotSent" : undefined
  }
]

/** The first seed that has any violation. */
const firstCaught = Effect.fnUntraced(function*() {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const end = yield* Effect.result(simulate(seed, REQUESTS))
    if (end._tag === "Failure") return end.failure
  }
  return undefined
})

describe("chaos of the client notices what is broken on purpose", () => {
  afterEach(() => {
    Object.assign(broken, { decide: undefined, mayBeSentTwice: undefined, outcomeOf: undefined })
  })

  it.live("and nothing of the client that is not", () =>
    Effect.gen(function*() {
      const caught = yield* firstCaught()
      assert.isUndefined(caught, caught?.message)
    }))

  for (const { kinds, name, ...ways } of mutants) {
    it.live(name, () =>
      Effect.gen(function*() {
        Object.assign(broken, ways)
        const caught = yield* firstCaught()
        if (caught === undefined) assert.fail("nobody noticed")
        const found = new Set<string>(caught.violations.map(({ kind }) => kind))
        assert.isTrue(kinds.some((kind) => found.has(kind)), caught.message)
      }))
  }
})
