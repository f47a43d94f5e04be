/** The client of promises, in memory and over sockets. */
import { AlternatorClient, AlternatorError, AlternatorNodes, AlternatorTable } from "@effect-scylla/alternator"
import {
  type Client,
  connect,
  connectConfig,
  type ConnectOptions,
  RoutingScope
} from "@effect-scylla/alternator/promise"
import * as AlternatorCluster from "@effect-scylla/testkit/AlternatorCluster"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Exit, Layer, Metric, Schema, Scope } from "effect"
import { names, type Operation } from "../src/Operations.ts"
import { key, put, serverError, type Simulation, three } from "./support/simulated.ts"
import { operations } from "./support/suite.ts"

type Handle = Parameters<typeof three>[0]

/** A client of three nodes in memory, for as long as the test runs. */
const withClient = async (
  test: (db: Client, simulation: Simulation) => Promise<void>,
  handle?: Handle,
  options: Partial<ConnectOptions> = {}
): Promise<void> => {
  const simulation = three(handle)
  await using db = await connect({ seeds: "10.0.0.1", layer: simulation.layer, ...options })
  await test(db, simulation)
}

const silence = (simulation: Simulation): void => {
  for (const node of simulation.nodes) node.condition = "silent"
}

/** What a promise is rejected with. */
const failure = (promise: Promise<unknown>): Promise<AlternatorError.AlternatorError> =>
  promise.then(() => assert.fail("it has succeeded"), (error) => error)

const said = (error: unknown): string =>
  error instanceof AlternatorError.AlternatorError ? `${error.reason._tag}, ${error.outcome}` : String(error)

/** Waits for what happens outside of promises. */
const until = async (condition: () => boolean): Promise<void> => {
  for (let waited = 0; !condition(); waited += 5) {
    assert.isBelow(waited, 10_000, "it has not happened in 10 seconds")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const json = (body: unknown) => ({ status: 200, body: JSON.stringify(body) })

/** Pages of a scan or query: `count` of them, with two items each. */
const pages = (count: number): Handle => ({ body }) => {
  const { ExclusiveStartKey } = JSON.parse(new TextDecoder().decode(body))
  const page = ExclusiveStartKey === undefined ? 0 : Number(ExclusiveStartKey.page.N)
  return json({
    Items: [{ n: { N: String(page * 2) } }, { n: { N: String(page * 2 + 1) } }],
    Count: 2,
    ScannedCount: 2,
    ...(page + 1 < count ? { LastEvaluatedKey: { page: { N: String(page + 1) } } } : {})
  })
}

const requests = (simulation: Simulation): number =>
  simulation.nodes.reduce((sum, node) => sum + node.requests.operations, 0)

const collect = async <A>(iterable: AsyncIterable<A>): Promise<Array<A>> => {
  const all: Array<A> = []
  for await (const one of iterable) all.push(one)
  return all
}

describe("operations", () => {
  it.live("do over sockets what those of the other clients do", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      yield* Effect.promise(async () => {
        await using db = await connect({ seeds: cluster.seeds })
        assert.lengthOf(db.nodes.current().nodes, 3)
        const send = (operation: string, input: any): Promise<unknown> =>
          db[`${operation[0]!.toLowerCase()}${operation.slice(1)}` as "getItem"](input).catch((error) => {
            const type = { ResourceNotFound: "ResourceNotFound", ConditionalCheckFailed: "ConditionalCheckFailed" }
            const tag = error.reason._tag as string
            throw Object.assign(error, {
              type: tag in type ? `${tag}Exception` : tag === "ValidationFailed" ? "ValidationException" : tag
            })
          })
        await operations({ send }, "promises")
      })
    }))

  it("each goes by its own name, and by execute", () => {
    const seen: Array<string> = []
    return withClient(async (db) => {
      for (const name of names) {
        const method = `${name[0]!.toLowerCase()}${name.slice(1)}` as Uncapitalize<Operation>
        await (db[method] as (input: object) => Promise<unknown>)({ TableName: "t" })
        await db.execute(name, { TableName: "t" } as never)
      }
      assert.deepStrictEqual(seen, names.flatMap((name) => [name, name]))
      assert.lengthOf(seen, 48)
    }, ({ operation }) => {
      seen.push(operation)
      return json({})
    })
  })

  it("take the options of a request", () =>
    withClient(async (db, simulation) => {
      silence(simulation)
      assert.strictEqual(said(await failure(db.putItem(put, { deadline: "60 millis" }))), "DeadlineExceeded, Ambiguous")
    }))

  it("fail with what an option that is none throws", () =>
    withClient(async (db) => {
      assert.strictEqual(said(await failure(db.getItem(key, { deadline: "soon" as never }))), "RequestInvalid, NotSent")
      assert.instanceOf(await failure(db.waiters.tableExists("t", { patience: "soon" as never })), Error)
    }))
})

