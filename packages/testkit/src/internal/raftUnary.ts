/** A bare unary call by grpc-js, for launchers, pollers and comparisons: nothing of the client under test. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf"
import { Client, credentials } from "@grpc/grpc-js"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"

export interface Bare {
  readonly call: <I extends DescMessage, O extends DescMessage>(
    path: string,
    input: I,
    request: MessageShape<I>,
    output: O,
    timeoutMillis: number
  ) => Promise<MessageShape<O>>
  readonly close: () => void
}

/** What one node says on a connection of its own; undefined when it says nothing. */
export const once = <A>(endpoint: string, ask: (bare: Bare) => Promise<A>): Effect.Effect<A | undefined> =>
  Effect.promise(async () => {
    const bare = open(endpoint)
    try {
      return await ask(bare)
    } catch {
      return undefined
    } finally {
      bare.close()
    }
  })

/** Rejects with grpc-js's own error. */
export const open = (endpoint: string): Bare => {
  const client = new Client(endpoint, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.min_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 100
  })
  return {
    call: (path, input, request, output, timeoutMillis) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          (message: typeof request) => Buffer.from(toBinary(input, message)),
          (bytes: Buffer) => fromBinary(output, bytes),
          request,
          { deadline: Date.now() + timeoutMillis },
          (error, value) => error === null ? resolve(value!) : reject(error)
        )
      }),
    close: () => client.close()
  }
}
