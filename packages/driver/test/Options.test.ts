import { CqlClient, type CqlError } from "@effect-scylla/driver"
import { Authenticator } from "@effect-scylla/pool"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer, Redacted, Schema } from "effect"

const issuesOf = (error: CqlError.CqlError): ReadonlyArray<string> =>
  error.reason._tag === "InvalidConfiguration" ? error.reason.issues.map((issue) => issue.path) : [error.reason._tag]

describe("options", () => {
  it.effect("every wrong field is named at once, before anything is dialled", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(CqlClient.make({
        contactPoints: ["a:b:c", "good:9042", "h:99999"],
        port: 0,
        username: "only",
        consistency: "MOST" as any,
        serialConsistency: "QUORUM" as any,
        requestTimeout: "soon" as any,
        pageSize: 0,
        keyspace: "",
        protocolVersion: 6 as any,
        compression: "zstd" as any,
        connections: { perShard: 0 },
        authenticator: {} as any,
        allowedAuthenticators: [],
        onMissingChallenge: "ignore" as any,
        tls: "yes" as any,
        reconnect: { base: "2 seconds", cap: "1 second" },
        maxInFlight: 40_000,
        maxWaiting: 0,
        adaptive: { min: 0 },
        localPorts: { from: 50_000, to: 40_000 },
        clientId: "",
        clusterName: "",
        schema: "always" as any,
        schemaKeyspaces: ["shop", ""]
      })))
      assert.deepStrictEqual(
        [...issuesOf(error)].sort(),
        [
          "adaptive",
          "allowedAuthenticators",
          "authenticator",
          "clientId",
          "clusterName",
          "compression",
          "connections",
          "consistency",
          "contactPoints[0]",
          "contactPoints[2]",
          "keyspace",
          "localPorts",
          "maxInFlight",
          "maxWaiting",
          "onMissingChallenge",
          "pageSize",
          "password",
          "port",
          "protocolVersion",
          "reconnect.cap",
          "requestTimeout",
          "schema",
          "schemaKeyspaces",
          "serialConsistency",
          "tls"
        ].sort()
      )
      assert.include(error.message, 'contactPoints[0]: "a:b:c" is no host, host:port or [IPv6]:port')
      assert.include(error.message, 'compression: "none", "lz4" or "snappy", got "zstd"')
      assert.include(error.message, 'protocolVersion: "auto", 3, 4 or 5, got 6')
      assert.include(error.message, 'schema: "lazy", "eager" or false, got "always"')
    }))

  it.effect("what does not go together", () =>
    Effect.gen(function*() {
      const issues = (options: object) =>
        Effect.map(
          Effect.flip(Effect.scoped(CqlClient.make({ contactPoints: ["127.0.0.1:1"], ...options }))),
          issuesOf
        )
      const login = { username: "u", password: Redacted.make("p") }
      assert.deepStrictEqual(
        yield* issues({ ...login, authenticator: Authenticator.plain(login) }),
        ["authenticator"]
      )
      assert.deepStrictEqual(yield* issues({ allowedAuthenticators: ["a.B"] }), ["allowedAuthenticators"])
      assert.deepStrictEqual(yield* issues({ connections: { perShard: 1, perNode: 1 } }), ["connections"])
      assert.deepStrictEqual(yield* issues({ adaptive: { tolerance: 1 } }), ["adaptive.tolerance"])
      assert.deepStrictEqual(yield* issues({ adaptive: "yes" }), ["adaptive"])
      assert.deepStrictEqual(yield* issues({ reconnect: { base: "soon" } }), ["reconnect.base"])
    }))

  it.effect("no contact points", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(CqlClient.make({ contactPoints: [] })))
      assert.deepStrictEqual(issuesOf(error), ["contactPoints"])
    }))

  it.effect("from the configuration: every field that is missing or wrong in one error", () =>
    Effect.gen(function*() {
      const layer = CqlClient.layerConfig({
        contactPoints: Config.Array(Schema.String, "CONTACT_POINTS"),
        port: Config.Port("PORT"),
        username: "constant",
        password: Config.Redacted("PASSWORD"),
        requestTimeout: Config.Duration("TIMEOUT"),
        compression: Config.Literals(["none", "lz4", "snappy"], "COMPRESSION")
      }).pipe(
        Layer.provide(
          ConfigProvider.layer(ConfigProvider.fromEnvRecord({ PORT: "x", TIMEOUT: "never ever", COMPRESSION: "zip" }))
        )
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.deepStrictEqual(issuesOf(error), [
        "contactPoints",
        "port",
        "password",
        "requestTimeout",
        "compression"
      ])
    }))

  /** What is wrong with options that come from an environment. */
  const wrongIn = (environment: Record<string, string>, given: Parameters<typeof CqlClient.layerConfig>[0] = {}) =>
    Effect.map(
      Effect.flip(Effect.scoped(Layer.build(
        CqlClient.layerConfig(given).pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment)))
        )
      ))),
      (error) => {
        assert.notInclude(error.message, "SchemaError")
        return error
      }
    )

  it.effect("from the environment by names: what is wrong alone, and what is wrong together, in one error", () =>
    Effect.gen(function*() {
      const error = yield* wrongIn({
        CQL_CONTACT_POINTS: "a:b:c,10.0.0.1",
        CQL_PORT: "29701x",
        CQL_USERNAME: "app",
        CQL_CONSISTENCY: "MOST",
        CQL_REQUEST_TIMEOUT: "soon",
        CQL_TLS: "perhaps",
        CQL_PROTOCOL_VERSION: "6",
        PORT: "1",
        CONTACT_POINTS: "nobody"
      })
      assert.deepStrictEqual(
        [...issuesOf(error)].sort(),
        [
          "CQL_CONSISTENCY",
          "CQL_CONTACT_POINTS[0]",
          "CQL_PORT",
          "CQL_PROTOCOL_VERSION",
          "CQL_REQUEST_TIMEOUT",
          "CQL_TLS",
          "password"
        ]
      )
      assert.include(error.message, 'CQL_PORT: a whole number from 1 to 65535, got the string "29701x"')
    }))

  it.effect("from the environment: what is given in code wins, and without contact points the name is told", () =>
    Effect.gen(function*() {
      const given = yield* wrongIn({ CQL_PORT: "nonsense", CQL_CONTACT_POINTS: "10.0.0.1" }, { port: 0 })
      assert.deepStrictEqual(issuesOf(given), ["port"])
      const none = yield* wrongIn({})
      assert.include(none.message, "CQL_CONTACT_POINTS")
    }))

  it.effect("a port that is a string says that it is one", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.scoped(CqlClient.make({ contactPoints: ["127.0.0.1"], port: "29701" as never }))
      )
      assert.include(error.message, 'port: a whole number from 1 to 65535, got the string "29701"')
    }))

  it.effect("secrets are never in an error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(CqlClient.make({
        contactPoints: ["127.0.0.1:1"],
        username: "u",
        password: Redacted.make("hunter2"),
        port: -1
      })))
      assert.notInclude(JSON.stringify(error) + error.message + String(error), "hunter2")
    }))
})
