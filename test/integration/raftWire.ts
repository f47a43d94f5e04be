/**
 * What goes over the wire between a Raft client and its cluster, each attempt with its answer: so that a history which is not
 * linearizable can be laid at the right door. What the wire already shows is the server's doing; what it does not show is the
 * client's. And every word of the client is held against the wire at once.
 */
import { fromBinary } from "@bufbuild/protobuf"
import type { RaftError } from "@effect-scylla/raft-client"
import * as DEngine from "@effect-scylla/raft-client/generated/dengine/client_pb"
import { ErrorCode } from "@effect-scylla/raft-client/generated/dengine/error_pb"
import * as Etcd from "@effect-scylla/raft-client/generated/etcd/rpc_pb"
import type { Answer, Transport } from "@effect-scylla/raft-client/Transport"
import type { Entry, Operation } from "@effect-scylla/testkit/RaftHistory"
import type { Registers } from "@effect-scylla/testkit/RaftWorkload"
import { Effect } from "effect"

/** What a message asks for; `undefined` for what is no linearizable operation on one key. */
export interface Asked {
  readonly key: string
  readonly write: boolean
  /** What was done and seen, once the answer is there. `undefined`: the answer is an error. */
  readonly answered: (body: Uint8Array) => Operation | undefined
  /** What may have been done where no answer tells. */
  readonly unanswered: Operation
}

/** How a server speaks, read by nothing of the client's but the generated messages. */
export interface Dialect {
  readonly ask: (path: string, body: Uint8Array) => Asked | undefined
  /** Whether the server says by this that nothing was done. */
  readonly denies: (answer: Answer) => boolean
}

export const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes)

const asked = (
  key: Uint8Array | undefined,
  write: boolean,
  unanswered: Operation,
  answered: Asked["answered"]
): Asked => ({ key: text(key)!, write, unanswered, answered })

const nothingSeen: Operation = { _tag: "Get", value: undefined }

const dEngineWrite = (body: Uint8Array): Asked | undefined => {
  const operation = fromBinary(DEngine.ClientWriteRequestSchema, body).command?.operation
  const ask = (key: Uint8Array, done: (succeeded: boolean) => Operation | undefined) =>
    asked(key, true, done(true)!, (body) => {
      const { error, successResult } = fromBinary(DEngine.ClientResponseSchema, body)
      return error === ErrorCode.SUCCESS && successResult.case === "writeResult"
        ? done(successResult.value.succeeded)
        : undefined
    })
  switch (operation?.case) {
    case "insert": {
      const { key, value } = operation.value
      return ask(key, (succeeded) => succeeded ? { _tag: "Put", value: text(value) } : undefined)
    }
    case "compareAndSwap": {
      const { expectedValue, key, newValue } = operation.value
      const swap = { _tag: "CompareAndSwap", expected: text(expectedValue), value: text(newValue)! } as const
      return ask(key, (succeeded) => ({ ...swap, succeeded }))
    }
    default:
      return undefined
  }
}

const dEngine: Dialect = {
  ask: (path, body) => {
    if (path.endsWith("/HandleClientWrite")) return dEngineWrite(body)
    if (!path.endsWith("/HandleClientRead")) return undefined
    const { consistencyPolicy, keys } = fromBinary(DEngine.ClientReadRequestSchema, body)
    if (keys.length !== 1 || consistencyPolicy !== DEngine.ReadConsistencyPolicy.LINEARIZABLE_READ) return undefined
    return asked(keys[0], false, nothingSeen, (body) => {
      const { error, successResult } = fromBinary(DEngine.ClientResponseSchema, body)
      return error === ErrorCode.SUCCESS && successResult.case === "readData"
        ? { _tag: "Get", value: text(successResult.value.results[0]?.value) }
        : undefined
    })
  },
  denies: ({ body, code, details }) =>
    code === 0
      ? body !== undefined && fromBinary(DEngine.ClientResponseSchema, body).error === ErrorCode.NOT_LEADER
      : /not leader/i.test(details) || /^(Service is not ready|LeaderNotReady)/.test(details)
}

const etcd: Dialect = {
  ask: (path, body) => {
    switch (path.slice(path.lastIndexOf("/"))) {
      case "/Range": {
        const { key, rangeEnd, serializable } = fromBinary(Etcd.RangeRequestSchema, body)
        if (rangeEnd.length > 0 || serializable) return undefined
        return asked(key, false, nothingSeen, (body) => ({
          _tag: "Get",
          value: text(fromBinary(Etcd.RangeResponseSchema, body).kvs[0]?.value)
        }))
      }
      case "/Put": {
        const { key, value } = fromBinary(Etcd.PutRequestSchema, body)
        const put = { _tag: "Put", value: text(value) } as const
        return asked(key, true, put, () => put)
      }
      case "/Txn": {
        const { compare: [compare], success: [first] } = fromBinary(Etcd.TxnRequestSchema, body)
        if (compare === undefined || first?.request.case !== "requestPut") return undefined
        const expected = compare.targetUnion.case === "value" ? text(compare.targetUnion.value) : undefined
        const swap = { _tag: "CompareAndSwap", expected, value: text(first.request.value.value)! } as const
        return asked(compare.key, true, { ...swap, succeeded: true }, (body) => ({
          ...swap,
          succeeded: fromBinary(Etcd.TxnResponseSchema, body).succeeded
        }))
      }
      default:
        return undefined
    }
  },
  denies: ({ code, details }) =>
    (code === 9 && /not leader/.test(details)) || (code === 14 && /no leader/.test(details))
}

