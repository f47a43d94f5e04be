import type { TestServer } from "@effect-scylla/testkit"
import { Redacted } from "effect"

/** A client's options for the servers of a suite. */
export const optionsOf = (server: TestServer.TestServer) => ({
  contactPoints: server.contactPoints,
  localDatacenter: server.datacenter,
  ...(server.credentials === undefined
    ? {}
    : { username: server.credentials.username, password: Redacted.make(server.credentials.password) })
})
