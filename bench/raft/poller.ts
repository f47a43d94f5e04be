/**
 * `poller.ts <etcd|d-engine> <endpoint>…`: asks the survivors every 5 ms whether one of them leads, and prints when one did:
 * milliseconds since the epoch. A process of its own, so that it sees nothing of the client under test.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import {
  LeaderDiscoveryRequestSchema,
  LeaderDiscoveryResponseSchema
} from "@effect-scylla/raft-client/generated/dengine/cluster_pb"
import { StatusRequestSchema, StatusResponseSchema } from "@effect-scylla/raft-client/generated/etcd/rpc_pb"
import { Client, credentials } from "@grpc/grpc-js"

const [kind, ...endpoints] = process.argv.slice(2)

const leads = (client: Client): Promise<boolean> =>
  new Promise((resolve) => {
    const [path, body] = kind === "etcd"
      ? ["/etcdserverpb.Maintenance/Status", toBinary(StatusRequestSchema, create(StatusRequestSchema))] as const
      : [
        "/d_engine.server.cluster.ClusterManagementService/DiscoverLeader",
        toBinary(LeaderDiscoveryRequestSchema, create(LeaderDiscoveryRequestSchema))
      ] as const
    client.makeUnaryRequest(
      path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
      body,
      { deadline: Date.now() + 500 },
      (error, bytes) => {
        if (error !== null) return resolve(false)
        if (kind !== "etcd") return resolve(fromBinary(LeaderDiscoveryResponseSchema, bytes!).leaderId !== 0)
        const { header, leader } = fromBinary(StatusResponseSchema, bytes!)
        resolve(leader !== 0n && leader === header?.memberId)
      }
    )
  })

const clients = endpoints.map((endpoint) => new Client(endpoint, credentials.createInsecure()))
await Promise.all(clients.map(leads))
console.log("ready")
setInterval(() => {
  for (const client of clients) {
    void leads(client).then((yes) => {
      if (!yes) return
      console.log(String(performance.timeOrigin + performance.now()))
      process.exit(0)
    })
  }
}, 5)
