/** Who is in the cluster: one look at it, by the steps of a routing scope. The loop that looks is AlternatorNodes. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { AlternatorTransport } from "../AlternatorTransport.ts"
import { type AlternatorNode, make, type Scheme } from "../NodeAddress.ts"
import { TrackedNode } from "../NodeHealth.ts"
import * as RoutingScope from "../RoutingScope.ts"
import { ask, type Filter, type Limits, queryOf, supports } from "./localNodes.ts"
import { race } from "./race.ts"

export interface Settings {
  readonly scheme: Scheme
  /** Of nodes that are listed: lists have no ports. */
  readonly port: number
  readonly limits: Limits
  readonly timeout: Duration.Duration
  readonly raceDelay: Duration.Duration
  /** Looks in a row that find the scope in force empty before a wider one is used. */
  readonly widenAfter: number
  /** Milliseconds after which a node is asked again what it filters by. */
  readonly supportMillis: number
  readonly translate:
    | ((address: { readonly host: string; readonly port: number }) =>
      | { readonly host: string; readonly port: number }
      | undefined)
    | undefined
}

type Listed = ReadonlyMap<string, AlternatorNode>

/** Nodes that one answer told of. */
interface Group {
  /** By URL. */
  readonly nodes: Listed
  /** URL of the node that told. */
  readonly teller: string
  readonly datacenter: string | undefined
  readonly rack: string | undefined
}

type StepResult =
  | { readonly _tag: "Found"; readonly groups: ReadonlyArray<Group> }
  | { readonly _tag: "Empty" }
  | { readonly _tag: "Unsupported"; readonly message: string }
  | { readonly _tag: "Failed"; readonly message: string }

/** What a chain of steps came to, the last time that it came to anything. */
export interface View {
  readonly scope: RoutingScope.RoutingScope
  step: number
  groups: ReadonlyArray<Group>
  empties: number
}

export type Looked =
  | { readonly _tag: "Found" }
  /** What was known stays; without a message that is nothing to be told. */
  | { readonly _tag: "Kept"; readonly message: string | undefined }
  | { readonly _tag: "Unsupported"; readonly message: string }

export const makeView = (scope: RoutingScope.RoutingScope): View => ({ scope, step: -1, groups: [], empties: 0 })

/** Live nodes of one datacenter that are asked in one look for what they know, before it counts as silent. */
const ASKED_PER_GROUP = 3

type Reply =
  | { readonly _tag: "Listed"; readonly nodes: Listed }
  | { readonly _tag: "Unsupported"; readonly message: string }
  | { readonly _tag: "Failed"; readonly message: string }

/** Told of the groups of a view so far. */
type OnFirst = (groups: ReadonlyArray<Group>) => Effect.Effect<void>

/** Shared by both views of one look: equal questions are asked once. */
interface Look {
  readonly results: Map<string, StepResult>
  readonly candidates: ReadonlyArray<AlternatorNode>
  /** Milliseconds on the monotonic clock. */
  readonly until: number
}

export class Discovery {
  /** Entries that were no addresses, as of the last look. */
  dropped: ReadonlyArray<string> = []
  /** What a node filters by, and when it said so. */
  private readonly filters = new Map<string, { readonly isSupported: boolean; readonly at: number }>()
  private readonly transport: AlternatorTransport
  private readonly settings: Settings
  private readonly clock: Clock.Clock

