import type { BytesCodec } from "@effect-scylla/protocol/Codec"

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

  private isOf({ bytes }: RawTokens): boolean {
    return Buffer.compare(this.bytes, bytes) === 0
  }

  /** Of a partitioner whose tokens are no int64 they are left as texts. */
  read(isInt64: boolean, before: Tokens | undefined): Tokens {
    if (before !== undefined && before.isInt64 === isInt64 && this.isOf(before.raw)) return before
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

/** For the columns of system tables that have them. */
export const codec: BytesCodec<RawTokens> = {
  fromBytes: (bytes) => new RawTokens(bytes),
  toBytes: ({ bytes }) => bytes
}
