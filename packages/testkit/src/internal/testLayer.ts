import * as ConnectLimiter from "@effect-scylla/pool/ConnectLimiter"
import * as Layer from "effect/Layer"

/** With a limiter of dials of its own: clients of one suite do not wait for those of another, or inherit their slow start. */
export const testLayer = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.merge(layer, ConnectLimiter.layer())
