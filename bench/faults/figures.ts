/** From what was recorded of each request to the figures of a run. */
import { BEFORE_SECONDS, reach } from "./plan.ts"

/** Every request, in the order of their ends. Times are milliseconds of the machine's clock. */
export class Recorded {
  readonly starts: Array<number> = []
  readonly ends: Array<number> = []
  /** 0 for a write, 1 for a read; 2 more for one that failed. */
  readonly kinds: Array<number> = []
  /** Index of the node that answered, -1 for none. */
  readonly nodes: Array<number> = []

  add(start: number, end: number, isRead: boolean, node: number): void {
    this.starts.push(start)
    this.ends.push(end)
    this.kinds.push((isRead ? 1 : 0) + (node < 0 ? 2 : 0))
    this.nodes.push(node)
  }
}

/** When things happened, on the same clock. */
export interface Moments {
  readonly began: number
  /** The fault is over. For one that is over at once, when it began. */
  readonly ended: number
  /** How long its time is taken to last, in milliseconds. */
  readonly millis: number
  /** The load was taken away. */
  readonly stopped: number
}

export interface Figures {
  /** Requests answered in a second. */
  readonly perSecond: { readonly before: number; readonly during: number; readonly after: number }
  /** From the beginning of the fault to the end of the run. */
  readonly failed: { readonly reads: number; readonly writes: number }
  readonly failedBefore: number
  /** Of requests that were under way while the fault lasted, in milliseconds. */
  readonly during: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly before: { readonly p50: number; readonly p99: number; readonly max: number }
  /** From the beginning of the fault, in milliseconds: half the throughput is back. 0 if it was never less. */
  readonly half: number | null
  /** From the end of the fault, in milliseconds: the first answer of the node to a request from after it. `null`: none came. */
  readonly again: number | null
  /** The node's part in the answers of the last five seconds. */
  readonly share: number
  /** Answers in each half second from two seconds before the beginning, and how many were the node's. */
  readonly timeline: ReadonlyArray<readonly [number, number]>
  /** What does not hold of the reach, nothing if all does. */
  readonly beyond: ReadonlyArray<string>
}

const WINDOW = 100
const SLOT = 500
const SLOTS_BEFORE = 4

const quantiles = (times: Array<number>) => {
  const sorted = times.sort((a, b) => a - b)
  const at = (q: number): number => sorted[Math.min(Math.floor(sorted.length * q), sorted.length - 1)] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

/**
 * The end of the longest stretch of windows with less than half that begins within the time allowed for it: a single window
 * may be short because the machine did something else.
 */
const backAtHalf = (answered: (from: number, to: number) => number, half: number, millis: number): number | null => {
  const windows = Math.floor(millis / WINDOW)
  const isLow = Array.from(
    { length: windows },
    (_, window) => answered(window * WINDOW, (window + 1) * WINDOW) < half * WINDOW / 1000
  )
  let longest = { length: 0, end: 0 }
  for (let window = 0; window < Math.min(windows, reach.half / WINDOW); window++) {
    let end = window
    while (isLow[end] === true) end++
    if (end - window > longest.length) longest = { length: end - window, end }
    window = Math.max(window, end)
  }
  return longest.length > 0 && longest.end === windows ? null : longest.end * WINDOW
}

export const figuresOf = (record: Recorded, moments: Moments, node: number): Figures => {
  const { began, ended, millis, stopped } = moments
  const { ends, kinds, nodes, starts } = record
  const count = (from: number, to: number, which: (at: number) => boolean): number => {
    let found = 0
    for (let at = 0; at < ends.length; at++) if (ends[at]! >= from && ends[at]! < to && which(at)) found++
    return found
  }
  const answered = (from: number, to: number): number => count(from, to, (at) => nodes[at]! >= 0)
  const rate = (from: number, to: number): number => answered(from, to) * 1000 / (to - from)
  const took = (which: (start: number, end: number) => boolean): Array<number> =>
    starts.flatMap((start, at) => which(start, ends[at]!) ? [ends[at]! - start] : [])

  const from = began - BEFORE_SECONDS * 1000
  const over = began + millis
  const perSecond = {
    before: rate(from, began),
    during: rate(began, over),
    after: rate(Math.max(ended, over), stopped)
  }
  const failed = {
    reads: count(began, Infinity, (at) => kinds[at] === 3),
    writes: count(began, Infinity, (at) => kinds[at] === 2)
  }
  const during = quantiles(took((start, end) => start < over && end >= began))
  const half = backAtHalf((a, b) => answered(began + a, began + b), perSecond.before / 2, millis)
  const first = starts.findIndex((start, at) => start >= ended && nodes[at] === node)
  const again = first < 0 ? null : ends[first]! - ended
  const lastFrom = stopped - 5_000
  const share = count(lastFrom, stopped, (at) => nodes[at] === node) / Math.max(1, answered(lastFrom, stopped))
  const slots = Math.floor((stopped - began) / SLOT)
  const timeline = Array.from({ length: SLOTS_BEFORE + slots }, (_, slot) => {
    const start = began + (slot - SLOTS_BEFORE) * SLOT
    return [answered(start, start + SLOT), count(start, start + SLOT, (at) => nodes[at] === node)] as const
  })
  const holds: ReadonlyArray<readonly [string, boolean]> = [
    ["none fails", failed.reads + failed.writes === 0],
    ["p99", during.p99 < reach.p99],
    ["max", during.max <= reach.max],
    ["half", half !== null && half <= reach.half && rate(began + reach.half, over) >= perSecond.before / 2],
    ["again", again !== null && again <= reach.again]
  ]
  return {
    perSecond,
    failed,
    failedBefore: count(-Infinity, began, (at) => kinds[at]! >= 2),
    during,
    before: quantiles(took((_, end) => end >= from && end < began)),
    half,
    again,
    share,
    timeline,
    beyond: holds.flatMap(([name, isSo]) => isSo ? [] : [name])
  }
}
