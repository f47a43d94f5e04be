/** A server behind mapped ports, whose own address clients are told of and cannot reach. */
import type * as Transport from "@effect-scylla/pool/Transport"

/** Where something is reached. */
export interface Place {
  readonly address: string
  readonly port: number
}

/** Where each port of a server is reached from here. */
export interface Mapping {
  /** What the server calls itself. */
  readonly address: string
  /** By the port that the server listens on. */
  readonly ports: ReadonlyMap<number, Place>
}

/** Where to dial for a place that the server, or one of its peers, was said to be at. Others stay what they are. */
export const translate = (mapping: Mapping, place: Place): Place => {
  if (place.address !== mapping.address) return place
  const known = mapping.ports.get(place.port)
  if (known !== undefined) return known
  // A client that was given the mapped port takes it for the port of all nodes.
  const mapped = [...mapping.ports.values()].find(({ port }) => port === place.port)
  return mapped ?? place
}

/** Dials translated places, for clients that are to be told nothing of it. */
export const through = (transport: Transport.Transport, mapping: Mapping): Transport.Transport => ({
  dial: (endpoint) => transport.dial({ ...endpoint, ...translate(mapping, endpoint) })
})
