/** What becomes of a call when nodes fail, with each retry policy: `cassandra-driver` and ours beside each other, on simulated nodes. */
import { Frame, ServerError } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { libraries, optionsFor, type Side } from "./support/beside.ts"

const counted = { message: "late", consistency: "ONE", required: 1 } as const
const answers: Readonly<Record<string, ServerError.ServerError>> = {
  unavailable: new ServerError.Unavailable({ code: 0x1000, message: "no", consistency: "ONE", required: 1, alive: 0 }),
  "read timeout, no data": new ServerError.ReadTimeout({ ...counted, code: 0x1200, received: 1, dataPresent: false }),
  "read timeout, data": new ServerError.ReadTimeout({ ...counted, code: 0x1200, received: 0, dataPresent: true }),
  "write timeout": new ServerError.WriteTimeout({ ...counted, code: 0x1100, received: 0, writeType: "SIMPLE" }),
  "write timeout of the log": new ServerError.WriteTimeout({
    ...counted,
    code: 0x1100,
    received: 0,
    writeType: "BATCH_LOG"
  }),
  overloaded: new ServerError.Overloaded({ code: 0x1001, message: "busy" }),
  bootstrapping: new ServerError.IsBootstrapping({ code: 0x1002, message: "not yet" }),
  truncate: new ServerError.TruncateError({ code: 0x1003, message: "no" }),
  "server error": new ServerError.InternalServerError({ code: 0, message: "boom" }),
  invalid: new ServerError.InvalidRequest({ code: 0x2200, message: "not like this" })
}

const calls: Readonly<Record<string, (client: any) => Promise<any>>> = {
  "a read": (client) => client.execute("SELECT * FROM ks.t WHERE k = 'a'"),
  "an idempotent read": (client) =>
    client.execute("SELECT * FROM ks.t WHERE k = ?", ["a"], { prepare: true, isIdempotent: true }),
  "an idempotent write": (client) =>
    client.execute("INSERT INTO ks.t (k, v) VALUES (?, ?)", ["a", "b"], { prepare: true, isIdempotent: true }),
  "a write": (client) => client.execute("UPDATE ks.t SET l = l + [1] WHERE k = 'a'"),
  "an idempotent batch": (client) => client.batch(["INSERT INTO ks.t (k, v) VALUES ('a', 'b')"], { isIdempotent: true })
}

/** Policies of each library, by name; the first is the default of a client. */
const policiesOf = ({ policies: { retry } }: any): Record<string, any> => {
  const every = (decide: (policy: any, info: any) => unknown): any => {
    class Own extends retry.RetryPolicy {}
    for (const name of ["onUnavailable", "onReadTimeout", "onWriteTimeout", "onRequestError"]) {
      ;(Own.prototype as any)[name] = function(info: unknown) {
        return decide(this, info)
      }
    }
    return new Own()
  }
  return {
    "the default": new retry.RetryPolicy(),
    IdempotenceAwareRetryPolicy: new retry.IdempotenceAwareRetryPolicy(),
    FallthroughRetryPolicy: new retry.FallthroughRetryPolicy(),
    "always the next host": every((policy) => policy.retryResult(undefined, false)),
    "the same host, twice": every((policy, { nbRetry }) =>
      nbRetry < 2 ? policy.retryResult(undefined, true) : policy.rethrowResult()
    ),
    ignore: every(() => ({ decision: retry.RetryPolicy.retryDecision.ignore }))
  }
}

/** Where ours does otherwise, and why that is a choice. */
const isChoice = (policy: string, answer: string, call: string): boolean =>
  // The engine's own decisions: what is harmless goes on to another node.
  (policy === "the default" && ["overloaded", "bootstrapping", "truncate", "server error"].includes(answer)) ||
  // A write that is not idempotent is not sent again, whatever the error is called.
  (call === "a write" && answer.startsWith("read timeout"))

const DATA = new Set<number>([Frame.Opcode.QUERY, Frame.Opcode.EXECUTE, Frame.Opcode.BATCH])

const errorOf = (error: any): unknown => error && [error.constructor.name, error.code]

describe("retry policies and what servers answer", () => {
  for (const policy of Object.keys(policiesOf(libraries.theirs))) {
    it(`${policy}: as with cassandra-driver`, () =>
      Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make({ nodes: 3, transport: "tcp", product: "cassandra" })
        yield* Effect.promise(async () => {
          const options = optionsFor({ contactPoints: cluster.contactPoints, datacenter: cluster.datacenter })
          const clients = {} as Record<Side, any>
          for (const side of ["theirs", "ours"] as const) {
            const library: any = libraries[side]
            clients[side] = new library.Client({ ...options, policies: { retry: policiesOf(library)[policy] } })
            await clients[side].connect()
          }
          await clients.theirs.execute(
            "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}"
          )
          await clients.theirs.execute("CREATE TABLE ks.t (k text PRIMARY KEY, v text, l list<int>)")
          try {
            for (const [answer, error] of Object.entries(answers)) {
              for (const [call, run] of Object.entries(calls)) {
                for (const times of [1, 99]) {
                  const outcomes: Array<unknown> = []
                  for (const side of ["theirs", "ours"] as const) {
                    // Prepared, and all nodes have connections.
                    await run(clients[side])
                    for (const end = Date.now() + 10_000; Date.now() < end;) {
                      const hosts = clients[side].hosts.values()
                      if (hosts.every((host: any) => host.isUp() && host.pool.connections.length > 0)) break
                      await new Promise((resolve) => setTimeout(resolve, 5))
                    }
                    const asked: Array<number> = []
                    await Effect.runPromise(cluster.intercept(({ node, opcode, request }) => {
                      if (!DATA.has(opcode) || ("query" in request && /system/.test(String(request.query)))) return
                      asked.push(node)
                      return asked.length <= times ? { _tag: "Error", error } : undefined
                    }))
                    const result = await run(clients[side]).catch((error: any) => error)
                    await Effect.runPromise(cluster.intercept(undefined))
                    outcomes.push({
                      what: result instanceof Error ? errorOf(result) : "a result",
                      inner: result.innerErrors && Object.values(result.innerErrors).map(errorOf),
                      tried: result.info?.triedHosts && Object.values(result.info.triedHosts).map(errorOf),
                      asked: asked.length,
                      nodes: new Set(asked).size,
                      query: result.query
                    })
                  }
                  if (isChoice(policy, answer, call)) continue
                  assert.deepStrictEqual(
                    outcomes[1],
                    outcomes[0],
                    `${answer} to ${call}, ${times === 1 ? "once" : "always"}`
                  )
                }
              }
            }
          } finally {
            for (const client of Object.values(clients)) await client.shutdown()
          }
        })
      }))))
  }
})
