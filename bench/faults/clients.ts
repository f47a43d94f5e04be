/** The two clients under load: their defaults, LOCAL_QUORUM, everything prepared and idempotent. */
import { CqlClient, CqlError } from "@effect-scylla/driver"
import { Client as CassandraDriver, policies, types } from "cassandra-driver"
import { Effect, Exit, Scope, Stream } from "effect"
import type { Place } from "./server.ts"

export type ClientName = "ours" | "cassandra-driver"

/** What a request answered: the address of the coordinator, and what was asked for. */
export interface Answer<A> {
  readonly from: string
  readonly value: A
}

export interface Client {
  readonly write: (id: number, seq: number) => Promise<Answer<void>>
  /** Whether the row is there. */
  readonly read: (id: number, seq: number) => Promise<Answer<boolean>>
  /** All of a partition. */
  readonly rows: (id: number) => Promise<ReadonlyArray<number>>
  /** Why a request failed, in a word. */
  readonly why: (error: unknown) => string
  readonly close: () => Promise<void>
}

export interface ConnectOptions {
  readonly place: Place
  /** By way of the proxy. */
  readonly proxied: boolean
  /** Is told what the client says of its nodes. */
  readonly notice: (what: string) => void
}

const INSERT = "INSERT INTO faults.w (id, seq, v) VALUES (?, ?, ?)"
const SELECT = "SELECT v FROM faults.w WHERE id = ? AND seq = ?"
const PARTITION = "SELECT seq FROM faults.w WHERE id = ?"
const VALUE = "x".repeat(100)

const placeOf = ({ place, proxied }: ConnectOptions) => {
  const ways = proxied ? place.proxied! : {}
  return { contactPoint: ways[place.nodes[0]!] ?? place.contactPoint, wayTo: (address: string) => ways[address] }
}

const ours = async (options: ConnectOptions): Promise<Client> => {
  const { contactPoint, wayTo } = placeOf(options)
  const scope = Effect.runSync(Scope.make())
  const connecting = Effect.gen(function*() {
    const cql = yield* CqlClient.make({
      contactPoints: [contactPoint],
      localDatacenter: options.place.datacenter,
      addressTranslator: ({ address }) => wayTo(address)
    })
    yield* cql.awaitConnected
    yield* Effect.forkIn(
      Stream.runForEach(
        cql.nodeChanges,
        ({ address, change }) => Effect.sync(() => options.notice(`${address} ${JSON.stringify(change)}`))
      ),
      scope
    )
    const [insert, select, partition] = yield* Effect.all([
      cql.prepare(INSERT),
      cql.prepare(SELECT),
      cql.prepare(PARTITION)
    ])
    return { cql, insert, select, partition }
  })
  const { cql, insert, partition, select } = await Effect.runPromise(
    Effect.provideService(connecting, Scope.Scope, scope)
  )
  const idempotent = { idempotent: true }
  return {
    write: async (id, seq) => {
      const { coordinator } = await Effect.runPromise(cql.execute(insert, [id, seq, VALUE], idempotent))
      return { from: coordinator.address, value: undefined }
    },
    read: async (id, seq) => {
      const { coordinator, rows } = await Effect.runPromise(cql.execute(select, [id, seq]))
      return { from: coordinator.address, value: rows.length === 1 }
    },
    rows: async (id) => {
      const { rows } = await Effect.runPromise(cql.execute(partition, [id]))
      return rows.map((row) => row["seq"] as number)
    },
    why: (error) => error instanceof CqlError.CqlError ? error.reason._tag : String(error),
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const theirs = async (options: ConnectOptions): Promise<Client> => {
  const { contactPoint, wayTo } = placeOf(options)
  // It takes none but instances of its own class, which its types do not show.
  const ways = Object.assign(policies.defaultAddressTranslator(), {
    translate: (address: string, port: number, callback: (endpoint: string) => void) =>
      callback(wayTo(address) ?? `${address}:${port}`)
  })
  const client = new CassandraDriver({
    contactPoints: [contactPoint],
    localDataCenter: options.place.datacenter,
    // That of the nodes it finds: it does not take them to have that of the contact point.
    protocolOptions: { port: Number(contactPoint.split(":")[1]) },
    // Its routing by token wants to know the keyspace.
    keyspace: "faults",
    queryOptions: { prepare: true, isIdempotent: true, consistency: types.consistencies.localQuorum },
    ...(options.proxied ? { policies: { addressResolution: ways } } : {})
  })
  await client.connect()
  client.on("hostUp", ({ address }) => options.notice(`${address} up`))
  client.on("hostDown", ({ address }) => options.notice(`${address} down`))
  const from = ({ info }: types.ResultSet): string => info.queriedHost.split(":")[0]!
  return {
    write: async (id, seq) => ({ from: from(await client.execute(INSERT, [id, seq, VALUE])), value: undefined }),
    read: async (id, seq) => {
      const result = await client.execute(SELECT, [id, seq])
      return { from: from(result), value: result.rowLength === 1 }
    },
    rows: async (id) => (await client.execute(PARTITION, [id])).rows.map((row) => row["seq"] as number),
    why: (error) => error instanceof Error ? error.constructor.name : String(error),
    close: () => client.shutdown()
  }
}

export const connect = (name: ClientName, options: ConnectOptions): Promise<Client> =>
  name === "ours" ? ours(options) : theirs(options)
