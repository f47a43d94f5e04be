/** What an error says of a second try, and what is made of it. */
import { EtcdAdapter, RaftError } from "@effect-scylla/raft-client"
import type { Answer } from "@effect-scylla/raft-client/Channel"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { drive, simulate } from "./support/simulated.ts"

const message = ""
const lost = new RaftError.ConnectionLost({ message })
const denied = new RaftError.PermissionDenied({ message })

describe("RaftError", () => {
  it("isSafeToRetry: reads, and writes that were certainly not applied, if the reason passes", () => {
    const safe = (reason: RaftError.RaftReason, outcome?: RaftError.Outcome) => {
      const error = RaftError.make("put", reason, outcome)
      return [error.isSafeToRetry, error.isRetryable, RaftError.asIdempotent(error).isSafeToRetry]
    }
    assert.deepStrictEqual(safe(lost), [true, true, true])
    assert.deepStrictEqual(safe(lost, "NotSent"), [true, true, true])
    assert.deepStrictEqual(safe(new RaftError.Overloaded({ message }), "Rejected"), [true, true, true])
    assert.deepStrictEqual(safe(lost, "Ambiguous"), [false, false, true])
    assert.deepStrictEqual(safe(denied), [false, false, false])
    assert.deepStrictEqual(safe(denied, "Rejected"), [false, false, false])
    assert.deepStrictEqual(safe(new RaftError.LeaseLost({ message })), [false, false, false])
    assert.deepStrictEqual(safe(new RaftError.OtherCluster({ message })), [false, false, false])
    assert.deepStrictEqual(safe(new RaftError.Compacted({ message })), [true, true, true])
  })

  it.effect("retry goes by it: what its caller has called idempotent is sent again, an ambiguous write is not", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* simulate()
      const client = yield* connect()
      const fail = (times: number): void =>
        cluster.node(1).script("HandleClientWrite", { code: 4, details: "RPC timeout exceeded" }, times)
      const count = (): number => cluster.node(1).count("HandleClientWrite")

      fail(2)
      yield* drive(client.put("/k", "v", { idempotent: true }).pipe(RaftError.retry()))
      assert.strictEqual(count(), 3)

      fail(1)
      const ambiguous = yield* drive(Effect.flip(client.put("/k", "v").pipe(RaftError.retry())))
      assert.strictEqual(ambiguous.outcome, "Ambiguous")
      assert.strictEqual(count(), 4)

      fail(100)
      const idempotent = client.delete("/k", { idempotent: true })
      const last = yield* drive(Effect.flip(RaftError.retry()(idempotent)))
      assert.isTrue(last.isSafeToRetry)
      assert.strictEqual(count(), 13, "8 times again")
      yield* drive(Effect.flip(RaftError.retry(Schedule.recurs(1))(idempotent)))
      assert.strictEqual(count(), 15)
    }))

  it("what etcd says of users and leases", () => {
    const adapter = EtcdAdapter.make()
    const key = Uint8Array.of(1)
    const put = adapter.put(key, key)
    const say = (code: number, details: string, call: { readonly judge: (answer: Answer) => unknown } = put) =>
      call.judge({ code, details, body: undefined, origin: "Server", header: () => undefined })
    const anonymous = ["etcdserver: user name is empty", "etcdserver: revision of auth store is old"]
    for (const details of anonymous) assert.deepInclude(say(3, details), { _tag: "Unauthenticated" })
    assert.deepInclude(say(2, "auth: revision in header is old"), { _tag: "Unauthenticated" })
    assert.deepInclude(say(16, "etcdserver: invalid auth token"), { _tag: "Unauthenticated" })
    assert.deepInclude(say(7, "etcdserver: permission denied"), { _tag: "Refused", why: "PermissionDenied" })
    const wrong = "etcdserver: authentication failed, invalid user ID or password"
    assert.deepInclude(say(3, wrong), { _tag: "Refused", why: "PermissionDenied" })
    assert.deepInclude(say(3, "etcdserver: key is not provided"), { _tag: "Refused", why: "InvalidRequest" })
    assert.deepInclude(say(5, "etcdserver: requested lease not found"), { _tag: "Refused", why: "LeaseNotFound" })
    const compacted = "etcdserver: mvcc: required revision has been compacted"
    assert.deepInclude(say(11, compacted), { _tag: "Refused", why: "Compacted" })
    // The quorum was asked before the right to what it would have told.
    assert.deepInclude(say(7, "etcdserver: permission denied", adapter.confirm), { _tag: "Done" })
    const off = "etcdserver: authentication is not enabled"
    assert.deepStrictEqual(say(9, off, adapter.login!.call("me", "")), { _tag: "Done", value: undefined })
    assert.deepInclude(say(5, "etcdserver: requested lease not found", adapter.leases!.revoke(1n)), { _tag: "Done" })
  })
})