describe("what takes more than one request", () => {
  it("pages of queries and scans, and their items", () =>
    withClient(async (db) => {
      const query = { TableName: "t", KeyConditionExpression: "p = :p", ExpressionAttributeValues: { ":p": 1 } }
      assert.deepStrictEqual((await collect(db.paging.query(query))).map(({ n }) => n), [0, 1, 2, 3, 4, 5])
      assert.lengthOf(await collect(db.paging.queryPages(query)), 3)
      const scan = db.paging.scan({ TableName: "t" })
      assert.deepStrictEqual((await collect(scan)).map(({ n }) => n), [0, 1, 2, 3, 4, 5])
      assert.lengthOf(await collect(scan), 6, "each loop begins anew")
      assert.lengthOf(await collect(db.paging.scanPages({ TableName: "t" }, { segments: 2 })), 6)
    }, pages(3)))

  it("names of tables", () =>
    withClient(async (db) => {
      assert.deepStrictEqual(await collect(db.paging.listTables()), ["a", "b"])
    }, ({ body }) => {
      const { ExclusiveStartTableName } = JSON.parse(new TextDecoder().decode(body))
      return ExclusiveStartTableName === undefined
        ? json({ TableNames: ["a"], LastEvaluatedTableName: "a" })
        : json({ TableNames: ["b"] })
    }))

  it("a loop that is left asks for no more pages", () =>
    withClient(async (db, simulation) => {
      for await (const { n } of db.paging.scan({ TableName: "t" })) if (n === 2) break
      assert.strictEqual(requests(simulation), 2)
      assert.strictEqual(simulation.underWay(), 0)
    }, pages(100)))

  it("a loop that is left gives up the segments under way", () =>
    withClient(async (db, simulation) => {
      for await (const { n } of db.paging.scan({ TableName: "t" }, { segments: 4 })) if (n === 0) break
      await until(() => simulation.underWay() === 0)
      assert.isBelow(requests(simulation), 100)
    }, pages(1000)))

  it("next may be called again before it has answered, and return meanwhile", () =>
    withClient(async (db, simulation) => {
      const all = db.paging.scan({ TableName: "t" })[Symbol.asyncIterator]()
      const five = await Promise.all(Array.from({ length: 5 }, () => all.next()))
      assert.deepStrictEqual(five.map(({ value }) => value?.["n"]), [0, 1, 2, 3, undefined])
      assert.deepStrictEqual(five.map(({ done }) => done), [false, false, false, false, true])

      const cut = db.paging.scan({ TableName: "t" })[Symbol.asyncIterator]()
      silence(simulation)
      const next = cut.next()
      await until(() => simulation.underWay() === 1)
      assert.deepStrictEqual(await cut.return!(), { done: true, value: undefined })
      assert.deepStrictEqual(await next, { done: true, value: undefined })
      assert.deepStrictEqual(await cut.next(), { done: true, value: undefined })
      assert.strictEqual(simulation.underWay(), 0)
    }, pages(2)))

  it("a stream that fails says so once, and is over", () =>
    withClient(async (db) => {
      const all = db.paging.scan({ TableName: "t" })[Symbol.asyncIterator]()
      assert.strictEqual(said(await failure(all.next())), "ResourceNotFound, Rejected")
      assert.deepStrictEqual(await all.next(), { done: true, value: undefined })
      assert.strictEqual(
        said(await failure(collect(db.paging.scan({ TableName: "t" }, { segments: 0 })))),
        "RequestInvalid, NotSent"
      )
    }, () => serverError("ResourceNotFoundException")))

  it.live("batches, waiters and typed tables", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const Users = AlternatorTable.make("users", {
        item: Schema.Struct({ country: Schema.String, id: Schema.Number, joined: Schema.DateFromString }),
        partitionKey: { name: "country", type: "S" },
        sortKey: { name: "id", type: "N" }
      })
      yield* Effect.promise(async () => {
        await using db = await connect({ seeds: cluster.seeds })
        const users = db.table(Users)
        assert.strictEqual(users.name, "users")
        await users.create()
        assert.strictEqual((await db.waiters.tableExists("users")).TableStatus, "ACTIVE")
        await users.put({ country: "se", id: 1, joined: new Date(0) })
        await users.putAll([2, 3].map((id) => ({ country: "se", id, joined: new Date(id) })))
        assert.deepStrictEqual(await users.get({ country: "se", id: 3 }), {
          country: "se",
          id: 3,
          joined: new Date(3)
        })
        assert.isUndefined(await users.get({ country: "se", id: 9 }))
        assert.deepStrictEqual((await collect(users.query({ country: "se" }))).map(({ id }) => id), [1, 2, 3])
        await users.remove({ country: "se", id: 2 })
        assert.lengthOf(await collect(users.scan()), 2)

        await db.batches.write({ users: [{ DeleteRequest: { Key: { country: "se", id: 1 } } }] })
        const keys = [1, 3].map((id) => ({ country: "se", id }))
        const { users: found } = await db.batches.get({ users: { Keys: keys } })
        assert.deepStrictEqual(found!.map(({ id }) => id), [3])
        await db.deleteTable({ TableName: "users" })
        await db.waiters.tableNotExists("users")
      })
    }))

  it("a call that is tried again as long as that is safe", async () => {
    let asked = 0
    await withClient(async (db) => {
      assert.deepStrictEqual(await db.retry(() => db.getItem(key)), {})
      assert.strictEqual(asked, 2)
      assert.strictEqual(said(await failure(db.retry(() => db.putItem(put)))), "ValidationFailed, Rejected")
      assert.strictEqual(asked, 3)
      const other = new Error("not ours")
      assert.strictEqual(await failure(db.retry(() => Promise.reject(other))), other)
    }, ({ operation }) => {
      if (operation === "PutItem") {
        asked++
        return serverError("ValidationException")
      }
      return ++asked === 1 ? serverError("InternalServerError", "no", 500) : json({})
    }, { maxAttempts: 1 })
  })
})

