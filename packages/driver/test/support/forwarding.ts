/** A transport on which nodes are reached at other addresses than they have, and at no others. */
import { Socket, type Transport } from "@effect-scylla/pool"
import { Effect } from "effect"

/** `routes` answers where `address:port` leads, or `undefined` for nowhere. */
export const forwarding = (
  inner: Transport.Transport,
  routes: (to: string) => string | undefined
): Transport.Transport => ({
  dial: (endpoint) => {
    const to = routes(`${endpoint.address}:${endpoint.port}`)
    if (to === undefined) {
      const message = `cannot connect to ${endpoint.address}:${endpoint.port}: refused`
      return Effect.fail(new Socket.DialError({ kind: "Unreachable", endpoint, message, cause: undefined }))
    }
    const at = to.lastIndexOf(":")
    return inner.dial({ ...endpoint, address: to.slice(0, at), port: Number(to.slice(at + 1)), localPort: undefined })
  }
})
