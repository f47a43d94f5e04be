/**
 * Clients that are broken on purpose, each of which the checker has to catch: it shows that the campaign would see such a bug. Most are
 * broken where it is decided what may be repeated, in `RetryPolicy`.
 */
import type * as Policy from "@effect-scylla/driver/RetryPolicy"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterEach, vi } from "vitest"
import { Core } from "../../packages/driver/src/internal/core.ts"
import { simulate } from "./simulated.ts"

/** What is broken now: asked first, and may leave the answer to the policy. */
const broken = vi.hoisted((): {
  decide: ((failure: Policy.Failure) => Policy.Decision | undefined) | undefined
  govern: ((wanted: Policy.Policy | undefined, attempted: Policy.Attempted) => Policy.Verdict | undefined) | undefined
  mayBeSentTwice: ((request: Parameters<typeof Policy.mayBeSentTwice>[0]) => boolean) | undefined
  outcomeOf: ((failure: Parameters<typeof Policy.outcomeOf>[0]) => ReturnType<typeof Policy.outcomeOf>) | undefined
} => ({ decide: undefined, govern: undefined, mayBeSentTwice: undefined, outcomeOf: undefined }))

vi.mock("../../packages/driver/src/RetryPolicy.ts", async (original) => {
  const policy = await original<typeof Policy>()
  return {
    ...policy,
    decide: (failure: Policy.Failure) => broken.decide?.(failure) ?? policy.decide(failure),
    govern: (wanted: Policy.Policy | undefined, attempted: Policy.Attempted) =>
      broken.govern?.(wanted, attempted) ?? policy.govern(wanted, attempted),
    mayBeSentTwice: (request: Parameters<typeof Policy.mayBeSentTwice>[0]) =>
      broken.mayBeSentTwice?.(request) === true || policy.mayBeSentTwice(request),
    outcomeOf: (failure: Parameters<typeof Policy.outcomeOf>[0]) =>
      broken.outcomeOf?.(failure) ?? policy.outcomeOf(failure)
  }
})

const REQUESTS = 250
/** Seeds that a mutant has to be caught within; most are by one of the first three. */
const SEEDS = 40

const TIMED_OUT: ReadonlySet<string> = new Set(["AttemptTimeout", "WriteTimeout", "RequestTimeout"])
const LOST: ReadonlySet<string> = new Set(["ConnectionLost", "ConnectionClosed", "HeartbeatTimeout"])

const mutants: ReadonlyArray<
  & { readonly name: string; readonly kinds: ReadonlyArray<string> }
  & Partial<typeof broken>
> = [
  {
    name: "a counter is sent to a second node while the first has it",
    kinds: ["Twice"],
    mayBeSentTwice: ({ kind }) => kind.isCounter === true && kind.type === "write"
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
    name: "a policy of the user's has its way, whatever has been done",
    kinds: ["Twice", "Refused"],
    govern: (wanted, attempted) => {
      const decision = wanted?.decide?.(attempted)
      return typeof decision === "string" ? { decision } : undefined
    }
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

/** Seeds that have caught somebody. */
const telling = new Set<number>()

/** The violations of the first seed that has any. */
const caught = Effect.gen(function*() {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const end = yield* Effect.result(simulate(seed, REQUESTS))
    if (end._tag === "Success") continue
    telling.add(seed)
    return end.failure
  }
  return assert.fail("nobody noticed")
})

describe("chaos of the client notices what is broken on purpose", () => {
  afterEach(() => {
    Object.assign(broken, { decide: undefined, govern: undefined, mayBeSentTwice: undefined, outcomeOf: undefined })
  })

  for (const { kinds, name, ...ways } of mutants) {
    it.live(name, () =>
      Effect.gen(function*() {
        Object.assign(broken, ways)
        const { message, violations } = yield* caught
        assert.isTrue(violations.some(({ kind }) => kinds.includes(kind)), message)
      }))
  }

  it.live("writes are stamped by whoever does them at last, and not by the client", () =>
    Effect.gen(function*() {
      const stamps = vi.spyOn(Core.prototype, "stamps").mockReturnValue(false)
      const { message, violations } = yield* Effect.ensuring(caught, Effect.sync(() => stamps.mockRestore()))
      assert.isTrue(violations.every(({ what }) => what.startsWith("register")), message)
    }))

  it.live("and nothing in the same seeds of the client that is not", () =>
    Effect.gen(function*() {
      assert.isAbove(telling.size, 0)
      for (const seed of telling) {
        const end = yield* Effect.result(simulate(seed, REQUESTS))
        if (end._tag === "Failure") assert.fail(end.failure.message)
      }
    }))
})
