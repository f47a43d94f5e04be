/** A scripted CQL node with shards on a {@link FakeNetwork}. */
import * as Compression from "@effect-scylla/protocol/Compression"
import * as Dialect from "@effect-scylla/protocol/Dialect"
import type * as Response from "@effect-scylla/protocol/Response"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import * as Uuid from "@effect-scylla/protocol/Uuid"
import type { FakeNetwork, FakeSocket, Received } from "./network.ts"

export interface Options {
  /** Absent: a server without shards. */
  readonly shards?: number | undefined
  readonly ignoreMsb?: number | undefined
  readonly port?: number | undefined
  /** `false`: neither there nor advertised. */
  readonly shardAwarePort?: number | false | undefined
  /** Further keys of SUPPORTED, or other values. */
  readonly supported?: Readonly<Record<string, ReadonlyArray<string>>> | undefined
  readonly authenticator?: string | undefined
  /** Versions that it speaks. Default 3 and 4. */
  readonly versions?: ReadonlyArray<number> | undefined
  /** A connection stays in the version of its first frame, as ScyllaDB has it. */
  readonly isStrict?: boolean | undefined
  readonly hostId?: string | undefined
  readonly clusterName?: string | undefined
}

export const PLAIN_PORT = 9042
export const SHARD_AWARE_PORT = 19_042

export class FakeNode {
  shards: number
  ignoreMsb: number
  readonly network: FakeNetwork
  readonly options: Options
  /** Connections that others hold, by shard: the plain port counts them. */
  others: Array<number> = []
  /** What a NAT makes of a local port. */
  nat: (port: number) => number = (port) => port
  /** Called before the node's own answer; `true` means that it is taken care of. */
  intercept: (socket: FakeSocket, received: Received) => boolean = () => false
  /** The most handshakes that were ever under way at once. */
  mostHandshakes = 0
  private handshakes = 0
  readonly accepted: Array<FakeSocket> = []

  constructor(network: FakeNetwork, options: Options = {}) {
    this.network = network
    this.options = options
    this.shards = options.shards ?? 0
    this.ignoreMsb = options.ignoreMsb ?? 12
    network.accept = (socket) => this.admit(socket)
  }

  get open(): ReadonlyArray<FakeSocket> {
    return this.accepted.filter((socket) => !socket.isClosed && !socket.isDestroyed)
  }

  /** Open connections by shard. */
  get counts(): ReadonlyArray<number> {
    return Array.from(
      { length: Math.max(1, this.shards) },
      (_, shard) => this.open.filter((socket) => socket.shard === shard).length
    )
  }

  private admit(socket: FakeSocket): void {
    const { endpoint } = socket
    if (this.shards > 0) {
      if (endpoint.port === this.options.shardAwarePort) socket.shard = this.nat(socket.localPort!) % this.shards
      else {
        const loads = this.counts.map((count, shard) => count + (this.others[shard] ?? 0))
        socket.shard = loads.indexOf(Math.min(...loads))
      }
    }
    this.accepted.push(socket)
    this.mostHandshakes = Math.max(this.mostHandshakes, ++this.handshakes)
    let isOver = false
    const over = (): void => {
      if (!isOver) this.handshakes--
      isOver = true
    }
    socket.onClosed = over
    const { isStrict = false, versions = [3, 4] } = this.options
    let first: number | undefined
    /** An error of the whole connection, in a version that anybody reads; then the end. */
    const hangUp = (message: string): void => {
      socket.dialect = Dialect.v4
      socket.respond(0, error("ProtocolError", message))
      socket.end()
    }
    socket.onRequest = (_, received) => {
      const { version } = received
      if (!versions.includes(version)) return hangUp(`Invalid or unsupported protocol version: ${version}`)
      first ??= version
      if (isStrict && version !== first) {
        return hangUp(
          `Invalid message version. Got ${version} but previous messages on this connection had version ${first}`
        )
      }
      if (this.intercept(socket, received)) return
      if (received.request._tag === "Startup") over()
      this.answer(socket, received)
    }
  }

