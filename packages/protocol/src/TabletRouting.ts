/**
 * What ScyllaDB tells of a tablet, in the custom payload of an answer, when a request came to the wrong node or shard.
 *
 * The payloads are CQL values: `tuple<bigint, bigint, list<tuple<uuid, int>>>` under `tablets-routing-v1`, with a further
 * `bigint`, the version, under `tablets-routing-v2` (scylladb `locator/tablets.cc`, `docs/dev/tablets-routing-v2.md`).
 *
 * @since 0.1.0
 */
import { DecodeError } from "./ProtocolError.ts"
import { Reader } from "./Reader.ts"
import * as Uuid from "./Uuid.ts"

/**
 * The keys of the payloads.
 *
 * @category constants
 * @since 0.1.0
 */
export const Keys = { V1: "tablets-routing-v1", V2: "tablets-routing-v2" } as const

/**
 * A tablet: the tokens `first < token <= last` of the table that was asked, and who holds them. It is what
 * `TabletMap.add` of `@effect-scylla/sharding` takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface TabletRouting {
  /** The token before the range; the minimum token for the first tablet of a table. */
  readonly first: bigint
  /** The last token of the range. */
  readonly last: bigint
  /** The nodes' host ids, canonical text, and the shards there; of v2 the leader first, if there is one. */
  readonly replicas: ReadonlyArray<{ readonly host: string; readonly shard: number }>
  /** Of v2, eight opaque bytes: compared by their bits, never ordered. */
  readonly version: bigint | undefined
}

/** A value of a fixed size behind its length. */
const expect = (r: Reader, size: number, what: string): void => {
  const length = r.i32()
  if (length !== size) throw new DecodeError({ message: `${what} of a tablet has ${length} bytes, not ${size}` })
}

const bigint = (r: Reader, what: string): bigint => {
  expect(r, 8, what)
  return r.i64()
}

/** A replica: its length, a uuid and an int, each behind a length of its own. */
const REPLICA = 4 + 16 + 4 + 4

const readReplicas = (r: Reader): TabletRouting["replicas"] => {
  const size = r.i32()
  const end = r.pos + size
  // Each behind a length, too.
  const count = r.count(r.i32(), 4 + REPLICA)
  const replicas: Array<{ readonly host: string; readonly shard: number }> = []
  for (let i = 0; i < count; i++) {
    expect(r, REPLICA, "a replica")
    expect(r, 16, "the host id of a replica")
    const host = Uuid.fromBytes(r.bytes, r.take(16)).toString()
    expect(r, 4, "the shard of a replica")
    const shard = r.i32()
    if (shard < 0) throw new DecodeError({ message: `a tablet on shard ${shard}` })
    replicas.push({ host, shard })
  }
  if (r.pos !== end) throw new DecodeError({ message: `the replicas of a tablet have ${size} bytes` })
  return replicas
}

/**
 * The tablet that a payload tells, `undefined` for one that tells none. Throws `DecodeError` for bytes that are no such
 * value, and for a range that holds no token.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromPayload = (
  payload: ReadonlyMap<string, Uint8Array | null> | undefined
): TabletRouting | undefined => {
  if (payload === undefined) return undefined
  const v2 = payload.get(Keys.V2)
  const bytes = v2 ?? payload.get(Keys.V1)
  if (bytes === undefined || bytes === null) return undefined
  const r = Reader.from(bytes)
  const first = bigint(r, "the first token")
  const last = bigint(r, "the last token")
  if (first >= last) throw new DecodeError({ message: `a tablet of no tokens: from ${first} to ${last}` })
  const replicas = readReplicas(r)
  const version = bytes === v2 ? bigint(r, "the version") : undefined
  // A tuple may gain elements: what is behind them is a later server's.
  return { first, last, replicas, version }
}
