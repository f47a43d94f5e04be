import type { Place } from "../Balancing.ts"
import type { Node } from "../Snapshot.ts"

/** What a policy of the user's has thrown: a defect, whatever it is. */
export class PolicyDefect {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

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
      if (typeof value !== "object" || value === null || !("node" in value || "hostId" in value)) {
        throw new TypeError(`a balancing policy gave ${String(value)} instead of a node`)
      }
      return this.next = "node" in value ? value : { node: value }
    } catch (cause) {
      throw this.defect = new PolicyDefect(cause)
    }
  }

  take(): Place | undefined {
    const place = this.peek()
    this.next = undefined
    return place
  }
}
