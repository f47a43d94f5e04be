/** What became of a request, and whether it is sent again: a test for each row (`docs/architecture.md`, what must always hold: writes). */
import { type CqlError, RetryPolicy, type StatementKind } from "@effect-scylla/driver"
import { PoolError } from "@effect-scylla/pool"
import { ProtocolError, ServerError } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"

type Kind = StatementKind.StatementKind

const read: Kind = { type: "read", isConditional: false, isSinglePartition: false }
const write: Kind = { type: "write", isConditional: false, isSinglePartition: true }
const writeIn: Kind = { type: "write", isConditional: false, isSinglePartition: false }
const lwt: Kind = { type: "write", isConditional: true, isSinglePartition: true }
const logged: Kind = { type: "batch", isConditional: false, isSinglePartition: false, batch: "logged" }
const unlogged: Kind = { type: "batch", isConditional: false, isSinglePartition: false, batch: "unlogged" }
const schema: Kind = { type: "schema", isConditional: false, isSinglePartition: false }

const plain = { message: "m", code: 0 }
const counted = { ...plain, consistency: "QUORUM", received: 1, required: 2 } as const

const reasons: Record<string, CqlError.CqlReason> = {
  InternalServerError: new ServerError.InternalServerError(plain),
  ProtocolError: new ServerError.ProtocolError(plain),
  BadCredentials: new ServerError.BadCredentials(plain),
  Unavailable: new ServerError.Unavailable({ ...plain, consistency: "QUORUM", required: 2, alive: 1 }),
  Overloaded: new ServerError.Overloaded(plain),
  IsBootstrapping: new ServerError.IsBootstrapping(plain),
  TruncateError: new ServerError.TruncateError(plain),
  WriteTimeout: new ServerError.WriteTimeout({ ...counted, writeType: "SIMPLE" }),
  WriteTimeoutBatchLog: new ServerError.WriteTimeout({ ...counted, writeType: "BATCH_LOG" }),
  WriteTimeoutCas: new ServerError.WriteTimeout({ ...counted, writeType: "CAS" }),
  ReadTimeout: new ServerError.ReadTimeout({ ...counted, dataPresent: false }),
  ReadTimeoutNoData: new ServerError.ReadTimeout({ ...counted, received: 2, dataPresent: false }),
  ReadTimeoutData: new ServerError.ReadTimeout({ ...counted, received: 2, dataPresent: true }),
  ReadFailure: new ServerError.ReadFailure({ ...counted, failures: 1, dataPresent: false }),
  FunctionFailure: new ServerError.FunctionFailure({ ...plain, keyspace: "k", function: "f", argTypes: [] }),
  WriteFailure: new ServerError.WriteFailure({ ...counted, failures: 1, writeType: "SIMPLE" }),
  CdcWriteFailure: new ServerError.CdcWriteFailure(plain),
  CasWriteUnknown: new ServerError.CasWriteUnknown(counted),
  CqlSyntaxError: new ServerError.CqlSyntaxError(plain),
  Unauthorized: new ServerError.Unauthorized(plain),
  InvalidRequest: new ServerError.InvalidRequest(plain),
  ConfigError: new ServerError.ConfigError(plain),
  AlreadyExists: new ServerError.AlreadyExists({ ...plain, keyspace: "k", table: "t" }),
  Unprepared: new ServerError.Unprepared({ ...plain, id: new Uint8Array(16) }),
  RateLimitCoordinator: new ServerError.RateLimitReached({ ...plain, operation: "write", rejectedByCoordinator: true }),
  RateLimitReplicas: new ServerError.RateLimitReached({ ...plain, operation: "write", rejectedByCoordinator: false }),
  UnknownServerError: new ServerError.UnknownServerError(plain),
  ConnectionLost: new PoolError.ConnectionLost({ message: "m" }),
  ConnectionClosed: new PoolError.ConnectionClosed({ message: "m" }),
  HeartbeatTimeout: new PoolError.HeartbeatTimeout({ message: "m" }),
  ProtocolViolation: new PoolError.ProtocolViolation({ message: "m" }),
  MalformedResponse: new PoolError.MalformedResponse({ message: "m" }),
  RequestTimeout: new PoolError.RequestTimeout({ message: "m" }),
  ConnectionBusy: new PoolError.ConnectionBusy({ message: "m" }),
  EncodeError: new ProtocolError.EncodeError({ message: "m", path: "p", cqlType: "int" })
}

describe("outcomeOf", () => {
  it("a read is never a write outcome", () => {
    for (const reason of Object.values(reasons)) {
      assert.isUndefined(RetryPolicy.outcomeOf({ reason, sent: true, kind: read }))
      assert.isUndefined(RetryPolicy.outcomeOf({ reason, sent: false, kind: read }))
    }
  })

  it("what was never given to the socket is NotSent, whatever it was", () => {
    for (const reason of Object.values(reasons)) {
      for (const kind of [write, writeIn, lwt, logged, unlogged, schema]) {
        assert.strictEqual(RetryPolicy.outcomeOf({ reason, sent: false, kind }), "NotSent")
      }
    }
  })

  const rejected = new Set([
    "ProtocolError",
    "BadCredentials",
    "IsBootstrapping",
    "CqlSyntaxError",
    "Unauthorized",
    "InvalidRequest",
    "ConfigError",
    "AlreadyExists",
    "Unprepared",
    "RateLimitCoordinator"
  ])
  for (const [name, reason] of Object.entries(reasons)) {
    if (name === "Unavailable") continue
    const expected = rejected.has(name) ? "Rejected" : "Ambiguous"
    it(`${name} is ${expected}`, () => {
      for (const kind of [write, writeIn, lwt, logged, unlogged, schema]) {
        assert.strictEqual(RetryPolicy.outcomeOf({ reason, sent: true, kind }), expected)
      }
    })
  }

  it.each(
    [
      ["a single-partition write", write, "Rejected"],
      ["a logged batch", logged, "Rejected"],
      ["a write of several partitions", writeIn, "Ambiguous"],
      ["a conditional write", lwt, "Ambiguous"],
      ["a logged batch with a condition", { ...logged, isConditional: true }, "Ambiguous"],
      ["an unlogged batch", unlogged, "Ambiguous"],
      ["a schema change", schema, "Ambiguous"]
    ] as const
  )("Unavailable of %s", (_, kind, expected) => {
    assert.strictEqual(RetryPolicy.outcomeOf({ reason: reasons["Unavailable"]!, sent: true, kind }), expected)
  })
})

