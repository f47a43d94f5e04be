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
        clusterName: ""
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
          "serialConsistency",
          "tls"
        ].sort()
      )
      assert.include(error.message, 'contactPoints[0]: "a:b:c" is no host, host:port or [IPv6]:port')
      assert.include(error.message, 'compression: "none", "lz4" or "snappy", got "zstd"')
      assert.include(error.message, 'protocolVersion: "auto", 3, 4 or 5, got 6')
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
