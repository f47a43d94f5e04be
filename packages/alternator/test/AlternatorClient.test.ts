import {
  AlternatorClient,
  type AlternatorError,
  AlternatorNodes,
  type AttributeValue,
  Auth
} from "@effect-scylla/alternator"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { deflateRawSync, deflateSync, gzipSync } from "node:zlib"
import { Random } from "../../../test/support/random.ts"
import { counter, key, open, operations, put, serverError, three, total, within } from "./support/simulated.ts"

describe("AlternatorClient", () => {
  describe("outcomes", () => {
    it.effect("a refused node is passed by at once, however often, and costs no attempt", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation, { maxAttempts: 1, health: false })
        simulation.node("10.0.0.1").condition = "refusing"
        simulation.node("10.0.0.3").condition = "refusing"
        for (let i = 0; i < 50; i++) yield* client.putItem(put)
        assert.deepStrictEqual(operations(simulation), [0, 50, 0])
      }))

    it.effect("nodes join that refuse, die and leave: no request fails, and none goes to a stranger", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        const random = new Random(99)
        for (let second = 0; second < 200; second++) {
          const others = simulation.nodes.slice(1)
          const node = others[random.below(others.length)]!
          const event = random.below(3)
          if (second % 20 === 0) simulation.add({ host: `10.0.1.${second}` }).condition = "refusing"
          else if (event === 0) node.condition = node.condition === "up" ? "refusing" : "up"
          else if (event === 1) node.isListed = !node.isListed
          const requests = Effect.all(
            Array.from({ length: 10 }, (_, i) => i % 2 === 0 ? client.getItem(key) : client.updateItem(counter)),
            { concurrency: "unbounded" }
          )
          yield* within(requests, 1)
          for (const { host } of client.nodes.current().nodes) simulation.node(host)
        }
        assert.strictEqual(total(simulation), 2000)
        assert.deepStrictEqual(simulation.strangers, [])
      }))

    it.effect("nobody can be reached: NotSent, retryable, with the attempts, before the deadline", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        for (const node of simulation.nodes) node.condition = "refusing"
        const error = yield* within(Effect.flip(client.updateItem(counter)), 12)
        assert.strictEqual(error.reason._tag, "NodeUnreachable")
        assert.strictEqual(error.outcome, "NotSent")
        assert.isTrue(error.isRetryable)
        assert.strictEqual(error.attempts.length, 12)
        assert.strictEqual(new Set(error.attempts.slice(0, 3).map(({ node }) => node)).size, 3)
        assert.strictEqual(error.operation, "UpdateItem")
      }))

    it.effect.each(["resetting", "failing", "silent"] as const)(
      "a node that is %s: safe requests go on to another, others fail as Ambiguous after one attempt",
      (condition) =>
        Effect.gen(function*() {
          const simulation = three()
          const client = yield* open(simulation, { balancing: "round-robin", health: false })
          for (const node of simulation.nodes) node.condition = condition
          const error = yield* within(Effect.flip(client.updateItem(counter)), 13)
          assert.strictEqual(error.outcome, "Ambiguous")
          assert.strictEqual(error.attempts.length, 1)
          const safe = yield* within(Effect.flip(client.putItem(put)), 13)
          assert.strictEqual(safe.outcome, "Ambiguous")
          assert.isAbove(safe.attempts.length, 2)
          assert.isAbove(new Set(safe.attempts.map(({ node }) => node)).size, 2)
          simulation.node("10.0.0.2").condition = "up"
          for (let i = 0; i < 5; i++) yield* within(client.putItem(put), 7)
        })
    )

    it.effect("idempotent says that it is safe, or that it is not", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        for (const node of simulation.nodes) node.condition = "resetting"
        assert.strictEqual(
          (yield* within(Effect.flip(client.updateItem(counter, { idempotent: true })), 5)).attempts.length,
          4
        )
        assert.strictEqual(
          (yield* within(Effect.flip(client.putItem(put, { idempotent: false })), 5)).attempts.length,
          1
        )
      }))

    it.effect.each(
      [
        ["ConditionalCheckFailedException", "ConditionalCheckFailed"],
        ["ResourceNotFoundException", "ResourceNotFound"],
        ["ResourceInUseException", "ResourceInUse"],
        ["ValidationException", "ValidationFailed"],
        ["UnrecognizedClientException", "AccessRefused"],
        ["AccessDeniedException", "AccessRefused"],
        ["UnknownOperationException", "UnknownOperation"],
        ["PayloadTooLarge", "PayloadTooLarge"],
        ["SomethingNewException", "ServerRejected"]
      ] as const
    )("%s is %s, Rejected, and tried once", ([type, tag]) =>
      Effect.gen(function*() {
        const simulation = three(() => serverError(type))
        const client = yield* open(simulation)
        const error = yield* Effect.flip(client.putItem(put))
        assert.strictEqual(error.reason._tag, tag)
        assert.strictEqual(error.outcome, "Rejected")
        assert.isFalse(error.isRetryable)
        assert.strictEqual(total(simulation), 1)
      }))

    it.effect("the stored item comes with a failed condition", () =>
      Effect.gen(function*() {
        const simulation = three(() => ({
          status: 400,
          body: '{"__type":"x#ConditionalCheckFailedException","message":"m","Item":{"n":{"N":"1"}}}'
        }))
        const client = yield* open(simulation)
        const item = yield* client.putItem(put).pipe(
          Effect.as<unknown>(undefined),
          Effect.catchReason("AlternatorError", "ConditionalCheckFailed", ({ item }) => Effect.succeed<unknown>(item))
        )
        assert.deepStrictEqual(item, { n: 1 })
      }))

    it.effect("an attribute of an unknown type goes back as it came, digit by digit; a vector is searched by", () =>
      Effect.gen(function*() {
        const wire = '"pk":{"S":"a"},"v":{"FLOAT32VECTOR":[0.5,100000000000000000000]},' +
          '"n":{"L":[{"INT128":{"hi":12345678901234567890,"lo":-1.5}}]}'
        const bodies: Array<string> = []
        const simulation = three(({ body, operation }) => {
          bodies.push(Buffer.from(body).toString())
          return { status: 200, body: operation === "GetItem" ? `{"Item":{${wire}}}` : '{"Items":[],"Scores":[]}' }
        })
        const client = yield* open(simulation)
        const { Item } = yield* client.getItem(key)
        assert.deepStrictEqual(Item!["v"], Float32Array.of(0.5, 1e20))
        yield* client.putItem({ TableName: "t", Item: Item! })
        assert.include(bodies.at(-1), '{"INT128":{"hi":12345678901234567890,"lo":-1.5}}')
        const { Scores } = yield* client.query({
          TableName: "t",
          IndexName: "i",
          Limit: 3,
          VectorSearch: { QueryVector: Float32Array.of(1, 2), ReturnScores: "SIMILARITY" }
        })
        assert.deepStrictEqual(Scores, [])
        assert.include(
          bodies.at(-1),
          '"VectorSearch":{"QueryVector":{"FLOAT32VECTOR":[1,2]},"ReturnScores":"SIMILARITY"}'
        )
      }))

    it.effect("RequestLimitExceeded goes to another node at once; shed before it began, it is safe for every write", () =>
      Effect.gen(function*() {
        const simulation = three(({ node }) =>
          node.host === "10.0.0.2"
            ? { status: 200, body: "{}" }
            : serverError("RequestLimitExceeded", "too many in-flight requests (configured via …): 10")
        )
        const client = yield* open(simulation)
        for (let i = 0; i < 20; i++) yield* client.updateItem(counter)
        assert.strictEqual(operations(simulation)[1], 20)
        const partition = three(() => serverError("RequestLimitExceeded", "Per-partition rate limit reached"))
        const limited = yield* open(partition)
        const error = yield* Effect.flip(limited.updateItem(counter))
        assert.strictEqual(error.outcome, "Ambiguous")
        assert.strictEqual(total(partition), 1)
      }))

    it.effect("a node that refuses for overload gets less, though it is the quickest to answer", () =>
      Effect.gen(function*() {
        const simulation = three(({ node }) =>
          node.host === "10.0.0.2"
            ? serverError("RequestLimitExceeded", "too many in-flight requests (configured via …): 10")
            : { status: 200, body: "{}" }
        )
        const client = yield* open(simulation)
        for (const host of ["10.0.0.1", "10.0.0.3"]) simulation.node(host).delay = "5 millis"
        for (let i = 0; i < 200; i++) yield* within(client.putItem(put), 0.01)
        assert.isBelow(simulation.node("10.0.0.2").requests.operations, 30)
      }))

    it.effect("what an earlier attempt may have applied stays Ambiguous, whatever the last one says", () =>
      Effect.gen(function*() {
        let count = 0
        const simulation = three(() =>
          count++ === 0 ? serverError("InternalServerError", "timeout", 500) : serverError("ValidationException")
        )
        const client = yield* open(simulation)
        const error = yield* Effect.flip(client.putItem(put))
        assert.strictEqual(error.reason._tag, "ValidationFailed")
        assert.strictEqual(error.outcome, "Ambiguous")
        assert.deepStrictEqual(error.attempts.map(({ outcome }) => outcome), ["Ambiguous", "Rejected"])
      }))

    it.effect("the texts of ScyllaDB's 500 are told apart", () =>
      Effect.gen(function*() {
        const texts = [
          ["Operation timed out for alternator_t.t - received only 1 responses from 2", "timeout"],
          ["Cannot achieve consistency level for cl LOCAL_QUORUM. Requires 2, alive 1", "unavailable"],
          ["Too many in flight hints", "overloaded"],
          ["Operation failed for alternator_t.t - received 0 responses and 1 failures", "failure"],
          ["std::bad_alloc", "unknown"]
        ] as const
        for (const [text, kind] of texts) {
          const client = yield* open(three(() => serverError("InternalServerError", text, 500)), { maxAttempts: 1 })
          const { reason } = yield* Effect.flip(client.putItem(put))
          assert.strictEqual(reason._tag === "InternalServerError" && reason.kind, kind)
        }
      }))
  })

  describe("time", () => {
    it.effect("one deadline covers all attempts", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation, { health: false })
        yield* client.nodes.shutdown
        for (const node of simulation.nodes) node.condition = "silent"
        const fiber = yield* Effect.forkChild(Effect.flip(client.getItem(key)), { startImmediately: true })
        yield* TestClock.adjust("11900 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("200 millis")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.reason._tag, "DeadlineExceeded")
        assert.strictEqual(error.attempts.length, 4)
        assert.strictEqual(simulation.underWay(), 0)
      }))

    it.effect("a request has its own deadline, which an attempt that may not be repeated uses up", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        for (const node of simulation.nodes) node.condition = "silent"
        const started = yield* Effect.forkChild(Effect.flip(client.updateItem(counter, { deadline: "5 seconds" })), {
          startImmediately: true
        })
        yield* TestClock.adjust("4900 millis")
        assert.isUndefined(started.pollUnsafe())
        yield* TestClock.adjust("200 millis")
        assert.strictEqual((yield* Fiber.join(started)).attempts.length, 1)
      }))

    it.effect("before there are nodes a request waits, and not for ever", () =>
      Effect.gen(function*() {
        const simulation = three()
        for (const node of simulation.nodes) node.condition = "silent"
        const layer = AlternatorNodes.layer({ seeds: "10.0.0.1", discoveryTimeout: "1 hour" }).pipe(
          Layer.provideMerge(simulation.layer)
        )
        const client = yield* Effect.provideContext(AlternatorClient.make(), yield* Layer.build(layer))
        const error = yield* within(Effect.flip(client.getItem(key, { deadline: "2 seconds" })), 2)
        assert.strictEqual(error.reason._tag, "DeadlineExceeded")
        assert.strictEqual(error.outcome, "NotSent")
        // The time that it waited is part of its time.
        const late = yield* Effect.forkChild(Effect.flip(client.updateItem(counter, { deadline: "4 seconds" })), {
          startImmediately: true
        })
        yield* TestClock.adjust("3 seconds")
        simulation.node("10.0.0.1").condition = "up"
        simulation.node("10.0.0.1").delay = "1 hour"
        yield* client.nodes.shutdown
        yield* TestClock.adjust("1100 millis")
        assert.strictEqual((yield* Fiber.join(late)).reason._tag, "DeadlineExceeded")
      }))

    it.effect("interruption gives the request up, and nothing is left of it", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        yield* client.nodes.shutdown
        for (const node of simulation.nodes) node.condition = "silent"
        const fibers = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.forkChild(client.getItem(key), { startImmediately: true })
        )
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(simulation.underWay(), 20)
        yield* Fiber.interruptAll(fibers)
        assert.strictEqual(simulation.underWay(), 0)
        assert.deepStrictEqual(client.nodes.current().nodes.map(({ outstanding }) => outstanding), [0, 0, 0])
      }))

    it.effect("a client that closes ends its requests, on nodes that others go on using", () =>
      Effect.gen(function*() {
        const simulation = three()
        const layer = AlternatorNodes.layer({ seeds: "10.0.0.1" }).pipe(Layer.provideMerge(simulation.layer))
        const services = yield* Layer.build(layer)
        const scope = yield* Scope.make()
        const closing = yield* Scope.provide(Effect.provideContext(AlternatorClient.make(), services), scope)
        const staying = yield* Effect.provideContext(AlternatorClient.make(), services)
        yield* closing.nodes.awaitReady
        yield* closing.nodes.shutdown
        for (const node of simulation.nodes) node.condition = "silent"
        const fiber = yield* Effect.forkChild(Effect.flip(closing.getItem(key)), { startImmediately: true })
        yield* TestClock.adjust("1 seconds")
        yield* Scope.close(scope, Exit.void)
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.reason._tag, "Closed")
        assert.strictEqual(error.outcome, "Ambiguous")
        assert.strictEqual(simulation.underWay(), 0)
        assert.strictEqual((yield* Effect.flip(closing.getItem(key))).outcome, "NotSent")
        for (const node of simulation.nodes) node.condition = "up"
        yield* staying.getItem(key)
      }))

    it.effect("a hedge answers when the first is slow, within its budget, for reads only", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation, {
          hedge: { delay: "100 millis", budget: 1 },
          balancing: "round-robin",
          health: false
        })
        const slow = simulation.node("10.0.0.1")
        slow.delay = "10 seconds"
        for (let i = 0; i < 3; i++) yield* within(client.getItem(key), 1)
        assert.strictEqual(total(simulation), 3, "answered elsewhere, and the slow one given up")
        for (let i = 0; i < 3; i++) {
          const written = yield* Effect.forkChild(client.updateItem(counter), { startImmediately: true })
          yield* TestClock.adjust("10 seconds")
          yield* Fiber.join(written)
        }
        assert.strictEqual(slow.requests.operations, 1)
      }))

    it.effect("no hedge without budget", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation, { hedge: { delay: "100 millis", budget: 0.01 }, health: false })
        for (const node of simulation.nodes) node.delay = "1 seconds"
        for (let i = 0; i < 10; i++) yield* within(client.getItem(key), 2)
        assert.strictEqual(total(simulation), 10)
      }))
  })

  describe("what is sent", () => {
    it.effect("R24, R13: answers are unpacked whatever was negotiated, within bounds", () =>
      Effect.gen(function*() {
        const body = Buffer.from(JSON.stringify({ Item: { text: { S: "x".repeat(10_000) } } }))
        const cases = [
          ["gzip", gzipSync(body)],
          ["deflate", deflateSync(body)],
          ["deflate", deflateRawSync(body)],
          ["gzip, deflate", deflateSync(gzipSync(body))],
          ["identity", body]
        ] as const
        for (const [encoding, packed] of cases) {
          const simulation = three(() => ({ status: 200, body: packed, headers: { "content-encoding": encoding } }))
          const client = yield* open(simulation)
          assert.strictEqual((yield* client.getItem(key)).Item!["text"].length, 10_000)
        }
        const bombs = [
          ["gzip", gzipSync(Buffer.alloc(34_000_000)), "unpacks to more"],
          ["gzip,gzip,gzip,gzip,gzip,gzip", body, "6 encodings"],
          ["gzip", body, "cannot be unpacked"],
          ["br", body, "unknown encoding"]
        ] as const
        for (const [encoding, packed, message] of bombs) {
          const simulation = three(() => ({ status: 200, body: packed, headers: { "content-encoding": encoding } }))
          const client = yield* open(simulation, { maxAttempts: 1 })
          const error = yield* Effect.flip(client.getItem(key))
          assert.strictEqual(error.reason._tag, "MalformedResponse")
          assert.include(error.message, message)
        }
      }))

    it.effect("hostile answers fail the request, and nothing else", () =>
      Effect.gen(function*() {
        const bodies = ["", "null", "[]", "{", '{"Item":1}', '{"Item":{"a":{}}}', '{"Item":{"a":{"N":{}}}}', "<html>"]
        for (const body of bodies) {
          const client = yield* open(three(() => ({ status: 200, body })), { maxAttempts: 1 })
          const error = yield* Effect.flip(client.getItem(key))
          assert.strictEqual(error.reason._tag, "MalformedResponse", body)
        }
        const client = yield* open(three(() => ({ status: 400, body: "<html>" })))
        assert.strictEqual((yield* Effect.flip(client.getItem(key))).reason._tag, "ServerRejected")
        const large = yield* open(three(() => ({ status: 200, body: " ".repeat(2000) })), {
          maxResponseBytes: 1000,
          maxAttempts: 1
        })
        assert.strictEqual((yield* Effect.flip(large.getItem(key))).reason._tag, "MalformedResponse")
      }))

    it.effect("a value that cannot be stored is said where it is, and nothing is sent", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        const error = yield* Effect.flip(
          client.putItem({ TableName: "t", Item: { a: { b: Number.NaN } } })
        )
        assert.strictEqual(error.reason._tag, "RequestInvalid")
        assert.strictEqual(error.message, "PutItem: Item: a.b is NaN, which is no decimal number")
        assert.strictEqual(total(simulation), 0)
      }))

    it.effect("options and inputs that nobody can use fail the request, typed, and send nothing", () =>
      Effect.gen(function*() {
        const simulation = three()
        const client = yield* open(simulation)
        const requests = [
          client.getItem(key, { deadline: "soon" as never }),
          client.getItem({ ...key, Limit: 1n } as never),
          client.getItem(null as never),
          client.putItem({ TableName: "t", Item: null as never })
        ]
        for (const request of requests) {
          const error = yield* Effect.flip(request)
          assert.strictEqual(error.reason._tag, "RequestInvalid")
          assert.strictEqual(error.outcome, "NotSent")
        }
        assert.strictEqual(total(simulation), 0)
      }))

    it.effect("the parameters that expressions have replaced have plain values too", () =>
      Effect.gen(function*() {
        const bodies: Array<unknown> = []
        const simulation = three(({ body }) => {
          bodies.push(JSON.parse(Buffer.from(body).toString("utf8")))
          return { status: 200, body: "{}" }
        })
        const client = yield* open(simulation)
        yield* client.updateItem({
          ...key,
          AttributeUpdates: {
            n: { Action: "ADD", Value: 1 },
            gone: { Action: "DELETE" },
            m: { Value: { deep: ["x"] } }
          },
          Expected: {
            a: { Exists: false },
            b: { Value: new Uint8Array([1]) },
            c: { ComparisonOperator: "BETWEEN", AttributeValueList: [1, 2n] }
          },
          ConditionalOperator: "OR"
        })
        yield* client.query({
          TableName: "t",
          KeyConditions: { pk: { ComparisonOperator: "EQ", AttributeValueList: ["a"] } },
          QueryFilter: { n: { ComparisonOperator: "NOT_NULL" } },
          AttributesToGet: ["pk"]
        })
        yield* client.scan({
          TableName: "t",
          ScanFilter: { tags: { ComparisonOperator: "CONTAINS", AttributeValueList: ["red"] } }
        })
        assert.deepStrictEqual(bodies, [
          {
            TableName: "t",
            Key: { pk: { S: "a" } },
            AttributeUpdates: {
              n: { Action: "ADD", Value: { N: "1" } },
              gone: { Action: "DELETE" },
              m: { Value: { M: { deep: { L: [{ S: "x" }] } } } }
            },
            Expected: {
              a: { Exists: false },
              b: { Value: { B: "AQ==" } },
              c: { ComparisonOperator: "BETWEEN", AttributeValueList: [{ N: "1" }, { N: "2" }] }
            },
            ConditionalOperator: "OR"
          },
          {
            TableName: "t",
            KeyConditions: { pk: { ComparisonOperator: "EQ", AttributeValueList: [{ S: "a" }] } },
            QueryFilter: { n: { ComparisonOperator: "NOT_NULL" } },
            AttributesToGet: ["pk"]
          },
          {
            TableName: "t",
            ScanFilter: { tags: { ComparisonOperator: "CONTAINS", AttributeValueList: [{ S: "red" }] } }
          }
        ])
        const error = yield* Effect.flip(client.putItem({ ...put, Expected: { n: { Value: Number.NaN } } }))
        assert.strictEqual(error.message, "PutItem: Expected n: the value is NaN, which is no decimal number")
        // They say what may be repeated, as expressions do.
        for (const node of simulation.nodes) node.condition = "resetting"
        const adding = client.updateItem({ ...key, AttributeUpdates: { n: { Action: "ADD", Value: 1 } } })
        assert.strictEqual((yield* within(Effect.flip(adding), 5)).attempts.length, 1)
        const setting = client.updateItem({ ...key, AttributeUpdates: { n: { Value: 1 } } })
        assert.strictEqual((yield* within(Effect.flip(setting), 5)).attempts.length, 4)
      }))

    it.effect("R25: the User-Agent is replaced, derived or left out; the encoding of one request is overridden", () =>
      Effect.gen(function*() {
        const seen: Array<Readonly<Record<string, string>>> = []
        const simulation = three(({ headers }) => {
          seen.push(headers)
          return { status: 200, body: "{}" }
        })
        const agents = [undefined, "mine/1", (own: string) => `${own} (shop)`, false] as const
        for (const userAgent of agents) yield* Effect.flatMap(open(simulation, { userAgent }), (c) => c.putItem(put))
        assert.deepStrictEqual(seen.map((headers) => headers["user-agent"]), [
          "effect-scylla-alternator",
          "mine/1",
          "effect-scylla-alternator (shop)",
          undefined
        ])
        const client = yield* open(simulation, { compression: { threshold: 0 } })
        yield* client.putItem(put)
        yield* client.putItem(put, { compression: false })
        yield* client.putItem(put, { compression: "deflate" })
        assert.deepStrictEqual(seen.slice(4).map((headers) => headers["content-encoding"]), [
          "gzip",
          undefined,
          "deflate"
        ])
      }))

    it.effect("R13: every pair of options goes together", () =>
      Effect.gen(function*() {
        const axes = {
          compression: [undefined, { threshold: 0 }, { threshold: 0, encoding: "deflate" as const }],
          acceptEncoding: [undefined, ["gzip" as const]],
          balancing: ["round-robin" as const, "power-of-two" as const],
          affinity: ["none" as const, "rmw" as const, "any-write" as const],
          affinityOrder: ["go" as const, "rust" as const],
          auth: [Auth.none, Auth.sigV4({ accessKeyId: "a", secretAccessKey: "b" })],
          hedge: [undefined, { delay: "1 seconds" as const }],
          userAgent: [undefined, false as const]
        }
        const names = Object.keys(axes) as Array<keyof typeof axes>
        const simulation = three(({ headers }) => ({
          status: headers["x-amz-target"] === undefined ? 400 : 200,
          body: "{}"
        }))
        let combinations = 0
        for (const [i, a] of names.entries()) {
          for (const b of names.slice(i + 1)) {
            for (const valueA of axes[a]) {
              for (const valueB of axes[b]) {
                combinations++
                const client = yield* open(simulation, { partitionKeys: { t: "pk" }, [a]: valueA, [b]: valueB })
                yield* client.putItem(put)
                yield* client.updateItem(counter)
                yield* client.getItem(key)
                yield* client.nodes.shutdown
              }
            }
          }
        }
        assert.isAbove(combinations, 100)
      }))
  })

  describe("configuration", () => {
    it.effect("all wrong options are named", () =>
      Effect.gen(function*() {
        const error: AlternatorError.AlternatorError = yield* Effect.flip(open(three(), {
          maxAttempts: 0,
          deadline: 0,
          attemptTimeout: "-1 millis",
          auth: Auth.clientCertificate,
          compression: { level: 10, threshold: -1 },
          hedge: { delay: 0, budget: 2 },
          userAgent: "a\nb",
          decompression: { maxLayers: 0 }
        }))
        assert.strictEqual(error.reason._tag, "ConfigInvalid")
        if (error.reason._tag !== "ConfigInvalid") return
        assert.deepStrictEqual(error.reason.issues.map(({ field }) => field).toSorted(), [
          "attemptTimeout",
          "auth",
          "compression.level",
          "compression.threshold",
          "deadline",
          "decompression.maxLayers",
          "hedge.budget",
          "hedge.delay",
          "maxAttempts",
          "userAgent"
        ])
      }))

    it.effect("R25: no credentials, credentials, and required credentials; half of them is a mistake", () =>
      Effect.gen(function*() {
        const from = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))
        const both = { ALTERNATOR_ACCESS_KEY_ID: "alice", ALTERNATOR_SECRET_ACCESS_KEY: "s" }
        assert.strictEqual((yield* Effect.provide(Auth.optional, from({})))._tag, "None")
        assert.strictEqual((yield* Effect.provide(Auth.optional, from(both)))._tag, "SigV4")
        yield* Effect.flip(Effect.provide(Auth.optional, from({ ALTERNATOR_ACCESS_KEY_ID: "alice" })))
        const required: Config.Config<Auth.Auth> = Auth.required
        yield* Effect.flip(Effect.provide(required, from({})))
        assert.notInclude(JSON.stringify(yield* Effect.provide(required, from(both))), '"s"')
      }))

    const configured = (env: Record<string, string>, options?: AlternatorClient.FromConfig) =>
      Effect.scoped(Layer.build(AlternatorClient.layerConfig(options))).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
      )
    const issuesOf = (effect: ReturnType<typeof configured>) =>
      Effect.map(Effect.flip(effect), ({ reason }) => {
        assert.strictEqual(reason._tag, "ConfigInvalid")
        assert.notInclude(reason.message, "SchemaError")
        return reason._tag === "ConfigInvalid" ? reason.issues : []
      })

    it.effect("a configuration names all that is missing or wrong, by the names it has there", () =>
      Effect.gen(function*() {
        const issues = yield* issuesOf(configured({
          ALTERNATOR_PORT: "x",
          ALTERNATOR_DEADLINE: "y",
          ALTERNATOR_MAX_ATTEMPTS: "0",
          ALTERNATOR_AFFINITY: "all",
          ALTERNATOR_RACK: "r1",
          ALTERNATOR_ACCESS_KEY_ID: "a"
        }))
        assert.deepStrictEqual(
          issues,
          [
            {
              field: "ALTERNATOR_SEEDS",
              message: "is not set: give addresses of nodes, such as 10.0.0.1:8000,10.0.0.2:8000"
            },
            { field: "ALTERNATOR_DATACENTER", message: "is not set, but ALTERNATOR_RACK is" },
            { field: "ALTERNATOR_SECRET_ACCESS_KEY", message: "is not set, but ALTERNATOR_ACCESS_KEY_ID is" },
            { field: "ALTERNATOR_PORT", message: 'must be a whole number from 1 to 65535, is the string "x"' },
            { field: "ALTERNATOR_MAX_ATTEMPTS", message: "must be a whole number from 1, is 0" },
            { field: "ALTERNATOR_DEADLINE", message: 'must be a duration such as "2 seconds", is the string "y"' },
            { field: "ALTERNATOR_AFFINITY", message: 'must be none or rmw or any-write, is the string "all"' }
          ]
        )
      }))

    it.effect("what only shows when values are put together is in the same error, options of the program too", () =>
      Effect.gen(function*() {
        const issues = yield* issuesOf(configured({
          ALTERNATOR_SEEDS: "http://10.0.0.1,https://10.0.0.2,10.0.0.3:99999",
          ALTERNATOR_SCHEME: "ftp",
          OURS: "soon"
        }, {
          idleInterval: "1 millis",
          attemptTimeout: Config.Duration("OURS"),
          transport: { connections: 0 },
          userAgent: ""
        }))
        assert.deepStrictEqual(issues.map(({ field, message }) => `${field}: ${message}`), [
          "attemptTimeout: OURS is missing or wrong, expected a valid Duration string",
          'ALTERNATOR_SEEDS: "10.0.0.3:99999" is not a seed: its port must be 1 to 65535',
          'ALTERNATOR_SCHEME: "ftp" is not a scheme: say http or https',
          "ALTERNATOR_SEEDS: all must have the same scheme",
          "idleInterval: must not be less than activeInterval",
          "userAgent: must be printable ASCII",
          "transport.connections: must be a whole number from 1, is 0"
        ])
      }))

    it.live("the configuration alone makes a client; options of the program are not read from it", () =>
      Effect.gen(function*() {
        const env = {
          ALTERNATOR_SEEDS: "127.0.0.1:9,127.0.0.2:9",
          ALTERNATOR_DISCOVERY: "static",
          ALTERNATOR_DEADLINE: "1500 millis",
          ALTERNATOR_PORT: "nonsense",
          ALTERNATOR_DATACENTER: "dc1",
          ALTERNATOR_ACCESS_KEY_ID: "alice",
          ALTERNATOR_SECRET_ACCESS_KEY: "s"
        }
        const services = yield* configured(env, { port: 9 })
        const nodes = Context.get(services, AlternatorNodes.AlternatorNodes)
        assert.deepStrictEqual(nodes.current().nodes.map(({ url }) => url), [
          "http://127.0.0.1:9",
          "http://127.0.0.2:9"
        ])
      }))

    it.effect("a string that looks like a number is said to be a string; words that are none are named", () =>
      Effect.gen(function*() {
        const wrong = { port: "29701", discovery: "off", seeds: [7], balancing: "best" } as never
        const error = yield* Effect.flip(Effect.scoped(Layer.build(AlternatorClient.layer(wrong))))
        for (
          const said of [
            'port: must be a whole number from 1 to 65535, is the string "29701"',
            'discovery: must be live or static, is the string "off"',
            "seeds: 7 is not a seed",
            'balancing: must be power-of-two or round-robin, is the string "best"'
          ]
        ) assert.include(error.message, said)
        const none = yield* Effect.flip(Effect.scoped(Layer.build(AlternatorClient.layer({} as never))))
        assert.include(none.message, "seeds: give at least one address")
      }))
  })

  it.effect("types: an item's values are checked", () =>
    Effect.sync(() => {
      const item: AttributeValue.Item = { a: 1, b: ["x", { c: null }], d: new Set(["y"]) }
      // @ts-expect-error a date is no value
      const wrong: AttributeValue.Item = { a: new Date() }
      assert.isDefined(item)
      assert.isDefined(wrong)
    }))
})
