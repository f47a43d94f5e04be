/** Ends as it is told, `promises.ts <how> <seeds>`, with clients of promises that are open or closed. */
import { connect } from "@effect-scylla/alternator/promise"

const [how, seeds = ""] = process.argv.slice(2)
const options = { seeds, activeInterval: "9 minutes", idleInterval: "10 minutes" } as const

const opens = () => connect(options)

if (how === "closed") {
  await using db = await connect(options)
  await db.listTables({})
} else {
  const db = await opens()
  const other = how === "two" ? await connect(options) : db
  await other.listTables({})
  // Somebody who listens is no work under way.
  void (async () => {
    for await (const _ of db.nodes.changes());
  })()
  if (how === "failed") process.exitCode = 1
  if (how === "kept") {
    const kept = await connect({ ...options, unref: false })
    setTimeout(() => {
      console.log("still here")
      void kept.close()
    }, 200).unref()
  }
}
console.log("done")
