import { format } from "effect/Formatter"
import type { Place } from "../Balancing.ts"
import type { Node } from "../Snapshot.ts"

/** What a policy of the user's has thrown: a defect, whatever it is. */
export class PolicyDefect {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** The nodes that a policy gives, one after the other. Throws `PolicyDefect`. */
export class Plan {
  private readonly places: Iterator<Place | Node>
  private next: Place | undefined
  private defect: PolicyDefect | undefined
  /** Nodes that were passed over because there was no room. */
  readonly full: Array<Node> = []

  constructor(make: () => Iterable<Place | Node>) {
    try {
      this.places = make()[Symbol.iterator]()
    } catch (cause) {
      throw new PolicyDefect(cause)
    }
  }

  /** The next place, which stays the next one until it is taken. */
  peek(): Place | undefined {
    if (this.next !== undefined) return this.next
    if (this.defect !== undefined) throw this.defect
    try {
      const result = this.places.next()
      if (result.done === true) return undefined
      const { value } = result
      const place: Place | undefined = isObject(value) ? "node" in value ? value : { node: value } : undefined
      if (place === undefined || !isObject(place.node) || typeof place.node.hostId !== "string") {
        throw new TypeError(`a balancing policy gave ${format(value)} instead of a node`)
      }
      return this.next = place
    } catch (cause) {
      throw this.defect = new PolicyDefect(cause)
    }
  }

  /** The next place for which `isGood` answers true; all before it are passed over, `most` of them: a policy may go round and round. */
  seek(isGood: (place: Place) => boolean, most: number): Place | undefined {
    for (let passed = 0; passed < most; passed++) {
      const place = this.peek()
      if (place === undefined || isGood(place)) return place
      this.next = undefined
    }
    return undefined
  }

  take(): Place | undefined {
    const place = this.peek()
    this.next = undefined
    return place
  }
}