  supported(shard: number): ReadonlyMap<string, ReadonlyArray<string>> {
    const { options } = this
    return new Map(Object.entries({
      CQL_VERSION: ["3.3.1"],
      COMPRESSION: ["lz4", "snappy"],
      ...(this.shards === 0 ? {} : {
        SCYLLA_SHARD: [String(shard)],
        SCYLLA_NR_SHARDS: [String(this.shards)],
        SCYLLA_SHARDING_IGNORE_MSB: [String(this.ignoreMsb)],
        SCYLLA_SHARDING_ALGORITHM: ["biased-token-round-robin"],
        SCYLLA_PARTITIONER: ["org.apache.cassandra.dht.Murmur3Partitioner"],
        ...(options.shardAwarePort ? { SCYLLA_SHARD_AWARE_PORT: [String(options.shardAwarePort)] } : {})
      }),
      ...options.supported
    }))
  }

  answer(socket: FakeSocket, { request, stream }: Received): void {
    switch (request._tag) {
      case "Options":
        return socket.respond(stream, { _tag: "Supported", options: this.supported(socket.shard) })
      case "Startup": {
        const name = request.options["COMPRESSION"]
        const compressor = name === "lz4" ? Compression.lz4 : name === "snappy" ? Compression.snappy : undefined
        if (request.options["SCYLLA_USE_METADATA_ID"] !== undefined) {
          socket.dialect = Dialect.make(socket.dialect.version, { metadataIds: true })
        }
        return socket.begin(
          stream,
          this.options.authenticator === undefined
            ? { _tag: "Ready" }
            : { _tag: "Authenticate", authenticator: this.options.authenticator },
          compressor
        )
      }
      case "AuthResponse":
        return Buffer.from(request.token!).toString() === "\0user\0pencil"
          ? socket.respond(stream, { _tag: "AuthSuccess", token: null })
          : socket.respond(stream, error("BadCredentials", "Username and/or password are incorrect"))
      case "Register":
        return socket.respond(stream, { _tag: "Ready" })
      case "Query": {
        const use = /^USE "(.*)"$/.exec(request.query)
        if (use?.[1] === "missing") {
          return socket.respond(stream, error("InvalidRequest", "Keyspace 'missing' does not exist"))
        }
        if (request.query.startsWith("SELECT cluster_name, host_id")) {
          return socket.respond(stream, identity(this.options))
        }
        return socket.respond(stream, use ? { _tag: "SetKeyspace", keyspace: use[1]! } : { _tag: "Void" })
      }
      default:
        return socket.respond(stream, error("ProtocolError", "not scripted"))
    }
  }
}

const identity = ({ clusterName = "test", hostId = HOST_ID }: Options): Response.ServerResponse => {
  const column = (name: string, type: "text" | "uuid") =>
    ({ keyspace: "system", table: "local", name, type: { _tag: "Scalar", name: type } }) as const
  return {
    _tag: "Rows",
    columns: [column("cluster_name", "text"), column("host_id", "uuid")],
    rows: [[Buffer.from(clusterName), Uuid.parseUnsafe(hostId).toBytes()]]
  }
}

export const HOST_ID = "11111111-2222-3333-4444-555555555555"

const KINDS = {
  BadCredentials: (message: string) => new ServerError.BadCredentials({ code: 0x100, message }),
  InvalidRequest: (message: string) => new ServerError.InvalidRequest({ code: 0x2200, message }),
  ProtocolError: (message: string) => new ServerError.ProtocolError({ code: 0x0a, message }),
  Overloaded: (message: string) => new ServerError.Overloaded({ code: 0x1001, message })
}

export const error = (
  kind: keyof typeof KINDS,
  message: string
): { readonly _tag: "Error"; readonly error: ServerError.ServerError } => ({
  _tag: "Error",
  error: KINDS[kind](message)
})
