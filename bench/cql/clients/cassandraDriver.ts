/** cassandra-driver with its defaults, prepared statements as its manual advises. */
import cassandra from "cassandra-driver"
import { batchSize, INSERT, keyCount, keys, name, row, SELECT } from "../workload.ts"
import type { Connect } from "./client.ts"

const { Client, concurrent, types } = cassandra

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
    : operation === "batch"
    ? async (n: number) => {
      const id = ids[n % keyCount]
      const queries = scores.slice(0, batchSize).map((score, i) => ({ query: INSERT, params: [id, name, i, score] }))
      await client.batch(queries, { prepare: true, logged: false })
    }
    : async (n: number) => {
      await client.execute(INSERT, [ids[n % keyCount], name, n, scores[n % keyCount]], options)
    }

  /** All rows in one call, in memory as it wants them. */
  const many = async (inflight: number, requests: number) => {
    const isSelect = operation === "manySelect"
    const rows = Array.from(
      { length: requests },
      (_, n) => isSelect ? [ids[n % keyCount]] : [ids[n % keyCount], name, n, scores[n % keyCount]]
    )
    await concurrent.executeConcurrent(client, isSelect ? SELECT : INSERT, rows, { concurrencyLevel: inflight })
  }

  return {
    run: async (inflight, requests, sampler) => {
      if (operation.startsWith("many")) return many(inflight, requests)
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
