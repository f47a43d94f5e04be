/**
 * Histories of operations on registers, and whether they are linearizable: whether each operation can be given a moment between
 * its start and its end at which it took effect, so that every read saw the last write before it.
 *
 * The search is that of Wing and Gong with Lowe's memory of configurations (G. Lowe, "Testing for linearizability", 2017). An operation whose
 * outcome nobody knows may have taken effect at any time after its start, or never.
 *
 * @stability unstable
 * @since 0.1.0
 */

/**
 * What was done and seen. `undefined` is the absence of the key.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation =
  | { readonly _tag: "Put"; readonly value: string | undefined }
  | { readonly _tag: "Get"; readonly value: string | undefined }
  | {
    readonly _tag: "CompareAndSwap"
    readonly expected: string | undefined
    readonly value: string
    readonly succeeded: boolean
  }

/**
 * One operation on one key. `end` undefined: nobody knows what became of it. A write that was certainly not applied, or a
 * read that failed, is no entry.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly key: string
  readonly operation: Operation
  readonly start: number
  readonly end: number | undefined
}

/**
 * A key whose operations have no order that explains them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Violation {
  readonly key: string
  /** Its operations by their start. */
  readonly entries: ReadonlyArray<Entry>
  /** How many of them, in the order of their ends, can be explained; the next one cannot. */
  readonly explained: number
}

type State = string | undefined

/** The state after an operation; `impossible` when it cannot take effect in this one. */
const impossible = Symbol("impossible")
const step = (state: State, { end, operation }: Entry): State | typeof impossible => {
  switch (operation._tag) {
    case "Put":
      return operation.value
    case "Get":
      return operation.value === state ? state : impossible
    case "CompareAndSwap":
      // Of one with an unknown outcome only the success changes anything.
      if (end === undefined || operation.succeeded) return operation.expected === state ? operation.value : impossible
      return operation.expected === state ? impossible : state
  }
}

/** Unknown writes that left no trace need not be tried: the history is as good without them. */
const relevant = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const seen = new Set<State>()
  let misses = false
  for (const { operation } of entries) {
    if (operation._tag === "Get") seen.add(operation.value)
    else if (operation._tag === "CompareAndSwap") {
      seen.add(operation.expected)
      if (!operation.succeeded) misses = true
    }
  }
  return entries.filter(({ end, operation }) => end !== undefined || misses || seen.has(operation.value))
}

/** One operation's place in the list of starts and ends that are not explained yet. */
class Link {
  previous: Link | undefined
  next: Link | undefined
  readonly index: number
  readonly entry: Entry | undefined
  /** For a start, its end; undefined when it has none. For an end, undefined. */
  match: Link | undefined
  readonly isEnd: boolean
  constructor(index: number, entry: Entry | undefined, isEnd: boolean) {
    this.index = index
    this.entry = entry
    this.isEnd = isEnd
  }
}

const linked = (entries: ReadonlyArray<Entry>): Link => {
  const moments: Array<{ readonly at: number; readonly link: Link }> = []
  for (const [index, entry] of entries.entries()) {
    const start = new Link(index, entry, false)
    moments.push({ at: entry.start, link: start })
    if (entry.end === undefined) continue
    start.match = new Link(index, entry, true)
    moments.push({ at: entry.end, link: start.match })
  }
  // What starts at the moment when another ends is taken to overlap with it.
  moments.sort((a, b) => a.at - b.at || Number(a.link.isEnd) - Number(b.link.isEnd))
  const head = new Link(-1, undefined, false)
  let last = head
  for (const { link } of moments) {
    last.next = link
    link.previous = last
    last = link
  }
  return head
}

const lift = (link: Link): void => {
  if (link.previous !== undefined) link.previous.next = link.next
  if (link.next !== undefined) link.next.previous = link.previous
}

const unlift = (link: Link): void => {
  if (link.previous !== undefined) link.previous.next = link
  if (link.next !== undefined) link.next.previous = link
}

const checkKey = (key: string, all: ReadonlyArray<Entry>): Violation | undefined => {
  const entries = relevant(all)
  const head = linked(entries)
  const completed = entries.filter(({ end }) => end !== undefined).length
  const done = new Uint8Array(Math.ceil(entries.length / 8))
  const seen = new Set<string>()
  const stack: Array<{ readonly link: Link; readonly state: State }> = []
  let state: State = undefined
  let ended = 0
  let explained = 0
  let link = head.next
  const text = new TextDecoder("latin1")
  while (ended < completed) {
    if (link === undefined || link.isEnd) {
      // An operation ends here that found no place: take the last choice back.
      const last = stack.pop()
      if (last === undefined) return { key, entries: all, explained }
      state = last.state
      done[last.link.index >> 3]! ^= 1 << (last.link.index & 7)
      if (last.link.match !== undefined) {
        unlift(last.link.match)
        ended--
      }
      unlift(last.link)
      link = last.link.next
      continue
    }
    const after = step(state, link.entry!)
    if (after !== impossible) {
      done[link.index >> 3]! ^= 1 << (link.index & 7)
      const configuration = `${text.decode(done)}|${after === undefined ? "" : `=${after}`}`
      if (!seen.has(configuration)) {
        seen.add(configuration)
        stack.push({ link, state })
        state = after
        lift(link)
        if (link.match !== undefined) {
          lift(link.match)
          ended++
          explained = Math.max(explained, ended)
        }
        link = head.next
        continue
      }
      done[link.index >> 3]! ^= 1 << (link.index & 7)
    }
    link = link.next
  }
  return undefined
}

/**
 * The keys whose histories are not linearizable.
 *
 * @category combinators
 * @since 0.1.0
 */
export const check = (history: ReadonlyArray<Entry>): ReadonlyArray<Violation> => {
  const byKey = new Map<string, Array<Entry>>()
  for (const entry of history) {
    const entries = byKey.get(entry.key)
    if (entries === undefined) byKey.set(entry.key, [entry])
    else entries.push(entry)
  }
  const violations: Array<Violation> = []
  for (const [key, entries] of byKey) {
    const violation = checkKey(key, entries.toSorted((a, b) => a.start - b.start))
    if (violation !== undefined) violations.push(violation)
  }
  return violations
}

/**
 * A violation for people to read.
 *
 * @category combinators
 * @since 0.1.0
 */
export const render = ({ entries, explained, key }: Violation): string => {
  const show = (state: State): string => state === undefined ? "nothing" : state
  const lines = entries.map(({ end, operation, start }) => {
    const what = operation._tag === "CompareAndSwap"
      ? `cas ${show(operation.expected)} -> ${operation.value}${end === undefined ? "" : `: ${operation.succeeded}`}`
      : `${operation._tag === "Put" ? "put" : "got"} ${show(operation.value)}`
    return `  ${start.toFixed(2)} to ${end === undefined ? "?" : end.toFixed(2)}  ${what}`
  })
  return `${key} is not linearizable; ${explained} operations can be explained\n${lines.join("\n")}`
}
