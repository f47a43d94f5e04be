/** cassandra-driver with its defaults, prepared statements as its manual advises. */
import { Client, types } from "cassandra-driver"
import { INSERT, keyCount, keys, name, row, SELECT } from "../workload.ts"
import type { Connect } from "./client.ts"

export const connect: Connect = async (port, operation) => {
  const client = new Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: "datacenter1" })
  await client.connect()
  const ids = keys.map((key) => types.Uuid.fromString(key))
  const scores = keys.map((_, i) => types.Long.fromNumber(i))
  const options = { prepare: true }
  const state = { remaining: 0 }

  const request = operation === "select"
    ? async (n: number) => {
      const result = await client.execute(SELECT, [ids[n % keyCount]], options)
      if (result.rows[0]!["age"] !== row.age) throw new Error("not the row")
    }
    : async (n: number) => {
      await client.execute(INSERT, [ids[n % keyCount], name, n, scores[n % keyCount]], options)
    }

  return {
    run: async (inflight, requests, sampler) => {
      state.remaining = requests
      const worker = async () => {
        while (state.remaining > 0) {
          const n = --state.remaining
          if (sampler.due()) {
            const start = performance.now()
            await request(n)
            sampler.record(start)
          } else await request(n)
        }
      }
      await Promise.all(Array.from({ length: inflight }, worker))
    },
    close: () => client.shutdown()
  }
}
