/** Options that nothing is done about are refused, by their names, when a client is made; those of a request when it is. */
import all, { Client, errors, ExecutionProfile, type policies, types } from "@effect-scylla/compat"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import cassandra from "cassandra-driver"
import { createRequire } from "node:module"

const least = { contactPoints: ["127.0.0.1:1"], localDataCenter: "dc1" }

const refusal = (options: object): any => {
  try {
    new Client({ ...least, ...options } as never).shutdown()
  } catch (error) {
    return error
  }
  return undefined
}

const refused: ReadonlyArray<readonly [name: string, options: object]> = [
  ["cloud", { contactPoints: undefined, cloud: { secureConnectBundle: "x" } }],
  ["graphOptions", { graphOptions: { name: "g" } }],
  ["queryOptions.graphOptions", { queryOptions: { graphOptions: {} } }],
  ["queryOptions.executeAs", { queryOptions: { executeAs: "x" } }],
  ["socketOptions.keepAlive", { socketOptions: { keepAlive: false } }],
  ["socketOptions.keepAliveDelay", { socketOptions: { keepAliveDelay: 100 } }],
  ["socketOptions.tcpNoDelay", { socketOptions: { tcpNoDelay: false } }],
  ["socketOptions.coalescingThreshold", { socketOptions: { coalescingThreshold: 8_000 } }],
  ["socketOptions.defunctReadTimeoutThreshold", { socketOptions: { defunctReadTimeoutThreshold: 1 } }],
  ["pooling.heartBeatInterval", { pooling: { heartBeatInterval: "often" } }],
  ["pooling.coreConnectionsPerHost", { pooling: { coreConnectionsPerHost: { [types.distance.local]: 0 } } }],
  ["pooling.maxRequestsPerConnection", { pooling: { maxRequestsPerConnection: 40_000 } }],
  ["protocolOptions.noCompact", { protocolOptions: { noCompact: true } }],
  ["protocolOptions.maxVersion", { protocolOptions: { maxVersion: 2 } }],
  ["prepareOnAllHosts", { prepareOnAllHosts: false }],
  ["policies.speculativeExecution", { policies: { speculativeExecution: {} } }],
  ["profile p: graphOptions", { profiles: [new ExecutionProfile("p", { graphOptions: { name: "g" } })] }]
]

describe("options", () => {
  for (const [name, options] of refused) {
    it(`${name} is refused`, () => {
      const error = refusal(options)
      assert.instanceOf(error, errors.ArgumentError)
      assert.include(error.message, name)
      assert.include(error.message, "@effect-scylla/compat")
    })
  }

  it("values that are the defaults are taken", () => {
    assert.isUndefined(refusal({
      socketOptions: {
        keepAlive: true,
        keepAliveDelay: 0,
        tcpNoDelay: true,
        coalescingThreshold: 65_536,
        defunctReadTimeoutThreshold: 64
      },
      pooling: { heartBeatInterval: 10_000 },
      protocolOptions: { noCompact: false, maxSchemaAgreementWaitSeconds: 3 },
      prepareOnAllHosts: true,
      rePrepareOnUp: true
    }))
    assert.isUndefined(refusal(cassandra.defaultOptions()))
  })
})

describe("the package", () => {
  it("is a plain object with the names of cassandra-driver, by require and by import", async () => {
    const required = createRequire(import.meta.url)("@effect-scylla/compat")
    const imported = await import("@effect-scylla/compat")
    assert.deepStrictEqual(Object.keys(required).sort(), Object.keys(cassandra).sort())
    assert.strictEqual(Object.getPrototypeOf(required), Object.prototype)
    for (const [name, value] of Object.entries(cassandra)) {
      // The two are one where nothing is between the program and Node, which `programs` of test/compat shows.
      assert.strictEqual(typeof (imported as any)[name], typeof required[name], name)
      if (name !== "Client") assert.strictEqual(required[name], value)
    }
    assert.deepStrictEqual(Object.keys((imported as any).default).sort(), Object.keys(required).sort())
  })

  it("refuses options of its own that there are not, when it is constructed", () => {
    for (
      const [compat, message] of [
        [
          { unsafeRetrys: true },
          "compat.unsafeRetrys: there is no option of this name, only compression and unsafeRetries"
        ],
        [{ compression: "gzip" }, 'compat.compression: "none", "lz4" or "snappy", got gzip'],
        [{ unsafeRetries: "yes" }, "compat.unsafeRetries: true or false, got yes"]
      ] as const
    ) assert.throws(() => new Client({ ...least, compat: compat as never }), cassandra.errors.ArgumentError, message)
  })

  it("has the types of cassandra-driver", () => {
    const client = new Client({ ...least, compat: { unsafeRetries: false } })
    assert.instanceOf(client, cassandra.Client)
    const call = () => client.execute("x")
    expectTypeOf(call).returns.toEqualTypeOf<Promise<cassandra.types.ResultSet>>()
    // The default is a namespace, as that of a CommonJS module is.
    const same: all.Client = client
    assert.isDefined(all)
    expectTypeOf(same).toEqualTypeOf<Client>()
    expectTypeOf<all.types.Uuid>().toEqualTypeOf<cassandra.types.Uuid>()
    expectTypeOf<types.Uuid>().toEqualTypeOf<cassandra.types.Uuid>()
    expectTypeOf<policies.retry.RetryPolicy>().toEqualTypeOf<cassandra.policies.retry.RetryPolicy>()
    expectTypeOf(new cassandra.mapping.Mapper(client)).toEqualTypeOf<cassandra.mapping.Mapper>()
  })
})
