import { Random as Base } from "../../../../test/support/random.ts"

/** Seeded numbers, bytes and texts. */
export class Random extends Base {
  /** An integer from `min` to `max`, every fourth one of both ends. */
  between(min: number, max: number): number {
    const pick = this.below(8)
    return pick === 0 ? min : pick === 1 ? max : min + Math.floor((this.u32() / 4_294_967_296) * (max - min + 1))
  }

  pick<A>(of: ReadonlyArray<A>): A {
    return of[this.below(of.length)]!
  }

  /** A signed integer of up to `bits` bits, its size as likely small as large. */
  big(bits: number): bigint {
    const size = 1 + this.below(bits)
    let value = 0n
    for (let i = 0; i < size; i += 32) value = (value << 32n) | BigInt(this.u32())
    return BigInt.asIntN(size, value)
  }

  /** Well-formed text: ASCII, two, three and four bytes of UTF-8. */
  text(most = 40): string {
    const ascii = this.below(2) === 0
    let out = ""
    for (let i = this.below(most); i > 0; i--) {
      out += ascii
        ? String.fromCharCode(this.below(128))
        : String.fromCodePoint(
          this.pick([this.below(128), 0x80 + this.below(0x700), 0xe000 + this.below(0x1fff), 0x1f400 + this.below(64)])
        )
    }
    return out
  }
}
