/** `worker.ts <ours|bare> <get|put> <inflight> <port> <requests>`: one client of the benchmark; prints one line of JSON. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { DEngineAdapter, RaftClient } from "@effect-scylla/raft-client"
import * as Pb from "@effect-scylla/raft-client/generated/dengine/client_pb"
import { Client, credentials } from "@grpc/grpc-js"
import { Effect, Exit, Scope } from "effect"

const [who, operation, inflightText, port, requestsText] = process.argv.slice(2)
const inflight = Number(inflightText)
const requests = Number(requestsText)
const endpoint = `127.0.0.1:${port}`
const encoder = new TextEncoder()
const key = encoder.encode("/bench/key")
const value = encoder.encode("x".repeat(200))

/** Begins one request and calls back when it has ended. */
type Send = (done: () => void) => void

const failed = (error: unknown): never => {
  console.error(error)
  process.exit(1)
}

/** What one writes with grpc-js and the same messages, without anything of ours. */
const bare = (): Send => {
  const client = new Client(endpoint, credentials.createInsecure())
  const serialize = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read = (bytes: Buffer): Pb.ClientResponse => fromBinary(Pb.ClientResponseSchema, bytes)
  const path = "/d_engine.client.RaftClientService/"
  return (done) => {
    const put = operation === "put"
    const body = put
      ? toBinary(
        Pb.ClientWriteRequestSchema,
        create(Pb.ClientWriteRequestSchema, {
          command: { operation: { case: "insert", value: create(Pb.WriteCommand_InsertSchema, { key, value }) } }
        })
      )
      : toBinary(
        Pb.ClientReadRequestSchema,
        create(Pb.ClientReadRequestSchema, {
          keys: [key],
          consistencyPolicy: Pb.ReadConsistencyPolicy.LINEARIZABLE_READ
        })
      )
    client.makeUnaryRequest(
      path + (put ? "HandleClientWrite" : "HandleClientRead"),
      serialize,
      read,
      body,
      { deadline: Date.now() + 10_000 },
      (error, response) => {
        if (error !== null || response!.error !== 0) failed(error)
        done()
      }
    )
  }
}

const ours = async (): Promise<Send> => {
  const scope = Effect.runSync(Scope.make())
  const client = await Effect.runPromise(
    Scope.provide(RaftClient.make({ endpoints: [endpoint], adapter: DEngineAdapter.make(), timeout: 10_000 }), scope)
  )
  return (done) => {
    const effect: Effect.Effect<unknown, unknown> = operation === "put" ? client.put(key, value) : client.get(key)
    Effect.runCallback(effect, {
      onExit: (exit) => Exit.isSuccess(exit) ? done() : failed(exit.cause)
    })
  }
}

const send = who === "ours" ? await ours() : bare()
let settle: () => void = () => {}
const loop = (count: number): Promise<void> =>
  new Promise((resolve) => {
    let begun = 0
    let ended = 0
    settle = () => {
      if (++ended === count) resolve()
      else if (begun < count) {
        begun++
        send(() => settle())
      }
    }
    while (begun < Math.min(inflight, count)) {
      begun++
      send(() => settle())
    }
  })

await loop(Math.ceil(requests / 3))
const before = process.cpuUsage()
await loop(requests)
const { system, user } = process.cpuUsage(before)
console.log(JSON.stringify({ cpuMicros: (system + user) / requests }))
process.exit(0)