describe("decide", () => {
  const decide = (name: string, kind: Kind, more: Partial<RetryPolicy.Failure> = {}): RetryPolicy.Decision =>
    RetryPolicy.decide({
      reason: reasons[name]!,
      sent: true,
      kind,
      isIdempotent: false,
      isSerial: false,
      sameNode: 0,
      unavailable: 0,
      ...more
    })

  const nextForSafe = [
    "ConnectionLost",
    "ConnectionClosed",
    "HeartbeatTimeout",
    "ProtocolViolation",
    "Overloaded",
    "InternalServerError",
    "TruncateError"
  ]
  it.each(nextForSafe)("%s: reads and idempotent writes go to the next node, others fail", (name) => {
    assert.strictEqual(decide(name, read), "NextNode")
    assert.strictEqual(decide(name, write, { isIdempotent: true }), "NextNode")
    assert.strictEqual(decide(name, write), "Fail")
    assert.strictEqual(decide(name, unlogged), "Fail")
  })

  const always = [
    "CqlSyntaxError",
    "InvalidRequest",
    "Unauthorized",
    "ConfigError",
    "AlreadyExists",
    "RateLimitCoordinator",
    "RateLimitReplicas",
    "ProtocolError",
    "BadCredentials",
    "FunctionFailure",
    "ReadFailure",
    "WriteFailure",
    "CdcWriteFailure",
    "CasWriteUnknown",
    "MalformedResponse",
    "RequestTimeout",
    "UnknownServerError",
    "WriteTimeout",
    "WriteTimeoutCas"
  ]
  it.each(always)("%s is never repeated", (name) => {
    for (const kind of [read, write, lwt, logged]) {
      assert.strictEqual(decide(name, kind, { isIdempotent: true }), "Fail")
    }
  })

  it("IsBootstrapping goes to the next node, whatever it was", () => {
    for (const kind of [read, write, lwt, unlogged, schema]) {
      assert.strictEqual(decide("IsBootstrapping", kind), "NextNode")
    }
  })

  it("Unavailable goes to the next node once, if it certainly did nothing or may be repeated", () => {
    assert.strictEqual(decide("Unavailable", read), "NextNode")
    assert.strictEqual(decide("Unavailable", write), "NextNode")
    assert.strictEqual(decide("Unavailable", logged), "NextNode")
    assert.strictEqual(decide("Unavailable", unlogged), "Fail")
    assert.strictEqual(decide("Unavailable", unlogged, { isIdempotent: true }), "NextNode")
    assert.strictEqual(decide("Unavailable", lwt), "Fail")
    assert.strictEqual(decide("Unavailable", read, { unavailable: 1 }), "Fail")
  })

  it("ReadTimeout is repeated once on the same node when only the data was missing", () => {
    assert.strictEqual(decide("ReadTimeoutNoData", read), "SameNode")
    assert.strictEqual(decide("ReadTimeoutNoData", read, { sameNode: 1 }), "Fail")
    assert.strictEqual(decide("ReadTimeoutData", read), "Fail")
    assert.strictEqual(decide("ReadTimeout", read), "Fail")
  })

  it("WriteTimeout of the batch log is repeated once, if that is harmless", () => {
    assert.strictEqual(decide("WriteTimeoutBatchLog", logged, { isIdempotent: true }), "SameNode")
    assert.strictEqual(decide("WriteTimeoutBatchLog", logged), "Fail")
    assert.strictEqual(decide("WriteTimeoutBatchLog", logged, { isIdempotent: true, sameNode: 1 }), "Fail")
  })

  it("conditional statements and serial reads are repeated only when they certainly did nothing", () => {
    for (const name of Object.keys(reasons)) {
      const expected = name === "IsBootstrapping" ? "NextNode" : "Fail"
      assert.strictEqual(decide(name, lwt, { isIdempotent: true }), expected, name)
      assert.strictEqual(decide(name, read, { isSerial: true }), expected, name)
      // Its own node first: two coordinators of a row contend.
      const isFinal = name === "EncodeError" || name === "RequestTimeout"
      assert.strictEqual(decide(name, lwt, { sent: false }), isFinal ? "Fail" : "SameNode", name)
      assert.strictEqual(decide(name, lwt, { sent: false, sameNode: 1 }), isFinal ? "Fail" : "NextNode", name)
    }
  })

  it("what was not sent goes to the next node, unless no node would take it", () => {
    assert.strictEqual(decide("ConnectionBusy", write, { sent: false }), "NextNode")
    assert.strictEqual(decide("ConnectionLost", write, { sent: false }), "NextNode")
    assert.strictEqual(decide("EncodeError", write, { sent: false }), "Fail")
  })
})
