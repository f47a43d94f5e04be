/** What the suite of real Raft servers notices of a client that does not say what the wire said. */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import { type ClusterAdapter, DEngineAdapter, EtcdAdapter } from "@effect-scylla/raft-client"
import * as DEngine from "@effect-scylla/raft-client/generated/dengine/client_pb"
import * as Etcd from "@effect-scylla/raft-client/generated/etcd/rpc_pb"
import type { Answer, Channel } from "@effect-scylla/raft-client/Transport"
import type { RegisterFailure, Registers } from "@effect-scylla/testkit/RaftWorkload"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { dialects, Wire } from "./raftWire.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const message = <S extends DescMessage>(schema: S, init: MessageInitShape<S>): Answer => ({
  code: 0,
  details: "",
  body: toBinary(schema, create(schema, init)),
  origin: "Server",
  header: () => undefined
})
const failure = (code: number, details: string, origin: Answer["origin"] = "Server"): Answer => ({
  code,
  details,
  body: undefined,
  origin,
  header: () => undefined
})

const servers = [
  {
    kind: "d-engine",
    adapter: DEngineAdapter.make(),
    value: (value: string) =>
      message(DEngine.ClientResponseSchema, {
        successResult: { case: "readData", value: { results: [{ key: bytes("k"), value: bytes(value) }] } }
      }),
    written: (succeeded: boolean) =>
      message(DEngine.ClientResponseSchema, { successResult: { case: "writeResult", value: { succeeded } } }),
    swapped: (succeeded: boolean) =>
      message(DEngine.ClientResponseSchema, { successResult: { case: "writeResult", value: { succeeded } } }),
    denial: failure(9, "Not leader")
  },
  {
    kind: "etcd",
    adapter: EtcdAdapter.make(),
    value: (value: string) => message(Etcd.RangeResponseSchema, { kvs: [{ key: bytes("k"), value: bytes(value) }] }),
    written: () => message(Etcd.PutResponseSchema, {}),
    swapped: (succeeded: boolean) => message(Etcd.TxnResponseSchema, { succeeded }),
    denial: failure(14, "etcdserver: no leader")
  }
] as const

/** A wire on which servers answer as told, one answer for each attempt, and a way to send. */
const wired = (kind: keyof typeof dialects, answers: ReadonlyArray<Answer>) => {
  const wire = new Wire(dialects[kind])
  const left = [...answers]
  const channel: Channel = {
    isReady: () => true,
    connect: () => () => undefined,
    stream: () => assert.fail("no stream is expected"),
    close: () => undefined,
    unary: (_path, _body, _timeoutMillis, settle) => {
      settle(left.shift()!)
      return () => undefined
    }
  }
  const tapped = wire.tap({ open: () => channel }).open("127.0.0.1:1", {})
  const send = ({ body, path }: ClusterAdapter.Call<unknown>, times = 1) =>
    Effect.sync(() => {
      for (let i = 0; i < times; i++) tapped.unary(path, body, 1_000, () => undefined)
    })
  return { wire, send }
}

const ambiguous: RegisterFailure = { outcome: "Ambiguous" }
const lost = failure(14, "Connection dropped", "Client")

for (const { adapter, denial, kind, swapped, value, written } of servers) {
  describe(`the wire of ${kind}`, () => {
    const put = adapter.put(bytes("k"), bytes("v"), undefined)
    const swap = adapter.compareAndSwap(bytes("k"), bytes("u"), bytes("v"))
    const get = adapter.get([bytes("k")], "linearizable")
    /** What is held against a client that sends `call` so often and then says `says`. */
    const told = (
      operation: keyof Registers,
      says: Effect.Effect<any, RegisterFailure>,
      answers: ReadonlyArray<Answer>
    ) =>
      Effect.gen(function*() {
        const { send, wire } = wired(kind, answers)
        const call: ClusterAdapter.Call<unknown> = operation === "put" ? put : operation === "get" ? get : swap
        const client = Effect.andThen(send(call, answers.length), says)
        const registers = wire.heldTo({ get: () => client, put: () => client, compareAndSwap: () => client })
        yield* Effect.ignore(
          operation === "put"
            ? registers.put("k", "v")
            : operation === "get"
            ? registers.get("k")
            : registers.compareAndSwap("k", "u", "v")
        )
        return { untruths: wire.untruths.join("\n"), history: wire.history }
      })

    it.effect("bears out what is so", () =>
      Effect.gen(function*() {
        const cases = [
          yield* told("put", Effect.void, [written(true)]),
          yield* told("put", Effect.void, [denial, failure(14, "No connection established", "Client"), written(true)]),
          yield* told("put", Effect.fail(ambiguous), [denial, lost]),
          yield* told("put", Effect.fail({ outcome: "Rejected" }), [denial]),
          yield* told("put", Effect.fail({ outcome: "NotSent" }), []),
          yield* told("compareAndSwap", Effect.succeed(false), [swapped(false)]),
          yield* told("get", Effect.succeed("v"), [lost, value("v")]),
          yield* told("get", Effect.fail({ outcome: undefined }), [lost])
        ]
        assert.deepStrictEqual(cases.map(({ untruths }) => untruths), cases.map(() => ""))
        assert.deepStrictEqual(cases.map(({ history }) => history.map(({ end, operation }) => [operation, end])), [
          [[{ _tag: "Put", value: "v" }, 2]],
          [[{ _tag: "Put", value: "v" }, 4]],
          [[{ _tag: "Put", value: "v" }, undefined]],
          [],
          [],
          [[{ _tag: "CompareAndSwap", expected: "u", value: "v", succeeded: false }, 2]],
          [[{ _tag: "Get", value: "v" }, 3]],
          []
        ])
      }))

    it.effect("shows what is not", () =>
      Effect.gen(function*() {
        const untruths = (...given: Parameters<typeof told>) => Effect.map(told(...given), ({ untruths }) => untruths)
        assert.match(yield* untruths("put", Effect.void, [lost]), /the client says Done/)
        assert.match(yield* untruths("put", Effect.void, []), /the client says Done/)
        assert.match(yield* untruths("put", Effect.fail(ambiguous), [written(true)]), /the client says Ambiguous/)
        assert.match(yield* untruths("put", Effect.fail({ outcome: "Rejected" }), [lost]), /the client says Rejected/)
        assert.match(
          yield* untruths("put", Effect.void, [lost, written(true)]),
          /sent again; on the wire: Unclear, Done/
        )
        assert.match(yield* untruths("put", Effect.void, [written(true), written(true)]), /sent again/)
        assert.match(
          yield* untruths("compareAndSwap", Effect.succeed(true), [swapped(false)]),
          /swap, true.*swap, false/
        )
        assert.match(yield* untruths("get", Effect.succeed("w"), [value("v")]), /answers w, which no server did/)
        assert.match(yield* untruths("get", Effect.succeed("v"), [lost]), /which no server did/)
      }))
  })
}
