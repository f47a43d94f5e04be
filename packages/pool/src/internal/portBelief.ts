/**
 * How long the shard-aware port is left alone after it led to a wrong shard (a NAT rewrites ports) or to nowhere (a
 * firewall drops packets), milliseconds: as long as the Rust driver and gocql do.
 */
export const BLOCK_MILLIS = 300_000

/** What a pool thinks of its node's shard-aware port. */
export type Belief = "trusted" | "blocked" | "probing"

/**
 * Trusted until it misleads; then blocked for a while; then a single dial tries it, and decides.
 *
 * A dial asks `enter`, and tells exactly one of `right`, `wrong` and `undecided` if it was let in.
 */
export class PortBelief {
  private until = 0
  private belief: Belief = "trusted"
  private probing = false
  private readonly changed: (belief: Belief) => void

  constructor(changed: (belief: Belief) => void) {
    this.changed = changed
  }

  get state(): Belief {
    return this.belief
  }

  private become(belief: Belief): void {
    if (this.belief === belief) return
    this.belief = belief
    this.changed(belief)
  }

  /** Whether a dial may use the port now; while probing, only one. */
  enter(now: number): boolean {
    if (this.belief === "trusted") return true
    if (this.belief === "blocked") {
      if (now < this.until) return false
      this.become("probing")
    }
    if (this.probing) return false
    this.probing = true
    return true
  }

  /** Whether a dial that was let in a while ago is still wanted. */
  get isOpen(): boolean {
    return this.belief !== "blocked"
  }

  /** It led to the shard that was meant. While blocked that is chance: one of so many shards it had to be. */
  right(): void {
    this.probing = false
    if (this.belief === "probing") this.become("trusted")
  }

  /** It is another node's way now: nothing is known of it. */
  reset(): void {
    this.probing = false
    this.become("trusted")
  }

  wrong(now: number): void {
    this.probing = false
    if (this.belief === "blocked") return
    this.until = now + BLOCK_MILLIS
    this.become("blocked")
  }

  /** Nothing can be said: the dial was not made, or the node was resharded meanwhile. */
  undecided(): void {
    this.probing = false
  }
}
