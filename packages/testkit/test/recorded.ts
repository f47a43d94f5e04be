/**
 * Plays recorded scenarios (`test/fixtures/statements`) on a simulated cluster and compares answers, byte for byte. As a
 * script it shows what is refused or differs: `node packages/testkit/test/recorded.ts [area|-] [scylla|cassandra|-] [refused|worded|differs]`.
 * After a step forward, `node packages/testkit/test/recorded.ts floor` writes down what must not be lost again.
 */
import { type Request, Value } from "@effect-scylla/protocol"
import { SimulatedCluster } from "@effect-scylla/testkit"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { connect, type RawClient } from "./rawClient.ts"
import { type Answer, answerOf } from "./wireAnswer.ts"

export type Product = "scylla" | "cassandra"

interface Parameter {
  readonly name?: string
  readonly hex?: string | null
  readonly unset?: true
}

interface Step {
  readonly q?: string
  readonly params?: ReadonlyArray<Parameter>
  readonly prepared?: true
  readonly execute?: false
  readonly page?: number
  readonly consistency?: Request.Options["consistency"]
  readonly serial?: string
  readonly timestamp?: number
  readonly wait_ms?: number
  readonly batch?: "logged" | "unlogged" | "counter"
  readonly statements?: ReadonlyArray<Step>
  readonly volatile?: true | ReadonlyArray<string>
  readonly scylla: Answer
  readonly cassandra: Answer
}

interface Scenario {
  readonly name: string
  readonly use?: false
  readonly keyspace?: Partial<Record<Product, string>>
  readonly setup: ReadonlyArray<Step>
  readonly steps: ReadonlyArray<Step>
}

const FOLDER = fileURLToPath(new URL("../../../test/fixtures/statements/", import.meta.url))

export const areas: ReadonlyArray<string> = readdirSync(FOLDER)
  .flatMap((file) => /^statements-(.*)\.json$/.exec(file)?.[1] ?? []).sort()

const scenariosOf = (area: string): ReadonlyArray<Scenario> =>
  (JSON.parse(readFileSync(`${FOLDER}statements-${area}.json`, "utf8")) as {
    readonly scenarios: ReadonlyArray<Scenario>
  })
    .scenarios

/** When the answers were recorded: some of them are about timestamps in the future. */
const RECORDED = Date.UTC(2026, 10, 30, 12)

const expand = (text: string): string =>
  text.replaceAll(/\{\{repeat:([^]*?):(\d+)\}\}/g, (_, part: string, count: string) => part.repeat(Number(count)))

const valueOf = ({ hex, unset }: Parameter): Request.RawValue =>
  unset === true
    ? Value.Unset
    : hex === null || hex === undefined
    ? null
    : Uint8Array.from(Buffer.from(expand(hex), "hex"))

const valuesOf = (params: ReadonlyArray<Parameter> | undefined): Request.Values | undefined => {
  if (params === undefined) return undefined
  const names = params.map(({ name }) => name).filter((name) => name !== undefined)
  return names.length === 0 ? { values: params.map(valueOf) } : { values: params.map(valueOf), names }
}

const LEVELS: Record<string, number> = { QUORUM: 4 }

