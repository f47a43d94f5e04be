/**
 * Statements written by hand, and what a Cassandra answered to them. `node test/differential/hand.ts FILE… [--write]` plays files on the
 * simulator and on the Cassandra that `CQL_CONTACT_POINTS` names, and prints what they answer differently, texts of errors too. With
 * `--write` what both answer alike is added to `hand.json`, which `hand.test.ts` plays. A file has sections, each with a keyspace of its own:
 *
 *     # a name
 *     CREATE TABLE t (p int PRIMARY KEY)
 *     @prepare INSERT INTO t (p) VALUES (?)
 *     @execute 00000001 SELECT * FROM t WHERE p = ?
 *     @page 2 SELECT * FROM t
 *     @built
 */
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { RawClient } from "../../packages/testkit/test/rawClient.ts"
import { type Answer, answerOf } from "../../packages/testkit/test/wireAnswer.ts"
import { answerTo, ask, speak, textOf } from "./beside.ts"

/** A section, with what Cassandra answered to each of its lines. */
export interface Section {
  readonly name: string
  readonly steps: ReadonlyArray<readonly [line: string, cassandra: string]>
}

const FILE = new URL("hand.json", import.meta.url)

export const sections = (): ReadonlyArray<Section> =>
  existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) as ReadonlyArray<Section> : []

const KEYSPACE = "ks"
const REPLICATION = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"

/** What the sections are played on. */
export const simulator = SimulatedCluster.make({
  nodes: 1,
  shards: 1,
  product: "cassandra",
  datacenters: [{ name: "dc1", nodes: 1 }]
})

/** A keyspace with nothing in it. */
export const prepare = Effect.fnUntraced(function*(client: RawClient) {
  yield* answerTo(client, `DROP KEYSPACE IF EXISTS ${KEYSPACE}`)
  yield* answerTo(client, `CREATE KEYSPACE ${KEYSPACE} WITH replication = ${REPLICATION}`)
  yield* answerTo(client, `USE ${KEYSPACE}`)
})

const bytesOf = (word: string): Uint8Array | null =>
  word === "null" ? null : Uint8Array.from(Buffer.from(word === "empty" ? "" : word, "hex"))

/** What is answered to a line. */
export const answer = Effect.fnUntraced(function*(client: RawClient, line: string) {
  const [, how, rest] = /^@(\w+) ([^]*)$/.exec(line) ?? [undefined, "", line]
  if (how === "prepare") {
    const { id: _, metadataId: __, ...said } = answerOf(client, yield* client.ask({ _tag: "Prepare", query: rest! }))
    return textOf(said as Answer)
  }
  const [, word, query] = how === "" ? [undefined, "", line] : /^(\S+) ([^]*)$/.exec(rest!)!
  const sent = how === "page"
    ? { query: query!, pageSize: Number(word) }
    : how === "execute"
    ? { query: query!, pageSize: 5000, values: word!.split(",").map(bytesOf) }
    : { query: query!, pageSize: 5000 }
  return textOf(yield* ask(client, sent))
})

/** Cells that are text, as text. */
const readable = (text: string): string =>
  text.replaceAll(/"((?:[2-7][0-9a-f]|0a){2,})"/g, (_, hex: string) => JSON.stringify(`=${Buffer.from(hex, "hex")}`))

/** What belongs to one process, and what is in no order. */
const unified = (text: string): string =>
  text.replaceAll(/127\.0\.0\.1:\d+/g, "<address>")
    .replaceAll(/(?:known type|following) signatures: [^"]*/g, (all) => [...all].sort().join(""))

const UNSTABLE = /signatures|127\.0\.0\.1/

const play = Effect.fnUntraced(function*(files: ReadonlyArray<string>, isWritten: boolean) {
  const simulated = yield* speak((yield* simulator).contactPoints[0]!)
  const real = yield* speak(process.env["CQL_CONTACT_POINTS"]!.split(",")[0]!)
  const given = files.flatMap((file) => readFileSync(file, "utf8").split(/^# /m)).filter((text) => text.trim() !== "")
  const found: Array<Section> = []
  let [agree, differ, refused] = [0, 0, 0]
  for (const section of given) {
    const [name = "", ...lines] = section.split("\n").map((line) => line.trim()).filter((line) => line !== "")
    yield* prepare(simulated)
    yield* prepare(real)
    const steps: Array<readonly [string, string]> = []
    for (const line of lines.map((each) => each.replaceAll("\\n", "\n"))) {
      if (line === "@built") {
        yield* Effect.sleep("500 millis")
        continue
      }
      const mine = yield* answer(simulated, line)
      const theirs = yield* answer(real, line)
      if (unified(mine) === unified(theirs)) {
        agree++
        if (!UNSTABLE.test(theirs)) steps.push([line, theirs])
        continue
      }
      if (mine.includes("not simulated: ")) refused++
      else differ++
      process.stdout.write(`\n[${name}] ${line}\n  sim  ${readable(mine)}\n  real ${readable(theirs)}\n`)
    }
    found.push({ name, steps })
  }
  process.stdout.write(`\nagree ${agree}, differ ${differ}, refused ${refused}\n`)
  if (!isWritten) return
  const names = new Set(found.map(({ name }) => name))
  const all = [...sections().filter(({ name }) => !names.has(name)), ...found]
  writeFileSync(
    FILE,
    `[\n${
      all.map(({ name, steps }) =>
        `{ "name": ${JSON.stringify(name)}, "steps": [\n${steps.map((step) => JSON.stringify(step)).join(",\n")}\n] }`
      ).join(",\n")
    }\n]\n`
  )
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2)
  await Effect.runPromise(Effect.scoped(play(args.filter((arg) => !arg.startsWith("--")), args.includes("--write"))))
  process.exit(0)
}
