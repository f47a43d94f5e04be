/**
 * What real servers say, by bare calls: the facts on which the adapters rest. When a new version changes one of them, this is
 * where it shows.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { DEngineAdapter, EtcdAdapter } from "@effect-scylla/raft-client"
import * as Pb from "@effect-scylla/raft-client/generated/dengine/client_pb"
import { ClusterMembershipSchema } from "@effect-scylla/raft-client/generated/dengine/cluster_pb"
import type { Answer } from "@effect-scylla/raft-client/Transport"
import * as Transport from "@effect-scylla/raft-client/Transport"
import type { RaftServer } from "@effect-scylla/testkit/RaftServer"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { instead, raftServers } from "./raftServers.ts"

class Server extends Context.Service<Server, RaftServer>()("test/RaftServerDialects") {}

type Ask = (call: { readonly path: string; readonly body: Uint8Array }) => Effect.Effect<Answer>

/** Calls to one node, and nothing else. */
const ask = (endpoint: string): Effect.Effect<Ask, never, Scope.Scope> =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const channel = yield* Effect.acquireRelease(
      Effect.sync(() => transport.open(endpoint, {})),
      (channel) => Effect.sync(channel.close)
    )
    const error = yield* Effect.callback<string | undefined>((resume) => {
      channel.connect(5_000, (error) => resume(Effect.succeed(error)))
    })
    if (error !== undefined) return yield* Effect.die(new Error(`${endpoint}: ${error}`))
    return ({ body, path }) =>
      Effect.callback((resume) => {
        channel.unary(path, body, 2_000, (answer) => resume(Effect.succeed(answer)))
      })
  })

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

