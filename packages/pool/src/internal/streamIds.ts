/** Ids that are used once before any is used again. */
const SMALL = 64

/**
 * Stream ids 1..32767 of a connection: fresh ones while the table is small, then the one that was
 * freed longest ago, so that an answer which comes twice meets a free id rather than another request. 0 is the
 * handshake's.
 */
export class StreamIds {
  static readonly MAX = 32_767
  /** Freed ids, oldest at `head`: a ring. */
  private ring = new Int16Array(SMALL)
  private head = 0
  private count = 0
  /** Ids 1..issued have been used. */
  issued = 0

  /** Ids that are taken. */
  get taken(): number {
    return this.issued - this.count
  }

  /** Takes an id, or answers -1 when all are taken. */
  acquire(): number {
    if (this.count > 0 && this.issued >= SMALL) {
      const id = this.ring[this.head]!
      this.head = (this.head + 1) & (this.ring.length - 1)
      this.count--
      return id
    }
    return this.issued < StreamIds.MAX ? ++this.issued : -1
  }

  /** Gives an id back: only when the server has answered it. */
  release(id: number): void {
    if (this.count === this.ring.length) this.grow()
    this.ring[(this.head + this.count) & (this.ring.length - 1)] = id
    this.count++
  }

  private grow(): void {
    const next = new Int16Array(this.ring.length * 2)
    for (let i = 0; i < this.count; i++) next[i] = this.ring[(this.head + i) & (this.ring.length - 1)]!
    this.ring = next
    this.head = 0
  }
}