  constructor(transport: AlternatorTransport, settings: Settings, clock: Clock.Clock) {
    this.transport = transport
    this.settings = settings
    this.clock = clock
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  /** `onFirst` is told of the groups of the first view, each time that there are more, where it takes several answers. */
  look(
    views: ReadonlyArray<View>,
    candidates: ReadonlyArray<AlternatorNode>,
    until: number,
    onFirst: OnFirst
  ): Effect.Effect<ReadonlyArray<Looked>> {
    return Effect.suspend(() => {
      this.dropped = []
      const look = { results: new Map(), candidates, until }
      return Effect.forEach(views, (view, i) => this.follow(view, look, i === 0 ? onFirst : () => Effect.void))
    })
  }

  /** The steps of a scope, until one has nodes. */
  private readonly follow = Effect.fnUntraced(function*(
    this: Discovery,
    view: View,
    look: Look,
    onFirst: OnFirst
  ): Effect.fn.Return<Looked> {
    const unsupported: Array<string> = []
    let isAnyEmpty = false
    for (const [i, step] of view.scope.steps.entries()) {
      const name = RoutingScope.formatStep(step)
      let result = look.results.get(name)
      if (result === undefined) {
        result = yield* this.evaluate(step, view.step === i ? view.groups : [], look, onFirst)
        look.results.set(name, result)
      }
      if (result._tag === "Found") {
        view.step = i
        view.groups = result.groups
        view.empties = 0
        return { _tag: "Found" }
      }
      // A wider scope is for when the narrow one has no nodes, not for when nobody can tell.
      if (result._tag === "Failed") return { _tag: "Kept", message: result.message }
      if (result._tag === "Unsupported") unsupported.push(result.message)
      else {
        isAnyEmpty = true
        if (i === view.step && ++view.empties < this.settings.widenAfter) {
          return { _tag: "Kept", message: undefined }
        }
      }
    }
    return isAnyEmpty || unsupported.length === 0
      ? { _tag: "Kept", message: `no node is in ${RoutingScope.format(view.scope)}` }
      : { _tag: "Unsupported", message: unsupported.join("; ") }
  })

  private evaluate(
    step: RoutingScope.RoutingStep,
    known: ReadonlyArray<Group>,
    look: Look,
    onFirst: OnFirst
  ): Effect.Effect<StepResult> {
    if (step._tag === "Datacenter") return this.named(step.datacenter, undefined, look)
    if (step._tag === "Rack") return this.named(step.datacenter, step.rack, look)
    if (step.datacenters.length === 0) return this.union(known, look, onFirst)
    return this.unionOfNamed(step.datacenters, known, look, onFirst)
  }

  private time(look: Look): Duration.Duration {
    return Duration.millis(Math.max(0, look.until - this.now()))
  }

  /** The nodes of a datacenter or rack, from whoever answers first. An empty list is believed when a second says so. */
  private readonly named = Effect.fnUntraced(function*(
    this: Discovery,
    datacenter: string,
    rack: string | undefined,
    look: Look
  ): Effect.fn.Return<StepResult> {
    const filter: Filter = rack === undefined ? "dc" : "rack"
    const query = queryOf(datacenter, rack)
    let at = 0
    let empties = 0
    let found: Listed | undefined
    let teller = ""
    const failures: Array<string> = []
    const refusals: Array<string> = []
    yield* race<AlternatorNode, Reply>({
      next: () => look.candidates[at++],
      ask: (node) => this.filtered(node, filter, query),
      take: (reply, node) =>
        Effect.sync(() => {
          if (reply._tag === "Failed") failures.push(`${node.url}: ${reply.message}`)
          else if (reply._tag === "Unsupported") refusals.push(`${node.url}: ${reply.message}`)
          else if (reply.nodes.size === 0) empties++
          else {
            found = reply.nodes
            teller = node.url
          }
          return found !== undefined || empties === 2
        }),
      isEnough: () => empties > 0,
      delay: this.settings.raceDelay,
      timeout: this.time(look)
    })
    if (found !== undefined) {
      return { _tag: "Found", groups: [{ nodes: found, teller, datacenter, rack }] }
    }
    if (empties > 0) return { _tag: "Empty" }
    if (refusals.length > 0) return { _tag: "Unsupported", message: refusals[0]! }
    return { _tag: "Failed", message: failures[0] ?? "no node answered in time" }
  })

  /** Asks a node for a part of the cluster, if it can name parts. */
  private readonly filtered = Effect.fnUntraced(function*(
    this: Discovery,
    node: AlternatorNode,
    filter: Filter,
    query: string
  ): Effect.fn.Return<Reply> {
    const key = `${node.url} ${filter}`
    let known = this.filters.get(key)
    if (known === undefined || this.now() - known.at > this.settings.supportMillis) {
      const isSupported = yield* supports(this.transport, node, filter, this.settings.limits)
      if (isSupported !== undefined) this.filters.set(key, known = { isSupported, at: this.now() })
    }
    if (known?.isSupported === false) {
      return { _tag: "Unsupported", message: `the server does not filter its list of nodes by ${filter}` }
    }
    return yield* this.ask(node, query)
  })

  /** Lists have addresses only, and perhaps not those by which this side reaches the nodes. */
  private addresses(hosts: ReadonlyArray<string>): Listed {
    const { port, scheme, translate } = this.settings
    return new Map(hosts.map((host) => {
      const address = translate?.({ host, port }) ?? { host, port }
      const node = make(scheme, address.host, address.port)
      return [node.url, node]
    }))
  }

  private ask(node: AlternatorNode, query: string): Effect.Effect<Reply> {
    return Effect.map(ask(this.transport, node, query, this.settings.limits), (answer): Reply => {
      if (answer._tag === "Failed") {
        // It may be another version when it comes back.
        this.filters.delete(`${node.url} dc`)
        this.filters.delete(`${node.url} rack`)
        return answer
      }
      if (answer.dropped.length > 0) {
        this.dropped = [...this.dropped, ...answer.dropped.map((entry) => `${entry} from ${node.url}`)]
      }
      return { _tag: "Listed", nodes: this.addresses(answer.hosts) }
    })
  }

  /**
   * All nodes, from as many answers as it takes: every node tells of its own datacenter. Those whom an answer names, and
   * their datacenter, need not be asked. A datacenter of which nobody answers stays as it was.
   */
  private readonly union = Effect.fnUntraced(function*(
    this: Discovery,
    known: ReadonlyArray<Group>,
    look: Look,
    onFirst: OnFirst
  ): Effect.fn.Return<StepResult> {
    const groups: Array<Group> = []
    const covered = new Set<string>()
    const silent = new Set(known)
    const asked = new Map<Group, number>()
    const failures: Array<string> = []
    let answers = 0
    let at = 0
    const next = (): AlternatorNode | undefined => {
      for (let node = look.candidates[at++]; node !== undefined; node = look.candidates[at++]) {
        if (covered.has(node.url)) continue
        const { url } = node
        const group = known.find(({ nodes }) => nodes.has(url))
        if (group === undefined) return node
        const count = asked.get(group) ?? 0
        if (!silent.has(group) || count >= ASKED_PER_GROUP) continue
        asked.set(group, count + 1)
        return node
      }
      at = look.candidates.length
      return undefined
    }
    yield* race<AlternatorNode, Reply>({
      next,
      ask: (node) => this.ask(node, ""),
      take: (reply, node) => {
        if (reply._tag !== "Listed") {
          failures.push(`${node.url}: ${reply.message}`)
          return Effect.succeed(false)
        }
        answers++
        const listed = Array.from(reply.nodes.keys())
        for (const group of silent) {
          // Whoever told of it, or belongs to it, tells of something else now.
          const isOver = (url: string) => url === group.teller || group.nodes.has(url)
          if (isOver(node.url) || listed.some(isOver)) silent.delete(group)
        }
        // A node that is asked by another name than it is listed by tells what was told already.
        if (!listed.every((url) => covered.has(url))) {
          groups.push({ nodes: reply.nodes, teller: node.url, datacenter: undefined, rack: undefined })
        }
        for (const url of listed) covered.add(url)
        return Effect.as(groups.length > 0 ? onFirst(groups) : Effect.void, false)
      },
      isEnough: () => groups.length > 0 && known.length > 0 && silent.size === 0,
      delay: this.settings.raceDelay,
      timeout: this.time(look)
    })
    if (groups.length > 0) return { _tag: "Found", groups: [...groups, ...silent] }
    return answers > 0 ? { _tag: "Empty" } : { _tag: "Failed", message: failures[0] ?? "no node answered in time" }
  })

  /** All datacenters by their names, each from any node. */
  private readonly unionOfNamed = Effect.fnUntraced(function*(
    this: Discovery,
    datacenters: ReadonlyArray<string>,
    known: ReadonlyArray<Group>,
    look: Look,
    onFirst: OnFirst
  ): Effect.fn.Return<StepResult> {
    const results = yield* Effect.forEach(datacenters, (datacenter) => this.named(datacenter, undefined, look), {
      concurrency: "unbounded"
    })
    // Old servers know no names: then by asking around.
    if (results.every(({ _tag }) => _tag === "Unsupported")) return yield* this.union(known, look, onFirst)
    const groups = results.flatMap((result, i) =>
      result._tag === "Found"
        ? result.groups
        : result._tag === "Empty"
        ? []
        : known.filter(({ datacenter }) => datacenter === datacenters[i])
    )
    if (groups.length > 0) return { _tag: "Found", groups }
    return results.find(({ _tag }) => _tag === "Failed") ?? { _tag: "Empty" }
  })
}

const byUrl = (a: AlternatorNode, b: AlternatorNode): number => (a.url < b.url ? -1 : a.url > b.url ? 1 : 0)

/** Nodes, interned: whoever was known stays the same object. */
export class Registry {
  private readonly nodes = new Map<string, TrackedNode>()

