import type { InPlaceCodec } from "@effect-scylla/protocol/Codec"
import { EncodeError } from "@effect-scylla/protocol/ProtocolError"

/** The tokens of a node as they came: a `set<text>` of some hundred, which is read only where it is another one than before. */
export class RawTokens {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  private texts(): ReadonlyArray<string> {
    const { bytes } = this
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const texts: Array<string> = []
    let pos = 4
    for (let left = bytes.length < 4 ? 0 : view.readInt32BE(0); left > 0 && pos + 4 <= bytes.length; left--) {
      const end = pos + 4 + view.readInt32BE(pos)
      texts.push(view.toString("latin1", pos + 4, end))
      pos = end
    }
    return texts
  }

  private isSame(other: RawTokens): boolean {
    return this === other || Buffer.compare(this.bytes, other.bytes) === 0
  }

  /**
   * Of a partitioner whose tokens are no int64 they are left as texts. Where they are the ones of `before`, nothing is read; its bytes are
   * not kept all the same, they may be a part of many others.
   */
  read(isInt64: boolean, before: Tokens | undefined): Tokens {
    if (before !== undefined && before.isInt64 === isInt64 && this.isSame(before.raw)) return { ...before, raw: this }
    const texts = this.texts()
    return {
      raw: this,
      isInt64,
      tokens: isInt64 ? texts.flatMap((text) => /^-?\d+$/.test(text) ? [BigInt(text)] : []) : [],
      texts: isInt64 ? [] : texts
    }
  }
}

/** The tokens of a node. */
export interface Tokens {
  readonly raw: RawTokens
  readonly isInt64: boolean
  readonly tokens: ReadonlyArray<bigint>
  readonly texts: ReadonlyArray<string>
}

export const NO_TOKENS: Tokens = { raw: new RawTokens(new Uint8Array(4)), isInt64: true, tokens: [], texts: [] }

/** Leaves them as they came, without a copy: for pages whose bytes are kept. */
export const codec: InPlaceCodec = {
  read: (bytes, _, pos, length) => new RawTokens(bytes.subarray(pos, pos + length)),
  write: () => {
    throw new EncodeError({ message: "tokens are not written", path: "", cqlType: "set<text>" })
  }
}