describe("nodes", () => {
  it("as they are, as they change, and when somebody waits for them", () =>
    withClient(async (db, simulation) => {
      assert.deepStrictEqual(db.nodes.current().nodes.map(({ host }) => host), ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      assert.isBelow(db.nodes.age()!, 10_000)
      const seen: Array<number> = []
      const watching = (async () => {
        for await (const { nodes } of db.nodes.changes()) {
          seen.push(nodes.length)
          if (nodes.length === 4) break
        }
      })()
      simulation.add({ host: "10.0.0.4" })
      const waiting = db.nodes.awaitNodes(({ nodes }) => nodes.length === 4)
      assert.lengthOf((await db.nodes.refresh()).nodes, 4)
      assert.lengthOf((await waiting).nodes, 4)
      await watching
      assert.strictEqual(seen.at(-1), 4)
    }))
})

describe("metrics", () => {
  it("are those of the package, with their labels", () =>
    withClient(async (db) => {
      const layer = Layer.succeed(Metric.MetricRegistry, new Map())
      const simulation = three()
      await using own = await connect({ seeds: "10.0.0.1", layer: Layer.merge(simulation.layer, layer) })
      for (let i = 0; i < 3; i++) await own.getItem(key)
      const measures = own.metrics()
      const attempts = measures.filter(({ name }) => name === "alternator_attempts_total")
      assert.strictEqual(attempts.reduce((sum, { value }) => sum + value, 0), 3)
      for (const { labels } of attempts) assert.match(labels["node"]!, /^http:\/\/10\.0\.0\.\d:8000$/)
      const millis = measures.filter(({ name }) => name === "alternator_attempt_ms")
      assert.strictEqual(millis.reduce((sum, { histogram }) => sum + histogram!.buckets.at(-1)![1], 0), 3)
      assert.strictEqual(measures.find(({ name }) => name === "alternator_live_nodes")?.value, 3)
      assert.isTrue(db.metrics().every(({ name }) => name.startsWith("alternator_")))
    }))
})

describe("a signal", () => {
  const reason = new Error("enough")

  it("that is aborted before lets nothing be sent", () =>
    withClient(async (db, simulation) => {
      const signal = AbortSignal.abort(reason)
      assert.strictEqual(await failure(db.putItem(put, { signal })), reason)
      assert.strictEqual(await failure(db.batches.get({ t: { Keys: [{ pk: "a" }] } }, { signal })), reason)
      assert.strictEqual(await failure(db.retry(() => db.putItem(put), { signal })), reason)
      assert.strictEqual(await failure(collect(db.paging.scan({ TableName: "t" }, { signal }))), reason)
      assert.strictEqual(requests(simulation), 0)
    }))

  it("that is aborted gives up what is under way, and leaves no listener", () =>
    withClient(async (db, simulation) => {
      const controller = new AbortController()
      const { signal } = controller
      let listeners = 0
      const { addEventListener, removeEventListener } = signal
      signal.addEventListener = (...args: Array<any>) => {
        listeners++
        ;(addEventListener as any).apply(signal, args)
      }
      signal.removeEventListener = (...args: Array<any>) => {
        listeners--
        ;(removeEventListener as any).apply(signal, args)
      }
      await db.putItem(put, { signal })
      await collect(db.paging.scan({ TableName: "t" }, { signal }))
      assert.strictEqual(listeners, 0)

      silence(simulation)
      const put_ = failure(db.putItem(put, { signal }))
      const scan = failure(collect(db.paging.scan({ TableName: "t" }, { signal })))
      const nodes = failure(db.nodes.awaitNodes(() => false, { signal }))
      await until(() => simulation.underWay() >= 2)
      assert.isAbove(listeners, 2)
      controller.abort(reason)
      assert.deepStrictEqual(await Promise.all([put_, scan, nodes]), [reason, reason, reason] as never)
      assert.strictEqual(listeners, 0)
      await until(() => simulation.underWay() === 0)
    }))

  it("that is aborted between two items ends the loop with its reason", () =>
    withClient(async (db, simulation) => {
      const controller = new AbortController()
      const seen: Array<number> = []
      const loop = async () => {
        for await (const { n } of db.paging.scan({ TableName: "t" }, { signal: controller.signal })) {
          seen.push(n)
          controller.abort(reason)
        }
      }
      assert.strictEqual(await failure(loop()), reason)
      assert.deepStrictEqual(seen, [0])
      assert.strictEqual(requests(simulation), 1)
    }, pages(10)))

  it("is that of connecting, too", async () => {
    const simulation = three()
    silence(simulation)
    const options = { seeds: "10.0.0.1", layer: simulation.layer }
    assert.strictEqual(await failure(connect({ ...options, signal: AbortSignal.abort(reason) })), reason)
    const controller = new AbortController()
    const connecting = failure(connect({ ...options, signal: controller.signal }))
    await until(() => simulation.underWay() > 0)
    controller.abort(reason)
    assert.strictEqual(await connecting, reason)
    await until(() => simulation.underWay() === 0)
  })
})

describe("close", () => {
  it("refuses what comes after, as often as it is called", () =>
    withClient(async (db, simulation) => {
      await Promise.all([db.close(), db.close()])
      await db.close()
      assert.strictEqual(said(await failure(db.putItem(put))), "Closed, NotSent")
      assert.strictEqual(said(await failure(db.batches.write({ t: [] }))), "Closed, NotSent")
      const all = db.paging.scan({ TableName: "t" })[Symbol.asyncIterator]()
      assert.strictEqual(said(await failure(all.next())), "Closed, NotSent")
      assert.deepStrictEqual(await all.next(), { done: true, value: undefined })
      assert.strictEqual(requests(simulation), 0)
    }))

  it("cuts off what is under way, and says that it may have been done", () =>
    withClient(async (db, simulation) => {
      silence(simulation)
      let told = 0
      const watch = async () => {
        for await (const _ of db.nodes.changes()) told++
      }
      const calls = [
        failure(db.putItem(put)),
        failure(db.nodes.awaitNodes(() => false)),
        failure(collect(db.paging.scan({ TableName: "t" }))),
        failure(watch())
      ]
      await until(() => simulation.underWay() >= 2 && told === 1)
      await db.close()
      for (const error of await Promise.all(calls)) assert.strictEqual(said(error), "Closed, Ambiguous")
      await until(() => simulation.underWay() === 0)
    }))

  it("leaves no call that waits for its next attempt", () =>
    withClient(async (db, simulation) => {
      const waiting = failure(db.waiters.tableExists("t", { interval: "1 hour", patience: "2 hours" }))
      await until(() => requests(simulation) === 1)
      await db.close()
      assert.strictEqual(said(await waiting), "Closed, Ambiguous")
    }, () => serverError("ResourceNotFoundException")))

  it("waits for calls under way as long as it is told", () =>
    withClient(async (db, simulation) => {
      for (const node of simulation.nodes) node.delay = "100 millis"
      const scan = failure(collect(db.paging.scan({ TableName: "t" })))
      const quick = db.putItem(put)
      const closing = db.close({ timeout: "10 seconds" })
      assert.strictEqual(said(await scan), "Closed, Ambiguous")
      assert.strictEqual(said(await failure(db.putItem(put))), "Closed, NotSent")
      assert.deepStrictEqual(await quick, {})
      await closing
      assert.strictEqual(requests(simulation), 1, "what was given up has not arrived")
    }))

  it("waits no longer than that", () =>
    withClient(async (db, simulation) => {
      silence(simulation)
      const slow = failure(db.putItem(put))
      await until(() => simulation.underWay() > 0)
      await db.close({ timeout: 20 })
      assert.strictEqual(said(await slow), "Closed, Ambiguous")
    }))

  it.live("leaves no connection, and no listener for the end of the process", () =>
    Effect.gen(function*() {
      const cluster = yield* AlternatorCluster.make()
      const open = () => cluster.nodes.reduce((sum, { connections }) => sum + connections.open, 0)
      yield* Effect.promise(async () => {
        const before = process.listenerCount("exit")
        const db = await connect({ seeds: cluster.seeds })
        await Promise.all(Array.from({ length: 10 }, () => db.listTables({})))
        assert.isAbove(open(), 0)
        assert.strictEqual(process.listenerCount("exit"), before + 1)
        await db.close()
        await until(() => open() === 0)
        await failure(connect({ seeds: "a b" }))
        assert.strictEqual(process.listenerCount("exit"), before)
      })
    }))

  it("comes with the end of a block", async () => {
    const simulation = three()
    let kept: Client
    {
      await using db = await connect({ seeds: "10.0.0.1", layer: simulation.layer })
      kept = db
    }
    assert.strictEqual(said(await failure(kept.getItem(key))), "Closed, NotSent")
  })
})

describe("failures", () => {
  const notFound: Handle = () => serverError("ResourceNotFoundException", "no such table")
  /** The line below whoever calls this, as stacks show it. */
  const nextLine = (): string => {
    const [, file, line] = /([\w.]+):(\d+):\d+\)?$/.exec(new Error("here").stack!.split("\n")[2]!)!
    return `${file}:${Number(line) + 1}:`
  }

  it("have the line that waited for them in their stack", () =>
    withClient(async (db) => {
      let line = ""
      const readsOne = async () => {
        line = nextLine()
        await db.getItem(key)
      }
      const { stack } = await failure(readsOne())
      assert.match(stack!, /^AlternatorError: GetItem: no such table\n/)
      assert.include(stack, "readsOne")
      assert.include(stack, line)

      const readsAll = async () => {
        line = nextLine()
        for await (const item of db.paging.scan({ TableName: "t" })) assert.fail(String(item))
      }
      const { stack: ofLoop } = await failure(readsAll())
      assert.include(ofLoop, "readsAll")
      assert.include(ofLoop, line)

      await db.close()
      const readsLate = async () => {
        line = nextLine()
        await db.getItem(key)
      }
      assert.include((await failure(readsLate())).stack, line)
    }, notFound))

  it("have it where several are waited for at once", () =>
    withClient(async (db) => {
      const readsTwo = async () => {
        await Promise.all([db.getItem(key), db.getItem(key)])
      }
      assert.include((await failure(readsTwo())).stack, "readsTwo")
    }, notFound))

  it("do not have it where that is not wanted", () =>
    withClient(
      async (db) => {
        const readsOne = async () => {
          await db.getItem(key)
        }
        const error = await failure(readsOne())
        assert.strictEqual(said(error), "ResourceNotFound, Rejected")
        assert.notInclude(error.stack, "readsOne")
      },
      notFound,
      { stacks: false }
    ))

  it("say all that is known", () =>
    withClient(async (db) => {
      const error = await failure(db.updateItem({ ...key, UpdateExpression: "ADD n :n" }))
      assert.strictEqual(said(error), "InternalServerError, Ambiguous")
      assert.deepStrictEqual(
        [error.operation, error.isSafeToRetry, error.isRetryable, error.attempts.length],
        ["UpdateItem", false, true, 1]
      )
      assert.isTrue((await failure(db.getItem(key))).isSafeToRetry)
    }, () =>
      serverError("InternalServerError", "no", 500), { maxAttempts: 1 }))
})

