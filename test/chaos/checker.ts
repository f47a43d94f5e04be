/**
 * Holds what a client said of its requests against what is there in the end, and against what was read on the way.
 *
 * It takes from the client only what it promised: an acknowledged write is there once, what was `NotSent` or `Rejected` is not,
 * and of what is `Ambiguous` nothing is known but that it is there at most once.
 */
import { type Change, type Entry, type Kind, type Look, nameOf, type Place } from "./ledger.ts"

export interface Violation {
  readonly kind:
    /** Acknowledged, and missing; or seen before and gone. */
    | "Lost"
    /** `NotSent`, `Rejected` or not applied, and there. */
    | "Refused"
    /** There more often than it was asked for. */
    | "Twice"
    /** Of another place, or of nobody, or there before it was asked for. */
    | "Foreign"
    /** A part of what is whole or not at all. */
    | "Torn"
    /** Conditions were met that cannot have been. */
    | "Condition"
    /** Not in the order that it was asked for. */
    | "Disordered"
    /** A request that never ended. */
    | "Unsettled"
    /** A request that ended after its deadline. */
    | "Late"
    /** A request that ended in a defect. */
    | "Died"
    /** A read with an outcome, a write without; one that is ambiguous, and never left. */
    | "Outcome"
    /** It failed for a reason that no fault is. */
    | "Reason"
  readonly what: string
}

type Fate = "Done" | "Refused" | "Unknown"

const fateOf = ({ end }: Entry): Fate => {
  if (end?._tag === "Answered") return end.applied ? "Done" : "Refused"
  if (end?._tag !== "Failed") return "Unknown"
  return end.outcome === "NotSent" || end.outcome === "Rejected" ? "Refused" : "Unknown"
}

/** A change, and what became of its request. */
interface Step {
  readonly change: Change
  readonly entry: Entry
  readonly fate: Fate
}

/** A look, and when it was taken. */
interface Sight {
  readonly seen: ReadonlyArray<number>
  readonly begun: number
  readonly ended: number
  readonly by: string
}

type Report = (kind: Violation["kind"], what: string) => void

const labelOf = ({ end, name, number }: Entry): string => {
  const how = end === undefined
    ? "under way"
    : end._tag === "Failed"
    ? `${end.outcome ?? "no outcome"}, ${end.reason}`
    : end._tag === "Answered"
    ? end.applied ? "acknowledged" : "not applied"
    : end._tag
  return `#${number} ${name} (${how})`
}

/** Why requests of this load fail when nothing but faults of nodes and of the network happens to them. */
const REASONS: ReadonlySet<string> = new Set([
  "AttemptTimeout",
  "CasWriteUnknown",
  "ClientClosed",
  "ClientOverloaded",
  "ConnectTimeout",
  "ConnectionBusy",
  "ConnectionClosed",
  "ConnectionLost",
  "DialFailed",
  "HeartbeatTimeout",
  "InternalServerError",
  "IsBootstrapping",
  "NoNodeAvailable",
  "NodeSilent",
  "Overloaded",
  "RateLimitReached",
  "ReadFailure",
  "ReadTimeout",
  "RequestTimeout",
  "TruncateError",
  "Unavailable",
  "WriteFailure",
  "WriteTimeout"
])

const ofRequest = (entry: Entry, report: Report): void => {
  const { changes, delays, end, strangers } = entry
  for (const delay of delays) report("Late", `${labelOf(entry)} took ${delay}`)
  for (const stranger of strangers) report("Foreign", `${labelOf(entry)} got ${stranger}`)
  if (end === undefined) return report("Unsettled", labelOf(entry))
  if (end._tag === "Died") return report("Died", `${labelOf(entry)}: ${end.message}`)
  if (end._tag !== "Failed") return
  if ((end.outcome === undefined) !== (changes.length === 0)) report("Outcome", `${labelOf(entry)}: ${end.message}`)
  if (end.outcome === "Ambiguous" && !end.wasSent) report("Outcome", `${labelOf(entry)} was never sent: ${end.message}`)
  if (!REASONS.has(end.reason)) report("Reason", `${labelOf(entry)}: ${end.message}`)
}

/** What every id that is seen has to be: asked for by then, and not refused. Answers its step. */
const known = (
  id: number,
  { by, ended }: Sight,
  steps: ReadonlyMap<number, Step>,
  report: Report
): Step | undefined => {
  const step = steps.get(id)
  if (step === undefined) {
    report("Foreign", `${by} saw ${id}, which nobody wrote`)
    return undefined
  }
  if (step.fate === "Refused") report("Refused", `${by} saw ${id} of ${labelOf(step.entry)}`)
  if (step.entry.begun > ended) report("Foreign", `${by} saw ${id} of ${labelOf(step.entry)}, which came later`)
  return step
}