/** One step: what the simulator answers to it. */
const play = Effect.fnUntraced(function*(client: RawClient, step: Step) {
  if (step.wait_ms !== undefined) yield* TestClock.adjust(`${step.wait_ms} millis`)
  const isSerial = step.serial === undefined || step.serial === "SERIAL" || step.serial === "LOCAL_SERIAL"
  const ask = (request: Request.Request) => {
    if (isSerial) return Effect.map(client.ask(request), (frame) => answerOf(client, frame))
    // Our own encoder refuses such a level; it stands at the end.
    const bytes = client.bytesOf(request)
    if (request._tag !== "Prepare") bytes[bytes.length - 1] = LEVELS[step.serial!]!
    return Effect.map(Effect.andThen(client.send(bytes), client.next), (frame) => answerOf(client, frame))
  }
  const options: Request.Options = {
    consistency: step.consistency ?? "ONE",
    ...(step.serial === undefined ? {} : { serialConsistency: isSerial ? step.serial as "SERIAL" : "SERIAL" }),
    ...(step.timestamp === undefined ? {} : { timestamp: BigInt(step.timestamp) }),
    ...(step.page === undefined ? {} : { pageSize: step.page })
  }
  if (step.batch !== undefined) {
    const entries: Array<Request.BatchEntry> = []
    for (const each of step.statements!) {
      const query = expand(each.q!)
      const values = (each.params ?? []).map(valueOf)
      if (each.prepared !== true) {
        entries.push({ _tag: "Text", query, values })
        continue
      }
      const prepare = yield* ask({ _tag: "Prepare", query })
      if (prepare.kind !== "prepared") return { prepare } as Answer
      entries.push({ _tag: "Prepared", id: prepare["id"] as Uint8Array, values })
    }
    return yield* ask({ _tag: "Batch", kind: step.batch, entries, options })
  }
  const query = expand(step.q!)
  const values = valuesOf(step.params)
  let prepare: Answer | undefined
  if (step.prepared === true) {
    const { id, ...rest } = yield* ask({ _tag: "Prepare", query })
    prepare = rest
    if (prepare.kind !== "prepared" || step.execute === false) return { prepare } as Answer
    prepare = { ...prepare, id }
  }
  const once = (pagingState: Uint8Array | null) =>
    ask(
      prepare === undefined
        ? { _tag: "Query", query, options: { ...options, pagingState }, values }
        : { _tag: "Execute", id: prepare["id"] as Uint8Array, options: { ...options, pagingState }, values }
    )
  const first = yield* once(null)
  const said: { [key: string]: unknown } = { ...first }
  delete said["paging"]
  if (prepare !== undefined) {
    const { id: _, ...rest } = prepare
    said["prepare"] = rest
  }
  if (step.page !== undefined && first.kind === "rows") {
    const pages = [{ rows: first["rows"], more: first.paging !== undefined }]
    for (let last = first; last.paging !== undefined && pages.length < 30;) {
      last = yield* once(last.paging!)
      if (last.kind !== "rows") break
      pages.push({ rows: last["rows"], more: last.paging !== undefined })
    }
    delete said["rows"]
    delete said["more"]
    said["pages"] = pages
  }
  return said as Answer
})

type Cells = ReadonlyArray<ReadonlyArray<unknown>>

/** Cells that vary are only compared in whether they are null. */
const masked = (answer: Answer, volatile: Step["volatile"]): Answer => {
  const columns = answer["columns"] as ReadonlyArray<readonly [string, string]> | undefined
  const rows = answer["rows"] as Cells | undefined
  if (volatile === undefined || columns === undefined || rows === undefined) return answer
  return {
    ...answer,
    rows: rows.map((row) =>
      row.map((cell, i) => cell !== null && (volatile === true || volatile.includes(columns[i]![0])) ? "*" : cell)
    )
  }
}

const sorted = (value: unknown): unknown => {
  if (typeof value === "string") return expand(value)
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, each]) => [key, sorted(each)])
  )
}

const textOf = (answer: Answer): string => JSON.stringify(sorted(answer))

/** What belongs to one process is not in the recording. */
const anonymous = (text: string): string =>
  text.replaceAll(/<(?:address|addresses|hash|id|folder)>/g, "<>").replaceAll(/\/?127\.0\.0\.1(?::\d+)?/g, "<>")

const same = (recorded: Answer, simulated: Answer, volatile: Step["volatile"]): boolean =>
  anonymous(textOf(masked(recorded, volatile))) === anonymous(textOf(masked(simulated, volatile)))

const errorIn = (answer: Answer): Answer | undefined =>
  answer.kind === "error"
    ? answer
    : (answer["prepare"] as Answer | undefined)?.kind === "error"
    ? answer["prepare"] as Answer
    : undefined

export interface Verdict {
  readonly scenario: string
  readonly step: Step
  /** `worded`: the right error in other words. */
  readonly verdict: "agrees" | "refused" | "worded" | "differs"
  readonly recorded: string
  readonly simulated: string
}

