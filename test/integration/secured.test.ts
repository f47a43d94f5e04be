/** One Cassandra node that wants TLS and a password. */
import { CqlClient } from "@effect-scylla/driver"
import { TestServer } from "@effect-scylla/testkit"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { instead } from "./support/instead.ts"
import { providerOf } from "./support/providers.ts"

const { isRequired, missing } = providerOf("cassandra")

if (missing !== undefined) instead("a secured node on cassandra", missing, isRequired)
else {
  describe("a secured node on cassandra", () => {
    layer(TestServer.cassandra({ nodes: 1, authentication: true, tls: true }), {
      excludeTestServices: true,
      timeout: "120 seconds"
    })("", (it) => {
      const options = Effect.map(TestServer.TestServer, (server) => ({
        contactPoints: server.contactPoints,
        username: server.credentials!.username,
        password: Redacted.make(server.credentials!.password),
        tls: { ca: server.ca! }
      }))

      it.effect("is used over TLS with the right certificate and password", () =>
        Effect.gen(function*() {
          const cql = yield* CqlClient.make(yield* options)
          const [row] = yield* cql`SELECT key, cluster_name FROM system.local WHERE key = ${"local"}`
          assert.strictEqual(row?.["key"], "local")
          const roles = yield* cql.execute("SELECT role FROM system_auth.roles")
          assert.isAbove(roles.rows.length, 0)
        }))

      it.effect("is not trusted with another certificate authority", () =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(Effect.scoped(CqlClient.make({ ...yield* options, tls: true })))
          assert.strictEqual(error.reason._tag, "NoContactPoint")
          assert.match(error.message, /certificate/i)
        }))

      it.effect("refuses a wrong password, and none at all", () =>
        Effect.gen(function*() {
          const good = yield* options
          const wrong = yield* Effect.flip(
            Effect.scoped(CqlClient.make({ ...good, password: Redacted.make("wrong") }))
          )
          assert.strictEqual(wrong.reason._tag, "AuthenticationFailed")
          assert.notInclude(String(wrong), "wrong")
          const { password: _p, username: _u, ...anonymous } = good
          const none = yield* Effect.flip(Effect.scoped(CqlClient.make(anonymous)))
          assert.strictEqual(none.reason._tag, "AuthenticationFailed")
          assert.include(none.message, "set `username` and `password`")
        }))
    })
  })
}