for (const { kind, make, missing } of raftServers) {
  if (missing !== undefined) {
    instead(`answers of ${kind}`, missing)
    continue
  }
  describe(`answers of ${kind}`, () => {
    layer(Layer.effect(Server, make), { excludeTestServices: true, timeout: "120 seconds" })("", (it) => {
      const ends = Effect.gen(function*() {
        const server = yield* Server
        yield* server.awaitReady
        const leader = (yield* server.leader)!
        const follower = server.endpoints.find((endpoint) => endpoint !== leader)!
        return {
          server,
          leader: yield* ask(leader),
          follower: yield* ask(follower),
          leaderAt: leader,
          followerAt: follower
        }
      })

      if (kind === "d-engine") {
        const adapter = DEngineAdapter.make({ ttl: true })
        it.effect("every node names the leader; only the leader answers DiscoverLeader; the version is 0", () =>
          Effect.gen(function*() {
            const { follower, followerAt, leader, leaderAt } = yield* ends
            const probe = (ask: Ask, at: string) =>
              Effect.map(
                Effect.forEach(adapter.probe, ask),
                (answers) => ({ answers, claim: adapter.readProbe(at, answers, (address) => address) })
              )
            const lead = yield* probe(leader, leaderAt)
            const follow = yield* probe(follower, followerAt)
            assert.isFalse("_tag" in lead.claim || "_tag" in follow.claim)
            if ("_tag" in lead.claim || "_tag" in follow.claim) return
            assert.isTrue(lead.claim.selfClaim)
            assert.isAbove(Number(lead.claim.term), 0)
            assert.isFalse(follow.claim.selfClaim)
            assert.strictEqual(follow.claim.leader, lead.claim.self)
            assert.lengthOf(follow.claim.members, 3)
            assert.strictEqual(fromBinary(ClusterMembershipSchema, follow.answers[0]!.body!).version, 0n)
            assert.deepInclude(follow.answers[1], { code: 7, origin: "Server" })
          }))

        it.effect("a follower refuses all but eventual reads by FAILED_PRECONDITION, without a hint", () =>
          Effect.gen(function*() {
            const { follower } = yield* ends
            const key = bytes("/d/k")
            const calls = [
              adapter.put(key, key),
              adapter.delete(key),
              adapter.compareAndSwap(key, undefined, key),
              adapter.get([key], "linearizable"),
              adapter.get([key], "lease"),
              adapter.get([key], undefined),
              adapter.scan(bytes("/d/"))
            ]
            for (const call of calls) {
              const answer = yield* follower(call)
              assert.deepInclude(answer, { code: 9, details: "Not leader", origin: "Server" })
              assert.isUndefined(answer.header("x-raft-leader"))
              assert.deepStrictEqual(call.judge(answer)._tag, "NotLeader")
            }
            const eventual = adapter.get([key], "eventual")
            assert.strictEqual(eventual.judge(yield* follower(eventual))._tag, "Done")
          }))

        it.effect("results of writes: matched, not matched, absent and empty told apart", () =>
          Effect.gen(function*() {
            const { leader } = yield* ends
            const key = bytes("/d/cas")
            const swap = (expected: string | undefined, value: string) =>
              Effect.gen(function*() {
                const call = adapter.compareAndSwap(
                  key,
                  expected === undefined ? undefined : bytes(expected),
                  bytes(value)
                )
                const answer = yield* leader(call)
                const response = fromBinary(Pb.ClientResponseSchema, answer.body!)
                assert.strictEqual(response.error, 0)
                assert.strictEqual(response.successResult.case, "writeResult")
                return response.successResult.value
              })
            const succeeded = (result: unknown) => (result as { readonly succeeded: boolean }).succeeded
            assert.isFalse(succeeded(yield* swap("", "no")))
            assert.isTrue(succeeded(yield* swap(undefined, "")))
            assert.isFalse(succeeded(yield* swap(undefined, "no")))
            assert.isTrue(succeeded(yield* swap("", "1")))
            const gone = adapter.delete(bytes("/d/never"))
            assert.strictEqual(gone.judge(yield* leader(gone))._tag, "Done")
          }))

        it.effect("a scan is a ScanResponse with a revision, in any order; an empty command is INVALID_ARGUMENT", () =>
          Effect.gen(function*() {
            const { leader } = yield* ends
            for (const key of ["/scan/b", "/scan/a"]) yield* leader(adapter.put(bytes(key), bytes("v")))
            const scan = adapter.scan(bytes("/scan/"))
            const answer = yield* leader(scan)
            const read = fromBinary(Pb.ScanResponseSchema, answer.body!)
            assert.lengthOf(read.entries, 2)
            assert.isAbove(Number(read.revision), 0)
            assert.strictEqual(scan.judge(answer)._tag, "Done")
            const empty = yield* leader({
              path: adapter.put(bytes("k"), bytes("v")).path,
              body: toBinary(Pb.ClientWriteRequestSchema, create(Pb.ClientWriteRequestSchema, {}))
            })
            assert.deepInclude(empty, { code: 3, origin: "Server" })
          }))

        it.effect("a request above 4 MiB is refused before it is applied", () =>
          Effect.gen(function*() {
            const { leader } = yield* ends
            const call = adapter.put(bytes("/d/big"), new Uint8Array(5 * 1024 * 1024))
            const answer = yield* leader(call)
            assert.deepInclude(answer, { code: 11, origin: "Server" })
            assert.deepInclude(call.judge(answer), { _tag: "Refused", why: "MessageTooLarge" })
          }))
      } else {
        const adapter = EtcdAdapter.make()
        it.effect("every member tells itself, the leader, the term and the cluster", () =>
          Effect.gen(function*() {
            const { follower, followerAt, leader, leaderAt } = yield* ends
            const probe = (ask: Ask, at: string) =>
              Effect.map(
                Effect.forEach(adapter.probe, ask),
                (answers) => adapter.readProbe(at, answers, (address) => address)
              )
            const lead = yield* probe(leader, leaderAt)
            const follow = yield* probe(follower, followerAt)
            assert.isFalse("_tag" in lead || "_tag" in follow)
            if ("_tag" in lead || "_tag" in follow) return
            assert.isTrue(lead.selfClaim)
            assert.isFalse(follow.selfClaim)
            assert.strictEqual(follow.leader, lead.self)
            assert.strictEqual(follow.cluster, lead.cluster)
            assert.strictEqual(follow.term, lead.term)
            assert.sameMembers(follow.members.map(({ address }) => address), [...(yield* Server).endpoints])
          }))

        it.effect("writes carry revisions, and a request that is too large is INVALID_ARGUMENT", () =>
          Effect.gen(function*() {
            const { leader } = yield* ends
            const put = adapter.put(bytes("/d/k"), bytes("v"))
            const verdict = put.judge(yield* leader(put))
            assert.isTrue(
              verdict._tag === "Done" && verdict.value.revision !== undefined && verdict.value.revision > 0n
            )
            const big = adapter.put(bytes("/d/big"), new Uint8Array(1_900_000))
            assert.deepInclude(big.judge(yield* leader(big)), { _tag: "Refused", why: "MessageTooLarge" })
          }))
      }
    })
  })
}
