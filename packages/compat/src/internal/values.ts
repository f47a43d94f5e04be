import { Encoded } from "@effect-scylla/protocol/Encoded"
import { Unset } from "@effect-scylla/protocol/Value"
import { type Encoder, theirs } from "./theirs.ts"

const { unset } = theirs.types as any

/** What is bound where nothing is: `undefined` means what the client's options say of it. */
export class Bindings {
  private readonly encoder: Encoder
  private readonly isUndefinedUnset: boolean

  constructor(encoder: Encoder, isUndefinedUnset: boolean) {
    this.encoder = encoder
    this.isUndefinedUnset = isUndefinedUnset
  }

  private get absent(): unknown {
    return this.isUndefinedUnset && this.encoder.protocolVersion >= 4 ? Unset : null
  }

  /** The values as the engine binds them: the same list where none of them is absent. */
  settled(params: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    for (let i = 0; i < params.length; i++) {
      const value = params[i]
      if (value === undefined || value === unset) return Array.from(params, (value) => this.settle(value))
    }
    return params
  }

  private settle(value: unknown): unknown {
    return value === undefined ? this.absent : value === unset ? Unset : value
  }

  /**
   * The values as they are on the wire, by `typeOf` each place or, where that says nothing, by what the value looks like: the rules of
   * `cassandra-driver`, which throws a `TypeError` for what it cannot tell.
   */
  encoded(
    values: ReadonlyArray<unknown>,
    typeOf: (i: number) => unknown,
    names?: ReadonlyArray<string>
  ): Encoded {
    const bytes = Array.from(values, (value, i) => {
      const made = this.encoder.encode(value, typeOf(i))
      return made === null || made === undefined ? null : Buffer.isBuffer(made) ? made : Unset
    })
    return new Encoded(bytes as never, names)
  }
}
