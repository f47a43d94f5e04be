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
  /** Nodes that were passed over because there was no room. */
  readonly full: Array<Node> = []

  constructor(make: () => Iterable<Place | Node>) {
    this.places = tried(() => make()[Symbol.iterator]())
  }

  /** The next place, which stays the next one until it is taken. */
  peek(): Place | undefined {
    if (this.next !== undefined) return this.next
    const result = tried(() => this.places.next())
    if (result.done === true) return undefined
    const { value } = result
    if (typeof value !== "object" || value === null || !("node" in value || "hostId" in value)) {
      throw new PolicyDefect(new TypeError(`a balancing policy gave ${String(value)} instead of a node`))
    }
    return this.next = "node" in value ? value : { node: value }
  }

  take(): Place | undefined {
    const place = this.peek()
    this.next = undefined
    return place
  }
}

const tried = <A>(call: () => A): A => {
  try {
    return call()
  } catch (cause) {
    throw new PolicyDefect(cause)
  }
}