const judge = (scenario: string, step: Step, recorded: Answer, simulated: Answer): Verdict => {
  const wanted = errorIn(recorded)
  const got = errorIn(simulated)
  const verdict = same(recorded, simulated, step.volatile)
    ? "agrees"
    : String(got?.["message"]).startsWith("not simulated: ")
    ? "refused"
    : wanted !== undefined && got !== undefined && wanted["code"] === got["code"]
    ? "worded"
    : "differs"
  return { scenario, step, verdict, recorded: textOf(recorded), simulated: textOf(simulated) }
}

const playScenario = Effect.fnUntraced(function*(scenario: Scenario, product: Product) {
  yield* TestClock.setTime(RECORDED)
  const cluster = yield* SimulatedCluster.make({
    transport: "memory",
    product,
    // As the recorded clusters were called.
    datacenters: [{ name: product === "scylla" ? "datacenter1" : "dc1", nodes: 1 }],
    shards: 2,
    tablets: product === "scylla",
    tabletLimits: product === "scylla",
    passesNoTablets: false
  })
  const client = yield* connect("127.0.0.1", 9042, cluster.transport)
  yield* client.startup()
  yield* client.query(
    scenario.keyspace?.[product] ??
      "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}" +
        (product === "scylla" ? " AND tablets = {'enabled': false}" : "")
  )
  if (scenario.use !== false) yield* client.query("USE ks")
  const verdicts: Array<Verdict> = []
  for (const step of [...scenario.setup, ...scenario.steps]) {
    // A clock that stands still would give all writes of a scenario one time.
    yield* TestClock.adjust("1 millis")
    verdicts.push(judge(scenario.name, step, step[product], yield* play(client, step)))
  }
  return verdicts
})

/** What is agreed on at least, and differs at most, by area and product: only ever raised and lowered. */
export type Floor = Record<string, Record<Product, { readonly agrees: number; readonly differs: number }>>

const FLOOR = `${FOLDER}floor.json`

export const floor: Floor = JSON.parse(readFileSync(FLOOR, "utf8"))

/** All steps of an area, in the manners of a product. */
export const playArea = (area: string, product: Product): Effect.Effect<ReadonlyArray<Verdict>> =>
  Effect.gen(function*() {
    const verdicts: Array<Verdict> = []
    for (const scenario of scenariosOf(area)) {
      verdicts.push(...yield* Effect.scoped(playScenario(scenario, product)))
    }
    return verdicts
  }).pipe(Effect.orDie, Effect.provide(TestClock.layer()))

export const count = (verdicts: ReadonlyArray<Verdict>): Record<Verdict["verdict"], number> => {
  const out = { agrees: 0, refused: 0, worded: 0, differs: 0 }
  for (const { verdict } of verdicts) out[verdict]++
  return out
}

const short = (text: string): string => text.length > 600 ? `${text.slice(0, 600)}…` : text

const show = async (area = "-", product = "-", kind = "differs"): Promise<void> => {
  for (const each of area === "-" ? areas : [area]) {
    for (const name of product === "-" ? ["scylla", "cassandra"] as const : [product as Product]) {
      const verdicts = await Effect.runPromise(playArea(each, name))
      const { agrees, differs, refused, worded } = count(verdicts)
      console.log(
        `${each.padEnd(22)}${name.padEnd(10)} agrees ${agrees} refused ${refused} worded ${worded} differs ${differs}`
      )
      if (area === "-") continue
      for (const { recorded, scenario, simulated, step, verdict } of verdicts) {
        if (verdict !== kind && kind !== "all") continue
        console.log(
          `\n[${name}: ${scenario}: ${verdict}] ${short(step.q ?? JSON.stringify(step.statements))} ${
            short(JSON.stringify(step.params ?? ""))
          }\n  real ${short(recorded)}\n  ours ${short(simulated)}`
        )
      }
    }
  }
}

const writeFloor = async (): Promise<void> => {
  const out: Floor = {}
  for (const area of areas) {
    const of = async (product: Product) => {
      const { agrees, differs, worded } = count(await Effect.runPromise(playArea(area, product)))
      return { agrees, differs: differs + worded }
    }
    out[area] = { scylla: await of("scylla"), cassandra: await of("cassandra") }
  }
  writeFileSync(FLOOR, `${JSON.stringify(out, undefined, 2)}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await (process.argv[2] === "floor" ? writeFloor() : show(...process.argv.slice(2)))
}
