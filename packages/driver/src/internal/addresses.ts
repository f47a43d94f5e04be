import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import { isIP } from "node:net"
import type { AddressTranslator, Place, Told } from "../AddressTranslator.ts"
import * as ContactPoints from "./contactPoints.ts"
import type { Reached } from "./reached.ts"
import type { Routes } from "./routes.ts"
import type { NodeRow } from "./systemTables.ts"

/** A node that was reached by a contact point. */
interface Contacted extends Reached {
  /** Where it said then that it is: when it says something else, it has moved. */
  readonly told: string
}

/**
 * Where the nodes are. One that a contact point led to is where that led; a translator knows of the others, and knows better; the
 * rest are where they say.
 */
export class Addresses {
  private readonly contacted = new Map<string, Contacted>()
  private readonly translate: AddressTranslator | undefined
  /** What the translator said of what a node told. */
  private readonly translations = new Map<
    string,
    { readonly address: string; readonly port: number; readonly place: Reached | undefined }
  >()
  /** What was warned of. */
  private readonly failed = new Set<string>()

  constructor(translate: AddressTranslator | undefined) {
    this.translate = translate
  }

  /** A contact point led to the node. */
  reached(
    row: NodeRow,
    dialled: { readonly address: string; readonly port: number; readonly name: string | undefined }
  ): void {
    const { address, name, port } = dialled
    const isIndirect = address !== row.address
    this.contacted.set(row.hostId, { address, port, servername: name, isIndirect, told: row.address })
  }

  /** Somebody else answers there. Whether that says something new. */
  refuted(hostId: string): boolean {
    return this.contacted.delete(hostId)
  }

  /**
   * Where the nodes are dialled, `undefined` for those that cannot be; `portOf` is what they tell, or would. Where there are `routes`,
   * nothing else leads to a node. The translator is not asked again of a node that still tells the same, and is reached.
   */
  of(
    rows: ReadonlyArray<NodeRow>,
    portOf: (row: NodeRow) => number,
    routes: Routes | undefined,
    isReached: (hostId: string) => boolean
  ): Effect.Effect<ReadonlyArray<Reached | undefined>> {
    if (routes !== undefined) return Effect.succeed(rows.map(({ hostId }) => routes.get(hostId)))
    if (this.translate === undefined) return Effect.succeed(rows.map((row) => this.told(row, portOf(row))))
    return Effect.forEach(rows, (row) => {
      const { address, datacenter, hostId, rack } = row
      const port = portOf(row)
      const before = this.translations.get(hostId)
      if (before !== undefined && before.address === address && before.port === port && isReached(hostId)) {
        return Effect.succeed(before.place ?? this.told(row, port))
      }
      return Effect.map(this.translated({ hostId, address, port, datacenter, rack }), (place) => {
        this.translations.set(hostId, { address, port, place })
        return place ?? this.told(row, port)
      })
    }, { concurrency: "unbounded" }).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          const known = new Set(rows.map(({ hostId }) => hostId))
          for (const hostId of this.translations.keys()) if (!known.has(hostId)) this.translations.delete(hostId)
        })
      )
    )
  }

  /** Where it says that it is, or where it was reached that said so. */
  private told({ address, hostId }: NodeRow, port: number): Reached {
    const contacted = this.contacted.get(hostId)
    if (contacted !== undefined && contacted.told === address) return contacted
    this.contacted.delete(hostId)
    return { address, port, servername: undefined, isIndirect: false }
  }

  private readonly translated = Effect.fnUntraced({ self: this }, function*(this: Addresses, told: Told) {
    const { translate } = this
    if (translate === undefined) return undefined
    const asked = Effect.suspend(() => {
      const answer = translate(told)
      if (Effect.isEffect(answer)) return answer as Effect.Effect<Place | undefined, unknown>
      return isPromise(answer) ? Effect.promise(() => Promise.resolve(answer)) : Effect.succeed(answer)
    })
    const warn = (why: string): Effect.Effect<undefined> => {
      const line = `addressTranslator of ${told.address}:${told.port}: ${why}; it is dialled where it says`
      if (this.failed.has(line) || this.failed.size >= WARNINGS) return Effect.undefined
      this.failed.add(line)
      return Effect.as(Effect.logWarning(line), undefined)
    }
    const place = yield* Effect.catchCause(
      Effect.timeoutOrElse(Effect.map(asked, (place) => ({ place })), {
        duration: LONGEST,
        orElse: () => warn(`no answer within ${LONGEST} ms`)
      }),
      (cause) => warn(format(cause))
    )
    if (place?.place === undefined) return undefined
    const point = pointOf(place.place, told.port)
    if (typeof point === "string") return yield* warn(point)
    const { addresses, problem } = yield* ContactPoints.resolve(point)
    const [address] = addresses
    if (address === undefined) return yield* warn(problem ?? `${point.host} has no address`)
    return {
      address,
      port: point.port,
      servername: isIP(point.host) === 0 ? point.host : undefined,
      isIndirect: address !== told.address || point.port !== told.port
    }
  })
}

/** Milliseconds for an answer: the whole cluster waits for it. */
const LONGEST = 5_000
/** Different lines that are logged of translators. */
const WARNINGS = 100

const isPromise = <A>(value: A | PromiseLike<A>): value is PromiseLike<A> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

const pointOf = (place: Place, port: number): ContactPoints.ContactPoint | string => {
  if (typeof place === "string") return ContactPoints.parse(place, port)
  if (typeof place !== "object" || place === null || typeof place.address !== "string") {
    return `an address, or { address, port }, was expected, got ${format(place)}`
  }
  const { address, port: own = port } = place
  if (!Number.isInteger(own) || own < 1 || own > 65_535) {
    return `a port from 1 to 65535 was expected, got ${format(own)}`
  }
  return { given: address, host: address, port: own }
}
