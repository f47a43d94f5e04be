/** Statements to two servers: what each answers, and whether it is the same. */
import type { Request } from "@effect-scylla/protocol"
import { Effect } from "effect"
import { connect, type RawClient } from "../../packages/testkit/test/rawClient.ts"
import { type Answer, answerOf } from "../../packages/testkit/test/wireAnswer.ts"
import { render } from "./parts.ts"
import type { Statement } from "./statements.ts"

/** The simulator and the server that is right. */
export interface Servers {
  readonly simulated: RawClient
  readonly real: RawClient
}

/** One second for all, so that what expires does so at the same time on both: in it lies the reason for version 5. */
const OPTIONS: Request.Options = { consistency: "ONE", serialConsistency: "SERIAL", nowInSeconds: 2_000_000_000 }

/** More pages than any answer has. */
const MAX_PAGES = 300

/** A connection that speaks version 5. */
export const speak = Effect.fnUntraced(function*(contactPoint: string) {
  const [address = "", port = ""] = contactPoint.split(":")
  const client = yield* connect(address, Number(port), undefined, undefined, 5)
  yield* client.startup()
  return client
})

const send = (client: RawClient, request: Request.Request) =>
  Effect.map(client.ask(request), (frame) => answerOf(client, frame))

/** What a server answers to a text, without values. */
export const answerTo = (client: RawClient, query: string): Effect.Effect<Answer> =>
  send(client, { _tag: "Query", query, options: OPTIONS })

/** A statement as it is sent. */
export interface Sent {
  readonly query: string
  /** Of markers; absent where it is not prepared. */
  readonly values?: ReadonlyArray<Uint8Array | null>
  readonly pageSize: number
}

export const sentOf = ({ isPrepared, pageSize, part }: Statement): Sent => {
  if (!isPrepared) return { query: render(part), pageSize }
  const values: Array<Uint8Array | null> = []
  return { query: render(part, values), values, pageSize }
}

/** All pages of an answer; where a statement is prepared, what was said of it too. */
export const ask = Effect.fnUntraced(function*(client: RawClient, { pageSize, query, values }: Sent) {
  const prepared = values === undefined ? undefined : yield* send(client, { _tag: "Prepare", query })
  if (prepared?.kind === "error") return prepared
  const once = (pagingState: Uint8Array | null) => {
    const options = { ...OPTIONS, pageSize, pagingState }
    return send(
      client,
      prepared === undefined
        ? { _tag: "Query", query, options }
        : {
          _tag: "Execute",
          id: prepared["id"] as Uint8Array,
          resultMetadataId: prepared["metadataId"] as Uint8Array,
          options,
          values: { values: values! }
        }
    )
  }
  let last: Answer & { readonly paging?: Uint8Array | null } = yield* once(null)
  const pages = [last["rows"]]
  const { paging: _, rows: __, ...said } = last as { [key: string]: unknown }
  while (last.paging !== undefined && pages.length < MAX_PAGES) {
    last = yield* once(last.paging)
    // A later page that fails is all that there is to say.
    if (last.kind === "error") return last
    pages.push(last["rows"])
  }
  return {
    ...said,
    ...(said["kind"] === "rows" ? { pages } : {}),
    ...(prepared === undefined ? {} : { markers: prepared["markers"], result: prepared["result"] })
  } as Answer
})

/** What came of a statement. `crashed`: the real server fell over it, which says nothing of how it should be answered. */
export type Verdict =
  | { readonly _tag: "agrees" | "crashed"; readonly kind: string }
  | { readonly _tag: "worded"; readonly simulated: string; readonly real: string }
  | { readonly _tag: "refused"; readonly why: string }
  | { readonly _tag: "differs"; readonly simulated: string; readonly real: string }

/** Which NaN comes of infinities and of other NaNs is the processor's, and the compiler's, whose machine code orders operands. */
export const textOf = (answer: Answer): string =>
  JSON.stringify(answer).replaceAll('"fff8000000000000"', '"7ff8000000000000"').replaceAll('"ffc00000"', '"7fc00000"')

const NOT_SIMULATED = "not simulated: "

/**
 * SERVER_ERROR, a failed or a timed-out read or write (one node alone times out where it fell over in the middle), and a page that it
 * does not find again (5.0 does not, of groups without clustering columns).
 */
const FELL_OVER = new Set<unknown>([0, 0x1100, 0x1200, 0x1300, 0x1500, 10])

/** Asks both, the simulator first: what it does not simulate is not written to the other either. */
export const compare = Effect.fnUntraced(
  function*({ real, simulated }: Servers, statement: Statement): Effect.fn.Return<Verdict> {
    const sent = sentOf(statement)
    const mine = yield* ask(simulated, sent)
    const message = String(mine["message"])
    if (mine.kind === "error" && message.startsWith(NOT_SIMULATED)) {
      return { _tag: "refused", why: message.slice(NOT_SIMULATED.length) }
    }
    const theirs = yield* ask(real, sent)
    const shown = { simulated: textOf(mine), real: textOf(theirs) }
    if (shown.simulated === shown.real) return { _tag: "agrees", kind: mine.kind ?? "" }
    if (theirs.kind === "error" && FELL_OVER.has(theirs["code"])) {
      return { _tag: "crashed", kind: theirs.kind }
    }
    const isWorded = mine.kind === "error" && theirs.kind === "error" && mine["code"] === theirs["code"]
    return { _tag: isWorded ? "worded" : "differs", ...shown }
  }
)