export const dialects = { "d-engine": dEngine, etcd } as const

interface Attempt {
  readonly asked: Asked
  readonly start: number
  /** `undefined` while nobody knows. */
  end: number | undefined
  became: "Done" | "Denied" | "Unclear"
  operation: Operation
}

const saw = (operation: Operation): string =>
  operation._tag === "CompareAndSwap" ? `swap, ${operation.succeeded}` : `${operation._tag} of ${operation.value}`

export class Wire {
  private readonly attempts: Array<Attempt> = []
  private moment = 0
  private readonly dialect: Dialect
  /** What the client said that the wire does not bear out. */
  readonly untruths: Array<string> = []

  constructor(dialect: Dialect) {
    this.dialect = dialect
  }

  /** The transport, overheard. */
  readonly tap = (transport: Transport): Transport => ({
    open: (address, options) => {
      const channel = transport.open(address, options)
      return {
        isReady: () => channel.isReady(),
        connect: (timeoutMillis, settle) => channel.connect(timeoutMillis, settle),
        stream: (path, body, both, handlers) => channel.stream(path, body, both, handlers),
        close: () => channel.close(),
        unary: (path, body, timeoutMillis, settle) => {
          const asked = this.dialect.ask(path, body)
          if (asked === undefined) return channel.unary(path, body, timeoutMillis, settle)
          const attempt: Attempt = {
            asked,
            start: ++this.moment,
            end: undefined,
            became: "Unclear",
            operation: asked.unanswered
          }
          this.attempts.push(attempt)
          return channel.unary(path, body, timeoutMillis, (answer) => {
            this.settle(attempt, answer)
            settle(answer)
          })
        }
      }
    }
  })

  private settle(attempt: Attempt, answer: Answer): void {
    const operation = answer.code === 0 && answer.body !== undefined ? attempt.asked.answered(answer.body) : undefined
    if (operation !== undefined) {
      attempt.operation = operation
      attempt.became = "Done"
      attempt.end = ++this.moment
    } else if (answer.origin === "Server" ? this.dialect.denies(answer) : answer.details.startsWith("No connection")) {
      attempt.became = "Denied"
    }
  }

  /** What the servers answered, as if each attempt were a client's only one. */
  get history(): ReadonlyArray<Entry> {
    return this.attempts.flatMap(({ asked: { key, write }, became, end, operation, start }) =>
      became === "Done" || (became === "Unclear" && write) ? [{ key, operation, start, end }] : []
    )
  }

  /** The registers of a client on this transport, each of whose answers is compared with what was overheard. */
  readonly heldTo = (registers: Registers): Registers => ({
    get: (key) =>
      Effect.suspend(() => {
        const first = this.attempts.length
        return Effect.tap(registers.get(key), (value) =>
          Effect.sync(() => {
            const told = this.attempts.slice(first).some((attempt) =>
              attempt.became === "Done" && attempt.asked.key === key && attempt.operation._tag === "Get" &&
              attempt.operation.value === value
            )
            if (!told) this.untruths.push(`get ${key} answers ${value}, which no server did meanwhile`)
          }))
      }),
    put: (key, value) => this.write(registers.put(key, value), key, value, () => ({ _tag: "Put", value })),
    compareAndSwap: (key, expected, value) =>
      this.write(registers.compareAndSwap(key, expected, value), key, value, (succeeded) => ({
        _tag: "CompareAndSwap",
        expected,
        value,
        succeeded
      }))
  })

  /** A value is written by one operation only, so that its attempts are those with this value. */
  private write<A, E extends { readonly outcome: RaftError.Outcome | undefined }>(
    effect: Effect.Effect<A, E>,
    key: string,
    value: string,
    done: (result: A) => Operation
  ): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const first = this.attempts.length
      const compare = (says: "Done" | RaftError.Outcome | undefined, operation: Operation | undefined) =>
        Effect.sync(() => {
          const attempts = this.attempts.slice(first).filter((attempt) =>
            attempt.asked.key === key && attempt.asked.write && "value" in attempt.operation &&
            attempt.operation.value === value
          )
          const last = attempts.at(-1)
          const wire = attempts.map(({ became }) => became).join(", ")
          const complain = (what: string) => this.untruths.push(`${key} = ${value}: ${what}; on the wire: ${wire}`)
          if (attempts.slice(0, -1).some(({ became }) => became !== "Denied")) complain("sent again")
          const fits = last?.became === "Done"
            ? says === "Done"
            : last?.became === "Unclear"
            ? says === "Ambiguous"
            : says === "Rejected" || says === "NotSent"
          if (!fits) complain(`the client says ${says}`)
          if (says === "Done" && last !== undefined && saw(last.operation) !== saw(operation!)) {
            complain(`the client says ${saw(operation!)}, the server ${saw(last.operation)}`)
          }
        })
      return Effect.tapError(
        Effect.tap(effect, (result) => compare("Done", done(result))),
        ({ outcome }) => compare(outcome, undefined)
      )
    })
  }
}