describe("connect", () => {
  it("names all wrong options", async () => {
    const error = await failure(connect({ seeds: "a b", port: 0, deadline: -1, transport: { connections: 0 } }))
    assert.strictEqual(said(error), "ConfigInvalid, NotSent")
    for (const field of ["seeds", "port", "deadline", "transport.connections"]) assert.include(error.message, field)
  })

  it("fails when no server can tell of the scope, with the line that waited for it", async () => {
    const simulation = three()
    for (const node of simulation.nodes) node.filters = []
    const connects = async () => {
      await connect({ seeds: "10.0.0.1", layer: simulation.layer, scope: RoutingScope.datacenter("dc1") })
    }
    const error = await failure(connects())
    assert.strictEqual(said(error), "ScopeUnsupported, NotSent")
    assert.include(error.stack, "connects")
  })

  it("reads the configuration of the layer, after what is given", async () => {
    const simulation = three()
    const provider = ConfigProvider.layer(
      ConfigProvider.fromUnknown({ ALTERNATOR_SEEDS: "10.0.0.2", ALTERNATOR_PORT: "1" })
    )
    const layer: Layer.Layer<never> = Layer.merge(simulation.layer, provider)
    await using db = await connectConfig({ port: 9000, layer })
    assert.strictEqual(db.nodes.current().nodes[0]!.url, "http://10.0.0.1:9000")
    const none = ConfigProvider.layer(ConfigProvider.fromUnknown({}))
    const error = await failure(connectConfig({ layer: none }))
    assert.strictEqual(said(error), "ConfigInvalid, NotSent")
    assert.include(error.message, "ALTERNATOR_SEEDS")
  })

  it("takes a transport instead of the options of its own", async () => {
    const simulation = three()
    const scope = Scope.makeUnsafe()
    const services = await Effect.runPromise(Layer.buildWithScope(simulation.layer, scope))
    const { AlternatorTransport } = await import("@effect-scylla/alternator")
    const transport = Context.get(services, AlternatorTransport.AlternatorTransport)
    await using db = await connect({ seeds: "10.0.0.1", transport })
    assert.deepStrictEqual(await db.putItem(put), {})
    assert.strictEqual(requests(simulation), 1)
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  it("takes nodes and clients of others, and leaves them open", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const simulation = three()
      const shared = yield* Layer.build(
        AlternatorClient.layerClient().pipe(
          Layer.provideMerge(AlternatorNodes.layer({ seeds: "10.0.0.1" })),
          Layer.provideMerge(simulation.layer)
        )
      )
      const nodes = Context.get(shared, AlternatorNodes.AlternatorNodes)
      const client = Context.get(shared, AlternatorClient.AlternatorClient)
      const layers: ReadonlyArray<Layer.Layer<never>> = [
        Layer.succeedContext(shared),
        Layer.succeedContext(Context.omit(AlternatorClient.AlternatorClient)(shared) as Context.Context<never>)
      ]
      for (const layer of layers) {
        yield* Effect.promise(async () => {
          await using db = await connect({ seeds: [], layer })
          assert.strictEqual(db.nodes.current(), nodes.current())
          await db.putItem(put)
        })
      }
      yield* client.putItem(put)
      assert.strictEqual(requests(simulation), 3)
    }))))

  it("looks names up with a function of promises", async () => {
    const simulation = three()
    const names: Array<string> = []
    const resolve = async (name: string) => {
      names.push(name)
      return ["10.0.0.3"]
    }
    await using db = await connect({ seeds: "cluster.test", layer: simulation.layer, resolve })
    await db.putItem(put)
    assert.deepStrictEqual(names, ["cluster.test"])
    assert.isAbove(simulation.node("10.0.0.3").requests.localNodes, 0)
  })
})