/** Whether it was acknowledged before the look was begun. */
const isDue = ({ entry, fate }: Step, { begun }: Sight): boolean => fate === "Done" && entry.ended < begun

const ofCounter = (steps: ReadonlyArray<Step>, sights: ReadonlyArray<Sight>, report: Report): void => {
  for (const sight of sights) {
    const seen = sight.seen[0] ?? 0
    const least = steps.filter((step) => isDue(step, sight)).length
    const most = steps.filter(({ entry, fate }) => fate !== "Refused" && entry.begun < sight.ended).length
    if (seen < least) report("Lost", `${sight.by} saw ${seen}, of ${least} that were acknowledged`)
    if (seen > most) report("Twice", `${sight.by} saw ${seen}, and at most ${most} were counted`)
  }
}

/** Of ids that are there once each. */
const ofIds = (
  steps: ReadonlyMap<number, Step>,
  sights: ReadonlyArray<Sight>,
  report: Report,
  isOrdered: boolean
): void => {
  for (const sight of sights) {
    const found = new Set<number>()
    let last = -Infinity
    for (const id of sight.seen) {
      if (found.has(id)) {
        report("Twice", `${sight.by} saw ${id} twice, of ${steps.has(id) ? labelOf(steps.get(id)!.entry) : "nobody"}`)
      }
      found.add(id)
      known(id, sight, steps, report)
      if (isOrdered && id < last) report("Disordered", `${sight.by} saw ${id} after ${last}`)
      last = id
    }
    for (const [id, step] of steps) {
      if (isDue(step, sight) && !found.has(id)) report("Lost", `${sight.by} missed ${id} of ${labelOf(step.entry)}`)
    }
  }
}

const ofRegister = (steps: ReadonlyMap<number, Step>, sights: ReadonlyArray<Sight>, report: Report): void => {
  /** Ids that were seen, and when that was known. */
  const before: Array<{ readonly id: number; readonly at: number }> = []
  for (const sight of sights) {
    const [id] = sight.seen
    if (id !== undefined) known(id, sight, steps, report)
    const acknowledged = Math.max(-Infinity, ...[...steps].flatMap(([id, step]) => isDue(step, sight) ? [id] : []))
    const seen = Math.max(-Infinity, ...before.filter(({ at }) => at < sight.begun).map(({ id }) => id))
    if ((id ?? -Infinity) < acknowledged) {
      report(
        "Lost",
        `${sight.by} saw ${id}, and ${labelOf(steps.get(acknowledged)!.entry)} had written ${acknowledged}`
      )
    } else if ((id ?? -Infinity) < seen) report("Lost", `${sight.by} saw ${id}, and ${seen} was seen before`)
    if (id !== undefined) before.push({ id, at: sight.ended })
  }
}

/** The ids that a chain had, the first one first; `undefined` where they cannot be followed. */
const pathTo = (
  last: Sight,
  steps: ReadonlyMap<number, Step>,
  report: Report
): ReadonlyArray<number> | undefined => {
  const path: Array<number> = []
  let id = last.seen[0]
  for (; id !== 0; id = steps.get(id)!.change.from) {
    if (id === undefined) {
      report("Lost", `${last.by} found the chain gone`)
      return undefined
    }
    if (known(id, last, steps, report) === undefined) return undefined
    if (path.length > steps.size) {
      report("Condition", `${last.by}: the chain goes in circles at ${id}`)
      return undefined
    }
    path.unshift(id)
  }
  return [0, ...path]
}

const ofChain = (steps: ReadonlyMap<number, Step>, sights: ReadonlyArray<Sight>, report: Report): void => {
  const path = pathTo(sights.at(-1)!, steps, report)
  if (path === undefined) return
  const position = new Map(path.map((id, at) => [id, at]))
  for (const [id, { entry, fate }] of steps) {
    if (fate === "Done" && !position.has(id)) report("Lost", `${labelOf(entry)} wrote ${id}, which the chain never had`)
  }
  /** What the chain had at least come to when this began. */
  const floor = (begun: number): number =>
    Math.max(
      0,
      ...[...steps].flatMap(([id, { entry, fate }]) =>
        fate === "Done" && entry.ended < begun ? [position.get(id) ?? 0] : []
      )
    )
  // The end is where the path leads.
  for (const sight of sights.slice(0, -1)) {
    const id = sight.seen[0] ?? -1
    const at = position.get(id)
    if (id !== 0) known(id, sight, steps, report)
    if (at === undefined) report("Lost", `${sight.by} saw ${id}, which is not on the way to the end of the chain`)
    else if (at < floor(sight.begun)) report("Lost", `${sight.by} saw ${id}, which had been replaced`)
  }
  for (const { change, entry, fate } of steps.values()) {
    const at = position.get(change.from ?? -1)
    if (fate === "Done" && at !== undefined && at < floor(entry.begun)) {
      report("Condition", `${labelOf(entry)} found ${change.from}, which had been replaced`)
    }
    if (entry.end?._tag !== "Answered" || entry.end.applied) continue
    // Told with the refusal: what was there instead.
    for (const { seen } of entry.looks) {
      if (seen[0] === change.from) report("Condition", `${labelOf(entry)} found ${change.from}, as it wished`)
    }
  }
}

