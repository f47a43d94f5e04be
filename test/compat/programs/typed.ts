/** A program of a user of `cassandra-driver`, with its types: it is compiled, in strict mode, and never run. */
import {
  type ArrayOrObject,
  Client,
  type ClientOptions,
  concurrent,
  type EmptyCallback,
  errors,
  ExecutionProfile,
  type Host,
  type HostMap,
  mapping,
  type metadata,
  metrics,
  policies,
  type QueryOptions,
  type token,
  type tracker,
  types,
  type ValueCallback
} from "@effect-scylla/compat"
const options: ClientOptions = {
  contactPoints: ["x"],
  localDataCenter: "dc1",
  pooling: { coreConnectionsPerHost: { [types.distance.local]: 2 }, heartBeatInterval: 5 },
  socketOptions: { readTimeout: 5 },
  encoding: { map: Map, set: Set },
  profiles: [new ExecutionProfile("a", { consistency: types.consistencies.one })]
}
class Lb extends policies.loadBalancing.LoadBalancingPolicy {
  override init(client: Client, hosts: HostMap, callback: EmptyCallback): void {
    void client
    void hosts
    callback(undefined as never)
  }
  override getDistance(_: Host): types.distance {
    return types.distance.local
  }
}
class Re extends policies.retry.RetryPolicy {
  override onUnavailable(
    info: policies.retry.OperationInfo,
    c: types.consistencies,
    r: number,
    a: boolean
  ): policies.retry.DecisionInfo {
    void [info, c, r, a]
    return this.retryResult(c, true)
  }
}
class Tr implements tracker.RequestTracker {
  onError() {}
  onSuccess() {}
  shutdown() {}
}
export const f = async (): Promise<void> => {
  const client: Client = new Client({
    ...options,
    policies: { loadBalancing: new Lb(), retry: new Re() },
    requestTracker: new Tr(),
    metrics: new metrics.DefaultMetrics()
  })
  const p: ArrayOrObject = [1]
  const q: QueryOptions = { prepare: true, hints: ["int"] }
  const r: types.ResultSet = await client.execute("x", p, q)
  const cb: ValueCallback<types.ResultSet> = (e, r) => {
    void e
    void r.first()
  }
  client.execute("x", cb)
  client.execute("x", p, cb)
  client.execute("x", p, q, cb)
  client.eachRow("x", p, (n, row) => {
    void n
    void row["a"]
  }, (e, r) => void [e, r])
  client.stream("x", p, q).on("readable", function() {})
  for (const row of r) void row.get("a")
  for await (const row of r) void row.keys()
  await client.batch([{ query: "x", params: [1] }, "y"], { logged: false })
  const h: Host | undefined = client.hosts.get("x")
  void h?.isUp()
  const t: metadata.TableMetadata = await client.metadata.getTable("a", "b")
  void t.columnsByName["x"]
  const m = new mapping.Mapper(client, { models: { A: { tables: ["a"] } } }).forModel<{ a: number }>("A")
  void (await m.find({ a: 1 })).first()?.a
  void (await concurrent.executeConcurrent(client, "x", [[1]])).totalExecuted
  const e: errors.ResponseError = new errors.ResponseError(1, "x")
  void e.code
  const tk: token.Token = client.metadata.newToken("5")
  void tk
  client.on("hostAdd", (h: Host) => void h.address).on("log", (level: string) => void level)
  const l: types.Long = types.Long.fromNumber(5)
  void l.toString()
  await client.shutdown()
  client.shutdown(() => {})
}
