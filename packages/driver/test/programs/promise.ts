/** `node promise.ts <what> <contact point>`: a program by async/await that closes its client, or forgets it. */
import { connect } from "@effect-scylla/driver/promise"

const [what, contactPoint] = process.argv.slice(2) as [string, string]
const db = await connect({ contactPoints: [contactPoint], unref: what !== "held" })
const [row] = await db<{ key: string }>`SELECT key FROM system.local WHERE key = ${"local"}`
console.log(row!.key)
if (what === "closed") await db.close()
