/**
 * Values that are bytes already.
 *
 * @since 0.1.0
 */
import type { RawValue } from "./Request.ts"

/**
 * The values of a statement as they are on the wire, in place of values that are encoded by the statement's types: nobody looks at
 * their number or at what they are but the server. With a text they are sent along with it, and it is not prepared; `names` are those of
 * `:name` there.
 *
 * @category models
 * @since 0.1.0
 */
export class Encoded {
  readonly values: ReadonlyArray<RawValue>
  readonly names: ReadonlyArray<string> | undefined

  constructor(values: ReadonlyArray<RawValue>, names?: ReadonlyArray<string>) {
    this.values = values
    this.names = names
  }
}