  private intern(address: AlternatorNode): TrackedNode {
    let node = this.nodes.get(address.url)
    if (node === undefined) this.nodes.set(address.url, node = new TrackedNode(address))
    return node
  }

  of(addresses: ReadonlyArray<AlternatorNode>): ReadonlyArray<TrackedNode> {
    return addresses.map((address) => this.intern(address)).sort(byUrl)
  }

  ofGroups(groups: ReadonlyArray<Group>): ReadonlyArray<TrackedNode> {
    const nodes = new Set<TrackedNode>()
    for (const { datacenter, nodes: listed, rack } of groups) {
      for (const address of listed.values()) {
        const node = this.intern(address)
        node.datacenter = datacenter ?? node.datacenter
        node.rack = rack ?? node.rack
        nodes.add(node)
      }
    }
    return Array.from(nodes).sort(byUrl)
  }

  /** Forgets all but these; gives those that were forgotten. */
  retain(keep: ReadonlySet<TrackedNode>): ReadonlyArray<TrackedNode> {
    const gone: Array<TrackedNode> = []
    for (const [url, node] of this.nodes) {
      if (keep.has(node)) continue
      this.nodes.delete(url)
      node.removed = true
      gone.push(node)
    }
    return gone
  }

  all(): Iterable<TrackedNode> {
    return this.nodes.values()
  }
}