const ofClaim = (steps: ReadonlyMap<number, Step>, sights: ReadonlyArray<Sight>, report: Report): void => {
  const [owner] = sights.at(-1)!.seen
  const granted = [...steps].filter(([, { fate }]) => fate === "Done")
  if (granted.length > 1) {
    report("Condition", `granted to all of ${granted.map(([, { entry }]) => labelOf(entry)).join(", ")}`)
  }
  for (const [id, { entry }] of granted) {
    if (id !== owner) report("Lost", `${labelOf(entry)} is not the owner: ${owner}`)
  }
  for (const sight of sights) {
    const [id] = sight.seen
    if (id !== undefined) known(id, sight, steps, report)
    if (id !== undefined && id !== owner) {
      report("Lost", `${sight.by} saw the owner ${id}, and in the end it is ${owner}`)
    }
    for (const step of steps.values()) {
      if (id === undefined && isDue(step, sight)) {
        report("Lost", `${sight.by} saw no owner after ${labelOf(step.entry)}`)
      }
    }
  }
  for (const { entry } of steps.values()) {
    if (entry.end?._tag !== "Answered" || entry.end.applied) continue
    for (const { seen } of entry.looks) {
      if (seen.length === 0) report("Condition", `${labelOf(entry)} was refused, and nobody had it`)
    }
  }
}

const rules: Readonly<
  Record<Kind, (steps: ReadonlyArray<Step>, sights: ReadonlyArray<Sight>, report: Report) => void>
> = {
  counter: ofCounter,
  list: (steps, sights, report) => ofIds(byId(steps), sights, report, false),
  rows: (steps, sights, report) => ofIds(byId(steps), sights, report, true),
  register: (steps, sights, report) => ofRegister(byId(steps), sights, report),
  chain: (steps, sights, report) => ofChain(byId(steps), sights, report),
  claim: (steps, sights, report) => ofClaim(byId(steps), sights, report)
}

const byId = (steps: ReadonlyArray<Step>): ReadonlyMap<number, Step> =>
  new Map(steps.map((step) => [step.change.id, step]))

/** Those whose ids tell in the end whether they are there. */
const isTold = ({ place }: Change): boolean => place.kind === "list" || place.kind === "rows"

const ofWhole = (entry: Entry, final: ReadonlyMap<string, Look>, report: Report): void => {
  const told = entry.changes.filter(isTold)
  const there = told.filter(({ id, place }) => final.get(nameOf(place))?.seen.includes(id) === true)
  if (there.length > 0 && there.length < told.length) {
    report("Torn", `${labelOf(entry)}: ${there.length} of ${told.length} are there`)
  }
}

/** `final`: what every place that was written holds after everything has ended. */
export const check = (entries: ReadonlyArray<Entry>, final: ReadonlyArray<Look>): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  const places = new Map<
    string,
    { readonly place: Place; readonly steps: Array<Step>; readonly sights: Array<Sight> }
  >()
  const of = (place: Place) => {
    const name = nameOf(place)
    let found = places.get(name)
    if (found === undefined) places.set(name, found = { place, steps: [], sights: [] })
    return found
  }
  const report: Report = (kind, what) => void violations.push({ kind, what })
  for (const entry of entries) {
    ofRequest(entry, report)
    const fate = fateOf(entry)
    for (const change of entry.changes) of(change.place).steps.push({ change, entry, fate })
    for (const { place, seen } of entry.looks) {
      of(place).sights.push({ seen, begun: entry.begun, ended: entry.ended, by: labelOf(entry) })
    }
  }
  const finally_ = new Map(final.map((look) => [nameOf(look.place), look]))
  for (const [name, { place, sights, steps }] of places) {
    const look = finally_.get(name)
    if (look === undefined) {
      report("Lost", `${name} was not looked at in the end`)
      continue
    }
    sights.push({ seen: look.seen, begun: Infinity, ended: Infinity, by: "the end" })
    rules[place.kind](steps, sights, (kind, what) => report(kind, `${name}: ${what}`))
  }
  for (const entry of entries) if (entry.isWhole) ofWhole(entry, finally_, report)
  return violations
}
